//! One token that says "stop", and the tasks that wait for it.
//!
//! A server makes one [`Shutdown`], hands clones to its parts, and at the end waits in [`Shutdown::join`] for the tasks
//! that were started through it. Tests trigger it by hand; [`Shutdown::listen_for_signals`] does on SIGINT and SIGTERM, and
//! a second signal ends the process at once.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// See the module. Clones are the same token.
#[derive(Clone, Debug)]
pub struct Shutdown {
    state: Arc<watch::Sender<bool>>,
    /// Tokens of which this one is a part.
    parent: Option<Box<Shutdown>>,
    tasks: Arc<Mutex<JoinSet<()>>>,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}

impl Shutdown {
    /// A token not yet triggered.
    pub fn new() -> Self {
        Self { state: Arc::new(watch::Sender::new(false)), parent: None, tasks: Arc::default() }
    }

    /// A token of its own tasks that also stops when this one does: for a part that is replaced at a reload.
    pub fn child(&self) -> Self {
        Self { parent: Some(Box::new(self.clone())), ..Self::new() }
    }

    /// Says "stop" to this token and its children.
    pub fn trigger(&self) {
        self.state.send_replace(true);
    }

    /// Whether it was triggered.
    pub fn is_triggered(&self) -> bool {
        *self.state.borrow() || self.parent.as_ref().is_some_and(|parent| parent.is_triggered())
    }

    /// Returns when it is triggered.
    pub async fn triggered(&self) {
        let mut state = self.state.subscribe();
        let own = async {
            // The sender lives in `self`: waiting cannot fail.
            let _ = state.wait_for(|stop| *stop).await;
        };
        match &self.parent {
            None => own.await,
            Some(parent) => {
                let above = Box::pin(parent.triggered());
                tokio::select! {
                    () = own => {}
                    () = above => {}
                }
            }
        }
    }

    /// Waits for a time; returns false when the stop came first.
    pub async fn sleep(&self, duration: Duration) -> bool {
        tokio::select! {
            () = tokio::time::sleep(duration) => true,
            () = self.triggered() => false,
        }
    }

    /// Starts a task that [`Shutdown::join`] waits for. A panic in it is logged under `name` and ends only the task.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock();
        // Finished tasks are let go here, so that the set does not grow with the life of the server.
        while let Some(ended) = tasks.try_join_next() {
            report(ended);
        }
        tasks.spawn(Named { name, task: Box::pin(task) });
    }

    /// Waits until all tasks have ended, at most `deadline`; those left over are aborted. True when none was.
    pub async fn join(&self, deadline: Duration) -> bool {
        let end = tokio::time::Instant::now() + deadline;
        loop {
            let mut tasks = std::mem::take(&mut *self.tasks.lock());
            if tasks.is_empty() {
                return true;
            }
            loop {
                match tokio::time::timeout_at(end, tasks.join_next()).await {
                    Ok(None) => break,
                    Ok(Some(ended)) => report(ended),
                    Err(_) => {
                        tracing::warn!(component = "shutdown", tasks = tasks.len(), "tasks did not end in time");
                        tasks.abort_all();
                        return false;
                    }
                }
            }
        }
    }

    /// Triggers on SIGINT and SIGTERM; the second signal exits with status 130. Call once, inside a runtime.
    pub fn listen_for_signals(&self) {
        let shutdown = self.clone();
        tokio::spawn(async move {
            use tokio::signal::unix::{SignalKind, signal};
            let (Ok(mut interrupt), Ok(mut terminate)) =
                (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
            else {
                tracing::error!(component = "shutdown", "cannot listen for signals");
                return;
            };
            for round in 0..2 {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if round == 0 {
                    tracing::info!(component = "shutdown", "signal received, stopping (once more to stop at once)");
                    shutdown.trigger();
                }
            }
            std::process::exit(130);
        });
    }
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(component = "shutdown", error = %error, "task panicked");
    }
}

/// Carries the task's name into the panic message.
struct Named {
    name: &'static str,
    task: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Future for Named {
    type Output = ();

    fn poll(mut self: std::pin::Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> std::task::Poll<()> {
        let name = self.name;
        let task = self.task.as_mut();
        match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| task.poll(cx))) {
            Ok(poll) => poll,
            Err(panic) => {
                let message = crate::http::panic_message(&*panic);
                tracing::error!(component = "shutdown", task = name, panic = %message, "task panicked");
                std::task::Poll::Ready(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn stops_children_and_joins_tasks() {
        let shutdown = Shutdown::new();
        let child = shutdown.child();
        let seen = Arc::new(Mutex::new(0));
        for token in [shutdown.clone(), child.clone()] {
            let seen = seen.clone();
            let wait = token.clone();
            token.spawn("test", async move {
                wait.triggered().await;
                *seen.lock() += 1;
            });
        }
        assert!(shutdown.sleep(Duration::from_millis(1)).await);
        shutdown.trigger();
        assert!(child.is_triggered());
        assert!(shutdown.join(Duration::from_secs(5)).await && child.join(Duration::from_secs(5)).await);
        assert_eq!(*seen.lock(), 2);
    }

    #[tokio::test]
    async fn a_child_stops_alone_and_panics_stay_inside() {
        let shutdown = Shutdown::new();
        let child = shutdown.child();
        child.trigger();
        assert!(!shutdown.is_triggered());
        shutdown.spawn("boom", async { panic!("boom") });
        assert!(shutdown.join(Duration::from_secs(5)).await);
        shutdown.spawn("stuck", std::future::pending());
        assert!(!shutdown.join(Duration::from_millis(10)).await);
    }
}
