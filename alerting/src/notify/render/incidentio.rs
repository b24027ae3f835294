//! incident.io: the body of webhooks, of which only the first alert is left if it is too large.

use super::{Job, RenderError, webhook};
use crate::notify::config::receiver::IncidentioConfig;
use crate::notify::config::secret::Secret;
use crate::notify::request::{HttpRequest, Payload};

/// Most bytes of a body.
const MAX_BODY: usize = 512 * 1024;

pub(super) fn render(job: &Job<'_>, config: &IncidentioConfig) -> Result<Payload, RenderError> {
    let message = job.message.truncated_to(config.max_alerts);
    let external_url = job.renderer.templates.external_url();
    let mut body = webhook::body(&message, external_url, "1", message.alerts.len())?;
    if body.len() > MAX_BODY {
        body = webhook::body(&message, external_url, "1", 1)?;
    }
    let url = match &config.url {
        Some(url) => Secret::new(url.as_str()),
        None => Secret::new(job.file(&config.url_file)?),
    };
    let request = HttpRequest::json(url, body, config.http_config.clone());
    Ok(Payload::Http(vec![request.timeout(config.timeout.0)]))
}
