//! The agent: reads a configuration in Alloy's language, builds the graph of components it describes, and runs it.
//!
//! `syntax` is the language, `controller` the graph, `components` what can stand in it, `stages` the steps of
//! `loki.process`, `pipe` what flows between components. [`run`] is the agent as a server: it loads, serves its pages,
//! and replaces the whole graph when it is told to reload; a configuration that cannot be used changes nothing.

pub(crate) mod components;
pub(crate) mod controller;
mod metrics;
pub(crate) mod pipe;
mod server;
pub(crate) mod stages;
pub(crate) mod syntax;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::{ArgAction, Parser, Subcommand};
use kit::Shutdown;
use kit::config::Reloader;
use kit::http::ServeOptions;
use kit::metrics::Registry;
use parking_lot::Mutex;

use crate::RunError;
use components::ExporterMap;
use controller::{Environment, Graph};
use metrics::AgentMetrics;
use syntax::{Args, Body, Diag, Scope, Value};

/// The agent's command line.
#[derive(Clone, Debug, Parser)]
#[command(name = "agent", about = "Collects logs and metrics and sends them on, configured in Alloy's language")]
pub struct AgentCommand {
    /// What to do.
    #[command(subcommand)]
    pub action: AgentAction,
}

/// What the agent can be told to do.
#[derive(Clone, Debug, Subcommand)]
pub enum AgentAction {
    /// Runs a configuration: a file, or a folder of `*.alloy` files.
    Run(AgentConfig),
    /// Checks a configuration and says what is wrong.
    Validate {
        /// The file or folder.
        path: PathBuf,
    },
}

/// Settings of a running agent.
#[derive(Clone, Debug, Parser)]
pub struct AgentConfig {
    /// The file or folder.
    pub path: PathBuf,
    /// Where its pages are served.
    #[arg(long = "server.http.listen-addr", default_value = "127.0.0.1:12345")]
    pub listen: String,
    /// Folder of what it keeps.
    #[arg(long = "storage.path", default_value = "data-alloy/")]
    pub storage: PathBuf,
    /// How long components may take to finish when it stops.
    #[arg(long = "feature.component-shutdown-deadline", default_value = "30s", value_parser = parse_duration)]
    pub shutdown_deadline: Duration,
    /// Web configuration file: TLS, authentication.
    #[arg(long = "web.config.file")]
    pub web_config: Option<PathBuf>,
    /// Accepted: nothing is ever reported.
    #[arg(long = "disable-reporting", action = ArgAction::Set, default_value_t = true, hide = true)]
    pub disable_reporting: bool,
    /// Accepted: everything that is built is stable.
    #[arg(long = "stability.level", default_value = "generally-available", hide = true)]
    pub stability: String,
}

impl AgentConfig {
    /// Settings with everything at its default.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            listen: "127.0.0.1:12345".into(),
            storage: "data-alloy/".into(),
            shutdown_deadline: Duration::from_secs(30),
            web_config: None,
            disable_reporting: true,
            stability: "generally-available".into(),
        }
    }
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    kit::config::GoDuration::parse(text).map(kit::config::GoDuration::to_std)
}

/// A configuration that was read.
struct Loaded {
    body: Body,
    /// Files and their texts, for showing the line of an error.
    sources: Vec<(PathBuf, String)>,
}

/// Reads a file, or all `*.alloy` files of a folder as one configuration.
fn load(path: &Path) -> Result<Loaded, String> {
    let mut files = vec![path.to_owned()];
    if path.is_dir() {
        let entries = std::fs::read_dir(path).map_err(|e| format!("{}: {e}", path.display()))?;
        files = entries.flatten().map(|entry| entry.path()).collect();
        files.retain(|file| file.extension().is_some_and(|extension| extension == "alloy"));
        files.sort();
        if files.is_empty() {
            return Err(format!("{}: no *.alloy file in this folder", path.display()));
        }
    }
    let (mut body, mut sources) = (Body::default(), Vec::new());
    for file in files {
        let text = std::fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
        let mut parsed = syntax::parse(&file.display().to_string(), &text).map_err(|diag| diag.render(&text))?;
        body.attributes.append(&mut parsed.attributes);
        body.blocks.append(&mut parsed.blocks);
        sources.push((file, text));
    }
    Ok(Loaded { body, sources })
}

impl Loaded {
    fn render(&self, diag: &Diag) -> String {
        let source = self.sources.iter().find(|(file, _)| *file.display().to_string() == *diag.pos.file);
        source.map_or_else(|| diag.to_string(), |(_, text)| diag.render(text))
    }
}

struct NoScope;

impl Scope for NoScope {
    fn lookup(&self, _: &[&str]) -> Option<(Value, usize)> {
        None
    }
}

/// Settings of the `logging` and `http` blocks.
#[derive(Clone, Debug, Default, PartialEq)]
struct Globals {
    level: kit::log::Level,
    format: kit::log::Format,
    /// A web configuration file's content.
    web: Option<String>,
}

fn globals(body: &Body) -> syntax::Result<Globals> {
    let mut globals = Globals::default();
    for block in &body.blocks {
        if !controller::CONFIG_BLOCKS.contains(&block.name.as_str()) {
            continue;
        }
        if !block.label.is_empty() {
            return Err(Diag::new(&block.pos, format!("block {:?} has no label", block.name)));
        }
        let mut args = Args::evaluate(block, &NoScope)?;
        match block.name.as_str() {
            "logging" => {
                let pos = args.pos_of("level");
                let level = args.text_or("level", "info")?;
                globals.level = level.parse().map_err(|message: String| Diag::new(&pos, message))?;
                let pos = args.pos_of("format");
                let format = args.text_or("format", "logfmt")?;
                globals.format = format.parse().map_err(|message: String| Diag::new(&pos, message))?;
                let pos = args.pos_of("write_to");
                if let Some((Value::Array(items), _)) = args.take("write_to")
                    && !items.is_empty()
                {
                    return Err(Diag::new(&pos, "logging.write_to is not supported: the agent logs to standard error"));
                }
                args.text("destination")?;
            }
            "http" => globals.web = web_config(&mut args)?,
            _ => {
                let pos = args.pos_of("enabled");
                if args.bool_or("enabled", false)? {
                    return Err(Diag::new(&pos, "live debugging is not supported by this agent"));
                }
            }
        }
        args.finish()?;
    }
    Ok(globals)
}

/// The `http` block as the web configuration file that the server side reads.
fn web_config(args: &mut Args) -> syntax::Result<Option<String>> {
    let mut out = serde_json::Map::new();
    if let Some(mut tls) = args.block("tls")? {
        let mut server = serde_json::Map::new();
        for (name, key) in [
            ("cert_file", "cert_file"),
            ("key_file", "key_file"),
            ("cert_pem", "cert"),
            ("client_ca_file", "client_ca_file"),
            ("client_ca_pem", "client_ca"),
            ("client_auth_type", "client_auth_type"),
            ("min_version", "min_version"),
            ("max_version", "max_version"),
        ] {
            if let Some(value) = tls.text(name)? {
                let absolute = std::path::absolute(&value).map_or(value.clone(), |path| path.display().to_string());
                let value = if key.ends_with("_file") { absolute } else { value };
                server.insert(key.into(), value.into());
            }
        }
        let key = tls.secret("key_pem")?;
        if !key.is_empty() {
            server.insert("key".into(), key.reveal().into());
        }
        tls.finish()?;
        out.insert("tls_server_config".into(), server.into());
    }
    if let Some(mut auth) = args.block("auth")? {
        if let Some(mut basic) = auth.block("basic")? {
            let (user, password) = (basic.required("username")?, basic.secret("password")?);
            let pos = basic.pos.clone();
            basic.finish()?;
            let hash = bcrypt::hash(password.reveal(), 10).map_err(|error| Diag::new(&pos, error.to_string()))?;
            out.insert("basic_auth_users".into(), serde_json::json!({ user: hash }));
        }
        auth.finish()?;
    }
    Ok((!out.is_empty()).then(|| serde_json::Value::Object(out).to_string()))
}

/// Checks a configuration without running it; its components are built in a folder that is removed again.
///
/// # Errors
/// What is wrong, with file, line and column and the line itself.
pub fn validate(path: &Path) -> Result<(), String> {
    let loaded = load(path)?;
    let render = |diag: Diag| loaded.render(&diag);
    globals(&loaded.body).map_err(render)?;
    let storage = std::env::temp_dir().join(format!("foursight-validate-{}", std::process::id()));
    let registry = Registry::new();
    let environment = Environment {
        storage: storage.clone(),
        metrics: AgentMetrics::new(&registry),
        registry,
        exporters: ExporterMap::default(),
    };
    let built = Graph::build(&loaded.body, &environment, Shutdown::new());
    // Nothing is written before a start, so there is usually nothing to remove.
    let _ = std::fs::remove_dir_all(storage);
    built.map(drop).map_err(render)
}

/// The running agent, as its pages see it.
pub(crate) struct Agent {
    pub(crate) graph: Mutex<Option<Arc<Graph>>>,
    pub(crate) registry: Registry,
    pub(crate) exporters: ExporterMap,
    metrics: AgentMetrics,
    config: AgentConfig,
    log: Option<kit::log::Handle>,
}

impl Agent {
    async fn reload(&self, shutdown: &Shutdown) -> Result<(), String> {
        let result = self.try_reload(shutdown).await;
        self.metrics.config_loaded.set(f64::from(u8::from(result.is_ok())));
        match &result {
            Ok(()) => self.metrics.config_loaded_at.set(kit::time::now_seconds()),
            Err(error) => {
                self.metrics.config_failures.inc();
                tracing::error!(component = "agent", error, "configuration cannot be used");
            }
        }
        result
    }

    async fn try_reload(&self, shutdown: &Shutdown) -> Result<(), String> {
        let loaded = load(&self.config.path)?;
        let globals = globals(&loaded.body).map_err(|diag| loaded.render(&diag))?;
        let environment = Environment {
            storage: self.config.storage.clone(),
            metrics: self.metrics.clone(),
            registry: self.registry.clone(),
            exporters: self.exporters.clone(),
        };
        // Built once to see whether it can be, and again when the old graph has written down where it was.
        Graph::build(&loaded.body, &environment, Shutdown::new()).map_err(|diag| loaded.render(&diag))?;
        let old = self.graph.lock().take();
        if let Some(old) = old {
            old.stop(self.config.shutdown_deadline).await;
        }
        let graph = Graph::build(&loaded.body, &environment, shutdown.child()).map_err(|diag| loaded.render(&diag))?;
        let graph = Arc::new(graph);
        graph.clone().start();
        *self.graph.lock() = Some(graph);
        if let Some(log) = &self.log {
            log.set_level(globals.level);
            log.set_format(globals.format);
        }
        tracing::info!(component = "agent", file = %self.config.path.display(), "configuration loaded");
        Ok(())
    }
}

/// Runs until the shutdown; `log` is the handle of the process' log, when the agent may change it.
///
/// # Errors
/// When the configuration cannot be used at the start, or the address cannot be listened on.
pub async fn run(config: AgentConfig, log: Option<kit::log::Handle>, shutdown: Shutdown) -> Result<(), RunError> {
    let storage = config.storage.clone();
    let io = |source| RunError::Io { file: storage.clone(), source };
    std::fs::create_dir_all(&config.storage).map_err(io)?;
    let _lock = kit::files::DirLock::acquire(&config.storage).map_err(|e| RunError::Config(e.to_string()))?;
    let loaded = load(&config.path).map_err(RunError::Config)?;
    let web = globals(&loaded.body).map_err(|diag| RunError::Config(loaded.render(&diag)))?.web;
    let mut options = ServeOptions { web_config: config.web_config.clone(), ..ServeOptions::default() };
    if let Some(web) = web {
        let file = config.storage.join("http.web.yml");
        kit::files::write_atomic(&file, web.as_bytes()).map_err(io)?;
        options.web_config = Some(file);
    }
    let listener = kit::http::bind(&config.listen).await?;
    let registry = Registry::new();
    registry.process_metrics();
    registry.build_info("alloy", &[("version", env!("CARGO_PKG_VERSION")), ("goversion", "rust")]);
    let agent = Arc::new(Agent {
        graph: Mutex::new(None),
        metrics: AgentMetrics::new(&registry),
        registry,
        exporters: ExporterMap::default(),
        config,
        log,
    });
    // The graph has a token of its own: it is stopped in order, after the pages.
    let graphs = Shutdown::new();
    agent.reload(&graphs).await.map_err(RunError::Config)?;
    let (mut reloader, handle) = Reloader::new(None);
    let (reloading, stop, token) = (agent.clone(), shutdown.clone(), graphs.clone());
    shutdown.spawn("agent reload", async move {
        while let Some(request) = reloader.next(&stop).await {
            tracing::info!(component = "agent", cause = request.cause, "reloading");
            let result = reloading.reload(&token).await;
            request.done(result);
        }
    });
    tracing::info!(component = "agent", address = %crate::shown_address(&listener), "listening");
    let served = kit::http::serve(vec![listener], server::router(agent.clone(), handle), options, shutdown).await;
    let graph = agent.graph.lock().take();
    if let Some(graph) = graph
        && !graph.stop(agent.config.shutdown_deadline).await
    {
        tracing::warn!(component = "agent", "components did not end in time");
    }
    served.map_err(RunError::from)
}

#[cfg(test)]
mod tests;
