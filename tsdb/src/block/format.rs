//! Constants of the chunks file and its pages. The page `docs/format/chunks.md` is the specification.

use crate::codec::bytes::{Cursor, Damaged, Decoded, put_varint};

pub(super) const MAGIC: [u8; 4] = *b"FSCH";
pub(super) const VERSION: u16 = 1;
pub(super) const HEADER_LEN: usize = 8;
pub(super) const FOOTER_LEN: usize = 36;
pub(super) const PAGE_HEADER_LEN: usize = 9;

/// A page of series is closed when it holds this much.
pub(super) const PAGE_TARGET: usize = 32 << 10;
/// Largest page a reader unpacks.
pub(super) const MAX_PAGE_LEN: usize = 64 << 20;
/// Most samples of a chunk.
pub(super) const MAX_CHUNK_SAMPLES: usize = 4_096;

pub(super) const PLAIN: u8 = 0;
pub(super) const ZSTD: u8 = 1;

/// Bits of a chunk's first number below the number of its column of timestamps.
pub(super) const KIND_BITS: u32 = 3;
pub(super) const FLOATS: u64 = 0;

/// Items gathered for a page.
#[derive(Default)]
pub(super) struct PageBuilder {
    pub(super) items: u32,
    lens: Vec<u8>,
    bytes: Vec<u8>,
}

impl PageBuilder {
    pub(super) fn push(&mut self, item: &[u8]) {
        self.items += 1;
        put_varint(&mut self.lens, item.len() as u64);
        self.bytes.extend_from_slice(item);
    }

    pub(super) fn len(&self) -> usize {
        self.lens.len() + self.bytes.len()
    }

    /// Puts the finished page into `out` (replacing what is there) and empties the builder; returns its number of items.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) -> u32 {
        out.clear();
        out.extend_from_slice(&[0; PAGE_HEADER_LEN]);
        put_varint(out, u64::from(self.items));
        out.extend_from_slice(&self.lens);
        out.extend_from_slice(&self.bytes);
        let raw = (out.len() - PAGE_HEADER_LEN) as u32;
        out[4] = PLAIN;
        out[5..9].copy_from_slice(&raw.to_le_bytes());
        let crc = crc32fast::hash(&out[4..]);
        out[..4].copy_from_slice(&crc.to_le_bytes());
        let items = self.items;
        self.items = 0;
        self.lens.clear();
        self.bytes.clear();
        items
    }
}

/// Item number `nth` of a page's content.
pub(super) fn item(content: &[u8], nth: usize) -> Decoded<&[u8]> {
    let mut cursor = Cursor::new(content);
    // Each item has at least a byte for its length: a larger number is refused before anything is read.
    let items = cursor.length(content.len(), "a page has more items than bytes")?;
    if nth >= items {
        return Err(Damaged("a page has fewer items than its table says"));
    }
    let mut before = 0usize;
    let mut len = 0;
    for i in 0..items {
        let this = cursor.length(content.len(), "an item is longer than its page")?;
        if i < nth {
            before = before.saturating_add(this);
        } else if i == nth {
            len = this;
        }
    }
    cursor.take(before)?;
    cursor.take(len)
}
