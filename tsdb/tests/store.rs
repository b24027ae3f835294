//! What the store promises in ordinary life: what was appended is found, in memory, in blocks, and after reopening.

mod common;

use std::sync::Arc;

use common::{Model, append, labels, numbered, part, read, read_all};
use disk::PowerLoss;
use foursight_tsdb::{
    Db, ErrorKind, LabelQuery, Labels, MatchOp, Matcher, MemFiles, Options, RawCursor, Reason, Retention,
    RetentionClass, SampleColumns, SelectHints, SeriesSource,
};

const HOUR: i64 = 3_600_000;

fn open(files: &MemFiles, options: Options) -> Db {
    Db::open_with(Arc::new(files.clone()), "data", options).unwrap()
}

/// Scrapes `series` series every minute in `[from, to)`, a batch each minute; adds them to the model.
fn scrape(db: &Db, model: &mut Model, series: usize, from: i64, to: i64) {
    for time in (from..to).step_by(60_000) {
        let batch: Vec<(Labels, i64, f64)> = (0..series)
            .map(|i| {
                let value = match i % 3 {
                    0 => 1.0,
                    1 => (time / 1_000 * i as i64) as f64,
                    _ => (time as f64 / 1e7).sin(),
                };
                (numbered(i), time, value)
            })
            .collect();
        for (labels, time, value) in &batch {
            model.entry(labels.clone()).or_default().insert(*time, value.to_bits());
        }
        assert_eq!(append(db, &batch), 0);
    }
}

#[test]
fn samples_survive_a_power_cut_and_reopening() {
    let files = MemFiles::new();
    let mut model = Model::new();
    let mut files_now = files;
    for round in 0..3i64 {
        let db = open(&files_now, Options::default());
        assert_eq!(read_all(&db), model);
        scrape(&db, &mut model, 50, round * HOUR, (round + 1) * HOUR);
        assert_eq!(read_all(&db), model);
        assert_eq!(read(&db, &[], HOUR / 2, HOUR / 2 + 120_000), part(&model, HOUR / 2, HOUR / 2 + 120_000));
        // Never closed: what was acknowledged is on the device.
        files_now = files_now.power_loss(PowerLoss::Unsynced);
    }
    let db = open(&files_now, Options::default());
    assert_eq!(read_all(&db), model);
    assert_eq!(db.damage(), []);
}

#[test]
fn the_head_is_cut_into_blocks_and_nothing_changes() {
    let files = MemFiles::new();
    let db = open(&files, Options::default());
    let mut model = Model::new();
    let mut written = 0;
    for hour in 0..20 {
        scrape(&db, &mut model, 30, hour * HOUR, (hour + 1) * HOUR);
        let report = db.maintain(hour * HOUR).unwrap();
        assert!(report.errors.is_empty(), "{:?}", report.errors);
        written += report.written.len();
        assert_eq!(read_all(&db), model, "hour {hour}");
    }
    assert_eq!(written, 3);
    let blocks = db.blocks();
    assert_eq!(
        blocks.iter().map(|b| (b.min_time / HOUR, b.max_time / HOUR)).collect::<Vec<_>>(),
        [(0, 6), (6, 12), (12, 18)]
    );
    let usage = db.head_usage();
    assert!(usage.samples <= 30 * 60 * 3, "{usage:?}");
    for (from, to) in [(5 * HOUR, 7 * HOUR), (17 * HOUR + 1, 18 * HOUR), (0, 0), (30 * HOUR, i64::MAX)] {
        assert_eq!(read(&db, &[], from, to), part(&model, from, to));
    }
    db.close().unwrap();
    drop(db);
    let db = open(&files.power_loss(PowerLoss::Unsynced), Options::default());
    assert_eq!(read_all(&db), model);
    // Old segments are gone.
    let segments = files.paths().iter().filter(|path| path.starts_with("data/wal")).count();
    assert!(segments <= 6, "{segments} segments");
    scrape(&db, &mut model, 30, 20 * HOUR, 21 * HOUR);
    assert_eq!(read_all(&db), model);
}

#[test]
fn a_small_budget_cuts_early() {
    let files = MemFiles::new();
    let db = open(&files, Options { head_budget_bytes: 1, ..Options::default() });
    let mut model = Model::new();
    for hour in 0..8 {
        scrape(&db, &mut model, 5, hour * HOUR, (hour + 1) * HOUR);
        db.maintain(0).unwrap();
    }
    let ranges: Vec<_> = db.blocks().iter().map(|b| (b.min_time / HOUR, b.max_time / HOUR)).collect();
    assert_eq!(ranges, [(0, 2), (2, 4), (4, 6)]);
    assert_eq!(read_all(&db), model);
}

#[test]
fn blocks_are_merged_and_nothing_changes() {
    let files = MemFiles::new();
    let mut db = open(&files, Options { head_budget_bytes: 1, ..Options::default() });
    let mut model = Model::new();
    let mut merged = 0;
    for hour in 0..40 {
        // Series come and go.
        scrape(&db, &mut model, if hour % 7 < 4 { 5 } else { 2 }, hour * HOUR, (hour + 1) * HOUR);
        assert!(db.maintain(hour * HOUR).unwrap().errors.is_empty());
        while db.compact(hour * HOUR).unwrap().is_some() {
            merged += 1;
        }
        if hour == 20 {
            drop(db);
            db = open(&files.clone(), Options { head_budget_bytes: 1, ..Options::default() });
        }
    }
    assert_eq!(read_all(&db), model);
    let ranges: Vec<_> =
        db.blocks().iter().map(|b| (b.min_time / HOUR, b.max_time / HOUR, b.compaction.level)).collect();
    assert_eq!(ranges, [(0, 18, 3), (18, 36, 3), (36, 38, 1)]);
    assert_eq!(merged, 8);
    assert_eq!(db.blocks()[0].compaction.sources.len(), 9);
    assert_eq!(read(&db, &[], 5 * HOUR, 13 * HOUR), part(&model, 5 * HOUR, 13 * HOUR));
    drop(db);
    assert_eq!(read_all(&open(&files.power_loss(PowerLoss::Unsynced), Options::default())), model);
}

#[test]
fn a_damaged_block_is_reported_and_left_alone() {
    let files = MemFiles::new();
    let db = open(&files, Options { head_budget_bytes: 1, ..Options::default() });
    let mut model = Model::new();
    for hour in 0..8 {
        scrape(&db, &mut model, 5, hour * HOUR, (hour + 1) * HOUR);
        db.maintain(0).unwrap();
    }
    let bad = db.blocks()[1].ulid;
    drop(db);
    let path = std::path::Path::new("data/blocks").join(bad.to_string()).join("chunks");
    files.tamper(&path, |bytes| bytes[40] ^= 1).unwrap();
    let db = open(&files, Options::default());
    assert_eq!(db.compact(0).unwrap(), None);
    let damage = db.damage();
    assert_eq!((damage.len(), damage[0].path.clone(), damage[0].offset), (1, path, 8));
    assert_eq!(db.blocks().len(), 3);
    // A query is answered without what is damaged, and says so.
    let hints = SelectHints { start_ms: 0, end_ms: 8 * HOUR, ..Default::default() };
    let found = db.select(&[], &hints).unwrap();
    let mut columns = SampleColumns::new();
    for i in 0..found.len() {
        found.read(i, &mut columns).unwrap();
        let want = model[&found.labels(i)].keys().filter(|t| !(2 * HOUR..4 * HOUR).contains(*t));
        assert!(columns.timestamps.iter().eq(want));
    }
    assert!(found.warnings()[0].contains("a page is not the one that was written"), "{:?}", found.warnings());
}

#[test]
fn a_reader_keeps_what_it_selected() {
    let files = MemFiles::new();
    let db = open(&files, Options::default());
    let mut model = Model::new();
    scrape(&db, &mut model, 10, 0, 8 * HOUR);
    let hints = SelectHints { start_ms: 0, end_ms: i64::MAX, ..Default::default() };
    let before = db.select(&[], &hints).unwrap();
    let at_selection = model.clone();
    scrape(&db, &mut model, 10, 8 * HOUR, 9 * HOUR);
    for _ in 0..3 {
        assert!(db.maintain(0).unwrap().errors.is_empty());
    }
    assert_eq!(db.blocks().len(), 1);
    // The selection sees neither the cut nor the batches that came after it.
    let mut columns = SampleColumns::new();
    for i in 0..before.len() {
        before.read(i, &mut columns).unwrap();
        let want = &at_selection[&before.labels(i)];
        assert!(columns.timestamps.iter().eq(want.keys()), "{}", before.labels(i));
    }
    let held = db.head_usage().samples;
    drop(before);
    db.maintain(0).unwrap();
    assert!(db.head_usage().samples < held / 2);
    assert_eq!(read_all(&db), model);
}

#[test]
fn refused_samples_are_named_and_the_rest_is_stored() {
    let db = open(&MemFiles::new(), Options::default());
    let (a, b) = (labels(&[("__name__", "a")]), labels(&[("__name__", "b"), ("x", "y")]));
    append(&db, &[(a.clone(), 10 * HOUR, 1.0), (b.clone(), 10 * HOUR, 2.0)]);
    let mut batch = db.appender().unwrap();
    let (ra, rb) = (batch.resolve(&a).unwrap(), batch.resolve(&b).unwrap());
    batch.append(ra, 10 * HOUR, 1.0).unwrap();
    batch.append(ra, 10 * HOUR, 5.0).unwrap();
    batch.append(rb, 10 * HOUR - 1, 2.0).unwrap();
    batch.append(rb, 8 * HOUR, 2.0).unwrap();
    batch.append(rb, 10 * HOUR + 1, 3.0).unwrap();
    let report = batch.commit().unwrap();
    assert_eq!(report.accepted, 2);
    let texts: Vec<String> = report.refused.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "duplicate sample for timestamp: series a at 36000000 ms",
            "out of order sample: series b{x=\"y\"} at 35999999 ms",
            "out of bounds: series b{x=\"y\"} at 28800000 ms",
        ]
    );
    assert_eq!(report.refused[1].reason, Reason::OutOfOrder);
    assert_eq!(read_all(&db)[&b].len(), 2);
    let stats = db.stats();
    assert_eq!((stats.samples_appended, stats.samples_duplicate), (3, 1));
    assert_eq!((stats.samples_out_of_order, stats.samples_out_of_bounds, stats.samples_conflicting), (1, 1, 1));
}

#[test]
fn a_dropped_batch_leaves_nothing() {
    let db = open(&MemFiles::new(), Options::default());
    let mut batch = db.appender().unwrap();
    let series = batch.resolve(&labels(&[("a", "b")])).unwrap();
    batch.append(series, 1, 1.0).unwrap();
    drop(batch);
    assert!(read_all(&db).is_empty());
    let all = LabelQuery { start_ms: i64::MIN, end_ms: i64::MAX, ..Default::default() };
    assert_eq!(db.label_names(&all).unwrap(), [""; 0]);
}

#[test]
fn labels_and_matchers_over_head_and_blocks() {
    let db = open(&MemFiles::new(), Options::default());
    let mut model = Model::new();
    scrape(&db, &mut model, 4, 0, 8 * HOUR);
    let old = labels(&[("__name__", "old"), ("only", "here")]);
    // The block gets series 0..4; `new` comes after it.
    db.maintain(0).unwrap();
    append(&db, &[(labels(&[("__name__", "new"), ("only", "now")]), 8 * HOUR, 1.0)]);
    let query = |start_ms, end_ms, selectors| LabelQuery { selectors, start_ms, end_ms, limit: 0 };
    assert_eq!(db.label_names(&query(0, i64::MAX, vec![])).unwrap(), ["__name__", "i", "only", "parity"]);
    assert_eq!(db.label_names(&query(0, HOUR, vec![])).unwrap(), ["__name__", "i", "parity"]);
    assert_eq!(db.label_values("__name__", &query(0, i64::MAX, vec![])).unwrap(), ["m", "new"]);
    let odd = vec![vec![Matcher::equal("parity", "1")]];
    assert_eq!(db.label_values("i", &query(0, HOUR, odd.clone())).unwrap(), ["0001", "0003"]);
    assert_eq!(db.label_values("i", &query(7 * HOUR, i64::MAX, odd.clone())).unwrap(), ["0001", "0003"]);
    assert_eq!(db.label_values("i", &LabelQuery { limit: 1, ..query(0, HOUR, odd) }).unwrap(), ["0001"]);
    let matcher = Matcher::new(MatchOp::Regex, "i", "000[01]").unwrap();
    assert_eq!(read(&db, &[matcher], 0, i64::MAX).len(), 2);
    assert_eq!(read(&db, &[Matcher::equal("only", "")], 0, i64::MAX).len(), 4);
    assert!(!read_all(&db).contains_key(&old));
    assert_eq!(db.cardinality(1).unwrap().series_by_metric[0].name, "m");
}

#[test]
fn values_have_numbers_to_group_by() {
    let db = open(&MemFiles::new(), Options::default());
    let mut model = Model::new();
    scrape(&db, &mut model, 40, 0, 8 * HOUR);
    db.maintain(0).unwrap();
    append(&db, &[(labels(&[("__name__", "n"), ("parity", "1")]), 8 * HOUR, 1.0)]);
    let hints = SelectHints { start_ms: 0, end_ms: i64::MAX, ..Default::default() };
    let found = db.select(&[], &hints).unwrap();
    let names = ["parity".to_owned(), "i".to_owned(), "none".to_owned()];
    let mut by_value = std::collections::HashMap::new();
    for i in 0..found.len() {
        let mut ids = vec![7];
        assert!(found.value_ids(i, &names, &mut ids));
        assert_eq!((ids.len(), ids[0], ids[3]), (4, 7, 0));
        for (name, id) in names.iter().zip(&ids[1..]) {
            let value = found.labels(i).value(name).to_owned();
            assert_eq!(*id == 0, value.is_empty());
            assert_eq!(by_value.entry((name.clone(), *id)).or_insert(value.clone()), &value);
        }
    }
    assert_eq!(by_value.len(), 2 + 41 + 1);
    assert!(!found.value_ids(found.len(), &names, &mut Vec::new()));
}

#[test]
fn the_last_sample_is_found_without_reading_all() {
    let db = open(&MemFiles::new(), Options::default());
    let mut model = Model::new();
    scrape(&db, &mut model, 3, 0, 8 * HOUR);
    db.maintain(0).unwrap();
    let hints = SelectHints { start_ms: 0, end_ms: i64::MAX, ..Default::default() };
    let found = db.select(&[], &hints).unwrap();
    let mut out = SampleColumns::new();
    for i in 0..found.len() {
        let samples = &model[&found.labels(i)];
        for (at, lookback) in
            [(8 * HOUR, 300_000), (8 * HOUR, 60_000), (7 * HOUR + 5, 60_000), (3 * HOUR - 1, 300_000), (9 * HOUR, 1)]
        {
            found.read_last(i, at, lookback, &mut out).unwrap();
            let want = samples.range(at - lookback + 1..=at).next_back();
            assert_eq!(out.timestamps.first(), want.map(|(t, _)| t), "at {at}");
            assert_eq!(out.values.first().map(|v| v.to_bits()), want.map(|(_, v)| *v));
        }
    }
}

#[test]
fn a_senders_bytes_are_asked_about_once() {
    let db = open(&MemFiles::new(), Options::default());
    let keys = db.raw_keys();
    let mut cursor = RawCursor::new(keys.clone());
    let mut asked = 0;
    for round in 0..4i64 {
        let mut batch = db.appender().unwrap();
        // From the third round on the sender leaves a series out.
        for i in (0..200usize).filter(|i| round < 2 || *i != 77) {
            let key = format!("raw bytes of series {i}");
            let made = batch.resolve_raw(&mut cursor, key.as_bytes(), || {
                asked += 1;
                Ok::<_, foursight_tsdb::Error>((i % 10 != 9).then(|| numbered(i)))
            });
            if let Some(series) = made.unwrap() {
                batch.append(series, round * 15_000, i as f64).unwrap();
            }
        }
        assert!(batch.commit().unwrap().refused.is_empty());
    }
    assert_eq!((asked, keys.len()), (200, 200));
    let all = read_all(&db);
    assert_eq!(all.len(), 180);
    assert_eq!(all[&numbered(33)].len(), 4);
    assert_eq!(all[&numbered(77)].len(), 2);
    assert!(!all.contains_key(&numbered(9)));
    // An error is handed on, and nothing is remembered.
    let mut batch = db.appender().unwrap();
    for _ in 0..2 {
        let long = labels(&[("a", &"v".repeat(70_000))]);
        let refused = batch.resolve_raw(&mut cursor, b"too long", || Ok::<_, foursight_tsdb::Error>(Some(long)));
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
    }
}

#[test]
fn series_that_ended_leave_memory_and_may_come_back() {
    let files = MemFiles::new();
    let db = open(&files, Options::default());
    let mut cursor = RawCursor::new(db.raw_keys());
    let mut model = Model::new();
    let ended = numbered(1_000);
    let mut batch = db.appender().unwrap();
    let kept =
        batch.resolve_raw(&mut cursor, b"k", || Ok::<_, foursight_tsdb::Error>(Some(ended.clone()))).unwrap().unwrap();
    batch.append(kept, 0, 7.0).unwrap();
    batch.commit().unwrap();
    model.entry(ended.clone()).or_default().insert(0, 7f64.to_bits());
    for hour in 0..32 {
        scrape(&db, &mut model, 3, hour * HOUR + 60_000, (hour + 1) * HOUR);
        db.maintain(hour * HOUR).unwrap();
    }
    assert_eq!(db.stats().head_series, 3);
    assert_eq!(db.stats().series_removed, 1);
    // A reference that is too old is refused, not mistaken for another series.
    let other = numbered(2_000);
    append(&db, &[(other.clone(), 32 * HOUR, 1.0)]);
    let mut batch = db.appender().unwrap();
    batch.append(kept, 32 * HOUR, 8.0).unwrap();
    let report = batch.commit().unwrap();
    assert_eq!(report.refused[0].reason, Reason::UnknownSeries);
    // The sender's bytes find it again.
    let mut batch = db.appender().unwrap();
    let again =
        batch.resolve_raw(&mut cursor, b"k", || Ok::<_, foursight_tsdb::Error>(Some(ended.clone()))).unwrap().unwrap();
    batch.append(again, 32 * HOUR, 9.0).unwrap();
    assert_eq!(batch.commit().unwrap().accepted, 1);
    model.entry(ended).or_default().insert(32 * HOUR, 9f64.to_bits());
    model.entry(other).or_default().insert(32 * HOUR, 1f64.to_bits());
    assert_eq!(read_all(&db), model);
    drop(db);
    assert_eq!(read_all(&open(&files.power_loss(PowerLoss::Unsynced), Options::default())), model);
}

#[test]
fn old_blocks_expire_by_data_time() {
    let files = MemFiles::new();
    let retention = Retention { max_age_ms: Some(10 * HOUR), ..Retention::default() };
    let db = open(&files, Options { retention, ..Options::default() });
    let mut model = Model::new();
    scrape(&db, &mut model, 2, 0, 20 * HOUR);
    // A clock that is a year ahead takes nothing away that the data's own time does not.
    let report = db.maintain(365 * 24 * HOUR).unwrap();
    assert_eq!(report.removed.iter().map(|b| b.max_time).collect::<Vec<_>>(), [6 * HOUR]);
    assert_eq!(read_all(&db), part(&model, 6 * HOUR, i64::MAX));
    drop(db);
    let db = open(&files.power_loss(PowerLoss::Unsynced), Options::default());
    assert_eq!(read_all(&db), part(&model, 6 * HOUR, i64::MAX));
}

#[test]
fn the_oldest_blocks_go_when_there_are_too_many_bytes() {
    let files = MemFiles::new();
    let db = open(&files, Options { head_budget_bytes: 1, ..Options::default() });
    let mut model = Model::new();
    for hour in 0..20 {
        scrape(&db, &mut model, 20, hour * HOUR, (hour + 1) * HOUR);
        db.maintain(0).unwrap();
    }
    let blocks = db.blocks().len();
    let bytes = db.stats().block_bytes;
    let log: u64 = files
        .paths()
        .iter()
        .filter(|path| path.starts_with("data/wal"))
        .map(|path| {
            let mut len = 0;
            files.tamper(path, |bytes| len = bytes.len() as u64).unwrap();
            len
        })
        .sum();
    // The log counts, too.
    db.set_retention(Retention { max_bytes: Some(log + bytes - 1), ..Retention::default() }, Vec::new());
    assert_eq!(db.maintain(0).unwrap().removed.len(), 1);
    // Percent of the disk.
    let total = 1i64 << 40;
    let percent = (log + bytes / 2) as f64 * 100.0 / total as f64;
    db.set_retention(Retention { max_disk_percent: Some(percent), ..Retention::default() }, Vec::new());
    db.maintain(0).unwrap();
    let left = db.blocks();
    assert!(left.len() < blocks - 1, "{} of {blocks}", left.len());
    let from = left.first().map_or(18 * HOUR, |block| block.min_time);
    assert_eq!(read_all(&db), part(&model, from, i64::MAX));
}

#[test]
fn classes_of_series_have_ages_of_their_own() {
    let files = MemFiles::new();
    let class = |parity: &str, hours: i64| RetentionClass {
        matchers: vec![Matcher::equal("parity", parity)],
        max_age_ms: hours * HOUR,
    };
    let options = Options {
        head_budget_bytes: 1,
        retention: Retention { max_age_ms: Some(40 * HOUR), ..Retention::default() },
        // Series 1 belongs to the first class that takes it.
        retention_classes: vec![
            RetentionClass { matchers: vec![Matcher::equal("i", "0001")], max_age_ms: 80 * HOUR },
            class("1", 10),
        ],
        ..Options::default()
    };
    let db = open(&files, options);
    let mut model = Model::new();
    for hour in 0..72 {
        scrape(&db, &mut model, 4, hour * HOUR, hour * HOUR + 5 * 60_000);
        let now = hour * HOUR;
        assert!(db.maintain(now).unwrap().errors.is_empty());
        while db.compact(now).unwrap().is_some() {}
    }
    let oldest = |i: usize| *read_all(&db)[&numbered(i)].keys().next().unwrap() / HOUR;
    assert_eq!(oldest(1), 0);
    assert!((54..=61).contains(&oldest(3)), "{}", oldest(3));
    assert!((18..=32).contains(&oldest(0)), "{}", oldest(0));
    for (i, samples) in read_all(&db) {
        let from = *samples.keys().next().unwrap();
        assert!(samples.iter().eq(model[&i].range(from..)), "{i}");
    }
}

#[test]
fn limits_and_misuse_are_errors() {
    let files = MemFiles::new();
    let db = open(&files, Options { max_series: 2, max_labels: 2, ..Options::default() });
    let mut batch = db.appender().unwrap();
    assert_eq!(batch.resolve(&Labels::empty()).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(batch.resolve(&numbered(1)).unwrap_err().kind(), ErrorKind::Invalid);
    batch.resolve(&labels(&[("a", "1")])).unwrap();
    batch.resolve(&labels(&[("a", "2")])).unwrap();
    batch.resolve(&labels(&[("a", "1")])).unwrap();
    assert_eq!(batch.resolve(&labels(&[("a", "3")])).unwrap_err().kind(), ErrorKind::Limit);
    drop(batch);
    let error = Db::open_with(Arc::new(files.clone()), "data", Options::default()).unwrap_err();
    assert_eq!(error.to_string(), "data/lock is in use by another process");
    db.close().unwrap();
    assert_eq!(db.appender().err().unwrap().kind(), ErrorKind::Closed);
    assert!(db.maintain(0).is_err());
}

#[test]
fn reads_are_answered_while_the_log_is_read() {
    let files = MemFiles::new();
    let mut model = Model::new();
    let db = open(&files, Options::default());
    scrape(&db, &mut model, 10, 0, 8 * HOUR);
    db.maintain(0).unwrap();
    drop(db);
    let db = Db::start(Arc::new(files), "data".into(), Options::default()).unwrap();
    assert_eq!(db.appender().err().unwrap().kind(), ErrorKind::Closed);
    assert_eq!(read(&db, &[], 0, 6 * HOUR - 1), part(&model, 0, 6 * HOUR - 1));
    assert!(db.stats().replaying.is_some());
    db.replay().unwrap();
    assert_eq!(read_all(&db), model);
    assert_eq!(append(&db, &[(numbered(0), 9 * HOUR, 1.0)]), 0);
}

#[test]
fn many_threads_write_at_once() {
    let files = MemFiles::new();
    let db = open(&files, Options::default());
    std::thread::scope(|scope| {
        for thread in 0..4usize {
            let db = &db;
            scope.spawn(move || {
                for round in 0..200i64 {
                    let batch: Vec<_> = (0..20)
                        .map(|i| (numbered(thread * 100 + i), round * 1_000, (round * i as i64) as f64))
                        .collect();
                    assert_eq!(append(db, &batch), 0);
                    if thread == 0 && round % 50 == 0 {
                        assert!(db.maintain(0).unwrap().errors.is_empty());
                    }
                }
            });
        }
    });
    let all = read_all(&db);
    assert_eq!(all.values().map(|samples| samples.len()).sum::<usize>(), 4 * 20 * 200);
    assert_eq!(read_all(&open(&files.power_loss(PowerLoss::Unsynced), Options::default())), all);
}
