//! Microsoft Teams: an adaptive card through Power Automate, or a message card through the older connectors.

use serde_json::{Value, json};

use super::{Job, RenderError, to_json};
use crate::notify::config::receiver::{MsTeamsConfig, MsTeamsV2Config};
use crate::notify::message::Status;
use crate::notify::request::{HttpRequest, Payload};

/// A message of one card with a heading and further blocks.
pub(in crate::notify) fn card(title: &str, color: &str, rest: Vec<Value>) -> Value {
    let mut body = vec![json!({
        "type": "TextBlock", "text": title, "weight": "Bolder", "size": "Medium", "wrap": true, "style": "heading",
        "color": color,
    })];
    body.extend(rest);
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.2",
                "body": body,
                "msteams": { "width": "full" },
            },
        }],
    })
}

pub(in crate::notify) fn color(status: Status) -> &'static str {
    match status {
        Status::Firing => "Attention",
        Status::Resolved => "Good",
    }
}

pub(in crate::notify) fn render(job: &Job<'_>, config: &MsTeamsV2Config) -> Result<Payload, RenderError> {
    let (title, text) = (job.text("title", &config.title)?, job.text("text", &config.text)?);
    let block = json!({ "type": "TextBlock", "text": text, "wrap": true });
    let body = to_json(&card(&title, color(job.message.status()), vec![block]))?;
    let url = job.secret_url(config.webhook_url.as_ref(), &config.webhook_url_file)?;
    Ok(Payload::Http(vec![HttpRequest::json(url, body, config.http_config.clone())]))
}

pub(super) fn render_message_card(job: &Job<'_>, config: &MsTeamsConfig) -> Result<Payload, RenderError> {
    let theme_color = match job.message.status() {
        Status::Firing => "8C1A1A",
        Status::Resolved => "2DC72D",
    };
    let body = to_json(&json!({
        "@context": "http://schema.org/extensions",
        "type": "MessageCard",
        "title": job.text("title", &config.title)?,
        "summary": job.text("summary", &config.summary)?,
        "text": job.text("text", &config.text)?,
        "themeColor": theme_color,
    }))?;
    let url = job.secret_url(config.webhook_url.as_ref(), &config.webhook_url_file)?;
    Ok(Payload::Http(vec![HttpRequest::json(url, body, config.http_config.clone())]))
}
