//! Pools of targets, one a job, kept in step with configuration and discovery.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kit::Shutdown;
use kit::client::Client;
use model::Labels;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::metrics::ScrapeMetrics;
use super::page::{PageStore, StartTimes};
use super::target::{Made, Target, discovered_labels, make};
use super::task::Task;
use crate::config::{Config, ScrapeConfig};
use crate::discovery::{Discovery, Group};
use crate::ingest::Store;

/// Dropped targets that a job remembers when it is not told how many.
const DROPPED_KEPT: usize = 10_000;

/// See the module.
pub struct ScrapeManager {
    db: Store,
    metrics: ScrapeMetrics,
    discovery: Arc<Discovery>,
    pools: Mutex<BTreeMap<String, Pool>>,
    stop: Shutdown,
    user_agent: String,
    start_times: StartTimes,
}

struct Pool {
    job: Arc<ScrapeConfig>,
    client: Result<Client, String>,
    /// The job's settings as text: what a target's state depends on.
    settings: Option<String>,
    running: HashMap<TargetKey, Running>,
    /// What tasks that were stopped leave to the next ones for their targets.
    inheritance: HashMap<TargetKey, oneshot::Receiver<PageStore>>,
    dropped: VecDeque<Labels>,
    dropped_count: usize,
}

type TargetKey = (Labels, String, Duration, Duration);

struct Running {
    target: Arc<Target>,
    stop: Shutdown,
    ends_series: Arc<AtomicBool>,
    state: oneshot::Receiver<PageStore>,
}

/// A job's targets, for the API.
#[derive(Clone, Debug)]
pub struct PoolView {
    /// Name of the job.
    pub name: String,
    /// Its configuration.
    pub job: Arc<ScrapeConfig>,
    /// Targets that are scraped.
    pub active: Vec<Arc<Target>>,
    /// Labels of dropped targets, as discovered.
    pub dropped: Vec<Labels>,
    /// How many were dropped.
    pub dropped_count: usize,
    /// Why the job cannot be scraped as configured, if so.
    pub problem: Option<String>,
}

impl ScrapeManager {
    /// A manager without jobs; [`ScrapeManager::apply`] gives it some.
    pub fn new(
        db: Store,
        discovery: Arc<Discovery>,
        metrics: ScrapeMetrics,
        stop: Shutdown,
        user_agent: &str,
        start_times: StartTimes,
    ) -> Arc<Self> {
        let user_agent = user_agent.to_owned();
        Arc::new(Self { db, metrics, discovery, pools: Mutex::default(), stop, user_agent, start_times })
    }

    /// Takes over a configuration: jobs that are gone end, changed ones begin anew, others go on.
    pub fn apply(&self, config: &Config) {
        {
            let mut pools = self.pools.lock();
            let names: Vec<String> = pools.keys().cloned().collect();
            for name in names {
                if !config.scrape_configs.iter().any(|job| job.job_name == name)
                    && let Some(mut pool) = pools.remove(&name)
                {
                    pool.end();
                }
            }
            for job in &config.scrape_configs {
                self.metrics.pools.inc();
                self.metrics.pool_target_limit.with(&[&job.job_name]).set(job.limits.targets as f64);
                let client = Client::new(&job.http, &self.user_agent).map_err(|e| e.to_string());
                if let Err(reason) = &client {
                    self.metrics.pools_failed.inc();
                    tracing::error!(
                        component = "scrape",
                        scrape_pool = job.job_name,
                        err = reason,
                        "the job cannot be scraped"
                    );
                }
                let settings = config.job_yaml(&job.job_name);
                let job = Arc::new(job.clone());
                match pools.get_mut(&job.job_name) {
                    Some(pool) => {
                        self.metrics.pool_reloads.inc();
                        if client.is_err() {
                            self.metrics.pool_reloads_failed.inc();
                        }
                        // Other settings, other tasks; the series of targets that stay do not end.
                        pool.inheritance = pool.hand_over();
                        if pool.settings != settings {
                            // What was known of pages may not hold under other rules.
                            pool.inheritance.clear();
                        }
                        pool.settings = settings;
                        pool.job = job;
                        pool.client = client;
                    }
                    None => {
                        let pool = Pool {
                            job: job.clone(),
                            client,
                            settings,
                            running: HashMap::new(),
                            inheritance: HashMap::new(),
                            dropped: VecDeque::new(),
                            dropped_count: 0,
                        };
                        pools.insert(job.job_name.clone(), pool);
                    }
                }
            }
        }
        for job in &config.scrape_configs {
            self.sync(&job.job_name);
        }
    }

    /// Takes over what discovery knows of a job now.
    pub fn sync(&self, name: &str) {
        let begun = Instant::now();
        let groups = self.discovery.groups(name);
        let mut pools = self.pools.lock();
        let Some(pool) = pools.get_mut(name) else { return };
        let mut wanted: HashMap<TargetKey, Arc<Target>> = HashMap::new();
        pool.dropped.clear();
        pool.dropped_count = 0;
        let keep = if pool.job.keep_dropped_targets > 0 {
            usize::try_from(pool.job.keep_dropped_targets).unwrap_or(usize::MAX)
        } else {
            DROPPED_KEPT
        };
        for Group { source, targets } in &groups {
            for labels in targets {
                let discovered = discovered_labels(&pool.job, labels);
                match make(&pool.job, discovered.clone(), &pool.job.relabel_rules) {
                    Ok(Made::Target(target)) => {
                        wanted.entry(target.key()).or_insert_with(|| Arc::from(target));
                    }
                    Ok(Made::Dropped) => {
                        pool.dropped_count += 1;
                        if pool.dropped.len() < keep {
                            pool.dropped.push_back(discovered);
                        }
                    }
                    Err(reason) => {
                        self.metrics.sync_failed.with(&[name]).inc();
                        tracing::error!(
                            component = "scrape",
                            scrape_pool = name,
                            source,
                            err = reason,
                            "creating a target failed"
                        );
                    }
                }
            }
        }
        let limit = pool.job.limits.targets;
        if limit > 0 && wanted.len() as u64 > limit {
            self.metrics.pool_exceeded_targets.inc();
            tracing::error!(
                component = "scrape",
                scrape_pool = name,
                targets = wanted.len(),
                limit,
                "more targets than target_limit: the job is not scraped"
            );
            wanted.clear();
        }
        pool.running.retain(|key, running| {
            let stays = wanted.contains_key(key);
            if !stays {
                running.ends_series.store(true, Ordering::Relaxed);
                running.stop.trigger();
            }
            stays
        });
        for (key, target) in wanted {
            if pool.running.contains_key(&key) {
                continue;
            }
            let Ok(client) = &pool.client else { continue };
            let stop = self.stop.child();
            let ends_series = Arc::new(AtomicBool::new(false));
            let (bequeaths, state) = oneshot::channel();
            let task = Task {
                target: target.clone(),
                job: pool.job.clone(),
                client: client.clone(),
                db: self.db.clone(),
                metrics: self.metrics.clone(),
                stop: stop.clone(),
                ends_series: ends_series.clone(),
                server_stop: self.stop.clone(),
                start_times: self.start_times,
                inherits: pool.inheritance.remove(&key),
                bequeaths,
            };
            self.stop.spawn("scrape", task.run());
            pool.running.insert(key, Running { target, stop, ends_series, state });
        }
        pool.inheritance.clear();
        self.metrics.pool_targets.with(&[name]).set(pool.running.len() as f64);
        self.metrics.pool_syncs.with(&[name]).inc();
        self.metrics.sync_length.with(&[name]).observe(begun.elapsed().as_secs_f64());
    }

    /// The jobs and their targets, by name.
    pub fn view(&self) -> Vec<PoolView> {
        let pools = self.pools.lock();
        pools
            .iter()
            .map(|(name, pool)| {
                let mut active: Vec<_> = pool.running.values().map(|running| running.target.clone()).collect();
                active.sort_by(|a, b| a.labels.cmp(&b.labels));
                let kinds: Vec<_> = pool.job.discovery.others.iter().map(|other| other.kind).collect();
                let problem = match &pool.client {
                    Err(reason) => Some(reason.clone()),
                    Ok(_) if !kinds.is_empty() => {
                        Some(format!("this server does not do {} discovery", kinds.join(", ")))
                    }
                    Ok(_) => None,
                };
                PoolView {
                    name: name.clone(),
                    job: pool.job.clone(),
                    active,
                    dropped: pool.dropped.iter().cloned().collect(),
                    dropped_count: pool.dropped_count,
                    problem,
                }
            })
            .collect()
    }
}

impl Pool {
    /// Stops all tasks; their series end.
    fn end(&mut self) {
        for (_, running) in self.running.drain() {
            running.ends_series.store(true, Ordering::Relaxed);
            running.stop.trigger();
        }
    }

    /// Stops all tasks and returns what they will leave.
    fn hand_over(&mut self) -> HashMap<TargetKey, oneshot::Receiver<PageStore>> {
        self.running
            .drain()
            .map(|(key, running)| {
                running.stop.trigger();
                (key, running.state)
            })
            .collect()
    }
}
