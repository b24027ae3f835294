//! Replacing matches, and Go's `$name` templates.

use std::borrow::Cow;

use super::{GoRegex, Groups};

pub(super) fn replace_all<'t>(
    regex: &GoRegex,
    text: &'t [u8],
    mut write: impl FnMut(&Groups, &mut Vec<u8>),
) -> Cow<'t, [u8]> {
    let mut out = Vec::new();
    let mut copied = 0;
    let mut any = false;
    regex.for_each_match(text, |groups| {
        let Some(found) = groups.get(0) else { return };
        any = true;
        out.extend_from_slice(&text[copied..found.start]);
        write(groups, &mut out);
        copied = found.end;
    });
    if !any {
        return Cow::Borrowed(text);
    }
    out.extend_from_slice(&text[copied..]);
    Cow::Owned(out)
}

/// The replaced bytes as text; what was text and had text put in stays text.
pub(super) fn into_text<'t>(original: &'t str, replaced: Cow<'_, [u8]>) -> Cow<'t, str> {
    match replaced {
        Cow::Borrowed(_) => Cow::Borrowed(original),
        Cow::Owned(bytes) => Cow::Owned(match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        }),
    }
}

/// Appends `template` with `$1`, `${1}`, `$name` and `${name}` replaced by the groups of a match in `text`.
///
/// A name is the longest run of letters, digits and underscores (`$1x` is the group named `1x`); a group that is absent or
/// took no part is empty; `$$` is a dollar sign; a dollar sign that starts no name stands for itself. Of several groups with
/// one name the first that took part counts. Go's `Regexp.Expand`.
pub fn expand(out: &mut Vec<u8>, template: &[u8], text: &[u8], groups: &Groups, regex: &GoRegex) {
    let mut rest = template;
    while let Some(at) = memchr::memchr(b'$', rest) {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(b"$") {
            out.push(b'$');
            rest = after;
            continue;
        }
        let Some((name, after)) = group_name(rest) else {
            out.push(b'$');
            continue;
        };
        rest = after;
        if let Some(range) = resolve(name, groups, regex) {
            out.extend_from_slice(&text[range]);
        }
    }
    out.extend_from_slice(rest);
}

fn resolve(name: &str, groups: &Groups, regex: &GoRegex) -> Option<std::ops::Range<usize>> {
    let numeric = name.bytes().all(|b| b.is_ascii_digit()) && (name.len() == 1 || !name.starts_with('0'));
    if numeric && name.len() <= 9 {
        return groups.get(name.parse().ok()?);
    }
    let mut named = regex.group_names().enumerate().filter(|(_, group)| *group == Some(name));
    named.find_map(|(index, _)| groups.get(index))
}

/// The group name behind a dollar sign, braced or not, and what follows it.
fn group_name(rest: &[u8]) -> Option<(&str, &[u8])> {
    let (braced, body) = match rest.strip_prefix(b"{") {
        Some(body) => (true, body),
        None => (false, rest),
    };
    let valid = match std::str::from_utf8(body) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&body[..error.valid_up_to()]).unwrap_or_default(),
    };
    let end = valid.find(|c: char| c != '_' && !c.is_alphabetic() && !c.is_numeric()).unwrap_or(valid.len());
    let name = &valid[..end];
    if name.is_empty() {
        return None;
    }
    let after = &body[end..];
    if braced { after.strip_prefix(b"}").map(|after| (name, after)) } else { Some((name, after)) }
}

/// `text` with a backslash before every character that means something in a pattern (Go's `QuoteMeta`).
pub fn quote_meta(text: &str) -> Cow<'_, str> {
    const SPECIAL: &[char] = &['\\', '.', '+', '*', '?', '(', ')', '|', '[', ']', '{', '}', '^', '$'];
    if !text.contains(SPECIAL) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if SPECIAL.contains(&c) {
            out.push('\\');
        }
        out.push(c);
    }
    Cow::Owned(out)
}
