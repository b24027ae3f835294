//! `loki.process`: sends entries through stages.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use kit::Shutdown;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::receive;
use crate::agent::controller::{Component, Ctx};
use crate::agent::pipe::{Entry, LogReceiver, send_logs};
use crate::agent::stages::{Item, Pipeline, StageContext};
use crate::agent::syntax::{Args, Capsule, Result, Value};

/// How often stages that hold entries back are asked for those that have waited long enough.
const TICK: Duration = Duration::from_millis(200);

struct Process {
    ctx: Ctx,
    inbox: Mutex<Option<mpsc::Receiver<Vec<Entry>>>>,
    receiver: LogReceiver,
    forward: ArcSwap<Vec<LogReceiver>>,
    /// A new pipeline, taken by the running task.
    next: Mutex<Option<Pipeline>>,
}

pub(super) fn build(ctx: Ctx, args: Args) -> Result<Arc<dyn Component>> {
    let (receiver, inbox) = LogReceiver::channel();
    let component =
        Process { ctx, inbox: Mutex::new(Some(inbox)), receiver, forward: ArcSwap::default(), next: Mutex::new(None) };
    component.update(args)?;
    Ok(Arc::new(component))
}

impl Component for Process {
    fn update(&self, mut args: Args) -> Result<()> {
        let forward = args.log_receivers("forward_to")?;
        let context = StageContext {
            id: self.ctx.id.clone(),
            metrics: self.ctx.metrics.clone(),
            registry: self.ctx.registry.clone(),
        };
        let pipeline = Pipeline::build(&mut args, &context)?;
        args.finish()?;
        self.forward.store(Arc::new(forward));
        *self.next.lock() = Some(pipeline);
        self.ctx.export([("receiver", Value::Capsule(Capsule::Logs(self.receiver.clone())))]);
        Ok(())
    }

    fn start(self: Arc<Self>, shutdown: &Shutdown) {
        let Some(mut inbox) = self.inbox.lock().take() else { return };
        let stop = shutdown.clone();
        shutdown.spawn("loki.process", async move {
            let mut pipeline = self.next.lock().take().unwrap_or_default();
            loop {
                // At the end everything is let out anyway.
                let holds_back = pipeline.holds_back() && !stop.is_triggered();
                let tick = async move {
                    if holds_back {
                        tokio::time::sleep(TICK).await;
                    } else {
                        std::future::pending::<()>().await;
                    }
                };
                let batch = tokio::select! {
                    batch = receive(&mut inbox, &stop) => match batch {
                        Some(batch) => batch,
                        None => break,
                    },
                    () = tick => Vec::new(),
                };
                let mut out = Vec::with_capacity(batch.len());
                if let Some(next) = self.next.lock().take() {
                    pipeline.flush(&mut out);
                    pipeline = next;
                }
                for entry in batch {
                    pipeline.process(Item::new(entry), &mut out);
                }
                pipeline.tick(&mut out);
                let forward = self.forward.load_full();
                send_logs(&forward, entries(out)).await;
            }
            let mut left = Vec::new();
            pipeline.flush(&mut left);
            let forward = self.forward.load_full();
            send_logs(&forward, entries(left)).await;
        });
    }
}

fn entries(items: Vec<Item>) -> Vec<Entry> {
    items.into_iter().map(|item| item.entry).collect()
}
