//! Alert messages: a whole file of templates over the data a notifier has.
//!
//! The expected texts were written by Go's `text/template` for the same file and data.

use foursight_gotemplate::gotime::{Time, Zone};
use foursight_gotemplate::{Context, Element, List, Map, MissingKey, Record, TemplateSet, Text, Type, Value, sets};

const TEMPLATES: &str = include_str!("fixtures/messages/default.tmpl");
const EXPECTED: &str = include_str!("fixtures/messages/expected.txt");

static DATA: &Type = &Type::plain("*template.Data", Element::Any);
static ALERT: &Type = &Type { json_lower: true, ..Type::plain("template.Alert", Element::Any) };
static VALUES: &Type = &Type::plain("map[string]float64", Element::Float);

fn labels(pairs: &[(&'static str, &'static str)]) -> Value<'static> {
    sets::kv(pairs.iter().map(|(name, value)| (Text::from(*name), Text::from(*value))))
}

fn alert(status: &'static str, instance: &'static str) -> Value<'static> {
    let firing = status == "firing";
    let all = [("alertname", "InstanceDown"), ("instance", instance), ("job", "web"), ("severity", "warning")];
    let annotations: &[_] =
        if firing { &[("summary", "web is down"), ("runbook", "<none>")] } else { &[("runbook", "<none>")] };
    let values: &[(&str, f64)] = if firing { &[("C", 1e9), ("A", 1.0), ("B", 0.25)] } else { &[] };
    let values = values.iter().map(|(name, value)| (Text::from(*name), Value::Float(*value))).collect();
    let starts = 1_714_979_289 - if firing { 0 } else { 3600 };
    let ends = if firing { Time::zero() } else { Time::from_unix(1_714_979_289 + 300, 0, Zone::Utc) };
    let only = |text: &'static str, resolved: bool| Value::from(if firing != resolved { text } else { "" });
    Value::Record(Record::new(
        ALERT,
        vec![
            ("Status", status.into()),
            ("Labels", labels(&all)),
            ("Annotations", labels(annotations)),
            ("StartsAt", Time::from_unix(starts, 0, Zone::Utc).into()),
            ("EndsAt", ends.into()),
            ("GeneratorURL", only("http://prom/graph?g0.expr=up+%3D%3D+0", false)),
            ("Fingerprint", if firing { "a1" } else { "b2" }.into()),
            ("SilenceURL", only("http://s", true)),
            ("DashboardURL", only("http://d", true)),
            ("PanelURL", only("http://p", true)),
            ("Values", Value::Map(Map::new(VALUES, values))),
            ("OrgID", Value::Int(0)),
        ],
    ))
}

fn data(status: &'static str) -> Value<'static> {
    let mut alerts = vec![alert("firing", "web:5000"), alert("resolved", "db:9100")];
    if status == "resolved" {
        alerts.remove(0);
    }
    Value::Record(Record::new(
        DATA,
        vec![
            ("Receiver", "team/slack x".into()),
            ("Status", status.into()),
            ("Alerts", Value::List(List::new(sets::ALERTS, alerts))),
            ("GroupLabels", labels(&[("alertname", "InstanceDown")])),
            ("CommonLabels", labels(&[("alertname", "InstanceDown"), ("job", "web"), ("severity", "warning")])),
            ("CommonAnnotations", labels(&[("runbook", "<none>")])),
            ("ExternalURL", "http://am:9093".into()),
            ("AppVersion", "13.0.0".into()),
        ],
    ))
}

fn check(templates: &str, expected: &str, functions: foursight_gotemplate::Functions) -> usize {
    let mut set = TemplateSet::new("", functions).missing_key(MissingKey::Zero);
    set.parse(templates).unwrap();
    let context = Context::at("2024-05-06T08:00:00Z".parse().unwrap());
    let mut checked = 0;
    for section in expected.split("== ").filter(|section| !section.is_empty()) {
        let (head, want) = section.split_once('\n').unwrap();
        let (name, status) = head.split_once(' ').unwrap();
        let status = if status == "firing" { "firing" } else { "resolved" };
        let mut out = Vec::new();
        set.execute_named(name, &mut out, data(status), &context).unwrap();
        assert_eq!(String::from_utf8(out).unwrap() + "\n", want, "{head}");
        checked += 1;
    }
    checked
}

#[test]
fn a_file_of_message_templates() {
    assert_eq!(check(TEMPLATES, EXPECTED, sets::alertmanager()), 16);
    assert_eq!(check(TEMPLATES, EXPECTED, sets::grafana()), 16);
}

#[test]
fn configured_texts_use_the_shared_templates() {
    let mut shared = TemplateSet::new("", sets::grafana()).missing_key(MissingKey::Zero);
    shared.parse(TEMPLATES).unwrap();
    let context = Context::at("2024-05-06T08:00:00Z".parse().unwrap());
    let render = |text: &str| {
        shared
            .with_text("", text)
            .and_then(|set| set.render(data("firing"), &context))
            .map_err(|error| error.to_string())
    };
    let ok = |text: &str, want: &str| assert_eq!(render(text).as_deref(), Ok(want), "{text}");
    ok(r#"{{ template "color" . }}!"#, "#c00!");
    ok(r#"{{ tmpl.Exec "worst" . | toUpper }}"#, "WARNING");
    ok(r#"{{ tmpl.Inline "{{ .Status }} {{ template \"sender\" . }}" . }}"#, "firing Foursight");
    ok(r#"{{ (coll.Dict "a" 1 "b" .Status).b }}"#, "firing");
    ok(r#"{{ coll.Append 3 (coll.Slice 1 2) }}"#, "[1 2 3]");
    ok(r#"{{ coll.Dict "a" (coll.Slice 1 "x<") "n" 1.5 | data.ToJSON }}"#, r#"{"a":[1,"x\u003c"],"n":1.5}"#);
    ok(r#"{{ coll.Dict "a" (coll.Slice) "b" true | data.ToJSONPretty " " }}"#, "{\n \"a\": [],\n \"b\": true\n}");
    ok(r#"{{ (data.JSON "{\"a\":[1,2]}").a }}"#, "[1 2]");
    ok(r#"{{ time.Now.Year }} {{ (since (index .Alerts 0).StartsAt).Minutes | printf "%.1f" }}"#, "2024 51.9");
    ok(r#"{{ (index .Alerts.Firing 0).Values.A }} {{ (index .Alerts 0).Values.Z }}"#, "1 0");
    ok(
        r#"{{ index .Alerts.Resolved 0 | toJson }}"#,
        concat!(
            r#"{"status":"resolved","labels":{"alertname":"InstanceDown","instance":"db:9100","job":"web","severity":"warning"},"#,
            r#""annotations":{"runbook":"\u003cnone\u003e"},"startsAt":"2024-05-06T06:08:09Z","endsAt":"2024-05-06T07:13:09Z","#,
            r#""generatorURL":"","fingerprint":"b2","silenceURL":"http://s","dashboardURL":"http://d","panelURL":"http://p","#,
            r#""values":{},"orgId":0}"#
        ),
    );
    let fails = |text: &str, want: &str| assert_eq!(render(text), Err(want.to_owned()), "{text}");
    fails(
        "x\n{{ define \"bad\" }}{{ .Nope }}{{ end }}\n {{ tmpl.Exec \"bad\" . }}",
        concat!(
            "template: :3:8: executing \"\" at <tmpl.Exec>: error calling Exec: ",
            "template: :2:21: executing \"bad\" at <.Nope>: can't evaluate field Nope in type *template.Data"
        ),
    );
    fails("{{ .Nope }}", "template: :1:3: executing \"\" at <.Nope>: can't evaluate field Nope in type *template.Data");
    fails(
        r#"{{ template "nope" . }}"#,
        "template: :1:12: executing \"\" at <{{template \"nope\" .}}>: template \"nope\" not defined",
    );
    fails(
        r#"{{ tz "Mars" (index .Alerts 0).StartsAt }}"#,
        "template: :1:3: executing \"\" at <tz \"Mars\" (index .Alerts 0).StartsAt>: error calling tz: unknown time zone Mars",
    );
    fails(
        r#"{{ dict 1 2 }}"#,
        "template: :1:3: executing \"\" at <dict 1 2>: error calling dict: dict keys must be strings",
    );
    fails(
        r#"{{ base64decode "*" }}"#,
        "template: :1:3: executing \"\" at <base64decode \"*\">: error calling base64decode: illegal base64 data at input byte 0",
    );
    fails(
        r#"{{ mustToDate "2006" "x" }}"#,
        "template: :1:3: executing \"\" at <mustToDate \"2006\" \"x\">: error calling mustToDate: parsing time \"x\" as \"2006\": cannot parse \"x\" as \"2006\"",
    );
    fails(
        r#"{{ reReplaceAll "(" "" "x" }}"#,
        "template: :1:3: executing \"\" at <reReplaceAll \"(\" \"\" \"x\">: error calling reReplaceAll: regexp: Compile(`(`): error parsing regexp: missing closing ): `(`",
    );
}
