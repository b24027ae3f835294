//! The way in: options, what a caller passes along, and what a query gives back.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use model::{FloatHistogram, Labels, SeriesSource, VectorSample};

use crate::annotations::Annotations;
use crate::ast::{Expr, ValueType};
use crate::error::QueryError;
use crate::exec;
use crate::parse::{ParserOptions, parse};
use crate::plan::Plan;
use crate::vector::Steps;

/// How queries are evaluated. The default is a server's.
#[derive(Clone, Copy, Debug)]
pub struct EngineOptions {
    /// Parts of the language that are allowed.
    pub parser: ParserOptions,
    /// How far back an instant selector looks for the newest sample, in ms.
    pub lookback_ms: i64,
    /// Step of a subquery that names none, in ms.
    pub subquery_step_ms: i64,
    /// Whether names are removed at the end of a query only, so that functions and aggregations inside still see them.
    pub delayed_name_removal: bool,
    /// Whether the types of metrics stand in the label `__type__`.
    pub type_and_unit_labels: bool,
    /// Whether `rate` and its like use start times.
    pub use_start_timestamps: bool,
    /// Whether [`Stats::per_step`] is filled.
    pub per_step_stats: bool,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            parser: ParserOptions::default(),
            lookback_ms: 300_000,
            subquery_step_ms: 60_000,
            delayed_name_removal: false,
            type_and_unit_labels: false,
            use_start_timestamps: false,
            per_step_stats: false,
        }
    }
}

/// What a query may use at most. 0 is no limit.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Samples in memory at once; a histogram counts by its size.
    pub samples: usize,
    /// Series that one selector selects.
    pub series: usize,
    /// Bytes of memory for intermediate results.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { samples: 50_000_000, series: 0, bytes: 0 }
    }
}

/// A monotonic clock of the host: deadlines and times of `explain analyze` come from it.
pub trait Clock: Sync {
    /// Nanoseconds since any fixed moment.
    fn now_ns(&self) -> u64;
}

/// What the caller of a query passes along.
#[derive(Clone, Copy)]
pub struct QueryContext<'a> {
    /// Set to true by the caller to give the query up.
    pub cancel: Option<&'a AtomicBool>,
    /// The host's clock; without one there are no deadlines and no times.
    pub clock: Option<&'a dyn Clock>,
    /// When to give up, by that clock.
    pub deadline_ns: Option<u64>,
    /// What the query may use.
    pub limits: Limits,
    /// Threads that work on it; 0 counts as 1.
    pub threads: usize,
    /// Lookback of this query in ms, 0 for the engine's.
    pub lookback_ms: i64,
    /// Step of its subqueries that name none in ms, 0 for the engine's.
    pub subquery_step_ms: i64,
}

impl Default for QueryContext<'_> {
    fn default() -> Self {
        Self {
            cancel: None,
            clock: None,
            deadline_ns: None,
            limits: Limits::default(),
            threads: 1,
            lookback_ms: 0,
            subquery_step_ms: 0,
        }
    }
}

/// The times of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeParams {
    /// At one time, in ms.
    Instant(i64),
    /// From `start_ms` to at most `end_ms` every `step_ms`.
    Range {
        /// First time in ms.
        start_ms: i64,
        /// Last time in ms.
        end_ms: i64,
        /// Distance in ms.
        step_ms: i64,
    },
}

/// A series of a matrix: samples with their times in ms, ascending.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MatrixSeries {
    /// Its labels.
    pub labels: Labels,
    /// Floats.
    pub floats: Vec<(i64, f64)>,
    /// Native histograms.
    pub histograms: Vec<(i64, Arc<FloatHistogram>)>,
}

/// The value of a query.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A number.
    Scalar {
        /// Evaluation time in ms.
        time_ms: i64,
        /// The number.
        value: f64,
    },
    /// A text.
    String {
        /// Evaluation time in ms.
        time_ms: i64,
        /// The text.
        value: String,
    },
    /// An instant vector; the order means something for sorting functions and `topk`.
    Vector {
        /// Evaluation time in ms.
        time_ms: i64,
        /// Its elements.
        samples: Vec<VectorSample>,
    },
    /// Series over time, ascending by labels.
    Matrix(Vec<MatrixSeries>),
}

impl Value {
    /// The value as an instant vector, a number as one sample without labels: what rules take.
    ///
    /// # Errors
    /// When it is a text or a matrix.
    pub fn into_vector(self) -> Result<Vec<VectorSample>, QueryError> {
        match self {
            Self::Scalar { value, .. } => Ok(vec![VectorSample::float(Labels::empty(), value)]),
            Self::Vector { samples, .. } => Ok(samples),
            Self::String { .. } | Self::Matrix(_) => {
                Err(QueryError::Invalid("rule result is not a vector or scalar".to_owned()))
            }
        }
    }
}

/// What a query used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Samples that functions and selectors looked at, over all steps.
    pub samples_total: u64,
    /// Most samples in memory at once.
    pub samples_peak: u64,
    /// Series selected.
    pub series: u64,
    /// Most bytes of intermediate results at once.
    pub bytes_peak: u64,
    /// Samples looked at by step, when asked for.
    pub per_step: Vec<(i64, u64)>,
}

/// The answer to a query.
#[derive(Clone, Debug)]
pub struct QueryOutput {
    /// Its value.
    pub value: Value,
    /// Warnings and infos.
    pub annotations: Annotations,
    /// What it used.
    pub stats: Stats,
}

/// What `explain analyze` has to say.
#[derive(Clone, Debug)]
pub struct Analysis {
    /// The plan, with what each operator did.
    pub text: String,
    /// The answer.
    pub output: QueryOutput,
}

/// Evaluates queries over any source of series. Holds options only: one engine serves any number of threads.
#[derive(Clone, Copy, Debug, Default)]
pub struct Engine {
    options: EngineOptions,
}

impl Engine {
    /// An engine with these options.
    pub fn new(options: EngineOptions) -> Self {
        Self { options }
    }

    /// Its options.
    pub fn options(&self) -> &EngineOptions {
        &self.options
    }

    /// Parses and evaluates a query.
    ///
    /// # Errors
    /// See [`crate::QueryErrorKind`].
    pub fn query(
        &self,
        text: &str,
        source: &dyn SeriesSource,
        times: TimeParams,
        context: &QueryContext<'_>,
    ) -> Result<QueryOutput, QueryError> {
        self.query_expr(&parse(text, &self.options.parser)?, source, times, context)
    }

    /// Evaluates a parsed query.
    ///
    /// # Errors
    /// See [`crate::QueryErrorKind`].
    pub fn query_expr(
        &self,
        expr: &Expr,
        source: &dyn SeriesSource,
        times: TimeParams,
        context: &QueryContext<'_>,
    ) -> Result<QueryOutput, QueryError> {
        let plan = self.plan(expr, times, context)?;
        exec::run(&plan, &self.options, source, context, times, false).map(|(output, _)| output)
    }

    /// Plans a query; the plan prints as a tree.
    ///
    /// # Errors
    /// When times or durations make no sense.
    pub fn plan(&self, expr: &Expr, times: TimeParams, context: &QueryContext<'_>) -> Result<Plan, QueryError> {
        let lookback_ms = if context.lookback_ms > 0 { context.lookback_ms } else { self.options.lookback_ms };
        let (steps, end_ms, instant) = match times {
            TimeParams::Instant(at) => (Steps::instant(at), at, true),
            TimeParams::Range { start_ms, end_ms, step_ms } => {
                let value_type = expr.value_type();
                if !matches!(value_type, ValueType::Vector | ValueType::Scalar) {
                    let found = value_type.documented();
                    return Err(QueryError::Invalid(format!(
                        "invalid expression type \"{found}\" for range query, must be Scalar or instant Vector"
                    )));
                }
                if step_ms <= 0 {
                    return Err(QueryError::Invalid(
                        "zero or negative query resolution step widths are not accepted. Try a positive integer"
                            .to_owned(),
                    ));
                }
                if end_ms < start_ms {
                    return Err(QueryError::Invalid("end timestamp must not be before start time".to_owned()));
                }
                (Steps::range(start_ms, end_ms, step_ms), end_ms, false)
            }
        };
        if context.limits.samples > 0 && steps.count > context.limits.samples {
            return Err(QueryError::TooManySamples);
        }
        let mut options = self.options;
        if context.subquery_step_ms > 0 {
            options.subquery_step_ms = context.subquery_step_ms;
        }
        Plan::new(expr, steps, end_ms, instant, &options, lookback_ms)
    }

    /// The plan of a query as text.
    ///
    /// # Errors
    /// As [`Engine::plan`].
    pub fn explain(&self, text: &str, times: TimeParams, context: &QueryContext<'_>) -> Result<String, QueryError> {
        Ok(self.plan(&parse(text, &self.options.parser)?, times, context)?.to_string())
    }

    /// Evaluates a query and tells what each operator did: series, points, samples read, bytes, and time by the
    /// context's clock.
    ///
    /// # Errors
    /// As [`Engine::query`].
    pub fn explain_analyze(
        &self,
        text: &str,
        source: &dyn SeriesSource,
        times: TimeParams,
        context: &QueryContext<'_>,
    ) -> Result<Analysis, QueryError> {
        let plan = self.plan(&parse(text, &self.options.parser)?, times, context)?;
        let (output, text) = exec::run(&plan, &self.options, source, context, times, true)?;
        Ok(Analysis { text, output })
    }
}
