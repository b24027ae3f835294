//! Webex: a message in Markdown.

use serde::Serialize;

use super::{Job, RenderError, to_json};
use crate::notify::config::receiver::WebexConfig;
use crate::notify::config::secret::Secret;
use crate::notify::request::{HttpRequest, Payload};
use crate::text::cut_bytes;

/// Most bytes of a message.
pub(in crate::notify) const MAX_MESSAGE: usize = 7439;

#[derive(Serialize)]
struct Body {
    markdown: String,
    #[serde(rename = "roomId", skip_serializing_if = "String::is_empty")]
    room_id: String,
}

pub(super) fn render(job: &Job<'_>, config: &WebexConfig) -> Result<Payload, RenderError> {
    let body = to_json(&Body {
        markdown: cut_bytes(&job.text("message", &config.message)?, MAX_MESSAGE).0,
        room_id: job.text("room_id", &config.room_id)?,
    })?;
    let url = Secret::new(config.api_url.as_ref().map_or("", |url| url.as_str()));
    Ok(Payload::Http(vec![HttpRequest::json(url, body, config.http_config.clone())]))
}
