//! `loki.source.file`: follows files and sends their lines on.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use kit::Shutdown;
use model::Labels;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::local::FileMatch;
use super::tail::{GzTail, Place, Polled, Tail};
use crate::agent::controller::{Component, Ctx};
use crate::agent::pipe::{Entry, LogReceiver, Tracker, send_logs};
use crate::agent::syntax::{Args, Diag, Result};

/// How often places that moved are written to disk.
const SAVE: Duration = Duration::from_millis(200);
/// Batches of one file on their way; more wait.
const MAX_PENDING: usize = 64;

#[derive(Clone, Debug, Default)]
struct Settings {
    targets: Vec<BTreeMap<String, String>>,
    tail_from_end: bool,
    gzip: Option<Duration>,
    poll: Duration,
    matching: Option<(Duration, Duration)>,
}

struct Source {
    ctx: Ctx,
    settings: ArcSwap<Settings>,
    forward: ArcSwap<Vec<LogReceiver>>,
    changed: Notify,
    positions: Arc<Positions>,
}

/// Path and labels of a followed file.
type Key = (String, String);

pub(super) fn build(ctx: Ctx, args: Args) -> Result<Arc<dyn Component>> {
    let positions = Positions::load(ctx.storage.join("positions.yml"));
    let positions = positions.map_err(|message| Diag::new(&args.pos, message))?;
    let source = Source {
        ctx,
        settings: ArcSwap::default(),
        forward: ArcSwap::default(),
        changed: Notify::new(),
        positions: Arc::new(positions),
    };
    source.update(args)?;
    Ok(Arc::new(source))
}

impl Component for Source {
    fn update(&self, mut args: Args) -> Result<()> {
        let mut settings = Settings {
            targets: args.targets("targets")?,
            tail_from_end: args.bool_or("tail_from_end", false)?,
            poll: Duration::from_millis(250),
            ..Settings::default()
        };
        let forward = args.log_receivers("forward_to")?;
        let pos = args.pos_of("encoding");
        let encoding = args.text_or("encoding", "")?;
        if !matches!(encoding.to_ascii_lowercase().as_str(), "" | "utf-8" | "utf8") {
            return Err(Diag::new(&pos, format!("encoding {encoding:?} is not supported: only UTF-8 is")));
        }
        let pos = args.pos_of("legacy_positions_file");
        if !args.text_or("legacy_positions_file", "")?.is_empty() {
            return Err(Diag::new(&pos, "legacy_positions_file is not supported"));
        }
        args.text("on_positions_file_error")?;
        if let Some(mut block) = args.block("decompression")? {
            let enabled = block.bool_or("enabled", false)?;
            let pos = block.pos_of("format");
            let format = block.text_or("format", "gz")?;
            let delay = block.duration_or("initial_delay", Duration::ZERO)?;
            block.finish()?;
            if enabled && format != "gz" {
                return Err(Diag::new(&pos, format!("decompression format {format:?} is not supported: only gz is")));
            }
            settings.gzip = enabled.then_some(delay);
        }
        if let Some(mut block) = args.block("file_watch")? {
            settings.poll = block.duration_or("min_poll_frequency", settings.poll)?.max(Duration::from_millis(10));
            block.duration_or("max_poll_frequency", settings.poll)?;
            block.finish()?;
        }
        if let Some(mut block) = args.block("file_match")? {
            let enabled = block.bool_or("enabled", false)?;
            let older = block.duration_or("ignore_older_than", Duration::ZERO)?;
            let period = block.duration_or("sync_period", Duration::from_secs(10))?.max(Duration::from_millis(100));
            settings.matching = enabled.then_some((older, period));
            block.finish()?;
        }
        let pos = args.pos.clone();
        args.finish()?;
        if settings.matching.is_none() {
            for target in &settings.targets {
                let path = target.get("__path__").map_or("", String::as_str);
                if !Path::new(path).is_absolute() {
                    return Err(Diag::new(&pos, format!("target needs an absolute __path__, not {path:?}")));
                }
            }
        }
        self.settings.store(Arc::new(settings));
        self.forward.store(Arc::new(forward));
        self.changed.notify_one();
        Ok(())
    }

    fn start(self: Arc<Self>, shutdown: &Shutdown) {
        let stop = shutdown.clone();
        let saver = self.clone();
        shutdown.spawn("loki.source.file", async move { self.run(stop).await });
        let stop = shutdown.clone();
        shutdown.spawn("positions", async move {
            while stop.sleep(SAVE).await {
                saver.save();
            }
        });
    }

    fn finish(&self) {
        self.save();
    }
}

impl Source {
    fn save(&self) {
        if let Err(error) = self.positions.save() {
            self.ctx.unhealthy(format!("cannot write positions: {error}"));
            tracing::error!(component = "agent", node = self.ctx.id, %error, "cannot write positions");
        }
    }

    async fn run(self: Arc<Self>, shutdown: Shutdown) {
        let mut running: HashMap<Key, Shutdown> = HashMap::new();
        loop {
            let settings = self.settings.load_full();
            let targets = match settings.matching {
                Some((ignore_older_than, _)) => {
                    let files = FileMatch { targets: settings.targets.clone(), ignore_older_than };
                    tokio::task::spawn_blocking(move || files.resolve()).await.unwrap_or_default()
                }
                None => settings.targets.clone(),
            };
            let mut wanted: HashMap<Key, Labels> = HashMap::new();
            for target in targets {
                let path = target.get("__path__").cloned().unwrap_or_default();
                let visible = target.iter().filter(|(name, _)| !name.starts_with("__"));
                let labels = Labels::from_pairs(visible);
                let mut with_file = labels.to_builder();
                with_file.set("filename", &path);
                wanted.insert((path, labels.to_string()), with_file.build());
            }
            running.retain(|key, stop| {
                let keep = wanted.contains_key(key);
                if !keep {
                    stop.trigger();
                }
                keep
            });
            for (key, labels) in wanted {
                if running.contains_key(&key) {
                    continue;
                }
                let stop = shutdown.child();
                running.insert(key.clone(), stop.clone());
                let (source, settings) = (self.clone(), settings.clone());
                shutdown.spawn("tail", async move { source.follow(key, labels, settings, stop).await });
            }
            self.ctx.metrics.files_active.with(&[&self.ctx.id]).set(running.len() as f64);
            let period = settings.matching.map_or(Duration::from_secs(3600), |(_, period)| period);
            tokio::select! {
                () = self.changed.notified() => {}
                slept = shutdown.sleep(period) => if !slept { return },
            }
        }
    }

    async fn follow(self: Arc<Self>, key: Key, labels: Labels, settings: Arc<Settings>, stop: Shutdown) {
        let tracker = self.positions.tracker(&key);
        let known = self.positions.get(&key);
        let path = PathBuf::from(&key.0);
        let metrics = &self.ctx.metrics;
        let labels_of_metrics = [self.ctx.id.as_str(), key.0.as_str()];
        let counts = (
            metrics.file_lines.with(&labels_of_metrics),
            metrics.file_read_bytes.with(&labels_of_metrics),
            metrics.file_bytes.with(&labels_of_metrics),
        );
        let gz = settings.gzip.filter(|_| path.extension().is_some_and(|extension| extension == "gz"));
        if let Some(delay) = gz {
            if !stop.sleep(delay).await {
                return;
            }
            let mut tail = Some(GzTail::new(&path, known));
            while !stop.is_triggered() {
                let Some(mut reading) = tail.take() else { return };
                // Decompression is work for a thread of its own.
                let read = tokio::task::spawn_blocking(move || (reading.poll(), reading)).await;
                match read {
                    Ok((Ok(Some(polled)), reading)) => {
                        counts.0.add(polled.lines.len() as u64);
                        self.forward(polled, &labels, &tracker, &stop).await;
                        tail = Some(reading);
                    }
                    Ok((Ok(None), _)) | Err(_) => return,
                    Ok((Err(error), _)) => {
                        self.ctx.unhealthy(format!("{}: {error}", key.0));
                        return;
                    }
                }
            }
            return;
        }
        let mut tail = Tail::new(&path, known, settings.tail_from_end);
        loop {
            match tail.poll() {
                Ok(polled) => {
                    let more = polled.more;
                    counts.0.add(polled.lines.len() as u64);
                    counts.1.set(polled.place.offset as f64);
                    counts.2.set(tail.size() as f64);
                    self.forward(polled, &labels, &tracker, &stop).await;
                    if more && !stop.is_triggered() {
                        continue;
                    }
                }
                Err(error) => self.ctx.unhealthy(format!("{}: {error}", key.0)),
            }
            if !stop.sleep(settings.poll).await {
                return;
            }
        }
    }

    async fn forward(&self, polled: Polled, labels: &Labels, tracker: &Arc<Tracker<Place>>, stop: &Shutdown) {
        if polled.lines.is_empty() {
            return;
        }
        while tracker.pending() >= MAX_PENDING {
            if !stop.sleep(Duration::from_millis(20)).await {
                return;
            }
        }
        let ack = tracker.begin(polled.place);
        let now = i64::try_from(kit::time::now_ns()).unwrap_or(i64::MAX);
        let batch: Vec<Entry> = polled
            .lines
            .into_iter()
            .enumerate()
            .map(|(index, line)| Entry {
                labels: labels.clone(),
                // Lines read together keep their order.
                timestamp_ns: now.saturating_add(index as i64),
                line,
                metadata: Vec::new(),
                ack: Some(ack.clone()),
            })
            .collect();
        drop(ack);
        let forward = self.forward.load_full();
        tokio::select! {
            () = send_logs(&forward, batch) => {}
            () = async { stop.triggered().await; tokio::time::sleep(Duration::from_secs(2)).await } => {}
        }
    }
}

/// Places of followed files, on disk. A batch given up while it waits for a receiver is refused by [`send_logs`], so a
/// place never moves over lines that nobody got.
struct Positions {
    file: PathBuf,
    known: Mutex<BTreeMap<Key, Place>>,
    trackers: Mutex<HashMap<Key, Arc<Tracker<Place>>>>,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Row {
    path: String,
    labels: String,
    #[serde(flatten)]
    place: Place,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct PositionsFile {
    positions: Vec<Row>,
}

impl Positions {
    fn load(file: PathBuf) -> std::result::Result<Self, String> {
        let known = match std::fs::read(&file) {
            Ok(bytes) => match serde_json::from_slice::<PositionsFile>(&bytes) {
                Ok(read) => read.positions.into_iter().map(|row| ((row.path, row.labels), row.place)).collect(),
                Err(error) => {
                    // As the peer's default says: begin again, and say so.
                    tracing::error!(component = "agent", file = %file.display(), %error, "positions cannot be read, files are read from their start");
                    BTreeMap::new()
                }
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(format!("cannot read {}: {error}", file.display())),
        };
        Ok(Self { file, known: Mutex::new(known), trackers: Mutex::default() })
    }

    fn get(&self, key: &Key) -> Option<Place> {
        self.known.lock().get(key).cloned()
    }

    fn tracker(&self, key: &Key) -> Arc<Tracker<Place>> {
        let start = self.get(key).unwrap_or_default();
        let tracker = Tracker::new(start);
        self.trackers.lock().insert(key.clone(), tracker.clone());
        tracker
    }

    /// Writes places that moved. JSON, which is YAML, too.
    fn save(&self) -> std::io::Result<()> {
        let mut changed = false;
        let mut known = self.known.lock();
        for (key, tracker) in self.trackers.lock().iter() {
            if tracker.take_changed() {
                known.insert(key.clone(), tracker.arrived());
                changed = true;
            }
        }
        if !changed {
            return Ok(());
        }
        let rows = known
            .iter()
            .map(|((path, labels), place)| Row { path: path.clone(), labels: labels.clone(), place: place.clone() })
            .collect();
        drop(known);
        if let Some(dir) = self.file.parent() {
            std::fs::create_dir_all(dir)?;
        }
        let text = serde_json::to_vec_pretty(&PositionsFile { positions: rows }).map_err(std::io::Error::other)?;
        kit::files::write_atomic(&self.file, &text)
    }
}
