//! Background work, done when the owner calls [`Db::maintain`]: recovery of the log, segments from the head, the brake, and
//! what becomes of segments (`retention`, `deletes`, `merge`).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use disk::{ErrorKind as DiskErrorKind, IoContext};
use model::LogColumns;

use crate::db::{Db, Generation, Maintenance};
use crate::error::Error;
use crate::segment::{Origin, Segment, SegmentId, SegmentWriter};
use crate::view::View;

/// What a call of [`Db::maintain`] did.
#[derive(Debug, Default)]
pub struct MaintainReport {
    /// Segments written.
    pub sealed: u64,
    /// Segments dropped by retention.
    pub expired: u64,
    /// Segments that were made into larger ones.
    pub merged: u64,
    /// There is more to do: do not wait long before the next call.
    pub more: bool,
    /// What failed; it is tried again with the next call.
    pub errors: Vec<Error>,
}

impl Db {
    /// Does what is due: brings the log back after a failure, writes a segment, applies retention, looks at the space left.
    /// Cheap when nothing is due; call it every second or so. Pushes and reads go on meanwhile.
    pub fn maintain(&self, now_ns: i64) -> MaintainReport {
        let mut report = MaintainReport::default();
        if self.check_open().is_err() {
            return report;
        }
        let mut maintenance = self.maintenance.lock();
        self.wal.try_recover();
        self.look_at_space(&mut report);
        if maintenance.frozen.is_some() || self.is_due(now_ns) {
            match self.seal(&mut maintenance) {
                Ok(sealed) => report.sealed += u64::from(sealed),
                Err(error) => report.errors.push(error),
            }
        }
        self.limit_cache();
        // Lines that wait for a segment come before segments that could be fewer.
        let behind = report.errors.is_empty() && self.is_due(now_ns);
        if let Err(error) = self.maintain_segments(&mut maintenance, now_ns, !behind, &mut report) {
            report.errors.push(error);
        }
        report.more |= behind;
        report
    }

    /// Writes everything that is in memory into a segment, whether it is due or not.
    ///
    /// # Errors
    /// When the log or the segment cannot be written. Nothing is lost then: it stays in memory and in the log.
    pub fn flush(&self) -> Result<(), Error> {
        self.check_open()?;
        let mut maintenance = self.maintenance.lock();
        if maintenance.frozen.is_some() {
            // One that failed before comes first.
            self.seal(&mut maintenance)?;
        }
        self.seal(&mut maintenance)?;
        Ok(())
    }

    /// Bytes of lines and metadata in memory that are not in a segment yet.
    pub(crate) fn held(&self, generation: &Generation) -> u64 {
        generation.bytes.load(Ordering::Relaxed) + self.counters.unsealed.load(Ordering::Relaxed)
    }

    /// Lets a push that comes faster than segments are written write one itself: memory stays bounded, and those who push are
    /// slowed down to what the disk and the processor can take instead of being refused. What fails is told by
    /// [`Db::maintain`], which tries it again.
    pub(crate) fn make_room(&self) {
        let (bytes, held) = {
            let generation = self.generation.read();
            (generation.bytes.load(Ordering::Relaxed), self.held(&generation))
        };
        let limit = self.options.head_bytes;
        if bytes < self.options.segment_bytes.saturating_mul(2).min(limit) && held <= limit {
            return;
        }
        // Somebody else may be at it: up to the limit there is no need to wait.
        let maintenance = if held > limit { Some(self.maintenance.lock()) } else { self.maintenance.try_lock() };
        let Some(mut maintenance) = maintenance else { return };
        let still = self.generation.read().bytes.load(Ordering::Relaxed) >= self.options.segment_bytes.min(limit);
        if still || maintenance.frozen.is_some() {
            let _ = self.seal(&mut maintenance);
        }
    }

    fn is_due(&self, now_ns: i64) -> bool {
        let generation = self.generation.read();
        let mut since = generation.since_ns.load(Ordering::Relaxed);
        if since == 0 && self.head.len() > 0 {
            // Read back from the log: as old as the first look at the clock.
            since = now_ns.max(1);
            let _ = generation.since_ns.compare_exchange(0, since, Ordering::Relaxed, Ordering::Relaxed);
        }
        generation.bytes.load(Ordering::Relaxed) >= self.options.segment_bytes
            || since != 0 && now_ns.saturating_sub(since) >= self.options.segment_age_ns
    }

    /// Lets go of the directories of segments that were not used for long, until the others fit.
    fn limit_cache(&self) {
        let view = self.view().clone();
        let mut used: Vec<_> =
            view.segments.iter().filter_map(|s| s.directory_use().map(|(last, bytes)| (last, bytes, s))).collect();
        used.sort_unstable_by_key(|(last, ..)| std::cmp::Reverse(*last));
        let mut total = 0;
        for (_, bytes, segment) in used {
            total += bytes;
            if total > self.options.cache_bytes {
                segment.forget_directory();
            }
        }
    }

    fn look_at_space(&self, report: &mut MaintainReport) {
        let result = self.options.brake.check(&*self.files, &self.dir);
        *self.refusing.write() = match result {
            Ok(()) => None,
            Err(error) => {
                let reason = match &error {
                    disk::Error::Refusing { reason } => reason.clone(),
                    other => other.to_string(),
                };
                let refuse = error.kind() == DiskErrorKind::Refusing;
                report.errors.push(error.into());
                refuse.then_some(reason)
            }
        };
    }

    /// Closes the generation of the head that takes entries; returns whether there is one to be written.
    fn freeze(&self, maintenance: &mut Maintenance) -> Result<bool, Error> {
        if maintenance.frozen.is_some() {
            return Ok(true);
        }
        // Most of the waiting happens here, while pushes go on.
        self.wal.sync()?;
        let mut generation = self.generation.write();
        if self.head.len() == 0 {
            return Ok(false);
        }
        let log_from = self.wal.rotate()?;
        maintenance.frozen = Some((generation.number, log_from));
        self.counters.unsealed.store(generation.bytes.load(Ordering::Relaxed), Ordering::Relaxed);
        *generation = Generation { number: generation.number + 1, ..Generation::default() };
        Ok(true)
    }

    /// Writes the frozen generation into a segment, shows the segment in place of the chunks, and lets go of the log.
    pub(crate) fn seal(&self, maintenance: &mut Maintenance) -> Result<bool, Error> {
        if !self.freeze(maintenance)? {
            return Ok(false);
        }
        let Some((generation, log_from)) = maintenance.frozen else { return Ok(false) };
        let sealed = self.view().sealed;
        let mut wrote = false;
        if generation > sealed {
            let segment = self.write_segment(generation, maintenance)?;
            let mut segments = self.view().segments.clone();
            wrote = segment.is_some();
            segments.extend(segment);
            self.set_view(View::new(segments, generation));
            self.head.forget_sealed(generation);
            self.counters.unsealed.store(0, Ordering::Relaxed);
            self.counters.sealed.fetch_add(u64::from(wrote), Ordering::Relaxed);
        }
        self.wal.remove_before(log_from)?;
        maintenance.frozen = None;
        Ok(wrote)
    }

    fn write_segment(&self, generation: u64, maintenance: &mut Maintenance) -> Result<Option<Arc<Segment>>, Error> {
        let dir = self.segments_dir();
        let sealed = self.view().sealed;
        let mut streams = self.head.streams();
        streams.sort_by(|a, b| a.labels.cmp(&b.labels));
        let id = maintenance.next_segment;
        let mut writer = SegmentWriter::create(&*self.files, &dir, id)?;
        let mut entries = LogColumns::new();
        for stream in &streams {
            // At most one: generations are sealed one by one.
            for chunk in stream.chunks_after(sealed).into_iter().filter(|chunk| chunk.generation <= generation) {
                chunk.read_all(&mut entries);
                if !entries.is_empty() {
                    writer.add_stream(&stream.labels, &entries);
                }
            }
        }
        if !writer.finish(Origin { generation, ..Origin::default() })? {
            return Ok(None);
        }
        maintenance.next_segment = SegmentId(id.0 + 1);
        Ok(Some(Arc::new(Segment::open(&*self.files, &dir, id)?)))
    }

    /// Drops what is not kept any more and makes small segments into larger ones; one step with each call.
    fn maintain_segments(
        &self,
        maintenance: &mut Maintenance,
        now_ns: i64,
        merge: bool,
        report: &mut MaintainReport,
    ) -> Result<(), Error> {
        self.remove_garbage(maintenance)?;
        let (expired, rewritten) = self.expire(maintenance, now_ns)?;
        report.expired += expired;
        report.more = rewritten || self.carry_out_deletes(maintenance, now_ns)?;
        if merge && !report.more {
            // Not while segments are looked through for entries to be deleted.
            report.merged += self.compact(maintenance, now_ns)?;
            report.more = report.merged > 0;
        }
        Ok(())
    }

    /// Puts a segment in place of others, or nothing, and removes their files.
    pub(crate) fn replace(
        &self,
        maintenance: &mut Maintenance,
        sources: &[Arc<Segment>],
        segment: Option<Arc<Segment>>,
    ) -> Result<(), Error> {
        let view = self.view().replaced(sources, segment);
        self.set_view(view);
        maintenance.garbage.extend(sources.iter().map(|source| source.path.clone()));
        self.remove_garbage(maintenance)
    }

    /// Removes files of segments that are not read any more. When it returns, they are gone for good.
    pub(crate) fn remove_garbage(&self, maintenance: &mut Maintenance) -> Result<(), Error> {
        if maintenance.garbage.is_empty() {
            return Ok(());
        }
        for path in &maintenance.garbage {
            match self.files.remove_file(path) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e).at("remove", path)?,
                _ => {}
            }
        }
        let dir = self.segments_dir();
        self.files.sync_dir(&dir).at("sync", &dir)?;
        maintenance.garbage.clear();
        Ok(())
    }
}
