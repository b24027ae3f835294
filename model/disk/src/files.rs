//! The file layer: everything a store asks of a disk, as one small trait.
//!
//! Files are written by appending, sealed once, and read by position or through a map. What has been appended is durable
//! after [`WriteFile::sync`]; that a name exists, was renamed or removed is durable after [`Files::sync_dir`] of its
//! directory. Implementations: [`crate::RealFiles`], [`crate::MemFiles`], [`crate::FaultyFiles`]; one test suite runs over all.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::error::{Error, IoContext};
use crate::map::Mapped;

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirEntry {
    /// File name without its directory; names that are not UTF-8 are left out of listings.
    pub name: String,
    /// Length in bytes, 0 for a directory.
    pub len: u64,
    /// Whether it is a directory.
    pub is_dir: bool,
}

/// Space of the file system that holds a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Size in bytes.
    pub total: u64,
    /// Bytes that this process may still write.
    pub available: u64,
}

/// A file being written. Dropping it closes it without a sync.
pub trait WriteFile: Send {
    /// Adds bytes at the end. After an error an unknown part of them may be there.
    ///
    /// # Errors
    /// The device's.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Returns once all appended bytes are on the device.
    ///
    /// # Errors
    /// The device's. What was appended since the last successful sync may then be lost, a later success notwithstanding.
    fn sync(&mut self) -> io::Result<()>;

    /// Bytes appended so far, what was there before included.
    fn len(&self) -> u64;

    /// True when the file holds no byte.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A file read by position; it may still grow.
pub trait ReadFile: Send + Sync {
    /// Reads up to `buf.len()` bytes from `offset`; fewer only at the end of the file.
    ///
    /// # Errors
    /// The device's.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Length in bytes at this moment.
    ///
    /// # Errors
    /// The device's.
    fn len(&self) -> io::Result<u64>;

    /// True when the file holds no byte.
    ///
    /// # Errors
    /// The device's.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}

/// Held while a directory belongs to this process; given back on drop.
pub trait Lock: Send + Sync {}

/// A file system, or something that behaves like one.
pub trait Files: Send + Sync + fmt::Debug {
    /// Creates a directory and its parents; fine when it exists.
    ///
    /// # Errors
    /// The device's.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;

    /// Names in a directory, ascending.
    ///
    /// # Errors
    /// The device's, `NotFound` included.
    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>>;

    /// Creates a new file.
    ///
    /// # Errors
    /// `AlreadyExists` when there is one.
    fn create(&self, path: &Path) -> io::Result<Box<dyn WriteFile>>;

    /// Opens an existing file to append to it.
    ///
    /// # Errors
    /// The device's, `NotFound` included.
    fn open_append(&self, path: &Path) -> io::Result<Box<dyn WriteFile>>;

    /// Opens a file to read it by position.
    ///
    /// # Errors
    /// The device's, `NotFound` included.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn ReadFile>>;

    /// Maps a whole file. Only for files that nobody changes any more.
    ///
    /// # Errors
    /// The device's, `NotFound` included.
    fn map(&self, path: &Path) -> io::Result<Mapped>;

    /// Gives a file or directory another name; an existing file of that name is replaced in one step.
    ///
    /// # Errors
    /// The device's.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Gives a file a second name, on the same file system.
    ///
    /// # Errors
    /// The device's.
    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// The device's, `NotFound` included.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes a directory with all in it.
    ///
    /// # Errors
    /// The device's, `NotFound` included.
    fn remove_dir_all(&self, path: &Path) -> io::Result<()>;

    /// Cuts a file to a length.
    ///
    /// # Errors
    /// The device's.
    fn truncate(&self, path: &Path, len: u64) -> io::Result<()>;

    /// Returns once the names in a directory are on the device.
    ///
    /// # Errors
    /// The device's.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Space of the file system that holds `path`.
    ///
    /// # Errors
    /// The device's.
    fn space(&self, path: &Path) -> io::Result<Space>;

    /// Takes the lock file `path` for this process, creating it where needed.
    ///
    /// # Errors
    /// `WouldBlock` when another process holds it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>>;

    /// Whether there is a file or directory of this name.
    fn exists(&self, path: &Path) -> bool;
}

/// Replaces a file in one step: writes `path.tmp`, syncs it, renames it, syncs the directory.
///
/// # Errors
/// Any of these steps'. The old file is then still whole.
pub fn write_atomic(files: &dyn Files, path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    let temporary = Path::new(&name);
    match files.remove_file(temporary) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e).at("remove", temporary),
        _ => {}
    }
    let mut file = files.create(temporary).at("create", temporary)?;
    file.append(bytes).at("write", temporary)?;
    file.sync().at("sync", temporary)?;
    drop(file);
    files.rename(temporary, path).at("rename", path)?;
    match path.parent() {
        Some(dir) => files.sync_dir(dir).at("sync", dir),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
