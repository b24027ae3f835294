//! Whatever the template and the data: no panic, no overflow of the stack, no unbounded time or memory.

use foursight_gotemplate::{Context, Error, Limit, Limits, MissingKey, TemplateSet, Value, sets};
use proptest::prelude::*;

fn context(limits: Limits) -> Context<'static> {
    Context { limits, ..Context::at("2026-01-01T00:00:00Z".parse().unwrap()) }
}

fn limit_of(template: &str, limits: Limits) -> Option<Limit> {
    let set = TemplateSet::of("t", template, &sets::agent(), MissingKey::Zero).unwrap();
    let data = Value::map([("long", Value::from("x".repeat(100_000)))]);
    let context = context(limits);
    match set.render(data, &context) {
        Err(Error::Execute(error)) => error.limit,
        other => panic!("{template}: {other:?}"),
    }
}

#[test]
fn each_limit_is_an_error() {
    let limits = Limits { steps: 10_000, output: 1 << 20, depth: 250 };
    let steps = Some(Limit::Steps(10_000));
    let output = Some(Limit::Output(1 << 20));
    let depth = Some(Limit::Depth(250));
    for (template, want) in [
        ("{{ range 1000000000 }}{{ end }}", steps),
        ("{{ range 1000 }}{{ range 1000 }}{{ range 1000 }}{{ end }}{{ end }}{{ end }}", steps),
        ("{{ repeat 1000000000 \"x\" }}", output),
        ("{{ repeat 9223372036854775807 \"xx\" }}", output),
        ("{{ indent 1000000000 \"x\" }}", output),
        ("{{ alignLeft 1000000000 \"x\" }}", output),
        ("{{ alignRight 1000000000 \"x\" }}", output),
        ("{{ replace \"x\" .long .long }}", output),
        ("{{ replace \"\" .long .long }}", output),
        ("{{ printf \"%1000000d%1000000d\" 1 2 }}", output),
        ("{{ range 1000 }}{{ $.long }}{{ end }}", output),
        ("{{ $x := \"x\" }}{{ range 1000 }}{{ $x = print $x $x }}{{ end }}", output),
        ("{{ splitList \"\" .long }}", output),
        ("{{ define \"r\" }}{{ template \"r\" }}{{ end }}{{ template \"r\" }}", depth),
        (
            "{{ define \"a\" }}{{ if true }}{{ template \"b\" . }}{{ end }}{{ end }}{{ define \"b\" }}{{ template \"a\" . }}{{ end }}{{ template \"a\" 1 }}",
            depth,
        ),
    ] {
        assert_eq!(limit_of(template, limits), want, "{template}");
    }
}

#[test]
fn deep_templates_fit_the_stack_of_a_thread() {
    // As deep as parsing allows, in every way, on the stack that a server's worker has.
    let run = || {
        let nest = |open: &str, close: &str, depth: usize| format!("{}{}", open.repeat(depth), close.repeat(depth));
        let limits = Limits::default();
        for depth in [50, 190, 100_000] {
            for (open, middle, close) in [
                ("{{ if true }}", "", "{{ end }}"),
                ("{{ with 1 }}", "x", "{{ end }}"),
                ("{{ range 1 }}", "x", "{{ end }}"),
                ("{{ if false }}{{ else }}", "", "{{ end }}"),
                ("{{ block \"b\" . }}", "", "{{ end }}"),
            ] {
                let template = format!("{}{middle}{}", open.repeat(depth), close.repeat(depth));
                let parsed = TemplateSet::of("t", &template, &sets::loki(), MissingKey::Zero);
                assert_eq!(parsed.is_err(), depth > 200 || open.contains("block") && depth > 1, "{open} {depth}");
                if let Ok(set) = parsed {
                    let _ = set.render(Value::Missing, &context(limits));
                    let _ = set.fields();
                }
            }
            for (open, close) in [("(", ")"), ("(not (", "))"), ("(and 1 ", " 1)"), ("(print ", ")")] {
                let template = format!("{{{{ {} 1 {} }}}}", open.repeat(depth), close.repeat(depth));
                if let Ok(set) = TemplateSet::of("t", &template, &sets::loki(), MissingKey::Zero) {
                    let _ = set.render(Value::Missing, &context(limits));
                }
            }
            let chain = format!("{{{{ if 0 }}}}{}{{{{ end }}}}", "{{ else if 0 }}x".repeat(depth));
            let _ = TemplateSet::of("t", &chain, &sets::loki(), MissingKey::Zero).map(|set| {
                let _ = set.render(Value::Missing, &context(limits));
            });
            let _ = TemplateSet::of("t", &nest("{{ (", ") }}", depth), &sets::loki(), MissingKey::Zero);
            let json = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
            let set =
                TemplateSet::of("t", "{{ fromJson .a }}{{ fromJson .a | toJson }}", &sets::agent(), MissingKey::Zero)
                    .unwrap();
            let _ = set.render(Value::map([("a", Value::from(json))]), &context(limits));
        }
        // Recursion that is as deep as possible at each level.
        let branches = 60;
        let template = format!(
            "{{{{ define \"r\" }}}}{}{{{{ template \"r\" (print (print (print .))) }}}}{}{{{{ end }}}}{{{{ template \"r\" 1 }}}}",
            "{{ if true }}".repeat(branches),
            "{{ end }}".repeat(branches)
        );
        let set = TemplateSet::of("t", &template, &sets::loki(), MissingKey::Zero).unwrap();
        assert!(set.render(Value::Missing, &context(limits)).is_err());
    };
    std::thread::Builder::new().stack_size(2 << 20).spawn(run).unwrap().join().unwrap();
}

/// Templates that are nearly right.
fn template() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("{{".to_owned()),
        Just("}}".to_owned()),
        Just("{{- ".to_owned()),
        Just(" -}}".to_owned()),
        Just(" | ".to_owned()),
        Just("(".to_owned()),
        Just(")".to_owned()),
        Just(" $x := ".to_owned()),
        Just(" $x ".to_owned()),
        Just("{{ end }}".to_owned()),
        Just("{{ else }}".to_owned()),
        Just("{{ range . }}".to_owned()),
        Just("{{ if .a }}".to_owned()),
        Just("{{ with .m }}".to_owned()),
        Just("{{ define \"t\" }}".to_owned()),
        Just("{{ template \"t\" . }}".to_owned()),
        "\\.[a-z]{1,2}( |\\.[a-z])",
        " -?[0-9]{1,20}(\\.[0-9])? ",
        " \"[^\"\\\\]{0,6}\" ",
        " `[^`]{0,4}` ",
        proptest::sample::select(sets::agent().all()).prop_map(|function| format!(" {} ", function.name)),
        "%[-+# 0-9.*\\[\\]]{0,5}[a-zA-Z%]",
        ".{0,3}",
    ];
    prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    #[test]
    fn any_template_over_any_data(template in template(), action in template(), text in ".{0,12}", number: i64, float: f64) {
        let data = Value::map([
            ("a", Value::from(text.as_str())),
            ("b", Value::Int(number)),
            ("c", Value::Float(float)),
            ("m", Value::map([("x", Value::Nil), ("a", Value::strings(["p", "q"]))])),
            ("l", Value::list(vec![Value::Int64(number), Value::Bool(true), Value::Nil])),
        ]);
        let limits = Limits { steps: 2_000, output: 1 << 16, depth: 250 };
        for template in [template, format!("{{{{ {action} }}}}")] {
            for functions in [sets::loki(), sets::agent(), sets::grafana(), sets::grafana_rules()] {
                if let Ok(set) = TemplateSet::of("t", &template, &functions, MissingKey::Default) {
                    let mut out = Vec::new();
                    let context = context(limits);
                    let _ = set.execute(&mut out, data.clone(), &context);
                    prop_assert!(out.len() < 1 << 18, "{} bytes", out.len());
                }
            }
        }
    }

    /// Every function on every kind of argument.
    #[test]
    fn any_call(index: prop::sample::Index, kinds in prop::collection::vec(0..12usize, 0..5), text in ".{0,9}", number: i64, small in -3i64..40) {
        let functions = sets::agent();
        let all = [sets::agent().all(), sets::grafana().all(), sets::grafana_rules().all(), sets::loki().all()].concat();
        let function = index.get(&all);
        let args: Vec<String> = kinds.iter().map(|kind| match kind {
            0..=2 => format!("{text:?}"),
            3 | 4 => small.to_string(),
            5 => number.to_string(),
            6 => "1.5".to_owned(),
            7 => ".m".to_owned(),
            8 => ".l".to_owned(),
            9 => "nil".to_owned(),
            10 => ".t".to_owned(),
            _ => "true".to_owned(),
        }).collect();
        let template = format!("{{{{ {} {} }}}}", function.name, args.join(" "));
        let data = Value::map([
            ("m", Value::map([("x", Value::Int(1))])),
            ("l", Value::strings(["a", "b"])),
            ("t", foursight_gotemplate::gotime::Time::zero().into()),
        ]);
        let limits = Limits { steps: 2_000, output: 1 << 16, depth: 250 };
        for functions in [functions, sets::grafana(), sets::grafana_rules(), sets::loki()] {
            if let Ok(set) = TemplateSet::of("t", &template, &functions, MissingKey::Default) {
                let _ = set.render(data.clone(), &context(limits));
            }
        }
    }
}
