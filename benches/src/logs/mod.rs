//! A seeded corpus of logs: web access logs, JSON, logfmt and system logs of a small company, six hours of 372 streams.
//!
//! [`Corpus`] yields pushes in order of time, as agents would send them. The same seed and size give the same bytes. What was
//! planted, and how often some things occur, is in [`Truth`]: answers are checked against it.

mod corpus;
mod lines;

pub use corpus::{Batch, Corpus, Kind, StreamBatch, Truth};
