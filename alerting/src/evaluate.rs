//! The trait through which rules evaluate expressions, and the samples that go in and out.
//!
//! This crate knows no query language: a host implements [`Evaluator`] over its engine and [`SampleSink`] over its store.
//! Both are called from within [`crate::rules::Group::evaluate`], rule after rule, so that a rule sees what the rules
//! before it wrote.

use model::Labels;
pub use model::{SampleValue, VectorSample as Sample};

/// Why an expression gave no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct QueryError {
    /// The engine's words.
    pub message: String,
    /// The query was given up on purpose (shutdown), so nothing is wrong with the rule.
    pub cancelled: bool,
}

impl QueryError {
    /// A failure of the expression.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), cancelled: false }
    }
}

/// Evaluates expressions at an instant.
pub trait Evaluator {
    /// The result as a vector; a scalar is one sample without labels.
    ///
    /// # Errors
    /// When the expression cannot be read or evaluated, or its result is neither vector nor scalar.
    fn query(&self, expr: &str, at_ms: i64) -> Result<Vec<Sample>, QueryError>;
}

/// A sample that a rule produces.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputSample {
    /// Labels, the metric name included.
    pub labels: Labels,
    /// Time of the sample.
    pub timestamp_ms: i64,
    /// Its value.
    pub value: SampleValue,
}

/// A sample the store would not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Index into the slice that was appended.
    pub index: usize,
    /// Why.
    pub message: String,
    /// Out of order, too old or a second value for one time: to be expected when two rules write one series.
    pub expected: bool,
}

/// Where rules write their results. One call is one commit.
pub trait SampleSink {
    /// Writes samples; returns those that were not taken.
    ///
    /// # Errors
    /// When nothing of the call was written.
    fn append(&mut self, samples: &[OutputSample]) -> Result<Vec<Rejected>, QueryError>;
}
