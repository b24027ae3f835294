//! Segments: immutable files with many streams' entries, each written once and mapped.

mod reader;
mod unit;
mod writer;

use std::path::{Path, PathBuf};

pub(crate) use reader::Segment;
pub(crate) use writer::SegmentWriter;

/// Number of a segment; a newer segment has a greater one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SegmentId(pub(crate) u64);

impl SegmentId {
    pub(crate) fn path(self, dir: &Path) -> PathBuf {
        dir.join(format!("{:08}.seg", self.0))
    }

    pub(crate) fn from_file_name(name: &str) -> Option<Self> {
        let digits = name.strip_suffix(".seg")?;
        if digits.len() < 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        digits.parse().ok().map(Self)
    }
}

const MAGIC: [u8; 4] = *b"FSLG";
const END_MAGIC: [u8; 4] = *b"FSLE";
const VERSION: u16 = 1;
const HEADER_LEN: usize = 16;
const FOOTER_LEN: usize = 20;

fn header(id: SegmentId) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    header[..4].copy_from_slice(&MAGIC);
    header[4..6].copy_from_slice(&VERSION.to_le_bytes());
    header[8..].copy_from_slice(&id.0.to_le_bytes());
    header
}
