//! Remote read, answered: samples in one message, or a stream of frames with chunks of 120 samples in Prometheus' encoding.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use bytes::Bytes;
use kit::http::{BodyLimits, read_body};
use model::{Labels, Matcher, SampleColumns, SelectHints};
use tokio::sync::mpsc;
use wire::remote_read::{
    CONTENT_TYPE_SAMPLES, CONTENT_TYPE_STREAMED, Chunk, ChunkEncoding, Query, ReadRequest, ReadResponseWriter,
    ResponseType, write_frame,
};

use crate::state::App;
use crate::xor;

/// Most bytes of a request after decompression.
const MAX_REQUEST: usize = 32 << 20;
/// Samples of a chunk.
const CHUNK_SAMPLES: usize = 120;
/// Bytes of chunks in a frame.
const FRAME_BYTES: usize = 1 << 20;
/// Frames made before the client has taken the first.
const FRAMES_AHEAD: usize = 4;

/// What remote reading may cost.
#[derive(Clone, Copy, Debug)]
pub struct ReadLimits {
    /// Most samples of an answer in one message, 0: no limit.
    pub samples: usize,
    /// Most requests at a time.
    pub concurrency: usize,
}

/// Handles `POST /api/v1/read`.
pub async fn read(State(app): State<Arc<App>>, request: Request) -> Response<Body> {
    if let Err(error) = app.ready() {
        return (StatusCode::SERVICE_UNAVAILABLE, error.message).into_response();
    }
    let Ok(slot) = app.read_slots.clone().acquire_owned().await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let (parts, body) = request.into_parts();
    let mut headers = parts.headers;
    headers.remove(header::CONTENT_ENCODING);
    let limits = BodyLimits { wire: MAX_REQUEST, decompressed: MAX_REQUEST, ..BodyLimits::default() };
    let bytes = match read_body(&headers, body, &limits).await {
        Ok(bytes) => bytes,
        Err(e) => return (e.status(), format!("{e}\n")).into_response(),
    };
    let decoded = wire::compress::snappy_decode(&bytes, MAX_REQUEST).and_then(|message| ReadRequest::decode(&message));
    let request = match decoded {
        Ok(request) => request,
        Err(e) => return (StatusCode::BAD_REQUEST, format!("{e}\n")).into_response(),
    };
    let kind = request.accepted.first().copied().unwrap_or(ResponseType::Samples);
    match kind {
        ResponseType::Samples => {
            let made = tokio::task::spawn_blocking(move || {
                let _slot = slot;
                samples(&app, &request)
            })
            .await;
            match made {
                Ok(Ok(body)) => {
                    let headers = [
                        (header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE_SAMPLES)),
                        (header::CONTENT_ENCODING, HeaderValue::from_static("snappy")),
                    ];
                    (headers, wire::compress::snappy_encode(&body)).into_response()
                }
                Ok(Err(failure)) => (failure.status(), failure.to_string() + "\n").into_response(),
                Err(e) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{e}\n")).into_response(),
            }
        }
        ResponseType::StreamedXorChunks => {
            let (sender, receiver) = mpsc::channel(FRAMES_AHEAD);
            tokio::task::spawn_blocking(move || {
                let _slot = slot;
                if let Err(failure) = frames(&app, &request, &sender) {
                    // The answer has begun: breaking it off is the only way to say so.
                    let _ = sender.blocking_send(Err(std::io::Error::other(failure.to_string())));
                }
            });
            let stream = Body::new(Frames(receiver));
            ([(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE_STREAMED))], stream).into_response()
        }
    }
}

/// Frames as they are made.
pub(crate) struct Frames(pub(crate) mpsc::Receiver<std::io::Result<Vec<u8>>>);

impl hyper::body::Body for Frames {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, std::io::Error>>> {
        self.0.poll_recv(cx).map(|made| made.map(|made| made.map(|bytes| hyper::body::Frame::data(bytes.into()))))
    }
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("exceeded sample limit ({0})")]
    TooMany(usize),
    #[error(transparent)]
    Source(#[from] model::SourceError),
    #[error("the client is gone")]
    Gone,
}

impl Failure {
    fn status(&self) -> StatusCode {
        match self {
            Self::TooMany(_) => StatusCode::BAD_REQUEST,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// Calls `each` with the series of a query and its samples, in the order of label sets.
fn each_series(
    app: &App,
    query: &Query,
    columns: &mut SampleColumns,
    mut each: impl FnMut(&Labels, &SampleColumns) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let external = app.config.load().external_labels().clone();
    // A peer that adds our external labels to its question means our own series.
    let own = |matcher: &&Matcher| {
        external
            .get(matcher.name())
            .is_none_or(|value| !(matcher.op() == model::MatchOp::Equal && matcher.value() == value))
    };
    let matchers: Vec<Matcher> = query.matchers.iter().filter(own).cloned().collect();
    let hints = SelectHints { start_ms: query.start_ms, end_ms: query.end_ms, ..SelectHints::default() };
    let selection = app.queries.local().select(&matchers, &hints)?;
    let mut order: Vec<(Labels, usize)> = (0..selection.len())
        .map(|index| {
            let mut labels = selection.labels(index).to_builder();
            for (name, value) in &external {
                if labels.get(name).is_none() {
                    labels.set(name, value);
                }
            }
            (labels.build(), index)
        })
        .collect();
    order.sort();
    for (labels, index) in order {
        selection.read(index, columns)?;
        trim(columns, query.start_ms, query.end_ms);
        if !columns.timestamps.is_empty() {
            each(&labels, columns)?;
        }
    }
    Ok(())
}

/// Takes away what stores give around the range that was asked for.
fn trim(columns: &mut SampleColumns, start_ms: i64, end_ms: i64) {
    let last = columns.timestamps.partition_point(|time| *time <= end_ms);
    columns.timestamps.truncate(last);
    columns.values.truncate(last);
    let first = columns.timestamps.partition_point(|time| *time < start_ms);
    columns.timestamps.drain(..first);
    columns.values.drain(..first);
}

fn samples(app: &App, request: &ReadRequest) -> Result<Vec<u8>, Failure> {
    let mut writer = ReadResponseWriter::new();
    let mut columns = SampleColumns::new();
    let limit = app.read_limits.samples;
    let mut total = 0;
    let mut failure = None;
    for query in &request.queries {
        writer.result(|result| {
            let done = each_series(app, query, &mut columns, |labels, columns| {
                total += columns.timestamps.len();
                if limit > 0 && total > limit {
                    return Err(Failure::TooMany(limit));
                }
                result.series(labels, columns.timestamps.iter().copied().zip(columns.values.iter().copied()));
                Ok(())
            });
            failure = done.err();
        });
        if let Some(failure) = failure.take() {
            return Err(failure);
        }
    }
    Ok(writer.finish())
}

fn frames(app: &App, request: &ReadRequest, sender: &mpsc::Sender<std::io::Result<Vec<u8>>>) -> Result<(), Failure> {
    let mut columns = SampleColumns::new();
    for (number, query) in request.queries.iter().enumerate() {
        each_series(app, query, &mut columns, |labels, columns| {
            let mut chunks: Vec<(i64, i64, Vec<u8>)> = Vec::new();
            let mut bytes = 0;
            let send = |chunks: &mut Vec<(i64, i64, Vec<u8>)>| {
                let mut frame = Vec::new();
                let parts = chunks.iter().map(|(min_ms, max_ms, data)| Chunk {
                    min_ms: *min_ms,
                    max_ms: *max_ms,
                    encoding: ChunkEncoding::Xor,
                    data,
                });
                write_frame(&mut frame, number as u64, labels, parts);
                chunks.clear();
                sender.blocking_send(Ok(frame)).map_err(|_| Failure::Gone)
            };
            for (times, values) in columns.timestamps.chunks(CHUNK_SAMPLES).zip(columns.values.chunks(CHUNK_SAMPLES)) {
                let data = xor::encode(times, values);
                bytes += data.len();
                chunks.push((times[0], times[times.len() - 1], data));
                if bytes >= FRAME_BYTES {
                    bytes = 0;
                    send(&mut chunks)?;
                }
            }
            if chunks.is_empty() { Ok(()) } else { send(&mut chunks) }
        })?;
    }
    Ok(())
}
