//! `deriv`, `predict_linear`, `double_exponential_smoothing`.

use model::sample::kahan_inc;

use super::{RangeInput, RangeNotes};
use crate::error::QueryError;
use crate::format::fixed;
use crate::vector::Column;

/// Slope per second and value at `at` of the least-squares line through some samples.
fn line(times: &[i64], values: &[f64], at: i64) -> (f64, f64) {
    let first = values[0];
    if values.iter().all(|v| *v == first) {
        return if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) };
    }
    // Sums of x, y, xy and xx, each with its compensation.
    let mut sums = [(0.0, 0.0); 4];
    for (time, y) in times.iter().zip(values) {
        let x = (time - at) as f64 / 1000.0;
        for ((sum, c), value) in sums.iter_mut().zip([x, *y, x * y, x * x]) {
            (*sum, *c) = kahan_inc(value, *sum, *c);
        }
    }
    let [x, y, xy, xx] = sums.map(|(sum, c)| sum + c);
    let n = values.len() as f64;
    let slope = (xy - x * y / n) / (xx - x * x / n);
    (slope, y / n - slope * x / n)
}

/// Runs over the windows with two floats or more.
fn run(input: &RangeInput<'_>, notes: &mut RangeNotes, out: &mut Column, f: impl Fn(usize, &[i64], &[f64]) -> f64) {
    for step in 0..input.steps.count {
        let (times, values) = (input.times(step), input.values(step));
        if !values.is_empty() {
            notes.ignored |= input.has_histograms(step);
        }
        if values.len() >= 2 {
            out.floats[step] = f(step, times, values);
        }
    }
}

pub(super) fn deriv(input: &RangeInput<'_>, notes: &mut RangeNotes, out: &mut Column) -> Result<(), QueryError> {
    // Relative to the first sample: large times would eat the digits.
    run(input, notes, out, |_, times, values| line(times, values, times[0]).0);
    Ok(())
}

pub(super) fn predict_linear(
    input: &RangeInput<'_>,
    notes: &mut RangeNotes,
    out: &mut Column,
) -> Result<(), QueryError> {
    run(input, notes, out, |step, times, values| {
        let (slope, value) = line(times, values, input.steps.time(step));
        slope * input.args[0].get(step) + value
    });
    Ok(())
}

pub(super) fn double_exponential_smoothing(
    input: &RangeInput<'_>,
    notes: &mut RangeNotes,
    out: &mut Column,
) -> Result<(), QueryError> {
    let (smoothing, trend) = (&input.args[0], &input.args[1]);
    for step in 0..input.steps.count {
        if input.float_range(step).is_empty() && !input.has_histograms(step) {
            continue;
        }
        for (what, name, factor) in [("smoothing", "sf", smoothing.get(step)), ("trend", "tf", trend.get(step))] {
            if factor <= 0.0 || factor >= 1.0 {
                let factor = fixed(factor, 6);
                return Err(QueryError::Execution(format!(
                    "invalid {what} factor. Expected: 0 < {name} < 1, got: {factor}"
                )));
            }
        }
    }
    run(input, notes, out, |step, _, values| {
        let (sf, tf) = (smoothing.get(step), trend.get(step));
        let (mut before, mut smooth, mut slope) = (0.0, values[0], values[1] - values[0]);
        for (i, value) in values.iter().enumerate().skip(1) {
            if i > 1 {
                slope = tf * (smooth - before) + (1.0 - tf) * slope;
            }
            (before, smooth) = (smooth, sf * value + (1.0 - sf) * (smooth + slope));
        }
        smooth
    });
    Ok(())
}
