use std::collections::BTreeMap;

use model::Labels;

use super::*;
use crate::notify::log::NotifyReason;
use crate::notify::message::tests::alert;
use crate::notify::message::{MessageAlert, Status};

pub(in crate::notify) const NOW: i64 = 1_704_067_500_000;

pub(in crate::notify) fn alerts() -> Vec<MessageAlert> {
    vec![
        alert(
            &[("alertname", "Down"), ("instance", "a:80"), ("job", "api"), ("severity", "page")],
            &[("runbook", "<none>"), ("summary", "api is down")],
            Status::Firing,
        ),
        alert(
            &[("alertname", "Down"), ("instance", "b:80"), ("job", "api"), ("severity", "page")],
            &[("runbook", "<none>")],
            Status::Resolved,
        ),
    ]
}

pub(in crate::notify) fn message(alerts: Vec<MessageAlert>) -> Message {
    let group = Labels::from_pairs([("alertname", "Down")]);
    let mut message = Message::new("team/slack x", "{}:{alertname=\"Down\"}", &group, alerts);
    message.reason = Some(NotifyReason::First);
    message
}

pub(in crate::notify) fn templates(dialect: Dialect) -> Templates {
    Templates::new(dialect, &[], "http://am:9093/", "1.2.3").expect("the defaults are templates")
}

#[test]
fn alertmanagers_defaults() {
    let templates = templates(Dialect::Alertmanager);
    let both = message(alerts());
    let resolved = message(alerts().split_off(1));
    let render = |text: &str, message: &Message| templates.render(text, message, NOW).expect(text);
    let list = "Labels:\n - alertname = Down\n - instance = a:80\n - job = api\n - severity = page\n\
                Annotations:\n - runbook = <none>\n - summary = api is down\n\
                Source: http://prom/graph?g0.expr=up&g0.tab=1\n";
    let gone = "Labels:\n - alertname = Down\n - instance = b:80\n - job = api\n - severity = page\n\
                Annotations:\n - runbook = <none>\nSource: http://prom/graph?g0.expr=up&g0.tab=1\n";
    let link = "http://am:9093/#/alerts?receiver=team%2Fslack+x";
    let cases = [
        ("__subject", "[FIRING:1] Down (api page)".to_owned(), "[RESOLVED] Down (b:80 api page)".to_owned()),
        ("slack.default.title", "[FIRING:1] Down (api page)".into(), "[RESOLVED] Down (b:80 api page)".into()),
        ("slack.default.username", "Alertmanager".into(), "Alertmanager".into()),
        ("slack.default.color", "danger".into(), "good".into()),
        ("slack.default.titlelink", link.into(), link.into()),
        (
            "slack.default.fallback",
            format!("[FIRING:1] Down (api page) | {link}"),
            format!("[RESOLVED] Down (b:80 api page) | {link}"),
        ),
        ("slack.default.text", String::new(), String::new()),
        (
            "opsgenie.default.description",
            format!("<none>\nAlerts Firing:\n{list}\nAlerts Resolved:\n{gone}"),
            format!("<none>\n\nAlerts Resolved:\n{gone}"),
        ),
        (
            "webex.default.message",
            format!("<none>\n\nAlerts Firing:\n{list}\n\n\nAlerts Resolved:\n{gone}\n\n"),
            format!("<none>\n\n\nAlerts Resolved:\n{gone}\n\n"),
        ),
        (
            "telegram.default.message",
            format!("\n\nAlerts Firing:\n{list}\n\n\nAlerts Resolved:\n{gone}\n\n"),
            format!("\n\n\nAlerts Resolved:\n{gone}\n\n"),
        ),
    ];
    for (name, firing, ended) in cases {
        let text = format!("{{{{ template {name:?} . }}}}");
        assert_eq!(render(&text, &both), firing, "{name}");
        assert_eq!(render(&text, &resolved), ended, "{name}");
    }
    assert_eq!(render("{{ template \"__subject\" . }}", &message(Vec::new())), "[RESOLVED] Down ");
    let markdown = render("{{ template \"msteamsv2.default.text\" . }}", &resolved);
    assert!(markdown.contains("\n# Alerts Resolved:\n\nLabels:\n  - alertname = Down\n"), "{markdown}");
}

#[test]
fn data_of_alertmanagers_templates() {
    let templates = templates(Dialect::Alertmanager);
    let mut both = message(alerts());
    both.route_labels = BTreeMap::from([("team".to_owned(), "ops".to_owned())]);
    let cases = [
        ("plain", "plain"),
        ("{{ .Receiver }} {{ .Status }} {{ .NotificationReason }}", "team/slack x firing first notification"),
        ("{{ len .Alerts.Firing }}{{ len .Alerts.Resolved }}", "11"),
        ("{{ (index .Alerts 0).StartsAt }}", "2024-01-01 00:00:00 +0000 UTC"),
        ("{{ (index .Alerts 0).EndsAt.IsZero }} {{ (index .Alerts 1).EndsAt }}", "true 2024-01-01 00:10:00 +0000 UTC"),
        ("{{ .RouteLabels.team }} {{ routeLabels \"team\" }} {{ routeLabels \"x\" }}|", "ops ops |"),
        ("{{ .CommonAnnotations.runbook }} {{ .CommonLabels.missing }}|", "<none> |"),
        ("{{ now | date \"15:04\" }}", "00:05"),
        ("{{ .ExternalURL }}", "http://am:9093"),
    ];
    for (text, want) in cases {
        assert_eq!(templates.render(text, &both, NOW).as_deref(), Ok(want), "{text}");
    }
    let html = templates.page(&both, NOW).html();
    assert_eq!(html.text("{{ .CommonAnnotations.runbook }}").as_deref(), Ok("&lt;none&gt;"));
    let error = templates.render("{{ .Nope }}", &both, NOW).expect_err("no such field");
    assert!(error.message.contains("can't evaluate field Nope in type *template.Data"), "{error}");
}

#[test]
fn files_replace_the_defaults() {
    let files = [("own.tmpl".to_owned(), "{{ define \"slack.default.title\" }}{{ .Status }}!{{ end }}".to_owned())];
    let templates = Templates::new(Dialect::Alertmanager, &files, "", "").expect("a template");
    let both = message(alerts());
    assert_eq!(templates.render("{{ template \"slack.default.title\" . }}", &both, NOW).as_deref(), Ok("firing!"));
    let bad = [("own.tmpl".to_owned(), "{{ define".to_owned())];
    assert!(Templates::new(Dialect::Alertmanager, &bad, "", "").is_err());
}

#[test]
fn route_labels_refer_to_each_other_but_not_in_a_circle() {
    let templates = templates(Dialect::Alertmanager);
    let raw: BTreeMap<String, String> = [
        ("a", "{{ routeLabels \"b\" }}-{{ .GroupLabels.alertname }}"),
        ("b", "team"),
        ("c", "{{ routeLabels \"d\" }}"),
        ("d", "{{ routeLabels \"c\" }}"),
    ]
    .map(|(name, text)| (name.to_owned(), text.to_owned()))
    .into();
    let (rendered, failed) = templates.route_labels(&raw, &message(alerts()), NOW);
    let want = [("a", "team-Down"), ("b", "team")].map(|(name, text)| (name.to_owned(), text.to_owned()));
    assert_eq!(rendered, want.into());
    assert!(failed["c"].contains("route label cycle detected: c -> d -> c"), "{failed:?}");
    assert_eq!(failed.len(), 2);
}

pub(in crate::notify) fn grafana_alerts() -> Vec<MessageAlert> {
    let labels =
        [("__alert_rule_uid__", "uid1"), ("alertname", "Down"), ("grafana_folder", "Ops"), ("instance", "a b")];
    let annotations = [
        ("__dashboardUid__", "dash"),
        ("__orgId__", "1"),
        ("__panelId__", "7"),
        ("__values__", "{\"A\":1.5,\"B\":2}"),
        ("summary", "down"),
    ];
    vec![alert(&labels, &annotations, Status::Firing)]
}

#[test]
fn grafanas_defaults() {
    let templates = templates(Dialect::Grafana);
    let one = message(grafana_alerts());
    let want = "**Firing**\n\nValue: A=1.5, B=2\nLabels:\n - alertname = Down\n - grafana_folder = Ops\n\
        \u{20}- instance = a b\nAnnotations:\n - summary = down\n\
        Source: http://prom/graph?g0.expr=up&g0.tab=1&orgId=1\n\
        Silence: http://am:9093/alerting/silence/new?alertmanager=grafana&matcher=__alert_rule_uid__%3Duid1\
        &matcher=instance%3Da+b&orgId=1\n\
        Dashboard: http://am:9093/d/dash?from=1704063600000&orgId=1&to=1704067500000\n\
        Panel: http://am:9093/d/dash?from=1704063600000&orgId=1&to=1704067500000&viewPanel=7\n";
    assert_eq!(templates.render("{{ template \"default.message\" . }}", &one, NOW).as_deref(), Ok(want));
    let render = |text: &str| templates.render(text, &message(alerts()), NOW).expect(text);
    assert_eq!(render("{{ template \"default.title\" . }}"), "[FIRING:1, RESOLVED:1] Down (api page)");
    assert_eq!(render("{{ template \"slack.default.footer\" . }}"), "Grafana v1.2.3");
    let text = render("{{ template \"default.message\" . }}");
    assert!(text.starts_with("**Firing**\n\nValue: [no value]\nLabels:\n"), "{text}");
    assert!(text.contains("\n\n\n**Resolved**\n\nValue: [no value]\n"), "{text}");
    let payload = render("{{ template \"webhook.default.payload\" . }}");
    let payload: serde_json::Value = serde_json::from_str(&payload).expect("JSON");
    assert_eq!((&payload["state"], &payload["version"]), (&"alerting".into(), &"1".into()));
    assert_eq!(payload["alerts"][0]["labels"]["instance"], "a:80");
    assert_eq!(
        render("{{ (index .Alerts 0).Values.A }}{{ .AppVersion }}{{ .GroupKey }}"),
        "01.2.3{}:{alertname=\"Down\"}"
    );
}

#[test]
fn mails_of_both_escape_what_alerts_say() {
    for (dialect, name) in [(Dialect::Alertmanager, "email.default.html"), (Dialect::Grafana, "email.grafana.html")] {
        let templates = templates(dialect);
        let both = message(alerts());
        let html = templates.page(&both, NOW).html().text(&format!("{{{{ template {name:?} . }}}}")).expect("HTML");
        assert!(html.contains("&lt;none&gt;") && !html.contains("<none>"), "{html}");
        assert!(html.contains("instance = b:80") || html.contains("instance=b:80"), "{html}");
    }
}
