//! Taking entries: Loki's push in its forms, and OpenTelemetry logs.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use bytes::Bytes;
use kit::http::{BodyError, BodyLimits, read_body};
use logstore::PushReport;
use wire::otlp::Encoding;

use super::answer::{ApiError, header_text, no_content};
use crate::ingest::{Format, PushContext, PushError, StreamCache, decode, otlp, store};
use crate::state::App;
use crate::tenants::Tenant;

/// Most bytes of a push after decompression whatever the configuration allows: the store takes no push that is larger, and
/// memory is needed for other things.
const MAX_DECOMPRESSED: usize = 512 << 20;

/// Longest text of an answer; refused labels are told in it, and may be of any length.
const MAX_TEXT: usize = 64 << 10;

/// Entries as protobuf or JSON.
pub(super) async fn loki(State(app): State<Arc<App>>, request: Request) -> Response<Body> {
    match take(&app, request, Format::Loki).await {
        Ok(_) => no_content(),
        Err(error) => refused(&error).into_response(),
    }
}

/// OpenTelemetry records. Errors are the protocol's `Status` message; what it may send again is status 503, 429 or 504.
pub(super) async fn otlp(State(app): State<Arc<App>>, request: Request) -> Response<Body> {
    let error = match take(&app, request, Format::Otlp).await {
        Ok(_) => return no_content(),
        Err(error) => refused(&error),
    };
    let status = match error.status {
        StatusCode::INTERNAL_SERVER_ERROR => StatusCode::SERVICE_UNAVAILABLE,
        status => status,
    };
    let mut message = wire::proto::Writer::default();
    message.bytes(2, error.text.as_bytes());
    let mut response = Response::new(Body::from(message.into_bytes()));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/octet-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// A push failed before it reached the store, or in it.
enum Failed {
    Api(ApiError),
    Push(PushError),
}

impl<E: Into<PushError>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self::Push(error.into())
    }
}

fn refused(failed: &Failed) -> ApiError {
    match failed {
        Failed::Api(error) => error.clone(),
        Failed::Push(error) => ApiError::new(error.status(), bounded(error.to_string())),
    }
}

fn bounded(mut text: String) -> String {
    if text.len() > MAX_TEXT {
        let left_out = text.len() - MAX_TEXT;
        text.truncate(text.floor_char_boundary(MAX_TEXT));
        // Writing to a string cannot fail.
        let _ = write!(text, "… ({left_out} bytes more)");
    }
    text
}

/// Counts bytes of pushes in progress until dropped.
struct Inflight<'a>(&'a AtomicU64, u64);

impl Drop for Inflight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(self.1, Ordering::Relaxed);
    }
}

async fn take(app: &Arc<App>, request: Request, format: Format) -> Result<PushReport, Failed> {
    let begun = Instant::now();
    let tenant_id = app.tenants.one_named(request.headers()).map_err(|e| Failed::Api(e.into()))?;
    let config = app.config.push;
    let (parts, body) = request.into_parts();
    let encoding = match format {
        Format::Otlp => Some(otlp_encoding(&parts.headers)?),
        Format::Loki => None,
    };
    let limits = BodyLimits {
        wire: if config.max_body == 0 { usize::MAX } else { config.max_body },
        decompressed: if config.max_decompressed == 0 {
            MAX_DECOMPRESSED
        } else {
            config.max_decompressed.min(MAX_DECOMPRESSED)
        },
        timeout: app.config.server.read_timeout.max(Duration::from_secs(30)),
    };
    let read = read(&parts.headers, body, &limits, format).await;
    let body = match read {
        Ok(body) => body,
        Err(error) => {
            if matches!(error, PushError::Body(BodyError::TooLarge { .. })) {
                let claimed = header_text(&parts.headers, "content-length").parse().unwrap_or(0);
                app.push.discard_body(&tenant_id, claimed, format);
            }
            return Err(error.into());
        }
    };
    let size = body.bytes.len() as u64;
    let inflight = app.inflight.fetch_add(size, Ordering::Relaxed) + size;
    let _inflight = Inflight(&app.inflight, size);
    if config.max_inflight > 0 && inflight > config.max_inflight {
        return Err(PushError::Overloaded.into());
    }
    let tenant = app.tenants.open(&tenant_id).await?;
    let (worker, user_agent) = (app.clone(), header_text(&parts.headers, "user-agent").to_owned());
    let latency = tenant.limits().simulated_push_latency;
    // Decoding a large body and waiting for the log both take a thread's time.
    let work = move || work(&worker, &tenant, &body, encoding, format, &user_agent);
    let result = tokio::task::spawn_blocking(work).await.map_err(|e| PushError::Unfinished(e.to_string()))?;
    if let Some(wait) = latency.checked_sub(begun.elapsed()) {
        tokio::time::sleep(wait).await;
    }
    Ok(result?)
}

struct Read {
    bytes: Bytes,
    is_json: bool,
}

/// The encoding of an OpenTelemetry request.
fn otlp_encoding(headers: &HeaderMap) -> Result<Encoding, PushError> {
    let kind = header_text(headers, "content-type");
    Encoding::from_content_type(kind)
        .ok_or_else(|| PushError::Invalid(format!("content type: {kind} is not supported")))
}

/// Reads a body and undoes its compression.
async fn read(headers: &HeaderMap, body: Body, limits: &BodyLimits, format: Format) -> Result<Read, PushError> {
    let encoding = header_text(headers, "content-encoding");
    let known: &[&str] = match format {
        Format::Loki => &["", "snappy", "gzip", "deflate"],
        Format::Otlp => &["", "gzip"],
    };
    if !known.contains(&encoding) {
        return Err(PushError::Invalid(match format {
            Format::Loki => format!("Content-Encoding {encoding:?} not supported"),
            Format::Otlp => format!("unsupported content encoding {encoding}: only gzip is supported"),
        }));
    }
    let kind = header_text(headers, "content-type");
    let is_json = kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"));
    if format == Format::Loki && kind.is_empty() {
        return Err(PushError::Invalid("mime: no media type".to_owned()));
    }
    // Protobuf pushes are snappy blocks whatever the header says, below gzip too.
    let mut plain = headers.clone();
    let snappy = format == Format::Loki && !is_json;
    if encoding == "snappy" && snappy {
        plain.remove(header::CONTENT_ENCODING);
    }
    let bytes = read_body(&plain, body, limits).await?;
    if !snappy {
        return Ok(Read { bytes, is_json });
    }
    let decoded = wire::compress::snappy_decode(&bytes, limits.decompressed);
    match decoded {
        Ok(bytes) => Ok(Read { bytes: bytes.into(), is_json }),
        Err(wire::Error::Limit { .. }) => {
            Err(PushError::Body(BodyError::TooLarge { limit: limits.decompressed, decompressed: true }))
        }
        Err(error) => Err(error.into()),
    }
}

fn work(
    app: &App,
    tenant: &Tenant,
    body: &Read,
    encoding: Option<Encoding>,
    format: Format,
    user_agent: &str,
) -> Result<PushReport, PushError> {
    let limits = tenant.limits();
    let now_ns = crate::now_ns();
    let streams: &StreamCache = &tenant.streams;
    let batch = match encoding {
        Some(encoding) => otlp::decode(&body.bytes, encoding, streams, &limits, now_ns)?,
        None if body.is_json => decode::json(&body.bytes, streams, &limits)?,
        None => decode::protobuf(&body.bytes, streams, &limits)?,
    };
    let user_agent: Cow<'_, str> =
        if user_agent.len() > 120 { user_agent.chars().take(120).collect() } else { user_agent.into() };
    let context = PushContext {
        tenant,
        limits: &limits,
        metrics: &app.push,
        format,
        user_agent: &user_agent,
        max_told: app.config.push.max_returned_errors,
        now_ns,
    };
    let result = store(batch, context);
    if let Err(error) = &result {
        tracing::debug!(component = "push", tenant = tenant.id, error = %error, "push refused in whole or part");
    }
    result
}
