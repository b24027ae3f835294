//! LogQL: parser, pipeline stages and metric queries over any log source.

#![forbid(unsafe_code)]

mod label_set;
mod pattern;
mod pipeline;
mod syntax;
mod units;

pub use label_set::LabelSet;
pub use pipeline::names::sanitize_label_name;
pub use pipeline::label_sets::Categories;
pub use syntax::*;
