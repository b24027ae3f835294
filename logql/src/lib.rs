//! LogQL: parser, pipeline stages and metric queries over any log source.

#![forbid(unsafe_code)]

mod engine;
mod label_set;
mod logs;
mod metric;
pub mod params;
mod pattern;
mod pipeline;
mod syntax;
pub mod testing;
mod units;
mod vector;

pub use engine::{
    Engine, EngineOptions, Limits, MatchingError, NoWatch, QueryContext, QueryError, QueryErrorKind, QueryOutput,
    Request, Sample, SeriesPoints, Stats, Stop, Time, Value, Watch,
};
pub use label_set::LabelSet;
pub use logs::{Cursor, Entry, LogParams, LogResult, StreamEntries, for_each_entry};
pub use pipeline::label_sets::{Categories, EntryLabels};
pub use pipeline::names::sanitize_label_name;
pub use syntax::*;
