//! Errors as the API answers them: `{"message": …, "messageId": …, "statusCode": …, "traceID": ""}` and a status.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

/// An answer that is not what was asked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
    pub(crate) message_id: &'static str,
    /// Fields besides the usual ones.
    pub(crate) fields: Map<String, Value>,
}

pub(crate) type ApiResult<T = Response> = Result<T, ApiError>;

impl ApiError {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), message_id: "", fields: Map::new() }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, message)
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    /// What Grafana has and this server has not.
    pub(crate) fn not_built(what: &str) -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, format!("{what} is not built in Foursight"))
    }

    #[must_use]
    pub(crate) fn id(mut self, message_id: &'static str) -> Self {
        self.message_id = message_id;
        self
    }

    #[must_use]
    pub(crate) fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(key.to_owned(), value.into());
        self
    }
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ApiError {}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if self.status.is_server_error() && self.status != StatusCode::NOT_IMPLEMENTED {
            tracing::debug!(component = "api", status = self.status.as_u16(), error = self.message, "request failed");
        }
        let mut body = self.fields;
        body.insert("message".into(), self.message.into());
        if !self.message_id.is_empty() {
            body.insert("messageId".into(), self.message_id.into());
            body.insert("statusCode".into(), self.status.as_u16().into());
            body.insert("traceID".into(), "".into());
        }
        (self.status, Json(Value::Object(body))).into_response()
    }
}

/// `{"message": …}` with status 200, the usual answer to a change.
pub(crate) fn done(message: &str) -> Json<Value> {
    Json(json!({ "message": message }))
}
