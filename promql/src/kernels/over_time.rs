//! `*_over_time`: aggregations of the samples of a window.

use std::sync::Arc;

use model::histogram::HistogramSum;
use model::sample::kahan_inc;
use model::{FloatHistogram, ResetHint};

use super::{RangeInput, RangeNotes};
use crate::error::QueryError;
use crate::vector::Column;
use crate::vector::aggregate::quantile_of;

type Outcome = Result<(), QueryError>;

/// For functions of floats only: histograms beside them are noted, alone they give nothing.
fn floats(input: &RangeInput<'_>, notes: &mut RangeNotes, out: &mut Column, mut f: impl FnMut(&[f64]) -> f64) {
    for step in 0..input.steps.count {
        let values = input.values(step);
        if !values.is_empty() {
            notes.ignored |= input.has_histograms(step);
            out.floats[step] = f(values);
        }
    }
}

/// For functions that take floats or histograms, but not both in one window.
fn floats_or_histograms(
    input: &RangeInput<'_>,
    notes: &mut RangeNotes,
    out: &mut Column,
    float: impl Fn(&[f64]) -> f64,
    mean: bool,
) {
    for step in 0..input.steps.count {
        let values = input.values(step);
        match (values.is_empty(), input.has_histograms(step)) {
            (false, false) => out.floats[step] = float(values),
            (false, true) => notes.mixed = true,
            (true, true) => {
                if let Some(result) = fold_histograms(input.window_histograms(step).1, mean, notes) {
                    out.set_histogram(step, Arc::new(result));
                }
            }
            (true, false) => {}
        }
    }
}

fn fold_histograms(list: &[Arc<FloatHistogram>], mean: bool, notes: &mut RangeNotes) -> Option<FloatHistogram> {
    let has = |hint: ResetHint| list.iter().any(|h| h.reset_hint == hint);
    let mut sum = HistogramSum::new(FloatHistogram::clone(list.first()?));
    let mut reconciled = false;
    for h in &list[1..] {
        match if mean { sum.add_to_mean(h) } else { sum.add(h) } {
            Ok(outcome) => reconciled |= outcome.bounds_reconciled,
            Err(_) => {
                notes.mixed_schemas = true;
                return None;
            }
        }
    }
    notes.reset_collision |= has(ResetHint::Reset) && has(ResetHint::NotReset);
    notes.reconciled_aggregate |= reconciled;
    Some(if mean { sum.finish_mean() } else { sum.finish() })
}

pub(super) fn avg(input: &RangeInput<'_>, notes: &mut RangeNotes, out: &mut Column) -> Outcome {
    floats_or_histograms(input, notes, out, mean_of, true);
    Ok(())
}

/// The compensated sum over the count, or a running mean from where the sum would be infinite.
fn mean_of(values: &[f64]) -> f64 {
    let (mut sum, mut c, mut incremental) = (values[0], 0.0, false);
    let mut n = 1.0;
    for value in &values[1..] {
        n += 1.0;
        if !incremental {
            let (new_sum, new_c) = kahan_inc(*value, sum, c);
            if !new_sum.is_infinite() {
                (sum, c) = (new_sum, new_c);
                continue;
            }
            incremental = true;
            sum /= n - 1.0;
            c /= n - 1.0;
        }
        let weight = (n - 1.0) / n;
        (sum, c) = kahan_inc(value / n, weight * sum, weight * c);
    }
    if incremental { sum + c } else { sum / n + c / n }
}

pub(super) fn sum(input: &RangeInput<'_>, notes: &mut RangeNotes, out: &mut Column) -> Outcome {
    let sum_of = |values: &[f64]| {
        let (mut sum, mut c) = (0.0, 0.0);
        for value in values {
            (sum, c) = kahan_inc(*value, sum, c);
        }
        if sum.is_infinite() { sum } else { sum + c }
    };
    floats_or_histograms(input, notes, out, sum_of, false);
    Ok(())
}

pub(super) fn min(input: &RangeInput<'_>, notes: &mut RangeNotes, out: &mut Column) -> Outcome {
    extreme(input, notes, out, |new, held| new < held);
    Ok(())
}

pub(super) fn max(input: &RangeInput<'_>, notes: &mut RangeNotes, out: &mut Column) -> Outcome {
    extreme(input, notes, out, |new, held| new > held);
    Ok(())
}

/// The best value of each window. The best of the last window stays while it is inside, so that a window costs what
/// entered it, save when its best has left.
fn extreme(input: &RangeInput<'_>, notes: &mut RangeNotes, out: &mut Column, better: impl Fn(f64, f64) -> bool) {
    let values = input.samples.values;
    let mut held: Option<(usize, usize)> = None;
    for step in 0..input.steps.count {
        let window = input.float_range(step);
        if window.is_empty() {
            held = None;
            continue;
        }
        notes.ignored |= input.has_histograms(step);
        let (mut best, from) = match held {
            Some((best, seen)) if best >= window.start && seen <= window.end => (best, seen),
            _ => (window.start, window.start),
        };
        for i in from..window.end {
            if better(values[i], values[best]) || values[best].is_nan() {
                best = i;
            }
        }
        held = Some((best, window.end));
        out.floats[step] = values[best];
    }
}

pub(super) fn count(input: &RangeInput<'_>, _: &mut RangeNotes, out: &mut Column) -> Outcome {
    each_present(input, out, |n| n as f64);
    Ok(())
}

pub(super) fn present(input: &RangeInput<'_>, _: &mut RangeNotes, out: &mut Column) -> Outcome {
    each_present(input, out, |_| 1.0);
    Ok(())
}

fn each_present(input: &RangeInput<'_>, out: &mut Column, f: impl Fn(usize) -> f64) {
    for step in 0..input.steps.count {
        let n = input.float_range(step).len() + input.histogram_range(step).len();
        if n > 0 {
            out.floats[step] = f(n);
        }
    }
}

pub(super) fn last(input: &RangeInput<'_>, _: &mut RangeNotes, out: &mut Column) -> Outcome {
    for step in 0..input.steps.count {
        let (times, (histogram_times, histograms)) = (input.times(step), input.window_histograms(step));
        match (times.last(), histogram_times.last()) {
            (float, Some(h)) if float.is_none_or(|f| h >= f) => {
                out.set_histogram(step, histograms[histograms.len() - 1].clone());
            }
            (Some(_), _) => out.floats[step] = input.values(step)[times.len() - 1],
            _ => {}
        }
    }
    Ok(())
}

pub(super) fn first(input: &RangeInput<'_>, _: &mut RangeNotes, out: &mut Column) -> Outcome {
    for step in 0..input.steps.count {
        let (times, (histogram_times, histograms)) = (input.times(step), input.window_histograms(step));
        match (times.first(), histogram_times.first()) {
            (float, Some(h)) if float.is_none_or(|f| f >= h) => out.set_histogram(step, histograms[0].clone()),
            (Some(_), _) => out.floats[step] = input.values(step)[0],
            _ => {}
        }
    }
    Ok(())
}

/// Population variance by Welford's method, compensated.
fn variance_of(values: &[f64]) -> f64 {
    let (mut n, mut mean, mut mean_c, mut squares, mut squares_c) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for value in values {
        n += 1.0;
        let delta = value - (mean + mean_c);
        (mean, mean_c) = kahan_inc(delta / n, mean, mean_c);
        (squares, squares_c) = kahan_inc(delta * (value - (mean + mean_c)), squares, squares_c);
    }
    (squares + squares_c) / n
}

pub(super) fn stddev(input: &RangeInput<'_>, notes: &mut RangeNotes, out: &mut Column) -> Outcome {
    floats(input, notes, out, |values| variance_of(values).sqrt());
    Ok(())
}

pub(super) fn stdvar(input: &RangeInput<'_>, notes: &mut RangeNotes, out: &mut Column) -> Outcome {
    floats(input, notes, out, variance_of);
    Ok(())
}

pub(super) fn quantile(input: &RangeInput<'_>, notes: &mut RangeNotes, out: &mut Column) -> Outcome {
    let mut sorted: Vec<f64> = Vec::new();
    for step in 0..input.steps.count {
        let values = input.values(step);
        if values.is_empty() {
            continue;
        }
        let q = input.args[0].get(step);
        if !(0.0..=1.0).contains(&q) {
            notes.invalid_quantile(q);
        }
        notes.ignored |= input.has_histograms(step);
        sorted.clear();
        sorted.extend_from_slice(values);
        out.floats[step] = quantile_of(q, &mut sorted);
    }
    Ok(())
}

pub(super) fn mad(input: &RangeInput<'_>, notes: &mut RangeNotes, out: &mut Column) -> Outcome {
    let mut sorted: Vec<f64> = Vec::new();
    floats(input, notes, out, |values| {
        if values.iter().any(|v| v.is_nan()) {
            return f64::NAN;
        }
        sorted.clear();
        sorted.extend_from_slice(values);
        let median = quantile_of(0.5, &mut sorted);
        sorted.iter_mut().for_each(|v| *v = (*v - median).abs());
        quantile_of(0.5, &mut sorted)
    });
    Ok(())
}

pub(super) fn ts_of_first(input: &RangeInput<'_>, _: &mut RangeNotes, out: &mut Column) -> Outcome {
    edge_time(input, out, |a| a.first().copied(), i64::min);
    Ok(())
}

pub(super) fn ts_of_last(input: &RangeInput<'_>, _: &mut RangeNotes, out: &mut Column) -> Outcome {
    edge_time(input, out, |a| a.last().copied(), i64::max);
    Ok(())
}

fn edge_time(
    input: &RangeInput<'_>,
    out: &mut Column,
    edge: impl Fn(&[i64]) -> Option<i64>,
    choose: impl Fn(i64, i64) -> i64,
) {
    for step in 0..input.steps.count {
        let (float, histogram) = (edge(input.times(step)), edge(input.window_histograms(step).0));
        let time = match (float, histogram) {
            (Some(f), Some(h)) => choose(f, h),
            (Some(t), None) | (None, Some(t)) => t,
            (None, None) => continue,
        };
        out.floats[step] = time as f64 / 1000.0;
    }
}

pub(super) fn ts_of_min(input: &RangeInput<'_>, notes: &mut RangeNotes, out: &mut Column) -> Outcome {
    extreme_time(input, notes, out, |new, held| new <= held);
    Ok(())
}

pub(super) fn ts_of_max(input: &RangeInput<'_>, notes: &mut RangeNotes, out: &mut Column) -> Outcome {
    extreme_time(input, notes, out, |new, held| new >= held);
    Ok(())
}

fn extreme_time(input: &RangeInput<'_>, notes: &mut RangeNotes, out: &mut Column, better: impl Fn(f64, f64) -> bool) {
    for step in 0..input.steps.count {
        let (times, values) = (input.times(step), input.values(step));
        if values.is_empty() {
            continue;
        }
        notes.ignored |= input.has_histograms(step);
        let mut best = 0;
        for (i, value) in values.iter().enumerate() {
            if better(*value, values[best]) || values[best].is_nan() {
                best = i;
            }
        }
        out.floats[step] = times[best] as f64 / 1000.0;
    }
}
