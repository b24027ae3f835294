//! `slack_configs`.

use serde::{Deserialize, Serialize};

use super::{at_most_one, http_config};
use crate::notify::config::ConfigError;
use crate::notify::config::global::{GlobalConfig, SLACK_POST_MESSAGE};
use crate::notify::config::http::{Authorization, HttpConfig};
use crate::notify::config::secret::{Secret, SecretUrl, Url};
use crate::text::{GoDuration, null_default};

/// How a message is laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SlackLayout {
    /// As Alertmanager does, from the templates of the configuration.
    #[default]
    Plain,
    /// Foursight's own: one block an alert with value, labels, links, log lines and picture.
    Rich,
}

/// A Slack channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the fields are the keys of the configuration file and their documentation")]
pub struct SlackConfig {
    pub send_resolved: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_config: Option<HttpConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_url: Option<SecretUrl>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub api_url_file: String,
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub app_token: Secret,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub app_token_file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_url: Option<Url>,
    pub channel: String,
    pub username: String,
    pub color: String,
    pub title: String,
    pub title_link: String,
    pub pretext: String,
    pub text: String,
    pub message_text: String,
    #[serde(deserialize_with = "null_default")]
    pub fields: Vec<SlackField>,
    pub short_fields: bool,
    pub footer: String,
    pub fallback: String,
    pub callback_id: String,
    pub icon_emoji: String,
    pub icon_url: String,
    pub image_url: String,
    pub thumb_url: String,
    pub link_names: bool,
    #[serde(deserialize_with = "null_default")]
    pub mrkdwn_in: Vec<String>,
    #[serde(deserialize_with = "null_default")]
    pub actions: Vec<SlackAction>,
    pub update_message: bool,
    pub timeout: GoDuration,
    /// Foursight's own key: how the message is laid out.
    pub foursight_layout: SlackLayout,
}

impl Default for SlackConfig {
    fn default() -> Self {
        let template = |name: &str| format!("{{{{ template \"slack.default.{name}\" . }}}}");
        Self {
            send_resolved: false,
            http_config: None,
            api_url: None,
            api_url_file: String::new(),
            app_token: Secret::default(),
            app_token_file: String::new(),
            app_url: None,
            channel: String::new(),
            username: template("username"),
            color: template("color"),
            title: template("title"),
            title_link: template("titlelink"),
            pretext: template("pretext"),
            text: template("text"),
            message_text: String::new(),
            fields: Vec::new(),
            short_fields: false,
            footer: template("footer"),
            fallback: template("fallback"),
            callback_id: template("callbackid"),
            icon_emoji: template("iconemoji"),
            icon_url: template("iconurl"),
            image_url: String::new(),
            thumb_url: String::new(),
            link_names: false,
            mrkdwn_in: Vec::new(),
            actions: Vec::new(),
            update_message: false,
            timeout: GoDuration(0),
            foursight_layout: SlackLayout::Plain,
        }
    }
}

/// A field of a message.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the fields are the keys of the configuration file and their documentation")]
pub struct SlackField {
    pub title: String,
    pub value: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub short: Option<bool>,
}

/// A button of a message.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the fields are the keys of the configuration file and their documentation")]
pub struct SlackAction {
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub kind: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub text: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub url: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub style: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub value: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirm: Option<SlackConfirm>,
}

/// A question before a button acts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the fields are the keys of the configuration file and their documentation")]
pub struct SlackConfirm {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub text: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub title: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub ok_text: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub dismiss_text: String,
}

impl SlackConfig {
    pub(super) fn resolve(mut self, place: &str, global: &GlobalConfig) -> Result<Self, ConfigError> {
        let error = |problem: &str| Err(ConfigError::new(place, problem));
        self.check(place)?;
        let own_authorization = self.http_config.as_ref().is_some_and(|http| http.authorization.is_some());
        self.app_url = self.app_url.or_else(|| global.slack_app_url.clone());
        let Some(app_url) = self.app_url.clone() else { return error("no global Slack App URL set") };
        let has_token = |c: &Self| !c.app_token.is_empty() || !c.app_token_file.is_empty();
        // The global token is for those who bring neither credentials nor a webhook of their own.
        if !has_token(&self) && !own_authorization && self.api_url.is_none() {
            self.app_token = global.slack_app_token.clone();
            self.app_token_file.clone_from(&global.slack_app_token_file);
        }
        if self.api_url.is_none() && self.api_url_file.is_empty() {
            self.api_url.clone_from(&global.slack_api_url);
            self.api_url_file.clone_from(&global.slack_api_url_file);
        }
        if self.api_url.is_none() && self.api_url_file.is_empty() && !has_token(&self) {
            return error("no Slack API URL nor App token set either inline or in a file");
        }
        self.http_config = http_config(self.http_config, place, global)?;
        if has_token(&self) {
            let http = self.http_config.get_or_insert_default();
            if http.authorization.is_some() {
                return error("http authorization can't be set when using Slack App tokens");
            }
            http.authorization = Some(Authorization {
                kind: "Bearer".to_owned(),
                credentials: self.app_token.clone(),
                credentials_file: self.app_token_file.clone(),
            });
            self.api_url = SecretUrl::new(app_url.as_str()).ok();
            self.api_url_file.clear();
        }
        Ok(self)
    }

    fn check(&mut self, place: &str) -> Result<(), ConfigError> {
        let error = |problem: &str| Err(ConfigError::new(place, problem));
        let (url, url_file) = (self.api_url.is_some(), !self.api_url_file.is_empty());
        let (token, token_file) = (!self.app_token.is_empty(), !self.app_token_file.is_empty());
        at_most_one(place, url, url_file, "api_url & api_url_file")?;
        at_most_one(place, token, token_file, "app_token & app_token_file")?;
        at_most_one(place, url || url_file, token || token_file, "api_url/api_url_file & app_token/app_token_file")?;
        if self.update_message && !self.api_url.as_ref().is_some_and(|url| url.expose() == SLACK_POST_MESSAGE) {
            return error(
                "update_message can only be used with bot tokens. api_url must be set to https://slack.com/api/chat.postMessage",
            );
        }
        for field in &self.fields {
            if field.title.is_empty() {
                return error("missing title in Slack field configuration");
            }
            if field.value.is_empty() {
                return error("missing value in Slack field configuration");
            }
        }
        for action in &mut self.actions {
            if action.kind.is_empty() {
                return error("missing type in Slack action configuration");
            }
            if action.text.is_empty() {
                return error("missing text in Slack action configuration");
            }
            if action.confirm.as_ref().is_some_and(|confirm| confirm.text.is_empty()) {
                return error("missing text in Slack confirmation configuration");
            }
            if !action.url.is_empty() {
                // A link button sends nothing back.
                action.name.clear();
                action.value.clear();
                action.confirm = None;
            } else if action.name.is_empty() {
                return error("missing name or url in Slack action configuration");
            }
        }
        Ok(())
    }
}
