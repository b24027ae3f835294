//! VictorOps contact points.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{DEFAULT_MESSAGE, DEFAULT_TITLE, SettingsError, or_default, read};
use crate::notify::config::secret::Secret;
use crate::notify::message::Status;
use crate::notify::render::victorops::MAX_MESSAGE;
use crate::notify::render::{Job, RenderError, to_json};
use crate::notify::request::{HttpRequest, Payload};
use crate::text::cut_runes;

const CRITICAL: &str = "CRITICAL";

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Settings {
    url: Secret,
    message_type: String,
    title: String,
    description: String,
}

impl Settings {
    pub(super) fn new(settings: Value) -> Result<Self, SettingsError> {
        let mut own: Self = read(settings)?;
        if own.url.is_empty() {
            return Err(SettingsError::new("could not find victorops url property in settings"));
        }
        or_default(&mut own.message_type, CRITICAL);
        or_default(&mut own.title, DEFAULT_TITLE);
        or_default(&mut own.description, DEFAULT_MESSAGE);
        Ok(own)
    }

    pub(super) fn render(&self, job: &Job<'_>) -> Result<Payload, RenderError> {
        let mut kind = match job.message.status() {
            Status::Firing => job.text_or(&self.message_type, CRITICAL).to_uppercase(),
            Status::Resolved => "RECOVERY".to_owned(),
        };
        or_default(&mut kind, CRITICAL);
        let mut event = json!({
            "message_type": kind,
            "entity_id": job.key_hash(),
            "entity_display_name": job.text_or(&self.title, DEFAULT_TITLE),
            "timestamp": job.now_ms.div_euclid(1000),
            "state_message": cut_runes(&job.text_or(&self.description, DEFAULT_MESSAGE), MAX_MESSAGE).0,
            "monitoring_tool": format!("Grafana v{}", job.renderer.templates().version()),
            "alert_url": job.rules_url(),
        });
        if let Some(url) = job.image_url() {
            event["image_url"] = url.into();
        }
        let url = Secret::new(job.text_or_itself(self.url.expose()));
        Ok(Payload::Http(vec![HttpRequest::json(url, to_json(&event)?, None)]))
    }
}
