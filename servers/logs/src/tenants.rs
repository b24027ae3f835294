//! Tenants and their stores: one directory and one [`Db`] each, opened when first needed, at most so many at a time.
//!
//! A tenant's name comes from a header, so it is checked before it becomes part of a path. Reading never makes a
//! directory: a tenant nobody has pushed to has no data. When too many are open, the one that was idle longest is closed;
//! maintenance opens such a one beside the others for a while.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use axum::http::HeaderMap;
use logstore::{Brake, Db, Options, Retention, StreamRetention};
use parking_lot::Mutex;
use tokio::sync::OnceCell;

use crate::config::{Config, Overrides, TenantLimits};
use crate::ingest::StreamCache;

/// Longest name of a tenant in bytes.
const MAX_NAME: usize = 150;

/// A store that is idle for less than this is not closed to make room for another, ms.
const IDLE_MS: i64 = 10_000;

/// A tenant whose store is open.
pub struct Tenant {
    /// Its name.
    pub id: String,
    /// Its data.
    pub db: Arc<Db>,
    /// How many follow its entries.
    pub(crate) followers: AtomicUsize,
    limits: ArcSwap<TenantLimits>,
    pub(crate) streams: StreamCache,
    used_ms: AtomicI64,
}

impl Tenant {
    /// The limits in force.
    pub fn limits(&self) -> Arc<TenantLimits> {
        self.limits.load_full()
    }

    /// Whether anybody has asked for it since it was opened.
    fn is_used(&self) -> bool {
        self.used_ms.load(Ordering::Relaxed) > 0
    }

    fn touch(&self) {
        self.used_ms.store(kit::time::now_ms(), Ordering::Relaxed);
    }
}

/// A tenant's name cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TenantError {
    /// The header is missing.
    #[error("no org id")]
    Missing,
    /// More than one where one is wanted.
    #[error("multiple org IDs present")]
    Several,
    /// Too long.
    #[error("tenant ID is too long: max {MAX_NAME} characters")]
    TooLong,
    /// A character that names may not have.
    #[error("tenant ID '{0}' contains unsupported character '{1}'")]
    Character(String, char),
    /// A name that paths give a meaning.
    #[error("tenant ID is '.' or '..'")]
    Unsafe,
}

/// A tenant's store cannot be opened.
#[derive(Clone, Debug, thiserror::Error)]
pub enum OpenError {
    /// The store says why.
    #[error("cannot open the store of tenant {tenant}: {reason}")]
    Store {
        /// The tenant.
        tenant: String,
        /// The store's words.
        reason: String,
    },
    /// As many stores as allowed are open, and all of them in use.
    #[error("{0} tenants are in use at once, more than that are not allowed (foursight.max_tenants): try again later")]
    TooMany(usize),
}

/// Tenants named by the requests' header.
pub const TENANT_HEADER: &str = "x-scope-orgid";

/// Checks a name.
///
/// # Errors
/// When it could not be a tenant's.
pub fn check_name(name: &str) -> Result<(), TenantError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "!-_.*'()".contains(c);
    if let Some(c) = name.chars().find(|c| !allowed(*c)) {
        return Err(TenantError::Character(name.to_owned(), c));
    }
    match name {
        "" => Err(TenantError::Missing),
        "." | ".." => Err(TenantError::Unsafe),
        _ if name.len() > MAX_NAME => Err(TenantError::TooLong),
        _ => Ok(()),
    }
}

/// See the module.
pub struct Tenants {
    config: Arc<Config>,
    overrides: ArcSwap<Overrides>,
    defaults: Arc<TenantLimits>,
    slots: Mutex<HashMap<String, Slot>>,
    /// How many of them are visited, beside as many as may be open.
    visited: AtomicUsize,
}

type Slot = Arc<OnceCell<Arc<Tenant>>>;

impl Tenants {
    /// No tenant is open yet.
    pub fn new(config: Arc<Config>, overrides: Overrides) -> Self {
        let defaults = Arc::new(config.limits.clone());
        Self {
            config,
            overrides: ArcSwap::from_pointee(overrides),
            defaults,
            slots: Mutex::default(),
            visited: AtomicUsize::new(0),
        }
    }

    /// The tenants that a request names; one unless queries of several are allowed.
    ///
    /// # Errors
    /// When the request needs a tenant and has none, or has one that cannot be.
    pub fn named(&self, headers: &HeaderMap) -> Result<Vec<String>, TenantError> {
        if !self.config.auth_enabled {
            return Ok(vec![self.config.no_auth_tenant.clone()]);
        }
        let text = headers.get(TENANT_HEADER).map_or("", |value| value.to_str().unwrap_or("\u{fffd}"));
        if text.is_empty() {
            return Err(TenantError::Missing);
        }
        if !self.config.query.multi_tenant {
            check_name(text)?;
            return Ok(vec![text.to_owned()]);
        }
        let mut names: Vec<String> = text.split('|').map(str::to_owned).collect();
        names.iter().try_for_each(|name| check_name(name))?;
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// The one tenant that a request names.
    ///
    /// # Errors
    /// As [`Tenants::named`], and when it names several.
    pub fn one_named(&self, headers: &HeaderMap) -> Result<String, TenantError> {
        match <[String; 1]>::try_from(self.named(headers)?) {
            Ok([name]) => Ok(name),
            Err(_) => Err(TenantError::Several),
        }
    }

    /// Limits of a tenant, open or not.
    pub fn limits(&self, id: &str) -> Arc<TenantLimits> {
        let own = self.overrides.load().tenants.get(id).cloned();
        own.unwrap_or_else(|| {
            if self.defaults.store.tenant == id {
                return self.defaults.clone();
            }
            let mut limits = TenantLimits::clone(&self.defaults);
            limits.store.tenant = id.to_owned();
            Arc::new(limits)
        })
    }

    /// The overrides in force.
    pub fn overrides(&self) -> Arc<Overrides> {
        self.overrides.load_full()
    }

    /// Puts overrides into force.
    pub fn set_overrides(&self, overrides: Overrides) {
        self.overrides.store(Arc::new(overrides));
        for tenant in self.all() {
            let limits = self.limits(&tenant.id);
            tenant.db.set_limits(limits.store.clone());
            let (all, streams) = retention(&self.config, &limits);
            tenant.db.set_retention(all, streams);
            tenant.limits.store(limits);
            tenant.streams.clear();
        }
    }

    /// Directory of a tenant's store.
    pub fn dir_of(&self, id: &str) -> PathBuf {
        self.config.storage.dir.join("tenants").join(id)
    }

    /// The tenant, with a store made where there is none.
    ///
    /// # Errors
    /// When the store cannot be opened.
    pub async fn open(&self, id: &str) -> Result<Arc<Tenant>, OpenError> {
        let slot = self.slot(id)?;
        let tenant = self.fill(id, &slot).await?;
        tenant.touch();
        Ok(tenant)
    }

    async fn fill(&self, id: &str, slot: &Slot) -> Result<Arc<Tenant>, OpenError> {
        let opened = slot.get_or_try_init(|| self.open_store(id)).await.cloned();
        if opened.is_err() {
            // Nobody waits for this slot any more, or they will make their own.
            let mut slots = self.slots.lock();
            if slots.get(id).is_some_and(|known| Arc::ptr_eq(known, slot) && !known.initialized()) {
                slots.remove(id);
            }
        }
        opened
    }

    /// Opens a store that is closed, beside as many as may be open, lets `work` see it, and closes it again unless somebody
    /// has come to need it. `None` if it is open already. `work` may block.
    ///
    /// # Errors
    /// When the store cannot be opened.
    pub(crate) async fn visit<T: Send + 'static>(
        self: &Arc<Self>,
        id: &str,
        work: impl FnOnce(&Tenant) -> T + Send + 'static,
    ) -> Result<Option<T>, OpenError> {
        let slot = Slot::default();
        match self.slots.lock().entry(id.to_owned()) {
            Entry::Occupied(_) => return Ok(None),
            Entry::Vacant(free) => {
                free.insert(slot.clone());
                self.visited.fetch_add(1, Ordering::AcqRel);
            }
        }
        let result = match self.fill(id, &slot).await {
            Ok(tenant) => {
                let tenants = self.clone();
                let done = tokio::task::spawn_blocking(move || {
                    let result = work(&tenant);
                    tenants.close_visited(slot, tenant);
                    result
                });
                let failed = |e: tokio::task::JoinError| e.to_string();
                done.await.map(Some).map_err(|e| OpenError::Store { tenant: id.to_owned(), reason: failed(e) })
            }
            Err(error) => Err(error),
        };
        self.visited.fetch_sub(1, Ordering::AcqRel);
        result
    }

    fn close_visited(&self, slot: Slot, tenant: Arc<Tenant>) {
        loop {
            let mut slots = self.slots.lock();
            let is_known = slots.get(&tenant.id).is_some_and(|known| Arc::ptr_eq(known, &slot));
            if !is_known || tenant.is_used() {
                return;
            }
            // The cell and the visitor refer to the store, the map and the visitor to the cell.
            if Arc::strong_count(&tenant) == 2 && Arc::strong_count(&slot) == 2 {
                slots.remove(&tenant.id);
                close(&tenant);
                // Whoever opens it next must find the directory free.
                drop((slot, tenant));
                return;
            }
            // Somebody is about to use it, or looks at all that is open.
            drop(slots);
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }

    /// The tenant, if anything was ever stored for it.
    ///
    /// # Errors
    /// When its store cannot be opened.
    pub async fn find(&self, id: &str) -> Result<Option<Arc<Tenant>>, OpenError> {
        if let Some(tenant) = self.get(id) {
            tenant.touch();
            return Ok(Some(tenant));
        }
        if !tokio::fs::try_exists(self.dir_of(id)).await.unwrap_or(false) {
            return Ok(None);
        }
        self.open(id).await.map(Some)
    }

    /// Tenants whose stores are open now, by name.
    pub fn opened(&self) -> Vec<Arc<Tenant>> {
        let mut tenants = self.all();
        tenants.retain(|tenant| tenant.is_used());
        tenants.sort_by(|a, b| a.id.cmp(&b.id));
        tenants
    }

    /// Those that are visited too.
    fn all(&self) -> Vec<Arc<Tenant>> {
        self.slots.lock().values().filter_map(|slot| slot.get().cloned()).collect()
    }

    /// Names of the tenants whose stores are open now.
    pub fn opened_ids(&self) -> Vec<String> {
        self.opened().iter().map(|tenant| tenant.id.clone()).collect()
    }

    /// The tenant, if its store is open now.
    pub fn get(&self, id: &str) -> Option<Arc<Tenant>> {
        self.slots.lock().get(id).and_then(|slot| slot.get().cloned())
    }

    /// Names of all tenants that have data, open or not. Blocking.
    pub fn stored(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.config.storage.dir.join("tenants")) else { return Vec::new() };
        let names = entries.flatten().filter(|entry| entry.path().is_dir());
        let mut names: Vec<String> = names.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.retain(|name| check_name(name).is_ok());
        names.sort();
        names
    }

    /// Closes all stores. Blocking.
    pub fn close(&self) {
        let slots: Vec<Slot> = std::mem::take(&mut *self.slots.lock()).into_values().collect();
        slots.iter().filter_map(|slot| slot.get()).for_each(|tenant| close(tenant));
    }

    fn slot(&self, id: &str) -> Result<Slot, OpenError> {
        let limit = self.config.storage.max_tenants;
        let mut slots = self.slots.lock();
        if let Some(slot) = slots.get(id) {
            return Ok(slot.clone());
        }
        // A visited store that somebody came to need is one too many.
        while slots.len().saturating_sub(self.visited.load(Ordering::Acquire)) >= limit {
            let now_ms = kit::time::now_ms();
            let idle = |slot: &Slot| {
                // The registry holds one reference, `slot` in it another.
                let tenant =
                    slot.get().filter(|tenant| Arc::strong_count(tenant) == 1 && Arc::strong_count(slot) == 1)?;
                let used_ms = tenant.used_ms.load(Ordering::Relaxed);
                (now_ms - used_ms >= IDLE_MS).then_some(used_ms)
            };
            let oldest = slots.iter().filter_map(|(id, slot)| Some((idle(slot)?, id.clone()))).min();
            let Some((_, oldest)) = oldest else { return Err(OpenError::TooMany(limit)) };
            if let Some(tenant) = slots.remove(&oldest).and_then(|slot| slot.get().cloned()) {
                close(&tenant);
            }
        }
        let slot = Slot::default();
        slots.insert(id.to_owned(), slot.clone());
        Ok(slot)
    }

    async fn open_store(&self, id: &str) -> Result<Arc<Tenant>, OpenError> {
        let (dir, limits) = (self.dir_of(id), self.limits(id));
        let options = store_options(&self.config, &limits);
        let begun = std::time::Instant::now();
        let opened = tokio::task::spawn_blocking(move || open_db(&dir, options)).await;
        let failed = |reason: String| OpenError::Store { tenant: id.to_owned(), reason };
        let db = opened.map_err(|e| failed(e.to_string()))?.map_err(failed)?;
        for damage in db.stats().damage {
            tracing::warn!(component = "store", tenant = id, damage, "damaged data was left out");
        }
        tracing::info!(component = "store", tenant = id, took_ms = begun.elapsed().as_millis() as u64, "store opened");
        let tenant = Tenant {
            id: id.to_owned(),
            db: Arc::new(db),
            followers: AtomicUsize::new(0),
            limits: ArcSwap::new(limits),
            streams: StreamCache::default(),
            used_ms: AtomicI64::new(0),
        };
        Ok(Arc::new(tenant))
    }
}

fn close(tenant: &Tenant) {
    if let Err(e) = tenant.db.close() {
        tracing::error!(component = "store", tenant = tenant.id, error = %e, "closing the store failed");
    }
}

fn open_db(dir: &Path, options: Options) -> Result<Db, String> {
    std::fs::create_dir_all(dir).map_err(|e| format!("create directory {}: {e}", dir.display()))?;
    Db::open(dir, options).map_err(|e| e.to_string())
}

/// How a tenant's store behaves.
fn store_options(config: &Config, limits: &TenantLimits) -> Options {
    let storage = &config.storage;
    let (retention, stream_retention) = retention(config, limits);
    Options {
        wal_sync: storage.wal_sync,
        retention,
        stream_retention,
        delete_reader: crate::deletes::reader(),
        brake: Brake { reserve_bytes: storage.reserve_bytes },
        limits: limits.store.clone(),
        ..Options::default()
    }
}

/// How long a tenant's entries are kept.
fn retention(config: &Config, limits: &TenantLimits) -> (Retention, Vec<StreamRetention>) {
    let storage = &config.storage;
    let enabled = config.compactor.retention_enabled;
    let age_ms = |period_ns: i64| (enabled && period_ns > 0).then_some(period_ns / 1_000_000);
    let all = Retention {
        max_age_ms: age_ms(limits.retention_period_ns),
        max_bytes: (storage.retention_bytes > 0).then_some(storage.retention_bytes),
        max_disk_percent: (storage.retention_disk_percent > 0.0).then_some(storage.retention_disk_percent),
    };
    let rule = |rule: &crate::config::StreamRetention| StreamRetention {
        matchers: rule.matchers.clone(),
        priority: rule.priority,
        max_age_ms: age_ms(rule.period_ns),
    };
    let streams = if enabled { limits.retention_streams.iter().map(rule).collect() } else { Vec::new() };
    (all, streams)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_paths_cannot_misread() {
        for good in ["fake", "team-a", "1", "a.b", "x!_*'()"] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        let long = "x".repeat(151);
        let cases = [
            ("", "no org id"),
            ("..", "tenant ID is '.' or '..'"),
            ("a/b", "tenant ID 'a/b' contains unsupported character '/'"),
            ("a|b", "tenant ID 'a|b' contains unsupported character '|'"),
            ("é", "tenant ID 'é' contains unsupported character 'é'"),
            (&long, "tenant ID is too long: max 150 characters"),
        ];
        for (name, want) in cases {
            assert_eq!(check_name(name).unwrap_err().to_string(), want);
        }
    }
}
