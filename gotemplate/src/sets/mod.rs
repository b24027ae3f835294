//! The functions that each kind of template has besides Go's builtins, as tables.
//!
//! Each function here gives Go's builtins and more: [`loki`] for `line_format` and `label_format`, [`agent`] for the agent's
//! `template` stage, [`prometheus`] for labels and annotations of rules, [`alertmanager`] and [`grafana`] for messages,
//! [`grafana_rules`] for labels and annotations of dashboards' rules. What several of them have is written once, in the
//! modules by subject. Some functions only the host can answer ([`Host`](crate::Host)); they are marked so in the tables.

mod agent;
mod alertmanager;
mod args;
mod base64;
mod cast;
mod decimal;
mod grafana;
mod humanize;
mod json;
mod keccak;
mod loki;
mod math;
mod prometheus;
mod strings;
mod times;

use crate::function::Functions;

pub use alertmanager::{ALERTS, KV, PAIR, PAIRS, STRINGS, kv};
pub use prometheus::{QUERY_RESULT, SAMPLE, sample};

/// Functions of `line_format` and `label_format`. The host answers `__line__` (text) and `__timestamp__` (a time).
pub fn loki() -> Functions {
    Functions::builtins().with(math::MATH).with(times::DATES).with(loki::LINES)
}

/// Functions of the agent's `template` stage: the common part of sprig, and Promtail's own.
pub fn agent() -> Functions {
    Functions::builtins().with(math::MATH).with(times::DATES).with(loki::LINES).without_host().with(agent::STAGE)
}

/// Functions of labels and annotations of rules. The host answers `query` (a list of type [`QUERY_RESULT`] of
/// [`sample`]s), `externalURL` and `pathPrefix` (text).
pub fn prometheus() -> Functions {
    Functions::builtins().with(prometheus::RULES)
}

/// Functions of messages. The host answers `routeLabels` (text).
pub fn alertmanager() -> Functions {
    Functions::builtins().with(alertmanager::MESSAGES)
}

/// Functions of messages of the dashboards host: those of [`alertmanager`] and the namespaces `coll`, `data`, `tmpl`, `time`.
pub fn grafana() -> Functions {
    alertmanager().with(grafana::MESSAGES)
}

/// Functions of labels and annotations of the dashboards host's rules: those of [`prometheus`] and some on label sets.
pub fn grafana_rules() -> Functions {
    prometheus().with(grafana::RULES)
}
