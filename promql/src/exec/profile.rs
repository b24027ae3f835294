//! What `explain analyze` tells about each operator.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::plan::Plan;
use crate::vector::Series;

#[derive(Default)]
pub(super) struct NodeProfile {
    /// Time from start to result, operands included.
    pub(super) nanos: AtomicU64,
    series: AtomicU64,
    points: AtomicU64,
    bytes: AtomicU64,
    /// Samples decoded for it.
    samples: AtomicU64,
}

pub(super) struct Profile {
    nodes: Vec<NodeProfile>,
}

impl Profile {
    pub(super) fn new(nodes: usize) -> Self {
        Self { nodes: (0..nodes).map(|_| NodeProfile::default()).collect() }
    }

    pub(super) fn node(&self, id: usize) -> &NodeProfile {
        &self.nodes[id]
    }

    /// Books a vector that a node has made.
    pub(super) fn output(&self, id: usize, series: &[Series]) {
        let node = &self.nodes[id];
        node.series.fetch_add(series.len() as u64, Ordering::Relaxed);
        let points: usize = series.iter().map(|s| s.column.points()).sum();
        let bytes: usize = series.iter().map(|s| s.column.bytes()).sum();
        node.points.fetch_add(points as u64, Ordering::Relaxed);
        node.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Books samples decoded for one series of a node.
    pub(super) fn read(&self, id: usize, samples: usize) {
        self.nodes[id].samples.fetch_add(samples as u64, Ordering::Relaxed);
    }

    /// The plan with the figures behind each operator. One whose series went straight into the operator around it shows
    /// what it read only.
    pub(super) fn render(&self, plan: &Plan) -> String {
        let mut out = String::new();
        let remark = |id: usize| {
            let node = &self.nodes[id];
            let get = |n: &AtomicU64| n.load(Ordering::Relaxed);
            let mut text = String::new();
            let (series, samples, nanos) = (get(&node.series), get(&node.samples), get(&node.nanos));
            // Writing into a string cannot fail.
            if series > 0 {
                let _ = write!(text, ", {series} series, {} points, {} bytes", get(&node.points), get(&node.bytes));
            }
            if samples > 0 {
                let _ = write!(text, ", {samples} samples read");
            }
            if nanos > 0 {
                let _ = write!(text, ", {} µs", nanos / 1000);
            }
            text.get(2..).map_or_else(String::new, |t| format!("  ({t})"))
        };
        let _ = plan.write_tree(&mut out, &remark);
        out
    }
}
