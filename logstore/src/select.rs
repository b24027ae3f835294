//! Reading: [`LogSource`] over the head and the segments as one.
//!
//! A selection holds on to the chunks and segments it found, so what it reads neither changes nor goes away, whatever is
//! sealed or dropped meanwhile.

use std::collections::BTreeSet;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use model::{
    Direction, LabelQuery, Labels, LogColumns, LogSelect, LogSelection, LogSource, LogUnit, Matcher, SourceError,
};

use crate::db::Db;
use crate::error::Error;
use crate::head::{Chunk, ReadSpec};
use crate::needles::Needles;
use crate::segment::{Plan, Segment};

const NS_PER_MS: i64 = 1_000_000;

struct Selection {
    streams: Vec<Labels>,
    units: Vec<LogUnit>,
    places: Vec<Place>,
    start_ns: i64,
    end_ns: i64,
    needles: Arc<Needles>,
    sources: Vec<Source>,
    skip_lines: bool,
    skip_metadata: bool,
    warnings: Vec<String>,
}

/// Where the entries of a unit are.
enum Place {
    Open { chunk: Arc<Chunk>, part: usize, entries: usize },
    Sealed { source: usize, unit: u32 },
}

/// A segment that units were found in.
struct Source {
    segment: Arc<Segment>,
    /// Where the needles are, if there are any.
    plan: Option<Plan>,
}

/// Collects units; gives each label set one number.
#[derive(Default)]
struct Collector {
    streams: Vec<Labels>,
    numbers: HashMap<Labels, u32, RandomState>,
    units: Vec<(LogUnit, Place)>,
    sources: Vec<Source>,
    warnings: Vec<String>,
}

impl Collector {
    fn stream(&mut self, labels: &Labels) -> u32 {
        let streams = &mut self.streams;
        *self.numbers.entry_ref(labels).or_insert_with(|| {
            streams.push(labels.clone());
            streams.len() as u32 - 1
        })
    }
}

impl Collector {
    /// Adds the units of a segment; all or none.
    fn add_segment(
        &mut self,
        segment: &Arc<Segment>,
        request: &LogSelect,
        needles: &Arc<Needles>,
        inside: impl Fn(i64, i64) -> bool,
    ) -> Result<(), Error> {
        let wanted = |unit: &u32| {
            let info = segment.unit(*unit);
            inside(info.min_ns, info.max_ns)
        };
        let plan = segment.plan(needles)?;
        // What cannot be read is found out when it is read, and told by the reader.
        let may_match = |unit: &u32| plan.as_ref().is_none_or(|plan| segment.may_match(*unit, plan).unwrap_or(true));
        let mut streams = Vec::new();
        let mut units: Vec<u32> = Vec::new();
        for stream in segment.select(&request.matchers)? {
            let before = units.len();
            units.extend(segment.units_of(stream).filter(wanted).filter(may_match));
            if units.len() > before {
                streams.push((stream, units.len()));
            }
        }
        let (before, source) = (self.units.len(), self.sources.len());
        let mut ends = streams.iter().map(|(_, end)| *end);
        let mut rest = &units[..];
        let mut from = 0;
        let result = segment.visit_labels(streams.iter().map(|(stream, _)| *stream), &mut |_, labels| {
            let stream = self.stream(&labels);
            let end = ends.next().unwrap_or(from);
            let (of_stream, others) = rest.split_at((end - from).min(rest.len()));
            (rest, from) = (others, end);
            for unit in of_stream {
                let info = segment.unit(*unit);
                let of_selection = LogUnit {
                    stream,
                    min_ns: info.min_ns,
                    max_ns: info.max_ns,
                    entries: u64::from(info.entries),
                    bytes: info.bytes,
                };
                self.units.push((of_selection, Place::Sealed { source, unit: *unit }));
            }
        });
        if result.is_err() {
            self.units.truncate(before);
        }
        if self.units.len() > before {
            self.sources.push(Source { segment: segment.clone(), plan });
        }
        result
    }
}

impl LogSource for Db {
    fn select<'a>(&'a self, request: &LogSelect) -> Result<Box<dyn LogSelection + 'a>, SourceError> {
        self.check_open()?;
        let mut found = Collector::default();
        let needles = Arc::new(Needles::new(&request.needles));
        let inside = |min_ns: i64, max_ns: i64| min_ns < request.end_ns && max_ns >= request.start_ns;
        // While the view is held, no chunk leaves the head: nothing is seen twice or missed.
        let view = self.view();
        for segment in &view.segments {
            if !inside(segment.info.min_ns, segment.info.max_ns) {
                continue;
            }
            if let Err(error) = found.add_segment(segment, request, &needles, inside) {
                self.note_damage(&error);
                found.warnings.push(format!("{error}; the segment is left out"));
            }
        }
        for stream in self.head().select(&request.matchers) {
            for chunk in stream.chunks_after(view.sealed) {
                for (part, info) in chunk.parts().into_iter().enumerate() {
                    if inside(info.min_ns, info.max_ns) {
                        let unit = LogUnit {
                            stream: found.stream(&stream.labels),
                            min_ns: info.min_ns,
                            max_ns: info.max_ns,
                            entries: info.entries as u64,
                            bytes: info.bytes,
                        };
                        let place = Place::Open { chunk: chunk.clone(), part, entries: info.entries };
                        found.units.push((unit, place));
                    }
                }
            }
        }
        drop(view);
        // Both sorts are stable over "older first", so equal times keep the order of arrival.
        match request.direction {
            Direction::Forward => found.units.sort_by_key(|(unit, _)| unit.min_ns),
            Direction::Backward => {
                found.units.reverse();
                found.units.sort_by_key(|(unit, _)| std::cmp::Reverse(unit.max_ns));
            }
        }
        let (units, places) = found.units.into_iter().unzip();
        Ok(Box::new(Selection {
            streams: found.streams,
            units,
            places,
            start_ns: request.start_ns,
            end_ns: request.end_ns,
            needles,
            sources: found.sources,
            skip_lines: request.skip_lines,
            skip_metadata: request.skip_metadata,
            warnings: found.warnings,
        }))
    }

    fn label_names(&self, query: &LabelQuery) -> Result<Vec<String>, SourceError> {
        let mut names = BTreeSet::new();
        self.visit_streams(query, Memory::All, &mut |labels| {
            for (name, _) in labels {
                if !names.contains(name) {
                    names.insert(name.to_owned());
                }
            }
        })?;
        Ok(limited(names, query.limit))
    }

    fn label_values(&self, name: &str, query: &LabelQuery) -> Result<Vec<String>, SourceError> {
        let mut values = BTreeSet::new();
        self.visit_streams(query, Memory::All, &mut |labels| {
            if let Some(value) = labels.get(name).filter(|value| !values.contains(*value)) {
                values.insert(value.to_owned());
            }
        })?;
        Ok(limited(values, query.limit))
    }

    fn series(&self, query: &LabelQuery) -> Result<Vec<Labels>, SourceError> {
        let mut found = BTreeSet::new();
        self.visit_streams(query, Memory::InRange, &mut |labels| {
            if !found.contains(labels) {
                found.insert(labels.clone());
            }
        })?;
        Ok(limited(found, query.limit))
    }
}

fn limited<T>(found: BTreeSet<T>, limit: usize) -> Vec<T> {
    let limit = if limit == 0 { usize::MAX } else { limit };
    found.into_iter().take(limit).collect()
}

/// Which streams in memory a query of labels is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Memory {
    /// Those with entries in its time range.
    InRange,
    /// All of them: names and values of what is being written are told at any time, as log systems do.
    All,
}

impl Db {
    /// Hands over the label sets of streams with entries in the range of the query; one may come several times.
    fn visit_streams(
        &self,
        query: &LabelQuery,
        memory: Memory,
        visit: &mut dyn FnMut(&Labels),
    ) -> Result<(), SourceError> {
        self.check_open()?;
        let start_ns = query.start_ms.saturating_mul(NS_PER_MS);
        let end_ns = query.end_ms.saturating_mul(NS_PER_MS).saturating_add(NS_PER_MS - 1);
        let inside = |min_ns: i64, max_ns: i64| min_ns <= end_ns && max_ns >= start_ns;
        let all: Vec<Vec<Matcher>> = vec![Vec::new()];
        let selectors = if query.selectors.is_empty() { &all } else { &query.selectors };
        let view = self.view();
        for selector in selectors {
            for segment in view.segments.iter().filter(|s| inside(s.info.min_ns, s.info.max_ns)) {
                let wanted = |stream: &u32| {
                    let mut units = segment.units_of(*stream).map(|unit| segment.unit(unit));
                    units.any(|unit| inside(unit.min_ns, unit.max_ns))
                };
                let result = segment.select(selector).and_then(|streams| {
                    segment.visit_labels(streams.into_iter().filter(wanted), &mut |_, labels| visit(&labels))
                });
                if let Err(error) = result {
                    self.note_damage(&error);
                }
            }
            for stream in self.head().select(selector) {
                let chunks = stream.chunks_after(view.sealed);
                let parts = chunks.iter().flat_map(|chunk| chunk.parts());
                let mut parts = parts.into_iter();
                if memory == Memory::All || parts.any(|part| inside(part.min_ns, part.max_ns)) {
                    visit(&stream.labels);
                }
            }
        }
        Ok(())
    }
}

impl LogSelection for Selection {
    fn streams(&self) -> &[Labels] {
        &self.streams
    }

    fn units(&self) -> &[LogUnit] {
        &self.units
    }

    fn read(&self, index: usize, out: &mut LogColumns) -> Result<(), SourceError> {
        let spec = ReadSpec {
            start_ns: self.start_ns,
            end_ns: self.end_ns,
            needles: &self.needles,
            skip_lines: self.skip_lines,
            skip_metadata: self.skip_metadata,
        };
        match self.places.get(index) {
            Some(Place::Open { chunk, part, entries }) => chunk.read_part(*part, *entries, &spec, out),
            Some(Place::Sealed { source, unit }) => {
                let source = &self.sources[*source];
                source.segment.read(*unit, &spec, source.plan.as_ref(), out)?;
            }
            None => out.clear(),
        }
        Ok(())
    }

    fn has_metadata(&self, index: usize) -> bool {
        match self.places.get(index) {
            Some(Place::Open { chunk, part, .. }) => chunk.has_metadata(*part),
            Some(Place::Sealed { source, unit }) => self.sources[*source].segment.unit(*unit).pairs > 0,
            None => false,
        }
    }

    fn warnings(&self) -> Vec<String> {
        self.warnings.clone()
    }

    fn count(&self, index: usize, start_ns: i64, end_ns: i64) -> Option<u64> {
        let place = self.places.get(index)?;
        let (start_ns, end_ns) = (start_ns.max(self.start_ns), end_ns.min(self.end_ns));
        match place {
            Place::Open { chunk, part, entries } => Some(chunk.count_part(*part, *entries, start_ns, end_ns)),
            Place::Sealed { source, unit } => self.sources[*source].segment.count(*unit, start_ns, end_ns).ok(),
        }
    }
}
