//! Native histograms: sparse buckets of exponential or custom boundaries, in integer and float form.
//!
//! Buckets stand in spans: a span skips `offset` buckets from the end of the span before (the first one counts from
//! bucket 0) and then covers `length` buckets. With `schema` in -4..=8 the boundary of bucket `i` is `2^(i * 2^-schema)`;
//! with [`CUSTOM_BUCKETS`] the boundaries are `custom_values` and only positive buckets exist. Rules: Prometheus' native
//! histogram specification.

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
