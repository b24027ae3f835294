//! Counts, for metrics.

use std::collections::BTreeMap;

use crate::notify::request::FailureReason;

/// Why an alert is not sent although its group is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Suppression {
    /// Another alert inhibits it.
    Inhibition,
    /// No active time interval of the route holds.
    ActiveTimeInterval,
    /// A mute time interval of the route holds.
    MuteTimeInterval,
    /// A silence matches it.
    Silence,
}

impl Suppression {
    /// Value of the label `reason`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inhibition => "inhibition",
            Self::ActiveTimeInterval => "active_time_interval",
            Self::MuteTimeInterval => "mute_time_interval",
            Self::Silence => "silence",
        }
    }
}

/// Counts of one integration of one receiver.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IntegrationStats {
    /// Notifications that were begun.
    pub notifications: u64,
    /// Notifications that were given up, by reason.
    pub failed: BTreeMap<FailureReason, u64>,
    /// Attempts.
    pub requests: u64,
    /// Attempts that failed.
    pub requests_failed: u64,
}

/// Counts since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Firing alerts that came in.
    pub alerts_received_firing: u64,
    /// Resolved alerts that came in.
    pub alerts_received_resolved: u64,
    /// Alerts that were refused.
    pub alerts_invalid: u64,
    /// By (receiver, kind of integration).
    pub integrations: BTreeMap<(String, String), IntegrationStats>,
    /// Alerts that were held back, each time their group was due.
    pub suppressed: BTreeMap<Suppression, u64>,
}

impl Stats {
    pub(super) fn of(&mut self, receiver: &str, integration: &str) -> &mut IntegrationStats {
        self.integrations.entry((receiver.to_owned(), integration.to_owned())).or_default()
    }
}
