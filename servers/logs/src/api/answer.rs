//! Answers: JSON, plain text, and errors with the status and words of the peer.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use logql::params::ParamError;
use logql::{MatchersError, ParseError, QueryError, QueryErrorKind};

use crate::queries::RunError;
use crate::tenants::{OpenError, TenantError};

/// Status for a client that went away.
const CLIENT_CLOSED: u16 = 499;

/// An answer that says what is wrong, as plain text.
#[derive(Clone, Debug)]
pub struct ApiError {
    /// Its status.
    pub status: StatusCode,
    /// Its text.
    pub text: String,
}

impl ApiError {
    /// Any error.
    pub fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: text.into() }
    }

    /// Status 400.
    pub fn bad(error: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error.to_string())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response<Body> {
        let mut response = kit::http::text(self.status, self.text);
        let nosniff = HeaderValue::from_static("nosniff");
        response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
        response
    }
}

/// Status of a failed query.
pub fn status_of(error: &QueryError) -> StatusCode {
    match error.kind() {
        QueryErrorKind::Invalid | QueryErrorKind::Limit => StatusCode::BAD_REQUEST,
        QueryErrorKind::Timeout => StatusCode::GATEWAY_TIMEOUT,
        QueryErrorKind::Cancelled => StatusCode::from_u16(CLIENT_CLOSED).unwrap_or(StatusCode::BAD_REQUEST),
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        let text = match error.kind() {
            QueryErrorKind::Timeout => "request timed out, decrease the duration of the request or add more label matchers (prefer exact match over regex match) to reduce the amount of data processed".to_owned(),
            QueryErrorKind::Cancelled => "the request was cancelled by the client".to_owned(),
            _ => error.to_string(),
        };
        Self::new(status_of(&error), text)
    }
}

impl From<RunError> for ApiError {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Query(error) => error.into(),
            RunError::Queue => Self::new(StatusCode::TOO_MANY_REQUESTS, error.to_string()),
            RunError::Broken(_) => Self::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        }
    }
}

impl From<ParamError> for ApiError {
    fn from(error: ParamError) -> Self {
        Self::bad(error)
    }
}

impl From<ParseError> for ApiError {
    fn from(error: ParseError) -> Self {
        Self::bad(error)
    }
}

impl From<MatchersError> for ApiError {
    fn from(error: MatchersError) -> Self {
        Self::bad(error)
    }
}

impl From<TenantError> for ApiError {
    fn from(error: TenantError) -> Self {
        let status = match error {
            TenantError::Missing => StatusCode::UNAUTHORIZED,
            _ => StatusCode::BAD_REQUEST,
        };
        Self::new(status, error.to_string())
    }
}

impl From<OpenError> for ApiError {
    fn from(error: OpenError) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
    }
}

/// Result of a handler.
pub(super) type Answer = Result<Response<Body>, ApiError>;

/// A JSON answer.
pub(super) fn json(body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    let kind = HeaderValue::from_static("application/json; charset=UTF-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// A JSON answer of a value.
pub(super) fn json_of(value: &impl serde::Serialize) -> Response<Body> {
    match serde_json::to_vec(value) {
        Ok(mut body) => {
            body.push(b'\n');
            json(body)
        }
        Err(e) => ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, e.to_string()).into_response(),
    }
}

/// An answer without content.
pub(super) fn no_content() -> Response<Body> {
    StatusCode::NO_CONTENT.into_response()
}

/// Value of a header as text, empty when absent.
pub(super) fn header_text<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
}
