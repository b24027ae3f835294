//! What rules read and write here: the query engine and the store.

use std::sync::Arc;

use alerting::rules::{ForStateQuery, ForStateSeries, OutgoingAlert};
use alerting::{Evaluator, OutputSample, QueryError, Rejected, Sample, SampleValue};
use model::{MatchOp, Matcher, SampleColumns, SelectHints};
use ruler::{Backend, GroupName, Session};
use tsdb::{NativeHistogram, Reason};

use super::Notifier;
use crate::ingest::Store;
use crate::queries::Queries;

/// See the module. Rules do not wait behind people's queries for a slot.
pub struct StoreBackend {
    queries: Arc<Queries>,
    db: Store,
    notifier: Arc<Notifier>,
}

struct GroupSession<'a> {
    backend: &'a StoreBackend,
    group: GroupName<'a>,
}

impl StoreBackend {
    /// A backend over an engine and a store that tells a notifier.
    pub fn new(queries: Arc<Queries>, db: Store, notifier: Arc<Notifier>) -> Self {
        Self { queries, db, notifier }
    }
}

impl Backend for StoreBackend {
    fn open<'a>(&'a self, group: GroupName<'a>) -> Result<Box<dyn Session + 'a>, QueryError> {
        Ok(Box::new(GroupSession { backend: self, group }))
    }

    fn send(&self, alerts: Vec<OutgoingAlert>) {
        self.notifier.queue.send(alerts);
    }
}

impl Evaluator for GroupSession<'_> {
    fn query(&self, expr: &str, at_ms: i64) -> Result<Vec<Sample>, QueryError> {
        let result =
            self.backend.queries.run_rule(self.group, expr, at_ms).and_then(|output| output.value.into_vector());
        result.map_err(|e| QueryError {
            cancelled: e.kind() == promql::QueryErrorKind::Cancelled,
            message: e.to_string(),
        })
    }
}

impl Session for GroupSession<'_> {
    fn append(&self, samples: &[OutputSample]) -> Result<Vec<Rejected>, QueryError> {
        let failed = |e: tsdb::Error| QueryError::new(e.to_string());
        let mut appender = self.backend.db.appender().map_err(failed)?;
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
                SampleValue::Histogram(histogram) => {
                    let histogram = NativeHistogram::Float((**histogram).clone());
                    match appender.append_histogram(series, 0, sample.timestamp_ms, histogram) {
                        Ok(()) => {}
                        Err(e @ tsdb::Error::InvalidHistogram(_)) => {
                            rejected.push(Rejected { index, message: e.to_string(), expected: false });
                        }
                        Err(e) => return Err(failed(e)),
                    }
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
        self.backend.db.outbox().offer(|parcel| {
            for (index, sample) in samples.iter().enumerate() {
                if rejected.iter().any(|rejected| rejected.index == index) {
                    continue;
                }
                match &sample.value {
                    SampleValue::Float(value) => parcel.sample(&sample.labels, 0, sample.timestamp_ms, *value),
                    SampleValue::Histogram(histogram) => {
                        let histogram = NativeHistogram::Float((**histogram).clone());
                        parcel.histogram(&sample.labels, 0, sample.timestamp_ms, &histogram);
                    }
                }
            }
        });
        Ok(rejected)
    }

    fn for_state(&self, query: &ForStateQuery) -> Result<Vec<ForStateSeries>, QueryError> {
        let failed = |e: &dyn std::fmt::Display| QueryError::new(e.to_string());
        let matchers = query
            .equal
            .iter()
            .map(|(name, value)| Matcher::new(MatchOp::Equal, name, value))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| failed(&e))?;
        let hints = SelectHints { start_ms: query.min_ms, end_ms: query.max_ms, ..SelectHints::default() };
        let selection = self.backend.queries.source().select(&matchers, &hints).map_err(|e| failed(&e))?;
        let mut columns = SampleColumns::new();
        let mut found = Vec::new();
        for index in 0..selection.len() {
            selection
                .read_last(index, query.max_ms, query.max_ms - query.min_ms, &mut columns)
                .map_err(|e| failed(&e))?;
            if let (Some(time), Some(value)) = (columns.timestamps.last(), columns.values.last()) {
                found.push(ForStateSeries { labels: selection.labels(index), last_ms: *time, value: *value });
            }
        }
        Ok(found)
    }
}
