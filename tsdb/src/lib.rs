//! Embedded time-series store: durable, compressed, queried by label matchers.

#![deny(missing_docs)]

mod codec;
