//! LogQL: parser, pipeline stages and metric queries over any log source.

#![forbid(unsafe_code)]

mod pattern;
mod syntax;
mod units;

pub use syntax::*;
