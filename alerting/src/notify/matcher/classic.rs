//! The older grammar: a plain name, an operator, and anything up to the next comma outside quotes as the value.

use model::MatchOp;

use super::{AlertMatcher, MatcherError};

/// Reads matchers separated by commas; braces around them are optional, each for itself.
pub(super) fn parse(text: &str) -> Result<Vec<AlertMatcher>, MatcherError> {
    let text = text.strip_prefix('{').unwrap_or(text);
    let text = text.strip_suffix('}').unwrap_or(text);
    let mut parts = Vec::new();
    let (mut quoted, mut escaped) = (false, false);
    let mut from = 0;
    for (at, c) in text.char_indices() {
        match c {
            ',' if !quoted => {
                parts.push(text.get(from..at).unwrap_or_default());
                from = at + 1;
                continue;
            }
            '"' if !escaped => quoted = !quoted,
            '"' => {}
            '\\' => {
                escaped = !escaped;
                continue;
            }
            _ => {}
        }
        escaped = false;
    }
    let last = text.get(from..).unwrap_or_default().trim();
    if !last.is_empty() {
        parts.push(last);
    }
    parts.into_iter().map(parse_one).collect()
}

/// Reads one matcher.
pub(super) fn parse_one(text: &str) -> Result<AlertMatcher, MatcherError> {
    let bad = || MatcherError::new(format!("bad matcher format: {text}"));
    let trimmed = text.trim();
    let name_len = trimmed.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_' || *b == b':').count();
    let (name, rest) = trimmed.split_at(name_len);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(bad());
    }
    let rest = rest.trim_start();
    let (op, raw) =
        [("=~", MatchOp::Regex), ("=", MatchOp::Equal), ("!=", MatchOp::NotEqual), ("!~", MatchOp::NotRegex)]
            .into_iter()
            .find_map(|(sign, op)| Some((op, rest.strip_prefix(sign)?)))
            .ok_or_else(bad)?;
    AlertMatcher::new(op, name, &unescape(raw.trim())?)
}

/// Takes the quotes off and resolves `\\`, `\"` and `\n`; any other backslash stands for itself.
fn unescape(raw: &str) -> Result<String, MatcherError> {
    let unescaped_quote = || MatcherError::new(format!("matcher value contains unescaped double quote: {raw}"));
    let (mut open, body) = match raw.strip_prefix('"') {
        Some(body) => (true, body),
        None => (false, raw),
    };
    let mut value = String::with_capacity(body.len());
    let mut chars = body.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n') => value.push('\n'),
                Some(c @ ('"' | '\\')) => value.push(c),
                Some(c) => value.extend(['\\', c]),
                None => value.push('\\'),
            },
            '"' if open && chars.peek().is_none() => open = false,
            '"' => return Err(unescaped_quote()),
            c => value.push(c),
        }
    }
    if open { Err(unescaped_quote()) } else { Ok(value) }
}
