//! Scraping: targets are found, asked at their time, and what they say is stored.
//!
//! [`manager::ScrapeManager`] keeps a pool for each job; a pool turns discovered groups into targets ([`target`]) and keeps a task for
//! each ([`task`]). A task asks its target on schedule and hands the page to [`page`], which finds the series by the bytes of the
//! last page ([`cache`]) and appends. Only storing runs on the blocking pool; a slow target holds nobody up.
//!
//! Invariant: a series that was stored by a scrape and is missing in the next one (or the target failed, or is gone) gets a
//! staleness marker, unless the page gave its samples their own times.

pub mod cache;
pub mod manager;
pub mod metrics;
pub mod page;
pub mod target;
mod task;

pub use manager::ScrapeManager;
pub use target::{Health, Target};
