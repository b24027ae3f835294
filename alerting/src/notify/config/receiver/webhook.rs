//! `webhook_configs`.

use serde::{Deserialize, Serialize};

use super::http_config;
use crate::notify::config::ConfigError;
use crate::notify::config::global::GlobalConfig;
use crate::notify::config::http::HttpConfig;
use crate::notify::config::secret::{SECRET_TOKEN, Secret, Url};
use crate::text::GoDuration;

/// A JSON POST of the alerts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the fields are the keys of the configuration file and their documentation")]
pub struct WebhookConfig {
    pub send_resolved: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_config: Option<HttpConfig>,
    pub url: Secret,
    pub url_file: String,
    pub max_alerts: usize,
    pub timeout: GoDuration,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<serde_json::Value>,
}

impl Default for WebhookConfig {
    fn default() -> Self {
        Self {
            send_resolved: true,
            http_config: None,
            url: Secret::default(),
            url_file: String::new(),
            max_alerts: 0,
            timeout: GoDuration(0),
            payload: None,
        }
    }
}

impl WebhookConfig {
    pub(super) fn resolve(mut self, place: &str, global: &GlobalConfig) -> Result<Self, ConfigError> {
        if self.url.is_empty() && self.url_file.is_empty() {
            return Err(ConfigError::new(place, "one of url or url_file must be configured"));
        }
        if !self.url.is_empty() && !self.url_file.is_empty() {
            return Err(ConfigError::new(place, "at most one of url & url_file must be configured"));
        }
        let url = self.url.expose();
        if !url.is_empty() && url != SECRET_TOKEN && !url.contains("{{") {
            Url::new(url).map_err(|error| ConfigError::new(place, format!("invalid URL: {error}")))?;
        }
        self.http_config = http_config(self.http_config, place, global)?;
        Ok(self)
    }
}
