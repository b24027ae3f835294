//! A tree as indented text: what fits into a line of 100 bytes stays on one, the rest is broken at its parts.

use super::ast::*;
use super::parse::{ParseOptions, parse};
use super::print::{group_word, has_include};
use super::{ParseError, ast};
use crate::units::duration::{GoDuration, prometheus};
use model::number::{FloatFormat, float_text, quote};

const LINE_LEN: usize = 100;

/// Reads a query and prints it nicely indented.
///
/// # Errors
/// When the text is not a query.
pub fn format_query(text: &str, options: ParseOptions) -> Result<String, ParseError> {
    Ok(pretty(&parse(text, options)?))
}

/// Prints a tree nicely indented.
pub(crate) fn pretty(expr: &Expr) -> String {
    let mut out = String::new();
    match expr {
        Expr::Log(log) => log_expr(&mut out, log, 0),
        Expr::Metric(node) => metric(&mut out, node, 0),
    }
    out
}

fn indent(out: &mut String, level: usize) {
    out.push_str(&"  ".repeat(level));
}

/// `text` on one line if it fits; false when it has to be broken.
fn fits(out: &mut String, text: &str, level: usize) -> bool {
    if text.len() > LINE_LEN {
        return false;
    }
    indent(out, level);
    out.push_str(text);
    true
}

fn log_expr(out: &mut String, log: &LogExpr, level: usize) {
    if log.stages.is_empty() {
        indent(out, level);
        out.push_str(&log.selector.to_string());
        return;
    }
    if fits(out, &log.to_string(), level) {
        return;
    }
    indent(out, level);
    out.push_str(&log.selector.to_string());
    for group in log.stages.chunk_by(|a, b| is_line_filter(a) && is_line_filter(b)) {
        let text = group.iter().map(Stage::to_string).collect::<Vec<_>>().join(" ");
        if text.len() <= LINE_LEN || group.len() == 1 {
            out.push('\n');
            // The reference forgets to indent this one.
            let level = if group[0].kind == StageKind::Decolorize { 0 } else { level + 1 };
            indent(out, level);
            out.push_str(&text);
            continue;
        }
        for stage in group {
            out.push('\n');
            indent(out, level + 1);
            out.push_str(&stage.to_string());
        }
    }
}

fn is_line_filter(stage: &Stage) -> bool {
    matches!(stage.kind, StageKind::LineFilter(_))
}

fn range(out: &mut String, range: &LogRange, level: usize) {
    log_expr(out, &range.log, level);
    if let Some(unwrap) = &range.unwrap {
        out.push('\n');
        indent(out, level + 1);
        let plain = ast::Unwrap { filters: Vec::new(), ..unwrap.clone() };
        out.push_str(&plain.to_string());
        for filter in &unwrap.filters {
            out.push('\n');
            indent(out, level + 1);
            out.push_str(&format!("| {filter}"));
        }
    }
    out.push_str(&format!(" [{}]", prometheus(range.range_ns)));
    if range.offset_ns != 0 {
        out.push_str(&format!(" offset {}", OffsetText(range.offset_ns)));
    }
}

/// Prometheus' form, or Go's where it would lose something.
struct OffsetText(i64);

impl std::fmt::Display for OffsetText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0 % 1_000_000 == 0 { prometheus(self.0).fmt(f) } else { GoDuration(self.0).fmt(f) }
    }
}

fn grouping(out: &mut String, grouping: &Grouping) {
    out.push_str(if grouping.without { " without (" } else { " by (" });
    out.push_str(&grouping.labels.join(", "));
    out.push(')');
}

/// `(`, each argument on lines of its own, `)`.
fn arguments(out: &mut String, level: usize, arguments: &[&dyn Fn(&mut String)]) {
    out.push_str("(\n");
    for (i, argument) in arguments.iter().enumerate() {
        argument(out);
        out.push_str(if i + 1 < arguments.len() { ",\n" } else { "\n" });
    }
    indent(out, level);
    out.push(')');
}

fn metric(out: &mut String, node: &MetricExpr, level: usize) {
    if fits(out, &node.to_string(), level) {
        return;
    }
    let deeper = level + 1;
    let word = |text: String| {
        move |out: &mut String| {
            indent(out, deeper);
            out.push_str(&text);
        }
    };
    match node {
        MetricExpr::Range(node) => {
            indent(out, level);
            out.push_str(node.op.as_str());
            let inner = |out: &mut String| range(out, &node.range, deeper);
            let first = node.field.clone().or_else(|| node.parameter.map(|p| float_text(p, FloatFormat::General)));
            match first {
                Some(text) => arguments(out, level, &[&word(text), &inner]),
                None => arguments(out, level, &[&inner]),
            }
            if let Some(by) = &node.grouping {
                grouping(out, by);
            }
        }
        MetricExpr::Vector(node) => {
            indent(out, level);
            out.push_str(node.op.as_str());
            if !node.grouping.is_singleton() {
                grouping(out, &node.grouping);
            }
            let inner = |out: &mut String| metric(out, &node.inner, deeper);
            match node.parameter {
                Some(k) => arguments(out, level, &[&word(k.to_string()), &inner]),
                None => arguments(out, level, &[&inner]),
            }
        }
        MetricExpr::Binary(node) => {
            operand(out, &node.left, node.op, false, deeper);
            out.push('\n');
            indent(out, level);
            out.push_str(&operator(node));
            out.push('\n');
            operand(out, &node.right, node.op, true, deeper);
        }
        MetricExpr::LabelReplace(node) => {
            indent(out, level);
            out.push_str("label_replace");
            let inner = |out: &mut String| metric(out, &node.inner, deeper);
            let texts = [&node.destination, &node.replacement, &node.source, &node.regex].map(|text| word(quote(text)));
            let [a, b, c, d] = &texts;
            arguments(out, level, &[&inner, a, b, c, d]);
        }
        MetricExpr::Subquery(node) => {
            indent(out, level);
            out.push_str(node.op.as_str());
            let inner = |out: &mut String| {
                metric(out, &node.inner, deeper);
                let step = node.step_ns.map(|step| prometheus(step).to_string()).unwrap_or_default();
                out.push_str(&format!(" [{}:{step}]", prometheus(node.range_ns)));
                if node.offset_ns != 0 {
                    out.push_str(&format!(" offset {}", OffsetText(node.offset_ns)));
                }
            };
            match node.parameter {
                Some(value) => arguments(out, level, &[&word(float_text(value, FloatFormat::General)), &inner]),
                None => arguments(out, level, &[&inner]),
            }
        }
        MetricExpr::Literal(..) | MetricExpr::VectorLiteral(..) => {
            indent(out, level);
            out.push_str(&node.to_string());
        }
    }
}

/// An operand, in parentheses where it would otherwise be read as part of another operation. (The reference leaves them
/// out, so that what it prints may mean something else.)
fn operand(out: &mut String, node: &MetricExpr, outer: BinaryOp, right: bool, level: usize) {
    let MetricExpr::Binary(inner) = node else { return metric(out, node, level) };
    let (inner, outer) = (inner.op.precedence(), outer.precedence());
    let binds = inner > outer || inner == outer && right == (outer == BinaryOp::Pow.precedence());
    if binds || node.to_string().len() <= LINE_LEN {
        return metric(out, node, level);
    }
    indent(out, level);
    out.push_str("(\n");
    metric(out, node, level + 1);
    out.push('\n');
    indent(out, level);
    out.push(')');
}

fn operator(node: &Binary) -> String {
    let mut out = node.op.as_str().to_owned();
    if node.return_bool {
        out.push_str(" bool");
    }
    let matching = &node.matching;
    if matching.on || !matching.labels.is_empty() || matching.cardinality != Cardinality::OneToOne {
        let word = if matching.on { "on" } else { "ignoring" };
        out.push_str(&format!(" {word} ({}) {}", matching.labels.join(", "), group_word(matching.cardinality)));
        if has_include(node) {
            out.push_str(&format!(" ({})", matching.include.join(", ")));
        }
    }
    out
}
