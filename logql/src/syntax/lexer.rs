//! Text to tokens, one at a time.
//!
//! The rules are those of Go's `text/scanner`, on which the reference builds: identifiers are Unicode letters, digits
//! and `_`; numbers may be hexadecimal or hold `_`; `//`, `/* */` and `#` start comments; a character that nothing wants
//! is an identifier. On top of that, a number that goes on with units is a duration or a byte size, and a function name
//! is one only where a call may follow ([`Token::function`]).

use std::str::Chars;

use super::error::ParseError;
use super::span::Span;
use super::token::Token;
use crate::units::bytes::parse_bytes;
use crate::units::duration::{parse_any, parse_prometheus};

/// A token and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Lexeme {
    pub(crate) token: Token,
    pub(crate) span: Span,
    /// The reference forgets the line of tokens that it looked ahead in; errors there say line 0.
    pub(crate) line_lost: bool,
}

pub(crate) struct Lexer<'a> {
    text: &'a str,
    at: usize,
    extensions: bool,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(text: &'a str, extensions: bool) -> Self {
        // A byte order mark at the beginning is no part of the query.
        Self { text, at: if text.starts_with('\u{feff}') { 3 } else { 0 }, extensions }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn bump_while(&mut self, mut wanted: impl FnMut(char) -> bool) {
        while self.peek().is_some_and(&mut wanted) {
            self.bump();
        }
    }

    fn error(&self, message: impl Into<String>, start: usize, line_lost: bool) -> ParseError {
        ParseError::at(self.text, start, line_lost, message)
    }

    /// The next token; [`Token::End`] at the end, again and again.
    pub(crate) fn next(&mut self) -> Result<Lexeme, ParseError> {
        // What stood before the token decides how `0b` is read.
        let before = self.peek();
        self.skip_blank()?;
        let start = self.at;
        let mut line_lost = false;
        let token = match self.peek() {
            None => Token::End,
            Some(c) if is_identifier_start(c) => {
                self.bump_while(|c| is_identifier_start(c) || c.is_numeric());
                self.word(&self.text[start..self.at])
            }
            Some(c) if c.is_ascii_digit() || c == '.' && self.digit_follows() => {
                self.number(start, before)?;
                let (token, looked_ahead) = self.number_with_unit(start);
                line_lost = looked_ahead;
                token
            }
            Some('"') => Token::String(self.quoted(start)?),
            Some('`') => Token::String(self.raw(start)?),
            Some('\'') => return Err(self.character(start)),
            Some('[') => {
                line_lost = true;
                self.range(start)?
            }
            Some('\0') => return Err(self.error("invalid character NUL", start, false)),
            Some(c) => {
                self.bump();
                if let Some(token) = (c == '-').then(|| self.dash(start)).flatten() {
                    line_lost = true;
                    token
                } else {
                    let (token, looked_ahead) = self.sign(c);
                    line_lost = looked_ahead;
                    token
                }
            }
        };
        Ok(Lexeme { token, span: Span::new(start, self.at), line_lost })
    }

    fn skip_blank(&mut self) -> Result<(), ParseError> {
        loop {
            self.bump_while(|c| matches!(c, ' ' | '\t' | '\n' | '\r'));
            let rest = self.rest();
            if rest.starts_with('#') || rest.starts_with("//") {
                self.at += rest.find('\n').unwrap_or(rest.len());
            } else if let Some(comment) = rest.strip_prefix("/*") {
                match comment.find("*/") {
                    Some(end) => self.at += end + 4,
                    None => return Err(self.error("comment not terminated", self.at, false)),
                }
            } else {
                return Ok(());
            }
        }
    }

    fn digit_follows(&self) -> bool {
        self.rest().as_bytes().get(1).is_some_and(u8::is_ascii_digit)
    }

    /// A keyword, a function that is called, or a name.
    fn word(&self, word: &str) -> Token {
        let lower = word.to_lowercase();
        let function = match Token::function(&lower) {
            None if self.extensions && lower == "count_distinct" => {
                Some(Token::RangeOp(super::ast::RangeOp::CountDistinct))
            }
            function => function,
        };
        if let Some(function) = function {
            return if self.call_follows() { function } else { Token::Identifier(word.to_owned()) };
        }
        Token::keyword(&lower).unwrap_or_else(|| Token::Identifier(word.to_owned()))
    }

    /// Whether `(`, `by (` or `without (` comes next.
    fn call_follows(&self) -> bool {
        let rest = self.rest().trim_start();
        if rest.starts_with('(') {
            return true;
        }
        ["by", "without"].iter().any(|word| {
            rest.get(..word.len()).is_some_and(|w| w.eq_ignore_ascii_case(word))
                && rest[word.len()..].trim_start().starts_with('(')
        })
    }

    /// A sign, with the character after it if both make one.
    fn sign(&mut self, first: char) -> (Token, bool) {
        if let Some(second) = self.peek() {
            let both: String = [first, second].iter().collect();
            if let Some(token) = Token::keyword(&both) {
                self.bump();
                return (token, true);
            }
        }
        let text = first.to_string();
        (Token::keyword(&text).unwrap_or(Token::Identifier(text)), false)
    }

    /// After a `-`: a flag or a negative duration.
    fn dash(&mut self, start: usize) -> Option<Token> {
        if self.peek() == Some('-') {
            let end = self.rest().find(|c: char| !(c.is_alphabetic() || c == '-')).unwrap_or(self.rest().len());
            let flag = &self.text[start..self.at + end];
            if matches!(flag, "--strict" | "--keep-empty") || self.extensions && flag == "--arrays" {
                self.at += end;
                return Some(Token::Flag(flag.to_owned()));
            }
        }
        self.duration(start)
    }

    /// What follows the number that was just read may make it a duration or a byte size.
    fn number_with_unit(&mut self, start: usize) -> (Token, bool) {
        let end = self.at;
        if let Some(token) = self.duration(start).or_else(|| self.bytes(start)) {
            return (token, true);
        }
        (Token::Number(self.text[start..end].to_owned()), false)
    }

    fn duration(&mut self, start: usize) -> Option<Token> {
        let end = self.unit_end(|c| matches!(c, 'n' | 'u' | 'µ' | 'm' | 's' | 'h' | 'd' | 'w' | 'y'))?;
        let ns = parse_any(&self.text[start..end]).ok()?;
        self.at = end;
        Some(Token::Duration(ns))
    }

    fn bytes(&mut self, start: usize) -> Option<Token> {
        let end = self.unit_end(|c| matches!(c, 'B' | 'i' | 'k' | 'K' | 'M' | 'G' | 'T' | 'P'))?;
        let bytes = parse_bytes(&self.text[start..end]).ok()?;
        self.at = end;
        Some(Token::Bytes(bytes))
    }

    /// End of the letters and digits that go on here, if there are any.
    fn unit_end(&self, letter: impl Fn(char) -> bool) -> Option<usize> {
        let rest = self.rest();
        let len = rest.find(|c: char| !(c.is_numeric() || c == '.' || letter(c))).unwrap_or(rest.len());
        (len > 0).then_some(self.at + len)
    }

    fn range(&mut self, start: usize) -> Result<Token, ParseError> {
        let inside = &self.text[start + 1..];
        let Some(len) = inside.find(']') else {
            self.at = self.text.len();
            return Err(self.error("missing closing ']' in duration", start, true));
        };
        self.at = start + len + 2;
        let inside = &inside[..len];
        let fail = |e: crate::units::duration::DurationError| self.error(e.to_string(), start, true);
        match inside.split_once(':').filter(|_| self.extensions) {
            Some((range, "")) => Ok(Token::Subquery(parse_prometheus(range).map_err(fail)?, None)),
            Some((range, step)) => {
                Ok(Token::Subquery(parse_prometheus(range).map_err(fail)?, Some(parse_prometheus(step).map_err(fail)?)))
            }
            None => Ok(Token::Range(parse_prometheus(inside).map_err(fail)?)),
        }
    }

    fn number(&mut self, start: usize, before: Option<char>) -> Result<(), ParseError> {
        let scan = NumberScan::run(self.rest(), before == Some('0'));
        self.at += scan.len;
        let text = &self.text[start..self.at];
        let message =
            scan.error.or_else(|| misplaced_underscore(text).then(|| "'_' must separate successive digits".into()));
        message.map_or(Ok(()), |message| Err(self.error(message, start, false)))
    }

    fn quoted(&mut self, start: usize) -> Result<String, ParseError> {
        self.bump();
        let mut bytes = Vec::new();
        loop {
            match self.bump() {
                Some('"') => break,
                None | Some('\n') => return Err(self.error("literal not terminated", start, false)),
                Some('\\') => {
                    if !self.escape(&mut bytes) {
                        return Err(self.error("invalid char escape", start, false));
                    }
                }
                Some(c) => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        // `\xff` can name bytes that are no text; stored lines are text in which such bytes were replaced.
        Ok(String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()))
    }

    /// Reads what follows a backslash; false when it is no escape.
    fn escape(&mut self, out: &mut Vec<u8>) -> bool {
        let Some(c) = self.bump() else { return false };
        let (digits, base) = match c {
            'a' => return push(out, 7),
            'b' => return push(out, 8),
            'f' => return push(out, 12),
            'n' => return push(out, b'\n'),
            'r' => return push(out, b'\r'),
            't' => return push(out, b'\t'),
            'v' => return push(out, 11),
            '\\' | '"' => return push(out, c as u8),
            '0'..='7' => {
                self.at -= 1;
                (3, 8)
            }
            'x' => (2, 16),
            'u' => (4, 16),
            'U' => (8, 16),
            _ => return false,
        };
        let Some(text) = self.rest().get(..digits).filter(|t| t.chars().all(|c| c.is_digit(base))) else {
            return false;
        };
        let Ok(value) = u32::from_str_radix(text, base) else { return false };
        self.at += digits;
        match c {
            'u' | 'U' => match char::from_u32(value) {
                Some(c) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
                None => return false,
            },
            _ => match u8::try_from(value) {
                Ok(byte) => out.push(byte),
                Err(_) => return false,
            },
        }
        true
    }

    fn raw(&mut self, start: usize) -> Result<String, ParseError> {
        let inside = &self.text[start + 1..];
        match inside.find('`') {
            Some(len) => {
                self.at = start + len + 2;
                Ok(inside[..len].to_owned())
            }
            None => Err(self.error("literal not terminated", start, false)),
        }
    }

    /// A single quote starts a character in Go, which LogQL has no use for.
    fn character(&self, start: usize) -> ParseError {
        let mut chars = self.text[start + 1..].chars();
        let terminated = skip_character(&mut chars);
        let message = match terminated {
            None => "literal not terminated",
            Some(1) => "character literals are not accepted, strings are in double quotes or backticks",
            Some(_) => "invalid char literal",
        };
        self.error(message, start, false)
    }
}

fn push(out: &mut Vec<u8>, byte: u8) -> bool {
    out.push(byte);
    true
}

/// Number of characters up to the closing quote.
fn skip_character(chars: &mut Chars<'_>) -> Option<usize> {
    let mut count = 0;
    loop {
        match chars.next()? {
            '\'' => return Some(count),
            '\n' => return None,
            '\\' => {
                chars.next()?;
            }
            _ => {}
        }
        count += 1;
    }
}

fn is_identifier_start(c: char) -> bool {
    c == '_' || c.is_alphabetic()
}

/// How far a number goes, and what is wrong with it.
struct NumberScan {
    len: usize,
    error: Option<String>,
}

impl NumberScan {
    /// `zero_before`: the text before the number's own first character was looked at as `0`, which is when `0b1` is
    /// taken as binary.
    fn run(text: &str, zero_before: bool) -> Self {
        let bytes = text.as_bytes();
        let at = |i: usize| bytes.get(i).copied().unwrap_or(0);
        let mut errors: Vec<String> = Vec::new();
        let mut i = 0;
        // Base, and the letter of the prefix: `0` for octal without one.
        let (mut base, mut prefix) = (10, 0);
        let (mut any_digit, mut bad_digit) = (false, None);
        let mut float = false;
        let mut digits = |i: &mut usize, base: u32, any_digit: &mut bool| {
            while at(*i) == b'_' || char::from(at(*i)).is_digit(base.max(10)) {
                if at(*i) != b'_' {
                    *any_digit = true;
                    if base < 10 && !char::from(at(*i)).is_digit(base) && bad_digit.is_none() {
                        bad_digit = Some(char::from(at(*i)));
                    }
                }
                *i += 1;
            }
        };
        if at(0) != b'.' {
            if at(0) == b'0' {
                i = 1;
                match at(1) | 0x20 {
                    b'x' => (i, base, prefix) = (2, 16, b'x'),
                    b'o' => (i, base, prefix) = (2, 8, b'o'),
                    b'b' if zero_before => (i, base, prefix) = (2, 2, b'b'),
                    b'b' => {}
                    _ => {
                        (base, prefix) = (8, b'0');
                        any_digit = true;
                    }
                }
            }
            digits(&mut i, base, &mut any_digit);
        }
        if at(i) == b'.' {
            i += 1;
            float = true;
            if matches!(prefix, b'o' | b'b') {
                errors.push(format!("invalid radix point in {}", literal_name(prefix)));
            }
            digits(&mut i, base, &mut any_digit);
        }
        if !any_digit {
            errors.push(format!("{} has no digits", literal_name(prefix)));
        }
        let letter = at(i) | 0x20;
        if letter == b'e' || letter == b'p' && prefix == b'x' {
            if letter == b'e' && !matches!(prefix, 0 | b'0') {
                errors.push(format!("'{}' exponent requires decimal mantissa", char::from(at(i))));
            }
            i += 1;
            float = true;
            if matches!(at(i), b'+' | b'-') {
                i += 1;
            }
            let mut exponent_digit = false;
            digits(&mut i, 10, &mut exponent_digit);
            if !exponent_digit {
                errors.push("exponent has no digits".into());
            }
        } else if prefix == b'x' && float {
            errors.push("hexadecimal mantissa requires a 'p' exponent".into());
        }
        if let (false, Some(digit)) = (float, bad_digit) {
            errors.push(format!("invalid digit '{digit}' in {}", literal_name(prefix)));
        }
        Self { len: i, error: errors.into_iter().next() }
    }
}

fn literal_name(prefix: u8) -> &'static str {
    match prefix {
        b'x' => "hexadecimal literal",
        b'o' | b'0' => "octal literal",
        b'b' => "binary literal",
        _ => "decimal literal",
    }
}

/// Whether an underscore of a number stands anywhere but between digits (a prefix such as `0x` counts as one).
fn misplaced_underscore(text: &str) -> bool {
    let bytes = text.as_bytes();
    let prefixed = bytes.len() >= 2 && bytes[0] == b'0' && matches!(bytes[1] | 0x20, b'x' | b'o' | b'b');
    let hex = prefixed && bytes[1] | 0x20 == b'x';
    let is_digit = |b: u8| b.is_ascii_digit() || hex && b.is_ascii_hexdigit();
    let mut previous = if prefixed { b'0' } else { b'.' };
    for byte in bytes.iter().skip(if prefixed { 2 } else { 0 }) {
        let class = match *byte {
            b'_' if previous != b'0' => return true,
            b'_' => b'_',
            b if is_digit(b) => b'0',
            _ if previous == b'_' => return true,
            _ => b'.',
        };
        previous = class;
    }
    previous == b'_'
}
