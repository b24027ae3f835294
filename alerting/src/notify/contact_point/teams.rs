//! Microsoft Teams contact points: an adaptive card with a button.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{DEFAULT_TITLE, SettingsError, or_default, read};
use crate::notify::config::secret::Secret;
use crate::notify::render::teams::color;
use crate::notify::render::{Job, RenderError, to_json};
use crate::notify::request::{HttpRequest, Payload};

const MESSAGE: &str = "{{ template \"teams.default.message\" .}}";

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Settings {
    url: Secret,
    message: String,
    title: String,
}

impl Settings {
    pub(super) fn new(settings: Value) -> Result<Self, SettingsError> {
        let mut own: Self = read(settings)?;
        if own.url.is_empty() {
            return Err(SettingsError::new("could not find url property in settings"));
        }
        or_default(&mut own.message, MESSAGE);
        or_default(&mut own.title, DEFAULT_TITLE);
        Ok(own)
    }

    pub(super) fn render(&self, job: &Job<'_>) -> Result<Payload, RenderError> {
        let title = job.text_or(&self.title, DEFAULT_TITLE);
        let mut body = vec![
            json!({
                "type": "TextBlock", "text": title, "color": color(job.message.status()), "size": "large",
                "weight": "bolder", "wrap": true,
            }),
            json!({ "type": "TextBlock", "text": job.text_or(&self.message, MESSAGE), "wrap": true }),
        ];
        let images: Vec<Value> = job
            .extended()
            .into_iter()
            .filter(|alert| !alert.image_url.is_empty())
            .map(|alert| json!({ "type": "Image", "url": alert.image_url }))
            .collect();
        if !images.is_empty() {
            let size = if images.len() > 2 { "medium" } else { "large" };
            body.push(json!({ "type": "ImageSet", "imageSize": size, "images": images }));
        }
        body.push(json!({
            "type": "ActionSet",
            "actions": [{ "type": "Action.OpenUrl", "title": "View URL", "url": job.rules_url() }],
        }));
        let message = json!({
            "type": "message",
            "summary": title,
            "attachments": [{
                "contentType": "application/vnd.microsoft.card.adaptive",
                "content": {
                    "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                    "type": "AdaptiveCard",
                    "version": "1.4",
                    "body": body,
                    "msTeams": { "width": "Full" },
                },
            }],
        });
        let url = Secret::new(job.text_or_itself(self.url.expose()));
        Ok(Payload::Http(vec![HttpRequest::json(url, to_json(&message)?, None)]))
    }
}
