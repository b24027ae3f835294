//! Serving HTTP: one call takes an axum router to sockets with everything around it that the peers have.
//!
//! [`bind`] opens listeners (errors name the address), [`serve`] accepts on them until the shutdown and then drains. Each
//! request passes the web configuration file's TLS, authentication, headers and rate limit ([`WebConfig`]), has its
//! panic turned into a 500, and its answer compressed when the client takes it. [`instrument`] counts requests by route;
//! [`read_body`] reads a request's body with limits on both sides of its compression; [`Cors`] is Prometheus' rule.

mod auth;
mod body;
mod compress;
mod cors;
mod idle;
mod instrument;
mod tls;
mod web_config;

use std::any::Any;
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tower::Service;

use crate::Shutdown;
use crate::log::Limiter;
use idle::{IdleList, Presence, ROOM_CHECK};

pub use body::{BodyError, BodyLimits, read_body};
pub use cors::Cors;
pub use instrument::{HttpMetrics, RequestInfo, instrument};
pub use web_config::{WebConfig, WebConfigError};

/// How a server listens.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// The peers' web configuration file: TLS, basic authentication, headers. Read again when it changes.
    pub web_config: Option<PathBuf>,
    /// Most connections at a time, 0 for no limit. Beyond it one that waits for its client makes room; when there is none, new ones
    /// wait in the kernel's queue.
    pub max_connections: usize,
    /// Longest wait for a request's headers, which is also how long an idle connection is kept.
    pub read_timeout: Duration,
    /// How long requests may go on after the shutdown.
    pub drain: Duration,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            web_config: None,
            max_connections: 512,
            read_timeout: Duration::from_secs(300),
            drain: Duration::from_secs(10),
        }
    }
}

/// An address could not be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {reason}")]
pub struct BindError {
    /// As given.
    pub address: String,
    /// In words: in use, not permitted, unknown.
    pub reason: String,
}

/// Opens a listener on `host:port`, `:port` (all addresses, both families) or `[v6]:port`. Port 0 takes a free one.
///
/// # Errors
/// When the address is in use, not permitted or no address.
pub async fn bind(address: &str) -> Result<TcpListener, BindError> {
    let fail = |reason: String| BindError { address: address.to_owned(), reason };
    let words = |e: std::io::Error| {
        fail(match e.kind() {
            std::io::ErrorKind::AddrInUse => "the address is in use by another process".into(),
            std::io::ErrorKind::PermissionDenied => {
                "permission denied (ports below 1024 need the right to bind them)".into()
            }
            std::io::ErrorKind::AddrNotAvailable => "this machine does not have the address".into(),
            _ => e.to_string(),
        })
    };
    let candidates: Vec<SocketAddr> = match address.strip_prefix(':') {
        Some(port) => {
            let port: u16 = port.parse().map_err(|_| fail(format!("{port:?} is no port")))?;
            vec![(std::net::Ipv6Addr::UNSPECIFIED, port).into(), (std::net::Ipv4Addr::UNSPECIFIED, port).into()]
        }
        None => tokio::net::lookup_host(address).await.map_err(|e| fail(e.to_string()))?.collect(),
    };
    let mut last = fail("the name has no address".into());
    for candidate in candidates {
        match listen(candidate) {
            Ok(listener) => return TcpListener::from_std(listener).map_err(words),
            // A machine without IPv6 listens on IPv4.
            Err(error) => last = words(error),
        }
    }
    Err(last)
}

fn listen(address: SocketAddr) -> std::io::Result<std::net::TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(1024)?;
    Ok(socket.into())
}

/// Serves until the shutdown, then waits for running requests at most as long as the options say.
///
/// # Errors
/// When the web configuration file cannot be used at the start. Later on a broken file keeps the last good one in force.
pub async fn serve(
    listeners: Vec<TcpListener>,
    router: Router,
    options: ServeOptions,
    shutdown: Shutdown,
) -> Result<(), WebConfigError> {
    let front = Arc::new(web_config::Front::new(options.web_config.clone())?);
    let connections = Arc::new(Semaphore::new(match options.max_connections {
        0 => Semaphore::MAX_PERMITS,
        limit => limit,
    }));
    let graceful = Arc::new(GracefulShutdown::new());
    let idle = Arc::new(IdleList::default());
    let mut accepting = tokio::task::JoinSet::new();
    for listener in listeners {
        let acceptor = Acceptor {
            front: front.clone(),
            router: router.clone(),
            read_timeout: options.read_timeout,
            graceful: graceful.clone(),
            connections: connections.clone(),
            idle: idle.clone(),
        };
        let shutdown = shutdown.clone();
        accepting.spawn(async move {
            tokio::select! {
                () = shutdown.triggered() => {}
                () = acceptor.accept(listener) => {}
            }
        });
    }
    while accepting.join_next().await.is_some() {}
    let Ok(graceful) = Arc::try_unwrap(graceful) else { return Ok(()) };
    if tokio::time::timeout(options.drain, graceful.shutdown()).await.is_err() {
        tracing::warn!(component = "http", "requests were still running at the end of the drain time");
    }
    Ok(())
}

struct Acceptor {
    front: Arc<web_config::Front>,
    router: Router,
    read_timeout: Duration,
    graceful: Arc<GracefulShutdown>,
    connections: Arc<Semaphore>,
    idle: Arc<IdleList>,
}

static ACCEPT_ERRORS: Limiter = Limiter::new(Duration::from_secs(10));
static HANDSHAKE_ERRORS: Limiter = Limiter::new(Duration::from_secs(10));

impl Acceptor {
    async fn accept(&self, listener: TcpListener) {
        loop {
            let (stream, peer) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    if let Some(held_back) = ACCEPT_ERRORS.allow("") {
                        tracing::warn!(component = "http", %error, held_back, "cannot accept a connection");
                    }
                    // Out of descriptors, most likely: wait for some to be closed.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let permit = loop {
                match self.connections.clone().try_acquire_owned() {
                    Ok(permit) => break permit,
                    // Somebody waits: whoever has been idle longest makes room.
                    Err(_) => self.idle.close_one(),
                }
                // The semaphore is never closed.
                let permit = self.connections.clone().acquire_owned();
                match tokio::time::timeout(ROOM_CHECK, permit).await {
                    Ok(Ok(permit)) => break permit,
                    Ok(Err(_)) => return,
                    Err(_) => {}
                }
            };
            let _ = stream.set_nodelay(true);
            let connection = Connection {
                front: self.front.clone(),
                router: self.router.clone(),
                peer,
                read_timeout: self.read_timeout,
                watcher: self.graceful.watcher(),
                presence: self.idle.enter(),
            };
            tokio::spawn(async move {
                let closing = connection.presence.closing();
                tokio::select! {
                    () = connection.run(stream) => {}
                    () = closing.notified() => {
                        tracing::debug!(component = "http", %peer, "an idle connection was closed to make room");
                    }
                }
                drop(permit);
            });
        }
    }
}

struct Connection {
    front: Arc<web_config::Front>,
    router: Router,
    peer: SocketAddr,
    read_timeout: Duration,
    watcher: hyper_util::server::graceful::Watcher,
    presence: Presence,
}

impl Connection {
    async fn run(self, stream: TcpStream) {
        let state = self.front.current().await;
        let Some(tls) = state.tls.clone() else { return self.serve(stream, state).await };
        let handshake = tokio_rustls::TlsAcceptor::from(tls.config.clone()).accept(stream);
        let failed = |error: String| {
            if let Some(held_back) = HANDSHAKE_ERRORS.allow(&error) {
                tracing::warn!(component = "http", peer = %self.peer, error, held_back, "TLS handshake failed");
            }
        };
        match tokio::time::timeout(Duration::from_secs(10), handshake).await {
            Err(_) => failed("timed out".into()),
            Ok(Err(error)) => failed(error.to_string()),
            Ok(Ok(stream)) => match tls.check_client(stream.get_ref().1) {
                Ok(()) => self.serve(stream, state).await,
                Err(error) => failed(error),
            },
        }
    }

    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, state: Arc<web_config::State>) {
        let mut builder = auto::Builder::new(TokioExecutor::new());
        if !state.http2 {
            builder = builder.http1_only();
        }
        builder.http1().timer(TokioTimer::new()).header_read_timeout(self.read_timeout);
        builder
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(Duration::from_secs(30))
            .keep_alive_timeout(Duration::from_secs(30))
            .max_concurrent_streams(250)
            .max_header_list_size(64 << 10);
        let presence = Arc::new(self.presence);
        let service = Fronted { router: self.router, state, peer: self.peer, presence };
        let connection = builder
            .serve_connection_with_upgrades(TokioIo::new(stream), TowerToHyperService::new(service))
            .into_owned();
        // What ends a connection early (reset, timeout, garbage) is the client's business.
        if let Err(error) = self.watcher.watch(connection).await {
            tracing::debug!(component = "http", peer = %self.peer, error, "connection ended");
        }
    }
}

/// The router with what stands in front of it.
#[derive(Clone)]
struct Fronted {
    router: Router,
    state: Arc<web_config::State>,
    peer: SocketAddr,
    presence: Arc<Presence>,
}

impl Service<Request<hyper::body::Incoming>> for Fronted {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<hyper::body::Incoming>) -> Self::Future {
        let Self { mut router, state, peer, presence } = self.clone();
        let busy = presence.busy();
        Box::pin(async move {
            let mut request = request.map(|body| busy.receiving(body));
            request.extensions_mut().insert(ConnectInfo(peer));
            let accepts = compress::Accepts::of(request.headers());
            let head = request.method() == axum::http::Method::HEAD;
            let mut response = match state.admit(request.headers()).await {
                Some(refusal) => refusal,
                None => {
                    let answer = router.call(request);
                    match CatchPanic(pin!(answer)).await {
                        Ok(Ok(response)) if head => response,
                        Ok(Ok(response)) => worded(response),
                        Ok(Err(never)) => match never {},
                        Err(panic) => panicked(&*panic),
                    }
                }
            };
            state.add_headers(response.headers_mut());
            Ok(compress::compress(response, accepts).map(|body| busy.sending(body)))
        })
    }
}

/// Answer to a request whose handler panicked.
fn panicked(panic: &(dyn Any + Send)) -> Response<Body> {
    tracing::error!(component = "http", panic = %panic_message(panic), "a request handler panicked");
    text(StatusCode::INTERNAL_SERVER_ERROR, "internal error")
}

/// An error says what it is: routers answer unknown paths and methods with a status alone.
fn worded(response: Response<Body>) -> Response<Body> {
    let status = response.status();
    let wordless = axum::body::HttpBody::size_hint(response.body()).exact() == Some(0);
    if !wordless || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let words = match status {
        StatusCode::NOT_FOUND => "404 page not found",
        status => status.canonical_reason().unwrap_or("error"),
    };
    let mut worded = text(status, format!("{words}\n"));
    for (name, value) in response.headers() {
        if *name != axum::http::header::CONTENT_LENGTH && *name != axum::http::header::CONTENT_TYPE {
            worded.headers_mut().append(name, value.clone());
        }
    }
    worded
}

/// A plain text answer.
pub fn text(status: StatusCode, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let plain = axum::http::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(axum::http::header::CONTENT_TYPE, plain);
    response
}

/// The text a panic was raised with.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

/// Turns a panic while polling into an error.
struct CatchPanic<F>(F);

impl<F: Future + Unpin> Future for CatchPanic<F> {
    type Output = Result<F::Output, Box<dyn Any + Send>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let inner = Pin::new(&mut self.0);
        match std::panic::catch_unwind(AssertUnwindSafe(|| inner.poll(cx))) {
            Ok(poll) => poll.map(Ok),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
