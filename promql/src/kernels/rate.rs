//! `rate`, `increase`, `delta`: the difference over a window, extrapolated to its edges.
//!
//! Between the first and the last sample the difference is exact, a drop of a counter counting as a reset. It is then
//! stretched to each edge of the window that is closer than 1.1 times the average distance of the samples, else by half
//! that distance; a counter is never stretched to below zero. Rules: Prometheus querying docs, "rate()".

use std::sync::Arc;

use model::{FloatHistogram, ResetHint};

use super::{RangeInput, RangeNotes, extended};
use crate::error::QueryError;
use crate::vector::Column;

/// What is asked for.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    pub(super) counter: bool,
    pub(super) per_second: bool,
}

pub(super) fn rate(input: &RangeInput<'_>, notes: &mut RangeNotes, out: &mut Column) -> Result<(), QueryError> {
    run(input, Kind { counter: true, per_second: true }, notes, out)
}

pub(super) fn increase(input: &RangeInput<'_>, notes: &mut RangeNotes, out: &mut Column) -> Result<(), QueryError> {
    run(input, Kind { counter: true, per_second: false }, notes, out)
}

pub(super) fn delta(input: &RangeInput<'_>, notes: &mut RangeNotes, out: &mut Column) -> Result<(), QueryError> {
    run(input, Kind { counter: false, per_second: false }, notes, out)
}

/// Whether the start time of a sample says that the counter began anew after the sample before.
pub(super) fn is_start_reset(before_start: i64, before: i64, start: i64, time: i64) -> bool {
    if start == 0 || start >= time || start < before {
        return false;
    }
    if start > before {
        return true;
    }
    // The start is the sample before: a delta, unless that one's start is unknown or makes no sense.
    before_start <= before && before_start != 0 && before_start != before
}

/// Whether the start time of a sample lies before the sample before without being that one's.
fn overlaps(before_start: i64, before: i64, start: i64) -> bool {
    start != 0 && start < before && start != before_start
}

fn run(input: &RangeInput<'_>, kind: Kind, notes: &mut RangeNotes, out: &mut Column) -> Result<(), QueryError> {
    if input.extension.is_some() {
        extended::run(input, kind, notes, out);
        return Ok(());
    }
    let samples = &input.samples;
    let mut resets: Vec<u32> = Vec::new();
    let mut overlapping: Vec<u32> = Vec::new();
    if kind.counter {
        find_resets(samples.values, samples.times, samples.starts, &mut resets, &mut overlapping);
    }
    let range_seconds = input.range_ms as f64 / 1000.0;
    let (mut first_reset, mut first_overlap) = (0, 0);
    for step in 0..input.steps.count {
        let window = input.float_range(step);
        if input.has_histograms(step) {
            if window.is_empty() {
                histograms(input, step, kind, notes, out);
            } else {
                notes.mixed = true;
            }
            continue;
        }
        if window.is_empty() {
            continue;
        }
        let (from, to) = (window.start, window.end);
        let values = &samples.values[from..to];
        let times = &samples.times[from..to];
        let n = values.len();
        let mut difference = values[n - 1] - values[0];
        // A reset at index i belongs to the window when the sample before it does too.
        while resets.get(first_reset).is_some_and(|i| *i as usize <= from) {
            first_reset += 1;
        }
        for i in resets[first_reset..].iter().take_while(|i| (**i as usize) < to) {
            difference += samples.values[*i as usize - 1];
        }
        while overlapping.get(first_overlap).is_some_and(|i| *i as usize <= from) {
            first_overlap += 1;
        }
        if overlapping.get(first_overlap).is_some_and(|i| (*i as usize) < to) {
            notes.start_overlaps += 1;
        }
        let start = samples.starts.get(from).copied().unwrap_or(0);
        let window = SampledWindow {
            start: input.start(step),
            end: input.end(step),
            first: times[0],
            last: times[n - 1],
            gaps: n - 1,
        };
        let anchor = kind.counter && window.starts_at(start);
        if anchor {
            difference += values[0];
        }
        let zero = (difference > 0.0 && values[0] >= 0.0).then(|| values[0] / difference);
        if let Some(factor) = window.factor(anchor.then_some(start), kind, zero, range_seconds) {
            out.floats[step] = difference * factor;
        }
    }
    Ok(())
}

/// Indexes at which a counter was reset, and at which start times overlap.
fn find_resets(values: &[f64], times: &[i64], starts: &[i64], resets: &mut Vec<u32>, overlapping: &mut Vec<u32>) {
    if starts.is_empty() {
        for (i, pair) in values.windows(2).enumerate() {
            if pair[1] < pair[0] {
                resets.push(i as u32 + 1);
            }
        }
        return;
    }
    for i in 1..values.len() {
        if overlaps(starts[i - 1], times[i - 1], starts[i]) {
            overlapping.push(i as u32);
        }
        if values[i] < values[i - 1] || is_start_reset(starts[i - 1], times[i - 1], starts[i], times[i]) {
            resets.push(i as u32);
        }
    }
}

/// A window and the samples in it, as far as extrapolation needs them.
struct SampledWindow {
    start: i64,
    end: i64,
    first: i64,
    last: i64,
    /// Samples less one.
    gaps: usize,
}

impl SampledWindow {
    /// Whether a start time lies inside the window before the first sample: the counter was zero there.
    fn starts_at(&self, start: i64) -> bool {
        start != 0 && start > self.start && start < self.first
    }

    /// By what the sampled difference is multiplied; nothing when there is no difference. `anchor` is a start time inside
    /// the window, `zero` how many sampled intervals before the first sample the counter would have been zero.
    #[inline]
    fn factor(&self, anchor: Option<i64>, kind: Kind, zero: Option<f64>, range_seconds: f64) -> Option<f64> {
        let mut to_start = (self.first - self.start) as f64 / 1000.0;
        let mut to_end = (self.end - self.last) as f64 / 1000.0;
        let mut sampled = (self.last - self.first) as f64 / 1000.0;
        let average = if self.gaps > 0 { sampled / self.gaps as f64 } else { 0.0 };
        let threshold = average * 1.1;
        if let Some(start) = anchor {
            to_start = 0.0;
            sampled = (self.last - start) as f64 / 1000.0;
        } else if self.gaps == 0 {
            return None;
        } else {
            if to_start >= threshold {
                to_start = average / 2.0;
            }
            if kind.counter
                && let Some(zero) = zero
            {
                let to_zero = sampled * zero;
                if to_zero < to_start {
                    to_start = to_zero;
                }
            }
        }
        if to_end >= threshold {
            to_end = average / 2.0;
        }
        let mut factor = 1.0;
        if sampled != 0.0 {
            factor = (sampled + to_start + to_end) / sampled;
        }
        if kind.per_second {
            factor /= range_seconds;
        }
        Some(factor)
    }
}

/// The window of a step that holds histograms only.
fn histograms(input: &RangeInput<'_>, step: usize, kind: Kind, notes: &mut RangeNotes, out: &mut Column) {
    let range = input.histogram_range(step);
    let (times, list) = input.window_histograms(step);
    let starts = input.samples.histogram_starts.get(range).unwrap_or(&[]);
    let n = list.len();
    let window = SampledWindow {
        start: input.start(step),
        end: input.end(step),
        first: times[0],
        last: times[n - 1],
        gaps: n - 1,
    };
    let mut result = None;
    if n > 1 {
        match histogram_difference(times, list, starts, kind.counter, notes) {
            Some(difference) => result = Some(difference),
            None => return,
        }
    }
    let start = starts.first().copied().unwrap_or(0);
    let anchor = kind.counter && window.starts_at(start);
    if anchor {
        match &mut result {
            None => result = Some(FloatHistogram::clone(&list[0])),
            Some(sum) => match sum.add(&list[0]) {
                Ok(outcome) => notes.reconciled_add |= outcome.bounds_reconciled,
                Err(_) => {
                    notes.mixed_schemas = true;
                    return;
                }
            },
        }
    }
    let zero = result.as_ref().filter(|r| r.count > 0.0 && list[0].count >= 0.0).map(|r| list[0].count / r.count);
    let factor = window.factor(anchor.then_some(start), kind, zero, input.range_ms as f64 / 1000.0);
    if let (Some(factor), Some(mut result)) = (factor, result) {
        result.scale(factor);
        out.set_histogram(step, Arc::new(result));
    }
}

/// Last less first histogram, resets of a counter made good. Nothing when they do not fit together.
fn histogram_difference(
    times: &[i64],
    list: &[Arc<FloatHistogram>],
    starts: &[i64],
    counter: bool,
    notes: &mut RangeNotes,
) -> Option<FloatHistogram> {
    let is_gauge = |h: &FloatHistogram| h.reset_hint == ResetHint::Gauge;
    let n = list.len();
    let (first, last) = (&list[0], &list[n - 1]);
    let start_reset = |i: usize| i < starts.len() && is_start_reset(starts[i - 1], times[i - 1], starts[i], times[i]);
    if counter && (is_gauge(first) || is_gauge(last)) {
        notes.not_counter = true;
    }
    // Behind a reset after the first sample its layout does not matter.
    let emptied;
    let mut before: &FloatHistogram = first;
    if counter && (start_reset(1) || list[1].is_reset_after(first)) {
        emptied = FloatHistogram {
            schema: list[1].schema,
            custom_values: list[1].custom_values.clone(),
            ..FloatHistogram::default()
        };
        before = &emptied;
    }
    let custom = before.has_custom_buckets();
    if last.has_custom_buckets() != custom {
        notes.mixed_schemas = true;
        return None;
    }
    let mut schema = last.schema.min(before.schema);
    if counter {
        for h in &list[1..n - 1] {
            notes.not_counter |= is_gauge(h);
            schema = schema.min(h.schema);
            if h.has_custom_buckets() != custom {
                notes.mixed_schemas = true;
                return None;
            }
        }
    }
    let mut difference = last.to_schema(schema);
    match difference.sub(before) {
        Ok(outcome) => notes.reconciled_sub |= outcome.bounds_reconciled,
        Err(_) => {
            notes.mixed_schemas = true;
            return None;
        }
    }
    if counter {
        let mut overlap = false;
        for i in 1..n {
            overlap |= i < starts.len() && overlaps(starts[i - 1], times[i - 1], starts[i]);
            let current = &list[i];
            if start_reset(i) || current.is_reset_after(before) {
                match difference.add(before) {
                    Ok(outcome) => notes.reconciled_add |= outcome.bounds_reconciled,
                    Err(_) => {
                        notes.mixed_schemas = true;
                        return None;
                    }
                }
            }
            before = current;
        }
        notes.start_overlaps += u64::from(overlap);
    } else if !is_gauge(first) || !is_gauge(last) {
        notes.not_gauge = true;
    }
    difference.reset_hint = ResetHint::Gauge;
    Some(difference.compacted())
}
