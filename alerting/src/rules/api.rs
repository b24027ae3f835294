//! Groups and alerts in the shape of Prometheus' HTTP API (`/api/v1/rules`, `/api/v1/alerts`).

use std::collections::BTreeMap;

use model::Labels;
use model::number::{FloatFormat, float_text};
use serde::Serialize;

use super::alert_rule::{ActiveAlert, AlertRule};
use super::group::{Group, Health, RuleKind, RuleStatus};
use super::state::AlertState;
use crate::text::{rfc3339, serde_labels};

/// `data` of `/api/v1/rules`.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RulesData {
    /// The groups.
    pub groups: Vec<GroupJson>,
    /// Where the next page begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_next_token: Option<String>,
}

/// A group.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupJson {
    /// Its name.
    pub name: String,
    /// Its file.
    pub file: String,
    /// Its rules.
    pub rules: Vec<RuleJson>,
    /// Seconds.
    pub interval: f64,
    /// Most alerts or series; 0 is no limit.
    pub limit: usize,
    /// Seconds.
    pub evaluation_time: f64,
    /// When it was last evaluated.
    pub last_evaluation: String,
}

/// A rule.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum RuleJson {
    /// An alerting rule.
    #[serde(rename_all = "camelCase")]
    Alerting {
        /// `firing`, `pending`, `inactive` or `unknown`.
        state: &'static str,
        /// Name of the alert.
        name: String,
        /// The expression.
        query: String,
        /// `for` in seconds.
        duration: f64,
        /// `keep_firing_for` in seconds.
        keep_firing_for: f64,
        /// Labels as configured.
        labels: BTreeMap<String, String>,
        /// Annotations as configured.
        annotations: BTreeMap<String, String>,
        /// Active alerts; left out on request.
        #[serde(skip_serializing_if = "Option::is_none")]
        alerts: Option<Vec<AlertJson>>,
        /// Whether it works.
        health: Health,
        /// What is wrong if it does not.
        #[serde(skip_serializing_if = "Option::is_none")]
        last_error: Option<String>,
        /// Seconds.
        evaluation_time: f64,
        /// When it was last evaluated.
        last_evaluation: String,
    },
    /// A recording rule.
    #[serde(rename_all = "camelCase")]
    Recording {
        /// Name of the series.
        name: String,
        /// The expression.
        query: String,
        /// Labels as configured.
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        labels: BTreeMap<String, String>,
        /// Whether it works.
        health: Health,
        /// What is wrong if it does not.
        #[serde(skip_serializing_if = "Option::is_none")]
        last_error: Option<String>,
        /// Seconds.
        evaluation_time: f64,
        /// When it was last evaluated.
        last_evaluation: String,
    },
}

/// An active alert.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertJson {
    /// Identity.
    #[serde(with = "serde_labels")]
    pub labels: Labels,
    /// What it says.
    #[serde(with = "serde_labels")]
    pub annotations: Labels,
    /// `pending` or `firing`.
    pub state: &'static str,
    /// Since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_at: Option<String>,
    /// Since when it is only kept firing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_firing_since: Option<String>,
    /// Value at the last evaluation.
    pub value: String,
}

impl AlertJson {
    /// An alert that is pending or firing; `None` for a resolved one, which the API does not list.
    pub fn new(labels: &Labels, alert: &ActiveAlert) -> Option<Self> {
        let cleared_at_ms = match alert.state {
            AlertState::Firing { cleared_at_ms, .. } => cleared_at_ms,
            AlertState::Pending { .. } => None,
            AlertState::Inactive | AlertState::Resolved { .. } => return None,
        };
        Some(Self {
            labels: labels.clone(),
            annotations: alert.annotations.clone(),
            state: alert.state.name(),
            active_at: alert.state.active_at_ms().map(rfc3339),
            keep_firing_since: cleared_at_ms.map(rfc3339),
            value: float_text(alert.value, FloatFormat::Exponent),
        })
    }

    /// Active alerts of a rule.
    pub fn of_rule(rule: &AlertRule) -> Vec<Self> {
        rule.alerts().filter_map(|(labels, alert)| Self::new(labels, alert)).collect()
    }
}

impl GroupJson {
    /// A group with the rules that `keep` lets through; without the alerts unless `with_alerts`.
    pub fn new(group: &Group, with_alerts: bool, keep: impl Fn(&RuleKind) -> bool) -> Self {
        let (last, duration_ns) = group.last_evaluation();
        let rules = group.rules().filter(|(rule, _)| keep(rule));
        Self {
            name: group.name.clone(),
            file: group.file.clone(),
            rules: rules.map(|(rule, status)| RuleJson::new(rule, status, with_alerts)).collect(),
            interval: seconds(group.interval_ms),
            limit: group.limit,
            evaluation_time: duration_ns as f64 / 1e9,
            last_evaluation: time(last),
        }
    }
}

impl RuleJson {
    fn new(rule: &RuleKind, status: &RuleStatus, with_alerts: bool) -> Self {
        let labels = rule.labels().iter().cloned().collect();
        let evaluation_time = status.duration_ns as f64 / 1e9;
        let last_evaluation = time(status.evaluated_at_ms);
        let (health, last_error) = (status.health, status.last_error.clone());
        match rule {
            RuleKind::Alert(rule) => Self::Alerting {
                state: if status.evaluated_at_ms.is_some() { rule.state_name() } else { "unknown" },
                name: rule.name.clone(),
                query: rule.expr.clone(),
                duration: seconds(rule.timing.for_ms),
                keep_firing_for: seconds(rule.timing.keep_firing_for_ms),
                labels,
                annotations: rule.annotations.iter().cloned().collect(),
                alerts: with_alerts.then(|| AlertJson::of_rule(rule)),
                health,
                last_error,
                evaluation_time,
                last_evaluation,
            },
            RuleKind::Record(rule) => Self::Recording {
                name: rule.name.clone(),
                query: rule.expr.clone(),
                labels,
                health,
                last_error,
                evaluation_time,
                last_evaluation,
            },
        }
    }
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

fn time(ms: Option<i64>) -> String {
    ms.map_or_else(|| crate::text::ZERO_TIME.to_owned(), rfc3339)
}
