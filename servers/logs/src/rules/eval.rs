//! What rules read and write: the query engine over a tenant's store, and the queues to metrics servers.

use std::sync::Arc;
use std::time::Instant;

use alerting::{Evaluator, OutputSample, QueryError, Rejected, Sample, SampleSink};
use logql::{QueryContext, Request, Value};
use model::Labels;

use super::RulerMetrics;
use super::remote::RemoteWriter;
use crate::config::TenantLimits;
use crate::queries::{Deadline, Queries};
use crate::source::Tenancy;

/// Evaluates expressions of rules; one thread, no slot: rules do not wait behind people's queries.
pub(super) struct EngineEvaluator<'a> {
    pub(super) queries: &'a Queries,
    pub(super) tenancy: Tenancy,
    pub(super) tenant: &'a str,
    pub(super) limits: Arc<TenantLimits>,
    pub(super) metrics: &'a RulerMetrics,
}

impl EngineEvaluator<'_> {
    fn run(&self, expr: &str, at_ms: i64) -> Result<Vec<Sample>, QueryError> {
        let parsed = logql::parse(expr, logql::ParseOptions::default()).map_err(|e| QueryError::new(e.to_string()))?;
        let watch = Deadline::after(self.limits.query_timeout);
        let context = QueryContext {
            now_ns: at_ms.saturating_mul(1_000_000),
            watch: &watch,
            limits: self.queries.limits(&self.limits),
            threads: 1,
        };
        let request = Request::instant(context.now_ns);
        let engine = Queries::engine(&self.limits);
        let output = self.tenancy.with(|source| engine.query(source, &parsed, &request, &context));
        match output.map_err(|e| QueryError::new(e.to_string()))?.value {
            Value::Scalar(_, value) => Ok(vec![Sample::float(Labels::empty(), value)]),
            Value::Vector(samples) => {
                let sample =
                    |sample: &logql::Sample| Sample::float(Labels::from_pairs(sample.labels.iter()), sample.value);
                Ok(samples.iter().map(sample).collect())
            }
            Value::Streams(_) | Value::Matrix(_) => Err(QueryError::new("rule result is not a vector or scalar")),
        }
    }
}

impl Evaluator for EngineEvaluator<'_> {
    fn query(&self, expr: &str, at_ms: i64) -> Result<Vec<Sample>, QueryError> {
        let begun = Instant::now();
        let result = self.run(expr, at_ms);
        self.metrics.queries.with(&[self.tenant]).inc();
        self.metrics.query_seconds.with(&[self.tenant]).add_f64(begun.elapsed().as_secs_f64());
        if result.is_err() {
            self.metrics.queries_failed.with(&[self.tenant]).inc();
        }
        result
    }
}

/// Hands what rules produce to the queues.
pub(super) struct RemoteSink<'a> {
    pub(super) writer: &'a RemoteWriter,
    pub(super) tenant: &'a str,
    pub(super) disabled: bool,
}

impl SampleSink for RemoteSink<'_> {
    fn append(&mut self, samples: &[OutputSample]) -> Result<Vec<Rejected>, QueryError> {
        if !self.disabled {
            self.writer.put(self.tenant, samples);
        }
        Ok(Vec::new())
    }
}
