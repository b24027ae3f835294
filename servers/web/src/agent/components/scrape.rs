//! `prometheus.scrape`: scrapes targets and sends their samples on.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use axum::http::header::{ACCEPT, HeaderName, HeaderValue};
use kit::Shutdown;
use kit::client::{Client, Request};
use model::{Labels, LabelsBuilder, STALE_NAN};
use tokio::sync::Notify;
use wire::exposition::{Event, Format, MetricKind, Parser, TextFormat, unescape};

use super::client::{client, settings};
use super::{ExporterMap, MEMORY_ADDRESS};
use crate::agent::controller::{Component, Ctx};
use crate::agent::pipe::{MetricReceiver, Samples, send_metrics};
use crate::agent::syntax::{Args, Diag, Result};

const ACCEPTED: &str = "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";

struct Settings {
    targets: Vec<BTreeMap<String, String>>,
    forward: Vec<MetricReceiver>,
    job: String,
    interval: Duration,
    timeout: Duration,
    path: String,
    scheme: String,
    params: Vec<(String, String)>,
    honor_labels: bool,
    honor_timestamps: bool,
    gzip: bool,
    body_limit: usize,
    sample_limit: usize,
    label_limit: usize,
    name_limit: usize,
    value_limit: usize,
    client: Client,
}

struct Scrape {
    ctx: Ctx,
    settings: ArcSwap<Settings>,
    changed: Notify,
}

pub(super) fn build(ctx: Ctx, mut args: Args) -> Result<Arc<dyn Component>> {
    let settings = read(&ctx, &mut args)?;
    args.finish()?;
    Ok(Arc::new(Scrape { ctx, settings: ArcSwap::from_pointee(settings), changed: Notify::new() }))
}

fn read(ctx: &Ctx, args: &mut Args) -> Result<Settings> {
    let http = settings(args)?;
    let mut params = Vec::new();
    if let Some((value, pos)) = args.take("params") {
        let wrong = || Diag::new(&pos, "params must map names to lists of strings");
        let crate::agent::syntax::Value::Object(fields) = value else { return Err(wrong()) };
        for (name, values) in fields.iter() {
            let crate::agent::syntax::Value::Array(values) = values else { return Err(wrong()) };
            for value in values.iter() {
                params.push((name.clone(), value.to_text().ok_or_else(wrong)?));
            }
        }
    }
    let read = Settings {
        targets: args.targets("targets")?,
        forward: args.metric_receivers("forward_to")?,
        job: args.text_or("job_name", &ctx.id)?,
        interval: args.duration_or("scrape_interval", Duration::from_secs(60))?,
        timeout: args.duration_or("scrape_timeout", Duration::from_secs(10))?,
        path: args.text_or("metrics_path", "/metrics")?,
        scheme: args.text_or("scheme", "http")?,
        params,
        honor_labels: args.bool_or("honor_labels", false)?,
        honor_timestamps: args.bool_or("honor_timestamps", true)?,
        gzip: args.bool_or("enable_compression", true)?,
        body_limit: args.size_or("body_size_limit", 0)? as usize,
        sample_limit: args.count_or("sample_limit", 0)?,
        label_limit: args.count_or("label_limit", 0)?,
        name_limit: args.count_or("label_name_length_limit", 0)?,
        value_limit: args.count_or("label_value_length_limit", 0)?,
        client: client(args, &http)?,
    };
    // Taken for the sake of configurations that name their defaults.
    for name in [
        "honor_metadata",
        "track_timestamps_staleness",
        "scrape_native_histograms",
        "scrape_classic_histograms",
        "convert_classic_histograms_to_nhcb",
        "extra_metrics",
        "enable_protobuf_negotiation",
    ] {
        let pos = args.pos_of(name);
        if args.bool_or(name, false)? {
            return Err(Diag::new(&pos, format!("{name} = true is not supported by this agent")));
        }
    }
    for name in ["scrape_fallback_protocol", "metric_name_validation_scheme", "metric_name_escaping_scheme"] {
        args.text(name)?;
    }
    args.texts("scrape_protocols")?;
    for name in ["target_limit", "native_histogram_bucket_limit"] {
        args.count_or(name, 0)?;
    }
    if let Some(mut block) = args.block("clustering")? {
        let pos = block.pos.clone();
        if block.bool_or("enabled", false)? {
            return Err(Diag::new(&pos, "clustering is not supported by this agent"));
        }
        block.finish()?;
    }
    if read.interval.is_zero() {
        return Err(Diag::new(&args.pos, "scrape_interval must be above zero"));
    }
    if read.timeout > read.interval {
        return Err(Diag::new(&args.pos, "scrape_timeout must not be greater than scrape_interval"));
    }
    Ok(read)
}

impl Component for Scrape {
    fn update(&self, mut args: Args) -> Result<()> {
        let settings = read(&self.ctx, &mut args)?;
        args.finish()?;
        self.settings.store(Arc::new(settings));
        self.changed.notify_one();
        Ok(())
    }

    fn start(self: Arc<Self>, shutdown: &Shutdown) {
        let stop = shutdown.clone();
        shutdown.spawn("prometheus.scrape", async move { self.run(stop).await });
    }
}

impl Scrape {
    async fn run(self: Arc<Self>, shutdown: Shutdown) {
        let mut running: HashMap<Labels, Shutdown> = HashMap::new();
        loop {
            let settings = self.settings.load_full();
            let wanted: HashSet<Labels> = settings.targets.iter().map(Labels::from_pairs).collect();
            running.retain(|target, stop| {
                let keep = wanted.contains(target);
                if !keep {
                    stop.trigger();
                }
                keep
            });
            for target in wanted {
                if !running.contains_key(&target) {
                    let stop = shutdown.child();
                    running.insert(target.clone(), stop.clone());
                    let scrape = self.clone();
                    shutdown.spawn("scrape target", async move { scrape.target(target, stop).await });
                }
            }
            self.ctx.metrics.scrape_targets.with(&[&self.ctx.id]).set(running.len() as f64);
            tokio::select! {
                () = self.changed.notified() => {}
                () = shutdown.triggered() => return,
            }
        }
    }

    /// Scrapes one target until it is stopped; then its series end.
    async fn target(&self, target: Labels, stop: Shutdown) {
        let mut state = TargetState::default();
        let interval = self.settings.load().interval;
        // Targets are spread over the interval by their hash.
        let share = (target.fingerprint() % 1000) as f64 / 1000.0;
        let mut next = tokio::time::Instant::now() + interval.mul_f64(share).min(Duration::from_secs(10));
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(next) => {}
                () = stop.triggered() => break,
            }
            let settings = self.settings.load_full();
            let now_ms = kit::time::now_ms();
            let samples = self.scrape(&settings, &target, &mut state, now_ms).await;
            self.ctx.metrics.forwarded_samples.with(&[&self.ctx.id]).add(samples.len() as u64);
            send_metrics(&settings.forward, samples).await;
            next += settings.interval;
            let now = tokio::time::Instant::now();
            if next < now {
                next = now + settings.interval;
            }
        }
        let settings = self.settings.load_full();
        let mut samples = Samples::default();
        let now_ms = kit::time::now_ms();
        samples.floats.extend(state.live.drain().map(|labels| (labels, now_ms, STALE_NAN)));
        if !samples.is_empty() {
            send_metrics(&settings.forward, samples).await;
        }
    }

    async fn scrape(&self, settings: &Settings, target: &Labels, state: &mut TargetState, now_ms: i64) -> Samples {
        let identity = identity(settings, target);
        let start = Instant::now();
        let fetched = self.fetch(settings, target).await;
        let parsed = fetched.and_then(|(format, page)| state.parse(settings, &identity, format, &page, now_ms));
        let seconds = start.elapsed().as_secs_f64();
        let (mut samples, up, scraped, added) = match parsed {
            Ok((samples, added)) => {
                self.ctx.healthy("scraping");
                let scraped = samples.floats.len();
                (samples, 1.0, scraped, added)
            }
            Err(error) => {
                let address = target.value("__address__");
                self.ctx.unhealthy(format!("{address}: {error}"));
                tracing::debug!(component = "agent", node = self.ctx.id, target = address, error, "scrape failed");
                (Samples::default(), 0.0, 0, 0)
            }
        };
        // Series that are gone end with a marker; after a failed scrape that is all of them.
        let current: HashSet<Labels> = samples.floats.iter().map(|(labels, ..)| labels.clone()).collect();
        let ended: Vec<Labels> = state.live.iter().filter(|labels| !current.contains(*labels)).cloned().collect();
        samples.floats.extend(ended.into_iter().map(|labels| (labels, now_ms, STALE_NAN)));
        state.live = current;
        for (name, value) in [
            ("up", up),
            ("scrape_duration_seconds", seconds),
            ("scrape_samples_scraped", scraped as f64),
            ("scrape_samples_post_metric_relabeling", scraped as f64),
            ("scrape_series_added", added as f64),
        ] {
            let mut labels = identity.to_builder();
            labels.set("__name__", name);
            samples.floats.push((labels.build(), now_ms, value));
        }
        samples
    }

    async fn fetch(
        &self,
        settings: &Settings,
        target: &Labels,
    ) -> std::result::Result<(TextFormat, bytes::Bytes), String> {
        let or = |name: &str, default: &str| target.get(name).unwrap_or(default).to_owned();
        let (address, path) = (or("__address__", ""), or("__metrics_path__", &settings.path));
        if address == MEMORY_ADDRESS {
            return in_process(&self.ctx.exporters, &path).await;
        }
        if address.is_empty() {
            return Err("the target has no __address__".into());
        }
        let mut url = format!("{}://{address}{path}", or("__scheme__", &settings.scheme));
        let own = target.iter().filter_map(|(name, value)| Some((name.strip_prefix("__param_")?, value)));
        let params = settings.params.iter().map(|(name, value)| (name.as_str(), value.as_str())).chain(own);
        for (index, (name, value)) in params.enumerate() {
            url.push(if index == 0 && !path.contains('?') { '?' } else { '&' });
            url.push_str(&format!("{}={}", kit::percent::encode(name), kit::percent::encode(value)));
        }
        let mut request =
            Request::get(url).timeout(settings.timeout).header(ACCEPT, HeaderValue::from_static(ACCEPTED));
        request.gzip = settings.gzip;
        request.max_body = if settings.body_limit == 0 { 256 << 20 } else { settings.body_limit };
        if let Ok(timeout) = HeaderValue::from_str(&settings.timeout.as_secs_f64().to_string()) {
            request.headers.insert(HeaderName::from_static("x-prometheus-scrape-timeout-seconds"), timeout);
        }
        let answer = settings.client.send(request).await.map_err(|e| e.to_string())?;
        if answer.status != 200 {
            return Err(format!("server returned HTTP status {}", answer.status));
        }
        let format = answer.header("content-type").and_then(Format::from_content_type);
        match format {
            Some(Format::Text(format)) => Ok((format, answer.body)),
            // The fallback protocol is the text format.
            None => Ok((TextFormat::Prometheus, answer.body)),
            Some(Format::Protobuf) => Err("the target answered in protobuf, which was not asked for".into()),
        }
    }
}

async fn in_process(exporters: &ExporterMap, path: &str) -> std::result::Result<(TextFormat, bytes::Bytes), String> {
    let gather = exporters.lock().get(path).cloned();
    let gather = gather.ok_or_else(|| format!("no exporter in this agent serves {path}"))?;
    let page = tokio::task::spawn_blocking(move || {
        let mut page = Vec::with_capacity(128 << 10);
        wire::exposition::write_text(&mut page, TextFormat::Prometheus, &gather());
        page
    });
    page.await.map(|page| (TextFormat::Prometheus, page.into())).map_err(|e| e.to_string())
}

/// Labels that every series of a target gets.
fn identity(settings: &Settings, target: &Labels) -> Labels {
    let mut labels = target.to_builder();
    labels.retain(|name, _| !name.starts_with("__"));
    if labels.get("job").is_none() {
        labels.set("job", &settings.job);
    }
    if labels.get("instance").is_none() {
        labels.set("instance", target.value("__address__"));
    }
    labels.build()
}

type Metadata = BTreeMap<String, (MetricKind, String, String)>;

/// What is remembered of a target between scrapes.
#[derive(Default)]
struct TargetState {
    /// Raw bytes of a series to its labels: nearly every series is found here.
    cache: HashMap<Vec<u8>, Labels>,
    order: Vec<Vec<u8>>,
    live: HashSet<Labels>,
    metadata: Arc<Metadata>,
    identity: Labels,
}

impl TargetState {
    fn parse(
        &mut self,
        settings: &Settings,
        identity: &Labels,
        format: TextFormat,
        page: &[u8],
        now_ms: i64,
    ) -> std::result::Result<(Samples, usize), String> {
        if self.identity != *identity {
            self.cache.clear();
            self.identity = identity.clone();
        }
        let mut samples = Samples::default();
        let mut metadata = Metadata::new();
        let mut order = Vec::with_capacity(self.order.len());
        let mut added = 0;
        let mut parser = Parser::new(page, format);
        loop {
            let hint = self.order.get(order.len()).map_or(&[][..], Vec::as_slice);
            let Some(event) = parser.next_event_hinted(hint).map_err(|e| e.to_string())? else { break };
            match event {
                Event::Type { name, kind } => metadata.entry(name.to_owned()).or_default().0 = kind,
                Event::Help { name, text } => {
                    metadata.entry(name.to_owned()).or_default().1 = unescape(text).into_owned();
                }
                Event::Unit { name, unit } => metadata.entry(name.to_owned()).or_default().2 = unit.to_owned(),
                Event::Comment => {}
                Event::Series(series) => {
                    let labels = match self.cache.get(series.raw) {
                        Some(labels) => labels.clone(),
                        None => {
                            added += 1;
                            let own = series.to_labels(true).map_err(|e| e.to_string())?;
                            let labels = merge(&own, identity, settings.honor_labels);
                            check(settings, &labels)?;
                            self.cache.insert(series.raw.to_vec(), labels.clone());
                            labels
                        }
                    };
                    order.push(series.raw.to_vec());
                    let timestamp = series.timestamp_ms.filter(|_| settings.honor_timestamps).unwrap_or(now_ms);
                    if let Some(exemplar) = &series.exemplar {
                        let own = Labels::from_pairs(exemplar.labels());
                        let at = exemplar.timestamp_ms.unwrap_or(timestamp);
                        samples.exemplars.push((labels.clone(), own, at, exemplar.value));
                    }
                    samples.floats.push((labels, timestamp, series.value));
                    if settings.sample_limit > 0 && samples.floats.len() > settings.sample_limit {
                        return Err(format!("sample limit of {} exceeded", settings.sample_limit));
                    }
                }
            }
        }
        // Series that come and go must not pile up.
        if self.cache.len() > 2 * order.len() + 1000 {
            let live: HashSet<&Vec<u8>> = order.iter().collect();
            self.cache.retain(|raw, _| live.contains(raw));
        }
        self.order = order;
        if *self.metadata != metadata {
            self.metadata = Arc::new(metadata);
        }
        samples.metadata = self.metadata.clone();
        Ok((samples, added))
    }
}

fn check(settings: &Settings, labels: &Labels) -> std::result::Result<(), String> {
    if settings.label_limit > 0 && labels.len() > settings.label_limit {
        return Err(format!("label_limit exceeded by {labels}"));
    }
    for (name, value) in labels {
        if settings.name_limit > 0 && name.len() > settings.name_limit {
            return Err(format!("label_name_length_limit exceeded by {name}"));
        }
        if settings.value_limit > 0 && value.len() > settings.value_limit {
            return Err(format!("label_value_length_limit exceeded by {name} of {labels}"));
        }
    }
    Ok(())
}

/// A series' own labels and the target's: on a clash the target's win and the series' become `exported_…`, unless they
/// are honoured.
fn merge(own: &Labels, target: &Labels, honor: bool) -> Labels {
    let mut labels: LabelsBuilder = own.to_builder();
    for (name, value) in target {
        match own.get(name) {
            Some(_) if honor => continue,
            Some(clash) => {
                let mut exported = format!("exported_{name}");
                while labels.get(&exported).is_some() || target.get(&exported).is_some() {
                    exported = format!("exported_{exported}");
                }
                labels.set(&exported, clash);
            }
            None => {}
        }
        labels.set(name, value);
    }
    labels.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clashing_labels_are_renamed() {
        let of = |pairs: &[(&str, &str)]| Labels::from_pairs(pairs.iter().copied());
        let own = of(&[("__name__", "x"), ("job", "mine"), ("exported_job", "other")]);
        let target = of(&[("job", "theirs"), ("instance", "a:1")]);
        assert_eq!(
            merge(&own, &target, false).to_string(),
            r#"x{exported_exported_job="mine", exported_job="other", instance="a:1", job="theirs"}"#
        );
        assert_eq!(merge(&own, &target, true).to_string(), r#"x{exported_job="other", instance="a:1", job="mine"}"#);
    }
}
