//! Foursight's metrics server: scrapes targets, stores samples, answers PromQL and evaluates rules behind Prometheus' flags, files
//! and HTTP API.
//!
//! The server is a shell: [`config`] reads `prometheus.yml`, [`discovery`] and [`scrape`] bring samples, `tsdb` keeps
//! them, `promql` answers ([`queries`] says how many at once), [`api`] speaks HTTP. [`run`] wires and runs all of it until the shutdown.

#![deny(missing_docs)]
#![forbid(unsafe_code)]
// Servers are where the wall clock is read; libraries get it as an argument.
#![allow(clippy::disallowed_methods)]

pub mod api;
pub mod config;
pub mod discovery;
pub mod federate;
mod flags;
pub mod ingest;
pub mod notices;
pub mod otlp;
mod pages;
pub mod queries;
pub mod remote;
pub mod remote_read;
pub mod remote_send;
pub mod remote_source;
pub mod retention;
pub mod rules;
pub mod scrape;
mod server;
pub mod state;
mod store_metrics;
mod xor;

pub use flags::Flags;
pub use server::{Running, StartError, run, start};

/// Name of this machine.
pub fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
