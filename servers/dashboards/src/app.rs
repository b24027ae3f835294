//! The server's parts, put together; every handler gets this.

use std::sync::Arc;

use kit::Shutdown;

use crate::alerts::Alerts;
use crate::annotations::Annotations;
use crate::auth::Auth;
use crate::dashboards::Store;
use crate::dashboards::folders::Folders;
use crate::dashboards::provision::Provisioner;
use crate::datasources::DataSources;
use crate::hosts::Hosts;
use crate::interpolate::Env;
use crate::items::Items;
use crate::metrics::Metrics;
use crate::options::Clock;
use crate::personal::Personal;
use crate::settings::Settings;

/// See the module.
pub(crate) struct App {
    pub(crate) settings: Settings,
    pub(crate) env: Env,
    pub(crate) clock: Clock,
    pub(crate) started_ms: i64,
    pub(crate) shutdown: Shutdown,
    pub(crate) metrics: Metrics,
    pub(crate) auth: Auth,
    pub(crate) folders: Folders,
    pub(crate) dashboards: Store,
    pub(crate) provisioner: Provisioner,
    pub(crate) datasources: DataSources,
    pub(crate) annotations: Annotations,
    pub(crate) personal: Personal,
    pub(crate) items: Items,
    pub(crate) hosts: Hosts,
    pub(crate) alerts: Alerts,
}

impl App {
    pub(crate) fn now_ms(&self) -> i64 {
        (self.clock)()
    }

    /// A path of this server as a browser asks for it.
    pub(crate) fn path(&self, path: &str) -> String {
        format!("{}{path}", self.settings.server.sub_path)
    }

    /// A path of this server as somebody elsewhere reaches it, such as the reader of a message.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{}", self.settings.server.root_url, path.trim_start_matches('/'))
    }

    /// The header that sets a session's cookie.
    pub(crate) fn session_cookie(&self, value: &str, max_age_s: i64) -> String {
        let name = &self.settings.auth.cookie_name;
        let path = if self.settings.server.sub_path.is_empty() { "/" } else { &self.settings.server.sub_path };
        let mut cookie = format!("{name}={value}; Path={path}; Max-Age={max_age_s}; HttpOnly");
        if self.settings.security.cookie_secure || self.settings.server.tls.is_some() {
            cookie.push_str("; Secure");
        }
        if let Some(same_site) = self.settings.security.cookie_samesite {
            cookie.push_str("; SameSite=");
            cookie.push_str(same_site);
        }
        cookie
    }

    /// Reads the dashboards' provisioning files again and looks at the files they name.
    pub(crate) async fn reload_dashboards(&self) -> Vec<String> {
        let (providers, errors) =
            crate::dashboards::provision::read_providers(&self.settings.paths.provisioning, &self.env);
        let mut errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        for error in &errors {
            tracing::error!(component = "provisioning", "{error}");
        }
        self.provisioner.set_providers(providers);
        errors.extend(self.provisioner.scan(&self.dashboards, &self.folders, self.now_ms()).await.errors);
        errors
    }

    /// Reads the data sources' provisioning files again.
    pub(crate) async fn reload_datasources(&self) -> Vec<String> {
        let wanted = crate::datasources::provision::read(&self.settings.paths.provisioning, &self.env);
        let errors = self.datasources.apply(wanted, self.now_ms()).await;
        for error in &errors {
            tracing::error!(component = "provisioning", "{error}");
        }
        errors
    }
}

/// Handlers share it.
pub(crate) type Shared = Arc<App>;
