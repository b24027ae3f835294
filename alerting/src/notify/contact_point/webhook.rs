//! Webhook contact points: the alerts as JSON (version 1 of Grafana's body) or a payload of one's own, optionally signed.

use std::collections::BTreeMap;

use model::Labels;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{DEFAULT_MESSAGE, DEFAULT_TITLE, ExtendedAlert, SettingsError, number_text, or_default, read};
use crate::notify::config::http::{BasicAuth, HttpConfig, TlsConfig};
use crate::notify::config::secret::Secret;
use crate::notify::message::Status;
use crate::notify::render::{Job, RenderError, expand, to_json};
use crate::notify::request::{HttpRequest, Payload};
use crate::notify::template::private;
use crate::text::{quote_meta, serde_labels};

/// Headers that are not the settings' to choose.
const RESTRICTED: [&str; 26] = [
    "host",
    "accept-encoding",
    "accept-charset",
    "content-encoding",
    "content-length",
    "authorization",
    "user-agent",
    "transfer-encoding",
    "connection",
    "upgrade",
    "trailer",
    "te",
    "proxy-authorization",
    "proxy-authenticate",
    "cookie",
    "set-cookie",
    "referer",
    "origin",
    "x-forwarded-for",
    "x-real-ip",
    "via",
    "forwarded",
    "expect",
    "keep-alive",
    "date",
    "max-forwards",
];
const SIGNATURE: &str = "X-Grafana-Alerting-Signature";

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Settings {
    url: Secret,
    #[serde(rename = "httpMethod")]
    method: String,
    #[serde(rename = "maxAlerts", deserialize_with = "number_text")]
    max_alerts: String,
    authorization_scheme: String,
    authorization_credentials: Secret,
    username: String,
    password: Secret,
    headers: BTreeMap<String, Secret>,
    title: String,
    message: String,
    payload: Option<CustomPayload>,
    #[serde(rename = "tlsConfig")]
    tls: Option<Tls>,
    #[serde(rename = "hmacConfig")]
    hmac: Option<Hmac>,
    http_config: Option<OwnHttpConfig>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct CustomPayload {
    template: String,
    vars: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Tls {
    insecure_skip_verify: bool,
    ca_certificate: String,
    client_certificate: String,
    client_key: Secret,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Hmac {
    secret: Secret,
    header: String,
    timestamp_header: String,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct OwnHttpConfig {
    oauth2: Option<Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    receiver: String,
    status: &'static str,
    alerts: Vec<ExtendedAlert>,
    #[serde(with = "serde_labels")]
    group_labels: &'a Labels,
    #[serde(with = "serde_labels")]
    common_labels: &'a Labels,
    #[serde(with = "serde_labels")]
    common_annotations: &'a Labels,
    #[serde(rename = "externalURL")]
    external_url: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    app_version: &'a str,
    version: &'static str,
    group_key: &'a str,
    truncated_alerts: usize,
    org_id: i64,
    title: String,
    state: &'static str,
    message: String,
}

impl Settings {
    pub(super) fn new(settings: Value) -> Result<Self, SettingsError> {
        let mut own: Self = read(settings)?;
        if own.url.is_empty() {
            return Err(SettingsError::new("required field 'url' is not specified"));
        }
        if !own.authorization_credentials.is_empty() {
            or_default(&mut own.authorization_scheme, "Bearer");
        }
        let basic = !own.username.is_empty() && !own.password.is_empty();
        if basic && !own.authorization_scheme.is_empty() && !own.authorization_credentials.is_empty() {
            return Err(SettingsError::new(
                "both HTTP Basic Authentication and Authorization Header are set, only 1 is permitted",
            ));
        }
        let restricted: Vec<&String> =
            own.headers.keys().filter(|name| RESTRICTED.contains(&name.to_ascii_lowercase().as_str())).collect();
        if !restricted.is_empty() {
            return Err(SettingsError::new(format!("custom headers {restricted:?} are not allowed")));
        }
        or_default(&mut own.method, "POST");
        or_default(&mut own.title, DEFAULT_TITLE);
        or_default(&mut own.message, DEFAULT_MESSAGE);
        Ok(own)
    }

    pub(super) fn render(&self, job: &Job<'_>) -> Result<Payload, RenderError> {
        let message = job.message.truncated_to(self.max_alerts.parse().unwrap_or(0));
        let job = job.with_message(&message);
        // Without an address there is nothing to fall back on.
        let url = job.text("url", self.url.expose())?;
        let body = match self.payload.as_ref().filter(|payload| !payload.template.is_empty()) {
            Some(payload) => expand(&job.page.vars(&payload.vars), "payload", &payload.template)?.into_bytes(),
            None => self.body(&job)?,
        };
        let mut request = HttpRequest::json(Secret::new(url), body, Some(self.http_config()));
        request.method = if self.method.eq_ignore_ascii_case("PUT") { "PUT" } else { "POST" };
        request.headers.extend(self.headers.iter().map(|(name, value)| (name.clone(), value.clone())));
        if !self.authorization_scheme.is_empty() && !self.authorization_credentials.is_empty() {
            let value = format!("{} {}", self.authorization_scheme, self.authorization_credentials.expose());
            request.headers.push(("Authorization".to_owned(), Secret::new(value)));
        }
        if let Some(hmac) = &self.hmac {
            hmac.sign(&mut request, job.now_ms);
        }
        Ok(Payload::Http(vec![request]))
    }

    fn body(&self, job: &Job<'_>) -> Result<Vec<u8>, RenderError> {
        let message = job.message;
        let templates = job.renderer.templates();
        let alerts = job.extended();
        let public = |all: &Labels| all.without(private);
        to_json(&Body {
            receiver: quote_meta(&message.receiver),
            status: message.status().as_str(),
            org_id: alerts.iter().find_map(|alert| alert.org_id).unwrap_or(1),
            alerts,
            group_labels: &message.group_labels,
            common_labels: &public(&message.common_labels),
            common_annotations: &public(&message.common_annotations),
            external_url: templates.external_url(),
            app_version: templates.version(),
            version: "1",
            group_key: &message.group_key,
            truncated_alerts: message.truncated,
            title: job.text_or(&self.title, DEFAULT_TITLE),
            state: match message.status() {
                Status::Firing => "alerting",
                Status::Resolved => "ok",
            },
            message: job.text_or(&self.message, DEFAULT_MESSAGE),
        })
    }

    fn http_config(&self) -> HttpConfig {
        let mut http = HttpConfig::default();
        if !self.username.is_empty() && !self.password.is_empty() {
            http.basic_auth = Some(BasicAuth {
                username: self.username.clone(),
                password: self.password.clone(),
                ..BasicAuth::default()
            });
        }
        http.oauth2 = self.http_config.as_ref().and_then(|own| own.oauth2.clone());
        http.tls_config = self.tls.as_ref().map(|tls| TlsConfig {
            ca: tls.ca_certificate.clone(),
            cert: tls.client_certificate.clone(),
            key: tls.client_key.clone(),
            insecure_skip_verify: tls.insecure_skip_verify,
            ..TlsConfig::default()
        });
        http
    }
}

impl Hmac {
    /// Adds the signature of the body, and the time if it is signed too.
    fn sign(&self, request: &mut HttpRequest, now_ms: i64) {
        let mut signed = Vec::new();
        if !self.timestamp_header.is_empty() {
            let seconds = now_ms.div_euclid(1000).to_string();
            signed.extend_from_slice(seconds.as_bytes());
            signed.push(b':');
            request.headers.push((self.timestamp_header.clone(), Secret::new(seconds)));
        }
        signed.extend_from_slice(&request.body);
        let header = if self.header.is_empty() { SIGNATURE } else { &self.header };
        let signature = hmac_sha256(self.secret.expose().as_bytes(), &signed);
        request.headers.push((header.to_owned(), Secret::new(signature)));
    }
}

/// HMAC of RFC 2104 with SHA-256, in lower-case hex.
fn hmac_sha256(key: &[u8], text: &[u8]) -> String {
    const BLOCK: usize = 64;
    let mut padded = [0u8; BLOCK];
    let digest = Sha256::digest(key);
    let key = if key.len() > BLOCK { &digest[..] } else { key };
    for (slot, byte) in padded.iter_mut().zip(key) {
        *slot = *byte;
    }
    let pad = |mask: u8| padded.map(|byte| byte ^ mask);
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(text).finalize();
    let outer = Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize();
    outer.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_of_rfc_4231() {
        assert_eq!(
            hmac_sha256(b"Jefe", b"what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_eq!(
            hmac_sha256(&[0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First"),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }
}
