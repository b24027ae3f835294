//! Why a query has no answer.

use model::{SourceError, SourceErrorKind};

use crate::label_set::LabelSet;
use crate::syntax::ParseError;

/// What the caller can do about a [`QueryError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueryErrorKind {
    /// The query or its parameters are wrong.
    Invalid,
    /// A limit was reached; a smaller query may pass.
    Limit,
    /// The query cannot be evaluated with the data there is.
    Execution,
    /// The time for it was over.
    Timeout,
    /// It was given up by its caller.
    Cancelled,
    /// The store failed.
    Storage,
}

/// Failure of a query. Displays in the reference's words where it has some.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The text is not a query, or a stage of it cannot be compiled.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// Entries were asked for at one moment.
    #[error("log queries are not supported as an instant query type, please change your query to a range query type")]
    InstantLog,
    /// An entry that has an error was to be counted.
    #[error(
        "pipeline error: '{error}' for series: '{series}'.\nUse a label filter to intentionally skip this error. (e.g | __error__!=\"{error}\").\nTo skip all potential errors you can match empty errors.(e.g __error__=\"\")\nThe label filter can also be specified after unwrap. (e.g | unwrap latency | __error__=\"\" )\n"
    )]
    Pipeline {
        /// The value of `__error__`.
        error: String,
        /// Labels of the entry.
        series: LabelSet,
    },
    /// More series than allowed.
    #[error(
        "maximum number of series ({limit}) reached for a single query; consider reducing query cardinality by adding more specific stream selectors, reducing the time range, or aggregating results with functions like sum(), count() or topk()"
    )]
    TooManySeries {
        /// The limit.
        limit: usize,
    },
    /// A longer window than allowed.
    #[error("[interval] value exceeds limit: [{}] > [{}]", crate::units::duration::prometheus(*range_ns), crate::units::duration::prometheus(*limit_ns))]
    RangeTooLong {
        /// The window in nanoseconds.
        range_ns: i64,
        /// The limit in nanoseconds.
        limit_ns: i64,
    },
    /// More bytes to read than allowed.
    #[error(
        "the query would read too many bytes (query: {}, limit: {}); consider adding more specific stream selectors or reduce the time range of the query",
        crate::units::bytes::BytesText(*bytes),
        crate::units::bytes::BytesText(*limit)
    )]
    TooManyBytes {
        /// What the query would read.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// The query's intermediate results take more memory than allowed.
    #[error(
        "the query needs more than {} of memory; reduce the time range, use a larger step or group by fewer labels",
        crate::units::bytes::BytesText(*limit)
    )]
    TooMuchMemory {
        /// The limit in bytes.
        limit: u64,
    },
    /// Too many evaluation steps.
    #[error(
        "exceeded maximum resolution of 11,000 points per time series. Try increasing the value of the step parameter"
    )]
    TooManyPoints,
    /// The two sides of an operation do not fit each other.
    #[error("{0}")]
    Matching(MatchingError),
    /// The function is not switched on.
    #[error("approx_topk is not enabled. See -limits.shard_aggregations")]
    ApproxTopkDisabled,
    /// The function answers at one moment only.
    #[error("approx_topk is only supported on instant queries")]
    ApproxTopkRange,
    /// The time for the query was over.
    #[error("query timed out")]
    Timeout,
    /// The query was given up.
    #[error("query was cancelled")]
    Cancelled,
    /// The store failed.
    #[error(transparent)]
    Source(#[from] SourceError),
}

/// How the two sides of an operation do not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MatchingError {
    /// Several series of the side that may have one.
    #[error(
        "found duplicate series on the {0} hand-side;many-to-many matching not allowed: matching labels must be unique on one side"
    )]
    Duplicate(&'static str),
    /// Several series of the left side for one of the right.
    #[error("multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)")]
    NotExplicit,
    /// Two results with the same labels.
    #[error("multiple matches for labels: grouping labels must ensure unique matches")]
    NotUnique,
}

impl QueryError {
    /// What the caller can do about it.
    pub fn kind(&self) -> QueryErrorKind {
        match self {
            Self::Parse(_) | Self::InstantLog | Self::Pipeline { .. } | Self::TooManyPoints | Self::ApproxTopkRange => {
                QueryErrorKind::Invalid
            }
            Self::TooManySeries { .. }
            | Self::RangeTooLong { .. }
            | Self::TooManyBytes { .. }
            | Self::TooMuchMemory { .. } => QueryErrorKind::Limit,
            Self::Matching(_) | Self::ApproxTopkDisabled => QueryErrorKind::Execution,
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
}
