//! Exemplars of the series that a query selects.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Response;
use model::number::{FloatFormat, write_float};
use tsdb::{Exemplar, ExemplarSeries};

use super::answer::{ApiError, ErrorType, Notes, success};
use super::encode::{labels, list, seconds};
use super::params::{MAX_TIME_MS, MIN_TIME_MS, Params};
use crate::state::App;

/// `/query_exemplars`
pub(super) async fn query(State(app): State<Arc<App>>, request: Request) -> Result<Response<Body>, ApiError> {
    app.ready()?;
    let params = Params::read(request).await?;
    let start_ms = params.time("start", MIN_TIME_MS)?;
    let end_ms = params.time("end", MAX_TIME_MS)?;
    if end_ms < start_ms {
        return Err(ApiError::bad_data("end timestamp must not be before start timestamp"));
    }
    let expr = promql::parse(params.get("query"), &app.queries.engine().options().parser)
        .map_err(|e| ApiError::parameter("query", e))?;
    let selectors: Vec<_> = expr.selectors().iter().map(|selector| selector.matchers.clone()).collect();
    let found = tokio::task::spawn_blocking(move || app.db.exemplars(&selectors, start_ms, end_ms))
        .await
        .map_err(|e| ApiError::new(ErrorType::Internal, e.to_string()))?;
    Ok(success(&Notes::default(), |body| list(body, &found, series)))
}

fn series(out: &mut Vec<u8>, series: &ExemplarSeries) {
    out.extend_from_slice(b"{\"seriesLabels\":");
    labels(out, &series.labels);
    out.extend_from_slice(b",\"exemplars\":");
    list(out, &series.exemplars, exemplar);
    out.push(b'}');
}

fn exemplar(out: &mut Vec<u8>, exemplar: &Exemplar) {
    out.extend_from_slice(b"{\"labels\":");
    labels(out, &exemplar.labels);
    out.extend_from_slice(b",\"value\":\"");
    write_float(out, exemplar.value, FloatFormat::Fixed);
    out.extend_from_slice(b"\",\"timestamp\":");
    seconds(out, exemplar.timestamp_ms);
    out.push(b'}');
}
