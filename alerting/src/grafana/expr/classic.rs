//! `classic_conditions`: several conditions over series, joined by and/or, as one number without labels.

use serde::Deserialize;

use super::reduce::median;
use crate::grafana::value::{EvalMatch, Number, Value};

/// A `classic_conditions` expression.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassicConditions {
    /// The conditions in order.
    pub conditions: Vec<ClassicCondition>,
}

/// One condition.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassicCondition {
    /// Ref id of what it looks at.
    pub input: String,
    join: Join,
    reducer: ClassicReducer,
    compare: Compare,
}

/// How a condition joins those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Join {
    And,
    Or,
    /// As `Or`; once something fires the rest is not looked at.
    LogicOr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClassicReducer {
    Avg,
    Sum,
    Min,
    Max,
    Count,
    Last,
    Median,
    Diff,
    DiffAbs,
    PercentDiff,
    PercentDiffAbs,
    CountNonNull,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Compare {
    Gt(f64),
    Lt(f64),
    Within(f64, f64),
    Outside(f64, f64),
    NoValue,
}

#[derive(Deserialize)]
struct Model {
    #[serde(default)]
    evaluator: super::threshold::EvaluatorModel,
    #[serde(default)]
    operator: Kind,
    #[serde(default)]
    query: Query,
    #[serde(default)]
    reducer: Kind,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Kind {
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Query {
    params: Vec<String>,
}

impl ClassicConditions {
    pub(super) fn new(conditions: &serde_json::Value) -> Result<Self, String> {
        let models: Vec<Model> = serde_json::from_value(conditions.clone())
            .map_err(|error| format!("failed to unmarshal remarshaled classic condition body: {error}"))?;
        let conditions =
            models.iter().enumerate().map(|(i, model)| ClassicCondition::of(i, model)).collect::<Result<_, _>>()?;
        Ok(Self { conditions })
    }

    pub(super) fn run<'v>(&self, values: impl Fn(&str) -> &'v [Value]) -> Vec<Value> {
        let (mut firing, mut no_data) = (false, false);
        let mut matches = Vec::new();
        for (i, condition) in self.conditions.iter().enumerate() {
            if i > 0 && condition.join == Join::LogicOr && firing {
                break;
            }
            let (fires, empty) = condition.run(i, values(&condition.input), &mut matches);
            (firing, no_data) = match (i, condition.join) {
                (0, _) => (fires, empty),
                (_, Join::And) => (firing && fires, no_data && empty),
                (_, Join::Or | Join::LogicOr) => (firing || fires, no_data || empty),
            };
        }
        let value = match (firing, no_data) {
            (true, _) => Some(1.0),
            (false, true) => None,
            (false, false) => Some(0.0),
        };
        vec![Value::Number(Number { value, matches, ..Number::default() })]
    }
}

impl ClassicCondition {
    fn of(index: usize, model: &Model) -> Result<Self, String> {
        let error = |problem: String| Err(format!("condition {} {problem}", index + 1));
        let join = match model.operator.kind.as_str() {
            "and" => Join::And,
            "or" => Join::Or,
            "logic-or" => Join::LogicOr,
            // The first one joins nothing.
            _ if index == 0 => Join::And,
            other => return error(format!("operator must be `and`, `or` or `logic-or`, got {other:?}")),
        };
        let Some(input) = model.query.params.first().filter(|input| !input.is_empty()) else {
            return error("is missing the query RefID argument".to_owned());
        };
        let reducer = match model.reducer.kind.as_str() {
            "avg" => ClassicReducer::Avg,
            "sum" => ClassicReducer::Sum,
            "min" => ClassicReducer::Min,
            "max" => ClassicReducer::Max,
            "count" => ClassicReducer::Count,
            "last" => ClassicReducer::Last,
            "median" => ClassicReducer::Median,
            "diff" => ClassicReducer::Diff,
            "diff_abs" => ClassicReducer::DiffAbs,
            "percent_diff" => ClassicReducer::PercentDiff,
            "percent_diff_abs" => ClassicReducer::PercentDiffAbs,
            "count_non_null" => ClassicReducer::CountNonNull,
            other => return error(format!("reducer '{other}' is not a valid reducer")),
        };
        let params = &model.evaluator.params;
        let compare = match (model.evaluator.kind.as_str(), &params[..]) {
            ("gt", [limit, ..]) => Compare::Gt(*limit),
            ("lt", [limit, ..]) => Compare::Lt(*limit),
            ("within_range", [from, to, ..]) => Compare::Within(*from, *to),
            ("outside_range", [from, to, ..]) => Compare::Outside(*from, *to),
            ("no_value", _) => Compare::NoValue,
            (kind @ ("gt" | "lt" | "within_range" | "outside_range"), _) => {
                return error(format!("evaluator {kind} is missing the threshold argument"));
            }
            (kind, _) => return error(format!("evaluator type {kind:?} is not valid")),
        };
        Ok(Self { input: input.clone(), join, reducer, compare })
    }

    /// Whether it fires, and whether there was nothing to look at.
    fn run(&self, index: usize, values: &[Value], matches: &mut Vec<EvalMatch>) -> (bool, bool) {
        let (mut fires, mut empty) = (false, 0);
        for value in values {
            let reduced = match value {
                Value::Series(series) => self.reducer.reduce(&series.values().collect::<Vec<_>>()),
                Value::Number(number) => number.value,
                Value::Scalar(value) => *value,
                Value::NoData => None,
            };
            if reduced.is_none() {
                empty += 1;
            }
            if self.compare.holds(reduced) {
                fires = true;
                matches.push(EvalMatch { condition: index, labels: value.labels(), value: reduced });
            }
        }
        if values.is_empty() && self.compare == Compare::NoValue {
            fires = true;
            matches.push(EvalMatch { condition: index, labels: model::Labels::empty(), value: None });
        }
        (fires, empty == values.len())
    }
}

impl Compare {
    fn holds(self, value: Option<f64>) -> bool {
        let Some(value) = value else { return self == Self::NoValue };
        // The ends of a range may be given in either order.
        let inside = |a: f64, b: f64| (a < value && value < b) || (b < value && value < a);
        match self {
            Self::Gt(limit) => value > limit,
            Self::Lt(limit) => value < limit,
            Self::Within(a, b) => inside(a, b),
            Self::Outside(a, b) => (a < value && b < value) || (value < a && value < b),
            Self::NoValue => false,
        }
    }
}

impl ClassicReducer {
    /// Values that are missing or NaN do not count, except for `count`. `None` if nothing is left.
    fn reduce(self, all: &[Option<f64>]) -> Option<f64> {
        let valid = |value: &Option<f64>| value.filter(|value| !value.is_nan());
        let mut numbers: Vec<f64> = all.iter().filter_map(valid).collect();
        if self == Self::Count {
            return Some(all.len() as f64);
        }
        let (first, last) = (*numbers.first()?, *numbers.last()?);
        // A first point by itself is no change.
        let changed = all.iter().rposition(|value| valid(value).is_some()).is_some_and(|at| at >= 1);
        let change = |value: f64| changed.then_some(value);
        match self {
            Self::Avg => Some(numbers.iter().sum::<f64>() / numbers.len() as f64),
            Self::Sum => Some(numbers.iter().sum()),
            Self::Min => numbers.iter().copied().reduce(f64::min),
            Self::Max => numbers.iter().copied().reduce(f64::max),
            Self::Last => Some(last),
            Self::Median => Some(median(&mut numbers)),
            Self::Diff => change(last - first),
            Self::DiffAbs => change((last - first).abs()),
            Self::PercentDiff => change((last - first) / first.abs() * 100.0),
            Self::PercentDiffAbs => change(((last - first) / first.abs() * 100.0).abs()),
            Self::CountNonNull => Some(numbers.len() as f64),
            Self::Count => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use model::Labels;
    use serde_json::json;

    use super::*;
    use crate::grafana::value::Series;

    fn series(name: &str, values: &[Option<f64>]) -> Value {
        let labels = Labels::from_pairs([("name", name)]);
        Value::Series(Series::new(labels, values.iter().map(|value| (0, *value))))
    }

    fn condition(join: &str, input: &str, reducer: &str, evaluator: &str, params: &[f64]) -> serde_json::Value {
        json!({
            "evaluator": { "type": evaluator, "params": params }, "operator": { "type": join },
            "query": { "params": [input] }, "reducer": { "type": reducer },
        })
    }

    #[test]
    fn reducers() {
        let holes = [None, Some(2.0), Some(f64::NAN), Some(-6.0), Some(1.0), None];
        let cases = [
            ("avg", Some(-1.0)),
            ("sum", Some(-3.0)),
            ("min", Some(-6.0)),
            ("max", Some(2.0)),
            ("count", Some(6.0)),
            ("last", Some(1.0)),
            ("median", Some(1.0)),
            ("diff", Some(-1.0)),
            ("diff_abs", Some(1.0)),
            ("percent_diff", Some(-50.0)),
            ("percent_diff_abs", Some(50.0)),
            ("count_non_null", Some(3.0)),
        ];
        for (name, want) in cases {
            let conditions = ClassicConditions::new(&json!([condition("and", "A", name, "no_value", &[])]));
            let reducer = conditions.expect("a condition").conditions[0].reducer;
            assert_eq!(reducer.reduce(&holes), want, "{name}");
            let of_nothing = if name == "count" { Some(1.0) } else { None };
            assert_eq!(reducer.reduce(&[None]), of_nothing, "{name} of nothing");
        }
        assert_eq!(ClassicReducer::Diff.reduce(&[Some(1.0)]), None);
        assert_eq!(ClassicReducer::Diff.reduce(&[None, Some(1.0)]), Some(0.0));
    }

    #[test]
    fn conditions_join() {
        let high = [series("a", &[Some(1.0), Some(9.0)]), series("b", &[Some(3.0)])];
        let none = [series("c", &[None])];
        let values = |input: &str| -> &[Value] {
            match input {
                "A" => &high,
                "N" => &none,
                _ => &[],
            }
        };
        let run = |conditions: serde_json::Value| {
            let out = ClassicConditions::new(&conditions).expect("conditions").run(values);
            let Value::Number(number) = out.into_iter().next().expect("one") else { panic!("a number") };
            (number.value, number.matches.len())
        };
        let gt = |join: &str, input: &str, limit: f64| condition(join, input, "last", "gt", &[limit]);
        let cases = [
            (json!([gt("and", "A", 2.0)]), (Some(1.0), 2)),
            (json!([gt("and", "A", 5.0)]), (Some(1.0), 1)),
            (json!([gt("and", "A", 50.0)]), (Some(0.0), 0)),
            (json!([gt("and", "N", 5.0)]), (None, 0)),
            (json!([gt("and", "X", 5.0)]), (None, 0)),
            (json!([gt("and", "A", 5.0), gt("and", "A", 50.0)]), (Some(0.0), 1)),
            (json!([gt("and", "A", 50.0), gt("or", "A", 5.0)]), (Some(1.0), 1)),
            (json!([gt("and", "A", 5.0), gt("or", "N", 5.0)]), (Some(1.0), 1)),
            (json!([gt("and", "A", 50.0), gt("or", "N", 5.0)]), (None, 0)),
            (json!([gt("and", "A", 50.0), gt("and", "N", 5.0)]), (Some(0.0), 0)),
            (json!([gt("and", "A", 5.0), gt("logic-or", "A", 2.0)]), (Some(1.0), 1)),
            (json!([gt("and", "A", 5.0), gt("or", "A", 2.0)]), (Some(1.0), 3)),
            (json!([condition("and", "N", "last", "no_value", &[])]), (Some(1.0), 1)),
            (json!([condition("and", "X", "last", "no_value", &[])]), (Some(1.0), 1)),
            (json!([condition("and", "A", "last", "within_range", &[4.0, 2.0])]), (Some(1.0), 1)),
            (json!([condition("and", "A", "last", "outside_range", &[2.0, 4.0])]), (Some(1.0), 1)),
        ];
        for (conditions, want) in cases {
            assert_eq!(run(conditions.clone()), want, "{conditions}");
        }
    }

    #[test]
    fn bad_models() {
        let cases = [
            (json!([condition("and", "", "last", "gt", &[1.0])]), "condition 1 is missing the query RefID argument"),
            (
                json!([condition("and", "A", "first", "gt", &[1.0])]),
                "condition 1 reducer 'first' is not a valid reducer",
            ),
            (json!([condition("and", "A", "last", "gt", &[])]), "evaluator gt is missing the threshold argument"),
            (json!([condition("and", "A", "last", "ge", &[])]), "evaluator type \"ge\" is not valid"),
            (
                json!([condition("and", "A", "last", "gt", &[1.0]), condition("xor", "A", "last", "gt", &[1.0])]),
                "condition 2 operator must be",
            ),
            (json!(5), "failed to unmarshal"),
        ];
        for (conditions, want) in cases {
            let error = ClassicConditions::new(&conditions).expect_err(want);
            assert!(error.contains(want), "{error}");
        }
    }
}
