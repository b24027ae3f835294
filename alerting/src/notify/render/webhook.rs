//! Webhooks: the alerts as JSON, version 4 of Alertmanager's body.

use std::collections::BTreeMap;

use model::Labels;
use serde::Serialize;

use super::{Job, RenderError, deep, to_json};
use crate::notify::config::receiver::WebhookConfig;
use crate::notify::config::secret::Secret;
use crate::notify::message::{Message, MessageAlert};
use crate::notify::request::{HttpRequest, Payload};
use crate::text::{ZERO_TIME, quote_meta, rfc3339, serde_labels};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    receiver: String,
    status: &'static str,
    alerts: Vec<BodyAlert<'a>>,
    #[serde(rename = "notification_reason")]
    notification_reason: &'static str,
    #[serde(with = "serde_labels")]
    group_labels: &'a Labels,
    #[serde(with = "serde_labels")]
    common_labels: &'a Labels,
    #[serde(with = "serde_labels")]
    common_annotations: &'a Labels,
    route_labels: &'a BTreeMap<String, String>,
    #[serde(rename = "externalURL")]
    external_url: &'a str,
    version: &'static str,
    group_key: &'a str,
    truncated_alerts: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BodyAlert<'a> {
    status: &'static str,
    #[serde(with = "serde_labels")]
    labels: &'a Labels,
    #[serde(with = "serde_labels")]
    annotations: &'a Labels,
    starts_at: String,
    ends_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: &'a str,
    fingerprint: String,
}

fn alert(one: &MessageAlert) -> BodyAlert<'_> {
    let alert = &one.alert;
    BodyAlert {
        status: one.status.as_str(),
        labels: &alert.labels,
        annotations: &alert.annotations,
        starts_at: rfc3339(alert.starts_at_ms),
        ends_at: one.ends_at_ms().map_or_else(|| ZERO_TIME.to_owned(), rfc3339),
        generator_url: &alert.generator_url,
        fingerprint: alert.fingerprint(),
    }
}

/// The body about the first `alerts` alerts; what they have in common is that of all.
pub(super) fn body(
    message: &Message,
    external_url: &str,
    version: &'static str,
    alerts: usize,
) -> Result<Vec<u8>, RenderError> {
    to_json(&Body {
        receiver: quote_meta(&message.receiver),
        status: message.status().as_str(),
        alerts: message.alerts.iter().take(alerts).map(alert).collect(),
        notification_reason: message.reason.map_or("unknown", |reason| reason.as_str()),
        group_labels: &message.group_labels,
        common_labels: &message.common_labels,
        common_annotations: &message.common_annotations,
        route_labels: &message.route_labels,
        external_url,
        version,
        group_key: &message.group_key,
        truncated_alerts: message.truncated,
    })
}

pub(super) fn render(job: &Job<'_>, config: &WebhookConfig) -> Result<Payload, RenderError> {
    let message = job.message.truncated_to(config.max_alerts);
    let job = job.with_message(&message);
    let body = match &config.payload {
        Some(payload) => to_json(&deep::expand(&job, "payload", payload)?)?,
        None => body(&message, job.renderer.templates.external_url(), "4", message.alerts.len())?,
    };
    let url = job.text("url", &job.secret(&config.url, &config.url_file)?)?;
    if url.is_empty() {
        return Err(RenderError::Empty("webhook URL"));
    }
    let request = HttpRequest::json(Secret::new(url), body, config.http_config.clone());
    Ok(Payload::Http(vec![request.timeout(config.timeout.0)]))
}
