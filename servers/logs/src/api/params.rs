//! Parameters of a request: from the URL, and for a form also from the body, whose values come first.

use axum::Form;
use axum::body::Body;
use axum::extract::{FromRequest, Query, Request};
use axum::http::{HeaderMap, Method, header};

use super::answer::{ApiError, header_text};

/// Names and values in the order of the request.
#[derive(Clone, Debug, Default)]
pub(super) struct Params(Vec<(String, String)>);

impl logql::params::Params for Params {
    fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

impl Params {
    /// Reads the parameters; the body is read for a form only.
    ///
    /// # Errors
    /// What is no form, or too long a body.
    pub(super) async fn read(request: Request) -> Result<(HeaderMap, Self), ApiError> {
        let Query(url) = Query::<Vec<(String, String)>>::try_from_uri(request.uri()).map_err(ApiError::bad)?;
        let headers = request.headers().clone();
        let is_form = header_text(&headers, header::CONTENT_TYPE.as_str())
            .split(';')
            .next()
            .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"));
        let mut pairs = Vec::new();
        if matches!(*request.method(), Method::POST | Method::PUT) && is_form {
            let Form(form) = Form::<Vec<(String, String)>>::from_request(request, &())
                .await
                .map_err(|e| ApiError::new(e.status(), e.body_text()))?;
            pairs = form;
        } else {
            drop::<Body>(request.into_body());
        }
        pairs.extend(url);
        Ok((headers, Self(pairs)))
    }

    /// All values of a name.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether the name is there, be it with an empty value.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }
}
