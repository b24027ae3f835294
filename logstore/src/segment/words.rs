//! The words of a segment: every text that a dictionary of one of its columns holds, each once.
//!
//! Columns refer to words by number, in the order in which they came. They are kept as one text, a section of its own, in which
//! each is ended by a line feed (no word has one).

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::{FixedState, RandomState};
use hashbrown::{HashMap, HashTable};
use parking_lot::Mutex;

use crate::bytes::{Cursor, Malformed, put_signed, put_varint};

/// Collects words; gives each a number of its own.
#[derive(Debug, Default)]
pub(super) struct WordsBuilder {
    text: Vec<u8>,
    ends: Vec<u32>,
    table: HashTable<u32>,
    hasher: FixedState,
}

impl WordsBuilder {
    /// The number of a word (UTF-8 without line feed), a new one if it is new.
    pub(super) fn add(&mut self, word: &[u8]) -> u32 {
        debug_assert!(!word.contains(&b'\n'));
        let hash = self.hasher.hash_one(word);
        let (text, ends) = (&self.text, &self.ends);
        if let Some(id) = self.table.find(hash, |id| slice(text, ends, *id as usize) == word) {
            return *id;
        }
        let id = self.ends.len() as u32;
        self.text.extend_from_slice(word);
        self.ends.push(self.text.len() as u32);
        let (text, ends, hasher) = (&self.text, &self.ends, &self.hasher);
        self.table.insert_unique(hash, id, |id| hasher.hash_one(slice(text, ends, *id as usize)));
        id
    }

    /// The text of the words.
    pub(super) fn finish(self) -> Vec<u8> {
        let mut text = Vec::with_capacity(self.text.len() + self.ends.len());
        for number in 0..self.ends.len() {
            text.extend_from_slice(slice(&self.text, &self.ends, number));
            text.push(b'\n');
        }
        text
    }
}

/// Appends a list of words: how many, then each as its distance from the one after the one before.
pub(super) fn put_words(words: &[u32], out: &mut Vec<u8>) {
    put_varint(out, words.len() as u64);
    let mut next = 0;
    for word in words {
        put_signed(out, i64::from(*word) - next);
        next = i64::from(*word) + 1;
    }
}

/// Reads a list of words.
pub(super) fn read_words(cursor: &mut Cursor<'_>) -> Result<Vec<u32>, Malformed> {
    let count = cursor.count()?;
    let mut words = Vec::with_capacity(count);
    let mut next = 0i64;
    for _ in 0..count {
        let word = next.checked_add(cursor.signed()?).and_then(|word| u32::try_from(word).ok());
        let word = word.ok_or_else(|| cursor.malformed("word that cannot be"))?;
        words.push(word);
        next = i64::from(word) + 1;
    }
    Ok(words)
}

fn slice<'a>(text: &'a [u8], ends: &[u32], at: usize) -> &'a [u8] {
    let start = if at == 0 { 0 } else { ends[at - 1] as usize };
    &text[start..ends[at] as usize]
}

/// The words of a segment, decompressed.
#[derive(Debug, Default)]
pub(crate) struct Words {
    text: String,
    /// Where the line feed of each word is.
    ends: Vec<u32>,
}

impl Words {
    /// Reads the text of the words.
    pub(super) fn read(text: Vec<u8>) -> Result<Self, Malformed> {
        let ends: Vec<u32> = memchr::memchr_iter(b'\n', &text).map(|end| end as u32).collect();
        let text = String::from_utf8(text).map_err(|_| Malformed { what: "words are not UTF-8", at: 0 })?;
        if ends.last().map_or(0, |end| *end as usize + 1) != text.len() {
            return Err(Malformed { what: "the last word is cut off", at: text.len() });
        }
        Ok(Self { text, ends })
    }

    /// A word; empty when there is none of this number.
    #[inline]
    pub(crate) fn get(&self, number: u32) -> &[u8] {
        let at = number as usize;
        let Some(end) = self.ends.get(at) else { return &[] };
        let start = if at == 0 { 0 } else { self.ends[at - 1] as usize + 1 };
        &self.text.as_bytes()[start..*end as usize]
    }

    /// Bytes of memory.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.text.capacity() + self.ends.capacity() * 4
    }
}

/// Which words contain a text: all words are searched at once, for each text once.
#[derive(Debug, Default)]
pub(super) struct WordHits(Mutex<HashMap<Box<[u8]>, Hits, RandomState>>);

type Hits = Arc<[u32]>;

impl WordHits {
    /// Numbers of the words that contain a text (not empty), ascending.
    pub(super) fn of(&self, words: &Words, text: &[u8]) -> Hits {
        let mut known = self.0.lock();
        if let Some(hits) = known.get(text) {
            return hits.clone();
        }
        let mut hits: Vec<u32> = Vec::new();
        let mut word = 0;
        for at in memchr::memmem::find_iter(words.text.as_bytes(), text) {
            word += words.ends[word..].partition_point(|end| (*end as usize) < at);
            // No word has a line feed, so a text with one is in no word.
            let inside = words.ends.get(word).is_some_and(|end| at + text.len() <= *end as usize);
            if inside && hits.last() != Some(&(word as u32)) {
                hits.push(word as u32);
            }
        }
        let hits: Hits = hits.into();
        known.insert(text.into(), hits.clone());
        hits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_numbered_as_they_come() {
        let mut builder = WordsBuilder::default();
        let given = ["timeout", "", "alice", "time", "timeout", "übel"];
        let numbers: Vec<u32> = given.iter().map(|word| builder.add(word.as_bytes())).collect();
        assert_eq!(numbers, [0, 1, 2, 3, 0, 4]);
        let words = Words::read(builder.finish()).unwrap();
        for (word, number) in given.iter().zip(numbers) {
            assert_eq!(words.get(number), word.as_bytes());
        }
        assert_eq!(words.get(99), b"");
        let hits = WordHits::default();
        let of = |text: &str| hits.of(&words, text.as_bytes()).to_vec();
        assert_eq!(
            [of("time"), of("e"), of("x"), of("t\n"), of("bel")],
            [vec![0, 3], vec![0, 2, 3, 4], vec![], vec![], vec![4]]
        );
        assert_eq!(of("e"), [0, 2, 3, 4]);
        assert!(Words::read(b"a\nb".to_vec()).is_err());
        assert!(Words::read(b"\xff\n".to_vec()).is_err());
        assert_eq!(Words::read(Vec::new()).unwrap().get(0), b"");
    }

    #[test]
    fn lists_of_words_come_back() {
        for list in [&[][..], &[0], &[5, 6, 7, 2, u32::MAX, 0]] {
            let mut bytes = Vec::new();
            put_words(list, &mut bytes);
            assert_eq!(read_words(&mut Cursor::new(&bytes)).unwrap(), list);
        }
        assert!(read_words(&mut Cursor::new(&[1, 1])).is_err());
    }
}
