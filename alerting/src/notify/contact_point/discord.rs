//! Discord contact points.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{DEFAULT_MESSAGE, DEFAULT_TITLE, FOOTER_ICON, SettingsError, or_default, read};
use crate::notify::config::secret::Secret;
use crate::notify::message::Status;
use crate::notify::render::discord::{MAX_CONTENT, MAX_TITLE};
use crate::notify::render::{Job, RenderError, to_json};
use crate::notify::request::{HttpRequest, Payload};
use crate::text::cut_runes;

/// Most embeds of a message.
const MAX_EMBEDS: usize = 10;

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Settings {
    title: String,
    message: String,
    avatar_url: String,
    url: Secret,
    use_discord_username: bool,
    use_embed_description: bool,
}

impl Settings {
    pub(super) fn new(settings: Value) -> Result<Self, SettingsError> {
        let mut own: Self = read(settings)?;
        if own.url.is_empty() {
            return Err(SettingsError::new("could not find webhook url property in settings"));
        }
        or_default(&mut own.title, DEFAULT_TITLE);
        or_default(&mut own.message, DEFAULT_MESSAGE);
        Ok(own)
    }

    pub(super) fn render(&self, job: &Job<'_>) -> Result<Payload, RenderError> {
        let content = cut_runes(&job.text_or(&self.message, DEFAULT_MESSAGE), MAX_CONTENT).0;
        let color = match job.message.status() {
            Status::Firing => 0xd6_3232,
            Status::Resolved => 0x36_a64f,
        };
        let mut embed = json!({
            "title": cut_runes(&job.text_or(&self.title, DEFAULT_TITLE), MAX_TITLE).0,
            "type": "rich",
            "url": job.rules_url(),
            "color": color,
            "footer": {
                "text": format!("Grafana v{}", job.renderer.templates().version()),
                "icon_url": FOOTER_ICON,
            },
        });
        // Only the content makes mentions ring.
        let mut body = json!({ "content": if self.use_embed_description { "" } else { content.as_str() } });
        if self.use_embed_description {
            embed["description"] = content.into();
        }
        let mut embeds = vec![embed];
        let mut seen: Vec<String> = Vec::new();
        for alert in job.extended().into_iter().filter(|alert| !alert.image_url.is_empty()) {
            let name = alert.labels.get("alertname").cloned().unwrap_or_default();
            if embeds.len() < MAX_EMBEDS && !seen.contains(&name) {
                let title = cut_runes(&name, MAX_TITLE).0;
                embeds.push(json!({ "title": title, "color": color, "image": { "url": alert.image_url } }));
                seen.push(name);
            }
        }
        body["embeds"] = embeds.into();
        if !self.use_discord_username {
            body["username"] = "Grafana".into();
        }
        if !self.avatar_url.is_empty() {
            body["avatar_url"] = job.text_or_itself(&self.avatar_url).into();
        }
        let url = Secret::new(job.text_or_itself(self.url.expose()));
        Ok(Payload::Http(vec![HttpRequest::json(url, to_json(&body)?, None)]))
    }
}
