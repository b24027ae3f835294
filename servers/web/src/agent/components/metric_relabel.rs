//! `prometheus.relabel`: relabelling of samples.

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
use crate::agent::pipe::{MetricReceiver, Samples, send_metrics};
use crate::agent::syntax::{Args, Capsule, Diag, Result, Value};

struct Relabel {
    ctx: Ctx,
    inbox: Mutex<Option<mpsc::Receiver<Samples>>>,
    receiver: MetricReceiver,
    settings: ArcSwap<Settings>,
}

#[derive(Default)]
struct Settings {
    forward: Vec<MetricReceiver>,
    rules: Vec<Rule>,
    max_cache: usize,
}

pub(super) fn build(ctx: Ctx, args: Args) -> Result<Arc<dyn Component>> {
    let (receiver, inbox) = MetricReceiver::channel();
    let inbox = Mutex::new(Some(inbox));
    let component = Relabel { ctx, inbox, receiver, settings: ArcSwap::default() };
    component.update(args)?;
    Ok(Arc::new(component))
}

/// Applies rules with a memory of what they gave.
pub(super) struct CachedRules {
    cache: HashMap<Labels, Option<Labels>>,
}

impl CachedRules {
    pub(super) fn new() -> Self {
        Self { cache: HashMap::new() }
    }

    pub(super) fn clear(&mut self) {
        self.cache.clear();
    }

    pub(super) fn apply(&mut self, samples: &mut Samples, rules: &[Rule], max: usize) {
        if rules.is_empty() {
            return;
        }
        if self.cache.len() > max {
            self.cache.clear();
        }
        let cache = &mut self.cache;
        let mut relabel = |labels: &mut Labels| {
            let result = cache
                .entry(labels.clone())
                .or_insert_with(|| process(labels, rules).filter(|labels| !labels.is_empty()));
            if let Some(new) = result {
                *labels = new.clone();
            }
            result.is_some()
        };
        samples.floats.retain_mut(|(labels, ..)| relabel(labels));
        samples.histograms.retain_mut(|(labels, ..)| relabel(labels));
        samples.exemplars.retain_mut(|(labels, ..)| relabel(labels));
    }
}

impl Component for Relabel {
    fn update(&self, mut args: Args) -> Result<()> {
        let pos = args.pos.clone();
        let forward = args.metric_receivers("forward_to")?;
        let max_cache = args.count_or("max_cache_size", 100_000)?;
        args.text("cache_ttl")?;
        let configs = args.rules("rule")?;
        args.finish()?;
        let rules = compile_all(&configs, NameScheme::Utf8).map_err(|message| Diag::new(&pos, message))?;
        self.settings.store(Arc::new(Settings { forward, rules, max_cache }));
        self.ctx.export([
            ("receiver", Value::Capsule(Capsule::Metrics(self.receiver.clone()))),
            ("rules", Value::Capsule(Capsule::Rules(Arc::new(configs)))),
        ]);
        Ok(())
    }

    fn start(self: Arc<Self>, shutdown: &Shutdown) {
        let Some(mut inbox) = self.inbox.lock().take() else { return };
        let stop = shutdown.clone();
        shutdown.spawn("prometheus.relabel", async move {
            let mut rules = CachedRules::new();
            let mut in_force = self.settings.load_full();
            while let Some(mut samples) = receive(&mut inbox, &stop).await {
                let settings = self.settings.load_full();
                if !Arc::ptr_eq(&settings, &in_force) {
                    rules.clear();
                    in_force = settings.clone();
                }
                rules.apply(&mut samples, &settings.rules, settings.max_cache);
                send_metrics(&settings.forward, samples).await;
            }
        });
    }
}
