//! Generators of realistic metrics and logs, and the programs that measure Foursight with them.
//!
//! Modules: [`logs`] (a seeded corpus of four kinds of logs with planted needles).

#![deny(missing_docs)]

pub mod logs;
