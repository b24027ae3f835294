//! What there is to read at one moment: the blocks, and from when on the head is read.
//!
//! A [`View`] never changes. Cutting the head publishes another one, with the new block and a later `head_from_ms`; what was cut leaves
//! memory only when nobody holds an older view any more. So a reader finds every sample once, whatever happens meanwhile.

use std::sync::{Arc, Weak};

use parking_lot::{Mutex, RwLock};

use crate::block::Block;

#[derive(Debug)]
pub(crate) struct View {
    /// Ascending by time range.
    pub(crate) blocks: Vec<Arc<Block>>,
    /// Samples before this are read from blocks only.
    pub(crate) head_from_ms: i64,
}

pub(crate) struct Views {
    now: RwLock<Arc<View>>,
    /// Earlier views that may still be read; its lock is held while another one is published.
    before: Mutex<Vec<Weak<View>>>,
}

impl Views {
    pub(crate) fn new(blocks: Vec<Arc<Block>>, head_from_ms: i64) -> Self {
        let view = View { blocks: sorted(blocks), head_from_ms };
        Self { now: RwLock::new(Arc::new(view)), before: Mutex::default() }
    }

    pub(crate) fn now(&self) -> Arc<View> {
        self.now.read().clone()
    }

    /// Publishes a view that `change` makes of the present one.
    pub(crate) fn update(&self, change: impl FnOnce(&View) -> View) {
        let mut before = self.before.lock();
        let old = self.now();
        let View { blocks, head_from_ms } = change(&old);
        let view = Arc::new(View { blocks: sorted(blocks), head_from_ms });
        *self.now.write() = view;
        before.push(Arc::downgrade(&old));
    }

    /// Whether nobody reads an older view.
    pub(crate) fn is_only_one(&self) -> bool {
        let mut before = self.before.lock();
        before.retain(|view| view.strong_count() > 0);
        before.is_empty()
    }
}

fn sorted(mut blocks: Vec<Arc<Block>>) -> Vec<Arc<Block>> {
    blocks.sort_by_key(|block| (block.meta().min_time, block.meta().max_time, block.ulid()));
    blocks
}
