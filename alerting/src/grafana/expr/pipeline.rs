//! A rule's queries and expressions as nodes in an order in which each has what it needs.

use std::collections::{BTreeMap, BTreeSet};

use model::Labels;
use serde::Deserialize;

use super::classic::ClassicConditions;
use super::math::{Math, Variables};
use super::reduce::{Reduce, ReduceMode, Reducer};
use super::resample::{Resample, Upsampler};
use super::threshold::{Evaluator, EvaluatorModel, Threshold};
use crate::grafana::rule::RuleQuery;
use crate::grafana::value::Value;
use crate::text::parse_go_duration_ms;

/// From when until when a query looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeRange {
    /// From.
    pub from_ms: i64,
    /// To.
    pub to_ms: i64,
}

/// A query to a data source.
#[derive(Clone, Copy, Debug)]
pub struct DataQuery<'a> {
    /// Its ref id.
    pub ref_id: &'a str,
    /// Its type, which some sources want.
    pub query_type: &'a str,
    /// The source.
    pub datasource_uid: &'a str,
    /// What the source understands.
    pub model: &'a serde_json::Value,
    /// From when until when.
    pub range: TimeRange,
}

/// Why a node has no values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to execute query {ref_id}: {message}")]
pub struct NodeError {
    /// The node that failed first.
    pub ref_id: String,
    /// Its words.
    pub message: String,
}

/// Answers queries. The host implements it.
pub trait QuerySource {
    /// Series or numbers; none if there is nothing.
    ///
    /// # Errors
    /// The source's words.
    fn query(&self, query: &DataQuery<'_>) -> Result<Vec<Value>, String>;
}

/// Queries and expressions cannot be put together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PipelineError {
    /// There is nothing to evaluate.
    #[error("no queries or expressions are found")]
    Empty,
    /// A query has no ref id.
    #[error("query {0} has no ref id")]
    NoRefId(usize),
    /// Two queries have one ref id.
    #[error("refID '{0}' is already used by another query")]
    RefIdRepeated(String),
    /// The deciding node is none of them.
    #[error("condition {condition} does not exist, must be one of {refs:?}")]
    NoCondition {
        /// The deciding node.
        condition: String,
        /// The nodes there are.
        refs: Vec<String>,
    },
    /// An expression names a node that is not there.
    #[error("unable to find dependent node '{dependency}' for expression '{ref_id}'")]
    NoDependency {
        /// The expression.
        ref_id: String,
        /// What it names.
        dependency: String,
    },
    /// Expressions depend on each other in a circle.
    #[error("cyclic references in query: expression '{0}' depends on itself")]
    Circle(String),
    /// An expression is not what it has to be.
    #[error("failed to parse expression '{ref_id}': {problem}")]
    Expression {
        /// The expression.
        ref_id: String,
        /// What is wrong.
        problem: String,
    },
}

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Query { index: usize },
    Reduce(Reduce),
    Resample(Resample, RangeOffsets),
    Threshold(Threshold),
    Math(Math),
    Classic(ClassicConditions),
}

/// From how long ago until how long ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct RangeOffsets {
    from_ms: i64,
    to_ms: i64,
}

#[derive(Clone, Debug, PartialEq)]
struct Node {
    ref_id: String,
    kind: Kind,
}

/// A rule's nodes, ready to be evaluated.
#[derive(Clone, Debug, PartialEq)]
pub struct Pipeline {
    queries: Vec<RuleQuery>,
    /// In an order in which each comes after what it needs.
    nodes: Vec<Node>,
    condition: String,
}

/// What the nodes came to, by ref id.
pub type Results = BTreeMap<String, Result<Vec<Value>, NodeError>>;

/// Model of an expression; each type uses some of the keys.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Model {
    #[serde(rename = "type")]
    kind: String,
    expression: String,
    reducer: String,
    settings: Option<Settings>,
    window: String,
    downsampler: String,
    upsampler: String,
    conditions: serde_json::Value,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Settings {
    mode: String,
    replace_with_value: Option<f64>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ThresholdModel {
    evaluator: EvaluatorModel,
    unload_evaluator: Option<EvaluatorModel>,
}

impl Pipeline {
    /// Reads the expressions and puts everything in order.
    ///
    /// # Errors
    /// What is wrong.
    pub fn new(queries: &[RuleQuery], condition: &str) -> Result<Self, PipelineError> {
        if queries.is_empty() {
            return Err(PipelineError::Empty);
        }
        let mut nodes: BTreeMap<&str, Node> = BTreeMap::new();
        for (index, query) in queries.iter().enumerate() {
            if query.ref_id.is_empty() {
                return Err(PipelineError::NoRefId(index));
            }
            let kind = if query.is_expression() {
                let expression = |problem| PipelineError::Expression { ref_id: query.ref_id.clone(), problem };
                parse(query).map_err(expression)?
            } else {
                Kind::Query { index }
            };
            let node = Node { ref_id: query.ref_id.clone(), kind };
            if nodes.insert(&query.ref_id, node).is_some() {
                return Err(PipelineError::RefIdRepeated(query.ref_id.clone()));
            }
        }
        if !nodes.contains_key(condition) {
            let refs = nodes.keys().map(|name| (*name).to_owned()).collect();
            return Err(PipelineError::NoCondition { condition: condition.to_owned(), refs });
        }
        let nodes = in_order(&nodes)?;
        Ok(Self { queries: queries.to_vec(), nodes, condition: condition.to_owned() })
    }

    /// The deciding node.
    pub fn condition(&self) -> &str {
        &self.condition
    }

    /// Evaluates all nodes at a time. `loaded`: labels of the results that fire already, for thresholds with a way back.
    pub fn run(&self, source: &dyn QuerySource, now_ms: i64, loaded: &BTreeSet<Labels>) -> Results {
        let mut results = Results::new();
        for node in &self.nodes {
            let result = self.run_node(node, source, now_ms, loaded, &results);
            results.insert(node.ref_id.clone(), result);
        }
        results
    }

    fn run_node(
        &self,
        node: &Node,
        source: &dyn QuerySource,
        now_ms: i64,
        loaded: &BTreeSet<Labels>,
        results: &Results,
    ) -> Result<Vec<Value>, NodeError> {
        let error = |message: String| NodeError { ref_id: node.ref_id.clone(), message };
        // A node whose input failed fails for the same reason.
        let mut inputs: BTreeMap<&str, &[Value]> = BTreeMap::new();
        for name in dependencies(&node.kind) {
            match results.get(name) {
                Some(Ok(values)) => inputs.insert(name, values),
                Some(Err(failed)) => return Err(failed.clone()),
                None => None,
            };
        }
        let input = |name: &str| inputs.get(name).copied().unwrap_or_default();
        match &node.kind {
            Kind::Query { index } => {
                let Some(query) = self.queries.get(*index) else { return Ok(vec![Value::NoData]) };
                let range = RangeOffsets::of(query).at(now_ms);
                let values = source
                    .query(&DataQuery {
                        ref_id: &query.ref_id,
                        query_type: &query.query_type,
                        datasource_uid: &query.datasource_uid,
                        model: &query.model,
                        range,
                    })
                    .map_err(error)?;
                Ok(if values.is_empty() { vec![Value::NoData] } else { values })
            }
            Kind::Reduce(reduce) => Ok(reduce.run(input(&reduce.input))),
            Kind::Resample(resample, offsets) => {
                resample.run(input(&resample.input), offsets.at(now_ms)).map_err(error)
            }
            Kind::Threshold(threshold) => Ok(threshold.run(input(&threshold.input), loaded)),
            Kind::Math(math) => {
                let variables: Variables<'_> = inputs.iter().map(|(name, values)| (*name, *values)).collect();
                math.run(&variables).map_err(error)
            }
            Kind::Classic(classic) => Ok(classic.run(input)),
        }
    }

    /// Ids of the data sources of the queries that gave nothing, each with the ref ids of these queries.
    pub(crate) fn sources_without_data(&self, results: &Results) -> BTreeMap<String, Vec<String>> {
        let mut sources: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for node in &self.nodes {
            let Kind::Query { index } = node.kind else { continue };
            let Some(query) = self.queries.get(index) else { continue };
            let empty = matches!(results.get(&node.ref_id), Some(Ok(values)) if values[..] == [Value::NoData]);
            if empty {
                sources.entry(query.datasource_uid.clone()).or_default().push(query.ref_id.clone());
            }
        }
        sources
    }

    /// Id of the data source of a query.
    pub(crate) fn source_of(&self, ref_id: &str) -> Option<&str> {
        let query = self.queries.iter().find(|query| query.ref_id == ref_id)?;
        Some(&query.datasource_uid)
    }
}

impl RangeOffsets {
    fn of(query: &RuleQuery) -> Self {
        let range = &query.relative_time_range;
        Self { from_ms: range.from.saturating_mul(1000), to_ms: range.to.saturating_mul(1000) }
    }

    fn at(self, now_ms: i64) -> TimeRange {
        TimeRange { from_ms: now_ms.saturating_sub(self.from_ms), to_ms: now_ms.saturating_sub(self.to_ms) }
    }
}

fn dependencies(kind: &Kind) -> Vec<&str> {
    match kind {
        Kind::Query { .. } => Vec::new(),
        Kind::Reduce(reduce) => vec![&reduce.input],
        Kind::Resample(resample, _) => vec![&resample.input],
        Kind::Threshold(threshold) => vec![&threshold.input],
        Kind::Math(math) => math.variables().iter().map(String::as_str).collect(),
        Kind::Classic(classic) => classic.conditions.iter().map(|condition| condition.input.as_str()).collect(),
    }
}

/// Each node after what it depends on.
fn in_order(nodes: &BTreeMap<&str, Node>) -> Result<Vec<Node>, PipelineError> {
    let mut ordered: Vec<Node> = Vec::new();
    let mut waiting: Vec<&Node> = nodes.values().collect();
    for node in &waiting {
        for name in dependencies(&node.kind) {
            if !nodes.contains_key(name) {
                let (ref_id, dependency) = (node.ref_id.clone(), name.to_owned());
                return Err(PipelineError::NoDependency { ref_id, dependency });
            }
        }
    }
    while !waiting.is_empty() {
        let done: BTreeSet<String> = ordered.iter().map(|node| node.ref_id.clone()).collect();
        let (ready, rest): (Vec<&Node>, Vec<&Node>) =
            waiting.iter().partition(|node| dependencies(&node.kind).iter().all(|name| done.contains(*name)));
        if ready.is_empty() {
            return Err(PipelineError::Circle(rest.first().map(|node| node.ref_id.clone()).unwrap_or_default()));
        }
        ordered.extend(ready.into_iter().cloned());
        waiting = rest;
    }
    Ok(ordered)
}

fn parse(query: &RuleQuery) -> Result<Kind, String> {
    let model: Model = serde_json::from_value(query.model.clone()).map_err(|error| error.to_string())?;
    // One node as input: `A` or `$A`.
    let input = || {
        let name = model.expression.trim().trim_start_matches('$');
        let name = name.strip_prefix('{').and_then(|name| name.strip_suffix('}')).unwrap_or(name);
        if name.is_empty() { Err("no variable specified to reference".to_owned()) } else { Ok(name.to_owned()) }
    };
    match model.kind.as_str() {
        "reduce" => {
            let reducer = reducer(&model.reducer)?;
            Ok(Kind::Reduce(Reduce { input: input()?, reducer, mode: mode(model.settings.as_ref())? }))
        }
        "resample" => {
            let window_ms = duration_ms(&model.window)
                .filter(|ms| *ms > 0)
                .ok_or_else(|| format!("failed to parse resample \"window\" duration field {:?}", model.window))?;
            let downsampler = match reducer(&model.downsampler)? {
                Reducer::Median | Reducer::Count => {
                    return Err(format!("downsampling {:?} not implemented", model.downsampler));
                }
                reducer => reducer,
            };
            let upsampler = match model.upsampler.as_str() {
                "pad" => Upsampler::Pad,
                "backfilling" => Upsampler::Backfilling,
                "fillna" => Upsampler::Fillna,
                other => return Err(format!("upsampling {other:?} not implemented")),
            };
            let resample = Resample { input: input()?, window_ms, downsampler, upsampler };
            Ok(Kind::Resample(resample, RangeOffsets::of(query)))
        }
        "threshold" => {
            let models: Vec<ThresholdModel> =
                serde_json::from_value(model.conditions.clone()).map_err(|error| error.to_string())?;
            let [condition, ..] = &models[..] else {
                return Err("threshold expression requires exactly one condition".to_owned());
            };
            let load = Evaluator::of(&condition.evaluator)?;
            let unload = condition.unload_evaluator.as_ref().map(Evaluator::of).transpose()?;
            Ok(Kind::Threshold(Threshold { input: input()?, load, unload }))
        }
        "math" => Math::new(&model.expression).map(Kind::Math).map_err(|error| error.to_string()),
        "classic_conditions" => ClassicConditions::new(&model.conditions).map(Kind::Classic),
        "sql" => Err("expressions of type 'sql' are not supported".to_owned()),
        other => Err(format!("'{other}' is not a recognized expression type")),
    }
}

fn reducer(name: &str) -> Result<Reducer, String> {
    Ok(match name {
        "sum" => Reducer::Sum,
        "mean" => Reducer::Mean,
        "min" => Reducer::Min,
        "max" => Reducer::Max,
        "count" => Reducer::Count,
        "last" => Reducer::Last,
        "median" => Reducer::Median,
        other => return Err(format!("reducer {other:?} not implemented")),
    })
}

fn mode(settings: Option<&Settings>) -> Result<ReduceMode, String> {
    let Some(settings) = settings else { return Ok(ReduceMode::Strict) };
    match settings.mode.as_str() {
        "" | "strict" => Ok(ReduceMode::Strict),
        "dropNN" => Ok(ReduceMode::Drop),
        "replaceNN" => settings
            .replace_with_value
            .map(ReduceMode::Replace)
            .ok_or_else(|| "setting replaceWithValue must be specified when mode is 'replaceNN'".to_owned()),
        other => Err(format!("reducer mode {other:?} is not supported. Supported only: [dropNN,replaceNN]")),
    }
}

/// `10s`, `1m30s`; also days, weeks and years, as Grafana has them.
fn duration_ms(text: &str) -> Option<i64> {
    parse_go_duration_ms(text).or_else(|| model::duration::parse_duration_ms(text).ok())
}

#[cfg(test)]
mod tests;
