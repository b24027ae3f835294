//! What has to be done now and then: recovery, rotation of the log, cutting the head, retention.
//!
//! [`Db::maintain`] does what is due, one thing after the other, in the caller's thread; it never holds a lock that writers wait for
//! longer than it takes to look at one shard. A step that fails is reported and tried again the next time; the others go on.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use disk::SyncPolicy;
use disk::space::Brake;
use model::Labels;

use super::Db;
use super::open::remove_block;
use crate::block::{BLOCKS_DIR, Block, BlockMeta, BlockWriter, CompactionMeta, Origin};
use crate::error::Error;
use crate::head::SeriesRef;
use crate::log::Frozen;
use crate::options::BLOCK_RANGE_MS;
use crate::samples::Samples;
use crate::ulid::Ulid;
use crate::view::View;

/// Three ranges of the smallest blocks: what is written at once when memory allows.
const LATE_RANGE_MS: i64 = 3 * BLOCK_RANGE_MS;

/// The log rotates this long before the edge of a block range, so that a segment holds little of the next range.
const ROTATE_BEFORE_MS: i64 = 60_000;

/// More late samples than this are written without waiting for the next cut.
const MAX_LATE_SAMPLES: u64 = 1 << 20;

/// What a removed series leaves behind is kept this long for batches that were under way.
const DEPARTED_FOR_MS: i64 = 60_000;

/// What is remembered between two calls.
#[derive(Default)]
pub(super) struct State {
    /// End of the range that was cut, while its samples are still in memory.
    to_forget: Option<i64>,
    /// The last freezing of late samples.
    frozen: Frozen,
    /// When series were removed the last time.
    removed_at: Option<i64>,
    /// Range edge for which the log was rotated.
    rotated_for: Option<i64>,
    /// Bytes of the log when the head was cut the last time.
    log_bytes_at_cut: u64,
}

impl State {
    /// Has what is in order before a time dropped from memory.
    pub(super) fn forget_before(&mut self, cut_ms: i64) {
        self.to_forget = Some(cut_ms);
    }
}

/// What a call of [`Db::maintain`] did.
#[derive(Debug, Default)]
pub struct Maintenance {
    /// Blocks written.
    pub written: Vec<BlockMeta>,
    /// Blocks removed, merged or expired.
    pub removed: Vec<BlockMeta>,
    /// Steps that failed; they are tried again the next time.
    pub errors: Vec<Error>,
}

impl Db {
    /// Does what is due: brings a failed log back, watches the disk's space, syncs (policy `Interval`), cuts the head, deletes old
    /// segments and blocks. Called about once a second, from one thread (a second one waits for the first). `now_ms` is the time of day; data is
    /// judged by its own timestamps, never by a clock that runs ahead of them.
    ///
    /// # Errors
    /// [`Error::Replaying`] and [`Error::Closed`]; failures of single steps are in [`Maintenance::errors`].
    pub fn maintain(&self, now_ms: i64) -> Result<Maintenance, Error> {
        if let Err(error @ (Error::Replaying { .. } | Error::Closed)) = self.check_writable() {
            return Err(error);
        }
        let mut state = self.maintenance.lock();
        let mut report = Maintenance::default();
        let mut errors = Vec::new();
        let mut note = |result: Result<(), Error>| errors.extend(result.err());
        note(self.watch_device());
        note(self.forget_cut(&mut state, now_ms));
        note(self.rotate_log(&mut state));
        note(self.cut_head(&mut state, now_ms, &mut report));
        note(self.forget_cut(&mut state, now_ms));
        note(self.drop_expired(now_ms, &mut report));
        report.errors = errors;
        Ok(report)
    }

    pub(super) fn brake(&self, reason: Option<String>) {
        let on = reason.is_some();
        *self.braked.lock() = reason;
        self.is_braked.store(on, Ordering::Release);
    }

    fn watch_device(&self) -> Result<(), Error> {
        let brake = Brake { reserve_bytes: self.options.disk_reserve_bytes };
        match brake.check(&*self.files, &self.dir) {
            Ok(()) => self.brake(None),
            Err(disk::Error::Refusing { reason }) => self.brake(Some(reason)),
            // A file system that does not answer: the log will say when it fails.
            Err(error) => return Err(error.into()),
        }
        if self.log.recover() && self.options.wal_sync == SyncPolicy::Interval {
            self.log.sync()?;
        }
        Ok(())
    }

    /// Begins a new segment near the edge of a range, and when the present one is long.
    fn rotate_log(&self, state: &mut State) -> Result<(), Error> {
        let max_ms = self.head.max_ms();
        if max_ms == i64::MIN || self.log.check().is_err() {
            return Ok(());
        }
        let edge = (max_ms + ROTATE_BEFORE_MS).div_euclid(BLOCK_RANGE_MS) * BLOCK_RANGE_MS;
        let at_edge = state.rotated_for.is_some_and(|before| edge > before);
        if at_edge || self.log.stats().segment_bytes > self.options.wal_segment_bytes {
            self.begin_segment(state)?;
        }
        state.rotated_for = Some(edge);
        Ok(())
    }

    /// Ends the present segment of the log; the next one needs none of those before.
    pub(super) fn begin_segment(&self, _: &mut State) -> Result<(), Error> {
        self.log.rotate()?;
        self.head.begin_base(&self.log);
        self.log_basics()
    }

    /// Writes complete ranges of the head as blocks, and late samples of ranges before as blocks of their own.
    fn cut_head(&self, state: &mut State, now_ms: i64, report: &mut Maintenance) -> Result<(), Error> {
        // One call writes a few blocks at most; a long backlog takes several calls.
        for _ in 0..4 {
            let Some((from_ms, to_ms)) = self.range_to_cut(state) else { break };
            self.head.raise_cut(to_ms);
            self.write_blocks(state, now_ms, Some((from_ms, to_ms)), report)?;
            state.log_bytes_at_cut = self.log.stats().bytes;
        }
        if self.head.late_count() > MAX_LATE_SAMPLES {
            self.write_blocks(state, now_ms, None, report)?;
        }
        Ok(())
    }

    /// Writes the samples of a range, if one is given, and late samples; then publishes the blocks.
    fn write_blocks(
        &self,
        state: &mut State,
        now_ms: i64,
        range: Option<(i64, i64)>,
        report: &mut Maintenance,
    ) -> Result<(), Error> {
        let view = self.view();
        let head_from_ms = range.map_or(view.head_from_ms, |(_, to_ms)| to_ms);
        let mut written = Vec::new();
        // What was frozen before has to leave memory first: it would be written twice.
        let mut late_ranges = BTreeSet::new();
        if state.to_forget.is_none() && self.head.late_count() > 0 {
            let (ranges, freezing) = self.head.freeze_late(head_from_ms, BLOCK_RANGE_MS);
            late_ranges = ranges;
            state.frozen = Frozen { number: freezing, before_ms: head_from_ms };
        }
        if let Some((from_ms, to_ms)) = range {
            late_ranges.retain(|start| *start < from_ms || *start >= to_ms);
            let series = self.head.series_before(to_ms);
            written.extend(self.write_range(now_ms, (from_ms, to_ms), Origin::Head, &series)?);
        }
        if !late_ranges.is_empty() {
            let series = self.head.series_with_frozen();
            for start in late_ranges {
                let range = (start, start + BLOCK_RANGE_MS);
                written.extend(self.write_range(now_ms, range, Origin::Late, &series)?);
            }
        }
        let mut added = Vec::new();
        for meta in written {
            added.push(self.open_block(&meta)?);
            report.written.push(meta);
        }
        self.views.update(|view| {
            let blocks = view.blocks.iter().cloned().chain(added).collect();
            View { blocks, head_from_ms }
        });
        state.to_forget = Some(head_from_ms);
        Ok(())
    }

    /// The range that is to be cut now: aligned, and older than anything that is still in order.
    fn range_to_cut(&self, state: &State) -> Option<(i64, i64)> {
        let max_ms = self.head.max_ms();
        let complete = |to_ms: i64| max_ms >= to_ms.saturating_add(BLOCK_RANGE_MS / 2);
        let head_from_ms = self.view().head_from_ms;
        let oldest = self.head.min_ms().max(head_from_ms);
        // Everything may have been deleted.
        if max_ms == i64::MIN || oldest == i64::MAX || !complete(edge_after(oldest, BLOCK_RANGE_MS)) {
            return None;
        }
        // There is something to do; look closely where it begins.
        let first = self.head.next_sample_ms(head_from_ms)?;
        let late = edge_after(first, LATE_RANGE_MS);
        if complete(late) {
            return Some((edge_before(first, BLOCK_RANGE_MS), late));
        }
        let early = edge_after(first, BLOCK_RANGE_MS);
        let waiting = self.log.stats().bytes.saturating_sub(state.log_bytes_at_cut);
        (complete(early) && waiting > self.options.head_budget_bytes)
            .then_some((edge_before(first, BLOCK_RANGE_MS), early))
    }

    /// Writes samples of the head in `[from_ms, to_ms)` as a block: all of them, or late ones; `None` when there are none.
    fn write_range(
        &self,
        now_ms: i64,
        (from_ms, to_ms): (i64, i64),
        origin: Origin,
        series: &[(Labels, SeriesRef)],
    ) -> Result<Option<BlockMeta>, Error> {
        let ulid = self.next_ulid(now_ms, from_ms, to_ms);
        let dir = self.dir.join(BLOCKS_DIR).join(ulid.to_string());
        let mut writer = BlockWriter::create(self.files.clone(), dir)?;
        let in_order = origin == Origin::Head;
        let mut samples = Samples::default();
        for (labels, series) in series {
            let read = self.head.read_to_write(*series, from_ms, to_ms - 1, in_order, &mut samples);
            read.map_err(|damage| Error::Corrupt { path: "head".into(), offset: 0, what: damage.0.to_owned() })?;
            writer.push(labels, &samples)?;
        }
        if writer.stats().num_samples == 0 {
            writer.abandon()?;
            return Ok(None);
        }
        let meta = writer.finish(&[], |stats| BlockMeta {
            version: 1,
            ulid,
            min_time: from_ms,
            max_time: to_ms,
            origin,
            head_cut: in_order.then_some(to_ms),
            stats,
            compaction: CompactionMeta { level: 1, sources: vec![ulid], parents: Vec::new() },
            checksum: 0,
        })?;
        Ok(Some(meta))
    }

    /// A name for a new block.
    pub(super) fn next_ulid(&self, now_ms: i64, from_ms: i64, to_ms: i64) -> Ulid {
        loop {
            let made = self.blocks_made.fetch_add(1, Ordering::Relaxed);
            let mut seed = Vec::with_capacity(40);
            for number in [self.log.stats().segment as i64, made as i64, from_ms, to_ms, now_ms] {
                seed.extend_from_slice(&number.to_le_bytes());
            }
            let ulid = Ulid::new(now_ms, xxhash_rust::xxh3::xxh3_128(&seed));
            if !self.files.exists(&self.dir.join(BLOCKS_DIR).join(ulid.to_string())) {
                return ulid;
            }
        }
    }

    /// Drops from memory and log what is in blocks, once nobody reads it there any more.
    fn forget_cut(&self, state: &mut State, now_ms: i64) -> Result<(), Error> {
        if state.removed_at.is_some_and(|at| now_ms.saturating_sub(at).abs() > DEPARTED_FOR_MS) {
            self.head.forget_departed();
            state.removed_at = None;
        }
        let Some(cut_ms) = state.to_forget else { return Ok(()) };
        if !self.views.is_only_one() {
            return Ok(());
        }
        if self.head.forget(cut_ms) > 0 {
            state.removed_at = Some(now_ms);
            let all: Vec<_> = self.raw_keys.lock().iter().filter_map(std::sync::Weak::upgrade).collect();
            all.iter().for_each(|keys| keys.sweep(&self.head));
        }
        let least = self.head.begin_base(&self.log);
        let keep = self.log.first_needed(cut_ms, state.frozen, least);
        // The saved head first: without the segments after it, it would bring back what was deleted since.
        self.drop_saved_head(keep)?;
        self.log.remove_before(keep)?;
        state.to_forget = None;
        Ok(())
    }

    /// Takes blocks out of the view, perhaps putting another one in their place, and removes them from the disk. Readers that have them
    /// open go on reading them.
    pub(super) fn drop_blocks(&self, gone: &[Arc<Block>], instead: Option<Arc<Block>>) -> Result<(), Error> {
        let says_cut = |block: &&Arc<Block>| block.meta().head_cut == Some(self.head.cut_ms());
        if gone.iter().any(|block| says_cut(&block)) && instead.as_ref().filter(says_cut).is_none() {
            // From here on only the log says it.
            self.log_basics()?;
        }
        self.views.update(|view| {
            let kept = view.blocks.iter().filter(|block| !gone.iter().any(|g| g.ulid() == block.ulid()));
            View { blocks: kept.cloned().chain(instead).collect(), head_from_ms: view.head_from_ms }
        });
        gone.iter().try_for_each(|block| remove_block(&*self.files, block.dir()))
    }

    pub(super) fn open_block(&self, meta: &BlockMeta) -> Result<Arc<Block>, Error> {
        let dir = self.dir.join(BLOCKS_DIR).join(meta.ulid.to_string());
        let block = Block::open(&*self.files, &dir, &self.cache)?;
        block.read_tombstones(&*self.files)?;
        Ok(Arc::new(block))
    }
}

fn edge_before(time_ms: i64, range_ms: i64) -> i64 {
    time_ms.div_euclid(range_ms) * range_ms
}

fn edge_after(time_ms: i64, range_ms: i64) -> i64 {
    edge_before(time_ms, range_ms) + range_ms
}
