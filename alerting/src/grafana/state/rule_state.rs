//! All instances of one rule.

use std::collections::{BTreeMap, BTreeSet};

use model::Labels;
use serde::{Deserialize, Serialize};

use super::history::HistoryEvent;
use super::instance::{Instance, RESEND_MS, state_text};
use super::step::{Core, Outcome, State, Timing, end, reason, step};
use crate::grafana::eval::{Capture, EvalError, Evaluation, NoDataSource, Values};
use crate::grafana::labels as names;
use crate::grafana::provisioning::routing_labels;
use crate::grafana::rule::{ExecErrState, MISSING_SERIES_EVALS, NoDataState, PreparedRule};
use crate::grafana::template::{GrafanaExpander, TemplateData};
use crate::rules::OutgoingAlert;
use crate::text::{label_fingerprint, serde_by_labels};

/// How a rule is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// It was not evaluated yet.
    #[default]
    Unknown,
    /// The last evaluation went well.
    Ok,
    /// The last evaluation gave nothing.
    NoData,
    /// The last evaluation failed.
    Error,
}

/// What processing needs besides the rule.
#[derive(Clone, Copy, Debug)]
pub struct RuleContext<'a> {
    /// Expands labels and annotations.
    pub expander: &'a GrafanaExpander,
    /// Where the dashboards are; links start with it.
    pub app_url: &'a str,
    /// How long resolved alerts are sent again; Grafana's default is 15 minutes.
    pub resolved_retention_ms: i64,
}

/// What came of an evaluation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Processed {
    /// Alerts to send.
    pub alerts: Vec<OutgoingAlert>,
    /// Transitions worth remembering.
    pub history: Vec<HistoryEvent>,
}

/// The instances of one rule, by their labels. Written as JSON it survives restarts: the page `docs/format/rules.md`, which
/// [`crate::rules::GroupSnapshot`] shows, is the specification.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RuleState {
    #[serde(with = "serde_by_labels")]
    instances: BTreeMap<Labels, Instance>,
    health: Health,
    last_error: String,
    evaluated_at_ms: Option<i64>,
}

/// What an evaluation says about one instance, in the end.
struct News<'a> {
    labels: Labels,
    outcome: Outcome,
    captures: &'a BTreeMap<String, Capture>,
    source: BTreeMap<String, String>,
    error: &'a str,
}

impl RuleState {
    /// No instances yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The instances, by their labels.
    pub fn instances(&self) -> impl Iterator<Item = &Instance> {
        self.instances.values()
    }

    /// How the rule is doing.
    pub fn health(&self) -> Health {
        self.health
    }

    /// The error of the last evaluation, empty if it went well.
    pub fn last_error(&self) -> &str {
        &self.last_error
    }

    /// When it was last evaluated.
    pub fn evaluated_at_ms(&self) -> Option<i64> {
        self.evaluated_at_ms
    }

    /// The worst state of the instances, as rule lists show it: `firing`, `recovering`, `pending` or `inactive`.
    pub fn worst(&self) -> &'static str {
        let any = |state: State| self.instances.values().any(|instance| instance.core.state == state);
        let names = [(State::Alerting, "firing"), (State::Recovering, "recovering"), (State::Pending, "pending")];
        names.into_iter().find(|(state, _)| any(*state)).map_or("inactive", |(_, name)| name)
    }

    /// Labels of the results that fire, for thresholds with a way back.
    pub fn loaded(&self) -> BTreeSet<Labels> {
        let over = |state: State| matches!(state, State::Alerting | State::Pending | State::Recovering);
        let instances = self.instances.values().filter(|instance| over(instance.core.state));
        instances.map(|instance| instance.result_labels.clone()).collect()
    }

    /// Takes note of an evaluation at `now_ms`.
    pub fn process(
        &mut self,
        rule: &PreparedRule,
        evaluation: &Evaluation,
        now_ms: i64,
        context: &RuleContext<'_>,
    ) -> Processed {
        let mut processed = Processed::default();
        self.evaluated_at_ms = Some(now_ms);
        self.last_error.clear();
        self.health = match evaluation {
            Evaluation::Instances(_) => Health::Ok,
            Evaluation::NoData(_) => Health::NoData,
            Evaluation::Error(error) => {
                self.last_error.clone_from(&error.message);
                Health::Error
            }
        };
        match evaluation {
            Evaluation::Instances(results) => {
                for result in results {
                    let news = News {
                        labels: result.labels.clone(),
                        outcome: result.outcome,
                        captures: &result.captures,
                        source: BTreeMap::new(),
                        error: "",
                    };
                    self.take(rule, news, now_ms, context, &mut processed);
                }
            }
            // A state other than its own is that of all instances there are.
            Evaluation::NoData(sources)
                if rule.rule.no_data_state != NoDataState::NoData && !self.instances.is_empty() =>
            {
                let source = sources.first().map(source_of_nothing).unwrap_or_default();
                self.take_all(rule, Outcome::NoData, &source, "", now_ms, &mut processed);
            }
            Evaluation::Error(error)
                if rule.rule.exec_err_state != ExecErrState::Error && !self.instances.is_empty() =>
            {
                self.take_all(rule, Outcome::Error, &source_of_error(error), &error.message, now_ms, &mut processed);
            }
            Evaluation::NoData(sources) => {
                for source in sources {
                    let source = source_of_nothing(source);
                    let labels = Labels::from_pairs(&source);
                    let news = News { labels, outcome: Outcome::NoData, captures: &BTreeMap::new(), source, error: "" };
                    self.take(rule, news, now_ms, context, &mut processed);
                }
            }
            Evaluation::Error(error) => {
                let news = News {
                    labels: Labels::empty(),
                    outcome: Outcome::Error,
                    captures: &BTreeMap::new(),
                    source: source_of_error(error),
                    error: &error.message,
                };
                self.take(rule, news, now_ms, context, &mut processed);
            }
        }
        let gone = self.resolve_missing(rule, now_ms, &mut processed);
        for instance in self.instances.values_mut() {
            if instance.needs_sending(now_ms, context.resolved_retention_ms) {
                processed.alerts.extend(instance.send(rule, context.app_url, now_ms));
            }
        }
        for labels in gone {
            self.instances.remove(&labels);
        }
        processed
    }

    /// Ends everything: the rule was paused, changed or deleted. Returns what receivers have to know.
    pub fn reset(&mut self, rule: &PreparedRule, why: &str, now_ms: i64, context: &RuleContext<'_>) -> Processed {
        let mut processed = Processed::default();
        for instance in self.instances.values_mut() {
            let before = std::mem::take(&mut instance.core);
            instance.core = end(&before, now_ms, why);
            note(instance, &before, rule, now_ms, &mut processed);
            if instance.needs_sending(now_ms, context.resolved_retention_ms) {
                processed.alerts.extend(instance.send(rule, context.app_url, now_ms));
            }
        }
        *self = Self::default();
        processed
    }

    fn take(
        &mut self,
        rule: &PreparedRule,
        news: News<'_>,
        now_ms: i64,
        context: &RuleContext<'_>,
        processed: &mut Processed,
    ) {
        let result_labels = without_reserved(&news.labels);
        let values = Values::of(news.captures);
        let (labels, annotations) = describe(rule, &result_labels, news.captures, &values.text, now_ms, context);
        let instance = self.instances.entry(labels.clone()).or_insert_with(|| Instance {
            labels,
            core: Core { starts_at_ms: now_ms, ..Core::default() },
            ..Instance::default()
        });
        instance.result_labels = news.labels;
        instance.annotations = annotations;
        instance.error = news.error.to_owned();
        instance.source = news.source;
        instance.values =
            if news.captures.is_empty() { Values::none_of(instance.values.by_ref.keys().cloned()) } else { values };
        advance(instance, rule, news.outcome, now_ms, processed);
    }

    fn take_all(
        &mut self,
        rule: &PreparedRule,
        outcome: Outcome,
        source: &BTreeMap<String, String>,
        error: &str,
        now_ms: i64,
        processed: &mut Processed,
    ) {
        for instance in self.instances.values_mut() {
            instance.error = error.to_owned();
            let mut annotations = instance.annotations.to_builder();
            for (name, value) in source {
                annotations.set(name, value);
            }
            instance.annotations = annotations.build();
            instance.values = Values::none_of(instance.values.by_ref.keys().cloned());
            advance(instance, rule, outcome, now_ms, processed);
        }
    }

    /// Resolves instances that were not evaluated for too long and holds the others. Returns the labels of the former.
    fn resolve_missing(&mut self, rule: &PreparedRule, now_ms: i64, processed: &mut Processed) -> Vec<Labels> {
        let mut gone = Vec::new();
        for instance in self.instances.values_mut().filter(|instance| instance.evaluated_at_ms < now_ms) {
            let core = &instance.core;
            let evaluations = match core.state {
                // These go as soon as there is something else to say, and so does what waits to be one of them.
                State::NoData | State::Error => 1,
                State::Pending if matches!(core.reason.as_str(), reason::NO_DATA | reason::ERROR) => 1,
                _ => rule.rule.missing_series_evals.unwrap_or(MISSING_SERIES_EVALS),
            };
            let missing_ms = rule.interval_ms.saturating_mul(i64::from(evaluations));
            if now_ms - instance.evaluated_at_ms >= missing_ms {
                let before = std::mem::take(&mut instance.core);
                instance.core = end(&before, now_ms, reason::MISSING_SERIES);
                note(instance, &before, rule, now_ms, processed);
                gone.push(instance.labels.clone());
            } else if instance.core.state != State::Normal {
                instance.core.ends_at_ms = now_ms.saturating_add(timing(rule).lease_ms);
            }
        }
        gone
    }
}

fn timing(rule: &PreparedRule) -> Timing {
    Timing {
        for_ms: rule.rule.for_.0,
        keep_firing_for_ms: rule.rule.keep_firing_for.0,
        lease_ms: rule.interval_ms.max(RESEND_MS).saturating_mul(4),
        no_data: rule.rule.no_data_state,
        exec_err: rule.rule.exec_err_state,
    }
}

fn advance(instance: &mut Instance, rule: &PreparedRule, outcome: Outcome, now_ms: i64, processed: &mut Processed) {
    let before = instance.core.clone();
    instance.core = step(&before, now_ms, outcome, &timing(rule));
    if before.state.fires() && instance.core.state == State::Normal {
        instance.core.resolved_at_ms = Some(now_ms);
    }
    instance.evaluated_at_ms = now_ms;
    note(instance, &before, rule, now_ms, processed);
}

/// Writes a transition into the history, unless nothing happened that anyone would look for.
fn note(instance: &Instance, before: &Core, rule: &PreparedRule, now_ms: i64, processed: &mut Processed) {
    let after = &instance.core;
    let changed = before.state != after.state || before.reason != after.reason;
    let bookkeeping = [reason::MISSING_SERIES, reason::PAUSED, reason::UPDATED, reason::RULE_DELETED];
    let was_normal = before.state == State::Normal && after.state == State::Normal;
    if !changed || (was_normal && bookkeeping.contains(&after.reason.as_str())) {
        return;
    }
    let annotation = |name: &str| rule.rule.annotations.get(name).cloned().unwrap_or_default();
    processed.history.push(HistoryEvent {
        schema_version: 1,
        previous: state_text(before),
        current: state_text(after),
        error: instance.error.clone(),
        values: instance.values.by_ref.clone(),
        condition: rule.pipeline.condition().to_owned(),
        dashboard_uid: annotation(names::DASHBOARD_UID),
        panel_id: annotation(names::PANEL_ID).parse().unwrap_or(0),
        fingerprint: format!("{:016x}", label_fingerprint(&instance.labels)),
        rule_title: rule.rule.title.clone(),
        rule_uid: rule.rule.uid.clone(),
        instance_labels: instance.labels.without(crate::notify::is_private_label),
        at_ms: now_ms,
    });
}

fn source_of_nothing(source: &NoDataSource) -> BTreeMap<String, String> {
    named(&source.datasource_uid, &source.ref_ids.join(","))
}

fn source_of_error(error: &EvalError) -> BTreeMap<String, String> {
    named(&error.datasource_uid, if error.datasource_uid.is_empty() { "" } else { &error.ref_id })
}

fn named(datasource_uid: &str, ref_id: &str) -> BTreeMap<String, String> {
    let pairs = [(names::DATASOURCE_UID, datasource_uid), (names::REF_ID, ref_id)];
    pairs.into_iter().filter(|(_, v)| !v.is_empty()).map(|(n, v)| (n.to_owned(), v.to_owned())).collect()
}

/// Results may have labels that are the rule's to set: these go by other names, so that two results stay two.
fn without_reserved(labels: &Labels) -> Labels {
    if [names::RULE_UID, names::FOLDER_UID].iter().all(|name| labels.get(name).is_none()) {
        return labels.clone();
    }
    let mut renamed = labels.to_builder();
    for name in [names::RULE_UID, names::FOLDER_UID] {
        let Some(value) = labels.get(name) else { continue };
        renamed.del(name);
        let plain = name.trim_matches('_');
        let taken = labels.get(plain).is_some();
        renamed.set(&if taken { format!("{name}_user") } else { plain.to_owned() }, value);
    }
    renamed.build()
}

/// Labels and annotations of an instance. Of labels with one name that of the rule's place wins, then the rule's own, then
/// the result's.
fn describe(
    rule: &PreparedRule,
    result: &Labels,
    captures: &BTreeMap<String, Capture>,
    value: &str,
    now_ms: i64,
    context: &RuleContext<'_>,
) -> (Labels, Labels) {
    let place = [
        ("alertname", rule.rule.title.as_str()),
        (names::RULE_UID, &rule.rule.uid),
        (names::FOLDER_UID, &rule.folder_uid),
        (names::FOLDER, &rule.folder),
    ];
    let place = place.into_iter().filter(|(_, value)| !value.is_empty());
    let mut seen = result.to_builder();
    place.clone().for_each(|(name, value)| {
        seen.set(name, value);
    });
    let data = TemplateData { labels: &seen.build(), captures, value, now_ms };
    let expand = |text: &str| context.expander.expand(&rule.rule.title, text, &data);
    let mut labels = result.to_builder();
    for (name, text) in &rule.rule.labels {
        labels.set(name, &expand(text));
    }
    place.for_each(|(name, value)| {
        labels.set(name, value);
    });
    for (name, value) in rule.rule.notification_settings.iter().flat_map(routing_labels) {
        labels.set(name, &value);
    }
    let annotations = Labels::from_pairs(rule.rule.annotations.iter().map(|(name, text)| (name, expand(text))));
    (labels.build(), annotations)
}
