//! Lines of an ini file.

use std::path::Path;

use super::IniError;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) section: String,
    pub(super) key: String,
    pub(super) value: String,
    pub(super) line: u32,
}

pub(super) fn parse(file: &Path, text: &str) -> Result<Vec<Entry>, IniError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = text.lines().enumerate();
    let mut entries = Vec::new();
    let mut section = String::new();
    while let Some((index, raw)) = lines.next() {
        let line = u32::try_from(index + 1).unwrap_or(u32::MAX);
        let fail = |message: String| IniError::line(file, line, message);
        let trimmed = raw.trim();
        if trimmed.is_empty() || trimmed.starts_with([';', '#']) {
            continue;
        }
        if let Some(body) = trimmed.strip_prefix('[') {
            let end = body.find(']').ok_or_else(|| fail("the section's closing bracket is missing".into()))?;
            let rest = body[end + 1..].trim();
            if !rest.is_empty() && !rest.starts_with([';', '#']) {
                return Err(fail(format!("unexpected {rest:?} behind the section's name")));
            }
            section = body[..end].trim().to_ascii_lowercase();
            // Keys before the first section and those of [DEFAULT] are the same.
            if section == "default" {
                section.clear();
            }
            continue;
        }
        let at = trimmed.find(['=', ':']).ok_or_else(|| {
            fail(format!("expected a [section], a comment or key = value, found {:?}", excerpt(trimmed)))
        })?;
        let key = trimmed[..at].trim().trim_matches(['"', '`']).to_ascii_lowercase();
        if key.is_empty() {
            return Err(fail("a value without a key".into()));
        }
        let rest = trimmed[at + 1..].trim();
        let value = if let Some(body) = rest.strip_prefix("\"\"\"") {
            multiline(body, &mut lines).ok_or_else(|| fail("the closing \"\"\" is missing".into()))?
        } else {
            let mut joined = rest.to_owned();
            while let Some(head) = joined.strip_suffix('\\') {
                joined = head.to_owned();
                match lines.next() {
                    Some((_, next)) => joined.push_str(next.trim()),
                    None => break,
                }
            }
            single(&joined).map_err(fail)?
        };
        entries.push(Entry { section: section.clone(), key, value, line });
    }
    Ok(entries)
}

fn excerpt(text: &str) -> String {
    text.chars().take(40).collect()
}

/// The rest of a `"""` value, over as many lines as it takes.
fn multiline<'a>(first: &str, lines: &mut impl Iterator<Item = (usize, &'a str)>) -> Option<String> {
    if let Some(end) = first.find("\"\"\"") {
        return Some(first[..end].to_owned());
    }
    let mut value = first.to_owned();
    loop {
        let (_, line) = lines.next()?;
        value.push('\n');
        if let Some(end) = line.find("\"\"\"") {
            value.push_str(&line[..end]);
            return Some(value);
        }
        value.push_str(line);
    }
}

/// A value on one line: quoted, or up to a comment.
fn single(text: &str) -> Result<String, String> {
    for quote in ['"', '\'', '`'] {
        if let Some(body) = text.strip_prefix(quote) {
            let Some(end) = body.find(quote) else { return Err(format!("the closing {quote} is missing")) };
            let rest = body[end + 1..].trim();
            if rest.is_empty() || rest.starts_with([';', '#']) {
                return Ok(body[..end].to_owned());
            }
            // Not a quoted value but one that begins with a quote.
            break;
        }
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' if chars.peek().is_some_and(|next| matches!(next, ';' | '#')) => out.extend(chars.next()),
            ';' | '#' => break,
            c => out.push(c),
        }
    }
    out.truncate(out.trim_end().len());
    Ok(out)
}
