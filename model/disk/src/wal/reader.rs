//! Reads segments back: streaming, in bounded memory, past damage.
//!
//! Called at start (replay), by tools and by tests. A record is handed out only when its checksum is right.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::format::{self, MAX_RECORD_LEN, Parsed, RECORD_MAGIC, RECORD_OVERHEAD, SEGMENT_HEADER_LEN, SegmentId};
use crate::error::{Error, IoContext};
use crate::files::{Files, ReadFile};

/// How much is read at once; records longer than this make the buffer grow.
const READ_LEN: usize = 1 << 20;

/// A segment on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Its number.
    pub id: SegmentId,
    /// Its file.
    pub path: PathBuf,
    /// Its length in bytes when it was listed.
    pub len: u64,
}

/// One record of a segment.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// The segment.
    pub segment: SegmentId,
    /// Where the record begins in the segment.
    pub offset: u64,
    /// The store's own kind.
    pub kind: u8,
    /// What was appended.
    pub payload: &'a [u8],
}

/// Bytes of a segment that hold no record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Where they begin.
    pub offset: u64,
    /// How many they are.
    pub len: u64,
    /// What was found there.
    pub what: String,
}

/// What reading a segment came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SegmentReport {
    /// Records handed out.
    pub records: u64,
    /// Bytes of the segment.
    pub bytes: u64,
    /// Damage in the middle: records may be missing here.
    pub damage: Vec<Skipped>,
    /// The end of a write that was cut off, which nobody was told had succeeded.
    pub torn_tail: Option<Skipped>,
}

/// The segments of a directory, oldest first. A missing directory has none; other files in it are ignored.
///
/// # Errors
/// The device's.
pub fn list_segments(files: &dyn Files, dir: &Path) -> Result<Vec<Segment>, Error> {
    if !files.exists(dir) {
        return Ok(Vec::new());
    }
    let entries = files.read_dir(dir).at("list", dir)?;
    let mut segments: Vec<_> = entries
        .into_iter()
        .filter(|entry| !entry.is_dir)
        .filter_map(|entry| {
            let id = SegmentId::from_file_name(&entry.name)?;
            Some(Segment { id, path: dir.join(entry.name), len: entry.len })
        })
        .collect();
    segments.sort_by_key(|segment| segment.id);
    Ok(segments)
}

/// Hands every whole record of a segment to `visit`, in order.
///
/// # Errors
/// When the file cannot be read. Damage is no error: it is in the report.
pub fn read_segment(
    files: &dyn Files,
    segment: &Segment,
    visit: &mut dyn FnMut(Record<'_>),
) -> Result<SegmentReport, Error> {
    let file = files.open(&segment.path).at("open", &segment.path)?;
    let mut window = Window { file, path: &segment.path, bytes: Vec::new(), start: 0, used: 0, ended: false };
    let mut report = SegmentReport::default();
    let mut gap: Option<Skipped> = None;
    window.fill(SEGMENT_HEADER_LEN)?;
    match format::check_segment_header(window.rest(), segment.id) {
        Ok(()) => window.advance(SEGMENT_HEADER_LEN),
        Err(what) => gap = Some(Skipped { offset: 0, len: 0, what }),
    }
    loop {
        if window.rest().len() < RECORD_OVERHEAD {
            window.fill(RECORD_OVERHEAD)?;
        }
        if window.rest().is_empty() {
            break;
        }
        let offset = window.offset();
        match format::parse(window.rest()) {
            Parsed::Record { kind, payload, len } => {
                if let Some(mut skipped) = gap.take() {
                    skipped.len = offset - skipped.offset;
                    report.damage.push(skipped);
                }
                report.records += 1;
                visit(Record { segment: segment.id, offset, kind, payload });
                window.advance(len);
            }
            Parsed::NeedMore(len) => {
                window.fill(len)?;
                if window.rest().len() < len {
                    gap.get_or_insert_with(|| Skipped {
                        offset,
                        len: 0,
                        what: format!("record of {len} bytes is cut off"),
                    });
                    window.advance_to_magic()?;
                }
            }
            Parsed::Invalid => {
                gap.get_or_insert_with(|| Skipped {
                    offset,
                    len: 0,
                    what: "no record with a right checksum".to_owned(),
                });
                window.advance_to_magic()?;
            }
        }
    }
    report.bytes = window.offset();
    if let Some(mut skipped) = gap {
        skipped.len = report.bytes - skipped.offset;
        report.torn_tail = Some(skipped);
    }
    Ok(report)
}

/// A part of the file in memory, from `start + used` on not yet looked at.
struct Window<'a> {
    file: Arc<dyn ReadFile>,
    path: &'a Path,
    bytes: Vec<u8>,
    /// Offset of `bytes` in the file.
    start: u64,
    used: usize,
    ended: bool,
}

impl Window<'_> {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.used..]
    }

    fn offset(&self) -> u64 {
        self.start + self.used as u64
    }

    fn advance(&mut self, len: usize) {
        self.used += len;
    }

    /// Makes at least `len` bytes available, if the file has them.
    fn fill(&mut self, len: usize) -> Result<(), Error> {
        while self.rest().len() < len.min(MAX_RECORD_LEN + RECORD_OVERHEAD) && !self.ended {
            self.bytes.drain(..self.used);
            self.start += self.used as u64;
            self.used = 0;
            let before = self.bytes.len();
            // Grow with what the file really has, not with what a length field says.
            self.bytes.resize(before + READ_LEN, 0);
            let n = self.file.read_at(&mut self.bytes[before..], self.start + before as u64).at("read", self.path)?;
            self.bytes.truncate(before + n);
            self.ended = n < READ_LEN;
        }
        Ok(())
    }

    /// Goes to the next place after this one where a record may begin, or to the end.
    fn advance_to_magic(&mut self) -> Result<(), Error> {
        self.advance(1);
        loop {
            if let Some(at) = self.rest().windows(RECORD_MAGIC.len()).position(|w| w == RECORD_MAGIC) {
                self.advance(at);
                return Ok(());
            }
            // A magic may begin in the last three bytes.
            let keep = self.rest().len().min(RECORD_MAGIC.len() - 1);
            if self.ended {
                self.used = self.bytes.len();
                return Ok(());
            }
            self.used = self.bytes.len() - keep;
            self.fill(RECORD_OVERHEAD)?;
        }
    }
}
