//! Relabelling: Prometheus' rules that edit a label set or drop it.
//!
//! A [`RelabelConfig`] is one rule as it stands in a file; [`Rule`] is the checked and compiled form, and [`process`] runs
//! a list of them. Semantics, defaults and error texts are Prometheus' (`relabel_config` of its configuration docs).

use md5::{Digest, Md5};
use model::labels::is_label_identifier;
use model::regex::{Flags, GoRegex, Groups, expand};
use model::{Labels, LabelsBuilder};
use serde::{Deserialize, Serialize};

use crate::config::null_default;

/// Which label names a replacement may make.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NameScheme {
    /// Any UTF-8 (Prometheus 3).
    #[default]
    Utf8,
    /// `[a-zA-Z_][a-zA-Z0-9_]*`
    Legacy,
}

impl NameScheme {
    /// Whether a label may have this name.
    pub fn allows(self, name: &str) -> bool {
        match self {
            Self::Utf8 => !name.is_empty(),
            Self::Legacy => is_label_identifier(name),
        }
    }
}

/// What a rule does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names are the documentation: they are the words of the configuration file")]
pub enum Action {
    #[default]
    Replace,
    Keep,
    Drop,
    KeepEqual,
    DropEqual,
    HashMod,
    LabelMap,
    LabelDrop,
    LabelKeep,
    Lowercase,
    Uppercase,
}

impl Action {
    /// The word of configuration files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Replace => "replace",
            Self::Keep => "keep",
            Self::Drop => "drop",
            Self::KeepEqual => "keepequal",
            Self::DropEqual => "dropequal",
            Self::HashMod => "hashmod",
            Self::LabelMap => "labelmap",
            Self::LabelDrop => "labeldrop",
            Self::LabelKeep => "labelkeep",
            Self::Lowercase => "lowercase",
            Self::Uppercase => "uppercase",
        }
    }

    /// Reads the word, in any case.
    ///
    /// # Errors
    /// When there is no such action.
    pub fn parse(text: &str) -> Result<Self, String> {
        const ALL: [Action; 11] = [
            Action::Replace,
            Action::Keep,
            Action::Drop,
            Action::KeepEqual,
            Action::DropEqual,
            Action::HashMod,
            Action::LabelMap,
            Action::LabelDrop,
            Action::LabelKeep,
            Action::Lowercase,
            Action::Uppercase,
        ];
        ALL.into_iter()
            .find(|action| action.as_str() == text.to_lowercase())
            .ok_or_else(|| format!("unknown relabel action {text:?}"))
    }
}

fn read_action<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Action, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
    if text.is_empty() {
        return Err(serde::de::Error::custom("relabel action cannot be empty"));
    }
    Action::parse(&text).map_err(serde::de::Error::custom)
}

/// Refuses here what would not compile, so that the error has the place of the field.
fn read_regex<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    GoRegex::new(&text, Flags::MATCHER).map_err(serde::de::Error::custom)?;
    Ok(text)
}

const DEFAULT_SEPARATOR: &str = ";";
const DEFAULT_REGEX: &str = "(.*)";
const DEFAULT_REPLACEMENT: &str = "$1";

/// A rule as it stands in a configuration file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs, reason = "the keys of Prometheus' relabel_config")]
pub struct RelabelConfig {
    #[serde(deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub source_labels: Vec<String>,
    pub separator: String,
    #[serde(deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub target_label: String,
    #[serde(deserialize_with = "read_regex")]
    pub regex: String,
    #[serde(deserialize_with = "null_default", skip_serializing_if = "is_zero")]
    pub modulus: u64,
    pub replacement: String,
    #[serde(deserialize_with = "read_action")]
    pub action: Action,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl Default for RelabelConfig {
    fn default() -> Self {
        Self {
            source_labels: Vec::new(),
            separator: DEFAULT_SEPARATOR.to_owned(),
            target_label: String::new(),
            regex: DEFAULT_REGEX.to_owned(),
            modulus: 0,
            replacement: DEFAULT_REPLACEMENT.to_owned(),
            action: Action::Replace,
        }
    }
}

impl RelabelConfig {
    /// Checks and compiles the rule.
    ///
    /// # Errors
    /// Prometheus' text for the first thing that is wrong.
    pub fn compile(&self, scheme: NameScheme) -> Result<Rule, String> {
        use Action::{DropEqual, HashMod, KeepEqual, LabelDrop, LabelKeep, LabelMap, Lowercase, Replace, Uppercase};
        let regex = GoRegex::new(&self.regex, Flags::MATCHER).map_err(|e| e.to_string())?;
        let (action, word, target) = (self.action, self.action.as_str(), self.target_label.as_str());
        if action == HashMod && self.modulus == 0 {
            return Err("relabel configuration for hashmod requires non-zero modulus".into());
        }
        let needs_target = matches!(action, Replace | KeepEqual | DropEqual | HashMod | Lowercase | Uppercase);
        if needs_target && target.is_empty() {
            return Err(format!("relabel configuration for {word} action requires 'target_label' value"));
        }
        let template = has_variable(target);
        let target_ok = match action {
            Replace if template => template_makes_name(target, scheme),
            Replace | KeepEqual | DropEqual | HashMod | Lowercase | Uppercase => scheme.allows(target),
            _ => true,
        };
        if !target_ok {
            return Err(format!("{target:?} is invalid 'target_label' for {word} action"));
        }
        if matches!(action, Lowercase | Uppercase | KeepEqual | DropEqual) && self.replacement != DEFAULT_REPLACEMENT {
            return Err(format!("'replacement' can not be set for {word} action"));
        }
        if action == LabelMap && !template_makes_name(&self.replacement, scheme) {
            return Err(format!("{:?} is invalid 'replacement' for {word} action", self.replacement));
        }
        let plain = self.modulus == 0 && self.separator == DEFAULT_SEPARATOR && self.replacement == DEFAULT_REPLACEMENT;
        if matches!(action, KeepEqual | DropEqual) && !(plain && self.regex == DEFAULT_REGEX) {
            return Err(format!("{word} action requires only 'source_labels' and `target_label`, and no other fields"));
        }
        if matches!(action, LabelDrop | LabelKeep) && !(plain && self.source_labels.is_empty() && target.is_empty()) {
            return Err(format!("{word} action requires only 'regex', and no other fields"));
        }
        let constant = self.regex == DEFAULT_REGEX && !template && !has_variable(&self.replacement);
        Ok(Rule { config: self.clone(), regex, scheme, constant })
    }
}

/// Whether a template has a reference to a group.
fn has_variable(template: &str) -> bool {
    template.contains('$')
}

/// Whether a template can make a valid name: under the legacy scheme references may stand where a name's characters may.
fn template_makes_name(template: &str, scheme: NameScheme) -> bool {
    if scheme == NameScheme::Utf8 {
        return !template.is_empty();
    }
    let mut rest = template;
    let mut first = true;
    while let Some(c) = rest.chars().next() {
        if let Some(tail) = rest.strip_prefix("${") {
            let Some((name, tail)) = tail.split_once('}') else { return false };
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                return false;
            }
            rest = tail;
        } else if let Some(tail) = rest.strip_prefix('$') {
            let len = tail.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
            if len == 0 {
                return false;
            }
            rest = &tail[len..];
        } else {
            let ok = c == '_' || c.is_ascii_alphabetic() || (!first && c.is_ascii_digit());
            if !ok {
                return false;
            }
            rest = &rest[1..];
        }
        first = false;
    }
    !first
}

/// A checked, compiled rule.
#[derive(Clone, Debug)]
pub struct Rule {
    config: RelabelConfig,
    regex: GoRegex,
    scheme: NameScheme,
    /// A plain replacement under the default pattern: no matching, no template.
    constant: bool,
}

impl Rule {
    /// The rule as it was given.
    pub fn config(&self) -> &RelabelConfig {
        &self.config
    }

    /// Applies the rule; false when it drops the label set.
    pub fn apply(&self, labels: &mut LabelsBuilder) -> bool {
        let config = &self.config;
        let mut value = String::new();
        for (index, name) in config.source_labels.iter().enumerate() {
            if index > 0 {
                value.push_str(&config.separator);
            }
            value.push_str(labels.get(name).unwrap_or(""));
        }
        let target = config.target_label.as_str();
        match config.action {
            Action::Drop => return !self.regex.is_match(&value),
            Action::Keep => return self.regex.is_match(&value),
            Action::DropEqual => return labels.get(target).unwrap_or("") != value,
            Action::KeepEqual => return labels.get(target).unwrap_or("") == value,
            Action::Replace => self.replace(labels, &value),
            Action::Lowercase => drop(labels.set(target, &go_case(&value, char::to_lowercase))),
            Action::Uppercase => drop(labels.set(target, &go_case(&value, char::to_uppercase))),
            Action::HashMod => {
                let hash = Md5::digest(value.as_bytes());
                let tail = hash.iter().skip(8).fold(0u64, |number, byte| number << 8 | u64::from(*byte));
                labels.set(target, &(tail % config.modulus.max(1)).to_string());
            }
            Action::LabelMap => {
                let renamed: Vec<(String, String)> = labels
                    .iter()
                    .filter(|(name, _)| self.regex.is_match(name))
                    .map(|(name, value)| {
                        (self.regex.replace_all(name, &config.replacement).into_owned(), value.to_owned())
                    })
                    .collect();
                for (name, value) in renamed {
                    labels.set(&name, &value);
                }
            }
            Action::LabelDrop => drop(labels.retain(|name, _| !self.regex.is_match(name))),
            Action::LabelKeep => drop(labels.retain(|name, _| self.regex.is_match(name))),
        }
        true
    }

    fn replace(&self, labels: &mut LabelsBuilder, value: &str) {
        let config = &self.config;
        if self.constant {
            labels.set(&config.target_label, &config.replacement);
            return;
        }
        let mut groups = Groups::default();
        if !self.regex.captures_into(value.as_bytes(), &mut groups) {
            return;
        }
        let fill = |template: &str| {
            let mut out = Vec::new();
            expand(&mut out, template.as_bytes(), value.as_bytes(), &groups, &self.regex);
            String::from_utf8_lossy(&out).into_owned()
        };
        let target = fill(&config.target_label);
        if self.scheme.allows(&target) {
            labels.set(&target, &fill(&config.replacement));
        }
    }
}

/// Maps character by character as Go does: a character whose other case is several characters stays (`ß`).
fn go_case<I: ExactSizeIterator<Item = char>>(text: &str, map: impl Fn(char) -> I) -> String {
    text.chars()
        .map(|c| {
            let mut mapped = map(c);
            match (mapped.len(), c) {
                (1, _) => mapped.next().unwrap_or(c),
                // The one letter with a simple lower case beside a longer full one.
                (_, '\u{130}') => 'i',
                _ => c,
            }
        })
        .collect()
}

/// Compiles a list of rules.
///
/// # Errors
/// The first rule's that is wrong.
pub fn compile_all(configs: &[RelabelConfig], scheme: NameScheme) -> Result<Vec<Rule>, String> {
    configs.iter().map(|config| config.compile(scheme)).collect()
}

/// Runs rules over a label set; `None` when one drops it.
pub fn process(labels: &Labels, rules: &[Rule]) -> Option<Labels> {
    if rules.is_empty() {
        return Some(labels.clone());
    }
    let mut builder = labels.to_builder();
    process_builder(&mut builder, rules).then(|| builder.build())
}

/// As [`process`] on a builder; false when a rule drops the set.
pub fn process_builder(labels: &mut LabelsBuilder, rules: &[Rule]) -> bool {
    rules.iter().all(|rule| rule.apply(labels))
}

#[cfg(test)]
#[path = "relabel_tests.rs"]
mod tests;
