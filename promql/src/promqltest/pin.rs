//! The same query with its selectors pinned to a time: at that time, and at any other, it must give the same.

use crate::ast::{AtModifier, Expr};
use crate::functions::depends_on_time;

/// Gives every selector and subquery without `@` the time; below a subquery that has one nothing is changed. Nothing when
/// the query calls a function whose result depends on the evaluation time; calls inside subqueries do not count.
pub(super) fn pinned(expr: &Expr, time_ms: i64) -> Option<Expr> {
    let mut expr = expr.clone();
    let mut depends = false;
    pin(&mut expr, AtModifier::Timestamp(time_ms), &mut depends);
    (!depends).then_some(expr)
}

fn pin(expr: &mut Expr, at: AtModifier, depends: &mut bool) {
    match expr {
        // What the text names as start or end is written out again and would be read with another query's times.
        Expr::Vector(selector) => {
            if !matches!(selector.at, Some(AtModifier::Timestamp(_))) && selector.at.is_none() {
                selector.at = Some(at);
            }
        }
        Expr::Matrix(matrix) => {
            if matrix.vector.at.is_none() {
                matrix.vector.at = Some(at);
            }
        }
        Expr::Subquery(subquery) => {
            if subquery.at.is_none() {
                subquery.at = Some(at);
            }
        }
        Expr::Call(call) => {
            *depends |= depends_on_time(call.function.name);
            call.args.iter_mut().for_each(|arg| pin(arg, at, depends));
        }
        Expr::Aggregate(aggregate) => {
            pin(&mut aggregate.expr, at, depends);
            if let Some(param) = &mut aggregate.param {
                pin(param, at, depends);
            }
        }
        Expr::Binary(binary) => {
            pin(&mut binary.left, at, depends);
            pin(&mut binary.right, at, depends);
        }
        Expr::Paren(paren) => pin(&mut paren.expr, at, depends),
        Expr::Unary(unary) => pin(&mut unary.expr, at, depends),
        Expr::Number(_) | Expr::String(_) => {}
    }
}
