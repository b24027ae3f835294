//! Operations on histograms against what they must mean for the observations in them.

use super::buckets::exponential_bound;
use super::*;
use proptest::prelude::*;

fn spans(list: &[(i32, u32)]) -> Vec<Span> {
    list.iter().map(|(offset, length)| Span { offset: *offset, length: *length }).collect()
}

fn positive(schema: i32, at: &[(i32, u32)], buckets: &[f64]) -> FloatHistogram {
    FloatHistogram {
        schema,
        count: buckets.iter().sum(),
        positive_spans: spans(at),
        positive_buckets: buckets.to_vec(),
        ..FloatHistogram::default()
    }
}

fn custom(bounds: &[f64], buckets: &[f64]) -> FloatHistogram {
    FloatHistogram { custom_values: bounds.into(), ..positive(CUSTOM_BUCKETS, &[(0, buckets.len() as u32)], buckets) }
}

/// Populated buckets as (index, count), positive then negative.
fn content(h: &FloatHistogram) -> Vec<(bool, i32, f64)> {
    let side = |p: bool, it: buckets::Indexed<'_>| {
        it.filter(|(_, c)| *c != 0.0).map(move |(i, c)| (p, i, c)).collect::<Vec<_>>()
    };
    [side(true, h.positive_indexed()), side(false, h.negative_indexed())].concat()
}

#[test]
fn bounds_of_exponential_buckets() {
    let cases = [
        (0, 0, 1.0),
        (1, 0, 2.0),
        (-1, 0, 0.5),
        (1, 1, std::f64::consts::SQRT_2),
        (2, -1, 16.0),
        (1024, 0, f64::MAX),
        (1025, 0, f64::INFINITY),
        (8192, 3, f64::MAX),
        (8193, 3, f64::INFINITY),
        (-1074, 0, 5e-324),
        (-1075, 0, 0.0),
        (i32::MAX, 8, f64::INFINITY),
        (i32::MIN, 0, 0.0),
    ];
    for (index, schema, want) in cases {
        let got = exponential_bound(index, schema);
        assert!(got == want || (got - want).abs() < 1e-15 * want, "{index} {schema}: {got}");
    }
}

#[test]
fn walks_both_ways_over_damaged_layouts() {
    type Case = (&'static [(i32, u32)], usize, &'static [i32]);
    let cases: &[Case] = &[
        (&[(-2, 2), (1, 1), (0, 2)], 5, &[-2, -1, 1, 2, 3]),
        (&[(1, 0), (2, 1), (1, 0), (1, 1)], 2, &[3, 6]),
        (&[(0, 3)], 1, &[0]),
        (&[(0, 1)], 3, &[0]),
        (&[(5, 0)], 2, &[]),
        (&[], 2, &[]),
    ];
    for (at, n, want) in cases {
        let (at, counts) = (spans(at), vec![1.0; *n]);
        let walk = buckets::Indexed::new(&at, &counts);
        assert_eq!(walk.clone().map(|b| b.0).collect::<Vec<_>>(), *want);
        let mut back: Vec<i32> = walk.rev().map(|b| b.0).collect();
        back.reverse();
        assert_eq!(back, *want);
    }
}

#[test]
fn adds_over_resolutions_zero_buckets_and_bounds() {
    let mut a = positive(1, &[(1, 4)], &[1.0, 2.0, 3.0, 4.0]);
    a.add(&positive(0, &[(1, 2)], &[10.0, 20.0])).unwrap();
    assert_eq!((a.schema, content(&a)), (0, vec![(true, 1, 13.0), (true, 2, 27.0)]));

    let mut a = positive(0, &[(0, 3)], &[1.0, 2.0, 3.0]);
    let b = FloatHistogram { zero_threshold: 1.5, zero_count: 5.0, count: 5.0, ..FloatHistogram::default() };
    a.add(&b).unwrap();
    // 1.5 cuts the populated bucket (1,2], which goes into the zero bucket whole.
    assert_eq!((a.zero_threshold, a.zero_count, content(&a)), (2.0, 8.0, vec![(true, 2, 3.0)]));

    let mut a = custom(&[1.0, 2.0, 3.0], &[1.0, 2.0, 3.0, 4.0]);
    let outcome = a.add(&custom(&[2.0, 3.0, 4.0], &[10.0, 20.0, 30.0, 40.0])).unwrap();
    assert!(outcome.bounds_reconciled);
    assert_eq!((&*a.custom_values, &*a.positive_buckets), (&[2.0, 3.0][..], &[13.0, 23.0, 74.0][..]));

    assert_eq!(a.add(&positive(0, &[], &[])), Err(IncompatibleHistograms));
}

#[test]
fn hints_of_sums() {
    use ResetHint::{Gauge, NotReset, Reset, Unknown};
    let cases = [
        (Unknown, NotReset, Unknown, false),
        (Reset, NotReset, Unknown, true),
        (Reset, Reset, Reset, false),
        (Reset, Gauge, Gauge, false),
        (Gauge, Unknown, Gauge, false),
    ];
    for (a, b, want, collision) in cases {
        let mut sum = FloatHistogram { reset_hint: a, ..FloatHistogram::default() };
        let outcome = sum.add(&FloatHistogram { reset_hint: b, ..FloatHistogram::default() }).unwrap();
        assert_eq!((sum.reset_hint, outcome.reset_collision), (want, collision));
    }
}

#[test]
fn resets() {
    let old = positive(1, &[(0, 3)], &[1.0, 2.0, 3.0]);
    let cases = [
        (positive(1, &[(0, 3)], &[1.0, 2.0, 4.0]), false),
        (positive(1, &[(0, 3)], &[2.0, 1.0, 4.0]), true),
        (positive(1, &[(1, 2)], &[2.0, 9.0]), true),
        (positive(0, &[(0, 2)], &[1.0, 5.0]), false),
        (positive(0, &[(0, 2)], &[2.0, 4.0]), true),
        (positive(2, &[(0, 3)], &[9.0, 9.0, 9.0]), true),
        (FloatHistogram { reset_hint: ResetHint::NotReset, ..FloatHistogram::default() }, false),
        (FloatHistogram { reset_hint: ResetHint::Reset, ..old.clone() }, true),
        (custom(&[1.0], &[9.0, 9.0]), false),
    ];
    for (new, want) in &cases[..8] {
        assert_eq!(new.is_reset_after(&old), *want, "{new}");
    }
    assert!(cases[8].0.is_reset_after(&old), "custom after exponential");
    assert!(!custom(&[1.0, 3.0], &[3.0, 5.0, 0.0]).is_reset_after(&custom(&[1.0, 2.0], &[3.0, 1.0, 4.0])));
    assert!(custom(&[1.0, 3.0], &[2.0, 9.0, 0.0]).is_reset_after(&custom(&[1.0, 2.0], &[3.0, 1.0, 4.0])));
}

#[test]
fn quantiles_and_fractions() {
    let h = positive(0, &[(1, 2)], &[4.0, 4.0]);
    assert_eq!(h.quantile(0.5), (2.0, None));
    assert!((h.quantile(0.25).0 - std::f64::consts::SQRT_2).abs() < 1e-12);
    assert_eq!(h.quantile(-1.0).0, f64::NEG_INFINITY);
    assert_eq!(h.fraction(f64::NEG_INFINITY, 2.0), (0.5, None));
    let h = custom(&[5.0, 10.0], &[2.0, 2.0, 0.0]);
    assert_eq!((h.quantile(0.5).0, h.quantile(0.75).0, h.quantile(1.0).0), (5.0, 7.5, 10.0));
    assert_eq!(h.fraction(0.0, 7.5).0, 0.75);
    let nan = FloatHistogram { count: 10.0, sum: f64::NAN, ..positive(0, &[(1, 1)], &[5.0]) };
    assert_eq!(nan.quantile(0.1).1, Some(NanObservations::Skew));
    assert_eq!(nan.quantile(0.9).1, Some(NanObservations::Result));
    assert_eq!(nan.fraction(0.0, 9.0), (0.5, Some(NanObservations::Excluded)));
}

#[test]
fn text_forms() {
    let h = FloatHistogram {
        zero_count: 1.0,
        zero_threshold: 0.001,
        sum: 2.5,
        negative_spans: spans(&[(0, 1)]),
        negative_buckets: vec![3.0],
        ..positive(0, &[(1, 1), (1, 1)], &[1.0, 2.0])
    };
    assert_eq!(h.to_string(), "{count:3, sum:2.5, [-1,-0.5):3, [-0.001,0.001]:1, (1,2]:1, (4,8]:2}");
    let want = "{{count:3 sum:2.5 z_bucket:1 z_bucket_w:0.001 offset:1 buckets:[1 0 2] n_buckets:[3]}}";
    assert_eq!(TestNotation(&h).to_string(), want);
}

#[test]
fn refuses_what_does_not_fit() {
    assert_eq!(positive(0, &[(0, 1)], &[1.0]).validate(), Ok(()));
    let wrong = [
        positive(9, &[], &[]),
        positive(0, &[(0, 2)], &[1.0]),
        positive(0, &[(0, 1), (-1, 1)], &[1.0, 1.0]),
        positive(0, &[(0, 1)], &[-1.0]),
        custom(&[2.0, 1.0], &[1.0]),
        custom(&[], &[1.0, 1.0]),
        FloatHistogram { zero_count: 1.0, ..custom(&[1.0], &[1.0]) },
        FloatHistogram { count: -1.0, ..FloatHistogram::default() },
    ];
    for h in wrong {
        assert!(h.validate().is_err(), "{h:?}");
    }
}

fn any_histogram() -> impl Strategy<Value = FloatHistogram> {
    let side = || prop::collection::vec((0i32..4, 0u32..4), 0..4);
    // Boundaries of every schema below, as zero thresholds are.
    let threshold = prop::sample::select(vec![0.0, 0.001, 0.0625, 1.0, 16.0]);
    (-2i32..3, side(), side(), threshold, 0u8..9, prop::collection::vec(0u8..9, 24)).prop_map(
        |(schema, p, n, zero_threshold, zero, counts)| {
            let mut counts = counts.into_iter().map(f64::from).cycle();
            let mut take = |at: &[(i32, u32)]| -> Vec<f64> {
                let n: u32 = at.iter().map(|s| s.1).sum();
                counts.by_ref().take(n as usize).collect()
            };
            // What lies within the zero bucket is counted there and nowhere else.
            let outside = |at: &[(i32, u32)], mut counts: Vec<f64>| {
                let indexes: Vec<i32> = buckets::Indexed::new(&spans(at), &counts).map(|b| b.0).collect();
                for (index, count) in indexes.into_iter().zip(&mut counts) {
                    if exponential_bound(index - 1, schema) < zero_threshold {
                        *count = 0.0;
                    }
                }
                counts
            };
            let (positive_buckets, negative_buckets) = (outside(&p, take(&p)), outside(&n, take(&n)));
            let zero_count = f64::from(zero);
            let count = zero_count + positive_buckets.iter().sum::<f64>() + negative_buckets.iter().sum::<f64>();
            FloatHistogram {
                schema,
                zero_threshold,
                zero_count,
                count,
                positive_spans: spans(&p),
                positive_buckets,
                negative_spans: spans(&n),
                negative_buckets,
                ..FloatHistogram::default()
            }
        },
    )
}

fn total(h: &FloatHistogram) -> f64 {
    h.zero_count + h.positive_buckets.iter().sum::<f64>() + h.negative_buckets.iter().sum::<f64>()
}

proptest! {
    #[test]
    fn sums_keep_every_observation(a in any_histogram(), b in any_histogram()) {
        let mut ab = a.clone();
        ab.add(&b).unwrap();
        let mut ba = b.clone();
        ba.add(&a).unwrap();
        prop_assert_eq!(total(&ab), a.count + b.count);
        prop_assert_eq!(ab.validate(), Ok(()));
        prop_assert_eq!(content(&ab), content(&ba));
        prop_assert_eq!((ab.zero_threshold, ab.zero_count), (ba.zero_threshold, ba.zero_count));
        let mut sum = HistogramSum::new(a.clone());
        sum.add(&b).unwrap();
        let sum = sum.finish();
        prop_assert_eq!(content(&sum), content(&ab));
        prop_assert_eq!(sum.zero_count, ab.zero_count);
        let mut back = ab.clone();
        back.sub(&b).unwrap();
        prop_assert_eq!(total(&back), a.count);
    }

    #[test]
    fn more_of_the_same_is_no_reset(a in any_histogram(), b in any_histogram()) {
        let mut sum = a.clone();
        sum.add(&b).unwrap();
        prop_assert!(!sum.is_reset_after(&a));
        prop_assert!(!sum.is_reset_after(&b));
        let empty = FloatHistogram { zero_threshold: sum.zero_threshold, schema: sum.schema, ..FloatHistogram::default() };
        prop_assert_eq!(empty.is_reset_after(&sum), sum.count > 0.0);
    }

    #[test]
    fn compaction_keeps_the_content(a in any_histogram()) {
        let small = a.clone().compacted();
        prop_assert_eq!(content(&small), content(&a));
        prop_assert!(small.positive_buckets.iter().all(|c| *c != 0.0));
        prop_assert!(small.positive_spans.iter().skip(1).all(|s| s.offset > 0 && s.length > 0));
    }

    #[test]
    fn quantile_and_fraction_are_inverse(a in any_histogram(), q in 0.0f64..=1.0) {
        let a = a.compacted();
        prop_assume!(a.count > 0.0);
        let (value, _) = a.quantile(q);
        let (fraction, _) = a.fraction(f64::NEG_INFINITY, value);
        // Within a bucket the two agree; at a gap, and in a zero bucket without width, any value of it will do.
        let (below, above) = (value - value.abs() * 1e-9 - 1e-12, value + value.abs() * 1e-9 + 1e-12);
        let below = a.fraction(f64::NEG_INFINITY, below).0;
        let above = a.fraction(f64::NEG_INFINITY, above).0;
        prop_assert!(below <= q + 1e-6 && q <= above + 1e-6, "{q} {value} {below} {fraction} {above} {a}");
    }

    #[test]
    fn trims_keep_a_part(a in any_histogram(), at in -20.0f64..20.0) {
        for upper in [true, false] {
            let mut h = a.clone();
            h.trim(at, upper);
            prop_assert!(h.count <= a.count + 1e-9 && h.count >= -1e-9);
            prop_assert_eq!(h.validate(), Ok(()));
        }
    }

    #[test]
    fn nothing_panics_on_nonsense(offsets in prop::collection::vec((any::<i32>(), any::<u32>()), 0..4), n in 0usize..5, schema in any::<i32>(), t in any::<f64>()) {
        let h = FloatHistogram { positive_spans: spans(&offsets), positive_buckets: vec![1.0; n], negative_spans: spans(&offsets), negative_buckets: vec![2.0; n], schema, zero_threshold: t.abs(), count: 3.0, ..FloatHistogram::default() };
        let other = positive(0, &[(0, 2)], &[1.0, 2.0]);
        let _ = (h.to_string(), h.quantile(0.3), h.fraction(1.0, 2.0), h.validate(), h.is_reset_after(&other), other.is_reset_after(&h));
        h.clone().trim(1.0, true);
        h.clone().compact();
        if (-4..=8).contains(&schema) && t.is_finite() {
            let _ = h.clone().add(&other);
            let _ = HistogramSum::new(h).add_to_mean(&other);
        }
    }
}
