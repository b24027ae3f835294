//! Runs queries: how many at once, for how long, and which ones run now.
//!
//! A query waits for a slot (its waiting counts towards its timeout), is evaluated on a thread of its own pool, is given up when
//! its caller goes away, can be killed by number, and is logged and counted. The file of active queries holds one
//! slot for each running query, so that the queries of a crashed process can be named at the next start.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kit::metrics::{Counter, Gauge, Histogram, Registry, Summary, Vector};
use model::SeriesSource;
use parking_lot::Mutex;
use promql::{Analysis, Clock, Engine, EngineOptions, Limits, QueryContext, QueryError, QueryOutput, TimeParams};
use ruler::GroupName;
use tokio::sync::Semaphore;

/// What one query asks beside its text.
#[derive(Clone, Debug)]
pub struct QueryRequest {
    /// The query.
    pub text: String,
    /// Its times.
    pub times: TimeParams,
    /// How long it may take, waiting included.
    pub timeout: Duration,
    /// Lookback in ms, 0 for the server's.
    pub lookback_ms: i64,
    /// Whether samples are counted for each step.
    pub per_step_stats: bool,
    /// Who asks, for the log of queries: path and address, or a rule's group.
    pub origin: Origin,
}

/// Who asks.
#[derive(Clone, Debug)]
pub enum Origin {
    /// A client.
    Http {
        /// Path of the request.
        path: String,
        /// Address of the client.
        client: String,
    },
    /// A rule.
    Rule {
        /// The file.
        file: String,
        /// The group.
        group: String,
    },
}

/// An answer and what it took.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The answer.
    pub output: QueryOutput,
    /// Seconds waiting for a slot.
    pub queue_seconds: f64,
    /// Seconds of evaluation.
    pub eval_seconds: f64,
}

/// A query that runs now.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ActiveQuery {
    /// Its number, for killing it.
    pub id: u64,
    /// Its text.
    pub query: String,
    /// When it began, ms.
    pub started_ms: i64,
}

/// Settings of [`Queries`].
#[derive(Clone, Debug)]
pub struct QuerySettings {
    /// Options of the engine.
    pub engine: EngineOptions,
    /// Most queries at once.
    pub concurrency: usize,
    /// Longest time a query may take.
    pub timeout: Duration,
    /// What one query may use.
    pub limits: Limits,
    /// Threads that may work on one query.
    pub threads: usize,
    /// File of active queries, `None`: not kept.
    pub active_file: Option<PathBuf>,
}

/// See the module.
pub struct Queries {
    settings: QuerySettings,
    engine: Engine,
    per_step_engine: Engine,
    source: Arc<dyn SeriesSource>,
    local: Arc<dyn SeriesSource>,
    slots: Arc<Semaphore>,
    running: Mutex<BTreeMap<u64, Running>>,
    next_id: AtomicU64,
    subquery_step_ms: AtomicI64,
    active_file: Option<ActiveFile>,
    log: Mutex<Option<QueryLog>>,
    metrics: Metrics,
}

struct Running {
    query: ActiveQuery,
    cancel: Arc<AtomicBool>,
}

struct QueryLog {
    path: PathBuf,
    file: File,
}

struct Metrics {
    current: Gauge,
    queue: Summary,
    eval: Summary,
    histogram: Vector<Histogram>,
    samples: Counter,
    log_failures: Counter,
    log_enabled: Gauge,
}

struct MonotonicClock(Instant);

impl Clock for MonotonicClock {
    fn now_ns(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Sets its flag when it goes away: when the future of a request is dropped, its query stops.
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Queries {
    /// A runner of queries over `source`, of which `local` is this server's part. Queries found in the file of active queries are logged.
    pub fn new(
        settings: QuerySettings,
        source: Arc<dyn SeriesSource>,
        local: Arc<dyn SeriesSource>,
        registry: &Registry,
    ) -> Arc<Self> {
        let quantiles: &[f64] = &[0.5, 0.9, 0.99];
        let durations =
            registry.summary_vec("prometheus_engine_query_duration_seconds", "Query timings.", quantiles, &["slice"]);
        let bounds = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0];
        for slice in ["prepare_time", "result_sort"] {
            durations.with(&[slice]);
        }
        registry
            .gauge("prometheus_engine_queries_concurrent_max", "The max number of concurrent queries.")
            .set(settings.concurrency as f64);
        let metrics = Metrics {
            current: registry
                .gauge("prometheus_engine_queries", "The current number of queries being executed or waiting."),
            queue: durations.with(&["queue_time"]),
            eval: durations.with(&["inner_eval"]),
            histogram: registry.histogram_vec(
                "prometheus_engine_query_duration_histogram_seconds",
                "The duration of various parts of PromQL query execution.",
                &bounds,
                &["slice"],
            ),
            samples: registry
                .counter("prometheus_engine_query_samples_total", "The total number of samples loaded by all queries."),
            log_failures: registry
                .counter("prometheus_engine_query_log_failures_total", "The number of query log failures."),
            log_enabled: registry.gauge("prometheus_engine_query_log_enabled", "State of the query log."),
        };
        let active_file = settings.active_file.as_deref().and_then(|path| match ActiveFile::open(path, settings.concurrency) {
            Ok(file) => Some(file),
            Err(e) => {
                tracing::warn!(component = "queries", file = %path.display(), error = %e, "queries that run are not tracked");
                None
            }
        });
        let per_step = EngineOptions { per_step_stats: true, ..settings.engine };
        Arc::new(Self {
            engine: Engine::new(settings.engine),
            per_step_engine: Engine::new(per_step),
            source,
            local,
            slots: Arc::new(Semaphore::new(settings.concurrency)),
            running: Mutex::new(BTreeMap::new()),
            next_id: AtomicU64::new(1),
            subquery_step_ms: AtomicI64::new(settings.engine.subquery_step_ms),
            active_file,
            log: Mutex::new(None),
            metrics,
            settings,
        })
    }

    /// The engine, for parsing and explaining.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The settings.
    pub fn settings(&self) -> &QuerySettings {
        &self.settings
    }

    /// The own store, without the peers that are read beside it.
    pub fn local(&self) -> &Arc<dyn SeriesSource> {
        &self.local
    }

    /// What is queried.
    pub fn source(&self) -> &Arc<dyn SeriesSource> {
        &self.source
    }

    /// Evaluates a query. Dropping the future gives the query up.
    ///
    /// # Errors
    /// The query's, and `Timeout` when it waited too long for a slot.
    pub async fn run(self: &Arc<Self>, request: QueryRequest) -> Result<Answered, QueryError> {
        self.execute(request, |queries, request, context| {
            let engine = if request.per_step_stats { &queries.per_step_engine } else { &queries.engine };
            engine.query(&request.text, &*queries.source, request.times, context)
        })
        .await
        .map(|(output, queue_seconds, eval_seconds)| Answered { output, queue_seconds, eval_seconds })
    }

    /// Evaluates a query and tells what each operator did.
    ///
    /// # Errors
    /// As [`Queries::run`].
    pub async fn analyze(self: &Arc<Self>, request: QueryRequest) -> Result<Analysis, QueryError> {
        self.execute(request, |queries, request, context| {
            queries.engine.explain_analyze(&request.text, &*queries.source, request.times, context)
        })
        .await
        .map(|(analysis, _, _)| analysis)
    }

    async fn execute<T: Counted + Send + 'static>(
        self: &Arc<Self>,
        request: QueryRequest,
        work: impl FnOnce(&Self, &QueryRequest, &QueryContext<'_>) -> Result<T, QueryError> + Send + 'static,
    ) -> Result<(T, f64, f64), QueryError> {
        let begun = Instant::now();
        let _waiting = self.metrics.current.track();
        let timeout = request.timeout.min(self.settings.timeout);
        let slot = tokio::time::timeout(timeout, self.slots.clone().acquire_owned()).await;
        let queued = begun.elapsed();
        self.metrics.queue.observe(queued.as_secs_f64());
        self.metrics.histogram.with(&["queue_time"]).observe(queued.as_secs_f64());
        let Ok(Ok(slot)) = slot else { return Err(QueryError::Timeout) };
        let cancel = Arc::new(AtomicBool::new(false));
        let guard = CancelOnDrop(cancel.clone());
        let queries = self.clone();
        let task = tokio::task::spawn_blocking(move || {
            let _slot = slot;
            let entry = queries.enter(&request.text, cancel.clone());
            let started = Instant::now();
            let clock = MonotonicClock(begun);
            let context = QueryContext {
                cancel: Some(&cancel),
                clock: Some(&clock),
                deadline_ns: Some(u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX)),
                limits: queries.settings.limits,
                threads: queries.settings.threads,
                lookback_ms: request.lookback_ms,
                subquery_step_ms: queries.subquery_step_ms.load(Ordering::Relaxed),
            };
            let result = work(&queries, &request, &context);
            let evaluated = started.elapsed();
            queries.leave(entry);
            queries.metrics.eval.observe(evaluated.as_secs_f64());
            queries.metrics.histogram.with(&["inner_eval"]).observe(evaluated.as_secs_f64());
            if let Ok(answer) = &result {
                queries.metrics.samples.add(answer.samples());
            }
            queries.write_log(&request.text, request.times, &request.origin, result.as_ref().err(), queued, evaluated);
            result.map(|answer| (answer, queued.as_secs_f64(), evaluated.as_secs_f64()))
        });
        let result = task.await;
        drop(guard);
        match result {
            Ok(result) => result,
            // The evaluation panicked: its invariant is broken, the server's is not.
            Err(e) => Err(QueryError::Execution(format!("unexpected error: {e}"))),
        }
    }

    /// Evaluates a rule's expression at one time, on the caller's thread and without a slot: rules do not wait behind people.
    ///
    /// # Errors
    /// The query's.
    pub fn run_rule(&self, group: GroupName<'_>, text: &str, at_ms: i64) -> Result<QueryOutput, QueryError> {
        let cancel = Arc::new(AtomicBool::new(false));
        let entry = self.enter(text, cancel.clone());
        let started = Instant::now();
        let clock = MonotonicClock(started);
        let context = QueryContext {
            cancel: Some(&cancel),
            clock: Some(&clock),
            deadline_ns: Some(u64::try_from(self.settings.timeout.as_nanos()).unwrap_or(u64::MAX)),
            limits: self.settings.limits,
            subquery_step_ms: self.subquery_step_ms.load(Ordering::Relaxed),
            ..QueryContext::default()
        };
        let times = TimeParams::Instant(at_ms);
        let result = self.engine.query(text, &*self.source, times, &context);
        let evaluated = started.elapsed();
        self.leave(entry);
        self.metrics.eval.observe(evaluated.as_secs_f64());
        self.metrics.histogram.with(&["inner_eval"]).observe(evaluated.as_secs_f64());
        if let Ok(output) = &result {
            self.metrics.samples.add(output.samples());
        }
        let origin = Origin::Rule { file: group.file.to_owned(), group: group.name.to_owned() };
        self.write_log(text, times, &origin, result.as_ref().err(), Duration::ZERO, evaluated);
        result
    }

    /// Sets the step of subqueries that name none.
    pub fn set_subquery_step(&self, step_ms: i64) {
        self.subquery_step_ms.store(step_ms, Ordering::Relaxed);
    }

    fn enter(&self, text: &str, cancel: Arc<AtomicBool>) -> (u64, Option<usize>) {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let started_ms = kit::time::now_ms();
        let slot = self.active_file.as_ref().and_then(|file| file.enter(text, started_ms));
        let query = ActiveQuery { id, query: text.to_owned(), started_ms };
        self.running.lock().insert(id, Running { query, cancel });
        (id, slot)
    }

    fn leave(&self, (id, slot): (u64, Option<usize>)) {
        self.running.lock().remove(&id);
        if let (Some(file), Some(slot)) = (&self.active_file, slot) {
            file.leave(slot);
        }
    }

    /// The queries that run now, oldest first.
    pub fn active(&self) -> Vec<ActiveQuery> {
        self.running.lock().values().map(|running| running.query.clone()).collect()
    }

    /// Stops a query. False when there is none of this number.
    pub fn kill(&self, id: u64) -> bool {
        let running = self.running.lock();
        running.get(&id).is_some_and(|query| {
            query.cancel.store(true, Ordering::Relaxed);
            true
        })
    }

    /// Sets, changes or (with `None`) ends the log of queries.
    ///
    /// # Errors
    /// When the file cannot be opened; the log stays as it was.
    pub fn set_log(&self, path: Option<&Path>) -> std::io::Result<()> {
        let mut log = self.log.lock();
        if log.as_ref().map(|log| log.path.as_path()) == path {
            return Ok(());
        }
        *log = match path {
            None => None,
            Some(path) => {
                Some(QueryLog { path: path.to_owned(), file: OpenOptions::new().create(true).append(true).open(path)? })
            }
        };
        self.metrics.log_enabled.set(f64::from(u8::from(log.is_some())));
        Ok(())
    }

    fn write_log(
        &self,
        text: &str,
        times: TimeParams,
        origin: &Origin,
        error: Option<&QueryError>,
        queued: Duration,
        evaluated: Duration,
    ) {
        let mut log = self.log.lock();
        let Some(log) = log.as_mut() else { return };
        let (start, end, step) = match times {
            TimeParams::Instant(at) => (at, at, 0),
            TimeParams::Range { start_ms, end_ms, step_ms } => (start_ms, end_ms, step_ms / 1000),
        };
        let mut line = serde_json::json!({
            "params": {
                "query": text,
                "start": kit::time::Rfc3339(start).to_string(),
                "end": kit::time::Rfc3339(end).to_string(),
                "step": step,
            },
            "stats": {"timings": {
                "evalTotalTime": (queued + evaluated).as_secs_f64(),
                "execQueueTime": queued.as_secs_f64(),
                "execTotalTime": (queued + evaluated).as_secs_f64(),
                "innerEvalTime": evaluated.as_secs_f64(),
                "queryPreparationTime": 0.0,
                "resultSortTime": 0.0,
            }},
            "time": kit::time::Rfc3339(kit::time::now_ms()).to_string(),
        });
        match origin {
            Origin::Http { path, client } => {
                line["httpRequest"] = serde_json::json!({"clientIP": client, "method": "GET", "path": path})
            }
            Origin::Rule { file, group } => line["ruleGroup"] = serde_json::json!({"file": file, "name": group}),
        }
        if let Some(error) = error {
            line["error"] = error.to_string().into();
        }
        if writeln!(log.file, "{line}").is_err() {
            self.metrics.log_failures.inc();
        }
    }
}

/// What the counter of samples needs of an answer.
trait Counted {
    fn samples(&self) -> u64;
}

impl Counted for QueryOutput {
    fn samples(&self) -> u64 {
        self.stats.samples_total
    }
}

impl Counted for Analysis {
    fn samples(&self) -> u64 {
        self.output.stats.samples_total
    }
}

/// `queries.active`: a JSON array with a slot of fixed length for each query that may run.
struct ActiveFile {
    file: File,
    free: Mutex<Vec<usize>>,
}

/// Bytes of a slot.
const SLOT_LEN: usize = 1000;

impl ActiveFile {
    fn open(path: &Path, slots: usize) -> std::io::Result<Self> {
        if let Ok(text) = std::fs::read_to_string(path) {
            let left: Vec<&str> = text
                .split(['\0', '\n'])
                .map(|s| s.trim_matches([',', '[', ']', ' ']))
                .filter(|s| s.starts_with('{'))
                .collect();
            if !left.is_empty() {
                tracing::info!(
                    component = "queries",
                    queries = left.join(", "),
                    "these queries didn't finish in the last run"
                );
            }
        }
        let file = OpenOptions::new().create(true).write(true).truncate(true).open(path)?;
        file.set_len((slots * SLOT_LEN + 1) as u64)?;
        file.write_all_at(b"[", 0)?;
        Ok(Self { file, free: Mutex::new((0..slots).rev().collect()) })
    }

    fn enter(&self, query: &str, started_ms: i64) -> Option<usize> {
        let slot = self.free.lock().pop()?;
        let mut text = query;
        let entry = loop {
            let entry = serde_json::json!({"query": text, "timestamp_sec": started_ms / 1000}).to_string();
            if entry.len() < SLOT_LEN - 1 {
                break entry;
            }
            // Escapes may take more room than the text: shorten until it fits.
            let mut end = text.len() / 2;
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text = &text[..end];
        };
        let mut bytes = entry.into_bytes();
        bytes.push(b',');
        bytes.resize(SLOT_LEN, 0);
        // Tracking helps after a crash; a query does not depend on it.
        let _ = self.file.write_all_at(&bytes, (slot * SLOT_LEN + 1) as u64);
        Some(slot)
    }

    fn leave(&self, slot: usize) {
        let _ = self.file.write_all_at(&[0; SLOT_LEN], (slot * SLOT_LEN + 1) as u64);
        self.free.lock().push(slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_active_queries_has_room_for_long_ones() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("queries.active");
        let file = ActiveFile::open(&path, 2).unwrap();
        let first = file.enter("up", 1_000).unwrap();
        let long = file.enter(&"\"é".repeat(2_000), 2_000).unwrap();
        assert_eq!(file.enter("third", 0), None);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("[{\"query\":\"up\""), "{text:?}");
        file.leave(first);
        file.leave(long);
        assert!(!std::fs::read_to_string(&path).unwrap().contains("query"));
        assert!(file.enter("again", 0).is_some());
    }
}
