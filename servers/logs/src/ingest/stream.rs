//! What follows from a stream's labels: worked out when a text is seen for the first time, then looked up.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

use model::Labels;
use parking_lot::RwLock;

use super::level::normal_level;
use super::{SERVICE_NAME, UNKNOWN_SERVICE};
use crate::config::TenantLimits;

/// Texts that are remembered; senders with more streams than that pay for reading the labels again.
const MAX_TEXTS: usize = 200_000;
/// Bytes of texts that are remembered, with what each costs beside its text.
const MAX_BYTES: usize = 64 << 20;
const COST: usize = 512;
/// Texts longer than this are read each time: hardly any limits allow such labels, so they are likely to be refused.
const MAX_REMEMBERED_LEN: usize = 64 << 10;
/// Longest text of labels.
const MAX_TEXT_LEN: usize = 1 << 24;

/// A stream as pushes need it.
#[derive(Debug)]
pub(crate) struct StreamInfo {
    pub(crate) labels: Labels,
    /// Name of its policy, empty for none.
    pub(crate) policy: String,
    /// For metrics: hours its entries are kept, empty for ever.
    pub(crate) retention_hours: String,
    /// It was made by the server itself.
    pub(crate) internal: bool,
    /// The level its labels say.
    pub(crate) level: Option<String>,
    /// Values of generic fields that its labels say, by the index of the field.
    pub(crate) fields: Vec<Option<String>>,
    /// Labels that are demanded and absent, joined with commas.
    pub(crate) missing: Option<String>,
}

type Known = RwLock<Texts>;

#[derive(Debug, Default)]
struct Texts {
    infos: HashMap<Box<str>, Arc<StreamInfo>>,
    bytes: usize,
}

impl Texts {
    fn remember(&mut self, text: &str, info: Arc<StreamInfo>) {
        let bytes = text.len() + COST;
        if self.infos.len() >= MAX_TEXTS || self.bytes + bytes > MAX_BYTES {
            *self = Self::default();
        }
        if self.infos.insert(text.into(), info).is_none() {
            self.bytes += bytes;
        }
    }
}

/// Streams by the text senders use for them. Emptied when limits change.
#[derive(Debug, Default)]
pub(crate) struct StreamCache {
    /// Streams that got a service name.
    discovered: Known,
    /// Streams that stayed as they came.
    exact: Known,
}

impl StreamCache {
    /// The stream of a text such as `{job="titan"}`; with `discover` it gets a service name if it has none.
    ///
    /// # Errors
    /// When the text is no label set.
    pub(crate) fn resolve(&self, text: &str, limits: &TenantLimits, discover: bool) -> Result<Arc<StreamInfo>, String> {
        let known = if discover { &self.discovered } else { &self.exact };
        if let Some(info) = known.read().infos.get(text) {
            return Ok(info.clone());
        }
        if text.len() > MAX_TEXT_LEN {
            return Err(format!("labels size {} MiB exceeds limit of {}", text.len() >> 20, MAX_TEXT_LEN >> 20));
        }
        let labels = promql::parse_metric(text).map_err(|e| e.to_string())?;
        let info = Arc::new(StreamInfo::new(labels, limits, discover));
        if text.len() <= MAX_REMEMBERED_LEN {
            known.write().remember(text, info.clone());
        }
        Ok(info)
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        *self.discovered.write() = Texts::default();
        *self.exact.write() = Texts::default();
    }
}

/// The text of labels that came as pairs, in the form in which senders write it.
pub(crate) fn text_of<'a>(out: &mut String, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) {
    out.clear();
    out.push('{');
    for (index, (name, value)) in pairs.into_iter().enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        out.push_str(name);
        out.push('=');
        // Writing to a string cannot fail.
        let _ = write!(out, "{}", model::number::quote(value));
    }
    out.push('}');
}

impl StreamInfo {
    fn new(labels: Labels, limits: &TenantLimits, discover: bool) -> Self {
        let internal = labels.get("__aggregated_metric__").is_some() || labels.get("__pattern__").is_some();
        let as_is = internal || labels.is_empty() || !discover;
        let labels = if as_is { labels } else { with_service_name(labels, limits) };
        let first = |names: &[String]| names.iter().find_map(|name| labels.get(name)).map(str::to_owned);
        let policy = limits.policies.policy_for(&labels).to_owned();
        let missing = if internal { Vec::new() } else { limits.missing_labels(&labels, &policy) };
        Self {
            level: first(&limits.log_level_fields)
                .map(|level| normal_level(&level).map_or(level.clone(), str::to_owned)),
            fields: limits.discover_generic_fields.iter().map(|(_, hints)| first(hints)).collect(),
            retention_hours: limits.retention_hours(&labels),
            missing: (!missing.is_empty()).then(|| missing.join(",")),
            policy,
            internal,
            labels,
        }
    }
}

fn with_service_name(labels: Labels, limits: &TenantLimits) -> Labels {
    if limits.discover_service_name.is_empty() || labels.get(SERVICE_NAME).is_some() {
        return labels;
    }
    let found = limits.discover_service_name.iter().find_map(|name| labels.get(name)).unwrap_or(UNKNOWN_SERVICE);
    let mut builder = labels.to_builder();
    builder.set(SERVICE_NAME, found);
    builder.build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    fn limits(yaml: &str) -> TenantLimits {
        config::parse(yaml, &[], None).unwrap().limits
    }

    #[test]
    fn streams_get_their_service_and_level() {
        let limits = limits("");
        let cache = StreamCache::default();
        let cases = [
            (r#"{job="titan", host="web"}"#, r#"{host="web", job="titan", service_name="titan"}"#, None),
            (r#"{host="web"}"#, r#"{host="web", service_name="unknown_service"}"#, None),
            (
                r#"{app="a", service="s", level="WRN"}"#,
                r#"{app="a", level="WRN", service="s", service_name="s"}"#,
                Some("warn"),
            ),
            (r#"{service_name="x", severity="loud"}"#, r#"{service_name="x", severity="loud"}"#, Some("loud")),
            (r#"{a="b", empty=""}"#, r#"{a="b", service_name="unknown_service"}"#, None),
        ];
        for (text, want, level) in cases {
            let info = cache.resolve(text, &limits, true).unwrap();
            assert_eq!(info.labels.to_string(), want, "{text}");
            assert_eq!(info.level.as_deref(), level, "{text}");
            assert!(Arc::ptr_eq(&info, &cache.resolve(text, &limits, true).unwrap()));
        }
        assert_eq!(cache.resolve("{a=\"b\"}", &limits, false).unwrap().labels.to_string(), r#"{a="b"}"#);
        assert!(cache.resolve("{job=}", &limits, true).is_err());
        assert!(cache.resolve("{}", &limits, true).unwrap().labels.is_empty());
    }

    #[test]
    fn memory_of_texts_is_bounded() {
        let (limits, cache) = (limits(""), StreamCache::default());
        let long = |n: usize, len: usize| format!("{{a=\"{n}{}\"}}", "x".repeat(len));
        for n in 0..3000 {
            cache.resolve(&long(n, 50_000), &limits, false).unwrap();
            let known = cache.exact.read();
            let bytes: usize = known.infos.keys().map(|text| text.len() + COST).sum();
            assert!(bytes == known.bytes && bytes <= MAX_BYTES);
        }
        assert!(!cache.exact.read().infos.is_empty());
        cache.clear();
        cache.resolve(&long(0, MAX_REMEMBERED_LEN), &limits, false).unwrap();
        assert!(cache.exact.read().infos.is_empty());
    }

    #[test]
    fn discovery_can_be_switched_off_and_labels_demanded() {
        let limits = limits(
            "limits_config:\n  discover_service_name: []\n  enforced_labels: [team]\n  policy_stream_mapping:\n    prod: [{selector: '{env=\"prod\"}', priority: 1}]\n    any: [{selector: '{job=~\".+\"}', priority: 0}]\n  policy_enforced_labels: {prod: [owner], '*': [team]}\n",
        );
        let cache = StreamCache::default();
        let info = cache.resolve(r#"{job="a", env="prod"}"#, &limits, true).unwrap();
        assert_eq!(info.labels.to_string(), r#"{env="prod", job="a"}"#);
        assert_eq!((info.policy.as_str(), info.missing.as_deref()), ("prod", Some("team,owner")));
        let info = cache.resolve(r#"{job="a", team="x"}"#, &limits, true).unwrap();
        assert_eq!((info.policy.as_str(), info.missing.as_deref()), ("any", None));
    }

    #[test]
    fn pairs_become_text() {
        let mut text = String::new();
        text_of(&mut text, [("a", "x\"y"), ("b", "\n")]);
        assert_eq!(text, r#"{a="x\"y", b="\n"}"#);
    }
}
