//! Recording and alerting rules: groups from files, each evaluated by its own task on its schedule.
//!
//! A reload keeps groups that did not change, and hands the alerts of changed ones over. What alerts know (since when they are
//! pending, when they were sent) is kept in a file beside the store, so that a restart goes on where the server stopped;
//! without that file `for` is restored from the series that were written.

mod eval;
pub mod file;
mod notifier;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use alerting::rules::api::{AlertJson, GroupJson, RulesData};
use alerting::rules::{
    External, ForStateQuery, ForStateSeries, Group, GroupOptions, GroupSnapshot, Health, RestoreOptions, RuleKind,
    Schedule, TemplateExpander,
};
use alerting::{QueryError, SampleSink};
use kit::Shutdown;
use kit::metrics::{Counter, Family, Gauge, MetricKind, Registry, Summary, Vector};
use kit::yaml::ConfigError;
use model::{Labels, MatchOp, Matcher, SampleColumns, SelectHints};
use parking_lot::Mutex;
use tsdb::Db;

use crate::config::Config;
use crate::queries::Queries;
use eval::{EngineEvaluator, StoreSink};
use file::RuleOptions;
pub use notifier::Notifier;

/// File of what alerts know, in the data directory.
const STATE_FILE: &str = "rules-state.json";

/// Settings that do not change with the configuration.
#[derive(Clone, Debug)]
pub struct RuleSettings {
    /// Time after which a firing alert is sent again, ms.
    pub resend_delay_ms: i64,
    /// How `for` is restored.
    pub restore: RestoreOptions,
    /// URL under which people see this server.
    pub external_url: String,
    /// Directory of the store.
    pub data_dir: PathBuf,
}

/// See the module.
pub struct RuleManager {
    settings: RuleSettings,
    db: Arc<Db>,
    queries: Arc<Queries>,
    notifier: Arc<Notifier>,
    groups: Mutex<Vec<Arc<Running>>>,
    metrics: Metrics,
    stop: Shutdown,
    expander: TemplateExpander,
    changed: AtomicBool,
}

struct Running {
    group: Mutex<Group>,
    stop: Shutdown,
    key: String,
    interval_ms: i64,
    name: String,
    file: String,
}

#[derive(Clone)]
struct Metrics {
    evaluations: Vector<Counter>,
    failures: Vector<Counter>,
    duration: Summary,
    iterations: Vector<Counter>,
    missed: Vector<Counter>,
    group_duration: Summary,
    samples: Vector<Gauge>,
}

impl Metrics {
    fn new(registry: &Registry) -> Self {
        let quantiles: &[f64] = &[0.01, 0.05, 0.5, 0.9, 0.99];
        let group: &[&'static str] = &["rule_group"];
        let r = registry;
        Self {
            evaluations: r.counter_vec(
                "prometheus_rule_evaluations_total",
                "The total number of rule evaluations.",
                group,
            ),
            failures: r.counter_vec(
                "prometheus_rule_evaluation_failures_total",
                "The total number of rule evaluation failures.",
                group,
            ),
            duration: r.summary(
                "prometheus_rule_evaluation_duration_seconds",
                "The duration for a rule to execute.",
                quantiles,
            ),
            iterations: r.counter_vec(
                "prometheus_rule_group_iterations_total",
                "The total number of scheduled rule group evaluations, whether executed or missed.",
                group,
            ),
            missed: r.counter_vec(
                "prometheus_rule_group_iterations_missed_total",
                "The total number of rule group evaluations missed due to slow rule group evaluation.",
                group,
            ),
            group_duration: r.summary(
                "prometheus_rule_group_duration_seconds",
                "The duration of rule group evaluations.",
                quantiles,
            ),
            samples: r.gauge_vec(
                "prometheus_rule_group_last_evaluation_samples",
                "The number of samples returned during the last rule group evaluation.",
                group,
            ),
        }
    }
}

impl RuleManager {
    /// A manager without groups; [`RuleManager::apply`] gives it some.
    pub fn new(
        settings: RuleSettings,
        db: Arc<Db>,
        queries: Arc<Queries>,
        notifier: Arc<Notifier>,
        registry: &Registry,
        stop: Shutdown,
    ) -> Arc<Self> {
        let manager = Arc::new(Self {
            settings,
            db,
            queries,
            notifier,
            groups: Mutex::default(),
            metrics: Metrics::new(registry),
            stop,
            expander: TemplateExpander::new(),
            changed: AtomicBool::new(false),
        });
        let weak = Arc::downgrade(&manager);
        registry.collector(move |out| {
            if let Some(manager) = weak.upgrade() {
                manager.collect(out);
            }
        });
        manager
    }

    /// Reads the rule files of a configuration.
    ///
    /// # Errors
    /// Everything that is wrong with any of them.
    pub fn load(&self, config: &Config) -> Result<Vec<Group>, Vec<ConfigError>> {
        let parser = self.queries.engine().options().parser;
        let options = RuleOptions { parser, validation: config.global.name_validation, ignore_unknown: false };
        let group_options = GroupOptions {
            interval_ms: config.global.evaluation_interval_ms,
            query_offset_ms: config.global.rule_query_offset_ms,
            resend_delay_ms: self.settings.resend_delay_ms,
            external: External { labels: config.external_labels().clone(), url: self.settings.external_url.clone() },
            wait_for_restore: true,
        };
        let canonical =
            |expr: &str| promql::parse(expr, &parser).map(|expr| expr.to_string()).map_err(|e| e.to_string());
        let mut groups = Vec::new();
        let mut errors = Vec::new();
        for path in file::expand(&config.rule_files) {
            match file::load(&path, options) {
                Ok(file) => {
                    let name = path.display().to_string();
                    for group in &file.groups {
                        match Group::new(&name, group, &group_options, &canonical) {
                            Ok(group) => groups.push(group),
                            Err(e) => errors.push(ConfigError::plain(e).in_file(&path)),
                        }
                    }
                }
                Err(more) => errors.extend(more),
            }
        }
        if errors.is_empty() { Ok(groups) } else { Err(errors) }
    }

    /// Takes over groups: unchanged ones go on, changed ones take over their alerts, those that are gone end their series.
    pub fn apply(self: &Arc<Self>, groups: Vec<Group>) {
        let mut running = self.groups.lock();
        let mut old: Vec<Arc<Running>> = std::mem::take(&mut running);
        let first = old.is_empty();
        let mut snapshots = if first { self.read_state() } else { BTreeMap::new() };
        for mut group in groups {
            let key = alerting::rules::group_key(&group.file, &group.name);
            let before = old.iter().position(|running| running.key == key).map(|at| old.swap_remove(at));
            if let Some(before) = &before {
                let mut known = before.group.lock();
                if known.same_definition(&group) {
                    drop(known);
                    running.push(before.clone());
                    continue;
                }
                before.stop.trigger();
                let empty = Group::clone(&group);
                group.take_over(std::mem::replace(&mut known, empty));
            }
            let restored = snapshots.remove(&key).map(|snapshot| group.restore(snapshot)).is_some();
            let entry = Arc::new(Running {
                key,
                interval_ms: group.interval_ms,
                name: group.name.clone(),
                file: group.file.clone(),
                group: Mutex::new(group),
                stop: self.stop.child(),
            });
            running.push(entry.clone());
            let needs_restore = !restored && before.is_none();
            self.stop.spawn("rules", self.clone().task(entry, needs_restore));
        }
        for gone in old {
            gone.stop.trigger();
            let empty = {
                let group = gone.group.lock();
                Group::clone(&group)
            };
            let series = empty.retire();
            let manager = self.clone();
            let wait = Duration::from_millis(u64::try_from(gone.interval_ms * 2).unwrap_or(0));
            // Another group may write the same series from now on: they end only if nobody did by then.
            self.stop.spawn("rules end", async move {
                if manager.stop.sleep(wait).await {
                    let _ = tokio::task::spawn_blocking(move || manager.end(&series)).await;
                }
            });
        }
        running.sort_by(|a, b| (&a.file, &a.name).cmp(&(&b.file, &b.name)));
    }

    fn end(&self, series: &[Labels]) {
        let now_ms = kit::time::now_ms();
        let written: Vec<Labels> =
            self.groups.lock().iter().flat_map(|running| Group::clone(&running.group.lock()).retire()).collect();
        let samples: Vec<_> = series
            .iter()
            .filter(|labels| !written.contains(labels))
            .map(|labels| alerting::OutputSample {
                labels: labels.clone(),
                timestamp_ms: now_ms,
                value: alerting::SampleValue::Float(model::STALE_NAN),
            })
            .collect();
        if let Err(e) = (StoreSink { db: self.db.clone() }).append(&samples) {
            tracing::warn!(component = "rules", error = %e, "cannot end the series of removed rules");
        }
    }

    async fn task(self: Arc<Self>, running: Arc<Running>, needs_restore: bool) {
        let mut schedule = Schedule::new(&running.file, &running.name, running.interval_ms, kit::time::now_ms());
        let mut evaluations = 0u32;
        if !needs_restore {
            running.group.lock().set_restored();
        }
        loop {
            let wait = schedule.next_ms() - kit::time::now_ms();
            if !running.stop.sleep(Duration::from_millis(u64::try_from(wait).unwrap_or(0))).await {
                return;
            }
            let Some(due) = schedule.due(kit::time::now_ms()) else { continue };
            let key = running.key.as_str();
            self.metrics.iterations.with(&[key]).add(1 + due.missed);
            self.metrics.missed.with(&[key]).add(due.missed);
            let (manager, entry) = (self.clone(), running.clone());
            let restore = needs_restore && evaluations == 1;
            let done = tokio::task::spawn_blocking(move || manager.evaluate(&entry, due.at_ms, restore)).await;
            if let Err(e) = done {
                tracing::error!(component = "rules", group = running.name, file = running.file, error = %e, "evaluating a group failed");
            }
            evaluations = evaluations.saturating_add(1);
        }
    }

    fn evaluate(&self, running: &Running, at_ms: i64, restore: bool) {
        let begun = Instant::now();
        let stopwatch = || u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let evaluator = EngineEvaluator { queries: &self.queries };
        let mut sink = StoreSink { db: self.db.clone() };
        let mut group = running.group.lock();
        let report = group.evaluate(at_ms, &evaluator, &self.expander, &mut sink, &stopwatch);
        if restore {
            let errors = group.restore_for_state(at_ms, &self.settings.restore, &mut |query| self.for_state(query));
            for (rule, error) in errors {
                tracing::error!(component = "rules", group = running.name, rule, error = %error, "restoring since when alerts are pending failed");
            }
        }
        for ((kind, status), rule) in group.rules().zip(&report.rules) {
            self.metrics.duration.observe(status.duration_ns as f64 / 1e9);
            if let Some(error) = &rule.error
                && !rule.cancelled
            {
                self.metrics.failures.with(&[&running.key]).inc();
                tracing::warn!(
                    component = "rules",
                    file = running.file,
                    group = running.name,
                    rule = kind.name(),
                    err = error,
                    "evaluating rule failed"
                );
            }
        }
        drop(group);
        self.metrics.evaluations.with(&[&running.key]).add(report.rules.len() as u64);
        self.metrics.samples.with(&[&running.key]).set(report.samples as f64);
        self.metrics.group_duration.observe(begun.elapsed().as_secs_f64());
        self.changed.store(true, Ordering::Relaxed);
        self.notifier.send(report.alerts);
    }

    fn for_state(&self, query: &ForStateQuery) -> Result<Vec<ForStateSeries>, QueryError> {
        let failed = |e: &dyn std::fmt::Display| QueryError::new(e.to_string());
        let matchers = query
            .equal
            .iter()
            .map(|(name, value)| Matcher::new(MatchOp::Equal, name, value))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| failed(&e))?;
        let hints = SelectHints { start_ms: query.min_ms, end_ms: query.max_ms, ..SelectHints::default() };
        let selection = self.queries.source().select(&matchers, &hints).map_err(|e| failed(&e))?;
        let mut columns = SampleColumns::new();
        let mut found = Vec::new();
        for index in 0..selection.len() {
            selection
                .read_last(index, query.max_ms, query.max_ms - query.min_ms, &mut columns)
                .map_err(|e| failed(&e))?;
            if let (Some(time), Some(value)) = (columns.timestamps.last(), columns.values.last()) {
                found.push(ForStateSeries { labels: selection.labels(index), last_ms: *time, value: *value });
            }
        }
        Ok(found)
    }

    /// The groups in the API's form.
    pub fn data(
        &self,
        with_alerts: bool,
        keep_group: impl Fn(&str, &str) -> bool,
        keep: impl Fn(&RuleKind) -> bool,
    ) -> RulesData {
        let groups = self.groups.lock();
        let groups = groups
            .iter()
            .filter(|running| keep_group(&running.file, &running.name))
            .map(|running| GroupJson::new(&running.group.lock(), with_alerts, &keep))
            .collect();
        RulesData { groups, group_next_token: None }
    }

    /// All active alerts in the API's form.
    pub fn alerts(&self) -> Vec<AlertJson> {
        let groups = self.groups.lock();
        groups
            .iter()
            .flat_map(|running| {
                let group = running.group.lock();
                group
                    .rules()
                    .filter_map(|(kind, _)| match kind {
                        RuleKind::Alert(rule) => Some(AlertJson::of_rule(rule)),
                        RuleKind::Record(_) => None,
                    })
                    .flatten()
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    fn collect(&self, out: &mut Vec<Family>) {
        let mut interval =
            Family::new("prometheus_rule_group_interval_seconds", "The interval of a rule group.", MetricKind::Gauge);
        let mut rules = Family::new("prometheus_rule_group_rules", "The number of rules.", MetricKind::Gauge);
        let mut last = Family::new(
            "prometheus_rule_group_last_evaluation_timestamp_seconds",
            "The timestamp of the last rule group evaluation in seconds.",
            MetricKind::Gauge,
        );
        let mut duration = Family::new(
            "prometheus_rule_group_last_duration_seconds",
            "The duration of the last rule group evaluation.",
            MetricKind::Gauge,
        );
        for running in self.groups.lock().iter() {
            let group = running.group.lock();
            let labels = || vec![("rule_group".into(), running.key.clone().into())];
            interval.push(labels(), group.interval_ms as f64 / 1000.0);
            rules.push(labels(), group.rules().count() as f64);
            let (at, took) = group.last_evaluation();
            last.push(labels(), at.map_or(0.0, |ms| ms as f64 / 1000.0));
            duration.push(labels(), took as f64 / 1e9);
        }
        out.extend([interval, rules, last, duration]);
    }

    /// Number of rules whose last evaluation failed.
    pub fn failing(&self) -> usize {
        let groups = self.groups.lock();
        groups
            .iter()
            .map(|running| running.group.lock().rules().filter(|(_, status)| status.health == Health::Err).count())
            .sum()
    }

    fn state_path(&self) -> PathBuf {
        self.settings.data_dir.join(STATE_FILE)
    }

    fn read_state(&self) -> BTreeMap<String, GroupSnapshot> {
        read_state(&self.state_path())
    }

    /// Writes what alerts know when it has changed. Blocking.
    pub fn save(&self) {
        if !self.changed.swap(false, Ordering::Relaxed) {
            return;
        }
        let state: BTreeMap<String, GroupSnapshot> =
            self.groups.lock().iter().map(|running| (running.key.clone(), running.group.lock().snapshot())).collect();
        let path = self.state_path();
        let written = serde_json::to_vec(&state)
            .map_err(std::io::Error::other)
            .and_then(|bytes| kit::files::write_atomic(&path, &bytes));
        if let Err(e) = written {
            self.changed.store(true, Ordering::Relaxed);
            tracing::error!(component = "rules", file = %path.display(), error = %e, "the state of alerts cannot be kept");
        }
    }
}

fn read_state(path: &Path) -> BTreeMap<String, GroupSnapshot> {
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|e| {
            tracing::warn!(component = "rules", file = %path.display(), error = %e, "the kept state of alerts cannot be read: it is restored from the series they wrote");
            BTreeMap::new()
        }),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
        Err(e) => {
            tracing::warn!(component = "rules", file = %path.display(), error = %e, "the kept state of alerts cannot be read");
            BTreeMap::new()
        }
    }
}
