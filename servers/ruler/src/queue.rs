//! Alerts on their way to Alertmanagers: relabelled, queued, sent in batches to all of them.
//!
//! The queue is bounded; when it is full the oldest alerts go, for firing ones are sent again anyway. Who gets alerts is
//! set with [`AlertQueue::configure`] and may change while some are waiting.

use std::borrow::Cow;
use std::collections::VecDeque;
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

/// Alerts of one request.
const BATCH: usize = 256;

/// How a queue is called and how much it holds.
#[derive(Clone, Copy, Debug)]
pub struct QueueSettings<'a> {
    /// Names the part of the server in the log.
    pub component: &'static str,
    /// Self-metrics are `<prefix>_notifications_*`.
    pub prefix: &'a str,
    /// Most alerts that wait; at least one does.
    pub capacity: usize,
}

/// Alertmanagers that are reached alike.
pub struct Receivers {
    /// How; without it (their settings cannot be put into force) they get nothing.
    pub client: Option<Client>,
    /// Time for a request.
    pub timeout: Duration,
    /// Rules for the alerts that these get.
    pub relabel_rules: Vec<Rule>,
    /// Where alerts are posted, asked anew for every batch.
    pub urls: Box<dyn Fn() -> Vec<String> + Send + Sync>,
}

#[derive(Default)]
struct Routing {
    external: Labels,
    relabel_rules: Vec<Rule>,
    receivers: Vec<Receivers>,
}

/// See the module.
pub struct AlertQueue {
    component: &'static str,
    waiting: Mutex<VecDeque<OutgoingAlert>>,
    capacity: usize,
    wake: Notify,
    routing: Mutex<Arc<Routing>>,
    metrics: Metrics,
}

struct Metrics {
    latency: Vector<Summary>,
    errors: Vector<Counter>,
    sent: Vector<Counter>,
    dropped: Counter,
}

impl AlertQueue {
    /// A queue without receivers.
    pub fn new(settings: QueueSettings<'_>, registry: &Registry) -> Arc<Self> {
        let name = |rest: &str| format!("{}_notifications_{rest}", settings.prefix);
        let target: &[&'static str] = &["alertmanager"];
        let metrics = Metrics {
            latency: registry.summary_vec(
                name("latency_seconds"),
                "Latency quantiles for sending alert notifications.",
                &[0.5, 0.9, 0.99],
                target,
            ),
            errors: registry.counter_vec(
                name("errors_total"),
                "Total number of sent alerts affected by errors.",
                target,
            ),
            sent: registry.counter_vec(name("sent_total"), "Total number of alerts sent.", target),
            dropped: registry.counter(
                name("dropped_total"),
                "Total number of alerts dropped due to errors when sending to Alertmanager.",
            ),
        };
        registry
            .gauge(name("queue_capacity"), "The capacity of the alert notifications queue.")
            .set(settings.capacity as f64);
        let queue = Arc::new(Self {
            component: settings.component,
            waiting: Mutex::default(),
            capacity: settings.capacity.max(1),
            wake: Notify::new(),
            routing: Mutex::default(),
            metrics,
        });
        let weak = Arc::downgrade(&queue);
        registry.gauge_fn(name("queue_length"), "The number of alert notifications in the queue.", {
            let weak = weak.clone();
            move || weak.upgrade().map_or(0.0, |queue| queue.waiting.lock().len() as f64)
        });
        registry.gauge_fn(
            name("alertmanagers_discovered"),
            "The number of alertmanagers discovered and active.",
            move || weak.upgrade().map_or(0.0, |queue| queue.urls().len() as f64),
        );
        queue
    }

    /// Sets what alerts get and who gets them: the external labels where they have none of the name, then the rules.
    pub fn configure(&self, external: Labels, relabel_rules: Vec<Rule>, receivers: Vec<Receivers>) {
        *self.routing.lock() = Arc::new(Routing { external, relabel_rules, receivers });
    }

    /// URLs that alerts are posted to now.
    pub fn urls(&self) -> Vec<String> {
        let routing = self.routing.lock().clone();
        routing.receivers.iter().flat_map(|receivers| (receivers.urls)()).collect()
    }

    /// Queues alerts, if there are receivers.
    pub fn send(&self, alerts: Vec<OutgoingAlert>) {
        let routing = self.routing.lock().clone();
        if alerts.is_empty() || routing.receivers.is_empty() {
            return;
        }
        let mut waiting = self.waiting.lock();
        for mut alert in alerts {
            let mut labels = alert.labels.to_builder();
            for (name, value) in &routing.external {
                if labels.get(name).is_none() {
                    labels.set(name, value);
                }
            }
            let Some(labels) = process(&labels.build(), &routing.relabel_rules) else { continue };
            alert.labels = labels;
            if waiting.len() >= self.capacity {
                waiting.pop_front();
                self.metrics.dropped.inc();
            }
            waiting.push_back(alert);
        }
        drop(waiting);
        self.wake.notify_one();
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
            let mut waiting = self.waiting.lock();
            let count = waiting.len().min(BATCH);
            waiting.drain(..count).collect()
        };
        if batch.is_empty() {
            return false;
        }
        let routing = self.routing.lock().clone();
        let mut any = false;
        for receivers in &routing.receivers {
            let Some(client) = &receivers.client else { continue };
            let alerts = receivers.relabelled(&batch);
            let Ok(body) = serde_json::to_vec(&alerts) else { continue };
            for url in (receivers.urls)() {
                any |= self.post(client, &url, body.clone(), receivers.timeout, alerts.len()).await;
            }
        }
        if !any {
            self.metrics.dropped.add(batch.len() as u64);
        }
        true
    }

    /// Posts alerts to one Alertmanager; whether it took them.
    async fn post(&self, client: &Client, url: &str, body: Vec<u8>, timeout: Duration, count: usize) -> bool {
        let begun = Instant::now();
        let result = client.send(Request::post(url, "application/json", body).timeout(timeout)).await;
        self.metrics.latency.with(&[url]).observe(begun.elapsed().as_secs_f64());
        self.metrics.sent.with(&[url]).add(count as u64);
        let problem = match result {
            Ok(answer) if answer.status.is_success() => return true,
            Ok(answer) => format!("bad response status {}", answer.status),
            Err(e) => e.to_string(),
        };
        self.metrics.errors.with(&[url]).add(count as u64);
        tracing::error!(component = self.component, alertmanager = url, count, err = problem, "error sending alerts");
        false
    }
}

impl Receivers {
    fn relabelled<'a>(&self, alerts: &'a [OutgoingAlert]) -> Cow<'a, [OutgoingAlert]> {
        if self.relabel_rules.is_empty() {
            return alerts.into();
        }
        let relabelled = |alert: &OutgoingAlert| {
            process(&alert.labels, &self.relabel_rules).map(|labels| OutgoingAlert { labels, ..alert.clone() })
        };
        alerts.iter().filter_map(relabelled).collect()
    }
}
