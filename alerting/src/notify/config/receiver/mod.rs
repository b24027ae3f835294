//! `receivers`: where notifications go, as configured.
//!
//! Each kind of integration has a file: its keys with Alertmanager's defaults, its checks, and how it falls back to the
//! `global` section ([`Integration`] holds the result). Kinds that Foursight does not send to are read and checked by
//! [`other`] so that a file with them loads; sending to one fails with an error that says so.

mod discord;
mod email;
mod incidentio;
mod mattermost;
mod msteams;
mod msteamsv2;
mod opsgenie;
pub mod other;
mod pagerduty;
mod pushover;
mod rocketchat;
mod slack;
mod telegram;
mod victorops;
mod webex;
mod webhook;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use discord::DiscordConfig;
pub use email::{EmailConfig, Threading};
pub use incidentio::IncidentioConfig;
pub use mattermost::{MattermostAttachment, MattermostConfig, MattermostField, MattermostPriority, MattermostProps};
pub use msteams::MsTeamsConfig;
pub use msteamsv2::MsTeamsV2Config;
pub use opsgenie::{OpsGenieConfig, OpsGenieResponder};
pub use other::OtherConfig;
pub use pagerduty::{PagerDutyConfig, PagerDutyImage, PagerDutyLink};
pub use pushover::PushoverConfig;
pub use rocketchat::{RocketchatAction, RocketchatConfig, RocketchatField};
pub use slack::{SlackAction, SlackConfig, SlackConfirm, SlackField, SlackLayout};
pub use telegram::TelegramConfig;
pub use victorops::VictorOpsConfig;
pub use webex::WebexConfig;
pub use webhook::WebhookConfig;

use super::ConfigError;
use super::global::GlobalConfig;
use super::http::HttpConfig;
use crate::text::null_default;

/// A receiver with its integrations.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the fields are the keys of the configuration file and their documentation")]
pub struct Receiver {
    pub name: String,
    #[serde(deserialize_with = "null_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub discord_configs: Vec<Option<DiscordConfig>>,
    #[serde(deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub email_configs: Vec<Option<EmailConfig>>,
    #[serde(deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub incidentio_configs: Vec<Option<IncidentioConfig>>,
    #[serde(deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub pagerduty_configs: Vec<Option<PagerDutyConfig>>,
    #[serde(deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub slack_configs: Vec<Option<SlackConfig>>,
    #[serde(deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub webhook_configs: Vec<Option<WebhookConfig>>,
    #[serde(deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub opsgenie_configs: Vec<Option<OpsGenieConfig>>,
    #[serde(deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub wechat_configs: Vec<Option<OtherConfig>>,
    #[serde(deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub pushover_configs: Vec<Option<PushoverConfig>>,
    #[serde(deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub victorops_configs: Vec<Option<VictorOpsConfig>>,
    #[serde(deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub sns_configs: Vec<Option<OtherConfig>>,
    #[serde(deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub telegram_configs: Vec<Option<TelegramConfig>>,
    #[serde(deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub webex_configs: Vec<Option<WebexConfig>>,
    #[serde(deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub msteams_configs: Vec<Option<MsTeamsConfig>>,
    #[serde(deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub msteamsv2_configs: Vec<Option<MsTeamsV2Config>>,
    #[serde(deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub jira_configs: Vec<Option<OtherConfig>>,
    #[serde(deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub rocketchat_configs: Vec<Option<RocketchatConfig>>,
    #[serde(deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub mattermost_configs: Vec<Option<MattermostConfig>>,
}

/// An integration ready for use: checked, the global section's values filled in.
#[derive(Clone, Debug, PartialEq)]
pub enum Integration {
    /// Slack.
    Slack(Box<SlackConfig>),
    /// A JSON POST of the alerts.
    Webhook(WebhookConfig),
    /// Mail.
    Email(Box<EmailConfig>),
    /// PagerDuty, both versions of its events.
    PagerDuty(Box<PagerDutyConfig>),
    /// OpsGenie.
    OpsGenie(Box<OpsGenieConfig>),
    /// Telegram.
    Telegram(TelegramConfig),
    /// Discord.
    Discord(DiscordConfig),
    /// Microsoft Teams through Power Automate.
    MsTeamsV2(MsTeamsV2Config),
    /// Microsoft Teams through a connector.
    MsTeams(MsTeamsConfig),
    /// Pushover.
    Pushover(Box<PushoverConfig>),
    /// VictorOps.
    VictorOps(Box<VictorOpsConfig>),
    /// Webex.
    Webex(WebexConfig),
    /// Rocket.Chat.
    Rocketchat(Box<RocketchatConfig>),
    /// Mattermost.
    Mattermost(Box<MattermostConfig>),
    /// incident.io.
    Incidentio(IncidentioConfig),
    /// A Grafana contact point.
    Grafana(Box<crate::notify::contact_point::GrafanaIntegration>),
    /// A kind that is read but not sent to.
    Other(OtherConfig),
}

impl Integration {
    /// Name in keys and metrics: `slack`, `webhook`, ….
    pub fn name(&self) -> &str {
        match self {
            Self::Slack(_) => "slack",
            Self::Webhook(_) => "webhook",
            Self::Email(_) => "email",
            Self::PagerDuty(_) => "pagerduty",
            Self::OpsGenie(_) => "opsgenie",
            Self::Telegram(_) => "telegram",
            Self::Discord(_) => "discord",
            Self::MsTeamsV2(_) => "msteamsv2",
            Self::MsTeams(_) => "msteams",
            Self::Pushover(_) => "pushover",
            Self::VictorOps(_) => "victorops",
            Self::Webex(_) => "webex",
            Self::Rocketchat(_) => "rocketchat",
            Self::Mattermost(_) => "mattermost",
            Self::Incidentio(_) => "incidentio",
            Self::Grafana(integration) => integration.name(),
            Self::Other(other) => &other.kind,
        }
    }

    /// Whether resolved alerts are sent.
    pub fn send_resolved(&self) -> bool {
        match self {
            Self::Slack(config) => config.send_resolved,
            Self::Webhook(config) => config.send_resolved,
            Self::Email(config) => config.send_resolved,
            Self::PagerDuty(config) => config.send_resolved,
            Self::OpsGenie(config) => config.send_resolved,
            Self::Telegram(config) => config.send_resolved,
            Self::Discord(config) => config.send_resolved,
            Self::MsTeamsV2(config) => config.send_resolved,
            Self::MsTeams(config) => config.send_resolved,
            Self::Pushover(config) => config.send_resolved,
            Self::VictorOps(config) => config.send_resolved,
            Self::Webex(config) => config.send_resolved,
            Self::Rocketchat(config) => config.send_resolved,
            Self::Mattermost(config) => config.send_resolved,
            Self::Incidentio(config) => config.send_resolved,
            Self::Grafana(integration) => integration.send_resolved(),
            Self::Other(config) => config.send_resolved,
        }
    }
}

impl Receiver {
    /// Labels for filtering: those configured, and the name.
    pub fn all_labels(&self) -> BTreeMap<String, String> {
        let mut labels = self.labels.clone();
        labels.insert("name".to_owned(), self.name.clone());
        labels
    }

    /// The receiver's integrations with their indexes within their kind, in Alertmanager's order of kinds.
    ///
    /// # Errors
    /// What is wrong with the first integration that is not as it should be.
    pub(crate) fn integrations(
        &self,
        place: &str,
        global: &GlobalConfig,
    ) -> Result<Vec<(Integration, usize)>, ConfigError> {
        let mut all = Vec::new();
        let mut add = |found: Vec<Integration>| all.extend(found.into_iter().enumerate().map(|(i, one)| (one, i)));
        add(each(place, "discord", &self.discord_configs, |c, at| c.resolve(at, global).map(Integration::Discord))?);
        add(each(place, "email", &self.email_configs, |c, at| {
            c.resolve(at, global).map(|c| Integration::Email(Box::new(c)))
        })?);
        add(each(place, "incidentio", &self.incidentio_configs, |c, at| {
            c.resolve(at, global).map(Integration::Incidentio)
        })?);
        add(each(place, "pagerduty", &self.pagerduty_configs, |c, at| {
            c.resolve(at, global).map(|c| Integration::PagerDuty(Box::new(c)))
        })?);
        add(each_or_default(place, "slack", &self.slack_configs, |c, at| {
            c.resolve(at, global).map(|c| Integration::Slack(Box::new(c)))
        })?);
        add(each(place, "webhook", &self.webhook_configs, |c, at| c.resolve(at, global).map(Integration::Webhook))?);
        add(each_or_default(place, "opsgenie", &self.opsgenie_configs, |c, at| {
            c.resolve(at, global).map(|c| Integration::OpsGenie(Box::new(c)))
        })?);
        add(others(place, "wechat", &self.wechat_configs, global)?);
        add(each(place, "pushover", &self.pushover_configs, |c, at| {
            c.resolve(at, global).map(|c| Integration::Pushover(Box::new(c)))
        })?);
        add(each(place, "victorops", &self.victorops_configs, |c, at| {
            c.resolve(at, global).map(|c| Integration::VictorOps(Box::new(c)))
        })?);
        add(others(place, "sns", &self.sns_configs, global)?);
        add(each(place, "telegram", &self.telegram_configs, |c, at| c.resolve(at, global).map(Integration::Telegram))?);
        add(each(place, "webex", &self.webex_configs, |c, at| c.resolve(at, global).map(Integration::Webex))?);
        add(each(place, "msteams", &self.msteams_configs, |c, at| c.resolve(at, global).map(Integration::MsTeams))?);
        add(each(place, "msteamsv2", &self.msteamsv2_configs, |c, at| {
            c.resolve(at, global).map(Integration::MsTeamsV2)
        })?);
        add(others(place, "jira", &self.jira_configs, global)?);
        add(each_or_default(place, "rocketchat", &self.rocketchat_configs, |c, at| {
            c.resolve(at, global).map(|c| Integration::Rocketchat(Box::new(c)))
        })?);
        add(each(place, "mattermost", &self.mattermost_configs, |c, at| {
            c.resolve(at, global).map(|c| Integration::Mattermost(Box::new(c)))
        })?);
        Ok(all)
    }
}

fn each<T: Clone>(
    place: &str,
    kind: &str,
    configs: &[Option<T>],
    resolve: impl Fn(T, &str) -> Result<Integration, ConfigError>,
) -> Result<Vec<Integration>, ConfigError> {
    let with_place = configs.iter().enumerate().map(|(i, config)| (config, format!("{place}.{kind}_configs[{i}]")));
    with_place
        .map(|(config, at)| match config {
            Some(config) => resolve(config.clone(), &at),
            None => Err(ConfigError::new(&at, format!("missing {kind} config"))),
        })
        .collect()
}

/// As [`each`], with the defaults where an entry is empty.
fn each_or_default<T: Clone + Default>(
    place: &str,
    kind: &str,
    configs: &[Option<T>],
    resolve: impl Fn(T, &str) -> Result<Integration, ConfigError>,
) -> Result<Vec<Integration>, ConfigError> {
    let filled: Vec<_> = configs.iter().map(|config| Some(config.clone().unwrap_or_default())).collect();
    each(place, kind, &filled, resolve)
}

fn others(
    place: &str,
    kind: &'static str,
    configs: &[Option<OtherConfig>],
    global: &GlobalConfig,
) -> Result<Vec<Integration>, ConfigError> {
    each(place, kind, configs, |config, at| config.resolve(kind, at, global).map(Integration::Other))
}

/// The receiver's HTTP settings, or the global ones, checked.
fn http_config(own: Option<HttpConfig>, place: &str, global: &GlobalConfig) -> Result<Option<HttpConfig>, ConfigError> {
    if let Some(problem) = own.as_ref().and_then(HttpConfig::problem) {
        return Err(ConfigError::new(&format!("{place}.http_config"), problem));
    }
    Ok(own.or_else(|| global.http_config.clone()))
}

/// An error if both are given.
fn at_most_one(place: &str, a: bool, b: bool, names: &str) -> Result<(), ConfigError> {
    if a && b {
        return Err(ConfigError::new(place, format!("at most one of {names} must be configured")));
    }
    Ok(())
}
