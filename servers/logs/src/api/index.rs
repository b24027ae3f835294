//! What the index knows without reading lines: counts, volumes, shards.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use kit::config::ByteSize;
use logql::explore::{self, VolumeRequest};
use logql::params::{self, ParamError, Params as _};
use serde_json::json;

use super::answer::{Answer, ApiError, json, json_of};
use super::encode;
use super::labels::{checked, job, matchers};
use super::params::Params;
use crate::state::App;

/// Streams, chunks, bytes and entries that a selector finds.
pub(super) async fn stats(State(app): State<Arc<App>>, request: Request) -> Answer {
    let (headers, params) = Params::read(request).await?;
    let scope = app.scope(&headers).await?;
    let (start, end) = params::bounds(&params, crate::now_ns())?;
    let (start, end) = checked(start, end, &scope)?;
    let found = matchers(params.get("query"), false)?;
    let job = job(&scope, &params, &headers, "stats");
    let (stats, _) = app.queries.run(job, move |source, _| explore::index_stats(source, &found, start, end)).await?;
    Ok(json_of(&json!({
        "streams": stats.streams, "chunks": stats.chunks, "bytes": stats.bytes, "entries": stats.entries,
    })))
}

/// Bytes by series.
pub(super) async fn volume(State(app): State<Arc<App>>, request: Request) -> Answer {
    volumes(&app, request, false).await
}

/// Bytes by series and interval.
pub(super) async fn volume_range(State(app): State<Arc<App>>, request: Request) -> Answer {
    volumes(&app, request, true).await
}

async fn volumes(app: &App, request: Request, range: bool) -> Answer {
    let (headers, params) = Params::read(request).await?;
    let scope = app.scope(&headers).await?;
    if !scope.limits.volume_enabled {
        return Err(ApiError::new(StatusCode::NOT_FOUND, "not found"));
    }
    let limit = params::volume_limit(&params)?;
    let aggregate_by = params::aggregate_by(&params)?;
    let (start, end) = params::bounds(&params, crate::now_ns())?;
    if end < start {
        return Err(ParamError::EndBeforeStart.into());
    }
    let step_ns = if range { Some(params::step(&params, start, end)?) } else { None };
    let (start_ns, end_ns) = checked(start, end, &scope)?;
    let text = params.get("query");
    let target_labels = params.get("targetLabels").split(',').filter(|name| !name.is_empty());
    let most = scope.limits.volume_max_series;
    let request = VolumeRequest {
        matchers: matchers(text, !text.is_empty())?,
        start_ns,
        end_ns,
        step_ns,
        target_labels: target_labels.map(str::to_owned).collect(),
        aggregate_by,
        limit: if most > 0 { limit.min(most) } else { limit },
    };
    let job = job(&scope, &params, &headers, "volume");
    let (series, timing) =
        app.queries.run(job, move |source, context| explore::volumes(source, &request, context)).await?;
    let value = explore::volume_value(series);
    Ok(json(encode::query(&value, &logql::Stats::default(), timing, &[], false, None)))
}

/// How a query could be divided; one part, for there is one server.
pub(super) async fn shards(State(app): State<Arc<App>>, request: Request) -> Answer {
    let (headers, params) = Params::read(request).await?;
    let scope = app.scope(&headers).await?;
    let (start, end) = params::bounds(&params, crate::now_ns())?;
    let (start, end) = checked(start, end, &scope)?;
    match ByteSize::parse(params.get("targetBytesPerShard")) {
        Ok(size) if size.0 > 0 => {}
        _ => return Err(ApiError::bad("targetBytesPerShard must be a positive value")),
    }
    let found = match logql::parse(params.get("query"), Default::default())?.selectors().first() {
        Some(selector) => selector.matchers.clone(),
        None => return Err(ApiError::bad("the query selects no streams")),
    };
    let job = job(&scope, &params, &headers, "shards");
    let (stats, timing) =
        app.queries.run(job, move |source, _| explore::index_stats(source, &found, start, end)).await?;
    Ok(json_of(&json!({
        "shards": [{
            "bounds": {"min": 0, "max": u64::MAX},
            "stats": {"streams": stats.streams, "chunks": stats.chunks, "bytes": stats.bytes, "entries": stats.entries},
        }],
        "statistics": encode::statistics(&logql::Stats::default(), timing),
    })))
}
