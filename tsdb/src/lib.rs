//! Embedded time-series store: appends samples, selects series by matchers and time range. Durable and compressed.
//!
//! Not a server and not a query engine: it evaluates no expression, knows no protocol, starts no thread of its own and reads no clock.
//! One process opens a directory at a time; any number of threads share the [`Db`].
//!
//! ```
//! use foursight_tsdb::{Db, Labels, Matcher, Options, SampleColumns, SelectHints, SeriesSource};
//!
//! # let dir = tempfile::tempdir()?;
//! # let dir = dir.path();
//! let db = Db::open(dir, Options::default())?;
//! let mut batch = db.appender()?;
//! let cpu = batch.resolve(&Labels::from_pairs([("__name__", "cpu_seconds_total"), ("host", "web")]))?;
//! for i in 0..4 {
//!     batch.append(cpu, 1_700_000_000_000 + i * 15_000, i as f64 * 1.5)?;
//! }
//! batch.commit()?; // on the device when this returns
//!
//! let hints = SelectHints { start_ms: 1_700_000_000_000, end_ms: 1_700_000_030_000, ..Default::default() };
//! let found = db.select(&[Matcher::equal("host", "web")], &hints)?;
//! let mut columns = SampleColumns::new();
//! found.read(0, &mut columns)?;
//! assert_eq!(found.labels(0).to_string(), r#"cpu_seconds_total{host="web"}"#);
//! assert_eq!(columns.values, [0.0, 1.5, 3.0]);
//! db.close()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Modules: [`Db`] wires `head` (what is in memory), `log` (the write-ahead log), `block` (what is on disk) and `view` (what
//! there is to read); [`Appender`] writes, `select` reads, `raw` finds series by a sender's bytes, `codec` turns samples into bytes.
//! [`Db::maintain`] does what is due: the owner calls it about once a second.
//!
//! Limits: timestamps are `i64` milliseconds within [`MAX_TIMESTAMP_MS`] of the epoch; a batch has at most [`MAX_BATCH_SAMPLES`] samples;
//! see [`Options`] for those that can be set. On disk: `wal` (segments of the log), `blocks` (a directory each), `lock`; the pages in
//! `docs/format` describe every byte.

#![deny(missing_docs)]

mod appender;
mod block;
mod codec;
mod compact;
mod db;
mod error;
mod exemplars;
mod head;
mod log;
mod metadata;
mod options;
mod raw;
mod samples;
mod select;
mod tombstones;
mod ulid;
mod view;

pub use appender::{Appender, CommitReport, ExemplarRefusal, MAX_BATCH_SAMPLES};
pub use block::{BlockMeta, BlockStats, CompactionMeta, Origin};
pub use codec::histogram::NativeHistogram;
pub use db::{Db, DbStats, Maintenance, RetentionClass};
pub use disk::retention::Retention;
pub use disk::{Files, MemFiles, RealFiles, SyncPolicy};
pub use error::{Error, ErrorKind};
pub use exemplars::{Exemplar, ExemplarReason, ExemplarSeries, MAX_EXEMPLAR_LABEL_CHARS};
pub use head::{HeadUsage, MAX_TIMESTAMP_MS, Reason, Refusal, SeriesRef};
pub use log::replay::Damage;
pub use metadata::{MAX_METADATA, MAX_METADATA_LEN, Metadata, MetricKind};
pub use model::{
    FloatHistogram, Histogram, LabelQuery, Labels, LabelsBuilder, MatchOp, Matcher, ResetHint, SampleColumns,
    SelectHints, Selection, SeriesSource, Span,
};
pub use options::{BLOCK_RANGE_MS, Options};
pub use raw::{MAX_RAW_KEY_LEN, RawCursor, RawKeys};
pub use ulid::{ParseUlidError, Ulid};
