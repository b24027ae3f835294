//! One peer: reads the journal from where it stopped, relabels, sends in shards, and remembers how far it came.
//!
//! A round takes a stretch of the journal, spreads its series over the shards by their labels, and ends when all shards have sent
//! theirs: samples of one series keep their order, and a round is the most that is in memory or sent again after a crash.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use disk::Place;
use kit::Shutdown;
use kit::client::{Client, Request};
use kit::relabel::{Rule, process};
use model::Labels;
use parking_lot::Mutex;
use tsdb::{Db, Exemplar};
use wire::Native;
use wire::remote_write::{
    Item, Limits, Metadata, Request as Message, RequestWriter, RequestWriterV2, Sample, SeriesValue, Version,
};

use super::journal::{Entry, Journal, RecordKind};
use super::metrics::{PeerMetrics, SendMetrics};
use crate::config::{RemoteWriteConfig, WriteMessage};
use crate::remote::family;

/// Bytes of messages read for one shard in a round: room for several requests.
const BYTES_PER_SHARD: usize = 1 << 20;

/// What a queue is made of; equal settings go on as they are over a reload.
#[derive(Clone)]
pub(super) struct QueueSettings {
    config: RemoteWriteConfig,
    external: Labels,
    /// All of it as text, for comparing.
    text: String,
}

impl PartialEq for QueueSettings {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl QueueSettings {
    pub(super) fn new(config: &RemoteWriteConfig, external: &Labels) -> Self {
        let text = format!("{config:?} {external}");
        Self { config: config.clone(), external: external.clone(), text }
    }

    /// Names the queue, and the file of its position: the name if there is one, else the address.
    pub(super) fn key(&self) -> String {
        let named = if self.config.name.is_empty() { &self.config.url } else { &self.config.name };
        format!("{:016x}", xxhash_rust::xxh3::xxh3_64(named.as_bytes()))
    }

    /// The address without what may be secret in it.
    pub(super) fn shown_url(&self) -> String {
        match self.config.url.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.split_once('@')?.1))) {
            Some((scheme, rest)) => format!("{scheme}://{rest}"),
            None => self.config.url.clone(),
        }
    }
}

/// See the module.
pub(super) struct Queue {
    settings: QueueSettings,
    client: Client,
    journal: Arc<Journal>,
    db: Arc<Db>,
    metrics: PeerMetrics,
    position: Mutex<Place>,
    file: PathBuf,
}

/// One value on its way, under the labels it is sent with.
enum Value {
    Sample(Sample),
    Histogram(i64, i64, Native),
    Exemplar(Exemplar),
}

impl Value {
    fn kind(&self) -> usize {
        match self {
            Self::Sample(_) => 0,
            Self::Histogram(..) => 1,
            Self::Exemplar(_) => 2,
        }
    }

    fn time_ms(&self) -> i64 {
        match self {
            Self::Sample(sample) => sample.timestamp_ms,
            Self::Histogram(time_ms, ..) => *time_ms,
            Self::Exemplar(exemplar) => exemplar.timestamp_ms,
        }
    }
}

type Outgoing = Vec<(Labels, Value)>;

impl Queue {
    pub(super) fn new(
        settings: QueueSettings,
        dir: &Path,
        journal: Arc<Journal>,
        db: Arc<Db>,
        metrics: &SendMetrics,
        user_agent: &str,
    ) -> Result<Self, String> {
        let client = Client::new(&settings.config.http, user_agent).map_err(|e| e.to_string())?;
        let file = dir.join(format!("position-{}.json", settings.key()));
        let position = match std::fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|e| format!("{}: {e}", file.display()))?,
            // A new peer gets what comes from now on.
            Err(_) => journal.end(),
        };
        let name = if settings.config.name.is_empty() { &settings.key()[..6] } else { &*settings.config.name };
        let metrics = metrics.of(name, &settings.shown_url());
        let queue = &settings.config.queue;
        metrics.shards_min.set(queue.min_shards as f64);
        metrics.shards_max.set(queue.max_shards as f64);
        metrics.capacity.set(queue.capacity as f64);
        metrics.max_per_send.set(queue.max_samples_per_send as f64);
        let queue = Self { client, journal, db, metrics, position: Mutex::new(position), file, settings };
        queue.remember(position);
        Ok(queue)
    }

    /// How far the peer has everything.
    pub(super) fn position(&self) -> Place {
        *self.position.lock()
    }

    fn remember(&self, position: Place) {
        *self.position.lock() = position;
        let written = serde_json::to_vec(&position)
            .map_err(std::io::Error::other)
            .and_then(|bytes| kit::files::write_atomic(&self.file, &bytes));
        if let Err(e) = written {
            tracing::warn!(component = "remote", file = %self.file.display(), error = %e, "the position of a queue cannot be kept");
        }
    }

    pub(super) async fn run(self: Arc<Self>, stop: Shutdown) {
        let queue = self.settings.config.queue;
        let (min, max) = (queue.min_shards.max(1) as usize, queue.max_shards.max(1) as usize);
        let deadline = Duration::from_millis(u64::try_from(queue.batch_send_deadline_ms).unwrap_or(0));
        let mut shards = min;
        let mut metadata_due = Instant::now() + Duration::from_secs(1);
        loop {
            self.metrics.shards.set(shards as f64);
            self.metrics.shards_desired.set(shards as f64);
            if self.settings.config.send_metadata
                && self.settings.config.message == WriteMessage::V1
                && metadata_due <= Instant::now()
            {
                self.send_metadata(&stop).await;
                metadata_due = Instant::now()
                    + Duration::from_millis(u64::try_from(self.settings.config.metadata_interval_ms).unwrap_or(60_000));
            }
            let news = self.journal.news.notified();
            let Some((mut parts, mut next, mut read_bytes)) = self.read(shards).await else {
                if !stop.sleep(Duration::from_secs(1)).await {
                    return;
                }
                continue;
            };
            let mut count: usize = parts.iter().map(Vec::len).sum();
            if count == 0 {
                if next != self.position() {
                    self.remember(next);
                    continue;
                }
                tokio::select! {
                    () = stop.triggered() => return,
                    () = news => {}
                    () = tokio::time::sleep(Duration::from_secs(1)) => {}
                }
                continue;
            }
            if (count as u64) < queue.max_samples_per_send {
                // More is likely to come: a fuller request is worth the wait.
                if !stop.sleep(deadline).await {
                    return;
                }
                match self.read(shards).await {
                    Some(again) => (parts, next, read_bytes) = again,
                    None => continue,
                }
                count = parts.iter().map(Vec::len).sum();
            }
            self.metrics.pending.set(count as f64);
            let mut sending = tokio::task::JoinSet::new();
            for part in parts.into_iter().filter(|part| !part.is_empty()) {
                let (queue, stop) = (self.clone(), stop.clone());
                sending.spawn(async move { queue.send_part(part, &stop).await });
            }
            let mut all = true;
            while let Some(sent) = sending.join_next().await {
                all &= sent.unwrap_or(false);
            }
            if !all {
                // Stopped in the middle: what was not answered is sent again at the next start.
                return;
            }
            self.remember(next);
            self.metrics.pending.set(0.0);
            // A full round means that there is more: spread it wider.
            let full = read_bytes >= BYTES_PER_SHARD * shards;
            shards = if full { (shards * 2).min(max) } else { shards.saturating_sub(1).max(min) };
        }
    }

    /// A stretch of the journal, relabelled and spread over the shards; the place behind it; its bytes. `None`: it could not be read.
    async fn read(self: &Arc<Self>, shards: usize) -> Option<(Vec<Outgoing>, Place, usize)> {
        let queue = self.clone();
        let read = tokio::task::spawn_blocking(move || {
            let from = queue.position();
            let read = queue.journal.read(from, BYTES_PER_SHARD * shards)?;
            if read.lost {
                queue.metrics.dropped_lost.inc();
                tracing::error!(
                    component = "remote",
                    url = queue.settings.shown_url(),
                    "the peer was too long behind: what waited for it longest is gone"
                );
            }
            let bytes = read.entries.iter().map(|entry| entry.message.len()).sum();
            Ok::<_, disk::Error>((queue.unpack(&read.entries, shards), read.next, bytes))
        })
        .await;
        match read {
            Ok(Ok(read)) => Some(read),
            Ok(Err(e)) => {
                tracing::error!(component = "remote", error = %e, "the journal cannot be read");
                None
            }
            Err(_) => None,
        }
    }

    fn unpack(&self, entries: &[Entry], shards: usize) -> Vec<Outgoing> {
        let config = &self.settings.config;
        let mut parts: Vec<Outgoing> = (0..shards).map(|_| Vec::new()).collect();
        let oldest_ms = match config.queue.sample_age_limit_ms {
            0 => i64::MIN,
            limit => kit::time::now_ms() - limit,
        };
        for entry in entries {
            let version = if entry.kind == RecordKind::Samples { Version::V2 } else { Version::V1 };
            let Ok(mut message) = Message::new(&entry.message, version, Limits::default()) else { continue };
            while let Ok(Some(item)) = message.next_item() {
                let Item::Series(series) = item else { continue };
                let Ok(labels) = series.labels() else { continue };
                let Some(labels) = outgoing_labels(&labels, &self.settings.external, &config.write_relabel_rules)
                else {
                    self.metrics.dropped_relabelled.add((series.samples + series.histograms) as u64);
                    continue;
                };
                let part =
                    &mut parts[(xxhash_rust::xxh3::xxh3_64(labels.as_encoded().as_bytes()) % shards as u64) as usize];
                let mut values = series.values();
                while let Ok(Some(value)) = values.next_value() {
                    let value = match value {
                        SeriesValue::Sample(sample) => Value::Sample(sample),
                        SeriesValue::Histogram { timestamp_ms, start_ms, histogram } => {
                            if !config.send_native_histograms {
                                continue;
                            }
                            Value::Histogram(timestamp_ms, start_ms, *histogram)
                        }
                        SeriesValue::Exemplar(exemplar) => {
                            let Ok(labels) = message.exemplar_labels(&exemplar) else { continue };
                            if !config.send_exemplars {
                                continue;
                            }
                            let (value, timestamp_ms) = (exemplar.value, exemplar.timestamp_ms);
                            Value::Exemplar(Exemplar { labels, value, timestamp_ms })
                        }
                    };
                    self.metrics.highest.set(value.time_ms() as f64 / 1000.0);
                    if value.time_ms() < oldest_ms {
                        self.metrics.dropped_old.inc();
                        continue;
                    }
                    part.push((labels.clone(), value));
                }
            }
        }
        parts
    }

    /// Sends the values of one shard, request by request. False: the queue was stopped before everything was answered.
    async fn send_part(&self, part: Outgoing, stop: &Shutdown) -> bool {
        let config = &self.settings.config;
        let most = usize::try_from(config.queue.max_samples_per_send).unwrap_or(usize::MAX).max(1);
        for batch in part.chunks(most) {
            let body = wire::compress::snappy_encode(&self.message(batch));
            let mut counts = [0u64; 3];
            batch.iter().for_each(|(_, value)| counts[value.kind()] += 1);
            let count = |counters: &[kit::metrics::Counter; 3]| {
                counters.iter().zip(counts).for_each(|(counter, count)| counter.add(count));
            };
            match self.deliver(&body, stop, || count(&self.metrics.retried)).await {
                Delivery::Taken => {
                    count(&self.metrics.sent);
                    self.metrics.bytes.add(body.len() as u64);
                    let newest = batch.iter().map(|(_, value)| value.time_ms()).max().unwrap_or(0);
                    self.metrics.highest_sent.set(newest as f64 / 1000.0);
                }
                Delivery::Refused(reason) => {
                    count(&self.metrics.failed);
                    tracing::error!(
                        component = "remote",
                        url = self.settings.shown_url(),
                        samples = batch.len(),
                        err = reason,
                        "the peer refused samples: they are not sent again"
                    );
                }
                Delivery::Stopped => return false,
            }
        }
        true
    }

    /// Sends a request until the peer takes or refuses it.
    async fn deliver(&self, body: &[u8], stop: &Shutdown, retried: impl Fn()) -> Delivery {
        let config = &self.settings.config;
        let version = if config.message == WriteMessage::V1 { Version::V1 } else { Version::V2 };
        let protocol = if version == Version::V1 { "0.1.0" } else { "2.0.0" };
        let ms = |ms: i64| Duration::from_millis(u64::try_from(ms).unwrap_or(0));
        let (mut pause, longest) = (ms(config.queue.min_backoff_ms), ms(config.queue.max_backoff_ms));
        let limiter = kit::log::Limiter::new(Duration::from_secs(60));
        loop {
            let mut request = Request::post(&config.url, version.content_type(), body.to_vec())
                .header(header::CONTENT_ENCODING, HeaderValue::from_static("snappy"))
                .header(
                    HeaderName::from_static("x-prometheus-remote-write-version"),
                    HeaderValue::from_static(protocol),
                )
                .timeout(ms(config.timeout_ms));
            for (name, value) in &config.headers {
                if let (Ok(name), Ok(value)) = (HeaderName::try_from(name.as_str()), HeaderValue::from_str(value)) {
                    request = request.header(name, value);
                }
            }
            let begun = Instant::now();
            let answer = tokio::select! {
                answer = self.client.send(request) => answer,
                () = stop.triggered() => return Delivery::Stopped,
            };
            self.metrics.duration.observe(begun.elapsed().as_secs_f64());
            let (reason, wait) = match answer {
                Ok(answer) if answer.status.is_success() => return Delivery::Taken,
                Ok(answer) => {
                    let reason = format!("server returned HTTP status {}: {}", answer.status, answer.excerpt());
                    let again = answer.status.is_server_error()
                        || (answer.status == StatusCode::TOO_MANY_REQUESTS && config.queue.retry_on_rate_limit);
                    if !again {
                        return Delivery::Refused(reason);
                    }
                    let asked = answer.header(header::RETRY_AFTER).and_then(|text| text.trim().parse().ok());
                    (reason, asked.map(Duration::from_secs))
                }
                Err(e) => (e.to_string(), None),
            };
            retried();
            if let Some(repeated) = limiter.allow("") {
                tracing::warn!(
                    component = "remote",
                    url = self.settings.shown_url(),
                    err = reason,
                    repeated,
                    "sending samples failed, it is tried again"
                );
            }
            // A peer may ask for patience, but not for ever.
            let wait = wait.map_or(pause, |wait| wait.min(Duration::from_secs(300)));
            if !stop.sleep(wait).await {
                return Delivery::Stopped;
            }
            pause = (pause * 2).min(longest);
        }
    }

    fn message(&self, batch: &[(Labels, Value)]) -> Vec<u8> {
        let mut grouped: Vec<(&Labels, Vec<&Value>)> = Vec::new();
        let mut places: BTreeMap<&Labels, usize> = BTreeMap::new();
        for (labels, value) in batch {
            let at = *places.entry(labels).or_insert_with(|| {
                grouped.push((labels, Vec::new()));
                grouped.len() - 1
            });
            grouped[at].1.push(value);
        }
        if self.settings.config.message == WriteMessage::V1 {
            let mut message = RequestWriter::new();
            for (labels, values) in grouped {
                message.series(labels, |out| {
                    for value in values {
                        match value {
                            Value::Sample(sample) => out.sample(sample.timestamp_ms, sample.value),
                            Value::Histogram(time_ms, _, native) => out.histogram(*time_ms, native),
                            Value::Exemplar(e) => out.exemplar(&e.labels, e.timestamp_ms, e.value),
                        }
                    }
                });
            }
            return message.finish();
        }
        let mut message = RequestWriterV2::new();
        for (labels, values) in grouped {
            let (mut samples, mut histograms) = (Vec::new(), Vec::new());
            for value in values {
                match value {
                    Value::Sample(sample) => samples.push(*sample),
                    Value::Histogram(time_ms, start_ms, native) => {
                        histograms.push((*time_ms, *start_ms, native.clone()))
                    }
                    Value::Exemplar(_) => {}
                }
            }
            let known = labels.metric_name().and_then(|name| self.known_metadata(name)).unwrap_or_default();
            let metadata = Metadata { family: "", kind: known.kind, help: &known.help, unit: &known.unit };
            message.series(labels, &samples, &histograms, &metadata);
        }
        message.finish()
    }

    fn known_metadata(&self, name: &str) -> Option<tsdb::Metadata> {
        use wire::exposition::MetricKind::{Histogram, Summary};
        let families =
            [name, family(name, Histogram), family(name, Summary), name.strip_suffix("_total").unwrap_or(name)];
        families.iter().find_map(|name| self.db.metadata(name))
    }

    async fn send_metadata(&self, stop: &Shutdown) {
        let all = self.db.all_metadata(0);
        for part in all.chunks(2_000) {
            let mut message = RequestWriter::new();
            for (name, known) in part {
                message.metadata(&Metadata { family: name, kind: known.kind, help: &known.help, unit: &known.unit });
            }
            let body = wire::compress::snappy_encode(&message.finish());
            // It comes again with the next interval: a peer that does not answer is not waited for.
            let patience = tokio::time::timeout(Duration::from_secs(10), self.deliver(&body, stop, || {})).await;
            match patience {
                Ok(Delivery::Taken) => self.metrics.metadata.add(part.len() as u64),
                _ => self.metrics.metadata_failed.add(part.len() as u64),
            }
        }
    }
}

enum Delivery {
    Taken,
    Refused(String),
    Stopped,
}

/// Labels as a peer gets them; `None`: the rules drop the series.
fn outgoing_labels(labels: &Labels, external: &Labels, rules: &[Rule]) -> Option<Labels> {
    let mut builder = labels.to_builder();
    for (name, value) in external {
        if builder.get(name).is_none() {
            builder.set(name, value);
        }
    }
    process(&builder.build(), rules).filter(|labels| !labels.is_empty())
}
