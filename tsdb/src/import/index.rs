//! The index file of a Prometheus block, versions 1 and 2: label sets and chunk references, in the order of the label sets.

use std::collections::HashMap;

use model::Labels;

use super::bits::{BigEndian, fits};
use crate::codec::bytes::{Cursor, Damaged, Decoded};

const MAGIC: u32 = 0xbaaa_d700;
const TOC_LEN: usize = 6 * 8 + 4;
const TOMBSTONES_MAGIC: u32 = 0x0130_ba30;

/// Most labels and chunks of one series.
const MAX_ITEMS: usize = 1 << 24;

pub(super) struct PrometheusIndex<'a> {
    bytes: &'a [u8],
    version: u8,
    symbols: Vec<&'a str>,
    /// References of all series.
    series: Vec<u32>,
}

/// A series, and where its chunks are.
pub(super) struct IndexedSeries {
    /// As tombstones name it.
    pub(super) id: u64,
    pub(super) labels: Labels,
    pub(super) chunks: Vec<u64>,
}

impl<'a> PrometheusIndex<'a> {
    pub(super) fn open(bytes: &'a [u8]) -> Decoded<Self> {
        let mut header = Cursor::new(bytes);
        if header.be32()? != MAGIC {
            return Err(Damaged("the file is no index of Prometheus"));
        }
        let version = header.u8()?;
        if !(1..=2).contains(&version) {
            return Err(Damaged("the index has a version that is not known"));
        }
        let toc_at = bytes.len().checked_sub(TOC_LEN).ok_or(Damaged("the index is too short"))?;
        let mut toc = Cursor::new(bytes.get(toc_at..).unwrap_or_default());
        let covered = toc.rest().get(..TOC_LEN - 4).unwrap_or_default();
        let (symbols, _series, _indices, _table, _postings, postings_table) =
            (toc.be64()?, toc.be64()?, toc.be64()?, toc.be64()?, toc.be64()?, toc.be64()?);
        if !fits(covered, toc.be32()?) {
            return Err(Damaged("the table of contents is not the one that was written"));
        }
        let mut index = Self { bytes, version, symbols: Vec::new(), series: Vec::new() };
        if version == 2 {
            index.symbols = index.read_symbols(symbols)?;
        }
        index.series = index.read_all_series(postings_table)?;
        Ok(index)
    }

    /// A section: length, content, checksum.
    fn section(&self, offset: u64) -> Decoded<Cursor<'a>> {
        let outside = Damaged("a section lies outside the file");
        let rest = usize::try_from(offset).ok().and_then(|at| self.bytes.get(at..)).ok_or(outside)?;
        let mut cursor = Cursor::new(rest);
        let len = cursor.be32()? as usize;
        let content = cursor.take(len)?;
        if !fits(content, cursor.be32()?) {
            return Err(Damaged("a section is not the one that was written"));
        }
        Ok(Cursor::new(content))
    }

    fn read_symbols(&self, offset: u64) -> Decoded<Vec<&'a str>> {
        let mut section = self.section(offset)?;
        let count = section.be32()? as usize;
        let mut symbols = Vec::with_capacity(count.min(section.rest().len()));
        for _ in 0..count {
            symbols.push(std::str::from_utf8(section.prefixed()?).map_err(|_| Damaged("a symbol is not UTF-8"))?);
        }
        Ok(symbols)
    }

    fn read_all_series(&self, postings_table: u64) -> Decoded<Vec<u32>> {
        let mut table = self.section(postings_table)?;
        for _ in 0..table.be32()? {
            if table.varint()? != 2 {
                return Err(Damaged("an entry of the postings table has not two parts"));
            }
            let (name, value) = (table.prefixed()?, table.prefixed()?);
            let offset = table.varint()?;
            if name.is_empty() && value.is_empty() {
                let mut postings = self.section(offset)?;
                let count = postings.be32()? as usize;
                let mut series = Vec::with_capacity(count.min(postings.rest().len() / 4));
                for _ in 0..count {
                    series.push(postings.be32()?);
                }
                return Ok(series);
            }
        }
        Err(Damaged("there is no list of all series"))
    }

    pub(super) fn series_count(&self) -> usize {
        self.series.len()
    }

    pub(super) fn series(&self, number: usize) -> Decoded<IndexedSeries> {
        let id = u64::from(*self.series.get(number).ok_or(Damaged("there is no such series"))?);
        let offset = if self.version == 1 { id } else { id * 16 };
        let rest = usize::try_from(offset).ok().and_then(|at| self.bytes.get(at..));
        let mut cursor = Cursor::new(rest.ok_or(Damaged("a series lies outside the file"))?);
        let content = cursor.prefixed()?;
        if !fits(content, cursor.be32()?) {
            return Err(Damaged("a series is not the one that was written"));
        }
        let mut cursor = Cursor::new(content);
        let mut pairs = Vec::new();
        for _ in 0..cursor.length(MAX_ITEMS, "a series has too many labels")? {
            let name = self.symbol(cursor.varint()?)?;
            pairs.push((name, self.symbol(cursor.varint()?)?));
        }
        let mut chunks = Vec::new();
        let mut reference = 0i64;
        for at in 0..cursor.length(MAX_ITEMS, "a series has too many chunks")? {
            // Times, which the chunks tell themselves.
            if at == 0 {
                cursor.signed().map(drop)?
            } else {
                cursor.varint().map(drop)?
            }
            cursor.varint()?;
            reference = if at == 0 { cursor.varint()? as i64 } else { reference.wrapping_add(cursor.signed()?) };
            chunks.push(reference as u64);
        }
        Ok(IndexedSeries { id, labels: Labels::from_pairs(pairs), chunks })
    }

    fn symbol(&self, reference: u64) -> Decoded<&'a str> {
        let at = usize::try_from(reference).map_err(|_| Damaged("there is no such symbol"))?;
        if self.version == 2 {
            return self.symbols.get(at).copied().ok_or(Damaged("there is no such symbol"));
        }
        let text = Cursor::new(self.bytes.get(at..).unwrap_or_default()).prefixed()?;
        std::str::from_utf8(text).map_err(|_| Damaged("a symbol is not UTF-8"))
    }
}

/// Ranges deleted, by series.
pub(super) fn read_tombstones(bytes: &[u8]) -> Decoded<HashMap<u64, Vec<(i64, i64)>>> {
    let mut cursor = Cursor::new(bytes);
    if cursor.be32()? != TOMBSTONES_MAGIC || cursor.u8()? != 1 {
        return Err(Damaged("the file holds no tombstones that are known"));
    }
    let content = cursor.rest();
    let end = content.len().checked_sub(4).ok_or(Damaged("the file is too short"))?;
    let (entries, crc) = content.split_at(end);
    if !fits(entries, Cursor::new(crc).be32()?) {
        return Err(Damaged("the tombstones are not those that were written"));
    }
    let mut cursor = Cursor::new(entries);
    let mut stones: HashMap<u64, Vec<(i64, i64)>> = HashMap::new();
    while !cursor.is_empty() {
        let series = cursor.varint()?;
        stones.entry(series).or_default().push((cursor.signed()?, cursor.signed()?));
    }
    Ok(stones)
}
