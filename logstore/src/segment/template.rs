//! Splits a line into a template and fields: what stays the same in lines of one origin, and what varies.
//!
//! The template is the line with each field replaced by [`FIELD`], a byte that UTF-8 never has. Fields are what stands in quotes,
//! what follows a `key=`, and runs of other characters between white space and brackets; keys of JSON and logfmt and all
//! punctuation between fields stay in the template. So lines of one statement in a program mostly share a template, JSON
//! objects with the same keys do, and field `n` of a template has one meaning.
//!
//! Nothing depends on the choice of fields but size and speed: template and fields put together again are the line.

/// Stands for a field in a template.
pub(crate) const FIELD: u8 = 0xff;
/// Lines with more fields are not split.
const MAX_FIELDS: usize = 200;
/// Lines whose template would be longer are not split.
const MAX_TEMPLATE: usize = 4 << 10;
/// Longest key of JSON or logfmt that stays in the template.
const MAX_KEY: usize = 64;

/// What a character does outside of quotes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Word,
    /// Part of a word that says nothing on its own.
    Punctuation,
    Delimiter,
    Quote,
    Apostrophe,
    Comma,
    Equals,
}

const fn class(byte: u8) -> Class {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | 0x80.. => Class::Word,
        b'_' | b'-' | b'.' | b'/' | b':' | b'+' | b'@' | b'%' | b'&' | b'?' | b'#' | b'~' | b'*' | b'$' | b'!' | b'^' => {
            Class::Punctuation
        }
        b'\\' | b'`' => Class::Punctuation,
        b'"' => Class::Quote,
        b'\'' => Class::Apostrophe,
        b',' => Class::Comma,
        b'=' => Class::Equals,
        _ => Class::Delimiter,
    }
}

static CLASSES: [Class; 256] = {
    let mut classes = [Class::Word; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = class(byte as u8);
        byte += 1;
    }
    classes
};

/// Splits lines; keeps its memory between them.
#[derive(Debug, Default)]
pub(crate) struct Splitter {
    /// Template of the last line.
    pub(crate) template: Vec<u8>,
    /// Start and end of its fields in the line.
    pub(crate) fields: Vec<(u32, u32)>,
}

impl Splitter {
    /// Splits a line; false when it has too many fields or too much between them.
    pub(crate) fn split(&mut self, line: &[u8]) -> bool {
        self.template.clear();
        self.fields.clear();
        let mut at = 0;
        while at < line.len() {
            at = match CLASSES[usize::from(line[at])] {
                Class::Quote => self.quoted(line, at),
                Class::Word | Class::Punctuation => self.bare(line, at, false),
                _ => {
                    self.template.push(line[at]);
                    at + 1
                }
            };
            if self.fields.len() > MAX_FIELDS || self.template.len() > MAX_TEMPLATE {
                return false;
            }
        }
        true
    }

    fn field(&mut self, start: usize, end: usize) {
        self.template.push(FIELD);
        self.fields.push((start as u32, end as u32));
    }

    /// A quote at `start`: a JSON key, a quoted field, or a quote on its own.
    fn quoted(&mut self, line: &[u8], start: usize) -> usize {
        let Some(end) = closing_quote(line, start + 1) else {
            self.template.push(b'"');
            return start + 1;
        };
        if line.get(end + 1) == Some(&b':') && end - start <= MAX_KEY {
            self.template.extend_from_slice(&line[start..=end]);
            self.template.push(b':');
            return end + 2;
        }
        self.template.push(b'"');
        if end > start + 1 {
            self.field(start + 1, end);
        }
        self.template.push(b'"');
        end + 1
    }

    /// A word at `start`. `value`: it follows a key and may hold `=`.
    fn bare(&mut self, line: &[u8], start: usize, value: bool) -> usize {
        let mut end = start;
        let mut says_something = false;
        while end < line.len() {
            match CLASSES[usize::from(line[end])] {
                Class::Word => says_something = true,
                Class::Punctuation => {}
                Class::Equals if value => {}
                Class::Apostrophe if is_letter(line, end.wrapping_sub(1)) && is_letter(line, end + 1) => {}
                Class::Comma if is_decimal_comma(line, end) => {}
                _ => break,
            }
            end += 1;
        }
        if !value && line.get(end) == Some(&b'=') && line.get(end + 1) != Some(&b'=') && is_key(&line[start..end]) {
            self.template.extend_from_slice(&line[start..=end]);
            let next = line.get(end + 1).map(|byte| CLASSES[usize::from(*byte)]);
            return match next {
                Some(Class::Word | Class::Punctuation) => self.bare(line, end + 1, true),
                _ => end + 1,
            };
        }
        let mut field_end = end;
        while field_end > start && matches!(line[field_end - 1], b':' | b'.' | b'!' | b'?') {
            field_end -= 1;
        }
        if says_something || &line[start..field_end] == b"-" {
            self.field(start, field_end);
        } else {
            field_end = start;
        }
        self.template.extend_from_slice(&line[field_end..end]);
        end
    }
}

/// The quote that ends what begins at `from`, on the same line of text.
fn closing_quote(line: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        let found = at + memchr::memchr2(b'"', b'\n', line.get(at..)?)?;
        if line[found] == b'\n' {
            return None;
        }
        let backslashes = line[from..found].iter().rev().take_while(|byte| **byte == b'\\').count();
        if backslashes % 2 == 0 {
            return Some(found);
        }
        at = found + 1;
    }
}

fn is_letter(line: &[u8], at: usize) -> bool {
    line.get(at).is_some_and(u8::is_ascii_alphabetic)
}

/// The comma before the milliseconds of a time: `12:34:56,789`.
fn is_decimal_comma(line: &[u8], at: usize) -> bool {
    let digits = |range: std::ops::Range<usize>| line.get(range).is_some_and(|d| d.iter().all(u8::is_ascii_digit));
    at >= 3 && line[at - 3] == b':' && digits(at - 2..at) && digits(at + 1..at + 4)
}

fn is_key(word: &[u8]) -> bool {
    word.len() <= MAX_KEY && word.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(line: &str) -> (String, Vec<&str>) {
        let mut splitter = Splitter::default();
        assert!(splitter.split(line.as_bytes()));
        let fields = splitter.fields.iter().map(|(start, end)| &line[*start as usize..*end as usize]).collect();
        let template: Vec<u8> = splitter.template.iter().map(|b| if *b == FIELD { b'_' } else { *b }).collect();
        (String::from_utf8(template).unwrap(), fields)
    }

    #[test]
    fn templates_of_usual_lines() {
        let cases: &[(&str, &str, &[&str])] = &[
            ("", "", &[]),
            (
                r#"10.0.0.7 - alice [05/Jan/2026:10:00:02 +0000] "GET /cart?x=1 HTTP/1.1" 200 53 "-" "curl/8.0" 0.123"#,
                r#"_ _ _ [_ _] "_" _ _ "_" "_" _"#,
                &["10.0.0.7", "-", "alice", "05/Jan/2026:10:00:02", "+0000", "GET /cart?x=1 HTTP/1.1", "200", "53", "-", "curl/8.0", "0.123"],
            ),
            (
                r#"{"ts":"2026-01-05T10:00:00Z","n":{"id":42,"tags":["a b",""]},"ok":true,"x y": -1.5}"#,
                r#"{"ts":"_","n":{"id":_,"tags":["_",""]},"ok":_,"x y": _}"#,
                &["2026-01-05T10:00:00Z", "42", "a b", "true", "-1.5"],
            ),
            (
                r#"ts=2026-01-05 level=info msg="it \"is\" done" path=/a?b=c&d=e empty= dur=1.5ms"#,
                r#"ts=_ level=_ msg="_" path=_ empty= dur=_"#,
                &["2026-01-05", "info", r#"it \"is\" done"#, "/a?b=c&d=e", "1.5ms"],
            ),
            (
                "Jan  5 10:00:02 host sshd[12]: session opened for root(uid=0), don't ask...",
                "_  _ _ _ _[_]: _ _ _ _(uid=_), _ _...",
                &["Jan", "5", "10:00:02", "host", "sshd", "12", "session", "opened", "for", "root", "0", "don't", "ask"],
            ),
            ("10:00:07,123 a,b -- => '!'", "_ _,_ -- => '!'", &["10:00:07,123", "a", "b"]),
            ("say \"no\nend\"", "_ \"_\n_\"", &["say", "no", "end"]),
            ("a == b, c=", "_ == _, c=", &["a", "b"]),
        ];
        for (line, template, fields) in cases {
            let (got_template, got_fields) = split(line);
            assert_eq!(got_template, *template);
            assert_eq!(got_fields, *fields);
        }
    }

    #[test]
    fn lines_with_too_much_structure_are_not_split() {
        let mut splitter = Splitter::default();
        assert!(!splitter.split("a ".repeat(MAX_FIELDS + 2).as_bytes()));
        assert!(!splitter.split(" ".repeat(MAX_TEMPLATE + 2).as_bytes()));
    }

    proptest! {
        #[test]
        fn template_and_fields_are_the_line(line in r#"([a-z0-9:.,=\-"' \\\n{}]|é|\PC){0,60}"#) {
            let mut splitter = Splitter::default();
            prop_assert!(splitter.split(line.as_bytes()));
            let mut fields = splitter.fields.iter();
            let mut got = Vec::new();
            for byte in &splitter.template {
                if *byte == FIELD {
                    let (start, end) = fields.next().unwrap();
                    prop_assert!(start < end);
                    got.extend_from_slice(&line.as_bytes()[*start as usize..*end as usize]);
                } else {
                    got.push(*byte);
                }
            }
            prop_assert_eq!(got, line.as_bytes());
            for (start, end) in &splitter.fields {
                prop_assert!(!line[*start as usize..*end as usize].contains('\n'));
            }
        }
    }
}
