//! The error a store hands to an evaluator through the read traits.

/// What the caller of a read can do about its failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SourceErrorKind {
    /// The request cannot be answered as asked (for example a matcher the store refuses).
    Invalid,
    /// A limit of samples, series, bytes or time was reached.
    Limit,
    /// The query was given up: by its caller, a deadline or an operator.
    Cancelled,
    /// Data on disk is damaged; the message names file and offset.
    Corrupt,
    /// Reading a file or a peer failed.
    Io,
    /// The store is closed or not ready yet.
    Closed,
}

/// Failure of a read through [`crate::SeriesSource`] or [`crate::LogSource`].
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct SourceError {
    /// What the caller can do about it.
    pub kind: SourceErrorKind,
    /// What happened and where.
    pub message: String,
}

impl SourceError {
    /// An error of a kind with a message that names the place.
    pub fn new(kind: SourceErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}
