//! Foursight's log server: push, storage, LogQL, tail and rules behind Loki's API.
#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods)]
pub mod config;
mod flags;
pub use flags::{FlagError, Flags};
