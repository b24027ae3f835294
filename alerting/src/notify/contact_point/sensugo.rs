//! Sensu Go contact points: the alerts as an event of a check.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{DEFAULT_MESSAGE, SettingsError, or_default, read};
use crate::notify::config::secret::Secret;
use crate::notify::message::Status;
use crate::notify::render::{Job, RenderError, to_json};
use crate::notify::request::{HttpRequest, Payload};

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Settings {
    url: String,
    entity: String,
    check: String,
    namespace: String,
    handler: String,
    apikey: Secret,
    message: String,
}

impl Settings {
    pub(super) fn new(settings: Value) -> Result<Self, SettingsError> {
        let mut own: Self = read(settings)?;
        if own.url.is_empty() {
            return Err(SettingsError::new("could not find URL property in settings"));
        }
        if own.apikey.is_empty() {
            return Err(SettingsError::new("could not find the API key property in settings"));
        }
        or_default(&mut own.message, DEFAULT_MESSAGE);
        Ok(own)
    }

    pub(super) fn render(&self, job: &Job<'_>) -> Result<Payload, RenderError> {
        let named = |text: &str| {
            let name = job.text_or(text, "");
            if name.is_empty() { "default".to_owned() } else { name }
        };
        let (entity, check, namespace) = (named(&self.entity), named(&self.check), named(&self.namespace));
        let handlers = (!self.handler.is_empty()).then(|| vec![job.text_or_itself(&self.handler)]);
        let mut labels = BTreeMap::from([("ruleURL", job.rules_url())]);
        if let Some(url) = job.image_url() {
            labels.insert("imageURL", url);
        }
        let body = to_json(&json!({
            "entity": { "metadata": { "name": entity, "namespace": namespace } },
            "check": {
                "metadata": { "name": check, "labels": labels },
                "output": job.text_or(&self.message, DEFAULT_MESSAGE),
                "issued": job.now_ms.div_euclid(1000),
                "interval": 86_400,
                "status": match job.message.status() {
                    Status::Firing => 2,
                    Status::Resolved => 0,
                },
                "handlers": handlers,
            },
            "ruleUrl": job.rules_url(),
        }))?;
        let url = format!("{}/api/core/v2/namespaces/{namespace}/events", self.url.trim_end_matches('/'));
        let mut request = HttpRequest::json(Secret::new(url), body, None);
        request.headers.push(("Authorization".to_owned(), Secret::new(format!("Key {}", self.apikey.expose()))));
        Ok(Payload::Http(vec![request]))
    }
}
