//! Messages in the form their receivers want.
//!
//! [`Renderer::render`] turns a message into a [`Payload`] by an integration's configuration; each kind of receiver has a
//! file. A failure here is the configuration's: it is reported and not tried again until the group is due anew.

mod deep;
pub(super) mod discord;
pub(super) mod email;
mod incidentio;
mod mattermost;
mod mime;
pub(super) mod opsgenie;
pub(super) mod pagerduty;
mod pushover;
mod rocketchat;
mod slack;
pub(super) mod teams;
pub(super) mod telegram;
pub(super) mod victorops;
pub(super) mod webex;
mod webhook;

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use super::config::Integration;
use super::config::secret::{Secret, SecretUrl};
use super::message::Message;
use super::request::Payload;
use super::template::{Page, TemplateError, Templates};

/// Reads the files that configurations name for secrets. The host implements it.
pub trait SecretFiles: Send + Sync {
    /// The content of a file.
    ///
    /// # Errors
    /// Why it cannot be read.
    fn read(&self, path: &str) -> Result<String, String>;
}

/// No file can be read.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSecretFiles;

impl SecretFiles for NoSecretFiles {
    fn read(&self, _path: &str) -> Result<String, String> {
        Err("files with secrets are not available here".to_owned())
    }
}

/// A message that cannot be put into its receiver's form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RenderError {
    /// A text of the configuration failed.
    #[error("{field}: {source}")]
    Template {
        /// Which.
        field: &'static str,
        /// How.
        source: TemplateError,
    },
    /// A file with a secret cannot be read.
    #[error("could not read {path}: {message}")]
    SecretFile {
        /// Which.
        path: String,
        /// Why.
        message: String,
    },
    /// Something that must not be empty is, after its template was expanded.
    #[error("{0} is empty after templating")]
    Empty(&'static str),
    /// A text is not what it has to be.
    #[error("{what}: {problem}")]
    Invalid {
        /// Which text.
        what: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The kind of receiver is not sent to.
    #[error("notifications of kind {0} are not supported")]
    Unsupported(String),
}

/// What renders messages.
#[derive(Clone)]
pub struct Renderer {
    templates: Arc<Templates>,
    files: Arc<dyn SecretFiles>,
}

impl fmt::Debug for Renderer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renderer").field("templates", &self.templates).finish_non_exhaustive()
    }
}

impl Renderer {
    /// A renderer with these templates and files.
    pub fn new(templates: Arc<Templates>, files: Arc<dyn SecretFiles>) -> Self {
        Self { templates, files }
    }

    /// The templates.
    pub fn templates(&self) -> &Templates {
        &self.templates
    }

    /// A message for an integration.
    ///
    /// # Errors
    /// When the configuration's texts fail on it, or the kind is not sent to.
    pub fn render(&self, integration: &Integration, message: &Message, now_ms: i64) -> Result<Payload, RenderError> {
        let job = Job { renderer: self, message, page: self.templates.page(message, now_ms), now_ms };
        match integration {
            Integration::Slack(config) => slack::render(&job, config),
            Integration::Webhook(config) => webhook::render(&job, config),
            Integration::Email(config) => email::render(&job, config),
            Integration::PagerDuty(config) => pagerduty::render(&job, config),
            Integration::OpsGenie(config) => opsgenie::render(&job, config),
            Integration::Telegram(config) => telegram::render(&job, config),
            Integration::Discord(config) => discord::render(&job, config),
            Integration::MsTeamsV2(config) => teams::render(&job, config),
            Integration::MsTeams(config) => teams::render_message_card(&job, config),
            Integration::Pushover(config) => pushover::render(&job, config),
            Integration::VictorOps(config) => victorops::render(&job, config),
            Integration::Webex(config) => webex::render(&job, config),
            Integration::Rocketchat(config) => rocketchat::render(&job, config),
            Integration::Mattermost(config) => mattermost::render(&job, config),
            Integration::Incidentio(config) => incidentio::render(&job, config),
            Integration::Grafana(integration) => integration.render(&job),
            Integration::Other(config) => Err(RenderError::Unsupported(config.kind.clone())),
        }
    }
}

/// One message on its way to one integration.
pub(crate) struct Job<'a> {
    pub(super) renderer: &'a Renderer,
    pub(super) message: &'a Message,
    pub(super) page: Page<'a>,
    pub(super) now_ms: i64,
}

impl<'a> Job<'a> {
    pub(super) fn text(&self, field: &'static str, text: &str) -> Result<String, RenderError> {
        expand(&self.page, field, text)
    }

    /// The job with another message, such as one that was cut.
    pub(super) fn with_message<'b>(&self, message: &'b Message) -> Job<'b>
    where
        'a: 'b,
    {
        let page = self.renderer.templates.page(message, self.now_ms);
        Job { renderer: self.renderer, message, page, now_ms: self.now_ms }
    }

    /// A secret that stands in the configuration or in a file, without spaces at its ends.
    fn secret(&self, inline: &Secret, file: &str) -> Result<String, RenderError> {
        if !inline.is_empty() || file.is_empty() {
            return Ok(inline.expose().to_owned());
        }
        self.file(file)
    }

    fn secret_url(&self, inline: Option<&SecretUrl>, file: &str) -> Result<Secret, RenderError> {
        match inline {
            Some(url) => Ok(Secret::new(url.expose())),
            None => self.file(file).map(Secret::new),
        }
    }

    fn file(&self, path: &str) -> Result<String, RenderError> {
        let content = self.renderer.files.read(path);
        let content = content.map_err(|message| RenderError::SecretFile { path: path.to_owned(), message })?;
        Ok(content.trim().to_owned())
    }

    /// The group's key in a form of fixed length.
    pub(super) fn key_hash(&self) -> String {
        crate::text::sha256_hex(&self.message.group_key)
    }
}

pub(super) fn expand(page: &Page<'_>, field: &'static str, text: &str) -> Result<String, RenderError> {
    page.text(text).map_err(|source| RenderError::Template { field, source })
}

pub(super) fn to_json(value: &impl Serialize) -> Result<Vec<u8>, RenderError> {
    serde_json::to_vec(value).map_err(|error| RenderError::Invalid { what: "message", problem: error.to_string() })
}

#[cfg(test)]
pub(super) mod tests;
