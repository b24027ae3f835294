//! What a push may hold: [`Limits`] (Loki's `limits_config`, its names and defaults), why something was refused
//! ([`Refusal`], with Loki's reasons and texts), and the token bucket behind the rates.

use std::fmt;

use model::Labels;

use crate::civil::rfc3339_seconds;

/// Limits of one store (one tenant). A size or count of 0 means "no limit", as in Loki.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Name of the tenant, for texts.
    pub tenant: String,
    /// Longest line in bytes.
    pub max_line_bytes: usize,
    /// Most labels of a stream, `service_name` not counted.
    pub max_label_names: usize,
    /// Longest label name in bytes.
    pub max_label_name_bytes: usize,
    /// Longest label value in bytes.
    pub max_label_value_bytes: usize,
    /// Whether entries may have structured metadata.
    pub allow_structured_metadata: bool,
    /// Most bytes of structured metadata of an entry.
    pub max_structured_metadata_bytes: usize,
    /// Most pairs of structured metadata of an entry.
    pub max_structured_metadata_pairs: usize,
    /// Entries older than this are refused (`reject_old_samples_max_age`); `None`: none is.
    pub max_age_ns: Option<i64>,
    /// Entries further in the future than this are refused (`creation_grace_period`).
    pub max_future_ns: i64,
    /// Most streams that were written to lately and are still in memory.
    pub max_streams: usize,
    /// Bytes a second over all streams, and how many at once; `None`: no limit.
    pub rate: Option<Rate>,
    /// Bytes a second of one stream, and how many at once; `None`: no limit.
    pub stream_rate: Option<Rate>,
}

/// A rate in bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Bytes that flow in each second.
    pub bytes_per_second: f64,
    /// Most bytes at once.
    pub burst_bytes: f64,
}

const MIB: f64 = 1_048_576.0;

impl Default for Limits {
    /// Loki's defaults.
    fn default() -> Self {
        Self {
            tenant: "fake".to_owned(),
            max_line_bytes: 256 << 10,
            max_label_names: 15,
            max_label_name_bytes: 1024,
            max_label_value_bytes: 2048,
            allow_structured_metadata: true,
            max_structured_metadata_bytes: 64 << 10,
            max_structured_metadata_pairs: 128,
            max_age_ns: Some(7 * 86_400 * 1_000_000_000),
            max_future_ns: 600 * 1_000_000_000,
            max_streams: 5_000,
            rate: Some(Rate { bytes_per_second: 4.0 * MIB, burst_bytes: 6.0 * MIB }),
            stream_rate: Some(Rate { bytes_per_second: 3.0 * MIB, burst_bytes: 15.0 * MIB }),
        }
    }
}

impl Limits {
    /// No limit but the formats': for embedding, tests and imports.
    pub fn unlimited() -> Self {
        Self {
            max_line_bytes: 0,
            max_label_names: 0,
            max_label_name_bytes: 0,
            max_label_value_bytes: 0,
            max_structured_metadata_bytes: 0,
            max_structured_metadata_pairs: 0,
            max_age_ns: None,
            max_future_ns: i64::MAX,
            max_streams: 0,
            rate: None,
            stream_rate: None,
            ..Self::default()
        }
    }

    /// Whether a stream may have these labels. `text` is the stream as its sender wrote it.
    pub(crate) fn check_labels(&self, labels: &Labels, text: &dyn fmt::Display) -> Result<(), Refusal> {
        if labels.is_empty() {
            return Err(Refusal::MissingLabels);
        }
        let over = |len: usize, limit: usize| limit != 0 && len > limit;
        let count = labels.len() - usize::from(labels.get("service_name").is_some());
        if over(count, self.max_label_names) {
            return Err(Refusal::TooManyLabels { stream: text.to_string(), count, limit: self.max_label_names });
        }
        for (name, value) in labels.iter() {
            if over(name.len(), self.max_label_name_bytes) {
                return Err(Refusal::LabelNameTooLong { stream: text.to_string(), name: name.to_owned() });
            }
            if over(value.len(), self.max_label_value_bytes) {
                return Err(Refusal::LabelValueTooLong { stream: text.to_string(), value: value.to_owned() });
            }
        }
        Ok(())
    }

    /// Whether a stream may hold this entry.
    #[inline]
    pub(crate) fn check_entry(
        &self,
        labels: &Labels,
        timestamp_ns: i64,
        line: &str,
        metadata: &[(&str, &str)],
        now_ns: i64,
    ) -> Result<(), Refusal> {
        if let Some(age) = self.max_age_ns {
            let oldest_ns = now_ns.saturating_sub(age);
            if timestamp_ns < oldest_ns {
                return Err(Refusal::TooOld { labels: labels.clone(), timestamp_ns, oldest_ns });
            }
        }
        if timestamp_ns > now_ns.saturating_add(self.max_future_ns) {
            return Err(Refusal::TooNew { labels: labels.clone(), timestamp_ns });
        }
        if self.max_line_bytes != 0 && line.len() > self.max_line_bytes {
            return Err(Refusal::LineTooLong { labels: labels.clone(), bytes: line.len(), limit: self.max_line_bytes });
        }
        if metadata.is_empty() { Ok(()) } else { self.check_metadata(labels, metadata) }
    }

    fn check_metadata(&self, labels: &Labels, metadata: &[(&str, &str)]) -> Result<(), Refusal> {
        if !self.allow_structured_metadata {
            return Err(Refusal::MetadataDisallowed { labels: labels.clone() });
        }
        let (bytes, limit) = (metadata_bytes(metadata), self.max_structured_metadata_bytes);
        if limit != 0 && bytes > limit {
            return Err(Refusal::MetadataTooLarge { labels: labels.clone(), bytes, limit });
        }
        let (count, limit) = (metadata.len(), self.max_structured_metadata_pairs);
        if limit != 0 && count > limit {
            return Err(Refusal::MetadataTooMany { labels: labels.clone(), count, limit });
        }
        Ok(())
    }
}

/// Size of structured metadata as limits and rates count it: the level that the server itself detects is free.
pub(crate) fn metadata_bytes(metadata: &[(&str, &str)]) -> usize {
    metadata.iter().filter(|(name, _)| *name != "detected_level").map(|(name, value)| name.len() + value.len()).sum()
}

/// Why an entry, a stream or a push was refused. `Display` gives Loki's text, [`Refusal::reason`] its reason.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields are what the texts say")]
pub enum Refusal {
    /// The label set is empty.
    MissingLabels,
    /// The text of the labels could not be read.
    InvalidLabels { text: String, error: String },
    /// More labels than [`Limits::max_label_names`].
    TooManyLabels { stream: String, count: usize, limit: usize },
    /// [`Limits::max_label_name_bytes`]
    LabelNameTooLong { stream: String, name: String },
    /// [`Limits::max_label_value_bytes`]
    LabelValueTooLong { stream: String, value: String },
    /// [`Limits::max_streams`]
    StreamLimit { labels: Labels, tenant: String },
    /// [`Limits::max_age_ns`]
    TooOld { labels: Labels, timestamp_ns: i64, oldest_ns: i64 },
    /// [`Limits::max_future_ns`]
    TooNew { labels: Labels, timestamp_ns: i64 },
    /// [`Limits::max_line_bytes`]
    LineTooLong { labels: Labels, bytes: usize, limit: usize },
    /// [`Limits::allow_structured_metadata`]
    MetadataDisallowed { labels: Labels },
    /// [`Limits::max_structured_metadata_bytes`]
    MetadataTooLarge { labels: Labels, bytes: usize, limit: usize },
    /// [`Limits::max_structured_metadata_pairs`]
    MetadataTooMany { labels: Labels, count: usize, limit: usize },
    /// [`Limits::rate`]
    RateLimited { tenant: String, bytes_per_second: u64, lines: u64, bytes: u64 },
    /// [`Limits::stream_rate`]
    StreamRateLimited { labels: Labels, bytes_per_second: u64, bytes: u64 },
}

impl Refusal {
    /// The `reason` of Loki's `discarded_samples_total`.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::MissingLabels => "missing_labels",
            Self::InvalidLabels { .. } => "invalid_labels",
            Self::TooManyLabels { .. } => "max_label_names_per_series",
            Self::LabelNameTooLong { .. } => "label_name_too_long",
            Self::LabelValueTooLong { .. } => "label_value_too_long",
            Self::StreamLimit { .. } => "stream_limit",
            Self::TooOld { .. } => "greater_than_max_sample_age",
            Self::TooNew { .. } => "too_far_in_future",
            Self::LineTooLong { .. } => "line_too_long",
            Self::MetadataDisallowed { .. } => "disallowed_structured_metadata",
            Self::MetadataTooLarge { .. } => "structured_metadata_too_large",
            Self::MetadataTooMany { .. } => "structured_metadata_too_many",
            Self::RateLimited { .. } => "rate_limited",
            Self::StreamRateLimited { .. } => "per_stream_rate_limit",
        }
    }

    /// Whether the same push may be taken later: a rate or a number of streams, not the content.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::StreamLimit { .. } | Self::RateLimited { .. } | Self::StreamRateLimited { .. })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const ASK: &str = "or contact your Loki administrator to see if the limit can be increased";
        match self {
            Self::MissingLabels => f.write_str("error at least one label pair is required per stream"),
            Self::InvalidLabels { text, error } => write!(f, "error parsing labels '{text}' with error: {error}"),
            Self::TooManyLabels { stream, count, limit } => {
                write!(f, "entry for stream '{stream}' has {count} label names; limit {limit}")
            }
            Self::LabelNameTooLong { stream, name } => {
                write!(f, "stream '{stream}' has label name too long: '{name}'")
            }
            Self::LabelValueTooLong { stream, value } => {
                write!(f, "stream '{stream}' has label value too long: '{value}'")
            }
            Self::StreamLimit { labels, tenant } => write!(
                f,
                "maximum active stream limit exceeded when trying to create stream {labels}, reduce the number of active streams \
                 (reduce labels or reduce label values), {ASK}, user: '{tenant}'"
            ),
            Self::TooOld { labels, timestamp_ns, oldest_ns } => write!(
                f,
                "entry for stream '{labels}' has timestamp too old: {}, oldest acceptable timestamp is: {}",
                rfc3339_seconds(*timestamp_ns),
                rfc3339_seconds(*oldest_ns)
            ),
            Self::TooNew { labels, timestamp_ns } => {
                write!(f, "entry for stream '{labels}' has timestamp too new: {}", rfc3339_seconds(*timestamp_ns))
            }
            Self::LineTooLong { labels, bytes, limit } => write!(
                f,
                "max entry size '{limit}' bytes exceeded for stream '{labels}' while adding an entry with length '{bytes}' bytes"
            ),
            Self::MetadataDisallowed { labels } => write!(
                f,
                "stream '{labels}' includes structured metadata, but this feature is disallowed. Please see \
                 `limits_config.allow_structured_metadata` or contact your Loki administrator to enable it"
            ),
            Self::MetadataTooLarge { labels, bytes, limit } => write!(
                f,
                "stream '{labels}' has structured metadata too large: '{bytes}' bytes, limit: '{limit}' bytes. Please see \
                 `limits_config.max_structured_metadata_size` or contact your Loki administrator to increase it"
            ),
            Self::MetadataTooMany { labels, count, limit } => write!(
                f,
                "stream '{labels}' has too many structured metadata labels: '{count}', limit: '{limit}'. Please see \
                 `limits_config.max_structured_metadata_entries_count` or contact your Loki administrator to increase it"
            ),
            Self::RateLimited { tenant, bytes_per_second, lines, bytes } => write!(
                f,
                "ingestion rate limit exceeded for user {tenant} (limit: {bytes_per_second} bytes/sec) while attempting to ingest \
                 '{lines}' lines totaling '{bytes}' bytes, reduce log volume {ASK}"
            ),
            Self::StreamRateLimited { labels, bytes_per_second, bytes } => write!(
                f,
                "Per stream rate limit exceeded (limit: {}/sec) while attempting to ingest for stream '{labels}' totaling {}, \
                 consider splitting a stream via additional labels {ASK}",
                ByteSize(*bytes_per_second),
                ByteSize(*bytes)
            ),
        }
    }
}

/// Prints a size in the largest binary unit that divides it, as Loki does: `3MB`, `1500B`.
struct ByteSize(u64);

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = ["B", "KB", "MB", "GB", "TB", "PB", "EB"];
        let unit = if self.0 == 0 { 0 } else { (self.0.trailing_zeros() / 10).min(6) };
        write!(f, "{}{}", self.0 >> (10 * unit), units[unit as usize])
    }
}

/// Lets bytes through at a rate, after Go's `rate.Limiter`: full at first, never more than the burst.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TokenBucket {
    tokens: f64,
    /// Time of the last look; 0: none yet.
    last_ns: i64,
}

impl TokenBucket {
    /// Takes `bytes` if they are there, else nothing.
    pub(crate) fn take(&mut self, rate: Rate, bytes: u64, now_ns: i64) -> bool {
        if self.last_ns == 0 {
            self.tokens = rate.burst_bytes;
        } else {
            let elapsed = now_ns.saturating_sub(self.last_ns).max(0) as f64 / 1e9;
            self.tokens = (self.tokens + elapsed * rate.bytes_per_second).min(rate.burst_bytes);
        }
        self.last_ns = now_ns.max(self.last_ns).max(1);
        let bytes = bytes as f64;
        if bytes > self.tokens {
            return false;
        }
        self.tokens -= bytes;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_those_clients_know() {
        let labels = Labels::from_pairs([("job", "x"), ("host", "y")]);
        let cases = [
            (
                Refusal::LineTooLong { labels: labels.clone(), bytes: 300_000, limit: 262_144 },
                "max entry size '262144' bytes exceeded for stream '{host=\"y\", job=\"x\"}' while adding an entry with length '300000' bytes",
            ),
            (
                Refusal::TooOld {
                    labels: labels.clone(),
                    timestamp_ns: 1_767_607_200_000_000_000,
                    oldest_ns: 1_767_607_201_500_000_000,
                },
                "entry for stream '{host=\"y\", job=\"x\"}' has timestamp too old: 2026-01-05T10:00:00Z, oldest acceptable timestamp is: 2026-01-05T10:00:01Z",
            ),
            (
                Refusal::StreamRateLimited { labels, bytes_per_second: 3 << 20, bytes: 1500 },
                "Per stream rate limit exceeded (limit: 3MB/sec) while attempting to ingest for stream '{host=\"y\", job=\"x\"}' totaling 1500B, \
                 consider splitting a stream via additional labels or contact your Loki administrator to see if the limit can be increased",
            ),
            (
                Refusal::RateLimited { tenant: "fake".into(), bytes_per_second: 4_194_304, lines: 2, bytes: 9 },
                "ingestion rate limit exceeded for user fake (limit: 4194304 bytes/sec) while attempting to ingest '2' lines totaling '9' bytes, \
                 reduce log volume or contact your Loki administrator to see if the limit can be increased",
            ),
        ];
        for (refusal, want) in cases {
            assert_eq!(refusal.to_string(), want);
        }
    }

    #[test]
    fn labels_within_bounds() {
        let limits =
            Limits { max_label_names: 2, max_label_name_bytes: 12, max_label_value_bytes: 3, ..Limits::default() };
        let reason = |pairs: &[(&str, &str)]| {
            limits.check_labels(&Labels::from_pairs(pairs.iter().copied()), &"{}").map_err(|r| r.reason())
        };
        assert_eq!(reason(&[]), Err("missing_labels"));
        assert_eq!(reason(&[("a", "1"), ("b", "2"), ("service_name", "x")]), Ok(()));
        assert_eq!(reason(&[("a", "1"), ("b", "2"), ("c", "x")]), Err("max_label_names_per_series"));
        assert_eq!(reason(&[("abcdefghijklm", "1")]), Err("label_name_too_long"));
        assert_eq!(reason(&[("a", "1234")]), Err("label_value_too_long"));
    }

    #[test]
    fn the_bucket_refills_up_to_its_burst() {
        let rate = Rate { bytes_per_second: 10.0, burst_bytes: 20.0 };
        let second = 1_000_000_000;
        let mut bucket = TokenBucket::default();
        assert!(bucket.take(rate, 20, 100 * second));
        assert!(!bucket.take(rate, 1, 100 * second));
        assert!(bucket.take(rate, 10, 101 * second));
        assert!(!bucket.take(rate, 21, 999 * second));
        assert!(bucket.take(rate, 20, 999 * second));
        assert!(!bucket.take(rate, 5, 998 * second), "a clock that goes back gives nothing");
    }
}
