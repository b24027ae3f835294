//! Errors of the store.

use std::path::PathBuf;

use model::histogram::InvalidHistogram;
use model::index::IndexError;
use model::{SourceError, SourceErrorKind};

/// What a caller does next about an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request cannot be answered as asked.
    Invalid,
    /// More than a documented limit.
    Limit,
    /// Data on disk is damaged.
    Corrupt,
    /// A file could not be read or written.
    Io,
    /// The store takes no writes now, and says why; it may later.
    Refusing,
    /// The store is closed, or still reading its log.
    Closed,
}

/// What went wrong, and where.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file layer or the log failed.
    #[error(transparent)]
    Disk(#[from] disk::Error),
    /// Bytes on disk are not what was written.
    #[error("{} at byte {offset}: {what}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where the damaged part begins.
        offset: u64,
        /// What was found.
        what: String,
    },
    /// A block's label index is damaged or too large.
    #[error("{}: {source}", path.display())]
    Index {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: IndexError,
    },
    /// Writes are refused until the cause is gone.
    #[error("writes are refused: {reason}")]
    Refusing {
        /// The cause.
        reason: String,
    },
    /// More than the store takes.
    #[error("{what}: limit {limit}")]
    Limit {
        /// What is limited.
        what: String,
        /// The limit.
        limit: u64,
    },
    /// A label set that no series can have.
    #[error("{what}")]
    InvalidLabels {
        /// What is wrong with which label.
        what: String,
    },
    /// A native histogram that makes no sense.
    #[error(transparent)]
    InvalidHistogram(#[from] InvalidHistogram),
    /// The directory belongs to another process.
    #[error("{} is in use by another process", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The log is still being read.
    #[error("the store is still reading its log ({done} of {total} segments)")]
    Replaying {
        /// Segments read.
        done: usize,
        /// Segments to read.
        total: usize,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

impl Error {
    /// Groups errors by what the caller does next.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Disk(error) => match error.kind() {
                disk::ErrorKind::Corrupt => ErrorKind::Corrupt,
                disk::ErrorKind::Refusing => ErrorKind::Refusing,
                disk::ErrorKind::Limit => ErrorKind::Limit,
                disk::ErrorKind::Closed => ErrorKind::Closed,
                _ => ErrorKind::Io,
            },
            Self::Corrupt { .. } | Self::Index { source: IndexError::Damaged(_) | IndexError::Checksum { .. }, .. } => {
                ErrorKind::Corrupt
            }
            Self::Refusing { .. } => ErrorKind::Refusing,
            Self::Limit { .. } | Self::Index { .. } => ErrorKind::Limit,
            Self::InvalidLabels { .. } | Self::InvalidHistogram(_) => ErrorKind::Invalid,
            Self::Locked { .. } => ErrorKind::Io,
            Self::Replaying { .. } | Self::Closed => ErrorKind::Closed,
        }
    }
}

impl From<Error> for SourceError {
    fn from(error: Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::Invalid => SourceErrorKind::Invalid,
            ErrorKind::Limit => SourceErrorKind::Limit,
            ErrorKind::Corrupt => SourceErrorKind::Corrupt,
            ErrorKind::Closed | ErrorKind::Refusing => SourceErrorKind::Closed,
            ErrorKind::Io => SourceErrorKind::Io,
        };
        SourceError::new(kind, error.to_string())
    }
}
