//! Classic histograms stored once more as native ones with custom buckets.

use std::collections::BTreeMap;

use model::histogram::CUSTOM_BUCKETS;
use model::histogram::buckets::SpanBuilder;
use model::{FloatHistogram, Labels, METRIC_NAME};

use super::notation::SequenceValue;
use super::script::{Load, ScriptError};

/// The parts of a classic histogram at one time.
#[derive(Default)]
struct Parts {
    /// Bounds and cumulative counts.
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: f64,
}

/// Histograms with their times, under the labels with which they are stored.
pub(super) type Converted = Vec<(Labels, Vec<(i64, FloatHistogram)>)>;

/// The classic histograms of a load as native ones.
pub(super) fn convert(load: &Load) -> Result<Converted, ScriptError> {
    let mut all: BTreeMap<Labels, BTreeMap<i64, Parts>> = BTreeMap::new();
    for series in &load.series {
        let name = series.labels.value(METRIC_NAME);
        let Some((suffix, base)) =
            ["_bucket", "_sum", "_count"].iter().find_map(|s| name.strip_suffix(s).map(|base| (*s, base)))
        else {
            continue;
        };
        let mut le = f64::INFINITY;
        if suffix == "_bucket" {
            let text = series.labels.get("le");
            let text = text.ok_or_else(|| ScriptError::new(load.line, "bucket without label \"le\""))?;
            match model::number::parse_float(text) {
                Ok(bound) if !bound.is_nan() => le = bound,
                _ => continue,
            }
        }
        let labels = series.labels.to_builder().set(METRIC_NAME, base).del("le").build();
        let by_time = all.entry(labels).or_default();
        for (at, value) in series.values.iter().enumerate() {
            let SequenceValue::Float(value) = value else { continue };
            let parts = by_time.entry(at as i64 * load.step_ms).or_default();
            match suffix {
                "_bucket" if parts.buckets.iter().all(|(bound, _)| *bound != le) => parts.buckets.push((le, *value)),
                "_count" => parts.count = Some(*value),
                "_sum" => parts.sum = *value,
                _ => {}
            }
        }
    }
    let mut out = Vec::new();
    for (labels, by_time) in all {
        let mut samples = Vec::new();
        for (time, parts) in by_time {
            samples.push((time, parts.build(load.line)?));
        }
        out.push((labels, samples));
    }
    Ok(out)
}

impl Parts {
    fn build(mut self, line: usize) -> Result<FloatHistogram, ScriptError> {
        let wrong = |what: &str| Err(ScriptError::new(line, what.to_owned()));
        self.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        if self.buckets.windows(2).any(|w| w[1].1 < w[0].1) || self.buckets.iter().any(|b| b.1 < 0.0) {
            return wrong("count is not cumulative");
        }
        let count = self.count.or(self.buckets.last().map(|b| b.1)).unwrap_or(0.0);
        if self.buckets.last().is_none_or(|b| b.0 != f64::INFINITY) {
            self.buckets.push((f64::INFINITY, count));
        }
        if self.buckets.last().is_some_and(|b| b.1 != count) {
            return wrong("count mismatch");
        }
        let mut out = SpanBuilder::default();
        let mut before = 0.0;
        for (at, (_, cumulative)) in self.buckets.iter().enumerate() {
            out.push(at as i32, cumulative - before);
            before = *cumulative;
        }
        let histogram = FloatHistogram {
            schema: CUSTOM_BUCKETS,
            count,
            sum: self.sum,
            positive_spans: out.spans,
            positive_buckets: out.counts,
            custom_values: self.buckets.iter().map(|b| b.0).filter(|b| b.is_finite()).collect(),
            ..FloatHistogram::default()
        };
        histogram.validate().map_err(|e| ScriptError::new(line, e.to_string()))?;
        Ok(histogram.compacted())
    }
}
