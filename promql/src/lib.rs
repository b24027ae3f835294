//! PromQL: lexer, parser, planner and columnar evaluator over any series source.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod ast;
mod format;
mod functions;
mod json;
mod parse;
mod pretty;
mod print;
mod span;

pub use ast::{Expr, ValueType};
pub use functions::{FUNCTIONS, Function, function};
pub use json::ast_json;
pub use parse::{ParseError, ParserOptions, Problem, parse, parse_metric, parse_selector};
pub use pretty::pretty;
pub use span::{LineColumn, Span};
