//! What a target's pages have said so far: for each line's series text the series it is stored as.
//!
//! A target repeats its series in the same order, so the line at position `i` is compared with the one that stood there
//! last time: equal bytes, and the series is known without reading a label. Other lines are found by hash.

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use std::hash::BuildHasher;

use model::Labels;
use tsdb::SeriesRef;

/// Index of an entry.
pub type EntryId = u32;

/// What a series text stands for.
#[derive(Debug)]
pub struct Entry {
    /// `name{labels}` as on the page.
    pub raw: Box<[u8]>,
    /// `None`: relabelling drops it.
    pub series: Option<SeriesRef>,
    /// Labels stored, empty when dropped.
    pub labels: Labels,
    /// Scrape that named it last.
    pub seen: u64,
    /// Whether the last sample was stored with the scrape's time, so that its absence has to be marked.
    pub tracked: bool,
    /// Where the page says since when it counts: family and labels.
    pub created: Option<Box<Labels>>,
    /// Since when it counts, as last stored; 0: not known.
    pub start_ms: i64,
    /// Labels and value of the last exemplar without a time.
    pub exemplar: Option<Box<(Labels, f64)>>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct SeriesCache {
    entries: Vec<Entry>,
    /// Freed places in `entries`.
    free: Vec<EntryId>,
    index: HashTable<EntryId>,
    /// Entries in the order of the last page.
    order: Vec<EntryId>,
    /// Entries in the order of this page so far.
    next_order: Vec<EntryId>,
    scrape: u64,
}

fn hash(raw: &[u8]) -> u64 {
    FixedState::default().hash_one(raw)
}

impl SeriesCache {
    /// Number of series texts known.
    pub fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// True when no series text is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Begins a page.
    pub fn begin(&mut self) {
        self.scrape += 1;
        self.next_order.clear();
    }

    /// The text that stood at this position last time, for the parser; empty when unknown.
    pub fn hint(&self) -> &[u8] {
        match self.order.get(self.next_order.len()) {
            Some(id) => &self.entries[*id as usize].raw,
            None => &[],
        }
    }

    /// The entry of a text. Call for every line, in order.
    pub fn find(&mut self, raw: &[u8]) -> Option<EntryId> {
        let position = self.next_order.len();
        if let Some(&id) = self.order.get(position)
            && *self.entries[id as usize].raw == *raw
        {
            self.next_order.push(id);
            return Some(id);
        }
        let id = *self.index.find(hash(raw), |id| *self.entries[*id as usize].raw == *raw)?;
        self.next_order.push(id);
        Some(id)
    }

    /// Adds an entry for a text that [`SeriesCache::find`] did not know.
    pub fn insert(
        &mut self,
        raw: &[u8],
        series: Option<SeriesRef>,
        labels: Labels,
        created: Option<Labels>,
    ) -> EntryId {
        let entry = Entry {
            raw: raw.into(),
            series,
            labels,
            seen: 0,
            tracked: false,
            created: created.map(Box::new),
            start_ms: 0,
            exemplar: None,
        };
        let id = match self.free.pop() {
            Some(id) => {
                self.entries[id as usize] = entry;
                id
            }
            None => {
                self.entries.push(entry);
                (self.entries.len() - 1) as EntryId
            }
        };
        let entries = &self.entries;
        self.index.insert_unique(hash(raw), id, |id| hash(&entries[*id as usize].raw));
        self.next_order.push(id);
        id
    }

    /// An entry.
    pub fn entry(&self, id: EntryId) -> &Entry {
        &self.entries[id as usize]
    }

    /// An entry, to be changed.
    pub fn entry_mut(&mut self, id: EntryId) -> &mut Entry {
        &mut self.entries[id as usize]
    }

    /// Marks an entry as named by this page; true when it was named by it before.
    pub fn mark(&mut self, id: EntryId, tracked: bool) -> bool {
        let entry = &mut self.entries[id as usize];
        let again = entry.seen == self.scrape;
        entry.seen = self.scrape;
        entry.tracked = tracked;
        again
    }

    /// Ends the page: calls `stale` for every tracked series that this page did not name, and forgets texts that were not
    /// named for `keep` pages.
    pub fn end(&mut self, keep: u64, mut stale: impl FnMut(SeriesRef, &Labels)) {
        std::mem::swap(&mut self.order, &mut self.next_order);
        if self.order.len() == self.len() {
            // Every text was named: nothing is missing, nothing is old.
            return;
        }
        for id in 0..self.entries.len() {
            let entry = &mut self.entries[id];
            if entry.seen == self.scrape || entry.raw.is_empty() {
                continue;
            }
            if std::mem::take(&mut entry.tracked)
                && let Some(series) = entry.series
            {
                stale(series, &entry.labels);
            }
            if self.scrape - entry.seen > keep {
                let raw = std::mem::take(&mut entry.raw);
                entry.labels = Labels::empty();
                let id = id as EntryId;
                if let Ok(found) = self.index.find_entry(hash(&raw), |other| *other == id) {
                    found.remove();
                }
                self.free.push(id);
            }
        }
    }

    /// Calls `stale` for every tracked series: the target failed or is gone.
    pub fn all_stale(&mut self, mut stale: impl FnMut(SeriesRef, &Labels)) {
        self.scrape += 1;
        for entry in &mut self.entries {
            if std::mem::take(&mut entry.tracked)
                && let Some(series) = entry.series
            {
                stale(series, &entry.labels);
            }
        }
    }
}
