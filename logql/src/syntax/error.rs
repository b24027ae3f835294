//! Errors of the parser.

use super::span::line_column;

/// A text is not a query. Displays in the reference's form: `parse error at line 1, col 7: syntax error: unexpected …`.
///
/// Line and column count from 1, columns in characters. They are 0 where the error belongs to no place, and the line is 0
/// behind tokens such as `|=` or `[5m]`, where the reference says so too; [`ParseError::offset`] is always right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", place(*line, *column))]
pub struct ParseError {
    /// Line from 1, or 0.
    pub line: u32,
    /// Column from 1, or 0.
    pub column: u32,
    /// Byte at which the error was found.
    pub offset: usize,
    /// What is wrong.
    pub message: String,
}

fn place(line: u32, column: u32) -> String {
    if line == 0 && column == 0 {
        return "parse error : ".into();
    }
    format!("parse error at line {line}, col {column}: ")
}

impl ParseError {
    /// An error that the reference gives without a place; `offset` is where the expression in question begins.
    pub(crate) fn of(offset: usize, message: impl Into<String>) -> Self {
        Self { line: 0, column: 0, offset, message: message.into() }
    }

    /// An error at a byte of the text.
    pub(crate) fn at(text: &str, offset: usize, line_lost: bool, message: impl Into<String>) -> Self {
        let (line, column) = line_column(text, offset);
        Self { line: if line_lost { 0 } else { line }, column, offset, message: message.into() }
    }

    /// The line of `text` in which the error stands, and a caret below the place.
    pub fn excerpt(&self, text: &str) -> String {
        let at = self.offset.min(text.len());
        let start = text[..at].rfind('\n').map_or(0, |p| p + 1);
        let line = text[start..].lines().next().unwrap_or("");
        let column = text[start..at].chars().count();
        format!("{line}\n{:column$}^", "")
    }
}
