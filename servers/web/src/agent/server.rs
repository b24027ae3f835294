//! The agent's pages.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use axum::{Json, Router};
use kit::config::ReloadHandle;
use kit::http::text;
use serde_json::{Value, json};

use super::Agent;
use super::controller::ComponentView;

type Shared = (Arc<Agent>, ReloadHandle);

pub(super) fn router(agent: Arc<Agent>, reload: ReloadHandle) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/component/{id}", get(component))
        .route("/metrics", get(metrics))
        .route("/-/ready", get(ready))
        .route("/-/healthy", get(healthy))
        .route("/-/reload", get(reload_now).post(reload_now))
        .route("/api/v0/web/components", get(components))
        .route("/api/v0/component/{id}/metrics", get(component_metrics))
        .with_state((agent, reload))
}

fn view(agent: &Agent) -> Vec<ComponentView> {
    let graph = agent.graph.lock().clone();
    graph.map(|graph| graph.view()).unwrap_or_default()
}

async fn metrics(State((agent, _)): State<Shared>, headers: HeaderMap) -> impl IntoResponse {
    let mut counts =
        std::collections::BTreeMap::from([("healthy", 0), ("unhealthy", 0), ("unknown", 0), ("exited", 0)]);
    for component in view(&agent) {
        *counts.entry(component.health.state).or_default() += 1;
    }
    for (state, count) in counts {
        agent.metrics.components.with(&[state]).set(f64::from(count));
    }
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or("");
    let (content_type, page) = kit::metrics::scrape_page(&agent.registry, accept);
    ([(header::CONTENT_TYPE, HeaderValue::from_static(content_type))], page)
}

async fn ready(State((agent, _)): State<Shared>) -> Response<Body> {
    if agent.graph.lock().is_some() {
        text(StatusCode::OK, "Alloy is ready.\n")
    } else {
        text(StatusCode::SERVICE_UNAVAILABLE, "Alloy is not ready.\n")
    }
}

async fn healthy(State((agent, _)): State<Shared>) -> Response<Body> {
    let bad: Vec<String> = view(&agent).into_iter().filter(|c| c.health.state == "unhealthy").map(|c| c.id).collect();
    if bad.is_empty() {
        return text(StatusCode::OK, "All Alloy components are healthy.\n");
    }
    let message = format!("unhealthy components: {}\n", bad.join(", "));
    text(StatusCode::INTERNAL_SERVER_ERROR, message)
}

async fn reload_now(State((_, reload)): State<Shared>) -> Response<Body> {
    match reload.reload().await {
        Ok(()) => text(StatusCode::OK, "config reloaded\n"),
        Err(error) => text(StatusCode::BAD_REQUEST, format!("error during the reload: {error}\n")),
    }
}

fn to_json(component: &ComponentView) -> Value {
    json!({
        "localID": component.id,
        "name": component.name,
        "label": component.label,
        "health": {"state": component.health.state, "message": component.health.message},
        "referencesTo": component.dependencies,
        "arguments": component.arguments,
        "exports": component.exports,
    })
}

async fn components(State((agent, _)): State<Shared>) -> Json<Value> {
    Json(view(&agent).iter().map(to_json).collect())
}

async fn component_metrics(
    State((agent, _)): State<Shared>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response<Body> {
    let gather = agent.exporters.lock().get(&format!("/api/v0/component/{id}/metrics")).cloned();
    let Some(gather) = gather else { return text(StatusCode::NOT_FOUND, "no such exporter\n") };
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or("");
    let format = wire::exposition::Format::negotiate(accept);
    let page = tokio::task::spawn_blocking(move || {
        let mut page = Vec::new();
        format.write(&mut page, &gather());
        page
    });
    match page.await {
        Ok(page) => {
            let kind = HeaderValue::from_static(format.content_type());
            ([(header::CONTENT_TYPE, kind)], page).into_response()
        }
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3rem .8rem .3rem 0;border-bottom:1px solid #ddd;\
vertical-align:top}.healthy{color:#17663a}.unhealthy{color:#a3160f}pre{background:#f4f4f4;padding:1rem;overflow:auto}";

async fn index(State((agent, _)): State<Shared>) -> Html<String> {
    let mut rows = String::new();
    for component in view(&agent) {
        // Writing to a string cannot fail.
        let _ = write!(
            rows,
            "<tr><td><a href=\"/component/{id}\">{id}</a></td><td class=\"{state}\">{state}</td><td>{message}</td></tr>",
            id = escape(&component.id),
            state = component.health.state,
            message = escape(&component.health.message),
        );
    }
    Html(format!(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Agent</title><style>{STYLE}</style></head>\
         <body><h1>Agent</h1><p>Foursight {}, configuration {}. <a href=\"/metrics\">Metrics</a></p>\
         <table><tr><th>Component</th><th>Health</th><th></th></tr>{rows}</table></body></html>",
        env!("CARGO_PKG_VERSION"),
        escape(&agent.config.path.display().to_string()),
    ))
}

async fn component(State((agent, _)): State<Shared>, Path(id): Path<String>) -> Response<Body> {
    let Some(component) = view(&agent).into_iter().find(|component| component.id == id) else {
        return text(StatusCode::NOT_FOUND, "no such component\n");
    };
    let pretty = |value: &Value| escape(&serde_json::to_string_pretty(value).unwrap_or_default());
    let mut needs = String::new();
    for id in &component.dependencies {
        let _ = write!(needs, "<li><a href=\"/component/{id}\">{id}</a></li>", id = escape(id));
    }
    Html(format!(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{id}</title><style>{STYLE}</style></head>\
         <body><p><a href=\"/\">All components</a></p><h1>{id}</h1><p class=\"{state}\">{state}: {message}</p>\
         <h2>Arguments</h2><pre>{arguments}</pre><h2>Exports</h2><pre>{exports}</pre><h2>Refers to</h2><ul>{needs}</ul></body></html>",
        id = escape(&component.id),
        state = component.health.state,
        message = escape(&component.health.message),
        arguments = pretty(&component.arguments),
        exports = pretty(&component.exports),
    ))
    .into_response()
}
