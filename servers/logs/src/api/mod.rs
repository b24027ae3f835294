//! The HTTP API. A handler reads parameters, calls one function, writes the answer.

mod answer;
mod checks;
mod delete;
mod detected;
pub(crate) mod encode;
mod explain;
mod export;
mod index;
mod labels;
mod params;
mod push;
mod query;
mod rules;
mod status;
mod tail;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{any, get, post};
use kit::http::{RequestInfo, instrument};

pub use answer::{ApiError, status_of};
pub(crate) use status::PEER_VERSION;

use crate::state::App;

/// Longest form that is read, in bytes.
const MAX_FORM: usize = 10 << 20;

/// All routes of the server, below `prefix` (empty or `/something`). `observe` hears of every request that has a route.
pub fn router(app: Arc<App>, prefix: &str, observe: impl Fn(&RequestInfo<'_>) + Send + Sync + 'static) -> Router {
    let v1 = Router::new()
        .route("/push", post(push::loki))
        .route("/query", get(query::instant).post(query::instant))
        .route("/query_range", get(query::range).post(query::range))
        .route("/labels", get(labels::names).post(labels::names))
        .route("/label", get(labels::names).post(labels::names))
        .route("/label/{name}/values", get(labels::values).post(labels::values))
        .route("/series", get(labels::series).post(labels::series))
        .route("/index/stats", get(index::stats).post(index::stats))
        .route("/index/volume", get(index::volume).post(index::volume))
        .route("/index/volume_range", get(index::volume_range).post(index::volume_range))
        .route("/index/shards", get(index::shards).post(index::shards))
        .route("/patterns", get(detected::patterns).post(detected::patterns))
        .route("/detected_labels", get(labels::detected).post(labels::detected))
        .route("/detected_fields", get(detected::fields).post(detected::fields))
        .route("/detected_field/{name}/values", get(detected::values).post(detected::values))
        .route("/format_query", get(query::format).post(query::format))
        .route("/tail", get(tail::tail).post(tail::tail))
        .route("/explain", get(explain::explain).post(explain::explain))
        .route("/export", get(export::export).post(export::export))
        .route("/delete", get(delete::list).post(delete::add).put(delete::add).delete(delete::cancel))
        .route("/cache/generation_numbers", get(status::cache_generation))
        .route("/cache/generation_numbers/increase", post(status::cache_generation))
        .route("/status/buildinfo", get(status::build_info))
        .route("/drilldown-limits", get(status::drilldown_limits))
        .nest("/rules", rule_files());
    let legacy = Router::new()
        .route("/push", post(push::loki))
        .route("/query", get(query::legacy).post(query::legacy))
        .route("/label", get(labels::names).post(labels::names))
        .route("/label/{name}/values", get(labels::values).post(labels::values))
        .route("/series", get(labels::series).post(labels::series))
        .route("/tail", get(tail::legacy).post(tail::legacy))
        .nest("/rules", rule_files());
    let mut routes = Router::new()
        .nest("/loki/api/v1", v1)
        .nest("/api/prom", legacy)
        .route("/otlp/v1/logs", post(push::otlp))
        .route("/prometheus/api/v1/rules", get(rules::states))
        .route("/prometheus/api/v1/alerts", get(rules::alerts))
        .route("/", get(status::index))
        .route("/ready", get(status::ready))
        .route("/metrics", get(status::metrics))
        .route("/config", get(status::config))
        .route("/config/tenant/v1/limits", get(status::drilldown_limits))
        .route("/runtime_config", get(status::runtime_config))
        .route("/services", get(status::services))
        .route("/log_level", get(status::log_level).post(status::log_level))
        .route("/flush", get(status::flush).post(status::flush))
        .route("/flush/tenant", post(status::flush_tenant))
        .route(
            "/ingester/prepare_shutdown",
            get(status::prepare_shutdown).post(status::prepare_shutdown).delete(status::prepare_shutdown),
        )
        .route("/ingester/shutdown", get(status::shutdown).post(status::shutdown));
    for ring in [
        "/ring",
        "/distributor/ring",
        "/ruler/ring",
        "/compactor/ring",
        "/indexgateway/ring",
        "/scheduler/ring",
        "/pattern/ring",
        "/memberlist",
    ] {
        routes = routes.route(ring, any(status::ring));
    }
    let routes = routes.fallback(status::not_found).layer(DefaultBodyLimit::max(MAX_FORM)).with_state(app.clone());
    let routes =
        if prefix.is_empty() { routes } else { Router::new().nest(prefix, routes).fallback(status::not_found) };
    instrument(routes, observe)
}

/// Rule files by namespace and group.
fn rule_files() -> Router<Arc<App>> {
    let namespace = get(rules::list_namespace).post(rules::put).delete(rules::remove_namespace);
    Router::new()
        .route("/", get(rules::list))
        .route("/{namespace}", namespace)
        .route("/{namespace}/{group}", get(rules::group).delete(rules::remove))
}
