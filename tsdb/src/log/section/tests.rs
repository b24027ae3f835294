use super::*;
use proptest::prelude::*;

/// A series as the head keeps it: labels, last value, whether the log knows it.
struct Writing {
    labels: Labels,
    check: u32,
    state: ValueState,
    habit: Habit,
    live: bool,
}

fn series(count: u32) -> Vec<Writing> {
    (0..count)
        .map(|i| {
            let labels = Labels::from_pairs([("__name__", "m".to_owned()), ("i", i.to_string())]);
            let check = check_of(&labels);
            Writing { labels, check, state: ValueState::default(), habit: Habit::default(), live: false }
        })
        .collect()
}

type Sample = (u32, i64, f64);

fn write(writer: &mut SectionWriter, series: &mut [Writing], samples: &[Sample], sequence: u64) -> Vec<u8> {
    for &(number, time, value) in samples {
        let s = &mut series[number as usize];
        let step = s.state.advance(value);
        let placed = Placed { number, check: s.check, timestamp_ms: time, bits: s.state.bits };
        if s.live {
            writer.sample(placed, &mut s.habit, step);
        } else {
            writer.define(number, &s.labels);
            writer.sample_in_full(placed, &mut s.habit, &s.state);
            s.live = true;
        }
    }
    let mut out = Vec::new();
    writer.finish(SectionHead { sequence, base: 3 }, &mut out);
    out
}

struct Reading {
    followers: Followers<u32>,
    known: Vec<Labels>,
}

impl Reading {
    fn new() -> Self {
        Self { followers: Followers::default(), known: Vec::new() }
    }

    fn read(&mut self, bytes: &[u8]) -> Decoded<Vec<(Labels, i64, u64)>> {
        let known = &mut self.known;
        let mut resolve = |labels: Labels| {
            let at = known.iter().position(|l| *l == labels).unwrap_or_else(|| {
                known.push(labels);
                known.len() - 1
            });
            Some(at as u32)
        };
        let mut out = Vec::new();
        let result = Section::open(bytes).and_then(|s| s.read(&mut self.followers, &mut resolve, &mut out));
        assert!(result.is_ok() || out.is_empty());
        result?;
        Ok(sorted(out.iter().map(|s| (self.known[s.series as usize].clone(), s.timestamp_ms, s.value.to_bits()))))
    }
}

/// Samples of a series keep their order, series have none.
fn sorted(samples: impl Iterator<Item = (Labels, i64, u64)>) -> Vec<(Labels, i64, u64)> {
    let mut samples: Vec<_> = samples.collect();
    samples.sort_by(|a, b| a.0.cmp(&b.0));
    samples
}

fn meaning(series: &[Writing], samples: &[Sample]) -> Vec<(Labels, i64, u64)> {
    sorted(samples.iter().map(|&(n, t, v)| (series[n as usize].labels.clone(), t, v.to_bits())))
}

#[test]
fn steady_batches_take_little() {
    let mut series = series(1_000);
    let mut writer = SectionWriter::default();
    let mut reading = Reading::new();
    let mut lens = Vec::new();
    for round in 0..8i64 {
        // A third of the series count up, the others stay.
        let samples: Vec<Sample> = (0..1_000)
            .map(|n| (n, 1_700_000_000_000 + round * 15_000, if n % 3 == 0 { (round * 20) as f64 } else { 1.0 }))
            .collect();
        let bytes = write(&mut writer, &mut series, &samples, round as u64);
        assert_eq!(reading.read(&bytes).unwrap(), meaning(&series, &samples));
        lens.push(bytes.len());
    }
    assert!(lens[0] < 1_000 * 16, "{lens:?}");
    assert!(lens[7] < 334 + 40, "{lens:?}");
}

#[test]
fn several_samples_of_a_series_and_late_ones() {
    let mut series = series(3);
    let mut writer = SectionWriter::default();
    let samples =
        [(0, 10, 1.0), (0, 20, 2.0), (0, 30, 2.0), (2, 10, f64::NAN), (1, 5, -0.0), (1, 6, 7.25), (0, 40, 3.0)];
    let mut reading = Reading::new();
    let bytes = write(&mut writer, &mut series, &samples, 0);
    assert_eq!(reading.read(&bytes).unwrap(), meaning(&series, &samples));
    for (number, timestamp_ms, value) in [(1u32, -50, 0.5f64), (0, 7, model::STALE_NAN)] {
        let check = series[number as usize].check;
        writer.late_sample(Placed { number, check, timestamp_ms, bits: value.to_bits() });
    }
    let mut bytes = Vec::new();
    writer.finish(SectionHead::default(), &mut bytes);
    assert_eq!(reading.read(&bytes).unwrap(), meaning(&series, &[(1, -50, 0.5), (0, 7, model::STALE_NAN)]));
}

#[test]
fn a_missing_section_is_noticed_and_costs_only_its_series() {
    let mut series = series(20);
    let mut writer = SectionWriter::default();
    let mut reading = Reading::new();
    let batch =
        |from: u32, round: i64| (from..from + 10).map(|n| (n, round * 1_000, (round * 3) as f64)).collect::<Vec<_>>();
    for from in [0, 10] {
        let bytes = write(&mut writer, &mut series, &batch(from, 0), 0);
        reading.read(&bytes).unwrap();
    }
    // Lost: a batch of the first ten series.
    write(&mut writer, &mut series, &batch(0, 1), 1);
    for round in 2..4 {
        let first = write(&mut writer, &mut series, &batch(0, round), 2);
        assert!(reading.read(&first).is_err());
        let second = write(&mut writer, &mut series, &batch(10, round), 3);
        assert_eq!(reading.read(&second).unwrap(), meaning(&series, &batch(10, round)));
    }
    // Values in full end the loss.
    series[..10].iter_mut().for_each(|s| s.live = false);
    let bytes = write(&mut writer, &mut series, &batch(0, 5), 4);
    assert_eq!(reading.read(&bytes).unwrap(), meaning(&series, &batch(0, 5)));
}

#[test]
fn damage_is_refused() {
    let mut series = series(5);
    let mut writer = SectionWriter::default();
    let samples: Vec<Sample> = (0..5).flat_map(|n| [(n, 100, f64::from(n)), (n, 200, 0.5)]).collect();
    let first = write(&mut writer, &mut series, &samples, 0);
    for len in 0..first.len() {
        assert!(Reading::new().read(&first[..len]).is_err());
    }
    for at in 2..first.len() {
        for bit in 0..8 {
            let mut flipped = first.clone();
            flipped[at] ^= 1 << bit;
            if let Ok(read) = Reading::new().read(&flipped) {
                // A flip may change what a series is called only together with its checksum, hence not at all.
                assert_eq!(read, meaning(&series, &samples), "byte {at} bit {bit}");
            }
        }
    }
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![4 => (-50i32..50).prop_map(f64::from), 1 => any::<u64>().prop_map(f64::from_bits), 1 => Just(0.25)]
}

proptest! {
    #[test]
    fn any_batches_come_back(batches in prop::collection::vec(prop::collection::vec((0u32..12, -5i64..5, value()), 1..40), 1..6)) {
        let mut series = series(12);
        let mut writer = SectionWriter::default();
        let mut reading = Reading::new();
        for (sequence, samples) in batches.iter().enumerate() {
            let bytes = write(&mut writer, &mut series, samples, sequence as u64);
            prop_assert_eq!(reading.read(&bytes).unwrap(), meaning(&series, samples));
        }
    }

    #[test]
    fn noise_is_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Reading::new().read(&bytes);
    }
}
