//! Merging blocks into one.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use model::Labels;
use roaring::RoaringBitmap;

use crate::block::{Block, BlockWriter};
use crate::error::{Error, ErrorKind};
use crate::samples::{Part, Samples, merge_floats, merge_native};

/// Why a merge did not come about.
#[derive(Debug)]
pub(crate) enum MergeError {
    /// A block cannot be read; its place among those given, and what is wrong with it.
    Source(usize, Error),
    /// The new block cannot be written.
    Target(Error),
    /// It was called off.
    Stopped,
}

/// The next series of a block.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Next {
    labels: Labels,
    /// Place of the block among those merged.
    source: usize,
    series: u32,
}

/// Writes all series of some blocks to `writer`, but those of the first block that are in `without`. Reads one series at a time;
/// `go_on` is asked before each.
pub(crate) fn merge(
    blocks: &[Arc<Block>],
    without: Option<&RoaringBitmap>,
    writer: &mut BlockWriter,
    mut go_on: impl FnMut() -> bool,
) -> Result<(), MergeError> {
    let mut sets: Vec<_> = blocks.iter().map(|block| block.index().label_sets()).collect();
    let mut read = |source: usize, series: u32| -> Result<Option<Next>, MergeError> {
        if series >= blocks[source].series_count() {
            return Ok(None);
        }
        let labels = sets[source].read(series);
        let labels = labels.map_err(|error| MergeError::Source(source, blocks[source].index_error(error)))?;
        Ok(Some(Next { labels, source, series }))
    };
    let mut heap = BinaryHeap::new();
    for source in 0..blocks.len() {
        heap.extend(read(source, 0)?.map(Reverse));
    }
    let mut samples = Samples::default();
    let mut floats = Vec::new();
    let mut histograms = Vec::new();
    while let Some(Reverse(first)) = heap.pop() {
        if !go_on() {
            return Err(MergeError::Stopped);
        }
        samples.clear();
        floats.clear();
        histograms.clear();
        let labels = first.labels.clone();
        let mut next = Some(first);
        while let Some(Next { source, series, .. }) = next.take() {
            let block = &blocks[source];
            floats.push(Part { start: samples.floats.timestamps.len(), rank: block.rank() });
            histograms.push(Part { start: samples.histograms.len(), rank: block.rank() });
            if source > 0 || without.is_none_or(|without| !without.contains(series)) {
                read_series(block, source, series, &mut samples)?;
            }
            heap.extend(read(source, series + 1)?.map(Reverse));
            if heap.peek().is_some_and(|Reverse(other)| other.labels == labels) {
                next = heap.pop().map(|Reverse(next)| next);
            }
        }
        merge_floats(&mut samples.floats, &floats);
        merge_native(&mut samples.histograms, &histograms);
        writer.push(&labels, &samples).map_err(MergeError::Target)?;
    }
    Ok(())
}

fn read_series(block: &Block, source: usize, series: u32, samples: &mut Samples) -> Result<(), MergeError> {
    block.read_native(series, i64::MIN, i64::MAX, samples).map_err(|error| match error.kind() {
        ErrorKind::Corrupt => MergeError::Source(source, error),
        _ => MergeError::Target(error),
    })
}
