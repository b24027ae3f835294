//! `email_configs`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::notify::config::ConfigError;
use crate::notify::config::global::GlobalConfig;
use crate::notify::config::http::TlsConfig;
use crate::notify::config::secret::{HostPort, Secret};
use crate::text::null_default;

/// A mail address.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the fields are the keys of the configuration file and their documentation")]
pub struct EmailConfig {
    pub send_resolved: bool,
    pub to: String,
    pub from: String,
    pub hello: String,
    pub smarthost: HostPort,
    pub auth_username: String,
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub auth_password: Secret,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub auth_password_file: String,
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub auth_secret: Secret,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub auth_secret_file: String,
    pub auth_identity: String,
    #[serde(deserialize_with = "null_default")]
    pub headers: BTreeMap<String, String>,
    pub html: String,
    pub text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require_tls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_config: Option<TlsConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub force_implicit_tls: Option<bool>,
    pub threading: Threading,
}

/// Whether mails of one group form a thread.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the fields are the keys of the configuration file and their documentation")]
pub struct Threading {
    pub enabled: bool,
    pub thread_by_date: String,
}

impl Default for EmailConfig {
    fn default() -> Self {
        Self {
            send_resolved: false,
            to: String::new(),
            from: String::new(),
            hello: String::new(),
            smarthost: HostPort::default(),
            auth_username: String::new(),
            auth_password: Secret::default(),
            auth_password_file: String::new(),
            auth_secret: Secret::default(),
            auth_secret_file: String::new(),
            auth_identity: String::new(),
            headers: BTreeMap::new(),
            html: "{{ template \"email.default.html\" . }}".to_owned(),
            text: String::new(),
            require_tls: None,
            tls_config: None,
            force_implicit_tls: None,
            threading: Threading::default(),
        }
    }
}

impl EmailConfig {
    pub(super) fn resolve(mut self, place: &str, global: &GlobalConfig) -> Result<Self, ConfigError> {
        let error = |problem: String| Err(ConfigError::new(place, problem));
        if self.to.is_empty() {
            return error("missing to address in email config".to_owned());
        }
        let mut headers = BTreeMap::new();
        for (name, value) in std::mem::take(&mut self.headers) {
            let name = canonical_header(&name);
            if headers.contains_key(&name) {
                return error(format!("duplicate header {name:?} in email config"));
            }
            headers.insert(name, value);
        }
        self.headers = headers;
        if self.threading.enabled {
            for name in ["References", "In-Reply-To"] {
                if self.headers.contains_key(name) {
                    return error(format!(
                        "conflicting configuration: threading.enabled conflicts with custom {name} header"
                    ));
                }
            }
            if !matches!(self.threading.thread_by_date.as_str(), "none" | "daily") {
                return error("threading.thread_by_date must be either 'none' or 'daily'".to_owned());
            }
        }
        let or = |own: &mut String, other: &str| {
            if own.is_empty() {
                other.clone_into(own);
            }
        };
        self.tls_config = self.tls_config.or_else(|| global.smtp_tls_config.clone());
        if self.smarthost == HostPort::default() {
            self.smarthost = global.smtp_smarthost.clone();
        }
        if self.smarthost == HostPort::default() {
            return error("no global SMTP smarthost set".to_owned());
        }
        or(&mut self.from, &global.smtp_from);
        if self.from.is_empty() {
            return error("no global SMTP from set".to_owned());
        }
        or(&mut self.hello, &global.smtp_hello);
        or(&mut self.auth_username, &global.smtp_auth_username);
        or(&mut self.auth_identity, &global.smtp_auth_identity);
        if self.auth_password.is_empty() && self.auth_password_file.is_empty() {
            self.auth_password = global.smtp_auth_password.clone();
            self.auth_password_file.clone_from(&global.smtp_auth_password_file);
        }
        if self.auth_secret.is_empty() && self.auth_secret_file.is_empty() {
            self.auth_secret = global.smtp_auth_secret.clone();
            self.auth_secret_file.clone_from(&global.smtp_auth_secret_file);
        }
        self.require_tls = self.require_tls.or(Some(global.smtp_require_tls));
        self.force_implicit_tls = self.force_implicit_tls.or(global.smtp_force_implicit_tls);
        Ok(self)
    }
}

/// `x-my-header` as `X-My-Header`; a name with characters that headers do not have stays as it is.
fn canonical_header(name: &str) -> String {
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)) {
        return name.to_owned();
    }
    let mut upper = true;
    let letter = |c: char| {
        let out = if upper { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
        upper = c == '-';
        out
    };
    name.chars().map(letter).collect()
}
