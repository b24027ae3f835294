//! Embedded log store: takes entries of labelled streams, keeps them durable and compressed, finds them by label matchers,
//! time range and text.
//!
//! Not a server and not a query engine: an evaluator reads it through [`model::LogSource`]. No clock, no threads of its own:
//! times are arguments, and background work happens in [`Db::maintain`].
//!
//! ```
//! use foursight_logstore::{Db, Options, PushEntry, PushStream, StreamKey};
//! use model::{LogColumns, LogSelect, LogSource, Labels, Matcher};
//! # use foursight_logstore as logstore;
//!
//! # let dir = tempfile::tempdir()?;
//! let now_ns = 1_767_607_200_000_000_000;
//! let db = Db::open(dir.path(), Options::default())?;
//! let titan = Labels::from_pairs([("job", "titan"), ("host", "web")]);
//! let entries = [PushEntry { timestamp_ns: now_ns, line: "GET /cart 200", metadata: &[] }];
//! db.push(&[PushStream { key: StreamKey::Labels(&titan), entries: &entries }], now_ns)?;
//!
//! let request = LogSelect {
//!     matchers: vec![Matcher::equal("job", "titan")],
//!     start_ns: now_ns - 60_000_000_000,
//!     end_ns: now_ns + 1,
//!     ..LogSelect::default()
//! };
//! let selection = db.select(&request)?;
//! let mut columns = LogColumns::new();
//! selection.read(0, &mut columns)?;
//! assert_eq!(columns.line(0), "GET /cart 200");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Modules: `write` (the way of a push), `head` (streams and open chunks), `record` (what the log holds), `segment`
//! (immutable files), `view` (which data is where), `select` (reading), `report` (how much there is of what), `tail` (what is
//! pushed, as it comes), `maintain` (background work) with `retention`, `deletes` and `merge`, `snapshot`, `limits`.
//!
//! Limits: timestamps are `i64` nanoseconds; a push holds at most 192 MiB of lines and metadata; see [`Limits`] for the rest.
//! Layout on disk: `LOCK`, `wal/`, `segments/` and `deletes`, see the pages in `docs/format`.

#![deny(missing_docs)]

mod bytes;
mod civil;
mod codec;
mod db;
mod deletes;
mod error;
mod head;
mod limits;
mod maintain;
mod merge;
mod needles;
mod options;
mod push;
mod record;
mod report;
mod retention;
mod segment;
mod select;
mod snapshot;
mod tail;
mod view;
mod write;

pub use db::{Db, Stats};
pub use deletes::{DeleteFilter, DeleteInfo, DeleteReader, DeleteRequest, DeleteState, EntryFilter};
pub use disk::SyncPolicy;
pub use disk::retention::Retention;
pub use disk::space::Brake;
pub use error::{Error, ErrorKind};
pub use limits::{Limits, Rate, Refusal};
pub use maintain::MaintainReport;
pub use options::Options;
pub use push::{PushEntry, PushReport, PushStream, Refused, StreamKey};
pub use report::{LabelCount, StreamVolume, ValueCount, count_labels};
pub use retention::StreamRetention;
pub use tail::{Dropped, Tail, TailBatch};
