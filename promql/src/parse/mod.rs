//! Text to checked syntax tree.
//!
//! [`lexer`] cuts the text into tokens, [`expr`], [`selector`] and [`duration`] build the tree by precedence climbing,
//! [`check`] verifies types and arity. An error names the place, what was found and what would fit, in Prometheus'
//! words. Recursion is bounded: nesting by [`MAX_NESTING`], the height of the tree (long chains of operators) by
//! [`MAX_HEIGHT`], so that whatever walks a tree may recurse.

mod check;
mod duration;
mod expr;
mod lexer;
pub(crate) mod number;
pub(crate) mod quote;
mod selector;
#[cfg(test)]
mod tests;
mod token;

use std::fmt;

use model::{Labels, Matcher};

use crate::ast::Expr;
use crate::span::{LineColumn, Span};
use expr::Parser;

/// Deepest nesting of parentheses, calls and signs.
pub(crate) const MAX_NESTING: usize = 250;

/// Highest tree: each operator of a chain such as `a + b + c` adds one.
pub(crate) const MAX_HEIGHT: usize = 1000;

/// Longest text of a query in bytes.
pub(crate) const MAX_TEXT_LEN: usize = 16 << 20;

/// Which parts of the language are allowed. The default is what a server allows when no feature is switched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParserOptions {
    /// Experimental functions and aggregations: `info`, `limitk`, `mad_over_time`, …
    pub experimental_functions: bool,
    /// Arithmetic in durations: `[5m * 2]`, `offset (step() / 2)`.
    pub duration_expressions: bool,
    /// `anchored` and `smoothed`.
    pub extended_range_selectors: bool,
    /// `fill`, `fill_left`, `fill_right`.
    pub fill_modifiers: bool,
}

impl Default for ParserOptions {
    fn default() -> Self {
        Self {
            experimental_functions: false,
            duration_expressions: true,
            extended_range_selectors: false,
            fill_modifiers: false,
        }
    }
}

impl ParserOptions {
    /// Everything allowed.
    pub fn all() -> Self {
        Self {
            experimental_functions: true,
            duration_expressions: true,
            extended_range_selectors: true,
            fill_modifiers: true,
        }
    }
}

/// Something wrong in the text of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub span: Span,
    /// What was found, and what would fit.
    pub message: String,
}

/// A query could not be parsed. Prints as Prometheus does: `1:5: parse error: unexpected …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// What is wrong; never empty, the first is the one printed.
    pub problems: Vec<Problem>,
    /// Line and column of the first problem.
    pub position: LineColumn,
    /// The line of the first problem with a caret under the place.
    excerpt: String,
}

impl ParseError {
    fn new(text: &str, mut problems: Vec<Problem>) -> Self {
        if problems.is_empty() {
            problems.push(Problem { span: Span::default(), message: "unexpected error".to_owned() });
        }
        let position = problems[0].span.line_column(text);
        let line = text.lines().nth(position.line - 1).unwrap_or("");
        let before = line.get(..position.column - 1).map_or(0, |b| b.chars().count());
        // A long line is cut to what surrounds the place.
        let skip = before.saturating_sub(60);
        let shown: String = line.chars().skip(skip).take(120).map(|c| if c == '\t' { ' ' } else { c }).collect();
        let excerpt = format!("{shown}\n{}^", " ".repeat(before - skip));
        Self { problems, position, excerpt }
    }

    /// The first message, without its place.
    pub fn message(&self) -> &str {
        &self.problems[0].message
    }

    /// The line of the first problem and, below it, a caret under the place.
    pub fn excerpt(&self) -> &str {
        &self.excerpt
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: parse error: {}", self.position, self.message())
    }
}

impl std::error::Error for ParseError {}

/// Parses and checks a query.
///
/// # Errors
/// When the text is no query, does not fit together (types, numbers of arguments), uses a part of the language that
/// `options` do not allow, or exceeds a limit.
pub fn parse(text: &str, options: &ParserOptions) -> Result<Expr, ParseError> {
    let mut parser = Parser::new(text, options)?;
    let mut expr = parser.whole_expr();
    if let Some(expr) = expr.as_mut().filter(|_| parser.problems.is_empty()) {
        check::check(expr, &mut parser.problems);
    }
    parser.finish(text, expr)
}

/// Parses a selector such as `up{job="node"}` into its matchers, as the series API takes them.
///
/// # Errors
/// When the text is no selector. A selector that matches everything is accepted here.
pub fn parse_selector(text: &str) -> Result<Vec<Matcher>, ParseError> {
    let mut parser = Parser::new(text, &ParserOptions::default())?;
    let selector = parser.whole_selector();
    parser.finish(text, selector.map(|s| s.matchers))
}

/// Parses a series such as `up{job="node"}` or `{"a.b", "c d"="e"}` into its label set.
///
/// # Errors
/// When the text is no series.
pub fn parse_metric(text: &str) -> Result<Labels, ParseError> {
    let mut parser = Parser::new(text, &ParserOptions::default())?;
    let labels = parser.whole_metric();
    parser.finish(text, labels)
}

/// As [`parse_metric`] for the beginning of `text`; returns where the series ends.
pub(crate) fn parse_metric_prefix(text: &str) -> Result<(Labels, usize), ParseError> {
    let end = metric_end(text);
    parse_metric(&text[..end]).map(|labels| (labels, end))
}

/// Where a series at the beginning of a text ends: after its braces, else before the first blank.
fn metric_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = bytes.iter().position(|b| matches!(b, b' ' | b'\t' | b'{')).unwrap_or(bytes.len());
    if let Some(brace) = bytes[at..].iter().position(|b| !matches!(b, b' ' | b'\t'))
        && bytes[at + brace] == b'{'
        && (brace == 0 || !text[at + brace..].starts_with("{{"))
    {
        at += brace + 1;
        let mut quote = None;
        while let Some(b) = bytes.get(at) {
            at += 1;
            match (quote, b) {
                (None, b'"' | b'\'' | b'`') => quote = Some(*b),
                (None, b'}') => return at,
                (Some(b'"' | b'\''), b'\\') => at += 1,
                (Some(q), b) if q == *b => quote = None,
                _ => {}
            }
        }
        return bytes.len();
    }
    at
}
