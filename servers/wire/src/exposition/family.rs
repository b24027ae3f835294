//! Metric families as owned data: what an exporter gathers before it is written.

use std::borrow::Cow;

use super::MetricKind;

/// Name and value of a label; static where the program names it.
pub type LabelPair = (Cow<'static, str>, Cow<'static, str>);

/// All metrics of one name.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// Full name: a counter's ends in `_total` (or not, as its owner chose).
    pub name: Cow<'static, str>,
    /// Description; no `# HELP` line when empty.
    pub help: Cow<'static, str>,
    /// Unit of OpenMetrics, usually empty.
    pub unit: Cow<'static, str>,
    /// Type.
    pub kind: MetricKind,
    /// The metrics.
    pub metrics: Vec<Metric>,
}

impl Family {
    /// A family without metrics.
    pub fn new(name: impl Into<Cow<'static, str>>, help: impl Into<Cow<'static, str>>, kind: MetricKind) -> Self {
        Self { name: name.into(), help: help.into(), unit: Cow::Borrowed(""), kind, metrics: Vec::new() }
    }

    /// Adds a plain value.
    pub fn push(&mut self, labels: Vec<LabelPair>, value: f64) {
        self.metrics.push(Metric { labels, value: MetricValue::Single(value), exemplar: None, timestamp_ms: None });
    }
}

/// One label set of a family and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// Labels in the order in which they are written.
    pub labels: Vec<LabelPair>,
    /// Value.
    pub value: MetricValue,
    /// Exemplar of a counter.
    pub exemplar: Option<Exemplar>,
    /// Explicit timestamp.
    pub timestamp_ms: Option<i64>,
}

/// Value of a metric.
#[derive(Clone, Debug, PartialEq)]
pub enum MetricValue {
    /// Counter, gauge or unknown.
    Single(f64),
    /// Classic histogram.
    Histogram(Histogram),
    /// Summary.
    Summary(Summary),
}

/// A classic histogram.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// Observations.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// Upper bound and cumulative count, ascending; `+Inf` is added by the writers when missing.
    pub buckets: Vec<(f64, u64)>,
}

/// A summary.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Observations.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// Quantile and value, ascending.
    pub quantiles: Vec<(f64, f64)>,
}

/// An exemplar.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    /// Labels, at most 128 characters in all.
    pub labels: Vec<LabelPair>,
    /// Observed value.
    pub value: f64,
    /// When it was observed.
    pub timestamp_ms: Option<i64>,
}
