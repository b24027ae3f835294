//! Random lives of a store, compared with a map after every step: batches in and out of order, floats and histograms, cuts, merges,
//! deletions, restarts after a power cut and after closing.
//!
//! What has to be accepted and refused is computed from the documented rules, as far as they say it; of a time that has two values
//! the one that was acknowledged first counts.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use disk::PowerLoss;
use foursight_tsdb::{
    Db, Histogram, LabelQuery, Labels, Matcher, MemFiles, NativeHistogram, Options, Reason, ResetHint, SampleColumns,
    SelectHints, SeriesSource, Span,
};
use proptest::prelude::*;

const MINUTE: i64 = 60_000;
const WINDOW: i64 = 4 * 60 * MINUTE;
const SERIES: usize = 6;

/// A value: bits of a float, or the count of a histogram.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Cell {
    Float(u64),
    Histogram(u64),
}

type Model = BTreeMap<usize, BTreeMap<i64, Cell>>;

#[derive(Clone, Debug)]
enum Step {
    /// (series, minutes from now, value).
    Write(Vec<(usize, i64, u64)>),
    Advance(i64),
    Maintain,
    Compact,
    /// Loss of power, or `None`: closed.
    Restart(Option<PowerLoss>),
    /// Series by parity or one alone, minutes from now.
    Delete(Option<usize>, i64, i64),
    Clean,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let offset = prop_oneof![6 => Just(0i64), 2 => -300..4i64, 1 => -70..1i64];
    let sample = (0..SERIES, offset, 0..4u64);
    let loss = prop_oneof![
        Just(None),
        Just(Some(PowerLoss::Unsynced)),
        Just(Some(PowerLoss::Nothing)),
        any::<u64>().prop_map(|seed| Some(PowerLoss::Torn(seed)))
    ];
    let step = prop_oneof![
        8 => prop::collection::vec(sample, 1..8).prop_map(Step::Write),
        4 => (1..150i64).prop_map(Step::Advance),
        3 => Just(Step::Maintain),
        1 => Just(Step::Compact),
        1 => loss.prop_map(Step::Restart),
        1 => (prop::option::of(0..SERIES), -700..10i64, 0..400i64).prop_map(|(s, from, len)| Step::Delete(s, from, from + len)),
        1 => Just(Step::Clean),
    ];
    prop::collection::vec(step, 1..80)
}

fn labels(series: usize) -> Labels {
    Labels::from_pairs([("__name__", "m".to_owned()), ("i", series.to_string()), ("parity", (series % 2).to_string())])
}

fn is_histogram(series: usize) -> bool {
    series >= SERIES - 2
}

fn histogram(count: u64) -> NativeHistogram {
    NativeHistogram::Integer(Histogram {
        schema: 1,
        zero_threshold: 0.001,
        zero_count: 1,
        count: count + 1,
        sum: count as f64,
        positive_spans: vec![Span { offset: count as i32, length: 1 }],
        positive_deltas: vec![count as i64],
        negative_spans: Vec::new(),
        negative_deltas: Vec::new(),
        custom_values: Arc::from([]),
        reset_hint: ResetHint::Unknown,
    })
}

/// Values of all kinds: constants, a counter, what is not finite.
fn float(series: usize, value: u64, time: i64) -> f64 {
    match (series, value) {
        (0, _) => 1.0,
        (_, 0) => (time / MINUTE) as f64,
        (_, 1) => 0.1 * (time / MINUTE) as f64,
        (_, 2) => f64::from_bits(0x7ff0_0000_0000_0002),
        _ => -0.0,
    }
}

struct Life {
    files: MemFiles,
    db: Option<Db>,
    model: Model,
    now: i64,
    newest: i64,
    /// Time of day: only names of blocks depend on it.
    clock: i64,
}

fn open(files: &MemFiles) -> Db {
    let options =
        Options { out_of_order_window_ms: WINDOW, head_budget_bytes: 1, wal_segment_bytes: 500, ..Options::default() };
    Db::open_with(Arc::new(files.clone()), "data", options).unwrap()
}

impl Life {
    fn new() -> Self {
        let files = MemFiles::new();
        let db = Some(open(&files));
        Self { files, db, model: Model::new(), now: 1_000 * MINUTE, newest: i64::MIN, clock: 0 }
    }

    fn db(&self) -> &Db {
        self.db.as_ref().unwrap()
    }

    fn step(&mut self, step: &Step) {
        self.clock += 1;
        match step {
            Step::Write(samples) => self.write(samples),
            Step::Advance(minutes) => self.now += minutes * MINUTE,
            Step::Maintain => {
                let report = self.db().maintain(self.clock).unwrap();
                assert!(report.errors.is_empty(), "{:?}", report.errors);
            }
            Step::Compact => while self.db().compact(self.clock).unwrap().is_some() {},
            Step::Restart(loss) => {
                let db = self.db.take().unwrap();
                match loss {
                    Some(loss) => self.files = self.files.power_loss(*loss),
                    None => db.close().unwrap(),
                }
                drop(db);
                self.db = Some(open(&self.files));
                assert_eq!(self.db().damage(), []);
            }
            Step::Delete(series, from, to) => {
                let (from, to) = (self.now + from * MINUTE, self.now + to * MINUTE);
                let matcher = match series {
                    Some(series) => Matcher::equal("i", &series.to_string()),
                    None => Matcher::equal("parity", "1"),
                };
                self.db().delete(&[vec![matcher]], from, to).unwrap();
                for (number, samples) in &mut self.model {
                    if series.map_or(number % 2 == 1, |series| series == *number) {
                        samples.retain(|time, _| !(from..=to).contains(time));
                    }
                }
            }
            Step::Clean => drop(self.db().clean_tombstones(self.clock).unwrap()),
        }
    }

    fn write(&mut self, samples: &[(usize, i64, u64)]) {
        // Floats of a batch are taken before its histograms.
        let mut sorted: Vec<(usize, i64, u64)> =
            samples.iter().map(|&(s, offset, value)| (s, self.now + offset * MINUTE + s as i64, value)).collect();
        // One value for a time in each batch: a refusal names series and time.
        let mut seen = std::collections::HashSet::new();
        sorted.retain(|(series, time, _)| seen.insert((*series, *time)));
        sorted.sort_by_key(|(series, ..)| is_histogram(*series));
        let db = self.db.take().unwrap();
        let mut batch = db.appender().unwrap();
        for &(series, time, value) in &sorted {
            let id = batch.resolve(&labels(series)).unwrap();
            if is_histogram(series) {
                batch.append_histogram(id, 0, time, histogram(value)).unwrap();
            } else {
                batch.append(id, time, float(series, value, time)).unwrap();
            }
        }
        let report = batch.commit().unwrap();
        let mut refused = report.refused;
        assert_eq!(report.accepted as usize + refused.len(), sorted.len());
        let newest_before = self.newest;
        for &(series, time, value) in &sorted {
            let cell = if is_histogram(series) {
                Cell::Histogram(value + 1)
            } else {
                Cell::Float(float(series, value, time).to_bits())
            };
            let at = refused.iter().position(|r| r.labels == labels(series) && r.timestamp_ms == time);
            let refusal = at.map(|at| refused.remove(at).reason);
            let there = self.model.entry(series).or_default().get(&time).copied();
            let in_window = time >= newest_before.saturating_sub(WINDOW);
            match (there, refusal) {
                (None, None) => {
                    self.model.entry(series).or_default().insert(time, cell);
                    self.newest = self.newest.max(time);
                    assert!(in_window || time > newest_before.saturating_sub(60 * MINUTE), "{time} is too old");
                }
                // The same again, or another value for a time that is in a block, which counts.
                (Some(_), None) => {}
                (None, Some(reason)) => assert!(!in_window && reason == Reason::TooOld, "{series} {time} {reason}"),
                (Some(there), Some(reason)) => {
                    let right = if in_window { Reason::DuplicateTimestamp } else { Reason::TooOld };
                    assert_eq!(reason, right);
                    assert!(!in_window || there != cell, "a repetition was refused: {series} {time}");
                }
            }
        }
        assert!(refused.is_empty(), "{refused:?}");
        self.db = Some(db);
    }

    fn check(&self) {
        assert_eq!(self.read(i64::MIN, i64::MAX), self.part(i64::MIN, i64::MAX));
    }

    fn part(&self, from: i64, to: i64) -> Model {
        let cut = |samples: &BTreeMap<i64, Cell>| samples.range(from..=to).map(|(t, c)| (*t, *c)).collect();
        let parts = self.model.iter().map(|(series, samples)| (*series, cut(samples)));
        parts.filter(|(_, samples): &(usize, BTreeMap<i64, Cell>)| !samples.is_empty()).collect()
    }

    fn read(&self, start_ms: i64, end_ms: i64) -> Model {
        let hints = SelectHints { start_ms, end_ms, ..Default::default() };
        let found = self.db().select(&[], &hints).unwrap();
        let mut model = Model::new();
        let mut columns = SampleColumns::new();
        for i in 0..found.len() {
            found.read(i, &mut columns).unwrap();
            let series = found.labels(i).value("i").parse().unwrap();
            assert!(columns.timestamps.is_sorted_by(|a, b| a < b));
            assert!(columns.histogram_timestamps.is_sorted_by(|a, b| a < b));
            let floats = columns.values.iter().map(|value| Cell::Float(value.to_bits()));
            let histograms = columns.histograms.iter().map(|histogram| Cell::Histogram(histogram.count as u64));
            let mut samples: BTreeMap<i64, Cell> = columns.timestamps.iter().copied().zip(floats).collect();
            samples.extend(columns.histogram_timestamps.iter().copied().zip(histograms));
            if !samples.is_empty() {
                assert!(model.insert(series, samples).is_none());
            }
        }
        assert_eq!(found.warnings(), [""; 0]);
        model
    }

    /// What is asked beside everything.
    fn check_questions(&self) {
        let now = self.now;
        for (from, to) in [(now - 90 * MINUTE, now - 10 * MINUTE), (now - 500 * MINUTE, now - 250 * MINUTE), (now, now)]
        {
            assert_eq!(self.read(from, to), self.part(from, to));
        }
        let hints = SelectHints { start_ms: i64::MIN, end_ms: i64::MAX, ..Default::default() };
        let found = self.db().select(&[Matcher::equal("parity", "1")], &hints).unwrap();
        let mut columns = SampleColumns::new();
        for i in 0..found.len() {
            let series: usize = found.labels(i).value("i").parse().unwrap();
            for at in [now, now - 30 * MINUTE, now - 300 * MINUTE] {
                found.read_last(i, at, 200 * MINUTE, &mut columns).unwrap();
                let samples = self.model.get(&series);
                let want = samples.and_then(|s| s.range(at - 200 * MINUTE + 1..=at).next_back()).map(|(t, _)| *t);
                let got = columns.timestamps.first().or(columns.histogram_timestamps.first()).copied();
                assert_eq!(got, want, "the last of {series} at {at}");
                assert!(columns.timestamps.len() + columns.histogram_timestamps.len() <= 1);
            }
        }
        let all = LabelQuery { start_ms: i64::MIN, end_ms: i64::MAX, ..Default::default() };
        let values = self.db().label_values("i", &all).unwrap();
        for (series, _) in self.part(i64::MIN, i64::MAX) {
            assert!(values.contains(&series.to_string()), "series {series} is known");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_store_is_a_map(steps in steps()) {
        let mut life = Life::new();
        for step in &steps {
            life.step(step);
            life.check();
        }
        life.check_questions();
        // And once more from the disk.
        life.step(&Step::Restart(Some(PowerLoss::Unsynced)));
        life.check();
        life.check_questions();
    }
}
