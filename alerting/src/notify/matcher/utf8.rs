//! The newer grammar: `{ name op value , … }` where name and value are quoted or free of special characters.
//!
//! Columns in errors count characters from 0, start and end of the offending token, as Alertmanager's do.

use model::MatchOp;

use super::unquote::unquote;
use super::{AlertMatcher, MatcherError};

/// Characters that need quotes.
pub(super) fn is_reserved(c: char) -> bool {
    c.is_whitespace() || "{}!=~,\\\"'`".contains(c)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Open,
    Close,
    Comma,
    Op(MatchOp),
    Quoted,
    Plain,
    End,
}

#[derive(Clone, Copy)]
struct Token<'a> {
    kind: Kind,
    text: &'a str,
    from: usize,
    to: usize,
}

struct Lexer<'a> {
    rest: &'a str,
    /// Characters before `rest`.
    column: usize,
    peeked: Option<Token<'a>>,
}

impl<'a> Lexer<'a> {
    fn peek(&mut self) -> Result<Token<'a>, MatcherError> {
        match self.peeked {
            Some(token) => Ok(token),
            None => {
                let token = self.scan()?;
                self.peeked = Some(token);
                Ok(token)
            }
        }
    }

    fn next(&mut self) -> Result<Token<'a>, MatcherError> {
        let token = self.peek()?;
        self.peeked = None;
        Ok(token)
    }

    /// Takes `bytes` off the front as a token.
    fn take(&mut self, kind: Kind, bytes: usize) -> Token<'a> {
        let (text, rest) = self.rest.split_at(bytes);
        let from = self.column;
        self.column += text.chars().count();
        self.rest = rest;
        Token { kind, text, from, to: self.column }
    }

    fn scan(&mut self) -> Result<Token<'a>, MatcherError> {
        let trimmed = self.rest.trim_start();
        self.column += self.rest.chars().count() - trimmed.chars().count();
        self.rest = trimmed;
        let Some(first) = self.rest.chars().next() else { return Ok(self.take(Kind::End, 0)) };
        match first {
            '{' => Ok(self.take(Kind::Open, 1)),
            '}' => Ok(self.take(Kind::Close, 1)),
            ',' => Ok(self.take(Kind::Comma, 1)),
            '=' if self.rest.starts_with("=~") => Ok(self.take(Kind::Op(MatchOp::Regex), 2)),
            '=' => Ok(self.take(Kind::Op(MatchOp::Equal), 1)),
            '!' if self.rest.starts_with("!=") => Ok(self.take(Kind::Op(MatchOp::NotEqual), 2)),
            '!' if self.rest.starts_with("!~") => Ok(self.take(Kind::Op(MatchOp::NotRegex), 2)),
            '!' => {
                let token = self.take(Kind::End, 1);
                let what = if self.rest.is_empty() { "unexpected end of input, expected" } else { "!: expected" };
                Err(MatcherError::new(format!("{}:{}: {what} one of '=~'", token.from, token.to)))
            }
            '"' => self.scan_quoted(),
            c if is_reserved(c) => {
                let token = self.take(Kind::End, c.len_utf8());
                Err(MatcherError::new(format!("{}:{}: {}: invalid input", token.from, token.to, token.text)))
            }
            _ => {
                let end = self.rest.find(is_reserved).unwrap_or(self.rest.len());
                Ok(self.take(Kind::Plain, end))
            }
        }
    }

    fn scan_quoted(&mut self) -> Result<Token<'a>, MatcherError> {
        let mut escaped = false;
        let close = self.rest.char_indices().skip(1).find(|(_, c)| {
            let ends = *c == '"' && !escaped;
            escaped = *c == '\\' && !escaped;
            ends
        });
        match close {
            Some((at, _)) => Ok(self.take(Kind::Quoted, at + 1)),
            None => {
                let token = self.take(Kind::End, self.rest.len());
                Err(MatcherError::new(format!("{}:{}: {}: missing end \"", token.from, token.to, token.text)))
            }
        }
    }
}

const NO_NAME: &str = "expected label name";
const NO_OPERATOR: &str = "expected an operator such as '=', '!=', '=~' or '!~'";
const NO_VALUE: &str = "expected label value";

fn unexpected(token: &Token<'_>, wanted: &str) -> MatcherError {
    if token.kind == Kind::End {
        return MatcherError::new(format!("end of input: {wanted}"));
    }
    MatcherError::new(format!("{}:{}: unexpected {}: {wanted}", token.from, token.to, token.text))
}

/// Reads matchers.
pub(super) fn parse(text: &str) -> Result<Vec<AlertMatcher>, MatcherError> {
    let mut lexer = Lexer { rest: text, column: 0, peeked: None };
    let mut matchers = Vec::new();
    if lexer.peek()?.kind == Kind::End {
        return Ok(matchers);
    }
    let braces = lexer.peek()?.kind == Kind::Open;
    if braces {
        lexer.next()?;
    }
    if !matches!(lexer.peek()?.kind, Kind::Close | Kind::End) {
        loop {
            matchers.push(parse_one(&mut lexer)?);
            if !continues(&mut lexer)? {
                break;
            }
        }
    }
    let token = lexer.next()?;
    match (braces, token.kind) {
        (true, Kind::Close) => {}
        (true, Kind::End) => {
            return Err(MatcherError::new(format!("0:{}: end of input: expected close brace", token.to)));
        }
        (false, Kind::End) => return Ok(matchers),
        (false, Kind::Close) => {
            return Err(MatcherError::new(format!("0:{}: }}: expected opening brace", token.to)));
        }
        _ => return Err(unexpected(&token, "expected close brace")),
    }
    let end = lexer.next()?;
    if end.kind != Kind::End {
        return Err(MatcherError::new(format!("{}:{}: {}: expected end of input", end.from, end.to, end.text)));
    }
    Ok(matchers)
}

/// After a matcher: true if another one follows.
fn continues(lexer: &mut Lexer<'_>) -> Result<bool, MatcherError> {
    let token = lexer.peek()?;
    match token.kind {
        Kind::Close | Kind::End => return Ok(false),
        Kind::Comma => {}
        _ => return Err(unexpected(&token, "expected a comma or close brace")),
    }
    lexer.next()?;
    let token = lexer.peek()?;
    match token.kind {
        Kind::Close | Kind::End => Ok(false),
        Kind::Plain | Kind::Quoted => Ok(true),
        _ => Err(unexpected(&token, "expected a matcher or close brace after comma")),
    }
}

fn parse_one(lexer: &mut Lexer<'_>) -> Result<AlertMatcher, MatcherError> {
    let name = parse_text(lexer, NO_NAME)?;
    let token = lexer.next()?;
    let Kind::Op(op) = token.kind else { return Err(unexpected(&token, NO_OPERATOR)) };
    let value = parse_text(lexer, NO_VALUE)?;
    AlertMatcher::new(op, &name, &value)
        .map_err(|error| MatcherError::new(format!("failed to create matcher: {error}")))
}

fn parse_text(lexer: &mut Lexer<'_>, wanted: &str) -> Result<String, MatcherError> {
    let token = lexer.next()?;
    match token.kind {
        Kind::Plain => Ok(token.text.to_owned()),
        Kind::Quoted => unquote(token.text)
            .ok_or_else(|| MatcherError::new(format!("{}:{}: {}: invalid input", token.from, token.to, token.text))),
        _ => Err(unexpected(&token, wanted)),
    }
}
