//! Foursight's dashboards and alerting server: Grafana's dashboards, data sources, alert rules and notifications.
