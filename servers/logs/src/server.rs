//! Wires the parts and runs them: listen, open the stores of the tenants that are there, serve; at the end the other way round.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use kit::Shutdown;
use kit::files::{DirLock, LockError};
use kit::http::{HttpMetrics, ServeOptions};
use kit::metrics::Registry;
use kit::yaml::ConfigError;

use crate::api::router;
use crate::config::{self, Config, Overrides, TlsConfig};
use crate::flags::Flags;
use crate::ingest::PushMetrics;
use crate::maintenance;
use crate::queries::Queries;
use crate::rules::Ruler;
use crate::state::App;
use crate::tail::TailMetrics;
use crate::tenants::Tenants;

/// The server cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The data directory cannot be used.
    #[error("cannot use the data directory: {0}")]
    Directory(#[from] LockError),
    /// The address cannot be listened on.
    #[error(transparent)]
    Bind(#[from] kit::http::BindError),
    /// Something in the configuration cannot be put into force.
    #[error("{0}")]
    Other(String),
}

/// A server that runs.
pub struct Running {
    /// Where it listens.
    pub addresses: Vec<SocketAddr>,
    /// What its handlers see.
    pub app: Arc<App>,
    stop: Shutdown,
    work: Shutdown,
    serving: tokio::task::JoinHandle<()>,
    listener_stop: Shutdown,
    _lock: DirLock,
}

impl Running {
    /// Waits for the shutdown, then answers what was asked and closes the stores.
    pub async fn wait(self) {
        self.stop.triggered().await;
        tracing::info!(component = "main", "stopping");
        tokio::time::sleep(self.app.config.shutdown_delay).await;
        self.app.is_ready.store(false, Ordering::Release);
        self.listener_stop.trigger();
        self.work.join(Duration::from_secs(30)).await;
        self.stop.join(Duration::from_secs(30)).await;
        if let Err(e) = self.serving.await {
            tracing::error!(component = "main", error = %e, "serving ended badly");
        }
        let app = self.app.clone();
        let closed = tokio::task::spawn_blocking(move || {
            if app.flush_at_end.load(Ordering::Relaxed) {
                for tenant in app.tenants.opened() {
                    if let Err(e) = tenant.db.flush() {
                        tracing::error!(component = "store", tenant = tenant.id, error = %e, "writing out failed");
                    }
                }
            }
            app.ruler.close();
            app.tenants.close();
        });
        match closed.await {
            Ok(()) => tracing::info!(component = "main", "the stores are closed"),
            Err(e) => tracing::error!(component = "main", error = %e, "closing the stores failed"),
        }
    }
}

/// Checks what a configuration alone does not tell: the files it names.
///
/// # Errors
/// What is wrong with them.
pub(crate) fn verify(config: &Config) -> Result<(), StartError> {
    Overrides::load(&config.runtime.files, config)?;
    Ok(())
}

/// Starts a server and runs it until the shutdown.
///
/// # Errors
/// When it cannot start.
pub async fn run(flags: Flags, stop: Shutdown) -> Result<(), StartError> {
    start(flags, stop).await?.wait().await;
    Ok(())
}

/// Starts a server: when this returns it listens, and becomes ready once the stores of its tenants are open. The log is the
/// process' own; see [`crate::cli::server`] for a server that is a process.
///
/// # Errors
/// When the configuration is wrong, the data directory is in use or an address is taken.
pub async fn start(flags: Flags, stop: Shutdown) -> Result<Running, StartError> {
    let loaded = tokio::task::spawn_blocking(move || config::load(&flags.sources)).await;
    let config = loaded.map_err(|e| StartError::Other(e.to_string()))??;
    start_with(config, None, stop).await
}

/// As [`start`], with a configuration and the log that it may change.
pub(crate) async fn start_with(
    config: Config,
    log: Option<kit::log::Handle>,
    stop: Shutdown,
) -> Result<Running, StartError> {
    let config = Arc::new(config);
    if !config.without_effect.is_empty() {
        let keys = config.without_effect.join(", ");
        tracing::info!(
            component = "config",
            keys,
            "these keys are known and have no effect on a single server of ours"
        );
    }
    let (lock, overrides) = tokio::task::spawn_blocking({
        let config = config.clone();
        move || {
            let lock = DirLock::acquire(&config.storage.dir)?;
            let overrides = Overrides::load(&config.runtime.files, &config)?;
            Ok::<_, StartError>((lock, overrides))
        }
    })
    .await
    .map_err(|e| StartError::Other(e.to_string()))??;
    let server = &config.server;
    let address = match server.address.as_str() {
        address if address.contains(':') && !address.starts_with('[') => format!("[{address}]:{}", server.port),
        address => format!("{address}:{}", server.port),
    };
    let listener = kit::http::bind(&address).await?;
    let addresses: Vec<SocketAddr> = listener.local_addr().into_iter().collect();

    let registry = registry();
    let tenants = Arc::new(Tenants::new(config.clone(), overrides));
    crate::store_metrics::register(&registry, &tenants);
    let work = stop.child();
    let queries = Queries::new(config.query.clone(), &registry, work.clone());
    let ruler = Ruler::new(config.clone(), tenants.clone(), queries.clone(), &registry, work.clone())
        .map_err(|e| StartError::Other(format!("ruler: {e}")))?;
    let app = Arc::new(App {
        queries,
        ruler: ruler.clone(),
        push: PushMetrics::new(&registry),
        tail: TailMetrics::new(&registry),
        deletes_received: registry.counter_vec(
            "loki_compactor_delete_requests_received_total",
            "Number of delete requests received per user.",
            &["user"],
        ),
        tenants,
        log,
        stop: stop.clone(),
        started_ms: kit::time::now_ms(),
        is_ready: AtomicBool::new(false),
        inflight: AtomicU64::new(0),
        flush_at_end: AtomicBool::new(false),
        registry: registry.clone(),
        config: config.clone(),
    });
    let observe = HttpMetrics::loki_style(&registry, "loki_request_duration_seconds");
    let routes = router(app.clone(), &server.path_prefix, observe);
    let web_config = match &server.tls {
        Some(_) if server.web_config.is_some() => {
            let both = "server.http_tls_config and foursight.web_config_file exclude each other";
            return Err(StartError::Other(both.to_owned()));
        }
        Some(tls) => Some(tls_file(tls, &config.storage.dir)?),
        None => server.web_config.clone(),
    };
    let serve = ServeOptions {
        web_config,
        max_connections: server.max_connections,
        read_timeout: server.idle_timeout.max(Duration::from_secs(1)),
        drain: server.graceful_shutdown_timeout,
    };
    // The listener outlives the work: what is being answered is answered until the end.
    let listener_stop = Shutdown::new();
    let serving = tokio::spawn({
        let (stop, whole) = (listener_stop.clone(), stop.clone());
        async move {
            if let Err(e) = kit::http::serve(vec![listener], routes, serve, stop).await {
                tracing::error!(component = "server", error = %e, "serving failed: the server stops");
                whole.trigger();
            }
        }
    });
    for address in &addresses {
        let scheme = if server.tls.is_some() { "https" } else { "http" };
        tracing::info!(component = "server", address = %address, url = %format!("{scheme}://{address}"), "listening");
    }
    stop.spawn("start-up", start_up(app.clone(), work.clone()));
    ruler.start();
    stop.spawn("maintenance", maintenance::maintain_open(app.clone(), work.clone()));
    stop.spawn("idle maintenance", maintenance::maintain_closed(app.clone(), work.clone()));
    if !config.runtime.files.is_empty() {
        stop.spawn("overrides", watch_overrides(app.clone(), work.clone()));
    }
    Ok(Running { addresses, app, stop, work, serving, listener_stop, _lock: lock })
}

/// The TLS settings of the configuration as the web configuration file that the shared server reads.
fn tls_file(tls: &TlsConfig, dir: &Path) -> Result<PathBuf, StartError> {
    if !(tls.cert.is_empty() && tls.key.is_empty() && tls.client_ca.is_empty()) {
        let inline =
            "server.http_tls_config: certificates and keys are read from files (cert_file, key_file, client_ca_file)";
        return Err(StartError::Other(inline.to_owned()));
    }
    let full =
        |path: &str| std::path::absolute(path).map_or_else(|_| path.to_owned(), |path| path.display().to_string());
    let mut settings = serde_json::Map::new();
    let mut put = |name: &str, value: serde_json::Value| settings.insert(name.to_owned(), value);
    put("cert_file", full(&tls.cert_file).into());
    put("key_file", full(&tls.key_file).into());
    if !tls.client_ca_file.is_empty() {
        put("client_ca_file", full(&tls.client_ca_file).into());
    }
    for (name, value) in [("client_auth_type", &tls.client_auth_type), ("min_version", &tls.min_version)] {
        if !value.is_empty() {
            put(name, value.as_str().into());
        }
    }
    if !tls.cipher_suites.is_empty() {
        put("cipher_suites", tls.cipher_suites.clone().into());
    }
    let failed = |e: std::io::Error| StartError::Other(format!("server.http_tls_config: {e}"));
    let tree = crate::rules::node_of(&serde_json::json!({"tls_server_config": settings}));
    let text = kit::yaml::emit(&tree.map_err(|e| failed(std::io::Error::other(e)))?);
    let path = dir.join("web-config.yml");
    kit::files::write_atomic(&path, text.as_bytes()).map_err(failed)?;
    for file in [&tls.cert_file, &tls.key_file, &tls.client_ca_file].into_iter().filter(|file| !file.is_empty()) {
        // Before anything is served.
        std::fs::read(file).map_err(|e| StartError::Other(format!("server.http_tls_config: {file}: {e}")))?;
    }
    Ok(path)
}

fn registry() -> Registry {
    let registry = Registry::new();
    registry.process_metrics();
    registry.build_info(
        "loki",
        &[
            ("version", crate::api::PEER_VERSION),
            ("revision", concat!("foursight-", env!("CARGO_PKG_VERSION"))),
            ("branch", "HEAD"),
            ("goversion", ""),
            ("goos", "linux"),
            ("goarch", std::env::consts::ARCH),
            ("tags", ""),
        ],
    );
    registry
}

/// Opens the stores that are there, so that their first request does not wait for it.
async fn start_up(app: Arc<App>, work: Shutdown) {
    let begun = std::time::Instant::now();
    let worker = app.clone();
    let stored = tokio::task::spawn_blocking(move || worker.tenants.stored()).await.unwrap_or_default();
    for tenant in stored.iter().take(app.config.storage.max_tenants) {
        if work.is_triggered() {
            return;
        }
        if let Err(e) = app.tenants.open(tenant).await {
            // Other tenants go on; this one's requests say why they cannot be answered.
            tracing::error!(component = "store", tenant, error = %e, "the store of a tenant cannot be opened");
        }
    }
    app.is_ready.store(true, Ordering::Release);
    let took_ms = begun.elapsed().as_millis() as u64;
    tracing::info!(component = "main", tenants = stored.len(), took_ms, "the server is ready");
}

/// Reads the file of overrides again when its content has changed.
async fn watch_overrides(app: Arc<App>, work: Shutdown) {
    let period = app.config.runtime.period.max(Duration::from_millis(100));
    let read = |app: Arc<App>| {
        let text = app.config.runtime.files.iter().map(|file| std::fs::read(file).ok()).collect::<Vec<_>>();
        (text, Overrides::load(&app.config.runtime.files, &app.config))
    };
    let mut known = None;
    while work.sleep(period).await {
        let worker = app.clone();
        let Ok((text, overrides)) = tokio::task::spawn_blocking(move || read(worker)).await else { continue };
        if known.as_ref() == Some(&text) {
            continue;
        }
        let is_first = known.is_none();
        known = Some(text);
        match overrides {
            // What was read at the start is in force already, unless the file changed since.
            Ok(overrides) => {
                app.tenants.set_overrides(overrides);
                if !is_first {
                    tracing::info!(component = "config", "the overrides of tenants were read again");
                }
            }
            Err(e) => {
                tracing::error!(component = "config", error = %e, "the overrides were refused, the old ones stay in force");
            }
        }
    }
}
