//! Exemplars: samples with labels of their own (a trace id, say), in a ring that forgets the oldest of all.
//!
//! Exemplars of one series are linked from the oldest to the newest and ascend in time. The rules are those of Prometheus' exemplar storage.

use hashbrown::HashMap;
use model::{Labels, Matcher};

/// Most characters of an exemplar's label names and values together.
pub const MAX_EXEMPLAR_LABEL_CHARS: usize = 128;

/// A sample with labels of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    /// What points to the cause, such as `trace_id`.
    pub labels: Labels,
    /// The value observed.
    pub value: f64,
    /// When, in ms.
    pub timestamp_ms: i64,
}

/// Exemplars of one series, ascending in time.
#[derive(Clone, Debug, PartialEq)]
pub struct ExemplarSeries {
    /// The series.
    pub labels: Labels,
    /// Its exemplars.
    pub exemplars: Vec<Exemplar>,
}

/// Why an exemplar was not taken. The texts are Prometheus'.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ExemplarReason {
    /// Older than the newest one of its series.
    #[error("out of order exemplar")]
    OutOfOrder,
    /// More than [`MAX_EXEMPLAR_LABEL_CHARS`].
    #[error("label length for exemplar exceeds maximum of 128 UTF-8 characters")]
    LabelsTooLong,
    /// [`crate::Options::max_exemplars`] is 0.
    #[error("exemplar storage is disabled or max exemplars is less than or equal to 0")]
    Disabled,
}

const NONE: u32 = u32::MAX;

struct Entry {
    series: Labels,
    exemplar: Exemplar,
    /// The next newer one of the series.
    next: u32,
}

#[derive(Clone, Copy)]
struct Ends {
    oldest: u32,
    newest: u32,
}

/// The ring.
pub(crate) struct Exemplars {
    limit: usize,
    ring: Vec<Entry>,
    next: usize,
    series: HashMap<Labels, Ends, foldhash::quality::RandomState>,
}

impl Exemplars {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit: limit.min(NONE as usize), ring: Vec::new(), next: 0, series: HashMap::default() }
    }

    pub(crate) fn len(&self) -> usize {
        self.ring.len()
    }

    /// Takes an exemplar; false when it is the newest of its series over again.
    pub(crate) fn add(&mut self, series: &Labels, exemplar: &Exemplar) -> Result<bool, ExemplarReason> {
        if self.limit == 0 {
            return Err(ExemplarReason::Disabled);
        }
        let chars: usize = exemplar.labels.iter().map(|(n, v)| n.chars().count() + v.chars().count()).sum();
        if chars > MAX_EXEMPLAR_LABEL_CHARS {
            return Err(ExemplarReason::LabelsTooLong);
        }
        if let Some(ends) = self.series.get(series)
            && let Some(newest) = self.ring.get(ends.newest as usize).map(|entry| &entry.exemplar)
        {
            let same_value = newest.value.to_bits() == exemplar.value.to_bits();
            if newest.timestamp_ms == exemplar.timestamp_ms && same_value && newest.labels == exemplar.labels {
                return Ok(false);
            }
            let older = exemplar.timestamp_ms < newest.timestamp_ms
                || exemplar.timestamp_ms == newest.timestamp_ms && exemplar.value < newest.value;
            if older {
                return Err(ExemplarReason::OutOfOrder);
            }
        }
        let at = self.next;
        self.next = (at + 1) % self.limit;
        let entry = Entry { series: series.clone(), exemplar: exemplar.clone(), next: NONE };
        if at < self.ring.len() {
            self.drop_oldest(at);
            self.ring[at] = entry;
        } else {
            self.ring.push(entry);
        }
        let at = at as u32;
        let ends = self.series.entry(series.clone()).or_insert(Ends { oldest: at, newest: at });
        let before = std::mem::replace(&mut ends.newest, at);
        if before != at {
            self.ring[before as usize].next = at;
        }
        Ok(true)
    }

    /// Unlinks the entry at a place of the ring, which is the oldest of its series because it is the oldest of all.
    fn drop_oldest(&mut self, at: usize) {
        let Entry { series, next, .. } = &self.ring[at];
        match *next {
            NONE => {
                self.series.remove(series);
            }
            next => {
                if let Some(ends) = self.series.get_mut(series) {
                    ends.oldest = next;
                }
            }
        }
    }

    /// The exemplars in `[start_ms, end_ms]` of the series that satisfy one of the selectors, in the order of their label sets.
    pub(crate) fn select(&self, selectors: &[Vec<Matcher>], start_ms: i64, end_ms: i64) -> Vec<ExemplarSeries> {
        let mut found = Vec::new();
        for (labels, ends) in &self.series {
            if !selectors.iter().any(|matchers| matchers.iter().all(|matcher| matcher.matches_labels(labels))) {
                continue;
            }
            let mut exemplars = Vec::new();
            let mut at = ends.oldest;
            while let Some(entry) = self.ring.get(at as usize) {
                if (start_ms..=end_ms).contains(&entry.exemplar.timestamp_ms) {
                    exemplars.push(entry.exemplar.clone());
                }
                at = entry.next;
            }
            if !exemplars.is_empty() {
                found.push(ExemplarSeries { labels: labels.clone(), exemplars });
            }
        }
        found.sort_by(|a, b| a.labels.cmp(&b.labels));
        found
    }

    /// All exemplars with their series, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Labels, &Exemplar)> {
        let oldest = if self.ring.len() == self.limit { self.next } else { 0 };
        let (after, before) = self.ring.split_at(oldest);
        before.iter().chain(after).map(|entry| (&entry.series, &entry.exemplar))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exemplar(id: &str, value: f64, timestamp_ms: i64) -> Exemplar {
        Exemplar { labels: Labels::from_pairs([("trace_id", id)]), value, timestamp_ms }
    }

    #[test]
    fn the_ring_forgets_the_oldest_and_keeps_the_rules() {
        let mut ring = Exemplars::new(3);
        let series = |name: &str| Labels::from_pairs([("__name__", name)]);
        let (a, b) = (series("a"), series("b"));
        assert_eq!(ring.add(&a, &exemplar("1", 1.0, 10)), Ok(true));
        assert_eq!(ring.add(&a, &exemplar("1", 1.0, 10)), Ok(false));
        assert_eq!(ring.add(&a, &exemplar("2", 1.0, 9)), Err(ExemplarReason::OutOfOrder));
        assert_eq!(ring.add(&a, &exemplar("2", 0.5, 10)), Err(ExemplarReason::OutOfOrder));
        assert_eq!(ring.add(&a, &exemplar(&"x".repeat(121), 1.0, 20)), Err(ExemplarReason::LabelsTooLong));
        assert_eq!(ring.add(&b, &exemplar("3", 1.0, 5)), Ok(true));
        assert_eq!(ring.add(&a, &exemplar("4", 1.0, 20)), Ok(true));
        let ids = |ring: &Exemplars, selector: &str| {
            let selector = vec![Matcher::equal("__name__", selector)];
            let found = ring.select(&[selector], 0, 100);
            found
                .iter()
                .flat_map(|s| s.exemplars.iter().map(|e| e.labels.value("trace_id").to_owned()))
                .collect::<Vec<_>>()
        };
        assert_eq!(ids(&ring, "a"), ["1", "4"]);
        assert_eq!(ring.add(&b, &exemplar("5", 1.0, 30)), Ok(true));
        assert_eq!(ids(&ring, "a"), ["4"]);
        assert_eq!(ids(&ring, "b"), ["3", "5"]);
        for i in 0..5 {
            assert_eq!(ring.add(&b, &exemplar(&i.to_string(), 1.0, 40 + i)), Ok(true));
        }
        assert_eq!(ids(&ring, "a"), [""; 0]);
        assert_eq!(ids(&ring, "b"), ["2", "3", "4"]);
        assert_eq!(ring.iter().map(|(_, e)| e.timestamp_ms).collect::<Vec<_>>(), [42, 43, 44]);
        assert_eq!(Exemplars::new(0).add(&a, &exemplar("1", 1.0, 1)), Err(ExemplarReason::Disabled));
    }
}
