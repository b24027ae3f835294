//! Parts of units: entries between two times, and how many there are between many.

mod support;

use disk::{Files, MemFiles};
use model::{Direction, LogColumns, LogSelect, LogSelection, LogSource};
use proptest::prelude::*;
use support::{Entry, NOW, open, push, stream};

const SECOND: i64 = 1_000_000_000;

fn rows(columns: &LogColumns) -> Vec<Entry> {
    let pairs = |row| columns.metadata(row).map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
    (0..columns.len()).map(|row| (columns.timestamps[row], columns.line(row).to_owned(), pairs(row))).collect()
}

fn check(selection: &dyn LogSelection, request: &LogSelect, edges: &[i64]) -> Result<(), TestCaseError> {
    let (mut all, mut some, mut counts) = (LogColumns::new(), LogColumns::new(), Vec::new());
    for index in 0..selection.units().len() {
        selection.read(index, &mut all).unwrap();
        for edges in edges.windows(2) {
            let inside = |time: i64| edges[0] <= time && time < edges[1];
            selection.read_between(index, edges[0], edges[1], &mut some).unwrap();
            let want: Vec<_> = rows(&all).into_iter().filter(|row| inside(row.0)).collect();
            prop_assert_eq!(rows(&some), want);
        }
        if !request.needles.is_empty() {
            continue;
        }
        prop_assert!(selection.counts(index, edges, &mut counts));
        let count = |edges: &[i64]| all.timestamps.iter().filter(|t| edges[0] <= **t && **t < edges[1]).count() as u64;
        let want: Vec<u64> = edges.windows(2).map(count).collect();
        prop_assert_eq!(&counts, &want);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn parts_are_those_of_the_whole(
        entries in prop::collection::vec((0u8..2, prop_oneof![0i64..10, 0i64..900, 300i64..310], any::<bool>()), 1..300),
        flushed in 0usize..300,
        range in (-10i64..500, 300i64..1_000),
        edges in prop::collection::vec((-60i64..1_000, -1i64..3), 0..20),
        minutes in any::<bool>(),
        needle in any::<bool>(),
    ) {
        let files: std::sync::Arc<dyn Files> = std::sync::Arc::new(MemFiles::new());
        let db = open(&files);
        for (number, (job, at, metadata)) in entries.iter().enumerate() {
            if number == flushed {
                db.flush().unwrap();
            }
            let pairs = metadata.then(|| ("user".to_owned(), format!("u{}", number % 3)));
            let line = format!("GET /item/{} took {at} ms", number % 7);
            let entry: Entry = (NOW + at * SECOND, line, pairs.into_iter().collect());
            push(&db, &stream(["a", "b"][usize::from(*job)]), &[entry]).unwrap();
        }
        // Where minutes end, a moment before and after it, and anywhere.
        let place = |(at, moment): &(i64, i64)| {
            let at = if minutes { at.div_euclid(60) * 60 } else { *at };
            NOW + at * SECOND + moment
        };
        let mut edges: Vec<i64> = edges.iter().map(place).chain([i64::MIN, i64::MAX]).collect();
        edges.sort_unstable();
        for direction in [Direction::Forward, Direction::Backward] {
            let needles = if needle { vec![vec!["item/3".to_owned()]] } else { Vec::new() };
            let (start_ns, end_ns) = (NOW + range.0 * SECOND, NOW + range.1 * SECOND);
            let request = LogSelect { start_ns, end_ns, direction, needles, ..LogSelect::default() };
            check(&*db.select(&request).unwrap(), &request, &edges)?;
        }
    }
}
