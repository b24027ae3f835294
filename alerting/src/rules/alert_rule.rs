//! One alerting rule and its alerts: evaluates the expression's result into alerts, steps each, says what to send.
//!
//! Alerts are kept by their final label set: result labels without the metric name, then the rule's labels (templates
//! expanded), then `alertname`. Invariant: two results never share an alert; an evaluation in which they would fails as a
//! whole and leaves the alerts as they were.

use std::collections::BTreeMap;

use model::{Labels, METRIC_NAME};
use serde::{Deserialize, Serialize};

use super::expand::{Expander, Expansion, External};
use super::send::{OutgoingAlert, generator_url, needs_sending, valid_until};
use super::state::{AlertState, Observation, Timing, Transition, step};
use super::synthetic;
use crate::evaluate::{Evaluator, OutputSample, Sample};
use crate::text::{serde_by_labels, serde_float, serde_labels};

/// Why an evaluation failed whose results had equal labels.
pub const DUPLICATE_LABELS: &str = "vector contains metrics with the same labelset after applying alert labels";

const ALERT_NAME: &str = "alertname";

/// An alerting rule with its alerts.
#[derive(Clone, Debug)]
pub struct AlertRule {
    /// Name, the value of `alertname`.
    pub name: String,
    /// The expression, in canonical form.
    pub expr: String,
    /// `for` and `keep_firing_for`.
    pub timing: Timing,
    /// Labels to add; values are templates. Sorted by name.
    pub labels: Vec<(String, String)>,
    /// Annotations; values are templates. Sorted by name.
    pub annotations: Vec<(String, String)>,
    /// False until `for` has been restored after a start: no `ALERTS` series is written before.
    restored: bool,
    active: BTreeMap<Labels, ActiveAlert>,
}

/// An alert of a rule: pending, firing, or resolved a short while ago.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActiveAlert {
    /// Its state.
    pub state: AlertState,
    /// Annotations as of the last evaluation that had it in its result.
    #[serde(with = "serde_labels")]
    pub annotations: Labels,
    /// Value at that evaluation.
    #[serde(with = "serde_float")]
    pub value: f64,
    /// When it was last handed out to be sent.
    pub last_sent_ms: Option<i64>,
    /// The `endsAt` it was last sent with while firing.
    pub valid_until_ms: i64,
}

/// Everything of a rule that a restart must not lose.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AlertRuleSnapshot {
    /// The alerts by label set.
    #[serde(with = "serde_by_labels")]
    pub active: BTreeMap<Labels, ActiveAlert>,
}

/// What an evaluation did.
#[derive(Debug, Default)]
pub(super) struct Evaluated {
    pub(super) samples: Vec<OutputSample>,
    pub(super) transitions: Vec<(Labels, Transition)>,
}

/// What an evaluation needs besides the rule.
pub(super) struct EvalContext<'a> {
    pub(super) evaluator: &'a dyn Evaluator,
    pub(super) expander: &'a dyn Expander,
    pub(super) external: &'a External,
    pub(super) now_ms: i64,
    pub(super) query_offset_ms: i64,
    pub(super) limit: usize,
}

impl AlertRule {
    /// A rule without alerts. `restored`: there is no earlier state to wait for.
    pub fn new(
        name: &str,
        expr: &str,
        timing: Timing,
        labels: &BTreeMap<String, String>,
        annotations: &BTreeMap<String, String>,
        restored: bool,
    ) -> Self {
        let pairs = |map: &BTreeMap<String, String>| map.iter().map(|(n, v)| (n.clone(), v.clone())).collect();
        Self {
            name: name.to_owned(),
            expr: expr.to_owned(),
            timing,
            labels: pairs(labels),
            annotations: pairs(annotations),
            restored,
            active: BTreeMap::new(),
        }
    }

    /// The alerts, resolved ones included, by label set.
    pub fn alerts(&self) -> impl Iterator<Item = (&Labels, &ActiveAlert)> {
        self.active.iter()
    }

    /// Worst state of the alerts: `firing`, `pending` or `inactive`.
    pub fn state_name(&self) -> &'static str {
        if self.active.values().any(|alert| alert.state.is_firing()) {
            "firing"
        } else if self.active.values().any(|alert| alert.state.is_active()) {
            "pending"
        } else {
            "inactive"
        }
    }

    /// Whether `for` has been restored, or there was nothing to restore.
    pub fn is_restored(&self) -> bool {
        self.restored
    }

    /// Says that `for` has been restored.
    pub fn set_restored(&mut self) {
        self.restored = true;
    }

    /// The alerts as data.
    pub fn snapshot(&self) -> AlertRuleSnapshot {
        AlertRuleSnapshot { active: self.active.clone() }
    }

    /// Takes over alerts: from a snapshot after a restart, or from the same rule before a reload.
    pub fn restore(&mut self, snapshot: AlertRuleSnapshot) {
        self.active = snapshot.active;
    }

    pub(super) fn active_mut(&mut self) -> &mut BTreeMap<Labels, ActiveAlert> {
        &mut self.active
    }

    pub(super) fn evaluate(&mut self, context: &EvalContext<'_>) -> Result<Evaluated, String> {
        let at_ms = context.now_ms - context.query_offset_ms;
        let results = context.evaluator.query(&self.expr, at_ms).map_err(|error| error.message)?;
        let mut seen: BTreeMap<Labels, (Labels, f64)> = BTreeMap::new();
        for sample in &results {
            let (labels, annotations) = self.expand(context, sample);
            if seen.insert(labels, (annotations, sample.value.as_float())).is_some() {
                return Err(DUPLICATE_LABELS.to_owned());
            }
        }
        let transitions = self.step_all(seen, context.now_ms);
        let active = self.active.values().filter(|alert| alert.state.is_active()).count();
        if context.limit > 0 && active > context.limit {
            self.active.clear();
            return Err(format!("exceeded limit of {} with {active} alerts", context.limit));
        }
        let mut samples = Vec::new();
        if self.restored {
            for (labels, alert) in &self.active {
                samples.extend(synthetic::samples(labels, alert.state, at_ms).into_iter().flatten());
            }
        }
        Ok(Evaluated { samples, transitions })
    }

    /// Final labels and annotations of a result.
    fn expand(&self, context: &EvalContext<'_>, sample: &Sample) -> (Labels, Labels) {
        let expand = |text: &str| {
            // Most labels and many annotations have no template: they cost nothing.
            if !text.contains("{{") {
                return text.to_owned();
            }
            let expansion = Expansion {
                alert: &self.name,
                text,
                labels: &sample.labels,
                value: &sample.value,
                now_ms: context.now_ms,
                external: context.external,
                evaluator: context.evaluator,
            };
            context.expander.expand(&expansion).unwrap_or_else(|error| format!("<error expanding template: {error}>"))
        };
        let mut labels = sample.labels.to_builder();
        labels.del(METRIC_NAME);
        for (name, text) in &self.labels {
            labels.set(name, &expand(text));
        }
        labels.set(ALERT_NAME, &self.name);
        let annotations = Labels::from_pairs(self.annotations.iter().map(|(name, text)| (name, expand(text))));
        (labels.build(), annotations)
    }

    fn step_all(&mut self, mut seen: BTreeMap<Labels, (Labels, f64)>, now_ms: i64) -> Vec<(Labels, Transition)> {
        let mut transitions = Vec::new();
        let timing = self.timing;
        self.active.retain(|labels, alert| {
            let observation = match seen.remove(labels) {
                Some((annotations, value)) => {
                    alert.annotations = annotations;
                    alert.value = value;
                    Observation::Present
                }
                None => Observation::Absent,
            };
            let before = alert.state;
            let (state, changes) = step(before, now_ms, observation, &timing);
            alert.state = state;
            // What begins anew, and what fell back to pending, has not been sent yet.
            if matches!(before, AlertState::Resolved { .. }) != matches!(state, AlertState::Resolved { .. })
                && !matches!(state, AlertState::Resolved { .. })
                || matches!((before, state), (AlertState::Firing { .. }, AlertState::Pending { .. }))
            {
                alert.last_sent_ms = None;
            }
            transitions.extend(changes.into_iter().map(|change| (labels.clone(), change)));
            state != AlertState::Inactive
        });
        for (labels, (annotations, value)) in seen {
            let (state, changes) = step(AlertState::Inactive, now_ms, Observation::Present, &timing);
            transitions.extend(changes.into_iter().map(|change| (labels.clone(), change)));
            self.active
                .insert(labels, ActiveAlert { state, annotations, value, last_sent_ms: None, valid_until_ms: 0 });
        }
        transitions
    }

    /// The alerts to send now; they count as sent from here on.
    pub(super) fn take_outgoing(
        &mut self,
        now_ms: i64,
        interval_ms: i64,
        resend_delay_ms: i64,
        external_url: &str,
    ) -> Vec<OutgoingAlert> {
        let mut outgoing = Vec::new();
        for (labels, alert) in &mut self.active {
            if !needs_sending(alert.state, alert.last_sent_ms, now_ms, resend_delay_ms) {
                continue;
            }
            alert.last_sent_ms = Some(now_ms);
            let (starts_at_ms, ends_at_ms) = match alert.state {
                AlertState::Firing { fired_at_ms, .. } => {
                    alert.valid_until_ms = valid_until(now_ms, interval_ms, resend_delay_ms);
                    (fired_at_ms, alert.valid_until_ms)
                }
                AlertState::Resolved { fired_at_ms, resolved_at_ms, .. } => (fired_at_ms, resolved_at_ms),
                AlertState::Inactive | AlertState::Pending { .. } => continue,
            };
            outgoing.push(OutgoingAlert {
                labels: labels.clone(),
                annotations: alert.annotations.clone(),
                starts_at_ms,
                ends_at_ms: Some(ends_at_ms),
                generator_url: generator_url(external_url, &self.expr),
            });
        }
        outgoing
    }
}
