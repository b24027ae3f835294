//! `discovery.file`, `discovery.http`, `discovery.dns`, `discovery.relabel`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use kit::Shutdown;
use kit::client::{Client, Request};
use kit::relabel::{NameScheme, compile_all, process};
use model::Labels;
use serde::Deserialize;
use tokio::sync::Notify;

use super::client::{client, settings};
use super::local::targets_value;
use crate::agent::controller::{Component, Ctx};
use crate::agent::syntax::{Args, Capsule, Diag, Result, Value};
use crate::glob;

type Target = BTreeMap<String, String>;

/// Where a discovery looks.
enum Source {
    File(Vec<String>),
    Http(Box<Client>, String),
    Dns { names: Vec<String>, kind: String, port: u16 },
}

struct Discovery {
    ctx: Ctx,
    read: fn(&mut Args) -> Result<(Source, Duration)>,
    source: ArcSwapOption<(Source, Duration)>,
    changed: Notify,
}

fn build(ctx: Ctx, args: Args, read: fn(&mut Args) -> Result<(Source, Duration)>) -> Result<Arc<dyn Component>> {
    let discovery = Discovery { ctx, read, source: ArcSwapOption::empty(), changed: Notify::new() };
    discovery.update(args)?;
    // What is already known, others may use while they are built.
    let targets = match discovery.source.load().as_deref() {
        Some((Source::File(files), _)) => read_files(files).unwrap_or_default(),
        _ => Vec::new(),
    };
    discovery.ctx.export([("targets", targets_value(&targets))]);
    Ok(Arc::new(discovery))
}

pub(super) fn file(ctx: Ctx, args: Args) -> Result<Arc<dyn Component>> {
    build(ctx, args, |args| {
        let refresh = args.duration_or("refresh_interval", Duration::from_secs(300))?;
        let pos = args.pos_of("files");
        let files = args.texts("files")?;
        if files.is_empty() {
            return Err(Diag::new(&pos, "files must name at least one file"));
        }
        for file in &files {
            let known = [".json", ".yml", ".yaml"].iter().any(|end| file.ends_with(end));
            if !known {
                return Err(Diag::new(&pos, format!("path name {file:?} is not valid for file discovery")));
            }
        }
        // Looking often is cheap; the peer is told of changes by the kernel.
        Ok((Source::File(files), refresh.min(Duration::from_secs(5))))
    })
}

pub(super) fn http(ctx: Ctx, args: Args) -> Result<Arc<dyn Component>> {
    build(ctx, args, |args| {
        let url = args.required("url")?;
        let refresh = args.duration_or("refresh_interval", Duration::from_secs(60))?;
        let config = settings(args)?;
        Ok((Source::Http(Box::new(client(args, &config)?), url), refresh))
    })
}

pub(super) fn dns(ctx: Ctx, args: Args) -> Result<Arc<dyn Component>> {
    build(ctx, args, |args| {
        let names = args.texts("names")?;
        let refresh = args.duration_or("refresh_interval", Duration::from_secs(30))?;
        let pos = args.pos_of("type");
        let kind = args.text_or("type", "SRV")?.to_uppercase();
        let port = args.count_or("port", 0)?;
        if !matches!(kind.as_str(), "A" | "AAAA") {
            let message = format!("DNS records of type {kind} are not supported: only A and AAAA are");
            return Err(Diag::new(&pos, message));
        }
        let port = u16::try_from(port).ok().filter(|port| *port > 0);
        let port = port.ok_or_else(|| Diag::new(&args.pos, "port is required for A and AAAA records"))?;
        Ok((Source::Dns { names, kind, port }, refresh))
    })
}

impl Component for Discovery {
    fn update(&self, mut args: Args) -> Result<()> {
        let (source, refresh) = (self.read)(&mut args)?;
        args.finish()?;
        self.source.store(Some(Arc::new((source, refresh.max(Duration::from_millis(100))))));
        self.changed.notify_one();
        Ok(())
    }

    fn start(self: Arc<Self>, shutdown: &Shutdown) {
        let stop = shutdown.clone();
        shutdown.spawn("discovery", async move {
            loop {
                let Some(source) = self.source.load_full() else { return };
                match find(&source.0).await {
                    Ok(targets) => {
                        self.ctx.healthy(format!("{} targets", targets.len()));
                        self.ctx.export([("targets", targets_value(&targets))]);
                    }
                    // The last targets stay.
                    Err(error) => self.ctx.unhealthy(error),
                }
                tokio::select! {
                    () = self.changed.notified() => {}
                    slept = stop.sleep(source.1) => if !slept { return },
                }
            }
        });
    }
}

async fn find(source: &Source) -> std::result::Result<Vec<Target>, String> {
    match source {
        Source::File(files) => {
            let files = files.clone();
            tokio::task::spawn_blocking(move || read_files(&files)).await.unwrap_or_else(|e| Err(e.to_string()))
        }
        Source::Http(client, url) => {
            let answer = client.send(Request::get(url.as_str())).await.map_err(|e| e.to_string())?;
            if answer.status != 200 {
                return Err(format!("server returned HTTP status {}", answer.status));
            }
            let json = answer.header("content-type").is_some_and(|kind| kind.trim().starts_with("application/json"));
            if !json {
                return Err("the answer's content type is not application/json".into());
            }
            let groups: Vec<Group> = serde_json::from_slice(&answer.body).map_err(|e| e.to_string())?;
            let mut targets = Group::targets(groups);
            for target in &mut targets {
                target.insert("__meta_url".into(), url.clone());
            }
            Ok(targets)
        }
        Source::Dns { names, kind, port } => {
            let mut targets = Vec::new();
            for name in names {
                let addresses =
                    tokio::net::lookup_host((name.as_str(), *port)).await.map_err(|e| format!("lookup {name}: {e}"))?;
                for address in addresses.filter(|address| address.is_ipv6() == (kind == "AAAA")) {
                    targets.push(Target::from([
                        ("__address__".into(), address.to_string()),
                        ("__meta_dns_name".into(), name.clone()),
                    ]));
                }
            }
            Ok(targets)
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    targets: Vec<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

impl Group {
    fn targets(groups: Vec<Self>) -> Vec<Target> {
        let mut out = Vec::new();
        for group in groups {
            for address in group.targets {
                let mut target = group.labels.clone();
                target.insert("__address__".into(), address);
                out.push(target);
            }
        }
        out
    }
}

fn read_files(patterns: &[String]) -> std::result::Result<Vec<Target>, String> {
    let mut out = Vec::new();
    for path in patterns.iter().flat_map(|pattern| glob::expand(pattern)) {
        let groups: Vec<Group> = kit::config::load(Path::new(&path)).map_err(|e| e.to_string())?;
        for mut target in Group::targets(groups) {
            target.insert("__meta_filepath".into(), path.to_string_lossy().into_owned());
            out.push(target);
        }
    }
    Ok(out)
}

struct Relabel {
    ctx: Ctx,
}

pub(super) fn relabel(ctx: Ctx, args: Args) -> Result<Arc<dyn Component>> {
    let component = Relabel { ctx };
    component.update(args)?;
    Ok(Arc::new(component))
}

impl Component for Relabel {
    fn update(&self, mut args: Args) -> Result<()> {
        let pos = args.pos.clone();
        let targets = args.targets("targets")?;
        let configs = args.rules("rule")?;
        args.finish()?;
        let rules = compile_all(&configs, NameScheme::Utf8).map_err(|message| Diag::new(&pos, message))?;
        let output: Vec<Target> = targets
            .iter()
            .filter_map(|target| process(&Labels::from_pairs(target), &rules))
            .map(|labels| labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect())
            .collect();
        self.ctx.healthy(format!("{} of {} targets", output.len(), targets.len()));
        self.ctx
            .export([("output", targets_value(&output)), ("rules", Value::Capsule(Capsule::Rules(Arc::new(configs))))]);
        Ok(())
    }

    fn start(self: Arc<Self>, _: &Shutdown) {}
}
