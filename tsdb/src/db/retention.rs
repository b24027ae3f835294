//! What is kept for how long, and how much of it.
//!
//! Blocks go as a whole, oldest first ([`Db::maintain`]). Where classes of series have ages of their own, a block whose time
//! has come for some of its series is rewritten without them ([`Db::compact`]).

use disk::retention::{Part, Retention};
use disk::{IoContext, Space};
use model::Matcher;
use roaring::RoaringBitmap;

use super::maintain::Maintenance;
use super::open::WAL_DIR;
use crate::block::Block;
use crate::db::Db;
use crate::error::Error;

/// Series that are kept for another time than the rest.
#[derive(Clone, Debug, PartialEq)]
pub struct RetentionClass {
    /// Which series: those that satisfy all of them. A series belongs to the first class that takes it.
    pub matchers: Vec<Matcher>,
    /// A block is rewritten without them when its newest data is older than this, in ms.
    pub max_age_ms: i64,
}

/// Rules that hold at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    pub(super) retention: Retention,
    pub(super) classes: Vec<RetentionClass>,
}

impl Rules {
    /// Age at which a whole block goes: the longest of all; `None`: never.
    fn whole_age_ms(&self) -> Option<i64> {
        let longest = self.classes.iter().map(|class| class.max_age_ms).max();
        self.retention.max_age_ms.map(|age| longest.map_or(age, |longest| age.max(longest)))
    }

    /// How many of the ages a block has passed: it is looked at again when that changes.
    fn passed(&self, block: &Block, now_ms: i64) -> usize {
        let ages = self.classes.iter().map(|class| class.max_age_ms).chain(self.retention.max_age_ms);
        ages.filter(|age| block.meta().max_time < now_ms.saturating_sub(*age)).count()
    }

    /// The series of a block whose time has come.
    fn expired_series(&self, block: &Block, now_ms: i64) -> Result<RoaringBitmap, Error> {
        let is_over = |age: i64| block.meta().max_time < now_ms.saturating_sub(age);
        let mut expired = RoaringBitmap::new();
        let mut rest = block.select(&[])?;
        for class in &self.classes {
            let members = block.select(&class.matchers)? & &rest;
            rest -= &members;
            if is_over(class.max_age_ms) {
                expired |= members;
            }
        }
        if self.retention.max_age_ms.is_some_and(is_over) {
            expired |= rest;
        }
        Ok(expired)
    }
}

impl Db {
    /// Changes what is kept: as if the store had been opened with these [`crate::Options`].
    pub fn set_retention(&self, retention: Retention, classes: Vec<RetentionClass>) {
        *self.rules.write() = Rules { retention, classes };
    }

    /// Removes blocks that are too old or too many.
    pub(super) fn drop_expired(&self, now_ms: i64, report: &mut Maintenance) -> Result<(), Error> {
        let view = self.view();
        if view.blocks.is_empty() {
            return Ok(());
        }
        let rules = self.rules.read().clone();
        let retention = Retention { max_age_ms: rules.whole_age_ms(), ..rules.retention };
        let space = match retention.max_disk_percent {
            Some(_) => self.files.space(&self.dir).at("statvfs", &self.dir)?,
            None => Space { total: u64::MAX, available: u64::MAX },
        };
        let parts: Vec<Part> =
            view.blocks.iter().map(|block| Part { max_ms: block.meta().max_time, bytes: block.bytes() }).collect();
        let log_bytes = if retention.limit_bytes(space).is_some() { self.log_bytes()? } else { 0 };
        let expired = retention.expired(&parts, log_bytes, self.data_time(now_ms), space);
        if expired.is_empty() {
            return Ok(());
        }
        let gone: Vec<_> = expired.iter().filter_map(|&(at, _)| view.blocks.get(at).cloned()).collect();
        self.drop_blocks(&gone, None)?;
        report.removed.extend(gone.iter().map(|block| block.meta().clone()));
        Ok(())
    }

    /// The series of a block that a class of retention gives up, and how many ages it has passed; `None` when there is nothing to do, or
    /// `known` says that it was looked at.
    pub(super) fn expired_series(
        &self,
        block: &Block,
        now_ms: i64,
        known: impl FnOnce(usize) -> bool,
    ) -> Result<Option<(RoaringBitmap, usize)>, Error> {
        let rules = self.rules.read().clone();
        let now_ms = self.data_time(now_ms);
        let passed = rules.passed(block, now_ms);
        if rules.classes.is_empty() || passed == 0 || known(passed) {
            return Ok(None);
        }
        Ok(Some((rules.expired_series(block, now_ms)?, passed)))
    }

    /// The clock may run ahead, and a sample may lie in the future: the lesser of both counts.
    fn data_time(&self, now_ms: i64) -> i64 {
        let newest = self.view().blocks.iter().map(|block| block.meta().max_time).max().unwrap_or(i64::MIN);
        now_ms.min(newest.max(self.head.max_ms()))
    }

    fn log_bytes(&self) -> Result<u64, Error> {
        let dir = self.dir.join(WAL_DIR);
        Ok(disk::wal::list_segments(&*self.files, &dir)?.iter().map(|segment| segment.len).sum())
    }
}
