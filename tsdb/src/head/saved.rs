//! The head as bytes: what closing writes so that the next opening need not read the log. One section for each shard.
#![doc = include_str!("../../docs/format/head.md")]

use model::Labels;

use super::rare::{Histograms, Rare};
use super::series::{Closed, Series};
use super::{Head, Outcome};
use crate::codec::bytes::{Cursor, Damaged, Decoded, put_prefixed, put_signed, put_varint};
use crate::codec::histogram;

impl Head {
    /// Appends the series of a shard to `out`.
    pub(crate) fn save_shard(&self, number: usize, out: &mut Vec<u8>) {
        let shard = self.shard(number).read();
        for (_, _, series) in shard.slab.iter().filter(|(_, _, series)| series.has_samples()) {
            put_prefixed(out, series.labels().as_encoded().as_bytes());
            series.put(out);
        }
    }

    /// Fills a shard with what was saved; nothing else may be in it. Series before the damage stay.
    pub(crate) fn load_shard(&self, number: usize, bytes: &[u8]) -> Decoded<()> {
        let mut outcome = Outcome::default();
        let loaded = self.load(number, &mut Cursor::new(bytes), &mut outcome);
        self.note_loaded(&mut outcome);
        loaded
    }

    fn load(&self, number: usize, cursor: &mut Cursor<'_>, outcome: &mut Outcome) -> Decoded<()> {
        while !cursor.is_empty() {
            let text = std::str::from_utf8(cursor.prefixed()?).map_err(|_| Damaged("a label set is not UTF-8"))?;
            let labels = Labels::from_encoded(text).ok_or(Damaged("a label set is broken"))?;
            let loaded = Series::restore(labels.clone(), cursor)?;
            let reference = self.resolve_logged(&labels, number).map_err(|_| Damaged("there are too many series"))?;
            let mut shard = self.shard(number).write();
            let Some(series) = shard.slab.get_mut(reference.id.place(), reference.generation) else { continue };
            *series = loaded;
            outcome.took(series.newest_ms());
            outcome.min_ms = outcome.min_ms.min(series.first_ms().unwrap_or(i64::MAX));
            outcome.late += series.rare().map_or(0, |rare| rare.late.count());
            outcome.new_series.push((reference.id, labels));
            series.indexed = true;
        }
        Ok(())
    }
}

pub(super) fn put_chunk(out: &mut Vec<u8>, first_ms: i64, last_ms: i64, count: u32, bytes: &[u8]) {
    put_signed(out, first_ms);
    put_varint(out, last_ms.wrapping_sub(first_ms) as u64);
    put_varint(out, u64::from(count));
    put_prefixed(out, bytes);
}

pub(super) fn read_chunk(cursor: &mut Cursor<'_>) -> Decoded<Closed> {
    let first_ms = cursor.signed()?;
    let last_ms = first_ms.wrapping_add(cursor.varint()? as i64);
    let count = cursor.varint32("a chunk has too many samples")?;
    let bytes = cursor.prefixed()?.into();
    Ok(Closed { first_ms, last_ms, count, bytes })
}

pub(super) fn put_chunks(out: &mut Vec<u8>, chunks: &[Closed]) {
    put_varint(out, chunks.len() as u64);
    chunks.iter().for_each(|c| put_chunk(out, c.first_ms, c.last_ms, c.count, &c.bytes));
}

pub(super) fn read_chunks(cursor: &mut Cursor<'_>) -> Decoded<Vec<Closed>> {
    // A chunk has at least four bytes.
    let count = cursor.length(cursor.rest().len() / 4 + 1, "there are more chunks than bytes")?;
    let mut chunks = Vec::with_capacity(count);
    for _ in 0..count {
        chunks.push(read_chunk(cursor)?);
    }
    Ok(chunks)
}

impl Rare {
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        put_chunks(out, &self.histograms.closed);
        let open = &self.histograms.open;
        put_chunk(out, open.first_ms().unwrap_or(0), open.last_ms(), open.count(), open.bytes());
        let (floats, histograms) = (self.late.all_floats(), self.late.all_histograms());
        put_varint(out, floats.len() as u64);
        for (time, value) in floats {
            put_signed(out, time);
            out.extend_from_slice(&value.to_bits().to_le_bytes());
        }
        put_varint(out, histograms.len() as u64);
        for (time, native) in histograms {
            put_signed(out, time);
            histogram::put(out, native, None);
        }
        put_varint(out, self.starts.iter().count() as u64);
        for (from_ms, start_ms) in self.starts.iter() {
            put_signed(out, from_ms);
            put_signed(out, start_ms);
        }
    }

    pub(super) fn read(cursor: &mut Cursor<'_>) -> Decoded<Self> {
        let mut rare =
            Self { histograms: Histograms { closed: read_chunks(cursor)?, ..Default::default() }, ..Self::default() };
        let open = read_chunk(cursor)?;
        // The open chunk goes on from its last histogram.
        let stream = &mut rare.histograms.open;
        histogram::each(&open.bytes, open.count, &mut |time, native| {
            stream.push(time, native.clone());
            true
        })?;
        for _ in 0..cursor.length(cursor.rest().len() / 9, "there are more late samples than bytes")? {
            let time = cursor.signed()?;
            rare.late.insert_float(time, f64::from_bits(cursor.u64()?));
        }
        for _ in 0..cursor.length(cursor.rest().len(), "there are more late samples than bytes")? {
            let time = cursor.signed()?;
            rare.late.insert_histogram(time, histogram::read(cursor, None)?);
        }
        for _ in 0..cursor.length(cursor.rest().len() / 2, "there are more start timestamps than bytes")? {
            let (from_ms, start_ms) = (cursor.signed()?, cursor.signed()?);
            rare.starts.set(from_ms, start_ms);
        }
        Ok(rare)
    }
}
