//! One page into the store: parse, find or make each series, append, mark what is missing.

use std::collections::BTreeMap;

use kit::relabel::{Rule, process_builder};
use model::{Labels, LabelsBuilder, METRIC_NAME, STALE_NAN};
use tsdb::{Db, Reason, Refusal, SeriesRef};
use wire::exposition::{Event, Parser, TextFormat, unescape};

use super::cache::SeriesCache;
use super::metrics::ScrapeMetrics;
use super::target::Metadata;
use crate::config::{Limits, NameValidation, ScrapeConfig};

/// Pages after which a series text that is no longer named is forgotten.
const KEEP_PAGES: u64 = 2;

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
}

/// Samples of a page on their way, kept so that those of forgotten series can be sent again.
#[derive(Default)]
struct Batch {
    samples: Vec<(SeriesRef, Labels, i64, f64)>,
}

impl PageStore {
    /// Metadata when this page changed it.
    pub fn changed_metadata(&mut self) -> Option<BTreeMap<String, Metadata>> {
        std::mem::take(&mut self.metadata_changed).then(|| self.metadata.clone())
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
        db: &Db,
        page: &[u8],
        format: TextFormat,
        time_ms: i64,
        settings: &PageSettings,
        metrics: &ScrapeMetrics,
    ) -> Result<PageResult, PageError> {
        let mut result = PageResult::default();
        let mut parser = Parser::new(page, format);
        let mut appender = db.appender()?;
        let mut batch = Batch::default();
        self.cache.begin();
        while let Some(event) = parser.next_event_hinted(self.cache.hint())? {
            let series = match event {
                Event::Series(series) => series,
                Event::Type { name, kind } => {
                    self.note(name, |metadata| metadata.kind = kind.as_str());
                    continue;
                }
                Event::Help { name, text } => {
                    self.note(name, |metadata| {
                        if *metadata.help != *unescape(text) {
                            metadata.help = unescape(text).into_owned();
                        }
                    });
                    continue;
                }
                Event::Unit { name, unit } => {
                    self.note(name, |metadata| unit.clone_into(&mut metadata.unit));
                    continue;
                }
                Event::Comment => continue,
            };
            result.scraped += 1;
            let id = match self.cache.find(series.raw) {
                Some(id) => id,
                None => {
                    let labels = final_labels(&series.to_labels(true)?, settings)?;
                    let reference = match &labels {
                        Some(labels) => {
                            result.added += 1;
                            Some(appender.resolve(labels)?)
                        }
                        None => None,
                    };
                    self.cache.insert(series.raw, reference, labels.unwrap_or_default())
                }
            };
            let own_time = series.timestamp_ms.filter(|_| settings.honor_timestamps);
            let tracked = own_time.is_none() || settings.track_timestamps;
            let again = self.cache.mark(id, tracked);
            let entry = self.cache.entry(id);
            let Some(reference) = entry.series else { continue };
            result.kept += 1;
            if settings.limits.samples > 0 && result.kept > settings.limits.samples {
                metrics.exceeded_samples.inc();
                return Err(PageError::SampleLimit);
            }
            if again && own_time.is_none() {
                // A series twice on one page: the first sample counts.
                metrics.duplicates.inc();
                continue;
            }
            batch.samples.push((reference, entry.labels.clone(), own_time.unwrap_or(time_ms), series.value));
        }
        self.cache.end(KEEP_PAGES, |series, labels| batch.samples.push((series, labels.clone(), time_ms, STALE_NAN)));
        drop(appender);
        let refused = commit(db, &batch.samples)?;
        count_refusals(&refused, metrics);
        Ok(result)
    }

    /// The target failed or is gone: its series end at `time_ms`.
    ///
    /// # Errors
    /// The store's.
    pub fn fail(&mut self, db: &Db, time_ms: i64) -> Result<(), tsdb::Error> {
        let mut samples = Vec::new();
        self.cache.all_stale(|series, labels| samples.push((series, labels.clone(), time_ms, STALE_NAN)));
        commit(db, &samples).map(|_| ())
    }

    /// Stores the report series of a scrape.
    ///
    /// # Errors
    /// The store's.
    pub fn report(
        &mut self,
        db: &Db,
        settings: &PageSettings,
        time_ms: i64,
        values: &[(&'static str, f64)],
    ) -> Result<(), tsdb::Error> {
        let mut appender = db.appender()?;
        let mut samples = Vec::with_capacity(values.len());
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
            samples.push((series, labels, time_ms, *value));
        }
        drop(appender);
        let refused = commit(db, &samples)?;
        if refused.iter().any(|refusal| refusal.reason == Reason::UnknownSeries) {
            self.report.clear();
        }
        Ok(())
    }

    fn note(&mut self, name: &str, change: impl FnOnce(&mut Metadata)) {
        if !self.metadata.contains_key(name) {
            self.metadata.insert(unescape(name).into_owned(), Metadata { kind: "unknown", ..Metadata::default() });
        }
        if let Some(metadata) = self.metadata.get_mut(name) {
            let before = metadata.clone();
            change(metadata);
            self.metadata_changed |= *metadata != before;
        }
    }
}

/// Stores samples; those whose series the store has let go are resolved and stored again. Returns what was refused.
fn commit(db: &Db, samples: &[(SeriesRef, Labels, i64, f64)]) -> Result<Vec<Refusal>, tsdb::Error> {
    if samples.is_empty() {
        return Ok(Vec::new());
    }
    let mut refused = Vec::new();
    for part in samples.chunks(tsdb::MAX_BATCH_SAMPLES) {
        let mut appender = db.appender()?;
        for (series, _, time, value) in part {
            appender.append(*series, *time, *value)?;
        }
        let report = appender.commit()?;
        let forgotten = report.refused.iter().any(|refusal| refusal.reason == Reason::UnknownSeries);
        refused.extend(report.refused);
        if forgotten {
            // Known series keep what they got: a sample that is stored already is no second one.
            let mut appender = db.appender()?;
            for (_, labels, time, value) in part {
                let series = appender.resolve(labels)?;
                appender.append(series, *time, *value)?;
            }
            refused = appender.commit()?.refused;
        }
    }
    Ok(refused)
}

fn count_refusals(refused: &[Refusal], metrics: &ScrapeMetrics) {
    for refusal in refused {
        match refusal.reason {
            Reason::DuplicateTimestamp => metrics.duplicates.inc(),
            Reason::OutOfBounds | Reason::TooOld => metrics.out_of_bounds.inc(),
            _ => metrics.out_of_order.inc(),
        }
    }
}

/// Labels under which a series is stored: the page's with the target's, relabelled, checked. `None`: dropped.
fn final_labels(page: &Labels, settings: &PageSettings) -> Result<Option<Labels>, PageError> {
    let mut builder: LabelsBuilder;
    if settings.honor_labels {
        builder = page.to_builder();
        for (name, value) in &settings.target_labels {
            // An empty label on the page hides the target's; it has been left out of the set, so only absence is seen here.
            if builder.get(name).is_none() {
                builder.set(name, value);
            }
        }
    } else {
        builder = page.to_builder();
        // The page's labels that clash step aside: exported_x, and once more where that is taken too.
        let clashing: Vec<(String, String)> = page
            .iter()
            .filter(|(name, _)| settings.target_labels.get(name).is_some())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        for (name, value) in &settings.target_labels {
            builder.set(name, value);
        }
        for (name, value) in clashing {
            let mut renamed = format!("exported_{name}");
            while builder.get(&renamed).is_some() || settings.target_labels.get(&renamed).is_some() {
                renamed = format!("exported_{renamed}");
            }
            builder.set(&renamed, &value);
        }
    }
    if !process_builder(&mut builder, &settings.rules) {
        return Ok(None);
    }
    let labels = builder.build();
    let Some(name) = labels.metric_name() else {
        return Err(PageError::Invalid("invalid metric name or label names: the name is missing".to_owned()));
    };
    if settings.validation == NameValidation::Legacy {
        let bad = labels.iter().map(|(name, _)| name).find(|name| !model::labels::is_label_identifier(name));
        if !model::labels::is_metric_identifier(name) || bad.is_some() {
            return Err(PageError::Invalid(format!("invalid metric name or label names: {labels}")));
        }
    }
    check_limits(&labels, &settings.limits)?;
    Ok(Some(labels))
}

fn check_limits(labels: &Labels, limits: &Limits) -> Result<(), PageError> {
    let count = labels.len() as u64;
    if limits.labels > 0 && count > limits.labels {
        return Err(PageError::LabelLimit(format!(
            "label_limit exceeded (metric: {:.50}, number of labels: {count}, limit: {})",
            labels.to_string(),
            limits.labels
        )));
    }
    for (name, value) in labels {
        if limits.label_name_length > 0 && name.len() as u64 > limits.label_name_length {
            return Err(PageError::LabelLimit(format!(
                "label_name_length_limit exceeded (metric: {:.50}, label name: {name:.50}, length: {}, limit: {})",
                labels.to_string(),
                name.len(),
                limits.label_name_length
            )));
        }
        if limits.label_value_length > 0 && value.len() as u64 > limits.label_value_length {
            return Err(PageError::LabelLimit(format!(
                "label_value_length_limit exceeded (metric: {:.50}, label name: {name:.50}, value: {value:.50}, length: {}, limit: {})",
                labels.to_string(),
                value.len(),
                limits.label_value_length
            )));
        }
    }
    Ok(())
}
