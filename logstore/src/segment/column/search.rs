//! Finds the rows of a column whose text satisfies a condition, decoding as little as the column's form allows.
//!
//! [`prepare`] looks at what the directory keeps of the column: mostly that settles it. What is left is a [`Test`], which
//! [`Test::retain`] applies to rows. A test is exact: no row is kept or dropped wrongly.

use memchr::memmem::{self, Finder};

use super::composite::{Composite, PatternVerdict};
use super::hex::{self, HexFormat};
use super::number::{self, NumberFormat};
use super::{Column, Decoded, Failure, Form, Payload};
use crate::codec::ints::BLOCK_ROWS;
use crate::error::Error;
use crate::segment::words::{WordHits, Words};

/// What the text of a field has to be. The text of the condition is never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::segment) enum Condition<'n> {
    Contains(&'n [u8]),
    StartsWith(&'n [u8]),
    EndsWith(&'n [u8]),
    Equals(&'n [u8]),
}

/// A [`Condition`] with a text of its own.
#[derive(Clone, Debug)]
pub(in crate::segment) struct OwnedCondition {
    make: fn(&[u8]) -> Condition<'_>,
    text: Box<[u8]>,
}

impl OwnedCondition {
    pub(in crate::segment) fn get(&self) -> Condition<'_> {
        (self.make)(&self.text)
    }
}

impl<'n> Condition<'n> {
    pub(in crate::segment) fn to_owned(self) -> OwnedCondition {
        let make: fn(&[u8]) -> Condition<'_> = match self {
            Self::Contains(_) => |text| Condition::Contains(text),
            Self::StartsWith(_) => |text| Condition::StartsWith(text),
            Self::EndsWith(_) => |text| Condition::EndsWith(text),
            Self::Equals(_) => |text| Condition::Equals(text),
        };
        OwnedCondition { make, text: self.text().into() }
    }

    pub(in crate::segment) fn text(&self) -> &'n [u8] {
        match *self {
            Self::Contains(text) | Self::StartsWith(text) | Self::EndsWith(text) | Self::Equals(text) => text,
        }
    }

    pub(in crate::segment) fn holds(&self, value: &[u8]) -> bool {
        match *self {
            Self::Contains(text) => memmem::find(value, text).is_some(),
            Self::StartsWith(text) => value.starts_with(text),
            Self::EndsWith(text) => value.ends_with(text),
            Self::Equals(text) => value == text,
        }
    }

    /// Whether a value of this length can satisfy it.
    fn fits(&self, len: usize) -> bool {
        match self {
            Self::Equals(text) => text.len() == len,
            _ => self.text().len() <= len,
        }
    }
}

/// What is known of a column and a condition.
#[derive(Debug)]
pub(in crate::segment) enum Verdict {
    /// No row satisfies it.
    Never,
    /// Every row does.
    Always,
    /// Some rows may.
    Some(Test),
}

/// How rows are told apart.
#[derive(Debug)]
pub(in crate::segment) enum Test {
    /// By their place in the dictionary.
    Ranks(Vec<bool>),
    /// By their number.
    Number(u64),
    /// By their bytes.
    Hex(Vec<u8>),
    /// By a part of their bytes, for each place in which it can begin; the rows found have to be looked at.
    HexParts(Vec<Vec<u8>>),
    /// By their patterns; where that says nothing, by their text.
    Patterns(Vec<PatternVerdict>),
    /// By their text, all of it searched at once.
    Text,
    /// By their text, one by one.
    Each,
}

/// Looks at a column.
pub(in crate::segment) fn prepare(
    column: &Column,
    payload: &impl Payload,
    words: &Words,
    hits: &WordHits,
    condition: Condition<'_>,
) -> Result<Verdict, Error> {
    let text = condition.text();
    Ok(match &column.form {
        Form::Constant(value) => {
            if condition.holds(value) {
                Verdict::Always
            } else {
                Verdict::Never
            }
        }
        Form::Dictionary(dictionary, _) => {
            if !matches!(condition, Condition::Contains(_)) {
                return Ok(of_ranks(dictionary.iter().map(|word| condition.holds(words.get(*word))).collect()));
            }
            let hits = hits.of(words, text);
            if hits.is_empty() {
                return Ok(Verdict::Never);
            }
            of_ranks(dictionary.iter().map(|word| hits.binary_search(word).is_ok()).collect())
        }
        Form::Number(format, _) => number_verdict(*format, condition),
        Form::Hex(format) => match hex_verdict(*format, condition) {
            // One look at all rows is quicker than one at the rows of each unit.
            Verdict::Some(Test::Hex(bytes))
                if memmem::find(payload.get(0..column.payload_len())?, &bytes).is_none() =>
            {
                Verdict::Never
            }
            verdict => verdict,
        },
        Form::Time(format, _) => {
            if text.len() <= 48 && format.may_contain(text) {
                Verdict::Some(Test::Each)
            } else {
                Verdict::Never
            }
        }
        Form::Composite(composite) => composite_verdict(composite, payload, words, hits, condition)?,
        Form::Text(of) => {
            if of.may_contain(|range| payload.get(range).map_err(Failure::Store), text).map_err(|e| e.of(payload))? {
                Verdict::Some(Test::Text)
            } else {
                Verdict::Never
            }
        }
    })
}

fn of_ranks(ranks: Vec<bool>) -> Verdict {
    if ranks.iter().all(|holds| *holds) {
        Verdict::Always
    } else if ranks.iter().any(|holds| *holds) {
        Verdict::Some(Test::Ranks(ranks))
    } else {
        Verdict::Never
    }
}

fn number_verdict(format: NumberFormat, condition: Condition<'_>) -> Verdict {
    let text = condition.text();
    if number::digits(text).is_none() {
        return Verdict::Never;
    }
    match condition {
        Condition::Equals(_) => format.parse(text).map_or(Verdict::Never, |number| Verdict::Some(Test::Number(number))),
        _ => Verdict::Some(Test::Each),
    }
}

fn hex_verdict(format: HexFormat, condition: Condition<'_>) -> Verdict {
    let text = condition.text();
    if !condition.fits(format.text_len()) {
        return Verdict::Never;
    }
    if text.len() == format.text_len() {
        return match HexFormat::find(text) {
            Some(found) if found == format => Verdict::Some(Test::Hex(hex::bytes(text))),
            _ => Verdict::Never,
        };
    }
    let is_hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f') || *byte == b'-' && format == HexFormat::Uuid;
    if !text.iter().all(is_hex) {
        return Verdict::Never;
    }
    // Two digits are a byte: what is searched begins at the first or at the second of them.
    let digits: Vec<u8> = text.iter().copied().filter(|byte| *byte != b'-').collect();
    let part = |from: usize| {
        let whole = (digits.len() - from.min(digits.len())) & !1;
        hex::bytes(&digits[from..from + whole])
    };
    let parts = vec![part(0), part(1.min(digits.len()))];
    if parts.iter().any(Vec::is_empty) { Verdict::Some(Test::Each) } else { Verdict::Some(Test::HexParts(parts)) }
}

fn composite_verdict(
    composite: &Composite,
    payload: &impl Payload,
    words: &Words,
    hits: &WordHits,
    condition: Condition<'_>,
) -> Result<Verdict, Error> {
    let all_raw = composite.all_raw_extent();
    let raw = if all_raw.is_empty() { &[][..] } else { &payload.get(all_raw.clone())?[..all_raw.len()] };
    let verdicts = composite.verdicts(condition, words, hits, raw);
    Ok(if verdicts.iter().all(|verdict| *verdict == PatternVerdict::Never) {
        Verdict::Never
    } else {
        Verdict::Some(Test::Patterns(verdicts))
    })
}

/// Rows of a column that are searched, and what is needed to read them.
pub(in crate::segment) struct Rows<'a, P, T> {
    pub(in crate::segment) column: &'a Column,
    pub(in crate::segment) payload: &'a P,
    pub(in crate::segment) words: &'a Words,
    /// Time of the entry of a row.
    pub(in crate::segment) entry_ns: T,
}

impl Test {
    /// Keeps of `rows` (ascending) those that satisfy the condition.
    pub(in crate::segment) fn retain<P: Payload, T: Fn(u32) -> i64>(
        &self,
        of: &Rows<'_, P, T>,
        condition: Condition<'_>,
        decoded: &mut Decoded,
        rows: &mut Vec<u32>,
    ) -> Result<(), Error> {
        let mut kept = Vec::new();
        for block in rows.chunk_by(|a, b| *a as usize / BLOCK_ROWS == *b as usize / BLOCK_ROWS) {
            let (Some(first), Some(last)) = (block.first(), block.last()) else { continue };
            decoded.load(of.column, of.payload, *first as usize..*last as usize + 1)?;
            self.retain_block(of, condition, decoded, block, &mut kept);
        }
        *rows = kept;
        Ok(())
    }

    fn retain_block<P: Payload, T: Fn(u32) -> i64>(
        &self,
        of: &Rows<'_, P, T>,
        condition: Condition<'_>,
        decoded: &Decoded,
        rows: &[u32],
        kept: &mut Vec<u32>,
    ) {
        let mut text = Vec::new();
        let mut holds = |row: u32| {
            text.clear();
            decoded.print(of.column, row as usize, (of.entry_ns)(row), of.words, &mut text);
            condition.holds(&text)
        };
        match self {
            Self::Ranks(ranks) => kept.extend(
                rows.iter().filter(|row| ranks.get(decoded.value(**row as usize) as usize).copied().unwrap_or(false)),
            ),
            Self::Number(number) => {
                kept.extend(rows.iter().filter(|row| decoded.value(**row as usize) == *number));
            }
            Self::Hex(bytes) => {
                kept.extend(rows.iter().filter(|row| decoded.hex(**row as usize, bytes.len()) == bytes))
            }
            Self::HexParts(parts) => {
                let (all, _) = decoded.texts();
                let width = (all.len() / decoded.rows().len().max(1)).max(1);
                let row = |at: usize| (decoded.rows().start + at / width) as u32;
                let found = parts.iter().flat_map(|part| memmem::find_iter(all, part).map(row));
                let mut found: Vec<u32> = found.collect();
                found.sort_unstable();
                found.dedup();
                keep_common(rows, found.into_iter().filter(|row| holds(*row)), kept);
            }
            Self::Patterns(verdicts) => {
                kept.extend(rows.iter().filter(|row| match decoded.pattern(**row as usize, verdicts) {
                    PatternVerdict::Never => false,
                    PatternVerdict::Always => true,
                    PatternVerdict::Maybe => holds(**row),
                }));
            }
            Self::Text => {
                let found = rows_with(condition.text(), decoded);
                keep_common(rows, found.into_iter().filter(|row| holds(*row)), kept);
            }
            Self::Each => kept.extend(rows.iter().filter(|row| holds(**row))),
        }
    }
}

/// Appends what is in both of two ascending lists.
fn keep_common(rows: &[u32], found: impl Iterator<Item = u32>, kept: &mut Vec<u32>) {
    kept.extend(found.filter(|row| rows.binary_search(row).is_ok()));
}

/// Rows of a decoded column of texts that contain a text, ascending.
fn rows_with(text: &[u8], decoded: &Decoded) -> Vec<u32> {
    let finder = Finder::new(text);
    let (all, ends) = decoded.texts();
    let (mut found, mut at, mut row) = (Vec::new(), 0, 0);
    while let Some(hit) = all.get(at..).and_then(|rest| finder.find(rest)) {
        let start = at + hit;
        row += ends[row..].partition_point(|end| *end as usize <= start);
        let Some(end) = ends.get(row) else { break };
        if start + text.len() <= *end as usize {
            found.push((decoded.rows().start + row) as u32);
            at = *end as usize;
        } else {
            // It reaches into the next text.
            at = start + 1;
        }
    }
    found
}
