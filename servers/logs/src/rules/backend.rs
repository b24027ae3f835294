//! What rules read and write: the query engine over a tenant's store, the queues to metrics servers and Alertmanagers.

use std::sync::Arc;
use std::time::Instant;

use alerting::rules::OutgoingAlert;
use alerting::{Evaluator, OutputSample, QueryError, Rejected, Sample};
use kit::metrics::{Counter, Registry, Vector};
use logql::{QueryContext, Request, Value};
use model::Labels;
use ruler::{AlertQueue, Backend, GroupName, Session};
use tokio::runtime::Handle;

use super::notifier::Explore;
use super::remote::RemoteWriter;
use crate::config::TenantLimits;
use crate::queries::{Deadline, Queries};
use crate::source::Tenancy;
use crate::tenants::Tenants;

/// What the rules of all tenants share.
pub(super) struct Host {
    pub(super) tenants: Arc<Tenants>,
    pub(super) queries: Arc<Queries>,
    pub(super) queue: Arc<AlertQueue>,
    pub(super) explore: Explore,
    pub(super) writer: Arc<RemoteWriter>,
    pub(super) metrics: QueryMetrics,
}

/// How the queries of rules do, under the peer's names.
pub(super) struct QueryMetrics {
    total: Vector<Counter>,
    failed: Vector<Counter>,
    seconds: Vector<Counter>,
}

impl QueryMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        let counter = |name: &'static str, help| registry.counter_vec(name, help, &["user"]);
        Self {
            total: counter("loki_ruler_queries_total", "Total number of queries executed by the ruler."),
            failed: counter("loki_ruler_queries_failed_total", "Total number of failed queries by the ruler."),
            seconds: counter(
                "loki_ruler_query_seconds_total",
                "Total amount of wall clock time spent processing queries by the ruler.",
            ),
        }
    }
}

/// The rules of one tenant.
pub(super) struct TenantBackend {
    pub(super) tenant: String,
    pub(super) host: Arc<Host>,
    pub(super) runtime: Handle,
}

impl Backend for TenantBackend {
    fn open<'a>(&'a self, _: GroupName<'a>) -> Result<Box<dyn Session + 'a>, QueryError> {
        let Host { tenants, writer, .. } = &*self.host;
        let found = self.runtime.block_on(tenants.find(&self.tenant)).map_err(|e| QueryError::new(e.to_string()))?;
        let limits = tenants.limits(&self.tenant);
        let writes = writer.is_enabled() && !limits.ruler_remote_write_disabled;
        let tenancy = Tenancy::new(found.into_iter().collect(), false);
        Ok(Box::new(TenantSession { tenant: &self.tenant, host: &self.host, tenancy, limits, writes }))
    }

    fn send(&self, mut alerts: Vec<OutgoingAlert>) {
        for alert in &mut alerts {
            alert.generator_url = self.host.explore.url(&alert.generator_url);
        }
        self.host.queue.send(alerts);
    }
}

/// Evaluates with one thread and without a slot: rules do not wait behind people's queries.
struct TenantSession<'a> {
    tenant: &'a str,
    host: &'a Host,
    tenancy: Tenancy,
    limits: Arc<TenantLimits>,
    writes: bool,
}

impl TenantSession<'_> {
    fn run(&self, expr: &str, at_ms: i64) -> Result<Vec<Sample>, QueryError> {
        let parsed = logql::parse(expr, logql::ParseOptions::default()).map_err(|e| QueryError::new(e.to_string()))?;
        let watch = Deadline::after(self.limits.query_timeout);
        let context = QueryContext {
            now_ns: at_ms.saturating_mul(1_000_000),
            watch: &watch,
            limits: self.host.queries.limits(&self.limits),
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

impl Evaluator for TenantSession<'_> {
    fn query(&self, expr: &str, at_ms: i64) -> Result<Vec<Sample>, QueryError> {
        let begun = Instant::now();
        let result = self.run(expr, at_ms);
        let metrics = &self.host.metrics;
        metrics.total.with(&[self.tenant]).inc();
        metrics.seconds.with(&[self.tenant]).add_f64(begun.elapsed().as_secs_f64());
        if result.is_err() {
            metrics.failed.with(&[self.tenant]).inc();
        }
        result
    }
}

impl Session for TenantSession<'_> {
    fn append(&self, samples: &[OutputSample]) -> Result<Vec<Rejected>, QueryError> {
        if self.writes {
            self.host.writer.put(self.tenant, samples);
        }
        Ok(Vec::new())
    }
}
