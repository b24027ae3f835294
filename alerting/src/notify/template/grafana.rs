//! The data of Grafana's templates: Alertmanager's with links to the alert's silence, dashboard and panel, the rule's
//! values, and without labels and annotations whose names begin and end with two underscores.

use std::collections::BTreeMap;

use gotemplate::{Element, List, Map, Record, Text, Type, Value, sets};
use model::Labels;
use serde::Serialize;

use super::data::{kv, labels, receiver, text, time, time_opt};
use super::{Dialect, Templates};
use crate::grafana::labels as names;
use crate::notify::message::{Message, MessageAlert};
use crate::text::escape_query;

static DATA: &Type = &Type { json_lower: true, ..Type::plain("*templates.ExtendedData", Element::Any) };
static ALERT: &Type = &Type { json_lower: true, ..Type::plain("templates.ExtendedAlert", Element::Any) };
static VALUES: &Type = &Type::plain("map[string]float64", Element::Float);

/// Whether a label or annotation is kept from people.
pub(crate) fn private(name: &str) -> bool {
    name.starts_with("__") && name.ends_with("__")
}

/// What Grafana adds to an alert. In the form and order of its webhook's body.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ExtendedAlert {
    pub(crate) status: &'static str,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) annotations: BTreeMap<String, String>,
    pub(crate) starts_at: String,
    pub(crate) ends_at: String,
    #[serde(rename = "generatorURL")]
    pub(crate) generator_url: String,
    pub(crate) fingerprint: String,
    #[serde(rename = "silenceURL")]
    pub(crate) silence_url: String,
    #[serde(rename = "dashboardURL")]
    pub(crate) dashboard_url: String,
    #[serde(rename = "panelURL")]
    pub(crate) panel_url: String,
    #[serde(rename = "ruleUID", skip_serializing_if = "String::is_empty")]
    pub(crate) rule_uid: String,
    pub(crate) values: Option<BTreeMap<String, f64>>,
    pub(crate) value_string: String,
    #[serde(rename = "imageURL", skip_serializing_if = "String::is_empty")]
    pub(crate) image_url: String,
    #[serde(rename = "orgId", skip_serializing_if = "Option::is_none")]
    pub(crate) org_id: Option<i64>,
}

/// What Grafana adds to an alert. `external_url`: where the dashboards are, without a slash at its end.
pub(crate) fn extend(one: &MessageAlert, external_url: &str, now_ms: i64) -> ExtendedAlert {
    let alert = &one.alert;
    let org = alert.annotations.get(names::ORG_ID);
    let mut generator_url = alert.generator_url.clone();
    if let Some(org) = org {
        generator_url = with_query(&generator_url, &[("orgId", org)]);
    }
    let mut extended = ExtendedAlert {
        status: one.status.as_str(),
        labels: public(&alert.labels),
        annotations: public(&alert.annotations),
        starts_at: crate::text::rfc3339(alert.starts_at_ms),
        ends_at: one.ends_at_ms().map_or_else(|| crate::text::ZERO_TIME.to_owned(), crate::text::rfc3339),
        generator_url,
        fingerprint: alert.fingerprint(),
        silence_url: String::new(),
        dashboard_url: String::new(),
        panel_url: String::new(),
        rule_uid: alert.labels.value(names::RULE_UID).to_owned(),
        values: alert.annotations.get(names::VALUES).and_then(|json| serde_json::from_str(json).ok()),
        value_string: alert.annotations.value(names::VALUE_STRING).to_owned(),
        image_url: alert.annotations.value(names::IMAGE_URL).to_owned(),
        org_id: org.and_then(|org| org.parse().ok()),
    };
    if external_url.is_empty() {
        return extended;
    }
    let mut query: Vec<(&str, &str)> = Vec::new();
    query.extend(org.map(|org| ("orgId", org)));
    if let Some(dashboard) = alert.annotations.get(names::DASHBOARD_UID) {
        let from = (alert.starts_at_ms - 3_600_000).to_string();
        let to = one.ends_at_ms().unwrap_or(now_ms).to_string();
        let mut query = query.clone();
        query.extend([("from", from.as_str()), ("to", to.as_str())]);
        let base = format!("{external_url}/d/{dashboard}");
        extended.dashboard_url = with_query(&base, &query);
        if let Some(panel) = alert.annotations.get(names::PANEL_ID) {
            query.push(("viewPanel", panel));
            extended.panel_url = with_query(&base, &query);
        }
    }
    let matchers = silence_matchers(&alert.labels);
    query.push(("alertmanager", "grafana"));
    query.extend(matchers.iter().map(|matcher| ("matcher", matcher.as_str())));
    extended.silence_url = with_query(&format!("{external_url}/alerting/silence/new"), &query);
    extended
}

/// `name=value` of each label that a silence of the alert would match. The rule's id says more than the names of rule and
/// folder, and is what people with few permissions may silence by.
fn silence_matchers(all: &Labels) -> Vec<String> {
    let uid = all.get(names::RULE_UID);
    let mut matchers: Vec<String> = uid.map(|uid| format!("{}={uid}", names::RULE_UID)).into_iter().collect();
    let (first, rest): (Vec<_>, Vec<_>) = all.iter().partition(|(name, _)| *name == "alertname");
    for (name, value) in first.into_iter().chain(rest) {
        let by_uid = uid.is_some() && (name == "alertname" || name == names::FOLDER);
        if !private(name) && !by_uid {
            matchers.push(format!("{name}={value}"));
        }
    }
    matchers
}

/// An address with more in its query. Keys are sorted, as Go's `url.Values` writes them.
fn with_query(url: &str, more: &[(&str, &str)]) -> String {
    let (rest, fragment) = url.split_once('#').map_or((url, None), |(rest, fragment)| (rest, Some(fragment)));
    let (base, query) = rest.split_once('?').unwrap_or((rest, ""));
    let set = |key: &str| more.iter().any(|(name, _)| *name == key);
    let mut pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|part| !part.is_empty())
        .map(|part| part.split_once('=').unwrap_or((part, "")))
        .filter(|(name, _)| !set(name))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    pairs.extend(more.iter().map(|(name, value)| (escape_query(name), escape_query(value))));
    pairs.sort_by(|a, b| a.0.cmp(&b.0));
    let query: Vec<String> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut out = base.to_owned();
    if !query.is_empty() {
        out.push('?');
        out.push_str(&query.join("&"));
    }
    if let Some(fragment) = fragment {
        out.push('#');
        out.push_str(fragment);
    }
    out
}

fn public(all: &Labels) -> BTreeMap<String, String> {
    let seen = all.iter().filter(|(name, _)| !private(name));
    seen.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

pub(super) fn value(
    message: &Message,
    templates: &Templates,
    html: bool,
    now_ms: i64,
    vars: Option<&BTreeMap<String, String>>,
) -> Value<'static> {
    debug_assert_eq!(templates.dialect(), Dialect::Grafana);
    let alerts = message.alerts.iter().map(|one| alert(one, templates, html, now_ms)).collect();
    let public = |all: &Labels| kv(all.iter().filter(|(name, _)| !private(name)), html);
    let vars = vars.into_iter().flatten().map(|(name, value)| (Text::from(name.clone()), Value::text(value.clone())));
    Value::Record(Record::new(
        DATA,
        vec![
            ("Receiver", text(&receiver(message), html)),
            ("Status", message.status().as_str().into()),
            ("Alerts", Value::List(List::new(sets::ALERTS, alerts))),
            ("GroupLabels", labels(&message.group_labels, html)),
            ("CommonLabels", public(&message.common_labels)),
            ("CommonAnnotations", public(&message.common_annotations)),
            ("ExternalURL", text(templates.external_url(), html)),
            ("AppVersion", text(templates.version(), html)),
            ("GroupKey", text(&message.group_key, html)),
            ("TruncatedAlerts", Value::Int(i64::try_from(message.truncated).unwrap_or(i64::MAX))),
            ("Vars", Value::Map(Map::new(Type::STR_MAP, vars.collect()))),
        ],
    ))
}

fn alert(one: &MessageAlert, templates: &Templates, html: bool, now_ms: i64) -> Value<'static> {
    let extended = extend(one, templates.external_url(), now_ms);
    let pairs = |map: &BTreeMap<String, String>| kv(map.iter().map(|(n, v)| (n.as_str(), v.as_str())), html);
    let values = extended.values.iter().flatten().map(|(name, value)| (Text::from(name.clone()), Value::Float(*value)));
    Value::Record(Record::new(
        ALERT,
        vec![
            ("Status", extended.status.into()),
            ("Labels", pairs(&extended.labels)),
            ("Annotations", pairs(&extended.annotations)),
            ("StartsAt", time(one.alert.starts_at_ms)),
            ("EndsAt", time_opt(one.ends_at_ms())),
            ("GeneratorURL", text(&extended.generator_url, html)),
            ("Fingerprint", extended.fingerprint.clone().into()),
            ("SilenceURL", text(&extended.silence_url, html)),
            ("DashboardURL", text(&extended.dashboard_url, html)),
            ("PanelURL", text(&extended.panel_url, html)),
            ("RuleUID", text(&extended.rule_uid, html)),
            ("Values", Value::Map(Map::new(VALUES, values.collect()))),
            ("ValueString", text(&extended.value_string, html)),
            ("ImageURL", text(&extended.image_url, html)),
            ("EmbeddedImage", "".into()),
            ("OrgID", extended.org_id.map_or(Value::Nil, Value::Int)),
        ],
    ))
}
