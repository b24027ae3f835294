//! `label_replace(v, "dst", "$1", "src", "(.*)")`

use model::regex::{Flags, GoRegex, Groups, RegexError, expand};

use super::Series;
use crate::label_set::LabelSet;
use crate::syntax::ast;

/// A compiled `label_replace`.
pub(crate) struct LabelReplace {
    regex: GoRegex,
    destination: String,
    replacement: String,
    source: String,
}

impl LabelReplace {
    pub(crate) fn new(node: &ast::LabelReplace) -> Result<Self, RegexError> {
        let flags = Flags { anchored: true, ..Flags::default() };
        Ok(Self {
            regex: GoRegex::new(&node.regex, flags)?,
            destination: node.destination.clone(),
            replacement: node.replacement.clone(),
            source: node.source.clone(),
        })
    }

    /// The arguments.
    pub(crate) fn describe(&self) -> String {
        use model::number::quote;
        let Self { regex, destination, replacement, source } = self;
        format!("{} = {} from {} =~ {}", destination, quote(replacement), source, quote(regex.as_str()))
    }

    /// Writes the label where the expression matches the whole value of the source label. Labels with an empty value go.
    pub(crate) fn apply(&self, mut series: Vec<Series>) -> Vec<Series> {
        let mut groups = Groups::default();
        for one in &mut series {
            let value = one.labels.get(&self.source).unwrap_or("");
            if !self.regex.captures_into(value.as_bytes(), &mut groups) {
                continue;
            }
            let mut written = Vec::new();
            expand(&mut written, self.replacement.as_bytes(), value.as_bytes(), &groups, &self.regex);
            let written = String::from_utf8_lossy(&written);
            let others = one.labels.iter().filter(|(name, value)| *name != self.destination && !value.is_empty());
            let new = (!written.is_empty()).then_some((self.destination.as_str(), written.as_ref()));
            one.labels = LabelSet::from_pairs(others.chain(new));
        }
        series
    }
}
