//! `local.file` and `local.file_match`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use kit::Shutdown;
use parking_lot::Mutex;

use crate::agent::controller::{Component, Ctx};
use crate::agent::syntax::{Args, Diag, Result, Value};
use crate::glob;

struct LocalFile {
    ctx: Ctx,
    settings: Mutex<(PathBuf, bool, Duration)>,
}

pub(super) fn file(ctx: Ctx, args: Args) -> Result<Arc<dyn Component>> {
    let component = LocalFile { ctx, settings: Mutex::default() };
    component.update(args)?;
    Ok(Arc::new(component))
}

impl LocalFile {
    fn read(&self) -> std::io::Result<()> {
        let (path, secret, _) = self.settings.lock().clone();
        let content = std::fs::read_to_string(&path)?;
        let value = if secret { Value::Secret(content.into()) } else { Value::str(content) };
        self.ctx.export([("content", value)]);
        self.ctx.healthy("read file");
        Ok(())
    }
}

impl Component for LocalFile {
    fn update(&self, mut args: Args) -> Result<()> {
        let pos = args.pos.clone();
        let path = PathBuf::from(args.required("filename")?);
        // Both detectors are the same here: the file is looked at.
        args.text("detector")?;
        let poll = args.duration_or("poll_frequency", Duration::from_secs(60))?.max(Duration::from_millis(100));
        let secret = args.bool_or("is_secret", false)?;
        args.finish()?;
        *self.settings.lock() = (path.clone(), secret, poll);
        self.read().map_err(|error| Diag::new(&pos, format!("cannot read {}: {error}", path.display())))
    }

    fn start(self: Arc<Self>, shutdown: &Shutdown) {
        let stop = shutdown.clone();
        shutdown.spawn("local.file", async move {
            let mut seen = None;
            loop {
                let (path, _, poll) = self.settings.lock().clone();
                if !stop.sleep(poll).await {
                    return;
                }
                let stamp = std::fs::metadata(&path).and_then(|meta| Ok((meta.modified()?, meta.len()))).ok();
                if stamp != seen {
                    seen = stamp;
                    if let Err(error) = self.read() {
                        self.ctx.unhealthy(format!("cannot read {}: {error}", path.display()));
                    }
                }
            }
        });
    }
}

/// Targets whose `__path__` is a pattern.
#[derive(Clone, Debug, Default)]
pub(super) struct FileMatch {
    pub(super) targets: Vec<BTreeMap<String, String>>,
    pub(super) ignore_older_than: Duration,
}

impl FileMatch {
    /// Every pattern replaced by a target for each of its files.
    pub(super) fn resolve(&self) -> Vec<BTreeMap<String, String>> {
        let mut out = Vec::new();
        for target in &self.targets {
            let Some(pattern) = target.get("__path__") else { continue };
            let exclude = target.get("__path_exclude__").map_or("", String::as_str);
            for path in glob::expand(pattern) {
                let Ok(meta) = std::fs::metadata(&path) else { continue };
                let old = !self.ignore_older_than.is_zero()
                    && meta
                        .modified()
                        .ok()
                        .and_then(|at| SystemTime::now().duration_since(at).ok())
                        .is_some_and(|age| age > self.ignore_older_than);
                let path = path.to_string_lossy().into_owned();
                if !meta.is_file() || old || (!exclude.is_empty() && glob::matches(exclude, &path)) {
                    continue;
                }
                let mut found = target.clone();
                found.remove("__path_exclude__");
                found.insert("__path__".into(), path);
                out.push(found);
            }
        }
        out
    }
}

pub(super) fn targets_value(targets: &[BTreeMap<String, String>]) -> Value {
    Value::array(
        targets.iter().map(|target| Value::object(target.iter().map(|(n, v)| (n.clone(), Value::str(v))))).collect(),
    )
}

struct LocalFileMatch {
    ctx: Ctx,
    settings: Mutex<(FileMatch, Duration)>,
}

pub(super) fn file_match(ctx: Ctx, args: Args) -> Result<Arc<dyn Component>> {
    let component = LocalFileMatch { ctx, settings: Mutex::default() };
    component.update(args)?;
    Ok(Arc::new(component))
}

impl LocalFileMatch {
    fn sync(&self) {
        let (files, _) = self.settings.lock().clone();
        let found = files.resolve();
        self.ctx.healthy(format!("{} files", found.len()));
        self.ctx.export([("targets", targets_value(&found))]);
    }
}

impl Component for LocalFileMatch {
    fn update(&self, mut args: Args) -> Result<()> {
        let files = FileMatch {
            targets: args.targets("path_targets")?,
            ignore_older_than: args.duration_or("ignore_older_than", Duration::ZERO)?,
        };
        let period = args.duration_or("sync_period", Duration::from_secs(10))?.max(Duration::from_millis(100));
        args.finish()?;
        *self.settings.lock() = (files, period);
        self.sync();
        Ok(())
    }

    fn start(self: Arc<Self>, shutdown: &Shutdown) {
        let stop = shutdown.clone();
        shutdown.spawn("local.file_match", async move {
            loop {
                let period = self.settings.lock().1;
                if !stop.sleep(period).await {
                    return;
                }
                let this = self.clone();
                // Large trees take a while to walk.
                if tokio::task::spawn_blocking(move || this.sync()).await.is_err() {
                    self.ctx.unhealthy("looking for files failed");
                }
            }
        });
    }
}
