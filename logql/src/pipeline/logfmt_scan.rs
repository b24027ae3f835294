//! Reading logfmt pair by pair.
//!
//! A key ends at `=`, at a space or at the end; a value starts behind the `=` and is plain or in double quotes with JSON's
//! escapes. What cannot be read is skipped up to the next space (in quotes: to their end) and noted as an error.

use super::bytes::{space, word_end};
use super::context::may_hold_replacement;

/// What is wrong in a line, and where; see [`LogfmtScan::error`].
#[derive(Clone, Copy, Debug)]
enum Problem {
    InvalidKey,
    Unexpected(char),
    OpenQuote,
    InvalidQuote,
}

/// A line that is being read.
pub(crate) struct LogfmtScan<'a> {
    line: &'a str,
    at: usize,
    key: (usize, usize),
    value: Value,
    unquoted: String,
    problem: Option<(Problem, usize)>,
    /// The line may hold U+FFFD.
    odd: bool,
}

#[derive(Clone, Copy, Debug)]
enum Value {
    /// A part of the line.
    Range(usize, usize),
    /// In `unquoted`.
    Unquoted,
}

impl<'a> LogfmtScan<'a> {
    pub(crate) fn new(line: &'a str) -> Self {
        let odd = may_hold_replacement(line);
        Self { line, at: 0, key: (0, 0), value: Value::Range(0, 0), unquoted: String::new(), problem: None, odd }
    }

    pub(crate) fn at_end(&self) -> bool {
        self.at >= self.line.len()
    }

    pub(crate) fn key(&self) -> &'a str {
        &self.line[self.key.0..self.key.1]
    }

    pub(crate) fn value(&self) -> &str {
        match self.value {
            Value::Range(start, end) => &self.line[start..end],
            Value::Unquoted => &self.unquoted,
        }
    }

    /// Where the value lies in the line; `None` when it had escapes.
    pub(crate) fn value_range(&self) -> Option<(usize, usize)> {
        match self.value {
            Value::Range(start, end) => Some((start, end)),
            Value::Unquoted => None,
        }
    }

    /// The value with its escapes resolved.
    pub(crate) fn unquoted(&self) -> &str {
        &self.unquoted
    }

    /// The last thing that could not be read.
    pub(crate) fn error(&self) -> Option<String> {
        let (problem, at) = self.problem?;
        let text = match problem {
            Problem::InvalidKey => "invalid key".to_owned(),
            Problem::Unexpected(c) => format!("unexpected '{c}'"),
            Problem::OpenQuote => "unterminated quoted value".to_owned(),
            Problem::InvalidQuote => "invalid quoted value".to_owned(),
        };
        Some(format!("logfmt syntax error at pos {} : {text}", at + 1))
    }

    fn fail(&mut self, problem: Problem) -> bool {
        self.problem = Some((problem, self.at));
        false
    }

    /// Goes to the next pair; false when there is none here, which is not yet the end of the line. `expected` may know the
    /// end of the key that starts at an offset, behind which a `=` stands.
    #[inline]
    pub(crate) fn next_pair(&mut self, expected: impl FnOnce(&[u8], usize) -> Option<usize>) -> bool {
        let bytes = self.line.as_bytes();
        self.key = (0, 0);
        self.value = Value::Range(0, 0);
        let Some(skipped) = bytes[self.at..].iter().position(|b| *b > b' ') else {
            self.at = bytes.len();
            return false;
        };
        let start = self.at + skipped;
        if let Some(end) = expected(bytes, start) {
            self.key = (start, end);
            return self.read_value(end + 1);
        }
        let end = word_end(bytes, start);
        self.at = end;
        let stop = bytes.get(end).copied();
        if stop == Some(b'"') {
            self.fail(Problem::Unexpected('"'));
            return self.skip_word();
        }
        if end == start {
            self.fail(Problem::Unexpected('='));
            return self.skip_word();
        }
        self.key = (start, end);
        if self.odd && self.key().contains('\u{fffd}') {
            self.fail(Problem::InvalidKey);
            return if stop == Some(b'=') { self.skip_word() } else { false };
        }
        if stop == Some(b'=') { self.read_value(end + 1) } else { true }
    }

    /// Reads the value behind the `=`.
    fn read_value(&mut self, start: usize) -> bool {
        let bytes = self.line.as_bytes();
        self.at = start;
        match bytes.get(start) {
            None => return true,
            Some(b'"') => return self.read_quoted(start),
            Some(b) if *b <= b' ' => return true,
            Some(_) => {}
        }
        let end = word_end(bytes, start);
        self.at = end;
        match bytes.get(end) {
            Some(c @ (b'=' | b'"')) => {
                let c = char::from(*c);
                self.fail(Problem::Unexpected(c));
                self.skip_word()
            }
            _ => {
                self.value = Value::Range(start, end);
                true
            }
        }
    }

    fn read_quoted(&mut self, start: usize) -> bool {
        let bytes = self.line.as_bytes();
        let Some((end, escaped)) = super::json_scan::string_end(bytes, start + 1) else {
            self.at = bytes.len();
            return self.fail(Problem::OpenQuote);
        };
        self.at = end + 1;
        if !escaped {
            self.value = Value::Range(start + 1, end);
            return true;
        }
        self.unquoted.clear();
        if !unquote_into(&mut self.unquoted, &self.line[start + 1..end]) {
            return self.fail(Problem::InvalidQuote);
        }
        self.value = Value::Unquoted;
        true
    }

    /// Skips to the next space, from what cannot be read.
    fn skip_word(&mut self) -> bool {
        let bytes = self.line.as_bytes();
        self.at = space(bytes, self.at);
        false
    }
}

/// Resolves JSON's escapes and `\'`; halves of surrogate pairs become U+FFFD. False when an escape is none.
fn unquote_into(out: &mut String, text: &str) -> bool {
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let bytes = &rest.as_bytes()[at..];
        let (c, len) = match bytes.get(1) {
            Some(b @ (b'"' | b'\\' | b'/' | b'\'')) => (char::from(*b), 2),
            Some(b'b') => ('\u{8}', 2),
            Some(b'f') => ('\u{c}', 2),
            Some(b'n') => ('\n', 2),
            Some(b'r') => ('\r', 2),
            Some(b't') => ('\t', 2),
            Some(b'u') => {
                let Some(unit) = unicode_escape(bytes) else { return false };
                match (char::from_u32(unit), unicode_escape(&bytes[6..])) {
                    (Some(c), _) => (c, 6),
                    (None, Some(low)) if (0xd800..0xdc00).contains(&unit) && (0xdc00..0xe000).contains(&low) => {
                        let code = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                        (char::from_u32(code).unwrap_or('\u{fffd}'), 12)
                    }
                    _ => ('\u{fffd}', 6),
                }
            }
            _ => return false,
        };
        out.push(c);
        rest = &rest[at + len..];
    }
    out.push_str(rest);
    true
}

fn unicode_escape(bytes: &[u8]) -> Option<u32> {
    let digits = bytes.strip_prefix(b"\\u")?.get(..4)?;
    digits.iter().try_fold(0, |value, digit| Some(value << 4 | char::from(*digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pairs(line: &str) -> Vec<(String, String)> {
        let mut scan = LogfmtScan::new(line);
        let mut found = Vec::new();
        while !scan.at_end() {
            if scan.next_pair(|_, _| None) {
                found.push((scan.key().to_owned(), scan.value().to_owned()));
            }
        }
        found
    }

    #[test]
    fn reads_pairs_and_skips_the_rest() {
        let cases: [(&str, &[(&str, &str)]); 12] = [
            ("a=1 b=2", &[("a", "1"), ("b", "2")]),
            ("a= b", &[("a", ""), ("b", "")]),
            (r#"a="x y" b="q\"\n\u00e9""#, &[("a", "x y"), ("b", "q\"\né")]),
            (r#"a="" b=1"#, &[("a", ""), ("b", "1")]),
            ("=1 b=2", &[("b", "2")]),
            (r#"a"b=1 c=2"#, &[("c", "2")]),
            ("a=b=c d=1", &[("d", "1")]),
            (r#"a="open b=1"#, &[]),
            (r#"a="\q" b=1"#, &[("b", "1")]),
            ("a\u{fffd}=1 b=2", &[("b", "2")]),
            ("  \t a=1\n", &[("a", "1")]),
            (r#"a="1"b=2"#, &[("a", "1"), ("b", "2")]),
        ];
        for (line, want) in cases {
            let want: Vec<_> = want.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            assert_eq!(pairs(line), want, "{line}");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        let cases = [
            ("=1", "logfmt syntax error at pos 1 : unexpected '='"),
            (r#"a"b=1"#, r#"logfmt syntax error at pos 2 : unexpected '"'"#),
            ("a=b=c", "logfmt syntax error at pos 4 : unexpected '='"),
            (r#"a="x"#, "logfmt syntax error at pos 5 : unterminated quoted value"),
            (r#"a="\q""#, "logfmt syntax error at pos 7 : invalid quoted value"),
        ];
        for (line, want) in cases {
            let mut scan = LogfmtScan::new(line);
            while !scan.at_end() && scan.next_pair(|_, _| None) {}
            assert_eq!(scan.error().as_deref(), Some(want), "{line}");
        }
    }

    proptest! {
        #[test]
        fn ends_on_any_text(line in "[a=\"\\\\ u0b\u{fffd}é\n]{0,40}") {
            pairs(&line);
        }
    }
}
