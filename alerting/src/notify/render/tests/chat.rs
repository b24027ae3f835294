//! Receivers that are a post of JSON and little else.

use serde_json::json;

use super::*;

#[test]
fn teams_connectors() {
    let receiver = json!({ "msteams_configs": [{ "webhook_url": "https://t/x", "text": "{{ len .Alerts }}" }] });
    let (request, body) = one(receiver, &message(alerts()));
    assert_eq!(request.url.expose(), "https://t/x");
    let subject = "[FIRING:1] Down (api page)";
    let want = json!({
        "@context": "http://schema.org/extensions", "type": "MessageCard", "title": subject, "summary": subject,
        "text": "2", "themeColor": "8C1A1A",
    });
    assert_eq!(body, want);
}

#[test]
fn victorops_events() {
    let config = json!({
        "api_key": "k", "routing_key": "{{ .GroupLabels.alertname }}", "message_type": "{{ .CommonLabels.severity }}",
        "state_message": "s", "custom_fields": { "host": "{{ .CommonLabels.job }}" },
    });
    let message = message(alerts());
    let (request, body) = one(json!({ "victorops_configs": [config] }), &message);
    assert_eq!(request.url.expose(), "https://alert.victorops.com/integrations/generic/20131114/alert/k/Down");
    let want = json!({
        "message_type": "CRITICAL", "entity_id": crate::text::sha256_hex(&message.group_key),
        "entity_display_name": "[FIRING:1] Down (api page)", "state_message": "s", "monitoring_tool": "Alertmanager",
        "host": "api",
    });
    assert_eq!(body, want);
    let config = json!({ "api_key_file": "/run/chat", "routing_key": "r", "message_type": "INFO" });
    let (request, body) = one(json!({ "victorops_configs": [config.clone()] }), &message);
    assert!(request.url.expose().ends_with("/alert/-42/r"));
    assert_eq!(body["message_type"], "INFO");
    let resolved = message.with_alerts(alerts().split_off(1));
    let (_, body) = one(json!({ "victorops_configs": [config] }), &resolved);
    assert_eq!(body["message_type"], "RECOVERY");
}

#[test]
fn webex_messages() {
    let config = json!({
        "room_id": "{{ .Status }}", "message": "é".repeat(5000),
        "http_config": { "authorization": { "credentials": "t" } },
    });
    let (request, body) = one(json!({ "webex_configs": [config] }), &message(alerts()));
    assert_eq!(request.url.expose(), "https://webexapis.com/v1/messages");
    assert!(request.http_config.is_some_and(|http| http.authorization.is_some()));
    assert_eq!(body["roomId"], "firing");
    assert!(body["markdown"].as_str().is_some_and(|text| text.len() <= 7439 && text.ends_with('…')), "{body}");
}

#[test]
fn rocketchat_messages() {
    let config = json!({
        "api_url": "https://chat.example.org", "token": "t", "token_id_file": "/run/chat", "channel": "#ops",
        "short_fields": true, "fields": [{ "title": "a", "value": "{{ .Status }}" }, { "title": "b", "value": "2", "short": false }],
        "actions": [{ "type": "link", "text": "go", "url": "http://go", "is_webview": true }],
    });
    let (request, body) = one(json!({ "rocketchat_configs": [config] }), &message(alerts()));
    assert_eq!(request.url.expose(), "https://chat.example.org/api/v1/chat.postMessage");
    let header = |name: &str| request.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.expose());
    assert_eq!((header("X-Auth-Token"), header("X-User-Id")), (Some("t"), Some("-42")));
    let want = json!({
        "channel": "#ops",
        "attachments": [{
            "title": "[FIRING:1] Down (api page)", "title_link": LINK, "color": "red",
            "fields": [
                { "short": true, "title": "a", "value": "firing" }, { "short": false, "title": "b", "value": "2" },
            ],
            "actions": [
                { "type": "button", "text": "go", "url": "http://go", "is_webview": false, "msg_in_chat_window": false },
            ],
        }],
    });
    assert_eq!(body, want);
}

#[test]
fn mattermost_messages() {
    let config = json!({
        "webhook_url": "https://m/x", "channel": "ops", "text": "{{ .Status }}",
        "fields": [{ "title": "a", "value": "{{ len .Alerts }}", "short": true }],
        "priority": { "priority": "Important", "requested_ack": true, "persistent_notifications": true },
        "props": { "card": "{{ .Receiver }}" },
    });
    let (request, body) = one(json!({ "mattermost_configs": [config] }), &message(alerts()));
    assert_eq!(request.url.expose(), "https://m/x");
    let title = "[FIRING:1] Down (api page)";
    let want = json!({
        "channel": "ops", "username": "Alertmanager",
        "attachments": [{
            "text": "firing", "title": title, "title_link": LINK, "fallback": format!("{title} | {LINK}"), "color": "danger",
            "fields": [{ "title": "a", "value": "2", "short": true }],
        }],
        "priority": { "priority": "important", "requested_ack": true },
        "props": { "card": "team/slack x" },
    });
    assert_eq!(body, want);
    // With attachments of its own the text stands above them.
    let config = json!({
        "webhook_url_file": "/run/url", "text": "x".repeat(20_000), "username": "u", "attachments": [{ "text": "{{ .Status }}" }],
        "priority": { "priority": "whatever", "requested_ack": true },
    });
    let (request, body) = one(json!({ "mattermost_configs": [config] }), &message(alerts()));
    assert_eq!(request.url.expose(), "https://files.example.org/hook");
    assert_eq!(body["text"].as_str().map(|text| text.chars().count()), Some(16_383));
    assert_eq!(
        (&body["attachments"], &body["priority"]),
        (&json!([{ "text": "firing" }]), &json!({ "priority": "standard" }))
    );
}

#[test]
fn incidentio_bodies() {
    let config = json!({ "url": "https://i/x", "alert_source_token": "t", "timeout": "2s" });
    let both = message(alerts());
    let (request, body) = one(json!({ "incidentio_configs": [config.clone()] }), &both);
    assert_eq!((request.url.expose(), request.timeout_ms), ("https://i/x", Some(2000)));
    let authorization = request.http_config.and_then(|http| http.authorization).expect("a token");
    assert_eq!((authorization.kind.as_str(), authorization.credentials.expose()), ("Bearer", "t"));
    assert_eq!((&body["version"], body["alerts"].as_array().map(Vec::len)), (&"1".into(), Some(2)));
    assert_eq!((&body["groupKey"], &body["truncatedAlerts"]), (&both.group_key.as_str().into(), &0.into()));
    let large = "y".repeat(300_000);
    let many: Vec<_> = (0..3).map(|_| alert(&[("alertname", "Down")], &[("text", &large)], Status::Firing)).collect();
    let (_, body) = one(json!({ "incidentio_configs": [config] }), &message(many));
    assert_eq!(body["alerts"].as_array().map(Vec::len), Some(1));
}

#[test]
fn pushover_parameters() {
    let config = |more: Value| {
        let mut config = json!({ "user_key": "u&", "token_file": "/run/chat", "title": "T", "url": "", "ttl": "1m" });
        for (name, value) in more.as_object().expect("settings") {
            config[name] = value.clone();
        }
        json!({ "pushover_configs": [config] })
    };
    let (request, _) = one(config(json!({ "message": "{{ .CommonLabels.none }} " })), &message(alerts()));
    assert_eq!(
        request.url.expose(),
        "https://api.pushover.net/1/messages.json?token=-42&user=u%26&title=T&message=%28no+details%29&priority=2&retry=60\
         &expire=3600&ttl=60"
    );
    assert!(request.body.is_empty());
    let html = json!({ "message": "<b>{{ .CommonAnnotations.runbook }}</b>", "html": true });
    let (request, _) = one(config(html), &message(alerts()));
    assert!(
        request.url.expose().contains("&message=%3Cb%3E%26lt%3Bnone%26gt%3B%3C%2Fb%3E&html=1&"),
        "{:?}",
        request.url.expose()
    );
}
