//! Titan: a demo web shop that behaves like a real one. It takes time, sometimes fails, says why in its logs, and exposes
//! the metrics a Flask application with the usual instrumentation would.
//!
//! [`shop`] is what it sells and how orders work, `handlers` the HTTP side, [`logfile`] its log files: `access.log`
//! (nginx's combined form and the request's time), `error.log` (JSON lines), `info.log` (logfmt). `/admin/fault` switches
//! trouble on for a while, which the traffic profiles do.

mod handlers;
pub mod logfile;
pub mod shop;

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use kit::Shutdown;
use kit::http::ServeOptions;

pub use handlers::{App, router};

use crate::RunError;
use logfile::LogFiles;

/// Settings of the shop.
#[derive(Clone, Debug, Parser)]
#[command(name = "titan", about = "Titan, a demo web shop to observe")]
pub struct TitanConfig {
    /// Where to listen.
    #[arg(long = "listen-address", default_value = "127.0.0.1:5000")]
    pub listen: String,
    /// Folder of the log files.
    #[arg(long = "log-dir", default_value = "data/titan/logs")]
    pub log_dir: PathBuf,
    /// A log file is rotated at this size in bytes.
    #[arg(long = "log-max-bytes", default_value_t = 16 << 20)]
    pub log_max_bytes: u64,
    /// Rotated files kept.
    #[arg(long = "log-keep", default_value_t = 3)]
    pub log_keep: u32,
    /// Seed of its luck; 0 takes another one each time.
    #[arg(long = "seed", default_value_t = 0)]
    pub seed: u64,
    /// Factor on all its delays; 0 makes it answer at once.
    #[arg(long = "delay-factor", default_value_t = 1.0)]
    pub delay_factor: f64,
    /// Web configuration file: TLS, authentication.
    #[arg(long = "web.config.file")]
    pub web_config: Option<PathBuf>,
}

impl Default for TitanConfig {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:5000".into(),
            log_dir: "data/titan/logs".into(),
            log_max_bytes: 16 << 20,
            log_keep: 3,
            seed: 0,
            delay_factor: 1.0,
            web_config: None,
        }
    }
}

/// Serves until the shutdown.
///
/// # Errors
/// When the address cannot be listened on or the log folder cannot be written.
pub async fn run(config: TitanConfig, shutdown: Shutdown) -> Result<(), RunError> {
    let (logs, writer) = LogFiles::open(&config.log_dir, config.log_max_bytes, config.log_keep)
        .map_err(|source| RunError::Io { file: config.log_dir.clone(), source })?;
    let listener = kit::http::bind(&config.listen).await?;
    tracing::info!(component = "titan", address = %crate::shown_address(&listener), logs = %config.log_dir.display(), "listening");
    let app = App::new(&config, logs);
    app.info("startup", &[("version", env!("CARGO_PKG_VERSION")), ("listen", &config.listen)]);
    let options = ServeOptions {
        web_config: config.web_config.clone(),
        read_timeout: Duration::from_secs(60),
        drain: Duration::from_secs(5),
        ..ServeOptions::default()
    };
    let heartbeat = tokio::spawn(app.clone().heartbeat(shutdown.clone()));
    let result = kit::http::serve(vec![listener], router(app.clone()), options, shutdown).await;
    // Serving may have ended without a shutdown, because the web configuration cannot be used.
    heartbeat.abort();
    let _ = heartbeat.await;
    app.info("shutdown", &[]);
    drop(app);
    // The writer ends when the last handle is gone; a request that was aborted may hold one a moment longer.
    let _ = tokio::time::timeout(Duration::from_secs(2), tokio::task::spawn_blocking(move || writer.join())).await;
    result.map_err(RunError::from)
}

#[cfg(test)]
mod tests;
