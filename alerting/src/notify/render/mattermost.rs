//! Mattermost: a webhook with attachments.

use serde::Serialize;

use super::{Job, RenderError, to_json};
use crate::notify::config::receiver::{
    MattermostAttachment, MattermostConfig, MattermostField, MattermostPriority, MattermostProps,
};
use crate::notify::request::{HttpRequest, Payload};
use crate::text::cut_runes;

/// Most characters of a text.
const MAX_TEXT: usize = 16_383;

#[derive(Serialize)]
struct Body {
    #[serde(skip_serializing_if = "String::is_empty")]
    text: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    channel: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    username: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    icon_url: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    icon_emoji: String,
    attachments: Vec<MattermostAttachment>,
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    props: Option<MattermostProps>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<MattermostPriority>,
}

pub(super) fn render(job: &Job<'_>, config: &MattermostConfig) -> Result<Payload, RenderError> {
    // Without attachments of its own a message is one, made of the keys beside them.
    let (text, attachments) = if config.attachments.is_empty() {
        let one = MattermostAttachment {
            fallback: config.fallback.clone(),
            color: config.color.clone(),
            pretext: config.pretext.clone(),
            text: config.text.clone(),
            author_name: config.author_name.clone(),
            author_link: config.author_link.clone(),
            author_icon: config.author_icon.clone(),
            title: config.title.clone(),
            title_link: config.title_link.clone(),
            fields: config.fields.clone(),
            thumb_url: config.thumb_url.clone(),
            footer: config.footer.clone(),
            footer_icon: config.footer_icon.clone(),
            image_url: config.image_url.clone(),
        };
        (String::new(), vec![attachment(job, &one)?])
    } else {
        let attachments = config.attachments.iter().map(|one| attachment(job, one)).collect::<Result<_, _>>()?;
        (job.text("text", &config.text)?, attachments)
    };
    let props = config.props.as_ref().filter(|props| !props.card.is_empty());
    let body = to_json(&Body {
        text: cut_runes(&text, MAX_TEXT).0,
        channel: job.text("channel", &config.channel)?,
        username: job.text("username", &config.username)?,
        icon_url: job.text("icon_url", &config.icon_url)?,
        icon_emoji: job.text("icon_emoji", &config.icon_emoji)?,
        attachments,
        kind: job.text("type", &config.kind)?,
        props: props.map(|props| Ok(MattermostProps { card: job.text("props", &props.card)? })).transpose()?,
        priority: config.priority.as_ref().map(|one| priority(job, one)).transpose()?.flatten(),
    })?;
    let url = job.secret_url(config.webhook_url.as_ref(), &config.webhook_url_file)?;
    if url.is_empty() {
        return Err(RenderError::Empty("webhook URL"));
    }
    Ok(Payload::Http(vec![HttpRequest::json(url, body, config.http_config.clone())]))
}

fn attachment(job: &Job<'_>, one: &MattermostAttachment) -> Result<MattermostAttachment, RenderError> {
    let text = |text: &str| job.text("attachments", text);
    let field = |field: &MattermostField| {
        Ok(MattermostField { title: text(&field.title)?, value: text(&field.value)?, short: field.short })
    };
    Ok(MattermostAttachment {
        fallback: text(&one.fallback)?,
        color: text(&one.color)?,
        pretext: text(&one.pretext)?,
        text: text(&one.text)?,
        author_name: text(&one.author_name)?,
        author_link: text(&one.author_link)?,
        author_icon: text(&one.author_icon)?,
        title: text(&one.title)?,
        title_link: text(&one.title_link)?,
        fields: one.fields.iter().map(field).collect::<Result<_, RenderError>>()?,
        thumb_url: text(&one.thumb_url)?,
        footer: text(&one.footer)?,
        footer_icon: text(&one.footer_icon)?,
        image_url: text(&one.image_url)?,
    })
}

/// A priority as the server accepts it: only what is important can ask for an answer, only what is urgent can insist.
fn priority(job: &Job<'_>, one: &MattermostPriority) -> Result<Option<MattermostPriority>, RenderError> {
    if one.priority.is_empty() {
        return Ok(None);
    }
    let mut name = job.text("priority", &one.priority)?.to_lowercase();
    if !matches!(name.as_str(), "urgent" | "important" | "standard") {
        "standard".clone_into(&mut name);
    }
    Ok(Some(MattermostPriority {
        requested_ack: one.requested_ack && name != "standard",
        persistent_notifications: one.persistent_notifications && name == "urgent",
        priority: name,
    }))
}
