//! How receivers are reached: the HTTP client's settings. They are checked here and carried out by the host.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::secret::{Secret, Url};

/// `http_config`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpConfig {
    /// User name and password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub basic_auth: Option<BasicAuth>,
    /// An `Authorization` header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization: Option<Authorization>,
    /// OAuth 2.0 client credentials; read by the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oauth2: Option<serde_json::Value>,
    /// Deprecated form of `authorization`.
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub bearer_token: Secret,
    /// Deprecated form of `authorization`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub bearer_token_file: String,
    /// Certificates and server name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_config: Option<TlsConfig>,
    /// Whether redirects are followed.
    pub follow_redirects: bool,
    /// Whether HTTP/2 is used.
    pub enable_http2: bool,
    /// Proxy to go through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_url: Option<Url>,
    /// Hosts that are reached without the proxy.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub no_proxy: String,
    /// Take the proxy from the environment.
    pub proxy_from_environment: bool,
    /// Headers for the proxy.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub proxy_connect_header: BTreeMap<String, Vec<Secret>>,
    /// More headers.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub http_headers: BTreeMap<String, HeaderValues>,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            basic_auth: None,
            authorization: None,
            oauth2: None,
            bearer_token: Secret::default(),
            bearer_token_file: String::new(),
            tls_config: None,
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

/// `basic_auth`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BasicAuth {
    /// User.
    pub username: String,
    /// File that holds it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub username_file: String,
    /// Password.
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub password: Secret,
    /// File that holds it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub password_file: String,
}

/// `authorization`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Authorization {
    /// Scheme; `Bearer` if empty.
    #[serde(rename = "type")]
    pub kind: String,
    /// What follows the scheme.
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub credentials: Secret,
    /// File that holds it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub credentials_file: String,
}

/// `tls_config`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsConfig {
    /// Authority's certificate.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub ca: String,
    /// Own certificate.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cert: String,
    /// Own key.
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub key: Secret,
    /// File of the authority's certificate.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub ca_file: String,
    /// File of the own certificate.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cert_file: String,
    /// File of the own key.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub key_file: String,
    /// Name to check the server's certificate against.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub server_name: String,
    /// Do not check the server's certificate.
    pub insecure_skip_verify: bool,
    /// Oldest version.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub min_version: String,
    /// Newest version.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub max_version: String,
}

/// Values of a header.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HeaderValues {
    /// Plain values.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    /// Values that are not printed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<Secret>,
    /// Files that hold values.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
}

impl HttpConfig {
    /// What is wrong with the settings, if anything.
    pub fn problem(&self) -> Option<&'static str> {
        let bearer = !self.bearer_token.is_empty();
        let bearer_file = !self.bearer_token_file.is_empty();
        let (basic, oauth2) = (self.basic_auth.is_some(), self.oauth2.is_some());
        if bearer && bearer_file {
            return Some("at most one of bearer_token & bearer_token_file must be configured");
        }
        if (basic || oauth2) && (bearer || bearer_file) {
            return Some("at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured");
        }
        if let Some(basic) = &self.basic_auth {
            if !basic.username.is_empty() && !basic.username_file.is_empty() {
                return Some("at most one of basic_auth username & username_file must be configured");
            }
            if !basic.password.is_empty() && !basic.password_file.is_empty() {
                return Some("at most one of basic_auth password & password_file must be configured");
            }
        }
        if let Some(authorization) = &self.authorization {
            if bearer || bearer_file {
                return Some("authorization is not compatible with bearer_token & bearer_token_file");
            }
            if !authorization.credentials.is_empty() && !authorization.credentials_file.is_empty() {
                return Some("at most one of authorization credentials & credentials_file must be configured");
            }
            if authorization.kind.trim().eq_ignore_ascii_case("basic") {
                return Some("authorization type cannot be set to \"basic\", use \"basic_auth\" instead");
            }
        }
        if usize::from(basic) + usize::from(oauth2) + usize::from(self.authorization.is_some()) > 1 {
            return Some("at most one of basic_auth, oauth2 & authorization must be configured");
        }
        if !self.no_proxy.is_empty() && (self.proxy_from_environment || self.proxy_url.is_none()) {
            return Some(if self.proxy_from_environment {
                "if proxy_from_environment is configured, no_proxy must not be configured"
            } else {
                "if no_proxy is configured, proxy_url must also be configured"
            });
        }
        if self.proxy_from_environment && self.proxy_url.is_some() {
            return Some("if proxy_from_environment is configured, proxy_url must not be configured");
        }
        None
    }
}
