//! Foursight's own Slack message: for each alert its value, labels, links, matching log lines and picture.
//!
//! The notifier gives the host a [`RichMessage`]; the host looks up what it can about each alert ([`Enrichment`]) and calls
//! [`RichMessage::finish`] for the request. A host that has nothing to add finishes with an empty map: the message then has
//! what alerts carry themselves. Slack's limits hold whatever comes in: lines, alerts and texts beyond them are counted,
//! not sent.

use std::collections::BTreeMap;

use model::number::{FloatFormat, float_text};
use serde_json::{Value, json};

use super::config::http::HttpConfig;
use super::config::secret::Secret;
use super::message::{Message, MessageAlert, Status};
use super::request::HttpRequest;
use super::template::{Dialect, ExtendedAlert, Templates, extend, private};
use crate::text::{cut_runes, escape_query, go_duration_text};

/// Most alerts that are shown one by one.
const MAX_ALERTS: usize = 10;
/// Most log lines of an alert.
const MAX_LINES: usize = 8;
/// Most characters of a log line.
const MAX_LINE: usize = 240;
/// Most characters of a block's text; Slack takes 3,000.
const MAX_BLOCK: usize = 2900;
/// Most labels of an alert.
const MAX_LABELS: usize = 20;

/// What the host knows about an alert.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Enrichment {
    /// The value of the rule's expression now: what fires, or what it returned to.
    pub value: Option<f64>,
    /// A unit to show after the value, such as ` %` or ` ms`.
    pub unit: String,
    /// Log lines that belong to the alert, oldest first.
    pub log_lines: Vec<String>,
    /// Link to its dashboard.
    pub dashboard_url: String,
    /// Link to its panel.
    pub panel_url: String,
    /// Link to its query or logs.
    pub explore_url: String,
    /// Address of a picture that Slack can fetch.
    pub image_url: String,
}

/// A message in Foursight's own layout, before it is complete.
#[derive(Clone, Debug, PartialEq)]
pub struct RichMessage {
    message: Message,
    /// Title, cut to Slack's limit.
    pub(crate) title: String,
    /// What the title links to.
    pub(crate) title_link: String,
    /// Color of the bar beside the message.
    pub(crate) color: String,
    extended: Vec<ExtendedAlert>,
    external_url: String,
    dialect: Dialect,
    now_ms: i64,
    url: Secret,
    channel: String,
    timestamp: String,
    http_config: Option<HttpConfig>,
    timeout_ms: i64,
    sender: [String; 3],
}

impl RichMessage {
    pub(crate) fn new(message: &Message, templates: &Templates, now_ms: i64) -> Self {
        let external_url = templates.external_url().to_owned();
        Self {
            extended: message.alerts.iter().map(|one| extend(one, &external_url, now_ms)).collect(),
            message: message.clone(),
            title: String::new(),
            title_link: String::new(),
            color: String::new(),
            external_url,
            dialect: templates.dialect(),
            now_ms,
            url: Secret::default(),
            channel: String::new(),
            timestamp: String::new(),
            http_config: None,
            timeout_ms: 0,
            sender: Default::default(),
        }
    }

    pub(crate) fn address(
        &mut self,
        url: Secret,
        channel: String,
        timestamp: String,
        http_config: Option<HttpConfig>,
        timeout_ms: i64,
    ) {
        (self.url, self.channel, self.timestamp) = (url, channel, timestamp);
        (self.http_config, self.timeout_ms) = (http_config, timeout_ms);
    }

    pub(crate) fn sender(&mut self, username: String, icon_emoji: String, icon_url: String) {
        self.sender = [username, icon_emoji, icon_url];
    }

    /// The alerts that will be shown, for the host to look things up about.
    pub fn alerts(&self) -> &[MessageAlert] {
        let shown = self.message.alerts.len().min(MAX_ALERTS);
        self.message.alerts.get(..shown).unwrap_or_default()
    }

    /// The request to send. `enrichments`: by the alerts' fingerprints.
    pub fn finish(&self, enrichments: &BTreeMap<String, Enrichment>) -> HttpRequest {
        let none = Enrichment::default();
        let mut blocks = vec![section(&self.heading())];
        for (one, extended) in self.alerts().iter().zip(&self.extended) {
            let more = enrichments.get(&extended.fingerprint).unwrap_or(&none);
            self.add_alert(&mut blocks, one, extended, more);
        }
        let left_out = self.message.alerts.len() - self.alerts().len() + self.message.truncated;
        if left_out > 0 {
            blocks.push(context(&format!("and {left_out} more")));
        }
        let mut body = json!({
            "text": self.title,
            "attachments": [{ "color": self.color, "fallback": self.title, "blocks": blocks }],
        });
        let [username, icon_emoji, icon_url] = &self.sender;
        let optional = [
            ("channel", &self.channel),
            ("ts", &self.timestamp),
            ("username", username),
            ("icon_emoji", icon_emoji),
            ("icon_url", icon_url),
        ];
        for (key, value) in optional.into_iter().filter(|(_, value)| !value.is_empty()) {
            body[key] = value.as_str().into();
        }
        HttpRequest::json(self.url.clone(), body.to_string().into_bytes(), self.http_config.clone())
            .timeout(self.timeout_ms)
    }

    fn heading(&self) -> String {
        let title = escape(&self.title);
        let linked = if self.title_link.is_empty() { title } else { link(&self.title_link, &title) };
        format!("*{linked}*")
    }

    fn add_alert(&self, blocks: &mut Vec<Value>, one: &MessageAlert, extended: &ExtendedAlert, more: &Enrichment) {
        let annotation = |name: &str| extended.annotations.get(name).map(String::as_str).unwrap_or_default();
        let (mark, since) = match one.status {
            Status::Firing => (":red_circle:", self.now_ms - one.alert.starts_at_ms),
            Status::Resolved => (":large_green_circle:", one.alert.ends_at_ms - one.alert.starts_at_ms),
        };
        let duration = go_duration_text(since.max(0) / 1000 * 1000);
        let mut text = format!("{mark} *{}*", escape(one.alert.name()));
        let summary = [annotation("summary"), annotation("message")].into_iter().find(|text| !text.is_empty());
        if let Some(summary) = summary {
            text.push_str(&format!(": {}", escape(summary)));
        }
        if let Some(value) = self.value(one, extended, more) {
            let verb = if one.status == Status::Firing { "Value" } else { "Returned to" };
            text.push_str(&format!("\n{verb} *{}*", escape(&value)));
        }
        text.push_str(match one.status {
            Status::Firing => "\nFiring for ",
            Status::Resolved => "\nResolved after ",
        });
        text.push_str(&duration);
        let description = annotation("description");
        if !description.is_empty() {
            text.push_str(&format!("\n{}", escape(description)));
        }
        blocks.push(section(&text));
        let labels = self.labels(one);
        if !labels.is_empty() {
            blocks.push(context(&labels));
        }
        if !more.log_lines.is_empty() {
            blocks.push(section(&log_block(&more.log_lines)));
        }
        let image = [&more.image_url, &extended.image_url].into_iter().find(|url| !url.is_empty());
        if let Some(url) = image {
            let alt = cut_runes(&format!("Panel of {}", one.alert.name()), 2000).0;
            blocks.push(json!({ "type": "image", "image_url": url, "alt_text": alt }));
        }
        let links = self.links(one, extended, more);
        if !links.is_empty() {
            blocks.push(context(&links));
        }
    }

    /// The value the host gives, else the one the alert carries.
    fn value(&self, one: &MessageAlert, extended: &ExtendedAlert, more: &Enrichment) -> Option<String> {
        if let Some(value) = more.value {
            return Some(format!("{}{}", float_text(value, FloatFormat::General), more.unit));
        }
        // What an alert carries is from when it fired: it says nothing about where the value is now.
        if one.status == Status::Resolved {
            return None;
        }
        if let Some(values) = extended.values.as_ref().filter(|values| !values.is_empty()) {
            let texts = values.iter().map(|(name, v)| format!("{name}={}", float_text(*v, FloatFormat::General)));
            return Some(texts.collect::<Vec<_>>().join(", "));
        }
        one.alert.annotations.get("value").map(str::to_owned)
    }

    /// Labels besides the name, those of the group first.
    fn labels(&self, one: &MessageAlert) -> String {
        let shown = |name: &str| name != "alertname" && !private(name);
        let (group, own): (Vec<_>, Vec<_>) = one
            .alert
            .labels
            .iter()
            .filter(|(name, _)| shown(name))
            .partition(|(name, _)| self.message.group_labels.get(name).is_some());
        let all: Vec<_> = group.into_iter().chain(own).collect();
        let mut texts: Vec<String> = all
            .iter()
            .take(MAX_LABELS)
            .map(|(name, value)| format!("`{}`", escape(&format!("{name}={value}")).replace('`', "'")))
            .collect();
        if all.len() > MAX_LABELS {
            texts.push(format!("and {} more", all.len() - MAX_LABELS));
        }
        texts.join(" ")
    }

    fn links(&self, one: &MessageAlert, extended: &ExtendedAlert, more: &Enrichment) -> String {
        let annotation = |name: &str| extended.annotations.get(name).cloned().unwrap_or_default();
        let first = |urls: [String; 3]| urls.into_iter().find(|url| !url.is_empty()).unwrap_or_default();
        let links = [
            (
                "Dashboard",
                first([more.dashboard_url.clone(), annotation("dashboard_url"), extended.dashboard_url.clone()]),
            ),
            ("Panel", first([more.panel_url.clone(), annotation("panel_url"), extended.panel_url.clone()])),
            ("Explore", more.explore_url.clone()),
            ("Source", extended.generator_url.clone()),
            ("Silence", self.silence_url(one, extended)),
            ("Runbook", annotation("runbook_url")),
        ];
        let shown = links.iter().filter(|(_, url)| url.starts_with("http://") || url.starts_with("https://"));
        shown.map(|(name, url)| link(url, name)).collect::<Vec<_>>().join(" · ")
    }

    fn silence_url(&self, one: &MessageAlert, extended: &ExtendedAlert) -> String {
        if one.status == Status::Resolved {
            return String::new();
        }
        match self.dialect {
            Dialect::Grafana => extended.silence_url.clone(),
            Dialect::Alertmanager => {
                let labels = one.alert.labels.iter();
                let matchers = labels.map(|(name, value)| super::matcher::AlertMatcher::equal(name, value).to_string());
                let filter = format!("{{{}}}", matchers.collect::<Vec<_>>().join(","));
                format!("{}/#/silences/new?filter={}", self.external_url, escape_query(&filter))
            }
        }
    }
}

fn section(text: &str) -> Value {
    json!({ "type": "section", "text": { "type": "mrkdwn", "text": cut_runes(text, MAX_BLOCK).0 } })
}

fn context(text: &str) -> Value {
    json!({ "type": "context", "elements": [{ "type": "mrkdwn", "text": cut_runes(text, MAX_BLOCK).0 }] })
}

/// The newest lines in a code block, each cut, as many as fit.
fn log_block(lines: &[String]) -> String {
    let mut budget = MAX_BLOCK - 60;
    let mut shown = Vec::new();
    for line in lines.iter().rev().take(MAX_LINES) {
        // A line cannot close the block.
        let line = line.replace("```", "'''").replace(['\r', '\n'], " ");
        let line = escape(&cut_runes(&line, MAX_LINE).0);
        let length = line.chars().count() + 1;
        if length > budget {
            break;
        }
        budget -= length;
        shown.push(line);
    }
    let skipped = lines.len() - shown.len();
    if skipped > 0 {
        shown.push(format!("… {skipped} earlier lines"));
    }
    shown.reverse();
    format!("```{}```", shown.join("\n"))
}

/// `<url|text>`; characters that would end the address are encoded.
fn link(url: &str, text: &str) -> String {
    let url = url.replace('|', "%7C").replace('>', "%3E").replace('<', "%3C").replace(' ', "%20");
    format!("<{}|{text}>", url.replace('&', "&amp;"))
}

/// Escapes what means something to Slack.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests;
