//! Text to tokens.
//!
//! The whole text is cut at once into a flat list that ends with [`Kind::Eof`], or with [`Kind::Error`] at the first
//! place that is no token; comments are left out. What a word or sign means depends on the brackets around it (a `:` is
//! part of a name outside `[…]`, braces know only names and matchers), so the lexer keeps that much state and no more.

use super::quote::go_quote_char;
use super::token::{Kind, Token, keyword};
use crate::span::Span;

/// The tokens of a text; the message of the last token when that is an error.
pub(crate) struct Lexed {
    pub(crate) tokens: Vec<Token>,
    pub(crate) error: Option<String>,
}

/// Cuts a text into tokens.
pub(crate) fn lex(text: &str) -> Lexed {
    let mut lexer = Lexer {
        text,
        at: 0,
        start: 0,
        tokens: Vec::with_capacity(text.len() / 4 + 2),
        paren_depth: 0,
        brace_open: false,
        bracket_open: false,
        got_colon: false,
        got_duration: false,
    };
    let error = lexer.run().err();
    if error.is_some() {
        // An error is reported from where its token began to the end of the text.
        lexer.at = text.len();
        lexer.emit(Kind::Error);
    }
    Lexed { tokens: lexer.tokens, error }
}

struct Lexer<'a> {
    text: &'a str,
    /// Next byte to read.
    at: usize,
    /// First byte of the current token.
    start: usize,
    tokens: Vec<Token>,
    paren_depth: usize,
    brace_open: bool,
    bracket_open: bool,
    got_colon: bool,
    got_duration: bool,
}

type Outcome<T = ()> = Result<T, String>;

impl Lexer<'_> {
    fn run(&mut self) -> Outcome {
        loop {
            self.skip_space_and_comments();
            let more = if self.brace_open { self.in_braces()? } else { self.outside()? };
            if !more {
                return Ok(());
            }
        }
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn peek_byte(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn accept(&mut self, set: &[u8]) -> bool {
        let found = self.at < self.text.len() && set.contains(&self.peek_byte());
        self.at += usize::from(found);
        found
    }

    fn emit(&mut self, kind: Kind) {
        self.tokens.push(Token { kind, span: Span::new(self.start as u32, self.at as u32) });
        self.start = self.at;
    }

    fn skip_space_and_comments(&mut self) {
        let bytes = self.text.as_bytes();
        loop {
            match bytes.get(self.at) {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                Some(b'#') => {
                    let rest = &bytes[self.at..];
                    self.at += rest.iter().position(|b| matches!(b, b'\n' | b'\r')).unwrap_or(rest.len());
                }
                _ => break,
            }
        }
        self.start = self.at;
    }

    fn outside(&mut self) -> Outcome<bool> {
        let Some(c) = self.next() else {
            if self.paren_depth != 0 {
                return Err("unclosed left parenthesis".to_owned());
            }
            if self.bracket_open {
                return Err("unclosed left bracket".to_owned());
            }
            self.emit(Kind::Eof);
            return Ok(false);
        };
        let kind = match c {
            ',' => Kind::Comma,
            '*' => Kind::Mul,
            '/' => Kind::Div,
            '%' => Kind::Mod,
            '+' => Kind::Add,
            '-' => Kind::Sub,
            '^' => Kind::Pow,
            '@' => Kind::At,
            '=' if self.accept(b"=") => Kind::EqualEqual,
            '=' if self.peek_byte() == b'~' => {
                return Err(format!("unexpected character after '=': {}", go_quote_char('~')));
            }
            '=' => Kind::Equal,
            '!' if self.accept(b"=") => Kind::NotEqual,
            '!' => return Err(format!("unexpected character after '!': {}", self.next_quoted())),
            '<' if self.accept(b"=") => Kind::LessEqual,
            '<' if self.accept(b"/") => Kind::TrimUpper,
            '<' => Kind::Less,
            '>' if self.accept(b"=") => Kind::GreaterEqual,
            '>' if self.accept(b"/") => Kind::TrimLower,
            '>' => Kind::Greater,
            '(' => {
                self.paren_depth += 1;
                Kind::LeftParen
            }
            ')' => {
                if self.paren_depth == 0 {
                    self.start = self.at;
                    return Err(format!("unexpected right parenthesis {}", go_quote_char(c)));
                }
                self.paren_depth -= 1;
                Kind::RightParen
            }
            '{' => {
                self.brace_open = true;
                Kind::LeftBrace
            }
            '[' => {
                if self.bracket_open {
                    return Err(format!("unexpected left bracket {}", go_quote_char(c)));
                }
                self.got_colon = false;
                self.bracket_open = true;
                self.emit(Kind::LeftBracket);
                return self.duration_start();
            }
            ']' => {
                if !self.bracket_open {
                    return Err(format!("unexpected right bracket {}", go_quote_char(c)));
                }
                self.bracket_open = false;
                Kind::RightBracket
            }
            '"' | '\'' => return self.string(c),
            '`' => return self.raw_string(),
            c if c.is_ascii_digit() || (c == '.' && self.peek_byte().is_ascii_digit()) => {
                self.at -= 1;
                return self.number_or_duration();
            }
            c if is_alpha(c) || c == ':' => {
                if self.bracket_open {
                    return self.word_in_brackets(c);
                }
                self.word();
                return Ok(true);
            }
            c => return Err(format!("unexpected character: {}", go_quote_char(c))),
        };
        self.emit(kind);
        Ok(true)
    }

    fn next_quoted(&mut self) -> String {
        // Go shows the end of the text as the invalid rune.
        self.next().map_or_else(|| "'�'".to_owned(), go_quote_char)
    }

    fn in_braces(&mut self) -> Outcome<bool> {
        let Some(c) = self.next() else { return Err("unexpected end of input inside braces".to_owned()) };
        let kind = match c {
            c if is_alpha(c) => {
                while self.peek_byte().is_ascii_alphanumeric() || self.peek_byte() == b'_' {
                    self.at += 1;
                }
                Kind::Identifier
            }
            ',' => Kind::Comma,
            '"' | '\'' => return self.string(c),
            '`' => return self.raw_string(),
            '=' if self.accept(b"~") => Kind::RegexEqual,
            '=' => Kind::Equal,
            '!' if self.accept(b"~") => Kind::RegexNotEqual,
            '!' if self.accept(b"=") => Kind::NotEqual,
            '!' => return Err(format!("unexpected character after '!' inside braces: {}", self.next_quoted())),
            '{' => return Err(format!("unexpected left brace {}", go_quote_char(c))),
            '}' => {
                self.brace_open = false;
                Kind::RightBrace
            }
            c => return Err(format!("unexpected character inside braces: {}", go_quote_char(c))),
        };
        self.emit(kind);
        Ok(true)
    }

    /// Names, keywords and recording rule names such as `job:up:sum`.
    fn word(&mut self) {
        let bytes = self.text.as_bytes();
        while matches!(bytes.get(self.at), Some(b) if b.is_ascii_alphanumeric() || matches!(b, b'_' | b':')) {
            self.at += 1;
        }
        let word = &self.text[self.start..self.at];
        let kind = match keyword(word) {
            // These became keywords late: they stay names unless an argument follows.
            Some(Kind::Fill | Kind::FillLeft | Kind::FillRight) if !self.paren_follows() => Kind::Identifier,
            Some(kind) => kind,
            None if word.contains(':') => Kind::MetricIdentifier,
            None => Kind::Identifier,
        };
        self.emit(kind);
    }

    fn paren_follows(&self) -> bool {
        self.text[self.at..].trim_start_matches([' ', '\t', '\n', '\r']).starts_with('(')
    }

    fn word_in_brackets(&mut self, first: char) -> Outcome<bool> {
        if first == ':' {
            if self.got_colon {
                return Err(format!("unexpected colon {}", go_quote_char(first)));
            }
            self.emit(Kind::Colon);
            self.got_colon = true;
            return Ok(true);
        }
        if self.duration_word(first) {
            return Ok(true);
        }
        Err(format!("unexpected character: {}, expected {}", go_quote_char(first), go_quote_char(':')))
    }

    /// `step`, `range`, `min_of`, `max_of` inside brackets.
    fn duration_word(&mut self, first: char) -> bool {
        if !matches!(first.to_ascii_lowercase(), 's' | 'r' | 'm') {
            return false;
        }
        while self.peek_byte().is_ascii_alphabetic() || self.peek_byte() == b'_' {
            self.at += 1;
        }
        match keyword(&self.text[self.start..self.at]) {
            Some(kind @ (Kind::Step | Kind::Range | Kind::MaxOf | Kind::MinOf)) => {
                self.emit(kind);
                true
            }
            _ => false,
        }
    }

    /// From a `[` up to and including the first number of a duration expression.
    fn duration_start(&mut self) -> Outcome<bool> {
        loop {
            while matches!(self.peek_byte(), b' ' | b'\t' | b'\n' | b'\r') && self.at < self.text.len() {
                self.at += 1;
            }
            self.start = self.at;
            let Some(c) = self.next() else {
                return Err("unexpected end of input in duration expression".to_owned());
            };
            let kind = match c {
                ']' => {
                    self.bracket_open = false;
                    self.got_colon = false;
                    self.emit(Kind::RightBracket);
                    return Ok(true);
                }
                ':' => {
                    if !self.got_duration || self.got_colon {
                        self.start = self.at;
                        let what = if self.got_colon { "repeated colon" } else { "colon before duration" };
                        return Err(format!("unexpected {what} in duration expression"));
                    }
                    self.got_colon = true;
                    Kind::Colon
                }
                '(' => {
                    self.paren_depth += 1;
                    Kind::LeftParen
                }
                ')' => {
                    if self.paren_depth == 0 {
                        self.start = self.at;
                        return Err(format!("unexpected right parenthesis {}", go_quote_char(c)));
                    }
                    self.paren_depth -= 1;
                    Kind::RightParen
                }
                '+' => Kind::Add,
                '-' => Kind::Sub,
                '*' => Kind::Mul,
                '/' => Kind::Div,
                '%' => Kind::Mod,
                '^' => Kind::Pow,
                ',' => Kind::Comma,
                c if c.is_ascii_digit() || (c == '.' && self.peek_byte().is_ascii_digit()) => {
                    self.at -= 1;
                    self.got_duration = true;
                    return self.number_or_duration();
                }
                c => {
                    if self.duration_word(c) {
                        continue;
                    }
                    return Err(format!("unexpected character in duration expression: {}", go_quote_char(c)));
                }
            };
            self.emit(kind);
        }
    }

    fn string(&mut self, quote: char) -> Outcome<bool> {
        loop {
            match self.next() {
                None | Some('\n') => return Err("unterminated quoted string".to_owned()),
                Some('\\') => self.escape(quote)?,
                Some('\u{fffd}') => return Err("invalid UTF-8 rune".to_owned()),
                Some(c) if c == quote => break,
                Some(_) => {}
            }
        }
        self.emit(Kind::String);
        Ok(true)
    }

    fn escape(&mut self, quote: char) -> Outcome {
        let unterminated = || "escape sequence not terminated".to_owned();
        let first = self.next().ok_or_else(unterminated)?;
        let (mut digits, radix, max, mut c) = match first {
            'a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '\\' => return Ok(()),
            c if c == quote => return Ok(()),
            '0'..='7' => (3, 8, 255, Some(first)),
            'x' => (2, 16, 255, self.next()),
            'u' => (4, 16, 0x10_ffff, self.next()),
            'U' => (8, 16, 0x10_ffff, self.next()),
            c => return Err(format!("unknown escape sequence U+{:04X} '{c}'", u32::from(c))),
        };
        let mut value: u32 = 0;
        while digits > 0 {
            let digit = c.ok_or_else(unterminated)?;
            let number = digit
                .to_digit(16)
                .filter(|n| *n < radix)
                .ok_or_else(|| format!("illegal character U+{:04X} '{digit}' in escape sequence", u32::from(digit)))?;
            value = value.wrapping_mul(radix).wrapping_add(number);
            digits -= 1;
            if digits > 0 {
                c = self.next();
            }
        }
        if value > max || (0xd800..0xe000).contains(&value) {
            return Err("escape sequence is an invalid Unicode code point".to_owned());
        }
        Ok(())
    }

    fn raw_string(&mut self) -> Outcome<bool> {
        loop {
            match self.next() {
                None => return Err("unterminated raw string".to_owned()),
                Some('\u{fffd}') => return Err("invalid UTF-8 rune".to_owned()),
                Some('`') => break,
                Some(_) => {}
            }
        }
        self.emit(Kind::String);
        Ok(true)
    }

    fn number_or_duration(&mut self) -> Outcome<bool> {
        if self.number() {
            self.emit(Kind::Number);
            return Ok(true);
        }
        if self.rest_of_duration() {
            self.emit(Kind::Duration);
            return Ok(true);
        }
        Err(format!("bad number or duration syntax: {}", super::quote::go_quote(&self.text[self.start..self.at])))
    }

    /// Digits, dots, exponents and underscores of a number; false when what stands there is none.
    fn number(&mut self) -> bool {
        let from = self.at;
        let mut hex = false;
        if self.accept(b"0") && self.accept(b"xX") {
            self.accept(b"_");
            hex = true;
        }
        let digits: &[u8] = if hex { b"0123456789abcdefABCDEF" } else { b"0123456789" };
        self.accept(b".");
        self.accept(digits);
        let (mut dot, mut exponent) = (false, false);
        while self.at < self.text.len() {
            let b = self.peek_byte();
            match b {
                b'.' => {
                    self.at += 1;
                    if dot || self.accept(b"_.") || hex {
                        return false;
                    }
                    dot = true;
                }
                // In a hexadecimal number `e` is a digit, yet it also ends what may follow as an exponent.
                b'e' | b'E' => {
                    if exponent {
                        self.at += 1;
                        return false;
                    }
                    self.at += 1;
                    exponent = true;
                    self.accept(b"+-");
                    if self.accept(b"._eE") || self.at >= self.text.len() {
                        return false;
                    }
                }
                b'_' => {
                    self.at += 1;
                    if self.accept(b"._eE") || self.at >= self.text.len() {
                        return false;
                    }
                }
                b if digits.contains(&b) => while self.accept(digits) {},
                _ => break,
            }
        }
        self.at != from && !self.peek().is_some_and(|c| is_alpha(c) || c.is_ascii_digit())
    }

    fn rest_of_duration(&mut self) -> bool {
        if !self.accept(b"smhdwy") {
            return false;
        }
        self.accept(b"s");
        while self.accept(b"0123456789") {
            while self.accept(b"0123456789") {}
            if !self.accept(b"smhdw") {
                return false;
            }
            self.accept(b"s");
        }
        match self.peek() {
            Some(c) if is_alpha(c) || c.is_ascii_digit() => {
                self.at += 1;
                false
            }
            _ => true,
        }
    }
}

fn is_alpha(c: char) -> bool {
    c == '_' || c.is_ascii_alphabetic()
}
