//! Acknowledged entries survive a power cut at every operation on a file; the rest of a push is there whole or not at all.

mod support;

use std::sync::Arc;

use disk::{Fault, FaultKind, FaultyFiles, Files, MemFiles, PowerLoss};
use foursight_logstore::{Db, ErrorKind};
use support::{Content, NOW, content, entry, open, options, push, stream};

/// Pushes to two streams with segments written in between. Returns what was acknowledged and what was sent, by stream.
fn run(files: Arc<dyn Files>) -> (Content, Content) {
    let (mut acknowledged, mut sent) = (Content::new(), Content::new());
    let Ok(db) = Db::open_with(files, "data", options()) else { return (acknowledged, sent) };
    for round in 0..9i64 {
        for job in ["a", "b"] {
            let labels = stream(job);
            let entries = [
                entry(NOW + round * 10, format!("{job} {round} first")),
                entry(
                    NOW + round * 10 + 5 - 17 * (round % 3),
                    format!("{job} {round} second {}", "x".repeat(round as usize * 40)),
                ),
            ];
            sent.entry(labels.to_string()).or_default().extend(entries.clone());
            if push(&db, &labels, &entries).is_ok() {
                acknowledged.entry(labels.to_string()).or_default().extend(entries);
            }
        }
        match round {
            2 | 6 => {
                let _ = db.flush();
            }
            _ => {
                db.maintain(NOW);
            }
        }
    }
    (acknowledged, sent)
}

fn check(files: &MemFiles, acknowledged: &Content, sent: &Content, what: &str) {
    let files: Arc<dyn Files> = Arc::new(files.clone());
    let db = open(&files);
    let found = content(&db);
    for (labels, entries) in acknowledged {
        for entry in entries {
            let count = found.get(labels).map_or(0, |f| f.iter().filter(|e| *e == entry).count());
            assert_eq!(count, 1, "{what}: {labels} {entry:?}");
        }
    }
    for (labels, entries) in &found {
        for entry in entries {
            assert!(sent.get(labels).is_some_and(|s| s.contains(entry)), "{what}: {labels} {entry:?} was never sent");
            assert_eq!(entries.iter().filter(|e| *e == entry).count(), 1, "{what}: {labels} {entry:?} is there twice");
        }
        for pair in sent[labels].chunks(2) {
            assert_eq!(entries.contains(&pair[0]), entries.contains(&pair[1]), "{what}: half a push of {labels}");
        }
    }
    // What is sent again after the restart is still stored once.
    for (labels, entries) in acknowledged {
        let labels = if labels.contains("job=\"a\"") { stream("a") } else { stream("b") };
        assert_eq!(push(&db, &labels, entries).unwrap().accepted, 0, "{what}: {labels} takes entries twice");
    }
    db.flush().unwrap();
    assert_eq!(content(&db), found, "{what}: another segment changes what is read");
}

#[test]
fn acknowledged_entries_survive_a_power_cut_at_every_operation() {
    let probe = FaultyFiles::new(Arc::new(MemFiles::new()));
    let (acknowledged, sent) = run(Arc::new(probe.clone()));
    assert_eq!(acknowledged, sent);
    for at in 0..probe.operations() {
        let disk = MemFiles::new();
        let files = FaultyFiles::new(Arc::new(disk.clone()));
        files.inject(Fault { at, times: u64::MAX, kind: FaultKind::Stop });
        let (acknowledged, sent) = run(Arc::new(files));
        for loss in [PowerLoss::Unsynced, PowerLoss::Nothing, PowerLoss::Torn(at), PowerLoss::Torn(at + 1_000)] {
            check(&disk.power_loss(loss), &acknowledged, &sent, &format!("cut at operation {at}, {loss:?}"));
        }
    }
}

#[test]
fn a_failing_operation_costs_nothing_that_was_acknowledged() {
    let probe = FaultyFiles::new(Arc::new(MemFiles::new()));
    run(Arc::new(probe.clone()));
    for at in 0..probe.operations() {
        for kind in [FaultKind::Fail(std::io::ErrorKind::StorageFull), FaultKind::Torn(std::io::ErrorKind::Other)] {
            for times in [1, 3] {
                let disk = MemFiles::new();
                let files = FaultyFiles::new(Arc::new(disk.clone()));
                files.inject(Fault { at, times, kind });
                let (acknowledged, sent) = run(Arc::new(files));
                let what = format!("{times} x {kind:?} at operation {at}");
                check(&disk.power_loss(PowerLoss::Unsynced), &acknowledged, &sent, &what);
            }
        }
    }
}

#[test]
fn a_device_that_fails_and_comes_back_is_used_again_without_a_restart() {
    let disk = MemFiles::new();
    let files = FaultyFiles::new(Arc::new(disk.clone()));
    let db = open(&(Arc::new(files.clone()) as Arc<dyn Files>));
    let labels = stream("a");
    push(&db, &labels, &[entry(NOW, "before")]).unwrap();
    files.fail_from_now(FaultKind::Fail(std::io::ErrorKind::StorageFull));
    assert!(push(&db, &labels, &[entry(NOW + 1, "unknown")]).is_err());
    assert_eq!(push(&db, &labels, &[entry(NOW + 2, "refused")]).unwrap_err().kind(), ErrorKind::Refusing);
    assert!(db.flush().is_err());
    files.heal();
    db.maintain(NOW);
    assert_eq!(push(&db, &labels, &[entry(NOW + 1, "unknown")]).unwrap().accepted_bytes, 0);
    push(&db, &labels, &[entry(NOW + 3, "after")]).unwrap();
    drop(db);
    let after: Arc<dyn Files> = Arc::new(disk.power_loss(PowerLoss::Unsynced));
    let found = content(&open(&after));
    let lines: Vec<&str> = found[&labels.to_string()].iter().map(|(_, line, _)| line.as_str()).collect();
    assert_eq!(lines, ["before", "unknown", "after"]);
}
