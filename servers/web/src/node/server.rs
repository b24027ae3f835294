//! The exporter as a server: `/metrics`, a landing page, its own metrics.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use axum::response::Html;
use axum::routing::get;
use kit::Shutdown;
use kit::http::{ServeOptions, text};
use kit::metrics::{Counter, Gauge, Registry, Vector};
use tokio::sync::Semaphore;
use wire::exposition::Format;

use super::{COLLECTORS, Collector, NodeFlags};
use crate::RunError;

struct Exporter {
    collector: Arc<Collector>,
    registry: Registry,
    exporter_metrics: bool,
    max_requests: usize,
    running: Semaphore,
    in_flight: Gauge,
    requests: Vector<Counter>,
}

/// The exporter's routes.
///
/// # Errors
/// When a pattern among the settings is wrong.
pub fn router(flags: &NodeFlags) -> Result<Router, String> {
    let registry = Registry::new();
    registry.process_metrics();
    let version = env!("CARGO_PKG_VERSION");
    registry.build_info(
        "node_exporter",
        &[
            ("branch", ""),
            ("goarch", std::env::consts::ARCH),
            ("goos", std::env::consts::OS),
            ("goversion", "rust"),
            ("revision", ""),
            ("tags", "foursight"),
            ("version", version),
        ],
    );
    let in_flight =
        registry.gauge("promhttp_metric_handler_requests_in_flight", "Current number of scrapes being served.");
    let requests = registry.counter_vec(
        "promhttp_metric_handler_requests_total",
        "Total number of scrapes by HTTP status code.",
        &["code"],
    );
    for code in ["200", "500", "503"] {
        requests.with(&[code]);
    }
    let errors = registry.counter_vec(
        "promhttp_metric_handler_errors_total",
        "Total number of internal errors encountered by the promhttp metric handler.",
        &["cause"],
    );
    for cause in ["encoding", "gathering"] {
        errors.with(&[cause]);
    }
    let exporter = Arc::new(Exporter {
        collector: Arc::new(Collector::new(flags.node.clone())?),
        registry,
        exporter_metrics: !flags.no_exporter_metrics,
        max_requests: flags.max_requests,
        running: Semaphore::new(if flags.max_requests == 0 { Semaphore::MAX_PERMITS } else { flags.max_requests }),
        in_flight,
        requests,
    });
    let path = flags.telemetry_path.clone();
    if !path.starts_with('/') || path.contains(['{', '}', '*']) {
        return Err(format!("--web.telemetry-path {path:?} must begin with / and hold no braces"));
    }
    let mut router = Router::new().route(&path, get(metrics));
    if path != "/" {
        let page = format!(
            "<!DOCTYPE html><html lang=\"en\"><head><title>Node Exporter</title></head><body><h1>Node Exporter</h1>\
             <p>Foursight {}</p><ul><li><a href=\"{path}\">Metrics</a></li></ul></body></html>",
            env!("CARGO_PKG_VERSION")
        );
        router = router.route("/", get(move || async move { Html(page) }));
    }
    Ok(router.with_state(exporter))
}

async fn metrics(
    State(exporter): State<Arc<Exporter>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response<Body> {
    let Ok(_running) = exporter.running.try_acquire() else {
        exporter.requests.with(&["503"]).inc();
        let limit = exporter.max_requests;
        return text(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("Limit of concurrent requests reached ({limit}), try again later.\n"),
        );
    };
    let _in_flight = exporter.in_flight.track();
    let (mut only, mut without) = (BTreeSet::new(), BTreeSet::new());
    for pair in query.as_deref().unwrap_or("").split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        match kit::percent::decode_form(name).as_str() {
            "collect[]" => only.insert(kit::percent::decode_form(value)),
            "exclude[]" => without.insert(kit::percent::decode_form(value)),
            _ => continue,
        };
    }
    if !only.is_empty() && !without.is_empty() {
        return text(StatusCode::BAD_REQUEST, "Combined collect and exclude queries are not allowed.\n");
    }
    let enabled: BTreeSet<&str> = exporter.collector.enabled().collect();
    if let Some(name) = only.iter().find(|name| !enabled.contains(name.as_str())) {
        let known = COLLECTORS.iter().any(|entry| entry.name == name && entry.is_built());
        let what = if known { "disabled" } else { "missing" };
        let message = format!("Couldn't create filtered metrics handler: {what} collector: {name}\n");
        return text(StatusCode::BAD_REQUEST, message);
    }
    let collector = exporter.collector.clone();
    let collected = tokio::task::spawn_blocking(move || {
        collector.collect(|name| (only.is_empty() || only.contains(name)) && !without.contains(name))
    });
    let Ok(mut families) = collected.await else {
        exporter.requests.with(&["500"]).inc();
        return text(StatusCode::INTERNAL_SERVER_ERROR, "a collector panicked\n");
    };
    if exporter.exporter_metrics {
        families.extend(exporter.registry.gather());
        families = kit::metrics::join_families(families);
    }
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or("");
    let format = Format::negotiate(accept);
    let mut page = Vec::with_capacity(128 << 10);
    format.write(&mut page, &families);
    exporter.requests.with(&["200"]).inc();
    let mut response = Response::new(Body::from(page));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    response
}

/// Serves until the shutdown.
///
/// # Errors
/// When the settings are wrong, an address cannot be listened on, or the web configuration cannot be used.
pub async fn run(flags: NodeFlags, shutdown: Shutdown) -> Result<(), RunError> {
    let router = router(&flags).map_err(RunError::Config)?;
    let mut listeners = Vec::new();
    for address in &flags.listen {
        let listener = kit::http::bind(address).await?;
        tracing::info!(component = "node", address = %crate::shown_address(&listener), "listening");
        listeners.push(listener);
    }
    let options = ServeOptions {
        web_config: flags.web_config.clone(),
        read_timeout: Duration::from_secs(60),
        ..ServeOptions::default()
    };
    kit::http::serve(listeners, router, options, shutdown).await?;
    Ok(())
}
