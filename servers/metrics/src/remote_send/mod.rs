//! Remote write, sent: samples that the store has taken are kept in a journal on disk until every peer has them.
//!
//! [`Outbox::offer`] appends what came in to the journal (`journal`); each configured peer has a `queue` that reads the journal from
//! where it stopped, relabels, and sends in the order of the journal. A peer that is dead or slow holds up nobody and costs no memory:
//! the journal waits on disk, within limits of age and size. Positions are kept, so a restart goes on where the server stopped;
//! what was on its way then is sent again, which peers take as the duplicates they are.

mod journal;
mod metrics;
mod queue;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use disk::Place;
use kit::Shutdown;
use kit::metrics::Registry;
use model::Labels;
use parking_lot::Mutex;
use tsdb::{Db, Exemplar, NativeHistogram};
use wire::Native;
use wire::remote_write::{Metadata, RequestWriter, RequestWriterV2, Sample};

use crate::config::Config;
use journal::{Journal, RecordKind};
use metrics::SendMetrics;
use queue::{Queue, QueueSettings};

/// See the module.
pub struct Outbox {
    dir: PathBuf,
    db: Arc<Db>,
    /// Opened with the first peer.
    journal: Mutex<Option<Arc<Journal>>>,
    active: AtomicBool,
    queues: Mutex<BTreeMap<String, Running>>,
    metrics: SendMetrics,
    stop: Shutdown,
    user_agent: String,
    trouble: kit::log::Limiter,
}

struct Running {
    settings: QueueSettings,
    queue: Arc<Queue>,
    stop: Shutdown,
}

/// What one batch brought.
pub struct Parcel {
    samples: RequestWriterV2,
    exemplars: RequestWriter,
    floats: u64,
    histograms: u64,
    exemplar_count: u64,
    newest_ms: i64,
}

impl Parcel {
    /// Adds a sample; `start_ms` 0: not known.
    pub fn sample(&mut self, labels: &Labels, start_ms: i64, timestamp_ms: i64, value: f64) {
        self.floats += 1;
        self.newest_ms = self.newest_ms.max(timestamp_ms);
        self.samples.series(labels, &[Sample { timestamp_ms, value, start_ms }], &[], &Metadata::default());
    }

    /// Adds a native histogram.
    pub fn histogram(&mut self, labels: &Labels, start_ms: i64, timestamp_ms: i64, histogram: &NativeHistogram) {
        self.histograms += 1;
        self.newest_ms = self.newest_ms.max(timestamp_ms);
        let native = match histogram {
            NativeHistogram::Integer(histogram) => Native::Integer(histogram.clone()),
            NativeHistogram::Float(histogram) => Native::Float(histogram.clone()),
        };
        self.samples.series(labels, &[], &[(timestamp_ms, start_ms, native)], &Metadata::default());
    }

    /// Adds an exemplar.
    pub fn exemplar(&mut self, labels: &Labels, exemplar: &Exemplar) {
        self.exemplar_count += 1;
        self.exemplars
            .series(labels, |values| values.exemplar(&exemplar.labels, exemplar.timestamp_ms, exemplar.value));
    }
}

impl Outbox {
    /// An outbox without peers; [`Outbox::apply`] gives it some. The journal lives below `data_dir`.
    pub fn new(data_dir: &Path, db: Arc<Db>, registry: &Registry, stop: Shutdown, user_agent: &str) -> Arc<Self> {
        Arc::new(Self {
            dir: data_dir.join("remote-write"),
            db,
            journal: Mutex::default(),
            active: AtomicBool::new(false),
            queues: Mutex::default(),
            metrics: SendMetrics::new(registry),
            stop,
            user_agent: user_agent.to_owned(),
            trouble: kit::log::Limiter::new(Duration::from_secs(30)),
        })
    }

    /// Takes over a configuration: peers that are gone are forgotten, changed ones go on from where they were. Blocking.
    pub fn apply(&self, config: &Config) {
        let mut queues = self.queues.lock();
        let mut wanted = BTreeMap::new();
        for peer in &config.remote_write {
            let settings = QueueSettings::new(peer, config.external_labels());
            wanted.insert(settings.key(), settings);
        }
        queues.retain(|key, running| {
            let stays = wanted.get(key).is_some_and(|settings| *settings == running.settings);
            if !stays {
                running.stop.trigger();
            }
            stays
        });
        if wanted.is_empty() {
            self.active.store(false, Ordering::Release);
            return;
        }
        let journal = match self.open() {
            Ok(journal) => journal,
            Err(e) => {
                tracing::error!(component = "remote", error = %e, "nothing can be sent: the journal cannot be opened");
                return;
            }
        };
        for (key, settings) in wanted {
            if queues.contains_key(&key) {
                continue;
            }
            let stop = self.stop.child();
            match Queue::new(
                settings.clone(),
                &self.dir,
                journal.clone(),
                self.db.clone(),
                &self.metrics,
                &self.user_agent,
            ) {
                Ok(queue) => {
                    let queue = Arc::new(queue);
                    self.stop.spawn("remote write", queue.clone().run(stop.clone()));
                    queues.insert(key, Running { settings, queue, stop });
                }
                Err(e) => {
                    tracing::error!(
                        component = "remote",
                        url = settings.shown_url(),
                        error = e,
                        "this peer cannot be written to"
                    );
                }
            }
        }
        self.active.store(true, Ordering::Release);
    }

    fn open(&self) -> Result<Arc<Journal>, disk::Error> {
        let mut journal = self.journal.lock();
        if let Some(journal) = &*journal {
            return Ok(journal.clone());
        }
        let opened = Arc::new(Journal::open(self.dir.clone())?);
        *journal = Some(opened.clone());
        Ok(opened)
    }

    /// Whether anybody is to get anything.
    pub fn is_active(&self) -> bool {
        self.active.load(Ordering::Acquire)
    }

    /// Keeps what the store has taken, if there are peers. When this returns it survives a crash. Blocking.
    pub fn offer(&self, fill: impl FnOnce(&mut Parcel)) {
        if !self.is_active() {
            return;
        }
        let mut parcel = Parcel {
            samples: RequestWriterV2::new(),
            exemplars: RequestWriter::new(),
            floats: 0,
            histograms: 0,
            exemplar_count: 0,
            newest_ms: 0,
        };
        fill(&mut parcel);
        let Some(journal) = self.journal.lock().clone() else { return };
        let Parcel { samples, exemplars, floats, histograms, exemplar_count, newest_ms } = parcel;
        let kept = (|| {
            if floats + histograms > 0 {
                journal.append(RecordKind::Samples, &samples.finish())?;
            }
            if exemplar_count > 0 {
                journal.append(RecordKind::Exemplars, &exemplars.finish())?;
            }
            Ok::<_, disk::Error>(())
        })();
        self.metrics.came_in(floats, histograms, exemplar_count, newest_ms);
        if let Err(e) = kept
            && let Some(more) = self.trouble.allow(&e.to_string())
        {
            tracing::error!(component = "remote", error = %e, repeated = more, "samples cannot be kept for remote write");
        }
    }

    /// Housekeeping, about once a second: recovers a journal that failed, drops what every peer has. Blocking.
    pub fn maintain(&self) {
        let Some(journal) = self.journal.lock().clone() else { return };
        let positions: Vec<Place> = self.queues.lock().values().map(|running| running.queue.position()).collect();
        if let Err(e) = journal.maintain(&positions, self.is_active())
            && let Some(more) = self.trouble.allow(&e.to_string())
        {
            tracing::error!(component = "remote", error = %e, repeated = more, "the journal for remote write is in trouble");
        }
    }
}
