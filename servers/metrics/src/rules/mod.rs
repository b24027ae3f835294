//! Recording and alerting rules: groups from files, each evaluated by its own task on its schedule.
//!
//! [`manager`] runs groups, [`mod@file`] reads them, [`backend`] evaluates and stores with this server's engine and store,
//! [`Notifier`] takes alerts to Alertmanagers.
//!
//! A reload keeps groups that did not change, and hands the alerts of changed ones over. What alerts know (since when they are
//! pending, when they were sent) is kept in a file beside the store, so that a restart goes on where the server stopped;
//! without that file `for` is restored from the series that were written.

pub mod backend;
pub mod file;
pub mod manager;
mod notifier;

pub use backend::StoreBackend;
pub use file::{GroupSettings, RuleOptions};
pub use manager::{AlertSender, Backend, GroupName, RuleManager, RuleSettings};
pub use notifier::Notifier;
