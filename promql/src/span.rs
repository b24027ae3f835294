//! Places in the text of a query: byte spans, and lines and columns for people.

use std::fmt;

/// A half-open byte range in the text of a query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// The span `start..end`.
    pub fn new(start: u32, end: u32) -> Self {
        Self { start, end }
    }

    /// The span from the beginning of this one to the end of `last`.
    pub fn to(self, last: Self) -> Self {
        Self { start: self.start, end: last.end }
    }

    /// Line and column, from 1, of the first byte in `text`; columns count bytes, as Prometheus does.
    pub fn line_column(self, text: &str) -> LineColumn {
        let at = (self.start as usize).min(text.len());
        let before = &text.as_bytes()[..at];
        let line = before.iter().filter(|b| **b == b'\n').count() + 1;
        let column = at - before.iter().rposition(|b| *b == b'\n').map_or(0, |p| p + 1) + 1;
        LineColumn { line, column, known: !text.is_empty() }
    }
}

/// Line and column from 1; prints as `line:column`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineColumn {
    /// Line, from 1.
    pub line: usize,
    /// Byte in the line, from 1.
    pub column: usize,
    /// False for an empty text, in which no place exists.
    known: bool,
}

impl fmt::Display for LineColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.known { write!(f, "{}:{}", self.line, self.column) } else { f.write_str("unknown position") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_lines_and_bytes() {
        let text = "a +\n  b";
        for (start, want) in [(0, "1:1"), (2, "1:3"), (4, "2:1"), (6, "2:3"), (7, "2:4"), (99, "2:4")] {
            assert_eq!(Span::new(start, start).line_column(text).to_string(), want);
        }
        assert_eq!(Span::new(0, 0).line_column("").to_string(), "unknown position");
    }
}
