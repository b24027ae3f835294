//! A part of the head with a lock of its own: its series, and where it stands in the log.
//!
//! A series lives in the shard of the batch that brought it first, so a sender's series are neighbours: a batch locks one
//! shard, or few, and walks its memory in order.

use super::series::{Admission, Bounds, Reason};
use super::slab::Slab;
use super::{Outcome, Pending, SeriesId};
use crate::log::section::{Placed, SectionHead, SectionWriter};

/// A chain is written anew after this many times as many samples as it has values in full: what a damaged record can cost.
const CHAIN_LENGTH: u64 = 240;

#[derive(Default)]
pub(crate) struct Shard {
    pub(crate) number: u32,
    pub(crate) slab: Slab,
    /// Number of the present chain: a series of another one is written in full.
    chain: u32,
    /// First chain under the present base: a series of an older one is defined again.
    base_chain: u32,
    /// The base under which the shard writes, see [`crate::log`].
    base: u64,
    /// Newest sample written under it.
    base_max_ms: i64,
    sequence: u64,
    full: u64,
    samples: u64,
}

impl Shard {
    pub(crate) fn new(number: u32) -> Self {
        // Series begin with chain 0, which is never the present one.
        Self { number, chain: 1, base_chain: 1, base_max_ms: i64::MIN, ..Self::default() }
    }

    /// Takes up another base; returns the one left and its newest sample.
    pub(crate) fn begin_base(&mut self, base: u64) -> Option<(u64, i64)> {
        if base == self.base {
            return None;
        }
        let left = (self.base, self.base_max_ms);
        self.base = base;
        self.base_max_ms = i64::MIN;
        self.begin_chain();
        self.base_chain = self.chain;
        Some(left)
    }

    fn begin_chain(&mut self) {
        self.chain += 1;
        self.full = 0;
        self.samples = 0;
    }

    /// Takes samples of this shard in their order, and writes those that were taken to `section`.
    pub(crate) fn apply<'a>(
        &mut self,
        samples: impl Iterator<Item = &'a Pending>,
        bounds: &Bounds,
        section: &mut SectionWriter,
        outcome: &mut Outcome,
    ) {
        if self.samples > self.full * CHAIN_LENGTH && self.samples > 1 << 16 {
            self.begin_chain();
        }
        let (chain, base_chain) = (self.chain, self.base_chain);
        for pending in samples {
            let place = pending.series.place();
            let Some(series) = self.slab.get_mut(place, pending.generation) else {
                outcome.unknown.push(*pending);
                continue;
            };
            match series.admit(pending.timestamp_ms, pending.value, bounds) {
                Admission::InOrder => {}
                Admission::Duplicate => {
                    outcome.duplicates += 1;
                    continue;
                }
                Admission::OutOfOrder => {
                    outcome.refuse(series.labels().clone(), pending.timestamp_ms, Reason::OutOfOrder);
                    continue;
                }
                Admission::Refused(reason) => {
                    outcome.refuse(series.labels().clone(), pending.timestamp_ms, reason);
                    continue;
                }
            }
            let step = series.append(pending.timestamp_ms, pending.value);
            outcome.took(pending.timestamp_ms);
            self.samples += 1;
            let placed = Placed {
                number: place,
                check: series.check,
                timestamp_ms: pending.timestamp_ms,
                bits: series.state().bits,
            };
            if series.chain == chain {
                section.sample(placed, &mut series.habit, step);
                continue;
            }
            if series.chain < base_chain {
                section.define(place, series.labels());
            }
            series.chain = chain;
            self.full += 1;
            let state = *series.state();
            section.sample_in_full(placed, &mut series.habit, &state);
            if !series.indexed {
                series.indexed = true;
                outcome.new_series.push((SeriesId::new(self.number, place), series.labels().clone()));
            }
        }
        self.base_max_ms = self.base_max_ms.max(outcome.max_ms);
    }

    /// Ends a section: its place in the log.
    pub(crate) fn next_section(&mut self) -> SectionHead {
        self.sequence += 1;
        SectionHead { sequence: self.sequence, base: self.base }
    }
}
