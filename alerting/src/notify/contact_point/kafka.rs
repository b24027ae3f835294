//! Kafka contact points: a record through the REST proxy, in either version of its API.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{DEFAULT_MESSAGE, DEFAULT_TITLE, SettingsError, or_default, read};
use crate::notify::config::http::{BasicAuth, HttpConfig};
use crate::notify::config::secret::Secret;
use crate::notify::message::Status;
use crate::notify::render::{Job, RenderError, to_json};
use crate::notify::request::{HttpRequest, Payload};

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Settings {
    #[serde(rename = "kafkaRestProxy")]
    endpoint: String,
    #[serde(rename = "kafkaTopic")]
    topic: String,
    description: String,
    details: String,
    username: String,
    password: Secret,
    api_version: String,
    #[serde(rename = "kafkaClusterId")]
    cluster_id: String,
}

impl Settings {
    pub(super) fn new(settings: Value) -> Result<Self, SettingsError> {
        let mut own: Self = read(settings)?;
        if own.endpoint.is_empty() {
            return Err(SettingsError::new("could not find kafka rest proxy endpoint property in settings"));
        }
        if own.topic.is_empty() {
            return Err(SettingsError::new("could not find kafka topic property in settings"));
        }
        or_default(&mut own.description, DEFAULT_TITLE);
        or_default(&mut own.details, DEFAULT_MESSAGE);
        or_default(&mut own.api_version, "v2");
        match own.api_version.as_str() {
            "v2" => Ok(own),
            "v3" if own.cluster_id.is_empty() => {
                Err(SettingsError::new("kafka cluster id must be provided when using api version 3"))
            }
            "v3" => Ok(own),
            other => Err(SettingsError::new(format!("unsupported api version: {other}"))),
        }
    }

    /// Whether the answer's body says if the record was taken.
    pub(crate) fn is_v3(&self) -> bool {
        self.api_version == "v3"
    }

    pub(super) fn render(&self, job: &Job<'_>) -> Result<Payload, RenderError> {
        let mut record = json!({
            "client": "Grafana",
            "description": job.text_or(&self.description, DEFAULT_TITLE),
            "details": job.text_or(&self.details, DEFAULT_MESSAGE),
            "alert_state": match job.message.status() {
                Status::Firing => "alerting",
                Status::Resolved => "ok",
            },
            "client_url": job.rules_url(),
            "incident_key": job.key_hash(),
        });
        let pictures: Vec<Value> = job
            .extended()
            .into_iter()
            .filter(|alert| !alert.image_url.is_empty())
            .map(|alert| json!({ "type": "image", "src": alert.image_url }))
            .collect();
        if !pictures.is_empty() {
            record["contexts"] = pictures.into();
        }
        let (endpoint, topic) = (self.endpoint.trim_end_matches('/'), job.text_or_itself(&self.topic));
        let (url, body, types) = if self.is_v3() {
            let cluster = job.text_or_itself(&self.cluster_id);
            let body = json!({ "value": { "type": "JSON", "data": record } });
            (format!("{endpoint}/v3/clusters/{cluster}/topics/{topic}/records"), body, ["application/json"; 2])
        } else {
            let types = ["application/vnd.kafka.json.v2+json", "application/vnd.kafka.v2+json"];
            (format!("{endpoint}/topics/{topic}"), json!({ "records": [{ "value": record }] }), types)
        };
        let http = (!self.username.is_empty() && !self.password.is_empty()).then(|| HttpConfig {
            basic_auth: Some(BasicAuth {
                username: self.username.clone(),
                password: self.password.clone(),
                ..BasicAuth::default()
            }),
            ..HttpConfig::default()
        });
        let mut request = HttpRequest::json(Secret::new(url), to_json(&body)?, http);
        let header = |(name, value): (&str, &str)| (name.to_owned(), Secret::new(value));
        request.headers = ["Content-Type", "Accept"].into_iter().zip(types).map(header).collect();
        Ok(Payload::Http(vec![request]))
    }
}
