//! Test scripts in the language of Prometheus' `promqltest`: load series, evaluate queries, compare.
//!
//! [`run`] runs a script against an [`Engine`] over a [`MemorySource`]. Its parts stand alone: [`parse_series`] reads the
//! series notation (`up{job="a"} 0+1x5 _ stale`, as unit tests of rules use it), [`MemorySource`] is a store in memory,
//! [`compare`] decides whether a result is the expected one, with the tolerance written once.
//!
//! Every instant query is run again with its selectors pinned to the evaluation time, at other times, and all of them as
//! range queries too: results must be the same.

pub mod compare;
mod nhcb;
mod notation;
mod pin;
mod run;
mod script;
mod source;
mod start;

use crate::engine::{Engine, EngineOptions};
use crate::parse::ParserOptions;

pub use notation::{NotationError, SequenceValue, parse_series, parse_values};
pub use run::{Failure, Report, run};
pub use script::ScriptError;
pub use source::MemorySource;

/// Most samples a query of a script may use.
pub const MAX_SAMPLES: usize = 10_000;

/// The engine that scripts expect: everything allowed, names removed late, start times used.
pub fn engine() -> Engine {
    Engine::new(EngineOptions {
        parser: ParserOptions::all(),
        delayed_name_removal: true,
        use_start_timestamps: true,
        ..EngineOptions::default()
    })
}
