//! Runs Prometheus' rule groups for a server: what the metrics server does with PromQL and the log server with LogQL.
//!
//! Not a language, not a store, not a reader of files: a host builds [`alerting::rules::Group`]s from where it keeps its
//! rules and gives them to a [`Manager`]; what expressions are evaluated with, where samples go and who is told of
//! alerts is behind [`Backend`].
//!
//! ```
//! use std::sync::Arc;
//!
//! use alerting::rules::{Group, GroupOptions, OutgoingAlert, Rule, RuleGroup};
//! use alerting::{Evaluator, OutputSample, QueryError, Rejected, Sample};
//! use kit::{Shutdown, metrics::Registry};
//! use foursight_ruler::{Backend, GroupName, Manager, RuleMetrics, Session, Settings, Snapshots, StateFile};
//!
//! /// Every expression is 1, everywhere.
//! struct One;
//!
//! impl Evaluator for One {
//!     fn query(&self, _: &str, _: i64) -> Result<Vec<Sample>, QueryError> {
//!         Ok(vec![Sample::float([("job", "demo")].into_iter().collect(), 1.0)])
//!     }
//! }
//!
//! impl Session for One {
//!     fn append(&self, _: &[OutputSample]) -> Result<Vec<Rejected>, QueryError> {
//!         Ok(Vec::new())
//!     }
//! }
//!
//! impl Backend for One {
//!     fn open<'a>(&'a self, _: GroupName<'a>) -> Result<Box<dyn Session + 'a>, QueryError> {
//!         Ok(Box::new(One))
//!     }
//!
//!     fn send(&self, alerts: Vec<OutgoingAlert>) {
//!         println!("{alerts:?}");
//!     }
//! }
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! let registry = Registry::new();
//! let stop = Shutdown::new();
//! let metrics = RuleMetrics::new(&registry, "demo", None);
//! let kept = StateFile::new("rules-state.json".into(), "rules", None);
//! let settings = Settings { component: "rules", ..Settings::default() };
//! let manager = Manager::new(settings, Arc::new(One), metrics, Arc::new(kept), stop.clone());
//! let rule = Rule { alert: "Demo".into(), expr: "1".into(), ..Rule::default() };
//! let group = RuleGroup { name: "g".into(), rules: vec![rule], ..RuleGroup::default() };
//! let options = GroupOptions { interval_ms: 10, ..GroupOptions::default() };
//! manager.apply(vec![Group::new("f", &group, &options, &|expr| Ok(expr.into()))?], Snapshots::new());
//! while manager.alerts().is_empty() {
//!     tokio::task::yield_now().await;
//! }
//! assert_eq!(manager.alerts()[0].state, "firing");
//! stop.trigger();
//! # Ok::<(), String>(()) })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Modules: [`manager`] (groups, their tasks, reloads, the API's data), [`metrics`] (how rules do, under a host's names),
//! [`state`] (what alerts know, kept in a file), [`queue`] (alerts on their way to Alertmanagers), [`check`] (the places of
//! what is wrong with a rule file).
//!
//! Limits: evaluations run in the blocking pool, one at a time for each group; a queue keeps as many alerts as its host says.

#![deny(missing_docs)]
#![forbid(unsafe_code)]
// Servers are where the wall clock is read; libraries get it as an argument.
#![allow(clippy::disallowed_methods)]

pub mod check;
pub mod manager;
pub mod metrics;
pub mod queue;
pub mod state;

pub use manager::{Backend, GroupName, Manager, Session, Settings};
pub use metrics::RuleMetrics;
pub use queue::{AlertQueue, QueueSettings, Receivers};
pub use state::{Snapshots, StateFile};
