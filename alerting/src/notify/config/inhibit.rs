//! `inhibit_rules`: which alerts keep which others quiet.

use std::collections::BTreeMap;

use model::MatchOp;
use serde::{Deserialize, Serialize};

use super::matchers::MatcherLines;
use super::{ConfigError, check_classic_names};
use crate::notify::matcher::{AlertMatcher, MatcherMode, Matchers};
use crate::text::{NameScheme, null_default};

/// An inhibition rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InhibitRule {
    /// Name, for metrics and the API.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Deprecated: values of labels of the alerts that inhibit.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub source_match: BTreeMap<String, String>,
    /// Deprecated: the same with regular expressions.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub source_match_re: BTreeMap<String, String>,
    /// Which alerts inhibit.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "MatcherLines::is_empty")]
    pub source_matchers: MatcherLines,
    /// Deprecated: values of labels of the alerts that are inhibited.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub target_match: BTreeMap<String, String>,
    /// Deprecated: the same with regular expressions.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub target_match_re: BTreeMap<String, String>,
    /// Which alerts are inhibited.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "MatcherLines::is_empty")]
    pub target_matchers: MatcherLines,
    /// Labels that must be equal in both; an absent label equals an absent or empty one.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub equal: Vec<String>,
}

impl InhibitRule {
    /// The matchers of both sides.
    ///
    /// # Errors
    /// When a matcher or a label name cannot be read.
    pub(crate) fn compile(
        &self,
        place: &str,
        names: NameScheme,
        mode: MatcherMode,
    ) -> Result<(Matchers, Matchers), ConfigError> {
        for name in &self.equal {
            if !names.is_label_name(name) {
                return Err(ConfigError::new(place, format!("invalid label name {name:?} in equal list")));
            }
        }
        let side = |equal: &BTreeMap<String, String>, regex: &BTreeMap<String, String>, lines: &MatcherLines| {
            check_classic_names(place, equal.keys().chain(regex.keys()))?;
            let mut matchers: Vec<_> = equal.iter().map(|(name, value)| AlertMatcher::equal(name, value)).collect();
            for (name, value) in regex {
                let matcher = AlertMatcher::new(MatchOp::Regex, name, value);
                matchers.push(matcher.map_err(|error| ConfigError::new(place, error.message))?);
            }
            matchers.extend(lines.parse(place, mode)?);
            Ok(Matchers::in_order(matchers))
        };
        Ok((
            side(&self.source_match, &self.source_match_re, &self.source_matchers)?,
            side(&self.target_match, &self.target_match_re, &self.target_matchers)?,
        ))
    }
}
