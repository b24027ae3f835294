//! Retention of streams, tails, and figures of what is stored.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use disk::{Files, MemFiles};
use foursight_logstore::{Db, Options, Retention, StreamRetention, count_labels};
use model::Matcher;
use support::{NOW, content, entry, job, maintain, open, options, push, stream};

const DAY_MS: i64 = 86_400_000;
const DAY: i64 = DAY_MS * 1_000_000;

fn rule(name: &str, days: i64) -> StreamRetention {
    StreamRetention { matchers: job(name), priority: 1, max_age_ms: Some(days * DAY_MS) }
}

#[test]
fn streams_are_kept_for_their_own_time() {
    let files: Arc<dyn Files> = Arc::new(MemFiles::new());
    let all = Retention { max_age_ms: Some(7 * DAY_MS), ..Retention::default() };
    let options = Options { retention: all, stream_retention: vec![rule("short", 1), rule("long", 30)], ..options() };
    let db = Db::open_with(files, "data", options).unwrap();
    for name in ["short", "usual", "long"] {
        push(&db, &stream(name), &[entry(NOW, format!("{name} {}", "x".repeat(500)))]).unwrap();
    }
    db.flush().unwrap();
    let kept = |db: &Db, days: i64| {
        maintain(db, NOW + days * DAY + 1_000_000);
        let mut names: Vec<String> = content(db).into_values().flatten().map(|entry| entry.1).collect();
        names.iter_mut().for_each(|name| name.truncate(name.find(' ').unwrap()));
        names
    };
    assert_eq!(kept(&db, 0), ["long", "short", "usual"]);
    assert_eq!(kept(&db, 1), ["long", "usual"]);
    assert_eq!(kept(&db, 7), ["long"]);
    assert_eq!(db.stats().expired, 0, "the segment was written again");
    assert_eq!(kept(&db, 29), ["long"]);
    assert!(kept(&db, 30).is_empty());
    assert_eq!((db.stats().expired, db.stats().segments), (1, 0));
    // New rules are looked at anew.
    let now_ns = NOW + 40 * DAY;
    push(&db, &stream("long"), &[entry(now_ns, "new")]).unwrap();
    db.flush().unwrap();
    maintain(&db, now_ns + 3 * DAY);
    assert_eq!(content(&db).len(), 1);
    db.set_retention(all, vec![rule("long", 2)]);
    maintain(&db, now_ns + 3 * DAY);
    assert!(content(&db).is_empty());
}

#[test]
fn the_oldest_segments_go_when_all_take_too_much_space() {
    let files: Arc<dyn Files> = Arc::new(MemFiles::new());
    let db = open(&files);
    for i in 0..3 {
        push(&db, &stream("a"), &[entry(NOW + i, format!("{i}"))]).unwrap();
        db.flush().unwrap();
    }
    let stats = db.stats();
    let max_bytes = Some(stats.segment_file_bytes + stats.wal.segment_bytes - 1);
    db.set_retention(Retention { max_bytes, ..Retention::default() }, Vec::new());
    assert_eq!(db.maintain(NOW).expired, 1);
    let lines: Vec<String> = content(&db).into_values().flatten().map(|entry| entry.1).collect();
    assert_eq!(lines, ["1", "2"]);
}

#[test]
fn tails_get_what_is_stored_from_then_on() {
    let files: Arc<dyn Files> = Arc::new(MemFiles::new());
    let db = open(&files);
    push(&db, &stream("a"), &[entry(NOW, "before")]).unwrap();
    let woken = Arc::new(AtomicUsize::new(0));
    let wake: Arc<dyn Fn() + Send + Sync> = {
        let woken = woken.clone();
        Arc::new(move || _ = woken.fetch_add(1, Ordering::Relaxed))
    };
    let tail = db.tail(job("a"), 1 << 20, Some(wake)).unwrap();
    let all = db.tail(Vec::new(), 1 << 20, None).unwrap();
    let mut with_metadata = entry(NOW + 1, "one");
    with_metadata.2 = vec![("pod".to_owned(), "p".to_owned())];
    // A duplicate is not stored, so nobody hears of it.
    push(&db, &stream("a"), &[entry(NOW, "before"), with_metadata, entry(NOW + 2, "two")]).unwrap();
    push(&db, &stream("b"), &[entry(NOW, "of b")]).unwrap();
    push(&db, &stream("b"), &[entry(NOW, "of b")]).unwrap();
    let batch = tail.try_next().unwrap();
    assert_eq!((batch.labels, batch.entries.len(), batch.entries.line(1)), (stream("a"), 2, "two"));
    assert_eq!(batch.entries.metadata(0).collect::<Vec<_>>(), [("pod", "p")]);
    assert!(tail.try_next().is_none());
    assert_eq!(woken.load(Ordering::Relaxed), 1);
    assert_eq!([all.wait().unwrap().entries.len(), all.wait().unwrap().entries.len()], [2, 1]);
    assert!(all.try_next().is_none());
    drop(tail);
    let waiting = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| (all.wait(), all.wait()));
        push(&db, &stream("c"), &[entry(NOW, "last")]).unwrap();
        db.close().unwrap();
        waiting.join().unwrap()
    });
    assert_eq!(waiting.0.unwrap().entries.line(0), "last");
    assert!(waiting.1.is_none() && all.is_closed());
    assert!(db.tail(Vec::new(), 1, None).is_err());
}

#[test]
fn a_tail_that_does_not_read_loses_entries_and_is_told() {
    let files: Arc<dyn Files> = Arc::new(MemFiles::new());
    let db = open(&files);
    let tail = db.tail(Vec::new(), 500, None).unwrap();
    for i in 0..300 {
        push(&db, &stream("a"), &[entry(NOW + i, "x".repeat(100))]).unwrap();
    }
    let mut read = 0;
    while let Some(batch) = tail.try_next() {
        assert_eq!(batch.entries.timestamps, [NOW + read]);
        read += 1;
    }
    let dropped = tail.take_dropped();
    assert_eq!((read, dropped.entries, dropped.examples.len()), (3, 297, 100));
    assert_eq!(dropped.examples[0], (stream("a"), NOW + 3));
    assert_eq!(tail.take_dropped().entries, 0);
    push(&db, &stream("a"), &[entry(NOW + 999, "large ".repeat(200))]).unwrap();
    assert_eq!(tail.try_next().unwrap().entries.len(), 1, "one is taken whatever its size");
}

#[test]
fn figures_of_streams_and_labels() {
    let files: Arc<dyn Files> = Arc::new(MemFiles::new());
    let db = open(&files);
    for (name, lines) in [("a", 3), ("b", 5), ("c", 1)] {
        let entries: Vec<_> = (0..lines).map(|i| entry(NOW + i * 60_000_000_000, "1234567890")).collect();
        push(&db, &stream(name), &entries).unwrap();
        if name == "b" {
            db.flush().unwrap();
        }
    }
    let figures = |matchers: &[Matcher], start: i64, end: i64| -> Vec<(String, u64, u64)> {
        let volumes = db.volumes(matchers, start, end).unwrap();
        volumes.into_iter().map(|v| (v.labels.value("job").to_owned(), v.entries, v.bytes)).collect()
    };
    let want = |list: &[(&str, u64)]| -> Vec<(String, u64, u64)> {
        list.iter().map(|(name, entries)| ((*name).to_owned(), *entries, entries * 10)).collect()
    };
    assert_eq!(figures(&[], 0, i64::MAX), want(&[("a", 3), ("b", 5), ("c", 1)]));
    assert_eq!(figures(&[], NOW + 1, NOW + 150_000_000_000), want(&[("a", 2), ("b", 2)]));
    assert_eq!(figures(&job("b"), 0, NOW + 1), want(&[("b", 1)]));
    let counts = count_labels(&db.volumes(&[], 0, i64::MAX).unwrap(), 2);
    let names: Vec<_> = counts.iter().map(|count| (count.name.as_str(), count.streams, count.values.len())).collect();
    assert_eq!(names, [("job", 3, 2), ("host", 3, 1)]);
    assert_eq!((counts[0].values[0].value.as_str(), counts[0].values[0].entries), ("b", 5));
    assert_eq!((counts[1].values[0].streams, counts[1].values[0].bytes), (3, 90));
}
