//! `changes` and `resets`: how often neighbouring samples of a window differ, or fall.

use std::sync::Arc;

use model::FloatHistogram;

use super::rate::is_start_reset;
use super::{RangeInput, RangeNotes};
use crate::ast::Extension;
use crate::error::QueryError;
use crate::vector::Column;

pub(super) fn changes(input: &RangeInput<'_>, _: &mut RangeNotes, out: &mut Column) -> Result<(), QueryError> {
    run(
        input,
        out,
        |before, now, _| now != before && !(now.is_nan() && before.is_nan()),
        |before, now, _| !now.same_data(before),
    );
    Ok(())
}

pub(super) fn resets(input: &RangeInput<'_>, _: &mut RangeNotes, out: &mut Column) -> Result<(), QueryError> {
    run(
        input,
        out,
        |before, now, start_reset| now < before || start_reset,
        |before, now, start_reset| start_reset || now.is_reset_after(before),
    );
    Ok(())
}

#[derive(Clone, Copy)]
enum Sample<'a> {
    Float(f64),
    Histogram(&'a Arc<FloatHistogram>),
}

fn run(
    input: &RangeInput<'_>,
    out: &mut Column,
    float: impl Fn(f64, f64, bool) -> bool,
    histogram: impl Fn(&FloatHistogram, &FloatHistogram, bool) -> bool,
) {
    let samples = &input.samples;
    let anchored = input.extension == Some(Extension::Anchored);
    let plain = !anchored && samples.histograms.is_empty() && samples.starts.is_empty();
    for step in 0..input.steps.count {
        if plain {
            let values = input.values(step);
            if !values.is_empty() {
                out.floats[step] = values.windows(2).filter(|w| float(w[0], w[1], false)).count() as f64;
            }
            continue;
        }
        let (mut floats, mut histograms) = (input.float_range(step), input.histogram_range(step));
        if anchored && !anchor(input, step, &mut floats, &mut histograms) {
            continue;
        }
        if floats.is_empty() && histograms.is_empty() {
            continue;
        }
        let mut count = 0;
        let mut before: Option<(i64, i64, Sample<'_>)> = None;
        while !floats.is_empty() || !histograms.is_empty() {
            let float_time = samples.times.get(floats.start).filter(|_| !floats.is_empty());
            let histogram_time = samples.histogram_times.get(histograms.start).filter(|_| !histograms.is_empty());
            let take_float = match (float_time, histogram_time) {
                (Some(f), Some(h)) => f <= h,
                (Some(_), None) => true,
                _ => false,
            };
            let now = if take_float {
                let i = floats.start;
                floats.start += 1;
                let start = samples.starts.get(i).copied().unwrap_or(0);
                (samples.times[i], start, Sample::Float(samples.values[i]))
            } else {
                let i = histograms.start;
                histograms.start += 1;
                let start = samples.histogram_starts.get(i).copied().unwrap_or(0);
                (samples.histogram_times[i], start, Sample::Histogram(&samples.histograms[i]))
            };
            if let Some((before_time, before_start, before)) = before {
                let start_reset = is_start_reset(before_start, before_time, now.1, now.0);
                count += usize::from(match (before, now.2) {
                    (Sample::Float(a), Sample::Float(b)) => float(a, b, start_reset),
                    (Sample::Histogram(a), Sample::Histogram(b)) => histogram(a, b, start_reset),
                    _ => true,
                });
            }
            before = Some(now);
        }
        out.floats[step] = count as f64;
    }
}

/// Cuts an anchored window to its anchor, the newest sample of either kind at or before the start, and what follows.
/// False when nothing follows.
fn anchor(
    input: &RangeInput<'_>,
    step: usize,
    floats: &mut std::ops::Range<usize>,
    histograms: &mut std::ops::Range<usize>,
) -> bool {
    let start = input.start(step);
    let samples = &input.samples;
    let first_float = floats.start + samples.times[floats.clone()].partition_point(|t| *t <= start);
    let first_histogram =
        histograms.start + samples.histogram_times[histograms.clone()].partition_point(|t| *t <= start);
    if first_float >= floats.end && first_histogram >= histograms.end {
        return false;
    }
    let float_anchor = (first_float > floats.start).then(|| samples.times[first_float - 1]);
    let histogram_anchor = (first_histogram > histograms.start).then(|| samples.histogram_times[first_histogram - 1]);
    (floats.start, histograms.start) = match (float_anchor, histogram_anchor) {
        (None, None) => (floats.start, histograms.start),
        (Some(f), h) if h.is_none_or(|h| f >= h) => (first_float - 1, first_histogram),
        _ => (first_float, first_histogram - 1),
    };
    true
}
