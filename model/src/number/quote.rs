//! Go's string quoting (`strconv.Quote` and the `%q` verb).

use std::fmt::Write as _;
use std::sync::OnceLock;

use regex_syntax::hir::{Class, ClassUnicode, HirKind};

/// Whether Go calls a character printable: letters, marks, numbers, punctuation, symbols and the ASCII space.
pub fn is_print(c: char) -> bool {
    static PRINTABLE: OnceLock<ClassUnicode> = OnceLock::new();
    if c.is_ascii() {
        return matches!(c, ' '..='~');
    }
    let class = PRINTABLE.get_or_init(|| match regex_syntax::parse(r"[\pL\pM\pN\pP\pS]").map(|hir| hir.into_kind()) {
        Ok(HirKind::Class(Class::Unicode(class))) => class,
        _ => ClassUnicode::empty(),
    });
    class
        .ranges()
        .binary_search_by(|range| {
            if range.end() < c {
                std::cmp::Ordering::Less
            } else if range.start() > c {
                std::cmp::Ordering::Greater
            } else {
                std::cmp::Ordering::Equal
            }
        })
        .is_ok()
}

/// Appends `text` between two `mark`s (`"` or `'`) with Go's escapes. Bytes that are not UTF-8 become `\x..`.
pub fn write_quoted(out: &mut String, text: &[u8], mark: char) {
    write(out, text, mark, false);
}

/// [`write_quoted`] with everything outside ASCII escaped (`%+q`).
pub fn write_quoted_ascii(out: &mut String, text: &[u8], mark: char) {
    write(out, text, mark, true);
}

fn write(out: &mut String, text: &[u8], mark: char, ascii_only: bool) {
    out.push(mark);
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            escape(out, c, mark, ascii_only);
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out.push(mark);
}

fn escape(out: &mut String, c: char, mark: char, ascii_only: bool) {
    if c == mark || c == '\\' {
        out.push('\\');
        out.push(c);
        return;
    }
    if (c.is_ascii() || !ascii_only) && is_print(c) {
        out.push(c);
        return;
    }
    let code = u32::from(c);
    let _ = match c {
        '\x07' => out.write_str("\\a"),
        '\x08' => out.write_str("\\b"),
        '\x0c' => out.write_str("\\f"),
        '\n' => out.write_str("\\n"),
        '\r' => out.write_str("\\r"),
        '\t' => out.write_str("\\t"),
        '\x0b' => out.write_str("\\v"),
        _ if code < 0x20 || code == 0x7f => write!(out, "\\x{code:02x}"),
        _ if code < 0x10000 => write!(out, "\\u{code:04x}"),
        _ => write!(out, "\\U{code:08x}"),
    };
}
