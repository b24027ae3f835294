//! Names and values of labels, and label sets of streams.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use logql::ParseOptions;
use logql::params::{self, Params as _};
use model::{LabelQuery, Matcher};

use super::answer::{Answer, ApiError, json, json_of};
use super::params::Params;
use super::{checks, encode};
use crate::queries::Job;
use crate::state::{App, Scope};

/// How far back label queries look when nothing says it: six hours.
const DEFAULT_SINCE_NS: i64 = 6 * 3_600_000_000_000;

/// The time range of a query of labels in ns.
pub(super) fn bounds(params: &Params, scope: &Scope) -> Result<(i64, i64), ApiError> {
    let now_ns = crate::now_ns();
    let (start, end) = if params.get("start").is_empty() && params.get("since").is_empty() {
        let (_, end) = params::bounds(params, now_ns)?;
        (end.min(now_ns).saturating_sub(DEFAULT_SINCE_NS), end)
    } else {
        params::bounds(params, now_ns)?
    };
    checked(start, end, scope)
}

/// A time range that the tenant may look at.
pub(super) fn checked(start: i64, end: i64, scope: &Scope) -> Result<(i64, i64), ApiError> {
    params::check_length(start, end, &scope.limits.request)?;
    let lookback = scope.limits.max_query_lookback_ns;
    let oldest = if lookback > 0 { crate::now_ns().saturating_sub(lookback) } else { i64::MIN };
    Ok((start.max(oldest), end))
}

/// The matchers of a selector; with `any` the empty text and `{}` stand for every stream.
pub(super) fn matchers(text: &str, any: bool) -> Result<Vec<Matcher>, ApiError> {
    if any && matches!(text.replace(' ', "").as_str(), "" | "{}") {
        return Ok(Vec::new());
    }
    Ok(logql::parse_matchers(text, ParseOptions::default())?)
}

/// A query of labels; times are whole milliseconds.
pub(super) fn label_query(selectors: Vec<Vec<Matcher>>, (start_ns, end_ns): (i64, i64)) -> LabelQuery {
    LabelQuery { selectors, start_ms: start_ns.div_euclid(1_000_000), end_ms: end_ns.div_euclid(1_000_000), limit: 0 }
}

pub(super) fn job(scope: &Scope, params: &Params, headers: &axum::http::HeaderMap, kind: &'static str) -> Job {
    super::query::job(scope, params.get("query"), kind, "range", checks::tags(headers))
}

fn by_query(params: &Params) -> Result<Vec<Vec<Matcher>>, ApiError> {
    match params.get("query") {
        "" => Ok(Vec::new()),
        text => Ok(vec![matchers(text, false)?]),
    }
}

/// A list as an answer; an empty one is left out.
fn list(values: Vec<String>) -> axum::http::Response<axum::body::Body> {
    let mut out = Vec::with_capacity(64 + values.len() * 16);
    out.extend_from_slice(b"{\"status\":\"success\"");
    for (index, value) in values.iter().enumerate() {
        out.extend_from_slice(if index == 0 { b",\"data\":[" } else { b"," });
        encode::string(&mut out, value);
    }
    out.extend_from_slice(if values.is_empty() { b"}\n" } else { b"]}\n" });
    json(out)
}

/// Names of labels.
pub(super) async fn names(State(app): State<Arc<App>>, request: Request) -> Answer {
    let (headers, params) = Params::read(request).await?;
    let scope = app.scope(&headers).await?;
    let query = label_query(by_query(&params)?, bounds(&params, &scope)?);
    let job = job(&scope, &params, &headers, "labels");
    let (names, _) = app.queries.run(job, move |source, _| Ok(source.label_names(&query)?)).await?;
    Ok(list(names))
}

/// Values of one label.
pub(super) async fn values(State(app): State<Arc<App>>, Path(name): Path<String>, request: Request) -> Answer {
    let (headers, params) = Params::read(request).await?;
    let scope = app.scope(&headers).await?;
    let query = label_query(by_query(&params)?, bounds(&params, &scope)?);
    let job = job(&scope, &params, &headers, "labels");
    let (values, _) = app.queries.run(job, move |source, _| Ok(source.label_values(&name, &query)?)).await?;
    Ok(list(values))
}

/// Label sets of streams.
pub(super) async fn series(State(app): State<Arc<App>>, request: Request) -> Answer {
    let (headers, params) = Params::read(request).await?;
    let scope = app.scope(&headers).await?;
    let mut selectors = Vec::new();
    for text in params.all("match[]").chain(params.all("match")) {
        let found = matchers(text, true)?;
        if found.is_empty() {
            selectors.clear();
            break;
        }
        selectors.push(found);
    }
    let query = label_query(selectors, bounds(&params, &scope)?);
    let job = job(&scope, &params, &headers, "series");
    let (series, _) = app.queries.run(job, move |source, _| Ok(source.series(&query)?)).await?;
    let mut out = Vec::with_capacity(64 + series.len() * 96);
    out.extend_from_slice(b"{\"status\":\"success\",\"data\":[");
    for (index, labels) in series.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        encode::object(&mut out, labels.iter());
    }
    out.extend_from_slice(b"]}\n");
    Ok(json(out))
}

/// Labels with the number of their values.
pub(super) async fn detected(State(app): State<Arc<App>>, request: Request) -> Answer {
    let (headers, params) = Params::read(request).await?;
    let scope = app.scope(&headers).await?;
    let (start, end) = params::bounds(&params, crate::now_ns())?;
    if end < start {
        return Err(params::ParamError::EndBeforeStart.into());
    }
    let query = label_query(by_query(&params)?, checked(start, end, &scope)?);
    let job = job(&scope, &params, &headers, "labels");
    let (found, _) =
        app.queries.run(job, move |source, _| Ok(logql::explore::detected_labels(source, &query)?)).await?;
    let list: Vec<serde_json::Value> =
        found.iter().map(|one| serde_json::json!({"label": one.label, "cardinality": one.cardinality})).collect();
    Ok(json_of(&if list.is_empty() { serde_json::json!({}) } else { serde_json::json!({"detectedLabels": list}) }))
}
