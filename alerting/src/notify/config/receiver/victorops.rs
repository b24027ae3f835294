//! `victorops_configs`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{at_most_one, http_config};
use crate::notify::config::ConfigError;
use crate::notify::config::global::GlobalConfig;
use crate::notify::config::http::HttpConfig;
use crate::notify::config::secret::{Secret, Url};
use crate::text::null_default;

/// Keys of an event that custom fields must not take.
const FIXED: [&str; 7] = [
    "routing_key",
    "message_type",
    "state_message",
    "entity_display_name",
    "monitoring_tool",
    "entity_id",
    "entity_state",
];

/// VictorOps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the fields are the keys of the configuration file and their documentation")]
pub struct VictorOpsConfig {
    pub send_resolved: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_config: Option<HttpConfig>,
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub api_key: Secret,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub api_key_file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_url: Option<Url>,
    pub routing_key: String,
    pub message_type: String,
    pub state_message: String,
    pub entity_display_name: String,
    pub monitoring_tool: String,
    #[serde(deserialize_with = "null_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub custom_fields: BTreeMap<String, String>,
}

impl Default for VictorOpsConfig {
    fn default() -> Self {
        let template = |name: &str| format!("{{{{ template \"victorops.default.{name}\" . }}}}");
        Self {
            send_resolved: true,
            http_config: None,
            api_key: Secret::default(),
            api_key_file: String::new(),
            api_url: None,
            routing_key: String::new(),
            message_type: "CRITICAL".to_owned(),
            state_message: template("state_message"),
            entity_display_name: template("entity_display_name"),
            monitoring_tool: template("monitoring_tool"),
            custom_fields: BTreeMap::new(),
        }
    }
}

impl VictorOpsConfig {
    pub(super) fn resolve(mut self, place: &str, global: &GlobalConfig) -> Result<Self, ConfigError> {
        let error = |problem: String| Err(ConfigError::new(place, problem));
        if self.routing_key.is_empty() {
            return error("missing Routing key in VictorOps config".to_owned());
        }
        at_most_one(place, !self.api_key.is_empty(), !self.api_key_file.is_empty(), "api_key & api_key_file")?;
        if let Some(name) = FIXED.iter().find(|name| self.custom_fields.contains_key(**name)) {
            return error(format!(
                "victorOps config contains custom field {name} which cannot be used as it conflicts with the fixed/static fields"
            ));
        }
        self.http_config = http_config(self.http_config, place, global)?;
        self.api_url = self.api_url.or_else(|| global.victorops_api_url.clone());
        if self.api_url.is_none() {
            return error("no global VictorOps URL set".to_owned());
        }
        if self.api_key.is_empty() && self.api_key_file.is_empty() {
            self.api_key = global.victorops_api_key.clone();
            self.api_key_file.clone_from(&global.victorops_api_key_file);
        }
        if self.api_key.is_empty() && self.api_key_file.is_empty() {
            return error("no global VictorOps API Key set".to_owned());
        }
        Ok(self)
    }
}
