//! Starting and stopping.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use kit::Shutdown;
use kit::files::DirLock;
use kit::http::{ServeOptions, bind, serve};
use tokio::net::TcpListener;

use crate::alerts::Alerts;
use crate::annotations::Annotations;
use crate::app::{App, Shared};
use crate::auth::Auth;
use crate::auth::token;
use crate::dashboards::Store;
use crate::dashboards::folders::Folders;
use crate::datasources::DataSources;
use crate::hosts::Hosts;
use crate::ini::IniError;
use crate::items::Items;
use crate::metrics::Metrics;
use crate::options::{Flags, Options};
use crate::personal::Personal;
use crate::settings::Settings;
use crate::store::{StoreError, private_dir};

/// The server could not start, or not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] IniError),
    /// The data folder cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another process has the data folder.
    #[error(transparent)]
    Lock(#[from] kit::files::LockError),
    /// An address could not be listened on.
    #[error(transparent)]
    Bind(#[from] kit::http::BindError),
    /// Certificates cannot be used.
    #[error(transparent)]
    WebConfig(#[from] kit::http::WebConfigError),
    /// Something else.
    #[error("{0}")]
    Other(String),
}

/// A server that is ready to serve.
pub struct Server {
    app: Shared,
    listeners: Vec<TcpListener>,
    web_config: Option<PathBuf>,
    _lock: DirLock,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("listeners", &self.listeners).finish_non_exhaustive()
    }
}

/// A server that runs in tasks of its own.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub addresses: Vec<SocketAddr>,
    /// How browsers reach it.
    pub url: String,
    serving: tokio::task::JoinHandle<Result<(), RunError>>,
}

impl Running {
    /// Waits for the shutdown and until everything is written down.
    pub async fn wait(self) {
        match self.serving.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(component = "server", %error, "serving ended badly"),
            Err(error) => tracing::error!(component = "server", %error, "serving ended badly"),
        }
    }
}

/// Starts a server from its flags: when this returns it listens and answers until the shutdown.
///
/// # Errors
/// When it cannot start; see [`RunError`].
pub async fn start(flags: Flags, stop: Shutdown) -> Result<Running, RunError> {
    let server = Server::open(flags.options(), stop).await?;
    let (addresses, url) = (server.addresses(), server.url().to_owned());
    Ok(Running { addresses, url, serving: tokio::spawn(server.serve()) })
}

/// Starts a server and serves until the shutdown.
///
/// # Errors
/// When it cannot start; see [`RunError`].
pub async fn run(options: Options, shutdown: Shutdown) -> Result<(), RunError> {
    Server::open(options, shutdown).await?.serve().await
}

impl Server {
    /// Reads configuration, data and provisioning files and binds the addresses; what is broken in provisioning files is
    /// logged and left out.
    ///
    /// # Errors
    /// See [`RunError`].
    pub async fn open(options: Options, shutdown: Shutdown) -> Result<Self, RunError> {
        let settings = Settings::load(&options)?;
        for warning in &settings.warnings {
            tracing::warn!(component = "config", "{warning}");
        }
        let lock = DirLock::acquire(&settings.paths.data)?;
        // Ports first: a second server should not even look at the data.
        let mut listeners = Vec::new();
        for address in &settings.server.listen {
            listeners.push(bind(address).await?);
        }
        let settings = with_bound_address(settings, &listeners);
        let web_config = web_config(&settings)?;
        let app = open_app(settings, &options, shutdown).await?;
        let first = app.auth.create_admin(&app.settings, app.now_ms()).await;
        if let Some((login, password)) = first.map_err(|error| RunError::Other(error.message))? {
            match &options.on_first_password {
                Some(tell) => tell(&login, &password),
                None => println!(
                    "Sign in as {login:?} with the password {password:?}. It is shown this once; change it in your profile."
                ),
            }
        }
        provision(&app).await;
        Ok(Self { app, listeners, web_config, _lock: lock })
    }

    /// Where it listens.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// How browsers reach it: `root_url`.
    pub fn url(&self) -> &str {
        &self.app.settings.server.root_url
    }

    #[cfg(test)]
    pub(crate) fn app(&self) -> &Shared {
        &self.app
    }

    /// The server as a router, for requests without a socket.
    pub fn router(&self) -> Router {
        crate::api::router(&self.app)
    }

    /// Serves until the shutdown, then writes what is still to be written.
    ///
    /// # Errors
    /// When certificates cannot be used.
    pub async fn serve(self) -> Result<(), RunError> {
        let Self { app, listeners, web_config, _lock } = self;
        for listener in &listeners {
            if let Ok(address) = listener.local_addr() {
                tracing::info!(component = "http", %address, url = app.settings.server.root_url, "listening");
            }
        }
        let watched = app.clone();
        app.shutdown.spawn("dashboard files", async move { watch_dashboards(&watched).await });
        let alerting = app.clone();
        app.shutdown.spawn("alerting", async move { crate::alerts::run(&alerting).await });
        let read_timeout = match app.settings.server.read_timeout_ms {
            ms if ms > 0 => Duration::from_millis(ms as u64),
            _ => ServeOptions::default().read_timeout,
        };
        let options = ServeOptions { web_config, read_timeout, ..ServeOptions::default() };
        let served = serve(listeners, crate::api::router(&app), options, app.shutdown.clone()).await;
        app.shutdown.trigger();
        app.shutdown.join(Duration::from_secs(20)).await;
        app.alerts.close(&app).await;
        tracing::info!(component = "server", "stopped");
        Ok(served?)
    }
}

/// With port 0 the URL is known only now.
fn with_bound_address(mut settings: Settings, listeners: &[TcpListener]) -> Settings {
    if !settings.server.root_url_given
        && let Some(address) = listeners.first().and_then(|listener| listener.local_addr().ok())
        && settings.server.listen.first().is_some_and(|given| given.ends_with(":0"))
    {
        let scheme = if settings.server.tls.is_some() { "https" } else { "http" };
        settings.server.root_url = format!("{scheme}://{address}/");
    }
    settings
}

/// Certificate and key in the form that the HTTP shell reads.
fn web_config(settings: &Settings) -> Result<Option<PathBuf>, StoreError> {
    let Some((cert, key)) = &settings.server.tls else { return Ok(None) };
    let file = settings.paths.data.join("web-tls.yml");
    let quoted = |path: &PathBuf| {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
        serde_json::Value::from(path.display().to_string()).to_string()
    };
    let text = format!("tls_server_config:\n  cert_file: {}\n  key_file: {}\n", quoted(cert), quoted(key));
    kit::files::write_atomic(&file, text.as_bytes()).map_err(|e| StoreError::io(&file, e))?;
    Ok(Some(file))
}

/// Opens everything that is kept below the data folder.
pub(crate) async fn open_app(settings: Settings, options: &Options, shutdown: Shutdown) -> Result<Shared, RunError> {
    let data = settings.paths.data.clone();
    private_dir(&data)?;
    let private = data.join("private");
    private_dir(&private)?;
    let app = App {
        env: options.env.clone(),
        clock: options.clock.clone(),
        started_ms: (options.clock)(),
        shutdown,
        metrics: Metrics::new(),
        auth: Auth::open(&private, &settings)?,
        folders: Folders::open(&data)?,
        dashboards: Store::open(&data.join("dashboards"), settings.dashboards.versions_to_keep)?,
        provisioner: crate::dashboards::provision::Provisioner::default(),
        datasources: DataSources::open(&private, settings.security.proxy_whitelist.clone())?,
        annotations: Annotations::open(&data, &settings.annotations)?,
        personal: Personal::open(&data)?,
        items: Items::open(&data)?,
        hosts: Hosts::new().map_err(|error| RunError::Other(error.to_string()))?,
        alerts: Alerts::open(&data, &private, &settings, &options.env, (options.clock)())?,
        settings,
    };
    Ok(Arc::new(app))
}

/// Takes what the provisioning files say. Errors are logged where they are found.
pub(crate) async fn provision(app: &Shared) {
    let mut errors = app.reload_datasources().await.len();
    errors += app.reload_dashboards().await.len();
    errors += app.alerts.reload(app).await.len();
    app.metrics.provisioning_errors.set(errors as f64);
}

async fn watch_dashboards(app: &Shared) {
    loop {
        let interval = Duration::from_secs(app.provisioner.interval_s());
        if !app.shutdown.sleep(interval).await {
            return;
        }
        app.provisioner.scan(&app.dashboards, &app.folders, app.now_ms()).await;
    }
}

/// Gives the first administrator a new random password and returns name and password. The server must not be running.
///
/// # Errors
/// When there is no administrator, or the data folder is in use.
pub async fn reset_admin_password(options: Options) -> Result<(String, String), RunError> {
    let settings = Settings::load(&options)?;
    let _lock = DirLock::acquire(&settings.paths.data)?;
    let now_ms = (options.clock)();
    let app = open_app(settings, &options, Shutdown::new()).await?;
    let other = |error: crate::error::ApiError| RunError::Other(error.message);
    let users = app.auth.users.get();
    let admin = users.users.iter().find(|user| user.server_admin);
    let admin = admin.ok_or_else(|| RunError::Other("there is no administrator yet: start the server once".into()))?;
    let password = token::random_password();
    let hash = app.auth.hash_password(&password).await.map_err(other)?;
    let (id, login) = (admin.id, admin.login.clone());
    app.auth
        .users
        .change(|file| {
            let user = file.user_mut(id)?;
            user.password = hash;
            user.disabled = false;
            user.updated_ms = now_ms;
            Ok(())
        })
        .await
        .map_err(other)?;
    app.auth.sessions.end(|session| session.user_id == id).await.map_err(other)?;
    Ok((login, password))
}
