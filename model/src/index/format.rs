//! Constants and small readers of the label index on disk. The page `docs/format/label-index.md` is the specification.

/// First and last bytes of the file.
pub(super) const MAGIC: [u8; 4] = *b"FSLI";
/// The only version so far.
pub(super) const VERSION: u16 = 1;
pub(super) const HEADER_LEN: usize = 8;
pub(super) const FOOTER_LEN: usize = 40;
/// Label sets in a page.
pub(super) const PAGE_SERIES: usize = 64;
/// Values in a block.
pub(super) const BLOCK_VALUES: usize = 32;
/// Sets with more labels are always written whole.
pub(super) const MAX_MASKED: usize = 60;
/// Posting lists up to this length are written as distances.
pub(super) const MAX_DELTAS: u64 = 64;

/// Kinds of references to posting lists.
pub(super) const REF_ONE: u64 = 0;
pub(super) const REF_ALL: u64 = 1;
pub(super) const REF_DELTAS: u64 = 2;
pub(super) const REF_ROARING: u64 = 3;

/// Why an index cannot be written or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// Bytes do not say what they should.
    #[error("damaged label index: {0}")]
    Damaged(&'static str),
    /// Bytes are not those that were written.
    #[error("damaged label index at byte {offset}: {what} has checksum {found:08x}, not {expected:08x}")]
    Checksum {
        /// Which part.
        what: &'static str,
        /// Where it begins.
        offset: u64,
        /// The checksum that stands in the file.
        expected: u32,
        /// The checksum of the bytes.
        found: u32,
    },
    /// More than the format can hold.
    #[error("label index too large: {0}")]
    TooLarge(&'static str),
}

const SHORT: IndexError = IndexError::Damaged("the bytes end early");

pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(super) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put_varint(out, ((value << 1) ^ (value >> 63)) as u64);
}

#[inline]
pub(super) fn read_varint(bytes: &mut &[u8]) -> Result<u64, IndexError> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first().ok_or(SHORT)?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(IndexError::Damaged("a varint is longer than 64 bits"))
}

pub(super) fn read_signed(bytes: &mut &[u8]) -> Result<i64, IndexError> {
    let value = read_varint(bytes)?;
    Ok((value >> 1) as i64 ^ -((value & 1) as i64))
}

#[inline]
pub(super) fn read_varint32(bytes: &mut &[u8]) -> Result<u32, IndexError> {
    u32::try_from(read_varint(bytes)?).map_err(|_| IndexError::Damaged("a number is longer than 32 bits"))
}

pub(super) fn read_len(bytes: &mut &[u8]) -> Result<usize, IndexError> {
    usize::try_from(read_varint(bytes)?).map_err(|_| SHORT)
}

pub(super) fn read_bytes<'a>(bytes: &mut &'a [u8], len: usize) -> Result<&'a [u8], IndexError> {
    let (taken, rest) = bytes.split_at_checked(len).ok_or(SHORT)?;
    *bytes = rest;
    Ok(taken)
}

pub(super) fn read_u32(bytes: &mut &[u8]) -> Result<u32, IndexError> {
    let (taken, rest) = bytes.split_first_chunk::<4>().ok_or(SHORT)?;
    *bytes = rest;
    Ok(u32::from_le_bytes(*taken))
}

pub(super) fn read_u64(bytes: &mut &[u8]) -> Result<u64, IndexError> {
    let (taken, rest) = bytes.split_first_chunk::<8>().ok_or(SHORT)?;
    *bytes = rest;
    Ok(u64::from_le_bytes(*taken))
}

/// The part of `bytes` from `start` on that is `len` long.
pub(super) fn part(bytes: &[u8], start: u64, len: u64) -> Result<&[u8], IndexError> {
    let end = start.checked_add(len).and_then(|end| usize::try_from(end).ok()).ok_or(SHORT)?;
    let start = usize::try_from(start).map_err(|_| SHORT)?;
    bytes.get(start..end).ok_or(SHORT)
}

/// Checks a part against its checksum.
pub(super) fn verify(what: &'static str, offset: u64, bytes: &[u8], expected: u32) -> Result<(), IndexError> {
    let found = crc32fast::hash(bytes);
    // A fuzzer would never get past a checksum to what lies behind it.
    if found == expected || cfg!(fuzzing) {
        Ok(())
    } else {
        Err(IndexError::Checksum { what, offset, expected, found })
    }
}
