//! `otlp_config`: which attributes of OpenTelemetry records become labels, which structured metadata, which nothing.

use kit::yaml::{ConfigError, Node, Section};
use model::regex::{Flags, GoRegex};

use super::values::strings;

/// What becomes of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A label of the stream.
    IndexLabel,
    /// Structured metadata of each entry.
    StructuredMetadata,
    /// Nothing.
    Drop,
}

/// Attributes and what becomes of them.
#[derive(Clone, Debug)]
struct Rule {
    action: Action,
    attributes: Vec<String>,
    regex: Option<GoRegex>,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct OtlpConfig {
    resource: Vec<Rule>,
    scope: Vec<Rule>,
    log: Vec<Rule>,
    /// The severity's text is a label.
    pub severity_text_as_label: bool,
}

impl OtlpConfig {
    /// Reads the block; `default_index` are the resource attributes that become labels without being named.
    ///
    /// # Errors
    /// Rules that make no sense, with their place.
    pub(crate) fn read(node: Option<&Node>, default_index: &[String]) -> Result<Self, ConfigError> {
        let by_default = || Rule { action: Action::IndexLabel, attributes: default_index.to_vec(), regex: None };
        let Some(node) = node else { return Ok(Self { resource: vec![by_default()], ..Self::default() }) };
        let mut section = Section::new(node, "OTLPConfig")?;
        let mut config = Self { severity_text_as_label: section.get("severity_text_as_label")?, ..Self::default() };
        let mut ignore_defaults = false;
        if let Some(node) = section.raw("resource_attributes") {
            let mut resource = Section::new(node, "ResourceAttributesConfig")?;
            ignore_defaults = resource.get("ignore_defaults")?;
            config.resource = rules(&mut resource, "attributes_config", true)?;
            resource.finish()?;
        }
        if !ignore_defaults {
            config.resource.insert(0, by_default());
        }
        config.scope = rules(&mut section, "scope_attributes", false)?;
        config.log = rules(&mut section, "log_attributes", true)?;
        section.finish()?;
        Ok(config)
    }

    /// What becomes of an attribute of a resource.
    pub fn resource(&self, name: &str) -> Action {
        action(&self.resource, name)
    }

    /// What becomes of an attribute of a scope.
    pub fn scope(&self, name: &str) -> Action {
        action(&self.scope, name)
    }

    /// What becomes of an attribute of a record.
    pub fn log(&self, name: &str) -> Action {
        action(&self.log, name)
    }
}

fn action(rules: &[Rule], name: &str) -> Action {
    let fits = |rule: &&Rule| {
        rule.regex.as_ref().is_some_and(|regex| regex.is_match(name)) || rule.attributes.iter().any(|a| a == name)
    };
    rules.iter().find(fits).map_or(Action::StructuredMetadata, |rule| rule.action)
}

fn rules(section: &mut Section<'_>, key: &str, index: bool) -> Result<Vec<Rule>, ConfigError> {
    let nodes: Vec<Node> = section.get(key)?;
    nodes.iter().map(|node| rule(node, index).map_err(|e| e.placed(node))).collect()
}

fn rule(node: &Node, index: bool) -> Result<Rule, ConfigError> {
    let mut section = Section::new(node, "AttributesConfig")?;
    let action = match section.get::<String>("action")?.as_str() {
        "" | "structured_metadata" => Action::StructuredMetadata,
        "drop" => Action::Drop,
        "index_label" if index => Action::IndexLabel,
        "index_label" => {
            return Err(section.error("action", "index_label action is only supported for resource_attributes"));
        }
        _ => {
            let known = "unsupported action, it must be one of: drop, index_label, structured_metadata";
            return Err(section.error("action", known));
        }
    };
    let attributes = match section.raw("attributes") {
        Some(node) => strings(node)?,
        None => Vec::new(),
    };
    let regex = match section.get::<String>("regex")?.as_str() {
        "" => None,
        text => Some(GoRegex::new(text, Flags::MATCHER).map_err(|e| section.error("regex", e.to_string()))?),
    };
    section.finish()?;
    match (attributes.is_empty(), &regex) {
        (true, None) => Err(ConfigError::at(node, "attributes or regex must be set")),
        (false, Some(_)) => Err(ConfigError::at(node, "only one of attributes or regex must be set")),
        _ => Ok(Rule { action, attributes, regex }),
    }
}
