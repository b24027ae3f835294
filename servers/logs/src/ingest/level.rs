//! The level of an entry, by the peer's rules: what the line's JSON or logfmt keys say, else the first word in it that names a
//! level.
//!
//! Lines are looked at as bytes, nothing is allocated unless a line is searched for words in upper case.

use std::borrow::Cow;

use super::fields::{is_json, is_logfmt, json_level, logfmt_value};

/// The level under its usual name; `None` for a text that is none.
pub(crate) fn normal_level(text: &str) -> Option<&'static str> {
    const NAMES: [(&str, &str); 15] = [
        ("info", "info"),
        ("error", "error"),
        ("warn", "warn"),
        ("debug", "debug"),
        ("warning", "warn"),
        ("err", "error"),
        ("trace", "trace"),
        ("critical", "critical"),
        ("fatal", "fatal"),
        ("inf", "info"),
        ("information", "info"),
        ("dbg", "debug"),
        ("wrn", "warn"),
        ("trc", "trace"),
        ("unknown", "unknown"),
    ];
    NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, level)| *level)
}

/// The level of an OpenTelemetry severity number.
pub(crate) fn severity_level(number: &str) -> &'static str {
    match number.parse::<i64>() {
        Err(_) => "info",
        Ok(number) => match number {
            0 => "unknown",
            i64::MIN..=4 => "trace",
            5..=8 => "debug",
            9..=12 => "info",
            13..=16 => "warn",
            17..=20 => "error",
            21..=24 => "fatal",
            _ => "unknown",
        },
    }
}

/// The level that a line itself says. `fields` are the keys that may hold it, `max_depth` how deep JSON objects are searched
/// (0: without end).
pub(crate) fn line_level(line: &str, fields: &[String], max_depth: usize) -> &'static str {
    let found: Option<Cow<'_, str>> = if is_json(line) {
        json_level(line, fields, max_depth)
    } else if is_logfmt(line) {
        logfmt_value(line, fields)
    } else {
        None
    };
    // A value that is "unknown" is no level the peer knows.
    match found.and_then(|value| normal_level(&value)).filter(|level| *level != "unknown") {
        Some(level) => level,
        None => word_level(line),
    }
}

/// Words that name levels; of two at one place the first in this list is meant.
const WORDS: [(&str, &str); 9] = [
    ("trace", "trace"),
    ("debug", "debug"),
    ("fatal", "fatal"),
    ("critical", "critical"),
    ("error", "error"),
    ("err", "error"),
    ("warning", "warn"),
    ("warn", "warn"),
    ("info", "info"),
];

/// The first word of the line that names a level, in any case.
fn word_level(line: &str) -> &'static str {
    let bytes = line.as_bytes();
    for at in 0..bytes.len() {
        let first = bytes[at] | 0x20;
        if !matches!(first, b't' | b'd' | b'f' | b'c' | b'e' | b'w' | b'i') || at > 0 && !left_boundary(bytes[at - 1]) {
            continue;
        }
        for (word, level) in WORDS {
            let end = at + word.len();
            if bytes.get(at..end).is_some_and(|part| part.eq_ignore_ascii_case(word.as_bytes()))
                && bytes.get(end).is_none_or(|next| right_boundary(*next))
            {
                return level;
            }
        }
    }
    "unknown"
}

/// What may stand before a level; a colon may not, it makes a compound such as `misc:error`.
fn left_boundary(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'[' | b'(' | b'{' | b'"' | b'\'' | b'=' | b'|')
}

fn right_boundary(byte: u8) -> bool {
    matches!(
        byte,
        b' ' | b'\t'
            | b'\n'
            | b'['
            | b']'
            | b'('
            | b')'
            | b'{'
            | b'}'
            | b':'
            | b','
            | b'!'
            | b'"'
            | b'\''
            | b'='
            | b'|'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(line: &str) -> &'static str {
        let fields: Vec<String> =
            ["level", "LEVEL", "Level", "log.level", "severity", "lvl"].iter().map(|s| (*s).to_owned()).collect();
        line_level(line, &fields, 2)
    }

    #[test]
    fn levels_of_lines() {
        let cases = [
            (r#"{"level":"warn","msg":"error"}"#, "warn"),
            (r#"{"msg":"x","level":"ERR"}"#, "error"),
            (r#"{"log":{"level":"dbg"},"msg":"x"}"#, "debug"),
            (r#"{"a":{"b":{"level":"wrn"}},"msg":"fatal error"}"#, "fatal"),
            (r#"{"level":5,"msg":"nothing"}"#, "unknown"),
            (r#"{"level":"strange","msg":"an info"}"#, "info"),
            (r#"{"msg":"no level"}"#, "unknown"),
            (r#"  {"lvl":"information"} "#, "info"),
            (r#"{"broken": "level", error"#, "error"),
            ("ts=1 level=info msg=\"an error\"", "info"),
            ("ts=1 LeVeL=WRN msg=x", "warn"),
            ("lvl=debug level=error", "error"),
            ("msg=\"no level here\"", "unknown"),
            ("a=b fatal: stop", "fatal"),
            ("2026-01-05 ERROR something", "error"),
            ("[WARNING] x", "warn"),
            ("warn: x", "warn"),
            ("errors happen", "unknown"),
            ("misc:error", "unknown"),
            ("info error", "info"),
            ("", "unknown"),
            ("terror", "unknown"),
            ("error", "error"),
            ("GET /error HTTP/1.1", "unknown"),
        ];
        for (line, want) in cases {
            assert_eq!(level(line), want, "{line}");
        }
    }

    #[test]
    fn levels_of_severity_numbers() {
        for (number, want) in [
            ("0", "unknown"),
            ("1", "trace"),
            ("8", "debug"),
            ("9", "info"),
            ("13", "warn"),
            ("17", "error"),
            ("24", "fatal"),
            ("25", "unknown"),
            ("x", "info"),
        ] {
            assert_eq!(severity_level(number), want, "{number}");
        }
    }
}
