//! Templates of the log query conformance data whose input is known without a log store: one line of one stream.

use std::path::PathBuf;

use foursight_gotemplate::gotime::{Time, Zone};
use foursight_gotemplate::{CallResult, Context, Host, Limits, MissingKey, TemplateSet, Value, sets};

/// The line that `{job="sparse"} |= "beat 3"` selects.
struct Line;

const LABELS: [(&str, &str); 6] =
    [("app", "heartbeat"), ("env", "prod"), ("host", "hb-1"), ("job", "sparse"), ("seq", "3"), ("zone", "eu/west-1")];
const TEXT: &str = "beat 3 ok load=3.5";
const NANOSECONDS: i64 = 1_767_608_160_000_000_000;

impl Host for Line {
    fn call<'d>(&'d self, name: &str, _args: &[Value<'d>]) -> Option<CallResult<'d>> {
        match name {
            "__line__" => Some(Ok(Value::from(TEXT))),
            "__timestamp__" => Some(Ok(Time::from_unix(0, NANOSECONDS, Zone::Utc).into())),
            _ => None,
        }
    }
}

fn data() -> Option<PathBuf> {
    let root = std::env::var_os("FOURSIGHT_CONFORMANCE").map(PathBuf::from);
    let root = root.unwrap_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/conformance")));
    Some(root.join("logql/cases.jsonl")).filter(|path| path.exists())
}

/// The template of a query that only selects the line and formats it.
fn template(query: &str) -> Option<String> {
    let rest = query.strip_prefix("{job=\"sparse\"} |= \"beat 3\" | line_format ")?;
    if let Some(raw) = rest.strip_prefix('`').and_then(|rest| rest.strip_suffix('`')) {
        return (!raw.contains('`')).then(|| raw.to_owned());
    }
    // A quoted template is JSON enough, as long as its escapes are common to both.
    serde_json::from_str(rest).ok()
}

#[test]
fn templates_of_the_conformance_data() {
    let Some(path) = data() else {
        println!("conformance data is absent: nothing checked");
        return;
    };
    let cases = std::fs::read_to_string(path).unwrap();
    let mut checked = 0;
    let mut wrong = Vec::new();
    for line in cases.lines() {
        let case: serde_json::Value = serde_json::from_str(line).unwrap();
        let Some(template) = case["params"]["query"].as_str().and_then(template) else { continue };
        let Some(stream) = case["expected"]["result"].get(0) else { continue };
        let entries = stream["values"].as_array().unwrap();
        assert_eq!(entries.len(), 1, "{line}");
        let context = Context {
            now: "2026-11-23T00:00:00Z".parse().unwrap(),
            local: Zone::Utc,
            host: &Line,
            limits: Limits::default(),
        };
        let result = TemplateSet::of("line", &template, &sets::loki(), MissingKey::Zero)
            .and_then(|set| set.render(Value::Object(&LABELS), &context));
        let (got, error) = match result {
            Ok(text) => (text, String::new()),
            // A failed template leaves the line as it was.
            Err(error) => (TEXT.to_owned(), error.to_string()),
        };
        let want = entries[0][1].as_str().unwrap();
        let want_error = stream["stream"]["__error_details__"].as_str().unwrap_or_default();
        if template.contains("now") {
            // The clock differs; that it works is enough.
            assert_eq!(error, want_error);
        } else if got != want || error != want_error {
            wrong.push(format!("{template}\n   got {got:?} {error}\n  want {want:?} {want_error}"));
        }
        checked += 1;
    }
    assert!(wrong.is_empty(), "{} of {checked} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(checked > 100, "only {checked} cases found");
}
