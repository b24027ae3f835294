//! Alertmanager.
mod alert;
pub mod config;
pub mod contact_point;
mod inhibit;
mod log;
pub mod matcher;
mod message;
mod render;
mod request;
mod retry;
mod rich;
pub mod routing;
mod silence;
mod template;
pub mod time_interval;

pub use alert::{Alert, AlertError, AlertStore, PostableAlert};
pub use inhibit::Inhibitor;
pub use log::{IntegrationKey, LogEntry, NotificationLog, NotifyReason, alert_hash, why_notify};
pub use message::{Message, MessageAlert, Status};
pub use render::{NoSecretFiles, RenderError, Renderer, SecretFiles};
pub use request::{FailureReason, HttpRequest, HttpResponse, Mail, Outcome, Payload, Send, SendId};
pub use rich::{Enrichment, RichMessage};
pub use silence::{PostableSilence, Silence, SilenceError, SilenceLimits, SilenceState, Silences, uuid_v4};
pub use template::{Dialect, TemplateError, Templates};
