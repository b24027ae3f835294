//! Self-metrics: a registry of counters, gauges, histograms and summaries that renders itself in every scrape format.
//!
//! A handle ([`Counter`], [`Gauge`], [`Histogram`], [`Summary`]) is a shared cell: take it once, keep it, and use it
//! without locks ([`Summary`] alone takes a short one). Metrics with labels are made by a [`Family`]-like vector
//! ([`Vector::with`]); looking a child up costs a read lock and a hash, so hot paths keep the child. What has its value
//! elsewhere is read at scrape time through [`Registry::gauge_fn`], [`Registry::counter_fn`] or
//! [`Registry::collector`].

mod process;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
pub use wire::exposition::{Family, LabelPair, Metric, MetricKind, MetricValue};

/// Buckets of request durations in seconds, as Prometheus' own clients have them.
pub const DEFAULT_BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// A value that only grows.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<CounterCell>);

#[derive(Debug, Default)]
struct CounterCell {
    whole: AtomicU64,
    /// Bits of the sum of all fractions: most counters never touch it.
    fraction: AtomicU64,
}

impl Counter {
    /// Adds one.
    #[inline]
    pub fn inc(&self) {
        self.add(1);
    }

    /// Adds a whole number.
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.whole.fetch_add(n, Ordering::Relaxed);
    }

    /// Adds any number that is not negative; a negative one or NaN is ignored.
    pub fn add_f64(&self, n: f64) {
        if n > 0.0 {
            add_f64(&self.0.fraction, n);
        }
    }

    /// The value.
    pub fn get(&self) -> f64 {
        self.0.whole.load(Ordering::Relaxed) as f64 + f64::from_bits(self.0.fraction.load(Ordering::Relaxed))
    }
}

fn add_f64(cell: &AtomicU64, n: f64) {
    // `fetch_update` with a closure that always answers cannot fail.
    let _ = cell.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |bits| Some((f64::from_bits(bits) + n).to_bits()));
}

/// A value that goes up and down.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<AtomicU64>);

impl Gauge {
    /// Sets it.
    #[inline]
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }

    /// Adds, or subtracts a negative number.
    pub fn add(&self, n: f64) {
        add_f64(&self.0, n);
    }

    /// Adds one.
    pub fn inc(&self) {
        self.add(1.0);
    }

    /// Subtracts one.
    pub fn dec(&self) {
        self.add(-1.0);
    }

    /// The value.
    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }

    /// Adds one until the guard is dropped: work in progress.
    pub fn track(&self) -> GaugeGuard {
        self.inc();
        GaugeGuard(self.clone())
    }
}

/// See [`Gauge::track`].
#[derive(Debug)]
pub struct GaugeGuard(Gauge);

impl Drop for GaugeGuard {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Counts observations by bucket.
#[derive(Clone, Debug)]
pub struct Histogram(Arc<HistogramCell>);

#[derive(Debug)]
struct HistogramCell {
    bounds: Arc<[f64]>,
    /// One for each bound and one for what is above.
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

impl Histogram {
    /// A histogram outside a registry. Bounds ascend; `+Inf` is implied.
    pub fn new(bounds: impl Into<Arc<[f64]>>) -> Self {
        let bounds = bounds.into();
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self(Arc::new(HistogramCell { bounds, counts, sum: AtomicU64::new(0) }))
    }

    /// Counts a value.
    #[inline]
    pub fn observe(&self, value: f64) {
        let bucket = self.0.bounds.partition_point(|bound| *bound < value);
        self.0.counts[bucket].fetch_add(1, Ordering::Relaxed);
        add_f64(&self.0.sum, value);
    }

    /// Counts a duration in seconds.
    #[inline]
    pub fn observe_duration(&self, duration: Duration) {
        self.observe(duration.as_secs_f64());
    }

    fn snapshot(&self) -> wire::exposition::Histogram {
        let mut count = 0;
        let mut buckets = Vec::with_capacity(self.0.bounds.len());
        for (index, cell) in self.0.counts.iter().enumerate() {
            count += cell.load(Ordering::Relaxed);
            if let Some(bound) = self.0.bounds.get(index) {
                buckets.push((*bound, count));
            }
        }
        wire::exposition::Histogram { count, sum: f64::from_bits(self.0.sum.load(Ordering::Relaxed)), buckets }
    }
}

/// Quantiles over the last ten minutes, from at most the last 1,000 observations.
#[derive(Clone, Debug)]
pub struct Summary(Arc<SummaryCell>);

#[derive(Debug)]
struct SummaryCell {
    quantiles: &'static [f64],
    state: Mutex<SummaryState>,
}

#[derive(Debug, Default)]
struct SummaryState {
    count: u64,
    sum: f64,
    recent: VecDeque<(Instant, f64)>,
}

const SUMMARY_WINDOW: Duration = Duration::from_secs(600);
const SUMMARY_SAMPLES: usize = 1000;

impl Summary {
    fn new(quantiles: &'static [f64]) -> Self {
        Self(Arc::new(SummaryCell { quantiles, state: Mutex::default() }))
    }

    /// Counts a value.
    pub fn observe(&self, value: f64) {
        let mut state = self.0.state.lock();
        state.count += 1;
        state.sum += value;
        if state.recent.len() == SUMMARY_SAMPLES {
            state.recent.pop_front();
        }
        state.recent.push_back((Instant::now(), value));
    }

    fn snapshot(&self) -> wire::exposition::Summary {
        let mut state = self.0.state.lock();
        let now = Instant::now();
        while state.recent.front().is_some_and(|(at, _)| now.duration_since(*at) > SUMMARY_WINDOW) {
            state.recent.pop_front();
        }
        let mut values: Vec<f64> = state.recent.iter().map(|(_, value)| *value).collect();
        values.sort_by(f64::total_cmp);
        let at = |q: f64| match values.len() {
            0 => f64::NAN,
            n => values[((q * n as f64).ceil() as usize).clamp(1, n) - 1],
        };
        let quantiles = self.0.quantiles.iter().map(|q| (*q, at(*q))).collect();
        wire::exposition::Summary { count: state.count, sum: state.sum, quantiles }
    }
}

/// Metrics of one name told apart by label values.
#[derive(Debug)]
pub struct Vector<T> {
    inner: Arc<VectorInner<T>>,
}

impl<T> Clone for Vector<T> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

/// Label values and the metric.
type Child<T> = (Box<[Box<str>]>, T);

struct VectorInner<T> {
    labels: Box<[&'static str]>,
    /// By the label values, joined with a byte that UTF-8 does not have.
    children: RwLock<HashMap<Vec<u8>, Child<T>>>,
    make: Box<dyn Fn() -> T + Send + Sync>,
}

impl<T> std::fmt::Debug for VectorInner<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vector").field("labels", &self.labels).finish_non_exhaustive()
    }
}

impl<T: Clone> Vector<T> {
    fn new(labels: &[&'static str], make: impl Fn() -> T + Send + Sync + 'static) -> Self {
        let inner = VectorInner { labels: labels.into(), children: RwLock::default(), make: Box::new(make) };
        Self { inner: Arc::new(inner) }
    }

    /// The metric with these label values, made at zero if new. Missing values are empty, surplus ones ignored.
    pub fn with(&self, values: &[&str]) -> T {
        let key = key_of(values, self.inner.labels.len());
        if let Some((_, child)) = self.inner.children.read().get(&key) {
            return child.clone();
        }
        let mut children = self.inner.children.write();
        let (_, child) = children.entry(key).or_insert_with(|| {
            let values = (0..self.inner.labels.len()).map(|i| values.get(i).copied().unwrap_or("").into()).collect();
            (values, (self.inner.make)())
        });
        child.clone()
    }

    /// Forgets the metric with these label values.
    pub fn remove(&self, values: &[&str]) {
        self.inner.children.write().remove(&key_of(values, self.inner.labels.len()));
    }

    /// Forgets all metrics.
    pub fn clear(&self) {
        self.inner.children.write().clear();
    }

    fn metrics(&self, value: impl Fn(&T) -> MetricValue) -> Vec<Metric> {
        let children = self.inner.children.read();
        let mut rows: Vec<_> = children.values().collect();
        rows.sort_by(|a, b| a.0.cmp(&b.0));
        rows.into_iter()
            .map(|(values, child)| {
                let labels = self.inner.labels.iter().zip(values.iter());
                let labels = labels.map(|(n, v)| (Cow::Borrowed(*n), Cow::Owned(v.to_string()))).collect();
                metric(labels, value(child))
            })
            .collect()
    }
}

fn key_of(values: &[&str], count: usize) -> Vec<u8> {
    let mut key = Vec::with_capacity(32);
    for index in 0..count {
        key.extend_from_slice(values.get(index).copied().unwrap_or("").as_bytes());
        key.push(0xff);
    }
    key
}

fn metric(labels: Vec<LabelPair>, value: MetricValue) -> Metric {
    Metric { labels, value, exemplar: None, timestamp_ms: None }
}

type Collect = Box<dyn Fn(&mut Vec<Family>) + Send + Sync>;

/// The metrics of one server. Clones are the same registry.
#[derive(Clone, Default)]
pub struct Registry {
    collectors: Arc<Mutex<Vec<Collect>>>,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").finish_non_exhaustive()
    }
}

/// Name of a metric: fixed, or put together from a prefix that a host gives.
type Name = Cow<'static, str>;

macro_rules! kinds {
    ($($single:ident, $vector:ident: $type:ty = $kind:ident ($value:expr) $doc:literal;)*) => {$(
        #[doc = concat!("Registers a ", $doc, ".")]
        pub fn $single(&self, name: impl Into<Name>, help: &'static str) -> $type {
            let cell = <$type>::default();
            let shared = cell.clone();
            let name = name.into();
            self.collector(move |out| {
                let mut family = Family::new(name.clone(), help, MetricKind::$kind);
                family.metrics.push(metric(Vec::new(), ($value)(&shared)));
                out.push(family);
            });
            cell
        }

        #[doc = concat!("Registers a ", $doc, " for each combination of label values.")]
        pub fn $vector(&self, name: impl Into<Name>, help: &'static str, labels: &[&'static str]) -> Vector<$type> {
            self.vector(name, help, MetricKind::$kind, Vector::new(labels, <$type>::default), $value)
        }
    )*};
}

impl Registry {
    /// An empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    kinds! {
        counter, counter_vec: Counter = Counter (|c: &Counter| MetricValue::Single(c.get())) "counter";
        gauge, gauge_vec: Gauge = Gauge (|g: &Gauge| MetricValue::Single(g.get())) "gauge";
    }

    /// Registers a histogram.
    pub fn histogram(&self, name: impl Into<Name>, help: &'static str, bounds: &[f64]) -> Histogram {
        self.histogram_vec(name, help, bounds, &[]).with(&[])
    }

    /// Registers a histogram for each combination of label values.
    pub fn histogram_vec(
        &self,
        name: impl Into<Name>,
        help: &'static str,
        bounds: &[f64],
        labels: &[&'static str],
    ) -> Vector<Histogram> {
        let bounds: Arc<[f64]> = bounds.into();
        let vector = Vector::new(labels, move || Histogram::new(bounds.clone()));
        self.vector(name, help, MetricKind::Histogram, vector, |h| MetricValue::Histogram(h.snapshot()))
    }

    /// Registers a summary for each combination of label values.
    pub fn summary_vec(
        &self,
        name: impl Into<Name>,
        help: &'static str,
        quantiles: &'static [f64],
        labels: &[&'static str],
    ) -> Vector<Summary> {
        let vector = Vector::new(labels, move || Summary::new(quantiles));
        self.vector(name, help, MetricKind::Summary, vector, |s| MetricValue::Summary(s.snapshot()))
    }

    /// Registers a summary.
    pub fn summary(&self, name: impl Into<Name>, help: &'static str, quantiles: &'static [f64]) -> Summary {
        self.summary_vec(name, help, quantiles, &[]).with(&[])
    }

    fn vector<T: Clone + Send + Sync + 'static>(
        &self,
        name: impl Into<Name>,
        help: &'static str,
        kind: MetricKind,
        vector: Vector<T>,
        value: impl Fn(&T) -> MetricValue + Send + Sync + 'static,
    ) -> Vector<T> {
        let (name, shared) = (name.into(), vector.clone());
        self.collector(move |out| {
            let mut family = Family::new(name.clone(), help, kind);
            family.metrics = shared.metrics(&value);
            out.push(family);
        });
        vector
    }

    /// Registers a gauge that is read at each scrape.
    pub fn gauge_fn(&self, name: impl Into<Name>, help: &'static str, read: impl Fn() -> f64 + Send + Sync + 'static) {
        self.read_fn(name, help, MetricKind::Gauge, read);
    }

    /// Registers a counter that is read at each scrape.
    pub fn counter_fn(
        &self,
        name: impl Into<Name>,
        help: &'static str,
        read: impl Fn() -> f64 + Send + Sync + 'static,
    ) {
        self.read_fn(name, help, MetricKind::Counter, read);
    }

    fn read_fn(
        &self,
        name: impl Into<Name>,
        help: &'static str,
        kind: MetricKind,
        read: impl Fn() -> f64 + Send + Sync + 'static,
    ) {
        let name = name.into();
        self.collector(move |out| {
            let mut family = Family::new(name.clone(), help, kind);
            family.push(Vec::new(), read());
            out.push(family);
        });
    }

    /// Registers anything: called at each scrape, it appends families. Families of one name are joined.
    pub fn collector(&self, collect: impl Fn(&mut Vec<Family>) + Send + Sync + 'static) {
        self.collectors.lock().push(Box::new(collect));
    }

    /// Registers `<prefix>_build_info`, a gauge of 1 whose labels name the build.
    pub fn build_info(&self, prefix: &str, labels: &[(&'static str, &str)]) {
        let name = format!("{prefix}_build_info");
        let labels: Vec<LabelPair> =
            labels.iter().map(|(n, v)| (Cow::Borrowed(*n), Cow::Owned((*v).to_owned()))).collect();
        let help = "A metric with a constant '1' value labeled by the build it is.";
        self.collector(move |out| {
            let mut family = Family::new(name.clone(), help, MetricKind::Gauge);
            family.push(labels.clone(), 1.0);
            out.push(family);
        });
    }

    /// Registers the `process_*` metrics of this process.
    pub fn process_metrics(&self) {
        self.collector(process::collect);
    }

    /// All families, sorted by name; those of one name are joined. Families without metrics are left out.
    pub fn gather(&self) -> Vec<Family> {
        let mut families = Vec::new();
        for collect in self.collectors.lock().iter() {
            collect(&mut families);
        }
        join_families(families)
    }

    /// The page as Prometheus text.
    pub fn render_text(&self) -> String {
        let mut out = Vec::new();
        wire::exposition::write_text(&mut out, wire::exposition::TextFormat::Prometheus, &self.gather());
        String::from_utf8_lossy(&out).into_owned()
    }
}

/// Sorts families by name and joins those of one name (the first one's type and help win).
pub fn join_families(families: Vec<Family>) -> Vec<Family> {
    let mut by_name: BTreeMap<Cow<'static, str>, Family> = BTreeMap::new();
    for mut family in families {
        if family.metrics.is_empty() {
            continue;
        }
        match by_name.get_mut(&family.name) {
            Some(first) => first.metrics.append(&mut family.metrics),
            None => {
                by_name.insert(family.name.clone(), family);
            }
        }
    }
    by_name.into_values().collect()
}

/// Answers a scrape: the registry in the format that `accept` asks for, and its content type.
pub fn scrape_page(registry: &Registry, accept: &str) -> (&'static str, Vec<u8>) {
    let format = wire::exposition::Format::negotiate(accept);
    let mut out = Vec::with_capacity(16 << 10);
    format.write(&mut out, &registry.gather());
    (format.content_type(), out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::exposition::{TextFormat, lint, write_text};

    fn sample_registry() -> Registry {
        let registry = Registry::new();
        let requests = registry.counter_vec("demo_http_requests_total", "Requests.", &["handler", "code"]);
        requests.with(&["/", "200"]).add(3);
        requests.with(&["/", "200"]).inc();
        requests.with(&["/\"x\\", "500"]).add_f64(0.5);
        registry.gauge("demo_temperature_celsius", "Temperature.").set(-2.5);
        registry.gauge_fn("demo_ready", "Readiness.", || 1.0);
        let histogram = registry.histogram("demo_duration_seconds", "Durations.", &[0.1, 1.0]);
        [0.05, 0.1, 0.5, 7.0].into_iter().for_each(|v| histogram.observe(v));
        let summary = registry.summary("demo_size_bytes", "Sizes.", &[0.5, 0.99]);
        (1..=100).for_each(|v| summary.observe(f64::from(v)));
        registry.build_info("demo", &[("version", "1.2.3")]);
        registry
    }

    #[test]
    fn renders_text() {
        let text = sample_registry().render_text();
        let want = r#"# HELP demo_build_info A metric with a constant '1' value labeled by the build it is.
# TYPE demo_build_info gauge
demo_build_info{version="1.2.3"} 1
# HELP demo_duration_seconds Durations.
# TYPE demo_duration_seconds histogram
demo_duration_seconds_bucket{le="0.1"} 2
demo_duration_seconds_bucket{le="1"} 3
demo_duration_seconds_bucket{le="+Inf"} 4
demo_duration_seconds_sum 7.65
demo_duration_seconds_count 4
# HELP demo_http_requests_total Requests.
# TYPE demo_http_requests_total counter
demo_http_requests_total{handler="/",code="200"} 4
demo_http_requests_total{handler="/\"x\\",code="500"} 0.5
# HELP demo_ready Readiness.
# TYPE demo_ready gauge
demo_ready 1
# HELP demo_size_bytes Sizes.
# TYPE demo_size_bytes summary
demo_size_bytes{quantile="0.5"} 50
demo_size_bytes{quantile="0.99"} 99
demo_size_bytes_sum 5050
demo_size_bytes_count 100
# HELP demo_temperature_celsius Temperature.
# TYPE demo_temperature_celsius gauge
demo_temperature_celsius -2.5
"#;
        assert_eq!(text, want);
        assert_eq!(lint::style(text.as_bytes(), TextFormat::Prometheus), Ok(Vec::new()));
    }

    #[test]
    fn renders_valid_openmetrics_and_protobuf() {
        let registry = sample_registry();
        registry.process_metrics();
        let mut page = Vec::new();
        write_text(&mut page, TextFormat::OpenMetrics, &registry.gather());
        lint::check(&page, TextFormat::OpenMetrics)
            .unwrap_or_else(|e| panic!("{e}\n{}", String::from_utf8_lossy(&page)));
        assert_eq!(lint::style(registry.render_text().as_bytes(), TextFormat::Prometheus), Ok(Vec::new()));

        let accept = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
        let (content_type, page) = scrape_page(&registry, accept);
        assert!(content_type.contains("delimited"));
        let names: Vec<_> =
            wire::exposition::protobuf::Families::new(&page).map(|family| family.unwrap().name.to_owned()).collect();
        assert_eq!(names, registry.gather().iter().map(|f| f.name.to_string()).collect::<Vec<_>>());
    }

    #[test]
    fn children_are_shared_and_forgotten() {
        let registry = Registry::new();
        let vector = registry.gauge_vec("g", "h", &["a"]);
        let child = vector.with(&["x"]);
        {
            let _guard = child.track();
            assert_eq!(vector.with(&["x"]).get(), 1.0);
        }
        assert_eq!(child.get(), 0.0);
        vector.remove(&["x"]);
        assert_eq!(registry.gather(), []);
    }

    #[test]
    fn families_of_one_name_are_joined() {
        let registry = Registry::new();
        for device in ["a", "b"] {
            registry.collector(move |out| {
                let mut family = Family::new("x", "h", MetricKind::Gauge);
                family.push(vec![("device".into(), device.into())], 1.0);
                out.push(family);
            });
        }
        assert_eq!(registry.gather().len(), 1);
        assert_eq!(registry.gather()[0].metrics.len(), 2);
    }
}
