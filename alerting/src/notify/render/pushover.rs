//! Pushover: a post whose parameters stand in the address.

use super::{Job, RenderError, expand};
use crate::notify::config::receiver::PushoverConfig;
use crate::notify::config::secret::Secret;
use crate::notify::request::{HttpRequest, Payload};
use crate::text::{cut_runes, escape_query};

const URL: &str = "https://api.pushover.net/1/messages.json";
/// Most characters of a title, a message and a link.
const MAX_TITLE: usize = 250;
const MAX_MESSAGE: usize = 1024;
const MAX_URL: usize = 512;

pub(super) fn render(job: &Job<'_>, config: &PushoverConfig) -> Result<Payload, RenderError> {
    let token = job.text("token", &job.secret(&config.token, &config.token_file)?)?;
    let user = job.text("user_key", &job.secret(&config.user_key, &config.user_key_file)?)?;
    let message = if config.html {
        expand(&job.page.html(), "message", &config.message)?
    } else {
        job.text("message", &config.message)?
    };
    let message = cut_runes(&message, MAX_MESSAGE).0.trim().to_owned();
    let seconds = |ms: i64| (ms / 1000).to_string();
    let flag = |set: bool| if set { "1".to_owned() } else { String::new() };
    let parameters = [
        ("token", token),
        ("user", user),
        ("title", cut_runes(&job.text("title", &config.title)?, MAX_TITLE).0),
        // Without text a message is refused.
        ("message", if message.is_empty() { "(no details)".to_owned() } else { message }),
        ("html", flag(config.html)),
        ("monospace", flag(config.monospace)),
        ("url", cut_runes(&job.text("url", &config.url)?, MAX_URL).0),
        ("url_title", job.text("url_title", &config.url_title)?),
        ("priority", job.text("priority", &config.priority)?),
        ("retry", seconds(config.retry.0)),
        ("expire", seconds(config.expire.0)),
        ("device", job.text("device", &config.device)?),
        ("sound", job.text("sound", &config.sound)?),
        ("ttl", if config.ttl.0 >= 1000 { seconds(config.ttl.0) } else { String::new() }),
    ];
    let given = parameters.iter().filter(|(_, value)| !value.is_empty());
    let query: Vec<String> = given.map(|(name, value)| format!("{name}={}", escape_query(value))).collect();
    let url = Secret::new(format!("{URL}?{}", query.join("&")));
    let mut request = HttpRequest::json(url, Vec::new(), config.http_config.clone());
    request.headers = vec![("Content-Type".to_owned(), Secret::new("text/plain"))];
    Ok(Payload::Http(vec![request]))
}
