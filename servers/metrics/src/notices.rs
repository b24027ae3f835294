//! What people at the pages should know of the server: that it starts, stops, or could not load its configuration.
//!
//! [`Notices`] keeps those that hold; listeners are told of every change. `/api/v1/notifications` answers with the list,
//! `/api/v1/notifications/live` streams it.

use kit::time::{Rfc3339, now_ms};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// Listeners at the same time, as upstream has it.
const MAX_LISTENERS: usize = 16;
/// Events that wait for a slow listener; one that is slower is let go.
const EVENTS_AHEAD: usize = 64;

/// What there is to know, in upstream's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The log is being read.
    Starting,
    /// The server ends.
    Stopping,
    /// The last reload failed.
    NotReloaded,
}

impl Notice {
    fn text(self) -> &'static str {
        match self {
            Self::Starting => "Prometheus is starting and replaying the write-ahead log (WAL).",
            Self::Stopping => "Prometheus is shutting down and gracefully stopping all operations.",
            Self::NotReloaded => "Configuration reload has failed.",
        }
    }
}

/// An event as a listener's stream carries it.
pub type Event = std::io::Result<Vec<u8>>;

/// See the module.
#[derive(Debug, Default)]
pub struct Notices(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Those that hold, and since when (ms).
    active: Vec<(Notice, i64)>,
    listeners: Vec<mpsc::Sender<Event>>,
}

impl Notices {
    /// Says whether a notice holds.
    pub fn set(&self, notice: Notice, holds: bool) {
        let mut state = self.0.lock();
        let at = state.active.iter().position(|(active, _)| *active == notice);
        let since_ms = match (at, holds) {
            (None, true) => {
                let now = now_ms();
                state.active.push((notice, now));
                now
            }
            (Some(at), false) => state.active.remove(at).1,
            _ => return,
        };
        let event = event(notice, since_ms, holds);
        state.listeners.retain(|listener| listener.try_send(Ok(event.clone())).is_ok());
    }

    /// The notices that hold, the oldest first.
    pub fn list(&self) -> Vec<Value> {
        self.0.lock().active.iter().map(|(notice, since_ms)| shown(*notice, *since_ms, true)).collect()
    }

    /// Events from now on, those that hold at first; `None` when there are too many listeners.
    pub fn listen(&self) -> Option<mpsc::Receiver<Event>> {
        let mut state = self.0.lock();
        state.listeners.retain(|listener| !listener.is_closed());
        if state.listeners.len() >= MAX_LISTENERS {
            return None;
        }
        let (sender, receiver) = mpsc::channel(EVENTS_AHEAD);
        for (notice, since_ms) in &state.active {
            // A new channel has room for the three there are.
            let _ = sender.try_send(Ok(event(*notice, *since_ms, true)));
        }
        state.listeners.push(sender);
        Some(receiver)
    }

    /// Ends all streams.
    pub fn close(&self) {
        self.0.lock().listeners.clear();
    }
}

fn shown(notice: Notice, since_ms: i64, active: bool) -> Value {
    json!({"text": notice.text(), "date": Rfc3339(since_ms).to_string(), "active": active})
}

/// A server-sent event.
fn event(notice: Notice, since_ms: i64, active: bool) -> Vec<u8> {
    format!("data: {}\n\n", shown(notice, since_ms, active)).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_are_told_of_changes() {
        let notices = Notices::default();
        notices.set(Notice::Starting, true);
        let mut early = notices.listen().unwrap();
        let mut told = |said: &str, active: bool| {
            let event = String::from_utf8(early.try_recv().unwrap().unwrap()).unwrap();
            let json: Value = serde_json::from_str(event.strip_prefix("data: ").unwrap().trim_end()).unwrap();
            assert!(json["text"].as_str().unwrap().contains(said) && json["active"] == active, "{event}");
        };
        told("starting", true);
        notices.set(Notice::NotReloaded, true);
        notices.set(Notice::NotReloaded, true);
        notices.set(Notice::Starting, false);
        told("reload has failed", true);
        told("starting", false);
        assert!(early.try_recv().is_err());
        assert_eq!(notices.list().len(), 1);
        notices.close();
        assert!(matches!(early.try_recv(), Err(mpsc::error::TryRecvError::Disconnected)));
    }

    #[test]
    fn listeners_are_bounded_and_forgotten() {
        let notices = Notices::default();
        let mut some: Vec<_> = (0..MAX_LISTENERS).map(|_| notices.listen().unwrap()).collect();
        assert!(notices.listen().is_none());
        some.pop();
        assert!(notices.listen().is_some());
    }
}
