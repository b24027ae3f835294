//! Secrets and addresses in configuration files.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a printed configuration shows instead of a secret.
pub const SECRET_TOKEN: &str = "<secret>";

/// A text that is never printed.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for use and never for printing.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "\"\"" } else { SECRET_TOKEN })
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(if self.0.is_empty() { "" } else { SECRET_TOKEN })
    }
}

/// An `http` or `https` address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Url(String);

impl Url {
    /// # Errors
    /// When the text is not an address, or of another scheme, or names no host.
    pub fn new(text: &str) -> Result<Self, String> {
        check_url(text)?;
        Ok(Self(text.to_owned()))
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address with a slash at its end.
    pub fn with_slash(&self) -> String {
        if self.0.ends_with('/') { self.0.clone() } else { format!("{}/", self.0) }
    }
}

impl<'de> Deserialize<'de> for Url {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// An address that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl(String);

impl SecretUrl {
    /// # Errors
    /// As [`Url::new`].
    pub fn new(text: &str) -> Result<Self, String> {
        if text != SECRET_TOKEN {
            check_url(text)?;
        }
        Ok(Self(text.to_owned()))
    }

    /// The address itself, for use and never for printing.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SECRET_TOKEN)
    }
}

impl Serialize for SecretUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(SECRET_TOKEN)
    }
}

impl<'de> Deserialize<'de> for SecretUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The text is left out of the error: it may hold a token.
        Self::new(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

fn check_url(text: &str) -> Result<(), String> {
    let Some((scheme, rest)) = text.split_once(':') else {
        return Err("unsupported scheme \"\" for URL".to_owned());
    };
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err(format!("unsupported scheme {scheme:?} for URL"));
    }
    let Some(rest) = rest.strip_prefix("//") else { return Err("missing host for URL".to_owned()) };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let authority = rest.get(..end).unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    if host.is_empty() || host.starts_with(':') {
        return Err("missing host for URL".to_owned());
    }
    if text.chars().any(|c| c.is_ascii_control() || c == ' ') {
        return Err("invalid character in URL".to_owned());
    }
    Ok(())
}

/// `host:port` of a mail server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostPort {
    /// Name or address, without brackets.
    pub host: String,
    /// Port, a number or a service's name.
    pub port: String,
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.host.contains(':'), self.host.is_empty() && self.port.is_empty()) {
            (_, true) => Ok(()),
            (true, _) => write!(f, "[{}]:{}", self.host, self.port),
            (false, _) => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl Serialize for HostPort {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HostPort {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() {
            return Ok(Self::default());
        }
        let (host, port) = text
            .rsplit_once(':')
            .ok_or_else(|| D::Error::custom(format_args!("address {text}: missing port in address")))?;
        if port.is_empty() {
            return Err(D::Error::custom(format_args!("address {text:?}: port cannot be empty")));
        }
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        Ok(Self { host: host.to_owned(), port: port.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_print() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret:?}"), SECRET_TOKEN);
        assert_eq!(serde_json::to_string(&secret).ok().as_deref(), Some("\"<secret>\""));
        let url = SecretUrl::new("https://hooks.slack.com/services/T0/B0/key").expect("an address");
        assert!(!format!("{url:?}").contains("key"));
        assert_eq!(serde_json::to_string(&url).ok().as_deref(), Some("\"<secret>\""));
        let error = serde_json::from_str::<SecretUrl>("\"ftp://u:hunter2@h/\"").expect_err("another scheme");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }

    #[test]
    fn addresses() {
        for good in ["http://a", "https://a:80/b?c#d", "HTTP://[::1]:80", "https://u:p@h/"] {
            assert!(Url::new(good).is_ok(), "{good}");
        }
        for bad in ["", "a", "ftp://a", "http:", "http:a", "http://", "http:///x", "http://:80", "http://a b"] {
            assert!(Url::new(bad).is_err(), "{bad}");
        }
        let mail: HostPort = serde_json::from_str("\"[::1]:25\"").expect("host and port");
        assert_eq!((mail.host.as_str(), mail.port.as_str(), mail.to_string().as_str()), ("::1", "25", "[::1]:25"));
        assert!(serde_json::from_str::<HostPort>("\"mail\"").is_err());
        assert!(serde_json::from_str::<HostPort>("\"mail:\"").is_err());
    }
}
