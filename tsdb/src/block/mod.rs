//! Blocks: immutable directories, each with the samples of a fixed time range.
//!
//! [`BlockWriter`] makes one, [`Block`] reads it. A block is named by a [`Ulid`] and holds `meta.json` ([`BlockMeta`]), `index` (the label index,
//! `model::index`) and `chunks` ([`reader`]). It is written aside and renamed, so a directory under a block's name is always whole;
//! what a crash leaves behind ends in `.tmp` and is removed on opening.

mod cache;
mod format;
mod meta;
mod reader;
#[cfg(test)]
mod tests;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use disk::{Files, IoContext, Mapped};
use model::index::{DiskIndex, IndexError, select};
use model::{Labels, Matcher, SampleColumns};
use parking_lot::RwLock;
use roaring::RoaringBitmap;

pub(crate) use self::cache::PageCache;
use self::meta::META_FILE;
pub use self::meta::{BlockMeta, BlockStats, CompactionMeta, Origin};
use self::reader::ChunksReader;
pub(crate) use self::writer::BlockWriter;
use crate::error::Error;
use crate::samples::Samples;
use crate::tombstones::{self, Deletion, TOMBSTONES_FILE, Tombstones};
use crate::ulid::Ulid;

/// Directory of the blocks in that of the store.
pub(crate) const BLOCKS_DIR: &str = "blocks";
const CHUNKS_FILE: &str = "chunks";
const INDEX_FILE: &str = "index";
/// End of the name of a directory that is being written or removed.
pub(crate) const TEMPORARY: &str = ".tmp";

/// Rank of late samples, see [`Block::rank`].
pub(crate) const LATE_RANK: u8 = 1;

/// Longest `meta.json` that is read.
const MAX_META_LEN: usize = 1 << 20;

/// An open block.
#[derive(Debug)]
pub(crate) struct Block {
    dir: PathBuf,
    meta: BlockMeta,
    index: DiskIndex<Mapped>,
    chunks: ChunksReader,
    tombstones: RwLock<Arc<Tombstones>>,
    bytes: u64,
}

impl Block {
    /// Opens the block in a directory.
    pub(crate) fn open(files: &dyn Files, dir: &Path, cache: &Arc<PageCache>) -> Result<Self, Error> {
        let meta_path = dir.join(META_FILE);
        let text = files.map(&meta_path).at("open", &meta_path)?;
        let bad_meta = |what: String| Error::Corrupt { path: meta_path.clone(), offset: 0, what };
        if text.len() > MAX_META_LEN {
            return Err(bad_meta(format!("the file has {} bytes, more than {MAX_META_LEN}", text.len())));
        }
        let meta = BlockMeta::from_text(&text).map_err(bad_meta)?;
        let index_path = dir.join(INDEX_FILE);
        let mapped = files.map(&index_path).at("open", &index_path)?;
        let index_len = mapped.len() as u64;
        let index = DiskIndex::open(mapped).map_err(|source| Error::Index { path: index_path.clone(), source })?;
        let chunks_path = dir.join(CHUNKS_FILE);
        let mapped = files.map(&chunks_path).at("open", &chunks_path)?;
        let chunks = ChunksReader::open(chunks_path, mapped, cache.clone())?;
        if index.len() != chunks.series_count() || chunks.sample_count() != meta.stats.num_samples {
            return Err(Error::Corrupt {
                path: chunks.path().to_owned(),
                offset: 0,
                what: format!(
                    "holds {} series and {} samples, the index {} series, the meta file {} samples",
                    chunks.series_count(),
                    chunks.sample_count(),
                    index.len(),
                    meta.stats.num_samples
                ),
            });
        }
        let bytes = text.len() as u64 + index_len + chunks.len();
        let tombstones = RwLock::default();
        Ok(Self { dir: dir.to_owned(), meta, index, chunks, tombstones, bytes })
    }

    /// Reads what was deleted of the block, after opening it. A damaged part is returned as an error; what is before it counts.
    pub(crate) fn read_tombstones(&self, files: &dyn Files) -> Result<(), Error> {
        let path = self.dir.join(TOMBSTONES_FILE);
        if !files.exists(&path) {
            return Ok(());
        }
        let bytes = files.map(&path).at("open", &path)?;
        let (deletions, damage) = tombstones::read_file(&bytes);
        self.add_tombstones(deletions)?;
        match damage {
            Some((offset, damaged)) => Err(Error::Corrupt { path, offset, what: damaged.0.to_owned() }),
            None => Ok(()),
        }
    }

    fn add_tombstones(&self, deletions: Vec<Deletion>) -> Result<(), Error> {
        let mut all = Tombstones::default();
        for deletion in self.deletions().iter().cloned().chain(deletions) {
            let series = self.select(&deletion.matchers)?;
            all.push(deletion, series);
        }
        *self.tombstones.write() = Arc::new(all);
        Ok(())
    }

    /// Deletes samples: on disk first, then for readers. Called by one thread at a time.
    pub(crate) fn delete(&self, files: &dyn Files, deletions: &[Deletion]) -> Result<(), Error> {
        let mut all = self.deletions();
        let before = all.len();
        for deletion in deletions {
            let known = all.contains(deletion);
            if !known && self.overlaps(deletion.from_ms, deletion.to_ms) && !self.select(&deletion.matchers)?.is_empty()
            {
                all.push(deletion.clone());
            }
        }
        if all.len() == before {
            return Ok(());
        }
        disk::write_atomic(files, &self.dir.join(TOMBSTONES_FILE), &tombstones::file_text(&all))?;
        self.add_tombstones(all.split_off(before))
    }

    /// What was deleted so far, in order.
    pub(crate) fn deletions(&self) -> Vec<Deletion> {
        self.tombstones.read().deletions.clone()
    }

    /// Whether it holds samples that are hidden.
    pub(crate) fn has_tombstones(&self) -> bool {
        !self.tombstones.read().is_empty()
    }

    pub(crate) fn meta(&self) -> &BlockMeta {
        &self.meta
    }

    pub(crate) fn ulid(&self) -> Ulid {
        self.meta.ulid
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Bytes of its files.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether the block may have samples in `[from_ms, to_ms]`.
    pub(crate) fn overlaps(&self, from_ms: i64, to_ms: i64) -> bool {
        self.meta.min_time <= to_ms && self.meta.max_time > from_ms
    }

    pub(crate) fn index(&self) -> &DiskIndex<Mapped> {
        &self.index
    }

    /// Number of series.
    pub(crate) fn series_count(&self) -> u32 {
        self.index.len()
    }

    /// Which of two samples of one time counts: the one that was acknowledged first, as appending would have decided. The least wins.
    pub(crate) fn rank(&self) -> u8 {
        match self.meta.origin {
            Origin::Head | Origin::Compaction => 0,
            Origin::Late => LATE_RANK,
            Origin::Import => 2,
        }
    }

    /// Numbers of the series that satisfy all matchers.
    pub(crate) fn select(&self, matchers: &[Matcher]) -> Result<RoaringBitmap, Error> {
        select(&self.index, matchers).map_err(|source| self.index_error(source))
    }

    /// The label sets of series, in ascending order of their numbers.
    pub(crate) fn visit_labels(
        &self,
        series: impl IntoIterator<Item = u32>,
        visit: &mut dyn FnMut(u32, Labels),
    ) -> Result<(), Error> {
        self.index.visit_labels(series, visit).map_err(|source| self.index_error(source))
    }

    pub(crate) fn index_error(&self, source: IndexError) -> Error {
        Error::Index { path: self.dir.join(INDEX_FILE), source }
    }

    /// Appends the samples of a series in `[from_ms, to_ms]` to `out`, which is left as it was on an error.
    pub(crate) fn read(&self, series: u32, from_ms: i64, to_ms: i64, out: &mut SampleColumns) -> Result<(), Error> {
        let (floats, histograms) = (out.timestamps.len(), out.histogram_timestamps.len());
        self.chunks.read(series, from_ms, to_ms, out).inspect_err(|_| {
            out.timestamps.truncate(floats);
            out.values.truncate(floats);
            out.start_timestamps.truncate(floats);
            out.histogram_timestamps.truncate(histograms);
            out.histograms.truncate(histograms);
            out.histogram_start_timestamps.truncate(histograms);
        })?;
        self.tombstones.read().apply(series, floats, histograms, out);
        Ok(())
    }

    /// As [`Block::read`], keeping samples as they were sent.
    pub(crate) fn read_native(&self, series: u32, from_ms: i64, to_ms: i64, out: &mut Samples) -> Result<(), Error> {
        let (floats, histograms) = (out.floats.timestamps.len(), out.histograms.len());
        self.chunks.read(series, from_ms, to_ms, out).inspect_err(|_| {
            out.floats.timestamps.truncate(floats);
            out.floats.values.truncate(floats);
            out.floats.start_timestamps.truncate(floats);
            out.histograms.truncate(histograms);
        })?;
        self.tombstones.read().apply_native(series, floats, histograms, out);
        Ok(())
    }
}
