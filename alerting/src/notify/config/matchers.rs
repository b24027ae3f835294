//! Lists of matcher texts as they stand in configuration files.

use serde::{Deserialize, Serialize};

use super::ConfigError;
use crate::notify::matcher::{AlertMatcher, MatcherMode, parse_matchers};

/// Texts of which each holds any number of matchers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MatcherLines(pub Vec<String>);

impl MatcherLines {
    /// Without any text.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The matchers of all texts.
    pub(crate) fn parse(&self, place: &str, mode: MatcherMode) -> Result<Vec<AlertMatcher>, ConfigError> {
        let mut matchers = Vec::new();
        for line in &self.0 {
            matchers.extend(parse_matchers(line, mode).map_err(|error| ConfigError::new(place, error.message))?);
        }
        Ok(matchers)
    }
}
