//! Durations of a query as numbers of milliseconds, once step and range are known.

use super::QueryTimes;
use crate::ast::{DurationExpr, DurationOp, DurationOperator, DurationValue};
use crate::error::QueryError;
use crate::kernels::math::{go_max, go_min};

/// Milliseconds of a duration.
///
/// # Errors
/// When it divides by zero, is out of range, or is not above zero where it has to be.
pub(super) fn resolve(duration: &DurationValue, times: &QueryTimes, may_be_negative: bool) -> Result<i64, QueryError> {
    let Some(expr) = &duration.expr else { return Ok(duration.ms) };
    let seconds = evaluate(expr, times)?;
    // 64 bits of nanoseconds.
    const LIMIT: f64 = 9_223_372_036.854_776;
    let wrong = if !seconds.is_finite() {
        "duration is NaN or infinite"
    } else if seconds <= 0.0 && !may_be_negative {
        "duration must be greater than 0"
    } else if seconds.abs() > LIMIT {
        "duration is out of range"
    } else {
        return Ok((seconds * 1000.0) as i64);
    };
    Err(failed(expr, wrong))
}

fn failed(expr: &DurationExpr, what: &str) -> QueryError {
    let span = expr.span();
    QueryError::Invalid(format!("{}:{}: {what}", span.start, span.end))
}

fn evaluate(expr: &DurationExpr, times: &QueryTimes) -> Result<f64, QueryError> {
    let op: &DurationOp = match expr {
        DurationExpr::Number(number) => return Ok(number.value),
        DurationExpr::Op(op) => op,
    };
    let side = |side: &Option<DurationExpr>| side.as_ref().map_or(Ok(0.0), |e| evaluate(e, times));
    let (left, right) = (side(&op.left)?, side(&op.right)?);
    let unary = op.left.is_none();
    Ok(match op.op {
        DurationOperator::Step => times.step_ms as f64 / 1000.0,
        DurationOperator::Range => (times.end_ms - times.start_ms) as f64 / 1000.0,
        DurationOperator::MinOf => go_min(left, right),
        DurationOperator::MaxOf => go_max(left, right),
        DurationOperator::Add if unary => right,
        DurationOperator::Sub if unary => -right,
        DurationOperator::Add => left + right,
        DurationOperator::Sub => left - right,
        DurationOperator::Mul => left * right,
        DurationOperator::Div if right == 0.0 => return Err(failed(expr, "division by zero")),
        DurationOperator::Div => left / right,
        DurationOperator::Mod if right == 0.0 => return Err(failed(expr, "modulo by zero")),
        DurationOperator::Mod => left % right,
        DurationOperator::Pow => left.powf(right),
    })
}
