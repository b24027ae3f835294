//! Background work, done when the owner calls [`Db::maintain`]: recovery of the log, segments, retention, the brake.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use disk::{ErrorKind as DiskErrorKind, IoContext};
use model::LogColumns;

use crate::db::{Db, Generation, Maintenance};
use crate::error::Error;
use crate::segment::{Segment, SegmentId, SegmentWriter};
use crate::view::View;

const NS_PER_MS: i64 = 1_000_000;

/// What a call of [`Db::maintain`] did.
#[derive(Debug, Default)]
pub struct MaintainReport {
    /// Segments written.
    pub sealed: u64,
    /// Segments dropped by retention.
    pub expired: u64,
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
        match self.expire(now_ns) {
            Ok(expired) => report.expired += expired,
            Err(error) => report.errors.push(error),
        }
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
    fn seal(&self, maintenance: &mut Maintenance) -> Result<bool, Error> {
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
        if !writer.finish(generation)? {
            return Ok(None);
        }
        maintenance.next_segment = SegmentId(id.0 + 1);
        Ok(Some(Arc::new(Segment::open(&*self.files, &dir, id)?)))
    }

    /// Drops segments that retention does not keep; returns how many.
    fn expire(&self, now_ns: i64) -> Result<u64, Error> {
        let retention = &self.options.retention;
        if *retention == disk::retention::Retention::default() {
            return Ok(0);
        }
        let space = self.files.space(&self.dir).at("statvfs", &self.dir)?;
        let view = self.view().clone();
        let parts: Vec<_> = view
            .segments
            .iter()
            .map(|s| disk::retention::Part { max_ms: s.info.max_ns.div_euclid(NS_PER_MS), bytes: s.file_bytes() })
            .collect();
        let log_bytes = self.wal.stats().segment_bytes;
        let expired = retention.expired(&parts, log_bytes, now_ns.div_euclid(NS_PER_MS), space);
        if expired.is_empty() {
            return Ok(0);
        }
        let gone: Vec<_> = expired.iter().map(|(index, _)| view.segments[*index].clone()).collect();
        let kept = view.segments.iter().filter(|s| !gone.iter().any(|g| g.id == s.id)).cloned().collect();
        self.set_view(View::new(kept, view.sealed));
        for segment in &gone {
            self.files.remove_file(&segment.path).at("remove", &segment.path)?;
        }
        let dir = self.segments_dir();
        self.files.sync_dir(&dir).at("sync", &dir)?;
        self.counters.expired.fetch_add(gone.len() as u64, Ordering::Relaxed);
        Ok(gone.len() as u64)
    }
}
