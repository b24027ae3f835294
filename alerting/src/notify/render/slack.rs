//! Slack messages as Alertmanager sends them: one attachment.

use serde::Serialize;

use super::{Job, RenderError, to_json};
use crate::notify::config::receiver::{SlackAction, SlackConfig, SlackConfirm, SlackField, SlackLayout};
use crate::notify::config::secret::Secret;
use crate::notify::request::{HttpRequest, Payload};
use crate::notify::retry::{SLACK_CHANNEL, SLACK_MESSAGE};
use crate::notify::rich::RichMessage;
use crate::text::cut_runes;

/// Most characters of a title.
pub(super) const MAX_TITLE: usize = 1024;
/// Where a message that was sent is changed.
const UPDATE: &str = "https://slack.com/api/chat.update";

#[derive(Serialize)]
struct Body {
    #[serde(skip_serializing_if = "String::is_empty")]
    channel: String,
    #[serde(rename = "ts", skip_serializing_if = "String::is_empty")]
    timestamp: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    username: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    icon_emoji: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    icon_url: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    link_names: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    text: String,
    attachments: [Attachment; 1],
}

#[derive(Serialize)]
struct Attachment {
    #[serde(skip_serializing_if = "String::is_empty")]
    title: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    title_link: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pretext: String,
    text: String,
    fallback: String,
    callback_id: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fields: Vec<SlackField>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    actions: Vec<SlackAction>,
    #[serde(skip_serializing_if = "String::is_empty")]
    image_url: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    thumb_url: String,
    footer: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    color: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mrkdwn_in: Vec<String>,
}

/// Where a message goes: a new one, or the one that was sent before.
pub(super) struct Target {
    pub(super) url: Secret,
    pub(super) channel: String,
    /// Id of the message to change.
    pub(super) timestamp: String,
}

pub(super) fn target(job: &Job<'_>, config: &SlackConfig) -> Result<Target, RenderError> {
    let previous = |key: &str| job.message.previous.get(key).cloned().unwrap_or_default();
    let (timestamp, channel) = (previous(SLACK_MESSAGE), previous(SLACK_CHANNEL));
    if config.update_message && !timestamp.is_empty() && !channel.is_empty() {
        return Ok(Target { url: Secret::new(UPDATE), channel, timestamp });
    }
    Ok(Target {
        url: job.secret_url(config.api_url.as_ref(), &config.api_url_file)?,
        channel: job.text("channel", &config.channel)?,
        timestamp: String::new(),
    })
}

pub(super) fn render(job: &Job<'_>, config: &SlackConfig) -> Result<Payload, RenderError> {
    let target = target(job, config)?;
    let text = |field, template: &str| job.text(field, template);
    let (username, icon_emoji) = (text("username", &config.username)?, text("icon_emoji", &config.icon_emoji)?);
    let (icon_url, color) = (text("icon_url", &config.icon_url)?, text("color", &config.color)?);
    if config.foursight_layout == SlackLayout::Rich {
        let mut rich = RichMessage::new(job.message, job.renderer.templates(), job.now_ms);
        rich.title = cut_runes(&text("title", &config.title)?, MAX_TITLE).0;
        rich.title_link = text("title_link", &config.title_link)?;
        rich.address(target.url, target.channel, target.timestamp, config.http_config.clone(), config.timeout.0);
        rich.sender(username, icon_emoji, icon_url);
        rich.color = color;
        return Ok(Payload::Rich(Box::new(rich)));
    }
    let mrkdwn_in = match &config.mrkdwn_in[..] {
        [] => ["fallback", "pretext", "text"].map(str::to_owned).to_vec(),
        own => own.to_vec(),
    };
    let attachment = Attachment {
        title: cut_runes(&text("title", &config.title)?, MAX_TITLE).0,
        title_link: text("title_link", &config.title_link)?,
        pretext: text("pretext", &config.pretext)?,
        text: text("text", &config.text)?,
        fallback: text("fallback", &config.fallback)?,
        callback_id: text("callback_id", &config.callback_id)?,
        fields: config.fields.iter().map(|one| field(job, one, config)).collect::<Result<_, _>>()?,
        actions: config.actions.iter().map(|one| action(job, one)).collect::<Result<_, _>>()?,
        image_url: text("image_url", &config.image_url)?,
        thumb_url: text("thumb_url", &config.thumb_url)?,
        footer: text("footer", &config.footer)?,
        color,
        mrkdwn_in,
    };
    let body = to_json(&Body {
        channel: target.channel,
        timestamp: target.timestamp,
        username,
        icon_emoji,
        icon_url,
        link_names: config.link_names,
        text: text("message_text", &config.message_text)?,
        attachments: [attachment],
    })?;
    let request = HttpRequest::json(target.url, body, config.http_config.clone());
    Ok(Payload::Http(vec![request.timeout(config.timeout.0)]))
}

fn field(job: &Job<'_>, field: &SlackField, config: &SlackConfig) -> Result<SlackField, RenderError> {
    Ok(SlackField {
        title: job.text("fields", &field.title)?,
        value: job.text("fields", &field.value)?,
        short: Some(field.short.unwrap_or(config.short_fields)),
    })
}

fn action(job: &Job<'_>, action: &SlackAction) -> Result<SlackAction, RenderError> {
    let text = |template: &str| job.text("actions", template);
    let confirm = match &action.confirm {
        None => None,
        Some(confirm) => Some(SlackConfirm {
            title: text(&confirm.title)?,
            text: text(&confirm.text)?,
            ok_text: text(&confirm.ok_text)?,
            dismiss_text: text(&confirm.dismiss_text)?,
        }),
    };
    Ok(SlackAction {
        kind: text(&action.kind)?,
        text: text(&action.text)?,
        url: text(&action.url)?,
        style: text(&action.style)?,
        name: text(&action.name)?,
        value: text(&action.value)?,
        confirm,
    })
}
