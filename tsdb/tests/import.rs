//! What comes in from outside and goes out again: data of Prometheus, backfill of any age, OpenMetrics.

mod common;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use common::{append, labels, numbered, part, read_all};
use disk::PowerLoss;
use foursight_tsdb::{
    Db, ErrorKind, Files, Matcher, MemFiles, Options, RealFiles, export_openmetrics, import_prometheus,
};

const HOUR: i64 = 3_600_000;

fn fixture() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/prometheus-2.42")
}

/// Lines as `promtool tsdb dump` prints them.
fn dump(db: &Db) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for (labels, samples) in read_all(db) {
        let pairs: Vec<String> = labels.iter().map(|(n, v)| format!("{n}={}", model::number::quote(v))).collect();
        for (time, bits) in samples {
            let value = model::number::float_text(f64::from_bits(bits), model::number::FloatFormat::General);
            lines.insert(format!("{{{}}} {value} {time}", pairs.join(", ")));
        }
    }
    lines
}

#[test]
fn a_data_directory_of_prometheus() {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open_with(Arc::new(RealFiles), dir.path(), Options::default()).unwrap();
    let want: BTreeSet<String> =
        std::fs::read_to_string(fixture().join("dump.txt")).unwrap().lines().map(str::to_owned).collect();
    for _ in 0..2 {
        let mut calls = 0;
        let imported = import_prometheus(&db, &fixture(), 0, &mut |_| calls += 1).unwrap();
        assert_eq!(imported.skipped, [""; 0]);
        assert_eq!((imported.blocks, imported.segments, calls), (3, 1, 4));
        let got = dump(&db);
        assert!(got == want, "{:?}", got.symmetric_difference(&want).take(6).collect::<Vec<_>>());
        // Twice is not twice.
        while db.compact(0).unwrap().is_some() {}
        assert_eq!(dump(&db), want);
    }
}

#[test]
fn damage_in_foreign_files_is_named_and_skipped() {
    let files = MemFiles::new();
    let from = fixture();
    let mut paths = Vec::new();
    for entry in walk(&from) {
        let to = PathBuf::from("prometheus").join(entry.strip_prefix(&from).unwrap());
        files.create_dir_all(to.parent().unwrap()).unwrap();
        files.create(&to).unwrap().append(&std::fs::read(&entry).unwrap()).unwrap();
        if !to.ends_with("dump.txt") && !to.ends_with("input.om") && !to.ends_with("README.md") {
            paths.push(to);
        }
    }
    let whole: BTreeSet<String> =
        std::fs::read_to_string(fixture().join("dump.txt")).unwrap().lines().map(str::to_owned).collect();
    let mut skipped = 0;
    for (number, path) in paths.iter().enumerate() {
        for at in (number % 7..3_000).step_by(61) {
            let files = files.power_loss(PowerLoss::Nothing);
            files.tamper(path, |bytes| bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 0x5a)).unwrap();
            let db = Db::open_with(Arc::new(files), "data", Options::default()).unwrap();
            let imported = import_prometheus(&db, "prometheus".as_ref(), 0, &mut |_| {}).unwrap();
            skipped += imported.skipped.len();
            let got = dump(&db);
            assert!(got.is_subset(&whole), "{} {at}: {:?}", path.display(), got.difference(&whole).next());
            assert!(got.len() == whole.len() || !imported.skipped.is_empty(), "{} {at}", path.display());
        }
    }
    assert!(skipped > 20, "{skipped}");
}

fn walk(dir: &std::path::Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(walk(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

#[test]
fn backfill_of_any_age() {
    let files = MemFiles::new();
    let retention = foursight_tsdb::Retention { max_age_ms: None, ..Default::default() };
    let options = || Options { retention, ..Options::default() };
    let db = Db::open_with(Arc::new(files.clone()), "data", options()).unwrap();
    append(&db, &[(numbered(0), 1_000 * HOUR, 1.0)]);
    let mut model = read_all(&db);
    let mut backfill = db.backfill(0).unwrap();
    // In no order, over months, one of them twice and one that is there already.
    for i in (0..400i64).rev() {
        for series in [1, 0] {
            backfill.append(&numbered(series), i * 5 * HOUR, i as f64).unwrap();
            let value = if (series, i) == (0, 200) { 1.0 } else { i as f64 };
            model.entry(numbered(series)).or_default().insert(i * 5 * HOUR, value.to_bits());
        }
    }
    backfill.append(&numbered(0), 5 * HOUR, 77.0).unwrap();
    assert_eq!(backfill.append(&labels(&[]), 0, 1.0).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(backfill.append(&numbered(0), i64::MAX, 1.0).unwrap_err().kind(), ErrorKind::Limit);
    assert_eq!(read_all(&db).len(), 1);
    let blocks = backfill.finish().unwrap();
    assert!(blocks.len() > 1);
    assert_eq!(read_all(&db), model);
    let db = Db::open_with(Arc::new(files.power_loss(PowerLoss::Unsynced)), "data", options()).unwrap();
    assert_eq!(read_all(&db), model);
    db.delete(&[vec![Matcher::equal("i", "0001")]], i64::MIN, 900 * HOUR).unwrap();
    let want = part(&model, 900 * HOUR + 1, i64::MAX);
    assert_eq!(common::read(&db, &[Matcher::equal("i", "0001")], i64::MIN, i64::MAX)[&numbered(1)], want[&numbered(1)]);
}

#[test]
fn openmetrics_goes_out() {
    let db = Db::open_with(Arc::new(MemFiles::new()), "data", Options::default()).unwrap();
    let series = |name: &str| labels(&[("__name__", name), ("a", "b")]);
    append(&db, &[(series("up"), 1_500, 1.0), (series("up"), 2_000, 0.5), (series("Z"), 3_000, f64::INFINITY)]);
    let mut out = Vec::new();
    let exported = export_openmetrics(&db, &[], 0, i64::MAX, &mut out).unwrap();
    assert_eq!((exported.series, exported.samples), (2, 3));
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text, "Z{a=\"b\"} +Inf 3\nup{a=\"b\"} 1 1.500\nup{a=\"b\"} 0.5 2\n# EOF\n");
}
