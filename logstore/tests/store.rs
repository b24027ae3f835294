//! What is pushed is found: by labels, time and text; once; in the order of time and arrival.

mod support;

use std::sync::Arc;

use disk::{Files, MemFiles};
use foursight_logstore::{Db, Error, Limits, Options, PushEntry, PushStream, Retention, StreamKey};
use model::{Direction, LabelQuery, Labels, LogColumns, LogSelect, LogSource};
use support::{NOW, content, entry, job, open, options, push, select, stream};

fn mem() -> Arc<dyn Files> {
    Arc::new(MemFiles::new())
}

#[test]
fn entries_are_visible_at_once_and_after_sealing_and_reopening() {
    let files = mem();
    let db = open(&files);
    let mut entries = vec![entry(NOW + 2, "two"), entry(NOW, "zero"), entry(NOW + 2, "two again")];
    entries[1].2 = vec![("trace_id".to_owned(), "ab12".to_owned())];
    assert_eq!(push(&db, &stream("a"), &entries).unwrap().accepted, 3);
    let want = vec![entries[1].clone(), entries[0].clone(), entries[2].clone()];
    let key = stream("a").to_string();
    assert_eq!(content(&db)[&key], want);
    db.flush().unwrap();
    assert_eq!(content(&db)[&key], want);
    push(&db, &stream("a"), &[entry(NOW + 2, "two, later"), entries[0].clone()]).unwrap();
    assert_eq!(content(&db)[&key].last().unwrap().1, "two, later");
    assert_eq!(content(&db)[&key].len(), 4);
    db.close().unwrap();
    assert!(matches!(push(&db, &stream("a"), &entries), Err(Error::Closed)));
    drop(db);
    let db = open(&files);
    assert_eq!(content(&db)[&key].len(), 4);
    assert!(db.stats().damage.is_empty());
}

#[test]
fn a_second_process_is_refused() {
    let files = mem();
    let _db = open(&files);
    assert!(matches!(Db::open_with(files, "data", options()), Err(Error::Locked { .. })));
}

#[test]
fn selections_keep_what_they_found() {
    let files = mem();
    let db = open(&files);
    push(&db, &stream("a"), &[entry(NOW, "one")]).unwrap();
    let request = LogSelect { matchers: job("a"), end_ns: i64::MAX, ..LogSelect::default() };
    let selection = db.select(&request).unwrap();
    push(&db, &stream("a"), &[entry(NOW + 1, "two")]).unwrap();
    db.flush().unwrap();
    push(&db, &stream("a"), &[entry(NOW + 2, "three")]).unwrap();
    db.flush().unwrap();
    let mut columns = LogColumns::new();
    selection.read(0, &mut columns).unwrap();
    assert_eq!((columns.len(), columns.line(0)), (1, "one"));
    assert_eq!(selection.count(0, 0, i64::MAX), Some(1));
    assert_eq!(db.select(&request).unwrap().units().len(), 2);
}

#[test]
fn selects_by_labels_time_and_text() {
    let db = open(&mem());
    for (i, job) in ["a", "b", "a"].iter().enumerate() {
        for k in 0..10 {
            push(&db, &stream(job), &[entry(NOW + i as i64 * 100 + k, format!("line {k} of {i}"))]).unwrap();
        }
        if i == 1 {
            db.flush().unwrap();
        }
    }
    for direction in [Direction::Forward, Direction::Backward] {
        let request = LogSelect {
            matchers: job("a"),
            start_ns: NOW + 5,
            end_ns: NOW + 203,
            direction,
            needles: vec![vec!["line 7".to_owned(), "line 2".to_owned()], vec![" of ".to_owned()]],
            ..LogSelect::default()
        };
        let found = select(&db, &request);
        let lines: Vec<&str> = found[&stream("a").to_string()].iter().map(|e| e.1.as_str()).collect();
        assert_eq!(lines, ["line 7 of 0", "line 2 of 2"]);
        assert_eq!(found.len(), 1);
        let selection = db.select(&request).unwrap();
        let counts: Option<u64> = (0..selection.units().len()).map(|unit| selection.count(unit, NOW, NOW + 200)).sum();
        assert!(counts.is_none() || counts == Some(5));
    }
}

#[test]
fn labels_of_streams_in_the_range() {
    let db = open(&mem());
    push(&db, &stream("a"), &[entry(NOW, "x")]).unwrap();
    db.flush().unwrap();
    push(&db, &stream("b"), &[entry(NOW + 3_600_000_000_000, "x")]).unwrap();
    let now_ms = NOW / 1_000_000;
    let all = LabelQuery { start_ms: now_ms, end_ms: now_ms + 3_600_000, ..LabelQuery::default() };
    assert_eq!(db.label_names(&all).unwrap(), ["host", "job"]);
    assert_eq!(db.label_values("job", &all).unwrap(), ["a", "b"]);
    assert_eq!(db.series(&all).unwrap(), [stream("a"), stream("b")]);
    // What is in memory is told at any time, what is in segments within its time.
    let early = LabelQuery { end_ms: now_ms + 1_000, ..all.clone() };
    assert_eq!(db.label_values("job", &early).unwrap(), ["a", "b"]);
    assert_eq!(db.series(&early).unwrap(), [stream("a")]);
    db.flush().unwrap();
    assert_eq!(db.label_values("job", &early).unwrap(), ["a"]);
    let of_b = LabelQuery { selectors: vec![job("b")], ..all.clone() };
    assert_eq!(db.series(&of_b).unwrap(), [stream("b")]);
    assert_eq!(db.label_values("job", &LabelQuery { limit: 1, ..all }).unwrap(), ["a"]);
}

#[test]
fn limits_refuse_entries_and_keep_the_rest() {
    let limits = Limits { max_line_bytes: 5, max_streams: 1, ..Limits::default() };
    let db = Db::open_with(mem(), "data", Options { limits, ..Options::default() }).unwrap();
    let entries =
        [entry(NOW, "short"), entry(NOW, "too long"), entry(NOW - (8 << 50), "old"), entry(NOW + (1 << 42), "new")];
    let report = push(&db, &stream("a"), &entries).unwrap();
    assert_eq!(report.accepted, 1);
    let reasons: Vec<_> = report.refused.iter().map(|r| (r.reason(), r.entries)).collect();
    assert_eq!(reasons, [("line_too_long", 1), ("greater_than_max_sample_age", 1), ("too_far_in_future", 1)]);
    let report = push(&db, &stream("b"), &[entry(NOW, "x")]).unwrap();
    assert_eq!((report.accepted, report.refused[0].reason()), (0, "stream_limit"));
    assert!(report.refused[0].examples[0].1.is_temporary());
    assert_eq!(content(&db).len(), 1);
    assert_eq!(db.stats().refused, 4);
    let many: Vec<_> = (0..30).map(|i| entry(NOW + i, "longer than that")).collect();
    let report = push(&db, &stream("a"), &many).unwrap();
    assert_eq!((report.refused[0].entries, report.refused[0].examples.len()), (30, 10));
}

#[test]
fn rates_refuse_a_push_or_part_of_a_stream() {
    use foursight_logstore::Rate;
    let rate = |burst_bytes| Some(Rate { bytes_per_second: 10.0, burst_bytes });
    let limits = Limits { rate: rate(100.0), stream_rate: rate(12.0), ..Limits::unlimited() };
    let db = Db::open_with(mem(), "data", Options { limits, ..Options::default() }).unwrap();
    let report = push(&db, &stream("a"), &[entry(NOW, "12345678"), entry(NOW, "12345"), entry(NOW, "1234")]).unwrap();
    assert_eq!((report.accepted, report.refused[0].reason()), (2, "per_stream_rate_limit"));
    let error = push(&db, &stream("b"), &[entry(NOW, "x".repeat(200))]).unwrap_err();
    assert!(
        error.to_string().starts_with("ingestion rate limit exceeded for user fake (limit: 10 bytes/sec)"),
        "{error}"
    );
}

#[test]
fn raw_texts_are_resolved_once() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let db = open(&mem());
    let calls = AtomicUsize::new(0);
    let resolve = |text: &str| {
        calls.fetch_add(1, Ordering::Relaxed);
        text.strip_prefix("job=").map(|job| Labels::from_pairs([("job", job)])).ok_or_else(|| "no job".to_owned())
    };
    let entries = [PushEntry { timestamp_ns: NOW, line: "x", metadata: &[] }];
    let of = |text: &'static str| [PushStream { key: StreamKey::Raw { text, resolve: &resolve }, entries: &entries }];
    assert_eq!(db.push(&of("job=a"), NOW).unwrap().accepted, 1);
    assert_eq!(db.push(&of("job=a"), NOW).unwrap().duplicates, 1);
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    let report = db.push(&of("nonsense"), NOW).unwrap();
    assert_eq!(report.refused[0].examples[0].1.to_string(), "error parsing labels 'nonsense' with error: no job");
    db.forget_raw_keys();
    db.push(&of("job=a"), NOW).unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 3);
}

#[test]
fn segments_are_written_by_size_and_age_and_dropped_by_retention() {
    let retention = Retention { max_age_ms: Some(1_000), ..Retention::default() };
    let limits = Limits::unlimited();
    let options = Options { segment_bytes: 100, segment_age_ns: 50, retention, limits, ..Options::default() };
    let db = Db::open_with(mem(), "data", options).unwrap();
    push(&db, &stream("a"), &[entry(NOW, "x".repeat(99))]).unwrap();
    assert_eq!(db.maintain(NOW).sealed, 0);
    push(&db, &stream("a"), &[entry(NOW, "y")]).unwrap();
    assert_eq!(db.maintain(NOW).sealed, 1);
    push(&db, &stream("a"), &[entry(NOW + 900_000_000, "z")]).unwrap();
    assert_eq!(db.maintain(NOW + 49).sealed, 0);
    assert_eq!(db.maintain(NOW + 50).sealed, 1);
    let stats = db.stats();
    assert_eq!((stats.segments, stats.segment_entries, stats.streams, stats.head_bytes), (2, 3, 0, 0));
    assert_eq!(db.maintain(NOW + 1_000_000_000).expired, 0);
    assert_eq!(db.maintain(NOW + 1_001_000_000).expired, 1);
    assert_eq!(content(&db).values().map(Vec::len).sum::<usize>(), 1);
}

#[test]
fn small_segments_become_one() {
    let files = mem();
    let db = open(&files);
    let mut want = Vec::new();
    for i in 0..4 {
        let entries = [entry(NOW + 10, format!("{i} at ten")), entry(NOW + 5 - i, format!("{i} before"))];
        push(&db, &stream("a"), &entries).unwrap();
        push(&db, &stream(&format!("only in {i}")), &entries).unwrap();
        want.extend(entries);
        db.flush().unwrap();
        let report = db.maintain(NOW);
        assert_eq!((report.merged, report.more), if i == 3 { (4, true) } else { (0, false) });
    }
    want.sort_by_key(|entry| entry.0);
    let stats = db.stats();
    assert_eq!((stats.segments, stats.segment_entries, stats.merged), (1, 16, 4));
    let names = |dir: &str| -> Vec<String> {
        files.read_dir(std::path::Path::new(dir)).unwrap().into_iter().map(|entry| entry.name).collect()
    };
    assert_eq!(names("data/segments"), ["00000005.seg"]);
    assert_eq!(content(&db)[&stream("a").to_string()], want, "equal times stand in the order of their arrival");
    assert_eq!(content(&db).len(), 5);
    assert_eq!(push(&db, &stream("a"), &want).unwrap().accepted, 0);
    drop(db);
    assert_eq!(content(&open(&files))[&stream("a").to_string()], want);
}

#[test]
fn concurrent_pushes_reads_and_segments() {
    let db = open(&mem());
    let total = |db: &Db| content(db).values().map(Vec::len).sum::<usize>();
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..3)
            .map(|thread| {
                let db = &db;
                scope.spawn(move || {
                    for i in 0..300 {
                        // Two threads send the same entries.
                        let labels = stream(&format!("{}", thread % 2));
                        push(db, &labels, &[entry(NOW + i, format!("line {i}"))]).unwrap();
                    }
                })
            })
            .collect();
        let mut last = 0;
        while !writers.iter().all(|w| w.is_finished()) {
            db.flush().unwrap();
            let now = total(&db);
            assert!(now >= last, "entries vanish while a segment is written");
            last = now;
        }
    });
    assert_eq!(total(&db), 600);
    db.flush().unwrap();
    assert_eq!(total(&db), 600);
}

#[test]
fn pushes_make_room_when_nobody_maintains() {
    let options = Options { segment_bytes: 1_000, head_bytes: 4_000, ..Options::default() };
    let db = Db::open_with(mem(), "data", options).unwrap();
    for number in 0..200 {
        let line = format!("{number} {}", "x".repeat(100));
        push(&db, &stream("a"), &[entry(NOW + number, &line)]).unwrap();
        assert!(db.stats().head_bytes <= 4_000, "{:?}", db.stats());
    }
    assert!(db.stats().segments > 5, "{:?}", db.stats());
    assert_eq!(content(&db)[&stream("a").to_string()].len(), 200);
}
