//! The components, and which of the peer's are not built.

mod client;
mod discovery;
mod exporter;
mod local;
mod log_relabel;
mod metric_relabel;
mod process;
mod queue;
mod remote_write;
mod scrape;
pub(crate) mod source_file;
mod tail;
mod write;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use kit::metrics::Family;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::controller::{Component, Ctx};
use super::syntax::{Args, Block, Diag, Result};

/// Exporters that are scraped in process, by the path under which they are served.
pub(crate) type ExporterMap = Arc<Mutex<HashMap<String, Gather>>>;

/// Gathers families; blocking.
pub(crate) type Gather = Arc<dyn Fn() -> Vec<Family> + Send + Sync>;

/// The address of in-process exporters.
pub(crate) const MEMORY_ADDRESS: &str = "alloy.internal:12345";

type Build = fn(Ctx, Args) -> Result<Arc<dyn Component>>;

const TABLE: [(&str, Build); 15] = [
    ("discovery.dns", discovery::dns),
    ("discovery.file", discovery::file),
    ("discovery.http", discovery::http),
    ("discovery.relabel", discovery::relabel),
    ("local.file", local::file),
    ("local.file_match", local::file_match),
    ("loki.process", process::build),
    ("loki.relabel", log_relabel::build),
    ("loki.source.file", source_file::build),
    ("loki.write", write::build),
    ("prometheus.exporter.self", exporter::own),
    ("prometheus.exporter.unix", exporter::unix),
    ("prometheus.relabel", metric_relabel::build),
    ("prometheus.remote_write", remote_write::build),
    ("prometheus.scrape", scrape::build),
];

/// Beginnings of names that the peer has and this agent does not.
const KNOWN: [&str; 25] = [
    "argument",
    "beyla.",
    "database_observability.",
    "declare",
    "discovery.",
    "export",
    "faro.",
    "foreach",
    "import.",
    "local.",
    "loki.",
    "mimir.",
    "otelcol.",
    "prometheus.",
    "pyroscope.",
    "remote.",
    "remotecfg",
    "tracing",
    "git.",
    "helm.",
    "phlare.",
    "stage.",
    "module.",
    "kubernetes.",
    "cluster.",
];

/// Whether a block is a component that is built.
pub(super) fn check(block: &Block) -> Result<()> {
    if TABLE.iter().any(|(name, _)| *name == block.name) {
        if block.label.is_empty() {
            let example = format!("{} \"name\"", block.name);
            return Err(Diag::new(&block.pos, format!("component {:?} needs a label: {example}", block.name)));
        }
        return Ok(());
    }
    let known = KNOWN.iter().any(|start| {
        block.name == start.trim_end_matches('.') || (start.ends_with('.') && block.name.starts_with(start))
    });
    let message = if known {
        let built: Vec<&str> = TABLE.iter().map(|(name, _)| *name).collect();
        format!("{:?} is not built into this agent (built: {})", block.name, built.join(", "))
    } else {
        format!("unrecognized component or block {:?}", block.name)
    };
    Err(Diag::new(&block.pos, message))
}

/// Builds a component that [`check`] has passed.
pub(super) fn build(block: &Block, ctx: Ctx, args: Args) -> Result<Arc<dyn Component>> {
    match TABLE.iter().find(|(name, _)| *name == block.name) {
        Some((_, build)) => build(ctx, args),
        None => Err(Diag::new(&block.pos, format!("unrecognized component {:?}", block.name))),
    }
}

/// After the shutdown, how long a receiver waits for something more to come.
const LAST_CALL: Duration = Duration::from_millis(500);

/// The next batch; after the shutdown what is still on its way, then `None`.
pub(crate) async fn receive<T>(inbox: &mut mpsc::Receiver<T>, shutdown: &kit::Shutdown) -> Option<T> {
    tokio::select! {
        biased;
        batch = inbox.recv() => return batch,
        () = shutdown.triggered() => {}
    }
    tokio::time::timeout(LAST_CALL, inbox.recv()).await.ok().flatten()
}
