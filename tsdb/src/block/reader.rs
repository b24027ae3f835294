//! Reads the chunks file of a block in place.
//!
//! The tables are read on opening; pages are found through them and verified when they are first used. Nothing in the file is
//! trusted beyond its checksum: every length is checked, and what a chunk says is checked against its column of timestamps.
#![doc = include_str!("../../docs/format/chunks.md")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::cache::PageCache;
use super::format::{
    FLOATS, FOOTER_LEN, HEADER_LEN, HISTOGRAMS, KIND_BITS, MAGIC, MAX_CHUNK_SAMPLES, MAX_PAGE_LEN, PAGE_HEADER_LEN,
    PLAIN, VERSION, WITH_STARTS, ZSTD, item,
};
use crate::codec::bytes::{Cursor, Damaged, Decoded};
use crate::codec::{histogram, times, values};
use crate::error::Error;
use crate::samples::{Sink, trim};
use disk::Mapped;
use model::SampleColumns;

#[derive(Debug)]
pub(crate) struct ChunksReader {
    path: PathBuf,
    bytes: Mapped,
    series: PageList,
    times: PageList,
    samples: u64,
    cache: Arc<PageCache>,
    /// This file in the cache.
    number: u64,
}

/// The content of a page: in the file, or unpacked.
enum Content<'a> {
    InFile(&'a [u8]),
    Unpacked(Arc<[u8]>),
}

impl std::ops::Deref for Content<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::InFile(bytes) => bytes,
            Self::Unpacked(bytes) => bytes,
        }
    }
}

/// Where the pages of one kind are.
#[derive(Debug, Default)]
struct PageList {
    pages: Vec<Page>,
    items: u32,
}

#[derive(Debug)]
struct Page {
    offset: u64,
    len: u32,
    /// Number of its first item.
    first: u32,
    /// Whether its checksum was found right; only noted of pages that are read in the file.
    verified: AtomicBool,
    /// Whether it is compressed, once that is known.
    packed: AtomicBool,
}

impl ChunksReader {
    pub(crate) fn open(path: PathBuf, bytes: Mapped, cache: Arc<PageCache>) -> Result<Self, Error> {
        let number = cache.block_number();
        match Self::parse(&bytes) {
            Ok((series, times, samples)) => Ok(Self { path, bytes, series, times, samples, cache, number }),
            Err((offset, Damaged(what))) => Err(Error::Corrupt { path, offset, what: what.to_owned() }),
        }
    }

    fn parse(bytes: &[u8]) -> Result<(PageList, PageList, u64), (u64, Damaged)> {
        let at = |offset: u64| move |damage: Damaged| (offset, damage);
        let fail = |offset: u64, what: &'static str| (offset, Damaged(what));
        let mut header = Cursor::new(bytes);
        if header.array() != Ok(MAGIC) {
            return Err(fail(0, "the file does not begin with FSCH"));
        }
        if header.array() != Ok(VERSION.to_le_bytes()) {
            return Err(fail(4, "the file has another version than this reader knows"));
        }
        if header.array() != Ok([0u8, 0]) {
            return Err(fail(6, "reserved bytes are set"));
        }
        let (body, footer) = bytes.split_last_chunk::<FOOTER_LEN>().ok_or(fail(0, "the file is too short"))?;
        let footer_at = body.len() as u64;
        let (covered, tail) = footer.split_at(FOOTER_LEN - 8);
        let mut tail = Cursor::new(tail);
        if !tail.u32().is_ok_and(|crc| fits(covered, crc)) || tail.array() != Ok(MAGIC) {
            return Err(fail(footer_at, "the footer is not the one that was written"));
        }
        let mut fields = Cursor::new(covered);
        let series_count = fields.u32().map_err(at(footer_at))?;
        let time_count = fields.u32().map_err(at(footer_at))?;
        let samples = fields.u64().map_err(at(footer_at))?;
        let tables_at = fields.u64().map_err(at(footer_at))?;
        let tables_crc = fields.u32().map_err(at(footer_at))?;
        let tables = usize::try_from(tables_at).ok().and_then(|start| body.get(start..));
        let tables = tables.ok_or(fail(footer_at, "the tables lie outside the file"))?;
        if !fits(tables, tables_crc) {
            return Err(fail(tables_at, "the tables are not those that were written"));
        }
        let mut cursor = Cursor::new(tables);
        let series = PageList::parse(&mut cursor, tables_at).map_err(at(tables_at))?;
        let times = PageList::parse(&mut cursor, tables_at).map_err(at(tables_at))?;
        if !cursor.is_empty() || series.items != series_count || times.items != time_count {
            return Err(fail(tables_at, "the tables say something else than the footer"));
        }
        Ok((series, times, samples))
    }

    /// Number of series.
    pub(crate) fn series_count(&self) -> u32 {
        self.series.items
    }

    pub(crate) fn sample_count(&self) -> u64 {
        self.samples
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Appends the samples of a series in `[from_ms, to_ms]` to `out`.
    ///
    /// What was appended before an error is left to the caller to cut off.
    pub(crate) fn read(&self, series: u32, from_ms: i64, to_ms: i64, out: &mut dyn Sink) -> Result<(), Error> {
        let (page, nth) =
            self.series.locate(series).ok_or_else(|| self.corrupt(0, Damaged("there is no such series")))?;
        let bad = |damage| self.corrupt(page.offset, damage);
        let content = self.content(page)?;
        let mut cursor = Cursor::new(item(&content, nth).map_err(bad)?);
        let chunks = cursor.varint().map_err(bad)?;
        for _ in 0..chunks {
            let chunk = Chunk::read(&mut cursor).map_err(bad)?;
            let (time_page, nth) =
                self.times.locate(chunk.time).ok_or_else(|| bad(Damaged("a chunk names times that do not exist")))?;
            let bad_time = |damage| self.corrupt(time_page.offset, damage);
            let time_content = self.content(time_page)?;
            let times = item(&time_content, nth).map_err(bad_time)?;
            let extent = times::extent(times).map_err(bad_time)?;
            if extent.last_ms < from_ms || extent.first_ms > to_ms {
                continue;
            }
            if extent.count > MAX_CHUNK_SAMPLES {
                return Err(bad_time(Damaged("a chunk has too many samples")));
            }
            if chunk.is_histogram {
                let mut timestamps = Vec::new();
                times::decode(&mut Cursor::new(times), &mut timestamps).map_err(bad_time)?;
                chunk.put_histograms(&timestamps, from_ms, to_ms, out).map_err(bad)?;
                continue;
            }
            let columns = out.floats();
            let start = columns.timestamps.len();
            times::decode(&mut Cursor::new(times), &mut columns.timestamps).map_err(bad_time)?;
            values::decode(&mut Cursor::new(chunk.column), extent.count, &mut columns.values).map_err(bad)?;
            if let Some(starts) = chunk.starts {
                columns.start_timestamps.resize(start, 0);
                let SampleColumns { timestamps, start_timestamps, .. } = columns;
                put_starts(starts, &timestamps[start..], start_timestamps).map_err(bad)?;
            }
            trim(columns, start, from_ms, to_ms);
        }
        Ok(())
    }

    /// The verified content of a page.
    fn content(&self, page: &Page) -> Result<Content<'_>, Error> {
        if page.packed.load(Ordering::Relaxed)
            && let Some(content) = self.cache.get((self.number, page.offset))
        {
            return Ok(Content::Unpacked(content));
        }
        let end = page.offset + u64::from(page.len);
        let bytes = usize::try_from(page.offset).ok().zip(usize::try_from(end).ok());
        let bytes = bytes.and_then(|(start, end)| self.bytes.get(start..end));
        let bytes = bytes.ok_or_else(|| self.corrupt(page.offset, Damaged("a page lies outside the file")))?;
        let content = open_page(bytes, page).map_err(|damage| self.corrupt(page.offset, damage))?;
        if let Content::Unpacked(content) = &content {
            page.packed.store(true, Ordering::Relaxed);
            self.cache.put((self.number, page.offset), content.clone());
        }
        Ok(content)
    }

    fn corrupt(&self, offset: u64, Damaged(what): Damaged) -> Error {
        Error::Corrupt { path: self.path.clone(), offset, what: what.to_owned() }
    }
}

/// Whether bytes have this checksum. A fuzzer would never get past it to what lies behind.
fn fits(bytes: &[u8], crc: u32) -> bool {
    crc32fast::hash(bytes) == crc || cfg!(fuzzing)
}

fn open_page<'a>(bytes: &'a [u8], page: &Page) -> Decoded<Content<'a>> {
    let mut cursor = Cursor::new(bytes);
    let crc = cursor.u32()?;
    // A page that is unpacked is verified every time: that is cheap beside the unpacking.
    if !page.verified.load(Ordering::Relaxed) {
        if !fits(cursor.rest(), crc) {
            return Err(Damaged("a page is not the one that was written"));
        }
        page.verified.store(cursor.rest().first() == Some(&PLAIN), Ordering::Relaxed);
    }
    let flags = cursor.u8()?;
    let raw = cursor.u32()? as usize;
    debug_assert_eq!(bytes.len() - cursor.rest().len(), PAGE_HEADER_LEN);
    match flags {
        PLAIN if raw == cursor.rest().len() => Ok(Content::InFile(cursor.rest())),
        ZSTD if raw <= MAX_PAGE_LEN => match zstd::bulk::decompress(cursor.rest(), raw) {
            Ok(content) if content.len() == raw => Ok(Content::Unpacked(content.into())),
            _ => Err(Damaged("a page cannot be unpacked")),
        },
        _ => Err(Damaged("a page has a form that does not exist")),
    }
}

/// A chunk of a record.
struct Chunk<'a> {
    /// Number of its column of timestamps.
    time: u32,
    is_histogram: bool,
    column: &'a [u8],
    starts: Option<&'a [u8]>,
}

impl<'a> Chunk<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Decoded<Self> {
        let head = cursor.varint()?;
        let kind = head & ((1 << KIND_BITS) - 1);
        let is_histogram = match kind & !WITH_STARTS {
            FLOATS => false,
            HISTOGRAMS => true,
            _ => return Err(Damaged("a chunk is of a kind that does not exist")),
        };
        let time = u32::try_from(head >> KIND_BITS).map_err(|_| Damaged("a chunk names times that do not exist"))?;
        let column = cursor.prefixed()?;
        let starts = if kind & WITH_STARTS == 0 { None } else { Some(cursor.prefixed()?) };
        Ok(Self { time, is_histogram, column, starts })
    }

    fn put_histograms(&self, timestamps: &[i64], from_ms: i64, to_ms: i64, out: &mut dyn Sink) -> Decoded<()> {
        let mut starts = Vec::new();
        if let Some(bytes) = self.starts {
            put_starts(bytes, timestamps, &mut starts)?;
        }
        let mut cursor = Cursor::new(self.column);
        let mut before = None;
        for (at, &time) in timestamps.iter().enumerate() {
            let histogram = histogram::read(&mut cursor, before.as_ref())?;
            if time >= from_ms && time <= to_ms {
                out.histogram(time, &histogram, starts.get(at).copied().unwrap_or(0));
            }
            before = Some(histogram);
        }
        if cursor.is_empty() { Ok(()) } else { Err(Damaged("a chunk holds more histograms than times")) }
    }
}

/// Appends the start timestamps of the samples at `timestamps`.
fn put_starts(bytes: &[u8], timestamps: &[i64], out: &mut Vec<i64>) -> Decoded<()> {
    let mut cursor = Cursor::new(bytes);
    let mut left = timestamps;
    while !left.is_empty() {
        let run = cursor.length(left.len(), "a chunk has more start timestamps than samples")?;
        let (run, rest) = left.split_at_checked(run).unwrap_or((left, &[]));
        let first = run.first().ok_or(Damaged("a run of start timestamps is empty"))?;
        let start = first.wrapping_sub(cursor.signed()?);
        out.resize(out.len() + run.len(), start);
        left = rest;
    }
    if cursor.is_empty() { Ok(()) } else { Err(Damaged("a chunk has more start timestamps than samples")) }
}

impl PageList {
    fn parse(cursor: &mut Cursor<'_>, end: u64) -> Decoded<Self> {
        // Each entry has at least three bytes.
        let count = cursor.length(cursor.rest().len() / 3 + 1, "a table has more pages than bytes")?;
        let mut list = Self::default();
        list.pages.reserve(count);
        let mut offset = HEADER_LEN as u64;
        for _ in 0..count {
            let items = cursor.varint32("a page has too many items")?;
            let len = cursor.varint32("a page is too long")?;
            offset = offset.checked_add(cursor.varint()?).ok_or(Damaged("a page lies outside the file"))?;
            let (verified, packed) = (AtomicBool::new(false), AtomicBool::new(false));
            list.pages.push(Page { offset, len, first: list.items, verified, packed });
            list.items = list.items.checked_add(items).ok_or(Damaged("a table has too many items"))?;
            offset = offset.checked_add(u64::from(len)).ok_or(Damaged("a page lies outside the file"))?;
            if offset > end || items == 0 {
                return Err(Damaged("a page lies outside the file"));
            }
        }
        Ok(list)
    }

    /// The page of an item, and its place there.
    fn locate(&self, item: u32) -> Option<(&Page, usize)> {
        if item >= self.items {
            return None;
        }
        let at = self.pages.partition_point(|page| page.first <= item).checked_sub(1)?;
        let page = self.pages.get(at)?;
        Some((page, (item - page.first) as usize))
    }
}
