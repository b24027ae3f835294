//! One alert instance: its state, what it says, and the alert that receivers get of it.

use std::collections::BTreeMap;

use model::Labels;
use serde::{Deserialize, Serialize};

use super::step::{Core, State};
use crate::grafana::eval::Values;
use crate::grafana::labels as names;
use crate::grafana::rule::PreparedRule;
use crate::grafana::template::values_json;
use crate::rules::OutgoingAlert;
use crate::text::serde_labels;

/// An alert is sent again after this time.
pub(super) const RESEND_MS: i64 = 30_000;

/// An alert instance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Instance {
    /// Its labels: those of the result, the rule and its place.
    #[serde(with = "serde_labels")]
    pub labels: Labels,
    /// Labels of the result alone.
    #[serde(with = "serde_labels")]
    pub result_labels: Labels,
    /// Its annotations.
    #[serde(with = "serde_labels")]
    pub annotations: Labels,
    /// Its state.
    pub core: Core,
    /// Values of the last evaluation.
    pub values: Values,
    /// The error of the last evaluation.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub error: String,
    /// What alerts about missing data and errors say of the source.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub source: BTreeMap<String, String>,
    /// When it was last evaluated.
    pub evaluated_at_ms: i64,
    /// When it was last sent.
    pub last_sent_ms: Option<i64>,
    /// Labels under which receivers were told that it fires.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_labels")]
    pub told_as: Option<Labels>,
}

mod optional_labels {
    use model::Labels;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Wrapped(#[serde(with = "crate::text::serde_labels")] Labels);

    pub(super) fn serialize<S: Serializer>(labels: &Option<Labels>, serializer: S) -> Result<S::Ok, S::Error> {
        labels.clone().map(Wrapped).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Labels>, D::Error> {
        Ok(Option::<Wrapped>::deserialize(deserializer)?.map(|Wrapped(labels)| labels))
    }
}

impl Instance {
    /// The state with its reason: `Alerting`, `Normal (MissingSeries)`.
    pub fn state_text(&self) -> String {
        state_text(&self.core)
    }

    /// Whether the alert is to be sent at `now_ms`: when it fires or has stopped, and again from time to time.
    pub(super) fn needs_sending(&self, now_ms: i64, resolved_retention_ms: i64) -> bool {
        match (self.core.state, self.core.resolved_at_ms) {
            (State::Pending, _) | (State::Normal, None) => return false,
            (State::Normal, Some(resolved_at_ms)) if now_ms - resolved_at_ms >= resolved_retention_ms => return false,
            _ => {}
        }
        match (self.last_sent_ms, self.core.resolved_at_ms) {
            (None, _) => true,
            (Some(sent_ms), Some(resolved_at_ms)) if sent_ms < resolved_at_ms => true,
            (Some(sent_ms), _) => sent_ms.saturating_add(RESEND_MS) <= now_ms,
        }
    }

    /// The labels that receivers know it by in its present state.
    fn alert_labels(&self) -> Labels {
        let name = match self.core.state {
            State::NoData => "DatasourceNoData",
            State::Error => "DatasourceError",
            _ => return self.labels.clone(),
        };
        let mut labels = self.labels.to_builder();
        labels.set(names::RULE_NAME, self.labels.value("alertname"));
        labels.set("alertname", name);
        for (name, value) in &self.source {
            labels.set(name, value);
        }
        labels.build()
    }

    /// The alerts to send, and takes note that they are. Usually one; two when the instance goes on under other labels:
    /// the one that receivers know ends.
    pub(super) fn send(&mut self, rule: &PreparedRule, app_url: &str, now_ms: i64) -> Vec<OutgoingAlert> {
        self.last_sent_ms = Some(now_ms);
        let mut labels = self.alert_labels();
        let fires = self.core.state.fires();
        let mut alerts = Vec::new();
        if let Some(told_as) = self.told_as.take_if(|told_as| !fires || *told_as != labels) {
            if fires {
                alerts.push(OutgoingAlert { ends_at_ms: Some(now_ms), ..self.alert(told_as, rule, app_url) });
            } else {
                labels = told_as;
            }
        }
        if fires {
            self.told_as = Some(labels.clone());
        }
        alerts.push(self.alert(labels, rule, app_url));
        alerts
    }

    fn alert(&self, labels: Labels, rule: &PreparedRule, app_url: &str) -> OutgoingAlert {
        let mut annotations = self.annotations.to_builder();
        if !self.values.by_ref.is_empty() {
            annotations.set(names::VALUES, &values_json(&self.values.by_ref));
        }
        annotations.set(names::VALUE_STRING, &self.values.text);
        annotations.set(names::STATE_REASON, &self.core.reason);
        if rule.rule.org_id > 0 {
            annotations.set(names::ORG_ID, &rule.rule.org_id.to_string());
        }
        if !self.error.is_empty() {
            annotations.set("Error", &self.error);
        }
        let generator_url = match app_url.trim_end_matches('/') {
            "" => String::new(),
            url => format!("{url}/alerting/grafana/{}/view", rule.rule.uid),
        };
        OutgoingAlert {
            labels,
            annotations: annotations.build(),
            starts_at_ms: self.core.starts_at_ms.min(self.core.ends_at_ms),
            ends_at_ms: Some(self.core.ends_at_ms),
            generator_url,
        }
    }
}

pub(super) fn state_text(core: &Core) -> String {
    let state = core.state.as_str();
    if core.reason.is_empty() { state.to_owned() } else { format!("{state} ({})", core.reason) }
}
