//! Expressions of rules: reduce, math, resample, threshold, classic conditions.
//!
//! A [`Pipeline`] is a rule's queries and expressions in an order in which each has what it needs. The host answers the
//! queries ([`QuerySource`]); everything else is worked out here. One expression a file.

mod classic;
mod math;
mod pipeline;
mod reduce;
mod resample;
mod threshold;

pub use classic::{ClassicCondition, ClassicConditions};
pub use math::{Math, MathError};
pub use pipeline::{DataQuery, NodeError, Pipeline, PipelineError, QuerySource, Results, TimeRange};
pub use reduce::{Reduce, ReduceMode, Reducer};
pub use resample::{Resample, Upsampler};
pub use threshold::{Evaluator, Threshold};
