//! Who is told of alerts, and the links they carry.

use std::sync::Arc;

use kit::client::{Client, ClientError};
use kit::metrics::Registry;
use kit::percent;
use ruler::{AlertQueue, QueueSettings, Receivers};

use crate::config::RulerConfig;

/// The queue to the Alertmanagers of the configuration.
///
/// # Errors
/// When they cannot be reached as configured.
pub(super) fn queue(config: &RulerConfig, registry: &Registry) -> Result<Arc<AlertQueue>, ClientError> {
    let client = Client::new(&config.alertmanager_http, concat!("foursight-logs/", env!("CARGO_PKG_VERSION")))?;
    let settings =
        QueueSettings { component: "ruler", prefix: "loki_prometheus", capacity: config.queue_capacity.max(1) };
    let queue = AlertQueue::new(settings, registry);
    let urls: Vec<String> =
        config.alertmanagers.iter().map(|url| format!("{}/api/v2/alerts", url.trim_end_matches('/'))).collect();
    let mut receivers = Vec::new();
    if !urls.is_empty() {
        receivers.push(Receivers {
            client: Some(client),
            timeout: config.notification_timeout,
            relabel_rules: Vec::new(),
            urls: Box::new(move || urls.clone()),
        });
    }
    queue.configure(config.external_labels.clone(), config.alert_relabel_rules.clone(), receivers);
    Ok(queue)
}

/// Where people look at the logs that an alert is about.
#[derive(Debug)]
pub(super) struct Explore {
    external_url: String,
    datasource_uid: String,
}

impl Explore {
    pub(super) fn new(config: &RulerConfig) -> Self {
        Self { external_url: config.external_url.clone(), datasource_uid: config.datasource_uid.clone() }
    }

    /// The link to a page that explores the expression of a rule, from the link that rules make for Prometheus.
    pub(super) fn url(&self, prometheus_url: &str) -> String {
        let Some((_, query)) = prometheus_url.split_once("g0.expr=") else { return prometheus_url.to_owned() };
        let expr = percent::decode_form(query.split('&').next().unwrap_or(""));
        let source = serde_json::json!({"type": "loki", "uid": self.datasource_uid});
        let left = serde_json::json!({
            "datasource": self.datasource_uid,
            "queries": [{"datasource": source, "expr": expr, "queryType": "range", "refId": "A"}],
            "range": {"from": "now-1h", "to": "now"},
        });
        format!("{}/explore?left={}", self.external_url, percent::encode(&left.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_the_expression() {
        let expr = "sum(rate({a=\"b\"} |= `100%` [1m])) > 1 é";
        let explore = Explore { external_url: "http://grafana".into(), datasource_uid: "logs".into() };
        let url = explore.url(&alerting::rules::generator_url("http://x", expr));
        let left = percent::decode(url.strip_prefix("http://grafana/explore?left=").unwrap());
        let left: serde_json::Value = serde_json::from_str(&left).unwrap();
        assert_eq!(left["queries"][0]["expr"], expr);
        assert_eq!(left["datasource"], "logs");
    }
}
