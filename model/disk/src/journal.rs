//! Records that wait for readers: appended durably, read in order from a [`Place`] each reader remembers, deleted once all have them.
//!
//! A [`Journal`] is a write-ahead log of small segments: a reader that has gone through one never opens it again, and what
//! everybody has read is deleted soon. A reader that falls too far behind loses the oldest records and is told so.
//!
//! Invariant: places only grow, over restarts too; a record is at the same place for as long as it exists.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::files::Files;
use crate::wal::{SegmentId, Wal, WalOptions, list_segments, read_segment};

/// Bounds of a journal.
#[derive(Clone, Copy, Debug)]
pub struct JournalOptions {
    /// Bytes after which a new segment begins.
    pub segment_bytes: u64,
    /// Bytes of segments that wait for readers; beyond it the oldest segments go.
    pub max_bytes: u64,
}

/// A place between two records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// Number of the segment.
    pub segment: u64,
    /// Records of the segment before this place.
    pub records: u64,
}

/// A record as a reader sees it.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// What the writer called it.
    pub kind: u8,
    /// What the writer gave.
    pub payload: &'a [u8],
    /// The place behind it.
    pub end: Place,
}

/// What reading came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadReport {
    /// Behind the last record that was seen.
    pub next: Place,
    /// Records behind the place where reading began were gone.
    pub lost: bool,
}

/// See the module. Shared by reference between threads.
pub struct Journal {
    files: Arc<dyn Files>,
    wal: Wal,
    dir: PathBuf,
    options: JournalOptions,
    rotating: Mutex<()>,
}

impl Journal {
    /// Opens the journal of a directory, which is made if it does not exist.
    ///
    /// # Errors
    /// When the directory or a file in it cannot be made.
    pub fn open(files: Arc<dyn Files>, dir: PathBuf, options: JournalOptions) -> Result<Self, Error> {
        let wal = Wal::open(files.clone(), dir.clone(), WalOptions::default())?;
        Ok(Self { files, wal, dir, options, rotating: Mutex::default() })
    }

    /// Adds a record; when this returns it is on the device.
    ///
    /// # Errors
    /// When it is too long, or the device fails; [`Journal::maintain`] recovers from the latter.
    pub fn append(&self, kind: u8, payload: &[u8]) -> Result<(), Error> {
        let position = self.wal.append(kind, payload)?;
        self.wal.commit(position)?;
        if self.wal.stats().segment_bytes > self.options.segment_bytes
            && let Some(_one) = self.rotating.try_lock()
        {
            self.wal.rotate()?;
        }
        Ok(())
    }

    /// The place behind everything.
    pub fn end(&self) -> Place {
        // A new segment has no record: whoever begins here sees what comes from now on.
        match self.wal.rotate() {
            Ok(id) => Place { segment: id.0, records: 0 },
            Err(_) => Place { segment: self.wal.stats().segment, records: 0 },
        }
    }

    /// Shows the records from a place on, until `visit` has enough.
    ///
    /// # Errors
    /// When a segment cannot be read. Damaged records are left out.
    pub fn read(&self, from: Place, visit: &mut dyn FnMut(Record<'_>) -> ControlFlow<()>) -> Result<ReadReport, Error> {
        let segments = list_segments(&*self.files, &self.dir)?;
        let lost = segments.first().is_some_and(|first| first.id.0 > from.segment) && from.segment > 0;
        let current = self.wal.stats().segment;
        // Nobody was ever there: files were deleted behind the reader's back, and what there is is new.
        let from = if from.segment > current { Place::default() } else { from };
        let mut report = ReadReport { next: from, lost };
        for segment in segments.iter().filter(|segment| segment.id.0 >= from.segment) {
            let skip = if segment.id.0 == from.segment { from.records } else { 0 };
            let mut seen = 0;
            let mut flow = ControlFlow::Continue(());
            read_segment(&*self.files, segment, &mut |record| {
                seen += 1;
                if seen > skip && flow.is_continue() {
                    report.next = Place { segment: segment.id.0, records: seen };
                    flow = visit(Record { kind: record.kind, payload: record.payload, end: report.next });
                }
            })?;
            if flow.is_break() {
                break;
            }
            if segment.id.0 < current {
                // Nothing will be added to it any more.
                report.next = Place { segment: segment.id.0 + 1, records: 0 };
            }
        }
        Ok(report)
    }

    /// Recovers from a failed device; deletes segments that lie before all of the readers' places, and the oldest ones beyond the
    /// bound. Without readers nothing is waited for.
    ///
    /// # Errors
    /// When segments cannot be listed or deleted.
    pub fn maintain(&self, readers: impl IntoIterator<Item = Place>) -> Result<(), Error> {
        self.wal.try_recover();
        let mut keep = readers.into_iter().map(|place| place.segment).min().unwrap_or(u64::MAX);
        let mut bytes = 0;
        for segment in list_segments(&*self.files, &self.dir)?.iter().rev() {
            bytes += segment.len;
            if bytes > self.options.max_bytes {
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
    use crate::MemFiles;

    const OPTIONS: JournalOptions = JournalOptions { segment_bytes: 500, max_bytes: 2_000 };

    fn open(files: &Arc<MemFiles>) -> Journal {
        Journal::open(files.clone(), "journal".into(), OPTIONS).unwrap()
    }

    /// The first bytes of at most `limit` records.
    fn read(journal: &Journal, from: Place, limit: usize) -> (Vec<u8>, ReadReport) {
        let mut seen = Vec::new();
        let report = journal.read(from, &mut |record| {
            assert_eq!(record.kind, 1);
            seen.push(record.payload[0]);
            if seen.len() >= limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        (seen, report.unwrap())
    }

    #[test]
    fn what_was_appended_is_read_from_any_place_and_after_a_restart() {
        let files = Arc::new(MemFiles::new());
        let journal = open(&files);
        let start = journal.end();
        for at in 0..10u8 {
            journal.append(1, &[at; 100]).unwrap();
        }
        let (first, report) = read(&journal, start, 3);
        assert_eq!(first, [0, 1, 2]);
        drop(journal);
        let journal = open(&files);
        let (rest, report) = read(&journal, report.next, usize::MAX);
        assert_eq!((rest, report.lost), (vec![3, 4, 5, 6, 7, 8, 9], false));
        assert_eq!(read(&journal, report.next, usize::MAX), (Vec::new(), report));
        journal.append(1, &[10]).unwrap();
        let (more, report) = read(&journal, report.next, usize::MAX);
        assert_eq!(more, [10]);
        // What everybody has read goes; somebody who is behind is told.
        journal.maintain([start]).unwrap();
        assert!(!read(&journal, start, 1).1.lost);
        journal.maintain([report.next]).unwrap();
        assert!(read(&journal, start, 1).1.lost);
    }

    #[test]
    fn a_place_that_never_was_is_the_beginning() {
        let journal = open(&Arc::new(MemFiles::new()));
        journal.append(1, &[7]).unwrap();
        assert_eq!(read(&journal, Place { segment: 40, records: 3 }, usize::MAX).0, [7]);
    }

    #[test]
    fn the_oldest_go_when_too_much_waits() {
        let journal = open(&Arc::new(MemFiles::new()));
        let start = journal.end();
        for at in 0..100u8 {
            journal.append(1, &[at; 100]).unwrap();
        }
        journal.maintain([start]).unwrap();
        let (rest, report) = read(&journal, start, usize::MAX);
        assert!(report.lost && (10..=20).contains(&rest.len()), "{rest:?}");
        assert_eq!(rest.last(), Some(&99));
    }
}
