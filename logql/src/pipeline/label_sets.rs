//! Label sets of results, each made once: the labels of the entry at hand become a number.
//!
//! Finding the number of a set that was met before allocates nothing. Numbers stay valid for the life of the table, also
//! when the names that a worker numbered are forgotten; a set that is met again after that may get a second number.

use std::sync::Arc;

use hashbrown::HashTable;

use super::Pipeline;
use super::bytes::same;
use super::names::{NameId, Names};
use super::state::{Slice, Whose};
use crate::label_set::LabelSet;

/// Labels of an entry by where they come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Categories {
    /// Labels of the stream.
    pub stream: LabelSet,
    /// Structured metadata of the entry.
    pub metadata: LabelSet,
    /// Labels that stages made, errors included.
    pub parsed: LabelSet,
}

#[derive(Clone, Copy)]
struct Pair {
    name: NameId,
    whose: Whose,
    start: u32,
    end: u32,
}

/// A label set of a result, with its parts if they are wanted apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntryLabels {
    /// All labels.
    pub all: LabelSet,
    /// The same by where they come from.
    pub categories: Option<Categories>,
}

struct Entry {
    labels: Arc<EntryLabels>,
    hash: u64,
    pairs: std::ops::Range<usize>,
}

/// The sets met so far.
#[derive(Default)]
pub(crate) struct LabelSets {
    entries: Vec<Entry>,
    table: HashTable<u32>,
    pairs: Vec<Pair>,
    text: String,
    generation: u64,
    /// Also keep [`Categories`].
    categorize: bool,
    bytes: usize,
    scratch: Vec<(NameId, Slice, Whose)>,
}

impl LabelSets {
    pub(crate) fn new(categorize: bool) -> Self {
        Self { categorize, ..Self::default() }
    }

    /// Forgets all sets.
    pub(crate) fn clear(&mut self) {
        *self = Self { generation: self.generation, ..Self::new(self.categorize) };
    }

    /// Bytes of memory, about.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn labels(&self, id: u32) -> &Arc<EntryLabels> {
        &self.entries[id as usize].labels
    }

    /// Number of the set of those labels of the entry at hand that `keep` wants.
    pub(crate) fn find(&mut self, pipeline: &Pipeline, unit: &str, keep: impl Fn(NameId) -> bool) -> u32 {
        if self.generation != pipeline.generation {
            self.generation = pipeline.generation;
            self.table.clear();
            self.pairs.clear();
            self.text.clear();
        }
        let labels = &pipeline.state.labels;
        let texts = pipeline.state.texts(unit);
        let names = &pipeline.state.names;
        self.scratch.clear();
        let mut hash = 0u64;
        labels.for_each(|name, value, whose| {
            if keep(name) {
                let text = labels.resolve(value, texts);
                hash = hash.wrapping_add(mix(names.hash_of(name), text, whose));
                self.scratch.push((name, value, whose));
            }
        });
        let (entries, pairs, text, scratch) = (&self.entries, &self.pairs, &self.text, &self.scratch);
        let is_known = |id: &u32| {
            let entry = &entries[*id as usize];
            entry.hash == hash && entry.pairs.len() == scratch.len() && {
                let known = &pairs[entry.pairs.clone()];
                let equal = |pair: &Pair, (name, value, whose): &(NameId, Slice, Whose)| {
                    pair.name == *name
                        && pair.whose == *whose
                        && same(
                            &text.as_bytes()[pair.start as usize..pair.end as usize],
                            labels.resolve(*value, texts).as_bytes(),
                        )
                };
                known.iter().zip(scratch).all(|(pair, found)| equal(pair, found))
                    || scratch.iter().all(|found| known.iter().any(|pair| equal(pair, found)))
            }
        };
        match self.table.find(hash, is_known) {
            Some(id) => *id,
            None => self.insert(pipeline, unit, hash),
        }
    }

    fn insert(&mut self, pipeline: &Pipeline, unit: &str, hash: u64) -> u32 {
        let labels = &pipeline.state.labels;
        let texts = pipeline.state.texts(unit);
        let names = &pipeline.state.names;
        let first = self.pairs.len();
        for (name, value, whose) in &self.scratch {
            let start = self.text.len() as u32;
            self.text.push_str(labels.resolve(*value, texts));
            self.pairs.push(Pair { name: *name, whose: *whose, start, end: self.text.len() as u32 });
        }
        let of = |wanted: Option<Whose>| {
            let scratch = self.scratch.iter().filter(|(_, _, whose)| wanted.is_none_or(|w| w == *whose));
            LabelSet::from_pairs(scratch.map(|(name, value, _)| (names.text(*name), labels.resolve(*value, texts))))
        };
        let set = of(None);
        let categories = self.categorize.then(|| Categories {
            stream: of(Some(Whose::Stream)),
            metadata: of(Some(Whose::Metadata)),
            parsed: of(Some(Whose::Parsed)),
        });
        self.bytes += set.heap_bytes() * 3;
        let labels = Arc::new(EntryLabels { all: set, categories });
        let id = self.entries.len() as u32;
        self.entries.push(Entry { labels, hash, pairs: first..self.pairs.len() });
        let entries = &self.entries;
        self.table.insert_unique(hash, id, |id| entries[*id as usize].hash);
        id
    }
}

fn mix(name: u64, value: &str, whose: Whose) -> u64 {
    let hash = (name ^ Names::hash(value).rotate_left(23)).wrapping_add(whose as u64);
    (hash ^ (hash >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) ^ (hash >> 32)
}

/// Numbers for combinations of values of a few labels.
#[derive(Default)]
pub(crate) struct Groups {
    sets: Vec<LabelSet>,
    keys: Vec<Box<[u8]>>,
    table: HashTable<u32>,
    key: Vec<u8>,
    last: Option<u32>,
    bytes: usize,
}

impl Groups {
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn set(&self, id: u32) -> &LabelSet {
        &self.sets[id as usize]
    }

    /// Number of the group of the entry at hand: the values of `labels`, absent ones left out. A label that was deleted
    /// counts as absent even if it was set again since.
    pub(crate) fn find(&mut self, pipeline: &Pipeline, unit: &str, labels: &[NameId]) -> u32 {
        let state = &pipeline.state;
        self.key.clear();
        for label in labels {
            match state.get(*label, unit).filter(|_| !state.labels.is_deleted(*label)) {
                Some(value) => {
                    self.key.extend_from_slice(&(value.len() as u32 + 1).to_le_bytes());
                    self.key.extend_from_slice(value.as_bytes());
                }
                None => self.key.extend_from_slice(&[0; 4]),
            }
        }
        if let Some(last) = self.last
            && *self.keys[last as usize] == *self.key
        {
            return last;
        }
        let hash = hash_bytes(&self.key);
        let keys = &self.keys;
        let id = match self.table.find(hash, |id| *keys[*id as usize] == *self.key) {
            Some(id) => *id,
            None => {
                let pairs = labels.iter().filter_map(|label| {
                    let value = state.get(*label, unit).filter(|_| !state.labels.is_deleted(*label))?;
                    Some((state.names.text(*label), value))
                });
                let set = LabelSet::from_pairs(pairs);
                self.bytes += set.heap_bytes() + self.key.len() + 64;
                self.sets.push(set);
                let id = self.keys.len() as u32;
                self.keys.push(self.key.as_slice().into());
                let keys = &self.keys;
                self.table.insert_unique(hash, id, |id| hash_bytes(&keys[*id as usize]));
                id
            }
        };
        self.last = Some(id);
        id
    }
}

fn hash_bytes(bytes: &[u8]) -> u64 {
    use std::hash::BuildHasher;
    foldhash::fast::FixedState::with_seed(0x51_7c_c1_b7_27_22_0a_95).hash_one(bytes)
}
