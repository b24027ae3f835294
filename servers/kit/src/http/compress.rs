//! Compression of answers by `Accept-Encoding`.

use std::io::Write;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use hyper::body::{Body as _, Frame, SizeHint};

/// Answers shorter than this are sent as they are.
const MIN_BYTES: u64 = 1024;

/// What the client takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Accepts {
    Nothing,
    Gzip,
    Deflate,
}

impl Accepts {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let (mut gzip, mut deflate) = (0.0f32, 0.0f32);
        for value in headers.get_all(header::ACCEPT_ENCODING) {
            for part in value.to_str().unwrap_or("").split(',') {
                let (name, parameters) = part.split_once(';').unwrap_or((part, ""));
                let q = parameters.trim().strip_prefix("q=").and_then(|q| q.parse().ok()).unwrap_or(1.0);
                match name.trim() {
                    "gzip" | "x-gzip" => gzip = q,
                    "deflate" => deflate = q,
                    _ => {}
                }
            }
        }
        match () {
            () if gzip > 0.0 && gzip >= deflate => Self::Gzip,
            () if deflate > 0.0 => Self::Deflate,
            () => Self::Nothing,
        }
    }
}

pub(super) fn compress(mut response: Response<Body>, accepts: Accepts) -> Response<Body> {
    let hint = response.body().size_hint();
    let headers = response.headers();
    let kind = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
    let worth = hint.exact().is_none_or(|len| len >= MIN_BYTES)
        && compressible(kind)
        && !headers.contains_key(header::CONTENT_ENCODING)
        && !headers.contains_key(header::CONTENT_RANGE)
        && !matches!(response.status(), StatusCode::SWITCHING_PROTOCOLS | StatusCode::NO_CONTENT);
    if !worth {
        return response;
    }
    let vary = HeaderValue::from_static("Accept-Encoding");
    response.headers_mut().append(header::VARY, vary);
    let (name, encoder) = match accepts {
        Accepts::Nothing => return response,
        Accepts::Gzip => ("gzip", Encoder::Gzip(GzEncoder::new(Vec::new(), Compression::fast()))),
        Accepts::Deflate => ("deflate", Encoder::Zlib(ZlibEncoder::new(Vec::new(), Compression::fast()))),
    };
    response.headers_mut().remove(header::CONTENT_LENGTH);
    response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static(name));
    let stream = hint.exact().is_none();
    response.map(|inner| Body::new(CompressedBody { inner, encoder: Some(encoder), stream }))
}

fn compressible(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or("").trim();
    if kind == "text/event-stream" {
        return false;
    }
    kind.starts_with("text/")
        || ["json", "javascript", "xml", "openmetrics-text", "yaml", "x-ndjson", "wasm"]
            .iter()
            .any(|part| kind.contains(part))
        || kind == "application/vnd.google.protobuf"
}

enum Encoder {
    Gzip(GzEncoder<Vec<u8>>),
    Zlib(ZlibEncoder<Vec<u8>>),
}

impl Encoder {
    /// Writing into memory cannot fail; what is compressed so far comes back.
    fn write(&mut self, data: &[u8], flush: bool) -> Vec<u8> {
        match self {
            Self::Gzip(encoder) => {
                let _ = encoder.write_all(data);
                if flush {
                    let _ = encoder.flush();
                }
                std::mem::take(encoder.get_mut())
            }
            Self::Zlib(encoder) => {
                let _ = encoder.write_all(data);
                if flush {
                    let _ = encoder.flush();
                }
                std::mem::take(encoder.get_mut())
            }
        }
    }

    fn finish(self) -> Vec<u8> {
        match self {
            Self::Gzip(encoder) => encoder.finish(),
            Self::Zlib(encoder) => encoder.finish(),
        }
        .unwrap_or_default()
    }
}

/// A body whose data is compressed as it passes.
struct CompressedBody {
    inner: Body,
    /// Gone after the end.
    encoder: Option<Encoder>,
    /// The inner body's length is unknown: what comes is passed on at once, compressed worse.
    stream: bool,
}

impl hyper::body::Body for CompressedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        loop {
            if self.encoder.is_none() {
                return Poll::Ready(None);
            }
            let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
            let stream = self.stream;
            let out = match (frame, self.encoder.as_mut()) {
                (Some(Ok(frame)), Some(encoder)) => match frame.into_data() {
                    Ok(data) => encoder.write(&data, stream),
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                (Some(Err(error)), _) => {
                    self.encoder = None;
                    return Poll::Ready(Some(Err(error)));
                }
                (None, _) => self.encoder.take().map(Encoder::finish).unwrap_or_default(),
                (Some(Ok(_)), None) => continue,
            };
            if !out.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(out.into()))));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.encoder.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
