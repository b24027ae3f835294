//! The resolution in which native histograms are taken: as many buckets as a job allows.

use model::histogram::CUSTOM_BUCKETS;
use model::{FloatHistogram, Histogram};
use tsdb::NativeHistogram;

/// Coarsest exponential schema.
const SCHEMA_MIN: i32 = -4;
/// Finest exponential schema.
const SCHEMA_MAX: i32 = 8;

/// A histogram with at most `limit` buckets (0: any number) whose bounds grow by `min_factor` at least. `None` when no resolution has
/// so few buckets.
pub(super) fn limit_buckets(histogram: NativeHistogram, limit: usize, min_factor: f64) -> Option<NativeHistogram> {
    let (schema, buckets) = shape(&histogram);
    if schema == CUSTOM_BUCKETS {
        return (limit == 0 || buckets <= limit).then_some(histogram);
    }
    let mut wanted = schema.min(finest_schema(min_factor));
    let mut reduced = to_schema(histogram, wanted);
    while limit > 0 && shape(&reduced).1 > limit {
        if wanted <= SCHEMA_MIN {
            return None;
        }
        wanted -= 1;
        reduced = to_schema(reduced, wanted);
    }
    Some(reduced)
}

/// The finest schema whose bounds grow by this factor at least.
fn finest_schema(factor: f64) -> i32 {
    if factor <= 1.0 {
        return SCHEMA_MAX;
    }
    ((-factor.log2().log2()).floor() as i32).clamp(SCHEMA_MIN, SCHEMA_MAX)
}

fn shape(histogram: &NativeHistogram) -> (i32, usize) {
    match histogram {
        NativeHistogram::Integer(h) => (h.schema, h.positive_deltas.len() + h.negative_deltas.len()),
        NativeHistogram::Float(h) => (h.schema, h.positive_buckets.len() + h.negative_buckets.len()),
    }
}

fn to_schema(histogram: NativeHistogram, schema: i32) -> NativeHistogram {
    match histogram {
        NativeHistogram::Integer(h) if h.schema > schema => {
            let reduced = h.to_float().to_schema(schema);
            NativeHistogram::Integer(Histogram {
                positive_deltas: deltas(&reduced, true),
                negative_deltas: deltas(&reduced, false),
                positive_spans: reduced.positive_spans,
                negative_spans: reduced.negative_spans,
                schema,
                ..h
            })
        }
        NativeHistogram::Float(h) if h.schema > schema => NativeHistogram::Float(h.to_schema(schema)),
        other => other,
    }
}

/// Counts of a histogram that had integers, as differences.
fn deltas(histogram: &FloatHistogram, positive: bool) -> Vec<i64> {
    let counts = if positive { &histogram.positive_buckets } else { &histogram.negative_buckets };
    let mut before = 0;
    counts
        .iter()
        .map(|count| {
            let count = *count as i64;
            let delta = count - before;
            before = count;
            delta
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_finest_schema_follows_the_factor() {
        for (factor, want) in [(0.0, 8), (1.0, 8), (1.002, 8), (1.1, 2), (1.5, 0), (2.0, 0), (4.0, -1), (1e9, -4)] {
            assert_eq!(finest_schema(factor), want, "{factor}");
        }
    }
}
