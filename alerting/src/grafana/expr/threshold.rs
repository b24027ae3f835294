//! `threshold`: 1 where a value is over a limit, 0 where it is not; optionally with another limit for the way back.

use std::collections::BTreeSet;

use model::Labels;
use serde::{Deserialize, Serialize};

use crate::grafana::value::{Number, Point, Series, Value};

/// A comparison with constants. Ranges exclude their ends unless they say otherwise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Evaluator {
    /// Greater.
    Gt(f64),
    /// Less.
    Lt(f64),
    /// Greater or equal.
    Gte(f64),
    /// Less or equal.
    Lte(f64),
    /// Equal.
    Eq(f64),
    /// Not equal.
    Ne(f64),
    /// Between.
    WithinRange(f64, f64),
    /// Below or above.
    OutsideRange(f64, f64),
    /// Between, ends included.
    WithinRangeIncluded(f64, f64),
    /// Below or above, ends included.
    OutsideRangeIncluded(f64, f64),
}

/// As it stands in a model.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct EvaluatorModel {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) params: Vec<f64>,
}

impl Evaluator {
    pub(super) fn of(model: &EvaluatorModel) -> Result<Self, String> {
        let one = || {
            let found = model.params.first().copied();
            found.ok_or_else(|| {
                format!("incorrect number of arguments for threshold function '{}': got 0 but need 1", model.kind)
            })
        };
        let two = || match &model.params[..] {
            [from, to, ..] => Ok((*from, *to)),
            other => {
                let (kind, count) = (&model.kind, other.len());
                Err(format!("incorrect number of arguments for threshold function '{kind}': got {count} but need 2"))
            }
        };
        Ok(match model.kind.as_str() {
            "gt" => Self::Gt(one()?),
            "lt" => Self::Lt(one()?),
            "gte" => Self::Gte(one()?),
            "lte" => Self::Lte(one()?),
            "eq" => Self::Eq(one()?),
            "ne" => Self::Ne(one()?),
            "within_range" => two().map(|(from, to)| Self::WithinRange(from, to))?,
            "outside_range" => two().map(|(from, to)| Self::OutsideRange(from, to))?,
            "within_range_included" => two().map(|(from, to)| Self::WithinRangeIncluded(from, to))?,
            "outside_range_included" => two().map(|(from, to)| Self::OutsideRangeIncluded(from, to))?,
            other => {
                return Err(format!(
                    "expected threshold function to be one of [gt,lt,eq,ne,gte,lte,within_range,outside_range,\
                     within_range_included,outside_range_included], got '{other}'"
                ));
            }
        })
    }

    /// Whether a value satisfies it. NaN satisfies only `Ne`.
    pub fn holds(self, value: f64) -> bool {
        match self {
            Self::Gt(limit) => value > limit,
            Self::Lt(limit) => value < limit,
            Self::Gte(limit) => value >= limit,
            Self::Lte(limit) => value <= limit,
            Self::Eq(limit) => value == limit,
            Self::Ne(limit) => value != limit,
            Self::WithinRange(from, to) => value > from && value < to,
            Self::OutsideRange(from, to) => value < from || value > to,
            Self::WithinRangeIncluded(from, to) => value >= from && value <= to,
            Self::OutsideRangeIncluded(from, to) => value <= from || value >= to,
        }
    }
}

/// A `threshold` expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    /// Ref id of what is compared.
    pub input: String,
    /// From when on it is 1.
    pub load: Evaluator,
    /// From when on what is 1 goes back to 0, if not as soon as `load` no longer holds.
    pub unload: Option<Evaluator>,
}

impl Threshold {
    /// `loaded`: labels of what is 1 already.
    pub(super) fn run(&self, values: &[Value], loaded: &BTreeSet<Labels>) -> Vec<Value> {
        values.iter().map(|value| self.compare(value, loaded)).collect()
    }

    fn compare(&self, value: &Value, loaded: &BTreeSet<Labels>) -> Value {
        let is_loaded = loaded.contains(&value.labels());
        let compare = |value: Option<f64>| {
            let holds = |value: f64| match self.unload {
                Some(unload) if is_loaded => !unload.holds(value),
                _ => self.load.holds(value),
            };
            value.map(|value| f64::from(u8::from(holds(value))))
        };
        match value {
            Value::Scalar(value) => Value::Scalar(compare(*value)),
            Value::Number(number) => Value::Number(Number::new(number.labels.clone(), compare(number.value))),
            Value::Series(series) => {
                let points = series.points.iter();
                let points = points.map(|point| Point { at_ms: point.at_ms, value: compare(point.value) }).collect();
                Value::Series(Series { labels: series.labels.clone(), points })
            }
            Value::NoData => Value::NoData,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparisons() {
        use Evaluator::*;
        let values = [-1.0, 0.0, 1.0, 2.0, 3.0, f64::NAN];
        let cases: [(Evaluator, &[u8; 6]); 10] = [
            (Gt(1.0), &[0, 0, 0, 1, 1, 0]),
            (Lt(1.0), &[1, 1, 0, 0, 0, 0]),
            (Gte(1.0), &[0, 0, 1, 1, 1, 0]),
            (Lte(1.0), &[1, 1, 1, 0, 0, 0]),
            (Eq(1.0), &[0, 0, 1, 0, 0, 0]),
            (Ne(1.0), &[1, 1, 0, 1, 1, 1]),
            (WithinRange(0.0, 2.0), &[0, 0, 1, 0, 0, 0]),
            (OutsideRange(0.0, 2.0), &[1, 0, 0, 0, 1, 0]),
            (WithinRangeIncluded(0.0, 2.0), &[0, 1, 1, 1, 0, 0]),
            (OutsideRangeIncluded(0.0, 2.0), &[1, 1, 0, 1, 1, 0]),
        ];
        for (evaluator, want) in cases {
            assert_eq!(values.map(|value| u8::from(evaluator.holds(value))), *want, "{evaluator:?}");
        }
    }

    #[test]
    fn what_is_over_the_limit_stays_until_it_is_below_the_other() {
        let threshold = Threshold { input: String::new(), load: Evaluator::Gt(10.0), unload: Some(Evaluator::Lt(5.0)) };
        let labels = Labels::from_pairs([("host", "a")]);
        let run = |value: Option<f64>, loaded: bool| {
            let loaded = if loaded { BTreeSet::from([labels.clone()]) } else { BTreeSet::new() };
            match &threshold.run(&[Value::Number(Number::new(labels.clone(), value))], &loaded)[..] {
                [Value::Number(number)] => number.value,
                other => panic!("{other:?}"),
            }
        };
        let cases = [
            (Some(7.0), false, Some(0.0)),
            (Some(11.0), false, Some(1.0)),
            (Some(7.0), true, Some(1.0)),
            (Some(5.0), true, Some(1.0)),
            (Some(4.0), true, Some(0.0)),
            (None, true, None),
        ];
        for (value, loaded, want) in cases {
            assert_eq!(run(value, loaded), want, "{value:?} {loaded}");
        }
    }

    #[test]
    fn models() {
        let of = |json: &str| Evaluator::of(&serde_json::from_str(json).expect("a model"));
        assert_eq!(of(r#"{"type":"gt","params":[3]}"#), Ok(Evaluator::Gt(3.0)));
        assert_eq!(of(r#"{"type":"within_range","params":[3,4]}"#), Ok(Evaluator::WithinRange(3.0, 4.0)));
        assert!(of(r#"{"type":"gt","params":[]}"#).is_err_and(|error| error.contains("got 0 but need 1")));
        assert!(of(r#"{"type":"outside_range","params":[1]}"#).is_err_and(|error| error.contains("got 1 but need 2")));
        assert!(of(r#"{"type":"above","params":[1]}"#).is_err_and(|error| error.contains("got 'above'")));
    }
}
