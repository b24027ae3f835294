//! Interned texts: names and values of structured metadata of one open chunk, each stored once.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

/// Texts by number, in the order in which they came first.
#[derive(Debug, Default)]
pub(crate) struct Symbols {
    text: String,
    ends: Vec<u32>,
    table: HashTable<u32>,
    hasher: FixedState,
}

impl Symbols {
    /// The number of a text, a new one if it is new.
    pub(crate) fn intern(&mut self, part: &str) -> u32 {
        let hash = self.hasher.hash_one(part);
        let (text, ends) = (&self.text, &self.ends);
        if let Some(id) = self.table.find(hash, |id| slice(text, ends, *id) == part) {
            return *id;
        }
        let id = self.ends.len() as u32;
        self.text.push_str(part);
        self.ends.push(self.text.len() as u32);
        let (text, ends, hasher) = (&self.text, &self.ends, &self.hasher);
        self.table.insert_unique(hash, id, |id| hasher.hash_one(slice(text, ends, *id)));
        id
    }

    /// Text of a number that [`Symbols::intern`] gave.
    pub(crate) fn get(&self, id: u32) -> &str {
        slice(&self.text, &self.ends, id)
    }

    /// Bytes of all texts.
    #[cfg(test)]
    pub(crate) fn text_bytes(&self) -> usize {
        self.text.len()
    }
}

fn slice<'a>(text: &'a str, ends: &[u32], id: u32) -> &'a str {
    let id = id as usize;
    let start = if id == 0 { 0 } else { ends[id - 1] as usize };
    &text[start..ends[id] as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_share_a_number() {
        let mut symbols = Symbols::default();
        let ids: Vec<u32> = ["", "a", "b", "a", "", "ab"].iter().map(|t| symbols.intern(t)).collect();
        assert_eq!(ids, [0, 1, 2, 1, 0, 3]);
        assert_eq!(symbols.get(3), "ab");
        assert_eq!(symbols.text_bytes(), 4);
    }
}
