//! Rocket.Chat: a message with one attachment, posted as a user.

use serde::Serialize;

use super::{Job, RenderError, to_json};
use crate::notify::config::receiver::{RocketchatAction, RocketchatConfig, RocketchatField};
use crate::notify::config::secret::Secret;
use crate::notify::request::{HttpRequest, Payload};
use crate::text::cut_runes;

/// Most characters of a title.
const MAX_TITLE: usize = 1024;

#[derive(Serialize)]
struct Body {
    #[serde(skip_serializing_if = "String::is_empty")]
    channel: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    emoji: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    avatar: String,
    attachments: [Attachment; 1],
}

#[derive(Serialize)]
struct Attachment {
    #[serde(skip_serializing_if = "String::is_empty")]
    title: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    title_link: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    text: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    image_url: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    thumb_url: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    color: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fields: Vec<RocketchatField>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    actions: Vec<Action>,
}

#[derive(Serialize)]
struct Action {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    text: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    url: String,
    is_webview: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    msg: String,
    msg_in_chat_window: bool,
}

pub(super) fn render(job: &Job<'_>, config: &RocketchatConfig) -> Result<Payload, RenderError> {
    let field = |one: &RocketchatField| {
        Ok(RocketchatField {
            title: job.text("fields", &one.title)?,
            value: job.text("fields", &one.value)?,
            short: Some(one.short.unwrap_or(config.short_fields)),
        })
    };
    // There are no actions but buttons, and of these no other settings are sent.
    let action = |one: &RocketchatAction| {
        Ok(Action {
            kind: "button",
            text: job.text("actions", &one.text)?,
            url: job.text("actions", &one.url)?,
            is_webview: false,
            msg: job.text("actions", &one.msg)?,
            msg_in_chat_window: false,
        })
    };
    let attachment = Attachment {
        title: cut_runes(&job.text("title", &config.title)?, MAX_TITLE).0,
        title_link: job.text("title_link", &config.title_link)?,
        text: job.text("text", &config.text)?,
        image_url: job.text("image_url", &config.image_url)?,
        thumb_url: job.text("thumb_url", &config.thumb_url)?,
        color: job.text("color", &config.color)?,
        fields: config.fields.iter().map(field).collect::<Result<_, _>>()?,
        actions: config.actions.iter().map(action).collect::<Result<_, RenderError>>()?,
    };
    let body = to_json(&Body {
        channel: job.text("channel", &config.channel)?,
        emoji: job.text("emoji", &config.emoji)?,
        avatar: job.text("icon_url", &config.icon_url)?,
        attachments: [attachment],
    })?;
    let base = config.api_url.as_ref().map_or_else(String::new, |url| url.with_slash());
    let url = Secret::new(format!("{base}api/v1/chat.postMessage"));
    let mut request = HttpRequest::json(url, body, config.http_config.clone());
    let token = job.secret(&config.token, &config.token_file)?;
    let token_id = job.secret(&config.token_id, &config.token_id_file)?;
    request.headers.push(("X-Auth-Token".to_owned(), Secret::new(token)));
    request.headers.push(("X-User-Id".to_owned(), Secret::new(token_id)));
    Ok(Payload::Http(vec![request]))
}
