//! Finding one's way through JSON without checking all of it.
//!
//! The reference reads log lines with a parser that looks no further than it must: it finds ends of strings, objects
//! and arrays, and takes any run of characters that starts like a number for one. What it accepts, where it stops and
//! with which error shows in results, so these are its rules, not JSON's.

use memchr::memchr;

use super::bytes::{quote_or, quote_or_backslash};

/// What is wrong with a text that should be JSON. Displays as the reference says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JsonError {
    #[error("Unknown value type")]
    UnknownType,
    #[error("Malformed JSON error")]
    Malformed,
    #[error("Value is string, but can't find closing '\"' symbol")]
    OpenString,
    #[error("Value is array, but can't find closing ']' symbol")]
    OpenArray,
    #[error("Value looks like object, but can't find closing '}}' symbol")]
    OpenObject,
    #[error("Encountered an invalid escape sequence in a string")]
    Escape,
    #[error("expecting json object(6), but it is not")]
    NotObject,
    #[error("JSON is nested too deeply")]
    TooDeep,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JsonKind {
    String,
    Number,
    Object,
    Array,
    Bool,
    Null,
}

/// A value: its text (a string without quotes) and the offset behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct JsonValue {
    pub(crate) kind: JsonKind,
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) next: usize,
    /// A string with a backslash in it.
    pub(crate) escaped: bool,
}

/// Offset of the first byte from `at` on that is no space.
#[inline]
pub(crate) fn skip_space(data: &[u8], mut at: usize) -> Option<usize> {
    while let Some(byte) = data.get(at) {
        if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
            return Some(at);
        }
        at += 1;
    }
    None
}

/// Offset of the quote that ends the string whose text starts at `at`, and whether it has a backslash before that.
#[inline]
pub(crate) fn string_end(data: &[u8], at: usize) -> Option<(usize, bool)> {
    let found = quote_or_backslash(data, at)?;
    if data[found] == b'"' { Some((found, false)) } else { escaped_string_end(data, found) }
}

/// The same from the first backslash on.
fn escaped_string_end(data: &[u8], mut at: usize) -> Option<(usize, bool)> {
    loop {
        let found = quote_or_backslash(data, at)?;
        if data[found] == b'"' {
            return Some((found, true));
        }
        at = found + 2;
    }
}

/// Offset behind the bracket that closes the one at `at`, strings skipped. Other kinds of brackets do not count.
pub(crate) fn block_end(data: &[u8], mut at: usize, open: u8, close: u8) -> Option<usize> {
    let mut level = 0usize;
    loop {
        let found = quote_or(data, at, open, close)?;
        at = found + 1;
        match data[found] {
            b'"' => at = string_end(data, at)?.0 + 1,
            byte if byte == open => level += 1,
            _ => {
                level = level.saturating_sub(1);
                if level == 0 {
                    return Some(at);
                }
            }
        }
    }
}

/// The value at or after `at`.
#[inline]
pub(crate) fn value(data: &[u8], at: usize) -> Result<JsonValue, JsonError> {
    let start = skip_space(data, at).ok_or(JsonError::Malformed)?;
    match data[start] {
        b'"' => {
            let (end, escaped) = string_end(data, start + 1).ok_or(JsonError::OpenString)?;
            Ok(JsonValue { kind: JsonKind::String, start: start + 1, end, next: end + 1, escaped })
        }
        b'[' => {
            let end = block_end(data, start, b'[', b']').ok_or(JsonError::OpenArray)?;
            Ok(JsonValue { kind: JsonKind::Array, start, end, next: end, escaped: false })
        }
        b'{' => {
            let end = block_end(data, start, b'{', b'}').ok_or(JsonError::OpenObject)?;
            Ok(JsonValue { kind: JsonKind::Object, start, end, next: end, escaped: false })
        }
        first => {
            let ends = |b: &u8| matches!(b, b' ' | b'\n' | b'\r' | b'\t' | b',' | b'}' | b']');
            let end = data[start..].iter().position(ends).map_or(data.len(), |len| start + len);
            let kind = match first {
                b'0'..=b'9' | b'-' => JsonKind::Number,
                _ => match &data[start..end] {
                    b"true" | b"false" => JsonKind::Bool,
                    b"null" => JsonKind::Null,
                    _ => return Err(JsonError::UnknownType),
                },
            };
            Ok(JsonValue { kind, start, end, next: end, escaped: false })
        }
    }
}

/// Appends a string's text to `out` with its escapes resolved.
///
/// False when an escape is none; what was appended so far is then to be forgotten.
pub(crate) fn unescape_into(out: &mut String, text: &str) -> bool {
    let mut rest = text;
    while let Some(at) = memchr(b'\\', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        let Some((c, len)) = escape(&rest.as_bytes()[at..]) else { return false };
        out.push(c);
        rest = &rest[at + len..];
    }
    out.push_str(rest);
    true
}

/// The character of an escape and the escape's length.
fn escape(bytes: &[u8]) -> Option<(char, usize)> {
    let c = match bytes.get(1)? {
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            let high = hex4(bytes.get(2..6)?)?;
            if !(0xd800..=0xdfff).contains(&high) {
                return Some((char::from_u32(high)?, 6));
            }
            // The reference does not look at the two bytes before these digits.
            let low = hex4(bytes.get(8..12)?)?;
            if low < 0xdc00 {
                return None;
            }
            let code = 0x10000i64 + ((i64::from(high) - 0xd800) << 10) + (i64::from(low) - 0xdc00);
            let c = u32::try_from(code).ok().and_then(char::from_u32).unwrap_or('\u{fffd}');
            return Some((c, 12));
        }
        _ => return None,
    };
    Some((c, 2))
}

fn hex4(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |value, digit| Some(value << 4 | char::from(*digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_values() {
        let cases = [
            (r#" "a b" x"#, Ok((JsonKind::String, "a b"))),
            (r#""a\"b","#, Ok((JsonKind::String, r#"a\"b"#))),
            (r#""a\\","#, Ok((JsonKind::String, r#"a\\"#))),
            (r#""0123456789abcdef0123\"456789""#, Ok((JsonKind::String, r#"0123456789abcdef0123\"456789"#))),
            (r#"{"a":"}"} "#, Ok((JsonKind::Object, r#"{"a":"}"}"#))),
            (r#"[1,[2],"]"]"#, Ok((JsonKind::Array, r#"[1,[2],"]"]"#))),
            ("-1.5e9,", Ok((JsonKind::Number, "-1.5e9"))),
            ("1x y", Ok((JsonKind::Number, "1x"))),
            ("true}", Ok((JsonKind::Bool, "true"))),
            ("null", Ok((JsonKind::Null, "null"))),
            ("", Err(JsonError::Malformed)),
            ("\"abc", Err(JsonError::OpenString)),
            ("{\"a\":1", Err(JsonError::OpenObject)),
            ("[1", Err(JsonError::OpenArray)),
            ("truth", Err(JsonError::UnknownType)),
        ];
        for (text, want) in cases {
            let got = value(text.as_bytes(), 0).map(|v| (v.kind, &text[v.start..v.end]));
            assert_eq!(got, want, "{text}");
        }
    }

    #[test]
    fn resolves_escapes() {
        let cases = [
            (r"a\n\t\/\\\u00e9", Some("a\n\t/\\é")),
            (r"\ud83d\ude00!", Some("😀!")),
            (r"\ud83d", None),
            (r"\ud83d\u0041", None),
            (r"\q", None),
            (r"\u12g4", None),
            ("plain é", Some("plain é")),
        ];
        for (text, want) in cases {
            let mut out = String::new();
            let ok = unescape_into(&mut out, text);
            assert_eq!(ok.then_some(out.as_str()), want, "{text}");
        }
    }
}
