//! Writes the file of a segment: payloads as they come, then sections and footer; aside, and under its name when complete.

use std::io;
use std::path::{Path, PathBuf};

use disk::{Files, IoContext, WriteFile};
use model::{Labels, LogColumns};

use super::builder::SegmentBuilder;
use super::format::{PAGE_LEN, SECTIONS, SegmentId, header, put_footer, put_section};
use crate::error::Error;

/// Payloads are handed to the system in pieces of this many bytes.
const PIECE_LEN: usize = 16 * PAGE_LEN;

/// A segment being written; it exists once [`SegmentWriter::finish`] has returned.
pub(crate) struct SegmentWriter<'f> {
    builder: SegmentBuilder,
    file: SegmentFile<'f>,
}

impl<'f> SegmentWriter<'f> {
    pub(crate) fn create(files: &'f dyn Files, dir: &Path, id: SegmentId) -> Result<Self, Error> {
        Ok(Self { builder: SegmentBuilder::default(), file: SegmentFile::create(files, dir, id)? })
    }

    /// Adds a stream with its entries, oldest first. Streams come once each.
    pub(crate) fn add_stream(&mut self, labels: &Labels, entries: &LogColumns) {
        self.builder.add_stream(labels, entries);
    }

    /// Completes the segment: synced, under its name. `generation`: the newest generation of the head in it. Returns false, and
    /// leaves nothing, when there is no entry.
    pub(crate) fn finish(self, generation: u64) -> Result<bool, Error> {
        if self.builder.entries() == 0 {
            self.file.abandon();
            return Ok(false);
        }
        self.builder.finish(self.file, generation)?;
        Ok(true)
    }
}

/// The file of a segment.
pub(super) struct SegmentFile<'f> {
    files: &'f dyn Files,
    dir: PathBuf,
    id: SegmentId,
    temporary: PathBuf,
    file: Box<dyn WriteFile>,
    /// Bytes not yet handed over; whole pages before it are.
    pending: Vec<u8>,
    page_crcs: Vec<u32>,
}

/// Sections before they are compressed, in the order of [`super::format::Section`].
#[derive(Debug, Default)]
pub(super) struct Sections {
    pub(super) info: Vec<u8>,
    pub(super) streams: Vec<u8>,
    pub(super) units: Vec<u8>,
    pub(super) templates: Vec<u8>,
}

impl<'f> SegmentFile<'f> {
    fn create(files: &'f dyn Files, dir: &Path, id: SegmentId) -> Result<Self, Error> {
        let mut temporary = id.path(dir).into_os_string();
        temporary.push(".tmp");
        let temporary = PathBuf::from(temporary);
        match files.remove_file(&temporary) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e).at("remove", &temporary)?,
            _ => {}
        }
        let file = files.create(&temporary).at("create", &temporary)?;
        let pending = header(id).to_vec();
        Ok(Self { files, dir: dir.to_owned(), id, temporary, file, pending, page_crcs: Vec::new() })
    }

    /// An error of something done for this file.
    pub(super) fn failed(&self, error: io::Error) -> Error {
        Error::Disk(disk::Error::Io { op: "compress", path: self.temporary.clone(), source: error })
    }

    /// Adds a payload.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.pending.extend_from_slice(bytes);
        if self.pending.len() >= PIECE_LEN {
            let whole = self.pending.len() / PAGE_LEN * PAGE_LEN;
            self.page_crcs.extend(self.pending[..whole].chunks(PAGE_LEN).map(crc32fast::hash));
            self.file.append(&self.pending[..whole]).at("write", &self.temporary)?;
            self.pending.drain(..whole);
        }
        Ok(())
    }

    fn abandon(self) {
        drop(self.file);
        // What cannot be removed now is removed when the store is opened next.
        let _ = self.files.remove_file(&self.temporary);
    }

    /// Adds sections and footer, syncs, and gives the file its name.
    pub(super) fn finish(mut self, sections: Sections) -> Result<(), Error> {
        let base = self.file.len();
        self.page_crcs.extend(self.pending.chunks(PAGE_LEN).map(crc32fast::hash));
        let pages: Vec<u8> = self.page_crcs.iter().flat_map(|crc| crc.to_le_bytes()).collect();
        let mut rest = std::mem::take(&mut self.pending);
        let plain = [&sections.info, &sections.streams, &sections.units, &sections.templates, &pages];
        let mut entries = [Default::default(); SECTIONS];
        for (entry, plain) in entries.iter_mut().zip(plain) {
            *entry = put_section(plain, base, &mut rest).map_err(|error| self.failed(error))?;
        }
        put_footer(&entries, &mut rest);
        self.file.append(&rest).at("write", &self.temporary)?;
        self.file.sync().at("sync", &self.temporary)?;
        drop(self.file);
        let path = self.id.path(&self.dir);
        self.files.rename(&self.temporary, &path).at("rename", &path)?;
        self.files.sync_dir(&self.dir).at("sync", &self.dir)?;
        Ok(())
    }
}
