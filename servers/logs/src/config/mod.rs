//! The configuration: Loki's YAML file and flags of a single binary.
//!
//! [`load`] reads the file, checks it against the table of all keys (`schema`), puts flags on top and gives
//! [`Config`], the part that has a meaning here, typed. Keys that are known and mean nothing on one node are listed in
//! [`Config::without_effect`]. [`Overrides`] are the limits of single tenants, from the file of `runtime_config`.

mod limits;
mod otlp;
mod overrides;
mod schema;
#[cfg(test)]
mod tests;
mod values;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kit::client::HttpClientConfig;
use kit::relabel::Rule;
use kit::yaml::{self, ConfigError, FromNode, Key, Kind, Node};
use logstore::SyncPolicy;
use model::Labels;

pub use limits::{BlockedQuery, DeletionMode, Policies, QueryPattern, StreamRetention, TenantLimits};
pub use otlp::{Action, OtlpConfig};
pub use overrides::{Overrides, TenantOverrides};
pub(crate) use schema::{FlagKey, Schema};
use schema::{ROOT, Type};
use values::Values;

/// Files that are looked for when no flag names one.
const DEFAULT_FILES: &str = "config.yaml,config/config.yaml";

/// What the command line says about the configuration.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Files parted by commas; the first that exists is read. `None`: the peer's two default names, neither of which has to exist.
    pub file: Option<String>,
    /// Replace `${VAR}` in the file.
    pub expand_env: bool,
    /// Values by key path, put on top of the file.
    pub set: Vec<(String, String)>,
}

/// The configuration of a server.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file that was read.
    pub file: Option<PathBuf>,
    /// Requests need a tenant.
    pub auth_enabled: bool,
    /// The tenant of requests that need none.
    pub no_auth_tenant: String,
    /// How the server listens.
    pub server: ServerConfig,
    /// Where and how data is kept.
    pub storage: StorageConfig,
    /// Pushes.
    pub push: PushConfig,
    /// Queries.
    pub query: QueryConfig,
    /// Retention and deletes.
    pub compactor: CompactorConfig,
    /// Patterns are answered.
    pub patterns_enabled: bool,
    /// Rules.
    pub ruler: RulerConfig,
    /// Limits of tenants without overrides.
    pub limits: TenantLimits,
    /// File with overrides, and how often it is read.
    pub runtime: RuntimeConfig,
    /// How long the server goes on after a signal.
    pub shutdown_delay: Duration,
    /// Resource attributes that become labels.
    pub otlp_index_attributes: Vec<String>,
    /// Keys that were set and have no effect on one node.
    pub without_effect: Vec<String>,
    /// The whole tree as it was set, file and flags.
    pub(crate) set: Node,
}

/// `server`
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "keys of the peer's configuration")]
pub struct ServerConfig {
    pub address: String,
    pub port: u16,
    pub max_connections: usize,
    pub log_level: kit::log::Level,
    pub log_format: kit::log::Format,
    pub idle_timeout: Duration,
    pub read_timeout: Duration,
    pub graceful_shutdown_timeout: Duration,
    pub path_prefix: String,
    pub tls: Option<TlsConfig>,
    /// The web configuration file of our own servers: TLS, users, headers.
    pub web_config: Option<PathBuf>,
}

/// `server.http_tls_config` and what stands beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "keys of the peer's configuration")]
pub struct TlsConfig {
    pub cert: String,
    pub key: String,
    pub client_ca: String,
    pub cert_file: String,
    pub key_file: String,
    pub client_auth_type: String,
    pub client_ca_file: String,
    pub min_version: String,
    pub cipher_suites: Vec<String>,
}

/// Where and how data is kept.
#[derive(Clone, Debug)]
pub struct StorageConfig {
    /// Directory of all data.
    pub dir: PathBuf,
    /// When a push counts as written.
    pub wal_sync: SyncPolicy,
    /// How often the log is synced when pushes do not wait for it.
    pub sync_every: Option<Duration>,
    /// Most bytes of all tenants' data, 0: no limit.
    pub retention_bytes: u64,
    /// Most of the disk in percent, 0: no limit.
    pub retention_disk_percent: f64,
    /// Pushes are refused while less than this is free.
    pub reserve_bytes: u64,
    /// Most tenants whose stores are open.
    pub max_tenants: usize,
}

/// Pushes.
#[derive(Clone, Copy, Debug)]
pub struct PushConfig {
    /// Most bytes of a push on the wire.
    pub max_body: usize,
    /// Most bytes of a push after decompression.
    pub max_decompressed: usize,
    /// Most bytes of pushes in progress, 0: no limit.
    pub max_inflight: u64,
    /// Failed entries of a stream that are told one by one.
    pub max_returned_errors: usize,
}

/// Queries.
#[derive(Clone, Debug)]
pub struct QueryConfig {
    /// Most at once.
    pub concurrency: usize,
    /// Most that wait, of one tenant.
    pub queue: usize,
    /// Threads that may work on one query.
    pub threads: usize,
    /// Most bytes of memory of one query.
    pub max_memory: u64,
    /// Queries that take longer are logged; negative: all, 0: none.
    pub log_longer_ns: i64,
    /// Tails end after this long.
    pub tail_max: Duration,
    /// Queries of several tenants at once.
    pub multi_tenant: bool,
    /// Downloads may take this long.
    pub export_timeout: Duration,
    /// Answers are compressed.
    pub compress: bool,
}

/// `compactor`
#[derive(Clone, Copy, Debug)]
pub struct CompactorConfig {
    /// How often retention is applied.
    pub interval: Duration,
    /// Retention and deletes are on.
    pub retention_enabled: bool,
    /// Files go this long after their data did.
    pub delete_delay: Duration,
    /// Deletes wait this long and may be taken back meanwhile.
    pub cancel_period_ns: i64,
    /// Longest time range of one part of a delete request, 0: any.
    pub max_interval_ns: i64,
}

/// `ruler`
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "keys of the peer's configuration")]
pub struct RulerConfig {
    /// Directory of rule files, one directory below it for each tenant.
    pub dir: PathBuf,
    pub enable_api: bool,
    pub evaluation_interval_ms: i64,
    pub poll_interval: Duration,
    pub alertmanagers: Vec<String>,
    pub alertmanager_http: HttpClientConfig,
    pub alert_relabel_rules: Vec<Rule>,
    pub queue_capacity: usize,
    pub notification_timeout: Duration,
    pub for_outage_tolerance_ms: i64,
    pub for_grace_period_ms: i64,
    pub resend_delay_ms: i64,
    pub external_url: String,
    pub external_labels: Labels,
    pub datasource_uid: String,
    pub enabled_tenants: Vec<String>,
    pub disabled_tenants: Vec<String>,
    pub disable_rule_group_label: bool,
    pub remote_write: Vec<RemoteWriteClient>,
    pub add_org_id_header: bool,
    pub wal_dir: PathBuf,
    pub wal_max_age: Duration,
}

/// A peer that takes the samples of recording rules.
#[derive(Clone, Debug)]
pub struct RemoteWriteClient {
    /// Its name.
    pub name: String,
    /// Where it listens.
    pub url: String,
    /// Time for a request.
    pub timeout: Duration,
    /// More headers.
    pub headers: BTreeMap<String, String>,
    /// Rules for every sample.
    pub relabel_rules: Vec<Rule>,
    /// How it is reached.
    pub http: HttpClientConfig,
    /// Most samples of a request.
    pub batch: usize,
    /// First pause after a failure.
    pub min_backoff: Duration,
    /// Longest pause after failures.
    pub max_backoff: Duration,
}

/// `runtime_config`
#[derive(Clone, Debug, Default)]
pub struct RuntimeConfig {
    /// Files parted by commas, later ones on top.
    pub files: Vec<PathBuf>,
    /// How often they are looked at.
    pub period: Duration,
}

/// Reads the configuration. Blocking.
///
/// # Errors
/// When the file cannot be read, a key is unknown or a value cannot be used: with file, line and column.
pub fn load(sources: &Sources) -> Result<Config, ConfigError> {
    let found = find_file(sources.file.as_deref())?;
    let text = match &found {
        Some(path) => std::fs::read_to_string(path).map_err(|e| ConfigError::plain(e.to_string()).in_file(path))?,
        None => String::new(),
    };
    let text = match sources.expand_env {
        true => kit::config::expand_loki(&text, |name| std::env::var(name).ok()),
        false => text,
    };
    parse(&text, &sources.set, found)
}

/// As [`load`] for a text; `file` is where it came from.
///
/// # Errors
/// As [`load`].
pub fn parse(text: &str, set: &[(String, String)], file: Option<PathBuf>) -> Result<Config, ConfigError> {
    let read = || {
        let mut tree = yaml::parse(text)?;
        Schema::get().check(ROOT, &tree)?;
        for (path, value) in set {
            put(&mut tree, path, value)?;
        }
        Schema::get().check(ROOT, &tree)?;
        Config::read(tree)
    };
    match (read(), file) {
        (Ok(config), file) => Ok(Config { file, ..config }),
        (Err(error), Some(file)) => Err(error.in_file(&file)),
        (Err(error), None) => Err(error),
    }
}

fn find_file(named: Option<&str>) -> Result<Option<PathBuf>, ConfigError> {
    let candidates: Vec<&str> =
        named.unwrap_or(DEFAULT_FILES).split(',').map(str::trim).filter(|c| !c.is_empty()).collect();
    if let Some(found) = candidates.iter().find(|path| Path::new(path).exists()) {
        return Ok(Some(PathBuf::from(found)));
    }
    match named {
        Some(named) if !candidates.is_empty() => {
            Err(ConfigError::plain(format!("{named} does not exist, set config.file for custom config path")))
        }
        _ => Ok(None),
    }
}

/// Sets a value from a flag. Several values of a list are given one after the other, or parted by commas.
fn put(tree: &mut Node, path: &str, value: &str) -> Result<(), ConfigError> {
    let kind = Schema::get().value(ROOT, path).map_or(Type::Any, |(kind, _)| kind);
    let value = match kind {
        Type::Map | Type::List | Type::Any => yaml::parse(value)?,
        Type::String | Type::Url | Type::Secret | Type::Strings | Type::Time => Node::text(value),
        _ => Node::plain(value),
    };
    let mut node = tree;
    for part in path.split('.') {
        if !matches!(node.kind, Kind::Mapping(_)) {
            node.kind = Kind::Mapping(Vec::new());
        }
        let Kind::Mapping(pairs) = &mut node.kind else { return Ok(()) };
        let at = match pairs.iter().position(|(key, _)| key.text == part) {
            Some(at) => at,
            None => {
                pairs.push((Key { line: 0, column: 0, text: part.to_owned() }, Node::new(Kind::Null)));
                pairs.len() - 1
            }
        };
        node = &mut pairs[at].1;
    }
    *node = value;
    Ok(())
}

impl Config {
    fn read(set: Node) -> Result<Self, ConfigError> {
        let v = Values::new(ROOT, &set);
        let target = v.string("target")?;
        if !target.split(',').all(|part| part.trim() == "all") {
            return Err(v.error(
                "target",
                format!("target {target:?} is not supported: this server runs all parts in one process (target: all)"),
            ));
        }
        let otlp_index_attributes = v.strings("distributor.otlp_config.default_resource_attributes_as_index_labels")?;
        let no_auth_tenant = v.string("no_auth_tenant")?;
        let null = Node::new(Kind::Null);
        let limits_node = v.given("limits_config").unwrap_or(&null);
        let limits_values = Values::new("limits_config", limits_node);
        let limits = TenantLimits::read(&limits_values, &no_auth_tenant, &otlp_index_attributes)?;
        let dir = data_dir(&v)?;
        let config = Self {
            file: None,
            auth_enabled: v.bool("auth_enabled")?,
            server: ServerConfig::read(&v)?,
            push: PushConfig {
                max_body: v.count("distributor.max_recv_msg_size")?,
                max_decompressed: v.count("distributor.max_decompressed_size")?,
                max_inflight: v.size("distributor.max_inflight_bytes")?,
                max_returned_errors: v.count("ingester.max_returned_stream_errors")?,
            },
            query: QueryConfig {
                concurrency: v.count("querier.max_concurrent")?.max(1),
                queue: v.count("frontend.max_outstanding_per_tenant")?,
                threads: v.count("foursight.query_threads")?,
                max_memory: v.size("foursight.query_max_memory")?,
                log_longer_ns: v.duration_ns("frontend.log_queries_longer_than")?,
                tail_max: v.duration("querier.tail_max_duration")?,
                multi_tenant: v.bool("querier.multi_tenant_queries_enabled")?,
                export_timeout: v.duration("foursight.export_timeout")?,
                compress: v.bool("frontend.compress_responses")?,
            },
            compactor: CompactorConfig {
                interval: v.duration("compactor.compaction_interval")?,
                retention_enabled: v.bool("compactor.retention_enabled")?,
                delete_delay: v.duration("compactor.retention_delete_delay")?,
                cancel_period_ns: v.duration_ns("compactor.delete_request_cancel_period")?,
                max_interval_ns: v.duration_ns("compactor.delete_max_interval")?,
            },
            patterns_enabled: v.bool("pattern_ingester.enabled")?,
            ruler: RulerConfig::read(&v, &dir)?,
            runtime: RuntimeConfig {
                files: v.strings("runtime_config.file")?.into_iter().map(PathBuf::from).collect(),
                period: v.duration("runtime_config.period")?,
            },
            storage: StorageConfig::read(&v, dir)?,
            shutdown_delay: v.duration("shutdown_delay")?,
            limits,
            no_auth_tenant,
            otlp_index_attributes,
            without_effect: Vec::new(),
            set: Node::new(Kind::Null),
        };
        let mut without_effect = v.unread();
        without_effect.extend(limits_values.unread().into_iter().map(|key| format!("limits_config.{key}")));
        without_effect.sort();
        Ok(Self { without_effect, set, ..config })
    }

    /// The whole configuration with defaults, secrets hidden.
    pub fn effective(&self) -> Node {
        Schema::get().effective(ROOT, &self.set)
    }

    /// All defaults.
    pub fn defaults() -> Node {
        Schema::get().effective(ROOT, &Node::new(Kind::Null))
    }

    /// What differs from the defaults.
    pub fn difference(&self) -> Node {
        difference(&Self::defaults(), &self.effective()).unwrap_or_else(|| Node::new(Kind::Mapping(Vec::new())))
    }
}

/// What `node` has otherwise than `base`.
fn difference(base: &Node, node: &Node) -> Option<Node> {
    if same(base, node) {
        return None;
    }
    match (&base.kind, &node.kind) {
        (Kind::Mapping(_), Kind::Mapping(pairs)) => {
            let mut changed = Vec::new();
            for (key, value) in pairs {
                let other = base.get(&key.text).map_or_else(|| Some(value.clone()), |base| difference(base, value));
                if let Some(value) = other {
                    changed.push((key.clone(), value));
                }
            }
            (!changed.is_empty()).then(|| Node::new(Kind::Mapping(changed)))
        }
        _ => Some(node.clone()),
    }
}

/// Whether two nodes say the same, wherever they stand and however they are quoted.
fn same(a: &Node, b: &Node) -> bool {
    match (&a.kind, &b.kind) {
        (Kind::Scalar { text: a, .. }, Kind::Scalar { text: b, .. }) => a == b,
        (Kind::Sequence(a), Kind::Sequence(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Kind::Mapping(a), Kind::Mapping(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|((ka, a), (kb, b))| ka.text == kb.text && same(a, b))
        }
        (a, b) => a == b,
    }
}

/// The first directory that the configuration names for data.
fn data_dir(v: &Values<'_>) -> Result<PathBuf, ConfigError> {
    let own = v.string("foursight.data_dir")?;
    if !own.is_empty() {
        return Ok(PathBuf::from(own));
    }
    let keys =
        ["common.path_prefix", "storage_config.filesystem.directory", "common.storage.filesystem.chunks_directory"];
    for key in keys {
        let dir = v.string(key)?;
        if !dir.is_empty() {
            return Ok(PathBuf::from(dir).join("logstore"));
        }
    }
    Ok(PathBuf::from("data").join("logs"))
}

impl StorageConfig {
    fn read(v: &Values<'_>, dir: PathBuf) -> Result<Self, ConfigError> {
        let policy = v.string("foursight.wal_sync")?;
        let (wal_sync, sync_every) = match policy.as_str() {
            "always" => (SyncPolicy::Always, None),
            "never" => (SyncPolicy::Never, None),
            other => {
                let interval =
                    other.strip_prefix("interval=").and_then(|text| kit::config::GoDuration::parse(text).ok());
                match interval {
                    Some(interval) if interval.0 > 0 => (SyncPolicy::Interval, Some(interval.to_std())),
                    _ => {
                        let message = format!("{other:?} is none of always, never, interval=DURATION");
                        return Err(v.error("foursight.wal_sync", message));
                    }
                }
            }
        };
        Ok(Self {
            dir,
            wal_sync,
            sync_every,
            retention_bytes: v.size("foursight.retention_size")?,
            retention_disk_percent: v.float("foursight.retention_disk_percent")?,
            reserve_bytes: v.size("foursight.reserve_space")?,
            max_tenants: v.count("foursight.max_tenants")?.max(1),
        })
    }
}

impl ServerConfig {
    fn read(v: &Values<'_>) -> Result<Self, ConfigError> {
        let text = |key: &str| v.string(&format!("server.http_tls_config.{key}"));
        let tls = TlsConfig {
            cert: text("cert")?,
            key: text("key")?,
            client_ca: text("client_ca")?,
            cert_file: text("cert_file")?,
            key_file: text("key_file")?,
            client_auth_type: text("client_auth_type")?,
            client_ca_file: text("client_ca_file")?,
            min_version: v.string("server.tls_min_version")?.replace("Version", ""),
            cipher_suites: v.strings("server.tls_cipher_suites")?,
        };
        let level = v.string("server.log_level")?;
        let format = v.string("server.log_format")?;
        // Whoever wants all addresses says so: with "", 0.0.0.0 or ::.
        let address = match v.given("server.http_listen_address") {
            Some(_) => v.string("server.http_listen_address")?,
            None => "127.0.0.1".to_owned(),
        };
        let prefix = v.string("server.http_path_prefix")?;
        let web_config = v.string("foursight.web_config_file")?;
        Ok(Self {
            address,
            port: v.port("server.http_listen_port")?,
            max_connections: v.count("server.http_listen_conn_limit")?,
            log_level: level.parse().map_err(|e: String| v.error("server.log_level", e))?,
            log_format: format.parse().map_err(|e: String| v.error("server.log_format", e))?,
            idle_timeout: v.duration("server.http_server_idle_timeout")?,
            read_timeout: v.duration("server.http_server_read_timeout")?,
            graceful_shutdown_timeout: v.duration("server.graceful_shutdown_timeout")?,
            path_prefix: match prefix.trim_matches('/') {
                "" => String::new(),
                prefix => format!("/{prefix}"),
            },
            tls: (!tls.cert_file.is_empty() || !tls.cert.is_empty()).then_some(tls),
            web_config: (!web_config.is_empty()).then(|| PathBuf::from(web_config)),
        })
    }
}

impl RulerConfig {
    fn read(v: &Values<'_>, data: &Path) -> Result<Self, ConfigError> {
        let mut dir = data.join("rules");
        for key in [
            "ruler.storage.local.directory",
            "ruler_storage.local.directory",
            "ruler_storage.filesystem.dir",
            "common.storage.filesystem.rules_directory",
        ] {
            let named = v.string(key)?;
            if !named.is_empty() {
                dir = PathBuf::from(named);
                break;
            }
        }
        let client = |key: &str| v.string(&format!("ruler.alertmanager_client.{key}"));
        let mut external_labels = model::LabelsBuilder::new();
        for (name, value) in v.texts("ruler.external_labels")? {
            external_labels.set(&name, &value);
        }
        let relabel = v.items("ruler.alert_relabel_configs").iter();
        let alert_relabel_rules = relabel.map(relabel_rule).collect::<Result<_, _>>()?;
        let enabled = v.bool("ruler.remote_write.enabled")?;
        let mut remote_write = Vec::new();
        for (name, node) in v.pairs("ruler.remote_write.clients") {
            remote_write.push(RemoteWriteClient::read(&name, node)?);
        }
        if !enabled {
            remote_write.clear();
        }
        let wal_dir = match v.given("ruler.wal.dir") {
            Some(_) => PathBuf::from(v.string("ruler.wal.dir")?),
            None => data.join("ruler-wal"),
        };
        let alertmanagers = v.strings("ruler.alertmanager_url")?;
        let max_age = v.duration("ruler.wal.max_age")?;
        Ok(Self {
            dir,
            enable_api: v.bool("ruler.enable_api")?,
            evaluation_interval_ms: (v.duration_ns("ruler.evaluation_interval")? / 1_000_000).max(1),
            poll_interval: v.duration("ruler.poll_interval")?.max(Duration::from_millis(100)),
            alertmanagers,
            alertmanager_http: alertmanager_http(&client)?,
            alert_relabel_rules,
            queue_capacity: v.count("ruler.notification_queue_capacity")?,
            notification_timeout: v.duration("ruler.notification_timeout")?,
            for_outage_tolerance_ms: v.duration_ns("ruler.for_outage_tolerance")? / 1_000_000,
            for_grace_period_ms: v.duration_ns("ruler.for_grace_period")? / 1_000_000,
            resend_delay_ms: v.duration_ns("ruler.resend_delay")? / 1_000_000,
            external_url: v.string("ruler.external_url")?.trim_end_matches('/').to_owned(),
            external_labels: external_labels.build(),
            datasource_uid: v.string("ruler.datasource_uid")?,
            enabled_tenants: v.strings("ruler.enabled_tenants")?,
            disabled_tenants: v.strings("ruler.disabled_tenants")?,
            disable_rule_group_label: v.bool("ruler.disable_rule_group_label")?,
            remote_write,
            add_org_id_header: v.bool("ruler.remote_write.add_org_id_header")?,
            wal_dir,
            wal_max_age: max_age,
        })
    }
}

fn alertmanager_http(client: &dyn Fn(&str) -> Result<String, ConfigError>) -> Result<HttpClientConfig, ConfigError> {
    let mut pairs = Vec::new();
    let mut put = |name: &str, node: Node| {
        pairs.push((Key { line: 0, column: 0, text: name.to_owned() }, node));
    };
    let mapping = |pairs: Vec<(&str, String)>| {
        let pairs = pairs.into_iter().filter(|(_, value)| !value.is_empty());
        let pairs: Vec<_> =
            pairs.map(|(name, value)| (Key { line: 0, column: 0, text: name.to_owned() }, Node::text(value))).collect();
        (!pairs.is_empty()).then(|| Node::new(Kind::Mapping(pairs)))
    };
    if let Some(basic) =
        mapping(vec![("username", client("basic_auth_username")?), ("password", client("basic_auth_password")?)])
    {
        put("basic_auth", basic);
    }
    let (credentials, file) = (client("credentials")?, client("credentials_file")?);
    let kind = client("type")?;
    if (!credentials.is_empty() || !file.is_empty())
        && let Some(authorization) =
            mapping(vec![("type", kind), ("credentials", credentials), ("credentials_file", file)])
    {
        put("authorization", authorization);
    }
    let tls = mapping(vec![
        ("ca_file", client("tls_ca_path")?),
        ("cert_file", client("tls_cert_path")?),
        ("key_file", client("tls_key_path")?),
        ("server_name", client("tls_server_name")?),
    ]);
    let insecure = client("tls_insecure_skip_verify")? == "true";
    if tls.is_some() || insecure {
        let mut tls = tls.unwrap_or_else(|| Node::new(Kind::Mapping(Vec::new())));
        if let (Kind::Mapping(pairs), true) = (&mut tls.kind, insecure) {
            pairs.push((Key { line: 0, column: 0, text: "insecure_skip_verify".to_owned() }, Node::plain("true")));
        }
        put("tls_config", tls);
    }
    HttpClientConfig::from_node(&Node::new(Kind::Mapping(pairs)))
}

fn relabel_rule(node: &Node) -> Result<Rule, ConfigError> {
    let config = kit::relabel::RelabelConfig::from_node(node).map_err(|e| e.placed(node))?;
    config.compile(kit::relabel::NameScheme::Utf8).map_err(|e| ConfigError::at(node, e.to_string()))
}

impl RemoteWriteClient {
    fn read(name: &str, node: &Node) -> Result<Self, ConfigError> {
        let mut section = yaml::Section::new(node, "RemoteWriteConfig")?;
        let http = HttpClientConfig::from_node(&section.take(&kit::client::HTTP_CLIENT_KEYS))?;
        let url: String = section.get("url")?;
        if url.is_empty() {
            return Err(section.error("url", "remote-write enabled but client URL for tenants is not configured"));
        }
        let mut headers: BTreeMap<String, String> = section.get("headers")?;
        // The tenant is the server's to say.
        headers.retain(|name, _| !name.eq_ignore_ascii_case("X-Scope-OrgID"));
        let relabel: Vec<Node> = section.get("write_relabel_configs")?;
        let relabel_rules = relabel.iter().map(relabel_rule).collect::<Result<_, _>>()?;
        let timeout = section.or("remote_timeout", kit::config::PromDuration(30_000))?.to_std();
        let (mut batch, mut min_backoff, mut max_backoff) = (2_000, Duration::from_millis(30), Duration::from_secs(5));
        if let Some(queue) = section.raw("queue_config") {
            let mut queue = yaml::Section::new(queue, "QueueConfig")?;
            batch = usize::try_from(queue.or::<u64>("max_samples_per_send", 2_000)?).unwrap_or(2_000).max(1);
            min_backoff = queue.or("min_backoff", kit::config::PromDuration(30))?.to_std();
            max_backoff = queue.or("max_backoff", kit::config::PromDuration(5_000))?.to_std();
            queue.finish_ignoring_unknown();
        }
        let given: String = section.get("name")?;
        for key in
            ["metadata_config", "send_exemplars", "send_native_histograms", "protobuf_message", "round_robin_dns"]
        {
            section.raw(key);
        }
        section.finish()?;
        let name = if given.is_empty() { name.to_owned() } else { given };
        Ok(Self { name, url, timeout, headers, relabel_rules, http, batch, min_backoff, max_backoff })
    }
}
