use super::super::{IndexWriter, LabelIndex, select};
use super::*;
use crate::matcher::{MatchOp, Matcher};
use proptest::prelude::*;

fn write(sets: &[Labels]) -> Vec<u8> {
    let mut writer = IndexWriter::new();
    for labels in sets {
        writer.push(labels).unwrap();
    }
    writer.finish().unwrap()
}

fn sets(count: usize) -> Vec<Labels> {
    let mut sets: Vec<Labels> = (0..count)
        .map(|i| {
            let mut builder = Labels::from_pairs([("__name__", format!("metric_{}", i % 5))]).to_builder();
            builder.set("instance", &format!("host-{:03}", i / 5));
            if i % 3 == 0 {
                builder.set("zone", "a");
            }
            builder.build()
        })
        .collect();
    sets.sort();
    sets
}

#[test]
fn the_page_shows_what_is_written() {
    let page = include_str!("../../../docs/format/label-index.md");
    let hex = page.split("```hex").nth(1).unwrap().split("```").next().unwrap();
    let want: String = hex.split_whitespace().collect::<Vec<_>>().join(" ");
    let got = write(&[Labels::from_pairs([("a", "x")]), Labels::from_pairs([("a", "y"), ("b", "1")])]);
    assert_eq!(got.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(" "), want);
}

#[test]
fn label_sets_come_back() {
    for count in [0, 1, 63, 64, 65, 400] {
        let sets = sets(count);
        let index = DiskIndex::open(write(&sets)).unwrap();
        assert_eq!(index.len() as usize, count);
        for (id, labels) in sets.iter().enumerate() {
            assert_eq!(&index.labels(id as u32).unwrap(), labels);
        }
        assert!(index.labels(count as u32).is_err());
        let mut seen = Vec::new();
        let some = (0..count as u32).filter(|id| id % 7 != 3);
        index.visit_labels(some.clone(), &mut |id, labels| seen.push((id, labels))).unwrap();
        assert_eq!(seen, some.map(|id| (id, sets[id as usize].clone())).collect::<Vec<_>>());
    }
}

#[test]
fn many_labels_and_long_values() {
    let wide = Labels::from_pairs((0..80).map(|i| (format!("l{i:02}"), "v".repeat(i * 7 + 1))));
    let sets = [Labels::empty(), wide.clone(), wide.to_builder().set("l79", "z").build()];
    let index = DiskIndex::open(write(&sets)).unwrap();
    for (id, labels) in sets.iter().enumerate() {
        assert_eq!(&index.labels(id as u32).unwrap(), labels);
    }
}

/// Whatever a file says, a question gets the right answer or an error.
fn interrogate(bytes: Vec<u8>, sets: &[Labels]) {
    let Ok(index) = DiskIndex::open(bytes) else { return };
    for (id, labels) in sets.iter().enumerate() {
        if let Ok(found) = index.labels(id as u32) {
            assert_eq!(&found, labels);
        }
    }
    for (name, value) in [("__name__", "metric_1"), ("instance", "host-0.*"), ("zone", "a")] {
        let matcher = Matcher::new(MatchOp::Regex, name, value).unwrap();
        let want: Vec<u32> = (0..).zip(sets).filter(|(_, l)| matcher.matches_labels(l)).map(|(id, _)| id).collect();
        if let Ok(found) = select(&index, &[matcher]) {
            assert_eq!(found.iter().collect::<Vec<_>>(), want);
        }
    }
}

#[test]
fn truncation_and_flips_are_seen() {
    let sets = sets(90);
    let bytes = write(&sets);
    for len in 0..bytes.len() {
        assert!(DiskIndex::open(bytes[..len].to_vec()).is_err(), "cut to {len}");
    }
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        interrogate(flipped, &sets);
    }
}

#[test]
fn damage_costs_only_its_part() {
    let sets = sets(300);
    let bytes = write(&sets);
    let mut index = DiskIndex::open(bytes.clone()).unwrap();
    let zone = index.name("zone").unwrap().offset as usize;
    let mut damaged = bytes.clone();
    damaged[zone] ^= 0xff;
    // Byte 12 is in the first page.
    damaged[12] ^= 0xff;
    index = DiskIndex::open(damaged).unwrap();
    assert!(matches!(select(&index, &[Matcher::equal("zone", "a")]), Err(IndexError::Checksum { .. })));
    assert_eq!(select(&index, &[Matcher::equal("instance", "host-003")]).unwrap().len(), 5);
    assert!(index.labels(5).is_err());
    let other = (64..300).find(|&id| !sets[id].iter().any(|(name, _)| name == "zone")).unwrap();
    assert_eq!(index.labels(other as u32).unwrap(), sets[other]);
    assert_eq!(index.value_count("zone").unwrap(), 1);
}

proptest! {
    #[test]
    fn noise_is_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(DiskIndex::open(bytes).is_err());
    }
}
