//! Working out expressions.

use std::collections::{BTreeMap, HashMap};

use model::Labels;

use super::union::union;
use super::{Binary, Each, Math, Node, Unary};
use crate::grafana::value::{Number, Point, Series, Value};

/// Values of variables by name.
pub(in crate::grafana::expr) type Variables<'v> = BTreeMap<&'v str, &'v [Value]>;

/// Most values an expression may have on the way: pairs grow with the product of both sides.
const MAX_VALUES: usize = 1_000_000;

impl Math {
    /// The values of the expression. Variables that are not given have none.
    ///
    /// # Errors
    /// When values grow beyond all bounds.
    pub fn run(&self, variables: &Variables<'_>) -> Result<Vec<Value>, String> {
        eval(&self.root, variables)
    }
}

fn eval(node: &Node, variables: &Variables<'_>) -> Result<Vec<Value>, String> {
    match node {
        Node::Number(value) => Ok(vec![Value::Scalar(Some(*value))]),
        Node::Constant(value) => Ok(vec![Value::Scalar(*value)]),
        Node::Variable(name) => Ok(variables.get(name.as_str()).map(|values| values.to_vec()).unwrap_or_default()),
        Node::Unary(operator, node) => {
            let values = eval(node, variables)?;
            Ok(values.iter().map(|value| map(value, |v| v.map(|v| unary(*operator, v)))).collect())
        }
        Node::Each(function, node) => {
            let values = eval(node, variables)?;
            Ok(values.iter().map(|value| map(value, |v| each(*function, v))).collect())
        }
        Node::Binary(operator, a, b) => {
            let (a, b) = (eval(a, variables)?, eval(b, variables)?);
            if a.len().saturating_mul(b.len()) > MAX_VALUES {
                return Err(format!("too many values to combine: {} by {}", a.len(), b.len()));
            }
            Ok(union(&a, &b).iter().map(|union| binary(*operator, &union.labels, union.a, union.b)).collect())
        }
    }
}

fn map(value: &Value, f: impl Fn(Option<f64>) -> Option<f64>) -> Value {
    match value {
        Value::Scalar(value) => Value::Scalar(f(*value)),
        Value::Number(number) => Value::Number(Number::new(number.labels.clone(), f(number.value))),
        Value::Series(series) => {
            let points = series.points.iter().map(|point| Point { at_ms: point.at_ms, value: f(point.value) });
            Value::Series(Series { labels: series.labels.clone(), points: points.collect() })
        }
        Value::NoData => Value::NoData,
    }
}

fn unary(operator: Unary, value: f64) -> f64 {
    match operator {
        _ if value.is_nan() => f64::NAN,
        Unary::Minus => -value,
        Unary::Not => f64::from(u8::from(value == 0.0)),
    }
}

/// Tests give 1 or 0 for missing values too; everything else leaves them missing.
fn each(function: Each, value: Option<f64>) -> Option<f64> {
    let test = |holds: bool| Some(f64::from(u8::from(holds)));
    match function {
        Each::Abs => value.map(f64::abs),
        Each::Log => value.map(f64::ln),
        Each::Ceil => value.map(f64::ceil),
        Each::Floor => value.map(f64::floor),
        Each::Round => value.map(f64::round),
        Each::IsNan => test(value.is_some_and(f64::is_nan)),
        Each::IsInf => test(value.is_some_and(f64::is_infinite)),
        Each::IsNull => test(value.is_none()),
        Each::IsNumber => test(value.is_some_and(f64::is_finite)),
    }
}

fn binary(operator: Binary, labels: &Labels, a: &Value, b: &Value) -> Value {
    let apply = |a: Option<f64>, b: Option<f64>| Some(calculate(operator, a?, b?));
    let series = |series: &Series, f: &dyn Fn(Option<f64>) -> Option<f64>| {
        let points = series.points.iter().map(|point| Point { at_ms: point.at_ms, value: f(point.value) });
        Value::Series(Series { labels: labels.clone(), points: points.collect() })
    };
    let single = |value: &Value| match value {
        Value::Scalar(value) => *value,
        Value::Number(number) => number.value,
        Value::Series(_) | Value::NoData => None,
    };
    match (a, b) {
        (Value::NoData, _) | (_, Value::NoData) => Value::NoData,
        (Value::Scalar(a), Value::Scalar(b)) => Value::Scalar(apply(*a, *b)),
        (Value::Series(a), Value::Series(b)) => {
            let by_time: HashMap<i64, Option<f64>> = b.points.iter().map(|point| (point.at_ms, point.value)).collect();
            let both = |point: &Point| {
                let b = by_time.get(&point.at_ms)?;
                Some(Point { at_ms: point.at_ms, value: apply(point.value, *b) })
            };
            Value::Series(Series { labels: labels.clone(), points: a.points.iter().filter_map(both).collect() })
        }
        (Value::Series(a), b) => series(a, &|value| apply(value, single(b))),
        (a, Value::Series(b)) => series(b, &|value| apply(single(a), value)),
        (a, b) => Value::Number(Number::new(labels.clone(), apply(single(a), single(b)))),
    }
}

fn calculate(operator: Binary, a: f64, b: f64) -> f64 {
    // What is decided by one side alone is, NaN or not.
    match operator {
        Binary::Or if a != 0.0 => return 1.0,
        Binary::And if a == 0.0 => return 0.0,
        _ => {}
    }
    if a.is_nan() || b.is_nan() {
        return f64::NAN;
    }
    let test = |holds: bool| f64::from(u8::from(holds));
    match operator {
        Binary::Add => a + b,
        Binary::Sub => a - b,
        Binary::Mul => a * b,
        Binary::Div => a / b,
        Binary::Mod => a % b,
        Binary::Pow => a.powf(b),
        Binary::Eq => test(a == b),
        Binary::Ne => test(a != b),
        Binary::Gt => test(a > b),
        Binary::Ge => test(a >= b),
        Binary::Lt => test(a < b),
        Binary::Le => test(a <= b),
        Binary::Or => test(a != 0.0 || b != 0.0),
        Binary::And => test(a != 0.0 && b != 0.0),
    }
}
