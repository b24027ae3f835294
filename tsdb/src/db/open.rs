//! Opening and closing: what is on disk, what a crash left behind, reading the log.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use disk::wal::list_segments;
use disk::{Files, IoContext, WalOptions};
use parking_lot::{Mutex, RwLock};

use super::{Db, compact, maintain, retention, saved_head};
use crate::block::{BLOCKS_DIR, Block, PageCache, TEMPORARY};
use crate::error::Error;
use crate::exemplars::Exemplars;
use crate::head::{Head, HeadOptions};
use crate::log::extras::Extra;
use crate::log::replay::{Damage, Progress, replay};
use crate::log::{BaseUse, Log};
use crate::options::{BLOCK_RANGE_MS, Options};
use crate::ulid::Ulid;
use crate::view::{View, Views};

pub(super) const WAL_DIR: &str = "wal";
const LOCK_FILE: &str = "lock";

impl Db {
    /// Opens the store without reading its log: blocks can be read at once, the head fills while [`Db::replay`] runs, and writes are
    /// refused with [`Error::Replaying`] until it is done.
    ///
    /// # Errors
    /// As [`Db::open`].
    pub fn start(files: Arc<dyn Files>, dir: PathBuf, options: Options) -> Result<Self, Error> {
        let blocks_dir = dir.join(BLOCKS_DIR);
        files.create_dir_all(&blocks_dir).at("create directory", &blocks_dir)?;
        files.sync_dir(&dir).at("sync", &dir)?;
        let lock_path = dir.join(LOCK_FILE);
        let lock = files.lock(&lock_path).map_err(|source| match source.kind() {
            std::io::ErrorKind::WouldBlock => Error::Locked { path: lock_path.clone() },
            _ => disk::Error::Io { op: "lock", path: lock_path.clone(), source }.into(),
        })?;
        let cache = Arc::new(PageCache::new(options.page_cache_bytes));
        let (blocks, damage) = open_blocks(&files, &blocks_dir, &cache)?;
        let cut_ms = blocks.iter().filter_map(|block| block.meta().head_cut).max().unwrap_or(i64::MIN);
        let wal_dir = dir.join(WAL_DIR);
        let segments = list_segments(&*files, &wal_dir)?;
        let saved = saved_head::covered(&*files, &dir)?;
        let wal_options = WalOptions { sync: options.wal_sync, ..WalOptions::default() };
        let log = Log::open(files.clone(), wal_dir, wal_options, saved)?;
        let head_options = HeadOptions {
            slack_ms: BLOCK_RANGE_MS / 2,
            window_ms: options.out_of_order_window_ms.max(0),
            max_series: options.max_series,
        };
        let db = Self {
            head: Head::new(head_options, cut_ms),
            log,
            views: Views::new(blocks, cut_ms),
            cache,
            exemplars: Mutex::new(Exemplars::new(options.max_exemplars)),
            metadata: Mutex::default(),
            buffers: Mutex::default(),
            raw_keys: Mutex::default(),
            maintenance: Mutex::new(maintain::State::default()),
            compaction: Mutex::new(compact::State::default()),
            deleting: Mutex::default(),
            rules: RwLock::new(retention::Rules {
                retention: options.retention,
                classes: options.retention_classes.clone(),
            }),
            blocks_made: AtomicU64::new(0),
            to_replay: Mutex::new(Some(segments)),
            saved_segment: Mutex::default(),
            progress: Progress::default(),
            replaying: AtomicBool::new(true),
            closed: AtomicBool::new(false),
            braked: Mutex::default(),
            is_braked: AtomicBool::new(false),
            damage: Mutex::default(),
            damage_count: AtomicU64::new(0),
            _lock: lock,
            files,
            dir,
            options,
        };
        damage.into_iter().for_each(|damage| db.note(damage));
        Ok(db)
    }

    /// Reads the log of a store that was [`Db::start`]ed; afterwards writes are taken. Called once, from any thread.
    ///
    /// # Errors
    /// When a segment cannot be read: the store then goes on refusing writes, so that nothing is put after what is missing.
    pub fn replay(&self) -> Result<(), Error> {
        let Some(mut segments) = self.to_replay.lock().take() else { return Ok(()) };
        let loaded = match self.load_head() {
            Ok(loaded) => loaded,
            Err(error) => return Err(self.give_up_replay(error)),
        };
        if let Some(loaded) = loaded
            && !loaded.damaged
        {
            segments.retain(|segment| segment.id.0 > loaded.segment);
        }
        let replayed = replay(&*self.files, &segments, &self.head, self.options.replay_threads, &self.progress);
        let replayed = match replayed {
            Ok(replayed) => replayed,
            Err(error) => return Err(self.give_up_replay(error)),
        };
        for damage in &replayed.damage {
            self.note(damage.clone());
        }
        let unlisted = replayed.damage_count.saturating_sub(replayed.damage.len() as u64);
        self.damage_count.fetch_add(unlisted, Ordering::Relaxed);
        for (base, (max_ms, late)) in replayed.used {
            let freezing = if late { self.head.next_freezing() } else { 0 };
            self.log.leave_base(BaseUse { base, max_ms, freezing });
        }
        self.take_up(replayed.extras);
        self.replaying.store(false, Ordering::Release);
        Ok(())
    }

    /// Refuses writes from now on: nothing is put after what is missing.
    fn give_up_replay(&self, error: Error) -> Error {
        self.brake(Some(format!("the log could not be read on opening: {error}")));
        self.replaying.store(false, Ordering::Release);
        error
    }

    /// Takes up what the log or the saved head hold beside samples.
    pub(super) fn take_up(&self, extras: Vec<Extra>) {
        for extra in extras {
            match extra {
                // It was taken when it was written.
                Extra::Exemplar(series, exemplar) => drop(self.exemplars.lock().add(&series, &exemplar)),
                Extra::Metadata(metric, metadata) => drop(self.metadata.lock().set(&metric, metadata)),
                Extra::Cut(cut_ms) => self.take_up_cut(cut_ms),
            }
        }
    }

    /// A cut whose block is gone: what was read of the time before it is forgotten.
    fn take_up_cut(&self, cut_ms: i64) {
        if cut_ms > self.view().head_from_ms {
            self.head.raise_cut(cut_ms);
            self.views.update(|view| View { blocks: view.blocks.clone(), head_from_ms: cut_ms });
            self.maintenance.lock().forget_before(cut_ms);
        }
    }

    /// Ends writing, syncs the log and saves the head ([`Options::save_head`]). Selections made before stay readable.
    ///
    /// # Errors
    /// Those of the last sync; those of saving, in which case the next opening reads the log.
    pub fn close(&self) -> Result<(), Error> {
        self.progress.stop.store(true, Ordering::Relaxed);
        if self.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let read_whole = !self.replaying.load(Ordering::Acquire) && self.to_replay.lock().is_none();
        // No cut is under way, and none begins any more.
        let _maintenance = self.maintenance.lock();
        let segment = self.log.stats().segment;
        self.log.close()?;
        if self.options.save_head && read_whole && self.braked.lock().is_none() {
            self.save_head(segment)?;
        }
        Ok(())
    }
}

/// Opens all blocks; what cannot be opened is reported and left where it is.
fn open_blocks(
    files: &Arc<dyn Files>,
    dir: &Path,
    cache: &Arc<PageCache>,
) -> Result<(Vec<Arc<Block>>, Vec<Damage>), Error> {
    let mut blocks: Vec<Arc<Block>> = Vec::new();
    let mut damage = Vec::new();
    for entry in files.read_dir(dir).at("list", dir)? {
        let path = dir.join(&entry.name);
        if entry.is_dir && entry.name.ends_with(TEMPORARY) {
            files.remove_dir_all(&path).at("remove", &path)?;
            continue;
        }
        if !entry.is_dir || entry.name.parse::<Ulid>().is_err() {
            continue;
        }
        match Block::open(&**files, &path, cache) {
            Ok(block) => {
                if let Err(error) = block.read_tombstones(&**files) {
                    let what = format!("what was deleted of a block is not known: {error}");
                    damage.push(Damage { path, offset: 0, what });
                }
                blocks.push(Arc::new(block));
            }
            Err(error) => damage.push(Damage { path, offset: 0, what: format!("a block is left out: {error}") }),
        }
    }
    // A crash between writing a merged block and removing those it was merged from leaves both.
    let merged: HashSet<Ulid> = blocks.iter().flat_map(|block| block.meta().compaction.parents.clone()).collect();
    for block in blocks.iter().filter(|block| merged.contains(&block.ulid())) {
        remove_block(&**files, block.dir())?;
    }
    blocks.retain(|block| !merged.contains(&block.ulid()));
    Ok((blocks, damage))
}

/// Removes a block's directory; after a crash in between the next opening goes on with it.
pub(super) fn remove_block(files: &dyn Files, dir: &Path) -> Result<(), Error> {
    let mut name = dir.as_os_str().to_owned();
    name.push(TEMPORARY);
    let aside = PathBuf::from(name);
    if files.exists(&aside) {
        files.remove_dir_all(&aside).at("remove", &aside)?;
    }
    if !files.exists(dir) {
        // Expired while it was being merged, or the other way round.
        return Ok(());
    }
    files.rename(dir, &aside).at("rename", dir)?;
    if let Some(parent) = dir.parent() {
        files.sync_dir(parent).at("sync", parent)?;
    }
    files.remove_dir_all(&aside).at("remove", &aside)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use disk::{MemFiles, PowerLoss};
    use model::{Labels, SampleColumns};

    use crate::{Db, Files, Options, SelectHints, SeriesSource};

    #[test]
    fn a_record_that_slipped_into_the_next_segment_is_no_damage() {
        let files = MemFiles::new();
        let db = Db::open_with(Arc::new(files.clone()), "data", Options::default()).unwrap();
        let write = |time: i64| {
            let mut batch = db.appender().unwrap();
            let series = batch.resolve(&Labels::from_pairs([("__name__", "m")])).unwrap();
            batch.append(series, time, time as f64).unwrap();
            assert_eq!(batch.commit().unwrap().accepted, 1);
        };
        write(1);
        db.log.begin_segment_only();
        write(2);
        db.log.rotate().unwrap();
        write(3);
        let image = files.power_loss(PowerLoss::Nothing);
        drop(db);
        let read = |image: &MemFiles| {
            let db = Db::open_with(Arc::new(image.power_loss(PowerLoss::Nothing)), "data", Options::default()).unwrap();
            assert_eq!(db.damage(), []);
            let hints = SelectHints { start_ms: 0, end_ms: 10, ..SelectHints::default() };
            let mut columns = SampleColumns::new();
            db.select(&[], &hints).unwrap().read(0, &mut columns).unwrap();
            columns.timestamps
        };
        assert_eq!(read(&image), [1, 2, 3]);
        // What was written under the first base is in blocks now, and its segment deleted.
        let mut segments: Vec<_> = image.paths().into_iter().filter(|path| path.starts_with("data/wal")).collect();
        segments.sort();
        assert_eq!(segments.len(), 3, "{segments:?}");
        image.remove_file(Path::new(&segments[0])).unwrap();
        assert_eq!(read(&image), [3]);
    }
}
