//! Native histograms as bytes: each as what differs from the one before.
//!
//! A histogram is written by [`put`] against the previous one of its chunk or against nothing; where the bucket layout is the same, which is the
//! rule, buckets are varints of differences. [`HistogramStream`] is the append-only form of a chunk; closed it is the chunk itself,
//! in the head and in blocks. Integer and float histograms stay what they are.
//! The page `docs/format/histogram.md` is the specification.

use std::sync::Arc;

use model::{FloatHistogram, Histogram, ResetHint, Span};

use super::bytes::{Cursor, Damaged, Decoded, put_signed, put_varint, unzigzag, zigzag};

/// Most samples of a chunk.
pub(crate) const MAX_SAMPLES: u32 = 256;

/// A chunk is closed when it is longer than this.
pub(crate) const MAX_LEN: usize = 16 << 10;

/// Most spans of one side, and most custom boundaries.
const MAX_SPANS: usize = 1 << 16;

/// A native histogram as it was sent: with counts that are integers, or floats.
#[derive(Clone, Debug, PartialEq)]
pub enum NativeHistogram {
    /// Integer counts.
    Integer(Histogram),
    /// Float counts.
    Float(FloatHistogram),
}

impl NativeHistogram {
    /// The same with float counts.
    pub fn to_float(&self) -> FloatHistogram {
        match self {
            Self::Integer(histogram) => histogram.to_float(),
            Self::Float(histogram) => histogram.clone(),
        }
    }

    /// Whether it is a staleness marker.
    pub fn is_stale(&self) -> bool {
        model::is_stale(self.sum())
    }

    fn sum(&self) -> f64 {
        match self {
            Self::Integer(histogram) => histogram.sum,
            Self::Float(histogram) => histogram.sum,
        }
    }

    /// Whether two histograms are the same bit for bit, hints apart.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        if self.sum().to_bits() != other.sum().to_bits() || self.layout() != other.layout() {
            return false;
        }
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => {
                (a.count, a.zero_count) == (b.count, b.zero_count)
                    && a.positive_deltas == b.positive_deltas
                    && a.negative_deltas == b.negative_deltas
            }
            (Self::Float(a), Self::Float(b)) => {
                bits(&[a.count, a.zero_count]) == bits(&[b.count, b.zero_count])
                    && bits(&a.positive_buckets) == bits(&b.positive_buckets)
                    && bits(&a.negative_buckets) == bits(&b.negative_buckets)
            }
            _ => false,
        }
    }

    fn layout(&self) -> Layout<'_> {
        match self {
            Self::Integer(h) => Layout {
                schema: h.schema,
                zero_threshold: h.zero_threshold.to_bits(),
                custom_values: &h.custom_values,
                positive: &h.positive_spans,
                negative: &h.negative_spans,
            },
            Self::Float(h) => Layout {
                schema: h.schema,
                zero_threshold: h.zero_threshold.to_bits(),
                custom_values: &h.custom_values,
                positive: &h.positive_spans,
                negative: &h.negative_spans,
            },
        }
    }

    fn hint(&self) -> ResetHint {
        match self {
            Self::Integer(histogram) => histogram.reset_hint,
            Self::Float(histogram) => histogram.reset_hint,
        }
    }

    /// Keeps of the hint what stays true wherever the sample ends up: a sender's "not reset" is about a sample that may be missing here.
    pub(crate) fn settle_hint(&mut self) {
        let hint = match self {
            Self::Integer(histogram) => &mut histogram.reset_hint,
            Self::Float(histogram) => &mut histogram.reset_hint,
        };
        if *hint == ResetHint::NotReset {
            *hint = ResetHint::Unknown;
        }
    }
}

/// Where buckets are.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Layout<'a> {
    schema: i32,
    zero_threshold: u64,
    custom_values: &'a Arc<[f64]>,
    positive: &'a [Span],
    negative: &'a [Span],
}

const FLOAT: u8 = 1;
const HINT_SHIFT: u8 = 1;
const SAME_LAYOUT: u8 = 8;

/// Appends a histogram, written against the one before it, if there is one.
pub(crate) fn put(out: &mut Vec<u8>, histogram: &NativeHistogram, before: Option<&NativeHistogram>) {
    let before = before.filter(|before| {
        before.layout() == histogram.layout()
            && matches!(
                (before, histogram),
                (NativeHistogram::Integer(_), NativeHistogram::Integer(_))
                    | (NativeHistogram::Float(_), NativeHistogram::Float(_))
            )
    });
    let kind = if matches!(histogram, NativeHistogram::Float(_)) { FLOAT } else { 0 };
    let hint = match histogram.hint() {
        ResetHint::Unknown => 0,
        ResetHint::Reset => 1,
        ResetHint::NotReset => 2,
        ResetHint::Gauge => 3,
    };
    out.push(kind | hint << HINT_SHIFT | if before.is_some() { SAME_LAYOUT } else { 0 });
    if before.is_none() {
        put_layout(out, histogram.layout());
    }
    match (histogram, before) {
        (NativeHistogram::Integer(now), before) => {
            let then = match before {
                Some(NativeHistogram::Integer(then)) => Some(then),
                _ => None,
            };
            put_signed(out, now.count.wrapping_sub(then.map_or(0, |then| then.count)) as i64);
            put_signed(out, now.zero_count.wrapping_sub(then.map_or(0, |then| then.zero_count)) as i64);
            put_float(out, then.map_or(0.0, |then| then.sum), now.sum);
            put_integers(out, &now.positive_deltas, then.map_or(&[], |then| &then.positive_deltas));
            put_integers(out, &now.negative_deltas, then.map_or(&[], |then| &then.negative_deltas));
        }
        (NativeHistogram::Float(now), before) => {
            let then = match before {
                Some(NativeHistogram::Float(then)) => Some(then),
                _ => None,
            };
            put_float(out, then.map_or(0.0, |then| then.count), now.count);
            put_float(out, then.map_or(0.0, |then| then.zero_count), now.zero_count);
            put_float(out, then.map_or(0.0, |then| then.sum), now.sum);
            put_floats(out, &now.positive_buckets, then.map_or(&[], |then| &then.positive_buckets));
            put_floats(out, &now.negative_buckets, then.map_or(&[], |then| &then.negative_buckets));
        }
    }
}

fn put_layout(out: &mut Vec<u8>, layout: Layout<'_>) {
    put_signed(out, i64::from(layout.schema));
    out.extend_from_slice(&layout.zero_threshold.to_le_bytes());
    put_varint(out, layout.custom_values.len() as u64);
    layout.custom_values.iter().for_each(|value| out.extend_from_slice(&value.to_bits().to_le_bytes()));
    for spans in [layout.positive, layout.negative] {
        put_varint(out, spans.len() as u64);
        for span in spans {
            put_signed(out, i64::from(span.offset));
            put_varint(out, u64::from(span.length));
        }
    }
}

fn put_integers(out: &mut Vec<u8>, now: &[i64], before: &[i64]) {
    let before = before.iter().copied().chain(std::iter::repeat(0));
    now.iter().zip(before).for_each(|(now, before)| put_signed(out, now.wrapping_sub(before)));
}

fn put_floats(out: &mut Vec<u8>, now: &[f64], before: &[f64]) {
    let before = before.iter().copied().chain(std::iter::repeat(0.0));
    now.iter().zip(before).for_each(|(now, before)| put_float(out, before, *now));
}

/// A float that is an integer, as one.
fn whole(value: f64) -> Option<i64> {
    let integer = value as i64;
    ((integer as f64).to_bits() == value.to_bits() && integer.unsigned_abs() < 1 << 53).then_some(integer)
}

/// Appends a float: even, the difference of two integers; odd, the bits that differ.
fn put_float(out: &mut Vec<u8>, before: f64, now: f64) {
    if let (Some(before), Some(now)) = (whole(before), whole(now)) {
        put_varint(out, zigzag(now - before) << 1);
        return;
    }
    let different = before.to_bits() ^ now.to_bits();
    let zeros = (different.trailing_zeros() / 8).min(8) as usize;
    put_varint(out, (zeros as u64) << 1 | 1);
    out.extend_from_slice(&different.to_le_bytes()[zeros..]);
}

fn read_float(cursor: &mut Cursor<'_>, before: f64) -> Decoded<f64> {
    let head = cursor.varint()?;
    if head & 1 == 0 {
        let before = whole(before).ok_or(Damaged("a count differs from one that is no integer"))?;
        return Ok(before.wrapping_add(unzigzag(head >> 1)) as f64);
    }
    let zeros = usize::try_from(head >> 1).ok().filter(|zeros| *zeros <= 8);
    let zeros = zeros.ok_or(Damaged("a float has more bytes than eight"))?;
    let mut bytes = [0u8; 8];
    bytes[zeros..].copy_from_slice(cursor.take(8 - zeros)?);
    Ok(f64::from_bits(before.to_bits() ^ u64::from_le_bytes(bytes)))
}

/// Reads a histogram back.
pub(crate) fn read(cursor: &mut Cursor<'_>, before: Option<&NativeHistogram>) -> Decoded<NativeHistogram> {
    let head = cursor.u8()?;
    if head & !(FLOAT | 3 << HINT_SHIFT | SAME_LAYOUT) != 0 {
        return Err(Damaged("a histogram begins with a form that does not exist"));
    }
    let reset_hint = match head >> HINT_SHIFT & 3 {
        0 => ResetHint::Unknown,
        1 => ResetHint::Reset,
        2 => ResetHint::NotReset,
        _ => ResetHint::Gauge,
    };
    let same = head & SAME_LAYOUT != 0;
    let float = head & FLOAT != 0;
    match (same, float, before) {
        (true, false, Some(NativeHistogram::Integer(before))) => {
            let mut histogram = Histogram { reset_hint, ..before.clone() };
            read_integer(cursor, &mut histogram)?;
            Ok(NativeHistogram::Integer(histogram))
        }
        (true, true, Some(NativeHistogram::Float(before))) => {
            let mut histogram = FloatHistogram { reset_hint, ..before.clone() };
            read_floats(cursor, &mut histogram)?;
            Ok(NativeHistogram::Float(histogram))
        }
        (true, ..) => Err(Damaged("a histogram follows on one that is not there")),
        (false, float, _) => {
            let layout = read_layout(cursor)?;
            let positive = layout.buckets(cursor, &layout.positive_spans)?;
            let negative = layout.buckets(cursor, &layout.negative_spans)?;
            if float {
                let mut histogram = FloatHistogram {
                    reset_hint,
                    positive_buckets: vec![0.0; positive],
                    negative_buckets: vec![0.0; negative],
                    ..layout
                };
                read_floats(cursor, &mut histogram)?;
                return Ok(NativeHistogram::Float(histogram));
            }
            let mut histogram = Histogram {
                schema: layout.schema,
                zero_threshold: layout.zero_threshold,
                zero_count: 0,
                count: 0,
                sum: 0.0,
                positive_spans: layout.positive_spans,
                positive_deltas: vec![0; positive],
                negative_spans: layout.negative_spans,
                negative_deltas: vec![0; negative],
                custom_values: layout.custom_values,
                reset_hint,
            };
            read_integer(cursor, &mut histogram)?;
            Ok(NativeHistogram::Integer(histogram))
        }
    }
}

trait Buckets {
    fn buckets(&self, cursor: &Cursor<'_>, spans: &[Span]) -> Decoded<usize>;
}

impl Buckets for FloatHistogram {
    /// Number of buckets of spans; each of them takes at least a byte of what is left.
    fn buckets(&self, cursor: &Cursor<'_>, spans: &[Span]) -> Decoded<usize> {
        let count: u64 = spans.iter().map(|span| u64::from(span.length)).sum();
        match usize::try_from(count) {
            Ok(count) if count <= cursor.rest().len() => Ok(count),
            _ => Err(Damaged("a histogram has more buckets than bytes")),
        }
    }
}

/// A histogram of a layout, without any counts.
fn read_layout(cursor: &mut Cursor<'_>) -> Decoded<FloatHistogram> {
    let schema = i32::try_from(cursor.signed()?).map_err(|_| Damaged("a histogram's schema is out of range"))?;
    let zero_threshold = f64::from_bits(cursor.u64()?);
    let bounds = cursor.length(MAX_SPANS.min(cursor.rest().len() / 8), "a histogram has more bounds than bytes")?;
    let mut custom_values = Vec::with_capacity(bounds);
    for _ in 0..bounds {
        custom_values.push(f64::from_bits(cursor.u64()?));
    }
    let mut sides = [Vec::new(), Vec::new()];
    for spans in &mut sides {
        let count = cursor.length(MAX_SPANS.min(cursor.rest().len() / 2), "a histogram has more spans than bytes")?;
        spans.reserve_exact(count);
        for _ in 0..count {
            let offset = i32::try_from(cursor.signed()?).map_err(|_| Damaged("a span's offset is out of range"))?;
            spans.push(Span { offset, length: cursor.varint32("a span is too long")? });
        }
    }
    let [positive_spans, negative_spans] = sides;
    Ok(FloatHistogram {
        schema,
        zero_threshold,
        positive_spans,
        negative_spans,
        custom_values: custom_values.into(),
        ..FloatHistogram::default()
    })
}

/// Reads counts on top of those of the histogram before.
fn read_integer(cursor: &mut Cursor<'_>, histogram: &mut Histogram) -> Decoded<()> {
    histogram.count = histogram.count.wrapping_add(cursor.signed()? as u64);
    histogram.zero_count = histogram.zero_count.wrapping_add(cursor.signed()? as u64);
    histogram.sum = read_float(cursor, histogram.sum)?;
    for delta in histogram.positive_deltas.iter_mut().chain(&mut histogram.negative_deltas) {
        *delta = delta.wrapping_add(cursor.signed()?);
    }
    Ok(())
}

fn read_floats(cursor: &mut Cursor<'_>, histogram: &mut FloatHistogram) -> Decoded<()> {
    histogram.count = read_float(cursor, histogram.count)?;
    histogram.zero_count = read_float(cursor, histogram.zero_count)?;
    histogram.sum = read_float(cursor, histogram.sum)?;
    for bucket in histogram.positive_buckets.iter_mut().chain(&mut histogram.negative_buckets) {
        *bucket = read_float(cursor, *bucket)?;
    }
    Ok(())
}

/// A chunk of histograms that is still appended to.
#[derive(Debug, Default)]
pub(crate) struct HistogramStream {
    bytes: Vec<u8>,
    count: u32,
    first_ms: i64,
    last_ms: i64,
    distance_ms: i64,
    last: Option<NativeHistogram>,
}

impl HistogramStream {
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    pub(crate) fn first_ms(&self) -> Option<i64> {
        (self.count > 0).then_some(self.first_ms)
    }

    pub(crate) fn last_ms(&self) -> i64 {
        self.last_ms
    }

    /// The newest histogram.
    pub(crate) fn last(&self) -> Option<&NativeHistogram> {
        self.last.as_ref()
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn is_full(&self) -> bool {
        self.count >= MAX_SAMPLES || self.bytes.len() >= MAX_LEN
    }

    /// Heap bytes, about.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.bytes.capacity() + self.last.as_ref().map_or(0, |last| 256 + last.layout().positive.len() * 24)
    }

    /// Adds a histogram; timestamps ascend.
    pub(crate) fn push(&mut self, timestamp_ms: i64, histogram: NativeHistogram) {
        if self.count == 0 {
            self.first_ms = timestamp_ms;
            put_signed(&mut self.bytes, timestamp_ms);
        } else {
            let distance = timestamp_ms.wrapping_sub(self.last_ms);
            put_signed(&mut self.bytes, distance.wrapping_sub(self.distance_ms));
            self.distance_ms = distance;
        }
        put(&mut self.bytes, &histogram, self.last.as_ref().filter(|_| self.count > 0));
        self.last_ms = timestamp_ms;
        self.last = Some(histogram);
        self.count += 1;
    }

    /// Ends the chunk: its bytes. The newest histogram stays known.
    pub(crate) fn finish(&mut self) -> Box<[u8]> {
        let bytes = std::mem::take(&mut self.bytes).into_boxed_slice();
        (self.count, self.distance_ms) = (0, 0);
        bytes
    }
}

/// Visits the histograms of a chunk until `visit` returns false.
pub(crate) fn each(bytes: &[u8], count: u32, visit: &mut dyn FnMut(i64, &NativeHistogram) -> bool) -> Decoded<()> {
    let mut cursor = Cursor::new(bytes);
    let mut time = 0i64;
    let mut distance = 0i64;
    let mut before: Option<NativeHistogram> = None;
    for nth in 0..count {
        let number = cursor.signed()?;
        if nth == 0 {
            time = number;
        } else {
            distance = distance.wrapping_add(number);
            let next = time.wrapping_add(distance);
            if next <= time {
                return Err(Damaged("timestamps of histograms do not ascend"));
            }
            time = next;
        }
        let histogram = read(&mut cursor, before.as_ref())?;
        if !visit(time, &histogram) {
            return Ok(());
        }
        before = Some(histogram);
    }
    if cursor.is_empty() { Ok(()) } else { Err(Damaged("a chunk holds more histograms than it says")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn integer(count: u64, deltas: &[i64], hint: ResetHint) -> NativeHistogram {
        NativeHistogram::Integer(Histogram {
            schema: 3,
            zero_threshold: 1e-128,
            zero_count: count / 7,
            count,
            sum: count as f64 * 0.25,
            positive_spans: vec![Span { offset: -2, length: deltas.len() as u32 }],
            positive_deltas: deltas.to_vec(),
            negative_spans: Vec::new(),
            negative_deltas: Vec::new(),
            custom_values: Arc::from([]),
            reset_hint: hint,
        })
    }

    fn round_trip(samples: &[(i64, NativeHistogram)]) -> usize {
        let mut stream = HistogramStream::default();
        for (time, histogram) in samples {
            stream.push(*time, histogram.clone());
        }
        let count = stream.count();
        let bytes = stream.finish();
        let mut got = Vec::new();
        each(&bytes, count, &mut |time, histogram| {
            got.push((time, histogram.clone()));
            true
        })
        .unwrap();
        assert_eq!(got.len(), samples.len());
        for ((time, got), (want_time, want)) in got.iter().zip(samples) {
            assert_eq!(time, want_time);
            assert!(got.is_same(want) && got.hint() == want.hint(), "{got:?} is not {want:?}");
        }
        bytes.len()
    }

    #[test]
    fn steady_histograms_take_a_byte_a_bucket() {
        let of = |i: i64| (i * 15_000, integer(100 * i as u64, &[i, 5, -3, 2 * i, 0, 0, 1, -i], ResetHint::Unknown));
        let len = round_trip(&(0..100).map(of).collect::<Vec<_>>());
        assert!(len < 100 * 16 + 60, "{len}");
    }

    #[test]
    fn layouts_kinds_hints_and_staleness() {
        let float = |bucket: f64| {
            NativeHistogram::Float(FloatHistogram {
                schema: model::histogram::CUSTOM_BUCKETS,
                count: bucket + 1.5,
                sum: -0.0,
                positive_spans: vec![Span { offset: 0, length: 1 }, Span { offset: 1, length: 1 }],
                positive_buckets: vec![bucket, 1.5],
                custom_values: Arc::from([0.1, 1.0, 5.0]),
                ..FloatHistogram::default()
            })
        };
        let mut stale = integer(0, &[], ResetHint::Unknown);
        if let NativeHistogram::Integer(histogram) = &mut stale {
            histogram.sum = model::STALE_NAN;
        }
        assert!(stale.is_stale());
        round_trip(&[
            (i64::MIN, integer(u64::MAX, &[i64::MAX, i64::MIN], ResetHint::Gauge)),
            (-1, integer(1, &[i64::MIN, i64::MAX], ResetHint::Reset)),
            (0, integer(1, &[1, 2, 3], ResetHint::NotReset)),
            (1, float(3.0)),
            (2, float(0.1)),
            (3, float(f64::INFINITY)),
            (4, stale.clone()),
            (5, stale),
            (i64::MAX, float(1e300)),
        ]);
    }

    #[test]
    fn the_page_shows_what_is_written() {
        let page = include_str!("../../docs/format/histogram.md");
        let hex = page.split("```hex").nth(1).unwrap().split("```").next().unwrap();
        let mut stream = HistogramStream::default();
        stream.push(1_000, integer(7, &[4, 2], ResetHint::Unknown));
        stream.push(2_000, integer(9, &[5, 2], ResetHint::Unknown));
        let got: Vec<String> = stream.finish().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(got.join(" "), hex.split_whitespace().collect::<Vec<_>>().join(" "));
    }

    fn histogram() -> impl Strategy<Value = NativeHistogram> {
        let deltas = prop::collection::vec(-5i64..50, 0..6);
        let int = (any::<u64>(), deltas).prop_map(|(count, deltas)| integer(count, &deltas, ResetHint::Unknown));
        let float = prop::collection::vec(prop_oneof![(0i32..100).prop_map(f64::from), any::<f64>()], 0..5).prop_map(
            |buckets| {
                NativeHistogram::Float(FloatHistogram {
                    schema: 0,
                    sum: buckets.iter().sum(),
                    negative_spans: vec![Span { offset: 1, length: buckets.len() as u32 }],
                    negative_buckets: buckets,
                    ..FloatHistogram::default()
                })
            },
        );
        prop_oneof![int, float]
    }

    proptest! {
        #[test]
        fn any_histograms_come_back(samples in prop::collection::btree_map(any::<i64>(), histogram(), 1..20)) {
            // Distances beyond i64 wrap and would go back.
            let narrow: std::collections::BTreeMap<i64, _> = samples.into_iter().map(|(t, h)| (t / 2, h)).collect();
            round_trip(&narrow.into_iter().collect::<Vec<_>>());
        }

        #[test]
        fn damage_is_no_panic(samples in prop::collection::vec(histogram(), 1..5), at in any::<prop::sample::Index>(), bit in 0..8u8) {
            let mut stream = HistogramStream::default();
            for (i, histogram) in samples.iter().enumerate() {
                stream.push(i as i64, histogram.clone());
            }
            let count = stream.count();
            let mut bytes = stream.finish().to_vec();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            let _ = each(&bytes, count, &mut |_, _| true);
            prop_assert!(each(&bytes[..at], count, &mut |_, _| true).is_err());
        }
    }
}
