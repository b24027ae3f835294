//! The server's own metrics, under Grafana's names.

use std::sync::Arc;

use kit::http::RequestInfo;
use kit::metrics::{Counter, DEFAULT_BUCKETS, Gauge, Histogram, Registry, Vector};

/// Handles that the parts count with.
#[derive(Clone)]
pub(crate) struct Metrics {
    pub(crate) registry: Registry,
    requests: Vector<Histogram>,
    statuses: Vector<Counter>,
    pub(crate) datasource_requests: Vector<Counter>,
    pub(crate) logins: Counter,
    pub(crate) provisioning_errors: Gauge,
    pub(crate) alerts: Vector<Gauge>,
    pub(crate) evaluations: Vector<Counter>,
    pub(crate) evaluation_failures: Vector<Counter>,
    pub(crate) evaluation_duration: Histogram,
    pub(crate) group_rules: Vector<Gauge>,
    pub(crate) scheduler_behind: Gauge,
    pub(crate) notifications: Vector<Counter>,
    pub(crate) notifications_failed: Vector<Counter>,
    pub(crate) notification_duration: Histogram,
    pub(crate) dashboards: Gauge,
    pub(crate) active_users: Gauge,
    pub(crate) users: Gauge,
    pub(crate) datasources: Gauge,
    pub(crate) rules: Gauge,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let registry = Registry::new();
        registry.process_metrics();
        registry.build_info(
            "grafana",
            &[("branch", "main"), ("edition", "foursight"), ("revision", crate::COMMIT), ("version", crate::VERSION)],
        );
        let r = &registry;
        Self {
            requests: r.histogram_vec(
                "grafana_http_request_duration_seconds",
                "Time until an answer began, by route.",
                &DEFAULT_BUCKETS,
                &["handler", "method", "status_code"],
            ),
            statuses: r.counter_vec("grafana_api_response_status_total", "Answers of the API by status.", &["code"]),
            datasource_requests: r.counter_vec(
                "grafana_datasource_request_total",
                "Requests passed on to data sources, by type.",
                &["datasource_type"],
            ),
            logins: r.counter("grafana_api_login_post_total", "Times the login form was sent."),
            provisioning_errors: r
                .gauge("grafana_provisioning_errors", "Provisioned files and entries that cannot be used."),
            alerts: r.gauge_vec("grafana_alerting_alerts", "Instances of alert rules by state.", &["state"]),
            evaluations: r.counter_vec("grafana_alerting_rule_evaluations_total", "Evaluations of rules.", &["org"]),
            evaluation_failures: r.counter_vec(
                "grafana_alerting_rule_evaluation_failures_total",
                "Evaluations of rules that failed.",
                &["org"],
            ),
            evaluation_duration: r.histogram(
                "grafana_alerting_rule_evaluation_duration_seconds",
                "Time an evaluation of a rule took.",
                &[0.01, 0.1, 0.5, 1.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0],
            ),
            group_rules: r.gauge_vec(
                "grafana_alerting_rule_group_rules",
                "Rules by whether they are evaluated.",
                &["org", "state"],
            ),
            scheduler_behind: r
                .gauge("grafana_alerting_scheduler_behind_seconds", "How late the group that was evaluated last was."),
            notifications: r.counter_vec(
                "grafana_alerting_notifications_total",
                "Attempts to notify, by integration.",
                &["integration", "org"],
            ),
            notifications_failed: r.counter_vec(
                "grafana_alerting_notifications_failed_total",
                "Attempts to notify that failed, by integration and reason.",
                &["integration", "org", "reason"],
            ),
            notification_duration: r.histogram(
                "grafana_alerting_notification_latency_seconds",
                "Time an attempt to notify took.",
                &[1.0, 5.0, 10.0, 15.0, 20.0],
            ),
            dashboards: r.gauge("grafana_stat_totals_dashboard", "Dashboards."),
            active_users: r.gauge("grafana_stat_active_users", "Users that were here in the last 30 days."),
            users: r.gauge("grafana_stat_total_users", "Users."),
            datasources: r.gauge("grafana_stat_totals_datasource", "Data sources."),
            rules: r.gauge("grafana_stat_totals_alert_rules", "Alert rules."),
            registry,
        }
    }

    /// Counts a request: what [`kit::http::instrument`] calls.
    pub(crate) fn observe(self: &Arc<Self>) -> impl Fn(&RequestInfo<'_>) + Send + Sync + 'static {
        let metrics = self.clone();
        move |info| {
            let status = info.status.as_str();
            metrics.requests.with(&[info.route, info.method.as_str(), status]).observe_duration(info.duration);
            if info.route.starts_with("/api") {
                metrics.statuses.with(&[status]).inc();
            }
        }
    }
}
