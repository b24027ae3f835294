//! Grafana's contact points: a name with integrations, each a kind and its settings.
//!
//! A host merges decrypted secrets into the settings and compiles a [`ContactPointIntegration`] to a
//! [`GrafanaIntegration`], which checks the settings in Grafana's words. Each kind has a file with its settings and its
//! message. Unlike Alertmanager's receivers a broken template does not keep a message back: the default text takes its
//! place, since people would rather have an ugly alert than none.

mod alertmanager;
mod dingding;
mod discord;
mod email;
mod googlechat;
mod kafka;
mod opsgenie;
mod pagerduty;
mod sensugo;
mod slack;
mod teams;
mod telegram;
mod victorops;
mod webex;
mod webhook;
mod wecom;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use email::SmtpSettings;

use super::config::{CompiledReceiver, ConfigError, Integration};
use super::render::{Job, RenderError};
use super::request::Payload;
use super::template::{ExtendedAlert, extend};

/// The title that messages have unless a setting says otherwise.
const DEFAULT_TITLE: &str = "{{ template \"default.title\" . }}";
/// The text.
const DEFAULT_MESSAGE: &str = "{{ template \"default.message\" . }}";
const DEFAULT_COLOR: &str = "{{ if eq .Status \"firing\" }}#D63232{{ else }}#36a64f{{ end }}";
const FOOTER_ICON: &str = "https://grafana.com/static/assets/img/fav32.png";

/// A contact point.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContactPoint {
    /// Organisation; 1 if not said.
    pub org_id: i64,
    /// Its name.
    pub name: String,
    /// Its integrations.
    #[serde(deserialize_with = "crate::text::null_default")]
    pub receivers: Vec<ContactPointIntegration>,
}

/// An integration of a contact point.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContactPointIntegration {
    /// Its id.
    pub uid: String,
    /// Its name; the contact point's where the API has integrations one by one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Its kind: `slack`, `webhook`, ….
    #[serde(rename = "type")]
    pub kind: String,
    /// Settings by the kind's keys. They may hold secrets.
    pub settings: Map<String, Value>,
    /// Whether it is not told of resolved alerts.
    pub disable_resolve_message: bool,
}

/// What integrations need besides their settings.
#[derive(Clone, Debug, Default)]
pub struct ContactPointOptions {
    /// Mail server of the installation.
    pub smtp: Option<SmtpSettings>,
    /// Name of the machine, the default source of PagerDuty's events.
    pub hostname: String,
    /// Whether Slack messages whose title and text nobody has set come in Foursight's own layout. The setting `layout`
    /// (`foursight` or `grafana`) says so for one contact point.
    pub rich_slack: bool,
}

/// Something is wrong with an integration's settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SettingsError(String);

impl SettingsError {
    fn new(problem: impl Into<String>) -> Self {
        Self(problem.into())
    }
}

/// An integration ready for use.
#[derive(Clone, Debug, PartialEq)]
pub struct GrafanaIntegration {
    uid: String,
    send_resolved: bool,
    kind: GrafanaKind,
}

/// The kinds and their settings.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum GrafanaKind {
    Slack(slack::Settings),
    Webhook(Box<webhook::Settings>),
    Email(email::Settings),
    PagerDuty(pagerduty::Settings),
    OpsGenie(opsgenie::Settings),
    Telegram(telegram::Settings),
    Discord(discord::Settings),
    Teams(teams::Settings),
    Alertmanager(alertmanager::Settings),
    DingDing(dingding::Settings),
    GoogleChat(googlechat::Settings),
    Kafka(Box<kafka::Settings>),
    /// A webhook with another name.
    OnCall(Box<webhook::Settings>),
    SensuGo(Box<sensugo::Settings>),
    VictorOps(victorops::Settings),
    Webex(webex::Settings),
    WeCom(wecom::Settings),
    /// Known to Grafana, but not sent to.
    Unsupported(String),
}

/// Kinds that are read but not sent to.
const UNSUPPORTED: [&str; 6] = ["jira", "line", "mqtt", "pushover", "sns", "threema"];

impl GrafanaIntegration {
    /// Checks the settings and fills in defaults.
    ///
    /// # Errors
    /// What is wrong with them, in Grafana's words.
    pub fn new(config: &ContactPointIntegration, options: &ContactPointOptions) -> Result<Self, SettingsError> {
        let settings = || Value::Object(config.settings.clone());
        let kind = match config.kind.as_str() {
            "slack" => GrafanaKind::Slack(slack::Settings::new(settings(), options)?),
            "webhook" => GrafanaKind::Webhook(Box::new(webhook::Settings::new(settings())?)),
            "email" => GrafanaKind::Email(email::Settings::new(settings(), options)?),
            "pagerduty" => GrafanaKind::PagerDuty(pagerduty::Settings::new(settings(), options)?),
            "opsgenie" => GrafanaKind::OpsGenie(opsgenie::Settings::new(settings())?),
            "telegram" => GrafanaKind::Telegram(telegram::Settings::new(settings())?),
            "discord" => GrafanaKind::Discord(discord::Settings::new(settings())?),
            "teams" => GrafanaKind::Teams(teams::Settings::new(settings())?),
            "prometheus-alertmanager" => GrafanaKind::Alertmanager(alertmanager::Settings::new(settings())?),
            "dingding" => GrafanaKind::DingDing(dingding::Settings::new(settings())?),
            "googlechat" => GrafanaKind::GoogleChat(googlechat::Settings::new(settings())?),
            "kafka" => GrafanaKind::Kafka(Box::new(kafka::Settings::new(settings())?)),
            "oncall" => GrafanaKind::OnCall(Box::new(webhook::Settings::new(settings())?)),
            "sensugo" => GrafanaKind::SensuGo(Box::new(sensugo::Settings::new(settings())?)),
            "victorops" => GrafanaKind::VictorOps(victorops::Settings::new(settings())?),
            "webex" => GrafanaKind::Webex(webex::Settings::new(settings())?),
            "wecom" => GrafanaKind::WeCom(wecom::Settings::new(settings())?),
            kind if UNSUPPORTED.contains(&kind) => GrafanaKind::Unsupported(kind.to_owned()),
            kind => return Err(SettingsError::new(format!("notifier {kind} is not supported"))),
        };
        Ok(Self { uid: config.uid.clone(), send_resolved: !config.disable_resolve_message, kind })
    }

    /// Kind, as keys and metrics show it.
    pub fn name(&self) -> &str {
        match &self.kind {
            GrafanaKind::Slack(_) => "slack",
            GrafanaKind::Webhook(_) => "webhook",
            GrafanaKind::Email(_) => "email",
            GrafanaKind::PagerDuty(_) => "pagerduty",
            GrafanaKind::OpsGenie(_) => "opsgenie",
            GrafanaKind::Telegram(_) => "telegram",
            GrafanaKind::Discord(_) => "discord",
            GrafanaKind::Teams(_) => "teams",
            GrafanaKind::Alertmanager(_) => "prometheus-alertmanager",
            GrafanaKind::DingDing(_) => "dingding",
            GrafanaKind::GoogleChat(_) => "googlechat",
            GrafanaKind::Kafka(_) => "kafka",
            GrafanaKind::OnCall(_) => "oncall",
            GrafanaKind::SensuGo(_) => "sensugo",
            GrafanaKind::VictorOps(_) => "victorops",
            GrafanaKind::Webex(_) => "webex",
            GrafanaKind::WeCom(_) => "wecom",
            GrafanaKind::Unsupported(kind) => kind,
        }
    }

    /// Whether the kind is read but not sent to.
    pub fn is_unsupported(&self) -> bool {
        match &self.kind {
            GrafanaKind::Unsupported(_) => true,
            GrafanaKind::WeCom(settings) => settings.is_app(),
            _ => false,
        }
    }

    /// Its id.
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// Whether resolved alerts are sent.
    pub fn send_resolved(&self) -> bool {
        self.send_resolved
    }

    pub(crate) fn kind(&self) -> &GrafanaKind {
        &self.kind
    }

    pub(crate) fn render(&self, job: &Job<'_>) -> Result<Payload, RenderError> {
        match &self.kind {
            GrafanaKind::Slack(settings) => settings.render(job),
            GrafanaKind::Webhook(settings) => settings.render(job),
            GrafanaKind::Email(settings) => settings.render(job),
            GrafanaKind::PagerDuty(settings) => settings.render(job),
            GrafanaKind::OpsGenie(settings) => settings.render(job),
            GrafanaKind::Telegram(settings) => settings.render(job),
            GrafanaKind::Discord(settings) => settings.render(job),
            GrafanaKind::Teams(settings) => settings.render(job),
            GrafanaKind::Alertmanager(settings) => settings.render(job),
            GrafanaKind::DingDing(settings) => settings.render(job),
            GrafanaKind::GoogleChat(settings) => settings.render(job),
            GrafanaKind::Kafka(settings) => settings.render(job),
            GrafanaKind::OnCall(settings) => settings.render(job),
            GrafanaKind::SensuGo(settings) => settings.render(job),
            GrafanaKind::VictorOps(settings) => settings.render(job),
            GrafanaKind::Webex(settings) => settings.render(job),
            GrafanaKind::WeCom(settings) => settings.render(job),
            GrafanaKind::Unsupported(kind) => Err(RenderError::Unsupported(kind.clone())),
        }
    }
}

/// Contact points as receivers of a configuration.
///
/// # Errors
/// The first integration whose settings are wrong, or a name that is there twice.
pub fn compile_contact_points(
    points: &[ContactPoint],
    options: &ContactPointOptions,
) -> Result<BTreeMap<String, CompiledReceiver>, ConfigError> {
    let mut receivers = BTreeMap::new();
    for (i, point) in points.iter().enumerate() {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        let mut integrations = Vec::new();
        for (j, config) in point.receivers.iter().enumerate() {
            let place = format!("contactPoints[{i}].receivers[{j}]");
            let integration = GrafanaIntegration::new(config, options).map_err(|error| {
                ConfigError::new(&place, format!("failed to validate integration {:?}: {error}", point.name))
            })?;
            let index = counts.entry(integration.name().to_owned()).or_default();
            integrations.push((Arc::new(Integration::Grafana(Box::new(integration))), *index));
            *index += 1;
        }
        let labels = BTreeMap::from([("name".to_owned(), point.name.clone())]);
        let compiled = CompiledReceiver { name: point.name.clone(), labels, integrations };
        if receivers.insert(point.name.clone(), compiled).is_some() {
            let problem = format!("notification config name {:?} is not unique", point.name);
            return Err(ConfigError::new(&format!("contactPoints[{i}]"), problem));
        }
    }
    Ok(receivers)
}

fn read<T: for<'de> Deserialize<'de>>(settings: Value) -> Result<T, SettingsError> {
    serde_json::from_value(settings).map_err(|error| SettingsError(format!("failed to unmarshal settings: {error}")))
}

/// Sets `value` unless it says something.
fn or_default(value: &mut String, default: &str) {
    if value.is_empty() {
        default.clone_into(value);
    }
}

/// A setting that is a number or a text of one, kept as text.
fn number_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(String::new()),
        Value::String(text) => Ok(text.trim().to_owned()),
        Value::Number(number) => Ok(number.to_string()),
        other => Err(D::Error::custom(format_args!("{other} is not a number"))),
    }
}

/// A setting that is a list within one text, parts between commas.
fn comma_list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
    Ok(text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect())
}

impl Job<'_> {
    /// What a text writes; if it fails, what `default` writes.
    fn text_or(&self, text: &str, default: &str) -> String {
        self.text("", text).or_else(|_| self.text("", default)).unwrap_or_default()
    }

    /// What a text writes; if it fails, the text itself.
    fn text_or_itself(&self, text: &str) -> String {
        self.text("", text).unwrap_or_else(|_| text.to_owned())
    }

    fn extended(&self) -> Vec<ExtendedAlert> {
        let external_url = self.renderer.templates().external_url();
        self.message.alerts.iter().map(|one| extend(one, external_url, self.now_ms)).collect()
    }

    /// Page of the alert rules.
    fn rules_url(&self) -> String {
        format!("{}/alerting/list", self.renderer.templates().external_url())
    }

    /// The first picture of an alert.
    fn image_url(&self) -> Option<String> {
        self.extended().into_iter().map(|alert| alert.image_url).find(|url| !url.is_empty())
    }
}

#[cfg(test)]
mod tests;
