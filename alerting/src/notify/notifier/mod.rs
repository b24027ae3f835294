//! The notifier: alerts in, sends out, at times it says itself. The whole of Alertmanager's work, as one state machine.
//!
//! A host puts alerts ([`Notifier::put_alerts`]), calls [`Notifier::tick`] when [`Notifier::next_wakeup`] says so, carries
//! out the [`Send`]s it gets and reports each with [`Notifier::on_result`]. Nothing here reads a clock, starts a thread or
//! opens a connection: the same calls give the same sends.
//!
//! What changes is also written down as [`Record`]s ([`Notifier::take_records`]), which a host appends to a log; a
//! [`Snapshot`] and the records after it restore the notifier ([`Notifier::restore`]). Invariant: once a delivery is
//! recorded, no restart sends it again, and no restart forgets an alert that fires. A host that dies between a delivery and
//! its record is told to send once more: at least once, and twice only then.
//!
//! `tick` starts and advances rounds, `result` ends them, `reload` changes the configuration, `persist` has records and
//! restoring, `stats` what metrics show.

mod persist;
mod reload;
mod result;
mod stats;
mod tick;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::tz::TimeZone;
use model::Labels;

pub use persist::{RECORD_VERSION, Record, RestoreError, Snapshot};
pub use stats::{IntegrationStats, Stats, Suppression};

use super::alert::{Alert, AlertError, AlertStore, PostableAlert};
use super::config::CompiledConfig;
use super::group::{Flight, Group, GroupId};
use super::log::{IntegrationKey, NotificationLog};
use super::render::Renderer;
use super::request::{FailureReason, SendId};
use super::silence::{PostableSilence, Silence, SilenceError, SilenceLimits, Silences};
use crate::text::{NameScheme, group_labels_text};

/// How often old silences and log entries are looked for.
const MAINTENANCE_MS: i64 = 15 * 60_000;
/// How often a record says that time goes on.
const ALIVE_MS: i64 = 30_000;

/// How a notifier works.
#[derive(Clone, Debug)]
pub struct NotifierOptions {
    /// Makes messages.
    pub renderer: Renderer,
    /// How long deliveries are remembered at most.
    pub retention_ms: i64,
    /// Bounds on silences.
    pub silence_limits: SilenceLimits,
    /// Most alerts of one name; 0 is no limit.
    pub per_name_limit: usize,
    /// Which names labels may have.
    pub names: NameScheme,
    /// What `Local` means in time intervals.
    pub local_zone: TimeZone,
    /// No round begins earlier than this after the start, so that everyone has time to report.
    pub start_delay_ms: i64,
}

impl NotifierOptions {
    /// Alertmanager's defaults.
    pub fn new(renderer: Renderer) -> Self {
        Self {
            renderer,
            retention_ms: 120 * 3_600_000,
            silence_limits: SilenceLimits::default(),
            per_name_limit: 0,
            names: NameScheme::default(),
            local_zone: TimeZone::UTC,
            start_delay_ms: 0,
        }
    }
}

/// Something an operator may want to read.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum NotifierEvent {
    /// An attempt failed and will be repeated.
    Retrying {
        /// To whom.
        integration: IntegrationKey,
        /// About what.
        group_key: String,
        /// Which attempt.
        attempt: u32,
        /// Why it failed.
        error: String,
        /// When the next one is due.
        next_ms: i64,
    },
    /// Attempts were given up.
    Failed {
        /// To whom.
        integration: IntegrationKey,
        /// About what.
        group_key: String,
        /// How many attempts there were.
        attempts: u32,
        /// Why.
        reason: FailureReason,
        /// Why, in words.
        error: String,
    },
    /// The times of a route do not go well together.
    Timing {
        /// Key of the route.
        route: String,
        /// What is odd about them.
        warning: String,
    },
    /// A label of a route could not be rendered and is missing.
    RouteLabel {
        /// About what.
        group_key: String,
        /// Which label.
        label: String,
        /// Why.
        error: String,
    },
}

/// The notifier.
#[derive(Debug)]
pub struct Notifier {
    config: Arc<CompiledConfig>,
    options: NotifierOptions,
    alerts: AlertStore,
    /// Numbers of alerts in records.
    alert_ids: BTreeMap<Labels, u64>,
    /// How many groups each alert is in.
    memberships: BTreeMap<Labels, usize>,
    silences: Silences,
    log: NotificationLog,
    groups: BTreeMap<GroupId, Group>,
    by_route: BTreeMap<(usize, Labels), GroupId>,
    /// Groups by when there is something to do, and that time by group.
    queue: BTreeSet<(i64, GroupId)>,
    wake: BTreeMap<GroupId, i64>,
    in_flight: BTreeMap<SendId, Flight>,
    next_id: u64,
    next_maintenance_ms: i64,
    last_alive_ms: i64,
    dispatch_from_ms: i64,
    records: Vec<Record>,
    events: Vec<NotifierEvent>,
    stats: Stats,
}

impl Notifier {
    /// A notifier that knows no alert yet.
    pub fn new(config: CompiledConfig, options: NotifierOptions, now_ms: i64) -> Self {
        Self {
            events: timing_events(&config, &options),
            alerts: AlertStore::new(options.per_name_limit),
            silences: Silences::new(options.silence_limits, options.names),
            config: Arc::new(config),
            alert_ids: BTreeMap::new(),
            memberships: BTreeMap::new(),
            log: NotificationLog::default(),
            groups: BTreeMap::new(),
            by_route: BTreeMap::new(),
            queue: BTreeSet::new(),
            wake: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            next_id: 1,
            next_maintenance_ms: now_ms.saturating_add(MAINTENANCE_MS),
            last_alive_ms: now_ms,
            dispatch_from_ms: now_ms.saturating_add(options.start_delay_ms),
            records: Vec::new(),
            stats: Stats::default(),
            options,
        }
    }

    /// The configuration in force.
    pub fn config(&self) -> &CompiledConfig {
        &self.config
    }

    /// What it works with.
    pub fn options(&self) -> &NotifierOptions {
        &self.options
    }

    /// The alerts.
    pub fn alerts(&self) -> &AlertStore {
        &self.alerts
    }

    /// The silences.
    pub fn silences(&self) -> &Silences {
        &self.silences
    }

    /// What was delivered.
    pub fn log(&self) -> &NotificationLog {
        &self.log
    }

    /// Counts since the start.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// How many groups there are.
    pub fn group_count(&self) -> usize {
        self.groups.len()
    }

    pub(crate) fn groups(&self) -> impl Iterator<Item = &Group> {
        self.groups.values()
    }

    /// Takes alerts as a client posts them. Returns those that were not taken, by index; the others are.
    pub fn put_alerts(&mut self, now_ms: i64, posted: Vec<PostableAlert>) -> Vec<(usize, AlertError)> {
        let mut refused = Vec::new();
        for (index, alert) in posted.into_iter().enumerate() {
            let accepted = alert.accept(now_ms, self.config.resolve_timeout_ms, self.options.names);
            if let Err(error) = accepted.and_then(|alert| self.put_alert(now_ms, alert)) {
                self.stats.alerts_invalid += 1;
                refused.push((index, error));
            }
        }
        refused
    }

    /// Takes one alert.
    ///
    /// # Errors
    /// When there are too many of its name.
    pub fn put_alert(&mut self, now_ms: i64, alert: Alert) -> Result<(), AlertError> {
        if alert.is_resolved_at(now_ms) {
            self.stats.alerts_received_resolved += 1;
        } else {
            self.stats.alerts_received_firing += 1;
        }
        let before = self.alerts.get(&alert.labels).cloned();
        let stored = self.alerts.put(alert, now_ms)?.clone();
        self.record_alert(before.as_ref(), &stored);
        for route in self.config.clone().routes.matching(&stored.labels) {
            self.join(now_ms, route, &stored);
        }
        Ok(())
    }

    /// Puts an alert into its group under a route.
    fn join(&mut self, now_ms: i64, route: usize, alert: &Alert) {
        let config = self.config.clone();
        let Some(node) = config.routes.node(route) else { return };
        let labels = config.routes.group_labels(route, &alert.labels);
        let id = match self.by_route.get(&(route, labels.clone())) {
            Some(id) => *id,
            None => {
                // An alert that has fired for long does not wait again, as after a restart.
                let waited = alert.starts_at_ms.saturating_add(node.options.group_wait_ms) < now_ms;
                let wait_ms = if waited { 0 } else { node.options.group_wait_ms };
                let id = GroupId(self.new_id());
                let key = format!("{}:{}", node.key, group_labels_text(&labels));
                let next_flush_ms = now_ms.saturating_add(wait_ms);
                let group = Group { route, labels, key, members: BTreeSet::new(), next_flush_ms, flush: None };
                self.add_group(id, group);
                self.record_group(id);
                id
            }
        };
        let Some(group) = self.groups.get_mut(&id) else { return };
        if group.members.insert(alert.labels.clone()) {
            *self.memberships.entry(alert.labels.clone()).or_default() += 1;
            let alert = self.alert_id(&alert.labels);
            self.records.push(Record::Joined { group: id, alert });
        }
    }

    fn add_group(&mut self, id: GroupId, group: Group) {
        self.by_route.insert((group.route, group.labels.clone()), id);
        self.groups.insert(id, group);
        self.schedule(id);
    }

    /// Takes an alert out of a group; forgets it if that was the last one.
    fn leave(&mut self, id: GroupId, labels: &Labels) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        if !group.members.remove(labels) {
            return;
        }
        let alert = self.alert_id(labels);
        self.records.push(Record::Left { group: id, alert });
        let Some(count) = self.memberships.get_mut(labels) else { return };
        *count -= 1;
        if *count == 0 {
            self.memberships.remove(labels);
            self.alerts.remove(labels);
            self.alert_ids.remove(labels);
            self.records.push(Record::AlertGone { alert });
        }
    }

    fn remove_group(&mut self, id: GroupId) {
        let Some(group) = self.groups.remove(&id) else { return };
        let key = (group.route, group.labels);
        if self.by_route.get(&key) == Some(&id) {
            self.by_route.remove(&key);
        }
        if let Some(at_ms) = self.wake.remove(&id) {
            self.queue.remove(&(at_ms, id));
        }
        self.records.push(Record::GroupGone { group: id });
    }

    /// Puts a group where it belongs in the queue.
    fn schedule(&mut self, id: GroupId) {
        if let Some(at_ms) = self.wake.remove(&id) {
            self.queue.remove(&(at_ms, id));
        }
        let Some(group) = self.groups.get(&id) else { return };
        let lost = |send: SendId| self.in_flight.get(&send).map_or(i64::MIN, |flight| flight.lost_at_ms);
        let at_ms = group.wake_ms(lost);
        self.wake.insert(id, at_ms);
        self.queue.insert((at_ms, id));
    }

    fn new_id(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        id
    }

    fn alert_id(&mut self, labels: &Labels) -> u64 {
        if let Some(id) = self.alert_ids.get(labels) {
            return *id;
        }
        let id = self.new_id();
        self.alert_ids.insert(labels.clone(), id);
        id
    }

    /// Creates or changes a silence; returns its id, which differs from the one given if a new one took its place.
    ///
    /// # Errors
    /// When it is not one.
    pub fn set_silence(
        &mut self,
        now_ms: i64,
        silence: PostableSilence,
        new_id: impl FnOnce() -> String,
    ) -> Result<String, SilenceError> {
        let changed = self.silences.set(silence, now_ms, new_id)?;
        let id = changed.last().map(|silence| silence.id.clone()).unwrap_or_default();
        self.records.extend(changed.into_iter().map(Record::Silence));
        Ok(id)
    }

    /// Ends a silence.
    ///
    /// # Errors
    /// When there is none of this id.
    pub fn expire_silence(&mut self, now_ms: i64, id: &str) -> Result<Silence, SilenceError> {
        let silence = self.silences.expire(id, now_ms)?;
        self.records.push(Record::Silence(silence.clone()));
        Ok(silence)
    }

    /// When [`Self::tick`] is to be called next.
    pub fn next_wakeup(&self) -> i64 {
        let first = self.queue.first().map_or(i64::MAX, |(at_ms, _)| (*at_ms).max(self.dispatch_from_ms));
        first.min(self.next_maintenance_ms).min(self.last_alive_ms.saturating_add(ALIVE_MS))
    }

    /// What happened since the last call, for the host's log.
    pub fn take_events(&mut self) -> Vec<NotifierEvent> {
        std::mem::take(&mut self.events)
    }
}

/// What to say about a configuration that comes into force.
fn timing_events(config: &CompiledConfig, options: &NotifierOptions) -> Vec<NotifierEvent> {
    let warnings = config.routes.timing_warnings(options.retention_ms).into_iter();
    warnings.map(|(route, warning)| NotifierEvent::Timing { route, warning }).collect()
}

#[cfg(test)]
pub(super) mod tests;
