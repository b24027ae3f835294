//! PagerDuty events, version 2 (routing key) and version 1 (service key).

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{Job, RenderError, deep, to_json};
use crate::notify::config::receiver::{PagerDutyConfig, PagerDutyImage, PagerDutyLink};
use crate::notify::config::secret::Secret;
use crate::notify::message::Status;
use crate::notify::request::{HttpRequest, Payload};
use crate::text::cut_runes;

/// Largest event in bytes.
const MAX_EVENT: usize = 512_000;
/// Most characters of a summary.
pub(in crate::notify) const MAX_SUMMARY: usize = 1024;
const VERSION_1: &str = "https://events.pagerduty.com/generic/2010-04-15/create_event.json";

#[derive(Default, Serialize)]
pub(in crate::notify) struct Event {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(in crate::notify) routing_key: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(in crate::notify) service_key: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(in crate::notify) dedup_key: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(in crate::notify) incident_key: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(in crate::notify) event_type: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(in crate::notify) description: String,
    pub(in crate::notify) event_action: &'static str,
    pub(in crate::notify) payload: Option<Body>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(in crate::notify) client: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(in crate::notify) client_url: String,
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub(in crate::notify) details: Map<String, Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::notify) images: Vec<PagerDutyImage>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::notify) links: Vec<PagerDutyLink>,
}

#[derive(Default, Serialize)]
pub(in crate::notify) struct Body {
    pub(in crate::notify) summary: String,
    pub(in crate::notify) source: String,
    pub(in crate::notify) severity: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(in crate::notify) class: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(in crate::notify) component: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(in crate::notify) group: String,
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub(in crate::notify) custom_details: Map<String, Value>,
}

/// What an event is to do.
pub(in crate::notify) fn action(status: Status) -> &'static str {
    match status {
        Status::Firing => "trigger",
        Status::Resolved => "resolve",
    }
}

pub(in crate::notify) fn render(job: &Job<'_>, config: &PagerDutyConfig) -> Result<Payload, RenderError> {
    let mut details = Map::new();
    for (name, value) in &config.details {
        details.insert(name.clone(), deep::expand(job, "details", value)?);
    }
    let action = action(job.message.status());
    let (url, event) = if config.is_version_1() {
        (VERSION_1, version_1(job, config, action, details)?)
    } else {
        let url = config.url.as_ref().map_or("", |url| url.as_str());
        (url, version_2(job, config, action, details)?)
    };
    let request = HttpRequest::json(Secret::new(url), encode(event)?, config.http_config.clone());
    Ok(Payload::Http(vec![request.timeout(config.timeout.0)]))
}

fn version_1(
    job: &Job<'_>,
    config: &PagerDutyConfig,
    event_type: &'static str,
    details: Map<String, Value>,
) -> Result<Event, RenderError> {
    let service_key = job.text("service_key", &job.secret(&config.service_key, &config.service_key_file)?)?;
    if service_key.is_empty() {
        return Err(RenderError::Empty("service key"));
    }
    let mut event = Event {
        service_key,
        event_type,
        incident_key: job.key_hash(),
        description: cut_runes(&job.text("description", &config.description)?, MAX_SUMMARY).0,
        details,
        ..Event::default()
    };
    if event_type == "trigger" {
        event.client = job.text("client", &config.client)?;
        event.client_url = job.text("client_url", &config.client_url)?;
    }
    Ok(event)
}

fn version_2(
    job: &Job<'_>,
    config: &PagerDutyConfig,
    event_action: &'static str,
    custom_details: Map<String, Value>,
) -> Result<Event, RenderError> {
    let routing_key = job.text("routing_key", &job.secret(&config.routing_key, &config.routing_key_file)?)?;
    if routing_key.is_empty() {
        return Err(RenderError::Empty("routing key"));
    }
    let mut images = Vec::new();
    for image in &config.images {
        let image = PagerDutyImage {
            src: job.text("images", &image.src)?,
            alt: job.text("images", &image.alt)?,
            href: job.text("images", &image.href)?,
        };
        if !image.src.is_empty() {
            images.push(image);
        }
    }
    let mut links = Vec::new();
    for link in &config.links {
        let link = PagerDutyLink { href: job.text("links", &link.href)?, text: job.text("links", &link.text)? };
        if !link.href.is_empty() {
            links.push(link);
        }
    }
    Ok(Event {
        routing_key,
        event_action,
        dedup_key: job.key_hash(),
        client: job.text("client", &config.client)?,
        client_url: job.text("client_url", &config.client_url)?,
        images,
        links,
        payload: Some(Body {
            summary: cut_runes(&job.text("description", &config.description)?, MAX_SUMMARY).0,
            source: job.text("source", &config.source)?,
            severity: job.text("severity", &config.severity)?,
            class: job.text("class", &config.class)?,
            component: job.text("component", &config.component)?,
            group: job.text("group", &config.group)?,
            custom_details,
        }),
        ..Event::default()
    })
}

/// As JSON; an event that is too large goes without its details.
pub(in crate::notify) fn encode(mut event: Event) -> Result<Vec<u8>, RenderError> {
    let body = to_json(&event)?;
    if body.len() <= MAX_EVENT {
        return Ok(body);
    }
    let note = "Custom details have been removed because the original event exceeds the maximum size of 512KB";
    let details = Map::from_iter([("error".to_owned(), json!(note))]);
    match &mut event.payload {
        Some(payload) => payload.custom_details = details,
        None => event.details = details,
    }
    to_json(&event)
}
