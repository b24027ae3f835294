//! Remote write and remote read: peers that take samples or give them.

use std::collections::BTreeMap;

use kit::client::{HTTP_CLIENT_KEYS, HttpClientConfig};
use kit::config::PromDuration;
use kit::relabel::Rule;
use kit::yaml::{ConfigError, FromNode, Node, Section};
use model::Labels;

/// Headers that a configuration may not set.
const RESERVED: [&str; 8] = [
    "accept-encoding",
    "authorization",
    "content-encoding",
    "content-length",
    "content-type",
    "user-agent",
    "x-prometheus-remote-read-version",
    "x-prometheus-remote-write-version",
];

/// Which form of remote write is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WriteMessage {
    /// `prometheus.WriteRequest`
    #[default]
    V1,
    /// `io.prometheus.write.v2.Request`
    V2,
}

impl FromNode for WriteMessage {
    fn from_node(node: &Node) -> Result<Self, ConfigError> {
        match String::from_node(node)?.as_str() {
            "prometheus.WriteRequest" => Ok(Self::V1),
            "io.prometheus.write.v2.Request" => Ok(Self::V2),
            other => Err(ConfigError::at(
                node,
                format!(
                    "invalid protobuf_message value: unknown type for remote write protobuf message {other}, \
                     supported: prometheus.WriteRequest, io.prometheus.write.v2.Request"
                ),
            )),
        }
    }
}

/// How samples wait for a peer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QueueConfig {
    /// Samples that a shard may hold.
    pub capacity: u64,
    /// Most shards sending at once.
    pub max_shards: u64,
    /// Least shards sending at once.
    pub min_shards: u64,
    /// Samples of one request.
    pub max_samples_per_send: u64,
    /// A request is sent after this long even when it is not full, ms.
    pub batch_send_deadline_ms: i64,
    /// First pause after a failure, ms.
    pub min_backoff_ms: i64,
    /// Longest pause after failures, ms.
    pub max_backoff_ms: i64,
    /// Whether "too many requests" is tried again.
    pub retry_on_rate_limit: bool,
    /// Samples older than this are dropped, ms; 0: none.
    pub sample_age_limit_ms: i64,
}

impl Default for QueueConfig {
    fn default() -> Self {
        Self {
            capacity: 10_000,
            max_shards: 50,
            min_shards: 1,
            max_samples_per_send: 2_000,
            batch_send_deadline_ms: 5_000,
            min_backoff_ms: 30,
            max_backoff_ms: 5_000,
            retry_on_rate_limit: false,
            sample_age_limit_ms: 0,
        }
    }
}

impl FromNode for QueueConfig {
    fn from_node(node: &Node) -> Result<Self, ConfigError> {
        let mut section = Section::new(node, "config.plain")?;
        let d = Self::default();
        let queue = Self {
            capacity: positive(&mut section, "capacity", d.capacity)?,
            max_shards: positive(&mut section, "max_shards", d.max_shards)?,
            min_shards: positive(&mut section, "min_shards", d.min_shards)?,
            max_samples_per_send: positive(&mut section, "max_samples_per_send", d.max_samples_per_send)?,
            batch_send_deadline_ms: section.or("batch_send_deadline", PromDuration(d.batch_send_deadline_ms))?.0,
            min_backoff_ms: section.or("min_backoff", PromDuration(d.min_backoff_ms))?.0,
            max_backoff_ms: section.or("max_backoff", PromDuration(d.max_backoff_ms))?.0,
            retry_on_rate_limit: section.get("retry_on_http_429")?,
            sample_age_limit_ms: section.get::<PromDuration>("sample_age_limit")?.0,
        };
        if queue.min_shards > queue.max_shards {
            return Err(
                section.error("min_shards", "remote write queue min_shards must not be greater than max_shards")
            );
        }
        if queue.max_backoff_ms < queue.min_backoff_ms {
            return Err(
                section.error("max_backoff", "remote write queue max_backoff must not be less than min_backoff")
            );
        }
        section.finish()?;
        Ok(queue)
    }
}

fn positive(section: &mut Section<'_>, key: &str, default: u64) -> Result<u64, ConfigError> {
    match section.opt::<i64>(key)? {
        None => Ok(default),
        Some(value) => u64::try_from(value)
            .ok()
            .filter(|value| *value > 0)
            .ok_or_else(|| section.error(key, format!("remote write queue {key} must be positive"))),
    }
}

/// A peer that takes samples.
#[derive(Clone, Debug)]
pub struct RemoteWriteConfig {
    /// Where it listens.
    pub url: String,
    /// Name in metrics and logs; made from the URL when empty.
    pub name: String,
    /// Form of the messages.
    pub message: WriteMessage,
    /// Time a request may take, ms.
    pub timeout_ms: i64,
    /// More headers.
    pub headers: BTreeMap<String, String>,
    /// Rules for every sample.
    pub write_relabel_rules: Vec<Rule>,
    /// Exemplars are sent.
    pub send_exemplars: bool,
    /// Native histograms are sent.
    pub send_native_histograms: bool,
    /// The queue.
    pub queue: QueueConfig,
    /// Metadata is sent.
    pub send_metadata: bool,
    /// Time between sendings of metadata, ms.
    pub metadata_interval_ms: i64,
    /// How the peer is reached.
    pub http: HttpClientConfig,
}

impl FromNode for RemoteWriteConfig {
    fn from_node(node: &Node) -> Result<Self, ConfigError> {
        let mut section = Section::new(node, "config.RemoteWriteConfig")?;
        let http = HttpClientConfig::from_node(&section.take(&HTTP_CLIENT_KEYS))?;
        for key in ["sigv4", "azuread", "google_iam"] {
            if section.has(key) {
                return Err(section.error(key, format!("{key} authentication is not supported")));
            }
        }
        let url: String = section.get("url")?;
        if url.is_empty() {
            return Err(section.error("url", "url for remote_write is empty"));
        }
        check_url(&url).map_err(|e| section.error("url", e))?;
        let headers =
            headers(&mut section, "basic_auth, authorization, oauth2, sigv4, azuread or google_iam parameter")?;
        let (mut send_metadata, mut metadata_interval_ms) = (true, 60_000);
        if let Some(node) = section.raw("metadata_config") {
            let mut metadata = Section::new(node, "config.MetadataConfig")?;
            send_metadata = metadata.or("send", true)?;
            metadata_interval_ms = metadata.or("send_interval", PromDuration(60_000))?.0;
            metadata.opt::<u64>("max_samples_per_send")?;
            metadata.finish()?;
        }
        section.opt::<bool>("round_robin_dns")?;
        let config = Self {
            name: section.get("name")?,
            message: section.get("protobuf_message")?,
            timeout_ms: section.or("remote_timeout", PromDuration(30_000))?.0,
            write_relabel_rules: super::alerting::rules(
                &mut section,
                "write_relabel_configs",
                "relabeling rule in remote write config",
            )?,
            send_exemplars: section.get("send_exemplars")?,
            send_native_histograms: section.get("send_native_histograms")?,
            queue: section.get("queue_config")?,
            send_metadata,
            metadata_interval_ms,
            headers,
            http,
            url,
        };
        section.finish()?;
        Ok(config)
    }
}

/// A peer that gives samples.
#[derive(Clone, Debug)]
pub struct RemoteReadConfig {
    /// Where it listens.
    pub url: String,
    /// Name in metrics and logs.
    pub name: String,
    /// Time a request may take, ms.
    pub timeout_ms: i64,
    /// More headers.
    pub headers: BTreeMap<String, String>,
    /// Asked also for times that the own store covers.
    pub read_recent: bool,
    /// Asked only for selectors with these labels.
    pub required_matchers: Labels,
    /// External labels are added to the selectors.
    pub filter_external_labels: bool,
    /// How the peer is reached.
    pub http: HttpClientConfig,
}

impl FromNode for RemoteReadConfig {
    fn from_node(node: &Node) -> Result<Self, ConfigError> {
        let mut section = Section::new(node, "config.RemoteReadConfig")?;
        let http = HttpClientConfig::from_node(&section.take(&HTTP_CLIENT_KEYS))?;
        let url: String = section.get("url")?;
        if url.is_empty() {
            return Err(section.error("url", "url for remote_read is empty"));
        }
        check_url(&url).map_err(|e| section.error("url", e))?;
        let headers = headers(&mut section, "basic_auth, authorization or oauth2 parameter")?;
        section.opt::<u64>("chunked_read_limit")?;
        let config = Self {
            name: section.get("name")?,
            timeout_ms: section.or("remote_timeout", PromDuration(60_000))?.0,
            read_recent: section.get("read_recent")?,
            required_matchers: section.get::<BTreeMap<String, String>>("required_matchers")?.into_iter().collect(),
            filter_external_labels: section.or("filter_external_labels", true)?,
            headers,
            http,
            url,
        };
        section.finish()?;
        Ok(config)
    }
}

/// Reads `headers`; authorization has its own settings, protocol headers are the protocol's.
pub(super) fn headers(section: &mut Section<'_>, instead: &str) -> Result<BTreeMap<String, String>, ConfigError> {
    let headers = section.get::<BTreeMap<String, String>>("headers")?;
    for name in headers.keys() {
        let lower = name.to_ascii_lowercase();
        if lower == "authorization" {
            return Err(section.error("headers", format!("authorization header must be changed via the {instead}")));
        }
        if RESERVED.contains(&lower.as_str()) {
            return Err(section.error("headers", format!("{name} is a reserved header. It must not be changed")));
        }
    }
    Ok(headers)
}

/// Upstream takes whatever Go reads as a URL, `localhost:9090` included; whether it can be reached shows when it is used.
fn check_url(url: &str) -> Result<(), String> {
    match url.chars().find(|c| c.is_control() || *c == ' ') {
        Some(c) => Err(format!("{url:?} is no URL: it holds {c:?}")),
        None => Ok(()),
    }
}
