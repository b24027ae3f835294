//! A batch on its way into the store.

use model::Labels;

use crate::codec::histogram::NativeHistogram;
use crate::db::Db;
use crate::error::Error;
use crate::exemplars::{Exemplar, ExemplarReason};
use crate::head::{CommitBuffers, NewSeriesRow, Pending, PendingHistogram, Refusal, SeriesRef};
use crate::metadata::Metadata;
use crate::raw::RawCursor;

/// Most samples of one batch.
pub const MAX_BATCH_SAMPLES: usize = 1 << 20;

/// Collects samples; [`Appender::commit`] stores them, all in one record of the log. Dropped without it, nothing is stored.
///
/// ```
/// # use foursight_tsdb::{Db, Labels, MemFiles, Options};
/// # let db = Db::open_with(std::sync::Arc::new(MemFiles::new()), "data", Options::default())?;
/// let mut batch = db.appender()?;
/// let series = batch.resolve(&Labels::from_pairs([("__name__", "up"), ("job", "node")]))?;
/// batch.append(series, 1_700_000_000_000, 1.0)?;
/// let report = batch.commit()?; // on the device when this returns
/// assert_eq!((report.accepted, report.refused.len()), (1, 0));
/// # Ok::<(), foursight_tsdb::Error>(())
/// ```
pub struct Appender<'a> {
    db: &'a Db,
    buffers: Option<CommitBuffers>,
    row: NewSeriesRow,
}

/// What became of a batch: all samples not listed in `refused` are stored.
#[derive(Clone, Debug, Default)]
pub struct CommitReport {
    /// Samples stored, or stored already with the same value.
    pub accepted: u64,
    /// Samples refused, each with its series, its timestamp and the reason.
    pub refused: Vec<Refusal>,
    /// Exemplars stored, or stored already.
    pub exemplars_accepted: u64,
    /// Exemplars refused.
    pub exemplars_refused: Vec<ExemplarRefusal>,
}

/// An exemplar that was not taken.
#[derive(Clone, Debug, PartialEq)]
pub struct ExemplarRefusal {
    /// Its series.
    pub labels: Labels,
    /// The exemplar.
    pub exemplar: Exemplar,
    /// Why.
    pub reason: ExemplarReason,
}

impl<'a> Appender<'a> {
    pub(crate) fn new(db: &'a Db, mut buffers: CommitBuffers) -> Self {
        buffers.clear();
        Self { db, buffers: Some(buffers), row: NewSeriesRow::default() }
    }

    /// The series of a label set, made if there is none. References may be kept between batches, see [`SeriesRef`].
    ///
    /// # Errors
    /// [`Error::InvalidLabels`] when a series cannot have these labels, [`Error::Limit`] when there are too many series.
    pub fn resolve(&mut self, labels: &Labels) -> Result<SeriesRef, Error> {
        self.db.resolve(labels, &mut self.row)
    }

    /// The series that a connection calls `key`: any bytes that stand for a label set, such as the labels of a remote-write
    /// request as they came. `make` is asked what they mean when they are met first: a label set, or `None` when their
    /// samples are to be dropped. O(bytes), no allocation, for a key that is known.
    ///
    /// # Errors
    /// Those of `make`, and as [`Appender::resolve`]. Nothing is remembered then.
    #[inline]
    pub fn resolve_raw<E: From<Error>>(
        &mut self,
        cursor: &mut RawCursor,
        key: &[u8],
        make: impl FnOnce() -> Result<Option<Labels>, E>,
    ) -> Result<Option<SeriesRef>, E> {
        let Self { db, row, .. } = self;
        cursor.resolve(db.head(), key, make, |labels| Ok(db.resolve(labels, row)?))
    }

    /// Adds a sample. Samples of one series are taken in the order in which they are added.
    ///
    /// # Errors
    /// [`Error::Limit`] after [`MAX_BATCH_SAMPLES`] samples: commit, then go on.
    #[inline]
    pub fn append(&mut self, series: SeriesRef, timestamp_ms: i64, value: f64) -> Result<(), Error> {
        let pending = match &mut self.buffers {
            Some(buffers) if buffers.pending.len() < MAX_BATCH_SAMPLES => &mut buffers.pending,
            _ => return Err(too_many()),
        };
        pending.push(Pending { series: series.id, generation: series.generation, timestamp_ms, value });
        Ok(())
    }

    /// As [`Appender::append`], with the time at which the counter began (ms, 0: unknown). It holds for later samples of the series until
    /// another one is said, or one is appended without it.
    ///
    /// # Errors
    /// As [`Appender::append`].
    pub fn append_with_start(
        &mut self,
        series: SeriesRef,
        start_ms: i64,
        timestamp_ms: i64,
        value: f64,
    ) -> Result<(), Error> {
        self.append(series, timestamp_ms, value)?;
        if let Some(buffers) = self.buffers.as_mut().filter(|_| start_ms != 0) {
            buffers.starts.push((buffers.pending.len() as u32 - 1, start_ms));
        }
        Ok(())
    }

    /// Adds a native histogram; `start_ms` as in [`Appender::append_with_start`], 0: unknown. Histograms of a batch are taken after its floats.
    ///
    /// # Errors
    /// [`Error::InvalidHistogram`] when spans, buckets and bounds do not fit together; as [`Appender::append`].
    pub fn append_histogram(
        &mut self,
        series: SeriesRef,
        start_ms: i64,
        timestamp_ms: i64,
        mut histogram: NativeHistogram,
    ) -> Result<(), Error> {
        if !histogram.is_stale() {
            histogram.to_float().validate()?;
        }
        histogram.settle_hint();
        let SeriesRef { id, generation } = series;
        match &mut self.buffers {
            Some(buffers) if buffers.histograms.len() < MAX_BATCH_SAMPLES / 16 => {
                buffers.histograms.push(PendingHistogram { series: id, generation, timestamp_ms, histogram, start_ms });
                Ok(())
            }
            _ => Err(too_many()),
        }
    }

    /// Adds an exemplar of a series. What is wrong with it is told by [`CommitReport::exemplars_refused`].
    ///
    /// # Errors
    /// [`Error::Limit`] after a sixteenth of [`MAX_BATCH_SAMPLES`].
    pub fn append_exemplar(&mut self, series: SeriesRef, exemplar: Exemplar) -> Result<(), Error> {
        match &mut self.buffers {
            Some(buffers) if buffers.exemplars.len() < MAX_BATCH_SAMPLES / 16 => {
                buffers.exemplars.push((series, exemplar));
                Ok(())
            }
            _ => Err(too_many()),
        }
    }

    /// Says what is known of a metric, by its (family) name. Written to the log only when it is news.
    ///
    /// # Errors
    /// [`Error::Limit`] after a sixteenth of [`MAX_BATCH_SAMPLES`].
    pub fn set_metadata(&mut self, metric: &str, metadata: Metadata) -> Result<(), Error> {
        match &mut self.buffers {
            Some(buffers) if buffers.metadata.len() < MAX_BATCH_SAMPLES / 16 => {
                buffers.metadata.push((metric.to_owned(), metadata));
                Ok(())
            }
            _ => Err(too_many()),
        }
    }

    /// Number of samples added, histograms included.
    pub fn len(&self) -> usize {
        self.buffers.as_ref().map_or(0, |buffers| buffers.pending.len() + buffers.histograms.len())
    }

    /// True when no sample was added.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Stores the samples; when this returns they are as durable as [`crate::Options::wal_sync`] asks. A refused sample does not keep
    /// the others from being stored.
    ///
    /// # Errors
    /// [`Error::Refusing`] when the store takes no writes now: nothing was stored. An error of the device: the samples may be lost or may
    /// be stored; sending them again is right in both cases.
    pub fn commit(mut self) -> Result<CommitReport, Error> {
        match self.buffers.take() {
            Some(mut buffers) => {
                let report = self.db.commit(&mut buffers);
                self.db.give_back(buffers);
                report
            }
            None => Ok(CommitReport::default()),
        }
    }
}

impl Drop for Appender<'_> {
    fn drop(&mut self) {
        if let Some(buffers) = self.buffers.take() {
            self.db.give_back(buffers);
        }
    }
}

#[cold]
fn too_many() -> Error {
    Error::Limit { what: "too many samples in one batch".to_owned(), limit: MAX_BATCH_SAMPLES as u64 }
}
