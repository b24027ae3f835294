//! What can go wrong with the store itself. Why single entries were refused is a [`Refusal`], in the report of the push.

use std::path::PathBuf;

use model::{SourceError, SourceErrorKind};

use crate::bytes::Malformed;
use crate::limits::Refusal;

/// What a caller does next about an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request is not one the store can answer.
    Invalid,
    /// A limit is reached: send less, or later.
    Limit,
    /// Bytes on disk are not what was written.
    Corrupt,
    /// The operating system refused an operation.
    Io,
    /// Writes are refused until the device works again or has space.
    Refusing,
    /// The store was closed.
    Closed,
}

/// What went wrong, and where.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or the write-ahead log.
    #[error(transparent)]
    Disk(#[from] disk::Error),
    /// A file of the store is damaged.
    #[error("{} at byte {offset}: {what}", file.display())]
    Corrupt {
        /// The file.
        file: PathBuf,
        /// Where the damage was seen.
        offset: u64,
        /// What was found.
        what: String,
    },
    /// A whole push was refused; nothing of it is stored.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// A push is larger than one record of the log can be.
    #[error("a push of {bytes} bytes is larger than the limit of {limit}: send it in parts")]
    PushTooLarge {
        /// Bytes of its lines and metadata.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// Too much is in memory that is not in a segment yet.
    #[error(
        "{bytes} bytes wait in memory to be written into a segment, more than the limit of {limit}: try again later"
    )]
    HeadFull {
        /// Bytes of lines and metadata in memory.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// Too many delete requests wait.
    #[error("{limit} delete requests wait to be carried out, more than that are not taken")]
    TooManyDeletes {
        /// The limit.
        limit: usize,
    },
    /// Another process has the directory open.
    #[error("{} is in use by another process", dir.display())]
    Locked {
        /// The directory.
        dir: PathBuf,
    },
    /// A request that makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// The store was closed.
    #[error("the log store is closed")]
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
            Self::Corrupt { .. } => ErrorKind::Corrupt,
            Self::Refused(_) | Self::PushTooLarge { .. } | Self::HeadFull { .. } | Self::TooManyDeletes { .. } => {
                ErrorKind::Limit
            }
            Self::Locked { .. } => ErrorKind::Io,
            Self::Invalid(_) => ErrorKind::Invalid,
            Self::Closed => ErrorKind::Closed,
        }
    }

    /// Damage in a part of a file that begins at `base`.
    pub(crate) fn corrupt(file: impl Into<PathBuf>, base: u64, malformed: Malformed) -> Self {
        Self::Corrupt { file: file.into(), offset: base + malformed.at as u64, what: malformed.what.to_owned() }
    }
}

impl From<Error> for SourceError {
    fn from(error: Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::Invalid => SourceErrorKind::Invalid,
            ErrorKind::Limit => SourceErrorKind::Limit,
            ErrorKind::Corrupt => SourceErrorKind::Corrupt,
            ErrorKind::Io | ErrorKind::Refusing => SourceErrorKind::Io,
            ErrorKind::Closed => SourceErrorKind::Closed,
        };
        SourceError::new(kind, error.to_string())
    }
}
