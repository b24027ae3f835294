//! Zero-copy codecs of the wire: exposition formats, remote write and read, Loki push, OTLP.
//! Not a client and not a server: bytes in, borrowed views out, and the other way round. No HTTP, no tokio, no clock.
//!
//! ```
//! use foursight_wire::exposition::{Event, Parser, TextFormat};
//!
//! let page = b"# TYPE up gauge\nup{job=\"node\"} 1\n";
//! let mut parser = Parser::new(page, TextFormat::Prometheus);
//! let mut seen = Vec::new();
//! while let Some(event) = parser.next_event().unwrap() {
//!     if let Event::Series(series) = event {
//!         seen.push((series.raw.to_vec(), series.value));
//!     }
//! }
//! assert_eq!(seen, [(b"up{job=\"node\"}".to_vec(), 1.0)]);
//! ```
//!
//! Modules: [`proto`] (protobuf wire reader and writer), [`exposition`] (scrape formats: parsers, lint, writers),
//! [`remote_write`], [`remote_read`], [`loki`] (push), [`otlp`] (metrics and logs), [`compress`] (snappy, gzip, zlib
//! with a cap on the output).
//!
//! Invariants: nothing here panics on foreign bytes, allocates from a length it has not checked against the input, or
//! recurses without a bound. Field order of messages is not assumed. Every limit is enforced while reading.

#![deny(missing_docs)]
#![forbid(unsafe_code)]

pub mod compress;
mod error;
pub mod exposition;
mod histogram;
pub mod loki;
pub mod number;
pub mod otlp;
pub mod proto;
pub mod remote_read;
pub mod remote_write;

pub use error::{Error, ErrorKind, Result};
pub use histogram::Native;
