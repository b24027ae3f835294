//! Flags of the clients, with logcli's names.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, ValueEnum};
use kit::client::HttpClientConfig;
use kit::config::{GoDuration, Secret};

/// Where the server is and how it is asked.
#[derive(Clone, Debug, Args)]
pub(super) struct ServerFlags {
    /// Address of the server.
    #[arg(long, env = "LOKI_ADDR", default_value = "http://localhost:3100", value_name = "URL")]
    pub(super) addr: String,
    /// User name for basic authentication.
    #[arg(long, env = "LOKI_USERNAME", default_value = "", hide_env_values = true)]
    username: String,
    /// Password for basic authentication.
    #[arg(long, env = "LOKI_PASSWORD", default_value = "", hide_env_values = true)]
    password: String,
    /// Token for the Authorization header.
    #[arg(long, env = "LOKI_BEARER_TOKEN", default_value = "", hide_env_values = true)]
    bearer_token: String,
    /// File with that token.
    #[arg(long, env = "LOKI_BEARER_TOKEN_FILE")]
    bearer_token_file: Option<PathBuf>,
    /// Tenant, sent as X-Scope-OrgID.
    #[arg(long, env = "LOKI_ORG_ID", default_value = "")]
    pub(super) org_id: String,
    /// Do not check the server's certificate.
    #[arg(long, env = "LOKI_TLS_SKIP_VERIFY")]
    tls_skip_verify: bool,
    /// Certificate of the authority that the server's is checked against.
    #[arg(long, env = "LOKI_CA_CERT_PATH")]
    ca_cert: Option<PathBuf>,
    /// Certificate to show.
    #[arg(long, env = "LOKI_CLIENT_CERT_PATH")]
    cert: Option<PathBuf>,
    /// Its key.
    #[arg(long, env = "LOKI_CLIENT_KEY_PATH")]
    key: Option<PathBuf>,
    /// Proxy to go through.
    #[arg(long, env = "LOKI_HTTP_PROXY_URL")]
    proxy_url: Option<String>,
    /// More headers: name=value. Can be repeated.
    #[arg(long)]
    pub(super) header: Vec<String>,
    /// Tags of the query: key=value,…
    #[arg(long, env = "LOKI_QUERY_TAGS", default_value = "")]
    pub(super) query_tags: String,
    /// How often a request that failed on the way is tried again.
    #[arg(long, env = "LOKI_CLIENT_RETRIES", default_value_t = 0)]
    pub(super) retries: u32,
    /// First pause before that, in seconds.
    #[arg(long, env = "LOKI_CLIENT_MIN_BACKOFF", default_value_t = 0)]
    pub(super) min_backoff: u64,
    /// Longest pause before that, in seconds.
    #[arg(long, env = "LOKI_CLIENT_MAX_BACKOFF", default_value_t = 0)]
    pub(super) max_backoff: u64,
}

impl ServerFlags {
    /// Settings of the HTTP client.
    pub(super) fn client_settings(&self) -> HttpClientConfig {
        let mut settings = HttpClientConfig { proxy_url: self.proxy_url.clone(), ..HttpClientConfig::default() };
        if !self.username.is_empty() {
            settings.basic_auth = Some(kit::client::BasicAuth {
                username: self.username.clone(),
                password: Secret::new(&self.password),
                ..Default::default()
            });
        } else if !self.bearer_token.is_empty() {
            settings.bearer_token = Secret::new(&self.bearer_token);
        } else {
            settings.bearer_token_file.clone_from(&self.bearer_token_file);
        }
        settings.tls_config.insecure_skip_verify = self.tls_skip_verify;
        settings.tls_config.ca_file.clone_from(&self.ca_cert);
        settings.tls_config.cert_file.clone_from(&self.cert);
        settings.tls_config.key_file.clone_from(&self.key);
        settings
    }
}

/// How entries are printed.
#[derive(Clone, Debug, Args)]
pub(super) struct OutputFlags {
    /// Form of an entry.
    #[arg(long, short = 'o', default_value = "default")]
    pub(super) output: Mode,
    /// Zone of printed times.
    #[arg(long, short = 'z', default_value = "Local")]
    pub(super) timezone: Zone,
    /// Print nothing but entries.
    #[arg(long, short = 'q')]
    pub(super) quiet: bool,
    /// Print no labels.
    #[arg(long)]
    pub(super) no_labels: bool,
    /// Leave out this label. Can be repeated.
    #[arg(long)]
    pub(super) exclude_label: Vec<String>,
    /// Print this label even if all entries share it; if given, the others are left out. Can be repeated.
    #[arg(long)]
    pub(super) include_label: Vec<String>,
    /// Print labels that all entries share with each of them.
    #[arg(long)]
    pub(super) include_common_labels: bool,
    /// Width of the labels, 0: that of the longest.
    #[arg(long, default_value_t = 0)]
    pub(super) labels_length: usize,
    /// Print labels of one stream in one colour.
    #[arg(long)]
    pub(super) colored_output: bool,
}

/// Form of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Mode {
    /// Time, labels, line.
    Default,
    /// The line.
    Raw,
    /// An object a line.
    Jsonl,
}

/// Zone of times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Zone {
    #[value(name = "Local", alias = "local")]
    Local,
    #[value(name = "UTC", alias = "utc")]
    Utc,
}

/// `logs-query`
#[derive(Clone, Debug, Parser)]
#[command(
    name = "logs-query",
    about = "Asks a log server",
    version,
    after_help = "Instead of a query, the first argument may be one of: query QUERY, instant-query QUERY, labels [NAME], \
                  series SELECTOR, stats QUERY, volume QUERY, fmt QUERY."
)]
pub(super) struct QueryFlags {
    #[command(flatten)]
    pub(super) server: ServerFlags,
    #[command(flatten)]
    pub(super) shown: OutputFlags,
    /// LogQL, for example '{job="titan"} |= "error"'.
    #[arg(value_name = "QUERY", required = true, num_args = 1..=2)]
    pub(super) args: Vec<String>,
    /// Most entries; 0 asks for all.
    #[arg(long, default_value_t = 30)]
    pub(super) limit: usize,
    /// How far back.
    #[arg(long, default_value = "1h", value_parser = duration)]
    pub(super) since: Duration,
    /// Begin of the time range (RFC 3339).
    #[arg(long, value_parser = time)]
    pub(super) from: Option<i64>,
    /// End of the time range (RFC 3339).
    #[arg(long, value_parser = time)]
    pub(super) to: Option<i64>,
    /// Time of an instant query (RFC 3339).
    #[arg(long, value_parser = time)]
    pub(super) now: Option<i64>,
    /// Distance of the steps of a metric query.
    #[arg(long, value_parser = duration)]
    pub(super) step: Option<Duration>,
    /// Entries at most so often.
    #[arg(long, value_parser = duration)]
    pub(super) interval: Option<Duration>,
    /// Entries of one request.
    #[arg(long, default_value_t = 1000)]
    pub(super) batch: usize,
    /// Oldest entries first.
    #[arg(long)]
    pub(super) forward: bool,
    /// Print statistics of the query.
    #[arg(long)]
    pub(super) stats: bool,
    /// Ask standard input instead of a server; every line has the labels that the query names.
    #[arg(long)]
    pub(super) stdin: bool,
    /// Follow the query.
    #[arg(long, short = 'f', visible_alias = "follow")]
    pub(super) tail: bool,
    /// Seconds that a followed query holds entries back, to bring them into order.
    #[arg(long, default_value_t = 0)]
    pub(super) delay_for: u64,
    /// Download in parts of this length, side by side.
    #[arg(long, value_parser = duration)]
    pub(super) parallel_duration: Option<Duration>,
    /// Parts at a time.
    #[arg(long, default_value_t = 1)]
    pub(super) parallel_max_workers: usize,
    /// Where parts are kept: the begin of their file names.
    #[arg(long)]
    pub(super) part_path_prefix: Option<PathBuf>,
    /// Print the parts in order once they are there, and remove them.
    #[arg(long)]
    pub(super) merge_parts: bool,
    /// Do not remove them.
    #[arg(long)]
    pub(super) keep_parts: bool,
    /// Download parts again that are there.
    #[arg(long)]
    pub(super) overwrite_completed_parts: bool,
}

/// `tail`
#[derive(Clone, Debug, Parser)]
#[command(name = "tail", about = "Follows a query of entries", version)]
pub(super) struct TailFlags {
    #[command(flatten)]
    pub(super) server: ServerFlags,
    #[command(flatten)]
    pub(super) shown: OutputFlags,
    /// LogQL, for example '{job="titan"} |= "error"'.
    pub(super) query: String,
    /// Entries that are there already.
    #[arg(long, default_value_t = 30)]
    pub(super) limit: usize,
    /// How far back those may be.
    #[arg(long, default_value = "1h", value_parser = duration)]
    pub(super) since: Duration,
    /// Seconds that entries are held back, to bring them into order.
    #[arg(long, default_value_t = 0)]
    pub(super) delay_for: u64,
}

fn duration(text: &str) -> Result<Duration, String> {
    GoDuration::parse(text).map(GoDuration::to_std)
}

fn time(text: &str) -> Result<i64, String> {
    logql::params::parse_time(text).map_err(|_| format!("{text:?} is no time such as 2026-01-05T10:00:00Z"))
}
