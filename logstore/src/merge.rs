//! Segments made of segments: many small ones become a larger one, so that there are few files to look into and their
//! columns and words are shared by many lines; and one is written again without entries that have to go.
//!
//! Only neighbours in the order of generations are merged, so that the order of segments stays the order of arrival, and only when
//! the largest of them is at most half of the whole: a byte is written again a few times until its segment is full.
//! A segment that cannot be read to the end is left alone.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use model::{Labels, LogColumns};

use crate::db::{Db, Maintenance};
use crate::deletes::{Rule, StreamRules, for_stream};
use crate::error::Error;
use crate::head::ReadSpec;
use crate::retention::Rules;
use crate::segment::{Origin, Segment, SegmentId, SegmentWriter};

/// So many segments at least are merged, and at most.
const MIN_RUN: usize = 4;
const MAX_RUN: usize = 32;
/// Entries take at most this many bytes of memory while they are merged.
const MAX_MERGE_BYTES: usize = 1 << 30;

/// Which entries are left out of a new segment.
pub(crate) struct Discard<'a> {
    /// Those too old by these rules at this time,
    pub(crate) rules: &'a Rules,
    pub(crate) now_ns: i64,
    /// those whose deletion is due,
    pub(crate) deletes: &'a [Arc<Rule>],
    /// and units that cannot be read, instead of giving up.
    pub(crate) skip_unreadable: bool,
}

/// The same for one stream.
struct StreamDiscard {
    oldest_ns: i64,
    deletes: StreamRules,
}

impl StreamDiscard {
    /// Appends the entries that are kept.
    fn append_kept(&self, labels: &Labels, from: &LogColumns, to: &mut LogColumns) {
        let kept = |row: &usize| {
            from.timestamps[*row] >= self.oldest_ns && !self.deletes.iter().any(|rule| rule.means(labels, from, *row))
        };
        append(from, (0..from.len()).filter(kept), to);
    }
}

/// What the choice of segments depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Candidate {
    bytes: u64,
    min_ns: i64,
    max_ns: i64,
    mergeable: bool,
}

/// The segments to be merged next, of a list in the order of generations: the longest run from the oldest place that has one.
fn choose(parts: &[Candidate], max_bytes: u64, max_span_ns: i64) -> Option<Range<usize>> {
    for start in 0..parts.len() {
        let (mut total, mut largest, mut min_ns, mut max_ns) = (0u64, 0u64, i64::MAX, i64::MIN);
        let mut found = None;
        for (end, part) in parts.iter().enumerate().skip(start).take(MAX_RUN) {
            total = total.saturating_add(part.bytes);
            largest = largest.max(part.bytes);
            (min_ns, max_ns) = (min_ns.min(part.min_ns), max_ns.max(part.max_ns));
            if !part.mergeable || total > max_bytes || max_ns.saturating_sub(min_ns) > max_span_ns {
                break;
            }
            if end + 1 - start >= MIN_RUN && largest.saturating_mul(2) <= total {
                found = Some(start..end + 1);
            }
        }
        if found.is_some() {
            return found;
        }
    }
    None
}

impl Db {
    /// Merges the segments whose turn it is; returns how many.
    pub(crate) fn compact(&self, maintenance: &mut Maintenance, now_ns: i64) -> Result<u64, Error> {
        let view = self.view().clone();
        let candidate = |segment: &Arc<Segment>| Candidate {
            bytes: segment.weight(),
            min_ns: segment.info.min_ns,
            max_ns: segment.info.max_ns,
            mergeable: !maintenance.unmergeable.contains(&segment.id),
        };
        let parts: Vec<Candidate> = view.segments.iter().map(candidate).collect();
        let max_bytes = self.options.segment_bytes.saturating_add(self.options.segment_bytes / 2);
        // What retention drops as a whole should not span much more time than it keeps.
        let rules = self.retention.read().clone();
        let max_span_ns = rules.all.max_age_ms.map_or(i64::MAX, |age| (age / 8).saturating_mul(1_000_000));
        let Some(run) = choose(&parts, max_bytes, max_span_ns) else { return Ok(0) };
        let sources = &view.segments[run];
        let discard = Discard { rules: &rules, now_ns, deletes: &[], skip_unreadable: false };
        match self.merge(maintenance, sources, &discard)? {
            Merge::Made(segment) => self.replace(maintenance, sources, segment)?,
            Merge::Unreadable(id, error) => {
                maintenance.unmergeable.insert(id);
                self.note_damage(&error);
                return Ok(0);
            }
            Merge::TooLarge => {
                maintenance.unmergeable.extend(sources.iter().map(|source| source.id));
                return Ok(0);
            }
        }
        self.counters.merged.fetch_add(sources.len() as u64, Ordering::Relaxed);
        Ok(sources.len() as u64)
    }

    /// Writes the entries of segments, given in the order of generations, into a new one.
    pub(crate) fn merge(
        &self,
        maintenance: &mut Maintenance,
        sources: &[Arc<Segment>],
        discard: &Discard<'_>,
    ) -> Result<Merge, Error> {
        let dir = self.segments_dir();
        let id = maintenance.next_segment;
        maintenance.next_segment = SegmentId(id.0 + 1);
        let mut writer = SegmentWriter::create(&*self.files, &dir, id)?;
        let mut streams = Streams::new(sources);
        let (mut unit_entries, mut entries, mut sorted) = (LogColumns::new(), LogColumns::new(), LogColumns::new());
        let mut bytes = 0;
        loop {
            entries.clear();
            let next = match streams.next() {
                Ok(Some(next)) => next,
                Ok(None) => break,
                Err((source, error)) => {
                    writer.abandon();
                    return Ok(Merge::Unreadable(source, error));
                }
            };
            let of_stream = StreamDiscard {
                oldest_ns: discard.rules.oldest_ns(&next.labels, discard.now_ns),
                deletes: for_stream(discard.deletes, &next.labels),
            };
            for (source, stream) in next.places {
                let segment = &sources[source];
                for unit in segment.units_of(stream) {
                    match segment.read(unit, &ReadSpec::everything(), None, &mut unit_entries) {
                        Err(error) if discard.skip_unreadable => self.note_damage(&error),
                        Err(error) => {
                            writer.abandon();
                            return Ok(Merge::Unreadable(segment.id, error));
                        }
                        Ok(()) => of_stream.append_kept(&next.labels, &unit_entries, &mut entries),
                    }
                    bytes += unit_entries.text.len();
                    if bytes > MAX_MERGE_BYTES && sources.len() > 1 {
                        writer.abandon();
                        return Ok(Merge::TooLarge);
                    }
                }
            }
            if !entries.is_empty() {
                writer.add_stream(&next.labels, in_order(&entries, &mut sorted));
            }
        }
        let level = sources.iter().map(|source| source.info.level).max().unwrap_or(0) + 1;
        let generation = sources.iter().map(|source| source.info.generation).max().unwrap_or(0);
        let origin = Origin { generation, level, sources: sources.iter().map(|source| source.id.0).collect() };
        let made = writer.finish(origin).and_then(|any| match any {
            true => Ok(Some(Arc::new(Segment::open(&*self.files, &dir, id)?))),
            false => Ok(None),
        });
        if made.is_err() {
            // It may be there under its name, and would be taken for the newest form of its sources after a restart.
            maintenance.garbage.push(id.path(&dir));
        }
        Ok(Merge::Made(made?))
    }
}

/// What came of a merge.
pub(crate) enum Merge {
    /// The new segment, `None` when no entry was left.
    Made(Option<Arc<Segment>>),
    /// Of this segment something cannot be read.
    Unreadable(SegmentId, Error),
    /// The entries do not fit into memory.
    TooLarge,
}

/// Appends rows of one list to another.
fn append(from: &LogColumns, rows: impl Iterator<Item = usize>, to: &mut LogColumns) {
    for row in rows {
        to.push(from.timestamps[row], from.line(row), from.metadata(row));
    }
}

/// The entries oldest first, equal times as they came; `sorted` is for those that are not yet.
fn in_order<'a>(entries: &'a LogColumns, sorted: &'a mut LogColumns) -> &'a LogColumns {
    if entries.timestamps.is_sorted() {
        return entries;
    }
    let mut rows: Vec<usize> = (0..entries.len()).collect();
    rows.sort_by_key(|row| entries.timestamps[*row]);
    sorted.clear();
    append(entries, rows.into_iter(), sorted);
    sorted
}

/// Walks the streams of several segments in the order of their labels.
struct Streams<'a> {
    sources: &'a [Arc<Segment>],
    /// The next stream of each segment, and its labels once they were read.
    next: Vec<(u32, Option<Labels>)>,
}

/// A stream, and in which segments it is under which number.
struct NextStream {
    labels: Labels,
    places: Vec<(usize, u32)>,
}

impl<'a> Streams<'a> {
    fn new(sources: &'a [Arc<Segment>]) -> Self {
        Self { sources, next: vec![(0, None); sources.len()] }
    }

    fn next(&mut self) -> Result<Option<NextStream>, (SegmentId, Error)> {
        for (source, (stream, labels)) in self.sources.iter().zip(&mut self.next) {
            if labels.is_none() && *stream < source.streams() {
                *labels = Some(source.labels(*stream).map_err(|error| (source.id, error))?);
            }
        }
        let Some(labels) = self.next.iter().filter_map(|(_, labels)| labels.as_ref()).min().cloned() else {
            return Ok(None);
        };
        let mut places = Vec::new();
        for (source, (stream, own)) in self.next.iter_mut().enumerate() {
            if own.as_ref() == Some(&labels) {
                places.push((source, *stream));
                *stream += 1;
                *own = None;
            }
        }
        Ok(Some(NextStream { labels, places }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_neighbours_are_merged() {
        let parts = |bytes: &[u64]| -> Vec<Candidate> {
            let part = |(i, bytes): (usize, &u64)| Candidate {
                bytes: *bytes,
                min_ns: i as i64 * 10,
                max_ns: i as i64 * 10 + 9,
                mergeable: *bytes != 99,
            };
            bytes.iter().enumerate().map(part).collect()
        };
        type Case<'a> = (&'a [u64], i64, Option<Range<usize>>);
        let cases: &[Case<'_>] = &[
            (&[1, 1, 1], i64::MAX, None),
            (&[1, 1, 1, 1], i64::MAX, Some(0..4)),
            (&[1, 1, 1, 1, 1], i64::MAX, Some(0..5)),
            // The large one would be written again for little.
            (&[50, 1, 1, 1], i64::MAX, None),
            (&[50, 1, 1, 1, 2], i64::MAX, Some(1..5)),
            // Not more than the limit of 100.
            (&[30, 30, 30, 30, 30], i64::MAX, None),
            (&[25, 25, 25, 25, 25], i64::MAX, Some(0..4)),
            (&[1, 1, 99, 1, 1, 1, 1], i64::MAX, Some(3..7)),
            // Not over a longer time than that.
            (&[1, 1, 1, 1, 1, 1], 39, Some(0..4)),
            (&[1, 1, 1, 1, 1, 1], 38, None),
        ];
        for (bytes, span, want) in cases {
            assert_eq!(choose(&parts(bytes), 100, *span), *want, "{bytes:?} within {span}");
        }
        let many = vec![1; 40];
        assert_eq!(choose(&parts(&many), 100, i64::MAX), Some(0..MAX_RUN));
    }
}
