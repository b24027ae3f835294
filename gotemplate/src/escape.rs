//! Escaping for HTML, JavaScript and URLs.

use std::fmt::Write as _;

/// For HTML text and attribute values.
pub(crate) fn html(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 16);
    for &byte in text {
        match byte {
            0 => out.extend_from_slice("\u{fffd}".as_bytes()),
            b'"' => out.extend_from_slice(b"&#34;"),
            b'\'' => out.extend_from_slice(b"&#39;"),
            b'&' => out.extend_from_slice(b"&amp;"),
            b'<' => out.extend_from_slice(b"&lt;"),
            b'>' => out.extend_from_slice(b"&gt;"),
            _ => out.push(byte),
        }
    }
    out
}

/// For a JavaScript string.
pub(crate) fn js(text: &[u8]) -> Vec<u8> {
    let mut out = String::with_capacity(text.len() + 16);
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            let _ = match c {
                '\\' => out.write_str(r"\\"),
                '\'' => out.write_str(r"\'"),
                '"' => out.write_str(r#"\""#),
                '<' => out.write_str(r"\u003C"),
                '>' => out.write_str(r"\u003E"),
                '&' => out.write_str(r"\u0026"),
                '=' => out.write_str(r"\u003D"),
                c if c < ' ' || !c.is_ascii() && !model::number::is_print(c) => write!(out, "\\u{:04X}", u32::from(c)),
                c => out.write_char(c),
            };
        }
        // A stray byte is the replacement character, which prints.
        for _ in chunk.invalid() {
            out.push(char::REPLACEMENT_CHARACTER);
        }
    }
    out.into_bytes()
}

/// For a value in the query of a URL: a space is `+`.
pub(crate) fn url_query(text: &[u8]) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for &byte in text {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

/// The reverse of [`url_query`].
///
/// # Errors
/// With Go's words, if a percent sign is not followed by two hexadecimal digits.
pub(crate) fn url_query_decode(text: &[u8]) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        at += 1;
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let digit = |offset: usize| text.get(at + offset).and_then(|b| char::from(*b).to_digit(16));
                let (Some(high), Some(low)) = (digit(0), digit(1)) else {
                    let bad = &text[at - 1..text.len().min(at + 2)];
                    let bad = model::number::quote(&String::from_utf8_lossy(bad));
                    return Err(format!("invalid URL escape {bad}"));
                };
                out.push((high * 16 + low) as u8);
                at += 2;
            }
            _ => out.push(byte),
        }
    }
    Ok(out)
}
