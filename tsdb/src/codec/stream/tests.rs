use super::*;
use proptest::prelude::*;

/// Writes samples as the head does; returns the stream and where it stands.
fn encode(samples: &[(i64, f64)]) -> Stream {
    let mut stream = Stream::default();
    let mut state = ValueState::default();
    let mut last = 0;
    for (i, &(time, value)) in samples.iter().enumerate() {
        if i == 0 {
            state.advance_anew(value);
            stream.begin(time, &state);
        } else {
            let step = state.advance(value);
            stream.push(last, time, step);
        }
        last = time;
    }
    stream
}

fn columns(stream: &Stream) -> (Vec<i64>, Vec<u64>) {
    let (mut timestamps, mut values) = (Vec::new(), Vec::new());
    stream.decode(&mut timestamps, &mut values).unwrap();
    (timestamps, values.iter().map(|v| v.to_bits()).collect())
}

fn check(samples: &[(i64, f64)]) -> usize {
    let mut stream = encode(samples);
    let want: (Vec<i64>, Vec<u64>) = samples.iter().map(|(t, v)| (*t, v.to_bits())).unzip();
    assert_eq!(columns(&stream), want);
    let (bytes, tail) = stream.parts();
    assert_eq!(columns(&Stream::restore(bytes, tail)), want);
    let count = stream.count();
    let bytes = stream.finish();
    let (mut timestamps, mut values) = (Vec::new(), Vec::new());
    decode(&bytes, count, 0, &mut timestamps, &mut values).unwrap();
    assert_eq!((timestamps, values.iter().map(|v| v.to_bits()).collect()), want);
    bytes.len()
}

fn every_15_s(values: impl IntoIterator<Item = f64>) -> Vec<(i64, f64)> {
    values.into_iter().enumerate().map(|(i, v)| (1_700_000_000_000 + i as i64 * 15_000, v)).collect()
}

#[test]
fn the_page_shows_what_is_written() {
    let page = include_str!("../../../docs/format/stream.md");
    let hex = page.split("```hex").nth(1).unwrap().split("```").next().unwrap();
    let want: Vec<u8> = hex.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
    let samples = [(1000, 5.0), (2000, 5.0), (3000, 5.0), (4000, 7.0), (5000, 7.5), (6004, model::STALE_NAN)];
    let got = encode(&samples).finish();
    assert_eq!(
        got.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(" "),
        want.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(" ")
    );
    check(&samples);
}

#[test]
fn common_shapes_stay_small() {
    // Header: 6 bytes of time, exponent, mantissa; the first distance takes 3 and its value 1.
    assert!(check(&every_15_s([1.0; 480])) <= 16);
    assert!(check(&every_15_s((0..480).map(|i| f64::from(i) * 31.0))) <= 16 + 480);
    assert!(check(&every_15_s((0..480).map(|i| f64::from(i / 100)))) <= 16 + 3 * 10);
    assert!(check(&every_15_s((0..480).map(|i| f64::from(i * 7) / 100.0))) <= 16 + 480 + 8);
    let jitter: Vec<_> = (0..480i64).map(|i| (i * 15_000 + i * 7919 % 7 - 3, 1.0)).collect();
    assert!(check(&jitter) <= 480 * 3);
    let noise: Vec<_> = every_15_s((0..480).map(|i| f64::from(i).sin()));
    assert!(check(&noise) <= 480 * 10);
}

#[test]
fn values_that_are_no_numbers_come_back() {
    let odd = [
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        -0.0,
        0.0,
        model::STALE_NAN,
        f64::from_bits(0x7ff0_0000_0000_0001),
    ];
    for first in odd {
        for second in odd {
            check(&every_15_s([first, first, second, 5.0, 5.0, second, second, 5.0, first, 6.0, second]));
        }
    }
    // Many in a row cost a run.
    assert!(check(&every_15_s([f64::NAN; 400])) <= 32);
}

#[test]
fn extremes_come_back() {
    check(&[(i64::MIN, 1.0), (i64::MAX, 2.0)]);
    check(&[(i64::MIN, 1.0), (0, 1e300), (i64::MAX, -1e300)]);
    check(&[(0, f64::MAX), (1, f64::MIN), (2, f64::MIN_POSITIVE), (3, 5e-324), (4, 9.2e18), (5, -9.2e18), (6, 1.0)]);
    check(&[(0, 4e18), (1, -4e18), (2, 4e18)]);
}

#[test]
fn damage_is_refused_or_harmless() {
    let samples = every_15_s((0..100).map(|i| if i % 9 == 0 { 0.1 } else { f64::from(i / 3) }));
    let mut stream = encode(&samples);
    let count = stream.count();
    let bytes = stream.finish();
    let (mut t, mut v) = (Vec::new(), Vec::new());
    for len in 0..bytes.len() {
        assert!(decode(&bytes[..len], count, 0, &mut t, &mut v).is_err(), "cut to {len}");
    }
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.to_vec();
            flipped[at] ^= 1 << bit;
            t.clear();
            v.clear();
            if decode(&flipped, count, 0, &mut t, &mut v).is_ok() {
                assert_eq!((t.len(), v.len()), (100, 100));
            }
        }
    }
    assert!(decode(&bytes, MAX_SAMPLES + 1, 0, &mut t, &mut v).is_err());
    assert!(decode(&bytes, 0, 0, &mut t, &mut v).is_err());
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => (-1000i64..1000).prop_map(|v| v as f64),
        3 => ((-100_000i64..100_000), 0u8..6).prop_map(|(v, e)| v as f64 / 10f64.powi(i32::from(e))),
        1 => any::<u64>().prop_map(f64::from_bits),
        1 => Just(model::STALE_NAN),
        1 => Just(0.0),
    ]
}

proptest! {
    #[test]
    fn any_samples_come_back(
        start in prop_oneof![Just(0i64), any::<i64>()],
        gaps in prop::collection::vec((prop_oneof![6 => Just(15_000u64), 2 => 1u64..20_000, 1 => any::<u64>()], value(), 1usize..4), 1..60),
    ) {
        let mut samples = Vec::new();
        let mut time = start;
        for (gap, value, repeat) in gaps {
            for _ in 0..repeat {
                samples.push((time, value));
                // Distances beyond i64 wrap and would go back.
                let Some(next) = time.checked_add_unsigned(gap.max(1)) else { break };
                time = next;
            }
            if samples.last().is_some_and(|(last, _)| *last == time) { break; }
        }
        samples.dedup_by_key(|(time, _)| *time);
        check(&samples);
    }
}
