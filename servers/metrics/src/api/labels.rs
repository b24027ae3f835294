//! Names and values of labels, and series.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::Response;
use model::{LabelQuery, Labels, SelectHints, SourceError};

use super::answer::{ApiError, ErrorType, Notes, strings, success};
use super::encode::{labels as write_labels, list};
use super::params::Params;
use crate::state::App;

type Answer = Result<Response<Body>, ApiError>;

/// Cuts a list to `limit` (0: none) and says so.
fn limited<T>(list: &mut Vec<T>, limit: usize, notes: &mut Notes) {
    if limit > 0 && list.len() > limit {
        list.truncate(limit);
        notes.warnings.push("results truncated due to limit".to_owned());
    }
}

/// Runs a look-up in the store on the blocking pool.
async fn blocking<T: Send + 'static>(
    app: &Arc<App>,
    work: impl FnOnce(&App) -> Result<T, SourceError> + Send + 'static,
) -> Result<T, ApiError> {
    let app = app.clone();
    let result = tokio::task::spawn_blocking(move || work(&app)).await;
    Ok(result.map_err(|e| ApiError::new(ErrorType::Internal, e.to_string()))??)
}

/// Names of labels.
pub(super) async fn names(State(app): State<Arc<App>>, request: Request) -> Answer {
    app.ready()?;
    let params = Params::read(request).await?;
    let limit = params.limit("limit")?;
    let query = LabelQuery { limit: more(limit), ..params.label_query()? };
    let mut names = blocking(&app, move |app| app.queries.source().label_names(&query)).await?;
    let mut notes = Notes::default();
    limited(&mut names, limit, &mut notes);
    Ok(success(&notes, |body| strings(body, names.iter().map(String::as_str))))
}

/// One more than asked for tells whether something was cut.
fn more(limit: usize) -> usize {
    if limit > 0 { limit.saturating_add(1) } else { 0 }
}

/// Values of a label.
pub(super) async fn values(State(app): State<Arc<App>>, Path(name): Path<String>, request: Request) -> Answer {
    app.ready()?;
    let params = Params::read(request).await?;
    let name = unescape_name(&name).unwrap_or(name);
    if name.is_empty() {
        return Err(ApiError::bad_data(format!("invalid label name: {name:?}")));
    }
    let limit = params.limit("limit")?;
    let query = LabelQuery { limit: more(limit), ..params.label_query()? };
    let mut values = blocking(&app, move |app| app.queries.source().label_values(&name, &query)).await?;
    let mut notes = Notes::default();
    limited(&mut values, limit, &mut notes);
    Ok(success(&notes, |body| strings(body, values.iter().map(String::as_str))))
}

/// Label sets of series.
pub(super) async fn series(State(app): State<Arc<App>>, request: Request) -> Answer {
    app.ready()?;
    let params = Params::read(request).await?;
    let limit = params.limit("limit")?;
    if !params.has("match[]") {
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    let query = params.label_query()?;
    let mut found = blocking(&app, move |app| {
        let hints = SelectHints {
            start_ms: query.start_ms,
            end_ms: query.end_ms,
            labels_only: true,
            func: Some("series"),
            limit: more(limit),
            ..SelectHints::default()
        };
        let mut found: Vec<Labels> = Vec::new();
        for matchers in &query.selectors {
            let selection = app.queries.source().select(matchers, &hints)?;
            found.extend((0..selection.len()).map(|index| selection.labels(index)));
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    })
    .await?;
    let mut notes = Notes::default();
    limited(&mut found, limit, &mut notes);
    Ok(success(&notes, |body| list(body, &found, write_labels)))
}

/// Undoes the escaping `U__name_2e_x` of names that a URL could not carry otherwise. `None` when the name is not escaped so.
fn unescape_name(name: &str) -> Option<String> {
    let mut rest = name.strip_prefix("U__")?;
    let mut out = String::new();
    while let Some(at) = rest.find('_') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('_') {
            out.push('_');
            rest = after;
            continue;
        }
        let (code, after) = rest.split_once('_')?;
        out.push(char::from_u32(u32::from_str_radix(code, 16).ok()?)?);
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_names_are_read_back() {
        for (escaped, want) in [
            ("U__http_2e_status_3a_sum", Some("http.status:sum")),
            ("U__a__b", Some("a_b")),
            ("plain", None),
            ("U__bad_zz_", None),
            ("U___1F600_", Some("😀")),
        ] {
            assert_eq!(unescape_name(escaped).as_deref(), want, "{escaped}");
        }
    }
}
