//! Foursight's metrics server: scraping, storage, PromQL and rules behind Prometheus' API.

pub mod config;
