//! Every file of a small store cut at every length, and with every byte changed: what is read is what was written or is missing, what is
//! missing is reported, and nothing panics.

mod common;

use std::path::PathBuf;
use std::sync::Arc;

use common::{Model, append, numbered};
use disk::PowerLoss;
use foursight_tsdb::{
    Db, Exemplar, FloatHistogram, Labels, Matcher, MemFiles, Metadata, MetricKind, NativeHistogram, Options,
    SampleColumns, SelectHints, SeriesSource,
};

const HOUR: i64 = 3_600_000;
const MINUTE: i64 = 60_000;

/// Bytes of the last record of the log: a deletion.
const LAST_RECORD: usize = 40;

fn options() -> Options {
    Options { out_of_order_window_ms: 24 * HOUR, head_budget_bytes: 1, replay_threads: 1, ..Options::default() }
}

/// A store with two blocks, a deletion in one, and a log of everything else; and what was ever sent.
fn small_store() -> (MemFiles, Model) {
    let files = MemFiles::new();
    let db = Db::open_with(Arc::new(files.clone()), "data", options()).unwrap();
    let mut sent = Model::new();
    let mut write = |samples: &[(Labels, i64, f64)]| {
        assert_eq!(append(&db, samples), 0);
        for (labels, time, value) in samples {
            sent.entry(labels.clone()).or_default().insert(*time, value.to_bits());
        }
    };
    for round in 0..30i64 {
        let value = |i: usize| [1.0, round as f64, (round as f64).sin()][i];
        write(&(0..3).map(|i| (numbered(i), round * 10 * MINUTE, value(i))).collect::<Vec<_>>());
        if round == 20 {
            assert!(db.maintain(0).unwrap().errors.is_empty());
            db.delete(&[vec![Matcher::equal("i", "0001")]], HOUR / 2, HOUR).unwrap();
        }
    }
    write(&[(numbered(0), 4 * HOUR + 1, 5.0), (numbered(3), 3 * HOUR, 6.0)]);
    let mut batch = db.appender().unwrap();
    let series = batch.resolve(&Labels::from_pairs([("__name__", "h")])).unwrap();
    let histogram = FloatHistogram { count: 2.0, sum: 3.0, zero_count: 2.0, ..FloatHistogram::default() };
    batch.append_histogram(series, 1, 5 * HOUR, NativeHistogram::Float(histogram)).unwrap();
    batch.append_exemplar(series, Exemplar { labels: Labels::empty(), value: 1.0, timestamp_ms: 5 * HOUR }).unwrap();
    let metadata = Metadata { kind: MetricKind::Histogram, unit: "s".to_owned(), help: "what".to_owned() };
    batch.set_metadata("h", metadata).unwrap();
    batch.commit().unwrap();
    db.delete(&[vec![Matcher::equal("i", "0002")]], 4 * HOUR, 4 * HOUR + 15 * MINUTE).unwrap();
    assert!(db.blocks().len() == 1);
    drop(db);
    (files, sent)
}

/// The same, with the head saved and nothing in the log that it does not have.
fn closed_store() -> (MemFiles, Model) {
    let (files, sent) = small_store();
    let db = Db::open_with(Arc::new(files.clone()), "data", options()).unwrap();
    db.close().unwrap();
    drop(db);
    for path in files.paths().iter().filter(|path| path.starts_with("data/wal")) {
        disk::Files::remove_file(&files, path).unwrap();
    }
    let db = Db::open_with(Arc::new(files.power_loss(PowerLoss::Unsynced)), "data", options()).unwrap();
    assert_eq!(db.exemplars(&[Vec::new()], 0, i64::MAX).len(), 1);
    assert_eq!(db.metadata("h").map(|metadata| metadata.kind), Some(MetricKind::Histogram));
    (files, sent)
}

/// All floats and the number of histograms that can be read, and whether the store says that something is amiss; `None` when it cannot
/// be opened.
fn read(files: MemFiles) -> Option<(Model, usize, bool)> {
    let db = Db::open_with(Arc::new(files), "data", options()).ok()?;
    let hints = SelectHints { start_ms: i64::MIN, end_ms: i64::MAX, ..Default::default() };
    let mut model = Model::new();
    let mut histograms = 0;
    let Ok(found) = db.select(&[], &hints) else { return Some((model, 0, true)) };
    let mut columns = SampleColumns::new();
    let mut failed = false;
    for i in 0..found.len() {
        failed |= found.read(i, &mut columns).is_err();
        let samples = columns.timestamps.iter().copied().zip(columns.values.iter().map(|v| v.to_bits()));
        if !columns.timestamps.is_empty() {
            model.insert(found.labels(i), samples.collect());
        }
        histograms += columns.histograms.iter().filter(|h| h.count == 2.0 && h.sum == 3.0).count();
        assert!(columns.histograms.len() <= 1);
    }
    let reported = failed || !db.damage().is_empty() || !found.warnings().is_empty();
    // Whatever it is, writing and maintaining go on.
    let _ = db.maintain(0).map(|report| report.errors.len());
    let _ = db.compact(0);
    Some((model, histograms, reported))
}

fn sweep((files, sent): (MemFiles, Model), change: impl Fn(&mut Vec<u8>, usize), what: &str) {
    let whole = read(files.power_loss(PowerLoss::Nothing)).unwrap();
    assert_eq!((whole.1, whole.2), (1, false));
    let paths: Vec<PathBuf> = files.paths().into_iter().filter(|path| !path.ends_with("lock")).collect();
    assert!(paths.iter().any(|path| path.ends_with("tombstones")), "{paths:?}");
    assert!(paths.iter().any(|path| path.ends_with("head") || path.starts_with("data/wal")), "{paths:?}");
    for path in paths {
        let mut len = 0;
        files.tamper(&path, |bytes| len = bytes.len()).unwrap();
        for at in 0..len {
            let context = format!("{} {what} at {at} of {len}", path.display());
            let damaged = files.power_loss(PowerLoss::Nothing);
            damaged.tamper(&path, |bytes| change(bytes, at)).unwrap();
            let Some((found, histograms, reported)) = read(damaged) else { continue };
            for (labels, samples) in &found {
                for (time, value) in samples {
                    let right = sent.get(labels).and_then(|samples| samples.get(time));
                    assert_eq!(right, Some(value), "{context}: {labels} at {time} was never sent");
                }
            }
            let same = found == whole.0 && histograms == whole.1;
            // A last record that is not whole is what a crash leaves, and nobody was told that it was stored.
            let is_tail = path.starts_with("data/wal") && (what == "cut" || at + LAST_RECORD >= len);
            assert!(same || reported || is_tail, "{context}: something is missing, and nobody says so");
        }
    }
}

#[test]
fn files_cut_at_every_length() {
    sweep(small_store(), |bytes, at| bytes.truncate(at), "cut");
    sweep(closed_store(), |bytes, at| bytes.truncate(at), "cut");
}

#[test]
fn files_with_every_byte_changed() {
    sweep(small_store(), |bytes, at| bytes[at] ^= 0xff, "changed");
}

#[test]
fn files_with_every_byte_changed_in_one_bit() {
    sweep(closed_store(), |bytes, at| bytes[at] ^= 1 << (at % 8), "changed");
}
