//! The envelope of every answer, and errors with their kinds and status codes.

use std::fmt::Write as _;

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use model::{SourceError, SourceErrorKind};
use promql::{QueryError, QueryErrorKind};

/// Kinds of errors as the API names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorType {
    /// A parameter or a body is wrong.
    BadData,
    /// A query failed while it ran.
    Execution,
    /// The client went away.
    Canceled,
    /// The query took too long.
    Timeout,
    /// Switched off.
    Unavailable,
    /// The server is about to begin or to end.
    NotReady,
    /// The store failed.
    Internal,
    /// There is no such thing.
    NotFound,
    /// Reading the store is forbidden or refused.
    NotAcceptable,
}

impl ErrorType {
    fn name(self) -> &'static str {
        match self {
            Self::BadData => "bad_data",
            Self::Execution => "execution",
            Self::Canceled => "canceled",
            Self::Timeout => "timeout",
            Self::Unavailable | Self::NotReady => "unavailable",
            Self::Internal => "internal",
            Self::NotFound => "not_found",
            Self::NotAcceptable => "not_acceptable",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::BadData => StatusCode::BAD_REQUEST,
            Self::Execution => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Canceled => StatusCode::from_u16(499).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            Self::Timeout | Self::NotReady => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unavailable | Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
        }
    }
}

/// An error of the API.
#[derive(Clone, Debug)]
pub struct ApiError {
    /// Its kind.
    pub kind: ErrorType,
    /// What happened.
    pub message: String,
}

impl ApiError {
    /// An error of a kind.
    pub fn new(kind: ErrorType, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// A wrong parameter or body.
    pub fn bad_data(message: impl Into<String>) -> Self {
        Self::new(ErrorType::BadData, message)
    }

    /// A wrong parameter, named.
    pub fn parameter(name: &str, message: impl std::fmt::Display) -> Self {
        Self::bad_data(format!("invalid parameter {name:?}: {message}"))
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        let kind = match error.kind() {
            QueryErrorKind::Invalid => ErrorType::BadData,
            QueryErrorKind::Timeout => ErrorType::Timeout,
            QueryErrorKind::Cancelled => ErrorType::Canceled,
            QueryErrorKind::Storage => ErrorType::Internal,
            _ => ErrorType::Execution,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<SourceError> for ApiError {
    fn from(error: SourceError) -> Self {
        let kind = match error.kind {
            SourceErrorKind::Invalid => ErrorType::BadData,
            SourceErrorKind::Limit => ErrorType::Execution,
            SourceErrorKind::Cancelled => ErrorType::Canceled,
            SourceErrorKind::Closed => ErrorType::NotReady,
            _ => ErrorType::Internal,
        };
        Self::new(kind, error.message)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response<Body> {
        // Before the API answers at all, as upstream: no JSON.
        if self.kind == ErrorType::NotReady {
            return (self.kind.status(), self.message).into_response();
        }
        let mut body = Vec::with_capacity(self.message.len() + 64);
        body.extend_from_slice(b"{\"status\":\"error\",\"errorType\":\"");
        body.extend_from_slice(self.kind.name().as_bytes());
        body.extend_from_slice(b"\",\"error\":");
        json_string(&mut body, &self.message);
        body.push(b'}');
        let mut response = json(body);
        *response.status_mut() = self.kind.status();
        response
    }
}

/// What goes beside the data of an answer.
#[derive(Clone, Debug, Default)]
pub struct Notes {
    /// Warnings.
    pub warnings: Vec<String>,
    /// Hints.
    pub infos: Vec<String>,
}

/// A successful answer whose data `write` adds.
pub fn success(notes: &Notes, write: impl FnOnce(&mut Vec<u8>)) -> Response<Body> {
    let mut body = Vec::with_capacity(4096);
    body.extend_from_slice(b"{\"status\":\"success\",\"data\":");
    write(&mut body);
    for (name, list) in [("warnings", &notes.warnings), ("infos", &notes.infos)] {
        if !list.is_empty() {
            body.extend_from_slice(b",\"");
            body.extend_from_slice(name.as_bytes());
            body.extend_from_slice(b"\":");
            strings(&mut body, list.iter().map(String::as_str));
        }
    }
    body.push(b'}');
    json(body)
}

/// A successful answer with data that `serde` writes.
pub fn success_of<T: serde::Serialize + ?Sized>(data: &T) -> Response<Body> {
    match serde_json::to_vec(data) {
        Ok(bytes) => success(&Notes::default(), |body| body.extend_from_slice(&bytes)),
        Err(e) => ApiError::new(ErrorType::Internal, e.to_string()).into_response(),
    }
}

fn json(body: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A JSON array of strings.
pub fn strings<'a>(out: &mut Vec<u8>, list: impl Iterator<Item = &'a str>) {
    out.push(b'[');
    for (at, text) in list.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        json_string(out, text);
    }
    out.push(b']');
}

/// A JSON string. Go's encoder escapes `<`, `>`, `&` and two line separators; clients read both forms, so only what JSON
/// demands is escaped.
pub fn json_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut clean = 0;
    for (at, byte) in bytes.iter().enumerate() {
        if *byte >= 0x20 && *byte != b'"' && *byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[clean..at]);
        clean = at + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            byte => {
                let mut escape = String::with_capacity(6);
                let _ = write!(escape, "\\u{byte:04x}");
                out.extend_from_slice(escape.as_bytes());
            }
        }
    }
    out.extend_from_slice(&bytes[clean..]);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_json() {
        for text in ["", "plain", "quote \" back \\ line \n tab \t bell \u{7} é \u{2028}", "\u{0}\u{1f}"] {
            let mut out = Vec::new();
            json_string(&mut out, text);
            assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }
    }
}
