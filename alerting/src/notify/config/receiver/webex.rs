//! `webex_configs`.

use serde::{Deserialize, Serialize};

use super::http_config;
use crate::notify::config::ConfigError;
use crate::notify::config::global::GlobalConfig;
use crate::notify::config::http::HttpConfig;
use crate::notify::config::secret::Url;

/// A Webex room.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the fields are the keys of the configuration file and their documentation")]
pub struct WebexConfig {
    pub send_resolved: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_config: Option<HttpConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_url: Option<Url>,
    pub message: String,
    pub room_id: String,
}

impl Default for WebexConfig {
    fn default() -> Self {
        Self {
            send_resolved: true,
            http_config: None,
            api_url: None,
            message: "{{ template \"webex.default.message\" . }}".to_owned(),
            room_id: String::new(),
        }
    }
}

impl WebexConfig {
    pub(super) fn resolve(mut self, place: &str, global: &GlobalConfig) -> Result<Self, ConfigError> {
        if self.room_id.is_empty() {
            return Err(ConfigError::new(place, "missing room_id on webex_config"));
        }
        if self.http_config.as_ref().is_none_or(|http| http.authorization.is_none()) {
            return Err(ConfigError::new(place, "missing webex_configs.http_config.authorization"));
        }
        self.http_config = http_config(self.http_config, place, global)?;
        self.api_url = self.api_url.or_else(|| global.webex_api_url.clone());
        if self.api_url.is_none() {
            return Err(ConfigError::new(place, "no global Webex URL set"));
        }
        Ok(self)
    }
}
