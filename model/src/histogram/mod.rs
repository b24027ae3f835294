//! Native histograms: sparse buckets of exponential or custom boundaries, in integer and float form.
//!
//! Buckets stand in spans: a span skips `offset` buckets from the end of the span before (the first one counts from
//! bucket 0) and then covers `length` buckets. With `schema` in -4..=8 the boundary of bucket `i` is `2^(i * 2^-schema)`;
//! with [`CUSTOM_BUCKETS`] the boundaries are `custom_values` and only positive buckets exist. Rules: Prometheus' native
//! histogram specification.
//!
//! The operations stand by kind: [`buckets`] (walking), `add` and `kahan` (sums), `compact`, `resolution`, `reset`,
//! `trim`, `quantile`, `validate`, `text`. None panics on a histogram whose spans and buckets disagree; what the spans
//! announce beyond the buckets is taken as absent.

mod add;
pub mod buckets;
mod compact;
mod fractions;
mod kahan;
mod quantile;
mod reset;
mod resolution;
#[cfg(test)]
mod tests;
mod text;
mod trim;
mod validate;

pub use add::{AddOutcome, IncompatibleHistograms};
pub use buckets::Bucket;
pub use kahan::{Compensation, HistogramSum, kahan_add};
pub use quantile::NanObservations;
pub use text::TestNotation;
pub use validate::InvalidHistogram;

use std::sync::Arc;

/// The schema that says "boundaries are `custom_values`".
pub const CUSTOM_BUCKETS: i32 = -53;

/// What is known about a counter histogram's reset before this sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResetHint {
    /// Nothing: compare with the sample before.
    #[default]
    Unknown,
    /// This sample begins anew.
    Reset,
    /// This sample continues the one before.
    NotReset,
    /// A gauge histogram: counts may fall.
    Gauge,
}

/// A run of adjacent buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Buckets skipped since the end of the span before; of the first span, the index of its first bucket.
    pub offset: i32,
    /// Buckets in this span.
    pub length: u32,
}

/// A native histogram whose counts are floats. All evaluation uses this form.
#[derive(Clone, Debug, PartialEq)]
pub struct FloatHistogram {
    /// Resolution, -4..=8, or [`CUSTOM_BUCKETS`].
    pub schema: i32,
    /// Width of the zero bucket: it holds observations in `[-zero_threshold, zero_threshold]`.
    pub zero_threshold: f64,
    /// Observations in the zero bucket.
    pub zero_count: f64,
    /// All observations.
    pub count: f64,
    /// Sum of all observations; [`crate::STALE_NAN`] in a staleness marker.
    pub sum: f64,
    /// Spans of `positive_buckets`.
    pub positive_spans: Vec<Span>,
    /// Absolute counts.
    pub positive_buckets: Vec<f64>,
    /// Spans of `negative_buckets`.
    pub negative_spans: Vec<Span>,
    /// Absolute counts.
    pub negative_buckets: Vec<f64>,
    /// Upper boundaries, ascending, without `+Inf`; empty unless `schema` is [`CUSTOM_BUCKETS`].
    pub custom_values: Arc<[f64]>,
    /// What is known about resets.
    pub reset_hint: ResetHint,
}

/// A native histogram whose counts are integers, buckets as deltas: the form in which clients send it.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// Resolution, -4..=8, or [`CUSTOM_BUCKETS`].
    pub schema: i32,
    /// Width of the zero bucket.
    pub zero_threshold: f64,
    /// Observations in the zero bucket.
    pub zero_count: u64,
    /// All observations.
    pub count: u64,
    /// Sum of all observations; [`crate::STALE_NAN`] in a staleness marker.
    pub sum: f64,
    /// Spans of `positive_deltas`.
    pub positive_spans: Vec<Span>,
    /// The first count, then differences to the bucket before.
    pub positive_deltas: Vec<i64>,
    /// Spans of `negative_deltas`.
    pub negative_spans: Vec<Span>,
    /// The first count, then differences to the bucket before.
    pub negative_deltas: Vec<i64>,
    /// Upper boundaries, ascending, without `+Inf`; empty unless `schema` is [`CUSTOM_BUCKETS`].
    pub custom_values: Arc<[f64]>,
    /// What is known about resets.
    pub reset_hint: ResetHint,
}

impl Default for FloatHistogram {
    fn default() -> Self {
        Self {
            schema: 0,
            zero_threshold: 0.0,
            zero_count: 0.0,
            count: 0.0,
            sum: 0.0,
            positive_spans: Vec::new(),
            positive_buckets: Vec::new(),
            negative_spans: Vec::new(),
            negative_buckets: Vec::new(),
            custom_values: Arc::from([]),
            reset_hint: ResetHint::Unknown,
        }
    }
}

impl Histogram {
    /// The same histogram with float counts.
    pub fn to_float(&self) -> FloatHistogram {
        let absolute = |deltas: &[i64]| -> Vec<f64> {
            deltas
                .iter()
                .scan(0i64, |count, delta| {
                    *count = count.wrapping_add(*delta);
                    Some(*count as f64)
                })
                .collect()
        };
        FloatHistogram {
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero_count: self.zero_count as f64,
            count: self.count as f64,
            sum: self.sum,
            positive_spans: self.positive_spans.clone(),
            positive_buckets: absolute(&self.positive_deltas),
            negative_spans: self.negative_spans.clone(),
            negative_buckets: absolute(&self.negative_deltas),
            custom_values: self.custom_values.clone(),
            reset_hint: self.reset_hint,
        }
    }
}

impl FloatHistogram {
    /// Whether the boundaries are `custom_values`.
    #[inline]
    pub fn has_custom_buckets(&self) -> bool {
        self.schema == CUSTOM_BUCKETS
    }

    /// Whether this is a staleness marker.
    #[inline]
    pub fn is_stale(&self) -> bool {
        crate::sample::is_stale(self.sum)
    }

    /// Multiplies all counts and the sum. A negative factor makes a gauge of it.
    pub fn scale(&mut self, factor: f64) {
        self.map_counts(|count| count * factor);
        if factor < 0.0 {
            self.reset_hint = ResetHint::Gauge;
        }
    }

    /// Divides all counts and the sum; by 0 the buckets go. A negative divisor makes a gauge of it.
    pub fn divide(&mut self, divisor: f64) {
        self.map_counts(|count| count / divisor);
        if divisor == 0.0 {
            self.positive_spans.clear();
            self.positive_buckets.clear();
            self.negative_spans.clear();
            self.negative_buckets.clear();
        } else if divisor < 0.0 {
            self.reset_hint = ResetHint::Gauge;
        }
    }

    fn map_counts(&mut self, map: impl Fn(f64) -> f64) {
        self.zero_count = map(self.zero_count);
        self.count = map(self.count);
        self.sum = map(self.sum);
        for count in self.positive_buckets.iter_mut().chain(&mut self.negative_buckets) {
            *count = map(*count);
        }
    }

    /// Whether the counts, the sum or a boundary has become infinite.
    pub fn has_overflow(&self) -> bool {
        self.zero_count.is_infinite()
            || self.count.is_infinite()
            || self.sum.is_infinite()
            || self.positive_buckets.iter().chain(&self.negative_buckets).any(|c| c.is_infinite())
            || self.custom_values.iter().any(|b| b.is_infinite())
    }

    /// Whether two histograms hold the same data: equal layout (empty spans aside), and counts and sums equal bit by bit.
    /// Reset hints are not compared.
    pub fn same_data(&self, other: &Self) -> bool {
        let bits =
            |a: &[f64], b: &[f64]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits());
        self.schema == other.schema
            && self.count.to_bits() == other.count.to_bits()
            && self.sum.to_bits() == other.sum.to_bits()
            && (!self.has_custom_buckets() || buckets::same_bounds(&self.custom_values, &other.custom_values))
            && self.zero_threshold == other.zero_threshold
            && self.zero_count.to_bits() == other.zero_count.to_bits()
            && buckets::same_layout(&self.negative_spans, &other.negative_spans)
            && bits(&self.negative_buckets, &other.negative_buckets)
            && buckets::same_layout(&self.positive_spans, &other.positive_spans)
            && bits(&self.positive_buckets, &other.positive_buckets)
    }

    /// Bytes of memory, as Prometheus counts them for its limits.
    pub fn size_bytes(&self) -> usize {
        168 + 8
            * (self.positive_spans.len()
                + self.negative_spans.len()
                + self.positive_buckets.len()
                + self.negative_buckets.len()
                + self.custom_values.len())
    }
}
