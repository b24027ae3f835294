//! Entries of many units in one order, as many as are asked for.
//!
//! The units of a selection come sorted by their newest (oldest) time. A few of them are taken at a time; every entry
//! newer than what the units not yet taken can hold is then among those taken, so the entries of that *window* can be
//! transformed, sorted and given out. Windows begin small, so that a query for a few entries reads little, and grow, so
//! that a long one keeps all threads busy. Within a window only about as many lines are transformed as may be needed.
//!
//! Order: time, then (as the reference has it) the hash of the stream's labels, the text of the entry's labels, arrival;
//! backwards only time and arrival are turned round.

use std::cmp::Ordering;
use std::sync::Arc;

use model::{Direction, LogColumns, LogSelect, LogSelection, LogSource, LogUnit, Matcher, SourceErrorKind};

use super::{Entry, LogParams};
use crate::engine::workers::for_each;
use crate::engine::{Budget, QueryContext, QueryError, Stats};
use crate::explain::StageMeasure;
use crate::pipeline::compile::Compiled;
use crate::pipeline::label_sets::{EntryLabels, LabelSets};

/// Most bytes of units that are taken at once.
const MAX_WINDOW_BYTES: u64 = 64 << 20;
/// Most units that are taken at once.
const MAX_WINDOW_UNITS: usize = 256;
/// Most bytes of units to keep in memory between windows; others are read again.
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
    /// Everything on the near side of this was given out: times from here on (backward), before this (forward).
    frontier: Option<i64>,
    window_units: usize,
    window_lines: usize,
    found: std::vec::IntoIter<Found>,
    budget: Budget<'a>,
    warnings: Vec<String>,
}

/// A unit of which entries are still to come.
struct Active {
    unit: usize,
    columns: Option<LogColumns>,
    /// Lines that pass the filters at the beginning, ascending.
    rows: Vec<u32>,
    /// How many of them are still to come: the first ones (backward), the last ones (forward).
    left: usize,
    found: Vec<Found>,
    warning: Option<String>,
    counted: bool,
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
            skip_lines: false,
            skip_metadata: false,
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
        let few = params.limit <= 10_000;
        Ok(Self {
            selection,
            hashes,
            units,
            next_unit: 0,
            active: Vec::new(),
            workers,
            direction: params.direction,
            frontier: None,
            window_units: if few { threads } else { MAX_WINDOW_UNITS },
            window_lines: if few { (params.limit * 2).max(256) } else { 1 << 16 },
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

    /// Finds the entries of the next window; false at the end. The window may turn out to be empty.
    fn fill(&mut self) -> Result<bool, QueryError> {
        self.budget.check()?;
        self.take_units();
        if self.active.is_empty() {
            return Ok(false);
        }
        self.load()?;
        let bound = self.bound();
        self.transform(bound)?;
        self.frontier = Some(bound);
        let mut found: Vec<Found> =
            self.active.iter_mut().flat_map(|active| std::mem::take(&mut active.found)).collect();
        let direction = self.direction;
        found.sort_by(|a, b| order(a, b, direction));
        self.found = found.into_iter();
        let warnings = self.active.iter_mut().filter_map(|active| active.warning.take());
        self.warnings.extend(warnings);
        let budget = &self.budget;
        self.active.retain_mut(|active| {
            if active.left == 0 {
                active.free(budget);
            }
            active.left > 0
        });
        self.drop_columns();
        self.window_lines = (self.window_lines * 2).min(1 << 18);
        Ok(true)
    }

    /// Takes more units when those at hand are used up to where the next one begins.
    fn take_units(&mut self) {
        let Some(next) = self.units.get(self.next_unit) else { return };
        let reached = match (self.frontier, self.direction) {
            (None, _) => true,
            (Some(frontier), Direction::Backward) => next.max_ns >= frontier - 1,
            (Some(frontier), Direction::Forward) => next.min_ns <= frontier,
        };
        if !reached && !self.active.is_empty() {
            return;
        }
        let mut bytes = 0;
        let mut taken = 0;
        while let Some(unit) = self.units.get(self.next_unit) {
            if taken > 0 && (taken >= self.window_units || bytes + unit.bytes > MAX_WINDOW_BYTES) {
                break;
            }
            bytes += unit.bytes;
            taken += 1;
            self.active.push(Active {
                unit: self.next_unit,
                columns: None,
                rows: Vec::new(),
                left: 0,
                found: Vec::new(),
                warning: None,
                counted: false,
            });
            self.next_unit += 1;
        }
        self.window_units = (self.window_units * 2).min(MAX_WINDOW_UNITS);
    }

    /// Reads the units that are not in memory and applies the filters at the beginning.
    fn load(&mut self) -> Result<(), QueryError> {
        let mut missing: Vec<&mut Active> = self.active.iter_mut().filter(|active| active.columns.is_none()).collect();
        let slots: Vec<std::sync::Mutex<&mut Active>> = missing.drain(..).map(std::sync::Mutex::new).collect();
        let (selection, budget, units) = (&self.selection, &self.budget, &self.units);
        let (frontier, direction) = (self.frontier, self.direction);
        for_each(&mut self.workers, slots.len(), |worker, index| {
            budget.check()?;
            // Each slot is visited once; the lock only shows that to the compiler.
            let Ok(mut active) = slots[index].lock() else { return Ok(()) };
            let mut columns = LogColumns::new();
            if let Err(error) = selection.read(active.unit, &mut columns) {
                if error.kind != SourceErrorKind::Corrupt {
                    return Err(error.into());
                }
                active.warning = Some(error.to_string());
                columns.clear();
            }
            budget.take(memory(&columns))?;
            worker.bind(units[active.unit].stream, &**selection);
            worker.compiled.find_rows(&columns, &mut active.rows, budget);
            if !active.counted {
                active.counted = true;
                worker.stats.units += 1;
                worker.stats.lines += columns.len() as u64;
                let lines: u64 = columns.lines.iter().map(|(start, end)| u64::from(end.saturating_sub(*start))).sum();
                worker.stats.line_bytes += lines;
                worker.stats.metadata_bytes += metadata_bytes(&columns);
            }
            // A unit that is read again has given out a part already.
            let times = |row: &u32| columns.timestamps[*row as usize];
            active.left = match (frontier, direction) {
                (None, _) => active.rows.len(),
                (Some(frontier), Direction::Backward) => active.rows.partition_point(|row| times(row) < frontier),
                (Some(frontier), Direction::Forward) => {
                    active.rows.len() - active.rows.partition_point(|row| times(row) < frontier)
                }
            };
            active.columns = Some(columns);
            Ok(())
        })
    }

    /// Where the window ends: backward, times from here on are in it; forward, times before this.
    fn bound(&self) -> i64 {
        let quota = (self.window_lines / self.active.len()).max(1);
        let next = self.units.get(self.next_unit);
        match self.direction {
            Direction::Backward => {
                let complete = next.map_or(i64::MIN, |unit| unit.max_ns.saturating_add(1));
                // What the unit with the most lines in the window allows.
                let enough = self.active.iter().filter_map(|active| active.time_at(active.left.checked_sub(quota)?));
                enough.fold(complete, i64::max)
            }
            Direction::Forward => {
                let complete = next.map_or(i64::MAX, |unit| unit.min_ns);
                let enough = self.active.iter().filter_map(|active| {
                    let from = active.rows.len() - active.left;
                    active.time_at(from + quota - 1).map(|time| time.saturating_add(1))
                });
                enough.fold(complete, i64::min)
            }
        }
    }

    /// Runs the pipeline over the lines of the window.
    fn transform(&mut self, bound: i64) -> Result<(), QueryError> {
        let direction = self.direction;
        let mut slots = Vec::new();
        let mut lines = 0;
        for active in &mut self.active {
            let Some(range) = active.range(bound, direction) else { continue };
            lines += range.len();
            slots.push(std::sync::Mutex::new((active, range)));
        }
        let (selection, budget, units, hashes) = (&self.selection, &self.budget, &self.units, &self.hashes);
        // A few lines are not worth starting threads.
        let threads = if lines < 2000 { 1 } else { self.workers.len() };
        for_each(&mut self.workers[..threads], slots.len(), |worker, index| {
            let Ok(mut slot) = slots[index].lock() else { return Ok(()) };
            let (active, range) = &mut *slot;
            let stream = units[active.unit].stream;
            worker.bind(stream, &**selection);
            active.transform(range.clone(), direction, hashes[stream as usize], worker, budget)
        })
    }

    /// Frees units that are not finished, when there are too many.
    fn drop_columns(&mut self) {
        let mut kept = 0;
        for active in &mut self.active {
            let bytes = active.columns.as_ref().map_or(0, memory);
            kept += bytes;
            if kept > MAX_KEPT_BYTES {
                kept -= bytes;
                active.free(&self.budget);
            }
        }
    }
}

impl Active {
    /// Gives back the memory of the unit.
    fn free(&mut self, budget: &Budget<'_>) {
        if let Some(columns) = self.columns.take() {
            budget.give(memory(&columns));
        }
    }

    fn time_at(&self, row: usize) -> Option<i64> {
        let columns = self.columns.as_ref()?;
        columns.timestamps.get(*self.rows.get(row)? as usize).copied()
    }

    /// The rows still to come that are on the near side of `bound`.
    fn range(&self, bound: i64, direction: Direction) -> Option<std::ops::Range<usize>> {
        let columns = self.columns.as_ref()?;
        let before = |row: &u32| columns.timestamps[*row as usize] < bound;
        let range = match direction {
            Direction::Backward => self.rows[..self.left].partition_point(before)..self.left,
            Direction::Forward => {
                let from = self.rows.len() - self.left;
                from..from + self.rows[from..].partition_point(before)
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

/// Bytes of structured metadata.
pub(crate) fn metadata_bytes(columns: &LogColumns) -> u64 {
    let len = |range: (u32, u32)| u64::from(range.1.saturating_sub(range.0));
    columns.metadata.iter().map(|pair| len(pair.name) + len(pair.value)).sum()
}
