//! Queries of entries: the newest or oldest that pass a pipeline, or all of them in order.

mod ordered;
mod slices;
mod stream;

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use model::{Direction, LogSource};

use crate::engine::{QueryContext, QueryError, QueryOutput, Stats, Value};
use crate::explain::{self, Measured, PlanNode, StageMeasure};
use crate::label_set::LabelSet;
use crate::pipeline::compile::{Compiled, OrderedStage, compile};
use crate::pipeline::label_sets::EntryLabels;
use crate::syntax::ast::LogExpr;
pub(crate) use ordered::Ordered;
use stream::EntryStream;
pub(crate) use stream::{memory, metadata_bytes};

/// Which entries are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogParams {
    /// Start of the time range in ns, inclusive.
    pub start_ns: i64,
    /// End of the time range in ns, exclusive.
    pub end_ns: i64,
    /// Which entries first.
    pub direction: Direction,
    /// Most entries.
    pub limit: usize,
    /// Least distance in time of two entries in ns, 0 for any.
    pub interval_ns: i64,
    /// Keep labels of stream, metadata and parsers apart.
    pub categorize: bool,
    /// Go on where an earlier result ended.
    pub after: Option<Cursor>,
}

/// The end of a page: the next one begins behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Time of the last entry in ns.
    pub timestamp_ns: i64,
    /// How many entries of that time were on the pages so far.
    pub count: u64,
}

/// An entry of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Time in ns.
    pub timestamp_ns: i64,
    /// The line, as the stages left it.
    pub line: Box<str>,
    /// All labels of the entry; its parts are there if they were asked for.
    pub labels: Arc<EntryLabels>,
}

/// Entries of one label set, in the order that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamEntries {
    /// All labels; those of the stream alone if the parts were asked for.
    pub labels: LabelSet,
    /// The entries.
    pub entries: Vec<Entry>,
}

/// The answer to a query of entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogResult {
    /// Entries by label set, sorted by the text of the labels.
    pub streams: Vec<StreamEntries>,
    /// Where the next page begins, if the limit was reached.
    pub next: Option<Cursor>,
}

/// Answers a query of entries.
pub(crate) fn query(
    source: &dyn LogSource,
    expr: &LogExpr,
    params: &LogParams,
    context: &QueryContext<'_>,
) -> Result<QueryOutput, QueryError> {
    let compiled = compile(&expr.stages, None, context.timestamp())?;
    collect(source, expr, compiled, params, context).map(|(output, _)| output)
}

/// The plan of a query of entries.
pub(crate) fn explain(expr: &LogExpr, params: &LogParams, context: &QueryContext<'_>) -> Result<PlanNode, QueryError> {
    let compiled = compile(&expr.stages, None, context.timestamp())?;
    Ok(explain::log(expr, params, &compiled, None))
}

/// Answers a query of entries and tells what its stages took.
pub(crate) fn analyze(
    source: &dyn LogSource,
    expr: &LogExpr,
    params: &LogParams,
    context: &QueryContext<'_>,
) -> Result<(QueryOutput, PlanNode), QueryError> {
    let mut compiled = compile(&expr.stages, None, context.timestamp())?;
    compiled.measure();
    let began = context.watch.now_ns();
    let (output, stages) = collect(source, expr, compiled.clone(), params, context)?;
    let time_ns = context.watch.now_ns().saturating_sub(began);
    let measured = Measured { time_ns, lines_in: Some(output.stats.lines), out: output.stats.entries_returned };
    let plan = explain::log(expr, params, &compiled, Some((measured, &stages)));
    Ok((output, plan))
}

fn collect(
    source: &dyn LogSource,
    expr: &LogExpr,
    compiled: Compiled,
    params: &LogParams,
    context: &QueryContext<'_>,
) -> Result<(QueryOutput, Vec<StageMeasure>), QueryError> {
    let mut streams: Vec<StreamEntries> = Vec::new();
    let mut by_labels: HashMap<LabelSet, usize, foldhash::fast::FixedState> = HashMap::default();
    let mut count = 0usize;
    let mut cursor = None;
    let mut bytes = 0u64;
    let limit = context.limits.max_memory_bytes;
    let mut take = |entry: Entry, at: Cursor| {
        let labels = match &entry.labels.categories {
            Some(categories) => &categories.stream,
            None => &entry.labels.all,
        };
        let index = match by_labels.get(labels) {
            Some(index) => *index,
            None => {
                streams.push(StreamEntries { labels: labels.clone(), entries: Vec::new() });
                by_labels.insert(labels.clone(), streams.len() - 1);
                streams.len() - 1
            }
        };
        bytes += entry.line.len() as u64 + 64;
        streams[index].entries.push(entry);
        count += 1;
        cursor = Some(at);
        if bytes > limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let (stats, warnings, measures) = run_compiled(source, expr, compiled, params, context, params.limit, &mut take)?;
    if bytes > limit {
        return Err(QueryError::TooMuchMemory { limit });
    }
    streams.sort_by_cached_key(|stream| stream.labels.to_string());
    let stats = Stats { entries_returned: count as u64, ..stats };
    let next = cursor.filter(|_| count >= params.limit);
    Ok((QueryOutput { value: Value::Streams(LogResult { streams, next }), stats, warnings }, measures))
}

/// Calls `sink` with each entry that passes, in the order asked for, until it breaks or there are no more. Memory is
/// bounded whatever the number of entries: for downloads. `limit` is only a hint of how many will be taken.
///
/// # Errors
/// As [`crate::Engine::query`].
pub fn for_each_entry(
    source: &dyn LogSource,
    expr: &LogExpr,
    params: &LogParams,
    context: &QueryContext<'_>,
    sink: impl FnMut(Entry, Cursor) -> ControlFlow<()>,
) -> Result<(Stats, Vec<String>), QueryError> {
    run(source, expr, params, context, usize::MAX, sink)
}

/// The same for at most `limit` entries. Entries that come too soon after another count too, as the reference counts them.
fn run(
    source: &dyn LogSource,
    expr: &LogExpr,
    params: &LogParams,
    context: &QueryContext<'_>,
    limit: usize,
    mut sink: impl FnMut(Entry, Cursor) -> ControlFlow<()>,
) -> Result<(Stats, Vec<String>), QueryError> {
    let compiled = compile(&expr.stages, None, context.timestamp())?;
    run_compiled(source, expr, compiled, params, context, limit, &mut sink)
        .map(|(stats, warnings, _)| (stats, warnings))
}

fn run_compiled(
    source: &dyn LogSource,
    expr: &LogExpr,
    compiled: Compiled,
    params: &LogParams,
    context: &QueryContext<'_>,
    limit: usize,
    sink: &mut dyn FnMut(Entry, Cursor) -> ControlFlow<()>,
) -> Result<(Stats, Vec<String>, Vec<StageMeasure>), QueryError> {
    let mut picker = Picker::new(params, compiled.ordered.clone());
    let mut stream = EntryStream::open(source, &expr.selector.matchers, compiled, params, context)?;
    let mut count = 0;
    while count < limit
        && let Some(entry) = stream.next()?
    {
        let Some(cursor) = picker.pick(&entry) else { continue };
        stream.check_memory(picker.ordered.bytes())?;
        count += 1;
        if picker.is_far(&entry) && sink(entry, cursor).is_break() {
            break;
        }
    }
    let measures = stream.measures();
    let (stats, warnings) = stream.finish();
    Ok((stats, warnings, measures))
}

/// What is decided on entries in their final order.
struct Picker<'a> {
    params: &'a LogParams,
    last_ns: Option<i64>,
    /// Entries seen of the time of the last one.
    same_time: u64,
    seen_ns: Option<i64>,
    ordered: Ordered,
}

impl<'a> Picker<'a> {
    fn new(params: &'a LogParams, stages: Vec<OrderedStage>) -> Self {
        Self { params, last_ns: None, same_time: 0, seen_ns: None, ordered: Ordered::new(stages) }
    }

    /// Where the result stands after the entry, if it belongs to it.
    fn pick(&mut self, entry: &Entry) -> Option<Cursor> {
        let at = entry.timestamp_ns;
        self.same_time = if self.seen_ns == Some(at) { self.same_time + 1 } else { 1 };
        self.seen_ns = Some(at);
        let earlier = self.params.after.filter(|after| after.timestamp_ns == at);
        if earlier.is_some_and(|after| self.same_time <= after.count) {
            return None;
        }
        if !self.ordered.is_first(entry) {
            return None;
        }
        Some(Cursor { timestamp_ns: at, count: self.same_time })
    }

    /// Whether the entry is as far from the last one as was asked for.
    fn is_far(&mut self, entry: &Entry) -> bool {
        let (at, interval) = (entry.timestamp_ns, self.params.interval_ns);
        let far = match (self.last_ns, self.params.direction) {
            (Some(_), _) if interval == 0 => true,
            (Some(last), Direction::Forward) => at >= last.saturating_add(interval),
            (Some(last), Direction::Backward) => at <= last.saturating_sub(interval),
            (None, _) => true,
        };
        if far {
            self.last_ns = Some(at);
        }
        far
    }
}
