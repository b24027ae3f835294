//! Samples of rules on their way to metrics servers: one journal on disk and one task for each of them.
//!
//! A sample that a rule has made survives a crash from then on; how far a server has everything is kept beside the journal, so a
//! restart goes on there. What was on its way in a crash is sent again, which servers take as the duplicates they are.
//!
//! What cannot be delivered is tried again with growing pauses, until it is older than `ruler.wal.max_age`; answers that say
//! the samples themselves are wrong (4xx, save 429) end the tries. When too much waits, the oldest goes first.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use alerting::{OutputSample, SampleValue};
use axum::http::{HeaderName, HeaderValue};
use disk::{Journal, JournalOptions, Place, RealFiles};
use kit::Shutdown;
use kit::client::{Client, ClientError, Request};
use kit::log::Limiter;
use kit::metrics::{Counter, Registry, Vector};
use kit::percent;
use kit::relabel::process;
use kit::time::now_ms;
use model::Labels;
use parking_lot::Mutex;
use tokio::sync::Notify;
use wire::remote_write::RequestWriter;

use crate::config::{RemoteWriteClient, RulerConfig};
use crate::tenants::TENANT_HEADER;

const JOURNAL: JournalOptions = JournalOptions { segment_bytes: 1 << 20, max_bytes: 1 << 30 };
/// Bytes of batches that are read at once.
const READ_BYTES: usize = 1 << 20;
/// Kind of the journal's records.
const BATCH: u8 = 1;

/// Samples of one tenant for one request.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Batch {
    tenant: String,
    /// When it was made.
    made_ms: i64,
    samples: u32,
    /// The encoded and compressed message.
    body: Vec<u8>,
}

impl Batch {
    /// As a record: `made_ms` (i64), `samples` (u32), bytes of the tenant's name (u8), the name, the body; little-endian.
    fn encode(&self) -> Vec<u8> {
        let tenant = self.tenant.as_bytes();
        let mut record = Vec::with_capacity(13 + tenant.len() + self.body.len());
        record.extend_from_slice(&self.made_ms.to_le_bytes());
        record.extend_from_slice(&self.samples.to_le_bytes());
        // The longest name of a tenant is shorter than that.
        record.push(u8::try_from(tenant.len()).unwrap_or(0));
        record.extend_from_slice(tenant);
        record.extend_from_slice(&self.body);
        record
    }

    fn decode(record: &[u8]) -> Option<Self> {
        let (made_ms, rest) = record.split_first_chunk()?;
        let (samples, rest) = rest.split_first_chunk()?;
        let (tenant_len, rest) = rest.split_first()?;
        let (tenant, body) = rest.split_at_checked(usize::from(*tenant_len))?;
        Some(Self {
            tenant: std::str::from_utf8(tenant).ok()?.to_owned(),
            made_ms: i64::from_le_bytes(*made_ms),
            samples: u32::from_le_bytes(*samples),
            body: body.to_vec(),
        })
    }
}

/// Rules cannot write as configured.
#[derive(Debug, thiserror::Error)]
pub enum RemoteWriteError {
    /// A server, or the Alertmanagers, cannot be reached like that.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// What waits cannot be kept.
    #[error("ruler.wal.dir: {0}")]
    Journal(#[from] disk::Error),
}

struct Target {
    config: RemoteWriteClient,
    client: Client,
    journal: Journal,
    /// How far the server has everything, and how much of it the file says.
    place: Mutex<(Place, Place)>,
    place_file: PathBuf,
    arrived: Notify,
    max_age_ms: i64,
    trouble: Limiter,
}

struct Metrics {
    sent: Vector<Counter>,
    failed: Vector<Counter>,
    dropped: Vector<Counter>,
}

/// See the module.
pub(crate) struct RemoteWriter {
    targets: Vec<Arc<Target>>,
    add_tenant: bool,
    metrics: Arc<Metrics>,
}

impl RemoteWriter {
    /// Opens the journals. Blocking.
    ///
    /// # Errors
    /// When a server cannot be reached as configured, or its journal cannot be opened.
    pub(crate) fn new(config: &RulerConfig, registry: &Registry) -> Result<Arc<Self>, RemoteWriteError> {
        let mut targets = Vec::new();
        for client in &config.remote_write {
            let dir = config.wal_dir.join(format!("remote-{}", percent::encode(&client.name)));
            let journal = Journal::open(Arc::new(RealFiles), dir.clone(), JOURNAL)?;
            let place_file = dir.join("place.json");
            let place = read_place(&place_file);
            targets.push(Arc::new(Target {
                client: Client::new(&client.http, concat!("foursight-logs/", env!("CARGO_PKG_VERSION")))?,
                config: client.clone(),
                journal,
                place: Mutex::new((place, place)),
                place_file,
                arrived: Notify::new(),
                max_age_ms: i64::try_from(config.wal_max_age.as_millis()).unwrap_or(i64::MAX),
                trouble: Limiter::new(Duration::from_secs(60)),
            }));
        }
        let labels: &[&'static str] = &["remote_name"];
        let metrics = Metrics {
            sent: registry.counter_vec(
                "loki_ruler_wal_prometheus_remote_storage_samples_total",
                "Total number of samples sent to remote storage.",
                labels,
            ),
            failed: registry.counter_vec(
                "loki_ruler_wal_prometheus_remote_storage_samples_failed_total",
                "Total number of samples which failed on send to remote storage, non-recoverable errors.",
                labels,
            ),
            dropped: registry.counter_vec(
                "loki_ruler_wal_prometheus_remote_storage_samples_dropped_total",
                "Total number of samples which were dropped before being sent via remote write.",
                labels,
            ),
        };
        for target in &targets {
            for counter in [&metrics.sent, &metrics.failed, &metrics.dropped] {
                counter.with(&[&target.config.name]);
            }
        }
        Ok(Arc::new(Self { targets, add_tenant: config.add_org_id_header, metrics: Arc::new(metrics) }))
    }

    /// Whether samples go anywhere.
    pub(crate) fn is_enabled(&self) -> bool {
        !self.targets.is_empty()
    }

    /// Keeps samples for all servers; when this returns they survive a crash. Blocking.
    pub(crate) fn put(&self, tenant: &str, samples: &[OutputSample]) {
        for target in &self.targets {
            for part in samples.chunks(target.config.batch) {
                let mut message = RequestWriter::new();
                let mut count = 0;
                for sample in part {
                    let SampleValue::Float(value) = sample.value else { continue };
                    let Some(labels) = relabelled(&sample.labels, target) else { continue };
                    message.series(labels.iter(), |values| values.sample(sample.timestamp_ms, value));
                    count += 1;
                }
                if count == 0 {
                    continue;
                }
                let body = wire::compress::snappy_encode(&message.finish());
                let batch = Batch { tenant: tenant.to_owned(), made_ms: now_ms(), samples: count, body };
                if let Err(e) = target.journal.append(BATCH, &batch.encode()) {
                    self.metrics.dropped.with(&[&target.config.name]).add(u64::from(count));
                    target.complain(&e, "samples of rules cannot be kept");
                }
                target.arrived.notify_one();
            }
        }
    }

    /// Starts the tasks.
    pub(crate) fn start(self: &Arc<Self>, stop: &Shutdown) {
        for target in &self.targets {
            let (target, metrics, add_tenant) = (target.clone(), self.metrics.clone(), self.add_tenant);
            let token = stop.clone();
            stop.spawn("remote write", async move { target.run(&metrics, add_tenant, &token).await });
        }
    }

    /// Housekeeping, about once a second: recovers a journal that failed, deletes what was delivered. Blocking.
    pub(crate) fn maintain(&self) {
        for target in &self.targets {
            let place = target.place.lock().1;
            if let Err(e) = target.journal.maintain([place]) {
                target.complain(&e, "the journal of samples of rules is in trouble");
            }
        }
    }

    /// Keeps how far the servers have everything. Blocking.
    pub(crate) fn save(&self) {
        self.targets.iter().for_each(|target| target.save_place());
    }
}

fn relabelled(labels: &Labels, target: &Target) -> Option<Labels> {
    if target.config.relabel_rules.is_empty() {
        Some(labels.clone())
    } else {
        process(labels, &target.config.relabel_rules)
    }
}

fn read_place(file: &Path) -> Place {
    match std::fs::read(file).map(|bytes| serde_json::from_slice(&bytes)) {
        Ok(Ok(place)) => place,
        // All that is there is sent once more.
        Ok(Err(e)) => {
            tracing::warn!(component = "ruler", file = %file.display(), error = %e, "how far samples of rules were delivered cannot be read");
            Place::default()
        }
        Err(_) => Place::default(),
    }
}

/// How an attempt to deliver ended.
enum Outcome {
    Taken,
    Refused(String),
    Again(String),
}

impl Target {
    async fn run(self: Arc<Self>, metrics: &Metrics, add_tenant: bool, stop: &Shutdown) {
        loop {
            let worker = self.clone();
            let batches = match tokio::task::spawn_blocking(move || worker.read()).await {
                Ok(Ok(batches)) => batches,
                failed => {
                    match failed {
                        Ok(Err(e)) => self.complain(&e, "samples of rules cannot be read back"),
                        other => self.complain(&format!("{:?}", other.err()), "samples of rules cannot be read back"),
                    }
                    if !stop.sleep(Duration::from_secs(1)).await {
                        return;
                    }
                    continue;
                }
            };
            if batches.is_empty() {
                tokio::select! {
                    () = self.arrived.notified() => continue,
                    () = stop.triggered() => return,
                }
            }
            for (batch, end) in batches {
                if !self.deliver(&batch, metrics, add_tenant, stop).await {
                    return;
                }
                self.place.lock().0 = end;
            }
        }
    }

    /// The batches that come next, each with the place behind it. Blocking.
    fn read(&self) -> Result<Vec<(Batch, Place)>, disk::Error> {
        self.save_place();
        let from = self.place.lock().0;
        let (mut batches, mut bytes) = (Vec::new(), 0);
        let report = self.journal.read(from, &mut |record| {
            // The checksum was right: what cannot be understood is of another version, and nothing to wait for.
            if record.kind == BATCH
                && let Some(batch) = Batch::decode(record.payload)
            {
                batches.push((batch, record.end));
            }
            bytes += record.payload.len();
            if bytes >= READ_BYTES { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        if report.lost {
            self.complain(&"too much was waiting", "the oldest samples of rules were not delivered");
        }
        match batches.last_mut() {
            Some((_, end)) => *end = report.next,
            None => self.place.lock().0 = report.next,
        }
        Ok(batches)
    }

    /// Sends a batch until that has come to an end; false if the server stops before.
    async fn deliver(&self, batch: &Batch, metrics: &Metrics, add_tenant: bool, stop: &Shutdown) -> bool {
        let name = self.config.name.as_str();
        let samples = u64::from(batch.samples);
        let mut pause = self.config.min_backoff;
        loop {
            if self.max_age_ms > 0 && now_ms().saturating_sub(batch.made_ms) > self.max_age_ms {
                metrics.dropped.with(&[name]).add(samples);
                self.complain(&"they are older than ruler.wal.max_age", "samples of rules were not delivered");
                return true;
            }
            match self.send(batch, add_tenant).await {
                Outcome::Taken => {
                    metrics.sent.with(&[name]).add(samples);
                    return true;
                }
                Outcome::Refused(reason) => {
                    metrics.failed.with(&[name]).add(samples);
                    tracing::error!(component = "ruler", remote = name, err = reason, "samples of rules were refused");
                    return true;
                }
                Outcome::Again(problem) => {
                    self.complain(&problem, "samples of rules cannot be delivered, trying again");
                }
            }
            if !stop.sleep(pause).await {
                return false;
            }
            pause = (pause * 2).min(self.config.max_backoff).max(self.config.min_backoff);
        }
    }

    async fn send(&self, batch: &Batch, add_tenant: bool) -> Outcome {
        match self.client.send(self.request(batch, add_tenant)).await {
            Ok(answer) if answer.status.is_success() => Outcome::Taken,
            Ok(answer) => {
                let text = format!("{} {}", answer.status, answer.excerpt());
                let is_final = answer.status.is_client_error() && answer.status.as_u16() != 429;
                if is_final { Outcome::Refused(text) } else { Outcome::Again(text) }
            }
            Err(e) => Outcome::Again(e.to_string()),
        }
    }

    fn request(&self, batch: &Batch, add_tenant: bool) -> Request {
        let mut request = Request::post(&self.config.url, "application/x-protobuf", batch.body.clone())
            .timeout(self.config.timeout)
            .header(HeaderName::from_static("content-encoding"), HeaderValue::from_static("snappy"))
            .header(HeaderName::from_static("x-prometheus-remote-write-version"), HeaderValue::from_static("0.1.0"));
        for (name, value) in &self.config.headers {
            if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
                request = request.header(name, value);
            }
        }
        match HeaderValue::from_str(&batch.tenant) {
            Ok(tenant) if add_tenant => request.header(HeaderName::from_static(TENANT_HEADER), tenant),
            _ => request,
        }
    }

    fn save_place(&self) {
        let (place, saved) = *self.place.lock();
        if place == saved {
            return;
        }
        let written = serde_json::to_vec(&place)
            .map_err(std::io::Error::other)
            .and_then(|bytes| kit::files::write_atomic(&self.place_file, &bytes));
        match written {
            Ok(()) => self.place.lock().1 = place,
            Err(e) => self.complain(&e, "how far samples of rules were delivered cannot be kept"),
        }
    }

    fn complain(&self, problem: &dyn std::fmt::Display, message: &'static str) {
        if let Some(held_back) = self.trouble.allow(message) {
            tracing::warn!(
                component = "ruler",
                remote = self.config.name,
                err = %problem,
                held_back,
                "{message}"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_come_back_from_their_records() {
        let batch = Batch { tenant: "team-a".into(), made_ms: -1, samples: 7, body: vec![1, 2, 3] };
        let record = batch.encode();
        assert_eq!(Batch::decode(&record), Some(batch.clone()));
        for len in 0..19 {
            assert_eq!(Batch::decode(&record[..len]), None, "{len}");
        }
        assert_eq!(Batch::decode(&record[..19]), Some(Batch { body: Vec::new(), ..batch }));
        assert_eq!(Batch::decode(&[0xff; 40]), None);
    }
}
