//! A tree as indented text: what fits into 100 characters stays on one line, what does not is split at its parts.

use crate::ast::Expr;
use crate::print::{Operator, Window, write_head};

/// Longest line that is not split.
const MAX_LINE: usize = 100;

/// The query laid out over several lines, two spaces a level, as Prometheus' format endpoint does.
pub fn pretty(expr: &Expr) -> String {
    let mut out = String::new();
    write(&mut out, expr, 0);
    out
}

fn indent(out: &mut String, level: usize) {
    out.extend(std::iter::repeat_n("  ", level));
}

fn write(out: &mut String, expr: &Expr, level: usize) {
    let line = expr.to_string();
    let long = line.len() > MAX_LINE;
    match expr {
        Expr::Subquery(subquery) => {
            if long {
                write(out, &subquery.expr, level);
                out.push_str(&Window(subquery).to_string());
            } else {
                out.push_str(&line);
            }
        }
        Expr::Unary(unary) => {
            let mut inner = String::new();
            write(&mut inner, &unary.expr, level);
            indent(out, level);
            out.push(if unary.negative { '-' } else { '+' });
            out.push_str(inner.trim());
        }
        Expr::Aggregate(aggregate) if long => {
            indent(out, level);
            // Writing into a string cannot fail.
            let _ = write_head(aggregate, out);
            out.push_str("(\n");
            if let Some(param) = &aggregate.param {
                write(out, param, level + 1);
                out.push_str(",\n");
            }
            write(out, &aggregate.expr, level + 1);
            out.push('\n');
            indent(out, level);
            out.push(')');
        }
        Expr::Binary(binary) if long => {
            write(out, &binary.left, level + 1);
            out.push('\n');
            indent(out, level);
            out.push_str(&Operator(binary).to_string());
            out.push('\n');
            write(out, &binary.right, level + 1);
        }
        Expr::Call(call) if long => {
            indent(out, level);
            out.push_str(call.function.name);
            out.push_str("(\n");
            for (at, arg) in call.args.iter().enumerate() {
                if at > 0 {
                    out.push_str(",\n");
                }
                write(out, arg, level + 1);
            }
            out.push('\n');
            indent(out, level);
            out.push(')');
        }
        Expr::Paren(paren) if long => {
            indent(out, level);
            out.push_str("(\n");
            write(out, &paren.expr, level + 1);
            out.push('\n');
            indent(out, level);
            out.push(')');
        }
        _ => {
            indent(out, level);
            out.push_str(&line);
        }
    }
}
