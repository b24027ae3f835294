//! Small shared pieces of text: times as RFC 3339, durations as the peers write them, names, fingerprints, cutting.
//!
//! Everything here is a plain function or a newtype with a serde form; the modules above use them so that one file decides
//! how a time or a duration looks in JSON, in YAML and in a message.

mod cut;
mod duration;
mod labels;
mod names;
mod number;
mod time;

pub use cut::{cut_bytes, cut_runes};
pub use duration::{GoDuration, PromDuration, go_duration_text, parse_go_duration_ms};
pub use labels::{
    null_default, null_items, null_values, serde_by_labels, serde_float, serde_float_map, serde_label_list,
    serde_labels, serde_number_map,
};
pub use names::{NameScheme, escape_query, group_labels_text, label_fingerprint, quote_meta, sha256_hex};
pub use number::plain_number;
pub use time::{ZERO_TIME, parse_time_ms, rfc3339, rfc3339_millis, serde_time, serde_time_opt};
