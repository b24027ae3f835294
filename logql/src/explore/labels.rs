//! Labels worth showing to someone who explores streams.

use std::collections::{BTreeMap, BTreeSet};

use model::number::parse_float;
use model::{LabelQuery, LogSource, SourceError};

/// A label of streams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DetectedLabel {
    /// Its name.
    pub label: String,
    /// How many values it has.
    pub cardinality: u64,
}

/// Labels that are shown whatever their values.
const ALWAYS: [&str; 4] = ["cluster", "instance", "namespace", "pod"];

/// The labels of the selected streams, by name, without those whose values are all numbers or UUIDs.
///
/// # Errors
/// When the source fails.
pub fn detected_labels(source: &dyn LogSource, query: &LabelQuery) -> Result<Vec<DetectedLabel>, SourceError> {
    let series = source.series(query)?;
    let mut labels: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, value) in series.iter().flatten() {
        labels.entry(name).or_default().insert(value);
    }
    let shown = labels.into_iter().filter(|(name, values)| ALWAYS.contains(name) || !are_ids(values));
    Ok(shown.map(|(name, values)| DetectedLabel { label: name.to_owned(), cardinality: values.len() as u64 }).collect())
}

/// Whether the values only tell things apart. One or both of `0` and `1` are a yes or no instead.
fn are_ids(values: &BTreeSet<&str>) -> bool {
    let yes_or_no = values.iter().all(|value| matches!(*value, "0" | "1"));
    !yes_or_no && values.iter().all(|value| parse_float(value).is_ok() || is_uuid(value))
}

/// Whether a text is a UUID: 32 hexadecimal digits, with hyphens, in braces or behind `urn:uuid:` or not.
fn is_uuid(text: &str) -> bool {
    let bare = match text.len() {
        45 if text.get(..9).is_some_and(|start| start.eq_ignore_ascii_case("urn:uuid:")) => &text[9..],
        38 => text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(text),
        _ => text,
    };
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
    match bare.len() {
        32 => digits(bare),
        36 => {
            let lengths = [8, 4, 4, 4, 12];
            let parts: Vec<&str> = bare.split('-').collect();
            parts.len() == 5 && parts.iter().zip(lengths).all(|(part, len)| part.len() == len && digits(part))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_ids_from_values() {
        let cases: [(&[&str], bool); 7] = [
            (&["a"], false),
            (&["0", "1"], false),
            (&["1"], false),
            (&["0", "1", "2"], true),
            (&["12", "f0e1d2c3-0123-4567-89ab-cdef01234567"], true),
            (&["{f0e1d2c3-0123-4567-89ab-cdef01234567}"], true),
            (&["f0e1d2c3-0123-4567-89ab-cdef0123456"], false),
        ];
        for (values, want) in cases {
            assert_eq!(are_ids(&values.iter().copied().collect()), want, "{values:?}");
        }
    }
}
