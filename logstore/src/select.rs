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
use crate::deletes::{Rule, StreamRules, for_stream};
use crate::error::Error;
use crate::head::{Chunk, ReadSpec};
use crate::needles::Needles;
use crate::segment::{Minutes, Plan, Segment, Shortening};

const NS_PER_MS: i64 = 1_000_000;

struct Selection {
    streams: Vec<Labels>,
    /// For each stream what hides entries of it; empty when nothing hides any.
    hidden: Vec<StreamRules>,
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
    /// Its counts per minute.
    minutes: Minutes,
    /// What of its lines is put together.
    shortening: Option<Shortening>,
}

/// Collects units; gives each label set one number.
#[derive(Default)]
struct Collector {
    streams: Vec<Labels>,
    hidden: Vec<StreamRules>,
    /// What hides entries.
    rules: Arc<Vec<Arc<Rule>>>,
    numbers: HashMap<Labels, u32, RandomState>,
    units: Vec<(LogUnit, Place)>,
    sources: Vec<Source>,
    warnings: Vec<String>,
}

impl Collector {
    /// Adds units of one stream; those of which nothing is to be seen are left out.
    fn add(&mut self, labels: &Labels, units: impl Iterator<Item = (LogUnit, Place)>) {
        let known = self.numbers.get(labels).copied();
        let hidden = match known {
            Some(stream) => self.hidden.get(stream as usize).cloned().unwrap_or_default(),
            None => for_stream(&self.rules, labels),
        };
        let before = self.units.len();
        let stream = known.unwrap_or(self.streams.len() as u32);
        let seen = |unit: &LogUnit| !hidden.iter().any(|rule| rule.covers(unit.min_ns, unit.max_ns));
        let units = units.filter(|(unit, _)| seen(unit));
        self.units.extend(units.map(|(unit, place)| (LogUnit { stream, ..unit }, place)));
        if known.is_none() && self.units.len() > before {
            self.numbers.insert(labels.clone(), stream);
            self.streams.push(labels.clone());
            if !self.rules.is_empty() {
                self.hidden.push(hidden);
            }
        }
    }

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
        let plan = Plan::new(needles);
        // Who wants few entries reads few units: which of the others have none of them need not be known.
        let tested = plan.as_ref().filter(|_| request.limit == 0);
        // What cannot be read is found out when it is read, and told by the reader.
        let may_match = |unit: &u32| tested.is_none_or(|plan| segment.may_match(*unit, plan).unwrap_or(true));
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
            let end = ends.next().unwrap_or(from);
            let (of_stream, others) = rest.split_at((end - from).min(rest.len()));
            (rest, from) = (others, end);
            let units = of_stream.iter().map(|unit| {
                let info = segment.unit(*unit);
                let of_selection = LogUnit {
                    stream: 0,
                    min_ns: info.min_ns,
                    max_ns: info.max_ns,
                    entries: u64::from(info.entries),
                    bytes: info.bytes,
                };
                (of_selection, Place::Sealed { source, unit: *unit })
            });
            self.add(&labels, units);
        });
        if result.is_err() {
            self.units.truncate(before);
        }
        if self.units.len() > before {
            self.sources.push(Source {
                segment: segment.clone(),
                plan,
                minutes: Minutes::default(),
                shortening: request.shorten.clone().map(Shortening::new),
            });
        }
        result
    }
}

impl LogSource for Db {
    fn select<'a>(&'a self, request: &LogSelect) -> Result<Box<dyn LogSelection + 'a>, SourceError> {
        self.check_open()?;
        // Taken before the view: a request is done only after its entries are in no view.
        let mut found = Collector { rules: self.deletes.active(), ..Collector::default() };
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
                let parts = chunk.parts().into_iter().enumerate();
                let units = parts.filter(|(_, info)| inside(info.min_ns, info.max_ns)).map(|(part, info)| {
                    let unit = LogUnit {
                        stream: 0,
                        min_ns: info.min_ns,
                        max_ns: info.max_ns,
                        entries: info.entries as u64,
                        bytes: info.bytes,
                    };
                    (unit, Place::Open { chunk: chunk.clone(), part, entries: info.entries })
                });
                found.add(&stream.labels, units);
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
            hidden: found.hidden,
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
        let rules = self.deletes.active();
        let seen = |labels: &Labels, mut units: &mut dyn Iterator<Item = (i64, i64)>| {
            let hidden = for_stream(&rules, labels);
            Iterator::any(&mut units, |(min_ns, max_ns)| {
                inside(min_ns, max_ns) && !hidden.iter().any(|rule| rule.covers(min_ns, max_ns))
            })
        };
        let view = self.view();
        for selector in selectors {
            for segment in view.segments.iter().filter(|s| inside(s.info.min_ns, s.info.max_ns)) {
                let times = |stream: u32| {
                    segment.units_of(stream).map(|unit| segment.unit(unit)).map(|unit| (unit.min_ns, unit.max_ns))
                };
                let wanted = |stream: &u32| times(*stream).any(|(min_ns, max_ns)| inside(min_ns, max_ns));
                let result = segment.select(selector).and_then(|streams| {
                    segment.visit_labels(streams.into_iter().filter(wanted), &mut |stream, labels| {
                        if rules.is_empty() || seen(&labels, &mut times(stream)) {
                            visit(&labels);
                        }
                    })
                });
                if let Err(error) = result {
                    self.note_damage(&error);
                }
            }
            for stream in self.head().select(selector) {
                let chunks = stream.chunks_after(view.sealed);
                let mut parts = chunks.iter().flat_map(|chunk| chunk.parts()).map(|part| (part.min_ns, part.max_ns));
                if memory == Memory::All && rules.is_empty() || seen(&stream.labels, &mut parts) {
                    visit(&stream.labels);
                }
            }
        }
        Ok(())
    }
}

impl Selection {
    /// What hides entries of a unit.
    fn hidden_in(&self, index: usize) -> StreamRules {
        let Some(unit) = self.units.get(index).filter(|_| !self.hidden.is_empty()) else { return StreamRules::new() };
        let of_stream = self.hidden.get(unit.stream as usize).map_or(&[][..], |rules| &rules[..]);
        of_stream.iter().filter(|rule| rule.overlaps(unit.min_ns, unit.max_ns)).cloned().collect()
    }
}

/// Takes rows out; their text stays where it is.
fn remove_rows(columns: &mut LogColumns, mut remove: impl FnMut(&LogColumns, usize) -> bool) {
    let kept: Vec<usize> = (0..columns.len()).filter(|row| !remove(columns, *row)).collect();
    if kept.len() == columns.len() {
        return;
    }
    let has_metadata = !columns.metadata_ends.is_empty();
    let mut pairs = 0;
    for (to, from) in kept.iter().enumerate() {
        // Rows only move down, so what is read is still as it was.
        columns.timestamps[to] = columns.timestamps[*from];
        columns.lines[to] = columns.lines[*from];
        if has_metadata {
            let start = if *from == 0 { 0 } else { columns.metadata_ends[from - 1] as usize };
            let end = columns.metadata_ends[*from] as usize;
            columns.metadata.copy_within(start..end, pairs);
            pairs += end - start;
            columns.metadata_ends[to] = pairs as u32;
        }
    }
    columns.timestamps.truncate(kept.len());
    columns.lines.truncate(kept.len());
    columns.metadata_ends.truncate(if has_metadata { kept.len() } else { 0 });
    columns.metadata.truncate(pairs);
}

impl LogSelection for Selection {
    fn streams(&self) -> &[Labels] {
        &self.streams
    }

    fn units(&self) -> &[LogUnit] {
        &self.units
    }

    fn read(&self, index: usize, out: &mut LogColumns) -> Result<(), SourceError> {
        self.read_between(index, i64::MIN, i64::MAX, out)
    }

    fn read_between(&self, index: usize, start_ns: i64, end_ns: i64, out: &mut LogColumns) -> Result<(), SourceError> {
        let hidden = self.hidden_in(index);
        let reads = hidden.iter().any(|rule| rule.reads_entries());
        let spec = ReadSpec {
            start_ns: self.start_ns.max(start_ns),
            end_ns: self.end_ns.min(end_ns),
            needles: &self.needles,
            skip_lines: self.skip_lines && !reads,
            skip_metadata: self.skip_metadata && !reads,
            shorten: match self.places.get(index) {
                Some(Place::Sealed { source, .. }) if !reads => self.sources[*source].shortening.as_ref(),
                _ => None,
            },
        };
        match self.places.get(index) {
            Some(Place::Open { chunk, part, entries }) => chunk.read_part(*part, *entries, &spec, out),
            Some(Place::Sealed { source, unit }) => {
                let source = &self.sources[*source];
                source.segment.read(*unit, &spec, source.plan.as_ref(), out)?;
            }
            None => out.clear(),
        }
        if !hidden.is_empty()
            && let Some(labels) = self.units.get(index).and_then(|unit| self.streams.get(unit.stream as usize))
        {
            remove_rows(out, |entries, row| hidden.iter().any(|rule| rule.means(labels, entries, row)));
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

    fn counts(&self, index: usize, edges_ns: &[i64], out: &mut Vec<u64>) -> bool {
        let Some(place) = self.places.get(index).filter(|_| self.hidden_in(index).is_empty()) else { return false };
        match place {
            Place::Open { chunk, part, entries } => {
                let inside = |edge: &i64| (*edge).min(self.end_ns).max(self.start_ns);
                let edges_ns: Vec<i64> = edges_ns.iter().map(inside).collect();
                chunk.count_part(*part, *entries, &edges_ns, out);
                true
            }
            Place::Sealed { source, unit } => {
                let source = &self.sources[*source];
                let range_ns = (self.start_ns, self.end_ns);
                source.segment.counts(*unit, edges_ns, range_ns, &source.minutes, out).is_ok()
            }
        }
    }
}
