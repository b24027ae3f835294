//! Recording rules: an expression's result under another name.

use std::collections::BTreeMap;
use std::collections::HashSet;

use model::METRIC_NAME;

use super::alert_rule::EvalContext;
use crate::evaluate::OutputSample;

/// A recording rule. It has no state of its own.
#[derive(Clone, Debug)]
pub struct RecordingRule {
    /// Name of the series it writes.
    pub name: String,
    /// The expression, in canonical form.
    pub expr: String,
    /// Labels it adds or overwrites, sorted by name.
    pub labels: Vec<(String, String)>,
}

impl RecordingRule {
    /// A rule.
    pub fn new(name: &str, expr: &str, labels: &BTreeMap<String, String>) -> Self {
        let labels = labels.iter().map(|(n, v)| (n.clone(), v.clone())).collect();
        Self { name: name.to_owned(), expr: expr.to_owned(), labels }
    }

    pub(super) fn evaluate(&self, context: &EvalContext<'_>) -> Result<Vec<OutputSample>, String> {
        let at_ms = context.now_ms - context.query_offset_ms;
        let results = context.evaluator.query(&self.expr, at_ms).map_err(|error| error.message)?;
        let mut samples = Vec::with_capacity(results.len());
        let mut seen = HashSet::with_capacity(results.len());
        for result in results {
            let mut labels = result.labels.to_builder();
            labels.set(METRIC_NAME, &self.name);
            for (name, value) in &self.labels {
                labels.set(name, value);
            }
            let labels = labels.build();
            if !seen.insert(labels.clone()) {
                return Err("vector contains metrics with the same labelset after applying rule labels".to_owned());
            }
            samples.push(OutputSample { labels, timestamp_ms: at_ms, value: result.value });
        }
        if context.limit > 0 && samples.len() > context.limit {
            return Err(format!("exceeded limit of {} with {} series", context.limit, samples.len()));
        }
        Ok(samples)
    }
}
