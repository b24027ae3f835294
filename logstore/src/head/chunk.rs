//! The open chunk of a stream: entries in the order of their arrival, in memory, read while it is written.
//!
//! A [`Chunk`] holds [`Part`]s of some hundred KiB of text; a part is what a selection calls a unit. Parts only grow, at the
//! end, so a reader that remembers how many entries a part had sees those and no others. Everything sits behind one
//! lock per chunk that is held while lines are copied out, never while a device works.
//!
//! Invariant: no two entries of a chunk have the same timestamp, line and metadata.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use model::LogColumns;
use model::log::MetadataPair;
use parking_lot::RwLock;

use super::symbols::Symbols;
use crate::needles::{Needles, line_bytes};
use crate::segment::Shortening;

/// A part takes no more entries once its lines have this many bytes.
const PART_BYTES: usize = 256 << 10;
/// … or once it has this many entries.
const PART_ENTRIES: usize = 32 << 10;
/// Entries with the newest timestamp that are compared one by one before a table of all entries is made.
const SCAN_EQUAL: usize = 16;

/// Entries of one stream that belong to one generation of the head.
#[derive(Debug)]
pub(crate) struct Chunk {
    /// The generation of the head.
    pub(crate) generation: u64,
    data: RwLock<ChunkData>,
}

#[derive(Debug)]
struct ChunkData {
    parts: Vec<Part>,
    symbols: Symbols,
    max_ns: i64,
    /// No entry is older than one before it.
    in_order: bool,
    /// Every entry by hash, once an entry came that may be a duplicate of another.
    seen: Option<HashTable<Seen>>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    hash: u64,
    part: u32,
    row: u32,
}

#[derive(Debug)]
struct Part {
    timestamps: Vec<i64>,
    line_ends: Vec<u32>,
    text: String,
    /// For each entry the end of its pairs; empty while no entry has any.
    metadata_ends: Vec<u32>,
    /// Numbers of name and value.
    metadata: Vec<(u32, u32)>,
    min_ns: i64,
    max_ns: i64,
    in_order: bool,
}

/// What a selection needs to know about a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PartInfo {
    pub(crate) min_ns: i64,
    pub(crate) max_ns: i64,
    pub(crate) entries: usize,
    pub(crate) bytes: u64,
}

/// Figures of a chunk.
#[cfg(test)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ChunkInfo {
    pub(crate) min_ns: i64,
    pub(crate) max_ns: i64,
    pub(crate) entries: u64,
    /// Bytes of the lines.
    pub(crate) bytes: u64,
    /// Pairs of structured metadata.
    pub(crate) pairs: u64,
    /// Bytes of the distinct names and values of structured metadata.
    pub(crate) symbol_bytes: u64,
}

/// Which entries a reader wants.
#[derive(Debug)]
pub(crate) struct ReadSpec<'a> {
    pub(crate) start_ns: i64,
    pub(crate) end_ns: i64,
    pub(crate) needles: &'a Needles,
    pub(crate) skip_lines: bool,
    pub(crate) skip_metadata: bool,
    /// What of lines in segments is put together.
    pub(crate) shorten: Option<&'a Shortening>,
}

static EVERYTHING: Needles = Needles::none();

impl ReadSpec<'_> {
    /// Every entry, whole.
    pub(crate) fn everything() -> ReadSpec<'static> {
        ReadSpec {
            start_ns: i64::MIN,
            end_ns: i64::MAX,
            needles: &EVERYTHING,
            skip_lines: false,
            skip_metadata: false,
            shorten: None,
        }
    }

    /// Every entry of one moment, whole.
    pub(crate) fn moment(timestamp_ns: i64) -> ReadSpec<'static> {
        ReadSpec { start_ns: timestamp_ns, end_ns: timestamp_ns.saturating_add(1), ..ReadSpec::everything() }
    }

    pub(crate) fn covers(&self, min_ns: i64, max_ns: i64) -> bool {
        self.start_ns <= min_ns && (max_ns < self.end_ns || self.end_ns == i64::MAX)
    }

    pub(crate) fn wants(&self, timestamp_ns: i64) -> bool {
        self.start_ns <= timestamp_ns && (timestamp_ns < self.end_ns || self.end_ns == i64::MAX)
    }
}

impl Chunk {
    pub(crate) fn new(generation: u64) -> Self {
        let data =
            ChunkData { parts: Vec::new(), symbols: Symbols::default(), max_ns: i64::MIN, in_order: true, seen: None };
        Self { generation, data: RwLock::new(data) }
    }

    /// Adds the entries that are not there yet and not `elsewhere` (asked only for entries that are not newer than all before).
    /// Calls `stored` for each added entry.
    pub(crate) fn insert<'a>(
        &self,
        entries: impl Iterator<Item = (i64, &'a str, &'a [(&'a str, &'a str)])>,
        mut elsewhere: impl FnMut(i64, &str, &[(&str, &str)]) -> bool,
        mut stored: impl FnMut(i64, &str, &[(&str, &str)]),
    ) {
        let mut data = self.data.write();
        for (timestamp_ns, line, metadata) in entries {
            let duplicate = timestamp_ns <= data.max_ns && data.contains(timestamp_ns, line, metadata);
            if duplicate || elsewhere(timestamp_ns, line, metadata) {
                continue;
            }
            data.append(timestamp_ns, line, metadata);
            stored(timestamp_ns, line, metadata);
        }
    }

    /// Whether the chunk holds this very entry.
    pub(crate) fn contains(&self, timestamp_ns: i64, line: &str, metadata: &[(&str, &str)]) -> bool {
        if timestamp_ns > self.data.read().max_ns {
            return false;
        }
        self.data.write().contains(timestamp_ns, line, metadata)
    }

    #[cfg(test)]
    pub(crate) fn info(&self) -> ChunkInfo {
        let data = self.data.read();
        let mut info = ChunkInfo {
            min_ns: i64::MAX,
            max_ns: data.max_ns,
            symbol_bytes: data.symbols.text_bytes() as u64,
            ..ChunkInfo::default()
        };
        for part in &data.parts {
            info.min_ns = info.min_ns.min(part.min_ns);
            info.entries += part.timestamps.len() as u64;
            info.bytes += part.text.len() as u64;
            info.pairs += part.metadata.len() as u64;
        }
        info
    }

    /// Figures of the parts at this moment.
    pub(crate) fn parts(&self) -> Vec<PartInfo> {
        let data = self.data.read();
        data.parts
            .iter()
            .map(|part| PartInfo {
                min_ns: part.min_ns,
                max_ns: part.max_ns,
                entries: part.timestamps.len(),
                bytes: part.text.len() as u64,
            })
            .collect()
    }

    /// Replaces `out` by the wanted ones of the first `entries` entries of a part, oldest first, equal timestamps as they came.
    pub(crate) fn read_part(&self, part: usize, entries: usize, spec: &ReadSpec<'_>, out: &mut LogColumns) {
        out.clear();
        let data = self.data.read();
        let Some(part) = data.parts.get(part) else { return };
        part.read(&data.symbols, entries.min(part.timestamps.len()), spec, out);
    }

    /// Replaces `out` by the entries of the first `entries` of a part between each two neighbours of `edges_ns` (ascending).
    pub(crate) fn count_part(&self, part: usize, entries: usize, edges_ns: &[i64], out: &mut Vec<u64>) {
        out.clear();
        out.resize(edges_ns.len().saturating_sub(1), 0);
        let data = self.data.read();
        let Some(part) = data.parts.get(part) else { return };
        let timestamps = &part.timestamps[..entries.min(part.timestamps.len())];
        if part.in_order {
            let older = |edge: i64| timestamps.partition_point(|t| *t < edge);
            for (count, edges) in out.iter_mut().zip(edges_ns.windows(2)) {
                *count = older(edges[1]).saturating_sub(older(edges[0])) as u64;
            }
            return;
        }
        for timestamp in timestamps {
            let after = edges_ns.partition_point(|edge| edge <= timestamp);
            if let Some(count) = after.checked_sub(1).and_then(|interval| out.get_mut(interval)) {
                *count += 1;
            }
        }
    }

    /// Whether an entry of a part has structured metadata.
    pub(crate) fn has_metadata(&self, part: usize) -> bool {
        self.data.read().parts.get(part).is_some_and(|part| !part.metadata.is_empty())
    }

    /// Every entry of the chunk in `out` (emptied before), oldest first, equal timestamps as they came.
    pub(crate) fn read_all(&self, out: &mut LogColumns) {
        out.clear();
        let data = self.data.read();
        let spec = ReadSpec::everything();
        if data.in_order {
            for part in &data.parts {
                part.read(&data.symbols, part.timestamps.len(), &spec, out);
            }
            return;
        }
        let mut order: Vec<(i64, u32, u32)> = Vec::new();
        for (index, part) in data.parts.iter().enumerate() {
            order.extend(part.timestamps.iter().enumerate().map(|(row, t)| (*t, index as u32, row as u32)));
        }
        order.sort_unstable();
        for (_, part, row) in order {
            data.parts[part as usize].copy_row(&data.symbols, row as usize, &spec, out);
        }
    }
}

impl ChunkData {
    fn append(&mut self, timestamp_ns: i64, line: &str, metadata: &[(&str, &str)]) {
        let full = self.parts.last().is_none_or(|part| {
            !part.timestamps.is_empty()
                && (part.text.len() + line.len() > PART_BYTES || part.timestamps.len() >= PART_ENTRIES)
        });
        if full {
            self.parts.push(Part::new());
        }
        let number = self.parts.len() - 1;
        let part = &mut self.parts[number];
        part.append(&mut self.symbols, timestamp_ns, line, metadata);
        self.in_order &= timestamp_ns >= self.max_ns;
        self.max_ns = self.max_ns.max(timestamp_ns);
        if let Some(seen) = &mut self.seen {
            let hash = hash_entry(timestamp_ns, line, metadata.iter().copied());
            let row = part.timestamps.len() as u32 - 1;
            seen.insert_unique(hash, Seen { hash, part: number as u32, row }, |seen| seen.hash);
        }
    }

    fn contains(&mut self, timestamp_ns: i64, line: &str, metadata: &[(&str, &str)]) -> bool {
        if self.seen.is_none() {
            if self.in_order && timestamp_ns == self.max_ns {
                // The common case: several entries of one moment, each new.
                let last = self.parts.len() - 1;
                let part = &self.parts[last];
                let equal =
                    part.timestamps.iter().rev().take(SCAN_EQUAL + 1).take_while(|t| **t == timestamp_ns).count();
                if equal <= SCAN_EQUAL && (equal < part.timestamps.len() || last == 0) {
                    let rows = part.timestamps.len() - equal..part.timestamps.len();
                    return rows.into_iter().any(|row| part.is_entry(&self.symbols, row, timestamp_ns, line, metadata));
                }
            }
            self.build_seen();
        }
        let Some(seen) = &self.seen else { return false };
        let hash = hash_entry(timestamp_ns, line, metadata.iter().copied());
        let same = |seen: &Seen| {
            let part = &self.parts[seen.part as usize];
            seen.hash == hash && part.is_entry(&self.symbols, seen.row as usize, timestamp_ns, line, metadata)
        };
        seen.find(hash, same).is_some()
    }

    fn build_seen(&mut self) {
        let mut seen = HashTable::with_capacity(self.parts.iter().map(|p| p.timestamps.len()).sum());
        for (number, part) in self.parts.iter().enumerate() {
            for row in 0..part.timestamps.len() {
                let pairs = part.pairs(row).iter().map(|(n, v)| (self.symbols.get(*n), self.symbols.get(*v)));
                let hash = hash_entry(part.timestamps[row], part.line(row), pairs);
                seen.insert_unique(hash, Seen { hash, part: number as u32, row: row as u32 }, |seen| seen.hash);
            }
        }
        self.seen = Some(seen);
    }
}

fn hash_entry<'a>(timestamp_ns: i64, line: &str, metadata: impl Iterator<Item = (&'a str, &'a str)>) -> u64 {
    let mut hasher = FixedState::default().build_hasher();
    hasher.write_i64(timestamp_ns);
    hasher.write(line.as_bytes());
    for (name, value) in metadata {
        hasher.write(name.as_bytes());
        hasher.write(value.as_bytes());
    }
    hasher.finish()
}

impl Part {
    fn new() -> Self {
        Self {
            timestamps: Vec::new(),
            line_ends: Vec::new(),
            text: String::new(),
            metadata_ends: Vec::new(),
            metadata: Vec::new(),
            min_ns: i64::MAX,
            max_ns: i64::MIN,
            in_order: true,
        }
    }

    fn append(&mut self, symbols: &mut Symbols, timestamp_ns: i64, line: &str, metadata: &[(&str, &str)]) {
        self.in_order &= timestamp_ns >= self.max_ns;
        self.min_ns = self.min_ns.min(timestamp_ns);
        self.max_ns = self.max_ns.max(timestamp_ns);
        self.timestamps.push(timestamp_ns);
        self.text.push_str(line);
        self.line_ends.push(self.text.len() as u32);
        if !metadata.is_empty() || !self.metadata_ends.is_empty() {
            self.metadata_ends.resize(self.timestamps.len() - 1, self.metadata.len() as u32);
            self.metadata.extend(metadata.iter().map(|(name, value)| (symbols.intern(name), symbols.intern(value))));
            self.metadata_ends.push(self.metadata.len() as u32);
        }
    }

    fn line(&self, row: usize) -> &str {
        let start = if row == 0 { 0 } else { self.line_ends[row - 1] as usize };
        &self.text[start..self.line_ends[row] as usize]
    }

    fn pairs(&self, row: usize) -> &[(u32, u32)] {
        let end = self.metadata_ends.get(row).copied().unwrap_or(0) as usize;
        let start = if row == 0 { 0 } else { self.metadata_ends.get(row - 1).copied().unwrap_or(0) as usize };
        &self.metadata[start..end]
    }

    fn is_entry(
        &self,
        symbols: &Symbols,
        row: usize,
        timestamp_ns: i64,
        line: &str,
        metadata: &[(&str, &str)],
    ) -> bool {
        let pairs = self.pairs(row);
        self.timestamps[row] == timestamp_ns
            && line_bytes(self.text.as_bytes(), &self.line_ends, row) == line.as_bytes()
            && pairs.len() == metadata.len()
            && pairs
                .iter()
                .zip(metadata)
                .all(|((n, v), (name, value))| symbols.get(*n) == *name && symbols.get(*v) == *value)
    }

    fn read(&self, symbols: &Symbols, entries: usize, spec: &ReadSpec<'_>, out: &mut LogColumns) {
        if entries == 0 {
            return;
        }
        let timestamps = &self.timestamps[..entries];
        let (low, high) = if self.in_order && !spec.covers(self.min_ns, self.max_ns) {
            (timestamps.partition_point(|t| *t < spec.start_ns), timestamps.partition_point(|t| *t < spec.end_ns))
        } else {
            (0, entries)
        };
        if low >= high {
            return;
        }
        let mut rows = Vec::new();
        spec.needles.search(self.text.as_bytes(), &self.line_ends[..high], low, &mut rows);
        if !self.in_order {
            rows.retain(|row| spec.wants(timestamps[*row as usize]));
            rows.sort_by_key(|row| timestamps[*row as usize]);
        }
        for row in rows {
            self.copy_row(symbols, row as usize, spec, out);
        }
    }

    fn copy_row(&self, symbols: &Symbols, row: usize, spec: &ReadSpec<'_>, out: &mut LogColumns) {
        let line = if spec.skip_lines { "" } else { self.line(row) };
        let start = out.text.len() as u32;
        out.text.push_str(line);
        out.timestamps.push(self.timestamps[row]);
        out.lines.push((start, out.text.len() as u32));
        if spec.skip_metadata {
            return;
        }
        let pairs = self.pairs(row);
        if pairs.is_empty() && out.metadata_ends.is_empty() {
            return;
        }
        out.metadata_ends.resize(out.timestamps.len() - 1, out.metadata.len() as u32);
        for (name, value) in pairs {
            let name = append(out, symbols.get(*name));
            let value = append(out, symbols.get(*value));
            out.metadata.push(MetadataPair { name, value });
        }
        out.metadata_ends.push(out.metadata.len() as u32);
    }
}

fn append(out: &mut LogColumns, text: &str) -> (u32, u32) {
    let start = out.text.len() as u32;
    out.text.push_str(text);
    (start, out.text.len() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Entry<'a> = (i64, &'a str, &'a [(&'a str, &'a str)]);

    fn insert(chunk: &Chunk, entries: &[Entry<'_>]) -> usize {
        let mut stored = 0;
        chunk.insert(entries.iter().copied(), |_, _, _| false, |_, _, _| stored += 1);
        stored
    }

    fn lines(chunk: &Chunk, needles: &[&str], start_ns: i64, end_ns: i64) -> Vec<(i64, String)> {
        let needles = Needles::new(&needles.iter().map(|n| vec![(*n).to_owned()]).collect::<Vec<_>>());
        let spec =
            ReadSpec { start_ns, end_ns, needles: &needles, skip_lines: false, skip_metadata: false, shorten: None };
        let mut out = LogColumns::new();
        let mut all = Vec::new();
        for (index, part) in chunk.parts().iter().enumerate() {
            chunk.read_part(index, part.entries, &spec, &mut out);
            all.extend((0..out.len()).map(|i| (out.timestamps[i], out.line(i).to_owned())));
        }
        all
    }

    #[test]
    fn keeps_one_of_equal_entries_and_the_order_of_arrival() {
        let chunk = Chunk::new(1);
        let meta: &[(&str, &str)] = &[("k", "v")];
        assert_eq!(insert(&chunk, &[(5, "a", &[]), (5, "b", &[]), (5, "a", &[]), (5, "a", meta)]), 3);
        assert_eq!(insert(&chunk, &[(3, "c", &[]), (3, "c", &[]), (9, "d", &[]), (5, "b", &[]), (9, "d", &[])]), 2);
        let want: Vec<_> = [(3, "c"), (5, "a"), (5, "b"), (5, "a"), (9, "d")].map(|(t, l)| (t, l.to_owned())).into();
        assert_eq!(lines(&chunk, &[], i64::MIN, i64::MAX), want);
        assert_eq!(lines(&chunk, &["b"], 5, 6), [(5, "b".to_owned())]);
        let count = |entries: usize, edges: &[i64]| {
            let mut counts = Vec::new();
            chunk.count_part(0, entries, edges, &mut counts);
            counts
        };
        assert_eq!(count(5, &[3, 9]), [4]);
        assert_eq!(count(5, &[0, 3, 5, 5, 6, 20]), [0, 1, 0, 3, 1]);
        assert!(count(5, &[3]).is_empty());
        let mut out = LogColumns::new();
        chunk.read_all(&mut out);
        assert_eq!(out.len(), 5);
        assert_eq!(out.metadata(3).collect::<Vec<_>>(), [("k", "v")]);
        assert_eq!(out.metadata(4).count(), 0);
        let info = chunk.info();
        assert_eq!(
            (info.min_ns, info.max_ns, info.entries, info.bytes, info.pairs, info.symbol_bytes),
            (3, 9, 5, 5, 1, 2)
        );
    }

    #[test]
    fn many_equal_timestamps_over_several_parts() {
        let chunk = Chunk::new(1);
        let texts: Vec<String> = (0..40).map(|i| format!("{i} {}", "x".repeat(20_000))).collect();
        let entries: Vec<Entry<'_>> = texts.iter().map(|t| (7, t.as_str(), &[][..])).collect();
        assert_eq!(insert(&chunk, &entries), 40);
        assert_eq!(insert(&chunk, &entries), 0);
        assert!(chunk.parts().len() > 2);
        assert_eq!(lines(&chunk, &["39 x"], 0, 8).len(), 1);
    }

    #[test]
    fn a_reader_sees_only_what_was_there() {
        let chunk = Chunk::new(1);
        insert(&chunk, &[(1, "a", &[]), (2, "b", &[])]);
        let part = chunk.parts()[0];
        insert(&chunk, &[(0, "c", &[])]);
        let mut out = LogColumns::new();
        chunk.read_part(0, part.entries, &ReadSpec::everything(), &mut out);
        assert_eq!(out.timestamps, [1, 2]);
        let mut counts = Vec::new();
        chunk.count_part(0, part.entries, &[0, 2, 10], &mut counts);
        assert_eq!(counts, [1, 1]);
    }
}
