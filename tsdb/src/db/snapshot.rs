//! Copies of a store at one moment, made of second names for its files.

use std::path::{Path, PathBuf};

use disk::IoContext;
use disk::wal::list_segments;

use super::open::WAL_DIR;
use crate::block::{BLOCKS_DIR, TEMPORARY};
use crate::db::Db;
use crate::error::Error;

impl Db {
    /// Makes a copy of the store as it is now in the directory `target`, which must not exist and has to be on the same file
    /// system: its files get second names there, nothing is copied. It holds everything that was acknowledged before the call, is on the
    /// device when this returns, and can be opened as a store. `with_head`: also what is not in blocks yet.
    ///
    /// Waits for a cut that is under way; appending and reading go on.
    ///
    /// # Errors
    /// As [`Db::check_writable`]; of the device, `target` existing included. What is left of a failed copy ends in `.tmp`.
    pub fn snapshot(&self, target: &Path, with_head: bool) -> Result<(), Error> {
        self.check_writable()?;
        if self.files.exists(target) {
            let source = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
            return Err(disk::Error::Io { op: "create", path: target.to_owned(), source }.into());
        }
        let mut name = target.as_os_str().to_owned();
        name.push(TEMPORARY);
        let temporary = PathBuf::from(name);
        if self.files.exists(&temporary) {
            self.files.remove_dir_all(&temporary).at("remove", &temporary)?;
        }
        // Neither blocks nor segments come or go meanwhile.
        let mut maintenance = self.maintenance.lock();
        let deleting = self.deleting.lock();
        let blocks_dir = temporary.join(BLOCKS_DIR);
        self.files.create_dir_all(&blocks_dir).at("create directory", &blocks_dir)?;
        for block in &self.view().blocks {
            self.link_all(block.dir(), &blocks_dir.join(block.ulid().to_string()))?;
        }
        if with_head {
            // A segment that is finished never changes.
            self.begin_segment(&mut maintenance)?;
            let current = self.log.stats().segment;
            let wal_dir = temporary.join(WAL_DIR);
            self.files.create_dir_all(&wal_dir).at("create directory", &wal_dir)?;
            for segment in list_segments(&*self.files, &self.dir.join(WAL_DIR))? {
                if segment.id.0 < current {
                    self.link(&segment.path, &wal_dir)?;
                }
            }
            self.files.sync_dir(&wal_dir).at("sync", &wal_dir)?;
            self.link_saved_head(&temporary)?;
        }
        drop((deleting, maintenance));
        for dir in [&blocks_dir, &temporary] {
            self.files.sync_dir(dir).at("sync", dir)?;
        }
        self.files.rename(&temporary, target).at("rename", target)?;
        if let Some(parent) = target.parent() {
            self.files.sync_dir(parent).at("sync", parent)?;
        }
        Ok(())
    }

    /// Gives all files of a directory second names in a new one.
    fn link_all(&self, from: &Path, to: &Path) -> Result<(), Error> {
        self.files.create_dir_all(to).at("create directory", to)?;
        for entry in self.files.read_dir(from).at("list", from)? {
            if !entry.is_dir && !entry.name.ends_with(TEMPORARY) {
                self.link(&from.join(&entry.name), to)?;
            }
        }
        Ok(self.files.sync_dir(to).at("sync", to)?)
    }

    pub(super) fn link(&self, file: &Path, to: &Path) -> Result<(), Error> {
        let name = file.file_name().unwrap_or_default();
        Ok(self.files.hard_link(file, &to.join(name)).at("link", file)?)
    }
}
