//! Alertmanager's API, version 2: what it shows and how it filters.
//!
//! A server parses parameters into [`AlertQuery`] or filters, calls one method of the [`Notifier`] and writes what it gets
//! as JSON. Statuses are worked out for the time of the query, not remembered from the last round: an alert that was
//! silenced a second ago shows as such.

use std::collections::BTreeMap;

use model::regex::{Flags, GoRegex};
use model::{Labels, MatchOp};
use serde::{Deserialize, Serialize};

use super::alert::{Alert, label_order};
use super::inhibit::Inhibitor;
use super::matcher::{AlertMatcher, MatcherError, MatcherMode, parse_matcher};
use super::message::{Message, MessageAlert, Status};
use super::notifier::Notifier;
use super::silence::{Silence, SilenceState};
use crate::text::{label_fingerprint, serde_labels, serde_time};

/// Whether an alert is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    /// Not looked at yet. Never the case here; clients know it.
    Unprocessed,
    /// It is.
    Active,
    /// It is held back.
    Suppressed,
}

/// Whether an alert is sent, and what holds it back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertStatus {
    /// The fingerprints of alerts that inhibit it.
    pub inhibited_by: Vec<String>,
    /// The names of time intervals that mute its group.
    pub muted_by: Vec<String>,
    /// The ids of silences that match it.
    pub silenced_by: Vec<String>,
    /// The sum of it.
    pub state: AlertState,
}

/// A receiver's name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiverName {
    /// The name.
    pub name: String,
}

/// A receiver with its labels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiReceiver {
    /// Its name.
    pub name: String,
    /// Its labels, the name among them.
    pub labels: BTreeMap<String, String>,
}

/// An alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiAlert {
    /// What it says.
    #[serde(with = "serde_labels")]
    pub annotations: Labels,
    /// When it ends.
    #[serde(rename = "endsAt", with = "serde_time")]
    pub ends_at_ms: i64,
    /// Its fingerprint.
    pub fingerprint: String,
    /// To whom it goes.
    pub receivers: Vec<ReceiverName>,
    /// When it began.
    #[serde(rename = "startsAt", with = "serde_time")]
    pub starts_at_ms: i64,
    /// Whether it is sent.
    pub status: AlertStatus,
    /// When it was last heard of.
    #[serde(rename = "updatedAt", with = "serde_time")]
    pub updated_at_ms: i64,
    /// Link to its source.
    #[serde(rename = "generatorURL", default, skip_serializing_if = "String::is_empty")]
    pub generator_url: String,
    /// Its labels.
    #[serde(with = "serde_labels")]
    pub labels: Labels,
}

/// A group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiGroup {
    /// Its alerts.
    pub alerts: Vec<ApiAlert>,
    /// What they are grouped by.
    #[serde(with = "serde_labels")]
    pub labels: Labels,
    /// To whom it goes.
    pub receiver: ReceiverName,
    /// Labels of the route, rendered.
    pub route_labels: BTreeMap<String, String>,
}

/// A silence and its state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ApiSilence {
    /// The silence.
    #[serde(flatten)]
    pub silence: Silence,
    /// Its state.
    pub status: ApiSilenceStatus,
}

/// A silence's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiSilenceStatus {
    /// The state.
    pub state: SilenceState,
}

/// What the server says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiStatus {
    /// The cluster; `disabled` for a server by itself.
    pub cluster: ApiCluster,
    /// Versions.
    pub version_info: ApiVersion,
    /// The configuration, secrets left out.
    pub config: ApiConfig,
    /// Since when it runs, as RFC 3339.
    pub uptime: String,
}

/// The cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are the keys of the API and their documentation")]
pub struct ApiCluster {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    pub status: String,
    pub peers: Vec<ApiPeer>,
}

/// A server of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are the keys of the API and their documentation")]
pub struct ApiPeer {
    pub name: String,
    pub address: String,
}

/// Versions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are the keys of the API and their documentation")]
pub struct ApiVersion {
    pub version: String,
    pub revision: String,
    pub branch: String,
    pub build_user: String,
    pub build_date: String,
    pub go_version: String,
}

/// The configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiConfig {
    /// As YAML.
    pub original: String,
}

/// Answer to a silence that was posted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostedSilence {
    /// Its id.
    #[serde(rename = "silenceID")]
    pub silence_id: String,
}

/// Something is wrong with a query's parameters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QueryParameterError {
    /// A filter is no matcher.
    #[error("bad matcher format: {0}")]
    Filter(MatcherError),
    /// The receiver is no regular expression.
    #[error("failed to parse receiver param: {0}")]
    Receiver(String),
    /// A receiver's filter is no matcher.
    #[error("failed to parse receiver_matchers param: {0}")]
    ReceiverMatchers(MatcherError),
}

/// Which alerts or groups to show.
#[derive(Clone, Debug)]
pub struct AlertQuery {
    /// Those that are sent.
    pub active: bool,
    /// Those that are silenced.
    pub silenced: bool,
    /// Those that are inhibited.
    pub inhibited: bool,
    /// Those that were not looked at yet; there are none.
    pub unprocessed: bool,
    /// Groups that are muted.
    pub muted: bool,
    /// What labels must match.
    pub filter: Vec<AlertMatcher>,
    /// What the receiver's name must match.
    pub receiver: Option<GoRegex>,
    /// What the receiver's labels must match.
    pub receiver_matchers: Vec<AlertMatcher>,
}

impl Default for AlertQuery {
    fn default() -> Self {
        Self {
            active: true,
            silenced: true,
            inhibited: true,
            unprocessed: true,
            muted: true,
            filter: Vec::new(),
            receiver: None,
            receiver_matchers: Vec::new(),
        }
    }
}

impl AlertQuery {
    /// The query with filters given as texts.
    ///
    /// # Errors
    /// The first one that cannot be read.
    pub fn with_texts(
        mut self,
        filter: &[String],
        receiver: Option<&str>,
        receiver_matchers: &[String],
        mode: MatcherMode,
    ) -> Result<Self, QueryParameterError> {
        self.filter = parse_filter(filter, mode).map_err(QueryParameterError::Filter)?;
        self.receiver_matchers =
            parse_filter(receiver_matchers, mode).map_err(QueryParameterError::ReceiverMatchers)?;
        let anchored = Flags { anchored: true, ..Flags::default() };
        let compile = |text| GoRegex::new(text, anchored);
        self.receiver = receiver
            .filter(|text| !text.is_empty())
            .map(compile)
            .transpose()
            .map_err(|error| QueryParameterError::Receiver(error.to_string()))?;
        Ok(self)
    }
}

/// The matchers of a filter, each given as a text.
///
/// # Errors
/// The first text that is no matcher.
pub fn parse_filter(texts: &[String], mode: MatcherMode) -> Result<Vec<AlertMatcher>, MatcherError> {
    texts.iter().map(|text| parse_matcher(text, mode)).collect()
}

/// Whether labels pass a filter. Unlike elsewhere a matcher with an empty value asks whether the label is there.
fn passes<'l>(filter: &[AlertMatcher], value: impl Fn(&str) -> Option<&'l str>) -> bool {
    filter.iter().all(|matcher| {
        let found = value(matcher.name());
        let negative = matches!(matcher.op(), MatchOp::NotEqual | MatchOp::NotRegex);
        (matcher.value().is_empty() && found.is_some() == negative) || matcher.matches(found.unwrap_or_default())
    })
}

impl Notifier {
    /// The alerts that pass a query, by fingerprint. Those that have ended are not among them.
    pub fn query_alerts(&self, query: &AlertQuery, now_ms: i64) -> Vec<ApiAlert> {
        let inhibitor = self.inhibitor(now_ms);
        let mut found = Vec::new();
        for alert in self.alerts().iter() {
            let receivers = self.receivers_of(&alert.labels);
            let by_name = query.receiver.as_ref();
            if by_name.is_some_and(|regex| !receivers.iter().any(|name| regex.is_match(name))) {
                continue;
            }
            if !query.receiver_matchers.is_empty()
                && !receivers.iter().any(|name| self.receiver_passes(name, &query.receiver_matchers))
            {
                continue;
            }
            if let Some(status) = self.status_if_shown(alert, query, &inhibitor, now_ms) {
                found.push(api_alert(alert, status, receivers));
            }
        }
        found.sort_by(|a, b| a.fingerprint.cmp(&b.fingerprint));
        found
    }

    /// The groups that have alerts which pass a query, by labels, then receiver.
    pub fn query_groups(&self, query: &AlertQuery, now_ms: i64) -> Vec<ApiGroup> {
        let inhibitor = self.inhibitor(now_ms);
        let mut found = Vec::new();
        let mut receivers_of: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        for group in self.groups() {
            let Some(node) = self.config().routes.node(group.route) else { continue };
            let receiver = &node.options.receiver;
            let by_name = query.receiver.as_ref().is_none_or(|regex| regex.is_match(receiver));
            let by_labels =
                query.receiver_matchers.is_empty() || self.receiver_passes(receiver, &query.receiver_matchers);
            if !by_name || !by_labels {
                continue;
            }
            let shown: Vec<(&Alert, AlertStatus)> = group
                .members
                .iter()
                .filter_map(|labels| self.alerts().get(labels))
                .filter_map(|alert| Some((alert, self.status_if_shown(alert, query, &inhibitor, now_ms)?)))
                .collect();
            for (alert, _) in &shown {
                receivers_of.entry(label_fingerprint(&alert.labels)).or_default().push(receiver.clone());
            }
            let muted_by = self.muted_by(group.route, now_ms);
            if shown.is_empty() || (!query.muted && !muted_by.is_empty()) {
                continue;
            }
            found.push((group, receiver.clone(), shown, muted_by));
        }
        found.sort_by(|a, b| label_order(&a.0.labels, &b.0.labels).then_with(|| a.1.cmp(&b.1)));
        receivers_of.values_mut().for_each(|names| names.sort());
        let finish = |(group, receiver, shown, muted_by): (_, String, Vec<(&Alert, AlertStatus)>, Vec<String>)| {
            let group: &super::group::Group = group;
            let route_labels = self.route_labels(group.route, &group.key, &group.labels, &shown, now_ms);
            let mut alerts: Vec<ApiAlert> = shown
                .into_iter()
                .map(|(alert, mut status)| {
                    if !muted_by.is_empty() {
                        status.state = AlertState::Suppressed;
                        status.muted_by.clone_from(&muted_by);
                    }
                    let receivers = receivers_of.get(&label_fingerprint(&alert.labels)).cloned().unwrap_or_default();
                    api_alert(alert, status, receivers)
                })
                .collect();
            alerts.sort_by(|a, b| super::alert::message_order(&a.labels, &b.labels));
            let receiver = ReceiverName { name: receiver };
            ApiGroup { alerts, labels: group.labels.clone(), receiver, route_labels }
        };
        found.into_iter().map(finish).collect()
    }

    /// The silences of which each matcher of a filter is one; active ones first, by their end, then pending ones by their
    /// start, then expired ones, the newest first.
    pub fn query_silences(&self, filter: &[AlertMatcher], now_ms: i64) -> Vec<ApiSilence> {
        let passes = |silence: &&Silence| filter.iter().all(|wanted| silence.matchers.iter().any(|has| has == wanted));
        let mut found: Vec<ApiSilence> =
            self.silences().iter().filter(passes).map(|silence| api_silence(silence, now_ms)).collect();
        found.sort_by(|a, b| {
            let state = a.status.state;
            state.cmp(&b.status.state).then_with(|| match state {
                SilenceState::Active => a.silence.ends_at_ms.cmp(&b.silence.ends_at_ms),
                SilenceState::Pending => a.silence.starts_at_ms.cmp(&b.silence.starts_at_ms),
                SilenceState::Expired => b.silence.ends_at_ms.cmp(&a.silence.ends_at_ms),
            })
        });
        found
    }

    /// A silence by its id.
    pub fn query_silence(&self, id: &str, now_ms: i64) -> Option<ApiSilence> {
        self.silences().get(id).map(|silence| api_silence(silence, now_ms))
    }

    /// The receivers whose labels pass a filter, by name.
    pub fn query_receivers(&self, filter: &[AlertMatcher]) -> Vec<ApiReceiver> {
        let receivers = self.config().receivers.values();
        let shown = receivers.filter(|receiver| passes(filter, |name| receiver.labels.get(name).map(String::as_str)));
        shown.map(|receiver| ApiReceiver { name: receiver.name.clone(), labels: receiver.labels.clone() }).collect()
    }

    /// How many alerts are in each state, for a metric.
    pub fn count_states(&self, now_ms: i64) -> BTreeMap<&'static str, usize> {
        let inhibitor = self.inhibitor(now_ms);
        let mut counts = BTreeMap::from([("active", 0), ("suppressed", 0), ("unprocessed", 0)]);
        for alert in self.alerts().iter().filter(|alert| !alert.is_resolved_at(now_ms)) {
            let state = match self.status(alert, &inhibitor, now_ms).state {
                AlertState::Suppressed => "suppressed",
                AlertState::Active => "active",
                AlertState::Unprocessed => "unprocessed",
            };
            *counts.entry(state).or_default() += 1;
        }
        counts
    }

    fn inhibitor(&self, now_ms: i64) -> Inhibitor<'_> {
        Inhibitor::new(&self.config().inhibit_rules, self.alerts().iter(), now_ms)
    }

    fn receivers_of(&self, labels: &Labels) -> Vec<String> {
        let routes = &self.config().routes;
        let nodes = routes.matching(labels).into_iter().filter_map(|index| routes.node(index));
        nodes.map(|node| node.options.receiver.clone()).collect()
    }

    fn receiver_passes(&self, name: &str, filter: &[AlertMatcher]) -> bool {
        let receiver = self.config().receivers.get(name);
        receiver.is_some_and(|receiver| passes(filter, |name| receiver.labels.get(name).map(String::as_str)))
    }

    fn status(&self, alert: &Alert, inhibitor: &Inhibitor<'_>, now_ms: i64) -> AlertStatus {
        let silenced = self.silences().silencing(&alert.labels, now_ms);
        let inhibited = inhibitor.inhibited_by(&alert.labels);
        let held_back = inhibited.is_some() || !silenced.is_empty();
        AlertStatus {
            inhibited_by: inhibited.map(|labels| format!("{:016x}", label_fingerprint(labels))).into_iter().collect(),
            muted_by: Vec::new(),
            silenced_by: silenced.into_iter().map(str::to_owned).collect(),
            state: if held_back { AlertState::Suppressed } else { AlertState::Active },
        }
    }

    fn status_if_shown(
        &self,
        alert: &Alert,
        query: &AlertQuery,
        inhibitor: &Inhibitor<'_>,
        now_ms: i64,
    ) -> Option<AlertStatus> {
        if alert.ends_at_ms < now_ms || !passes(&query.filter, |name| alert.labels.get(name)) {
            return None;
        }
        let status = self.status(alert, inhibitor, now_ms);
        let hidden = (!query.active && status.state == AlertState::Active)
            || (!query.silenced && !status.silenced_by.is_empty())
            || (!query.inhibited && !status.inhibited_by.is_empty());
        (!hidden).then_some(status)
    }

    fn route_labels(
        &self,
        route: usize,
        key: &str,
        labels: &Labels,
        alerts: &[(&Alert, AlertStatus)],
        now_ms: i64,
    ) -> BTreeMap<String, String> {
        let Some(node) = self.config().routes.node(route) else { return BTreeMap::new() };
        let options = &node.options;
        if options.labels.is_empty() {
            return BTreeMap::new();
        }
        let status = |alert: &Alert| if alert.is_resolved_at(now_ms) { Status::Resolved } else { Status::Firing };
        let alerts =
            alerts.iter().map(|(alert, _)| MessageAlert { alert: (*alert).clone(), status: status(alert) }).collect();
        let message = Message::new(&options.receiver, key, labels, alerts);
        self.options().renderer.templates().route_labels(&options.labels, &message, now_ms).0
    }
}

fn api_silence(silence: &Silence, now_ms: i64) -> ApiSilence {
    ApiSilence { status: ApiSilenceStatus { state: silence.state(now_ms) }, silence: silence.clone() }
}

fn api_alert(alert: &Alert, status: AlertStatus, receivers: Vec<String>) -> ApiAlert {
    ApiAlert {
        annotations: alert.annotations.clone(),
        ends_at_ms: alert.ends_at_ms,
        fingerprint: alert.fingerprint(),
        receivers: receivers.into_iter().map(|name| ReceiverName { name }).collect(),
        starts_at_ms: alert.starts_at_ms,
        status,
        updated_at_ms: alert.updated_at_ms,
        generator_url: alert.generator_url.clone(),
        labels: alert.labels.clone(),
    }
}

#[cfg(test)]
mod tests;
