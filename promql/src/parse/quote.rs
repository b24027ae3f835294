//! Go's quoting: reading string literals and writing `%q` forms.

/// A string literal could not be unquoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Invalid;

/// The bytes that a literal in double, single or back quotes stands for; `text` includes the quotes.
pub(crate) fn unquote(text: &str) -> Result<Vec<u8>, Invalid> {
    let quote = text.chars().next().ok_or(Invalid)?;
    let body = text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)).ok_or(Invalid)?;
    if quote == '`' {
        return if body.contains('`') { Err(Invalid) } else { Ok(body.replace('\r', "").into_bytes()) };
    }
    if quote != '"' && quote != '\'' || body.contains('\n') {
        return Err(Invalid);
    }
    let mut out = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        if c == quote {
            return Err(Invalid);
        }
        if c != '\\' {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let escape = rest.chars().next().ok_or(Invalid)?;
        rest = &rest[escape.len_utf8()..];
        let (digits, radix) = match escape {
            'a' => (0, 7),
            'b' => (0, 8),
            'f' => (0, 12),
            'n' => (0, 10),
            'r' => (0, 13),
            't' => (0, 9),
            'v' => (0, 11),
            '\\' => (0, u32::from('\\')),
            c if c == quote => (0, u32::from(quote)),
            '0'..='7' => (3, 8),
            'x' => (2, 16),
            'u' => (4, 16),
            'U' => (8, 16),
            _ => return Err(Invalid),
        };
        if digits == 0 {
            out.push(radix as u8);
            continue;
        }
        let text = if radix == 8 { &body[body.len() - rest.len() - 1..] } else { rest };
        let number = text.get(..digits).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit())).ok_or(Invalid)?;
        let value = u32::from_str_radix(number, radix).map_err(|_| Invalid)?;
        rest = &text[digits..];
        if digits <= 3 {
            out.push(u8::try_from(value).map_err(|_| Invalid)?);
        } else {
            let c = char::from_u32(value).ok_or(Invalid)?;
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    Ok(out)
}

/// The `%q` form of a string: double quotes, Go's escapes.
pub(crate) fn go_quote(text: &str) -> String {
    model::number::quote(text)
}

/// As [`go_quote`] for bytes that need not be UTF-8: stray bytes become `\xNN`.
pub(crate) fn go_quote_bytes(text: &[u8]) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    model::number::write_quoted(&mut out, text, '"');
    out
}

/// The `%q` form of a character: single quotes.
pub(crate) fn go_quote_char(c: char) -> String {
    let mut out = String::new();
    model::number::write_quoted(&mut out, c.encode_utf8(&mut [0; 4]).as_bytes(), '\'');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_go_literals() {
        let good: &[(&str, &[u8])] = &[
            (r#""""#, b""),
            (r#""a\"b'c""#, b"a\"b'c"),
            (r"'a\'b'", b"a'b"),
            (r"`a\n`", b"a\\n"),
            (r#""\a\b\f\n\r\t\v\\""#, b"\x07\x08\x0c\n\r\t\x0b\\"),
            (r#""\101\x41\u00e9\U0001F600""#, "AAé😀".as_bytes()),
            (r#""a\xc5z""#, b"a\xc5z"),
        ];
        for (text, want) in good {
            assert_eq!(unquote(text).as_deref(), Ok(*want), "{text}");
        }
        for text in ["", "\"", "\"a", r#""\q""#, r#""\x4""#, r#""\400""#, r#""\ud800""#, "\"a\nb\"", "'a'b'", r#""\8""#]
        {
            assert_eq!(unquote(text), Err(Invalid), "{text}");
        }
    }

    #[test]
    fn writes_go_literals() {
        for (text, want) in [("a\"b\\c\n", r#""a\"b\\c\n""#), ("é\u{1}\u{85}", r#""é\x01\u0085""#)] {
            assert_eq!(go_quote(text), want);
        }
        assert_eq!(go_quote_bytes(b"a\xc5z"), r#""a\xc5z""#);
        assert_eq!(go_quote_char('\''), r"'\''");
    }
}
