//! The peers' web configuration file (`--web.config.file`): TLS, basic authentication, headers, rate limit.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use parking_lot::Mutex;
use serde::Deserialize;

use super::auth::BasicAuth;
use super::tls::Tls;
use crate::config::{GoDuration, Secret, null_default};
use crate::yaml::ConfigError;

/// The file as it is written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebConfig {
    /// TLS; absent means plain HTTP.
    pub tls_server_config: Option<TlsServerConfig>,
    /// HTTP/2 and headers.
    #[serde(deserialize_with = "null_default")]
    pub http_server_config: HttpServerConfig,
    /// User names and bcrypt hashes; empty means everyone may enter.
    #[serde(deserialize_with = "null_default")]
    pub basic_auth_users: BTreeMap<String, Secret>,
    /// Requests a time.
    pub rate_limit: Option<RateLimitConfig>,
}

/// `tls_server_config`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs, reason = "the keys of the peers' web configuration file")]
pub struct TlsServerConfig {
    pub cert: String,
    pub key: Secret,
    pub client_ca: String,
    pub cert_file: PathBuf,
    pub key_file: PathBuf,
    pub client_auth_type: ClientAuth,
    pub client_ca_file: PathBuf,
    pub client_allowed_sans: Vec<String>,
    pub cipher_suites: Vec<String>,
    pub curve_preferences: Vec<String>,
    pub min_version: Option<TlsVersion>,
    pub max_version: Option<TlsVersion>,
    pub prefer_server_cipher_suites: bool,
}

/// `client_auth_type`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum ClientAuth {
    /// No certificate is asked for.
    #[default]
    #[serde(rename = "NoClientCert", alias = "")]
    No,
    /// Asked for, not checked.
    #[serde(rename = "RequestClientCert")]
    Request,
    /// Needed, not checked.
    #[serde(rename = "RequireAnyClientCert", alias = "RequireClientCert")]
    RequireAny,
    /// Checked when given.
    #[serde(rename = "VerifyClientCertIfGiven")]
    VerifyIfGiven,
    /// Needed and checked.
    #[serde(rename = "RequireAndVerifyClientCert")]
    RequireAndVerify,
}

/// A TLS version. 1.0 and 1.1 can be named, and are never spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[allow(missing_docs, reason = "they are what they are called")]
pub enum TlsVersion {
    #[serde(rename = "TLS10")]
    Tls10,
    #[serde(rename = "TLS11")]
    Tls11,
    #[serde(rename = "TLS12")]
    Tls12,
    #[serde(rename = "TLS13")]
    Tls13,
}

/// `http_server_config`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpServerConfig {
    /// HTTP/2 over TLS and in the clear.
    pub http2: bool,
    /// Security headers of every answer.
    pub headers: BTreeMap<String, String>,
}

impl Default for HttpServerConfig {
    fn default() -> Self {
        Self { http2: true, headers: BTreeMap::new() }
    }
}

/// `rate_limit`
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RateLimitConfig {
    /// Time between two requests, 0 for no limit.
    pub interval: GoDuration,
    /// Requests that may come at once.
    pub burst: u32,
}

/// Headers the file may set, as upstream's list.
const ALLOWED_HEADERS: [&str; 9] = [
    "Content-Security-Policy",
    "Cross-Origin-Embedder-Policy",
    "Cross-Origin-Opener-Policy",
    "Cross-Origin-Resource-Policy",
    "Permissions-Policy",
    "Strict-Transport-Security",
    "X-Content-Type-Options",
    "X-Frame-Options",
    "X-XSS-Protection",
];

/// A web configuration file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WebConfigError {
    /// It cannot be read.
    #[error(transparent)]
    Load(#[from] ConfigError),
    /// What it says cannot be done.
    #[error("{}: {message}", file.display())]
    Invalid {
        /// The file.
        file: PathBuf,
        /// Why.
        message: String,
    },
}

impl WebConfig {
    /// Reads and checks a file, certificates included. Blocking.
    ///
    /// # Errors
    /// With the place in the file, or the reason why it cannot be used.
    pub fn load(file: &Path) -> Result<Self, WebConfigError> {
        let config: Self = crate::config::load(file)?;
        State::new(file, &config)?;
        Ok(config)
    }
}

/// What stands in front of the router, made from one version of the file.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) tls: Option<Arc<Tls>>,
    pub(super) http2: bool,
    auth: Option<BasicAuth>,
    headers: Vec<(HeaderName, HeaderValue)>,
    rate: Option<RateLimit>,
}

impl State {
    fn new(file: &Path, config: &WebConfig) -> Result<Self, WebConfigError> {
        let invalid = |message: String| WebConfigError::Invalid { file: file.to_owned(), message };
        let dir = file.parent().unwrap_or_else(|| Path::new("."));
        let http2 = config.http_server_config.http2;
        let tls = match &config.tls_server_config {
            Some(settings) => Some(Arc::new(Tls::new(settings, dir, http2).map_err(invalid)?)),
            None => None,
        };
        for (user, hash) in &config.basic_auth_users {
            // A hash that cannot be read would lock its user out without a word.
            if bcrypt::verify("", hash.reveal()).is_err() {
                return Err(invalid(format!("basic_auth_users: the password of {user:?} is no bcrypt hash")));
            }
        }
        let mut headers = Vec::new();
        for (name, value) in &config.http_server_config.headers {
            if !ALLOWED_HEADERS.iter().any(|allowed| allowed.eq_ignore_ascii_case(name)) {
                return Err(invalid(format!("HTTP header {name:?} can not be configured")));
            }
            let pair = HeaderName::try_from(name.as_str()).ok().zip(HeaderValue::try_from(value.as_str()).ok());
            headers.push(pair.ok_or_else(|| invalid(format!("HTTP header {name:?} has an invalid value")))?);
        }
        let auth = (!config.basic_auth_users.is_empty()).then(|| BasicAuth::new(config.basic_auth_users.clone()));
        let rate = config.rate_limit.filter(|limit| limit.interval.0 > 0).map(RateLimit::new);
        Ok(Self { tls, http2, auth, headers, rate })
    }

    /// The answer to a request that may not pass.
    pub(super) async fn admit(&self, request: &HeaderMap) -> Option<Response<Body>> {
        if self.rate.as_ref().is_some_and(|rate| !rate.take(Instant::now())) {
            return Some(super::text(StatusCode::TOO_MANY_REQUESTS, "Too Many Requests\n"));
        }
        if let Some(auth) = &self.auth
            && !auth.allows(request).await
        {
            let mut refusal = super::text(StatusCode::UNAUTHORIZED, "Unauthorized\n");
            refusal.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic"));
            return Some(refusal);
        }
        None
    }

    pub(super) fn add_headers(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.headers {
            headers.insert(name.clone(), value.clone());
        }
    }
}

/// A bucket of tokens.
#[derive(Debug)]
struct RateLimit {
    interval: Duration,
    burst: f64,
    tokens: Mutex<(f64, Option<Instant>)>,
}

impl RateLimit {
    fn new(config: RateLimitConfig) -> Self {
        let burst = f64::from(config.burst.max(1));
        Self { interval: config.interval.to_std(), burst, tokens: Mutex::new((burst, None)) }
    }

    fn take(&self, now: Instant) -> bool {
        let mut state = self.tokens.lock();
        let (tokens, last) = &mut *state;
        if let Some(last) = last {
            *tokens += now.duration_since(*last).as_secs_f64() / self.interval.as_secs_f64();
            *tokens = tokens.min(self.burst);
        }
        *last = Some(now);
        let allowed = *tokens >= 1.0;
        if allowed {
            *tokens -= 1.0;
        }
        allowed
    }
}

/// Holds the state in force and renews it when the file, a certificate or a key changes.
#[derive(Debug)]
pub(super) struct Front {
    file: Option<PathBuf>,
    loaded: Mutex<Loaded>,
}

/// Files and when they were changed.
type Stamps = Vec<(PathBuf, Option<SystemTime>)>;

#[derive(Debug)]
struct Loaded {
    state: Arc<State>,
    stamps: Stamps,
    checked: Instant,
}

impl Front {
    pub(super) fn new(file: Option<PathBuf>) -> Result<Self, WebConfigError> {
        let (state, stamps) = match &file {
            Some(file) => load(file)?,
            None => (State { http2: true, ..State::default() }, Vec::new()),
        };
        let loaded = Loaded { state: Arc::new(state), stamps, checked: Instant::now() };
        Ok(Self { file, loaded: Mutex::new(loaded) })
    }

    pub(super) async fn current(self: &Arc<Self>) -> Arc<State> {
        {
            let mut loaded = self.loaded.lock();
            if self.file.is_none() || loaded.checked.elapsed() < Duration::from_secs(1) {
                return loaded.state.clone();
            }
            loaded.checked = Instant::now();
        }
        let front = self.clone();
        // A failed join is a panic while loading: the state in force stays.
        let _ = tokio::task::spawn_blocking(move || front.renew()).await;
        self.loaded.lock().state.clone()
    }

    fn renew(&self) {
        let Some(file) = &self.file else { return };
        let changed = self.loaded.lock().stamps.iter().any(|(file, stamp)| modified(file) != *stamp);
        if !changed {
            return;
        }
        match load(file) {
            Ok((state, stamps)) => {
                let mut loaded = self.loaded.lock();
                loaded.state = Arc::new(state);
                loaded.stamps = stamps;
                tracing::info!(component = "http", file = %file.display(), "web configuration read again");
            }
            Err(error) => {
                tracing::error!(component = "http", %error, "web configuration cannot be used, the old one stays in force");
            }
        }
    }
}

fn modified(file: &Path) -> Option<SystemTime> {
    std::fs::metadata(file).ok()?.modified().ok()
}

fn load(file: &Path) -> Result<(State, Stamps), WebConfigError> {
    let config: WebConfig = crate::config::load(file)?;
    let dir = file.parent().unwrap_or_else(|| Path::new("."));
    let mut files = vec![file.to_owned()];
    if let Some(tls) = &config.tls_server_config {
        let named = [&tls.cert_file, &tls.key_file, &tls.client_ca_file];
        files.extend(named.into_iter().filter(|file| !file.as_os_str().is_empty()).map(|file| dir.join(file)));
    }
    let stamps = files.into_iter().map(|file| (modified(&file), file)).map(|(stamp, file)| (file, stamp)).collect();
    Ok((State::new(file, &config)?, stamps))
}
