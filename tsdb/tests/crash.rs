//! The machine stops at every single operation on the disk: what was acknowledged is there after reopening, and nothing is that was
//! never sent. And the device fails for a while: writes are refused with the reason, reads go on, and nothing is lost when it works again.

mod common;

use std::io;
use std::sync::Arc;

use common::{Model, append, numbered, read_all};
use disk::{Fault, FaultKind, FaultyFiles, PowerLoss, Space};
use foursight_tsdb::{Db, ErrorKind, Labels, Matcher, MemFiles, Options};

const MINUTE: i64 = 60_000;

fn options() -> Options {
    // A small budget makes blocks of two hours, which are then merged.
    Options {
        wal_segment_bytes: 2_000,
        replay_threads: 1,
        head_budget_bytes: 1,
        out_of_order_window_ms: 5 * 60 * MINUTE,
        ..Options::default()
    }
}

fn batch(round: i64) -> Vec<(Labels, i64, f64)> {
    let value = |i: usize| if i == 0 { 1.0 } else { (round * i as i64) as f64 / 4.0 };
    // Series come and go, so that some are removed from memory.
    let series = (0..6usize).filter(|i| *i < 3 || round / 30 % 2 == (*i as i64) % 2);
    let late = (round % 8 == 7).then(|| (numbered(1), (round - 20) * 10 * MINUTE + 1, 9.0));
    series.map(|i| (numbered(i), round * 10 * MINUTE, value(i))).chain(late).collect()
}

/// Deletes an hour of one series, which lies in blocks, in memory, or both. What is not acknowledged may be gone or not.
fn delete(db: &Db, round: i64, acknowledged: &mut Model, sent: &mut Model) -> bool {
    let (from, to) = ((round - 6) * 10 * MINUTE, round * 10 * MINUTE);
    let series = numbered(2);
    let done = db.delete(&[vec![Matcher::equal("i", "0002")]], from, to).is_ok();
    let stays = |time: &i64| !(from..=to).contains(time);
    acknowledged.entry(series.clone()).or_default().retain(|time, _| stays(time));
    if done {
        sent.entry(series).or_default().retain(|time, _| stays(time));
    }
    done
}

fn add(model: &mut Model, batch: &[(Labels, i64, f64)]) {
    for (labels, time, value) in batch {
        model.entry(labels.clone()).or_default().insert(*time, value.to_bits());
    }
}

/// Writes and maintains until something fails; returns what was acknowledged and what was sent.
fn work(files: &FaultyFiles, rounds: i64) -> (Model, Model) {
    let (mut acknowledged, mut sent) = (Model::new(), Model::new());
    let Ok(mut db) = Db::open_with(Arc::new(files.clone()), "data", options()) else { return (acknowledged, sent) };
    for round in 0..rounds {
        let samples = batch(round);
        let Ok(mut batch) = db.appender() else { break };
        add(&mut sent, &samples);
        for (labels, time, value) in &samples {
            let series = batch.resolve(labels).unwrap();
            batch.append(series, *time, *value).unwrap();
        }
        match batch.commit() {
            Ok(report) => {
                assert_eq!(report.refused, []);
                add(&mut acknowledged, &samples);
            }
            Err(_) => break,
        }
        let now = round * 10 * MINUTE;
        let failed = |db: &Db| db.maintain(now).is_ok_and(|r| !r.errors.is_empty()) || db.compact(now).is_err();
        if round % 5 == 4 && failed(&db) {
            break;
        }
        if round % 30 == 20 && !delete(&db, round, &mut acknowledged, &mut sent) {
            break;
        }
        if round % 40 == 30 {
            // Closed, which saves the head, and opened again.
            let closed = db.close();
            drop(db);
            match Db::open_with(Arc::new(files.clone()), "data", options()) {
                Ok(again) if closed.is_ok() => db = again,
                _ => return (acknowledged, sent),
            }
        }
        if round % 60 == 40 && db.clean_tombstones(now).is_err() {
            break;
        }
    }
    (acknowledged, sent)
}

fn check(found: &Model, acknowledged: &Model, sent: &Model, context: &str) {
    for (labels, samples) in acknowledged {
        for (time, value) in samples {
            let there = found.get(labels).and_then(|samples| samples.get(time));
            assert_eq!(there, Some(value), "{context}: {labels} at {time} was acknowledged");
        }
    }
    for (labels, samples) in found {
        for (time, value) in samples {
            assert_eq!(
                sent.get(labels).and_then(|s| s.get(time)),
                Some(value),
                "{context}: {labels} at {time} was never sent"
            );
        }
    }
}

#[test]
fn the_machine_stops_at_every_operation() {
    const ROUNDS: i64 = 110;
    let files = FaultyFiles::new(Arc::new(MemFiles::new()));
    let (all, sent) = work(&files, ROUNDS);
    let operations = files.operations();
    assert_eq!(all, sent);
    assert!(all[&numbered(0)].len() == ROUNDS as usize);
    let renamed = files.log().iter().filter(|(operation, _)| *operation == "rename").count();
    assert!(renamed >= 6, "blocks were written, and merged: {renamed}");
    for at in 0..operations {
        let memory = MemFiles::new();
        let files = FaultyFiles::new(Arc::new(memory.clone()));
        files.inject(Fault { at, times: 1, kind: FaultKind::Stop });
        let (acknowledged, sent) = work(&files, ROUNDS);
        let losses = [PowerLoss::Unsynced, PowerLoss::Torn(at), PowerLoss::Nothing, PowerLoss::Torn(!at)];
        for loss in losses.into_iter().take(if at % 4 == 0 { 4 } else { 2 }) {
            let context =
                format!("stopped at operation {at} of {operations} ({:?}), {loss:?}", files.log().get(at as usize));
            let after = Arc::new(memory.power_loss(loss));
            let db =
                Db::open_with(after.clone(), "data", options()).unwrap_or_else(|error| panic!("{context}: {error}"));
            let found = read_all(&db);
            check(&found, &acknowledged, &sent, &context);
            // And it goes on from here: written again, what was not acknowledged is stored once.
            let next = batch(ROUNDS + 1);
            assert_eq!(append(&db, &next), 0, "{context}");
            let report = db.maintain(0).unwrap();
            assert!(report.errors.is_empty(), "{context}: {:?}", report.errors);
            db.compact(0).unwrap_or_else(|error| panic!("{context}: {error}"));
            drop(db);
            let again = read_all(&Db::open_with(after, "data", options()).unwrap());
            let mut want = found;
            add(&mut want, &next);
            assert_eq!(again, want, "{context}");
        }
    }
}

#[test]
fn a_device_that_fails_for_a_while_loses_nothing() {
    for kind in [FaultKind::Fail(io::ErrorKind::StorageFull), FaultKind::Torn(io::ErrorKind::Other)] {
        let memory = MemFiles::new();
        let files = FaultyFiles::new(Arc::new(memory.clone()));
        let db = Db::open_with(Arc::new(files.clone()), "data", options()).unwrap();
        let mut model = Model::new();
        for round in 0..10 {
            append(&db, &batch(round));
            add(&mut model, &batch(round));
        }
        files.fail_from_now(kind);
        let mut failing = db.appender().unwrap();
        for (labels, time, value) in batch(10) {
            let series = failing.resolve(&labels).unwrap();
            failing.append(series, time, value).unwrap();
        }
        assert_eq!(failing.commit().unwrap_err().kind(), ErrorKind::Io);
        // Refused with the reason, and read as before.
        let refused = db.appender().err().unwrap();
        assert_eq!(refused.kind(), ErrorKind::Refusing);
        assert!(refused.to_string().contains("injected"), "{refused}");
        assert!(db.maintain(0).is_ok());
        assert!(db.stats().refusing.is_some());
        let found = read_all(&db);
        let mut sent = model.clone();
        add(&mut sent, &batch(10));
        check(&found, &model, &sent, "while failing");
        // It works again: by itself, and the sender's second attempt is a repetition.
        files.heal();
        db.maintain(0).unwrap();
        assert_eq!(db.stats().refusing, None);
        assert_eq!(append(&db, &batch(10)), 0);
        assert_eq!(append(&db, &batch(11)), 0);
        add(&mut model, &batch(10));
        add(&mut model, &batch(11));
        assert_eq!(read_all(&db), model);
        let after = Db::open_with(Arc::new(memory.power_loss(PowerLoss::Unsynced)), "data", options()).unwrap();
        assert_eq!(read_all(&after), model);
    }
}

#[test]
fn the_brake_holds_before_the_disk_is_full() {
    let files = FaultyFiles::new(Arc::new(MemFiles::new()));
    let db = Db::open_with(Arc::new(files.clone()), "data", options()).unwrap();
    append(&db, &batch(0));
    files.pretend_space(Some(Space { total: 1 << 30, available: 1 << 20 }));
    db.maintain(0).unwrap();
    let refused = db.appender().err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::Refusing);
    assert!(refused.to_string().contains("1048576 bytes left"), "{refused}");
    assert_eq!(read_all(&db).len(), batch(0).len());
    files.pretend_space(None);
    db.maintain(0).unwrap();
    assert_eq!(append(&db, &batch(1)), 0);
}
