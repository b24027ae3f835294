//! What an evaluation of a rule's nodes says: alert instances, nothing, or an error.
//!
//! The deciding node's numbers become instances, one per label set: a missing value is no data, zero is normal, anything
//! else (NaN too) is alerting. Values of the other nodes are captured for templates where their labels are equal to, or
//! part of, the instance's.

use std::collections::{BTreeMap, BTreeSet};

use model::Labels;
use serde::{Deserialize, Serialize};

use super::expr::{QuerySource, Results};
use super::rule::PreparedRule;
use super::state::Outcome;
use super::value::{Number, Value};
use crate::text::{plain_number, serde_float_map, serde_labels};

/// One alert instance of an evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct InstanceResult {
    /// Labels of the result.
    pub labels: Labels,
    /// What it says.
    pub outcome: Outcome,
    /// Values of the nodes, by ref id.
    pub captures: BTreeMap<String, Capture>,
}

/// The value of a node for an instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Capture {
    /// Labels of the value.
    #[serde(with = "serde_labels")]
    pub labels: Labels,
    /// The value.
    pub value: Option<f64>,
}

/// Queries that gave nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NoDataSource {
    /// Id of the data source; empty if it is not known.
    pub datasource_uid: String,
    /// The queries' ref ids.
    pub ref_ids: Vec<String>,
}

/// Why an evaluation failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EvalError {
    /// In words.
    pub message: String,
    /// The node that failed, if one did.
    pub ref_id: String,
    /// Its data source, if it is a query.
    pub datasource_uid: String,
}

/// What an evaluation says.
#[derive(Clone, Debug, PartialEq)]
pub enum Evaluation {
    /// The instances.
    Instances(Vec<InstanceResult>),
    /// There was nothing.
    NoData(Vec<NoDataSource>),
    /// It failed.
    Error(EvalError),
}

/// Evaluates a rule. `loaded`: labels of the results that fire already.
pub fn evaluate(rule: &PreparedRule, source: &dyn QuerySource, now_ms: i64, loaded: &BTreeSet<Labels>) -> Evaluation {
    let results = rule.pipeline.run(source, now_ms, loaded);
    judge(rule, &results)
}

fn judge(rule: &PreparedRule, results: &Results) -> Evaluation {
    let condition = rule.pipeline.condition();
    let values = match results.get(condition) {
        Some(Ok(values)) => values,
        Some(Err(error)) => {
            let datasource_uid = rule.pipeline.source_of(&error.ref_id).unwrap_or_default().to_owned();
            let ref_id = error.ref_id.clone();
            return Evaluation::Error(EvalError { message: error.to_string(), ref_id, datasource_uid });
        }
        None => return Evaluation::Error(EvalError { message: "no condition".to_owned(), ..EvalError::default() }),
    };
    let fail = |message: String| Evaluation::Error(EvalError { message, ..EvalError::default() });
    let mut instances = Vec::new();
    let mut seen = BTreeSet::new();
    for value in values {
        let number = match value {
            Value::NoData => continue,
            Value::Scalar(value) => Number::new(Labels::empty(), *value),
            Value::Number(number) => number.clone(),
            Value::Series(_) => {
                return fail(format!(
                    "invalid format of evaluation results for the alert definition {condition}: \
                     looks like time series data, only reduced data can be alerted on."
                ));
            }
        };
        if !seen.insert(number.labels.clone()) {
            let labels = label_text(&number.labels);
            return fail(format!(
                "frame cannot uniquely be identified by its labels: has duplicate results with labels {{{labels}}}"
            ));
        }
        let outcome = match number.value {
            None => Outcome::NoData,
            Some(0.0) => Outcome::Normal,
            Some(_) => Outcome::Alerting,
        };
        instances.push(InstanceResult {
            captures: captures(results, condition, &number),
            labels: number.labels,
            outcome,
        });
    }
    if instances.is_empty() {
        let sources = rule.pipeline.sources_without_data(results).into_iter();
        let mut sources: Vec<NoDataSource> =
            sources.map(|(datasource_uid, ref_ids)| NoDataSource { datasource_uid, ref_ids }).collect();
        if sources.is_empty() {
            sources.push(NoDataSource::default());
        }
        return Evaluation::NoData(sources);
    }
    Evaluation::Instances(instances)
}

fn captures(results: &Results, condition: &str, number: &Number) -> BTreeMap<String, Capture> {
    let mut captures = BTreeMap::new();
    // What matched in a classic condition goes by the condition's place: B0, B1, ….
    for (i, found) in number.matches.iter().enumerate() {
        let capture = Capture { labels: found.labels.clone(), value: found.value };
        captures.insert(format!("{condition}{i}"), capture);
    }
    for (ref_id, values) in results {
        let Ok(values) = values else { continue };
        let numbers: Vec<Capture> = values.iter().filter_map(single).collect();
        let part_of =
            |capture: &&Capture| capture.labels.iter().all(|(name, value)| number.labels.get(name) == Some(value));
        let exact = numbers.iter().find(|capture| capture.labels == number.labels);
        if let Some(capture) = exact.or_else(|| numbers.iter().find(part_of)) {
            captures.insert(ref_id.clone(), capture.clone());
        }
    }
    captures
}

fn single(value: &Value) -> Option<Capture> {
    match value {
        Value::Scalar(value) => Some(Capture { labels: Labels::empty(), value: *value }),
        Value::Number(number) => Some(Capture { labels: number.labels.clone(), value: number.value }),
        Value::Series(_) | Value::NoData => None,
    }
}

/// `a=1, b=2`
pub(super) fn label_text(labels: &Labels) -> String {
    labels.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(", ")
}

/// The values of an instance in the forms that templates and alerts have them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Values {
    /// By ref id; −1 stands for none.
    #[serde(with = "serde_float_map")]
    pub by_ref: BTreeMap<String, f64>,
    /// `[ var='B' labels={host=a} value=1 ]` for each.
    pub text: String,
}

impl Values {
    /// Of captured values.
    pub fn of(captures: &BTreeMap<String, Capture>) -> Self {
        let by_ref = captures.iter().map(|(ref_id, capture)| (ref_id.clone(), capture.value.unwrap_or(f64::NAN)));
        let text = |(ref_id, capture): (&String, &Capture)| {
            let value = capture.value.map_or_else(|| "null".to_owned(), plain_number);
            format!("[ var='{ref_id}' labels={{{}}} value={value} ]", label_text(&capture.labels))
        };
        Self { by_ref: by_ref.collect(), text: captures.iter().map(text).collect::<Vec<_>>().join(", ") }
    }

    /// The values that an instance without any keeps from before, marked as none.
    pub fn none_of(names: impl Iterator<Item = String>) -> Self {
        Self { by_ref: names.map(|name| (name, -1.0)).collect(), text: String::new() }
    }
}

#[cfg(test)]
mod tests;
