//! Events of the state history.

use std::collections::BTreeMap;

use model::Labels;
use serde::{Deserialize, Serialize};

use crate::grafana::rule::PreparedRule;
use crate::text::{serde_labels, serde_number_map};

/// A transition of an instance, with the keys that the history's entries have in Loki.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEvent {
    /// Version of the entry's form.
    pub schema_version: u32,
    /// State before, with its reason.
    pub previous: String,
    /// State after, with its reason.
    pub current: String,
    /// The error, if the evaluation failed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub error: String,
    /// Values by ref id.
    #[serde(with = "serde_number_map")]
    pub values: BTreeMap<String, f64>,
    /// Ref id of the deciding node.
    pub condition: String,
    /// Dashboard of the rule.
    #[serde(rename = "dashboardUID")]
    pub dashboard_uid: String,
    /// Panel of the rule.
    #[serde(rename = "panelID")]
    pub panel_id: i64,
    /// Fingerprint of the instance's labels.
    pub fingerprint: String,
    /// Title of the rule.
    pub rule_title: String,
    /// Id of the rule.
    #[serde(rename = "ruleUID")]
    pub rule_uid: String,
    /// Labels of the instance.
    #[serde(rename = "labels", with = "serde_labels")]
    pub instance_labels: Labels,
    /// When.
    #[serde(skip)]
    pub at_ms: i64,
}

impl HistoryEvent {
    /// Labels of the stream that the entry belongs to.
    pub fn stream(rule: &PreparedRule) -> Labels {
        let org_id = rule.rule.org_id.max(1).to_string();
        Labels::from_pairs([
            ("from", "state-history"),
            ("orgID", &org_id),
            ("group", &rule.group),
            ("folderUID", &rule.folder_uid),
        ])
    }
}
