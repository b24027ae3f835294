//! Recording and alerting rules: groups from files, run by [`ruler`].
//!
//! [`mod@file`] reads them, [`backend`] evaluates and stores with this server's engine and store, [`Notifier`] takes alerts to the
//! Alertmanagers of the configuration.
//!
//! What alerts know (since when they are pending, when they were sent) is kept in a file beside the store, so that a restart
//! goes on where the server stopped; without that file `for` is restored from the series that were written.

pub mod backend;
pub mod file;
mod notifier;

use std::path::Path;
use std::sync::Arc;

use alerting::rules::{Group, RestoreOptions};
use kit::Shutdown;
use kit::metrics::Registry;
use parking_lot::Mutex;
use ruler::{Backend, Manager, RuleMetrics, Settings, Snapshots, StateFile};

pub use backend::StoreBackend;
pub use file::{GroupSettings, RuleOptions};
pub use notifier::Notifier;

/// File of what alerts know, in the data directory.
const STATE_FILE: &str = "rules-state.json";

/// The rules of the server.
pub struct Rules {
    /// Runs them.
    pub manager: Arc<Manager>,
    state: Arc<StateFile>,
    applying: Mutex<()>,
}

impl Rules {
    /// No groups; [`Rules::apply`] gives some.
    pub fn new(
        data_dir: &Path,
        restore: RestoreOptions,
        backend: Arc<dyn Backend>,
        registry: &Registry,
        stop: Shutdown,
    ) -> Arc<Self> {
        let remedy = Some("it is restored from the series they wrote");
        let state = Arc::new(StateFile::new(data_dir.join(STATE_FILE), "rules", remedy));
        let settings = Settings { component: "rules", tenant: None, restore: Some(restore), end_series: true };
        let metrics = RuleMetrics::new(registry, "prometheus", None);
        let manager = Manager::new(settings, backend, metrics, state.clone(), stop);
        Arc::new(Self { manager, state, applying: Mutex::default() })
    }

    /// Takes over groups, the first ones with what their alerts knew when the server stopped.
    pub fn apply(&self, mut groups: Vec<Group>) {
        let _one_at_a_time = self.applying.lock();
        groups.sort_by(|a, b| (&a.file, &a.name).cmp(&(&b.file, &b.name)));
        let kept = if self.manager.is_empty() { self.state.read() } else { Snapshots::new() };
        self.manager.apply(groups, kept);
    }

    /// Writes what alerts know when it has changed. Blocking.
    pub fn save(&self) {
        self.state.save(|| self.manager.snapshots());
    }
}
