//! `incidentio_configs`.

use serde::{Deserialize, Serialize};

use super::{at_most_one, http_config};
use crate::notify::config::ConfigError;
use crate::notify::config::global::GlobalConfig;
use crate::notify::config::http::{Authorization, HttpConfig};
use crate::notify::config::secret::{Secret, Url};
use crate::text::GoDuration;

/// An alert source of incident.io.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the fields are the keys of the configuration file and their documentation")]
pub struct IncidentioConfig {
    pub send_resolved: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_config: Option<HttpConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Url>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub url_file: String,
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub alert_source_token: Secret,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub alert_source_token_file: String,
    pub max_alerts: usize,
    pub timeout: GoDuration,
}

impl Default for IncidentioConfig {
    fn default() -> Self {
        Self {
            send_resolved: true,
            http_config: None,
            url: None,
            url_file: String::new(),
            alert_source_token: Secret::default(),
            alert_source_token_file: String::new(),
            max_alerts: 0,
            timeout: GoDuration(0),
        }
    }
}

impl IncidentioConfig {
    pub(super) fn resolve(mut self, place: &str, global: &GlobalConfig) -> Result<Self, ConfigError> {
        let error = |problem: &str| Err(ConfigError::new(place, problem));
        let (url, file) = (self.url.is_some(), !self.url_file.is_empty());
        if !url && !file {
            return error("one of url or url_file must be configured");
        }
        at_most_one(place, url, file, "url & url_file")?;
        let (token, token_file) = (!self.alert_source_token.is_empty(), !self.alert_source_token_file.is_empty());
        at_most_one(place, token, token_file, "alert_source_token & alert_source_token_file")?;
        let authorization = self.http_config.as_ref().map(|http| http.authorization.is_some());
        if authorization == Some(true) && (token || token_file) {
            return error(
                "cannot specify alert_source_token or alert_source_token_file when using http_config.authorization",
            );
        }
        if authorization == Some(false) && !token && !token_file {
            return error(
                "at least one of alert_source_token, alert_source_token_file or http_config.authorization must be configured",
            );
        }
        self.http_config = http_config(self.http_config, place, global)?;
        if token || token_file {
            let http = self.http_config.get_or_insert_default();
            http.authorization = Some(Authorization {
                kind: "Bearer".to_owned(),
                credentials: self.alert_source_token.clone(),
                credentials_file: self.alert_source_token_file.clone(),
            });
        }
        Ok(self)
    }
}
