//! The web host: everything that runs beside an application that is to be observed.
//!
//! - [`titan`]: a demo web shop with metrics, log files and faults to switch on.
//! - [`node`]: the host's metrics, with Node Exporter's names and flags.
//! - [`agent`]: collects logs and metrics and sends them on, configured in Alloy's language.
//! - [`traffic`]: load for Titan, in a rhythm.
//!
//! Each part is a module with a `run(config, shutdown)`; the binary `foursight-web` starts them by subcommand.

#![deny(missing_docs, unsafe_code)]
// Servers are where the wall clock is read; libraries get it as an argument.
#![allow(clippy::disallowed_methods)]

pub mod agent;
pub mod cli;
pub mod glob;
pub mod node;
pub mod titan;
pub mod traffic;

/// A part of the host could not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// What it was told cannot be done.
    #[error("{0}")]
    Config(String),
    /// An address could not be listened on.
    #[error(transparent)]
    Bind(#[from] kit::http::BindError),
    /// The web configuration file cannot be used.
    #[error(transparent)]
    WebConfig(#[from] kit::http::WebConfigError),
    /// A file or folder it needs could not be used.
    #[error("{}: {source}", file.display())]
    Io {
        /// The file.
        file: std::path::PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

/// The address of a listener, for the log.
pub(crate) fn shown_address(listener: &tokio::net::TcpListener) -> String {
    listener.local_addr().map_or_else(|error| error.to_string(), |address| address.to_string())
}
