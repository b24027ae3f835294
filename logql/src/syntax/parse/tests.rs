use proptest::prelude::*;

use super::*;
use crate::syntax::format_query;

const EXTENSIONS: ParseOptions = ParseOptions { extensions: true, any_selector: false };

fn print(text: &str) -> String {
    parse(text, ParseOptions::default()).map_or_else(|e| e.to_string(), |expr| expr.to_string())
}

#[test]
fn prints_what_it_reads() {
    let cases = [
        (r#"{a="b"}"#, r#"{a="b"}"#),
        (r#"{a="b",c!~`d"`}"#, r#"{a="b", c!~"d\""}"#),
        (r#"{a="b"} |= "x" or "y" != "z" or "w" |~ `\d`"#, r#"{a="b"} |= "x" or "y" != "z" != "w" |~ "\\d""#),
        (r#"{a="b"} |= ip("1.1.1.1") or ip("2.2.2.2") or "x""#, r#"{a="b"} |= ip("1.1.1.1") or ip("2.2.2.2") or "x""#),
        ("{a=\"b\"} # comment\n| json // more\n| /* and */ logfmt", r#"{a="b"} | json | logfmt"#),
        (r#"{a="b"} | c>5 and d<=1h or e="f""#, r#"{a="b"} | ( ( c>5 , d<=1h0m0s ) or e="f" )"#),
        (r#"{a="b"} | c=1, d=2 or e=3"#, r#"{a="b"} | ( c==1 , ( d==2 or e==3 ) )"#),
        (r#"{a="b"} | c=1 d=2 e=3"#, r#"{a="b"} | ( c==1 , ( d==2 , e==3 ) )"#),
        (r#"{a="b"} | c=1 and d=2 and e=3"#, r#"{a="b"} | ( ( c==1 , d==2 ) , e==3 )"#),
        (r#"{a="b"} | c=1 or d=2, e=3 and f=4"#, r#"{a="b"} | ( c==1 or ( d==2 , ( e==3 , f==4 ) ) )"#),
        (r#"{a="b"} | c=~"x.*" | d=~"[a-z]""#, r#"{a="b"} | c=~"x.*" | d=~`[a-z]`"#),
        (r#"{a="b"} | rate = 5 | sum != "" | duration > 5ms"#, r#"{a="b"} | rate==5 | sum!="" | duration>5ms"#),
        ("SUM(RATE({a=\"b\"}[5m])) BY (c)", r#"sum by (c)(rate({a="b"}[5m]))"#),
        ("sum by () (rate({a=\"b\"}[5m]))", r#"sum(rate({a="b"}[5m]))"#),
        ("1 + 2 * 3 ^ 2 ^ 0.5 - -1", "11.457608775674831"),
        ("1 > bool 2", "0"),
        ("-1 ^ 2", "1"),
        (
            r#"rate({a="b"}[5m] offset -1h30m |= "x" | unwrap bytes(c) | d="e")"#,
            r#"rate({a="b"} |= "x" | unwrap bytes(c) | d="e"[5m] offset -1h30m0s)"#,
        ),
        (r#"rate((({a="b"} |= "x")[5m] offset 1m))"#, r#"rate({a="b"} |= "x"[5m] offset 1m0s)"#),
        (r#"sum_over_time(({a="b"})[5m] | unwrap c)"#, r#"sum_over_time({a="b"} | unwrap c[5m])"#),
        (
            r#"rate({a="b"}[1m]) / ignoring(c) group_left(d,e) rate({a="b"}[1m])"#,
            r#"(rate({a="b"}[1m]) / ignoring (c) group_left (d,e) rate({a="b"}[1m]))"#,
        ),
        (
            r#"label_replace(vector(1), "a", "$1", "b", "(.*)")"#,
            r#"label_replace(vector(1.000000),"a","$1","b","(.*)")"#,
        ),
        (r#"{a="b"} | logfmt --keep-empty --strict c, d="e""#, r#"{a="b"} | logfmt --strict --keep-empty c="c",d="e""#),
        (r#"{a="b"} | x > 1KB | y < 1.5GiB | z = 7B"#, r#"{a="b"} | x>1.0kB | y<1.6GB | z==7B"#),
        (r#"{a="b"} |= "\u00e9\x41\101\n""#, r#"{a="b"} |= "éAA\n""#),
    ];
    for (text, want) in cases {
        assert_eq!(print(text), want, "{text}");
    }
}

#[test]
fn names_the_place() {
    let cases = [
        ("", "parse error : syntax error: unexpected $end"),
        ("{a=\"b\"}\n  | x", "parse error at line 2, col 6: syntax error: unexpected $end"),
        ("{é=\"b\"} |", "parse error at line 1, col 10: syntax error: unexpected $end"),
        (
            r#"{a="b"} | label_format a=b,"#,
            "parse error at line 1, col 28: syntax error: unexpected $end, expecting IDENTIFIER",
        ),
        (r#"{a="b"} | c >= "#, "parse error at line 1, col 16: syntax error: unexpected $end"),
        (
            r#"{a="b"} | c="x" and"#,
            "parse error at line 1, col 20: syntax error: unexpected $end, expecting IDENTIFIER or (",
        ),
        (r#"rate by (a) ({a="b"}[1m])"#, "parse error at line 1, col 6: syntax error: unexpected by, expecting ("),
        (r#"{a="b"} /* x"#, "parse error at line 1, col 9: comment not terminated"),
        ("1_ + 2", "parse error at line 1, col 1: '_' must separate successive digits"),
        ("09", "parse error at line 1, col 1: invalid digit '9' in octal literal"),
        ("1e", "parse error at line 1, col 1: exponent has no digits"),
        (r#"topk(0, rate({a="b"}[1m]))"#, "parse error : invalid parameter (must be greater than 0) topk(0"),
        (r#"rate({}[1m]) + topk(0, vector(1))"#, &format!("parse error : {NO_MATCHER}")),
        (
            r#"topk(0, vector(1)) and 1"#,
            "parse error : unexpected literal for right leg of logical/set binary operation (and): 1.000000",
        ),
    ];
    for (text, want) in cases {
        assert_eq!(print(text), want, "{text}");
    }
    let error = parse("{a=\"b\"}\n | ?", ParseOptions::default()).unwrap_err();
    assert_eq!(error.excerpt("{a=\"b\"}\n | ?"), " | ?\n    ^");
}

#[test]
fn extensions_are_off_unless_asked_for() {
    let queries = [
        r#"{a="b"} | distinct c,d"#,
        r#"{a="b"} | dedup"#,
        r#"{a="b"} | json --arrays"#,
        r#"count_distinct(c,{a="b"} | json[5m]) by (d)"#,
        r#"max_over_time(rate({a="b"}[1m])[1h:5m] offset 1m0s)"#,
        r#"quantile_over_time(0.9,sum(rate({a="b"}[1m]))[1h:])"#,
    ];
    for text in queries {
        assert!(parse(text, ParseOptions::default()).is_err(), "{text}");
        assert_eq!(parse(text, EXTENSIONS).unwrap().to_string(), text);
    }
    // As labels they stay what they were.
    for text in [r#"{a="b"} | distinct="c" | dedup>5"#, r#"sum by (count_distinct)(rate({a="b"}[1m]))"#] {
        assert_eq!(parse(text, EXTENSIONS).unwrap().to_string(), text);
    }
}

#[test]
fn bounds_nesting_and_length() {
    let deep = format!("{}1{}", "(".repeat(5000), ")".repeat(5000));
    assert!(print(&deep).contains("nested too deeply"));
    let filter = format!("{{a=\"b\"}} | {}c=1{}", "(".repeat(5000), ")".repeat(5000));
    assert!(print(&filter).contains("nested too deeply"));
    let sum = vec![r#"rate({a="b"}[1m])"#; 2000].join(" + ");
    assert!(print(&sum).contains("nested too deeply"));
    assert!(print(&format!("1{}", " ^ 1".repeat(5000))).contains("nested too deeply"));
    assert!(print(&" ".repeat(MAX_TEXT_LEN)).starts_with("parse error : input size too long (131072 > 131072)"));
    // Long lists of conditions are no nesting.
    for joint in [" or ", " and ", ", "] {
        let text = format!("{{a=\"b\"}} | {}", vec!["c=1"; 10_000].join(joint));
        let expr = parse(&text, ParseOptions::default()).unwrap();
        assert!(parse(&expr.to_string()[..100], ParseOptions::default()).is_err());
        drop(expr);
    }
}

/// Makes a query out of a seed: every construct of the language, nested a little.
struct Generator(u64);

impl Generator {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }

    fn pick(&mut self, choices: &[&str]) -> String {
        choices[self.below(choices.len() as u64) as usize].to_owned()
    }

    fn label(&mut self) -> String {
        self.pick(&["app", "rate", "duration", "status", "_x9", "bytes", "ip"])
    }

    fn text(&mut self) -> String {
        self.pick(&[r#""x""#, r#""a b\"c\n""#, "`raw \\d`", r#""""#, r#""é☕""#])
    }

    fn selector(&mut self) -> String {
        let op = self.pick(&["=", "!=", "=~", "!~"]);
        let label = self.label();
        format!(r#"{{job="api", {label}{op}"v.*"}}"#)
    }

    fn filter(&mut self, depth: u64) -> String {
        let label = self.label();
        let op = self.pick(&["=", "!=", ">", ">=", "<", "<=", "=="]);
        match self.below(if depth == 0 { 5 } else { 8 }) {
            0 => format!("{label}={}", self.text()),
            1 => format!(r#"{label}=~"a|b[0-9]""#),
            2 => format!("{label}{op}{}", self.pick(&["5", "-1.5", "1e3", "0"])),
            3 => format!("{label}{op}{}", self.pick(&["5ms", "1h30m", "-2s", "1d"])),
            4 => format!(r#"{label}{}ip("10.0.0.0/8")"#, self.pick(&["=", "!="])),
            5 => format!("({})", self.filter(depth - 1)),
            _ => {
                let joint = self.pick(&[" and ", " or ", ", ", " "]);
                format!("{}{joint}{}", self.filter(depth - 1), self.filter(depth - 1))
            }
        }
    }

    fn stage(&mut self) -> String {
        let (a, b) = (self.label(), self.text());
        match self.below(16) {
            0 => format!("|= {b} or {}", self.text()),
            1 => format!("{} {b}", self.pick(&["|=", "!=", "|~ \"a\" or", "!~"])),
            2 => format!("{} \"<_> x <_>\"", self.pick(&["|>", "!>"])),
            3 => format!(r#"{} ip("::1") or {b}"#, self.pick(&["|=", "!="])),
            4 => "| json".into(),
            5 => format!(r#"| json {a}="x.y[0]", z"#),
            6 => format!("| logfmt {}", self.pick(&["", "--strict", "--keep-empty --strict", "a, b=\"c\""])),
            7 => r#"| regexp "(?P<a>\\w+)""#.into(),
            8 => r#"| pattern "<a> - <_>""#.into(),
            9 => format!("| {}", self.pick(&["unpack", "decolorize"])),
            10 => format!("| line_format {b}"),
            11 => format!("| label_format {a}=z, y={b}"),
            12 => format!("| {} {a}, z={b}, w=~\"x.*\"", self.pick(&["drop", "keep"])),
            _ => format!("| {}", self.filter(2)),
        }
    }

    fn log(&mut self) -> String {
        let mut text = self.selector();
        for _ in 0..self.below(4) {
            text = format!("{text} {}", self.stage());
        }
        text
    }

    fn grouping(&mut self) -> String {
        let label = self.label();
        self.pick(&["", " by (a, b)", " without (c)", " by ()", &format!(" by ({label})"), " without ()"])
    }

    fn metric(&mut self, depth: u64) -> String {
        match self.below(if depth == 0 { 4 } else { 9 }) {
            0 => format!("{}({} [5m])", self.pick(&["rate", "count_over_time", "bytes_rate"]), self.log()),
            1 => {
                let op = self.pick(&["avg_over_time", "quantile_over_time", "max_over_time", "first_over_time"]);
                let parameter = if op.starts_with('q') { "0.95, " } else { "" };
                let conversion = self.pick(&["seq", "duration(d)", "bytes(b)"]);
                let grouping = self.grouping();
                format!("{op}({parameter}{} | unwrap {conversion} | a=\"b\" [1h30m] offset 5m){grouping}", self.log())
            }
            2 => self.pick(&["vector(1.5)", "vector(0)"]),
            3 => format!("absent_over_time({}[1d])", self.selector()),
            4 => {
                let op = self.pick(&["sum", "avg", "min", "count", "stddev"]);
                format!("{op}{} ({})", self.grouping(), self.metric(depth - 1))
            }
            5 => format!("{}(3, {}){}", self.pick(&["topk", "bottomk"]), self.metric(depth - 1), self.grouping()),
            6 => format!(r#"label_replace({}, "a", "$1", "b", "(.*)")"#, self.metric(depth - 1)),
            7 => format!("({} {} 2)", self.metric(depth - 1), self.pick(&["+", "-", "> bool", "=="])),
            _ => {
                let op = self.pick(&[
                    "or",
                    "and on (a)",
                    "unless ignoring (b)",
                    "+",
                    "- on (a) group_left (c)",
                    "* bool",
                    "^",
                    "/ ignoring () group_right ()",
                    "% on ()",
                ]);
                format!("{} {op} {}", self.metric(depth - 1), self.metric(depth - 1))
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn parses_its_own_print(seed: u64) {
        let mut generator = Generator(seed);
        let text = if generator.below(3) == 0 { generator.log() } else { generator.metric(3) };
        let expr = parse(&text, EXTENSIONS).map_err(|e| TestCaseError::fail(format!("{text}: {e}")))?;
        let printed = expr.to_string();
        let again = parse(&printed, EXTENSIONS).map_err(|e| TestCaseError::fail(format!("{text} as {printed}: {e}")))?;
        // Byte sizes are printed rounded; everything else is kept.
        prop_assert_eq!(&again, &expr, "{} as {}", text, printed);
        let pretty = format_query(&text, EXTENSIONS).unwrap();
        let again = parse(&pretty, EXTENSIONS).map_err(|e| TestCaseError::fail(format!("{text} as {pretty}: {e}")))?;
        prop_assert_eq!(&again, &expr, "{} as {}", text, pretty);
    }

    #[test]
    fn never_panics_on_any_text(text in "\\PC{0,60}") {
        let _ = parse(&text, EXTENSIONS);
    }

    #[test]
    fn never_panics_on_broken_queries(seed: u64, cut in 0usize..200, insert in "[^a-z]{0,2}") {
        let mut text = Generator(seed).metric(2);
        let mut at = cut.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        text.insert_str(at, &insert);
        let _ = parse(&text, EXTENSIONS);
        text.truncate(at);
        let _ = parse(&text, ParseOptions::default());
    }
}
