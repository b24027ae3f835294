//! Derives, checks and stores the entries of a batch, and counts what came and what was refused.

use std::borrow::Cow;
use std::collections::HashSet;

use axum::http::StatusCode;
use kit::metrics::{Counter, Histogram, Registry, Vector};
use logstore::{PushEntry, PushReport, PushStream, StreamKey};
use parking_lot::Mutex;

use super::fields::{is_json, is_logfmt, json_value, logfmt_value};
use super::level::{line_level, normal_level, severity_level};
use super::metadata::normalize;
use super::refusals::{PushError, Refusals};
use super::{Batch, DETECTED_LEVEL, Entry, Format, Incoming, StreamInfo};
use crate::config::TenantLimits;
use crate::tenants::Tenant;

/// Counters of pushes, under the peer's names.
#[derive(Debug)]
pub(crate) struct PushMetrics {
    bytes: Vector<Counter>,
    expanded_bytes: Vector<Counter>,
    metadata_bytes: Vector<Counter>,
    lines: Vector<Counter>,
    appends: Vector<Counter>,
    lag_ms: Vector<Counter>,
    sanitized: Vector<Counter>,
    discarded_samples: Vector<Counter>,
    discarded_bytes: Vector<Counter>,
    mutated_samples: Vector<Counter>,
    mutated_bytes: Vector<Counter>,
    duplicate_bytes: Vector<Counter>,
    line_bytes: Histogram,
    /// Names of senders that have a counter of their own.
    agents: Mutex<HashSet<String>>,
}

/// Most senders that are told apart by their names, which anybody can make up.
const MAX_AGENTS: usize = 500;

impl PushMetrics {
    pub(crate) fn new(r: &Registry) -> Self {
        let by_stream: &[&'static str] = &["tenant", "retention_hours", "is_internal_stream", "policy", "format"];
        let discarded: &[&'static str] = &["reason", "tenant", "retention_hours", "policy", "format"];
        let bounds: Vec<f64> = (0..8).map(|power| 8f64.powi(power)).collect();
        r.gauge("loki_distributor_replication_factor", "The configured replication factor.").set(1.0);
        Self {
            bytes: r.counter_vec("loki_distributor_bytes_received_total", "The total number of uncompressed bytes received per tenant, structured metadata included.", by_stream),
            expanded_bytes: r.counter_vec("loki_distributor_expanded_bytes_received_total", "The total number of uncompressed bytes received per tenant, with all attributes of OTLP records.", &["tenant", "format"]),
            metadata_bytes: r.counter_vec("loki_distributor_structured_metadata_bytes_received_total", "The total number of uncompressed bytes received per tenant as structured metadata.", by_stream),
            lines: r.counter_vec("loki_distributor_lines_received_total", "The total number of lines received per tenant.", &["tenant", "is_internal_stream", "policy", "format"]),
            appends: r.counter_vec("loki_distributor_ingester_appends_total", "The total number of batch appends sent to ingesters.", &["ingester"]),
            lag_ms: r.counter_vec("loki_distributor_lag_ms_total", "The difference in time (in millis) between when a push request is received and the most recent log timestamp in it.", &["tenant", "userAgent", "format"]),
            sanitized: r.counter_vec("loki_distributor_push_structured_metadata_sanitized_total", "The total number of times we've had to sanitize structured metadata (names or values) at ingestion time per tenant.", &["tenant", "format"]),
            discarded_samples: r.counter_vec("loki_discarded_samples_total", "The total number of samples that were discarded.", discarded),
            discarded_bytes: r.counter_vec("loki_discarded_bytes_total", "The total number of bytes that were discarded.", discarded),
            mutated_samples: r.counter_vec("loki_mutated_samples_total", "The total number of samples that have been mutated.", &["reason", "tenant"]),
            mutated_bytes: r.counter_vec("loki_mutated_bytes_total", "The total number of bytes that have been mutated.", &["reason", "tenant"]),
            duplicate_bytes: r.counter_vec("loki_duplicate_log_bytes_total", "The total number of bytes that were discarded for duplicate log lines.", &["tenant"]),
            line_bytes: r.histogram("loki_bytes_per_line", "The total number of bytes per line.", &bounds),
            agents: Mutex::default(),
        }
    }

    /// The name under which a sender is counted.
    fn agent<'a>(&self, user_agent: &'a str) -> &'a str {
        let mut known = self.agents.lock();
        if known.contains(user_agent) || known.len() < MAX_AGENTS && known.insert(user_agent.to_owned()) {
            user_agent
        } else {
            "other"
        }
    }

    /// A body that was refused before its streams were known.
    pub(crate) fn discard_body(&self, tenant: &str, bytes: u64, format: Format) {
        self.discarded_bytes.with(&["request_body_too_large", tenant, "", "", format.as_str()]).add(bytes);
    }

    fn discard(&self, reason: &str, tenant: &str, info: &StreamInfo, format: Format, entries: u64, bytes: u64) {
        let labels = [reason, tenant, info.retention_hours.as_str(), info.policy.as_str(), format.as_str()];
        self.discarded_samples.with(&labels).add(entries);
        self.discarded_bytes.with(&labels).add(bytes);
    }

    fn received(&self, tenant: &str, batch: &Batch<'_>, format: Format, user_agent: &str, now_ns: i64) {
        let mut newest = i64::MIN;
        let mut expanded = 0;
        for stream in &batch.streams {
            let (mut line_bytes, mut metadata_bytes) = (0, 0);
            for entry in &stream.entries {
                line_bytes += entry.line.len() as u64;
                metadata_bytes += entry.metadata_bytes();
                newest = newest.max(entry.timestamp_ns);
                self.line_bytes.observe(entry.line.len() as f64);
            }
            let info = &stream.info;
            let internal = if info.internal { "true" } else { "false" };
            let labels = [tenant, info.retention_hours.as_str(), internal, info.policy.as_str(), format.as_str()];
            self.bytes.with(&labels).add(line_bytes + metadata_bytes);
            self.metadata_bytes.with(&labels).add(metadata_bytes);
            self.lines.with(&[tenant, internal, &info.policy, format.as_str()]).add(stream.entries.len() as u64);
            expanded += line_bytes + metadata_bytes;
        }
        self.expanded_bytes.with(&[tenant, format.as_str()]).add(expanded);
        // Senders whose clocks are far off say nothing about the delay.
        let lag_ms = now_ns.saturating_sub(newest) / 1_000_000;
        if newest != i64::MIN && (0..1_000_000_000).contains(&lag_ms) {
            self.lag_ms.with(&[tenant, self.agent(user_agent), format.as_str()]).add(lag_ms.unsigned_abs());
        }
    }
}

/// What a push needs to know beside its entries.
#[derive(Clone, Copy)]
pub(crate) struct PushContext<'a> {
    pub(crate) tenant: &'a Tenant,
    pub(crate) limits: &'a TenantLimits,
    pub(crate) metrics: &'a PushMetrics,
    pub(crate) format: Format,
    pub(crate) user_agent: &'a str,
    /// Failed entries of a stream that are told one by one.
    pub(crate) max_told: usize,
    pub(crate) now_ns: i64,
}

/// Stores a batch. When this returns, what was not refused is stored as durably as the store is set to. Blocking.
///
/// # Errors
/// What was refused, in part or altogether.
pub(crate) fn store(mut batch: Batch<'_>, context: PushContext<'_>) -> Result<PushReport, PushError> {
    let PushContext { tenant, metrics, format, now_ns, .. } = context;
    if batch.streams.is_empty() {
        return Err(PushError::Empty);
    }
    metrics.received(&tenant.id, &batch, format, context.user_agent, now_ns);
    batch.streams.retain(|stream| !stream.entries.is_empty());
    let mut refusals = Refusals::default();
    batch.streams.retain_mut(|stream| admit(stream, &context, &mut refusals));
    let mut levels: Vec<Vec<Cow<'_, str>>> = Vec::with_capacity(batch.streams.len());
    for stream in &mut batch.streams {
        levels.push(derive(stream, &context)?);
    }
    let report = push(&batch, &levels, &context, &mut refusals)?;
    match refusals.into_error() {
        Some(error) => Err(error),
        None => Ok(report),
    }
}

/// Whether a stream may be written to at all.
fn admit(stream: &Incoming<'_>, context: &PushContext<'_>, refusals: &mut Refusals) -> bool {
    let PushContext { tenant, limits, metrics, format, now_ns, .. } = *context;
    let info = &*stream.info;
    let entries = stream.entries.len() as u64;
    let bytes = || stream.entries.iter().map(Entry::bytes).sum();
    if let Some(missing) = &info.missing {
        let text = format!(
            "missing required labels '{missing}' for user '{}' for stream '{}' (policy: '{}')",
            tenant.id, info.labels, info.policy
        );
        metrics.discard("missing_enforced_labels", &tenant.id, info, format, entries, bytes());
        refusals.invalid(text, 1);
        return false;
    }
    let status = limits.block_ingestion_status_code;
    let until = |ns: i64| kit::time::Rfc3339(ns / 1_000_000).to_string().replace(".000Z", "Z");
    let (reason, text) = match (limits.block_ingestion_until_ns, limits.policies.blocked_until_ns(&info.policy)) {
        (Some(ns), _) if now_ns < ns => {
            let text =
                format!("ingestion blocked for user '{}' until '{}' with status code '{status}'", tenant.id, until(ns));
            ("blocked_ingestion", text)
        }
        (_, Some(ns)) if now_ns < ns => {
            let policy = &info.policy;
            let text = format!(
                "ingestion blocked for user '{}' (policy: '{policy}') until '{}' with status code '{status}'",
                tenant.id,
                until(ns)
            );
            ("blocked_ingestion_policy", text)
        }
        _ => return true,
    };
    metrics.discard(reason, &tenant.id, info, format, entries, bytes());
    if status != 200 {
        refusals.blocked(StatusCode::from_u16(status).unwrap_or(StatusCode::FORBIDDEN), text);
    }
    false
}

/// Cuts lines, normalizes metadata, moves equal times apart, and finds the level of each entry; the empty text: none.
fn derive<'a>(stream: &mut Incoming<'a>, context: &PushContext<'_>) -> Result<Vec<Cow<'a, str>>, PushError> {
    let PushContext { tenant, limits, metrics, format, .. } = *context;
    let discover = limits.store.allow_structured_metadata && limits.discover_log_levels;
    let generic = limits.store.allow_structured_metadata && !limits.discover_generic_fields.is_empty();
    let mut levels = Vec::with_capacity(if discover { stream.entries.len() } else { 0 });
    let mut sanitized = 0;
    let (mut cut_entries, mut cut_bytes) = (0, 0);
    let mut last: Option<(i64, i64)> = None;
    for index in 0..stream.entries.len() {
        let same_line_as_before = index > 0 && stream.entries[index - 1].line == stream.entries[index].line;
        let entry = &mut stream.entries[index];
        if let Some(bytes) = truncate(entry, limits) {
            cut_entries += 1;
            cut_bytes += bytes;
        }
        sanitized += normalize(&mut entry.metadata)?;
        if discover {
            levels.push(level_of(entry, &stream.info, limits));
        }
        if generic {
            add_fields(entry, &stream.info, limits);
        }
        if limits.increment_duplicate_timestamp {
            // Lines that are equal stay equal, so that they are stored once.
            let given = entry.timestamp_ns;
            if let Some((given_before, stored_before)) = last
                && !same_line_as_before
                && (given == given_before || given == stored_before)
            {
                entry.timestamp_ns = stored_before.saturating_add(1);
                last = Some((given_before, entry.timestamp_ns));
            } else {
                last = Some((given, given));
            }
        }
    }
    if sanitized > 0 {
        metrics.sanitized.with(&[&tenant.id, format.as_str()]).add(sanitized);
    }
    if cut_entries > 0 {
        metrics.mutated_samples.with(&["line_too_long", &tenant.id]).add(cut_entries);
        metrics.mutated_bytes.with(&["line_too_long", &tenant.id]).add(cut_bytes);
    }
    Ok(levels)
}

/// Cuts a line that is too long if the limits say so; returns how many bytes went.
fn truncate(entry: &mut Entry<'_>, limits: &TenantLimits) -> Option<u64> {
    let max = limits.store.max_line_bytes;
    if !limits.max_line_size_truncate || max == 0 || entry.line.len() <= max {
        return None;
    }
    let before = entry.line.len();
    let mark = &limits.max_line_size_truncate_identifier;
    let mut end = max.saturating_sub(mark.len());
    while !entry.line.is_char_boundary(end) {
        end -= 1;
    }
    let mut line = entry.line.get(..end).unwrap_or("").to_owned();
    line.push_str(mark);
    // A mark longer than the limit is cut too.
    while line.len() > max {
        line.pop();
    }
    entry.line = Cow::Owned(line);
    Some((before - entry.line.len()) as u64)
}

/// The level that is to be added to an entry; empty when its metadata has one already.
fn level_of<'a>(entry: &mut Entry<'a>, info: &StreamInfo, limits: &TenantLimits) -> Cow<'a, str> {
    if let Some((_, value)) = entry.metadata.iter_mut().find(|(name, _)| name == DETECTED_LEVEL) {
        if let Some(level) = normal_level(value) {
            *value = Cow::Borrowed(level);
        }
        return Cow::Borrowed("");
    }
    if let Some(level) = &info.level {
        return match normal_level(level) {
            Some(level) => Cow::Borrowed(level),
            None => Cow::Owned(level.clone()),
        };
    }
    let of = |wanted: &str| entry.metadata.iter().find(|(name, _)| name == wanted).map(|(_, value)| value);
    if !entry.metadata.is_empty() {
        if let Some(value) = limits.log_level_fields.iter().find_map(|name| of(name)) {
            return normal_level(value).map_or_else(|| value.clone(), Cow::Borrowed);
        }
        if let Some(number) = of("severity_number") {
            return Cow::Borrowed(severity_level(number));
        }
    }
    Cow::Borrowed(line_level(&entry.line, &limits.log_level_fields, limits.log_level_from_json_max_depth))
}

/// Adds the generic fields that labels, metadata or the line have.
fn add_fields(entry: &mut Entry<'_>, info: &StreamInfo, limits: &TenantLimits) {
    for ((name, hints), of_labels) in limits.discover_generic_fields.iter().zip(&info.fields) {
        let in_metadata =
            |hint: &String| entry.metadata.iter().find(|(name, _)| name == hint).map(|(_, value)| value.to_string());
        let value = match of_labels {
            Some(value) => Some(value.clone()),
            None => hints.iter().find_map(in_metadata).or_else(|| {
                let found = if is_json(&entry.line) {
                    json_value(&entry.line, hints)
                } else if is_logfmt(&entry.line) {
                    logfmt_value(&entry.line, hints)
                } else {
                    None
                };
                found.map(Cow::into_owned)
            }),
        };
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            entry.metadata.push((Cow::Owned(name.clone()), Cow::Owned(value)));
        }
    }
}

/// Hands the batch to the store and its report to the metrics.
fn push(
    batch: &Batch<'_>,
    levels: &[Vec<Cow<'_, str>>],
    context: &PushContext<'_>,
    refusals: &mut Refusals,
) -> Result<PushReport, PushError> {
    let PushContext { tenant, metrics, format, now_ns, .. } = *context;
    if batch.streams.is_empty() {
        return Ok(PushReport::default());
    }
    // All pairs of all entries in one place, so that an entry's metadata is a slice of it.
    let mut pairs: Vec<(&str, &str)> = Vec::new();
    let mut ends = Vec::new();
    for (stream, levels) in batch.streams.iter().zip(levels) {
        for (index, entry) in stream.entries.iter().enumerate() {
            pairs.extend(entry.metadata.iter().map(|(name, value)| (&**name, &**value)));
            if let Some(level) = levels.get(index).filter(|level| !level.is_empty()) {
                pairs.push((DETECTED_LEVEL, level));
            }
            ends.push(pairs.len());
        }
    }
    let mut entries: Vec<PushEntry<'_>> = Vec::with_capacity(ends.len());
    let mut start = 0;
    for (entry, end) in batch.streams.iter().flat_map(|stream| &stream.entries).zip(&ends) {
        let metadata = &pairs[start..*end];
        entries.push(PushEntry { timestamp_ns: entry.timestamp_ns, line: &entry.line, metadata });
        start = *end;
    }
    let mut rest = entries.as_slice();
    let mut streams: Vec<PushStream<'_>> = Vec::with_capacity(batch.streams.len());
    for stream in &batch.streams {
        let (own, others) = rest.split_at(stream.entries.len());
        rest = others;
        streams.push(PushStream { key: StreamKey::Labels(&stream.info.labels), entries: own });
    }
    metrics.appends.with(&["local"]).inc();
    let report = match tenant.db.push(&streams, now_ns) {
        Ok(report) => report,
        Err(error) => {
            if let logstore::Error::Refused(refusal) = &error {
                for stream in &batch.streams {
                    let bytes = stream.entries.iter().map(Entry::bytes).sum();
                    let count = stream.entries.len() as u64;
                    metrics.discard(refusal.reason(), &tenant.id, &stream.info, format, count, bytes);
                }
            }
            return Err(error.into());
        }
    };
    for refused in &report.refused {
        if let Some(stream) = batch.streams.get(refused.stream) {
            metrics.discard(refused.reason(), &tenant.id, &stream.info, format, refused.entries, refused.bytes);
        }
    }
    if report.duplicates > 0 {
        let offered: u64 = entries.iter().map(entry_bytes).sum();
        let refused: u64 = report.refused.iter().map(|refused| refused.bytes).sum();
        let duplicate = offered.saturating_sub(report.accepted_bytes).saturating_sub(refused);
        metrics.duplicate_bytes.with(&[&tenant.id]).add(duplicate);
    }
    refusals.add(&report, &tenant.id, context.max_told, &|index| {
        batch
            .streams
            .get(index)
            .map_or_else(Default::default, |stream| (stream.info.labels.clone(), stream.entries.len()))
    });
    Ok(report)
}

/// Bytes of an entry as the store's report counts them.
fn entry_bytes(entry: &PushEntry<'_>) -> u64 {
    let metadata: usize = entry.metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
    (entry.line.len() + metadata) as u64
}
