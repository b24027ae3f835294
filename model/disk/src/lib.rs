//! What Foursight's stores do with a disk: a file layer that tests can replace, a write-ahead log with group commit,
//! retention rules and a brake for full disks.
//!
//! Not a store: what a record means and which files make a block is decided by the crates above.
//!
//! ```
//! use std::sync::Arc;
//! use foursight_disk::{MemFiles, SyncPolicy, Wal, WalOptions, wal};
//!
//! let files = Arc::new(MemFiles::new());
//! let log = Wal::open(files.clone(), "wal".into(), WalOptions { sync: SyncPolicy::Always, ..Default::default() })?;
//! let position = log.append(1, b"hello")?;
//! log.commit(position)?; // returns once the record is on the device
//! log.close()?;
//!
//! let mut seen = Vec::new();
//! for segment in wal::list_segments(&*files, "wal".as_ref())? {
//!     wal::read_segment(&*files, &segment, &mut |record| seen.push(record.payload.to_vec()))?;
//! }
//! assert_eq!(seen, [b"hello"]);
//! # Ok::<(), foursight_disk::Error>(())
//! ```
//!
//! Modules: [`files`] (the trait and what it promises), its implementations [`RealFiles`], [`MemFiles`] (models power
//! loss) and [`FaultyFiles`] (injects errors), [`wal`], [`journal`] (records that wait
//! for readers), [`retention`], [`space`].
//!
//! Limits: a WAL record is at most [`wal::MAX_RECORD_LEN`] bytes.

#![deny(missing_docs)]

mod error;
mod faulty;
pub mod files;
pub mod journal;
mod map;
mod mem;
mod real;
pub mod retention;
pub mod space;
pub mod wal;

pub use error::{Error, ErrorKind, IoContext};
pub use faulty::{Fault, FaultKind, FaultyFiles};
pub use files::{DirEntry, Files, Lock, ReadFile, Space, WriteFile, write_atomic};
pub use journal::{Journal, JournalOptions, Place};
pub use map::Mapped;
pub use mem::{MemFiles, PowerLoss};
pub use real::RealFiles;
pub use wal::{Position, SegmentId, SyncPolicy, Wal, WalOptions, WalStats};
