//! Expressions outside of rules: over the queries of a request, as panels and rule editors ask for them.

use std::collections::BTreeMap;

use alerting::grafana::expr::Pipeline;
use alerting::grafana::{RelativeTimeRange, RuleQuery, Value as ExprValue};
use serde_json::{Map, Value, json};

use super::evaluate::ask;
use crate::app::Shared;
use crate::datasources::frames::{Form, frames};
use crate::datasources::query::{Answer, LabelMap, Series};
use crate::error::ApiError;

fn source_of(model: &Map<String, Value>) -> &str {
    match model.get("datasource") {
        Some(Value::Object(object)) => {
            let field = |name: &str| object.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
            field("uid").or_else(|| field("type")).unwrap_or("")
        }
        Some(Value::String(name)) => name,
        _ => model.get("datasourceUid").and_then(Value::as_str).unwrap_or(""),
    }
}

/// Whether a query of a request is an expression.
pub(crate) fn is_expression(model: &Map<String, Value>) -> bool {
    let query = RuleQuery { datasource_uid: source_of(model).to_owned(), ..RuleQuery::default() };
    query.is_expression() || model.get("datasourceId").and_then(Value::as_i64) == Some(-100)
}

/// Answers queries and expressions together, by ref id.
///
/// # Errors
/// When they cannot be put together.
pub(crate) async fn evaluate_queries(
    app: &Shared,
    models: &[Map<String, Value>],
    range: (i64, i64),
) -> Result<BTreeMap<String, Value>, ApiError> {
    let text = |model: &Map<String, Value>, key: &str| model.get(key).and_then(Value::as_str).unwrap_or("").to_owned();
    let queries: Vec<RuleQuery> = models
        .iter()
        .map(|model| RuleQuery {
            ref_id: text(model, "refId"),
            query_type: text(model, "queryType"),
            relative_time_range: RelativeTimeRange { from: (range.1 - range.0) / 1000, to: 0 },
            datasource_uid: if is_expression(model) { "__expr__".to_owned() } else { source_of(model).to_owned() },
            model: Value::Object(model.clone()),
        })
        .collect();
    let condition = queries.last().map(|query| query.ref_id.clone()).unwrap_or_default();
    let mut results = evaluate(app, &queries, &condition, range.1).await?;
    for model in models {
        if model.get("hide").and_then(Value::as_bool) == Some(true) {
            results.remove(&text(model, "refId"));
        }
    }
    Ok(results)
}

/// Answers the queries and expressions of a rule at a time.
///
/// # Errors
/// When they cannot be put together.
pub(crate) async fn evaluate(
    app: &Shared,
    queries: &[RuleQuery],
    condition: &str,
    now_ms: i64,
) -> Result<BTreeMap<String, Value>, ApiError> {
    let bad = |error: alerting::grafana::expr::PipelineError| ApiError::bad_request(error.to_string());
    let pipeline = Pipeline::new(queries, condition).map_err(bad)?;
    let answers = ask(app, queries, now_ms).await;
    let results = pipeline.run(&answers, now_ms, &Default::default());
    Ok(results
        .into_iter()
        .map(|(ref_id, result)| {
            let answer = match result {
                Ok(values) => json!({"status": 200, "frames": value_frames(&ref_id, values, now_ms)}),
                Err(error) => {
                    json!({"error": error.to_string(), "errorSource": "downstream", "status": 400, "frames": []})
                }
            };
            (ref_id, answer)
        })
        .collect())
}

fn value_frames(ref_id: &str, values: Vec<ExprValue>, now_ms: i64) -> Vec<Value> {
    let form = Form { ref_id: ref_id.to_owned(), ..Form::default() };
    let label_map = |labels: &model::Labels| -> LabelMap {
        labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    };
    // A missing value has no number of its own: not a number stands for it.
    let number = |value: Option<f64>| value.unwrap_or(f64::NAN);
    let mut out = Vec::new();
    for value in values {
        let answer = match value {
            ExprValue::NoData => continue,
            ExprValue::Scalar(value) => Answer::Scalar(now_ms, number(value)),
            ExprValue::Number(one) => Answer::Vector(vec![Series {
                labels: label_map(&one.labels),
                points: vec![(now_ms, number(one.value))],
            }]),
            ExprValue::Series(one) => Answer::Matrix(vec![Series {
                labels: label_map(&one.labels),
                points: one.points.iter().map(|point| (point.at_ms, number(point.value))).collect(),
            }]),
        };
        out.extend(frames(&answer, &form));
    }
    out
}
