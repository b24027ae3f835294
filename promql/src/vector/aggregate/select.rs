//! `topk`, `bottomk`, `limitk`, `limit_ratio`: series that keep their own labels.

use std::cmp::Ordering;
use std::sync::Arc;

use model::{FloatHistogram, Labels};

use super::super::{Column, Scalars, Value};
use super::{AggregateNotes, Input, Picked};
use crate::ast::AggregateOp;

#[derive(Clone)]
struct Candidate {
    value: f64,
    series: u32,
    histogram: Option<Arc<FloatHistogram>>,
}

/// Per group and step a heap of the best so far, the worst of them on top. Sifting is that of Go's `container/heap`,
/// so that among equal values the same ones stay.
pub(super) struct Selection {
    op: AggregateOp,
    /// k at each step.
    limits: Vec<u32>,
    heaps: Vec<Vec<Candidate>>,
}

impl Selection {
    pub(super) fn new(op: AggregateOp, k: &Scalars, steps: usize, inputs: usize) -> Self {
        // k has been checked: it fits into 64 bits, and what is above the input counts as all of it.
        let limit = |k: f64| if k.is_nan() || k < 1.0 { 0 } else { (k as u64).min(inputs as u64) as u32 };
        Self { op, limits: (0..steps).map(|step| limit(k.get(step))).collect(), heaps: Vec::new() }
    }

    pub(super) fn grow(&mut self, slots: usize) {
        self.heaps.resize(slots, Vec::new());
    }

    /// Whether `a` is to leave before `b`.
    fn worse(op: AggregateOp, a: f64, b: f64) -> bool {
        a.is_nan() || if op == AggregateOp::Bottomk { a > b } else { a < b }
    }

    pub(super) fn add(&mut self, from: usize, input: Input<'_>, notes: &mut AggregateNotes) -> bool {
        let limits = std::mem::take(&mut self.limits);
        super::for_each_present(input.column, |step, value| {
            let k = limits[step] as usize;
            if k == 0 {
                return;
            }
            let candidate = match value {
                Value::Float(value) => Candidate { value, series: input.series, histogram: None },
                Value::Histogram(_) if self.op != AggregateOp::Limitk => {
                    notes.histogram_ignored = true;
                    return;
                }
                Value::Histogram(h) => Candidate { value: 0.0, series: input.series, histogram: Some(Arc::clone(h)) },
            };
            self.offer(from + step, k, candidate);
        });
        self.limits = limits;
        false
    }

    fn offer(&mut self, slot: usize, k: usize, new: Candidate) {
        let op = self.op;
        let heap = &mut self.heaps[slot];
        if op == AggregateOp::Limitk {
            if heap.len() < k {
                heap.push(new);
            }
            return;
        }
        if heap.len() < k {
            heap.push(new);
            let mut at = heap.len() - 1;
            while at > 0 {
                let parent = (at - 1) / 2;
                if !Self::worse(op, heap[at].value, heap[parent].value) {
                    break;
                }
                heap.swap(at, parent);
                at = parent;
            }
            return;
        }
        let top = heap[0].value;
        let better = if op == AggregateOp::Bottomk { new.value < top } else { new.value > top };
        let replaces_nan = top.is_nan() && !new.value.is_nan();
        if !better && !replaces_nan {
            return;
        }
        heap[0] = new;
        let mut at = 0;
        loop {
            let mut child = 2 * at + 1;
            if child >= heap.len() {
                break;
            }
            if child + 1 < heap.len() && Self::worse(op, heap[child + 1].value, heap[child].value) {
                child += 1;
            }
            if !Self::worse(op, heap[child].value, heap[at].value) {
                break;
            }
            heap.swap(at, child);
            at = child;
        }
    }

    pub(super) fn absorb(&mut self, other: Self, map: &[u32], steps: usize) {
        for (there, mut heap) in other.heaps.into_iter().enumerate() {
            let step = there % steps;
            let slot = map[there / steps] as usize * steps + step;
            heap.sort_by_key(|c| c.series);
            for candidate in heap {
                self.offer(slot, self.limits[step] as usize, candidate);
            }
        }
    }

    pub(super) fn finish(self, steps: usize) -> Vec<Picked> {
        let op = self.op;
        let mut out = Vec::new();
        for (slot, mut heap) in self.heaps.into_iter().enumerate() {
            if op != AggregateOp::Limitk {
                heap.sort_by(|a, b| {
                    let worse_first = match (a.value.is_nan(), b.value.is_nan()) {
                        (true, true) => Ordering::Equal,
                        (true, false) => Ordering::Less,
                        (false, true) => Ordering::Greater,
                        _ if op == AggregateOp::Bottomk => b.value.partial_cmp(&a.value).unwrap_or(Ordering::Equal),
                        _ => a.value.partial_cmp(&b.value).unwrap_or(Ordering::Equal),
                    };
                    worse_first.reverse().then(a.series.cmp(&b.series))
                });
            }
            let step = (slot % steps) as u32;
            out.extend(heap.into_iter().map(|c| Picked {
                series: c.series,
                step,
                float: c.value,
                histogram: c.histogram,
            }));
        }
        out
    }
}

/// Where a series stands in [0, 1], by the hash of its labels.
pub fn ratio_offset(labels: &Labels) -> f64 {
    labels.prometheus_hash() as f64 / u64::MAX as f64
}

/// Keeps the values of the steps at which a ratio takes the series: r >= 0 those below r, r < 0 those from 1 + r on.
/// False when none is left.
pub fn keep_ratio(column: &mut Column, offset: f64, ratio: &Scalars) -> bool {
    let mut any = false;
    for step in 0..column.len() {
        let r = ratio.get(step).clamp(-1.0, 1.0);
        if (r >= 0.0 && offset < r) || (r < 0.0 && offset >= 1.0 + r) {
            any |= column.is_present(step);
        } else {
            column.remove(step);
        }
    }
    any
}
