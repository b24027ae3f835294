use proptest::prelude::*;

use super::*;

/// Raw bytes, labels, value and timestamp.
type Row = (String, Vec<(String, String)>, f64, Option<i64>);

fn series(page: &str, format: TextFormat) -> Result<Vec<Row>> {
    let mut parser = Parser::new(page.as_bytes(), format);
    let mut out = Vec::new();
    while let Some(event) = parser.next_event()? {
        if let Event::Series(series) = event {
            let labels = series.labels().map(|(n, v)| (n.into_owned(), v.into_owned())).collect();
            let raw = String::from_utf8_lossy(series.raw).into_owned();
            out.push((raw, labels, series.value, series.timestamp_ms));
        }
    }
    Ok(out)
}

#[test]
fn reads_prometheus_text() {
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], f64, Option<i64>);
    let cases: &[Case<'_>] = &[
        ("a 1\n", &[("__name__", "a")], 1.0, None),
        ("a{} 1 5\n", &[("__name__", "a")], 1.0, Some(5)),
        ("a:b\t{ x = \"y\" , }\t2.5\t17\n", &[("__name__", "a:b"), ("x", "y")], 2.5, Some(17)),
        ("a{x=\"1\" y=\"2\"} 3\n", &[("__name__", "a"), ("x", "1"), ("y", "2")], 3.0, None),
        ("a{x=\"q\\\"\\\\\\n\\z\"}1\n", &[("__name__", "a"), ("x", "q\"\\\n\\z")], 1.0, None),
        ("a{x=\"two\nlines\"} 1\n", &[("__name__", "a"), ("x", "two\nlines")], 1.0, None),
        ("{\"my.metric\", \"l.x\"=\"v\"} 1\n", &[("__name__", "my.metric"), ("l.x", "v")], 1.0, None),
        ("{x=\"y\",\"late\"} 1\n", &[("__name__", "late"), ("x", "y")], 1.0, None),
        ("\n  # a comment\n# HELPER\n \ta 1\n", &[("__name__", "a")], 1.0, None),
        ("# EOF\na +Inf\n", &[("__name__", "a")], f64::INFINITY, None),
    ];
    for (page, labels, value, timestamp) in cases {
        let got = series(page, TextFormat::Prometheus).unwrap_or_else(|e| panic!("{page:?}: {e}"));
        assert_eq!(got.len(), 1, "{page:?}");
        let got_labels: Vec<_> = got[0].1.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!((&got_labels[..], got[0].2, got[0].3), (*labels, *value, *timestamp), "{page:?}");
    }
}

#[test]
fn refuses_what_the_scraper_refuses() {
    let prometheus = [
        "a 1",
        "a\n",
        "a 1 1.5\n",
        "a 1 -1\n",
        "a 1_2\n",
        "a 0x1p-3\n",
        "a{x} 1\n",
        "a{x=1} 1\n",
        "a{x=\"1} 1\n",
        "a{,} 1\n",
        "{x=\"y\"} 1\n",
        "{} 1\n",
        "{\"a\",\"b\"} 1\n",
        "a{\"b\"} 1\n",
        "0a 1\n",
        "a-b 1\n",
        "a 1 2 3\n",
        "# TYPE a meh\n",
        "# TYPE a counter \n",
        "# HELP 1 x\n",
        "a b\n",
        "a{1=\"x\"} 1\n",
    ];
    for page in prometheus {
        assert!(series(page, TextFormat::Prometheus).is_err(), "{page:?}");
    }
    let openmetrics = ["a 1\n", "a  1\n# EOF", "a 1 \n# EOF", "a {x=\"y\"} 1\n# EOF", "a 1\n\n# EOF", "a 1 NaN\n# EOF"];
    for page in openmetrics {
        assert!(series(page, TextFormat::OpenMetrics).is_err(), "{page:?}");
    }
}

#[test]
fn errors_name_line_and_column() {
    let error = series("a 1\nb{x=1} 2\n", TextFormat::Prometheus).unwrap_err();
    assert_eq!(error.to_string(), "line 2: expected label value at column 5 of \"b{x=1} 2\"");
}

#[test]
fn reads_exemplars_and_metadata() {
    let page =
        "# TYPE a counter\n# UNIT a_s s\n# HELP a he\\nlp\na_total 17 1.5 # {id=\"x\"} 0.5 2.25\na_created 1\n# EOF\n";
    let mut parser = Parser::new(page.as_bytes(), TextFormat::OpenMetrics);
    let mut events = Vec::new();
    while let Some(event) = parser.next_event().unwrap() {
        events.push(event);
    }
    assert_eq!(events[0], Event::Type { name: "a", kind: MetricKind::Counter });
    assert_eq!(events[1], Event::Unit { name: "a_s", unit: "s" });
    assert_eq!(events[2], Event::Help { name: "a", text: "he\\nlp" });
    let (Event::Series(total), Event::Series(created)) = (&events[3], &events[4]) else { panic!("{events:?}") };
    assert_eq!((total.timestamp_ms, total.is_created(), created.is_created()), (Some(1500), false, true));
    let exemplar = total.exemplar.as_ref().unwrap();
    assert_eq!((exemplar.value, exemplar.timestamp_ms), (0.5, Some(2250)));
    assert_eq!(exemplar.labels().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>(), ["id=x"]);
}

#[test]
fn hints_change_nothing() {
    let page = "a{x=\"1\"} 1\na {x=\"2\"} 2\nab 3 7\na 4\n";
    for hint in ["a{x=\"1\"}", "a", "ab", "a {x=\"2\"}", "b", "a{x=\"1\"} 1\na"] {
        let mut parser = Parser::new(page.as_bytes(), TextFormat::Prometheus);
        let mut got = Vec::new();
        while let Ok(Some(Event::Series(series))) = parser.next_event_hinted(hint.as_bytes()) {
            got.push((String::from_utf8_lossy(series.raw).into_owned(), series.value, series.timestamp_ms));
        }
        let want: Vec<_> =
            series(page, TextFormat::Prometheus).unwrap().into_iter().map(|(raw, _, v, t)| (raw, v, t)).collect();
        assert_eq!(got, want, "{hint}");
    }
}

#[test]
fn refuses_values_that_are_not_utf8() {
    let page = b"a{x=\"\xff\"} 1\n";
    assert!(Parser::new(page, TextFormat::Prometheus).next_event().is_err());
    let comment = b"# \xff\na 1\n";
    let mut parser = Parser::new(comment, TextFormat::Prometheus);
    assert_eq!(parser.next_event(), Ok(Some(Event::Comment)));
    assert!(matches!(parser.next_event(), Ok(Some(Event::Series(_)))));
}

proptest! {
    #[test]
    fn any_bytes_end(page in "([a-c{}=\",\\\\ #\n1]|TYPE|HELP|# EOF\n|é){0,60}", openmetrics: bool, cut in 0usize..60) {
        let format = if openmetrics { TextFormat::OpenMetrics } else { TextFormat::Prometheus };
        let bytes = &page.as_bytes()[cut.min(page.len())..];
        let mut parser = Parser::new(bytes, format);
        while let Ok(Some(event)) = parser.next_event() {
            if let Event::Series(series) = event {
                prop_assert!(series.labels().count() >= 1);
            }
        }
        let _ = crate::exposition::lint::check(bytes, format);
        let _ = crate::exposition::lint::style(bytes, format);
    }
}
