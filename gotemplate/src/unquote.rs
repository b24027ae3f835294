//! Go's string and character literals.

/// The bytes of a literal in double quotes or backquotes, quotes included. `None` if it is not valid.
pub(crate) fn unquote(literal: &str) -> Option<Vec<u8>> {
    if let Some(raw) = literal.strip_prefix('`') {
        let body = raw.strip_suffix('`')?;
        return Some(body.bytes().filter(|b| *b != b'\r').collect());
    }
    let mut rest = literal.strip_prefix('"')?.strip_suffix('"')?;
    let mut out = Vec::with_capacity(rest.len());
    while !rest.is_empty() {
        let (unit, after) = next(rest, '"')?;
        match unit {
            Unit::Byte(byte) => out.push(byte),
            Unit::Char(c) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
        rest = after;
    }
    Some(out)
}

/// Why a character literal was refused.
pub(crate) enum CharError {
    Syntax,
    Malformed,
}

/// The code of a character literal, quotes included.
pub(crate) fn unquote_char(literal: &str) -> Result<i64, CharError> {
    let body = literal.strip_prefix('\'').ok_or(CharError::Syntax)?;
    let (unit, tail) = next(body, '\'').ok_or(CharError::Syntax)?;
    if tail != "'" {
        return Err(CharError::Malformed);
    }
    Ok(match unit {
        Unit::Byte(byte) => i64::from(byte),
        Unit::Char(c) => i64::from(u32::from(c)),
    })
}

enum Unit {
    /// From `\x` or an octal escape: a byte, which need not be UTF-8.
    Byte(u8),
    Char(char),
}

fn next(text: &str, mark: char) -> Option<(Unit, &str)> {
    let mut chars = text.chars();
    let first = chars.next()?;
    if first == mark || first == '\n' {
        return None;
    }
    if first != '\\' {
        return Some((Unit::Char(first), chars.as_str()));
    }
    let escape = chars.next()?;
    let rest = chars.as_str();
    let plain = |c: char| Some((Unit::Char(c), rest));
    let hex = |digits: usize| {
        let code = rest.get(..digits).filter(|code| code.bytes().all(|b| b.is_ascii_hexdigit()))?;
        Some((u32::from_str_radix(code, 16).ok()?, &rest[digits..]))
    };
    match escape {
        'a' => plain('\x07'),
        'b' => plain('\x08'),
        'f' => plain('\x0c'),
        'n' => plain('\n'),
        'r' => plain('\r'),
        't' => plain('\t'),
        'v' => plain('\x0b'),
        '\\' => plain('\\'),
        '\'' | '"' if escape == mark => plain(escape),
        'x' => hex(2).map(|(code, rest)| (Unit::Byte(code as u8), rest)),
        'u' | 'U' => {
            let (code, rest) = hex(if escape == 'u' { 4 } else { 8 })?;
            Some((Unit::Char(char::from_u32(code)?), rest))
        }
        '0'..='7' => {
            let code = text.get(1..4).filter(|code| code.bytes().all(|b| (b'0'..=b'7').contains(&b)))?;
            let value = u8::from_str_radix(code, 8).ok()?;
            Some((Unit::Byte(value), &text[4..]))
        }
        _ => None,
    }
}
