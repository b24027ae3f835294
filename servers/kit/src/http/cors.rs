//! Cross-origin requests, by Prometheus' rule.

use axum::http::{HeaderMap, HeaderValue, header};
use model::regex::{Flags, GoRegex};

/// Which origins may read answers. The pattern is `--web.cors.origin`, anchored; `.*` allows all.
#[derive(Clone, Debug)]
pub struct Cors {
    origin: GoRegex,
}

impl Cors {
    /// # Errors
    /// When the pattern is no regular expression.
    pub fn new(pattern: &str) -> Result<Self, String> {
        GoRegex::new(pattern, Flags::MATCHER).map(|origin| Self { origin }).map_err(|e| e.to_string())
    }

    /// Adds the headers to an answer, given the request's.
    pub fn apply(&self, request: &HeaderMap, answer: &mut HeaderMap) {
        let Some(origin) = request.get(header::ORIGIN) else { return };
        let fixed = [
            (header::ACCESS_CONTROL_ALLOW_HEADERS, "Accept, Authorization, Content-Type, Origin"),
            (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS"),
            (header::ACCESS_CONTROL_EXPOSE_HEADERS, "Date"),
        ];
        for (name, value) in fixed {
            answer.insert(name, HeaderValue::from_static(value));
        }
        answer.append(header::VARY, HeaderValue::from_static("Origin"));
        if self.origin.as_str() == ".*" {
            answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        } else if self.origin.is_match(origin.to_str().unwrap_or("")) {
            answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        }
    }
}
