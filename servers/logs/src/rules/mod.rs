//! Rules over logs: groups from files, run by [`ruler`]; alerts go to Alertmanagers, samples to metrics servers.
//!
//! Files are looked at again every `ruler.poll_interval` and after each change through the API. What alerts know is kept in a
//! file beside the stores, so that a restart goes on where the server stopped.

mod backend;
mod files;
mod notifier;
mod remote;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use alerting::rules::api::{AlertJson, RulesData};
use alerting::rules::{External, Group, GroupOptions, RuleGroup, RuleKind};
use kit::Shutdown;
use kit::log::Limiter;
use kit::metrics::{Gauge, Registry, Vector};
use parking_lot::Mutex;
use ruler::{Manager, RuleMetrics, Settings, Snapshots, StateFile};
use tokio::runtime::Handle;

use crate::config::Config;
use crate::queries::Queries;
use crate::tenants::Tenants;
use backend::{Host, QueryMetrics, TenantBackend};
use files::RuleFiles;
pub(crate) use files::{FileError, Namespaces, node_of, parse_group};
use notifier::Explore;
pub use remote::RemoteWriteError;
use remote::RemoteWriter;

/// File of what alerts know, in the data directory.
const STATE_FILE: &str = "rules-state.json";

/// What alerts know, by tenant.
type State = BTreeMap<String, Snapshots>;

/// See the module.
pub struct Ruler {
    config: Arc<Config>,
    host: Arc<Host>,
    pub(crate) files: RuleFiles,
    /// Those that have groups.
    managers: Mutex<BTreeMap<String, Arc<Manager>>>,
    /// What alerts knew when the server stopped, until their groups come.
    kept: Mutex<State>,
    state: Arc<StateFile>,
    /// Held while files are read and taken over.
    syncing: Mutex<()>,
    metrics: Arc<RuleMetrics>,
    loaded: Vector<Gauge>,
    problems: Limiter,
    stop: Shutdown,
}

/// Rules of a tenant are more than its limits allow.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LimitError {
    #[error("per-user rules per rule group limit (limit: {limit} actual: {actual}) exceeded")]
    Rules { limit: usize, actual: usize },
    #[error("per-user rule groups limit (limit: {limit} actual: {actual}) exceeded")]
    Groups { limit: usize, actual: usize },
}

impl Ruler {
    /// A ruler without groups; [`Ruler::start`] gives it some.
    ///
    /// # Errors
    /// When a peer cannot be reached as configured, or what waits for it cannot be kept.
    pub fn new(
        config: Arc<Config>,
        tenants: Arc<Tenants>,
        queries: Arc<Queries>,
        registry: &Registry,
        stop: Shutdown,
    ) -> Result<Arc<Self>, RemoteWriteError> {
        let host = Host {
            tenants,
            queries,
            queue: notifier::queue(&config.ruler, registry)?,
            explore: Explore::new(&config.ruler),
            writer: RemoteWriter::new(&config.ruler, registry)?,
            metrics: QueryMetrics::new(registry),
        };
        Ok(Arc::new(Self {
            host: Arc::new(host),
            files: RuleFiles::new(config.ruler.dir.clone()),
            managers: Mutex::default(),
            kept: Mutex::default(),
            state: Arc::new(StateFile::new(config.storage.dir.join(STATE_FILE), "ruler", None)),
            syncing: Mutex::default(),
            metrics: RuleMetrics::new(registry, "loki_prometheus", Some("user")),
            loaded: registry.gauge_vec(
                "loki_ruler_config_last_reload_successful",
                "Boolean set to 1 whenever the last configuration reload attempt was successful.",
                &["user"],
            ),
            problems: Limiter::new(Duration::from_secs(600)),
            config,
            stop,
        }))
    }

    /// Reads the files, begins to evaluate, and looks at the files from time to time.
    pub fn start(self: &Arc<Self>) {
        self.stop.spawn("notifier", self.host.queue.clone().run(self.stop.clone()));
        self.host.writer.start(&self.stop);
        let ruler = self.clone();
        self.stop.spawn("ruler", async move {
            let worker = ruler.clone();
            if let Ok(state) = tokio::task::spawn_blocking(move || worker.state.read()).await {
                *ruler.kept.lock() = state;
            }
            loop {
                ruler.clone().sync().await;
                if !ruler.stop.sleep(ruler.config.ruler.poll_interval).await {
                    return;
                }
            }
        });
    }

    /// Takes over what the files say now.
    pub(crate) async fn sync(self: Arc<Self>) {
        let runtime = Handle::current();
        let result = tokio::task::spawn_blocking(move || {
            let _one_at_a_time = self.syncing.lock();
            let _runtime = runtime.enter();
            let mut tenants = self.files.tenants();
            tenants.extend(self.managers.lock().keys().cloned());
            tenants.sort();
            tenants.dedup();
            for tenant in tenants.iter().filter(|tenant| self.is_enabled(tenant)) {
                self.sync_tenant(tenant);
            }
        });
        if let Err(e) = result.await {
            tracing::error!(component = "ruler", error = %e, "reading rule files failed");
        }
    }

    fn is_enabled(&self, tenant: &str) -> bool {
        let RulerBounds { enabled, disabled } = RulerBounds::of(&self.config);
        (enabled.is_empty() || enabled.iter().any(|name| name == tenant)) && !disabled.iter().any(|name| name == tenant)
    }

    fn sync_tenant(self: &Arc<Self>, tenant: &str) {
        let told = |problem: String| {
            if let Some(held_back) = self.problems.allow(&format!("{tenant} {problem}")) {
                tracing::error!(
                    component = "ruler",
                    tenant,
                    err = problem,
                    held_back,
                    "rules were refused, the old ones stay in force"
                );
            }
            self.loaded.with(&[tenant]).set(0.0);
        };
        let namespaces = match self.files.load(tenant) {
            Ok(namespaces) => namespaces,
            Err(errors) => return told(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")),
        };
        match self.build(&namespaces) {
            Ok(groups) => self.apply(tenant, groups),
            Err(problem) => return told(problem),
        }
        self.loaded.with(&[tenant]).set(1.0);
    }

    fn build(&self, namespaces: &Namespaces) -> Result<Vec<Group>, String> {
        let ruler = &self.config.ruler;
        let options = GroupOptions {
            interval_ms: ruler.evaluation_interval_ms,
            query_offset_ms: 0,
            resend_delay_ms: ruler.resend_delay_ms,
            external: External { labels: ruler.external_labels.clone(), url: ruler.external_url.clone() },
            wait_for_restore: false,
        };
        let mut built = Vec::new();
        for (namespace, groups) in namespaces {
            for group in groups {
                built.push(Group::new(namespace, group, &options, &files::canonical)?);
            }
        }
        Ok(built)
    }

    /// Gives a tenant's manager its groups.
    fn apply(&self, tenant: &str, groups: Vec<Group>) {
        // Those who ask for rules do not wait until a group that is being evaluated can be replaced.
        let known = self.manager_of(tenant);
        let manager = known.unwrap_or_else(|| self.manager(tenant));
        let kept = self.kept.lock().get(tenant).cloned().unwrap_or_default();
        manager.apply(groups, kept);
        // What alerts know is at every moment in one of the two maps, for `save`.
        let mut managers = self.managers.lock();
        if manager.is_empty() {
            managers.remove(tenant);
        } else {
            managers.insert(tenant.to_owned(), manager);
        }
        drop(managers);
        self.kept.lock().remove(tenant);
        self.state.touch();
    }

    fn manager(&self, tenant: &str) -> Arc<Manager> {
        let settings = Settings { component: "ruler", tenant: Some(tenant.to_owned()), ..Settings::default() };
        let backend = TenantBackend { tenant: tenant.to_owned(), host: self.host.clone(), runtime: Handle::current() };
        Manager::new(settings, Arc::new(backend), self.metrics.clone(), self.state.clone(), self.stop.clone())
    }

    /// Whether a tenant may have a group beside those it has.
    pub(crate) fn check_limits(
        &self,
        tenant: &str,
        namespace: &str,
        group: &RuleGroup,
        known: &Namespaces,
    ) -> Result<(), LimitError> {
        let limits = self.host.tenants.limits(tenant);
        let (limit, actual) = (limits.ruler_max_rules_per_rule_group, group.rules.len());
        if limit > 0 && actual > limit {
            return Err(LimitError::Rules { limit, actual });
        }
        let is_new = !known.get(namespace).is_some_and(|groups| groups.iter().any(|g| g.name == group.name));
        let limit = limits.ruler_max_rule_groups_per_tenant;
        let actual = known.values().map(Vec::len).sum::<usize>() + usize::from(is_new);
        if limit > 0 && actual > limit {
            return Err(LimitError::Groups { limit, actual });
        }
        Ok(())
    }

    /// The groups of a tenant in the API's form.
    pub(crate) fn data(
        &self,
        tenant: &str,
        keep_group: impl Fn(&str, &str) -> bool,
        keep: impl Fn(&RuleKind) -> bool,
    ) -> RulesData {
        match self.manager_of(tenant) {
            Some(manager) => manager.data(true, keep_group, keep),
            None => RulesData { groups: Vec::new(), group_next_token: None },
        }
    }

    /// The active alerts of a tenant in the API's form.
    pub(crate) fn alerts(&self, tenant: &str) -> Vec<AlertJson> {
        self.manager_of(tenant).map(|manager| manager.alerts()).unwrap_or_default()
    }

    fn manager_of(&self, tenant: &str) -> Option<Arc<Manager>> {
        self.managers.lock().get(tenant).cloned()
    }

    /// Writes what alerts know when it has changed. Blocking.
    fn save(&self) {
        self.state.save(|| {
            let mut state = self.kept.lock().clone();
            state.extend(self.managers.lock().iter().map(|(tenant, manager)| (tenant.clone(), manager.snapshots())));
            state
        });
    }

    /// Keeps the files small that samples wait in, about once a second. Blocking.
    pub(crate) fn maintain(&self) {
        self.save();
        self.host.writer.maintain();
    }

    /// Keeps what a stop would lose. Blocking; called when nothing is evaluated any more.
    pub(crate) fn close(&self) {
        self.save();
        self.host.writer.save();
    }
}

/// Which tenants have rules.
struct RulerBounds<'a> {
    enabled: &'a [String],
    disabled: &'a [String],
}

impl<'a> RulerBounds<'a> {
    fn of(config: &'a Config) -> Self {
        Self { enabled: &config.ruler.enabled_tenants, disabled: &config.ruler.disabled_tenants }
    }
}
