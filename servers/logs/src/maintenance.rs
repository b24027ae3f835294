//! What stores need from time to time: segments cut, retention and deletes carried out, in open stores and in those that nobody
//! asks for.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kit::Shutdown;
use kit::log::Limiter;

use crate::state::App;
use crate::tenants::Tenant;

/// Pause of an open store that says there is more to do.
const BUSY: Duration = Duration::from_millis(10);
/// A closed store in which nothing was to be done is looked at again after so many rounds.
const QUIET_ROUNDS: u32 = 6;
/// Most steps of one visit to a closed store; what is left waits for the next round.
const MAX_STEPS: usize = 10_000;

/// Gives every open store its time once a second.
pub(crate) async fn maintain_open(app: Arc<App>, work: Shutdown) {
    let rest = app.config.storage.sync_every.unwrap_or(Duration::from_secs(1)).min(Duration::from_secs(1));
    let limiter = Arc::new(Limiter::new(Duration::from_secs(60)));
    let mut pause = rest;
    while work.sleep(pause).await {
        let (worker, limiter) = (app.clone(), limiter.clone());
        let done = tokio::task::spawn_blocking(move || {
            worker.ruler.maintain();
            let mut more = false;
            // One after the other: a store that is held counts as used, and is not closed for another tenant's.
            for id in worker.tenants.opened_ids() {
                more |= worker.tenants.get(&id).is_some_and(|tenant| step(&tenant, &limiter).more);
            }
            more
        });
        pause = match done.await {
            Ok(true) => BUSY.min(rest),
            Ok(false) => rest,
            Err(e) => {
                tracing::error!(component = "store", error = %e, "maintenance ended badly");
                rest
            }
        };
    }
}

/// Opens the stores that nobody asks for, one at a time and every `compactor.compaction_interval`, and closes them again.
pub(crate) async fn maintain_closed(app: Arc<App>, work: Shutdown) {
    let period = app.config.compactor.interval.max(Duration::from_millis(100));
    let limiter = Arc::new(Limiter::new(Duration::from_secs(600)));
    let mut quiet: HashMap<String, Instant> = HashMap::new();
    while work.sleep(period).await {
        let worker = app.clone();
        let stored = tokio::task::spawn_blocking(move || worker.tenants.stored()).await.unwrap_or_default();
        quiet.retain(|id, since| since.elapsed() < period * QUIET_ROUNDS && stored.contains(id));
        for id in stored {
            if quiet.contains_key(&id) {
                continue;
            }
            if work.is_triggered() {
                return;
            }
            let begun = Instant::now();
            let (limiter, token) = (limiter.clone(), work.clone());
            match app.tenants.visit(&id, move |tenant| catch_up(tenant, &limiter, &token)).await {
                // It is open: looked after by the others.
                Ok(None) => continue,
                Ok(Some(true)) => {}
                Ok(Some(false)) => _ = quiet.insert(id, Instant::now()),
                Err(e) => {
                    tracing::error!(component = "store", tenant = id, error = %e, "the store of an idle tenant cannot be maintained");
                    quiet.insert(id, Instant::now());
                }
            }
            // However many there are: at most half the time goes into this.
            if !work.sleep(begun.elapsed()).await {
                return;
            }
        }
    }
}

/// What a step came to.
#[derive(Default)]
struct Step {
    more: bool,
    changed: bool,
}

fn step(tenant: &Tenant, limiter: &Limiter) -> Step {
    let report = tenant.db.maintain(crate::now_ns());
    let failed = !report.errors.is_empty();
    for error in report.errors {
        let text = error.to_string();
        if let Some(held_back) = limiter.allow(&format!("{} {text}", tenant.id)) {
            tracing::error!(component = "store", tenant = tenant.id, error = text, held_back, "maintenance failed");
        }
    }
    let changed = report.more || report.sealed + report.expired + report.merged > 0;
    Step { more: report.more && !failed, changed }
}

/// Does all that is due in a store that was closed; whether that was anything.
fn catch_up(tenant: &Tenant, limiter: &Limiter, stop: &Shutdown) -> bool {
    // Nobody writes to it, so what is in memory only has waited long enough.
    let in_memory = tenant.db.stats().head_bytes > 0;
    if let Err(e) = tenant.db.flush()
        && let Some(held_back) = limiter.allow(&format!("{} {e}", tenant.id))
    {
        tracing::error!(component = "store", tenant = tenant.id, error = %e, held_back, "writing out failed");
    }
    let mut changed = in_memory;
    for _ in 0..MAX_STEPS {
        let step = step(tenant, limiter);
        changed |= step.changed;
        if !step.more || stop.is_triggered() {
            break;
        }
    }
    changed
}
