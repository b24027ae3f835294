//! Restoring `for` from the `ALERTS_FOR_STATE` series that were written before a restart.
//!
//! This is how Prometheus does it, and how a data directory taken over from it is honoured. Foursight's own snapshots
//! ([`super::GroupSnapshot`]) are exact and need none of it.
//!
//! The time an alert had spent pending when the server went down counts, the outage itself does not. An alert that had
//! less than the grace period left waits for the whole grace period, so that data missed in the outage cannot make it fire.

use model::{Labels, METRIC_NAME, is_stale};

use super::alert_rule::AlertRule;
use super::state::AlertState;
use super::synthetic::ALERTS_FOR_STATE;
use crate::evaluate::QueryError;

/// How `for` is restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestoreOptions {
    /// Longest outage after which it is restored at all (`--rules.alert.for-outage-tolerance`).
    pub outage_tolerance_ms: i64,
    /// Shortest wait after a restart (`--rules.alert.for-grace-period`). Rules with a shorter `for` are not restored.
    pub grace_period_ms: i64,
}

impl Default for RestoreOptions {
    fn default() -> Self {
        Self { outage_tolerance_ms: 3_600_000, grace_period_ms: 600_000 }
    }
}

/// Asks for the newest sample of each series that carries these labels, within a time range.
#[derive(Clone, Debug, PartialEq)]
pub struct ForStateQuery {
    /// Labels the series have, the metric name included.
    pub equal: Vec<(String, String)>,
    /// Oldest time of interest.
    pub min_ms: i64,
    /// Newest time of interest.
    pub max_ms: i64,
}

/// A series found, with its newest sample.
#[derive(Clone, Debug, PartialEq)]
pub struct ForStateSeries {
    /// Its labels.
    pub labels: Labels,
    /// Time of its newest sample.
    pub last_ms: i64,
    /// Value of its newest sample: seconds since when the alert was active.
    pub value: f64,
}

/// Since when a restored alert counts as active.
///
/// `down_at_ms`: last sign of life; `active_at_ms`: since when it had been active then.
pub fn restored_active_at(now_ms: i64, down_at_ms: i64, active_at_ms: i64, for_ms: i64, grace_period_ms: i64) -> i64 {
    let remaining = for_ms - (down_at_ms - active_at_ms);
    if remaining <= 0 {
        // It was firing: the next evaluation finds that `for` has passed.
        active_at_ms
    } else if remaining < grace_period_ms {
        now_ms + grace_period_ms - for_ms
    } else {
        active_at_ms + (now_ms - down_at_ms)
    }
}

/// Restores one rule's pending alerts through `read`; afterwards the rule writes its `ALERTS` series.
///
/// # Errors
/// When `read` fails. The rule is marked as restored all the same: there is no second chance, and it will fire in the end.
pub(super) fn restore(
    rule: &mut AlertRule,
    now_ms: i64,
    options: &RestoreOptions,
    read: &mut dyn FnMut(&ForStateQuery) -> Result<Vec<ForStateSeries>, QueryError>,
) -> Result<(), QueryError> {
    rule.set_restored();
    let for_ms = rule.timing.for_ms;
    if for_ms < options.grace_period_ms {
        return Ok(());
    }
    let mut equal =
        vec![(METRIC_NAME.to_owned(), ALERTS_FOR_STATE.to_owned()), ("alertname".to_owned(), rule.name.clone())];
    // The value of a templated label differs from alert to alert.
    equal.extend(rule.labels.iter().filter(|(_, value)| !value.contains("{{")).cloned());
    let query = ForStateQuery { equal, min_ms: now_ms - options.outage_tolerance_ms, max_ms: now_ms };
    let series = read(&query)?;
    for series in series {
        if is_stale(series.value) || !series.value.is_finite() {
            continue;
        }
        let labels = series.labels.without(|name| name == METRIC_NAME);
        let Some(alert) = rule.active_mut().get_mut(&labels) else { continue };
        let active_at_ms = (series.value as i64).saturating_mul(1000);
        let restored = restored_active_at(now_ms, series.last_ms, active_at_ms, for_ms, options.grace_period_ms);
        match &mut alert.state {
            AlertState::Pending { active_at_ms } | AlertState::Firing { active_at_ms, .. } => *active_at_ms = restored,
            AlertState::Inactive | AlertState::Resolved { .. } => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    #[test]
    fn the_outage_does_not_count_and_the_grace_period_does() {
        let hour = 60 * MINUTE;
        // now, down, active, for, grace -> when it will fire, relative to now
        let cases = [
            // Was firing: fires at the next evaluation, its begin unchanged.
            (10 * hour, 9 * hour, 7 * hour, hour, 10 * MINUTE, 8 * hour),
            // 30 minutes were left: 30 minutes are left.
            (10 * hour, 9 * hour, 9 * hour - 30 * MINUTE, hour, 10 * MINUTE, 10 * hour + 30 * MINUTE),
            // 5 minutes were left: the grace period is waited for.
            (10 * hour, 9 * hour, 8 * hour + 5 * MINUTE, hour, 10 * MINUTE, 10 * hour + 10 * MINUTE),
        ];
        for (now, down, active, hold, grace, fires) in cases {
            assert_eq!(restored_active_at(now, down, active, hold, grace) + hold, fires);
        }
    }
}
