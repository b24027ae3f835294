//! Store and language together, in ten lines: open, push, ask in LogQL, print.
//! Run it with `cargo run -p foursight-logstore --example query`.

use foursight_logstore::{Db, Options, PushEntry, PushStream, StreamKey};
use logql::{Engine, QueryContext, Request, Value};
use model::Labels;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let now_ns = 1_767_607_200_000_000_000;
    let db = Db::open(dir.path(), Options::default())?;
    let titan = Labels::from_pairs([("job", "titan")]);
    let lines =
        ["level=info msg=order id=17", "level=error msg=\"payment failed\" id=18", "level=info msg=order id=19"];
    let entry = |(at, line)| PushEntry { timestamp_ns: at, line, metadata: &[] };
    let entries: Vec<PushEntry<'_>> = (now_ns..).zip(lines).map(entry).collect();
    db.push(&[PushStream { key: StreamKey::Labels(&titan), entries: &entries }], now_ns)?;

    let query = logql::parse(
        r#"{job="titan"} |= "payment" | logfmt | level="error" | line_format "{{.id}}: {{.msg}}""#,
        Default::default(),
    )?;
    let request = Request::range(now_ns, now_ns + 1_000_000_000, 1_000_000_000);
    let output = Engine::default().query(&db, &query, &request, &QueryContext::at(now_ns))?;
    let Value::Streams(found) = output.value else { return Err("not lines".into()) };
    for stream in found.streams {
        for entry in stream.entries {
            println!("{} {}", entry.timestamp_ns, entry.line);
        }
    }
    Ok(())
}
