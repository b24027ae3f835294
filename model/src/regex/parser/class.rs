//! Character classes: `[a-z]`, `\d`, `[[:alpha:]]`, `\p{Greek}`.
//!
//! In Go the groups are ASCII, `&&`, `~~` and a `[` inside a class are plain characters, and folding comes before negation.

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, Hir};

use super::super::error::{RegexError, RegexErrorKind};
use super::super::unicode;
use super::{Parser, fold};

impl Parser<'_> {
    /// `\pN`, `\p{Name}`, `\P…`, `\p{^Name}`; the place is at the backslash.
    pub(super) fn unicode_class(&mut self) -> Result<ClassUnicode, RegexError> {
        let start = self.at;
        let mut negated = self.pattern.as_bytes().get(start + 1) == Some(&b'P');
        self.at += 2;
        let rest = self.rest();
        let name = match rest.chars().next() {
            Some('{') => {
                let Some(end) = rest.find('}') else {
                    self.at = self.pattern.len();
                    return self.error(RegexErrorKind::CharRange, start);
                };
                self.at += end + 1;
                &rest[1..end]
            }
            Some(c) => {
                self.at += c.len_utf8();
                &rest[..c.len_utf8()]
            }
            None => return self.error(RegexErrorKind::CharRange, start),
        };
        let name = match name.strip_prefix('^') {
            Some(name) => {
                negated = !negated;
                name
            }
            None => name,
        };
        let Some(mut class) = unicode::class(name) else { return self.error(RegexErrorKind::CharRange, start) };
        if self.modes.fold {
            fold(&mut class);
        }
        if negated {
            class.negate();
        }
        Ok(class)
    }

    /// The class of an ASCII group, folded and negated as asked.
    pub(super) fn named(&self, group: NamedClass) -> ClassUnicode {
        let mut class = ClassUnicode::new(group.ranges.iter().map(|&(low, high)| ClassUnicodeRange::new(low, high)));
        if self.modes.fold {
            fold(&mut class);
        }
        if group.negated {
            class.negate();
        }
        class
    }

    /// A bracketed class; the place is at the `[`.
    pub(super) fn class(&mut self) -> Result<(), RegexError> {
        let start = self.at;
        self.at += 1;
        let negated = self.peek() == Some(b'^');
        if negated {
            self.at += 1;
        }
        let mut class = ClassUnicode::empty();
        let mut first = true;
        while first || self.peek() != Some(b']') {
            first = false;
            let rest = self.rest();
            if rest.len() > 2
                && rest.starts_with("[:")
                && let Some(end) = rest[2..].find(":]")
            {
                let item = self.at;
                self.at += end + 4;
                let Some(group) = posix_class(&rest[2..end + 2]) else {
                    return self.error(RegexErrorKind::CharRange, item);
                };
                class.union(&self.named(group));
                continue;
            }
            if rest.starts_with("\\p") || rest.starts_with("\\P") {
                let named = self.unicode_class()?;
                class.union(&named);
                continue;
            }
            if let [b'\\', letter, ..] = rest.as_bytes()
                && let Some(group) = perl_class(*letter)
            {
                self.at += 2;
                class.union(&self.named(group));
                continue;
            }
            self.class_range(start, &mut class)?;
        }
        self.at += 1;
        if negated {
            class.negate();
        }
        self.push(Hir::class(Class::Unicode(class)));
        Ok(())
    }

    /// One character or `a-z` inside a class that starts at `class_start`.
    fn class_range(&mut self, class_start: usize, class: &mut ClassUnicode) -> Result<(), RegexError> {
        let start = self.at;
        let low = self.class_char(class_start)?;
        let mut high = low;
        if let [b'-', next, ..] = self.rest().as_bytes()
            && *next != b']'
        {
            self.at += 1;
            high = self.class_char(class_start)?;
            if high < low {
                return self.error(RegexErrorKind::CharRange, start);
            }
        }
        // Surrogates cannot occur in the text: a range that touches them is cut to what can.
        let low = char::from_u32(low).unwrap_or('\u{e000}');
        let high = char::from_u32(high).unwrap_or('\u{d7ff}');
        if low <= high {
            let mut range = ClassUnicode::new([ClassUnicodeRange::new(low, high)]);
            if self.modes.fold {
                fold(&mut range);
            }
            class.union(&range);
        }
        Ok(())
    }

    /// One code point inside a class.
    fn class_char(&mut self, class_start: usize) -> Result<u32, RegexError> {
        if self.peek() == Some(b'\\') {
            let start = self.at;
            return match self.char_escape()? {
                Some(c) => Ok(u32::from(c)),
                None => Ok(surrogate_value(&self.pattern[start..self.at])),
            };
        }
        match self.next_char() {
            Some(c) => Ok(u32::from(c)),
            None => self.error(RegexErrorKind::MissingBracket, class_start),
        }
    }
}

/// Value of a `\x{d800}`-like escape, which is no `char`.
fn surrogate_value(escape: &str) -> u32 {
    let digits: String = escape.chars().skip(2).filter(char::is_ascii_hexdigit).collect();
    u32::from_str_radix(&digits, 16).unwrap_or(0xd800)
}

/// An ASCII group such as `\d` or `[:alpha:]`.
#[derive(Clone, Copy, Default)]
pub(super) struct NamedClass {
    ranges: &'static [(char, char)],
    negated: bool,
}

pub(super) fn perl_class(letter: u8) -> Option<NamedClass> {
    let ranges: &[(char, char)] = match letter.to_ascii_lowercase() {
        b'd' => &[('0', '9')],
        b's' => &[('\t', '\n'), ('\x0c', '\r'), (' ', ' ')],
        b'w' => &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')],
        _ => return None,
    };
    Some(NamedClass { ranges, negated: letter.is_ascii_uppercase() })
}

/// The class of `[:name:]`, given what stands between the colons.
fn posix_class(name: &str) -> Option<NamedClass> {
    let (negated, name) = match name.strip_prefix('^') {
        Some(name) => (true, name),
        None => (false, name),
    };
    let ranges: &[(char, char)] = match name {
        "alnum" => &[('0', '9'), ('A', 'Z'), ('a', 'z')],
        "alpha" => &[('A', 'Z'), ('a', 'z')],
        "ascii" => &[('\0', '\x7f')],
        "blank" => &[('\t', '\t'), (' ', ' ')],
        "cntrl" => &[('\0', '\x1f'), ('\x7f', '\x7f')],
        "digit" => &[('0', '9')],
        "graph" => &[('!', '~')],
        "lower" => &[('a', 'z')],
        "print" => &[(' ', '~')],
        "punct" => &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')],
        "space" => &[('\t', '\r'), (' ', ' ')],
        "upper" => &[('A', 'Z')],
        "word" => &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')],
        "xdigit" => &[('0', '9'), ('A', 'F'), ('a', 'f')],
        _ => return None,
    };
    Some(NamedClass { ranges, negated })
}
