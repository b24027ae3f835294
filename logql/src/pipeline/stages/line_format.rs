//! `| line_format "{{.a}} {{.b}}"`: the line is what a template makes of the labels.

use gotemplate::{Error, TemplateSet};

use super::template::{Snapshot, compile};
use crate::pipeline::names::{NameId, Names};
use crate::pipeline::state::{LineState, Slice, Source, StageError};

#[derive(Clone)]
pub(crate) struct LineFormatStage {
    template: TemplateSet,
    /// The template is just a label: its value is the line.
    single: Option<NameId>,
    snapshot: Snapshot,
    out: Vec<u8>,
    pub(crate) now: jiff::Timestamp,
}

impl LineFormatStage {
    pub(crate) fn new(text: &str, names: &mut Names, now: jiff::Timestamp) -> Result<Self, Error> {
        let template = compile("line", text)?;
        let single = template.single_field().map(|name| names.id(name));
        Ok(Self { template, single, snapshot: Snapshot::default(), out: Vec::new(), now })
    }

    pub(crate) fn run(&mut self, state: &mut LineState, unit: &str) -> bool {
        let start = state.lines.len();
        if let Some(label) = self.single {
            let value = state.labels.get(label).unwrap_or(Slice::EMPTY);
            // A line never lies in the buffers of labels.
            state.line = Some(if matches!(value.source, Source::Unit | Source::Lines) {
                value
            } else {
                let LineState { lines, labels, .. } = state;
                // Values of these sources need neither of the other buffers.
                let text = labels.resolve_own(value);
                lines.push_str(text);
                made(start, state)
            });
            return true;
        }
        self.snapshot.take(&state.labels);
        match self.snapshot.execute(&self.template, state, unit, self.now, &mut self.out) {
            Ok(()) => {
                state.lines.push_str(&String::from_utf8_lossy(&self.out));
                state.line = Some(made(start, state));
            }
            Err(error) => state.labels.fail(StageError::TemplateFormat, Some(&error.to_string())),
        }
        true
    }
}

/// The line from `start` to the end of the buffer of lines.
fn made(start: usize, state: &LineState) -> Slice {
    Slice { source: Source::Lines, start: start as u32, end: state.lines.len() as u32 }
}
