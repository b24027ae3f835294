//! Alloy's configuration language: tokens, tree, values, evaluation.
//!
//! [`parse`] makes a tree of attributes and blocks with the place of each; [`eval`] turns an expression into a
//! [`Value`] with references answered by the caller; [`Args`] reads the evaluated attributes of a block by type and
//! refuses what nobody asked for. Errors are [`Diag`]s: file, line, column, message.

mod args;
mod eval;
mod lex;
mod parse;
mod stdlib;
mod value;

use std::fmt;
use std::sync::Arc;

pub(crate) use args::{ArgBlock, Args};
pub(crate) use eval::{Scope, eval, references};
pub(crate) use parse::parse;
pub(crate) use value::{Capsule, Value};

/// A place in a file, lines and columns from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pos {
    /// The file.
    pub file: Arc<str>,
    /// Line.
    pub line: u32,
    /// Column, in characters.
    pub column: u32,
}

impl fmt::Display for Pos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Diag {
    /// Where.
    pub pos: Pos,
    /// What.
    pub message: String,
}

impl Diag {
    /// A complaint at a place.
    pub(crate) fn new(pos: &Pos, message: impl Into<String>) -> Self {
        Self { pos: pos.clone(), message: message.into() }
    }

    /// The complaint with the line it is about and a mark below the column.
    pub(crate) fn render(&self, source: &str) -> String {
        let Some(line) = source.lines().nth(self.pos.line.saturating_sub(1) as usize) else { return self.to_string() };
        let blank: String = line
            .chars()
            .take(self.pos.column.saturating_sub(1) as usize)
            .map(|c| if c == '\t' { '\t' } else { ' ' })
            .collect();
        format!("{self}\n\n{} | {line}\n{} | {blank}^", self.pos.line, " ".repeat(self.pos.line.to_string().len()))
    }
}

impl fmt::Display for Diag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.pos, self.message)
    }
}

impl std::error::Error for Diag {}

/// Result of everything here.
pub(crate) type Result<T, E = Diag> = std::result::Result<T, E>;

/// Attributes and blocks in the order of the file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Body {
    /// `name = expression`
    pub attributes: Vec<Attribute>,
    /// `name "label" { … }`
    pub blocks: Vec<Block>,
}

/// `name = expression`
#[derive(Clone, Debug)]
pub(crate) struct Attribute {
    /// Name.
    pub name: String,
    /// Where the name stands.
    pub pos: Pos,
    /// Expression.
    pub value: Expr,
}

/// `name "label" { … }`
#[derive(Clone, Debug)]
pub(crate) struct Block {
    /// Name, its parts joined with dots: `loki.source.file`.
    pub name: String,
    /// Label, empty without one.
    pub label: String,
    /// Where the name stands.
    pub pos: Pos,
    /// Content.
    pub body: Body,
}

impl Block {
    /// Name and label: `loki.source.file.titan`.
    pub(crate) fn id(&self) -> String {
        if self.label.is_empty() { self.name.clone() } else { format!("{}.{}", self.name, self.label) }
    }
}

/// An expression and where it begins.
#[derive(Clone, Debug)]
pub(crate) struct Expr {
    /// Where.
    pub pos: Pos,
    /// What.
    pub kind: ExprKind,
}

/// Kinds of expressions.
#[derive(Clone, Debug)]
pub(crate) enum ExprKind {
    /// Number, string, boolean, null.
    Literal(Value),
    /// `[a, b]`
    Array(Vec<Expr>),
    /// `{ key = value }`
    Object(Vec<(String, Expr)>),
    /// A name.
    Name(String),
    /// `x.name`
    Field(Box<Expr>, String),
    /// `x[i]`
    Index(Box<Expr>, Box<Expr>),
    /// `f(a, b)`
    Call(Box<Expr>, Vec<Expr>),
    /// `-x`, `!x`
    Unary(char, Box<Expr>),
    /// `a + b`
    Binary(&'static str, Box<Expr>, Box<Expr>),
}

impl Expr {
    /// The parts of `a.b.c`; `None` for anything else.
    pub(crate) fn path(&self) -> Option<Vec<&str>> {
        match &self.kind {
            ExprKind::Name(name) => Some(vec![name]),
            ExprKind::Field(inner, name) => {
                let mut path = inner.path()?;
                path.push(name);
                Some(path)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
