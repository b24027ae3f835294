//! What the measurements share: realistic data made of captured scrapes, and ways to read the machine's own figures.
//!
//! Captures are looked for in the folder that `FOURSIGHT_DATA` names, else in `../shared/data` beside the workspace; a bench that finds none
//! says so and measures nothing. Times are CPU times where not said otherwise: they bear comparison on a busy machine.
//!
//! Modules: [`fleet`] (a captured scrape as many hosts), [`logs`] (a seeded corpus of four kinds of logs with planted
//! needles), [`machine`] (CPU time, memory, bytes written of this process).

#![deny(missing_docs)]
#![allow(clippy::disallowed_methods, reason = "measuring time is what this package is for")]

pub mod fleet;
pub mod logs;
pub mod machine;
