//! The data of Alertmanager's templates.

use gotemplate::gotime::{Time, Zone};
use gotemplate::{Element, List, Record, Text, Type, Value, sets};
use model::Labels;

use super::Templates;
use crate::notify::message::{Message, MessageAlert};
use crate::text::quote_meta;

static DATA: &Type = &Type { json_lower: true, ..Type::plain("*template.Data", Element::Any) };
static ALERT: &Type = &Type { json_lower: true, ..Type::plain("template.Alert", Element::Any) };

/// A text, escaped for HTML or not.
pub(super) fn text(value: &str, html: bool) -> Value<'static> {
    Value::text(if html { escape(value) } else { value.to_owned() })
}

/// Labels or annotations.
pub(super) fn kv<'l>(pairs: impl IntoIterator<Item = (&'l str, &'l str)>, html: bool) -> Value<'static> {
    let owned = |value: &str| Text::from(if html { escape(value) } else { value.to_owned() });
    sets::kv(pairs.into_iter().map(|(name, value)| (owned(name), owned(value))))
}

pub(super) fn time(ms: i64) -> Value<'static> {
    Time::from_unix(ms.div_euclid(1000), ms.rem_euclid(1000) * 1_000_000, Zone::Utc).into()
}

pub(super) fn time_opt(ms: Option<i64>) -> Value<'static> {
    ms.map_or_else(|| Time::zero().into(), time)
}

pub(super) fn labels(labels: &Labels, html: bool) -> Value<'static> {
    kv(labels.iter(), html)
}

/// The receiver's name as it stands in links, where it is a regular expression.
pub(super) fn receiver(message: &Message) -> String {
    quote_meta(&message.receiver)
}

pub(super) fn value(message: &Message, templates: &Templates, html: bool) -> Value<'static> {
    let alerts = message.alerts.iter().map(|one| alert(one, html)).collect();
    let route_labels = message.route_labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    Value::Record(Record::new(
        DATA,
        vec![
            ("Receiver", text(&receiver(message), html)),
            ("Status", message.status().as_str().into()),
            ("Alerts", Value::List(List::new(sets::ALERTS, alerts))),
            ("NotificationReason", message.reason.map_or("unknown", |reason| reason.as_str()).into()),
            ("GroupLabels", labels(&message.group_labels, html)),
            ("CommonLabels", labels(&message.common_labels, html)),
            ("CommonAnnotations", labels(&message.common_annotations, html)),
            ("RouteLabels", kv(route_labels, html)),
            ("ExternalURL", text(templates.external_url(), html)),
        ],
    ))
}

fn alert(one: &MessageAlert, html: bool) -> Value<'static> {
    let alert = &one.alert;
    Value::Record(Record::new(
        ALERT,
        vec![
            ("Status", one.status.as_str().into()),
            ("Labels", labels(&alert.labels, html)),
            ("Annotations", labels(&alert.annotations, html)),
            ("StartsAt", time(alert.starts_at_ms)),
            ("EndsAt", time_opt(one.ends_at_ms())),
            ("GeneratorURL", text(&alert.generator_url, html)),
            ("Fingerprint", alert.fingerprint().into()),
        ],
    ))
}

/// Escapes what means something in HTML, as Go does.
pub(crate) fn escape(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '\0' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
