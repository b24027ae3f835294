//! Remote write, received: both versions of the protocol, decoded straight into a batch of the store.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use axum::response::IntoResponse;
use kit::http::{BodyLimits, read_body};
use kit::metrics::{Counter, Registry};
use model::Labels;
use parking_lot::Mutex;
use tsdb::{Exemplar, ExemplarReason, NativeHistogram, RawCursor, RawKeys, Reason};
use wire::exposition::MetricKind;
use wire::remote_write::{Item, Limits, Metadata, Request as WriteRequest, SeriesValue, Version};

use crate::state::App;

/// Most bytes of a request after decompression, as upstream.
const MAX_DECODED: usize = 32 << 20;
/// Refused samples named in an answer.
const MAX_NAMED: usize = 10;
/// Buffers of decompressed requests that wait for the next one, and the bytes of the largest one that is kept.
const KEPT_MESSAGES: usize = 8;
const KEPT_BYTES: usize = 1 << 20;
/// Histograms and exemplars of one batch.
const MAX_RARE: usize = tsdb::MAX_BATCH_SAMPLES / 16;

/// Self-metrics of the receiver, and what is shared by its requests.
pub struct WriteMetrics {
    invalid_labels: Counter,
    without_metadata: Counter,
    keys: Arc<RawKeys>,
    /// Memory for decompressed requests, used again.
    messages: Mutex<Vec<Vec<u8>>>,
}

impl WriteMetrics {
    /// Registers them.
    pub fn new(registry: &Registry, keys: Arc<RawKeys>) -> Self {
        Self {
            invalid_labels: registry.counter(
                "prometheus_api_remote_write_invalid_labels_samples_total",
                "The total number of received remote write samples and histogram samples which were rejected due to invalid labels.",
            ),
            without_metadata: registry.counter(
                "prometheus_api_remote_write_without_metadata_appended_samples_total",
                "The total number of received remote write samples (and histogram samples) which were ingested without corresponding metadata.",
            ),
            keys,
            messages: Mutex::default(),
        }
    }

    fn message(&self) -> Vec<u8> {
        self.messages.lock().pop().unwrap_or_default()
    }

    fn give_back(&self, message: Vec<u8>) {
        let mut kept = self.messages.lock();
        if kept.len() < KEPT_MESSAGES && message.capacity() <= KEPT_BYTES {
            kept.push(message);
        }
    }
}

/// What a request came to.
#[derive(Debug, Default)]
struct Outcome {
    samples: u64,
    histograms: u64,
    exemplars: u64,
    refused: Vec<String>,
    refused_count: usize,
}

impl Outcome {
    fn refuse(&mut self, what: String) {
        self.refused_count += 1;
        if self.refused.len() < MAX_NAMED {
            self.refused.push(what);
        }
    }
}

enum Failure {
    /// The request is wrong: it must not be sent again.
    Bad(String),
    /// The store cannot take it now: it is to be sent again.
    Store(String),
    /// The store takes nothing at the moment.
    Busy(String),
}

/// Handles `POST /api/v1/write`.
pub async fn receive(State(app): State<Arc<App>>, request: Request) -> Response<Body> {
    if !app.allow.remote_write {
        let text = "remote write receiver needs to be enabled with --web.enable-remote-write-receiver\n";
        return (StatusCode::NOT_FOUND, text).into_response();
    }
    if request.method() != Method::POST {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let version = match version(request.headers(), app.allow.remote_write_v2) {
        Ok(version) => version,
        Err(text) => return (StatusCode::UNSUPPORTED_MEDIA_TYPE, text).into_response(),
    };
    if let Err(error) = app.ready() {
        return (StatusCode::SERVICE_UNAVAILABLE, error.message).into_response();
    }
    let (parts, body) = request.into_parts();
    let limits = BodyLimits { wire: MAX_DECODED, decompressed: MAX_DECODED, ..BodyLimits::default() };
    // The body is a snappy block: it is decompressed below, straight into the buffer that is decoded.
    let mut headers = parts.headers;
    headers.remove(header::CONTENT_ENCODING);
    let bytes = match read_body(&headers, body, &limits).await {
        Ok(bytes) => bytes,
        Err(e) => return (e.status(), format!("{e}\n")).into_response(),
    };
    let stored = tokio::task::spawn_blocking(move || store(&app, &bytes, version)).await;
    match stored {
        Ok(Ok(outcome)) => answer(version, &outcome),
        Ok(Err(Failure::Bad(text))) => (StatusCode::BAD_REQUEST, text + "\n").into_response(),
        Ok(Err(Failure::Busy(text))) => {
            (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, HeaderValue::from_static("5"))], text + "\n")
                .into_response()
        }
        Ok(Err(Failure::Store(text))) => (StatusCode::INTERNAL_SERVER_ERROR, text + "\n").into_response(),
        Err(e) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{e}\n")).into_response(),
    }
}

fn version(headers: &HeaderMap, v2: bool) -> Result<Version, String> {
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
    let content_type = text(&header::CONTENT_TYPE);
    // Senders older than the header mean version 1.
    let version = if content_type.is_empty() { Some(Version::V1) } else { Version::from_content_type(content_type) };
    let version = version.ok_or_else(|| {
        format!("expected application/x-protobuf as the first (media) part, got {content_type} content-type\n")
    })?;
    if version == Version::V2 && !v2 {
        return Err("io.prometheus.write.v2.Request protobuf message is not accepted by this server; only accepts prometheus.WriteRequest\n".to_owned());
    }
    let encoding = text(&header::CONTENT_ENCODING);
    if !encoding.is_empty() && encoding != "snappy" {
        return Err(format!(
            "{encoding} encoding (compression) is not accepted by this server; only snappy is acceptable\n"
        ));
    }
    Ok(version)
}

fn answer(version: Version, outcome: &Outcome) -> Response<Body> {
    let mut response = if outcome.refused_count > 0 {
        let mut text = outcome.refused.join("; ");
        if outcome.refused_count > outcome.refused.len() {
            text.push_str(&format!("; and {} more", outcome.refused_count - outcome.refused.len()));
        }
        (StatusCode::BAD_REQUEST, text + "\n").into_response()
    } else {
        StatusCode::NO_CONTENT.into_response()
    };
    if version == Version::V2 {
        for (name, count) in [
            ("x-prometheus-remote-write-samples-written", outcome.samples),
            ("x-prometheus-remote-write-histograms-written", outcome.histograms),
            ("x-prometheus-remote-write-exemplars-written", outcome.exemplars),
        ] {
            response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from(count));
        }
    }
    response
}

/// Decompresses and stores a request.
fn store(app: &App, body: &[u8], version: Version) -> Result<Outcome, Failure> {
    let mut message = app.writes.message();
    let outcome = wire::compress::snappy_decode_into(body, MAX_DECODED, &mut message)
        .map_err(|e| Failure::Bad(e.to_string()))
        .and_then(|()| store_message(app, &message, version));
    app.writes.give_back(message);
    outcome
}

/// Decodes and stores a request. Samples that the store refuses do not keep the others from being stored.
fn store_message(app: &App, message: &[u8], version: Version) -> Result<Outcome, Failure> {
    let bad = |e: wire::Error| Failure::Bad(e.to_string());
    let mut outcome = Outcome::default();
    let mut cursor = RawCursor::new(app.writes.keys.clone());
    let mut appender = app.db.appender().map_err(store_failure)?;
    let mut request = WriteRequest::new(message, version, Limits::default()).map_err(bad)?;
    let (mut histograms, mut rare) = (0u64, 0);
    loop {
        let item = match request.next_item() {
            Ok(Some(item)) => item,
            Ok(None) => break,
            Err(e) => return Err(bad(e)),
        };
        let series = match item {
            Item::Series(series) => series,
            Item::Metadata(metadata) => {
                set_metadata(&mut appender, metadata.family, &metadata)?;
                continue;
            }
        };
        match &series.metadata {
            None => app.writes.without_metadata.add((series.samples + series.histograms) as u64),
            Some(metadata)
                if version == Version::V2 && (metadata.kind != MetricKind::Unknown || !metadata.help.is_empty()) =>
            {
                if let Ok(labels) = series.labels() {
                    set_metadata(&mut appender, family(labels.metric_name().unwrap_or(""), metadata.kind), metadata)?;
                }
            }
            Some(_) => {}
        }
        let found = appender.resolve_raw(&mut cursor, &series.key, || -> Result<Option<Labels>, tsdb::Error> {
            match series.labels() {
                Ok(labels) if labels.metric_name().is_some() => Ok(Some(labels)),
                Ok(labels) => Err(tsdb::Error::InvalidLabels {
                    what: format!("invalid labels: the metric name is missing in {labels}"),
                }),
                Err(e) => Err(tsdb::Error::InvalidLabels { what: e.to_string() }),
            }
        });
        let reference = match found {
            Ok(Some(reference)) => reference,
            Ok(None) => continue,
            Err(tsdb::Error::InvalidLabels { what }) => {
                app.writes.invalid_labels.add((series.samples + series.histograms) as u64);
                outcome.refused_count += series.samples + series.histograms;
                if outcome.refused.len() < MAX_NAMED {
                    outcome.refused.push(what);
                }
                continue;
            }
            Err(e) => return Err(store_failure(e)),
        };
        let mut values = series.values();
        loop {
            if appender.len() >= tsdb::MAX_BATCH_SAMPLES || rare >= MAX_RARE {
                rare = 0;
                let full = std::mem::replace(&mut appender, app.db.appender().map_err(store_failure)?);
                finish(full, &mut histograms, &mut outcome)?;
            }
            if let Some(sample) = values.next_plain_sample() {
                appender.append(reference, sample.timestamp_ms, sample.value).map_err(store_failure)?;
                continue;
            }
            let Some(value) = values.next_value().map_err(bad)? else { break };
            match value {
                SeriesValue::Sample(sample) if sample.start_ms != 0 => appender
                    .append_with_start(reference, sample.start_ms, sample.timestamp_ms, sample.value)
                    .map_err(store_failure)?,
                SeriesValue::Sample(sample) => {
                    appender.append(reference, sample.timestamp_ms, sample.value).map_err(store_failure)?;
                }
                SeriesValue::Histogram { timestamp_ms, start_ms, histogram } => {
                    rare += 1;
                    match appender.append_histogram(reference, start_ms, timestamp_ms, native(*histogram)) {
                        Ok(()) => histograms += 1,
                        Err(e @ tsdb::Error::InvalidHistogram(_)) => outcome.refuse(e.to_string()),
                        Err(e) => return Err(store_failure(e)),
                    }
                }
                SeriesValue::Exemplar(exemplar) => {
                    rare += 1;
                    let labels = request.exemplar_labels(&exemplar).map_err(bad)?;
                    let (value, timestamp_ms) = (exemplar.value, exemplar.timestamp_ms);
                    appender
                        .append_exemplar(reference, Exemplar { labels, value, timestamp_ms })
                        .map_err(store_failure)?;
                }
            }
        }
    }
    finish(appender, &mut histograms, &mut outcome)?;
    if app.store.outbox().is_active() {
        forward(app, message, version);
    }
    Ok(outcome)
}

/// Leaves what came for the peers of this server. What the store refused goes along: they refuse it too.
fn forward(app: &App, message: &[u8], version: Version) {
    app.store.outbox().offer(|parcel| {
        let Ok(mut request) = WriteRequest::new(message, version, Limits::default()) else { return };
        while let Ok(Some(item)) = request.next_item() {
            let Item::Series(series) = item else { continue };
            let Ok(labels) = series.labels() else { continue };
            if labels.metric_name().is_none() {
                continue;
            }
            let mut values = series.values();
            while let Ok(Some(value)) = values.next_value() {
                match value {
                    SeriesValue::Sample(s) => parcel.sample(&labels, s.start_ms, s.timestamp_ms, s.value),
                    SeriesValue::Histogram { timestamp_ms, start_ms, histogram } => {
                        parcel.histogram(&labels, start_ms, timestamp_ms, &native(*histogram));
                    }
                    SeriesValue::Exemplar(exemplar) => {
                        if let Ok(own) = request.exemplar_labels(&exemplar) {
                            let (value, timestamp_ms) = (exemplar.value, exemplar.timestamp_ms);
                            parcel.exemplar(&labels, &Exemplar { labels: own, value, timestamp_ms });
                        }
                    }
                }
            }
        }
    });
}

fn native(histogram: wire::Native) -> NativeHistogram {
    match histogram {
        wire::Native::Integer(histogram) => NativeHistogram::Integer(histogram),
        wire::Native::Float(histogram) => NativeHistogram::Float(histogram),
    }
}

/// Commits a batch that holds this many histograms.
fn finish(appender: tsdb::Appender<'_>, histograms: &mut u64, outcome: &mut Outcome) -> Result<(), Failure> {
    let report = appender.commit().map_err(store_failure)?;
    // A duplicate that says the same is no refusal; one of a series the store has let go will come again.
    if report.refused.iter().any(|refusal| refusal.reason == Reason::UnknownSeries) {
        return Err(Failure::Busy("a series left memory while the request was stored: send it again".to_owned()));
    }
    let written = std::mem::take(histograms).min(report.accepted);
    outcome.histograms += written;
    outcome.samples += report.accepted - written;
    outcome.exemplars += report.exemplars_accepted;
    for refusal in &report.refused {
        if outcome.refused.len() < MAX_NAMED {
            outcome.refused.push(refusal.to_string());
        }
        outcome.refused_count += 1;
    }
    // An exemplar that is late or that nobody keeps is no reason to refuse what it came with.
    for refusal in &report.exemplars_refused {
        if refusal.reason == ExemplarReason::LabelsTooLong {
            outcome.refuse(format!("{}: {}", refusal.labels, refusal.reason));
        }
    }
    Ok(())
}

fn set_metadata(appender: &mut tsdb::Appender<'_>, family: &str, metadata: &Metadata<'_>) -> Result<(), Failure> {
    let known = tsdb::Metadata { kind: metadata.kind, unit: metadata.unit.to_owned(), help: metadata.help.to_owned() };
    match appender.set_metadata(family, known) {
        // What is left out comes again: senders repeat metadata.
        Ok(()) | Err(tsdb::Error::Limit { .. }) => Ok(()),
        Err(e) => Err(store_failure(e)),
    }
}

/// The family of a metric, by its kind.
pub(crate) fn family(name: &str, kind: MetricKind) -> &str {
    let suffixes: &[&str] = match kind {
        MetricKind::Histogram | MetricKind::GaugeHistogram => &["_bucket", "_count", "_sum"],
        MetricKind::Summary => &["_count", "_sum"],
        _ => &[],
    };
    suffixes.iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name)
}

fn store_failure(error: tsdb::Error) -> Failure {
    match error.kind() {
        tsdb::ErrorKind::Invalid | tsdb::ErrorKind::Limit => Failure::Bad(error.to_string()),
        tsdb::ErrorKind::Refusing | tsdb::ErrorKind::Closed => Failure::Busy(error.to_string()),
        _ => Failure::Store(error.to_string()),
    }
}
