//! Rules as they run: groups with their schedule, and what is known of each rule's instances.
//!
//! [`Rules::apply`] puts a configuration in force: rules that did not change go on as they are, those that changed, were paused
//! or are gone end their alerts first. States are appended to a journal (`states.jsonl`) after everything else that an
//! evaluation leads to is written down: after a crash an evaluation is repeated rather than lost, and repeating it tells nobody
//! twice, since the notifier knows what was sent.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::Arc;

use alerting::grafana::{
    BASE_INTERVAL_MS, GrafanaExpander, GrafanaRule, HistoryEvent, PreparedRule, Processed, RuleContext, RulePlace,
    RuleState, reason,
};
use alerting::rules::OutgoingAlert;
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::config::{AlertingConfig, Provenance};
use super::history::Entry;
use crate::settings::Settings;
use crate::store::{Journal, StoreError};

/// Lines of the journal beyond which it is made shorter, besides two for each rule.
const SPARE_LINES: usize = 2000;

/// A rule, its state, and what is wrong with it.
pub(crate) struct Rule {
    pub(crate) rule: GrafanaRule,
    /// `None`: it cannot be evaluated, `problem` says why.
    pub(crate) prepared: Option<PreparedRule>,
    pub(crate) problem: String,
    pub(crate) provenance: Provenance,
    slot: Arc<Mutex<Slot>>,
}

#[derive(Default)]
struct Slot {
    state: RuleState,
    took_ms: f64,
    /// Another rule took its place: evaluations that are still under way do not count.
    is_gone: bool,
}

impl Rule {
    /// Reads the state.
    pub(crate) fn read<R>(&self, read: impl FnOnce(&RuleState) -> R) -> R {
        read(&self.slot.lock().state)
    }

    pub(crate) fn took_ms(&self) -> f64 {
        self.slot.lock().took_ms
    }

    /// Takes note of an evaluation. `None` when the rule is no longer in force.
    pub(crate) fn process(&self, took_ms: f64, process: impl FnOnce(&mut RuleState) -> Processed) -> Option<Processed> {
        let mut slot = self.slot.lock();
        if slot.is_gone {
            return None;
        }
        slot.took_ms = took_ms;
        Some(process(&mut slot.state))
    }
}

/// A group: its rules are evaluated one after the other.
pub(crate) struct Group {
    pub(crate) folder_uid: String,
    pub(crate) folder: String,
    pub(crate) name: String,
    pub(crate) interval_ms: i64,
    pub(crate) rules: Vec<Arc<Rule>>,
    timing: Arc<Mutex<Timing>>,
}

/// When a group was and will be evaluated.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Timing {
    next_ms: i64,
    is_running: bool,
    pub(crate) last_ms: Option<i64>,
    pub(crate) took_ms: f64,
}

impl Group {
    pub(crate) fn timing(&self) -> Timing {
        *self.timing.lock()
    }

    /// The slot to evaluate now, if one is due. Slots that were missed are left out.
    fn take_slot(&self, now_ms: i64) -> Option<i64> {
        let mut timing = self.timing.lock();
        if timing.is_running || now_ms < timing.next_ms {
            return None;
        }
        let missed = (now_ms - timing.next_ms) / self.interval_ms;
        if missed > 0 && timing.last_ms.is_some() {
            tracing::warn!(
                component = "alerting",
                group = self.name,
                missed,
                "evaluations left out: the group takes longer than its interval"
            );
        }
        let slot_ms = timing.next_ms + missed * self.interval_ms;
        timing.next_ms = slot_ms + self.interval_ms;
        timing.is_running = true;
        Some(slot_ms)
    }

    pub(crate) fn finished(&self, slot_ms: i64, took_ms: f64) {
        let mut timing = self.timing.lock();
        timing.is_running = false;
        timing.last_ms = Some(slot_ms);
        timing.took_ms = took_ms;
    }
}

/// Where slots of a group lie: multiples of the interval, moved so that groups do not all run at once.
fn first_slot(folder_uid: &str, name: &str, interval_ms: i64, jitter: bool, now_ms: i64) -> i64 {
    let mut hasher = DefaultHasher::new();
    (folder_uid, name).hash(&mut hasher);
    let places = (interval_ms / BASE_INTERVAL_MS).max(1);
    let place = if jitter { (hasher.finish() % places as u64) as i64 } else { 0 };
    let offset = place * BASE_INTERVAL_MS % interval_ms;
    let last = (now_ms - offset).div_euclid(interval_ms) * interval_ms + offset;
    if last == now_ms { last } else { last + interval_ms }
}

/// A rule's state as it is kept, with what it takes to end it should the rule be gone.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Stored {
    rule: GrafanaRule,
    folder_uid: String,
    folder: String,
    group: String,
    interval_ms: i64,
    /// `None`: forgotten.
    state: Option<RuleState>,
}

impl Stored {
    fn prepare(&self) -> Option<PreparedRule> {
        let place = RulePlace {
            folder_uid: &self.folder_uid,
            folder: &self.folder,
            group: &self.group,
            interval_ms: self.interval_ms,
            base_interval_ms: 1,
        };
        self.rule.prepare(&place).ok()
    }
}

/// What a change leads to.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub(crate) alerts: Vec<OutgoingAlert>,
    pub(crate) history: Vec<Entry>,
    pub(crate) errors: Vec<String>,
    /// Rules whose state begins anew.
    pub(crate) forgotten: Vec<String>,
}

/// See the module.
pub(crate) struct Rules {
    groups: ArcSwap<Vec<Arc<Group>>>,
    /// States of an earlier process, until a configuration is in force.
    restored: Mutex<BTreeMap<String, Stored>>,
    journal: Journal,
    pub(crate) expander: GrafanaExpander,
    app_url: String,
    resolved_retention_ms: i64,
    jitter: bool,
    disabled_labels: Vec<String>,
}

impl Rules {
    pub(crate) fn open(dir: &Path, settings: &Settings) -> Result<Self, StoreError> {
        let (journal, stored) = Journal::open::<Stored>(dir, "states")?;
        let app_url = settings.server.root_url.trim_end_matches('/').to_owned();
        // The last word about a rule counts, also when it is that there is nothing to say.
        let mut restored = BTreeMap::new();
        for one in stored {
            match one.state {
                Some(_) => restored.insert(one.rule.uid.clone(), one),
                None => restored.remove(&one.rule.uid),
            };
        }
        Ok(Self {
            groups: ArcSwap::default(),
            restored: Mutex::new(restored),
            journal,
            expander: GrafanaExpander::new(&app_url),
            app_url,
            resolved_retention_ms: settings.alerting.resolved_retention_ms,
            jitter: settings.alerting.jitter,
            disabled_labels: settings.alerting.disabled_labels.clone(),
        })
    }

    pub(crate) fn groups(&self) -> Arc<Vec<Arc<Group>>> {
        self.groups.load_full()
    }

    /// A rule with its group.
    pub(crate) fn find(&self, uid: &str) -> Option<(Arc<Group>, Arc<Rule>)> {
        let groups = self.groups();
        let mut all = groups.iter().flat_map(|group| group.rules.iter().map(move |rule| (group, rule)));
        all.find(|(_, rule)| rule.rule.uid == uid).map(|(group, rule)| (group.clone(), rule.clone()))
    }

    /// How instances are described.
    pub(crate) fn context(&self) -> RuleContext<'_> {
        RuleContext {
            expander: &self.expander,
            app_url: &self.app_url,
            resolved_retention_ms: self.resolved_retention_ms,
        }
    }

    /// Groups that are due, each with the slot to evaluate; they count as running until [`Group::finished`].
    pub(crate) fn take_due(&self, now_ms: i64) -> Vec<(Arc<Group>, i64)> {
        let groups = self.groups();
        groups.iter().filter_map(|group| Some((group.clone(), group.take_slot(now_ms)?))).collect()
    }

    /// When the next group is due.
    pub(crate) fn next_due_ms(&self) -> i64 {
        let groups = self.groups();
        let waiting = groups.iter().map(|group| group.timing()).filter(|timing| !timing.is_running);
        waiting.map(|timing| timing.next_ms).min().unwrap_or(i64::MAX)
    }

    /// Puts rules in force. `folder` gives the title of a folder.
    pub(crate) fn apply(&self, config: &AlertingConfig, folder: impl Fn(&str) -> String, now_ms: i64) -> Changes {
        let mut changes = Changes::default();
        let mut restored = std::mem::take(&mut *self.restored.lock());
        let old_groups = self.groups();
        let mut old: BTreeMap<&str, &Arc<Rule>> = BTreeMap::new();
        for rule in old_groups.iter().flat_map(|group| &group.rules) {
            old.insert(&rule.rule.uid, rule);
        }
        let mut groups = Vec::new();
        for group in &config.groups {
            let title = folder(&group.folder_uid);
            let shown_title = if self.disabled_labels.iter().any(|l| l == "grafana_folder") { "" } else { &title };
            let place = RulePlace {
                folder_uid: &group.folder_uid,
                folder: shown_title,
                group: &group.name,
                interval_ms: group.interval_ms,
                base_interval_ms: BASE_INTERVAL_MS,
            };
            let mut rules = Vec::new();
            for item in &group.rules {
                let uid = item.value.uid.as_str();
                let (prepared, problem) = match item.value.prepare(&place) {
                    Ok(prepared) => (Some(prepared), String::new()),
                    Err(error) => (None, error.to_string()),
                };
                if !problem.is_empty() {
                    changes.errors.push(format!("rule {uid} in group {:?} of folder {title:?}: {problem}", group.name));
                }
                let goes_on =
                    |before: &Option<PreparedRule>| prepared.is_some() && *before == prepared && !item.value.is_paused;
                let slot = match (old.remove(uid), restored.remove(uid)) {
                    (Some(before), _) if goes_on(&before.prepared) => before.slot.clone(),
                    (Some(before), _) => {
                        let why = if item.value.is_paused { reason::PAUSED } else { reason::UPDATED };
                        self.end(before, why, now_ms, &mut changes);
                        Arc::default()
                    }
                    (None, Some(before)) => {
                        let known = before.prepare();
                        let state = before.state.unwrap_or_default();
                        if goes_on(&known) {
                            Arc::new(Mutex::new(Slot { state, ..Slot::default() }))
                        } else {
                            let why = if item.value.is_paused { reason::PAUSED } else { reason::UPDATED };
                            self.end_state(uid, known.as_ref(), state, why, now_ms, &mut changes);
                            Arc::default()
                        }
                    }
                    (None, None) => Arc::default(),
                };
                rules.push(Arc::new(Rule {
                    rule: item.value.clone(),
                    prepared,
                    problem,
                    provenance: item.provenance,
                    slot,
                }));
            }
            let before =
                old_groups.iter().find(|before| before.folder_uid == group.folder_uid && before.name == group.name);
            let timing = match before {
                Some(before) if before.interval_ms == group.interval_ms => before.timing.clone(),
                _ => {
                    let interval_ms = group.interval_ms.max(1000);
                    let next_ms = first_slot(&group.folder_uid, &group.name, interval_ms, self.jitter, now_ms);
                    Arc::new(Mutex::new(Timing { next_ms, ..Timing::default() }))
                }
            };
            groups.push(Arc::new(Group {
                folder_uid: group.folder_uid.clone(),
                folder: title,
                name: group.name.clone(),
                interval_ms: group.interval_ms.max(1000),
                rules,
                timing,
            }));
        }
        for before in old.into_values() {
            self.end(before, reason::RULE_DELETED, now_ms, &mut changes);
        }
        for (uid, before) in restored {
            let known = before.prepare();
            let state = before.state.unwrap_or_default();
            self.end_state(&uid, known.as_ref(), state, reason::RULE_DELETED, now_ms, &mut changes);
        }
        groups.sort_by(|a, b| (&a.folder, &a.name).cmp(&(&b.folder, &b.name)));
        self.groups.store(Arc::new(groups));
        changes
    }

    fn end(&self, rule: &Rule, why: &str, now_ms: i64, changes: &mut Changes) {
        let mut slot = rule.slot.lock();
        slot.is_gone = true;
        let state = std::mem::take(&mut slot.state);
        self.end_state(&rule.rule.uid, rule.prepared.as_ref(), state, why, now_ms, changes);
    }

    fn end_state(
        &self,
        uid: &str,
        prepared: Option<&PreparedRule>,
        mut state: RuleState,
        why: &str,
        now_ms: i64,
        changes: &mut Changes,
    ) {
        changes.forgotten.push(uid.to_owned());
        // A rule that could not be evaluated has no instances.
        let Some(prepared) = prepared else { return };
        let processed = state.reset(prepared, why, now_ms, &self.context());
        changes.alerts.extend(processed.alerts);
        changes.history.extend(processed.history.into_iter().map(|event| entry(prepared, event)));
    }

    /// Writes down the states of rules.
    pub(crate) async fn save(&self, rules: &[Arc<Rule>]) -> Result<(), StoreError> {
        let stored: Vec<Stored> = rules.iter().filter_map(stored).collect();
        self.journal.append(&stored).await?;
        let count: usize = self.groups().iter().map(|group| group.rules.len()).sum();
        if self.journal.lines() > 2 * count + SPARE_LINES {
            self.save_all().await?;
        }
        Ok(())
    }

    /// Writes down that the states of rules are gone.
    pub(crate) async fn forget(&self, uids: &[String]) -> Result<(), StoreError> {
        let gone = |uid: &String| Stored {
            rule: GrafanaRule { uid: uid.clone(), ..GrafanaRule::default() },
            folder_uid: String::new(),
            folder: String::new(),
            group: String::new(),
            interval_ms: 0,
            state: None,
        };
        self.journal.append(&uids.iter().map(gone).collect::<Vec<_>>()).await
    }

    /// Writes down the states of all rules, and nothing else.
    pub(crate) async fn save_all(&self) -> Result<(), StoreError> {
        let groups = self.groups();
        let stored: Vec<Stored> = groups.iter().flat_map(|group| &group.rules).filter_map(stored).collect();
        self.journal.rewrite(&stored).await
    }
}

fn stored(rule: &Arc<Rule>) -> Option<Stored> {
    let prepared = rule.prepared.as_ref()?;
    let state = rule.read(Clone::clone);
    state.evaluated_at_ms()?;
    Some(Stored {
        rule: rule.rule.clone(),
        folder_uid: prepared.folder_uid.clone(),
        folder: prepared.folder.clone(),
        group: prepared.group.clone(),
        interval_ms: prepared.interval_ms,
        state: Some(state),
    })
}

/// An event with the place of its rule.
pub(crate) fn entry(rule: &PreparedRule, event: HistoryEvent) -> Entry {
    Entry { at_ms: event.at_ms, folder_uid: rule.folder_uid.clone(), group: rule.group.clone(), event }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_multiples_of_the_interval_from_a_place_of_the_groups_own() {
        for (interval, now) in [(60_000, 1_000_000_007), (10_000, 1_000_000_000), (300_000, 5)] {
            let plain = first_slot("f", "g", interval, false, now);
            assert_eq!(plain.rem_euclid(interval), 0);
            let slot = first_slot("f", "g", interval, true, now);
            assert!((now..now + interval).contains(&slot), "{slot}");
            assert_eq!(slot % BASE_INTERVAL_MS, 0);
            assert_eq!(first_slot("f", "g", interval, true, slot), slot, "the same slots at any time");
        }
        let places: std::collections::BTreeSet<i64> =
            (0..50).map(|i| first_slot("f", &i.to_string(), 60_000, true, 0)).collect();
        assert_eq!(places.len(), 6, "all six places are taken by some group");
    }

    #[test]
    fn a_group_that_runs_is_not_due_and_missed_slots_are_left_out() {
        let group = Group {
            folder_uid: String::new(),
            folder: String::new(),
            name: "g".into(),
            interval_ms: 10_000,
            rules: Vec::new(),
            timing: Arc::new(Mutex::new(Timing { next_ms: 20_000, ..Timing::default() })),
        };
        assert_eq!(group.take_slot(19_999), None);
        assert_eq!(group.take_slot(20_100), Some(20_000));
        assert_eq!(group.take_slot(30_000), None, "it is still running");
        group.finished(20_000, 1.5);
        assert_eq!(group.take_slot(55_000), Some(50_000));
        group.finished(50_000, 1.0);
        assert_eq!(group.take_slot(59_999), None);
        assert_eq!(group.timing().last_ms, Some(50_000));
    }
}
