//! Functions over the results of an expression (an extension): `max_over_time(rate({…}[5m])[1h:1m])`.
//!
//! The inner expression is evaluated at multiples of its own step; each of its numbers is then a sample of the window
//! function.

use super::Environment;
use super::accumulate::{CounterRate, Quantile, Samples};
use super::grid::{Grid, Steps, is_present};
use super::plan::Node;
use crate::engine::QueryError;
use crate::label_set::LabelSet;
use crate::syntax::ast::{RangeOp, Subquery};
use crate::vector::Series;
use accumulator::finish;

/// Most evaluations of the inner expression.
const MAX_INNER_STEPS: usize = 110_000;

pub(super) fn evaluate(
    node: &Subquery,
    inner: &Node,
    env: &mut Environment<'_>,
    steps: Steps,
) -> Result<Vec<Series>, QueryError> {
    let default = if steps.count > 1 { steps.step_ns } else { 60_000_000_000 };
    let step_ns = node.step_ns.unwrap_or(default).max(1);
    let grid = Grid::new(steps, node.range_ns, node.offset_ns);
    let (from, until) = grid.bounds();
    // The first multiple of the step in the first window.
    let start_ns = from.saturating_add((step_ns - from.rem_euclid(step_ns)) % step_ns);
    let inner_steps = Steps::range(start_ns, until.saturating_sub(1), step_ns);
    if inner_steps.count > MAX_INNER_STEPS {
        return Err(QueryError::TooManyPoints);
    }
    let series = super::evaluate(inner, env, inner_steps)?;
    env.budget.take(series.len() * grid.step_count() * size_of::<f64>())?;
    let finish = |one: Series| {
        let mut samples = Samples::default();
        for (index, value) in one.values.iter().enumerate().filter(|(_, value)| is_present(**value)) {
            samples.push(inner_steps.at(index), 0, *value);
        }
        let values = match node.op {
            RangeOp::Quantile => samples.finish(&grid, node.range_ns, &Quantile(node.parameter.unwrap_or(f64::NAN))),
            RangeOp::RateCounter => samples.finish(&grid, node.range_ns, &CounterRate),
            op => finish(op, samples, &grid, node.range_ns),
        };
        Series { labels: one.labels, values }
    };
    let mut results: Vec<Series> = series.into_iter().map(finish).collect();
    if node.op == RangeOp::Absent {
        let there = |step: usize| results.iter().any(|one| is_present(one.values[step]));
        let absent = |step| if there(step) { super::grid::ABSENT } else { 1.0 };
        let values = (0..grid.step_count()).map(absent).collect();
        results = vec![Series { labels: LabelSet::empty(), values }];
    }
    Ok(results)
}

mod accumulator {
    use super::*;
    use crate::metric::accumulate::WindowFunction;

    /// A function of the plain numbers of a window.
    struct Plain(fn(&[(i64, f64)], f64) -> f64);

    impl WindowFunction for Plain {
        fn value(&self, samples: &[(i64, f64)], _: i64, range_ns: i64) -> f64 {
            (self.0)(samples, range_ns as f64 / 1e9)
        }
    }

    pub(super) fn finish(op: RangeOp, samples: Samples, grid: &Grid, range_ns: i64) -> Vec<f64> {
        let function: fn(&[(i64, f64)], f64) -> f64 = match op {
            RangeOp::Sum => |samples, _| sum(samples),
            RangeOp::Rate => |samples, seconds| sum(samples) / seconds,
            RangeOp::Avg => |samples, _| sum(samples) / samples.len() as f64,
            RangeOp::Min => |samples, _| samples.iter().fold(f64::NAN, |min, (_, v)| min.min(*v)),
            RangeOp::Max => |samples, _| samples.iter().fold(f64::NAN, |max, (_, v)| max.max(*v)),
            RangeOp::Stdvar => |samples, _| variance(samples),
            RangeOp::Stddev => |samples, _| variance(samples).sqrt(),
            RangeOp::First => |samples, _| samples.first().map_or(f64::NAN, |(_, v)| *v),
            RangeOp::Last => |samples, _| samples.last().map_or(f64::NAN, |(_, v)| *v),
            _ => |samples, _| samples.len() as f64,
        };
        samples.finish(grid, range_ns, &Plain(function))
    }

    fn sum(samples: &[(i64, f64)]) -> f64 {
        samples.iter().map(|(_, value)| value).sum()
    }

    fn variance(samples: &[(i64, f64)]) -> f64 {
        let mean = sum(samples) / samples.len() as f64;
        samples.iter().map(|(_, value)| (value - mean).powi(2)).sum::<f64>() / samples.len() as f64
    }
}
