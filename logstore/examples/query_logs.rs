//! Asks an embedded log store in LogQL: the evaluator of `foursight-logql` reads any `LogSource`, and the store is one.

use foursight_logstore::{Db, Options, PushEntry, PushStream, StreamKey};
use logql::{Engine, QueryContext, Request, Value};
use model::Labels;

const SECOND: i64 = 1_000_000_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let start_ns = 1_767_607_200 * SECOND;
    let end_ns = start_ns + 600 * SECOND;
    let db = Db::open(dir.path(), Options::default())?;

    // Ten minutes of two services; one of them gets slower and fails.
    for (service, slow) in [("cart", false), ("checkout", true)] {
        let lines: Vec<String> = (0..600)
            .map(|i| {
                let status = if slow && i % 40 > 35 { 500 } else { 200 };
                format!(
                    r#"{{"path":"/{service}/{}","status":{status},"took_ms":{}}}"#,
                    i % 7,
                    20 + i % 9 * (i / 60 + 1)
                )
            })
            .collect();
        let entry =
            |(i, line): (i64, &'static str)| PushEntry { timestamp_ns: start_ns + i * SECOND, line, metadata: &[] };
        // Lines are borrowed wherever they are; here they live as long as the program.
        let lines: &'static [String] = lines.leak();
        let entries: Vec<PushEntry<'_>> = (0..).zip(lines.iter().map(String::as_str)).map(entry).collect();
        let labels = Labels::from_pairs([("service_name", service), ("env", "prod")]);
        db.push(&[PushStream { key: StreamKey::Labels(&labels), entries: &entries }], end_ns)?;
    }
    // Half of a real store is in segments; queries see no difference.
    db.flush()?;

    let newest = Request { limit: 3, ..Request::range(start_ns, end_ns, 0) };
    let steps = Request::range(start_ns + 120 * SECOND, end_ns, 120 * SECOND);
    for (text, request) in [
        (
            r#"{env="prod"} |= "500" | json | status >= 500 | line_format "{{.service_name}} {{.path}} {{.took_ms}} ms""#,
            newest,
        ),
        (r#"sum by (service_name) (count_over_time({env="prod"} | json | status=500 [2m]))"#, steps.clone()),
        (r#"quantile_over_time(0.9, {service_name="checkout"} | json | unwrap took_ms [2m]) by (service_name)"#, steps),
    ] {
        println!("{text}");
        let query = logql::parse(text, Default::default())?;
        let output = Engine::default().query(&db, &query, &request, &QueryContext::at(end_ns))?;
        match output.value {
            Value::Streams(result) => {
                for entry in result.streams.iter().flat_map(|stream| &stream.entries) {
                    println!("  {} {}", (entry.timestamp_ns - start_ns) / SECOND, entry.line);
                }
            }
            Value::Matrix(series) => series.iter().for_each(|one| println!("  {} {:?}", one.labels, one.points)),
            other => println!("  {other:?}"),
        }
    }
    Ok(())
}
