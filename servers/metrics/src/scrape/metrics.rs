//! Self-metrics of scraping, under the peer's names.

use kit::metrics::{Counter, Gauge, Registry, Summary, Vector};

/// Counters and gauges of all pools.
#[derive(Clone)]
pub struct ScrapeMetrics {
    pub(super) interval_length: Vector<Summary>,
    pub(super) sync_length: Vector<Summary>,
    pub(super) pool_targets: Vector<Gauge>,
    pub(super) pool_target_limit: Vector<Gauge>,
    pub(super) pool_syncs: Vector<Counter>,
    pub(super) pool_exceeded_targets: Counter,
    pub(super) pool_exceeded_labels: Counter,
    pub(super) pools: Counter,
    pub(super) pools_failed: Counter,
    pub(super) pool_reloads: Counter,
    pub(super) pool_reloads_failed: Counter,
    pub(super) sync_failed: Vector<Counter>,
    pub(super) exceeded_samples: Counter,
    pub(super) exceeded_body: Counter,
    pub(super) duplicates: Counter,
    pub(super) out_of_bounds: Counter,
    pub(super) out_of_order: Counter,
    pub(super) exemplars_out_of_order: Counter,
    pub(super) exceeded_buckets: Counter,
    pub(super) metadata_entries: Vector<Gauge>,
    pub(super) metadata_bytes: Vector<Gauge>,
}

impl ScrapeMetrics {
    /// Registers them.
    pub fn new(registry: &Registry) -> Self {
        let quantiles: &[f64] = &[0.01, 0.05, 0.5, 0.90, 0.99];
        let r = registry;
        // What cannot happen here is counted as never having happened: alerts of the peer ask for these names.
        r.counter(
            "prometheus_target_scrapes_cache_flush_forced_total",
            "How many times a scrape cache was flushed due to getting big while scrapes are failing.",
        );
        Self {
            interval_length: r.summary_vec(
                "prometheus_target_interval_length_seconds",
                "Actual intervals between scrapes.",
                quantiles,
                &["interval"],
            ),
            sync_length: r.summary_vec(
                "prometheus_target_sync_length_seconds",
                "Actual interval to sync the scrape pool.",
                quantiles,
                &["scrape_job"],
            ),
            pool_targets: r.gauge_vec(
                "prometheus_target_scrape_pool_targets",
                "Current number of targets in this scrape pool.",
                &["scrape_job"],
            ),
            pool_target_limit: r.gauge_vec(
                "prometheus_target_scrape_pool_target_limit",
                "Maximum number of targets allowed in this scrape pool.",
                &["scrape_job"],
            ),
            pool_syncs: r.counter_vec(
                "prometheus_target_scrape_pool_sync_total",
                "Total number of syncs that were executed on a scrape pool.",
                &["scrape_job"],
            ),
            pool_exceeded_targets: r.counter(
                "prometheus_target_scrape_pool_exceeded_target_limit_total",
                "Total number of times scrape pools hit the target limit, during sync or config reload.",
            ),
            pool_exceeded_labels: r.counter(
                "prometheus_target_scrape_pool_exceeded_label_limits_total",
                "Total number of times scrape pools hit the label limits, during sync or config reload.",
            ),
            pools: r.counter("prometheus_target_scrape_pools_total", "Total number of scrape pool creation attempts."),
            pools_failed: r.counter(
                "prometheus_target_scrape_pools_failed_total",
                "Total number of scrape pool creations that failed.",
            ),
            pool_reloads: r
                .counter("prometheus_target_scrape_pool_reloads_total", "Total number of scrape pool reloads."),
            pool_reloads_failed: r.counter(
                "prometheus_target_scrape_pool_reloads_failed_total",
                "Total number of failed scrape pool reloads.",
            ),
            sync_failed: r.counter_vec(
                "prometheus_target_sync_failed_total",
                "Total number of target sync failures.",
                &["scrape_job"],
            ),
            exceeded_samples: r.counter(
                "prometheus_target_scrapes_exceeded_sample_limit_total",
                "Total number of scrapes that hit the sample limit and were rejected.",
            ),
            exceeded_body: r.counter(
                "prometheus_target_scrapes_exceeded_body_size_limit_total",
                "Total number of scrapes that hit the body size limit.",
            ),
            duplicates: r.counter(
                "prometheus_target_scrapes_sample_duplicate_timestamp_total",
                "Total number of samples rejected due to duplicate timestamps but different values.",
            ),
            out_of_bounds: r.counter(
                "prometheus_target_scrapes_sample_out_of_bounds_total",
                "Total number of samples rejected due to timestamp falling outside of the time bounds.",
            ),
            out_of_order: r.counter(
                "prometheus_target_scrapes_sample_out_of_order_total",
                "Total number of samples rejected due to not being out of the expected order.",
            ),
            exemplars_out_of_order: r.counter(
                "prometheus_target_scrapes_exemplar_out_of_order_total",
                "Total number of exemplar rejected due to not being out of the expected order.",
            ),
            exceeded_buckets: r.counter(
                "prometheus_target_scrapes_exceeded_native_histogram_bucket_limit_total",
                "Total number of scrapes that hit the native histogram bucket limit and were rejected.",
            ),
            metadata_entries: r.gauge_vec(
                "prometheus_target_metadata_cache_entries",
                "Total number of metric metadata entries in the cache",
                &["scrape_job"],
            ),
            metadata_bytes: r.gauge_vec(
                "prometheus_target_metadata_cache_bytes",
                "The number of bytes that are currently used for storing metric metadata in the cache",
                &["scrape_job"],
            ),
        }
    }
}
