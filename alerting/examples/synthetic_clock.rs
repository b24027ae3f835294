//! Follows an alert through a day of work in no time: a rule is evaluated every minute against a temperature that rises and
//! falls, its alerts go through a notifier, and what would be posted is printed. The clock is a number.

use std::sync::Arc;

use foursight_alerting::notify::config::{Config, ConfigOptions};
use foursight_alerting::notify::{
    Dialect, HttpResponse, NoSecretFiles, Notifier, NotifierOptions, Outcome, Payload, Renderer, Templates,
};
use foursight_alerting::rules::{Group, GroupOptions, RuleFile, TemplateExpander};
use foursight_alerting::{Evaluator, OutputSample, QueryError, Rejected, Sample, SampleSink};
use model::Labels;

const RULES: &str = r#"{ "groups": [{ "name": "weather", "rules": [{
    "alert": "Hot", "expr": "temperature > 30", "for": "10m",
    "annotations": { "summary": "{{ $labels.room }} is at {{ $value }} degrees" }
}] }] }"#;

const CONFIG: &str = r#"{
    "route": { "receiver": "desk", "group_by": ["alertname"], "group_wait": "30s", "group_interval": "5m" },
    "receivers": [{ "name": "desk", "webhook_configs": [{
        "url": "http://desk.example.org",
        "payload": { "text": "{{ .Status }}: {{ range .Alerts }}{{ .Annotations.summary }}{{ end }}" }
    }] }]
}"#;

/// A query engine that knows one query: it is hottest at noon.
struct Thermometer;

impl Evaluator for Thermometer {
    fn query(&self, _expr: &str, at_ms: i64) -> Result<Vec<Sample>, QueryError> {
        let hour = at_ms as f64 / 3_600_000.0;
        let degrees = (34.0 - 2.0 * (hour - 12.0).abs()).round();
        let sample = Sample::float(Labels::from_pairs([("room", "attic")]), degrees);
        Ok(if degrees > 30.0 { vec![sample] } else { Vec::new() })
    }
}

/// A store that keeps nothing.
struct Nowhere;

impl SampleSink for Nowhere {
    fn append(&mut self, _samples: &[OutputSample]) -> Result<Vec<Rejected>, QueryError> {
        Ok(Vec::new())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file: RuleFile = serde_json::from_str(RULES)?;
    let mut group = Group::new("rules.json", &file.groups[0], &GroupOptions::default(), &|expr| Ok(expr.to_owned()))?;
    let config: Config = serde_json::from_str(CONFIG)?;
    let templates = Templates::new(Dialect::Alertmanager, &[], "http://alerts.example.org", "0.34.0")?;
    let renderer = Renderer::new(Arc::new(templates), Arc::new(NoSecretFiles));
    let mut notifier = Notifier::new(config.compile(ConfigOptions::default())?, NotifierOptions::new(renderer), 0);
    let expander = TemplateExpander::new();

    for minute in 0..24 * 60 {
        let now_ms = minute * 60_000;
        let clock = format!("{:02}:{:02}", minute / 60, minute % 60);
        let report = group.evaluate(now_ms, &Thermometer, &expander, &mut Nowhere, &|| 0);
        for (_, transition) in report.rules.iter().flat_map(|rule| &rule.transitions) {
            let (from, to) = (transition.from.name(), transition.to.name());
            // A resolved alert is remembered for a while before it is forgotten: inactive all the same.
            if from != to {
                println!("{clock} rule     {from} -> {to}");
            }
        }
        notifier.put_alerts(now_ms, report.alerts.into_iter().map(Into::into).collect());
        // A host would sleep until then.
        if notifier.next_wakeup() > now_ms {
            continue;
        }
        for send in notifier.tick(now_ms) {
            if let Payload::Http(requests) = &send.payload {
                let body = String::from_utf8_lossy(&requests[0].body);
                println!("{clock} notifier {} {body}", send.integration.receiver);
            }
            // The host posted it, and this was the answer.
            notifier.on_result(now_ms, send.id, &Outcome::Http(vec![HttpResponse::new(200, "")]));
        }
    }
    Ok(())
}
