//! Google Chat contact points: a card with a button, and one with pictures.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{DEFAULT_MESSAGE, DEFAULT_TITLE, SettingsError, or_default, read};
use crate::notify::config::secret::Secret;
use crate::notify::render::{Job, RenderError, to_json};
use crate::notify::request::{HttpRequest, Payload};

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Settings {
    url: Secret,
    title: String,
    message: String,
    hide_open_button: bool,
    hide_version_info: bool,
}

impl Settings {
    pub(super) fn new(settings: Value) -> Result<Self, SettingsError> {
        let mut own: Self = read(settings)?;
        if own.url.is_empty() {
            return Err(SettingsError::new("could not find url property in settings"));
        }
        or_default(&mut own.title, DEFAULT_TITLE);
        or_default(&mut own.message, DEFAULT_MESSAGE);
        Ok(own)
    }

    pub(super) fn render(&self, job: &Job<'_>) -> Result<Payload, RenderError> {
        let paragraph = |text: &str| json!({ "textParagraph": { "text": text } });
        let mut widgets = Vec::new();
        // A paragraph without text is refused, and so is a link that is none.
        let message = job.text_or(&self.message, DEFAULT_MESSAGE);
        if !message.is_empty() {
            widgets.push(paragraph(&message));
        }
        let link = job.rules_url();
        if !self.hide_open_button && link.contains("://") {
            let open = json!({ "text": "OPEN IN GRAFANA", "onClick": { "openLink": { "url": link } } });
            widgets.push(json!({ "buttons": [{ "textButton": open }] }));
        }
        if !self.hide_version_info {
            let now = Timestamp::from_millisecond(job.now_ms).unwrap_or(Timestamp::UNIX_EPOCH);
            let now = now.strftime("%d %b %y %H:%M UTC");
            widgets.push(paragraph(&format!("Grafana v{} | {now}", job.renderer.templates().version())));
        }
        let title = job.text_or(&self.title, DEFAULT_TITLE);
        let mut cards = vec![json!({ "header": { "title": title }, "sections": [{ "widgets": widgets }] })];
        let pictures: Vec<Value> = job
            .extended()
            .into_iter()
            .filter(|alert| !alert.image_url.is_empty())
            .map(|alert| {
                let name = alert.labels.get("alertname").cloned().unwrap_or_default();
                let picture = json!({ "image": { "imageUrl": alert.image_url } });
                json!({ "widgets": [paragraph(&format!("{}: {name}", alert.status)), picture] })
            })
            .collect();
        if !pictures.is_empty() {
            cards.push(json!({ "header": { "title": "Screenshots" }, "sections": pictures }));
        }
        let body = to_json(&json!({ "previewText": title, "fallbackText": title, "cards": cards }))?;
        let url = Secret::new(job.text_or_itself(self.url.expose()));
        let mut request = HttpRequest::json(url, body, None);
        request.headers = vec![("Content-Type".to_owned(), Secret::new("application/json; charset=UTF-8"))];
        Ok(Payload::Http(vec![request]))
    }
}
