//! Operations on series: aggregations, operators, `label_replace`.
//!
//! A series is a column over all steps ([`Series`]); an operation works out once which series belong together and then
//! goes through the columns. What the reference decides step by step (which series are there, which are among the
//! largest) is decided step by step here too.

pub(crate) mod aggregate;
pub(crate) mod binary;
pub(crate) mod label_replace;
#[cfg(test)]
mod tests;

use crate::label_set::LabelSet;

/// The numbers of one series at all steps, [`crate::metric::grid::ABSENT`] where there is none.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) labels: LabelSet,
    pub(crate) values: Vec<f64>,
}
