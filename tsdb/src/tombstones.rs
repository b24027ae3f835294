//! Deletions: which series, and which of their times, are hidden from reads until a block is rewritten without them.
//!
//! A [`Deletion`] says it by matchers, as the caller did: it is small however many series it is about, and means the same in every block
//! and in the log. The head drops what is deleted at once; a block keeps its deletions in a file of its own ([`read_file`], [`file_text`])
//! and looks up the numbers of the series when it is opened ([`Tombstones`]).
#![doc = include_str!("../docs/format/tombstones.md")]

use model::{MatchOp, Matcher, SampleColumns};
use roaring::RoaringBitmap;

use crate::codec::bytes::{Cursor, Damaged, Decoded, put_prefixed, put_signed, put_varint};
use crate::samples::{Samples, align_starts};

/// Name of the file in a block's directory.
pub(crate) const TOMBSTONES_FILE: &str = "tombstones";

const MAGIC: [u8; 4] = *b"FSTS";
const VERSION: u16 = 1;

/// Most matchers of one deletion.
const MAX_MATCHERS: usize = 1_024;

const OPERATORS: [MatchOp; 4] = [MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex];

/// All samples in `[from_ms, to_ms]` of the series that satisfy all matchers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Deletion {
    pub(crate) matchers: Vec<Matcher>,
    pub(crate) from_ms: i64,
    pub(crate) to_ms: i64,
}

impl Deletion {
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        put_signed(out, self.from_ms);
        put_signed(out, self.to_ms);
        put_varint(out, self.matchers.len() as u64);
        for matcher in &self.matchers {
            out.push(OPERATORS.iter().position(|op| *op == matcher.op()).unwrap_or(0) as u8);
            put_prefixed(out, matcher.name().as_bytes());
            put_prefixed(out, matcher.value().as_bytes());
        }
    }

    pub(crate) fn read(cursor: &mut Cursor<'_>) -> Decoded<Self> {
        let (from_ms, to_ms) = (cursor.signed()?, cursor.signed()?);
        let count = cursor.length(MAX_MATCHERS, "a deletion has too many matchers")?;
        let mut matchers = Vec::new();
        for _ in 0..count {
            let op = OPERATORS.get(usize::from(cursor.u8()?)).ok_or(Damaged("a matcher's operator does not exist"))?;
            let mut text = || std::str::from_utf8(cursor.prefixed()?).map_err(|_| Damaged("a matcher is not UTF-8"));
            let (name, value) = (text()?, text()?);
            matchers.push(Matcher::new(*op, name, value).map_err(|_| Damaged("a matcher's expression is broken"))?);
        }
        Ok(Self { matchers, from_ms, to_ms })
    }
}

/// The content of a tombstones file.
pub(crate) fn file_text(deletions: &[Deletion]) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(&(deletions.len() as u32).to_le_bytes());
    let crc = crc32fast::hash(&out);
    out.extend_from_slice(&crc.to_le_bytes());
    let mut entry = Vec::new();
    for deletion in deletions {
        entry.clear();
        deletion.put(&mut entry);
        let start = out.len();
        out.extend_from_slice(&(entry.len() as u32).to_le_bytes());
        out.extend_from_slice(&entry);
        let crc = crc32fast::hash(&out[start..]);
        out.extend_from_slice(&crc.to_le_bytes());
    }
    out
}

/// Reads a tombstones file: the deletions that are whole, and where and how the rest is damaged.
pub(crate) fn read_file(bytes: &[u8]) -> (Vec<Deletion>, Option<(u64, Damaged)>) {
    let mut deletions = Vec::new();
    let mut cursor = Cursor::new(bytes);
    let header = (cursor.array(), cursor.array(), cursor.array());
    if header != (Ok(MAGIC), Ok(VERSION.to_le_bytes()), Ok([0u8, 0])) {
        return (deletions, Some((0, Damaged("the file does not begin with FSTS and a version that is known"))));
    }
    let covered = bytes.get(..12).unwrap_or_default();
    let count = match (cursor.u32(), cursor.u32()) {
        (Ok(count), Ok(crc)) if crc == crc32fast::hash(covered) => count,
        _ => return (deletions, Some((0, Damaged("the header is not the one that was written")))),
    };
    for _ in 0..count {
        let before = cursor.rest();
        match read_entry(&mut cursor, before) {
            Ok(deletion) => deletions.push(deletion),
            // Without its length nobody knows where the next one begins.
            Err(damaged) => return (deletions, Some(((bytes.len() - before.len()) as u64, damaged))),
        }
    }
    let rest = cursor.rest().len();
    (deletions, (rest > 0).then(|| ((bytes.len() - rest) as u64, Damaged("bytes follow on the last deletion"))))
}

fn read_entry(cursor: &mut Cursor<'_>, from: &[u8]) -> Decoded<Deletion> {
    let len = cursor.u32()? as usize;
    let mut entry = Cursor::new(cursor.take(len)?);
    let covered = from.get(..4 + len).unwrap_or_default();
    if cursor.u32()? != crc32fast::hash(covered) {
        return Err(Damaged("a deletion is not the one that was written"));
    }
    let deletion = Deletion::read(&mut entry)?;
    if entry.is_empty() { Ok(deletion) } else { Err(Damaged("a deletion is longer than it should be")) }
}

/// The deletions of a block, with the series they are about.
#[derive(Debug, Default)]
pub(crate) struct Tombstones {
    pub(crate) deletions: Vec<Deletion>,
    /// Series and closed range, for those deletions that meet any.
    stones: Vec<(RoaringBitmap, i64, i64)>,
}

impl Tombstones {
    /// Adds a deletion and the numbers of its series.
    pub(crate) fn push(&mut self, deletion: Deletion, series: RoaringBitmap) {
        if !series.is_empty() {
            self.stones.push((series, deletion.from_ms, deletion.to_ms));
        }
        self.deletions.push(deletion);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.stones.is_empty()
    }

    fn of(&self, series: u32) -> impl Iterator<Item = (i64, i64)> {
        self.stones.iter().filter(move |(ids, ..)| ids.contains(series)).map(|(_, from, to)| (*from, *to))
    }

    /// Takes what is deleted of a series out of columns, from `floats` and `histograms` on.
    pub(crate) fn apply(&self, series: u32, floats: usize, histograms: usize, out: &mut SampleColumns) {
        for (from_ms, to_ms) in self.of(series) {
            cut_floats(out, floats, from_ms, to_ms);
            let times = &out.histogram_timestamps[histograms..];
            let start = histograms + times.partition_point(|&t| t < from_ms);
            let end = histograms + times.partition_point(|&t| t <= to_ms);
            if start < end {
                if !out.histogram_start_timestamps.is_empty() {
                    out.histogram_start_timestamps.resize(out.histogram_timestamps.len(), 0);
                    out.histogram_start_timestamps.drain(start..end);
                }
                out.histogram_timestamps.drain(start..end);
                out.histograms.drain(start..end);
            }
        }
    }

    /// As [`Tombstones::apply`], for samples as they were sent.
    pub(crate) fn apply_native(&self, series: u32, floats: usize, histograms: usize, out: &mut Samples) {
        for (from_ms, to_ms) in self.of(series) {
            cut_floats(&mut out.floats, floats, from_ms, to_ms);
            let added = &out.histograms[histograms..];
            let start = histograms + added.partition_point(|(t, ..)| *t < from_ms);
            let end = histograms + added.partition_point(|(t, ..)| *t <= to_ms);
            out.histograms.drain(start..end.max(start));
        }
    }
}

/// Takes the floats of a closed range out, from `start` on.
pub(crate) fn cut_floats(out: &mut SampleColumns, start: usize, from_ms: i64, to_ms: i64) {
    let times = &out.timestamps[start..];
    let (from, to) = (times.partition_point(|&t| t < from_ms), times.partition_point(|&t| t <= to_ms));
    if from < to {
        align_starts(out);
        let gone = start + from..start + to;
        if !out.start_timestamps.is_empty() {
            out.start_timestamps.drain(gone.clone());
        }
        out.timestamps.drain(gone.clone());
        out.values.drain(gone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deletions() -> Vec<Deletion> {
        let matcher = |op, value| Matcher::new(op, "job", value).unwrap();
        vec![
            Deletion { matchers: vec![matcher(MatchOp::Equal, "a")], from_ms: -5, to_ms: i64::MAX },
            Deletion {
                matchers: vec![matcher(MatchOp::NotRegex, "b.*|ü"), matcher(MatchOp::NotEqual, "")],
                from_ms: i64::MIN,
                to_ms: 7,
            },
            Deletion { matchers: Vec::new(), from_ms: 1, to_ms: 1 },
        ]
    }

    #[test]
    fn a_file_comes_back_and_damage_costs_what_is_behind_it() {
        let all = deletions();
        let text = file_text(&all);
        assert_eq!(read_file(&text), (all.clone(), None));
        for len in 0..text.len() {
            let (found, damage) = read_file(&text[..len]);
            assert!(damage.is_some(), "cut to {len}");
            assert_eq!(found, all[..found.len()], "cut to {len}");
        }
        for at in 0..text.len() {
            let mut bad = text.clone();
            bad[at] ^= 0x40;
            let (found, damage) = read_file(&bad);
            assert!(damage.is_some(), "flipped at {at}");
            assert_eq!(found, all[..found.len()]);
        }
    }

    #[test]
    fn ranges_are_taken_out() {
        let mut columns = SampleColumns::new();
        (0..10).for_each(|t| columns.push(t, t as f64));
        let mut stones = Tombstones::default();
        let ids = RoaringBitmap::from_sorted_iter([3]).unwrap();
        stones.push(Deletion { matchers: Vec::new(), from_ms: 4, to_ms: 6 }, ids.clone());
        stones.push(Deletion { matchers: Vec::new(), from_ms: 9, to_ms: 100 }, ids);
        stones.apply(2, 0, 0, &mut columns);
        assert_eq!(columns.timestamps.len(), 10);
        stones.apply(3, 5, 0, &mut columns);
        assert_eq!(columns.timestamps, [0, 1, 2, 3, 4, 7, 8]);
        assert_eq!(columns.values.len(), 7);
    }
}
