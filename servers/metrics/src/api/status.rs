//! Status: configuration, flags, build, run time, the store, self-metrics.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use model::index::Count;
use serde_json::json;

use super::answer::{ApiError, ErrorType, success_of};
use super::params::Params;
use crate::remote_read::Frames;
use crate::state::App;

type Answer = Result<Response<Body>, ApiError>;

/// Version of this server; the API it speaks is that of Prometheus [`COMPATIBLE`].
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The Prometheus version whose API this is: clients look at it to decide what they may ask.
pub(super) const COMPATIBLE: &str = "3.14.0";

pub(super) async fn config(State(app): State<Arc<App>>) -> Answer {
    Ok(success_of(&json!({"yaml": app.config.load().to_yaml()})))
}

pub(super) async fn flags(State(app): State<Arc<App>>) -> Answer {
    Ok(success_of(&app.flags))
}

pub(super) async fn build() -> Answer {
    Ok(success_of(&json!({
        "version": COMPATIBLE,
        "revision": format!("foursight-{VERSION}"),
        "branch": "HEAD",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
    })))
}

pub(super) async fn notifications(State(app): State<Arc<App>>) -> Answer {
    Ok(success_of(&app.notices.list()))
}

/// Notices as server-sent events; 204 tells a page that there are too many listeners.
pub(super) async fn live_notifications(State(app): State<Arc<App>>) -> Response<Body> {
    let events = if app.stop.is_triggered() { None } else { app.notices.listen() };
    let Some(events) = events else { return StatusCode::NO_CONTENT.into_response() };
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-cache")];
    (headers, Body::new(Frames(events))).into_response()
}

pub(super) async fn version() -> impl IntoResponse {
    format!("foursight, version {VERSION} (API of Prometheus {COMPATIBLE})\n")
}

pub(super) async fn runtime(State(app): State<Arc<App>>) -> Answer {
    let (ok, last_ms) = app.reloads.last();
    Ok(success_of(&json!({
        "startTime": kit::time::Rfc3339(app.started_ms).to_string(),
        "CWD": app.cwd.display().to_string(),
        "hostname": crate::hostname(),
        "serverTime": kit::time::Rfc3339(kit::time::now_ms()).to_string(),
        "reloadConfigSuccess": ok,
        "lastConfigTime": kit::time::Rfc3339(last_ms).to_string(),
        "corruptionCount": app.db.damage().len(),
        "goroutineCount": 0,
        "GOMAXPROCS": std::thread::available_parallelism().map_or(1, usize::from),
        "GOMEMLIMIT": 0,
        "GOGC": "",
        "GODEBUG": "",
        "storageRetention": app.retention_text.load().as_str(),
    })))
}

pub(super) async fn tsdb(State(app): State<Arc<App>>, request: Request) -> Answer {
    app.ready()?;
    let params = Params::read(request).await?;
    let limit = match params.get("limit") {
        "" => 10,
        text => text
            .parse::<usize>()
            .ok()
            .filter(|n| (1..=10_000).contains(n))
            .ok_or_else(|| ApiError::bad_data("limit must be a positive number between 1 and 10000"))?,
    };
    let worker = app.clone();
    let report = tokio::task::spawn_blocking(move || worker.db.cardinality(limit))
        .await
        .map_err(|e| ApiError::new(ErrorType::Internal, e.to_string()))?
        .map_err(|e| ApiError::new(ErrorType::Internal, e.to_string()))?;
    let stats = app.db.stats();
    let (min, max) = stats.head_range_ms.unwrap_or((i64::MAX, i64::MIN));
    let rows =
        |rows: &[Count]| rows.iter().map(|row| json!({"name": row.name, "value": row.count})).collect::<Vec<_>>();
    Ok(success_of(&json!({
        "headStats": {
            "numSeries": stats.head_series,
            "numLabelPairs": report.pairs,
            "chunkCount": app.db.head_usage().chunks,
            "minTime": min,
            "maxTime": max,
        },
        "seriesCountByMetricName": rows(&report.series_by_metric),
        "labelValueCountByLabelName": rows(&report.values_by_name),
        "memoryInBytesByLabelName": rows(&report.bytes_by_name),
        "seriesCountByLabelValuePair": rows(&report.series_by_pair),
    })))
}

pub(super) async fn blocks(State(app): State<Arc<App>>) -> Answer {
    let blocks: Vec<_> = app
        .db
        .blocks()
        .iter()
        .map(|meta| {
            json!({
                "ulid": meta.ulid.to_string(),
                "minTime": meta.min_time,
                "maxTime": meta.max_time,
                "stats": {"numSamples": meta.stats.num_samples, "numSeries": meta.stats.num_series, "numChunks": meta.stats.num_chunks},
                "compaction": {"level": meta.compaction.level, "sources": meta.compaction.sources.iter().map(ToString::to_string).collect::<Vec<_>>()},
                "version": 1,
            })
        })
        .collect();
    Ok(success_of(&json!({"blocks": blocks})))
}

pub(super) async fn replay(State(app): State<Arc<App>>) -> Answer {
    let (done, total) = app.db.stats().replaying.unwrap_or((0, 0));
    Ok(success_of(&json!({"min": 0, "max": total, "current": done})))
}

pub(super) async fn metrics(State(app): State<Arc<App>>, headers: HeaderMap) -> Response<Body> {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("");
    let (content_type, body) = kit::metrics::scrape_page(&app.registry, accept);
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

pub(super) async fn self_metrics(State(app): State<Arc<App>>) -> Answer {
    let families: Vec<_> = app
        .registry
        .gather()
        .iter()
        .map(|family| {
            let metrics: Vec<_> = family
                .metrics
                .iter()
                .map(|metric| {
                    let labels: serde_json::Map<String, serde_json::Value> =
                        metric.labels.iter().map(|(name, value)| (name.to_string(), value.as_ref().into())).collect();
                    let value = match &metric.value {
                        kit::metrics::MetricValue::Single(value) => json!({"value": value.to_string()}),
                        other => json!({"value": format!("{other:?}")}),
                    };
                    json!({"labels": labels, "value": value["value"]})
                })
                .collect();
            json!({"name": family.name, "help": family.help, "type": family.kind.as_str().to_uppercase(), "metrics": metrics})
        })
        .collect();
    Ok(success_of(&families))
}

pub(super) async fn features(State(app): State<Arc<App>>) -> Answer {
    let parser = app.queries.engine().options().parser;
    Ok(success_of(&json!({
        "api": {
            "admin": app.allow.admin,
            "exclude_alerts": true,
            "label_values_match": true,
            "lifecycle": app.allow.lifecycle,
            "otlp_write_receiver": app.allow.otlp,
            "query_stats": true,
            "remote_write_receiver": app.allow.remote_write,
        },
        "promql": {
            "anchored": parser.extended_range_selectors,
            "fill_modifiers": parser.fill_modifiers,
            "experimental_functions": parser.experimental_functions,
            "at_modifier": true,
            "bool": true,
            "negative_offset": true,
            "subqueries": true,
            "duration_expr": true,
        },
        "promql_functions": promql::FUNCTIONS.iter().map(|function| (function.name, !function.experimental || parser.experimental_functions)).collect::<std::collections::BTreeMap<_, _>>(),
    })))
}
