//! `| pattern "<ip> - <_>"`: captures become labels.

use crate::pattern::{Pattern, PatternError};
use crate::pipeline::context::Hints;
use crate::pipeline::names::{NameId, Names};
use crate::pipeline::state::LineState;

#[derive(Clone, Debug)]
pub(crate) struct PatternStage {
    pattern: Pattern,
    labels: Vec<NameId>,
}

impl PatternStage {
    pub(crate) fn new(text: &str, names: &mut Names) -> Result<Self, PatternError> {
        let pattern = Pattern::parser(text)?;
        let labels = pattern.names().iter().map(|name| names.id(name)).collect();
        Ok(Self { pattern, labels })
    }

    pub(crate) fn run(&mut self, state: &mut LineState, unit: &str, hints: &Hints) -> bool {
        let (line, slice, mut cx) = state.split(unit, hints);
        if cx.wants_nothing() {
            return true;
        }
        let mut keep = true;
        self.pattern.extract(line, |index, start, end| {
            if let Some(id) = cx.target(self.labels[index]) {
                cx.set(id, slice.part(start, end));
                keep = cx.passes(id);
            }
            keep && !cx.labels.all_extracted(cx.names)
        });
        keep
    }
}
