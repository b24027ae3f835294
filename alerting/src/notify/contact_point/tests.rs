use serde_json::json;

use super::*;
use crate::notify::message::tests::alert;
use crate::notify::message::{Message, Status};
use crate::notify::render::tests::{http, renderer};
use crate::notify::template::Dialect;
use crate::notify::template::tests::{NOW, alerts, grafana_alerts, message};

fn options() -> ContactPointOptions {
    let smtp =
        SmtpSettings { from: "Grafana <g@example.org>".to_owned(), require_tls: true, ..SmtpSettings::default() };
    ContactPointOptions { smtp: Some(smtp), hostname: "box".to_owned(), rich_slack: false }
}

fn point(kind: &str, settings: Value) -> ContactPointIntegration {
    let point = json!({ "uid": "u", "type": kind, "settings": settings });
    serde_json::from_value(point).expect("an integration")
}

fn render(kind: &str, settings: Value, message: &Message) -> Payload {
    let integration = GrafanaIntegration::new(&point(kind, settings), &options()).expect("good settings");
    let integration = Integration::Grafana(Box::new(integration));
    renderer(Dialect::Grafana).render(&integration, message, NOW).expect("rendered")
}

fn body(kind: &str, settings: Value, message: &Message) -> (crate::notify::HttpRequest, Value) {
    http(render(kind, settings, message)).remove(0)
}

#[test]
fn settings_are_checked() {
    let chat = "https://slack.com/api/chat.postMessage";
    let cases = [
        ("slack", json!({}), "recipient must be specified when using the Slack chat API"),
        ("slack", json!({ "recipient": "#a" }), "token must be specified when using the Slack chat API"),
        ("slack", json!({ "url": chat, "token": "t" }), "recipient must be specified"),
        ("slack", json!({ "url": "https://h", "mentionChannel": "all" }), "invalid value for mentionChannel: \"all\""),
        ("webhook", json!({}), "required field 'url' is not specified"),
        ("webhook", json!({ "url": "u", "headers": { "host": "x" } }), "custom headers [\"host\"] are not allowed"),
        (
            "webhook",
            json!({ "url": "u", "username": "a", "password": "b", "authorization_credentials": "c" }),
            "both HTTP Basic Authentication and Authorization Header are set",
        ),
        ("email", json!({}), "could not find addresses in settings"),
        ("pagerduty", json!({}), "could not find integration key property in settings"),
        ("opsgenie", json!({}), "could not find api key property in settings"),
        ("opsgenie", json!({ "apiKey": "k", "sendTagsAs": "x" }), "invalid value for sendTagsAs: \"x\""),
        ("opsgenie", json!({ "apiKey": "k", "responders": [{ "type": "team" }] }), "responder at index [0] must have"),
        ("opsgenie", json!({ "apiKey": "k", "responders": [{ "name": "n", "type": "x" }] }), "has unsupported type"),
        ("telegram", json!({}), "could not find Bot Token in settings"),
        ("telegram", json!({ "bottoken": "b" }), "could not find Chat Id in settings"),
        ("telegram", json!({ "bottoken": "b", "chatid": 1, "parse_mode": "x" }), "unknown parse_mode"),
        ("telegram", json!({ "bottoken": "b", "chatid": 1, "message_thread_id": "x" }), "must be an integer"),
        ("discord", json!({}), "could not find webhook url property in settings"),
        ("teams", json!({}), "could not find url property in settings"),
        ("prometheus-alertmanager", json!({ "url": "," }), "could not find url property in settings"),
        ("dingding", json!({}), "could not find url property in settings"),
        ("googlechat", json!({}), "could not find url property in settings"),
        ("kafka", json!({}), "could not find kafka rest proxy endpoint property in settings"),
        ("kafka", json!({ "kafkaRestProxy": "http://k" }), "could not find kafka topic property in settings"),
        ("kafka", json!({ "kafkaRestProxy": "http://k", "kafkaTopic": "t", "apiVersion": "v3" }), "cluster id must be"),
        ("kafka", json!({ "kafkaRestProxy": "http://k", "kafkaTopic": "t", "apiVersion": "v4" }), "unsupported api"),
        ("oncall", json!({}), "required field 'url' is not specified"),
        ("sensugo", json!({}), "could not find URL property in settings"),
        ("sensugo", json!({ "url": "http://s" }), "could not find the API key property in settings"),
        ("victorops", json!({}), "could not find victorops url property in settings"),
        ("wecom", json!({}), "either url or secret is required"),
        ("wecom", json!({ "secret": "s", "agent_id": "a" }), "could not find CorpID in settings"),
        ("pager", json!({}), "notifier pager is not supported"),
        ("slack", json!({ "url": "https://h", "layout": "x" }), "invalid value for layout: \"x\""),
        ("slack", json!({ "url": 5 }), "failed to unmarshal settings"),
    ];
    for (kind, settings, want) in cases {
        let error = GrafanaIntegration::new(&point(kind, settings.clone()), &options()).expect_err(want);
        assert!(error.to_string().contains(want), "{kind} {settings}: {error}");
    }
}

#[test]
fn slack() {
    let settings = json!({
        "recipient": "#ops", "token": "xoxb-1", "mentionChannel": "here", "mentionUsers": "U1, U2", "mentionGroups": "G1",
    });
    let (request, sent) = body("slack", settings, &message(grafana_alerts()));
    assert_eq!(request.url.expose(), "https://slack.com/api/chat.postMessage");
    assert!(request.headers.iter().any(|(name, value)| name == "Authorization" && value.expose() == "Bearer xoxb-1"));
    let attachment = &sent["attachments"][0];
    assert_eq!((&sent["channel"], &sent["username"]), (&"#ops".into(), &"Grafana".into()));
    assert_eq!(attachment["title"], "[FIRING:1] Down (Ops a b)");
    assert_eq!(attachment["fallback"], attachment["title"]);
    assert_eq!(attachment["title_link"], "http://prom/graph?g0.expr=up&g0.tab=1&orgId=1");
    assert!(attachment["text"].as_str().is_some_and(|text| text.contains("Value: A=1.5, B=2")), "{sent}");
    assert_eq!((&attachment["color"], &attachment["ts"]), (&"#D63232".into(), &(NOW / 1000).into()));
    assert_eq!((&attachment["footer"], &attachment["mrkdwn_in"]), (&"Grafana v1.2.3".into(), &json!(["pretext"])));
    assert_eq!(attachment["pretext"], "<!here|here> <!subteam^G1> <@U1><@U2>");
    let broken = json!({ "url": "https://h", "title": "{{ .Nope }}", "text": "{{ .Nope }}", "color": "{{ .Nope }}" });
    let (_, other) = body("slack", broken, &message(alerts()));
    assert_eq!(other["attachments"][0]["title"], "[FIRING:1, RESOLVED:1] Down (api page)", "the default takes over");
    assert_eq!(other["attachments"][0]["title_link"], "http://prom/graph?g0.expr=up&g0.tab=1");
}

#[test]
fn webhook() {
    let settings = json!({
        "url": "http://h/{{ .Status }}", "maxAlerts": "1", "httpMethod": "PUT", "authorization_credentials": "c",
        "headers": { "X-A": "b" }, "hmacConfig": { "secret": "s", "timestampHeader": "X-Time" },
    });
    let (request, sent) = body("webhook", settings, &message(alerts()));
    assert_eq!((request.method, request.url.expose()), ("PUT", "http://h/firing"));
    let header = |name: &str| request.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.expose());
    assert_eq!(
        (header("Authorization"), header("X-A"), header("X-Time")),
        (Some("Bearer c"), Some("b"), Some("1704067500"))
    );
    assert_eq!(header("X-Grafana-Alerting-Signature").map(str::len), Some(64));
    assert_eq!(
        (&sent["version"], &sent["state"], &sent["truncatedAlerts"]),
        (&"1".into(), &"alerting".into(), &1.into())
    );
    assert_eq!((&sent["title"], &sent["orgId"]), (&"[FIRING:1] Down (a:80 api page)".into(), &1.into()));
    assert_eq!(sent["alerts"][0]["startsAt"], "2024-01-01T00:00:00Z");
    assert_eq!(sent["alerts"][0]["values"], Value::Null);
    let settings = json!({
        "url": "http://h",
        "payload": { "template": "{{ .Vars.a }} {{ .Status }} {{ coll.Dict \"n\" (len .Alerts) | data.ToJSON }}", "vars": { "a": "1" } },
    });
    let (request, _) = body("webhook", settings, &message(alerts()));
    assert_eq!(request.body, b"1 firing {\"n\":2}");
}

#[test]
fn the_other_kinds() {
    let both = message(alerts());
    let (request, event) = body("pagerduty", json!({ "integrationKey": "k", "severity": "{{ .Nope }}" }), &both);
    assert_eq!(request.url.expose(), "https://events.pagerduty.com/v2/enqueue");
    assert_eq!((&event["payload"]["severity"], &event["payload"]["source"]), (&"critical".into(), &"box".into()));
    assert_eq!(event["payload"]["custom_details"]["num_resolved"], "1");
    let (request, created) = body("opsgenie", json!({ "apiKey": "k", "sendTagsAs": "both" }), &both);
    assert_eq!(request.url.expose(), "https://api.opsgenie.com/v2/alerts");
    assert_eq!(created["tags"], json!(["alertname:Down", "job:api", "severity:page"]));
    assert_eq!(
        (&created["details"]["job"], &created["details"]["url"]),
        (&"api".into(), &"http://am:9093/alerting/list".into())
    );
    let resolved = both.with_alerts(alerts().split_off(1));
    assert!(http(render("opsgenie", json!({ "apiKey": "k", "autoClose": false }), &resolved)).is_empty());
    let (_, sent) = body("telegram", json!({ "bottoken": "b", "chatid": "-5", "parse_mode": "none" }), &both);
    assert_eq!((&sent["chat_id"], sent.get("parse_mode")), (&"-5".into(), None));
    let settings = json!({ "url": "http://d", "use_embed_description": true });
    let (_, sent) = body("discord", settings, &both);
    assert_eq!((&sent["content"], &sent["username"]), (&"".into(), &"Grafana".into()));
    assert!(sent["embeds"][0]["description"].as_str().is_some_and(|text| text.starts_with("**Firing**")));
    let (_, sent) = body("teams", json!({ "url": "http://t" }), &both);
    assert_eq!(sent["attachments"][0]["content"]["body"][0]["color"], "Attention");
    assert_eq!(sent["summary"], "[FIRING:1, RESOLVED:1] Down (api page)");
    let all = http(render("prometheus-alertmanager", json!({ "url": "http://a/, http://b" }), &both));
    let urls: Vec<_> = all.iter().map(|(request, _)| request.url.expose().to_owned()).collect();
    assert_eq!(urls, ["http://a/api/v2/alerts", "http://b/api/v2/alerts"]);
    assert_eq!((all[0].1[0].get("endsAt"), &all[0].1[1]["endsAt"]), (None, &"2024-01-01T00:10:00Z".into()));
}

#[test]
fn mails_to_all_or_each() {
    let settings = |single: bool| json!({ "addresses": "a@x.org; b@x.org", "singleEmail": single });
    let mails = |settings: Value| match render("email", settings, &message(alerts())) {
        Payload::Mail(mails) => mails,
        other => panic!("{other:?}"),
    };
    let (single, each) = (mails(settings(true)), mails(settings(false)));
    assert_eq!((single.len(), single[0].to.len()), (1, 2));
    assert_eq!((each.len(), each[1].to.clone()), (2, vec!["b@x.org".to_owned()]));
    assert!(single[0].html.as_ref().is_some_and(|html| html.contains("FIRING:1, RESOLVED:1")));
    let own = mails(json!({ "addresses": "a@x.org", "message": "{{ .Status }} {{ \"{{x}}\" }}", "subject": "s" }));
    assert_eq!((own[0].html.as_deref(), own[0].text.as_deref()), (None, Some("firing {{x}}")));
    let bare = GrafanaIntegration::new(&point("email", settings(true)), &ContactPointOptions::default()).expect("good");
    let integration = Integration::Grafana(Box::new(bare));
    let error = renderer(Dialect::Grafana).render(&integration, &message(alerts()), NOW).expect_err("no server");
    assert_eq!(error.to_string(), "email: no mail server is configured");
}

#[test]
fn posts_of_json() {
    let labels = [("alertname", "Down")];
    let one = message(vec![alert(&labels, &[("__alert_image_url__", "http://i/1.png")], Status::Firing)]);
    let key = crate::text::sha256_hex(&one.group_key);
    let texts = |more: Value| {
        let mut settings = json!({ "title": "T {{ .Status }}", "message": "M {{ len .Alerts }}" });
        for (name, value) in more.as_object().expect("settings") {
            settings[name] = value.clone();
        }
        settings
    };
    let rules = "http://am:9093/alerting/list";
    let link = "dingtalk://dingtalkclient/page/link?pc_slide=false&url=http%3A%2F%2Fam%3A9093%2Falerting%2Flist";
    let cases = [
        (
            "dingding",
            texts(json!({ "url": "http://h" })),
            "http://h",
            json!({ "msgtype": "link", "link": { "text": "M 1", "title": "T firing", "messageUrl": link } }),
        ),
        (
            "dingding",
            texts(json!({ "url": "http://h", "msgType": "actionCard" })),
            "http://h",
            json!({
                "msgtype": "actionCard",
                "actionCard": { "text": "M 1", "title": "T firing", "singleTitle": "More", "singleURL": link },
            }),
        ),
        (
            "googlechat",
            texts(json!({ "url": "http://h/{{ .Status }}" })),
            "http://h/firing",
            json!({
                "previewText": "T firing", "fallbackText": "T firing",
                "cards": [
                    { "header": { "title": "T firing" }, "sections": [{ "widgets": [
                        { "textParagraph": { "text": "M 1" } },
                        { "buttons": [{ "textButton": {
                            "text": "OPEN IN GRAFANA", "onClick": { "openLink": { "url": rules } },
                        } }] },
                        { "textParagraph": { "text": "Grafana v1.2.3 | 01 Jan 24 00:05 UTC" } },
                    ] }] },
                    { "header": { "title": "Screenshots" }, "sections": [{ "widgets": [
                        { "textParagraph": { "text": "firing: Down" } },
                        { "image": { "imageUrl": "http://i/1.png" } },
                    ] }] },
                ],
            }),
        ),
        (
            "kafka",
            json!({ "kafkaRestProxy": "http://k/", "kafkaTopic": "t", "description": "D", "details": "E" }),
            "http://k/topics/t",
            json!({ "records": [{ "value": {
                "client": "Grafana", "description": "D", "details": "E", "alert_state": "alerting", "client_url": rules,
                "incident_key": key, "contexts": [{ "type": "image", "src": "http://i/1.png" }],
            } }] }),
        ),
        (
            "sensugo",
            json!({ "url": "http://s/", "apikey": "k", "check": "{{ .Status }}", "handler": "h", "message": "M" }),
            "http://s/api/core/v2/namespaces/default/events",
            json!({
                "entity": { "metadata": { "name": "default", "namespace": "default" } },
                "check": {
                    "metadata": { "name": "firing", "labels": { "ruleURL": rules, "imageURL": "http://i/1.png" } },
                    "output": "M", "issued": NOW / 1000, "interval": 86_400, "status": 2, "handlers": ["h"],
                },
                "ruleUrl": rules,
            }),
        ),
        (
            "victorops",
            json!({ "url": "http://v", "messageType": "warning", "title": "T", "description": "D" }),
            "http://v",
            json!({
                "message_type": "WARNING", "entity_id": key, "entity_display_name": "T", "timestamp": NOW / 1000,
                "state_message": "D", "monitoring_tool": "Grafana v1.2.3", "alert_url": rules, "image_url": "http://i/1.png",
            }),
        ),
        (
            "webex",
            texts(json!({ "room_id": "r", "bot_token": "b" })),
            "https://webexapis.com/v1/messages",
            json!({ "markdown": "M 1", "roomId": "r", "files": ["http://i/1.png"] }),
        ),
        (
            "wecom",
            texts(json!({ "url": "http://w" })),
            "http://w",
            json!({ "msgtype": "markdown", "markdown": { "content": "# T firing\nM 1\n" } }),
        ),
        (
            "wecom",
            texts(json!({ "url": "http://w", "msgtype": "text" })),
            "http://w",
            json!({ "msgtype": "text", "text": { "content": "T firing\nM 1" } }),
        ),
    ];
    for (kind, settings, url, want) in cases {
        let (request, sent) = body(kind, settings, &one);
        assert_eq!((request.url.expose(), sent), (url, want), "{kind}");
    }
    let v3 = json!({
        "kafkaRestProxy": "http://k", "kafkaTopic": "t", "apiVersion": "v3", "kafkaClusterId": "c", "username": "u",
        "password": "p",
    });
    let (request, sent) = body("kafka", v3, &one);
    assert_eq!(request.url.expose(), "http://k/v3/clusters/c/topics/t/records");
    assert_eq!((&sent["value"]["type"], &sent["value"]["data"]["client"]), (&"JSON".into(), &"Grafana".into()));
    assert!(request.http_config.is_some_and(|http| http.basic_auth.is_some()));
    let (_, sent) = body("oncall", json!({ "url": "http://o", "title": "T" }), &one);
    assert_eq!((&sent["version"], &sent["title"], &sent["state"]), (&"1".into(), &"T".into(), &"alerting".into()));
    let app = point("wecom", json!({ "secret": "s", "agent_id": "a", "corp_id": "c" }));
    assert!(GrafanaIntegration::new(&app, &options()).is_ok_and(|app| app.is_unsupported()));
}

#[test]
fn private_labels_stay_private() {
    let labels = [("__alert_rule_uid__", "u"), ("alertname", "A")];
    let one = message(vec![alert(&labels, &[("__orgId__", "3"), ("__alert_image_url__", "http://i")], Status::Firing)]);
    let (_, sent) = body("webhook", json!({ "url": "http://h" }), &one);
    let alert = &sent["alerts"][0];
    assert_eq!(alert["labels"], json!({ "alertname": "A" }));
    assert_eq!(alert["annotations"], json!({}));
    assert_eq!(sent["commonLabels"], json!({ "alertname": "A" }));
    assert_eq!((&alert["ruleUID"], &alert["orgId"], &alert["imageURL"]), (&"u".into(), &3.into(), &"http://i".into()));
}

#[test]
fn points_become_receivers() {
    let points: Vec<ContactPoint> = serde_json::from_value(json!([{
        "orgId": 1, "name": "ops",
        "receivers": [
            { "uid": "1", "type": "slack", "settings": { "url": "https://a" } },
            { "uid": "2", "type": "slack", "settings": { "url": "https://b" }, "disableResolveMessage": true },
            { "uid": "3", "type": "mqtt", "settings": {} },
        ],
    }]))
    .expect("contact points");
    let receivers = compile_contact_points(&points, &options()).expect("good");
    let keys: Vec<_> =
        receivers["ops"].integrations.iter().map(|(one, i)| (one.name().to_owned(), *i, one.send_resolved())).collect();
    assert_eq!(keys, [("slack".to_owned(), 0, true), ("slack".to_owned(), 1, false), ("mqtt".to_owned(), 0, true)]);
    let twice = [points[0].clone(), points[0].clone()];
    let error = compile_contact_points(&twice, &options()).expect_err("twice");
    assert_eq!(error.to_string(), "contactPoints[1]: notification config name \"ops\" is not unique");
}

#[test]
fn slack_in_our_own_layout() {
    let rich = ContactPointOptions { rich_slack: true, ..options() };
    let message = message(alerts());
    let render = |settings: Value, options: &ContactPointOptions| {
        let integration = GrafanaIntegration::new(&point("slack", settings), options).expect("good settings");
        renderer(Dialect::Grafana)
            .render(&Integration::Grafana(Box::new(integration)), &message, NOW)
            .expect("rendered")
    };
    let own = |payload: Payload| match payload {
        Payload::Rich(rich) => Some(rich.finish(&BTreeMap::new())),
        _ => None,
    };
    // A title of one's own, or the setting, keeps Grafana's layout.
    assert!(own(render(json!({ "url": "https://h" }), &options())).is_none());
    assert!(own(render(json!({ "url": "https://h", "title": "t" }), &rich)).is_none());
    assert!(own(render(json!({ "url": "https://h", "layout": "grafana" }), &rich)).is_none());
    assert!(own(render(json!({ "url": "https://h", "title": "t", "layout": "foursight" }), &options())).is_some());
    let settings = json!({ "url": "https://h", "recipient": "#a", "mentionChannel": "here", "token": "xoxb" });
    let request = own(render(settings, &rich)).expect("our own");
    let body: Value = serde_json::from_slice(&request.body).expect("JSON");
    assert_eq!((&body["channel"], &body["username"]), (&json!("#a"), &json!("Foursight")));
    assert!(body["text"].as_str().is_some_and(|text| text.starts_with("<!here|here> [")), "{body}");
    assert_eq!(body["attachments"][0]["color"], "#D63232");
    let authorization = request.http_config.and_then(|http| http.authorization).expect("the token");
    assert_eq!(authorization.credentials.expose(), "xoxb");
}
