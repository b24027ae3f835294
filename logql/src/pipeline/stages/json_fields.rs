//! `| json a="b.c[0]"`: some places of a JSON text become labels of chosen names. Every one of them is there, empty where
//! the text has nothing.
//!
//! The walk goes through the text once and asks at each key and array which paths it completes, as the reference does:
//! the first match of a path counts, objects and arrays come out as they are written, and broken JSON behind the last
//! wanted place goes unnoticed.

use crate::pipeline::context::{Cx, Hints};
use crate::pipeline::json_scan::{
    JsonError, JsonKind, JsonValue, block_end, skip_space, string_end, unescape_into, value,
};
use crate::pipeline::names::{NameId, Names};
use crate::pipeline::stages::json::string_value;
use crate::pipeline::state::{LineState, Slice, StageError};
use crate::syntax::ast::Extraction;

/// Longest path.
const MAX_PATH: usize = 128;

#[derive(Clone, Debug)]
pub(crate) struct JsonFieldsStage {
    paths: Vec<Path>,
    /// Keys from the outermost object to where the walk is.
    current: Vec<String>,
    found: Vec<bool>,
}

#[derive(Clone, Debug)]
struct Path {
    label: NameId,
    steps: Vec<Step>,
    /// The steps as keys: the reference compares an index with a key that is written like it.
    keys: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Key(String),
    Index(usize),
}

impl Step {
    fn key(&self) -> String {
        match self {
            Self::Key(key) => key.clone(),
            Self::Index(index) => format!("[{index}]"),
        }
    }
}

/// A value that a path leads to.
struct Hit {
    path: usize,
    value: Result<JsonValue, JsonError>,
}

impl JsonFieldsStage {
    /// # Errors
    /// When an expression is no path.
    pub(crate) fn new(fields: &[Extraction], names: &mut Names) -> Result<Self, String> {
        let mut paths = Vec::new();
        for extraction in fields {
            let steps = read_path(&extraction.expression)
                .map_err(|e| format!("cannot parse expression [{}]: {e}", extraction.expression))?;
            let keys = steps.iter().map(Step::key).collect();
            paths.push(Path { label: names.id(&extraction.label), steps, keys });
        }
        let found = vec![false; paths.len()];
        Ok(Self { paths, current: Vec::new(), found })
    }

    /// The key with which each path begins.
    pub(crate) fn first_keys(&self) -> impl Iterator<Item = &str> {
        self.paths.iter().filter_map(|path| path.keys.first()).map(String::as_str)
    }

    pub(crate) fn run(&mut self, state: &mut LineState, unit: &str, hints: &Hints) -> bool {
        let (line, slice, mut cx) = state.split(unit, hints);
        if line.is_empty() || cx.wants_nothing() {
            return true;
        }
        if !line.starts_with(['"', '{', '[']) {
            cx.parse_error(StageError::Json, None);
            return true;
        }
        let matches = self.walk(line, slice, &mut cx);
        if matches < self.paths.len() {
            for path in &self.paths {
                if cx.labels.get(path.label).is_none() {
                    cx.set(path.label, Slice::EMPTY);
                }
            }
        }
        true
    }

    /// Sets the labels; gives the number of values found.
    fn walk(&mut self, line: &str, slice: Slice, cx: &mut Cx<'_>) -> usize {
        let data = line.as_bytes();
        self.found.fill(false);
        let longest = self.paths.iter().map(|path| path.steps.len()).max().unwrap_or(0);
        let (mut level, mut done, mut values) = (0i64, 0, 0);
        let mut at = 0;
        while at < data.len() {
            match data[at] {
                b'"' => {
                    let Some((end, escaped)) = string_end(data, at + 1) else { return values };
                    let Some(next) = skip_space(data, end + 1) else { return values };
                    if data[next] != b':' {
                        at = next;
                        continue;
                    }
                    if longest as i64 >= level {
                        if level < 1 {
                            cx.parse_error(StageError::Json, Some(&JsonError::Malformed.to_string()));
                            return values;
                        }
                        if !self.enter(&line[at + 1..end], escaped, level as usize) {
                            return values;
                        }
                        for path in 0..self.paths.len() {
                            if self.found[path] || !self.completes(path, level as usize) {
                                continue;
                            }
                            self.found[path] = true;
                            done += 1;
                            let hit = Hit { path, value: value(data, next + 1) };
                            values += usize::from(self.take(hit, line, slice, cx));
                            if done == self.paths.len() {
                                return values;
                            }
                        }
                    }
                    at = next + 1;
                }
                b'{' => {
                    level += 1;
                    at += 1;
                }
                b'}' | b']' => {
                    level -= 1;
                    at += 1;
                }
                b'[' => {
                    if level < 0 {
                        cx.parse_error(StageError::Json, Some(&JsonError::Malformed.to_string()));
                        return values;
                    }
                    let wanted: Vec<(usize, usize)> = (0..self.paths.len())
                        .filter_map(|path| self.index_at(path, level as usize).map(|index| (path, index)))
                        .collect();
                    if wanted.is_empty() {
                        match block_end(data, at, b'[', b']') {
                            Some(end) => at = end,
                            None => return values,
                        }
                        continue;
                    }
                    let below = level as usize + 1;
                    level += 1;
                    let mut hits = Vec::new();
                    let end = each_element(data, at, |number, element| {
                        for (path, index) in &wanted {
                            if *index == number {
                                let rest = &self.paths[*path].steps[below..];
                                hits.push((*path, find(data, element, rest)));
                            }
                        }
                    });
                    for (path, value) in hits {
                        done += 1;
                        self.found[path] = true;
                        if let Some(value) = value {
                            values += usize::from(self.take(Hit { path, value }, line, slice, cx));
                        }
                    }
                    if done >= self.paths.len() {
                        return values;
                    }
                    // The bracket at the end closes the level.
                    at = end;
                }
                _ => at += 1,
            }
        }
        values
    }

    /// Notes the key at `level`; false when its escapes are broken.
    fn enter(&mut self, key: &str, escaped: bool, level: usize) -> bool {
        while self.current.len() < level {
            self.current.push(String::new());
        }
        let slot = &mut self.current[level - 1];
        slot.clear();
        if escaped {
            return unescape_into(slot, key);
        }
        slot.push_str(key);
        true
    }

    fn matches_current(&self, path: usize, levels: usize) -> bool {
        let keys = &self.paths[path].keys;
        keys.len() <= levels && keys.iter().zip(&self.current).all(|(key, current)| key == current)
            || keys.len() > levels && self.current.get(..levels).is_some_and(|current| *current == keys[..levels])
    }

    /// Whether the key at `level` is the last step of a path.
    fn completes(&self, path: usize, level: usize) -> bool {
        self.paths[path].steps.len() == level && self.matches_current(path, level)
    }

    /// The element that a path wants of the array at `level`.
    fn index_at(&self, path: usize, level: usize) -> Option<usize> {
        match self.paths[path].steps.get(level) {
            Some(Step::Index(index)) if !self.found[path] && self.matches_current(path, level) => Some(*index),
            _ => None,
        }
    }

    /// Sets the label of a path; false when its value is broken.
    fn take(&mut self, hit: Hit, line: &str, slice: Slice, cx: &mut Cx<'_>) -> bool {
        let found = match hit.value {
            Ok(found) => found,
            Err(error) => {
                cx.parse_error(StageError::Json, Some(&error.to_string()));
                return false;
            }
        };
        let mut id = self.paths[hit.path].label;
        if cx.labels.clashes(id) {
            id = cx.names.suffixed(id);
        }
        let text = &line[found.start..found.end];
        let place = slice.part(found.start, found.end);
        let value = match found.kind {
            JsonKind::Null => Slice::EMPTY,
            JsonKind::Object => place,
            // Arrays too: the reference resolves escapes in all of their text.
            _ => string_value(text, place, text.contains('\\'), true, cx),
        };
        cx.set(id, value);
        true
    }
}

/// Calls `visit` with number and value of each element of the array at `at`; gives the offset of its closing bracket, or
/// of where it breaks off.
fn each_element(data: &[u8], at: usize, mut visit: impl FnMut(usize, JsonValue)) -> usize {
    let Some(mut at) = skip_space(data, at + 1) else { return data.len() };
    if data[at] == b']' {
        return at;
    }
    for number in 0.. {
        let Ok(element) = value(data, at) else { return at };
        visit(number, element);
        let Some(next) = skip_space(data, element.next) else { return element.next };
        if data[next] != b',' {
            return next;
        }
        at = next + 1;
    }
    at
}

/// The value to which `steps` lead inside `element`; `None` when there is none.
fn find(data: &[u8], element: JsonValue, steps: &[Step]) -> Option<Result<JsonValue, JsonError>> {
    let mut element = element;
    for step in steps {
        element = match (step, element.kind) {
            (Step::Index(wanted), JsonKind::Array) => {
                let mut found = None;
                each_element(&data[..element.end], element.start, |number, inner| {
                    if number == *wanted {
                        found = Some(inner);
                    }
                });
                found?
            }
            (Step::Key(wanted), JsonKind::Object) => member(&data[..element.end], element.start, wanted)?,
            _ => return None,
        };
    }
    Some(Ok(element))
}

/// The value of a key of the object at `at`.
fn member(data: &[u8], at: usize, wanted: &str) -> Option<JsonValue> {
    let mut at = skip_space(data, at + 1)?;
    while data[at] == b'"' {
        let (end, escaped) = string_end(data, at + 1)?;
        let raw = std::str::from_utf8(&data[at + 1..end]).ok()?;
        let mut unescaped = String::new();
        let same = if escaped { unescape_into(&mut unescaped, raw) && unescaped == wanted } else { raw == wanted };
        let colon = skip_space(data, end + 1).filter(|at| data[*at] == b':')?;
        let found = value(data, colon + 1).ok()?;
        if same {
            return Some(found);
        }
        at = skip_space(data, found.next).filter(|at| data[*at] == b',')?;
        at = skip_space(data, at + 1)?;
    }
    None
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    End,
    Dot,
    Open,
    Close,
    String(String),
    Field(String),
    Index(usize),
}

impl Token {
    fn name(&self) -> &'static str {
        match self {
            Self::End => "$end",
            Self::Dot => "DOT",
            Self::Open => "LSB",
            Self::Close => "RSB",
            Self::String(_) => "STRING",
            Self::Field(_) => "FIELD",
            Self::Index(_) => "INDEX",
        }
    }
}

/// Reads a path: `a.b[0]["c d"]`.
fn read_path(text: &str) -> Result<Vec<Step>, String> {
    let mut reader = PathReader { rest: text, error: None };
    let mut steps = Vec::new();
    let mut token = reader.next();
    loop {
        let step = match token {
            Token::Field(name) if steps.is_empty() => Step::Key(name),
            Token::Dot if !steps.is_empty() => match reader.next() {
                Token::Field(name) => Step::Key(name),
                other => return Err(unexpected(&other, &["FIELD"])),
            },
            Token::Open => {
                let step = match reader.next() {
                    Token::String(key) => Step::Key(key),
                    Token::Index(index) => Step::Index(index),
                    other => return Err(unexpected(&other, &["STRING", "INDEX"])),
                };
                match reader.next() {
                    Token::Close => step,
                    other => return Err(unexpected(&other, &["RSB"])),
                }
            }
            Token::End if !steps.is_empty() => break,
            other if steps.is_empty() => return Err(unexpected(&other, &["LSB", "FIELD"])),
            other => return Err(unexpected(&other, &[])),
        };
        steps.push(step);
        if steps.len() > MAX_PATH {
            return Err(format!("more than {MAX_PATH} steps"));
        }
        token = reader.next();
    }
    reader.error.map_or(Ok(steps), Err)
}

fn unexpected(token: &Token, expected: &[&str]) -> String {
    let mut text = format!("syntax error: unexpected {}", token.name());
    for (i, name) in expected.iter().enumerate() {
        text.push_str(if i == 0 { ", expecting " } else { " or " });
        text.push_str(name);
    }
    text
}

struct PathReader<'a> {
    rest: &'a str,
    /// What could not be read; the reference takes it for the end and complains if the path was complete.
    error: Option<String>,
}

impl PathReader<'_> {
    fn next(&mut self) -> Token {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n']);
        let Some(first) = self.rest.chars().next() else { return Token::End };
        let (token, len) = match first {
            '[' => (Token::Open, 1),
            ']' => (Token::Close, 1),
            '.' => (Token::Dot, 1),
            '"' => {
                let inside = &self.rest[1..];
                let len = inside.find(['"', ']']).unwrap_or(inside.len());
                (Token::String(inside[..len].to_owned()), (len + 2).min(self.rest.len()))
            }
            '0'..='9' => return self.index(),
            c if c == '_' || c.is_ascii_alphabetic() => {
                let end = |c: char| !(c == '_' || c.is_ascii_alphanumeric());
                let len = self.rest.find(end).unwrap_or(self.rest.len());
                (Token::Field(self.rest[..len].to_owned()), len)
            }
            c => return self.fail(format!("unexpected char {c}")),
        };
        self.rest = &self.rest[len..];
        token
    }

    fn index(&mut self) -> Token {
        let len = self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(len);
        match rest.chars().next() {
            Some('.') => return self.fail("cannot use float as array index".into()),
            Some(' ' | '\t' | '\n' | ']') => {}
            other => return self.fail(format!("non-integer value: {}", other.unwrap_or('\0'))),
        }
        let Ok(index) = digits.parse() else {
            return self.fail(format!("strconv.Atoi: parsing \"{digits}\": value out of range"));
        };
        self.rest = rest;
        Token::Index(index)
    }

    fn fail(&mut self, message: String) -> Token {
        self.error = Some(message);
        self.rest = "";
        Token::End
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_paths() {
        let key = |k: &str| Step::Key(k.to_owned());
        let cases = [
            ("a", Ok(vec![key("a")])),
            ("a.b[0]", Ok(vec![key("a"), key("b"), Step::Index(0)])),
            (r#"["a b"].c"#, Ok(vec![key("a b"), key("c")])),
            ("a[", Err("syntax error: unexpected $end, expecting STRING or INDEX")),
            ("a..b", Err("syntax error: unexpected DOT, expecting FIELD")),
            ("a b", Err("syntax error: unexpected FIELD")),
            ("a[0.1]", Err("syntax error: unexpected $end, expecting STRING or INDEX")),
            ("", Err("syntax error: unexpected $end, expecting LSB or FIELD")),
            ("a-b", Err("unexpected char -")),
            ("a[1", Err("syntax error: unexpected $end, expecting STRING or INDEX")),
        ];
        for (text, want) in cases {
            assert_eq!(read_path(text), want.map_err(str::to_owned), "{text}");
        }
    }
}
