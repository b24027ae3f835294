mod chat;

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::notify::config::{Config, ConfigOptions};
use crate::notify::message::Status;
use crate::notify::message::tests::alert;
use crate::notify::request::{HttpRequest, Mail};
use crate::notify::retry::{SLACK_CHANNEL, SLACK_MESSAGE};
use crate::notify::template::Dialect;
use crate::notify::template::tests::{NOW, alerts, message, templates};

#[derive(Debug)]
struct Files;

impl SecretFiles for Files {
    fn read(&self, path: &str) -> Result<String, String> {
        match path {
            "/run/url" => Ok("https://files.example.org/hook\n".to_owned()),
            "/run/chat" => Ok("-42\n".to_owned()),
            _ => Err("no such file".to_owned()),
        }
    }
}

pub(in crate::notify) fn renderer(dialect: Dialect) -> Renderer {
    Renderer::new(Arc::new(templates(dialect)), Arc::new(Files))
}

/// The first integration of a receiver, given as JSON of its lists.
fn integration(receiver: Value) -> Integration {
    let mut receiver = receiver;
    receiver["name"] = "r".into();
    let config = json!({
        "global": {
            "slack_api_url": "https://hooks.slack.com/services/T/B/K",
            "smtp_smarthost": "mail:587", "smtp_from": "Alerts <am@example.org>", "opsgenie_api_key": "k",
        },
        "route": { "receiver": "r" },
        "receivers": [receiver],
    });
    let config: Config = serde_json::from_value(config).expect("a configuration");
    let compiled = config.compile(ConfigOptions::default()).expect("a good configuration");
    Integration::clone(&compiled.receivers["r"].integrations[0].0)
}

fn render(receiver: Value, message: &Message) -> Result<Payload, RenderError> {
    renderer(Dialect::Alertmanager).render(&integration(receiver), message, NOW)
}

pub(in crate::notify) fn http(payload: Payload) -> Vec<(HttpRequest, Value)> {
    let Payload::Http(requests) = payload else { panic!("not HTTP: {payload:?}") };
    let with_body = |request: HttpRequest| {
        let body = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
        (request, body)
    };
    requests.into_iter().map(with_body).collect()
}

fn one(receiver: Value, message: &Message) -> (HttpRequest, Value) {
    let mut all = http(render(receiver, message).expect("rendered"));
    assert_eq!(all.len(), 1);
    all.remove(0)
}

const LINK: &str = "http://am:9093/#/alerts?receiver=team%2Fslack+x";

#[test]
fn slack_with_defaults() {
    let (request, body) = one(json!({ "slack_configs": [{ "channel": "#ops" }] }), &message(alerts()));
    assert_eq!(request.url.expose(), "https://hooks.slack.com/services/T/B/K");
    assert_eq!(request.method, "POST");
    let want = json!({
        "channel": "#ops",
        "username": "Alertmanager",
        "attachments": [{
            "title": "[FIRING:1] Down (api page)",
            "title_link": LINK,
            "text": "",
            "fallback": format!("[FIRING:1] Down (api page) | {LINK}"),
            "callback_id": "",
            "footer": "",
            "color": "danger",
            "mrkdwn_in": ["fallback", "pretext", "text"],
        }],
    });
    assert_eq!(body, want);
}

#[test]
fn slack_with_everything() {
    let long = "x".repeat(2000);
    let config = json!({
        "app_token": "xoxb-1", "channel": "{{ .GroupLabels.alertname }}", "title": long, "pretext": "p", "text": "t",
        "message_text": "m", "icon_emoji": ":x:", "icon_url": "http://i", "image_url": "http://im", "thumb_url": "http://th",
        "footer": "f", "callback_id": "c", "link_names": true, "short_fields": true, "mrkdwn_in": ["text"],
        "timeout": "5s", "color": "#123456", "username": "u", "fallback": "fb", "title_link": "http://tl",
        "fields": [{ "title": "a", "value": "{{ .Status }}" }, { "title": "b", "value": "2", "short": false }],
        "actions": [
            { "type": "button", "text": "go", "url": "http://go", "style": "primary" },
            { "type": "button", "text": "ack", "name": "ack", "value": "1", "confirm": { "text": "sure?" } },
        ],
    });
    let (request, body) = one(json!({ "slack_configs": [config] }), &message(alerts()));
    assert_eq!(request.url.expose(), "https://slack.com/api/chat.postMessage");
    assert_eq!(request.timeout_ms, Some(5000));
    let authorization = request.http_config.and_then(|http| http.authorization).expect("a token");
    assert_eq!(authorization.credentials.expose(), "xoxb-1");
    let title = format!("{}…", "x".repeat(1023));
    let want = json!({
        "channel": "Down", "username": "u", "icon_emoji": ":x:", "icon_url": "http://i", "link_names": true, "text": "m",
        "attachments": [{
            "title": title, "title_link": "http://tl", "pretext": "p", "text": "t", "fallback": "fb", "callback_id": "c",
            "fields": [
                { "title": "a", "value": "firing", "short": true },
                { "title": "b", "value": "2", "short": false },
            ],
            "actions": [
                { "type": "button", "text": "go", "url": "http://go", "style": "primary" },
                { "type": "button", "text": "ack", "name": "ack", "value": "1", "confirm": { "text": "sure?" } },
            ],
            "image_url": "http://im", "thumb_url": "http://th", "footer": "f", "color": "#123456", "mrkdwn_in": ["text"],
        }],
    });
    assert_eq!(body, want);
}

#[test]
fn slack_changes_the_message_it_sent() {
    let config = json!({
        "api_url": "https://slack.com/api/chat.postMessage", "channel": "#ops", "update_message": true,
        "http_config": { "authorization": { "credentials": "xoxb-1" } },
    });
    let mut message = message(alerts());
    let (request, body) = one(json!({ "slack_configs": [config] }), &message);
    assert_eq!(request.url.expose(), "https://slack.com/api/chat.postMessage");
    assert!(body.get("ts").is_none());
    message.previous.insert(SLACK_MESSAGE.to_owned(), "1503435956.000247".to_owned());
    message.previous.insert(SLACK_CHANNEL.to_owned(), "C1".to_owned());
    let (request, body) = one(json!({ "slack_configs": [config] }), &message);
    assert_eq!(request.url.expose(), "https://slack.com/api/chat.update");
    assert_eq!((&body["ts"], &body["channel"]), (&"1503435956.000247".into(), &"C1".into()));
}

#[test]
fn webhook_bodies() {
    let mut message = message(alerts());
    message.route_labels.insert("team".to_owned(), "ops".to_owned());
    let (request, body) = one(json!({ "webhook_configs": [{ "url": "http://h/{{ .Status }}" }] }), &message);
    assert_eq!(request.url.expose(), "http://h/firing");
    let labels =
        |instance: &str| json!({ "alertname": "Down", "instance": instance, "job": "api", "severity": "page" });
    let link = "http://prom/graph?g0.expr=up&g0.tab=1";
    let want = json!({
        "receiver": "team/slack x", "status": "firing",
        "alerts": [
            {
                "status": "firing", "labels": labels("a:80"),
                "annotations": { "runbook": "<none>", "summary": "api is down" },
                "startsAt": "2024-01-01T00:00:00Z", "endsAt": "0001-01-01T00:00:00Z", "generatorURL": link,
                "fingerprint": message.alerts[0].alert.fingerprint(),
            },
            {
                "status": "resolved", "labels": labels("b:80"), "annotations": { "runbook": "<none>" },
                "startsAt": "2024-01-01T00:00:00Z", "endsAt": "2024-01-01T00:10:00Z", "generatorURL": link,
                "fingerprint": message.alerts[1].alert.fingerprint(),
            },
        ],
        "notification_reason": "first notification",
        "groupLabels": { "alertname": "Down" },
        "commonLabels": { "alertname": "Down", "job": "api", "severity": "page" },
        "commonAnnotations": { "runbook": "<none>" },
        "routeLabels": { "team": "ops" },
        "externalURL": "http://am:9093",
        "version": "4",
        "groupKey": "{}:{alertname=\"Down\"}",
        "truncatedAlerts": 0,
    });
    assert_eq!(body, want);
    let config = json!({ "url_file": "/run/url", "max_alerts": 1, "timeout": "1s" });
    let (request, body) = one(json!({ "webhook_configs": [config] }), &message);
    assert_eq!((request.url.expose(), request.timeout_ms), ("https://files.example.org/hook", Some(1000)));
    assert_eq!((&body["truncatedAlerts"], body["alerts"].as_array().map(Vec::len)), (&1.into(), Some(1)));
    assert_eq!(body["commonLabels"]["instance"], "a:80");
}

#[test]
fn webhooks_of_ones_own_form() {
    let payload = json!({
        "title": "{{ .Status }}: {{ len .Alerts }}", "is_{{ .Status }}": [true, 1, null],
        "firing": "{{ .Alerts.Firing | toJson }}", "count": "{{ len .Alerts }}", "empty": "", "quoted": "\"x\"",
    });
    let config = json!({ "url": "http://h", "payload": payload });
    let (_, body) = one(json!({ "webhook_configs": [config] }), &message(alerts()));
    assert_eq!(body["title"], "firing: 2");
    assert_eq!((&body["is_firing"], &body["firing"][0]["labels"]["job"]), (&json!([true, 1, null]), &"api".into()));
    assert_eq!((&body["count"], &body["empty"], &body["quoted"]), (&2.into(), &Value::Null, &"\"x\"".into()));
}

#[test]
fn pagerduty_events() {
    let message = message(alerts());
    let (request, body) = one(json!({ "pagerduty_configs": [{ "routing_key": "key" }] }), &message);
    assert_eq!(request.url.expose(), "https://events.pagerduty.com/v2/enqueue");
    assert_eq!(body["routing_key"], "key");
    assert_eq!(body["event_action"], "trigger");
    assert_eq!(body["dedup_key"], crate::text::sha256_hex(&message.group_key));
    assert_eq!((&body["client"], &body["client_url"]), (&"Alertmanager".into(), &LINK.into()));
    let payload = &body["payload"];
    assert_eq!(payload["summary"], "[FIRING:1] Down (api page)");
    assert_eq!((&payload["severity"], &payload["source"]), (&"error".into(), &"Alertmanager".into()));
    assert_eq!(payload["custom_details"]["num_firing"], 1);
    assert_eq!(payload["custom_details"]["firing"][0]["labels"]["instance"], "a:80");
    let resolved = message.with_alerts(alerts().split_off(1));
    let (request, body) = one(json!({ "pagerduty_configs": [{ "service_key": "key" }] }), &resolved);
    assert_eq!(request.url.expose(), "https://events.pagerduty.com/generic/2010-04-15/create_event.json");
    assert_eq!((&body["event_type"], &body["service_key"]), (&"resolve".into(), &"key".into()));
    assert_eq!(body["incident_key"], crate::text::sha256_hex(&message.group_key));
    assert!(body.get("client").is_none() && body["details"]["num_resolved"] == 1, "{body}");
}

#[test]
fn a_large_event_goes_without_details() {
    let large = "y".repeat(600_000);
    let many = vec![alert(&[("alertname", "Down")], &[("text", &large)], Status::Firing)];
    let (request, body) = one(json!({ "pagerduty_configs": [{ "routing_key": "key" }] }), &message(many));
    assert!(request.body.len() < 2000);
    assert!(body["payload"]["custom_details"]["error"].as_str().is_some_and(|text| text.contains("512KB")), "{body}");
}

#[test]
fn opsgenie_requests() {
    let config = json!({
        "update_alerts": true, "tags": "a,,{{ .Status }}", "priority": "P1", "details": { "x": "{{ len .Alerts }}" },
        "responders": [
            { "name": "one,two", "type": "teams" },
            { "username": "{{ .CommonLabels.missing }}u", "type": "user" },
            { "name": "n", "type": "{{ .CommonLabels.missing }}schedule" },
        ],
    });
    let message = message(alerts());
    let all = http(render(json!({ "opsgenie_configs": [config] }), &message).expect("rendered"));
    let alias = crate::text::sha256_hex(&message.group_key);
    let urls: Vec<_> = all.iter().map(|(request, _)| (request.method, request.url.expose().to_owned())).collect();
    let base = "https://api.opsgenie.com/v2/alerts";
    let want = [
        ("POST", base.to_owned()),
        ("PUT", format!("{base}/{alias}/message?identifierType=alias")),
        ("PUT", format!("{base}/{alias}/description?identifierType=alias")),
    ];
    assert_eq!(urls, want);
    assert!(all.iter().all(|(r, _)| r.headers.iter().any(|(n, v)| n == "Authorization" && v.expose() == "GenieKey k")));
    let body = &all[0].1;
    assert_eq!(body["alias"], alias);
    assert_eq!(body["tags"], json!(["a", "firing"]));
    assert_eq!(body["details"]["x"], "2");
    assert_eq!(body["details"]["job"], "api");
    assert_eq!(
        body["responders"],
        json!([
            { "name": "one", "type": "team" }, { "name": "two", "type": "team" },
            { "username": "u", "type": "user" }, { "name": "n", "type": "schedule" },
        ])
    );
    let resolved = message.with_alerts(alerts().split_off(1));
    let (request, body) = one(json!({ "opsgenie_configs": [{ "source": "s" }] }), &resolved);
    assert_eq!(request.url.expose(), format!("{base}/{alias}/close?identifierType=alias"));
    assert_eq!(body, json!({ "source": "s" }));
}

#[test]
fn telegram_messages() {
    let config =
        json!({ "bot_token": "T", "chat_id_file": "/run/chat", "message": "<b>{{ .CommonAnnotations.runbook }}</b>" });
    let (request, body) = one(json!({ "telegram_configs": [config] }), &message(alerts()));
    assert_eq!(request.url.expose(), "https://api.telegram.org/botT/sendMessage");
    let want = json!({
        "chat_id": "-42", "text": "<b>&lt;none&gt;</b>", "parse_mode": "HTML", "disable_web_page_preview": true,
    });
    assert_eq!(body, want);
    let long = "z".repeat(5000);
    let config = |mode: &str| json!({ "bot_token": "T", "chat_id": 5, "parse_mode": mode, "message": long });
    let text = |mode: &str| {
        let (_, body) = one(json!({ "telegram_configs": [config(mode)] }), &message(alerts()));
        body["text"].as_str().map(str::to_owned).expect("a text")
    };
    assert_eq!(text("").chars().count(), 4096);
    assert!(text("HTML").contains("longer than Telegram allows"));
}

#[test]
fn discord_and_teams() {
    let config = json!({ "webhook_url": "https://d/x", "content": "c".repeat(3000), "title": "t".repeat(300) });
    let (_, body) = one(json!({ "discord_configs": [config] }), &message(alerts()));
    assert_eq!(body["content"].as_str().map(|text| text.chars().count()), Some(2000));
    assert_eq!(body["embeds"][0]["title"].as_str().map(|text| text.chars().count()), Some(256));
    assert_eq!(body["embeds"][0]["color"], 0x99_2d22);
    let (_, body) = one(json!({ "msteamsv2_configs": [{ "webhook_url_file": "/run/url" }] }), &message(alerts()));
    let card = &body["attachments"][0]["content"];
    assert_eq!(card["body"][0]["text"], "[FIRING:1] Down (api page)");
    assert_eq!((&card["body"][0]["color"], &card["version"]), (&"Attention".into(), &"1.2".into()));
}

#[test]
fn mails() {
    let config = json!({
        "to": "Ops <ops@example.org>, dev@example.org", "text": "{{ .CommonAnnotations.runbook }}",
        "headers": { "x-team": "Tür" }, "threading": { "enabled": true, "thread_by_date": "daily" },
    });
    let payload = render(json!({ "email_configs": [config] }), &message(alerts())).expect("rendered");
    let Payload::Mail(mails) = payload else { panic!("mails") };
    let mail: &Mail = &mails[0];
    assert_eq!(
        (mail.from.as_str(), &mail.to[..]),
        ("am@example.org", &["ops@example.org", "dev@example.org"].map(str::to_owned)[..])
    );
    let header = |name: &str| mail.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    assert_eq!(header("Subject"), Some("[FIRING:1] Down (api page)"));
    assert_eq!(header("From"), Some("Alerts <am@example.org>"));
    assert_eq!(header("X-Team"), Some("=?utf-8?q?T=C3=BCr?="));
    assert_eq!(header("Date"), Some("Mon, 01 Jan 2024 00:05:00 +0000"));
    assert!(header("References").is_some_and(|id| id.ends_with("-2024-01-01@alertmanager>")));
    assert_eq!(header("References"), header("In-Reply-To"));
    assert_eq!(mail.text.as_deref(), Some("<none>"));
    assert!(mail.require_tls && mail.html.as_ref().is_some_and(|html| html.contains("&lt;none&gt;")));
    let wire = String::from_utf8(mail.to_message()).expect("ASCII");
    assert!(wire.contains("multipart/alternative") && wire.lines().all(|line| line.len() <= 998));
    for bad in ["nobody", "a@b <c", "a b@c", ","] {
        let config = json!({ "to": bad });
        assert!(render(json!({ "email_configs": [config] }), &message(alerts())).is_err(), "{bad}");
    }
}

#[test]
fn failures_say_what() {
    let cases = [
        (json!({ "slack_configs": [{ "title": "{{ .Nope }}" }] }), "title: template:"),
        (json!({ "slack_configs": [{ "api_url_file": "/nope" }] }), "could not read /nope: no such file"),
        (
            json!({ "webhook_configs": [{ "url": "{{ .CommonLabels.none }}" }] }),
            "webhook URL is empty after templating",
        ),
        (json!({ "pagerduty_configs": [{ "routing_key": "{{ .CommonLabels.none }}" }] }), "routing key is empty"),
        (json!({ "telegram_configs": [{ "bot_token": "T", "chat_id_file": "/run/url" }] }), "does not hold a number"),
        (json!({ "sns_configs": [{ "topic_arn": "x", "sigv4": {} }] }), "notifications of kind sns are not supported"),
    ];
    for (receiver, want) in cases {
        let error = render(receiver.clone(), &message(alerts())).expect_err("a failure");
        assert!(error.to_string().contains(want), "{receiver}: {error}");
    }
}
