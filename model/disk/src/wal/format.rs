//! Bytes of a segment: constants and the framing of one record. The page `docs/format/wal.md` is the specification.

use std::path::{Path, PathBuf};

/// First bytes of a segment.
pub(super) const SEGMENT_MAGIC: [u8; 4] = *b"FSWL";
/// First bytes of a record.
pub(super) const RECORD_MAGIC: [u8; 4] = *b"FSR1";
/// The only version so far.
pub(super) const VERSION: u16 = 1;
/// Bytes before the first record.
pub(super) const SEGMENT_HEADER_LEN: usize = 20;
/// Magic, length and kind.
pub(super) const RECORD_HEADER_LEN: usize = 9;
/// What a record takes beside its payload.
pub(super) const RECORD_OVERHEAD: usize = RECORD_HEADER_LEN + 4;
/// Longest payload.
pub const MAX_RECORD_LEN: usize = 256 << 20;

/// Number of a segment; a newer segment has a greater one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentId(pub u64);

impl SegmentId {
    /// Name of the segment's file.
    pub fn file_name(self) -> String {
        format!("{:08}.wal", self.0)
    }

    /// Path of the segment's file.
    pub fn path(self, dir: &Path) -> PathBuf {
        dir.join(self.file_name())
    }

    /// Reads a file name back.
    pub fn from_file_name(name: &str) -> Option<Self> {
        let digits = name.strip_suffix(".wal")?;
        if digits.len() < 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        digits.parse().ok().map(Self)
    }
}

pub(super) fn segment_header(id: SegmentId) -> [u8; SEGMENT_HEADER_LEN] {
    let mut header = [0; SEGMENT_HEADER_LEN];
    header[..4].copy_from_slice(&SEGMENT_MAGIC);
    header[4..6].copy_from_slice(&VERSION.to_le_bytes());
    header[8..16].copy_from_slice(&id.0.to_le_bytes());
    let crc = crc32fast::hash(&header[..16]);
    header[16..].copy_from_slice(&crc.to_le_bytes());
    header
}

/// Why a header was not taken.
pub(super) fn check_segment_header(header: &[u8], id: SegmentId) -> Result<(), String> {
    if header.len() < SEGMENT_HEADER_LEN {
        return Err(format!("segment header is {} bytes long, not {SEGMENT_HEADER_LEN}", header.len()));
    }
    if header[..4] != SEGMENT_MAGIC {
        return Err("segment does not begin with FSWL".to_owned());
    }
    let version = u16::from_le_bytes([header[4], header[5]]);
    if version != VERSION {
        return Err(format!("segment has version {version}, this reader knows {VERSION}"));
    }
    if header[..SEGMENT_HEADER_LEN] != segment_header(id) {
        return Err("segment header has a wrong checksum or another segment's number".to_owned());
    }
    Ok(())
}

/// Appends one framed record to `out`.
pub(super) fn frame(out: &mut Vec<u8>, kind: u8, payload: &[u8]) {
    out.reserve(payload.len() + RECORD_OVERHEAD);
    out.extend_from_slice(&RECORD_MAGIC);
    let start = out.len();
    out.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    out.push(kind);
    out.extend_from_slice(payload);
    let crc = crc32fast::hash(&out[start..]);
    out.extend_from_slice(&crc.to_le_bytes());
}

/// What stands at the beginning of some bytes.
pub(super) enum Parsed<'a> {
    /// A whole record and its length with framing.
    Record { kind: u8, payload: &'a [u8], len: usize },
    /// The beginning of a record that would need this many bytes.
    NeedMore(usize),
    /// No record.
    Invalid,
}

pub(super) fn parse(bytes: &[u8]) -> Parsed<'_> {
    let magic = bytes.len().min(4);
    if bytes[..magic] != RECORD_MAGIC[..magic] {
        return Parsed::Invalid;
    }
    let Some(header) = bytes.first_chunk::<RECORD_HEADER_LEN>() else {
        return Parsed::NeedMore(RECORD_HEADER_LEN);
    };
    let len = u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
    if len > MAX_RECORD_LEN {
        return Parsed::Invalid;
    }
    let Some(record) = bytes.get(..len + RECORD_OVERHEAD) else {
        return Parsed::NeedMore(len + RECORD_OVERHEAD);
    };
    let (body, crc) = record.split_at(len + RECORD_HEADER_LEN);
    if crc != crc32fast::hash(&body[4..]).to_le_bytes() {
        return Parsed::Invalid;
    }
    Parsed::Record { kind: header[8], payload: &body[RECORD_HEADER_LEN..], len: record.len() }
}
