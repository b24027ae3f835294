//! Deleted entries are hidden at once, gone for good when it is time, and never come back.

mod support;

use std::path::Path;
use std::sync::Arc;

use disk::{Fault, FaultKind, FaultyFiles, Files, MemFiles, PowerLoss};
use foursight_logstore::{Db, DeleteState, Error, Options};
use model::{LabelQuery, LogColumns, LogSelect, LogSource};
use support::{NOW, content, delete, entry, job, maintain, open, options, push, select, stream};

const HOUR: i64 = 3_600_000_000_000;

/// Three streams; `a` and `b` in a segment and in the head, `c` in the head.
fn filled(db: &Db) -> Result<(), Error> {
    for (round, jobs) in [&["a", "b"][..], &["a", "b", "c"][..]].iter().enumerate() {
        for name in *jobs {
            let at = NOW + round as i64 * HOUR;
            push(db, &stream(name), &[entry(at, format!("{name}{round} keep")), entry(at + 1, "password=1 secret")])?;
        }
        if round == 0 {
            db.flush()?;
        }
    }
    Ok(())
}

fn lines(db: &Db) -> Vec<String> {
    content(db).into_values().flatten().map(|(_, line, _)| line).collect()
}

#[test]
fn entries_are_hidden_at_once_and_then_removed() {
    let disk: Arc<dyn Files> = Arc::new(MemFiles::new());
    let db = open(&disk);
    filled(&db).unwrap();
    assert_eq!(lines(&db).len(), 10);
    let with_text = db.request_delete(delete("|password", NOW, NOW + 2 * HOUR, NOW + 5)).unwrap();
    let whole = db.request_delete(delete("c", 0, i64::MAX, i64::MAX)).unwrap();
    let cancelled = db.request_delete(delete("a", 0, i64::MAX, NOW + 5)).unwrap();
    assert_eq!(lines(&db), ["b0 keep", "b1 keep"]);
    db.cancel_delete(cancelled).unwrap();
    let seen = ["a0 keep", "a1 keep", "b0 keep", "b1 keep"];
    assert_eq!(lines(&db), seen);
    let all = LabelQuery { start_ms: 0, end_ms: i64::MAX, ..LabelQuery::default() };
    assert_eq!(db.label_values("job", &all).unwrap(), ["a", "b"], "nothing is left of c");
    // Lines that are not wanted are looked at all the same.
    let request = LogSelect { matchers: job("b"), end_ns: i64::MAX, skip_lines: true, ..LogSelect::default() };
    let selection = db.select(&request).unwrap();
    let mut columns = LogColumns::new();
    let rows = (0..selection.units().len()).map(|unit| {
        selection.read(unit, &mut columns).unwrap();
        assert_eq!(selection.count(unit, 0, i64::MAX), None);
        columns.len()
    });
    assert_eq!(rows.sum::<usize>(), 2);
    drop(selection);
    let states = |db: &Db| db.deletes().into_iter().map(|info| (info.id, info.state)).collect::<Vec<_>>();
    maintain(&db, NOW);
    assert_eq!(states(&db), [(with_text, DeleteState::Waiting), (whole, DeleteState::Waiting)]);
    assert_eq!(db.stats().segment_entries, 4);
    maintain(&db, NOW + 5);
    assert_eq!(states(&db), [(with_text, DeleteState::Done { at_ns: NOW + 5 }), (whole, DeleteState::Waiting)]);
    assert_eq!(db.stats().segment_entries, 5, "what is only hidden stays");
    assert_eq!(lines(&db), seen);
    assert!(db.cancel_delete(with_text).unwrap_err().to_string().contains("being carried out or done"));
    assert_eq!(db.cancel_delete(77).unwrap_err().to_string(), "there is no delete request 77");
    // What comes after it was done stays.
    push(&db, &stream("a"), &[entry(NOW + 1, "password=1 secret")]).unwrap();
    assert_eq!(lines(&db).len(), 5);
    drop(db);
    let db = open(&disk);
    assert_eq!(lines(&db).len(), 5);
    assert_eq!(states(&db).len(), 2);
    db.cancel_delete(whole).unwrap();
    assert_eq!(lines(&db).len(), 6, "c is back but for what the other request removed");
}

#[test]
fn requests_that_cannot_be_read_are_refused_or_told() {
    let disk: Arc<dyn Files> = Arc::new(MemFiles::new());
    let db = open(&disk);
    assert_eq!(db.request_delete(delete("a!", 0, 5, 0)).unwrap_err().to_string(), "a!: no exclamation mark");
    assert!(db.request_delete(delete("a", 5, 4, 0)).is_err());
    push(&db, &stream("a"), &[entry(NOW, "x")]).unwrap();
    db.request_delete(delete("a", 0, i64::MAX, NOW)).unwrap();
    drop(db);
    let other = Options { delete_reader: Default::default(), ..options() };
    let db = Db::open_with(disk, "data", other).unwrap();
    maintain(&db, NOW);
    assert_eq!(lines(&db), ["x"]);
    assert_eq!(db.deletes()[0].state, DeleteState::Waiting);
    assert!(db.deletes()[0].error.is_some() && db.stats().damage[0].contains("delete request 1 cannot be read"));
}

/// Fills a store, asks for two deletes and has one carried out. Returns how many requests were acknowledged.
fn run(files: Arc<dyn Files>) -> usize {
    let Ok(db) = Db::open_with(files, "data", options()) else { return 0 };
    if filled(&db).is_err() || db.request_delete(delete("|password", 0, i64::MAX, NOW)).is_err() {
        return 0;
    }
    for _ in 0..8 {
        db.maintain(NOW);
    }
    let second = db.request_delete(delete("c", 0, i64::MAX, NOW)).is_ok();
    for _ in 0..8 {
        db.maintain(NOW);
    }
    1 + usize::from(second)
}

#[test]
fn deleted_entries_stay_deleted_whatever_happens() {
    let probe = FaultyFiles::new(Arc::new(MemFiles::new()));
    assert_eq!(run(Arc::new(probe.clone())), 2);
    let kinds = [FaultKind::Stop, FaultKind::Fail(std::io::ErrorKind::StorageFull)];
    for (at, kind) in (0..probe.operations()).flat_map(|at| kinds.map(|kind| (at, kind))) {
        let disk = MemFiles::new();
        let files = FaultyFiles::new(Arc::new(disk.clone()));
        let times = if kind == FaultKind::Stop { u64::MAX } else { 2 };
        files.inject(Fault { at, times, kind });
        let acknowledged = run(Arc::new(files));
        for loss in [PowerLoss::Unsynced, PowerLoss::Nothing, PowerLoss::Torn(at)] {
            let files: Arc<dyn Files> = Arc::new(disk.power_loss(loss));
            let db = open(&files);
            let what = format!("{kind:?} at operation {at}, {loss:?}, {acknowledged} acknowledged");
            let check = |db: &Db| {
                let found = lines(db);
                let has = |line: &str| found.iter().any(|found| found.contains(line));
                assert!(acknowledged < 1 || !has("password"), "{what}: {found:?}");
                assert!(acknowledged < 2 || !has("c1"), "{what}: {found:?}");
                if acknowledged > 0 {
                    assert!(["a0", "a1", "b0", "b1"].iter().all(|line| has(line)), "{what}: {found:?}");
                }
            };
            check(&db);
            maintain(&db, NOW);
            check(&db);
            let waiting = db.deletes().iter().filter(|info| !matches!(info.state, DeleteState::Done { .. })).count();
            assert_eq!(waiting, 0, "{what}");
            drop(db);
            check(&open(&files));
        }
    }
}

#[test]
fn a_snapshot_is_a_store() {
    let disk: Arc<dyn Files> = Arc::new(MemFiles::new());
    let db = open(&disk);
    filled(&db).unwrap();
    db.request_delete(delete("c", 0, i64::MAX, i64::MAX)).unwrap();
    let want = content(&db);
    db.snapshot(Path::new("backups/one")).unwrap();
    push(&db, &stream("a"), &[entry(NOW + 9, "later")]).unwrap();
    assert!(db.snapshot(Path::new("backups/one")).unwrap_err().to_string().contains("exists"));
    // What is removed from the store stays in the copy.
    db.request_delete(delete("a", 0, i64::MAX, NOW)).unwrap();
    maintain(&db, NOW);
    let copy = Db::open_with(disk.clone(), "backups/one", options()).unwrap();
    assert_eq!(content(&copy), want);
    assert_eq!(copy.deletes().len(), 1);
    let found = select(&db, &LogSelect { matchers: job("a"), end_ns: i64::MAX, ..LogSelect::default() });
    assert!(found.is_empty());
}
