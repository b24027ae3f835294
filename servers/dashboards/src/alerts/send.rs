//! Carrying out what the notifier wants sent: HTTP requests and mails.

use std::collections::VecDeque;
use std::time::Duration;

use alerting::notify::config::http::HttpConfig;
use alerting::notify::{HttpRequest, HttpResponse, Outcome, Payload};
use axum::http::{HeaderName, HeaderValue, Method, header};
use kit::client::{Client, ClientError, HttpClientConfig, Request};
use parking_lot::Mutex;

use super::mail;

/// Most bytes that are read of an answer.
const MAX_ANSWER: usize = 64 << 10;
/// Clients that are kept; each has its connections.
const MAX_CLIENTS: usize = 32;
/// Longest a request may take, whatever the deadline says.
const MAX_TIMEOUT: Duration = Duration::from_secs(30);

/// Sends; keeps a client for each kind of settings.
#[derive(Debug, Default)]
pub(crate) struct Sender {
    clients: Mutex<VecDeque<(Option<HttpConfig>, Client)>>,
}

impl Sender {
    /// Sends everything of a payload in order; the first request that is not taken ends it.
    pub(crate) async fn send(&self, payload: Payload, timeout: Duration) -> Outcome {
        let timeout = timeout.min(MAX_TIMEOUT);
        match payload {
            Payload::Http(requests) => self.send_requests(requests, timeout).await,
            Payload::Mail(mails) => mail::send_all(mails, timeout).await,
            Payload::Rich(rich) => self.send_requests(vec![rich.finish(&Default::default())], timeout).await,
        }
    }

    pub(crate) async fn send_requests(&self, requests: Vec<HttpRequest>, timeout: Duration) -> Outcome {
        let end = tokio::time::Instant::now() + timeout;
        let mut responses = Vec::new();
        for request in requests {
            let left = end.saturating_duration_since(tokio::time::Instant::now());
            match self.send_request(request, left).await {
                Ok(response) => {
                    let taken = (200..300).contains(&response.status);
                    responses.push(response);
                    if !taken {
                        break;
                    }
                }
                Err(outcome) => return outcome,
            }
        }
        Outcome::Http(responses)
    }

    async fn send_request(&self, request: HttpRequest, left: Duration) -> Result<HttpResponse, Outcome> {
        let client = self.client(&request.http_config).map_err(|error| Outcome::Rejected(error.to_string()))?;
        let own = request.timeout_ms.and_then(|ms| u64::try_from(ms).ok()).map_or(left, Duration::from_millis);
        let mut message = Request::get(request.url.expose()).timeout(own.min(left));
        message.method = Method::from_bytes(request.method.as_bytes()).unwrap_or(Method::POST);
        message.body = request.body.into();
        message.max_body = MAX_ANSWER;
        for (name, value) in &request.headers {
            let header = HeaderName::try_from(name.as_str()).ok().zip(HeaderValue::from_str(value.expose()).ok());
            let Some((name, mut value)) = header else {
                return Err(Outcome::Rejected(format!("{name:?} is no header or has a bad value")));
            };
            value.set_sensitive(true);
            message.headers.insert(name, value);
        }
        match client.send(message).await {
            Ok(answer) => Ok(HttpResponse {
                status: answer.status.as_u16(),
                content_type: answer.header(header::CONTENT_TYPE).unwrap_or("").to_owned(),
                retry_after_ms: answer
                    .header(header::RETRY_AFTER)
                    .and_then(|text| text.trim().parse::<i64>().ok())
                    .map(|s| s.clamp(0, 86_400) * 1000),
                body: answer.body.to_vec(),
            }),
            Err(ClientError::Timeout { .. }) => Err(Outcome::Timeout),
            // The receiver's address is a secret as often as not; what went wrong is not.
            Err(ClientError::Transport { reason, .. }) => Err(Outcome::Network(reason)),
            Err(ClientError::Url { reason, .. }) => {
                Err(Outcome::Rejected(format!("the receiver's URL cannot be used: {reason}")))
            }
            Err(ClientError::TooLarge(_)) => Err(Outcome::Network("the receiver's answer is too long".to_owned())),
            Err(error) => Err(Outcome::Rejected(error.to_string())),
        }
    }

    fn client(&self, config: &Option<HttpConfig>) -> Result<Client, ClientError> {
        let mut clients = self.clients.lock();
        if let Some((_, client)) = clients.iter().find(|(known, _)| known == config) {
            return Ok(client.clone());
        }
        let settings = match config {
            Some(config) => settings_of(config)?,
            None => HttpClientConfig::default(),
        };
        let client = Client::new(&settings, &format!("Foursight/{}", crate::VERSION))?;
        if clients.len() >= MAX_CLIENTS {
            clients.pop_front();
        }
        clients.push_back((config.clone(), client.clone()));
        Ok(client)
    }
}

/// The same settings in the client's type. Secrets do not print, so they are put in one by one.
fn settings_of(config: &HttpConfig) -> Result<HttpClientConfig, ClientError> {
    use kit::client::{Authorization, BasicAuth, HttpHeader};
    use kit::config::Secret;
    let bad = |error: serde_json::Error| ClientError::Config(error.to_string());
    let secret = |secret: &alerting::notify::config::secret::Secret| Secret::new(secret.expose());
    let path = |text: &str| (!text.is_empty()).then(|| text.into());
    let mut settings = HttpClientConfig {
        follow_redirects: config.follow_redirects,
        enable_http2: config.enable_http2,
        bearer_token: secret(&config.bearer_token),
        bearer_token_file: path(&config.bearer_token_file),
        proxy_url: config.proxy_url.as_ref().map(|url| url.as_str().to_owned()),
        no_proxy: config.no_proxy.clone(),
        proxy_from_environment: config.proxy_from_environment,
        ..HttpClientConfig::default()
    };
    settings.basic_auth = config.basic_auth.as_ref().map(|auth| BasicAuth {
        username: auth.username.clone(),
        username_file: path(&auth.username_file),
        password: secret(&auth.password),
        password_file: path(&auth.password_file),
    });
    settings.authorization = config.authorization.as_ref().map(|auth| Authorization {
        kind: auth.kind.clone(),
        credentials: secret(&auth.credentials),
        credentials_file: path(&auth.credentials_file),
    });
    if let Some(oauth2) = &config.oauth2 {
        settings.oauth2 = Some(serde_json::from_value(oauth2.clone()).map_err(bad)?);
    }
    if let Some(tls) = &config.tls_config {
        let own = &mut settings.tls_config;
        own.ca.clone_from(&tls.ca);
        own.cert.clone_from(&tls.cert);
        own.key = secret(&tls.key);
        own.ca_file = path(&tls.ca_file);
        own.cert_file = path(&tls.cert_file);
        own.key_file = path(&tls.key_file);
        own.server_name.clone_from(&tls.server_name);
        own.insecure_skip_verify = tls.insecure_skip_verify;
        let version = |text: &str| match text {
            "" => Ok(None),
            text => serde_json::from_value(text.into()).map(Some).map_err(bad),
        };
        own.min_version = version(&tls.min_version)?;
        own.max_version = version(&tls.max_version)?;
    }
    for (name, values) in &config.proxy_connect_header {
        settings.proxy_connect_header.insert(name.clone(), values.iter().map(secret).collect());
    }
    for (name, values) in &config.http_headers {
        let header = HttpHeader {
            values: values.values.clone(),
            secrets: values.secrets.iter().map(secret).collect(),
            files: values.files.iter().map(Into::into).collect(),
        };
        settings.http_headers.insert(name.clone(), header);
    }
    Ok(settings)
}
