//! What Foursight's servers share: command lines, logging, self-metrics, HTTP serving and client, configuration,
//! relabelling, shutdown and files. Not a framework: each part works alone, and a server takes what it needs.
//!
//! ```
//! use foursight_kit::metrics::Registry;
//!
//! let registry = Registry::new();
//! let requests = registry.counter_vec("demo_requests_total", "Requests served.", &["code"]);
//! let ok = requests.with(&["200"]); // keep the handle: counting takes no lock
//! ok.inc();
//! assert!(registry.render_text().contains("demo_requests_total{code=\"200\"} 1\n"));
//! ```
//!
//! Modules: [`flags`] (Go-style command lines over clap), [`log`] (logfmt or JSON, repeated warnings limited),
//! [`metrics`] (registry, exposition, process metrics), [`http`] (serving: TLS, authentication, limits, compression),
//! [`client`] (requests to peers with Prometheus' client settings), [`yaml`] and [`config`] (YAML trees, secrets, durations, sizes, reload),
//! [`relabel`], [`shutdown`], [`files`] (lock, atomic write), [`time`].

#![deny(missing_docs)]
#![forbid(unsafe_code)]
// Servers are where the wall clock is read; libraries get it as an argument.
#![allow(clippy::disallowed_methods)]

pub mod client;
pub mod config;
pub mod files;
pub mod flags;
pub mod http;
pub mod log;
pub mod metrics;
pub mod percent;
pub mod relabel;
pub mod shutdown;
pub mod time;
pub mod yaml;

pub use shutdown::Shutdown;
