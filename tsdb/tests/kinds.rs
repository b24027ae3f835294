//! What is not a plain float in order: late samples, native histograms, start timestamps, exemplars, metadata. Each survives a power
//! cut, the cutting of the head, and both.

mod common;

use std::sync::Arc;

use common::{Model, append, labels, numbered, read_all};
use disk::PowerLoss;
use foursight_tsdb::{
    Db, Exemplar, ExemplarReason, FloatHistogram, Histogram, Labels, Matcher, MemFiles, Metadata, MetricKind,
    NativeHistogram, Options, Reason, ResetHint, SampleColumns, SelectHints, SeriesSource, Span,
};
use model::histogram::CUSTOM_BUCKETS;

const HOUR: i64 = 3_600_000;

fn open(files: &MemFiles) -> Db {
    let options = Options { out_of_order_window_ms: 12 * HOUR, ..Options::default() };
    Db::open_with(Arc::new(files.clone()), "data", options).unwrap()
}

fn insert(model: &mut Model, samples: &[(Labels, i64, f64)]) {
    for (labels, time, value) in samples {
        model.entry(labels.clone()).or_default().entry(*time).or_insert(value.to_bits());
    }
}

fn maintain(db: &Db) -> usize {
    let report = db.maintain(0).unwrap();
    assert!(report.errors.is_empty(), "{:?}", report.errors);
    report.written.len()
}

/// Reads the only series of a metric.
fn read_one(db: &Db, metric: &str) -> SampleColumns {
    let hints = SelectHints { start_ms: i64::MIN, end_ms: i64::MAX, ..Default::default() };
    let found = db.select(&[Matcher::equal("__name__", metric)], &hints).unwrap();
    assert_eq!(found.len(), 1);
    let mut columns = SampleColumns::new();
    found.read(0, &mut columns).unwrap();
    columns
}

#[test]
fn late_samples_find_their_place() {
    let files = MemFiles::new();
    let mut db = open(&files);
    let mut model = Model::new();
    let mut write = |db: &Db, samples: &[(Labels, i64, f64)]| {
        assert_eq!(append(db, samples), 0);
        insert(&mut model, samples);
        assert_eq!(read_all(db), model);
    };
    let s = |i: usize, minute: i64| (numbered(i), minute * 60_000, (minute * 3 + i as i64) as f64);
    for minute in (0..600).step_by(2) {
        write(&db, &[s(0, minute), s(1, minute)]);
    }
    // Late: in the range that is still open, in one that will be cut, for a series that has nothing else.
    write(&db, &[s(0, 599), s(0, 1), s(2, 300), s(0, 301), s(1, 7), s(0, 3)]);
    // The same again is a repetition, another value is refused, a sample before the window is too old.
    assert_eq!(append(&db, &[s(0, 301), s(0, 300), s(0, 598)]), 0);
    let mut batch = db.appender().unwrap();
    let series = batch.resolve(&numbered(0)).unwrap();
    for time in [301, 300, 598] {
        batch.append(series, time * 60_000, -1.0).unwrap();
    }
    batch.append(series, -13 * HOUR, 1.0).unwrap();
    let reasons: Vec<Reason> = batch.commit().unwrap().refused.iter().map(|r| r.reason).collect();
    assert_eq!(
        reasons,
        [Reason::DuplicateTimestamp, Reason::DuplicateTimestamp, Reason::DuplicateTimestamp, Reason::TooOld]
    );
    for _ in 0..2 {
        db = open(&files.power_loss(PowerLoss::Unsynced));
        assert_eq!(read_all(&db), model);
    }
    let files = files.power_loss(PowerLoss::Unsynced);
    drop(db);
    let db = open(&files);
    assert_eq!(maintain(&db), 1);
    assert_eq!(read_all(&db), model);
    // Now late for a range that is in a block.
    let late = [s(0, 5), s(3, 50), s(1, 301)];
    assert_eq!(append(&db, &late), 0);
    insert(&mut model, &late);
    assert_eq!(read_all(&db), model);
    for minute in (600..960).step_by(2) {
        append(&db, &[s(0, minute)]);
        insert(&mut model, &[s(0, minute)]);
    }
    // The next cut takes the late ones along, in blocks of their own.
    assert_eq!(maintain(&db), 3);
    assert_eq!(read_all(&db), model);
    assert!(db.head_usage().samples < 300);
    drop(db);
    assert_eq!(read_all(&open(&files.power_loss(PowerLoss::Unsynced))), model);
}

fn integer(count: u64) -> NativeHistogram {
    NativeHistogram::Integer(Histogram {
        schema: 2,
        zero_threshold: 0.001,
        zero_count: count / 10,
        count,
        sum: count as f64 * 1.5,
        positive_spans: vec![Span { offset: 0, length: 2 }, Span { offset: 1, length: 1 }],
        positive_deltas: vec![(count - count / 10) as i64, -((count - count / 10) as i64), 0],
        negative_spans: Vec::new(),
        negative_deltas: Vec::new(),
        custom_values: Arc::from([]),
        reset_hint: ResetHint::Unknown,
    })
}

fn float(count: f64) -> NativeHistogram {
    NativeHistogram::Float(FloatHistogram {
        schema: CUSTOM_BUCKETS,
        count,
        sum: count * 2.0,
        positive_spans: vec![Span { offset: 0, length: 2 }],
        positive_buckets: vec![count / 4.0, count * 3.0 / 4.0],
        custom_values: Arc::from([0.5, 1.0]),
        ..FloatHistogram::default()
    })
}

#[test]
fn native_histograms_of_all_kinds() {
    let files = MemFiles::new();
    let db = open(&files);
    let name = labels(&[("__name__", "h")]);
    let mut want: Vec<(i64, FloatHistogram)> = Vec::new();
    let mut put = |db: &Db, time: i64, histogram: NativeHistogram, start: i64| {
        let mut batch = db.appender().unwrap();
        let series = batch.resolve(&name).unwrap();
        batch.append_histogram(series, start, time, histogram.clone()).unwrap();
        let report = batch.commit().unwrap();
        if report.refused.is_empty() && !want.iter().any(|(t, _)| *t == time) {
            want.push((time, histogram.to_float()));
            want.sort_by_key(|(t, _)| *t);
        }
        report.refused.first().map(|refusal| refusal.reason)
    };
    for minute in 0..540 {
        let histogram = if minute < 300 { integer(minute as u64 * 7) } else { float(minute as f64 / 3.0) };
        assert_eq!(put(&db, minute * 60_000, histogram, if minute > 100 { 77 } else { 0 }), None);
    }
    // The same again, another one at its time, a late one, an invalid one.
    assert_eq!(put(&db, 539 * 60_000, float(539.0 / 3.0), 77), None);
    assert_eq!(put(&db, 539 * 60_000, float(1.0), 77), Some(Reason::DuplicateTimestamp));
    assert_eq!(put(&db, 30_000, integer(5), 0), None);
    assert_eq!(put(&db, 530 * 60_000 + 5, integer(5), 0), None);
    let check = |db: &Db, want: &[(i64, FloatHistogram)]| {
        let columns = read_one(db, "h");
        assert!(columns.timestamps.is_empty());
        let got: Vec<(i64, FloatHistogram)> = columns
            .histogram_timestamps
            .iter()
            .copied()
            .zip(columns.histograms.iter().map(|h| (**h).clone()))
            .collect();
        assert_eq!(got.len(), want.len());
        for (got, want) in got.iter().zip(want) {
            assert_eq!(got, want);
        }
        let starts: Vec<i64> =
            columns.histogram_timestamps.iter().map(|t| if *t > 100 * 60_000 { 77 } else { 0 }).collect();
        assert_eq!(columns.histogram_start_timestamps, starts);
    };
    check(&db, &want);
    drop(db);
    let db = open(&files.power_loss(PowerLoss::Unsynced));
    check(&db, &want);
    let hints = SelectHints { start_ms: 0, end_ms: i64::MAX, ..Default::default() };
    let mut out = SampleColumns::new();
    {
        let found = db.select(&[], &hints).unwrap();
        for (at, want) in [(540 * 60_000, 539 * 60_000), (100 * 60_000, 100 * 60_000)] {
            found.read_last(0, at, 300_000, &mut out).unwrap();
            assert_eq!((out.histogram_timestamps.as_slice(), out.timestamps.len()), (&[want][..], 0));
        }
    }
    drop(db);
    let files = files.power_loss(PowerLoss::Unsynced);
    let db = open(&files);
    assert_eq!(maintain(&db), 1);
    check(&db, &want);
    drop(db);
    check(&open(&files.power_loss(PowerLoss::Unsynced)), &want);
    let db = open(&files);
    let mut broken = integer(10);
    if let NativeHistogram::Integer(histogram) = &mut broken {
        histogram.positive_deltas.pop();
    }
    let mut batch = db.appender().unwrap();
    let series = batch.resolve(&name).unwrap();
    let error = batch.append_histogram(series, 0, 900 * 60_000, broken).unwrap_err();
    assert!(error.to_string().contains("spans need 3 buckets, have 2 buckets"), "{error}");
}

#[test]
fn floats_and_histograms_of_one_series() {
    let files = MemFiles::new();
    let db = open(&files);
    let mut batch = db.appender().unwrap();
    let series = batch.resolve(&labels(&[("__name__", "both")])).unwrap();
    batch.append(series, 1_000, 1.0).unwrap();
    batch.append_histogram(series, 0, 2_000, integer(3)).unwrap();
    assert!(batch.commit().unwrap().refused.is_empty());
    let mut batch = db.appender().unwrap();
    batch.append(series, 2_000, 5.0).unwrap();
    batch.append(series, 3_000, 5.0).unwrap();
    batch.append(series, 4_500, 5.0).unwrap();
    batch.append_histogram(series, 0, 5_000, integer(4)).unwrap();
    let report = batch.commit().unwrap();
    assert_eq!(
        report.refused.iter().map(|r| (r.timestamp_ms, r.reason)).collect::<Vec<_>>(),
        [(2_000, Reason::DuplicateTimestamp)]
    );
    for db in [db, open(&files.power_loss(PowerLoss::Unsynced))] {
        let columns = read_one(&db, "both");
        assert_eq!((columns.timestamps, columns.values), (vec![1_000, 3_000, 4_500], vec![1.0, 5.0, 5.0]));
        assert_eq!(columns.histogram_timestamps, [2_000, 5_000]);
    }
}

#[test]
fn start_timestamps_hold_until_another_is_said() {
    let files = MemFiles::new();
    let mut db = open(&files);
    let name = labels(&[("__name__", "c"), ("x", "y")]);
    let starts = |minute: i64| match minute {
        0..100 => 0,
        100..200 => 5,
        200..300 => 200 * 60_000,
        300..310 => 0,
        _ => 9,
    };
    for minute in 0..540 {
        let mut batch = db.appender().unwrap();
        let series = batch.resolve(&name).unwrap();
        batch.append(series, minute * 60_000 - 1, 1.0).unwrap();
        batch.append_with_start(series, starts(minute), minute * 60_000, minute as f64).unwrap();
        assert!(batch.commit().unwrap().refused.is_empty());
    }
    let want = |at: usize| if at.is_multiple_of(2) { 0 } else { starts(at as i64 / 2) };
    for round in 0..4 {
        let columns = read_one(&db, "c");
        assert_eq!(columns.timestamps.len(), 1_080);
        assert_eq!(columns.start_timestamps, (0..1_080).map(want).collect::<Vec<_>>(), "round {round}");
        if round == 1 {
            maintain(&db);
        } else {
            drop(db);
            db = open(&files.power_loss(PowerLoss::Unsynced));
        }
    }
}

#[test]
fn exemplars_and_metadata() {
    let files = MemFiles::new();
    let db = open(&files);
    let exemplar =
        |id: &str, time: i64| Exemplar { labels: labels(&[("trace_id", id)]), value: 0.5, timestamp_ms: time };
    let metadata = |help: &str| Metadata { kind: MetricKind::Counter, unit: "bytes".to_owned(), help: help.to_owned() };
    let mut batch = db.appender().unwrap();
    let series = batch.resolve(&labels(&[("__name__", "m_total"), ("a", "b")])).unwrap();
    batch.append(series, 1_000, 1.0).unwrap();
    batch.append_exemplar(series, exemplar("one", 900)).unwrap();
    batch.append_exemplar(series, exemplar("one", 900)).unwrap();
    batch.append_exemplar(series, exemplar("two", 800)).unwrap();
    batch.append_exemplar(series, exemplar("three", 950)).unwrap();
    batch.set_metadata("m", metadata("first")).unwrap();
    batch.set_metadata("m", metadata("second")).unwrap();
    let report = batch.commit().unwrap();
    assert_eq!((report.accepted, report.exemplars_accepted), (1, 3));
    assert_eq!(report.exemplars_refused.iter().map(|r| r.reason).collect::<Vec<_>>(), [ExemplarReason::OutOfOrder]);
    // A batch of nothing else is stored too.
    let mut batch = db.appender().unwrap();
    batch.set_metadata("n", metadata("third")).unwrap();
    batch.commit().unwrap();
    let check = |db: &Db| {
        let found = db.exemplars(&[vec![Matcher::equal("a", "b")]], 0, 940);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].exemplars, [exemplar("one", 900)]);
        assert_eq!(db.exemplars(&[vec![Matcher::equal("a", "b")]], 0, 950)[0].exemplars.len(), 2);
        assert_eq!(db.metadata("m"), Some(metadata("second")));
        assert_eq!(db.all_metadata(0).len(), 2);
        assert_eq!(db.all_metadata(1)[0].0, "m");
    };
    check(&db);
    let files = files.power_loss(PowerLoss::Unsynced);
    let db = open(&files);
    check(&db);
    // Metadata outlives the segment it was first written to.
    for hour in 1..20 {
        append(&db, &[(numbered(0), hour * HOUR, 1.0)]);
        maintain(&db);
    }
    let segments = files.paths().iter().filter(|path| path.starts_with("data/wal")).count();
    assert!(segments < 8, "{segments} segments");
    drop(db);
    let db = open(&files.power_loss(PowerLoss::Unsynced));
    assert_eq!(db.metadata("n"), Some(metadata("third")));
}

/// A freezing that did not cover a late sample once let the log forget it: memory still had it, the next opening did not.
#[test]
fn late_samples_of_a_range_cut_second_stay() {
    let files = MemFiles::new();
    let db = open(&files);
    let mut model = Model::new();
    let s = |minute: i64| (numbered(0), minute * 60_000, 1.0);
    for minute in [1_439, 1_454, 1_563, 1_562] {
        append(&db, &[s(minute)]);
        insert(&mut model, &[s(minute)]);
    }
    drop(db);
    let db = open(&files);
    assert_eq!(read_all(&db), model);
    append(&db, &[s(1_860)]);
    insert(&mut model, &[s(1_860)]);
    // Two ranges are cut, and the late sample lies in the second.
    assert_eq!(maintain(&db), 2);
    assert_eq!(read_all(&db), model);
    assert_eq!(maintain(&db), 0);
    assert_eq!(read_all(&open(&files.power_loss(PowerLoss::Unsynced))), model);
}
