//! From the bytes in which a sender writes a label set to the series, without reading them.
//!
//! A sender repeats its series in the same order. So every key remembers which one came after it: the next key is first
//! compared with that one, and only looked up by hash where it differs. Bytes are always compared in full; a hash finds, it proves
//! nothing. What the bytes mean (labels, relabelling, being dropped) is asked of the caller once, and kept.
//!
//! [`RawKeys`] is shared by all connections whose bytes mean the same; a [`RawCursor`] is one connection's place in it. Keys are
//! spread over stripes with a lock each. When series leave memory their keys are swept out.

use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use hashbrown::HashTable;
use model::Labels;
use parking_lot::RwLock;

use crate::head::{Head, SeriesRef};

const STRIPES: usize = 64;
const STRIPE_BITS: u32 = 6;

/// Longest key that is remembered; longer ones are asked about every time.
pub const MAX_RAW_KEY_LEN: usize = BLOCK;

/// Bytes of keys allocated at once.
const BLOCK: usize = 1 << 16;

/// No entry.
const NONE: u32 = u32::MAX;

/// A cache from raw bytes to series, for all connections whose bytes mean the same. When the meaning changes (other relabelling
/// rules), make a new one.
pub struct RawKeys {
    stripes: Box<[RwLock<Stripe>]>,
    hasher: foldhash::quality::RandomState,
}

#[derive(Default)]
struct Stripe {
    table: HashTable<u32>,
    entries: Vec<Entry>,
    blocks: Vec<Vec<u8>>,
}

struct Entry {
    block: u32,
    start: u16,
    /// Length less 1: a key is never empty.
    len: u16,
    /// `None`: samples of this key are dropped.
    series: Option<SeriesRef>,
    /// [`Head::removals`] when the series was last seen alive (its lower half).
    seen: AtomicU32,
    /// Entry that came after this one the last time.
    next: AtomicU32,
    used: AtomicBool,
}

/// What a key is known to mean.
#[derive(Clone, Copy)]
struct Found {
    entry: u32,
    series: Option<SeriesRef>,
    /// Entry that came after it the last time.
    next: u32,
}

impl Found {
    fn of(id: u32, entry: &Entry) -> Self {
        Self { entry: id, series: entry.series, next: entry.next.load(Ordering::Relaxed) }
    }
}

impl RawKeys {
    /// An empty cache.
    pub fn new() -> Self {
        Self {
            stripes: (0..STRIPES).map(|_| RwLock::default()).collect(),
            hasher: foldhash::quality::RandomState::default(),
        }
    }

    fn stripe(&self, number: usize) -> &RwLock<Stripe> {
        &self.stripes[number % STRIPES]
    }

    /// The entry `id`, if it has this key.
    #[inline]
    fn compare(&self, id: u32, key: &[u8], head: &Head) -> Option<Found> {
        let stripe = self.stripe((id >> (32 - STRIPE_BITS)) as usize).read();
        let entry = stripe.entries.get(place(id))?;
        if stripe.key(entry) != key || !entry.is_good(head) {
            return None;
        }
        Some(Found::of(id, entry))
    }

    fn look_up(&self, hash: u64, key: &[u8], head: &Head) -> Option<Found> {
        let number = stripe_of(hash);
        let stripe = self.stripe(number).read();
        let at = *stripe.table.find(hash, |&at| stripe.has_key(at, key))?;
        let entry = stripe.entries.get(at as usize)?;
        entry.is_good(head).then(|| Found::of(entry_id(number, at), entry))
    }

    /// Remembers what a key means; returns its entry.
    fn insert(&self, hash: u64, key: &[u8], series: Option<SeriesRef>, head: &Head) -> u32 {
        let number = stripe_of(hash);
        let mut stripe = self.stripe(number).write();
        let seen = AtomicU32::new(head.removals() as u32);
        if let Some(&at) = stripe.table.find(hash, |&at| stripe.has_key(at, key)) {
            if let Some(entry) = stripe.entries.get_mut(at as usize) {
                entry.series = series;
                entry.seen = seen;
            }
            return entry_id(number, at);
        }
        let at = stripe.entries.len();
        if key.is_empty() || key.len() > MAX_RAW_KEY_LEN || at >= (1 << (32 - STRIPE_BITS)) - 1 {
            return NONE;
        }
        let (block, start) = stripe.put_key(key);
        stripe.entries.push(Entry {
            block,
            start,
            len: (key.len() - 1) as u16,
            series,
            seen,
            next: AtomicU32::new(NONE),
            used: AtomicBool::new(true),
        });
        let Stripe { table, entries, blocks } = &mut *stripe;
        let hash_of = |&at: &u32| self.hasher.hash_one(key_of(blocks, &entries[at as usize]));
        table.insert_unique(hash, at as u32, hash_of);
        entry_id(number, at as u32)
    }

    fn follow(&self, entry: u32, next: u32) {
        let stripe = self.stripe((entry >> (32 - STRIPE_BITS)) as usize).read();
        if let Some(entry) = stripe.entries.get(place(entry)) {
            entry.next.store(next, Ordering::Relaxed);
        }
    }

    /// Removes keys whose series left memory, and keys of dropped samples not met since the last sweep.
    pub(crate) fn sweep(&self, head: &Head) {
        for (number, lock) in self.stripes.iter().enumerate() {
            let mut stripe = lock.write();
            let keep = |entry: &Entry| match entry.series {
                Some(series) => head.is_alive(series),
                None => entry.used.swap(false, Ordering::Relaxed),
            };
            let kept: Vec<bool> = stripe.entries.iter().map(keep).collect();
            if kept.iter().all(|kept| *kept) {
                continue;
            }
            let old = std::mem::take(&mut *stripe);
            let mut fresh = Stripe::default();
            for (entry, kept) in old.entries.iter().zip(kept) {
                if kept {
                    let key = key_of(&old.blocks, entry);
                    let (block, start) = fresh.put_key(key);
                    let at = fresh.entries.len() as u32;
                    fresh.entries.push(Entry {
                        block,
                        start,
                        len: entry.len,
                        series: entry.series,
                        seen: AtomicU32::new(entry.seen.load(Ordering::Relaxed)),
                        // Numbers have changed; what came next is learnt anew.
                        next: AtomicU32::new(NONE),
                        used: AtomicBool::new(entry.used.load(Ordering::Relaxed)),
                    });
                    let Stripe { table, entries, blocks } = &mut fresh;
                    let hash_of = |&at: &u32| self.hasher.hash_one(key_of(blocks, &entries[at as usize]));
                    table.insert_unique(self.hasher.hash_one(key), at, hash_of);
                }
            }
            debug_assert!(number < STRIPES);
            *stripe = fresh;
        }
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.stripes.iter().map(|stripe| stripe.read().entries.len()).sum()
    }

    /// True when no key is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of heap.
    pub fn heap_bytes(&self) -> usize {
        let of = |stripe: &Stripe| {
            stripe.table.allocation_size()
                + stripe.entries.capacity() * size_of::<Entry>()
                + stripe.blocks.iter().map(Vec::capacity).sum::<usize>()
        };
        self.stripes.iter().map(|stripe| of(&stripe.read())).sum()
    }
}

impl Default for RawKeys {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for RawKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RawKeys").field("len", &self.len()).finish()
    }
}

fn stripe_of(hash: u64) -> usize {
    (hash >> 32) as usize % STRIPES
}

fn entry_id(stripe: usize, at: u32) -> u32 {
    (stripe as u32) << (32 - STRIPE_BITS) | at
}

fn place(id: u32) -> usize {
    (id & ((1 << (32 - STRIPE_BITS)) - 1)) as usize
}

fn key_of<'a>(blocks: &'a [Vec<u8>], entry: &Entry) -> &'a [u8] {
    let start = usize::from(entry.start);
    let block = blocks.get(entry.block as usize).map_or(&[][..], Vec::as_slice);
    block.get(start..start + usize::from(entry.len) + 1).unwrap_or_default()
}

impl Stripe {
    fn key(&self, entry: &Entry) -> &[u8] {
        key_of(&self.blocks, entry)
    }

    fn has_key(&self, at: u32, key: &[u8]) -> bool {
        self.entries.get(at as usize).is_some_and(|entry| self.key(entry) == key)
    }

    fn put_key(&mut self, key: &[u8]) -> (u32, u16) {
        // Blocks grow from small ones on, so that a small cache stays small.
        let fits =
            |block: &Vec<u8>| block.capacity() - block.len() >= key.len() && block.len() <= usize::from(u16::MAX);
        if !self.blocks.last().is_some_and(fits) {
            let size = (1 << 10 << self.blocks.len().min(6)).min(BLOCK).max(key.len());
            self.blocks.push(Vec::with_capacity(size));
        }
        let number = self.blocks.len() - 1;
        let block = &mut self.blocks[number];
        let start = block.len() as u16;
        block.extend_from_slice(key);
        (number as u32, start)
    }
}

impl Entry {
    /// Whether what the entry says still holds.
    #[inline]
    fn is_good(&self, head: &Head) -> bool {
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
        let Some(series) = self.series else { return true };
        let removals = head.removals() as u32;
        if self.seen.load(Ordering::Relaxed) == removals {
            return true;
        }
        let alive = head.is_alive(series);
        if alive {
            self.seen.store(removals, Ordering::Relaxed);
        }
        alive
    }
}

/// A connection's place in a [`RawKeys`].
#[derive(Clone, Debug)]
pub struct RawCursor {
    keys: Arc<RawKeys>,
    last: u32,
    /// The entry that came after `last` the time before.
    expected: u32,
}

impl RawCursor {
    /// A cursor at no place yet.
    pub fn new(keys: Arc<RawKeys>) -> Self {
        Self { keys, last: NONE, expected: NONE }
    }

    /// The cache it moves in.
    pub fn keys(&self) -> &Arc<RawKeys> {
        &self.keys
    }

    /// What `key` means: known, or asked of `make`, whose answer is turned into a series by `resolve` and remembered.
    #[inline]
    pub(crate) fn resolve<E>(
        &mut self,
        head: &Head,
        key: &[u8],
        make: impl FnOnce() -> Result<Option<Labels>, E>,
        resolve: impl FnOnce(&Labels) -> Result<SeriesRef, E>,
    ) -> Result<Option<SeriesRef>, E> {
        let keys = &*self.keys;
        if self.expected != NONE
            && let Some(found) = keys.compare(self.expected, key, head)
        {
            (self.last, self.expected) = (found.entry, found.next);
            return Ok(found.series);
        }
        let hash = keys.hasher.hash_one(key);
        let found = match keys.look_up(hash, key, head) {
            Some(found) => found,
            None => {
                let series = match make()? {
                    Some(labels) => Some(resolve(&labels)?),
                    None => None,
                };
                Found { entry: keys.insert(hash, key, series, head), series, next: NONE }
            }
        };
        if self.last != NONE {
            keys.follow(self.last, found.entry);
        }
        (self.last, self.expected) = (found.entry, found.next);
        Ok(found.series)
    }
}
