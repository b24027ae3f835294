//! Counting requests by route.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use axum::http::{Method, Response, StatusCode, header};
use axum::middleware::{Next, from_fn};
use hyper::body::Body as _;

use super::CatchPanic;
use crate::metrics::{Counter, DEFAULT_BUCKETS, Histogram, Registry, Vector};

/// What is known about a request when it has been answered.
#[derive(Debug)]
pub struct RequestInfo<'a> {
    /// Method.
    pub method: &'a Method,
    /// The route's pattern, such as `/api/v1/label/{name}/values`.
    pub route: &'a str,
    /// Status of the answer.
    pub status: StatusCode,
    /// Time until the answer began.
    pub duration: Duration,
    /// Length of the answer, when known.
    pub response_bytes: Option<u64>,
    /// It asked for a websocket.
    pub websocket: bool,
    /// The handler panicked (status 500).
    pub panicked: bool,
}

/// Calls `observe` for every request that reaches a route of `router`. Panics count as status 500. Apply it after all
/// routes are added.
pub fn instrument(router: Router, observe: impl Fn(&RequestInfo<'_>) + Send + Sync + 'static) -> Router {
    let observe = Arc::new(observe);
    router.route_layer(from_fn(move |request: Request, next: Next| {
        let observe = observe.clone();
        async move { observed(request, next, &*observe).await }
    }))
}

async fn observed(request: Request, next: Next, observe: &(dyn Fn(&RequestInfo<'_>) + Send + Sync)) -> Response<Body> {
    let method = request.method().clone();
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let websocket =
        request.headers().get(header::UPGRADE).is_some_and(|v| v.as_bytes().eq_ignore_ascii_case(b"websocket"));
    let start = Instant::now();
    let (response, panicked) = match CatchPanic(pin!(next.run(request))).await {
        Ok(response) => (response, false),
        Err(panic) => (super::panicked(&*panic), true),
    };
    observe(&RequestInfo {
        method: &method,
        route: matched.as_ref().map_or("", |matched| matched.as_str()),
        status: response.status(),
        duration: start.elapsed(),
        response_bytes: response.body().size_hint().exact(),
        websocket,
        panicked,
    });
    response
}

/// The request metrics of the peers, to be given to [`instrument`].
#[derive(Clone, Debug)]
pub struct HttpMetrics {
    requests: Vector<Counter>,
    durations: Vector<Histogram>,
    sizes: Vector<Histogram>,
}

impl HttpMetrics {
    /// Prometheus' three families, by handler: `<prefix>_http_requests_total`, `_http_request_duration_seconds`,
    /// `_http_response_size_bytes`. `prefix` must live as long as the program, as metric names do.
    pub fn new(registry: &Registry, names: [&'static str; 3]) -> Self {
        let [requests, durations, sizes] = names;
        let duration_bounds = [0.1, 0.2, 0.4, 1.0, 3.0, 8.0, 20.0, 60.0, 120.0];
        let size_bounds = [1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];
        Self {
            requests: registry.counter_vec(requests, "Counter of HTTP requests.", &["handler", "code"]),
            durations: registry.histogram_vec(
                durations,
                "Histogram of latencies for HTTP requests.",
                &duration_bounds,
                &["handler"],
            ),
            sizes: registry.histogram_vec(
                sizes,
                "Histogram of response size for HTTP requests.",
                &size_bounds,
                &["handler"],
            ),
        }
    }

    /// Counts a request.
    pub fn observe(&self, info: &RequestInfo<'_>) {
        self.requests.with(&[info.route, info.status.as_str()]).inc();
        self.durations.with(&[info.route]).observe_duration(info.duration);
        if let Some(bytes) = info.response_bytes {
            self.sizes.with(&[info.route]).observe(bytes as f64);
        }
    }

    /// Loki's family: `<name>{method,route,status_code,ws}`; the function to give to [`instrument`].
    pub fn loki_style(registry: &Registry, name: &'static str) -> impl Fn(&RequestInfo<'_>) + Send + Sync + 'static {
        let help = "Time (in seconds) spent serving HTTP requests.";
        let labels = ["method", "route", "status_code", "ws"];
        let durations = registry.histogram_vec(name, help, &DEFAULT_BUCKETS, &labels);
        move |info| {
            let route = info.route.trim_matches('/').replace(['/', '-', '{', '}'], "_");
            let ws = if info.websocket { "true" } else { "false" };
            let labels = [info.method.as_str(), &route, info.status.as_str(), ws];
            durations.with(&labels).observe_duration(info.duration);
        }
    }
}
