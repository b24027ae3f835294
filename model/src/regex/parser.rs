//! From the text of a pattern in Go's dialect to `regex-syntax` HIR.
//!
//! One pass with an explicit stack of open groups, so that depth costs heap and not stack. Every place where the dialect
//! of the `regex` crate differs (ASCII `\d \w \s \b`, literal braces, `\Q…\E`, octal escapes, set operators that are plain
//! characters in Go, names of Unicode classes, repeat limits) is decided here, by building HIR directly instead of
//! rewriting text. Group names stay outside the HIR, because two groups may share one.

mod class;

use regex_syntax::hir::{Capture, Class, ClassUnicode, ClassUnicodeRange, Dot, Hir, Look, Repetition};

use super::error::{RegexError, RegexErrorKind};
use super::{Flags, MAX_NESTING};
use class::perl_class;

/// Largest repeat count, also of nested repeats multiplied.
const MAX_REPEAT: u32 = 1000;

/// A parsed pattern: its HIR without anchors of the caller's, and the name of each group (index 0 is the whole match).
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) hir: Hir,
    pub(super) names: Vec<Option<Box<str>>>,
    /// Something is repeated a given number of times, so the program may be far longer than the pattern.
    pub(super) counted: bool,
}

pub(super) fn parse(pattern: &str, flags: Flags) -> Result<Parsed, RegexError> {
    let modes = Modes {
        fold: flags.case_insensitive,
        multi_line: flags.multi_line,
        dot_newline: flags.dot_matches_newline,
        lazy: false,
    };
    let mut parser = Parser { pattern, at: 0, modes, groups: vec![Group::new(modes, None)], names: vec![None] };
    parser.run()?;
    let names = parser.names;
    let whole = match parser.groups.pop() {
        Some(group) if parser.groups.is_empty() => group.finish(),
        _ => return Err(RegexError { kind: RegexErrorKind::MissingParen, fragment: pattern.to_owned() }),
    };
    check_nesting(whole.height, pattern)?;
    Ok(Parsed { hir: whole.hir, names, counted: whole.repeats > 1 })
}

/// The switches of `(?imsU)`.
#[derive(Clone, Copy)]
struct Modes {
    fold: bool,
    multi_line: bool,
    dot_newline: bool,
    lazy: bool,
}

/// A finished part of the pattern.
struct Node {
    hir: Hir,
    /// Largest product of nested repeat counts inside.
    repeats: u32,
    /// Nested operators inside.
    height: u32,
}

impl Node {
    fn leaf(hir: Hir) -> Self {
        Self { hir, repeats: 1, height: 1 }
    }

    /// Combines parts by `build`; a single part stays as it is.
    fn join(mut parts: Vec<Node>, build: fn(Vec<Hir>) -> Hir) -> Self {
        match parts.len() {
            0 => Self::leaf(Hir::empty()),
            1 => parts.swap_remove(0),
            _ => {
                let repeats = parts.iter().map(|part| part.repeats).max().unwrap_or(1);
                let height = parts.iter().map(|part| part.height).max().unwrap_or(0) + 1;
                Self { hir: build(parts.into_iter().map(|part| part.hir).collect()), repeats, height }
            }
        }
    }
}

/// An open parenthesis, or the whole pattern.
struct Group {
    /// Modes to restore at the closing parenthesis.
    outer_modes: Modes,
    /// Index of the capture, if it is one.
    capture: Option<u32>,
    alternatives: Vec<Node>,
    items: Vec<Node>,
}

impl Group {
    fn new(outer_modes: Modes, capture: Option<u32>) -> Self {
        Self { outer_modes, capture, alternatives: Vec::new(), items: Vec::new() }
    }

    fn end_alternative(&mut self) {
        let items = std::mem::take(&mut self.items);
        self.alternatives.push(Node::join(items, Hir::concat));
    }

    fn finish(mut self) -> Node {
        self.end_alternative();
        Node::join(self.alternatives, Hir::alternation)
    }
}

struct Parser<'p> {
    pattern: &'p str,
    at: usize,
    modes: Modes,
    groups: Vec<Group>,
    names: Vec<Option<Box<str>>>,
}

fn check_nesting(height: u32, pattern: &str) -> Result<(), RegexError> {
    if height > MAX_NESTING {
        return Err(RegexError { kind: RegexErrorKind::Nesting, fragment: pattern.to_owned() });
    }
    Ok(())
}

impl<'p> Parser<'p> {
    fn rest(&self) -> &'p str {
        &self.pattern[self.at..]
    }

    fn peek(&self) -> Option<u8> {
        self.pattern.as_bytes().get(self.at).copied()
    }

    fn next_char(&mut self) -> Option<char> {
        let c = self.rest().chars().next()?;
        self.at += c.len_utf8();
        Some(c)
    }

    /// An error about the text from `start` to the place reached.
    fn error<T>(&self, kind: RegexErrorKind, start: usize) -> Result<T, RegexError> {
        Err(RegexError { kind, fragment: self.pattern[start..self.at].to_owned() })
    }

    fn error_whole<T>(&self, kind: RegexErrorKind) -> Result<T, RegexError> {
        Err(RegexError { kind, fragment: self.pattern.to_owned() })
    }

    fn push(&mut self, hir: Hir) {
        self.push_node(Node::leaf(hir));
    }

    fn push_node(&mut self, node: Node) {
        if let Some(group) = self.groups.last_mut() {
            group.items.push(node);
        }
    }

    fn run(&mut self) -> Result<(), RegexError> {
        // Where the quantifier just before this place starts: a second one right behind it is refused.
        let mut last_repeat = None;
        while let Some(byte) = self.peek() {
            let start = self.at;
            let mut repeat = None;
            match byte {
                b'(' if self.rest().starts_with("(?") => self.perl_group()?,
                b'(' => {
                    self.at += 1;
                    self.open_capture(None);
                }
                b'|' => {
                    self.at += 1;
                    if let Some(group) = self.groups.last_mut() {
                        group.end_alternative();
                    }
                }
                b')' => self.close_group()?,
                b'^' => {
                    self.at += 1;
                    self.push(Hir::look(if self.modes.multi_line { Look::StartLF } else { Look::Start }));
                }
                b'$' => {
                    self.at += 1;
                    self.push(Hir::look(if self.modes.multi_line { Look::EndLF } else { Look::End }));
                }
                b'.' => {
                    self.at += 1;
                    self.push(Hir::dot(if self.modes.dot_newline { Dot::AnyChar } else { Dot::AnyCharExceptLF }));
                }
                b'[' => self.class()?,
                b'*' | b'+' | b'?' => {
                    self.at += 1;
                    let (min, max) = match byte {
                        b'*' => (0, None),
                        b'+' => (1, None),
                        _ => (0, Some(1)),
                    };
                    self.quantify(start, last_repeat, min, max, false)?;
                    repeat = Some(start);
                }
                b'{' => match self.braces()? {
                    Some((min, max)) => {
                        self.quantify(start, last_repeat, min, max, true)?;
                        repeat = Some(start);
                    }
                    None => {
                        self.at = start + 1;
                        self.literal('{');
                    }
                },
                b'\\' => self.escape()?,
                _ => {
                    if let Some(c) = self.next_char() {
                        self.literal(c);
                    }
                }
            }
            last_repeat = repeat;
        }
        Ok(())
    }

    fn literal(&mut self, c: char) {
        if self.modes.fold {
            let mut class = ClassUnicode::new([ClassUnicodeRange::new(c, c)]);
            fold(&mut class);
            self.push(Hir::class(Class::Unicode(class)));
        } else {
            let mut buffer = [0; 4];
            self.push(Hir::literal(c.encode_utf8(&mut buffer).as_bytes()));
        }
    }

    fn open_capture(&mut self, name: Option<&str>) {
        let index = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.names.push(name.map(Box::from));
        self.groups.push(Group::new(self.modes, Some(index)));
    }

    fn close_group(&mut self) -> Result<(), RegexError> {
        if self.groups.len() < 2 {
            return self.error_whole(RegexErrorKind::UnexpectedParen);
        }
        let Some(group) = self.groups.pop() else { return self.error_whole(RegexErrorKind::UnexpectedParen) };
        self.at += 1;
        self.modes = group.outer_modes;
        let capture = group.capture;
        let mut node = group.finish();
        if let Some(index) = capture {
            node.hir = Hir::capture(Capture { index, name: None, sub: Box::new(node.hir) });
            node.height += 1;
        }
        check_nesting(node.height, self.pattern)?;
        self.push_node(node);
        Ok(())
    }

    /// `(?P<name>`, `(?<name>`, `(?flags)` and `(?flags:`.
    fn perl_group(&mut self) -> Result<(), RegexError> {
        let start = self.at;
        let rest = self.rest();
        let name_at = match () {
            () if rest.starts_with("(?P<") && rest.len() > 4 => Some(4),
            () if rest.starts_with("(?<") && rest.len() > 3 => Some(3),
            () => None,
        };
        if let Some(name_at) = name_at {
            let Some(end) = rest.find('>') else {
                self.at = self.pattern.len();
                return self.error(RegexErrorKind::NamedCapture, start);
            };
            self.at += end + 1;
            let name = rest.get(name_at..end).unwrap_or_default();
            if name.is_empty() || !name.bytes().all(|b| b == b'_' || b.is_ascii_alphanumeric()) {
                return self.error(RegexErrorKind::NamedCapture, start);
            }
            self.open_capture(Some(name));
            return Ok(());
        }
        self.at += 2;
        let outer = self.modes;
        let mut modes = self.modes;
        let mut on = true;
        let mut seen = false;
        while let Some(c) = self.next_char() {
            match c {
                'i' => modes.fold = on,
                'm' => modes.multi_line = on,
                's' => modes.dot_newline = on,
                'U' => modes.lazy = on,
                '-' if on => {
                    on = false;
                    seen = false;
                    continue;
                }
                ':' | ')' if on || seen => {
                    self.modes = modes;
                    if c == ':' {
                        self.groups.push(Group::new(outer, None));
                    }
                    return Ok(());
                }
                _ => break,
            }
            seen = true;
        }
        self.error(RegexErrorKind::PerlSyntax, start)
    }

    /// Applies a quantifier, whose text starts at `start`, to the item before it.
    fn quantify(
        &mut self,
        start: usize,
        last_repeat: Option<usize>,
        min: u32,
        max: Option<u32>,
        counted: bool,
    ) -> Result<(), RegexError> {
        let mut greedy = !self.modes.lazy;
        if self.peek() == Some(b'?') {
            self.at += 1;
            greedy = !greedy;
        }
        if let Some(last) = last_repeat {
            return self.error(RegexErrorKind::RepeatOperator, last);
        }
        let Some(sub) = self.groups.last_mut().and_then(|group| group.items.pop()) else {
            return self.error(RegexErrorKind::MissingRepeatArgument, start);
        };
        let repeats = match (counted, max) {
            (true, Some(0)) => 1,
            (true, bound) => sub.repeats.saturating_mul(bound.unwrap_or(min).max(1)),
            (false, _) => sub.repeats,
        };
        if counted && (min >= 2 || max.is_some_and(|max| max >= 2)) && repeats > MAX_REPEAT {
            return self.error(RegexErrorKind::RepeatCount, start);
        }
        let height = sub.height + 1;
        check_nesting(height, self.pattern)?;
        let hir = Hir::repetition(Repetition { min, max, greedy, sub: Box::new(sub.hir) });
        self.push_node(Node { hir, repeats, height });
        Ok(())
    }

    /// `{n}`, `{n,}`, `{n,m}`; `None` if the brace is a literal.
    fn braces(&mut self) -> Result<Option<(u32, Option<u32>)>, RegexError> {
        let start = self.at;
        self.at += 1;
        let Some(min) = self.count() else { return Ok(None) };
        let max = if self.peek() == Some(b',') {
            self.at += 1;
            if self.peek() == Some(b'}') {
                None
            } else {
                let Some(max) = self.count() else { return Ok(None) };
                Some(max)
            }
        } else {
            Some(min)
        };
        if self.peek() != Some(b'}') {
            return Ok(None);
        }
        self.at += 1;
        if min > MAX_REPEAT || max.is_some_and(|max| max > MAX_REPEAT || min > max) {
            return self.error(RegexErrorKind::RepeatCount, start);
        }
        Ok(Some((min, max)))
    }

    /// A decimal number without leading zeros, saturating.
    fn count(&mut self) -> Option<u32> {
        let rest = self.rest().as_bytes();
        let len = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        if len == 0 || len > 1 && rest[0] == b'0' {
            return None;
        }
        self.at += len;
        Some(rest[..len].iter().fold(0, |n: u32, b| n.saturating_mul(10).saturating_add(u32::from(b - b'0'))))
    }

    /// A backslash outside a class.
    fn escape(&mut self) -> Result<(), RegexError> {
        let start = self.at;
        let next = self.pattern.as_bytes().get(self.at + 1).copied();
        let look = match next {
            Some(b'A') => Some(Look::Start),
            Some(b'z') => Some(Look::End),
            Some(b'b') => Some(Look::WordAscii),
            Some(b'B') => Some(Look::WordAsciiNegate),
            _ => None,
        };
        if let Some(look) = look {
            self.at += 2;
            self.push(Hir::look(look));
            return Ok(());
        }
        match next {
            Some(b'C') => {
                self.at += 2;
                self.error(RegexErrorKind::Escape, start)
            }
            Some(b'Q') => {
                self.at += 2;
                let rest = self.rest();
                let (quoted, consumed) = match rest.find("\\E") {
                    Some(end) => (&rest[..end], end + 2),
                    None => (rest, rest.len()),
                };
                quoted.chars().for_each(|c| self.literal(c));
                self.at += consumed;
                Ok(())
            }
            Some(b'p' | b'P') => {
                let class = self.unicode_class()?;
                self.push(Hir::class(Class::Unicode(class)));
                Ok(())
            }
            Some(letter) if perl_class(letter).is_some() => {
                self.at += 2;
                let class = self.named(perl_class(letter).unwrap_or_default());
                self.push(Hir::class(Class::Unicode(class)));
                Ok(())
            }
            _ => {
                let c = self.char_escape()?;
                match c {
                    Some(c) => self.literal(c),
                    // An octal or hexadecimal number that is no character (a surrogate) matches nothing.
                    None => self.push(Hir::fail()),
                }
                Ok(())
            }
        }
    }

    /// An escape that stands for one character; the place is at the backslash. `None` is a surrogate code point.
    fn char_escape(&mut self) -> Result<Option<char>, RegexError> {
        let start = self.at;
        self.at += 1;
        let Some(c) = self.next_char() else {
            return Err(RegexError { kind: RegexErrorKind::TrailingBackslash, fragment: String::new() });
        };
        let octal = |b: Option<u8>| b.filter(|b| (b'0'..=b'7').contains(b));
        match c {
            '0'..='7' if c == '0' || octal(self.peek()).is_some() => {
                let mut code = u32::from(c) - u32::from('0');
                for _ in 0..2 {
                    let Some(digit) = octal(self.peek()) else { break };
                    code = code * 8 + u32::from(digit - b'0');
                    self.at += 1;
                }
                Ok(char::from_u32(code))
            }
            'x' => self.hex_escape(start),
            'a' => Ok(Some('\x07')),
            'f' => Ok(Some('\x0c')),
            'n' => Ok(Some('\n')),
            'r' => Ok(Some('\r')),
            't' => Ok(Some('\t')),
            'v' => Ok(Some('\x0b')),
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => Ok(Some(c)),
            _ => self.error(RegexErrorKind::Escape, start),
        }
    }

    /// What follows `\x`: two digits, or any number in braces.
    fn hex_escape(&mut self, start: usize) -> Result<Option<char>, RegexError> {
        let Some(first) = self.next_char() else { return self.error(RegexErrorKind::Escape, start) };
        if first == '{' {
            let mut code = 0u32;
            let mut digits = 0;
            while let Some(c) = self.next_char() {
                if c == '}' {
                    if digits == 0 {
                        break;
                    }
                    return Ok(char::from_u32(code));
                }
                let Some(digit) = c.to_digit(16) else { break };
                code = code * 16 + digit;
                if code > u32::from(char::MAX) {
                    break;
                }
                digits += 1;
            }
            return self.error(RegexErrorKind::Escape, start);
        }
        let second = self.next_char().and_then(|c| c.to_digit(16));
        match (first.to_digit(16), second) {
            (Some(high), Some(low)) => Ok(char::from_u32(high * 16 + low)),
            _ => self.error(RegexErrorKind::Escape, start),
        }
    }
}

/// Adds everything that simple case folding makes equal.
fn fold(class: &mut ClassUnicode) {
    class.case_fold_simple();
}
