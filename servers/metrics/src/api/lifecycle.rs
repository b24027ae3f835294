//! Health, readiness, reload and quit.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::state::App;

pub(super) async fn healthy() -> &'static str {
    "Prometheus Server is Healthy.\n"
}

pub(super) async fn ready(State(app): State<Arc<App>>) -> Response {
    let stopping = app.stop.is_triggered();
    if app.is_ready.load(Ordering::Acquire) && !stopping {
        return "Prometheus Server is Ready.\n".into_response();
    }
    let value = HeaderValue::from_static(if stopping { "true" } else { "false" });
    (
        StatusCode::SERVICE_UNAVAILABLE,
        [(HeaderName::from_static("x-prometheus-stopping"), value)],
        "Service Unavailable\n",
    )
        .into_response()
}

pub(super) async fn reload(State(app): State<Arc<App>>) -> Response {
    if !app.allow.lifecycle {
        return (StatusCode::FORBIDDEN, "Lifecycle API is not enabled.\n").into_response();
    }
    match app.reload.reload().await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(reason) => {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("failed to reload config: {reason}\n")).into_response()
        }
    }
}

pub(super) async fn quit(State(app): State<Arc<App>>) -> Response {
    if !app.allow.lifecycle {
        return (StatusCode::FORBIDDEN, "Lifecycle API is not enabled.\n").into_response();
    }
    app.stop.trigger();
    "Requesting termination... Goodbye!\n".into_response()
}

pub(super) async fn only_post() -> Response {
    (StatusCode::METHOD_NOT_ALLOWED, "Only POST or PUT requests allowed.\n").into_response()
}
