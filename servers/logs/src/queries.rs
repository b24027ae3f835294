//! Runs queries: how many at once, for how long, and that they stop when nobody waits for them any more.
//!
//! A query waits for a slot (which counts towards its time), is evaluated on a blocking thread, is given up when its caller
//! goes away or the server stops, and is counted and logged.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kit::Shutdown;
use kit::metrics::{Counter, Gauge, Histogram, Registry, Vector};
use logql::{Engine, EngineOptions, Limits, QueryContext, QueryError, Stats, Stop, Watch};
use model::LogSource;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::config::{QueryConfig, TenantLimits};
use crate::source::Tenancy;

/// What a query is, beside its work.
#[derive(Clone)]
pub struct Job {
    /// What it reads.
    pub tenancy: Tenancy,
    /// Name of the tenants, for queues and logs.
    pub tenant: String,
    /// Limits of the tenant, or the strictest of several.
    pub limits: Arc<TenantLimits>,
    /// Its text.
    pub query: String,
    /// What it is: `metric`, `filter`, `limited`, `labels`, ….
    pub kind: &'static str,
    /// `instant` or `range`.
    pub range: &'static str,
    /// Tags that came with it.
    pub tags: String,
    /// Longest time for it, waiting included.
    pub timeout: Duration,
}

/// How long a query took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timing {
    /// Waiting for a slot.
    pub queued: Duration,
    /// Being evaluated.
    pub evaluated: Duration,
}

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The query's own reason.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// Too many wait already.
    #[error("too many outstanding requests")]
    Queue,
    /// The evaluation broke down.
    #[error("internal error: {0}")]
    Broken(String),
}

/// See the module.
pub struct Queries {
    config: QueryConfig,
    threads: usize,
    slots: Arc<Semaphore>,
    waiting: Arc<Mutex<HashMap<String, usize>>>,
    stop: Shutdown,
    metrics: Metrics,
}

struct Metrics {
    latency: Vector<Histogram>,
    throughput: Vector<Histogram>,
    bytes: Counter,
    sent_lines: Counter,
    units: Vector<Counter>,
    running: Gauge,
    queue: Vector<Gauge>,
    queue_seconds: Histogram,
    retries: Histogram,
}

impl Metrics {
    fn new(r: &Registry) -> Self {
        let bounds: Vec<f64> = (0..11).map(|power| 0.25 * 2f64.powi(power - 2)).collect();
        let rates: Vec<f64> = (0..6).map(|power| 1_048_576.0 * 10f64.powi(power - 1)).collect();
        let labels: &[&'static str] = &["status_code", "type", "range"];
        r.counter(
            "loki_logql_querystats_duplicates_total",
            "Total count of duplicates found while executing LogQL queries.",
        );
        Self {
            latency: r.histogram_vec(
                "loki_logql_querystats_latency_seconds",
                "Distribution of latency for LogQL queries.",
                &bounds,
                labels,
            ),
            throughput: r.histogram_vec(
                "loki_logql_querystats_bytes_processed_per_seconds",
                "Distribution of bytes processed per second for LogQL queries.",
                &rates,
                labels,
            ),
            bytes: r.counter(
                "loki_logql_querystats_bytes_processed_total",
                "Total bytes of lines and metadata that went through LogQL queries.",
            ),
            sent_lines: r.counter(
                "loki_logql_querystats_ingester_sent_lines_total",
                "Total count of lines sent from ingesters while executing LogQL queries.",
            ),
            units: r.counter_vec(
                "loki_logql_querystats_downloaded_chunk_total",
                "Total count of chunks downloaded found while executing LogQL queries.",
                labels,
            ),
            running: r.gauge("loki_logql_active_queries", "Number of queries that are evaluated now."),
            queue: r.gauge_vec("loki_query_frontend_queue_length", "Number of queries in the queue.", &["user"]),
            queue_seconds: r.histogram(
                "loki_query_frontend_queue_duration_seconds",
                "Time spent by requests in queue before getting picked up.",
                &kit::metrics::DEFAULT_BUCKETS,
            ),
            retries: r.histogram(
                "loki_query_frontend_retries",
                "Number of times a request is retried.",
                &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0],
            ),
        }
    }
}

/// Tells a query when to stop.
pub(crate) struct Deadline {
    cancel: Arc<AtomicBool>,
    begun: Instant,
    end: Instant,
}

impl Deadline {
    /// The end after a time from now.
    pub(crate) fn after(timeout: Duration) -> Self {
        let begun = Instant::now();
        Self { cancel: Arc::default(), begun, end: begun + timeout }
    }
}

impl Watch for Deadline {
    fn stop(&self) -> Option<Stop> {
        if self.cancel.load(Ordering::Relaxed) {
            return Some(Stop::Cancelled);
        }
        (Instant::now() >= self.end).then_some(Stop::Timeout)
    }

    fn now_ns(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Sets its flag when it goes away: when the future of a request is dropped, its query stops.
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Counts a waiting query of a tenant until dropped.
struct Waiting {
    counts: Arc<Mutex<HashMap<String, usize>>>,
    tenant: String,
    gauge: Gauge,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut counts = self.counts.lock();
        if let Some(count) = counts.get_mut(&self.tenant) {
            *count -= 1;
            self.gauge.set(*count as f64);
            if *count == 0 {
                counts.remove(&self.tenant);
            }
        }
    }
}

/// What metrics and logs need of an answer.
pub trait Counted {
    /// What the query took, if it was one.
    fn stats(&self) -> Option<&Stats> {
        None
    }
}

impl Counted for logql::QueryOutput {
    fn stats(&self) -> Option<&Stats> {
        Some(&self.stats)
    }
}

impl<T> Counted for Vec<T> {}
impl Counted for logql::explore::IndexStats {}
impl Counted for String {}
impl Counted for () {}
impl<A, B> Counted for (A, B) {}

impl Queries {
    /// A runner of queries; they stop with the server.
    pub fn new(config: QueryConfig, registry: &Registry, stop: Shutdown) -> Arc<Self> {
        let threads = match config.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        };
        Arc::new(Self {
            threads,
            slots: Arc::new(Semaphore::new(config.concurrency)),
            waiting: Arc::default(),
            stop,
            metrics: Metrics::new(registry),
            config,
        })
    }

    /// The engine for a tenant's queries.
    pub fn engine(limits: &TenantLimits) -> Engine {
        Engine::new(EngineOptions {
            align_steps: limits.split_queries,
            approx_topk: limits.shard_aggregations.iter().any(|name| name == "approx_topk"),
        })
    }

    /// What a query of a tenant may take.
    pub fn limits(&self, limits: &TenantLimits) -> Limits {
        Limits {
            max_series: limits.max_query_series,
            max_range_ns: limits.max_query_range_ns,
            max_bytes_read: limits.max_query_bytes_read,
            max_memory_bytes: self.config.max_memory,
        }
    }

    /// Evaluates. Dropping the future gives the query up.
    ///
    /// # Errors
    /// The query's, and when it waited too long or too many wait.
    pub async fn run<T, W>(self: &Arc<Self>, job: Job, work: W) -> Result<(T, Timing), RunError>
    where
        T: Counted + Send + 'static,
        W: FnOnce(&dyn LogSource, &QueryContext<'_>) -> Result<T, QueryError> + Send + 'static,
    {
        let begun = Instant::now();
        let end = begun + job.timeout;
        let waiting = self.enqueue(&job.tenant)?;
        let slot = tokio::time::timeout(job.timeout, self.slots.clone().acquire_owned()).await;
        drop(waiting);
        let queued = begun.elapsed();
        self.metrics.queue_seconds.observe_duration(queued);
        let Ok(Ok(slot)) = slot else { return Err(QueryError::Timeout.into()) };
        let cancel = Arc::new(AtomicBool::new(false));
        let guard = CancelOnDrop(cancel.clone());
        let queries = self.clone();
        let task = tokio::task::spawn_blocking(move || {
            let _slot = slot;
            let _running = queries.metrics.running.track();
            let started = Instant::now();
            let watch = Deadline { cancel, begun, end };
            let context = QueryContext {
                now_ns: crate::now_ns(),
                watch: &watch,
                limits: queries.limits(&job.limits),
                threads: queries.threads,
            };
            let result = job.tenancy.with(|source| work(source, &context));
            let timing = Timing { queued, evaluated: started.elapsed() };
            queries.account(&job, &result, timing);
            result.map(|answer| (answer, timing))
        });
        let result = tokio::select! {
            result = task => result,
            () = self.stop.triggered() => return Err(QueryError::Cancelled.into()),
        };
        drop(guard);
        match result {
            Ok(result) => Ok(result?),
            Err(e) => Err(RunError::Broken(e.to_string())),
        }
    }

    fn enqueue(&self, tenant: &str) -> Result<Waiting, RunError> {
        let gauge = self.metrics.queue.with(&[tenant]);
        let mut counts = self.waiting.lock();
        let count = counts.entry(tenant.to_owned()).or_default();
        if self.config.queue > 0 && *count >= self.config.queue {
            return Err(RunError::Queue);
        }
        *count += 1;
        gauge.set(*count as f64);
        Ok(Waiting { counts: self.waiting.clone(), tenant: tenant.to_owned(), gauge })
    }

    fn account<T: Counted>(&self, job: &Job, result: &Result<T, QueryError>, timing: Timing) {
        let status = match result {
            Ok(_) => 200,
            Err(error) => crate::api::status_of(error).as_u16(),
        };
        let status_text = status.to_string();
        let labels = [status_text.as_str(), job.kind, job.range];
        let seconds = timing.evaluated.as_secs_f64();
        self.metrics.latency.with(&labels).observe(seconds);
        self.metrics.retries.observe(0.0);
        let stats = result.as_ref().ok().and_then(Counted::stats).copied().unwrap_or_default();
        if stats.bytes() > 0 {
            self.metrics.throughput.with(&labels).observe(stats.bytes() as f64 / seconds.max(1e-9));
            self.metrics.bytes.add(stats.bytes());
            self.metrics.sent_lines.add(stats.post_filter_lines);
            self.metrics.units.with(&labels).add(stats.units);
        }
        let longer = self.config.log_longer_ns;
        let slow = longer < 0 || longer > 0 && timing.evaluated.as_nanos() >= longer.unsigned_abs().into();
        if slow {
            tracing::info!(
                component = "queries",
                org_id = job.tenant,
                query = job.query,
                query_type = job.kind,
                range_type = job.range,
                tags = job.tags,
                status,
                duration = ?timing.evaluated,
                queue_time = ?timing.queued,
                total_bytes = stats.bytes(),
                total_lines = stats.lines,
                "slow query"
            );
        } else {
            tracing::debug!(component = "queries", org_id = job.tenant, query = job.query, status, duration = ?timing.evaluated, "query");
        }
    }
}
