//! Writes a segment: units as they come, then a directory of them, then a footer.

use std::path::{Path, PathBuf};

use disk::{Files, IoContext, WriteFile};
use model::{Labels, LogColumns};

use super::{END_MAGIC, SegmentId, header, unit};
use crate::bytes::{put_signed, put_slice, put_varint};
use crate::error::Error;

/// Lines of a unit have about this many bytes.
const UNIT_BYTES: usize = 256 << 10;
const UNIT_ENTRIES: usize = 32 << 10;
const LEVEL: i32 = 1;

/// A segment being written, aside; it exists once [`SegmentWriter::finish`] has returned.
pub(crate) struct SegmentWriter<'f> {
    files: &'f dyn Files,
    dir: PathBuf,
    id: SegmentId,
    temporary: PathBuf,
    file: Box<dyn WriteFile>,
    directory: Vec<u8>,
    streams: u64,
    body: Vec<u8>,
    compressor: zstd::bulk::Compressor<'static>,
}

impl<'f> SegmentWriter<'f> {
    pub(crate) fn create(files: &'f dyn Files, dir: &Path, id: SegmentId) -> Result<Self, Error> {
        let mut temporary = id.path(dir).into_os_string();
        temporary.push(".tmp");
        let temporary = PathBuf::from(temporary);
        match files.remove_file(&temporary) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e).at("remove", &temporary)?,
            _ => {}
        }
        let mut file = files.create(&temporary).at("create", &temporary)?;
        file.append(&header(id)).at("write", &temporary)?;
        let compressor = zstd::bulk::Compressor::new(LEVEL).at("compress", &temporary)?;
        Ok(Self {
            files,
            dir: dir.to_owned(),
            id,
            temporary,
            file,
            directory: Vec::new(),
            streams: 0,
            body: Vec::new(),
            compressor,
        })
    }

    /// Adds a stream with its entries, oldest first. Streams come once each.
    pub(crate) fn add_stream(&mut self, labels: &Labels, entries: &LogColumns) -> Result<(), Error> {
        let mut bounds = vec![0];
        let mut bytes = 0;
        for row in 0..entries.len() {
            let first = bounds.last().copied().unwrap_or(0);
            let len = entries.line(row).len();
            if row > first && (bytes + len > UNIT_BYTES || row - first >= UNIT_ENTRIES) {
                bounds.push(row);
                bytes = 0;
            }
            bytes += len;
        }
        bounds.push(entries.len());
        put_slice(&mut self.directory, labels.as_encoded().as_bytes());
        put_varint(&mut self.directory, bounds.len() as u64 - 1);
        for bound in bounds.windows(2) {
            self.add_unit(entries, bound[0], bound[1])?;
        }
        self.streams += 1;
        Ok(())
    }

    fn add_unit(&mut self, entries: &LogColumns, from: usize, to: usize) -> Result<(), Error> {
        self.body.clear();
        unit::encode(&mut self.body, entries, from, to);
        let compressed = self.compressor.compress(&self.body).at("compress", &self.temporary)?;
        let out = &mut self.directory;
        let lines: usize = (from..to).map(|row| entries.line(row).len()).sum();
        put_varint(out, self.file.len());
        put_varint(out, compressed.len() as u64);
        put_varint(out, u64::from(crc32fast::hash(&compressed)));
        put_varint(out, self.body.len() as u64);
        put_varint(out, (to - from) as u64);
        put_varint(out, lines as u64);
        put_signed(out, entries.timestamps[from]);
        put_varint(out, entries.timestamps[to - 1].wrapping_sub(entries.timestamps[from]) as u64);
        self.file.append(&compressed).at("write", &self.temporary)?;
        Ok(())
    }

    /// Removes what was written so far.
    pub(crate) fn abandon(self) {
        drop(self.file);
        // What cannot be removed now is removed when the store is opened next.
        let _ = self.files.remove_file(&self.temporary);
    }

    /// Completes the segment: synced, under its name. `generation`: the newest generation of the head in it.
    pub(crate) fn finish(mut self, generation: u64) -> Result<PathBuf, Error> {
        let offset = self.file.len();
        let mut directory = Vec::with_capacity(self.directory.len() + 32);
        put_varint(&mut directory, generation);
        put_varint(&mut directory, self.streams);
        directory.append(&mut self.directory);
        let crc = crc32fast::hash(&directory);
        let len = directory.len() as u32;
        directory.extend_from_slice(&offset.to_le_bytes());
        directory.extend_from_slice(&len.to_le_bytes());
        directory.extend_from_slice(&crc.to_le_bytes());
        directory.extend_from_slice(&END_MAGIC);
        self.file.append(&directory).at("write", &self.temporary)?;
        self.file.sync().at("sync", &self.temporary)?;
        drop(self.file);
        let path = self.id.path(&self.dir);
        self.files.rename(&self.temporary, &path).at("rename", &path)?;
        self.files.sync_dir(&self.dir).at("sync", &self.dir)?;
        Ok(path)
    }
}
