//! A part of the head with a lock of its own: its series, and where it stands in the log.
//!
//! A series lives in the shard of the batch that brought it first, so a sender's series are neighbours: a batch locks one
//! shard, or few, and walks its memory in order.

use super::series::{Admission, Bounds, Offer, Series};
use super::slab::Slab;
use super::{Outcome, Pending, PendingHistogram};
use crate::log::BaseUse;
use crate::log::section::{Placed, SectionHead, SectionWriter};

/// A chain is written anew after this many times as many samples as it has values in full: what a damaged record can cost.
const CHAIN_LENGTH: u64 = 240;

#[derive(Default)]
pub(crate) struct Shard {
    pub(crate) number: u32,
    pub(crate) slab: Slab,
    /// Number of the present chain: a series of another one is written in full.
    chain: u32,
    /// Counts bases: a series of an older one is defined again.
    base_number: u32,
    /// The base under which the shard writes, see [`crate::log`].
    base: u64,
    /// Newest sample written under it, late ones included.
    base_max_ms: i64,
    /// Freezing that covers the late samples written under it.
    base_freezing: u64,
    sequence: u64,
    full: u64,
    samples: u64,
}

impl Shard {
    pub(crate) fn new(number: u32) -> Self {
        // Series begin with chain and base 0, which are never the present ones.
        Self { number, chain: 1, base_number: 1, base_max_ms: i64::MIN, ..Self::default() }
    }

    /// Takes up another base; returns what is to be known of the one left.
    pub(crate) fn begin_base(&mut self, base: u64) -> Option<BaseUse> {
        if base == self.base {
            return None;
        }
        let left = BaseUse { base: self.base, max_ms: self.base_max_ms, freezing: self.base_freezing };
        self.base = base;
        self.base_max_ms = i64::MIN;
        self.base_freezing = 0;
        self.begin_chain();
        self.base_number += 1;
        Some(left)
    }

    /// Notes that a late sample was written, which the freezing of this number covers.
    pub(crate) fn note_late(&mut self, freezing: u64, timestamp_ms: i64) {
        self.base_freezing = self.base_freezing.max(freezing);
        self.base_max_ms = self.base_max_ms.max(timestamp_ms);
    }

    fn begin_chain(&mut self) {
        self.chain += 1;
        self.full = 0;
        self.samples = 0;
    }

    /// Takes samples of this shard in their order, each with its start timestamp (0: unknown), and writes those that were taken to
    /// `section`.
    pub(crate) fn apply<'a>(
        &mut self,
        samples: impl Iterator<Item = (&'a Pending, i64)>,
        bounds: &Bounds,
        section: &mut SectionWriter,
        outcome: &mut Outcome,
    ) {
        if self.samples > self.full * CHAIN_LENGTH && self.samples > 1 << 16 {
            self.begin_chain();
        }
        let (chain, base_number) = (self.chain, self.base_number);
        for (pending, start_ms) in samples {
            let place = pending.series.place();
            let Some(series) = self.slab.get_mut(place, pending.generation) else {
                outcome.unknown.push((*pending, start_ms));
                continue;
            };
            let (timestamp_ms, value) = (pending.timestamp_ms, pending.value);
            let admission = series.admit(timestamp_ms, Offer::Float(value), bounds);
            if admission != Admission::InOrder {
                if outcome.settle(admission, series, timestamp_ms) {
                    define(series, place, base_number, section);
                    series.insert_late(timestamp_ms, Offer::Float(value));
                    let check = series.check;
                    section.late_sample(Placed { number: place, check, timestamp_ms, bits: value.to_bits() });
                    outcome.show(self.number, place, series);
                }
                continue;
            }
            if start_ms != 0 || series.rare().is_some() {
                put_start(series, place, timestamp_ms, start_ms, section);
            }
            let step = series.append(timestamp_ms, value);
            outcome.took(timestamp_ms);
            self.samples += 1;
            let placed = Placed { number: place, check: series.check, timestamp_ms, bits: series.state().bits };
            if series.chain == chain {
                section.sample(placed, &mut series.habit, step);
                continue;
            }
            define(series, place, base_number, section);
            series.chain = chain;
            self.full += 1;
            let state = *series.state();
            section.sample_in_full(placed, &mut series.habit, &state);
            outcome.show(self.number, place, series);
        }
        self.base_max_ms = self.base_max_ms.max(outcome.max_ms);
    }

    /// As [`Shard::apply`], for native histograms.
    pub(crate) fn apply_histograms<'a>(
        &mut self,
        samples: impl Iterator<Item = &'a PendingHistogram>,
        bounds: &Bounds,
        section: &mut SectionWriter,
        outcome: &mut Outcome,
    ) {
        for pending in samples {
            let place = pending.series.place();
            let Some(series) = self.slab.get_mut(place, pending.generation) else {
                outcome.unknown_histograms.push(pending.clone());
                continue;
            };
            let timestamp_ms = pending.timestamp_ms;
            let offer = Offer::Histogram(&pending.histogram);
            let admission = series.admit(timestamp_ms, offer, bounds);
            let late = admission != Admission::InOrder;
            if late && !outcome.settle(admission, series, timestamp_ms) {
                continue;
            }
            define(series, place, self.base_number, section);
            let placed = Placed { number: place, check: series.check, timestamp_ms, bits: 0 };
            section.histogram(placed, &pending.histogram, late);
            if late {
                series.insert_late(timestamp_ms, offer);
            } else {
                put_start(series, place, timestamp_ms, pending.start_ms, section);
                series.append_histogram(timestamp_ms, pending.histogram.clone());
                outcome.took(timestamp_ms);
            }
            outcome.show(self.number, place, series);
        }
        self.base_max_ms = self.base_max_ms.max(outcome.max_ms);
    }

    /// Ends a section: its place in the log.
    pub(crate) fn next_section(&mut self) -> SectionHead {
        self.sequence += 1;
        SectionHead { sequence: self.sequence, base: self.base }
    }
}

/// Defines a series in the log, where that was not done under this base.
fn define(series: &mut Series, place: u32, base_number: u32, section: &mut SectionWriter) {
    if series.base != base_number {
        series.base = base_number;
        section.define(place, series.labels());
        if let Some((from_ms, start_ms)) = series.rare().and_then(|rare| rare.starts.last()) {
            section.start(place, series.check, from_ms, start_ms);
        }
    }
}

/// Notes the start timestamp of a sample, where it is not the one that held before.
fn put_start(series: &mut Series, place: u32, timestamp_ms: i64, start_ms: i64, section: &mut SectionWriter) {
    let known = series.rare().map_or(0, |rare| rare.starts.at(timestamp_ms));
    if known != start_ms && series.rare_mut().starts.set(timestamp_ms, start_ms) {
        section.start(place, series.check, timestamp_ms, start_ms);
    }
}
