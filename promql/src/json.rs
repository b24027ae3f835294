//! A tree as JSON: the answer of the parse endpoint, keys ascending as Go prints maps.

use std::fmt::Write;

use crate::ast::{
    AtModifier, Binary, DurationExpr, DurationValue, Expr, Extension, NumberLiteral, ValueType, VectorSelector,
};
use crate::format::plain;
use crate::functions::Function;

/// The tree as one JSON value.
pub fn ast_json(expr: &Expr) -> String {
    let mut out = String::new();
    write_expr(&mut out, expr);
    out
}

fn write_expr(out: &mut String, expr: &Expr) {
    match expr {
        Expr::Aggregate(e) => {
            out.push_str("{\"expr\":");
            write_expr(out, &e.expr);
            out.push_str(",\"grouping\":");
            write_strings(out, &e.grouping);
            let _ = write!(out, ",\"op\":\"{}\",\"param\":", e.op.as_str());
            match &e.param {
                Some(param) => write_expr(out, param),
                None => out.push_str("null"),
            }
            let _ = write!(out, ",\"type\":\"aggregation\",\"without\":{}}}", e.without);
        }
        Expr::Binary(e) => write_binary(out, e),
        Expr::Call(e) => {
            out.push_str("{\"args\":");
            write_list(out, &e.args, write_expr);
            out.push_str(",\"func\":");
            write_function(out, e.function);
            out.push_str(",\"type\":\"call\"}");
        }
        Expr::Matrix(e) => write_selector(out, &e.vector, Some(&e.range)),
        Expr::Vector(e) => write_selector(out, e, None),
        Expr::Number(number) => {
            let _ = write!(out, "{{\"type\":\"numberLiteral\",\"val\":\"{}\"}}", plain(number.value));
        }
        Expr::Paren(e) => {
            out.push_str("{\"expr\":");
            write_expr(out, &e.expr);
            out.push_str(",\"type\":\"parenExpr\"}");
        }
        Expr::String(text) => {
            out.push_str("{\"type\":\"stringLiteral\",\"val\":");
            write_string(out, &text.value);
            out.push('}');
        }
        Expr::Subquery(e) => {
            out.push_str("{\"expr\":");
            write_expr(out, &e.expr);
            write_duration(out, "offset", &e.offset);
            write_duration(out, "range", &e.range);
            write_start_or_end(out, e.at);
            write_duration(out, "step", &e.step);
            write_timestamp(out, e.at);
            out.push_str(",\"type\":\"subquery\"}");
        }
        Expr::Unary(e) => {
            out.push_str("{\"expr\":");
            write_expr(out, &e.expr);
            let _ = write!(out, ",\"op\":\"{}\",\"type\":\"unaryExpr\"}}", if e.negative { "-" } else { "+" });
        }
    }
}

fn write_binary(out: &mut String, e: &Binary) {
    let _ = write!(out, "{{\"bool\":{},\"lhs\":", e.return_bool);
    write_expr(out, &e.left);
    out.push_str(",\"matching\":");
    match &e.matching {
        None => out.push_str("null"),
        Some(matching) => {
            let number = |fill: Option<f64>| fill.map_or_else(|| "null".to_owned(), plain);
            let _ = write!(
                out,
                "{{\"card\":\"{}\",\"fillValues\":{{\"lhs\":{},\"rhs\":{}}},\"include\":",
                matching.cardinality.as_str(),
                number(matching.fill_left),
                number(matching.fill_right)
            );
            write_strings(out, &matching.include);
            out.push_str(",\"labels\":");
            write_strings(out, &matching.labels);
            let _ = write!(out, ",\"on\":{}}}", matching.on);
        }
    }
    let _ = write!(out, ",\"op\":\"{}\",\"rhs\":", e.op.as_str());
    write_expr(out, &e.right);
    out.push_str(",\"type\":\"binaryExpr\"}");
}

fn write_function(out: &mut String, function: &Function) {
    out.push_str("{\"argTypes\":");
    write_list(out, function.args, |out, t: &ValueType| {
        let _ = write!(out, "\"{}\"", t.as_str());
    });
    let _ = write!(
        out,
        ",\"name\":\"{}\",\"returnType\":\"{}\",\"variadic\":{}}}",
        function.name,
        function.returns.as_str(),
        function.variadic
    );
}

fn write_selector(out: &mut String, selector: &VectorSelector, range: Option<&DurationValue>) {
    let _ = write!(out, "{{\"anchored\":{},\"matchers\":", selector.extension == Some(Extension::Anchored));
    write_list(out, &selector.matchers, |out, matcher| {
        out.push_str("{\"name\":");
        write_string(out, matcher.name());
        let _ = write!(out, ",\"type\":\"{}\",\"value\":", matcher.op().as_str());
        write_string(out, matcher.value());
        out.push('}');
    });
    out.push_str(",\"name\":");
    write_string(out, &selector.name);
    write_duration(out, "offset", &selector.offset);
    if let Some(range) = range {
        write_duration(out, "range", range);
    }
    let _ = write!(out, ",\"smoothed\":{}", selector.extension == Some(Extension::Smoothed));
    write_start_or_end(out, selector.at);
    write_timestamp(out, selector.at);
    let kind = if range.is_some() { "matrixSelector" } else { "vectorSelector" };
    let _ = write!(out, ",\"type\":\"{kind}\"}}");
}

fn write_duration(out: &mut String, name: &str, duration: &DurationValue) {
    let _ = write!(out, ",\"{name}\":{},\"{name}Expr\":", duration.ms);
    match &duration.expr {
        Some(expr) => write_duration_expr(out, Some(expr)),
        None => out.push_str("null"),
    }
}

fn write_duration_expr(out: &mut String, expr: Option<&DurationExpr>) {
    match expr {
        None => out.push_str("null"),
        Some(DurationExpr::Number(NumberLiteral { value, duration, .. })) => {
            let value = plain(*value);
            let _ = write!(out, "{{\"duration\":{duration},\"type\":\"numberLiteral\",\"val\":\"{value}\"}}");
        }
        Some(DurationExpr::Op(op)) => {
            out.push_str("{\"lhs\":");
            write_duration_expr(out, op.left.as_ref());
            let _ = write!(out, ",\"op\":\"{}\",\"rhs\":", op.op.as_str());
            write_duration_expr(out, op.right.as_ref());
            let _ = write!(out, ",\"type\":\"durationExpr\",\"wrapped\":{}}}", op.wrapped);
        }
    }
}

fn write_start_or_end(out: &mut String, at: Option<AtModifier>) {
    out.push_str(match at {
        Some(AtModifier::Start) => ",\"startOrEnd\":\"start\"",
        Some(AtModifier::End) => ",\"startOrEnd\":\"end\"",
        _ => ",\"startOrEnd\":null",
    });
}

fn write_timestamp(out: &mut String, at: Option<AtModifier>) {
    match at {
        Some(AtModifier::Timestamp(ms)) => {
            let _ = write!(out, ",\"timestamp\":{ms}");
        }
        _ => out.push_str(",\"timestamp\":null"),
    }
}

fn write_list<T>(out: &mut String, items: &[T], write: impl Fn(&mut String, &T)) {
    out.push('[');
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        write(out, item);
    }
    out.push(']');
}

fn write_strings(out: &mut String, items: &[String]) {
    write_list(out, items, |out, item| write_string(out, item));
}

fn write_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if u32::from(c) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
