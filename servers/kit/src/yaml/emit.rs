//! Tree to text: what configuration pages show. Reading it back gives the same tree (places apart).

use std::fmt::Write;

use super::{Kind, Node};

/// Prints a node as a block-style document that ends with a newline.
pub fn emit(node: &Node) -> String {
    let mut out = String::new();
    match &node.kind {
        Kind::Mapping(pairs) if !pairs.is_empty() => block(&mut out, node, 0),
        Kind::Sequence(items) if !items.is_empty() => block(&mut out, node, 0),
        _ => {
            inline(&mut out, node);
            out.push('\n');
        }
    }
    out
}

fn indent(out: &mut String, level: usize) {
    out.extend(std::iter::repeat_n("  ", level));
}

fn block(out: &mut String, node: &Node, level: usize) {
    match &node.kind {
        Kind::Mapping(pairs) => {
            for (key, value) in pairs {
                indent(out, level);
                pair(out, &key.text, value, level);
            }
        }
        Kind::Sequence(items) => {
            for item in items {
                indent(out, level);
                out.push_str("- ");
                match &item.kind {
                    Kind::Mapping(pairs) if !pairs.is_empty() => {
                        for (at, (key, value)) in pairs.iter().enumerate() {
                            if at > 0 {
                                indent(out, level + 1);
                            }
                            pair(out, &key.text, value, level + 1);
                        }
                    }
                    Kind::Sequence(inner) if !inner.is_empty() => {
                        out.push('\n');
                        block(out, item, level + 1);
                    }
                    _ => {
                        inline(out, item);
                        out.push('\n');
                    }
                }
            }
        }
        _ => {}
    }
}

fn pair(out: &mut String, key: &str, value: &Node, level: usize) {
    scalar(out, key, true);
    out.push(':');
    match &value.kind {
        Kind::Mapping(pairs) if !pairs.is_empty() => {
            out.push('\n');
            block(out, value, level + 1);
        }
        Kind::Sequence(items) if !items.is_empty() => {
            out.push('\n');
            block(out, value, level);
        }
        _ => {
            out.push(' ');
            inline(out, value);
            out.push('\n');
        }
    }
}

fn inline(out: &mut String, node: &Node) {
    match &node.kind {
        Kind::Null => out.push_str("null"),
        Kind::Scalar { text, plain } => scalar(out, text, *plain),
        Kind::Bytes(bytes) => {
            use base64::Engine;
            let _ = write!(out, "!!binary {}", base64::engine::general_purpose::STANDARD.encode(bytes));
        }
        Kind::Sequence(_) => out.push_str("[]"),
        Kind::Mapping(_) => out.push_str("{}"),
    }
}

/// Writes a scalar bare where that reads back as the same text (and, unless `plain`, as text at all).
fn scalar(out: &mut String, text: &str, plain: bool) {
    let word = !text.is_empty()
        && text.bytes().all(|b| {
            b.is_ascii_alphanumeric()
                || matches!(b, b'_' | b'-' | b'.' | b'/' | b'+' | b'<' | b'>' | b'$' | b'(' | b')' | b'=')
        })
        && text.starts_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '/' | '.' | '+' | '-'))
        && !matches!(text, "-" | "." | "..." | "---");
    let other_type = matches!(
        text.to_ascii_lowercase().as_str(),
        "null" | "true" | "false" | "yes" | "no" | "on" | "off" | "y" | "n" | ".nan" | ".inf" | "+.inf" | "-.inf"
    ) || text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '.' | '+' | '-'));
    if word && (plain || !other_type) && text != "null" {
        out.push_str(text);
        return;
    }
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() || matches!(c, '\u{feff}' | '\u{2028}' | '\u{2029}') => {
                let _ = write!(out, "\\U{:08x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
