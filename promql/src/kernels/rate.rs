//! `rate`, `increase`, `delta`: the difference over a window, extrapolated to its edges.
//!
//! Between the first and the last sample the difference is exact, a drop of a counter counting as a reset. It is then
//! stretched to each edge of the window that is closer than 1.1 times the average distance of the samples, else by half
//! that distance; a counter is never stretched to below zero. Rules: Prometheus querying docs, "rate()".

use std::sync::Arc;

use model::{FloatHistogram, ResetHint};

use super::{RangeInput, RangeNotes, WindowShape, extended};
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
    let shapes = input.shapes.get_or_init(|| shapes(input));
    let plain = samples.histograms.is_empty() && samples.starts.is_empty();
    let (mut first_reset, mut first_overlap) = (0, 0);
    for (step, (window, shape)) in input.floats.iter().zip(shapes).enumerate() {
        let (from, to) = (window.0 as usize, window.1 as usize);
        if !plain && input.has_histograms(step) {
            if from == to {
                histograms(input, step, kind, notes, out);
            } else {
                notes.mixed = true;
            }
            continue;
        }
        if from == to || (plain && from + 1 == to) {
            continue;
        }
        let (first, last) = (samples.values[from], samples.values[to - 1]);
        let mut difference = last - first;
        // A reset at index i belongs to the window when the sample before it does too.
        while resets.get(first_reset).is_some_and(|i| *i as usize <= from) {
            first_reset += 1;
        }
        for i in resets[first_reset..].iter().take_while(|i| (**i as usize) < to) {
            difference += samples.values[*i as usize - 1];
        }
        if !plain {
            while overlapping.get(first_overlap).is_some_and(|i| *i as usize <= from) {
                first_overlap += 1;
            }
            if overlapping.get(first_overlap).is_some_and(|i| (*i as usize) < to) {
                notes.start_overlaps += 1;
            }
            let start = samples.starts.get(from).copied().unwrap_or(0);
            let (time, newest) = (samples.times[from], samples.times[to - 1]);
            if kind.counter && starts_inside(start, input.start(step), time) {
                // The counter was zero at its start: no stretching to the left.
                let sampled = (newest - start) as f64 / 1000.0;
                let factor = stretched(sampled, 0.0, shape.to_end);
                out.floats[step] = (difference + first) * per_second(factor, kind, range_seconds);
                continue;
            }
            if from + 1 == to {
                continue;
            }
        }
        let mut factor = shape.factor;
        if kind.counter && difference > 0.0 && first >= 0.0 {
            // Where the counter would have been zero: looked at closely only if that may be inside the stretch.
            let near = first * shape.sampled <= shape.to_start * difference * 1.000_001;
            let to_zero = if near { shape.sampled * (first / difference) } else { f64::INFINITY };
            if to_zero < shape.to_start {
                factor = stretched(shape.sampled, to_zero, shape.to_end);
            }
        }
        out.floats[step] = difference * per_second(factor, kind, range_seconds);
    }
    Ok(())
}

#[inline]
fn per_second(factor: f64, kind: Kind, range_seconds: f64) -> f64 {
    if kind.per_second { factor / range_seconds } else { factor }
}

/// The stretched length over the sampled one.
#[inline]
fn stretched(sampled: f64, to_start: f64, to_end: f64) -> f64 {
    if sampled == 0.0 { 1.0 } else { (sampled + to_start + to_end) / sampled }
}

/// Whether a start time lies inside a window before its first sample: the counter was zero there.
fn starts_inside(start: i64, window_start: i64, first: i64) -> bool {
    start != 0 && start > window_start && start < first
}

/// Shapes of all windows over the floats.
fn shapes(input: &RangeInput<'_>) -> Vec<WindowShape> {
    (0..input.steps.count)
        .map(|step| {
            let times = input.times(step);
            match (times.first(), times.last()) {
                (Some(first), Some(last)) => shape(input.start(step), input.end(step), *first, *last, times.len() - 1),
                _ => WindowShape::default(),
            }
        })
        .collect()
}

/// The shape of a window between `start` and `end` with `gaps + 1` samples from `first` to `last`.
fn shape(start: i64, end: i64, first: i64, last: i64, gaps: usize) -> WindowShape {
    let mut to_start = (first - start) as f64 / 1000.0;
    let mut to_end = (end - last) as f64 / 1000.0;
    let sampled = (last - first) as f64 / 1000.0;
    let average = if gaps > 0 { sampled / gaps as f64 } else { 0.0 };
    let threshold = average * 1.1;
    if to_start >= threshold {
        to_start = average / 2.0;
    }
    if to_end >= threshold {
        to_end = average / 2.0;
    }
    WindowShape { sampled, to_start, to_end, factor: stretched(sampled, to_start, to_end) }
}

/// Indexes at which a counter was reset, and at which start times overlap.
fn find_resets(values: &[f64], times: &[i64], starts: &[i64], resets: &mut Vec<u32>, overlapping: &mut Vec<u32>) {
    if starts.is_empty() {
        // Most counters never fall: one pass without branches says so.
        let falls = values.iter().zip(values.get(1..).unwrap_or(&[])).fold(false, |any, (a, b)| any | (b < a));
        if !falls {
            return;
        }
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

/// The window of a step that holds histograms only.
fn histograms(input: &RangeInput<'_>, step: usize, kind: Kind, notes: &mut RangeNotes, out: &mut Column) {
    let range = input.histogram_range(step);
    let (times, list) = input.window_histograms(step);
    let starts = input.samples.histogram_starts.get(range).unwrap_or(&[]);
    let n = list.len();
    let (first, last) = (times[0], times[n - 1]);
    let shape = shape(input.start(step), input.end(step), first, last, n - 1);
    let mut result = None;
    if n > 1 {
        match histogram_difference(times, list, starts, kind.counter, notes) {
            Some(difference) => result = Some(difference),
            None => return,
        }
    }
    let start = starts.first().copied().unwrap_or(0);
    let anchor = kind.counter && starts_inside(start, input.start(step), first);
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
    let Some(mut result) = result else { return };
    let factor = if anchor {
        stretched((last - start) as f64 / 1000.0, 0.0, shape.to_end)
    } else {
        let to_zero = if kind.counter && result.count > 0.0 && list[0].count >= 0.0 {
            shape.sampled * (list[0].count / result.count)
        } else {
            f64::INFINITY
        };
        stretched(shape.sampled, shape.to_start.min(to_zero), shape.to_end)
    };
    result.scale(per_second(factor, kind, input.range_ms as f64 / 1000.0));
    out.set_histogram(step, Arc::new(result));
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
