use model::Labels;
use proptest::prelude::*;

use super::*;
use crate::grafana::value::{Number, Series, Value};

fn number(labels: &[(&str, &str)], value: f64) -> Value {
    Value::Number(Number::new(Labels::from_pairs(labels.iter().copied()), (!value.is_nan()).then_some(value)))
}

fn series(labels: &[(&str, &str)], points: &[(i64, f64)]) -> Value {
    let points = points.iter().map(|(at, value)| (*at, (!value.is_nan()).then_some(*value)));
    Value::Series(Series::new(Labels::from_pairs(labels.iter().copied()), points))
}

fn run(text: &str, variables: &[(&str, &[Value])]) -> Vec<Value> {
    let variables: Variables<'_> = variables.iter().copied().collect();
    Math::new(text).expect(text).run(&variables).expect(text)
}

fn scalar(text: &str) -> Option<f64> {
    match &run(text, &[])[..] {
        [Value::Scalar(value)] => *value,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn arithmetic() {
    let cases = [
        ("1 + 2 * 3", 7.0),
        ("(1 + 2) * 3", 9.0),
        ("2 ** 3 ** 2", 64.0),
        ("-2 ** 2", 4.0),
        ("7 % 4 - 1", 2.0),
        ("10 / 4 / 5", 0.5),
        ("1 - -1", 2.0),
        ("!0 + !5", 1.0),
        ("!!3", 1.0),
        ("1 < 2 == 1", 1.0),
        ("3 > 2 && 2 > 1 || 0", 1.0),
        ("1 || nan()", 1.0),
        ("0 && nan()", 0.0),
        ("1 >= 1 && 1 <= 1 && 1 != 2", 1.0),
        ("0x10 + 1e2 + .5", 116.5),
        ("1.5e-1", 0.15),
        ("abs(-3) + ceil(1.2) + floor(1.8) + round(2.5)", 9.0),
        ("log(1)", 0.0),
        ("is_nan(nan()) + is_inf(inf()) + is_inf(infn()) + is_null(null()) + is_number(1)", 5.0),
        ("is_nan(null()) + is_null(nan()) + is_number(inf()) + is_number(null())", 0.0),
    ];
    for (text, want) in cases {
        assert_eq!(scalar(text), Some(want), "{text}");
    }
    for text in ["nan() + 1", "nan() > 1", "!nan()", "nan() == nan()", "1 && nan()", "0 || nan()"] {
        assert!(scalar(text).is_some_and(f64::is_nan), "{text}");
    }
    for text in ["null()", "null() + 1", "-null()", "abs(null())", "1 || null()"] {
        assert_eq!(scalar(text), None, "{text}");
    }
}

#[test]
fn values_meet_by_labels() {
    let a = [number(&[("host", "x")], 1.0), number(&[("host", "y")], 2.0)];
    let b = [number(&[("host", "x"), ("disk", "1")], 10.0), number(&[("host", "y"), ("disk", "1")], 20.0)];
    let all: &[(&str, &[Value])] = &[("A", &a), ("B", &b), ("Long name", &a)];
    let want = [number(&[("host", "x"), ("disk", "1")], 11.0), number(&[("host", "y"), ("disk", "1")], 22.0)];
    assert_eq!(run("$A + $B", all), want);
    assert_eq!(run("$B + ${Long name}", all), want);
    assert_eq!(run("$A * 2 > 3", all), [number(&[("host", "x")], 0.0), number(&[("host", "y")], 1.0)]);
    let bare = [number(&[], 5.0)];
    let with_bare: &[(&str, &[Value])] = &[("A", &a), ("C", &bare)];
    assert_eq!(run("$C - $A", with_bare), [number(&[("host", "x")], 4.0), number(&[("host", "y")], 3.0)]);
    // Same number of labels, other values: nothing meets.
    let other = [number(&[("host", "z")], 1.0)];
    assert_eq!(run("$A + $D", &[("A", &a), ("D", &other)]), []);
    // One on each side meet in any case.
    assert_eq!(run("$A + $D", &[("A", &a[..1]), ("D", &other)]), [number(&[], 2.0)]);
    assert_eq!(run("$A + $X", &[("A", &a)]), []);
}

#[test]
fn nothing_stays_nothing() {
    let a = [number(&[("host", "x")], 1.0)];
    let nothing: &[(&str, &[Value])] = &[("A", &a), ("N", &[Value::NoData])];
    for text in ["$N", "$N + 1", "1 + $N", "$A > $N", "!$N", "abs($N)"] {
        assert_eq!(run(text, nothing), [Value::NoData], "{text}");
    }
}

#[test]
fn series_point_by_point() {
    let nil = f64::NAN;
    let a = [series(&[("a", "1")], &[(1, 1.0), (2, nil), (3, 3.0)])];
    let b = [series(&[("a", "1")], &[(1, 10.0), (3, 30.0), (4, 40.0)])];
    let n = [number(&[], 2.0)];
    let all: &[(&str, &[Value])] = &[("A", &a), ("B", &b), ("N", &n)];
    assert_eq!(run("$A + $B", all), [series(&[("a", "1")], &[(1, 11.0), (3, 33.0)])]);
    assert_eq!(run("$A * 2", all), [series(&[("a", "1")], &[(1, 2.0), (2, nil), (3, 6.0)])]);
    assert_eq!(run("$N - $B", all), [series(&[("a", "1")], &[(1, -8.0), (3, -28.0), (4, -38.0)])]);
    assert_eq!(run("-$A", all), [series(&[("a", "1")], &[(1, -1.0), (2, nil), (3, -3.0)])]);
    assert_eq!(run("is_null($A)", all), [series(&[("a", "1")], &[(1, 0.0), (2, 1.0), (3, 0.0)])]);
}

#[test]
fn variables_are_found_once_each() {
    let math = Math::new("$A + $B * ${C d} - $A").expect("an expression");
    assert_eq!(math.variables(), ["A", "B", "C d"]);
}

#[test]
fn refusals() {
    let cases = [
        ("", "unexpected end of input"),
        ("1 +", "unexpected end of input"),
        ("1 2", "unexpected 2 after the expression"),
        ("(1", "unexpected end of input in parentheses"),
        ("$", "incomplete variable"),
        ("${A", "unterminated variable"),
        ("${}", "incomplete variable"),
        ("foo(1)", "non existent function foo"),
        ("abs()", "not enough arguments for abs"),
        ("abs(1, 2)", "too many arguments for abs"),
        ("nan(1)", "too many arguments for nan"),
        ("abs", "unexpected end of input after a function's name"),
        ("1x", "bad number syntax: \"1x\""),
        ("1..2", "bad number syntax"),
        ("= 1", "invalid character: ="),
        ("1 & 2", "invalid character: &"),
        ("\"a\"", "invalid character"),
    ];
    for (text, want) in cases {
        let error = Math::new(text).expect_err(text);
        assert!(error.to_string().contains(want), "{text}: {error}");
    }
    for deep in ["(".repeat(5000), "!".repeat(5000), "-".repeat(5000)] {
        assert!(Math::new(&deep).is_err());
    }
    assert!(Math::new(&"(".repeat(200)).is_err_and(|error| error.message.contains("nested more than 100 deep")));
    assert!(Math::new(&"1+".repeat(1000)).is_err_and(|error| error.message.contains("more than 1000 parts")));
}

proptest! {
    #[test]
    fn no_text_breaks_the_parser(text in "[-+*/%!<>=&|$(){},. 0-9a-zA-Z_]{0,40}") {
        if let Ok(math) = Math::new(&text) {
            let _ = math.run(&Variables::new());
        }
    }

    #[test]
    fn left_to_right(a in -100i32..100, b in -100i32..100, c in 1i32..100) {
        let (a, b, c) = (f64::from(a), f64::from(b), f64::from(c));
        prop_assert_eq!(scalar(&format!("{a} - {b} - {c}")), Some(a - b - c));
        prop_assert_eq!(scalar(&format!("{a} * {b} / {c}")), Some(a * b / c));
        prop_assert_eq!(scalar(&format!("{a} + {b} * {c}")), Some(a + b * c));
    }
}
