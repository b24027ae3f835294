//! Functions as kernels over columns, one family a file.
//!
//! A range function gets all samples of a series, the window of each step as a range of indexes, and fills a column:
//! [`RangeKernel`]. A sample is decoded once and windows slide over it. A function of an instant vector maps a column in
//! place: see [`math`] and [`date`]. Classic and native histograms are in [`histogram`].

mod changes;
pub(crate) mod date;
pub(crate) mod extended;
pub(crate) mod histogram;
mod instant;
pub(crate) mod math;
mod over_time;
mod rate;
mod regression;
pub(crate) mod smooth;

use std::cell::OnceCell;
use std::sync::Arc;

use model::FloatHistogram;

use crate::annotations::{Annotations, HistogramOperation};
use crate::ast::Extension;
use crate::error::QueryError;
use crate::span::Span;
use crate::vector::{Column, Scalars, Steps};

/// Samples of a series without staleness markers, times ascending. Floats and histograms apart.
#[derive(Clone, Copy)]
pub(crate) struct Samples<'a> {
    pub(crate) times: &'a [i64],
    pub(crate) values: &'a [f64],
    /// Start times; empty when not known or not asked for.
    pub(crate) starts: &'a [i64],
    pub(crate) histogram_times: &'a [i64],
    pub(crate) histograms: &'a [Arc<FloatHistogram>],
    pub(crate) histogram_starts: &'a [i64],
}

/// Where a window ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WindowEnd {
    /// This long before the step.
    Offset(i64),
    /// At this time for all steps.
    At(i64),
}

impl WindowEnd {
    #[inline]
    pub(crate) fn of(self, steps: &Steps, step: usize) -> i64 {
        match self {
            Self::Offset(offset) => steps.time(step).saturating_sub(offset),
            Self::At(at) => at,
        }
    }
}

/// Indexes `.0 .. .1` of the samples in a window.
pub(crate) type Window = (u32, u32);

/// What `rate` makes of the times in a window, whatever the values: series scraped together share it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct WindowShape {
    /// From the first to the last sample, in seconds.
    sampled: f64,
    /// How far the difference is stretched beyond the first and the last sample, in seconds.
    to_start: f64,
    to_end: f64,
    /// The stretched length over the sampled one.
    factor: f64,
}

/// What a range function works on.
pub(crate) struct RangeInput<'a> {
    pub(crate) samples: Samples<'a>,
    /// Windows over the floats, one per step.
    pub(crate) floats: &'a [Window],
    /// Windows over the histograms, one per step.
    pub(crate) histograms: &'a [Window],
    /// Shapes of the windows over the floats; worked out by the first series that needs them.
    pub(crate) shapes: &'a OnceCell<Vec<WindowShape>>,
    pub(crate) steps: Steps,
    pub(crate) range_ms: i64,
    pub(crate) end: WindowEnd,
    /// The other arguments.
    pub(crate) args: &'a [Scalars],
    pub(crate) extension: Option<Extension>,
}

impl<'a> RangeInput<'a> {
    /// End of the window of a step; included.
    #[inline]
    pub(crate) fn end(&self, step: usize) -> i64 {
        self.end.of(&self.steps, step)
    }

    /// Start of the window of a step; not included.
    #[inline]
    pub(crate) fn start(&self, step: usize) -> i64 {
        self.end(step).saturating_sub(self.range_ms)
    }

    #[inline]
    fn float_range(&self, step: usize) -> std::ops::Range<usize> {
        let (from, to) = self.floats[step];
        from as usize..to as usize
    }

    #[inline]
    fn histogram_range(&self, step: usize) -> std::ops::Range<usize> {
        self.histograms.get(step).map_or(0..0, |(from, to)| *from as usize..*to as usize)
    }

    /// Floats of the window of a step.
    #[inline]
    pub(crate) fn values(&self, step: usize) -> &'a [f64] {
        &self.samples.values[self.float_range(step)]
    }

    /// Times of the floats of the window of a step.
    #[inline]
    pub(crate) fn times(&self, step: usize) -> &'a [i64] {
        &self.samples.times[self.float_range(step)]
    }

    /// Histograms of the window of a step with their times.
    pub(crate) fn window_histograms(&self, step: usize) -> (&'a [i64], &'a [Arc<FloatHistogram>]) {
        let range = self.histogram_range(step);
        (&self.samples.histogram_times[range.clone()], &self.samples.histograms[range])
    }

    /// Whether the window of a step has histograms.
    #[inline]
    pub(crate) fn has_histograms(&self, step: usize) -> bool {
        !self.histogram_range(step).is_empty()
    }
}

/// What a range function met on its way; told once per series.
#[derive(Clone, Debug, Default)]
pub(crate) struct RangeNotes {
    pub(crate) mixed: bool,
    pub(crate) mixed_schemas: bool,
    pub(crate) not_counter: bool,
    pub(crate) not_gauge: bool,
    pub(crate) ignored: bool,
    pub(crate) reconciled_add: bool,
    pub(crate) reconciled_sub: bool,
    pub(crate) reconciled_aggregate: bool,
    pub(crate) reset_collision: bool,
    pub(crate) start_overlaps: u64,
    pub(crate) invalid_quantiles: Vec<f64>,
}

impl RangeNotes {
    /// Writes the annotations; `span` is the place of the first argument.
    pub(crate) fn annotate(&self, metric: &str, span: Span, annotations: &mut Annotations) {
        if self.mixed {
            annotations.mixed_floats_histograms(metric, span);
        }
        if self.mixed_schemas {
            annotations.mixed_schemas(metric, span);
        }
        if self.not_counter {
            annotations.not_counter(metric, span);
        }
        if self.not_gauge {
            annotations.not_gauge(metric, span);
        }
        if self.ignored {
            annotations.histograms_ignored_in_range(metric, span);
        }
        for (met, operation) in [
            (self.reconciled_add, HistogramOperation::Addition),
            (self.reconciled_sub, HistogramOperation::Subtraction),
            (self.reconciled_aggregate, HistogramOperation::Aggregation),
        ] {
            if met {
                annotations.bounds_reconciled(operation, span);
            }
        }
        if self.reset_collision {
            annotations.reset_collision(HistogramOperation::Aggregation, span);
        }
        if self.start_overlaps > 0 {
            annotations.start_overlap(metric, self.start_overlaps, span);
        }
        for q in &self.invalid_quantiles {
            annotations.invalid_quantile(*q, span);
        }
    }

    /// Whether there is anything to tell.
    pub(crate) fn any(&self) -> bool {
        self.mixed
            || self.mixed_schemas
            || self.not_counter
            || self.not_gauge
            || self.ignored
            || self.reconciled_add
            || self.reconciled_sub
            || self.reconciled_aggregate
            || self.reset_collision
            || self.start_overlaps > 0
            || !self.invalid_quantiles.is_empty()
    }

    fn invalid_quantile(&mut self, q: f64) {
        if !self.invalid_quantiles.iter().any(|known| known.to_bits() == q.to_bits()) {
            self.invalid_quantiles.push(q);
        }
    }
}

/// A range function: fills `out`, which comes without values.
pub(crate) type RangeKernel = fn(&RangeInput<'_>, &mut RangeNotes, &mut Column) -> Result<(), QueryError>;

/// The kernel of a range function.
pub(crate) fn range_kernel(name: &str) -> Option<RangeKernel> {
    Some(match name {
        "rate" => rate::rate,
        "increase" => rate::increase,
        "delta" => rate::delta,
        "irate" => instant::irate,
        "idelta" => instant::idelta,
        "changes" => changes::changes,
        "resets" => changes::resets,
        "deriv" => regression::deriv,
        "predict_linear" => regression::predict_linear,
        "double_exponential_smoothing" => regression::double_exponential_smoothing,
        "avg_over_time" => over_time::avg,
        "sum_over_time" => over_time::sum,
        "min_over_time" => over_time::min,
        "max_over_time" => over_time::max,
        "count_over_time" => over_time::count,
        "present_over_time" | "absent_over_time" => over_time::present,
        "last_over_time" => over_time::last,
        "first_over_time" => over_time::first,
        "stddev_over_time" => over_time::stddev,
        "stdvar_over_time" => over_time::stdvar,
        "quantile_over_time" => over_time::quantile,
        "mad_over_time" => over_time::mad,
        "ts_of_first_over_time" => over_time::ts_of_first,
        "ts_of_last_over_time" => over_time::ts_of_last,
        "ts_of_min_over_time" => over_time::ts_of_min,
        "ts_of_max_over_time" => over_time::ts_of_max,
        _ => return None,
    })
}

/// Finds the windows `(end - range, end]` of ascending steps over ascending times.
pub(crate) fn find_windows(
    times: &[i64],
    steps: &Steps,
    end: WindowEnd,
    before_ms: i64,
    after_ms: i64,
    out: &mut Vec<Window>,
) {
    out.clear();
    let (mut from, mut to) = (0, 0);
    for step in 0..steps.count {
        let end = end.of(steps, step);
        let (first, last) = (end.saturating_sub(before_ms), end.saturating_add(after_ms));
        while from < times.len() && times[from] <= first {
            from += 1;
        }
        to = to.max(from);
        while to < times.len() && times[to] <= last {
            to += 1;
        }
        out.push((from as u32, to as u32));
    }
}
