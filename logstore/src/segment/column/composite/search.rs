//! Which patterns of a composite column may hold a text, found out from the patterns and the words of their slots.
//!
//! A text in a value is cut into [`Pieces`] that each come from one place: the pattern between its slots, a word of a dictionary, or a text
//! that is kept as it is. A pattern that has no place for one of the pieces is ruled out without decoding a row.

use std::cell::OnceCell;
use std::sync::Arc;

use memchr::memmem::{self, Finder};

use super::{Composite, DIGITS, HEX, PatternInfo, PatternVerdict, SlotInfo, WORD, is_word};
use crate::segment::column::number::MAX_DIGITS;
use crate::segment::column::search::Condition;
use crate::segment::words::{WordHits, Words};

/// The text of a condition, cut in several ways: each piece comes from one place of a value that has the text in it.
pub(super) struct Pieces<'n> {
    /// All of it.
    whole: Finder<'n>,
    /// Between digits: from the pattern, where only digits were taken out.
    between_digits: Vec<Finder<'n>>,
    /// Between characters of hexadecimal words.
    between_hex: Vec<Finder<'n>>,
    /// Between words: from the pattern, where all words were taken out.
    between_words: Vec<Finder<'n>>,
    /// Longest run of characters of hexadecimal words.
    longest_hex: usize,
    /// Words, and where they are.
    words: Vec<WordPiece<'n>>,
    /// Whether these texts have all of it.
    pub(super) whole_in_raw: bool,
    segment_words: &'n Words,
    hits: &'n WordHits,
}

struct WordPiece<'n> {
    text: &'n [u8],
    /// Whether the texts that are kept as they are have it.
    in_raw: bool,
    /// Words of the segment that have it, ascending; looked for when a pattern asks.
    hits: OnceCell<Arc<[u32]>>,
}

fn split(text: &[u8], at: impl Fn(u8) -> bool) -> Vec<&[u8]> {
    text.split(|byte| at(*byte)).filter(|piece| !piece.is_empty()).collect()
}

fn finders(pieces: Vec<&[u8]>) -> Vec<Finder<'_>> {
    pieces.into_iter().map(Finder::new).collect()
}

fn is_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-')
}

impl<'n> Pieces<'n> {
    pub(super) fn of(text: &'n [u8], segment_words: &'n Words, hits: &'n WordHits, raw: &[u8]) -> Self {
        let in_raw = |piece: &[u8]| !raw.is_empty() && memmem::find(raw, piece).is_some();
        let whole_in_raw = in_raw(text);
        let word = |piece: &'n [u8]| WordPiece {
            text: piece,
            in_raw: whole_in_raw || piece.len() < text.len() && in_raw(piece),
            hits: OnceCell::new(),
        };
        Self {
            whole: Finder::new(text),
            between_digits: finders(split(text, |byte| byte.is_ascii_digit())),
            between_hex: finders(split(text, is_hex)),
            longest_hex: split(text, |byte| !is_hex(byte)).iter().map(|run| run.len()).max().unwrap_or(0),
            between_words: finders(split(text, is_word)),
            words: split(text, |byte| !is_word(byte)).into_iter().map(word).collect(),
            whole_in_raw,
            segment_words,
            hits,
        }
    }

    fn hits<'p>(&self, piece: &'p WordPiece<'_>) -> &'p [u32] {
        piece.hits.get_or_init(|| self.hits.of(self.segment_words, piece.text))
    }
}

impl PatternInfo {
    /// The text between slots.
    fn literals(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = Some(&self.text[..]);
        std::iter::from_fn(move || {
            let text = rest?;
            let Some(at) = text.iter().position(|byte| *byte >= WORD) else {
                rest = None;
                return Some(text);
            };
            rest = text.get(at + 1 + usize::from(text[at] == HEX)..);
            Some(&text[..at])
        })
    }

    /// No value has a longer run of characters of hexadecimal words.
    fn longest_hex(&self) -> usize {
        let mut slots = self.slots.iter();
        let (mut longest, mut run) = (0, 0);
        let mut bytes = self.text.iter();
        while let Some(byte) = bytes.next() {
            run += match *byte {
                HEX | DIGITS | WORD => {
                    if *byte == HEX {
                        bytes.next();
                    }
                    match slots.next() {
                        Some(SlotInfo::Hex(format)) => format.text_len(),
                        _ => MAX_DIGITS,
                    }
                }
                byte if is_hex(byte) => 1,
                _ => {
                    run = 0;
                    continue;
                }
            };
            longest = longest.max(run);
        }
        longest
    }

    /// Whether the text between slots may have a piece: true too often only where the format of a slot looks like text.
    fn may_have(&self, piece: &Finder<'_>) -> bool {
        piece.find(&self.text).is_some()
    }

    /// What is to be said of a condition.
    pub(super) fn verdict(&self, condition: Condition<'_>, pieces: &Pieces<'_>) -> PatternVerdict {
        if self.slots.is_empty() {
            return if condition.holds(&self.text) { PatternVerdict::Always } else { PatternVerdict::Never };
        }
        if let Condition::Contains(text) = condition
            && self.may_have(&pieces.whole)
            && self.literals().any(|literal| memmem::find(literal, text).is_some())
        {
            return PatternVerdict::Always;
        }
        let has_words =
            self.slots.iter().any(|slot| matches!(slot, SlotInfo::Words(..) | SlotInfo::Raw(_) | SlotInfo::SharedRaw))
                || self.text.contains(&WORD);
        let possible = if has_words {
            pieces.between_words.iter().all(|piece| self.may_have(piece))
                && pieces.words.iter().all(|piece| self.slots.iter().any(|slot| slot.may_hold(piece, pieces)))
        } else if self.text.contains(&HEX) {
            pieces.longest_hex <= self.longest_hex() && pieces.between_hex.iter().all(|piece| self.may_have(piece))
        } else {
            pieces.between_digits.iter().all(|piece| self.may_have(piece))
        };
        if possible { PatternVerdict::Maybe } else { PatternVerdict::Never }
    }
}

impl Composite {
    /// Whether a byte of the patterns' own text, or of a word of their slots, is such.
    pub(in crate::segment::column) fn texts_have(&self, words: &Words, such: fn(u8) -> bool) -> bool {
        let has = |text: &[u8]| text.iter().any(|byte| such(*byte));
        let of_slot = |slot: &SlotInfo| match slot {
            SlotInfo::Words(dictionary, _) => dictionary.iter().any(|word| has(words.get(*word))),
            _ => false,
        };
        self.patterns.iter().any(|pattern| pattern.literals().any(has) || pattern.slots.iter().any(of_slot))
    }

    /// Whether every pattern begins with a digit or `-` and has nothing but digits and such bytes.
    pub(in crate::segment::column) fn is_digits_and(&self, such: fn(u8) -> bool) -> bool {
        self.patterns.iter().all(|pattern| {
            let digits = |slot: &SlotInfo| matches!(slot, SlotInfo::Digits(..) | SlotInfo::SharedDigits);
            let begins = matches!(pattern.text.first(), Some(&DIGITS | b'-' | b'0'..=b'9'));
            let text = |byte: &u8| byte.is_ascii_digit() || such(*byte);
            begins && pattern.slots.iter().all(digits) && pattern.literals().flatten().all(text)
        })
    }
}

impl SlotInfo {
    /// Whether a value of the slot may have a piece of a word in it.
    fn may_hold(&self, piece: &WordPiece<'_>, pieces: &Pieces<'_>) -> bool {
        match self {
            Self::Digits(..) | Self::SharedDigits => {
                piece.text.len() <= MAX_DIGITS && piece.text.iter().all(u8::is_ascii_digit)
            }
            Self::Hex(format) => piece.text.len() <= format.digits() && piece.text.iter().all(|byte| is_hex(*byte)),
            Self::Words(dictionary, _) => {
                let hits = pieces.hits(piece);
                !hits.is_empty() && dictionary.iter().any(|word| hits.binary_search(word).is_ok())
            }
            Self::Raw(_) | Self::SharedRaw => piece.in_raw,
        }
    }
}
