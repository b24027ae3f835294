//! Start times: a line `name{…}@st offsets` before the line of a series.

use super::script::ScriptError;
use crate::parse::number::parse_duration_ms;

/// Splits a line of start times into the series and the offsets; nothing when it is no such line.
pub(super) fn split(line: &str) -> Option<(&str, &str)> {
    let (metric, rest) = line.split_once("@st")?;
    let inside_braces = metric.rfind('{') > metric.rfind('}');
    let blank_follows = rest.is_empty() || rest.starts_with([' ', '\t']);
    let plain = metric.ends_with('}') || !metric.contains([' ', '\t']);
    (!inside_braces && blank_follows && plain).then_some((metric, rest))
}

/// Offsets in ms relative to the samples, one per position.
pub(super) fn parse(text: &str, line: usize) -> Result<Vec<Option<i64>>, ScriptError> {
    let mut out = Vec::new();
    for item in text.split_whitespace() {
        push(item, &mut out).ok_or_else(|| ScriptError::new(line, format!("invalid start time item {item:?}")))?;
    }
    Ok(out)
}

fn push(item: &str, out: &mut Vec<Option<i64>>) -> Option<()> {
    if item == "_" {
        out.push(None);
        return Some(());
    }
    if let Some(n) = item.strip_prefix("_x") {
        let n: usize = n.parse().ok().filter(|n| (1..=super::notation::MAX_VALUES).contains(n))?;
        out.resize(out.len() + n, None);
        return Some(());
    }
    let (mut offset, rest) = duration(item)?;
    if rest.is_empty() {
        out.push(Some(offset));
        return Some(());
    }
    let (step, rest) = match rest.as_bytes()[0] {
        b'x' => (0, rest),
        b'+' => duration(&rest[1..])?,
        b'-' => duration(&rest[1..]).map(|(step, rest)| (-step, rest))?,
        _ => return None,
    };
    let n: usize = rest.strip_prefix('x')?.parse().ok().filter(|n| *n <= super::notation::MAX_VALUES)?;
    for _ in 0..=n {
        out.push(Some(offset));
        offset = offset.checked_add(step)?;
    }
    Some(())
}

/// A signed duration of one unit at the beginning of a text.
fn duration(text: &str) -> Option<(i64, &str)> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let digits = unsigned.bytes().take_while(u8::is_ascii_digit).count();
    let unit = unsigned[digits..].bytes().take_while(|b| b.is_ascii_alphabetic() && *b != b'x').count();
    let (number, rest) = unsigned.split_at(digits + unit);
    let ms = if number == "0" { 0 } else { parse_duration_ms(number).ok().filter(|_| digits > 0)? };
    Some((if text.starts_with('-') { -ms } else { ms }, rest))
}
