//! Writes a block: series by series in the order of their label sets, into a directory aside that is renamed when all is on disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use disk::{Files, IoContext, WriteFile};
use hashbrown::HashMap;
use model::Labels;
use model::index::IndexWriter;
use xxhash_rust::xxh3::xxh3_64;

use super::format::{
    Compressor, FLOATS, FOOTER_LEN, HEADER_LEN, HISTOGRAMS, KIND_BITS, MAGIC, MAX_CHUNK_SAMPLES, MAX_SERIES_SAMPLES,
    PAGE_TARGET, PageBuilder, VERSION, WITH_STARTS,
};
use super::meta::{BlockMeta, BlockStats, META_FILE};
use super::{CHUNKS_FILE, INDEX_FILE, TEMPORARY};
use crate::codec::bytes::{put_prefixed, put_signed, put_varint};
use crate::codec::values::Target;
use crate::codec::{histogram, times, values};
use crate::error::Error;
use crate::samples::Samples;
use crate::tombstones::{self, Deletion, TOMBSTONES_FILE};

/// Bytes handed to the file at once.
const WRITE_LEN: usize = 1 << 20;

/// Bytes of columns of timestamps kept to find equal ones; beyond it the search begins anew.
const KEPT_TIMES: usize = 32 << 20;

/// Writes one block. Dropped before [`BlockWriter::finish`], it leaves a temporary directory that the next opening removes.
pub(crate) struct BlockWriter {
    files: Arc<dyn Files>,
    /// Where the block will be, and where it is written.
    dir: PathBuf,
    temporary: PathBuf,
    chunks: ChunksWriter,
    index: IndexWriter,
}

impl BlockWriter {
    /// Begins a block that will be the directory `dir`.
    pub(crate) fn create(files: Arc<dyn Files>, dir: PathBuf) -> Result<Self, Error> {
        let mut name = dir.clone().into_os_string();
        name.push(TEMPORARY);
        let temporary = PathBuf::from(name);
        if files.exists(&temporary) {
            files.remove_dir_all(&temporary).at("remove", &temporary)?;
        }
        files.create_dir_all(&temporary).at("create directory", &temporary)?;
        let chunks = ChunksWriter::create(&*files, temporary.join(CHUNKS_FILE))?;
        Ok(Self { files, dir, temporary, chunks, index: IndexWriter::new() })
    }

    /// Adds a series with its samples; series without samples are left out. Label sets have to ascend.
    pub(crate) fn push(&mut self, labels: &Labels, samples: &Samples) -> Result<(), Error> {
        if samples.is_empty() {
            return Ok(());
        }
        if samples.len() > MAX_SERIES_SAMPLES {
            let what = format!("too many samples of {labels} in one block");
            return Err(Error::Limit { what, limit: MAX_SERIES_SAMPLES as u64 });
        }
        self.index.push(labels).map_err(|source| Error::Index { path: self.temporary.join(INDEX_FILE), source })?;
        self.chunks.push(samples)
    }

    /// Counts so far.
    pub(crate) fn stats(&self) -> BlockStats {
        self.chunks.stats
    }

    /// Finishes the block; when this returns it is on disk under its name. `describe` makes its meta file of the counts.
    /// `deletions`: what is deleted of it from the beginning.
    pub(crate) fn finish(
        self,
        deletions: &[Deletion],
        describe: impl FnOnce(BlockStats) -> BlockMeta,
    ) -> Result<BlockMeta, Error> {
        let Self { files, dir, temporary, chunks, index } = self;
        let stats = chunks.finish()?;
        let index_path = temporary.join(INDEX_FILE);
        let bytes = index.finish().map_err(|source| Error::Index { path: index_path.clone(), source })?;
        write_file(&*files, &index_path, &bytes)?;
        let meta = describe(stats);
        let meta_path = temporary.join(META_FILE);
        let text =
            meta.to_text().map_err(|e| Error::Corrupt { path: meta_path.clone(), offset: 0, what: e.to_string() })?;
        write_file(&*files, &meta_path, &text)?;
        if !deletions.is_empty() {
            write_file(&*files, &temporary.join(TOMBSTONES_FILE), &tombstones::file_text(deletions))?;
        }
        files.sync_dir(&temporary).at("sync", &temporary)?;
        files.rename(&temporary, &dir).at("rename", &dir)?;
        let parent = dir.parent().unwrap_or(Path::new(""));
        files.sync_dir(parent).at("sync", parent)?;
        Ok(meta)
    }

    /// Gives up and removes what was written.
    pub(crate) fn abandon(self) -> Result<(), Error> {
        let Self { files, temporary, chunks, .. } = self;
        drop(chunks);
        Ok(files.remove_dir_all(&temporary).at("remove", &temporary)?)
    }
}

fn write_file(files: &dyn Files, path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut file = files.create(path).at("create", path)?;
    for part in bytes.chunks(WRITE_LEN) {
        file.append(part).at("write", path)?;
    }
    file.sync().at("sync", path)?;
    Ok(())
}

struct ChunksWriter {
    path: PathBuf,
    file: Box<dyn WriteFile>,
    buffer: Vec<u8>,
    /// Bytes of the file, those in the buffer included.
    len: u64,
    series: PageBuilder,
    series_pages: PageTable,
    times: PageBuilder,
    time_pages: PageTable,
    /// Number of each column of timestamps seen lately, and its bytes to be sure.
    known_times: HashMap<u64, (u32, Box<[u8]>), foldhash::fast::RandomState>,
    known_bytes: usize,
    time_count: u32,
    stats: BlockStats,
    compressor: Compressor,
    scratch: values::Scratch,
    record: Vec<u8>,
    column: Vec<u8>,
    page: Vec<u8>,
}

impl ChunksWriter {
    fn create(files: &dyn Files, path: PathBuf) -> Result<Self, Error> {
        let compressor = Compressor::new().at("begin to compress", &path)?;
        let file = files.create(&path).at("create", &path)?;
        let mut buffer = Vec::with_capacity(WRITE_LEN * 2);
        buffer.extend_from_slice(&MAGIC);
        buffer.extend_from_slice(&VERSION.to_le_bytes());
        buffer.extend_from_slice(&[0, 0]);
        Ok(Self {
            path,
            file,
            buffer,
            len: HEADER_LEN as u64,
            series: PageBuilder::default(),
            series_pages: PageTable::new(),
            times: PageBuilder::default(),
            time_pages: PageTable::new(),
            known_times: HashMap::default(),
            known_bytes: 0,
            time_count: 0,
            stats: BlockStats::default(),
            compressor,
            scratch: values::Scratch::default(),
            record: Vec::new(),
            column: Vec::new(),
            page: Vec::new(),
        })
    }

    fn push(&mut self, samples: &Samples) -> Result<(), Error> {
        let mut record = std::mem::take(&mut self.record);
        record.clear();
        let floats = &samples.floats;
        let float_chunks = floats.timestamps.len().div_ceil(MAX_CHUNK_SAMPLES);
        let histogram_chunks = samples.histograms.len().div_ceil(histogram::MAX_SAMPLES as usize);
        put_varint(&mut record, (float_chunks + histogram_chunks) as u64);
        for from in (0..floats.timestamps.len()).step_by(MAX_CHUNK_SAMPLES) {
            let to = (from + MAX_CHUNK_SAMPLES).min(floats.timestamps.len());
            let starts = floats.start_timestamps.get(from..to).filter(|starts| starts.iter().any(|start| *start != 0));
            let time = self.time_number(&floats.timestamps[from..to])?;
            put_varint(&mut record, u64::from(time) << KIND_BITS | FLOATS | starts.map_or(0, |_| WITH_STARTS));
            self.column.clear();
            values::encode(&floats.values[from..to], Target::Compressed, &mut self.scratch, &mut self.column);
            put_prefixed(&mut record, &self.column);
            put_starts(starts, &floats.timestamps[from..to], &mut record);
        }
        for chunk in samples.histograms.chunks(histogram::MAX_SAMPLES as usize) {
            let timestamps: Vec<i64> = chunk.iter().map(|(t, ..)| *t).collect();
            let starts: Vec<i64> = chunk.iter().map(|(_, _, start)| *start).collect();
            let starts = Some(&starts[..]).filter(|starts| starts.iter().any(|start| *start != 0));
            let time = self.time_number(&timestamps)?;
            put_varint(&mut record, u64::from(time) << KIND_BITS | HISTOGRAMS | starts.map_or(0, |_| WITH_STARTS));
            self.column.clear();
            let mut before = None;
            for (_, native, _) in chunk {
                histogram::put(&mut self.column, native, before);
                before = Some(native);
            }
            put_prefixed(&mut record, &self.column);
            put_starts(starts, &timestamps, &mut record);
        }
        self.series.push(&record);
        self.record = record;
        self.stats.num_series += 1;
        self.stats.num_chunks += (float_chunks + histogram_chunks) as u64;
        self.stats.num_samples += samples.len() as u64;
        if self.series.len() >= PAGE_TARGET {
            self.put_series_page()?;
        }
        Ok(())
    }

    /// The number of a column of timestamps, written if it is a new one.
    fn time_number(&mut self, timestamps: &[i64]) -> Result<u32, Error> {
        self.column.clear();
        times::encode(timestamps, &mut self.column);
        let hash = xxh3_64(&self.column);
        if let Some((number, bytes)) = self.known_times.get(&hash)
            && **bytes == *self.column
        {
            return Ok(*number);
        }
        if self.known_bytes > KEPT_TIMES {
            self.known_times.clear();
            self.known_bytes = 0;
        }
        let number = self.time_count;
        self.time_count += 1;
        self.known_bytes += self.column.len() + 64;
        self.known_times.insert(hash, (number, self.column.as_slice().into()));
        self.times.push(&self.column);
        if self.times.len() >= PAGE_TARGET {
            self.put_time_page()?;
        }
        Ok(number)
    }

    fn put_series_page(&mut self) -> Result<(), Error> {
        let mut page = std::mem::take(&mut self.page);
        let items = self.series.finish(&mut self.compressor, &mut page);
        self.series_pages.add(items, self.len, page.len());
        self.put(&page)?;
        self.page = page;
        Ok(())
    }

    fn put_time_page(&mut self) -> Result<(), Error> {
        let mut page = std::mem::take(&mut self.page);
        let items = self.times.finish(&mut self.compressor, &mut page);
        self.time_pages.add(items, self.len, page.len());
        self.put(&page)?;
        self.page = page;
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.buffer.extend_from_slice(bytes);
        self.len += bytes.len() as u64;
        if self.buffer.len() >= WRITE_LEN {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.file.append(&self.buffer).at("write", &self.path)?;
        self.buffer.clear();
        Ok(())
    }

    fn finish(mut self) -> Result<BlockStats, Error> {
        if !self.series.is_empty() {
            self.put_series_page()?;
        }
        if !self.times.is_empty() {
            self.put_time_page()?;
        }
        let tables_at = self.len;
        let mut tables = self.series_pages.finish();
        tables.extend_from_slice(&self.time_pages.finish());
        let mut footer = Vec::with_capacity(FOOTER_LEN);
        footer.extend_from_slice(&(self.stats.num_series as u32).to_le_bytes());
        footer.extend_from_slice(&self.time_count.to_le_bytes());
        footer.extend_from_slice(&self.stats.num_samples.to_le_bytes());
        footer.extend_from_slice(&tables_at.to_le_bytes());
        footer.extend_from_slice(&crc32fast::hash(&tables).to_le_bytes());
        let crc = crc32fast::hash(&footer);
        footer.extend_from_slice(&crc.to_le_bytes());
        footer.extend_from_slice(&MAGIC);
        debug_assert_eq!(footer.len(), FOOTER_LEN);
        self.put(&tables)?;
        self.put(&footer)?;
        self.flush()?;
        self.file.sync().at("sync", &self.path)?;
        Ok(self.stats)
    }
}

/// Appends start timestamps as runs, each with its distance to its first sample's time.
fn put_starts(starts: Option<&[i64]>, timestamps: &[i64], out: &mut Vec<u8>) {
    let Some(starts) = starts else { return };
    let mut bytes = Vec::new();
    let mut at = 0;
    for run in starts.chunk_by(|a, b| a == b) {
        put_varint(&mut bytes, run.len() as u64);
        let first = timestamps.get(at).copied().unwrap_or(0);
        put_signed(&mut bytes, first.wrapping_sub(run.first().copied().unwrap_or(0)));
        at += run.len();
    }
    put_prefixed(out, &bytes);
}

/// The table of the pages of one kind.
struct PageTable {
    pages: u64,
    entries: Vec<u8>,
    end: u64,
}

impl PageTable {
    fn new() -> Self {
        Self { pages: 0, entries: Vec::new(), end: HEADER_LEN as u64 }
    }

    fn add(&mut self, items: u32, offset: u64, len: usize) {
        put_varint(&mut self.entries, u64::from(items));
        put_varint(&mut self.entries, len as u64);
        put_varint(&mut self.entries, offset - self.end);
        self.pages += 1;
        self.end = offset + len as u64;
    }

    fn finish(&self) -> Vec<u8> {
        let mut table = Vec::with_capacity(self.entries.len() + 10);
        put_varint(&mut table, self.pages);
        table.extend_from_slice(&self.entries);
        table
    }
}
