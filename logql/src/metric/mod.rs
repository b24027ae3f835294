//! Queries of numbers: from the syntax tree to a plan ([`plan`]), from the plan to columns of numbers over all steps.

pub(crate) mod accumulate;
pub(crate) mod grid;
pub(crate) mod parts;
pub(crate) mod plan;
pub(crate) mod range;
mod subquery;

use model::LogSource;

use crate::engine::{
    Budget, EngineOptions, QueryContext, QueryError, QueryOutput, Sample, SeriesPoints, Stats, Time, Value,
};
use crate::explain::{self, PlanNode, Profile};
use crate::syntax::ast::{MetricExpr, VectorOp};
use crate::vector::{Series, aggregate, binary};
use grid::{Steps, is_present};
use plan::Node;

/// Most steps of a range query, the two at the ends that alignment may add included.
const MAX_STEPS: usize = 11_002;

/// What an evaluation works with.
pub(crate) struct Environment<'a> {
    pub(crate) source: &'a dyn LogSource,
    pub(crate) budget: &'a Budget<'a>,
    pub(crate) threads: usize,
    pub(crate) stats: Stats,
    pub(crate) warnings: Vec<String>,
    /// What nodes take, if it is asked for.
    pub(crate) profile: Option<Profile>,
    bytes: u64,
}

impl Environment<'_> {
    /// Counts bytes that are going to be read; an error if they are too many.
    pub(crate) fn check_bytes(&mut self, bytes: u64) -> Result<(), QueryError> {
        self.bytes += bytes;
        let limit = self.budget.limits().max_bytes_read;
        if limit > 0 && self.bytes > limit {
            return Err(QueryError::TooManyBytes { bytes: self.bytes, limit });
        }
        Ok(())
    }
}

/// Answers a query of numbers.
pub(crate) fn query(
    source: &dyn LogSource,
    expr: &MetricExpr,
    time: Time,
    options: &EngineOptions,
    context: &QueryContext<'_>,
) -> Result<QueryOutput, QueryError> {
    run(source, expr, time, options, context, false).map(|(output, _)| output)
}

/// The plan of a query of numbers.
pub(crate) fn explain(
    expr: &MetricExpr,
    time: Time,
    options: &EngineOptions,
    context: &QueryContext<'_>,
) -> Result<PlanNode, QueryError> {
    check(expr, time, options, context)?;
    steps(time, options)?;
    match expr {
        MetricExpr::Literal(value, _) => Ok(literal_plan(*value)),
        expr => Ok(explain::metric(&plan::plan(expr, options, context)?, None)),
    }
}

/// Answers a query of numbers and tells what its parts took.
pub(crate) fn analyze(
    source: &dyn LogSource,
    expr: &MetricExpr,
    time: Time,
    options: &EngineOptions,
    context: &QueryContext<'_>,
) -> Result<(QueryOutput, PlanNode), QueryError> {
    run(source, expr, time, options, context, true)
}

fn literal_plan(value: f64) -> PlanNode {
    PlanNode { operation: value.to_string(), ..PlanNode::default() }
}

fn run(
    source: &dyn LogSource,
    expr: &MetricExpr,
    time: Time,
    options: &EngineOptions,
    context: &QueryContext<'_>,
    measure: bool,
) -> Result<(QueryOutput, PlanNode), QueryError> {
    check(expr, time, options, context)?;
    let steps = steps(time, options)?;
    let output = |value, stats, warnings| QueryOutput { value, stats, warnings };
    if let MetricExpr::Literal(value, _) = expr {
        let output = output(literal(*value, time, steps), Stats::default(), Vec::new());
        return Ok((output, literal_plan(*value)));
    }
    let node = plan::plan(expr, options, context)?;
    let budget = Budget::new(context);
    let threads = context.threads.max(1);
    let mut env = Environment {
        source,
        budget: &budget,
        threads,
        stats: Stats::default(),
        warnings: Vec::new(),
        profile: measure.then(Profile::default),
        bytes: 0,
    };
    let mut series = evaluate(&node, &mut env, steps)?;
    series.retain(|one| one.values.iter().any(|value| is_present(*value)));
    let limit = context.limits.max_series;
    if series.len() > limit {
        return Err(QueryError::TooManySeries { limit });
    }
    if !matches!(time, Time::Instant(_)) || !sorts(expr) {
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
    }
    let value = match time {
        Time::Instant(_) => Value::Vector(samples(series, steps)),
        Time::Range { .. } => Value::Matrix(points(series, steps)),
    };
    env.stats.entries_returned = match &value {
        Value::Vector(samples) => samples.len() as u64,
        Value::Matrix(series) => series.iter().map(|one| one.points.len() as u64).sum(),
        _ => 0,
    };
    let plan = if measure { explain::metric(&node, env.profile.as_ref()) } else { PlanNode::default() };
    Ok((output(value, env.stats, env.warnings), plan))
}

/// What can be wrong with a query before it runs.
fn check(expr: &MetricExpr, time: Time, options: &EngineOptions, context: &QueryContext<'_>) -> Result<(), QueryError> {
    let limit_ns = context.limits.max_range_ns;
    let mut longest = 0;
    let mut approximate = false;
    expr.visit(&mut |node| {
        approximate |= matches!(node, MetricExpr::Vector(v) if v.op == VectorOp::ApproxTopk);
        longest = longest.max(match node {
            MetricExpr::Range(node) => node.range.range_ns,
            MetricExpr::Subquery(node) => node.range_ns,
            _ => 0,
        });
    });
    if approximate && options.approx_topk && matches!(time, Time::Range { .. }) {
        return Err(QueryError::ApproxTopkRange);
    }
    if limit_ns > 0 && longest > limit_ns {
        return Err(QueryError::RangeTooLong { range_ns: longest, limit_ns });
    }
    Ok(())
}

/// The evaluation times of a query.
fn steps(time: Time, options: &EngineOptions) -> Result<Steps, QueryError> {
    let (mut start, mut end, step) = match time {
        Time::Instant(at) => return Ok(Steps::instant(at)),
        Time::Range { start_ns, end_ns, step_ns } => (start_ns, end_ns, step_ns.max(1)),
    };
    if options.align_steps {
        start -= start.rem_euclid(step);
        let rest = end.rem_euclid(step);
        if rest != 0 {
            end = end.saturating_add(step - rest);
        }
    }
    let steps = Steps::range(start, end, step);
    if steps.count > MAX_STEPS { Err(QueryError::TooManyPoints) } else { Ok(steps) }
}

fn milliseconds(ns: i64) -> i64 {
    ns.div_euclid(1_000_000)
}

fn literal(value: f64, time: Time, steps: Steps) -> Value {
    match time {
        Time::Instant(at) => Value::Scalar(milliseconds(at), value),
        Time::Range { .. } => {
            let values = vec![value; steps.count];
            Value::Matrix(points(vec![Series { labels: Default::default(), values }], steps))
        }
    }
}

fn samples(series: Vec<Series>, steps: Steps) -> Vec<Sample> {
    let timestamp_ms = milliseconds(steps.at(0));
    series
        .into_iter()
        .filter_map(|one| {
            let value = one.values.first().copied().filter(|value| is_present(*value))?;
            Some(Sample { labels: one.labels, timestamp_ms, value })
        })
        .collect()
}

fn points(series: Vec<Series>, steps: Steps) -> Vec<SeriesPoints> {
    series
        .into_iter()
        .map(|one| {
            let there = one.values.iter().enumerate().filter(|(_, value)| is_present(**value));
            let points = there.map(|(step, value)| (milliseconds(steps.at(step)), *value)).collect();
            SeriesPoints { labels: one.labels, points }
        })
        .collect()
}

/// Whether the query gives its result an order.
fn sorts(expr: &MetricExpr) -> bool {
    let mut found = false;
    expr.visit(&mut |node| {
        found |= matches!(node, MetricExpr::Vector(v) if matches!(v.op, VectorOp::Sort | VectorOp::SortDesc));
    });
    found
}

/// The numbers of a part of the plan.
pub(crate) fn evaluate(node: &Node, env: &mut Environment<'_>, steps: Steps) -> Result<Vec<Series>, QueryError> {
    env.budget.check()?;
    let budget = env.budget;
    let number = env.profile.as_mut().map(|profile| profile.begin(budget));
    let series = evaluate_node(node, env, steps)?;
    if let (Some(profile), Some(number)) = (&mut env.profile, number) {
        profile.end(number, series.len(), budget);
    }
    Ok(series)
}

fn evaluate_node(node: &Node, env: &mut Environment<'_>, steps: Steps) -> Result<Vec<Series>, QueryError> {
    match node {
        Node::Range(node) => node.evaluate(env, steps),
        Node::Aggregate { op, parameter, grouping, inner } => {
            Ok(aggregate::aggregate(*op, *parameter, grouping, evaluate(inner, env, steps)?))
        }
        Node::WithLiteral { op, literal, literal_left, return_bool, inner } => {
            Ok(binary::with_literal(*op, *literal, *literal_left, *return_bool, evaluate(inner, env, steps)?))
        }
        Node::Between { node, left, right } => {
            let left = evaluate(left, env, steps)?;
            let right = evaluate(right, env, steps)?;
            binary::between(node, left, right).map_err(QueryError::Matching)
        }
        Node::LabelReplace { replace, inner } => Ok(replace.apply(evaluate(inner, env, steps)?)),
        Node::Vector(value) => Ok(vec![Series { labels: Default::default(), values: vec![*value; steps.count] }]),
        Node::Subquery { node, inner } => subquery::evaluate(node, inner, env, steps),
    }
}
