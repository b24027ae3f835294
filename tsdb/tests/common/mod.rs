//! What the tests of the store share: a model to compare with, and short ways to write and read.
#![allow(dead_code, unreachable_pub)]

use std::collections::BTreeMap;

use foursight_tsdb::{Db, Labels, Matcher, SampleColumns, SelectHints, SeriesSource};

/// What a store should hold: bits of the value by timestamp, by series.
pub type Model = BTreeMap<Labels, BTreeMap<i64, u64>>;

pub fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied())
}

/// Series number `i` of metric `m`.
pub fn numbered(i: usize) -> Labels {
    Labels::from_pairs([("__name__", "m".to_owned()), ("i", format!("{i:04}")), ("parity", format!("{}", i % 2))])
}

/// Appends one batch; panics when the store refuses it, returns the samples it refused.
pub fn append(db: &Db, samples: &[(Labels, i64, f64)]) -> usize {
    let mut batch = db.appender().unwrap();
    for (labels, time, value) in samples {
        let series = batch.resolve(labels).unwrap();
        batch.append(series, *time, *value).unwrap();
    }
    let report = batch.commit().unwrap();
    assert_eq!(report.accepted as usize + report.refused.len(), samples.len());
    report.refused.len()
}

/// Everything in a range, by series.
pub fn read(db: &Db, matchers: &[Matcher], from_ms: i64, to_ms: i64) -> Model {
    let hints = SelectHints { start_ms: from_ms, end_ms: to_ms, ..Default::default() };
    let found = db.select(matchers, &hints).unwrap();
    let mut model = Model::new();
    let mut columns = SampleColumns::new();
    for i in 0..found.len() {
        found.read(i, &mut columns).unwrap();
        assert!(columns.timestamps.windows(2).all(|pair| pair[0] < pair[1]), "timestamps ascend");
        assert_eq!(columns.timestamps.len(), columns.values.len());
        if columns.is_empty() {
            continue;
        }
        let samples = columns.timestamps.iter().copied().zip(columns.values.iter().map(|v| v.to_bits()));
        let twice = model.insert(found.labels(i), samples.collect());
        assert!(twice.is_none(), "{} was found twice", found.labels(i));
    }
    assert_eq!(found.warnings(), [""; 0]);
    model
}

/// Everything.
pub fn read_all(db: &Db) -> Model {
    read(db, &[], i64::MIN, i64::MAX)
}

/// The part of a model in a range.
pub fn part(model: &Model, from_ms: i64, to_ms: i64) -> Model {
    let cut = |samples: &BTreeMap<i64, u64>| samples.range(from_ms..=to_ms).map(|(t, v)| (*t, *v)).collect();
    let parts = model.iter().map(|(labels, samples)| (labels.clone(), cut(samples)));
    parts.filter(|(_, samples): &(Labels, BTreeMap<i64, u64>)| !samples.is_empty()).collect()
}
