//! Recording rules: the values of a node as samples.

use std::collections::BTreeSet;

use model::{Labels, METRIC_NAME};

use super::eval::EvalError;
use super::expr::QuerySource;
use super::rule::PreparedRule;
use super::value::Value;
use crate::evaluate::{OutputSample, SampleValue};

/// Evaluates a recording rule: the samples to write at `now_ms`. Nothing where there is no data.
///
/// # Errors
/// When the node fails or holds series; when the rule is no recording rule.
pub fn recorded(rule: &PreparedRule, source: &dyn QuerySource, now_ms: i64) -> Result<Vec<OutputSample>, EvalError> {
    let fail = |message: String| EvalError { message, ..EvalError::default() };
    let Some(record) = &rule.rule.record else { return Err(fail("not a recording rule".to_owned())) };
    let mut results = rule.pipeline.run(source, now_ms, &BTreeSet::new());
    let values = match results.remove(&record.from) {
        Some(Ok(values)) => values,
        Some(Err(error)) => {
            let datasource_uid = rule.pipeline.source_of(&error.ref_id).unwrap_or_default().to_owned();
            return Err(EvalError { message: error.to_string(), ref_id: error.ref_id, datasource_uid });
        }
        None => return Err(fail(format!("no node {}", record.from))),
    };
    let mut samples = Vec::new();
    for value in values {
        let (labels, value) = match value {
            Value::NoData => continue,
            Value::Scalar(value) => (Labels::empty(), value),
            Value::Number(number) => (number.labels, number.value),
            Value::Series(_) => return Err(fail("only reduced data can be recorded, not time series".to_owned())),
        };
        let Some(value) = value else { continue };
        let mut labels = labels.to_builder();
        for (name, value) in &rule.rule.labels {
            labels.set(name, value);
        }
        labels.set(METRIC_NAME, &record.metric);
        samples.push(OutputSample { labels: labels.build(), timestamp_ms: now_ms, value: SampleValue::Float(value) });
    }
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::grafana::expr::DataQuery;
    use crate::grafana::rule::tests::{PLACE, rule};
    use crate::grafana::value::{Number, Series};

    struct Source(Vec<Value>);

    impl QuerySource for Source {
        fn query(&self, _query: &DataQuery<'_>) -> Result<Vec<Value>, String> {
            Ok(self.0.clone())
        }
    }

    #[test]
    fn numbers_become_samples() {
        let record =
            json!({ "record": { "metric": "up:last", "from": "A" }, "labels": { "team": "ops" }, "condition": "" });
        let rule = rule(record).prepare(&PLACE).expect("a good rule");
        let host = |name: &str| Labels::from_pairs([("host", name)]);
        let source =
            Source(vec![Value::Number(Number::new(host("a"), Some(1.5))), Value::Number(Number::new(host("b"), None))]);
        let want = OutputSample {
            labels: Labels::from_pairs([(METRIC_NAME, "up:last"), ("host", "a"), ("team", "ops")]),
            timestamp_ms: 7,
            value: SampleValue::Float(1.5),
        };
        assert_eq!(recorded(&rule, &source, 7), Ok(vec![want]));
        assert_eq!(recorded(&rule, &Source(Vec::new()), 7), Ok(Vec::new()));
        let series = Source(vec![Value::Series(Series::default())]);
        assert!(recorded(&rule, &series, 7).is_err_and(|error| error.message.contains("only reduced data")));
    }
}
