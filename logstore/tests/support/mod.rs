//! What the tests of the store share: a plain form of entries, pushing them, reading everything back.
#![allow(dead_code, reason = "each test file uses a part")]

use std::collections::BTreeMap;
use std::sync::Arc;

use disk::Files;
use foursight_logstore::{
    Db, DeleteFilter, DeleteReader, DeleteRequest, EntryFilter, Error, Limits, Options, PushEntry, PushReport,
    PushStream, StreamKey,
};
use model::{Direction, Labels, LogColumns, LogSelect, LogSource, Matcher};

/// Time, line, structured metadata.
pub(crate) type Entry = (i64, String, Vec<(String, String)>);
/// Entries by the text of their stream's labels, in the order in which they are read.
pub(crate) type Content = BTreeMap<String, Vec<Entry>>;

pub(crate) const NOW: i64 = 1_767_607_200_000_000_000;

pub(crate) fn options() -> Options {
    Options { limits: Limits::unlimited(), delete_reader: delete_reader(), ..Options::default() }
}

/// Reads `JOB`, `JOB|TEXT in the line` or `|TEXT`.
pub(crate) fn delete_reader() -> DeleteReader {
    DeleteReader::new(|text| {
        if text.contains('!') {
            return Err(format!("{text}: no exclamation mark"));
        }
        let (name, needle) = text.split_once('|').unwrap_or((text, ""));
        let matchers = if name.is_empty() { Vec::new() } else { job(name) };
        let needle = needle.to_owned();
        let entries: EntryFilter =
            Arc::new(move |_: &Labels, entries: &LogColumns, row: usize| entries.line(row).contains(&needle));
        Ok(DeleteFilter { matchers, entries: text.contains('|').then_some(entries) })
    })
}

pub(crate) fn delete(query: &str, start_ns: i64, end_ns: i64, due_ns: i64) -> DeleteRequest {
    DeleteRequest { query: query.to_owned(), start_ns, end_ns, created_ns: NOW, due_ns }
}

/// Calls until there is nothing more to do.
pub(crate) fn maintain(db: &Db, now_ns: i64) {
    for _ in 0..1_000 {
        let report = db.maintain(now_ns);
        assert!(report.errors.is_empty(), "{:?}", report.errors);
        if !report.more {
            return;
        }
    }
    panic!("there is always more to do");
}

pub(crate) fn open(files: &Arc<dyn Files>) -> Db {
    Db::open_with(files.clone(), "data", options()).unwrap()
}

pub(crate) fn stream(job: &str) -> Labels {
    Labels::from_pairs([("job", job), ("host", "web")])
}

pub(crate) fn entry(timestamp_ns: i64, line: impl Into<String>) -> Entry {
    (timestamp_ns, line.into(), Vec::new())
}

pub(crate) fn push(db: &Db, labels: &Labels, entries: &[Entry]) -> Result<PushReport, Error> {
    let pairs: Vec<Vec<(&str, &str)>> =
        entries.iter().map(|(_, _, m)| m.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect()).collect();
    let entries: Vec<PushEntry<'_>> = entries
        .iter()
        .zip(&pairs)
        .map(|((timestamp_ns, line, _), metadata)| PushEntry { timestamp_ns: *timestamp_ns, line, metadata })
        .collect();
    db.push(&[PushStream { key: StreamKey::Labels(labels), entries: &entries }], NOW)
}

/// Everything in the store.
pub(crate) fn content(db: &Db) -> Content {
    select(
        db,
        &LogSelect { start_ns: i64::MIN, end_ns: i64::MAX, direction: Direction::Forward, ..LogSelect::default() },
    )
}

/// What a request finds, each stream oldest first; equal times keep the order of units and of entries in them.
pub(crate) fn select(db: &Db, request: &LogSelect) -> Content {
    let selection = db.select(request).unwrap();
    let mut content = Content::new();
    let mut columns = LogColumns::new();
    for (index, unit) in selection.units().iter().enumerate() {
        selection.read(index, &mut columns).unwrap();
        let labels = selection.streams()[unit.stream as usize].to_string();
        let entries = (0..columns.len()).map(|row| {
            let metadata = columns.metadata(row).map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
            (columns.timestamps[row], columns.line(row).to_owned(), metadata)
        });
        let mut entries: Vec<Entry> = entries.collect();
        assert!(entries.is_sorted_by_key(|entry| entry.0), "a unit is not in order of time");
        if request.direction == Direction::Backward {
            entries.reverse();
        }
        content.entry(labels).or_default().append(&mut entries);
    }
    for entries in content.values_mut() {
        if request.direction == Direction::Backward {
            entries.reverse();
        }
        entries.sort_by_key(|entry| entry.0);
    }
    content.retain(|_, entries| !entries.is_empty());
    content
}

pub(crate) fn job(name: &str) -> Vec<Matcher> {
    vec![Matcher::equal("job", name)]
}
