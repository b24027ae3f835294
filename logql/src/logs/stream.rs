//! Entries of many units in one order, as many as are asked for.
//!
//! The time range is cut into [slices](super::slices): the entries of a slice are read, transformed, sorted and given out before
//! anything older (backwards) or newer (forwards) is looked at. Slices begin small, so that a query for a few entries
//! reads only about as much of each unit as it needs, and grow, so that a long one keeps all threads busy. A unit is read in
//! pieces once or twice; then what is left of it is read and kept, so that nothing is decoded again and again.
//!
//! Order: time, then (as the reference has it) the hash of the stream's labels, the text of the entry's labels, arrival;
//! backwards only time and arrival are turned round.

use std::cmp::Ordering;
use std::sync::Arc;

use model::{Direction, LogColumns, LogSelect, LogSelection, LogSource, LogUnit, Matcher, SourceErrorKind};

use super::slices::{Slice, Slices};
use super::{Entry, LogParams};
use crate::engine::workers::for_each;
use crate::engine::{Budget, QueryContext, QueryError, Stats};
use crate::explain::StageMeasure;
use crate::pipeline::compile::Compiled;
use crate::pipeline::label_sets::{EntryLabels, LabelSets};

/// Most entries in a slice, long lines counting more.
const MAX_SLICE: usize = 1 << 18;
/// Slices with fewer entries are not worth starting threads.
const SMALL_SLICE: usize = 2_000;
/// After so many pieces what is left of a unit is read at once.
const PIECES: u32 = 2;
/// … or once a slice has such a part of it.
const LARGE_PIECE: f64 = 0.25;
/// Most bytes of units to keep in memory between slices; more are read in pieces.
const MAX_KEPT_BYTES: usize = 256 << 20;
/// Most bytes of label sets that a thread remembers.
const MAX_SETS_BYTES: usize = 64 << 20;
/// Lines between two looks at the watch.
const CHECK_LINES: usize = 4096;

pub(super) struct EntryStream<'a> {
    selection: Box<dyn LogSelection + 'a>,
    /// Hashes of the streams' labels, in the reference's way.
    hashes: Vec<u64>,
    units: Vec<LogUnit>,
    next_unit: usize,
    active: Vec<Active>,
    workers: Vec<Worker>,
    direction: Direction,
    slices: Slices,
    /// Entries wanted in the next slice.
    slice_entries: usize,
    /// The last slice was cut.
    done: bool,
    found: std::vec::IntoIter<Found>,
    budget: Budget<'a>,
    warnings: Vec<String>,
}

/// A unit of which entries are still to come.
struct Active {
    unit: usize,
    /// What was read of it and is not given out yet.
    columns: Option<LogColumns>,
    /// Lines that pass the filters at the beginning, ascending.
    rows: Vec<u32>,
    /// How many of them are still to come: the first ones (backward), the last ones (forward).
    left: usize,
    found: Vec<Found>,
    warning: Option<String>,
    /// In how many pieces it was read.
    pieces: u32,
    /// Nothing is left to be read of it.
    whole: bool,
}

/// What a thread works with.
struct Worker {
    compiled: Compiled,
    sets: LabelSets,
    bound: Option<u32>,
    stats: Stats,
}

impl Worker {
    /// Starts with a stream, unless it is the one at hand.
    fn bind(&mut self, stream: u32, selection: &dyn LogSelection) {
        if self.bound != Some(stream) {
            self.bound = Some(stream);
            self.compiled.pipeline.bind(&selection.streams()[stream as usize]);
        }
    }
}

struct Found {
    timestamp_ns: i64,
    hash: u64,
    labels: Arc<EntryLabels>,
    line: Box<str>,
}

impl<'a> EntryStream<'a> {
    pub(super) fn open(
        source: &'a dyn LogSource,
        matchers: &[Matcher],
        compiled: Compiled,
        params: &LogParams,
        context: &'a QueryContext<'_>,
    ) -> Result<Self, QueryError> {
        let few = params.limit <= 10_000;
        let (mut start_ns, mut end_ns) = (params.start_ns, params.end_ns);
        if let Some(after) = params.after {
            match params.direction {
                Direction::Forward => start_ns = start_ns.max(after.timestamp_ns),
                Direction::Backward => end_ns = end_ns.min(after.timestamp_ns.saturating_add(1)),
            }
        }
        let request = LogSelect {
            matchers: matchers.to_vec(),
            start_ns,
            end_ns,
            direction: params.direction,
            needles: compiled.needles.clone(),
            // Where bytes are limited, only units that may have something count.
            limit: if few && context.limits.max_bytes_read == 0 { params.limit } else { 0 },
            skip_lines: false,
            skip_metadata: false,
            shorten: None,
        };
        let selection = compiled.select(source, &request)?;
        let budget = Budget::new(context);
        let units = selection.units().to_vec();
        let bytes = units.iter().map(|unit| unit.bytes).sum();
        let limit = context.limits.max_bytes_read;
        if limit > 0 && bytes > limit {
            return Err(QueryError::TooManyBytes { bytes, limit });
        }
        let hashes: Vec<u64> = selection.streams().iter().map(model::Labels::prometheus_hash).collect();
        let worker = || Worker {
            compiled: compiled.clone(),
            sets: LabelSets::new(params.categorize),
            bound: None,
            stats: Stats::default(),
        };
        let threads = context.threads.max(1);
        let mut workers: Vec<Worker> = (0..threads).map(|_| worker()).collect();
        workers[0].stats.streams = hashes.len() as u64;
        let slices = Slices::new(start_ns, end_ns, params.direction);
        let slice_entries = if few { (params.limit * 2).max(256) } else { 1 << 16 };
        Ok(Self {
            selection,
            hashes,
            units,
            next_unit: 0,
            active: Vec::new(),
            workers,
            direction: params.direction,
            slices,
            slice_entries,
            done: false,
            found: Vec::new().into_iter(),
            budget,
            warnings: Vec::new(),
        })
    }

    /// The next entry, if there is one.
    pub(super) fn next(&mut self) -> Result<Option<Entry>, QueryError> {
        loop {
            if let Some(found) = self.found.next() {
                let Found { timestamp_ns, labels, line, .. } = found;
                self.budget.give(found_bytes(&line));
                return Ok(Some(Entry { timestamp_ns, line, labels }));
            }
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    /// What the stages took, if their measuring was asked for.
    pub(super) fn measures(&self) -> Vec<StageMeasure> {
        let mut all = Vec::new();
        for measures in self.workers.iter().filter_map(|worker| worker.compiled.measures.as_ref()) {
            StageMeasure::merge(&mut all, measures);
        }
        all
    }

    /// An error if `bytes` more than what the stream itself takes are too much.
    pub(super) fn check_memory(&self, bytes: usize) -> Result<(), QueryError> {
        let limit = self.budget.limits().max_memory_bytes;
        if bytes as u64 > limit { Err(QueryError::TooMuchMemory { limit }) } else { Ok(()) }
    }

    /// What it took, and what was left out.
    pub(super) fn finish(mut self) -> (Stats, Vec<String>) {
        let mut stats = Stats::default();
        for worker in &self.workers {
            stats.add(&worker.stats);
        }
        self.warnings.extend(self.selection.warnings());
        (stats, self.warnings)
    }

    /// Finds the entries of the next slice; false at the end. There may turn out to be none in it.
    fn fill(&mut self) -> Result<bool, QueryError> {
        self.budget.check()?;
        if self.done {
            return Ok(false);
        }
        let slice = self.slices.next(&self.units, self.slice_entries);
        self.done = slice.is_last();
        while let Some(unit) = self.units.get(self.next_unit)
            && self.slices.begins(unit, slice)
        {
            self.active.push(Active::new(self.next_unit));
            self.next_unit += 1;
        }
        self.load(slice)?;
        self.transform(slice)?;
        let mut found: Vec<Found> =
            self.active.iter_mut().flat_map(|active| std::mem::take(&mut active.found)).collect();
        let direction = self.direction;
        found.sort_by(|a, b| order(a, b, direction));
        // Filters that let little through want more at once.
        let growth = if found.is_empty() { 4 } else { 2 };
        self.slice_entries = (self.slice_entries * growth).min(MAX_SLICE);
        self.found = found.into_iter();
        let warnings = self.active.iter_mut().filter_map(|active| active.warning.take());
        self.warnings.extend(warnings);
        let (budget, slices, units) = (&self.budget, &self.slices, &self.units);
        self.active.retain_mut(|active| {
            if active.left == 0 {
                active.free(budget);
            }
            active.left > 0 || !active.whole && !slices.ends(&units[active.unit], slice)
        });
        Ok(true)
    }

    /// Reads what is missing of the slice and applies the filters at the beginning.
    fn load(&mut self, slice: Slice) -> Result<(), QueryError> {
        let mut kept: usize = self.active.iter().filter_map(|active| active.columns.as_ref()).map(memory).sum();
        let (units, slices) = (&self.units, &self.slices);
        let rest = slices.rest(slice);
        let mut slots = Vec::new();
        for active in self.active.iter_mut().filter(|active| active.columns.is_none() && !active.whole) {
            let unit = &units[active.unit];
            let large = active.pieces >= PIECES || slices.share(unit, slice) >= LARGE_PIECE;
            let bytes = memory_of(unit);
            let piece = if large && kept.saturating_add(bytes) <= MAX_KEPT_BYTES {
                kept += bytes;
                rest
            } else {
                slice
            };
            slots.push(std::sync::Mutex::new((active, piece)));
        }
        let (selection, budget, direction) = (&self.selection, &self.budget, self.direction);
        let threads = if self.slice_entries < SMALL_SLICE { 1 } else { self.workers.len() };
        for_each(&mut self.workers[..threads], slots.len(), |worker, index| {
            budget.check()?;
            // Each slot is visited once; the lock only shows that to the compiler.
            let Ok(mut slot) = slots[index].lock() else { return Ok(()) };
            let (active, piece) = &mut *slot;
            let mut columns = LogColumns::new();
            if let Err(error) = selection.read_between(active.unit, piece.start_ns, piece.end_ns, &mut columns) {
                if error.kind != SourceErrorKind::Corrupt {
                    return Err(error.into());
                }
                active.warning = Some(error.to_string());
                columns.clear();
                active.whole = true;
            }
            budget.take(memory(&columns))?;
            worker.bind(units[active.unit].stream, &**selection);
            worker.compiled.find_rows(&columns, &mut active.rows, budget);
            worker.stats.units += u64::from(active.pieces == 0);
            active.pieces += 1;
            active.whole |= slices.ends(&units[active.unit], *piece);
            worker.stats.lines += columns.len() as u64;
            let lines: u64 = columns.lines.iter().map(|(start, end)| u64::from(end.saturating_sub(*start))).sum();
            worker.stats.line_bytes += lines;
            worker.stats.metadata_bytes += metadata_bytes(&columns);
            // Nothing of an earlier slice was read.
            let before = |row: &u32| match direction {
                Direction::Backward => columns.timestamps[*row as usize] < slice.end_ns || slice.end_ns == i64::MAX,
                Direction::Forward => columns.timestamps[*row as usize] < slice.start_ns,
            };
            let at = active.rows.partition_point(before);
            active.left = if direction == Direction::Backward { at } else { active.rows.len() - at };
            active.columns = Some(columns);
            Ok(())
        })
    }

    /// Runs the pipeline over the lines of the slice.
    fn transform(&mut self, slice: Slice) -> Result<(), QueryError> {
        let direction = self.direction;
        let mut slots = Vec::new();
        let mut lines = 0;
        for active in &mut self.active {
            let Some(range) = active.range(slice, direction) else { continue };
            lines += range.len();
            slots.push(std::sync::Mutex::new((active, range)));
        }
        let (selection, budget, units, hashes) = (&self.selection, &self.budget, &self.units, &self.hashes);
        let threads = if lines < SMALL_SLICE { 1 } else { self.workers.len() };
        for_each(&mut self.workers[..threads], slots.len(), |worker, index| {
            let Ok(mut slot) = slots[index].lock() else { return Ok(()) };
            let (active, range) = &mut *slot;
            let stream = units[active.unit].stream;
            worker.bind(stream, &**selection);
            active.transform(range.clone(), direction, hashes[stream as usize], worker, budget)
        })
    }
}

impl Active {
    fn new(unit: usize) -> Self {
        Self {
            unit,
            columns: None,
            rows: Vec::new(),
            left: 0,
            found: Vec::new(),
            warning: None,
            pieces: 0,
            whole: false,
        }
    }

    /// Gives back the memory of the unit.
    fn free(&mut self, budget: &Budget<'_>) {
        if let Some(columns) = self.columns.take() {
            budget.give(memory(&columns));
        }
    }

    /// The rows of the slice among those still to come.
    fn range(&self, slice: Slice, direction: Direction) -> Option<std::ops::Range<usize>> {
        let columns = self.columns.as_ref()?;
        let time = |row: &u32| columns.timestamps[*row as usize];
        let range = match direction {
            Direction::Backward => self.rows[..self.left].partition_point(|row| time(row) < slice.start_ns)..self.left,
            Direction::Forward => {
                let from = self.rows.len() - self.left;
                let inside = |row: &u32| time(row) < slice.end_ns || slice.end_ns == i64::MAX;
                from..from + self.rows[from..].partition_point(inside)
            }
        };
        (!range.is_empty()).then_some(range)
    }

    fn transform(
        &mut self,
        range: std::ops::Range<usize>,
        direction: Direction,
        hash: u64,
        worker: &mut Worker,
        budget: &Budget<'_>,
    ) -> Result<(), QueryError> {
        let Some(columns) = &self.columns else { return Ok(()) };
        let mut bytes = 0;
        for step in 0..range.len() {
            let at = match direction {
                Direction::Backward => range.end - 1 - step,
                Direction::Forward => range.start + step,
            };
            if step % CHECK_LINES == CHECK_LINES - 1 {
                budget.check()?;
                budget.take(std::mem::take(&mut bytes))?;
            }
            if !worker.compiled.run_with(columns, self.rows[at], budget) {
                continue;
            }
            let pipeline = &worker.compiled.pipeline;
            let id = worker.sets.find(pipeline, &columns.text, |_| true);
            let line: Box<str> = pipeline.state.line(&columns.text).into();
            bytes += found_bytes(&line);
            worker.stats.post_filter_lines += 1;
            self.found.push(Found {
                timestamp_ns: pipeline.state.timestamp_ns,
                hash,
                labels: Arc::clone(worker.sets.labels(id)),
                line,
            });
        }
        budget.take(bytes)?;
        if worker.sets.bytes() > MAX_SETS_BYTES {
            // Entries keep the sets they need.
            worker.sets.clear();
        }
        self.left -= range.len();
        Ok(())
    }
}

/// Bytes of memory that an entry takes until it is given out, about.
fn found_bytes(line: &str) -> usize {
    line.len() + 64
}

fn order(a: &Found, b: &Found, direction: Direction) -> Ordering {
    let time = match direction {
        Direction::Forward => a.timestamp_ns.cmp(&b.timestamp_ns),
        Direction::Backward => b.timestamp_ns.cmp(&a.timestamp_ns),
    };
    time.then_with(|| a.hash.cmp(&b.hash)).then_with(|| {
        if Arc::ptr_eq(&a.labels, &b.labels) {
            return Ordering::Equal;
        }
        a.labels.all.to_string().cmp(&b.labels.all.to_string())
    })
}

/// Bytes of memory, about.
pub(crate) fn memory(columns: &LogColumns) -> usize {
    columns.text.len() + columns.lines.len() * 16 + columns.metadata.len() * 16 + columns.metadata_ends.len() * 4
}

/// Bytes of memory that a unit takes when it is read, about.
fn memory_of(unit: &LogUnit) -> usize {
    usize::try_from(unit.bytes.saturating_add(unit.entries.saturating_mul(16))).unwrap_or(usize::MAX)
}

/// Bytes of structured metadata.
pub(crate) fn metadata_bytes(columns: &LogColumns) -> u64 {
    let len = |range: (u32, u32)| u64::from(range.1.saturating_sub(range.0));
    columns.metadata.iter().map(|pair| len(pair.name) + len(pair.value)).sum()
}
