//! `rocketchat_configs`.

use serde::{Deserialize, Serialize};

use super::{at_most_one, http_config};
use crate::notify::config::ConfigError;
use crate::notify::config::global::GlobalConfig;
use crate::notify::config::http::HttpConfig;
use crate::notify::config::secret::{Secret, Url};
use crate::text::null_default;

/// A Rocket.Chat channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the fields are the keys of the configuration file and their documentation")]
pub struct RocketchatConfig {
    pub send_resolved: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_config: Option<HttpConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_url: Option<Url>,
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub token_id: Secret,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub token_id_file: String,
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub token: Secret,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub token_file: String,
    pub channel: String,
    pub color: String,
    pub title: String,
    pub title_link: String,
    pub text: String,
    #[serde(deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<RocketchatField>,
    pub short_fields: bool,
    pub emoji: String,
    pub icon_url: String,
    pub image_url: String,
    pub thumb_url: String,
    pub link_names: bool,
    #[serde(deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<RocketchatAction>,
}

/// A field of a message.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the fields are the keys of the configuration file and their documentation")]
pub struct RocketchatField {
    pub short: Option<bool>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub title: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub value: String,
}

/// A button of a message. Keys are those of the Go fields in lower case: upstream names none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the fields are the keys of the configuration file and their documentation")]
pub struct RocketchatAction {
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub kind: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub text: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub url: String,
    #[serde(rename = "imageurl", alias = "image_url", skip_serializing_if = "String::is_empty")]
    pub image_url: String,
    #[serde(rename = "iswebview", alias = "is_webview")]
    pub is_webview: bool,
    #[serde(rename = "webviewheightratio", alias = "webview_height_ratio", skip_serializing_if = "String::is_empty")]
    pub webview_height_ratio: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub msg: String,
    #[serde(rename = "msginchatwindow", alias = "msg_in_chat_window")]
    pub msg_in_chat_window: bool,
    #[serde(rename = "msgprocessingtype", alias = "msg_processing_type", skip_serializing_if = "String::is_empty")]
    pub msg_processing_type: String,
}

impl Default for RocketchatConfig {
    fn default() -> Self {
        let template = |name: &str| format!("{{{{ template \"rocketchat.default.{name}\" . }}}}");
        Self {
            send_resolved: false,
            http_config: None,
            api_url: None,
            token_id: Secret::default(),
            token_id_file: String::new(),
            token: Secret::default(),
            token_file: String::new(),
            channel: String::new(),
            color: "{{ if eq .Status \"firing\" }}red{{ else }}green{{ end }}".to_owned(),
            title: template("title"),
            title_link: template("titlelink"),
            text: template("text"),
            fields: Vec::new(),
            short_fields: false,
            emoji: template("emoji"),
            icon_url: template("iconurl"),
            image_url: String::new(),
            thumb_url: String::new(),
            link_names: false,
            actions: Vec::new(),
        }
    }
}

impl RocketchatConfig {
    pub(super) fn resolve(mut self, place: &str, global: &GlobalConfig) -> Result<Self, ConfigError> {
        at_most_one(place, !self.token.is_empty(), !self.token_file.is_empty(), "token & token_file")?;
        at_most_one(place, !self.token_id.is_empty(), !self.token_id_file.is_empty(), "token_id & token_id_file")?;
        self.http_config = http_config(self.http_config, place, global)?;
        self.api_url = self.api_url.or_else(|| global.rocketchat_api_url.clone());
        if self.token_id.is_empty() && self.token_id_file.is_empty() {
            self.token_id = global.rocketchat_token_id.clone();
            self.token_id_file.clone_from(&global.rocketchat_token_id_file);
        }
        if self.token_id.is_empty() && self.token_id_file.is_empty() {
            return Err(ConfigError::new(place, "no global Rocketchat TokenID set either inline or in a file"));
        }
        if self.token.is_empty() && self.token_file.is_empty() {
            self.token = global.rocketchat_token.clone();
            self.token_file.clone_from(&global.rocketchat_token_file);
        }
        if self.token.is_empty() && self.token_file.is_empty() {
            return Err(ConfigError::new(place, "no global Rocketchat Token set either inline or in a file"));
        }
        Ok(self)
    }
}
