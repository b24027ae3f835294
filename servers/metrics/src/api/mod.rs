//! The HTTP API of version 1 and the endpoints beside it. A handler reads parameters, calls one function, writes the answer.

mod admin;
pub mod answer;
pub mod encode;
mod exemplars;
mod labels;
mod lifecycle;
pub mod params;
mod query;
mod rules;
mod status;
mod targets;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use kit::http::{Cors, HttpMetrics, instrument};

use crate::state::App;

/// Version of this server.
pub fn version() -> &'static str {
    status::VERSION
}

/// All routes of the server, below `prefix` (empty or `/something`).
pub fn router(app: Arc<App>, cors: Cors, metrics: HttpMetrics, prefix: &str) -> Router {
    let v1 = Router::new()
        .route("/query", get(query::instant).post(query::instant))
        .route("/query_range", get(query::range).post(query::range))
        .route("/format_query", get(query::format).post(query::format))
        .route("/parse_query", get(query::parse_tree).post(query::parse_tree))
        .route("/explain", get(query::explain).post(query::explain))
        .route("/queries/active", get(query::active))
        .route("/queries/kill", post(query::kill))
        .route("/labels", get(labels::names).post(labels::names))
        .route("/label/{name}/values", get(labels::values))
        .route("/series", get(labels::series).post(labels::series))
        .route("/targets", get(targets::targets))
        .route("/targets/metadata", get(targets::target_metadata))
        .route("/targets/relabel_steps", get(targets::relabel_steps))
        .route("/scrape_pools", get(targets::pools))
        .route("/scrape_pools/config", get(targets::pool_config))
        .route("/metadata", get(targets::metadata))
        .route("/rules", get(rules::rules))
        .route("/alerts", get(rules::alerts))
        .route("/alertmanagers", get(rules::alertmanagers))
        .route("/status/config", get(status::config))
        .route("/status/flags", get(status::flags))
        .route("/status/buildinfo", get(status::build))
        .route("/status/runtimeinfo", get(status::runtime))
        .route("/status/tsdb", get(status::tsdb))
        .route("/status/tsdb/blocks", get(status::blocks))
        .route("/status/walreplay", get(status::replay))
        .route("/status/self_metrics", get(status::self_metrics))
        .route("/features", get(status::features))
        .route("/notifications", get(status::notifications))
        .route("/notifications/live", get(status::live_notifications))
        .route("/query_exemplars", get(exemplars::query).post(exemplars::query))
        .route("/read", post(crate::remote_read::read))
        .route("/admin/tsdb/delete_series", post(admin::delete_series).put(admin::delete_series))
        .route("/admin/tsdb/clean_tombstones", post(admin::clean_tombstones).put(admin::clean_tombstones))
        .route("/admin/tsdb/snapshot", post(admin::snapshot).put(admin::snapshot))
        .route("/otlp/v1/metrics", post(crate::otlp::receive))
        .route("/write", any(crate::remote::receive))
        .with_state(app.clone());
    let routes = Router::new()
        .nest("/api/v1", v1)
        .route("/metrics", get(status::metrics))
        .route("/federate", get(crate::federate::federate))
        .route("/version", get(status::version))
        .route("/-/healthy", get(lifecycle::healthy))
        .route("/-/ready", get(lifecycle::ready))
        .route("/-/reload", post(lifecycle::reload).put(lifecycle::reload).get(lifecycle::only_post))
        .route("/-/quit", post(lifecycle::quit).put(lifecycle::quit).get(lifecycle::only_post))
        .merge(crate::pages::routes())
        .with_state(app.clone());
    let routes = if prefix.is_empty() { routes } else { Router::new().nest(prefix, routes) };
    let routes = instrument(routes, move |info| metrics.observe(info));
    routes.layer(from_fn_with_state(Arc::new(cors), cross_origin))
}

/// `OPTIONS` is answered for every path, and answers carry the headers that let other origins read them.
async fn cross_origin(State(cors): State<Arc<Cors>>, request: Request, next: Next) -> Response {
    let headers = request.headers().clone();
    let mut response = if request.method() == Method::OPTIONS {
        StatusCode::NO_CONTENT.into_response()
    } else {
        next.run(request).await
    };
    cors.apply(&headers, response.headers_mut());
    if !response.headers().contains_key(header::X_CONTENT_TYPE_OPTIONS) {
        response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    }
    response
}
