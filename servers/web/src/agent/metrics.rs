//! The agent's own metrics, with the peer's names.

use kit::metrics::{Counter, DEFAULT_BUCKETS, Gauge, Histogram, Registry, Vector};

/// Handles to all of them; clones are the same.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "each field is the metric it is named after")]
pub(crate) struct AgentMetrics {
    pub config_loaded: Gauge,
    pub config_loaded_at: Gauge,
    pub config_failures: Counter,
    pub components: Vector<Gauge>,
    pub file_read_bytes: Vector<Gauge>,
    pub file_bytes: Vector<Gauge>,
    pub file_lines: Vector<Counter>,
    pub files_active: Vector<Gauge>,
    pub process_dropped: Vector<Counter>,
    pub process_truncated: Vector<Counter>,
    pub relabel_processed: Vector<Counter>,
    pub relabel_written: Vector<Counter>,
    pub write_sent_bytes: Vector<Counter>,
    pub write_sent_entries: Vector<Counter>,
    pub write_dropped_bytes: Vector<Counter>,
    pub write_dropped_entries: Vector<Counter>,
    pub write_retries: Vector<Counter>,
    pub write_seconds: Vector<Histogram>,
    pub scrape_targets: Vector<Gauge>,
    pub forwarded_samples: Vector<Counter>,
    pub remote_sent: Vector<Counter>,
    pub remote_failed: Vector<Counter>,
    pub remote_retried: Vector<Counter>,
    pub remote_dropped: Vector<Counter>,
    pub remote_pending_bytes: Vector<Gauge>,
    pub wal_appended: Vector<Counter>,
    pub wal_corruptions: Vector<Counter>,
}

impl AgentMetrics {
    /// Registers them all.
    pub(crate) fn new(registry: &Registry) -> Self {
        let id = ["component_id"];
        let id_path = ["component_id", "path"];
        let id_host = ["component_id", "host"];
        let id_host_reason = ["component_id", "host", "reason"];
        let id_url = ["component_id", "url"];
        let counter = |name, help, labels: &[&'static str]| registry.counter_vec(name, help, labels);
        let gauge = |name, help, labels: &[&'static str]| registry.gauge_vec(name, help, labels);
        Self {
            config_loaded: registry
                .gauge("alloy_config_last_load_successful", "Config loaded successfully the last time."),
            config_loaded_at: registry.gauge(
                "alloy_config_last_load_success_timestamp_seconds",
                "Timestamp of the last successful configuration load.",
            ),
            config_failures: registry.counter("alloy_config_load_failures_total", "Configuration load failures."),
            components: gauge(
                "alloy_component_controller_running_components",
                "Total number of running components.",
                &["health_type"],
            ),
            file_read_bytes: gauge("loki_source_file_read_bytes_total", "Number of bytes read.", &id_path),
            file_bytes: gauge("loki_source_file_file_bytes_total", "Number of bytes total.", &id_path),
            file_lines: counter("loki_source_file_read_lines_total", "Number of lines read.", &id_path),
            files_active: gauge("loki_source_file_files_active_total", "Number of active files.", &id),
            process_dropped: counter(
                "loki_process_dropped_lines_total",
                "A count of all log lines dropped as a result of a pipeline stage.",
                &["component_id", "reason"],
            ),
            process_truncated: counter(
                "loki_process_truncated_fields_total",
                "A count of all fields truncated by a stage.",
                &["component_id", "field"],
            ),
            relabel_processed: counter("loki_relabel_entries_processed", "Total number of log entries processed.", &id),
            relabel_written: counter("loki_relabel_entries_written", "Total number of log entries forwarded.", &id),
            write_sent_bytes: counter("loki_write_sent_bytes_total", "Number of bytes sent.", &id_host),
            write_sent_entries: counter("loki_write_sent_entries_total", "Number of log entries sent.", &id_host),
            write_dropped_bytes: counter(
                "loki_write_dropped_bytes_total",
                "Number of bytes dropped because failed to be sent to the ingester after all retries.",
                &id_host_reason,
            ),
            write_dropped_entries: counter(
                "loki_write_dropped_entries_total",
                "Number of log entries dropped because failed to be sent to the ingester after all retries.",
                &id_host_reason,
            ),
            write_retries: counter(
                "loki_write_batch_retries_total",
                "Number of times batches has had to be retried.",
                &id_host,
            ),
            write_seconds: registry.histogram_vec(
                "loki_write_request_duration_seconds",
                "Duration of send requests.",
                &DEFAULT_BUCKETS,
                &["component_id", "host", "status_code"],
            ),
            scrape_targets: gauge("prometheus_scrape_targets_gauge", "Number of targets this component scrapes.", &id),
            forwarded_samples: counter(
                "prometheus_forwarded_samples_total",
                "Total number of samples sent to downstream components.",
                &id,
            ),
            remote_sent: counter("prometheus_remote_storage_samples_total", "Samples sent.", &id_url),
            remote_failed: counter(
                "prometheus_remote_storage_samples_failed_total",
                "Samples which failed on send, not retried.",
                &id_url,
            ),
            remote_retried: counter(
                "prometheus_remote_storage_samples_retried_total",
                "Samples which failed on send and were retried.",
                &id_url,
            ),
            remote_dropped: counter(
                "prometheus_remote_storage_samples_dropped_total",
                "Samples dropped before they were sent.",
                &["component_id", "url", "reason"],
            ),
            remote_pending_bytes: gauge(
                "prometheus_remote_write_wal_pending_bytes",
                "Bytes on disk that wait to be sent.",
                &id_url,
            ),
            wal_appended: counter(
                "prometheus_remote_write_wal_samples_appended_total",
                "Total number of samples appended to the WAL.",
                &id_url,
            ),
            wal_corruptions: counter(
                "prometheus_remote_write_wal_corruptions_total",
                "Total number of WAL corruptions.",
                &id_url,
            ),
        }
    }
}
