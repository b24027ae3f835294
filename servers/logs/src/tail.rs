//! Live tails: a [`Follower`] gets what the store of its tenant takes, and matches.
//!
//! A push never waits for followers: one that does not keep up loses entries, which it is told. The pipeline of a
//! follower's query runs on the follower's side.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use kit::metrics::{Counter, Gauge, Registry};
use logstore::{Tail, TailBatch};
use model::{
    Direction, LabelQuery, Labels, LogColumns, LogSelect, LogSelection, LogSource, LogUnit, Matcher, SourceError,
};
use tokio::sync::Notify;

use crate::tenants::Tenant;

/// Most bytes that wait for a follower; one push that is larger waits alone.
const MAX_WAITING: usize = 8 << 20;

/// Gauges and counters of tails, under the peer's names.
#[derive(Debug)]
pub(crate) struct TailMetrics {
    pub(crate) active: Gauge,
    pub(crate) streams: Gauge,
    pub(crate) bytes: Counter,
    pub(crate) dropped: Counter,
}

impl TailMetrics {
    pub(crate) fn new(r: &Registry) -> Self {
        Self {
            active: r.gauge("loki_querier_tail_active", "Number of active tailers."),
            streams: r.gauge("loki_querier_tail_active_streams", "Number of active streams being tailed."),
            bytes: r.counter("loki_querier_tail_bytes_total", "Total bytes tailed."),
            dropped: r.counter(
                "foursight_tail_dropped_entries_total",
                "Entries that tailers did not get because they were too slow.",
            ),
        }
    }
}

/// Nobody may follow now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FollowError {
    #[error("max concurrent tail requests limit exceeded, count > limit ({count} > {limit})")]
    TooMany { count: usize, limit: usize },
    #[error(transparent)]
    Store(#[from] logstore::Error),
}

/// Receives what is pushed to a tenant and matches. Dropping it ends the tail.
pub(crate) struct Follower {
    tail: Tail,
    arrived: Arc<Notify>,
    tenant: Arc<Tenant>,
}

/// What a follower has received since it last asked.
#[derive(Debug, Default)]
pub(crate) struct Received {
    pub(crate) pieces: Vec<Pushed>,
    /// Stream and time of entries that were lost; not of all when there are many.
    pub(crate) lost: Vec<(Labels, i64)>,
    /// How many were lost.
    pub(crate) lost_entries: u64,
}

/// Entries of one stream that came with one push, oldest first.
#[derive(Clone, Debug)]
pub(crate) struct Pushed {
    pub(crate) labels: Labels,
    pub(crate) entries: Arc<LogColumns>,
}

impl Follower {
    /// Follows the streams of a tenant that satisfy the matchers, unless `limit` do so already (0: any number may).
    pub(crate) fn new(tenant: Arc<Tenant>, matchers: Vec<Matcher>, limit: usize) -> Result<Self, FollowError> {
        let before = tenant.followers.fetch_add(1, Ordering::AcqRel);
        let follow = || {
            if limit > 0 && before >= limit {
                return Err(FollowError::TooMany { count: before + 1, limit });
            }
            let arrived = Arc::new(Notify::new());
            let wake = arrived.clone();
            let tail = tenant.db.tail(matchers, MAX_WAITING, Some(Arc::new(move || wake.notify_one())))?;
            Ok((tail, arrived))
        };
        match follow() {
            Ok((tail, arrived)) => Ok(Self { tail, arrived, tenant }),
            Err(error) => {
                tenant.followers.fetch_sub(1, Ordering::AcqRel);
                Err(error)
            }
        }
    }

    /// Waits for something and takes all of it.
    pub(crate) async fn receive(&self) -> Received {
        loop {
            let arrived = self.arrived.notified();
            let received = self.take();
            if !received.pieces.is_empty() || !received.lost.is_empty() {
                return received;
            }
            arrived.await;
        }
    }

    /// How many entries were lost since it was last asked.
    pub(crate) fn lost_entries(&self) -> u64 {
        self.tail.take_dropped().entries
    }

    fn take(&self) -> Received {
        let pieces = std::iter::from_fn(|| self.tail.try_next()).map(Pushed::from).collect();
        let dropped = self.tail.take_dropped();
        Received { pieces, lost: dropped.examples, lost_entries: dropped.entries }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.tenant.followers.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Pushed {
    /// Entries, oldest first.
    pub(crate) fn new(labels: Labels, entries: LogColumns) -> Self {
        Self { labels, entries: Arc::new(entries) }
    }
}

impl From<TailBatch> for Pushed {
    fn from(TailBatch { labels, entries }: TailBatch) -> Self {
        if entries.timestamps.is_sorted() {
            return Self { labels, entries };
        }
        let mut order: Vec<usize> = (0..entries.len()).collect();
        order.sort_by_key(|row| entries.timestamps[*row]);
        let mut sorted = LogColumns::new();
        for row in order {
            sorted.push(entries.timestamps[row], entries.line(row), entries.metadata(row));
        }
        Self { labels, entries: Arc::new(sorted) }
    }
}

/// Published pieces as something a query can read; each piece is a unit.
pub(crate) struct PushedSource(pub(crate) Vec<Pushed>);

struct PushedSelection<'a> {
    pieces: &'a [Pushed],
    streams: Vec<Labels>,
    units: Vec<LogUnit>,
    order: Vec<usize>,
}

impl LogSource for PushedSource {
    fn select<'a>(&'a self, request: &LogSelect) -> Result<Box<dyn LogSelection + 'a>, SourceError> {
        // The hub has looked at the matchers already.
        let mut order: Vec<usize> = (0..self.0.len()).filter(|at| !self.0[*at].entries.is_empty()).collect();
        let bounds = |at: usize| {
            let times = &self.0[at].entries.timestamps;
            (times.first().copied().unwrap_or(0), times.last().copied().unwrap_or(0))
        };
        match request.direction {
            Direction::Forward => order.sort_by_key(|at| bounds(*at).0),
            Direction::Backward => order.sort_by_key(|at| std::cmp::Reverse(bounds(*at).1)),
        }
        let mut streams: Vec<Labels> = Vec::new();
        let units = order.iter().map(|at| {
            let piece = &self.0[*at];
            let stream = streams.iter().position(|labels| *labels == piece.labels).unwrap_or_else(|| {
                streams.push(piece.labels.clone());
                streams.len() - 1
            });
            let (min_ns, max_ns) = bounds(*at);
            let entries = piece.entries.len() as u64;
            LogUnit { stream: stream as u32, min_ns, max_ns, entries, bytes: piece.entries.text.len() as u64 }
        });
        let units = units.collect();
        Ok(Box::new(PushedSelection { pieces: &self.0, streams, units, order }))
    }

    fn label_names(&self, _: &LabelQuery) -> Result<Vec<String>, SourceError> {
        Ok(Vec::new())
    }

    fn label_values(&self, _: &str, _: &LabelQuery) -> Result<Vec<String>, SourceError> {
        Ok(Vec::new())
    }

    fn series(&self, _: &LabelQuery) -> Result<Vec<Labels>, SourceError> {
        Ok(Vec::new())
    }
}

impl LogSelection for PushedSelection<'_> {
    fn streams(&self) -> &[Labels] {
        &self.streams
    }

    fn units(&self) -> &[LogUnit] {
        &self.units
    }

    fn read(&self, index: usize, out: &mut LogColumns) -> Result<(), SourceError> {
        match self.order.get(index).and_then(|at| self.pieces.get(*at)) {
            Some(piece) => out.clone_from(&piece.entries),
            None => out.clear(),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_a_push_are_brought_into_order() {
        let mut entries = LogColumns::new();
        entries.push(3, "c", [("m", "1")]);
        entries.push(1, "a", []);
        entries.push(2, "b", []);
        let labels = Labels::from_pairs([("job", "a")]);
        let pushed = Pushed::from(TailBatch { labels, entries: Arc::new(entries) });
        assert_eq!(pushed.entries.timestamps, [1, 2, 3]);
        assert_eq!((0..3).map(|row| pushed.entries.line(row)).collect::<String>(), "abc");
        assert_eq!(pushed.entries.metadata(2).collect::<Vec<_>>(), [("m", "1")]);
    }
}
