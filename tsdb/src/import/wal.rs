//! The logs of a Prometheus data directory: the last checkpoint, the write-ahead log, the log of out-of-order samples.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use disk::IoContext;
use model::{FloatHistogram, Histogram, Labels, ResetHint, Span};

use super::bits::{BigEndian, fits};
use super::{Imported, numbered_files};
use crate::codec::bytes::{Cursor, Damaged, Decoded};
use crate::codec::histogram::NativeHistogram;
use crate::db::{Backfill, Db};
use crate::error::Error;

const PAGE_LEN: usize = 32 << 10;
const RECORD_HEADER_LEN: usize = 7;

/// Longest record, unpacked or not.
const MAX_RECORD_LEN: usize = 256 << 20;

const SNAPPY: u8 = 0x08;
const ZSTD: u8 = 0x10;

const SERIES: u8 = 1;
const SAMPLES: u8 = 2;
const TOMBSTONES: u8 = 3;
const EXEMPLARS: u8 = 4;
const MMAP_MARKERS: u8 = 5;
const METADATA: u8 = 6;
const HISTOGRAMS: u8 = 7;
const FLOAT_HISTOGRAMS: u8 = 8;
const CUSTOM_HISTOGRAMS: u8 = 9;
const CUSTOM_FLOAT_HISTOGRAMS: u8 = 10;

/// Most spans, buckets or boundaries of a histogram.
const MAX_ITEMS: usize = 1 << 16;

struct State<'a> {
    series: HashMap<u64, Labels>,
    backfill: Backfill<'a>,
    samples: u64,
    /// Samples of series that nothing defines.
    orphans: u64,
}

/// Reads all logs in order; samples become blocks.
pub(super) fn import(
    db: &Db,
    dir: &Path,
    now_ms: i64,
    imported: &mut Imported,
    progress: &mut dyn FnMut(&Imported),
) -> Result<(), Error> {
    let backfill = db.backfill(now_ms)?;
    let mut state = State { series: HashMap::new(), backfill, samples: 0, orphans: 0 };
    let mut paths = Vec::new();
    if let Some(checkpoint) = last_checkpoint(db, &dir.join("wal"))? {
        paths.extend(numbered_files(db.files(), &checkpoint)?);
    }
    paths.extend(numbered_files(db.files(), &dir.join("wal"))?);
    paths.extend(numbered_files(db.files(), &dir.join("wbl"))?);
    for path in paths {
        let bytes = db.files().map(&path).at("open", &path)?;
        let before = state.samples;
        if let Err(failure) = read_segment(&bytes, &mut |record| state.take(record)) {
            match failure {
                Failure::Damaged(offset, Damaged(what)) => {
                    imported.skip(&path, &format!("from byte {offset} on: {what}"))
                }
                Failure::Store(error) => return Err(error),
            }
        }
        imported.segments += 1;
        imported.samples += state.samples - before;
        progress(imported);
    }
    if state.orphans > 0 {
        imported.skip(&dir.join("wal"), &format!("{} samples of series that are not defined", state.orphans));
    }
    state.backfill.finish()?;
    Ok(())
}

fn last_checkpoint(db: &Db, dir: &Path) -> Result<Option<PathBuf>, Error> {
    if !db.files().exists(dir) {
        return Ok(None);
    }
    let mut last: Option<(u64, PathBuf)> = None;
    for entry in db.files().read_dir(dir).at("list", dir)? {
        let number = entry.name.strip_prefix("checkpoint.").and_then(|number| number.parse().ok());
        if let (true, Some(number)) = (entry.is_dir, number)
            && last.as_ref().is_none_or(|(before, _)| *before < number)
        {
            last = Some((number, dir.join(&entry.name)));
        }
    }
    Ok(last.map(|(_, path)| path))
}

enum Failure {
    Damaged(usize, Damaged),
    Store(Error),
}

/// Puts the fragments of a segment together and hands on records.
fn read_segment(bytes: &[u8], take: &mut dyn FnMut(&[u8]) -> Result<(), TakeError>) -> Result<(), Failure> {
    let mut record = Vec::new();
    for (number, page) in bytes.chunks(PAGE_LEN).enumerate() {
        let mut at = 0;
        // What is left of a page, or a whole one, is filled with zeros.
        while page.len() - at >= RECORD_HEADER_LEN && page.get(at).is_some_and(|kind| kind & 7 != 0) {
            let offset = number * PAGE_LEN + at;
            let damaged = |what| Failure::Damaged(offset, Damaged(what));
            let mut cursor = Cursor::new(page.get(at..).unwrap_or_default());
            let (kind, len, crc) = (cursor.u8(), cursor.array::<2>(), cursor.be32());
            let (Ok(kind), Ok(len), Ok(crc)) = (kind, len, crc) else { return Err(damaged("a record ends early")) };
            let len = usize::from(u16::from_be_bytes(len));
            let Ok(fragment) = cursor.take(len) else { return Err(damaged("a record ends early")) };
            if !fits(fragment, crc) {
                return Err(damaged("a record is not the one that was written"));
            }
            at += RECORD_HEADER_LEN + len;
            // 1 whole, 2 first, 3 middle, 4 last.
            if matches!(kind & 7, 1 | 2) {
                record.clear();
            }
            record.extend_from_slice(fragment);
            if record.len() > MAX_RECORD_LEN {
                return Err(damaged("a record is too long"));
            }
            if matches!(kind & 7, 1 | 4) {
                let content = unpack(kind, &record).map_err(|damage| Failure::Damaged(offset, damage))?;
                match take(&content) {
                    Ok(()) => {}
                    Err(TakeError::Damaged(damage)) => return Err(Failure::Damaged(offset, damage)),
                    Err(TakeError::Store(error)) => return Err(Failure::Store(error)),
                }
            }
        }
    }
    Ok(())
}

fn unpack(kind: u8, record: &[u8]) -> Decoded<Vec<u8>> {
    if kind & SNAPPY != 0 {
        let broken = |_| Damaged("a record cannot be unpacked");
        if snap::raw::decompress_len(record).map_err(broken)? > MAX_RECORD_LEN {
            return Err(Damaged("a record is too long when unpacked"));
        }
        return snap::raw::Decoder::new().decompress_vec(record).map_err(broken);
    }
    if kind & ZSTD != 0 {
        let broken = |_| Damaged("a record cannot be unpacked");
        let len = zstd::bulk::Decompressor::upper_bound(record).unwrap_or(MAX_RECORD_LEN);
        return zstd::bulk::decompress(record, len.min(MAX_RECORD_LEN)).map_err(broken);
    }
    Ok(record.to_vec())
}

enum TakeError {
    Damaged(Damaged),
    Store(Error),
}

impl From<Damaged> for TakeError {
    fn from(damaged: Damaged) -> Self {
        Self::Damaged(damaged)
    }
}

impl From<Error> for TakeError {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

impl State<'_> {
    fn take(&mut self, record: &[u8]) -> Result<(), TakeError> {
        let mut cursor = Cursor::new(record);
        match cursor.u8()? {
            SERIES => {
                while !cursor.is_empty() {
                    let reference = cursor.be64()?;
                    let mut pairs = Vec::new();
                    for _ in 0..cursor.length(MAX_ITEMS, "a series has too many labels")? {
                        let name = cursor.text()?.to_owned();
                        pairs.push((name, cursor.text()?.to_owned()));
                    }
                    self.series.insert(reference, Labels::from_pairs(pairs));
                }
                Ok(())
            }
            SAMPLES => self.each(&mut cursor, |state, labels, time, cursor| {
                let value = f64::from_bits(cursor.be64()?);
                state.append(labels, time, |backfill, labels| backfill.append(labels, time, value))
            }),
            kind @ (HISTOGRAMS | CUSTOM_HISTOGRAMS) => self.each(&mut cursor, |state, labels, time, cursor| {
                let histogram = NativeHistogram::Integer(read_integer(cursor, kind == CUSTOM_HISTOGRAMS)?);
                state.append(labels, time, |backfill, labels| backfill.append_histogram(labels, 0, time, &histogram))
            }),
            kind @ (FLOAT_HISTOGRAMS | CUSTOM_FLOAT_HISTOGRAMS) => {
                self.each(&mut cursor, |state, labels, time, cursor| {
                    let histogram = NativeHistogram::Float(read_float(cursor, kind == CUSTOM_FLOAT_HISTOGRAMS)?);
                    state
                        .append(labels, time, |backfill, labels| backfill.append_histogram(labels, 0, time, &histogram))
                })
            }
            // What memory had beside samples.
            TOMBSTONES | EXEMPLARS | MMAP_MARKERS | METADATA => Ok(()),
            _ => Err(TakeError::Damaged(Damaged("a record of a kind that is not known"))),
        }
    }

    fn append(
        &mut self,
        labels: Option<Labels>,
        _: i64,
        append: impl FnOnce(&mut Backfill<'_>, &Labels) -> Result<(), Error>,
    ) -> Result<(), TakeError> {
        let Some(labels) = labels else {
            self.orphans += 1;
            return Ok(());
        };
        self.samples += 1;
        match append(&mut self.backfill, &labels) {
            Err(Error::InvalidLabels { .. } | Error::InvalidHistogram(_)) => {
                self.orphans += 1;
                Ok(())
            }
            result => Ok(result?),
        }
    }

    /// Visits references and times, which are written as distances from the first.
    fn each(
        &mut self,
        cursor: &mut Cursor<'_>,
        mut visit: impl FnMut(&mut Self, Option<Labels>, i64, &mut Cursor<'_>) -> Result<(), TakeError>,
    ) -> Result<(), TakeError> {
        if cursor.is_empty() {
            return Ok(());
        }
        let (reference, time) = (cursor.be64()?, cursor.be64()? as i64);
        while !cursor.is_empty() {
            let reference = reference.wrapping_add(cursor.signed()? as u64);
            let time = time.wrapping_add(cursor.signed()?);
            let labels = self.series.get(&reference).cloned();
            visit(self, labels, time, cursor)?;
        }
        Ok(())
    }
}

fn read_hint(cursor: &mut Cursor<'_>) -> Decoded<ResetHint> {
    // A hint says something about the sample before, which need not be there.
    Ok(if cursor.u8()? == 3 { ResetHint::Gauge } else { ResetHint::Unknown })
}

fn read_schema(cursor: &mut Cursor<'_>) -> Decoded<i32> {
    i32::try_from(cursor.signed()?).map_err(|_| Damaged("a histogram's schema is out of range"))
}

fn read_spans(cursor: &mut Cursor<'_>) -> Decoded<Vec<Span>> {
    let mut spans = Vec::new();
    for _ in 0..cursor.length(MAX_ITEMS, "a histogram has too many spans")? {
        let offset = i32::try_from(cursor.signed()?).map_err(|_| Damaged("a span is out of range"))?;
        spans.push(Span { offset, length: cursor.varint32("a span is out of range")? });
    }
    Ok(spans)
}

fn read_list<T>(cursor: &mut Cursor<'_>, read: impl Fn(&mut Cursor<'_>) -> Decoded<T>) -> Decoded<Vec<T>> {
    let count = cursor.length(MAX_ITEMS, "a histogram has too many buckets")?;
    (0..count).map(|_| read(cursor)).collect()
}

fn read_f64(cursor: &mut Cursor<'_>) -> Decoded<f64> {
    cursor.be64().map(f64::from_bits)
}

fn read_integer(cursor: &mut Cursor<'_>, custom: bool) -> Decoded<Histogram> {
    let (reset_hint, schema, zero_threshold) = (read_hint(cursor)?, read_schema(cursor)?, read_f64(cursor)?);
    let (zero_count, count, sum) = (cursor.varint()?, cursor.varint()?, read_f64(cursor)?);
    let (positive_spans, negative_spans) = (read_spans(cursor)?, read_spans(cursor)?);
    let positive_deltas = read_list(cursor, |cursor| cursor.signed())?;
    let negative_deltas = read_list(cursor, |cursor| cursor.signed())?;
    let custom_values = if custom { read_list(cursor, read_f64)?.into() } else { [].into() };
    Ok(Histogram {
        schema,
        zero_threshold,
        zero_count,
        count,
        sum,
        positive_spans,
        positive_deltas,
        negative_spans,
        negative_deltas,
        custom_values,
        reset_hint,
    })
}

fn read_float(cursor: &mut Cursor<'_>, custom: bool) -> Decoded<FloatHistogram> {
    let (reset_hint, schema, zero_threshold) = (read_hint(cursor)?, read_schema(cursor)?, read_f64(cursor)?);
    let (zero_count, count, sum) = (read_f64(cursor)?, read_f64(cursor)?, read_f64(cursor)?);
    let (positive_spans, negative_spans) = (read_spans(cursor)?, read_spans(cursor)?);
    let positive_buckets = read_list(cursor, read_f64)?;
    let negative_buckets = read_list(cursor, read_f64)?;
    let custom_values = if custom { read_list(cursor, read_f64)?.into() } else { [].into() };
    Ok(FloatHistogram {
        schema,
        zero_threshold,
        zero_count,
        count,
        sum,
        positive_spans,
        positive_buckets,
        negative_spans,
        negative_buckets,
        custom_values,
        reset_hint,
    })
}
