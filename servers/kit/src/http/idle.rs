//! Who may be asked to leave when all connections are taken: those that wait for their client, the longest wait first.
//!
//! Every connection has a [`Presence`] that says whose turn it is. The server's turn (a handler runs, an answer is being made) is
//! never cut short; a connection between requests, one whose request does not arrive and one that does not read its answer make
//! room for a new one. So a crowd of idle or slow clients keeps nobody out.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// How often a new connection looks for room.
pub(super) const ROOM_CHECK: Duration = Duration::from_millis(50);
/// A connection between requests stays at least this long: its last answer may be on its way.
const LEAST_IDLE: Duration = Duration::from_millis(100);
/// A client has at least this long to send the next part of its request, or to read the next part of its answer.
const LEAST_WAIT: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Turn {
    /// Between requests, or within the head of one.
    Idle,
    /// The server works.
    Server,
    /// Part of a request or an answer has to cross the wire.
    Client,
}

#[derive(Debug)]
struct Connection {
    turn: Mutex<(Turn, Instant)>,
    requests: AtomicUsize,
    closing: Arc<Notify>,
}

impl Connection {
    fn set(&self, turn: Turn) {
        *self.turn.lock() = (turn, Instant::now());
    }

    /// The client's turn goes on when it is the client's already: asking again brings no part of a request.
    fn wait_for_client(&self) {
        let mut current = self.turn.lock();
        if current.0 != Turn::Client {
            *current = (Turn::Client, Instant::now());
        }
    }
}

/// All connections.
#[derive(Debug, Default)]
pub(super) struct IdleList {
    connections: Mutex<(u64, HashMap<u64, Arc<Connection>>)>,
}

impl IdleList {
    /// A new connection.
    pub(super) fn enter(self: &Arc<Self>) -> Presence {
        let connection = Arc::new(Connection {
            turn: Mutex::new((Turn::Idle, Instant::now())),
            requests: AtomicUsize::new(0),
            closing: Arc::default(),
        });
        let mut all = self.connections.lock();
        all.0 += 1;
        let id = all.0;
        all.1.insert(id, connection.clone());
        Presence { list: self.clone(), id, connection }
    }

    /// Closes the connection that has waited longest for its client, if one has waited long enough.
    pub(super) fn close_one(&self) {
        let mut all = self.connections.lock();
        let longest = all
            .1
            .iter()
            .filter_map(|(id, connection)| {
                let (turn, since) = *connection.turn.lock();
                let least = match turn {
                    Turn::Idle => LEAST_IDLE,
                    Turn::Client => LEAST_WAIT,
                    Turn::Server => return None,
                };
                Some((since.elapsed().checked_sub(least)?, *id))
            })
            .max();
        if let Some((_, id)) = longest
            && let Some(connection) = all.1.remove(&id)
        {
            connection.closing.notify_one();
        }
    }
}

/// A connection's place in the list; it leaves when this is dropped.
#[derive(Debug)]
pub(super) struct Presence {
    list: Arc<IdleList>,
    id: u64,
    connection: Arc<Connection>,
}

impl Presence {
    /// Tells the connection to close.
    pub(super) fn closing(&self) -> Arc<Notify> {
        self.connection.closing.clone()
    }

    /// A request begins.
    pub(super) fn busy(&self) -> Busy {
        self.connection.requests.fetch_add(1, Ordering::Relaxed);
        self.connection.set(Turn::Server);
        Busy(self.connection.clone())
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.list.connections.lock().1.remove(&self.id);
    }
}

/// A request from its head to the end of its answer.
#[derive(Debug)]
pub(super) struct Busy(Arc<Connection>);

impl Busy {
    /// The request's body: waiting for it is the client's turn.
    pub(super) fn receiving<B>(&self, body: B) -> Body
    where
        B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<axum::BoxError>,
    {
        Body::new(Watched { body, connection: self.0.clone(), sending: false, _busy: None })
    }

    /// The answer's body: the request ends with it.
    pub(super) fn sending(self, body: Body) -> Body {
        Body::new(Watched { body, connection: self.0.clone(), sending: true, _busy: Some(self) })
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        if self.0.requests.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.0.set(Turn::Idle);
        }
    }
}

struct Watched<B> {
    body: B,
    connection: Arc<Connection>,
    sending: bool,
    _busy: Option<Busy>,
}

impl<B> HttpBody for Watched<B>
where
    B: HttpBody<Data = Bytes> + Unpin,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        // A request's part that is not there is the client's to send; an answer's part that is there is the client's to read.
        match (self.sending, polled.is_pending()) {
            (false, true) => self.connection.wait_for_client(),
            (true, false) => self.connection.set(Turn::Client),
            _ => self.connection.set(Turn::Server),
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_idle_goes_first_and_the_servers_turn_is_kept() {
        let list = Arc::new(IdleList::default());
        let (first, second, working) = (list.enter(), list.enter(), list.enter());
        let request = working.busy();
        let long_ago = Instant::now() - Duration::from_secs(10);
        for presence in [&first, &second, &working] {
            presence.connection.turn.lock().1 = long_ago;
        }
        first.connection.turn.lock().1 = long_ago - Duration::from_secs(1);
        let left = || {
            let mut ids: Vec<u64> = list.connections.lock().1.keys().copied().collect();
            ids.sort_unstable();
            ids
        };
        list.close_one();
        assert_eq!(left(), [2, 3]);
        list.close_one();
        list.close_one();
        assert_eq!(left(), [3], "a request that is worked on stays");
        drop(request);
        list.close_one();
        assert_eq!(left(), [3], "it has only just become idle");
        working.connection.turn.lock().1 = long_ago;
        list.close_one();
        assert!(left().is_empty());
    }
}
