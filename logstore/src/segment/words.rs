//! The words of a segment: every text that a dictionary of one of its columns holds, each once.
//!
//! Columns refer to words by number, in the order in which they came. Each is ended by a line feed (no word has one); blocks of
//! them are compressed. Once read they are one text, which is searched for a needle as a whole: what no word holds, no
//! dictionary column of the segment holds.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use crate::bytes::{Cursor, Malformed, put_signed, put_varint};

/// Words of one compressed block have about this many bytes.
const BLOCK_BYTES: usize = 128 << 10;
const LEVEL: i32 = 3;
/// More bytes of words than this are no segment's.
const MAX_BYTES: usize = 1 << 30;

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

    /// Compresses the words.
    pub(super) fn finish(self) -> Result<PackedWords, std::io::Error> {
        let mut packed = PackedWords { count: self.ends.len() as u32, ..PackedWords::default() };
        let mut block = Vec::new();
        for number in 0..self.ends.len() {
            block.extend_from_slice(slice(&self.text, &self.ends, number));
            block.push(b'\n');
            if block.len() >= BLOCK_BYTES || number + 1 == self.ends.len() {
                let compressed = zstd::bulk::compress(&block, LEVEL)?;
                packed.blocks.push((compressed.len() as u32, block.len() as u32));
                packed.payload.extend_from_slice(&compressed);
                block.clear();
            }
        }
        Ok(packed)
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

/// Compressed words.
#[derive(Debug, Default)]
pub(super) struct PackedWords {
    count: u32,
    /// Compressed and plain length of each block.
    blocks: Vec<(u32, u32)>,
    pub(super) payload: Vec<u8>,
}

impl PackedWords {
    /// Appends what the directory keeps.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        put_varint(out, u64::from(self.count));
        put_varint(out, self.blocks.len() as u64);
        for (compressed, plain) in &self.blocks {
            put_varint(out, u64::from(*compressed));
            put_varint(out, u64::from(*plain));
        }
    }
}

/// What the directory keeps of the words.
#[derive(Clone, Debug, Default)]
pub(super) struct WordsInfo {
    count: usize,
    blocks: Vec<(usize, usize)>,
}

impl WordsInfo {
    pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let count = cursor.bounded(MAX_BYTES, "too many words")?;
        let mut blocks = Vec::new();
        let mut total = 0;
        for _ in 0..cursor.count()? {
            let compressed = cursor.bounded(MAX_BYTES, "words are too long")?;
            let plain = cursor.bounded(MAX_BYTES, "words are too long")?;
            total += plain;
            if total > MAX_BYTES {
                return Err(cursor.malformed("words are too long"));
            }
            blocks.push((compressed, plain));
        }
        Ok(Self { count, blocks })
    }

    /// Bytes of the compressed words.
    pub(super) fn payload_len(&self) -> usize {
        self.blocks.iter().map(|(compressed, _)| compressed).sum()
    }

    /// Decompresses the words.
    pub(super) fn unpack(&self, payload: &[u8]) -> Result<Words, Malformed> {
        let mut text = Vec::with_capacity(self.blocks.iter().map(|(_, plain)| plain).sum());
        let mut at = 0;
        for (compressed, plain) in &self.blocks {
            let malformed = |what| Malformed { what, at };
            let bytes = payload.get(at..at + compressed).ok_or_else(|| malformed("words are missing"))?;
            let block = zstd::bulk::decompress(bytes, *plain).map_err(|_| malformed("words cannot be decompressed"))?;
            text.extend_from_slice(&block);
            at += compressed;
        }
        let ends: Vec<u32> = memchr::memchr_iter(b'\n', &text).map(|end| end as u32).collect();
        let text = String::from_utf8(text).map_err(|_| Malformed { what: "words are not UTF-8", at: 0 })?;
        if ends.len() != self.count || ends.last().map_or(0, |end| *end as usize + 1) != text.len() {
            return Err(Malformed { what: "number of words is wrong", at: 0 });
        }
        Ok(Words { text, ends })
    }
}

/// The words of a segment, decompressed.
#[derive(Debug, Default)]
pub(crate) struct Words {
    text: String,
    /// Where the line feed of each word is.
    ends: Vec<u32>,
}

impl Words {
    /// Number of words.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// A word; empty when there is none of this number.
    #[inline]
    pub(crate) fn get(&self, number: u32) -> &[u8] {
        let at = number as usize;
        let Some(end) = self.ends.get(at) else { return &[] };
        let start = if at == 0 { 0 } else { self.ends[at - 1] as usize + 1 };
        &self.text.as_bytes()[start..*end as usize]
    }

    /// Numbers of the words that contain a needle (without line feed), ascending.
    pub(crate) fn containing(&self, needle: &memchr::memmem::Finder<'_>) -> Vec<u32> {
        let mut found = Vec::new();
        let (mut at, mut word) = (0, 0);
        while let Some(hit) = self.text.as_bytes().get(at..).and_then(|rest| needle.find(rest)) {
            let position = at + hit;
            word += self.ends[word..].partition_point(|end| (*end as usize) < position);
            found.push(word as u32);
            at = self.ends[word] as usize + 1;
            word += 1;
        }
        found
    }

    /// Bytes of memory.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.text.capacity() + self.ends.capacity() * 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use memchr::memmem::Finder;

    #[test]
    fn words_are_found() {
        let mut builder = WordsBuilder::default();
        let given = ["timeout", "", "alice", "time", "timeout", "übel"];
        let numbers: Vec<u32> = given.iter().map(|word| builder.add(word.as_bytes())).collect();
        assert_eq!(numbers, [0, 1, 2, 3, 0, 4]);
        let packed = builder.finish().unwrap();
        let mut info = Vec::new();
        packed.write(&mut info);
        let info = WordsInfo::read(&mut Cursor::new(&info)).unwrap();
        assert_eq!(info.payload_len(), packed.payload.len());
        let words = info.unpack(&packed.payload).unwrap();
        for (word, number) in given.iter().zip(numbers) {
            assert_eq!(words.get(number), word.as_bytes());
        }
        assert_eq!(words.get(99), b"");
        let containing = |needle: &str| -> Vec<&str> {
            let found = words.containing(&Finder::new(needle));
            found.iter().map(|n| std::str::from_utf8(words.get(*n)).unwrap()).collect()
        };
        assert_eq!(containing("time"), ["timeout", "time"]);
        assert_eq!(containing("e"), ["timeout", "alice", "time", "übel"]);
        assert_eq!(containing("out"), ["timeout"]);
        assert_eq!(containing("xyz"), [""; 0]);
        assert!(info.unpack(&packed.payload[1..]).is_err());
    }

    #[test]
    fn many_words_in_several_blocks() {
        let mut builder = WordsBuilder::default();
        for i in 0..30_000u32 {
            builder.add(format!("word number {i}").as_bytes());
        }
        let packed = builder.finish().unwrap();
        assert!(packed.blocks.len() > 2);
        let mut info = Vec::new();
        packed.write(&mut info);
        let words = WordsInfo::read(&mut Cursor::new(&info)).unwrap().unpack(&packed.payload).unwrap();
        assert_eq!(words.len(), 30_000);
        assert_eq!(words.get(29_999), b"word number 29999");
        assert_eq!(words.containing(&Finder::new("2999")).len(), 13);
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
