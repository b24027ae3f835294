//! Rewrites of a plan. Each keeps the results as they are.

use model::{METRIC_NAME, MatchOp, Matcher};

use super::{Aggregate, Call, Kind, Map, Node, ScalarOp, Window, WindowSource};
use crate::ast::{BinaryOp, Cardinality, Matching};
use crate::kernels::WindowEnd;
use crate::kernels::math::{go_max, go_min};
use crate::vector::binary::scalar;

/// The number of an operator on two numbers.
pub(crate) fn scalar_result(op: ScalarOp, left: f64, right: f64) -> f64 {
    match op {
        ScalarOp::Binary(op) => scalar(op, left, right),
        ScalarOp::MinOf => go_min(left, right),
        ScalarOp::MaxOf => go_max(left, right),
    }
}

/// Works out operators whose operands are numbers.
pub(super) fn fold(node: &mut Node) {
    for child in node.children_mut() {
        fold(child);
    }
    if let Kind::ScalarBinary { op, left, right } = &node.kind
        && let (Kind::Number(left), Kind::Number(right)) = (&left.kind, &right.kind)
    {
        node.kind = Kind::Number(scalar_result(*op, *left, *right));
    }
}

/// Carries `=` matchers of one side of a join over to the other where a series without the label value could not be in
/// the result: both ways for `and`, to the right for `unless`, and for other operators to the side that may be many if
/// the other one is unique by construction. Otherwise an ambiguity on the unique side, which is an error only where the
/// many side has an element at all, could go unnoticed.
pub(super) fn push_down(node: &mut Node) {
    for child in node.children_mut() {
        push_down(child);
    }
    let Kind::Join { op, matching, left, right, .. } = &mut node.kind else { return };
    if matching.fill_left.is_some() || matching.fill_right.is_some() || *op == BinaryOp::Or {
        return;
    }
    let (to_left, to_right) = match (*op, matching.cardinality) {
        (BinaryOp::And, _) => (true, true),
        (BinaryOp::Unless, _) => (false, true),
        (_, Cardinality::OneToMany) => (false, unique(left, matching)),
        _ => (unique(right, matching), false),
    };
    let joins = |m: &Matcher, matching: &Matching| {
        m.name() != METRIC_NAME && matching.labels.iter().any(|l| l == m.name()) == matching.on
    };
    if to_right {
        for matcher in fixed_labels(left).into_iter().filter(|m| joins(m, matching)) {
            restrict(right, &matcher);
        }
    }
    if to_left {
        for matcher in fixed_labels(right).into_iter().filter(|m| joins(m, matching)) {
            restrict(left, &matcher);
        }
    }
}

/// Whether a vector has at most one series for each match group, whatever the data.
fn unique(node: &Node, matching: &Matching) -> bool {
    match &node.kind {
        Kind::Map { input, .. } => unique(input, matching),
        Kind::Aggregate(aggregate) => {
            let matched = |label: &String| matching.labels.contains(label) == matching.on;
            let groups = !aggregate.op.selects() && aggregate.label.is_empty() && !aggregate.without;
            groups && aggregate.grouping.iter().all(|l| l != METRIC_NAME && matched(l))
        }
        _ => false,
    }
}

/// Labels that all series of a vector have with one value.
fn fixed_labels(node: &Node) -> Vec<Matcher> {
    let equal = |matchers: &[Matcher]| -> Vec<Matcher> {
        let fixed = matchers.iter().filter(|m| m.op() == MatchOp::Equal && !m.value().is_empty());
        fixed.cloned().collect()
    };
    match &node.kind {
        Kind::Select(selector) => equal(&selector.matchers),
        Kind::Range(call) => match &call.window.source {
            WindowSource::Select { matchers, .. } => equal(matchers),
            WindowSource::Subquery { node, .. } => fixed_labels(node),
        },
        Kind::Map { input, .. } => fixed_labels(input),
        Kind::Aggregate(aggregate) if aggregate.label.is_empty() => {
            let mut fixed = fixed_labels(&aggregate.input);
            fixed.retain(|m| keeps(aggregate, m.name()));
            fixed
        }
        _ => Vec::new(),
    }
}

/// Whether an aggregation keeps a label of its input.
fn keeps(aggregate: &Aggregate, label: &str) -> bool {
    aggregate.op.selects() || aggregate.grouping.iter().any(|g| g == label) != aggregate.without
}

/// Adds a matcher to the selectors below a vector where that takes away just the series without the label value.
fn restrict(node: &mut Node, matcher: &Matcher) {
    let add = |matchers: &mut Vec<Matcher>| {
        if !matchers.contains(matcher) {
            matchers.push(matcher.clone());
        }
    };
    match &mut node.kind {
        Kind::Select(selector) => add(&mut selector.matchers),
        Kind::Range(call) => match &mut call.window.source {
            WindowSource::Select { matchers, .. } => add(matchers),
            WindowSource::Subquery { node, .. } => restrict(node, matcher),
        },
        Kind::Map { input, .. } => restrict(input, matcher),
        Kind::Aggregate(aggregate) => {
            // What is picked from a group depends on all of the group.
            let whole_groups = aggregate.grouping.iter().any(|g| g == matcher.name()) != aggregate.without;
            if whole_groups && aggregate.label.is_empty() {
                restrict(&mut aggregate.input, matcher);
            }
        }
        _ => {}
    }
}

/// Marks the selectors of which only counts and sums of histograms are used: those below `histogram_count`,
/// `histogram_sum` or `histogram_avg`, unless a subquery, a quantile, a fraction or a trim stands around or between them.
pub(super) fn histogram_stats(node: &mut Node) {
    mark_stats(node, false, false);
}

/// `counts`: a count, sum or average stands around; `aggregated`: and something between that looks at reset hints.
fn mark_stats(node: &mut Node, counts: bool, aggregated: bool) {
    match &mut node.kind {
        Kind::Select(selector) => selector.stats = counts && aggregated,
        Kind::Matrix(_) => {}
        Kind::Range(call) => match &mut call.window.source {
            WindowSource::Select { stats, .. } => *stats = counts,
            WindowSource::Subquery { .. } => {}
        },
        Kind::Map { map: Map::Histogram { name, .. }, input, .. } => {
            let counts = counts || matches!(*name, "histogram_count" | "histogram_sum" | "histogram_avg");
            mark_stats(input, counts, aggregated);
        }
        Kind::Map { map: Map::Binary { op, .. }, .. } | Kind::Join { op, .. } if is_trim(*op) => {}
        Kind::Call {
            call: Call::HistogramQuantile | Call::HistogramQuantiles { .. } | Call::HistogramFraction,
            ..
        } => {}
        Kind::Aggregate(_) | Kind::Join { .. } => {
            node.children_mut().into_iter().for_each(|child| mark_stats(child, counts, true));
        }
        _ => node.children_mut().into_iter().for_each(|child| mark_stats(child, counts, aggregated)),
    }
}

fn is_trim(op: BinaryOp) -> bool {
    matches!(op, BinaryOp::TrimUpper | BinaryOp::TrimLower)
}

/// Marks the largest parts that are the same at every step.
pub(super) fn invariant(node: &mut Node) {
    if mark(node) {
        wrap(node);
    }
}

fn wrap(node: &mut Node) {
    // Numbers and texts cost nothing, and windows are wrapped with the function around them.
    if matches!(node.kind, Kind::Number(_) | Kind::Text(_) | Kind::Matrix(_) | Kind::Invariant(_)) {
        return;
    }
    let span = node.span;
    let inner = std::mem::replace(node, Node::new(Kind::Number(0.0), span));
    node.kind = Kind::Invariant(Box::new(inner));
}

/// Whether a node is the same at every step; what is so below one that is not gets wrapped.
fn mark(node: &mut Node) -> bool {
    let own = match &mut node.kind {
        Kind::Number(_) | Kind::Text(_) => return true,
        Kind::Time => return false,
        Kind::Select(selector) => return matches!(selector.end, WindowEnd::At(_)),
        Kind::Matrix(window) => return mark_window(window),
        Kind::Range(call) => {
            let fixed = mark_window(&mut call.window) && call.function != "predict_linear";
            return mark_children(call.args.iter_mut().collect(), fixed);
        }
        Kind::Map { map, .. } => !matches!(map, Map::Timestamp),
        Kind::Call { call: Call::Info(info), .. } => matches!(info.end, WindowEnd::At(_)),
        _ => true,
    };
    mark_children(node.children_mut(), own)
}

fn mark_children(mut children: Vec<&mut Node>, own: bool) -> bool {
    let marks: Vec<bool> = children.iter_mut().map(|child| mark(child)).collect();
    if own && marks.iter().all(|m| *m) {
        return true;
    }
    for (child, _) in children.into_iter().zip(marks).filter(|(_, m)| *m) {
        wrap(child);
    }
    false
}

fn mark_window(window: &mut Window) -> bool {
    if let WindowSource::Subquery { node, .. } = &mut window.source
        && mark(node)
    {
        // Once for all steps of the subquery, whether or not the subquery itself is fixed.
        wrap(node);
    }
    matches!(window.end, WindowEnd::At(_))
}
