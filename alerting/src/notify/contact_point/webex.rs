//! Webex contact points.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{DEFAULT_MESSAGE, SettingsError, or_default, read};
use crate::notify::config::secret::Secret;
use crate::notify::render::{Job, RenderError, to_json};
use crate::notify::request::{HttpRequest, Payload};
use crate::text::cut_bytes;

/// Most bytes of a message.
const MAX_MESSAGE: usize = 4096;

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Settings {
    message: String,
    room_id: String,
    api_url: String,
    bot_token: Secret,
}

impl Settings {
    pub(super) fn new(settings: Value) -> Result<Self, SettingsError> {
        let mut own: Self = read(settings)?;
        or_default(&mut own.api_url, "https://webexapis.com/v1/messages");
        or_default(&mut own.message, DEFAULT_MESSAGE);
        Ok(own)
    }

    pub(super) fn render(&self, job: &Job<'_>) -> Result<Payload, RenderError> {
        let mut body = json!({ "markdown": cut_bytes(&job.text_or(&self.message, DEFAULT_MESSAGE), MAX_MESSAGE).0 });
        if !self.room_id.is_empty() {
            body["roomId"] = self.room_id.as_str().into();
        }
        // There can be but one.
        if let Some(url) = job.image_url() {
            body["files"] = json!([url]);
        }
        let url = Secret::new(job.text("api_url", &self.api_url)?);
        let mut request = HttpRequest::json(url, to_json(&body)?, None);
        if !self.bot_token.is_empty() {
            let value = format!("Bearer {}", self.bot_token.expose());
            request.headers.push(("Authorization".to_owned(), Secret::new(value)));
        }
        Ok(Payload::Http(vec![request]))
    }
}
