//! Every function of log lines, with the ends and edges of its arguments.

use foursight_gotemplate::gotime::{Time, Zone};
use foursight_gotemplate::{CallResult, Context, Function, Functions, Host, MissingKey, TemplateSet, Value, sets};

struct Line;

impl Host for Line {
    fn call<'d>(&'d self, name: &str, args: &[Value<'d>]) -> Option<CallResult<'d>> {
        Some(Ok(match name {
            "__line__" => Value::from("The LINE"),
            "__timestamp__" => Time::from_unix(1_767_607_200, 123_456_789, Zone::Utc).into(),
            "routeLabels" => args[0].clone(),
            _ => return None,
        }))
    }
}

fn render(template: &str, functions: &Functions) -> String {
    let labels =
        [("a", "Hello, World"), ("d", "1m30s"), ("e", ""), ("n", "42"), ("s", "  x y  "), ("u", "héllo wörld")];
    let context = Context { host: &Line, ..Context::at("2026-01-05T10:00:00Z".parse().unwrap()) };
    let set = TemplateSet::of("line", template, functions, MissingKey::Zero).unwrap();
    match set.render(Value::Object(&labels), &context) {
        Ok(text) => text,
        Err(error) => {
            let error = error.to_string();
            format!("! {}", error.split_once(">: ").map_or(&*error, |(_, message)| message))
        }
    }
}

#[test]
fn results() {
    let functions = sets::loki();
    let cases: &[(&str, &str)] = &[
        (r#"{{ __line__ }} {{ __timestamp__ }}"#, "The LINE 2026-01-05 10:00:00.123456789 +0000 UTC"),
        (
            r#"{{ ToLower .a }} {{ ToUpper .u }} {{ lower .a }} {{ upper .a }}"#,
            "hello, world HÉLLO WÖRLD hello, world HELLO, WORLD",
        ),
        (
            r#"{{ Replace .a "l" "L" 2 }} {{ Replace .a "l" "" -1 }} {{ Replace .n "" "-" 2 }} {{ Replace .a "l" "x" 0 }}"#,
            "HeLLo, World Heo, Word -4-2 Hello, World",
        ),
        (r#"{{ replace "o" "0" .a }} {{ replace "" "." .n }}"#, "Hell0, W0rld .4.2."),
        (
            r#"{{ Trim "xxayxx" "x" }} {{ TrimLeft "xxaxx" "x" }} {{ TrimRight "xxaxx" "x" }} {{ TrimSpace .s }}|"#,
            "ay axx xxa x y|",
        ),
        (
            r#"{{ TrimPrefix .a "Hello" }}|{{ TrimSuffix .a "World" }}|{{ TrimPrefix .a "x" }}"#,
            ", World|Hello, |Hello, World",
        ),
        (
            r#"{{ trim .s }}|{{ trimAll "Hd" .a }}|{{ trimPrefix "Hello" .a }}|{{ trimSuffix "World" .a }}"#,
            "x y|ello, Worl|, World|Hello, ",
        ),
        (r#"{{ trimAll "é" "éxé" }} {{ trim "\u00a0x\u0085" }}|"#, "x x|"),
        (
            r#"{{ regexReplaceAll "(l+)o" .a "<${1}>" }} {{ regexReplaceAll "(?P<x>W)" .a "$x$x" }}"#,
            "He<ll>, World Hello, WWorld",
        ),
        (
            r#"{{ regexReplaceAllLiteral "l+" .a "$1" }} {{ count "[lo]" .a }} {{ count "x*" "ab" }}"#,
            "He$1o, Wor$1d 5 3",
        ),
        (
            r#"{{ regexReplaceAll "(" .a "" }}"#,
            "! error calling regexReplaceAll: error parsing regexp: missing closing ): `(`",
        ),
        (r#"{{ urlencode "a b/é?" }} {{ urldecode "a+b%2F%C3%A9" }}"#, "a+b%2F%C3%A9%3F a b/é"),
        (r#"{{ urldecode "%zz" }}"#, r#"! error calling urldecode: invalid URL escape "%zz""#),
        (
            r#"{{ b64enc .u }} {{ b64dec "aGk=" }} {{ b64dec "aGk" }} {{ b64dec "aGkh" }}"#,
            "aMOpbGxvIHfDtnJsZA== hi hi hi!",
        ),
        (
            r#"{{ b64dec "***" }} {{ b64dec "a" }}"#,
            "illegal base64 data at input byte 0 illegal base64 data at input byte 0",
        ),
        (
            r#"{{ (fromJson `{"a":{"b":[1,2.5,"x",null,true]}}`).a.b }} {{ fromJson "[" }}"#,
            "[1 2.5 x <nil> true] <no value>",
        ),
        (r#"{{ range $k, $v := fromJson `{"z":1,"a":"x"}` }}{{ $k }}={{ $v }};{{ end }}"#, "a=x;z=1;"),
        (r#"{{ (fromJson "{}").x.y }}"#, "! nil pointer evaluating interface {}.y"),
        (
            r#"{{ bytes "1KB" }} {{ bytes "1.5GiB" }} {{ bytes "2MB" }} {{ bytes "3 kib" }} {{ bytes "7" }} {{ bytes "1,024" }}"#,
            "1000 1.610612736e+09 2e+06 3072 7 1024",
        ),
        (r#"{{ bytes "x" }}"#, r#"! error calling bytes: strconv.ParseFloat: parsing "": invalid syntax"#),
        (r#"{{ bytes "1XB" }}"#, "! error calling bytes: unhandled size name: xb"),
        (r#"{{ duration .d }} {{ duration_seconds "250ms" }} {{ .d | duration | mulf 1000 }}"#, "90 0.25 90000"),
        (r#"{{ duration "zz" }}"#, r#"! error calling duration: time: invalid duration "zz""#),
        (
            r#"{{ unixEpoch __timestamp__ }} {{ unixEpochMillis __timestamp__ }} {{ unixEpochNanos __timestamp__ }}"#,
            "1767607200 1767607200123 1767607200123456789",
        ),
        (
            r#"{{ date "2006-01-02" (unixToTime "20458") }} {{ unixToTime "1767607200" }}"#,
            "2026-01-05 2026-01-05 10:00:00 +0000 UTC",
        ),
        (
            r#"{{ unixToTime "1767607200123" | unixEpochNanos }} {{ unixToTime "1767607200123456" | unixEpochNanos }}"#,
            "1767607200123000000 1767607200123456000",
        ),
        (r#"{{ unixToTime "123" }}"#, "! error calling unixToTime: unable to parse time '123': %!w(<nil>)"),
        (
            r#"{{ unixToTime "abc" }}"#,
            r#"! error calling unixToTime: unable to parse time 'abc': strconv.ParseInt: parsing "abc": invalid syntax"#,
        ),
        (
            r#"{{ toDate "2006-01-02" "2026-01-05" }} {{ toDate "2006-01-02" "bad" | unixEpoch }}"#,
            "2026-01-05 00:00:00 +0000 UTC -62135596800",
        ),
        (
            r#"{{ toDateInZone "2006-01-02 15:04" "Europe/Berlin" "2026-07-05 10:00" }}"#,
            "2026-07-05 10:00:00 +0200 CEST",
        ),
        (r#"{{ toDateInZone "2006-01-02" "Nowhere" "2026-07-05" | unixEpoch }}"#, "1783209600"),
        (
            r#"{{ now | date "Mon Jan _2 15:04:05.000 2006 PM" }} {{ date "2006" 0 }} {{ date "2006" "x" }}"#,
            "Mon Jan  5 10:00:00.000 2026 AM 1970 2026",
        ),
        (
            r#"{{ alignLeft 4 .n }}|{{ alignLeft 3 .u }}|{{ alignLeft -1 .n }}|{{ alignRight 4 .n }}|{{ alignRight 3 .u }}|"#,
            "42  |hél|42|  42|rld|",
        ),
        (r#"{{ title "foo bar_baz don't" }} {{ title "éa ßb" }}"#, "Foo Bar_baz Don'T Éa ßb"),
        (
            r#"{{ trunc 3 .a }} {{ trunc -3 .a }} {{ trunc 99 .a }} {{ trunc -99 .a }} {{ trunc 0 .a }}|{{ trunc 2 .u }}|"#,
            "Hel rld Hello, World Hello, World |h\u{fffd}|",
        ),
        (
            r#"{{ substr 0 4 .a }} {{ substr 7 99 .a }} {{ substr 7 -1 .a }} {{ substr -1 2 .a }}"#,
            "Hell World World He",
        ),
        (
            r#"{{ substr -1 99 .a }}"#,
            "! error calling substr: runtime error: slice bounds out of range [:99] with length 12",
        ),
        (r#"{{ substr 99 -1 .a }}"#, "! error calling substr: runtime error: slice bounds out of range [99:12]"),
        (r#"{{ substr 5 3 .a }}"#, "! error calling substr: runtime error: slice bounds out of range [5:3]"),
        (
            r#"{{ contains "lo" .a }} {{ contains "" .e }} {{ hasPrefix "He" .a }} {{ hasSuffix "ld" .a }} {{ hasSuffix "x" .a }}"#,
            "true true true true false",
        ),
        (r#"{{ indent 2 "a\nb" }}{{ nindent 1 "c" }}"#, "  a\n  b\n c"),
        (r#"{{ repeat 3 "ab" }}{{ repeat 0 "x" }}|"#, "ababab|"),
        (r#"{{ repeat -1 "x" }}"#, "! error calling repeat: strings: negative Repeat count"),
        (
            r#"{{ default "d" .e }} {{ default "d" .nope }} {{ default "d" .n }} {{ .n | default 1 }} {{ default "d" 0 }} {{ default "d" }}"#,
            "d d 42 42 d d",
        ),
        (
            r#"{{ int "7" }} {{ int "7.9" }} {{ int "0x1F" }} {{ int "010" }} {{ int "abc" }} {{ int "" }} {{ int true }} {{ int 3.9 }} {{ int -3.9 }}"#,
            "7 7 31 8 0 0 1 3 -3",
        ),
        (
            r#"{{ float64 "3.14" }} {{ float64 "abc" }} {{ float64 7 }} {{ float64 "12345678.9" }}"#,
            "3.14 0 7 1.23456789e+07",
        ),
        (
            r#"{{ add 1 2 3 .n }} {{ add }} {{ sub 5 8 }} {{ mul 2 3 .n }} {{ div 7 2 }} {{ div -7 2 }} {{ mod 7 3 }} {{ mod -7 3 }}"#,
            "48 0 -3 252 3 -3 1 -1",
        ),
        (
            r#"{{ add 9223372036854775807 1 }} {{ div -9223372036854775808 -1 }}"#,
            "-9223372036854775808 -9223372036854775808",
        ),
        (r#"{{ div 1 0 }}"#, "! error calling div: runtime error: integer divide by zero"),
        (r#"{{ mod 1 .nope }}"#, "! error calling mod: runtime error: integer divide by zero"),
        (
            r#"{{ addf 0.1 0.2 }} {{ subf 10 .n 1.5 }} {{ mulf .n 1.5 }} {{ divf 10 3 }} {{ divf 1 8 2 }}"#,
            "0.3 -33.5 63 3.3333333333333335 0.0625",
        ),
        (r#"{{ divf 1 0 }}"#, "! error calling divf: decimal division by 0"),
        (r#"{{ addf "NaN" 1 }}"#, "! error calling addf: Cannot create a Decimal from NaN"),
        (r#"{{ max 1 .n 3 }} {{ min 1 .n -3 }} {{ maxf 1.5 .n }} {{ minf 1.5 .n }} {{ max 1.9 1 }}"#, "42 -3 42 1.5 1"),
        (r#"{{ ceil 1.2 }} {{ ceil "-1.2" }} {{ floor 1.8 }} {{ floor -1.2 }}"#, "2 -1 1 -2"),
        (
            r#"{{ round 1.2345 2 }} {{ round 1.235 2 }} {{ round 1.5 0 }} {{ round 1234.5 -2 }} {{ round 1.2345 3 0.9 }}"#,
            "1.23 1.24 2 1200 1.234",
        ),
        (r#"{{ .a | lower | trunc 5 | upper | repeat 2 | len }}"#, "10"),
        (r#"{{ trunc "3" .a }}"#, r#"! expected integer; found "3""#),
        (r#"{{ trunc .n .a }}"#, "! wrong type for value; expected int; got string"),
        (r#"{{ lower 5 }}"#, "! expected string; found 5"),
        (r#"{{ .a | now }}"#, "! wrong number of args for now: want 0 got 1"),
        (r#"{{ .a | ToUpper | Replace }}"#, "! wrong number of args for Replace: want 4 got 1"),
    ];
    for (template, want) in cases {
        assert_eq!(render(template, &functions), *want, "{template}");
    }
}

#[test]
fn what_is_known_of_a_template_before_it_runs() {
    let of = |text: &str| TemplateSet::of("line", text, &sets::loki(), MissingKey::Zero).unwrap();
    assert_eq!(of("{{ .msg }}").single_field(), Some("msg"));
    for text in ["{{ .msg }} ", "{{ .a.b }}", "{{ .msg | lower }}", "text", "{{ __line__ }}"] {
        assert_eq!(of(text).single_field(), None, "{text}");
    }
    let set = of(
        "{{ if .a }}{{ .b | printf .c }}{{ end }}{{ range $x := .d.e }}{{ $x.f }}{{ (index .g 1).h }}{{ end }}{{ .a }}",
    );
    assert_eq!(set.fields(), ["a", "b", "c", "d", "e", "f", "g", "h"]);
}

#[test]
fn messages_have_their_own() {
    let functions = sets::alertmanager();
    for (template, want) in [
        (r#"{{ trimSpace .s }}|{{ safeUrl "a b" }} {{ routeLabels "team" }}"#, "x y|a b team"),
        (r#"{{ now }} {{ title .u }}"#, "2026-01-05 10:00:00 +0000 UTC Héllo Wörld"),
    ] {
        assert_eq!(render(template, &functions), want, "{template}");
    }
}

#[test]
fn tables_are_whole() {
    fn shared_by_threads<T: Send + Sync>() {}
    shared_by_threads::<TemplateSet>();
    let sets =
        [sets::loki(), sets::agent(), sets::prometheus(), sets::alertmanager(), sets::grafana(), sets::grafana_rules()];
    for set in &sets {
        for function in set.all() {
            assert!(!function.doc.is_empty(), "{} says nothing about itself", function.name);
        }
    }
    let has = |set: &Functions, names: &str| {
        names.split_whitespace().filter(|name| set.get(name).is_none()).map(str::to_owned).collect::<Vec<_>>()
    };
    let builtins = "and or not eq ne lt le gt ge index slice len print printf println html js urlquery call";
    sets.iter().for_each(|set| assert_eq!(has(set, builtins), [""; 0]));
    let lines = "__line__ __timestamp__ date toDate toDateInZone now unixEpoch unixEpochMillis unixEpochNanos unixToTime \
        duration duration_seconds alignLeft alignRight b64enc b64dec bytes default fromJson lower upper title indent nindent \
        repeat replace substr trunc trim trimAll trimPrefix trimSuffix urlencode urldecode contains hasPrefix hasSuffix \
        ToLower ToUpper Replace Trim TrimLeft TrimRight TrimPrefix TrimSuffix TrimSpace add sub mul div mod addf subf mulf \
        divf max min maxf minf ceil floor round int float64 regexReplaceAll regexReplaceAllLiteral count";
    assert_eq!(has(&sets[0], lines), [""; 0]);
    let rules = "query first label value sortByLabel strvalue humanize humanize1024 humanizeDuration humanizePercentage \
        humanizeTimestamp toTime toDuration now title toUpper toLower stripPort stripDomain match reReplaceAll graphLink \
        tableLink parseDuration parseDurationTime args tmpl safeHtml externalURL pathPrefix urlQueryEscape";
    assert_eq!(has(&sets[2], rules), [""; 0]);
    let messages = "toUpper toLower title trimSpace join match reReplaceAll safeHtml safeUrl urlUnescape stringSlice date tz \
        since humanizeDuration toJson base64encode base64decode now dict list append routeLabels toDate mustToDate";
    assert_eq!(has(&sets[3], messages), [""; 0]);
    let _: Option<&'static Function> = sets[0].get("trunc");
}
