//! Constants of the chunks file and its pages. The page `docs/format/chunks.md` is the specification.

use crate::codec::bytes::{Cursor, Damaged, Decoded, put_varint};

pub(super) const MAGIC: [u8; 4] = *b"FSCH";
pub(super) const VERSION: u16 = 1;
pub(super) const HEADER_LEN: usize = 8;
pub(super) const FOOTER_LEN: usize = 36;
pub(super) const PAGE_HEADER_LEN: usize = 9;

/// A page is closed when it holds this much: what reading one series unpacks.
pub(super) const PAGE_TARGET: usize = 16 << 10;
/// Largest page a reader unpacks: room for the longest series.
pub(super) const MAX_PAGE_LEN: usize = 512 << 20;
/// Most samples of a series in one block: six hours of milliseconds fit.
pub(super) const MAX_SERIES_SAMPLES: usize = 1 << 25;
/// Most samples of a chunk.
pub(super) const MAX_CHUNK_SAMPLES: usize = 4_096;

pub(super) const PLAIN: u8 = 0;
pub(super) const ZSTD: u8 = 1;

/// Bits of a chunk's first number below the number of its column of timestamps.
pub(super) const KIND_BITS: u32 = 3;
pub(super) const FLOATS: u64 = 0;
pub(super) const HISTOGRAMS: u64 = 1;
/// Set in the kind of a chunk whose samples have start timestamps.
pub(super) const WITH_STARTS: u64 = 4;

/// Lengths of items are summed up for every so many of them, so that one is found without reading all.
const SKIP: usize = 16;

/// Items gathered for a page.
#[derive(Default)]
pub(super) struct PageBuilder {
    lens: Vec<u32>,
    bytes: Vec<u8>,
    content: Vec<u8>,
}

impl PageBuilder {
    pub(super) fn push(&mut self, item: &[u8]) {
        self.lens.push(item.len() as u32);
        self.bytes.extend_from_slice(item);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lens.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.lens.len() * 4 + self.bytes.len()
    }

    /// Puts the finished page into `out` (replacing what is there) and empties the builder; returns its number of items.
    pub(super) fn finish(&mut self, compressor: &mut Compressor, out: &mut Vec<u8>) -> u32 {
        self.content.clear();
        put_varint(&mut self.content, self.lens.len() as u64);
        let mut start = 0u32;
        for group in self.lens.chunks(SKIP) {
            self.content.extend_from_slice(&start.to_le_bytes());
            start += group.iter().sum::<u32>();
        }
        self.lens.iter().for_each(|len| self.content.extend_from_slice(&len.to_le_bytes()));
        self.content.extend_from_slice(&self.bytes);
        compressor.put_page(&self.content, out);
        let items = self.lens.len() as u32;
        self.lens.clear();
        self.bytes.clear();
        items
    }
}

/// Writes pages, compressed where that is shorter.
pub(super) struct Compressor(zstd::bulk::Compressor<'static>);

impl Compressor {
    pub(super) fn new() -> std::io::Result<Self> {
        // Higher levels gain one part in a hundred.
        zstd::bulk::Compressor::new(1).map(Self)
    }

    fn put_page(&mut self, content: &[u8], out: &mut Vec<u8>) {
        out.clear();
        out.resize(PAGE_HEADER_LEN + zstd::zstd_safe::compress_bound(content.len()), 0);
        match self.0.compress_to_buffer(content, &mut out[PAGE_HEADER_LEN..]) {
            Ok(len) if len < content.len() => {
                out.truncate(PAGE_HEADER_LEN + len);
                out[4] = ZSTD;
            }
            _ => {
                out.truncate(PAGE_HEADER_LEN);
                out.extend_from_slice(content);
                out[4] = PLAIN;
            }
        }
        out[5..9].copy_from_slice(&(content.len() as u32).to_le_bytes());
        let crc = crc32fast::hash(&out[4..]);
        out[..4].copy_from_slice(&crc.to_le_bytes());
    }
}

/// Item number `nth` of a page's content.
pub(super) fn item(content: &[u8], nth: usize) -> Decoded<&[u8]> {
    let mut cursor = Cursor::new(content);
    // Each item has four bytes for its length: a larger number is refused before anything is read.
    let items = cursor.length(content.len() / 4, "a page has more items than bytes")?;
    if nth >= items {
        return Err(Damaged("a page has fewer items than its table says"));
    }
    let mut starts = Cursor::new(cursor.take(items.div_ceil(SKIP) * 4)?);
    starts.take(nth / SKIP * 4)?;
    let mut start = starts.u32()? as usize;
    let mut lens = Cursor::new(cursor.take(items * 4)?);
    lens.take(nth / SKIP * SKIP * 4)?;
    for _ in 0..nth % SKIP {
        start = start.saturating_add(lens.u32()? as usize);
    }
    let len = lens.u32()? as usize;
    cursor.take(start)?;
    cursor.take(len)
}
