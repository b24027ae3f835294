//! Everything of alerting that is not HTTP, a store or a clock: alert states from query results, groups of rules,
//! notifications that are grouped, inhibited, silenced, muted and sent once. As Prometheus 3.14, Alertmanager 0.34 and
//! Grafana 13 do it.
//!
//! Not a server, not a query engine: the host evaluates expressions ([`Evaluator`], [`grafana::expr::QuerySource`]), stores
//! samples ([`SampleSink`]), carries out sends ([`notify::Send`]) and says what time it is. The same calls give the same
//! results; a restart in between changes nothing.
//!
//! ```
//! use foursight_alerting::rules::{AlertState, Observation, Timing, step};
//!
//! let timing = Timing { for_ms: 60_000, keep_firing_for_ms: 0 };
//! let mut state = AlertState::Inactive;
//! let mut names = Vec::new();
//! for (now_ms, observation) in [
//!     (0, Observation::Present),
//!     (30_000, Observation::Present),
//!     (60_000, Observation::Present),
//!     (90_000, Observation::Absent),
//! ] {
//!     let (next, transitions) = step(state, now_ms, observation, &timing);
//!     assert_eq!(transitions.is_empty(), now_ms == 30_000);
//!     names.push(next.name());
//!     state = next;
//! }
//! assert_eq!(names, ["pending", "pending", "firing", "inactive"]);
//! ```
//!
//! Modules: [`rules`] (Prometheus' rule files, groups and alerts), [`grafana`] (Grafana's rules, expressions, states,
//! provisioning files), [`notify`] (the notifier: configuration, routing, silences, messages, Alertmanager's API as
//! queries), [`unit_test`] (promtool's unit tests of rules), [`text`] (times, durations, names as the peers write them).
//! `examples/synthetic_clock.rs` follows an alert from a rule to a message and back.
//!
//! Limits: times are `i64` milliseconds. Expressions of rules are nested at most 100 deep and have at most 1,000 parts;
//! routes are nested at most [`notify::config::MAX_ROUTE_DEPTH`] deep. Kinds of receivers that are read but not sent to
//! fail with an error that says so.
//!
//! References: Prometheus documentation, "Alerting rules"; Alertmanager documentation, "Configuration"; Grafana
//! documentation, "Alerting".

#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod evaluate;
pub mod grafana;
pub mod notify;
pub mod rules;
pub mod text;
pub mod unit_test;

pub use evaluate::{Evaluator, OutputSample, QueryError, Rejected, Sample, SampleSink, SampleValue};
