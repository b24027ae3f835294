//! Places in the text of a query.

/// A half-open byte range in the text of a query.
#[derive(Clone, Copy, Debug, Default)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

/// Where an expression stands never decides whether it equals another.
impl PartialEq for Span {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Span {}

impl Span {
    pub(crate) fn new(start: usize, end: usize) -> Self {
        // Queries are at most 128 KiB.
        Self { start: start as u32, end: end as u32 }
    }

    /// From the beginning of this span to the end of `last`.
    pub(crate) fn to(self, last: Self) -> Self {
        Self { start: self.start, end: last.end }
    }
}

/// Line and column, from 1, of byte `at`; columns count characters. The end of an empty text is at line 0, column 0.
pub(crate) fn line_column(text: &str, at: usize) -> (u32, u32) {
    if text.is_empty() {
        return (0, 0);
    }
    let before = text.get(..at).unwrap_or(text);
    let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    (line as u32, column as u32)
}

#[cfg(test)]
mod tests {
    use super::line_column;

    #[test]
    fn counts_characters() {
        let text = "é |=\n x";
        for (at, want) in [(0, (1, 1)), (2, (1, 2)), (6, (2, 1)), (7, (2, 2)), (8, (2, 3)), (99, (2, 3))] {
            assert_eq!(line_column(text, at), want);
        }
        assert_eq!(line_column("", 0), (0, 0));
    }
}
