//! `| label_format a=b, c="{{.d}}"`: renames labels and writes them by templates. The templates of one stage see the
//! labels as they are when the first of them runs.

use gotemplate::TemplateSet;

use super::template::{Snapshot, compile};
use crate::pipeline::names::{NameId, Names};
use crate::pipeline::state::{Category, LineState, StageError};
use crate::syntax::ast::{LabelFormat, LabelFormatValue};

#[derive(Clone)]
pub(crate) struct LabelFormatStage {
    formats: Vec<Format>,
    snapshot: Snapshot,
    out: Vec<u8>,
    pub(crate) now: jiff::Timestamp,
}

#[derive(Clone)]
struct Format {
    label: NameId,
    value: FormatValue,
}

#[derive(Clone)]
enum FormatValue {
    Rename(NameId),
    Template(TemplateSet),
}

impl LabelFormatStage {
    /// # Errors
    /// When a template cannot be parsed, a label is written twice, or it is the error's.
    pub(crate) fn new(formats: &[LabelFormat], names: &mut Names, now: jiff::Timestamp) -> Result<Self, String> {
        let mut compiled: Vec<Format> = Vec::new();
        for (i, format) in formats.iter().enumerate() {
            let name = &format.label;
            if name == "__error__" {
                return Err(format!("{name} cannot be formatted"));
            }
            if formats[..i].iter().any(|other| other.label == *name) {
                return Err(format!("multiple label name '{name}' not allowed in a single format operation"));
            }
        }
        for format in formats {
            let value = match &format.value {
                LabelFormatValue::Rename(source) => FormatValue::Rename(names.id(source)),
                LabelFormatValue::Template(text) => FormatValue::Template(
                    compile("label", text)
                        .map_err(|e| format!("invalid template for label '{}': {e}", format.label))?,
                ),
            };
            compiled.push(Format { label: names.id(&format.label), value });
        }
        Ok(Self { formats: compiled, snapshot: Snapshot::default(), out: Vec::new(), now })
    }

    pub(crate) fn run(&mut self, state: &mut LineState, unit: &str) -> bool {
        self.snapshot.clear();
        for format in &self.formats {
            let template = match &format.value {
                FormatValue::Rename(source) => {
                    if let Some(value) = state.labels.get(*source) {
                        state.labels.set(&state.names, format.label, value, Category::Parsed);
                        state.labels.delete(*source);
                    }
                    continue;
                }
                FormatValue::Template(template) => template,
            };
            if self.snapshot.is_empty() {
                self.snapshot.take(&state.labels);
            }
            match self.snapshot.execute(template, state, unit, self.now, &mut self.out) {
                Ok(()) => {
                    let value = state.labels.store(&String::from_utf8_lossy(&self.out));
                    state.labels.set(&state.names, format.label, value, Category::Parsed);
                }
                Err(error) => state.labels.fail(StageError::TemplateFormat, Some(&error.to_string())),
            }
        }
        true
    }
}
