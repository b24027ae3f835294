//! `loki.relabel`: relabelling of log entries.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use kit::Shutdown;
use kit::relabel::{NameScheme, Rule, compile_all, process};
use model::Labels;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::receive;
use crate::agent::controller::{Component, Ctx};
use crate::agent::pipe::{Entry, LogReceiver, send_logs};
use crate::agent::syntax::{Args, Capsule, Diag, Result, Value};

struct Relabel {
    ctx: Ctx,
    inbox: Mutex<Option<mpsc::Receiver<Vec<Entry>>>>,
    receiver: LogReceiver,
    settings: ArcSwap<Settings>,
}

#[derive(Default)]
struct Settings {
    forward: Vec<LogReceiver>,
    rules: Vec<Rule>,
    max_cache: usize,
}

pub(super) fn build(ctx: Ctx, args: Args) -> Result<Arc<dyn Component>> {
    let (receiver, inbox) = LogReceiver::channel();
    let inbox = Mutex::new(Some(inbox));
    let component = Relabel { ctx, inbox, receiver, settings: ArcSwap::default() };
    component.update(args)?;
    Ok(Arc::new(component))
}

impl Component for Relabel {
    fn update(&self, mut args: Args) -> Result<()> {
        let pos = args.pos.clone();
        let forward = args.log_receivers("forward_to")?;
        let max_cache = args.count_or("max_cache_size", 10_000)?;
        let configs = args.rules("rule")?;
        args.finish()?;
        let rules = compile_all(&configs, NameScheme::Utf8).map_err(|message| Diag::new(&pos, message))?;
        self.settings.store(Arc::new(Settings { forward, rules, max_cache }));
        self.ctx.export([
            ("receiver", Value::Capsule(Capsule::Logs(self.receiver.clone()))),
            ("rules", Value::Capsule(Capsule::Rules(Arc::new(configs)))),
        ]);
        Ok(())
    }

    fn start(self: Arc<Self>, shutdown: &Shutdown) {
        let Some(mut inbox) = self.inbox.lock().take() else { return };
        let stop = shutdown.clone();
        shutdown.spawn("loki.relabel", async move {
            let metrics = &self.ctx.metrics;
            let processed = metrics.relabel_processed.with(&[&self.ctx.id]);
            let written = metrics.relabel_written.with(&[&self.ctx.id]);
            let mut cache: HashMap<Labels, Option<Labels>> = HashMap::new();
            let mut in_force = self.settings.load_full();
            while let Some(mut batch) = receive(&mut inbox, &stop).await {
                let settings = self.settings.load_full();
                if !Arc::ptr_eq(&settings, &in_force) || cache.len() > settings.max_cache {
                    cache.clear();
                    in_force = settings.clone();
                }
                processed.add(batch.len() as u64);
                batch.retain_mut(|entry| {
                    let result = cache
                        .entry(entry.labels.clone())
                        .or_insert_with(|| process(&entry.labels, &settings.rules).filter(|labels| !labels.is_empty()));
                    if let Some(labels) = result {
                        entry.labels = labels.clone();
                    }
                    result.is_some()
                });
                written.add(batch.len() as u64);
                send_logs(&settings.forward, batch).await;
            }
        });
    }
}
