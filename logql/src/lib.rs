//! LogQL, the query language of Loki 3: parser, pipelines over log lines, functions of numbers, over any log source.
//!
//! Not a store and not a server: entries come from a [`model::LogSource`], time and clocks are arguments, nothing is read
//! from files, network or environment.
//!
//! ```
//! use foursight_logql::testing::MemoryLogs;
//! use foursight_logql::{Engine, ParseOptions, QueryContext, Request, Value, parse};
//! use model::Labels;
//!
//! let mut logs = MemoryLogs::new(1000);
//! let stream = Labels::from_pairs([("job", "api")]);
//! for (second, line) in ["level=info status=200", "level=error status=500", "level=error status=503"].iter().enumerate() {
//!     logs.push(&stream, second as i64 * 1_000_000_000, line, []);
//! }
//! let query = r#"sum by (level) (count_over_time({job="api"} | logfmt | status >= 500 [1m]))"#;
//! let expr = parse(query, ParseOptions::default())?;
//! let output = Engine::default().query(&logs, &expr, &Request::instant(5_000_000_000), &QueryContext::at(0))?;
//! let Value::Vector(samples) = output.value else { unreachable!("a query of numbers at one moment") };
//! assert_eq!(samples[0].labels.to_string(), r#"{level="error"}"#);
//! assert_eq!(samples[0].value, 2.0);
//! # Ok::<(), foursight_logql::QueryError>(())
//! ```
//!
//! A query goes from text to a tree ([`ast`], checked, with places), to a plan (pipelines compiled, what they need of lines
//! and labels worked out: [`Engine::explain`] shows it), to results: [`Engine::query`]. [`for_each_entry`] streams any
//! number of entries in order, [`Tail`] applies a query to entries as they are pushed, [`explore`] answers what is not a
//! query (fields, patterns, volumes), [`params`] reads requests as the HTTP API has them.
//!
//! Answers are those of the reference, down to its treatment of errors ([`Engine`], `__error__`), save where it loses lines
//! or labels by mistake. What goes beyond it is off unless [`ParseOptions::extensions`] is set.
//!
//! Limits: queries of 128 KiB ([`parse`]), trees of bounded height, [`Limits`] for series, bytes and memory, [`Watch`] for
//! time; regular expressions in linear time; templates that stop.

#![forbid(unsafe_code)]

mod engine;
mod explain;
pub mod explore;
mod label_set;
mod logs;
mod metric;
pub mod params;
mod pattern;
mod pipeline;
mod syntax;
mod tail;
pub mod testing;
mod units;
mod vector;

pub use engine::{
    Engine, EngineOptions, Limits, MatchingError, NoWatch, QueryContext, QueryError, QueryErrorKind, QueryOutput,
    Request, Sample, SeriesPoints, Stats, Stop, Time, Value, Watch,
};
pub use explain::{Measured, PlanNode};
pub use label_set::LabelSet;
pub use logs::{Cursor, Entry, LogParams, LogResult, StreamEntries, for_each_entry};
pub use pipeline::label_sets::{Categories, EntryLabels};
pub use pipeline::names::sanitize_label_name;
pub use syntax::*;
pub use tail::Tail;
pub use units::duration::DurationError;
