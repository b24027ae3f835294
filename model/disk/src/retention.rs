//! Which immutable parts (blocks, segments) of a store go when they are too old or take too much space.

use crate::files::Space;

/// Rules; each may be absent. All of them hold together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Retention {
    /// A part goes when its newest data is older than this, in ms.
    pub max_age_ms: Option<i64>,
    /// Oldest parts go until all parts together take at most this many bytes.
    pub max_bytes: Option<u64>,
    /// Oldest parts go until all parts together take at most this share of the file system, in percent.
    pub max_disk_percent: Option<f64>,
}

/// One immutable part of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Newest timestamp in it, in ms.
    pub max_ms: i64,
    /// Bytes on disk.
    pub bytes: u64,
}

/// Why a part has to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// [`Retention::max_age_ms`]
    Age,
    /// [`Retention::max_bytes`] or [`Retention::max_disk_percent`]
    Size,
}

impl Retention {
    /// Bytes that all parts may take together, `None` without a rule of size.
    pub fn limit_bytes(&self, space: Space) -> Option<u64> {
        let of_disk = self.max_disk_percent.map(|percent| (space.total as f64 * percent / 100.0).max(0.0) as u64);
        match (self.max_bytes, of_disk) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Indexes of the parts that have to go, and why. `other_bytes` is what the store takes beside its parts (its log):
    /// it counts towards the limits, but only parts are dropped.
    pub fn expired(&self, parts: &[Part], other_bytes: u64, now_ms: i64, space: Space) -> Vec<(usize, Reason)> {
        let mut expired = Vec::new();
        let mut order: Vec<usize> = (0..parts.len()).collect();
        order.sort_by_key(|&i| parts[i].max_ms);
        let limit = self.limit_bytes(space).unwrap_or(u64::MAX);
        let mut total = parts.iter().fold(other_bytes, |sum, part| sum.saturating_add(part.bytes));
        for index in order {
            let part = parts[index];
            let reason = if self.max_age_ms.is_some_and(|age| part.max_ms < now_ms.saturating_sub(age)) {
                Reason::Age
            } else if total > limit {
                Reason::Size
            } else {
                continue;
            };
            total = total.saturating_sub(part.bytes);
            expired.push((index, reason));
        }
        expired
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_parts_go_first_and_only_as_many_as_needed() {
        let parts = [Part { max_ms: 300, bytes: 30 }, Part { max_ms: 100, bytes: 50 }, Part { max_ms: 200, bytes: 20 }];
        let space = Space { total: 1_000, available: 0 };
        let expired = |retention: Retention, other| retention.expired(&parts, other, 1_000, space);
        assert_eq!(expired(Retention::default(), 0), []);
        assert_eq!(expired(Retention { max_age_ms: Some(850), ..Default::default() }, 0), [(1, Reason::Age)]);
        assert_eq!(expired(Retention { max_age_ms: Some(900), ..Default::default() }, 0), []);
        assert_eq!(expired(Retention { max_bytes: Some(100), ..Default::default() }, 0), []);
        assert_eq!(expired(Retention { max_bytes: Some(100), ..Default::default() }, 1), [(1, Reason::Size)]);
        assert_eq!(
            expired(Retention { max_bytes: Some(49), ..Default::default() }, 0),
            [(1, Reason::Size), (2, Reason::Size)]
        );
        assert_eq!(expired(Retention { max_disk_percent: Some(5.0), ..Default::default() }, 0), [(1, Reason::Size)]);
        let both = Retention { max_age_ms: Some(750), max_bytes: Some(10), ..Default::default() };
        assert_eq!(expired(both, 0), [(1, Reason::Age), (2, Reason::Age), (0, Reason::Size)]);
    }
}
