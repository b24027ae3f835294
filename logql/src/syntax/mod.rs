//! Text to syntax tree and back.

pub mod ast;
mod error;
mod lexer;
mod parse;
mod pretty;
mod print;
mod span;
mod token;

pub use error::ParseError;
pub use parse::{MAX_HEIGHT, MAX_NESTING, MAX_TEXT_LEN, MatchersError, ParseOptions, parse, parse_matchers};
pub use pretty::format_query;
