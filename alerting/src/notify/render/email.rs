//! Mail: headers and bodies from templates, addresses for the envelope.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Job, RenderError, mime};
use crate::notify::config::receiver::EmailConfig;
use crate::notify::config::secret::Secret;
use crate::notify::request::{Mail, Payload};
use crate::text::sha256_hex;

const SUBJECT: &str = "{{ template \"email.default.subject\" . }}";

pub(super) fn render(job: &Job<'_>, config: &EmailConfig) -> Result<Payload, RenderError> {
    Ok(Payload::Mail(vec![mail(job, config)?]))
}

pub(in crate::notify) fn mail(job: &Job<'_>, config: &EmailConfig) -> Result<Mail, RenderError> {
    let from = job.text("from", &config.from)?;
    let to = job.text("to", &config.to)?;
    let sender = match &addresses(&from, "from")?[..] {
        [one] => one.clone(),
        other => {
            let problem = format!("must be exactly one 'from' address (got: {})", other.len());
            return Err(RenderError::Invalid { what: "from", problem });
        }
    };
    let receivers = addresses(&to, "to")?;
    let mut headers: BTreeMap<&str, String> =
        BTreeMap::from([("Subject", SUBJECT.to_owned()), ("To", config.to.clone()), ("From", config.from.clone())]);
    for (name, text) in &config.headers {
        headers.insert(name, text.clone());
    }
    let mut encoded = Vec::new();
    for (name, text) in headers {
        encoded.push((name.to_owned(), mime::header(&job.text("headers", &text)?)));
    }
    add_own_headers(job, config, &sender, &mut encoded);
    let body = |text: &str| if text.is_empty() { None } else { Some(text.to_owned()) };
    let text = body(&config.text).map(|text| job.text("text", &text)).transpose()?;
    let html = body(&config.html).map(|text| super::expand(&job.page.html(), "html", &text)).transpose()?;
    let password = job.secret(&config.auth_password, &config.auth_password_file)?;
    let secret = job.secret(&config.auth_secret, &config.auth_secret_file)?;
    Ok(Mail {
        smarthost: config.smarthost.clone(),
        hello: config.hello.clone(),
        from: sender,
        to: receivers,
        headers: encoded,
        text,
        html,
        auth_username: config.auth_username.clone(),
        auth_password: Secret::new(password),
        auth_secret: Secret::new(secret),
        auth_identity: config.auth_identity.clone(),
        require_tls: config.require_tls.unwrap_or(true),
        implicit_tls: config.force_implicit_tls,
        tls_config: config.tls_config.clone(),
    })
}

fn add_own_headers(job: &Job<'_>, config: &EmailConfig, sender: &str, headers: &mut Vec<(String, String)>) {
    let key = job.key_hash();
    let key = key.get(..16).unwrap_or(&key);
    let now = Timestamp::from_millisecond(job.now_ms).unwrap_or(Timestamp::UNIX_EPOCH);
    if !config.headers.contains_key("Message-Id") {
        let unique = sha256_hex(&format!("{} {} {}", job.message.group_key, config.to, job.now_ms));
        let domain = sender.rsplit_once('@').map_or("localhost", |(_, domain)| domain);
        let id = format!("<{}.{}@{domain}>", job.now_ms, unique.get(..16).unwrap_or(&unique));
        headers.push(("Message-Id".to_owned(), id));
    }
    if config.threading.enabled {
        let day = match config.threading.thread_by_date.as_str() {
            "none" => String::new(),
            _ => now.strftime("%Y-%m-%d").to_string(),
        };
        let root = format!("<alert-{key}-{day}@alertmanager>");
        headers.push(("References".to_owned(), root.clone()));
        headers.push(("In-Reply-To".to_owned(), root));
    }
    if !config.headers.contains_key("Date") {
        headers.push(("Date".to_owned(), now.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string()));
    }
}

/// The addresses of a list such as `Ops <ops@example.org>, b@example.org`.
pub(in crate::notify) fn addresses(list: &str, what: &'static str) -> Result<Vec<String>, RenderError> {
    let invalid = |problem: String| RenderError::Invalid { what, problem };
    let mut parts = vec![String::new()];
    let (mut quoted, mut escaped, mut angle) = (false, false, false);
    for c in list.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '<' if !quoted => angle = true,
            '>' if !quoted => angle = false,
            ',' if !quoted && !angle => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(last) = parts.last_mut() {
            last.push(c);
        }
    }
    let mut found = Vec::new();
    for part in parts.iter().map(|part| part.trim()).filter(|part| !part.is_empty()) {
        let address = match (part.rfind('<'), part.strip_suffix('>')) {
            (Some(at), Some(inner)) => inner.get(at + 1..).unwrap_or_default(),
            (None, None) => part,
            _ => return Err(invalid(format!("unclosed angle-addr in {part:?}"))),
        };
        let good = address.rsplit_once('@').is_some_and(|(user, host)| !user.is_empty() && !host.is_empty());
        if !good || address.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(invalid(format!("{part:?} is not a mail address")));
        }
        found.push(address.to_owned());
    }
    if found.is_empty() {
        return Err(invalid("no address".to_owned()));
    }
    Ok(found)
}
