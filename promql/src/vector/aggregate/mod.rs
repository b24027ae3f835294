//! Aggregations: series fold into their groups one after the other, all steps at once.
//!
//! An [`Accumulator`] takes columns in any number of pieces: each piece of the input folds into an accumulator of its own
//! ([`Accumulator::add`]), and pieces are put together in the order of the input ([`Accumulator::absorb`]). The result does
//! not depend on how many threads folded the pieces. What was noteworthy comes out as [`AggregateNotes`].

mod count_values;
mod extreme;
mod quantile;
mod select;
mod sum;
mod variance;

use std::sync::Arc;

use model::FloatHistogram;

use super::matching::Grouper;
use super::{Column, Scalars, Series, Value};
use crate::annotations::{Annotations, HistogramOperation};
use crate::ast::AggregateOp;
use crate::error::QueryError;
use crate::span::Span;

pub use count_values::count_values;
pub(crate) use quantile::quantile_of;
pub use select::{keep_ratio, ratio_offset};

/// What an aggregation met that is worth an annotation.
#[derive(Clone, Debug, Default)]
pub struct AggregateNotes {
    histogram_ignored: bool,
    mixed: bool,
    reset_collision: bool,
    bounds_reconciled: bool,
    /// Names of metrics with both exponential and custom buckets.
    mixed_schemas: Vec<String>,
}

impl AggregateNotes {
    /// Writes the annotations; `inner` is the place of the aggregated vector, `whole` that of the aggregation.
    pub fn annotate(&self, op: AggregateOp, inner: Span, whole: Span, annotations: &mut Annotations) {
        if self.histogram_ignored {
            let span = if op.selects() { whole } else { inner };
            annotations.histogram_ignored(op.as_str(), span);
        }
        if self.mixed {
            annotations.mixed_in_aggregation(inner);
        }
        if self.reset_collision {
            annotations.reset_collision(HistogramOperation::Aggregation, inner);
        }
        if self.bounds_reconciled {
            annotations.bounds_reconciled(HistogramOperation::Aggregation, inner);
        }
        for name in &self.mixed_schemas {
            annotations.mixed_schemas(name, inner);
        }
    }

    fn merge(&mut self, other: Self) {
        self.histogram_ignored |= other.histogram_ignored;
        self.mixed |= other.mixed;
        self.reset_collision |= other.reset_collision;
        self.bounds_reconciled |= other.bounds_reconciled;
        self.mixed_schemas.extend(other.mixed_schemas);
    }
}

/// A series to fold: its place in the input and its values.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// Place in the input.
    pub series: u32,
    /// Its values.
    pub column: &'a Column,
    /// Whether its name is to be removed.
    pub drop_name: bool,
}

/// Running results of all groups at all steps.
pub struct Accumulator {
    steps: usize,
    groups: usize,
    state: State,
    drop_name: Vec<bool>,
    /// Notes so far; the metric names in them come from the caller.
    pub notes: AggregateNotes,
    /// Group of the series whose buckets did not fit, for the caller to name.
    pub misfit: Option<u32>,
}

enum State {
    Sum(sum::Sums),
    Extreme(extreme::Extremes),
    Count(extreme::Counts),
    Variance(variance::Variances),
    Quantile(quantile::Values),
    Select(select::Selection),
}

/// The result of one group.
pub struct GroupColumn {
    /// Its values.
    pub column: Column,
    /// Whether a series of the group had its name marked for removal.
    pub drop_name: bool,
}

/// A value that `topk`, `bottomk` or `limitk` picked.
#[derive(Clone)]
pub struct Picked {
    /// Place of its series in the input.
    pub series: u32,
    /// Step.
    pub step: u32,
    /// Float value, or nothing for a histogram.
    pub float: f64,
    /// Histogram value.
    pub histogram: Option<Arc<FloatHistogram>>,
}

impl Accumulator {
    /// For an operator that folds (all but `count_values` and `limit_ratio`). `param` is k or φ per step.
    pub fn new(op: AggregateOp, steps: usize, param: &Scalars, inputs: usize) -> Self {
        let state = match op {
            AggregateOp::Sum | AggregateOp::Avg => State::Sum(sum::Sums::new(op == AggregateOp::Avg)),
            AggregateOp::Min | AggregateOp::Max => State::Extreme(extreme::Extremes::new(op == AggregateOp::Max)),
            AggregateOp::Count | AggregateOp::Group => State::Count(extreme::Counts::new(op == AggregateOp::Group)),
            AggregateOp::Stddev | AggregateOp::Stdvar => {
                State::Variance(variance::Variances::new(op == AggregateOp::Stddev))
            }
            AggregateOp::Quantile => State::Quantile(quantile::Values::new(param.clone())),
            AggregateOp::Topk
            | AggregateOp::Bottomk
            | AggregateOp::Limitk
            | AggregateOp::LimitRatio
            | AggregateOp::CountValues => State::Select(select::Selection::new(op, param, steps, inputs)),
        };
        Self { steps, groups: 0, state, drop_name: Vec::new(), notes: AggregateNotes::default(), misfit: None }
    }

    /// Makes room for groups `0..groups`.
    pub fn grow(&mut self, groups: usize) {
        if groups <= self.groups {
            return;
        }
        self.groups = groups;
        self.drop_name.resize(groups, false);
        let slots = groups * self.steps;
        match &mut self.state {
            State::Sum(s) => s.grow(slots),
            State::Extreme(s) => s.grow(slots),
            State::Count(s) => s.grow(slots),
            State::Variance(s) => s.grow(slots),
            State::Quantile(s) => s.grow(slots),
            State::Select(s) => s.grow(slots),
        }
    }

    /// Folds one series into a group; `grow` has made room for it.
    pub fn add(&mut self, group: u32, input: Input<'_>) {
        self.drop_name[group as usize] |= input.drop_name;
        let from = group as usize * self.steps;
        let misfit = match &mut self.state {
            State::Sum(s) => s.add(from, input.column, &mut self.notes),
            State::Extreme(s) => s.add(from, input.column, &mut self.notes),
            State::Count(s) => s.add(from, input.column),
            State::Variance(s) => s.add(from, input.column, &mut self.notes),
            State::Quantile(s) => s.add(from, input.column, &mut self.notes),
            State::Select(s) => s.add(from, input, &mut self.notes),
        };
        if misfit {
            self.misfit = Some(input.series);
        }
    }

    /// Notes that exponential and custom buckets met in a metric.
    pub fn name_misfit(&mut self, metric: &str) {
        if self.misfit.take().is_some() && !self.notes.mixed_schemas.iter().any(|n| n == metric) {
            self.notes.mixed_schemas.push(metric.to_owned());
        }
    }

    /// Puts a later piece of the input behind this one; `map` gives the group here of each group there.
    pub fn absorb(&mut self, other: Self, map: &[u32]) {
        self.notes.merge(other.notes);
        for (from, to) in other.drop_name.iter().zip(map) {
            self.drop_name[*to as usize] |= from;
        }
        let steps = self.steps;
        match (&mut self.state, other.state) {
            (State::Sum(a), State::Sum(b)) => a.absorb(b, map, steps, &mut self.notes),
            (State::Extreme(a), State::Extreme(b)) => a.absorb(&b, map, steps),
            (State::Count(a), State::Count(b)) => a.absorb(&b, map, steps),
            (State::Variance(a), State::Variance(b)) => a.absorb(&b, map, steps),
            (State::Quantile(a), State::Quantile(b)) => a.absorb(b, map, steps),
            (State::Select(a), State::Select(b)) => a.absorb(b, map, steps),
            // Pieces of one aggregation have one operator.
            _ => debug_assert!(false, "pieces of different aggregations"),
        }
    }

    /// Columns of all groups, in their order. For operators that do not pick series.
    pub fn finish(mut self) -> (Vec<GroupColumn>, AggregateNotes) {
        let steps = self.steps;
        let columns = match self.state {
            State::Sum(s) => s.finish(steps, &mut self.notes),
            State::Extreme(s) => s.finish(steps),
            State::Count(s) => s.finish(steps),
            State::Variance(s) => s.finish(steps),
            State::Quantile(s) => s.finish(steps),
            State::Select(_) => Vec::new(),
        };
        let columns = columns
            .into_iter()
            .zip(self.drop_name)
            .map(|(column, drop_name)| GroupColumn { column, drop_name })
            .collect();
        (columns, self.notes)
    }

    /// The picked values, group by group, best first. For operators that pick series.
    pub fn finish_picks(self) -> (Vec<Picked>, AggregateNotes) {
        match self.state {
            State::Select(s) => (s.finish(self.steps), self.notes),
            _ => (Vec::new(), self.notes),
        }
    }
}

/// Columns of slots cut into groups.
fn cut_floats(slots: Vec<f64>, steps: usize) -> Vec<Column> {
    if steps == 0 {
        return Vec::new();
    }
    slots.chunks_exact(steps).map(|c| Column::of_floats(c.to_vec())).collect()
}

/// Checks k of `topk` and its like, or r of `limit_ratio`. False when nothing can be picked.
///
/// # Errors
/// When it is NaN or no 64-bit integer.
pub fn check_param(
    op: AggregateOp,
    param: &Scalars,
    span: Span,
    annotations: &mut Annotations,
) -> Result<bool, QueryError> {
    let values = param.values();
    // As Prometheus' parameters do: a NaN is neither the smallest nor the largest.
    let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let min = values.iter().copied().fold(f64::INFINITY, f64::min);
    let nan = values.iter().any(|v| v.is_nan());
    let failed = |message: String| Err(QueryError::Execution(message));
    match op {
        AggregateOp::Topk | AggregateOp::Bottomk | AggregateOp::Limitk => {
            const LIMIT: f64 = 9_223_372_036_854_775_808.0;
            if max < 1.0 && !nan {
                return Ok(false);
            }
            if nan {
                return failed("Parameter value is NaN".to_owned());
            }
            if min <= -LIMIT {
                return failed(format!("Scalar value {} underflows int64", crate::format::general(min)));
            }
            if max >= LIMIT {
                return failed(format!("Scalar value {} overflows int64", crate::format::general(max)));
            }
        }
        AggregateOp::LimitRatio => {
            if nan {
                return failed("Ratio value is NaN".to_owned());
            }
            if max == 0.0 && min == 0.0 {
                return Ok(false);
            }
            if max > 1.0 {
                annotations.invalid_ratio(max, 1.0, span);
            }
            if min < -1.0 {
                annotations.invalid_ratio(min, -1.0, span);
            }
        }
        AggregateOp::Quantile => {
            if nan {
                annotations.invalid_quantile(f64::NAN, span);
            }
            if max > 1.0 {
                annotations.invalid_quantile(max, span);
            }
            if min < 0.0 {
                annotations.invalid_quantile(min, span);
            }
        }
        _ => {}
    }
    Ok(true)
}

/// Builds series from picked values, in the order in which they were picked.
pub fn picked_series(
    picks: Vec<Picked>,
    steps: usize,
    mut labels: impl FnMut(u32) -> (model::Labels, bool),
) -> Vec<Series> {
    let mut index: crate::hash::HashMap<u32, usize> = crate::hash::HashMap::default();
    let mut out: Vec<Series> = Vec::new();
    for pick in picks {
        let at = *index.entry(pick.series).or_insert_with(|| {
            let (labels, drop_name) = labels(pick.series);
            out.push(Series { labels, drop_name, column: Column::absent(steps) });
            out.len() - 1
        });
        let column = &mut out[at].column;
        match pick.histogram {
            Some(histogram) => column.set_histogram(pick.step as usize, histogram),
            None => column.floats[pick.step as usize] = pick.float,
        }
    }
    out
}

/// Aggregates a whole vector: groups by the labels `grouping`, or by all others and without the metric's name.
/// `param` is k, φ or r where the operator has one; [`check_param`] has passed it.
pub fn aggregate(
    op: AggregateOp,
    series: &[Series],
    grouping: &[String],
    without: bool,
    param: &Scalars,
    steps: usize,
) -> (Vec<Series>, AggregateNotes) {
    if op == AggregateOp::LimitRatio {
        let kept = series.iter().filter_map(|s| {
            let mut s = s.clone();
            keep_ratio(&mut s.column, ratio_offset(&s.labels), param).then_some(s)
        });
        return (kept.collect(), AggregateNotes::default());
    }
    let mut grouper = Grouper::new(grouping, !without);
    let mut accumulator = Accumulator::new(op, steps, param, series.len());
    let mut labels = Vec::new();
    for (at, s) in series.iter().enumerate() {
        let (group, new) = grouper.group(&s.labels);
        if new {
            labels.push(grouper.labels(&s.labels));
            accumulator.grow(labels.len());
        }
        accumulator.add(group, Input { series: at as u32, column: &s.column, drop_name: s.drop_name });
        if accumulator.misfit.is_some() {
            accumulator.name_misfit(s.labels.metric_name().unwrap_or(""));
        }
    }
    if op.selects() {
        let (picks, notes) = accumulator.finish_picks();
        let of = |at: u32| (series[at as usize].labels.clone(), series[at as usize].drop_name);
        return (picked_series(picks, steps, of), notes);
    }
    let (columns, notes) = accumulator.finish();
    let out = labels
        .into_iter()
        .zip(columns)
        .filter(|(_, g)| !g.column.is_void())
        .map(|(labels, g)| Series { labels, drop_name: g.drop_name, column: g.column })
        .collect();
    (out, notes)
}

/// Whether a value counts at all: every float and every histogram does.
fn for_each_present(column: &Column, mut each: impl FnMut(usize, Value<'_>)) {
    for step in 0..column.len() {
        if let Some(value) = column.get(step) {
            each(step, value);
        }
    }
}
