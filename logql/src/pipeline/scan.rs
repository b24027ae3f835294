//! The line filters at the beginning of a pipeline, over all lines of a unit at once.
//!
//! Where one of them needs a certain text, the whole buffer is searched for it and only lines around hits are looked at.

use model::LogColumns;

use super::stages::line_filter::{LineTest, Search};

/// The leading line filters of a pipeline.
#[derive(Clone, Default)]
pub(crate) struct Scanner {
    search: Option<Search>,
    /// What is left to test of a line that the search found.
    after_search: Vec<LineTest>,
    tests: Vec<LineTest>,
}

impl Scanner {
    pub(crate) fn new(tests: Vec<LineTest>) -> Self {
        let mut best: Option<(usize, usize, Search)> = None;
        for (index, test) in tests.iter().enumerate() {
            if let Some(search) = test.search() {
                let strength = search.strength();
                if best.as_ref().is_none_or(|(_, known, _)| strength > *known) {
                    best = Some((index, strength, search));
                }
            }
        }
        let Some((index, _, search)) = best else {
            return Self { search: None, after_search: Vec::new(), tests };
        };
        let mut after_search = tests.clone();
        if search.exact {
            after_search.remove(index);
        }
        Self { search: Some(search), after_search, tests }
    }

    /// Whether every line passes.
    pub(crate) fn is_empty(&self) -> bool {
        self.tests.is_empty()
    }

    /// Replaces `rows` by the lines that pass, ascending.
    pub(crate) fn rows(&self, columns: &LogColumns, rows: &mut Vec<u32>) {
        rows.clear();
        let count = columns.len() as u32;
        if self.tests.is_empty() {
            rows.extend(0..count);
            return;
        }
        match &self.search {
            Some(search) if in_order(columns) => self.search_rows(search, columns, rows),
            _ => rows.extend((0..count).filter(|row| passes(&self.tests, columns.line(*row as usize)))),
        }
    }

    fn search_rows(&self, search: &Search, columns: &LogColumns, rows: &mut Vec<u32>) {
        let text = columns.text.as_str();
        let lines = &columns.lines;
        let mut row = 0;
        let mut at = lines.first().map_or(0, |line| line.0 as usize);
        while let Some((start, end)) = search.find(text, at) {
            // The line in which the hit begins; hits in metadata and across two lines are none.
            row += lines[row..].partition_point(|line| line.1 as usize <= start);
            let Some(line) = lines.get(row) else { return };
            let (line_start, line_end) = (line.0 as usize, line.1 as usize);
            if start < line_start || end > line_end {
                at = if start < line_start { line_start } else { start + 1 };
                while !text.is_char_boundary(at) {
                    at += 1;
                }
                continue;
            }
            if passes(&self.after_search, &text[line_start..line_end]) {
                rows.push(row as u32);
            }
            at = line_end;
            row += 1;
            if row >= lines.len() {
                return;
            }
        }
    }
}

fn passes(tests: &[LineTest], line: &str) -> bool {
    tests.iter().all(|test| test.test(line))
}

/// Whether the lines lie one behind the other in the text.
fn in_order(columns: &LogColumns) -> bool {
    columns.lines.is_sorted_by(|a, b| a.1 <= b.0) && columns.lines.iter().all(|line| line.0 <= line.1)
}
