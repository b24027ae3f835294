//! Discord: a webhook with one embed.

use serde::Serialize;

use super::{Job, RenderError, to_json};
use crate::notify::config::receiver::DiscordConfig;
use crate::notify::message::Status;
use crate::notify::request::{HttpRequest, Payload};
use crate::text::cut_runes;

/// Most characters of a title, a description and the text beside them.
pub(in crate::notify) const MAX_TITLE: usize = 256;
pub(in crate::notify) const MAX_DESCRIPTION: usize = 4096;
pub(in crate::notify) const MAX_CONTENT: usize = 2000;
const RED: u32 = 0x99_2d22;
const GREEN: u32 = 0x2e_cc71;

#[derive(Serialize)]
pub(in crate::notify) struct Body {
    pub(in crate::notify) content: String,
    pub(in crate::notify) embeds: Vec<Embed>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(in crate::notify) username: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(in crate::notify) avatar_url: String,
}

#[derive(Default, Serialize)]
pub(in crate::notify) struct Embed {
    pub(in crate::notify) title: String,
    pub(in crate::notify) description: String,
    pub(in crate::notify) color: u32,
}

pub(in crate::notify) fn render(job: &Job<'_>, config: &DiscordConfig) -> Result<Payload, RenderError> {
    let color = match job.message.status() {
        Status::Firing => RED,
        Status::Resolved => GREEN,
    };
    let embed = Embed {
        title: cut_runes(&job.text("title", &config.title)?, MAX_TITLE).0,
        description: cut_runes(&job.text("message", &config.message)?, MAX_DESCRIPTION).0,
        color,
    };
    let body = to_json(&Body {
        content: cut_runes(&job.text("content", &config.content)?, MAX_CONTENT).0,
        embeds: vec![embed],
        username: config.username.clone(),
        avatar_url: config.avatar_url.clone(),
    })?;
    let url = job.secret_url(config.webhook_url.as_ref(), &config.webhook_url_file)?;
    Ok(Payload::Http(vec![HttpRequest::json(url, body, config.http_config.clone())]))
}
