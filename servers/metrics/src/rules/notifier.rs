//! Who is told of alerts: the Alertmanagers of the configuration, as discovery finds them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use kit::client::Client;
use kit::metrics::Registry;
use kit::relabel::process;
use ruler::{AlertQueue, QueueSettings, Receivers};

use crate::config::{AlertmanagerConfig, Config};
use crate::discovery::Discovery;

/// See the module.
pub struct Notifier {
    /// Alerts on their way.
    pub queue: Arc<AlertQueue>,
    discovery: Arc<Discovery>,
    user_agent: String,
}

impl Notifier {
    /// A notifier without receivers.
    pub fn new(capacity: usize, discovery: Arc<Discovery>, registry: &Registry, user_agent: &str) -> Arc<Self> {
        let settings = QueueSettings { component: "notifier", prefix: "prometheus", capacity };
        Arc::new(Self { queue: AlertQueue::new(settings, registry), discovery, user_agent: user_agent.to_owned() })
    }

    /// Takes over a configuration.
    pub fn apply(&self, config: &Config) {
        let alerting = &config.alerting;
        let names: Vec<String> = (0..alerting.alertmanagers.len()).map(|at| format!("config-{at}")).collect();
        let receivers = names.iter().zip(&alerting.alertmanagers).map(|(name, config)| self.receivers(name, config));
        self.queue.configure(
            config.external_labels().clone(),
            alerting.alert_relabel_rules.clone(),
            receivers.collect(),
        );
        self.discovery
            .apply(names.iter().map(String::as_str).zip(alerting.alertmanagers.iter().map(|config| &config.discovery)));
    }

    fn receivers(&self, name: &str, config: &AlertmanagerConfig) -> Receivers {
        let client = Client::new(&config.http, &self.user_agent);
        if let Err(reason) = &client {
            tracing::error!(
                component = "notifier",
                config = name,
                err = %reason,
                "these Alertmanagers cannot be reached as configured"
            );
        }
        let urls = {
            let (discovery, name, config) = (self.discovery.clone(), name.to_owned(), config.clone());
            move || urls(&discovery, &name, &config)
        };
        Receivers {
            client: client.ok(),
            timeout: Duration::from_millis(u64::try_from(config.timeout_ms).unwrap_or(10_000)),
            relabel_rules: config.alert_relabel_rules.clone(),
            urls: Box::new(urls),
        }
    }
}

fn urls(discovery: &Discovery, name: &str, config: &AlertmanagerConfig) -> Vec<String> {
    let mut found = BTreeSet::new();
    for group in discovery.groups(name) {
        for labels in &group.targets {
            let mut builder = labels.to_builder();
            if builder.get("__scheme__").is_none() {
                builder.set("__scheme__", &config.scheme);
            }
            if builder.get("__alerts_path__").is_none() {
                let prefix = config.path_prefix.trim_matches('/');
                let path =
                    if prefix.is_empty() { "/api/v2/alerts".to_owned() } else { format!("/{prefix}/api/v2/alerts") };
                builder.set("__alerts_path__", &path);
            }
            let Some(labels) = process(&builder.build(), &config.relabel_rules) else { continue };
            found.insert(format!(
                "{}://{}{}",
                labels.value("__scheme__"),
                labels.value("__address__"),
                labels.value("__alerts_path__")
            ));
        }
    }
    found.into_iter().collect()
}
