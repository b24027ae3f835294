//! Alertmanager.
pub mod config;
pub mod contact_point;
pub mod matcher;
pub mod routing;
pub mod time_interval;
