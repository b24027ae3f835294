//! Embeds the log store: push a few lines, find them by label and text, keep them over a restart.

use foursight_logstore::{Db, Options, PushEntry, PushStream, StreamKey};
use model::{Labels, LogColumns, LogSelect, LogSource, Matcher};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    // The store reads no clock: times are arguments. A program would pass the system's time.
    let now_ns = 1_767_607_200_000_000_000;

    let db = Db::open(dir.path(), Options::default())?;
    let titan = Labels::from_pairs([("job", "titan"), ("host", "web"), ("level", "error")]);
    let lines = ["payment gateway timeout order=17", "stock conflict order=18", "payment gateway timeout order=19"];
    let entries: Vec<PushEntry<'_>> = (now_ns..)
        .step_by(1_000_000)
        .zip(lines)
        .map(|(timestamp_ns, line)| PushEntry { timestamp_ns, line, metadata: &[("trace_id", "4bf92f35")] })
        .collect();
    let report = db.push(&[PushStream { key: StreamKey::Labels(&titan), entries: &entries }], now_ns)?;
    println!("stored {} entries, {} bytes", report.accepted, report.accepted_bytes);

    // What was answered is on the disk: nothing has to be closed properly.
    drop(db);
    let db = Db::open(dir.path(), Options::default())?;

    let request = LogSelect {
        matchers: vec![Matcher::equal("job", "titan")],
        start_ns: now_ns,
        end_ns: now_ns + 60_000_000_000,
        needles: vec![vec!["timeout".to_owned()]],
        ..LogSelect::default()
    };
    let selection = db.select(&request)?;
    let mut columns = LogColumns::new();
    for (index, unit) in selection.units().iter().enumerate() {
        selection.read(index, &mut columns)?;
        for row in 0..columns.len() {
            println!("{} {} {}", columns.timestamps[row], selection.streams()[unit.stream as usize], columns.line(row));
        }
    }

    // A server calls this every second: segments, retention, recovery after a full disk.
    db.maintain(now_ns);
    println!("{:#?}", db.stats());
    Ok(())
}
