//! The graph of components: built from a configuration, run, re-evaluated when an export changes, replaced as a whole at a
//! reload.
//!
//! A component is made from its evaluated arguments ([`Args`]) by an entry of the table in `components`. What it exports
//! is kept here by its id; when it changes, the arguments of those that refer to it are evaluated again and handed to
//! them. References decide the order of building, and a circle of them is an error.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kit::Shutdown;
use kit::metrics::Registry;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::components::{self, ExporterMap};
use super::metrics::AgentMetrics;
use super::syntax::{Args, Block, Body, Diag, Result, Scope, Value, references};

/// A running piece of the pipeline.
pub(crate) trait Component: Send + Sync + 'static {
    /// Takes new arguments.
    ///
    /// # Errors
    /// When they cannot be used; the old ones stay in force.
    fn update(&self, args: Args) -> Result<()>;

    /// Starts its tasks through `shutdown`; they end when it is triggered, those that receive after what is on its way.
    fn start(self: Arc<Self>, shutdown: &Shutdown);

    /// Called after all tasks of the graph have ended by themselves.
    fn finish(&self) {}
}

/// How a component does.
#[derive(Clone, Debug)]
pub(crate) struct Health {
    /// `healthy`, `unhealthy`, `exited`, `unknown`
    pub state: &'static str,
    /// Why.
    pub message: String,
}

/// What a component gets from the controller.
#[derive(Clone)]
pub(crate) struct Ctx {
    /// Its id, such as `loki.source.file.titan`.
    pub id: String,
    /// Its own folder, made when it is first written to.
    pub storage: PathBuf,
    /// Metrics of the agent.
    pub metrics: AgentMetrics,
    /// The agent's registry, for `prometheus.exporter.self`.
    pub registry: Registry,
    /// Exporters that are scraped in process.
    pub exporters: ExporterMap,
    health: Arc<Mutex<Health>>,
    exports: Arc<Exports>,
}

impl Ctx {
    /// Sets what others see of it.
    pub(crate) fn export<K: Into<String>>(&self, fields: impl IntoIterator<Item = (K, Value)>) {
        self.exports.set(&self.id, Value::object(fields));
    }

    /// Says that it works.
    pub(crate) fn healthy(&self, message: impl Into<String>) {
        *self.health.lock() = Health { state: "healthy", message: message.into() };
    }

    /// Says that something is wrong; it goes on trying.
    pub(crate) fn unhealthy(&self, message: impl Into<String>) {
        *self.health.lock() = Health { state: "unhealthy", message: message.into() };
    }
}

/// Exports by id, and who has changed.
#[derive(Default)]
struct Exports {
    values: Mutex<HashMap<String, Value>>,
    changed: Mutex<BTreeSet<String>>,
    notify: Notify,
}

impl Exports {
    fn set(&self, id: &str, value: Value) {
        let mut values = self.values.lock();
        if values.get(id) == Some(&value) {
            return;
        }
        values.insert(id.to_owned(), value);
        drop(values);
        self.changed.lock().insert(id.to_owned());
        self.notify.notify_one();
    }
}

struct Node {
    block: Block,
    id: String,
    component: Arc<dyn Component>,
    health: Arc<Mutex<Health>>,
    dependencies: BTreeSet<String>,
    arguments: Mutex<serde_json::Value>,
}

/// What a component looks like from outside.
#[derive(Clone, Debug)]
pub(crate) struct ComponentView {
    /// Id.
    pub id: String,
    /// Its name without the label.
    pub name: String,
    /// Its label.
    pub label: String,
    /// How it does.
    pub health: Health,
    /// Ids of those it refers to.
    pub dependencies: Vec<String>,
    /// Arguments, secrets hidden.
    pub arguments: serde_json::Value,
    /// Exports, secrets hidden.
    pub exports: serde_json::Value,
}

/// A graph.
pub(crate) struct Graph {
    nodes: Vec<Node>,
    exports: Arc<Exports>,
    shutdown: Shutdown,
}

/// What building a graph needs.
#[derive(Clone)]
pub(crate) struct Environment {
    /// Folder of all components' folders.
    pub storage: PathBuf,
    /// Metrics of the agent.
    pub metrics: AgentMetrics,
    /// The agent's registry.
    pub registry: Registry,
    /// Exporters that are scraped in process.
    pub exporters: ExporterMap,
}

/// Blocks of the language that configure the agent, not the pipeline.
pub(crate) const CONFIG_BLOCKS: [&str; 3] = ["logging", "http", "livedebugging"];

struct GraphScope<'g> {
    exports: &'g Exports,
    ids: &'g BTreeSet<String>,
}

impl Scope for GraphScope<'_> {
    fn lookup(&self, path: &[&str]) -> Option<(Value, usize)> {
        let (id, used) = find_id(self.ids, path)?;
        let value = self.exports.values.lock().get(&id).cloned();
        Some((value.unwrap_or_else(|| Value::object::<String>([])), used))
    }
}

/// The id at the beginning of a path.
fn find_id(ids: &BTreeSet<String>, path: &[&str]) -> Option<(String, usize)> {
    (1..=path.len()).rev().find_map(|used| {
        let id = path[..used].join(".");
        ids.contains(&id).then_some((id, used))
    })
}

impl Graph {
    /// Builds all components of a configuration, in the order of their references. Nothing runs yet.
    ///
    /// # Errors
    /// At the first component that is unknown, not built here, given twice, part of a circle, or cannot use its arguments.
    pub(crate) fn build(body: &Body, environment: &Environment, shutdown: Shutdown) -> Result<Self> {
        if let Some(attribute) = body.attributes.first() {
            let message = format!("unrecognized attribute {:?}: only blocks stand at the top", attribute.name);
            return Err(Diag::new(&attribute.pos, message));
        }
        let mut blocks: BTreeMap<String, &Block> = BTreeMap::new();
        for block in body.blocks.iter().filter(|block| !CONFIG_BLOCKS.contains(&block.name.as_str())) {
            components::check(block)?;
            if blocks.insert(block.id(), block).is_some() {
                return Err(Diag::new(&block.pos, format!("component {:?} is given twice", block.id())));
            }
        }
        let ids: BTreeSet<String> = blocks.keys().cloned().collect();
        let mut dependencies: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for (id, block) in &blocks {
            let found = dependencies.entry(id).or_default();
            references(&block.body, &mut |path, _| {
                found.extend(find_id(&ids, &path).map(|(id, _)| id));
            });
        }
        let order = sort(&blocks, &dependencies)?;
        let exports = Arc::new(Exports::default());
        let mut nodes = Vec::new();
        for id in order {
            let Some(block) = blocks.get(&id) else { continue };
            let args = Args::evaluate(block, &GraphScope { exports: &exports, ids: &ids })?;
            let arguments = args.to_json();
            let health = Arc::new(Mutex::new(Health { state: "unknown", message: "not started".into() }));
            let ctx = Ctx {
                id: id.clone(),
                storage: environment.storage.join(&id),
                metrics: environment.metrics.clone(),
                registry: environment.registry.clone(),
                exporters: environment.exporters.clone(),
                health: health.clone(),
                exports: exports.clone(),
            };
            let component = components::build(block, ctx, args)?;
            let dependencies = dependencies.remove(id.as_str()).unwrap_or_default();
            let arguments = Mutex::new(arguments);
            nodes.push(Node { block: (*block).clone(), id, component, health, dependencies, arguments });
        }
        // What was exported while building is what everyone was built with.
        exports.changed.lock().clear();
        Ok(Self { nodes, exports, shutdown })
    }

    /// Starts all components and the task that carries changed exports on.
    pub(crate) fn start(self: Arc<Self>) {
        // Receivers first, so that nothing is sent to a component that does not run yet.
        for node in &self.nodes {
            let mut health = node.health.lock();
            if health.state == "unknown" {
                *health = Health { state: "healthy", message: "started".into() };
            }
            drop(health);
            node.component.clone().start(&self.shutdown);
        }
        let graph = self.clone();
        self.shutdown.spawn("controller", async move {
            loop {
                tokio::select! {
                    () = graph.shutdown.triggered() => return,
                    () = graph.exports.notify.notified() => graph.propagate(),
                }
            }
        });
    }

    fn propagate(&self) {
        let ids: BTreeSet<String> = self.nodes.iter().map(|node| node.id.clone()).collect();
        let mut changed = std::mem::take(&mut *self.exports.changed.lock());
        for node in &self.nodes {
            if node.dependencies.is_disjoint(&changed) {
                continue;
            }
            let args = Args::evaluate(&node.block, &GraphScope { exports: &self.exports, ids: &ids });
            let result = args.and_then(|args| {
                *node.arguments.lock() = args.to_json();
                node.component.update(args)
            });
            if let Err(error) = result {
                tracing::error!(component = "agent", node = node.id, %error, "new arguments cannot be used");
                *node.health.lock() = Health { state: "unhealthy", message: error.to_string() };
            }
            // Nodes stand in the order of their references: one pass carries a change through.
            changed.append(&mut self.exports.changed.lock());
        }
    }

    /// Stops all components: sources at once, the others after what is on its way. Returns false when some had to be
    /// stopped hard.
    pub(crate) async fn stop(&self, deadline: Duration) -> bool {
        self.shutdown.trigger();
        // Receivers end when nobody can send to them any more.
        self.exports.values.lock().clear();
        let clean = self.shutdown.join(deadline).await;
        // Tasks that were stopped hard have dropped what they held: nothing of that may count as arrived.
        if clean {
            for node in &self.nodes {
                node.component.finish();
            }
        }
        clean
    }

    /// The components as they are.
    pub(crate) fn view(&self) -> Vec<ComponentView> {
        let values = self.exports.values.lock();
        self.nodes
            .iter()
            .map(|node| ComponentView {
                id: node.id.clone(),
                name: node.block.name.clone(),
                label: node.block.label.clone(),
                health: node.health.lock().clone(),
                dependencies: node.dependencies.iter().cloned().collect(),
                arguments: node.arguments.lock().clone(),
                exports: values.get(&node.id).map(Value::to_json).unwrap_or_default(),
            })
            .collect()
    }
}

/// Ids so that each comes after those it refers to.
fn sort(blocks: &BTreeMap<String, &Block>, dependencies: &BTreeMap<&str, BTreeSet<String>>) -> Result<Vec<String>> {
    let mut order = Vec::new();
    let mut done: BTreeSet<&str> = BTreeSet::new();
    while order.len() < blocks.len() {
        let ready = blocks.keys().find(|id| {
            !done.contains(id.as_str())
                && dependencies
                    .get(id.as_str())
                    .is_none_or(|needs| needs.iter().all(|need| done.contains(need.as_str())))
        });
        let Some(ready) = ready else {
            let rest: Vec<&String> = blocks.keys().filter(|id| !done.contains(id.as_str())).collect();
            let circle = circle(&rest, dependencies);
            let Some(block) = circle.first().and_then(|id| blocks.get(*id)) else { return Ok(order) };
            let message = format!("components refer to each other in a circle: {}", circle.join(" -> "));
            return Err(Diag::new(&block.pos, message));
        };
        done.insert(ready);
        order.push(ready.clone());
    }
    Ok(order)
}

/// A circle among ids each of which needs another one of them.
fn circle<'a>(ids: &[&'a String], dependencies: &'a BTreeMap<&str, BTreeSet<String>>) -> Vec<&'a str> {
    let Some(start) = ids.first() else { return Vec::new() };
    let mut path: Vec<&str> = vec![start];
    loop {
        let last = path[path.len() - 1];
        let next = dependencies.get(last).and_then(|needs| needs.iter().find(|need| ids.contains(need)));
        let Some(next) = next else { return path };
        if let Some(at) = path.iter().position(|id| id == next) {
            let mut circle = path.split_off(at);
            circle.push(next);
            return circle;
        }
        path.push(next);
    }
}
