//! `| unpack`: takes apart what an agent packed: string values of a flat object become labels, `_entry` becomes the line.

use crate::pipeline::context::{Cx, Hints};
use crate::pipeline::json_scan::{JsonError, JsonKind, skip_space, string_end, unescape_into, value};
use crate::pipeline::names::{NameId, sanitize_label_name};
use crate::pipeline::stages::json::string_value;
use crate::pipeline::state::{LineState, Slice, Source, StageError};

/// Key of the line itself.
const ENTRY: &str = "_entry";

#[derive(Clone, Debug, Default)]
pub(crate) struct UnpackStage {
    key: String,
    entry: String,
    labels: Vec<(NameId, Slice)>,
}

impl UnpackStage {
    pub(crate) fn run(&mut self, state: &mut LineState, unit: &str, hints: &Hints) -> bool {
        let (line, slice, mut cx) = state.split(unit, hints);
        if line.is_empty() || cx.wants_nothing() {
            return true;
        }
        if !line.starts_with('{') {
            cx.parse_error(StageError::Json, Some(&JsonError::NotObject.to_string()));
            return true;
        }
        self.labels.clear();
        let packed = match self.read(line, slice, &mut cx) {
            Ok(packed) => packed,
            Err(error) => {
                cx.parse_error(StageError::Json, Some(&error.to_string()));
                return true;
            }
        };
        let Some(entry) = packed else { return true };
        let mut keep = true;
        for (id, value) in &self.labels {
            cx.set(*id, *value);
            keep = cx.passes(*id);
            if !keep {
                break;
            }
        }
        state.line = Some(match entry {
            Entry::Part(slice) => slice,
            Entry::Made => {
                let start = state.lines.len() as u32;
                state.lines.push_str(&self.entry);
                Slice { source: Source::Lines, start, end: state.lines.len() as u32 }
            }
        });
        keep
    }

    fn read(&mut self, line: &str, slice: Slice, cx: &mut Cx<'_>) -> Result<Option<Entry>, JsonError> {
        let data = line.as_bytes();
        let mut entry = None;
        let mut at = skip_space(data, 1).ok_or(JsonError::Malformed)?;
        loop {
            match data[at] {
                b'"' => {}
                b'}' => return Ok(entry),
                _ => return Err(JsonError::OpenObject),
            }
            let (end, escaped) = string_end(data, at + 1).ok_or(JsonError::Malformed)?;
            self.key.clear();
            if !unescape_into(&mut self.key, &line[at + 1..end]) && escaped {
                return Err(JsonError::Escape);
            }
            let colon = skip_space(data, end + 1).filter(|at| data[*at] == b':').ok_or(JsonError::Malformed)?;
            let found = value(data, colon + 1)?;
            if found.kind == JsonKind::String {
                let text = &line[found.start..found.end];
                let place = slice.part(found.start, found.end);
                if self.key == ENTRY {
                    entry = Some(if found.escaped {
                        self.entry.clear();
                        if !unescape_into(&mut self.entry, text) {
                            return Err(JsonError::Escape);
                        }
                        Entry::Made
                    } else {
                        Entry::Part(place)
                    });
                } else if let Some(id) = self.label(cx) {
                    let value = string_value(text, place, found.escaped, true, cx);
                    self.labels.push((id, value));
                }
            }
            at = skip_space(data, found.next).ok_or(JsonError::OpenArray)?;
            match data[at] {
                b'}' => return Ok(entry),
                b',' => at = skip_space(data, at + 1).ok_or(JsonError::OpenArray)?,
                _ => return Err(JsonError::OpenObject),
            }
        }
    }

    /// The label of the key. The reference asks whether the key as it is written clashes or is wanted, and makes a label
    /// name of it afterwards.
    fn label(&self, cx: &mut Cx<'_>) -> Option<NameId> {
        let raw = cx.names.id(&self.key);
        let id = cx.target(raw)?;
        let name = sanitize_label_name(cx.names.text(id));
        (!name.is_empty()).then(|| cx.names.id(&name))
    }
}

/// Where the line that was packed lies.
enum Entry {
    Part(Slice),
    /// It had escapes.
    Made,
}
