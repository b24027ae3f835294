//! Self-metrics of the store under the peer's names, read from it at each scrape.

use std::sync::Arc;

use kit::metrics::{Family, MetricKind, Registry};
use tsdb::{Db, DbStats};

type Read = fn(&DbStats) -> f64;

const GAUGES: &[(&str, &str, Read)] = &[
    ("prometheus_tsdb_head_series", "Total number of series in the head block.", |s| s.head_series as f64),
    (
        "prometheus_tsdb_head_min_time",
        "Minimum time bound of the head block. The unit is decided by the library consumer.",
        |s| s.head_range_ms.map_or(0.0, |r| r.0 as f64),
    ),
    (
        "prometheus_tsdb_head_max_time",
        "Maximum timestamp of the head block. The unit is decided by the library consumer.",
        |s| s.head_range_ms.map_or(0.0, |r| r.1 as f64),
    ),
    ("prometheus_tsdb_head_min_time_seconds", "Minimum time bound of the head block.", |s| {
        s.head_range_ms.map_or(0.0, |r| r.0 as f64 / 1000.0)
    }),
    ("prometheus_tsdb_head_max_time_seconds", "Maximum timestamp of the head block.", |s| {
        s.head_range_ms.map_or(0.0, |r| r.1 as f64 / 1000.0)
    }),
    ("prometheus_tsdb_blocks_loaded", "Number of currently loaded data blocks.", |s| s.blocks as f64),
    (
        "prometheus_tsdb_storage_blocks_bytes",
        "The number of bytes that are currently used for local storage by all blocks.",
        |s| s.block_bytes as f64,
    ),
    ("prometheus_tsdb_wal_segment_current", "Write log segment index that TSDB is currently writing to.", |s| {
        s.wal.segment as f64
    }),
    ("prometheus_tsdb_wal_storage_size_bytes", "Size of the write log directory.", |s| s.wal.segment_bytes as f64),
];

const COUNTERS: &[(&str, &str, Read)] = &[
    ("prometheus_tsdb_head_series_created_total", "Total number of series created in the head", |s| {
        s.series_created as f64
    }),
    ("prometheus_tsdb_head_series_removed_total", "Total number of series removed in the head", |s| {
        s.series_removed as f64
    }),
    (
        "prometheus_tsdb_out_of_order_samples_total",
        "Total number of out of order samples ingestion failed attempts due to out of order being disabled.",
        |s| s.samples_out_of_order as f64,
    ),
    (
        "prometheus_tsdb_out_of_bound_samples_total",
        "Total number of out of bound samples ingestion failed attempts with out of order support disabled.",
        |s| s.samples_out_of_bounds as f64,
    ),
    (
        "prometheus_tsdb_too_old_samples_total",
        "Total number of out of order samples ingestion failed attempts with out of support enabled, but sample outside of time window.",
        |s| s.samples_too_old as f64,
    ),
    ("prometheus_tsdb_wal_writes_failed_total", "Total number of write log writes that failed.", |s| {
        s.wal.failures as f64
    }),
    ("prometheus_tsdb_wal_page_flushes_total", "Total number of page flushes.", |s| s.wal.syncs as f64),
    ("prometheus_tsdb_wal_corruptions_total", "Total number of WAL corruptions.", |s| s.damage as f64),
];

/// Registers them.
pub(crate) fn register(registry: &Registry, db: &Arc<Db>) {
    let db = db.clone();
    registry.collector(move |out| {
        let stats = db.stats();
        for (rows, kind) in [(GAUGES, MetricKind::Gauge), (COUNTERS, MetricKind::Counter)] {
            for (name, help, read) in rows {
                let mut family = Family::new(*name, *help, kind);
                family.push(Vec::new(), read(&stats));
                out.push(family);
            }
        }
        let mut appended = Family::new(
            "prometheus_tsdb_head_samples_appended_total",
            "Total number of appended samples.",
            MetricKind::Counter,
        );
        appended.push(vec![("type".into(), "float".into())], stats.samples_appended as f64);
        out.push(appended);
    });
}
