//! How many entries of a unit lie between moments, for all steps of a query at once.
//!
//! Moments at which a minute ends are answered from the counts per minute ([`Minutes`], decoded once for a selection); so
//! are those within a minute without entries. Only for others are the unit's timestamps decoded, once.

use std::ops::Range;
use std::sync::OnceLock;

use super::directory::{Directory, Pages};
use super::format::UnitInfo;
use super::rows::UnitReader;
use crate::codec::ints::BLOCK_ROWS;
use crate::error::Error;

const MINUTE_NS: i64 = 60_000_000_000;

/// Counts per minute of a segment: decoded block by block, each block once.
#[derive(Debug, Default)]
pub(crate) struct Minutes(OnceLock<Vec<OnceLock<Vec<u64>>>>);

impl Minutes {
    /// Replaces `out` by rows of the column.
    pub(super) fn get(
        &self,
        directory: &Directory,
        pages: &Pages,
        rows: Range<usize>,
        out: &mut Vec<u64>,
    ) -> Result<(), Error> {
        out.clear();
        let total = directory.minutes.ints.rows();
        if rows.end > total {
            return Err(pages.damaged(0, "minutes that are not there"));
        }
        let blocks = self.0.get_or_init(|| (0..total.div_ceil(BLOCK_ROWS)).map(|_| OnceLock::new()).collect());
        let mut at = rows.start;
        while at < rows.end {
            let number = at / BLOCK_ROWS;
            let start = number * BLOCK_ROWS;
            let end = (start + BLOCK_ROWS).min(total);
            let Some(kept) = blocks.get(number) else { break };
            let block = match kept.get() {
                Some(block) => block,
                None => {
                    let mut block = Vec::with_capacity(end - start);
                    directory.line_values(pages, &directory.minutes, start..end, &mut block)?;
                    kept.get_or_init(|| block)
                }
            };
            let until = end.min(rows.end);
            out.extend_from_slice(block.get(at - start..until - start).unwrap_or(&[]));
            at = until;
        }
        Ok(())
    }
}

/// Finds out how many entries of a unit are older than moments that come ascending.
struct Before<'a> {
    reader: &'a UnitReader<'a>,
    kept: &'a Minutes,
    /// Counts of the unit's minutes, once they are needed; empty where there are none.
    minutes: Option<Vec<u64>>,
    /// Minutes that were added up, and their sum.
    passed: usize,
    sum: u64,
    /// Entries that were found older the last time.
    older: usize,
}

impl Before<'_> {
    fn of(&mut self, moment: i64) -> Result<u64, Error> {
        let info = self.reader.info();
        if moment <= info.min_ns {
            return Ok(0);
        }
        if moment > info.max_ns {
            return Ok(u64::from(info.entries));
        }
        let minutes = match &self.minutes {
            Some(minutes) => minutes,
            None => {
                let mut minutes = Vec::new();
                if info.has_minutes {
                    self.reader.minutes(self.kept, &mut minutes)?;
                }
                self.minutes.insert(minutes)
            }
        };
        if !minutes.is_empty() {
            // The moment lies in this minute, or the minute begins with it.
            let minute = UnitInfo::minute(moment).wrapping_sub(UnitInfo::minute(info.min_ns)) as usize;
            while self.passed < minute {
                self.sum += minutes.get(self.passed).copied().unwrap_or(0);
                self.passed += 1;
            }
            let begins = moment.wrapping_sub(1).rem_euclid(MINUTE_NS) == 0;
            if begins || minutes.get(minute) == Some(&0) {
                return Ok(self.sum);
            }
        }
        let timestamps = self.reader.timestamps()?;
        self.older += timestamps.get(self.older..).unwrap_or(&[]).partition_point(|t| *t < moment);
        Ok(self.older as u64)
    }
}

impl UnitReader<'_> {
    /// Replaces `out` by the number of entries between each two neighbours of `edges_ns` (ascending): from the first,
    /// inclusive, to the second, exclusive, and none outside of `[start_ns, end_ns)`.
    pub(super) fn counts(
        &self,
        edges_ns: &[i64],
        (start_ns, end_ns): (i64, i64),
        kept: &Minutes,
        out: &mut Vec<u64>,
    ) -> Result<(), Error> {
        out.clear();
        let mut before = Before { reader: self, kept, minutes: None, passed: 0, sum: 0, older: 0 };
        let mut last = None;
        for edge in edges_ns {
            let older = before.of((*edge).min(end_ns).max(start_ns))?;
            if let Some(last) = last {
                out.push(older.saturating_sub(last));
            }
            last = Some(older);
        }
        Ok(())
    }
}
