//! The file in which closing saves the head, and opening finds it.
//!
//! It stands for the segments of the log up to one. They are not deleted for it: where it is damaged, what is left of them is read.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use disk::{Files, IoContext};
use parking_lot::Mutex;

use crate::codec::bytes::{Cursor, Damaged, Decoded};
use crate::db::Db;
use crate::error::Error;
use crate::head::SHARDS;
use crate::log::replay::Damage;
use crate::log::{BaseUse, extras};

const HEAD_FILE: &str = "head";
const MAGIC: [u8; 4] = *b"FSHD";
const VERSION: u16 = 1;
const HEADER_LEN: usize = 32;
const SECTION_HEADER_LEN: usize = 12;

/// Bytes handed to the file at once.
const WRITE_LEN: usize = 1 << 20;

/// What was loaded.
pub(super) struct Loaded {
    /// Segments up to this one are in memory.
    pub(super) segment: u64,
    /// Whether something is missing, so that these segments have to be read all the same.
    pub(super) damaged: bool,
}

impl Db {
    fn head_path(&self) -> PathBuf {
        self.dir.join(HEAD_FILE)
    }

    /// Writes the head down. Nothing is appended any more, and the log is synced.
    pub(super) fn save_head(&self, segment: u64) -> Result<(), Error> {
        let path = self.head_path();
        let temporary = path.with_extension("tmp");
        if self.files.exists(&temporary) {
            self.files.remove_file(&temporary).at("remove", &temporary)?;
        }
        let mut file = self.files.create(&temporary).at("create", &temporary)?;
        let mut header = Vec::with_capacity(HEADER_LEN);
        header.extend_from_slice(&MAGIC);
        header.extend_from_slice(&VERSION.to_le_bytes());
        header.extend_from_slice(&[0, 0]);
        header.extend_from_slice(&segment.to_le_bytes());
        header.extend_from_slice(&self.head.max_ms().to_le_bytes());
        header.extend_from_slice(&(SHARDS as u32 + 1).to_le_bytes());
        header.extend_from_slice(&crc32fast::hash(&header).to_le_bytes());
        debug_assert_eq!(header.len(), HEADER_LEN);
        file.append(&header).at("write", &temporary)?;
        let mut section = Vec::new();
        for number in 0..=SHARDS {
            section.clear();
            section.resize(SECTION_HEADER_LEN, 0);
            match number.checked_sub(1) {
                None => self.put_extras(&mut section),
                Some(shard) => self.head.save_shard(shard, &mut section),
            }
            let len = (section.len() - SECTION_HEADER_LEN) as u64;
            section[..8].copy_from_slice(&len.to_le_bytes());
            let crc = section_crc(&section[..8], &section[SECTION_HEADER_LEN..]);
            section[8..SECTION_HEADER_LEN].copy_from_slice(&crc.to_le_bytes());
            for part in section.chunks(WRITE_LEN) {
                file.append(part).at("write", &temporary)?;
            }
        }
        file.sync().at("sync", &temporary)?;
        drop(file);
        self.files.rename(&temporary, &path).at("rename", &path)?;
        Ok(self.files.sync_dir(&self.dir).at("sync", &self.dir)?)
    }

    fn put_extras(&self, out: &mut Vec<u8>) {
        let cut_ms = self.head.cut_ms();
        if cut_ms != i64::MIN {
            extras::put_cut(out, cut_ms);
        }
        for (metric, metadata) in self.metadata.lock().iter() {
            extras::put_metadata(out, metric, metadata);
        }
        for (series, exemplar) in self.exemplars.lock().iter() {
            extras::put_exemplar(out, series, exemplar);
        }
    }

    /// Loads the head that closing saved, if there is one.
    pub(super) fn load_head(&self) -> Result<Option<Loaded>, Error> {
        let path = self.head_path();
        if !self.files.exists(&path) {
            return Ok(None);
        }
        let bytes = self.files.map(&path).at("open", &path)?;
        let note = |offset: usize, what: &str| {
            self.note(Damage { path: path.clone(), offset: offset as u64, what: what.to_owned() });
        };
        let (segment, newest_ms) = match read_header(&bytes) {
            Ok(header) => header,
            Err(Damaged(what)) => {
                note(0, what);
                return Ok(None);
            }
        };
        let mut damaged = false;
        let mut sections: Vec<(usize, usize, &[u8])> = Vec::new();
        let mut cursor = Cursor::new(bytes.get(HEADER_LEN..).unwrap_or_default());
        for number in 0..=SHARDS {
            let offset = bytes.len() - cursor.rest().len();
            match read_section(&mut cursor) {
                Ok(Some(payload)) => sections.push((number, offset, payload)),
                Ok(None) => {
                    note(offset, "a part of the saved head is not the one that was written");
                    damaged = true;
                }
                Err(Damaged(what)) => {
                    note(offset, what);
                    damaged = true;
                    break;
                }
            }
        }
        self.head.note_newest(newest_ms);
        let next = AtomicUsize::new(0);
        let failed = Mutex::new(Vec::new());
        let work = || {
            while let Some((number, offset, payload)) = sections.get(next.fetch_add(1, Ordering::Relaxed)) {
                let loaded = match number.checked_sub(1) {
                    None => extras::read(payload).map(|extras| self.take_up(extras)),
                    Some(shard) => self.head.load_shard(shard, payload),
                };
                if let Err(Damaged(what)) = loaded {
                    failed.lock().push((*offset, what));
                }
            }
        };
        std::thread::scope(|scope| {
            (1..self.options.replay_threads.clamp(1, SHARDS)).for_each(|_| drop(scope.spawn(work)));
            work();
        });
        for (offset, what) in failed.into_inner() {
            note(offset, what);
            damaged = true;
        }
        let late = self.head.late_count() > 0;
        let freezing = if late { self.head.next_freezing() } else { 0 };
        self.log.leave_base(BaseUse { base: segment, max_ms: newest_ms, freezing });
        *self.saved_segment.lock() = Some(segment);
        if self.view().head_from_ms != i64::MIN {
            self.maintenance.lock().forget_before(self.view().head_from_ms);
        }
        Ok(Some(Loaded { segment, damaged }))
    }

    /// Gives the saved head, if there is one, a second name in another directory.
    pub(super) fn link_saved_head(&self, to: &Path) -> Result<(), Error> {
        if self.saved_segment.lock().is_some() { self.link(&self.head_path(), to) } else { Ok(()) }
    }

    /// Deletes the saved head when segments up to `kept` (exclusive) are no longer needed: what it holds is in blocks then.
    pub(super) fn drop_saved_head(&self, kept: u64) -> Result<(), Error> {
        let mut saved = self.saved_segment.lock();
        if saved.is_some_and(|segment| segment < kept) {
            let path = self.head_path();
            self.files.remove_file(&path).at("remove", &path)?;
            self.files.sync_dir(&self.dir).at("sync", &self.dir)?;
            *saved = None;
        }
        Ok(())
    }
}

/// The last segment that a saved head stands for, 0 where there is none that can be used.
pub(super) fn covered(files: &dyn Files, dir: &Path) -> Result<u64, Error> {
    let path = dir.join(HEAD_FILE);
    if !files.exists(&path) {
        return Ok(0);
    }
    let mut header = [0; HEADER_LEN];
    let file = files.open(&path).at("open", &path)?;
    let len = file.read_at(&mut header, 0).at("read", &path)?;
    Ok(read_header(header.get(..len).unwrap_or_default()).map_or(0, |(segment, _)| segment))
}

fn section_crc(len: &[u8], payload: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(len);
    crc.update(payload);
    crc.finalize()
}

/// Segment and newest timestamp.
fn read_header(bytes: &[u8]) -> Decoded<(u64, i64)> {
    let mut cursor = Cursor::new(bytes);
    if (cursor.array(), cursor.array(), cursor.array()) != (Ok(MAGIC), Ok(VERSION.to_le_bytes()), Ok([0u8, 0])) {
        return Err(Damaged("the file does not begin with FSHD and a version that is known"));
    }
    let (segment, newest_ms) = (cursor.u64()?, i64::from_le_bytes(cursor.array()?));
    let sections = cursor.u32()?;
    if cursor.u32()? != crc32fast::hash(bytes.get(..HEADER_LEN - 4).unwrap_or_default()) {
        return Err(Damaged("the header is not the one that was written"));
    }
    if sections != SHARDS as u32 + 1 {
        return Err(Damaged("the saved head has another number of parts"));
    }
    Ok((segment, newest_ms))
}

/// The payload of a section, `None` where its checksum does not fit.
fn read_section<'a>(cursor: &mut Cursor<'a>) -> Decoded<Option<&'a [u8]>> {
    let len = cursor.array::<8>()?;
    let crc = cursor.u32()?;
    let too_long = || Damaged("a part of the saved head ends early");
    let payload = usize::try_from(u64::from_le_bytes(len)).map_err(|_| too_long())?;
    let payload = cursor.take(payload).map_err(|_| too_long())?;
    Ok((section_crc(&len, payload) == crc).then_some(payload))
}
