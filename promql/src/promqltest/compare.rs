//! Whether a result is the expected one.

use std::fmt;

use model::histogram::TestNotation;
use model::{FloatHistogram, Labels, SampleValue, VectorSample};

use super::notation::SequenceValue;
use crate::engine::{MatrixSeries, Value};
use crate::format::general;
use crate::kernels::histogram::almost_equal;

/// Relative difference up to which two floats are equal.
pub const EPSILON: f64 = 1e-6;

/// Expected values of series.
pub type Expected = [(Labels, Vec<SequenceValue>)];

/// Whether two floats are equal as far as tests are concerned.
pub fn same_float(a: f64, b: f64) -> bool {
    almost_equal(a, b, EPSILON)
}

/// Whether two histograms are equal as far as tests are concerned; hints count when `hint` says so.
pub fn same_histogram(want: &FloatHistogram, got: &FloatHistogram, hint: bool) -> bool {
    let (want, got) = (want.clone().compacted(), got.clone().compacted());
    let counts = |a: &[f64], b: &[f64]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_float(*a, *b));
    use model::histogram::buckets::same_layout;
    want.schema == got.schema
        && same_float(want.count, got.count)
        && same_float(want.sum, got.sum)
        && (!want.has_custom_buckets() || want.custom_values == got.custom_values)
        && (!hint || want.reset_hint == got.reset_hint)
        && want.zero_threshold == got.zero_threshold
        && same_float(want.zero_count, got.zero_count)
        && same_layout(&want.negative_spans, &got.negative_spans)
        && counts(&want.negative_buckets, &got.negative_buckets)
        && same_layout(&want.positive_spans, &got.positive_spans)
        && counts(&want.positive_buckets, &got.positive_buckets)
}

/// A value for messages.
pub(super) struct Shown<'a>(pub(super) &'a SampleValue);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            SampleValue::Float(value) => f.write_str(&general(*value)),
            SampleValue::Histogram(histogram) => write!(f, "{}", TestNotation(histogram)),
        }
    }
}

fn same_value(want: &SequenceValue, got: &SampleValue) -> bool {
    match (want, got) {
        (SequenceValue::Float(want), SampleValue::Float(got)) => same_float(*want, *got),
        (SequenceValue::Histogram { histogram, hint_set }, SampleValue::Histogram(got)) => {
            same_histogram(histogram, got, *hint_set)
        }
        _ => false,
    }
}

fn show_sequence(value: &SequenceValue) -> String {
    match value {
        SequenceValue::Omitted => "_".to_owned(),
        SequenceValue::Float(value) => general(*value),
        SequenceValue::Histogram { histogram, .. } => TestNotation(histogram).to_string(),
    }
}

/// Compares an instant vector with the first value of each expected series.
///
/// # Errors
/// What is different.
pub fn vector(want: &Expected, got: &[VectorSample], ordered: bool) -> Result<(), String> {
    let mut seen = vec![false; want.len()];
    for (position, sample) in got.iter().enumerate() {
        let value = Shown(&sample.value);
        let Some(at) = want.iter().position(|(labels, _)| *labels == sample.labels) else {
            return Err(format!("unexpected metric {} in result, has value {value}", sample.labels));
        };
        if ordered && at != position {
            return Err(format!(
                "expected metric {} at position {} but was at {}",
                sample.labels,
                at + 1,
                position + 1
            ));
        }
        let first = want[at].1.first().ok_or_else(|| format!("no value expected for {}", sample.labels))?;
        if !same_value(first, &sample.value) {
            return Err(format!("expected {} for {} but got {value}", show_sequence(first), sample.labels));
        }
        seen[at] = true;
    }
    match seen.iter().position(|s| !s) {
        Some(at) => Err(format!("expected metric {} not found", want[at].0)),
        None => Ok(()),
    }
}

/// Compares a matrix with expected values at `start_ms`, `start_ms + step_ms`, … up to `end_ms`.
///
/// # Errors
/// What is different.
pub fn matrix(want: &Expected, got: &[MatrixSeries], times: (i64, i64, i64)) -> Result<(), String> {
    let (start_ms, end_ms, step_ms) = times;
    sorted(got)?;
    let mut seen = vec![false; want.len()];
    for series in got {
        let Some(at) = want.iter().position(|(labels, _)| *labels == series.labels) else {
            return Err(format!("unexpected metric {} in result, has {}", series.labels, show_series(series)));
        };
        seen[at] = true;
        let mut floats = Vec::new();
        let mut histograms = Vec::new();
        for (i, value) in want[at].1.iter().enumerate() {
            let time = start_ms + i as i64 * step_ms;
            if time > end_ms {
                return Err(format!(
                    "expected {} points for {}, more than the range has",
                    want[at].1.len(),
                    series.labels
                ));
            }
            match value {
                SequenceValue::Omitted => {}
                SequenceValue::Float(value) => floats.push((time, *value)),
                SequenceValue::Histogram { histogram, hint_set } => histograms.push((time, histogram, *hint_set)),
            }
        }
        let same_floats = floats.len() == series.floats.len()
            && floats.iter().zip(&series.floats).all(|(w, g)| w.0 == g.0 && same_float(w.1, g.1));
        let same_histograms = histograms.len() == series.histograms.len()
            && histograms.iter().zip(&series.histograms).all(|(w, g)| w.0 == g.0 && same_histogram(w.1, &g.1, w.2));
        if !same_floats || !same_histograms {
            let want: Vec<String> = want[at].1.iter().map(show_sequence).collect();
            return Err(format!("expected {} for {} but got {}", want.join(" "), series.labels, show_series(series)));
        }
    }
    match seen.iter().position(|s| !s) {
        Some(at) => Err(format!("expected metric {} not found", want[at].0)),
        None => Ok(()),
    }
}

/// Whether a matrix ascends by labels.
///
/// # Errors
/// Where it does not.
pub fn sorted(got: &[MatrixSeries]) -> Result<(), String> {
    match got.windows(2).find(|w| w[0].labels > w[1].labels) {
        Some(w) => Err(format!("matrix is not sorted: {} comes before {}", w[0].labels, w[1].labels)),
        None => Ok(()),
    }
}

fn show_series(series: &MatrixSeries) -> String {
    let mut points: Vec<(i64, String)> = series.floats.iter().map(|(t, v)| (*t, general(*v))).collect();
    points.extend(series.histograms.iter().map(|(t, h)| (*t, TestNotation(h).to_string())));
    points.sort_by_key(|p| p.0);
    let points: Vec<String> = points.into_iter().map(|(t, v)| format!("{v}@{t}")).collect();
    format!("[{}]", points.join(" "))
}

/// The elements of a matrix at one time.
pub fn at_time(got: &[MatrixSeries], time_ms: i64) -> Vec<VectorSample> {
    let mut out = Vec::new();
    for series in got {
        let float = series.floats.iter().find(|(t, _)| *t == time_ms).map(|(_, v)| SampleValue::Float(*v));
        let histogram = || {
            let point = series.histograms.iter().find(|(t, _)| *t == time_ms);
            point.map(|(_, h)| SampleValue::Histogram(h.clone()))
        };
        if let Some(value) = float.or_else(histogram) {
            out.push(VectorSample { labels: series.labels.clone(), value });
        }
    }
    out
}

/// A value in words, for messages.
pub(super) fn show(value: &Value) -> String {
    match value {
        Value::Scalar { value, .. } => format!("scalar {}", general(*value)),
        Value::String { value, .. } => format!("string {value:?}"),
        Value::Vector { samples, .. } => format!("vector of {} elements", samples.len()),
        Value::Matrix(series) => format!("matrix of {} series", series.len()),
    }
}
