//! The write path: check, find the streams, log, insert, wait for the log.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use model::Labels;
use smallvec::SmallVec;

use crate::db::{Db, Generation, entry_bytes};
use crate::error::Error;
use crate::head::Stream;
use crate::limits::{Limits, Refusal, metadata_bytes};
use crate::push::{PushEntry, PushReport, PushStream, StreamKey};
use crate::record;
use crate::tail::Live;

/// Most bytes of lines and metadata in one push: a record of the log holds them with their lengths.
const MAX_PUSH_BYTES: u64 = 192 << 20;

/// Entries of one stream of a push that passed the checks so far.
struct Checked<'a, 'b> {
    /// Index of the stream in the push.
    index: usize,
    stream: Known<'a>,
    entries: &'a [PushEntry<'b>],
    /// Which of the entries; `None`: all.
    rows: Option<Vec<u32>>,
}

enum Known<'a> {
    Stream(Arc<Stream>),
    /// Its labels, and the text by which it is sent.
    Labels(Labels, Option<&'a str>),
}

impl Known<'_> {
    fn labels(&self) -> &Labels {
        match self {
            Self::Stream(stream) => &stream.labels,
            Self::Labels(labels, _) => labels,
        }
    }
}

impl<'a, 'b> Checked<'a, 'b> {
    fn iter(&self) -> impl Iterator<Item = &'a PushEntry<'b>> + Clone + use<'a, 'b, '_> {
        let entries = self.entries;
        let all = if self.rows.is_none() { entries } else { &[] };
        let rows = self.rows.as_deref().unwrap_or(&[]);
        all.iter().chain(rows.iter().map(move |row| &entries[*row as usize]))
    }

    /// Entries and bytes as rates count them.
    fn size(&self) -> (u64, u64) {
        self.iter().fold((0, 0), |(entries, bytes), entry| (entries + 1, bytes + rate_bytes(entry)))
    }
}

fn rate_bytes(entry: &PushEntry<'_>) -> u64 {
    (entry.line.len() + metadata_bytes(entry.metadata)) as u64
}

impl Db {
    /// Stores entries. When this returns, they are in the log as durably as [`crate::Options::wal_sync`] asks, and visible.
    ///
    /// Entries that a limit refuses are left out and told in the report; the rest is stored. An entry that is stored
    /// already (same stream, timestamp, line and metadata) is not stored again, however long ago it came.
    ///
    /// # Errors
    /// When nothing was acknowledged: a rate or a size is exceeded, the disk fails or is nearly full, the store is closed.
    /// After a failure of the disk the entries may be there nevertheless; sending them again is safe.
    pub fn push(&self, streams: &[PushStream<'_>], now_ns: i64) -> Result<PushReport, Error> {
        self.check_open()?;
        if let Some(reason) = &*self.refusing.read() {
            return Err(disk::Error::Refusing { reason: reason.clone() }.into());
        }
        self.make_room();
        let limits = self.limits.read().clone();
        let mut report = PushReport::default();
        let result = self.push_checked(streams, &limits, now_ns, &mut report);
        self.counters.refused.fetch_add(report.refused_entries(), Ordering::Relaxed);
        result.map(|()| report)
    }

    fn push_checked(
        &self,
        streams: &[PushStream<'_>],
        limits: &Limits,
        now_ns: i64,
        report: &mut PushReport,
    ) -> Result<(), Error> {
        let mut checked: SmallVec<[Checked<'_, '_>; 8]> = SmallVec::new();
        for (index, push) in streams.iter().enumerate().filter(|(_, push)| !push.entries.is_empty()) {
            match self.resolve(&push.key, limits) {
                Ok(stream) => {
                    let rows = check_entries(index, push.entries, stream.labels(), limits, now_ns, report);
                    if rows.as_ref().is_none_or(|rows| !rows.is_empty()) {
                        checked.push(Checked { index, stream, entries: push.entries, rows });
                    }
                }
                Err(refusal) => refuse_all(report, index, push.entries.iter(), refusal),
            }
        }
        let (entries, bytes) = checked.iter().map(Checked::size).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
        if bytes > MAX_PUSH_BYTES {
            return Err(Error::PushTooLarge { bytes, limit: MAX_PUSH_BYTES });
        }
        if let Some(rate) = limits.rate
            && !self.rate.lock().take(rate, bytes, now_ns)
        {
            self.counters.refused.fetch_add(entries, Ordering::Relaxed);
            return Err(Error::Refused(Box::new(Refusal::RateLimited {
                tenant: limits.tenant.clone(),
                bytes_per_second: rate.bytes_per_second as u64,
                lines: entries,
                bytes,
            })));
        }
        checked.retain(|target| self.place(target, limits, now_ns, report));
        if checked.is_empty() {
            return Ok(());
        }
        let mut live = Live::default();
        let position = self.store(&checked, now_ns, report, &mut live)?;
        self.wal.commit(position)?;
        self.tails.deliver(live);
        Ok(())
    }

    fn resolve<'a>(&self, key: &StreamKey<'a>, limits: &Limits) -> Result<Known<'a>, Refusal> {
        match *key {
            StreamKey::Labels(labels) => {
                limits.check_labels(labels, labels)?;
                Ok(Known::Labels(labels.clone(), None))
            }
            StreamKey::Raw { text, resolve } => {
                if let Some(stream) = self.head.find_raw(text) {
                    return Ok(Known::Stream(stream));
                }
                let labels = resolve(text).map_err(|error| Refusal::InvalidLabels { text: text.to_owned(), error })?;
                limits.check_labels(&labels, &text)?;
                Ok(Known::Labels(labels, Some(text)))
            }
        }
    }

    /// Finds or makes the stream and takes the entries from its rate; false when nothing is left.
    fn place(&self, target: &mut Checked<'_, '_>, limits: &Limits, now_ns: i64, report: &mut PushReport) -> bool {
        if let Known::Labels(labels, text) = &target.stream {
            match self.head.stream(labels, limits.max_streams) {
                Ok(stream) => {
                    if let Some(text) = text {
                        self.head.remember_raw(text, &stream);
                    }
                    target.stream = Known::Stream(stream);
                }
                Err(_) => {
                    let refusal = Refusal::StreamLimit { labels: labels.clone(), tenant: limits.tenant.clone() };
                    refuse_all(report, target.index, target.iter(), refusal);
                    return false;
                }
            }
        }
        let (Some(rate), Known::Stream(stream)) = (limits.stream_rate, &target.stream) else { return true };
        if stream.take(rate, target.size().1, now_ns) {
            return true;
        }
        // Not all of them fit: as many as do.
        let mut rows = Vec::new();
        for row in 0..target.entries.len() as u32 {
            if target.rows.as_ref().is_some_and(|rows| rows.binary_search(&row).is_err()) {
                continue;
            }
            let entry = &target.entries[row as usize];
            let bytes = rate_bytes(entry);
            if stream.take(rate, bytes, now_ns) {
                rows.push(row);
            } else {
                let refusal = Refusal::StreamRateLimited {
                    labels: stream.labels.clone(),
                    bytes_per_second: rate.bytes_per_second as u64,
                    bytes,
                };
                report.refuse(target.index, entry.timestamp_ns, 1, bytes, refusal);
            }
        }
        target.rows = Some(rows);
        target.rows.as_ref().is_some_and(|rows| !rows.is_empty())
    }

    /// Writes the record and inserts the entries; the log still has to commit.
    fn store(
        &self,
        targets: &[Checked<'_, '_>],
        now_ns: i64,
        report: &mut PushReport,
        live: &mut Live,
    ) -> Result<disk::Position, Error> {
        let generation = self.generation.read();
        let held = self.held(&generation);
        if held > self.options.head_bytes {
            return Err(Error::HeadFull { bytes: held, limit: self.options.head_bytes });
        }
        let mut payload = self.buffers.lock().pop().unwrap_or_default();
        record::begin(&mut payload, generation.number, targets.len());
        for target in targets {
            record::put_stream(&mut payload, target.stream.labels().as_encoded(), target.iter());
        }
        let position = self.wal.append(record::KIND_PUSH, &payload)?;
        if payload.capacity() <= 4 << 20 {
            self.buffers.lock().push(payload);
        }
        let before = report.accepted_bytes;
        for target in targets {
            self.insert(target, &generation, report, live);
        }
        generation.bytes.fetch_add(report.accepted_bytes - before, Ordering::Relaxed);
        let _ = generation.since_ns.compare_exchange(0, now_ns.max(1), Ordering::Relaxed, Ordering::Relaxed);
        let add = |counter: &AtomicU64, n| counter.fetch_add(n, Ordering::Relaxed);
        add(&self.counters.entries, report.accepted);
        add(&self.counters.bytes, report.accepted_bytes);
        add(&self.counters.duplicates, report.duplicates);
        Ok(position)
    }

    fn insert(&self, target: &Checked<'_, '_>, generation: &Generation, report: &mut PushReport, live: &mut Live) {
        let labels = target.stream.labels();
        let (chunk, older) = loop {
            let open = match &target.stream {
                Known::Stream(stream) => stream.open(generation.number),
                Known::Labels(..) => None,
            };
            // A stream that left memory a moment ago comes back, whatever the limit says: its record is written.
            let open = open.or_else(|| self.head.stream(labels, 0).ok()?.open(generation.number));
            if let Some(open) = open {
                break open;
            }
            std::hint::spin_loop();
        };
        // Taken after the chunks: what has left the older chunks meanwhile is in these segments.
        let view = self.view().clone();
        let elsewhere = |timestamp_ns: i64, line: &str, metadata: &[(&str, &str)]| {
            older.iter().any(|chunk| chunk.contains(timestamp_ns, line, metadata))
                || view.contains(labels, timestamp_ns, line, metadata)
        };
        let entries = target.iter().map(|entry| (entry.timestamp_ns, entry.line, entry.metadata));
        let (mut accepted, mut offered) = (0, 0);
        let mut followed = self.tails.of_stream(labels);
        chunk.insert(entries.inspect(|_| offered += 1), elsewhere, |timestamp_ns, line, metadata| {
            accepted += 1;
            report.accepted_bytes += entry_bytes(line, metadata);
            if let Some(followed) = &mut followed {
                followed.push(timestamp_ns, line, metadata);
            }
        });
        live.extend(followed);
        report.accepted += accepted;
        report.duplicates += offered - accepted;
    }
}

fn check_entries(
    index: usize,
    entries: &[PushEntry<'_>],
    labels: &Labels,
    limits: &Limits,
    now_ns: i64,
    report: &mut PushReport,
) -> Option<Vec<u32>> {
    let mut kept: Option<Vec<u32>> = None;
    for (row, entry) in entries.iter().enumerate() {
        match limits.check_entry(labels, entry.timestamp_ns, entry.line, entry.metadata, now_ns) {
            Ok(()) => {
                if let Some(kept) = &mut kept {
                    kept.push(row as u32);
                }
            }
            Err(refusal) => {
                kept.get_or_insert_with(|| (0..row as u32).collect());
                report.refuse(index, entry.timestamp_ns, 1, entry_bytes(entry.line, entry.metadata), refusal);
            }
        }
    }
    kept
}

fn refuse_all<'a, 'b: 'a>(
    report: &mut PushReport,
    index: usize,
    entries: impl Iterator<Item = &'a PushEntry<'b>>,
    refusal: Refusal,
) {
    let (mut count, mut bytes, mut first) = (0, 0, None);
    for entry in entries {
        count += 1;
        bytes += entry_bytes(entry.line, entry.metadata);
        first.get_or_insert(entry.timestamp_ns);
    }
    report.refuse(index, first.unwrap_or(0), count, bytes, refusal);
}
