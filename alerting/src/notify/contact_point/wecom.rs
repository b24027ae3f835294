//! WeCom contact points: a message to a group's robot. The other way in, an app of one's own, takes a token that is fetched
//! first; it is not supported, and sending through it fails.

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
    agent_id: String,
    corp_id: String,
    secret: Secret,
    msgtype: String,
    message: String,
    title: String,
}

impl Settings {
    pub(super) fn new(settings: Value) -> Result<Self, SettingsError> {
        let mut own: Self = read(settings)?;
        if !matches!(own.msgtype.as_str(), "markdown" | "text") {
            "markdown".clone_into(&mut own.msgtype);
        }
        or_default(&mut own.message, DEFAULT_MESSAGE);
        or_default(&mut own.title, DEFAULT_TITLE);
        if own.url.is_empty() {
            let missing = [
                (own.secret.is_empty(), "either url or secret is required"),
                (own.agent_id.is_empty(), "could not find AgentID in settings"),
                (own.corp_id.is_empty(), "could not find CorpID in settings"),
            ];
            if let Some((_, problem)) = missing.into_iter().find(|(missing, _)| *missing) {
                return Err(SettingsError::new(problem));
            }
        }
        Ok(own)
    }

    /// Whether it goes through an app.
    pub(super) fn is_app(&self) -> bool {
        self.url.is_empty()
    }

    pub(super) fn render(&self, job: &Job<'_>) -> Result<Payload, RenderError> {
        if self.is_app() {
            return Err(RenderError::Unsupported("wecom (as an app)".to_owned()));
        }
        let (title, message) = (job.text_or(&self.title, DEFAULT_TITLE), job.text_or(&self.message, DEFAULT_MESSAGE));
        let content =
            if self.msgtype == "markdown" { format!("# {title}\n{message}\n") } else { format!("{title}\n{message}") };
        let mut body = json!({ "msgtype": self.msgtype });
        body[self.msgtype.as_str()] = json!({ "content": content });
        Ok(Payload::Http(vec![HttpRequest::json(self.url.clone(), to_json(&body)?, None)]))
    }
}
