//! Self-metrics of the stores under the peer's names, read from them at each scrape.

use std::sync::{Arc, Weak};

use kit::metrics::{Family, MetricKind, Registry};
use logstore::Stats;

use crate::tenants::Tenants;

type Read = fn(&Stats) -> f64;

const TOTALS: &[(&str, &str, MetricKind, Read)] = &[
    ("loki_ingester_memory_chunks", "The total number of chunks in memory.", MetricKind::Gauge, |s| s.streams as f64),
    ("loki_ingester_chunks_stored_total", "Total stored chunks per tenant.", MetricKind::Counter, |s| s.sealed as f64),
    (
        "loki_ingester_wal_bytes_in_use",
        "Total number of bytes in use by the WAL recovery process.",
        MetricKind::Gauge,
        |s| s.head_bytes as f64,
    ),
    ("loki_ingester_wal_records_logged_total", "Total number of WAL records logged.", MetricKind::Counter, |s| {
        s.wal.records as f64
    }),
    ("loki_ingester_wal_logged_bytes_total", "Total number of WAL bytes logged.", MetricKind::Counter, |s| {
        s.wal.bytes as f64
    }),
    ("loki_ingester_wal_corruptions_total", "Total number of WAL corruptions encountered.", MetricKind::Counter, |s| {
        s.damage.len() as f64
    }),
    (
        "loki_ingester_wal_duplicate_entries_total",
        "Entries discarded because they were stored already.",
        MetricKind::Counter,
        |s| s.duplicates as f64,
    ),
];

/// Registers them.
pub(crate) fn register(registry: &Registry, tenants: &Arc<Tenants>) {
    let tenants: Weak<Tenants> = Arc::downgrade(tenants);
    registry.collector(move |out| {
        let Some(tenants) = tenants.upgrade() else { return };
        let stats: Vec<(String, Stats)> = tenants.opened().iter().map(|t| (t.id.clone(), t.db.stats())).collect();
        for (name, help, kind, read) in TOTALS {
            let mut family = Family::new(*name, *help, *kind);
            family.push(Vec::new(), stats.iter().map(|(_, stats)| read(stats)).sum());
            out.push(family);
        }
        let help = "The total number of streams in memory per tenant.";
        let mut streams = Family::new("loki_ingester_memory_streams", help, MetricKind::Gauge);
        for (tenant, stats) in &stats {
            streams.push(vec![("tenant".into(), tenant.clone().into())], stats.streams as f64);
        }
        out.push(streams);
    });
}
