use super::super::{DiskIndex, IndexWriter, LabelIndex, MemoryIndex, cardinality, label_names, label_values};
use super::*;
use crate::labels::Labels;
use crate::matcher::MatchOp;
use proptest::prelude::*;

/// The same label sets in memory and on disk; ids are places in the sorted list.
fn both(sets: &[Labels]) -> (MemoryIndex, DiskIndex<Vec<u8>>) {
    let mut memory = MemoryIndex::new();
    let mut writer = IndexWriter::new();
    for (id, labels) in sets.iter().enumerate() {
        memory.insert(id as u32, labels);
        assert_eq!(writer.push(labels).unwrap(), id as u32);
    }
    (memory, DiskIndex::open(writer.finish().unwrap()).unwrap())
}

fn check(sets: &[Labels], matchers: &[Matcher]) {
    let want: Vec<u32> =
        (0..).zip(sets).filter(|(_, l)| matchers.iter().all(|m| m.matches_labels(l))).map(|(i, _)| i).collect();
    let (memory, disk) = both(sets);
    assert_eq!(select(&memory, matchers).unwrap().iter().collect::<Vec<_>>(), want, "{matchers:?} in memory");
    assert_eq!(select(&disk, matchers).unwrap().iter().collect::<Vec<_>>(), want, "{matchers:?} on disk");
}

fn shop() -> Vec<Labels> {
    let mut sets = Vec::new();
    for host in 0..40 {
        for mode in ["idle", "user", "system", "iowait", "übung"] {
            let host = format!("host-{host:02}:9100");
            sets.push(Labels::from_pairs([("__name__", "cpu"), ("instance", &host), ("mode", mode)]));
        }
        sets.push(Labels::from_pairs([("__name__", "up"), ("instance", &format!("host-{host:02}:9100"))]));
    }
    sets.sort();
    sets
}

#[test]
fn every_operator_and_shape() {
    let sets = shop();
    let expressions = [
        "idle",
        "idle|user",
        "",
        "idle|",
        "i.*",
        "i.+",
        ".*",
        ".+",
        ".*e",
        ".*s.*",
        "(idle|sys.*)",
        "[iu].*",
        "x?idle",
        "(?i)IDLE",
        "u|user",
        "übung",
        "ü.*",
        ".*ü.*",
        "(user)",
        "us(er|ing)",
        "idle.*|user",
        "nothing",
        "(.*)",
        "(.+)e",
    ];
    for op in [MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex] {
        for expression in expressions {
            for name in ["mode", "absent", "__name__"] {
                let matcher = Matcher::new(op, name, expression).unwrap();
                check(&sets, std::slice::from_ref(&matcher));
                check(&sets, &[Matcher::equal("instance", "host-07:9100"), matcher.clone()]);
                check(&sets, &[matcher, Matcher::new(MatchOp::Regex, "instance", "host-[01].*").unwrap()]);
            }
        }
    }
    check(&sets, &[]);
}

#[test]
fn shapes_are_recognised() {
    let shape = |pattern: &str| match ValueTest::new(&Matcher::new(MatchOp::Regex, "l", pattern).unwrap()) {
        ValueTest::Literals(literals) => format!("one of {}", literals.join(" ")),
        ValueTest::Any => "any".to_owned(),
        ValueTest::Expression(regex) => format!("begins with {:?}", regex.prefix()),
    };
    for (pattern, want) in [
        ("c|b|a", "one of a b c"),
        ("(?:foo|bar)baz", "one of barbaz foobaz"),
        ("a[0-2]?", "one of a a0 a1 a2"),
        ("foo.*", "begins with \"foo\""),
        (".*", "any"),
        (".+", "any"),
        ("(.+)", "any"),
        ("foo[0-9]+x", "begins with \"foo\""),
        (".*foo", "begins with \"\""),
    ] {
        assert_eq!(shape(pattern), want, "{pattern}");
    }
}

#[test]
fn automata_resume_over_many_values() {
    let sets: Vec<Labels> =
        (0..3_000).map(|i| Labels::from_pairs([("pod", format!("api-{i:05}-x{}", i % 7))])).collect();
    for expression in ["api-0.*5-x3", "[a-z]+-0(1|2)[0-9]+-x[135]", "api-(00|02).*", "(api-00001-x1|zzz.*)", ".*9-x.|q"]
    {
        check(&sets, &[Matcher::new(MatchOp::Regex, "pod", expression).unwrap()]);
        check(&sets, &[Matcher::new(MatchOp::NotRegex, "pod", expression).unwrap()]);
    }
}

#[test]
fn lists_and_counts() {
    let sets = shop();
    let (memory, disk) = both(&sets);
    let indexes: [&dyn LabelIndex; 2] = [&memory, &disk];
    for index in indexes {
        assert_eq!(label_names(index, None, 0).unwrap(), ["__name__", "instance", "mode"]);
        assert_eq!(label_names(index, None, 2).unwrap(), ["__name__", "instance"]);
        let up = select(index, &[Matcher::equal("__name__", "up")]).unwrap();
        assert_eq!(label_names(index, Some(&up), 0).unwrap(), ["__name__", "instance"]);
        assert_eq!(label_values(index, "mode", None, 0).unwrap(), ["idle", "iowait", "system", "user", "übung"]);
        assert_eq!(label_values(index, "mode", None, 2).unwrap(), ["idle", "iowait"]);
        assert_eq!(label_values(index, "mode", Some(&up), 0).unwrap(), [""; 0]);
        assert_eq!(label_values(index, "instance", Some(&up), 1).unwrap(), ["host-00:9100"]);
        let report = cardinality(index, 2).unwrap();
        assert_eq!((report.series, report.pairs), (240, 47));
        let counts =
            |counts: &[super::super::Count]| counts.iter().map(|c| (c.name.clone(), c.count)).collect::<Vec<_>>();
        assert_eq!(counts(&report.series_by_metric), [("cpu".to_owned(), 200), ("up".to_owned(), 40)]);
        assert_eq!(counts(&report.values_by_name), [("instance".to_owned(), 40), ("mode".to_owned(), 5)]);
        assert_eq!(counts(&report.series_by_pair), [("__name__=cpu".to_owned(), 200), ("__name__=up".to_owned(), 40)]);
    }
}

#[test]
fn removal_leaves_nothing_behind() {
    let sets = shop();
    let (mut memory, _) = both(&sets);
    for (id, labels) in sets.iter().enumerate() {
        memory.remove(id as u32, labels);
    }
    assert!(memory.is_empty());
    assert_eq!(label_names(&memory, None, 0).unwrap(), [""; 0]);
}

fn matcher() -> impl Strategy<Value = Matcher> {
    let op = prop_oneof![Just(MatchOp::Equal), Just(MatchOp::NotEqual), Just(MatchOp::Regex), Just(MatchOp::NotRegex)];
    let value = prop_oneof!["[abc]{0,2}", "[abc]{1}(\\||\\.\\*|\\.\\+|\\?)[abc]{0,1}", "(\\.\\*)?[abc]{1,2}(\\.\\*)?"];
    (op, "[xyz]", value)
        .prop_filter_map("patterns have to be valid", |(op, name, value)| Matcher::new(op, &name, &value).ok())
}

proptest! {
    #[test]
    fn selecting_is_testing_every_set(
        sets in prop::collection::btree_set(prop::collection::btree_map("[xyz]", "[abc]{1,3}", 0..4), 0..200),
        matchers in prop::collection::vec(matcher(), 0..4),
    ) {
        let mut sets: Vec<Labels> = sets.iter().map(|set| Labels::from_pairs(set.iter())).collect();
        sets.sort();
        check(&sets, &matchers);
    }
}
