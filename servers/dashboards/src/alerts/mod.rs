//! Alerting: rules are evaluated, their alerts routed, and messages sent.
//!
//! [`config`] has what files and API say, [`rules`] the rules as they run, [`evaluate`] their evaluation, [`notify`] the notifier
//! and what it keeps on disk, [`send`] and [`mail`] its messages' way out, [`enrich`] what our own Slack messages add,
//! [`history`] the changes of state, [`api`] the routes. How states change and who is told when is the crate `alerting`'s.
//!
//! Everything is driven by two loops in [`run`]; both only ask the clock and call something that takes the time as an argument
//! ([`Alerts::evaluate_due`], [`Alerts::notify_due`]), which tests call with times of their own.

pub(crate) mod api;
pub(crate) mod config;
mod enrich;
mod evaluate;
pub(crate) mod expressions;
mod history;
mod mail;
mod notify;
mod provision;
mod record;
mod rules;
mod send;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use alerting::grafana::{NotificationSettings, State};
use alerting::notify::{NotifierEvent, Outcome, Payload, Send};
use serde_json::{Value, json};

use self::config::{AlertingConfig, ConfigStore, Item, Provenance, RuleGroup};
use self::history::{History, Wanted};
use self::notify::{Compiled, NotifyHost};
use self::rules::Rules;
use self::send::Sender;
use crate::app::Shared;
use crate::error::ApiError;
use crate::interpolate::Env;
use crate::metrics::Metrics;
use crate::settings::Settings;
use crate::store::{StoreError, private_dir};

/// Longest sleep of the loops: the clock may be set.
const MAX_SLEEP_MS: i64 = 1000;

/// See the module.
pub(crate) struct Alerts {
    pub(crate) config: ConfigStore,
    notify: NotifyHost,
    rules: Rules,
    history: History,
    sender: Sender,
    /// One change of what is in force at a time.
    reloading: tokio::sync::Mutex<()>,
}

/// Settings of the rules that say themselves where their alerts go.
fn own_settings(config: &AlertingConfig) -> Vec<NotificationSettings> {
    config.rules().filter_map(|(_, rule)| rule.value.notification_settings.clone()).collect()
}

impl Alerts {
    /// Opens what is kept. The provisioning files are read for the notifier alone, which has to be restored with the
    /// configuration that it had; [`Alerts::reload`] takes the rest and says what is wrong.
    pub(crate) fn open(
        data: &Path,
        private: &Path,
        settings: &Settings,
        env: &Env,
        now_ms: i64,
    ) -> Result<Self, StoreError> {
        let dir = data.join("alerts");
        private_dir(&dir)?;
        let config = ConfigStore::open(private)?;
        let wanted = provision::read(&settings.paths.provisioning, env);
        let mut own: Vec<NotificationSettings> = own_settings(&config.own());
        let in_files = wanted.groups.iter().flat_map(|group| &group.rules);
        own.extend(in_files.filter_map(|(rule, _)| rule.notification_settings.clone()));
        config.set_files(wanted.config);
        let compiled = notify::compile(&config.get(), settings, &own);
        Ok(Self {
            notify: NotifyHost::open(&dir, compiled, settings, now_ms)?,
            rules: Rules::open(&dir, settings)?,
            history: History::open(&dir)?,
            config,
            sender: Sender::default(),
            reloading: tokio::sync::Mutex::default(),
        })
    }

    /// Reads the provisioning files again and puts everything in force. Returns what is wrong, which is also logged.
    pub(crate) async fn reload(&self, app: &Shared) -> Vec<String> {
        let settings = &app.settings;
        let wanted = provision::read(&settings.paths.provisioning, &app.env);
        let mut errors: Vec<String> = wanted.errors.iter().map(ToString::to_string).collect();
        let mut files = wanted.config.clone();
        for group in &wanted.groups {
            let folder = match app.folders.ensure(&group.folder, "", "", app.now_ms()).await {
                Ok(folder) => folder,
                Err(error) => {
                    errors.push(format!("rule group {:?}: folder {:?}: {error}", group.name, group.folder));
                    continue;
                }
            };
            let interval_ms = match group.interval_ms {
                0 => settings.alerting.default_interval_ms,
                ms => ms.max(settings.alerting.min_interval_ms),
            };
            let item = |(rule, _): &(alerting::grafana::GrafanaRule, String)| Item {
                value: rule.clone(),
                provenance: Provenance::File,
                updated_ms: 0,
            };
            let rules = group.rules.iter().map(item);
            match files.groups.iter_mut().find(|one| one.folder_uid == folder.uid && one.name == group.name) {
                Some(known) => known.rules.extend(rules),
                None => files.groups.push(RuleGroup {
                    folder_uid: folder.uid,
                    name: group.name.clone(),
                    interval_ms,
                    rules: rules.collect(),
                }),
            }
        }
        self.config.set_files(files);
        if let Err(error) = self.delete_wanted(&wanted).await {
            errors.push(format!("what files want deleted: {error}"));
        }
        for error in &errors {
            tracing::error!(component = "provisioning", "{error}");
        }
        errors.extend(self.put_in_force(app).await);
        errors
    }

    /// Takes away what the API made and files want gone.
    async fn delete_wanted(&self, wanted: &provision::Wanted) -> Result<(), ApiError> {
        let own = self.config.own();
        let nothing = wanted.deleted_rules.is_empty()
            && wanted.deleted_points.is_empty()
            && wanted.deleted_timings.is_empty()
            && wanted.deleted_templates.is_empty()
            && !(wanted.reset_policy && own.policy.is_some());
        if nothing {
            return Ok(());
        }
        self.config
            .change(|own| {
                for group in &mut own.groups {
                    group.rules.retain(|rule| !wanted.deleted_rules.contains(&rule.value.uid));
                }
                own.groups.retain(|group| !group.rules.is_empty());
                own.contact_points.retain(|point| !wanted.deleted_points.contains(&point.value.uid));
                own.mute_timings.retain(|timing| !wanted.deleted_timings.contains(&timing.value.name));
                own.templates.retain(|template| !wanted.deleted_templates.contains(&template.value.name));
                if wanted.reset_policy {
                    own.policy = None;
                }
                Ok(())
            })
            .await
    }

    /// Lets the configuration take effect. Returns what is wrong with it, which is also logged.
    pub(crate) async fn put_in_force(&self, app: &Shared) -> Vec<String> {
        let _turn = self.reloading.lock().await;
        let config = self.config.get();
        let now_ms = app.now_ms();
        let changes = self.rules.apply(&config, |uid| app.folders.full_path(uid), now_ms);
        let Compiled { config: compiled, renderer, errors } =
            notify::compile(&config, &app.settings, &own_settings(&config));
        if let Err(error) = self.notify.change(|notifier| notifier.reload(now_ms, compiled, renderer)).await {
            tracing::error!(component = "alerting", %error, "what is known of notifications could not be written down");
        }
        self.deliver(app, changes.alerts, changes.history).await;
        if !changes.forgotten.is_empty()
            && let Err(error) = self.rules.forget(&changes.forgotten).await
        {
            tracing::error!(component = "alerting", %error, "the state of a rule could not be written down");
        }
        let errors: Vec<String> = changes.errors.into_iter().chain(errors).collect();
        for error in &errors {
            tracing::error!(component = "alerting", "{error}");
        }
        errors
    }

    /// Evaluates the groups that are due, and returns when all are done.
    #[cfg(test)]
    pub(crate) async fn evaluate_due(&self, app: &Shared) {
        for (group, slot_ms) in self.rules.take_due(app.now_ms()) {
            evaluate::evaluate_group(app, &group, slot_ms).await;
        }
    }

    /// What the notifier wants sent now.
    pub(crate) async fn notify_due(&self, app: &Shared) -> Vec<Send> {
        match self.notify.tick(app.now_ms()).await {
            Ok((sends, events)) => {
                log_events(&events);
                sends
            }
            Err(error) => {
                // Without knowing what was sent nothing is sent: it would be sent again after a restart.
                tracing::error!(component = "alerting", %error, "nothing is sent: it could not be written down");
                Vec::new()
            }
        }
    }

    /// Sends one message and reports how it went.
    pub(crate) async fn carry_out(&self, app: &Shared, send: Send) {
        let start = std::time::Instant::now();
        let Send { id, integration, deadline_ms, payload, reason, alerts, attempt, .. } = send;
        let left = Duration::from_millis((deadline_ms - app.now_ms()).max(1000).unsigned_abs());
        let outcome = match payload {
            Payload::Rich(rich) => {
                let request = enrich::finish(app, &rich).await;
                self.sender.send(Payload::Http(vec![request]), left).await
            }
            payload => self.sender.send(payload, left).await,
        };
        let labels = [integration.integration.as_str(), "1"];
        app.metrics.notifications.with(&labels).inc();
        app.metrics.notification_duration.observe_duration(start.elapsed());
        let went_well = match &outcome {
            Outcome::Http(answers) => answers.iter().all(|answer| (200..300).contains(&answer.status)),
            Outcome::MailAccepted => true,
            _ => false,
        };
        if went_well {
            tracing::info!(component = "alerting", %integration, alerts, reason = reason.as_str(), attempt, "message sent");
        }
        match self.notify.report(app.now_ms(), id, &outcome).await {
            Ok(events) => {
                for event in &events {
                    if let NotifierEvent::Failed { integration, reason, .. } = event {
                        let labels = [integration.integration.as_str(), "1", reason.as_str()];
                        app.metrics.notifications_failed.with(&labels).inc();
                    }
                }
                log_events(&events);
            }
            Err(error) => tracing::error!(component = "alerting", %error, "a delivery could not be written down"),
        }
    }

    /// Writes everything down, at the end.
    pub(crate) async fn close(&self, app: &Shared) {
        if let Err(error) = self.rules.save_all().await {
            tracing::error!(component = "alerting", %error, "states of rules could not be written down");
        }
        self.notify.close(app.now_ms()).await;
    }

    pub(crate) fn set_gauges(&self, metrics: &Metrics) {
        let mut by_state: BTreeMap<&str, usize> = BTreeMap::new();
        let (mut active, mut paused) = (0, 0);
        for rule in self.rules.groups().iter().flat_map(|group| &group.rules) {
            *(if rule.rule.is_paused { &mut paused } else { &mut active }) += 1;
            rule.read(|state| {
                for instance in state.instances() {
                    *by_state.entry(state_name(instance.core.state)).or_default() += 1;
                }
            });
        }
        for name in ["normal", "pending", "alerting", "nodata", "error", "recovering"] {
            metrics.alerts.with(&[name]).set(by_state.get(name).copied().unwrap_or(0) as f64);
        }
        metrics.group_rules.with(&["1", "active"]).set(active as f64);
        metrics.group_rules.with(&["1", "paused"]).set(paused as f64);
        metrics.rules.set((active + paused) as f64);
    }

    pub(crate) fn rule_count(&self) -> usize {
        self.rules.groups().iter().map(|group| group.rules.len()).sum()
    }

    /// Ids of the rules in folders.
    pub(crate) fn rules_in_folders(&self, folders: &[String]) -> Vec<String> {
        let config = self.config.get();
        let inside = config.rules().filter(|(group, _)| folders.contains(&group.folder_uid));
        inside.map(|(_, rule)| rule.value.uid.clone()).collect()
    }

    /// Deletes rules.
    ///
    /// # Errors
    /// When a file has the last word on one of them.
    pub(crate) async fn delete_rules(&self, app: &Shared, uids: &[String]) -> Result<(), ApiError> {
        if uids.is_empty() {
            return Ok(());
        }
        let config = self.config.get();
        for (_, rule) in config.rules().filter(|(_, rule)| uids.contains(&rule.value.uid)) {
            rule.provenance.check_change()?;
        }
        self.config
            .change(|own| {
                for group in &mut own.groups {
                    group.rules.retain(|rule| !uids.contains(&rule.value.uid));
                }
                own.groups.retain(|group| !group.rules.is_empty());
                Ok(())
            })
            .await?;
        self.put_in_force(app).await;
        Ok(())
    }

    /// Changes of state as annotations of dashboards, newest first.
    pub(crate) fn annotations(
        &self,
        filter: &crate::annotations::Filter,
        rule_uid: Option<&str>,
        limit: usize,
    ) -> Vec<Value> {
        let wanted = Wanted {
            from_ms: filter.from_ms,
            to_ms: filter.to_ms,
            rule_uid,
            dashboard_uid: filter.dashboard_uid.as_deref(),
            panel_id: filter.panel_id,
            ..Wanted::default()
        };
        let to_json = |entry: history::Entry| {
            let event = &entry.event;
            let labels: Vec<String> =
                event.instance_labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let values: Vec<String> = event.values.iter().map(|(name, value)| format!("{name}={value}")).collect();
            json!({
                "id": 0, "alertId": 0, "alertName": event.rule_title,
                "newState": event.current, "prevState": event.previous,
                "dashboardUID": event.dashboard_uid, "panelId": event.panel_id,
                "time": entry.at_ms, "timeEnd": entry.at_ms, "created": entry.at_ms, "updated": entry.at_ms,
                "text": format!("{} {{{}}} - {}", event.rule_title, labels.join(", "), values.join(", ")),
                "tags": [], "userId": 0, "login": "", "email": "", "avatarUrl": "",
                "data": {"values": event.values, "ruleUID": event.rule_uid},
            })
        };
        self.history.find(&wanted, limit).into_iter().map(to_json).collect()
    }
}

/// A state in the metrics' words.
fn state_name(state: State) -> &'static str {
    match state {
        State::Normal => "normal",
        State::Pending => "pending",
        State::Alerting => "alerting",
        State::NoData => "nodata",
        State::Error => "error",
        State::Recovering => "recovering",
    }
}

fn log_events(events: &[NotifierEvent]) {
    for event in events {
        match event {
            NotifierEvent::Retrying { integration, group_key, attempt, error, .. } => {
                tracing::warn!(component = "alerting", %integration, group = group_key, attempt, error, "message not sent, tried again");
            }
            NotifierEvent::Failed { integration, group_key, attempts, error, .. } => {
                tracing::error!(component = "alerting", %integration, group = group_key, attempts, error, "message not sent, given up");
            }
            NotifierEvent::RouteLabel { group_key, label, error } => {
                tracing::warn!(component = "alerting", group = group_key, label, error, "label of a route left out");
            }
            other => tracing::info!(component = "alerting", event = ?other, "notifier"),
        }
    }
}

/// Evaluates and notifies until the shutdown.
pub(crate) async fn run(app: &Shared) {
    if !app.settings.alerting.execute {
        tracing::warn!(component = "alerting", "rules are not evaluated: [unified_alerting] execute_alerts is off");
    }
    tokio::join!(evaluate_loop(app), notify_loop(app));
}

async fn evaluate_loop(app: &Shared) {
    if !app.settings.alerting.execute {
        return;
    }
    loop {
        let wait_ms = (app.alerts.rules.next_due_ms().saturating_sub(app.now_ms())).clamp(10, MAX_SLEEP_MS);
        if !app.shutdown.sleep(Duration::from_millis(wait_ms.unsigned_abs())).await {
            return;
        }
        for (group, slot_ms) in app.alerts.rules.take_due(app.now_ms()) {
            let app = app.clone();
            let shutdown = app.shutdown.clone();
            shutdown.spawn("rule group", async move { evaluate::evaluate_group(&app, &group, slot_ms).await });
        }
    }
}

async fn notify_loop(app: &Shared) {
    loop {
        let wait_ms = (app.alerts.notify.next_wakeup().saturating_sub(app.now_ms())).clamp(10, MAX_SLEEP_MS);
        if !app.shutdown.sleep(Duration::from_millis(wait_ms.unsigned_abs())).await {
            return;
        }
        if app.alerts.notify.next_wakeup() > app.now_ms() {
            continue;
        }
        for send in app.alerts.notify_due(app).await {
            let app = app.clone();
            let shutdown = app.shutdown.clone();
            shutdown.spawn("message", async move { app.alerts.carry_out(&app, send).await });
        }
    }
}
