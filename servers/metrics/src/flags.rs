//! The command line: Prometheus' flags, with its names and defaults.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{CommandFactory, Parser};
use kit::config::{ByteSize, PromDuration};

/// Flags of the metrics server.
#[derive(Clone, Debug, Parser)]
#[command(name = "foursight metrics", about = "The Foursight metrics server", version)]
pub struct Flags {
    /// Prometheus configuration file path.
    #[arg(long = "config.file", default_value = "prometheus.yml", value_name = "FILE")]
    pub config_file: PathBuf,
    /// Reload the configuration file when it changes.
    #[arg(long = "config.auto-reload-interval", default_value = "30s", value_parser = duration, value_name = "DURATION")]
    pub auto_reload_interval: PromDuration,
    /// Address to listen on for UI, API, and telemetry. Can be repeated.
    #[arg(long = "web.listen-address", default_value = "127.0.0.1:9090", value_name = "ADDRESS")]
    pub listen_address: Vec<String>,
    /// Path to configuration file that can enable TLS or authentication.
    #[arg(long = "web.config.file", value_name = "FILE")]
    pub web_config_file: Option<PathBuf>,
    /// Maximum duration before timing out read of the request, and closing idle connections.
    #[arg(long = "web.read-timeout", default_value = "5m", value_parser = duration)]
    pub read_timeout: PromDuration,
    /// Maximum number of simultaneous connections across all listeners.
    #[arg(long = "web.max-connections", default_value_t = 512)]
    pub max_connections: usize,
    /// The URL under which this server is externally reachable.
    #[arg(long = "web.external-url", default_value = "", value_name = "URL")]
    pub external_url: String,
    /// Prefix for the internal routes of web endpoints.
    #[arg(long = "web.route-prefix", value_name = "PATH")]
    pub route_prefix: Option<String>,
    /// Enable shutdown and reload via HTTP request.
    #[arg(long = "web.enable-lifecycle")]
    pub enable_lifecycle: bool,
    /// Enable API endpoints for admin control actions.
    #[arg(long = "web.enable-admin-api")]
    pub enable_admin_api: bool,
    /// Enable API endpoint accepting remote write requests.
    #[arg(long = "web.enable-remote-write-receiver")]
    pub enable_remote_write_receiver: bool,
    /// Protobuf messages accepted by the remote write receiver.
    #[arg(
        long = "web.remote-write-receiver.accepted-protobuf-messages",
        default_values_t = ["prometheus.WriteRequest".to_owned()],
        value_delimiter = ','
    )]
    pub accepted_messages: Vec<String>,
    /// Enable API endpoint accepting OTLP write requests.
    #[arg(long = "web.enable-otlp-receiver")]
    pub enable_otlp_receiver: bool,
    /// Regex for CORS origin. It is fully anchored.
    #[arg(long = "web.cors.origin", default_value = ".*")]
    pub cors_origin: String,
    /// Document title of the pages.
    #[arg(long = "web.page-title", default_value = "Foursight metrics")]
    pub page_title: String,
    /// Base path for metrics storage.
    #[arg(long = "storage.tsdb.path", default_value = "data/", value_name = "DIR")]
    pub storage_path: PathBuf,
    /// How long to retain samples in storage.
    #[arg(long = "storage.tsdb.retention.time", alias = "storage.tsdb.retention", value_parser = duration)]
    pub retention_time: Option<PromDuration>,
    /// Maximum number of bytes that can be stored for blocks.
    #[arg(long = "storage.tsdb.retention.size", value_parser = size)]
    pub retention_size: Option<ByteSize>,
    /// When a write counts as durable: always, never, or interval=DURATION.
    #[arg(long = "storage.wal-sync", default_value = "always", value_name = "POLICY")]
    pub wal_sync: WalSync,
    /// How long to wait flushing samples on shutdown or config reload.
    #[arg(long = "storage.remote.flush-deadline", default_value = "1m", value_parser = duration)]
    pub flush_deadline: PromDuration,
    /// Maximum overall number of samples to return via the remote read interface, in a single query.
    #[arg(long = "storage.remote.read-sample-limit", default_value_t = 50_000_000)]
    pub remote_read_sample_limit: usize,
    /// Maximum number of concurrent remote read calls.
    #[arg(long = "storage.remote.read-concurrent-limit", default_value_t = 10)]
    pub remote_read_concurrency: usize,
    /// Max time to tolerate an outage for restoring the "for" state of alerts.
    #[arg(long = "rules.alert.for-outage-tolerance", default_value = "1h", value_parser = duration)]
    pub for_outage_tolerance: PromDuration,
    /// Minimum duration between an alert and its restored "for" state.
    #[arg(long = "rules.alert.for-grace-period", default_value = "10m", value_parser = duration)]
    pub for_grace_period: PromDuration,
    /// Minimum amount of time to wait before resending an alert to Alertmanager.
    #[arg(long = "rules.alert.resend-delay", default_value = "1m", value_parser = duration)]
    pub resend_delay: PromDuration,
    /// The capacity of the queue for pending Alertmanager notifications.
    #[arg(long = "alertmanager.notification-queue-capacity", default_value_t = 10_000)]
    pub notification_queue_capacity: usize,
    /// The maximum lookback duration for retrieving metrics during expression evaluations and federation.
    #[arg(long = "query.lookback-delta", default_value = "5m", value_parser = duration)]
    pub lookback_delta: PromDuration,
    /// Maximum time a query may take before being aborted.
    #[arg(long = "query.timeout", default_value = "2m", value_parser = duration)]
    pub query_timeout: PromDuration,
    /// Maximum number of queries executed concurrently.
    #[arg(long = "query.max-concurrency", default_value_t = 20)]
    pub query_concurrency: usize,
    /// Maximum number of samples a single query can load into memory.
    #[arg(long = "query.max-samples", default_value_t = 50_000_000)]
    pub query_max_samples: usize,
    /// Comma separated feature names to enable.
    #[arg(long = "enable-feature", value_delimiter = ',')]
    pub features: Vec<String>,
    /// Only log messages with the given severity or above.
    #[arg(long = "log.level", default_value = "info")]
    pub log_level: kit::log::Level,
    /// Output format of log messages.
    #[arg(long = "log.format", default_value = "logfmt")]
    pub log_format: kit::log::Format,
}

/// When a write counts as durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WalSync {
    /// When it is on the device.
    Always,
    /// When the system has it; synced at this interval in ms.
    Interval(i64),
    /// When the system has it.
    Never,
}

impl std::str::FromStr for WalSync {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "always" => Ok(Self::Always),
            "never" => Ok(Self::Never),
            _ => match text.strip_prefix("interval=").map(duration) {
                Some(Ok(interval)) if interval.0 > 0 => Ok(Self::Interval(interval.0)),
                _ => Err(format!("{text:?} is none of always, never, interval=DURATION")),
            },
        }
    }
}

impl std::fmt::Display for WalSync {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Always => f.write_str("always"),
            Self::Never => f.write_str("never"),
            Self::Interval(ms) => write!(f, "interval={}", PromDuration(*ms)),
        }
    }
}

fn duration(text: &str) -> Result<PromDuration, String> {
    model::duration::parse_duration_ms(text).map(PromDuration).map_err(|e| e.to_string())
}

fn size(text: &str) -> Result<ByteSize, String> {
    ByteSize::parse(text)
}

impl Flags {
    /// The flags by name with their values, as the status page shows them.
    pub fn by_name(&self) -> BTreeMap<String, String> {
        let path = |path: &Option<PathBuf>| path.as_ref().map_or_else(String::new, |p| p.display().to_string());
        let mut map = BTreeMap::new();
        let mut put = |name: &str, value: String| map.insert(name.to_owned(), value);
        put("config.file", self.config_file.display().to_string());
        put("config.auto-reload-interval", self.auto_reload_interval.to_string());
        put("web.listen-address", self.listen_address.join(","));
        put("web.config.file", path(&self.web_config_file));
        put("web.read-timeout", self.read_timeout.to_string());
        put("web.max-connections", self.max_connections.to_string());
        put("web.external-url", self.external_url.clone());
        put("web.route-prefix", self.route_prefix.clone().unwrap_or_else(|| "/".to_owned()));
        put("web.enable-lifecycle", self.enable_lifecycle.to_string());
        put("web.enable-admin-api", self.enable_admin_api.to_string());
        put("web.enable-remote-write-receiver", self.enable_remote_write_receiver.to_string());
        put("web.remote-write-receiver.accepted-protobuf-messages", self.accepted_messages.join(","));
        put("web.enable-otlp-receiver", self.enable_otlp_receiver.to_string());
        put("web.cors.origin", self.cors_origin.clone());
        put("web.page-title", self.page_title.clone());
        put("storage.tsdb.path", self.storage_path.display().to_string());
        put("storage.tsdb.retention.time", self.retention_time.map_or_else(|| "0s".to_owned(), |d| d.to_string()));
        put("storage.tsdb.retention.size", self.retention_size.map_or_else(|| "0B".to_owned(), |s| s.to_string()));
        put("storage.wal-sync", self.wal_sync.to_string());
        put("storage.remote.flush-deadline", self.flush_deadline.to_string());
        put("storage.remote.read-sample-limit", self.remote_read_sample_limit.to_string());
        put("storage.remote.read-concurrent-limit", self.remote_read_concurrency.to_string());
        put("rules.alert.for-outage-tolerance", self.for_outage_tolerance.to_string());
        put("rules.alert.for-grace-period", self.for_grace_period.to_string());
        put("rules.alert.resend-delay", self.resend_delay.to_string());
        put("alertmanager.notification-queue-capacity", self.notification_queue_capacity.to_string());
        put("query.lookback-delta", self.lookback_delta.to_string());
        put("query.timeout", self.query_timeout.to_string());
        put("query.max-concurrency", self.query_concurrency.to_string());
        put("query.max-samples", self.query_max_samples.to_string());
        put("enable-feature", self.features.join(","));
        put("log.level", self.log_level.as_str().to_owned());
        put("log.format", self.log_format.as_str().to_owned());
        map
    }

    /// Whether a feature is enabled.
    pub fn has(&self, feature: &str) -> bool {
        self.features.iter().any(|name| name == feature)
    }

    /// Flags as if the command line were `args` (without the program's name).
    ///
    /// # Errors
    /// What clap says.
    pub fn from_args<S: Into<String>>(args: impl IntoIterator<Item = S>) -> Result<Self, clap::Error> {
        let args = std::iter::once("foursight metrics".to_owned()).chain(args.into_iter().map(Into::into));
        kit::flags::parse_from(args)
    }

    /// The definition of the command line, for a binary that has it as a subcommand.
    pub fn command() -> clap::Command {
        <Self as CommandFactory>::command()
    }
}
