//! The history of alert states: the newest changes, in memory and in a journal (`history.jsonl`).

use std::collections::VecDeque;
use std::path::Path;

use alerting::grafana::HistoryEvent;
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};

use crate::store::{Journal, StoreError};

/// Most changes that are kept.
const MAX_ENTRIES: usize = 20_000;

/// A change of an instance's state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) at_ms: i64,
    pub(crate) folder_uid: String,
    pub(crate) group: String,
    pub(crate) event: HistoryEvent,
}

impl Entry {
    /// The state that it came to, without the reason.
    pub(crate) fn current(&self) -> (&str, &str) {
        split(&self.event.current)
    }

    pub(crate) fn previous(&self) -> (&str, &str) {
        split(&self.event.previous)
    }
}

/// `Normal (MissingSeries)` as state and reason.
fn split(text: &str) -> (&str, &str) {
    match text.split_once(" (") {
        Some((state, reason)) => (state, reason.trim_end_matches(')')),
        None => (text, ""),
    }
}

/// Which changes are looked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted<'a> {
    pub(crate) from_ms: Option<i64>,
    pub(crate) to_ms: Option<i64>,
    pub(crate) rule_uid: Option<&'a str>,
    pub(crate) dashboard_uid: Option<&'a str>,
    pub(crate) panel_id: Option<i64>,
    /// Labels of the instance.
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) previous: Option<&'a str>,
    pub(crate) current: Option<&'a str>,
    /// Also those that leave it normal for another reason: a rule that counts what is rare has many of them.
    pub(crate) quiet: bool,
}

impl Wanted<'_> {
    fn fits(&self, entry: &Entry) -> bool {
        let event = &entry.event;
        let named = |wanted: Option<&str>, (state, _): (&str, &str)| {
            wanted.is_none_or(|wanted| state.eq_ignore_ascii_case(wanted))
        };
        self.from_ms.is_none_or(|from| entry.at_ms >= from)
            && self.to_ms.is_none_or(|to| entry.at_ms <= to)
            && self.rule_uid.is_none_or(|uid| event.rule_uid == uid)
            && self.dashboard_uid.is_none_or(|uid| event.dashboard_uid == uid)
            && self.panel_id.is_none_or(|id| event.panel_id == id)
            && (self.quiet || entry.previous().0 != entry.current().0)
            && self.labels.iter().all(|(name, value)| event.instance_labels.value(name) == value)
            && named(self.previous, entry.previous())
            && named(self.current, entry.current())
    }
}

/// See the module.
pub(crate) struct History {
    entries: RwLock<VecDeque<Entry>>,
    journal: Journal,
}

impl History {
    pub(crate) fn open(dir: &Path) -> Result<Self, StoreError> {
        let (journal, entries) = Journal::open::<Entry>(dir, "history")?;
        let skipped = entries.len().saturating_sub(MAX_ENTRIES);
        let mut entries: VecDeque<Entry> = entries.into_iter().skip(skipped).collect();
        for entry in &mut entries {
            entry.event.at_ms = entry.at_ms;
        }
        Ok(Self { entries: RwLock::new(entries), journal })
    }

    /// Adds changes; they are on disk when this returns.
    pub(crate) async fn add(&self, new: Vec<Entry>) -> Result<(), StoreError> {
        if new.is_empty() {
            return Ok(());
        }
        self.journal.append(&new).await?;
        let all = {
            let mut entries = self.entries.write();
            entries.extend(new);
            while entries.len() > MAX_ENTRIES {
                entries.pop_front();
            }
            (self.journal.lines() > 2 * MAX_ENTRIES).then(|| entries.iter().cloned().collect::<Vec<_>>())
        };
        match all {
            Some(all) => self.journal.rewrite(&all).await,
            None => Ok(()),
        }
    }

    /// The newest changes that fit, newest first.
    pub(crate) fn find(&self, wanted: &Wanted<'_>, limit: usize) -> Vec<Entry> {
        let entries = self.entries.read();
        entries.iter().rev().filter(|entry| wanted.fits(entry)).take(limit).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(at_ms: i64, previous: &str, current: &str) -> Entry {
        let event = json!({
            "schemaVersion": 1, "previous": previous, "current": current, "values": {"A": "1.5"}, "condition": "A",
            "dashboardUID": "d", "panelID": 3, "fingerprint": "f", "ruleTitle": "t", "ruleUID": "u", "labels": {"a": "b"},
        });
        Entry { at_ms, folder_uid: "x".into(), group: "g".into(), event: serde_json::from_value(event).unwrap() }
    }

    #[tokio::test]
    async fn changes_are_kept_and_found() {
        let dir = tempfile::tempdir().unwrap();
        let history = History::open(dir.path()).unwrap();
        let all =
            vec![entry(1, "Normal", "Pending"), entry(2, "Pending", "Alerting"), entry(3, "Normal", "Normal (NoData)")];
        history.add(all).await.unwrap();
        let history = History::open(dir.path()).unwrap();
        let times = |wanted: Wanted<'_>| history.find(&wanted, 10).iter().map(|entry| entry.at_ms).collect::<Vec<_>>();
        assert_eq!(times(Wanted::default()), [2, 1]);
        assert_eq!(times(Wanted { quiet: true, ..Wanted::default() }), [3, 2, 1]);
        assert_eq!(times(Wanted { current: Some("alerting"), ..Wanted::default() }), [2]);
        assert_eq!(times(Wanted { from_ms: Some(1), to_ms: Some(1), rule_uid: Some("u"), ..Wanted::default() }), [1]);
        assert_eq!(times(Wanted { labels: vec![("a".into(), "c".into())], ..Wanted::default() }), [0i64; 0]);
        assert_eq!(times(Wanted { dashboard_uid: Some("d"), panel_id: Some(3), ..Wanted::default() }), [2, 1]);
        assert_eq!(history.find(&Wanted { quiet: true, ..Wanted::default() }, 1)[0].current(), ("Normal", "NoData"));
    }
}
