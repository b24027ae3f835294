//! What is to be sent, on disk: records of a write-ahead log, each a compressed message of samples or exemplars.
//!
//! Segments are small, so that a reader that has gone through one never opens it again and what everybody has read is deleted soon.

use std::path::PathBuf;
use std::sync::Arc;

use disk::wal::{Segment, SegmentId, list_segments, read_segment};
use disk::{RealFiles, Wal, WalOptions};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Bytes after which a new segment begins.
const SEGMENT_BYTES: u64 = 4 << 20;
/// Bytes of segments that wait for a peer; beyond it the oldest go.
const MAX_BYTES: u64 = 4 << 30;
/// Longest message of a record, uncompressed.
pub(super) const MAX_MESSAGE: usize = 256 << 20;

/// What a record holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordKind {
    /// A message of version 2.
    Samples,
    /// A message of version 1 with exemplars alone.
    Exemplars,
}

impl RecordKind {
    fn number(self) -> u8 {
        match self {
            Self::Samples => 1,
            Self::Exemplars => 2,
        }
    }

    fn of(number: u8) -> Option<Self> {
        [Self::Samples, Self::Exemplars].into_iter().find(|kind| kind.number() == number)
    }
}

/// A place between two records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub(super) struct Position {
    pub(super) segment: u64,
    /// Records of the segment before this place.
    pub(super) records: u64,
}

/// A record that was read.
pub(super) struct Entry {
    pub(super) kind: RecordKind,
    pub(super) message: Vec<u8>,
}

/// What reading came to.
pub(super) struct Read {
    pub(super) entries: Vec<Entry>,
    /// Behind the last of them.
    pub(super) next: Position,
    /// Records of before were gone.
    pub(super) lost: bool,
}

/// See the module.
pub(super) struct Journal {
    wal: Wal,
    dir: PathBuf,
    rotating: Mutex<()>,
    /// Told of every record.
    pub(super) news: Notify,
}

impl Journal {
    pub(super) fn open(dir: PathBuf) -> Result<Self, disk::Error> {
        let wal = Wal::open(Arc::new(RealFiles), dir.clone(), WalOptions::default())?;
        Ok(Self { wal, dir, rotating: Mutex::default(), news: Notify::new() })
    }

    /// Adds a message; when this returns it is on the device.
    pub(super) fn append(&self, kind: RecordKind, message: &[u8]) -> Result<(), disk::Error> {
        let position = self.wal.append(kind.number(), &wire::compress::snappy_encode(message))?;
        self.wal.commit(position)?;
        self.news.notify_waiters();
        if self.wal.stats().segment_bytes > SEGMENT_BYTES
            && let Some(_one) = self.rotating.try_lock()
        {
            self.wal.rotate()?;
        }
        Ok(())
    }

    /// The place behind everything.
    pub(super) fn end(&self) -> Position {
        // A new segment has no record: whoever begins here sees what comes from now on.
        match self.wal.rotate() {
            Ok(id) => Position { segment: id.0, records: 0 },
            Err(_) => Position { segment: self.wal.stats().segment, records: 0 },
        }
    }

    /// Records from a place on, until their messages have about `limit` bytes.
    pub(super) fn read(&self, from: Position, limit: usize) -> Result<Read, disk::Error> {
        let segments: Vec<Segment> = list_segments(&RealFiles, &self.dir)?;
        let lost = segments.first().is_some_and(|first| first.id.0 > from.segment) && from.segment > 0;
        let current = self.wal.stats().segment;
        let mut read = Read { entries: Vec::new(), next: from, lost };
        let mut bytes = 0;
        for segment in segments.iter().filter(|segment| segment.id.0 >= from.segment) {
            let skip = if segment.id.0 == from.segment { from.records } else { 0 };
            let mut seen = 0;
            let mut full = false;
            read_segment(&RealFiles, segment, &mut |record| {
                seen += 1;
                if seen <= skip || full {
                    return;
                }
                read.next = Position { segment: segment.id.0, records: seen };
                // A damaged message is as good as none: its checksum was right, so it was written like that.
                if let Some(kind) = RecordKind::of(record.kind)
                    && let Ok(message) = wire::compress::snappy_decode(record.payload, MAX_MESSAGE)
                {
                    bytes += message.len();
                    full = bytes >= limit;
                    read.entries.push(Entry { kind, message });
                }
            })?;
            if full {
                break;
            }
            if segment.id.0 < current {
                // Nothing will be added to it any more.
                read.next = Position { segment: segment.id.0 + 1, records: 0 };
            }
        }
        Ok(read)
    }

    /// Recovers from a failed device; deletes segments that everybody has read, and the oldest beyond [`MAX_BYTES`].
    pub(super) fn maintain(&self, positions: &[Position], in_use: bool) -> Result<(), disk::Error> {
        self.wal.try_recover();
        let segments = list_segments(&RealFiles, &self.dir)?;
        let mut keep = match positions.iter().map(|position| position.segment).min() {
            Some(least) => least,
            None if in_use => return Ok(()),
            None => u64::MAX,
        };
        let mut bytes = 0;
        for segment in segments.iter().rev() {
            bytes += segment.len;
            if bytes > MAX_BYTES {
                keep = keep.max(segment.id.0 + 1);
                break;
            }
        }
        self.wal.remove_before(SegmentId(keep))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_appended_is_read_from_any_place_and_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let journal = Journal::open(path.clone()).unwrap();
        let start = journal.end();
        for at in 0..10u8 {
            journal.append(RecordKind::Samples, &[at; 100]).unwrap();
            if at == 4 {
                journal.wal.rotate().unwrap();
            }
        }
        let read = journal.read(start, 250).unwrap();
        assert_eq!(read.entries.iter().map(|entry| entry.message[0]).collect::<Vec<_>>(), [0, 1, 2]);
        drop(journal);
        let journal = Journal::open(path).unwrap();
        let rest = journal.read(read.next, usize::MAX).unwrap();
        assert_eq!(rest.entries.iter().map(|entry| entry.message[0]).collect::<Vec<_>>(), [3, 4, 5, 6, 7, 8, 9]);
        assert!(!rest.lost && journal.read(rest.next, usize::MAX).unwrap().entries.is_empty());
        journal.append(RecordKind::Exemplars, b"more").unwrap();
        let more = journal.read(rest.next, usize::MAX).unwrap();
        assert_eq!((more.entries.len(), more.entries[0].kind), (1, RecordKind::Exemplars));
        // What everybody has read goes; somebody who is behind is told.
        journal.maintain(&[more.next], true).unwrap();
        assert!(journal.read(start, usize::MAX).unwrap().lost);
    }
}
