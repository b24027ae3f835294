//! The sections `storage`, `otlp` and `tracing`.

use std::collections::BTreeMap;

use kit::config::PromDuration;
use kit::yaml::{ConfigError, FromNode, Node, PromSize, Section};
use model::Matcher;

use super::global::NameValidation;

/// Series that are kept for another time than the rest.
#[derive(Clone, Debug, PartialEq)]
pub struct RetentionClassConfig {
    /// Which series.
    pub matchers: Vec<Matcher>,
    /// Age in ms.
    pub time_ms: i64,
}

/// How long data is kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RetentionConfig {
    /// Age in ms, `None`: as the flags say.
    pub time_ms: Option<i64>,
    /// Size in bytes.
    pub size_bytes: Option<u64>,
    /// Share of the disk in percent.
    pub percentage: Option<f64>,
    /// Series with a time of their own; the first one that takes a series counts. Foursight's own: the peers don't know it.
    pub classes: Vec<RetentionClassConfig>,
}

/// The `storage` section.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StorageConfig {
    /// How far samples may be out of order, ms.
    pub out_of_order_window_ms: i64,
    /// How long data is kept.
    pub retention: RetentionConfig,
    /// Exemplars kept, `None`: the default of 100,000.
    pub max_exemplars: Option<i64>,
}

impl FromNode for StorageConfig {
    fn from_node(node: &Node) -> Result<Self, ConfigError> {
        let mut section = Section::new(node, "config.StorageConfig")?;
        let mut config = Self::default();
        if let Some(node) = section.raw("tsdb") {
            let mut tsdb = Section::new(node, "config.TSDBConfig")?;
            config.out_of_order_window_ms = tsdb.get::<PromDuration>("out_of_order_time_window")?.0;
            tsdb.opt::<f64>("stale_series_compaction_threshold")?;
            if let Some(node) = tsdb.raw("chunk_encoding") {
                let mut encoding = Section::new(node, "config.ChunkEncodingConfig")?;
                if let Some(name) =
                    encoding.opt::<String>("floats")?.filter(|name| !matches!(name.as_str(), "xor" | "xor2"))
                {
                    return Err(encoding.error(
                        "floats",
                        format!("'storage.tsdb.chunk_encoding.floats' must be 'xor' or 'xor2', or the field must be omitted entirely, got {name:?}"),
                    ));
                }
                encoding.finish()?;
            }
            if let Some(node) = tsdb.raw("retention") {
                config.retention = RetentionConfig::from_node(node)?;
            }
            tsdb.finish()?;
        }
        if let Some(node) = section.raw("exemplars") {
            let mut exemplars = Section::new(node, "config.ExemplarsConfig")?;
            config.max_exemplars = exemplars.opt("max_exemplars")?;
            exemplars.finish()?;
        }
        section.finish()?;
        Ok(config)
    }
}

impl FromNode for RetentionConfig {
    fn from_node(node: &Node) -> Result<Self, ConfigError> {
        let mut section = Section::new(node, "config.TSDBRetentionConfig")?;
        let time = section.opt::<PromDuration>("time")?;
        let size = section.opt::<PromSize>("size")?;
        if size.is_some_and(|size| size.0 < 0) {
            return Err(section.error("size", "'storage.tsdb.retention.size' must be greater than or equal to 0"));
        }
        let percentage = section.opt::<f64>("percentage")?;
        if percentage.is_some_and(|percent| !(0.0..=100.0).contains(&percent)) {
            return Err(
                section.error("percentage", "'storage.tsdb.retention.percentage' must be in the range [0, 100]")
            );
        }
        let classes = section.list("classes", "retention class")?;
        section.finish()?;
        Ok(Self {
            time_ms: time.map(|time| time.0).filter(|ms| *ms > 0),
            size_bytes: size.and_then(|size| u64::try_from(size.0).ok()).filter(|bytes| *bytes > 0),
            percentage: percentage.filter(|percent| *percent > 0.0),
            classes,
        })
    }
}

impl FromNode for RetentionClassConfig {
    fn from_node(node: &Node) -> Result<Self, ConfigError> {
        let mut section = Section::new(node, "config.RetentionClass")?;
        let selector = section.opt::<String>("selector")?.unwrap_or_default();
        let matchers = promql::parse_selector(&selector)
            .map_err(|e| section.error("selector", format!("the selector of a retention class is wrong: {e}")))?;
        let time_ms = section.get::<PromDuration>("time")?.0;
        if time_ms <= 0 {
            return Err(section.error("time", "the time of a retention class must be greater than 0"));
        }
        section.finish()?;
        Ok(Self { matchers, time_ms })
    }
}

/// How names of OTLP become names of series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TranslationStrategy {
    /// Other characters become `_`, unit and type are added to the name.
    #[default]
    UnderscoreEscapingWithSuffixes,
    /// Other characters become `_`.
    UnderscoreEscapingWithoutSuffixes,
    /// Names are kept, unit and type are added.
    NoUtf8EscapingWithSuffixes,
    /// Names are kept.
    NoTranslation,
}

/// The `otlp` section.
#[derive(Clone, Debug, PartialEq)]
pub struct OtlpConfig {
    /// Resource attributes that become labels of every series.
    pub promote_resource_attributes: Vec<String>,
    /// All of them do.
    pub promote_all_resource_attributes: bool,
    /// Except these.
    pub ignore_resource_attributes: Vec<String>,
    /// How names are made.
    pub translation_strategy: TranslationStrategy,
    /// `service.name` and the like stay in `target_info`.
    pub keep_identifying_resource_attributes: bool,
    /// Explicit-bucket histograms become native ones with custom buckets.
    pub convert_histograms_to_nhcb: bool,
    /// Name and version of the scope become labels.
    pub promote_scope_metadata: bool,
    /// A label that begins with `_` gets `key` before it.
    pub label_name_underscore_sanitization: bool,
    /// Several underscores in a row stay.
    pub label_name_preserve_multiple_underscores: bool,
}

impl Default for OtlpConfig {
    fn default() -> Self {
        Self {
            promote_resource_attributes: Vec::new(),
            promote_all_resource_attributes: false,
            ignore_resource_attributes: Vec::new(),
            translation_strategy: TranslationStrategy::default(),
            keep_identifying_resource_attributes: false,
            convert_histograms_to_nhcb: false,
            promote_scope_metadata: false,
            label_name_underscore_sanitization: true,
            label_name_preserve_multiple_underscores: true,
        }
    }
}

impl FromNode for OtlpConfig {
    fn from_node(node: &Node) -> Result<Self, ConfigError> {
        let mut section = Section::new(node, "config.OTLPConfig")?;
        let strategy = match section.get::<String>("translation_strategy")?.as_str() {
            "" | "UnderscoreEscapingWithSuffixes" => TranslationStrategy::UnderscoreEscapingWithSuffixes,
            "UnderscoreEscapingWithoutSuffixes" => TranslationStrategy::UnderscoreEscapingWithoutSuffixes,
            "NoUTF8EscapingWithSuffixes" => TranslationStrategy::NoUtf8EscapingWithSuffixes,
            "NoTranslation" => TranslationStrategy::NoTranslation,
            other => {
                return Err(
                    section.error("translation_strategy", format!("unsupported OTLP translation strategy {other:?}"))
                );
            }
        };
        let all = section.get::<bool>("promote_all_resource_attributes")?;
        let given = |section: &mut Section<'_>, key: &str| -> Result<bool, ConfigError> {
            Ok(!section.get::<Vec<String>>(key)?.is_empty())
        };
        if all && given(&mut section, "promote_resource_attributes")? {
            return Err(ConfigError::at(
                node,
                "'promote_all_resource_attributes' and 'promote_resource_attributes' cannot be configured simultaneously",
            ));
        }
        if !all && given(&mut section, "ignore_resource_attributes")? {
            return Err(ConfigError::at(
                node,
                "'ignore_resource_attributes' cannot be configured unless 'promote_all_resource_attributes' is true",
            ));
        }
        let config = Self {
            promote_resource_attributes: attributes(&mut section, "promote_resource_attributes")?,
            promote_all_resource_attributes: all,
            ignore_resource_attributes: attributes(&mut section, "ignore_resource_attributes")?,
            translation_strategy: strategy,
            keep_identifying_resource_attributes: section.get("keep_identifying_resource_attributes")?,
            convert_histograms_to_nhcb: section.get("convert_histograms_to_nhcb")?,
            promote_scope_metadata: section.get("promote_scope_metadata")?,
            label_name_underscore_sanitization: section.or("label_name_underscore_sanitization", true)?,
            label_name_preserve_multiple_underscores: section.or("label_name_preserve_multiple_underscores", true)?,
        };
        section.finish()?;
        Ok(config)
    }
}

/// Attribute names, trimmed; none may be empty or given twice.
fn attributes(section: &mut Section<'_>, key: &str) -> Result<Vec<String>, ConfigError> {
    let mut names: Vec<String> = Vec::new();
    for name in section.get::<Vec<String>>(key)? {
        let trimmed = name.trim();
        if trimmed.is_empty() {
            return Err(section.error(key, format!("invalid '{key}': empty attribute name")));
        }
        if names.iter().any(|other| other == trimmed) {
            return Err(section.error(key, format!("invalid '{key}': duplicated attribute name {trimmed:?}")));
        }
        names.push(trimmed.to_owned());
    }
    Ok(names)
}

impl OtlpConfig {
    /// Names that are kept as they are need a naming scheme that takes them.
    pub(super) fn check(&self, validation: NameValidation) -> Result<(), ConfigError> {
        let name = match self.translation_strategy {
            TranslationStrategy::NoUtf8EscapingWithSuffixes => "NoUTF8EscapingWithSuffixes",
            TranslationStrategy::NoTranslation => "NoTranslation",
            _ => return Ok(()),
        };
        if validation == NameValidation::Legacy {
            return Err(ConfigError::plain(format!(
                "OTLP translation strategy {name:?} is not allowed when UTF8 is disabled"
            )));
        }
        Ok(())
    }
}

/// The `tracing` section: parsed and checked so that a configuration that upstream refuses is refused. Traces are not sent.
#[derive(Clone, Debug, PartialEq)]
pub struct TracingConfig {
    /// Where traces would go.
    pub endpoint: String,
}

impl FromNode for TracingConfig {
    fn from_node(node: &Node) -> Result<Self, ConfigError> {
        let mut section = Section::new(node, "config.plain")?;
        let endpoint: String = section.get("endpoint")?;
        let client: String = section.or("client_type", "grpc".to_owned())?;
        if !matches!(client.as_str(), "grpc" | "http") {
            return Err(section
                .error("client_type", format!("expected tracing client type to be http or grpc, but got {client}")));
        }
        section.opt::<f64>("sampling_fraction")?;
        section.opt::<bool>("insecure")?;
        section.opt::<PromDuration>("timeout")?;
        let compression: String = section.get("compression")?;
        if !matches!(compression.as_str(), "" | "gzip") {
            return Err(section.error(
                "compression",
                format!("invalid compression type {compression} provided, valid options: gzip"),
            ));
        }
        let headers = section.get::<BTreeMap<String, String>>("headers")?;
        if headers.keys().any(|name| name.eq_ignore_ascii_case("authorization")) {
            return Err(section.error("headers", "custom authorization header configuration is not yet supported"));
        }
        super::remote::headers(&mut section, "")?;
        kit::client::HttpClientConfig::from_node(&section.take(&["tls_config"]))?;
        if endpoint.is_empty() {
            return Err(ConfigError::at(node, "tracing endpoint must be set"));
        }
        section.finish()?;
        Ok(Self { endpoint })
    }
}
