//! Segments: immutable files with many streams' entries, each written once and mapped.
//!
//! Lines are taken apart (`template`) into what repeats and fields; the fields of all lines of one template are columns
//! (`column`), which share the words of the segment (`words`). `builder` and `writer` make a segment, `reader`,
//! `directory` and `rows` read it, `search` finds lines by the texts in them, `counts` counts them,
//! `shortening` leaves out what a query does not look at, `format` has its bytes.
#![doc = include_str!("../../docs/format/segment.md")]

mod builder;
mod column;
mod counts;
mod directory;
mod format;
mod reader;
mod rows;
mod search;
mod shortening;
mod template;
mod words;
mod writer;

pub(crate) use counts::Minutes;
pub(crate) use format::SegmentId;
pub(crate) use reader::Segment;
pub(crate) use search::Plan;
pub(crate) use shortening::Shortening;
pub(crate) use writer::{Origin, SegmentWriter};

#[cfg(test)]
mod tests;
