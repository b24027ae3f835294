//! Load for Titan: customers who browse, search, fill carts, order and pay, in one of a few rhythms.
//!
//! Arrivals are random with a given mean rate; [`rate_at`] bends that rate over time by [`Profile`]. Every interval one
//! line says how it went, and a report comes at the end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::header::{COOKIE, HeaderName, HeaderValue, USER_AGENT};
use clap::{Parser, ValueEnum};
use fastrand::Rng;
use kit::Shutdown;
use kit::client::{Client, HttpClientConfig, Request};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::RunError;

/// Rhythm of the load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// An even rate with a gentle wave.
    #[default]
    Steady,
    /// Now and then six times as much for fifteen seconds.
    Spike,
    /// Steady, with faults switched on in Titan now and then and requests that cannot succeed.
    ErrorBurst,
}

/// Settings of the generator.
#[derive(Clone, Debug, Parser)]
#[command(name = "traffic", about = "Load for Titan")]
pub struct TrafficConfig {
    /// Titan's address.
    #[arg(long = "target", default_value = "http://127.0.0.1:5000")]
    pub target: String,
    /// Rhythm.
    #[arg(long = "profile", value_enum, default_value_t = Profile::Steady)]
    pub profile: Profile,
    /// Mean requests a second.
    #[arg(long = "rate", default_value_t = 8.0)]
    pub rate: f64,
    /// Most requests at a time; what would be more is left out and counted.
    #[arg(long = "concurrency", default_value_t = 64)]
    pub concurrency: usize,
    /// How long to run, such as 5m; without it until stopped.
    #[arg(long = "duration", value_parser = parse_duration)]
    pub duration: Option<Duration>,
    /// Time between two summary lines.
    #[arg(long = "interval", value_parser = parse_duration, default_value = "10s")]
    pub interval: Duration,
    /// Seed of who does what; 0 takes another one each time.
    #[arg(long = "seed", default_value_t = 0)]
    pub seed: u64,
    /// Print nothing.
    #[arg(long = "quiet")]
    pub quiet: bool,
}

impl Default for TrafficConfig {
    fn default() -> Self {
        Self {
            target: "http://127.0.0.1:5000".into(),
            profile: Profile::Steady,
            rate: 8.0,
            concurrency: 64,
            duration: None,
            interval: Duration::from_secs(10),
            seed: 0,
            quiet: false,
        }
    }
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    kit::config::GoDuration::parse(text).map(kit::config::GoDuration::to_std)
}

/// Requests a second wanted at a time since the start.
pub fn rate_at(profile: Profile, rate: f64, elapsed: Duration) -> f64 {
    let seconds = elapsed.as_secs_f64();
    let wave = 1.0 + 0.3 * (seconds / 300.0 * std::f64::consts::TAU).sin();
    // Fifteen seconds out of every ninety, the first after half a minute.
    let spike = profile == Profile::Spike && (30.0..45.0).contains(&(seconds % 90.0));
    rate * wave * if spike { 6.0 } else { 1.0 }
}

/// What happened so far.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Answers by hundreds of their status: index 2 is 2xx.
    pub by_class: [u64; 6],
    /// Requests without an answer.
    pub failed: u64,
    /// Requests left out because too many were running.
    pub skipped: u64,
    /// Times of the answers in milliseconds, at most [`MAX_TIMES`].
    times_ms: Vec<f32>,
}

/// Times kept for quantiles.
const MAX_TIMES: usize = 100_000;

impl Report {
    /// Requests sent.
    pub fn sent(&self) -> u64 {
        self.by_class.iter().sum::<u64>() + self.failed
    }

    fn add(&mut self, status: Option<u16>, elapsed: Duration) {
        match status.and_then(|status| self.by_class.get_mut(usize::from(status / 100))) {
            Some(count) => *count += 1,
            None => self.failed += 1,
        }
        if self.times_ms.len() < MAX_TIMES {
            self.times_ms.push(elapsed.as_secs_f32() * 1000.0);
        }
    }

    fn merge(&mut self, other: &Self) {
        for (sum, count) in self.by_class.iter_mut().zip(other.by_class) {
            *sum += count;
        }
        self.failed += other.failed;
        self.skipped += other.skipped;
        let room = MAX_TIMES - self.times_ms.len();
        self.times_ms.extend(other.times_ms.iter().take(room));
    }

    /// A quantile of the times in milliseconds; 0 without any.
    pub fn quantile_ms(&self, q: f64) -> f32 {
        let mut times = self.times_ms.clone();
        times.sort_by(f32::total_cmp);
        let at = (q * times.len() as f64) as usize;
        times.get(at.min(times.len().saturating_sub(1))).copied().unwrap_or(0.0)
    }

    fn line(&self, seconds: f64) -> String {
        format!(
            "sent={} rate={:.1}/s 2xx={} 4xx={} 5xx={} failed={} skipped={} p50={:.0}ms p95={:.0}ms p99={:.0}ms",
            self.sent(),
            self.sent() as f64 / seconds.max(0.001),
            self.by_class[2],
            self.by_class[4],
            self.by_class[5],
            self.failed,
            self.skipped,
            self.quantile_ms(0.5),
            self.quantile_ms(0.95),
            self.quantile_ms(0.99),
        )
    }
}

const USERS: [&str; 12] = ["ada", "bob", "chen", "dana", "emil", "fatma", "gus", "hana", "ivan", "jo", "kim", "lena"];
const AGENTS: [&str; 4] = [
    "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/131.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 Safari/604.1",
    "TitanApp/3.2 (Android 15)",
];
const WORDS: [&str; 8] = ["kettle", "tent", "pan", "atlas", "lamp", "pen", "stove", "xylophone"];
const FAULTS: [&str; 4] = ["payment", "errors", "database", "slow"];

struct Generator {
    client: Client,
    config: TrafficConfig,
    rng: Mutex<Rng>,
    interval: Mutex<Report>,
}

/// Sends requests until the time is over or the shutdown comes; the report says how it went.
///
/// # Errors
/// When the settings make no sense. A target that does not answer is no error but in the report.
pub async fn run(config: TrafficConfig, shutdown: Shutdown) -> Result<Report, RunError> {
    if !(config.rate > 0.0 && config.rate <= 100_000.0) || config.interval.is_zero() || config.concurrency == 0 {
        return Err(RunError::Config("--rate, --interval and --concurrency must be above zero".into()));
    }
    let client = Client::new(&HttpClientConfig::default(), concat!("foursight-traffic/", env!("CARGO_PKG_VERSION")))
        .map_err(|e| RunError::Config(e.to_string()))?;
    let rng = if config.seed == 0 { Rng::new() } else { Rng::with_seed(config.seed) };
    let generator = Arc::new(Generator { client, config, rng: Mutex::new(rng), interval: Mutex::default() });
    let report = generator.clone().run(shutdown).await;
    Ok(report)
}

impl Generator {
    async fn run(self: Arc<Self>, shutdown: Shutdown) -> Report {
        let config = &self.config;
        let slots = Arc::new(Semaphore::new(config.concurrency));
        let start = Instant::now();
        let mut total = Report::default();
        let mut next = start;
        let (mut line_at, mut last_line) = (start + config.interval, start);
        let mut burst_at = start + Duration::from_secs(30);
        let end = config.duration.map(|duration| start + duration);
        loop {
            let rate = rate_at(config.profile, config.rate, start.elapsed());
            let gap = -self.rng.lock().f64().max(1e-9).ln() / rate;
            next += Duration::from_secs_f64(gap.min(60.0));
            let stop = end.is_some_and(|end| next >= end);
            let wake = if stop { end.unwrap_or(next) } else { next };
            if !shutdown.sleep(wake.saturating_duration_since(Instant::now())).await || stop {
                break;
            }
            match slots.clone().try_acquire_owned() {
                Ok(permit) => {
                    let generator = self.clone();
                    tokio::spawn(async move {
                        generator.visit().await;
                        drop(permit);
                    });
                }
                Err(_) => self.interval.lock().skipped += 1,
            }
            if config.profile == Profile::ErrorBurst && Instant::now() >= burst_at {
                burst_at += Duration::from_secs(90);
                let generator = self.clone();
                tokio::spawn(async move { generator.break_something().await });
            }
            if Instant::now() >= line_at {
                self.summary(&mut total, last_line.elapsed());
                last_line = Instant::now();
                line_at = last_line + config.interval;
            }
        }
        // Running requests end by themselves; each has a timeout.
        let all = u32::try_from(config.concurrency).unwrap_or(u32::MAX);
        let _ = tokio::time::timeout(Duration::from_secs(5), slots.acquire_many(all)).await;
        let rest = std::mem::take(&mut *self.interval.lock());
        total.merge(&rest);
        if !config.quiet {
            println!(
                "traffic: total after {:.0}s: {}",
                start.elapsed().as_secs_f64(),
                total.line(start.elapsed().as_secs_f64())
            );
        }
        total
    }

    fn summary(&self, total: &mut Report, time: Duration) {
        let interval = std::mem::take(&mut *self.interval.lock());
        if !self.config.quiet {
            println!("traffic: {}", interval.line(time.as_secs_f64()));
        }
        total.merge(&interval);
    }

    async fn send(&self, user: &str, method: &str, path: &str, body: Option<String>) -> Option<Vec<u8>> {
        let mut request = Request::get(format!("{}{path}", self.config.target));
        request.timeout = Duration::from_secs(10);
        request.max_body = 1 << 20;
        if let Ok(method) = method.parse() {
            request.method = method;
        }
        if let Some(body) = body {
            request.body = body.into();
            request.headers.insert(axum::http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let (agent, address) = {
            let mut rng = self.rng.lock();
            let agent = rng.choice(AGENTS).unwrap_or(AGENTS[0]);
            (agent, format!("203.0.113.{}", rng.u8(1..=254)))
        };
        request.headers.insert(USER_AGENT, HeaderValue::from_static(agent));
        let values = [(COOKIE, format!("session={user}")), (HeaderName::from_static("x-forwarded-for"), address)];
        for (name, value) in values {
            if let Ok(value) = HeaderValue::from_str(&value) {
                request.headers.insert(name, value);
            }
        }
        let start = Instant::now();
        let answer = self.client.send(request).await;
        let status = answer.as_ref().ok().map(|answer| answer.status.as_u16());
        self.interval.lock().add(status, start.elapsed());
        answer.ok().filter(|answer| answer.status.is_success()).map(|answer| answer.body.to_vec())
    }

    /// One arrival: usually one request, sometimes a whole purchase.
    async fn visit(&self) {
        let (user, dice, product, word) = {
            let mut rng = self.rng.lock();
            let user = rng.choice(USERS).unwrap_or(USERS[0]);
            let word = rng.choice(WORDS).unwrap_or(WORDS[0]);
            (user, rng.u32(0..100), rng.u32(1..=60), word)
        };
        let broken = self.config.profile == Profile::ErrorBurst && dice % 10 == 9;
        match dice {
            _ if broken => drop(self.send(user, "GET", "/api/products/0", None).await),
            0..30 => drop(self.send(user, "GET", "/api/products", None).await),
            30..55 => drop(self.send(user, "GET", &format!("/api/products/{product}"), None).await),
            55..68 => drop(self.send(user, "GET", &format!("/api/search?q={word}"), None).await),
            68..76 => drop(self.send(user, "GET", "/api/recommendations", None).await),
            76..82 => drop(self.send(user, "GET", "/api/cart", None).await),
            82..86 => {
                // One login in five has a wrong password.
                let password = if product % 5 == 0 { "oops" } else { "demo" };
                let body = format!("{{\"user\":\"{user}\",\"password\":\"{password}\"}}");
                self.send(user, "POST", "/api/login", Some(body)).await;
            }
            86..88 => drop(self.send(user, "GET", &format!("/old/{word}"), None).await),
            88..90 => drop(self.send(user, "GET", "/health", None).await),
            _ => self.buy(user, product).await,
        }
    }

    async fn buy(&self, user: &str, product: u32) {
        let count = self.rng.lock().u32(1..4);
        let item = format!("{{\"product\":{product},\"count\":{count}}}");
        if self.send(user, "POST", "/api/cart", Some(item)).await.is_none() {
            return;
        }
        let Some(order) = self.send(user, "POST", "/api/orders", None).await else { return };
        let order: Option<serde_json::Value> = serde_json::from_slice(&order).ok();
        if let Some(id) = order.as_ref().and_then(|order| order["id"].as_u64()) {
            self.send(user, "POST", "/api/checkout", Some(format!("{{\"order\":{id}}}"))).await;
            self.send(user, "GET", &format!("/api/orders/{id}"), None).await;
        }
    }

    async fn break_something(&self) {
        let kind = self.rng.lock().choice(FAULTS).unwrap_or(FAULTS[0]);
        let url = format!("{}/admin/fault?kind={kind}&seconds=25&rate=0.6", self.config.target);
        let answer = self.client.send(Request::post(url, "text/plain", "")).await;
        if !self.config.quiet {
            println!("traffic: fault {kind}: {}", if answer.is_ok() { "on for 25 s" } else { "not reached" });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_follow_the_profile() {
        let at = |profile, seconds| rate_at(profile, 10.0, Duration::from_secs(seconds));
        assert_eq!(at(Profile::Steady, 0), 10.0);
        assert!((12.9..13.1).contains(&at(Profile::Steady, 75)));
        assert!(at(Profile::Spike, 35) > 60.0 && at(Profile::Spike, 50) < 20.0);
    }

    #[tokio::test]
    async fn a_bounded_run_against_titan() {
        let dir = tempfile::tempdir().unwrap();
        let config = crate::titan::TitanConfig { delay_factor: 0.0, seed: 1, ..Default::default() };
        let (logs, _writer) = crate::titan::logfile::LogFiles::open(dir.path(), 1 << 20, 1).unwrap();
        let router = crate::titan::router(crate::titan::App::new(&config, logs));
        let listener = kit::http::bind("127.0.0.1:0").await.unwrap();
        let target = format!("http://{}", listener.local_addr().unwrap());
        let shutdown = Shutdown::new();
        tokio::spawn(kit::http::serve(vec![listener], router, Default::default(), shutdown.clone()));
        let traffic = TrafficConfig {
            target,
            rate: 200.0,
            duration: Some(Duration::from_millis(500)),
            seed: 5,
            quiet: true,
            profile: Profile::ErrorBurst,
            ..TrafficConfig::default()
        };
        let report = run(traffic.clone(), shutdown.clone()).await.unwrap();
        assert!(report.sent() > 30 && report.by_class[2] > report.sent() / 2, "{report:?}");
        assert!(report.by_class[4] > 0 && report.failed == 0, "{report:?}");
        shutdown.trigger();
        let stopped = run(TrafficConfig { duration: None, ..traffic }, shutdown).await.unwrap();
        assert_eq!(stopped.sent(), 0);
        assert!(run(TrafficConfig { rate: 0.0, ..TrafficConfig::default() }, Shutdown::new()).await.is_err());
    }
}
