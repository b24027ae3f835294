//! Alerts as the notifier keeps them, and the store that holds them.
//!
//! Identity is the label set. A sender repeats a firing alert with an end in the future; when the end passes without news
//! the alert counts as resolved. [`AlertStore`] merges what comes in with what is known: the earlier start wins, and an end
//! that was only assumed never shortens or lengthens one that was said.

use std::collections::{BTreeMap, HashMap};

use model::Labels;
use serde::{Deserialize, Serialize};

use crate::text::{NameScheme, label_fingerprint, serde_labels, serde_time_opt};

/// An alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Identity.
    #[serde(with = "serde_labels")]
    pub labels: Labels,
    /// What it says.
    #[serde(with = "serde_labels")]
    pub annotations: Labels,
    /// When it began.
    pub starts_at_ms: i64,
    /// When it ended or will count as ended.
    pub ends_at_ms: i64,
    /// Link to its source.
    pub generator_url: String,
    /// When it was last heard of.
    pub updated_at_ms: i64,
    /// The end is only assumed: the sender named none.
    pub timeout: bool,
}

impl Alert {
    /// Whether it has ended at a time.
    pub fn is_resolved_at(&self, now_ms: i64) -> bool {
        self.ends_at_ms <= now_ms
    }

    /// Fingerprint as the API shows it: 16 hexadecimal digits.
    pub fn fingerprint(&self) -> String {
        format!("{:016x}", label_fingerprint(&self.labels))
    }

    /// The value of `alertname`, empty if it has none.
    pub fn name(&self) -> &str {
        self.labels.value("alertname")
    }

    /// This alert merged with another of the same labels; the one that was heard of later says what it is.
    #[must_use]
    pub fn merge(self, other: Self, now_ms: i64) -> Self {
        let (older, mut newer) = if other.updated_at_ms < self.updated_at_ms { (other, self) } else { (self, other) };
        newer.starts_at_ms = newer.starts_at_ms.min(older.starts_at_ms);
        let later_end = older.ends_at_ms > newer.ends_at_ms;
        let take_end = if newer.is_resolved_at(now_ms) {
            // Of two ends that have both passed the later one counts.
            older.is_resolved_at(now_ms)
        } else {
            !older.timeout
        };
        if later_end && take_end {
            newer.ends_at_ms = older.ends_at_ms;
        }
        newer
    }
}

/// An alert as it is posted to the API.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PostableAlert {
    /// Identity.
    pub labels: BTreeMap<String, String>,
    /// What it says.
    #[serde(default, deserialize_with = "crate::text::null_default")]
    pub annotations: BTreeMap<String, String>,
    /// When it began; now, or its end, if absent.
    #[serde(rename = "startsAt", default, with = "serde_time_opt")]
    pub starts_at_ms: Option<i64>,
    /// When it ends; after the resolve timeout if absent.
    #[serde(rename = "endsAt", default, with = "serde_time_opt")]
    pub ends_at_ms: Option<i64>,
    /// Link to its source.
    #[serde(rename = "generatorURL", default, deserialize_with = "crate::text::null_default")]
    pub generator_url: String,
}

/// Why an alert was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AlertError {
    /// It ends before it begins.
    #[error("start time must be before end time")]
    EndsBeforeStart,
    /// It has no labels.
    #[error("at least one label pair required")]
    NoLabels,
    /// A label's name is none.
    #[error("invalid label set: invalid name {0:?}")]
    LabelName(String),
    /// An annotation's name is none.
    #[error("invalid annotations: invalid name {0:?}")]
    AnnotationName(String),
    /// There are too many alerts of one name already.
    #[error("too many alerts of name {name:?} (limit: {limit})")]
    Limit {
        /// The name.
        name: String,
        /// How many may be active at once.
        limit: usize,
    },
}

impl PostableAlert {
    /// The alert with absent times filled in.
    ///
    /// # Errors
    /// When it is not one.
    pub fn accept(self, now_ms: i64, resolve_timeout_ms: i64, names: NameScheme) -> Result<Alert, AlertError> {
        let starts_at_ms = self.starts_at_ms.or(self.ends_at_ms).unwrap_or(now_ms);
        let timeout = self.ends_at_ms.is_none();
        let ends_at_ms = self.ends_at_ms.unwrap_or(now_ms + resolve_timeout_ms);
        if !timeout && ends_at_ms < starts_at_ms {
            return Err(AlertError::EndsBeforeStart);
        }
        if let Some(name) = self.labels.iter().find(|(name, value)| !value.is_empty() && !names.is_label_name(name)) {
            return Err(AlertError::LabelName(name.0.clone()));
        }
        if let Some(name) = self.annotations.keys().find(|name| !names.is_label_name(name)) {
            return Err(AlertError::AnnotationName(name.clone()));
        }
        let labels = Labels::from_pairs(&self.labels);
        if labels.is_empty() {
            return Err(AlertError::NoLabels);
        }
        Ok(Alert {
            labels,
            annotations: Labels::from_pairs(&self.annotations),
            starts_at_ms,
            ends_at_ms,
            generator_url: self.generator_url,
            updated_at_ms: now_ms,
            timeout,
        })
    }
}

/// All alerts that are firing, or resolved and not yet done with.
#[derive(Clone, Debug, Default)]
pub struct AlertStore {
    alerts: BTreeMap<Labels, Alert>,
    /// Most alerts of one name; 0 is no limit.
    per_name_limit: usize,
    /// Alerts by name, kept only under a limit.
    by_name: HashMap<String, usize>,
}

impl AlertStore {
    /// An empty store.
    pub fn new(per_name_limit: usize) -> Self {
        Self { per_name_limit, ..Self::default() }
    }

    /// Takes an alert, merged with what is known. Returns it as it is stored now.
    ///
    /// # Errors
    /// When it is new and there are too many of its name.
    pub fn put(&mut self, alert: Alert, now_ms: i64) -> Result<&Alert, AlertError> {
        let known = self.alerts.get(&alert.labels);
        if known.is_none() && self.per_name_limit > 0 {
            let count = self.by_name.entry(alert.name().to_owned()).or_default();
            if *count >= self.per_name_limit {
                return Err(AlertError::Limit { name: alert.name().to_owned(), limit: self.per_name_limit });
            }
            *count += 1;
        }
        let merged = match known {
            Some(old) if overlaps(&alert, old) => old.clone().merge(alert, now_ms),
            _ => alert,
        };
        let labels = merged.labels.clone();
        let slot = self.alerts.entry(labels).or_insert_with(|| merged.clone());
        *slot = merged;
        Ok(slot)
    }

    /// An alert by its labels.
    pub fn get(&self, labels: &Labels) -> Option<&Alert> {
        self.alerts.get(labels)
    }

    /// All alerts, by label set.
    pub fn iter(&self) -> impl Iterator<Item = &Alert> {
        self.alerts.values()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.alerts.len()
    }

    /// Without any.
    pub fn is_empty(&self) -> bool {
        self.alerts.is_empty()
    }

    /// Forgets an alert.
    pub fn remove(&mut self, labels: &Labels) -> Option<Alert> {
        let alert = self.alerts.remove(labels)?;
        if self.per_name_limit > 0
            && let Some(count) = self.by_name.get_mut(alert.name())
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.by_name.remove(alert.name());
            }
        }
        Some(alert)
    }

    /// Puts back an alert as it was, past merging and limits.
    pub(crate) fn restore(&mut self, alert: Alert) {
        if self.per_name_limit > 0 && !self.alerts.contains_key(&alert.labels) {
            *self.by_name.entry(alert.name().to_owned()).or_default() += 1;
        }
        self.alerts.insert(alert.labels.clone(), alert);
    }

    /// For the shift of ends after a restart.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Alert> {
        self.alerts.values_mut()
    }
}

fn overlaps(new: &Alert, old: &Alert) -> bool {
    let inside = |at: i64| old.starts_at_ms < at && at < old.ends_at_ms;
    inside(new.ends_at_ms) || inside(new.starts_at_ms)
}

/// The order of alerts in a message: by `job`, then `instance`, then all labels; alerts without the label come last.
pub(crate) fn message_order(a: &Labels, b: &Labels) -> std::cmp::Ordering {
    for name in ["job", "instance"] {
        let order = match (a.get(name), b.get(name)) {
            (None, None) => continue,
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(a), Some(b)) => a.cmp(b),
        };
        if order.is_ne() {
            return order;
        }
    }
    label_order(a, b)
}

/// Alertmanager's order of label sets: fewer labels first, then pair by pair; where names differ, the set without the
/// smaller name first.
pub(crate) fn label_order(a: &Labels, b: &Labels) -> std::cmp::Ordering {
    let pairs = || a.iter().zip(b.iter()).map(|(a, b)| b.0.cmp(a.0).then_with(|| a.1.cmp(b.1)));
    a.len().cmp(&b.len()).then_with(|| pairs().find(|order| order.is_ne()).unwrap_or(std::cmp::Ordering::Equal))
}

#[cfg(test)]
mod tests;
