//! DingTalk contact points: a message with a link to the alerts.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{DEFAULT_MESSAGE, DEFAULT_TITLE, SettingsError, or_default, read};
use crate::notify::config::secret::Secret;
use crate::notify::render::{Job, RenderError, to_json};
use crate::notify::request::{HttpRequest, Payload};
use crate::text::escape_query;

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Settings {
    url: Secret,
    #[serde(rename = "msgType")]
    message_type: String,
    title: String,
    message: String,
}

impl Settings {
    pub(super) fn new(settings: Value) -> Result<Self, SettingsError> {
        let mut own: Self = read(settings)?;
        if own.url.is_empty() {
            return Err(SettingsError::new("could not find url property in settings"));
        }
        or_default(&mut own.message_type, "link");
        or_default(&mut own.title, DEFAULT_TITLE);
        or_default(&mut own.message, DEFAULT_MESSAGE);
        Ok(own)
    }

    pub(super) fn render(&self, job: &Job<'_>) -> Result<Payload, RenderError> {
        let (title, text) = (job.text_or(&self.title, DEFAULT_TITLE), job.text_or(&self.message, DEFAULT_MESSAGE));
        // This form of link opens outside of DingTalk's own window.
        let link = format!("dingtalk://dingtalkclient/page/link?pc_slide=false&url={}", escape_query(&job.rules_url()));
        let body = match job.text_or_itself(&self.message_type).as_str() {
            "actionCard" => json!({
                "msgtype": "actionCard",
                "actionCard": { "text": text, "title": title, "singleTitle": "More", "singleURL": link },
            }),
            _ => json!({ "msgtype": "link", "link": { "text": text, "title": title, "messageUrl": link } }),
        };
        let url = Secret::new(job.text_or_itself(self.url.expose()));
        Ok(Payload::Http(vec![HttpRequest::json(url, to_json(&body)?, None)]))
    }
}
