//! What Foursight's servers share: HTTP serving and client, TLS, authentication, configuration, self-metrics, shutdown.

pub mod yaml;
