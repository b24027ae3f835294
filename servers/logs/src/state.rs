//! What every handler sees.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use axum::http::HeaderMap;
use kit::Shutdown;
use kit::metrics::{Counter, Registry, Vector};

use crate::api::ApiError;
use crate::config::{Config, TenantLimits};
use crate::ingest::PushMetrics;
use crate::queries::Queries;
use crate::rules::Ruler;
use crate::source::Tenancy;
use crate::tail::TailMetrics;
use crate::tenants::Tenants;

/// Shared by all handlers.
pub struct App {
    /// The configuration.
    pub config: Arc<Config>,
    /// Tenants and their stores.
    pub tenants: Arc<Tenants>,
    /// Queries.
    pub queries: Arc<Queries>,
    /// Rules.
    pub ruler: Arc<Ruler>,
    /// Self-metrics.
    pub registry: Registry,
    /// The server's own log, if this server started it.
    pub log: Option<kit::log::Handle>,
    /// Stops the server.
    pub stop: Shutdown,
    /// When the process started, ms.
    pub started_ms: i64,
    /// Set when the stores that were there are open.
    pub is_ready: AtomicBool,
    pub(crate) push: PushMetrics,
    pub(crate) tail: TailMetrics,
    pub(crate) deletes_received: Vector<Counter>,
    /// Bytes of pushes in progress.
    pub(crate) inflight: AtomicU64,
    /// Set by `/ingester/prepare_shutdown`: everything is written out at the end.
    pub(crate) flush_at_end: AtomicBool,
}

/// What a request may read.
#[derive(Clone)]
pub struct Scope {
    /// The stores.
    pub tenancy: Tenancy,
    /// Names of the tenants, joined with `|`.
    pub id: String,
    /// Limits; of several tenants those of the first.
    pub limits: Arc<TenantLimits>,
}

impl App {
    /// The tenants that a request names, with their stores.
    ///
    /// # Errors
    /// When it names none that can be, or a store cannot be opened.
    pub async fn scope(&self, headers: &HeaderMap) -> Result<Scope, ApiError> {
        let names = self.tenants.named(headers)?;
        let mut open = Vec::with_capacity(names.len());
        for name in &names {
            open.extend(self.tenants.find(name).await?);
        }
        let limits = self.tenants.limits(names.first().map_or("", String::as_str));
        Ok(Scope { tenancy: Tenancy::new(open, names.len() > 1), id: names.join("|"), limits })
    }
}
