//! What happens to each entry: a list of stages that transform and filter line and labels.
//!
//! [`compile::compile`] makes a [`Pipeline`] of a query's stages once; each worker clones it, binds it to a stream
//! ([`Pipeline::bind`]) and runs it over the entries of the stream's units ([`Pipeline::run`]). In steady state an entry
//! costs no allocation: texts are places in buffers ([`state`]), names are numbers ([`names`]), keys of parsers are
//! remembered ([`keys`]).

pub(crate) mod bytes;
pub(crate) mod compile;
pub(crate) mod context;
pub(crate) mod derive;
pub(crate) mod json_scan;
pub(crate) mod keys;
pub(crate) mod label_sets;
pub(crate) mod logfmt_scan;
pub(crate) mod names;
pub(crate) mod scan;
pub(crate) mod search;
pub(crate) mod shorten;
pub(crate) mod stages;
pub(crate) mod state;
#[cfg(test)]
mod tests;

use model::{Labels, LogColumns};

use context::Hints;
use stages::Stage;
use state::{LineState, Slice, Source};

/// Most names a worker numbers before it forgets those that the query does not mention.
const MAX_NAMES: usize = 1 << 17;

/// Compiled stages with the state of one worker.
#[derive(Clone)]
pub(crate) struct Pipeline {
    pub(crate) stages: Vec<Stage>,
    pub(crate) hints: Hints,
    pub(crate) state: LineState,
    stream: Labels,
    /// Counts how often names were forgotten: whoever keeps numbers of names has to start anew.
    pub(crate) generation: u64,
    /// Structured metadata is not looked at.
    pub(crate) skip_metadata: bool,
}

impl Pipeline {
    /// A pipeline of one stage that nothing is asked of but all labels.
    pub(crate) fn of(stage: Stage) -> Self {
        Self {
            stages: vec![stage],
            hints: Hints::default(),
            state: LineState::default(),
            stream: Labels::empty(),
            generation: 0,
            skip_metadata: false,
        }
    }

    /// Starts with a stream.
    pub(crate) fn bind(&mut self, stream: &Labels) {
        self.state.bind(stream);
        self.stream = stream.clone();
    }

    /// Runs the stages over one entry; false when it is dropped. Afterwards [`Self::state`] tells line and labels.
    #[inline]
    pub(crate) fn run(&mut self, columns: &LogColumns, row: usize) -> bool {
        self.start(columns, row);
        self.run_stages(&columns.text, 0)
    }

    /// The stages from `first` on.
    #[inline]
    pub(crate) fn run_stages(&mut self, unit: &str, first: usize) -> bool {
        for stage in &mut self.stages[first..] {
            if !stage.run(&mut self.state, unit, &self.hints) {
                return false;
            }
        }
        true
    }

    /// Starts with an entry.
    #[inline]
    pub(crate) fn start(&mut self, columns: &LogColumns, row: usize) {
        if self.state.names.len() > MAX_NAMES {
            self.forget_names();
        }
        let (start, end) = columns.lines.get(row).copied().unwrap_or_default();
        let timestamp_ns = columns.timestamps.get(row).copied().unwrap_or_default();
        self.state.start(timestamp_ns, Slice { source: Source::Unit, start, end });
        if self.skip_metadata || columns.metadata_ends.is_empty() {
            return;
        }
        let end = columns.metadata_ends.get(row).copied().unwrap_or(0) as usize;
        let start = if row == 0 { 0 } else { columns.metadata_ends[row - 1] as usize };
        for pair in columns.metadata.get(start..end).unwrap_or(&[]) {
            let name = columns.text.get(pair.name.0 as usize..pair.name.1 as usize).unwrap_or("");
            let (start, end) = pair.value;
            self.state.add_metadata(name, Slice { source: Source::Unit, start, end });
        }
    }

    fn forget_names(&mut self) {
        self.generation += 1;
        self.state.names.forget();
        for stage in &mut self.stages {
            stage.forget_names();
        }
        let stream = std::mem::take(&mut self.stream);
        self.bind(&stream);
    }
}
