//! Classic histograms made into native ones with custom buckets: their bounds stay, one sample takes the place of many.

use std::sync::Arc;

use model::histogram::CUSTOM_BUCKETS;
use model::{FloatHistogram, Histogram, Labels, METRIC_NAME, ResetHint, Span};
use tsdb::NativeHistogram;
use wire::number::parse_float;

use super::PageError;
use super::ingest::{Ingest, PageExemplar};

/// The parts of one classic histogram.
#[derive(Default)]
pub(super) struct Classic {
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: f64,
}

impl Classic {
    pub(super) fn set_count(&mut self, count: f64) {
        self.count = Some(count);
    }

    pub(super) fn set_sum(&mut self, sum: f64) {
        self.sum = sum;
    }

    /// Adds a bucket with its cumulative count.
    pub(super) fn add_bucket(&mut self, bound: f64, count: f64) {
        self.buckets.push((bound, count));
    }

    /// The native form; `None` when the parts contradict each other.
    pub(super) fn convert(mut self) -> Option<NativeHistogram> {
        self.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        self.buckets.dedup_by(|a, b| a.0 == b.0);
        if self.buckets.iter().any(|(bound, _)| bound.is_nan()) {
            return None;
        }
        let infinite = match self.buckets.last() {
            Some((bound, count)) if *bound == f64::INFINITY => Some(*count),
            _ => None,
        };
        let total = self.count.or(infinite).or_else(|| self.buckets.last().map(|(_, count)| *count))?;
        if infinite.is_none() {
            self.buckets.push((f64::INFINITY, total));
        } else if infinite != Some(total) {
            return None;
        }
        let mut before = 0.0;
        let mut counts = Vec::with_capacity(self.buckets.len());
        for (_, count) in &self.buckets {
            // Cumulative counts never fall; NaN fails here too.
            if !(*count >= before && count.is_finite()) {
                return None;
            }
            counts.push(count - before);
            before = *count;
        }
        let bounds: Arc<[f64]> = self.buckets[..self.buckets.len() - 1].iter().map(|(bound, _)| *bound).collect();
        let (spans, used) = spans(&counts);
        let whole = |value: &f64| value.fract() == 0.0 && *value < 9e15;
        Some(if counts.iter().all(whole) && whole(&total) {
            let mut last = 0;
            let deltas = used.iter().map(|count| {
                let count = *count as i64;
                let delta = count - last;
                last = count;
                delta
            });
            NativeHistogram::Integer(Histogram {
                schema: CUSTOM_BUCKETS,
                zero_threshold: 0.0,
                zero_count: 0,
                count: total as u64,
                sum: self.sum,
                positive_deltas: deltas.collect(),
                positive_spans: spans,
                negative_spans: Vec::new(),
                negative_deltas: Vec::new(),
                custom_values: bounds,
                reset_hint: ResetHint::Unknown,
            })
        } else {
            NativeHistogram::Float(FloatHistogram {
                schema: CUSTOM_BUCKETS,
                count: total,
                sum: self.sum,
                positive_spans: spans,
                positive_buckets: used,
                custom_values: bounds,
                ..FloatHistogram::default()
            })
        })
    }
}

/// Spans over the buckets that hold something, and their counts.
fn spans(counts: &[f64]) -> (Vec<Span>, Vec<f64>) {
    let (mut spans, mut used): (Vec<Span>, Vec<f64>) = (Vec::new(), Vec::new());
    let mut empty = 0;
    let mut inside = false;
    for count in counts {
        if *count == 0.0 {
            inside = false;
            empty += 1;
            continue;
        }
        match spans.last_mut().filter(|_| inside) {
            Some(span) => span.length += 1,
            None => spans.push(Span { offset: empty, length: 1 }),
        }
        inside = true;
        empty = 0;
        used.push(*count);
    }
    (spans, used)
}

/// Collects the series of classic histograms of a text page: those of one histogram stand together.
#[derive(Default)]
pub(super) struct Collector {
    current: Option<Current>,
}

struct Current {
    /// Family and labels without `le`.
    labels: Labels,
    time_ms: Option<i64>,
    classic: Classic,
    exemplars: Vec<PageExemplar>,
}

impl Collector {
    /// Takes a sample of a classic histogram; false when it is none of its parts.
    pub(super) fn take(
        &mut self,
        ingest: &mut Ingest<'_>,
        labels: &Labels,
        value: f64,
        time_ms: Option<i64>,
        exemplar: Option<PageExemplar>,
    ) -> Result<bool, PageError> {
        let name = labels.metric_name().unwrap_or("");
        let (family, part) = match name.rsplit_once('_') {
            Some((family, part @ ("bucket" | "count" | "sum"))) => (family, part),
            _ => return Ok(false),
        };
        let bound = match part {
            "bucket" => match parse_float(labels.value("le").as_bytes()) {
                Some(bound) => Some(bound),
                None => return Ok(false),
            },
            _ => None,
        };
        let mut builder = labels.to_builder();
        builder.set(METRIC_NAME, family);
        if bound.is_some() {
            builder.del("le");
        }
        let key = builder.build();
        if self.current.as_ref().is_none_or(|current| current.labels != key) {
            self.finish(ingest)?;
            self.current = Some(Current { labels: key, time_ms, classic: Classic::default(), exemplars: Vec::new() });
        }
        if let Some(current) = &mut self.current {
            match (part, bound) {
                (_, Some(bound)) => current.classic.add_bucket(bound, value),
                ("count", _) => current.classic.set_count(value),
                _ => current.classic.set_sum(value),
            }
            current.exemplars.extend(exemplar);
        }
        Ok(true)
    }

    /// The histogram that was being collected is complete.
    pub(super) fn finish(&mut self, ingest: &mut Ingest<'_>) -> Result<(), PageError> {
        let Some(current) = self.current.take() else { return Ok(()) };
        let Some(histogram) = current.classic.convert() else { return Ok(()) };
        // No text of a page begins like this, so that the classic series keep their own place.
        let key = format!("\u{0}{}", current.labels);
        let labels = current.labels;
        let found = ingest.series(key.as_bytes(), current.time_ms, None, || {
            let created = Some(labels.clone());
            Ok((labels, Vec::new(), created))
        })?;
        if let Some(found) = found {
            ingest.histogram(&found, histogram);
            for exemplar in current.exemplars.into_iter().filter(|exemplar| exemplar.timestamp_ms.is_some()) {
                ingest.exemplar(&found, exemplar);
            }
        }
        Ok(())
    }
}
