//! The page about the notifier's state holds what the notifier reads and writes.

use serde_json::{Value, json};

use super::super::{Notifier, RECORD_VERSION, Record, RestoreError, Snapshot};
use super::sim::{self, Sim};
use crate::notify::request::Payload;

const PAGE: &str = include_str!("../../../../docs/format/notifier.md");

fn example() -> Vec<Record> {
    let block = PAGE.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    let record = |line: &str| {
        let record: Record = serde_json::from_str(line).expect(line);
        let written = serde_json::to_value(&record).expect("a record writes");
        assert_eq!(written, serde_json::from_str::<Value>(line).expect("JSON"), "{line}");
        record
    };
    block.lines().map(record).collect()
}

#[test]
fn the_example_is_read_and_written_as_it_stands() {
    let sim = Sim::new(&sim::config(json!({})));
    let restored = |snapshot: Option<Snapshot>, records: Vec<Record>| {
        let options = sim.notifier.options().clone();
        Notifier::restore(sim.compiled(), options, snapshot, records, 70_000)
    };
    let version = |version: u32| Some(Snapshot { version, at_ms: 65_000, records: example() });
    for (snapshot, records) in [(None, example()), (version(RECORD_VERSION), Vec::new())] {
        let mut notifier = restored(snapshot, records).expect("restored");
        let counts = (notifier.alerts().len(), notifier.group_count(), notifier.silences().iter().count());
        assert_eq!(counts, (1, 1, 1));
        // The receiver knows of the alert: nothing is sent before it ends.
        assert_eq!(notifier.tick(331_000), []);
        let sends = notifier.tick(631_000);
        assert_eq!((sends.len(), sends[0].reason.as_str()), (1, "all alerts resolved"));
        assert!(matches!(&sends[0].payload, Payload::Http(requests) if requests.len() == 1));
    }
    assert_eq!(
        restored(version(RECORD_VERSION + 1), Vec::new()).err(),
        Some(RestoreError::Version { found: RECORD_VERSION + 1, expected: RECORD_VERSION })
    );
}

#[test]
fn the_page_names_every_kind() {
    let kinds: std::collections::BTreeSet<String> = example()
        .iter()
        .map(|record| {
            serde_json::to_value(record).expect("a record writes")["kind"].as_str().expect("a kind").to_owned()
        })
        .collect();
    for kind in &kinds {
        assert!(PAGE.contains(&format!("`{kind}`")), "{kind}");
    }
    assert_eq!(kinds.len(), 10);
}
