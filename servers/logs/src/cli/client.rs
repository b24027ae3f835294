//! Requests to the API of a log server.

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue};
use kit::client::{Client, ClientError, Request};
use serde_json::Value;

use super::flags::ServerFlags;
use super::output::{Labels, Stream};
use crate::tenants::TENANT_HEADER;

/// Longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(3600);

/// The server did not answer as hoped.
#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("error response from server: {status} {text}")]
    Status { status: u16, text: String },
    #[error("the answer of the server cannot be read: {0}")]
    Answer(String),
    #[error("{0}")]
    Usage(String),
    #[error("{0}: {1}")]
    Io(String, std::io::Error),
    #[error("cannot write: {0}")]
    Output(#[from] std::io::Error),
}

/// Asks a server.
#[derive(Clone)]
pub(super) struct Api {
    client: Client,
    flags: ServerFlags,
    quiet: bool,
}

/// Pairs of a URL's query.
pub(super) type Params = Vec<(&'static str, String)>;

impl Api {
    pub(super) fn new(flags: &ServerFlags, quiet: bool) -> Result<Self, CliError> {
        let user_agent = concat!("foursight-logs-query/", env!("CARGO_PKG_VERSION"));
        let mut settings = flags.client_settings();
        // Websockets begin as HTTP/1.
        settings.enable_http2 = false;
        Ok(Self { client: Client::new(&settings, user_agent)?, flags: flags.clone(), quiet })
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// A request with the headers that the flags ask for.
    pub(super) fn request(&self, path: &str, params: &Params) -> Result<Request, CliError> {
        let query: Vec<String> =
            params.iter().map(|(name, value)| format!("{name}={}", kit::percent::encode(value))).collect();
        let mut url = format!("{}{path}", self.flags.addr.trim_end_matches('/'));
        if !query.is_empty() {
            url = format!("{url}?{}", query.join("&"));
        }
        let mut request = Request::get(url).timeout(TIMEOUT);
        request.max_body = 0;
        let mut put = |name: &str, value: &str| -> Result<(), CliError> {
            let header = name.parse::<HeaderName>().ok().zip(HeaderValue::from_str(value).ok());
            let (name, value) = header.ok_or_else(|| CliError::Usage(format!("{name}: {value:?} is no header")))?;
            request.headers.insert(name, value);
            Ok(())
        };
        if !self.flags.org_id.is_empty() {
            put(TENANT_HEADER, &self.flags.org_id)?;
        }
        if !self.flags.query_tags.is_empty() {
            put("x-query-tags", &self.flags.query_tags)?;
        }
        for header in &self.flags.header {
            let (name, value) = header
                .split_once('=')
                .ok_or_else(|| CliError::Usage(format!("header {header:?} is not name=value")))?;
            put(name, value)?;
        }
        Ok(request)
    }

    /// The JSON of an answer. What failed on the way is tried again as often as the flags say.
    pub(super) async fn get(&self, path: &str, params: &Params) -> Result<Value, CliError> {
        let mut pause = Duration::from_secs(self.flags.min_backoff);
        let mut left = self.flags.retries;
        loop {
            let request = self.request(path, params)?;
            if !self.quiet {
                eprintln!("{}", request.url);
            }
            let result = match self.client.send(request).await {
                Ok(answer) if answer.status.is_success() => {
                    return serde_json::from_slice(&answer.body).map_err(|e| CliError::Answer(e.to_string()));
                }
                Ok(answer) => {
                    let text = String::from_utf8_lossy(&answer.body).trim().to_owned();
                    Err(CliError::Status { status: answer.status.as_u16(), text })
                }
                Err(e) => Err(e.into()),
            };
            let again = !matches!(&result, Err(CliError::Status { status, .. }) if *status < 500 && *status != 429);
            match result {
                Err(e) if left > 0 && again => {
                    eprintln!("{e}; trying again");
                    left -= 1;
                    tokio::time::sleep(pause).await;
                    let longest =
                        Duration::from_secs(self.flags.max_backoff).max(Duration::from_secs(self.flags.min_backoff));
                    pause = (pause * 2).min(longest);
                }
                result => return result,
            }
        }
    }
}

/// Streams of the `result` of an answer, or of a frame of a tail.
pub(super) fn streams(result: &Value) -> Result<Vec<Stream>, CliError> {
    let wrong = |what: &str| CliError::Answer(format!("{what} is missing or not what it should be"));
    let mut streams = Vec::new();
    for one in result.as_array().ok_or_else(|| wrong("result"))? {
        let labels = one["stream"].as_object().ok_or_else(|| wrong("stream"))?;
        let labels: Labels =
            labels.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap_or("").to_owned())).collect();
        let mut entries = Vec::new();
        for value in one["values"].as_array().ok_or_else(|| wrong("values"))? {
            let time = value[0].as_str().and_then(|text| text.parse().ok()).ok_or_else(|| wrong("a time"))?;
            entries.push((time, value[1].as_str().ok_or_else(|| wrong("a line"))?.to_owned()));
        }
        streams.push(Stream { labels, entries });
    }
    Ok(streams)
}
