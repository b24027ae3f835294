//! Range functions: a window of samples at each step, from the store or from a subquery.

use std::sync::Arc;

use model::{Labels, ResetHint, SampleColumns, Selection};

use super::stream::Stream;
use super::work::{Work, reduce_to_stats, remove_stale, samples};
use super::{Done, Exec, fixed_name};
use crate::ast::Extension;
use crate::error::QueryError;
use crate::kernels::{RangeInput, RangeNotes};
use crate::plan::{Node, RangeCall, WindowSource};
use crate::vector::{Column, Scalars, Steps, histogram_samples, is_absent};

pub(super) struct RangeStream<'a> {
    exec: &'a Exec<'a>,
    call: &'a RangeCall,
    node: &'a Node,
    steps: Steps,
    args: Vec<Scalars>,
    source: Source<'a>,
    /// How far windows reach beyond their end.
    before_ms: i64,
    after_ms: i64,
    starts: bool,
    counter_name: bool,
}

enum Source<'a> {
    Select {
        selection: &'a dyn Selection,
        name: Option<Arc<str>>,
        /// Where reading begins, when histograms are to be reduced to counts and sums.
        stats_from: Option<i64>,
    },
    Subquery {
        stream: Box<dyn Stream + 'a>,
        steps: Steps,
    },
}

impl<'a> RangeStream<'a> {
    pub(super) fn new(exec: &'a Exec<'_>, call: &'a RangeCall, node: &'a Node, steps: Steps) -> Done<Self> {
        let window = &call.window;
        let source = match &window.source {
            WindowSource::Select { matchers, selection, stats } => Source::Select {
                selection: &*exec.selections[*selection],
                name: fixed_name(matchers),
                stats_from: stats.then(|| exec.plan.selections[*selection].hints.start_ms),
            },
            WindowSource::Subquery { node, steps, .. } => {
                exec.check_steps(steps)?;
                Source::Subquery { stream: exec.settled_stream(node, *steps)?, steps: *steps }
            }
        };
        let lookback = exec.lookback_ms;
        let (before, after) = match window.extension {
            None => (0, 0),
            Some(Extension::Anchored) => (lookback, 0),
            Some(Extension::Smoothed) => (lookback, lookback),
        };
        let with_starts = matches!(call.function, "rate" | "irate" | "increase" | "resets");
        Ok(Self {
            exec,
            call,
            node,
            steps,
            args: call.args.iter().map(|a| exec.scalars(a, steps)).collect::<Done<_>>()?,
            source,
            before_ms: window.range_ms.saturating_add(before),
            after_ms: after,
            starts: with_starts && exec.options.use_start_timestamps,
            counter_name: matches!(call.function, "rate" | "increase"),
        })
    }

    /// Reads the samples of a series into `work.columns`.
    fn read(&self, index: usize, work: &mut Work) -> Done<()> {
        match &self.source {
            Source::Select { selection, stats_from, .. } => {
                selection.read(index, &mut work.columns)?;
                if let Some(from) = stats_from
                    && !work.columns.histograms.is_empty()
                {
                    reduce_to_stats(&mut work.columns, *from);
                }
                Ok(())
            }
            Source::Subquery { stream, steps } => {
                let mut column = std::mem::take(&mut work.inner_column);
                let nested = work.nested.get_or_insert_default();
                column.reset(steps.count);
                work.columns.clear();
                if stream.fill(index, nested, &mut column)? {
                    column_samples(&column, steps, &mut work.columns);
                }
                work.inner_column = column;
                Ok(())
            }
        }
    }

    fn count(&self, input: &RangeInput<'_>, counts: &mut Vec<u64>) {
        counts.clear();
        counts.extend(input.floats.iter().map(|(from, to)| u64::from(to - from)));
        for (step, (from, to)) in input.histograms.iter().enumerate() {
            let size = |h: &Arc<model::FloatHistogram>| histogram_samples(h) as u64;
            counts[step] += input.samples.histograms[*from as usize..*to as usize].iter().map(size).sum::<u64>();
        }
        self.exec.budget.looked_at(&self.steps, counts);
    }

    /// Remarks on metrics that do not look like counters, once per name.
    fn check_counter(&self, index: usize, work: &mut Work) {
        let span = self.call.note_span;
        let Work { annotations, noted_name, .. } = work;
        if self.exec.options.type_and_unit_labels {
            let labels = self.labels(index);
            let (name, kind) = (labels.value(model::METRIC_NAME), labels.value("__type__"));
            if !name.is_empty() && !matches!(kind, "counter" | "histogram") {
                annotations.possibly_no_counter_type(name, kind, span);
            }
            return;
        }
        let mut check = |name: &str| {
            if name == noted_name {
                return;
            }
            name.clone_into(noted_name);
            let suffixes = ["_total", "_sum", "_count", "_bucket"];
            if !name.is_empty() && !suffixes.iter().any(|s| name.ends_with(s)) {
                annotations.possibly_no_counter(name, span);
            }
        };
        match &self.source {
            Source::Select { name: Some(name), .. } => check(name),
            _ => check(self.labels(index).metric_name().unwrap_or("")),
        }
    }
}

/// The values of a column as samples at its steps. Hints about resets speak of neighbours that may not be there.
pub(super) fn column_samples(column: &Column, steps: &Steps, out: &mut SampleColumns) {
    for (step, value) in column.floats.iter().enumerate().filter(|(_, v)| !is_absent(**v)) {
        out.timestamps.push(steps.time(step));
        out.values.push(*value);
    }
    for (step, histogram) in column.histograms.iter().enumerate() {
        let Some(histogram) = histogram else { continue };
        let mut histogram = histogram.clone();
        if matches!(histogram.reset_hint, ResetHint::Reset | ResetHint::NotReset) {
            Arc::make_mut(&mut histogram).reset_hint = ResetHint::Unknown;
        }
        out.histogram_timestamps.push(steps.time(step));
        out.histograms.push(histogram);
    }
}

impl Exec<'_> {
    /// A subquery of more steps than samples are allowed is refused before memory is taken for it.
    pub(super) fn check_steps(&self, steps: &Steps) -> Done<()> {
        let limit = self.context.limits.samples;
        if (limit > 0 && steps.count > limit) || steps.count > u32::MAX as usize {
            return Err(QueryError::TooManySamples);
        }
        Ok(())
    }
}

impl Stream for RangeStream<'_> {
    fn len(&self) -> usize {
        match &self.source {
            Source::Select { selection, .. } => selection.len(),
            Source::Subquery { stream, .. } => stream.len(),
        }
    }

    fn labels(&self, index: usize) -> Labels {
        match &self.source {
            Source::Select { selection, .. } => selection.labels(index),
            Source::Subquery { stream, .. } => stream.labels(index),
        }
    }

    fn drop_name(&self, index: usize) -> bool {
        let keeps = matches!(self.call.function, "last_over_time" | "first_over_time");
        !keeps || matches!(&self.source, Source::Subquery { stream, .. } if stream.drop_name(index))
    }

    fn fill(&self, index: usize, work: &mut Work, out: &mut Column) -> Done<bool> {
        self.exec.budget.check_now()?;
        self.read(index, work)?;
        if work.columns.is_empty() {
            return Ok(false);
        }
        self.exec.budget.check_decoded(work.columns.len())?;
        if let Some(profile) = &self.exec.profile {
            profile.read(self.node.id, work.columns.len());
        }
        let Work { columns, clean, float_windows, histogram_windows, counts, annotations, .. } = &mut *work;
        let columns = if remove_stale(columns, clean) { &*clean } else { &*columns };
        let end = self.call.window.end;
        float_windows.find(&columns.timestamps, &self.steps, end, self.before_ms, self.after_ms);
        let histograms: &[_] = if columns.histograms.is_empty() {
            &[]
        } else {
            histogram_windows.find(&columns.histogram_timestamps, &self.steps, end, self.before_ms, self.after_ms);
            &histogram_windows.windows
        };
        let input = RangeInput {
            samples: samples(columns, self.starts),
            floats: &float_windows.windows,
            histograms,
            shapes: &float_windows.shapes,
            steps: self.steps,
            range_ms: self.call.window.range_ms,
            end,
            args: &self.args,
            extension: self.call.window.extension,
        };
        if histograms.is_empty() && !self.exec.budget.by_step() {
            self.exec.budget.looked_at_total(float_windows.total);
        } else {
            self.count(&input, counts);
        }
        let mut notes = RangeNotes::default();
        (self.call.kernel)(&input, &mut notes, out)?;
        if notes.any() {
            let labels = self.labels(index);
            notes.annotate(labels.metric_name().unwrap_or(""), self.call.note_span, annotations);
        }
        let any_float = out.floats.iter().any(|v| !is_absent(*v));
        if self.counter_name && any_float {
            self.check_counter(index, work);
        }
        Ok(any_float || out.histograms.iter().any(Option::is_some))
    }

    fn strict_names(&self) -> bool {
        true
    }

    fn names_may_differ(&self) -> bool {
        match &self.source {
            Source::Select { name, .. } => name.is_none(),
            Source::Subquery { stream, .. } => stream.names_may_differ(),
        }
    }

    fn value_ids(&self, index: usize, names: &[String], out: &mut Vec<u32>) -> bool {
        match &self.source {
            Source::Select { selection, .. } => selection.value_ids(index, names, out),
            Source::Subquery { stream, .. } => stream.value_ids(index, names, out),
        }
    }
}
