//! Unit tests of rules, in the files that promtool runs.
//!
//! A [`TestFile`] names rule files and holds groups of tests; each group has series, a store of its own, and what is expected
//! of alerts and expressions at certain times. [`TestFile::run`] evaluates the rules from a group's start to its last
//! question, one evaluation interval after the other, each evaluation seeing only the samples up to its time.
//!
//! The host ([`TestHost`]) reads rule files, notation and expressions; it finds the files and prints the reports.

mod compare;
mod file;
mod run;

use model::Labels;

pub use file::{AlertTest, ExpectedAlert, ExpectedSample, ExprTest, InputSeries, TestFile, TestGroup};

use crate::evaluate::{Evaluator, OutputSample, QueryError, Rejected, SampleValue};
use crate::rules::{Group, GroupOptions};

/// The store of one group of tests. What is appended is seen by the next query.
pub trait TestStore: Evaluator {
    /// Writes samples; returns those that were not taken.
    ///
    /// # Errors
    /// When nothing of the call was written.
    fn append(&self, samples: &[OutputSample]) -> Result<Vec<Rejected>, QueryError>;

    /// Every sample from `start_ms` to `end_ms`, as text for people. Asked for only if [`RunOptions::follow`] is set.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn dump(&self, start_ms: i64, end_ms: i64) -> Result<String, QueryError>;
}

/// What a host does for unit tests.
pub trait TestHost {
    /// The groups of all rule files, new, in the order of the files.
    ///
    /// # Errors
    /// Everything that is wrong with the files.
    fn groups(&self, options: &GroupOptions) -> Result<Vec<Group>, Vec<String>>;

    /// An empty store. `evaluation_interval_ms` is the step of subqueries that name none.
    fn store(&self, evaluation_interval_ms: i64) -> Box<dyn TestStore + '_>;

    /// Reads a name and labels.
    ///
    /// # Errors
    /// What is wrong with the text.
    fn parse_labels(&self, text: &str) -> Result<Labels, String>;

    /// Reads values in the notation of test scripts; `None` where there is none.
    ///
    /// # Errors
    /// What is wrong with the text.
    fn parse_values(&self, text: &str) -> Result<Vec<Option<SampleValue>>, String>;
}

/// What is run, and how differences are shown.
#[derive(Clone, Copy)]
pub struct RunOptions<'a> {
    /// Whether a group of tests of this name is run.
    pub selected: &'a dyn Fn(&str) -> bool,
    /// Differences are shown line by line instead of both sides as a whole.
    pub diff: bool,
    /// Told how far the run is, and what each group's store holds at its end.
    pub follow: Option<&'a dyn Fn(Progress<'_>)>,
}

impl Default for RunOptions<'_> {
    fn default() -> Self {
        Self { selected: &|_| true, diff: false, follow: None }
    }
}

/// What [`RunOptions::follow`] is told.
#[derive(Clone, Debug)]
pub enum Progress<'a> {
    /// A group of tests begins; its name or number.
    Started(&'a str),
    /// All questions of a group were asked.
    Asked {
        /// From the group's start to beyond its last question, in ms.
        length_ms: i64,
        /// What the store holds then.
        data: Result<String, QueryError>,
    },
    /// A group of tests has ended.
    Finished(&'a str),
}

/// What became of a group of tests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaseReport {
    /// Its name, or its number if it has none.
    pub name: String,
    /// What failed, in promtool's words; empty if nothing did.
    pub failures: Vec<String>,
}

#[cfg(test)]
mod tests;
