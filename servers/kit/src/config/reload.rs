//! When a server reads its configuration again: on SIGHUP, on a request over HTTP, or because a file has changed.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

use crate::Shutdown;

/// Someone wants the configuration read again.
#[derive(Debug)]
pub struct ReloadRequest {
    /// What caused it, for the log.
    pub cause: &'static str,
    reply: Option<oneshot::Sender<Result<(), String>>>,
}

impl ReloadRequest {
    /// Tells the requester how it went.
    pub fn done(self, result: Result<(), String>) {
        if let Some(reply) = self.reply {
            // The requester may have gone.
            let _ = reply.send(result);
        }
    }
}

/// Asks for a reload; handlers of `/-/reload` hold one.
#[derive(Clone, Debug)]
pub struct ReloadHandle(mpsc::Sender<ReloadRequest>);

impl ReloadHandle {
    /// Asks for a reload and waits for its end.
    ///
    /// # Errors
    /// What went wrong; the old configuration is then still in force.
    pub async fn reload(&self) -> Result<(), String> {
        let (reply, answer) = oneshot::channel();
        let request = ReloadRequest { cause: "HTTP request", reply: Some(reply) };
        let stopping = || "the server is stopping".to_owned();
        self.0.send(request).await.map_err(|_| stopping())?;
        answer.await.map_err(|_| stopping())?
    }
}

type Stamp = Vec<(PathBuf, Option<(SystemTime, u64)>)>;

/// The receiving side: one task asks it for the next request, in a loop.
#[derive(Debug)]
pub struct Reloader {
    requests: mpsc::Receiver<ReloadRequest>,
    hangup: Option<Signal>,
    poll: Option<Duration>,
    files: Arc<Mutex<Vec<PathBuf>>>,
    stamp: Stamp,
}

impl Reloader {
    /// A reloader that listens for SIGHUP and, with `poll`, looks at the watched files that often.
    pub fn new(poll: Option<Duration>) -> (Self, ReloadHandle) {
        let (sender, requests) = mpsc::channel(4);
        let hangup = signal(SignalKind::hangup())
            .inspect_err(|error| tracing::warn!(component = "reload", %error, "cannot listen for SIGHUP"))
            .ok();
        let reloader = Self { requests, hangup, poll, files: Arc::default(), stamp: Vec::new() };
        (reloader, ReloadHandle(sender))
    }

    /// Sets the files to watch, after each successful load.
    pub fn watch(&mut self, files: Vec<PathBuf>) {
        self.stamp = stamp(&files);
        *self.files.lock() = files;
    }

    /// The next request; `None` when the server stops.
    pub async fn next(&mut self, shutdown: &Shutdown) -> Option<ReloadRequest> {
        loop {
            let poll = self.poll;
            tokio::select! {
                () = shutdown.triggered() => return None,
                Some(request) = self.requests.recv() => return Some(request),
                () = hung_up(&mut self.hangup) => return Some(ReloadRequest { cause: "SIGHUP", reply: None }),
                () = async {
                    match poll {
                        Some(poll) => tokio::time::sleep(poll).await,
                        None => std::future::pending().await,
                    }
                } => {
                    let now = stamp(&self.files.lock());
                    if now != self.stamp {
                        self.stamp = now;
                        return Some(ReloadRequest { cause: "file changed", reply: None });
                    }
                }
            }
        }
    }
}

async fn hung_up(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}

fn stamp(files: &[PathBuf]) -> Stamp {
    let state = |file: &PathBuf| {
        let meta = std::fs::metadata(file).ok()?;
        Some((meta.modified().ok()?, meta.len()))
    };
    files.iter().map(|file| (file.clone(), state(file))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn reloads_on_request_and_on_change() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("c.yml");
        std::fs::write(&file, "a").unwrap();
        let shutdown = Shutdown::new();
        let (mut reloader, handle) = Reloader::new(Some(Duration::from_millis(5)));
        reloader.watch(vec![file.clone()]);
        let asked = tokio::spawn(async move { handle.reload().await });
        let request = reloader.next(&shutdown).await.unwrap();
        assert_eq!(request.cause, "HTTP request");
        request.done(Err("line 3".into()));
        assert_eq!(asked.await.unwrap(), Err("line 3".into()));

        std::fs::write(&file, "ab").unwrap();
        assert_eq!(reloader.next(&shutdown).await.unwrap().cause, "file changed");
        shutdown.trigger();
        assert!(reloader.next(&shutdown).await.is_none());
    }
}
