//! Formatting log lines: parse once, execute per line into one buffer.
//!
//! Run with `cargo run -p foursight-gotemplate --example line_format`.

use foursight_gotemplate::gotime::{Time, Zone};
use foursight_gotemplate::{CallResult, Context, Host, Limits, MissingKey, TemplateSet, Value, sets};

/// The line at hand. The host answers what only it can know.
struct Line {
    text: &'static str,
    nanoseconds: i64,
}

impl Host for Line {
    fn call<'d>(&'d self, name: &str, _args: &[Value<'d>]) -> Option<CallResult<'d>> {
        match name {
            "__line__" => Some(Ok(self.text.into())),
            "__timestamp__" => Some(Ok(Time::from_unix(0, self.nanoseconds, Zone::Utc).into())),
            _ => None,
        }
    }
}

fn main() -> Result<(), foursight_gotemplate::Error> {
    let functions = sets::loki();
    let templates = [
        "{{ .status }} {{ .path }}",
        r#"{{ __timestamp__ | date "15:04:05" }} {{ alignLeft 6 .method }}{{ .path | trimPrefix "/api" }}"#,
        r#"{{ if ge (int .status) 500 }}!! {{ end }}{{ __line__ | lower | trunc 12 }}…"#,
        "{{ .took | duration | mulf 1000 }} ms",
        "{{ div (int .status) 0 }}",
    ];
    let labels = [("method", "GET"), ("path", "/api/cart"), ("status", "503"), ("took", "1.5s")];
    let line = Line { text: "GET /api/cart 503 1.5s", nanoseconds: 1_767_607_200_000_000_000 };

    let mut out = Vec::new();
    for template in templates {
        // A label that is not there is an empty text, as in Loki.
        let set = TemplateSet::of("line", template, &functions, MissingKey::Zero)?;
        let context = Context {
            now: "2026-01-05T10:00:00Z".parse().unwrap_or_default(),
            local: Zone::Utc,
            host: &line,
            limits: Limits::default(),
        };
        out.clear();
        match set.execute(&mut out, Value::Object(&labels), &context) {
            Ok(()) => println!("{template:<95} -> {}", String::from_utf8_lossy(&out)),
            // The message names the place in the template, in Go's words.
            Err(error) => println!("{template:<95} -> error: {error}"),
        }
    }
    Ok(())
}
