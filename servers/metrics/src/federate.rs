//! Federation: the newest sample of each selected series as a page that another server scrapes.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Response, header};
use axum::response::IntoResponse;
use model::{Labels, SampleColumns, SelectHints, SourceError, is_stale};
use wire::exposition::{Format, TextFormat, TextWriter};

use crate::api::answer::{ApiError, ErrorType};
use crate::api::params::Params;
use crate::state::App;

/// Handles `/federate`.
pub async fn federate(State(app): State<Arc<App>>, request: Request) -> Result<Response<Body>, ApiError> {
    app.ready()?;
    let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("").to_owned();
    let params = Params::read(request).await?;
    let selectors = params
        .all("match[]")
        .map(|text| promql::parse_selector(text).map_err(|e| ApiError::bad_data(e.to_string())))
        .collect::<Result<Vec<_>, _>>()?;
    let format = match Format::negotiate(&accept) {
        Format::Text(format) => format,
        Format::Protobuf => TextFormat::Prometheus,
    };
    let worker = app.clone();
    let page = tokio::task::spawn_blocking(move || page(&worker, &selectors, format))
        .await
        .map_err(|e| ApiError::new(ErrorType::Internal, e.to_string()))??;
    let content_type = HeaderValue::from_static(Format::Text(format).content_type());
    Ok(([(header::CONTENT_TYPE, content_type)], page).into_response())
}

fn page(app: &App, selectors: &[Vec<model::Matcher>], format: TextFormat) -> Result<Vec<u8>, SourceError> {
    let now_ms = kit::time::now_ms();
    let lookback_ms = i64::try_from(app.lookback.as_millis()).unwrap_or(i64::MAX);
    let hints = SelectHints { start_ms: now_ms - lookback_ms, end_ms: now_ms, ..SelectHints::default() };
    let external = app.config.load().external_labels().clone();
    let mut found: Vec<(Labels, i64, f64)> = Vec::new();
    let mut columns = SampleColumns::new();
    for matchers in selectors {
        let selection = app.queries.source().select(matchers, &hints)?;
        for index in 0..selection.len() {
            selection.read_last(index, now_ms, lookback_ms, &mut columns)?;
            if let (Some(time), Some(value)) = (columns.timestamps.last(), columns.values.last())
                && !is_stale(*value)
            {
                found.push((with_external(&selection.labels(index), &external), *time, *value));
            }
        }
    }
    // One metric after another: a scraper reads the page as families.
    found.sort_by(|a, b| a.0.metric_name().cmp(&b.0.metric_name()).then_with(|| a.0.cmp(&b.0)));
    found.dedup_by(|a, b| a.0 == b.0);
    let mut out = Vec::new();
    let mut writer = TextWriter::new(&mut out, format);
    let mut family = None;
    for (labels, time, value) in &found {
        let name = labels.metric_name().unwrap_or("");
        if family != Some(name) {
            writer.metadata(name, wire::exposition::MetricKind::Unknown, "", "");
            family = Some(name);
        }
        // A series without instance gets an empty one, so that the scraper does not add its own.
        let instance = labels.get("instance").is_none().then_some(("instance", ""));
        writer.series(name, "", labels.iter().filter(|(n, _)| *n != model::METRIC_NAME).chain(instance), None);
        writer.value(*value, Some(*time), None);
    }
    writer.finish();
    Ok(out)
}

/// External labels, where the series has none of the name itself.
fn with_external(labels: &Labels, external: &Labels) -> Labels {
    let mut builder = labels.to_builder();
    for (name, value) in external {
        if builder.get(name).is_none() {
            builder.set(name, value);
        }
    }
    builder.build()
}
