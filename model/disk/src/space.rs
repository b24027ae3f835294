//! The brake before the disk is full: writes are refused while too little space is left, so that what has to be written
//! to free space (compaction, checkpoints) still can be.

use std::io;
use std::path::Path;

use crate::error::Error;
use crate::files::Files;

/// Refuses writes below a reserve and takes them again above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Brake {
    /// Bytes that have to be available.
    pub reserve_bytes: u64,
}

impl Default for Brake {
    /// 64 MiB.
    fn default() -> Self {
        Self { reserve_bytes: 64 << 20 }
    }
}

impl Brake {
    /// # Errors
    /// [`Error::Refusing`] while fewer than `reserve_bytes` are available where `path` is. A file system that cannot say is trusted.
    pub fn check(&self, files: &dyn Files, path: &Path) -> Result<(), Error> {
        match files.space(path) {
            Ok(space) if space.available < self.reserve_bytes => Err(Error::Refusing {
                reason: format!(
                    "the disk that holds {} has {} bytes left, {} are kept in reserve: free some space or shorten the retention",
                    path.display(),
                    space.available,
                    self.reserve_bytes
                ),
            }),
            Ok(_) => Ok(()),
            Err(e) if e.kind() == io::ErrorKind::Unsupported => Ok(()),
            Err(source) => Err(Error::Io { op: "statvfs", path: path.to_owned(), source }),
        }
    }
}
