//! Generators of realistic metrics and logs, and the programs that measure Foursight with them.
//!
//! Modules: [`logs`] (a seeded corpus of four kinds of logs with planted needles), [`fleet`] (captured scrapes of a node exporter replayed as
//! many hosts), [`machine`] (CPU time, memory and bytes of this process).

#![deny(missing_docs)]
#![allow(clippy::disallowed_methods, reason = "measuring time is what this package is for")]

pub mod fleet;
pub mod logs;
pub mod machine;
