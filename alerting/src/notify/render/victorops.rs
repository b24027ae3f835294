//! VictorOps: an event as a flat JSON object.

use std::collections::BTreeMap;

use super::{Job, RenderError, to_json};
use crate::notify::config::receiver::VictorOpsConfig;
use crate::notify::config::secret::Secret;
use crate::notify::message::Status;
use crate::notify::request::{HttpRequest, Payload};
use crate::text::cut_runes;

/// Most characters of a state message.
pub(in crate::notify) const MAX_MESSAGE: usize = 20_480;

/// The kind of an event: a firing one is `CRITICAL` unless the configuration has another that exists.
pub(in crate::notify) fn message_type(status: Status, configured: &str) -> &str {
    match (status, configured) {
        (Status::Resolved, _) => "RECOVERY",
        (Status::Firing, "INFO" | "WARNING" | "CRITICAL") => configured,
        (Status::Firing, _) => "CRITICAL",
    }
}

pub(super) fn render(job: &Job<'_>, config: &VictorOpsConfig) -> Result<Payload, RenderError> {
    let base = config.api_url.as_ref().map_or("", |url| url.as_str());
    let key = job.secret(&config.api_key, &config.api_key_file)?;
    let url = format!("{base}{key}/{}", job.text("routing_key", &config.routing_key)?);
    let kind = job.text("message_type", &config.message_type)?;
    let state_message = cut_runes(&job.text("state_message", &config.state_message)?, MAX_MESSAGE).0;
    let mut event = BTreeMap::from([
        ("message_type", message_type(job.message.status(), &kind).to_owned()),
        ("entity_id", job.key_hash()),
        ("entity_display_name", job.text("entity_display_name", &config.entity_display_name)?),
        ("state_message", state_message),
        ("monitoring_tool", job.text("monitoring_tool", &config.monitoring_tool)?),
    ]);
    for (name, text) in &config.custom_fields {
        event.insert(name, job.text("custom_fields", text)?);
    }
    let request = HttpRequest::json(Secret::new(url), to_json(&event)?, config.http_config.clone());
    Ok(Payload::Http(vec![request]))
}
