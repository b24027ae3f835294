//! `loki.source.file`: follows files and sends their lines on.
//!
//! Lines arrive once, also over a crash of the agent. An entry's time is the time at which its line was read, so a line that is
//! read again would be another entry. Hence each batch is written down before it leaves, with the place where it ends and its
//! time ([`Sent`]); after a crash the same lines are read together again and get the same times, and the log server stores
//! what it has already got only once. (Compressed files are read again from the last place that arrived.)

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use kit::Shutdown;
use model::Labels;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

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
            loop {
                tokio::select! {
                    () = saver.positions.wanted.notified() => {}
                    slept = stop.sleep(SAVE) => if !slept { return },
                }
                let begin = Instant::now();
                let source = saver.clone();
                if tokio::task::spawn_blocking(move || source.save()).await.is_err() {
                    return;
                }
                // A slow disk or many files: a fifth of the time at most, batches that come meanwhile are written together.
                tokio::time::sleep(begin.elapsed() * 4).await;
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
                        self.forward(polled, &labels, &tracker, &stop, Times::OfReading).await;
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
        // What was on its way when the agent ended comes first, as it was.
        let mut again = self.positions.sent(&key);
        let first = again.front().map(|sent| Place { offset: sent.start, ..sent.end.clone() });
        let mut tail = Tail::new(&path, known.or(first), settings.tail_from_end);
        loop {
            let replayed = match again.pop_front() {
                Some(sent) => match tail.poll_to(&sent.end) {
                    Ok(Some(polled)) => Some(Ok((polled, Some(sent.timestamp_ns)))),
                    Ok(None) => {
                        again.clear();
                        None
                    }
                    Err(error) => Some(Err(error)),
                },
                None => None,
            };
            let start = tail.place().offset;
            match replayed.unwrap_or_else(|| tail.poll().map(|polled| (polled, None))) {
                Ok((polled, time)) => {
                    let more = polled.more;
                    counts.0.add(polled.lines.len() as u64);
                    counts.1.set(polled.place.offset as f64);
                    counts.2.set(tail.size() as f64);
                    self.forward(polled, &labels, &tracker, &stop, Times::Written(&key, start, time)).await;
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

    async fn forward(
        &self,
        polled: Polled,
        labels: &Labels,
        tracker: &Arc<Tracker<Place>>,
        stop: &Shutdown,
        times: Times<'_>,
    ) {
        if polled.lines.is_empty() {
            return;
        }
        while tracker.pending() >= MAX_PENDING {
            if !stop.sleep(Duration::from_millis(20)).await {
                return;
            }
        }
        let reading = i64::try_from(kit::time::now_ns()).unwrap_or(i64::MAX);
        let now = match times {
            Times::OfReading => reading,
            Times::Written(_, _, Some(before)) => before,
            Times::Written(key, start, None) => {
                let sent = Sent { start, end: polled.place.clone(), timestamp_ns: reading };
                self.positions.write_down(key, sent).await;
                reading
            }
        };
        let ack = tracker.begin(polled.place);
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

/// What time the entries of a batch get.
enum Times<'a> {
    /// Now.
    OfReading,
    /// The time that is written down for the file and the offset where the batch begins: now, or what was written down before.
    Written(&'a Key, u64, Option<i64>),
}

/// A batch that may be on its way: where it begins and ends, and the time of its first entry.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Sent {
    start: u64,
    #[serde(flatten)]
    end: Place,
    timestamp_ns: i64,
}

/// Places of followed files, on disk. A batch given up while it waits for a receiver is refused by [`send_logs`], so a
/// place never moves over lines that nobody got.
struct Positions {
    file: PathBuf,
    known: Mutex<BTreeMap<Key, Known>>,
    trackers: Mutex<HashMap<Key, Arc<Tracker<Place>>>>,
    /// Batches written down so far, and how many of them are on disk.
    written: Mutex<u64>,
    on_disk: watch::Sender<u64>,
    /// Somebody waits for the disk.
    wanted: Notify,
}

#[derive(Clone, Debug, Default)]
struct Known {
    place: Place,
    sent: VecDeque<Sent>,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Row {
    path: String,
    labels: String,
    #[serde(flatten)]
    place: Place,
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    sent: VecDeque<Sent>,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct PositionsFile {
    positions: Vec<Row>,
}

impl Positions {
    fn load(file: PathBuf) -> std::result::Result<Self, String> {
        let known = match std::fs::read(&file) {
            Ok(bytes) => match serde_json::from_slice::<PositionsFile>(&bytes) {
                Ok(read) => {
                    let known = |row: Row| ((row.path, row.labels), Known { place: row.place, sent: row.sent });
                    read.positions.into_iter().map(known).collect()
                }
                Err(error) => {
                    // As the peer's default says: begin again, and say so.
                    tracing::error!(component = "agent", file = %file.display(), %error, "positions cannot be read, files are read from their start");
                    BTreeMap::new()
                }
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(format!("cannot read {}: {error}", file.display())),
        };
        Ok(Self {
            file,
            known: Mutex::new(known),
            trackers: Mutex::default(),
            written: Mutex::new(0),
            on_disk: watch::Sender::new(0),
            wanted: Notify::new(),
        })
    }

    fn get(&self, key: &Key) -> Option<Place> {
        // A file of which nothing has arrived yet has no place, only batches on their way.
        self.known.lock().get(key).map(|known| known.place.clone()).filter(|place| *place != Place::default())
    }

    /// Batches that may have been on their way when the agent ended.
    fn sent(&self, key: &Key) -> VecDeque<Sent> {
        self.known.lock().get(key).map(|known| known.sent.clone()).unwrap_or_default()
    }

    fn tracker(&self, key: &Key) -> Arc<Tracker<Place>> {
        let start = self.get(key).unwrap_or_default();
        let tracker = Tracker::new(start);
        self.trackers.lock().insert(key.clone(), tracker.clone());
        tracker
    }

    /// Writes down a batch before it leaves; returns when that is on disk, or could not be written.
    async fn write_down(&self, key: &Key, sent: Sent) {
        let mut on_disk = self.on_disk.subscribe();
        let number = {
            let mut known = self.known.lock();
            known.entry(key.clone()).or_default().sent.push_back(sent);
            let mut written = self.written.lock();
            *written += 1;
            *written
        };
        self.wanted.notify_one();
        // The sender lives as long as this does.
        let _ = on_disk.wait_for(|saved| *saved >= number).await;
    }

    /// Writes places that moved and batches that are about to leave. JSON, which is YAML, too.
    fn save(&self) -> std::io::Result<()> {
        let (rows, number) = {
            let mut known = self.known.lock();
            let number = *self.written.lock();
            let mut changed = number > *self.on_disk.borrow();
            for (key, tracker) in self.trackers.lock().iter() {
                if tracker.take_changed() {
                    let known = known.entry(key.clone()).or_default();
                    known.place = tracker.arrived();
                    if let Some(at) = known.sent.iter().position(|sent| sent.end == known.place) {
                        known.sent.drain(..=at);
                    }
                    changed = true;
                }
            }
            if !changed {
                return Ok(());
            }
            let row = |((path, labels), known): (&Key, &Known)| Row {
                path: path.clone(),
                labels: labels.clone(),
                place: known.place.clone(),
                sent: known.sent.clone(),
            };
            (known.iter().map(row).collect(), number)
        };
        let done = self.write(rows);
        // Those who wait go on, written or not: with a full disk lines that come twice are better than none.
        self.on_disk.send_replace(number);
        done
    }

    fn write(&self, rows: Vec<Row>) -> std::io::Result<()> {
        if let Some(dir) = self.file.parent() {
            std::fs::create_dir_all(dir)?;
        }
        let text = serde_json::to_vec_pretty(&PositionsFile { positions: rows }).map_err(std::io::Error::other)?;
        kit::files::write_atomic(&self.file, &text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(offset: u64) -> Place {
        Place { inode: 7, offset, ..Place::default() }
    }

    #[tokio::test]
    async fn batches_are_on_disk_before_they_leave_and_gone_when_they_arrived() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("positions.yml");
        let key = ("/var/log/a.log".to_owned(), "{}".to_owned());
        let positions = Arc::new(Positions::load(file.clone()).unwrap());
        let tracker = positions.tracker(&key);
        let saver = positions.clone();
        let saving = tokio::spawn(async move {
            loop {
                saver.wanted.notified().await;
                saver.save().unwrap();
            }
        });
        let sent =
            [10, 20].map(|offset| Sent { start: offset - 10, end: place(offset), timestamp_ns: 1_000 + offset as i64 });
        positions.write_down(&key, sent[0].clone()).await;
        positions.write_down(&key, sent[1].clone()).await;
        // A crash here: both batches come again, with their times.
        let after = Positions::load(file.clone()).unwrap();
        assert_eq!((after.get(&key), Vec::from(after.sent(&key))), (None, sent.to_vec()));
        drop(tracker.begin(place(10)));
        saving.abort();
        positions.save().unwrap();
        let after = Positions::load(file).unwrap();
        assert_eq!((after.get(&key), Vec::from(after.sent(&key))), (Some(place(10)), sent[1..].to_vec()));
    }

    #[test]
    fn the_same_lines_are_read_again_together() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        std::fs::write(&path, "one\ntwo\nthree\n").unwrap();
        let first = Tail::new(&path, None, false).poll().unwrap();
        std::fs::write(&path, "one\ntwo\nthree\nfour\n").unwrap();
        let mut tail = Tail::new(&path, None, false);
        // The file was read when it was shorter than what its beginning is told by: the beginning that was known then decides.
        let again = tail.poll_to(&first.place).unwrap().unwrap();
        assert_eq!((again.lines, again.place), (first.lines, first.place.clone()));
        assert_eq!(tail.poll().unwrap().lines, ["four"]);
        std::fs::write(&path, "other\ntext\nof the same length or more\n").unwrap();
        assert!(Tail::new(&path, None, false).poll_to(&first.place).unwrap().is_none());
    }
}
