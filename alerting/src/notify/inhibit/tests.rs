use super::*;
use crate::notify::matcher::{MatcherMode, Matchers, parse_matchers};

fn rule(source: &str, target: &str, equal: &[&str]) -> CompiledInhibitRule {
    let matchers = |text| Matchers::in_order(parse_matchers(text, MatcherMode::default()).expect("well formed"));
    CompiledInhibitRule {
        name: String::new(),
        source: matchers(source),
        target: matchers(target),
        equal: equal.iter().map(|name| (*name).to_owned()).collect(),
    }
}

fn alert(labels: &[(&str, &str)], ends_at_ms: i64) -> Alert {
    Alert {
        labels: Labels::from_pairs(labels.iter().copied()),
        annotations: Labels::empty(),
        starts_at_ms: 0,
        ends_at_ms,
        generator_url: String::new(),
        updated_at_ms: 0,
        timeout: false,
    }
}

#[test]
fn who_keeps_whom_quiet() {
    let severity = || rule(r#"severity="critical""#, r#"severity=~"warning|info""#, &["cluster", "service"]);
    let both = || rule(r#"t="1""#, r#"u="1""#, &["e"]);
    type Set = [(&'static str, &'static str)];
    // rule, sources, target, inhibited
    let cases: [(CompiledInhibitRule, &[&Set], &Set, bool); 10] = [
        (
            severity(),
            &[&[("severity", "critical"), ("cluster", "a")]],
            &[("severity", "warning"), ("cluster", "a")],
            true,
        ),
        (
            severity(),
            &[&[("severity", "critical"), ("cluster", "b")]],
            &[("severity", "warning"), ("cluster", "a")],
            false,
        ),
        (
            severity(),
            &[&[("severity", "warning"), ("cluster", "a")]],
            &[("severity", "warning"), ("cluster", "a")],
            false,
        ),
        (
            severity(),
            &[&[("severity", "critical"), ("cluster", "a")]],
            &[("severity", "critical"), ("cluster", "a")],
            false,
        ),
        // Absent in both is equal, absent in one is not.
        (severity(), &[&[("severity", "critical")]], &[("severity", "info"), ("x", "y")], true),
        (severity(), &[&[("severity", "critical"), ("service", "s")]], &[("severity", "info")], false),
        // Matches both sides: not by itself, not by another one that does, but by a plain source.
        (both(), &[&[("t", "1"), ("u", "1"), ("e", "1")]], &[("t", "1"), ("u", "1"), ("e", "1")], false),
        (both(), &[&[("t", "1"), ("u", "1"), ("e", "1"), ("n", "2")]], &[("t", "1"), ("u", "1"), ("e", "1")], false),
        (
            both(),
            &[&[("t", "1"), ("u", "1"), ("e", "1"), ("n", "2")], &[("t", "1"), ("e", "1")]],
            &[("t", "1"), ("u", "1"), ("e", "1")],
            true,
        ),
        (both(), &[&[("t", "1"), ("u", "1"), ("e", "1")]], &[("u", "1"), ("e", "1")], true),
    ];
    for (i, (rule, sources, target, want)) in cases.into_iter().enumerate() {
        let alerts: Vec<_> = sources.iter().map(|labels| alert(labels, 100)).collect();
        let rules = [rule];
        let target = Labels::from_pairs(target.iter().copied());
        assert_eq!(Inhibitor::new(&rules, alerts.iter(), 50).inhibited_by(&target).is_some(), want, "case {i}");
        // Resolved sources inhibit nothing.
        assert_eq!(Inhibitor::new(&rules, alerts.iter(), 100).inhibited_by(&target), None, "case {i}");
    }
}
