//! Streaming download of all entries of a query: NDJSON, CSV or plain lines, as long as it takes and in bounded memory.
//! Beyond the peer's API.
//!
//! A blocking thread evaluates and writes into a channel of few pieces, so that a slow client slows the evaluation down
//! and a client that goes away ends it.

use std::io::Write;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Response, header};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::body::Frame;
use logql::ast::Expr;
use logql::params::{self, Params as _};
use logql::{Entry, LogParams};
use model::Direction;
use tokio::sync::mpsc;

use super::answer::{Answer, ApiError};
use super::params::Params;
use super::{checks, encode};
use crate::state::App;

/// Bytes of a piece.
const PIECE: usize = 64 << 10;

/// Form of the download.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Ndjson,
    Csv,
    Text,
}

impl Format {
    fn of(text: &str) -> Option<Self> {
        match text {
            "" | "ndjson" | "jsonl" | "json" => Some(Self::Ndjson),
            "csv" => Some(Self::Csv),
            "text" | "txt" | "raw" => Some(Self::Text),
            _ => None,
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Text => "text/plain; charset=utf-8",
        }
    }

    fn extension(self) -> &'static str {
        match self {
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
            Self::Text => "txt",
        }
    }

    fn header(self) -> &'static [u8] {
        match self {
            Self::Csv => b"timestamp,timestamp_ns,labels,line\n",
            _ => b"",
        }
    }

    fn write(self, out: &mut Vec<u8>, entry: &Entry) {
        match self {
            Self::Ndjson => {
                out.extend_from_slice(b"{\"timestamp\":\"");
                out.extend_from_slice(encode::rfc3339(entry.timestamp_ns).as_bytes());
                out.extend_from_slice(b"\",\"timestamp_ns\":\"");
                model::number::write_i64(out, entry.timestamp_ns);
                out.extend_from_slice(b"\",\"labels\":");
                encode::labels(out, &entry.labels.all);
                out.extend_from_slice(b",\"line\":");
                encode::string(out, &entry.line);
                out.push(b'}');
            }
            Self::Csv => {
                out.extend_from_slice(encode::rfc3339(entry.timestamp_ns).as_bytes());
                out.push(b',');
                model::number::write_i64(out, entry.timestamp_ns);
                out.push(b',');
                csv_field(out, &entry.labels.all.to_string());
                out.push(b',');
                csv_field(out, &entry.line);
            }
            Self::Text => out.extend_from_slice(entry.line.as_bytes()),
        }
        out.push(b'\n');
    }
}

/// A field with quotes where it needs them (RFC 4180).
fn csv_field(out: &mut Vec<u8>, text: &str) {
    if !text.contains(['"', ',', '\n', '\r']) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    out.push(b'"');
    for byte in text.bytes() {
        if byte == b'"' {
            out.push(b'"');
        }
        out.push(byte);
    }
    out.push(b'"');
}

type Piece = Result<Bytes, ApiError>;

/// The channel as the body of an answer, behind the piece that was waited for.
struct Pieces {
    first: Option<Bytes>,
    rest: mpsc::Receiver<Piece>,
}

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        let broken = |error: ApiError| std::io::Error::other(error.text);
        self.rest.poll_recv(cx).map(|piece| piece.map(|piece| piece.map(Frame::data).map_err(broken)))
    }
}

/// Collects bytes into pieces, compressed or not.
struct Sink {
    to: mpsc::Sender<Piece>,
    plain: Vec<u8>,
    gzip: Option<GzEncoder<Vec<u8>>>,
}

impl Sink {
    /// False when nobody reads any more.
    fn flush(&mut self) -> bool {
        let piece = match &mut self.gzip {
            None => std::mem::take(&mut self.plain),
            Some(encoder) => {
                // Writing to memory cannot fail.
                let _ = encoder.write_all(&self.plain);
                self.plain.clear();
                std::mem::take(encoder.get_mut())
            }
        };
        piece.is_empty() || self.to.blocking_send(Ok(piece.into())).is_ok()
    }

    fn finish(mut self) {
        if self.flush()
            && let Some(rest) = self.gzip.and_then(|encoder| encoder.finish().ok())
        {
            let _ = self.to.blocking_send(Ok(rest.into()));
        }
    }
}

/// All entries of a query.
pub(super) async fn export(State(app): State<Arc<App>>, request: Request) -> Answer {
    let (headers, params) = Params::read(request).await?;
    let scope = app.scope(&headers).await?;
    let Some(format) = Format::of(params.get("format")) else {
        return Err(ApiError::bad(format!("format {:?} is none of ndjson, csv, text", params.get("format"))));
    };
    let gzip = matches!(params.get("gzip"), "1" | "true");
    let text = params.get("query");
    let expr = logql::parse(text, super::query::parse_options(&params))?;
    let tags = checks::tags(&headers);
    checks::admit(text, &expr, &tags, &scope.limits)?;
    let kind = checks::kind(&expr);
    let Expr::Log(log) = expr else {
        return Err(ApiError::bad("only entries can be exported, not the numbers of a metric query"));
    };
    let (start, end) = params::bounds(&params, crate::now_ns())?;
    let (start_ns, end_ns) = super::labels::checked(start, end, &scope)?;
    let direction = if params.has("direction") { params::direction(&params)? } else { Direction::Forward };
    let limit = if params.has("limit") { params::limit(&params)? } else { usize::MAX };
    let log_params = LogParams { start_ns, end_ns, direction, limit, interval_ns: 0, categorize: false, after: None };
    let mut job = super::query::job(&scope, text, kind, "range", tags);
    job.timeout = app.config.query.export_timeout;
    let (to, mut rest) = mpsc::channel::<Piece>(4);
    let failed = to.clone();
    let queries = app.queries.clone();
    tokio::spawn(async move {
        let result = queries
            .run(job, move |source, context| {
                let mut sink = Sink {
                    to,
                    plain: Vec::with_capacity(PIECE + 4096),
                    gzip: gzip.then(|| GzEncoder::new(Vec::new(), Compression::fast())),
                };
                sink.plain.extend_from_slice(format.header());
                let mut count = 0;
                logql::for_each_entry(source, &log, &log_params, context, |entry, _| {
                    format.write(&mut sink.plain, &entry);
                    count += 1;
                    let full = sink.plain.len() >= PIECE;
                    if count >= log_params.limit || full && !sink.flush() {
                        return ControlFlow::Break(());
                    }
                    ControlFlow::Continue(())
                })?;
                sink.finish();
                Ok(())
            })
            .await;
        if let Err(error) = result {
            tracing::warn!(component = "export", error = %error, "a download was broken off");
            // Where the answer has begun, breaking it off is all that is left.
            let _ = failed.send(Err(error.into())).await;
        }
    });
    // What is wrong with a query mostly shows at its first lines: then there is still a status to tell it by.
    let first = rest.recv().await.transpose()?;
    let mut response = Response::new(Body::new(Pieces { first, rest }));
    let kind = if gzip { "application/gzip" } else { format.content_type() };
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    let name = format!("attachment; filename=\"logs.{}{}\"", format.extension(), if gzip { ".gz" } else { "" });
    if let Ok(name) = HeaderValue::from_str(&name) {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_where_needed() {
        for (text, want) in [
            ("plain", "plain"),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("two\nlines", "\"two\nlines\""),
        ] {
            let mut out = Vec::new();
            csv_field(&mut out, text);
            assert_eq!(String::from_utf8(out).unwrap(), want);
        }
    }
}
