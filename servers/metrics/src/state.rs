//! What every handler sees: the store, the managers, the configuration in force, and what the flags allow.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use kit::metrics::{Gauge, Registry};
use kit::{Shutdown, config::ReloadHandle};
use tsdb::Db;

use crate::api::answer::{ApiError, ErrorType};
use crate::config::Config;
use crate::discovery::Discovery;
use crate::ingest::Store;
use crate::notices::Notices;
use crate::queries::Queries;
use crate::remote_read::ReadLimits;
use crate::remote_source::Fanout;
use crate::retention::RetentionFlags;
use crate::rules::{Notifier, Rules};
use crate::scrape::ScrapeManager;

/// Shared by all handlers.
pub struct App {
    /// The store.
    pub db: Arc<Db>,
    /// The store, and what is left for peers.
    pub store: Store,
    /// Queries.
    pub queries: Arc<Queries>,
    /// Scraping.
    pub scrapes: Arc<ScrapeManager>,
    /// Rules.
    pub rules: Arc<Rules>,
    /// Alerts on their way.
    pub notifier: Arc<Notifier>,
    /// Discovery for scraping.
    pub discovery: Arc<Discovery>,
    /// The configuration in force.
    pub config: ArcSwap<Config>,
    /// Self-metrics.
    pub registry: Registry,
    /// Flags as given and defaulted, for the status page.
    pub flags: BTreeMap<String, String>,
    /// What the flags allow.
    pub allow: Allow,
    /// Samples of each step may be asked for.
    pub per_step_stats: bool,
    /// When the process started, ms.
    pub started_ms: i64,
    /// Working directory at the start.
    pub cwd: PathBuf,
    /// URL under which users see this server.
    pub external_url: String,
    /// What the flags say about how long data is kept.
    pub retention: RetentionFlags,
    /// How long data is kept, as text.
    pub retention_text: ArcSwap<String>,
    /// Asks for a reload.
    pub reload: ReloadHandle,
    /// Stops the server.
    pub stop: Shutdown,
    /// How far a federated sample may lie back.
    pub lookback: Duration,
    /// How reloads went.
    pub reloads: Reloads,
    /// What people should know.
    pub notices: Notices,
    /// Remote write received.
    pub writes: crate::remote::WriteMetrics,
    /// OTLP received.
    pub otlp: crate::otlp::OtlpMetrics,
    /// Peers that are read beside the store.
    pub peers: Arc<Fanout>,
    /// What answering remote reads may cost.
    pub read_limits: ReadLimits,
    /// One for each remote read that may run.
    pub read_slots: Arc<tokio::sync::Semaphore>,
    /// Set when the store has read its log.
    pub is_ready: AtomicBool,
    /// Bytes waiting in requests being read.
    pub in_flight: AtomicU64,
}

/// What the flags allow.
#[derive(Clone, Copy, Debug, Default)]
pub struct Allow {
    /// `/-/reload` and `/-/quit`.
    pub lifecycle: bool,
    /// Deleting, snapshots.
    pub admin: bool,
    /// Receiving remote write.
    pub remote_write: bool,
    /// Receiving remote write 2.0.
    pub remote_write_v2: bool,
    /// Receiving OTLP.
    pub otlp: bool,
}

/// How reloads of the configuration went.
pub struct Reloads {
    successful: Gauge,
    time: Gauge,
    last_ok: AtomicBool,
    last_ms: AtomicI64,
}

impl Reloads {
    /// Registers the metrics.
    pub fn new(registry: &Registry) -> Self {
        Self {
            successful: registry.gauge(
                "prometheus_config_last_reload_successful",
                "Whether the last configuration reload attempt was successful.",
            ),
            time: registry.gauge(
                "prometheus_config_last_reload_success_timestamp_seconds",
                "Timestamp of the last successful configuration reload.",
            ),
            last_ok: AtomicBool::new(false),
            last_ms: AtomicI64::new(0),
        }
    }

    /// Records a reload.
    pub fn record(&self, ok: bool, now_ms: i64) {
        self.successful.set(f64::from(u8::from(ok)));
        self.last_ok.store(ok, Ordering::Relaxed);
        if ok {
            self.time.set(now_ms as f64 / 1000.0);
            self.last_ms.store(now_ms, Ordering::Relaxed);
        }
    }

    /// Whether the last one succeeded, and when the last successful one was (ms).
    pub fn last(&self) -> (bool, i64) {
        (self.last_ok.load(Ordering::Relaxed), self.last_ms.load(Ordering::Relaxed))
    }
}

impl App {
    /// # Errors
    /// While the store reads its log, or the server stops.
    pub fn ready(&self) -> Result<(), ApiError> {
        if self.is_ready.load(Ordering::Acquire) && !self.stop.is_triggered() {
            Ok(())
        } else {
            Err(ApiError::new(ErrorType::NotReady, "Service Unavailable"))
        }
    }

    /// # Errors
    /// When the flags do not allow the administration API.
    pub fn admin(&self) -> Result<(), ApiError> {
        if self.allow.admin { Ok(()) } else { Err(ApiError::new(ErrorType::Unavailable, "admin APIs disabled")) }
    }
}
