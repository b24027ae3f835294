//! OpsGenie: an alert is created, closed, and with `update_alerts` brought up to date by further requests.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::json;

use super::{Job, RenderError, to_json};
use crate::notify::config::http::HttpConfig;
use crate::notify::config::receiver::{OpsGenieConfig, OpsGenieResponder};
use crate::notify::config::secret::Secret;
use crate::notify::message::Status;
use crate::notify::request::{HttpRequest, Payload};
use crate::text::cut_runes;

/// Most characters of a message.
pub(in crate::notify) const MAX_MESSAGE: usize = 130;

#[derive(Serialize)]
pub(in crate::notify) struct Create {
    pub(in crate::notify) alias: String,
    pub(in crate::notify) message: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(in crate::notify) description: String,
    pub(in crate::notify) details: BTreeMap<String, String>,
    pub(in crate::notify) source: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::notify) responders: Vec<Responder>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::notify) tags: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(in crate::notify) note: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(in crate::notify) priority: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(in crate::notify) entity: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::notify) actions: Vec<String>,
}

#[derive(Default, Serialize)]
pub(in crate::notify) struct Responder {
    #[serde(skip_serializing_if = "String::is_empty")]
    id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    username: String,
    #[serde(rename = "type")]
    kind: String,
}

pub(in crate::notify) fn render(job: &Job<'_>, config: &OpsGenieConfig) -> Result<Payload, RenderError> {
    let base = config.api_url.as_ref().map_or_else(String::new, |url| url.with_slash());
    let alias = job.key_hash();
    let source = job.text("source", &config.source)?;
    let key = job.text("api_key", &job.secret(&config.api_key, &config.api_key_file)?)?;
    let client = Client { base: format!("{base}v2/alerts"), key, http_config: config.http_config.as_ref() };
    if job.message.status() == Status::Resolved {
        return Ok(Payload::Http(vec![client.close(&alias, &source)?]));
    }
    let mut details: BTreeMap<String, String> =
        job.message.common_labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    for (name, text) in &config.details {
        details.insert(name.clone(), job.text("details", text)?);
    }
    let create = Create {
        alias,
        message: cut_runes(&job.text("message", &config.message)?, MAX_MESSAGE).0,
        description: job.text("description", &config.description)?,
        details,
        source,
        responders: responders(job, &config.responders)?,
        tags: split(&job.text("tags", &config.tags)?),
        note: job.text("note", &config.note)?,
        priority: job.text("priority", &config.priority)?,
        entity: job.text("entity", &config.entity)?,
        actions: split(&job.text("actions", &config.actions)?),
    };
    client.create(&create, config.update_alerts).map(Payload::Http)
}

/// How OpsGenie is reached.
pub(in crate::notify) struct Client<'a> {
    /// Address of the alerts.
    pub(in crate::notify) base: String,
    pub(in crate::notify) key: String,
    pub(in crate::notify) http_config: Option<&'a HttpConfig>,
}

impl Client<'_> {
    fn request(&self, method: &'static str, path: &str, body: &impl Serialize) -> Result<HttpRequest, RenderError> {
        let url = Secret::new(format!("{}{path}", self.base));
        let mut request = HttpRequest::json(url, to_json(body)?, self.http_config.cloned());
        request.method = method;
        request.headers.push(("Authorization".to_owned(), Secret::new(format!("GenieKey {}", self.key))));
        Ok(request)
    }

    pub(in crate::notify) fn close(&self, alias: &str, source: &str) -> Result<HttpRequest, RenderError> {
        self.request("POST", &format!("/{alias}/close?identifierType=alias"), &json!({ "source": source }))
    }

    /// One request, or with `update` three: the first does nothing for an alert that is open, the others bring it up to
    /// date.
    pub(in crate::notify) fn create(&self, create: &Create, update: bool) -> Result<Vec<HttpRequest>, RenderError> {
        let mut requests = vec![self.request("POST", "", create)?];
        if update {
            for (name, text) in [("message", &create.message), ("description", &create.description)] {
                let path = format!("/{}/{name}?identifierType=alias", create.alias);
                let body = if text.is_empty() { json!({}) } else { json!({ name: text }) };
                requests.push(self.request("PUT", &path, &body)?);
            }
        }
        Ok(requests)
    }
}

pub(in crate::notify) fn responders(
    job: &Job<'_>,
    configured: &[OpsGenieResponder],
) -> Result<Vec<Responder>, RenderError> {
    let text = |template: &str| job.text("responders", template);
    let mut responders = Vec::new();
    for one in configured {
        let responder = Responder {
            id: text(&one.id)?,
            name: text(&one.name)?,
            username: text(&one.username)?,
            kind: text(&one.kind)?,
        };
        let parts = [&responder.id, &responder.name, &responder.username, &responder.kind];
        if responder.kind == "teams" {
            let team = |name| Responder { name, kind: "team".to_owned(), ..Responder::default() };
            responders.extend(split(&responder.name).into_iter().map(team));
        } else if parts.iter().any(|part| !part.is_empty()) {
            responders.push(responder);
        }
    }
    Ok(responders)
}

/// The parts between commas that are not empty.
pub(in crate::notify) fn split(text: &str) -> Vec<String> {
    text.trim().split(',').filter(|part| !part.is_empty()).map(str::to_owned).collect()
}
