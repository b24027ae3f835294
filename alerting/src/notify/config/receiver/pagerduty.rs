//! `pagerduty_configs`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{at_most_one, http_config};
use crate::notify::config::ConfigError;
use crate::notify::config::global::GlobalConfig;
use crate::notify::config::http::HttpConfig;
use crate::notify::config::secret::{Secret, Url};
use crate::text::{GoDuration, null_default};

/// PagerDuty: a routing key for events of version 2, a service key for version 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the fields are the keys of the configuration file and their documentation")]
pub struct PagerDutyConfig {
    pub send_resolved: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_config: Option<HttpConfig>,
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub service_key: Secret,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub service_key_file: String,
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub routing_key: Secret,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub routing_key_file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Url>,
    pub client: String,
    pub client_url: String,
    pub description: String,
    #[serde(deserialize_with = "null_default")]
    pub details: BTreeMap<String, serde_json::Value>,
    #[serde(deserialize_with = "null_default")]
    pub images: Vec<PagerDutyImage>,
    #[serde(deserialize_with = "null_default")]
    pub links: Vec<PagerDutyLink>,
    pub source: String,
    pub severity: String,
    pub class: String,
    pub component: String,
    pub group: String,
    pub timeout: GoDuration,
}

/// A picture.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the fields are the keys of the configuration file and their documentation")]
pub struct PagerDutyImage {
    pub src: String,
    pub alt: String,
    pub href: String,
}

/// A link.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the fields are the keys of the configuration file and their documentation")]
pub struct PagerDutyLink {
    pub href: String,
    pub text: String,
}

impl Default for PagerDutyConfig {
    fn default() -> Self {
        Self {
            send_resolved: true,
            http_config: None,
            service_key: Secret::default(),
            service_key_file: String::new(),
            routing_key: Secret::default(),
            routing_key_file: String::new(),
            url: None,
            client: "{{ template \"pagerduty.default.client\" . }}".to_owned(),
            client_url: "{{ template \"pagerduty.default.clientURL\" . }}".to_owned(),
            description: "{{ template \"pagerduty.default.description\" .}}".to_owned(),
            details: BTreeMap::new(),
            images: Vec::new(),
            links: Vec::new(),
            source: String::new(),
            severity: String::new(),
            class: String::new(),
            component: String::new(),
            group: String::new(),
            timeout: GoDuration(0),
        }
    }
}

impl PagerDutyConfig {
    /// Whether events of version 1 are sent.
    pub fn is_version_1(&self) -> bool {
        !self.service_key.is_empty() || !self.service_key_file.is_empty()
    }

    pub(super) fn resolve(mut self, place: &str, global: &GlobalConfig) -> Result<Self, ConfigError> {
        let (routing, service) = (!self.routing_key.is_empty(), !self.service_key.is_empty());
        let (routing_file, service_file) = (!self.routing_key_file.is_empty(), !self.service_key_file.is_empty());
        if !(routing || service || routing_file || service_file) {
            return Err(ConfigError::new(place, "missing service or routing key in PagerDuty config"));
        }
        at_most_one(place, routing, routing_file, "routing_key & routing_key_file")?;
        at_most_one(place, service, service_file, "service_key & service_key_file")?;
        if self.source.is_empty() {
            self.source.clone_from(&self.client);
        }
        let details = [
            ("firing", "{{ .Alerts.Firing | toJson }}"),
            ("resolved", "{{ .Alerts.Resolved | toJson }}"),
            ("num_firing", "{{ .Alerts.Firing | len }}"),
            ("num_resolved", "{{ .Alerts.Resolved | len }}"),
        ];
        for (name, text) in details {
            self.details.entry(name.to_owned()).or_insert_with(|| text.into());
        }
        if self.severity.is_empty() {
            "error".clone_into(&mut self.severity);
        }
        self.url = self.url.or_else(|| global.pagerduty_url.clone());
        if self.url.is_none() {
            return Err(ConfigError::new(place, "no global PagerDuty URL set"));
        }
        self.http_config = http_config(self.http_config, place, global)?;
        Ok(self)
    }
}
