//! `ExportMetricsServiceRequest`.

use std::borrow::Cow;

use super::{Budget, Encoding, KeyValue, Resource, Scope, json, key_value, resource, scope};
use crate::Result;
use crate::proto::each_field;

/// Metrics of one resource.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResourceMetrics<'a> {
    /// Who speaks.
    pub resource: Resource<'a>,
    /// By library.
    pub scopes: Vec<ScopeMetrics<'a>>,
}

/// Metrics of one library.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScopeMetrics<'a> {
    /// The library.
    pub scope: Scope<'a>,
    /// Its metrics.
    pub metrics: Vec<Metric<'a>>,
}

/// A metric.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metric<'a> {
    /// Name.
    pub name: Cow<'a, str>,
    /// Description.
    pub description: Cow<'a, str>,
    /// Unit (UCUM).
    pub unit: Cow<'a, str>,
    /// Its points.
    pub data: Data<'a>,
}

/// What earlier points a counter's point includes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Temporality {
    /// Not said.
    #[default]
    Unspecified,
    /// Since the point before.
    Delta,
    /// Since the start.
    Cumulative,
}

impl Temporality {
    pub(super) fn from_number(number: i64) -> Self {
        match number {
            1 => Self::Delta,
            2 => Self::Cumulative,
            _ => Self::Unspecified,
        }
    }
}

/// Points of a metric by its type.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Data<'a> {
    /// None of the known types.
    #[default]
    Empty,
    /// Values that go up and down.
    Gauge(Vec<NumberPoint<'a>>),
    /// Sums.
    Sum {
        /// Points.
        points: Vec<NumberPoint<'a>>,
        /// What they include.
        temporality: Temporality,
        /// Whether it only grows.
        monotonic: bool,
    },
    /// Histograms with explicit bounds.
    Histogram {
        /// Points.
        points: Vec<HistogramPoint<'a>>,
        /// What they include.
        temporality: Temporality,
    },
    /// Histograms with exponential bounds.
    Exponential {
        /// Points.
        points: Vec<ExponentialPoint<'a>>,
        /// What they include.
        temporality: Temporality,
    },
    /// Summaries.
    Summary(Vec<SummaryPoint<'a>>),
}

/// A number.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum PointValue {
    /// Not set: the point says "no value recorded".
    #[default]
    Missing,
    /// Integer.
    Int(i64),
    /// Float.
    Double(f64),
}

impl PointValue {
    /// As a float; `None` when missing.
    pub fn to_f64(self) -> Option<f64> {
        match self {
            Self::Missing => None,
            Self::Int(value) => Some(value as f64),
            Self::Double(value) => Some(value),
        }
    }
}

/// A point of a gauge or sum. Bit 0 of `flags` in every point says "no recorded value": a staleness marker.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields of OTLP's message")]
pub struct NumberPoint<'a> {
    pub attributes: Vec<KeyValue<'a>>,
    pub start_ns: u64,
    pub time_ns: u64,
    pub value: PointValue,
    pub exemplars: Vec<Exemplar<'a>>,
    pub flags: u32,
}

/// A point of a histogram: `bucket_counts` has one more element than `explicit_bounds`, or both are empty.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields of OTLP's message")]
pub struct HistogramPoint<'a> {
    pub attributes: Vec<KeyValue<'a>>,
    pub start_ns: u64,
    pub time_ns: u64,
    pub count: u64,
    pub sum: Option<f64>,
    pub bucket_counts: Vec<u64>,
    pub explicit_bounds: Vec<f64>,
    pub exemplars: Vec<Exemplar<'a>>,
    pub flags: u32,
    pub min: Option<f64>,
    pub max: Option<f64>,
}

/// A point of an exponential histogram.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields of OTLP's message")]
pub struct ExponentialPoint<'a> {
    pub attributes: Vec<KeyValue<'a>>,
    pub start_ns: u64,
    pub time_ns: u64,
    pub count: u64,
    pub sum: Option<f64>,
    pub scale: i32,
    pub zero_count: u64,
    pub zero_threshold: f64,
    pub positive: ExponentialBuckets,
    pub negative: ExponentialBuckets,
    pub exemplars: Vec<Exemplar<'a>>,
    pub flags: u32,
    pub min: Option<f64>,
    pub max: Option<f64>,
}

/// Adjacent buckets from an offset on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExponentialBuckets {
    /// Index of the first bucket.
    pub offset: i32,
    /// Counts.
    pub counts: Vec<u64>,
}

/// A point of a summary.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields of OTLP's message")]
pub struct SummaryPoint<'a> {
    pub attributes: Vec<KeyValue<'a>>,
    pub start_ns: u64,
    pub time_ns: u64,
    pub count: u64,
    pub sum: f64,
    /// Quantile and value.
    pub quantiles: Vec<(f64, f64)>,
    pub flags: u32,
}

/// An exemplar.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields of OTLP's message")]
pub struct Exemplar<'a> {
    pub attributes: Vec<KeyValue<'a>>,
    pub time_ns: u64,
    pub value: PointValue,
    pub span_id: Cow<'a, [u8]>,
    pub trace_id: Cow<'a, [u8]>,
}

/// Reads a request.
///
/// # Errors
/// When the body is damaged or a limit is reached.
pub fn decode_metrics(body: &[u8], encoding: Encoding) -> Result<Vec<ResourceMetrics<'_>>> {
    if encoding == Encoding::Json {
        return json::metrics(body);
    }
    let mut budget = Budget::default();
    let mut out = Vec::new();
    each_field(body, |field| {
        if field.number == 1 {
            let mut metrics = ResourceMetrics::default();
            each_field(field.bytes()?, |field| {
                match field.number {
                    1 => metrics.resource = resource(field.bytes()?)?,
                    2 => metrics.scopes.push(scope_metrics(field.bytes()?, &mut budget)?),
                    _ => {}
                }
                Ok(())
            })?;
            out.push(metrics);
        }
        Ok(())
    })?;
    Ok(out)
}

fn scope_metrics<'a>(bytes: &'a [u8], budget: &mut Budget) -> Result<ScopeMetrics<'a>> {
    let mut metrics = ScopeMetrics::default();
    each_field(bytes, |field| {
        match field.number {
            1 => metrics.scope = scope(field.bytes()?)?,
            2 => metrics.metrics.push(metric(field.bytes()?, budget)?),
            _ => {}
        }
        Ok(())
    })?;
    Ok(metrics)
}

fn metric<'a>(bytes: &'a [u8], budget: &mut Budget) -> Result<Metric<'a>> {
    let mut metric = Metric::default();
    each_field(bytes, |field| {
        match field.number {
            1 => metric.name = Cow::Borrowed(field.str()?),
            2 => metric.description = Cow::Borrowed(field.str()?),
            3 => metric.unit = Cow::Borrowed(field.str()?),
            5 => metric.data = Data::Gauge(points(field.bytes()?, budget, number_point)?.0),
            7 => {
                let (points, temporality, monotonic) = points(field.bytes()?, budget, number_point)?;
                metric.data = Data::Sum { points, temporality, monotonic };
            }
            9 => {
                let (points, temporality, _) = points(field.bytes()?, budget, histogram_point)?;
                metric.data = Data::Histogram { points, temporality };
            }
            10 => {
                let (points, temporality, _) = points(field.bytes()?, budget, exponential_point)?;
                metric.data = Data::Exponential { points, temporality };
            }
            11 => metric.data = Data::Summary(points(field.bytes()?, budget, summary_point)?.0),
            _ => {}
        }
        Ok(())
    })?;
    Ok(metric)
}

/// Every kind of data is a list of points, a temporality and a flag.
fn points<'a, P>(
    bytes: &'a [u8],
    budget: &mut Budget,
    read: fn(&'a [u8]) -> Result<P>,
) -> Result<(Vec<P>, Temporality, bool)> {
    let (mut out, mut temporality, mut monotonic) = (Vec::new(), Temporality::Unspecified, false);
    each_field(bytes, |field| {
        match field.number {
            1 => {
                budget.take()?;
                out.push(read(field.bytes()?)?);
            }
            2 => temporality = Temporality::from_number(field.i64()?),
            3 => monotonic = field.bool()?,
            _ => {}
        }
        Ok(())
    })?;
    Ok((out, temporality, monotonic))
}

fn number_point(bytes: &[u8]) -> Result<NumberPoint<'_>> {
    let mut point = NumberPoint::default();
    each_field(bytes, |field| {
        match field.number {
            2 => point.start_ns = field.fixed64()?,
            3 => point.time_ns = field.fixed64()?,
            4 => point.value = PointValue::Double(field.f64()?),
            5 => point.exemplars.push(exemplar(field.bytes()?)?),
            6 => point.value = PointValue::Int(field.fixed64()? as i64),
            7 => point.attributes.push(key_value(field.bytes()?, 0)?),
            8 => point.flags = field.u64()? as u32,
            _ => {}
        }
        Ok(())
    })?;
    Ok(point)
}

fn histogram_point(bytes: &[u8]) -> Result<HistogramPoint<'_>> {
    let mut point = HistogramPoint::default();
    each_field(bytes, |field| {
        match field.number {
            2 => point.start_ns = field.fixed64()?,
            3 => point.time_ns = field.fixed64()?,
            4 => point.count = field.fixed64()?,
            5 => point.sum = Some(field.f64()?),
            6 => field.push_fixed64(|v| point.bucket_counts.push(v))?,
            7 => field.push_fixed64(|v| point.explicit_bounds.push(f64::from_bits(v)))?,
            8 => point.exemplars.push(exemplar(field.bytes()?)?),
            9 => point.attributes.push(key_value(field.bytes()?, 0)?),
            10 => point.flags = field.u64()? as u32,
            11 => point.min = Some(field.f64()?),
            12 => point.max = Some(field.f64()?),
            _ => {}
        }
        Ok(())
    })?;
    Ok(point)
}

fn exponential_point(bytes: &[u8]) -> Result<ExponentialPoint<'_>> {
    let mut point = ExponentialPoint::default();
    each_field(bytes, |field| {
        match field.number {
            1 => point.attributes.push(key_value(field.bytes()?, 0)?),
            2 => point.start_ns = field.fixed64()?,
            3 => point.time_ns = field.fixed64()?,
            4 => point.count = field.fixed64()?,
            5 => point.sum = Some(field.f64()?),
            6 => point.scale = field.sint32()?,
            7 => point.zero_count = field.fixed64()?,
            8 => point.positive = buckets(field.bytes()?)?,
            9 => point.negative = buckets(field.bytes()?)?,
            10 => point.flags = field.u64()? as u32,
            11 => point.exemplars.push(exemplar(field.bytes()?)?),
            12 => point.min = Some(field.f64()?),
            13 => point.max = Some(field.f64()?),
            14 => point.zero_threshold = field.f64()?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(point)
}

fn buckets(bytes: &[u8]) -> Result<ExponentialBuckets> {
    let mut buckets = ExponentialBuckets::default();
    each_field(bytes, |field| {
        match field.number {
            1 => buckets.offset = field.sint32()?,
            2 => field.push_varints(|v| buckets.counts.push(v))?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(buckets)
}

fn summary_point(bytes: &[u8]) -> Result<SummaryPoint<'_>> {
    let mut point = SummaryPoint::default();
    each_field(bytes, |field| {
        match field.number {
            2 => point.start_ns = field.fixed64()?,
            3 => point.time_ns = field.fixed64()?,
            4 => point.count = field.fixed64()?,
            5 => point.sum = field.f64()?,
            6 => {
                let mut quantile = (0.0, 0.0);
                each_field(field.bytes()?, |field| {
                    match field.number {
                        1 => quantile.0 = field.f64()?,
                        2 => quantile.1 = field.f64()?,
                        _ => {}
                    }
                    Ok(())
                })?;
                point.quantiles.push(quantile);
            }
            7 => point.attributes.push(key_value(field.bytes()?, 0)?),
            8 => point.flags = field.u64()? as u32,
            _ => {}
        }
        Ok(())
    })?;
    Ok(point)
}

fn exemplar(bytes: &[u8]) -> Result<Exemplar<'_>> {
    let mut exemplar = Exemplar::default();
    each_field(bytes, |field| {
        match field.number {
            2 => exemplar.time_ns = field.fixed64()?,
            3 => exemplar.value = PointValue::Double(field.f64()?),
            4 => exemplar.span_id = Cow::Borrowed(field.bytes()?),
            5 => exemplar.trace_id = Cow::Borrowed(field.bytes()?),
            6 => exemplar.value = PointValue::Int(field.fixed64()? as i64),
            7 => exemplar.attributes.push(key_value(field.bytes()?, 0)?),
            _ => {}
        }
        Ok(())
    })?;
    Ok(exemplar)
}
