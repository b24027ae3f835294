//! Segments: immutable files with many streams' entries, each written once and mapped.
//!
//! Lines are taken apart (`template`) into what repeats and fields; the fields of all lines of one template are columns
//! (`column`), which share the words of the segment (`words`). `builder` and `writer` make a segment, `reader`,
//! `directory` and `rows` read it, `format` has its bytes.

mod builder;
mod column;
mod directory;
mod format;
mod reader;
mod rows;
mod template;
mod words;
mod writer;

pub(crate) use format::SegmentId;
pub(crate) use reader::Segment;
pub(crate) use writer::SegmentWriter;
