//! A store whose blocks were damaged behind the back of their checksums (which a fuzzing build doesn't hold against them): whatever the pages and
//! the index say, reading ends with samples or with an error.
#![no_main]

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use disk::{MemFiles, PowerLoss};
use foursight_fuzz::{Change, damaged, files_below};
use libfuzzer_sys::fuzz_target;
use model::{Histogram, MatchOp, ResetHint, Span};
use tsdb::{Db, LabelQuery, Labels, Matcher, NativeHistogram, Options, SampleColumns, SelectHints, SeriesSource};

const START: i64 = 1_700_000_000_000;

fn written() -> &'static (MemFiles, Vec<PathBuf>) {
    static FILES: OnceLock<(MemFiles, Vec<PathBuf>)> = OnceLock::new();
    FILES.get_or_init(|| {
        let files = MemFiles::new();
        let db = Db::open_with(Arc::new(files.clone()), "data", Options::default()).expect("a new store");
        for round in 0..400 {
            let time = START + round * 15_000;
            let mut batch = db.appender().expect("open");
            for series in 0..6i64 {
                let labels = Labels::from_pairs([("__name__", "m"), ("series", &series.to_string())]);
                let value = match series {
                    0 => 1.0,
                    1 => (round * 17) as f64,
                    2 => round as f64 / 8.0,
                    3 => (round as f64).sin(),
                    4 => f64::from_bits((round as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)),
                    _ => (round % 7) as f64 * 1e12,
                };
                let series = batch.resolve(&labels).expect("labels");
                batch.append(series, time, value).expect("room");
            }
            let labels = Labels::from_pairs([("__name__", "h"), ("series", "0")]);
            let series = batch.resolve(&labels).expect("labels");
            let histogram = Histogram {
                schema: 3,
                zero_threshold: 0.001,
                zero_count: round as u64,
                count: 3 * round as u64,
                sum: round as f64 / 3.0,
                positive_spans: vec![Span { offset: round as i32 % 3, length: 2 }],
                positive_deltas: vec![round, 0],
                negative_spans: Vec::new(),
                negative_deltas: Vec::new(),
                custom_values: [].into(),
                reset_hint: ResetHint::Unknown,
            };
            batch.append_histogram(series, 0, time, NativeHistogram::Integer(histogram)).expect("a good histogram");
            batch.commit().expect("memory");
        }
        // Far enough ahead that what is before is cut.
        let mut batch = db.appender().expect("open");
        let series = batch.resolve(&Labels::from_pairs([("__name__", "later")])).expect("labels");
        batch.append(series, START + 24 * 3_600_000, 1.0).expect("room");
        batch.commit().expect("memory");
        db.maintain(START + 100 * 3_600_000).expect("memory");
        db.close().expect("memory");
        let image = files.power_loss(PowerLoss::Nothing);
        let paths = files_below(&image, "blocks");
        (image, paths)
    })
}

fuzz_target!(|changes: Vec<Change>| {
    let (image, paths) = written();
    let files = damaged(image, paths, changes);
    let Ok(db) = Db::open_with(Arc::new(files), "data", Options::default()) else { return };
    let hints = SelectHints { start_ms: 0, end_ms: i64::MAX / 4, ..SelectHints::default() };
    let mut columns = SampleColumns::new();
    for matcher in [
        Matcher::equal("__name__", "m"),
        Matcher::equal("__name__", "h"),
        Matcher::new(MatchOp::Regex, "series", "[0-3]|x.*").expect("a regex"),
        Matcher::new(MatchOp::NotEqual, "series", "1").expect("no regex"),
    ] {
        let Ok(found) = db.select(&[matcher], &hints) else { continue };
        for index in 0..found.len() {
            let _ = found.labels(index).to_string();
            if found.read(index, &mut columns).is_ok() {
                assert_eq!(columns.timestamps.len(), columns.values.len());
            }
        }
    }
    let query = LabelQuery { start_ms: 0, end_ms: i64::MAX / 4, ..LabelQuery::default() };
    let _ = db.label_names(&query);
    let _ = db.label_values("series", &query);
});
