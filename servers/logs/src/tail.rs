//! Live tails: what a push has stored is published in the [`TailHub`] of its tenant, and each follower takes what matches.
//!
//! Publishing costs a push one atomic load while nobody follows, and never waits: a follower that does not keep up loses
//! entries, which it is told. The pipeline of a follower's query runs on the follower's side, over a source made of what was published.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use kit::metrics::{Counter, Gauge, Registry};
use logstore::PushEntry;
use model::{
    Direction, LabelQuery, Labels, LogColumns, LogSelect, LogSelection, LogSource, LogUnit, Matcher, SourceError,
};
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

/// Most bytes that wait for a follower; one piece that is larger waits alone.
const MAX_WAITING: usize = 8 << 20;

/// Most lost entries that a follower is told one by one.
const MAX_TOLD: usize = 1_000;

/// Gauges and counters of tails, under the peer's names.
#[derive(Debug)]
pub(crate) struct TailMetrics {
    pub(crate) active: Gauge,
    pub(crate) streams: Gauge,
    pub(crate) bytes: Counter,
}

impl TailMetrics {
    pub(crate) fn new(r: &Registry) -> Self {
        Self {
            active: r.gauge("loki_querier_tail_active", "Number of active tailers."),
            streams: r.gauge("loki_querier_tail_active_streams", "Number of active streams being tailed."),
            bytes: r.counter("loki_querier_tail_bytes_total", "Total bytes tailed."),
        }
    }
}

/// Followers of one tenant.
#[derive(Debug, Default)]
pub struct TailHub {
    followers: RwLock<Vec<Arc<Queue>>>,
    count: AtomicUsize,
}

/// Entries of one stream that came with one push, oldest first.
#[derive(Debug)]
pub(crate) struct Pushed {
    labels: Labels,
    entries: LogColumns,
    bytes: usize,
}

#[derive(Debug)]
struct Queue {
    matchers: Vec<Matcher>,
    waiting: Mutex<Waiting>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    pieces: VecDeque<Arc<Pushed>>,
    bytes: usize,
    lost: Vec<(Labels, i64)>,
}

/// Receives what is published and matches. Dropping it ends the tail.
#[derive(Debug)]
pub(crate) struct Follower {
    hub: Arc<TailHub>,
    queue: Arc<Queue>,
}

/// What a follower has received since it last asked.
#[derive(Debug, Default)]
pub(crate) struct Received {
    pub(crate) pieces: Vec<Arc<Pushed>>,
    /// Stream and time of entries that were lost.
    pub(crate) lost: Vec<(Labels, i64)>,
}

impl TailHub {
    /// Whether nobody follows.
    pub fn is_empty(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    /// Follows the streams that satisfy the matchers; `None` when `limit` follow already (0: any number may).
    pub(crate) fn follow(self: &Arc<Self>, matchers: Vec<Matcher>, limit: usize) -> Result<Follower, usize> {
        let mut followers = self.followers.write();
        if limit > 0 && followers.len() >= limit {
            return Err(followers.len() + 1);
        }
        let queue = Arc::new(Queue { matchers, waiting: Mutex::default(), arrived: Notify::new() });
        followers.push(queue.clone());
        self.count.store(followers.len(), Ordering::Release);
        Ok(Follower { hub: self.clone(), queue })
    }

    /// Tells followers of entries that are stored now.
    pub(crate) fn publish(&self, labels: &Labels, entries: &[PushEntry<'_>]) {
        let followers = self.followers.read();
        let mut pushed: Option<Arc<Pushed>> = None;
        for queue in followers.iter().filter(|queue| queue.matchers.iter().all(|m| m.matches_labels(labels))) {
            queue.put(pushed.get_or_insert_with(|| Arc::new(Pushed::new(labels, entries))).clone());
        }
    }
}

impl Pushed {
    fn new(labels: &Labels, entries: &[PushEntry<'_>]) -> Self {
        let mut order: Vec<&PushEntry<'_>> = entries.iter().collect();
        order.sort_by_key(|entry| entry.timestamp_ns);
        let mut columns = LogColumns::new();
        for entry in order {
            columns.push(entry.timestamp_ns, entry.line, entry.metadata.iter().copied());
        }
        let bytes = columns.text.len() + 48 * columns.len();
        Self { labels: labels.clone(), entries: columns, bytes }
    }
}

impl Queue {
    fn put(&self, piece: Arc<Pushed>) {
        let mut waiting = self.waiting.lock();
        if !waiting.pieces.is_empty() && waiting.bytes + piece.bytes > MAX_WAITING {
            let room = MAX_TOLD.saturating_sub(waiting.lost.len());
            let told = piece.entries.timestamps.iter().take(room);
            waiting.lost.extend(told.map(|timestamp_ns| (piece.labels.clone(), *timestamp_ns)));
        } else {
            waiting.bytes += piece.bytes;
            waiting.pieces.push_back(piece);
        }
        drop(waiting);
        self.arrived.notify_one();
    }
}

impl Follower {
    /// Waits for something and takes all of it.
    pub(crate) async fn receive(&self) -> Received {
        loop {
            let arrived = self.queue.arrived.notified();
            let received = self.take();
            if !received.pieces.is_empty() || !received.lost.is_empty() {
                return received;
            }
            arrived.await;
        }
    }

    fn take(&self) -> Received {
        let mut waiting = self.queue.waiting.lock();
        waiting.bytes = 0;
        Received { pieces: std::mem::take(&mut waiting.pieces).into(), lost: std::mem::take(&mut waiting.lost) }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let mut followers = self.hub.followers.write();
        followers.retain(|queue| !Arc::ptr_eq(queue, &self.queue));
        self.hub.count.store(followers.len(), Ordering::Release);
    }
}

/// Published pieces as something a query can read; each piece is a unit.
pub(crate) struct PushedSource(pub(crate) Vec<Arc<Pushed>>);

struct PushedSelection<'a> {
    pieces: &'a [Arc<Pushed>],
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
            LogUnit { stream: stream as u32, min_ns, max_ns, entries, bytes: piece.bytes as u64 }
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

    fn entry(timestamp_ns: i64, line: &str) -> PushEntry<'_> {
        PushEntry { timestamp_ns, line, metadata: &[] }
    }

    #[tokio::test]
    async fn followers_get_what_matches_until_they_go() {
        let hub = Arc::new(TailHub::default());
        assert!(hub.is_empty());
        let follower = hub.follow(vec![Matcher::equal("job", "a")], 1).unwrap();
        assert_eq!(hub.follow(Vec::new(), 1).unwrap_err(), 2);
        let (a, b) = (Labels::from_pairs([("job", "a")]), Labels::from_pairs([("job", "b")]));
        hub.publish(&b, &[entry(1, "no")]);
        hub.publish(&a, &[entry(3, "later"), entry(2, "sooner")]);
        let received = follower.receive().await;
        assert_eq!(received.pieces.len(), 1);
        assert_eq!(received.pieces[0].entries.timestamps, [2, 3]);
        assert_eq!(received.pieces[0].entries.line(0), "sooner");
        drop(follower);
        assert!(hub.is_empty());
    }

    #[tokio::test]
    async fn slow_followers_lose_entries_and_are_told() {
        let hub = Arc::new(TailHub::default());
        let follower = hub.follow(Vec::new(), 0).unwrap();
        let line = "x".repeat(MAX_WAITING - 100);
        let labels = Labels::from_pairs([("a", "b")]);
        for time in 1..=4 {
            hub.publish(&labels, &[entry(time, &line)]);
        }
        let received = follower.receive().await;
        assert_eq!(received.pieces.len(), 1);
        assert_eq!(received.lost.iter().map(|(_, time)| *time).collect::<Vec<_>>(), [2, 3, 4]);
        hub.publish(&labels, &[entry(5, "y")]);
        assert_eq!(follower.receive().await.pieces.len(), 1);
    }
}
