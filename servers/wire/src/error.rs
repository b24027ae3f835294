//! The one error of the codecs.

/// Result of a codec.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What the caller does about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The bytes are not what they claim to be: refuse the request, retrying is useless.
    Malformed,
    /// A limit of the reader was reached: the message may be fine, it is too big.
    Limit,
}

/// Bytes could not be read.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A protobuf message is cut short or breaks the encoding.
    #[error("protobuf: {what} at byte {offset}")]
    Proto {
        /// What was found.
        what: &'static str,
        /// Where, counted from the start of the (sub)message that was being read.
        offset: usize,
    },
    /// A line of a text format is wrong.
    #[error("line {line}: {message}")]
    Text {
        /// Line, counted from 1.
        line: usize,
        /// What was found, with the place in the line.
        message: String,
    },
    /// JSON is wrong; the message has line and column.
    #[error("json: {0}")]
    Json(String),
    /// A compressed body is damaged.
    #[error("{codec}: {message}")]
    Compression {
        /// Which compression.
        codec: &'static str,
        /// What the decompressor says.
        message: String,
    },
    /// A limit was reached while reading.
    #[error("{what} exceeds the limit of {limit} (found {found})")]
    Limit {
        /// What was counted.
        what: &'static str,
        /// Most that is allowed.
        limit: u64,
        /// What the input has, or claims to have.
        found: u64,
    },
    /// A well-formed message says something impossible.
    #[error("{0}")]
    Invalid(String),
}

impl Error {
    /// Groups errors by what the caller does next.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Limit { .. } => ErrorKind::Limit,
            _ => ErrorKind::Malformed,
        }
    }
}
