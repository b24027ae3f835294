//! What is known of metrics beside their samples: kind, unit, help.

use std::collections::BTreeMap;

pub use model::MetricKind;

/// Metrics of which metadata is kept; of more nothing is learnt.
pub const MAX_METADATA: usize = 100_000;

/// Longest help or unit that is kept; longer ones are cut.
pub const MAX_METADATA_LEN: usize = 4 << 10;

/// What is known of a metric.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Its kind.
    pub kind: MetricKind,
    /// Its unit, empty when not said.
    pub unit: String,
    /// What it means.
    pub help: String,
}

/// Metadata by metric (family) name.
#[derive(Debug, Default)]
pub(crate) struct MetadataTable(BTreeMap<Box<str>, Metadata>);

impl MetadataTable {
    /// Takes what is known of a metric; returns it as kept if that is new.
    pub(crate) fn set(&mut self, metric: &str, mut metadata: Metadata) -> Option<Metadata> {
        cut(&mut metadata.unit);
        cut(&mut metadata.help);
        let full = self.0.len() >= MAX_METADATA;
        match self.0.get_mut(metric) {
            Some(known) if *known == metadata => None,
            Some(known) => {
                known.clone_from(&metadata);
                Some(metadata)
            }
            None if full => None,
            None => {
                self.0.insert(metric.into(), metadata.clone());
                Some(metadata)
            }
        }
    }

    pub(crate) fn get(&self, metric: &str) -> Option<&Metadata> {
        self.0.get(metric)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Metadata)> {
        self.0.iter().map(|(metric, metadata)| (&**metric, metadata))
    }
}

fn cut(text: &mut String) {
    if text.len() > MAX_METADATA_LEN {
        let mut end = MAX_METADATA_LEN;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_news_is_told() {
        let mut table = MetadataTable::default();
        let metadata = |help: &str| Metadata { kind: MetricKind::Counter, unit: String::new(), help: help.to_owned() };
        assert!(table.set("a", metadata("x")).is_some());
        assert!(table.set("a", metadata("x")).is_none());
        assert!(table.set("a", metadata("y")).is_some());
        assert_eq!(table.get("a"), Some(&metadata("y")));
        let long = table.set("b", metadata(&"ü".repeat(3_000))).unwrap();
        assert_eq!(long.help.len(), MAX_METADATA_LEN);
        assert!(table.set("b", metadata(&"ü".repeat(4_000))).is_none());
        assert_eq!(table.iter().count(), 2);
    }
}
