//! What a notification is about: the alerts of a group at one time, and what they have in common.
//!
//! The notifier makes a [`Message`] when a group is due; each renderer turns it into its receiver's form. Whether an alert
//! fires is decided once, when the message is made, so that attempts made later say the same.

use std::collections::BTreeMap;

use model::Labels;

use super::alert::Alert;
use super::log::NotifyReason;

/// Whether an alert or a whole message is about something that fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// It fires.
    Firing,
    /// It has ended.
    Resolved,
}

impl Status {
    /// `firing` or `resolved`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        }
    }
}

/// An alert within a message.
#[derive(Clone, Debug, PartialEq)]
pub struct MessageAlert {
    /// The alert.
    pub alert: Alert,
    /// Whether it fired when the message was made.
    pub status: Status,
}

impl MessageAlert {
    /// When it ended; `None` while it fires.
    pub fn ends_at_ms(&self) -> Option<i64> {
        (self.status == Status::Resolved).then_some(self.alert.ends_at_ms)
    }
}

/// A notification before it is rendered.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Name of the receiver.
    pub receiver: String,
    /// Why it is sent; `None` while labels of the route are rendered, before the reason is known.
    pub reason: Option<NotifyReason>,
    /// The alerts, in their order within messages.
    pub alerts: Vec<MessageAlert>,
    /// Labels that the group's alerts were grouped by.
    pub group_labels: Labels,
    /// Labels that all alerts have.
    pub common_labels: Labels,
    /// Annotations that all alerts have.
    pub common_annotations: Labels,
    /// Labels of the route, rendered.
    pub route_labels: BTreeMap<String, String>,
    /// Key of the group.
    pub group_key: String,
    /// How many alerts were left out because the receiver takes so many only.
    pub truncated: usize,
    /// What the receiver wanted remembered when it was last told of the group.
    pub previous: BTreeMap<String, String>,
}

impl Message {
    /// A message about alerts; what they have in common is worked out.
    pub fn new(receiver: &str, group_key: &str, group_labels: &Labels, alerts: Vec<MessageAlert>) -> Self {
        Self {
            receiver: receiver.to_owned(),
            reason: None,
            common_labels: common(alerts.iter().map(|one| &one.alert.labels)),
            common_annotations: common(alerts.iter().map(|one| &one.alert.annotations)),
            alerts,
            group_labels: group_labels.clone(),
            route_labels: BTreeMap::new(),
            group_key: group_key.to_owned(),
            truncated: 0,
            previous: BTreeMap::new(),
        }
    }

    /// Firing if any alert is.
    pub fn status(&self) -> Status {
        self.alerts.iter().map(|alert| alert.status).min().unwrap_or(Status::Resolved)
    }

    /// The alerts of one status.
    pub fn with_status(&self, status: Status) -> impl Iterator<Item = &MessageAlert> {
        self.alerts.iter().filter(move |alert| alert.status == status)
    }

    /// The message with other alerts; what they have in common is worked out anew.
    #[must_use]
    pub fn with_alerts(&self, alerts: Vec<MessageAlert>) -> Self {
        Self {
            reason: self.reason,
            route_labels: self.route_labels.clone(),
            truncated: self.truncated,
            previous: self.previous.clone(),
            ..Self::new(&self.receiver, &self.group_key, &self.group_labels, alerts)
        }
    }

    /// The message with its first `max` alerts; 0 keeps all.
    #[must_use]
    pub fn truncated_to(&self, max: usize) -> Self {
        let left_out = self.alerts.len().saturating_sub(max);
        if max == 0 || left_out == 0 {
            return self.clone();
        }
        let kept = self.alerts.iter().take(max).cloned().collect();
        Self { truncated: left_out, ..self.with_alerts(kept) }
    }
}

/// The labels that all sets have with the same values.
fn common<'a>(mut sets: impl Iterator<Item = &'a Labels>) -> Labels {
    let Some(first) = sets.next() else { return Labels::empty() };
    let mut pairs: Vec<(&str, &str)> = first.iter().collect();
    for set in sets {
        pairs.retain(|(name, value)| set.get(name) == Some(value));
        if pairs.is_empty() {
            break;
        }
    }
    Labels::from_pairs(pairs)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An alert for tests: labels, annotations and status.
    pub(crate) fn alert(labels: &[(&str, &str)], annotations: &[(&str, &str)], status: Status) -> MessageAlert {
        let starts_at_ms = 1_704_067_200_000;
        MessageAlert {
            alert: Alert {
                labels: Labels::from_pairs(labels.iter().copied()),
                annotations: Labels::from_pairs(annotations.iter().copied()),
                starts_at_ms,
                ends_at_ms: starts_at_ms + 600_000,
                generator_url: "http://prom/graph?g0.expr=up&g0.tab=1".to_owned(),
                updated_at_ms: starts_at_ms,
                timeout: false,
            },
            status,
        }
    }

    #[test]
    fn what_alerts_have_in_common() {
        let alerts = vec![
            alert(&[("alertname", "Down"), ("job", "api"), ("instance", "a")], &[("summary", "x")], Status::Resolved),
            alert(&[("alertname", "Down"), ("job", "api"), ("instance", "b")], &[("summary", "y")], Status::Firing),
            alert(&[("alertname", "Down"), ("job", "web")], &[("summary", "x")], Status::Resolved),
        ];
        let message = Message::new("r", "{}:{}", &Labels::empty(), alerts);
        assert_eq!(message.common_labels, Labels::from_pairs([("alertname", "Down")]));
        assert!(message.common_annotations.is_empty());
        assert_eq!(message.status(), Status::Firing);
        let two = message.truncated_to(1);
        assert_eq!((two.alerts.len(), two.truncated, two.status()), (1, 2, Status::Resolved));
        assert_eq!(two.common_labels.len(), 3);
        assert_eq!(message.truncated_to(0), message);
        assert_eq!(message.truncated_to(3), message);
    }
}
