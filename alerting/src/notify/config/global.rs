//! `global`: what receivers fall back to.

use serde::{Deserialize, Serialize};

use super::ConfigError;
use super::http::{HttpConfig, TlsConfig};
use super::secret::{HostPort, Secret, SecretUrl, Url};
use crate::text::PromDuration;

/// Where Slack's bot messages go.
pub const SLACK_POST_MESSAGE: &str = "https://slack.com/api/chat.postMessage";

/// The global section.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the fields are the keys of the configuration file and their documentation")]
pub struct GlobalConfig {
    pub resolve_timeout: PromDuration,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_config: Option<HttpConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jira_api_url: Option<Url>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub smtp_from: String,
    pub smtp_hello: String,
    pub smtp_smarthost: HostPort,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub smtp_auth_username: String,
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub smtp_auth_password: Secret,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub smtp_auth_password_file: String,
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub smtp_auth_secret: Secret,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub smtp_auth_secret_file: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub smtp_auth_identity: String,
    pub smtp_require_tls: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smtp_tls_config: Option<TlsConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smtp_force_implicit_tls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slack_api_url: Option<SecretUrl>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub slack_api_url_file: String,
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub slack_app_token: Secret,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub slack_app_token_file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slack_app_url: Option<Url>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pagerduty_url: Option<Url>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opsgenie_api_url: Option<Url>,
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub opsgenie_api_key: Secret,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub opsgenie_api_key_file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wechat_api_url: Option<Url>,
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub wechat_api_secret: Secret,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub wechat_api_secret_file: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub wechat_api_corp_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub victorops_api_url: Option<Url>,
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub victorops_api_key: Secret,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub victorops_api_key_file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub telegram_api_url: Option<Url>,
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub telegram_bot_token: Secret,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub telegram_bot_token_file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webex_api_url: Option<Url>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rocketchat_api_url: Option<Url>,
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub rocketchat_token: Secret,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub rocketchat_token_file: String,
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub rocketchat_token_id: Secret,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub rocketchat_token_id_file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mattermost_webhook_url: Option<SecretUrl>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mattermost_webhook_url_file: String,
}

impl Default for GlobalConfig {
    fn default() -> Self {
        // The addresses are well formed, so none of them is lost here.
        let url = |text: &str| Url::new(text).ok();
        Self {
            resolve_timeout: PromDuration(300_000),
            http_config: None,
            jira_api_url: None,
            smtp_from: String::new(),
            smtp_hello: "localhost".to_owned(),
            smtp_smarthost: HostPort::default(),
            smtp_auth_username: String::new(),
            smtp_auth_password: Secret::default(),
            smtp_auth_password_file: String::new(),
            smtp_auth_secret: Secret::default(),
            smtp_auth_secret_file: String::new(),
            smtp_auth_identity: String::new(),
            smtp_require_tls: true,
            smtp_tls_config: None,
            smtp_force_implicit_tls: None,
            slack_api_url: None,
            slack_api_url_file: String::new(),
            slack_app_token: Secret::default(),
            slack_app_token_file: String::new(),
            slack_app_url: url(SLACK_POST_MESSAGE),
            pagerduty_url: url("https://events.pagerduty.com/v2/enqueue"),
            opsgenie_api_url: url("https://api.opsgenie.com/"),
            opsgenie_api_key: Secret::default(),
            opsgenie_api_key_file: String::new(),
            wechat_api_url: url("https://qyapi.weixin.qq.com/cgi-bin/"),
            wechat_api_secret: Secret::default(),
            wechat_api_secret_file: String::new(),
            wechat_api_corp_id: String::new(),
            victorops_api_url: url("https://alert.victorops.com/integrations/generic/20131114/alert/"),
            victorops_api_key: Secret::default(),
            victorops_api_key_file: String::new(),
            telegram_api_url: url("https://api.telegram.org"),
            telegram_bot_token: Secret::default(),
            telegram_bot_token_file: String::new(),
            webex_api_url: url("https://webexapis.com/v1/messages"),
            rocketchat_api_url: url("https://open.rocket.chat/"),
            rocketchat_token: Secret::default(),
            rocketchat_token_file: String::new(),
            rocketchat_token_id: Secret::default(),
            rocketchat_token_id_file: String::new(),
            mattermost_webhook_url: None,
            mattermost_webhook_url_file: String::new(),
        }
    }
}

impl GlobalConfig {
    /// Checks that no secret is given both inline and in a file.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let set = |secret: &Secret| !secret.is_empty();
        let file = |name: &str| !name.is_empty();
        let pairs = [
            (set(&self.slack_app_token), &self.slack_app_token_file, "slack_app_token"),
            (self.slack_api_url.is_some(), &self.slack_api_url_file, "slack_api_url"),
            (set(&self.opsgenie_api_key), &self.opsgenie_api_key_file, "opsgenie_api_key"),
            (set(&self.victorops_api_key), &self.victorops_api_key_file, "victorops_api_key"),
            (set(&self.telegram_bot_token), &self.telegram_bot_token_file, "telegram_bot_token"),
            (set(&self.smtp_auth_password), &self.smtp_auth_password_file, "smtp_auth_password"),
            (set(&self.rocketchat_token), &self.rocketchat_token_file, "rocketchat_token"),
            (set(&self.rocketchat_token_id), &self.rocketchat_token_id_file, "rocketchat_token_id"),
            (set(&self.smtp_auth_secret), &self.smtp_auth_secret_file, "smtp_auth_secret"),
            (set(&self.wechat_api_secret), &self.wechat_api_secret_file, "wechat_api_secret"),
            (self.mattermost_webhook_url.is_some(), &self.mattermost_webhook_url_file, "mattermost_webhook_url"),
        ];
        for (inline, in_file, name) in pairs {
            if inline && file(in_file) {
                let problem = format!("at most one of {name} & {name}_file must be configured");
                return Err(ConfigError::new("global", problem));
            }
        }
        let token = set(&self.slack_app_token) || file(&self.slack_app_token_file);
        let webhook = self.slack_api_url.is_some() || file(&self.slack_api_url_file);
        let same = match (&self.slack_api_url, &self.slack_app_url) {
            (Some(api), Some(app)) => api.expose() == app.as_str(),
            _ => false,
        };
        if token && webhook && !same {
            let problem = "at most one of slack_app_token/slack_app_token_file & slack_api_url/slack_api_url_file must be configured";
            return Err(ConfigError::new("global", problem));
        }
        if let Some(problem) = self.http_config.as_ref().and_then(HttpConfig::problem) {
            return Err(ConfigError::new("global.http_config", problem));
        }
        Ok(())
    }
}
