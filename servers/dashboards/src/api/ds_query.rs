//! `POST /api/ds/query`: queries of several data sources, and expressions over them, as data frames.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Body, Routes, VIEWER};
use crate::app::Shared;
use crate::datasources::frames::{Form, frames};
use crate::datasources::query::{Asker, Query, duration_text, interval_ms};
use crate::datasources::{DataSource, SourceKind};
use crate::error::{ApiError, ApiResult};
use crate::time_range;

/// Most queries of a request.
const MAX_QUERIES: usize = 100;

pub(super) fn routes(routes: Routes) -> Routes {
    routes.post("/api/ds/query", VIEWER, query)
}

#[derive(Deserialize)]
struct Request {
    queries: Vec<Map<String, Value>>,
    #[serde(default)]
    from: Value,
    #[serde(default)]
    to: Value,
}

/// One query of a request, with its data source.
pub(crate) struct Asked {
    pub(crate) source: DataSource,
    pub(crate) query: Query,
    pub(crate) form: Form,
}

fn text<'a>(map: &'a Map<String, Value>, key: &str) -> &'a str {
    map.get(key).and_then(Value::as_str).unwrap_or("")
}

/// A time as it is sent: milliseconds, or `now-1h`.
fn time_of(value: &Value, default: &str, now_ms: i64, end: bool) -> Result<i64, ApiError> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) if !text.is_empty() => text.clone(),
        _ => default.to_owned(),
    };
    time_range::parse(&text, now_ms, end).ok_or_else(|| ApiError::bad_request(format!("{text:?} is no time")))
}

/// Reads a query's model. `range` is its time.
pub(crate) fn read_query(app: &Shared, model: &Map<String, Value>, range: (i64, i64)) -> Result<Asked, ApiError> {
    let reference = match model.get("datasource") {
        Some(Value::Object(object)) => text(object, "uid").to_owned(),
        Some(Value::String(name)) => name.clone(),
        _ => String::new(),
    };
    let by_id = model.get("datasourceId").and_then(Value::as_u64).and_then(|id| app.datasources.by_id(id));
    let source = by_id.filter(|_| reference.is_empty()).or_else(|| app.datasources.by_reference(&reference));
    let source = source.ok_or_else(|| ApiError::not_found(format!("Data source {reference:?} not found")))?;
    let ref_id = Some(text(model, "refId")).filter(|id| !id.is_empty()).unwrap_or("A").to_owned();
    let loki = source.source_kind() == SourceKind::Loki;
    let flag = |key: &str| model.get(key).and_then(Value::as_bool).unwrap_or(false);
    let instant = match text(model, "queryType") {
        "instant" => true,
        "range" => false,
        _ => flag("instant") && !flag("range"),
    };
    let wanted = model.get("intervalMs").and_then(Value::as_f64).map_or(15_000, |ms| ms as i64);
    let least = interval_ms(text(model, "interval")).max(interval_ms(text(model, "step")));
    let factor = model.get("intervalFactor").and_then(Value::as_i64).filter(|f| (1..=100).contains(f)).unwrap_or(1);
    let max_lines =
        model.get("maxLines").and_then(Value::as_u64).or_else(|| source.number("maxLines").map(|n| n as u64));
    let query = Query {
        expr: text(model, "expr").to_owned(),
        instant,
        from_ms: range.0,
        to_ms: range.1,
        step_ms: wanted.max(least).max(1) * factor,
        max_lines: max_lines.unwrap_or(1000).clamp(1, 100_000) as u32,
        forward: text(model, "direction") == "forward",
    };
    let form = Form {
        ref_id: ref_id.clone(),
        table: text(model, "format") == "table",
        legend: text(model, "legendFormat").to_owned(),
        step_ms: query.step_ms,
        executed: String::new(),
    };
    if query.expr.trim().is_empty() && (loki || source.source_kind() == SourceKind::Prometheus) {
        return Err(ApiError::bad_request(format!("query {ref_id}: expr is empty")));
    }
    Ok(Asked { source, query, form })
}

async fn query(State(app): State<Shared>, Body(request): Body<Request>) -> ApiResult {
    if request.queries.is_empty() {
        return Err(ApiError::bad_request("no queries found").id("query.noQueries"));
    }
    if request.queries.len() > MAX_QUERIES {
        return Err(ApiError::bad_request(format!("more than {MAX_QUERIES} queries")));
    }
    let now_ms = app.now_ms();
    let range = (time_of(&request.from, "now-1h", now_ms, false)?, time_of(&request.to, "now", now_ms, true)?);
    if range.0 > range.1 {
        return Err(ApiError::bad_request("from is after to"));
    }
    let expressions = request.queries.iter().any(crate::alerts::expressions::is_expression);
    let results: BTreeMap<String, Value> = if expressions {
        crate::alerts::expressions::evaluate_queries(&app, &request.queries, range).await?
    } else {
        let mut tasks = tokio::task::JoinSet::new();
        for model in request.queries {
            let app = app.clone();
            tasks.spawn(async move {
                let ref_id = Some(text(&model, "refId")).filter(|id| !id.is_empty()).unwrap_or("A").to_owned();
                (ref_id, answer(&app, &model, range).await)
            });
        }
        let mut results = BTreeMap::new();
        while let Some(done) = tasks.join_next().await {
            let (ref_id, result) = done.map_err(|e| ApiError::internal(e.to_string()))?;
            results.insert(ref_id, result);
        }
        results
    };
    let failed = results.values().filter(|result| result.get("error").is_some()).count();
    let status = match failed {
        0 => StatusCode::OK,
        _ if failed == results.len() => StatusCode::BAD_REQUEST,
        _ => StatusCode::MULTI_STATUS,
    };
    Ok((status, Json(json!({ "results": results }))).into_response())
}

async fn answer(app: &Shared, model: &Map<String, Value>, range: (i64, i64)) -> Value {
    match ask(app, model, range).await {
        Ok(frames) => json!({"status": 200, "frames": frames}),
        Err(error) => json!({
            "error": error.message, "errorSource": "downstream", "status": error.status.as_u16(), "frames": [],
        }),
    }
}

async fn ask(app: &Shared, model: &Map<String, Value>, range: (i64, i64)) -> Result<Vec<Value>, ApiError> {
    let asked = read_query(app, model, range)?;
    let timeout = Duration::from_millis(app.settings.dataproxy.timeout_ms as u64);
    app.metrics.datasource_requests.with(&[&asked.source.kind]).inc();
    let asker = Asker::new(&app.datasources, asked.source, timeout, app.settings.dataproxy.response_limit)?;
    let mut form = asked.form;
    form.executed = format!("Expr: {}\nStep: {}", asker.expanded(&asked.query), duration_text(asked.query.step_ms));
    // Both at once is asked for by some panels: the range says more.
    let answer = asker.ask(&asked.query).await?;
    Ok(frames(&answer, &form))
}
