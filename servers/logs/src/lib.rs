//! Foursight's log server: takes log lines over HTTP, stores them, answers LogQL, follows live and evaluates rules, behind
//! Loki's flags, configuration file and HTTP API.
//!
//! The server is a shell: [`config`] reads Loki's YAML, `ingest` turns pushes into batches, [`tenants`] keeps one `logstore`
//! for each tenant, `logql` answers ([`queries`] says how many at once), [`api`] speaks HTTP. [`run`] wires and runs all of
//! it until the shutdown.

#![deny(missing_docs)]
#![forbid(unsafe_code)]
// Servers are where the wall clock is read; libraries get it as an argument.
#![allow(clippy::disallowed_methods)]

pub mod api;
pub mod cli;
pub mod config;
mod deletes;
mod flags;
mod ingest;
mod maintenance;
pub mod queries;
pub mod rules;
mod server;
pub mod source;
pub mod state;
mod store_metrics;
mod tail;
pub mod tenants;

pub use flags::{FlagError, Flags};
pub use server::{Running, StartError, run, start};

/// Name of this machine.
pub fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Nanoseconds since the epoch, now.
pub(crate) fn now_ns() -> i64 {
    i64::try_from(kit::time::now_ns()).unwrap_or(i64::MAX)
}
