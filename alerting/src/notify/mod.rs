//! Alertmanager.
mod alert;
pub mod config;
pub mod contact_point;
mod inhibit;
mod log;
pub mod matcher;
pub mod routing;
mod silence;
pub mod time_interval;

pub use alert::{Alert, AlertError, AlertStore, PostableAlert};
pub use inhibit::Inhibitor;
pub use log::{IntegrationKey, LogEntry, NotificationLog, NotifyReason, alert_hash, why_notify};
pub use silence::{PostableSilence, Silence, SilenceError, SilenceLimits, SilenceState, Silences, uuid_v4};
