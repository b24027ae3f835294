//! Grafana-managed alert rules.
pub mod labels;
