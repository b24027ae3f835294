//! Labels and annotations of rules, and the agent's stage.

use foursight_gotemplate::{
    CallResult, Context, Element, Host, Limits, List, Map, MissingKey, Record, TemplateSet, Text, Type, Value, gotime,
    sets,
};

/// A server that answers every query with the same series.
struct Server;

impl Host for Server {
    fn call<'d>(&'d self, name: &str, args: &[Value<'d>]) -> Option<CallResult<'d>> {
        let series = |instance: &'static str, value: f64| {
            let labels = [("__name__", "metric"), ("instance", instance), ("__value__", "text")];
            sets::sample(labels.map(|(name, value)| (Text::from(name), Text::from(value))), value)
        };
        Some(Ok(match (name, args) {
            ("query", [Value::Str(query)]) => {
                let items = match &*query.to_str() {
                    "missing" => Vec::new(),
                    _ => vec![series("b", 21.0), series("a", 11.0)],
                };
                Value::List(List::new(sets::QUERY_RESULT, items))
            }
            ("externalURL", _) => "http://testhost:9090/path/prefix".into(),
            ("pathPrefix", _) => "/path/prefix".into(),
            _ => return None,
        }))
    }
}

fn context() -> Context<'static> {
    Context {
        now: "2012-11-24T11:14:12Z".parse().unwrap(),
        local: gotime::Zone::Utc,
        host: &Server,
        limits: Limits::default(),
    }
}

fn numbers(items: &[f64]) -> Value<'static> {
    static FLOATS: &Type = &Type::plain("[]float64", Element::Float);
    Value::List(List::new(FLOATS, items.iter().copied().map(Value::Float).collect()))
}

fn expand(text: &str, data: Value<'_>, functions: foursight_gotemplate::Functions) -> Result<String, String> {
    let set = TemplateSet::of("test", text, &functions, MissingKey::Zero).map_err(|error| error.to_string())?;
    let context = context();
    set.render(data, &context).map_err(|error| error.to_string())
}

#[test]
fn expansions() {
    let cases: &[(&str, &str)] = &[
        ("plain text", "plain text"),
        (r#"{{define "x"}}{{.arg0}} {{.arg1}}{{end}}{{template "x" (args 1 "2")}}"#, "1 2"),
        (r#"{{ query "metric" | first | value }}"#, "21"),
        (r#"{{ query "metric" | first | label "instance" }}|{{ query "metric" | first | label "foo" }}"#, "b|"),
        (r#"{{ query "metric" | first | strvalue }}"#, "text"),
        (r#"{{ $x := query "metric" | first }}{{ $x.Labels.foo }}{{ $x.Labels.instance }}{{ $x.Value }}"#, "b21"),
        (
            r#"{{ range query "metric" | sortByLabel "instance" }}{{.Labels.instance}}:{{.Value}}: {{end}}"#,
            "a:11: b:21: ",
        ),
        (r#"{{ if query "missing" }}x{{ else }}none{{ end }} {{ len (query "metric") }}"#, "none 2"),
        (r#"{{ reReplaceAll "(a)b" "x$1" "ab" }}"#, "xa"),
        (r#"{{ humanize 0.0 }}:{{ humanize 1 }}:{{ humanize 1234567.0 }}:{{ humanize "0.12" }}"#, "0:1:1.235M:120m"),
        (r#"{{ humanize1024 0.0 }}:{{ humanize1024 1048576 }}:{{ humanize1024 "0.12" }}"#, "0:1Mi:0.12"),
        (r#"{{ -0.22222 | humanizePercentage }}:{{ "1.23456" | humanizePercentage }}"#, "-22.22%:123.5%"),
        ("{{ 1435065584.128 | humanizeTimestamp }}", "2015-06-23 13:19:44.128 +0000 UTC"),
        (r#"{{ "NaN" | humanizeTimestamp }}"#, "NaN"),
        (r#"{{ (1435065584.128 | toTime).Format "2006" }}"#, "2015"),
        ("{{ (1800 | toDuration).String }}", "30m0s"),
        ("{{ now }}", "1.353755652e+09"),
        (r#"{{ (now | toTime).Format "Mon Jan 2 15:04:05 2006" }}"#, "Sat Nov 24 11:14:12 2012"),
        (r#"{{ ("-30m" | parseDuration | toDuration | (now | toTime).Add).UnixMilli }}"#, "1353753852000"),
        (
            r#"{{ printf "%0.2f" (parseDuration "1h2m10ms") }} {{ parseDuration "0" }} {{ parseDuration "1w" }}"#,
            "3720.01 0 604800",
        ),
        (r#"{{ parseDurationTime "1h30m" }} {{ (parseDurationTime "-2m").Seconds }}"#, "1h30m0s -120"),
        (r#"{{ "aa bb CC" | title }} {{ "aa" | toUpper }} {{ "BB" | toLower }}"#, "Aa Bb CC AA bb"),
        (r#"{{ match "a+" "aa" }} {{ match "a+" "b" }}"#, "true false"),
        (
            r#"{{ graphLink "up == 0" }} {{ tableLink "up" }}"#,
            "/graph?g0.expr=up+%3D%3D+0&g0.tab=0 /graph?g0.expr=up&g0.tab=1",
        ),
        (r#"{{ define "a" }}x{{ . }}{{ end }}{{ $name := "a"}}{{ tmpl $name 1 }}{{ "<b>" | safeHtml }}"#, "x1<b>"),
        ("{{ pathPrefix }} {{ externalURL }}", "/path/prefix http://testhost:9090/path/prefix"),
        (r#"{{ urlQueryEscape "a b&c" }}"#, "a+b%26c"),
        (r#"{{ stripPort "foo.example.com:12345" }} {{ stripPort "192.0.2.1" }}"#, "foo.example.com 192.0.2.1"),
        (
            r#"{{ stripPort "[2001:0DB8::1]:12345" }} {{ stripPort "[2001:0DB8::1]::12345" }}"#,
            "2001:0DB8::1 [2001:0DB8::1]::12345",
        ),
        (r#"{{ stripDomain "foo.example.com:12345" }} {{ stripDomain "foo.example.com" }}"#, "foo:12345 foo"),
        (
            r#"{{ stripDomain "192.0.2.1:12345" }} {{ stripDomain "[2001:0DB8::1]:1" }}"#,
            "192.0.2.1:12345 [2001:0DB8::1]:1",
        ),
    ];
    for (text, want) in cases {
        assert_eq!(expand(text, Value::Missing, sets::prometheus()).as_deref(), Ok(*want), "{text}");
    }
    let seconds =
        numbers(&[0.0, 1.0, 60.0, 3600.0, 86400.0, 90000.0, -183_845.0, 899.99, 0.1, 0.0001, 0.12345, 60.5, 1.2345]);
    let text = "{{ range . }}{{ humanizeDuration . }}:{{ end }}";
    let want = "0s:1s:1m 0s:1h 0m 0s:1d 0h 0m 0s:1d 1h 0m 0s:-2d 3h 4m 5s:14m 59s:100ms:100us:123.5ms:1m 0s:1.234s:";
    assert_eq!(expand(text, seconds, sets::prometheus()).as_deref(), Ok(want));
    let odd = numbers(&[f64::INFINITY, f64::NEG_INFINITY, f64::NAN]);
    let text =
        "{{ range . }}{{ humanize . }}:{{ humanize1024 . }}:{{ humanizeDuration . }}:{{humanizeTimestamp .}}:{{ end }}";
    let want = "+Inf:+Inf:+Inf:+Inf:-Inf:-Inf:-Inf:-Inf:NaN:NaN:NaN:NaN:";
    assert_eq!(expand(text, odd, sets::prometheus()).as_deref(), Ok(want));
}

#[test]
fn failures() {
    let cases: &[(&str, &str)] = &[
        ("{{", "template: test:1: unclosed action"),
        ("{{\u{a0}}}", "template: test:1: unrecognized character in action: U+00A0"),
        (
            r#"{{ query "missing" | first }}"#,
            r#"template: test:1:21: executing "test" at <first>: error calling first: first() called on vector with no elements"#,
        ),
        (
            r#"{{ (query "missing").banana }}"#,
            r#"template: test:1:10: executing "test" at <"missing">: can't evaluate field banana in type template.queryResult"#,
        ),
        (
            r#"{{ humanize "one" }}"#,
            r#"template: test:1:3: executing "test" at <humanize "one">: error calling humanize: strconv.ParseFloat: parsing "one": invalid syntax"#,
        ),
        (
            r#"{{ "one" | humanizePercentage }}"#,
            r#"template: test:1:11: executing "test" at <humanizePercentage>: error calling humanizePercentage: strconv.ParseFloat: parsing "one": invalid syntax"#,
        ),
        (
            "{{ humanizeTimestamp -9223372036854775808 }}",
            r#"template: test:1:3: executing "test" at <humanizeTimestamp -9223372036854775808>: error calling humanizeTimestamp: -9.223372036854776e+18 cannot be represented as a nanoseconds timestamp since it overflows int64"#,
        ),
        (
            r#"{{ parseDuration "1x" }}"#,
            r#"template: test:1:3: executing "test" at <parseDuration "1x">: error calling parseDuration: not a valid duration string: "1x""#,
        ),
    ];
    for (text, want) in cases {
        assert_eq!(expand(text, Value::Missing, sets::prometheus()), Err((*want).to_owned()), "{text}");
    }
}

#[test]
fn labels_of_dashboard_rules() {
    static VALUE: &Type = &Type::plain("template.Value", Element::Any);
    let labels = |pairs: &[(&'static str, &'static str)]| {
        let entries = pairs.iter().map(|(name, value)| (Text::from(*name), Value::from(*value))).collect();
        Value::Map(Map::new(Type::STR_MAP, entries))
    };
    let value = |pairs: &[(&'static str, &'static str)], number: f64| {
        Value::Record(Record::new(VALUE, vec![("Labels", labels(pairs)), ("Value", Value::Float(number))]))
    };
    let data = || {
        Value::map([
            ("Labels", labels(&[("team", "a"), ("tier", "x"), ("__name", "n")])),
            (
                "Values",
                Value::map([("A", value(&[("host", "h1"), ("z", "1")], 1.5)), ("B", value(&[("host", "h2")], 2.0))]),
            ),
        ])
    };
    for (text, want) in [
        (
            "{{ $labels := .Labels }}{{ $labels.team }} {{ .Values.A.Value }} {{ $labels }}",
            "a 1.5 map[__name:n team:a tier:x]",
        ),
        (r#"{{ filterLabels .Labels "t" }} {{ removeLabels .Labels "__" }}"#, "map[team:a tier:x] map[team:a tier:x]"),
        (r#"{{ filterLabelsRe .Labels "r$" }} {{ removeLabelsRe .Labels "^t" }}"#, "map[tier:x] map[__name:n]"),
        ("{{ mergeLabelValues .Values }}", "map[host:h1, h2 z:1]"),
        ("{{ (mergeLabelValues .Values).host | toUpper }}", "H1, H2"),
    ] {
        assert_eq!(expand(text, data(), sets::grafana_rules()).as_deref(), Ok(want), "{text}");
    }
}

#[test]
fn the_agents_stage() {
    let data = || Value::map([("Value", Value::from("Hello World")), ("app", "loki".into()), ("Entry", "a=1".into())]);
    for (text, want) in [
        (
            "{{ .Value | ToUpper }} {{ ToLower .Value }} {{ Replace .Value \" \" \"_\" -1 }}",
            "HELLO WORLD hello world Hello_World",
        ),
        ("{{ .missing }}|{{ .missing | default \"none\" }}", "<no value>|none"),
        ("{{ regexReplaceAll \"(o)\" .Value \"<$1>\" }}", "Hell<o> W<o>rld"),
        ("{{ regexReplaceAllLiteral \"o\" .Value \"$1\" }}", "Hell$1 W$1rld"),
        ("{{ Sha2Hash \"salt\" \"x\" }}", "c9ef43a03d58f2cb9b0c4b069c179595739f5181a5565c8db5dbb124564ea819"),
        ("{{ Hash \"\" \"\" }}", "a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a"),
        ("{{ Hash \"ab\" \"c\" }}", "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532"),
        (
            "{{ regexMatch \"^H\" .Value }} {{ regexFind \"o.\" .Value }} {{ regexFindAll \"o\" .Value 1 }}",
            "true o  [o]",
        ),
        (
            "{{ splitList \" \" .Value | join \"-\" }} {{ (split \" \" .Value)._1 }} {{ (splitn \"l\" 2 .Value)._1 }}",
            "Hello-World World lo World",
        ),
        ("{{ quote .app 1 nil }} {{ squote .app }} {{ cat .app nil 2 }}", "\"loki\" \"1\" 'loki' loki 2"),
        ("{{ coalesce \"\" 0 .app }} {{ ternary \"y\" \"n\" true }} {{ empty .app }}", "loki y false"),
        ("{{ add1 \"41\" }} {{ atoi \"x\" }} {{ int64 3.9 }} {{ mod 7 4 }}", "42 0 3 3"),
        (
            "{{ dict \"a\" 1 \"b\" (list 1 \"x\") | toJson }} {{ hasKey (dict \"a\" 1) \"b\" }} {{ get (dict \"a\" 1) \"a\" }}",
            "{\"a\":1,\"b\":[1,\"x\"]} false 1",
        ),
        ("{{ first (list 1 2 3) }}{{ last (list 1 2 3) }}{{ reverse (list 1 2 3) }}", "13[3 2 1]"),
        (
            "{{ untitle .Value }} {{ nospace .Value }} {{ title \"ab cd\" }} {{ trunc 4 .Value }}",
            "hello World HelloWorld Ab Cd Hell",
        ),
        (
            "{{ b64enc .app }} {{ b64dec \"bG9raQ==\" }} {{ b64dec \"bG9raQ\" }}",
            "bG9raQ== loki illegal base64 data at input byte 4",
        ),
        ("{{ regexQuoteMeta \"a.b\" }} {{ toString 1.5 }} {{ sha256sum \"\" | trunc 8 }}", "a\\.b 1.5 e3b0c442"),
    ] {
        let set = TemplateSet::of("pipeline_template", text, &sets::agent(), MissingKey::Default).unwrap();
        let context = context();
        assert_eq!(set.render(data(), &context).as_deref(), Ok(want), "{text}");
    }
    let error = TemplateSet::of("p", "{{ __line__ }}", &sets::agent(), MissingKey::Default).unwrap_err();
    assert_eq!(error.to_string(), "template: p:1: function \"__line__\" not defined");
}
