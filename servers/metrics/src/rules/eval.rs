//! What rules read and write: the query engine and the store, behind the traits that rules know.

use std::sync::Arc;

use alerting::{Evaluator, OutputSample, QueryError, Rejected, Sample, SampleSink, SampleValue};
use model::Labels;
use promql::{QueryContext, TimeParams, Value};
use tsdb::{Db, Reason};

use crate::queries::Queries;

/// Evaluates expressions of rules with the engine; one thread, no slot: rules do not wait behind people's queries.
pub(super) struct EngineEvaluator<'a> {
    pub(super) queries: &'a Queries,
}

impl Evaluator for EngineEvaluator<'_> {
    fn query(&self, expr: &str, at_ms: i64) -> Result<Vec<Sample>, QueryError> {
        let context = QueryContext { limits: self.queries.settings().limits, ..QueryContext::default() };
        let output = self
            .queries
            .engine()
            .query(expr, &**self.queries.source(), TimeParams::Instant(at_ms), &context)
            .map_err(|e| QueryError::new(e.to_string()))?;
        match output.value {
            Value::Scalar { value, .. } => Ok(vec![Sample::float(Labels::empty(), value)]),
            Value::Vector { samples, .. } => Ok(samples
                .into_iter()
                .map(|sample| Sample {
                    labels: sample.labels,
                    value: match sample.value {
                        promql::SampleValue::Float(value) => SampleValue::Float(value),
                        promql::SampleValue::Histogram(histogram) => SampleValue::Histogram(histogram),
                    },
                })
                .collect()),
            Value::String { .. } | Value::Matrix(_) => Err(QueryError::new("rule result is not a vector or scalar")),
        }
    }
}

/// Writes what rules produce into the store.
pub(super) struct StoreSink {
    pub(super) db: Arc<Db>,
}

impl SampleSink for StoreSink {
    fn append(&mut self, samples: &[OutputSample]) -> Result<Vec<Rejected>, QueryError> {
        let failed = |e: tsdb::Error| QueryError::new(e.to_string());
        let mut appender = self.db.appender().map_err(failed)?;
        let mut rejected = Vec::new();
        for (index, sample) in samples.iter().enumerate() {
            let series = match appender.resolve(&sample.labels) {
                Ok(series) => series,
                Err(e) => {
                    rejected.push(Rejected { index, message: e.to_string(), expected: false });
                    continue;
                }
            };
            match &sample.value {
                SampleValue::Float(value) => appender.append(series, sample.timestamp_ms, *value).map_err(failed)?,
                SampleValue::Histogram(_) => {
                    rejected.push(Rejected {
                        index,
                        message: "the store takes no native histograms".to_owned(),
                        expected: false,
                    });
                }
            }
        }
        let report = appender.commit().map_err(failed)?;
        for refusal in report.refused {
            let index = samples
                .iter()
                .position(|sample| sample.labels == refusal.labels && sample.timestamp_ms == refusal.timestamp_ms)
                .unwrap_or(0);
            let expected = matches!(
                refusal.reason,
                Reason::OutOfOrder | Reason::OutOfBounds | Reason::TooOld | Reason::DuplicateTimestamp
            );
            rejected.push(Rejected { index, message: refusal.to_string(), expected });
        }
        Ok(rejected)
    }
}
