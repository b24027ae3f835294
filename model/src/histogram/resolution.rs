//! Fewer buckets: to a lower schema, and to a wider zero bucket.

use super::buckets::{Bucket, Indexed, SpanBuilder};
use super::{FloatHistogram, ResetHint, Span};
use crate::sample::kahan_inc;

/// Index in a lower resolution of a bucket of a higher one.
#[inline]
pub(super) fn target_index(index: i32, from: i32, to: i32) -> i32 {
    (index.wrapping_sub(1) >> (from - to).clamp(0, 31)).wrapping_add(1)
}

/// Merges the buckets of one side into those of a lower schema.
pub(super) fn reduce(spans: &[Span], counts: &[f64], from: i32, to: i32) -> (Vec<Span>, Vec<f64>) {
    let mut out = SpanBuilder::default();
    for (index, count) in Indexed::new(spans, counts) {
        let index = target_index(index, from, to);
        let last_index = out.last_index();
        match out.counts.last_mut() {
            Some(last) if last_index == Some(index) => *last += count,
            _ => out.push(index, count),
        }
    }
    (out.spans, out.counts)
}

/// As [`reduce`] with a column of compensations beside the counts, summed with compensation.
pub(super) fn kahan_reduce(
    spans: &[Span],
    counts: &[f64],
    compensations: &[f64],
    from: i32,
    to: i32,
) -> (Vec<Span>, Vec<f64>, Vec<f64>) {
    let mut out = SpanBuilder::default();
    let mut out_compensations: Vec<f64> = Vec::new();
    for ((index, count), compensation) in Indexed::new(spans, counts).zip(compensations) {
        let index = target_index(index, from, to);
        let last_index = out.last_index();
        match (out.counts.last_mut(), out_compensations.last_mut()) {
            (Some(sum), Some(c)) if last_index == Some(index) => {
                (*sum, *c) = kahan_inc(count, *sum, *c);
                (*sum, *c) = kahan_inc(*compensation, *sum, *c);
            }
            _ => {
                out.push(index, count);
                out_compensations.push(*compensation);
            }
        }
    }
    (out.spans, out.counts, out_compensations)
}

impl FloatHistogram {
    /// A copy in a lower or equal exponential schema. Histograms with custom buckets are only copied.
    pub fn to_schema(&self, schema: i32) -> Self {
        if schema >= self.schema || self.has_custom_buckets() {
            return self.clone();
        }
        let (positive_spans, positive_buckets) =
            reduce(&self.positive_spans, &self.positive_buckets, self.schema, schema);
        let (negative_spans, negative_buckets) =
            reduce(&self.negative_spans, &self.negative_buckets, self.schema, schema);
        Self {
            schema,
            positive_spans,
            positive_buckets,
            negative_spans,
            negative_buckets,
            reset_hint: ResetHint::Unknown,
            custom_values: self.custom_values.clone(),
            ..*self
        }
    }

    /// The zero count this histogram would have with a larger zero threshold. The threshold grows to the far boundary of
    /// a populated bucket that it would cut; both are returned, and the compensation that belongs to the count.
    pub(super) fn zero_count_for(
        &self,
        mut threshold: f64,
        compensation: Option<(f64, &[f64], &[f64])>,
    ) -> (f64, f64, f64) {
        let start = compensation.map_or(0.0, |(zero, ..)| zero);
        if threshold <= self.zero_threshold {
            return (self.zero_count, threshold, start);
        }
        loop {
            let (mut sum, mut c) = (self.zero_count, start);
            let mut grown = None;
            let mut merge = |bucket: Bucket, near: f64, far: f64, extra: Option<f64>| {
                if near >= threshold {
                    return false;
                }
                (sum, c) = kahan_inc(bucket.count, sum, c);
                if let Some(extra) = extra {
                    (sum, c) = kahan_inc(extra, sum, c);
                }
                if far > threshold {
                    if bucket.count != 0.0 {
                        grown = Some(far);
                    }
                    return false;
                }
                true
            };
            let extra = |side: Option<&[f64]>, at: usize| side.and_then(|s| s.get(at).copied());
            for (at, bucket) in self.positive().enumerate() {
                if !merge(bucket, bucket.lower, bucket.upper, extra(compensation.map(|c| c.1), at)) {
                    break;
                }
            }
            if let Some(far) = grown.take() {
                threshold = far;
            }
            let mut redo = false;
            let mut merge = |bucket: Bucket, extra: Option<f64>| {
                if -bucket.upper >= threshold {
                    return false;
                }
                (sum, c) = kahan_inc(bucket.count, sum, c);
                if let Some(extra) = extra {
                    (sum, c) = kahan_inc(extra, sum, c);
                }
                if -bucket.lower > threshold {
                    if bucket.count != 0.0 {
                        threshold = -bucket.lower;
                        redo = true;
                    }
                    return false;
                }
                true
            };
            for (at, bucket) in self.negative().enumerate() {
                if !merge(bucket, extra(compensation.map(|c| c.2), at)) {
                    break;
                }
            }
            if !redo {
                return (sum, threshold, c);
            }
        }
    }

    /// Empties the buckets that the zero bucket has swallowed; their number on the positive and negative side.
    pub(super) fn swallowed(&self) -> (usize, usize) {
        let positive = self.positive().take_while(|b| b.lower < self.zero_threshold).count();
        let negative = self.negative().take_while(|b| b.upper > -self.zero_threshold).count();
        (positive, negative)
    }
}
