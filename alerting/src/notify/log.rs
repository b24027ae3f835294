//! The notification log: what each receiver was last told about each group, and whether it is to be told again.
//!
//! An entry is kept per group and integration, from the last success. [`why_notify`] is the whole decision: a pure function
//! of the entry, the hashes of the alerts that fire and that are resolved, and the time.

use std::collections::{BTreeMap, BTreeSet};

use model::Labels;
use serde::{Deserialize, Serialize};

/// An integration of a receiver.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct IntegrationKey {
    /// Receiver.
    pub receiver: String,
    /// Kind.
    pub integration: String,
    /// Index within the kind.
    pub index: usize,
}

impl std::fmt::Display for IntegrationKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}[{}]", self.receiver, self.integration, self.index)
    }
}

/// What an integration was last told about a group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogEntry {
    /// Key of the group.
    pub group_key: String,
    /// The integration.
    pub integration: IntegrationKey,
    /// When it was told.
    pub timestamp_ms: i64,
    /// Hashes of the alerts that fired.
    pub firing: BTreeSet<u64>,
    /// Hashes of the alerts that were resolved.
    pub resolved: BTreeSet<u64>,
    /// When the entry is forgotten.
    pub expires_at_ms: i64,
    /// What the receiver wants remembered, such as the id of a message.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub data: BTreeMap<String, String>,
}

/// Why a group is notified about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotifyReason {
    /// The receiver knows nothing of it, or only that it was resolved.
    First,
    /// Alerts fire that the receiver does not know of.
    NewAlerts,
    /// Some alerts are resolved.
    SomeResolved,
    /// All alerts are resolved.
    AllResolved,
    /// Nothing changed for the repeat interval.
    Repeat,
}

impl NotifyReason {
    /// As templates and webhooks show it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::First => "first notification",
            Self::NewAlerts => "new alerts added",
            Self::SomeResolved => "some alerts resolved",
            Self::AllResolved => "all alerts resolved",
            Self::Repeat => "repeat interval elapsed",
        }
    }
}

/// Hash of an alert in entries.
pub fn alert_hash(labels: &Labels) -> u64 {
    labels.prometheus_hash()
}

/// Whether to notify about a group with these alerts, and why.
///
/// Rules, in order: an unknown group only when something fires; alerts that are new; the last alert being resolved, even
/// to a receiver that is not told of resolved alerts (so that the log forgets them); newly resolved alerts, to those that
/// are told; everything else once the repeat interval has passed.
pub fn why_notify(
    entry: Option<&LogEntry>,
    firing: &BTreeSet<u64>,
    resolved: &BTreeSet<u64>,
    send_resolved: bool,
    repeat_interval_ms: i64,
    now_ms: i64,
) -> Option<NotifyReason> {
    let Some(entry) = entry else { return (!firing.is_empty()).then_some(NotifyReason::First) };
    if !firing.is_subset(&entry.firing) {
        let known = !entry.firing.is_empty();
        return Some(if known { NotifyReason::NewAlerts } else { NotifyReason::First });
    }
    if firing.is_empty() {
        return (!entry.firing.is_empty()).then_some(NotifyReason::AllResolved);
    }
    if send_resolved && !resolved.is_subset(&entry.resolved) {
        return Some(NotifyReason::SomeResolved);
    }
    (entry.timestamp_ms < now_ms.saturating_sub(repeat_interval_ms)).then_some(NotifyReason::Repeat)
}

/// All entries.
#[derive(Clone, Debug, Default)]
pub struct NotificationLog {
    entries: BTreeMap<String, BTreeMap<IntegrationKey, LogEntry>>,
}

impl NotificationLog {
    /// The entry of a group and integration.
    pub fn get(&self, group_key: &str, integration: &IntegrationKey) -> Option<&LogEntry> {
        self.entries.get(group_key)?.get(integration)
    }

    /// All entries.
    pub fn iter(&self) -> impl Iterator<Item = &LogEntry> {
        self.entries.values().flat_map(BTreeMap::values)
    }

    /// Takes an entry; one that is older than what is known is dropped. Returns whether it was taken.
    pub fn put(&mut self, entry: LogEntry) -> bool {
        let group = self.entries.entry(entry.group_key.clone()).or_default();
        if group.get(&entry.integration).is_some_and(|known| known.timestamp_ms > entry.timestamp_ms) {
            return false;
        }
        group.insert(entry.integration.clone(), entry);
        true
    }

    /// Forgets entries whose time has come. Returns how many.
    pub fn collect(&mut self, now_ms: i64) -> usize {
        let mut gone = 0;
        self.entries.retain(|_, group| {
            let before = group.len();
            group.retain(|_, entry| entry.expires_at_ms > now_ms);
            gone += before - group.len();
            !group.is_empty()
        });
        gone
    }
}

#[cfg(test)]
mod tests;
