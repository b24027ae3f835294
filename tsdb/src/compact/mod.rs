//! Compaction: few large blocks instead of many small ones, and one instead of several that overlap.
//!
//! [`plan`] chooses what to merge next by looking at ranges and sizes alone; [`merge`] reads the chosen blocks side by side, series by series
//! in the order of their label sets, and writes one. What is written is never changed again, so a reader of the old blocks is
//! not disturbed.

mod merge;
mod plan;

pub(crate) use merge::{MergeError, merge};
pub(crate) use plan::{Candidate, longest_range, plan};
