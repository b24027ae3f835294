//! From a rule to a message, with a restart in between: wherever the timeline is cut, nobody is told less, or twice.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use foursight_alerting::notify::config::{CompiledConfig, Config, ConfigOptions};
use foursight_alerting::notify::{
    Dialect, HttpResponse, NoSecretFiles, Notifier, NotifierOptions, Outcome, Payload, Record, Renderer, Snapshot,
    Templates,
};
use foursight_alerting::rules::{Group, GroupOptions, GroupSnapshot, RuleFile, TemplateExpander};
use foursight_alerting::{Evaluator, OutputSample, QueryError, Rejected, Sample, SampleSink};
use model::Labels;

const RULES: &str = r#"
groups:
- name: g
  rules:
  - alert: Down
    expr: down
    for: 2m
    keep_firing_for: 3m
  - alert: Slow
    expr: slow
"#;

const CONFIG: &str = r#"
route: { receiver: ops, group_by: [alertname], group_wait: 30s, group_interval: 2m, repeat_interval: 20m }
receivers:
- name: ops
  webhook_configs: [{ url: "http://ops" }]
inhibit_rules:
- { source_matchers: [alertname=Down], target_matchers: [alertname=Slow], equal: [host] }
"#;

/// Minutes in which the hosts are down and slow.
const DOWN: [(&str, &[(i64, i64)]); 2] = [("a", &[(3, 4), (6, 40)]), ("b", &[(8, 12), (20, 30)])];
const SLOW: [(&str, &[(i64, i64)]); 2] = [("a", &[(2, 50)]), ("c", &[(10, 11), (30, 45)])];
const END: i64 = 90;

struct World;

impl Evaluator for World {
    fn query(&self, expr: &str, at_ms: i64) -> Result<Vec<Sample>, QueryError> {
        let hosts = if expr == "down" { DOWN } else { SLOW };
        let holds = |spans: &[(i64, i64)]| spans.iter().any(|(from, to)| (*from..*to).contains(&(at_ms / 60_000)));
        let hosts = hosts.iter().filter(|(_, spans)| holds(spans));
        Ok(hosts.map(|(host, _)| Sample::float(Labels::from_pairs([("host", *host)]), 1.0)).collect())
    }
}

struct Nowhere;

impl SampleSink for Nowhere {
    fn append(&mut self, _samples: &[OutputSample]) -> Result<Vec<Rejected>, QueryError> {
        Ok(Vec::new())
    }
}

/// A host with everything it would keep on disk.
struct Host {
    group: Group,
    notifier: Notifier,
    expander: TemplateExpander,
    snapshot: Option<String>,
    records: Vec<String>,
    /// Minute, and what fires and what is resolved.
    delivered: Vec<(i64, BTreeSet<String>)>,
}

fn group(wait_for_restore: bool) -> Group {
    let file: RuleFile = serde_saphyr::from_str(RULES).expect("rules");
    let options = GroupOptions { wait_for_restore, ..GroupOptions::default() };
    Group::new("rules.yml", &file.groups[0], &options, &|expr| Ok(expr.to_owned())).expect("a group")
}

fn config() -> CompiledConfig {
    static CONFIG_READ: OnceLock<CompiledConfig> = OnceLock::new();
    let read = || {
        let config: Config = serde_saphyr::from_str(CONFIG).expect("a configuration");
        config.compile(ConfigOptions::default()).expect("a good configuration")
    };
    CONFIG_READ.get_or_init(read).clone()
}

fn options() -> NotifierOptions {
    static OPTIONS: OnceLock<NotifierOptions> = OnceLock::new();
    let make = || {
        let templates = Templates::new(Dialect::Alertmanager, &[], "http://am", "1").expect("templates");
        NotifierOptions::new(Renderer::new(Arc::new(templates), Arc::new(NoSecretFiles)))
    };
    OPTIONS.get_or_init(make).clone()
}

impl Host {
    fn new() -> Self {
        Self {
            group: group(false),
            notifier: Notifier::new(config(), options(), 0),
            expander: TemplateExpander::new(),
            snapshot: None,
            records: Vec::new(),
            delivered: Vec::new(),
        }
    }

    fn persist(&mut self) {
        let records = self.notifier.take_records();
        self.records.extend(records.iter().map(|record| serde_json::to_string(record).expect("a record writes")));
    }

    fn evaluate(&mut self, now_ms: i64) {
        let report = self.group.evaluate(now_ms, &World, &self.expander, &mut Nowhere, &|| 0);
        let refused = self.notifier.put_alerts(now_ms, report.alerts.into_iter().map(Into::into).collect());
        assert_eq!(refused, []);
        self.persist();
    }

    fn notify(&mut self, now_ms: i64) {
        let sends = self.notifier.tick(now_ms);
        self.persist();
        for send in sends {
            let Payload::Http(requests) = &send.payload else { panic!("a webhook") };
            let body: serde_json::Value = serde_json::from_slice(&requests[0].body).expect("JSON");
            let alert = |alert: &serde_json::Value| {
                let label = |name: &str| alert["labels"][name].as_str().unwrap_or_default().to_owned();
                let sign = if alert["status"] == "firing" { '+' } else { '-' };
                format!("{sign}{} {}", label("alertname"), label("host"))
            };
            let alerts = body["alerts"].as_array().expect("alerts").iter().map(alert).collect();
            self.delivered.push((now_ms / 60_000, alerts));
            self.notifier.on_result(now_ms, send.id, &Outcome::Http(vec![HttpResponse::new(200, "")]));
            self.persist();
        }
    }

    fn checkpoint(&mut self, now_ms: i64) {
        self.persist();
        self.snapshot = Some(serde_json::to_string(&self.notifier.snapshot(now_ms)).expect("a snapshot writes"));
        self.records.clear();
    }

    /// Everything ends and begins anew from what was written down.
    fn restart(&mut self, now_ms: i64) {
        let text = serde_json::to_string(&self.group.snapshot()).expect("a snapshot writes");
        self.group = group(true);
        self.group.restore(serde_json::from_str::<GroupSnapshot>(&text).expect("a snapshot reads"));
        let snapshot = self.snapshot.as_deref().map(|text| serde_json::from_str::<Snapshot>(text).expect("it reads"));
        let records: Vec<Record> =
            self.records.iter().map(|text| serde_json::from_str(text).expect("a record reads")).collect();
        self.notifier = Notifier::restore(config(), options(), snapshot, records, now_ms).expect("restored");
        self.persist();
    }
}

/// Steps of half a minute: rules on the minute, and the notifier whenever it is due. Before step `cut` there is a restart.
fn play(cut: Option<i64>, checkpoint: Option<i64>) -> Vec<(i64, BTreeSet<String>)> {
    let mut host = Host::new();
    for step in 0..END * 2 {
        let now_ms = step * 30_000;
        if checkpoint == Some(step) {
            host.checkpoint(now_ms);
        }
        if cut == Some(step) {
            host.restart(now_ms);
        }
        if step % 2 == 0 {
            host.evaluate(now_ms);
        }
        if cut == Some(-step) {
            host.restart(now_ms);
        }
        if host.notifier.next_wakeup() <= now_ms {
            host.notify(now_ms);
        }
    }
    host.delivered
}

#[test]
fn what_is_told_without_restarts() {
    let told = play(None, None);
    let texts: Vec<String> = told
        .iter()
        .map(|(minute, alerts)| format!("{minute}: {}", alerts.iter().cloned().collect::<Vec<_>>().join(" ")))
        .collect();
    let first = |alert: &str| texts.iter().find(|text| text.contains(alert)).cloned();
    // Slow hosts are told of at once, while nothing inhibits them; those that are down after two minutes.
    assert_eq!(first("+Slow a").as_deref(), Some("2: +Slow a"));
    assert!(first("+Down a").is_some_and(|text| text.starts_with("8: ")), "{texts:#?}");
    // What has ended is told of, kept firing or not.
    for alert in ["-Down a", "-Down b", "-Slow a", "-Slow c"] {
        assert!(first(alert).is_some(), "{alert}: {texts:#?}");
    }
    // Nothing fires at the end, and nothing more is said.
    assert!(told.last().is_some_and(|(minute, _)| *minute < END - 20), "{texts:#?}");
}

#[test]
fn a_restart_anywhere_changes_nothing() {
    let want = play(None, None);
    for step in 1..END * 2 {
        // Before the rules are evaluated or after, from records alone or from a snapshot with records.
        let cut = if step % 4 == 2 { -step } else { step };
        let checkpoint = (step % 3 == 0).then_some(step / 2);
        assert_eq!(play(Some(cut), checkpoint), want, "cut at {cut}, checkpoint at {checkpoint:?}");
    }
}
