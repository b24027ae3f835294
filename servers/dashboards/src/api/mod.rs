//! The HTTP API: routes, each with what it needs, and what handlers share.

mod annotations;
mod dashboards;
mod datasources;
mod ds_query;
mod folders;
mod items;
mod personal;
mod resources;
mod server;
mod service_accounts;
mod session;
mod users;

use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRequest, FromRequestParts, Request, State};
use axum::handler::Handler;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, on};
use kit::http::{BodyLimits, read_body};
use serde::de::DeserializeOwned;

use crate::app::{App, Shared};
use crate::auth::guard::{Caller, Need, identify, require};
use crate::auth::{Identity, Role};
use crate::error::ApiError;

pub(crate) use ds_query::read_query;

/// Largest body of a request; dashboards are the largest thing that is sent.
const MAX_BODY_BYTES: usize = 16 << 20;

pub(crate) const VIEWER: Need = Need::Role(Role::Viewer);
pub(crate) const EDITOR: Need = Need::Role(Role::Editor);
pub(crate) const ADMIN: Need = Need::Role(Role::Admin);

/// Collects routes; none without saying what it needs.
pub(crate) struct Routes {
    app: Shared,
    router: Router<Shared>,
    /// All of them, for the test that tries every one as everybody.
    pub(crate) table: Vec<(Method, &'static str, Need)>,
}

impl Routes {
    fn on<H, T>(mut self, method: Method, path: &'static str, need: Need, handler: H) -> Self
    where
        H: Handler<T, Shared>,
        T: 'static,
    {
        // All methods in use here are among those that have a filter.
        let filter = MethodFilter::try_from(method.clone()).unwrap_or(MethodFilter::GET);
        let guarded = on(filter, handler).route_layer(from_fn_with_state((self.app.clone(), need), require));
        self.router = self.router.route(path, guarded);
        self.table.push((method, path, need));
        self
    }

    pub(crate) fn get<H: Handler<T, Shared>, T: 'static>(self, path: &'static str, need: Need, handler: H) -> Self {
        self.on(Method::GET, path, need, handler)
    }

    pub(crate) fn post<H: Handler<T, Shared>, T: 'static>(self, path: &'static str, need: Need, handler: H) -> Self {
        self.on(Method::POST, path, need, handler)
    }

    pub(crate) fn put<H: Handler<T, Shared>, T: 'static>(self, path: &'static str, need: Need, handler: H) -> Self {
        self.on(Method::PUT, path, need, handler)
    }

    pub(crate) fn patch<H: Handler<T, Shared>, T: 'static>(self, path: &'static str, need: Need, handler: H) -> Self {
        self.on(Method::PATCH, path, need, handler)
    }

    pub(crate) fn delete<H: Handler<T, Shared>, T: 'static>(self, path: &'static str, need: Need, handler: H) -> Self {
        self.on(Method::DELETE, path, need, handler)
    }

    /// For what Grafana has at this path and this server has not.
    fn not_built(mut self, what: &'static str, paths: &[&'static str]) -> Self {
        for path in paths {
            let handler = move || async move { ApiError::not_built(what).into_response() };
            let guarded = axum::routing::any(handler).layer(from_fn_with_state((self.app.clone(), VIEWER), require));
            self.router = self.router.route(path, guarded);
            self.table.push((Method::GET, path, VIEWER));
        }
        self
    }
}

pub(crate) fn routes(app: &Shared) -> Routes {
    let mut routes = Routes { app: app.clone(), router: Router::new(), table: Vec::new() };
    for add in [
        server::routes,
        session::routes,
        users::routes,
        service_accounts::routes,
        personal::routes,
        dashboards::routes,
        folders::routes,
        resources::routes,
        annotations::routes,
        items::routes,
        datasources::routes,
        ds_query::routes,
        crate::alerts::api::routes,
    ] {
        routes = add(routes);
    }
    routes
        .not_built("Snapshots of dashboards", &["/api/snapshots", "/api/snapshots/{key}", "/api/dashboard/snapshots"])
        .not_built(
            "Public dashboards",
            &["/api/public/dashboards/{token}", "/api/dashboards/uid/{uid}/public-dashboards"],
        )
        .not_built("API keys (service accounts have tokens instead)", &["/api/auth/keys", "/api/auth/keys/{id}"])
        .not_built("Backtesting of rules", &["/api/v1/rule/backtest"])
        .not_built("Pictures of panels", &["/render/{*path}"])
        .not_built("Live channels", &["/api/live/ws"])
}

/// The whole server as a router.
pub(crate) fn router(app: &Shared) -> Router {
    let inner = routes(app).router.fallback(fallback).method_not_allowed_fallback(wrong_method).with_state(app.clone());
    let metrics = Arc::new(app.metrics.clone());
    let inner = kit::http::instrument(inner, metrics.observe());
    let inner = inner.layer(from_fn_with_state(app.clone(), identify)).layer(from_fn_with_state(app.clone(), front));
    match app.settings.server.sub_path.as_str() {
        "" => inner,
        sub_path => Router::new().nest(sub_path, inner),
    }
}

/// What holds for every request and answer: the host's name, security headers, no caching of what the API says.
async fn front(State(app): State<Shared>, request: Request, next: Next) -> Response {
    let server = &app.settings.server;
    if server.enforce_domain {
        let host = request.headers().get(header::HOST).and_then(|v| v.to_str().ok()).unwrap_or("");
        let name = host.rsplit_once(':').map_or(host, |(name, port)| if port.contains(']') { host } else { name });
        if !name.eq_ignore_ascii_case(&server.domain) {
            let target = app.url(request.uri().path());
            return (StatusCode::MOVED_PERMANENTLY, [(header::LOCATION, target)]).into_response();
        }
    }
    let api = ["/api/", "/apis/", "/login", "/logout"].iter().any(|prefix| request.uri().path().starts_with(prefix));
    let mut response = next.run(request).await;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return response;
    }
    let security = &app.settings.security;
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &str| {
        if let (false, Ok(value)) = (headers.contains_key(&name), HeaderValue::from_str(value)) {
            headers.insert(name, value);
        }
    };
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::REFERRER_POLICY, "same-origin");
    if !security.allow_embedding {
        set(header::X_FRAME_OPTIONS, "deny");
    }
    if let Some(value) = &security.strict_transport_security {
        set(header::STRICT_TRANSPORT_SECURITY, value);
    }
    let own = crate::assets::content_security_policy(security.allow_embedding);
    set(header::CONTENT_SECURITY_POLICY, security.content_security_policy.as_deref().unwrap_or(&own));
    if api {
        set(header::CACHE_CONTROL, "no-store");
    }
    for (name, value) in &server.headers {
        if let Ok(name) = HeaderName::try_from(name.as_str()) {
            set(name, value);
        }
    }
    response
}

async fn fallback(request: Request) -> Response {
    let path = request.uri().path();
    let ours = ["/api", "/apis"].iter().any(|prefix| path == *prefix || path.starts_with(&format!("{prefix}/")));
    if !ours
        && matches!(*request.method(), Method::GET | Method::HEAD)
        && let Some(response) = crate::assets::serve(path, request.headers())
    {
        return response;
    }
    ApiError::not_found("Not found").into_response()
}

async fn wrong_method() -> Response {
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "this path does not have this method").into_response()
}

/// A body of JSON, read within limits. The error names line, column and field.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Shared> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &Shared) -> Result<Self, ApiError> {
        let limits = BodyLimits { wire: MAX_BODY_BYTES, decompressed: MAX_BODY_BYTES, ..BodyLimits::default() };
        let (parts, body) = request.into_parts();
        let bytes =
            read_body(&parts.headers, body, &limits).await.map_err(|e| ApiError::new(e.status(), e.to_string()))?;
        let bytes = if bytes.is_empty() { b"{}".as_slice() } else { &bytes };
        serde_json::from_slice(bytes).map(Self).map_err(|e| ApiError::bad_request(format!("bad request data: {e}")))
    }
}

/// Parameters of the query string, repeated ones included.
#[derive(Clone, Debug, Default)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    pub(crate) fn texts(&self, name: &str) -> Vec<String> {
        self.all(name).map(str::to_owned).collect()
    }

    /// Parameters whose names begin alike, without that beginning.
    pub(crate) fn prefixed(&self, prefix: &str) -> Vec<(String, String)> {
        let rest = |(key, value): &(String, String)| Some((key.strip_prefix(prefix)?.to_owned(), value.clone()));
        self.0.iter().filter_map(rest).collect()
    }

    /// A whole number.
    ///
    /// # Errors
    /// 400 that names the parameter.
    pub(crate) fn integer(&self, name: &str) -> Result<Option<i64>, ApiError> {
        self.get(name)
            .map(|text| text.parse().map_err(|_| ApiError::bad_request(format!("{name}: {text:?} is no whole number"))))
            .transpose()
    }

    /// A number of things, at most `most`.
    pub(crate) fn count(&self, name: &str, default: usize, most: usize) -> Result<usize, ApiError> {
        let count = self.integer(name)?.and_then(|count| usize::try_from(count).ok());
        Ok(count.filter(|count| *count > 0).unwrap_or(default).min(most))
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        self.get(name).is_some_and(|text| matches!(text, "true" | "1"))
    }

    /// True unless it is said to be false.
    pub(crate) fn flag_or_true(&self, name: &str) -> bool {
        self.get(name).is_none_or(|text| !matches!(text, "false" | "0"))
    }
}

impl FromRequestParts<Shared> for Params {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, ApiError> {
        let query = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&parts.uri);
        query.map(|query| Self(query.0)).map_err(|e| ApiError::bad_request(format!("query string: {e}")))
    }
}

/// Who asks; only behind a need other than [`Need::Nothing`].
pub(crate) struct Who(pub(crate) Identity);

impl FromRequestParts<Shared> for Who {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, ApiError> {
        let caller = parts.extensions.get::<Caller>().and_then(|caller| caller.0.clone());
        caller.map(Self).ok_or_else(|| ApiError::new(StatusCode::UNAUTHORIZED, "Unauthorized"))
    }
}

/// Who asks, if anybody that is known.
pub(crate) struct MaybeWho(pub(crate) Option<Identity>);

impl FromRequestParts<Shared> for MaybeWho {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, Self::Rejection> {
        Ok(Self(parts.extensions.get::<Caller>().and_then(|caller| caller.0.clone())))
    }
}

/// Milliseconds as the API writes most times: RFC 3339 in seconds.
pub(crate) fn time_text(ms: i64) -> String {
    let text = kit::time::Rfc3339(ms).to_string();
    match text.split_once('.') {
        Some((seconds, _)) => format!("{seconds}Z"),
        None => text,
    }
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").finish_non_exhaustive()
    }
}
