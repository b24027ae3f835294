//! Which entries are too old or take too much space: rules for the whole store, and rules of age for certain streams.
//!
//! A segment goes when all of its units are too old. When only some of them are, it is written again without them, once
//! they are a quarter of it or a day overdue, and the rest stays for more than a day: retention is exact to a day, as
//! Loki's is, and a byte is written again only a few times for it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use disk::IoContext;
use disk::retention::{Part, Retention};
use model::{Labels, Matcher};

use crate::db::{Db, Maintenance};
use crate::error::Error;
use crate::merge::{Discard, Merge};
use crate::segment::{Segment, SegmentId};

const NS_PER_MS: i64 = 1_000_000;
const DAY_MS: i64 = 86_400_000;

/// How long entries of certain streams are kept. Of several rules that fit a stream the one with the greatest priority
/// counts, of equal ones that with the shortest time; it replaces [`Retention::max_age_ms`].
#[derive(Clone, Debug)]
pub struct StreamRetention {
    /// Which streams.
    pub matchers: Vec<Matcher>,
    /// Greater goes first.
    pub priority: i64,
    /// Entries older than this go, in ms; `None`: none do.
    pub max_age_ms: Option<i64>,
}

/// Every rule.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    pub(crate) all: Retention,
    pub(crate) streams: Vec<StreamRetention>,
}

impl Rules {
    /// How long entries of a stream are kept; `None`: for ever.
    fn max_age_ms(&self, labels: &Labels) -> Option<i64> {
        let fits = |rule: &&StreamRetention| rule.matchers.iter().all(|matcher| matcher.matches_labels(labels));
        let rank = |rule: &&StreamRetention| (rule.priority, std::cmp::Reverse(rule.max_age_ms.unwrap_or(i64::MAX)));
        self.streams.iter().filter(fits).max_by_key(rank).map_or(self.all.max_age_ms, |rule| rule.max_age_ms)
    }

    /// Entries of a stream before this moment are not kept.
    pub(crate) fn oldest_ns(&self, labels: &Labels, now_ns: i64) -> i64 {
        let of_age = |age: i64| now_ns.div_euclid(NS_PER_MS).saturating_sub(age).saturating_mul(NS_PER_MS);
        self.max_age_ms(labels).map_or(i64::MIN, of_age)
    }

    fn has_age(&self) -> bool {
        self.all.max_age_ms.is_some() || self.streams.iter().any(|rule| rule.max_age_ms.is_some())
    }
}

/// What becomes of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Nothing before that time in ms.
    Stays(i64),
    /// It is written again without what is too old.
    Shrinks,
    Goes,
}

/// `ages`: for each part the time in ms from which on it is too old, and its bytes; ascending.
fn fate(ages: &[(i64, u64)], now_ms: i64) -> Fate {
    let (Some((first, _)), Some((last, _))) = (ages.first(), ages.last()) else { return Fate::Stays(i64::MAX) };
    if now_ms >= *last {
        return Fate::Goes;
    }
    let total: u64 = ages.iter().map(|(_, bytes)| bytes).sum();
    let mut sum = 0;
    let quarter = ages.iter().find(|(_, bytes)| {
        sum += bytes;
        sum >= total.div_ceil(4)
    });
    let ripe = quarter.map_or(*last, |(age, _)| *age).min(first.saturating_add(DAY_MS));
    if now_ms < ripe {
        Fate::Stays(ripe)
    } else if last.saturating_sub(now_ms) <= DAY_MS {
        Fate::Stays(*last)
    } else {
        Fate::Shrinks
    }
}

/// What is known of the times at which segments have to be looked at.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    /// The rules it was made by.
    rules: Arc<Rules>,
    /// Time in ms of the next look at a segment.
    due_ms: HashMap<SegmentId, i64>,
}

/// For each unit the time from which on it is too old, and its bytes; ascending.
fn ages(segment: &Segment, rules: &Rules) -> Result<Vec<(i64, u64)>, Error> {
    let mut ages = Vec::new();
    segment.visit_labels(0..segment.streams(), &mut |stream, labels| {
        let age = rules.max_age_ms(&labels);
        ages.extend(segment.units_of(stream).map(|unit| {
            let unit = segment.unit(unit);
            let max_ms = unit.max_ns.div_euclid(NS_PER_MS);
            (age.map_or(i64::MAX, |age| max_ms.saturating_add(age).saturating_add(1)), unit.bytes.max(1))
        }));
    })?;
    ages.sort_unstable();
    Ok(ages)
}

impl Db {
    /// Replaces the rules of retention.
    pub fn set_retention(&self, all: Retention, streams: Vec<StreamRetention>) {
        *self.retention.write() = Arc::new(Rules { all, streams });
    }

    /// Drops what retention does not keep; returns the number of segments that went, and whether one was written again.
    pub(crate) fn expire(&self, maintenance: &mut Maintenance, now_ns: i64) -> Result<(u64, bool), Error> {
        let rules = self.retention.read().clone();
        if !Arc::ptr_eq(&rules, &maintenance.schedule.rules) {
            maintenance.schedule = Schedule { rules: rules.clone(), ..Schedule::default() };
        }
        let mut gone = self.over_size(&rules, now_ns)?;
        let mut shrinking = None;
        if rules.has_age() {
            let now_ms = now_ns.div_euclid(NS_PER_MS);
            let view = self.view().clone();
            let due = &mut maintenance.schedule.due_ms;
            due.retain(|id, _| view.segments.iter().any(|segment| segment.id == *id));
            for segment in &view.segments {
                if due.get(&segment.id).is_some_and(|due| now_ms < *due) {
                    continue;
                }
                let ages = match ages(segment, &rules) {
                    Ok(ages) => ages,
                    Err(error) => {
                        self.note_damage(&error);
                        vec![(segment.info.max_ns.div_euclid(NS_PER_MS).saturating_add(DAY_MS), 1)]
                    }
                };
                let last_ms = ages.last().map_or(i64::MAX, |(age, _)| *age);
                match fate(&ages, now_ms) {
                    Fate::Stays(until) => _ = due.insert(segment.id, until),
                    Fate::Goes => gone.push(segment.clone()),
                    Fate::Shrinks if maintenance.unmergeable.contains(&segment.id) => {
                        due.insert(segment.id, last_ms);
                    }
                    Fate::Shrinks => shrinking = Some(segment.clone()),
                }
            }
        }
        let count = gone.len() as u64;
        if count > 0 {
            self.counters.expired.fetch_add(count, Ordering::Relaxed);
            self.replace(maintenance, &gone, None)?;
        }
        let Some(segment) = shrinking else { return Ok((count, false)) };
        let discard = Discard { rules: &rules, now_ns, deletes: &[], skip_unreadable: false };
        let sources = [segment];
        match self.merge(maintenance, &sources, &discard)? {
            Merge::Made(segment) => self.replace(maintenance, &sources, segment)?,
            Merge::Unreadable(id, error) => {
                maintenance.unmergeable.insert(id);
                self.note_damage(&error);
            }
            Merge::TooLarge => _ = maintenance.unmergeable.insert(sources[0].id),
        }
        Ok((count, true))
    }

    /// Oldest segments that go because all of them take too much space.
    fn over_size(&self, rules: &Rules, now_ns: i64) -> Result<Vec<Arc<Segment>>, Error> {
        let of_size = Retention { max_age_ms: None, ..rules.all };
        if of_size == Retention::default() {
            return Ok(Vec::new());
        }
        let space = self.files.space(&self.dir).at("statvfs", &self.dir)?;
        let view = self.view().clone();
        let part = |s: &Arc<Segment>| Part { max_ms: s.info.max_ns.div_euclid(NS_PER_MS), bytes: s.file_bytes() };
        let parts: Vec<Part> = view.segments.iter().map(part).collect();
        let log_bytes = self.wal.stats().segment_bytes;
        let expired = of_size.expired(&parts, log_bytes, now_ns.div_euclid(NS_PER_MS), space);
        Ok(expired.iter().map(|(index, _)| view.segments[*index].clone()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_of_a_stream() {
        let rule = |job: &str, priority, days: Option<i64>| StreamRetention {
            matchers: vec![Matcher::equal("job", job)],
            priority,
            max_age_ms: days.map(|days| days * DAY_MS),
        };
        let all = Retention { max_age_ms: Some(7 * DAY_MS), ..Retention::default() };
        let mut streams = vec![rule("a", 1, Some(1)), rule("a", 2, Some(3)), rule("a", 2, Some(2)), rule("b", 0, None)];
        streams.push(StreamRetention { matchers: Vec::new(), priority: -1, max_age_ms: Some(5 * DAY_MS) });
        let rules = Rules { all, streams };
        let age = |job: &str| rules.max_age_ms(&Labels::from_pairs([("job", job)])).map(|ms| ms / DAY_MS);
        assert_eq!([age("a"), age("b"), age("c")], [Some(2), None, Some(5)]);
        let rules = Rules { all, streams: Vec::new() };
        assert_eq!(rules.oldest_ns(&Labels::empty(), 7 * DAY_MS * NS_PER_MS + 5), 0);
    }

    #[test]
    fn segments_go_or_shrink_when_it_pays() {
        let day = |days: i64| days * DAY_MS;
        type Case<'a> = (&'a [(i64, u64)], i64, Fate);
        let cases: &[Case<'_>] = &[
            (&[(10, 1), (20, 1)], 9, Fate::Stays(10)),
            (&[(10, 1), (20, 1)], 10, Fate::Stays(20)),
            (&[(10, 1), (20, 1)], 20, Fate::Goes),
            (&[(10, 1), (i64::MAX, 3)], 10, Fate::Shrinks),
            (&[(10, 1), (i64::MAX, 4)], 10, Fate::Stays(10 + DAY_MS)),
            (&[(10, 1), (i64::MAX, 4)], 10 + DAY_MS, Fate::Shrinks),
            (&[(0, 1), (day(1), 3)], 0, Fate::Stays(day(1))),
            (&[(0, 1), (day(1) + 1, 3)], 0, Fate::Shrinks),
            (&[], 5, Fate::Stays(i64::MAX)),
        ];
        for (ages, now, want) in cases {
            assert_eq!(fate(ages, *now), *want, "{ages:?} at {now}");
        }
    }
}
