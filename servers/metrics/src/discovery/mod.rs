//! Finds targets: static lists, files, URLs and DNS names, for scrape jobs and Alertmanagers alike.
//!
//! [`Discovery`] runs the providers of every configured set ("a job"), keeps what they found last, and says on a channel whose
//! targets changed. A provider that fails keeps its last targets: a moment without DNS must not end all series.

mod dns;
mod file;
mod http;

pub use file::read as read_target_file;

use std::collections::BTreeMap;
use std::sync::Arc;

use kit::Shutdown;
use kit::metrics::{Counter, Gauge, Registry, Summary, Vector};
use model::Labels;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::config::discovery::DiscoveryConfigs;

/// Targets of one source: a file, a URL, a name, or a position in the configuration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Group {
    /// Names the source in messages.
    pub source: String,
    /// Labels of each target, `__address__` among them.
    pub targets: Vec<Labels>,
}

/// Self-metrics of discovery.
#[derive(Clone)]
pub struct DiscoveryMetrics {
    discovered: Vector<Gauge>,
    failed_configs: Vector<Gauge>,
    updates: Vector<Counter>,
    received: Vector<Counter>,
    refresh_failures: Vector<Counter>,
    refresh_duration: Vector<Summary>,
    file_read_errors: Counter,
    file_scan: Summary,
    dns_lookups: Counter,
    dns_failures: Counter,
    http_failures: Counter,
}

impl DiscoveryMetrics {
    /// Registers them.
    pub fn new(registry: &Registry) -> Self {
        let quantiles: &[f64] = &[0.5, 0.9, 0.99];
        let r = registry;
        Self {
            discovered: r.gauge_vec(
                "prometheus_sd_discovered_targets",
                "Current number of discovered targets.",
                &["name", "config"],
            ),
            failed_configs: r.gauge_vec(
                "prometheus_sd_failed_configs",
                "Current number of service discovery configurations that failed to load.",
                &["name"],
            ),
            updates: r.counter_vec(
                "prometheus_sd_updates_total",
                "Total number of update events sent to the SD consumers.",
                &["name"],
            ),
            received: r.counter_vec(
                "prometheus_sd_received_updates_total",
                "Total number of update events received from the SD providers.",
                &["name"],
            ),
            refresh_failures: r.counter_vec(
                "prometheus_sd_refresh_failures_total",
                "Number of refresh failures for the given SD mechanism.",
                &["mechanism"],
            ),
            refresh_duration: r.summary_vec(
                "prometheus_sd_refresh_duration_seconds",
                "The duration of a refresh in seconds for the given SD mechanism.",
                quantiles,
                &["mechanism"],
            ),
            file_read_errors: r.counter("prometheus_sd_file_read_errors_total", "The number of File-SD read errors."),
            file_scan: r.summary(
                "prometheus_sd_file_scan_duration_seconds",
                "The duration of the File-SD scan in seconds.",
                quantiles,
            ),
            dns_lookups: r.counter("prometheus_sd_dns_lookups_total", "The number of DNS-SD lookups."),
            dns_failures: r.counter("prometheus_sd_dns_lookup_failures_total", "The number of DNS-SD lookup failures."),
            http_failures: r
                .counter("prometheus_sd_http_failures_total", "Number of HTTP service discovery refresh failures."),
        }
    }
}

/// See the module.
pub struct Discovery {
    /// `scrape` or `notify`, in metrics.
    name: &'static str,
    found: Mutex<BTreeMap<String, BTreeMap<String, Group>>>,
    changed: mpsc::UnboundedSender<String>,
    running: Mutex<Option<Shutdown>>,
    stop: Shutdown,
    metrics: DiscoveryMetrics,
    user_agent: String,
}

impl Discovery {
    /// A discovery without configuration, and the channel on which it names the jobs whose targets changed.
    pub fn new(
        name: &'static str,
        metrics: DiscoveryMetrics,
        stop: Shutdown,
        user_agent: &str,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<String>) {
        let (changed, receiver) = mpsc::unbounded_channel();
        let discovery = Self {
            name,
            found: Mutex::default(),
            changed,
            running: Mutex::default(),
            stop,
            metrics,
            user_agent: user_agent.to_owned(),
        };
        (Arc::new(discovery), receiver)
    }

    /// Takes over a configuration: providers begin anew, what they found before stays until they have found anew.
    pub fn apply<'a>(self: &Arc<Self>, jobs: impl IntoIterator<Item = (&'a str, &'a DiscoveryConfigs)>) {
        let stop = self.stop.child();
        if let Some(old) = self.running.lock().replace(stop.clone()) {
            old.trigger();
        }
        let mut kept: BTreeMap<String, BTreeMap<String, Group>> = BTreeMap::new();
        let mut before = std::mem::take(&mut *self.found.lock());
        let mut failed = 0;
        let mut start = Vec::new();
        for (job, configs) in jobs {
            let old = before.remove(job).unwrap_or_default();
            let groups = kept.entry(job.to_owned()).or_default();
            for (at, group) in configs.statics.iter().enumerate() {
                let source = format!("static/{at}");
                let targets = group
                    .targets
                    .iter()
                    .map(|target| {
                        let mut labels = group.labels.to_builder();
                        labels.set("__address__", target);
                        labels.build()
                    })
                    .collect();
                groups.insert(source.clone(), Group { source, targets });
            }
            groups.extend(old.into_iter().filter(|(source, _)| !source.starts_with("static/")));
            for other in &configs.others {
                failed += 1;
                tracing::error!(
                    component = "discovery",
                    job,
                    kind = other.kind,
                    "this server does not do this kind of discovery: the job finds no targets by it"
                );
            }
            start.push((job.to_owned(), configs.clone()));
        }
        *self.found.lock() = kept;
        self.metrics.failed_configs.with(&[self.name]).set(f64::from(failed));
        for (job, configs) in start {
            for (at, config) in configs.files.into_iter().enumerate() {
                let provider = self.provider(&job, format!("file/{at}"), &stop);
                stop.spawn("discovery file", file::run(provider, config));
            }
            for (at, config) in configs.http.into_iter().enumerate() {
                let provider = self.provider(&job, format!("http/{at}"), &stop);
                stop.spawn("discovery http", http::run(provider, config, self.user_agent.clone()));
            }
            for (at, config) in configs.dns.into_iter().enumerate() {
                let provider = self.provider(&job, format!("dns/{at}"), &stop);
                stop.spawn("discovery dns", dns::run(provider, config));
            }
            self.count(&job);
        }
    }

    fn provider(self: &Arc<Self>, job: &str, name: String, stop: &Shutdown) -> Provider {
        Provider { discovery: self.clone(), job: job.to_owned(), name, stop: stop.clone() }
    }

    /// What is known of a job's targets.
    pub fn groups(&self, job: &str) -> Vec<Group> {
        self.found.lock().get(job).map(|groups| groups.values().cloned().collect()).unwrap_or_default()
    }

    fn count(&self, job: &str) {
        let targets: usize =
            self.found.lock().get(job).map_or(0, |groups| groups.values().map(|group| group.targets.len()).sum());
        self.metrics.discovered.with(&[self.name, job]).set(targets as f64);
    }
}

/// What a provider's task works with.
struct Provider {
    discovery: Arc<Discovery>,
    job: String,
    /// Begins the names of its sources.
    name: String,
    stop: Shutdown,
}

impl Provider {
    /// Replaces everything this provider found.
    fn found(&self, groups: Vec<Group>) {
        if self.stop.is_triggered() {
            return;
        }
        let prefix = format!("{}/", self.name);
        {
            let mut found = self.discovery.found.lock();
            let Some(job) = found.get_mut(&self.job) else { return };
            self.discovery.metrics.received.with(&[self.discovery.name]).inc();
            let before: Vec<Group> =
                job.iter().filter(|(key, _)| key.starts_with(&prefix)).map(|(_, group)| group.clone()).collect();
            if before == groups {
                return;
            }
            job.retain(|key, _| !key.starts_with(&prefix));
            for (at, group) in groups.into_iter().enumerate() {
                job.insert(format!("{prefix}{at:06}"), group);
            }
        }
        self.discovery.count(&self.job);
        self.discovery.metrics.updates.with(&[self.discovery.name]).inc();
        // The receiver ends with the server; nobody is left to be told then.
        let _ = self.discovery.changed.send(self.job.clone());
    }

    fn metrics(&self) -> &DiscoveryMetrics {
        &self.discovery.metrics
    }
}
