//! The HTTP client of a data source: its credentials, TLS and headers from the settings, requests below its URL.

use std::time::Duration;

use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::{Method, StatusCode};
use hyper::body::Incoming;
use kit::client::{Authorization, BasicAuth, Client, ClientError, HttpClientConfig, HttpHeader, Request, Response};
use kit::config::Secret;
use serde_json::Value;

use super::DataSource;
use crate::error::ApiError;

/// See the module.
#[derive(Debug)]
pub(crate) struct SourceClient {
    client: Client,
    base: String,
    /// Parameters that every request gets.
    parameters: String,
    /// The source's own timeout, if it has one.
    pub(crate) timeout: Option<Duration>,
    name: String,
}

fn user_agent() -> String {
    format!("Foursight/{}", env!("CARGO_PKG_VERSION"))
}

impl SourceClient {
    pub(crate) fn new(source: &DataSource) -> Result<Self, String> {
        let settings = settings(source)?;
        let client = Client::new(&settings, &user_agent()).map_err(|e| e.to_string())?;
        let timeout = source.number("timeout").filter(|s| *s > 0.0 && *s < 1e6).map(Duration::from_secs_f64);
        Ok(Self {
            client,
            base: source.url.split(['?', '#']).next().unwrap_or("").trim_end_matches('/').to_owned(),
            parameters: source.text("customQueryParameters").trim_matches(['&', '?']).to_owned(),
            timeout,
            name: source.name.clone(),
        })
    }

    /// The URL of a path below the source, with the source's own parameters.
    pub(crate) fn url(&self, path: &str, query: &str) -> String {
        let mut url = format!("{}/{}", self.base, path.trim_start_matches('/'));
        let parts: Vec<&str> = [query, &self.parameters].into_iter().filter(|part| !part.is_empty()).collect();
        if !parts.is_empty() {
            url.push('?');
            url.push_str(&parts.join("&"));
        }
        url
    }

    /// Asks and reads the whole answer.
    ///
    /// # Errors
    /// 502 and 504 with the source's name when there is no answer.
    pub(crate) async fn get(
        &self,
        path: &str,
        query: &str,
        timeout: Duration,
        limit: usize,
    ) -> Result<Response, ApiError> {
        let mut request = Request::get(self.url(path, query)).timeout(self.timeout.unwrap_or(timeout));
        request.max_body = limit;
        self.client.send(request).await.map_err(|error| self.error(&error))
    }

    /// Asks with a form and reads the whole answer.
    ///
    /// # Errors
    /// As [`SourceClient::get`].
    pub(crate) async fn post_form(
        &self,
        path: &str,
        form: String,
        timeout: Duration,
        limit: usize,
    ) -> Result<Response, ApiError> {
        let mut request = Request::post(self.url(path, ""), "application/x-www-form-urlencoded", form)
            .timeout(self.timeout.unwrap_or(timeout));
        request.max_body = limit;
        self.client.send(request).await.map_err(|error| self.error(&error))
    }

    /// Writes samples: a remote-write message of version 1, not yet compressed.
    ///
    /// # Errors
    /// As [`SourceClient::get`], and the source's words when it does not take them.
    pub(crate) async fn remote_write(&self, path: &str, message: &[u8], timeout: Duration) -> Result<(), ApiError> {
        let body = wire::compress::snappy_encode(message);
        let mut request =
            Request::post(self.url(path, ""), "application/x-protobuf", body).timeout(self.timeout.unwrap_or(timeout));
        request.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("snappy"));
        request.headers.insert("x-prometheus-remote-write-version", HeaderValue::from_static("0.1.0"));
        request.max_body = 4096;
        let answer = self.client.send(request).await.map_err(|error| self.error(&error))?;
        if answer.status.is_success() {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&answer.body);
        let line = text.lines().next().unwrap_or("").to_owned();
        Err(ApiError::new(StatusCode::BAD_GATEWAY, format!("data source {}: {} {line}", self.name, answer.status)))
    }

    /// Begins a request whose answer is passed on.
    ///
    /// # Errors
    /// As [`SourceClient::get`].
    pub(crate) async fn open(
        &self,
        method: Method,
        path: &str,
        query: &str,
        headers: HeaderMap,
        body: bytes::Bytes,
        timeout: Duration,
    ) -> Result<hyper::Response<Incoming>, ApiError> {
        let mut request = Request::get(self.url(path, query));
        (request.method, request.headers, request.body, request.gzip) = (method, headers, body, false);
        match tokio::time::timeout(self.timeout.unwrap_or(timeout), self.client.open(request)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.error(&error)),
            Err(_) => Err(ApiError::new(
                StatusCode::GATEWAY_TIMEOUT,
                format!("data source {} did not answer in time", self.name),
            )),
        }
    }

    fn error(&self, error: &ClientError) -> ApiError {
        let status = match error {
            ClientError::Timeout { .. } => StatusCode::GATEWAY_TIMEOUT,
            _ => StatusCode::BAD_GATEWAY,
        };
        ApiError::new(status, format!("data source {}: {error}", self.name))
    }
}

fn settings(source: &DataSource) -> Result<HttpClientConfig, String> {
    // A redirect would lead where nobody configured to go.
    let mut settings = HttpClientConfig { follow_redirects: false, enable_http2: false, ..HttpClientConfig::default() };
    let secret = |name: &str| Secret::new(source.secrets.get(name).unwrap_or(""));
    if source.basic_auth {
        settings.basic_auth = Some(BasicAuth {
            username: source.basic_auth_user.clone(),
            password: secret("basicAuthPassword"),
            ..BasicAuth::default()
        });
    }
    let tls = &mut settings.tls_config;
    tls.insecure_skip_verify = source.flag("tlsSkipVerify");
    if source.flag("tlsAuthWithCACert") {
        tls.ca = source.secrets.get("tlsCACert").unwrap_or("").to_owned();
    }
    if source.flag("tlsAuth") {
        tls.cert = source.secrets.get("tlsClientCert").unwrap_or("").to_owned();
        tls.key = secret("tlsClientKey");
        tls.server_name = source.text("serverName").to_owned();
    }
    for (key, value) in &source.json_data {
        let Some(index) = key.strip_prefix("httpHeaderName") else { continue };
        let Some(name) = value.as_str().filter(|name| !name.is_empty()) else { continue };
        let value = source.secrets.get(&format!("httpHeaderValue{index}")).unwrap_or("");
        if name.eq_ignore_ascii_case("authorization") {
            let (kind, credentials) = value.split_once(' ').unwrap_or(("Bearer", value));
            if settings.basic_auth.is_some() {
                return Err(format!("{key}: an Authorization header beside basic authentication"));
            }
            settings.authorization = Some(Authorization {
                kind: kind.to_owned(),
                credentials: Secret::new(credentials.trim()),
                ..Authorization::default()
            });
        } else {
            let header = HttpHeader { secrets: vec![Secret::new(value)], ..HttpHeader::default() };
            settings.http_headers.insert(name.to_owned(), header);
        }
    }
    for key in ["sigV4Auth", "oauthPassThru", "azureAuth"] {
        if source.flag(key) {
            return Err(format!("{key}: this way to sign in to a data source is not built"));
        }
    }
    if source.json_data.get("keepCookies").and_then(Value::as_array).is_some_and(|cookies| !cookies.is_empty()) {
        return Err("keepCookies: cookies of the browser are not passed on".into());
    }
    settings.validate()?;
    Ok(settings)
}

/// Headers of a client that a data source gets to see. Nothing that says who the user is, and no tenant: those are the
/// server's to set.
pub(crate) fn passed_on(headers: &HeaderMap) -> HeaderMap {
    const PASSED: [header::HeaderName; 10] = [
        header::ACCEPT,
        header::ACCEPT_ENCODING,
        header::ACCEPT_LANGUAGE,
        header::CONTENT_TYPE,
        header::CONTENT_ENCODING,
        header::IF_MATCH,
        header::IF_MODIFIED_SINCE,
        header::IF_NONE_MATCH,
        header::RANGE,
        header::CACHE_CONTROL,
    ];
    let mut out = HeaderMap::new();
    for name in PASSED {
        for value in headers.get_all(&name) {
            out.append(name.clone(), value.clone());
        }
    }
    for name in ["x-query-tags", "x-loki-response-encoding-flags"] {
        if let Some(value) = headers.get(name) {
            out.insert(name, HeaderValue::clone(value));
        }
    }
    out
}
