//! Telegram: `sendMessage` of a bot.

use serde::Serialize;

use super::{Job, RenderError, to_json};
use crate::notify::config::http::HttpConfig;
use crate::notify::config::receiver::TelegramConfig;
use crate::notify::config::secret::Secret;
use crate::notify::request::{HttpRequest, Payload};
use crate::text::cut_runes;

/// Most characters of a message.
pub(in crate::notify) const MAX_MESSAGE: usize = 4096;
/// HTML cannot be cut without breaking it.
pub(in crate::notify) const TOO_LONG: &str = "This notification is longer than Telegram allows and was not sent in full. \
     Shorten the template of the message.";

#[derive(Serialize)]
struct Body<'a> {
    chat_id: &'a str,
    text: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    parse_mode: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_thread_id: Option<i64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    disable_notification: bool,
    disable_web_page_preview: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    protect_content: bool,
}

/// A message to be sent.
pub(in crate::notify) struct Telegram<'a> {
    pub(in crate::notify) api_url: &'a str,
    pub(in crate::notify) token: &'a str,
    pub(in crate::notify) chat_id: &'a str,
    pub(in crate::notify) thread_id: Option<i64>,
    pub(in crate::notify) parse_mode: &'a str,
    pub(in crate::notify) silent: bool,
    pub(in crate::notify) preview: bool,
    pub(in crate::notify) protect: bool,
    pub(in crate::notify) http_config: Option<HttpConfig>,
}

impl Telegram<'_> {
    pub(in crate::notify) fn request(self, text: &str) -> Result<Payload, RenderError> {
        let body = to_json(&Body {
            chat_id: self.chat_id,
            text,
            parse_mode: self.parse_mode,
            message_thread_id: self.thread_id,
            disable_notification: self.silent,
            disable_web_page_preview: !self.preview,
            protect_content: self.protect,
        })?;
        let url = format!("{}/bot{}/sendMessage", self.api_url.trim_end_matches('/'), self.token);
        Ok(Payload::Http(vec![HttpRequest::json(Secret::new(url), body, self.http_config)]))
    }
}

pub(in crate::notify) fn render(job: &Job<'_>, config: &TelegramConfig) -> Result<Payload, RenderError> {
    let text = if config.parse_mode == "HTML" {
        let text = super::expand(&job.page.html(), "message", &config.message)?;
        if text.chars().count() > MAX_MESSAGE { TOO_LONG.to_owned() } else { text }
    } else {
        cut_runes(&job.text("message", &config.message)?, MAX_MESSAGE).0
    };
    let chat_id = if config.chat_id_file.is_empty() {
        config.chat_id.to_string()
    } else {
        let content = job.file(&config.chat_id_file)?;
        if content.parse::<i64>().is_err() {
            return Err(RenderError::Invalid { what: "chat_id_file", problem: "it does not hold a number".to_owned() });
        }
        content
    };
    let telegram = Telegram {
        api_url: config.api_url.as_ref().map_or("https://api.telegram.org", |url| url.as_str()),
        token: &job.secret(&config.bot_token, &config.bot_token_file)?,
        chat_id: &chat_id,
        thread_id: (config.message_thread_id != 0).then_some(config.message_thread_id),
        parse_mode: &config.parse_mode,
        silent: config.disable_notifications,
        preview: false,
        protect: false,
        http_config: config.http_config.clone(),
    };
    telegram.request(&text)
}
