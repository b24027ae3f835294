//! Samples of a series and the columns in which they travel from a store to an evaluator.

use std::sync::Arc;

use crate::histogram::FloatHistogram;
use crate::labels::Labels;

/// The staleness marker: this very NaN says that a series has ended. Compare bits ([`is_stale`]), never `is_nan` alone.
pub const STALE_NAN: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// The NaN that ordinary arithmetic is written as, so that equal results have equal bits.
pub const NORMAL_NAN: f64 = f64::from_bits(0x7ff8_0000_0000_0001);

/// True for the staleness marker and for no other NaN.
#[inline]
pub fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE_NAN.to_bits()
}

/// Adds `value` to a running sum and its compensation (Kahan's summation in Neumaier's form); returns both. An infinite
/// sum has no compensation.
#[inline]
pub fn kahan_inc(value: f64, sum: f64, compensation: f64) -> (f64, f64) {
    let total = sum + value;
    let compensation = if total.is_infinite() {
        0.0
    } else if sum.abs() >= value.abs() {
        compensation + ((sum - total) + value)
    } else {
        compensation + ((value - total) + sum)
    };
    (total, compensation)
}

/// What one series of a query's result holds at one time.
#[derive(Clone, Debug, PartialEq)]
pub enum SampleValue {
    /// A float; [`STALE_NAN`] ends a series.
    Float(f64),
    /// A native histogram.
    Histogram(Arc<FloatHistogram>),
}

impl SampleValue {
    /// The float, 0 for a histogram: what an alert shows as its value.
    pub fn as_float(&self) -> f64 {
        match self {
            Self::Float(value) => *value,
            Self::Histogram(_) => 0.0,
        }
    }
}

/// One series of a query's result at one time: an element of an instant vector.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorSample {
    /// The series' labels, the metric name included if the expression kept it.
    pub labels: Labels,
    /// Its value.
    pub value: SampleValue,
}

impl VectorSample {
    /// A float sample.
    pub fn float(labels: Labels, value: f64) -> Self {
        Self { labels, value: SampleValue::Float(value) }
    }
}

/// Samples of one series as columns, timestamps ascending and unique over floats and histograms together.
///
/// A series holds floats, native histograms, or (rarely) both; the two kinds are kept apart so that the common case is two plain slices.
/// Reused between series: a reader clears it first, so no allocation happens per series once it has grown.
#[derive(Clone, Debug, Default)]
pub struct SampleColumns {
    /// Timestamps in ms of the float samples.
    pub timestamps: Vec<i64>,
    /// Values, one for each of `timestamps`. Staleness markers are included.
    pub values: Vec<f64>,
    /// Start timestamps in ms (0: unknown), one for each of `timestamps`, or empty when the store holds none for the series.
    pub start_timestamps: Vec<i64>,
    /// Timestamps in ms of the histogram samples.
    pub histogram_timestamps: Vec<i64>,
    /// Histograms, one for each of `histogram_timestamps`. A stale one has [`STALE_NAN`] as its sum.
    pub histograms: Vec<Arc<FloatHistogram>>,
    /// As `start_timestamps`, for the histograms.
    pub histogram_start_timestamps: Vec<i64>,
}

impl SampleColumns {
    /// Empty columns.
    pub fn new() -> Self {
        Self::default()
    }

    /// Removes all samples, keeps the memory.
    pub fn clear(&mut self) {
        self.timestamps.clear();
        self.values.clear();
        self.start_timestamps.clear();
        self.histogram_timestamps.clear();
        self.histograms.clear();
        self.histogram_start_timestamps.clear();
    }

    /// Number of samples of both kinds.
    pub fn len(&self) -> usize {
        self.timestamps.len() + self.histogram_timestamps.len()
    }

    /// True when there is no sample of either kind.
    pub fn is_empty(&self) -> bool {
        self.timestamps.is_empty() && self.histogram_timestamps.is_empty()
    }

    /// Adds a float sample; the caller keeps timestamps ascending.
    #[inline]
    pub fn push(&mut self, timestamp_ms: i64, value: f64) {
        self.timestamps.push(timestamp_ms);
        self.values.push(value);
        if !self.start_timestamps.is_empty() {
            self.start_timestamps.push(0);
        }
    }

    /// Adds a histogram sample; the caller keeps timestamps ascending.
    pub fn push_histogram(&mut self, timestamp_ms: i64, histogram: Arc<FloatHistogram>) {
        self.histogram_timestamps.push(timestamp_ms);
        self.histograms.push(histogram);
        if !self.histogram_start_timestamps.is_empty() {
            self.histogram_start_timestamps.push(0);
        }
    }
}
