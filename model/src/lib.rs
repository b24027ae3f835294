//! The words that Foursight's stores, query languages and servers share: label sets, matchers, samples, native
//! histograms, log entries, durations, and the read traits that join a store to an evaluator.
//!
//! Not a store and not a query engine: nothing here opens a file, reads a clock or knows HTTP.
//!
//! ```
//! use foursight_model::{Labels, MatchOp, Matcher};
//!
//! let labels = Labels::from_pairs([("__name__", "up"), ("job", "node")]);
//! let matcher = Matcher::new(MatchOp::Regex, "job", "node|titan").unwrap();
//! assert!(matcher.matches(labels.get("job").unwrap_or("")));
//! assert_eq!(labels.to_string(), r#"up{job="node"}"#);
//! ```
//!
//! Modules: [`labels`] and [`matcher`] (identity and selection), [`sample`], [`histogram`] and [`metric_kind`] (what a
//! series holds), [`log`] (what a stream holds), [`series_source`] and [`log_source`] (how an evaluator reads a store, of
//! lines perhaps [a part](mod@shorten)), [`mod@index`] (from
//! label pairs to series and back, in memory and on disk), [`mod@regex`] and [`number`] (Go's dialects of both), [`duration`].
//!
//! Limits: a label name or value is at most [`labels::MAX_LABEL_LEN`] bytes; timestamps of samples are `i64`
//! milliseconds, of log entries `i64` nanoseconds, both since the Unix epoch.

#![deny(missing_docs)]

pub mod duration;
pub mod error;
pub mod histogram;
pub mod index;
pub mod labels;
pub mod log;
pub mod log_source;
pub mod matcher;
pub mod metric_kind;
pub mod number;
pub mod regex;
pub mod sample;
pub mod series_source;
pub mod shorten;

pub use error::{SourceError, SourceErrorKind};
pub use histogram::{FloatHistogram, Histogram, ResetHint, Span};
pub use labels::{Labels, LabelsBuilder, METRIC_NAME};
pub use log::LogColumns;
pub use log_source::{Direction, LogSelect, LogSelection, LogSource, LogUnit};
pub use matcher::{MatchOp, Matcher};
pub use metric_kind::MetricKind;
pub use regex::{GoRegex, RegexError};
pub use sample::{STALE_NAN, SampleColumns, SampleValue, VectorSample, is_stale};
pub use series_source::{LabelQuery, SelectHints, Selection, SeriesSource};
pub use shorten::{GAP, GapClass, Shorten, Shortened};
