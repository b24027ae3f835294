use serde_json::Value;

use super::*;
use crate::notify::message::tests::alert;
use crate::notify::template::tests::{NOW, alerts, grafana_alerts, message, templates};

fn body(message: &RichMessage, enrichments: &BTreeMap<String, Enrichment>) -> Value {
    serde_json::from_slice(&message.finish(enrichments).body).expect("JSON")
}

fn blocks(body: &Value) -> Vec<String> {
    let blocks = body["attachments"][0]["blocks"].as_array().expect("blocks");
    let text = |block: &Value| {
        let parts = [&block["text"]["text"], &block["elements"][0]["text"], &block["image_url"]];
        parts.into_iter().find_map(|part| part.as_str().map(str::to_owned)).expect("a text")
    };
    blocks.iter().map(text).collect()
}

#[test]
fn what_alerts_carry_themselves() {
    let mut rich = RichMessage::new(&message(alerts()), &templates(Dialect::Alertmanager), NOW);
    (rich.title, rich.title_link) = ("[FIRING:1] <Down>".to_owned(), "http://am/#/x?a=1&b=2".to_owned());
    let body = body(&rich, &BTreeMap::new());
    assert_eq!(body["text"], "[FIRING:1] <Down>");
    let filter = "%7Balertname%3D%22Down%22%2Cinstance%3D%22a%3A80%22%2Cjob%3D%22api%22%2Cseverity%3D%22page%22%7D";
    let source = "<http://prom/graph?g0.expr=up&amp;g0.tab=1|Source>";
    let want = [
        "*<http://am/#/x?a=1&amp;b=2|[FIRING:1] &lt;Down&gt;>*".to_owned(),
        ":red_circle: *Down*: api is down\nFiring for 5m0s".to_owned(),
        "`instance=a:80` `job=api` `severity=page`".to_owned(),
        format!("{source} · <http://am:9093/#/silences/new?filter={filter}|Silence>"),
        ":large_green_circle: *Down*\nResolved after 10m0s".to_owned(),
        "`instance=b:80` `job=api` `severity=page`".to_owned(),
        source.to_owned(),
    ];
    assert_eq!(blocks(&body), want);
}

#[test]
fn what_the_host_adds() {
    let rich = RichMessage::new(&message(alerts()), &templates(Dialect::Alertmanager), NOW);
    let firing = rich.alerts()[0].alert.fingerprint();
    let resolved = rich.alerts()[1].alert.fingerprint();
    let lines = (0..20).map(|i| format!("line {i} ```<x>{}", "y".repeat(500))).collect();
    let enrichments = BTreeMap::from([
        (
            firing,
            Enrichment {
                value: Some(0.97),
                unit: " %".to_owned(),
                log_lines: lines,
                dashboard_url: "http://d".to_owned(),
                panel_url: "http://p".to_owned(),
                explore_url: "http://e?a=1|2".to_owned(),
                image_url: "http://i.png".to_owned(),
            },
        ),
        (resolved, Enrichment { value: Some(12.0), ..Enrichment::default() }),
    ]);
    let body = body(&rich, &enrichments);
    let blocks = blocks(&body);
    assert!(blocks[1].contains("\nValue *0.97 %*\n"), "{}", blocks[1]);
    assert!(blocks[3].starts_with("```… 12 earlier lines\nline 12 '''&lt;x&gt;yyy") && blocks[3].ends_with("…```"));
    assert!(blocks[3].chars().count() <= 3000);
    assert_eq!(blocks[4], "http://i.png");
    assert!(blocks[5].starts_with("<http://d|Dashboard> · <http://p|Panel> · <http://e?a=1%7C2|Explore> · "));
    assert!(blocks[6].contains("\nReturned to *12*\n"), "{}", blocks[6]);
}

#[test]
fn limits_hold() {
    let many: Vec<_> = (0..30)
        .map(|i| {
            let labels: Vec<(String, String)> = (0..40).map(|j| (format!("l{j}"), "v&".repeat(200))).collect();
            let mut pairs: Vec<(&str, &str)> = labels.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            let name = format!("A{i}");
            pairs.push(("alertname", &name));
            alert(&pairs, &[("description", &"d<".repeat(4000))], Status::Firing)
        })
        .collect();
    let rich = RichMessage::new(&message(many), &templates(Dialect::Alertmanager), NOW);
    let lines = vec!["&".repeat(1000); 50];
    let enrichments = rich
        .alerts()
        .iter()
        .map(|one| (one.alert.fingerprint(), Enrichment { log_lines: lines.clone(), ..Enrichment::default() }))
        .collect();
    let body = body(&rich, &enrichments);
    let blocks = blocks(&body);
    assert!(blocks.len() <= 50 && blocks.iter().all(|block| block.chars().count() <= 3000));
    assert_eq!(blocks.last().map(String::as_str), Some("and 20 more"));
}

#[test]
fn grafanas_alerts_bring_values_and_links() {
    let rich = RichMessage::new(&message(grafana_alerts()), &templates(Dialect::Grafana), NOW);
    let blocks = blocks(&body(&rich, &BTreeMap::new()));
    assert!(blocks[1].contains("Value *A=1.5, B=2*"), "{}", blocks[1]);
    assert_eq!(blocks[2], "`grafana_folder=Ops` `instance=a b`");
    assert!(blocks[3].contains("|Dashboard>") && blocks[3].contains("alerting/silence/new"), "{}", blocks[3]);
}
