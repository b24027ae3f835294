//! A plan as text: one operator a line, operands indented below it.

use std::fmt::{self, Write};

use model::duration::DurationMs;

use super::{Call, Kind, Map, Node, Plan, ScalarOp, SelectValue, Selector, Window, WindowSource};
use crate::ast::Extension;
use crate::format::{fixed, label_name, plain};
use crate::kernels::WindowEnd;

impl Map {
    /// Name of the function or operator.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Negate => "negate",
            Self::Float { name, .. } | Self::Date { name, .. } | Self::Histogram { name, .. } | Self::Clamp(name) => {
                name
            }
            Self::Round => "round",
            Self::Binary { .. } => "",
            Self::Timestamp => "timestamp",
            Self::Nothing => "start_timestamp",
        }
    }
}

impl Call {
    /// Name of the function.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Absent { name, .. } => name,
            Self::Scalar => "scalar",
            Self::Vector => "vector",
            Self::Sort { descending: false } => "sort",
            Self::Sort { descending: true } => "sort_desc",
            Self::SortByLabel { descending: false, .. } => "sort_by_label",
            Self::SortByLabel { descending: true, .. } => "sort_by_label_desc",
            Self::LabelReplace(_) => "label_replace",
            Self::LabelJoin { .. } => "label_join",
            Self::HistogramQuantile => "histogram_quantile",
            Self::HistogramQuantiles { .. } => "histogram_quantiles",
            Self::HistogramFraction => "histogram_fraction",
            Self::Info(_) => "info",
        }
    }
}

/// Writes the operator of a node on one line, without its operands.
pub(crate) fn describe(node: &Node) -> String {
    let mut out = String::new();
    // Writing into a string cannot fail.
    let _ = write_node(&mut out, node);
    out
}

fn write_node(out: &mut String, node: &Node) -> fmt::Result {
    match &node.kind {
        Kind::Number(value) => write!(out, "number {}", plain(*value)),
        Kind::Text(text) => write!(out, "text {text:?}"),
        Kind::Time => out.write_str("time"),
        Kind::ScalarBinary { op, .. } => match op {
            ScalarOp::Binary(op) => write!(out, "scalars {}", op.as_str()),
            ScalarOp::MinOf => out.write_str("scalars min_of"),
            ScalarOp::MaxOf => out.write_str("scalars max_of"),
        },
        Kind::Select(selector) => write_selector(out, selector),
        Kind::Range(call) => {
            write!(out, "range {} over ", call.function)?;
            write_window(out, &call.window)
        }
        Kind::Matrix(window) => {
            out.write_str("samples of ")?;
            write_window(out, window)
        }
        Kind::Map { map: Map::Binary { op, number_is_left, return_bool }, .. } => {
            let bool = if *return_bool { " bool" } else { "" };
            let form = if *number_is_left { "number, vector" } else { "vector, number" };
            write!(out, "map {}{bool} ({form})", op.as_str())
        }
        Kind::Map { map, .. } => write!(out, "map {}", map.name()),
        Kind::Call { call, .. } => write!(out, "call {}", call.name()),
        Kind::Join { op, matching, return_bool, .. } => {
            let bool = if *return_bool { " bool" } else { "" };
            write!(out, "join {}{bool} {}", op.as_str(), matching.cardinality.as_str())?;
            write!(out, " {} (", if matching.on { "on" } else { "ignoring" })?;
            write_names(out, &matching.labels)?;
            out.write_char(')')
        }
        Kind::Aggregate(aggregate) => {
            write!(out, "aggregate {}", aggregate.op.as_str())?;
            if aggregate.without || !aggregate.grouping.is_empty() {
                out.write_str(if aggregate.without { " without (" } else { " by (" })?;
                write_names(out, &aggregate.grouping)?;
                out.write_char(')')?;
            }
            Ok(())
        }
        Kind::Invariant(_) => out.write_str("once for all steps"),
    }
}

fn write_names(out: &mut String, names: &[String]) -> fmt::Result {
    for (at, name) in names.iter().enumerate() {
        write!(out, "{}{}", if at == 0 { "" } else { ", " }, label_name(name))?;
    }
    Ok(())
}

fn write_matchers(out: &mut String, matchers: &[model::Matcher]) -> fmt::Result {
    out.write_char('{')?;
    for (at, matcher) in matchers.iter().enumerate() {
        write!(out, "{}{matcher}", if at == 0 { "" } else { "," })?;
    }
    out.write_char('}')
}

fn write_end(out: &mut String, end: WindowEnd) -> fmt::Result {
    match end {
        WindowEnd::Offset(0) => Ok(()),
        WindowEnd::Offset(offset) => write!(out, " offset {}", DurationMs(offset)),
        WindowEnd::At(at) => write!(out, " @ {}", fixed(at as f64 / 1000.0, 3)),
    }
}

fn write_selector(out: &mut String, selector: &Selector) -> fmt::Result {
    out.write_str(match selector.value {
        SelectValue::Sample => "select ",
        SelectValue::Timestamp => "select timestamp of ",
        SelectValue::StartTimestamp => "select start timestamp of ",
    })?;
    write_matchers(out, &selector.matchers)?;
    if selector.smoothed {
        out.write_str(" smoothed")?;
    }
    write_end(out, selector.end)?;
    write!(out, " [selection {}]", selector.selection)
}

fn write_window(out: &mut String, window: &Window) -> fmt::Result {
    match &window.source {
        WindowSource::Select { matchers, .. } => write_matchers(out, matchers)?,
        WindowSource::Subquery { .. } => out.write_str("subquery")?,
    }
    write!(out, "[{}", DurationMs(window.range_ms))?;
    if let WindowSource::Subquery { step_ms, .. } = &window.source {
        write!(out, ":{}", DurationMs(*step_ms))?;
    }
    out.write_char(']')?;
    match window.extension {
        Some(Extension::Anchored) => out.write_str(" anchored")?,
        Some(Extension::Smoothed) => out.write_str(" smoothed")?,
        None => {}
    }
    write_end(out, window.end)?;
    match &window.source {
        WindowSource::Select { selection, .. } => write!(out, " [selection {selection}]"),
        WindowSource::Subquery { steps, .. } => write!(out, " [{} steps]", steps.count),
    }
}

/// Operands for printing.
pub(crate) fn children(node: &Node) -> Vec<&Node> {
    match &node.kind {
        Kind::Number(_) | Kind::Text(_) | Kind::Time | Kind::Select(_) => Vec::new(),
        Kind::ScalarBinary { left, right, .. } | Kind::Join { left, right, .. } => vec![left, right],
        Kind::Range(call) => window_node(&call.window).into_iter().chain(&call.args).collect(),
        Kind::Matrix(window) => window_node(window).into_iter().collect(),
        Kind::Map { input, args, .. } => std::iter::once(&**input).chain(args).collect(),
        Kind::Call { args, .. } => args.iter().collect(),
        Kind::Aggregate(aggregate) => std::iter::once(&aggregate.input).chain(&aggregate.param).collect(),
        Kind::Invariant(node) => vec![node],
    }
}

fn window_node(window: &Window) -> Option<&Node> {
    match &window.source {
        WindowSource::Select { .. } => None,
        WindowSource::Subquery { node, .. } => Some(node),
    }
}

impl Plan {
    /// The tree with a remark behind each operator, by the operator's id.
    pub(crate) fn write_tree(&self, f: &mut impl Write, remark: &dyn Fn(usize) -> String) -> fmt::Result {
        fn walk(f: &mut impl Write, node: &Node, level: usize, remark: &dyn Fn(usize) -> String) -> fmt::Result {
            writeln!(f, "{}{}{}", "  ".repeat(level), describe(node), remark(node.id))?;
            children(node).into_iter().try_for_each(|child| walk(f, child, level + 1, remark))
        }
        walk(f, &self.root, 0, remark)
    }
}

/// The operators as a tree, then what is read from the store.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_tree(f, &|_| String::new())?;
        for (at, spec) in self.selections.iter().enumerate() {
            let mut matchers = String::new();
            write_matchers(&mut matchers, &spec.matchers)?;
            writeln!(f, "selection {at}: {matchers} from {} to {} ms", spec.hints.start_ms, spec.hints.end_ms)?;
        }
        Ok(())
    }
}
