//! `foursight up`: all four hosts in one process on the loopback device, with demo traffic, ready dashboards and alert rules.
//!
//! The parts are the same servers that run alone, and talk to each other over HTTP as they do on four machines. Configuration
//! files are written into the data directory and read from there.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use kit::Shutdown;
use kit::http::ServeOptions;

use crate::run::{block_on, flags};
use crate::{defaults, slack};

/// Flags of `up`.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "foursight up",
    about = "All four hosts in one process, with demo traffic, dashboards and alerts",
    version
)]
pub(crate) struct Up {
    /// Where everything is kept.
    #[arg(long, default_value = "data", value_name = "DIR")]
    data: PathBuf,
    /// Slack's incoming webhook; without one the messages are shown on a page of ours.
    #[arg(long, value_name = "URL")]
    slack_url: Option<String>,
    /// Send no demo traffic.
    #[arg(long)]
    quiet_traffic: bool,
    /// Run no Titan (and no traffic): another application takes its place.
    #[arg(long)]
    no_titan: bool,
    /// Address that everything listens on.
    #[arg(long, default_value = "127.0.0.1", value_name = "IP")]
    listen: std::net::IpAddr,
    /// Port of Titan.
    #[arg(long, default_value_t = 5000)]
    titan_port: u16,
    /// Port of the node exporter.
    #[arg(long, default_value_t = 9100)]
    node_port: u16,
    /// Port of the agent.
    #[arg(long, default_value_t = 12345)]
    agent_port: u16,
    /// Port of the metrics server.
    #[arg(long, default_value_t = 9090)]
    metrics_port: u16,
    /// Port of the log server.
    #[arg(long, default_value_t = 3100)]
    logs_port: u16,
    /// Port of the dashboards.
    #[arg(long, default_value_t = 3000)]
    dashboards_port: u16,
    /// Port of the page that shows Slack messages.
    #[arg(long, default_value_t = 3001)]
    slack_port: u16,
    /// Only log messages with the given severity or above.
    #[arg(long = "log.level", default_value = "warn")]
    log_level: kit::log::Level,
}

/// How long the other hosts wait for the web host to listen.
const WEB_HOST_PATIENCE: Duration = Duration::from_secs(3);

/// What failed, and which part it was.
#[derive(Debug, thiserror::Error)]
enum UpError {
    #[error("{0}: {1}")]
    Part(&'static str, String),
    #[error("cannot write {0}: {1}")]
    Files(PathBuf, std::io::Error),
}

/// Names a part in an error.
fn part<E: std::fmt::Display>(name: &'static str) -> impl Fn(E) -> UpError {
    move |e| UpError::Part(name, e.to_string())
}

pub(crate) fn command(args: Vec<String>) -> ExitCode {
    let up: Up = flags("up", args);
    kit::log::init(up.log_level, kit::log::Format::Logfmt);
    block_on(async |stop| run(up, stop).await)
}

async fn run(up: Up, stop: Shutdown) -> Result<(), UpError> {
    std::fs::create_dir_all(&up.data).map_err(|e| UpError::Files(up.data.clone(), e))?;
    let data = up.data.canonicalize().map_err(|e| UpError::Files(up.data.clone(), e))?;
    let _lock = kit::files::DirLock::acquire(&data).map_err(part("data directory"))?;
    let address = |port: u16| SocketAddr::new(up.listen, port).to_string();
    let url = |port: u16| format!("http://{}", address(port));
    let receiver = match &up.slack_url {
        Some(_) => None,
        None => Some(receive_slack(&data, &address(up.slack_port), &stop).await?),
    };
    let config = data.join("config");
    let slack_url = up.slack_url.clone().unwrap_or_else(|| format!("{}/hook", url(up.slack_port)));
    let text = |path: &Path| path.display().to_string();
    let values = BTreeMap::from([
        ("METRICS_ADDRESS", address(up.metrics_port)),
        ("LOGS_ADDRESS", address(up.logs_port)),
        ("DASHBOARDS_ADDRESS", address(up.dashboards_port)),
        ("NODE_ADDRESS", address(up.node_port)),
        ("TITAN_ADDRESS", address(up.titan_port)),
        ("AGENT_ADDRESS", address(up.agent_port)),
        ("METRICS_URL", url(up.metrics_port)),
        ("LOGS_URL", url(up.logs_port)),
        ("TITAN_URL", url(up.titan_port)),
        ("NODE_URL", url(up.node_port)),
        ("AGENT_URL", url(up.agent_port)),
        ("LOGS_HOST", up.listen.to_string()),
        ("LOGS_PORT", up.logs_port.to_string()),
        ("DASHBOARDS_HOST", up.listen.to_string()),
        ("DASHBOARDS_PORT", up.dashboards_port.to_string()),
        ("LOGS_DATA", text(&data.join("logs"))),
        ("DASHBOARDS_DATA", text(&data.join("dashboards"))),
        ("LOG_DIR", text(&data.join("titan/logs"))),
        ("PROVISIONING_DIR", text(&config.join("provisioning"))),
        ("DASHBOARDS_DIR", text(&config.join("dashboards"))),
        ("SLACK_URL", slack_url),
        ("SLACK_PAGE", if receiver.is_some() { url(up.slack_port) } else { String::new() }),
    ]);
    defaults::write(&config, &values).map_err(|e| UpError::Files(config.clone(), e))?;

    let metrics_flags = metrics::Flags::from_args([
        format!("--config.file={}", text(&config.join("prometheus.yml"))),
        format!("--storage.tsdb.path={}", text(&data.join("metrics"))),
        format!("--web.listen-address={}", address(up.metrics_port)),
        "--web.enable-remote-write-receiver".to_owned(),
        "--web.enable-lifecycle".to_owned(),
    ])
    .map_err(part("metrics"))?;
    // What is asked stands before those who ask: the agent finds the logs, scrapes find their targets. At the end feeders go first.
    let logs_flags =
        logs::Flags::from_args([format!("-config.file={}", text(&config.join("loki.yaml")))]).map_err(part("logs"))?;
    let logs = logs::start(logs_flags, stop.child()).await.map_err(part("logs"))?;
    let feeders = stop.child();
    start_web_host(&up, &data, &config, &address, &feeders).await?;
    let metrics = metrics::start(metrics_flags, stop.child()).await.map_err(part("metrics"))?;
    let dashboards_flags = dashboards::Flags::from_args([format!("--config={}", text(&config.join("grafana.ini")))])
        .map_err(part("dashboards"))?;
    let dashboards = dashboards::start(dashboards_flags, stop.child()).await.map_err(part("dashboards"))?;

    announce(&up, &url, receiver.is_some());
    stop.triggered().await;
    feeders.join(Duration::from_secs(10)).await;
    dashboards.wait().await;
    logs.wait().await;
    metrics.wait().await;
    stop.join(Duration::from_secs(5)).await;
    Ok(())
}

async fn receive_slack(data: &Path, address: &str, stop: &Shutdown) -> Result<Arc<slack::Receiver>, UpError> {
    let file = data.join("slack.jsonl");
    let receiver = slack::Receiver::open(&file).map_err(|e| UpError::Files(file, e))?;
    let listener = kit::http::bind(address).await.map_err(part("slack page"))?;
    let (routes, token) = (slack::router(receiver.clone()), stop.clone());
    stop.spawn("slack page", async move {
        if let Err(e) = kit::http::serve(vec![listener], routes, ServeOptions::default(), token).await {
            tracing::error!(component = "slack", error = %e, "serving failed");
        }
    });
    Ok(receiver)
}

async fn start_web_host(
    up: &Up,
    data: &Path,
    config: &Path,
    address: &impl Fn(u16) -> String,
    stop: &Shutdown,
) -> Result<(), UpError> {
    let node = web::node::NodeFlags { listen: vec![address(up.node_port)], ..Default::default() };
    spawn("node exporter", stop, web::node::run(node, stop.clone()));
    if !up.no_titan {
        let titan = web::titan::TitanConfig::parse_from([
            "titan".to_owned(),
            format!("--listen-address={}", address(up.titan_port)),
            format!("--log-dir={}", data.join("titan/logs").display()),
        ]);
        spawn("titan", stop, web::titan::run(titan, stop.clone()));
        if !up.quiet_traffic {
            let traffic = web::traffic::TrafficConfig::parse_from([
                "traffic".to_owned(),
                format!("--target=http://{}", address(up.titan_port)),
                "--quiet".to_owned(),
            ]);
            let token = stop.clone();
            spawn("traffic", stop, async move { web::traffic::run(traffic, token).await.map(|_| ()) });
        }
    }
    let mut agent = web::agent::AgentConfig::new(config.join("config.alloy"));
    agent.listen = address(up.agent_port);
    agent.storage = data.join("agent");
    spawn("agent", stop, web::agent::run(agent, None, stop.clone()));
    let titan = (!up.no_titan).then_some(up.titan_port);
    let listening = async {
        for port in [up.node_port, up.agent_port].into_iter().chain(titan) {
            while tokio::net::TcpStream::connect(address(port)).await.is_err() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    };
    // One that cannot listen has said so in the log; the others do not wait for it.
    let _ = tokio::time::timeout(WEB_HOST_PATIENCE, listening).await;
    Ok(())
}

/// Runs a part of the web host; when it cannot run, the others go on and the log says what is missing.
fn spawn<E: std::fmt::Display>(
    name: &'static str,
    stop: &Shutdown,
    work: impl Future<Output = Result<(), E>> + Send + 'static,
) {
    stop.spawn(name, async move {
        if let Err(e) = work.await {
            tracing::error!(component = name, error = %e, "cannot run");
        }
    });
}

fn announce(up: &Up, url: &impl Fn(u16) -> String, slack_page: bool) {
    println!("\nFoursight is up.\n");
    println!("  dashboards  {}", url(up.dashboards_port));
    println!("  metrics     {}", url(up.metrics_port));
    println!("  logs        {}", url(up.logs_port));
    println!("  web host    {} (node exporter :{}, agent :{})", url(up.titan_port), up.node_port, up.agent_port);
    if slack_page {
        println!("  messages    {} (what would go to Slack; --slack-url sends it there)", url(up.slack_port));
    }
    println!("\nEverything is kept in {}. Ctrl-C stops it.", up.data.display());
    println!("Make an alert fire: foursight traffic --profile error-burst --target {}\n", url(up.titan_port));
}
