//! A host on a synthetic clock: it posts alerts, carries out sends, restarts.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::notify::config::{CompiledConfig, Config, ConfigOptions};
use crate::notify::log::IntegrationKey;
use crate::notify::matcher::{AlertMatcher, Matchers};
use crate::notify::notifier::{Notifier, NotifierOptions, Record, Snapshot};
use crate::notify::render::{NoSecretFiles, Renderer};
use crate::notify::request::{HttpResponse, Outcome, Payload, Send};
use crate::notify::silence::PostableSilence;
use crate::notify::template::{Dialect, Templates};
use crate::text::rfc3339;

/// A message that arrived.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Delivery {
    pub(crate) at_ms: i64,
    pub(crate) receiver: String,
    pub(crate) index: usize,
    pub(crate) group_key: String,
    pub(crate) reason: &'static str,
    pub(crate) firing: Vec<String>,
    pub(crate) resolved: Vec<String>,
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.at_ms / 1000, self.receiver, self.reason)?;
        self.firing.iter().try_for_each(|name| write!(f, " +{name}"))?;
        self.resolved.iter().try_for_each(|name| write!(f, " -{name}"))
    }
}

type Outcomes = Box<dyn Fn(u32) -> Outcome>;
type OutcomesBy = Box<dyn Fn(&IntegrationKey, u32) -> Outcome>;

pub(crate) struct Sim {
    pub(crate) notifier: Notifier,
    config: Value,
    pub(crate) now_ms: i64,
    pub(crate) deliveries: Vec<Delivery>,
    /// Time and number of every attempt.
    pub(crate) attempts: Vec<(i64, u32)>,
    pub(crate) outcomes: Outcomes,
    pub(crate) outcomes_by: Option<OutcomesBy>,
    /// Sends vanish.
    pub(crate) lose: bool,
    /// Sends are kept until `release`.
    pub(crate) hold: bool,
    pub(crate) held: Vec<Send>,
    /// The notifier is restarted after every single thing it does; sends are lost the first time.
    pub(crate) restless: bool,
    lost_once: bool,
    /// Alerts that are posted again every minute.
    repeated: BTreeMap<String, i64>,
    next_repeat_ms: i64,
    disk: (Snapshot, Vec<Record>),
    silence_count: usize,
}

/// A configuration of one webhook; `more` may have `route`, `webhook`, `second`, `inhibit` and `intervals`.
pub(crate) fn config(more: Value) -> Value {
    let mut webhook = json!({ "url": "http://hook" });
    merge(&mut webhook, &more["webhook"]);
    let mut webhooks = vec![webhook.clone()];
    if more["second"] == true {
        webhooks.push(webhook);
    }
    let mut route = json!({ "receiver": "hook", "group_wait": "30s", "group_interval": "5m", "repeat_interval": "4h" });
    merge(&mut route, &more["route"]);
    let list = |key: &str| if more[key].is_null() { json!([]) } else { more[key].clone() };
    json!({
        "route": route,
        "receivers": [{ "name": "hook", "webhook_configs": webhooks }],
        "inhibit_rules": list("inhibit"),
        "time_intervals": list("intervals"),
    })
}

fn merge(into: &mut Value, more: &Value) {
    for (key, value) in more.as_object().into_iter().flatten() {
        into[key] = value.clone();
    }
}

pub(crate) fn time(second: i64) -> String {
    rfc3339(second * 1000)
}

fn compile(config: &Value) -> CompiledConfig {
    let config: Config = serde_json::from_value(config.clone()).expect("a configuration");
    config.compile(ConfigOptions::default()).expect("a good configuration")
}

fn renderer() -> Renderer {
    let templates = Templates::new(Dialect::Alertmanager, &[], "http://am", "1").expect("templates");
    Renderer::new(Arc::new(templates), Arc::new(NoSecretFiles))
}

impl Sim {
    pub(crate) fn new(config: &Value) -> Self {
        Self::with(config, |_| {})
    }

    pub(crate) fn with(config: &Value, change: impl FnOnce(&mut NotifierOptions)) -> Self {
        let mut options = NotifierOptions::new(renderer());
        change(&mut options);
        let mut notifier = Notifier::new(compile(config), options, 0);
        let disk = (notifier.snapshot(0), Vec::new());
        Self {
            notifier,
            config: config.clone(),
            now_ms: 0,
            deliveries: Vec::new(),
            attempts: Vec::new(),
            outcomes: Box::new(|_| Outcome::Http(vec![HttpResponse::new(200, "")])),
            outcomes_by: None,
            lose: false,
            hold: false,
            held: Vec::new(),
            restless: false,
            lost_once: false,
            repeated: BTreeMap::new(),
            next_repeat_ms: 60_000,
            disk,
            silence_count: 0,
        }
    }

    pub(crate) fn compiled(&self) -> CompiledConfig {
        compile(&self.config)
    }

    /// Runs until a second.
    pub(crate) fn run_to(&mut self, second: i64) {
        let end_ms = second * 1000;
        loop {
            let next_ms = self.notifier.next_wakeup().max(self.now_ms);
            let next_repeat_ms = if self.repeated.is_empty() { i64::MAX } else { self.next_repeat_ms };
            if next_repeat_ms <= next_ms && next_repeat_ms <= end_ms {
                self.now_ms = next_repeat_ms;
                self.next_repeat_ms += 60_000;
                let names: Vec<(String, i64)> = self.repeated.clone().into_iter().collect();
                for (name, since_ms) in names {
                    self.post_firing(&name, since_ms);
                }
                continue;
            }
            if next_ms > end_ms {
                break;
            }
            self.now_ms = next_ms;
            let sends = self.notifier.tick(self.now_ms);
            self.persist();
            if self.restless && (sends.is_empty() || !self.lost_once) {
                self.lost_once = !sends.is_empty();
                self.restart();
                continue;
            }
            self.lost_once = false;
            for send in sends {
                self.attempts.push((self.now_ms, send.attempt));
                if self.hold {
                    self.held.push(send);
                } else if !self.lose {
                    self.carry_out(&send);
                }
            }
        }
        self.now_ms = end_ms;
    }

    fn carry_out(&mut self, send: &Send) {
        let outcome = match &self.outcomes_by {
            Some(outcomes) => outcomes(&send.integration, send.attempt),
            None => (self.outcomes)(send.attempt),
        };
        if matches!(&outcome, Outcome::Http(responses) if responses[0].status == 200) {
            self.deliveries.push(delivery(self.now_ms, send));
        }
        self.notifier.on_result(self.now_ms, send.id, &outcome);
        self.settle();
    }

    pub(crate) fn release(&mut self) {
        for send in std::mem::take(&mut self.held) {
            self.carry_out(&send);
        }
    }

    fn settle(&mut self) {
        self.persist();
        // With other sends on their way a restart would repeat them: that is the one window there is.
        if self.restless && self.notifier.in_flight().next().is_none() {
            self.restart();
        }
    }

    /// Writes down what changed, by way of JSON as a host would.
    fn persist(&mut self) {
        for record in self.notifier.take_records() {
            let line = serde_json::to_string(&record).expect("a record writes");
            self.disk.1.push(serde_json::from_str(&line).expect("a record reads"));
        }
    }

    /// Ends the notifier and starts it from what was written down.
    pub(crate) fn restart(&mut self) {
        self.persist();
        let text = serde_json::to_string(&self.disk.0).expect("a snapshot writes");
        let snapshot: Snapshot = serde_json::from_str(&text).expect("a snapshot reads");
        let options = self.notifier.options().clone();
        let restored = Notifier::restore(self.compiled(), options, Some(snapshot), self.disk.1.clone(), self.now_ms);
        self.notifier = restored.expect("restored");
        self.persist();
    }

    /// Has the notifier write a snapshot, which takes the place of the records so far.
    pub(crate) fn checkpoint(&mut self) {
        self.persist();
        self.disk = (self.notifier.snapshot(self.now_ms), Vec::new());
    }

    pub(crate) fn stop_for(&mut self, seconds: i64) {
        self.now_ms += seconds * 1000;
        self.restart();
    }

    pub(crate) fn reload(&mut self, config: &Value) {
        self.config = config.clone();
        self.notifier.reload(self.now_ms, compile(config), renderer());
        self.persist();
    }

    pub(crate) fn at(&mut self, second: i64) -> &mut Self {
        self.run_to(second);
        self
    }

    pub(crate) fn post(&mut self, alert: Value) {
        let alert = serde_json::from_value(alert).expect("an alert");
        let refused = self.notifier.put_alerts(self.now_ms, vec![alert]);
        assert_eq!(refused, []);
        self.settle();
    }

    fn post_firing(&mut self, name: &str, since_ms: i64) {
        let ends_at = rfc3339(self.now_ms + 240_000);
        self.post(json!({ "labels": { "alertname": name }, "startsAt": rfc3339(since_ms), "endsAt": ends_at }));
    }

    pub(crate) fn fire(&mut self, name: &str) -> &mut Self {
        self.post_firing(name, self.now_ms);
        self
    }

    /// Goes on posting an alert every minute.
    pub(crate) fn keep(&mut self, name: &str) -> &mut Self {
        let since_ms = self.now_ms;
        self.next_repeat_ms = (since_ms / 60_000 + 1) * 60_000;
        self.repeated.entry(name.to_owned()).or_insert(since_ms);
        self
    }

    /// Keeps everything that fires now, until a second.
    pub(crate) fn keep_until(&mut self, second: i64) {
        let names: Vec<String> = self.notifier.alerts().iter().map(|alert| alert.name().to_owned()).collect();
        for name in names {
            self.keep(&name);
        }
        self.run_to(second);
    }

    pub(crate) fn resolve(&mut self, name: &str) -> &mut Self {
        self.repeated.remove(name);
        let since_ms = self.notifier.alerts().iter().find(|alert| alert.name() == name).map(|a| a.starts_at_ms);
        if let Some(since_ms) = since_ms {
            let (starts_at, ends_at) = (rfc3339(since_ms), rfc3339(self.now_ms));
            self.post(json!({ "labels": { "alertname": name }, "startsAt": starts_at, "endsAt": ends_at }));
        }
        self
    }

    pub(crate) fn silence(&mut self, name: &str, from: i64, to: i64) {
        self.silence_count += 1;
        let id = format!("silence-{}", self.silence_count);
        let silence = PostableSilence {
            matchers: Matchers::in_order(vec![AlertMatcher::equal("alertname", name)]),
            starts_at_ms: Some(from * 1000),
            ends_at_ms: Some(to * 1000),
            ..PostableSilence::default()
        };
        self.notifier.set_silence(self.now_ms, silence, || id).expect("a silence");
        self.settle();
    }
}

fn delivery(at_ms: i64, send: &Send) -> Delivery {
    let Payload::Http(requests) = &send.payload else { panic!("a webhook sends HTTP") };
    let body: Value = serde_json::from_slice(&requests[0].body).expect("JSON");
    let names = |status: &str| {
        let alerts = body["alerts"].as_array().expect("alerts").iter().filter(|alert| alert["status"] == status);
        alerts.map(|alert| alert["labels"]["alertname"].as_str().expect("a name").to_owned()).collect()
    };
    Delivery {
        at_ms,
        receiver: send.integration.receiver.clone(),
        index: send.integration.index,
        group_key: send.group_key.clone(),
        reason: send.reason.as_str(),
        firing: names("firing"),
        resolved: names("resolved"),
    }
}
