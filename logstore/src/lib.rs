//! Embedded log store: durable, compressed, searched by label matchers and text.
