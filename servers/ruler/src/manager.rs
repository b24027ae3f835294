//! Runs rule groups: each is a task of its own that evaluates on its schedule, writes and sends.
//!
//! A reload gives the [`Manager`] groups anew: those that did not change go on, changed ones take over the alerts of their
//! predecessors, those that are gone end. A group's lock is held while it is evaluated and while it is replaced, so that
//! nothing of a group happens any more once another has taken its place. Those who only look see the group as its last
//! evaluation left it, and never wait for one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use alerting::rules::api::{AlertJson, GroupJson, RulesData};
use alerting::rules::{
    Due, ForStateQuery, ForStateSeries, Group, OutgoingAlert, RestoreOptions, RuleKind, Schedule, TemplateExpander,
};
use alerting::{Evaluator, OutputSample, QueryError, Rejected, SampleSink, SampleValue};
use kit::Shutdown;
use model::Labels;
use parking_lot::Mutex;

use crate::metrics::RuleMetrics;
use crate::state::{Snapshots, StateFile};

/// A group, by the file it stands in and its name there.
#[derive(Clone, Copy, Debug)]
pub struct GroupName<'a> {
    /// Path of the file.
    pub file: &'a str,
    /// Name within the file.
    pub name: &'a str,
}

/// What rules are evaluated with and write to, and who is told of their alerts.
pub trait Backend: Send + Sync {
    /// What one evaluation of a group works with. Called in a thread that may block.
    ///
    /// # Errors
    /// When nothing can be evaluated now; the group waits for its next slot.
    fn open<'a>(&'a self, group: GroupName<'a>) -> Result<Box<dyn Session + 'a>, QueryError>;

    /// Takes the alerts of an evaluation that are to be sent, often none.
    fn send(&self, alerts: Vec<OutgoingAlert>);
}

/// See [`Backend::open`].
pub trait Session: Evaluator {
    /// Writes samples; returns those that were not taken.
    ///
    /// # Errors
    /// When nothing was written.
    fn append(&self, samples: &[OutputSample]) -> Result<Vec<Rejected>, QueryError>;

    /// The series by which a rule remembers since when its alerts are pending; none where samples cannot be read back.
    ///
    /// # Errors
    /// When they cannot be read.
    fn for_state(&self, _query: &ForStateQuery) -> Result<Vec<ForStateSeries>, QueryError> {
        Ok(Vec::new())
    }
}

struct Sink<'a>(&'a dyn Session);

impl SampleSink for Sink<'_> {
    fn append(&mut self, samples: &[OutputSample]) -> Result<Vec<Rejected>, QueryError> {
        self.0.append(samples)
    }
}

/// How a manager works.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Names the part of the server in the log.
    pub component: &'static str,
    /// Whose groups these are, where a server has several managers.
    pub tenant: Option<String>,
    /// How `for` is restored from series, for groups that no kept state is given for; without it they begin anew.
    pub restore: Option<RestoreOptions>,
    /// The series of groups that are gone get the staleness marker, two intervals later.
    pub end_series: bool,
}

/// See the module.
pub struct Manager {
    settings: Settings,
    backend: Arc<dyn Backend>,
    groups: Mutex<Vec<Arc<Running>>>,
    metrics: Arc<RuleMetrics>,
    state: Arc<StateFile>,
    stop: Shutdown,
    expander: TemplateExpander,
}

struct Running {
    group: Mutex<Group>,
    /// The group as it was after its last evaluation.
    shown: Mutex<Arc<Group>>,
    stop: Shutdown,
    key: String,
    interval_ms: i64,
    name: String,
    file: String,
}

impl Running {
    fn group_name(&self) -> GroupName<'_> {
        GroupName { file: &self.file, name: &self.name }
    }
}

impl Manager {
    /// A manager without groups; [`Manager::apply`] gives it some. It tells `state` when there is something to save.
    pub fn new(
        settings: Settings,
        backend: Arc<dyn Backend>,
        metrics: Arc<RuleMetrics>,
        state: Arc<StateFile>,
        stop: Shutdown,
    ) -> Arc<Self> {
        let manager = Arc::new(Self {
            settings,
            backend,
            groups: Mutex::default(),
            metrics,
            state,
            stop,
            expander: TemplateExpander::new(),
        });
        manager.metrics.watch(&manager);
        manager
    }

    /// Takes over groups in this order: unchanged ones go on, changed ones take over their alerts, those that are gone
    /// end. Groups that did not run before go on from what `kept` has of them. Called within a runtime, by one at a time;
    /// waits for evaluations of groups that do not stay.
    pub fn apply(self: &Arc<Self>, groups: Vec<Group>, mut kept: Snapshots) {
        let mut running = Vec::with_capacity(groups.len());
        let mut old = self.groups.lock().clone();
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
            let restored = kept.remove(&key).map(|snapshot| group.restore(snapshot)).is_some();
            let restore = self.settings.restore.filter(|_| !restored && before.is_none());
            if restore.is_none() {
                group.set_restored();
            }
            let entry = Arc::new(Running {
                key,
                interval_ms: group.interval_ms,
                name: group.name.clone(),
                file: group.file.clone(),
                shown: Mutex::new(Arc::new(group.clone())),
                group: Mutex::new(group),
                stop: self.stop.child(),
            });
            running.push(entry.clone());
            self.stop.spawn("rules", self.clone().task(entry, restore));
        }
        *self.groups.lock() = running;
        for gone in old {
            gone.stop.trigger();
            let series = Group::clone(&gone.group.lock()).retire();
            self.metrics.forget(&self.labels(&gone.key));
            if !self.settings.end_series {
                continue;
            }
            let manager = self.clone();
            let wait = Duration::from_millis(u64::try_from(gone.interval_ms * 2).unwrap_or(0));
            // Another group may write the same series from now on: they end only if nobody did by then.
            self.stop.spawn("rules end", async move {
                if manager.stop.sleep(wait).await {
                    let _ = tokio::task::spawn_blocking(move || manager.end(&gone, &series)).await;
                }
            });
        }
    }

    fn end(&self, gone: &Running, series: &[Labels]) {
        let now_ms = kit::time::now_ms();
        let mut written = Vec::new();
        self.each_group(|_, group| written.extend(Group::clone(group).retire()));
        let samples: Vec<_> = series
            .iter()
            .filter(|labels| !written.contains(labels))
            .map(|labels| OutputSample {
                labels: labels.clone(),
                timestamp_ms: now_ms,
                value: SampleValue::Float(model::STALE_NAN),
            })
            .collect();
        let ended = self.backend.open(gone.group_name()).and_then(|session| session.append(&samples));
        if let Err(e) = ended {
            tracing::warn!(
                component = self.settings.component,
                tenant = self.tenant(),
                error = %e,
                "cannot end the series of removed rules"
            );
        }
    }

    async fn task(self: Arc<Self>, running: Arc<Running>, mut restore: Option<RestoreOptions>) {
        let seed = match self.tenant() {
            Some(tenant) => format!("{tenant} {}", running.file),
            None => running.file.clone(),
        };
        let mut schedule = Schedule::new(&seed, &running.name, running.interval_ms, kit::time::now_ms());
        let mut is_first = true;
        loop {
            let wait = schedule.next_ms() - kit::time::now_ms();
            if !running.stop.sleep(Duration::from_millis(u64::try_from(wait).unwrap_or(0))).await {
                return;
            }
            let Some(due) = schedule.due(kit::time::now_ms()) else { continue };
            // The first evaluation finds out which alerts there are, the second restores them.
            let restore_now = restore.filter(|_| !is_first);
            let (manager, entry) = (self.clone(), running.clone());
            match tokio::task::spawn_blocking(move || manager.evaluate(&entry, due, restore_now)).await {
                Ok(true) if is_first => is_first = false,
                Ok(true) => restore = None,
                Ok(false) => {}
                Err(e) => {
                    tracing::error!(
                        component = self.settings.component,
                        tenant = self.tenant(),
                        group = running.name,
                        file = running.file,
                        error = %e,
                        "evaluating a group failed"
                    );
                }
            }
        }
    }

    /// Evaluates for a slot; false when that could not be.
    fn evaluate(&self, running: &Running, due: Due, restore: Option<RestoreOptions>) -> bool {
        let component = self.settings.component;
        let session = self.backend.open(running.group_name());
        let begun = Instant::now();
        let stopwatch = || u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let mut group = running.group.lock();
        if running.stop.is_triggered() {
            return false;
        }
        let labels = self.labels(&running.key);
        self.metrics.iterations.with(&labels).add(1 + due.missed);
        self.metrics.missed.with(&labels).add(due.missed);
        let session = match session {
            Ok(session) => session,
            Err(e) => {
                tracing::warn!(
                    component,
                    tenant = self.tenant(),
                    group = running.name,
                    error = %e,
                    "rules are not evaluated"
                );
                return false;
            }
        };
        let report = group.evaluate(due.at_ms, &*session, &self.expander, &mut Sink(&*session), &stopwatch);
        if let Some(options) = &restore {
            let errors = group.restore_for_state(due.at_ms, options, &mut |query| session.for_state(query));
            for (rule, error) in errors {
                tracing::error!(
                    component,
                    tenant = self.tenant(),
                    group = running.name,
                    rule,
                    error = %error,
                    "restoring since when alerts are pending failed"
                );
            }
        }
        for ((kind, status), rule) in group.rules().zip(&report.rules) {
            self.metrics.duration.observe(status.duration_ns as f64 / 1e9);
            if let Some(error) = &rule.error
                && !rule.cancelled
            {
                self.metrics.failures.with(&labels).inc();
                tracing::warn!(
                    component,
                    tenant = self.tenant(),
                    file = running.file,
                    group = running.name,
                    rule = kind.name(),
                    err = error,
                    "evaluating rule failed"
                );
            }
        }
        self.metrics.evaluations.with(&labels).add(report.rules.len() as u64);
        self.metrics.samples.with(&labels).set(report.samples as f64);
        *running.shown.lock() = Arc::new(group.clone());
        drop(group);
        self.metrics.group_duration.observe(begun.elapsed().as_secs_f64());
        self.state.touch();
        self.backend.send(report.alerts);
        true
    }

    /// Values of the labels of a group's metrics.
    fn labels<'a>(&'a self, key: &'a str) -> Vec<&'a str> {
        self.tenant().into_iter().chain([key]).collect()
    }

    /// Whose groups these are.
    pub fn tenant(&self) -> Option<&str> {
        self.settings.tenant.as_deref()
    }

    /// Whether there is no group.
    pub fn is_empty(&self) -> bool {
        self.groups.lock().is_empty()
    }

    /// What the alerts of all groups know.
    pub fn snapshots(&self) -> Snapshots {
        let mut snapshots = Snapshots::new();
        self.each_group(|key, group| drop(snapshots.insert(key.to_owned(), group.snapshot())));
        snapshots
    }

    /// The groups in the API's form; `keep_group` is asked with file and name.
    pub fn data(
        &self,
        with_alerts: bool,
        keep_group: impl Fn(&str, &str) -> bool,
        keep: impl Fn(&RuleKind) -> bool,
    ) -> RulesData {
        let mut groups = Vec::new();
        self.each_group(|_, group| {
            if keep_group(&group.file, &group.name) {
                groups.push(GroupJson::new(group, with_alerts, &keep));
            }
        });
        RulesData { groups, group_next_token: None }
    }

    /// All active alerts in the API's form.
    pub fn alerts(&self) -> Vec<AlertJson> {
        let mut alerts = Vec::new();
        self.each_group(|_, group| {
            for (kind, _) in group.rules() {
                if let RuleKind::Alert(rule) = kind {
                    alerts.extend(AlertJson::of_rule(rule));
                }
            }
        });
        alerts
    }

    /// Shows the groups with their keys, one after the other, each as its last evaluation left it.
    pub(crate) fn each_group(&self, mut see: impl FnMut(&str, &Group)) {
        for running in self.groups.lock().iter() {
            let shown = running.shown.lock().clone();
            see(&running.key, &shown);
        }
    }
}
