//! `msteamsv2_configs`.

use serde::{Deserialize, Serialize};

use super::{at_most_one, http_config};
use crate::notify::config::ConfigError;
use crate::notify::config::global::GlobalConfig;
use crate::notify::config::http::HttpConfig;
use crate::notify::config::secret::SecretUrl;

/// A Microsoft Teams channel through Power Automate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the fields are the keys of the configuration file and their documentation")]
pub struct MsTeamsV2Config {
    pub send_resolved: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_config: Option<HttpConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_url: Option<SecretUrl>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub webhook_url_file: String,
    pub title: String,
    pub text: String,
}

impl Default for MsTeamsV2Config {
    fn default() -> Self {
        Self {
            send_resolved: true,
            http_config: None,
            webhook_url: None,
            webhook_url_file: String::new(),
            title: "{{ template \"msteamsv2.default.title\" . }}".to_owned(),
            text: "{{ template \"msteamsv2.default.text\" . }}".to_owned(),
        }
    }
}

impl MsTeamsV2Config {
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
        let own_proxy = self.http_config.as_ref().is_some_and(|http| http.proxy_url.is_some());
        self.http_config = http_config(self.http_config, place, global)?;
        // Only the proxy is inherited by settings of the receiver's own.
        if let (false, Some(http), Some(inherited)) = (own_proxy, &mut self.http_config, &global.http_config) {
            http.proxy_url.clone_from(&inherited.proxy_url);
        }
        Ok(self)
    }
}
