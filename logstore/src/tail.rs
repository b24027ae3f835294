//! Following streams: a [`Tail`] gets what is pushed, once it is as durable as pushes are.
//!
//! Each tail has a queue of so many bytes. A tail that does not read loses entries and is told how many and some of them; pushes
//! never wait for it. What was pushed before the tail began is read by a selection: make the tail first, then
//! the selection, and leave out what comes twice.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use model::{Labels, LogColumns, Matcher};
use parking_lot::{Condvar, Mutex, RwLock};
use smallvec::SmallVec;

use crate::db::Db;
use crate::error::Error;

/// Dropped entries that are told one by one.
const MAX_EXAMPLES: usize = 100;
/// What an entry takes besides its text.
const ENTRY_BYTES: usize = 32;

/// Entries of one stream in the order in which they were pushed.
#[derive(Clone, Debug)]
pub struct TailBatch {
    /// Labels of the stream.
    pub labels: Labels,
    /// The entries; shared by all who follow the stream.
    pub entries: Arc<LogColumns>,
}

/// Entries that a tail was too slow for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// How many.
    pub entries: u64,
    /// Stream and time of the first hundred of them.
    pub examples: Vec<(Labels, i64)>,
}

/// Follows streams; ends when it is dropped.
pub struct Tail {
    queue: Arc<Queue>,
    tails: Tails,
}

struct Queue {
    matchers: Vec<Matcher>,
    max_bytes: usize,
    wake: Option<Arc<dyn Fn() + Send + Sync>>,
    state: Mutex<State>,
    ready: Condvar,
}

#[derive(Default)]
struct State {
    batches: VecDeque<(TailBatch, usize)>,
    bytes: usize,
    dropped: Dropped,
    closed: bool,
}

/// All tails of a store.
#[derive(Clone, Default)]
pub(crate) struct Tails(Arc<TailsState>);

#[derive(Default)]
struct TailsState {
    /// Their number, so that a push without any costs nothing.
    count: AtomicUsize,
    queues: RwLock<Vec<Arc<Queue>>>,
}

/// What a push has for the tails.
#[derive(Default)]
pub(crate) struct Live(Vec<Followed>);

impl Live {
    pub(crate) fn extend(&mut self, followed: Option<Followed>) {
        self.0.extend(followed.filter(|followed| !followed.entries.is_empty()));
    }
}

/// Entries of a stream that somebody follows.
pub(crate) struct Followed {
    labels: Labels,
    queues: SmallVec<[Arc<Queue>; 2]>,
    entries: LogColumns,
}

impl Followed {
    pub(crate) fn push(&mut self, timestamp_ns: i64, line: &str, metadata: &[(&str, &str)]) {
        self.entries.push(timestamp_ns, line, metadata.iter().copied());
    }
}

impl Tails {
    /// Where the entries of a stream go, if anybody follows it.
    pub(crate) fn of_stream(&self, labels: &Labels) -> Option<Followed> {
        if self.0.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        let follows = |queue: &&Arc<Queue>| queue.matchers.iter().all(|matcher| matcher.matches_labels(labels));
        let queues: SmallVec<_> = self.0.queues.read().iter().filter(follows).cloned().collect();
        (!queues.is_empty()).then(|| Followed { labels: labels.clone(), queues, entries: LogColumns::new() })
    }

    /// Hands over what was pushed.
    pub(crate) fn deliver(&self, live: Live) {
        for followed in live.0 {
            let entries = Arc::new(followed.entries);
            for queue in &followed.queues {
                queue.put(TailBatch { labels: followed.labels.clone(), entries: entries.clone() });
            }
        }
    }

    /// Ends all tails once they have read what is there.
    pub(crate) fn close(&self) {
        for queue in &*self.0.queues.read() {
            queue.state.lock().closed = true;
            queue.notify();
        }
    }
}

impl Queue {
    fn put(&self, batch: TailBatch) {
        let text: usize = batch.entries.text.len();
        let bytes = text + batch.entries.len() * ENTRY_BYTES;
        let mut state = self.state.lock();
        // One batch is taken whatever its size, or a tail of little memory would see nothing.
        if state.bytes > 0 && state.bytes + bytes > self.max_bytes {
            let dropped = &mut state.dropped;
            dropped.entries += batch.entries.len() as u64;
            let room = MAX_EXAMPLES - dropped.examples.len().min(MAX_EXAMPLES);
            dropped.examples.extend(batch.entries.timestamps.iter().take(room).map(|t| (batch.labels.clone(), *t)));
        } else {
            state.bytes += bytes;
            state.batches.push_back((batch, bytes));
        }
        drop(state);
        self.notify();
    }

    fn notify(&self) {
        self.ready.notify_all();
        if let Some(wake) = &self.wake {
            wake();
        }
    }
}

impl State {
    fn take(&mut self) -> Option<TailBatch> {
        let (batch, bytes) = self.batches.pop_front()?;
        self.bytes -= bytes;
        Some(batch)
    }
}

impl Tail {
    /// The next entries, when there are any now.
    pub fn try_next(&self) -> Option<TailBatch> {
        self.queue.state.lock().take()
    }

    /// Waits for the next entries; `None` when the store was closed and everything is read.
    pub fn wait(&self) -> Option<TailBatch> {
        let mut state = self.queue.state.lock();
        loop {
            if let Some(batch) = state.take() {
                return Some(batch);
            }
            if state.closed {
                return None;
            }
            self.queue.ready.wait(&mut state);
        }
    }

    /// What was dropped since the last call.
    pub fn take_dropped(&self) -> Dropped {
        std::mem::take(&mut self.queue.state.lock().dropped)
    }

    /// Whether the store was closed: nothing comes any more.
    pub fn is_closed(&self) -> bool {
        self.queue.state.lock().closed
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        let mut queues = self.tails.0.queues.write();
        queues.retain(|queue| !Arc::ptr_eq(queue, &self.queue));
        self.tails.0.count.store(queues.len(), Ordering::Release);
    }
}

impl std::fmt::Debug for Tail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tail").field("matchers", &self.queue.matchers).finish_non_exhaustive()
    }
}

impl Db {
    /// Follows the streams that satisfy all matchers: everything stored by pushes that begin after this call. At most about
    /// `max_bytes` wait to be read. `wake` is called after something was added (by the thread of a push: it should only wake another).
    ///
    /// # Errors
    /// When the store is closed.
    pub fn tail(
        &self,
        matchers: Vec<Matcher>,
        max_bytes: usize,
        wake: Option<Arc<dyn Fn() + Send + Sync>>,
    ) -> Result<Tail, Error> {
        let queue = Queue { matchers, max_bytes, wake, state: Mutex::default(), ready: Condvar::new() };
        let tail = Tail { queue: Arc::new(queue), tails: self.tails.clone() };
        let mut queues = self.tails.0.queues.write();
        self.check_open()?;
        queues.push(tail.queue.clone());
        self.tails.0.count.store(queues.len(), Ordering::Release);
        drop(queues);
        Ok(tail)
    }
}
