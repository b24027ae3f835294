//! A store whose log was damaged: it opens, says so, and what it answers it was given.
#![no_main]

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use disk::{MemFiles, PowerLoss};
use libfuzzer_sys::fuzz_target;
use tsdb::{Db, Labels, Matcher, Options, SampleColumns, SelectHints, SeriesSource};

const START: i64 = 1_700_000_000_000;

fn written() -> &'static (MemFiles, Vec<PathBuf>) {
    static FILES: OnceLock<(MemFiles, Vec<PathBuf>)> = OnceLock::new();
    FILES.get_or_init(|| {
        let files = MemFiles::new();
        let db = Db::open_with(Arc::new(files.clone()), "data", Options::default()).expect("a new store");
        for round in 0..20 {
            let mut batch = db.appender().expect("open");
            for series in 0..4 {
                let labels = Labels::from_pairs([("__name__", "m"), ("series", &series.to_string())]);
                let series_ref = batch.resolve(&labels).expect("labels");
                batch.append(series_ref, START + round * 1000, (round * 10 + series) as f64).expect("room");
            }
            batch.commit().expect("memory");
        }
        // Not closed: what is there is what a kill leaves.
        let image = files.power_loss(PowerLoss::Nothing);
        let paths = image.paths().into_iter().filter(|path| path.extension().is_some_and(|e| e == "wal")).collect();
        std::mem::forget(db);
        (image, paths)
    })
}

fuzz_target!(|changes: Vec<(u16, u8)>| {
    let (image, paths) = written();
    let files = image.power_loss(PowerLoss::Nothing);
    for (at, xor) in changes {
        let path = &paths[usize::from(at) % paths.len()];
        files
            .tamper(path, |bytes| {
                let len = bytes.len().max(1);
                if let Some(byte) = bytes.get_mut(usize::from(at) * 7919 % len) {
                    *byte ^= xor;
                }
            })
            .expect("a file");
    }
    let Ok(db) = Db::open_with(Arc::new(files), "data", Options::default()) else { return };
    let hints = SelectHints { start_ms: 0, end_ms: i64::MAX / 4, ..SelectHints::default() };
    let found = db.select(&[Matcher::equal("__name__", "m")], &hints).expect("the head can be read");
    let mut columns = SampleColumns::new();
    for index in 0..found.len() {
        let series: i64 = found.labels(index).value("series").parse().expect("a label that was written");
        found.read(index, &mut columns).expect("the head can be read");
        for (time, value) in columns.timestamps.iter().zip(&columns.values) {
            let round = (time - START) / 1000;
            assert_eq!(*value, (round * 10 + series) as f64, "a value that was never written");
        }
    }
});
