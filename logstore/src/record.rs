//! What the store writes into its write-ahead log: one record for each push.
#![doc = include_str!("../docs/format/wal-record.md")]

use crate::bytes::{Cursor, Malformed, put_signed, put_slice, put_varint};
use crate::push::PushEntry;

/// Kind of a WAL record that holds a push.
pub(crate) const KIND_PUSH: u8 = 1;
const VERSION: u8 = 1;
const FLAG_METADATA: u8 = 1;

/// Begins a record of `streams` streams.
pub(crate) fn begin(out: &mut Vec<u8>, generation: u64, streams: usize) {
    out.clear();
    out.push(VERSION);
    put_varint(out, generation);
    put_varint(out, streams as u64);
}

/// Adds a stream with its entries (at least one).
pub(crate) fn put_stream<'a, 'b: 'a>(
    out: &mut Vec<u8>,
    labels: &str,
    entries: impl Iterator<Item = &'a PushEntry<'b>> + Clone,
) {
    put_slice(out, labels.as_bytes());
    put_varint(out, entries.clone().count() as u64);
    let has_metadata = entries.clone().any(|entry| !entry.metadata.is_empty());
    out.push(if has_metadata { FLAG_METADATA } else { 0 });
    let mut last = 0i64;
    for entry in entries.clone() {
        put_signed(out, entry.timestamp_ns.wrapping_sub(last));
        last = entry.timestamp_ns;
    }
    let mut bytes = 0;
    for entry in entries.clone() {
        put_varint(out, entry.line.len() as u64);
        bytes += entry.line.len();
    }
    if has_metadata {
        for entry in entries.clone() {
            put_varint(out, entry.metadata.len() as u64);
        }
        for (name, value) in entries.clone().flat_map(|entry| entry.metadata) {
            put_varint(out, name.len() as u64);
            put_varint(out, value.len() as u64);
            bytes += name.len() + value.len();
        }
    }
    put_varint(out, bytes as u64);
    out.reserve(bytes);
    for entry in entries.clone() {
        out.extend_from_slice(entry.line.as_bytes());
    }
    if has_metadata {
        for (name, value) in entries.flat_map(|entry| entry.metadata) {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(value.as_bytes());
        }
    }
}

/// One stream of a record.
#[derive(Debug, Default)]
pub(crate) struct RecordStream<'a> {
    /// Encoded label set.
    pub(crate) labels: &'a str,
    timestamps: Vec<i64>,
    lines: Vec<&'a str>,
    pair_ends: Vec<usize>,
    pairs: Vec<(&'a str, &'a str)>,
}

impl<'a> RecordStream<'a> {
    /// The entries in the order of their arrival.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (i64, &'a str, &[(&'a str, &'a str)])> {
        let pairs = |i: usize| {
            let end = self.pair_ends.get(i).copied().unwrap_or(0);
            let start = if i == 0 { 0 } else { self.pair_ends.get(i - 1).copied().unwrap_or(0) };
            &self.pairs[start..end]
        };
        self.timestamps.iter().zip(&self.lines).enumerate().map(move |(i, (t, line))| (*t, *line, pairs(i)))
    }
}

/// Reads the generation of a record and hands each of its streams to `visit`.
///
/// `wanted` decides by the generation whether the streams are read at all.
pub(crate) fn read<'a>(
    payload: &'a [u8],
    wanted: impl FnOnce(u64) -> bool,
    mut visit: impl FnMut(RecordStream<'a>),
) -> Result<(), Malformed> {
    let mut cursor = Cursor::new(payload);
    if cursor.byte()? != VERSION {
        return Err(Malformed { what: "record has a version this reader does not know", at: 0 });
    }
    let generation = cursor.varint()?;
    if !wanted(generation) {
        return Ok(());
    }
    for _ in 0..cursor.count()? {
        visit(read_stream(&mut cursor)?);
    }
    cursor.finish()
}

fn read_stream<'a>(cursor: &mut Cursor<'a>) -> Result<RecordStream<'a>, Malformed> {
    let labels = cursor.text()?;
    let entries = cursor.count()?;
    let flags = cursor.byte()?;
    if flags & !FLAG_METADATA != 0 {
        return Err(cursor.malformed("unknown flags"));
    }
    let mut timestamps = Vec::with_capacity(entries);
    let mut last = 0i64;
    for _ in 0..entries {
        last = last.wrapping_add(cursor.signed()?);
        timestamps.push(last);
    }
    let mut lengths = Vec::with_capacity(entries);
    for _ in 0..entries {
        lengths.push(cursor.count()?);
    }
    let mut pair_ends = Vec::new();
    let mut pair_lengths = Vec::new();
    if flags & FLAG_METADATA != 0 {
        let mut total = 0;
        for _ in 0..entries {
            total += cursor.count()?;
            pair_ends.push(total);
        }
        if total > cursor.remaining() {
            return Err(cursor.malformed("a count is greater than the bytes left"));
        }
        pair_lengths.reserve(total);
        for _ in 0..total {
            pair_lengths.push((cursor.count()?, cursor.count()?));
        }
    }
    let at = cursor.position();
    let mut text = cursor.text()?;
    let mut cut = |len: usize| {
        let (part, rest) = text.split_at_checked(len).ok_or(Malformed { what: "a text is cut off", at })?;
        text = rest;
        Ok::<&str, Malformed>(part)
    };
    let lines = lengths.into_iter().map(&mut cut).collect::<Result<_, _>>()?;
    let mut pairs = Vec::with_capacity(pair_lengths.len());
    for (name, value) in pair_lengths {
        pairs.push((cut(name)?, cut(value)?));
    }
    if !text.is_empty() {
        return Err(Malformed { what: "text is left over", at });
    }
    Ok(RecordStream { labels, timestamps, lines, pair_ends, pairs })
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Labels;
    use proptest::prelude::*;

    type Owned = (i64, String, Vec<(String, String)>);

    fn encode(generation: u64, streams: &[(Labels, Vec<Owned>)]) -> Vec<u8> {
        let mut out = Vec::new();
        begin(&mut out, generation, streams.len());
        for (labels, entries) in streams {
            let pairs: Vec<Vec<(&str, &str)>> =
                entries.iter().map(|(_, _, m)| m.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect()).collect();
            let entries: Vec<PushEntry<'_>> = entries
                .iter()
                .zip(&pairs)
                .map(|((timestamp_ns, line, _), metadata)| PushEntry { timestamp_ns: *timestamp_ns, line, metadata })
                .collect();
            put_stream(&mut out, labels.as_encoded(), entries.iter());
        }
        out
    }

    type Push = (u64, Vec<(Labels, Vec<Owned>)>);

    fn decode(payload: &[u8]) -> Result<Push, Malformed> {
        let mut found = 0;
        let mut streams = Vec::new();
        read(
            payload,
            |generation| {
                found = generation;
                true
            },
            |stream| {
                let owned = |(t, line, pairs): (i64, &str, &[(&str, &str)])| {
                    (t, line.to_owned(), pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect())
                };
                let labels = Labels::from_encoded(stream.labels).unwrap_or_default();
                streams.push((labels, stream.entries().map(owned).collect()));
            },
        )?;
        Ok((found, streams))
    }

    #[test]
    fn the_page_shows_what_is_written() {
        let page = include_str!("../docs/format/wal-record.md");
        let hex = page.split("```hex").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
        let want: Vec<u8> = hex.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
        let entries = vec![(5, "hi".to_owned(), vec![("k".to_owned(), "v".to_owned())]), (4, "x".to_owned(), vec![])];
        let got = encode(3, &[(Labels::from_pairs([("a", "b")]), entries)]);
        assert_eq!(got, want, "{got:02x?}");
    }

    fn entry() -> impl Strategy<Value = Owned> {
        (any::<i64>(), ".{0,12}", prop::collection::vec(("[a-z]{1,3}", ".{0,4}"), 0..3))
    }

    proptest! {
        #[test]
        fn pushes_come_back_and_broken_ones_do_no_harm(
            streams in prop::collection::vec(("[a-z]{0,3}", prop::collection::vec(entry(), 1..6)), 0..4),
            generation in any::<u64>(), cut in any::<prop::sample::Index>(), flip in any::<prop::sample::Index>(), bit in 0..8u8,
        ) {
            let streams: Vec<_> = streams.into_iter().map(|(v, e)| (Labels::from_pairs([("a", v)]), e)).collect();
            let mut bytes = encode(generation, &streams);
            prop_assert_eq!(decode(&bytes).unwrap(), (generation, streams));
            let short = &bytes[..cut.index(bytes.len())];
            prop_assert!(decode(short).is_err());
            let at = flip.index(bytes.len());
            bytes[at] ^= 1u8 << bit;
            let _ = decode(&bytes);
        }
    }
}
