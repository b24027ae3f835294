//! The chunks of a Prometheus block: floats, native histograms with integer and with float counts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use disk::{Files, IoContext, Mapped};
use model::{FloatHistogram, Histogram, ResetHint, Span};

use super::bits::{BigEndian, BitReader, XorFloat, fits};
use super::numbered_files;
use crate::codec::bytes::{Cursor, Damaged, Decoded};
use crate::codec::histogram::NativeHistogram;
use crate::error::Error;
use crate::samples::{Samples, Sink};

const MAGIC: u32 = 0x85bd_40dd;
const XOR: u8 = 1;
const HISTOGRAM: u8 = 2;
const FLOAT_HISTOGRAM: u8 = 3;

/// Most spans of one side, buckets of one side, custom boundaries.
const MAX_ITEMS: u64 = 1 << 16;

/// Schema of histograms with boundaries of their own.
const CUSTOM: i64 = -53;

/// The chunk files of a block.
pub(super) struct ChunkFiles(Vec<(PathBuf, Mapped)>);

impl ChunkFiles {
    pub(super) fn open(files: &dyn Files, dir: &Path) -> Result<Self, Error> {
        let paths = numbered_files(files, dir)?;
        let open = |path: PathBuf| files.map(&path).at("open", &path).map(|bytes| (path, bytes));
        Ok(Self(paths.into_iter().map(open).collect::<Result<_, _>>()?))
    }

    /// Appends the samples of a chunk; on an error, the file and what is wrong.
    pub(super) fn read(&self, reference: u64, out: &mut Samples) -> Result<(), (PathBuf, &'static str)> {
        let Some((path, bytes)) = self.0.get((reference >> 32) as usize) else {
            return Err((PathBuf::from("chunks"), "there is no such file"));
        };
        read_from_file(bytes, reference as u32, out).map_err(|Damaged(what)| (path.clone(), what))
    }
}

fn read_from_file(file: &[u8], offset: u32, out: &mut Samples) -> Decoded<()> {
    let mut header = Cursor::new(file);
    if header.be32()? != MAGIC || header.u8()? != 1 {
        return Err(Damaged("the file holds no chunks that are known"));
    }
    let rest = file.get(offset as usize..).ok_or(Damaged("a chunk lies outside the file"))?;
    let mut cursor = Cursor::new(rest);
    let len = cursor.length(rest.len(), "a chunk is longer than the file")?;
    let covered = cursor.take(len + 1)?;
    if !fits(covered, cursor.be32()?) {
        return Err(Damaged("a chunk is not the one that was written"));
    }
    let (encoding, data) = covered.split_first().ok_or(Damaged("a chunk ends early"))?;
    read_chunk(*encoding, data, out)
}

/// Appends the samples of a chunk.
pub(super) fn read_chunk(encoding: u8, data: &[u8], out: &mut Samples) -> Decoded<()> {
    let (count, rest) = data.split_first_chunk::<2>().ok_or(Damaged("a chunk ends early"))?;
    let count = u16::from_be_bytes(*count);
    match encoding {
        XOR => read_floats(count, &mut BitReader::new(rest), out),
        HISTOGRAM | FLOAT_HISTOGRAM => {
            let (flags, rest) = rest.split_first().ok_or(Damaged("a chunk ends early"))?;
            let hint = match flags >> 6 {
                0b10 => ResetHint::Reset,
                0b11 => ResetHint::Gauge,
                _ => ResetHint::Unknown,
            };
            let mut bits = BitReader::new(rest);
            let layout = Layout::read(&mut bits)?;
            let read = if encoding == HISTOGRAM { read_integer } else { read_float };
            read(count, &layout, hint, &mut bits, out)
        }
        _ => Err(Damaged("a chunk has an encoding that is not known")),
    }
}

fn read_floats(count: u16, bits: &mut BitReader<'_>, out: &mut Samples) -> Decoded<()> {
    let (mut time, mut step, mut value) = (0i64, 0i64, XorFloat::default());
    for at in 0..count {
        match at {
            0 => {
                time = bits.signed()?;
                value = XorFloat::new(f64::from_bits(bits.bits(64)?));
            }
            1 => {
                step = bits.varint()? as i64;
                time = time.wrapping_add(step);
                value.next(bits)?;
            }
            _ => {
                step = step.wrapping_add(bits.time_step()?);
                time = time.wrapping_add(step);
                value.next(bits)?;
            }
        }
        out.floats.push(time, value.value);
    }
    Ok(())
}

/// Where the buckets of a chunk's histograms are.
struct Layout {
    schema: i32,
    zero_threshold: f64,
    positive: Vec<Span>,
    negative: Vec<Span>,
    custom: Arc<[f64]>,
}

impl Layout {
    fn read(bits: &mut BitReader<'_>) -> Decoded<Self> {
        let zero_threshold = match bits.bits(8)? {
            0 => 0.0,
            255 => f64::from_bits(bits.bits(64)?),
            exponent => 0.5 * 2f64.powi(exponent as i32 - 243),
        };
        let schema = bits.varbit()?;
        let positive = read_spans(bits)?;
        let negative = read_spans(bits)?;
        let mut custom = Vec::new();
        if schema == CUSTOM {
            for _ in 0..limited(bits.varbit_unsigned()?)? {
                custom.push(match bits.varbit_unsigned()? {
                    0 => f64::from_bits(bits.bits(64)?),
                    thousandths => (thousandths - 1) as f64 / 1_000.0,
                });
            }
        }
        let schema = i32::try_from(schema).map_err(|_| Damaged("a histogram's schema is out of range"))?;
        Ok(Self { schema, zero_threshold, positive, negative, custom: custom.into() })
    }
}

fn limited(count: u64) -> Decoded<u64> {
    if count <= MAX_ITEMS { Ok(count) } else { Err(Damaged("a histogram has too many buckets")) }
}

fn read_spans(bits: &mut BitReader<'_>) -> Decoded<Vec<Span>> {
    let mut spans = Vec::new();
    let mut buckets = 0;
    for _ in 0..limited(bits.varbit_unsigned()?)? {
        let length = bits.varbit_unsigned()?;
        buckets = limited(length.saturating_add(buckets))?;
        let offset = bits.varbit()?;
        let out_of_range = |_| Damaged("a span is out of range");
        spans.push(Span {
            offset: i32::try_from(offset).map_err(out_of_range)?,
            length: u32::try_from(length).map_err(out_of_range)?,
        });
    }
    Ok(spans)
}

fn buckets(spans: &[Span]) -> usize {
    spans.iter().map(|span| span.length as usize).sum()
}

/// The hint of a sample: only the first of a chunk can be a reset, all of a chunk are gauges.
fn hint_of(hint: ResetHint, at: u16) -> ResetHint {
    if at == 0 || hint == ResetHint::Gauge { hint } else { ResetHint::Unknown }
}

/// An integer that is written as itself, then as a difference, then as a difference of differences.
#[derive(Clone, Copy, Default)]
struct Second {
    value: i64,
    delta: i64,
}

impl Second {
    fn next(&mut self, at: u16, bits: &mut BitReader<'_>) -> Decoded<()> {
        let read = bits.varbit()?;
        match at {
            0 => self.value = read,
            1 => self.delta = read,
            _ => self.delta = self.delta.wrapping_add(read),
        }
        if at > 0 {
            self.value = self.value.wrapping_add(self.delta);
        }
        Ok(())
    }
}

fn read_integer(
    count: u16,
    layout: &Layout,
    hint: ResetHint,
    bits: &mut BitReader<'_>,
    out: &mut Samples,
) -> Decoded<()> {
    let (mut time, mut counts, mut zeros) = (Second::default(), Second::default(), Second::default());
    let mut sum = XorFloat::default();
    let positive_len = buckets(&layout.positive);
    let mut all = vec![Second::default(); positive_len + buckets(&layout.negative)];
    for at in 0..count {
        time.next(at, bits)?;
        if at == 0 {
            counts.value = bits.varbit_unsigned()? as i64;
            zeros.value = bits.varbit_unsigned()? as i64;
            sum = XorFloat::new(f64::from_bits(bits.bits(64)?));
        } else {
            counts.next(at, bits)?;
            zeros.next(at, bits)?;
            sum.next(bits)?;
        }
        if model::is_stale(sum.value) {
            put_stale(time.value, sum.value, out);
            continue;
        }
        for bucket in &mut all {
            bucket.next(at, bits)?;
        }
        let (positive, negative) = all.split_at(positive_len);
        let histogram = Histogram {
            schema: layout.schema,
            zero_threshold: layout.zero_threshold,
            zero_count: zeros.value as u64,
            count: counts.value as u64,
            sum: sum.value,
            positive_spans: layout.positive.clone(),
            positive_deltas: positive.iter().map(|bucket| bucket.value).collect(),
            negative_spans: layout.negative.clone(),
            negative_deltas: negative.iter().map(|bucket| bucket.value).collect(),
            custom_values: layout.custom.clone(),
            reset_hint: hint_of(hint, at),
        };
        put(time.value, NativeHistogram::Integer(histogram), out)?;
    }
    Ok(())
}

fn read_float(
    count: u16,
    layout: &Layout,
    hint: ResetHint,
    bits: &mut BitReader<'_>,
    out: &mut Samples,
) -> Decoded<()> {
    let mut time = Second::default();
    let positive_len = buckets(&layout.positive);
    // Count, count of the zero bucket, sum, buckets.
    let mut all = vec![XorFloat::default(); 3 + positive_len + buckets(&layout.negative)];
    for at in 0..count {
        time.next(at, bits)?;
        let (head, rest) = all.split_at_mut(3);
        for float in head.iter_mut() {
            next_float(float, at, bits)?;
        }
        let [total, zeros, sum] = [head[0].value, head[1].value, head[2].value];
        if model::is_stale(sum) {
            put_stale(time.value, sum, out);
            continue;
        }
        for float in rest.iter_mut() {
            next_float(float, at, bits)?;
        }
        let (positive, negative) = rest.split_at(positive_len);
        let histogram = FloatHistogram {
            schema: layout.schema,
            zero_threshold: layout.zero_threshold,
            zero_count: zeros,
            count: total,
            sum,
            positive_spans: layout.positive.clone(),
            positive_buckets: positive.iter().map(|float| float.value).collect(),
            negative_spans: layout.negative.clone(),
            negative_buckets: negative.iter().map(|float| float.value).collect(),
            custom_values: layout.custom.clone(),
            reset_hint: hint_of(hint, at),
        };
        put(time.value, NativeHistogram::Float(histogram), out)?;
    }
    Ok(())
}

fn next_float(float: &mut XorFloat, at: u16, bits: &mut BitReader<'_>) -> Decoded<()> {
    if at == 0 {
        *float = XorFloat::new(f64::from_bits(bits.bits(64)?));
        return Ok(());
    }
    float.next(bits).map(drop)
}

fn put_stale(timestamp_ms: i64, sum: f64, out: &mut Samples) {
    let histogram = FloatHistogram { sum, ..FloatHistogram::default() };
    out.histogram(timestamp_ms, &NativeHistogram::Float(histogram), 0);
}

fn put(timestamp_ms: i64, histogram: NativeHistogram, out: &mut Samples) -> Decoded<()> {
    histogram.to_float().validate().map_err(|_| Damaged("a histogram contradicts itself"))?;
    out.histogram(timestamp_ms, &histogram, 0);
    Ok(())
}
