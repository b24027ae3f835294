//! `| logfmt a="b"`: some keys become labels of chosen names. Every one of them is there, empty if the line lacks it.

use crate::pipeline::context::{Hints, may_hold_replacement};
use crate::pipeline::keys::Keys;
use crate::pipeline::logfmt_scan::LogfmtScan;
use crate::pipeline::names::{NameId, Names};
use crate::pipeline::stages::logfmt::next_key;
use crate::pipeline::state::{LineState, Slice, StageError};
use crate::syntax::ast::{Extraction, LogfmtFlags};

#[derive(Clone, Debug)]
pub(crate) struct LogfmtFieldsStage {
    strict: bool,
    fields: Vec<Field>,
    keys: Keys,
    /// Which fields the line at hand has.
    found: Vec<bool>,
}

#[derive(Clone, Debug)]
struct Field {
    label: NameId,
    /// The key it is read from, as a label name; `None` for an expression that no key equals.
    source: Option<NameId>,
}

impl LogfmtFieldsStage {
    /// # Errors
    /// When an expression is no key.
    pub(crate) fn new(flags: LogfmtFlags, fields: &[Extraction], names: &mut Names) -> Result<Self, String> {
        let mut stage = Self { strict: flags.strict, fields: Vec::new(), keys: Keys::default(), found: Vec::new() };
        for extraction in fields {
            let source = read_expression(&extraction.expression)
                .map_err(|e| format!("cannot parse expression [{}]: {e}", extraction.expression))?;
            let source = source.map(|source| names.id(&source));
            let field = Field { label: names.id(&extraction.label), source };
            // Of two expressions for one label the later counts.
            match stage.fields.iter_mut().find(|known| known.label == field.label) {
                Some(known) => *known = field,
                None => stage.fields.push(field),
            }
        }
        Ok(stage)
    }

    pub(crate) fn keys_mut(&mut self) -> &mut Keys {
        &mut self.keys
    }

    pub(crate) fn is_strict(&self) -> bool {
        self.strict
    }

    /// The labels it makes, and the keys it makes them of, as labels.
    pub(crate) fn labels(&self) -> impl Iterator<Item = NameId> {
        self.fields.iter().flat_map(|field| std::iter::once(field.label).chain(field.source))
    }

    pub(crate) fn run(&mut self, state: &mut LineState, unit: &str, hints: &Hints) -> bool {
        let (line, slice, mut cx) = state.split(unit, hints);
        if cx.wants_nothing() {
            return true;
        }
        for field in &self.fields {
            if !cx.labels.clashes(field.label) {
                cx.set(field.label, Slice::EMPTY);
            }
        }
        let odd = may_hold_replacement(line);
        self.keys.start();
        self.found.clear();
        self.found.resize(self.fields.len(), false);
        let mut scan = LogfmtScan::new(line);
        while !scan.at_end() {
            let Some(key) = next_key(&mut scan, &mut self.keys, cx.names) else {
                if self.strict {
                    break;
                }
                continue;
            };
            let Some(name) = self.keys.label(key) else { continue };
            // A key that is no source may itself be the name of a label.
            let named = self.fields.iter().position(|field| field.label == name);
            // What an earlier stage has made a label of is not read again.
            if named.is_none() && cx.labels.was_extracted(name) {
                continue;
            }
            let field = self.fields.iter().position(|field| field.source == Some(name)).or(named);
            let Some(index) = field else { continue };
            let mut id = self.fields[index].label;
            if cx.labels.clashes(id) {
                id = cx.names.suffixed(id);
                if cx.labels.was_extracted(id) || !cx.names.wanted(id) {
                    break;
                }
            }
            let value = if odd && scan.value().contains('\u{fffd}') {
                Slice::EMPTY
            } else {
                match scan.value_range() {
                    Some((start, end)) => slice.part(start, end),
                    None => cx.labels.store(scan.unquoted()),
                }
            };
            cx.set(id, value);
            if let Some(found) = self.found.get_mut(index) {
                *found = true;
            }
            // Labels count as extracted since they were made empty: only what was found says whether to read on.
            let missing = |(field, found): (&Field, &bool)| !found && cx.names.wanted(field.label);
            if cx.labels.all_extracted(cx.names) && !self.fields.iter().zip(&self.found).any(missing) {
                break;
            }
        }
        if let (true, Some(error)) = (self.strict, scan.error()) {
            cx.parse_error(StageError::Logfmt, Some(&error));
        }
        true
    }
}

/// A key, perhaps in quotes. Two or more of them are accepted, as the reference does, and equal no key.
fn read_expression(text: &str) -> Result<Option<String>, String> {
    let mut parts = Vec::new();
    let mut rest = text.trim_start_matches([' ', '\t', '\n']);
    while let Some(first) = rest.chars().next() {
        let is_key = first == '_' || first.is_ascii_alphabetic();
        if !is_key && first != '"' {
            // Behind a key, the reference takes what it cannot read for the end, but remembers the error.
            return Err(if parts.is_empty() {
                "syntax error: unexpected $end, expecting STRING or KEY".into()
            } else {
                format!("unexpected char {first}")
            });
        }
        if is_key {
            let len = rest.find(|c: char| !(c == '_' || c.is_ascii_alphanumeric())).unwrap_or(rest.len());
            if !parts.is_empty() {
                return Err("syntax error: unexpected KEY".into());
            }
            parts.push(rest[..len].to_owned());
            rest = &rest[len..];
        } else {
            let inside = &rest[1..];
            let len = inside.find(['"', ']']).unwrap_or(inside.len());
            parts.push(inside[..len].to_owned());
            rest = inside.get(len + 1..).unwrap_or("");
        }
        rest = rest.trim_start_matches([' ', '\t', '\n']);
    }
    match parts.len() {
        0 => Err("syntax error: unexpected $end, expecting STRING or KEY".into()),
        1 => Ok(parts.pop()),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::read_expression;

    #[test]
    fn reads_expressions() {
        let cases = [
            ("abc", Ok(Some("abc".to_owned()))),
            (" \"a b\" ", Ok(Some("a b".to_owned()))),
            ("a \"b\"", Ok(None)),
            ("a b", Err("syntax error: unexpected KEY".to_owned())),
            ("weird-key", Err("unexpected char -".to_owned())),
            ("ключ", Err("syntax error: unexpected $end, expecting STRING or KEY".to_owned())),
            ("", Err("syntax error: unexpected $end, expecting STRING or KEY".to_owned())),
        ];
        for (text, want) in cases {
            assert_eq!(read_expression(text), want, "{text}");
        }
    }
}
