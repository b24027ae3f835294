//! From the bytes in which a sender writes a label set to the series, without reading them.
//!
//! A sender repeats its series in the same order. So every key remembers which one came after it: the next key is first
//! compared with that one, and only looked up by hash where it differs. Bytes are always compared in full; a hash finds, it proves
//! nothing. What the bytes mean (labels, relabelling, being dropped) is asked of the caller once, and kept.
//!
//! Keys are kept in the order in which they came, in groups of [`GROUP`], each as what lies between the beginning and the end that it
//! shares with the key before. Neighbouring keys differ in a label or two, so this is a third of the bytes, and comparing with
//! the successor of a key that was just seen reads only those.
//!
//! [`RawKeys`] is shared by all connections whose bytes mean the same; a [`RawCursor`] is one connection's place in it. Groups are
//! spread over stripes, hashes over tables, each with a lock of its own (order: table, stripe). When series leave memory, groups
//! of which nothing is left are freed.

use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use hashbrown::HashTable;
use model::Labels;
use parking_lot::RwLock;

use crate::codec::bytes::{Cursor, put_prefixed, put_varint};
use crate::head::{Head, SeriesId, SeriesRef};

/// Longest key that is remembered; longer ones are asked about every time.
pub const MAX_RAW_KEY_LEN: usize = 1 << 16;

const STRIPE_BITS: u32 = 6;
const STRIPES: usize = 1 << STRIPE_BITS;
const SLOT_BITS: u32 = 4;
/// Keys of a group; the first one is whole.
const GROUP: usize = 1 << SLOT_BITS;
const MAX_GROUPS: usize = (1 << (32 - STRIPE_BITS - SLOT_BITS)) - 1;

/// Groups that one cursor fills in a stripe before it goes on to the next.
const GROUPS_IN_A_ROW: usize = 256;

/// A cache from raw bytes to series, for all connections whose bytes mean the same. When the meaning changes (other relabelling
/// rules), make a new one.
pub struct RawKeys {
    stripes: Box<[RwLock<Stripe>]>,
    tables: Box<[RwLock<HashTable<Hashed>>]>,
    hasher: foldhash::quality::RandomState,
    next_stripe: AtomicUsize,
}

/// A key's entry and as much of its hash as the table needs.
#[derive(Clone, Copy)]
struct Hashed {
    entry: EntryId,
    hash: u32,
}

/// Stripe, group and slot of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct EntryId(u32);

impl EntryId {
    /// No entry.
    const NONE: Self = Self(u32::MAX);

    fn new(stripe: usize, group: usize, slot: usize) -> Self {
        Self((stripe as u32) << (32 - STRIPE_BITS) | (group as u32) << SLOT_BITS | slot as u32)
    }

    fn stripe(self) -> usize {
        (self.0 >> (32 - STRIPE_BITS)) as usize
    }

    fn group(self) -> usize {
        (self.0 >> SLOT_BITS) as usize & ((1 << (32 - STRIPE_BITS - SLOT_BITS)) - 1)
    }

    fn slot(self) -> usize {
        self.0 as usize & (GROUP - 1)
    }

    /// Whether `self` stands right behind `before` in its group.
    fn follows(self, before: Self) -> bool {
        self.slot() > 0 && self.0 == before.0.wrapping_add(1)
    }
}

#[derive(Default)]
struct Stripe {
    groups: Vec<Option<Box<Group>>>,
    free: Vec<u32>,
}

#[derive(Default)]
struct Group {
    entries: Vec<Entry>,
    /// For each key: shared with the end of the one before, shared with its beginning (both varints), what is between (prefixed).
    bytes: Vec<u8>,
}

struct Entry {
    at: u32,
    series: u32,
    generation: u32,
    /// Entry that came after this one the last time.
    next: AtomicU32,
    /// [`Head::removals`] when the series was last seen alive, times 2; odd: met since the last sweep.
    seen: AtomicU32,
}

/// In the place of a series: samples of this key are dropped.
const DROPPED: u32 = u32::MAX;

impl Entry {
    fn new(at: usize, series: Option<SeriesRef>, removals: u64) -> Self {
        let (series, generation) = series.map_or((DROPPED, 0), |series| (series.id.to_index(), series.generation));
        let seen = AtomicU32::new((removals as u32) << 1 | 1);
        Self { at: at as u32, series, generation, next: AtomicU32::new(EntryId::NONE.0), seen }
    }

    fn series(&self) -> Option<SeriesRef> {
        let id = SeriesId::from_index(self.series);
        (self.series != DROPPED).then_some(SeriesRef { id, generation: self.generation })
    }

    /// Whether what the entry says still holds.
    #[inline]
    fn is_good(&self, head: &Head) -> bool {
        let now = (head.removals() as u32) << 1 | 1;
        if self.seen.load(Ordering::Relaxed) == now {
            return true;
        }
        let alive = self.series().is_none_or(|series| head.is_alive(series));
        if alive {
            self.seen.store(now, Ordering::Relaxed);
        }
        alive
    }
}

impl Group {
    /// What is written of a key.
    #[inline]
    fn parts(&self, slot: usize) -> Option<(usize, usize, &[u8])> {
        let mut cursor = Cursor::new(self.bytes.get(self.entries.get(slot)?.at as usize..)?);
        let end = cursor.varint().ok()? as usize;
        let start = cursor.varint().ok()? as usize;
        Some((start, end, cursor.prefixed().ok()?))
    }

    /// Whether the key of a slot is `key`, given the key of the slot before.
    #[inline]
    fn is_key_after(&self, slot: usize, key: &[u8], before: &[u8]) -> bool {
        let Some((start, end, middle)) = self.parts(slot) else { return false };
        let Some(tail) = before.len().checked_sub(end) else { return false };
        key.len() == start + middle.len() + end
            && before.get(..start) == key.get(..start)
            && key.get(start..start + middle.len()) == Some(middle)
            && key.get(start + middle.len()..) == before.get(tail..)
    }

    /// Puts the key of a slot together.
    fn key(&self, slot: usize) -> Vec<u8> {
        let (mut key, mut before) = (Vec::new(), Vec::new());
        for slot in 0..=slot {
            let Some((start, end, middle)) = self.parts(slot) else { break };
            std::mem::swap(&mut key, &mut before);
            key.clear();
            key.extend_from_slice(before.get(..start).unwrap_or_default());
            key.extend_from_slice(middle);
            key.extend_from_slice(before.get(before.len().saturating_sub(end)..).unwrap_or_default());
        }
        key
    }

    fn push(&mut self, key: &[u8], series: Option<SeriesRef>, removals: u64) {
        let before = self.entries.len().checked_sub(1).map(|last| self.key(last)).unwrap_or_default();
        let start = key.iter().zip(&before).take_while(|(a, b)| a == b).count();
        let longest = key.len().min(before.len()) - start;
        let end = key.iter().rev().zip(before.iter().rev()).take(longest).take_while(|(a, b)| a == b).count();
        self.entries.push(Entry::new(self.bytes.len(), series, removals));
        put_varint(&mut self.bytes, end as u64);
        put_varint(&mut self.bytes, start as u64);
        put_prefixed(&mut self.bytes, &key[start..key.len() - end]);
        if self.entries.len() == GROUP {
            self.bytes.shrink_to_fit();
        }
    }
}

impl Stripe {
    fn group(&self, id: EntryId) -> Option<&Group> {
        self.groups.get(id.group())?.as_deref()
    }

    fn entry(&self, id: EntryId) -> Option<&Entry> {
        self.group(id)?.entries.get(id.slot())
    }
}

/// What a key is known to mean.
#[derive(Clone, Copy)]
struct Found {
    entry: EntryId,
    series: Option<SeriesRef>,
    /// Entry that came after it the last time.
    next: EntryId,
}

impl Found {
    fn of(id: EntryId, entry: &Entry) -> Self {
        Self { entry: id, series: entry.series(), next: EntryId(entry.next.load(Ordering::Relaxed)) }
    }
}

impl RawKeys {
    /// An empty cache.
    pub fn new() -> Self {
        Self {
            stripes: (0..STRIPES).map(|_| RwLock::default()).collect(),
            tables: (0..STRIPES).map(|_| RwLock::default()).collect(),
            hasher: foldhash::quality::RandomState::default(),
            next_stripe: AtomicUsize::new(0),
        }
    }

    fn stripe(&self, id: EntryId) -> &RwLock<Stripe> {
        &self.stripes[id.stripe() % STRIPES]
    }

    fn table(&self, hash: u64) -> &RwLock<HashTable<Hashed>> {
        &self.tables[(hash >> 32) as usize % STRIPES]
    }

    /// The entry `id`, if it has this key. `last` and `last_key` are the entry seen before and its key.
    #[inline]
    fn compare(&self, id: EntryId, key: &[u8], last: EntryId, last_key: &[u8], head: &Head) -> Option<Found> {
        let stripe = self.stripe(id).read();
        let group = stripe.group(id)?;
        let same = if id.slot() == 0 {
            group.is_key_after(0, key, &[])
        } else if id.follows(last) {
            group.is_key_after(id.slot(), key, last_key)
        } else {
            group.key(id.slot()) == key
        };
        let entry = group.entries.get(id.slot())?;
        (same && entry.is_good(head)).then(|| Found::of(id, entry))
    }

    fn has_key(&self, id: EntryId, key: &[u8]) -> bool {
        let stripe = self.stripe(id).read();
        stripe.group(id).is_some_and(|group| id.slot() < group.entries.len() && group.key(id.slot()) == key)
    }

    fn look_up(&self, hash: u64, key: &[u8], head: &Head) -> Option<Found> {
        let table = self.table(hash).read();
        let short = hash as u32;
        let id = table.find(spread(short), |h| h.hash == short && self.has_key(h.entry, key))?.entry;
        let stripe = self.stripe(id).read();
        let entry = stripe.entry(id)?;
        entry.is_good(head).then(|| Found::of(id, entry))
    }

    /// Remembers what a key means; returns its entry.
    fn insert(
        &self,
        hash: u64,
        key: &[u8],
        series: Option<SeriesRef>,
        fill: &mut Option<EntryId>,
        head: &Head,
    ) -> EntryId {
        if key.is_empty() || key.len() > MAX_RAW_KEY_LEN {
            return EntryId::NONE;
        }
        let removals = head.removals();
        let short = hash as u32;
        let mut table = self.table(hash).write();
        if let Some(hashed) = table.find(spread(short), |h| h.hash == short && self.has_key(h.entry, key)) {
            let id = hashed.entry;
            let mut stripe = self.stripe(id).write();
            let group = stripe.groups.get_mut(id.group()).and_then(Option::as_deref_mut);
            if let Some(entry) = group.and_then(|group| group.entries.get_mut(id.slot())) {
                *entry = Entry::new(entry.at as usize, series, removals);
            }
            return id;
        }
        let id = self.push(key, series, fill, removals);
        if id != EntryId::NONE {
            table.insert_unique(spread(short), Hashed { entry: id, hash: short }, |h| spread(h.hash));
        }
        id
    }

    /// Puts a key behind the one that the same cursor put down last, or into a new group.
    fn push(&self, key: &[u8], series: Option<SeriesRef>, fill: &mut Option<EntryId>, removals: u64) -> EntryId {
        if let Some(last) = *fill {
            let mut stripe = self.stripe(last).write();
            if let Some(group) = stripe.groups.get_mut(last.group()).and_then(Option::as_deref_mut)
                && group.entries.len() < GROUP
            {
                group.push(key, series, removals);
                let id = EntryId::new(last.stripe(), last.group(), group.entries.len() - 1);
                *fill = Some(id);
                return id;
            }
        }
        let number = match *fill {
            Some(last) if !(last.group() + 1).is_multiple_of(GROUPS_IN_A_ROW) => last.stripe(),
            _ => self.next_stripe.fetch_add(1, Ordering::Relaxed) % STRIPES,
        };
        let mut stripe = self.stripes[number].write();
        let mut group = Box::<Group>::default();
        group.entries.reserve_exact(GROUP);
        group.push(key, series, removals);
        let at = match stripe.free.pop() {
            Some(at) => at as usize,
            None if stripe.groups.len() < MAX_GROUPS => {
                stripe.groups.push(None);
                stripe.groups.len() - 1
            }
            None => return EntryId::NONE,
        };
        if let Some(place) = stripe.groups.get_mut(at) {
            *place = Some(group);
        }
        let id = EntryId::new(number, at, 0);
        *fill = Some(id);
        id
    }

    fn follow(&self, entry: EntryId, next: EntryId) {
        let stripe = self.stripe(entry).read();
        if let Some(entry) = stripe.entry(entry) {
            entry.next.store(next.0, Ordering::Relaxed);
        }
    }

    /// Frees the groups of which nothing is left: series that left memory, keys of dropped samples not met since the last sweep.
    pub(crate) fn sweep(&self, head: &Head) {
        for (number, lock) in self.stripes.iter().enumerate() {
            let mut gone = Vec::new();
            let mut stripe = lock.write();
            let Stripe { groups, free } = &mut *stripe;
            for (at, place) in groups.iter_mut().enumerate() {
                let Some(group) = place else { continue };
                let is_live = |entry: &Entry| match entry.series() {
                    Some(series) => head.is_alive(series),
                    None => entry.seen.fetch_and(!1, Ordering::Relaxed) & 1 == 1,
                };
                // Without a short cut: every entry has to be marked.
                if group.entries.iter().filter(|entry| is_live(entry)).count() > 0 {
                    continue;
                }
                for slot in 0..group.entries.len() {
                    gone.push((self.hasher.hash_one(&group.key(slot)[..]), EntryId::new(number, at, slot)));
                }
                *place = None;
                free.push(at as u32);
            }
            drop(stripe);
            for (hash, id) in gone {
                let mut table = self.table(hash).write();
                if let Ok(hashed) = table.find_entry(spread(hash as u32), |h| h.entry == id) {
                    hashed.remove();
                }
            }
        }
        for table in &self.tables {
            let mut table = table.write();
            if table.len() * 4 < table.capacity() {
                table.shrink_to_fit(|h| spread(h.hash));
            }
        }
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.tables.iter().map(|table| table.read().len()).sum()
    }

    /// True when no key is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of heap.
    pub fn heap_bytes(&self) -> usize {
        let group =
            |group: &Group| size_of::<Group>() + group.entries.capacity() * size_of::<Entry>() + group.bytes.capacity();
        let stripe = |stripe: &Stripe| {
            stripe.groups.capacity() * size_of::<usize>()
                + stripe.groups.iter().flatten().map(|g| group(g)).sum::<usize>()
        };
        let stripes: usize = self.stripes.iter().map(|s| stripe(&s.read())).sum();
        stripes + self.tables.iter().map(|table| table.read().allocation_size()).sum::<usize>()
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

/// The hash for a table of 32 bits of a key's hash: hash tables use the upper and the lower bits.
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// A connection's place in a [`RawKeys`].
#[derive(Debug)]
pub struct RawCursor {
    keys: Arc<RawKeys>,
    last: EntryId,
    last_key: Vec<u8>,
    /// The entry that came after `last` the time before.
    expected: EntryId,
    /// Where this cursor put its last new key.
    fill: Option<EntryId>,
}

impl RawCursor {
    /// A cursor at no place yet.
    pub fn new(keys: Arc<RawKeys>) -> Self {
        Self { keys, last: EntryId::NONE, last_key: Vec::new(), expected: EntryId::NONE, fill: None }
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
        if self.expected != EntryId::NONE
            && let Some(found) = self.keys.compare(self.expected, key, self.last, &self.last_key, head)
        {
            self.move_to(found, key);
            return Ok(found.series);
        }
        self.search(head, key, make, resolve)
    }

    fn move_to(&mut self, found: Found, key: &[u8]) {
        (self.last, self.expected) = (found.entry, found.next);
        // The key before is needed only to read the one behind it.
        if found.next.follows(found.entry) {
            self.last_key.clear();
            self.last_key.extend_from_slice(key);
        } else {
            self.last = found.entry;
        }
    }

    #[cold]
    fn search<E>(
        &mut self,
        head: &Head,
        key: &[u8],
        make: impl FnOnce() -> Result<Option<Labels>, E>,
        resolve: impl FnOnce(&Labels) -> Result<SeriesRef, E>,
    ) -> Result<Option<SeriesRef>, E> {
        let keys = &*self.keys;
        let hash = keys.hasher.hash_one(key);
        let found = match keys.look_up(hash, key, head) {
            Some(found) => found,
            None => {
                let series = match make()? {
                    Some(labels) => Some(resolve(&labels)?),
                    None => None,
                };
                let entry = keys.insert(hash, key, series, &mut self.fill, head);
                Found { entry, series, next: EntryId::NONE }
            }
        };
        if self.last != EntryId::NONE {
            keys.follow(self.last, found.entry);
        }
        self.move_to(found, key);
        Ok(found.series)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn groups_keep_what_neighbours_differ_in() {
        let mut group = Group::default();
        let keys: Vec<String> =
            (0..GROUP).map(|i| format!("cpu_seconds_total cpu={} mode={} job=node", i / 4, i % 4)).collect();
        for key in &keys {
            group.push(key.as_bytes(), None, 0);
        }
        for (slot, key) in keys.iter().enumerate() {
            assert_eq!(group.key(slot), key.as_bytes());
            let before = if slot == 0 { "" } else { &keys[slot - 1] };
            assert!(group.is_key_after(slot, key.as_bytes(), before.as_bytes()));
            for other in keys.iter().filter(|other| *other != key) {
                assert!(!group.is_key_after(slot, other.as_bytes(), before.as_bytes()));
            }
        }
        assert!(group.bytes.len() < keys[0].len() + GROUP * 12, "{}", group.bytes.len());
    }

    proptest! {
        #[test]
        fn any_keys_are_put_together_again(keys in prop::collection::vec("[ab]{1,6}", 1..=GROUP)) {
            let mut group = Group::default();
            for key in &keys {
                group.push(key.as_bytes(), None, 0);
            }
            for (slot, key) in keys.iter().enumerate() {
                prop_assert_eq!(group.key(slot), key.as_bytes());
                let before = if slot == 0 { "" } else { &keys[slot - 1] };
                for other in &keys {
                    prop_assert_eq!(group.is_key_after(slot, other.as_bytes(), before.as_bytes()), other == key);
                }
            }
        }
    }
}
