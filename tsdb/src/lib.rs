//! Embedded time-series store: durable, compressed, queried by label matchers.
