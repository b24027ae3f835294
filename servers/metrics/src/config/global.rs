//! The `global` section, and the names of protocols and schemes that jobs share with it.

use std::path::PathBuf;

use kit::config::PromDuration;
use kit::relabel::NameScheme;
use kit::yaml::{ConfigError, FromNode, Kind, Node, Section};
use model::{Labels, LabelsBuilder};

use super::scrape::Limits;

/// A format that a target may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ScrapeProtocol {
    /// Delimited protobuf.
    Proto,
    /// OpenMetrics 1.0.0.
    OpenMetrics1,
    /// OpenMetrics 0.0.1.
    OpenMetrics0,
    /// Text with UTF-8 names.
    Text1,
    /// Text.
    Text0,
}

impl ScrapeProtocol {
    const ALL: [(Self, &'static str); 5] = [
        (Self::OpenMetrics0, "OpenMetricsText0.0.1"),
        (Self::OpenMetrics1, "OpenMetricsText1.0.0"),
        (Self::Proto, "PrometheusProto"),
        (Self::Text0, "PrometheusText0.0.4"),
        (Self::Text1, "PrometheusText1.0.0"),
    ];

    /// The name in configuration files.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(protocol, _)| *protocol == self).map_or("", |(_, name)| name)
    }

    /// # Errors
    /// Upstream's text for a name that is none.
    pub fn parse(name: &str) -> Result<Self, String> {
        Self::ALL.iter().find(|(_, n)| *n == name).map(|(protocol, _)| *protocol).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|(_, n)| *n).collect();
            format!("unknown scrape protocol {name}, supported: [{}]", names.join(" "))
        })
    }

    /// What is asked for when nobody says otherwise, most wanted first.
    pub fn defaults(native_histograms: bool) -> Vec<Self> {
        let text = [Self::OpenMetrics1, Self::OpenMetrics0, Self::Text1, Self::Text0];
        let proto = native_histograms.then_some(Self::Proto);
        proto.into_iter().chain(text).collect()
    }
}

/// Which metric and label names are valid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NameValidation {
    /// Any UTF-8.
    #[default]
    Utf8,
    /// `[a-zA-Z_:][a-zA-Z0-9_:]*`.
    Legacy,
}

impl NameValidation {
    /// What relabelling calls it.
    pub fn scheme(self) -> NameScheme {
        match self {
            Self::Utf8 => NameScheme::Utf8,
            Self::Legacy => NameScheme::Legacy,
        }
    }
}

impl FromNode for NameValidation {
    fn from_node(node: &Node) -> Result<Self, ConfigError> {
        match String::from_node(node)?.as_str() {
            "" | "utf8" => Ok(Self::Utf8),
            "legacy" => Ok(Self::Legacy),
            other => Err(ConfigError::at(node, format!("unrecognized ValidationScheme: {other:?}"))),
        }
    }
}

/// How names that a peer cannot take are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EscapingScheme {
    /// As they are.
    AllowUtf8,
    /// Every other character becomes `_`.
    Underscores,
    /// Dots become `_dot_`.
    Dots,
    /// `U__` and code points in hex.
    Values,
}

impl EscapingScheme {
    /// The name in headers and configuration files.
    pub fn name(self) -> &'static str {
        match self {
            Self::AllowUtf8 => "allow-utf-8",
            Self::Underscores => "underscores",
            Self::Dots => "dots",
            Self::Values => "values",
        }
    }
}

impl FromNode for EscapingScheme {
    fn from_node(node: &Node) -> Result<Self, ConfigError> {
        let name = String::from_node(node)?;
        [Self::AllowUtf8, Self::Underscores, Self::Dots, Self::Values]
            .into_iter()
            .find(|scheme| scheme.name() == name)
            .ok_or_else(|| ConfigError::at(node, format!("unknown global name escaping method specified, must be one of 'allow-utf-8', 'underscores', 'dots' or 'values', got {name:?}")))
    }
}

/// Defaults for all jobs.
#[derive(Clone, Debug, PartialEq)]
pub struct GlobalConfig {
    /// Time between scrapes, ms.
    pub scrape_interval_ms: i64,
    /// Time a scrape may take, ms.
    pub scrape_timeout_ms: i64,
    /// Time between evaluations of a rule group, ms.
    pub evaluation_interval_ms: i64,
    /// How far back rules look, ms.
    pub rule_query_offset_ms: i64,
    /// Labels added to everything that leaves this server.
    pub external_labels: Labels,
    /// Queries are written there, as JSON lines.
    pub query_log_file: Option<PathBuf>,
    /// Failed scrapes are written there.
    pub scrape_failure_log_file: Option<PathBuf>,
    /// Formats to ask for; `None`: the defaults.
    pub scrape_protocols: Option<Vec<ScrapeProtocol>>,
    /// Limits on targets and pages.
    pub limits: Limits,
    /// Dropped targets to remember for each job, 0: all.
    pub keep_dropped_targets: u64,
    /// Which names are valid.
    pub name_validation: NameValidation,
    /// How other names are asked for; `None` follows from `name_validation`.
    pub name_escaping: Option<EscapingScheme>,
    /// Native histograms are ingested.
    pub scrape_native_histograms: bool,
    /// Classic histograms become native ones with custom buckets.
    pub convert_classic_histograms: bool,
    /// Classic histograms are kept beside native ones.
    pub always_scrape_classic: bool,
    /// Adds the three extra report series.
    pub extra_scrape_metrics: bool,
}

impl Default for GlobalConfig {
    fn default() -> Self {
        Self {
            scrape_interval_ms: 60_000,
            scrape_timeout_ms: 10_000,
            evaluation_interval_ms: 60_000,
            rule_query_offset_ms: 0,
            external_labels: Labels::empty(),
            query_log_file: None,
            scrape_failure_log_file: None,
            scrape_protocols: None,
            limits: Limits::default(),
            keep_dropped_targets: 0,
            name_validation: NameValidation::Utf8,
            name_escaping: None,
            scrape_native_histograms: false,
            convert_classic_histograms: false,
            always_scrape_classic: false,
            extra_scrape_metrics: false,
        }
    }
}

impl FromNode for GlobalConfig {
    fn from_node(node: &Node) -> Result<Self, ConfigError> {
        let mut section = Section::new(node, "config.plain")?;
        let defaults = Self::default();
        let interval = section.or("scrape_interval", PromDuration(defaults.scrape_interval_ms))?.0;
        let timeout = section.opt::<PromDuration>("scrape_timeout")?;
        if timeout.is_some_and(|timeout| timeout.0 > interval) {
            return Err(section.error("scrape_timeout", "global scrape timeout greater than scrape interval"));
        }
        let global = Self {
            scrape_interval_ms: interval,
            scrape_timeout_ms: timeout.map_or(defaults.scrape_timeout_ms.min(interval), |timeout| timeout.0),
            evaluation_interval_ms: section.or("evaluation_interval", PromDuration(60_000))?.0,
            rule_query_offset_ms: section.or("rule_query_offset", PromDuration(0))?.0,
            external_labels: match section.raw("external_labels") {
                Some(node) => external_labels(node, |name| std::env::var(name).ok())?,
                None => Labels::empty(),
            },
            query_log_file: section.opt::<String>("query_log_file")?.filter(|path| !path.is_empty()).map(PathBuf::from),
            scrape_failure_log_file: section
                .opt::<String>("scrape_failure_log_file")?
                .filter(|path| !path.is_empty())
                .map(PathBuf::from),
            scrape_protocols: scrape_protocols(&mut section, "for global config")?,
            limits: Limits::read(&mut section, &Limits::default())?,
            keep_dropped_targets: section.get("keep_dropped_targets")?,
            name_validation: section.get("metric_name_validation_scheme")?,
            name_escaping: section.opt("metric_name_escaping_scheme")?,
            scrape_native_histograms: section.get("scrape_native_histograms")?,
            convert_classic_histograms: section.get("convert_classic_histograms_to_nhcb")?,
            always_scrape_classic: section.get("always_scrape_classic_histograms")?,
            extra_scrape_metrics: section.get("extra_scrape_metrics")?,
        };
        section.finish()?;
        if global.name_validation == NameValidation::Legacy && global.name_escaping == Some(EscapingScheme::AllowUtf8) {
            return Err(ConfigError::at(node, "utf8 metric names requested but validation scheme is not set to UTF8"));
        }
        Ok(global)
    }
}

/// The list of protocols of a section: known names, none twice, not empty.
pub(super) fn scrape_protocols(
    section: &mut Section<'_>,
    of: &str,
) -> Result<Option<Vec<ScrapeProtocol>>, ConfigError> {
    let Some(names) = section.opt::<Vec<String>>("scrape_protocols")? else { return Ok(None) };
    let fail = |message: String| section.error("scrape_protocols", message);
    let mut protocols = Vec::new();
    for name in &names {
        let protocol = ScrapeProtocol::parse(name).map_err(|e| fail(format!("scrape_protocols: {e} {of}")))?;
        if protocols.contains(&protocol) {
            return Err(fail(format!("duplicated protocol in scrape_protocols, got [{}] {of}", names.join(" "))));
        }
        protocols.push(protocol);
    }
    if protocols.is_empty() {
        return Err(fail(format!("scrape_protocols cannot be empty {of}")));
    }
    Ok(Some(protocols))
}

/// A duration as the configuration page prints it.
pub(super) fn duration_text(ms: i64) -> String {
    PromDuration(ms).to_string()
}

/// Names and values are UTF-8; `${VAR}` and `$VAR` in values come from the environment, `$$` is a dollar sign.
fn external_labels(node: &Node, lookup: impl Fn(&str) -> Option<String>) -> Result<Labels, ConfigError> {
    let Kind::Mapping(pairs) = &node.kind else {
        return if node.is_null() {
            Ok(Labels::empty())
        } else {
            Err(ConfigError::at(node, "external_labels has to be a mapping"))
        };
    };
    let mut builder = LabelsBuilder::new();
    for (key, value) in pairs {
        if let Kind::Bytes(bytes) = &value.kind {
            return Err(ConfigError::at(value, format!("\"{}\" is not a valid label value", bytes.escape_ascii())));
        }
        let text = String::from_node(value)?;
        if key.text.is_empty() {
            return Err(ConfigError::at(value, "\"\" is not a valid label name"));
        }
        builder.set(&key.text, &kit::config::expand_env(&text, &lookup));
    }
    Ok(builder.build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn external_labels_are_expanded() {
        let node =
            kit::yaml::parse("bar: foo\nfoo: ${TEST}\nbaz: foo${TEST}bar\nqux: foo$${TEST}\nxyz: foo$$bar\n").unwrap();
        let with = |value: Option<&str>| {
            external_labels(&node, |name| if name == "TEST" { value.map(str::to_owned) } else { None })
                .unwrap()
                .to_string()
        };
        assert_eq!(with(None), r#"{bar="foo", baz="foobar", qux="foo${TEST}", xyz="foo$bar"}"#);
        assert_eq!(
            with(Some("TestValue")),
            r#"{bar="foo", baz="fooTestValuebar", foo="TestValue", qux="foo${TEST}", xyz="foo$bar"}"#
        );
    }
}
