//! Takes values apart into patterns and what varies in them, while a segment is built.

use std::hash::BuildHasher;
use std::ops::Range;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use super::{DIGITS, HEX, WORD, is_word};
use crate::segment::column::gather::Gathered;
use crate::segment::column::hex::{HexFormat, UUID_LEN, is_uuid};
use crate::segment::column::number::{MAX_DIGITS, any_digits};

/// Longest pattern.
const MAX_PATTERN: usize = 1 << 10;
/// Words of hexadecimal digits shorter than this are not told from other words; longer ones are not taken either.
const HEX_LEN: Range<usize> = 4..65;
/// Most slots of a pattern.
const MAX_SLOTS: usize = 64;

/// Values of a column taken apart.
#[derive(Debug, Default)]
pub(in super::super) struct Parsed {
    /// Pattern of each row; no pattern of this number: [`ODD`].
    pub(super) rows: Vec<u32>,
    pub(super) patterns: Vec<Pattern>,
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
pub(super) struct Pattern {
    pub(super) text: Vec<u8>,
    pub(super) count: usize,
    pub(super) slots: Vec<Slot>,
}

/// Values of one slot, in the order of the rows of its pattern.
#[derive(Debug)]
pub(super) enum Slot {
    /// In format [`NumberFormat::Any`].
    Digits(Vec<u64>),
    /// Sixteen digits a number.
    Hex(HexFormat, Vec<u64>),
    Words(Gathered),
}

impl Parsed {
    /// Number of patterns so far.
    pub(in super::super) fn patterns(&self) -> usize {
        self.patterns.len()
    }

    /// Takes the next row apart at its numbers.
    pub(in super::super) fn add_numbers(&mut self, value: &[u8]) {
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
    pub(in super::super) fn add_words(&mut self, value: &[u8]) {
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
