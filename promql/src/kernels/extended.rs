//! `rate`, `increase`, `delta` over `anchored` and `smoothed` windows, and such windows themselves.
//!
//! An anchored window begins with the newest sample at or before its start. A smoothed one has interpolated values at
//! both edges. Neither extrapolates.

use std::sync::Arc;

use model::histogram::AddOutcome;
use model::{FloatHistogram, ResetHint};

use super::rate::Kind;
use super::{RangeInput, RangeNotes};
use crate::ast::Extension;
use crate::vector::Column;

/// First and last index that matter for a window, of times that reach beyond it; nothing when no sample counts.
fn bounds(times: &[i64], start: i64, end: i64, smoothed: bool) -> Option<(usize, usize)> {
    let last = times.len().checked_sub(1)?;
    let first = times[..last].partition_point(|t| *t <= start).saturating_sub(1);
    let last = if smoothed { times[..last].partition_point(|t| *t < end) } else { last };
    (times[last] > start && !(smoothed && times[first] > end)).then_some((first, last))
}

/// Value at `time` on the line between two samples; a counter that fell between them began at zero.
fn interpolate((t1, v1): (i64, f64), (t2, v2): (i64, f64), time: i64, counter: bool) -> f64 {
    let v1 = if counter && v2 < v1 { 0.0 } else { v1 };
    v1 + (v2 - v1) * (time - t1) as f64 / (t2 - t1) as f64
}

fn left_edge(times: &[i64], values: &[f64], first: usize, start: i64, smoothed: bool, counter: bool) -> f64 {
    if smoothed && times[first] < start {
        return interpolate((times[first], values[first]), (times[first + 1], values[first + 1]), start, counter);
    }
    values[first]
}

fn right_edge(times: &[i64], values: &[f64], last: usize, end: i64, smoothed: bool, counter: bool) -> f64 {
    if smoothed && last > 0 && times[last] > end {
        return interpolate((times[last - 1], values[last - 1]), (times[last], values[last]), end, counter);
    }
    values[last]
}

pub(super) fn run(input: &RangeInput<'_>, kind: Kind, notes: &mut RangeNotes, out: &mut Column) {
    let smoothed = input.extension == Some(Extension::Smoothed);
    for step in 0..input.steps.count {
        let (times, values) = (input.times(step), input.values(step));
        if input.has_histograms(step) {
            if values.is_empty() {
                let result = histogram_rate(input, step, kind, smoothed, notes);
                if let Some(result) = result {
                    out.set_histogram(step, Arc::new(result));
                }
            } else {
                notes.mixed = true;
            }
            continue;
        }
        let (start, end) = (input.start(step), input.end(step));
        let Some((mut first, last)) = bounds(times, start, end, smoothed) else { continue };
        let left = left_edge(times, values, first, start, smoothed, kind.counter);
        let right = right_edge(times, values, last, end, smoothed, kind.counter);
        let mut result = right - left;
        if kind.counter {
            // The edges have seen to resets around themselves.
            first += usize::from(times[first] <= start);
            let inside = if times[last] >= end { last } else { last + 1 };
            let mut before = left;
            for value in values.get(first..inside).unwrap_or(&[]) {
                if *value < before {
                    result += before;
                }
                before = *value;
            }
            if right < before {
                result += before;
            }
        }
        if kind.per_second {
            result /= input.range_ms as f64 / 1000.0;
        }
        out.floats[step] = result;
    }
}

/// The samples of an extended window as they are: edges first and last, those inside between them.
pub(crate) fn extend(times: &[i64], values: &[f64], start: i64, end: i64, smoothed: bool) -> Vec<(i64, f64)> {
    let Some((mut first, last)) = bounds(times, start, end, smoothed) else { return Vec::new() };
    let left = left_edge(times, values, first, start, smoothed, false);
    let right = right_edge(times, values, last, end, smoothed, false);
    first += usize::from(times[first] <= start);
    let inside = if times[last] >= end { last } else { last + 1 };
    let mut out = vec![(start, left)];
    out.extend((first..inside).map(|i| (times[i], values[i])));
    out.push((end, right));
    out
}

/// As for floats: the histogram at `time` between two others.
pub(crate) fn interpolate_histograms(
    (t1, h1): (i64, &FloatHistogram),
    (t2, h2): (i64, &FloatHistogram),
    time: i64,
    counter: bool,
    notes: &mut RangeNotes,
) -> Option<FloatHistogram> {
    if time == t1 {
        return Some(h1.clone());
    }
    if time == t2 {
        return Some(h2.clone());
    }
    let fraction = (time - t1) as f64 / (t2 - t1) as f64;
    let mut result = h2.clone();
    if counter && h2.is_reset_after(h1) {
        result.scale(fraction);
        return Some(result);
    }
    if !sub(&mut result, h1, notes) {
        return None;
    }
    result.scale(fraction);
    add(&mut result, h1, notes).then_some(result)
}

fn sub(a: &mut FloatHistogram, b: &FloatHistogram, notes: &mut RangeNotes) -> bool {
    let outcome = a.sub(b).ok();
    notes.mixed_schemas |= outcome.is_none();
    notes.reconciled_sub |= outcome.is_some_and(|o: AddOutcome| o.bounds_reconciled);
    outcome.is_some()
}

fn add(a: &mut FloatHistogram, b: &FloatHistogram, notes: &mut RangeNotes) -> bool {
    let outcome = a.add(b).ok();
    notes.mixed_schemas |= outcome.is_none();
    notes.reconciled_add |= outcome.is_some_and(|o: AddOutcome| o.bounds_reconciled);
    outcome.is_some()
}

fn histogram_rate(
    input: &RangeInput<'_>,
    step: usize,
    kind: Kind,
    smoothed: bool,
    notes: &mut RangeNotes,
) -> Option<FloatHistogram> {
    let (times, list) = input.window_histograms(step);
    let (start, end) = (input.start(step), input.end(step));
    let (first, last) = bounds(times, start, end, smoothed)?;
    let custom = list[first].has_custom_buckets();
    for h in &list[first..=last] {
        if h.has_custom_buckets() != custom {
            notes.mixed_schemas = true;
            return None;
        }
        notes.not_counter |= kind.counter && h.reset_hint == ResetHint::Gauge;
    }
    let at = |i: usize| (times[i], &*list[i]);
    let left = if smoothed && times[first] < start {
        interpolate_histograms(at(first), at(first + 1), start, kind.counter, notes)?
    } else {
        FloatHistogram::clone(&list[first])
    };
    let right = if smoothed && last > 0 && times[last] > end {
        interpolate_histograms(at(last - 1), at(last), end, kind.counter, notes)?
    } else {
        FloatHistogram::clone(&list[last])
    };
    if !kind.counter && (left.reset_hint != ResetHint::Gauge || right.reset_hint != ResetHint::Gauge) {
        notes.not_gauge = true;
    }
    let mut result = right.clone();
    if !sub(&mut result, &left, notes) {
        return None;
    }
    if kind.counter
        && let Some(correction) = reset_correction(times, list, (first, last), (&left, &right), start, smoothed, notes)?
        && !add(&mut result, &correction, notes)
    {
        return None;
    }
    if kind.per_second {
        result.divide(input.range_ms as f64 / 1000.0);
    }
    result.reset_hint = ResetHint::Gauge;
    Some(result.compacted())
}

/// What resets between the edges took away. The outer nothing: histograms do not fit together; the inner: no reset.
fn reset_correction(
    times: &[i64],
    list: &[Arc<FloatHistogram>],
    (first, last): (usize, usize),
    (left, right): (&FloatHistogram, &FloatHistogram),
    start: i64,
    smoothed: bool,
    notes: &mut RangeNotes,
) -> Option<Option<FloatHistogram>> {
    // The first sample is represented by `left`, the last by `right`.
    let mut from = first + 1;
    let mut before = left;
    if smoothed && times[first] < start && list[first + 1].is_reset_after(&list[first]) {
        // The interpolation at the left edge went over this reset already.
        before = &list[first + 1];
        from += 1;
    }
    if from > last {
        return Some(None);
    }
    let mut correction: Option<FloatHistogram> = None;
    let mut correct = |lost: &FloatHistogram, notes: &mut RangeNotes| match &mut correction {
        None => {
            correction = Some(lost.clone());
            true
        }
        Some(sum) => add(sum, lost, notes),
    };
    for h in &list[from..last] {
        if h.is_reset_after(before) && !correct(before, notes) {
            return None;
        }
        before = h;
    }
    if right.is_reset_after(before) && !correct(before, notes) {
        return None;
    }
    Some(correction)
}
