//! Functions on text, as Go's `strings` and sprig have them.

use super::args::{bytes, int, ok, text};
use crate::error::CallError;
use crate::exec::Call;
use crate::function::CallResult;
use crate::value::{Text, Value};

/// `strings.ToUpper`: character by character, no character becomes two.
pub(super) fn upper(input: &str) -> String {
    map_chars(input, |c| single(c.to_uppercase()).unwrap_or(c))
}

/// `strings.ToLower`
pub(super) fn lower(input: &str) -> String {
    // The one character whose full mapping is two and whose simple one is another.
    map_chars(input, |c| if c == 'İ' { 'i' } else { single(c.to_lowercase()).unwrap_or(c) })
}

fn single(mut mapped: impl Iterator<Item = char>) -> Option<char> {
    let first = mapped.next()?;
    mapped.next().is_none().then_some(first)
}

fn map_chars(input: &str, map: impl Fn(char) -> char) -> String {
    input.chars().map(map).collect()
}

fn title_char(c: char) -> char {
    match c {
        'Ǆ' | 'ǆ' => 'ǅ',
        'Ǉ' | 'ǉ' => 'ǈ',
        'Ǌ' | 'ǌ' => 'ǋ',
        'Ǳ' | 'ǳ' => 'ǲ',
        c => single(c.to_uppercase()).unwrap_or(c),
    }
}

/// `strings.Title`: a capital after everything that is not a letter, digit or underscore, the rest as it was.
pub(super) fn title(input: &str) -> String {
    let mut out = String::with_capacity(input.len());
    let mut after_separator = true;
    for c in input.chars() {
        out.push(if after_separator { title_char(c) } else { c });
        after_separator = match c {
            c if c.is_ascii() => !(c.is_ascii_alphanumeric() || c == '_'),
            c => !c.is_alphanumeric() && c.is_whitespace(),
        };
    }
    out
}

/// `cases.Title(language.AmericanEnglish)`: a capital at the start of each word, the rest of it in lower case unless
/// `keep`. One character may become two (`ß`, `Ss`).
///
/// A word ends at anything that is not a letter of an alphabet, a digit, a mark or an underscore, and at two of
/// apostrophe, point and colon in a row; one of these is inside a word.
pub(super) fn title_words(input: &str, keep: bool) -> String {
    let mut out = String::with_capacity(input.len());
    let mut inside = false;
    let mut was_mid = false;
    for c in input.chars() {
        let mid = matches!(c, '\'' | '\u{2019}' | '.' | ':' | '\u{b7}' | '\u{2018}' | '\u{2024}');
        if mid && was_mid {
            inside = false;
        }
        was_mid = mid;
        if !(c.is_uppercase() || c.is_lowercase() || title_char(c) != c) {
            inside &= mid || continues_word(c);
            out.push(c);
        } else if !inside {
            inside = true;
            match single(c.to_uppercase()) {
                Some(_) => out.push(title_char(c)),
                None => {
                    let mut mapped = c.to_uppercase();
                    out.extend(mapped.next());
                    out.extend(mapped.flat_map(char::to_lowercase));
                }
            }
        } else if keep {
            out.push(c);
        } else {
            out.extend(c.to_lowercase());
        }
    }
    out
}

/// A letter without case, a digit, a mark or an underscore. Ideographs and syllables are words each.
fn continues_word(c: char) -> bool {
    let ideograph = matches!(u32::from(c), 0x0e00..=0x0eff | 0x1000..=0x109f | 0x1780..=0x17ff | 0x2e80..=0x30a0)
        || matches!(u32::from(c), 0x3400..=0x9fff | 0xf900..=0xfaff | 0x20000..=0x3ffff);
    !ideograph && (c == '_' || c.is_alphanumeric() || is_mark(c))
}

/// A combining mark of the common blocks.
fn is_mark(c: char) -> bool {
    matches!(u32::from(c), 0x300..=0x36f | 0x483..=0x489 | 0x591..=0x5c7 | 0x610..=0x61a | 0x64b..=0x65f | 0x1ab0..=0x1aff)
        || matches!(u32::from(c), 0x1dc0..=0x1dff | 0x200c..=0x200d | 0x20d0..=0x20ff | 0xfe00..=0xfe0f | 0xfe20..=0xfe2f)
}

/// `strings.Replace`: at most `limit` times, or all for a negative limit. An empty `old` is found around every character.
pub(super) fn replace(input: &[u8], old: &[u8], new: &[u8], limit: i64) -> Vec<u8> {
    let mut left = if limit < 0 { u64::MAX } else { limit.unsigned_abs() };
    let mut out = Vec::with_capacity(input.len());
    let mut rest = input;
    if old.is_empty() {
        while left > 0 {
            out.extend_from_slice(new);
            left -= 1;
            let Some(chunk) = rest.utf8_chunks().next() else { return out };
            let len = chunk.valid().chars().next().map_or(1, char::len_utf8);
            out.extend_from_slice(&rest[..len]);
            rest = &rest[len..];
        }
    } else {
        while left > 0 {
            let Some(at) = memchr::memmem::find(rest, old) else { break };
            out.extend_from_slice(&rest[..at]);
            out.extend_from_slice(new);
            rest = &rest[at + old.len()..];
            left -= 1;
        }
    }
    out.extend_from_slice(rest);
    out
}

/// `replace old new text`
pub(super) fn replace_all<'d>(call: &mut Call<'_, 'd>, args: &[Value<'d>]) -> CallResult<'d> {
    replaced(call, bytes(args, 2)?, bytes(args, 0)?, bytes(args, 1)?, -1)
}

/// `Replace text old new n`
pub(super) fn replace_some<'d>(call: &mut Call<'_, 'd>, args: &[Value<'d>]) -> CallResult<'d> {
    replaced(call, bytes(args, 0)?, bytes(args, 1)?, bytes(args, 2)?, int(args, 3)?)
}

fn replaced<'d>(call: &mut Call<'_, 'd>, input: &[u8], old: &[u8], new: &[u8], limit: i64) -> CallResult<'d> {
    // Each found piece is at least one byte long, or stands beside one.
    let most = input.len().saturating_add(input.len().saturating_add(1).saturating_mul(new.len()));
    if most > call.context().limits.output {
        let found = if old.is_empty() { input.len() + 1 } else { count(input, old) };
        call.check_len(input.len().saturating_add(found.saturating_mul(new.len())))?;
    }
    ok(replace(input, old, new, limit))
}

fn count(input: &[u8], pattern: &[u8]) -> usize {
    memchr::memmem::find_iter(input, pattern).count()
}

/// `contains part text`
pub(super) fn contains(haystack: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(haystack, part).is_some()
}

/// Which ends a trim takes from.
#[derive(Clone, Copy)]
pub(super) enum Side {
    Left,
    Right,
    Both,
}

/// `strings.Trim`, `TrimLeft`, `TrimRight`: all characters of `cutset` off the ends.
pub(super) fn trim_set<'v>(input: &'v str, cutset: &str, side: Side) -> &'v str {
    let cut = |c: char| cutset.contains(c);
    match side {
        Side::Left => input.trim_start_matches(cut),
        Side::Right => input.trim_end_matches(cut),
        Side::Both => input.trim_matches(cut),
    }
}

/// The part `start..end` of the argument at `index`, without copying if it is borrowed.
pub(super) fn part<'d>(args: &[Value<'d>], index: usize, start: usize, end: usize) -> CallResult<'d> {
    match args.get(index) {
        Some(Value::Str(Text::Borrowed(text))) => Ok(Value::Str(Text::Borrowed(&text[start..end]))),
        _ => ok(bytes(args, index)?[start..end].to_vec()),
    }
}

/// `trimPrefix p text` with the text at `at` and the prefix at `affix`.
pub(super) fn trim_prefix<'d>(args: &[Value<'d>], at: usize, affix: usize) -> CallResult<'d> {
    let text = bytes(args, at)?;
    let start = if text.starts_with(bytes(args, affix)?) { bytes(args, affix)?.len() } else { 0 };
    part(args, at, start, text.len())
}

/// `trimSuffix s text`
pub(super) fn trim_suffix<'d>(args: &[Value<'d>], at: usize, affix: usize) -> CallResult<'d> {
    let text = bytes(args, at)?;
    let cut = if text.ends_with(bytes(args, affix)?) { bytes(args, affix)?.len() } else { 0 };
    part(args, at, 0, text.len() - cut)
}

/// `trimSpace text`
pub(super) fn trim_space<'d>(args: &[Value<'d>], at: usize) -> CallResult<'d> {
    let input = bytes(args, at)?;
    match std::str::from_utf8(input) {
        Ok(valid) => {
            let start = valid.len() - valid.trim_start().len();
            part(args, at, start, start + valid.trim().len())
        }
        // Stray bytes are no spaces: trim the valid ends only.
        Err(_) => {
            let is_space = |b: &u8| b.is_ascii_whitespace() || *b == 0x0b;
            let start = input.iter().take_while(|b| is_space(b)).count();
            let end = input.len() - input[start..].iter().rev().take_while(|b| is_space(b)).count();
            part(args, at, start, end)
        }
    }
}

/// sprig's `trunc`: the first `count` bytes, or the last for a negative count.
pub(super) fn trunc<'d>(args: &[Value<'d>]) -> CallResult<'d> {
    let count = int(args, 0)?;
    let len = bytes(args, 1)?.len();
    let size = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    if count < 0 && size < len {
        part(args, 1, len - size, len)
    } else if count >= 0 && size < len {
        part(args, 1, 0, size)
    } else {
        part(args, 1, 0, len)
    }
}

/// sprig's `substr`, whose ends may lie outside only in one way; the others fail with Go's words.
pub(super) fn substr<'d>(args: &[Value<'d>]) -> CallResult<'d> {
    let (start, end) = (int(args, 0)?, int(args, 1)?);
    let len = bytes(args, 2)?.len();
    let fail = |range: String| Err(CallError::Failed(format!("runtime error: slice bounds out of range {range}")));
    let inside = |at: i64| usize::try_from(at).ok().filter(|at| *at <= len);
    if start < 0 {
        return match inside(end) {
            Some(end) => part(args, 2, 0, end),
            None if end < 0 => fail(format!("[:{end}]")),
            None => fail(format!("[:{end}] with length {len}")),
        };
    }
    if end < 0 || inside(end).is_none() {
        return match inside(start) {
            Some(start) => part(args, 2, start, len),
            None => fail(format!("[{start}:{len}]")),
        };
    }
    match (inside(start), inside(end)) {
        (Some(start), Some(end)) if start <= end => part(args, 2, start, end),
        _ => fail(format!("[{start}:{end}]")),
    }
}

/// `repeat count text`
pub(super) fn repeat<'d>(call: &mut Call<'_, 'd>, args: &[Value<'d>]) -> CallResult<'d> {
    let input = bytes(args, 1)?;
    let count = spaces(int(args, 0)?)?;
    call.check_len(input.len().saturating_mul(count))?;
    ok(input.repeat(count))
}

fn spaces(count: i64) -> Result<usize, CallError> {
    usize::try_from(count).map_err(|_| CallError::new("strings: negative Repeat count"))
}

/// `indent count text`: every line moved right; with `newline` on a line of its own.
pub(super) fn indent<'d>(call: &mut Call<'_, 'd>, args: &[Value<'d>], newline: bool) -> CallResult<'d> {
    let input = bytes(args, 1)?;
    let count = spaces(int(args, 0)?)?;
    let lines = 1 + input.iter().filter(|b| **b == b'\n').count();
    call.check_len(input.len().saturating_add(lines.saturating_mul(count)))?;
    let pad = " ".repeat(count);
    let mut out = Vec::with_capacity(input.len() + lines * count + 1);
    if newline {
        out.push(b'\n');
    }
    out.extend_from_slice(pad.as_bytes());
    for &byte in input {
        out.push(byte);
        if byte == b'\n' {
            out.extend_from_slice(pad.as_bytes());
        }
    }
    ok(out)
}

/// `alignLeft count text`, `alignRight count text`: exactly `count` characters.
pub(super) fn align<'d>(call: &mut Call<'_, 'd>, args: &[Value<'d>], right: bool) -> CallResult<'d> {
    let count = int(args, 0)?;
    let input = text(args, 1)?;
    let len = input.chars().count();
    let Ok(width) = usize::try_from(count) else { return Ok(args[1].clone()) };
    if width == len {
        return Ok(args[1].clone());
    }
    call.check_len(width)?;
    let pad = " ".repeat(width.saturating_sub(len));
    ok(match (right, width > len) {
        (false, true) => format!("{input}{pad}"),
        (true, true) => format!("{pad}{input}"),
        (false, false) => input.chars().take(width).collect(),
        (true, false) => input.chars().skip(len - width).collect(),
    })
}

/// `join separator list`
pub(super) fn join(separator: &[u8], items: &[std::borrow::Cow<'_, [u8]>]) -> Vec<u8> {
    items.join(separator)
}
