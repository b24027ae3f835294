//! Columns: the values of one field over all rows of a template, each kept in the form that suits it.

mod class;
mod composite;
mod encode;
mod gather;
mod hex;
mod number;
mod search;
mod text;
mod time;

use std::ops::Range;

pub(super) use encode::encode;
pub(super) use gather::Gathered;
pub(super) use search::{Condition, OwnedCondition, Rows, Test, Verdict, prepare};

use composite::{Composite, CompositeRows, PatternVerdict};
use hex::HexFormat;
use number::NumberFormat;
use text::Text;
use time::TimeFormat;

use super::words::{Words, read_words};
use crate::bytes::{Cursor, Malformed};
use crate::codec::ints::{BLOCK_ROWS, Ints};
use crate::error::Error;

const CONSTANT: u8 = 0;
const DICTIONARY: u8 = 1;
const NUMBER: u8 = 2;
const HEX: u8 = 3;
const TIME: u8 = 4;
const COMPOSITE: u8 = 5;
const TEXT: u8 = 6;

/// A column as the directory keeps it.
#[derive(Debug)]
pub(super) struct Column {
    rows: usize,
    form: Form,
}

#[derive(Debug)]
pub(super) enum Form {
    /// Every row has this text.
    Constant(Vec<u8>),
    /// Words, and for each row which of them.
    Dictionary(Vec<u32>, Ints),
    /// Runs of digits.
    Number(NumberFormat, Ints),
    /// Hexadecimal digits, two a byte.
    Hex(HexFormat),
    /// Times, as differences to the time of the entry (zigzag).
    Time(TimeFormat, Ints),
    /// Patterns with numbers and words in them.
    Composite(Composite),
    /// Anything.
    Text(Text),
}

impl Column {
    pub(super) fn read(cursor: &mut Cursor<'_>, rows: usize) -> Result<Self, Malformed> {
        let form = match cursor.byte()? {
            CONSTANT => Form::Constant(cursor.slice()?.to_vec()),
            DICTIONARY => Form::Dictionary(read_words(cursor)?, Ints::read(cursor, rows)?),
            NUMBER => Form::Number(NumberFormat::read(cursor)?, Ints::read(cursor, rows)?),
            HEX => {
                let format = HexFormat::from_code(cursor.byte()?);
                Form::Hex(format.ok_or_else(|| cursor.malformed("hexadecimal digits in an unknown format"))?)
            }
            TIME => Form::Time(TimeFormat::read(cursor)?, Ints::read(cursor, rows)?),
            COMPOSITE => Form::Composite(Composite::read(cursor, rows)?),
            TEXT => Form::Text(Text::read(cursor, rows)?),
            _ => return Err(cursor.malformed("unknown form of a column")),
        };
        Ok(Self { rows, form })
    }

    /// Bytes of the payload.
    pub(super) fn payload_len(&self) -> usize {
        match &self.form {
            Form::Constant(_) => 0,
            Form::Dictionary(_, ints) | Form::Number(_, ints) | Form::Time(_, ints) => ints.payload_len(),
            Form::Hex(format) => format.digits().div_ceil(2).saturating_mul(self.rows),
            Form::Composite(composite) => composite.payload_len(),
            Form::Text(text) => text.payload_len(),
        }
    }

    /// Bytes of memory.
    pub(super) fn heap_bytes(&self) -> usize {
        size_of::<Self>()
            + match &self.form {
                Form::Constant(text) => text.len(),
                Form::Dictionary(words, ints) => words.len() * 4 + ints.heap_bytes(),
                Form::Number(_, ints) | Form::Time(_, ints) => ints.heap_bytes(),
                Form::Hex(_) => 0,
                Form::Composite(composite) => composite.heap_bytes(),
                Form::Text(text) => text.heap_bytes(),
            }
    }
}

/// Gives bytes of a column's payload with the padding after them.
pub(super) trait Payload {
    fn get(&self, range: Range<usize>) -> Result<&[u8], Error>;
    fn damaged(&self, malformed: Malformed) -> Error;
}

/// Rows of a column that are decoded at the moment.
#[derive(Debug, Default)]
pub(super) struct Decoded {
    rows: Range<usize>,
    values: Vec<u64>,
    composite: CompositeRows,
    text: Vec<u8>,
    ends: Vec<u32>,
}

impl Decoded {
    /// Decodes rows, at least those given, in place of what was decoded before.
    pub(super) fn load(&mut self, column: &Column, payload: &impl Payload, rows: Range<usize>) -> Result<(), Error> {
        self.rows = 0..0;
        self.values.clear();
        self.composite.clear();
        self.text.clear();
        self.ends.clear();
        let mut loaded = rows.clone();
        match &column.form {
            Form::Constant(_) => {}
            Form::Dictionary(_, ints) | Form::Number(_, ints) | Form::Time(_, ints) => {
                let bytes = payload.get(ints.extent(rows.start, rows.len()))?;
                ints.decode(bytes, rows.start, rows.len(), &mut self.values).map_err(|e| payload.damaged(e))?;
            }
            Form::Hex(format) => {
                let width = format.digits().div_ceil(2);
                let bytes = payload.get(rows.start * width..rows.end * width)?;
                self.text.extend_from_slice(&bytes[..rows.len() * width]);
            }
            Form::Composite(composite) => {
                // A block can only be decoded from its beginning.
                loaded.start = rows.start / BLOCK_ROWS * BLOCK_ROWS;
                for block in loaded.start / BLOCK_ROWS..rows.end.div_ceil(BLOCK_ROWS) {
                    let bytes = payload.get(composite.extent(block))?;
                    let raw_extent = composite.raw_extent(block);
                    let raw = &payload.get(raw_extent.clone())?[..raw_extent.len()];
                    let count = (rows.end - block * BLOCK_ROWS).min(BLOCK_ROWS);
                    composite.decode(bytes, raw, count, &mut self.composite).map_err(|e| payload.damaged(e))?;
                }
            }
            Form::Text(text) => {
                let result = text.decode(
                    |range| payload.get(range).map_err(Failure::Store),
                    rows.start,
                    rows.len(),
                    &mut self.text,
                    &mut self.ends,
                );
                result.map_err(|failure| failure.of(payload))?;
            }
        }
        self.rows = loaded;
        Ok(())
    }

    /// Whether a row is decoded.
    pub(super) fn has(&self, row: usize) -> bool {
        self.rows.contains(&row)
    }

    /// The number behind a decoded row of a column of a dictionary, numbers or times.
    pub(super) fn value(&self, row: usize) -> u64 {
        self.values.get(row.wrapping_sub(self.rows.start)).copied().unwrap_or(0)
    }

    /// The rows that are decoded.
    fn rows(&self) -> &Range<usize> {
        &self.rows
    }

    /// The decoded texts, or bytes of hexadecimal digits, one after the other, and the ends of the texts.
    fn texts(&self) -> (&[u8], &[u32]) {
        (&self.text, &self.ends)
    }

    /// Bytes of a decoded row of a column of hexadecimal digits.
    fn hex(&self, row: usize, width: usize) -> &[u8] {
        let at = row.wrapping_sub(self.rows.start).wrapping_mul(width);
        self.text.get(at..at.wrapping_add(width)).unwrap_or(&[])
    }

    /// What is said of the pattern of a decoded row of a composite column.
    fn pattern(&self, row: usize, verdicts: &[PatternVerdict]) -> PatternVerdict {
        let rank = self.composite.rank(row.wrapping_sub(self.rows.start));
        verdicts.get(rank).copied().unwrap_or(PatternVerdict::Maybe)
    }

    /// Appends the text of a decoded row.
    #[inline]
    pub(super) fn print(&self, column: &Column, row: usize, entry_ns: i64, words: &Words, out: &mut Vec<u8>) {
        let at = row.wrapping_sub(self.rows.start);
        match &column.form {
            Form::Constant(text) => out.extend_from_slice(text),
            Form::Dictionary(dictionary, _) => {
                if let Some(word) = dictionary.get(self.value(row) as usize) {
                    out.extend_from_slice(words.get(*word));
                }
            }
            Form::Number(format, _) => format.print(self.value(row), out),
            Form::Hex(format) => {
                let width = format.digits().div_ceil(2);
                let bytes = self.text.get(at * width..(at + 1) * width).unwrap_or(&[]);
                print_hex(*format, bytes, out);
            }
            Form::Time(format, _) => {
                format.print_difference(crate::bytes::unzigzag(self.value(row)), entry_ns, out);
            }
            Form::Composite(composite) => composite.print(&self.composite, at, words, out),
            Form::Text(_) => {
                let start = if at == 0 { 0 } else { self.ends.get(at - 1).copied().unwrap_or(0) };
                let end = self.ends.get(at).copied().unwrap_or(0);
                out.extend_from_slice(self.text.get(start as usize..end as usize).unwrap_or(&[]));
            }
        }
    }
}

/// Appends the text of hexadecimal digits that stand two in a byte.
fn print_hex(format: HexFormat, bytes: &[u8], out: &mut Vec<u8>) {
    for (at, byte) in bytes.iter().enumerate() {
        if format == HexFormat::Uuid && matches!(at, 4 | 6 | 8 | 10) {
            out.push(b'-');
        }
        out.extend_from_slice(&HEX_PAIRS[usize::from(*byte)]);
    }
    if format.digits() % 2 == 1 {
        out.pop();
    }
}

static HEX_PAIRS: [[u8; 2]; 256] = {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [DIGITS[byte >> 4], DIGITS[byte & 15]];
        byte += 1;
    }
    pairs
};

enum Failure {
    Store(Error),
    Malformed(Malformed),
}

impl Failure {
    fn of(self, payload: &impl Payload) -> Error {
        match self {
            Self::Store(error) => error,
            Self::Malformed(malformed) => payload.damaged(malformed),
        }
    }
}

impl From<Malformed> for Failure {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

#[cfg(test)]
mod tests;
