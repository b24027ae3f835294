use super::*;

fn entry(firing: &[u64], resolved: &[u64], timestamp_ms: i64) -> LogEntry {
    LogEntry {
        group_key: "g".to_owned(),
        integration: IntegrationKey { receiver: "r".to_owned(), integration: "slack".to_owned(), index: 0 },
        timestamp_ms,
        firing: firing.iter().copied().collect(),
        resolved: resolved.iter().copied().collect(),
        expires_at_ms: timestamp_ms + 1_000,
        data: BTreeMap::new(),
    }
}

/// Every row of the decision, at its border.
#[test]
fn the_decision() {
    use NotifyReason::{AllResolved, First, NewAlerts, Repeat, SomeResolved};
    const NOW: i64 = 10_000;
    const REPEAT: i64 = 1_000;
    type Case = (Option<LogEntry>, &'static [u64], &'static [u64], bool, Option<NotifyReason>);
    let fresh = NOW - 1;
    let cases: [Case; 17] = [
        (None, &[], &[], true, None),
        (None, &[], &[1], true, None),
        (None, &[1], &[], true, Some(First)),
        (Some(entry(&[], &[1], fresh)), &[1], &[], true, Some(First)),
        (Some(entry(&[], &[], fresh)), &[1], &[], true, Some(First)),
        (Some(entry(&[1], &[], fresh)), &[1], &[], true, None),
        (Some(entry(&[1], &[], fresh)), &[1, 2], &[], true, Some(NewAlerts)),
        (Some(entry(&[1, 2], &[], fresh)), &[1], &[], true, None),
        (Some(entry(&[1, 2], &[], fresh)), &[1], &[2], true, Some(SomeResolved)),
        (Some(entry(&[1, 2], &[], fresh)), &[1], &[2], false, None),
        (Some(entry(&[1], &[2], fresh)), &[1], &[2], true, None),
        (Some(entry(&[1], &[], fresh)), &[], &[1], true, Some(AllResolved)),
        (Some(entry(&[1], &[], fresh)), &[], &[1], false, Some(AllResolved)),
        (Some(entry(&[], &[1], fresh)), &[], &[1], true, None),
        (Some(entry(&[], &[1], 0)), &[], &[1, 2], true, None),
        (Some(entry(&[1], &[], NOW - REPEAT)), &[1], &[], true, None),
        (Some(entry(&[1], &[], NOW - REPEAT - 1)), &[1], &[], true, Some(Repeat)),
    ];
    for (i, (entry, firing, resolved, send_resolved, want)) in cases.into_iter().enumerate() {
        let set = |hashes: &[u64]| hashes.iter().copied().collect();
        let got = why_notify(entry.as_ref(), &set(firing), &set(resolved), send_resolved, REPEAT, NOW);
        assert_eq!(got, want, "case {i}");
    }
}

#[test]
fn entries_are_replaced_by_newer_ones_and_forgotten() {
    let mut log = NotificationLog::default();
    assert!(log.put(entry(&[1], &[], 100)));
    assert!(!log.put(entry(&[2], &[], 99)));
    assert!(log.put(entry(&[3], &[], 100)));
    let key = entry(&[], &[], 0).integration;
    assert_eq!(log.get("g", &key).map(|e| e.firing.contains(&3)), Some(true));
    assert_eq!(log.get("other", &key), None);
    assert_eq!(log.collect(1_099), 0);
    assert_eq!(log.collect(1_100), 1);
    assert_eq!(log.iter().count(), 0);
}
