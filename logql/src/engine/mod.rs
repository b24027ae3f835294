//! Running queries: options and limits, the one place where they are checked, statistics, results.
//!
//! [`Engine::query`] takes a parsed query and a log source; [`logs`](crate::logs) answers queries of entries,
//! [`metric`](crate::metric) those of numbers. Units of streams are read from several threads ([`QueryContext::threads`]);
//! between units and every few thousand lines each of them asks whether to go on ([`Budget`]).

mod error;
mod stats;
pub(crate) mod workers;

use std::sync::atomic::{AtomicU64, Ordering};

use model::{Direction, LogSource};

pub use error::{MatchingError, QueryError, QueryErrorKind};
pub use stats::Stats;

use crate::explain::PlanNode;
use crate::label_set::LabelSet;
use crate::logs::{LogParams, LogResult};
use crate::syntax::ast::Expr;

/// What a query may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most series of a result.
    pub max_series: usize,
    /// Longest `[range]` in nanoseconds, 0 for any.
    pub max_range_ns: i64,
    /// Most bytes of lines to read, 0 for any number; the query is refused before it reads more.
    pub max_bytes_read: u64,
    /// Most bytes of memory for intermediate results.
    pub max_memory_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_series: 500, max_range_ns: 0, max_bytes_read: 0, max_memory_bytes: 1 << 30 }
    }
}

/// How queries are evaluated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineOptions {
    /// Steps of range queries lie on multiples of the step since the epoch: the start is rounded down and the end up.
    /// This is what the reference does when it splits queries by time.
    pub align_steps: bool,
    /// Answer `approx_topk` (exactly, as `topk`) instead of refusing it.
    pub approx_topk: bool,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self { align_steps: true, approx_topk: false }
    }
}

/// Tells a running query whether to go on. Called from several threads, often.
pub trait Watch: Sync {
    /// Why the query should stop, if it should.
    fn stop(&self) -> Option<Stop> {
        None
    }

    /// A clock that only moves forward, in nanoseconds from any beginning; measures stages for `explain analyze`.
    fn now_ns(&self) -> u64 {
        0
    }
}

/// Why a query should stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Its time is over.
    Timeout,
    /// Its caller gave it up.
    Cancelled,
}

/// A query that may take as long as it wants.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoWatch;

impl Watch for NoWatch {}

/// What a query runs in.
#[derive(Clone)]
pub struct QueryContext<'a> {
    /// What the clock says, in nanoseconds since the epoch; for `now` in templates.
    pub now_ns: i64,
    /// Whether to go on.
    pub watch: &'a dyn Watch,
    /// What the query may take.
    pub limits: Limits,
    /// Most threads to use, at least 1.
    pub threads: usize,
}

impl QueryContext<'_> {
    /// A context without bounds of time, on one thread.
    pub fn at(now_ns: i64) -> Self {
        Self { now_ns, watch: &NoWatch, limits: Limits::default(), threads: 1 }
    }

    pub(crate) fn timestamp(&self) -> jiff::Timestamp {
        jiff::Timestamp::from_nanosecond(i128::from(self.now_ns)).unwrap_or_default()
    }
}

/// What a running query has taken so far, shared by its threads.
pub(crate) struct Budget<'a> {
    watch: &'a dyn Watch,
    limits: &'a Limits,
    memory: AtomicU64,
}

impl<'a> Budget<'a> {
    pub(crate) fn new(context: &'a QueryContext<'_>) -> Self {
        Self { watch: context.watch, limits: &context.limits, memory: AtomicU64::new(0) }
    }

    pub(crate) fn limits(&self) -> &Limits {
        self.limits
    }

    /// An error if the query should stop.
    pub(crate) fn check(&self) -> Result<(), QueryError> {
        match self.watch.stop() {
            None => Ok(()),
            Some(Stop::Timeout) => Err(QueryError::Timeout),
            Some(Stop::Cancelled) => Err(QueryError::Cancelled),
        }
    }

    /// Takes memory; an error if there is too little.
    pub(crate) fn take(&self, bytes: usize) -> Result<(), QueryError> {
        let before = self.memory.fetch_add(bytes as u64, Ordering::Relaxed);
        let limit = self.limits.max_memory_bytes;
        if before.saturating_add(bytes as u64) > limit { Err(QueryError::TooMuchMemory { limit }) } else { Ok(()) }
    }

    /// The clock for measuring.
    pub(crate) fn now_ns(&self) -> u64 {
        self.watch.now_ns()
    }

    /// Gives memory back.
    pub(crate) fn give(&self, bytes: usize) {
        self.memory.fetch_sub(bytes as u64, Ordering::Relaxed);
    }
}

/// When a query is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    /// At one moment, in nanoseconds since the epoch.
    Instant(i64),
    /// At steps from start to end, both included; entries from start to before end.
    Range {
        /// First step, or oldest entry, in nanoseconds.
        start_ns: i64,
        /// Last step, or behind the newest entry, in nanoseconds.
        end_ns: i64,
        /// Distance of steps in nanoseconds; queries of entries do without.
        step_ns: i64,
    },
}

/// What is asked beside the query itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// When.
    pub time: Time,
    /// Which entries first.
    pub direction: Direction,
    /// Most entries.
    pub limit: usize,
    /// Least distance in time of two entries in nanoseconds, 0 for any.
    pub interval_ns: i64,
    /// Keep labels of stream, metadata and parsers apart.
    pub categorize: bool,
}

impl Request {
    /// An instant query.
    pub fn instant(at_ns: i64) -> Self {
        Self { time: Time::Instant(at_ns), ..Self::range(0, 0, 0) }
    }

    /// A range query, newest entries first, at most 100.
    pub fn range(start_ns: i64, end_ns: i64, step_ns: i64) -> Self {
        Self {
            time: Time::Range { start_ns, end_ns, step_ns },
            direction: Direction::Backward,
            limit: 100,
            interval_ns: 0,
            categorize: false,
        }
    }
}

impl Request {
    fn log_params(&self) -> Result<LogParams, QueryError> {
        let Time::Range { start_ns, end_ns, .. } = self.time else { return Err(QueryError::InstantLog) };
        Ok(LogParams {
            start_ns,
            end_ns,
            direction: self.direction,
            limit: self.limit,
            interval_ns: self.interval_ns,
            categorize: self.categorize,
            after: None,
        })
    }
}

/// One number of an instant query.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Labels of the series.
    pub labels: LabelSet,
    /// When, in ms since the epoch.
    pub timestamp_ms: i64,
    /// The number.
    pub value: f64,
}

/// The numbers of one series.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesPoints {
    /// Labels of the series.
    pub labels: LabelSet,
    /// Time in ms and number of each step that has one.
    pub points: Vec<(i64, f64)>,
}

/// The answer to a query.
#[derive(Clone, Debug)]
pub enum Value {
    /// Entries by stream.
    Streams(LogResult),
    /// One number a series, sorted by labels unless the query sorts.
    Vector(Vec<Sample>),
    /// Numbers at steps, sorted by labels.
    Matrix(Vec<SeriesPoints>),
    /// A number without labels, with its time in ms.
    Scalar(i64, f64),
}

/// A query's answer and how it was found.
#[derive(Clone, Debug)]
pub struct QueryOutput {
    /// The answer.
    pub value: Value,
    /// What it took.
    pub stats: Stats,
    /// What was left out, and why.
    pub warnings: Vec<String>,
}

/// Evaluates queries. Cheap to make; holds options only.
#[derive(Clone, Debug, Default)]
pub struct Engine {
    options: EngineOptions,
}

impl Engine {
    /// An engine with these options.
    pub fn new(options: EngineOptions) -> Self {
        Self { options }
    }

    /// The options.
    pub fn options(&self) -> &EngineOptions {
        &self.options
    }

    /// Answers a query.
    ///
    /// # Errors
    /// When a stage cannot be compiled, a limit is reached, an entry to be counted has an error, the two sides of an
    /// operation do not fit, the query should stop, or the source fails.
    pub fn query(
        &self,
        source: &dyn LogSource,
        expr: &Expr,
        request: &Request,
        context: &QueryContext<'_>,
    ) -> Result<QueryOutput, QueryError> {
        match expr {
            Expr::Log(log) => crate::logs::query(source, log, &request.log_params()?, context),
            Expr::Metric(metric) => crate::metric::query(source, metric, request.time, &self.options, context),
        }
    }

    /// How a query would be answered.
    ///
    /// # Errors
    /// When a stage cannot be compiled, or the query cannot be evaluated at such times.
    pub fn explain(&self, expr: &Expr, request: &Request, context: &QueryContext<'_>) -> Result<PlanNode, QueryError> {
        match expr {
            Expr::Log(log) => crate::logs::explain(log, &request.log_params()?, context),
            Expr::Metric(metric) => crate::metric::explain(metric, request.time, &self.options, context),
        }
    }

    /// Answers a query, and says how and what each part took. Slower than [`Self::query`]: each stage is timed for each
    /// line, by the clock of the context's [`Watch`].
    ///
    /// # Errors
    /// As [`Self::query`].
    pub fn analyze(
        &self,
        source: &dyn LogSource,
        expr: &Expr,
        request: &Request,
        context: &QueryContext<'_>,
    ) -> Result<(QueryOutput, PlanNode), QueryError> {
        match expr {
            Expr::Log(log) => crate::logs::analyze(source, log, &request.log_params()?, context),
            Expr::Metric(metric) => crate::metric::analyze(source, metric, request.time, &self.options, context),
        }
    }
}
