//! Tokens.

use std::sync::Arc;

use super::{Diag, Pos, Result};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Name(String),
    Number(f64),
    Text(String),
    /// Operators and brackets.
    Sign(&'static str),
    Newline,
    End,
}

impl Token {
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Name(name) => format!("{name:?}"),
            Self::Number(number) => number.to_string(),
            Self::Text(text) => format!("string {text:?}"),
            Self::Sign(sign) => format!("{sign:?}"),
            Self::Newline => "the end of the line".into(),
            Self::End => "the end of the file".into(),
        }
    }
}

/// Longest first.
const SIGNS: [&str; 25] = [
    "==", "!=", "<=", ">=", "&&", "||", "=", "<", ">", "!", "+", "-", "*", "/", "%", "^", "(", ")", "[", "]", "{", "}",
    ",", ".", ";",
];

struct Lexer<'s> {
    rest: &'s str,
    pos: Pos,
    tokens: Vec<(Token, Pos)>,
}

pub(super) fn tokens(file: &str, source: &str) -> Result<Vec<(Token, Pos)>> {
    let pos = Pos { file: Arc::from(file), line: 1, column: 1 };
    let mut lexer = Lexer { rest: source.strip_prefix('\u{feff}').unwrap_or(source), pos, tokens: Vec::new() };
    while !lexer.rest.is_empty() {
        lexer.next()?;
    }
    let pos = lexer.pos.clone();
    lexer.tokens.push((Token::End, pos));
    Ok(lexer.tokens)
}

impl<'s> Lexer<'s> {
    /// Takes `len` bytes.
    fn take(&mut self, len: usize) -> &'s str {
        let (taken, rest) = self.rest.split_at(len);
        for c in taken.chars() {
            if c == '\n' {
                self.pos.line += 1;
                self.pos.column = 1;
            } else {
                self.pos.column += 1;
            }
        }
        self.rest = rest;
        taken
    }

    fn push(&mut self, token: Token, pos: Pos) {
        self.tokens.push((token, pos));
    }

    fn next(&mut self) -> Result<()> {
        let start = self.pos.clone();
        let Some(c) = self.rest.chars().next() else { return Ok(()) };
        match c {
            '\n' => {
                self.take(1);
                self.push(Token::Newline, start);
            }
            ' ' | '\t' | '\r' => {
                self.take(1);
            }
            '/' if self.rest.starts_with("//") => {
                let len = self.rest.find('\n').unwrap_or(self.rest.len());
                self.take(len);
            }
            '/' if self.rest.starts_with("/*") => {
                let Some(len) = self.rest.find("*/") else {
                    return Err(Diag::new(&start, "block comment is not closed"));
                };
                self.take(len + 2);
            }
            '"' => {
                let text = self.quoted(&start)?;
                self.push(Token::Text(text), start);
            }
            '`' => {
                let Some(len) = self.rest[1..].find('`') else {
                    return Err(Diag::new(&start, "raw string is not closed"));
                };
                let text = self.take(len + 2);
                let text = text[1..text.len() - 1].replace('\r', "");
                self.push(Token::Text(text), start);
            }
            c if c.is_alphabetic() || c == '_' => {
                let len = self.rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(self.rest.len());
                let name = self.take(len).to_owned();
                self.push(Token::Name(name), start);
            }
            c if c.is_ascii_digit() || (c == '.' && self.rest[1..].starts_with(|c: char| c.is_ascii_digit())) => {
                let number = self.number(&start)?;
                self.push(Token::Number(number), start);
            }
            c => {
                let Some(sign) = SIGNS.into_iter().find(|sign| self.rest.starts_with(sign)) else {
                    return Err(Diag::new(&start, format!("unexpected character {c:?}")));
                };
                self.take(sign.len());
                self.push(Token::Sign(sign), start);
            }
        }
        Ok(())
    }

    fn number(&mut self, start: &Pos) -> Result<f64> {
        let bytes = self.rest.as_bytes();
        let mut len = 0;
        while let Some(byte) = bytes.get(len) {
            let exponent_sign = matches!(byte, b'+' | b'-') && len > 0 && matches!(bytes[len - 1], b'e' | b'E');
            if !(byte.is_ascii_alphanumeric() || *byte == b'.' || exponent_sign) {
                break;
            }
            len += 1;
        }
        let text = self.take(len);
        let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
        let number = match hex {
            Some(digits) => u64::from_str_radix(digits, 16).ok().map(|n| n as f64),
            None => text.parse().ok().filter(|n: &f64| n.is_finite()),
        };
        number.ok_or_else(|| Diag::new(start, format!("{text:?} is no number")))
    }

    fn quoted(&mut self, start: &Pos) -> Result<String> {
        let open = |start: &Pos| Diag::new(start, "string is not closed");
        self.take(1);
        let mut out = Vec::new();
        loop {
            let here = self.pos.clone();
            let c = self.rest.chars().next().ok_or_else(|| open(start))?;
            self.take(c.len_utf8());
            match c {
                '"' => break,
                '\n' => return Err(open(start)),
                '\\' => self.escape(&here, &mut out)?,
                c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        String::from_utf8(out).map_err(|_| Diag::new(start, "string is not valid UTF-8"))
    }

    fn escape(&mut self, here: &Pos, out: &mut Vec<u8>) -> Result<()> {
        let bad = || Diag::new(here, "unknown escape in string");
        let c = self.rest.chars().next().ok_or_else(bad)?;
        let (len, radix) = match c {
            'x' => (2, 16),
            'u' => (4, 16),
            'U' => (8, 16),
            '0'..='7' => (3, 8),
            _ => {
                let byte = match c {
                    '\\' => b'\\',
                    'a' => 7,
                    'b' => 8,
                    'f' => 12,
                    'n' => b'\n',
                    'r' => b'\r',
                    't' => b'\t',
                    'v' => 11,
                    '\'' => b'\'',
                    '"' => b'"',
                    _ => return Err(bad()),
                };
                self.take(1);
                out.push(byte);
                return Ok(());
            }
        };
        let skip = usize::from(radix == 16);
        let digits = self.rest.get(skip..skip + len).ok_or_else(bad)?;
        let code = u32::from_str_radix(digits, radix).map_err(|_| bad())?;
        self.take(skip + len);
        match c {
            'u' | 'U' => {
                let c = char::from_u32(code).ok_or_else(bad)?;
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
            _ => out.push(u8::try_from(code).map_err(|_| bad())?),
        }
        Ok(())
    }
}
