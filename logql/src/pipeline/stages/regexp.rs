//! `| regexp "(?P<a>…)"`: named groups become labels, those that take no part empty ones. A line that does not match
//! passes as it is.

use model::regex::{Flags, GoRegex, Groups, RegexError};

use crate::pipeline::context::Hints;
use crate::pipeline::names::{NameId, Names, sanitize_label_name};
use crate::pipeline::state::{LineState, Slice};

#[derive(Clone)]
pub(crate) struct RegexpStage {
    regex: GoRegex,
    /// Group and label.
    groups: Vec<(usize, NameId)>,
    found: Groups,
}

impl RegexpStage {
    pub(crate) fn new(pattern: &str, names: &mut Names) -> Result<Self, RegexError> {
        let regex = GoRegex::new(pattern, Flags::SEARCH)?;
        let mut groups = Vec::new();
        for (index, name) in regex.group_names().enumerate() {
            let label = sanitize_label_name(name.unwrap_or(""));
            if !label.is_empty() {
                groups.push((index, names.id(&label)));
            }
        }
        Ok(Self { regex, groups, found: Groups::default() })
    }

    pub(crate) fn run(&mut self, state: &mut LineState, unit: &str, hints: &Hints) -> bool {
        let (line, slice, mut cx) = state.split(unit, hints);
        if cx.wants_nothing() {
            return true;
        }
        if !self.regex.captures_into(line.as_bytes(), &mut self.found) {
            return true;
        }
        for (group, label) in &self.groups {
            let Some(id) = cx.target(*label) else { continue };
            // Groups of a text end at characters unless the expression asks for single bytes, which Go's dialect has not.
            let range = self.found.get(*group).filter(|r| line.get(r.clone()).is_some());
            let value = range.map_or(Slice::EMPTY, |range| slice.part(range.start, range.end));
            cx.set(id, value);
            if !cx.passes(id) {
                return false;
            }
        }
        true
    }
}
