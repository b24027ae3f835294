//! Columns of texts with numbers in them: each value is a pattern (the text with its numbers taken out) and the numbers.
//!
//! `GET /api/orders/17 HTTP/1.1` is the pattern `GET /api/orders/# HTTP/#.#` and 17, 1, 1. What is taken out of a pattern is a
//! slot: a run of digits, a word of hexadecimal digits, or, where words vary too, every word. A frequent pattern has
//! models of its own for its slots; the others share one; values of the rarest patterns are kept as they are.
//!
//! A block of rows is one stream of the entropy coder: for each row its pattern, then its slots. Words that share nothing, and
//! values that are kept as they are, only have their lengths there; their texts stand one after the other behind the
//! blocks, where they are searched as they are.

mod search;

use std::hash::BuildHasher;
use std::ops::Range;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use self::search::Pieces;
use super::gather::Gathered;
use super::hex::{HexFormat, UUID_LEN, is_uuid};
use super::number::{FormatFinder, MAX_DIGITS, NumberFormat, any_digits};
use super::search::Condition;
use crate::bytes::{Cursor, Malformed, put_slice, put_varint};
use crate::codec::ans::{Decoder, Encoder, log_for};
use crate::codec::bits::{BitReader, BitWriter};
use crate::codec::ints::{BLOCK_ROWS, NumberEncoder, NumberModel};
use crate::segment::words::{WordHits, Words, WordsBuilder, put_words, read_words};

/// In a pattern: a run of digits.
pub(super) const DIGITS: u8 = 0xff;
/// Hexadecimal digits in a format whose code is the next byte.
pub(super) const HEX: u8 = 0xfe;
/// Any word.
pub(super) const WORD: u8 = 0xfd;

/// Patterns with at least so many rows have models of their own.
const OWN_ROWS: usize = 24;
/// Patterns beyond this number are not kept: their values are kept as they are.
const MAX_PATTERNS: usize = 2_048;
/// … and so are those with fewer rows than this.
const MIN_ROWS: usize = 3;
/// Longest pattern.
const MAX_PATTERN: usize = 1 << 10;
/// Words of hexadecimal digits shorter than this are not told from other words; longer ones are not taken either.
const HEX_LEN: Range<usize> = 4..65;
/// Longest text that is kept as it is: columns with longer ones take another form.
pub(super) const MAX_RAW: u64 = 1 << 16;
/// Most slots of a pattern.
const MAX_SLOTS: usize = 64;

/// Values of a column taken apart.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    /// Pattern of each row.
    rows: Vec<u32>,
    patterns: Vec<Pattern>,
    table: HashTable<u32>,
    hasher: FixedState,
    scratch: Scratch,
}

/// No pattern.
const ODD: u32 = u32::MAX;

#[derive(Debug, Default)]
struct Scratch {
    pattern: Vec<u8>,
    numbers: Vec<u64>,
    words: Vec<(usize, usize)>,
}

#[derive(Debug)]
struct Pattern {
    text: Vec<u8>,
    count: usize,
    slots: Vec<Slot>,
}

/// Values of one slot, in the order of the rows of its pattern.
#[derive(Debug)]
enum Slot {
    /// In format [`NumberFormat::Any`].
    Digits(Vec<u64>),
    /// Sixteen digits a number.
    Hex(HexFormat, Vec<u64>),
    Words(Gathered),
}

impl Parsed {
    /// Number of patterns so far.
    pub(super) fn patterns(&self) -> usize {
        self.patterns.len()
    }

    /// Takes the next row apart at its numbers.
    pub(super) fn add_numbers(&mut self, value: &[u8]) {
        let scratch = &mut self.scratch;
        scratch.pattern.clear();
        scratch.numbers.clear();
        let mut at = 0;
        while at < value.len() {
            let start = at;
            while at < value.len() && value[at].is_ascii_alphanumeric() {
                at += 1;
            }
            if at == start {
                scratch.pattern.push(value[at]);
                at += 1;
            } else if at - start == 8 && value.get(start..start + UUID_LEN).is_some_and(is_uuid) {
                at = start + UUID_LEN;
                take_hex(HexFormat::Uuid, &value[start..at], scratch);
            } else {
                take_word(&value[start..at], scratch);
            }
        }
        self.add_scratch(value);
    }

    /// Takes the next row apart at all its words.
    pub(super) fn add_words(&mut self, value: &[u8]) {
        let scratch = &mut self.scratch;
        scratch.pattern.clear();
        scratch.words.clear();
        let mut at = 0;
        while at < value.len() {
            let start = at;
            while at < value.len() && is_word(value[at]) {
                at += 1;
            }
            if at == start {
                scratch.pattern.push(value[at]);
                at += 1;
            } else {
                scratch.pattern.push(WORD);
                scratch.words.push((start, at));
            }
        }
        self.add_scratch(value);
    }

    fn add_scratch(&mut self, value: &[u8]) {
        let scratch = &self.scratch;
        if scratch.pattern.len() > MAX_PATTERN || scratch.numbers.len().max(scratch.words.len()) > MAX_SLOTS {
            self.rows.push(ODD);
            return;
        }
        let hash = self.hasher.hash_one(&scratch.pattern[..]);
        let patterns = &self.patterns;
        let found = self.table.find(hash, |id| patterns[*id as usize].text == scratch.pattern).copied();
        let id = found.unwrap_or_else(|| {
            let id = self.patterns.len() as u32;
            self.patterns.push(Pattern { text: scratch.pattern.clone(), count: 0, slots: slots_of(&scratch.pattern) });
            let (patterns, hasher) = (&self.patterns, &self.hasher);
            self.table.insert_unique(hash, id, |id| hasher.hash_one(&patterns[*id as usize].text[..]));
            id
        });
        self.rows.push(id);
        let pattern = &mut self.patterns[id as usize];
        pattern.count += 1;
        let (mut numbers, mut words) = (scratch.numbers.iter(), scratch.words.iter());
        for slot in &mut pattern.slots {
            match slot {
                Slot::Digits(values) => values.extend(numbers.next()),
                Slot::Hex(format, values) => values.extend(numbers.by_ref().take(format.digits().div_ceil(16))),
                Slot::Words(values) => {
                    if let Some((start, end)) = words.next() {
                        values.push(&value[*start..*end]);
                    }
                }
            }
        }
    }
}

fn slots_of(pattern: &[u8]) -> Vec<Slot> {
    let mut slots = Vec::new();
    let mut at = 0;
    while at < pattern.len() {
        match pattern[at] {
            DIGITS => slots.push(Slot::Digits(Vec::new())),
            HEX => {
                at += 1;
                slots.extend(HexFormat::from_code(pattern[at]).map(|format| Slot::Hex(format, Vec::new())));
            }
            WORD => slots.push(Slot::Words(Gathered::new())),
            _ => {}
        }
        at += 1;
    }
    slots
}

/// Appends the pattern of a word of letters and digits, and its numbers.
fn take_word(word: &[u8], scratch: &mut Scratch) {
    if !word.iter().any(u8::is_ascii_digit) {
        scratch.pattern.extend_from_slice(word);
        return;
    }
    let prefix = if word.starts_with(b"0x") { 2 } else { 0 };
    let rest = &word[prefix..];
    if HEX_LEN.contains(&rest.len()) && is_mixed_hex(rest) {
        scratch.pattern.extend_from_slice(&word[..prefix]);
        take_hex(HexFormat::Digits(rest.len() as u8), rest, scratch);
        return;
    }
    let mut at = 0;
    while at < word.len() {
        let start = at;
        while at < word.len() && word[at].is_ascii_digit() && at - start < MAX_DIGITS {
            at += 1;
        }
        match any_digits(&word[start..at]) {
            Some(number) => {
                scratch.pattern.push(DIGITS);
                scratch.numbers.push(number);
            }
            None => {
                scratch.pattern.push(word[at]);
                at += 1;
            }
        }
    }
}

/// Only lower-case hexadecimal digits, digits and letters among them.
fn is_mixed_hex(word: &[u8]) -> bool {
    let (mut digits, mut letters) = (false, false);
    for byte in word {
        match byte {
            b'0'..=b'9' => digits = true,
            b'a'..=b'f' => letters = true,
            _ => return false,
        }
    }
    digits && letters
}

fn take_hex(format: HexFormat, text: &[u8], scratch: &mut Scratch) {
    scratch.pattern.extend_from_slice(&[HEX, format.code()]);
    scratch.numbers.extend(format.numbers(text));
}

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

const SLOT_DIGITS: u8 = 0;
const SLOT_HEX: u8 = 1;
const SLOT_WORDS: u8 = 2;
const SLOT_RAW: u8 = 3;
const SLOT_SHARED_DIGITS: u8 = 4;
const SLOT_SHARED_RAW: u8 = 5;

/// A column ready to be written.
pub(super) struct Plan {
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
    pub(super) fn plan(self, column: &Gathered, words: &mut WordsBuilder) -> Plan {
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

fn take_wide(reader: &mut BitReader<'_>, bits: u32) -> Result<u64, Malformed> {
    if bits > 32 {
        let low = reader.take(32)?;
        return Ok(low | reader.take(bits - 32)? << 32);
    }
    reader.take(bits)
}

impl Plan {
    /// Bytes of the column, about.
    pub(super) fn cost(&self) -> f64 {
        self.cost
    }

    /// Appends what the directory keeps to `params` and the rows to `payload`.
    pub(super) fn write(&self, params: &mut Vec<u8>, payload: &mut Vec<u8>) {
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
