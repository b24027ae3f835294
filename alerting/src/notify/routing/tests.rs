use super::*;

const TREE: &str = r#"
receiver: default
group_by: [cluster]
routes:
- matchers: [owner="team-A"]
  receiver: a
  group_wait: 1m
  group_by: [role]
  routes:
  - matchers: [env="testing"]
    receiver: a-testing
    group_by: ['...']
    continue: true
  - matchers: [env=~"testing|production"]
    receiver: a-all
    group_by: []
    group_wait: 30s
    mute_time_intervals: [nights]
    routes: [{matchers: [x=y]}]
- matchers: [owner=~"team-(B|C)"]
  group_by: [foo, bar]
  receiver: b-and-c
"#;

fn tree() -> RouteTree {
    let route: Route = serde_saphyr::from_str(TREE).expect("well formed");
    RouteTree::new(&route, MatcherMode::default()).expect("matchers are well formed")
}

#[test]
fn alerts_find_their_nodes() {
    let tree = tree();
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str]);
    let cases: [Case<'_>; 8] = [
        (&[], &["default"]),
        (&[("owner", "team-A")], &["a"]),
        (&[("owner", "team-A"), ("env", "unset")], &["a"]),
        (&[("owner", "team-A"), ("env", "testing")], &["a-testing", "a-all"]),
        (&[("owner", "team-A"), ("env", "production")], &["a-all"]),
        (&[("owner", "team-B")], &["b-and-c"]),
        (&[("owner", "team-C"), ("env", "testing")], &["b-and-c"]),
        (&[("owner", "team-BC")], &["default"]),
    ];
    for (labels, want) in cases {
        let labels = Labels::from_pairs(labels.iter().copied());
        let found: Vec<_> = tree.matching(&labels).iter().map(|i| tree.nodes()[*i].options.receiver.clone()).collect();
        assert_eq!(found, want, "{labels}");
    }
}

#[test]
fn options_are_inherited_except_intervals() {
    let tree = tree();
    let by_receiver = |name: &str| {
        let node = tree.nodes().iter().find(|node| node.options.receiver == name);
        node.unwrap_or_else(|| panic!("no node for {name}"))
    };
    assert_eq!(by_receiver("a").options.group_wait_ms, 60_000);
    assert_eq!(by_receiver("a-testing").options.group_wait_ms, 60_000);
    assert_eq!(by_receiver("a-all").options.group_wait_ms, 30_000);
    assert!(by_receiver("a-testing").options.group_by_all);
    assert!(by_receiver("a-all").options.group_by.is_empty() && !by_receiver("a-all").options.group_by_all);
    let last = &tree.nodes()[4];
    assert_eq!(
        (last.options.receiver.as_str(), last.key.as_str()),
        ("a-all", "{}/{owner=\"team-A\"}/{env=~\"testing|production\"}/{x=\"y\"}")
    );
    assert!(last.options.mute_time_intervals.is_empty());
}

#[test]
fn grouping() {
    let tree = tree();
    let labels = Labels::from_pairs([("cluster", "c"), ("role", "r"), ("owner", "team-A"), ("env", "testing")]);
    assert_eq!(tree.group_labels(0, &labels).to_string(), r#"{cluster="c"}"#);
    assert_eq!(tree.group_labels(1, &labels).to_string(), r#"{role="r"}"#);
    assert_eq!(tree.group_labels(2, &labels), labels);
    assert_eq!(tree.group_labels(3, &labels), Labels::empty());
}

#[test]
fn times_that_do_not_go_together() {
    let warnings = |group_ms: i64, repeat_ms: i64| {
        let route = Route {
            receiver: "r".to_owned(),
            group_interval: Some(PromDuration(group_ms)),
            repeat_interval: Some(PromDuration(repeat_ms)),
            ..Route::default()
        };
        let tree = RouteTree::new(&route, MatcherMode::default()).expect("a tree");
        tree.timing_warnings(3_600_000).into_iter().map(|(key, warning)| format!("{key} {warning}")).collect::<Vec<_>>()
    };
    assert_eq!(warnings(60_000, 3_600_000), [""; 0]);
    let long = "{} repeat_interval (2h) is greater than the data retention period (1h): \
                notifications may be repeated more often than expected";
    assert_eq!(warnings(60_000, 7_200_000), [long]);
    let short = "{} repeat_interval (1m) is less than group_interval (5m): \
                 notifications are not repeated until the next group_interval";
    assert_eq!(warnings(300_000, 60_000), [short]);
}
