//! Errors with their places, canonical forms, and texts of any kind: never a panic, never a deep stack.

use super::*;
use crate::{ast_json, pretty};
use proptest::prelude::*;

fn all(text: &str) -> Result<Expr, ParseError> {
    parse(text, &ParserOptions::all())
}

#[test]
fn errors_name_place_and_what_would_fit() {
    let cases = [
        ("", "unknown position: parse error: no expression found in input"),
        ("# nothing\n\n", "1:1: parse error: no expression found in input"),
        ("1+", "1:3: parse error: unexpected end of input"),
        (".", "1:1: parse error: unexpected character: '.'"),
        ("2.5.", "1:1: parse error: bad number or duration syntax: \"2.5.\""),
        ("100..4", "1:1: parse error: bad number or duration syntax: \"100..\""),
        ("0deadbeef", "1:1: parse error: bad number or duration syntax: \"0de\""),
        ("*1", "1:1: parse error: unexpected <op:*>"),
        ("(1))", "1:5: parse error: unexpected right parenthesis ')'"),
        ("((1)", "1:5: parse error: unclosed left parenthesis"),
        ("1 and 1", "1:1: parse error: set operator \"and\" not allowed in binary scalar expression"),
        ("1 == 1", "1:3: parse error: comparisons between scalars must use BOOL modifier"),
        ("1 !~ 1", "1:3: parse error: unexpected character after '!': '~'"),
        ("1 =~ 1", "1:3: parse error: unexpected character after '=': '~'"),
        (
            "-\"string\"",
            "1:1: parse error: unary expression only allowed on expressions of type scalar or instant vector, got \"string\"",
        ),
        (
            "-test[5m]",
            "1:1: parse error: unary expression only allowed on expressions of type scalar or instant vector, got \"range vector\"",
        ),
        ("@@", "1:1: parse error: unexpected <op:@>"),
        (
            "1 offset 1d",
            "1:1: parse error: offset modifier must be preceded by an instant vector selector or range vector selector or a subquery",
        ),
        ("foo offset 1s offset 2s", "1:1: parse error: offset may not be set multiple times"),
        ("a - on(b) ignoring(c) d", "1:11: parse error: unexpected <ignoring>"),
        ("foo == on(bar) 10", "1:1: parse error: vector matching only allowed between instant vectors"),
        ("foo + group_left(baz) bar", "1:7: parse error: unexpected <group_left>"),
        ("foo and on(bar) group_left(baz) bar", "1:1: parse error: no grouping allowed for \"and\" operation"),
        (
            "a + on(instance) group_left(job,instance) b",
            "1:3: parse error: label \"instance\" must not occur in ON and GROUP clause at once",
        ),
        ("foo + bool bar", "1:5: parse error: bool modifier can only be used on comparison operators"),
        ("foo @ +Inf", "1:1: parse error: timestamp out of bounds for @ modifier: +Inf"),
        ("{", "1:2: parse error: unexpected end of input inside braces"),
        ("}", "1:1: parse error: unexpected character: '}'"),
        ("some_metric{a=b}", "1:15: parse error: unexpected identifier \"b\" in label matching, expected string"),
        ("some_metric{a:b=\"b\"}", "1:14: parse error: unexpected character inside braces: ':'"),
        ("foo{gibberish}", "1:14: parse error: unexpected \"}\" in label matching, expected label matching operator"),
        ("{}", "1:1: parse error: vector selector must contain at least one non-empty matcher"),
        ("{x=~\".*\"}", "1:1: parse error: vector selector must contain at least one non-empty matcher"),
        ("foo{__name__=\"bar\"}", "1:1: parse error: metric name must not be set twice: \"foo\" or \"bar\""),
        ("foo{,}", "1:5: parse error: unexpected \",\" in label matching, expected identifier or \"}\""),
        (
            "foo{a=\"bar\" lol}",
            "1:13: parse error: unexpected identifier \"lol\" in label matching, expected \",\" or \"}\"",
        ),
        ("foo[5mm]", "1:5: parse error: bad number or duration syntax: \"5mm\""),
        ("foo[5m1]", "1:5: parse error: bad number or duration syntax: \"5m1\""),
        ("foo[5y1hs]", "1:5: parse error: unknown unit \"hs\" in duration \"5y1hs\""),
        ("foo[5m1h]", "1:5: parse error: not a valid duration string: \"5m1h\""),
        ("foo[0m]", "1:5: parse error: duration must be greater than 0"),
        ("foo[\"5m\"]", "1:5: parse error: unexpected character in duration expression: '\"'"),
        (
            "foo[]",
            "1:5: parse error: unexpected \"]\" in subquery or range selector, expected number, duration, step(), or range()",
        ),
        ("foo[", "1:5: parse error: unexpected end of input in duration expression"),
        (
            "some_metric[5m] OFFSET",
            "1:23: parse error: unexpected end of input in offset, expected number, duration, step(), or range()",
        ),
        ("some_metric OFFSET 1m[5m]", "1:22: parse error: no offset modifiers allowed before range"),
        ("some_metric[5m] @", "1:18: parse error: unexpected end of input in @, expected timestamp"),
        ("some_metric @ 1234 [5m]", "1:20: parse error: no @ modifiers allowed before range"),
        ("(foo + bar)[5m]", "1:12: parse error: ranges only allowed for vector selectors"),
        ("sum by (\"foo)(some_metric{})", "1:9: parse error: unterminated quoted string"),
        ("sum without(==)(some_metric)", "1:13: parse error: unexpected <op:==> in grouping opts, expected label"),
        ("sum some_metric by (test)", "1:5: parse error: unexpected identifier \"some_metric\""),
        (
            "sum (some_metric) by test",
            "1:22: parse error: unexpected identifier \"test\" in grouping opts, expected \"(\"",
        ),
        ("sum () by (test)", "1:1: parse error: no arguments for aggregate expression provided"),
        ("sum (some_metric) without (test) by (test)", "1:34: parse error: unexpected <by>"),
        ("sum(a b)", "1:7: parse error: unexpected identifier \"b\" in aggregation"),
        (
            "topk(some_metric)",
            "1:1: parse error: wrong number of arguments for aggregate expression provided, expected 2, got 1",
        ),
        ("topk(some_metric,)", "1:17: parse error: trailing commas not allowed in function call args"),
        (
            "topk(some_metric, other_metric)",
            "1:6: parse error: expected type scalar in aggregation parameter, got instant vector",
        ),
        ("floor()", "1:1: parse error: expected 1 argument(s) in call to \"floor\", got 0"),
        ("floor(1)", "1:7: parse error: expected type instant vector in call to function \"floor\", got scalar"),
        ("hour(a, a, a)", "1:1: parse error: expected at most 1 argument(s) in call to \"hour\", got 3"),
        ("label_join(a)", "1:1: parse error: expected at least 3 argument(s) in call to \"label_join\", got 1"),
        ("non_existent()", "1:1: parse error: unknown function with name \"non_existent\""),
        ("e-+=/(0)", "1:4: parse error: unexpected \"=\""),
        ("\"\\c\"", "1:1: parse error: unknown escape sequence U+0063 'c'"),
        ("\"\\x.\"", "1:1: parse error: illegal character U+002E '.' in escape sequence"),
        (
            "test[5d] OFFSET 10s [10m:5s]",
            "1:1: parse error: subquery is only allowed on instant vector, got matrix instead",
        ),
        (
            "info(a, target_info{foo=\"bar\"})",
            "1:9: parse error: expected label selectors only, got vector selector instead",
        ),
        ("info(a, {foo=\"bar\"} == 1)", "1:9: parse error: expected label selectors only"),
        (
            "foo[step]",
            "1:9: parse error: unexpected \"]\" in subquery or range selector, expected number, duration, step(), or range()",
        ),
        ("foo[5s/0d]", "1:7: parse error: division by zero"),
        ("foo[5s%0d]", "1:7: parse error: modulo by zero"),
        ("foo offset 9.5e10", "1:12: parse error: duration out of range"),
        ("foo[5s x 5s]", "1:8: parse error: unexpected character: 'x', expected ':'"),
        ("1[5m] smoothed", "1:2: parse error: ranges only allowed for vector selectors"),
        ("foo{a=~\"(\"}", "1:5: parse error: error parsing regexp: "),
    ];
    for (text, want) in cases {
        let got = all(text).map(|e| e.to_string()).map_err(|e| e.to_string());
        let got = got.unwrap_err();
        assert!(
            got.starts_with(want) && (got == want || want.ends_with("regexp: ")),
            "{text}\n got {got}\nwant {want}"
        );
    }
}

#[test]
fn switched_off_parts_say_so() {
    let cases = [
        (
            "limitk(1, a)",
            "limitk() is experimental and must be enabled with --enable-feature=promql-experimental-functions",
        ),
        ("info(a)", "function \"info\" is not enabled"),
        ("a smoothed", "smoothed modifier is experimental and not enabled"),
        ("a + fill(1) b", "binop fill modifiers are experimental and not enabled"),
        ("a[1m * 2]", "experimental duration expression is not enabled"),
    ];
    let none = ParserOptions { duration_expressions: false, ..ParserOptions::default() };
    for (text, want) in cases {
        assert_eq!(parse(text, &none).map_err(|e| e.message().to_owned()), Err(want.to_owned()), "{text}");
        assert!(all(text).is_ok(), "{text}");
    }
}

#[test]
fn excerpt_points_at_the_place() {
    let error = all("sum(\n  a b)").unwrap_err();
    assert_eq!(error.excerpt(), "  a b)\n    ^");
    assert_eq!(error.position.to_string(), "2:5");
}

#[test]
fn canonical_forms() {
    let cases = [
        ("-1^2", "-1 ^ 2"),
        ("2 ^ 3 ^ 2 * -a", "2 ^ 3 ^ 2 * -a"),
        ("SUM BY (b,) (a)", "sum by (b) (a)"),
        ("sum(a) without ()", "sum without () (a)"),
        ("count_values('x', a)", "count_values(\"x\", a)"),
        ("a OFFSET 5m", "a offset 5m"),
        ("a[5m] offset -1h30m @ 1.5", "a[5m] @ 1.500 offset -1h30m"),
        ("{\"a.b\", c=~'d.*'}", "{__name__=\"a.b\",c=~\"d.*\"}"),
        ("a == bool on(x) group_left(y) b", "a == bool on (x) group_left (y) b"),
        ("a + fill_left(1) fill_right(2) b", "a + fill_left (1) fill_right (2) b"),
        ("rate(a[5m] anchored)", "rate(a[5m] anchored)"),
        ("a[1h:]", "a[1h:]"),
        ("a[1h:step() * 2] offset -(1m)", "a[1h:step() * 2] offset -(1m)"),
        ("0x10 + 1e3 + Inf + 5m", "16 + 1000 + +Inf + 5m"),
        ("offset", "offset"),
        ("sum by (on, bool) (start) + end", "sum by (on, bool) (start) + end"),
        ("fill + fill_left", "fill + fill_left"),
        ("a offset (5m) + 3", "a offset (5m) + 3"),
        ("a </ 5 >/ b", "a </ 5 >/ b"),
        ("\"a\\xc5z\"", "\"a\\xc5z\""),
    ];
    for (text, want) in cases {
        let expr = all(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(expr.to_string(), want);
        let again = all(want).unwrap_or_else(|e| panic!("{want}: {e}"));
        assert_eq!(ast_json(&again), ast_json(&expr), "{text}");
    }
}

#[test]
fn long_lines_are_split() {
    let text = format!("sum by (job) (rate(http_requests_total{{path=\"{}\"}}[5m])) / on (job) up", "x".repeat(60));
    let expr = all(&text).unwrap();
    let want = format!(
        "  sum by (job) (\n    rate(http_requests_total{{path=\"{}\"}}[5m])\n  )\n/ on (job)\n  up",
        "x".repeat(60)
    );
    assert_eq!(pretty(&expr), want);
    assert_eq!(ast_json(&all(&pretty(&expr)).unwrap()), ast_json(&expr));
}

#[test]
fn json_form() {
    let expr = all("rate(a{b!=\"c\"}[5m] offset 1m) > 1").unwrap();
    let want = concat!(
        r#"{"bool":false,"lhs":{"args":[{"anchored":false,"matchers":[{"name":"b","type":"!=","value":"c"},"#,
        r#"{"name":"__name__","type":"=","value":"a"}],"name":"a","offset":60000,"offsetExpr":null,"range":300000,"#,
        r#""rangeExpr":null,"smoothed":false,"startOrEnd":null,"timestamp":null,"type":"matrixSelector"}],"#,
        r#""func":{"argTypes":["matrix"],"name":"rate","returnType":"vector","variadic":0},"type":"call"},"#,
        r#""matching":null,"op":">","rhs":{"type":"numberLiteral","val":"1"},"type":"binaryExpr"}"#
    );
    assert_eq!(ast_json(&expr), want);
}

#[test]
fn depth_and_length_are_bounded() {
    for deep in ["(", "-(", "sum(", "a[(", "1 ^ "] {
        let text = deep.repeat(5_000);
        assert!(all(&text).is_err());
    }
    let nested = format!("{}a{}", "(".repeat(100_000), ")".repeat(100_000));
    assert!(all(&nested).unwrap_err().message().contains("nested deeper"));
    let chain = vec!["a"; 200_000].join(" + ");
    assert!(all(&chain).unwrap_err().message().contains("chain of more than"));
    let fits = vec!["a"; MAX_HEIGHT - 1].join(" or ");
    let expr = all(&fits).unwrap();
    assert_eq!(expr.to_string(), fits);
    assert!(!pretty(&expr).is_empty() && !ast_json(&expr).is_empty());
    let wide = format!("a{{b=~\"{}\"}}", vec!["x"; 100_000].join("|"));
    assert_eq!(all(&wide).unwrap().to_string(), wide);
}

#[test]
fn metrics_and_selectors() {
    let metric = parse_metric(r#"up{job="a", "b.c"="d", e=""}"#).unwrap();
    assert_eq!(metric.to_string(), r#"up{"b.c"="d", job="a"}"#);
    assert_eq!(parse_metric(r#"{"a b", c="d"}"#).unwrap().metric_name(), Some("a b"));
    assert!(parse_metric("up{job=~\"a\"}").is_err() && parse_metric("up 1").is_err());
    assert_eq!(parse_selector("{a=~\".*\"}").unwrap().len(), 1);
    assert!(parse_selector("a + b").is_err() && parse_selector("1").is_err());
    for (text, end) in
        [("a 1 2", 1), ("a{b=\"} \"} 1", 9), ("{b='\\''} 1", 8), ("a {{x}}", 1), ("a {b=\"c\"} 1", 9), ("a", 1)]
    {
        assert_eq!(metric_end(text), end, "{text}");
    }
}

/// Texts that are often queries, often nearly.
fn query_like() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "a",
        "b:c",
        "sum",
        "topk",
        "rate",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "[5m]",
        "[1h:5m]",
        "offset",
        "@",
        "1",
        "5m",
        "-",
        "+",
        "*",
        "/",
        "^",
        "==",
        "bool",
        "on",
        "(x)",
        "by (y)",
        "group_left",
        "\"s\"",
        "'",
        "`",
        "=~",
        "!=",
        ",",
        "start()",
        "step()",
        "min_of(1,2)",
        "fill(1)",
        "smoothed",
        "</",
        "# c\n",
        "Inf",
        "0x1",
        "é",
        "\\",
        "$",
        "1e",
        "_",
        ":",
        "atan2",
    ]);
    prop::collection::vec(word, 0..24).prop_map(|words| words.join(" "))
}

proptest! {
    #[test]
    fn any_text_is_parsed_or_refused(text in "\\PC{0,60}") {
        let _ = all(&text);
        let _ = parse_metric(&text);
        let _ = parse_selector(&text);
    }

    #[test]
    fn what_parses_prints_and_parses_again(text in query_like()) {
        if let Ok(expr) = all(&text) {
            let printed = expr.to_string();
            let again = all(&printed).map_err(|e| TestCaseError::fail(format!("{text} printed {printed}: {e}")))?;
            prop_assert_eq!(ast_json(&again), ast_json(&expr));
            prop_assert_eq!(again.to_string(), printed);
            let pretty = pretty(&expr);
            let again = all(&pretty).map_err(|e| TestCaseError::fail(format!("{text} laid out {pretty}: {e}")))?;
            prop_assert_eq!(ast_json(&again), ast_json(&expr));
        }
    }
}
