//! What flows between components: log entries with acknowledgement, metric samples.
//!
//! A source keeps its place in a [`Tracker`] and gives each batch of entries an [`Ack`]. When the last clone of it is
//! dropped the batch has arrived (or was dropped on purpose) and the place moves on; [`Ack::refuse`] keeps it where it
//! is. So a place that is written to disk never lies beyond what was delivered.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use model::Labels;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use wire::Native;
use wire::exposition::MetricKind;

/// Batches waiting before a receiver; senders wait when there are more.
const QUEUE: usize = 16;

/// A log entry on its way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entry {
    /// Labels of its stream.
    pub labels: Labels,
    /// When, in nanoseconds.
    pub timestamp_ns: i64,
    /// The line.
    pub line: String,
    /// Structured metadata.
    pub metadata: Vec<(String, String)>,
    /// Kept until the entry has arrived.
    pub ack: Option<Ack>,
}

/// Takes batches of entries; clones lead to the same place.
#[derive(Clone, Debug)]
pub(crate) struct LogReceiver(mpsc::Sender<Vec<Entry>>);

impl LogReceiver {
    /// A receiver and where its batches come out.
    pub(crate) fn channel() -> (Self, mpsc::Receiver<Vec<Entry>>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        (Self(sender), receiver)
    }

    /// Whether both lead to the same place.
    pub(crate) fn same(&self, other: &Self) -> bool {
        self.0.same_channel(&other.0)
    }
}

/// Sends a batch to every receiver, waiting for slow ones. Entries for a receiver that is gone are refused: their source
/// will read them again.
pub(crate) async fn send_logs(receivers: &[LogReceiver], batch: Vec<Entry>) {
    if batch.is_empty() {
        return;
    }
    let Some((last, others)) = receivers.split_last() else { return };
    for receiver in others {
        deliver(receiver, batch.clone()).await;
    }
    deliver(last, batch).await;
}

/// Waits for room and hands the batch over. When this is given up while waiting, the batch is refused, not dropped.
async fn deliver(receiver: &LogReceiver, batch: Vec<Entry>) {
    struct Waiting(Vec<Entry>);
    impl Drop for Waiting {
        fn drop(&mut self) {
            refuse_all(&self.0);
        }
    }
    let mut waiting = Waiting(batch);
    // Without a place in the queue the receiver is gone, and `waiting` refuses.
    if let Ok(place) = receiver.0.reserve().await {
        place.send(std::mem::take(&mut waiting.0));
    }
}

/// Says of entries that they did not arrive.
pub(crate) fn refuse_all(entries: &[Entry]) {
    for entry in entries {
        if let Some(ack) = &entry.ack {
            ack.refuse();
        }
    }
}

/// Samples of one scrape or request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples {
    /// Floats.
    pub floats: Vec<(Labels, i64, f64)>,
    /// Native histograms.
    pub histograms: Vec<(Labels, i64, Arc<Native>)>,
    /// Exemplars: series, labels, timestamp, value.
    pub exemplars: Vec<(Labels, Labels, i64, f64)>,
    /// Families: type, help, unit.
    pub metadata: Arc<BTreeMap<String, (MetricKind, String, String)>>,
}

impl Samples {
    /// Number of samples.
    pub(crate) fn len(&self) -> usize {
        self.floats.len() + self.histograms.len()
    }

    /// True without samples.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Takes samples; clones lead to the same place.
#[derive(Clone, Debug)]
pub(crate) struct MetricReceiver(mpsc::Sender<Samples>);

impl MetricReceiver {
    /// A receiver and where its samples come out.
    pub(crate) fn channel() -> (Self, mpsc::Receiver<Samples>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        (Self(sender), receiver)
    }

    /// Whether both lead to the same place.
    pub(crate) fn same(&self, other: &Self) -> bool {
        self.0.same_channel(&other.0)
    }
}

/// Sends samples to every receiver, waiting for slow ones.
pub(crate) async fn send_metrics(receivers: &[MetricReceiver], samples: Samples) {
    let Some((last, others)) = receivers.split_last() else { return };
    for receiver in others {
        // A receiver that is gone belongs to a component that was stopped.
        let _ = receiver.0.send(samples.clone()).await;
    }
    let _ = last.0.send(samples).await;
}

/// How far a source has come, and how far everything has arrived.
#[derive(Debug)]
pub(crate) struct Tracker<P> {
    state: Mutex<TrackerState<P>>,
    changed: AtomicBool,
}

#[derive(Debug)]
struct TrackerState<P> {
    next: u64,
    /// Sequence number, place behind the batch, whether it has arrived.
    pending: VecDeque<(u64, P, bool)>,
    arrived: P,
}

impl<P: Clone + Send + 'static> Tracker<P> {
    /// A tracker that begins at a place.
    pub(crate) fn new(start: P) -> Arc<Self> {
        let state = TrackerState { next: 0, pending: VecDeque::new(), arrived: start };
        Arc::new(Self { state: Mutex::new(state), changed: AtomicBool::new(false) })
    }

    /// An acknowledgement for a batch that ends at `end`.
    pub(crate) fn begin(self: &Arc<Self>, end: P) -> Ack {
        let mut state = self.state.lock();
        let number = state.next;
        state.next += 1;
        state.pending.push_back((number, end, false));
        drop(state);
        let tracker = self.clone();
        Ack(Arc::new(AckState {
            refused: AtomicBool::new(false),
            arrived: Some(Box::new(move || tracker.done(number))),
        }))
    }

    /// The place up to which everything has arrived.
    pub(crate) fn arrived(&self) -> P {
        self.state.lock().arrived.clone()
    }

    /// Batches on their way.
    pub(crate) fn pending(&self) -> usize {
        self.state.lock().pending.len()
    }

    /// Whether the place has moved since this was last asked.
    pub(crate) fn take_changed(&self) -> bool {
        self.changed.swap(false, Ordering::AcqRel)
    }

    fn done(&self, number: u64) {
        let mut state = self.state.lock();
        if let Some(batch) = state.pending.iter_mut().find(|(n, ..)| *n == number) {
            batch.2 = true;
        }
        while let Some((_, _, true)) = state.pending.front() {
            if let Some((_, end, _)) = state.pending.pop_front() {
                state.arrived = end;
                self.changed.store(true, Ordering::Release);
            }
        }
    }
}

/// See the module.
#[derive(Clone)]
pub(crate) struct Ack(Arc<AckState>);

struct AckState {
    refused: AtomicBool,
    arrived: Option<Box<dyn Fn() + Send + Sync>>,
}

impl Ack {
    /// The entry did not arrive: its place stays where it is.
    pub(crate) fn refuse(&self) {
        self.0.refused.store(true, Ordering::Release);
    }
}

impl Drop for AckState {
    fn drop(&mut self) {
        if !*self.refused.get_mut()
            && let Some(arrived) = self.arrived.take()
        {
            arrived();
        }
    }
}

impl std::fmt::Debug for Ack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ack")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_moves_only_over_what_has_arrived() {
        let tracker = Tracker::new(0u64);
        let (first, second, third) = (tracker.begin(10), tracker.begin(20), tracker.begin(30));
        let copy = first.clone();
        drop(second);
        assert_eq!((tracker.arrived(), tracker.pending()), (0, 3));
        drop(first);
        assert_eq!(tracker.arrived(), 0);
        drop(copy);
        assert_eq!((tracker.arrived(), tracker.take_changed(), tracker.take_changed()), (20, true, false));
        third.refuse();
        drop(third);
        assert_eq!((tracker.arrived(), tracker.pending()), (20, 1));
    }

    #[tokio::test]
    async fn entries_for_nobody_are_refused() {
        let tracker = Tracker::new(0u64);
        let (receiver, inbox) = LogReceiver::channel();
        drop(inbox);
        let entry = Entry { ack: Some(tracker.begin(1)), ..Entry::default() };
        send_logs(&[receiver], vec![entry]).await;
        assert_eq!((tracker.arrived(), tracker.pending()), (0, 1));
    }
}
