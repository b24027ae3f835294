//! Reading a request's body: whole, within limits, in time, decompressed.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;

/// What a body may cost.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimits {
    /// Most bytes on the wire.
    pub wire: usize,
    /// Most bytes after decompression.
    pub decompressed: usize,
    /// Longest time for all of it to arrive.
    pub timeout: Duration,
}

impl Default for BodyLimits {
    fn default() -> Self {
        Self { wire: 32 << 20, decompressed: 32 << 20, timeout: Duration::from_secs(60) }
    }
}

/// A body could not be read. [`BodyError::status`] is the answer it deserves.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// Too big on the wire or after decompression.
    #[error("request body too large, limit {limit} bytes{}", if *.decompressed { " after decompression" } else { "" })]
    TooLarge {
        /// The limit.
        limit: usize,
        /// Which side of the compression it is on.
        decompressed: bool,
    },
    /// It did not arrive in time.
    #[error("request body did not arrive within {0:?}")]
    Timeout(Duration),
    /// The connection broke.
    #[error("request body: {0}")]
    Broken(String),
    /// A compression nobody here knows.
    #[error("Content-Encoding {0:?} not supported")]
    Encoding(String),
    /// Damaged compressed data.
    #[error("{0}")]
    Damaged(wire::Error),
}

impl BodyError {
    /// Status of the answer.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Timeout(_) => StatusCode::REQUEST_TIMEOUT,
            Self::Encoding(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Broken(_) | Self::Damaged(_) => StatusCode::BAD_REQUEST,
        }
    }
}

/// Reads a body and undoes its `Content-Encoding` (`snappy` blocks, `gzip`, `deflate`, `identity`). Limits are checked
/// while reading: memory stays within them whatever the headers claim. Decompression runs on the calling task; callers
/// with very large limits move it to a blocking thread themselves.
///
/// # Errors
/// See [`BodyError`].
pub async fn read_body(headers: &HeaderMap, body: Body, limits: &BodyLimits) -> Result<Bytes, BodyError> {
    let too_large = |decompressed| BodyError::TooLarge {
        limit: if decompressed { limits.decompressed } else { limits.wire },
        decompressed,
    };
    let encoding = headers.get(header::CONTENT_ENCODING).map_or("", |value| value.to_str().unwrap_or("?")).trim();
    let known = ["", "identity", "snappy", "gzip", "deflate"];
    let Some(encoding) = known.into_iter().find(|name| name.eq_ignore_ascii_case(encoding)) else {
        return Err(BodyError::Encoding(encoding.to_owned()));
    };
    let claimed = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
    if claimed.is_some_and(|len| len > limits.wire) {
        return Err(too_large(false));
    }
    let read = collect(body, claimed.unwrap_or(0), limits.wire);
    let raw = match tokio::time::timeout(limits.timeout, read).await {
        Err(_) => return Err(BodyError::Timeout(limits.timeout)),
        Ok(Err(error)) => return Err(error),
        Ok(Ok(None)) => return Err(too_large(false)),
        Ok(Ok(Some(raw))) => raw,
    };
    let decoded = match encoding {
        "snappy" => wire::compress::snappy_decode(&raw, limits.decompressed),
        "gzip" => wire::compress::gzip_decode(&raw, limits.decompressed),
        "deflate" => wire::compress::deflate_decode(&raw, limits.decompressed),
        _ if raw.len() > limits.decompressed => return Err(too_large(true)),
        _ => return Ok(raw),
    };
    match decoded {
        Ok(bytes) => Ok(bytes.into()),
        Err(wire::Error::Limit { .. }) => Err(too_large(true)),
        Err(error) => Err(BodyError::Damaged(error)),
    }
}

/// All frames of the body, or `None` when they are more than `limit` bytes.
async fn collect(mut body: Body, claimed: usize, limit: usize) -> Result<Option<Bytes>, BodyError> {
    let mut first: Option<Bytes> = None;
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| BodyError::Broken(e.to_string()))?;
        let Ok(data) = frame.into_data() else { continue };
        if all.len() + first.as_ref().map_or(0, Bytes::len) + data.len() > limit {
            return Ok(None);
        }
        // Most bodies are one frame: no copy for those.
        match first.take() {
            None if all.is_empty() => first = Some(data),
            earlier => {
                all.reserve(
                    claimed
                        .min(limit)
                        .max(earlier.as_ref().map_or(0, Bytes::len) + data.len())
                        .saturating_sub(all.len()),
                );
                all.extend_from_slice(&earlier.unwrap_or_default());
                all.extend_from_slice(&data);
            }
        }
    }
    Ok(Some(first.unwrap_or_else(|| all.freeze())))
}
