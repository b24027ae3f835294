//! Where alerts go: Alertmanagers and the rules applied on the way.

use std::path::Path;

use kit::client::{HTTP_CLIENT_KEYS, HttpClientConfig};
use kit::config::PromDuration;
use kit::relabel::{NameScheme, RelabelConfig, Rule, compile_all};
use kit::yaml::{ConfigError, FromNode, Node, Section};

use super::discovery::DiscoveryConfigs;

/// The `alerting` section.
#[derive(Clone, Debug, Default)]
pub struct AlertingConfig {
    /// Rules for every alert before it is sent.
    pub alert_relabel_rules: Vec<Rule>,
    /// The receivers.
    pub alertmanagers: Vec<AlertmanagerConfig>,
}

/// A group of Alertmanagers.
#[derive(Clone, Debug)]
pub struct AlertmanagerConfig {
    /// How they are reached.
    pub http: HttpClientConfig,
    /// Where they are found.
    pub discovery: DiscoveryConfigs,
    /// `http` or `https`.
    pub scheme: String,
    /// Put before the path of the API.
    pub path_prefix: String,
    /// Time a request may take, ms.
    pub timeout_ms: i64,
    /// Rules for the receivers' addresses.
    pub relabel_rules: Vec<Rule>,
    /// Rules for alerts sent to this group.
    pub alert_relabel_rules: Vec<Rule>,
}

/// Reads and compiles a list of rules.
pub(super) fn rules(section: &mut Section<'_>, key: &str, what: &str) -> Result<Vec<Rule>, ConfigError> {
    let configs = section.list::<RelabelConfig>(key, what)?;
    compile_all(&configs, NameScheme::Utf8).map_err(|message| section.error(key, message))
}

impl FromNode for AlertingConfig {
    fn from_node(node: &Node) -> Result<Self, ConfigError> {
        let mut section = Section::new(node, "config.plain")?;
        let config = Self {
            alert_relabel_rules: rules(&mut section, "alert_relabel_configs", "alert relabeling rule")?,
            alertmanagers: section.list("alertmanagers", "Alertmanager config section")?,
        };
        section.finish()?;
        Ok(config)
    }
}

impl FromNode for AlertmanagerConfig {
    fn from_node(node: &Node) -> Result<Self, ConfigError> {
        let mut section = Section::new(node, "config.AlertmanagerConfig")?;
        let discovery = DiscoveryConfigs::read(&mut section)?;
        let http = HttpClientConfig::from_node(&section.take(&HTTP_CLIENT_KEYS))?;
        let version: String = section.or("api_version", "v2".to_owned())?;
        if !matches!(version.as_str(), "v1" | "v2") {
            return Err(section.error(
                "api_version",
                format!("expected Alertmanager api version to be one of [v1 v2] but got {version}"),
            ));
        }
        if section.has("sigv4") {
            return Err(section.error("sigv4", "requests signed for AWS are not supported"));
        }
        let config = Self {
            scheme: section.or("scheme", "http".to_owned())?,
            path_prefix: section.get("path_prefix")?,
            timeout_ms: section.or("timeout", PromDuration(10_000))?.0,
            relabel_rules: rules(&mut section, "relabel_configs", "Alertmanager target relabeling rule")?,
            alert_relabel_rules: rules(&mut section, "alert_relabel_configs", "Alertmanager alert relabeling rule")?,
            discovery,
            http,
        };
        section.finish()?;
        config
            .discovery
            .check_static_targets(&config.relabel_rules, "")
            .map_err(|message| ConfigError::at(node, message))?;
        Ok(config)
    }
}

impl AlertingConfig {
    pub(super) fn resolve(&mut self, dir: &Path) {
        for alertmanager in &mut self.alertmanagers {
            alertmanager.discovery.resolve(dir);
        }
    }
}
