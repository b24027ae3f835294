//! The log against power loss, failing devices, cut and flipped bytes.

use std::io;
use std::path::Path;

use super::*;
use crate::{Fault, FaultKind, FaultyFiles, MemFiles, PowerLoss};

const DIR: &str = "wal";

fn open(files: &dyn CloneFiles) -> Wal {
    Wal::open(files.shared(), DIR.into(), WalOptions::default()).unwrap()
}

trait CloneFiles {
    fn shared(&self) -> Arc<dyn Files>;
}

impl<T: Files + Clone + 'static> CloneFiles for T {
    fn shared(&self) -> Arc<dyn Files> {
        Arc::new(self.clone())
    }
}

fn read_all(files: &dyn Files) -> (Vec<String>, Vec<SegmentReport>) {
    let mut records = Vec::new();
    let mut reports = Vec::new();
    for segment in list_segments(files, Path::new(DIR)).unwrap() {
        let report = read_segment(files, &segment, &mut |record| {
            assert_eq!(record.kind, 1);
            records.push(String::from_utf8(record.payload.to_vec()).unwrap());
        });
        reports.push(report.unwrap());
    }
    (records, reports)
}

fn write(log: &Wal, text: &str) -> Result<(), Error> {
    let position = log.append(1, text.as_bytes())?;
    log.commit(position)
}

#[test]
fn the_page_shows_what_is_written() {
    let page = include_str!("../../docs/format/wal.md");
    let hex = page.split("```hex").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let want: Vec<u8> = hex.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
    let mut got = format::segment_header(SegmentId(7)).to_vec();
    format::frame(&mut got, 1, b"hi");
    assert_eq!(got, want, "{got:02x?}");
}

#[test]
fn records_come_back_in_order_over_segments() {
    let files = MemFiles::new();
    let log = open(&files);
    write(&log, "a").unwrap();
    assert_eq!(log.rotate().unwrap(), SegmentId(2));
    write(&log, "b").unwrap();
    write(&log, &"c".repeat(3 << 20)).unwrap();
    log.close().unwrap();
    assert!(matches!(log.append(1, b"x"), Err(Error::Closed)));
    let (records, reports) = read_all(&files);
    assert_eq!(records, ["a".to_owned(), "b".to_owned(), "c".repeat(3 << 20)]);
    assert!(reports.iter().all(|r| r.damage.is_empty() && r.torn_tail.is_none()));
    let log = open(&files);
    assert_eq!(log.stats().segment, 3);
    assert_eq!(log.remove_before(SegmentId(2)).unwrap(), 1);
    assert_eq!(log.remove_before(SegmentId(99)).unwrap(), 1, "the open segment stays");
    write(&log, "d").unwrap();
    assert_eq!(read_all(&files).0, ["d"]);
}

#[test]
fn concurrent_writers_share_syncs_and_lose_nothing() {
    let files = MemFiles::new();
    let log = open(&files);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let log = &log;
            scope.spawn(move || {
                for i in 0..200 {
                    write(log, &format!("{thread}:{i}")).unwrap();
                    if i == 100 {
                        log.rotate().unwrap();
                    }
                }
            });
        }
    });
    let (records, _) = read_all(&files.power_loss(PowerLoss::Unsynced));
    assert_eq!(records.len(), 800);
    for thread in 0..4 {
        let mine: Vec<_> = records.iter().filter(|r| r.starts_with(&format!("{thread}:"))).collect();
        assert!(mine.iter().enumerate().all(|(i, r)| **r == format!("{thread}:{i}")));
    }
    assert!(log.stats().syncs <= 804);
}

/// Every operation in turn is the last one before the power goes: what was acknowledged is there, in order, nothing else is new.
#[test]
fn acknowledged_records_survive_a_power_cut_at_every_operation() {
    let run = |files: &FaultyFiles| {
        let mut acknowledged = Vec::new();
        let mut sent = Vec::new();
        let Ok(log) = Wal::open(Arc::new(files.clone()), DIR.into(), WalOptions::default()) else {
            return (acknowledged, sent);
        };
        for i in 0..12 {
            let text = format!("record {i} {}", "x".repeat(i * 7));
            sent.push(text.clone());
            if write(&log, &text).is_ok() {
                acknowledged.push(text);
            }
            if i % 5 == 4 {
                let _ = log.rotate();
            }
        }
        (acknowledged, sent)
    };
    let dry = FaultyFiles::new(Arc::new(MemFiles::new()));
    run(&dry);
    for at in 0..dry.operations() {
        for seed in 0..8 {
            let disk = MemFiles::new();
            let files = FaultyFiles::new(Arc::new(disk.clone()));
            files.inject(Fault { at, times: u64::MAX, kind: FaultKind::Stop });
            let (acknowledged, sent) = run(&files);
            let loss = if seed == 0 { PowerLoss::Unsynced } else { PowerLoss::Torn(seed) };
            let (found, reports) = read_all(&disk.power_loss(loss));
            assert!(
                found.starts_with(&acknowledged),
                "stop at {at}, {loss:?}: {found:?} misses some of {acknowledged:?}"
            );
            assert!(sent.starts_with(&found), "stop at {at}, {loss:?}: {found:?} was not sent");
            assert!(reports.iter().all(|r| r.damage.is_empty()), "stop at {at}, {loss:?}: {reports:?}");
        }
    }
}

#[test]
fn a_failed_device_is_refused_and_recovered_from() {
    for kind in [FaultKind::Fail(io::ErrorKind::StorageFull), FaultKind::Torn(io::ErrorKind::Other)] {
        for skip in 0..3 {
            let disk = MemFiles::new();
            let files = FaultyFiles::new(Arc::new(disk.clone()));
            let log = open(&files);
            write(&log, "before").unwrap();
            files.inject(Fault { at: files.operations() + skip, times: u64::MAX, kind });
            let mut failed = Vec::new();
            for i in 0..4 {
                let text = format!("during {i}");
                if write(&log, &text).is_err() {
                    failed.push(text);
                }
            }
            assert!(!failed.is_empty());
            assert!(log.stats().refusing.is_some_and(|reason| reason.contains("injected")));
            assert!(!log.try_recover());
            assert!(matches!(log.append(1, b"x"), Err(Error::Refusing { .. })));
            files.heal();
            assert!(log.try_recover());
            write(&log, "after").unwrap();
            let (found, reports) = read_all(&disk.power_loss(PowerLoss::Unsynced));
            assert_eq!(found.first().map(String::as_str), Some("before"));
            assert_eq!(found.last().map(String::as_str), Some("after"));
            assert!(reports.iter().all(|r| r.damage.is_empty()));
        }
    }
}

#[test]
fn other_policies_acknowledge_before_the_sync() {
    for sync in [SyncPolicy::Interval, SyncPolicy::Never] {
        let files = MemFiles::new();
        let log = Wal::open(files.shared(), DIR.into(), WalOptions { sync, max_unsynced_bytes: 100 }).unwrap();
        write(&log, "a").unwrap();
        assert_eq!(read_all(&files).0, ["a"], "handed to the system");
        assert_eq!(read_all(&files.power_loss(PowerLoss::Unsynced)).0.len(), 0);
        log.sync().unwrap();
        assert_eq!(read_all(&files.power_loss(PowerLoss::Unsynced)).0, ["a"]);
        write(&log, &"b".repeat(100)).unwrap();
        assert_eq!(read_all(&files.power_loss(PowerLoss::Unsynced)).0.len(), 2, "too much was unsynced");
    }
}

fn three_records() -> (MemFiles, Vec<String>, u64) {
    let files = MemFiles::new();
    let log = open(&files);
    let records = ["first", "the second record", "third"].map(str::to_owned).to_vec();
    for record in &records {
        write(&log, record).unwrap();
    }
    let len = log.stats().segment_bytes;
    (files, records, len)
}

#[test]
fn every_truncation_keeps_the_records_before_it() {
    let (files, records, len) = three_records();
    let path = SegmentId(1).path(Path::new(DIR));
    for cut in 0..len {
        let copy = files.power_loss(PowerLoss::Nothing);
        copy.truncate(&path, cut).unwrap();
        let (found, reports) = read_all(&copy);
        assert!(records.starts_with(&found) && found.len() < 3);
        assert!(reports[0].damage.is_empty());
    }
}

#[test]
fn every_flipped_byte_costs_at_most_its_record_and_is_reported() {
    let (files, records, len) = three_records();
    let path = SegmentId(1).path(Path::new(DIR));
    for at in 0..len as usize {
        for flip in [0x01, 0x80, 0xff] {
            let copy = files.power_loss(PowerLoss::Nothing);
            copy.tamper(&path, |bytes| bytes[at] ^= flip).unwrap();
            let (found, reports) = read_all(&copy);
            let missing: Vec<_> = records.iter().filter(|r| !found.contains(r)).collect();
            assert!(missing.len() <= 1, "byte {at}: {missing:?} are gone");
            assert!(found.iter().all(|r| records.contains(r)), "byte {at}: wrong data");
            assert!(reports[0].torn_tail.is_some() || !reports[0].damage.is_empty(), "byte {at} is not reported");
        }
    }
}

#[test]
fn a_length_that_lies_allocates_nothing() {
    let (files, _, _) = three_records();
    let path = SegmentId(1).path(Path::new(DIR));
    files.tamper(&path, |bytes| bytes[24..28].copy_from_slice(&(MAX_RECORD_LEN as u32).to_le_bytes())).unwrap();
    let (found, reports) = read_all(&files);
    assert_eq!(found, ["the second record", "third"]);
    assert_eq!(reports[0].damage.len(), 1);
}
