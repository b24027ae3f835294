//! `msteams_configs`: Microsoft Teams through its older connectors.

use serde::{Deserialize, Serialize};

use super::{at_most_one, http_config};
use crate::notify::config::ConfigError;
use crate::notify::config::global::GlobalConfig;
use crate::notify::config::http::HttpConfig;
use crate::notify::config::secret::SecretUrl;

/// A Teams channel with a connector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the fields are the keys of the configuration file and their documentation")]
pub struct MsTeamsConfig {
    pub send_resolved: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_config: Option<HttpConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_url: Option<SecretUrl>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub webhook_url_file: String,
    pub title: String,
    pub summary: String,
    pub text: String,
}

impl Default for MsTeamsConfig {
    fn default() -> Self {
        let template = |name: &str| format!("{{{{ template \"msteams.default.{name}\" . }}}}");
        Self {
            send_resolved: true,
            http_config: None,
            webhook_url: None,
            webhook_url_file: String::new(),
            title: template("title"),
            summary: template("summary"),
            text: template("text"),
        }
    }
}

impl MsTeamsConfig {
    pub(super) fn resolve(mut self, place: &str, global: &GlobalConfig) -> Result<Self, ConfigError> {
        let (url, file) = (self.webhook_url.is_some(), !self.webhook_url_file.is_empty());
        if !url && !file {
            return Err(ConfigError::new(place, "one of webhook_url or webhook_url_file must be configured"));
        }
        at_most_one(place, url, file, "webhook_url & webhook_url_file")?;
        self.http_config = http_config(self.http_config, place, global)?;
        Ok(self)
    }
}
