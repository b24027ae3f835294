//! PagerDuty contact points: events of version 2.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{ContactPointOptions, DEFAULT_TITLE, SettingsError, or_default, read};
use crate::notify::config::receiver::{PagerDutyImage, PagerDutyLink};
use crate::notify::config::secret::Secret;
use crate::notify::render::pagerduty::{Body, Event, MAX_SUMMARY, action, encode};
use crate::notify::render::{Job, RenderError};
use crate::notify::request::{HttpRequest, Payload};
use crate::text::cut_runes;

const SEVERITIES: [&str; 4] = ["critical", "error", "warning", "info"];
const DETAILS: [(&str, &str); 4] = [
    ("firing", "{{ template \"__text_alert_list\" .Alerts.Firing }}"),
    ("resolved", "{{ template \"__text_alert_list\" .Alerts.Resolved }}"),
    ("num_firing", "{{ .Alerts.Firing | len }}"),
    ("num_resolved", "{{ .Alerts.Resolved | len }}"),
];

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Settings {
    #[serde(rename = "integrationKey")]
    key: Secret,
    severity: String,
    details: BTreeMap<String, String>,
    class: String,
    component: String,
    group: String,
    summary: String,
    source: String,
    client: String,
    client_url: String,
    url: String,
}

impl Settings {
    pub(super) fn new(settings: Value, options: &ContactPointOptions) -> Result<Self, SettingsError> {
        let mut own: Self = read(settings)?;
        if own.key.is_empty() {
            return Err(SettingsError::new("could not find integration key property in settings"));
        }
        for (name, text) in DETAILS {
            own.details.entry(name.to_owned()).or_insert_with(|| text.to_owned());
        }
        or_default(&mut own.severity, "critical");
        or_default(&mut own.class, "default");
        or_default(&mut own.component, "Grafana");
        or_default(&mut own.group, "default");
        or_default(&mut own.summary, DEFAULT_TITLE);
        or_default(&mut own.client, "Grafana");
        or_default(&mut own.client_url, "{{ .ExternalURL }}");
        or_default(&mut own.url, "https://events.pagerduty.com/v2/enqueue");
        or_default(&mut own.source, &options.hostname);
        let client = own.client.clone();
        or_default(&mut own.source, &client);
        Ok(own)
    }

    pub(super) fn render(&self, job: &Job<'_>) -> Result<Payload, RenderError> {
        let mut details = Map::new();
        for (name, text) in &self.details {
            details.insert(name.clone(), job.text("details", text)?.into());
        }
        let severity = job.text_or_itself(&self.severity).to_lowercase();
        let severity = if SEVERITIES.contains(&severity.as_str()) { severity } else { "critical".to_owned() };
        let images = job.extended().into_iter().map(|alert| alert.image_url).filter(|url| !url.is_empty());
        let event = Event {
            client: job.text_or_itself(&self.client),
            client_url: job.text_or_itself(&self.client_url),
            routing_key: self.key.expose().to_owned(),
            event_action: action(job.message.status()),
            dedup_key: job.key_hash(),
            links: vec![PagerDutyLink {
                href: job.renderer.templates().external_url().to_owned(),
                text: "External URL".to_owned(),
            }],
            images: images.map(|src| PagerDutyImage { src, ..PagerDutyImage::default() }).collect(),
            payload: Some(Body {
                source: job.text_or_itself(&self.source),
                component: job.text_or_itself(&self.component),
                summary: cut_runes(&job.text_or(&self.summary, DEFAULT_TITLE), MAX_SUMMARY).0,
                severity,
                class: job.text_or_itself(&self.class),
                group: job.text_or_itself(&self.group),
                custom_details: details,
            }),
            ..Event::default()
        };
        Ok(Payload::Http(vec![HttpRequest::json(Secret::new(self.url.as_str()), encode(event)?, None)]))
    }
}
