//! Looking around in logs: which labels and fields there are, how much of what, which patterns lines have.
//!
//! These are the answers behind the API's `detected_labels`, `detected_fields`, `index/stats`, `index/volume` and
//! `patterns`. Volumes and statistics come from the headers of units; fields and patterns read lines.

mod fields;
mod labels;
mod patterns;
mod volume;

pub use fields::{DetectedField, FieldType, FieldsRequest, detected_fields, field_values};
pub use labels::{DetectedLabel, detected_labels};
pub use patterns::{PatternMiner, PatternSeries, patterns};
pub use volume::{AggregateBy, IndexStats, VolumeRequest, index_stats, volume_value, volumes};
