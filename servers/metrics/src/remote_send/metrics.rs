//! Self-metrics of sending, under the peer's names.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use kit::metrics::{Counter, Gauge, Histogram, Registry, Vector};

const PREFIX: &str = "prometheus_remote_storage_";
const PEER: &[&str] = &["remote_name", "url"];
const DROPPED: &[&str] = &["remote_name", "url", "reason"];

/// Of all peers.
pub(super) struct SendMetrics {
    samples_in: Counter,
    histograms_in: Counter,
    exemplars_in: Counter,
    highest_in: Gauge,
    newest_ms: Arc<AtomicI64>,
    counters: Vec<(&'static str, Vector<Counter>)>,
    gauges: Vec<(&'static str, Vector<Gauge>)>,
    dropped: Vector<Counter>,
    duration: Vector<Histogram>,
}

const COUNTERS: [(&str, &str); 13] = [
    ("prometheus_remote_storage_samples_total", "Total number of samples sent to remote storage."),
    (
        "prometheus_remote_storage_samples_failed_total",
        "Total number of samples which failed on send to remote storage, non-recoverable errors.",
    ),
    (
        "prometheus_remote_storage_samples_retried_total",
        "Total number of samples which failed on send to remote storage but were retried because the send error was recoverable.",
    ),
    ("prometheus_remote_storage_histograms_total", "Total number of histograms sent to remote storage."),
    (
        "prometheus_remote_storage_histograms_failed_total",
        "Total number of histograms which failed on send to remote storage, non-recoverable errors.",
    ),
    (
        "prometheus_remote_storage_histograms_retried_total",
        "Total number of histograms which failed on send to remote storage but were retried because the send error was recoverable.",
    ),
    ("prometheus_remote_storage_exemplars_total", "Total number of exemplars sent to remote storage."),
    (
        "prometheus_remote_storage_exemplars_failed_total",
        "Total number of exemplars which failed on send to remote storage, non-recoverable errors.",
    ),
    (
        "prometheus_remote_storage_exemplars_retried_total",
        "Total number of exemplars which failed on send to remote storage but were retried because the send error was recoverable.",
    ),
    ("prometheus_remote_storage_metadata_total", "Total number of metadata entries sent to remote storage."),
    (
        "prometheus_remote_storage_metadata_failed_total",
        "Total number of metadata entries which failed on send to remote storage, non-recoverable errors.",
    ),
    (
        "prometheus_remote_storage_bytes_total",
        "The total number of bytes of data (not metadata) sent by the queue after compression.",
    ),
    (
        "prometheus_remote_storage_enqueue_retries_total",
        "Total number of times enqueue has failed because a shards queue was full.",
    ),
];

const GAUGES: [(&str, &str); 9] = [
    (
        "prometheus_remote_storage_samples_pending",
        "The number of samples pending in the queues shards to be sent to the remote storage.",
    ),
    (
        "prometheus_remote_storage_queue_highest_sent_timestamp_seconds",
        "Timestamp from a WAL sample, the highest timestamp successfully sent by this queue, in seconds since epoch.",
    ),
    (
        "prometheus_remote_storage_queue_highest_timestamp_seconds",
        "Highest timestamp that was enqueued, in seconds since epoch.",
    ),
    ("prometheus_remote_storage_shards", "The number of shards used for parallel sending to the remote storage."),
    ("prometheus_remote_storage_shards_min", "The minimum number of shards that the queue is allowed to run."),
    ("prometheus_remote_storage_shards_max", "The maximum number of shards that the queue is allowed to run."),
    (
        "prometheus_remote_storage_shards_desired",
        "The number of shards that the queues shard calculation wants to run based on the rate of samples in vs. samples out.",
    ),
    (
        "prometheus_remote_storage_shard_capacity",
        "The capacity of each shard of the queue used for parallel sending to the remote storage.",
    ),
    (
        "prometheus_remote_storage_max_samples_per_send",
        "The maximum number of samples to be sent, in a single request, to the remote storage.",
    ),
];

impl SendMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        let r = registry;
        Self {
            samples_in: r.counter(
                "prometheus_remote_storage_samples_in_total",
                "Samples in to remote storage, compare to samples out for queue managers.",
            ),
            histograms_in: r.counter(
                "prometheus_remote_storage_histograms_in_total",
                "HistogramSamples in to remote storage, compare to histograms out for queue managers.",
            ),
            exemplars_in: r.counter(
                "prometheus_remote_storage_exemplars_in_total",
                "Exemplars in to remote storage, compare to exemplars out for queue managers.",
            ),
            highest_in: r.gauge(
                "prometheus_remote_storage_highest_timestamp_in_seconds",
                "Highest timestamp that has come into the remote storage via the Appender interface, in seconds since epoch.",
            ),
            newest_ms: Arc::default(),
            counters: COUNTERS.iter().map(|&(name, help)| (name, r.counter_vec(name, help, PEER))).collect(),
            gauges: GAUGES.iter().map(|&(name, help)| (name, r.gauge_vec(name, help, PEER))).collect(),
            dropped: r.counter_vec(
                "prometheus_remote_storage_samples_dropped_total",
                "Total number of samples which were dropped after being read from the WAL before being sent via remote write, either via relabelling, due to being too old or unintentionally because of an unknown reference ID.",
                DROPPED,
            ),
            duration: r.histogram_vec(
                "prometheus_remote_storage_sent_batch_duration_seconds",
                "Duration of send calls to the remote storage.",
                &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 60.0, 120.0, 300.0],
                PEER,
            ),
        }
    }

    pub(super) fn came_in(&self, samples: u64, histograms: u64, exemplars: u64, newest_ms: i64) {
        self.samples_in.add(samples);
        self.histograms_in.add(histograms);
        self.exemplars_in.add(exemplars);
        let before = self.newest_ms.fetch_max(newest_ms, Ordering::Relaxed);
        self.highest_in.set(before.max(newest_ms) as f64 / 1000.0);
    }

    /// Those of one peer.
    pub(super) fn of(&self, name: &str, url: &str) -> PeerMetrics {
        let peer = [name, url];
        let counter =
            |short: &str| match self.counters.iter().find(|(known, _)| known.strip_prefix(PREFIX) == Some(short)) {
                Some((_, vector)) => vector.with(&peer),
                None => Counter::default(),
            };
        let gauge = |short: &str| match self.gauges.iter().find(|(known, _)| known.strip_prefix(PREFIX) == Some(short))
        {
            Some((_, vector)) => vector.with(&peer),
            None => Gauge::default(),
        };
        counter("enqueue_retries_total");
        let dropped = |reason: &str| self.dropped.with(&[name, url, reason]);
        PeerMetrics {
            sent: ["samples_total", "histograms_total", "exemplars_total"].map(counter),
            failed: ["samples_failed_total", "histograms_failed_total", "exemplars_failed_total"].map(counter),
            retried: ["samples_retried_total", "histograms_retried_total", "exemplars_retried_total"].map(counter),
            metadata: counter("metadata_total"),
            metadata_failed: counter("metadata_failed_total"),
            bytes: counter("bytes_total"),
            pending: gauge("samples_pending"),
            highest_sent: gauge("queue_highest_sent_timestamp_seconds"),
            highest: gauge("queue_highest_timestamp_seconds"),
            shards: gauge("shards"),
            shards_min: gauge("shards_min"),
            shards_max: gauge("shards_max"),
            shards_desired: gauge("shards_desired"),
            capacity: gauge("shard_capacity"),
            max_per_send: gauge("max_samples_per_send"),
            dropped_old: dropped("too_old"),
            dropped_relabelled: dropped("dropped_series"),
            dropped_lost: dropped("journal_limit"),
            duration: self.duration.with(&peer),
        }
    }
}

/// Of one peer. Arrays: samples, histograms, exemplars.
pub(super) struct PeerMetrics {
    pub(super) sent: [Counter; 3],
    pub(super) failed: [Counter; 3],
    pub(super) retried: [Counter; 3],
    pub(super) metadata: Counter,
    pub(super) metadata_failed: Counter,
    pub(super) bytes: Counter,
    pub(super) pending: Gauge,
    pub(super) highest_sent: Gauge,
    pub(super) highest: Gauge,
    pub(super) shards: Gauge,
    pub(super) shards_min: Gauge,
    pub(super) shards_max: Gauge,
    pub(super) shards_desired: Gauge,
    pub(super) capacity: Gauge,
    pub(super) max_per_send: Gauge,
    pub(super) dropped_old: Counter,
    pub(super) dropped_relabelled: Counter,
    pub(super) dropped_lost: Counter,
    pub(super) duration: Histogram,
}
