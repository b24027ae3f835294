//! Why a query failed.

use model::{SourceError, SourceErrorKind};

use crate::parse::ParseError;

/// What the caller of a query can do about its failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueryErrorKind {
    /// The query or its times make no sense.
    Invalid,
    /// The data do not allow an answer, for example because a join is ambiguous.
    Execution,
    /// A limit was reached.
    Limit,
    /// The deadline has passed.
    Timeout,
    /// The caller gave up.
    Cancelled,
    /// The store could not be read.
    Storage,
}

/// A query failed. Messages are Prometheus'.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The text is no query.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// The query cannot be asked this way.
    #[error("{0}")]
    Invalid(String),
    /// The data do not allow an answer.
    #[error("{0}")]
    Execution(String),
    /// More samples than [`crate::Limits::samples`] at once.
    #[error("query processing would load too many samples into memory in query execution")]
    TooManySamples,
    /// More series than [`crate::Limits::series`].
    #[error("query selects {found} series, more than the limit of {limit}")]
    TooManySeries {
        /// Series selected.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// More memory than [`crate::Limits::bytes`].
    #[error("query needs more than the limit of {limit} bytes of memory")]
    TooManyBytes {
        /// The limit.
        limit: usize,
    },
    /// The deadline has passed.
    #[error("query timed out in expression evaluation")]
    Timeout,
    /// The caller gave up.
    #[error("query was canceled in expression evaluation")]
    Cancelled,
    /// The store could not be read.
    #[error("expanding series: {0}")]
    Source(#[from] SourceError),
}

impl QueryError {
    /// What can be done about it.
    pub fn kind(&self) -> QueryErrorKind {
        match self {
            Self::Parse(_) | Self::Invalid(_) => QueryErrorKind::Invalid,
            Self::Execution(_) => QueryErrorKind::Execution,
            Self::TooManySamples | Self::TooManySeries { .. } | Self::TooManyBytes { .. } => QueryErrorKind::Limit,
            Self::Timeout => QueryErrorKind::Timeout,
            Self::Cancelled => QueryErrorKind::Cancelled,
            Self::Source(error) => match error.kind {
                SourceErrorKind::Invalid => QueryErrorKind::Invalid,
                SourceErrorKind::Limit => QueryErrorKind::Limit,
                SourceErrorKind::Cancelled => QueryErrorKind::Cancelled,
                _ => QueryErrorKind::Storage,
            },
        }
    }

    /// Two series of a result have one label set.
    pub(crate) fn same_labelset() -> Self {
        Self::Execution("vector cannot contain metrics with the same labelset".to_owned())
    }
}
