//! Which alerts are sent, when again, and what a sent alert carries.

use model::Labels;
use serde::{Deserialize, Serialize};

use super::state::AlertState;
use crate::text::{escape_query, serde_labels, serde_time, serde_time_opt};

/// An alert on its way to Alertmanager.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OutgoingAlert {
    /// Identity, `alertname` included.
    #[serde(with = "serde_labels")]
    pub labels: Labels,
    /// What it says.
    #[serde(with = "serde_labels")]
    pub annotations: Labels,
    /// When it began to fire.
    #[serde(rename = "startsAt", with = "serde_time")]
    pub starts_at_ms: i64,
    /// When it resolved, or until when it counts as firing unless it is sent again.
    #[serde(rename = "endsAt", with = "serde_time_opt")]
    pub ends_at_ms: Option<i64>,
    /// Link to the expression.
    #[serde(rename = "generatorURL")]
    pub generator_url: String,
}

/// `<external url>/graph?g0.expr=…&g0.tab=1`: the expression as a table.
pub fn generator_url(external_url: &str, expr: &str) -> String {
    format!("{}/graph?g0.expr={}&g0.tab=1", external_url.trim_end_matches('/'), escape_query(expr))
}

/// Whether an alert in `state`, last sent at `last_sent_ms`, is to be sent now: pending ones never, one that resolved since
/// always, others when `resend_delay_ms` has passed.
pub fn needs_sending(state: AlertState, last_sent_ms: Option<i64>, now_ms: i64, resend_delay_ms: i64) -> bool {
    let Some(last) = last_sent_ms else {
        return matches!(state, AlertState::Firing { .. } | AlertState::Resolved { .. });
    };
    match state {
        AlertState::Inactive | AlertState::Pending { .. } => false,
        AlertState::Resolved { resolved_at_ms, .. } if resolved_at_ms > last => true,
        AlertState::Firing { .. } | AlertState::Resolved { .. } => last.saturating_add(resend_delay_ms) < now_ms,
    }
}

/// Until when a firing alert counts as such without being sent again: two failed evaluations or sends are survived.
pub fn valid_until(now_ms: i64, interval_ms: i64, resend_delay_ms: i64) -> i64 {
    now_ms.saturating_add(interval_ms.max(resend_delay_ms).saturating_mul(4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sends_what_changed_and_repeats_the_rest() {
        let pending = AlertState::Pending { active_at_ms: 0 };
        let firing = AlertState::Firing { active_at_ms: 0, fired_at_ms: 10, cleared_at_ms: None };
        let resolved = AlertState::Resolved { active_at_ms: 0, fired_at_ms: 10, resolved_at_ms: 100 };
        let cases = [
            (AlertState::Inactive, None, 50, false),
            (pending, None, 50, false),
            (pending, Some(0), 5_000, false),
            (firing, None, 50, true),
            (firing, Some(50), 60_050, false),
            (firing, Some(50), 60_051, true),
            (resolved, Some(99), 100, true),
            (resolved, Some(100), 101, false),
            (resolved, Some(100), 60_101, true),
            (resolved, None, 100, true),
        ];
        for (state, last, now, want) in cases {
            assert_eq!(needs_sending(state, last, now, 60_000), want, "{state:?} {last:?} {now}");
        }
        assert_eq!(valid_until(1_000, 30_000, 60_000), 241_000);
        assert_eq!(valid_until(1_000, 300_000, 60_000), 1_201_000);
    }

    #[test]
    fn links_to_the_expression() {
        assert_eq!(
            generator_url("http://host:9090/", "up == 0"),
            "http://host:9090/graph?g0.expr=up+%3D%3D+0&g0.tab=1"
        );
    }
}
