//! Reading a Go string literal in double quotes.

/// The text that a literal stands for; `None` when it is none or not UTF-8.
pub(super) fn unquote(literal: &str) -> Option<String> {
    let inner = literal.strip_prefix('"')?.strip_suffix('"')?;
    let mut out: Vec<u8> = Vec::with_capacity(inner.len());
    let mut rest = inner.chars();
    while let Some(c) = rest.next() {
        match c {
            '"' | '\n' => return None,
            '\\' => match rest.next()? {
                'a' => out.push(7),
                'b' => out.push(8),
                'f' => out.push(12),
                'n' => out.push(b'\n'),
                'r' => out.push(b'\r'),
                't' => out.push(b'\t'),
                'v' => out.push(11),
                '\\' => out.push(b'\\'),
                '"' => out.push(b'"'),
                'x' => out.push(u8::try_from(digits(&mut rest, 2, 16)?).ok()?),
                'u' => push(&mut out, char::from_u32(digits(&mut rest, 4, 16)?)?),
                'U' => push(&mut out, char::from_u32(digits(&mut rest, 8, 16)?)?),
                first @ '0'..='7' => {
                    let value = first.to_digit(8)? * 64 + digits(&mut rest, 2, 8)?;
                    out.push(u8::try_from(value).ok()?);
                }
                _ => return None,
            },
            c => push(&mut out, c),
        }
    }
    String::from_utf8(out).ok()
}

fn push(out: &mut Vec<u8>, c: char) {
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

fn digits(rest: &mut std::str::Chars<'_>, count: u32, radix: u32) -> Option<u32> {
    (0..count).try_fold(0u32, |value, _| value.checked_mul(radix)?.checked_add(rest.next()?.to_digit(radix)?))
}

#[cfg(test)]
mod tests {
    use super::unquote;

    #[test]
    fn escapes() {
        let good = [
            (r#""""#, ""),
            (r#""a\"b\\c""#, r#"a"b\c"#),
            (r#""\n\t\a""#, "\n\t\u{7}"),
            (r#""\u00e4\U0001f642\x41\101""#, "ä🙂AA"),
            (r#""\xc3\xa4""#, "ä"),
        ];
        for (literal, want) in good {
            assert_eq!(unquote(literal).as_deref(), Some(want), "{literal}");
        }
        for literal in
            ["", "\"", r#""a"#, r#""\""#, r#""\q""#, r#""\'""#, r#""\xff""#, r#""\ud800""#, r#""\9""#, "\"a\nb\""]
        {
            assert_eq!(unquote(literal), None, "{literal}");
        }
    }
}
