//! HTTP client with Prometheus' client settings: what scrapers, senders, discoveries and proxies use to reach peers.
//!
//! [`HttpClientConfig`] is the settings as they stand in configuration files (validated by
//! [`HttpClientConfig::validate`]); [`Client`] does what they say: authentication, TLS, proxies, redirects, headers,
//! keep-alive. Every request has a timeout for the whole of it and a cap on the body of its answer.

mod config;
mod connect;
mod oauth;
mod proxy;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Method, StatusCode, Uri};
use base64::Engine;
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::config::Secret;
use crate::percent;

pub use config::{
    Authorization, BasicAuth, HTTP_CLIENT_KEYS, HttpClientConfig, HttpHeader, OAuth2, TlsConfig, TlsVersion,
};
use connect::Connector;

/// TLS settings for a connection of another protocol than HTTP.
///
/// # Errors
/// What is wrong with the certificates.
pub fn tls_client_config(settings: &TlsConfig) -> Result<rustls::ClientConfig, String> {
    let mut config = connect::client_config(settings, false)?;
    config.alpn_protocols.clear();
    Ok(config)
}

/// Redirects followed before giving up.
const MAX_REDIRECTS: usize = 10;

/// A request failed before there was an answer, or the answer was too much.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The settings cannot be used (a file is missing, a certificate is broken).
    #[error("{0}")]
    Config(String),
    /// The URL cannot be requested.
    #[error("invalid URL {url:?}: {reason}")]
    Url {
        /// As given.
        url: String,
        /// Why.
        reason: String,
    },
    /// No connection, or it broke.
    #[error("{method} {url:?}: {reason}")]
    Transport {
        /// Method, as Go names it (`Get`).
        method: String,
        /// The URL, without credentials.
        url: String,
        /// What went wrong.
        reason: String,
    },
    /// It took longer than allowed.
    #[error("{method} {url:?}: context deadline exceeded")]
    Timeout {
        /// Method.
        method: String,
        /// The URL, without credentials.
        url: String,
    },
    /// The answer is bigger than allowed.
    #[error("body size limit exceeded: more than {0} bytes")]
    TooLarge(usize),
}

/// What to ask for.
#[derive(Clone, Debug)]
pub struct Request {
    /// Method.
    pub method: Method,
    /// Absolute `http` or `https` URL; credentials in it become basic authentication.
    pub url: String,
    /// Headers besides those of the settings.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
    /// Longest time for everything, the answer's body included.
    pub timeout: Duration,
    /// Most bytes of the answer's body, before and after decompression; 0 for no limit.
    pub max_body: usize,
    /// Ask for gzip and undo it.
    pub gzip: bool,
}

impl Request {
    /// `GET` with a timeout of 30 seconds and a limit of 32 MiB.
    pub fn get(url: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            url: url.into(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            timeout: Duration::from_secs(30),
            max_body: 32 << 20,
            gzip: true,
        }
    }

    /// `POST` of a body, otherwise as [`Request::get`].
    pub fn post(url: impl Into<String>, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let mut request = Self::get(url);
        request.method = Method::POST;
        request.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        request.body = body.into();
        request
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Sets the timeout.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

/// An answer with its whole body.
#[derive(Clone, Debug)]
pub struct Response {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body, decompressed.
    pub body: Bytes,
    /// Bytes of the body on the wire.
    pub wire_bytes: usize,
}

impl Response {
    /// The first 256 characters of the body in one line: for error messages.
    pub fn excerpt(&self) -> String {
        let text = String::from_utf8_lossy(&self.body[..self.body.len().min(1024)]);
        text.lines().next().unwrap_or("").chars().take(256).collect()
    }

    /// Value of a header, when it is text.
    pub fn header(&self, name: impl header::AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Keeps connections alive and applies the settings to each request. Clones share the connections.
#[derive(Clone, Debug)]
pub struct Client {
    inner: legacy::Client<Connector, Full<Bytes>>,
    settings: Arc<HttpClientConfig>,
    user_agent: HeaderValue,
    oauth: Option<Arc<oauth::TokenSource>>,
}

impl Client {
    /// A client with these settings. Relative file names in them are resolved by the caller beforehand
    /// ([`HttpClientConfig::set_directory`]). Certificates are read now and again when they change.
    ///
    /// # Errors
    /// When the settings contradict each other or a certificate cannot be used.
    pub fn new(settings: &HttpClientConfig, user_agent: &str) -> Result<Self, ClientError> {
        settings.validate().map_err(ClientError::Config)?;
        let connector = Connector::new(settings).map_err(ClientError::Config)?;
        let inner = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(50))
            .pool_max_idle_per_host(20)
            .build(connector);
        let user_agent = HeaderValue::from_str(user_agent)
            .map_err(|_| ClientError::Config("user agent is no header value".into()))?;
        let oauth = match &settings.oauth2 {
            Some(oauth2) => Some(Arc::new(oauth::TokenSource::new(oauth2.clone())?)),
            None => None,
        };
        Ok(Self { inner, settings: Arc::new(settings.clone()), user_agent, oauth })
    }

    /// Sends a request and reads the whole answer. Any status is an answer, not an error.
    ///
    /// # Errors
    /// When there is no answer in time, or it is too big.
    pub async fn send(&self, request: Request) -> Result<Response, ClientError> {
        let timeout = request.timeout;
        let (method, url) = (method_name(&request.method), without_credentials(&request.url));
        let work = async {
            let (max_body, gzip) = (request.max_body, request.gzip);
            let answer = self.open(request).await?;
            read_answer(answer, max_body, gzip).await
        };
        match tokio::time::timeout(timeout, work).await {
            Ok(result) => result,
            Err(_) => Err(ClientError::Timeout { method, url }),
        }
    }

    /// Sends a request and returns as soon as the answer begins, its body still to be read and not decompressed: for
    /// proxies and streams. The caller watches the time.
    ///
    /// # Errors
    /// As [`Client::send`], without the size.
    pub async fn open(&self, request: Request) -> Result<hyper::Response<Incoming>, ClientError> {
        let mut method = request.method.clone();
        let mut body = request.body.clone();
        let mut url = request.url.clone();
        let origin = host_of(&url);
        for _ in 0..=MAX_REDIRECTS {
            let same_host = host_of(&url) == origin;
            let message = self.message(&request, &method, &url, body.clone(), same_host).await?;
            let answer = self.inner.request(message).await.map_err(|error| ClientError::Transport {
                method: method_name(&method),
                url: without_credentials(&url),
                reason: reason(&error),
            })?;
            let location = answer.headers().get(header::LOCATION).and_then(|v| v.to_str().ok());
            let (true, Some(location)) = (self.settings.follow_redirects, location) else { return Ok(answer) };
            match answer.status() {
                StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND | StatusCode::SEE_OTHER => {
                    if method != Method::HEAD {
                        method = Method::GET;
                    }
                    body = Bytes::new();
                }
                StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => {}
                _ => return Ok(answer),
            }
            url = resolve(&url, location);
        }
        Err(ClientError::Transport {
            method: method_name(&request.method),
            url: without_credentials(&request.url),
            reason: format!("stopped after {MAX_REDIRECTS} redirects"),
        })
    }

    /// The message on the wire. Credentials go to the host that was asked for, not to where it redirects.
    async fn message(
        &self,
        request: &Request,
        method: &Method,
        url: &str,
        body: Bytes,
        same_host: bool,
    ) -> Result<hyper::Request<Full<Bytes>>, ClientError> {
        let fail = |reason: &str| ClientError::Url { url: without_credentials(url), reason: reason.to_owned() };
        let uri: Uri = strip_credentials(url).parse().map_err(|e| fail(&format!("{e}")))?;
        match (uri.scheme_str(), uri.host()) {
            (Some("http" | "https"), Some(host)) if !host.is_empty() => {}
            (_, None) => return Err(fail("no host")),
            _ => return Err(fail("the scheme must be http or https")),
        }
        let mut message = hyper::Request::new(Full::new(body));
        *message.method_mut() = method.clone();
        *message.uri_mut() = uri;
        let headers = message.headers_mut();
        headers.insert(header::USER_AGENT, self.user_agent.clone());
        if request.gzip {
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        }
        // The request's own headers win over the client's.
        for name in request.headers.keys() {
            headers.remove(name);
        }
        for (name, value) in &request.headers {
            let content = [header::CONTENT_TYPE, header::CONTENT_ENCODING, header::CONTENT_LENGTH];
            if method == request.method || !content.contains(name) {
                headers.append(name, value.clone());
            }
        }
        if same_host {
            self.add_settings(headers, url).await?;
        }
        Ok(message)
    }

    async fn add_settings(&self, headers: &mut HeaderMap, url: &str) -> Result<(), ClientError> {
        let settings = &*self.settings;
        for (name, header) in &settings.http_headers {
            let bad = || ClientError::Config(format!("http_headers: {name:?} is not a header or has a bad value"));
            let key = HeaderName::try_from(name.as_str()).map_err(|_| bad())?;
            let mut values: Vec<String> = header.values.clone();
            values.extend(header.secrets.iter().map(|secret| secret.reveal().to_owned()));
            for file in &header.files {
                values.push(read_secret(file).await?.reveal().to_owned());
            }
            headers.remove(&key);
            for value in values {
                headers.append(key.clone(), HeaderValue::from_str(&value).map_err(|_| bad())?);
            }
        }
        if let Some(value) = self.authorization(url).await? {
            let mut value = HeaderValue::try_from(value)
                .map_err(|_| ClientError::Config("the credentials do not fit into a header".into()))?;
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
        Ok(())
    }

    async fn authorization(&self, url: &str) -> Result<Option<String>, ClientError> {
        let settings = &*self.settings;
        let basic = |user: &str, password: &str| {
            format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}")))
        };
        if let Some(auth) = &settings.basic_auth {
            let user = match &auth.username_file {
                Some(file) => read_secret(file).await?.reveal().to_owned(),
                None => auth.username.clone(),
            };
            let password = match &auth.password_file {
                Some(file) => read_secret(file).await?,
                None => auth.password.clone(),
            };
            return Ok(Some(basic(&user, password.reveal())));
        }
        if let Some(auth) = &settings.authorization {
            let credentials = match &auth.credentials_file {
                Some(file) => read_secret(file).await?,
                None => auth.credentials.clone(),
            };
            let kind = if auth.kind.is_empty() { "Bearer" } else { &auth.kind };
            return Ok((!credentials.is_empty()).then(|| format!("{kind} {}", credentials.reveal())));
        }
        if let Some(file) = &settings.bearer_token_file {
            return Ok(Some(format!("Bearer {}", read_secret(file).await?.reveal())));
        }
        if !settings.bearer_token.is_empty() {
            return Ok(Some(format!("Bearer {}", settings.bearer_token.reveal())));
        }
        if let Some(oauth) = &self.oauth {
            return oauth.token().await.map(|token| Some(format!("Bearer {}", token.reveal())));
        }
        Ok(credentials_of(url).map(|credentials| {
            let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
            basic(&percent::decode(user), &percent::decode(password))
        }))
    }
}

async fn read_answer(answer: hyper::Response<Incoming>, max_body: usize, gzip: bool) -> Result<Response, ClientError> {
    let limit = if max_body == 0 { usize::MAX } else { max_body };
    let (mut parts, mut body) = answer.into_parts();
    let mut raw = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| ClientError::Transport {
            method: "Read".into(),
            url: String::new(),
            reason: reason(&error),
        })?;
        if let Ok(data) = frame.into_data() {
            if raw.len() + data.len() > limit {
                return Err(ClientError::TooLarge(limit));
            }
            raw.extend_from_slice(&data);
        }
    }
    let wire_bytes = raw.len();
    let encoding = parts.headers.get(header::CONTENT_ENCODING).and_then(|v| v.to_str().ok()).unwrap_or("");
    let mut body = raw.freeze();
    if gzip && encoding.eq_ignore_ascii_case("gzip") && !body.is_empty() {
        body = match wire::compress::gzip_decode(&body, limit) {
            Ok(decoded) => decoded.into(),
            Err(wire::Error::Limit { .. }) => return Err(ClientError::TooLarge(limit)),
            Err(error) => return Err(ClientError::Config(error.to_string())),
        };
        parts.headers.remove(header::CONTENT_ENCODING);
        parts.headers.remove(header::CONTENT_LENGTH);
    }
    Ok(Response { status: parts.status, headers: parts.headers, body, wire_bytes })
}

/// Reads a secret from a file, without the blanks and newlines around it.
async fn read_secret(file: &Path) -> Result<Secret, ClientError> {
    let text = tokio::fs::read_to_string(file).await;
    let text = text.map_err(|e| ClientError::Config(format!("unable to read file {}: {e}", file.display())))?;
    Ok(Secret::new(text.trim()))
}

/// The innermost cause, which is what an operator needs to know.
fn reason(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

/// `GET` as Go's errors write it: `Get`.
fn method_name(method: &Method) -> String {
    let (first, rest) = method.as_str().split_at(1);
    format!("{first}{}", rest.to_lowercase())
}

fn credentials_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    authority.rsplit_once('@').map(|(credentials, _)| credentials)
}

fn strip_credentials(url: &str) -> String {
    let plain = url.split('#').next().unwrap_or(url);
    match credentials_of(plain) {
        Some(credentials) => plain.replacen(&format!("{credentials}@"), "", 1),
        None => plain.to_owned(),
    }
}

/// The URL as it may be shown: a password in it is hidden.
pub fn without_credentials(url: &str) -> String {
    match credentials_of(url) {
        Some(credentials) => {
            let user = credentials.split(':').next().unwrap_or("");
            let shown = if credentials.contains(':') { format!("{user}:xxxxx@") } else { format!("{user}@") };
            url.replacen(&format!("{credentials}@"), &shown, 1)
        }
        None => url.to_owned(),
    }
}

fn host_of(url: &str) -> Option<String> {
    let uri: Uri = strip_credentials(url).parse().ok()?;
    Some(format!("{}://{}", uri.scheme_str()?, uri.authority()?.as_str().to_ascii_lowercase()))
}

/// A `Location` seen from the URL that was asked for.
fn resolve(base: &str, location: &str) -> String {
    if location.contains("://") {
        return location.to_owned();
    }
    let (scheme, rest) = base.split_once("://").unwrap_or(("http", base));
    if let Some(rest) = location.strip_prefix("//") {
        return format!("{scheme}://{rest}");
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if location.starts_with('/') {
        return format!("{scheme}://{authority}{location}");
    }
    let path = path.split(['?', '#']).next().unwrap_or("");
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    format!("{scheme}://{authority}{folder}/{location}")
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
