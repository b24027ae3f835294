//! Snapshots, records, and the way back from them.
//!
//! The page `docs/format/notifier.md` is the specification. A [`Snapshot`] is everything at one time; records are what changed since. Both hold the same kind of thing, so that
//! restoring is replaying. Alerts and groups have numbers in records, which are valid within one log only.
//!
//! A round in progress is not recorded but begun anew: the notification log knows which integrations were told. Time spent
//! stopped does not count against alerts: the end of one that fired moves by it, or a restart would resolve what nobody
//! could report on.

use std::collections::{BTreeMap, BTreeSet};

use model::Labels;
use serde::{Deserialize, Serialize};

use super::{Notifier, NotifierOptions};
use crate::notify::alert::Alert;
use crate::notify::config::CompiledConfig;
use crate::notify::group::{Group, GroupId};
use crate::notify::log::LogEntry;
use crate::notify::silence::Silence;
use crate::text::{group_labels_text, serde_labels};

/// Version of snapshots and records.
pub const RECORD_VERSION: u32 = 1;
/// A shorter stop is not made up for: records are not written often enough to tell it from none.
const SHORT_STOP_MS: i64 = 60_000;

/// Everything at one time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// [`RECORD_VERSION`].
    pub version: u32,
    /// When it was taken.
    pub at_ms: i64,
    /// What there is.
    pub records: Vec<Record>,
}

/// Something that changed, to be appended to a log.
///
#[doc = include_str!("../../../docs/format/notifier.md")]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
#[expect(private_interfaces, reason = "records are written and read, not taken apart by hosts")]
pub enum Record {
    /// An alert is new or says something else.
    Alert {
        /// Its number.
        id: u64,
        /// The alert.
        alert: Alert,
    },
    /// An alert was heard of again and lasts longer.
    Extended {
        /// Which.
        id: u64,
        /// When it ends now.
        ends_at_ms: i64,
        /// When it was heard of.
        updated_at_ms: i64,
        /// Whether the end is only assumed.
        timeout: bool,
    },
    /// An alert is forgotten.
    AlertGone {
        /// Which.
        alert: u64,
    },
    /// A group is new, or its timer or round changed.
    Group {
        /// Its number.
        group: GroupId,
        /// Id of its route.
        route: String,
        /// What it is grouped by.
        #[serde(with = "serde_labels")]
        labels: Labels,
        /// When it is due.
        next_flush_ms: i64,
        /// A round is in progress.
        flushing: bool,
    },
    /// A group is forgotten.
    GroupGone {
        /// Which.
        group: GroupId,
    },
    /// An alert is in a group now.
    Joined {
        /// Which group.
        group: GroupId,
        /// Which alert.
        alert: u64,
    },
    /// An alert is in a group no longer.
    Left {
        /// Which group.
        group: GroupId,
        /// Which alert.
        alert: u64,
    },
    /// An integration was told of a group.
    Notified(LogEntry),
    /// A silence is new or changed.
    Silence(Silence),
    /// Time went on.
    Alive {
        /// Until then.
        at_ms: i64,
    },
}

/// A notifier cannot be restored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The snapshot is of another version.
    #[error("snapshot has version {found}, expected {expected}")]
    Version {
        /// The version it has.
        found: u32,
        /// The version that can be read.
        expected: u32,
    },
}

/// A group as records tell of it.
struct StoredGroup {
    route: String,
    labels: Labels,
    next_flush_ms: i64,
    flushing: bool,
    members: Vec<u64>,
}

/// What records add up to.
#[derive(Default)]
struct Replay {
    alerts: BTreeMap<u64, Alert>,
    groups: BTreeMap<GroupId, StoredGroup>,
    log: Vec<LogEntry>,
    silences: Vec<Silence>,
    alive_ms: i64,
    next_id: u64,
}

impl Replay {
    fn apply(&mut self, record: Record) {
        match record {
            Record::Alert { id, alert } => {
                self.seen(id, alert.updated_at_ms);
                self.alerts.insert(id, alert);
            }
            Record::Extended { id, ends_at_ms, updated_at_ms, timeout } => {
                self.seen(id, updated_at_ms);
                if let Some(alert) = self.alerts.get_mut(&id) {
                    (alert.ends_at_ms, alert.updated_at_ms, alert.timeout) = (ends_at_ms, updated_at_ms, timeout);
                }
            }
            Record::AlertGone { alert } => {
                self.alerts.remove(&alert);
            }
            Record::Group { group, route, labels, next_flush_ms, flushing } => {
                self.seen(group.0, i64::MIN);
                let members = self.groups.remove(&group).map(|known| known.members).unwrap_or_default();
                self.groups.insert(group, StoredGroup { route, labels, next_flush_ms, flushing, members });
            }
            Record::GroupGone { group } => {
                self.groups.remove(&group);
            }
            Record::Joined { group, alert } => {
                if let Some(group) = self.groups.get_mut(&group) {
                    group.members.push(alert);
                }
            }
            Record::Left { group, alert } => {
                if let Some(group) = self.groups.get_mut(&group) {
                    group.members.retain(|member| *member != alert);
                }
            }
            Record::Notified(entry) => {
                self.seen(0, entry.timestamp_ms);
                self.log.push(entry);
            }
            Record::Silence(silence) => {
                self.seen(0, silence.updated_at_ms);
                self.silences.push(silence);
            }
            Record::Alive { at_ms } => self.seen(0, at_ms),
        }
    }

    fn seen(&mut self, id: u64, at_ms: i64) {
        self.next_id = self.next_id.max(id + 1);
        self.alive_ms = self.alive_ms.max(at_ms);
    }
}

impl Notifier {
    /// What changed since the last call, to be appended to the log in this order.
    pub fn take_records(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.records)
    }

    /// Everything there is now. Records taken before this call are part of it; those taken after belong after it.
    pub fn snapshot(&mut self, now_ms: i64) -> Snapshot {
        self.records.clear();
        let mut records = Vec::new();
        let alerts: Vec<Alert> = self.alerts.iter().cloned().collect();
        for alert in alerts {
            records.push(Record::Alert { id: self.alert_id(&alert.labels), alert });
        }
        for (id, group) in &self.groups {
            records.extend(self.group_record(*id, group));
            let known = group.members.iter().filter_map(|labels| self.alert_ids.get(labels));
            records.extend(known.map(|alert| Record::Joined { group: *id, alert: *alert }));
        }
        records.extend(self.log.iter().cloned().map(Record::Notified));
        records.extend(self.silences.iter().cloned().map(Record::Silence));
        self.last_alive_ms = now_ms;
        Snapshot { version: RECORD_VERSION, at_ms: now_ms, records }
    }

    /// A notifier as it was, from a snapshot and the records after it.
    ///
    /// # Errors
    /// When the snapshot is of a version that cannot be read.
    pub fn restore(
        config: CompiledConfig,
        options: NotifierOptions,
        snapshot: Option<Snapshot>,
        records: impl IntoIterator<Item = Record>,
        now_ms: i64,
    ) -> Result<Self, RestoreError> {
        let mut replay = Replay { alive_ms: i64::MIN, next_id: 1, ..Replay::default() };
        if let Some(snapshot) = snapshot {
            if snapshot.version != RECORD_VERSION {
                return Err(RestoreError::Version { found: snapshot.version, expected: RECORD_VERSION });
            }
            snapshot.records.into_iter().for_each(|record| replay.apply(record));
            replay.seen(0, snapshot.at_ms);
        }
        records.into_iter().for_each(|record| replay.apply(record));
        let mut notifier = Self::new(config, options, now_ms);
        notifier.next_id = replay.next_id;
        let stopped_ms = now_ms.saturating_sub(replay.alive_ms.max(0));
        for (id, mut alert) in replay.alerts.clone() {
            if stopped_ms > SHORT_STOP_MS && !alert.is_resolved_at(replay.alive_ms) {
                alert.ends_at_ms = alert.ends_at_ms.saturating_add(stopped_ms);
            }
            notifier.alert_ids.insert(alert.labels.clone(), id);
            notifier.alerts.restore(alert);
        }
        replay.silences.into_iter().for_each(|silence| notifier.silences.restore(silence));
        for entry in replay.log {
            notifier.log.put(entry);
        }
        notifier.silences.collect(now_ms);
        notifier.log.collect(now_ms);
        notifier.restore_groups(replay.groups, &replay.alerts, now_ms);
        Ok(notifier)
    }

    fn restore_groups(&mut self, stored: BTreeMap<GroupId, StoredGroup>, alerts: &BTreeMap<u64, Alert>, now_ms: i64) {
        let config = self.config.clone();
        let nodes = config.routes.nodes().iter().enumerate();
        let routes: BTreeMap<&str, usize> = nodes.map(|(i, node)| (node.id.as_str(), i)).collect();
        for (id, stored) in stored {
            let route = routes.get(stored.route.as_str()).copied();
            let Some((route, node)) = route.and_then(|route| Some((route, config.routes.node(route)?))) else {
                self.records.push(Record::GroupGone { group: id });
                continue;
            };
            let belongs = |labels: &&Labels| {
                config.routes.group_labels(route, labels) == stored.labels
                    && config.routes.matching(labels).contains(&route)
            };
            let known = stored.members.iter().filter_map(|id| alerts.get(id)).map(|alert| &alert.labels);
            let members: BTreeSet<Labels> = known.filter(belongs).cloned().collect();
            if members.is_empty() || self.by_route.contains_key(&(route, stored.labels.clone())) {
                self.records.push(Record::GroupGone { group: id });
                continue;
            }
            for labels in &members {
                *self.memberships.entry(labels.clone()).or_default() += 1;
            }
            let key = format!("{}:{}", node.key, group_labels_text(&stored.labels));
            let next_flush_ms = if stored.flushing { now_ms } else { stored.next_flush_ms };
            self.add_group(id, Group { route, labels: stored.labels, key, members, next_flush_ms, flush: None });
        }
        // The configuration may have changed in between.
        let alerts: Vec<Alert> = self.alerts.iter().cloned().collect();
        for alert in &alerts {
            for route in config.routes.matching(&alert.labels) {
                self.join(now_ms, route, alert);
            }
        }
        self.forget_strays();
    }

    pub(super) fn record_alert(&mut self, before: Option<&Alert>, after: &Alert) {
        let id = self.alert_id(&after.labels);
        let only_extended = before.is_some_and(|before| {
            let Alert { labels: _, annotations, starts_at_ms, ends_at_ms: _, generator_url, .. } = before;
            *annotations == after.annotations
                && *starts_at_ms == after.starts_at_ms
                && *generator_url == after.generator_url
        });
        self.records.push(if only_extended {
            let Alert { ends_at_ms, updated_at_ms, timeout, .. } = *after;
            Record::Extended { id, ends_at_ms, updated_at_ms, timeout }
        } else {
            Record::Alert { id, alert: after.clone() }
        });
    }

    pub(super) fn record_group(&mut self, id: GroupId) {
        let record = self.groups.get(&id).and_then(|group| self.group_record(id, group));
        self.records.extend(record);
    }

    fn group_record(&self, id: GroupId, group: &Group) -> Option<Record> {
        Some(Record::Group {
            group: id,
            route: self.config.routes.node(group.route)?.id.clone(),
            labels: group.labels.clone(),
            next_flush_ms: group.next_flush_ms,
            flushing: group.flush.is_some(),
        })
    }
}
