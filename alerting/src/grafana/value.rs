//! What queries give and expressions work on: series, numbers, scalars, or nothing.

use model::Labels;

/// A point in time; the value may be missing (`null`), which is not the same as NaN.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// When.
    pub at_ms: i64,
    /// The value.
    pub value: Option<f64>,
}

/// Points of one label set, ascending in time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// Its labels.
    pub labels: Labels,
    /// Its points.
    pub points: Vec<Point>,
}

impl Series {
    /// A series of (milliseconds, value) pairs.
    pub fn new(labels: Labels, points: impl IntoIterator<Item = (i64, Option<f64>)>) -> Self {
        Self { labels, points: points.into_iter().map(|(at_ms, value)| Point { at_ms, value }).collect() }
    }

    /// The values without their times.
    pub(crate) fn values(&self) -> impl DoubleEndedIterator<Item = Option<f64>> + Clone {
        self.points.iter().map(|point| point.value)
    }
}

/// One value of one label set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Number {
    /// Its labels.
    pub labels: Labels,
    /// Its value.
    pub value: Option<f64>,
    /// For classic conditions: what matched.
    pub matches: Vec<EvalMatch>,
}

impl Number {
    /// A number.
    pub fn new(labels: Labels, value: Option<f64>) -> Self {
        Self { labels, value, matches: Vec::new() }
    }
}

/// A series that made a classic condition fire.
#[derive(Clone, Debug, PartialEq)]
pub struct EvalMatch {
    /// Index of the condition.
    pub condition: usize,
    /// Labels of the series.
    pub labels: Labels,
    /// The value it was reduced to.
    pub value: Option<f64>,
}

/// One of the values of a node.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A constant.
    Scalar(Option<f64>),
    /// A number with labels.
    Number(Number),
    /// A series.
    Series(Series),
    /// There was nothing.
    NoData,
}

impl Value {
    /// Labels; none for scalars and nothing.
    pub fn labels(&self) -> Labels {
        match self {
            Self::Scalar(_) | Self::NoData => Labels::empty(),
            Self::Number(number) => number.labels.clone(),
            Self::Series(series) => series.labels.clone(),
        }
    }
}
