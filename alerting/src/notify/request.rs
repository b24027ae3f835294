//! What the host sends for the notifier, and what it reports back.
//!
//! A [`Send`] carries everything a host needs: requests in order, or a mail. The host reports an [`Outcome`];
//! [`super::retry`] judges it by the integration's rules.

use std::fmt;

use super::config::http::{HttpConfig, TlsConfig};
use super::config::secret::{HostPort, Secret};
use super::log::{IntegrationKey, NotifyReason};
use super::rich::RichMessage;
use model::Labels;

/// Number of an attempt, unique within the life of a notifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SendId(pub u64);

/// One attempt to notify a receiver, for the host to carry out.
#[derive(Clone, Debug, PartialEq)]
pub struct Send {
    /// To be given back with the outcome.
    pub id: SendId,
    /// To whom.
    pub integration: IntegrationKey,
    /// About which group.
    pub group_key: String,
    /// Labels of the group.
    pub group_labels: Labels,
    /// Why.
    pub reason: NotifyReason,
    /// How many alerts it is about.
    pub alerts: usize,
    /// How often this was tried, this time included.
    pub attempt: u32,
    /// When to give up.
    pub deadline_ms: i64,
    /// What to send.
    pub payload: Payload,
}

/// What to send.
#[derive(Clone, Debug, PartialEq)]
pub enum Payload {
    /// Requests, one after the other; the first that does not get a 2xx ends them.
    Http(Vec<HttpRequest>),
    /// Mails.
    Mail(Vec<Mail>),
    /// A message in Foursight's own layout, to which the host may add log lines, values and pictures.
    Rich(Box<RichMessage>),
}

/// An HTTP request. Its address and headers may hold secrets and are not printed.
#[derive(Clone, PartialEq)]
pub struct HttpRequest {
    /// `POST`, `PUT`, ….
    pub method: &'static str,
    /// Where to.
    pub url: Secret,
    /// Headers besides those of `http_config`.
    pub headers: Vec<(String, Secret)>,
    /// Body.
    pub body: Vec<u8>,
    /// Client settings; defaults if absent.
    pub http_config: Option<HttpConfig>,
    /// Longest the request may take, if less than until the deadline.
    pub timeout_ms: Option<i64>,
}

impl HttpRequest {
    /// A POST of JSON.
    pub fn json(url: Secret, body: Vec<u8>, http_config: Option<HttpConfig>) -> Self {
        let headers = vec![("Content-Type".to_owned(), Secret::new("application/json"))];
        Self { method: "POST", url, headers, body, http_config, timeout_ms: None }
    }

    /// With a time limit; 0 is none.
    #[must_use]
    pub fn timeout(mut self, timeout_ms: i64) -> Self {
        self.timeout_ms = (timeout_ms > 0).then_some(timeout_ms);
        self
    }
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRequest")
            .field("method", &self.method)
            .field("url", &self.url)
            .field("headers", &self.headers.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .field("body", &String::from_utf8_lossy(&self.body))
            .field("timeout_ms", &self.timeout_ms)
            .finish_non_exhaustive()
    }
}

/// A mail and how to hand it in.
#[derive(Clone, Debug, PartialEq)]
pub struct Mail {
    /// Server.
    pub smarthost: HostPort,
    /// Name to greet the server with.
    pub hello: String,
    /// Address of the sender, for the envelope.
    pub from: String,
    /// Addresses of those who get it, for the envelope.
    pub to: Vec<String>,
    /// Headers in order, already encoded.
    pub headers: Vec<(String, String)>,
    /// Plain text, if any.
    pub text: Option<String>,
    /// HTML, if any.
    pub html: Option<String>,
    /// User to log in with; nobody logs in if empty.
    pub auth_username: String,
    /// Password for LOGIN and PLAIN.
    pub auth_password: Secret,
    /// Secret for CRAM-MD5.
    pub auth_secret: Secret,
    /// Identity for PLAIN.
    pub auth_identity: String,
    /// Whether STARTTLS is a must.
    pub require_tls: bool,
    /// Whether the connection is encrypted from the start; by the port (465) if not said.
    pub implicit_tls: Option<bool>,
    /// Certificates and server name.
    pub tls_config: Option<TlsConfig>,
}

/// A response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpResponse {
    /// Status code.
    pub status: u16,
    /// Header `Content-Type`.
    pub content_type: String,
    /// Header `Retry-After`, from now on.
    pub retry_after_ms: Option<i64>,
    /// Body; its beginning is enough.
    pub body: Vec<u8>,
}

impl HttpResponse {
    /// A response of a status and a body.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, body: body.into(), ..Self::default() }
    }
}

/// How an attempt went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Responses to the requests that were made, in order.
    Http(Vec<HttpResponse>),
    /// The mails were taken.
    MailAccepted,
    /// No response: connection, name, certificate.
    Network(String),
    /// It took too long.
    Timeout,
    /// It cannot work as configured, so there is no point in trying again now.
    Rejected(String),
}

/// Why a notification failed, as metrics show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailureReason {
    /// Anything else.
    Other,
    /// 4xx.
    ClientError,
    /// 5xx.
    ServerError,
    /// Given up because the configuration changed or the server stops.
    ContextCanceled,
    /// No answer in time.
    ContextDeadlineExceeded,
    /// 401 or 403.
    AuthError,
    /// 429.
    RateLimited,
}

impl FailureReason {
    /// All, in the order of the metric's series.
    pub const ALL: [Self; 7] = [
        Self::Other,
        Self::ClientError,
        Self::ServerError,
        Self::ContextCanceled,
        Self::ContextDeadlineExceeded,
        Self::AuthError,
        Self::RateLimited,
    ];

    /// Value of the label `reason`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Other => "other",
            Self::ClientError => "clientError",
            Self::ServerError => "serverError",
            Self::ContextCanceled => "contextCanceled",
            Self::ContextDeadlineExceeded => "contextDeadlineExceeded",
            Self::AuthError => "authError",
            Self::RateLimited => "rateLimited",
        }
    }
}
