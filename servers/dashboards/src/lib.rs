//! Foursight's dashboards and alerting server: Grafana's dashboards, data sources, alert rules and notifications behind
//! Grafana's HTTP API, with a browser app of its own.
//!
//! ```no_run
//! # async fn demo() -> Result<(), foursight_dashboards::RunError> {
//! let options = foursight_dashboards::Options { data: Some("./data".into()), ..Default::default() };
//! foursight_dashboards::run(options, kit::Shutdown::new()).await
//! # }
//! ```
//!
//! A request passes `auth::guard` (who asks, what the route needs), a handler in `api` or `alerts::api`, and one of the
//! parts that keep things: `dashboards`, `datasources`, `annotations`, `personal`, `items`, each over a document or journal of
//! `store`. `ini` and `settings` read `grafana.ini`, `provisioning` the files beside it. `alerts` evaluates rules and sends
//! messages; the rules of that are the crate `alerting`'s. `assets` has the browser app's files.
//!
//! Absent on purpose: a database, plugins, more than one organisation, permissions of single dashboards, calls to other hosts
//! than those that are configured.

#![deny(missing_docs)]
#![forbid(unsafe_code)]
// Servers are where the wall clock is read; libraries get it as an argument.
#![allow(clippy::disallowed_methods)]

mod alerts;
mod annotations;
mod api;
mod app;
mod assets;
mod auth;
pub mod cli;
mod dashboards;
mod datasources;
mod error;
mod hosts;
mod ini;
mod interpolate;
mod items;
mod metrics;
mod options;
mod personal;
mod provisioning;
mod server;
mod settings;
mod store;
#[cfg(test)]
mod tests;
mod time_range;

pub use ini::IniError;
pub use interpolate::Env;
pub use options::{Clock, Flags, Options, TellPassword};
pub use server::{RunError, Running, Server, reset_admin_password, run, start};
pub use store::StoreError;

/// Version of the server.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The commit it was built from, when whoever built it said so.
pub(crate) const COMMIT: &str = match option_env!("FOURSIGHT_COMMIT") {
    Some(commit) => commit,
    None => "",
};
