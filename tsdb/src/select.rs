//! Reading: series of the head and of blocks, joined by label set, each merged in time.
//!
//! [`DbSelection`] holds a [`View`], so that what it found stays readable, and for every series of the head its newest sample at the moment of
//! selection, so that batches that come later are not seen in part.

use std::sync::Arc;

use hashbrown::{HashMap, HashTable};
use model::index::{IndexError, LabelIndex};
use model::{LabelQuery, Labels, Matcher, SampleColumns, SelectHints, Selection, SourceError};
use parking_lot::{Mutex, RwLock};
use roaring::RoaringBitmap;
use smallvec::SmallVec;

use crate::block::LATE_RANK;
use crate::db::Db;
use crate::error::{Error, ErrorKind};
use crate::head::{HeadSeries, ReadRange};
use crate::samples::{Part, align_starts, merge_floats, merge_histograms};
use crate::view::View;

/// Warnings kept for one selection.
const MAX_WARNINGS: usize = 20;

/// Series found in a store.
pub(crate) struct DbSelection<'a> {
    db: &'a Db,
    view: Arc<View>,
    from_ms: i64,
    to_ms: i64,
    series: Vec<Found>,
    /// For labels that were asked about: a number for the value in every series.
    value_ids: RwLock<Vec<(Box<str>, Arc<[u32]>)>>,
    warnings: Mutex<Vec<String>>,
}

struct Found {
    labels: Labels,
    head: Option<HeadSeries>,
    /// Blocks of the view that have the series, and its number there; ascending.
    blocks: SmallVec<[(u32, u32); 2]>,
}

impl<'a> DbSelection<'a> {
    pub(crate) fn new(db: &'a Db, matchers: &[Matcher], hints: &SelectHints) -> Result<Self, Error> {
        let view = db.view();
        let (from_ms, to_ms) = (hints.start_ms, hints.end_ms);
        let mut selection = Self {
            db,
            view,
            from_ms,
            to_ms,
            series: Vec::new(),
            value_ids: RwLock::default(),
            warnings: Mutex::default(),
        };
        selection.find_in_head(matchers)?;
        selection.find_in_blocks(matchers)?;
        if hints.limit > 0 {
            selection.series.truncate(hints.limit);
        }
        Ok(selection)
    }

    fn find_in_head(&mut self, matchers: &[Matcher]) -> Result<(), Error> {
        if self.to_ms < self.view.head_from_ms && self.db.head().late_count() == 0 {
            return Ok(());
        }
        let range = self.head_range(self.from_ms, self.to_ms);
        let series = &mut self.series;
        let found = self.db.head().select(matchers, &range, |head, labels| {
            series.push(Found { labels: labels.clone(), head: Some(head), blocks: SmallVec::new() });
        });
        found.map_err(|source| Error::Index { path: "head".into(), source })
    }

    fn head_range(&self, from_ms: i64, to_ms: i64) -> ReadRange {
        ReadRange { from_ms, to_ms, in_order_from_ms: self.view.head_from_ms }
    }

    fn find_in_blocks(&mut self, matchers: &[Matcher]) -> Result<(), Error> {
        let view = self.view.clone();
        let overlapping = || view.blocks.iter().enumerate().filter(|(_, b)| b.overlaps(self.from_ms, self.to_ms));
        if overlapping().next().is_none() {
            return Ok(());
        }
        let mut known: HashTable<u32> = HashTable::with_capacity(self.series.len());
        for (at, found) in self.series.iter().enumerate() {
            let series = &self.series;
            known.insert_unique(found.labels.fingerprint(), at as u32, |&at| fingerprint(series, at));
        }
        let (mut series, mut trouble) = (std::mem::take(&mut self.series), Vec::new());
        for (number, block) in overlapping() {
            let mut join = |id: u32, labels: Labels| {
                let hash = labels.fingerprint();
                let same = known.find(hash, |&at| series.get(at as usize).is_some_and(|found| found.labels == labels));
                match same.copied() {
                    Some(at) => series[at as usize].blocks.push((number as u32, id)),
                    None => {
                        let at = series.len() as u32;
                        series.push(Found { labels, head: None, blocks: SmallVec::from_slice(&[(number as u32, id)]) });
                        known.insert_unique(hash, at, |&at| fingerprint(&series, at));
                    }
                }
            };
            let visited = block.select(matchers).and_then(|ids| block.visit_labels(ids, &mut join));
            if let Err(error) = visited {
                trouble.push(error);
            }
        }
        self.series = series;
        trouble.into_iter().try_for_each(|error| self.leave_out(error))
    }

    /// Numbers the values of a label, 0 for none.
    fn number_values(&self, name: &str) -> Arc<[u32]> {
        let mut numbers: HashMap<&str, u32, foldhash::fast::RandomState> = HashMap::default();
        // Neighbours often agree.
        let mut last = ("", 0);
        let ids = self.series.iter().map(|found| {
            let value = found.labels.value(name);
            if value != last.0 {
                let next = numbers.len() as u32 + 1;
                last = (value, if value.is_empty() { 0 } else { *numbers.entry(value).or_insert(next) });
            }
            last.1
        });
        ids.collect()
    }

    /// Notes damage and goes on; any other error ends the reading.
    fn leave_out(&self, error: Error) -> Result<(), Error> {
        if error.kind() != ErrorKind::Corrupt {
            return Err(error);
        }
        self.db.note_damage(&error);
        let mut warnings = self.warnings.lock();
        let text = format!("left out: {error}");
        if warnings.len() < MAX_WARNINGS && !warnings.contains(&text) {
            warnings.push(text);
        }
        Ok(())
    }

    /// Whether no block can have a sample of a series after a time.
    fn is_newest(&self, found: &Found, time_ms: i64) -> bool {
        let mut blocks = found.blocks.iter().filter_map(|(number, _)| self.view.blocks.get(*number as usize));
        blocks.all(|block| block.meta().max_time <= time_ms)
    }

    fn read_range(&self, found: &Found, from_ms: i64, to_ms: i64, out: &mut SampleColumns) -> Result<(), Error> {
        let mut floats: SmallVec<[Part; 4]> = SmallVec::new();
        let mut histograms: SmallVec<[Part; 4]> = SmallVec::new();
        let mut begin = |out: &SampleColumns, rank: u8| {
            floats.push(Part { start: out.timestamps.len(), rank });
            histograms.push(Part { start: out.histogram_timestamps.len(), rank });
        };
        for &(number, id) in &found.blocks {
            let Some(block) = self.view.blocks.get(number as usize) else { continue };
            if block.overlaps(from_ms, to_ms) {
                begin(out, block.rank());
                if let Err(error) = block.read(id, from_ms, to_ms, out) {
                    self.leave_out(error)?;
                }
            }
        }
        if let Some(head) = found.head {
            // Of a late sample in memory and one in a block, that in the block came first.
            begin(out, LATE_RANK);
            let to_ms = to_ms.min(head.until_ms);
            if from_ms <= to_ms {
                let read = self.db.head().read(head.series, &self.head_range(from_ms, to_ms), out);
                read.map_err(|damage| Error::Corrupt { path: "head".into(), offset: 0, what: damage.0.to_owned() })?;
            }
        }
        align_starts(out);
        merge_floats(out, &floats);
        merge_histograms(out, &histograms);
        Ok(())
    }
}

fn fingerprint(series: &[Found], at: u32) -> u64 {
    series.get(at as usize).map_or(0, |found| found.labels.fingerprint())
}

impl Selection for DbSelection<'_> {
    fn len(&self) -> usize {
        self.series.len()
    }

    fn labels(&self, index: usize) -> Labels {
        self.series.get(index).map(|found| found.labels.clone()).unwrap_or_default()
    }

    fn value_ids(&self, index: usize, names: &[String], out: &mut Vec<u32>) -> bool {
        if index >= self.series.len() {
            return false;
        }
        for name in names {
            let known = self.value_ids.read();
            let id = known.iter().find(|(known, _)| **known == **name).and_then(|(_, ids)| ids.get(index).copied());
            drop(known);
            out.push(id.unwrap_or_else(|| {
                let mut known = self.value_ids.write();
                let at = known.iter().position(|(known, _)| **known == **name).unwrap_or_else(|| {
                    known.push((name.as_str().into(), self.number_values(name)));
                    known.len() - 1
                });
                known.get(at).and_then(|(_, ids)| ids.get(index).copied()).unwrap_or(0)
            }));
        }
        true
    }

    fn read(&self, index: usize, out: &mut SampleColumns) -> Result<(), SourceError> {
        out.clear();
        let Some(found) = self.series.get(index) else { return Ok(()) };
        self.read_range(found, self.from_ms, self.to_ms, out).map_err(|error| {
            out.clear();
            error.into()
        })
    }

    fn read_last(
        &self,
        index: usize,
        at_ms: i64,
        lookback_ms: i64,
        out: &mut SampleColumns,
    ) -> Result<(), SourceError> {
        out.clear();
        let Some(found) = self.series.get(index) else { return Ok(()) };
        let after_ms = at_ms.saturating_sub(lookback_ms);
        // The newest sample of all is at hand without decoding, where no block reaches beyond it.
        if let Some(head) = found.head
            && head.until_ms <= at_ms
            && self.is_newest(found, head.until_ms)
        {
            let answered = self.db.head().with_series(head.series, |series| {
                series.last_ms() == head.until_ms && (head.until_ms <= after_ms || series.put_last(out))
            });
            if answered == Some(true) {
                return Ok(());
            }
        }
        self.read_range(found, after_ms.saturating_add(1), at_ms, out).map_err(|error| {
            out.clear();
            SourceError::from(error)
        })?;
        keep_last(out);
        Ok(())
    }

    fn warnings(&self) -> Vec<String> {
        self.warnings.lock().clone()
    }
}

/// What is collected of one index, `None` as the set meaning "all series", at most so many.
type Collect<'a> = dyn Fn(&dyn LabelIndex, Option<&RoaringBitmap>, usize) -> Result<Vec<String>, IndexError> + 'a;

/// Reduces columns to their newest sample.
fn keep_last(out: &mut SampleColumns) {
    let (float, histogram) = (out.timestamps.last().copied(), out.histogram_timestamps.last().copied());
    let keep = |column: &mut Vec<i64>, keep: bool| {
        column.drain(..column.len() - usize::from(keep && !column.is_empty()));
    };
    let is_float = float.is_some() && float >= histogram;
    let is_histogram = !is_float && histogram.is_some();
    keep(&mut out.timestamps, is_float);
    keep(&mut out.start_timestamps, is_float);
    out.values.drain(..out.values.len() - usize::from(is_float));
    keep(&mut out.histogram_timestamps, is_histogram);
    keep(&mut out.histogram_start_timestamps, is_histogram);
    out.histograms.drain(..out.histograms.len() - usize::from(is_histogram));
}

/// Collects names or values over the head and all blocks that a query covers.
pub(crate) fn collect(db: &Db, query: &LabelQuery, of: &Collect<'_>) -> Result<Vec<String>, Error> {
    let view = db.view();
    let mut all = std::collections::BTreeSet::new();
    let (from_ms, to_ms) = (query.start_ms, query.end_ms);
    let range = ReadRange { from_ms, to_ms, in_order_from_ms: view.head_from_ms };
    let head = db.head();
    let in_order = from_ms.max(view.head_from_ms) <= to_ms && head.max_ms() >= from_ms;
    if in_order || head.late_count() > 0 {
        let in_head = |source| Error::Index { path: "head".into(), source };
        let ids = union_of(query, |matchers| head.select_ids(matchers).map_err(in_head))?;
        let ids = ids.map(|ids| head.retain_in_range(&ids, &range));
        if ids.as_ref().is_none_or(|ids| !ids.is_empty()) {
            all.extend(of(&*head.index(), ids.as_ref(), query.limit).map_err(in_head)?);
        }
    }
    for block in view.blocks.iter().filter(|block| block.overlaps(query.start_ms, query.end_ms)) {
        let answer = union_of(query, |matchers| block.select(matchers)).and_then(|ids| {
            if ids.as_ref().is_some_and(RoaringBitmap::is_empty) {
                return Ok(Vec::new());
            }
            of(block.index(), ids.as_ref(), query.limit).map_err(|source| block.index_error(source))
        });
        match answer {
            Ok(found) => all.extend(found),
            Err(error) if error.kind() == ErrorKind::Corrupt => db.note_damage(&error),
            Err(error) => return Err(error),
        }
    }
    let limit = if query.limit == 0 { usize::MAX } else { query.limit };
    Ok(all.into_iter().take(limit).collect())
}

/// The series that satisfy one of the query's selectors; `None` when it has none, which means all.
fn union_of(
    query: &LabelQuery,
    mut select: impl FnMut(&[Matcher]) -> Result<RoaringBitmap, Error>,
) -> Result<Option<RoaringBitmap>, Error> {
    if query.selectors.is_empty() {
        return Ok(None);
    }
    let mut union = RoaringBitmap::new();
    for matchers in &query.selectors {
        union |= select(matchers)?;
    }
    Ok(Some(union))
}
