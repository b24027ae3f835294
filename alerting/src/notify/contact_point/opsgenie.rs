//! OpsGenie contact points.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::{DEFAULT_MESSAGE, DEFAULT_TITLE, SettingsError, or_default, read};
use crate::notify::config::receiver::OpsGenieResponder;
use crate::notify::config::secret::Secret;
use crate::notify::message::Status;
use crate::notify::render::opsgenie::{Client, Create, MAX_MESSAGE, responders};
use crate::notify::render::{Job, RenderError};
use crate::notify::request::Payload;
use crate::notify::template::private;
use crate::text::cut_runes;

const RESPONDERS: [&str; 5] = ["team", "teams", "user", "escalation", "schedule"];

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Settings {
    api_key: Secret,
    api_url: String,
    message: String,
    description: String,
    auto_close: Option<bool>,
    override_priority: Option<bool>,
    send_tags_as: String,
    responders: Vec<OpsGenieResponder>,
}

impl Settings {
    pub(super) fn new(settings: Value) -> Result<Self, SettingsError> {
        let mut own: Self = read(settings)?;
        if own.api_key.is_empty() {
            return Err(SettingsError::new("could not find api key property in settings"));
        }
        or_default(&mut own.api_url, "https://api.opsgenie.com/v2/alerts");
        if own.message.trim().is_empty() {
            DEFAULT_TITLE.clone_into(&mut own.message);
        }
        or_default(&mut own.send_tags_as, "tags");
        if !matches!(own.send_tags_as.as_str(), "tags" | "details" | "both") {
            return Err(SettingsError::new(format!("invalid value for sendTagsAs: {:?}", own.send_tags_as)));
        }
        for (i, one) in own.responders.iter_mut().enumerate() {
            let error = |problem: &str| Err(SettingsError::new(format!("responder at index [{i}] {problem}")));
            if one.id.is_empty() && one.username.is_empty() && one.name.is_empty() {
                return error("must have at least one of id, username or name specified");
            }
            if !one.kind.contains("{{") {
                one.kind = one.kind.to_lowercase();
                if !RESPONDERS.contains(&one.kind.as_str()) {
                    let kinds = RESPONDERS.join(",");
                    return error(&format!("has unsupported type. Supported only: {kinds}"));
                }
            }
            if one.kind == "teams" && one.name.is_empty() {
                return error("has type 'teams' but empty name. Must be comma-separated string of names");
            }
        }
        Ok(own)
    }

    pub(super) fn render(&self, job: &Job<'_>) -> Result<Payload, RenderError> {
        let client = Client {
            base: job.text_or_itself(&self.api_url),
            key: self.api_key.expose().to_owned(),
            http_config: None,
        };
        if job.message.status() == Status::Resolved {
            // Without requests there is nothing to send, which counts as sent.
            let close = self.auto_close.unwrap_or(true);
            let requests = if close { vec![client.close(&job.key_hash(), "Grafana")?] } else { Vec::new() };
            return Ok(Payload::Http(requests));
        }
        let labels: BTreeMap<String, String> = job
            .message
            .common_labels
            .iter()
            .filter(|(name, _)| !private(name))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let priority = labels.get("og_priority").filter(|priority| {
            self.override_priority.unwrap_or(true) && matches!(priority.as_str(), "P1" | "P2" | "P3" | "P4" | "P5")
        });
        let as_tags = matches!(self.send_tags_as.as_str(), "tags" | "both");
        let as_details = matches!(self.send_tags_as.as_str(), "details" | "both");
        let mut details = BTreeMap::from([("url".to_owned(), job.rules_url())]);
        if as_details {
            details.extend(labels.clone());
            let images: Vec<String> =
                job.extended().into_iter().map(|alert| alert.image_url).filter(|url| !url.is_empty()).collect();
            if !images.is_empty() {
                details.insert("image_urls".to_owned(), images.join(", "));
            }
        }
        let mut description = job.text_or(&self.description, "");
        if description.trim().is_empty() {
            let (title, text) = (job.text_or(DEFAULT_TITLE, ""), job.text_or(DEFAULT_MESSAGE, ""));
            description = format!("{title}\n{}\n\n{text}", job.rules_url());
        }
        let create = Create {
            alias: job.key_hash(),
            message: cut_runes(&job.text_or(&self.message, DEFAULT_TITLE), MAX_MESSAGE).0,
            description,
            details,
            source: "Grafana".to_owned(),
            responders: responders(job, &self.responders)?,
            tags: if as_tags { labels.iter().map(|(n, v)| format!("{n}:{v}")).collect() } else { Vec::new() },
            note: String::new(),
            priority: priority.cloned().unwrap_or_default(),
            entity: String::new(),
            actions: Vec::new(),
        };
        client.create(&create, false).map(Payload::Http)
    }
}
