//! How rules do, as a server tells it of itself: the families that Prometheus has, under the names of the host.

use std::sync::{Arc, Weak};

use kit::metrics::{Counter, Family, Gauge, LabelPair, MetricKind, Registry, Summary, Vector};
use parking_lot::Mutex;

use crate::manager::Manager;

const GROUP_LABEL: &str = "rule_group";
const QUANTILES: &[f64] = &[0.01, 0.05, 0.5, 0.9, 0.99];

/// `<prefix>_rule_*`; shared by all managers of a server.
pub struct RuleMetrics {
    prefix: String,
    tenant_label: Option<&'static str>,
    pub(crate) evaluations: Vector<Counter>,
    pub(crate) failures: Vector<Counter>,
    pub(crate) duration: Summary,
    pub(crate) iterations: Vector<Counter>,
    pub(crate) missed: Vector<Counter>,
    pub(crate) group_duration: Summary,
    pub(crate) samples: Vector<Gauge>,
    managers: Mutex<Vec<Weak<Manager>>>,
}

impl RuleMetrics {
    /// Registers them. Groups are told apart by `rule_group`, and by `tenant_label` before it where there is one.
    pub fn new(registry: &Registry, prefix: &str, tenant_label: Option<&'static str>) -> Arc<Self> {
        let labels: Vec<&'static str> = tenant_label.into_iter().chain([GROUP_LABEL]).collect();
        let name = |rest: &str| format!("{prefix}_rule_{rest}");
        let counter = |rest: &str, help| registry.counter_vec(name(rest), help, &labels);
        let metrics = Arc::new(Self {
            prefix: prefix.to_owned(),
            tenant_label,
            evaluations: counter("evaluations_total", "The total number of rule evaluations."),
            failures: counter("evaluation_failures_total", "The total number of rule evaluation failures."),
            duration: registry.summary(
                name("evaluation_duration_seconds"),
                "The duration for a rule to execute.",
                QUANTILES,
            ),
            iterations: counter(
                "group_iterations_total",
                "The total number of scheduled rule group evaluations, whether executed or missed.",
            ),
            missed: counter(
                "group_iterations_missed_total",
                "The total number of rule group evaluations missed due to slow rule group evaluation.",
            ),
            group_duration: registry.summary(
                name("group_duration_seconds"),
                "The duration of rule group evaluations.",
                QUANTILES,
            ),
            samples: registry.gauge_vec(
                name("group_last_evaluation_samples"),
                "The number of samples returned during the last rule group evaluation.",
                &labels,
            ),
            managers: Mutex::default(),
        });
        let all = metrics.clone();
        registry.collector(move |out| all.collect(out));
        metrics
    }

    /// Tells of the groups of a manager, as long as it lives.
    pub(crate) fn watch(&self, manager: &Arc<Manager>) {
        let mut managers = self.managers.lock();
        managers.retain(|known| known.strong_count() > 0);
        managers.push(Arc::downgrade(manager));
    }

    /// Forgets a group.
    pub(crate) fn forget(&self, labels: &[&str]) {
        for counter in [&self.evaluations, &self.failures, &self.iterations, &self.missed] {
            counter.remove(labels);
        }
        self.samples.remove(labels);
    }

    fn collect(&self, out: &mut Vec<Family>) {
        let gauge =
            |rest: &str, help| Family::new(format!("{}_rule_group_{rest}", self.prefix), help, MetricKind::Gauge);
        let mut interval = gauge("interval_seconds", "The interval of a rule group.");
        let mut rules = gauge("rules", "The number of rules.");
        let mut last =
            gauge("last_evaluation_timestamp_seconds", "The timestamp of the last rule group evaluation in seconds.");
        let mut duration = gauge("last_duration_seconds", "The duration of the last rule group evaluation.");
        let mut managers: Vec<Arc<Manager>> = self.managers.lock().iter().filter_map(Weak::upgrade).collect();
        managers.sort_by(|a, b| a.tenant().cmp(&b.tenant()));
        for manager in managers {
            let tenant = || manager.tenant().unwrap_or_default().to_owned();
            let prefix = || self.tenant_label.map(|label| -> LabelPair { (label.into(), tenant().into()) });
            manager.each_group(|key, group| {
                let labels = || prefix().into_iter().chain([(GROUP_LABEL.into(), key.to_owned().into())]).collect();
                interval.push(labels(), group.interval_ms as f64 / 1000.0);
                rules.push(labels(), group.rules().count() as f64);
                let (at, took) = group.last_evaluation();
                last.push(labels(), at.map_or(0.0, |ms| ms as f64 / 1000.0));
                duration.push(labels(), took as f64 / 1e9);
            });
        }
        out.extend([interval, rules, last, duration]);
    }
}
