//! How an evaluator reads a log store: [`LogSource`] selects, [`LogSelection`] reads unit by unit.
//!
//! A unit is what the store reads in one piece: a block, or the part of the open chunk that was there when the
//! selection was made. Units carry bounds and counts, so that a query for the newest lines stops early, a count without
//! filters reads no line, and units are read from any number of threads. Units of one stream may overlap in time;
//! no entry is in two of them.

use std::sync::Arc;

use crate::error::SourceError;
use crate::labels::Labels;
use crate::log::LogColumns;
use crate::matcher::Matcher;
use crate::series_source::LabelQuery;
use crate::shorten::Shorten;

/// Order in which entries are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// Oldest first.
    Forward,
    /// Newest first.
    #[default]
    Backward,
}

/// Which entries an evaluator wants.
#[derive(Clone, Debug, Default)]
pub struct LogSelect {
    /// Conditions on the stream's labels; all have to hold.
    pub matchers: Vec<Matcher>,
    /// Start of the time range in ns, inclusive.
    pub start_ns: i64,
    /// End of the time range in ns, exclusive.
    pub end_ns: i64,
    /// Order of [`LogSelection::units`].
    pub direction: Direction,
    /// Every wanted line contains, for each element of the outer list, at least one text of the inner list (case-sensitive).
    /// A store uses it to leave out entries and units; it may leave them in as well.
    pub needles: Vec<Vec<String>>,
    /// About so many entries will be read, 0: all. With a limit a store need not find out in advance which units the needles rule
    /// out.
    pub limit: usize,
    /// Lines are not looked at: a store may leave their text empty (timestamps and counts are right).
    pub skip_lines: bool,
    /// Structured metadata is not looked at: a store may leave it out.
    pub skip_metadata: bool,
    /// Not all of a line is looked at: a store may give lines that are shortened by this.
    pub shorten: Option<Arc<dyn Shorten>>,
}

/// A piece of one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogUnit {
    /// Index into [`LogSelection::streams`].
    pub stream: u32,
    /// Oldest timestamp in ns.
    pub min_ns: i64,
    /// Newest timestamp in ns.
    pub max_ns: i64,
    /// Entries in the unit, before any filter.
    pub entries: u64,
    /// Bytes of their lines.
    pub bytes: u64,
}

/// A place where log streams can be read. Implemented by stores and by tests.
pub trait LogSource: Send + Sync {
    /// The streams that satisfy the matchers and their units that may hold wanted entries.
    ///
    /// # Errors
    /// When the store cannot look them up.
    fn select<'a>(&'a self, request: &LogSelect) -> Result<Box<dyn LogSelection + 'a>, SourceError>;

    /// Names of the labels of the selected streams, ascending. Times of the query are in ms.
    ///
    /// # Errors
    /// As [`LogSource::select`].
    fn label_names(&self, query: &LabelQuery) -> Result<Vec<String>, SourceError>;

    /// Values of one label over the selected streams, ascending.
    ///
    /// # Errors
    /// As [`LogSource::select`].
    fn label_values(&self, name: &str, query: &LabelQuery) -> Result<Vec<String>, SourceError>;

    /// Label sets of the selected streams, in no particular order.
    ///
    /// # Errors
    /// As [`LogSource::select`].
    fn series(&self, query: &LabelQuery) -> Result<Vec<Labels>, SourceError>;
}

/// Streams and units found by [`LogSource::select`].
pub trait LogSelection: Send + Sync {
    /// Label sets of the streams that have a unit.
    fn streams(&self) -> &[Labels];

    /// The units: newest `max_ns` first for [`Direction::Backward`], oldest `min_ns` first for [`Direction::Forward`]; units
    /// of equal times in the order of their arrival, turned round for [`Direction::Backward`].
    fn units(&self) -> &[LogUnit];

    /// Replaces the content of `out` by the entries of unit `index` that are in the time range, oldest first, entries of one
    /// timestamp in the order of their arrival. Entries that cannot contain the needles may be missing.
    ///
    /// # Errors
    /// When the unit cannot be read. A damaged one is an error of kind `Corrupt`; the evaluator may go on without it and say so.
    fn read(&self, index: usize, out: &mut LogColumns) -> Result<(), SourceError>;

    /// As [`LogSelection::read`], for the entries that also have a timestamp in `[start_ns, end_ns)`; an end of `i64::MAX`
    /// is none. A store neither decodes nor puts together the others where it can, so that who wants the newest entries of
    /// many units at the same time reads them in slices of time, and stops when it has enough.
    ///
    /// # Errors
    /// As [`LogSelection::read`].
    fn read_between(&self, index: usize, start_ns: i64, end_ns: i64, out: &mut LogColumns) -> Result<(), SourceError> {
        self.read(index, out)?;
        let before = |time_ns: i64| out.timestamps.partition_point(|timestamp| *timestamp < time_ns);
        let end = if end_ns == i64::MAX { out.len() } else { before(end_ns) };
        let start = before(start_ns).min(end);
        out.keep(start..end);
        Ok(())
    }

    /// Replaces `out` by the number of entries of unit `index` between each two neighbours of `edges_ns` (ascending): from the
    /// first, inclusive, to the second, exclusive. Entries outside of the time range are not counted. False when the store does
    /// not know without reading lines. One call answers for all steps of a query: what it takes is decoded once.
    fn counts(&self, index: usize, edges_ns: &[i64], out: &mut Vec<u64>) -> bool {
        let _ = (index, edges_ns, out);
        false
    }

    /// [`LogSelection::counts`] between two edges.
    fn count(&self, index: usize, start_ns: i64, end_ns: i64) -> Option<u64> {
        let mut counts = Vec::new();
        self.counts(index, &[start_ns, end_ns.max(start_ns)], &mut counts).then(|| counts.iter().sum())
    }

    /// Whether an entry of unit `index` may have structured metadata. A store that knows it has none lets evaluators count
    /// its entries without reading them.
    fn has_metadata(&self, index: usize) -> bool {
        let _ = index;
        true
    }

    /// What was left out, and why.
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }
}
