//! OAuth 2 client credentials: a token is fetched, kept until shortly before it expires, and fetched again.

use std::time::{Duration, Instant};

use base64::Engine;
use tokio::sync::Mutex;

use super::config::{HttpClientConfig, OAuth2};
use super::{Client, ClientError, Request, read_secret};
use crate::config::Secret;
use crate::percent;

/// A token is renewed this long before its end.
const EARLY: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct TokenSource {
    settings: OAuth2,
    client: Client,
    /// The lock is held while fetching: requests that need a token wait for the same fetch.
    token: Mutex<Option<(Secret, Option<Instant>)>>,
}

#[derive(serde::Deserialize)]
struct TokenAnswer {
    access_token: Secret,
    #[serde(default)]
    expires_in: Option<f64>,
}

impl TokenSource {
    pub(super) fn new(settings: OAuth2) -> Result<Self, ClientError> {
        let plain = HttpClientConfig {
            tls_config: settings.tls_config.clone(),
            proxy_url: settings.proxy_url.clone(),
            no_proxy: settings.no_proxy.clone(),
            proxy_from_environment: settings.proxy_from_environment,
            proxy_connect_header: settings.proxy_connect_header.clone(),
            ..HttpClientConfig::default()
        };
        let client = Client::new(&plain, concat!("Foursight/", env!("CARGO_PKG_VERSION")))?;
        Ok(Self { settings, client, token: Mutex::new(None) })
    }

    pub(super) async fn token(&self) -> Result<Secret, ClientError> {
        let mut slot = self.token.lock().await;
        if let Some((token, end)) = &*slot
            && end.is_none_or(|end| Instant::now() + EARLY < end)
        {
            return Ok(token.clone());
        }
        let secret = match &self.settings.client_secret_file {
            Some(file) => read_secret(file).await?,
            None => self.settings.client_secret.clone(),
        };
        let fetched = Instant::now();
        // Servers differ in where they want the credentials: in a header first, in the form when that is refused.
        let mut answer = self.ask(&secret, true).await?;
        if answer.status.is_client_error() {
            answer = self.ask(&secret, false).await?;
        }
        let failed = |reason: String| ClientError::Config(format!("oauth2 {}: {reason}", self.settings.token_url));
        if !answer.status.is_success() {
            return Err(failed(format!("cannot fetch token: {}", answer.status)));
        }
        let parsed: TokenAnswer = serde_json::from_slice(&answer.body).map_err(|e| failed(e.to_string()))?;
        let lifetime = parsed.expires_in.filter(|seconds| *seconds > 0.0 && *seconds < 1e9);
        let end = lifetime.map(|seconds| fetched + Duration::from_secs_f64(seconds));
        *slot = Some((parsed.access_token.clone(), end));
        Ok(parsed.access_token)
    }

    async fn ask(&self, secret: &Secret, in_header: bool) -> Result<super::Response, ClientError> {
        let settings = &self.settings;
        let scopes = settings.scopes.join(" ");
        let mut form: Vec<(&str, &str)> = vec![("grant_type", "client_credentials")];
        if !scopes.is_empty() {
            form.push(("scope", &scopes));
        }
        form.extend(settings.endpoint_params.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        if !in_header {
            form.push(("client_id", &settings.client_id));
            form.push(("client_secret", secret.reveal()));
        }
        let body: Vec<String> =
            form.iter().map(|(n, v)| format!("{}={}", percent::encode(n), percent::encode(v))).collect();
        let url = settings.token_url.clone();
        let mut request = Request::post(url, "application/x-www-form-urlencoded", body.join("&"));
        if in_header {
            let pair = format!("{}:{}", percent::encode(&settings.client_id), percent::encode(secret.reveal()));
            let value = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
            if let Ok(value) = value.try_into() {
                request = request.header(axum::http::header::AUTHORIZATION, value);
            }
        }
        // The token's client has no token source of its own, so this recursion ends here.
        Box::pin(self.client.send(request)).await
    }
}
