use proptest::prelude::*;

use super::*;

fn texts(result: Result<Vec<AlertMatcher>, MatcherError>) -> Result<Vec<String>, String> {
    result.map(|m| m.iter().map(ToString::to_string).collect()).map_err(|e| e.message)
}

#[test]
fn the_newer_grammar() {
    let good: [(&str, &[&str]); 12] = [
        ("", &[]),
        ("{}", &[]),
        ("{ }", &[]),
        ("{foo=bar}", &[r#"foo="bar""#]),
        ("foo=bar", &[r#"foo="bar""#]),
        ("foo = bar , baz != qux,", &[r#"foo="bar""#, r#"baz!="qux""#]),
        (r#"{foo=~"[a-z]+",bar!~"x"}"#, &[r#"foo=~"[a-z]+""#, r#"bar!~"x""#]),
        (r#"{"foo bar"="baz\t"}"#, &[r#""foo bar"="baz\t""#]),
        ("Σbar=Σ", &[r#"Σbar="Σ""#]),
        (r#"{foo="\"bar\""}"#, &[r#"foo="\"bar\"""#]),
        (r#"{foo=🙂,}"#, &[r#"foo="🙂""#]),
        (r#"foo="""#, &[r#"foo="""#]),
    ];
    for (text, want) in good {
        assert_eq!(texts(utf8::parse(text)), Ok(want.iter().map(|s| (*s).to_owned()).collect()), "{text}");
    }
    let bad = [
        ("{", "0:1: end of input: expected close brace"),
        ("}", "0:1: }: expected opening brace"),
        ("{foo=bar", "0:8: end of input: expected close brace"),
        ("foo=bar}", "0:8: }: expected opening brace"),
        ("{foo}", "4:5: unexpected }: expected an operator such as '=', '!=', '=~' or '!~'"),
        ("{foo=}", "5:6: unexpected }: expected label value"),
        ("{=bar}", "1:2: unexpected =: expected label name"),
        ("{foo=bar baz}", "9:12: unexpected baz: expected a comma or close brace"),
        ("{foo=bar,,}", "9:10: unexpected ,: expected a matcher or close brace after comma"),
        (r#"{foo="bar}"#, r#"5:10: "bar}: missing end ""#),
        ("{foo!bar}", "4:5: !: expected one of '=~'"),
        ("foo!", "3:4: unexpected end of input, expected one of '=~'"),
        ("{foo='bar'}", "5:6: ': invalid input"),
        ("{foo=bar}}", "9:10: }: expected end of input"),
        ("{,}", "1:2: unexpected ,: expected label name"),
        ("foo", "end of input: expected an operator such as '=', '!=', '=~' or '!~'"),
    ];
    for (text, want) in bad {
        assert_eq!(texts(utf8::parse(text)), Err(want.to_owned()), "{text}");
    }
    assert!(texts(utf8::parse("foo=~[")).is_err_and(|e| e.contains("missing closing ]")));
}

#[test]
fn the_older_grammar() {
    let good: [(&str, &[&str]); 12] = [
        ("", &[]),
        ("{}", &[]),
        ("{foo='}", &[r#"foo="'""#]),
        (r#"{foo="bar"}"#, &[r#"foo="bar""#]),
        (r#"{foo=~"bar.*",baz!="x"}"#, &[r#"foo=~"bar.*""#, r#"baz!="x""#]),
        ("foo=bar,dings!=bums", &[r#"foo="bar""#, r#"dings!="bums""#]),
        (r#"{quote="She said: \"Hi, ladies!\""}"#, &[r#"quote="She said: \"Hi, ladies!\"""#]),
        ("statuscode=~5..", &[r#"statuscode=~"5..""#]),
        ("tricky=~~~", &[r#"tricky=~"~~""#]),
        (r"trickier==\\=\=", &[r#"trickier="=\\=\\=""#]),
        ("contains_newline=a\\nb", &[r#"contains_newline="a\nb""#]),
        ("job!~", &[r#"job!~"""#]),
    ];
    for (text, want) in good {
        assert_eq!(texts(classic::parse(text)), Ok(want.iter().map(|s| (*s).to_owned()).collect()), "{text}");
    }
    for text in [r#"job="value"#, r#"job=value""#, "1foo=bar", "foo-bar=x", "foo", r#"a="b"c"#, r#"foo="bar",,"#] {
        assert!(classic::parse(text).is_err(), "{text}");
    }
}

#[test]
fn both_grammars_together() {
    let read = |text| texts(parse_matchers(text, MatcherMode::Fallback));
    // Only the older reads an unquoted value with spaces or braces, only the newer a quoted name.
    assert_eq!(read("foo=bar baz"), Ok(vec![r#"foo="bar baz""#.to_owned()]));
    assert_eq!(read(r#"{"foo.bar"="x"}"#), Ok(vec![r#"foo.bar="x""#.to_owned()]));
    // They differ on escapes: the older wins.
    assert_eq!(read(r#"foo="a\tb""#), Ok(vec![r#"foo="a\\tb""#.to_owned()]));
    assert!(matchers_warning(r#"foo="a\tb""#).is_some());
    assert!(matchers_warning("foo=bar baz").is_some());
    assert!(matchers_warning(r#"foo="bar""#).is_none());
    assert!(parse_matcher("{foo=bar}", MatcherMode::Fallback).is_err());
    assert!(parse_matcher("a=b,c=d", MatcherMode::Utf8).is_err());
    assert!(
        parse_matcher("foo bar", MatcherMode::Fallback).is_err_and(|e| e.message.starts_with("bad matcher format"))
    );
    assert!(texts(parse_matchers("foo=bar baz", MatcherMode::Utf8)).is_err());
}

#[test]
fn matching() {
    let labels = Labels::from_pairs([("a", "one"), ("b", "line1\nline2")]);
    let cases = [
        (MatchOp::Equal, "a", "one", true),
        (MatchOp::NotEqual, "a", "one", false),
        (MatchOp::Equal, "none", "", true),
        (MatchOp::NotEqual, "none", "", false),
        (MatchOp::Regex, "a", "on.|two", true),
        (MatchOp::Regex, "a", "o", false),
        (MatchOp::NotRegex, "a", "o", true),
        (MatchOp::Regex, "none", ".*", true),
        (MatchOp::Regex, "b", "line1.*", false),
        (MatchOp::Regex, "b", "(?s)line1.*", true),
    ];
    for (op, name, value, want) in cases {
        let matcher = AlertMatcher::new(op, name, value).expect("the patterns are well formed");
        assert_eq!(matcher.matches_labels(&labels), want, "{matcher}");
    }
}

#[test]
fn forms() {
    let matchers = parse_matchers(r#"b=~"x", a!="y", a="y""#, MatcherMode::Fallback).expect("well formed");
    let sorted = Matchers::sorted(matchers);
    assert_eq!(sorted.to_string(), r#"{a="y",a!="y",b=~"x"}"#);
    let json = serde_json::to_string(&sorted).expect("matchers are always JSON");
    assert_eq!(
        json,
        concat!(
            r#"[{"name":"a","value":"y","isRegex":false,"isEqual":true},"#,
            r#"{"name":"a","value":"y","isRegex":false,"isEqual":false},"#,
            r#"{"name":"b","value":"x","isRegex":true,"isEqual":true}]"#
        )
    );
    assert_eq!(serde_json::from_str::<Matchers>(&json).ok(), Some(sorted));
    let short: Result<AlertMatcher, _> = serde_json::from_str(r#"{"name":"a","value":"b"}"#);
    assert_eq!(short.ok(), Some(AlertMatcher::equal("a", "b")));
    assert!(serde_json::from_str::<AlertMatcher>(r#"{"name":"a","value":"[","isRegex":true}"#).is_err());
}

proptest! {
    #[test]
    fn no_text_breaks_the_parsers(text in "[a-z{}=!~,\"\\\\' \u{e4}]{0,30}") {
        let _ = parse_matchers(&text, MatcherMode::Fallback);
        let _ = parse_matcher(&text, MatcherMode::Utf8);
    }

    /// What a matcher prints, the newer grammar reads back.
    #[test]
    fn printed_matchers_read_back(name in "[a-z .\u{e4}]{1,5}", value in "[a-z\"\\\\\n{}=,]{0,10}", negative in any::<bool>()) {
        let op = if negative { MatchOp::NotEqual } else { MatchOp::Equal };
        let matcher = AlertMatcher::new(op, &name, &value).map_err(|e| TestCaseError::fail(e.to_string()))?;
        let read = utf8::parse(&matcher.to_string()).map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(read, vec![matcher]);
    }
}
