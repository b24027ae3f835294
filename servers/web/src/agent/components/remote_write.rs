//! `prometheus.remote_write`: sends samples to metrics servers through a queue on disk.
//!
//! Samples are gathered into requests of at most `max_samples_per_send`, written to the queue of each endpoint, and sent
//! from there in order until they are taken. What the server refuses for good (4xx) is dropped and counted. The queue
//! survives restarts; its size is bounded.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::header::{CONTENT_ENCODING, HeaderName, HeaderValue, RETRY_AFTER};
use kit::Shutdown;
use kit::client::{Client, Request};
use kit::relabel::{NameScheme, Rule, compile_all};
use model::Labels;
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};
use wire::exposition::MetricKind;
use wire::remote_write::{Metadata, RequestWriter, RequestWriterV2, Sample, Version};

use super::client::{client, settings};
use super::metric_relabel::CachedRules;
use super::queue::DiskQueue;
use super::receive;
use crate::agent::controller::{Component, Ctx};
use crate::agent::pipe::{MetricReceiver, Samples, send_metrics};
use crate::agent::syntax::{Args, Capsule, Diag, Result, Value};

/// Most bytes waiting on disk for one endpoint.
const MAX_QUEUE: u64 = 512 << 20;
/// Requests sent between two writes of the cursor.
const COMMIT_EVERY: u32 = 16;

#[derive(Clone)]
struct Endpoint {
    url: String,
    shown: String,
    client: Client,
    timeout: Duration,
    version: Version,
    exemplars: bool,
    histograms: bool,
    max_samples: usize,
    deadline: Duration,
    min_backoff: Duration,
    max_backoff: Duration,
    retry_429: bool,
    age_limit: Duration,
    metadata: Option<Duration>,
    rules: Vec<Rule>,
}

struct RemoteWrite {
    ctx: Ctx,
    inbox: Mutex<Option<mpsc::Receiver<Samples>>>,
    settings: Mutex<(Vec<Endpoint>, Labels)>,
    started: Mutex<bool>,
}

pub(super) fn build(ctx: Ctx, args: Args) -> Result<Arc<dyn Component>> {
    let (receiver, inbox) = MetricReceiver::channel();
    ctx.export([("receiver", Value::Capsule(Capsule::Metrics(receiver)))]);
    let inbox = Mutex::new(Some(inbox));
    let component = RemoteWrite { ctx, inbox, settings: Mutex::default(), started: Mutex::new(false) };
    component.update(args)?;
    Ok(Arc::new(component))
}

fn endpoint(mut args: Args) -> Result<Endpoint> {
    let url = args.required("url")?;
    args.text("name")?;
    let http = settings(&mut args)?;
    let version_pos = args.pos_of("protobuf_message");
    let version = match args.text_or("protobuf_message", "prometheus.WriteRequest")?.as_str() {
        "prometheus.WriteRequest" => Version::V1,
        "io.prometheus.write.v2.Request" => Version::V2,
        other => return Err(Diag::new(&version_pos, format!("unknown protobuf_message {other:?}"))),
    };
    let mut endpoint = Endpoint {
        shown: kit::client::without_credentials(&url),
        client: client(&args, &http)?,
        timeout: args.duration_or("remote_timeout", Duration::from_secs(30))?,
        version,
        exemplars: args.bool_or("send_exemplars", true)?,
        histograms: args.bool_or("send_native_histograms", false)?,
        max_samples: 2000,
        deadline: Duration::from_secs(5),
        min_backoff: Duration::from_millis(30),
        max_backoff: Duration::from_secs(5),
        retry_429: true,
        age_limit: Duration::ZERO,
        metadata: Some(Duration::from_secs(60)),
        rules: Vec::new(),
        url,
    };
    args.bool_or("round_robin_dns", false)?;
    if let Some(mut block) = args.block("queue_config")? {
        endpoint.max_samples = block.count_or("max_samples_per_send", 2000)?.clamp(1, 1_000_000);
        endpoint.deadline = block.duration_or("batch_send_deadline", endpoint.deadline)?;
        endpoint.min_backoff = block.duration_or("min_backoff", endpoint.min_backoff)?;
        endpoint.max_backoff = block.duration_or("max_backoff", endpoint.max_backoff)?;
        endpoint.retry_429 = block.bool_or("retry_on_http_429", true)?;
        endpoint.age_limit = block.duration_or("sample_age_limit", Duration::ZERO)?;
        // The queue is on disk and one sender keeps the order: these change nothing.
        for name in ["capacity", "min_shards", "max_shards"] {
            block.count_or(name, 0)?;
        }
        block.finish()?;
    }
    if let Some(mut block) = args.block("metadata_config")? {
        let send = block.bool_or("send", true)?;
        let interval = block.duration_or("send_interval", Duration::from_secs(60))?;
        block.count_or("max_samples_per_send", 2000)?;
        block.finish()?;
        endpoint.metadata = send.then_some(interval.max(Duration::from_secs(1)));
    }
    let pos = args.pos.clone();
    let rules = args.rules("write_relabel_config")?;
    endpoint.rules = compile_all(&rules, NameScheme::Utf8).map_err(|message| Diag::new(&pos, message))?;
    args.finish()?;
    if !(endpoint.url.starts_with("http://") || endpoint.url.starts_with("https://")) {
        return Err(Diag::new(&pos, "url must begin with http:// or https://"));
    }
    Ok(endpoint)
}

impl Component for RemoteWrite {
    fn update(&self, mut args: Args) -> Result<()> {
        let endpoints = args.blocks("endpoint").into_iter().map(endpoint).collect::<Result<Vec<_>>>()?;
        let external = args.text_map("external_labels")?;
        if let Some(mut block) = args.block("wal")? {
            // The queue forgets what is sent, and is bounded by size.
            for name in ["truncate_frequency", "min_keepalive_time", "max_keepalive_time"] {
                block.duration_or(name, Duration::ZERO)?;
            }
            block.finish()?;
        }
        let pos = args.pos.clone();
        args.finish()?;
        if *self.started.lock() {
            let message = "changed arguments of prometheus.remote_write take effect at the next reload";
            return Err(Diag::new(&pos, message));
        }
        let external = Labels::from_pairs(external.into_iter().map(|(name, value)| (name, value.unwrap_or_default())));
        *self.settings.lock() = (endpoints, external);
        Ok(())
    }

    fn start(self: Arc<Self>, shutdown: &Shutdown) {
        *self.started.lock() = true;
        let Some(mut inbox) = self.inbox.lock().take() else { return };
        let (endpoints, external) = self.settings.lock().clone();
        let mut forward = Vec::new();
        for (index, endpoint) in endpoints.into_iter().enumerate() {
            let dir = if index == 0 { "wal".to_owned() } else { format!("wal-{index}") };
            let queue = match self.open_queue(&endpoint, &self.ctx.storage.join(dir)) {
                Ok(queue) => Arc::new(queue),
                Err(error) => {
                    tracing::error!(component = "agent", node = self.ctx.id, %error, "cannot open the queue on disk");
                    self.ctx.unhealthy(format!("cannot open the queue on disk: {error}"));
                    continue;
                }
            };
            let (receiver, samples) = MetricReceiver::channel();
            forward.push(receiver);
            let (writer, stop) = (self.clone(), shutdown.clone());
            let (filling, filled) = (endpoint.clone(), queue.clone());
            shutdown.spawn("remote_write", async move { writer.fill(filling, samples, filled, stop).await });
            let (writer, stop) = (self.clone(), shutdown.clone());
            shutdown.spawn("remote_write", async move { writer.send_all(endpoint, queue, stop).await });
        }
        let stop = shutdown.clone();
        shutdown.spawn("remote_write", async move {
            while let Some(mut samples) = receive(&mut inbox, &stop).await {
                add_external(&mut samples, &external);
                send_metrics(&forward, samples).await;
            }
        });
    }
}

/// External labels stand back where a series has its own.
fn add_external(samples: &mut Samples, external: &Labels) {
    if external.is_empty() {
        return;
    }
    let add = |labels: &mut Labels| {
        let mut builder = labels.to_builder();
        for (name, value) in external {
            if labels.get(name).is_none() {
                builder.set(name, value);
            }
        }
        *labels = builder.build();
    };
    samples.floats.iter_mut().for_each(|(labels, ..)| add(labels));
    samples.histograms.iter_mut().for_each(|(labels, ..)| add(labels));
    samples.exemplars.iter_mut().for_each(|(labels, ..)| add(labels));
}

struct Queue {
    disk: Mutex<DiskQueue>,
    pushed: Notify,
    /// The filling task has ended: when the queue is empty, it stays so.
    closed: std::sync::atomic::AtomicBool,
}

type MetadataMap = BTreeMap<String, (MetricKind, String, String)>;

impl RemoteWrite {
    fn open_queue(&self, _endpoint: &Endpoint, dir: &Path) -> std::io::Result<Queue> {
        let disk = Mutex::new(DiskQueue::open(dir, MAX_QUEUE)?);
        Ok(Queue { disk, pushed: Notify::new(), closed: std::sync::atomic::AtomicBool::new(false) })
    }

    async fn fill(&self, endpoint: Endpoint, mut inbox: mpsc::Receiver<Samples>, queue: Arc<Queue>, stop: Shutdown) {
        let mut rules = CachedRules::new();
        let mut open = Samples::default();
        let mut metadata = MetadataMap::new();
        let (mut since, mut metadata_at) = (Instant::now(), Instant::now());
        loop {
            let wait = if open.is_empty() {
                Duration::from_secs(3600)
            } else {
                endpoint.deadline.saturating_sub(since.elapsed())
            };
            let received = tokio::select! {
                received = receive(&mut inbox, &stop) => match received {
                    Some(received) => Some(received),
                    None => break,
                },
                () = tokio::time::sleep(wait) => None,
            };
            if let Some(mut samples) = received {
                rules.apply(&mut samples, &endpoint.rules, 200_000);
                if open.is_empty() {
                    since = Instant::now();
                }
                if endpoint.metadata.is_some() {
                    for (name, known) in samples.metadata.iter() {
                        if metadata.get(name) != Some(known) {
                            metadata.insert(name.clone(), known.clone());
                        }
                    }
                }
                open.floats.append(&mut samples.floats);
                open.histograms.append(&mut samples.histograms);
                open.exemplars.append(&mut samples.exemplars);
            }
            while open.len() >= endpoint.max_samples {
                self.store(&endpoint, &mut open, &metadata, &queue);
            }
            if !open.is_empty() && since.elapsed() >= endpoint.deadline {
                self.store(&endpoint, &mut open, &metadata, &queue);
                since = Instant::now();
            }
            if let Some(interval) = endpoint.metadata
                && endpoint.version == Version::V1
                && metadata_at.elapsed() >= interval
                && !metadata.is_empty()
            {
                metadata_at = Instant::now();
                let mut request = RequestWriter::new();
                for (family, (kind, help, unit)) in &metadata {
                    request.metadata(&Metadata { family, kind: *kind, help, unit });
                }
                self.push(&endpoint, &queue, 0, request.finish());
            }
        }
        while !open.is_empty() {
            self.store(&endpoint, &mut open, &metadata, &queue);
        }
        queue.closed.store(true, std::sync::atomic::Ordering::Release);
        queue.pushed.notify_one();
    }

    /// Takes one request's worth of samples and writes it to the queue.
    fn store(&self, endpoint: &Endpoint, open: &mut Samples, metadata: &MetadataMap, queue: &Queue) {
        let floats: Vec<_> = open.floats.drain(..open.floats.len().min(endpoint.max_samples)).collect();
        let room = endpoint.max_samples - floats.len();
        let histograms: Vec<_> = open.histograms.drain(..open.histograms.len().min(room)).collect();
        let exemplars = if open.is_empty() { std::mem::take(&mut open.exemplars) } else { Vec::new() };
        let count = floats.len() + histograms.len();
        let body = match endpoint.version {
            Version::V1 => {
                let mut request = RequestWriter::new();
                for (labels, timestamp, value) in &floats {
                    request.series(labels, |series| series.sample(*timestamp, *value));
                }
                for (labels, timestamp, native) in histograms.iter().filter(|_| endpoint.histograms) {
                    request.series(labels, |series| series.histogram(*timestamp, native));
                }
                for (labels, own, timestamp, value) in exemplars.iter().filter(|_| endpoint.exemplars) {
                    request.series(labels, |series| series.exemplar(own, *timestamp, *value));
                }
                request.finish()
            }
            Version::V2 => {
                let mut request = RequestWriterV2::new();
                let known = |labels: &Labels| {
                    let name = labels.metric_name().unwrap_or("");
                    let family = metadata.get(name).or_else(|| {
                        let base = ["_bucket", "_count", "_sum", "_total"].iter().find_map(|s| name.strip_suffix(s))?;
                        metadata.get(base)
                    });
                    family.map_or((MetricKind::Unknown, "", ""), |(kind, help, unit)| {
                        (*kind, help.as_str(), unit.as_str())
                    })
                };
                for (labels, timestamp_ms, value) in &floats {
                    let (kind, help, unit) = known(labels);
                    let sample = Sample { timestamp_ms: *timestamp_ms, value: *value, start_ms: 0 };
                    request.series(labels, &[sample], &[], &Metadata { family: "", kind, help, unit });
                }
                for (labels, timestamp, native) in histograms.iter().filter(|_| endpoint.histograms) {
                    let (kind, help, unit) = known(labels);
                    let metadata = Metadata { family: "", kind, help, unit };
                    request.series(labels, &[], &[(*timestamp, 0, (**native).clone())], &metadata);
                }
                request.finish()
            }
        };
        self.push(endpoint, queue, count, body);
    }

    fn push(&self, endpoint: &Endpoint, queue: &Queue, samples: usize, body: Vec<u8>) {
        let labels = [self.ctx.id.as_str(), endpoint.shown.as_str()];
        // The count and the time stand before the request, so that what happens to it later can be counted.
        let mut record = Vec::with_capacity(body.len() + 16);
        record.extend_from_slice(&(samples as u64).to_le_bytes());
        record.extend_from_slice(&kit::time::now_ms().to_le_bytes());
        record.extend_from_slice(&body);
        let result = queue.disk.lock().push(&record);
        match result {
            Ok(0) => self.ctx.metrics.wal_appended.with(&labels).add(samples as u64),
            Ok(dropped) => {
                self.ctx.metrics.wal_appended.with(&labels).add(samples as u64);
                tracing::warn!(
                    component = "agent",
                    node = self.ctx.id,
                    dropped,
                    "queue on disk is full, oldest samples dropped"
                );
                let labels = [self.ctx.id.as_str(), endpoint.shown.as_str(), "queue_full_bytes"];
                self.ctx.metrics.remote_dropped.with(&labels).add(dropped);
            }
            Err(error) => {
                self.ctx.unhealthy(format!("queue on disk: {error}"));
                let labels = [self.ctx.id.as_str(), endpoint.shown.as_str(), "disk_error"];
                self.ctx.metrics.remote_dropped.with(&labels).add(samples as u64);
            }
        }
        queue.pushed.notify_one();
    }

    async fn send_all(&self, endpoint: Endpoint, queue: Arc<Queue>, stop: Shutdown) {
        let labels = [self.ctx.id.as_str(), endpoint.shown.as_str()];
        let pending = self.ctx.metrics.remote_pending_bytes.with(&labels);
        let corruptions = self.ctx.metrics.wal_corruptions.with(&labels);
        let mut synced = Instant::now();
        let mut uncommitted = 0;
        loop {
            let (next, damaged) = {
                let mut disk = queue.disk.lock();
                let next = disk.peek();
                pending.set(disk.pending_bytes() as f64);
                (next, std::mem::take(&mut disk.corruptions))
            };
            corruptions.add(damaged);
            let record = match next {
                Ok(Some(record)) => record,
                Ok(None) => {
                    if uncommitted > 0 {
                        self.commit(&queue);
                        uncommitted = 0;
                    }
                    if queue.closed.load(std::sync::atomic::Ordering::Acquire) {
                        break;
                    }
                    tokio::select! {
                        () = queue.pushed.notified() => {}
                        () = tokio::time::sleep(Duration::from_secs(1)) => {}
                    }
                    if synced.elapsed() >= Duration::from_secs(1) {
                        synced = Instant::now();
                        self.sync(&queue).await;
                    }
                    continue;
                }
                Err(error) => {
                    self.ctx.unhealthy(format!("queue on disk: {error}"));
                    if !stop.sleep(Duration::from_secs(1)).await {
                        break;
                    }
                    continue;
                }
            };
            if !self.deliver(&endpoint, &record, &stop).await {
                break;
            }
            queue.disk.lock().advance(record.len());
            uncommitted += 1;
            if uncommitted >= COMMIT_EVERY {
                self.commit(&queue);
                uncommitted = 0;
            }
        }
        self.commit(&queue);
        self.sync(&queue).await;
    }

    fn commit(&self, queue: &Queue) {
        if let Err(error) = queue.disk.lock().commit() {
            self.ctx.unhealthy(format!("queue on disk: {error}"));
        }
    }

    async fn sync(&self, queue: &Arc<Queue>) {
        let queue = queue.clone();
        // Only a panic makes the join fail; it is reported by its hook.
        if let Ok(Err(error)) = tokio::task::spawn_blocking(move || queue.disk.lock().sync()).await {
            self.ctx.unhealthy(format!("queue on disk: {error}"));
        }
    }

    /// Sends a request until it is taken or refused for good; false when the shutdown came first.
    async fn deliver(&self, endpoint: &Endpoint, record: &[u8], stop: &Shutdown) -> bool {
        let number = |at: usize| {
            let bytes = record.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).unwrap_or_default();
            u64::from_le_bytes(bytes)
        };
        let (samples, stored_ms) = (number(0), number(8) as i64);
        let body: bytes::Bytes = wire::compress::snappy_encode(record.get(16..).unwrap_or(&[])).into();
        let labels = [self.ctx.id.as_str(), endpoint.shown.as_str()];
        let mut pause = endpoint.min_backoff.max(Duration::from_millis(1));
        loop {
            let age = Duration::from_millis(u64::try_from(kit::time::now_ms() - stored_ms).unwrap_or(0));
            if !endpoint.age_limit.is_zero() && age > endpoint.age_limit {
                let labels = [self.ctx.id.as_str(), endpoint.shown.as_str(), "too_old"];
                self.ctx.metrics.remote_dropped.with(&labels).add(samples);
                return true;
            }
            let version = if endpoint.version == Version::V1 { "0.1.0" } else { "2.0.0" };
            let request = Request::post(&endpoint.url, endpoint.version.content_type(), body.clone())
                .header(CONTENT_ENCODING, HeaderValue::from_static("snappy"))
                .header(HeaderName::from_static("x-prometheus-remote-write-version"), HeaderValue::from_static(version))
                .timeout(endpoint.timeout);
            let (reason, wanted) = match endpoint.client.send(request).await {
                Ok(answer) if answer.status.is_success() => {
                    self.ctx.metrics.remote_sent.with(&labels).add(samples);
                    self.ctx.healthy("sending");
                    return true;
                }
                Ok(answer) => {
                    let status = answer.status;
                    let reason = format!("server returned HTTP status {status}: {}", answer.excerpt());
                    let again = status.is_server_error() || (status.as_u16() == 429 && endpoint.retry_429);
                    if !again {
                        tracing::error!(
                            component = "agent",
                            node = self.ctx.id,
                            samples,
                            reason,
                            "samples refused and dropped"
                        );
                        self.ctx.unhealthy(&reason);
                        self.ctx.metrics.remote_failed.with(&labels).add(samples);
                        return true;
                    }
                    (reason, answer.header(RETRY_AFTER).and_then(|v| v.parse().ok()).map(Duration::from_secs))
                }
                Err(error) => (error.to_string(), None),
            };
            self.ctx.unhealthy(&reason);
            self.ctx.metrics.remote_retried.with(&labels).add(samples);
            let jittered = pause.mul_f64(0.75 + fastrand::f64() / 2.0);
            pause = (pause * 2).min(endpoint.max_backoff.max(Duration::from_millis(1)));
            // What is not sent stays in the queue.
            if stop.is_triggered() || !stop.sleep(wanted.unwrap_or(jittered)).await {
                return false;
            }
        }
    }
}
