//! PromQL of Prometheus 3.14: parser, printer, planner and columnar evaluator over any [`model::SeriesSource`].
//!
//! Not a store and not a server: it opens nothing, reads no clock and starts threads only within a query that asks for
//! more than one. Nor does it know rules, alerts or HTTP.
//!
//! ```
//! use model::{Labels, METRIC_NAME};
//! use foursight_promql::promqltest::MemorySource;
//! use foursight_promql::{Engine, EngineOptions, QueryContext, TimeParams, Value};
//!
//! let mut store = MemorySource::new();
//! let labels = Labels::from_pairs([(METRIC_NAME, "requests_total"), ("job", "web")]);
//! for i in 0..9 {
//!     store.append(&labels, i * 15_000, 0, i as f64 * 30.0)?;
//! }
//!
//! let engine = Engine::new(EngineOptions::default());
//! let times = TimeParams::Range { start_ms: 60_000, end_ms: 120_000, step_ms: 60_000 };
//! let query = "sum by (job) (increase(requests_total[1m]))";
//! let output = engine.query(query, &store, times, &QueryContext::default())?;
//! let Value::Matrix(series) = output.value else { panic!("a range query gives a matrix") };
//! assert_eq!(series[0].labels.to_string(), r#"{job="web"}"#);
//! assert_eq!(series[0].floats, [(60_000, 120.0), (120_000, 120.0)]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Modules: [`ast`] (what [`parse`] gives; it prints as the canonical query), [`vector`] (columns and the operators on
//! them, shared with LogQL), [`promqltest`] (test scripts, series notation, a store in memory). Inside: `parse`, then
//! `plan` with its passes, then `exec`, which runs a plan with the functions of `kernels`. [`Engine`] is the way in;
//! [`Engine::explain`] shows a plan, [`Engine::explain_analyze`] what its operators did.
//!
//! Limits: a query is at most 16 MiB long and 250 parentheses deep; an operator chain is at most 1,000 high. What one
//! query may use is in [`Limits`] and [`QueryContext`]. Times are `i64` milliseconds; a subquery has at most `u32::MAX`
//! steps.
//!
//! References: Prometheus 3.14, `promql/` (the meaning of everything here; its test scripts are the conformance suite);
//! Neumaier 1974 for compensated sums.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod annotations;
pub mod ast;
mod engine;
mod error;
mod exec;
mod format;
mod functions;
mod hash;
mod json;
mod kernels;
mod parse;
mod plan;
mod pretty;
mod print;
pub mod promqltest;
mod span;
pub mod vector;

pub use annotations::{Annotation, Annotations, Level};
pub use ast::{Expr, ValueType};
pub use engine::{
    Analysis, Clock, Engine, EngineOptions, Limits, MatrixSeries, QueryContext, QueryOutput, Stats, TimeParams, Value,
};
pub use error::{QueryError, QueryErrorKind};
pub use functions::{FUNCTIONS, Function, function};
pub use json::ast_json;
pub use model::{SampleValue, VectorSample};
pub use parse::{ParseError, ParserOptions, Problem, parse, parse_metric, parse_selector};
pub use plan::Plan;
pub use pretty::pretty;
pub use span::{LineColumn, Span};
