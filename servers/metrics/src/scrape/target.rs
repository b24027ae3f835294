//! A target: the labels discovery gave, what relabelling made of them, and how its last scrape went.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kit::percent;
use kit::relabel::{Rule, process};
use model::duration::parse_duration_ms;
use model::{Labels, LabelsBuilder};
use parking_lot::Mutex;
use tsdb::Metadata;

use crate::config::ScrapeConfig;

/// Label of the target's host and port.
pub const ADDRESS: &str = "__address__";
const SCHEME: &str = "__scheme__";
const PATH: &str = "__metrics_path__";
const INTERVAL: &str = "__scrape_interval__";
const TIMEOUT: &str = "__scrape_timeout__";
const PARAM_PREFIX: &str = "__param_";

/// How a target is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Not scraped yet.
    Unknown,
    /// The last scrape succeeded.
    Up,
    /// The last scrape failed.
    Down,
}

impl Health {
    /// As the API names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// How the last scrape went.
#[derive(Clone, Debug)]
pub struct LastScrape {
    /// When, ms; 0 before the first.
    pub time_ms: i64,
    /// How long it took.
    pub duration: Duration,
    /// Why it failed.
    pub error: Option<String>,
    /// The verdict.
    pub health: Health,
}

/// How a target's histograms are treated where that differs from its job: set by relabelling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HistogramOverrides {
    /// Native histograms are taken.
    pub native: Option<bool>,
    /// Classic histograms become native ones.
    pub convert: Option<bool>,
    /// Classic histograms are kept beside native ones.
    pub keep_classic: Option<bool>,
}

/// A target that is scraped.
#[derive(Debug)]
pub struct Target {
    /// Labels before relabelling.
    pub discovered: Labels,
    /// Labels of its samples.
    pub labels: Labels,
    /// The URL.
    pub url: String,
    /// Time between scrapes.
    pub interval: Duration,
    /// Time a scrape may take.
    pub timeout: Duration,
    /// What its labels say against its job's settings.
    pub histograms: HistogramOverrides,
    last: Mutex<LastScrape>,
    metadata: Mutex<Arc<std::collections::BTreeMap<String, Metadata>>>,
    samples: AtomicU64,
}

impl Target {
    /// Identity over reloads: a target of equal URL and labels goes on as it is.
    pub fn key(&self) -> (Labels, String, Duration, Duration) {
        (self.labels.clone(), self.url.clone(), self.interval, self.timeout)
    }

    /// How its last scrape went.
    pub fn last(&self) -> LastScrape {
        self.last.lock().clone()
    }

    /// Records how a scrape went.
    pub fn record(&self, last: LastScrape, samples: u64) {
        *self.last.lock() = last;
        self.samples.store(samples, Ordering::Relaxed);
    }

    /// Metadata of its metrics, by name.
    pub fn metadata(&self) -> Arc<std::collections::BTreeMap<String, Metadata>> {
        self.metadata.lock().clone()
    }

    /// Replaces the metadata.
    pub fn set_metadata(&self, metadata: std::collections::BTreeMap<String, Metadata>) {
        let mut current = self.metadata.lock();
        if **current != metadata {
            *current = Arc::new(metadata);
        }
    }

    /// Where in its interval the target is asked: spread by a hash of the target, the same after every restart.
    pub fn offset(&self) -> Duration {
        let interval = u64::try_from(self.interval.as_nanos()).unwrap_or(u64::MAX).max(1);
        let mut text = self.url.clone();
        text.push_str(self.labels.as_encoded());
        Duration::from_nanos(xxhash_rust::xxh3::xxh3_64(text.as_bytes()) % interval)
    }

    /// The URL as the API's `globalUrl`: with a name for this machine where it says "this machine".
    pub fn global_url(&self, hostname: &str) -> String {
        for local in ["://localhost:", "://127.0.0.1:", "://[::1]:"] {
            if let Some((scheme, rest)) = self.url.split_once(local) {
                return format!("{scheme}://{hostname}:{rest}");
            }
        }
        self.url.clone()
    }
}

/// What becomes of a discovered target.
#[derive(Debug)]
pub enum Made {
    /// It is scraped.
    Target(Box<Target>),
    /// Relabelling dropped it.
    Dropped,
}

/// The labels a target has before relabelling: what discovery gave, and the job's settings.
pub fn discovered_labels(job: &ScrapeConfig, labels: &Labels) -> Labels {
    let mut builder = labels.to_builder();
    let interval = model::duration::DurationMs(job.scrape_interval_ms).to_string();
    let timeout = model::duration::DurationMs(job.scrape_timeout_ms).to_string();
    for (name, value) in [
        ("job", job.job_name.as_str()),
        (INTERVAL, &interval),
        (TIMEOUT, &timeout),
        (PATH, &job.metrics_path),
        (SCHEME, &job.scheme),
    ] {
        if builder.get(name).is_none() {
            builder.set(name, value);
        }
    }
    for (name, values) in &job.params {
        if let Some(first) = values.first() {
            let label = format!("{PARAM_PREFIX}{name}");
            if builder.get(&label).is_none() {
                builder.set(&label, first);
            }
        }
    }
    builder.build()
}

/// Makes a target of discovered labels.
///
/// # Errors
/// When what relabelling made of them is no target.
pub fn make(job: &ScrapeConfig, discovered: Labels, rules: &[Rule]) -> Result<Made, String> {
    let Some(relabelled) = process(&discovered, rules) else { return Ok(Made::Dropped) };
    let address = relabelled.value(ADDRESS).to_owned();
    if address.is_empty() {
        return Err("no address".to_owned());
    }
    if address.contains('/') {
        return Err(format!("{address:?} is not a valid hostname"));
    }
    let duration = |name: &str| {
        let text = relabelled.value(name);
        let ms = parse_duration_ms(text).map_err(|e| format!("error parsing {name}: {e}"))?;
        u64::try_from(ms)
            .ok()
            .filter(|ms| *ms > 0)
            .map(Duration::from_millis)
            .ok_or_else(|| format!("{name} cannot be 0"))
    };
    let (interval, timeout) = (duration(INTERVAL)?, duration(TIMEOUT)?);
    if timeout > interval {
        return Err(format!(
            "scrape timeout cannot be greater than scrape interval ({:?} > {:?})",
            relabelled.value(TIMEOUT),
            relabelled.value(INTERVAL)
        ));
    }
    let flag = |name: &str| match relabelled.value(name) {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| format!("error parsing {name}: {text:?} is neither true nor false")),
    };
    let histograms = HistogramOverrides {
        native: flag("__scrape_native_histograms__")?,
        convert: flag("__convert_classic_histograms_to_nhcb__")?,
        keep_classic: flag("__always_scrape_classic_histograms__")?,
    };
    let scheme = relabelled.value(SCHEME);
    let url = format!("{scheme}://{address}{}{}", relabelled.value(PATH), query(job, &relabelled));
    let mut labels = LabelsBuilder::new();
    for (name, value) in &relabelled {
        if !name.starts_with("__") {
            labels.set(name, value);
        }
    }
    if labels.get("instance").is_none() {
        labels.set("instance", &address);
    }
    Ok(Made::Target(Box::new(Target {
        discovered,
        labels: labels.build(),
        url,
        interval,
        timeout,
        histograms,
        last: Mutex::new(LastScrape { time_ms: 0, duration: Duration::ZERO, error: None, health: Health::Unknown }),
        metadata: Mutex::default(),
        samples: AtomicU64::new(0),
    })))
}

/// `?a=b&…` of the job's parameters, the first value of each as its label says.
fn query(job: &ScrapeConfig, labels: &Labels) -> String {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for (name, values) in &job.params {
        let label = labels.value(&format!("{PARAM_PREFIX}{name}"));
        for (at, value) in values.iter().enumerate() {
            let value = if at == 0 && !label.is_empty() { label } else { value };
            pairs.push((name.clone(), value.to_owned()));
        }
    }
    for (name, value) in labels {
        if let Some(param) = name.strip_prefix(PARAM_PREFIX)
            && !job.params.iter().any(|(name, _)| name == param)
        {
            pairs.push((param.to_owned(), value.to_owned()));
        }
    }
    pairs.sort();
    let mut out = String::new();
    for (at, (name, value)) in pairs.iter().enumerate() {
        out.push(if at == 0 { '?' } else { '&' });
        out.push_str(&percent::encode(name));
        out.push('=');
        out.push_str(&percent::encode(value));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, LoadOptions};
    use std::path::Path;

    fn job(yaml: &str) -> ScrapeConfig {
        let text = format!("scrape_configs:\n- job_name: node\n{yaml}");
        Config::parse(&text, Path::new(""), LoadOptions::default()).unwrap().scrape_configs.remove(0)
    }

    fn target(job: &ScrapeConfig, labels: &[(&str, &str)]) -> Result<Made, String> {
        make(job, discovered_labels(job, &Labels::from_pairs(labels.iter().copied())), &job.relabel_rules)
    }

    #[test]
    fn labels_url_and_times_follow_the_job_and_its_rules() {
        let job = job(
            "  params: {module: [http, x], target: ['a b']}\n  scrape_interval: 15s\n  relabel_configs:\n  - source_labels: [__address__]\n    target_label: host\n    regex: '([^:]+):.*'\n  - target_label: __param_module\n    replacement: tcp\n  - source_labels: [role]\n    regex: gone\n    action: drop\n",
        );
        let Ok(Made::Target(made)) = target(&job, &[(ADDRESS, "web:9100"), ("__meta_x", "y")]) else {
            panic!("a target")
        };
        assert_eq!(made.labels.to_string(), r#"{host="web", instance="web:9100", job="node"}"#);
        assert_eq!(made.url, "http://web:9100/metrics?module=tcp&module=x&target=a%20b");
        assert_eq!((made.interval, made.timeout), (Duration::from_secs(15), Duration::from_secs(10)));
        assert!(made.offset() < made.interval);
        assert!(matches!(target(&job, &[(ADDRESS, "web:9100"), ("role", "gone")]), Ok(Made::Dropped)));
        assert!(target(&job, &[]).is_err());
        assert!(target(&job, &[(ADDRESS, "http://web")]).is_err());
        assert!(target(&job, &[(ADDRESS, "web"), (INTERVAL, "0s")]).is_err());
    }
}
