//! Groups across reloads: what did not change goes on, what changed keeps its alerts, what is gone ends its series.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use alerting::rules::{ForStateQuery, ForStateSeries, Group, GroupOptions, OutgoingAlert, RestoreOptions, RuleFile};
use alerting::{Evaluator, OutputSample, QueryError, Rejected, Sample, SampleValue};
use foursight_ruler::{Backend, GroupName, Manager, RuleMetrics, Session, Settings, Snapshots, StateFile};
use kit::Shutdown;
use kit::metrics::Registry;
use parking_lot::{Condvar, Mutex};

/// Every expression is 1; remembers what is written and sent.
#[derive(Default)]
struct World {
    written: Mutex<Vec<OutputSample>>,
    sent: Mutex<Vec<OutgoingAlert>>,
    refuses: AtomicBool,
    /// Evaluations do not end.
    hangs: Mutex<bool>,
    hangs_no_more: Condvar,
    since_ms: Option<i64>,
}

struct Shared<'a>(&'a World);

impl Evaluator for Shared<'_> {
    fn query(&self, _: &str, _: i64) -> Result<Vec<Sample>, QueryError> {
        self.0.hangs_no_more.wait_while(&mut self.0.hangs.lock(), |hangs| *hangs);
        Ok(vec![Sample::float([("job", "demo")].into_iter().collect(), 1.0)])
    }
}

impl Session for Shared<'_> {
    fn append(&self, samples: &[OutputSample]) -> Result<Vec<Rejected>, QueryError> {
        self.0.written.lock().extend_from_slice(samples);
        Ok(Vec::new())
    }

    fn for_state(&self, query: &ForStateQuery) -> Result<Vec<ForStateSeries>, QueryError> {
        let series = |since_ms: i64| ForStateSeries {
            labels: query
                .equal
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .chain([("job", "demo")])
                .collect(),
            last_ms: query.max_ms,
            value: since_ms as f64 / 1000.0,
        };
        Ok(self.0.since_ms.map(series).into_iter().collect())
    }
}

impl Backend for World {
    fn open<'a>(&'a self, _: GroupName<'a>) -> Result<Box<dyn Session + 'a>, QueryError> {
        if self.refuses.load(Ordering::Relaxed) { Err(QueryError::new("closed")) } else { Ok(Box::new(Shared(self))) }
    }

    fn send(&self, alerts: Vec<OutgoingAlert>) {
        self.sent.lock().extend(alerts);
    }
}

fn groups(yaml: &str, wait_for_restore: bool) -> Vec<Group> {
    let file: RuleFile = kit::yaml::parse(yaml).unwrap().deserialize().unwrap();
    let options = GroupOptions { interval_ms: 20, wait_for_restore, ..GroupOptions::default() };
    file.groups.iter().map(|group| Group::new("f", group, &options, &|expr| Ok(expr.into())).unwrap()).collect()
}

struct Setup {
    world: Arc<World>,
    registry: Registry,
    manager: Arc<Manager>,
    stop: Shutdown,
}

fn set_up(world: World, settings: Settings) -> Setup {
    let (world, registry, stop) = (Arc::new(world), Registry::new(), Shutdown::new());
    let metrics = RuleMetrics::new(&registry, "x", settings.tenant.as_ref().map(|_| "user"));
    let state = Arc::new(StateFile::new("unused".into(), "test", None));
    let manager = Manager::new(settings, world.clone(), metrics, state, stop.clone());
    Setup { world, registry, manager, stop }
}

/// Waits, for as long as a slow machine may need.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..6000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{what}: never");
}

#[tokio::test(flavor = "multi_thread")]
async fn reloads_keep_what_can_be_kept() {
    let settings = Settings { component: "test", tenant: Some("t".into()), end_series: true, ..Settings::default() };
    let Setup { world, registry, manager, stop } = set_up(World::default(), settings);
    let both = "groups:\n- {name: a, rules: [{alert: A, expr: x}]}\n- {name: b, rules: [{record: r, expr: x}]}\n";
    manager.apply(groups(both, false), Snapshots::new());
    until("an alert", || !manager.alerts().is_empty()).await;
    until("a sample", || world.written.lock().iter().any(|sample| sample.labels.value("__name__") == "r")).await;
    until("an alert is sent", || !world.sent.lock().is_empty()).await;
    let text = registry.render_text();
    assert!(text.contains("x_rule_group_rules{user=\"t\",rule_group=\"f;a\"} 1\n"), "{text}");
    assert!(text.contains("x_rule_evaluations_total{user=\"t\",rule_group=\"f;b\"} "), "{text}");
    let since = manager.alerts()[0].active_at.clone();

    let changed = "groups:\n- {name: a, rules: [{alert: A, expr: x}, {record: s, expr: x}]}\n";
    manager.apply(groups(changed, false), Snapshots::new());
    assert_eq!(manager.alerts()[0].active_at, since, "a changed group takes over the alerts");
    until("the new rule", || world.written.lock().iter().any(|sample| sample.labels.value("__name__") == "s")).await;
    until("the end of the old one", || {
        world.written.lock().iter().any(|sample| {
            let SampleValue::Float(value) = sample.value else { return false };
            sample.labels.value("__name__") == "r" && value.to_bits() == model::STALE_NAN.to_bits()
        })
    })
    .await;
    assert!(!registry.render_text().contains("f;b"), "metrics of a group that is gone");

    let snapshots = manager.snapshots();
    assert_eq!(snapshots.keys().collect::<Vec<_>>(), ["f;a"]);
    manager.apply(Vec::new(), Snapshots::new());
    assert!(manager.is_empty() && manager.alerts().is_empty());
    manager.apply(groups(changed, false), snapshots);
    assert_eq!(manager.alerts()[0].active_at, since, "kept state goes on");
    stop.trigger();
    assert!(stop.join(std::time::Duration::from_secs(60)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn pending_alerts_are_restored_from_series() {
    let now_ms = kit::time::now_ms();
    let world = World { since_ms: Some(now_ms - 3_600_000), ..World::default() };
    let restore = Some(RestoreOptions { outage_tolerance_ms: 7_200_000, grace_period_ms: 0 });
    let Setup { manager, stop, .. } = set_up(world, Settings { component: "test", restore, ..Settings::default() });
    let slow = "groups:\n- {name: a, rules: [{alert: A, expr: x, for: 30m}]}\n";
    manager.apply(groups(slow, true), Snapshots::new());
    until("the alert fires at once", || manager.alerts().iter().any(|alert| alert.state == "firing")).await;
    stop.trigger();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_refuses_is_asked_again() {
    let world = World { refuses: AtomicBool::new(true), ..World::default() };
    let Setup { world, registry, manager, stop } = set_up(world, Settings { component: "test", ..Settings::default() });
    manager.apply(groups("groups:\n- {name: a, rules: [{alert: A, expr: x}]}\n", false), Snapshots::new());
    let iterations = |text: &str| text.contains("x_rule_group_iterations_total{rule_group=\"f;a\"} ");
    until("a slot", || iterations(&registry.render_text())).await;
    assert!(manager.alerts().is_empty());
    world.refuses.store(false, Ordering::Relaxed);
    until("the alert", || !manager.alerts().is_empty()).await;
    stop.trigger();
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_an_evaluation() {
    let Setup { world, registry, manager, stop } =
        set_up(World::default(), Settings { component: "test", ..Settings::default() });
    let rules = groups("groups:\n- {name: a, rules: [{alert: A, expr: x}]}\n", false);
    manager.apply(rules, Snapshots::new());
    until("the alert", || !manager.alerts().is_empty()).await;
    let iterations = |registry: &Registry| {
        let text = registry.render_text();
        let line = text.lines().find(|line| line.starts_with("x_rule_group_iterations_total{"));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).unwrap_or(0.0)
    };
    *world.hangs.lock() = true;
    let before = iterations(&registry);
    // An evaluation begins and cannot end; all that can be asked is answered meanwhile.
    until("an evaluation", || iterations(&registry) > before).await;
    assert_eq!(manager.alerts().len(), 1);
    assert_eq!(manager.data(true, |_, _| true, |_| true).groups.len(), 1);
    assert_eq!(manager.snapshots().len(), 1);
    assert!(registry.render_text().contains("x_rule_group_rules{rule_group=\"f;a\"} 1\n"));
    *world.hangs.lock() = false;
    world.hangs_no_more.notify_all();
    stop.trigger();
}
