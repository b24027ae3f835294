//! Samples of rules on their way to metrics servers: one queue and one task for each of them.
//!
//! What cannot be delivered is tried again with growing pauses for as long as it is remembered; answers that say the samples
//! themselves are wrong (4xx, save 429) end the tries. Queues are bounded: the oldest batches go first. What is queued when
//! the server stops is kept in a file and sent after the next start.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use alerting::{OutputSample, SampleValue};
use axum::http::{HeaderName, HeaderValue};
use kit::Shutdown;
use kit::client::{Client, ClientError, Request};
use kit::log::Limiter;
use kit::metrics::{Counter, Registry, Vector};
use kit::relabel::process;
use model::Labels;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use wire::remote_write::RequestWriter;

use crate::config::{RemoteWriteClient, RulerConfig};
use crate::tenants::TENANT_HEADER;

/// Most samples that wait for a server.
const MAX_WAITING: usize = 1 << 20;

/// Samples of one tenant for one request.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Batch {
    tenant: String,
    /// The encoded and compressed message.
    #[serde(with = "bytes_as_base64")]
    body: Vec<u8>,
    samples: usize,
}

mod bytes_as_base64 {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<u8>, D::Error> {
        STANDARD.decode(String::deserialize(d)?).map_err(serde::de::Error::custom)
    }
}

#[derive(Default)]
struct Waiting {
    batches: VecDeque<Batch>,
    samples: usize,
}

struct Target {
    config: RemoteWriteClient,
    client: Client,
    waiting: Mutex<Waiting>,
    arrived: Notify,
    file: PathBuf,
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
    /// # Errors
    /// When a server cannot be reached as configured.
    pub(crate) fn new(config: &RulerConfig, registry: &Registry) -> Result<Arc<Self>, ClientError> {
        let mut targets = Vec::new();
        for client in &config.remote_write {
            let name: String = client.name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
            let target = Target {
                client: Client::new(&client.http, concat!("foursight-logs/", env!("CARGO_PKG_VERSION")))?,
                config: client.clone(),
                waiting: Mutex::default(),
                arrived: Notify::new(),
                file: config.wal_dir.join(format!("{name}.pending.json")),
            };
            target.read_file();
            targets.push(Arc::new(target));
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

    /// Queues samples for all servers.
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
                if count > 0 {
                    let body = wire::compress::snappy_encode(&message.finish());
                    let dropped = target.put(Batch { tenant: tenant.to_owned(), body, samples: count });
                    self.metrics.dropped.with(&[&target.config.name]).add(dropped as u64);
                }
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

    /// Keeps what is still queued for the next start. Blocking.
    pub(crate) fn save(&self) {
        self.targets.iter().for_each(|target| target.write_file());
    }
}

fn relabelled(labels: &Labels, target: &Target) -> Option<Labels> {
    if target.config.relabel_rules.is_empty() {
        Some(labels.clone())
    } else {
        process(labels, &target.config.relabel_rules)
    }
}

impl Target {
    /// Queues a batch; returns how many samples had to go for it.
    fn put(&self, batch: Batch) -> usize {
        let mut waiting = self.waiting.lock();
        let mut dropped = 0;
        waiting.samples += batch.samples;
        waiting.batches.push_back(batch);
        while waiting.samples > MAX_WAITING
            && let Some(oldest) = waiting.batches.pop_front()
        {
            waiting.samples -= oldest.samples;
            dropped += oldest.samples;
        }
        drop(waiting);
        self.arrived.notify_one();
        dropped
    }

    async fn run(&self, metrics: &Metrics, add_tenant: bool, stop: &Shutdown) {
        let limiter = Limiter::new(Duration::from_secs(60));
        let name = self.config.name.as_str();
        let mut pause = self.config.min_backoff;
        loop {
            let next = self.waiting.lock().batches.front().cloned();
            let Some(batch) = next else {
                tokio::select! {
                    () = self.arrived.notified() => continue,
                    () = stop.triggered() => return,
                }
            };
            let problem = match self.client.send(self.request(&batch, add_tenant)).await {
                Ok(answer) if answer.status.is_success() => {
                    self.took(&batch);
                    metrics.sent.with(&[name]).add(batch.samples as u64);
                    pause = self.config.min_backoff;
                    continue;
                }
                Ok(answer) if answer.status.is_client_error() && answer.status.as_u16() != 429 => {
                    self.took(&batch);
                    metrics.failed.with(&[name]).add(batch.samples as u64);
                    let status = answer.status.as_u16();
                    tracing::error!(
                        component = "ruler",
                        remote = name,
                        status,
                        err = answer.excerpt(),
                        "samples of rules were refused"
                    );
                    continue;
                }
                Ok(answer) => format!("{} {}", answer.status, answer.excerpt()),
                Err(e) => e.to_string(),
            };
            if let Some(held_back) = limiter.allow(name) {
                tracing::warn!(
                    component = "ruler",
                    remote = name,
                    err = problem,
                    held_back,
                    "samples of rules cannot be delivered, trying again"
                );
            }
            if !stop.sleep(pause).await {
                return;
            }
            pause = (pause * 2).min(self.config.max_backoff).max(self.config.min_backoff);
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

    /// Forgets the first batch, unless the bound of the queue has done so already.
    fn took(&self, batch: &Batch) {
        let mut waiting = self.waiting.lock();
        if waiting.batches.front().is_some_and(|first| first.body == batch.body) {
            waiting.batches.pop_front();
            waiting.samples -= batch.samples;
        }
    }

    fn read_file(&self) {
        let Ok(bytes) = std::fs::read(&self.file) else { return };
        match serde_json::from_slice::<VecDeque<Batch>>(&bytes) {
            Ok(batches) => {
                let samples = batches.iter().map(|batch| batch.samples).sum();
                *self.waiting.lock() = Waiting { batches, samples };
            }
            Err(e) => {
                tracing::error!(component = "ruler", file = %self.file.display(), error = %e, "samples of rules that were not delivered cannot be read");
            }
        }
    }

    fn write_file(&self) {
        let batches = std::mem::take(&mut self.waiting.lock().batches);
        let written = if batches.is_empty() {
            match std::fs::remove_file(&self.file) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e),
                _ => Ok(()),
            }
        } else {
            let dir = self.file.parent().map(PathBuf::from).unwrap_or_default();
            std::fs::create_dir_all(dir)
                .and_then(|()| serde_json::to_vec(&batches).map_err(std::io::Error::other))
                .and_then(|bytes| kit::files::write_atomic(&self.file, &bytes))
        };
        if let Err(e) = written {
            tracing::error!(component = "ruler", file = %self.file.display(), error = %e, "samples of rules that were not delivered cannot be kept");
        }
    }
}
