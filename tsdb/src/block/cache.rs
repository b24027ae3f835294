//! Pages that were unpacked lately, shared by all blocks of a store: a dashboard asks the same questions again and again.
//!
//! Spread over parts with a lock each. A part keeps its pages in a ring and, when it is full, drops the first one that was not asked
//! for since the hand passed it the last time (the clock algorithm: a cheap approximation of least recently used).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hashbrown::HashMap;
use parking_lot::Mutex;

const PARTS: usize = 16;

/// A page: number of the open block, offset in its file.
pub(crate) type PageKey = (u64, u64);

pub(crate) struct PageCache {
    parts: Box<[Mutex<Part>]>,
    /// Most bytes of one part.
    limit: usize,
    next_block: AtomicU64,
}

#[derive(Default)]
struct Part {
    places: HashMap<PageKey, usize, foldhash::fast::RandomState>,
    ring: Vec<Slot>,
    hand: usize,
    bytes: usize,
}

struct Slot {
    key: PageKey,
    content: Arc<[u8]>,
    asked: bool,
}

impl PageCache {
    pub(crate) fn new(limit_bytes: usize) -> Self {
        Self {
            parts: (0..PARTS).map(|_| Mutex::default()).collect(),
            limit: limit_bytes / PARTS,
            next_block: AtomicU64::new(0),
        }
    }

    /// A number for a block that is opened.
    pub(crate) fn block_number(&self) -> u64 {
        self.next_block.fetch_add(1, Ordering::Relaxed)
    }

    fn part(&self, key: PageKey) -> &Mutex<Part> {
        // Neighbouring pages are some KiB apart.
        &self.parts[(key.0 ^ key.1 >> 12).wrapping_mul(0x9e37_79b9_7f4a_7c15) as usize >> 8 & (PARTS - 1)]
    }

    pub(crate) fn get(&self, key: PageKey) -> Option<Arc<[u8]>> {
        let mut part = self.part(key).lock();
        let place = *part.places.get(&key)?;
        let slot = part.ring.get_mut(place)?;
        slot.asked = true;
        Some(slot.content.clone())
    }

    pub(crate) fn put(&self, key: PageKey, content: Arc<[u8]>) {
        if content.len() > self.limit / 4 {
            return;
        }
        self.part(key).lock().put(key, content, self.limit);
    }

    /// Bytes of the pages kept.
    pub(crate) fn bytes(&self) -> usize {
        self.parts.iter().map(|part| part.lock().bytes).sum()
    }
}

impl std::fmt::Debug for PageCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PageCache({} bytes)", self.bytes())
    }
}

impl Part {
    fn put(&mut self, key: PageKey, content: Arc<[u8]>, limit: usize) {
        if self.places.contains_key(&key) {
            return;
        }
        while self.bytes + content.len() > limit && !self.ring.is_empty() {
            self.drop_one();
        }
        self.bytes += content.len();
        self.places.insert(key, self.ring.len());
        self.ring.push(Slot { key, content, asked: false });
    }

    fn drop_one(&mut self) {
        loop {
            if self.hand >= self.ring.len() {
                self.hand = 0;
            }
            let Some(slot) = self.ring.get_mut(self.hand) else { return };
            if std::mem::take(&mut slot.asked) {
                self.hand += 1;
                continue;
            }
            let gone = self.ring.swap_remove(self.hand);
            self.places.remove(&gone.key);
            self.bytes -= gone.content.len();
            if let Some(moved) = self.ring.get(self.hand) {
                self.places.insert(moved.key, self.hand);
            }
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(len: usize, fill: u8) -> Arc<[u8]> {
        vec![fill; len].into()
    }

    #[test]
    fn keeps_what_is_asked_for() {
        let mut part = Part::default();
        for i in 0..10 {
            part.put((0, i), page(100, i as u8), 1_000);
        }
        // Page 3 is asked for all the time.
        for i in 10..100 {
            let place = part.places[&(0, 3)];
            part.ring[place].asked = true;
            part.put((0, i), page(100, i as u8), 1_000);
            assert!(part.bytes <= 1_000);
            assert_eq!(part.places.len(), part.ring.len());
        }
        assert_eq!(part.ring[part.places[&(0, 3)]].content[0], 3);
        assert!(part.places.iter().all(|(key, place)| part.ring[*place].key == *key));
    }

    #[test]
    fn large_pages_are_not_kept() {
        let cache = PageCache::new(16 * 1_000);
        cache.put((0, 0), page(500, 1));
        assert!(cache.get((0, 0)).is_none());
        cache.put((0, 1), page(200, 1));
        assert_eq!(cache.get((0, 1)).unwrap().len(), 200);
        assert!(cache.get((1, 1)).is_none());
        assert_eq!(cache.bytes(), 200);
    }
}
