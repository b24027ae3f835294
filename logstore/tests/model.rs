//! The store against a plain list: whatever is pushed, sealed, merged and reopened in whatever order, reads are the same.

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use disk::{Files, MemFiles};
use model::{Direction, LogSelect, LogSource, Matcher};
use proptest::prelude::*;
use support::{Content, Entry, NOW, content, delete, job, maintain, open, push, select, stream};

#[derive(Clone, Debug)]
enum Step {
    Push(u8, Vec<Entry>),
    Flush,
    Maintain,
    Reopen,
    Query(Query),
    /// By the filter of a query; whether it is ever due.
    Delete(Query, bool),
    /// Takes back one of the requests that wait.
    Cancel(u8),
}

#[derive(Clone, Debug)]
struct Query {
    job: Option<u8>,
    range: (i64, i64),
    needles: Vec<Vec<String>>,
    backward: bool,
}

/// Entries of each stream, and the requests to delete some of them.
#[derive(Debug, Default)]
struct Reference(BTreeMap<String, Vec<Entry>>, Vec<(u64, Query, bool)>);

impl Reference {
    fn push(&mut self, job: u8, entries: &[Entry]) -> u64 {
        let of = self.0.entry(stream(&job.to_string()).to_string()).or_default();
        let mut accepted = 0;
        for entry in entries {
            if !of.contains(entry) {
                of.push(entry.clone());
                accepted += 1;
            }
        }
        accepted
    }

    fn select(&self, query: &Query) -> Content {
        let mut found = Content::new();
        for (labels, entries) in self.0.iter().filter(|(labels, _)| query.is_for(labels)) {
            let hidden = |entry: &Entry| self.1.iter().any(|(_, of, _)| of.is_for(labels) && of.wants(entry));
            let wanted = |entry: &&Entry| query.wants(entry) && !hidden(entry);
            let entries: Vec<Entry> = entries.iter().filter(wanted).cloned().collect();
            if !entries.is_empty() {
                found.insert(labels.clone(), entries);
            }
        }
        found
    }

    /// Removes what is due.
    fn maintain(&mut self) {
        for (_, query, _) in self.1.extract_if(.., |(_, _, due)| *due) {
            for (_, entries) in self.0.iter_mut().filter(|(labels, _)| query.is_for(labels)) {
                entries.retain(|entry| !query.wants(entry));
            }
        }
    }
}

impl Query {
    fn is_for(&self, labels: &str) -> bool {
        self.job.is_none_or(|job| labels == stream(&job.to_string()).to_string())
    }

    fn wants(&self, entry: &Entry) -> bool {
        (self.range.0..self.range.1).contains(&entry.0)
            && self.needles.iter().all(|group| group.iter().any(|needle| entry.1.contains(needle.as_str())))
    }
}

const EVERYTHING: Query = Query { job: None, range: (i64::MIN, i64::MAX), needles: Vec::new(), backward: false };

/// Entries of equal times keep their order of arrival within a unit; units that overlap are read one after the other.
fn sorted(mut content: Content) -> Content {
    content.values_mut().for_each(|entries| entries.sort());
    content
}

fn any_entry() -> impl Strategy<Value = Entry> {
    let line = prop_oneof![
        (0..6u32, 0..900u32).prop_map(|(a, b)| format!("GET /item/{a} {b}")),
        "[ab]{0,3}=[0-9]{1,3} [xyz]{0,4}",
        "\\PC{0,8}",
    ];
    let metadata = prop_oneof![
        4 => Just(Vec::new()),
        1 => "[a-c]{1,2}".prop_map(|v| vec![("pod".to_owned(), v)]),
    ];
    ((0..40i64).prop_map(|t| NOW + t * 20_000_000_000), line, metadata)
}

fn any_query() -> impl Strategy<Value = Query> {
    let needle = prop_oneof![Just("GET".to_owned()), Just("/item/3".to_owned()), "[ab0-9= ]{1,2}"];
    let needles = prop::collection::vec(prop::collection::vec(needle, 1..3), 0..3);
    let minutes = (0..15i64, 0..15i64).prop_map(|(a, b)| (NOW + a * 60_000_000_000 + 1, NOW + b * 60_000_000_000 + 1));
    let moments = (0..41i64, 0..41i64).prop_map(|(a, b)| (NOW + a * 20_000_000_000, NOW + b * 20_000_000_000));
    (prop::option::of(0..3u8), prop_oneof![minutes, moments], needles, any::<bool>())
        .prop_map(|(job, range, needles, backward)| Query { job, range, needles, backward })
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..3u8, prop::collection::vec(any_entry(), 1..12)).prop_map(|(job, entries)| Step::Push(job, entries)),
        4 => Just(Step::Flush),
        2 => Just(Step::Maintain),
        1 => Just(Step::Reopen),
        4 => any_query().prop_map(Step::Query),
        1 => (any_query(), any::<bool>()).prop_map(|(query, due)| Step::Delete(query, due)),
        1 => any::<u8>().prop_map(Step::Cancel),
    ]
}

fn request(query: &Query) -> LogSelect {
    LogSelect {
        matchers: query.job.map_or_else(Vec::<Matcher>::new, |number| job(&number.to_string())),
        start_ns: query.range.0,
        end_ns: query.range.1,
        direction: if query.backward { Direction::Backward } else { Direction::Forward },
        needles: query.needles.clone(),
        ..LogSelect::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn reads_are_those_of_a_plain_list(steps in prop::collection::vec(any_step(), 1..60)) {
        let files: Arc<dyn Files> = Arc::new(MemFiles::new());
        let mut db = open(&files);
        let mut reference = Reference::default();
        for step in &steps {
            match step {
                Step::Push(job, entries) => {
                    let accepted = push(&db, &stream(&job.to_string()), entries).unwrap().accepted;
                    prop_assert_eq!(accepted, reference.push(*job, entries), "{:?}", step);
                }
                Step::Flush => db.flush().unwrap(),
                Step::Maintain => {
                    maintain(&db, NOW);
                    reference.maintain();
                }
                Step::Delete(query, due) => {
                    // One needle at most, as the reader of the tests knows them.
                    let needle = query.needles.first().map(|group| group[0].clone());
                    let job = query.job.map_or_else(String::new, |job| job.to_string());
                    let text = needle.as_ref().map_or(job.clone(), |needle| format!("{job}|{needle}"));
                    let (start, end) = query.range;
                    let request = delete(&text, start, end - 1, if *due { NOW } else { i64::MAX });
                    if start >= end {
                        prop_assert!(db.request_delete(request).is_err());
                        continue;
                    }
                    let id = db.request_delete(request).unwrap();
                    let needles = needle.into_iter().map(|needle| vec![needle]).collect();
                    reference.1.push((id, Query { needles, ..query.clone() }, *due));
                }
                Step::Cancel(number) => {
                    if !reference.1.is_empty() {
                        let (id, ..) = reference.1.remove(*number as usize % reference.1.len());
                        db.cancel_delete(id).unwrap();
                    }
                }
                Step::Reopen => {
                    drop(db);
                    db = open(&files);
                }
                Step::Query(query) => {
                    let request = request(query);
                    let want = reference.select(query);
                    prop_assert_eq!(sorted(select(&db, &request)), sorted(want), "{:?}", query);
                    // What units say about themselves.
                    let all = Query { needles: Vec::new(), ..query.clone() };
                    let want: usize = reference.select(&all).values().map(Vec::len).sum();
                    let selection = db.select(&LogSelect { needles: Vec::new(), ..request }).unwrap();
                    let counts: Option<u64> =
                        (0..selection.units().len()).map(|unit| selection.count(unit, i64::MIN, i64::MAX)).sum();
                    match counts {
                        Some(count) => prop_assert_eq!(count, want as u64, "{:?}", query),
                        None => prop_assert!(!reference.1.is_empty(), "counts are not known"),
                    }
                    let in_order = match query.backward {
                        true => selection.units().is_sorted_by(|a, b| a.max_ns >= b.max_ns),
                        false => selection.units().is_sorted_by(|a, b| a.min_ns <= b.min_ns),
                    };
                    prop_assert!(in_order);
                }
            }
        }
        prop_assert_eq!(sorted(content(&db)), sorted(reference.select(&EVERYTHING)));
        prop_assert!(db.stats().damage.is_empty());
    }
}
