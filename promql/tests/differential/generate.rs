//! Random data and random queries that fit their types.

use foursight_promql::promqltest::MemorySource;
use model::sample::STALE_NAN;
use model::{LabelsBuilder, METRIC_NAME};
use proptest::prelude::*;

/// One series: labels by number, and samples as (gap in steps of 5 s, value, kind).
type Series = (u8, u8, u8, Vec<(u8, i16, u8)>);

/// Series of three metrics with labels `a` and `b`, and classic histograms.
pub(crate) fn data() -> impl Strategy<Value = Vec<Series>> {
    let sample = (1u8..9, -50i16..500, 0u8..40);
    prop::collection::vec((0u8..3, 0u8..3, 0u8..3, prop::collection::vec(sample, 1..70)), 1..9)
}

/// Stores the data: counters with resets, gauges, gaps, staleness markers, now and then NaN or infinity.
pub(crate) fn store(data: &[Series]) -> MemorySource {
    let mut source = MemorySource::new();
    for (metric, a, b, samples) in data {
        let mut labels = LabelsBuilder::new();
        let name = ["counter_total", "gauge", "h_bucket"][*metric as usize];
        labels.set(METRIC_NAME, name).set("a", &format!("a{a}"));
        match (name, b) {
            ("h_bucket", _) => labels.set("le", ["1", "2.5", "+Inf"][*b as usize]),
            (_, 0) => &mut labels,
            _ => labels.set("b", &format!("b{b}")),
        };
        let (mut time, mut total) = (0, 0.0);
        for (gap, value, kind) in samples {
            time += i64::from(*gap) * 5_000;
            total += f64::from(value.unsigned_abs()) / 8.0;
            if *kind == 0 {
                total = f64::from(*value).abs();
            }
            let value = match kind {
                1 => STALE_NAN,
                2 if name == "gauge" => f64::NAN,
                3 if name == "gauge" => f64::INFINITY,
                _ if name == "gauge" => f64::from(*value) / 4.0,
                _ => total,
            };
            // Two entries of one series: what goes back in time is refused, and that is fine.
            let _ = source.append(&labels.build(), time, 0, value);
        }
    }
    source
}

fn selector() -> impl Strategy<Value = String> {
    let matchers = prop::sample::select(vec![
        "",
        "",
        "{a=\"a0\"}",
        "{a=~\"a0|a1\"}",
        "{a!=\"a2\"}",
        "{b=\"\"}",
        "{b!~\"b1\"}",
        "{a=\"a1\",b=\"b1\"}",
    ]);
    let name = prop::sample::select(vec!["counter_total", "gauge", "h_bucket"]);
    (name, matchers).prop_map(|(name, matchers)| format!("{name}{matchers}"))
}

fn modifiers() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "",
        "",
        "",
        "",
        " offset 40s",
        " offset -1m",
        " @ 100",
        " @ start()",
        " @ end() offset 30s",
    ])
}

fn duration() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["10s", "45s", "1m", "2m30s", "5m"])
}

fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        (-5i32..20).prop_map(|n| n.to_string()),
        Just("0.25".to_owned()),
        Just("time()".to_owned()),
        Just("scalar(gauge{a=\"a0\",b=\"b1\"})".to_owned()),
        Just("(time() - 2 * pi())".to_owned()),
    ]
}

fn range_function() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "rate",
        "increase",
        "delta",
        "irate",
        "idelta",
        "changes",
        "resets",
        "deriv",
        "avg_over_time",
        "sum_over_time",
        "min_over_time",
        "max_over_time",
        "count_over_time",
        "present_over_time",
        "last_over_time",
        "stddev_over_time",
        "stdvar_over_time",
        "absent_over_time",
    ])
}

fn steady_function() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "delta",
        "idelta",
        "deriv",
        "avg_over_time",
        "sum_over_time",
        "min_over_time",
        "max_over_time",
        "count_over_time",
        "present_over_time",
        "last_over_time",
        "stddev_over_time",
        "stdvar_over_time",
        "absent_over_time",
    ])
}

/// A vector. Picking aggregations stand outermost only: among equal values any may be picked.
pub(crate) fn vector() -> impl Strategy<Value = String> {
    let leaf = (selector(), modifiers()).prop_map(|(s, m)| format!("{s}{m}"));
    let leaf = prop_oneof![
        2 => leaf,
        2 => (range_function(), selector(), duration(), modifiers()).prop_map(|(f, s, d, m)| format!("{f}({s}[{d}]{m})")),
    ];
    leaf.prop_recursive(4, 12, 2, |inner| {
        let grouping = prop::sample::select(vec!["", " by (a)", " by (b, le)", " without (a)", " without (b)", " by (__name__)"]);
        let aggregation = prop::sample::select(vec![
            "sum", "avg", "count", "min", "max", "group", "stddev", "stdvar", "quantile",
        ]);
        let operator = prop::sample::select(vec![
            "+", "-", "*", "/", "%", "^", "atan2", "==", "!=", ">", "<=", "> bool", "== bool",
        ]);
        let matching = prop::sample::select(vec![
            "", "on (a) ", "ignoring (b) ", "on (a, b) ", "on (a) group_left () ", "on (a) group_right (b) ",
            "ignoring (b, le) group_left (le) ", "on () ",
        ]);
        let set = prop::sample::select(vec!["and", "or", "unless"]);
        let set_matching = prop::sample::select(vec!["", "on (a) ", "ignoring (b, le) "]);
        let function = prop::sample::select(vec![
            "abs", "sqrt", "sgn", "timestamp", "hour", "absent", "sort", "-",
        ]);
        prop_oneof![
            3 => (aggregation, grouping, inner.clone()).prop_map(|(op, g, v)| match op {
                "quantile" => format!("quantile{g} (0.3, {v})"),
                _ => format!("{op}{g} ({v})"),
            }),
            2 => (inner.clone(), operator.clone(), scalar(), any::<bool>())
                .prop_map(|(v, op, s, left)| if left { format!("({s} {op} {v})") } else { format!("({v} {op} {s})") }),
            3 => (inner.clone(), operator, matching, inner.clone()).prop_map(|(a, op, m, b)| format!("({a} {op} {m}{b})")),
            2 => (inner.clone(), set, set_matching, inner.clone()).prop_map(|(a, op, m, b)| format!("({a} {op} {m}{b})")),
            2 => (function, inner.clone()).prop_map(|(f, v)| if f == "-" { format!("-({v})") } else { format!("{f}({v})") }),
            1 => (inner.clone(), scalar()).prop_map(|(v, s)| format!("clamp({v}, {s}, 15)")),
            1 => inner.clone().prop_map(|v| format!("label_replace({v}, \"b\", \"x$1\", \"a\", \"a(.)\")")),
            1 => inner.clone().prop_map(|v| format!("label_join({v}, \"c\", \"-\", \"a\", \"b\")")),
            1 => (inner.clone(), scalar()).prop_map(|(v, q)| format!("histogram_quantile({q} / 10, {v})")),
            // Not functions that count falls: a rounding error more or less would be one.
            2 => (steady_function(), inner.clone(), duration(), modifiers())
                .prop_map(|(f, v, d, m)| format!("{f}(({v})[{d}:15s]{m})")),
            1 => (range_function(), selector(), duration(), modifiers())
                .prop_map(|(f, s, d, m)| format!("{f}({s}[{d}:15s]{m})")),
            1 => (inner, scalar()).prop_map(|(v, s)| format!("predict_linear(({v})[2m:], {s})")),
            1 => (selector(), duration()).prop_map(|(s, d)| format!("quantile_over_time(0.7, {s}[{d}])")),
            // Of samples as they are: the last digit of a computed value is not the point.
            1 => (selector(), modifiers()).prop_map(|(s, m)| format!("count_values by (a) (\"value\", {s}{m})")),
            1 => (prop::sample::select(vec!["ceil", "floor", "round"]), selector(), modifiers())
                .prop_map(|(f, s, m)| format!("{f}({s}{m})")),
            1 => scalar().prop_map(|s| format!("vector({s})")),
        ]
    })
}
