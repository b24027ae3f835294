//! Merging blocks, one merge a call.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use roaring::RoaringBitmap;

use crate::block::{BLOCKS_DIR, Block, BlockMeta, BlockWriter, CompactionMeta, Origin};
use crate::compact::{Candidate, MergeError, merge, plan};
use crate::db::Db;
use crate::error::Error;
use crate::options::BLOCK_RANGE_MS;
use crate::tombstones::Deletion;
use crate::ulid::Ulid;
use crate::view::View;

/// Longest range of a block where retention does not make it shorter: 31 days.
const MAX_RANGE_MS: i64 = 31 * 24 * 3_600_000;

/// What is remembered between two calls.
#[derive(Default)]
pub(super) struct State {
    /// Blocks that are damaged, and would make the damage last, or that are too large together.
    left_alone: HashSet<Ulid>,
    /// Blocks that hold no series whose time has come, by the number of ages that they have passed.
    thinned: HashMap<Ulid, usize>,
}

impl Db {
    /// Merges some blocks into one, if that is due; returns what the new one says about itself. May take minutes: called in a thread of its own,
    /// again at once while it returns a block, and then about once a minute. Memory is that of one series and of the label index of
    /// the new block; one CPU is used; appending, reading and [`Db::maintain`] go on meanwhile.
    ///
    /// A damaged block is left as it is and not merged any more: what can be read of it stays readable.
    ///
    /// # Errors
    /// Of the device, also when it has too little space for the new block beside the old ones; [`Error::Closed`] when the store is
    /// closed meanwhile. Nothing is changed then.
    pub fn compact(&self, now_ms: i64) -> Result<Option<BlockMeta>, Error> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::Closed);
        }
        let mut state = self.compaction.lock();
        let view = self.view();
        let usable = || view.blocks.iter().filter(|block| !state.left_alone.contains(&block.ulid()));
        let candidates: Vec<Candidate> = usable().map(|block| candidate(block)).collect();
        let Some(ulids) = plan(&candidates, view.head_from_ms, self.max_range_ms()) else {
            return self.thin(now_ms, &view, &mut state);
        };
        let parents: Vec<Arc<Block>> = usable().filter(|block| ulids.contains(&block.ulid())).cloned().collect();
        self.replace(now_ms, &parents, None, &mut state)
    }

    /// Rewrites a block without the series that its class of retention gives up, if there is one.
    fn thin(&self, now_ms: i64, view: &View, state: &mut State) -> Result<Option<BlockMeta>, Error> {
        state.thinned.retain(|ulid, _| view.blocks.iter().any(|block| block.ulid() == *ulid));
        for block in &view.blocks {
            let ulid = block.ulid();
            if state.left_alone.contains(&ulid) {
                continue;
            }
            let found = self.expired_series(block, now_ms, |passed| state.thinned.get(&ulid) == Some(&passed));
            match found {
                Ok(None) => {}
                Ok(Some((series, passed))) if series.is_empty() => drop(state.thinned.insert(ulid, passed)),
                Ok(Some((series, _))) => {
                    return self.replace(now_ms, std::slice::from_ref(block), Some(&series), state);
                }
                Err(error) => {
                    self.note_damage(&error);
                    state.left_alone.insert(ulid);
                }
            }
        }
        Ok(None)
    }

    /// Puts one block in the place of others: what they hold, without what was deleted and without some series of the first. `None` where nothing was left to write, or a
    /// damaged block was in the way.
    pub(super) fn replace(
        &self,
        now_ms: i64,
        parents: &[Arc<Block>],
        without: Option<&RoaringBitmap>,
        state: &mut State,
    ) -> Result<Option<BlockMeta>, Error> {
        self.check_space(parents)?;
        match self.merge_blocks(now_ms, parents, without) {
            Ok(written) => Ok(written),
            Err(MergeError::Source(at, error)) => {
                self.note_damage(&error);
                state.left_alone.extend(parents.get(at).map(|block| block.ulid()));
                Ok(None)
            }
            Err(MergeError::Target(Error::Limit { .. })) => {
                state.left_alone.extend(parents.iter().map(|block| block.ulid()));
                Ok(None)
            }
            Err(MergeError::Target(error)) => Err(error),
            Err(MergeError::Stopped) => Err(Error::Closed),
        }
    }

    fn merge_blocks(
        &self,
        now_ms: i64,
        parents: &[Arc<Block>],
        without: Option<&RoaringBitmap>,
    ) -> Result<Option<BlockMeta>, MergeError> {
        let metas = || parents.iter().map(|block| block.meta());
        let min_time = metas().map(|meta| meta.min_time).min().unwrap_or(0);
        let max_time = metas().map(|meta| meta.max_time).max().unwrap_or(0);
        let ulid = self.next_ulid(now_ms, min_time, max_time);
        let dir = self.dir.join(BLOCKS_DIR).join(ulid.to_string());
        let mut writer = BlockWriter::create(self.files.clone(), dir).map_err(MergeError::Target)?;
        let applied: Vec<usize> = parents.iter().map(|block| block.deletions().len()).collect();
        let merged = merge(parents, without, &mut writer, || !self.closed.load(Ordering::Relaxed));
        if let Err(error) = merged {
            // What is left behind is removed on the next opening at the latest.
            let _ = writer.abandon();
            return Err(error);
        }
        let mut sources: Vec<Ulid> = metas().flat_map(|meta| meta.compaction.sources.iter().copied()).collect();
        sources.sort_unstable();
        let alone = parents.first().filter(|_| parents.len() == 1).map(|block| block.meta());
        let level = metas().map(|meta| meta.compaction.level).max().unwrap_or(0);
        let describe = |stats| BlockMeta {
            version: 1,
            ulid,
            min_time,
            max_time,
            origin: alone.map_or(Origin::Compaction, |meta| meta.origin),
            head_cut: metas().filter_map(|meta| meta.head_cut).max(),
            stats,
            compaction: CompactionMeta {
                level: if alone.is_some() { level } else { level + 1 },
                sources,
                parents: parents.iter().map(|block| block.ulid()).collect(),
            },
            checksum: 0,
        };
        // What is deleted from here on is deleted of the new block.
        let _deleting = self.deleting.lock();
        if writer.stats().num_samples == 0 {
            writer.abandon().and_then(|()| self.drop_blocks(parents, None)).map_err(MergeError::Target)?;
            return Ok(None);
        }
        let mut meanwhile: Vec<Deletion> = Vec::new();
        for (block, applied) in parents.iter().zip(applied) {
            for deletion in block.deletions().split_off(applied) {
                if !meanwhile.contains(&deletion) {
                    meanwhile.push(deletion);
                }
            }
        }
        let published = writer.finish(&meanwhile, describe).and_then(|meta| {
            self.drop_blocks(parents, Some(self.open_block(&meta)?))?;
            Ok(Some(meta))
        });
        published.map_err(MergeError::Target)
    }

    /// Longest range of a block: a tenth of the retention, so that what is too old goes in time.
    fn max_range_ms(&self) -> i64 {
        let tenth = self.rules.read().retention.max_age_ms.map_or(MAX_RANGE_MS, |age| age / 10);
        tenth.clamp(3 * BLOCK_RANGE_MS, MAX_RANGE_MS)
    }

    /// Whether the disk has room for the new block beside the old ones and its reserve.
    fn check_space(&self, parents: &[Arc<Block>]) -> Result<(), Error> {
        let need = parents.iter().map(|block| block.bytes()).sum::<u64>() + self.options.disk_reserve_bytes;
        match self.files.space(&self.dir) {
            Ok(space) if space.available < need => Err(Error::Refusing {
                reason: format!("compaction needs {need} bytes of disk, {} are available", space.available),
            }),
            _ => Ok(()),
        }
    }
}

fn candidate(block: &Block) -> Candidate {
    let meta = block.meta();
    Candidate { ulid: meta.ulid, min_ms: meta.min_time, max_ms: meta.max_time, bytes: block.bytes() }
}
