//! Columns of texts that share nothing: one after the other, as they are or compressed, with their lengths.

use std::ops::Range;

use super::gather::Gathered;
use crate::bytes::{Cursor, Malformed, put_varint};
use crate::codec::bits::PADDING;
use crate::codec::ints::{self, BLOCK_ROWS, Ints};

/// Compressed together: rows of about this many bytes of text, whole blocks.
const PAGE_BYTES: usize = 64 << 10;
const LEVEL: i32 = 3;
/// A page is never longer than this once decompressed.
const MAX_PAGE: usize = 1 << 30;

/// Texts of a column; what its directory keeps.
#[derive(Debug)]
pub(crate) struct Text {
    lengths: Ints,
    /// Ends of the blocks' texts in the whole text.
    block_ends: Vec<u64>,
    /// Compressed: for each page its first block, where it begins in the payload after the lengths, and where in the text.
    pages: Option<Vec<Page>>,
}

#[derive(Clone, Copy, Debug)]
struct Page {
    block: usize,
    payload: usize,
    text: u64,
}

/// Appends what the directory keeps to `params` and the texts to `payload`.
pub(super) fn encode(column: &Gathered, params: &mut Vec<u8>, payload: &mut Vec<u8>) -> Result<(), std::io::Error> {
    let rows = column.rows();
    let lengths: Vec<u64> = (0..rows).map(|row| column.get(row).len() as u64).collect();
    ints::encode(&lengths, params, payload);
    for block in lengths.chunks(BLOCK_ROWS) {
        put_varint(params, block.iter().sum());
    }
    let mut compressor = zstd::bulk::Compressor::new(LEVEL)?;
    let (mut page, mut pages, mut compressed) = (Vec::new(), Vec::new(), Vec::new());
    let mut plain = Vec::new();
    let mut first_block = 0;
    for block in 0..rows.div_ceil(BLOCK_ROWS) {
        for row in block * BLOCK_ROWS..((block + 1) * BLOCK_ROWS).min(rows) {
            page.extend_from_slice(column.get(row));
        }
        if page.len() >= PAGE_BYTES || (block + 1) * BLOCK_ROWS >= rows {
            let bytes = compressor.compress(&page)?;
            pages.push((block + 1 - first_block, bytes.len()));
            compressed.extend_from_slice(&bytes);
            plain.append(&mut page);
            first_block = block + 1;
            if plain.len() >= 4 * PAGE_BYTES && !is_worth_it(compressed.len(), plain.len()) {
                compressed.clear();
                for row in (block + 1) * BLOCK_ROWS..rows {
                    plain.extend_from_slice(column.get(row));
                }
                break;
            }
        }
    }
    if compressed.is_empty() || !is_worth_it(compressed.len(), plain.len()) {
        put_varint(params, 0);
        payload.append(&mut plain);
    } else {
        put_varint(params, pages.len() as u64);
        for (blocks, len) in pages {
            put_varint(params, blocks as u64);
            put_varint(params, len as u64);
        }
        payload.append(&mut compressed);
    }
    Ok(())
}

/// Three fifths of the text have to go: identifiers lose less, and searching them as they are is worth more.
fn is_worth_it(compressed: usize, plain: usize) -> bool {
    compressed * 5 <= plain * 2
}

/// Bytes that the column would take, about: the beginning of it is compressed to see.
pub(super) fn cost(column: &Gathered) -> f64 {
    let mut sample = Vec::new();
    let rows = column.rows();
    let mut total = 0;
    for row in 0..rows {
        let value = column.get(row);
        total += value.len();
        if sample.len() < PAGE_BYTES {
            sample.extend_from_slice(value);
        }
    }
    let compressed = zstd::bulk::compress(&sample, 1).map_or(sample.len(), |bytes| bytes.len());
    let share = if is_worth_it(compressed, sample.len()) { compressed as f64 / sample.len() as f64 } else { 1.0 };
    total as f64 * share + rows as f64 * 0.25
}

impl Text {
    pub(super) fn read(cursor: &mut Cursor<'_>, rows: usize) -> Result<Self, Malformed> {
        let lengths = Ints::read(cursor, rows)?;
        let blocks = rows.div_ceil(BLOCK_ROWS);
        if blocks > cursor.remaining() {
            return Err(cursor.malformed("more blocks than bytes"));
        }
        let (mut block_ends, mut end) = (Vec::with_capacity(blocks), 0u64);
        for _ in 0..blocks {
            end += cursor.bounded(MAX_PAGE, "block of text is too long")? as u64;
            block_ends.push(end);
        }
        let count = cursor.count()?;
        if count == 0 {
            return Ok(Self { lengths, block_ends, pages: None });
        }
        let mut pages = Vec::with_capacity(count + 1);
        let (mut block, mut payload) = (0, 0usize);
        for _ in 0..=count {
            let text = if block == 0 { 0 } else { block_ends[block - 1] };
            pages.push(Page { block, payload, text });
            if pages.len() <= count {
                block += cursor.bounded(blocks - block, "more blocks in pages than there are")?;
                payload += cursor.bounded(MAX_PAGE, "page is too long")?;
            }
        }
        if block != blocks || pages.windows(2).any(|pair| pair[1].text - pair[0].text > MAX_PAGE as u64) {
            return Err(cursor.malformed("pages do not hold all blocks"));
        }
        Ok(Self { lengths, block_ends, pages: Some(pages) })
    }

    fn text_len(&self) -> u64 {
        self.block_ends.last().copied().unwrap_or(0)
    }

    /// Bytes of the payload.
    pub(super) fn payload_len(&self) -> usize {
        let text = match &self.pages {
            Some(pages) => pages.last().map_or(0, |page| page.payload),
            None => usize::try_from(self.text_len()).unwrap_or(usize::MAX),
        };
        self.lengths.payload_len().saturating_add(text)
    }

    /// Calls `payload` for the bytes it needs and appends the texts of rows `first..first + count` to `text`, their ends to `ends`.
    pub(super) fn decode<'d, E: From<Malformed>>(
        &self,
        payload: impl Fn(Range<usize>) -> Result<&'d [u8], E>,
        first: usize,
        count: usize,
        text: &mut Vec<u8>,
        ends: &mut Vec<u32>,
    ) -> Result<(), E> {
        // From the beginning of the block on: that is where it is known where a text begins.
        let block = first / BLOCK_ROWS;
        let skipped = first % BLOCK_ROWS;
        let mut lengths = Vec::new();
        let extent = self.lengths.extent(block * BLOCK_ROWS, skipped + count);
        let bytes = payload(extent)?;
        self.lengths.decode(bytes, block * BLOCK_ROWS, skipped + count, &mut lengths)?;
        let block_start = if block == 0 { 0 } else { self.block_ends[block - 1] };
        let sum = |lengths: &[u64]| lengths.iter().fold(0u64, |sum, len| sum.saturating_add(*len));
        let start = block_start.saturating_add(sum(&lengths[..skipped]));
        let end = start.saturating_add(sum(&lengths[skipped..]));
        if end > self.text_len() {
            return Err(Malformed { what: "texts are longer than they can be", at: 0 }.into());
        }
        let base = text.len();
        self.read_text(payload, start, end, text)?;
        let mut at = base as u64;
        for length in &lengths[skipped..] {
            at += length;
            ends.push(at as u32);
        }
        Ok(())
    }

    fn read_text<'d, E: From<Malformed>>(
        &self,
        payload: impl Fn(Range<usize>) -> Result<&'d [u8], E>,
        start: u64,
        end: u64,
        text: &mut Vec<u8>,
    ) -> Result<(), E> {
        let base = self.lengths.payload_len();
        let Some(pages) = &self.pages else {
            let range = base + start as usize..base + end as usize;
            let len = range.len();
            text.extend_from_slice(payload(range)?.get(..len).ok_or(Malformed { what: "text is missing", at: 0 })?);
            return Ok(());
        };
        if start == end {
            return Ok(());
        }
        let mut page = pages.partition_point(|page| page.text <= start).saturating_sub(1);
        while let (Some(this), Some(next)) = (pages.get(page), pages.get(page + 1)) {
            if this.text >= end {
                break;
            }
            let range = base + this.payload..base + next.payload;
            let len = range.len();
            let bytes = payload(range)?.get(..len).ok_or(Malformed { what: "page is missing", at: 0 })?;
            let plain = zstd::bulk::decompress(bytes, (next.text - this.text) as usize);
            let plain = plain.map_err(|_| Malformed { what: "page cannot be decompressed", at: 0 })?;
            let from = start.saturating_sub(this.text) as usize;
            let to = ((end - this.text) as usize).min(plain.len());
            text.extend_from_slice(plain.get(from..to).ok_or(Malformed { what: "page is too short", at: 0 })?);
            page += 1;
        }
        Ok(())
    }

    /// Bytes of memory.
    pub(super) fn heap_bytes(&self) -> usize {
        self.lengths.heap_bytes() + self.block_ends.len() * 8 + self.pages.as_ref().map_or(0, |pages| pages.len() * 24)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: &[String], compressed: bool) {
        let mut column = Gathered::new();
        values.iter().for_each(|value| column.push(value.as_bytes()));
        let (mut params, mut payload) = (Vec::new(), Vec::new());
        encode(&column, &mut params, &mut payload).unwrap();
        let mut cursor = Cursor::new(&params);
        let read = Text::read(&mut cursor, values.len()).unwrap();
        cursor.finish().unwrap();
        assert_eq!(read.pages.is_some(), compressed);
        assert_eq!(read.payload_len(), payload.len());
        payload.extend_from_slice(&[0; PADDING]);
        let get = |range: Range<usize>| {
            payload.get(range.start..range.end + PADDING).ok_or(Malformed { what: "outside", at: 0 })
        };
        for (first, count) in [(0, values.len()), (values.len() / 2, values.len() / 3), (values.len() - 1, 1)] {
            let (mut text, mut ends) = (vec![b'x'], Vec::new());
            read.decode(get, first, count, &mut text, &mut ends).unwrap();
            let mut start = 1;
            for (value, end) in values[first..first + count].iter().zip(&ends) {
                assert_eq!(&text[start..*end as usize], value.as_bytes());
                start = *end as usize;
            }
            assert_eq!(ends.len(), count);
        }
    }

    #[test]
    fn texts_come_back() {
        let noise = |i: u64| xxhash_rust::xxh3::xxh3_64(&i.to_le_bytes());
        let letters = |i: u64| (0..5 + i % 9).map(|k| char::from(33 + (noise(i * 97 + k) % 94) as u8)).collect::<String>();
        check(&(0..3_000).map(letters).collect::<Vec<_>>(), false);
        check(&(0..3_000).map(|i| format!("a long text about thing {i} ").repeat(i % 20)).collect::<Vec<_>>(), true);
        check(&["one".to_owned()], false);
        check(&vec![String::new(); 700], false);
        check(&(0..40).map(|i| "line ".repeat(i * 1_000)).collect::<Vec<_>>(), true);
    }
}
