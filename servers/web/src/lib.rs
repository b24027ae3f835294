//! Foursight's web host: Titan demo application, node exporter, log and metrics agent, traffic generator.
