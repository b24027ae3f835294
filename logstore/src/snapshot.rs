//! A copy of the store at one moment, in a directory of its own that can be opened as a store.

use std::io::ErrorKind;
use std::path::Path;

use disk::{IoContext, write_atomic};

use crate::db::{Db, deletes_path, segments_dir};
use crate::error::Error;

/// Bytes that are copied at once.
const PIECE_LEN: usize = 1 << 20;

impl Db {
    /// Puts a copy of everything stored so far into the new directory `dir`. Segments are not copied where both
    /// directories are on one file system: they get a second name. Pushes go on meanwhile.
    ///
    /// # Errors
    /// When `dir` exists, or a file cannot be written. A directory `dir.tmp` may be left then, and is replaced the next time.
    pub fn snapshot(&self, dir: &Path) -> Result<(), Error> {
        self.check_open()?;
        if self.files.exists(dir) {
            return Err(Error::Invalid(format!("{} exists: a snapshot needs a new directory", dir.display())));
        }
        let mut maintenance = self.maintenance.lock();
        if maintenance.frozen.is_some() {
            self.seal(&mut maintenance)?;
        }
        self.seal(&mut maintenance)?;
        let mut name = dir.as_os_str().to_owned();
        name.push(".tmp");
        let temporary = Path::new(&name);
        match self.files.remove_dir_all(temporary) {
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(e).at("remove", temporary)?,
            _ => {}
        }
        let segments = segments_dir(temporary);
        self.files.create_dir_all(&segments).at("create directory", &segments)?;
        let view = self.view().clone();
        for segment in &view.segments {
            let Some(name) = segment.path.file_name() else { continue };
            let copy = segments.join(name);
            if self.files.hard_link(&segment.path, &copy).is_err() {
                // Another file system, or one without links.
                self.copy(&segment.path, &copy)?;
            }
        }
        self.files.sync_dir(&segments).at("sync", &segments)?;
        // Also syncs the directory.
        write_atomic(&*self.files, &deletes_path(temporary), &self.deletes.encoded())?;
        self.files.rename(temporary, dir).at("rename", dir)?;
        let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        self.files.sync_dir(parent).at("sync", parent)?;
        Ok(())
    }

    fn copy(&self, from: &Path, to: &Path) -> Result<(), Error> {
        let bytes = self.files.map(from).at("map", from)?;
        let mut file = self.files.create(to).at("create", to)?;
        for piece in bytes.chunks(PIECE_LEN) {
            file.append(piece).at("write", to)?;
        }
        file.sync().at("sync", to)?;
        Ok(())
    }
}
