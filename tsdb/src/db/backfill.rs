//! Writing samples of any age, past the log and the head, as blocks of their own.

use std::collections::{BTreeMap, HashMap};

use model::Labels;

use super::maintain::{edge_after, edge_before};
use crate::block::{BLOCKS_DIR, BlockMeta, BlockWriter, CompactionMeta, Origin};
use crate::codec::histogram::NativeHistogram;
use crate::compact::longest_range;
use crate::db::Db;
use crate::error::Error;
use crate::head::MAX_TIMESTAMP_MS;
use crate::options::BLOCK_RANGE_MS;
use crate::samples::{Samples, Sink};
use crate::ulid::Ulid;
use crate::view::View;

/// Samples collected before blocks are written.
const MAX_COLLECTED: usize = 1 << 22;

/// Collects samples in any order and writes them as blocks: see [`Db::backfill`].
pub struct Backfill<'a> {
    db: &'a Db,
    now_ms: i64,
    range_ms: i64,
    /// By beginning of the range.
    windows: BTreeMap<i64, HashMap<Labels, Samples>>,
    collected: usize,
    written: Vec<BlockMeta>,
}

impl Db {
    /// Begins to add samples of any age, as blocks beside those that are there. They are on the device and found by readers after
    /// [`Backfill::finish`]; blocks that overlap are merged by [`Db::compact`]. Of two samples of one series and time that which was appended in
    /// the ordinary way counts, then the one that was there first.
    ///
    /// # Errors
    /// As [`Db::check_writable`].
    pub fn backfill(&self, now_ms: i64) -> Result<Backfill<'_>, Error> {
        self.check_writable()?;
        let range_ms = longest_range(self.max_range_ms());
        let (windows, written) = (BTreeMap::new(), Vec::new());
        Ok(Backfill { db: self, now_ms, range_ms, windows, collected: 0, written })
    }
}

impl Backfill<'_> {
    /// Adds a sample. Now and then this writes blocks: after some million samples.
    ///
    /// # Errors
    /// [`Error::InvalidLabels`], [`Error::Limit`] for a time beyond [`MAX_TIMESTAMP_MS`]; of the device.
    pub fn append(&mut self, labels: &Labels, timestamp_ms: i64, value: f64) -> Result<(), Error> {
        self.series(labels, timestamp_ms)?.floats.push(timestamp_ms, value);
        self.write_when_full()
    }

    /// Adds a native histogram; `start_ms` is the time at which it began to count, 0: unknown.
    ///
    /// # Errors
    /// [`Error::InvalidHistogram`]; as [`Backfill::append`].
    pub fn append_histogram(
        &mut self,
        labels: &Labels,
        start_ms: i64,
        timestamp_ms: i64,
        histogram: &NativeHistogram,
    ) -> Result<(), Error> {
        if !histogram.is_stale() {
            histogram.to_float().validate()?;
        }
        self.series(labels, timestamp_ms)?.histogram(timestamp_ms, histogram, start_ms);
        self.write_when_full()
    }

    /// Writes what is left and returns what all new blocks say about themselves.
    ///
    /// # Errors
    /// Of the device: blocks that were written before stay.
    pub fn finish(mut self) -> Result<Vec<BlockMeta>, Error> {
        self.write()?;
        Ok(self.written)
    }

    fn series(&mut self, labels: &Labels, timestamp_ms: i64) -> Result<&mut Samples, Error> {
        check_time(timestamp_ms)?;
        let window = self.windows.entry(edge_before(timestamp_ms, self.range_ms)).or_default();
        if !window.contains_key(labels) {
            self.db.check_labels(labels)?;
            window.insert(labels.clone(), Samples::default());
        }
        self.collected += 1;
        Ok(window.entry(labels.clone()).or_default())
    }

    fn write_when_full(&mut self) -> Result<(), Error> {
        if self.collected >= MAX_COLLECTED { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), Error> {
        self.collected = 0;
        while let Some((_, window)) = self.windows.pop_first() {
            let mut series: Vec<(Labels, Samples)> = window.into_iter().collect();
            series.sort_unstable_by(|a, b| a.0.cmp(&b.0));
            let mut block = ImportBlock::begin(self.db, self.now_ms)?;
            for (labels, mut samples) in series {
                samples.sort();
                block.push(&labels, &samples)?;
            }
            self.written.extend(block.finish()?);
        }
        Ok(())
    }
}

impl std::fmt::Debug for Backfill<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Backfill").field("collected", &self.collected).finish_non_exhaustive()
    }
}

fn check_time(timestamp_ms: i64) -> Result<(), Error> {
    if (-MAX_TIMESTAMP_MS..=MAX_TIMESTAMP_MS).contains(&timestamp_ms) {
        return Ok(());
    }
    Err(Error::Limit { what: format!("timestamp {timestamp_ms} is out of range"), limit: MAX_TIMESTAMP_MS as u64 })
}

/// Writes series, each with samples of any times, to one block for each range. They come in the order of their label sets; where a
/// foreign index has another order, new blocks begin.
pub(crate) struct ImportBlocks<'a> {
    db: &'a Db,
    now_ms: i64,
    range_ms: i64,
    last: Labels,
    blocks: BTreeMap<i64, ImportBlock<'a>>,
    written: Vec<BlockMeta>,
}

impl<'a> ImportBlocks<'a> {
    pub(crate) fn new(db: &'a Db, now_ms: i64) -> Self {
        let range_ms = longest_range(db.max_range_ms());
        Self { db, now_ms, range_ms, last: Labels::default(), blocks: BTreeMap::new(), written: Vec::new() }
    }

    /// Adds a series; samples ascend in time.
    pub(crate) fn push(&mut self, labels: &Labels, samples: &Samples) -> Result<(), Error> {
        self.db.check_labels(labels)?;
        if *labels <= self.last {
            self.finish_blocks()?;
        }
        self.last = labels.clone();
        let mut from = samples.first_ms();
        while let Some(first_ms) = from {
            check_time(first_ms)?;
            let start_ms = edge_before(first_ms, self.range_ms);
            let end_ms = start_ms + self.range_ms;
            let block = match self.blocks.entry(start_ms) {
                std::collections::btree_map::Entry::Occupied(block) => block.into_mut(),
                std::collections::btree_map::Entry::Vacant(place) => {
                    place.insert(ImportBlock::begin(self.db, self.now_ms)?)
                }
            };
            let (part, next) = samples.part(start_ms, end_ms);
            block.push(labels, &part)?;
            from = next;
        }
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<Vec<BlockMeta>, Error> {
        self.finish_blocks()?;
        Ok(self.written)
    }

    fn finish_blocks(&mut self) -> Result<(), Error> {
        while let Some((_, block)) = self.blocks.pop_first() {
            self.written.extend(block.finish()?);
        }
        Ok(())
    }
}

/// A block that is written from outside.
struct ImportBlock<'a> {
    db: &'a Db,
    writer: BlockWriter,
    ulid: Ulid,
    min_ms: i64,
    max_ms: i64,
}

impl<'a> ImportBlock<'a> {
    fn begin(db: &'a Db, now_ms: i64) -> Result<Self, Error> {
        let ulid = db.next_ulid(now_ms, 0, 0);
        let writer = BlockWriter::create(db.files.clone(), db.dir.join(BLOCKS_DIR).join(ulid.to_string()))?;
        Ok(Self { db, writer, ulid, min_ms: i64::MAX, max_ms: i64::MIN })
    }

    fn push(&mut self, labels: &Labels, samples: &Samples) -> Result<(), Error> {
        if let (Some(first), Some(last)) = (samples.first_ms(), samples.last_ms()) {
            self.min_ms = self.min_ms.min(first);
            self.max_ms = self.max_ms.max(last);
            self.writer.push(labels, samples)?;
        }
        Ok(())
    }

    /// Puts the block where readers find it.
    fn finish(self) -> Result<Option<BlockMeta>, Error> {
        if self.writer.stats().num_samples == 0 {
            self.writer.abandon()?;
            return Ok(None);
        }
        let describe = |stats| BlockMeta {
            version: 1,
            ulid: self.ulid,
            min_time: edge_before(self.min_ms, BLOCK_RANGE_MS),
            max_time: edge_after(self.max_ms, BLOCK_RANGE_MS),
            origin: Origin::Import,
            head_cut: None,
            stats,
            compaction: CompactionMeta { level: 1, sources: vec![self.ulid], parents: Vec::new() },
            checksum: 0,
        };
        let meta = self.writer.finish(&[], describe)?;
        let block = self.db.open_block(&meta)?;
        self.db.views.update(|view| {
            let blocks = view.blocks.iter().cloned().chain([block]).collect();
            View { blocks, head_from_ms: view.head_from_ms }
        });
        Ok(Some(meta))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use disk::MemFiles;
    use model::SampleColumns;

    use super::*;
    use crate::{Options, SelectHints, SeriesSource};

    #[test]
    fn foreign_series_in_no_order() {
        let db = Db::open_with(Arc::new(MemFiles::new()), "data", Options::default()).unwrap();
        let mut blocks = ImportBlocks::new(&db, 0);
        for (number, name) in ["c", "a", "b", "b", "d"].into_iter().enumerate() {
            let mut samples = Samples::default();
            samples.floats.push(number as i64 * 1_000, number as f64);
            blocks.push(&Labels::from_pairs([("__name__", name)]), &samples).unwrap();
        }
        // Again from `a`, and again where `b` comes twice.
        assert_eq!(blocks.finish().unwrap().len(), 3);
        let hints = SelectHints { start_ms: 0, end_ms: 10_000, ..SelectHints::default() };
        let found = db.select(&[], &hints).unwrap();
        let mut columns = SampleColumns::new();
        let mut got: Vec<(String, Vec<f64>)> = (0..found.len())
            .map(|index| {
                found.read(index, &mut columns).unwrap();
                (found.labels(index).metric_name().unwrap_or("").to_owned(), columns.values.clone())
            })
            .collect();
        got.sort_by(|a, b| a.0.cmp(&b.0));
        let want = [("a", vec![1.0]), ("b", vec![2.0, 3.0]), ("c", vec![0.0]), ("d", vec![4.0])];
        assert_eq!(got, want.map(|(name, values)| (name.to_owned(), values)));
    }
}
