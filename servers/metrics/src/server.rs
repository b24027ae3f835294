//! Wires the parts and runs them: open the store, listen, replay, load the configuration, scrape; at the end the other way round.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use kit::Shutdown;
use kit::config::Reloader;
use kit::http::{Cors, HttpMetrics, ServeOptions};
use kit::metrics::Registry;
use kit::yaml::ConfigError;
use promql::{EngineOptions, ParserOptions};
use tokio::sync::Semaphore;
use tsdb::{Db, Options, RealFiles, SyncPolicy};

use crate::api::router;
use crate::config::{Config, LoadOptions};
use crate::discovery::{Discovery, DiscoveryMetrics};
use crate::flags::{Flags, WalSync};
use crate::ingest::Store;
use crate::notices::{Notice, Notices};
use crate::otlp::OtlpMetrics;
use crate::queries::{Queries, QuerySettings};
use crate::remote::WriteMetrics;
use crate::remote_read::ReadLimits;
use crate::remote_send::Outbox;
use crate::remote_source::Fanout;
use crate::retention::{self, RetentionFlags};
use crate::rules::file::{load_groups, promql as read_promql};
use crate::rules::{GroupSettings, Notifier, RuleOptions, Rules, StoreBackend};
use crate::scrape::ScrapeManager;
use crate::scrape::metrics::ScrapeMetrics;
use crate::scrape::page::StartTimes;
use crate::state::{Allow, App, Reloads};
use alerting::rules::{External, Group, GroupOptions, RestoreOptions};

/// The server cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The store cannot be opened.
    #[error("cannot open the storage: {0}")]
    Store(#[from] tsdb::Error),
    /// The address cannot be listened on.
    #[error(transparent)]
    Bind(#[from] kit::http::BindError),
    /// Rule files are wrong.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Rules(Vec<ConfigError>),
    /// A flag's value cannot be used.
    #[error("{0}")]
    Flag(String),
}

/// A server that runs.
pub struct Running {
    /// Where it listens.
    pub addresses: Vec<SocketAddr>,
    /// What its handlers see.
    pub app: Arc<App>,
    stop: Shutdown,
    serving: tokio::task::JoinHandle<()>,
    listener_stop: Shutdown,
}

impl Running {
    /// Waits for the shutdown, then stops scraping, answers what was asked, and closes the store.
    pub async fn wait(self) {
        self.stop.triggered().await;
        self.app.is_ready.store(false, Ordering::Release);
        self.app.notices.set(Notice::Stopping, true);
        self.app.notices.close();
        tracing::info!(component = "main", "stopping");
        self.stop.join(Duration::from_secs(30)).await;
        self.listener_stop.trigger();
        if let Err(e) = self.serving.await {
            tracing::error!(component = "main", error = %e, "serving ended badly");
        }
        let db = self.app.db.clone();
        let rules = self.app.rules.clone();
        let closed = tokio::task::spawn_blocking(move || {
            rules.save();
            db.close()
        })
        .await;
        match closed {
            Ok(Ok(())) => tracing::info!(component = "main", "the storage is closed"),
            Ok(Err(e)) => tracing::error!(component = "main", error = %e, "closing the storage failed"),
            Err(e) => tracing::error!(component = "main", error = %e, "closing the storage failed"),
        }
    }
}

/// Starts a server and runs it until the shutdown.
///
/// # Errors
/// When it cannot start.
pub async fn run(flags: Flags, stop: Shutdown) -> Result<(), StartError> {
    start(flags, stop).await?.wait().await;
    Ok(())
}

/// Starts a server: when this returns it listens, and becomes ready once its log is read.
///
/// # Errors
/// When the configuration is wrong, the store cannot be opened or an address is taken.
pub async fn start(flags: Flags, stop: Shutdown) -> Result<Running, StartError> {
    let config = Config::load(&flags.config_file, load_options(&flags))?;
    let cors = Cors::new(&flags.cors_origin).map_err(|e| StartError::Flag(format!("web.cors.origin: {e}")))?;
    let registry = Registry::new();
    registry.process_metrics();
    registry.build_info(
        "prometheus",
        &[
            ("version", crate::api::version()),
            ("revision", "foursight"),
            ("branch", "HEAD"),
            ("goversion", ""),
            ("goos", "linux"),
            ("goarch", std::env::consts::ARCH),
            ("tags", ""),
        ],
    );
    let mut listeners = Vec::new();
    for address in &flags.listen_address {
        listeners.push(kit::http::bind(address).await?);
    }
    let addresses: Vec<SocketAddr> = listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect();
    let (options, sync_every) = store_options(&flags, &config);
    let directory = flags.storage_path.clone();
    let opened = tokio::task::spawn_blocking(move || {
        let db = Db::start(Arc::new(RealFiles), directory, options)?;
        Ok::<_, tsdb::Error>(Arc::new(db))
    })
    .await;
    let db = opened.map_err(|e| StartError::Flag(format!("opening the storage failed: {e}")))??;
    crate::store_metrics::register(&registry, &db);
    let user_agent = format!("Prometheus/{}", crate::api::version());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let settings = QuerySettings {
        engine: EngineOptions {
            parser: ParserOptions {
                experimental_functions: flags.has("promql-experimental-functions"),
                duration_expressions: true,
                extended_range_selectors: flags.has("promql-extended-range-selectors"),
                fill_modifiers: flags.has("promql-binop-fill-modifiers"),
            },
            lookback_ms: flags.lookback_delta.0,
            delayed_name_removal: flags.has("promql-delayed-name-removal"),
            type_and_unit_labels: flags.has("type-and-unit-labels"),
            use_start_timestamps: flags.has("use-start-timestamps"),
            ..EngineOptions::default()
        },
        concurrency: flags.query_concurrency.max(1),
        timeout: flags.query_timeout.to_std(),
        limits: promql::Limits { samples: flags.query_max_samples, ..promql::Limits::default() },
        threads,
        active_file: Some(flags.storage_path.join("queries.active")),
    };
    let peers = Fanout::new(db.clone(), &user_agent);
    let queries = Queries::new(settings, peers.clone(), db.clone(), &registry);
    let work = stop.child();
    let discovery_metrics = DiscoveryMetrics::new(&registry);
    let (discovery, mut changed) = Discovery::new("scrape", discovery_metrics.clone(), work.clone(), &user_agent);
    let start_times =
        StartTimes { zero_sample: flags.has("created-timestamp-zero-ingestion"), store: flags.has("st-storage") };
    let outbox = Outbox::new(&flags.storage_path, db.clone(), &registry, work.clone(), &user_agent);
    let store = Store::new(db.clone(), outbox);
    let scrapes = ScrapeManager::new(
        store.clone(),
        discovery.clone(),
        ScrapeMetrics::new(&registry),
        work.clone(),
        &user_agent,
        start_times,
    );
    let (notify_discovery, _) = Discovery::new("notify", discovery_metrics, work.clone(), &user_agent);
    let notifier = Notifier::new(flags.notification_queue_capacity, notify_discovery, &registry, &user_agent);
    let restore =
        RestoreOptions { outage_tolerance_ms: flags.for_outage_tolerance.0, grace_period_ms: flags.for_grace_period.0 };
    let backend = Arc::new(StoreBackend::new(queries.clone(), store.clone(), notifier.clone()));
    let rules = Rules::new(&flags.storage_path, restore, backend, &registry, work.clone());
    let external_url = external_url(&flags, addresses.first());
    let groups = load_rules(&flags, &external_url, &queries, &config).map_err(StartError::Rules)?;
    let (mut reloader, reload) =
        Reloader::new(flags.has("auto-reload-config").then(|| flags.auto_reload_interval.to_std()));
    reloader.watch(vec![flags.config_file.clone()]);
    let prefix = route_prefix(&flags);
    let retention = RetentionFlags::new(&flags).with(&config);
    let retention_text = ArcSwap::from_pointee(retention::describe(&retention, &retention::classes(&config)));
    let app = Arc::new(App {
        otlp: OtlpMetrics::new(&registry),
        writes: WriteMetrics::new(&registry, db.raw_keys()),
        reloads: Reloads::new(&registry),
        notices: Notices::default(),
        db: db.clone(),
        store,
        queries,
        scrapes: scrapes.clone(),
        rules: rules.clone(),
        notifier: notifier.clone(),
        discovery: discovery.clone(),
        config: ArcSwap::from_pointee(config),
        registry: registry.clone(),
        flags: flags.by_name(),
        allow: Allow {
            lifecycle: flags.enable_lifecycle,
            admin: flags.enable_admin_api,
            remote_write: flags.enable_remote_write_receiver,
            remote_write_v2: flags.accepted_messages.iter().any(|message| message == "io.prometheus.write.v2.Request"),
            otlp: flags.enable_otlp_receiver,
        },
        per_step_stats: flags.has("promql-per-step-stats"),
        started_ms: kit::time::now_ms(),
        cwd: std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")),
        external_url,
        retention: RetentionFlags::new(&flags),
        retention_text,
        reload,
        stop: stop.clone(),
        lookback: flags.lookback_delta.to_std(),
        peers,
        read_limits: ReadLimits {
            samples: flags.remote_read_sample_limit,
            concurrency: flags.remote_read_concurrency.max(1),
        },
        read_slots: Arc::new(Semaphore::new(flags.remote_read_concurrency.max(1))),
        is_ready: AtomicBool::new(false),
        in_flight: AtomicU64::new(0),
    });
    app.notices.set(Notice::Starting, true);
    registry.gauge_fn(
        "prometheus_ready",
        "Whether Prometheus startup was fully completed and the server is ready for normal operation.",
        {
            let app = Arc::downgrade(&app);
            move || app.upgrade().map_or(0.0, |app| f64::from(u8::from(app.is_ready.load(Ordering::Relaxed))))
        },
    );
    let http_metrics = HttpMetrics::new(
        &registry,
        [
            "prometheus_http_requests_total",
            "prometheus_http_request_duration_seconds",
            "prometheus_http_response_size_bytes",
        ],
    );
    retention::register(&registry, &app);
    let routes = router(app.clone(), cors, http_metrics, &prefix);
    let serve = ServeOptions {
        web_config: flags.web_config_file.clone(),
        max_connections: flags.max_connections,
        read_timeout: flags.read_timeout.to_std(),
        ..ServeOptions::default()
    };
    // The listener outlives the work: what scrapes and rules still send is answered until the end.
    let listener_stop = Shutdown::new();
    let serving = tokio::spawn({
        let stop = listener_stop.clone();
        async move {
            if let Err(e) = kit::http::serve(listeners, routes, serve, stop).await {
                tracing::error!(component = "web", error = %e, "serving failed");
            }
        }
    });
    for address in &addresses {
        tracing::info!(component = "web", address = %address, "listening");
    }
    stop.spawn("start-up", start_up(app.clone(), groups, work.clone()));
    stop.spawn("notifier", notifier.queue.clone().run(work.clone()));
    stop.spawn("discovery", {
        let (scrapes, work) = (scrapes.clone(), work.clone());
        async move {
            loop {
                tokio::select! {
                    job = changed.recv() => match job {
                        Some(job) => scrapes.sync(&job),
                        None => return,
                    },
                    () = work.triggered() => return,
                }
            }
        }
    });
    stop.spawn("maintenance", maintain(app.clone(), sync_every, work.clone()));
    stop.spawn("compaction", compact(app.clone(), work.clone()));
    stop.spawn("reload", {
        let (app, work) = (app.clone(), work.clone());
        async move {
            while let Some(request) = reloader.next(&work).await {
                tracing::info!(component = "main", cause = request.cause, "loading the configuration");
                let result = load_again(&app, &flags).await;
                app.reloads.record(result.is_ok(), kit::time::now_ms());
                app.notices.set(Notice::NotReloaded, result.is_err());
                if let Err(reason) = &result {
                    tracing::error!(
                        component = "main",
                        err = reason,
                        "the configuration was refused, the old one stays in force"
                    );
                }
                request.done(result);
            }
        }
    });
    Ok(Running { addresses, app, stop, serving, listener_stop })
}

/// Reads the log, then begins to scrape.
async fn start_up(app: Arc<App>, groups: Vec<Group>, work: Shutdown) {
    let begun = std::time::Instant::now();
    let db = app.db.clone();
    match tokio::task::spawn_blocking(move || db.replay()).await {
        Ok(Ok(())) => {}
        Ok(Err(e)) => {
            tracing::error!(component = "tsdb", error = %e, "reading the log failed: the server stops");
            app.stop.trigger();
            return;
        }
        Err(e) => {
            tracing::error!(component = "tsdb", error = %e, "reading the log failed: the server stops");
            app.stop.trigger();
            return;
        }
    }
    for damage in app.db.damage() {
        tracing::warn!(component = "tsdb", damage = %damage, "damaged data was left out");
    }
    if work.is_triggered() {
        return;
    }
    apply(&app, groups);
    app.reloads.record(true, kit::time::now_ms());
    app.notices.set(Notice::Starting, false);
    app.is_ready.store(true, Ordering::Release);
    tracing::info!(
        component = "main",
        took_ms = begun.elapsed().as_millis() as u64,
        "the server is ready to receive web requests"
    );
}

/// Puts the loaded configuration into force.
fn apply(app: &App, groups: Vec<Group>) {
    let config = app.config.load_full();
    let (retention, classes) = (app.retention.with(&config), retention::classes(&config));
    app.retention_text.store(Arc::new(retention::describe(&retention, &classes)));
    app.db.set_retention(retention, classes);
    app.discovery.apply(config.scrape_configs.iter().map(|job| (job.job_name.as_str(), &job.discovery)));
    // Before anything comes in: what comes is to be sent too.
    app.store.outbox().apply(&config);
    app.peers.apply(&config);
    app.scrapes.apply(&config);
    app.notifier.apply(&config);
    app.queries.set_subquery_step(config.global.evaluation_interval_ms);
    app.rules.apply(groups);
    if let Err(e) = app.queries.set_log(config.global.query_log_file.as_deref()) {
        tracing::error!(component = "queries", error = %e, "the log of queries cannot be opened");
    }
}

/// Reads the rule files of a configuration.
fn load_rules(
    flags: &Flags,
    external_url: &str,
    queries: &Queries,
    config: &Config,
) -> Result<Vec<Group>, Vec<ConfigError>> {
    let canonical = read_promql(queries.engine().options().parser);
    load_groups(&GroupSettings {
        patterns: &config.rule_files,
        rules: RuleOptions { canonical: &canonical, validation: config.global.name_validation, ignore_unknown: false },
        groups: GroupOptions {
            interval_ms: config.global.evaluation_interval_ms,
            query_offset_ms: config.global.rule_query_offset_ms,
            resend_delay_ms: flags.resend_delay.0,
            external: External { labels: config.external_labels().clone(), url: external_url.to_owned() },
            wait_for_restore: true,
        },
    })
}

async fn load_again(app: &Arc<App>, flags: &Flags) -> Result<(), String> {
    let (worker, flags) = (app.clone(), flags.clone());
    let (config, groups) = tokio::task::spawn_blocking(move || {
        let config = Config::load(&flags.config_file, load_options(&flags)).map_err(|e| e.to_string())?;
        let groups = load_rules(&flags, &worker.external_url, &worker.queries, &config)
            .map_err(|errors| StartError::Rules(errors).to_string())?;
        Ok::<_, String>((config, groups))
    })
    .await
    .map_err(|e| e.to_string())??;
    app.config.store(Arc::new(config));
    if app.is_ready.load(Ordering::Acquire) {
        apply(app, groups);
    }
    Ok(())
}

async fn maintain(app: Arc<App>, sync_every: Option<Duration>, work: Shutdown) {
    let pause = sync_every.unwrap_or(Duration::from_secs(1)).min(Duration::from_secs(1));
    let limiter = kit::log::Limiter::new(Duration::from_secs(60));
    while work.sleep(pause).await {
        if app.db.stats().replaying.is_some() {
            continue;
        }
        let db = app.db.clone();
        let rules = app.rules.clone();
        let outbox = app.store.outbox().clone();
        let done = tokio::task::spawn_blocking(move || {
            rules.save();
            outbox.maintain();
            db.maintain(kit::time::now_ms())
        })
        .await;
        let failure = match done {
            Ok(Ok(_)) => continue,
            Ok(Err(e)) => e.to_string(),
            Err(e) => e.to_string(),
        };
        if let Some(more) = limiter.allow(&failure) {
            tracing::error!(component = "tsdb", error = failure, repeated = more, "maintenance of the storage failed");
        }
    }
}

/// Merges blocks in a thread of its own, one after the other while there is something to merge.
async fn compact(app: Arc<App>, work: Shutdown) {
    const PAUSE: Duration = Duration::from_secs(60);
    let limiter = kit::log::Limiter::new(Duration::from_secs(600));
    while work.sleep(PAUSE).await {
        loop {
            if app.db.stats().replaying.is_some() || work.is_triggered() {
                break;
            }
            let db = app.db.clone();
            match tokio::task::spawn_blocking(move || db.compact(kit::time::now_ms())).await {
                Ok(Ok(Some(_))) => {}
                Ok(Ok(None) | Err(tsdb::Error::Closed)) => break,
                Ok(Err(e)) => {
                    let failure = e.to_string();
                    if let Some(more) = limiter.allow(&failure) {
                        tracing::error!(component = "tsdb", error = failure, repeated = more, "merging blocks failed");
                    }
                    break;
                }
                Err(e) => {
                    tracing::error!(component = "tsdb", error = %e, "merging blocks failed");
                    break;
                }
            }
        }
    }
}

fn load_options(flags: &Flags) -> LoadOptions {
    // Only messages carry start times as they are.
    let prefer_protobuf = flags.has("created-timestamp-zero-ingestion") || flags.has("st-storage");
    LoadOptions { prefer_protobuf, ..LoadOptions::default() }
}

fn store_options(flags: &Flags, config: &Config) -> (Options, Option<Duration>) {
    let (wal_sync, sync_every) = match flags.wal_sync {
        WalSync::Always => (SyncPolicy::Always, None),
        WalSync::Interval(ms) => {
            (SyncPolicy::Interval, Some(Duration::from_millis(u64::try_from(ms).unwrap_or(1_000))))
        }
        WalSync::Never => (SyncPolicy::Never, None),
    };
    let options = Options {
        wal_sync,
        retention: RetentionFlags::new(flags).with(config),
        retention_classes: retention::classes(config),
        out_of_order_window_ms: config.storage.out_of_order_window_ms,
        max_exemplars: match config.storage.max_exemplars {
            Some(most) => usize::try_from(most).unwrap_or(0),
            None => Options::default().max_exemplars,
        },
        ..Options::default()
    };
    (options, sync_every)
}

fn external_url(flags: &Flags, address: Option<&SocketAddr>) -> String {
    if !flags.external_url.is_empty() {
        return flags.external_url.trim_end_matches('/').to_owned();
    }
    let port = address.map_or(9090, SocketAddr::port);
    format!("http://{}:{port}", crate::hostname())
}

/// The prefix of all routes: as given, else the path of the external URL.
fn route_prefix(flags: &Flags) -> String {
    let path = match &flags.route_prefix {
        Some(prefix) => prefix.clone(),
        None => flags
            .external_url
            .split_once("://")
            .and_then(|(_, rest)| rest.split_once('/'))
            .map(|(_, path)| path.to_owned())
            .unwrap_or_default(),
    };
    match path.trim_matches('/') {
        "" => String::new(),
        path => format!("/{path}"),
    }
}
