//! Which values of two sets meet.

use model::Labels;

use crate::grafana::value::Value;

/// Two values that meet, and the labels of what comes of them.
pub(super) struct Union<'v> {
    pub(super) labels: Labels,
    pub(super) a: &'v Value,
    pub(super) b: &'v Value,
}

/// Pairs whose labels are equal, of which one has none, or of which one's are all among the other's. If nothing meets and
/// there is one value on each side, the two meet anyway, without labels. With a side of nothing the result is nothing.
pub(super) fn union<'v>(a: &'v [Value], b: &'v [Value]) -> Vec<Union<'v>> {
    let (Some(first_a), Some(first_b)) = (a.first(), b.first()) else { return Vec::new() };
    let forced = || vec![Union { labels: Labels::empty(), a: first_a, b: first_b }];
    let nothing = |value: &Value| *value == Value::NoData;
    if (a.len() == 1 || b.len() == 1) && (nothing(first_a) || nothing(first_b)) {
        return forced();
    }
    let mut unions = Vec::new();
    for a in a {
        let a_labels = a.labels();
        for b in b {
            if let Some(labels) = joined(&a_labels, &b.labels()) {
                unions.push(Union { labels, a, b });
            }
        }
    }
    if unions.is_empty() && a.len() == 1 && b.len() == 1 {
        return forced();
    }
    unions
}

fn joined(a: &Labels, b: &Labels) -> Option<Labels> {
    let within = |small: &Labels, large: &Labels| small.iter().all(|(name, value)| large.get(name) == Some(value));
    match a.len().cmp(&b.len()) {
        std::cmp::Ordering::Equal => (a == b).then(|| a.clone()),
        std::cmp::Ordering::Greater => within(b, a).then(|| a.clone()),
        std::cmp::Ordering::Less => within(a, b).then(|| b.clone()),
    }
}
