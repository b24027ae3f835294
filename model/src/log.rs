//! Entries of log streams as columns: how lines travel from a store to an evaluator.

use std::ops::Range;

/// Entries of one stream as columns. Line `i` is a range of one text buffer, so that a filter can search the whole buffer at once.
///
/// Reused between reads: a reader clears it first, so no allocation happens per line once it has grown.
#[derive(Clone, Debug, Default)]
pub struct LogColumns {
    /// Timestamps in ns.
    pub timestamps: Vec<i64>,
    /// Text of all lines and of all metadata.
    pub text: String,
    /// `(start, end)` of each line in `text`, one for each of `timestamps`.
    pub lines: Vec<(u32, u32)>,
    /// For each entry the end of its pairs in `metadata`; empty when no entry has structured metadata.
    pub metadata_ends: Vec<u32>,
    /// Pairs of all entries as ranges of `text`.
    pub metadata: Vec<MetadataPair>,
}

/// One pair of structured metadata: ranges of [`LogColumns::text`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetadataPair {
    /// Start and end of the name.
    pub name: (u32, u32),
    /// Start and end of the value.
    pub value: (u32, u32),
}

impl LogColumns {
    /// Empty columns.
    pub fn new() -> Self {
        Self::default()
    }

    /// Removes all entries, keeps the memory.
    pub fn clear(&mut self) {
        self.timestamps.clear();
        self.text.clear();
        self.lines.clear();
        self.metadata_ends.clear();
        self.metadata.clear();
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.timestamps.len()
    }

    /// True when there is no entry.
    pub fn is_empty(&self) -> bool {
        self.timestamps.is_empty()
    }

    /// Text of entry `index`; empty when out of bounds.
    #[inline]
    pub fn line(&self, index: usize) -> &str {
        self.lines.get(index).map_or("", |range| self.slice(*range))
    }

    /// Structured metadata of entry `index`, in the order in which it was sent.
    pub fn metadata(&self, index: usize) -> impl Iterator<Item = (&str, &str)> {
        let end = self.metadata_ends.get(index).copied().unwrap_or(0) as usize;
        let start = if index == 0 { 0 } else { self.metadata_ends.get(index - 1).copied().unwrap_or(0) as usize };
        self.metadata.get(start..end).unwrap_or(&[]).iter().map(|pair| (self.slice(pair.name), self.slice(pair.value)))
    }

    /// Adds an entry.
    pub fn push<'a>(&mut self, timestamp_ns: i64, line: &str, metadata: impl IntoIterator<Item = (&'a str, &'a str)>) {
        let range = self.append(line);
        self.timestamps.push(timestamp_ns);
        self.lines.push(range);
        let before = self.metadata.len();
        for (name, value) in metadata {
            let pair = MetadataPair { name: self.append(name), value: self.append(value) };
            self.metadata.push(pair);
        }
        if !self.metadata_ends.is_empty() || self.metadata.len() > before {
            // The first entry with metadata: those before it have none.
            self.metadata_ends.resize(self.timestamps.len() - 1, before as u32);
            self.metadata_ends.push(self.metadata.len() as u32);
        }
    }

    /// Keeps the entries at these places and removes all others; their text stays where it is.
    pub fn keep(&mut self, places: Range<usize>) {
        let end = places.end.min(self.len());
        let start = places.start.min(end);
        self.timestamps.truncate(end);
        self.timestamps.drain(..start);
        self.lines.truncate(end);
        self.lines.drain(..start);
        if self.metadata_ends.is_empty() {
            return;
        }
        let pairs_before = |entry: usize| match entry.checked_sub(1) {
            Some(last) => self.metadata_ends.get(last).map_or(0, |end| *end as usize),
            None => 0,
        };
        let (first, last) = (pairs_before(start), pairs_before(end));
        self.metadata.truncate(last);
        self.metadata.drain(..first);
        self.metadata_ends.truncate(if self.metadata.is_empty() { 0 } else { end });
        self.metadata_ends.drain(..start.min(self.metadata_ends.len()));
        self.metadata_ends.iter_mut().for_each(|end| *end -= first as u32);
    }

    fn append(&mut self, part: &str) -> (u32, u32) {
        let start = self.text.len() as u32;
        self.text.push_str(part);
        (start, self.text.len() as u32)
    }

    fn slice(&self, (start, end): (u32, u32)) -> &str {
        self.text.get(start as usize..end as usize).unwrap_or("")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_lines_and_metadata_apart() {
        let mut columns = LogColumns::new();
        columns.push(1, "a", []);
        columns.push(2, "bb", [("user", "kim"), ("seq", "7")]);
        columns.push(3, "", []);
        assert_eq!((0..3).map(|i| columns.line(i)).collect::<Vec<_>>(), ["a", "bb", ""]);
        assert_eq!(columns.metadata(0).count(), 0);
        assert_eq!(columns.metadata(1).collect::<Vec<_>>(), [("user", "kim"), ("seq", "7")]);
        assert_eq!(columns.metadata(2).count(), 0);
        for (from, to) in (0..=3).flat_map(|from| (from..=4).map(move |to| (from, to))) {
            let mut kept = columns.clone();
            kept.keep(from..to);
            let of = |columns: &LogColumns, i: usize| {
                let pairs = columns.metadata(i).map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>();
                (columns.timestamps[i], columns.line(i).to_owned(), pairs)
            };
            let want: Vec<_> = (from..to.min(3)).map(|i| of(&columns, i)).collect();
            assert_eq!((0..kept.len()).map(|i| of(&kept, i)).collect::<Vec<_>>(), want, "{from}..{to}");
            assert!(kept.metadata_ends.is_empty() || kept.metadata_ends.len() == kept.len());
        }
        columns.clear();
        columns.push(1, "x", []);
        assert!(columns.metadata_ends.is_empty());
        assert_eq!(columns.line(9), "");
    }
}
