//! What alerting is configured with: rules and their groups, contact points, the notification policy, mute timings,
//! templates. From provisioning files (`provision`) and from the API (kept in a document), a file's word counting more.
//!
//! An item knows its [`Provenance`]: what a file says cannot be changed through the API.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use alerting::grafana::GrafanaRule;
use alerting::notify::config::Route;
use alerting::notify::contact_point::ContactPointIntegration;
use alerting::notify::time_interval::NamedIntervals;
use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};

use crate::error::ApiError;
use crate::store::{Doc, StoreError};

/// Who may change an item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Provenance {
    /// Anybody.
    #[default]
    #[serde(rename = "")]
    None,
    /// The provisioning API.
    Api,
    /// Its file.
    File,
}

impl Provenance {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Api => "api",
            Self::File => "file",
        }
    }

    /// # Errors
    /// When a file has the last word.
    pub(crate) fn check_change(self) -> Result<(), ApiError> {
        if self == Self::File {
            let message = "cannot change what is provisioned from a file: edit the file";
            return Err(ApiError::conflict(message).id("alerting.provenanceMismatch"));
        }
        Ok(())
    }
}

/// Something and who may change it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Item<T> {
    pub(crate) value: T,
    #[serde(default)]
    pub(crate) provenance: Provenance,
    #[serde(default)]
    pub(crate) updated_ms: i64,
}

/// A group of rules: how often they are evaluated, and in which order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct RuleGroup {
    pub(crate) folder_uid: String,
    pub(crate) name: String,
    pub(crate) interval_ms: i64,
    pub(crate) rules: Vec<Item<GrafanaRule>>,
}

/// A template of messages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MessageTemplate {
    pub(crate) name: String,
    pub(crate) template: String,
}

/// All of it, from one origin or merged.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct AlertingConfig {
    pub(crate) groups: Vec<RuleGroup>,
    /// One for each integration; those of one name are one contact point.
    pub(crate) contact_points: Vec<Item<ContactPointIntegration>>,
    pub(crate) policy: Option<Item<Route>>,
    pub(crate) mute_timings: Vec<Item<NamedIntervals>>,
    pub(crate) templates: Vec<Item<MessageTemplate>>,
}

/// The receiver of the policy when nobody configured one: it has no integrations.
pub(crate) const DEFAULT_RECEIVER: &str = "grafana-default-email";

impl AlertingConfig {
    /// The policy in force.
    pub(crate) fn policy(&self) -> Item<Route> {
        self.policy.clone().unwrap_or_else(|| Item {
            value: Route {
                receiver: DEFAULT_RECEIVER.to_owned(),
                group_by: Some(vec!["grafana_folder".to_owned(), "alertname".to_owned()]),
                ..Route::default()
            },
            ..Item::default()
        })
    }

    pub(crate) fn group(&self, folder_uid: &str, name: &str) -> Option<&RuleGroup> {
        self.groups.iter().find(|group| group.folder_uid == folder_uid && group.name == name)
    }

    /// A rule with its group.
    pub(crate) fn rule(&self, uid: &str) -> Option<(&RuleGroup, &Item<GrafanaRule>)> {
        let all = self.groups.iter().flat_map(|group| group.rules.iter().map(move |rule| (group, rule)));
        all.into_iter().find(|(_, rule)| rule.value.uid == uid)
    }

    pub(crate) fn rules(&self) -> impl Iterator<Item = (&RuleGroup, &Item<GrafanaRule>)> {
        self.groups.iter().flat_map(|group| group.rules.iter().map(move |rule| (group, rule)))
    }

    /// Names of contact points.
    pub(crate) fn receivers(&self) -> BTreeSet<&str> {
        self.contact_points.iter().map(|point| point.value.name.as_str()).collect()
    }

    /// Contact points by name, in the order in which they were first named.
    pub(crate) fn points_by_name(&self) -> Vec<(&str, Vec<&Item<ContactPointIntegration>>)> {
        let mut order: Vec<(&str, Vec<&Item<ContactPointIntegration>>)> = Vec::new();
        for point in &self.contact_points {
            match order.iter_mut().find(|(name, _)| *name == point.value.name) {
                Some((_, points)) => points.push(point),
                None => order.push((&point.value.name, vec![point])),
            }
        }
        order
    }

    /// This one laid over another.
    fn over(&self, below: &Self) -> Self {
        let mut merged = self.clone();
        let rules: BTreeSet<&str> = self.rules().map(|(_, rule)| rule.value.uid.as_str()).collect();
        for group in &below.groups {
            let kept: Vec<_> =
                group.rules.iter().filter(|rule| !rules.contains(rule.value.uid.as_str())).cloned().collect();
            match merged.groups.iter_mut().find(|g| g.folder_uid == group.folder_uid && g.name == group.name) {
                Some(own) => own.rules.extend(kept),
                None if kept.is_empty() && !group.rules.is_empty() => {}
                None => merged.groups.push(RuleGroup { rules: kept, ..group.clone() }),
            }
        }
        let names = self.receivers();
        let uids: BTreeSet<&str> = self.contact_points.iter().map(|point| point.value.uid.as_str()).collect();
        let free = |point: &&Item<ContactPointIntegration>| {
            !names.contains(point.value.name.as_str()) && !uids.contains(point.value.uid.as_str())
        };
        merged.contact_points.extend(below.contact_points.iter().filter(free).cloned());
        merged.policy = self.policy.clone().or_else(|| below.policy.clone());
        let own: BTreeSet<&str> = self.mute_timings.iter().map(|timing| timing.value.name.as_str()).collect();
        merged.mute_timings.extend(below.mute_timings.iter().filter(|t| !own.contains(t.value.name.as_str())).cloned());
        let own: BTreeSet<&str> = self.templates.iter().map(|template| template.value.name.as_str()).collect();
        merged.templates.extend(below.templates.iter().filter(|t| !own.contains(t.value.name.as_str())).cloned());
        merged
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct ConfigStore {
    own: Doc<AlertingConfig>,
    files: ArcSwap<AlertingConfig>,
}

impl ConfigStore {
    pub(crate) fn open(private: &Path) -> Result<Self, StoreError> {
        Ok(Self { own: Doc::open(private, "alerting")?, files: ArcSwap::default() })
    }

    /// What is in force.
    pub(crate) fn get(&self) -> AlertingConfig {
        self.files.load().over(&self.own.get())
    }

    /// What the API made.
    pub(crate) fn own(&self) -> Arc<AlertingConfig> {
        self.own.get()
    }

    /// Takes what the files say now.
    pub(crate) fn set_files(&self, config: AlertingConfig) {
        self.files.store(Arc::new(config));
    }

    /// As [`ConfigStore::change`], for changes that cannot fail.
    pub(crate) async fn edit(&self, edit: impl FnOnce(&mut AlertingConfig)) -> Result<(), ApiError> {
        self.change(|own| {
            edit(own);
            Ok(())
        })
        .await
    }

    /// Changes what the API made.
    pub(crate) async fn change<R>(
        &self,
        change: impl FnOnce(&mut AlertingConfig) -> Result<R, ApiError>,
    ) -> Result<R, ApiError> {
        self.own.change(change).await
    }
}

/// Settings of contact points that are not shown, by kind.
fn secret_settings(kind: &str) -> &'static [&'static str] {
    match kind {
        "slack" => &["url", "token"],
        "webhook" => &["password", "authorization_credentials"],
        "pagerduty" => &["integrationKey"],
        "opsgenie" => &["apiKey"],
        "telegram" => &["bottoken"],
        "discord" | "teams" | "googlechat" | "dingding" => &["url"],
        "prometheus-alertmanager" => &["basicAuthPassword"],
        "pushover" => &["apiToken", "userKey"],
        "victorops" => &["url"],
        "threema" => &["api_secret"],
        "webex" => &["bot_token"],
        "wecom" => &["url", "secret"],
        "line" => &["token"],
        "kafka" => &["password"],
        "mqtt" => &["password"],
        "sensugo" => &["apikey"],
        "jira" => &["password", "api_token"],
        "sns" => &["sigv4.access_key", "sigv4.secret_key"],
        "oncall" => &["password", "authorization_credentials"],
        _ => &[],
    }
}

/// What stands in the place of a secret.
pub(crate) const REDACTED: &str = "[REDACTED]";

/// A word of a key that tells that its value is not for everybody.
const TELLING: [&str; 6] = ["password", "secret", "token", "credential", "apikey", "private_key"];

/// The settings without secrets.
pub(crate) fn redacted(point: &ContactPointIntegration) -> ContactPointIntegration {
    let mut shown = point.clone();
    let secret = secret_settings(&point.kind);
    hide(&mut shown.settings, secret, "");
    shown
}

fn hide(settings: &mut serde_json::Map<String, serde_json::Value>, secret: &[&str], prefix: &str) {
    use serde_json::Value;
    for (key, value) in settings {
        let path = format!("{prefix}{key}");
        let lower = key.to_lowercase();
        let hidden = secret.contains(&path.as_str()) || TELLING.iter().any(|word| lower.contains(word));
        match value {
            // Values of custom headers are as often secret as not.
            Value::Object(map) if key == "headers" => map.values_mut().for_each(|value| *value = REDACTED.into()),
            Value::Object(map) => hide(map, secret, &format!("{path}.")),
            Value::String(text) if hidden && !text.is_empty() => *value = REDACTED.into(),
            Value::Number(_) if hidden => *value = REDACTED.into(),
            // A password in an address.
            Value::String(text) if text.contains("://") => *value = kit::client::without_credentials(text).into(),
            _ => {}
        }
    }
}

/// Puts the known secrets back where a client sent them redacted.
pub(crate) fn unredact(new: &mut ContactPointIntegration, old: &ContactPointIntegration) {
    fill(&mut new.settings, &old.settings);
}

fn fill(new: &mut serde_json::Map<String, serde_json::Value>, old: &serde_json::Map<String, serde_json::Value>) {
    use serde_json::Value;
    for (key, value) in new {
        match (value, old.get(key)) {
            (value @ Value::String(_), Some(known)) if value == REDACTED => *value = known.clone(),
            (Value::Object(new), Some(Value::Object(old))) => fill(new, old),
            (Value::String(new), Some(Value::String(old))) if kit::client::without_credentials(old) == *new => {
                new.clone_from(old);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn point(kind: &str, settings: serde_json::Value) -> ContactPointIntegration {
        serde_json::from_value(json!({"uid": "u", "name": "n", "type": kind, "settings": settings})).unwrap()
    }

    #[test]
    fn secrets_are_hidden_and_come_back() {
        let old = point("slack", json!({"url": "https://hooks.slack.test/T/B/x", "recipient": "#a", "token": "xoxb"}));
        let shown = redacted(&old);
        assert_eq!(json!(shown.settings), json!({"url": REDACTED, "recipient": "#a", "token": REDACTED}));
        let mut new = point("slack", json!({"url": REDACTED, "recipient": "#b", "token": "new"}));
        unredact(&mut new, &old);
        assert_eq!(
            json!(new.settings),
            json!({"url": "https://hooks.slack.test/T/B/x", "recipient": "#b", "token": "new"})
        );

        let hook = point(
            "webhook",
            json!({"url": "https://me:pw@h/x", "headers": {"X-Key": "k"}, "hmacConfig": {"secret": "s"}, "maxAlerts": 5}),
        );
        let shown = redacted(&hook);
        assert_eq!(
            json!(shown.settings),
            json!({"url": "https://me:xxxxx@h/x", "headers": {"X-Key": REDACTED}, "hmacConfig": {"secret": REDACTED}, "maxAlerts": 5})
        );
        let mut back = shown;
        unredact(&mut back, &hook);
        assert_eq!(back, hook);
    }

    #[test]
    fn files_have_the_last_word() {
        let rule =
            |uid: &str| Item { value: GrafanaRule { uid: uid.into(), ..GrafanaRule::default() }, ..Item::default() };
        let group = |name: &str, rules: Vec<Item<GrafanaRule>>| RuleGroup {
            folder_uid: "f".into(),
            name: name.into(),
            interval_ms: 60_000,
            rules,
        };
        let files = AlertingConfig {
            groups: vec![group("a", vec![rule("1")])],
            contact_points: vec![Item {
                value: point("slack", json!({})),
                provenance: Provenance::File,
                updated_ms: 0,
            }],
            ..AlertingConfig::default()
        };
        let own = AlertingConfig {
            groups: vec![
                group("a", vec![rule("1"), rule("2")]),
                group("b", vec![rule("1")]),
                group("c", vec![rule("3")]),
            ],
            contact_points: vec![Item { value: point("webhook", json!({})), ..Item::default() }],
            ..AlertingConfig::default()
        };
        let merged = files.over(&own);
        let names: Vec<(String, Vec<String>)> = merged
            .groups
            .iter()
            .map(|g| (g.name.clone(), g.rules.iter().map(|r| r.value.uid.clone()).collect()))
            .collect();
        assert_eq!(names, [("a".into(), vec!["1".into(), "2".into()]), ("c".into(), vec!["3".into()])]);
        assert_eq!(merged.contact_points.len(), 1);
        assert_eq!(merged.contact_points[0].value.kind, "slack");
        assert_eq!(merged.policy().value.receiver, DEFAULT_RECEIVER);
    }
}
