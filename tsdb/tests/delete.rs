//! Deleting: what was deleted stays away, in memory, in blocks, through merging, cutting and a power cut; the rest stays; what is sent
//! again is stored again.

mod common;

use std::sync::Arc;

use common::{Model, append, numbered, read_all};
use disk::PowerLoss;
use foursight_tsdb::{Db, ErrorKind, MatchOp, Matcher, MemFiles, Options};

const HOUR: i64 = 3_600_000;
const MINUTE: i64 = 60_000;

fn open(files: &MemFiles) -> Db {
    let options = Options { out_of_order_window_ms: 30 * HOUR, head_budget_bytes: 1, ..Options::default() };
    Db::open_with(Arc::new(files.clone()), "data", options).unwrap()
}

/// Ten hours of four series, the first eight in blocks.
fn filled(files: &MemFiles) -> (Db, Model) {
    let db = open(files);
    let mut model = Model::new();
    for minute in 0..600i64 {
        let batch: Vec<_> = (0..4).map(|i| (numbered(i), minute * MINUTE, (minute * (i as i64 + 1)) as f64)).collect();
        for (labels, time, value) in &batch {
            model.entry(labels.clone()).or_default().insert(*time, value.to_bits());
        }
        assert_eq!(append(&db, &batch), 0);
        if minute % 120 == 119 {
            assert!(db.maintain(minute * MINUTE).unwrap().errors.is_empty());
        }
    }
    assert!(db.blocks().len() >= 3);
    (db, model)
}

fn remove(model: &mut Model, series: &[usize], from: i64, to: i64) {
    for &i in series {
        let samples = model.get_mut(&numbered(i)).unwrap();
        samples.retain(|time, _| !(from..=to).contains(time));
    }
    model.retain(|_, samples| !samples.is_empty());
}

#[test]
fn what_was_deleted_stays_away() {
    let files = MemFiles::new();
    let (db, mut model) = filled(&files);
    let odd = vec![vec![Matcher::equal("parity", "1")]];
    // Within a block; over blocks and the head; the end of a series.
    for (selectors, series, from, to) in [
        (odd.clone(), vec![1, 3], HOUR + 1, 2 * HOUR),
        (vec![vec![Matcher::equal("i", "0000")], vec![Matcher::equal("i", "0002")]], vec![0, 2], 5 * HOUR, 9 * HOUR),
        (odd, vec![1, 3], 9 * HOUR + 30 * MINUTE, i64::MAX),
    ] {
        db.delete(&selectors, from, to).unwrap();
        remove(&mut model, &series, from, to);
        assert_eq!(read_all(&db), model);
    }
    // Nothing is acknowledged that a power cut would undo.
    assert_eq!(read_all(&open(&files.power_loss(PowerLoss::Unsynced))), model);
    // Rewritten, merged, cut: it stays away.
    let with_tombstones = files.paths().iter().filter(|path| path.ends_with("tombstones")).count();
    assert!(with_tombstones >= 2);
    let samples = |db: &Db| db.blocks().iter().map(|block| block.stats.num_samples).sum::<u64>();
    let before = samples(&db);
    assert_eq!(db.clean_tombstones(0).unwrap().len(), with_tombstones);
    assert!(samples(&db) < before);
    assert!(files.paths().iter().all(|path| !path.ends_with("tombstones")));
    assert_eq!(db.clean_tombstones(0).unwrap(), []);
    assert_eq!(read_all(&db), model);
    while db.compact(0).unwrap().is_some() {}
    assert_eq!(read_all(&db), model);
    assert_eq!(read_all(&open(&files.power_loss(PowerLoss::Unsynced))), model);
}

#[test]
fn what_is_sent_again_is_stored_again() {
    let files = MemFiles::new();
    let (db, mut model) = filled(&files);
    db.delete(&[vec![Matcher::equal("i", "0001")]], i64::MIN, i64::MAX).unwrap();
    remove(&mut model, &[1], i64::MIN, i64::MAX);
    assert_eq!(read_all(&db), model);
    // The newest sample again, one of the head, one of a block's time.
    let again = [(numbered(1), 599 * MINUTE, 7.0), (numbered(1), 590 * MINUTE, 8.0), (numbered(1), 10 * MINUTE, 9.0)];
    assert_eq!(append(&db, &again), 0);
    for (labels, time, value) in &again {
        model.entry(labels.clone()).or_default().insert(*time, value.to_bits());
    }
    assert_eq!(read_all(&db), model);
    let db = open(&files.power_loss(PowerLoss::Unsynced));
    assert_eq!(read_all(&db), model);
    for minute in 600..1_000 {
        let sample = (numbered(1), minute * MINUTE, minute as f64);
        assert_eq!(append(&db, std::slice::from_ref(&sample)), 0);
        model.entry(sample.0).or_default().insert(sample.1, sample.2.to_bits());
    }
    for _ in 0..6 {
        assert!(db.maintain(0).unwrap().errors.is_empty());
        while db.compact(0).unwrap().is_some() {}
    }
    assert_eq!(read_all(&db), model);
}

#[test]
fn everything_can_be_deleted() {
    let files = MemFiles::new();
    let (db, _) = filled(&files);
    let cut = db.blocks().last().unwrap().max_time;
    let any = Matcher::new(MatchOp::Regex, "__name__", ".+").unwrap();
    db.delete(&[vec![any]], i64::MIN, i64::MAX).unwrap();
    assert!(read_all(&db).is_empty());
    db.clean_tombstones(0).unwrap();
    assert_eq!(db.blocks(), []);
    // Where the blocks began is not forgotten with them.
    let after = files.power_loss(PowerLoss::Unsynced);
    let db = open(&after);
    assert!(read_all(&db).is_empty());
    let sample = [(numbered(9), 600 * MINUTE, 1.0), (numbered(9), cut - 1, 1.0)];
    assert_eq!(append(&db, &sample), 0);
    assert_eq!(db.stats().samples_late, 1);
    assert_eq!(read_all(&db)[&numbered(9)].len(), 2);
}

#[test]
fn a_snapshot_is_a_store() {
    let files = MemFiles::new();
    let (db, mut model) = filled(&files);
    db.delete(&[vec![Matcher::equal("i", "0001")]], HOUR, 9 * HOUR + 30 * MINUTE).unwrap();
    remove(&mut model, &[1], HOUR, 9 * HOUR + 30 * MINUTE);
    db.snapshot("data/snapshots/whole".as_ref(), true).unwrap();
    db.snapshot("data/snapshots/blocks".as_ref(), false).unwrap();
    assert_eq!(db.snapshot("data/snapshots/whole".as_ref(), true).unwrap_err().kind(), ErrorKind::Io);
    // What comes later is not in it, and what goes later stays in it.
    let head_from = db.blocks().last().unwrap().max_time;
    append(&db, &[(numbered(0), 601 * MINUTE, 1.0)]);
    db.delete(&[vec![Matcher::equal("parity", "0")]], i64::MIN, i64::MAX).unwrap();
    db.clean_tombstones(0).unwrap();
    let files = Arc::new(files.power_loss(PowerLoss::Unsynced));
    let whole = Db::open_with(files.clone(), "data/snapshots/whole", Options::default()).unwrap();
    assert_eq!(read_all(&whole), model);
    let blocks = Db::open_with(files, "data/snapshots/blocks", Options::default()).unwrap();
    assert_eq!(read_all(&blocks), common::part(&model, i64::MIN, head_from - 1));
}

#[test]
fn deleting_nothing_changes_nothing() {
    let files = MemFiles::new();
    let (db, model) = filled(&files);
    db.delete(&[], i64::MIN, i64::MAX).unwrap();
    db.delete(&[vec![Matcher::equal("i", "none")]], i64::MIN, i64::MAX).unwrap();
    db.delete(&[vec![Matcher::equal("i", "0001")]], 11 * HOUR, 12 * HOUR).unwrap();
    db.delete(&[vec![Matcher::equal("i", "0001")]], 5, 4).unwrap();
    assert_eq!(read_all(&db), model);
    assert!(files.paths().iter().all(|path| !path.ends_with("tombstones")));
    db.close().unwrap();
    assert_eq!(db.delete(&[vec![]], 0, 1).unwrap_err().kind(), ErrorKind::Closed);
}
