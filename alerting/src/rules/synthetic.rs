//! The series that alerting rules write about themselves.

use model::{Labels, METRIC_NAME};

use super::state::AlertState;
use crate::evaluate::{OutputSample, SampleValue};

/// Name of the series that says which alerts are pending or firing.
pub const ALERTS: &str = "ALERTS";
/// Name of the series that says since when: it restores `for` after a restart.
pub const ALERTS_FOR_STATE: &str = "ALERTS_FOR_STATE";
const STATE_LABEL: &str = "alertstate";

/// `ALERTS{…,alertstate} 1` and `ALERTS_FOR_STATE{…} <since, in seconds>` of an active alert.
pub(super) fn samples(alert: &Labels, state: AlertState, at_ms: i64) -> Option<[OutputSample; 2]> {
    let active_at_ms = if state.is_active() { state.active_at_ms()? } else { return None };
    let output = |labels, value| OutputSample { labels, timestamp_ms: at_ms, value: SampleValue::Float(value) };
    let mut labels = alert.to_builder();
    labels.set(METRIC_NAME, ALERTS).set(STATE_LABEL, state.name());
    let alerts = output(labels.build(), 1.0);
    let mut labels = alert.to_builder();
    labels.set(METRIC_NAME, ALERTS_FOR_STATE);
    Some([alerts, output(labels.build(), active_at_ms.div_euclid(1000) as f64)])
}
