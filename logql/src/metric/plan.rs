//! The plan of a query of numbers: the syntax tree with pipelines compiled, groupings handed down, useless stages gone.

use model::MatchOp;

use super::range::{Key, RangeNode};
use crate::engine::{EngineOptions, QueryContext, QueryError};
use crate::label_set::LabelSet;
use crate::pipeline::compile::{Wanted, compile};
use crate::syntax::ParseError;
use crate::syntax::ast::{
    Binary, BinaryOp, Grouping, LogExpr, MetricExpr, RangeAggregation, RangeOp, Stage, StageKind, Subquery, VectorOp,
};
use crate::vector::label_replace::LabelReplace;

/// A part of a plan.
pub(crate) enum Node {
    Range(Box<RangeNode>),
    Aggregate { op: VectorOp, parameter: usize, grouping: Grouping, inner: Box<Node> },
    WithLiteral { op: BinaryOp, literal: f64, literal_left: bool, return_bool: bool, inner: Box<Node> },
    Between { node: Box<Binary>, left: Box<Node>, right: Box<Node> },
    LabelReplace { replace: Box<LabelReplace>, inner: Box<Node> },
    Vector(f64),
    Subquery { node: Box<Subquery>, inner: Box<Node> },
}

/// Plans a query; a literal alone is none.
pub(crate) fn plan(expr: &MetricExpr, options: &EngineOptions, context: &QueryContext<'_>) -> Result<Node, QueryError> {
    Ok(match expr {
        MetricExpr::Range(node) => Node::Range(Box::new(range(node, None, context)?)),
        MetricExpr::Vector(node) => {
            if node.op == VectorOp::ApproxTopk && !options.approx_topk {
                return Err(QueryError::ApproxTopkDisabled);
            }
            let inner = match &node.inner {
                // The sum of a group needs no more labels than the group's. Adding up once more joins groups that differ by
                // labels with an empty value alone.
                MetricExpr::Range(inner)
                    if node.op == VectorOp::Sum && inner.grouping.is_none() && is_additive(inner.op) =>
                {
                    Node::Range(Box::new(range(inner, Some(&node.grouping), context)?))
                }
                MetricExpr::Literal(value, _) => Node::Vector(*value),
                inner => plan(inner, options, context)?,
            };
            Node::Aggregate {
                op: node.op,
                parameter: node.parameter.unwrap_or(0),
                grouping: node.grouping.clone(),
                inner: Box::new(inner),
            }
        }
        MetricExpr::Binary(node) => {
            let with_literal = |literal, literal_left, inner| -> Result<Node, QueryError> {
                Ok(Node::WithLiteral {
                    op: node.op,
                    literal,
                    literal_left,
                    return_bool: node.return_bool,
                    inner: Box::new(plan(inner, options, context)?),
                })
            };
            match (&node.left, &node.right) {
                (MetricExpr::Literal(value, _), right) => with_literal(*value, true, right)?,
                (left, MetricExpr::Literal(value, _)) => with_literal(*value, false, left)?,
                (left, right) => {
                    let left = Box::new(plan(left, options, context)?);
                    let right = Box::new(plan(right, options, context)?);
                    // The operands are in the plan; of the node only operator and matching are used.
                    Node::Between { node: node.clone(), left, right }
                }
            }
        }
        MetricExpr::LabelReplace(node) => {
            let replace = LabelReplace::new(node).map_err(|e| {
                ParseError::of(node.span.start as usize, format!("invalid regex in label_replace: {e}"))
            })?;
            let inner = Box::new(plan(&node.inner, options, context)?);
            Node::LabelReplace { replace: Box::new(replace), inner }
        }
        MetricExpr::Literal(value, _) | MetricExpr::VectorLiteral(value, _) => Node::Vector(*value),
        MetricExpr::Subquery(node) => {
            let inner = Box::new(plan(&node.inner, options, context)?);
            Node::Subquery { node: node.clone(), inner }
        }
    })
}

/// Sums of parts are the whole.
fn is_additive(op: RangeOp) -> bool {
    matches!(op, RangeOp::Count | RangeOp::Rate | RangeOp::Bytes | RangeOp::BytesRate | RangeOp::Sum)
}

fn range(
    node: &RangeAggregation,
    outer: Option<&Grouping>,
    context: &QueryContext<'_>,
) -> Result<RangeNode, QueryError> {
    let grouping = outer.or(node.grouping.as_ref());
    let mut groups: Vec<&str> = grouping.map_or(Vec::new(), |g| g.labels.iter().map(String::as_str).collect());
    groups.sort_unstable();
    groups.dedup();
    let mut without = grouping.is_some_and(|g| g.without);
    let no_labels = node.op == RangeOp::Absent || grouping.is_some_and(Grouping::is_singleton);
    let unwrap = node.range.unwrap.as_ref();
    if let Some(unwrap) = unwrap
        && (groups.is_empty() || without)
    {
        without = true;
        groups.push(&unwrap.label);
    }
    let log = &node.range.log;
    let stages = useful_stages(log, node.op);
    // The label whose values are counted has to be extracted like those of the groups.
    let mut wanted = Wanted { groups: groups.clone(), without, no_labels, unwrap };
    if let Some(field) = &node.field {
        wanted.no_labels = false;
        wanted.without |= groups.is_empty() && !no_labels;
        wanted.groups.push(field);
    }
    let mut compiled = compile(&stages, Some(&wanted), context.timestamp())?;
    compiled.drop_useless_parsers();
    let names = &mut compiled.pipeline.state.names;
    let ids = groups.iter().map(|name| names.id(name)).collect();
    let key = if no_labels {
        Key::Nothing
    } else if without || groups.is_empty() {
        Key::Without(ids)
    } else {
        Key::By(ids)
    };
    let unwrap = unwrap.map(|unwrap| (names.id(&unwrap.label), unwrap.conversion));
    let field = node.field.as_ref().map(|field| names.id(field));
    names.fix();
    Ok(RangeNode {
        op: node.op,
        parameter: node.parameter,
        matchers: log.selector.matchers.clone(),
        compiled,
        range_ns: node.range.range_ns,
        offset_ns: node.range.offset_ns,
        unwrap,
        field,
        key,
        absent_labels: absent_labels(log),
    })
}

/// The stages without `line_format`s that nothing looks at. Lengths of lines are looked at by functions of bytes.
fn useful_stages(log: &LogExpr, op: RangeOp) -> Vec<Stage> {
    if matches!(op, RangeOp::Bytes | RangeOp::BytesRate) {
        return log.stages.clone();
    }
    let reads_line = |stage: &Stage| {
        matches!(
            stage.kind,
            StageKind::LineFilter(_)
                | StageKind::Json { .. }
                | StageKind::JsonFields(_)
                | StageKind::Logfmt(_)
                | StageKind::LogfmtFields(..)
                | StageKind::Regexp(_)
                | StageKind::Pattern(_)
                | StageKind::Unpack
        )
    };
    let mut useful = Vec::new();
    for (at, stage) in log.stages.iter().enumerate() {
        if !matches!(stage.kind, StageKind::LineFormat(_)) || log.stages[at..].iter().any(reads_line) {
            useful.push(stage.clone());
        }
    }
    useful
}

/// What is known of the labels of entries that are not there: those that must equal a value.
fn absent_labels(log: &LogExpr) -> LabelSet {
    let matchers = &log.selector.matchers;
    let mut pairs: Vec<(&str, &str)> = Vec::new();
    let mut open: Vec<&str> = Vec::new();
    for matcher in matchers.iter().filter(|matcher| matcher.name() != model::METRIC_NAME) {
        let known = pairs.iter().any(|(name, _)| *name == matcher.name());
        if matcher.op() == MatchOp::Equal && !known {
            if !matcher.value().is_empty() {
                pairs.push((matcher.name(), matcher.value()));
            }
        } else {
            open.push(matcher.name());
        }
    }
    pairs.retain(|(name, _)| !open.contains(name));
    LabelSet::from_pairs(pairs)
}
