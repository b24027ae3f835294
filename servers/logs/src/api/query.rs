//! Queries of entries and numbers: `query`, `query_range`, the old `/api/prom/query`, formatting and explaining.

use std::ops::ControlFlow;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response, StatusCode};
use logql::ast::Expr;
use logql::params::{self, Params as _};
use logql::{
    Cursor, LogParams, LogResult, ParseOptions, QueryContext, QueryError, QueryOutput, Request as QueryRequest, Stats,
    StreamEntries, Time, Value,
};
use model::LogSource;
use serde_json::json;

use super::answer::{Answer, ApiError, header_text, json, json_of};
use super::params::Params;
use super::{checks, encode};
use crate::queries::{Job, Queries, Timing};
use crate::state::{App, Scope};

/// Options for parsing the queries of a request: what the peer does not have is understood when it is asked for.
pub(super) fn parse_options(params: &Params) -> ParseOptions {
    ParseOptions { extensions: matches!(params.get("extensions"), "true" | "1"), ..ParseOptions::default() }
}

/// Whether the parts of labels are wanted apart.
pub(super) fn categorizes(headers: &HeaderMap) -> bool {
    header_text(headers, "x-loki-response-encoding-flags").split(',').any(|flag| flag.trim() == "categorize-labels")
}

/// A query that was read and may run.
pub(super) struct Prepared {
    pub(super) scope: Scope,
    pub(super) expr: Expr,
    pub(super) request: QueryRequest,
    pub(super) job: Job,
}

/// Reads and checks a query; `None`: it lies altogether before what the tenant may look at.
pub(super) async fn prepare(
    app: &App,
    headers: &HeaderMap,
    params: &Params,
    request: QueryRequest,
) -> Result<Option<Prepared>, ApiError> {
    let mut request = request;
    let scope = app.scope(headers).await?;
    let text = params.get("query");
    let expr = logql::parse(text, parse_options(params))?;
    params::check(&expr, &request, &scope.limits.request)?;
    let tags = checks::tags(headers);
    checks::admit(text, &expr, &tags, &scope.limits)?;
    if matches!(request.time, Time::Instant(_)) && matches!(expr, Expr::Log(_)) {
        return Err(QueryError::InstantLog.into());
    }
    let Some(time) = checks::clamp(request.time, &scope.limits, crate::now_ns()) else { return Ok(None) };
    request.time = time;
    let range = if matches!(time, Time::Instant(_)) { "instant" } else { "range" };
    let job = job(&scope, text, checks::kind(&expr), range, tags);
    Ok(Some(Prepared { scope, expr, request, job }))
}

/// A job for the runner of queries.
pub(super) fn job(scope: &Scope, query: &str, kind: &'static str, range: &'static str, tags: String) -> Job {
    Job {
        tenancy: scope.tenancy.clone(),
        tenant: scope.id.clone(),
        limits: scope.limits.clone(),
        query: query.to_owned(),
        kind,
        range,
        tags,
        timeout: scope.limits.query_timeout,
    }
}

async fn evaluate(app: &App, prepared: Prepared) -> Result<(QueryOutput, Timing), ApiError> {
    let Prepared { expr, request, job, scope } = prepared;
    let engine = Queries::engine(&scope.limits);
    Ok(app.queries.run(job, move |source, context| engine.query(source, &expr, &request, context)).await?)
}

fn empty(expr: &str, time: Time) -> Value {
    let is_log =
        matches!(logql::parse(expr, ParseOptions { extensions: true, ..ParseOptions::default() }), Ok(Expr::Log(_)));
    match (is_log, time) {
        (true, _) => Value::Streams(LogResult::default()),
        (false, Time::Instant(_)) => Value::Vector(Vec::new()),
        (false, Time::Range { .. }) => Value::Matrix(Vec::new()),
    }
}

/// Numbers at one moment.
pub(super) async fn instant(State(app): State<Arc<App>>, request: Request) -> Answer {
    let (headers, params) = Params::read(request).await?;
    let request = params::instant_request(&params, crate::now_ns())?;
    answer(&app, &headers, &params, request).await
}

/// Entries, or numbers at steps.
pub(super) async fn range(State(app): State<Arc<App>>, request: Request) -> Answer {
    let (headers, params) = Params::read(request).await?;
    let mut request = params::range_request(&params, crate::now_ns())?;
    request.categorize = categorizes(&headers);
    if params.has("cursor") {
        return page(&app, &headers, &params, request).await;
    }
    answer(&app, &headers, &params, request).await
}

async fn answer(app: &App, headers: &HeaderMap, params: &Params, request: QueryRequest) -> Answer {
    let categorize = categorizes(headers);
    let time = request.time;
    let Some(prepared) = prepare(app, headers, params, request).await? else {
        let value = empty(params.get("query"), time);
        return Ok(json(encode::query(&value, &Stats::default(), Timing::default(), &[], categorize, None)));
    };
    let (output, timing) = evaluate(app, prepared).await?;
    Ok(json(encode::query(&output.value, &output.stats, timing, &output.warnings, categorize, None)))
}

/// One page of entries: `cursor` is empty for the first one, and what the answer before said for the others. Beyond the peer's
/// API.
async fn page(app: &App, headers: &HeaderMap, params: &Params, request: QueryRequest) -> Answer {
    let categorize = request.categorize;
    let after = parse_cursor(params.get("cursor"))?;
    let Some(prepared) = prepare(app, headers, params, request).await? else {
        let value = Value::Streams(LogResult::default());
        return Ok(json(encode::query(&value, &Stats::default(), Timing::default(), &[], categorize, Some(""))));
    };
    let Prepared { expr, request, job, .. } = prepared;
    let Expr::Log(log) = expr else { return Err(ApiError::bad("only queries of entries have pages")) };
    let Time::Range { start_ns, end_ns, .. } = request.time else { return Err(QueryError::InstantLog.into()) };
    let log_params = LogParams {
        start_ns,
        end_ns,
        direction: request.direction,
        limit: request.limit,
        interval_ns: request.interval_ns,
        categorize: request.categorize,
        after,
    };
    let ((result, (stats, warnings)), timing) =
        app.queries.run(job, move |source, context| read_page(source, &log, &log_params, context)).await?;
    let next = result.next.map_or_else(String::new, |cursor| format!("{}_{}", cursor.timestamp_ns, cursor.count));
    let value = Value::Streams(result);
    Ok(json(encode::query(&value, &stats, timing, &warnings, categorize, Some(&next))))
}

type Page = (LogResult, (Stats, Vec<String>));

fn read_page(
    source: &dyn LogSource,
    log: &logql::ast::LogExpr,
    params: &LogParams,
    context: &QueryContext<'_>,
) -> Result<Page, QueryError> {
    let mut streams: Vec<StreamEntries> = Vec::new();
    let mut index = std::collections::HashMap::new();
    let (mut count, mut next) = (0, None);
    let (mut stats, warnings) = logql::for_each_entry(source, log, params, context, |entry, cursor| {
        let labels = match &entry.labels.categories {
            Some(categories) => &categories.stream,
            None => &entry.labels.all,
        };
        let at = *index.entry(labels.clone()).or_insert_with(|| {
            streams.push(StreamEntries { labels: labels.clone(), entries: Vec::new() });
            streams.len() - 1
        });
        streams[at].entries.push(entry);
        count += 1;
        if count < params.limit {
            return ControlFlow::Continue(());
        }
        next = Some(cursor);
        ControlFlow::Break(())
    })?;
    stats.entries_returned = count as u64;
    streams.sort_by_cached_key(|stream| stream.labels.to_string());
    Ok((LogResult { streams, next }, (stats, warnings)))
}

/// A cursor as an answer gave it; empty: the beginning.
pub(super) fn parse_cursor(text: &str) -> Result<Option<Cursor>, ApiError> {
    if text.is_empty() {
        return Ok(None);
    }
    let parsed = text
        .split_once('_')
        .and_then(|(at, count)| Some(Cursor { timestamp_ns: at.parse().ok()?, count: count.parse().ok()? }));
    parsed.map(Some).ok_or_else(|| ApiError::bad(format!("cursor {text:?} is none that this server gave")))
}

/// Entries in the form of the first API.
pub(super) async fn legacy(State(app): State<Arc<App>>, request: Request) -> Answer {
    let (headers, params) = Params::read(request).await?;
    let request = params::range_request(&params, crate::now_ns())?;
    let only_streams = || ApiError::bad("legacy endpoints only support streams result type, current type is metrics");
    let Some(prepared) = prepare(&app, &headers, &params, request).await? else {
        return Ok(json(encode::legacy(&LogResult::default(), &Stats::default(), Timing::default())));
    };
    if matches!(prepared.expr, Expr::Metric(_)) {
        return Err(only_streams());
    }
    let (output, timing) = evaluate(&app, prepared).await?;
    let Value::Streams(found) = &output.value else { return Err(only_streams()) };
    Ok(json(encode::legacy(found, &output.stats, timing)))
}

/// A query in its usual form.
pub(super) async fn format(State(_): State<Arc<App>>, request: Request) -> Answer {
    let (_, params) = Params::read(request).await?;
    match logql::format_query(params.get("query"), parse_options(&params)) {
        Ok(text) => Ok(json_of(&json!({"status": "success", "data": text}))),
        Err(error) => {
            let mut response: Response<Body> = json_of(&json!({"status": "invalid-query", "error": error.to_string()}));
            *response.status_mut() = StatusCode::BAD_REQUEST;
            Ok(response)
        }
    }
}
