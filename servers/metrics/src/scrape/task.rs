//! The task of one target: waits for its time, asks, stores, reports.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use kit::Shutdown;
use kit::client::{Client, ClientError, Request};
use tokio::sync::oneshot;
use wire::exposition::{Format, TextFormat};

use super::metrics::ScrapeMetrics;
use super::page::{PageError, PageSettings, PageStore, StartTimes};
use super::target::{Health, LastScrape, Target};
use crate::config::{EscapingScheme, ScrapeConfig, ScrapeProtocol};
use crate::ingest::Store;

/// Everything a task needs.
pub(super) struct Task {
    pub(super) target: Arc<Target>,
    pub(super) job: Arc<ScrapeConfig>,
    pub(super) client: Client,
    pub(super) db: Store,
    pub(super) metrics: ScrapeMetrics,
    pub(super) stop: Shutdown,
    /// Whether series end when the task does: not when the server stops or the target goes on under a new configuration.
    pub(super) ends_series: Arc<std::sync::atomic::AtomicBool>,
    /// The server's own end: then nothing ends, for it will go on where it was.
    pub(super) server_stop: Shutdown,
    /// What is done with start times.
    pub(super) start_times: StartTimes,
    /// The state that the task before this one leaves, when the target goes on.
    pub(super) inherits: Option<oneshot::Receiver<PageStore>>,
    /// Takes the state when the task ends.
    pub(super) bequeaths: oneshot::Sender<PageStore>,
}

/// Timestamps this close to the schedule are put on it, so that they compress well.
const TOLERANCE: Duration = Duration::from_millis(2);

impl Task {
    pub(super) async fn run(mut self) {
        let mut settings = PageSettings::new(&self.job, &self.target.labels, self.target.timeout.as_secs_f64());
        let own = self.target.histograms;
        settings.native = own.native.unwrap_or(settings.native);
        settings.convert_classic = own.convert.unwrap_or(settings.convert_classic);
        settings.keep_classic = own.keep_classic.unwrap_or(settings.keep_classic);
        settings.start_times = self.start_times;
        let settings = Arc::new(settings);
        let accept = accept_header(&self.job.scrape_protocols, self.job.name_escaping);
        let interval = self.target.interval;
        let label = model::duration::DurationMs(interval.as_millis() as i64).to_string();
        let lengths = self.metrics.interval_length.with(&[&label]);
        let mut last_start: Option<Instant> = None;
        let mut due = first_time(interval, self.target.offset());
        let mut store = Some(
            match self.inherits.take() {
                // The task before may be in the middle of a scrape; without its state the series it knew would never end.
                Some(inherits) => tokio::time::timeout_at(due.into(), inherits).await.ok().and_then(Result::ok),
                None => None,
            }
            .unwrap_or_default(),
        );
        loop {
            if !self.stop.sleep(due.saturating_duration_since(Instant::now())).await {
                break;
            }
            let started = Instant::now();
            if let Some(last) = last_start.replace(started) {
                lengths.observe((started - last).as_secs_f64());
            }
            // The schedule's own time where we woke up at it, ours otherwise.
            let late = started.saturating_duration_since(due);
            let tolerance = TOLERANCE.min(interval / 100);
            let now_ms = kit::time::now_ms();
            let time_ms = if late <= tolerance { now_ms - late.as_millis() as i64 } else { now_ms };
            match store.take() {
                Some(taken) => store = self.scrape(taken, &settings, &accept, time_ms, started).await,
                None => store = Some(PageStore::default()),
            }
            due += interval;
            // What was missed is missed: the next time on the schedule counts.
            while due < Instant::now() {
                due += interval;
            }
        }
        let Some(store) = store else { return };
        if !self.ends_series.load(std::sync::atomic::Ordering::Relaxed) {
            // Nobody takes it when the target did not go on after all.
            let _ = self.bequeaths.send(store);
            return;
        }
        if last_start.is_some() {
            end_series(self.db, store, &settings, due, interval, &self.server_stop).await;
        }
    }

    /// One scrape. The store travels to the blocking pool and back; `None` when it was lost to a panic there.
    async fn scrape(
        &self,
        store: PageStore,
        settings: &Arc<PageSettings>,
        accept: &HeaderValue,
        time_ms: i64,
        started: Instant,
    ) -> Option<PageStore> {
        let answer = self.fetch(accept).await;
        let (db, settings, metrics) = (self.db.clone(), settings.clone(), self.metrics.clone());
        let body_limit = self.job.limits.body_size;
        let stored = tokio::task::spawn_blocking(move || {
            let mut store = store;
            let bytes = answer.as_ref().map_or(0, |page| page.body.len());
            store.clear_counts();
            let result = match answer {
                Ok(page) => match store.store(&db, &page.body, page.format, time_ms, &settings, &metrics) {
                    Ok(result) => Ok(result),
                    Err(e) => {
                        if matches!(e, PageError::LabelLimit(_)) {
                            metrics.pool_exceeded_labels.inc();
                        }
                        Err(e.to_string())
                    }
                },
                Err(reason) => Err(reason),
            };
            let duration = started.elapsed();
            if result.is_err()
                && let Err(e) = store.fail(&db, time_ms)
            {
                tracing::warn!(component = "scrape", error = %e, "cannot mark the series of a failed target");
            }
            let up = f64::from(u8::from(result.is_ok()));
            let counts = store.counts();
            let mut values = vec![
                ("up", up),
                ("scrape_duration_seconds", duration.as_secs_f64()),
                ("scrape_samples_scraped", counts.scraped as f64),
                ("scrape_samples_post_metric_relabeling", counts.kept as f64),
                ("scrape_series_added", counts.added as f64),
            ];
            if settings.extra_metrics {
                values.push(("scrape_timeout_seconds", settings.timeout_seconds));
                values.push(("scrape_sample_limit", settings.limits.samples as f64));
                values.push((
                    "scrape_body_size_bytes",
                    if result.is_ok() {
                        bytes as f64
                    } else if body_limit > 0 {
                        -1.0
                    } else {
                        0.0
                    },
                ));
            }
            if let Err(e) = store.report(&db, &settings, time_ms, &values) {
                tracing::warn!(component = "scrape", error = %e, "cannot store the report of a scrape");
            }
            (store, result, duration)
        })
        .await;
        let (mut store, result, duration) = match stored {
            Ok(stored) => stored,
            Err(e) => {
                tracing::error!(component = "scrape", target = self.target.url, error = %e, "storing a page failed");
                return None;
            }
        };
        if let Some(metadata) = store.changed_metadata() {
            self.metrics.metadata_entries.with(&[&self.job.job_name]).set(metadata.len() as f64);
            let bytes: usize = metadata.iter().map(|(name, m)| name.len() + m.help.len() + m.unit.len()).sum();
            self.metrics.metadata_bytes.with(&[&self.job.job_name]).set(bytes as f64);
            self.target.set_metadata(metadata);
        }
        let (error, samples) = match result {
            Ok(counts) => (None, counts.scraped),
            Err(reason) => (Some(reason), 0),
        };
        let before = self.target.last();
        if let Some(reason) = &error
            && before.error.as_ref() != Some(reason)
        {
            tracing::warn!(
                component = "scrape",
                scrape_pool = self.job.job_name,
                target = self.target.url,
                err = reason,
                "scrape failed"
            );
        }
        if let Some(path) = &self.job.scrape_failure_log_file
            && let Some(reason) = &error
        {
            log_failure(path, &self.job.job_name, &self.target.url, reason, time_ms);
        }
        let health = if error.is_none() { Health::Up } else { Health::Down };
        self.target.record(LastScrape { time_ms, duration, error, health }, samples);
        Some(store)
    }

    async fn fetch(&self, accept: &HeaderValue) -> Result<Page, String> {
        let mut request = Request::get(&self.target.url).timeout(self.target.timeout);
        request.gzip = self.job.enable_compression;
        request.max_body = usize::try_from(self.job.limits.body_size).unwrap_or(0);
        let seconds = HeaderValue::from_str(&self.target.timeout.as_secs_f64().to_string())
            .unwrap_or(HeaderValue::from_static("10"));
        let request = request
            .header(header::ACCEPT, accept.clone())
            .header(HeaderName::from_static("x-prometheus-scrape-timeout-seconds"), seconds);
        let answer = self.client.send(request).await.map_err(|e| {
            if matches!(e, ClientError::TooLarge(_)) {
                self.metrics.exceeded_body.inc();
                return "body size limit exceeded".to_owned();
            }
            e.to_string()
        })?;
        if answer.status != StatusCode::OK {
            return Err(format!("server returned HTTP status {}", answer.status));
        }
        let content_type = answer.header(header::CONTENT_TYPE).unwrap_or("");
        let format = match Format::from_content_type(content_type) {
            Some(format) => format,
            None => match self.job.fallback_protocol {
                Some(protocol) => format_of(protocol),
                None if content_type.is_empty() => return Err("non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol specified for target".to_owned()),
                None => return Err(format!("received unsupported Content-Type {content_type:?} and no fallback_scrape_protocol specified for target")),
            },
        };
        Ok(Page { body: answer.body, format })
    }
}

/// Ends the series of a target that is gone. It may come back, in another job perhaps: two intervals have to pass, and the end is put
/// where the next scrape would have been, so that newer samples of whoever took over refuse it.
async fn end_series(
    db: Store,
    mut store: PageStore,
    settings: &Arc<PageSettings>,
    due: Instant,
    interval: Duration,
    server_stop: &Shutdown,
) {
    if !server_stop.sleep(due.saturating_duration_since(Instant::now())).await {
        return;
    }
    let end_ms = kit::time::now_ms();
    if !server_stop.sleep(interval + interval / 10).await {
        return;
    }
    let settings = settings.clone();
    let ended = tokio::task::spawn_blocking(move || {
        let stale: Vec<_> = report_names(settings.extra_metrics).iter().map(|name| (*name, model::STALE_NAN)).collect();
        store.fail(&db, end_ms).and_then(|()| store.report(&db, &settings, end_ms, &stale))
    })
    .await;
    if let Ok(Err(e)) = ended {
        tracing::warn!(component = "scrape", error = %e, "cannot mark the series of a target that is gone");
    }
}

struct Page {
    body: bytes::Bytes,
    format: Format,
}

fn format_of(protocol: ScrapeProtocol) -> Format {
    match protocol {
        ScrapeProtocol::Proto => Format::Protobuf,
        ScrapeProtocol::OpenMetrics0 | ScrapeProtocol::OpenMetrics1 => Format::Text(TextFormat::OpenMetrics),
        ScrapeProtocol::Text0 | ScrapeProtocol::Text1 => Format::Text(TextFormat::Prometheus),
    }
}

/// The next time on the target's own schedule: multiples of the interval since the epoch, plus its offset.
fn first_time(interval: Duration, offset: Duration) -> Instant {
    let interval_ns = interval.as_nanos().max(1);
    let now_ns = u128::try_from(kit::time::now_ns()).unwrap_or(0);
    let into = (now_ns + interval_ns - offset.as_nanos() % interval_ns) % interval_ns;
    let wait = (interval_ns - into) % interval_ns;
    Instant::now() + Duration::from_nanos(u64::try_from(wait).unwrap_or(0))
}

/// `Accept` with falling weights in the order of the protocols.
fn accept_header(protocols: &[ScrapeProtocol], escaping: EscapingScheme) -> HeaderValue {
    let mut parts = Vec::new();
    let mut weight = protocols.len() + 1;
    for protocol in protocols {
        let (media, escapes) = match protocol {
            ScrapeProtocol::Proto => {
                ("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited", false)
            }
            ScrapeProtocol::OpenMetrics1 => ("application/openmetrics-text;version=1.0.0", true),
            ScrapeProtocol::OpenMetrics0 => ("application/openmetrics-text;version=0.0.1", false),
            ScrapeProtocol::Text1 => ("text/plain;version=1.0.0", true),
            ScrapeProtocol::Text0 => ("text/plain;version=0.0.4", false),
        };
        let escaping = if escapes { format!(";escaping={}", escaping.name()) } else { String::new() };
        parts.push(format!("{media}{escaping};q=0.{weight}"));
        weight -= 1;
    }
    parts.push(format!("*/*;q=0.{weight}"));
    HeaderValue::from_str(&parts.join(",")).unwrap_or(HeaderValue::from_static("*/*"))
}

fn report_names(extra: bool) -> &'static [&'static str] {
    let all: &[&str] = &[
        "up",
        "scrape_duration_seconds",
        "scrape_samples_scraped",
        "scrape_samples_post_metric_relabeling",
        "scrape_series_added",
        "scrape_timeout_seconds",
        "scrape_sample_limit",
        "scrape_body_size_bytes",
    ];
    if extra { all } else { &all[..5] }
}

fn log_failure(path: &std::path::Path, job: &str, url: &str, reason: &str, time_ms: i64) {
    use std::io::Write;
    let line = serde_json::json!({
        "time": kit::time::Rfc3339(time_ms).to_string(), "level": "ERROR", "msg": reason, "job_name": job, "target": url,
    });
    let written =
        std::fs::OpenOptions::new().create(true).append(true).open(path).and_then(|mut file| writeln!(file, "{line}"));
    if let Err(e) = written {
        tracing::warn!(component = "scrape", file = %path.display(), error = %e, "cannot write the log of failed scrapes");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accept_header_has_falling_weights() {
        let header = accept_header(&ScrapeProtocol::defaults(false), EscapingScheme::AllowUtf8);
        assert_eq!(
            header.to_str().unwrap(),
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,\
             text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
        );
    }

    #[test]
    fn the_first_scrape_is_on_schedule_within_one_interval() {
        let interval = Duration::from_secs(15);
        for offset in [0, 1, 7, 14] {
            let wait = first_time(interval, Duration::from_secs(offset)).saturating_duration_since(Instant::now());
            assert!(wait < interval);
        }
    }
}
