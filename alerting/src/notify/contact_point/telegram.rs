//! Telegram contact points.

use serde::Deserialize;
use serde_json::Value;

use super::{DEFAULT_MESSAGE, SettingsError, number_text, or_default, read};
use crate::notify::config::secret::Secret;
use crate::notify::render::telegram::{MAX_MESSAGE, Telegram};
use crate::notify::render::{Job, RenderError};
use crate::notify::request::Payload;
use crate::text::cut_runes;

/// What settings call the modes, and what the API does.
const MODES: [(&str, &str); 4] =
    [("Markdown", "Markdown"), ("MarkdownV2", "MarkdownV2"), ("HTML", "HTML"), ("None", "")];

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Settings {
    bottoken: Secret,
    #[serde(deserialize_with = "number_text")]
    chatid: String,
    #[serde(deserialize_with = "number_text")]
    message_thread_id: String,
    message: String,
    parse_mode: String,
    disable_web_page_preview: bool,
    protect_content: bool,
    disable_notifications: bool,
}

impl Settings {
    pub(super) fn new(settings: Value) -> Result<Self, SettingsError> {
        let mut own: Self = read(settings)?;
        if own.bottoken.is_empty() {
            return Err(SettingsError::new("could not find Bot Token in settings"));
        }
        if own.chatid.is_empty() {
            return Err(SettingsError::new("could not find Chat Id in settings"));
        }
        if !own.message_thread_id.is_empty() {
            let number: i64 = own
                .message_thread_id
                .parse()
                .map_err(|_| SettingsError::new("message thread id must be an integer"))?;
            i32::try_from(number).map_err(|_| SettingsError::new("message thread id must be an int32"))?;
        }
        or_default(&mut own.message, DEFAULT_MESSAGE);
        or_default(&mut own.parse_mode, "HTML");
        let mode = MODES.iter().find(|(name, _)| name.eq_ignore_ascii_case(&own.parse_mode));
        let Some((_, mode)) = mode else {
            return Err(SettingsError::new("unknown parse_mode, must be Markdown, MarkdownV2, HTML or None"));
        };
        (*mode).clone_into(&mut own.parse_mode);
        Ok(own)
    }

    pub(super) fn render(&self, job: &Job<'_>) -> Result<Payload, RenderError> {
        let text = cut_runes(&job.text_or(&self.message, DEFAULT_MESSAGE), MAX_MESSAGE).0;
        let telegram = Telegram {
            api_url: "https://api.telegram.org",
            token: self.bottoken.expose(),
            chat_id: &self.chatid,
            thread_id: self.message_thread_id.parse().ok(),
            parse_mode: &self.parse_mode,
            silent: self.disable_notifications,
            preview: !self.disable_web_page_preview,
            protect: self.protect_content,
            http_config: None,
        };
        telegram.request(&text)
    }
}
