//! JSON to values and back, as Go's `encoding/json` does it with `interface {}`.

use model::number::write_json_float;

use crate::error::CallError;
use crate::value::{ObjectKind, Value};

/// Deepest nesting that is written.
const MAX_DEPTH: usize = 100;

/// The value of a JSON text: numbers are `float64`, objects `map[string]interface {}`. `None` if it is not JSON.
pub(super) fn parse<'d>(text: &[u8]) -> Option<Value<'d>> {
    // Go takes stray bytes for U+FFFD.
    let text = String::from_utf8_lossy(text);
    serde_json::from_str(&text).ok().map(from_json)
}

fn from_json<'d>(json: serde_json::Value) -> Value<'d> {
    match json {
        serde_json::Value::Null => Value::Nil,
        serde_json::Value::Bool(flag) => Value::Bool(flag),
        serde_json::Value::Number(number) => Value::Float(number.as_f64().unwrap_or(0.0)),
        serde_json::Value::String(text) => text.into(),
        serde_json::Value::Array(items) => Value::list(items.into_iter().map(from_json).collect()),
        serde_json::Value::Object(entries) => Value::map(entries.into_iter().map(|(key, item)| (key, from_json(item)))),
    }
}

/// `value` as compact JSON.
///
/// # Errors
/// For what JSON cannot say.
pub(super) fn write(value: &Value<'_>) -> Result<Vec<u8>, CallError> {
    let mut writer = Writer { out: Vec::new(), indent: None, depth: 0 };
    writer.value(value)?;
    Ok(writer.out)
}

/// `value` as JSON with each element on a line of its own.
///
/// # Errors
/// As [`write`].
pub(super) fn write_pretty(value: &Value<'_>, indent: &[u8]) -> Result<Vec<u8>, CallError> {
    let mut writer = Writer { out: Vec::new(), indent: Some(indent), depth: 0 };
    writer.value(value)?;
    Ok(writer.out)
}

struct Writer<'i> {
    out: Vec<u8>,
    indent: Option<&'i [u8]>,
    depth: usize,
}

impl Writer<'_> {
    fn value(&mut self, value: &Value<'_>) -> Result<(), CallError> {
        match value {
            Value::Missing | Value::Nil => self.out.extend_from_slice(b"null"),
            Value::Bool(flag) => self.out.extend_from_slice(if *flag { b"true" } else { b"false" }),
            Value::Int(n) | Value::Int64(n) => model::number::write_i64(&mut self.out, *n),
            Value::Duration(duration) => model::number::write_i64(&mut self.out, duration.0),
            Value::Uint64(n) => model::number::write_u64(&mut self.out, *n),
            Value::Byte(n) => model::number::write_u64(&mut self.out, u64::from(*n)),
            Value::Float(n) if n.is_finite() => write_json_float(&mut self.out, *n),
            Value::Float(_) => {
                let shown = super::args::shown(value);
                return Err(CallError::Failed(format!("json: unsupported value: {shown}")));
            }
            Value::Str(text) => self.string(text),
            Value::Time(time) => self.string(time.format("2006-01-02T15:04:05.999999999Z07:00").as_bytes()),
            Value::List(list) => self.sequence(b'[', b']', list.items.iter(), |writer, item| writer.value(item))?,
            Value::Map(map) => {
                self.sequence(b'{', b'}', map.entries().iter(), |writer, (key, item)| writer.entry(key, item))?
            }
            Value::Record(record) => {
                let lower = record.ty.json_lower;
                self.sequence(b'{', b'}', record.fields.iter(), |writer, (name, item)| {
                    writer.entry(field_name(name, lower).as_bytes(), item)
                })?;
            }
            Value::Object(object) => {
                let lower = object.kind() == ObjectKind::Struct && object.ty().json_lower;
                let entries = (0..object.len()).map_while(|index| object.entry(index));
                self.sequence(b'{', b'}', entries, |writer, (key, item)| {
                    writer.entry(field_name(&key.to_str(), lower).as_bytes(), &item)
                })?;
            }
            Value::Function(_) => return Err(CallError::new("json: unsupported type: func")),
        }
        Ok(())
    }

    fn sequence<T>(
        &mut self,
        open: u8,
        close: u8,
        items: impl Iterator<Item = T>,
        mut write: impl FnMut(&mut Self, T) -> Result<(), CallError>,
    ) -> Result<(), CallError> {
        if self.depth >= MAX_DEPTH {
            return Err(CallError::new("json: value nested too deeply"));
        }
        self.depth += 1;
        self.out.push(open);
        let mut any = false;
        for item in items {
            if any {
                self.out.push(b',');
            }
            any = true;
            self.new_line();
            write(self, item)?;
        }
        self.depth -= 1;
        if any {
            self.new_line();
        }
        self.out.push(close);
        Ok(())
    }

    fn new_line(&mut self) {
        if let Some(indent) = self.indent {
            self.out.push(b'\n');
            for _ in 0..self.depth {
                self.out.extend_from_slice(indent);
            }
        }
    }

    fn entry(&mut self, key: &[u8], value: &Value<'_>) -> Result<(), CallError> {
        self.string(key);
        self.out.push(b':');
        if self.indent.is_some() {
            self.out.push(b' ');
        }
        self.value(value)
    }

    /// A string with Go's escapes, which keep it safe inside HTML.
    fn string(&mut self, text: &[u8]) {
        self.out.push(b'"');
        for c in String::from_utf8_lossy(text).chars() {
            match c {
                '"' => self.out.extend_from_slice(b"\\\""),
                '\\' => self.out.extend_from_slice(b"\\\\"),
                '\n' => self.out.extend_from_slice(b"\\n"),
                '\r' => self.out.extend_from_slice(b"\\r"),
                '\t' => self.out.extend_from_slice(b"\\t"),
                '\x08' => self.out.extend_from_slice(b"\\b"),
                '\x0c' => self.out.extend_from_slice(b"\\f"),
                '\0'..='\x1f' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                    self.out.extend_from_slice(format!("\\u{:04x}", u32::from(c)).as_bytes());
                }
                c => self.out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        self.out.push(b'"');
    }
}

/// The name a struct's field has in JSON: as it is, or as message data spells it.
fn field_name(name: &str, lower: bool) -> String {
    match name {
        _ if !lower => name.to_owned(),
        "NotificationReason" => "notification_reason".to_owned(),
        "OrgID" => "orgId".to_owned(),
        name => {
            let mut chars = name.chars();
            chars.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(chars).collect()
        }
    }
}
