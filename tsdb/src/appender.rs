//! A batch on its way into the store.

use model::Labels;

use crate::db::Db;
use crate::error::Error;
use crate::head::{CommitBuffers, NewSeriesRow, Pending, Refusal, SeriesRef};
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
}

impl<'a> Appender<'a> {
    pub(crate) fn new(db: &'a Db, mut buffers: CommitBuffers) -> Self {
        buffers.pending.clear();
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

    /// Number of samples added.
    pub fn len(&self) -> usize {
        self.buffers.as_ref().map_or(0, |buffers| buffers.pending.len())
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
