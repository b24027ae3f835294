//! What one page brings, whatever its format: series found or made, limits applied, a batch collected.

use std::collections::HashMap;

use model::{Labels, STALE_NAN};
use tsdb::{Appender, Exemplar, Metadata, NativeHistogram, SeriesRef};

use super::super::cache::EntryId;
use super::super::metrics::ScrapeMetrics;
use super::batch::Batch;
use super::labels::final_labels;
use super::resolution::limit_buckets;
use super::{KEEP_PAGES, PageError, PageResult, PageSettings, PageStore};

/// See the module.
pub(super) struct Ingest<'a> {
    store: &'a mut PageStore,
    appender: Appender<'a>,
    batch: Batch,
    time_ms: i64,
    pub(super) settings: &'a PageSettings,
    metrics: &'a ScrapeMetrics,
    result: PageResult,
    /// Start times on the page by family and labels, where the format has them as lines of their own.
    pub(super) created: HashMap<Labels, i64>,
    failure: Option<PageError>,
}

/// A series whose sample is taken.
#[derive(Clone, Copy)]
pub(super) struct Found {
    id: EntryId,
    series: SeriesRef,
    own_time_ms: Option<i64>,
    start_ms: i64,
}

/// An exemplar of a page.
pub(super) struct PageExemplar {
    pub(super) labels: Labels,
    pub(super) value: f64,
    pub(super) timestamp_ms: Option<i64>,
}

impl<'a> Ingest<'a> {
    pub(super) fn new(
        store: &'a mut PageStore,
        appender: Appender<'a>,
        time_ms: i64,
        settings: &'a PageSettings,
        metrics: &'a ScrapeMetrics,
    ) -> Self {
        store.cache.begin();
        Self {
            store,
            appender,
            batch: Batch::default(),
            time_ms,
            settings,
            metrics,
            result: PageResult::default(),
            created: HashMap::new(),
            failure: None,
        }
    }

    /// The text that stood at this place of the last page.
    pub(super) fn hint(&self) -> &[u8] {
        self.store.cache.hint()
    }

    /// Takes note of what the page says about a family.
    pub(super) fn note(&mut self, name: &str, escaped: bool, change: impl FnOnce(&mut Metadata)) {
        self.store.note(name, escaped, change);
    }

    /// The series of a text, if its sample is to be taken. `labels` gives the page's labels, those with an empty value by name, and
    /// what [`Ingest::created`] has its start time under; it is asked for texts that are new.
    pub(super) fn series(
        &mut self,
        raw: &[u8],
        own_time_ms: Option<i64>,
        start_ms: Option<i64>,
        labels: impl FnOnce() -> Result<(Labels, Vec<String>, Option<Labels>), PageError>,
    ) -> Result<Option<Found>, PageError> {
        self.result.scraped += 1;
        let cache = &mut self.store.cache;
        let id = match cache.find(raw) {
            Some(id) => id,
            None => {
                let (page, hidden, created) = labels()?;
                let labels = final_labels(&page, &hidden, self.settings)?;
                let series = match &labels {
                    Some(labels) => {
                        self.result.added += 1;
                        Some(self.appender.resolve(labels)?)
                    }
                    None => None,
                };
                cache.insert(raw, series, labels.unwrap_or_default(), created)
            }
        };
        let own_time_ms = own_time_ms.filter(|_| self.settings.honor_timestamps);
        let again = cache.mark(id, own_time_ms.is_none() || self.settings.track_timestamps);
        let entry = cache.entry(id);
        let Some(series) = entry.series else { return Ok(None) };
        self.result.kept += 1;
        let limit = self.settings.limits.samples;
        if limit > 0 && self.result.kept > limit && self.failure.is_none() {
            // The rest is read all the same: the report says how much there was.
            self.metrics.exceeded_samples.inc();
            self.failure = Some(PageError::SampleLimit);
        }
        if again && own_time_ms.is_none() {
            // A series twice on one page: the first sample counts.
            self.metrics.duplicates.inc();
            return Ok(None);
        }
        let start_ms = start_ms.or_else(|| self.created.get(entry.created.as_deref()?).copied());
        let start_ms = start_ms.filter(|start| *start > 0 && *start < own_time_ms.unwrap_or(self.time_ms));
        Ok(Some(Found { id, series, own_time_ms, start_ms: start_ms.unwrap_or(0) }))
    }

    fn time_ms(&self, found: &Found) -> i64 {
        found.own_time_ms.unwrap_or(self.time_ms)
    }

    /// What is stored as the start time of a sample; a new one may bring a sample of 0.
    fn start(&mut self, found: &Found) -> i64 {
        let times = self.settings.start_times;
        if found.start_ms == 0 || !(times.zero_sample || times.store) {
            return 0;
        }
        let entry = self.store.cache.entry_mut(found.id);
        if times.zero_sample && entry.start_ms != found.start_ms {
            entry.start_ms = found.start_ms;
            self.batch.zero(found.series, &entry.labels, found.start_ms);
        }
        if times.store { found.start_ms } else { 0 }
    }

    /// Adds a sample.
    #[inline]
    pub(super) fn sample(&mut self, found: &Found, value: f64) {
        let start_ms = if found.start_ms == 0 { 0 } else { self.start(found) };
        let labels = &self.store.cache.entry(found.id).labels;
        self.batch.sample(found.series, labels, start_ms, self.time_ms(found), value);
    }

    /// Adds a native histogram, in a resolution that the job takes.
    pub(super) fn histogram(&mut self, found: &Found, histogram: NativeHistogram) {
        let settings = self.settings;
        let Some(histogram) = limit_buckets(histogram, settings.bucket_limit, settings.min_bucket_factor) else {
            if self.failure.is_none() {
                self.metrics.exceeded_buckets.inc();
                self.failure = Some(PageError::BucketLimit);
            }
            return;
        };
        // A zero histogram at the start would need the layout of this one: the start time goes with the sample alone.
        let start_ms = if settings.start_times.store { found.start_ms } else { 0 };
        let labels = &self.store.cache.entry(found.id).labels;
        self.batch.histogram(found.series, labels, start_ms, self.time_ms(found), histogram);
    }

    /// Adds an exemplar. One without a time gets the scrape's, once: it is the same one as long as labels and value are.
    pub(super) fn exemplar(&mut self, found: &Found, exemplar: PageExemplar) {
        let time_ms = self.time_ms(found);
        let entry = self.store.cache.entry_mut(found.id);
        let timestamp_ms = match exemplar.timestamp_ms {
            Some(ms) => ms,
            None => {
                let known = entry.exemplar.as_deref();
                if known.is_some_and(|(labels, value)| *labels == exemplar.labels && *value == exemplar.value) {
                    return;
                }
                entry.exemplar = Some(Box::new((exemplar.labels.clone(), exemplar.value)));
                time_ms
            }
        };
        let exemplar = Exemplar { labels: exemplar.labels, value: exemplar.value, timestamp_ms };
        self.batch.exemplar(found.series, &entry.labels, exemplar);
    }

    /// What the page has come to so far.
    pub(super) fn counts(&self) -> PageResult {
        self.result
    }

    /// The end of the page: what is missing ends. Returns what is to be stored.
    pub(super) fn finish(self) -> Result<Batch, PageError> {
        let Self { store, mut batch, time_ms, failure, .. } = self;
        if let Some(failure) = failure {
            return Err(failure);
        }
        store.cache.end(KEEP_PAGES, |series, labels| batch.sample(series, labels, 0, time_ms, STALE_NAN));
        for name in &store.metadata_news {
            if let Some(metadata) = store.metadata.get(name) {
                batch.metadata(name, metadata.clone());
            }
        }
        Ok(batch)
    }
}
