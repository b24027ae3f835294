//! `opsgenie_configs`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{at_most_one, http_config};
use crate::notify::config::ConfigError;
use crate::notify::config::global::GlobalConfig;
use crate::notify::config::http::HttpConfig;
use crate::notify::config::secret::{Secret, Url};
use crate::text::null_default;

/// OpsGenie.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the fields are the keys of the configuration file and their documentation")]
pub struct OpsGenieConfig {
    pub send_resolved: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_config: Option<HttpConfig>,
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub api_key: Secret,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub api_key_file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_url: Option<Url>,
    pub message: String,
    pub description: String,
    pub source: String,
    #[serde(deserialize_with = "null_default")]
    pub details: BTreeMap<String, String>,
    pub entity: String,
    #[serde(deserialize_with = "null_default")]
    pub responders: Vec<OpsGenieResponder>,
    pub actions: String,
    pub tags: String,
    pub note: String,
    pub priority: String,
    pub update_alerts: bool,
}

/// Whom to call.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the fields are the keys of the configuration file and their documentation")]
pub struct OpsGenieResponder {
    pub id: String,
    pub name: String,
    pub username: String,
    #[serde(rename = "type")]
    pub kind: String,
}

impl Default for OpsGenieConfig {
    fn default() -> Self {
        let template = |name: &str| format!("{{{{ template \"opsgenie.default.{name}\" . }}}}");
        Self {
            send_resolved: true,
            http_config: None,
            api_key: Secret::default(),
            api_key_file: String::new(),
            api_url: None,
            message: template("message"),
            description: template("description"),
            source: template("source"),
            details: BTreeMap::new(),
            entity: String::new(),
            responders: Vec::new(),
            actions: String::new(),
            tags: String::new(),
            note: String::new(),
            priority: String::new(),
            update_alerts: false,
        }
    }
}

impl OpsGenieConfig {
    pub(super) fn resolve(mut self, place: &str, global: &GlobalConfig) -> Result<Self, ConfigError> {
        at_most_one(place, !self.api_key.is_empty(), !self.api_key_file.is_empty(), "api_key & api_key_file")?;
        for responder in &self.responders {
            if responder.id.is_empty() && responder.username.is_empty() && responder.name.is_empty() {
                let problem = "opsGenieConfig responder has to have at least one of id, username or name specified";
                return Err(ConfigError::new(place, problem));
            }
            let kinds = ["team", "teams", "user", "escalation", "schedule"];
            if !responder.kind.contains("{{") && !kinds.contains(&responder.kind.to_lowercase().as_str()) {
                let problem = format!(
                    "opsGenieConfig responder type {:?} does not match valid options ^(team|teams|user|escalation|schedule)$",
                    responder.kind
                );
                return Err(ConfigError::new(place, problem));
            }
        }
        self.api_url = self.api_url.or_else(|| global.opsgenie_api_url.clone());
        if self.api_url.is_none() {
            return Err(ConfigError::new(place, "no global OpsGenie URL set"));
        }
        if self.api_key.is_empty() {
            self.api_key = global.opsgenie_api_key.clone();
        }
        if self.api_key_file.is_empty() {
            self.api_key_file.clone_from(&global.opsgenie_api_key_file);
        }
        if self.api_key.is_empty() && self.api_key_file.is_empty() {
            return Err(ConfigError::new(place, "no global OpsGenie API Key set either inline or in a file"));
        }
        self.http_config = http_config(self.http_config, place, global)?;
        Ok(self)
    }
}
