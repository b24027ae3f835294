//! Tokens to a checked syntax tree, by recursive descent and precedence climbing.
//!
//! [`log`] reads selectors and pipelines, [`filter`] conditions on labels, [`metric`] everything with numbers, [`check`]
//! compiles patterns and tests parameters. An error names the place, what was found and, where only a few tokens fit,
//! what would fit, in the reference's words. Some errors the reference finds only after it has read the whole text; they
//! are collected ([`Parser::later`]) and the outermost, leftmost one is given if nothing else is wrong.
//!
//! Recursion is bounded by [`MAX_NESTING`], the height of the tree by [`MAX_HEIGHT`].

mod check;
mod filter;
mod log;
mod metric;
#[cfg(test)]
mod tests;

use model::{MatchOp, Matcher};

use super::ast::{Expr, Span};
use super::error::ParseError;
use super::lexer::{Lexeme, Lexer};
use super::token::Token;

/// Longest text of a query in bytes (128 KiB); the text has to be shorter.
pub const MAX_TEXT_LEN: usize = 131_072;

/// Deepest nesting of parentheses and functions.
pub const MAX_NESTING: usize = 200;

/// Highest tree: each operator of a chain such as `a + b + c` adds one.
pub const MAX_HEIGHT: usize = 500;

const NO_MATCHER: &str = "queries require at least one regexp or equality matcher that does not have an empty-compatible value. For instance, app=~\".*\" does not meet this requirement, but app=~\".+\" will";

/// Which parts of the language are allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ParseOptions {
    /// What the reference does not have: `| distinct`, `| dedup`, `json --arrays`, `count_distinct(…)`, subqueries.
    pub extensions: bool,
    /// Allow selectors such as `{}` and `{app=~".*"}`, which touch every stream.
    pub any_selector: bool,
}

/// Reads a query.
///
/// # Errors
/// When the text is not one, is longer than [`MAX_TEXT_LEN`] or nests deeper than [`MAX_NESTING`].
pub fn parse(text: &str, options: ParseOptions) -> Result<Expr, ParseError> {
    if text.len() >= MAX_TEXT_LEN {
        return Err(ParseError::of(0, format!("input size too long ({} > {MAX_TEXT_LEN})", text.len())));
    }
    let mut parser = Parser::new(text, options)?;
    let expr = parser.expression(0)?.expr;
    parser.expect_end()?;
    if let Expr::Log(log) = &expr {
        parser.require_matcher(&log.selector, log.span);
    }
    parser.first_late_error().map_or(Ok(expr), Err)
}

/// Reads a selector alone: `{app="x"}`.
///
/// # Errors
/// When the text is not a query, or one that has more than matchers.
pub fn parse_matchers(text: &str, options: ParseOptions) -> Result<Vec<Matcher>, MatchersError> {
    match parse(text, options)? {
        Expr::Log(log) if log.stages.is_empty() => Ok(log.selector.matchers),
        _ => Err(MatchersError::NotMatchers),
    }
}

/// Why [`parse_matchers`] failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MatchersError {
    /// Not a query.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// A query with stages, or one of numbers.
    #[error("only label matchers are supported")]
    NotMatchers,
}

/// A node with the height of its tree.
struct Sized {
    expr: Expr,
    height: usize,
}

struct Parser<'a> {
    text: &'a str,
    lexer: Lexer<'a>,
    next: Lexeme,
    options: ParseOptions,
    depth: usize,
    late: Vec<(Span, ParseError)>,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, options: ParseOptions) -> Result<Self, ParseError> {
        let mut lexer = Lexer::new(text, options.extensions);
        let next = lexer.next()?;
        Ok(Self { text, lexer, next, options, depth: 0, late: Vec::new() })
    }

    fn peek(&self) -> &Token {
        &self.next.token
    }

    fn advance(&mut self) -> Result<Lexeme, ParseError> {
        let next = self.lexer.next()?;
        Ok(std::mem::replace(&mut self.next, next))
    }

    /// Where the next token stands.
    fn here(&self) -> Span {
        self.next.span
    }

    /// The error for the next token; `expected` are the names of the tokens that would fit, if they are at most four.
    fn unexpected(&self, expected: &[&str]) -> ParseError {
        let mut message = format!("syntax error: unexpected {}", self.next.token.name());
        for (i, name) in expected.iter().enumerate() {
            message.push_str(if i == 0 { ", expecting " } else { " or " });
            message.push_str(name);
        }
        ParseError::at(self.text, self.next.span.start as usize, self.next.line_lost, message)
    }

    /// Takes the next token if it is `token`.
    fn accept(&mut self, token: &Token) -> Result<Option<Span>, ParseError> {
        if self.peek() == token { Ok(Some(self.advance()?.span)) } else { Ok(None) }
    }

    /// Takes the next token, which must be `token`, the only one that fits.
    fn expect(&mut self, token: &Token) -> Result<Span, ParseError> {
        match self.accept(token)? {
            Some(span) => Ok(span),
            None => Err(self.unexpected(&[token.name()])),
        }
    }

    fn expect_end(&mut self) -> Result<(), ParseError> {
        if self.peek() == &Token::End { Ok(()) } else { self.refuse_unwrap() }
    }

    fn expect_identifier(&mut self, expected: &[&str]) -> Result<(String, Span), ParseError> {
        if !matches!(self.peek(), Token::Identifier(_)) {
            return Err(self.unexpected(expected));
        }
        let lexeme = self.advance()?;
        match lexeme.token {
            Token::Identifier(name) => Ok((name, lexeme.span)),
            _ => Ok((String::new(), lexeme.span)),
        }
    }

    fn expect_string(&mut self, expected: &[&str]) -> Result<(String, Span), ParseError> {
        if !matches!(self.peek(), Token::String(_)) {
            return Err(self.unexpected(expected));
        }
        let lexeme = self.advance()?;
        match lexeme.token {
            Token::String(text) => Ok((text, lexeme.span)),
            _ => Ok((String::new(), lexeme.span)),
        }
    }

    fn expect_number(&mut self) -> Result<(String, Span), ParseError> {
        if !matches!(self.peek(), Token::Number(_)) {
            return Err(self.unexpected(&["NUMBER"]));
        }
        let lexeme = self.advance()?;
        match lexeme.token {
            Token::Number(text) => Ok((text, lexeme.span)),
            _ => Ok((String::new(), lexeme.span)),
        }
    }

    /// Runs `read` one level deeper.
    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, ParseError>) -> Result<T, ParseError> {
        self.depth += 1;
        if self.depth > MAX_NESTING {
            return Err(self.too_deep());
        }
        let result = read(self);
        self.depth -= 1;
        result
    }

    fn too_deep(&self) -> ParseError {
        ParseError::at(self.text, self.next.span.start as usize, false, "query is nested too deeply")
    }

    /// Notes an error that counts only if the rest of the text is right.
    fn later(&mut self, span: Span, message: impl Into<String>) {
        self.late.push((span, ParseError::of(span.start as usize, message)));
    }

    /// Outermost before inner, left before right.
    fn first_late_error(&mut self) -> Option<ParseError> {
        self.late.sort_by_key(|(span, _)| (span.start, std::cmp::Reverse(span.end)));
        (!self.late.is_empty()).then(|| self.late.swap_remove(0).1)
    }

    /// The operator of a matcher, if it is next.
    fn match_op(&self) -> Option<MatchOp> {
        Some(match self.peek() {
            Token::Equal => MatchOp::Equal,
            Token::Binary(super::ast::BinaryOp::NotEqual) => MatchOp::NotEqual,
            Token::RegexMatch => MatchOp::Regex,
            Token::NotRegexMatch => MatchOp::NotRegex,
            _ => return None,
        })
    }
}
