//! From a label set to its series: a hash table in stripes, each with a lock of its own.
//!
//! Only series that a sender's cache does not know are looked up here. The table decides who makes a series: whoever
//! holds the stripe's lock. Locks are taken in the order stripe, shard.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use model::Labels;
use parking_lot::Mutex;

use super::SeriesRef;

const STRIPES: usize = 64;

struct Known {
    labels: Labels,
    series: SeriesRef,
}

pub(crate) struct SeriesTable {
    stripes: Box<[Mutex<HashTable<Known>>]>,
}

impl SeriesTable {
    pub(crate) fn new() -> Self {
        Self { stripes: (0..STRIPES).map(|_| Mutex::new(HashTable::new())).collect() }
    }

    fn stripe(&self, fingerprint: u64) -> &Mutex<HashTable<Known>> {
        // hashbrown uses the upper and the lowest bits.
        &self.stripes[(fingerprint >> 24) as usize % STRIPES]
    }

    pub(crate) fn find(&self, labels: &Labels) -> Option<SeriesRef> {
        let fingerprint = labels.fingerprint();
        let stripe = self.stripe(fingerprint).lock();
        stripe.find(fingerprint, |known| known.labels == *labels).map(|known| known.series)
    }

    /// The series of a label set; `make` makes it if there is none.
    pub(crate) fn find_or_make<E>(
        &self,
        labels: &Labels,
        make: impl FnOnce(&Labels) -> Result<SeriesRef, E>,
    ) -> Result<SeriesRef, E> {
        let fingerprint = labels.fingerprint();
        let mut stripe = self.stripe(fingerprint).lock();
        let entry = stripe.entry(fingerprint, |known| known.labels == *labels, |known| known.labels.fingerprint());
        match entry {
            Entry::Occupied(known) => Ok(known.get().series),
            Entry::Vacant(place) => {
                let series = make(labels)?;
                place.insert(Known { labels: labels.clone(), series });
                Ok(series)
            }
        }
    }

    /// Removes a series if `sure` still says so with the stripe locked.
    pub(crate) fn remove(&self, labels: &Labels, sure: impl FnOnce() -> bool) -> bool {
        let fingerprint = labels.fingerprint();
        let mut stripe = self.stripe(fingerprint).lock();
        match stripe.find_entry(fingerprint, |known| known.labels == *labels) {
            Ok(known) if sure() => {
                known.remove();
                if stripe.capacity() > 64 && stripe.len() * 4 < stripe.capacity() {
                    stripe.shrink_to_fit(|known| known.labels.fingerprint());
                }
                true
            }
            _ => false,
        }
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.stripes.iter().map(|stripe| stripe.lock().allocation_size()).sum()
    }
}
