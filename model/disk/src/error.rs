//! Errors of the file layer and the write-ahead log.

use std::io;
use std::path::{Path, PathBuf};

/// What a caller does next about an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The operating system refused an operation.
    Io,
    /// Bytes on disk are not what was written.
    Corrupt,
    /// A write is refused because the device failed or is full; it may succeed later.
    Refusing,
    /// More than a documented limit.
    Limit,
    /// The log was closed.
    Closed,
}

/// What went wrong, and where.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An operation on a file failed.
    #[error("{op} {}: {source}", path.display())]
    Io {
        /// What was tried: `create`, `write`, `sync`, …
        op: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
    /// Bytes are damaged.
    #[error("{} at byte {offset}: {what}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where the damage was seen.
        offset: u64,
        /// What was found.
        what: String,
    },
    /// Writes are refused until the device works again.
    #[error("writes are refused: {reason}")]
    Refusing {
        /// The failure that led here.
        reason: String,
    },
    /// A record is larger than the log takes.
    #[error("record of {len} bytes is longer than the limit of {limit}")]
    RecordTooLong {
        /// Its length.
        len: usize,
        /// The limit.
        limit: usize,
    },
    /// The log was closed.
    #[error("the log is closed")]
    Closed,
}

impl Error {
    /// Groups errors by what the caller does next.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Io { .. } => ErrorKind::Io,
            Self::Corrupt { .. } => ErrorKind::Corrupt,
            Self::Refusing { .. } => ErrorKind::Refusing,
            Self::RecordTooLong { .. } => ErrorKind::Limit,
            Self::Closed => ErrorKind::Closed,
        }
    }

    /// True when the device has no space left.
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::Io { source, .. } if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
    }
}

/// Adds operation and path to an [`io::Error`].
pub trait IoContext<T> {
    /// Names what was tried on which file.
    ///
    /// # Errors
    /// The error of `self`, with the place.
    fn at(self, op: &'static str, path: &Path) -> Result<T, Error>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn at(self, op: &'static str, path: &Path) -> Result<T, Error> {
        self.map_err(|source| Error::Io { op, path: path.to_owned(), source })
    }
}
