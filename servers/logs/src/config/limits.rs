//! `limits_config`: what a tenant may push, ask and keep. The same block, with only some keys set, makes a tenant's
//! override; [`TenantLimits::read`] reads both.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kit::yaml::{ConfigError, FromNode, Kind, Node, Section};
use logql::params::RequestLimits;
use logstore::Rate;
use model::{Labels, Matcher};
use regex::Regex;

use super::otlp::OtlpConfig;
use super::values::{Values, selector, strings, time_ns};

const NS_PER_HOUR: i64 = 3_600_000_000_000;
const MIB: f64 = 1_048_576.0;

/// Limits of one tenant.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the keys of limits_config, which the peer documents")]
pub struct TenantLimits {
    /// What the store checks.
    pub store: logstore::Limits,
    pub max_line_size_truncate: bool,
    pub max_line_size_truncate_identifier: String,
    pub increment_duplicate_timestamp: bool,
    pub discover_service_name: Vec<String>,
    pub discover_log_levels: bool,
    pub log_level_fields: Vec<String>,
    pub log_level_from_json_max_depth: usize,
    pub discover_generic_fields: Vec<(String, Vec<String>)>,
    pub enforced_labels: Vec<String>,
    pub policies: Policies,
    pub block_ingestion_until_ns: Option<i64>,
    pub block_ingestion_status_code: u16,
    pub simulated_push_latency: Duration,
    pub otlp: OtlpConfig,

    /// Entries of an answer and the length of its time range.
    pub request: RequestLimits,
    pub max_query_series: usize,
    pub max_query_range_ns: i64,
    pub max_query_lookback_ns: i64,
    pub max_query_bytes_read: u64,
    pub query_timeout: Duration,
    pub max_streams_matchers_per_query: usize,
    pub max_concurrent_tail_requests: usize,
    pub required_labels: Vec<String>,
    pub minimum_labels_number: usize,
    pub blocked_queries: Vec<BlockedQuery>,
    pub split_queries: bool,
    pub shard_aggregations: Vec<String>,
    pub volume_enabled: bool,
    pub volume_max_series: usize,

    pub retention_period_ns: i64,
    pub retention_streams: Vec<StreamRetention>,
    pub deletion_mode: DeletionMode,

    pub ruler_max_rules_per_rule_group: usize,
    pub ruler_max_rule_groups_per_tenant: usize,
    pub ruler_remote_write_disabled: bool,
}

/// `deletion_mode`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeletionMode {
    /// No deletes.
    Disabled,
    /// Deleted entries are hidden and stay on disk.
    FilterOnly,
    /// Deleted entries are hidden and then removed.
    FilterAndDelete,
}

/// One of `retention_stream`.
#[derive(Clone, Debug)]
pub struct StreamRetention {
    /// Streams it is for.
    pub matchers: Vec<Matcher>,
    /// Of several that fit, the highest wins.
    pub priority: i64,
    /// How long their entries are kept.
    pub period_ns: i64,
}

/// One of `blocked_queries`.
#[derive(Clone, Debug)]
pub struct BlockedQuery {
    /// The query, `None`: any.
    pub pattern: Option<QueryPattern>,
    /// Hash of the query, 0: not looked at.
    pub hash: u32,
    /// `metric`, `filter`, `limited`; empty: any.
    pub types: Vec<String>,
    /// Tags that the request has to carry.
    pub tags: Vec<(String, String)>,
}

/// How a blocked query is named.
#[derive(Clone, Debug)]
pub enum QueryPattern {
    /// Its text.
    Exact(String),
    /// A pattern that is found in its text.
    Regex(Regex),
}

/// `policy_stream_mapping` and what holds for each policy.
#[derive(Clone, Debug, Default)]
pub struct Policies {
    /// Name, priority and matchers; highest priority first.
    mapping: Vec<(String, i64, Vec<Matcher>)>,
    enforced: BTreeMap<String, Vec<String>>,
    blocked_until_ns: BTreeMap<String, i64>,
}

impl Policies {
    /// The policy of a stream: that of the highest priority, the first by name if several have it; empty for none.
    pub fn policy_for(&self, labels: &Labels) -> &str {
        let mut found: Option<(&str, i64)> = None;
        for (name, priority, matchers) in &self.mapping {
            if found.is_some_and(|(_, best)| *priority < best) {
                break;
            }
            if matchers.iter().all(|m| m.matches_labels(labels)) && found.is_none_or(|(best, _)| name.as_str() < best) {
                found = Some((name, *priority));
            }
        }
        found.map_or("", |(name, _)| name)
    }

    /// Labels that streams of a policy must have.
    pub fn enforced_labels(&self, policy: &str) -> impl Iterator<Item = &str> {
        let of = |name: &str| self.enforced.get(name).map(Vec::as_slice).unwrap_or_default();
        let named = if policy.is_empty() || policy == "*" { &[] } else { of(policy) };
        of("*").iter().chain(named).map(String::as_str)
    }

    /// Until when streams of a policy are refused.
    pub fn blocked_until_ns(&self, policy: &str) -> Option<i64> {
        self.blocked_until_ns.get(policy).or_else(|| self.blocked_until_ns.get("*")).copied()
    }
}

impl TenantLimits {
    /// Reads the block. `default_index` are the resource attributes that become labels unless the block says otherwise.
    ///
    /// # Errors
    /// Values that cannot be used, with their place.
    pub(crate) fn read(v: &Values<'_>, tenant: &str, default_index: &[String]) -> Result<Self, ConfigError> {
        let local_streams = v.count("max_streams_per_user")?;
        let global_streams = v.count("max_global_streams_per_user")?;
        let max_streams = match (local_streams, global_streams) {
            (0, limit) | (limit, 0) => limit,
            (a, b) => a.min(b),
        };
        let reject_old = v.bool("reject_old_samples")?;
        let max_age = v.duration_ns("reject_old_samples_max_age")?;
        let truncate = v.bool("max_line_size_truncate")?;
        let max_line_bytes = v.count("max_line_size")?;
        let store = logstore::Limits {
            tenant: tenant.to_owned(),
            max_line_bytes,
            max_label_names: v.count("max_label_names_per_series")?,
            max_label_name_bytes: v.count("max_label_name_length")?,
            max_label_value_bytes: v.count("max_label_value_length")?,
            allow_structured_metadata: v.bool("allow_structured_metadata")?,
            max_structured_metadata_bytes: v.count("max_structured_metadata_size")?,
            max_structured_metadata_pairs: v.count("max_structured_metadata_entries_count")?,
            max_age_ns: (reject_old && max_age > 0).then_some(max_age),
            max_future_ns: v.duration_ns("creation_grace_period")?,
            max_streams,
            rate: rate(v.float("ingestion_rate_mb")? * MIB, v.float("ingestion_burst_size_mb")? * MIB),
            stream_rate: rate(v.size("per_stream_rate_limit")? as f64, v.size("per_stream_rate_limit_burst")? as f64),
        };
        let deletion_mode = match v.string("deletion_mode")?.as_str() {
            "disabled" => DeletionMode::Disabled,
            "filter-only" => DeletionMode::FilterOnly,
            "filter-and-delete" => DeletionMode::FilterAndDelete,
            other => return Err(v.error("deletion_mode", format!("unknown deletion mode {other:?}"))),
        };
        let retention_streams =
            v.items("retention_stream").iter().map(StreamRetention::read).collect::<Result<_, _>>()?;
        let blocked_queries = v.items("blocked_queries").iter().map(BlockedQuery::read).collect::<Result<_, _>>()?;
        let status = v.size("block_ingestion_status_code")?;
        let block_ingestion_status_code = u16::try_from(status)
            .ok()
            .filter(|status| (200..600).contains(status))
            .ok_or_else(|| v.error("block_ingestion_status_code", format!("{status} is no HTTP status")))?;
        Ok(Self {
            store,
            max_line_size_truncate: truncate,
            max_line_size_truncate_identifier: v.string("max_line_size_truncate_identifier")?,
            increment_duplicate_timestamp: v.bool("increment_duplicate_timestamp")?,
            discover_service_name: v.strings("discover_service_name")?,
            discover_log_levels: v.bool("discover_log_levels")?,
            log_level_fields: v.strings("log_level_fields")?,
            log_level_from_json_max_depth: v.count("log_level_from_json_max_depth")?,
            discover_generic_fields: generic_fields(v)?,
            enforced_labels: v.strings("enforced_labels")?,
            policies: Policies::read(v)?,
            block_ingestion_until_ns: v.time_ns("block_ingestion_until")?,
            block_ingestion_status_code,
            simulated_push_latency: v.duration("simulated_push_latency")?,
            otlp: OtlpConfig::read(v.given("otlp_config"), default_index)?,
            request: RequestLimits {
                max_entries: v.count("max_entries_limit_per_query")?,
                max_length_ns: v.duration_ns("max_query_length")?.max(0),
            },
            max_query_series: v.count("max_query_series")?,
            max_query_range_ns: v.duration_ns("max_query_range")?.max(0),
            max_query_lookback_ns: v.duration_ns("max_query_lookback")?.max(0),
            max_query_bytes_read: v.size("max_query_bytes_read")?,
            query_timeout: v.duration("query_timeout")?,
            max_streams_matchers_per_query: v.count("max_streams_matchers_per_query")?,
            max_concurrent_tail_requests: v.count("max_concurrent_tail_requests")?,
            required_labels: v.strings("required_labels")?,
            minimum_labels_number: v.count("minimum_labels_number")?,
            blocked_queries,
            split_queries: v.duration_ns("split_queries_by_interval")? > 0,
            shard_aggregations: v.strings("shard_aggregations")?,
            volume_enabled: v.bool("volume_enabled")?,
            volume_max_series: v.count("volume_max_series")?,
            retention_period_ns: v.duration_ns("retention_period")?.max(0),
            retention_streams,
            deletion_mode,
            ruler_max_rules_per_rule_group: v.count("ruler_max_rules_per_rule_group")?,
            ruler_max_rule_groups_per_tenant: v.count("ruler_max_rule_groups_per_tenant")?,
            ruler_remote_write_disabled: v.bool("ruler_remote_write_disabled")?,
        })
    }

    /// How long entries of a stream are kept in ns, 0 for ever.
    pub fn retention_ns(&self, labels: &Labels) -> i64 {
        let fits = |rule: &&StreamRetention| rule.matchers.iter().all(|m| m.matches_labels(labels));
        // Of equal priorities the shortest period wins.
        let rank = |rule: &&StreamRetention| (rule.priority, std::cmp::Reverse(rule.period_ns));
        let best = self.retention_streams.iter().filter(fits).max_by_key(rank);
        best.map_or(self.retention_period_ns, |rule| rule.period_ns)
    }

    /// The `retention_hours` of metrics: empty when entries are kept for ever.
    pub fn retention_hours(&self, labels: &Labels) -> String {
        match self.retention_ns(labels) {
            0 => String::new(),
            ns => (ns / NS_PER_HOUR).to_string(),
        }
    }
}

fn rate(bytes_per_second: f64, burst_bytes: f64) -> Option<Rate> {
    (bytes_per_second > 0.0).then_some(Rate { bytes_per_second, burst_bytes: burst_bytes.max(0.0) })
}

fn generic_fields(v: &Values<'_>) -> Result<Vec<(String, Vec<String>)>, ConfigError> {
    let fields = v.pairs("discover_generic_fields.fields");
    fields.into_iter().map(|(name, hints)| Ok((name, strings(hints)?))).collect()
}

impl StreamRetention {
    fn read(node: &Node) -> Result<Self, ConfigError> {
        let mut section = Section::new(node, "StreamRetention")?;
        let text: String = section.get("selector")?;
        let matchers =
            selector(&text).map_err(|e| section.error("selector", format!("invalid labels matchers: {e}")))?;
        let priority = section.get::<i64>("priority")?;
        let period: String = section.get("period")?;
        let period_ns = kit::config::GoDuration::parse(&period).map_err(|e| section.error("period", e))?.0;
        if period_ns < 24 * NS_PER_HOUR {
            return Err(section.error("period", format!("retention period must be >= 24h was {period}")));
        }
        section.finish()?;
        Ok(Self { matchers, priority, period_ns })
    }
}

impl BlockedQuery {
    fn read(node: &Node) -> Result<Self, ConfigError> {
        let mut section = Section::new(node, "BlockedQuery")?;
        let text: String = section.get("pattern")?;
        let regex = section.get::<bool>("regex")?;
        let pattern = match text.as_str() {
            "" => None,
            _ if regex => {
                let compiled = Regex::new(&text).map_err(|e| section.error("pattern", e.to_string()))?;
                Some(QueryPattern::Regex(compiled))
            }
            _ => Some(QueryPattern::Exact(text.trim().to_owned())),
        };
        let mut tags: BTreeMap<String, String> = section.get("query_tags")?;
        tags.extend(section.get::<BTreeMap<String, String>>("tags")?);
        let blocked = Self {
            pattern,
            hash: section.get::<Option32>("hash")?.0,
            types: match section.raw("types") {
                Some(node) => strings(node)?,
                None => Vec::new(),
            },
            tags: tags.into_iter().map(|(name, value)| (name.to_lowercase(), value.to_lowercase())).collect(),
        };
        section.finish()?;
        Ok(blocked)
    }
}

/// A number that may be absent.
#[derive(Default)]
struct Option32(u32);

impl FromNode for Option32 {
    fn from_node(node: &Node) -> Result<Self, ConfigError> {
        u32::from_node(node).map(Self)
    }
}

impl Policies {
    fn read(v: &Values<'_>) -> Result<Self, ConfigError> {
        let mut policies = Self::default();
        for (name, streams) in v.pairs("policy_stream_mapping") {
            let Kind::Sequence(items) = &streams.kind else {
                return Err(ConfigError::at(streams, format!("cannot read {} as a list", streams.describe())));
            };
            for item in items {
                let mut section = Section::new(item, "PriorityStream")?;
                let text: String = section.get("selector")?;
                let matchers = selector(&text).map_err(|e| {
                    section.error("selector", format!("invalid labels matchers for policy stream mapping: {e}"))
                })?;
                let priority = section.get::<i64>("priority")?;
                section.finish()?;
                policies.mapping.push((name.clone(), priority, matchers));
            }
        }
        policies.mapping.sort_by_key(|(_, priority, _)| std::cmp::Reverse(*priority));
        for (name, labels) in v.pairs("policy_enforced_labels") {
            policies.enforced.insert(name, strings(labels)?);
        }
        for (name, until) in v.pairs("block_ingestion_policy_until") {
            if let Some(until) = time_ns(until)? {
                policies.blocked_until_ns.insert(name, until);
            }
        }
        Ok(policies)
    }
}

impl TenantLimits {
    /// Labels that a stream of a policy lacks, in the order in which they are demanded.
    pub fn missing_labels(&self, labels: &Labels, policy: &str) -> Vec<&str> {
        let mut seen = BTreeSet::new();
        let demanded = self.enforced_labels.iter().map(String::as_str).chain(self.policies.enforced_labels(policy));
        demanded.filter(|name| seen.insert(*name) && labels.get(name).is_none()).collect()
    }
}
