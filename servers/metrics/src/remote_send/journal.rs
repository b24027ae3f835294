//! What is to be sent, on disk: a [`disk::journal`] whose records are compressed messages of samples or exemplars.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use disk::{JournalOptions, Place, RealFiles};
use tokio::sync::Notify;

/// Segments are small; beyond 4 GiB that wait for a peer the oldest go.
const OPTIONS: JournalOptions = JournalOptions { segment_bytes: 4 << 20, max_bytes: 4 << 30 };
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

/// A record that was read.
pub(super) struct Entry {
    pub(super) kind: RecordKind,
    pub(super) message: Vec<u8>,
}

/// What reading came to.
pub(super) struct Read {
    pub(super) entries: Vec<Entry>,
    /// Behind the last of them.
    pub(super) next: Place,
    /// Records of before were gone.
    pub(super) lost: bool,
}

/// See the module.
pub(super) struct Journal {
    records: disk::Journal,
    /// Told of every record.
    pub(super) news: Notify,
}

impl Journal {
    pub(super) fn open(dir: PathBuf) -> Result<Self, disk::Error> {
        Ok(Self { records: disk::Journal::open(Arc::new(RealFiles), dir, OPTIONS)?, news: Notify::new() })
    }

    /// Adds a message; when this returns it is on the device.
    pub(super) fn append(&self, kind: RecordKind, message: &[u8]) -> Result<(), disk::Error> {
        self.records.append(kind.number(), &wire::compress::snappy_encode(message))?;
        self.news.notify_waiters();
        Ok(())
    }

    /// The place behind everything.
    pub(super) fn end(&self) -> Place {
        self.records.end()
    }

    /// Records from a place on, until their messages have about `limit` bytes.
    pub(super) fn read(&self, from: Place, limit: usize) -> Result<Read, disk::Error> {
        let (mut entries, mut bytes) = (Vec::new(), 0);
        let report = self.records.read(from, &mut |record| {
            // A damaged message is as good as none: its checksum was right, so it was written like that.
            if let Some(kind) = RecordKind::of(record.kind)
                && let Ok(message) = wire::compress::snappy_decode(record.payload, MAX_MESSAGE)
            {
                bytes += message.len();
                entries.push(Entry { kind, message });
            }
            if bytes >= limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        Ok(Read { entries, next: report.next, lost: report.lost })
    }

    /// Recovers from a failed device; deletes what all peers have. Nothing is deleted while peers are expected and none is there.
    pub(super) fn maintain(&self, places: &[Place], in_use: bool) -> Result<(), disk::Error> {
        let begin = (places.is_empty() && in_use).then(Place::default);
        self.records.maintain(places.iter().copied().chain(begin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_back_with_their_kinds() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path().join("journal")).unwrap();
        let start = journal.end();
        for at in 0..5u8 {
            journal.append(RecordKind::Samples, &[at; 100]).unwrap();
        }
        journal.append(RecordKind::Exemplars, b"more").unwrap();
        let read = journal.read(start, 250).unwrap();
        assert_eq!(read.entries.iter().map(|entry| entry.message[0]).collect::<Vec<_>>(), [0, 1, 2]);
        let rest = journal.read(read.next, usize::MAX).unwrap();
        assert_eq!(
            rest.entries.iter().map(|entry| (entry.kind, entry.message.len())).collect::<Vec<_>>(),
            [(RecordKind::Samples, 100), (RecordKind::Samples, 100), (RecordKind::Exemplars, 4)]
        );
        assert!(!rest.lost);
    }

    #[test]
    fn places_are_kept_as_they_always_were() {
        assert_eq!(serde_json::to_string(&Place { segment: 3, records: 14 }).unwrap(), r#"{"segment":3,"records":14}"#);
    }
}
