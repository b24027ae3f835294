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
        ("no template at all", "no template at all"),
        (r#"{{ define "pair" }}<{{ .arg1 }},{{ .arg0 }}>{{ end }}{{ template "pair" (args true "b") }}"#, "<b,true>"),
        (
            r#"{{ with query "disk" | first }}{{ . | value }} on {{ . | label "instance" }}{{ . | label "none" }}{{ end }}"#,
            "21 on b",
        ),
        (r#"{{ query "disk" | first | strvalue }}"#, "text"),
        (
            r#"{{ $worst := query "disk" | first }}{{ $worst.Labels.instance }}{{ $worst.Labels.none }}={{ $worst.Value }}"#,
            "b=21",
        ),
        (
            r#"{{ range sortByLabel "instance" (query "disk") }}[{{ .Labels.instance }} {{ .Value }}]{{ end }}"#,
            "[a 11][b 21]",
        ),
        (r#"{{ if query "missing" }}some{{ else }}none{{ end }} of {{ query "disk" | len }}"#, "none of 2"),
        (r#"{{ reReplaceAll "^(\\w+)-\\d+$" "$1" "web-17" }}"#, "web"),
        (
            r#"{{ humanize 0 }} {{ humanize -2 }} {{ humanize 45678.0 }} {{ humanize "0.0035" }} {{ humanize 2e27 }}"#,
            "0 -2 45.68k 3.5m 2000Y",
        ),
        (r#"{{ humanize1024 0.5 }} {{ humanize1024 1536 }} {{ humanize1024 "5368709120" }}"#, "0.5 1.5ki 5Gi"),
        (
            r#"{{ humanizePercentage 0.065432 }} {{ humanizePercentage "-1" }} {{ humanizePercentage 0 }}"#,
            "6.543% -100% 0%",
        ),
        ("{{ humanizeTimestamp 1767607200.5 }}", "2026-01-05 10:00:00.5 +0000 UTC"),
        (r#"{{ humanizeTimestamp "-Inf" }}"#, "-Inf"),
        (r#"{{ (toTime 1767607200).Format "02.01.06" }}"#, "05.01.26"),
        ("{{ (toDuration 5400).Minutes }} {{ toDuration \"0.25\" }}", "90 250ms"),
        ("{{ now }} {{ now | humanizeTimestamp }}", "1.353755652e+09 2012-11-24 11:14:12 +0000 UTC"),
        (r#"{{ ((now | toTime).Add (parseDuration "-1d" | toDuration)).Unix }}"#, "1353669252"),
        (
            r#"{{ parseDuration "1d2h3m4s5ms" | printf "%.3f" }} {{ parseDuration "0" }} {{ parseDuration "2w" }}"#,
            "93784.005 0 1.2096e+06",
        ),
        (r#"{{ parseDurationTime "1h30m" }} {{ (parseDurationTime "-2m").Seconds }}"#, "1h30m0s -120"),
        (r#"{{ title "disk FULL on web-1" }} {{ toUpper "ok" }} {{ toLower "OK" }}"#, "Disk FULL On Web-1 OK ok"),
        (r#"{{ match "^web" "web-1" }} {{ match "^web" "db-web" }}"#, "true false"),
        (
            r#"{{ graphLink "a > 1" }} {{ tableLink "a{b=\"c\"}" }}"#,
            "/graph?g0.expr=a+%3E+1&g0.tab=0 /graph?g0.expr=a%7Bb%3D%22c%22%7D&g0.tab=1",
        ),
        (
            r#"{{ define "inner" }}({{ . }}){{ end }}{{ $which := "inner" }}{{ tmpl $which 7 }} {{ safeHtml "<i>" }}"#,
            "(7) <i>",
        ),
        ("{{ externalURL }} has {{ pathPrefix }}", "http://testhost:9090/path/prefix has /path/prefix"),
        (r#"{{ urlQueryEscape "x=1 & y" }}"#, "x%3D1+%26+y"),
        (
            r#"{{ stripPort "shop.internal:8443" }} {{ stripPort "shop" }} {{ stripPort "10.1.2.3:80" }}"#,
            "shop.internal shop 10.1.2.3",
        ),
        (
            r#"{{ stripPort "[fe80::1]:80" }} {{ stripPort "fe80::1" }} {{ stripPort "[fe80::1]:80:" }}"#,
            "fe80::1 fe80::1 [fe80::1]:80:",
        ),
        (
            r#"{{ stripDomain "shop.internal:8443" }} {{ stripDomain "shop.internal" }} {{ stripDomain "shop" }}"#,
            "shop:8443 shop shop",
        ),
        (r#"{{ stripDomain "10.1.2.3:80" }} {{ stripDomain "[fe80::1]:80" }}"#, "10.1.2.3:80 [fe80::1]:80"),
    ];
    for (text, want) in cases {
        assert_eq!(expand(text, Value::Missing, sets::prometheus()).as_deref(), Ok(*want), "{text}");
    }
    let seconds = [0.0, 2.0, 61.0, 7325.0, 172_800.0, -100_000.5, 59.999, 0.25, 0.000_002, 33.333_333, -0.5];
    let text = "{{ range . }}{{ humanizeDuration . }}|{{ end }}";
    let want = "0s|2s|1m 1s|2h 2m 5s|2d 0h 0m 0s|-1d 3h 46m 40s|60s|250ms|2us|33.33s|-500ms|";
    assert_eq!(expand(text, numbers(&seconds), sets::prometheus()).as_deref(), Ok(want));
    let odd = numbers(&[f64::INFINITY, f64::NAN]);
    let text = "{{ range . }}{{ humanize . }} {{ humanize1024 . }} {{ humanizeDuration . }} {{ humanizeTimestamp . }}|{{ end }}";
    assert_eq!(expand(text, odd, sets::prometheus()).as_deref(), Ok("+Inf +Inf +Inf +Inf|NaN NaN NaN NaN|"));
}

#[test]
fn failures() {
    let cases: &[(&str, &str)] = &[
        ("text {{ .x", "template: test:1: unclosed action"),
        ("{{\u{a0}}}", "template: test:1: unrecognized character in action: U+00A0"),
        (
            r#"{{ first (query "missing") }}"#,
            r#"template: test:1:3: executing "test" at <first (query "missing")>: error calling first: first() called on vector with no elements"#,
        ),
        (
            r#"{{ (query "missing").size }}"#,
            r#"template: test:1:10: executing "test" at <"missing">: can't evaluate field size in type template.queryResult"#,
        ),
        (
            r#"{{ humanize "many" }}"#,
            r#"template: test:1:3: executing "test" at <humanize "many">: error calling humanize: strconv.ParseFloat: parsing "many": invalid syntax"#,
        ),
        (
            r#"{{ "half" | humanizePercentage }}"#,
            r#"template: test:1:12: executing "test" at <humanizePercentage>: error calling humanizePercentage: strconv.ParseFloat: parsing "half": invalid syntax"#,
        ),
        (
            "{{ humanizeTimestamp 1e12 }}",
            r#"template: test:1:3: executing "test" at <humanizeTimestamp 1e12>: error calling humanizeTimestamp: 1e+12 cannot be represented as a nanoseconds timestamp since it overflows int64"#,
        ),
        (
            r#"{{ parseDuration "1m1h" }}"#,
            r#"template: test:1:3: executing "test" at <parseDuration "1m1h">: error calling parseDuration: not a valid duration string: "1m1h""#,
        ),
        (
            "{{ humanize true }}",
            r#"template: test:1:3: executing "test" at <humanize true>: error calling humanize: can't convert bool to float"#,
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
