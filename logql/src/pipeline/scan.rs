//! The line filters at the beginning of a pipeline, over all lines of a unit at once.
//!
//! Where one of them needs a certain text, the whole buffer is searched for it and only lines around hits are looked at.

use model::LogColumns;

use super::search::Search;
use super::stages::line_filter::LineTest;

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
        let mut best: Option<(usize, Search, bool)> = None;
        for (index, test) in tests.iter().enumerate() {
            if let Some((search, exact)) = test.search()
                && best.as_ref().is_none_or(|(_, known, _)| search.min_len() > known.min_len())
            {
                best = Some((index, search, exact));
            }
        }
        let Some((index, search, exact)) = best else {
            return Self { search: None, after_search: Vec::new(), tests };
        };
        let mut after_search = tests.clone();
        if exact {
            after_search.remove(index);
        }
        Self { search: Some(search), after_search, tests }
    }

    /// Whether every line passes.
    pub(crate) fn is_empty(&self) -> bool {
        self.tests.is_empty()
    }

    /// Replaces `rows` by the lines that pass, ascending. Lines that `other` does not find may be left out.
    pub(crate) fn rows(&self, columns: &LogColumns, other: Option<&Search>, rows: &mut Vec<u32>) {
        rows.clear();
        let count = columns.len() as u32;
        match (&self.search, other) {
            (Some(search), _) if in_order(columns) => search_rows(search, &self.after_search, columns, rows),
            (None, Some(search)) if in_order(columns) => search_rows(search, &self.tests, columns, rows),
            _ if self.tests.is_empty() => rows.extend(0..count),
            _ => rows.extend((0..count).filter(|row| passes(&self.tests, columns.line(*row as usize)))),
        }
    }
}

/// Looks only at lines around hits.
fn search_rows(search: &Search, tests: &[LineTest], columns: &LogColumns, rows: &mut Vec<u32>) {
    let text = columns.text.as_str();
    let lines = &columns.lines;
    let mut row = 0;
    let mut at = lines.first().map_or(0, |line| line.0 as usize);
    while let Some((start, end)) = search.find(text, at) {
        // The line in which the hit begins; hits in metadata and across two lines are none.
        row += lines_before(&lines[row..], start);
        let Some(line) = lines.get(row) else { return };
        let (line_start, line_end) = (line.0 as usize, line.1 as usize);
        if start < line_start {
            at = line_start;
            continue;
        }
        let line = &text[line_start..line_end];
        // A hit that goes beyond the line may hide another one in it.
        if (end <= line_end || search.is_in(line)) && passes(tests, line) {
            rows.push(row as u32);
        }
        at = line_end;
        row += 1;
        if row >= lines.len() {
            return;
        }
    }
}

/// How many of the first lines end before an offset. Most often few do: they are looked at before all of them are.
fn lines_before(lines: &[(u32, u32)], offset: usize) -> usize {
    let before = |line: &(u32, u32)| line.1 as usize <= offset;
    let mut bound = 4;
    while lines.get(bound).is_some_and(before) {
        bound *= 4;
    }
    lines[..bound.min(lines.len())].partition_point(before)
}

fn passes(tests: &[LineTest], line: &str) -> bool {
    tests.iter().all(|test| test.test(line))
}

/// Whether the lines lie one behind the other in the text.
fn in_order(columns: &LogColumns) -> bool {
    columns.lines.is_sorted_by(|a, b| a.1 <= b.0) && columns.lines.iter().all(|line| line.0 <= line.1)
}
