//! Rules over logs: groups from files, each evaluated by its own task; alerts go to Alertmanagers, samples to metrics servers.
//!
//! Files are looked at again every `ruler.poll_interval` and after each change through the API. Groups that did not change
//! go on; changed ones take over the alerts of their predecessors. What alerts know is kept in a file beside the stores, so
//! that a restart goes on where the server stopped.

mod eval;
mod files;
mod notifier;
mod remote;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use alerting::rules::api::{AlertJson, GroupJson, RulesData};
use alerting::rules::{External, Group, GroupOptions, GroupSnapshot, RuleGroup, RuleKind, Schedule, TemplateExpander};
use kit::Shutdown;
use kit::client::ClientError;
use kit::log::Limiter;
use kit::metrics::{Counter, Family, Gauge, MetricKind, Registry, Vector};
use parking_lot::Mutex;

use crate::config::Config;
use crate::queries::Queries;
use crate::source::Tenancy;
use crate::tenants::Tenants;
use eval::{EngineEvaluator, RemoteSink};
use files::RuleFiles;
pub(crate) use files::{FileError, Namespaces, node_of, parse_group};
use notifier::Notifier;
use remote::RemoteWriter;

/// File of what alerts know, in the data directory.
const STATE_FILE: &str = "rules-state.json";

type State = BTreeMap<String, BTreeMap<String, GroupSnapshot>>;

/// See the module.
pub struct Ruler {
    config: Arc<Config>,
    tenants: Arc<Tenants>,
    queries: Arc<Queries>,
    pub(crate) files: RuleFiles,
    notifier: Arc<Notifier>,
    writer: Arc<RemoteWriter>,
    groups: Mutex<BTreeMap<String, Vec<Arc<Running>>>>,
    /// What alerts knew when the server stopped, until their groups come.
    kept: Mutex<State>,
    /// Held while files are read and taken over.
    syncing: Mutex<()>,
    metrics: RulerMetrics,
    expander: TemplateExpander,
    problems: Limiter,
    changed: AtomicBool,
    stop: Shutdown,
}

struct Running {
    tenant: String,
    group: Mutex<Group>,
    key: String,
    name: String,
    file: String,
    interval_ms: i64,
    stop: Shutdown,
}

/// Self-metrics of rules, under the peer's names.
pub(crate) struct RulerMetrics {
    queries: Vector<Counter>,
    queries_failed: Vector<Counter>,
    query_seconds: Vector<Counter>,
    loaded: Vector<Gauge>,
    evaluations: Vector<Counter>,
    failures: Vector<Counter>,
    iterations: Vector<Counter>,
    missed: Vector<Counter>,
    samples: Vector<Gauge>,
}

impl RulerMetrics {
    fn new(r: &Registry) -> Self {
        let (user, group): (&[&'static str], &[&'static str]) = (&["user"], &["user", "rule_group"]);
        Self {
            queries: r.counter_vec("loki_ruler_queries_total", "Total number of queries executed by the ruler.", user),
            queries_failed: r.counter_vec(
                "loki_ruler_queries_failed_total",
                "Total number of failed queries by the ruler.",
                user,
            ),
            query_seconds: r.counter_vec(
                "loki_ruler_query_seconds_total",
                "Total amount of wall clock time spent processing queries by the ruler.",
                user,
            ),
            loaded: r.gauge_vec(
                "loki_ruler_config_last_reload_successful",
                "Boolean set to 1 whenever the last configuration reload attempt was successful.",
                user,
            ),
            evaluations: r.counter_vec(
                "loki_prometheus_rule_evaluations_total",
                "The total number of rule evaluations.",
                group,
            ),
            failures: r.counter_vec(
                "loki_prometheus_rule_evaluation_failures_total",
                "The total number of rule evaluation failures.",
                group,
            ),
            iterations: r.counter_vec(
                "loki_prometheus_rule_group_iterations_total",
                "The total number of scheduled rule group evaluations, whether executed or missed.",
                group,
            ),
            missed: r.counter_vec(
                "loki_prometheus_rule_group_iterations_missed_total",
                "The total number of rule group evaluations missed due to slow rule group evaluation.",
                group,
            ),
            samples: r.gauge_vec(
                "loki_prometheus_rule_group_last_evaluation_samples",
                "The number of samples returned during the last rule group evaluation.",
                group,
            ),
        }
    }
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
    /// When a peer cannot be reached as configured.
    pub fn new(
        config: Arc<Config>,
        tenants: Arc<Tenants>,
        queries: Arc<Queries>,
        registry: &Registry,
        stop: Shutdown,
    ) -> Result<Arc<Self>, ClientError> {
        let ruler = Arc::new(Self {
            files: RuleFiles::new(config.ruler.dir.clone()),
            notifier: Notifier::new(&config.ruler, registry)?,
            writer: RemoteWriter::new(&config.ruler, registry)?,
            metrics: RulerMetrics::new(registry),
            groups: Mutex::default(),
            kept: Mutex::default(),
            syncing: Mutex::default(),
            expander: TemplateExpander::new(),
            problems: Limiter::new(Duration::from_secs(600)),
            changed: AtomicBool::new(false),
            config,
            tenants,
            queries,
            stop,
        });
        let weak = Arc::downgrade(&ruler);
        registry.collector(move |out| {
            if let Some(ruler) = weak.upgrade() {
                ruler.collect(out);
            }
        });
        Ok(ruler)
    }

    /// Reads the files, begins to evaluate, and looks at the files from time to time.
    pub fn start(self: &Arc<Self>) {
        self.stop.spawn("notifier", self.notifier.clone().run(self.stop.clone()));
        self.writer.start(&self.stop);
        let ruler = self.clone();
        self.stop.spawn("ruler", async move {
            let worker = ruler.clone();
            if let Ok(state) = tokio::task::spawn_blocking(move || worker.read_state()).await {
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
        let runtime = tokio::runtime::Handle::current();
        let result = tokio::task::spawn_blocking(move || {
            let _one_at_a_time = self.syncing.lock();
            let _runtime = runtime.enter();
            let mut tenants = self.files.tenants();
            tenants.extend(self.groups.lock().keys().cloned());
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
            self.metrics.loaded.with(&[tenant]).set(0.0);
        };
        let namespaces = match self.files.load(tenant) {
            Ok(namespaces) => namespaces,
            Err(errors) => return told(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")),
        };
        match self.build(&namespaces) {
            Ok(groups) => self.apply(tenant, groups),
            Err(problem) => return told(problem),
        }
        self.metrics.loaded.with(&[tenant]).set(1.0);
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

    /// Takes over groups of a tenant: unchanged ones go on, changed ones take over their alerts, those that are gone end.
    fn apply(self: &Arc<Self>, tenant: &str, groups: Vec<Group>) {
        let mut all = self.groups.lock();
        let mut old = all.remove(tenant).unwrap_or_default();
        let mut kept = self.kept.lock().remove(tenant).unwrap_or_default();
        let mut running = Vec::with_capacity(groups.len());
        for mut group in groups {
            let key = alerting::rules::group_key(&group.file, &group.name);
            let before = old.iter().position(|known| known.key == key).map(|at| old.swap_remove(at));
            if let Some(before) = before {
                let mut known = before.group.lock();
                if known.same_definition(&group) {
                    drop(known);
                    running.push(before);
                    continue;
                }
                before.stop.trigger();
                let empty = Group::clone(&group);
                group.take_over(std::mem::replace(&mut known, empty));
            }
            if let Some(snapshot) = kept.remove(&key) {
                group.restore(snapshot);
            }
            group.set_restored();
            let entry = Arc::new(Running {
                tenant: tenant.to_owned(),
                key,
                name: group.name.clone(),
                file: group.file.clone(),
                interval_ms: group.interval_ms,
                group: Mutex::new(group),
                stop: self.stop.child(),
            });
            running.push(entry.clone());
            self.stop.spawn("rules", self.clone().task(entry));
        }
        for gone in old {
            gone.stop.trigger();
            let labels = [tenant, gone.key.as_str()];
            for counter in
                [&self.metrics.evaluations, &self.metrics.failures, &self.metrics.iterations, &self.metrics.missed]
            {
                counter.remove(&labels);
            }
            self.metrics.samples.remove(&labels);
        }
        if !running.is_empty() {
            all.insert(tenant.to_owned(), running);
        }
        self.changed.store(true, Ordering::Relaxed);
    }

    async fn task(self: Arc<Self>, running: Arc<Running>) {
        let seed = format!("{} {}", running.tenant, running.file);
        let mut schedule = Schedule::new(&seed, &running.name, running.interval_ms, kit::time::now_ms());
        loop {
            let wait = schedule.next_ms() - kit::time::now_ms();
            if !running.stop.sleep(Duration::from_millis(u64::try_from(wait).unwrap_or(0))).await {
                return;
            }
            let Some(due) = schedule.due(kit::time::now_ms()) else { continue };
            let labels = [running.tenant.as_str(), running.key.as_str()];
            self.metrics.iterations.with(&labels).add(1 + due.missed);
            self.metrics.missed.with(&labels).add(due.missed);
            let open = match self.tenants.find(&running.tenant).await {
                Ok(tenant) => Tenancy::new(tenant.into_iter().collect(), false),
                Err(e) => {
                    tracing::warn!(component = "ruler", tenant = running.tenant, error = %e, "rules are not evaluated");
                    continue;
                }
            };
            let (ruler, entry) = (self.clone(), running.clone());
            let done = tokio::task::spawn_blocking(move || ruler.evaluate(&entry, open, due.at_ms)).await;
            if let Err(e) = done {
                tracing::error!(component = "ruler", group = running.name, file = running.file, error = %e, "evaluating a group failed");
            }
        }
    }

    fn evaluate(&self, running: &Running, tenancy: Tenancy, at_ms: i64) {
        let begun = Instant::now();
        let stopwatch = || u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let limits = self.tenants.limits(&running.tenant);
        let disabled = limits.ruler_remote_write_disabled || !self.writer.is_enabled();
        let evaluator = EngineEvaluator {
            queries: &self.queries,
            tenancy,
            tenant: &running.tenant,
            limits,
            metrics: &self.metrics,
        };
        let mut sink = RemoteSink { writer: &self.writer, tenant: &running.tenant, disabled };
        let mut group = running.group.lock();
        let report = group.evaluate(at_ms, &evaluator, &self.expander, &mut sink, &stopwatch);
        drop(group);
        let labels = [running.tenant.as_str(), running.key.as_str()];
        for rule in &report.rules {
            if let Some(error) = &rule.error
                && !rule.cancelled
            {
                self.metrics.failures.with(&labels).inc();
                tracing::warn!(
                    component = "ruler",
                    tenant = running.tenant,
                    file = running.file,
                    group = running.name,
                    err = error,
                    "evaluating rule failed"
                );
            }
        }
        self.metrics.evaluations.with(&labels).add(report.rules.len() as u64);
        self.metrics.samples.with(&labels).set(report.samples as f64);
        self.changed.store(true, Ordering::Relaxed);
        self.notifier.send(report.alerts);
    }

    /// Whether a tenant may have a group beside those it has.
    pub(crate) fn check_limits(
        &self,
        tenant: &str,
        namespace: &str,
        group: &RuleGroup,
        known: &Namespaces,
    ) -> Result<(), LimitError> {
        let limits = self.tenants.limits(tenant);
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
        let groups = self.groups.lock();
        let groups = groups
            .get(tenant)
            .into_iter()
            .flatten()
            .filter(|running| keep_group(&running.file, &running.name))
            .map(|running| GroupJson::new(&running.group.lock(), true, &keep))
            .collect();
        RulesData { groups, group_next_token: None }
    }

    /// The active alerts of a tenant in the API's form.
    pub(crate) fn alerts(&self, tenant: &str) -> Vec<AlertJson> {
        let groups = self.groups.lock();
        let of_group = |running: &Arc<Running>| {
            let group = running.group.lock();
            let alerts = group.rules().filter_map(|(kind, _)| match kind {
                RuleKind::Alert(rule) => Some(AlertJson::of_rule(rule)),
                RuleKind::Record(_) => None,
            });
            alerts.flatten().collect::<Vec<_>>()
        };
        groups.get(tenant).into_iter().flatten().flat_map(of_group).collect()
    }

    fn collect(&self, out: &mut Vec<Family>) {
        let gauge = |name: &'static str, help: &'static str| Family::new(name, help, MetricKind::Gauge);
        let mut interval = gauge("loki_prometheus_rule_group_interval_seconds", "The interval of a rule group.");
        let mut rules = gauge("loki_prometheus_rule_group_rules", "The number of rules.");
        let mut last = gauge(
            "loki_prometheus_rule_group_last_evaluation_timestamp_seconds",
            "The timestamp of the last rule group evaluation in seconds.",
        );
        let mut duration = gauge(
            "loki_prometheus_rule_group_last_duration_seconds",
            "The duration of the last rule group evaluation.",
        );
        for running in self.groups.lock().values().flatten() {
            let group = running.group.lock();
            let labels = || {
                vec![("user".into(), running.tenant.clone().into()), ("rule_group".into(), running.key.clone().into())]
            };
            interval.push(labels(), group.interval_ms as f64 / 1000.0);
            rules.push(labels(), group.rules().count() as f64);
            let (at, took) = group.last_evaluation();
            last.push(labels(), at.map_or(0.0, |ms| ms as f64 / 1000.0));
            duration.push(labels(), took as f64 / 1e9);
        }
        out.extend([interval, rules, last, duration]);
    }

    fn state_path(&self) -> PathBuf {
        self.config.storage.dir.join(STATE_FILE)
    }

    fn read_state(&self) -> State {
        let path = self.state_path();
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|e| {
                tracing::warn!(component = "ruler", file = %path.display(), error = %e, "the kept state of alerts cannot be read");
                State::new()
            }),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => State::new(),
            Err(e) => {
                tracing::warn!(component = "ruler", file = %path.display(), error = %e, "the kept state of alerts cannot be read");
                State::new()
            }
        }
    }

    /// Writes what alerts know when it has changed. Blocking.
    pub(crate) fn save(&self) {
        if !self.changed.swap(false, Ordering::Relaxed) {
            return;
        }
        let mut state = self.kept.lock().clone();
        for (tenant, groups) in self.groups.lock().iter() {
            let snapshots = groups.iter().map(|running| (running.key.clone(), running.group.lock().snapshot()));
            state.insert(tenant.clone(), snapshots.collect());
        }
        let path = self.state_path();
        let written = serde_json::to_vec(&state)
            .map_err(std::io::Error::other)
            .and_then(|bytes| kit::files::write_atomic(&path, &bytes));
        if let Err(e) = written {
            self.changed.store(true, Ordering::Relaxed);
            tracing::error!(component = "ruler", file = %path.display(), error = %e, "the state of alerts cannot be kept");
        }
    }

    /// Keeps what a stop would lose. Blocking; called when nothing is evaluated any more.
    pub(crate) fn close(&self) {
        self.save();
        self.writer.save();
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
