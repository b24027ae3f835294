//! Alerts on their way to Alertmanagers: relabelled, queued, sent in batches to all of them.
//!
//! The queue is bounded; when it is full the oldest alerts go, for firing ones are sent again anyway.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use alerting::rules::OutgoingAlert;
use kit::Shutdown;
use kit::client::{Client, Request};
use kit::metrics::{Counter, Registry, Summary, Vector};
use kit::relabel::{Rule, process};
use model::Labels;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::config::{AlertmanagerConfig, Config};
use crate::discovery::Discovery;

/// Alerts of one request.
const BATCH: usize = 256;

/// See the module.
pub struct Notifier {
    queue: Mutex<VecDeque<OutgoingAlert>>,
    capacity: usize,
    wake: Notify,
    discovery: Arc<Discovery>,
    sets: Mutex<Vec<Arc<Set>>>,
    external: Mutex<(Labels, Arc<Vec<Rule>>)>,
    metrics: Metrics,
    user_agent: String,
}

/// A group of Alertmanagers.
struct Set {
    name: String,
    config: AlertmanagerConfig,
    client: Result<Client, String>,
}

struct Metrics {
    latency: Vector<Summary>,
    errors: Vector<Counter>,
    sent: Vector<Counter>,
    dropped: Counter,
}

impl Notifier {
    /// A notifier without receivers.
    pub fn new(capacity: usize, discovery: Arc<Discovery>, registry: &Registry, user_agent: &str) -> Arc<Self> {
        let quantiles: &[f64] = &[0.5, 0.9, 0.99];
        let target: &[&'static str] = &["alertmanager"];
        let metrics = Metrics {
            latency: registry.summary_vec(
                "prometheus_notifications_latency_seconds",
                "Latency quantiles for sending alert notifications.",
                quantiles,
                target,
            ),
            errors: registry.counter_vec(
                "prometheus_notifications_errors_total",
                "Total number of sent alerts affected by errors.",
                target,
            ),
            sent: registry.counter_vec("prometheus_notifications_sent_total", "Total number of alerts sent.", target),
            dropped: registry.counter(
                "prometheus_notifications_dropped_total",
                "Total number of alerts dropped due to errors when sending to Alertmanager.",
            ),
        };
        let notifier = Arc::new(Self {
            queue: Mutex::default(),
            capacity: capacity.max(1),
            wake: Notify::new(),
            discovery,
            sets: Mutex::default(),
            external: Mutex::default(),
            metrics,
            user_agent: user_agent.to_owned(),
        });
        registry
            .gauge("prometheus_notifications_queue_capacity", "The capacity of the alert notifications queue.")
            .set(capacity as f64);
        let weak = Arc::downgrade(&notifier);
        registry.gauge_fn(
            "prometheus_notifications_queue_length",
            "The number of alert notifications in the queue.",
            {
                let weak = weak.clone();
                move || weak.upgrade().map_or(0.0, |n| n.queue.lock().len() as f64)
            },
        );
        registry.gauge_fn(
            "prometheus_notifications_alertmanagers_discovered",
            "The number of alertmanagers discovered and active.",
            move || weak.upgrade().map_or(0.0, |n| n.alertmanagers().len() as f64),
        );
        notifier
    }

    /// Takes over a configuration.
    pub fn apply(&self, config: &Config) {
        let sets = config
            .alerting
            .alertmanagers
            .iter()
            .enumerate()
            .map(|(at, alertmanager)| {
                let client = Client::new(&alertmanager.http, &self.user_agent).map_err(|e| e.to_string());
                if let Err(reason) = &client {
                    tracing::error!(
                        component = "notifier",
                        config = at,
                        err = reason,
                        "these Alertmanagers cannot be reached as configured"
                    );
                }
                Arc::new(Set { name: set_name(at), config: alertmanager.clone(), client })
            })
            .collect();
        *self.sets.lock() = sets;
        *self.external.lock() =
            (config.external_labels().clone(), Arc::new(config.alerting.alert_relabel_rules.clone()));
        let names: Vec<String> = (0..config.alerting.alertmanagers.len()).map(set_name).collect();
        self.discovery
            .apply(names.iter().map(String::as_str).zip(config.alerting.alertmanagers.iter().map(|am| &am.discovery)));
    }

    /// Queues alerts.
    pub fn send(&self, alerts: Vec<OutgoingAlert>) {
        if alerts.is_empty() || self.sets.lock().is_empty() {
            return;
        }
        let (external, rules) = self.external.lock().clone();
        let mut queue = self.queue.lock();
        for mut alert in alerts {
            let mut labels = alert.labels.to_builder();
            for (name, value) in &external {
                if labels.get(name).is_none() {
                    labels.set(name, value);
                }
            }
            let Some(labels) = process(&labels.build(), &rules) else { continue };
            alert.labels = labels;
            if queue.len() >= self.capacity {
                queue.pop_front();
                self.metrics.dropped.inc();
            }
            queue.push_back(alert);
        }
        drop(queue);
        self.wake.notify_one();
    }

    /// URLs of the Alertmanagers known now.
    pub fn alertmanagers(&self) -> Vec<String> {
        self.sets.lock().iter().flat_map(|set| urls(&self.discovery, set)).collect()
    }

    /// Sends what is queued until the shutdown, and then what is left.
    pub async fn run(self: Arc<Self>, stop: Shutdown) {
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
        let sets = self.sets.lock().clone();
        let mut any = false;
        for set in sets {
            let Ok(client) = &set.client else { continue };
            let mut alerts = Vec::with_capacity(batch.len());
            for alert in &batch {
                if let Some(labels) = process(&alert.labels, &set.config.alert_relabel_rules) {
                    alerts.push(OutgoingAlert { labels, ..alert.clone() });
                }
            }
            let Ok(body) = serde_json::to_vec(&alerts) else { continue };
            for url in urls(&self.discovery, &set) {
                let begun = Instant::now();
                let timeout = Duration::from_millis(u64::try_from(set.config.timeout_ms).unwrap_or(10_000));
                let request = Request::post(&url, "application/json", body.clone()).timeout(timeout);
                let result = client.send(request).await;
                let count = alerts.len() as u64;
                self.metrics.latency.with(&[&url]).observe(begun.elapsed().as_secs_f64());
                self.metrics.sent.with(&[&url]).add(count);
                let problem = match result {
                    Ok(answer) if answer.status.is_success() => {
                        any = true;
                        continue;
                    }
                    Ok(answer) => format!("bad response status {}", answer.status),
                    Err(e) => e.to_string(),
                };
                self.metrics.errors.with(&[&url]).add(count);
                tracing::error!(
                    component = "notifier",
                    alertmanager = url,
                    count,
                    err = problem,
                    "error sending alerts"
                );
            }
        }
        if !any {
            self.metrics.dropped.add(batch.len() as u64);
        }
        true
    }
}

fn set_name(at: usize) -> String {
    format!("config-{at}")
}

fn urls(discovery: &Discovery, set: &Set) -> Vec<String> {
    let mut found = BTreeMap::new();
    for group in discovery.groups(&set.name) {
        for labels in &group.targets {
            let mut builder = labels.to_builder();
            if builder.get("__scheme__").is_none() {
                builder.set("__scheme__", &set.config.scheme);
            }
            if builder.get("__alerts_path__").is_none() {
                let prefix = set.config.path_prefix.trim_matches('/');
                let path =
                    if prefix.is_empty() { "/api/v2/alerts".to_owned() } else { format!("/{prefix}/api/v2/alerts") };
                builder.set("__alerts_path__", &path);
            }
            let Some(labels) = process(&builder.build(), &set.config.relabel_rules) else { continue };
            let url = format!(
                "{}://{}{}",
                labels.value("__scheme__"),
                labels.value("__address__"),
                labels.value("__alerts_path__")
            );
            found.insert(url, ());
        }
    }
    found.into_keys().collect()
}
