//! `reduce`: a series becomes a number.

use serde::{Deserialize, Serialize};

use crate::grafana::value::{Number, Value};

/// How values become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reducer {
    /// Their sum.
    Sum,
    /// Their mean.
    Mean,
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// How many there are.
    Count,
    /// The last.
    Last,
    /// The one in the middle, or the mean of the two in the middle.
    Median,
}

/// What happens to values that are no numbers: missing, NaN, infinite.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum ReduceMode {
    /// They count: the result is NaN.
    #[default]
    Strict,
    /// They are dropped, from what goes in and what comes out.
    Drop,
    /// They are replaced, in what goes in and what comes out.
    Replace(f64),
}

impl Reducer {
    /// The value of values. `None` only if the last one is missing.
    pub fn reduce(self, values: impl DoubleEndedIterator<Item = Option<f64>> + Clone) -> Option<f64> {
        let count = values.clone().count();
        if self == Self::Count {
            return Some(count as f64);
        }
        if self == Self::Last {
            return values.last().unwrap_or(Some(f64::NAN));
        }
        // A missing value or NaN among them makes everything else NaN.
        let mut numbers = Vec::with_capacity(count);
        for value in values {
            match value {
                Some(value) if !value.is_nan() => numbers.push(value),
                _ => return Some(f64::NAN),
            }
        }
        let of_some = |value: f64| if count == 0 { f64::NAN } else { value };
        Some(match self {
            // The sum of nothing is zero, not the negative zero that `sum` gives.
            Self::Sum => numbers.iter().fold(0.0, |sum, value| sum + value),
            Self::Mean => numbers.iter().sum::<f64>() / count as f64,
            Self::Min => of_some(numbers.iter().copied().fold(f64::INFINITY, f64::min)),
            Self::Max => of_some(numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
            Self::Median => median(&mut numbers),
            Self::Count | Self::Last => f64::NAN,
        })
    }
}

/// NaN of nothing.
pub(super) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
    if values.len() % 2 == 1 {
        at(middle)
    } else if values.is_empty() {
        f64::NAN
    } else {
        (at(middle - 1) + at(middle)) / 2.0
    }
}

/// A `reduce` expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Reduce {
    /// Ref id of what is reduced.
    pub input: String,
    /// How.
    pub reducer: Reducer,
    /// What happens to values that are no numbers.
    pub mode: ReduceMode,
}

impl Reduce {
    /// Series become numbers; numbers and scalars are taken as they are, but for the mode.
    pub(super) fn run(&self, values: &[Value]) -> Vec<Value> {
        values.iter().map(|value| self.reduce(value)).collect()
    }

    fn reduce(&self, value: &Value) -> Value {
        match value {
            Value::Series(series) => {
                let values = series.values();
                let reduced = match self.mode {
                    ReduceMode::Strict => self.reducer.reduce(values),
                    ReduceMode::Drop => self.reducer.reduce(values.filter(|value| is_number(*value))),
                    ReduceMode::Replace(with) => {
                        let replace = |value| if is_number(value) { value } else { Some(with) };
                        self.reducer.reduce(values.map(replace))
                    }
                };
                Value::Number(Number::new(series.labels.clone(), self.map_output(reduced)))
            }
            Value::Number(number) => Value::Number(Number { value: self.map_output(number.value), ..number.clone() }),
            Value::Scalar(value) => Value::Number(Number { value: self.map_output(*value), ..Number::default() }),
            Value::NoData => Value::NoData,
        }
    }

    fn map_output(&self, value: Option<f64>) -> Option<f64> {
        match self.mode {
            ReduceMode::Strict => value,
            ReduceMode::Drop => value.filter(|value| value.is_finite()),
            ReduceMode::Replace(with) => {
                if is_number(value) {
                    value
                } else {
                    Some(with)
                }
            }
        }
    }
}

fn is_number(value: Option<f64>) -> bool {
    value.is_some_and(f64::is_finite)
}

#[cfg(test)]
mod tests {
    use model::Labels;

    use super::*;
    use crate::grafana::value::Series;

    const NAN: Option<f64> = Some(f64::NAN);

    fn reduce(reducer: Reducer, mode: ReduceMode, values: &[Option<f64>]) -> String {
        let series = Series::new(Labels::from_pairs([("a", "b")]), values.iter().map(|value| (0, *value)));
        let reduce = Reduce { input: "A".to_owned(), reducer, mode };
        match &reduce.run(&[Value::Series(series)])[..] {
            [Value::Number(number)] => format!("{:?}", number.value),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn reducers_by_mode() {
        use ReduceMode::{Drop, Replace, Strict};
        use Reducer::{Count, Last, Max, Mean, Median, Min, Sum};
        let plain = [Some(3.0), Some(1.0), Some(2.0), Some(10.0)];
        let holes = [Some(1.0), None, Some(4.0), NAN];
        let cases: [(Reducer, ReduceMode, &[Option<f64>], &str); 32] = [
            (Sum, Strict, &plain, "Some(16.0)"),
            (Mean, Strict, &plain, "Some(4.0)"),
            (Min, Strict, &plain, "Some(1.0)"),
            (Max, Strict, &plain, "Some(10.0)"),
            (Count, Strict, &plain, "Some(4.0)"),
            (Last, Strict, &plain, "Some(10.0)"),
            (Median, Strict, &plain, "Some(2.5)"),
            (Median, Strict, &plain[..3], "Some(2.0)"),
            (Sum, Strict, &holes, "Some(NaN)"),
            (Mean, Strict, &holes, "Some(NaN)"),
            (Min, Strict, &holes, "Some(NaN)"),
            (Max, Strict, &holes, "Some(NaN)"),
            (Median, Strict, &holes, "Some(NaN)"),
            (Count, Strict, &holes, "Some(4.0)"),
            (Last, Strict, &holes, "Some(NaN)"),
            (Last, Strict, &holes[..2], "None"),
            (Sum, Strict, &[], "Some(0.0)"),
            (Mean, Strict, &[], "Some(NaN)"),
            (Min, Strict, &[], "Some(NaN)"),
            (Last, Strict, &[], "Some(NaN)"),
            (Count, Strict, &[], "Some(0.0)"),
            (Sum, Drop, &holes, "Some(5.0)"),
            (Mean, Drop, &holes, "Some(2.5)"),
            (Count, Drop, &holes, "Some(2.0)"),
            (Last, Drop, &holes, "Some(4.0)"),
            (Mean, Drop, &[NAN], "None"),
            (Sum, Drop, &[Some(f64::INFINITY), Some(1.0)], "Some(1.0)"),
            (Sum, Replace(10.0), &holes, "Some(25.0)"),
            (Count, Replace(10.0), &holes, "Some(4.0)"),
            (Last, Replace(10.0), &holes, "Some(10.0)"),
            (Mean, Replace(10.0), &[], "Some(10.0)"),
            (Min, Replace(-1.0), &holes, "Some(-1.0)"),
        ];
        for (reducer, mode, values, want) in cases {
            assert_eq!(reduce(reducer, mode, values), want, "{reducer:?} {mode:?} {values:?}");
        }
    }

    #[test]
    fn numbers_pass() {
        let reduce = Reduce { input: "A".to_owned(), reducer: Reducer::Sum, mode: ReduceMode::Replace(0.0) };
        let labels = Labels::from_pairs([("a", "b")]);
        let values = [Value::Number(Number::new(labels.clone(), None)), Value::NoData, Value::Scalar(Some(2.0))];
        let want = [
            Value::Number(Number::new(labels, Some(0.0))),
            Value::NoData,
            Value::Number(Number::new(Labels::empty(), Some(2.0))),
        ];
        assert_eq!(reduce.run(&values), want);
    }
}
