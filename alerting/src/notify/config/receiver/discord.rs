//! `discord_configs`.

use serde::{Deserialize, Serialize};

use super::{at_most_one, http_config};
use crate::notify::config::ConfigError;
use crate::notify::config::global::GlobalConfig;
use crate::notify::config::http::HttpConfig;
use crate::notify::config::secret::SecretUrl;

/// A Discord channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the fields are the keys of the configuration file and their documentation")]
pub struct DiscordConfig {
    pub send_resolved: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_config: Option<HttpConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_url: Option<SecretUrl>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub webhook_url_file: String,
    pub content: String,
    pub title: String,
    pub message: String,
    pub username: String,
    pub avatar_url: String,
}

impl Default for DiscordConfig {
    fn default() -> Self {
        Self {
            send_resolved: true,
            http_config: None,
            webhook_url: None,
            webhook_url_file: String::new(),
            content: String::new(),
            title: "{{ template \"discord.default.title\" . }}".to_owned(),
            message: "{{ template \"discord.default.message\" . }}".to_owned(),
            username: String::new(),
            avatar_url: String::new(),
        }
    }
}

impl DiscordConfig {
    pub(super) fn resolve(mut self, place: &str, global: &GlobalConfig) -> Result<Self, ConfigError> {
        if self.webhook_url.is_none() && self.webhook_url_file.is_empty() {
            return Err(ConfigError::new(place, "one of webhook_url or webhook_url_file must be configured"));
        }
        at_most_one(
            place,
            self.webhook_url.is_some(),
            !self.webhook_url_file.is_empty(),
            "webhook_url & webhook_url_file",
        )?;
        self.http_config = http_config(self.http_config, place, global)?;
        Ok(self)
    }
}
