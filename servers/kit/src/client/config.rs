//! Prometheus' HTTP client settings, key for key, with its rules for what goes together.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::{Secret, null_default};

/// The keys of [`HttpClientConfig`]: structures that embed it take these out of their mapping.
pub const HTTP_CLIENT_KEYS: [&str; 13] = [
    "basic_auth",
    "authorization",
    "oauth2",
    "bearer_token",
    "bearer_token_file",
    "tls_config",
    "follow_redirects",
    "enable_http2",
    "proxy_url",
    "no_proxy",
    "proxy_from_environment",
    "proxy_connect_header",
    "http_headers",
];

/// Settings of a client. `Default` is what Prometheus takes when nothing is said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs, reason = "the keys of Prometheus' http_client_config")]
pub struct HttpClientConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub basic_auth: Option<BasicAuth>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization: Option<Authorization>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oauth2: Option<OAuth2>,
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub bearer_token: Secret,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bearer_token_file: Option<PathBuf>,
    #[serde(deserialize_with = "null_default", skip_serializing_if = "TlsConfig::is_default")]
    pub tls_config: TlsConfig,
    pub follow_redirects: bool,
    pub enable_http2: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_url: Option<String>,
    #[serde(deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub no_proxy: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub proxy_from_environment: bool,
    #[serde(deserialize_with = "null_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub proxy_connect_header: BTreeMap<String, Vec<Secret>>,
    #[serde(deserialize_with = "null_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub http_headers: BTreeMap<String, HttpHeader>,
}

impl Default for HttpClientConfig {
    fn default() -> Self {
        Self {
            basic_auth: None,
            authorization: None,
            oauth2: None,
            bearer_token: Secret::default(),
            bearer_token_file: None,
            tls_config: TlsConfig::default(),
            follow_redirects: true,
            enable_http2: true,
            proxy_url: None,
            no_proxy: String::new(),
            proxy_from_environment: false,
            proxy_connect_header: BTreeMap::new(),
            http_headers: BTreeMap::new(),
        }
    }
}

/// `basic_auth`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs, reason = "the keys of Prometheus' basic_auth")]
pub struct BasicAuth {
    #[serde(deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub username: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub password: Secret,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
}

/// `authorization`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs, reason = "the keys of Prometheus' authorization")]
pub struct Authorization {
    #[serde(rename = "type", deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub kind: String,
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub credentials: Secret,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials_file: Option<PathBuf>,
}

/// `oauth2`: client credentials. The other grant type, signed assertions, is refused by
/// [`HttpClientConfig::validate`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs, reason = "the keys of Prometheus' oauth2")]
pub struct OAuth2 {
    pub client_id: String,
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub client_secret: Secret,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub grant_type: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    pub token_url: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub endpoint_params: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "TlsConfig::is_default")]
    pub tls_config: TlsConfig,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_url: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub no_proxy: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub proxy_from_environment: bool,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub proxy_connect_header: BTreeMap<String, Vec<Secret>>,
    #[serde(skip_serializing)]
    pub client_certificate_key: Secret,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate_key_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub client_certificate_key_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub signature_algorithm: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub iss: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub audience: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub claims: BTreeMap<String, serde_json::Value>,
}

/// `tls_config`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs, reason = "the keys of Prometheus' tls_config")]
pub struct TlsConfig {
    #[serde(deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub ca: String,
    #[serde(deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub cert: String,
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub key: Secret,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    #[serde(deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub server_name: String,
    #[serde(deserialize_with = "null_default")]
    pub insecure_skip_verify: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_version: Option<TlsVersion>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_version: Option<TlsVersion>,
}

/// A TLS version. 1.0 and 1.1 can be named, and are never spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs, reason = "they are what they are called")]
pub enum TlsVersion {
    #[serde(rename = "TLS10")]
    Tls10,
    #[serde(rename = "TLS11")]
    Tls11,
    #[serde(rename = "TLS12")]
    Tls12,
    #[serde(rename = "TLS13")]
    Tls13,
}

/// A header of every request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpHeader {
    /// Values as they are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    /// Values that are not shown.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<Secret>,
    /// Files that hold a value each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<PathBuf>,
}

/// Headers that belong to the protocol, not to the settings.
const RESERVED_HEADERS: [&str; 17] = [
    "authorization",
    "host",
    "content-encoding",
    "content-length",
    "content-type",
    "user-agent",
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "www-authenticate",
    "accept-encoding",
    "x-prometheus-remote-write-version",
    "x-prometheus-remote-read-version",
    "x-prometheus-scrape-timeout-seconds",
    "x-amz-date",
    "x-amz-security-token",
];

type Check = Result<(), String>;

fn refuse(holds: bool, message: &str) -> Check {
    if holds { Err(message.to_owned()) } else { Ok(()) }
}

impl TlsConfig {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// # Errors
    /// Prometheus' text when two settings exclude each other.
    pub fn validate(&self) -> Check {
        refuse(!self.ca.is_empty() && self.ca_file.is_some(), "at most one of ca and ca_file must be configured")?;
        refuse(
            !self.cert.is_empty() && self.cert_file.is_some(),
            "at most one of cert and cert_file must be configured",
        )?;
        refuse(!self.key.is_empty() && self.key_file.is_some(), "at most one of key and key_file must be configured")?;
        let cert = !self.cert.is_empty() || self.cert_file.is_some();
        let key = !self.key.is_empty() || self.key_file.is_some();
        refuse(
            cert && !key,
            "exactly one of key or key_file must be configured when a client certificate is configured",
        )?;
        refuse(key && !cert, "exactly one of cert or cert_file must be configured when a client key is configured")?;
        refuse(
            self.min_version.zip(self.max_version).is_some_and(|(min, max)| min > max),
            "tls_config.max_version must be greater than or equal to tls_config.min_version if both are specified",
        )
    }

    fn files(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        [&mut self.ca_file, &mut self.cert_file, &mut self.key_file].into_iter().flatten()
    }
}

impl HttpClientConfig {
    /// # Errors
    /// Prometheus' text for the first rule that is broken.
    pub fn validate(&self) -> Check {
        let token = !self.bearer_token.is_empty();
        let token_file = self.bearer_token_file.is_some();
        refuse(token && token_file, "at most one of bearer_token & bearer_token_file must be configured")?;
        refuse(
            (self.basic_auth.is_some() || self.oauth2.is_some()) && (token || token_file),
            "at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured",
        )?;
        if let Some(auth) = &self.basic_auth {
            refuse(
                !auth.username.is_empty() && auth.username_file.is_some(),
                "at most one of basic_auth username & username_file must be configured",
            )?;
            refuse(
                !auth.password.is_empty() && auth.password_file.is_some(),
                "at most one of basic_auth password & password_file must be configured",
            )?;
        }
        let one = "at most one of basic_auth, oauth2 & authorization must be configured";
        if let Some(auth) = &self.authorization {
            refuse(token || token_file, "authorization is not compatible with bearer_token & bearer_token_file")?;
            refuse(
                !auth.credentials.is_empty() && auth.credentials_file.is_some(),
                "at most one of authorization credentials & credentials_file must be configured",
            )?;
            refuse(
                auth.kind.trim().eq_ignore_ascii_case("basic"),
                "authorization type cannot be set to \"basic\", use \"basic_auth\" instead",
            )?;
            refuse(self.basic_auth.is_some() || self.oauth2.is_some(), one)?;
        }
        if let Some(oauth2) = &self.oauth2 {
            refuse(self.basic_auth.is_some(), one)?;
            oauth2.validate()?;
        }
        validate_proxy(
            self.proxy_url.as_deref(),
            &self.no_proxy,
            self.proxy_from_environment,
            !self.proxy_connect_header.is_empty(),
        )?;
        for name in self.http_headers.keys() {
            let reserved = RESERVED_HEADERS.contains(&name.to_ascii_lowercase().as_str());
            refuse(reserved, &format!("setting header {name:?} is not allowed"))?;
        }
        self.tls_config.validate()
    }

    /// Makes relative file names relative to `dir`, the folder of the configuration file.
    pub fn set_directory(&mut self, dir: &Path) {
        let mut files: Vec<&mut PathBuf> = self.tls_config.files().collect();
        files.extend(&mut self.bearer_token_file);
        if let Some(auth) = &mut self.basic_auth {
            files.extend(&mut auth.username_file);
            files.extend(&mut auth.password_file);
        }
        if let Some(auth) = &mut self.authorization {
            files.extend(&mut auth.credentials_file);
        }
        if let Some(oauth2) = &mut self.oauth2 {
            files.extend(&mut oauth2.client_secret_file);
            files.extend(&mut oauth2.client_certificate_key_file);
            files.extend(oauth2.tls_config.files());
        }
        for header in self.http_headers.values_mut() {
            files.extend(&mut header.files);
        }
        for file in files {
            if !file.as_os_str().is_empty() {
                *file = dir.join(&*file);
            }
        }
    }
}

impl OAuth2 {
    fn validate(&self) -> Check {
        refuse(self.client_id.is_empty(), "oauth2 client_id must be configured")?;
        refuse(self.token_url.is_empty(), "oauth2 token_url must be configured")?;
        refuse(
            !self.client_secret.is_empty() && self.client_secret_file.is_some(),
            "at most one of oauth2 client_secret & client_secret_file must be configured",
        )?;
        refuse(
            !matches!(self.grant_type.as_str(), "" | "client_credentials"),
            "oauth2 grant_type: only client_credentials is supported",
        )?;
        let proxied = !self.proxy_connect_header.is_empty();
        validate_proxy(self.proxy_url.as_deref(), &self.no_proxy, self.proxy_from_environment, proxied)?;
        self.tls_config.validate()
    }
}

fn validate_proxy(url: Option<&str>, no_proxy: &str, from_environment: bool, connect_header: bool) -> Check {
    let url = url.unwrap_or("");
    refuse(
        connect_header && !from_environment && url.is_empty(),
        "if proxy_connect_header is configured, proxy_url or proxy_from_environment must also be configured",
    )?;
    refuse(
        from_environment && !url.is_empty(),
        "if proxy_from_environment is configured, proxy_url must not be configured",
    )?;
    refuse(
        from_environment && !no_proxy.is_empty(),
        "if proxy_from_environment is configured, no_proxy must not be configured",
    )?;
    refuse(url.is_empty() && !no_proxy.is_empty(), "if no_proxy is configured, proxy_url must also be configured")
}
