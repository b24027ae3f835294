//! A store in memory that rules read and write while a test advances.

use std::cell::RefCell;
use std::collections::VecDeque;

use alerting::{Evaluator, OutputSample, QueryError, Rejected, Sample, SampleSink};
use model::Labels;
use promql::promqltest::{MemorySource, SequenceValue};
use promql::{Engine, QueryContext, TimeParams, Value};

/// Samples that are stored when their time has come.
#[derive(Default)]
pub(super) struct Pending {
    series: Vec<(Labels, VecDeque<(i64, SequenceValue)>)>,
}

impl Pending {
    /// Adds a series whose values stand `step_ms` apart.
    pub(super) fn add(&mut self, labels: Labels, values: Vec<SequenceValue>, start_ms: i64, step_ms: i64) {
        let samples = values
            .into_iter()
            .enumerate()
            .filter(|(_, value)| *value != SequenceValue::Omitted)
            .map(|(at, value)| (start_ms + at as i64 * step_ms, value));
        self.series.push((labels, samples.collect()));
    }

    /// Stores the samples up to a time.
    pub(super) fn load(&mut self, store: &TestStore, until_ms: i64) -> Result<(), String> {
        let mut source = store.source.borrow_mut();
        for (labels, samples) in &mut self.series {
            while let Some((time_ms, value)) = samples.pop_front_if(|(time_ms, _)| *time_ms <= until_ms) {
                match value {
                    SequenceValue::Omitted => Ok(()),
                    SequenceValue::Float(value) => source.append(labels, time_ms, 0, value),
                    SequenceValue::Histogram { histogram, .. } => {
                        source.append_histogram(labels, time_ms, 0, &histogram)
                    }
                }
                .map_err(|e| format!("{labels}: {e}"))?;
            }
        }
        Ok(())
    }
}

/// See the module.
pub(super) struct TestStore {
    source: RefCell<MemorySource>,
    engine: Engine,
}

impl TestStore {
    pub(super) fn new(engine: Engine) -> Self {
        Self { source: RefCell::new(MemorySource::new()), engine }
    }

    pub(super) fn sink(&self) -> Sink<'_> {
        Sink(self)
    }

    /// The value of an expression.
    pub(super) fn evaluate(&self, expr: &str, at_ms: i64) -> Result<Value, promql::QueryError> {
        let source = self.source.borrow();
        let context = QueryContext::default();
        self.engine.query(expr, &*source, TimeParams::Instant(at_ms), &context).map(|output| output.value)
    }
}

impl Evaluator for TestStore {
    fn query(&self, expr: &str, at_ms: i64) -> Result<Vec<Sample>, QueryError> {
        super::super::backend::samples(self.evaluate(expr, at_ms).map_err(|e| QueryError::new(e.to_string()))?)
    }
}

/// Writes what rules produce.
pub(super) struct Sink<'a>(&'a TestStore);

impl SampleSink for Sink<'_> {
    fn append(&mut self, samples: &[OutputSample]) -> Result<Vec<Rejected>, QueryError> {
        let mut source = self.0.source.borrow_mut();
        let mut rejected = Vec::new();
        for (index, sample) in samples.iter().enumerate() {
            let done = match &sample.value {
                alerting::SampleValue::Float(value) => source.append(&sample.labels, sample.timestamp_ms, 0, *value),
                alerting::SampleValue::Histogram(histogram) => {
                    source.append_histogram(&sample.labels, sample.timestamp_ms, 0, histogram)
                }
            };
            if let Err(e) = done {
                rejected.push(Rejected { index, message: e.to_string(), expected: true });
            }
        }
        Ok(rejected)
    }
}
