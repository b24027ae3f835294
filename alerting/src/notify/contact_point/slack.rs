//! Slack contact points: one attachment, mentions before it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{DEFAULT_COLOR, DEFAULT_MESSAGE, DEFAULT_TITLE, FOOTER_ICON, SettingsError, comma_list, or_default, read};
use crate::notify::config::global::SLACK_POST_MESSAGE;
use crate::notify::config::secret::Secret;
use crate::notify::render::{Job, RenderError, to_json};
use crate::notify::request::{HttpRequest, Payload};
use crate::text::cut_runes;

const MAX_TITLE: usize = 1024;
const MAX_FOOTER: usize = 300;
const FOOTER: &str = "{{ template \"slack.default.footer\" . }}";

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Settings {
    #[serde(rename = "endpointUrl")]
    endpoint_url: String,
    url: Secret,
    token: Secret,
    recipient: String,
    text: String,
    title: String,
    username: String,
    icon_emoji: String,
    icon_url: String,
    #[serde(rename = "mentionChannel")]
    mention_channel: String,
    #[serde(rename = "mentionUsers", deserialize_with = "comma_list")]
    mention_users: Vec<String>,
    #[serde(rename = "mentionGroups", deserialize_with = "comma_list")]
    mention_groups: Vec<String>,
    color: String,
    footer: String,
}

#[derive(Serialize)]
struct Body {
    #[serde(skip_serializing_if = "String::is_empty")]
    channel: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    username: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    icon_emoji: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    icon_url: String,
    attachments: [Attachment; 1],
}

#[derive(Serialize)]
struct Attachment {
    #[serde(skip_serializing_if = "String::is_empty")]
    title: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    title_link: String,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_url: Option<String>,
    fallback: String,
    footer: String,
    footer_icon: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    color: String,
    ts: i64,
    #[serde(skip_serializing_if = "String::is_empty")]
    pretext: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mrkdwn_in: Vec<&'static str>,
}

impl Settings {
    pub(super) fn new(settings: Value) -> Result<Self, SettingsError> {
        let mut own: Self = read(settings)?;
        or_default(&mut own.endpoint_url, SLACK_POST_MESSAGE);
        if own.url.is_empty() {
            own.url = Secret::new(own.endpoint_url.as_str());
        }
        own.recipient = own.recipient.trim().to_owned();
        let chat_api = own.url.expose() == SLACK_POST_MESSAGE;
        if own.recipient.is_empty() && chat_api {
            return Err(SettingsError::new("recipient must be specified when using the Slack chat API"));
        }
        if !matches!(own.mention_channel.as_str(), "" | "here" | "channel") {
            return Err(SettingsError::new(format!("invalid value for mentionChannel: {:?}", own.mention_channel)));
        }
        if own.token.is_empty() && chat_api {
            return Err(SettingsError::new("token must be specified when using the Slack chat API"));
        }
        or_default(&mut own.username, "Grafana");
        or_default(&mut own.text, DEFAULT_MESSAGE);
        or_default(&mut own.title, DEFAULT_TITLE);
        or_default(&mut own.color, DEFAULT_COLOR);
        or_default(&mut own.footer, FOOTER);
        Ok(own)
    }

    pub(super) fn render(&self, job: &Job<'_>) -> Result<Payload, RenderError> {
        let title = cut_runes(&job.text_or(&self.title, DEFAULT_TITLE), MAX_TITLE).0;
        let pretext = self.mentions(job);
        let attachment = Attachment {
            title_link: common_source(job).unwrap_or_else(|| job.rules_url()),
            text: job.text_or(&self.text, DEFAULT_MESSAGE),
            // A webhook cannot be given a file, only the address of one.
            image_url: if self.token.is_empty() { job.image_url() } else { None },
            fallback: title.clone(),
            title,
            footer: cut_runes(&job.text_or(&self.footer, FOOTER), MAX_FOOTER).0,
            footer_icon: FOOTER_ICON,
            color: job.text_or(&self.color, DEFAULT_COLOR),
            ts: job.now_ms.div_euclid(1000),
            mrkdwn_in: if pretext.is_empty() { Vec::new() } else { vec!["pretext"] },
            pretext,
        };
        let body = to_json(&Body {
            channel: job.text_or_itself(&self.recipient),
            username: job.text_or_itself(&self.username),
            icon_emoji: job.text_or_itself(&self.icon_emoji),
            icon_url: job.text_or_itself(&self.icon_url),
            attachments: [attachment],
        })?;
        let mut request = HttpRequest::json(self.url.clone(), body, None);
        if !self.token.is_empty() {
            let bearer = Secret::new(format!("Bearer {}", self.token.expose()));
            request.headers.push(("Authorization".to_owned(), bearer));
        }
        Ok(Payload::Http(vec![request]))
    }

    fn mentions(&self, job: &Job<'_>) -> String {
        let mut parts = Vec::new();
        let channel = self.mention_channel.trim();
        if !channel.is_empty() {
            parts.push(format!("<!{channel}|{channel}>"));
        }
        let each = |names: &[String], mark: &dyn Fn(String) -> String| -> String {
            names.iter().map(|name| mark(job.text_or_itself(name))).collect()
        };
        parts.push(each(&self.mention_groups, &|group| format!("<!subteam^{group}>")));
        parts.push(each(&self.mention_users, &|user| format!("<@{user}>")));
        parts.retain(|part| !part.is_empty());
        parts.join(" ")
    }
}

/// The source that all alerts have, if they have the same.
fn common_source(job: &Job<'_>) -> Option<String> {
    let alerts = job.extended();
    let first = alerts.first()?.generator_url.clone();
    (!first.is_empty() && alerts.iter().all(|alert| alert.generator_url == first)).then_some(first)
}
