//! Decides how each pattern and slot of a column is written, and writes it.

use super::parse::{Parsed, Pattern, Slot};
use super::{SLOT_DIGITS, SLOT_HEX, SLOT_RAW, SLOT_SHARED_DIGITS, SLOT_SHARED_RAW, SLOT_WORDS};
use crate::bytes::{put_slice, put_varint};
use crate::codec::ans::{Encoder, log_for};
use crate::codec::bits::BitWriter;
use crate::codec::ints::{BLOCK_ROWS, NumberEncoder};
use crate::segment::column::gather::Gathered;
use crate::segment::column::hex::HexFormat;
use crate::segment::column::number::{FormatFinder, NumberFormat, any_digits};
use crate::segment::words::{WordsBuilder, put_words};

/// Patterns with at least so many rows have models of their own.
const OWN_ROWS: usize = 24;
/// Patterns beyond this number are not kept: their values are kept as they are.
const MAX_PATTERNS: usize = 2_048;
/// … and so are those with fewer rows than this.
const MIN_ROWS: usize = 3;

/// How a slot is written.
enum SlotPlan {
    Digits {
        values: Vec<u64>,
        format: NumberFormat,
        number: NumberEncoder,
    },
    Hex {
        format: HexFormat,
        values: Vec<u64>,
    },
    Words {
        values: Vec<u64>,
        words: Vec<u32>,
        number: NumberEncoder,
    },
    Raw {
        texts: RawTexts,
        number: NumberEncoder,
    },
    /// In format `Any`, under the model that is shared.
    SharedDigits(Vec<u64>),
    /// As it is, its length under the model that is shared.
    SharedRaw(RawTexts),
}

/// A column ready to be written.
pub(in super::super) struct Plan {
    log: u32,
    /// Rank of the pattern of each row; the number of patterns: none, the value is kept as it is.
    rows: Vec<u64>,
    patterns: Vec<(Vec<u8>, Vec<SlotPlan>)>,
    odd: RawTexts,
    rank: NumberEncoder,
    shared: NumberEncoder,
    lengths: NumberEncoder,
    cost: f64,
}

/// Texts one after the other.
#[derive(Default)]
struct RawTexts {
    text: Vec<u8>,
    ends: Vec<u32>,
}

impl RawTexts {
    fn push(&mut self, text: &[u8]) {
        self.text.extend_from_slice(text);
        self.ends.push(self.text.len() as u32);
    }

    fn get(&self, at: usize) -> &[u8] {
        let start = if at == 0 { 0 } else { self.ends[at - 1] as usize };
        &self.text[start..self.ends[at] as usize]
    }

    fn lengths(&self) -> impl Iterator<Item = u64> + Clone + '_ {
        (0..self.ends.len()).map(|at| self.get(at).len() as u64)
    }
}

impl Parsed {
    /// Decides how each pattern and slot is written. `column`: where the texts came from.
    pub(in super::super) fn plan(self, column: &Gathered, words: &mut WordsBuilder) -> Plan {
        // 2^8 states are enough for any model; more than 2^9 in each of many models do not stay in the cache.
        let log = log_for(self.rows.len()).clamp(8, 9);
        let mut order: Vec<u32> = (0..self.patterns.len() as u32).collect();
        order.sort_by_key(|id| std::cmp::Reverse(self.patterns[*id as usize].count));
        order.truncate(MAX_PATTERNS);
        let kept = order.partition_point(|id| self.patterns[*id as usize].count >= MIN_ROWS);
        order.truncate(kept);
        let odd_rank = order.len() as u64;
        let mut ranks = vec![odd_rank; self.patterns.len()];
        for (rank, id) in order.iter().enumerate() {
            ranks[*id as usize] = rank as u64;
        }
        let rows: Vec<u64> = self.rows.iter().map(|id| ranks.get(*id as usize).copied().unwrap_or(odd_rank)).collect();
        let mut odd = RawTexts::default();
        for (row, _) in rows.iter().enumerate().filter(|(_, rank)| **rank == odd_rank) {
            odd.push(column.get(row));
        }
        let mut patterns: Vec<Option<Pattern>> = self.patterns.into_iter().map(Some).collect();
        let patterns: Vec<(Vec<u8>, Vec<SlotPlan>)> = order
            .iter()
            .filter_map(|id| patterns[*id as usize].take())
            .map(|pattern| {
                let own = pattern.count >= OWN_ROWS;
                (pattern.text, pattern.slots.into_iter().map(|slot| plan_slot(slot, own, log, words)).collect())
            })
            .collect();
        let (mut shared, mut lengths) = (Vec::new(), Vec::new());
        lengths.extend(odd.lengths());
        for slot in patterns.iter().flat_map(|(_, slots)| slots) {
            match slot {
                SlotPlan::SharedDigits(values) => shared.extend_from_slice(values),
                SlotPlan::SharedRaw(texts) => lengths.extend(texts.lengths()),
                _ => {}
            }
        }
        let number = |values: &[u64]| NumberEncoder::new(values.iter().copied(), log);
        let (rank, shared, lengths) = (number(&rows), number(&shared), number(&lengths));
        let of_patterns = patterns
            .iter()
            .map(|(text, slots)| text.len() as f64 * 0.5 + slots.iter().map(SlotPlan::cost).sum::<f64>());
        let blocks = rows.len().div_ceil(BLOCK_ROWS) as f64;
        let cost = of_patterns.sum::<f64>()
            + odd.text.len() as f64
            + rank.cost()
            + shared.cost()
            + lengths.cost()
            + blocks * 4.0;
        Plan { log, rows, patterns, odd, rank, shared, lengths, cost }
    }
}

fn plan_slot(slot: Slot, own: bool, log: u32, words: &mut WordsBuilder) -> SlotPlan {
    match slot {
        Slot::Digits(values) if own => plan_digits(values, log),
        Slot::Digits(values) => SlotPlan::SharedDigits(values),
        Slot::Hex(format, values) => SlotPlan::Hex { format, values },
        Slot::Words(values) if own => plan_words(&values, log, words),
        Slot::Words(values) => {
            let mut texts = RawTexts::default();
            (0..values.rows()).for_each(|row| texts.push(values.get(row)));
            SlotPlan::SharedRaw(texts)
        }
    }
}

fn plan_digits(values: Vec<u64>, log: u32) -> SlotPlan {
    let mut finder = FormatFinder::default();
    values.iter().for_each(|value| finder.add(*value));
    let format = finder.format();
    let values: Vec<u64> = values.into_iter().map(|value| format.of_any(value)).collect();
    let number = NumberEncoder::new(values.iter().copied(), log);
    SlotPlan::Digits { values, format, number }
}

/// A word of the line: numbers, hexadecimal, one of a few, or anything.
fn plan_words(column: &Gathered, log: u32, words: &mut WordsBuilder) -> SlotPlan {
    let rows = 0..column.rows();
    let few = column.distinct().filter(|distinct| *distinct * 4 <= rows.len() || *distinct <= 4);
    if few.is_none() {
        let numbers: Option<Vec<u64>> = rows.clone().map(|row| any_digits(column.get(row))).collect();
        if let Some(numbers) = numbers {
            return plan_digits(numbers, log);
        }
        if let Some(format) = HexFormat::find(column.get(0))
            && rows.clone().all(|row| HexFormat::find(column.get(row)) == Some(format))
        {
            let values = rows.flat_map(|row| format.numbers(column.get(row))).collect();
            return SlotPlan::Hex { format, values };
        }
        let mut texts = RawTexts::default();
        rows.for_each(|row| texts.push(column.get(row)));
        let number = NumberEncoder::new(texts.lengths(), log);
        return SlotPlan::Raw { texts, number };
    }
    let (dictionary, values) = column.ranked();
    let words = dictionary.iter().map(|word| words.add(word)).collect();
    let number = NumberEncoder::new(values.iter().copied(), log);
    SlotPlan::Words { values, words, number }
}

impl SlotPlan {
    fn cost(&self) -> f64 {
        match self {
            Self::Digits { number, .. } => number.cost(),
            Self::Hex { format, values } => {
                (values.len() / format.digits().div_ceil(16) * format.digits()) as f64 / 2.0
            }
            Self::Words { number, words, .. } => number.cost() + 3.0 * words.len() as f64,
            Self::Raw { texts, number } => number.cost() + texts.text.len() as f64,
            Self::SharedDigits(_) => 1.0,
            Self::SharedRaw(texts) => texts.text.len() as f64,
        }
    }

    /// Adds value `at` to a stream. What the decoder reads last comes first.
    fn encode(&self, at: usize, plan: &Plan, encoder: &mut Encoder) {
        match self {
            Self::Digits { values, number, .. } | Self::Words { values, number, .. } => {
                number.encode(encoder, values[at]);
            }
            Self::Hex { format, values } => {
                let parts = format.digits().div_ceil(16);
                for part in (0..parts).rev() {
                    let digits = (format.digits() - part * 16).min(16) as u32;
                    put_wide(encoder, values[at * parts + part], digits * 4);
                }
            }
            Self::Raw { texts, number } => number.encode(encoder, texts.get(at).len() as u64),
            Self::SharedDigits(values) => plan.shared.encode(encoder, values[at]),
            Self::SharedRaw(texts) => plan.lengths.encode(encoder, texts.get(at).len() as u64),
        }
    }

    /// What value `at` adds to the texts that are kept as they are.
    fn raw(&self, at: usize) -> &[u8] {
        match self {
            Self::Raw { texts, .. } | Self::SharedRaw(texts) => texts.get(at),
            _ => &[],
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Digits { format, number, .. } => {
                out.push(SLOT_DIGITS);
                format.write(out);
                number.write(out);
            }
            Self::Hex { format, .. } => out.extend_from_slice(&[SLOT_HEX, format.code()]),
            Self::Words { words, number, .. } => {
                out.push(SLOT_WORDS);
                put_words(words, out);
                number.write(out);
            }
            Self::Raw { number, .. } => {
                out.push(SLOT_RAW);
                number.write(out);
            }
            Self::SharedDigits(_) => out.push(SLOT_SHARED_DIGITS),
            Self::SharedRaw(_) => out.push(SLOT_SHARED_RAW),
        }
    }
}

/// Adds up to 64 bits; the decoder reads the low 32 first.
fn put_wide(encoder: &mut Encoder, value: u64, bits: u32) {
    if bits > 32 {
        encoder.bits(value >> 32, bits - 32);
        encoder.bits(value & 0xffff_ffff, 32);
    } else {
        encoder.bits(value, bits);
    }
}

impl Plan {
    /// Bytes of the column, about.
    pub(in super::super) fn cost(&self) -> f64 {
        self.cost
    }

    /// Appends what the directory keeps to `params` and the rows to `payload`.
    pub(in super::super) fn write(&self, params: &mut Vec<u8>, payload: &mut Vec<u8>) {
        params.push(self.log as u8);
        put_varint(params, self.patterns.len() as u64);
        for (pattern, slots) in &self.patterns {
            put_slice(params, pattern);
            slots.iter().for_each(|slot| slot.write(params));
        }
        self.rank.write(params);
        self.shared.write(params);
        self.lengths.write(params);
        let mut raw = Vec::new();
        for (len, raw_len) in self.write_blocks(payload, &mut raw) {
            put_varint(params, len as u64);
            put_varint(params, raw_len as u64);
        }
        payload.append(&mut raw);
    }

    /// Appends the blocks to `payload` and the texts that are kept as they are to `raw`; returns what each block adds to both.
    fn write_blocks(&self, payload: &mut Vec<u8>, raw: &mut Vec<u8>) -> Vec<(usize, usize)> {
        let mut lens = Vec::new();
        let mut encoder = Encoder::new(self.log);
        let mut writer = BitWriter::default();
        // How many rows of each pattern, and odd ones, came before.
        let mut before = vec![0usize; self.patterns.len() + 1];
        for block in self.rows.chunks(BLOCK_ROWS) {
            let (start, raw_start) = (payload.len(), raw.len());
            let mut at = before.clone();
            for rank in block {
                let row = &mut at[*rank as usize];
                match self.patterns.get(*rank as usize) {
                    Some((_, slots)) => slots.iter().for_each(|slot| raw.extend_from_slice(slot.raw(*row))),
                    None => raw.extend_from_slice(self.odd.get(*row)),
                }
                *row += 1;
            }
            before.clone_from(&at);
            for rank in block.iter().rev() {
                let row = &mut at[*rank as usize];
                *row -= 1;
                match self.patterns.get(*rank as usize) {
                    Some((_, slots)) => slots.iter().rev().for_each(|slot| slot.encode(*row, self, &mut encoder)),
                    None => self.lengths.encode(&mut encoder, self.odd.get(*row).len() as u64),
                }
                self.rank.encode(&mut encoder, *rank);
            }
            encoder.finish(&mut writer);
            writer.finish_into(payload);
            lens.push((payload.len() - start, raw.len() - raw_start));
        }
        lens
    }
}
