//! Walking the buckets of a histogram, and their boundaries.

use std::sync::Arc;

use super::fractions::FRACTIONS;
use super::{CUSTOM_BUCKETS, FloatHistogram, Span};

/// A bucket with its boundaries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// Lower boundary.
    pub lower: f64,
    /// Upper boundary.
    pub upper: f64,
    /// Whether observations equal to `lower` are in it.
    pub lower_inclusive: bool,
    /// Whether observations equal to `upper` are in it.
    pub upper_inclusive: bool,
    /// Observations.
    pub count: f64,
}

impl Bucket {
    /// Part of the width at or below `value`, which lies strictly between finite boundaries: on a linear scale, or on
    /// the logarithmic one on which exponential buckets are even.
    pub fn fraction_below(&self, value: f64, linear: bool) -> f64 {
        if linear {
            return (value - self.lower) / (self.upper - self.lower);
        }
        let (lower, upper, at) = (self.lower.abs().log2(), self.upper.abs().log2(), value.abs().log2());
        if value > 0.0 { (at - lower) / (upper - lower) } else { 1.0 - (at - upper) / (lower - upper) }
    }
}

/// `fraction * 2^exponent` for a fraction in [0.5, 1) or 1, rounded once.
fn scale_by_power(fraction: f64, exponent: i64) -> f64 {
    let power = |e: i64| f64::from_bits(((e + 1023) as u64) << 52);
    match exponent {
        1026.. => f64::INFINITY,
        1024..=1025 => fraction * 4.0 * power(1022) * power(exponent - 1024),
        -1021..=1023 => fraction * power(exponent),
        -1080..-1021 => fraction * power(exponent + 100) * power(-100),
        _ => 0.0,
    }
}

/// Upper boundary of bucket `index` in an exponential schema. The bucket of the largest finite numbers ends at the
/// largest of them, that of the infinities at infinity.
pub fn exponential_bound(index: i32, schema: i32) -> f64 {
    if schema <= 0 {
        let exponent = i64::from(index) << (-schema).min(31);
        return if exponent == 1024 { f64::MAX } else { scale_by_power(1.0, exponent) };
    }
    let schema = schema.min(8);
    let fraction = FRACTIONS[((index & ((1 << schema) - 1)) << (8 - schema)) as usize];
    let exponent = i64::from(index >> schema) + 1;
    if fraction == 0.5 && exponent == 1025 { f64::MAX } else { scale_by_power(fraction, exponent) }
}

/// Upper boundary of bucket `index`; that of bucket -1 is the lower boundary of bucket 0.
pub fn bound(index: i32, schema: i32, custom_values: &[f64]) -> f64 {
    if schema != CUSTOM_BUCKETS {
        return exponential_bound(index, schema);
    }
    match usize::try_from(index) {
        Ok(at) => custom_values.get(at).copied().unwrap_or(f64::INFINITY),
        Err(_) => f64::NEG_INFINITY,
    }
}

/// Whether two lists of custom boundaries are equal.
pub fn same_bounds(a: &Arc<[f64]>, b: &Arc<[f64]>) -> bool {
    Arc::ptr_eq(a, b) || a == b
}

/// Whether two lists of spans describe the same buckets; a span without buckets only moves the next one.
pub fn same_layout(a: &[Span], b: &[Span]) -> bool {
    a == b || {
        let normal = |spans: &[Span]| -> Vec<(i64, u64)> {
            let mut out: Vec<(i64, u64)> = Vec::new();
            let mut skipped = 0;
            for span in spans {
                skipped += i64::from(span.offset);
                if span.length > 0 {
                    out.push((skipped, u64::from(span.length)));
                    skipped = 0;
                }
            }
            out
        };
        normal(a) == normal(b)
    }
}

/// Indexes and counts of the buckets of one side, ascending by index; can be walked from the end too.
#[derive(Clone)]
pub struct Indexed<'a> {
    spans: &'a [Span],
    counts: &'a [f64],
    /// First bucket not taken from the front: its span's rest and index.
    front_left: u32,
    front_index: i32,
    /// As above from the back; the index is that of the last bucket not taken.
    back_left: u32,
    back_index: i32,
}

impl<'a> Indexed<'a> {
    /// Walks `spans` over `counts`.
    pub fn new(spans: &'a [Span], counts: &'a [f64]) -> Self {
        // Spans and counts of a damaged histogram may disagree: only what both have exists.
        let total: u64 = spans.iter().map(|s| u64::from(s.length)).sum();
        let held = usize::try_from(total).unwrap_or(usize::MAX).min(counts.len());
        let mut spans = spans;
        let mut back_left = 0;
        let mut end: i32 = 0;
        let mut left = held as u64;
        let mut used = 0;
        for span in spans {
            if left == 0 {
                break;
            }
            used += 1;
            let taken = u64::from(span.length).min(left) as u32;
            left -= u64::from(taken);
            back_left = taken;
            end = end.wrapping_add(span.offset).wrapping_add(taken as i32);
        }
        spans = &spans[..used];
        let (front_left, front_index) = spans.first().map_or((0, 0), |s| (s.length, s.offset));
        Self { spans, counts: &counts[..held], front_left, front_index, back_left, back_index: end.wrapping_sub(1) }
    }
}

impl Iterator for Indexed<'_> {
    type Item = (i32, f64);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (count, rest) = self.counts.split_first()?;
        while self.front_left == 0 {
            self.spans = self.spans.get(1..)?;
            let span = self.spans.first()?;
            self.front_left = span.length;
            self.front_index = self.front_index.wrapping_add(span.offset);
        }
        let index = self.front_index;
        self.front_index = index.wrapping_add(1);
        self.front_left -= 1;
        self.counts = rest;
        Some((index, *count))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.counts.len(), Some(self.counts.len()))
    }
}

impl DoubleEndedIterator for Indexed<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        let (count, rest) = self.counts.split_last()?;
        while self.back_left == 0 {
            let (span, spans) = self.spans.split_last()?;
            self.spans = spans;
            self.back_left = spans.last()?.length;
            self.back_index = self.back_index.wrapping_sub(span.offset);
        }
        let index = self.back_index;
        self.back_index = index.wrapping_sub(1);
        self.back_left -= 1;
        self.counts = rest;
        Some((index, *count))
    }
}

/// Builds spans and counts from ascending indexes.
#[derive(Default)]
pub struct SpanBuilder {
    /// Spans so far.
    pub spans: Vec<Span>,
    /// Counts so far.
    pub counts: Vec<f64>,
    /// Index after the last bucket.
    next: i32,
}

impl SpanBuilder {
    /// Adds a bucket; `index` is larger than all before.
    #[inline]
    pub fn push(&mut self, index: i32, count: f64) {
        match self.spans.last_mut() {
            Some(span) if self.next == index => span.length += 1,
            Some(_) => self.spans.push(Span { offset: index.wrapping_sub(self.next), length: 1 }),
            None => self.spans.push(Span { offset: index, length: 1 }),
        }
        self.counts.push(count);
        self.next = index.wrapping_add(1);
    }

    /// Index of the last bucket, if there is one.
    pub fn last_index(&self) -> Option<i32> {
        (!self.spans.is_empty()).then(|| self.next.wrapping_sub(1))
    }
}

impl FloatHistogram {
    /// Indexes and counts of the positive buckets.
    pub fn positive_indexed(&self) -> Indexed<'_> {
        Indexed::new(&self.positive_spans, &self.positive_buckets)
    }

    /// Indexes and counts of the negative buckets; a larger index is further from zero.
    pub fn negative_indexed(&self) -> Indexed<'_> {
        Indexed::new(&self.negative_spans, &self.negative_buckets)
    }

    /// Positive bucket `index` with its boundaries.
    pub fn positive_bucket(&self, index: i32, count: f64) -> Bucket {
        let lower = bound(index.wrapping_sub(1), self.schema, &self.custom_values);
        let upper = bound(index, self.schema, &self.custom_values);
        let custom = self.has_custom_buckets();
        let lower_inclusive = if custom { index == 0 } else { lower < 0.0 };
        Bucket { lower, upper, lower_inclusive, upper_inclusive: custom || upper > 0.0, count }
    }

    /// Negative bucket `index` with its boundaries.
    pub fn negative_bucket(&self, index: i32, count: f64) -> Bucket {
        let lower = -bound(index, self.schema, &[]);
        let upper = -bound(index.wrapping_sub(1), self.schema, &[]);
        Bucket { lower, upper, lower_inclusive: lower < 0.0, upper_inclusive: upper > 0.0, count }
    }

    /// The bucket around zero.
    pub fn zero_bucket(&self) -> Bucket {
        Bucket {
            lower: -self.zero_threshold,
            upper: self.zero_threshold,
            lower_inclusive: true,
            upper_inclusive: true,
            count: self.zero_count,
        }
    }

    /// Positive buckets, ascending.
    pub fn positive(&self) -> impl DoubleEndedIterator<Item = Bucket> + '_ {
        self.positive_indexed().map(|(index, count)| self.positive_bucket(index, count))
    }

    /// Negative buckets, from zero down.
    pub fn negative(&self) -> impl DoubleEndedIterator<Item = Bucket> + '_ {
        self.negative_indexed().map(|(index, count)| self.negative_bucket(index, count))
    }

    /// All buckets, ascending. One that reaches into the zero bucket begins, or ends, where that ends.
    pub fn all_buckets(&self) -> impl DoubleEndedIterator<Item = Bucket> + '_ {
        let threshold = self.zero_threshold;
        let clip = move |mut bucket: Bucket| {
            if bucket.upper < 0.0 && bucket.upper > -threshold {
                bucket.upper = -threshold;
            } else if bucket.lower > 0.0 && bucket.lower < threshold {
                bucket.lower = threshold;
            }
            bucket
        };
        let zero = (self.zero_count > 0.0 && !self.has_custom_buckets()).then(|| self.zero_bucket());
        self.negative().rev().map(clip).chain(zero).chain(self.positive().map(clip))
    }
}
