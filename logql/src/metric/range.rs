//! Functions over windows of entries.
//!
//! Units are read by several threads. Where neither the pipeline nor the grouping looks at an entry's own labels, all
//! entries of a unit are of one series: then only their times count, and often the unit's number of entries says
//! everything. Otherwise each line goes through the pipeline, its number is taken (`unwrap`, its length, or 1) and added
//! to its series ([`Accumulator`]).

use std::collections::HashMap;
use std::sync::Arc;

use model::number::parse_float;
use model::{Direction, LogColumns, LogSelect, LogSelection, LogUnit, Matcher, Shorten, SourceErrorKind};

use super::Environment;
use super::accumulate::{Accumulator, CounterRate, Distinct, Quantile, Samples, WindowFunction};
use super::grid::{ABSENT, Cover, Grid, Steps};
use super::parts::{Count, First, Last, Max, Mean, Min, Parts, Sum, Variance};
use crate::engine::workers::for_each;
use crate::engine::{QueryError, Stats};
use crate::label_set::LabelSet;
use crate::logs::{memory, metadata_bytes};
use crate::pipeline::compile::Compiled;
use crate::pipeline::label_sets::{Groups, LabelSets};
use crate::pipeline::names::NameId;
use crate::pipeline::shorten::Shortener;
use crate::pipeline::state::{Slice, StageError};
use crate::syntax::ast::{Conversion, RangeOp};
use crate::units::bytes::parse_bytes;
use crate::units::duration::parse_go;
use crate::vector::Series;

/// A unit with more intervals than this, and than entries, is read instead of being counted.
const MAX_COUNTED_INTERVALS: usize = 16;
/// Lines between two looks at the watch.
const CHECK_LINES: usize = 4096;

/// A function over windows, ready to run.
pub(crate) struct RangeNode {
    pub(crate) op: RangeOp,
    pub(crate) parameter: Option<f64>,
    pub(crate) matchers: Vec<Matcher>,
    pub(crate) compiled: Compiled,
    pub(crate) range_ns: i64,
    pub(crate) offset_ns: i64,
    pub(crate) unwrap: Option<(NameId, Conversion)>,
    /// The label whose values are counted.
    pub(crate) field: Option<NameId>,
    pub(crate) key: Key,
    /// Labels of the answer when nothing is there.
    pub(crate) absent_labels: LabelSet,
}

/// Which labels tell series apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// None: everything is one series.
    Nothing,
    /// These.
    By(Vec<NameId>),
    /// All but these.
    Without(Vec<NameId>),
}

/// Series by their labels.
type SeriesMap<A> = HashMap<LabelSet, A, foldhash::fast::FixedState>;

impl RangeNode {
    /// The numbers of each series.
    pub(crate) fn evaluate(&self, env: &mut Environment<'_>, steps: Steps) -> Result<Vec<Series>, QueryError> {
        let grid = Grid::new(steps, self.range_ns, self.offset_ns);
        match self.op {
            RangeOp::Count => self.run::<Parts<Count<false>>>(env, &grid),
            RangeOp::Rate if self.unwrap.is_none() => self.run::<Parts<Count<true>>>(env, &grid),
            RangeOp::Rate | RangeOp::BytesRate => self.run::<Parts<Sum<true>>>(env, &grid),
            RangeOp::Sum | RangeOp::Bytes => self.run::<Parts<Sum<false>>>(env, &grid),
            RangeOp::Avg => self.run::<Parts<Mean>>(env, &grid),
            RangeOp::Min => self.run::<Parts<Min>>(env, &grid),
            RangeOp::Max => self.run::<Parts<Max>>(env, &grid),
            RangeOp::Stdvar => self.run::<Parts<Variance<false>>>(env, &grid),
            RangeOp::Stddev => self.run::<Parts<Variance<true>>>(env, &grid),
            RangeOp::First => self.run::<Parts<First>>(env, &grid),
            RangeOp::Last => self.run::<Parts<Last>>(env, &grid),
            RangeOp::Quantile => {
                let quantile = Quantile(self.parameter.unwrap_or(f64::NAN));
                self.run_samples(env, &grid, &quantile)
            }
            RangeOp::RateCounter => self.run_samples(env, &grid, &CounterRate),
            RangeOp::CountDistinct => self.run::<Distinct>(env, &grid),
            RangeOp::Absent => {
                let present = self.run::<Parts<Count<false>>>(env, &grid)?;
                let mut values = vec![1.0; grid.step_count()];
                for series in present {
                    for (value, found) in values.iter_mut().zip(series.values) {
                        if super::grid::is_present(found) {
                            *value = ABSENT;
                        }
                    }
                }
                Ok(vec![Series { labels: self.absent_labels.clone(), values }])
            }
        }
    }

    fn run<A: Accumulator>(&self, env: &mut Environment<'_>, grid: &Grid) -> Result<Vec<Series>, QueryError> {
        let series = self.collect::<A>(env, grid)?;
        env.budget.take(series.len() * grid.step_count() * size_of::<f64>())?;
        let seconds = self.range_ns as f64 / 1e9;
        Ok(series.into_iter().map(|(labels, found)| Series { labels, values: found.finish(grid, seconds) }).collect())
    }

    fn run_samples(
        &self,
        env: &mut Environment<'_>,
        grid: &Grid,
        function: &dyn WindowFunction,
    ) -> Result<Vec<Series>, QueryError> {
        let series = self.collect::<SampleList>(env, grid)?;
        env.budget.take(series.len() * grid.step_count() * size_of::<f64>())?;
        let finish = |(labels, found): (LabelSet, SampleList)| Series {
            labels,
            values: found.0.finish(grid, self.range_ns, function),
        };
        Ok(series.into_iter().map(finish).collect())
    }

    /// Reads all entries of the windows.
    pub(super) fn collect<A: Accumulator>(
        &self,
        env: &mut Environment<'_>,
        grid: &Grid,
    ) -> Result<SeriesMap<A>, QueryError> {
        let (start_ns, end_ns) = grid.bounds();
        let mut request = LogSelect {
            matchers: self.matchers.clone(),
            start_ns,
            end_ns,
            direction: Direction::Forward,
            needles: self.compiled.needles.clone(),
            limit: 0,
            skip_lines: !self.needs_lines(),
            skip_metadata: !self.needs_metadata() && self.key == Key::Nothing,
            shorten: self.shortener().map(|shortener| Arc::new(shortener) as Arc<dyn Shorten>),
        };
        let mut selection = self.compiled.select(env.source, &request)?;
        if !self.needs_metadata() && !request.skip_metadata && self.streams_have_key(&*selection) {
            // Metadata cannot take the place of a stream's label.
            request.skip_metadata = true;
            selection = env.source.select(&request)?;
        }
        let bytes = selection.units().iter().map(|unit| unit.bytes).sum();
        env.check_bytes(if request.skip_lines { 0 } else { bytes })?;
        let hashes: Vec<u64> = selection.streams().iter().map(model::Labels::prometheus_hash).collect();
        let units = selection.units();
        // Units of one stream one after the other, so that a thread stays with its stream.
        let mut order: Vec<usize> = (0..units.len()).collect();
        order.sort_by_key(|index| (units[*index].stream, units[*index].min_ns));
        let task = Task {
            node: self,
            grid,
            selection: &*selection,
            units,
            hashes: &hashes,
            start_ns,
            end_ns,
            skip_metadata: request.skip_metadata,
        };
        let threads = env.threads.min(order.len()).max(1);
        let mut workers: Vec<Worker<A>> = (0..threads).map(|_| Worker::new(self, request.skip_metadata)).collect();
        if env.profile.is_some() {
            workers.iter_mut().for_each(|worker| worker.compiled.measure());
        }
        let budget = env.budget;
        for_each(&mut workers, order.len(), |worker, index| {
            budget.check()?;
            worker.unit(&task, order[index], env.budget)
        })?;
        let mut all = SeriesMap::default();
        env.stats.streams += hashes.len() as u64;
        for worker in workers {
            env.stats.add(&worker.stats);
            if let (Some(profile), Some(measures)) = (&mut env.profile, &worker.compiled.measures) {
                profile.stages(measures);
            }
            env.warnings.extend(worker.warnings.iter().cloned());
            worker.into_series(&mut all);
        }
        env.warnings.extend(selection.warnings());
        Ok(all)
    }

    /// What is enough of lines, where a parser makes some labels of them and nothing else looks at them.
    pub(crate) fn shortener(&self) -> Option<Shortener> {
        let pipeline = &self.compiled.pipeline;
        let counts_bytes = matches!(self.op, RangeOp::Bytes | RangeOp::BytesRate);
        if counts_bytes { None } else { Shortener::new(&pipeline.stages, &pipeline.state.names) }
    }

    /// Whether the text of lines is looked at.
    pub(crate) fn needs_lines(&self) -> bool {
        matches!(self.op, RangeOp::Bytes | RangeOp::BytesRate)
            || self.compiled.pipeline.stages.iter().any(|stage| stage.looks_at_line())
    }

    /// Whether labels of entries are looked at, grouping aside.
    pub(crate) fn needs_metadata(&self) -> bool {
        self.unwrap.is_some()
            || self.field.is_some()
            || self.compiled.pipeline.stages.iter().any(|stage| stage.looks_at_labels())
    }

    fn streams_have_key(&self, selection: &dyn LogSelection) -> bool {
        let Key::By(labels) = &self.key else { return false };
        let names = &self.compiled.pipeline.state.names;
        selection.streams().iter().all(|stream| labels.iter().all(|label| stream.get(names.text(*label)).is_some()))
    }
}

/// [`Samples`] as an accumulator; its numbers are worked out by a function that is given later.
#[derive(Default)]
struct SampleList(Samples);

impl Accumulator for SampleList {
    const GROWTH: usize = Samples::GROWTH;

    fn add(&mut self, _: Cover, timestamp_ns: i64, hash: u64, value: f64) -> bool {
        self.0.push(timestamp_ns, hash, value);
        true
    }

    fn add_count(&mut self, _: Cover, _: u64) -> bool {
        false
    }

    fn counts() -> bool {
        false
    }

    fn merge(&mut self, other: Self) {
        self.0.merge(other.0);
    }

    fn finish(self, grid: &Grid, _: f64) -> Vec<f64> {
        vec![ABSENT; grid.step_count()]
    }
}

/// What all threads share.
struct Task<'a> {
    node: &'a RangeNode,
    grid: &'a Grid,
    selection: &'a dyn LogSelection,
    units: &'a [LogUnit],
    hashes: &'a [u64],
    start_ns: i64,
    end_ns: i64,
    skip_metadata: bool,
}

/// What a thread works with and what it has found.
struct Worker<A> {
    compiled: Compiled,
    bound: Option<u32>,
    groups: Groups,
    by_group: Vec<A>,
    sets: LabelSets,
    by_set: Vec<A>,
    single: Option<A>,
    columns: LogColumns,
    rows: Vec<u32>,
    intervals: Intervals,
    stats: Stats,
    warnings: Vec<String>,
    grown: usize,
    known_bytes: usize,
}

/// The intervals of a unit between bounds of windows, while it is counted.
#[derive(Default)]
struct Intervals {
    /// The windows that each belongs to.
    covers: Vec<Cover>,
    /// Where each begins; last where they end.
    edges_ns: Vec<i64>,
    counts: Vec<u64>,
}

/// Where a series is kept.
#[derive(Clone, Copy)]
enum Place {
    Single,
    Group(u32),
    Set(u32),
}

impl<A: Accumulator> Worker<A> {
    fn new(node: &RangeNode, skip_metadata: bool) -> Self {
        let mut compiled = node.compiled.clone();
        compiled.pipeline.skip_metadata = skip_metadata;
        Self {
            compiled,
            bound: None,
            groups: Groups::default(),
            by_group: Vec::new(),
            sets: LabelSets::default(),
            by_set: Vec::new(),
            single: None,
            columns: LogColumns::new(),
            rows: Vec::new(),
            intervals: Intervals::default(),
            stats: Stats::default(),
            warnings: Vec::new(),
            grown: 0,
            known_bytes: 0,
        }
    }

    /// Adds what was found to `all`.
    fn into_series(self, all: &mut SeriesMap<A>) {
        let mut add = |labels: LabelSet, found: A| match all.entry(labels) {
            std::collections::hash_map::Entry::Occupied(mut known) => known.get_mut().merge(found),
            std::collections::hash_map::Entry::Vacant(free) => {
                free.insert(found);
            }
        };
        if let Some(found) = self.single {
            add(LabelSet::empty(), found);
        }
        for (id, found) in self.by_group.into_iter().enumerate() {
            add(self.groups.set(id as u32).clone(), found);
        }
        for (id, found) in self.by_set.into_iter().enumerate() {
            add(self.sets.labels(id as u32).all.clone(), found);
        }
    }

    fn unit(&mut self, task: &Task<'_>, index: usize, budget: &crate::engine::Budget<'_>) -> Result<(), QueryError> {
        let unit = &task.units[index];
        if self.bound != Some(unit.stream) {
            self.bound = Some(unit.stream);
            self.compiled.pipeline.bind(&task.selection.streams()[unit.stream as usize]);
        }
        let plain = !task.node.needs_metadata();
        let no_metadata = task.skip_metadata || !task.selection.has_metadata(index);
        if plain && (no_metadata || self.key_is_stream(task)) && self.count_unit(task, index)? {
            self.stats.counted_units += 1;
            return Ok(());
        }
        let mut columns = std::mem::take(&mut self.columns);
        if let Err(error) = task.selection.read(index, &mut columns) {
            if error.kind != SourceErrorKind::Corrupt {
                return Err(error.into());
            }
            self.warnings.push(error.to_string());
            columns.clear();
        }
        budget.take(memory(&columns))?;
        self.stats.units += 1;
        self.stats.lines += columns.len() as u64;
        self.stats.line_bytes += columns.lines.iter().map(|(s, e)| u64::from(e.saturating_sub(*s))).sum::<u64>();
        self.stats.metadata_bytes += metadata_bytes(&columns);
        let mut rows = std::mem::take(&mut self.rows);
        self.compiled.find_rows(&columns, &mut rows, budget);
        let one_series = plain && (no_metadata || columns.metadata.is_empty() || self.key_is_stream(task));
        let hash = task.hashes[unit.stream as usize];
        let result = if one_series && self.compiled.only_line_filters() {
            self.add_rows(task, &columns, &rows, hash);
            Ok(())
        } else {
            self.transform(task, &columns, &rows, hash, budget)
        };
        budget.give(memory(&columns));
        (self.columns, self.rows) = (columns, rows);
        result?;
        let bytes = self.sets.bytes() + self.groups.bytes();
        let grown = std::mem::take(&mut self.grown) * A::GROWTH + (bytes - self.known_bytes);
        self.known_bytes = bytes;
        budget.take(grown)
    }

    /// Whether the series of an entry depends on its stream alone.
    fn key_is_stream(&self, task: &Task<'_>) -> bool {
        match &task.node.key {
            Key::Nothing => true,
            Key::By(labels) => labels.iter().all(|label| self.compiled.pipeline.state.labels.stream_has(*label)),
            Key::Without(_) => false,
        }
    }

    /// Answers from the unit's header, or by asking the store to count. False when it has to be read.
    fn count_unit(&mut self, task: &Task<'_>, index: usize) -> Result<bool, QueryError> {
        let unit = &task.units[index];
        let bytes = matches!(task.node.op, RangeOp::Bytes | RangeOp::BytesRate);
        let whole = unit.min_ns >= task.start_ns && unit.max_ns < task.end_ns;
        if !self.compiled.only_line_filters() || !self.compiled.scanner.is_empty() || !(A::counts() || bytes) {
            return Ok(false);
        }
        let (cover, until) = task.grid.cover(unit.min_ns);
        if whole && unit.max_ns <= until {
            if !cover.is_empty() && unit.entries > 0 {
                let hash = task.hashes[unit.stream as usize];
                let place = self.stream_place(task);
                let series = self.series(place);
                if bytes {
                    series.add(cover, unit.min_ns, hash, unit.bytes as f64);
                } else {
                    series.add_count(cover, unit.entries);
                }
            }
            return Ok(true);
        }
        if bytes {
            return Ok(false);
        }
        let from = unit.min_ns.max(task.start_ns);
        let last = unit.max_ns.min(task.end_ns.saturating_sub(1));
        if from > last {
            return Ok(true);
        }
        let Intervals { covers, edges_ns, counts } = &mut self.intervals;
        covers.clear();
        edges_ns.clear();
        edges_ns.push(from);
        let most = MAX_COUNTED_INTERVALS.max(usize::try_from(unit.entries).unwrap_or(usize::MAX));
        let mut at = from;
        while at <= last {
            if covers.len() == most {
                return Ok(false);
            }
            let (cover, until) = task.grid.cover(at);
            at = until.min(last).saturating_add(1);
            covers.push(cover);
            edges_ns.push(at);
            if at == i64::MAX {
                break;
            }
        }
        if !task.selection.counts(index, edges_ns, counts) || counts.len() != covers.len() {
            return Ok(false);
        }
        let place = self.stream_place(task);
        let intervals = std::mem::take(&mut self.intervals);
        let series = self.series(place);
        for (cover, count) in intervals.covers.iter().zip(&intervals.counts) {
            if *count > 0 && !cover.is_empty() {
                series.add_count(*cover, *count);
            }
        }
        self.intervals = intervals;
        Ok(true)
    }

    /// The series of entries whose labels are the stream's.
    fn stream_place(&mut self, task: &Task<'_>) -> Place {
        self.compiled.pipeline.state.start(0, Slice::EMPTY);
        self.place(task, "")
    }

    /// The series of the entry at hand.
    #[inline]
    fn place(&mut self, task: &Task<'_>, unit: &str) -> Place {
        let pipeline = &self.compiled.pipeline;
        match &task.node.key {
            Key::Nothing => Place::Single,
            Key::By(labels) => Place::Group(self.groups.find(pipeline, unit, labels)),
            Key::Without(labels) => Place::Set(self.sets.find(pipeline, unit, |name| !labels.contains(&name))),
        }
    }

    #[inline]
    fn series(&mut self, place: Place) -> &mut A {
        let (list, index) = match place {
            Place::Single => return self.single.get_or_insert_default(),
            Place::Group(id) => (&mut self.by_group, id as usize),
            Place::Set(id) => (&mut self.by_set, id as usize),
        };
        if list.len() <= index {
            list.resize_with(index + 1, A::default);
            self.grown += 4;
        }
        &mut list[index]
    }

    /// Adds lines that are all of one series.
    fn add_rows(&mut self, task: &Task<'_>, columns: &LogColumns, rows: &[u32], hash: u64) {
        self.stats.post_filter_lines += rows.len() as u64;
        if rows.is_empty() {
            return;
        }
        let place = self.stream_place(task);
        let bytes = matches!(task.node.op, RangeOp::Bytes | RangeOp::BytesRate);
        let time = |row: u32| columns.timestamps[row as usize];
        let mut grown = 0;
        let mut rest = rows;
        while let Some(first) = rest.first() {
            let (cover, until) = task.grid.cover(time(*first));
            let run = run_length(rest, |row| time(row) <= until);
            let (now, later) = rest.split_at(run);
            rest = later;
            if cover.is_empty() {
                continue;
            }
            let series = self.series(place);
            if A::counts() {
                series.add_count(cover, run as u64);
            } else {
                for row in now {
                    let value = if bytes { columns.line(*row as usize).len() as f64 } else { 1.0 };
                    grown += usize::from(series.add(cover, time(*row), hash, value));
                }
            }
        }
        self.grown += grown + 1;
    }

    /// Runs lines through the pipeline, and adds what is left of them.
    fn transform(
        &mut self,
        task: &Task<'_>,
        columns: &LogColumns,
        rows: &[u32],
        hash: u64,
        budget: &crate::engine::Budget<'_>,
    ) -> Result<(), QueryError> {
        let unit = columns.text.as_str();
        let (mut cover, mut until) = (Cover { first: 0, end: 0 }, i64::MIN);
        for (step, row) in rows.iter().enumerate() {
            if step % CHECK_LINES == CHECK_LINES - 1 {
                budget.check()?;
            }
            let time = columns.timestamps[*row as usize];
            if time > until {
                (cover, until) = task.grid.cover(time);
            }
            if cover.is_empty() || !self.compiled.run_with(columns, *row, budget) {
                continue;
            }
            let Some((value, hash)) = self.value(task.node, unit, hash) else { continue };
            self.stats.post_filter_lines += 1;
            let state = &self.compiled.pipeline.state;
            let place = if state.labels.has_error() {
                if state.get(NameId::PRESERVE_ERROR, unit) != Some("true") {
                    let id = self.sets.find(&self.compiled.pipeline, unit, |_| true);
                    let series = self.sets.labels(id).all.clone();
                    return Err(QueryError::Pipeline { error: state.error(unit).to_owned(), series });
                }
                Place::Set(self.sets.find(&self.compiled.pipeline, unit, |_| true))
            } else {
                self.place(task, unit)
            };
            let grown = self.series(place).add(cover, time, hash, value);
            self.grown += usize::from(grown);
        }
        Ok(())
    }

    /// The number of the entry at hand and what decides between entries of one time; `None` when it has no number or a
    /// filter drops it. Where values are counted, their hash takes the place of the stream's.
    #[inline]
    fn value(&mut self, node: &RangeNode, unit: &str, hash: u64) -> Option<(f64, u64)> {
        let pipeline = &mut self.compiled.pipeline;
        if let Some(field) = node.field {
            let text = pipeline.state.get(field, unit)?;
            return Some((1.0, xxhash_rust::xxh3::xxh3_64(text.as_bytes())));
        }
        let Some((label, conversion)) = node.unwrap else {
            let value = match node.op {
                RangeOp::Bytes | RangeOp::BytesRate => pipeline.state.line(unit).len() as f64,
                _ => 1.0,
            };
            return Some((value, hash));
        };
        let text = pipeline.state.get(label, unit).filter(|text| !text.is_empty())?;
        let number = match conversion {
            Conversion::Number => parse_float(text).map_err(|e| e.to_string()),
            Conversion::Bytes => parse_bytes(text).map(|bytes| bytes as f64).map_err(|e| e.to_string()),
            Conversion::Duration | Conversion::DurationSeconds => {
                parse_go(text).map(seconds).map_err(|e| e.to_string())
            }
        };
        let value = number.unwrap_or_else(|error| {
            pipeline.state.labels.fail(StageError::SampleExtraction, Some(&error));
            0.0
        });
        let (_, _, cx) = pipeline.state.split(unit, &pipeline.hints);
        let passes = self.compiled.unwrap_filters.iter().all(|filter| filter.test(cx.labels, cx.texts));
        passes.then_some((value, hash))
    }
}

/// Go's `Duration.Seconds`: whole seconds and the rest are converted apart.
fn seconds(ns: i64) -> f64 {
    (ns / 1_000_000_000) as f64 + (ns % 1_000_000_000) as f64 / 1e9
}

/// How many of the first `rows` satisfy a condition that the ones after them do not.
fn run_length(rows: &[u32], holds: impl Fn(u32) -> bool) -> usize {
    // Intervals are often short: look near by before searching all of it.
    let mut bound = 16;
    while bound < rows.len() && holds(rows[bound]) {
        bound *= 4;
    }
    rows[..bound.min(rows.len())].partition_point(|row| holds(*row))
}
