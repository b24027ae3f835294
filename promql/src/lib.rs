//! PromQL: lexer, parser, planner and columnar evaluator over any series source.

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
    Analysis, Clock, Engine, EngineOptions, Limits, MatrixSeries, QueryContext, QueryOutput, SampleValue, Stats,
    TimeParams, Value, VectorSample,
};
pub use error::{QueryError, QueryErrorKind};
pub use functions::{FUNCTIONS, Function, function};
pub use json::ast_json;
pub use parse::{ParseError, ParserOptions, Problem, parse, parse_metric, parse_selector};
pub use plan::Plan;
pub use pretty::pretty;
pub use span::{LineColumn, Span};
