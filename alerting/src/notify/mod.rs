//! From alerts to messages: everything that Alertmanager does, and Grafana's contact points.
//!
//! [`config`] is the configuration file and its compiled form; [`contact_point`] has Grafana's receivers. A [`Notifier`]
//! takes alerts and gives [`Send`]s at times it says itself: its routes ([`routing`]) put alerts into groups, inhibition,
//! [`time_interval`]s and [`Silences`] hold some back, the [`NotificationLog`] knows who was told what. A [`Renderer`] makes
//! the messages. [`api`] answers Alertmanager's API from a notifier.
//!
//! Called by servers, which carry out sends, keep snapshots and records, and serve the API.

mod alert;
pub mod api;
mod check;
pub mod config;
pub mod contact_point;
mod group;
mod inhibit;
mod log;
pub mod matcher;
mod message;
mod notifier;
mod render;
mod request;
mod retry;
mod rich;
pub mod routing;
mod silence;
mod template;
pub mod time_interval;

pub use alert::{Alert, AlertError, AlertStore, PostableAlert};
pub use check::{ConfigSummary, summarize};
pub use inhibit::Inhibitor;
pub use log::{IntegrationKey, LogEntry, NotificationLog, NotifyReason, alert_hash, why_notify};
pub use message::{Message, MessageAlert, Status};
pub use notifier::{
    IntegrationStats, Notifier, NotifierEvent, NotifierOptions, RECORD_VERSION, Record, RestoreError, Snapshot, Stats,
    Suppression,
};
pub use render::{NoSecretFiles, RenderError, Renderer, SecretFiles};
pub use request::{FailureReason, HttpRequest, HttpResponse, Mail, Outcome, Payload, Send, SendId};
pub use rich::{Enrichment, RichMessage};
pub use silence::{PostableSilence, Silence, SilenceError, SilenceLimits, SilenceState, Silences, uuid_v4};
pub(crate) use template::private as is_private_label;
pub use template::{Dialect, TemplateError, Templates};
