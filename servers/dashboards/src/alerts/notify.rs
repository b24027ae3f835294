//! The notifier at work: keeps what it knows on disk, makes its configuration, hands its messages to those who send them.
//!
//! Its records are appended to a journal before anything follows from them; when the journal has grown, everything is
//! written down anew as a snapshot with a number, and a journal of that number begins. A crash between the two leaves the
//! old pair or the new one, never a mixture.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use alerting::grafana::{NotificationSettings, notifier_config};
use alerting::notify::config::{CompiledConfig, ConfigOptions, Route};
use alerting::notify::contact_point::{ContactPoint, ContactPointOptions, GrafanaIntegration};
use alerting::notify::time_interval::NamedIntervals;
use alerting::notify::{
    Dialect, NoSecretFiles, Notifier, NotifierEvent, NotifierOptions, Outcome, Record, Renderer, Send, SendId,
    SilenceLimits, Snapshot, Templates,
};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::config::{AlertingConfig, DEFAULT_RECEIVER};
use crate::settings::Settings;
use crate::store::{Doc, Journal, StoreError};

/// Lines of the journal beyond which a snapshot is made.
const MAX_LINES: usize = 5000;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Stored {
    /// Number of the journal that goes on from here.
    number: u64,
    snapshot: Option<Snapshot>,
}

/// See the module.
pub(crate) struct NotifyHost {
    notifier: Mutex<Notifier>,
    dir: PathBuf,
    doc: Doc<Stored>,
    /// Records are written in the order in which they were made.
    journal: tokio::sync::Mutex<Journal>,
    /// Something changed: the next time to wake up may be earlier.
    pub(crate) changed: tokio::sync::Notify,
}

impl std::fmt::Debug for NotifyHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NotifyHost").field("dir", &self.dir).finish_non_exhaustive()
    }
}

fn journal_name(number: u64) -> String {
    format!("notifications-{number}")
}

impl NotifyHost {
    /// Opens `<data>/alerts` and restores the notifier with a configuration.
    pub(crate) fn open(dir: &Path, compiled: Compiled, settings: &Settings, now_ms: i64) -> Result<Self, StoreError> {
        let doc: Doc<Stored> = Doc::open_or_begin(dir, "notifier")?;
        let stored = doc.get();
        let (journal, records) = Journal::open::<Record>(dir, &journal_name(stored.number))?;
        let alerting = &settings.alerting;
        let mut options = NotifierOptions::new(compiled.renderer.clone());
        options.retention_ms = alerting.notification_retention_ms;
        options.silence_limits = SilenceLimits {
            retention_ms: alerting.notification_retention_ms,
            max_silences: alerting.max_silences,
            max_size_bytes: alerting.max_silence_bytes,
        };
        options.local_zone = jiff::tz::TimeZone::system();
        let restored =
            Notifier::restore(compiled.config.clone(), options.clone(), stored.snapshot.clone(), records, now_ms);
        let notifier = restored.unwrap_or_else(|error| {
            tracing::error!(component = "alerting", %error, "what was known of notifications cannot be used, begun anew");
            Notifier::new(compiled.config, options, now_ms)
        });
        Ok(Self {
            notifier: Mutex::new(notifier),
            dir: dir.to_owned(),
            doc,
            journal: tokio::sync::Mutex::new(journal),
            changed: tokio::sync::Notify::new(),
        })
    }

    /// Reads from the notifier.
    pub(crate) fn read<R>(&self, read: impl FnOnce(&Notifier) -> R) -> R {
        read(&self.notifier.lock())
    }

    /// Changes the notifier; what follows is on disk when this returns.
    ///
    /// # Errors
    /// When it could not be written. The change holds in memory, and is written with the next one.
    pub(crate) async fn change<R>(&self, change: impl FnOnce(&mut Notifier) -> R) -> Result<R, StoreError> {
        let mut journal = self.journal.lock().await;
        let (result, records) = {
            let mut notifier = self.notifier.lock();
            let result = change(&mut notifier);
            (result, notifier.take_records())
        };
        self.changed.notify_one();
        if let Err(error) = journal.append(&records).await {
            // Nothing may be lost: everything is written down as soon as that is possible.
            self.snapshot_into(&mut journal, None).await?;
            tracing::warn!(component = "alerting", %error, "journal of notifications was begun anew");
        }
        if journal.lines() > MAX_LINES {
            self.snapshot_into(&mut journal, None).await?;
        }
        Ok(result)
    }

    async fn snapshot_into(&self, journal: &mut Journal, now_ms: Option<i64>) -> Result<(), StoreError> {
        let old = self.doc.get().number;
        let number = old + 1;
        let (fresh, _) = Journal::open::<Record>(&self.dir, &journal_name(number))?;
        fresh.rewrite::<Record>(&[]).await?;
        let snapshot = {
            let mut notifier = self.notifier.lock();
            notifier.snapshot(now_ms.unwrap_or_else(kit::time::now_ms))
        };
        self.doc.set(Stored { number, snapshot: Some(snapshot) }).await?;
        *journal = fresh;
        // Left behind it would be ignored.
        let _ = std::fs::remove_file(self.dir.join(format!("{}.jsonl", journal_name(old))));
        Ok(())
    }

    /// Writes everything down, at the end.
    pub(crate) async fn close(&self, now_ms: i64) {
        let mut journal = self.journal.lock().await;
        if let Err(error) = self.snapshot_into(&mut journal, Some(now_ms)).await {
            tracing::error!(component = "alerting", %error, "cannot write down what is known of notifications");
        }
    }

    /// Does what is due.
    ///
    /// # Errors
    /// When it could not be written down. Then nothing is to be sent: it is not known what was sent before.
    pub(crate) async fn tick(&self, now_ms: i64) -> Result<(Vec<Send>, Vec<NotifierEvent>), StoreError> {
        self.change(|notifier| (notifier.tick(now_ms), notifier.take_events())).await
    }

    /// Reports how a send went.
    ///
    /// # Errors
    /// When it could not be written down.
    pub(crate) async fn report(
        &self,
        now_ms: i64,
        id: SendId,
        outcome: &Outcome,
    ) -> Result<Vec<NotifierEvent>, StoreError> {
        self.change(|notifier| {
            notifier.on_result(now_ms, id, outcome);
            notifier.take_events()
        })
        .await
    }

    pub(crate) fn next_wakeup(&self) -> i64 {
        self.notifier.lock().next_wakeup()
    }
}

/// A configuration for the notifier, and what was wrong with parts of it.
#[derive(Clone, Debug)]
pub(crate) struct Compiled {
    pub(crate) config: CompiledConfig,
    pub(crate) renderer: Renderer,
    pub(crate) errors: Vec<String>,
}

/// What contact points get from the server's settings.
pub(crate) fn contact_point_options(settings: &Settings) -> ContactPointOptions {
    use alerting::notify::config::secret::{HostPort, Secret};
    let smtp = settings.smtp.as_ref().map(|smtp| {
        let (host, port) = smtp.host.rsplit_once(':').unwrap_or((&smtp.host, "25"));
        alerting::notify::contact_point::SmtpSettings {
            smarthost: HostPort { host: host.to_owned(), port: port.to_owned() },
            from: format!("{} <{}>", smtp.from_name, smtp.from),
            hello: smtp.hello.clone(),
            username: smtp.user.clone(),
            password: Secret::new(smtp.password.reveal()),
            require_tls: smtp.starttls_policy == "MandatoryStartTLS",
            tls_config: smtp.skip_verify.then(|| alerting::notify::config::http::TlsConfig {
                insecure_skip_verify: true,
                ..Default::default()
            }),
        }
    });
    let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned();
    ContactPointOptions { smtp, hostname, rich_slack: true }
}

/// Makes the notifier's configuration. What is wrong is left out and named; alerts still go to the default receiver.
/// `own`: settings of the rules that say themselves where their alerts go.
pub(crate) fn compile(alerting: &AlertingConfig, settings: &Settings, own: &[NotificationSettings]) -> Compiled {
    let mut errors = Vec::new();
    let renderer = renderer(alerting, settings, &mut errors);
    let options = contact_point_options(settings);
    let mut points: Vec<ContactPoint> = Vec::new();
    for (name, integrations) in alerting.points_by_name() {
        let mut point = ContactPoint { org_id: 1, name: name.to_owned(), receivers: Vec::new() };
        for integration in integrations {
            match GrafanaIntegration::new(&integration.value, &options) {
                Ok(_) => point.receivers.push(integration.value.clone()),
                Err(error) => {
                    errors.push(format!("contact point {name:?}, integration {:?}: {error}", integration.value.uid));
                }
            }
        }
        points.push(point);
    }
    if !points.iter().any(|point| point.name == DEFAULT_RECEIVER) {
        points.push(ContactPoint { org_id: 1, name: DEFAULT_RECEIVER.to_owned(), receivers: Vec::new() });
    }
    let is_known = |name: &str| points.iter().any(|point| point.name == name);
    let mut usable: Vec<&NotificationSettings> = Vec::new();
    for one in own {
        if is_known(&one.receiver) {
            usable.push(one);
        } else {
            errors.push(format!("a rule wants its alerts sent to {:?}, which is no contact point", one.receiver));
        }
    }
    let timings: Vec<_> = alerting.mute_timings.iter().map(|timing| timing.value.clone()).collect();
    let make = |policy: &Route, timings: &[NamedIntervals], own: &[&NotificationSettings]| {
        notifier_config(policy, &points, timings, own.iter().copied(), &options, ConfigOptions::default())
    };
    let policy = alerting.policy().value;
    let receiver = if is_known(&policy.receiver) { policy.receiver.as_str() } else { DEFAULT_RECEIVER };
    let plain = Route {
        receiver: receiver.to_owned(),
        group_by: Some(vec!["grafana_folder".to_owned(), "alertname".to_owned()]),
        ..Route::default()
    };
    // The less of it can be used the simpler it gets, down to what cannot be wrong.
    let config = make(&policy, &timings, &usable)
        .or_else(|error| {
            errors.push(format!("notification policy: {error}"));
            make(&plain, &timings, &usable)
        })
        .or_else(|error| {
            errors.push(format!("notification settings of rules: {error}"));
            make(&plain, &timings, &[])
        })
        .or_else(|error| {
            errors.push(format!("mute timings: {error}"));
            make(&plain, &[], &[])
        });
    let config = match config {
        Ok(config) => config,
        Err(error) => unreachable!("a route to a receiver that is there, all of it checked before: {error}"),
    };
    errors.extend(config.warnings.iter().cloned());
    Compiled { config, renderer, errors }
}

/// Templates of messages; one that cannot be read is left out.
fn renderer(alerting: &AlertingConfig, settings: &Settings, errors: &mut Vec<String>) -> Renderer {
    let url = settings.server.root_url.trim_end_matches('/');
    let version = crate::VERSION;
    let mut files: Vec<(String, String)> = Vec::new();
    let make = |files: &[(String, String)]| Templates::new(Dialect::Grafana, files, url, version);
    for template in &alerting.templates {
        files.push((template.value.name.clone(), with_define(&template.value.name, &template.value.template)));
        if let Err(error) = make(&files) {
            errors.push(format!("template {:?}: {error}", template.value.name));
            files.pop();
        }
    }
    match make(&files) {
        Ok(templates) => Renderer::new(Arc::new(templates), Arc::new(NoSecretFiles)),
        Err(error) => unreachable!("these templates were read before: {error}"),
    }
}

/// A text without a definition defines the template of its name.
fn with_define(name: &str, text: &str) -> String {
    let defines = text.contains("{{define")
        || text.contains("{{ define")
        || text.contains("{{- define")
        || text.contains("{{-define");
    if defines { text.to_owned() } else { format!("{{{{ define \"{name}\" }}}}{text}{{{{ end }}}}") }
}

/// # Errors
/// What is wrong with the template.
pub(crate) fn check_template(name: &str, text: &str) -> Result<(), String> {
    let files = [(name.to_owned(), with_define(name, text))];
    Templates::new(Dialect::Grafana, &files, "http://localhost", crate::VERSION)
        .map(drop)
        .map_err(|error| error.to_string())
}
