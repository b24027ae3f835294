use super::*;

const NOW: i64 = 1_000_000;

fn alert(starts: i64, ends: i64, updated: i64, timeout: bool) -> Alert {
    Alert {
        labels: Labels::from_pairs([("alertname", "A")]),
        annotations: Labels::from_pairs([("n", updated.to_string())]),
        starts_at_ms: starts,
        ends_at_ms: ends,
        generator_url: String::new(),
        updated_at_ms: updated,
        timeout,
    }
}

#[test]
fn merging_keeps_the_start_and_what_was_said_of_the_end() {
    // Relative to now: (older starts, ends, timeout), (newer starts, ends, timeout), want (starts, ends).
    let cases = [
        // Both firing, ends said: the later end.
        ((-90, 200, false), (-50, 100, false), (-90, 200)),
        // The older end was only assumed: the newer counts.
        ((-90, 200, true), (-50, 100, false), (-90, 100)),
        ((-90, 200, true), (-50, 100, true), (-90, 100)),
        ((-90, 50, false), (-50, 100, true), (-90, 100)),
        // The newer says resolved: it is.
        ((-90, 200, false), (-50, -10, false), (-90, -10)),
        // Both have ended: the later end.
        ((-90, -5, false), (-50, -10, false), (-90, -5)),
        // Started anew.
        ((-20, 200, false), (-50, 100, false), (-50, 200)),
    ];
    for (older, newer, want) in cases {
        let make = |(starts, ends, timeout), updated| alert(NOW + starts, NOW + ends, updated, timeout);
        for swapped in [false, true] {
            let (a, b) = (make(older, 1), make(newer, 2));
            let merged = if swapped { b.merge(a, NOW) } else { a.merge(b, NOW) };
            assert_eq!((merged.starts_at_ms - NOW, merged.ends_at_ms - NOW), want, "{older:?} {newer:?}");
            assert_eq!(merged.annotations.get("n"), Some("2"));
        }
    }
}

fn post(json: &str) -> Result<Alert, AlertError> {
    let alert: PostableAlert = serde_json::from_str(json).expect("well formed");
    alert.accept(NOW, 300_000, NameScheme::Utf8)
}

#[test]
fn posted_alerts_get_their_times() {
    let plain = post(r#"{"labels":{"alertname":"A","empty":""}}"#).expect("valid");
    assert_eq!((plain.starts_at_ms, plain.ends_at_ms, plain.timeout), (NOW, NOW + 300_000, true));
    assert_eq!(plain.labels.to_string(), r#"{alertname="A"}"#);
    let ended = post(r#"{"labels":{"a":"b"},"endsAt":"1970-01-01T00:00:05Z","startsAt":"0001-01-01T00:00:00Z"}"#)
        .expect("valid");
    assert_eq!((ended.starts_at_ms, ended.ends_at_ms, ended.timeout), (5_000, 5_000, false));
    let started = post(r#"{"labels":{"a":"b"},"startsAt":"1970-01-01T00:00:05Z","annotations":null}"#).expect("valid");
    assert_eq!((started.starts_at_ms, started.ends_at_ms), (5_000, NOW + 300_000));
    let cases = [
        (r#"{"labels":{}}"#, "at least one label pair required"),
        (r#"{"labels":{"a":""}}"#, "at least one label pair required"),
        (r#"{"labels":{"":"x"}}"#, r#"invalid label set: invalid name """#),
        (r#"{"labels":{"a":"b"},"annotations":{"":"x"}}"#, r#"invalid annotations: invalid name """#),
        (
            r#"{"labels":{"a":"b"},"startsAt":"1970-01-01T00:00:05Z","endsAt":"1970-01-01T00:00:04Z"}"#,
            "start time must be before end time",
        ),
    ];
    for (json, want) in cases {
        assert_eq!(post(json).map_err(|e| e.to_string()), Err(want.to_owned()), "{json}");
    }
}

#[test]
fn the_store_limits_alerts_of_one_name() {
    let mut store = AlertStore::new(2);
    let make = |n: i32| Alert {
        labels: Labels::from_pairs([("alertname", "A".to_owned()), ("n", n.to_string())]),
        ..alert(0, NOW, 0, false)
    };
    assert!(store.put(make(1), 0).is_ok() && store.put(make(2), 0).is_ok() && store.put(make(1), 0).is_ok());
    assert_eq!(store.put(make(3), 0).cloned(), Err(AlertError::Limit { name: "A".to_owned(), limit: 2 }));
    store.remove(&make(1).labels);
    assert!(store.put(make(3), 0).is_ok());
}

#[test]
fn orders() {
    let of = |pairs: &[(&str, &str)]| Labels::from_pairs(pairs.iter().copied());
    let sets = [
        of(&[("x", "1")]),
        of(&[("a", "9"), ("b", "1")]),
        of(&[("instance", "2"), ("x", "1")]),
        of(&[("instance", "1"), ("job", "b")]),
        of(&[("job", "a"), ("x", "0")]),
    ];
    let mut sorted = sets.to_vec();
    sorted.sort_by(message_order);
    let want = [&sets[4], &sets[3], &sets[2], &sets[0], &sets[1]];
    assert_eq!(sorted.iter().collect::<Vec<_>>(), want);
    assert!(label_order(&of(&[("b", "1")]), &of(&[("a", "1")])).is_lt());
    assert!(label_order(&of(&[("a", "1"), ("c", "1")]), &of(&[("a", "1"), ("b", "1")])).is_lt());
}
