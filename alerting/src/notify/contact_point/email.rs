//! Mail contact points. The mail server is the installation's, not the contact point's.

use serde::Deserialize;
use serde_json::Value;

use super::{ContactPointOptions, DEFAULT_TITLE, SettingsError, or_default, read};
use crate::notify::config::http::TlsConfig;
use crate::notify::config::receiver::EmailConfig;
use crate::notify::config::secret::{HostPort, Secret};
use crate::notify::render::{Job, RenderError, email};
use crate::notify::request::Payload;

const HTML: &str = "{{ template \"email.grafana.html\" . }}";

/// The installation's mail server.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SmtpSettings {
    /// Server.
    pub smarthost: HostPort,
    /// Sender: `Grafana <admin@example.org>`.
    pub from: String,
    /// Name to greet the server with.
    pub hello: String,
    /// User to log in with.
    pub username: String,
    /// Password.
    pub password: Secret,
    /// Whether STARTTLS is a must.
    pub require_tls: bool,
    /// Certificates and server name.
    pub tls_config: Option<TlsConfig>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Settings {
    addresses: String,
    #[serde(rename = "singleEmail")]
    single: bool,
    message: String,
    subject: String,
    #[serde(skip)]
    smtp: Option<SmtpSettings>,
}

impl Settings {
    pub(super) fn new(settings: Value, options: &ContactPointOptions) -> Result<Self, SettingsError> {
        let mut own: Self = read(settings)?;
        if own.addresses.is_empty() {
            return Err(SettingsError::new("could not find addresses in settings"));
        }
        or_default(&mut own.subject, DEFAULT_TITLE);
        own.smtp.clone_from(&options.smtp);
        Ok(own)
    }

    fn addresses(&self) -> Vec<String> {
        let parts = self.addresses.split([',', ';', '\n']).map(str::trim);
        parts.filter(|part| !part.is_empty()).map(str::to_owned).collect()
    }

    pub(super) fn render(&self, job: &Job<'_>) -> Result<Payload, RenderError> {
        let Some(smtp) = &self.smtp else {
            return Err(RenderError::Invalid { what: "email", problem: "no mail server is configured".to_owned() });
        };
        // Literal from here on: what was expanded is not expanded again.
        let literal = |text: String| text.replace("{{", "{{ \"{{\" }}");
        let subject = literal(job.text_or(&self.subject, DEFAULT_TITLE));
        let (html, text) = if self.message.is_empty() {
            (HTML.to_owned(), "{{ template \"default.message\" . }}".to_owned())
        } else {
            let message = job.text_or(&self.message, super::DEFAULT_MESSAGE);
            (String::new(), literal(message))
        };
        let addresses = self.addresses();
        let lists: Vec<String> = if self.single { vec![addresses.join(", ")] } else { addresses };
        let mut mails = Vec::new();
        for to in lists {
            let config = EmailConfig {
                to: literal(to),
                from: smtp.from.clone(),
                hello: smtp.hello.clone(),
                smarthost: smtp.smarthost.clone(),
                auth_username: smtp.username.clone(),
                auth_password: smtp.password.clone(),
                require_tls: Some(smtp.require_tls),
                tls_config: smtp.tls_config.clone(),
                headers: [("Subject".to_owned(), subject.clone())].into(),
                html: html.clone(),
                text: text.clone(),
                ..EmailConfig::default()
            };
            mails.push(email::mail(job, &config)?);
        }
        Ok(Payload::Mail(mails))
    }
}
