//! Alerts on their way to Alertmanagers: relabelled, queued, sent in batches to all of them.
//!
//! The queue is bounded; when it is full the oldest alerts go, for firing ones are sent again anyway.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use alerting::rules::OutgoingAlert;
use kit::Shutdown;
use kit::client::{Client, ClientError, Request};
use kit::metrics::{Counter, Registry, Summary, Vector};
use kit::relabel::{Rule, process};
use model::Labels;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::config::RulerConfig;

/// Alerts of one request.
const BATCH: usize = 256;

/// See the module.
pub(crate) struct Notifier {
    queue: Mutex<VecDeque<OutgoingAlert>>,
    capacity: usize,
    wake: Notify,
    urls: Vec<String>,
    client: Client,
    timeout: Duration,
    external: Labels,
    rules: Vec<Rule>,
    external_url: String,
    datasource_uid: String,
    metrics: Metrics,
}

struct Metrics {
    latency: Vector<Summary>,
    errors: Vector<Counter>,
    sent: Vector<Counter>,
    dropped: Counter,
}

impl Metrics {
    fn new(r: &Registry) -> Self {
        let target: &[&'static str] = &["alertmanager"];
        Self {
            latency: r.summary_vec(
                "loki_prometheus_notifications_latency_seconds",
                "Latency quantiles for sending alert notifications.",
                &[0.5, 0.9, 0.99],
                target,
            ),
            errors: r.counter_vec(
                "loki_prometheus_notifications_errors_total",
                "Total number of sent alerts affected by errors.",
                target,
            ),
            sent: r.counter_vec("loki_prometheus_notifications_sent_total", "Total number of alerts sent.", target),
            dropped: r.counter(
                "loki_prometheus_notifications_dropped_total",
                "Total number of alerts dropped due to errors when sending to Alertmanager.",
            ),
        }
    }
}

impl Notifier {
    /// # Errors
    /// When the Alertmanagers cannot be reached as configured.
    pub(crate) fn new(config: &RulerConfig, registry: &Registry) -> Result<Arc<Self>, ClientError> {
        let urls = config.alertmanagers.iter().map(|url| format!("{}/api/v2/alerts", url.trim_end_matches('/')));
        let notifier = Arc::new(Self {
            queue: Mutex::default(),
            capacity: config.queue_capacity.max(1),
            wake: Notify::new(),
            urls: urls.collect(),
            client: Client::new(&config.alertmanager_http, concat!("foursight-logs/", env!("CARGO_PKG_VERSION")))?,
            timeout: config.notification_timeout,
            external: config.external_labels.clone(),
            rules: config.alert_relabel_rules.clone(),
            external_url: config.external_url.clone(),
            datasource_uid: config.datasource_uid.clone(),
            metrics: Metrics::new(registry),
        });
        registry
            .gauge("loki_prometheus_notifications_queue_capacity", "The capacity of the alert notifications queue.")
            .set(notifier.capacity as f64);
        let weak = Arc::downgrade(&notifier);
        registry.gauge_fn(
            "loki_prometheus_notifications_queue_length",
            "The number of alert notifications in the queue.",
            move || weak.upgrade().map_or(0.0, |n| n.queue.lock().len() as f64),
        );
        let known = notifier.urls.len();
        registry
            .gauge(
                "loki_prometheus_notifications_alertmanagers_discovered",
                "The number of alertmanagers discovered and active.",
            )
            .set(known as f64);
        Ok(notifier)
    }

    /// Queues alerts.
    pub(crate) fn send(&self, alerts: Vec<OutgoingAlert>) {
        if alerts.is_empty() || self.urls.is_empty() {
            return;
        }
        let mut queue = self.queue.lock();
        for mut alert in alerts {
            let mut labels = alert.labels.to_builder();
            for (name, value) in &self.external {
                if labels.get(name).is_none() {
                    labels.set(name, value);
                }
            }
            let Some(labels) = process(&labels.build(), &self.rules) else { continue };
            alert.labels = labels;
            alert.generator_url = self.explore_url(&alert.generator_url);
            if queue.len() >= self.capacity {
                queue.pop_front();
                self.metrics.dropped.inc();
            }
            queue.push_back(alert);
        }
        drop(queue);
        self.wake.notify_one();
    }

    /// The link to a page that explores the expression of a rule, from the link that rules make for Prometheus.
    fn explore_url(&self, prometheus_url: &str) -> String {
        let Some((_, query)) = prometheus_url.split_once("g0.expr=") else { return prometheus_url.to_owned() };
        let expr = unescape(query.split('&').next().unwrap_or(""));
        let source = serde_json::json!({"type": "loki", "uid": self.datasource_uid});
        let left = serde_json::json!({
            "datasource": self.datasource_uid,
            "queries": [{"datasource": source, "expr": expr, "queryType": "range", "refId": "A"}],
            "range": {"from": "now-1h", "to": "now"},
        });
        format!("{}/explore?left={}", self.external_url, escape(&left.to_string()))
    }

    /// Sends what is queued until the shutdown, and then what is left.
    pub(crate) async fn run(self: Arc<Self>, stop: Shutdown) {
        loop {
            tokio::select! {
                () = self.wake.notified() => {}
                () = stop.triggered() => {
                    while self.send_batch().await {}
                    return;
                }
            }
            while self.send_batch().await {}
        }
    }

    /// Sends one batch to all; false when the queue is empty.
    async fn send_batch(&self) -> bool {
        let batch: Vec<OutgoingAlert> = {
            let mut queue = self.queue.lock();
            let count = queue.len().min(BATCH);
            queue.drain(..count).collect()
        };
        if batch.is_empty() {
            return false;
        }
        let Ok(body) = serde_json::to_vec(&batch) else { return true };
        let count = batch.len() as u64;
        let mut any = false;
        for url in &self.urls {
            let begun = Instant::now();
            let request = Request::post(url, "application/json", body.clone()).timeout(self.timeout);
            let result = self.client.send(request).await;
            self.metrics.latency.with(&[url]).observe(begun.elapsed().as_secs_f64());
            self.metrics.sent.with(&[url]).add(count);
            let problem = match result {
                Ok(answer) if answer.status.is_success() => {
                    any = true;
                    continue;
                }
                Ok(answer) => format!("bad response status {}", answer.status),
                Err(e) => e.to_string(),
            };
            self.metrics.errors.with(&[url]).add(count);
            tracing::error!(component = "ruler", alertmanager = url, count, err = problem, "error sending alerts");
        }
        if !any {
            self.metrics.dropped.add(count);
        }
        true
    }
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn unescape(text: &str) -> String {
    let (mut out, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        let hex = (*first == b'%').then(|| after.get(..2)).flatten();
        let byte = hex.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match (first, byte) {
            (_, Some(byte)) => {
                out.push(byte);
                rest = &after[2..];
                continue;
            }
            (b'+', None) => out.push(b' '),
            (other, None) => out.push(*other),
        }
        rest = after;
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_the_expression() {
        let expr = "sum(rate({a=\"b\"} |= `100%` [1m])) > 1 é";
        let url = alerting::rules::generator_url("http://x", expr);
        let query = url.split_once("g0.expr=").unwrap().1.split('&').next().unwrap();
        assert_eq!(unescape(query), expr);
        assert_eq!(unescape(&escape(expr)), expr);
    }
}
