//! `irate` and `idelta`: the last two samples of a window.

use std::sync::Arc;

use model::{FloatHistogram, ResetHint};

use super::rate::is_start_reset;
use super::{RangeInput, RangeNotes};
use crate::error::QueryError;
use crate::vector::Column;

pub(super) fn irate(input: &RangeInput<'_>, notes: &mut RangeNotes, out: &mut Column) -> Result<(), QueryError> {
    run(input, true, notes, out);
    Ok(())
}

pub(super) fn idelta(input: &RangeInput<'_>, notes: &mut RangeNotes, out: &mut Column) -> Result<(), QueryError> {
    run(input, false, notes, out);
    Ok(())
}

#[derive(Clone, Copy)]
enum Sample<'a> {
    Float(f64),
    Histogram(&'a Arc<FloatHistogram>),
}

fn run(input: &RangeInput<'_>, rate: bool, notes: &mut RangeNotes, out: &mut Column) {
    let samples = &input.samples;
    for step in 0..input.steps.count {
        let (floats, histograms) = (input.float_range(step), input.histogram_range(step));
        if floats.len() + histograms.len() < 2 {
            continue;
        }
        // The newest two of both kinds: (time, start, sample).
        let mut newest: Vec<(i64, i64, Sample<'_>)> = Vec::with_capacity(4);
        for i in floats.clone().rev().take(2) {
            let start = samples.starts.get(i).copied().unwrap_or(0);
            newest.push((samples.times[i], start, Sample::Float(samples.values[i])));
        }
        for i in histograms.clone().rev().take(2) {
            let start = samples.histogram_starts.get(i).copied().unwrap_or(0);
            newest.push((samples.histogram_times[i], start, Sample::Histogram(&samples.histograms[i])));
        }
        newest.sort_by_key(|(time, ..)| std::cmp::Reverse(*time));
        let ((time, start, last), (before_time, before_start, before)) = (newest[0], newest[1]);
        if time == before_time {
            continue;
        }
        let seconds = (time - before_time) as f64 / 1000.0;
        let start_reset = is_start_reset(before_start, before_time, start, time);
        match (last, before) {
            (Sample::Float(last), Sample::Float(before)) => {
                let reset = rate && (last < before || start_reset);
                let difference = if reset { last } else { last - before };
                out.floats[step] = if rate { difference / seconds } else { difference };
            }
            (Sample::Histogram(last), Sample::Histogram(before)) => {
                let gauges = [last, before].map(|h| h.reset_hint == ResetHint::Gauge);
                notes.not_counter |= rate && gauges.contains(&true);
                notes.not_gauge |= !rate && gauges.contains(&false);
                let mut difference = FloatHistogram::clone(last);
                if !rate || (!start_reset && !last.is_reset_after(before)) {
                    match difference.sub(before) {
                        Ok(outcome) => notes.reconciled_sub |= outcome.bounds_reconciled,
                        Err(_) => {
                            notes.mixed_schemas = true;
                            continue;
                        }
                    }
                }
                difference.reset_hint = ResetHint::Gauge;
                difference.compact();
                if rate {
                    difference.divide(seconds);
                }
                out.set_histogram(step, Arc::new(difference));
            }
            _ => notes.mixed = true,
        }
    }
}
