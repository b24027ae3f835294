//! A bounded queue on disk: records go into numbered segment files and are read in order; what was sent is deleted a
//! segment at a time.
//!
//! ```text
//! segment  00000007   records, appended; a new segment from SEGMENT bytes on
//! record   | len u32 | crc32 u32 | payload |   little-endian; crc over the payload
//! cursor   position   "<segment> <offset>" of the next record to send, replaced atomically
//! ```
//!
//! After a crash a record that is cut short or damaged ends its segment; whatever the kernel had is there. Records sent
//! since the cursor was last written are sent again, which receivers of samples do not mind. Over its limit the queue
//! drops its oldest segment and says how much that was.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A segment is closed at this size.
const SEGMENT: u64 = 4 << 20;
/// A record longer than this is damage.
const MAX_RECORD: u32 = 64 << 20;

/// See the module. One writer and one reader, usually behind one lock.
#[derive(Debug)]
pub(crate) struct DiskQueue {
    dir: PathBuf,
    max_bytes: u64,
    /// Segments with their sizes, oldest first; the last one is written.
    segments: VecDeque<(u64, u64)>,
    writer: File,
    /// Segment and offset of the next record to send.
    cursor: (u64, u64),
    reader: Option<(u64, File)>,
    /// Damaged places passed over.
    pub(crate) corruptions: u64,
}

impl DiskQueue {
    /// Opens the queue of a folder, which is made when missing.
    ///
    /// # Errors
    /// When the folder cannot be used.
    pub(crate) fn open(dir: &Path, max_bytes: u64) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let mut segments = Vec::new();
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            if let Ok(number) = entry.file_name().to_string_lossy().parse::<u64>() {
                segments.push((number, entry.metadata()?.len()));
            }
        }
        segments.sort_unstable();
        let cursor = std::fs::read_to_string(dir.join("position")).ok().and_then(|text| {
            let (segment, offset) = text.trim().split_once(' ')?;
            Some((segment.parse().ok()?, offset.parse().ok()?))
        });
        let first = segments.first().map_or(0, |(number, _)| *number);
        let cursor = cursor.filter(|(segment, _)| segments.iter().any(|(n, _)| n == segment)).unwrap_or((first, 0));
        // Never append behind a record that may be cut short: a new segment for a new life.
        let next = segments.last().map_or(0, |(number, _)| number + 1);
        let writer = Self::create(dir, next)?;
        segments.push((next, 0));
        let cursor = if segments.len() == 1 { (next, 0) } else { cursor };
        let segments = segments.into();
        Ok(Self { dir: dir.to_owned(), max_bytes, segments, writer, cursor, reader: None, corruptions: 0 })
    }

    fn create(dir: &Path, number: u64) -> io::Result<File> {
        let file = OpenOptions::new().create(true).append(true).open(dir.join(format!("{number:08}")))?;
        File::open(dir)?.sync_all()?;
        Ok(file)
    }

    /// Bytes from the cursor to the end.
    pub(crate) fn pending_bytes(&self) -> u64 {
        let all: u64 = self.segments.iter().filter(|(n, _)| *n >= self.cursor.0).map(|(_, size)| size).sum();
        all.saturating_sub(self.cursor.1)
    }

    /// Appends a record; the kernel has it when this returns. Returns the bytes of records that had to make room.
    ///
    /// # Errors
    /// When the disk refuses; the queue then begins a new segment at the next record.
    pub(crate) fn push(&mut self, payload: &[u8]) -> io::Result<u64> {
        let len = u32::try_from(payload.len()).ok().filter(|len| *len <= MAX_RECORD);
        let len = len.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "record too long"))?;
        let (number, size) = self.segments.back().copied().unwrap_or((0, 0));
        if size >= SEGMENT {
            self.writer = Self::create(&self.dir, number + 1)?;
            self.segments.push_back((number + 1, 0));
        }
        let mut record = Vec::with_capacity(payload.len() + 8);
        record.extend_from_slice(&len.to_le_bytes());
        record.extend_from_slice(&wire::remote_read::crc32c(payload).to_le_bytes());
        record.extend_from_slice(payload);
        if let Err(error) = self.writer.write_all(&record) {
            // Part of it may be there: nothing may be appended behind it.
            if let Some(last) = self.segments.back_mut() {
                last.1 = SEGMENT;
            }
            return Err(error);
        }
        if let Some(last) = self.segments.back_mut() {
            last.1 += record.len() as u64;
        }
        let mut dropped = 0;
        while self.segments.len() > 1 && self.segments.iter().map(|(_, size)| size).sum::<u64>() > self.max_bytes {
            let Some((number, size)) = self.segments.pop_front() else { break };
            // One that cannot be removed is found again at the next start.
            let _ = std::fs::remove_file(self.dir.join(format!("{number:08}")));
            if number >= self.cursor.0 {
                dropped += size.saturating_sub(if number == self.cursor.0 { self.cursor.1 } else { 0 });
                self.cursor = (self.segments.front().map_or(number + 1, |(n, _)| *n), 0);
                self.reader = None;
            }
        }
        Ok(dropped)
    }

    /// Makes sure that what was pushed survives a power failure.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.writer.sync_data()
    }

    /// The record at the cursor, `None` when all are sent.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub(crate) fn peek(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            let (number, offset) = self.cursor;
            let Some((_, size)) = self.segments.iter().find(|(n, _)| *n == number).copied() else {
                match self.segments.iter().map(|(n, _)| *n).find(|n| *n > number) {
                    Some(next) => self.cursor = (next, 0),
                    None => return Ok(None),
                }
                continue;
            };
            let last = self.segments.back().is_some_and(|(n, _)| *n == number);
            if offset < size {
                match self.record(number, offset)? {
                    Some(payload) => return Ok(Some(payload)),
                    None => self.corruptions += 1,
                }
                // The rest of this segment cannot be trusted.
            }
            if last {
                if offset < size {
                    self.cursor = (number, size);
                }
                return Ok(None);
            }
            self.cursor = (number + 1, 0);
            self.remove_sent();
        }
    }

    fn record(&mut self, number: u64, offset: u64) -> io::Result<Option<Vec<u8>>> {
        if self.reader.as_ref().is_none_or(|(open, _)| *open != number) {
            self.reader = Some((number, File::open(self.dir.join(format!("{number:08}")))?));
        }
        let Some((_, file)) = &self.reader else { return Ok(None) };
        let mut head = [0; 8];
        if file.read_exact_at(&mut head, offset).is_err() {
            return Ok(None);
        }
        let len = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
        let crc = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
        if len > MAX_RECORD {
            return Ok(None);
        }
        let mut payload = vec![0; len as usize];
        let whole = file.read_exact_at(&mut payload, offset + 8).is_ok();
        Ok((whole && wire::remote_read::crc32c(&payload) == crc).then_some(payload))
    }

    /// Passes over the record that [`DiskQueue::peek`] gave.
    pub(crate) fn advance(&mut self, payload_len: usize) {
        self.cursor.1 += payload_len as u64 + 8;
    }

    /// Writes the cursor down and removes segments before it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn commit(&mut self) -> io::Result<()> {
        let text = format!("{} {}\n", self.cursor.0, self.cursor.1);
        kit::files::write_atomic(&self.dir.join("position"), text.as_bytes())?;
        self.remove_sent();
        Ok(())
    }

    fn remove_sent(&mut self) {
        while self.segments.front().is_some_and(|(number, _)| *number < self.cursor.0) {
            if let Some((number, _)) = self.segments.pop_front() {
                let _ = std::fs::remove_file(self.dir.join(format!("{number:08}")));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(queue: &mut DiskQueue) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        while let Some(payload) = queue.peek().unwrap() {
            queue.advance(payload.len());
            out.push(payload);
        }
        out
    }

    #[test]
    fn records_come_back_in_order_and_over_restarts() {
        let dir = tempfile::tempdir().unwrap();
        let mut queue = DiskQueue::open(dir.path(), 1 << 30).unwrap();
        assert_eq!(queue.peek().unwrap(), None);
        for n in 0..5u8 {
            queue.push(&[n; 100]).unwrap();
        }
        assert_eq!(queue.peek().unwrap(), Some(vec![0; 100]));
        queue.advance(100);
        queue.commit().unwrap();
        drop(queue);
        let mut queue = DiskQueue::open(dir.path(), 1 << 30).unwrap();
        queue.push(b"new").unwrap();
        let got = all(&mut queue);
        assert_eq!(got.iter().map(|payload| payload[0]).collect::<Vec<_>>(), [1, 2, 3, 4, b'n']);
        queue.commit().unwrap();
        assert_eq!(queue.pending_bytes(), 0);
        assert_eq!(all(&mut DiskQueue::open(dir.path(), 1 << 30).unwrap()), Vec::<Vec<u8>>::new());
    }

    #[test]
    fn the_oldest_make_room() {
        let dir = tempfile::tempdir().unwrap();
        let mut queue = DiskQueue::open(dir.path(), 3 * SEGMENT).unwrap();
        let mut dropped = 0;
        for n in 0..10u8 {
            dropped += queue.push(&vec![n; SEGMENT as usize]).unwrap();
        }
        assert!(dropped >= 6 * SEGMENT, "{dropped}");
        let got = all(&mut queue);
        assert_eq!(got.last().unwrap()[0], 9);
        assert!(got.len() <= 3);
    }

    #[test]
    fn damage_costs_no_more_than_a_segment() {
        let dir = tempfile::tempdir().unwrap();
        let mut queue = DiskQueue::open(dir.path(), 1 << 30).unwrap();
        for n in 0..4u8 {
            queue.push(&[n; 10]).unwrap();
        }
        drop(queue);
        let file = dir.path().join("00000000");
        let whole = std::fs::read(&file).unwrap();
        for cut in 0..=whole.len() {
            std::fs::write(&file, &whole[..cut]).unwrap();
            let mut queue = DiskQueue::open(dir.path(), 1 << 30).unwrap();
            queue.push(b"after").unwrap();
            let got = all(&mut queue);
            assert_eq!(got.last().map(Vec::as_slice), Some(&b"after"[..]));
            assert_eq!(got.len(), cut / 18 + 1, "cut at {cut}");
            // Away with what this round added.
            for entry in std::fs::read_dir(dir.path()).unwrap().flatten() {
                if entry.file_name() != "00000000" {
                    std::fs::remove_file(entry.path()).unwrap();
                }
            }
            std::fs::write(&file, &whole).unwrap();
        }
        let mut flipped = whole;
        flipped[20] ^= 1;
        std::fs::write(&file, &flipped).unwrap();
        let mut queue = DiskQueue::open(dir.path(), 1 << 30).unwrap();
        assert_eq!((all(&mut queue).len(), queue.corruptions), (1, 1));
    }
}
