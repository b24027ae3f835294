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
use crate::head::{Chunk, ReadSpec};
use crate::needles::Needles;
use crate::segment::Segment;

const NS_PER_MS: i64 = 1_000_000;

struct Selection {
    streams: Vec<Labels>,
    units: Vec<LogUnit>,
    places: Vec<Place>,
    start_ns: i64,
    end_ns: i64,
    needles: Needles,
    skip_lines: bool,
    skip_metadata: bool,
}

/// Where the entries of a unit are.
enum Place {
    Open { chunk: Arc<Chunk>, part: usize, entries: usize },
    Sealed { segment: Arc<Segment>, unit: u32 },
}

/// Collects units; gives each label set one number.
#[derive(Default)]
struct Collector {
    streams: Vec<Labels>,
    numbers: HashMap<Labels, u32, RandomState>,
    units: Vec<(LogUnit, Place)>,
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

impl LogSource for Db {
    fn select<'a>(&'a self, request: &LogSelect) -> Result<Box<dyn LogSelection + 'a>, SourceError> {
        self.check_open()?;
        let mut found = Collector::default();
        let inside = |min_ns: i64, max_ns: i64| min_ns < request.end_ns && max_ns >= request.start_ns;
        // While the view is held, no chunk leaves the head: nothing is seen twice or missed.
        let view = self.view();
        for segment in &view.segments {
            if !inside(segment.info.min_ns, segment.info.max_ns) {
                continue;
            }
            for stream in segment.select(&request.matchers) {
                for unit in segment.units_of(stream) {
                    let info = segment.unit(unit);
                    if inside(info.min_ns, info.max_ns) {
                        let unit_of = LogUnit {
                            stream: found.stream(segment.labels(stream)),
                            min_ns: info.min_ns,
                            max_ns: info.max_ns,
                            entries: u64::from(info.entries),
                            bytes: info.bytes,
                        };
                        found.units.push((unit_of, Place::Sealed { segment: segment.clone(), unit }));
                    }
                }
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
            needles: Needles::new(&request.needles),
            skip_lines: request.skip_lines,
            skip_metadata: request.skip_metadata,
        }))
    }

    fn label_names(&self, query: &LabelQuery) -> Result<Vec<String>, SourceError> {
        let mut names = BTreeSet::new();
        self.visit_streams(query, &mut |labels| {
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
        self.visit_streams(query, &mut |labels| {
            if let Some(value) = labels.get(name).filter(|value| !values.contains(*value)) {
                values.insert(value.to_owned());
            }
        })?;
        Ok(limited(values, query.limit))
    }

    fn series(&self, query: &LabelQuery) -> Result<Vec<Labels>, SourceError> {
        let mut found = BTreeSet::new();
        self.visit_streams(query, &mut |labels| {
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

impl Db {
    /// Hands over the label sets of streams with entries in the range of the query; one may come several times.
    fn visit_streams(&self, query: &LabelQuery, visit: &mut dyn FnMut(&Labels)) -> Result<(), SourceError> {
        self.check_open()?;
        let start_ns = query.start_ms.saturating_mul(NS_PER_MS);
        let end_ns = query.end_ms.saturating_mul(NS_PER_MS).saturating_add(NS_PER_MS - 1);
        let inside = |min_ns: i64, max_ns: i64| min_ns <= end_ns && max_ns >= start_ns;
        let all: Vec<Vec<Matcher>> = vec![Vec::new()];
        let selectors = if query.selectors.is_empty() { &all } else { &query.selectors };
        let view = self.view();
        for selector in selectors {
            for segment in view.segments.iter().filter(|s| inside(s.info.min_ns, s.info.max_ns)) {
                for stream in segment.select(selector) {
                    let mut units = segment.units_of(stream).map(|unit| segment.unit(unit));
                    if units.any(|unit| inside(unit.min_ns, unit.max_ns)) {
                        visit(segment.labels(stream));
                    }
                }
            }
            for stream in self.head().select(selector) {
                let chunks = stream.chunks_after(view.sealed);
                let parts = chunks.iter().flat_map(|chunk| chunk.parts());
                if parts.into_iter().any(|part| inside(part.min_ns, part.max_ns)) {
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
            Some(Place::Sealed { segment, unit }) => segment.read(*unit, &spec, out)?,
            None => out.clear(),
        }
        Ok(())
    }

    fn count(&self, index: usize, start_ns: i64, end_ns: i64) -> Option<u64> {
        let place = self.places.get(index)?;
        let (start_ns, end_ns) = (start_ns.max(self.start_ns), end_ns.min(self.end_ns));
        match place {
            Place::Open { chunk, part, entries } => Some(chunk.count_part(*part, *entries, start_ns, end_ns)),
            Place::Sealed { segment, unit } => segment.count(*unit, start_ns, end_ns).ok(),
        }
    }
}
