use tsdb::{Options, SeriesSource};

use super::*;

const PAGE: &str = "# TYPE a counter\na_total{x=\"1\"} 5 1600000000\na_total{x=\"1\"} 6 1600000060\na_total{x=\"2\"} 7.5e10 1600007300.5\n# EOF\n";

#[test]
fn a_page_becomes_blocks_that_are_listed_dumped_and_analyzed() {
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("in.om");
    std::fs::write(&input, PAGE).unwrap();
    let store = dir.path().join("store").display().to_string();
    let words = ["--quiet", input.to_str().unwrap(), &store];
    assert!(openmetrics(&words).is_ok());
    let db = open(&store).unwrap();
    let text = |write: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    };
    let args = Args::read(&[], &Known { switches: &[], values: &[] }).unwrap();
    let Ok(wanted) = Wanted::of(&args) else { panic!("no flags are fine") };
    assert_eq!(
        text(&|out| dump(&db, &wanted, out).unwrap()),
        "{__name__=\"a_total\", x=\"1\"} 5 1600000000000\n{__name__=\"a_total\", x=\"1\"} 6 1600000060000\n{__name__=\"a_total\", x=\"2\"} 7.5e+10 1600007300500\n"
    );
    assert_eq!(text(&|out| dump_openmetrics(&db, &wanted, out).unwrap()).lines().count(), 4);
    let listed = text(&|out| list(&db, &db.blocks(), true, out).unwrap());
    assert!(
        listed.starts_with("BLOCK ULID  ")
            && listed.contains(" +0000 UTC  ")
            && listed.lines().next().is_some_and(|titles| titles.ends_with("SIZE")),
        "{listed}"
    );
    let analyzed = text(&|out| analyze::analyze(&db, None, 20, out).unwrap());
    assert!(
        analyzed.contains("Label names: 2\n") && analyzed.contains("\nHighest cardinality labels:\n"),
        "{analyzed}"
    );
    assert!(analyze::analyze(&db, Some("01ABC"), 20, &mut Vec::new()).is_err());
    db.close().unwrap();
}

#[test]
fn a_page_that_is_wrong_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("in.om");
    let store = dir.path().join("store");
    for (page, want) in
        [("a 1 1\n", "data does not end with # EOF"), ("a 1\n# EOF\n", "expected timestamp for series a got none")]
    {
        std::fs::write(&input, page).unwrap();
        match openmetrics(&[input.to_str().unwrap(), store.to_str().unwrap()]) {
            Err(Failure::Failed(Some(message))) => assert!(message.contains(want), "{message}"),
            _ => panic!("{page:?} should fail"),
        }
        assert!(!store.exists());
    }
}

#[test]
fn a_store_of_prometheus_is_imported() {
    let dir = tempfile::tempdir().unwrap();
    let from = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tsdb/tests/fixtures/prometheus-2.42");
    let store = dir.path().join("store").display().to_string();
    let done = import(&[from, &store]);
    assert!(done.is_ok());
    let db = Db::open(&store, Options::default()).unwrap();
    assert!(!db.blocks().is_empty());
    let every = Matcher::new(model::MatchOp::Regex, "__name__", ".+").unwrap();
    let hints = SelectHints { start_ms: 0, end_ms: i64::MAX / 4, ..SelectHints::default() };
    assert!(!db.select(&[every], &hints).unwrap().is_empty());
    db.close().unwrap();
}

#[test]
fn sizes_and_times_for_people() {
    for (bytes, want) in [(0, "0B"), (693, "693B"), (1041, "1KiB17B"), (1 << 20, "1MiB"), ((1 << 30) + 1, "1GiB1B")] {
        assert_eq!(readable_size(bytes), want);
    }
    assert_eq!(readable_time(1_600_007_300_500), "2020-09-13 14:28:20 +0000 UTC");
}
