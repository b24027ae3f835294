//! Forwarding a browser's request to a data source: `/api/datasources/proxy/uid/{uid}/…`.
//!
//! The request's body is read within a limit, the answer is passed on as it comes. A request for a websocket is joined to
//! the source's own; bytes then go both ways until either side ends or the server stops. What a source answers is data: its
//! cookies and policies are dropped, and a browser is told to treat it as such.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Response, StatusCode};
use bytes::Bytes;
use hyper::body::{Frame, Incoming};
use hyper_util::rt::TokioIo;
use kit::http::{BodyLimits, read_body};
use tokio::time::Sleep;

use super::client::passed_on;
use super::{DataSource, access};
use crate::app::App;
use crate::auth::Identity;
use crate::error::ApiError;

/// Largest body of a request: queries are short, lists of series are not.
const MAX_REQUEST_BYTES: usize = 10 << 20;

/// Forwards a request; `raw_path` is what stands behind the source in the URL, escapes and all.
pub(crate) async fn forward(
    app: &Arc<App>,
    source: &DataSource,
    identity: &Identity,
    raw_path: &str,
    request: Request,
) -> Result<Response<Body>, ApiError> {
    let path = access::clean_path(raw_path)?;
    access::check(source.source_kind(), request.method(), &kit::percent::decode(path), identity.role)?;
    let client = app.datasources.client(source)?;
    let timeout = Duration::from_millis(app.settings.dataproxy.timeout_ms as u64);
    let query = request.uri().query().unwrap_or("").to_owned();
    let mut headers = passed_on(request.headers());
    if app.settings.dataproxy.send_user_header
        && identity.is_signed_in()
        && let Ok(value) = HeaderValue::from_str(&identity.login)
    {
        headers.insert("x-grafana-user", value);
    }
    app.metrics.datasource_requests.with(&[&source.kind]).inc();
    if request.headers().get(header::UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket")) {
        return join_websockets(app, &client, path, &query, headers, request, timeout).await;
    }
    let method = request.method().clone();
    // Compressed bodies go on as they are.
    let limits = BodyLimits { wire: MAX_REQUEST_BYTES, decompressed: MAX_REQUEST_BYTES, timeout };
    let body = read_body(&HeaderMap::new(), request.into_body(), &limits).await;
    let body = body.map_err(|error| ApiError::new(error.status(), error.to_string()))?;
    let answer = client.open(method, path, &query, headers, body, timeout).await?;
    pass_back(source, answer, timeout)
}

/// Headers that belong to a connection, not to an answer.
const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Headers by which a source would speak for this server.
const NOT_THEIRS: [HeaderName; 12] = [
    header::SET_COOKIE,
    header::CONTENT_SECURITY_POLICY,
    header::CONTENT_SECURITY_POLICY_REPORT_ONLY,
    header::STRICT_TRANSPORT_SECURITY,
    header::PUBLIC_KEY_PINS,
    header::SERVER,
    header::LOCATION,
    header::WWW_AUTHENTICATE,
    header::ACCESS_CONTROL_ALLOW_ORIGIN,
    header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
    header::ACCESS_CONTROL_ALLOW_HEADERS,
    header::ACCESS_CONTROL_ALLOW_METHODS,
];

fn pass_back(source: &DataSource, answer: Response<Incoming>, idle: Duration) -> Result<Response<Body>, ApiError> {
    let (parts, body) = answer.into_parts();
    if parts.status.is_redirection() && parts.headers.contains_key(header::LOCATION) {
        let message = format!("data source {} redirects elsewhere, which is not followed: check its URL", source.name);
        return Err(ApiError::new(StatusCode::BAD_GATEWAY, message));
    }
    // A browser would take 401 for its own session's end.
    if parts.status == StatusCode::UNAUTHORIZED {
        return Err(ApiError::bad_request("Authentication to data source failed").id("datasources.unauthorized"));
    }
    let mut response = Response::new(Body::new(IdleLimit::new(body, idle)));
    *response.status_mut() = parts.status;
    *response.headers_mut() = parts.headers;
    let headers = response.headers_mut();
    // `Connection` may name more headers of its kind.
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::try_from(name.trim()).ok())
        .collect();
    for name in HOP_BY_HOP.iter().chain(&NOT_THEIRS).chain(&named) {
        headers.remove(name);
    }
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(response)
}

async fn join_websockets(
    app: &Arc<App>,
    client: &super::client::SourceClient,
    path: &str,
    query: &str,
    mut headers: HeaderMap,
    mut request: Request,
    timeout: Duration,
) -> Result<Response<Body>, ApiError> {
    let names = ["sec-websocket-key", "sec-websocket-version", "sec-websocket-protocol", "sec-websocket-extensions"];
    for name in names {
        if let Some(value) = request.headers().get(name) {
            headers.insert(name, value.clone());
        }
    }
    headers.remove(header::ACCEPT_ENCODING);
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    let answer = client.open(axum::http::Method::GET, path, query, headers, Bytes::new(), timeout).await?;
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        let status = answer.status();
        let limit = http_body_util::Limited::new(answer.into_body(), 4096);
        let body = http_body_util::BodyExt::collect(limit).await.map(|body| body.to_bytes()).unwrap_or_default();
        let message = String::from_utf8_lossy(&body).trim().to_owned();
        let status = if status.is_client_error() && status != StatusCode::UNAUTHORIZED {
            status
        } else {
            StatusCode::BAD_GATEWAY
        };
        return Err(ApiError::new(status, format!("the data source refused the websocket: {message}")));
    }
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    for name in [header::CONNECTION, header::UPGRADE] {
        if let Some(value) = answer.headers().get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    for name in ["sec-websocket-accept", "sec-websocket-protocol", "sec-websocket-extensions"] {
        if let Some(value) = answer.headers().get(name) {
            response.headers_mut().insert(HeaderName::from_static(name), value.clone());
        }
    }
    let ours = hyper::upgrade::on(&mut request);
    let theirs = hyper::upgrade::on(answer);
    let shutdown = app.shutdown.clone();
    app.shutdown.spawn("websocket", async move {
        let joined = async {
            let (Ok(ours), Ok(theirs)) = (ours.await, theirs.await) else { return };
            // Either side ending, however it does, ends both.
            let _ = tokio::io::copy_bidirectional(&mut TokioIo::new(ours), &mut TokioIo::new(theirs)).await;
        };
        tokio::select! {
            () = joined => {}
            () = shutdown.triggered() => {}
        }
    });
    Ok(response)
}

/// A body that fails when nothing comes for too long.
struct IdleLimit {
    inner: Incoming,
    idle: Duration,
    deadline: Pin<Box<Sleep>>,
}

impl IdleLimit {
    fn new(inner: Incoming, idle: Duration) -> Self {
        Self { inner, idle, deadline: Box::pin(tokio::time::sleep(idle)) }
    }
}

impl hyper::body::Body for IdleLimit {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(cx) {
            let next = tokio::time::Instant::now() + self.idle;
            self.deadline.as_mut().reset(next);
            return Poll::Ready(frame.map(|frame| frame.map_err(axum::Error::new)));
        }
        match self.deadline.as_mut().poll(cx) {
            Poll::Ready(()) => {
                let error = std::io::Error::new(std::io::ErrorKind::TimedOut, "the data source stopped answering");
                Poll::Ready(Some(Err(axum::Error::new(error))))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        self.inner.size_hint()
    }
}
