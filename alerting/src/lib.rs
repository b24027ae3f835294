//! Alert rules as pure state machines; grouping, inhibition, silences, routing and notification messages.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod evaluate;
pub mod grafana;
pub mod notify;
pub mod rules;
pub mod text;

pub use evaluate::{Evaluator, OutputSample, QueryError, Rejected, Sample, SampleSink, SampleValue};
