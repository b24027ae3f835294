//! A rule group: rules evaluated one after the other, series that vanish marked stale, alerts handed out.
//!
//! The group owns what its rules wrote last time ([`Group::evaluate`] compares and ends vanished series with the staleness
//! marker) and the series of rules that a reload removed. A reload makes a new group and lets it take over
//! ([`Group::take_over`]); a group that is gone altogether gives up its series with [`Group::retire`].

use std::collections::BTreeSet;

use model::{Labels, STALE_NAN};
use serde::{Deserialize, Serialize};

use super::alert_rule::{AlertRule, AlertRuleSnapshot, EvalContext};
use super::expand::{Expander, External};
use super::file::{Rule, RuleGroup};
use super::recording::RecordingRule;
use super::restore::{ForStateQuery, ForStateSeries, RestoreOptions, restore};
use super::send::OutgoingAlert;
use super::state::{Timing, Transition};
use crate::evaluate::{Evaluator, OutputSample, QueryError, SampleSink, SampleValue};
use crate::text::serde_label_list;

/// Key of a group in self-metrics: names are unique within a file only.
pub fn group_key(file: &str, name: &str) -> String {
    format!("{file};{name}")
}

/// What the server sets for all groups.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupOptions {
    /// Interval of groups that name none.
    pub interval_ms: i64,
    /// Offset of groups that name none.
    pub query_offset_ms: i64,
    /// Firing alerts are sent again after this time (`--rules.alert.resend-delay`).
    pub resend_delay_ms: i64,
    /// Labels and address for templates.
    pub external: External,
    /// Alerts wait for [`Group::restore_for_state`] before they write their series.
    pub wait_for_restore: bool,
}

impl Default for GroupOptions {
    fn default() -> Self {
        Self {
            interval_ms: 60_000,
            query_offset_ms: 0,
            resend_delay_ms: 60_000,
            external: External::default(),
            wait_for_restore: false,
        }
    }
}

/// Whether a rule works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// Not evaluated yet.
    #[default]
    Unknown,
    /// The last evaluation went well.
    Ok,
    /// It did not.
    Err,
}

/// A rule of either kind.
#[derive(Clone, Debug)]
pub enum RuleKind {
    /// Alerting.
    Alert(AlertRule),
    /// Recording.
    Record(RecordingRule),
}

impl RuleKind {
    /// Name of the alert or of the recorded series.
    pub fn name(&self) -> &str {
        match self {
            Self::Alert(rule) => &rule.name,
            Self::Record(rule) => &rule.name,
        }
    }

    /// The labels it adds, as configured.
    pub fn labels(&self) -> &[(String, String)] {
        match self {
            Self::Alert(rule) => &rule.labels,
            Self::Record(rule) => &rule.labels,
        }
    }

    /// The expression.
    pub fn expr(&self) -> &str {
        match self {
            Self::Alert(rule) => &rule.expr,
            Self::Record(rule) => &rule.expr,
        }
    }

    fn same_definition(&self, other: &Self) -> bool {
        self.name() == other.name()
            && self.labels() == other.labels()
            && self.expr() == other.expr()
            && match (self, other) {
                (Self::Alert(a), Self::Alert(b)) => a.timing == b.timing && a.annotations == b.annotations,
                (Self::Record(_), Self::Record(_)) => true,
                _ => false,
            }
    }
}

/// How a rule's last evaluation went.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleStatus {
    /// Whether it works.
    pub health: Health,
    /// What is wrong, if it does not.
    pub last_error: Option<String>,
    /// When it was evaluated.
    pub evaluated_at_ms: Option<i64>,
    /// How long that took.
    pub duration_ns: u64,
}

#[derive(Clone, Debug)]
struct Entry {
    kind: RuleKind,
    status: RuleStatus,
    written: BTreeSet<Labels>,
}

/// A rule group with everything it remembers.
#[derive(Clone, Debug)]
pub struct Group {
    /// File it was read from.
    pub file: String,
    /// Its name.
    pub name: String,
    /// How often it is evaluated.
    pub interval_ms: i64,
    /// How far back.
    pub query_offset_ms: i64,
    /// Most alerts or series a rule may produce; 0 is no limit.
    pub limit: usize,
    resend_delay_ms: i64,
    external: External,
    rules: Vec<Entry>,
    /// Series of rules that a reload removed, to be ended.
    orphans: Vec<Labels>,
    last_duration_ns: u64,
    last_evaluation_ms: Option<i64>,
}

/// What an evaluation of a rule did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleReport {
    /// What went wrong.
    pub error: Option<String>,
    /// The evaluation was given up on purpose.
    pub cancelled: bool,
    /// Samples it produced.
    pub samples: usize,
    /// Alerts that changed state, with their labels.
    pub transitions: Vec<(Labels, Transition)>,
}

/// What an evaluation of a group did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GroupReport {
    /// By rule, in order.
    pub rules: Vec<RuleReport>,
    /// Alerts to send, in the order of the rules.
    pub alerts: Vec<OutgoingAlert>,
    /// Samples of all rules.
    pub samples: usize,
}

/// Everything of a group that a restart must not lose.
///
#[doc = include_str!("../../docs/format/rules.md")]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GroupSnapshot {
    /// By rule, in order.
    pub rules: Vec<RuleSnapshot>,
    /// Series still to be ended.
    #[serde(with = "serde_label_list")]
    pub orphans: Vec<Labels>,
}

/// Everything of a rule that a restart must not lose.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RuleSnapshot {
    /// Name, to find the rule again.
    pub name: String,
    /// Labels as configured, likewise.
    pub labels: Vec<(String, String)>,
    /// Alerts, for alerting rules.
    pub alerts: Option<AlertRuleSnapshot>,
    /// The series it wrote last time.
    #[serde(with = "serde_label_list")]
    pub written: Vec<Labels>,
}

impl Group {
    /// Builds a group from its definition. `canonical` turns an expression into the form shown in links and in the API.
    ///
    /// # Errors
    /// The parser's words, for an expression that is none.
    pub fn new(
        file: &str,
        group: &RuleGroup,
        options: &GroupOptions,
        canonical: &dyn Fn(&str) -> Result<String, String>,
    ) -> Result<Self, String> {
        let interval_ms = group.interval.map_or(0, |d| d.0);
        let rules = group.rules.iter().map(|rule| {
            let kind = build_rule(group, rule, &canonical(&rule.expr)?, !options.wait_for_restore);
            Ok(Entry { kind, status: RuleStatus::default(), written: BTreeSet::new() })
        });
        Ok(Self {
            file: file.to_owned(),
            name: group.name.clone(),
            interval_ms: if interval_ms == 0 { options.interval_ms } else { interval_ms },
            query_offset_ms: group.query_offset.map_or(options.query_offset_ms, |d| d.0),
            limit: group.limit,
            resend_delay_ms: options.resend_delay_ms,
            external: options.external.clone(),
            rules: rules.collect::<Result<_, String>>()?,
            orphans: Vec::new(),
            last_duration_ns: 0,
            last_evaluation_ms: None,
        })
    }

    /// The rules with how they did, in order.
    pub fn rules(&self) -> impl Iterator<Item = (&RuleKind, &RuleStatus)> {
        self.rules.iter().map(|entry| (&entry.kind, &entry.status))
    }

    /// When it was last evaluated, and how long that took.
    pub fn last_evaluation(&self) -> (Option<i64>, u64) {
        (self.last_evaluation_ms, self.last_duration_ns)
    }

    /// Evaluates all rules in order at `now_ms`. `stopwatch` gives nanoseconds of any clock, for durations only.
    pub fn evaluate(
        &mut self,
        now_ms: i64,
        evaluator: &dyn Evaluator,
        expander: &dyn Expander,
        sink: &mut dyn SampleSink,
        stopwatch: &dyn Fn() -> u64,
    ) -> GroupReport {
        let mut report = GroupReport::default();
        let began = stopwatch();
        let at_ms = now_ms - self.query_offset_ms;
        for entry in &mut self.rules {
            let rule_began = stopwatch();
            let context = EvalContext {
                evaluator,
                expander,
                external: &self.external,
                now_ms,
                query_offset_ms: self.query_offset_ms,
                limit: self.limit,
            };
            let mut rule_report = RuleReport::default();
            let result = match &mut entry.kind {
                RuleKind::Record(rule) => rule.evaluate(&context),
                RuleKind::Alert(rule) => rule.evaluate(&context).map(|evaluated| {
                    rule_report.transitions = evaluated.transitions;
                    report.alerts.extend(rule.take_outgoing(
                        now_ms,
                        self.interval_ms,
                        self.resend_delay_ms,
                        &self.external.url,
                    ));
                    evaluated.samples
                }),
            };
            let error = match result {
                Ok(samples) => {
                    rule_report.samples = samples.len();
                    entry.write(samples, at_ms, sink).err()
                }
                Err(error) => Some(error),
            };
            entry.status = RuleStatus {
                health: if error.is_some() { Health::Err } else { Health::Ok },
                last_error: error.clone(),
                evaluated_at_ms: Some(now_ms),
                duration_ns: stopwatch().saturating_sub(rule_began),
            };
            rule_report.error = error;
            report.samples += rule_report.samples;
            report.rules.push(rule_report);
        }
        self.end_orphans(at_ms, sink);
        self.last_duration_ns = stopwatch().saturating_sub(began);
        self.last_evaluation_ms = Some(now_ms);
        report
    }

    /// Writes the staleness marker to series of rules that are gone; keeps them for next time if that fails.
    pub fn end_orphans(&mut self, at_ms: i64, sink: &mut dyn SampleSink) {
        if self.orphans.is_empty() {
            return;
        }
        let samples: Vec<_> = self.orphans.iter().map(|labels| stale(labels, at_ms)).collect();
        if sink.append(&samples).is_ok() {
            self.orphans.clear();
        }
    }

    /// Restores `for` of the alerting rules, after the second evaluation since the start. Returns what went wrong, by rule.
    pub fn restore_for_state(
        &mut self,
        now_ms: i64,
        options: &RestoreOptions,
        read: &mut dyn FnMut(&ForStateQuery) -> Result<Vec<ForStateSeries>, QueryError>,
    ) -> Vec<(String, QueryError)> {
        let mut errors = Vec::new();
        for entry in &mut self.rules {
            let RuleKind::Alert(rule) = &mut entry.kind else { continue };
            if let Err(error) = restore(rule, now_ms, options, read) {
                errors.push((rule.name.clone(), error));
            }
        }
        errors
    }

    /// Whether a reload may keep this group running as it is.
    pub fn same_definition(&self, other: &Self) -> bool {
        self.file == other.file
            && self.name == other.name
            && self.interval_ms == other.interval_ms
            && self.query_offset_ms == other.query_offset_ms
            && self.limit == other.limit
            && self.external == other.external
            && self.resend_delay_ms == other.resend_delay_ms
            && self.rules.len() == other.rules.len()
            && self.rules.iter().zip(&other.rules).all(|(a, b)| a.kind.same_definition(&b.kind))
    }

    /// Takes over alerts and written series from this group's earlier form. Rules are matched by name and labels; of
    /// several alike the first takes over from the first. Series of rules without a match will be ended.
    pub fn take_over(&mut self, old: Self) {
        self.last_duration_ns = old.last_duration_ns;
        self.last_evaluation_ms = old.last_evaluation_ms;
        self.orphans = old.orphans;
        let mut left: Vec<Option<Entry>> = old.rules.into_iter().map(Some).collect();
        for entry in &mut self.rules {
            let found = left.iter_mut().find(|slot| {
                slot.as_ref()
                    .is_some_and(|old| old.kind.name() == entry.kind.name() && old.kind.labels() == entry.kind.labels())
            });
            let Some(old) = found.and_then(Option::take) else { continue };
            entry.written = old.written;
            if let (RuleKind::Alert(new), RuleKind::Alert(old)) = (&mut entry.kind, old.kind) {
                if old.is_restored() {
                    new.set_restored();
                }
                new.restore(old.snapshot());
            }
        }
        self.orphans.extend(left.into_iter().flatten().flat_map(|entry| entry.written));
    }

    /// Ends the group: the series to mark stale, two intervals later if no other group writes them by then.
    pub fn retire(self) -> Vec<Labels> {
        let mut series = self.orphans;
        series.extend(self.rules.into_iter().flat_map(|entry| entry.written));
        series
    }

    /// The group's memory as data.
    pub fn snapshot(&self) -> GroupSnapshot {
        let rules = self.rules.iter().map(|entry| RuleSnapshot {
            name: entry.kind.name().to_owned(),
            labels: entry.kind.labels().to_vec(),
            alerts: match &entry.kind {
                RuleKind::Alert(rule) => Some(rule.snapshot()),
                RuleKind::Record(_) => None,
            },
            written: entry.written.iter().cloned().collect(),
        });
        GroupSnapshot { rules: rules.collect(), orphans: self.orphans.clone() }
    }

    /// Goes on from a snapshot as if there had been no restart. Rules are matched as by [`Group::take_over`].
    pub fn restore(&mut self, snapshot: GroupSnapshot) {
        self.orphans = snapshot.orphans;
        let mut left: Vec<Option<RuleSnapshot>> = snapshot.rules.into_iter().map(Some).collect();
        for entry in &mut self.rules {
            let found = left.iter_mut().find(|slot| {
                slot.as_ref().is_some_and(|old| old.name == entry.kind.name() && old.labels == entry.kind.labels())
            });
            let Some(old) = found.and_then(Option::take) else { continue };
            entry.written = old.written.into_iter().collect();
            if let (RuleKind::Alert(rule), Some(alerts)) = (&mut entry.kind, old.alerts) {
                rule.set_restored();
                rule.restore(alerts);
            }
        }
        self.orphans.extend(left.into_iter().flatten().flat_map(|old| old.written));
    }

    /// Lets alerting rules write their series without waiting for [`Group::restore_for_state`].
    pub fn set_restored(&mut self) {
        for entry in &mut self.rules {
            if let RuleKind::Alert(rule) = &mut entry.kind {
                rule.set_restored();
            }
        }
    }
}

impl Entry {
    /// Writes a rule's samples and ends the series it wrote last time and not now.
    fn write(&mut self, mut samples: Vec<OutputSample>, at_ms: i64, sink: &mut dyn SampleSink) -> Result<(), String> {
        let produced = samples.len();
        let mut written: BTreeSet<Labels> = samples.iter().map(|sample| sample.labels.clone()).collect();
        let gone = self.written.difference(&written).map(|labels| stale(labels, at_ms));
        samples.extend(gone.collect::<Vec<_>>());
        if samples.is_empty() {
            self.written = written;
            return Ok(());
        }
        let rejected = sink.append(&samples).map_err(|error| error.message)?;
        let mut error = None;
        for one in rejected {
            let Some(sample) = samples.get(one.index) else { continue };
            if one.index < produced {
                written.remove(&sample.labels);
                error = Some(one.message);
            } else if !one.expected {
                error.get_or_insert(one.message);
            }
        }
        self.written = written;
        error.map_or(Ok(()), Err)
    }
}

fn stale(labels: &Labels, at_ms: i64) -> OutputSample {
    OutputSample { labels: labels.clone(), timestamp_ms: at_ms, value: SampleValue::Float(STALE_NAN) }
}

fn build_rule(group: &RuleGroup, rule: &Rule, expr: &str, restored: bool) -> RuleKind {
    let mut labels = group.labels.clone();
    labels.extend(rule.labels.iter().map(|(name, value)| (name.clone(), value.clone())));
    if rule.alert.is_empty() {
        return RuleKind::Record(RecordingRule::new(&rule.record, expr, &labels));
    }
    let timing = Timing { for_ms: rule.for_.0, keep_firing_for_ms: rule.keep_firing_for.0 };
    RuleKind::Alert(AlertRule::new(&rule.alert, expr, timing, &labels, &rule.annotations, restored))
}

#[cfg(test)]
mod tests;
