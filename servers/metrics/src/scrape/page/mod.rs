//! One page into the store: parse, find or make each series, append, mark what is missing.
//!
//! `text` and `protobuf` read pages of their format and hand what they find to one `ingest`, which knows the series by the page's
//! bytes, applies limits and rules and collects a `batch`; `nhcb` makes native histograms of classic ones on the way.

mod batch;
mod ingest;
mod labels;
mod nhcb;
mod protobuf;
mod resolution;
#[cfg(test)]
mod tests;
mod text;

use std::collections::{BTreeMap, BTreeSet};

use kit::relabel::Rule;
use model::{Labels, METRIC_NAME, STALE_NAN};
use tsdb::{Metadata, Reason, SeriesRef};
use wire::exposition::{Format, unescape};

use self::batch::Batch;
use self::ingest::Ingest;
use super::cache::SeriesCache;
use super::metrics::ScrapeMetrics;
use crate::config::{Limits, NameValidation, ScrapeConfig};
use crate::ingest::Store;

/// Pages after which a series text that is no longer named is forgotten.
const KEEP_PAGES: u64 = 2;

/// What is done with the times at which counters began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StartTimes {
    /// A sample of 0 is stored at the time a counter began.
    pub zero_sample: bool,
    /// The time is stored with the samples.
    pub store: bool,
}

/// How samples of a target are treated: its labels and its job's settings.
#[derive(Clone, Debug)]
pub struct PageSettings {
    /// Labels of the target.
    pub target_labels: Labels,
    /// Rules for samples.
    pub rules: Vec<Rule>,
    /// The page's own labels win.
    pub honor_labels: bool,
    /// The page's own timestamps count.
    pub honor_timestamps: bool,
    /// Series with own timestamps go stale too.
    pub track_timestamps: bool,
    /// Limits.
    pub limits: Limits,
    /// Which names are valid.
    pub validation: NameValidation,
    /// Adds the extra report series.
    pub extra_metrics: bool,
    /// Timeout in seconds, for the extra report series.
    pub timeout_seconds: f64,
    /// Native histograms are taken.
    pub native: bool,
    /// Classic histograms become native ones with their bounds.
    pub convert_classic: bool,
    /// Classic histograms are kept beside native ones.
    pub keep_classic: bool,
    /// Most buckets of a native histogram, 0: any number.
    pub bucket_limit: usize,
    /// Least factor between the bounds of native buckets.
    pub min_bucket_factor: f64,
    /// When counters began.
    pub start_times: StartTimes,
}

impl PageSettings {
    /// Settings of a target of this job.
    pub fn new(job: &ScrapeConfig, target_labels: &Labels, timeout_seconds: f64) -> Self {
        Self {
            target_labels: target_labels.clone(),
            rules: job.metric_relabel_rules.clone(),
            honor_labels: job.honor_labels,
            honor_timestamps: job.honor_timestamps,
            track_timestamps: job.track_timestamps_staleness,
            limits: job.limits,
            validation: job.name_validation,
            extra_metrics: job.extra_scrape_metrics,
            timeout_seconds,
            native: job.scrape_native_histograms,
            convert_classic: job.convert_classic_histograms,
            keep_classic: job.always_scrape_classic,
            bucket_limit: usize::try_from(job.native_histogram_bucket_limit).unwrap_or(usize::MAX),
            min_bucket_factor: job.native_histogram_min_bucket_factor,
            start_times: StartTimes::default(),
        }
    }
}

/// What became of a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PageResult {
    /// Samples on the page.
    pub scraped: u64,
    /// Samples after relabelling.
    pub kept: u64,
    /// Series not known before.
    pub added: u64,
}

/// Why a page was refused as a whole.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// It is no page of the format.
    #[error("{0}")]
    Format(#[from] wire::Error),
    /// More samples than the job takes.
    #[error("sample limit exceeded")]
    SampleLimit,
    /// A native histogram with more buckets than the job takes.
    #[error("histogram bucket limit exceeded")]
    BucketLimit,
    /// A label beyond the job's limits.
    #[error("{0}")]
    LabelLimit(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] tsdb::Error),
    /// A sample with a name that is not valid.
    #[error("{0}")]
    Invalid(String),
}

/// A target's state between pages.
#[derive(Debug, Default)]
pub struct PageStore {
    cache: SeriesCache,
    /// Report series, made once.
    report: BTreeMap<&'static str, SeriesRef>,
    /// Metadata seen so far.
    metadata: BTreeMap<String, Metadata>,
    metadata_changed: bool,
    /// Names whose metadata the store has not heard.
    metadata_news: BTreeSet<String>,
    counts: PageResult,
}

impl PageStore {
    /// Metadata when this page changed it.
    pub fn changed_metadata(&mut self) -> Option<BTreeMap<String, Metadata>> {
        std::mem::take(&mut self.metadata_changed).then(|| self.metadata.clone())
    }

    /// What the last page came to, as far as it was read.
    pub fn counts(&self) -> PageResult {
        self.counts
    }

    /// Forgets what the last page came to: the next one may not come at all.
    pub fn clear_counts(&mut self) {
        self.counts = PageResult::default();
    }

    /// Number of series texts known.
    pub fn cached(&self) -> usize {
        self.cache.len()
    }

    /// Stores a page scraped at `time_ms`. After an error nothing of the page is stored, and the series of pages before it
    /// are marked stale by [`PageStore::fail`].
    ///
    /// # Errors
    /// See [`PageError`].
    pub fn store(
        &mut self,
        db: &Store,
        page: &[u8],
        format: Format,
        time_ms: i64,
        settings: &PageSettings,
        metrics: &ScrapeMetrics,
    ) -> Result<PageResult, PageError> {
        let mut ingest = Ingest::new(self, db.appender()?, time_ms, settings, metrics);
        let read = match format {
            Format::Text(format) => text::read(&mut ingest, page, format),
            Format::Protobuf => protobuf::read(&mut ingest, page),
        };
        let counts = ingest.counts();
        let finished = read.and_then(|()| ingest.finish());
        self.counts = counts;
        finished?.commit(db)?.count(metrics);
        self.metadata_news.clear();
        Ok(counts)
    }

    /// The target failed or is gone: its series end at `time_ms`.
    ///
    /// # Errors
    /// The store's.
    pub fn fail(&mut self, db: &Store, time_ms: i64) -> Result<(), tsdb::Error> {
        let mut batch = Batch::default();
        self.cache.all_stale(|series, labels| batch.sample(series, labels, 0, time_ms, STALE_NAN));
        batch.commit(db).map(|_| ())
    }

    /// Stores the report series of a scrape.
    ///
    /// # Errors
    /// The store's.
    pub fn report(
        &mut self,
        db: &Store,
        settings: &PageSettings,
        time_ms: i64,
        values: &[(&'static str, f64)],
    ) -> Result<(), tsdb::Error> {
        let mut appender = db.appender()?;
        let mut batch = Batch::default();
        for (name, value) in values {
            let mut labels = settings.target_labels.to_builder();
            labels.set(METRIC_NAME, name);
            let labels = labels.build();
            let series = match self.report.get(name) {
                Some(series) => *series,
                None => {
                    let series = appender.resolve(&labels)?;
                    self.report.insert(name, series);
                    series
                }
            };
            batch.sample(series, &labels, 0, time_ms, *value);
        }
        drop(appender);
        let report = batch.commit(db)?;
        if report.refused.iter().any(|refusal| refusal.reason == Reason::UnknownSeries) {
            self.report.clear();
        }
        Ok(())
    }

    /// Takes note of what a page says about a family; `escaped` names have their escapes undone.
    fn note(&mut self, name: &str, escaped: bool, change: impl FnOnce(&mut Metadata)) {
        if !self.metadata.contains_key(name) {
            let name = if escaped { unescape(name).into_owned() } else { name.to_owned() };
            self.metadata.insert(name, Metadata::default());
        }
        if let Some(metadata) = self.metadata.get_mut(name) {
            let before = metadata.clone();
            change(metadata);
            if *metadata != before {
                self.metadata_changed = true;
                self.metadata_news.insert(name.to_owned());
            }
        }
    }
}
