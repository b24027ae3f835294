//! `smoothed` instant selectors: the value on the line between the samples around a step.

use std::sync::Arc;

use model::{ResetHint, SampleColumns};

use super::extended::interpolate_histograms;
use super::{RangeNotes, WindowEnd};
use crate::vector::{Column, Steps};

/// Where and how far around each step to look.
pub(crate) struct Smooth {
    pub(crate) steps: Steps,
    pub(crate) end: WindowEnd,
    pub(crate) lookback_ms: i64,
}

impl Smooth {
    /// Fills `out`; false when there is no value at all.
    pub(crate) fn fill(&self, columns: &SampleColumns, out: &mut Column, annotate: impl FnOnce(&RangeNotes)) -> bool {
        let mut notes = RangeNotes::default();
        let floats: Vec<(i64, f64)> = columns
            .timestamps
            .iter()
            .copied()
            .zip(columns.values.iter().copied())
            .filter(|(_, v)| !model::is_stale(*v))
            .collect();
        let histograms: Vec<_> = columns
            .histogram_timestamps
            .iter()
            .copied()
            .zip(&columns.histograms)
            .filter(|(_, h)| !h.is_stale())
            .collect();
        let mut any = false;
        for step in 0..self.steps.count {
            let at = self.end.of(&self.steps, step);
            let (first, last) = (at.saturating_sub(self.lookback_ms), at.saturating_add(self.lookback_ms));
            let window = |time: i64| time > first && time <= last;
            let in_floats = floats.iter().any(|(t, _)| window(*t));
            let in_histograms = histograms.iter().any(|(t, _)| window(*t));
            match (in_floats, in_histograms) {
                (true, true) => notes.mixed = true,
                (true, false) => {
                    let from = floats.partition_point(|(t, _)| *t <= first);
                    let to = floats.partition_point(|(t, _)| *t <= last);
                    let list = &floats[from..to];
                    let i = list.partition_point(|(t, _)| *t < at);
                    out.floats[step] = match (i.checked_sub(1).map(|i| list[i]), list.get(i)) {
                        (_, Some((time, value))) if *time == at => *value,
                        (Some((t1, v1)), Some((t2, v2))) => v1 + (v2 - v1) * (at - t1) as f64 / (t2 - t1) as f64,
                        (Some((_, value)), None) => value,
                        (None, _) => continue,
                    };
                    any = true;
                }
                (false, true) => {
                    let from = histograms.partition_point(|(t, _)| *t <= first);
                    let to = histograms.partition_point(|(t, _)| *t <= last);
                    let list = &histograms[from..to];
                    let i = list.partition_point(|(t, _)| *t < at);
                    let result = match (i.checked_sub(1).map(|i| list[i]), list.get(i)) {
                        (_, Some((time, h))) if *time == at => Some(model::FloatHistogram::clone(h)),
                        (Some((t1, h1)), Some((t2, h2))) => {
                            if h1.has_custom_buckets() != h2.has_custom_buckets() {
                                notes.mixed_schemas = true;
                                None
                            } else {
                                let counter = h1.reset_hint != ResetHint::Gauge || h2.reset_hint != ResetHint::Gauge;
                                interpolate_histograms((t1, h1), (*t2, h2), at, counter, &mut notes)
                            }
                        }
                        (Some((_, h)), None) => {
                            // The hint is about the sample, not about the value carried on.
                            let mut h = model::FloatHistogram::clone(h);
                            h.reset_hint = ResetHint::Unknown;
                            Some(h)
                        }
                        (None, _) => None,
                    };
                    if let Some(result) = result {
                        out.set_histogram(step, Arc::new(result));
                        any = true;
                    }
                }
                (false, false) => {}
            }
        }
        annotate(&notes);
        any
    }
}
