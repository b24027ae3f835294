//! Columns of texts with numbers in them: each value is a pattern (the text with its numbers taken out) and the numbers.
//!
//! `GET /api/orders/17 HTTP/1.1` is the pattern `GET /api/orders/# HTTP/#.#` and 17, 1, 1. What is taken out of a pattern is a
//! slot: a run of digits, a word of hexadecimal digits, or, where words vary too, every word. A frequent pattern has
//! models of its own for its slots; the others share one; values of the rarest patterns are kept as they are.
//!
//! A block of rows is one stream of the entropy coder: for each row its pattern, then its slots. Words that share nothing, and
//! values that are kept as they are, only have their lengths there; their texts stand one after the other behind the
//! blocks, where they are searched as they are.
//!
//! `parse` takes values apart and `write` writes them; reading is here, and `search` rules patterns out.

mod parse;
mod search;
mod write;

use std::ops::Range;

pub(super) use self::parse::Parsed;
use self::search::Pieces;
pub(super) use self::write::Plan;
use super::hex::HexFormat;
use super::number::NumberFormat;
use super::search::Condition;
use crate::bytes::{Cursor, Malformed};
use crate::codec::ans::Decoder;
use crate::codec::bits::BitReader;
use crate::codec::ints::{BLOCK_ROWS, NumberModel};
use crate::segment::words::{WordHits, Words, read_words};

/// In a pattern: a run of digits.
pub(super) const DIGITS: u8 = 0xff;
/// Hexadecimal digits in a format whose code is the next byte.
pub(super) const HEX: u8 = 0xfe;
/// Any word.
pub(super) const WORD: u8 = 0xfd;
/// Longest text that is kept as it is: columns with longer ones take another form.
pub(super) const MAX_RAW: u64 = 1 << 16;

const SLOT_DIGITS: u8 = 0;
const SLOT_HEX: u8 = 1;
const SLOT_WORDS: u8 = 2;
const SLOT_RAW: u8 = 3;
const SLOT_SHARED_DIGITS: u8 = 4;
const SLOT_SHARED_RAW: u8 = 5;

/// A composite column as the directory keeps it.
#[derive(Debug)]
pub(crate) struct Composite {
    log: u32,
    patterns: Vec<PatternInfo>,
    rank: NumberModel,
    shared: NumberModel,
    lengths: NumberModel,
    ends: Vec<u32>,
    /// Ends of the texts of each block that are kept as they are, counted from the end of the last block.
    raw_ends: Vec<u32>,
}

#[derive(Debug)]
pub(crate) struct PatternInfo {
    text: Vec<u8>,
    slots: Vec<SlotInfo>,
}

#[derive(Debug)]
enum SlotInfo {
    Digits(NumberFormat, NumberModel),
    Hex(HexFormat),
    Words(Vec<u32>, NumberModel),
    Raw(NumberModel),
    SharedDigits,
    SharedRaw,
}

/// What is known of the values of a pattern and a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PatternVerdict {
    /// No value satisfies it.
    Never,
    /// Every value does.
    Always,
    /// The value has to be looked at.
    Maybe,
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// Rows of a composite column, decoded but not yet written out.
#[derive(Debug, Default)]
pub(crate) struct CompositeRows {
    /// Rank of the pattern and where its values begin.
    rows: Vec<(u32, u32)>,
    values: Vec<u64>,
    raw: Vec<u8>,
}

impl CompositeRows {
    /// Rank of the pattern of a decoded row.
    pub(super) fn rank(&self, row: usize) -> usize {
        self.rows.get(row).map_or(usize::MAX, |(rank, _)| *rank as usize)
    }

    pub(super) fn clear(&mut self) {
        self.rows.clear();
        self.values.clear();
        self.raw.clear();
    }
}

impl Composite {
    pub(super) fn read(cursor: &mut Cursor<'_>, rows: usize) -> Result<Self, Malformed> {
        let log = u32::from(cursor.byte()?);
        if !(8..=11).contains(&log) {
            return Err(cursor.malformed("model with a number of states that cannot be"));
        }
        let mut patterns = Vec::new();
        for _ in 0..cursor.count()? {
            let text = cursor.slice()?.to_vec();
            let mut slots = Vec::new();
            let mut bytes = text.iter();
            while let Some(byte) = bytes.next() {
                match *byte {
                    HEX => {
                        bytes.next().ok_or_else(|| cursor.malformed("pattern is cut off"))?;
                        slots.push(SlotInfo::read(cursor, log)?);
                    }
                    DIGITS | WORD => slots.push(SlotInfo::read(cursor, log)?),
                    _ => {}
                }
            }
            patterns.push(PatternInfo { text, slots });
        }
        let rank = NumberModel::read(cursor, log)?;
        let shared = NumberModel::read(cursor, log)?;
        let lengths = NumberModel::read(cursor, log)?;
        let blocks = rows.div_ceil(BLOCK_ROWS);
        if blocks > cursor.remaining() {
            return Err(cursor.malformed("more blocks than bytes"));
        }
        let (mut ends, mut end) = (Vec::with_capacity(blocks), 0u32);
        let (mut raw_ends, mut raw_end) = (Vec::with_capacity(blocks), 0u32);
        for _ in 0..blocks {
            for (end, ends) in [(&mut end, &mut ends), (&mut raw_end, &mut raw_ends)] {
                let len = cursor.bounded(u32::MAX as usize, "block is too long")? as u32;
                *end = end.checked_add(len).ok_or_else(|| cursor.malformed("column is too long"))?;
                ends.push(*end);
            }
        }
        Ok(Self { log, patterns, rank, shared, lengths, ends, raw_ends })
    }

    /// Bytes of the payload.
    pub(super) fn payload_len(&self) -> usize {
        self.blocks_len() + self.raw_ends.last().copied().unwrap_or(0) as usize
    }

    fn blocks_len(&self) -> usize {
        self.ends.last().copied().unwrap_or(0) as usize
    }

    /// Bytes of the payload that a block needs.
    pub(super) fn extent(&self, block: usize) -> Range<usize> {
        part(&self.ends, block)
    }

    /// Bytes of the payload with the texts of a block that are kept as they are.
    pub(super) fn raw_extent(&self, block: usize) -> Range<usize> {
        let base = self.blocks_len();
        let range = part(&self.raw_ends, block);
        base + range.start..base + range.end
    }

    /// Bytes of the payload with all texts that are kept as they are.
    pub(super) fn all_raw_extent(&self) -> Range<usize> {
        let base = self.blocks_len();
        base..base + self.raw_ends.last().copied().unwrap_or(0) as usize
    }

    /// For each pattern, and last for values without one, what is to be said of a condition. `raw`: all texts that are kept as they are.
    pub(super) fn verdicts(
        &self,
        condition: Condition<'_>,
        words: &Words,
        hits: &WordHits,
        raw: &[u8],
    ) -> Vec<PatternVerdict> {
        let pieces = Pieces::of(condition.text(), words, hits, raw);
        let of_patterns = self.patterns.iter().map(|pattern| pattern.verdict(condition, &pieces));
        let odd = if pieces.whole_in_raw { PatternVerdict::Maybe } else { PatternVerdict::Never };
        of_patterns.chain([odd]).collect()
    }

    /// Appends the first `count` rows of a block. `payload`: the bytes of [`Composite::extent`] and the padding after them,
    /// `raw`: those of [`Composite::raw_extent`].
    pub(super) fn decode(
        &self,
        payload: &[u8],
        raw: &[u8],
        count: usize,
        out: &mut CompositeRows,
    ) -> Result<(), Malformed> {
        let mut decoder = Decoder::new(BitReader::new(payload), self.log)?;
        let mut next_raw = out.raw.len();
        out.raw.extend_from_slice(raw);
        for _ in 0..count {
            let rank = self.rank.decode(&mut decoder)?;
            out.rows.push((rank.min(u64::from(u32::MAX)) as u32, out.values.len() as u32));
            match self.patterns.get(rank as usize) {
                Some(pattern) => {
                    for slot in &pattern.slots {
                        self.decode_slot(slot, &mut decoder, &mut next_raw, out)?;
                    }
                }
                None if rank == self.patterns.len() as u64 => {
                    decode_raw(&self.lengths, &mut decoder, &mut next_raw, out)?;
                }
                None => return Err(Malformed { what: "pattern that is not there", at: 0 }),
            }
        }
        Ok(())
    }

    fn decode_slot(
        &self,
        slot: &SlotInfo,
        decoder: &mut Decoder<'_>,
        next_raw: &mut usize,
        out: &mut CompositeRows,
    ) -> Result<(), Malformed> {
        match slot {
            SlotInfo::Digits(_, number) => out.values.push(number.decode(decoder)?),
            SlotInfo::SharedDigits => out.values.push(self.shared.decode(decoder)?),
            SlotInfo::Words(words, number) => {
                let word = words.get(number.decode(decoder)? as usize);
                out.values.push(u64::from(*word.ok_or(Malformed { what: "word that is not there", at: 0 })?));
            }
            SlotInfo::Hex(format) => {
                for part in 0..format.digits().div_ceil(16) {
                    let digits = (format.digits() - part * 16).min(16) as u32;
                    out.values.push(take_wide(decoder.bits(), digits * 4)?);
                }
            }
            SlotInfo::Raw(lengths) => decode_raw(lengths, decoder, next_raw, out)?,
            SlotInfo::SharedRaw => decode_raw(&self.lengths, decoder, next_raw, out)?,
        }
        Ok(())
    }

    /// Appends the text of a decoded row.
    pub(super) fn print(&self, rows: &CompositeRows, row: usize, words: &Words, out: &mut Vec<u8>) {
        let Some((rank, start)) = rows.rows.get(row) else { return };
        let mut values = rows.values[*start as usize..].iter().copied();
        let mut next = || values.next().unwrap_or(0);
        let print_raw = |value: u64, out: &mut Vec<u8>| {
            let (start, len) = ((value >> 32) as usize, (value & 0xffff_ffff) as usize);
            out.extend_from_slice(rows.raw.get(start..start + len).unwrap_or(&[]));
        };
        let Some(pattern) = self.patterns.get(*rank as usize) else {
            print_raw(next(), out);
            return;
        };
        let mut slots = pattern.slots.iter();
        let mut rest = &pattern.text[..];
        while let Some(at) = rest.iter().position(|byte| *byte >= WORD) {
            out.extend_from_slice(&rest[..at]);
            rest = &rest[at + 1 + usize::from(rest[at] == HEX)..];
            match slots.next() {
                Some(SlotInfo::Digits(format, _)) => format.print(next(), out),
                Some(SlotInfo::SharedDigits) => NumberFormat::Any.print(next(), out),
                Some(SlotInfo::Words(..)) => out.extend_from_slice(words.get(next() as u32)),
                Some(SlotInfo::Hex(format)) => format.print(&mut next, out),
                Some(SlotInfo::Raw(_) | SlotInfo::SharedRaw) => print_raw(next(), out),
                None => {}
            }
        }
        out.extend_from_slice(rest);
    }

    /// Bytes of memory.
    pub(super) fn heap_bytes(&self) -> usize {
        let of_slot = |slot: &SlotInfo| match slot {
            SlotInfo::Digits(_, number) | SlotInfo::Raw(number) => number.heap_bytes(),
            SlotInfo::Words(words, number) => number.heap_bytes() + words.len() * 4,
            _ => 0,
        };
        let of_pattern =
            |pattern: &PatternInfo| pattern.text.len() + pattern.slots.iter().map(of_slot).sum::<usize>() + 96;
        self.patterns.iter().map(of_pattern).sum::<usize>()
            + self.ends.len() * 4
            + self.rank.heap_bytes()
            + self.shared.heap_bytes()
            + self.lengths.heap_bytes()
    }
}

impl SlotInfo {
    fn read(cursor: &mut Cursor<'_>, log: u32) -> Result<Self, Malformed> {
        Ok(match cursor.byte()? {
            SLOT_DIGITS => Self::Digits(NumberFormat::read(cursor)?, NumberModel::read(cursor, log)?),
            SLOT_HEX => {
                let format = HexFormat::from_code(cursor.byte()?);
                Self::Hex(format.ok_or_else(|| cursor.malformed("hexadecimal digits in an unknown format"))?)
            }
            SLOT_WORDS => Self::Words(read_words(cursor)?, NumberModel::read(cursor, log)?),
            SLOT_RAW => Self::Raw(NumberModel::read(cursor, log)?),
            SLOT_SHARED_DIGITS => Self::SharedDigits,
            SLOT_SHARED_RAW => Self::SharedRaw,
            _ => return Err(cursor.malformed("unknown kind of slot")),
        })
    }
}

fn take_wide(reader: &mut BitReader<'_>, bits: u32) -> Result<u64, Malformed> {
    if bits > 32 {
        let low = reader.take(32)?;
        return Ok(low | reader.take(bits - 32)? << 32);
    }
    reader.take(bits)
}

fn part(ends: &[u32], at: usize) -> Range<usize> {
    let end = |at: usize| ends.get(at).copied().unwrap_or(0) as usize;
    if at == 0 { 0..end(0) } else { end(at - 1)..end(at) }
}

/// Takes a text that is kept as it is: where it is in `CompositeRows::raw`, and its length.
fn decode_raw(
    lengths: &NumberModel,
    decoder: &mut Decoder<'_>,
    next_raw: &mut usize,
    out: &mut CompositeRows,
) -> Result<(), Malformed> {
    let len = lengths.decode(decoder)?;
    if len > MAX_RAW || *next_raw + len as usize > out.raw.len() {
        return Err(Malformed { what: "text is longer than it can be", at: 0 });
    }
    out.values.push((*next_raw as u64) << 32 | len);
    *next_raw += len as usize;
    Ok(())
}
