//! `pushover_configs`.

use serde::{Deserialize, Serialize};

use super::{at_most_one, http_config};
use crate::notify::config::ConfigError;
use crate::notify::config::global::GlobalConfig;
use crate::notify::config::http::HttpConfig;
use crate::notify::config::secret::Secret;
use crate::text::GoDuration;

/// Pushover.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the fields are the keys of the configuration file and their documentation")]
pub struct PushoverConfig {
    pub send_resolved: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_config: Option<HttpConfig>,
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub user_key: Secret,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user_key_file: String,
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub token: Secret,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub token_file: String,
    pub title: String,
    pub message: String,
    pub url: String,
    pub url_title: String,
    pub device: String,
    pub sound: String,
    pub priority: String,
    pub retry: GoDuration,
    pub expire: GoDuration,
    pub ttl: GoDuration,
    pub html: bool,
    pub monospace: bool,
}

impl Default for PushoverConfig {
    fn default() -> Self {
        let template = |name: &str| format!("{{{{ template \"pushover.default.{name}\" . }}}}");
        Self {
            send_resolved: true,
            http_config: None,
            user_key: Secret::default(),
            user_key_file: String::new(),
            token: Secret::default(),
            token_file: String::new(),
            title: template("title"),
            message: template("message"),
            url: template("url"),
            url_title: String::new(),
            device: String::new(),
            sound: String::new(),
            priority: "{{ if eq .Status \"firing\" }}2{{ else }}0{{ end }}".to_owned(),
            retry: GoDuration(60_000),
            expire: GoDuration(3_600_000),
            ttl: GoDuration(0),
            html: false,
            monospace: false,
        }
    }
}

impl PushoverConfig {
    pub(super) fn resolve(mut self, place: &str, global: &GlobalConfig) -> Result<Self, ConfigError> {
        let secrets = [
            (&self.user_key, &self.user_key_file, "user_key", "user_key_file"),
            (&self.token, &self.token_file, "token", "token_file"),
        ];
        for (inline, file, name, file_name) in secrets {
            if inline.is_empty() && file.is_empty() {
                return Err(ConfigError::new(place, format!("one of {name} or {file_name} must be configured")));
            }
            at_most_one(place, !inline.is_empty(), !file.is_empty(), &format!("{name} & {file_name}"))?;
        }
        at_most_one(place, self.html, self.monospace, "monospace & html")?;
        self.http_config = http_config(self.http_config, place, global)?;
        Ok(self)
    }
}
