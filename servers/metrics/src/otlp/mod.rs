//! OTLP metrics, received: points become samples under names and labels as the section `otlp` says.
//!
//! [`receive`] is the handler; `translate` turns a decoded request into points, which are stored in one batch. Delta points have
//! no place in a store of cumulative series: they are left out and counted.

mod names;
mod translate;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use kit::http::{BodyLimits, read_body};
use kit::metrics::{Counter, Registry};
use tsdb::{ExemplarReason, Reason};
use wire::otlp::Encoding;
use wire::otlp::decode_metrics;

use crate::state::App;
use translate::{Points, Value};

/// Most bytes of a request, compressed or not.
const MAX_BODY: usize = 64 << 20;
/// Refused samples named in an answer.
const MAX_NAMED: usize = 10;

/// Self-metrics of the receiver.
pub struct OtlpMetrics {
    warnings: Counter,
    exemplars_late: Counter,
}

impl OtlpMetrics {
    /// Registers them.
    pub fn new(registry: &Registry) -> Self {
        registry.counter(
            "prometheus_api_otlp_appended_samples_without_metadata_total",
            "The total number of samples ingested from OTLP without corresponding metadata.",
        );
        Self {
            warnings: registry.counter(
                "prometheus_api_otlp_translation_warnings_total",
                "The total number of warnings while translating OTLP metrics.",
            ),
            exemplars_late: registry.counter(
                "prometheus_api_otlp_out_of_order_exemplars_total",
                "The total number of received OTLP exemplars which were rejected because they were out of order.",
            ),
        }
    }
}

/// Handles `POST /api/v1/otlp/v1/metrics`.
pub async fn receive(State(app): State<Arc<App>>, request: Request) -> Response<Body> {
    if !app.allow.otlp {
        let text = "otlp write receiver needs to be enabled with --web.enable-otlp-receiver\n";
        return (StatusCode::NOT_FOUND, text).into_response();
    }
    if let Err(error) = app.ready() {
        return (StatusCode::SERVICE_UNAVAILABLE, error.message).into_response();
    }
    let (parts, body) = request.into_parts();
    let content_type = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let Some(encoding) = Encoding::from_content_type(content_type) else {
        let text = format!(
            "unsupported content type: {content_type}, supported: [application/json, application/x-protobuf]\n"
        );
        return (StatusCode::BAD_REQUEST, text).into_response();
    };
    let limits = BodyLimits { wire: MAX_BODY, decompressed: MAX_BODY, ..BodyLimits::default() };
    let bytes = match read_body(&parts.headers, body, &limits).await {
        Ok(bytes) => bytes,
        Err(e) => return (e.status(), format!("{e}\n")).into_response(),
    };
    let stored = tokio::task::spawn_blocking(move || store(&app, &bytes, encoding)).await;
    match stored {
        Ok(Ok(())) if encoding == Encoding::Json => {
            ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], "{}").into_response()
        }
        Ok(Ok(())) => StatusCode::OK.into_response(),
        Ok(Err(failure)) => failure.into_response(),
        Err(e) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{e}\n")).into_response(),
    }
}

/// Status and text of an answer to a request that was not stored, or not as a whole.
type Failure = (StatusCode, String);

fn store(app: &App, body: &[u8], encoding: Encoding) -> Result<(), Failure> {
    let bad = |text: String| (StatusCode::BAD_REQUEST, text + "\n");
    let failed = |e: tsdb::Error| {
        let status = match e.kind() {
            tsdb::ErrorKind::Invalid | tsdb::ErrorKind::Limit => StatusCode::BAD_REQUEST,
            tsdb::ErrorKind::Refusing | tsdb::ErrorKind::Closed => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, format!("{e}\n"))
    };
    let request = decode_metrics(body, encoding).map_err(|e| bad(e.to_string()))?;
    let config = app.config.load();
    let points = translate::translate(&request, &config.otlp);
    app.otlp.warnings.add(points.warnings.len() as u64);
    if let Some(first) = points.warnings.first() {
        tracing::warn!(component = "otlp", warnings = points.warnings.len(), first, "points were left out");
    }
    let mut refused: Vec<String> = Vec::new();
    let mut appender = app.db.appender().map_err(failed)?;
    let mut count = 0;
    for (name, metadata) in &points.metadata {
        // What is left out comes again with the next request.
        let _ = appender.set_metadata(name, metadata.clone());
    }
    for point in &points.points {
        if appender.len() >= tsdb::MAX_BATCH_SAMPLES / 32 || count >= tsdb::MAX_BATCH_SAMPLES / 32 {
            count = 0;
            let full = std::mem::replace(&mut appender, app.db.appender().map_err(failed)?);
            finish(app, full, &mut refused).map_err(failed)?;
        }
        let series = match appender.resolve(&point.labels) {
            Ok(series) => series,
            Err(e @ tsdb::Error::InvalidLabels { .. }) => {
                refused.push(e.to_string());
                continue;
            }
            Err(e) => return Err(failed(e)),
        };
        let added = match &point.value {
            Value::Float(value) => appender.append(series, point.time_ms, *value),
            Value::Histogram(histogram) => appender.append_histogram(series, 0, point.time_ms, histogram.clone()),
        };
        match added {
            Ok(()) => {}
            Err(e @ tsdb::Error::InvalidHistogram(_)) => refused.push(e.to_string()),
            Err(e) => return Err(failed(e)),
        }
        for exemplar in &point.exemplars {
            count += 1;
            appender.append_exemplar(series, exemplar.clone()).map_err(failed)?;
        }
    }
    finish(app, appender, &mut refused).map_err(failed)?;
    forward(app, &points);
    if refused.is_empty() {
        return Ok(());
    }
    let more = refused.len().saturating_sub(MAX_NAMED);
    refused.truncate(MAX_NAMED);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    Err(bad(format!("{}{more}", refused.join("; "))))
}

fn finish(app: &App, appender: tsdb::Appender<'_>, refused: &mut Vec<String>) -> Result<(), tsdb::Error> {
    let report = appender.commit()?;
    for refusal in &report.refused {
        if refusal.reason != Reason::UnknownSeries {
            refused.push(refusal.to_string());
        }
    }
    let late = report.exemplars_refused.iter().filter(|refusal| refusal.reason == ExemplarReason::OutOfOrder).count();
    app.otlp.exemplars_late.add(late as u64);
    Ok(())
}

fn forward(app: &App, points: &Points) {
    app.store.outbox().offer(|parcel| {
        for point in &points.points {
            match &point.value {
                Value::Float(value) => parcel.sample(&point.labels, 0, point.time_ms, *value),
                Value::Histogram(histogram) => parcel.histogram(&point.labels, 0, point.time_ms, histogram),
            }
            point.exemplars.iter().for_each(|exemplar| parcel.exemplar(&point.labels, exemplar));
        }
    });
}
