//! The store against a plain list: whatever is pushed, sealed, merged and reopened in whatever order, reads are the same.

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use disk::{Files, MemFiles};
use model::{Direction, LogSelect, LogSource, Matcher};
use proptest::prelude::*;
use support::{Content, Entry, NOW, content, job, open, push, select, stream};

#[derive(Clone, Debug)]
enum Step {
    Push(u8, Vec<Entry>),
    Flush,
    Maintain,
    Reopen,
    Query(Query),
}

#[derive(Clone, Debug)]
struct Query {
    job: Option<u8>,
    range: (i64, i64),
    needles: Vec<Vec<String>>,
    backward: bool,
}

/// Entries of each stream.
#[derive(Debug, Default)]
struct Reference(BTreeMap<String, Vec<Entry>>);

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
        let wanted = |entry: &&Entry| {
            (query.range.0..query.range.1).contains(&entry.0)
                && query.needles.iter().all(|group| group.iter().any(|needle| entry.1.contains(needle.as_str())))
        };
        let of_job = |labels: &str| query.job.is_none_or(|job| labels == stream(&job.to_string()).to_string());
        let mut found = Content::new();
        for (labels, entries) in self.0.iter().filter(|(labels, _)| of_job(labels)) {
            let entries: Vec<Entry> = entries.iter().filter(wanted).cloned().collect();
            if !entries.is_empty() {
                found.insert(labels.clone(), entries);
            }
        }
        found
    }
}

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
                    let report = db.maintain(NOW);
                    prop_assert!(report.errors.is_empty(), "{:?}", report.errors);
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
                    prop_assert_eq!(counts, Some(want as u64), "{:?}", query);
                    let in_order = match query.backward {
                        true => selection.units().is_sorted_by(|a, b| a.max_ns >= b.max_ns),
                        false => selection.units().is_sorted_by(|a, b| a.min_ns <= b.min_ns),
                    };
                    prop_assert!(in_order);
                }
            }
        }
        prop_assert_eq!(sorted(content(&db)), sorted(reference.0));
        prop_assert!(db.stats().damage.is_empty());
    }
}
