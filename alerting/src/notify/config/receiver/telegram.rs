//! `telegram_configs`.

use serde::{Deserialize, Serialize};

use super::{at_most_one, http_config};
use crate::notify::config::ConfigError;
use crate::notify::config::global::GlobalConfig;
use crate::notify::config::http::HttpConfig;
use crate::notify::config::secret::{Secret, Url};

/// A Telegram chat.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the fields are the keys of the configuration file and their documentation")]
pub struct TelegramConfig {
    pub send_resolved: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_config: Option<HttpConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_url: Option<Url>,
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub bot_token: Secret,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub bot_token_file: String,
    pub chat_id: i64,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub chat_id_file: String,
    pub message_thread_id: i64,
    pub message: String,
    pub disable_notifications: bool,
    pub parse_mode: String,
}

impl Default for TelegramConfig {
    fn default() -> Self {
        Self {
            send_resolved: true,
            http_config: None,
            api_url: None,
            bot_token: Secret::default(),
            bot_token_file: String::new(),
            chat_id: 0,
            chat_id_file: String::new(),
            message_thread_id: 0,
            message: "{{ template \"telegram.default.message\" . }}".to_owned(),
            disable_notifications: false,
            parse_mode: "HTML".to_owned(),
        }
    }
}

impl TelegramConfig {
    pub(super) fn resolve(mut self, place: &str, global: &GlobalConfig) -> Result<Self, ConfigError> {
        at_most_one(place, !self.bot_token.is_empty(), !self.bot_token_file.is_empty(), "bot_token & bot_token_file")?;
        if self.chat_id == 0 && self.chat_id_file.is_empty() {
            return Err(ConfigError::new(place, "missing chat_id or chat_id_file on telegram_config"));
        }
        at_most_one(place, self.chat_id != 0, !self.chat_id_file.is_empty(), "chat_id & chat_id_file")?;
        if !matches!(self.parse_mode.as_str(), "" | "Markdown" | "MarkdownV2" | "HTML") {
            let problem = "unknown parse_mode on telegram_config, must be Markdown, MarkdownV2, HTML or empty string";
            return Err(ConfigError::new(place, problem));
        }
        self.api_url = self.api_url.or_else(|| global.telegram_api_url.clone());
        if self.bot_token.is_empty() && self.bot_token_file.is_empty() {
            self.bot_token = global.telegram_bot_token.clone();
            self.bot_token_file.clone_from(&global.telegram_bot_token_file);
        }
        if self.bot_token.is_empty() && self.bot_token_file.is_empty() {
            return Err(ConfigError::new(place, "missing bot_token or bot_token_file on telegram_config"));
        }
        self.http_config = http_config(self.http_config, place, global)?;
        Ok(self)
    }
}
