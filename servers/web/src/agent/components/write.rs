//! `loki.write`: sends entries to log servers, in batches, again and again until they are taken.
//!
//! Each endpoint has a task that fills batches and one that sends them; between them is a queue bounded by
//! `queue_config.capacity`. When it is full the filling task waits, and with it everyone before it, back to the files
//! (`block_on_overflow`), or drops and counts. An entry is acknowledged when the last endpoint has taken it or has given it
//! up for good; what is left at the end of `drain_timeout` is refused, so that its file is read again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::header::{HeaderName, HeaderValue, RETRY_AFTER};
use kit::Shutdown;
use kit::client::{Client, Request};
use model::Labels;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use wire::loki::PushWriter;

use super::client::{client, host_of, settings};
use super::receive;
use crate::agent::controller::{Component, Ctx};
use crate::agent::pipe::{Entry, LogReceiver, refuse_all, send_logs};
use crate::agent::syntax::{Args, Capsule, Diag, Result, Value};

/// The label that names a tenant; it is not sent.
pub(super) const TENANT: &str = "__tenant_id__";

#[derive(Clone)]
struct Endpoint {
    url: String,
    host: String,
    tenant: String,
    client: Client,
    batch_wait: Duration,
    batch_size: usize,
    timeout: Duration,
    min_backoff: Duration,
    max_backoff: Duration,
    max_retries: usize,
    retry_429: bool,
    queue: usize,
    block: bool,
    drain: Duration,
}

struct Write {
    ctx: Ctx,
    inbox: Mutex<Option<mpsc::Receiver<Vec<Entry>>>>,
    settings: Mutex<(Vec<Endpoint>, Labels)>,
    /// Arguments of the first build: a change needs new tasks, which a reload brings.
    started: Mutex<bool>,
}

pub(super) fn build(ctx: Ctx, args: Args) -> Result<Arc<dyn Component>> {
    let (receiver, inbox) = LogReceiver::channel();
    ctx.export([("receiver", Value::Capsule(Capsule::Logs(receiver)))]);
    let component =
        Write { ctx, inbox: Mutex::new(Some(inbox)), settings: Mutex::default(), started: Mutex::new(false) };
    component.update(args)?;
    Ok(Arc::new(component))
}

fn endpoint(mut args: Args) -> Result<Endpoint> {
    let url = args.required("url")?;
    args.text("name")?;
    let http = settings(&mut args)?;
    let mut endpoint = Endpoint {
        host: host_of(&url),
        tenant: args.text_or("tenant_id", "")?,
        client: client(&args, &http)?,
        batch_wait: args.duration_or("batch_wait", Duration::from_secs(1))?,
        batch_size: args.size_or("batch_size", 1 << 20)?.clamp(1, 1 << 30) as usize,
        timeout: args.duration_or("remote_timeout", Duration::from_secs(10))?,
        min_backoff: args.duration_or("min_backoff_period", Duration::from_millis(500))?,
        max_backoff: args.duration_or("max_backoff_period", Duration::from_secs(300))?,
        max_retries: args.count_or("max_backoff_retries", 10)?,
        retry_429: args.bool_or("retry_on_http_429", true)?,
        queue: 10,
        block: true,
        drain: Duration::from_secs(60),
        url,
    };
    let mut capacity = 10 << 20;
    if let Some(mut block) = args.block("queue_config")? {
        capacity = block.size_or("capacity", capacity)?;
        endpoint.drain = block.duration_or("drain_timeout", endpoint.drain)?;
        endpoint.block = block.bool_or("block_on_overflow", true)?;
        // One sender keeps the order of lines; more are taken and not used.
        block.count_or("min_shards", 1)?;
        block.finish()?;
    }
    endpoint.queue = usize::try_from(capacity).unwrap_or(usize::MAX).div_ceil(endpoint.batch_size).clamp(1, 1024);
    let pos = args.pos.clone();
    args.finish()?;
    if !(endpoint.url.starts_with("http://") || endpoint.url.starts_with("https://")) {
        return Err(Diag::new(&pos, "url must begin with http:// or https://"));
    }
    Ok(endpoint)
}

impl Component for Write {
    fn update(&self, mut args: Args) -> Result<()> {
        let endpoints = args.blocks("endpoint").into_iter().map(endpoint).collect::<Result<Vec<_>>>()?;
        let external = args.text_map("external_labels")?;
        args.count_or("max_streams", 0)?;
        if let Some(mut block) = args.block("wal")? {
            let pos = block.pos.clone();
            if block.bool_or("enabled", false)? {
                let message =
                    "wal: not built: files keep their place until their lines have arrived, which survives restarts";
                return Err(Diag::new(&pos, message));
            }
            for name in ["max_segment_age", "min_read_frequency", "max_read_frequency", "drain_timeout"] {
                block.text(name)?;
            }
            block.finish()?;
        }
        let pos = args.pos.clone();
        args.finish()?;
        if *self.started.lock() {
            return Err(Diag::new(&pos, "changed arguments of loki.write take effect at the next reload"));
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
        for endpoint in endpoints {
            let (receiver, entries) = LogReceiver::channel();
            forward.push(receiver);
            let (batches, queue) = mpsc::channel(endpoint.queue);
            let (writer, stop) = (self.clone(), shutdown.clone());
            let filling = endpoint.clone();
            shutdown.spawn("loki.write", async move { writer.fill(filling, entries, batches, stop).await });
            let (writer, stop) = (self.clone(), shutdown.clone());
            shutdown.spawn("loki.write", async move { writer.send_all(endpoint, queue, stop).await });
        }
        let stop = shutdown.clone();
        shutdown.spawn("loki.write", async move {
            while let Some(mut batch) = receive(&mut inbox, &stop).await {
                if !external.is_empty() {
                    for entry in &mut batch {
                        let mut labels = entry.labels.to_builder();
                        for (name, value) in &external {
                            labels.set(name, value);
                        }
                        entry.labels = labels.build();
                    }
                }
                // Without an endpoint entries go nowhere, as configured.
                send_logs(&forward, batch).await;
            }
        });
    }
}

/// Entries of one tenant, ready to be sent.
struct Batch {
    tenant: String,
    streams: BTreeMap<String, Vec<Entry>>,
    bytes: usize,
    entries: usize,
    started: Instant,
}

impl Batch {
    fn new(tenant: &str) -> Self {
        Self { tenant: tenant.to_owned(), streams: BTreeMap::new(), bytes: 0, entries: 0, started: Instant::now() }
    }

    fn add(&mut self, stream: String, entry: Entry) {
        self.bytes += size_of(&entry);
        self.entries += 1;
        self.streams.entry(stream).or_default().push(entry);
    }

    fn encode(&self) -> Vec<u8> {
        let mut push = PushWriter::new();
        for (labels, entries) in &self.streams {
            push.stream(labels, |stream| {
                for entry in entries {
                    let metadata = entry.metadata.iter().map(|(name, value)| (name.as_str(), value.as_str()));
                    stream.entry(entry.timestamp_ns, &entry.line, metadata);
                }
            });
        }
        wire::compress::snappy_encode(&push.finish())
    }

    fn refuse(&self) {
        self.streams.values().for_each(|entries| refuse_all(entries));
    }
}

fn size_of(entry: &Entry) -> usize {
    entry.line.len() + entry.metadata.iter().map(|(n, v)| n.len() + v.len()).sum::<usize>()
}

/// How an attempt to send ended.
enum Outcome {
    Taken,
    Again(String, Option<Duration>),
    Never(String),
}

impl Write {
    async fn fill(
        &self,
        endpoint: Endpoint,
        mut entries: mpsc::Receiver<Vec<Entry>>,
        batches: mpsc::Sender<Batch>,
        stop: Shutdown,
    ) {
        let mut open: BTreeMap<String, Batch> = BTreeMap::new();
        loop {
            let oldest = open.values().map(|batch| batch.started).min();
            let wait = oldest.map_or(Duration::from_secs(3600), |at| endpoint.batch_wait.saturating_sub(at.elapsed()));
            let received = tokio::select! {
                received = receive(&mut entries, &stop) => match received {
                    Some(received) => received,
                    None => break,
                },
                () = tokio::time::sleep(wait) => Vec::new(),
            };
            for entry in received {
                let tenant = entry.labels.get(TENANT).unwrap_or(&endpoint.tenant).to_owned();
                let stream = entry.labels.without(|name| name.starts_with("__")).to_string();
                let batch = open.entry(tenant.clone()).or_insert_with(|| Batch::new(&tenant));
                if batch.entries > 0 && batch.bytes + size_of(&entry) > endpoint.batch_size {
                    let full = std::mem::replace(batch, Batch::new(&tenant));
                    self.enqueue(&endpoint, &batches, full).await;
                    if let Some(batch) = open.get_mut(&tenant) {
                        batch.add(stream, entry);
                    }
                } else {
                    batch.add(stream, entry);
                }
            }
            let due: Vec<String> = open
                .iter()
                .filter(|(_, batch)| batch.entries > 0 && batch.started.elapsed() >= endpoint.batch_wait)
                .map(|(tenant, _)| tenant.clone())
                .collect();
            for tenant in due {
                if let Some(batch) = open.remove(&tenant) {
                    self.enqueue(&endpoint, &batches, batch).await;
                }
            }
        }
        for batch in std::mem::take(&mut open).into_values() {
            self.enqueue(&endpoint, &batches, batch).await;
        }
    }

    async fn enqueue(&self, endpoint: &Endpoint, batches: &mpsc::Sender<Batch>, batch: Batch) {
        if endpoint.block {
            if let Err(refused) = batches.send(batch).await {
                refused.0.refuse();
            }
        } else if let Err(error) = batches.try_send(batch) {
            let (mpsc::error::TrySendError::Full(batch) | mpsc::error::TrySendError::Closed(batch)) = error;
            self.dropped(endpoint, &batch, "queue_is_full");
        }
    }

    fn dropped(&self, endpoint: &Endpoint, batch: &Batch, reason: &str) {
        let labels = [self.ctx.id.as_str(), endpoint.host.as_str(), reason];
        self.ctx.metrics.write_dropped_entries.with(&labels).add(batch.entries as u64);
        self.ctx.metrics.write_dropped_bytes.with(&labels).add(batch.bytes as u64);
    }

    async fn send_all(&self, endpoint: Endpoint, mut queue: mpsc::Receiver<Batch>, stop: Shutdown) {
        while let Some(batch) = queue.recv().await {
            self.deliver(&endpoint, &batch, &stop).await;
        }
    }

    /// Sends until the batch is taken, given up, or the time after the shutdown is over.
    async fn deliver(&self, endpoint: &Endpoint, batch: &Batch, stop: &Shutdown) {
        let body: bytes::Bytes = batch.encode().into();
        let labels = [self.ctx.id.as_str(), endpoint.host.as_str()];
        let mut pause = endpoint.min_backoff.max(Duration::from_millis(1));
        let mut tries = 0;
        let mut deadline: Option<Instant> = None;
        loop {
            let outcome = self.attempt(endpoint, batch, body.clone()).await;
            let (reason, wanted) = match outcome {
                Outcome::Taken => {
                    self.ctx.metrics.write_sent_entries.with(&labels).add(batch.entries as u64);
                    self.ctx.metrics.write_sent_bytes.with(&labels).add(body.len() as u64);
                    self.ctx.healthy("sending");
                    return;
                }
                Outcome::Never(reason) => {
                    tracing::error!(
                        component = "agent",
                        node = self.ctx.id,
                        entries = batch.entries,
                        reason,
                        "log entries refused and dropped"
                    );
                    self.ctx.unhealthy(&reason);
                    self.dropped(endpoint, batch, "ingester_error");
                    return;
                }
                Outcome::Again(reason, wanted) => (reason, wanted),
            };
            tries += 1;
            self.ctx.unhealthy(&reason);
            if endpoint.max_retries > 0 && tries > endpoint.max_retries {
                tracing::error!(
                    component = "agent",
                    node = self.ctx.id,
                    entries = batch.entries,
                    reason,
                    "log entries dropped after all retries"
                );
                self.dropped(endpoint, batch, "ingester_error");
                return;
            }
            if tries == 1 {
                tracing::warn!(
                    component = "agent",
                    node = self.ctx.id,
                    reason,
                    "sending log entries failed, trying again"
                );
            }
            self.ctx.metrics.write_retries.with(&labels).inc();
            // Spread, so that many senders do not come back at once.
            let jittered = pause.mul_f64(0.75 + fastrand::f64() / 2.0);
            let slept = stop.sleep(wanted.unwrap_or(jittered).min(endpoint.max_backoff)).await;
            pause = (pause * 2).min(endpoint.max_backoff.max(Duration::from_millis(1)));
            if !slept {
                let end = *deadline.get_or_insert_with(|| Instant::now() + endpoint.drain);
                if Instant::now() >= end {
                    batch.refuse();
                    return;
                }
                tokio::time::sleep(jittered.min(Duration::from_secs(1))).await;
            }
        }
    }

    async fn attempt(&self, endpoint: &Endpoint, batch: &Batch, body: bytes::Bytes) -> Outcome {
        // The peer sends no Content-Encoding: a protobuf push is a snappy block by definition.
        let mut request = Request::post(&endpoint.url, "application/x-protobuf", body).timeout(endpoint.timeout);
        if !batch.tenant.is_empty() {
            match HeaderValue::from_str(&batch.tenant) {
                Ok(tenant) => {
                    request.headers.insert(HeaderName::from_static("x-scope-orgid"), tenant);
                }
                Err(_) => return Outcome::Never(format!("tenant {:?} is no header value", batch.tenant)),
            }
        }
        let start = Instant::now();
        let answer = endpoint.client.send(request).await;
        let code = answer.as_ref().map_or("-1".to_owned(), |answer| answer.status.as_str().to_owned());
        let labels = [self.ctx.id.as_str(), endpoint.host.as_str(), code.as_str()];
        self.ctx.metrics.write_seconds.with(&labels).observe_duration(start.elapsed());
        match answer {
            Err(error) => Outcome::Again(error.to_string(), None),
            Ok(answer) if answer.status.is_success() => Outcome::Taken,
            Ok(answer) => {
                let status = answer.status;
                let reason = format!("server returned HTTP status {status}: {}", answer.excerpt());
                let wait = answer.header(RETRY_AFTER).and_then(|v| v.parse().ok()).map(Duration::from_secs);
                if status.is_server_error() || (status.as_u16() == 429 && endpoint.retry_429) {
                    Outcome::Again(reason, wait)
                } else {
                    Outcome::Never(reason)
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::loki::{Limits, Push};

    #[test]
    fn batches_are_pushes() {
        let mut batch = Batch::new("");
        for n in 0..3 {
            let entry = Entry { timestamp_ns: n, line: format!("line {n}"), ..Entry::default() };
            batch.add(format!("{{s=\"{}\"}}", n % 2), entry);
        }
        assert_eq!((batch.entries, batch.bytes), (3, 18));
        let body = wire::compress::snappy_decode(&batch.encode(), 1 << 20).unwrap();
        let mut push = Push::new(&body, Limits::default());
        let first = push.next_stream().unwrap().unwrap();
        assert_eq!((first.labels, first.entries), ("{s=\"0\"}", 2));
        assert_eq!(push.next_stream().unwrap().unwrap().entries, 1);
    }
}
