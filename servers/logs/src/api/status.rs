//! What the server says of itself: readiness, versions, configuration, metrics, and the pages of rings that a single server
//! does not have.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, Response, StatusCode, header};
use axum::response::IntoResponse;
use kit::http::text;
use kit::yaml;
use logql::params::Params as _;
use serde_json::json;

use super::answer::{Answer, ApiError, header_text, json_of, no_content};
use super::params::Params;
use crate::config::Config;
use crate::state::App;

/// The peer's version that this server's API and configuration are those of.
pub(crate) const PEER_VERSION: &str = "3.8.0";

/// Parts of the peer that run in this process.
const SERVICES: [&str; 11] = [
    "analytics",
    "compactor",
    "distributor",
    "ingester",
    "querier",
    "query-frontend",
    "query-scheduler",
    "ring",
    "ruler",
    "server",
    "store",
];

/// Whether requests are answered already, and still.
pub(super) async fn ready(State(app): State<Arc<App>>) -> Response<Body> {
    if app.stop.is_triggered() {
        text(StatusCode::SERVICE_UNAVAILABLE, "Application is stopping\n")
    } else if app.is_ready.load(Ordering::Acquire) {
        text(StatusCode::OK, "ready\n")
    } else {
        text(StatusCode::SERVICE_UNAVAILABLE, "Ingester not ready: the stores are being opened\n")
    }
}

/// Self-metrics in the format the scraper asks for.
pub(super) async fn metrics(State(app): State<Arc<App>>, request: Request) -> Response<Body> {
    let (content_type, body) = kit::metrics::scrape_page(&app.registry, header_text(request.headers(), "accept"));
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// The configuration in force, what differs from the defaults, or the defaults.
pub(super) async fn config(State(app): State<Arc<App>>, request: Request) -> Answer {
    let (_, params) = Params::read(request).await?;
    let tree = match params.get("mode") {
        "diff" => app.config.difference(),
        "defaults" => Config::defaults(),
        _ => app.config.effective(),
    };
    Ok(yaml_answer(yaml::emit(&tree)))
}

/// Overrides of single tenants.
pub(super) async fn runtime_config(State(app): State<Arc<App>>) -> Response<Body> {
    let overrides = app.tenants.overrides();
    yaml_answer(overrides.tree.as_ref().map_or_else(|| "overrides: {}\n".to_owned(), yaml::emit))
}

fn yaml_answer(body: String) -> Response<Body> {
    let mut response = text(StatusCode::OK, body);
    let kind = HeaderValue::from_static("application/yaml; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// Limits of a tenant that clients adapt to.
pub(super) async fn drilldown_limits(State(app): State<Arc<App>>, request: Request) -> Answer {
    let tenant = app.tenants.one_named(request.headers())?;
    let limits = app.tenants.limits(&tenant);
    let duration = |ns: i64| kit::config::GoDuration(ns).to_string();
    let streams: Vec<_> = limits
        .retention_streams
        .iter()
        .map(|rule| json!({"period": duration(rule.period_ns), "priority": rule.priority}))
        .collect();
    Ok(json_of(&json!({
        "limits": {
            "discover_log_levels": limits.discover_log_levels,
            "discover_service_name": limits.discover_service_name,
            "log_level_fields": limits.log_level_fields,
            "max_entries_limit_per_query": limits.request.max_entries,
            "max_line_size_truncate": limits.max_line_size_truncate,
            "max_query_bytes_read": limits.max_query_bytes_read,
            "max_query_length": duration(limits.request.max_length_ns),
            "max_query_lookback": duration(limits.max_query_lookback_ns),
            "max_query_range": duration(limits.max_query_range_ns),
            "max_query_series": limits.max_query_series,
            "query_timeout": duration(i64::try_from(limits.query_timeout.as_nanos()).unwrap_or(i64::MAX)),
            "retention_period": duration(limits.retention_period_ns),
            "retention_stream": streams,
            "volume_enabled": limits.volume_enabled,
            "volume_max_series": limits.volume_max_series,
        },
        "pattern_ingester_enabled": app.config.patterns_enabled,
        "version": PEER_VERSION,
        "maxDetectedFields": 1000,
        "maxDetectedValues": 1000,
    })))
}

/// The build.
pub(super) async fn build_info() -> Response<Body> {
    json_of(&json!({
        "version": PEER_VERSION,
        "revision": format!("foursight-{}", env!("CARGO_PKG_VERSION")),
        "branch": "HEAD",
        "buildUser": "foursight",
        "buildDate": "",
        "goVersion": "",
    }))
}

/// The parts that run.
pub(super) async fn services() -> Response<Body> {
    text(StatusCode::OK, SERVICES.map(|name| format!("{name} => Running\n")).concat())
}

/// Shows or sets how much the server logs.
pub(super) async fn log_level(State(app): State<Arc<App>>, request: Request) -> Answer {
    let is_post = request.method() == Method::POST;
    let (_, params) = Params::read(request).await?;
    let Some(log) = &app.log else {
        return Err(ApiError::new(StatusCode::NOT_FOUND, "the log belongs to the process that runs this server"));
    };
    if !is_post {
        return Ok(json_of(&json!({"message": format!("Current log level is {}", log.level().as_str())})));
    }
    let wanted = params.get("log_level");
    match wanted.parse::<kit::log::Level>() {
        Ok(level) => {
            log.set_level(level);
            Ok(json_of(&json!({"status": "success", "message": format!("Log level set to {}", level.as_str())})))
        }
        Err(_) => {
            let mut response = json_of(&json!({
                "message": format!("unrecognized level {wanted:?}"), "status": "failed",
            }));
            *response.status_mut() = StatusCode::BAD_REQUEST;
            Ok(response)
        }
    }
}

/// Writes what is in memory of all tenants into segments.
pub(super) async fn flush(State(app): State<Arc<App>>) -> Answer {
    flush_all(app.tenants.opened()).await
}

/// The same for one tenant.
pub(super) async fn flush_tenant(State(app): State<Arc<App>>, request: Request) -> Answer {
    let tenant = app.tenants.one_named(request.headers())?;
    flush_all(app.tenants.find(&tenant).await?.into_iter().collect()).await
}

async fn flush_all(tenants: Vec<Arc<crate::tenants::Tenant>>) -> Answer {
    let failed = |e: String| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, e);
    for tenant in tenants {
        let flushed = tokio::task::spawn_blocking(move || tenant.db.flush()).await;
        flushed.map_err(|e| failed(e.to_string()))?.map_err(|e| failed(e.to_string()))?;
    }
    Ok(no_content())
}

/// Asks that everything is written out when the server stops, shows whether that is so, or takes it back.
pub(super) async fn prepare_shutdown(State(app): State<Arc<App>>, request: Request) -> Response<Body> {
    match *request.method() {
        Method::GET => text(StatusCode::OK, if app.flush_at_end.load(Ordering::Relaxed) { "set" } else { "unset" }),
        _ => {
            app.flush_at_end.store(request.method() == Method::POST, Ordering::Relaxed);
            no_content()
        }
    }
}

/// Writes everything out and stops the server.
pub(super) async fn shutdown(State(app): State<Arc<App>>, request: Request) -> Answer {
    let (_, params) = Params::read(request).await?;
    if app.stop.is_triggered() {
        return Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "Ingester is stopping or already stopped."));
    }
    if params.get("flush") != "false" {
        flush_all(app.tenants.opened()).await?;
    }
    if params.get("terminate") != "false" {
        app.stop.trigger();
    }
    Ok(no_content())
}

/// A page in place of a ring's: one instance, active.
pub(super) async fn ring(State(app): State<Arc<App>>, request: Request) -> Response<Body> {
    let name = request.uri().path().trim_matches('/').split('/').next().unwrap_or("ring");
    let title = if name == "ring" { "Ring".to_owned() } else { format!("{name} ring") };
    let since = kit::time::Rfc3339(app.started_ms);
    let host = crate::hostname();
    if header_text(request.headers(), "accept").contains("application/json") {
        return json_of(&json!({
            "shards": [{"id": host, "state": "ACTIVE", "address": "127.0.0.1", "timestamp": since.to_string(), "tokens": [0]}],
            "now": kit::time::Rfc3339(kit::time::now_ms()).to_string(),
        }));
    }
    page(&format!(
        "<title>{title}</title><h1>{title}</h1><p>One instance, no ring: all parts run in this process.</p>\
         <table border=1><tr><th>Instance ID</th><th>State</th><th>Since</th></tr>\
         <tr><td>{host}</td><td>ACTIVE</td><td>{since}</td></tr></table>"
    ))
}

/// A page with links to the others.
pub(super) async fn index() -> Response<Body> {
    let links = ["ready", "metrics", "config", "runtime_config", "services", "ring", "loki/api/v1/status/buildinfo"];
    let items = links.map(|link| format!("<li><a href=\"/{link}\">{link}</a></li>")).concat();
    page(&format!("<title>Foursight logs</title><h1>Foursight logs</h1><ul>{items}</ul>"))
}

fn page(body: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(format!(
        "<!DOCTYPE html><html><head><meta charset=\"UTF-8\"></head><body>{body}</body></html>\n"
    )));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    response
}

/// The number that caches of results depend on; there are none.
pub(super) async fn cache_generation(State(app): State<Arc<App>>, request: Request) -> Answer {
    app.tenants.one_named(request.headers())?;
    if *request.method() == Method::POST {
        return Ok(no_content());
    }
    Ok(json_of(&json!("")))
}

/// Anything that has no route.
pub(super) async fn not_found() -> Response<Body> {
    text(StatusCode::NOT_FOUND, "404 page not found\n").into_response()
}
