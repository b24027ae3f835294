//! A request as samples: one for a number, many for a classic histogram or a summary, one for a native histogram; `target_info` for
//! what a resource says of itself.

use std::collections::BTreeMap;

use model::histogram::CUSTOM_BUCKETS;
use model::{Histogram, Labels, LabelsBuilder, METRIC_NAME, ResetHint, STALE_NAN, Span};
use tsdb::{Exemplar, Metadata, MetricKind, NativeHistogram};
use wire::number::write_openmetrics_float;
use wire::otlp::{
    Data, Exemplar as OtlpExemplar, ExponentialBuckets, ExponentialPoint, HistogramPoint, Metric, ResourceMetrics,
    Temporality,
};
use wire::otlp::{KeyValue, Scope};

use super::names::{hex, label_name, label_value, metric_name};
use crate::config::OtlpConfig;

/// Finest schema that is stored.
const SCHEMA_MAX: i32 = 8;
/// Coarsest schema.
const SCHEMA_MIN: i32 = -4;
/// The flag of points that say that there is no value.
const NO_VALUE: u32 = 1;

/// Samples of a request.
#[derive(Debug, Default)]
pub(super) struct Points {
    pub(super) points: Vec<Point>,
    pub(super) metadata: BTreeMap<String, Metadata>,
    /// What was left out, and why.
    pub(super) warnings: Vec<String>,
}

/// One sample.
#[derive(Debug)]
pub(super) struct Point {
    pub(super) labels: Labels,
    pub(super) time_ms: i64,
    pub(super) value: Value,
    pub(super) exemplars: Vec<Exemplar>,
}

#[derive(Debug)]
pub(super) enum Value {
    Float(f64),
    Histogram(NativeHistogram),
}

/// Translates a request.
pub(super) fn translate(request: &[ResourceMetrics<'_>], config: &OtlpConfig) -> Points {
    let mut out = Points::default();
    for resource in request {
        let before = out.points.len();
        let base = resource_labels(&resource.resource.attributes, config);
        for scope in &resource.scopes {
            let base =
                if config.promote_scope_metadata { scope_labels(&base, &scope.scope, config) } else { base.clone() };
            for metric in &scope.metrics {
                Translator { out: &mut out, base: &base, config }.metric(metric);
            }
        }
        let newest = out.points[before..].iter().map(|point| point.time_ms).max();
        if let Some(time_ms) = newest {
            target_info(&mut out, &resource.resource.attributes, time_ms, config);
        }
    }
    out
}

fn attribute<'a>(attributes: &'a [KeyValue<'_>], name: &str) -> Option<&'a KeyValue<'a>> {
    attributes.iter().find(|pair| pair.key == name)
}

/// `job` and `instance`, from the service's name, namespace and number.
fn identity(attributes: &[KeyValue<'_>]) -> Vec<(&'static str, String)> {
    let value = |name: &str| attribute(attributes, name).map(|pair| label_value(&pair.value)).filter(|v| !v.is_empty());
    let mut found = Vec::new();
    if let Some(name) = value("service.name") {
        let job = match value("service.namespace") {
            Some(namespace) => format!("{namespace}/{name}"),
            None => name,
        };
        found.push(("job", job));
    }
    found.extend(value("service.instance.id").map(|instance| ("instance", instance)));
    found
}

fn resource_labels(attributes: &[KeyValue<'_>], config: &OtlpConfig) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    for pair in attributes {
        let listed = |list: &[String]| list.iter().any(|name| *name == pair.key);
        let promoted = if config.promote_all_resource_attributes {
            !listed(&config.ignore_resource_attributes)
        } else {
            listed(&config.promote_resource_attributes)
        };
        if promoted {
            put(&mut labels, &pair.key, label_value(&pair.value), config);
        }
    }
    for (name, value) in identity(attributes) {
        labels.insert(name.to_owned(), value);
    }
    labels
}

/// Adds a label; values of attributes that come to one name are joined.
fn put(labels: &mut BTreeMap<String, String>, name: &str, value: String, config: &OtlpConfig) {
    let name = label_name(name, config);
    match labels.get_mut(&name) {
        Some(known) => {
            known.push(';');
            known.push_str(&value);
        }
        None => {
            labels.insert(name, value);
        }
    }
}

fn scope_labels(base: &BTreeMap<String, String>, scope: &Scope<'_>, config: &OtlpConfig) -> BTreeMap<String, String> {
    let mut labels = base.clone();
    for pair in &scope.attributes {
        put(&mut labels, &format!("otel_scope_{}", pair.key), label_value(&pair.value), config);
    }
    for (name, value) in [("otel_scope_name", &scope.name), ("otel_scope_version", &scope.version)] {
        if !value.is_empty() {
            labels.insert(name.to_owned(), value.clone().into_owned());
        }
    }
    labels
}

/// What a resource says of itself beyond its identity, as the labels of one series.
fn target_info(out: &mut Points, attributes: &[KeyValue<'_>], time_ms: i64, config: &OtlpConfig) {
    const IDENTIFYING: [&str; 3] = ["service.name", "service.namespace", "service.instance.id"];
    let identity = identity(attributes);
    let mut labels = BTreeMap::new();
    for pair in attributes {
        if config.keep_identifying_resource_attributes || !IDENTIFYING.contains(&&*pair.key) {
            put(&mut labels, &pair.key, label_value(&pair.value), config);
        }
    }
    if labels.is_empty() || identity.is_empty() {
        return;
    }
    labels.extend(identity.into_iter().map(|(name, value)| (name.to_owned(), value)));
    labels.insert(METRIC_NAME.to_owned(), "target_info".to_owned());
    let labels = Labels::from_pairs(&labels);
    // One request may bring several groups of the same resource.
    if !out.points.iter().any(|point| point.labels == labels && point.time_ms == time_ms) {
        out.points.push(Point { labels, time_ms, value: Value::Float(1.0), exemplars: Vec::new() });
    }
    let help = "Target metadata".to_owned();
    let known = Metadata { kind: MetricKind::Gauge, unit: String::new(), help };
    out.metadata.insert("target_info".to_owned(), known);
}

struct Translator<'t> {
    out: &'t mut Points,
    base: &'t BTreeMap<String, String>,
    config: &'t OtlpConfig,
}

impl Translator<'_> {
    fn metric(&mut self, metric: &Metric<'_>) {
        let name = metric_name(metric, self.config);
        let temporality = match &metric.data {
            Data::Sum { temporality, .. }
            | Data::Histogram { temporality, .. }
            | Data::Exponential { temporality, .. } => *temporality,
            _ => Temporality::Cumulative,
        };
        if temporality != Temporality::Cumulative {
            let text = format!("invalid temporality and type combination for metric {:?}", metric.name);
            return self.out.warnings.push(text);
        }
        let kind = match &metric.data {
            Data::Empty => return self.out.warnings.push(format!("empty data points. {} is dropped", metric.name)),
            Data::Sum { monotonic: true, .. } => MetricKind::Counter,
            Data::Gauge(_) | Data::Sum { .. } => MetricKind::Gauge,
            Data::Histogram { .. } | Data::Exponential { .. } => MetricKind::Histogram,
            Data::Summary(_) => MetricKind::Summary,
        };
        let known =
            Metadata { kind, unit: metric.unit.clone().into_owned(), help: metric.description.clone().into_owned() };
        self.out.metadata.insert(name.clone(), known);
        match &metric.data {
            Data::Empty => {}
            Data::Gauge(points) | Data::Sum { points, .. } => {
                for point in points {
                    let stale = point.flags & NO_VALUE != 0;
                    let Some(value) = point.value.to_f64().or(stale.then_some(STALE_NAN)) else { continue };
                    let value = if stale { STALE_NAN } else { value };
                    let labels = self.labels(&point.attributes);
                    let exemplars = self.exemplars(&point.exemplars);
                    self.push(&labels, &name, "", None, point.time_ns, value, exemplars);
                }
            }
            Data::Histogram { points, .. } => points.iter().for_each(|point| self.histogram(&name, point)),
            Data::Exponential { points, .. } => {
                for point in points {
                    match exponential(point) {
                        Ok(histogram) => {
                            let labels = self.labels(&point.attributes);
                            let exemplars = self.exemplars(&point.exemplars);
                            self.push_histogram(&labels, &name, point.time_ns, histogram, exemplars);
                        }
                        Err(reason) => self.out.warnings.push(format!("{}: {reason}", metric.name)),
                    }
                }
            }
            Data::Summary(points) => {
                for point in points {
                    let stale = point.flags & NO_VALUE != 0;
                    let or_stale = |value: f64| if stale { STALE_NAN } else { value };
                    let labels = self.labels(&point.attributes);
                    self.push(&labels, &name, "_sum", None, point.time_ns, or_stale(point.sum), Vec::new());
                    self.push(&labels, &name, "_count", None, point.time_ns, or_stale(point.count as f64), Vec::new());
                    for (quantile, value) in &point.quantiles {
                        let quantile = Some(("quantile", *quantile));
                        self.push(&labels, &name, "", quantile, point.time_ns, or_stale(*value), Vec::new());
                    }
                }
            }
        }
    }

    fn labels(&self, attributes: &[KeyValue<'_>]) -> BTreeMap<String, String> {
        let mut own = BTreeMap::new();
        for pair in attributes {
            put(&mut own, &pair.key, label_value(&pair.value), self.config);
        }
        // What the point says of itself wins over what its resource says, but for job and instance.
        for (name, value) in self.base {
            if matches!(name.as_str(), "job" | "instance") || !own.contains_key(name) {
                own.insert(name.clone(), value.clone());
            }
        }
        own
    }

    fn exemplars(&self, exemplars: &[OtlpExemplar<'_>]) -> Vec<Exemplar> {
        let mut found: Vec<Exemplar> = exemplars
            .iter()
            .filter_map(|exemplar| {
                let mut labels = LabelsBuilder::new();
                for (name, id) in [("trace_id", &exemplar.trace_id), ("span_id", &exemplar.span_id)] {
                    if !id.is_empty() {
                        labels.set(name, &hex(id));
                    }
                }
                let ids = labels.build();
                for pair in &exemplar.attributes {
                    labels.set(&label_name(&pair.key, self.config), &label_value(&pair.value));
                }
                let all = labels.build();
                let chars: usize = all.iter().map(|(name, value)| name.chars().count() + value.chars().count()).sum();
                let labels = if chars <= tsdb::MAX_EXEMPLAR_LABEL_CHARS { all } else { ids };
                Some(Exemplar { labels, value: exemplar.value.to_f64()?, timestamp_ms: ms(exemplar.time_ns) })
            })
            .collect();
        found.sort_by_key(|exemplar| exemplar.timestamp_ms);
        found
    }

    #[allow(clippy::too_many_arguments, reason = "the parts of one sample")]
    fn push(
        &mut self,
        labels: &BTreeMap<String, String>,
        name: &str,
        suffix: &str,
        bound: Option<(&str, f64)>,
        time_ns: u64,
        value: f64,
        exemplars: Vec<Exemplar>,
    ) {
        let mut builder = Labels::from_pairs(labels).to_builder();
        builder.set(METRIC_NAME, &format!("{name}{suffix}"));
        if let Some((label, bound)) = bound {
            let mut text = Vec::new();
            write_openmetrics_float(&mut text, bound);
            builder.set(label, &String::from_utf8_lossy(&text));
        }
        let labels = builder.build();
        self.out.points.push(Point { labels, time_ms: ms(time_ns), value: Value::Float(value), exemplars });
    }

    fn push_histogram(
        &mut self,
        labels: &BTreeMap<String, String>,
        name: &str,
        time_ns: u64,
        histogram: Histogram,
        exemplars: Vec<Exemplar>,
    ) {
        let mut builder = Labels::from_pairs(labels).to_builder();
        builder.set(METRIC_NAME, name);
        let value = Value::Histogram(NativeHistogram::Integer(histogram));
        self.out.points.push(Point { labels: builder.build(), time_ms: ms(time_ns), value, exemplars });
    }

    fn histogram(&mut self, name: &str, point: &HistogramPoint<'_>) {
        let labels = self.labels(&point.attributes);
        let stale = point.flags & NO_VALUE != 0;
        let mut exemplars = self.exemplars(&point.exemplars);
        if self.config.convert_histograms_to_nhcb {
            match custom(point, stale) {
                Some(histogram) => self.push_histogram(&labels, name, point.time_ns, histogram, exemplars),
                None => self.out.warnings.push(format!("{name}: bounds and counts of a histogram do not fit")),
            }
            return;
        }
        let or_stale = |value: f64| if stale { STALE_NAN } else { value };
        if let Some(sum) = point.sum {
            self.push(&labels, name, "_sum", None, point.time_ns, or_stale(sum), Vec::new());
        }
        self.push(&labels, name, "_count", None, point.time_ns, or_stale(point.count as f64), Vec::new());
        let mut total = 0u64;
        for (bound, count) in point.explicit_bounds.iter().zip(&point.bucket_counts) {
            total = total.saturating_add(*count);
            let (own, rest) = exemplars.into_iter().partition(|exemplar| exemplar.value <= *bound);
            exemplars = rest;
            self.push(&labels, name, "_bucket", Some(("le", *bound)), point.time_ns, or_stale(total as f64), own);
        }
        let all = or_stale(point.count as f64);
        self.push(&labels, name, "_bucket", Some(("le", f64::INFINITY)), point.time_ns, all, exemplars);
    }
}

fn ms(ns: u64) -> i64 {
    (ns / 1_000_000) as i64
}

/// A histogram with explicit bounds in the native form.
fn custom(point: &HistogramPoint<'_>, stale: bool) -> Option<Histogram> {
    if !point.bucket_counts.is_empty() && point.bucket_counts.len() != point.explicit_bounds.len() + 1 {
        return None;
    }
    let (positive_spans, positive_deltas) = spans(0, &point.bucket_counts);
    Some(Histogram {
        schema: CUSTOM_BUCKETS,
        zero_threshold: 0.0,
        zero_count: 0,
        count: if stale { 0 } else { point.count },
        sum: if stale { STALE_NAN } else { point.sum.unwrap_or(0.0) },
        positive_spans,
        positive_deltas,
        negative_spans: Vec::new(),
        negative_deltas: Vec::new(),
        custom_values: point.explicit_bounds.as_slice().into(),
        reset_hint: ResetHint::Unknown,
    })
}

/// An exponential histogram in the native form; a finer scale than is stored is made coarser.
fn exponential(point: &ExponentialPoint<'_>) -> Result<Histogram, String> {
    if point.scale < SCHEMA_MIN {
        return Err(format!(
            "cannot convert exponential to native histogram. Scale must be >= {SCHEMA_MIN}, was {}",
            point.scale
        ));
    }
    let down = (point.scale - SCHEMA_MAX).max(0);
    let stale = point.flags & NO_VALUE != 0;
    let (positive_spans, positive_deltas) = side(&point.positive, down);
    let (negative_spans, negative_deltas) = side(&point.negative, down);
    let zero_threshold = if point.zero_threshold > 0.0 { point.zero_threshold } else { 1e-128 };
    Ok(Histogram {
        schema: point.scale.min(SCHEMA_MAX),
        zero_threshold,
        zero_count: point.zero_count,
        count: point.count,
        sum: if stale { STALE_NAN } else { point.sum.unwrap_or(0.0) },
        positive_spans,
        positive_deltas,
        negative_spans,
        negative_deltas,
        custom_values: [].into(),
        reset_hint: ResetHint::Unknown,
    })
}

fn side(buckets: &ExponentialBuckets, down: i32) -> (Vec<Span>, Vec<i64>) {
    // OTLP's bucket i ends where Prometheus' bucket i + 1 does.
    let mut merged: BTreeMap<i32, u64> = BTreeMap::new();
    for (at, count) in buckets.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let index = i64::from(buckets.offset) + at as i64;
        let index = (index >> down.min(62)) + 1;
        let Ok(index) = i32::try_from(index) else { continue };
        let sum = merged.entry(index).or_default();
        *sum = sum.saturating_add(*count);
    }
    let mut spans: Vec<Span> = Vec::new();
    let (mut deltas, mut before, mut next) = (Vec::new(), 0i64, None::<i32>);
    for (index, count) in merged {
        match spans.last_mut().filter(|_| next == Some(index)) {
            Some(span) => span.length += 1,
            None => spans.push(Span { offset: next.map_or(index, |next| index.saturating_sub(next)), length: 1 }),
        }
        next = index.checked_add(1);
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        deltas.push(count.saturating_sub(before));
        before = count;
    }
    (spans, deltas)
}

/// Spans over the counts that are not 0, and the counts as differences.
fn spans(first: i32, counts: &[u64]) -> (Vec<Span>, Vec<i64>) {
    let buckets = ExponentialBuckets { offset: first - 1, counts: counts.to_vec() };
    side(&buckets, 0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use wire::otlp::Encoding;
    use wire::otlp::decode_metrics;

    fn series(points: &Points) -> BTreeSet<String> {
        points.points.iter().map(|point| point.labels.to_string()).collect()
    }

    fn of(json: &str, config: &OtlpConfig) -> Points {
        translate(&decode_metrics(json.as_bytes(), Encoding::Json).unwrap(), config)
    }

    const RESOURCE: &str = r#""resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}},{"key":"service.namespace","value":{"stringValue":"eu"}},{"key":"service.instance.id","value":{"stringValue":"i1"}},{"key":"host.name","value":{"stringValue":"web"}}]}"#;

    fn request(metric: &str) -> String {
        format!(
            r#"{{"resourceMetrics":[{{{RESOURCE},"scopeMetrics":[{{"scope":{{"name":"lib","version":"1"}},"metrics":[{metric}]}}]}}]}}"#
        )
    }

    #[test]
    fn sums_get_names_identity_and_target_info() {
        let json = request(
            r#"{"name":"http.requests","unit":"1","sum":{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[{"attributes":[{"key":"http.method","value":{"stringValue":"GET"}}],"timeUnixNano":"1700000000000000000","asInt":"5"}]}}"#,
        );
        let points = of(&json, &OtlpConfig::default());
        let want = [
            r#"http_requests_total{http_method="GET", instance="i1", job="eu/shop"}"#,
            r#"target_info{host_name="web", instance="i1", job="eu/shop"}"#,
        ];
        assert_eq!(series(&points), want.map(str::to_owned).into());
        assert!(matches!(points.points[0].value, Value::Float(5.0)));
        assert_eq!(points.points[0].time_ms, 1_700_000_000_000);
        assert_eq!(points.metadata["http_requests_total"].kind, MetricKind::Counter);
        let config =
            OtlpConfig { promote_all_resource_attributes: true, promote_scope_metadata: true, ..OtlpConfig::default() };
        let first = of(&json, &config).points[0].labels.clone();
        for (name, value) in [("host_name", "web"), ("otel_scope_name", "lib"), ("otel_scope_version", "1")] {
            assert_eq!(first.value(name), value);
        }
    }

    #[test]
    fn delta_points_are_left_out_with_a_warning() {
        let json = request(
            r#"{"name":"d","sum":{"aggregationTemporality":1,"isMonotonic":true,"dataPoints":[{"timeUnixNano":"1","asInt":"5"}]}}"#,
        );
        let points = of(&json, &OtlpConfig::default());
        assert!(points.points.is_empty() && points.warnings.len() == 1);
    }

    #[test]
    fn histograms_are_cumulative_or_native() {
        let json = request(
            r#"{"name":"t","unit":"s","histogram":{"aggregationTemporality":2,"dataPoints":[{"timeUnixNano":"1000000","count":"6","sum":9,"bucketCounts":["1","2","3"],"explicitBounds":[1,5]}]}}"#,
        );
        let points = of(&json, &OtlpConfig::default());
        let values: Vec<(String, String)> = points
            .points
            .iter()
            .filter(|point| point.labels.metric_name() != Some("target_info"))
            .map(|point| {
                let Value::Float(value) = &point.value else { panic!("a float") };
                (format!("{}{}", point.labels.metric_name().unwrap(), point.labels.value("le")), value.to_string())
            })
            .collect();
        let want = [
            ("t_seconds_sum", "9"),
            ("t_seconds_count", "6"),
            ("t_seconds_bucket1.0", "1"),
            ("t_seconds_bucket5.0", "3"),
            ("t_seconds_bucket+Inf", "6"),
        ];
        assert_eq!(values, want.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let config = OtlpConfig { convert_histograms_to_nhcb: true, ..OtlpConfig::default() };
        let points = of(&json, &config);
        let Value::Histogram(histogram) = &points.points[0].value else { panic!("a histogram") };
        let float = histogram.to_float();
        float.validate().unwrap();
        assert_eq!((float.count, float.positive_buckets.as_slice()), (6.0, &[1.0, 2.0, 3.0][..]));
    }

    #[test]
    fn exponential_histograms_keep_their_bounds_when_made_coarser() {
        let point = ExponentialPoint {
            count: 10,
            scale: 9,
            positive: ExponentialBuckets { offset: -2, counts: vec![1, 2, 0, 3, 4] },
            ..ExponentialPoint::default()
        };
        let histogram = exponential(&point).unwrap();
        assert_eq!((histogram.schema, histogram.to_float().positive_buckets.as_slice()), (8, &[3.0, 3.0, 4.0][..]));
        assert_eq!(histogram.positive_spans, [Span { offset: 0, length: 3 }]);
        histogram.to_float().validate().unwrap();
        assert!(exponential(&ExponentialPoint { scale: -5, ..ExponentialPoint::default() }).is_err());
    }
}
