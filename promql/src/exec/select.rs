//! Instant selectors: at each step the newest sample within the lookback.

use std::sync::Arc;

use model::{Labels, SampleColumns, Selection};

use super::stream::Stream;
use super::work::{WindowCache, Work, reduce_to_stats};
use super::{Done, Exec, fixed_name};
use crate::kernels::WindowEnd;
use crate::kernels::smooth;
use crate::plan::{Node, SelectValue, Selector};
use crate::vector::{Column, Steps, histogram_samples};

pub(super) struct SelectStream<'a> {
    exec: &'a Exec<'a>,
    selection: &'a dyn Selection,
    selector: &'a Selector,
    node: &'a Node,
    steps: Steps,
    name: Option<Arc<str>>,
}

impl<'a> SelectStream<'a> {
    pub(super) fn new(exec: &'a Exec<'_>, selector: &'a Selector, node: &'a Node, steps: Steps) -> Self {
        let selection = &*exec.selections[selector.selection];
        Self { exec, selection, selector, node, steps, name: fixed_name(&selector.matchers) }
    }

    fn read(&self, index: usize, columns: &mut SampleColumns) -> Done<()> {
        let single = self.steps.count == 1 || matches!(self.selector.end, WindowEnd::At(_));
        if single && !self.selector.smoothed && !self.selector.stats {
            let at = self.selector.end.of(&self.steps, 0);
            self.selection.read_last(index, at, self.exec.lookback_ms, columns)?;
        } else {
            self.selection.read(index, columns)?;
            if self.selector.stats && !columns.histograms.is_empty() {
                let hints = &self.exec.plan.selections[self.selector.selection].hints;
                reduce_to_stats(columns, hints.start_ms);
            }
        }
        Ok(())
    }

    /// As `pick` for a series of floats only: the newest sample of each window, the windows being those of the last series
    /// where times are equal.
    fn pick_floats(&self, columns: &SampleColumns, windows: &mut WindowCache, out: &mut Column) -> (bool, u64) {
        windows.find(&columns.timestamps, &self.steps, self.selector.end, self.exec.lookback_ms, 0);
        let mut picked = 0;
        for ((from, to), slot) in windows.windows.iter().zip(&mut out.floats) {
            if from == to {
                continue;
            }
            // A staleness marker is the mark of absence.
            let value = columns.values[*to as usize - 1];
            *slot = value;
            picked += u64::from(!model::is_stale(value));
        }
        (picked > 0, picked)
    }

    /// Samples at the steps; false when there is none.
    fn pick(&self, columns: &SampleColumns, counts: &mut [u64], out: &mut Column) -> bool {
        let lookback = self.exec.lookback_ms;
        let (times, histogram_times) = (&columns.timestamps, &columns.histogram_timestamps);
        let (mut next, mut next_histogram) = (0, 0);
        let mut any = false;
        for (step, looked_at) in counts.iter_mut().enumerate() {
            let at = self.selector.end.of(&self.steps, step);
            while next < times.len() && times[next] <= at {
                next += 1;
            }
            while next_histogram < histogram_times.len() && histogram_times[next_histogram] <= at {
                next_histogram += 1;
            }
            let oldest = at.saturating_sub(lookback);
            let float = next.checked_sub(1).filter(|i| times[*i] > oldest);
            let histogram = next_histogram.checked_sub(1).filter(|i| histogram_times[*i] > oldest);
            let histogram = histogram.filter(|h| float.is_none_or(|f| histogram_times[*h] > times[f]));
            if let Some(i) = histogram {
                let h = &columns.histograms[i];
                if h.is_stale() {
                    continue;
                }
                let start = columns.histogram_start_timestamps.get(i).copied().unwrap_or(0);
                match self.selector.value {
                    SelectValue::Sample => {
                        *looked_at += histogram_samples(h) as u64;
                        out.set_histogram(step, h.clone());
                    }
                    value => {
                        *looked_at += 1;
                        out.floats[step] = time_value(value, histogram_times[i], start);
                    }
                }
            } else if let Some(i) = float {
                if model::is_stale(columns.values[i]) {
                    continue;
                }
                *looked_at += 1;
                let start = columns.start_timestamps.get(i).copied().unwrap_or(0);
                out.floats[step] = match self.selector.value {
                    SelectValue::Sample => columns.values[i],
                    value => time_value(value, times[i], start),
                };
            } else {
                continue;
            }
            any = true;
        }
        any
    }
}

fn time_value(value: SelectValue, time: i64, start: i64) -> f64 {
    (if value == SelectValue::StartTimestamp { start } else { time }) as f64 / 1000.0
}

impl Stream for SelectStream<'_> {
    fn len(&self) -> usize {
        // Start times are not looked at unless that is switched on.
        let off = self.selector.value == SelectValue::StartTimestamp && !self.exec.options.use_start_timestamps;
        if off { 0 } else { self.selection.len() }
    }

    fn labels(&self, index: usize) -> Labels {
        self.selection.labels(index)
    }

    fn drop_name(&self, _: usize) -> bool {
        self.selector.value != SelectValue::Sample
    }

    fn fill(&self, index: usize, work: &mut Work, out: &mut Column) -> Done<bool> {
        self.exec.budget.check_now()?;
        let mut columns = std::mem::take(&mut work.columns);
        let read = self.read(index, &mut columns);
        let mut any = false;
        if read.is_ok() {
            self.exec.budget.check_decoded(columns.len())?;
            let plain = columns.histograms.is_empty()
                && self.selector.value == SelectValue::Sample
                && !self.selector.smoothed
                && !self.exec.budget.by_step();
            if plain {
                let (any, picked) = self.pick_floats(&columns, &mut work.float_windows, out);
                self.exec.budget.looked_at_total(picked);
                if let Some(profile) = &self.exec.profile {
                    profile.read(self.node.id, columns.len());
                }
                work.columns = columns;
                return Ok(any);
            }
            work.counts.clear();
            work.counts.resize(self.steps.count, 0);
            any = if self.selector.smoothed {
                let metric = self.selection.labels(index);
                let metric = metric.metric_name().unwrap_or("");
                let smooth =
                    smooth::Smooth { steps: self.steps, end: self.selector.end, lookback_ms: self.exec.lookback_ms };
                smooth.fill(&columns, out, |notes| notes.annotate(metric, self.node.span, &mut work.annotations))
            } else {
                self.pick(&columns, &mut work.counts, out)
            };
            self.exec.budget.looked_at(&self.steps, &work.counts);
            if let Some(profile) = &self.exec.profile {
                profile.read(self.node.id, columns.len());
            }
        }
        work.columns = columns;
        read.map(|()| any)
    }

    fn names_may_differ(&self) -> bool {
        self.name.is_none()
    }

    fn value_ids(&self, index: usize, names: &[String], out: &mut Vec<u32>) -> bool {
        self.selection.value_ids(index, names, out)
    }
}
