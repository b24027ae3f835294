//! Samples of a page on their way, kept so that those of series the store has let go can be sent again.

use model::Labels;
use tsdb::{
    Appender, Exemplar, ExemplarReason, ExemplarRefusal, Metadata, NativeHistogram, Reason, Refusal, SeriesRef,
};

use super::super::metrics::ScrapeMetrics;
use crate::ingest::Store;

/// Histograms and exemplars of one batch of the store.
const MAX_RARE: usize = tsdb::MAX_BATCH_SAMPLES / 16;

struct Sample {
    series: SeriesRef,
    labels: Labels,
    start_ms: i64,
    time_ms: i64,
    value: f64,
}

struct HistogramSample {
    series: SeriesRef,
    labels: Labels,
    start_ms: i64,
    time_ms: i64,
    histogram: NativeHistogram,
}

/// See the module.
#[derive(Default)]
pub(super) struct Batch {
    samples: Vec<Sample>,
    histograms: Vec<HistogramSample>,
    exemplars: Vec<(SeriesRef, Labels, Exemplar)>,
    /// Samples of 0 at the time a counter began: they may be there already, which is no fault of the target.
    zeros: Vec<Sample>,
    metadata: Vec<(String, Metadata)>,
}

/// What the store did not take.
#[derive(Debug, Default)]
pub(super) struct Refused {
    pub(super) refused: Vec<Refusal>,
    exemplars: Vec<ExemplarRefusal>,
}

impl Refused {
    /// Counts it.
    pub(super) fn count(&self, metrics: &ScrapeMetrics) {
        for refusal in &self.refused {
            match refusal.reason {
                Reason::DuplicateTimestamp => metrics.duplicates.inc(),
                Reason::OutOfBounds | Reason::TooOld => metrics.out_of_bounds.inc(),
                _ => metrics.out_of_order.inc(),
            }
        }
        let late = |refusal: &&ExemplarRefusal| refusal.reason == ExemplarReason::OutOfOrder;
        metrics.exemplars_out_of_order.add(self.exemplars.iter().filter(late).count() as u64);
    }

    fn add(&mut self, more: Self) {
        self.refused.extend(more.refused);
        self.exemplars.extend(more.exemplars);
    }

    fn forgotten(&self) -> bool {
        self.refused.iter().any(|refusal| refusal.reason == Reason::UnknownSeries)
    }
}

impl Batch {
    pub(super) fn sample(&mut self, series: SeriesRef, labels: &Labels, start_ms: i64, time_ms: i64, value: f64) {
        self.samples.push(Sample { series, labels: labels.clone(), start_ms, time_ms, value });
    }

    pub(super) fn zero(&mut self, series: SeriesRef, labels: &Labels, time_ms: i64) {
        self.zeros.push(Sample { series, labels: labels.clone(), start_ms: 0, time_ms, value: 0.0 });
    }

    pub(super) fn histogram(
        &mut self,
        series: SeriesRef,
        labels: &Labels,
        start_ms: i64,
        time_ms: i64,
        histogram: NativeHistogram,
    ) {
        self.histograms.push(HistogramSample { series, labels: labels.clone(), start_ms, time_ms, histogram });
    }

    pub(super) fn exemplar(&mut self, series: SeriesRef, labels: &Labels, exemplar: Exemplar) {
        self.exemplars.push((series, labels.clone(), exemplar));
    }

    pub(super) fn metadata(&mut self, metric: &str, metadata: Metadata) {
        self.metadata.push((metric.to_owned(), metadata));
    }

    /// Stores all of it: in one go, unless there is more than the store takes at once.
    pub(super) fn commit(&self, db: &Store) -> Result<Refused, tsdb::Error> {
        let Self { samples, histograms, exemplars, zeros, metadata } = self;
        let floats = samples.len() + zeros.len();
        if floats + histograms.len() + exemplars.len() + metadata.len() == 0 {
            return Ok(Refused::default());
        }
        let rare = histograms.len().max(exemplars.len()).max(metadata.len());
        let mut all = if floats <= tsdb::MAX_BATCH_SAMPLES && rare <= MAX_RARE {
            commit(db, |appender, again| {
                // What began before is older than everything else of its series.
                add_samples(appender, zeros, again)?;
                add_samples(appender, samples, again)?;
                add_histograms(appender, histograms, again)?;
                add_exemplars(appender, exemplars, again)?;
                add_metadata(appender, metadata)
            })?
        } else {
            self.commit_in_parts(db)?
        };
        all.refused.retain(|refusal| {
            !zeros.iter().any(|zero| zero.time_ms == refusal.timestamp_ms && zero.labels == refusal.labels)
        });
        db.outbox().offer(|parcel| {
            // What the store refused nobody else is to have; there is seldom any.
            let taken = |labels: &Labels, time_ms: i64| {
                !all.refused.iter().any(|refusal| refusal.timestamp_ms == time_ms && refusal.labels == *labels)
            };
            for sample in zeros.iter().chain(samples).filter(|sample| taken(&sample.labels, sample.time_ms)) {
                parcel.sample(&sample.labels, sample.start_ms, sample.time_ms, sample.value);
            }
            for sample in histograms.iter().filter(|sample| taken(&sample.labels, sample.time_ms)) {
                parcel.histogram(&sample.labels, sample.start_ms, sample.time_ms, &sample.histogram);
            }
            exemplars.iter().for_each(|(_, labels, exemplar)| parcel.exemplar(labels, exemplar));
        });
        Ok(all)
    }

    fn commit_in_parts(&self, db: &Store) -> Result<Refused, tsdb::Error> {
        let mut all = Refused::default();
        for part in [&self.zeros, &self.samples].into_iter().flat_map(|list| list.chunks(tsdb::MAX_BATCH_SAMPLES)) {
            all.add(commit(db, |appender, again| add_samples(appender, part, again))?);
        }
        for part in self.histograms.chunks(MAX_RARE) {
            all.add(commit(db, |appender, again| add_histograms(appender, part, again))?);
        }
        for part in self.exemplars.chunks(MAX_RARE) {
            all.add(commit(db, |appender, again| add_exemplars(appender, part, again))?);
        }
        for part in self.metadata.chunks(MAX_RARE) {
            all.add(commit(db, |appender, _| add_metadata(appender, part))?);
        }
        Ok(all)
    }
}

fn add_histograms(appender: &mut Appender<'_>, part: &[HistogramSample], again: bool) -> Result<(), tsdb::Error> {
    for sample in part {
        let series = if again { appender.resolve(&sample.labels)? } else { sample.series };
        appender.append_histogram(series, sample.start_ms, sample.time_ms, sample.histogram.clone())?;
    }
    Ok(())
}

fn add_exemplars(
    appender: &mut Appender<'_>,
    part: &[(SeriesRef, Labels, Exemplar)],
    again: bool,
) -> Result<(), tsdb::Error> {
    for (series, labels, exemplar) in part {
        let series = if again { appender.resolve(labels)? } else { *series };
        appender.append_exemplar(series, exemplar.clone())?;
    }
    Ok(())
}

fn add_metadata(appender: &mut Appender<'_>, part: &[(String, Metadata)]) -> Result<(), tsdb::Error> {
    part.iter().try_for_each(|(metric, metadata)| appender.set_metadata(metric, metadata.clone()))
}

fn add_samples(appender: &mut Appender<'_>, part: &[Sample], again: bool) -> Result<(), tsdb::Error> {
    for sample in part {
        let series = if again { appender.resolve(&sample.labels)? } else { sample.series };
        if sample.start_ms == 0 {
            appender.append(series, sample.time_ms, sample.value)?;
        } else {
            appender.append_with_start(series, sample.start_ms, sample.time_ms, sample.value)?;
        }
    }
    Ok(())
}

/// Adds and commits; once more with series looked up by their labels when the store has let some go. Known series keep what they
/// got the first time: a sample that is stored already is no second one.
fn commit(
    db: &Store,
    add: impl Fn(&mut Appender<'_>, bool) -> Result<(), tsdb::Error>,
) -> Result<Refused, tsdb::Error> {
    let once = |again: bool| {
        let mut appender = db.appender()?;
        add(&mut appender, again)?;
        let report = appender.commit()?;
        Ok::<_, tsdb::Error>(Refused { refused: report.refused, exemplars: report.exemplars_refused })
    };
    let refused = once(false)?;
    if refused.forgotten() { once(true) } else { Ok(refused) }
}
