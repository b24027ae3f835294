//! `| json`: every scalar of an object becomes a label, names of nested ones joined by `_`.
//!
//! Arrays and nulls are passed over; with `--arrays` the elements of arrays are named by their number. The object is read
//! only as far as labels are wanted. Where the text breaks off, labels found so far stay.

use crate::pipeline::context::{Cx, Flow, Hints, may_hold_replacement};
use crate::pipeline::json_scan::{JsonError, JsonKind, JsonValue, skip_space, string_end, unescape_into, value};
use crate::pipeline::keys::{KeyId, Keys};
use crate::pipeline::names::NameId;
use crate::pipeline::state::{LineState, Slice, StageError};

/// Deepest nesting that is read.
const MAX_DEPTH: usize = 256;

#[derive(Clone, Debug, Default)]
pub(crate) struct JsonStage {
    arrays: bool,
    keys: Keys,
    frames: Vec<Frame>,
    unescaped: String,
    /// Which key each label came from, if someone wants to know.
    pub(crate) origins: Option<Vec<(NameId, KeyId)>>,
}

/// An object or array that is being read.
#[derive(Clone, Copy, Debug)]
struct Frame {
    key: KeyId,
    at: usize,
    end: usize,
    /// Number of the next element of an array.
    element: Option<u32>,
}

impl JsonStage {
    pub(crate) fn new(arrays: bool) -> Self {
        Self { arrays, ..Self::default() }
    }

    pub(crate) fn keys_mut(&mut self) -> &mut Keys {
        &mut self.keys
    }

    /// The keys from the outermost object to a label's own.
    pub(crate) fn path(&self, key: KeyId) -> Vec<String> {
        let mut path = Vec::new();
        let mut at = key;
        while at != KeyId::ROOT {
            path.push(self.keys.raw(at).to_owned());
            at = self.keys.parent(at);
        }
        path.reverse();
        path
    }

    pub(crate) fn run(&mut self, state: &mut LineState, unit: &str, hints: &Hints) -> bool {
        let (line, slice, mut cx) = state.split(unit, hints);
        if cx.wants_nothing() {
            return true;
        }
        self.keys.start();
        if let Some(origins) = &mut self.origins {
            origins.clear();
        }
        match self.read(line, slice, &mut cx) {
            Ok(Flow::Drop) => false,
            Ok(_) => true,
            Err(error) => {
                cx.parse_error(StageError::Json, Some(&error.to_string()));
                true
            }
        }
    }

    fn read(&mut self, line: &str, slice: Slice, cx: &mut Cx<'_>) -> Result<Flow, JsonError> {
        let data = line.as_bytes();
        let odd = may_hold_replacement(line);
        self.frames.clear();
        if !self.open(data, 0, data.len(), KeyId::ROOT, false)? {
            return Ok(Flow::Go);
        }
        while let Some(frame) = self.frames.last().copied() {
            let data = &data[..frame.end];
            let (key, found) = match self.member(line, data, frame, cx)? {
                Some(member) => member,
                None => {
                    self.frames.pop();
                    if self.frames.last().is_some() {
                        self.go_on(line.as_bytes(), frame.end)?;
                    }
                    continue;
                }
            };
            match found.kind {
                JsonKind::Object if !self.keys.prefix_wanted(key) => {}
                JsonKind::Object => {
                    if self.open(data, found.start, found.end, key, false)? {
                        continue;
                    }
                }
                JsonKind::Array if self.arrays && self.keys.prefix_wanted(key) => {
                    if self.open(data, found.start, found.end, key, true)? {
                        continue;
                    }
                }
                JsonKind::Array | JsonKind::Null => {
                    if cx.labels.all_extracted(cx.names) {
                        return Ok(Flow::Enough);
                    }
                }
                JsonKind::String | JsonKind::Number | JsonKind::Bool => {
                    match self.label(key, line, slice, found, odd, cx) {
                        Flow::Go => {}
                        flow => return Ok(flow),
                    }
                }
            }
            self.go_on(line.as_bytes(), found.next)?;
        }
        Ok(Flow::Go)
    }

    /// Goes into an object or array; false when it is empty.
    fn open(&mut self, data: &[u8], start: usize, end: usize, key: KeyId, array: bool) -> Result<bool, JsonError> {
        if self.frames.len() >= MAX_DEPTH {
            return Err(JsonError::TooDeep);
        }
        let data = &data[..end];
        let (bracket, close) = if array { (b'[', b']') } else { (b'{', b'}') };
        let at = skip_space(data, start).filter(|at| data[*at] == bracket).ok_or(JsonError::OpenObject)?;
        let at = skip_space(data, at + 1).ok_or(JsonError::Malformed)?;
        if data[at] == close {
            return Ok(false);
        }
        self.frames.push(Frame { key, at, end, element: array.then_some(0) });
        Ok(true)
    }

    /// The member at which the innermost frame stands; `None` at its end.
    fn member(
        &mut self,
        line: &str,
        data: &[u8],
        frame: Frame,
        cx: &mut Cx<'_>,
    ) -> Result<Option<(KeyId, JsonValue)>, JsonError> {
        if let Some(number) = frame.element {
            if data.get(frame.at) == Some(&b']') {
                return Ok(None);
            }
            let found = value(data, frame.at)?;
            let mut text = String::new();
            std::fmt::Write::write_fmt(&mut text, format_args!("{number}")).map_err(|_| JsonError::Malformed)?;
            return Ok(Some((self.keys.find(cx.names, frame.key, &text), found)));
        }
        match data.get(frame.at) {
            Some(b'"') => {}
            Some(b'}') => return Ok(None),
            _ => return Err(JsonError::OpenObject),
        }
        if let Some((key, end)) = self.keys.find_expected(frame.key, data, frame.at + 1, b'"') {
            return Ok(Some((key, value_behind(data, end + 1)?)));
        }
        let (end, escaped) = string_end(data, frame.at + 1).ok_or(JsonError::Malformed)?;
        let mut text = &line[frame.at + 1..end];
        if escaped {
            self.unescaped.clear();
            if !unescape_into(&mut self.unescaped, text) {
                return Err(JsonError::Escape);
            }
            text = &self.unescaped;
        }
        let key = self.keys.find(cx.names, frame.key, text);
        Ok(Some((key, value_behind(data, end + 1)?)))
    }

    /// Moves the innermost frame from behind a member to the next one, or to its end.
    fn go_on(&mut self, data: &[u8], from: usize) -> Result<(), JsonError> {
        let Some(frame) = self.frames.last_mut() else { return Ok(()) };
        let data = &data[..frame.end];
        let close = if frame.element.is_some() { b']' } else { b'}' };
        let at = skip_space(data, from).ok_or(JsonError::OpenArray)?;
        if data[at] == close {
            frame.at = at;
            return Ok(());
        }
        if data[at] != b',' {
            return Err(if close == b']' { JsonError::OpenArray } else { JsonError::OpenObject });
        }
        frame.at = skip_space(data, at + 1).ok_or(JsonError::OpenArray)?;
        frame.element = frame.element.map(|n| n.saturating_add(1));
        Ok(())
    }

    fn label(&mut self, key: KeyId, line: &str, slice: Slice, found: JsonValue, odd: bool, cx: &mut Cx<'_>) -> Flow {
        let target = self.keys.useful_label(key).and_then(|id| cx.target(id));
        let Some(id) = target else {
            return if cx.labels.all_extracted(cx.names) { Flow::Enough } else { Flow::Go };
        };
        if let Some(origins) = &mut self.origins {
            origins.push((id, key));
        }
        let text = &line[found.start..found.end];
        let value = if found.kind == JsonKind::String {
            string_value(text, slice.part(found.start, found.end), found.escaped, odd, cx)
        } else {
            slice.part(found.start, found.end)
        };
        cx.extract(id, value)
    }
}

/// The value behind a colon.
#[inline]
fn value_behind(data: &[u8], at: usize) -> Result<JsonValue, JsonError> {
    let colon = skip_space(data, at).filter(|at| data[*at] == b':').ok_or(JsonError::Malformed)?;
    value(data, colon + 1)
}

/// A string's value: escapes resolved, empty when one is broken.
pub(super) fn string_value(text: &str, slice: Slice, escaped: bool, odd: bool, cx: &mut Cx<'_>) -> Slice {
    if !escaped {
        return if odd { cx.clean(text, slice) } else { slice };
    }
    let start = cx.labels.values_mut().len();
    if !unescape_into(cx.labels.values_mut(), text) {
        cx.labels.values_mut().truncate(start);
        return Slice::EMPTY;
    }
    let values = cx.labels.values_mut();
    if values[start..].contains('\u{fffd}') {
        let cleaned = values[start..].replace('\u{fffd}', " ");
        values.truncate(start);
        values.push_str(&cleaned);
    }
    cx.labels.stored(start)
}
