//! Needles: texts of which a wanted line has to contain some, and the search for them in a buffer of many lines.
//!
//! [`Needles`] is bound once per selection. The buffer is searched as one haystack; lines are looked at only around hits.

use memchr::memmem::Finder;

/// The bound form of `LogSelect::needles`: every line has to contain one text of each group.
#[derive(Debug, Default)]
pub(crate) struct Needles {
    groups: Vec<Vec<Finder<'static>>>,
}

impl Needles {
    pub(crate) fn new(needles: &[Vec<String>]) -> Self {
        let groups = needles
            .iter()
            // The empty text is in every line: its group says nothing.
            .filter(|group| !group.is_empty() && group.iter().all(|text| !text.is_empty()))
            .map(|group| group.iter().map(|text| Finder::new(text.as_bytes()).into_owned()).collect())
            .collect();
        Self { groups }
    }

    /// Lets every line pass.
    pub(crate) const fn none() -> Self {
        Self { groups: Vec::new() }
    }

    /// True when every line passes.
    pub(crate) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// The rows of `first..ends.len()` whose lines pass, ascending, into `rows`. Line `i` is `text[ends[i - 1]..ends[i]]`.
    pub(crate) fn search(&self, text: &[u8], ends: &[u32], first: usize, rows: &mut Vec<u32>) {
        rows.clear();
        let Some((group, others)) = self.groups.split_first() else {
            rows.extend(first as u32..ends.len() as u32);
            return;
        };
        for finder in group {
            search_one(finder, text, ends, first, rows);
        }
        if group.len() > 1 {
            rows.sort_unstable();
            rows.dedup();
        }
        rows.retain(|row| {
            let line = line_bytes(text, ends, *row as usize);
            others.iter().all(|group| group.iter().any(|finder| finder.find(line).is_some()))
        });
    }
}

/// Bytes of line `row`.
pub(crate) fn line_bytes<'a>(text: &'a [u8], ends: &[u32], row: usize) -> &'a [u8] {
    let start = if row == 0 { 0 } else { ends[row - 1] as usize };
    &text[start..ends[row] as usize]
}

fn search_one(finder: &Finder<'_>, text: &[u8], ends: &[u32], first: usize, rows: &mut Vec<u32>) {
    let len = finder.needle().len();
    let Some(last) = ends.last() else { return };
    let text = &text[..*last as usize];
    let mut row = first;
    let mut from = if first == 0 { 0 } else { ends[first - 1] as usize };
    while let Some(at) = text.get(from..).and_then(|rest| finder.find(rest)) {
        let start = from + at;
        row += ends[row..].partition_point(|end| *end as usize <= start);
        if start + len <= ends[row] as usize {
            rows.push(row as u32);
            from = ends[row] as usize;
            row += 1;
            if row == ends.len() {
                return;
            }
        } else {
            // It reaches into the next line.
            from = start + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn search(needles: &[&[&str]], lines: &[&str], first: usize) -> Vec<u32> {
        let needles: Vec<Vec<String>> = needles.iter().map(|g| g.iter().map(|t| (*t).to_owned()).collect()).collect();
        let mut ends = Vec::new();
        let mut text = String::new();
        for line in lines {
            text.push_str(line);
            ends.push(text.len() as u32);
        }
        let mut rows = Vec::new();
        Needles::new(&needles).search(text.as_bytes(), &ends, first, &mut rows);
        rows
    }

    #[test]
    fn finds_lines() {
        let lines = ["", "abc", "ab", "cab", "", "xabcabc", "c"];
        type Case<'a> = (&'a [&'a [&'a str]], usize, &'a [u32]);
        let cases: &[Case<'_>] = &[
            (&[], 5, &[5, 6]),
            (&[&["abc"]], 0, &[1, 5]),
            (&[&["abc"]], 2, &[5]),
            (&[&["ab"], &["c"]], 0, &[1, 3, 5]),
            (&[&["abc", "ca"]], 0, &[1, 3, 5]),
            (&[&["", "zzz"]], 5, &[5, 6]),
            (&[&["zzz"]], 0, &[]),
            (&[&["bca"]], 0, &[5]),
        ];
        for (needles, first, want) in cases {
            assert_eq!(search(needles, &lines, *first), *want, "{needles:?}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_contains(lines in prop::collection::vec("[ab]{0,6}", 0..20), needles in prop::collection::vec(prop::collection::vec("[ab]{1,3}", 1..3), 0..3)) {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let groups: Vec<Vec<&str>> = needles.iter().map(|g| g.iter().map(String::as_str).collect()).collect();
            let slices: Vec<&[&str]> = groups.iter().map(Vec::as_slice).collect();
            let want: Vec<u32> = (0..lines.len() as u32)
                .filter(|i| groups.iter().all(|g| g.iter().any(|t| lines[*i as usize].contains(t))))
                .collect();
            prop_assert_eq!(search(&slices, &lines, 0), want);
        }
    }
}
