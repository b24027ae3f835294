//! The strict reader: what the specification forbids though a scraper lets it pass, and what good practice asks for.
//!
//! [`check`] refuses a page as the OpenMetrics specification does (types fit suffixes, families stand together,
//! histograms add up, …); [`style`] gives the hints of `promtool check metrics`.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Event, MetricKind, Parser, Series, TextFormat};
use crate::{Error, Result};

/// A hint about one metric.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Name of the family.
    pub metric: String,
    /// What to change.
    pub text: String,
}

/// One family while it is read.
#[derive(Default)]
struct Family {
    name: String,
    kind: Option<MetricKind>,
    help: Option<String>,
    unit: Option<String>,
    /// Samples were seen: metadata must not follow.
    started: bool,
    labels: HashSet<String>,
    group: Option<Group>,
    closed_groups: HashSet<String>,
}

/// The samples of one label set (without `le` and `quantile`) of a family.
#[derive(Default)]
struct Group {
    key: String,
    timestamp: Option<i64>,
    seen: HashSet<String>,
    last_bound: Option<(f64, f64)>,
    infinite: Option<f64>,
    negative_bound: bool,
    count: Option<f64>,
    sum: Option<f64>,
}

struct Reader {
    format: TextFormat,
    family: Option<Family>,
    /// Every name that a closed family owns, with the family's.
    names: HashMap<String, String>,
    closed: BTreeMap<String, Family>,
}

/// Reads a page strictly.
///
/// # Errors
/// At the first thing that the format's specification forbids.
pub fn check(page: &[u8], format: TextFormat) -> Result<()> {
    read(page, format).map(drop)
}

/// Hints about names, types and help texts, as `promtool check metrics` gives them, sorted by metric. The page must
/// parse, but need not be strictly right.
///
/// # Errors
/// When the page cannot be read at all.
pub fn style(page: &[u8], format: TextFormat) -> Result<Vec<Problem>> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut parser = Parser::new(page, format);
    let mut problems = Vec::new();
    let mut seen = HashSet::new();
    while let Some(event) = parser.next_event()? {
        match event {
            Event::Type { name, kind } => {
                families.entry(name.to_owned()).or_default().kind = Some(kind);
            }
            Event::Help { name, text } => families.entry(name.to_owned()).or_default().help = Some(text.to_owned()),
            Event::Series(series) => {
                let (name, labels) = split_labels(&series);
                let family = owner(&name, |n| families.get(n).and_then(|f| f.kind));
                if !seen.insert((series.raw.to_vec(), series.timestamp_ms)) {
                    problems.push(Problem { metric: family.clone(), text: "metric not unique".into() });
                }
                let entry = families.entry(family).or_default();
                entry.started = true;
                entry.labels.extend(labels.into_iter().map(|(name, _)| name));
            }
            Event::Unit { .. } | Event::Comment => {}
        }
    }
    for (name, family) in families.iter().filter(|(_, family)| family.started) {
        let texts = style_of(name, family, format);
        problems.extend(texts.into_iter().map(|text| Problem { metric: name.clone(), text }));
    }
    problems.sort();
    Ok(problems)
}

fn split_labels(series: &Series<'_>) -> (String, Vec<(String, String)>) {
    let mut labels = series.labels();
    let name = labels.next().map(|(_, name)| name.into_owned()).unwrap_or_default();
    (name, labels.map(|(n, v)| (n.into_owned(), v.into_owned())).collect())
}

const SUFFIXES: [(&str, &[MetricKind]); 8] = [
    ("_total", &[MetricKind::Counter]),
    ("_created", &[MetricKind::Counter, MetricKind::Histogram, MetricKind::Summary]),
    ("_bucket", &[MetricKind::Histogram, MetricKind::GaugeHistogram]),
    ("_count", &[MetricKind::Histogram, MetricKind::Summary]),
    ("_sum", &[MetricKind::Histogram, MetricKind::Summary]),
    ("_gcount", &[MetricKind::GaugeHistogram]),
    ("_gsum", &[MetricKind::GaugeHistogram]),
    ("_info", &[MetricKind::Info]),
];

/// Name of the family that a sample belongs to, by the types known so far.
fn owner(sample: &str, kind: impl Fn(&str) -> Option<MetricKind>) -> String {
    if kind(sample).is_none() {
        for (suffix, kinds) in SUFFIXES {
            if let Some(base) = sample.strip_suffix(suffix)
                && kind(base).is_some_and(|kind| kinds.contains(&kind))
            {
                return base.to_owned();
            }
        }
    }
    sample.to_owned()
}

fn read(page: &[u8], format: TextFormat) -> Result<BTreeMap<String, Family>> {
    let mut reader = Reader { format, family: None, names: HashMap::new(), closed: BTreeMap::new() };
    let mut parser = Parser::new(page, format);
    let mut event_number = 0;
    while let Some(event) = parser.next_event()? {
        event_number += 1;
        reader.event(&event).map_err(|message| match event {
            Event::Series(series) => {
                let line = page.as_ptr_range().contains(&series.raw.as_ptr()).then(|| {
                    let at = series.raw.as_ptr().addr() - page.as_ptr().addr();
                    memchr::memchr_iter(b'\n', &page[..at]).count() + 1
                });
                Error::Text { line: line.unwrap_or(event_number), message }
            }
            // Events are lines, and only blank lines (which OpenMetrics does not have) are not events.
            _ => Error::Text { line: event_number, message },
        })?;
    }
    reader.close()?;
    Ok(reader.closed)
}

type Check<T = ()> = std::result::Result<T, String>;

fn ensure(holds: bool, message: impl FnOnce() -> String) -> Check {
    if holds { Ok(()) } else { Err(message()) }
}

impl Reader {
    fn event(&mut self, event: &Event<'_>) -> Check {
        match event {
            Event::Type { name, kind } => {
                let family = self.metadata(name)?;
                ensure(family.kind.is_none(), || format!("second TYPE line for {name}"))?;
                family.kind = Some(*kind);
                self.check_unit()
            }
            Event::Help { name, text } => {
                let family = self.metadata(name)?;
                ensure(family.help.is_none(), || format!("second HELP line for {name}"))?;
                family.help = Some((*text).to_owned());
                Ok(())
            }
            Event::Unit { name, unit } => {
                let family = self.metadata(name)?;
                ensure(family.unit.is_none(), || format!("second UNIT line for {name}"))?;
                family.unit = Some((*unit).to_owned());
                self.check_unit()
            }
            Event::Comment => Ok(()),
            Event::Series(series) => self.series(series),
        }
    }

    fn check_unit(&self) -> Check {
        match &self.family {
            Some(Family { name, unit: Some(unit), kind: Some(MetricKind::Info | MetricKind::StateSet), .. }) => {
                ensure(unit.is_empty(), || format!("{name} is an info or a state set and has a unit"))
            }
            _ => Ok(()),
        }
    }

    fn metadata(&mut self, name: &str) -> Check<&mut Family> {
        if self.family.as_ref().is_some_and(|family| family.name != name) {
            self.close().map_err(|error| error.to_string())?;
        }
        let family = self.family.get_or_insert_with(|| Family { name: name.to_owned(), ..Family::default() });
        ensure(!family.started, || format!("metadata of {name} after its samples"))?;
        ensure(!self.closed.contains_key(name), || format!("{name} appears in two places"))?;
        Ok(family)
    }

    fn series(&mut self, series: &Series<'_>) -> Check {
        let (sample, labels) = split_labels(series);
        if self.format == TextFormat::OpenMetrics {
            ensure(!series.raw.ends_with(b",}"), || "comma before the closing brace".into())?;
        }
        for (index, (name, _)) in labels.iter().enumerate() {
            // An empty value equals absence, so it cannot clash.
            let again = labels.iter().skip(index + 1).any(|(other, value)| other == name && !value.is_empty());
            ensure(!again, || format!("label {name:?} is given twice"))?;
        }
        let current = self.family.as_ref().map(|family| (family.name.clone(), family.kind));
        let name = owner(&sample, |n| {
            current.as_ref().filter(|(name, _)| name == n).map(|(_, kind)| kind.unwrap_or_default())
        });
        if current.as_ref().is_none_or(|(current, _)| *current != name) {
            self.close().map_err(|error| error.to_string())?;
            ensure(!self.closed.contains_key(&name), || format!("{name} appears in two places"))?;
            self.family = Some(Family { name, ..Family::default() });
        }
        match &mut self.family {
            Some(family) => family.sample(self.format, &sample, labels, series),
            None => Ok(()),
        }
    }

    /// Ends the current family: its last group must be whole and its names free.
    fn close(&mut self) -> Result<()> {
        let Some(mut family) = self.family.take() else { return Ok(()) };
        let invalid = |message: String| Error::Invalid(message);
        if let Some(group) = family.group.take() {
            group.finish(&family.name, family.kind.unwrap_or_default()).map_err(invalid)?;
        }
        let kind = family.kind.unwrap_or_default();
        let mut names = vec![family.name.clone()];
        if self.format == TextFormat::OpenMetrics || kind != MetricKind::Counter {
            names.extend(
                SUFFIXES.iter().filter(|(_, kinds)| kinds.contains(&kind)).map(|(s, _)| format!("{}{s}", family.name)),
            );
        }
        for name in names {
            if let Some(other) = self.names.insert(name.clone(), family.name.clone()) {
                return Err(invalid(format!("{name} of {} clashes with {other}", family.name)));
            }
        }
        self.closed.insert(family.name.clone(), family);
        Ok(())
    }
}

impl Family {
    fn sample(
        &mut self,
        format: TextFormat,
        sample: &str,
        labels: Vec<(String, String)>,
        series: &Series<'_>,
    ) -> Check {
        use MetricKind::{Counter, Gauge, GaugeHistogram, Histogram, Info, StateSet, Summary, Unknown};
        self.started = true;
        let kind = self.kind.unwrap_or_default();
        let suffix = sample.strip_prefix(self.name.as_str()).unwrap_or("").to_owned();
        let openmetrics = format == TextFormat::OpenMetrics;
        let fits = match kind {
            Counter if openmetrics => matches!(suffix.as_str(), "_total" | "_created"),
            Info => suffix == "_info",
            Histogram => matches!(suffix.as_str(), "_bucket" | "_count" | "_sum" | "_created"),
            GaugeHistogram => matches!(suffix.as_str(), "_bucket" | "_gcount" | "_gsum"),
            Summary => matches!(suffix.as_str(), "" | "_count" | "_sum" | "_created"),
            Counter | Gauge | StateSet | Unknown => suffix.is_empty(),
        };
        ensure(fits, || format!("{sample} does not fit a {} named {}", kind.as_str(), self.name))?;
        let special = match (kind, suffix.as_str()) {
            (Histogram | GaugeHistogram, "_bucket") => "le",
            (Summary, "") => "quantile",
            (StateSet, _) => self.name.as_str(),
            _ => "",
        };
        let bound = labels.iter().find(|(name, _)| name == special).map(|(_, value)| value.as_str());
        ensure(special.is_empty() || bound.is_some(), || format!("{sample} needs the label {special}"))?;
        self.labels.extend(labels.iter().map(|(name, _)| name.clone()));

        let value = series.value;
        match kind {
            Counter | Histogram | Summary if suffix != "_created" => {
                let quantile = kind == Summary && suffix.is_empty();
                let sum = kind == Histogram && suffix == "_sum";
                ensure(quantile || !value.is_nan(), || format!("{sample} is NaN"))?;
                ensure(sum || value.is_nan() || value >= 0.0, || format!("{sample} is negative"))?;
            }
            GaugeHistogram => {
                ensure(!value.is_nan(), || format!("{sample} is NaN"))?;
                ensure(suffix == "_gsum" || value >= 0.0, || format!("{sample} is negative"))?;
            }
            Info => ensure(value == 1.0, || format!("{sample} is an info and not 1"))?,
            StateSet => ensure(value == 0.0 || value == 1.0, || format!("{sample} is a state and neither 0 nor 1"))?,
            _ => {}
        }
        if let Some(exemplar) = &series.exemplar {
            let allowed =
                matches!((kind, suffix.as_str()), (Counter, "_total") | (Histogram | GaugeHistogram, "_bucket"));
            ensure(allowed, || format!("{sample} cannot have an exemplar"))?;
            let length: usize = exemplar.labels().map(|(n, v)| n.chars().count() + v.chars().count()).sum();
            ensure(length <= 128, || format!("labels of an exemplar have {length} characters, limit 128"))?;
        }

        let mut key: Vec<_> =
            labels.iter().filter(|(name, value)| name != special && !value.is_empty()).cloned().collect();
        key.sort();
        let key = format!("{key:?}");
        self.enter_group(&key)?;
        let Some(group) = &mut self.group else { return Ok(()) };
        group.time(sample, &labels, series.timestamp_ms)?;
        group.value(kind, &suffix, bound, value)
    }

    fn enter_group(&mut self, key: &str) -> Check {
        if self.group.as_ref().is_some_and(|group| group.key == key) {
            return Ok(());
        }
        if let Some(group) = self.group.take() {
            group.finish(&self.name, self.kind.unwrap_or_default())?;
            self.closed_groups.insert(group.key);
        }
        ensure(!self.closed_groups.contains(key), || format!("samples of {} are interleaved", self.name))?;
        self.group = Some(Group { key: key.to_owned(), ..Group::default() });
        Ok(())
    }
}

impl Group {
    fn time(&mut self, sample: &str, labels: &[(String, String)], timestamp: Option<i64>) -> Check {
        let identity = format!("{sample} {labels:?}");
        if let Some(last) = self.timestamp
            && let Some(now) = timestamp
        {
            ensure(now >= last, || format!("timestamps of {sample} go back"))?;
        }
        let mixed = !self.seen.is_empty() && self.timestamp.is_some() != timestamp.is_some();
        ensure(!mixed, || format!("{sample} with and without a timestamp"))?;
        if self.timestamp != timestamp {
            // A new point in time of the same group begins anew.
            *self = Self { key: std::mem::take(&mut self.key), timestamp, ..Self::default() };
        }
        let fresh = self.seen.insert(identity);
        ensure(fresh || timestamp.is_some(), || format!("{sample} is given twice"))
    }

    fn value(&mut self, kind: MetricKind, suffix: &str, bound: Option<&str>, value: f64) -> Check {
        match suffix {
            "_bucket" if matches!(kind, MetricKind::Histogram | MetricKind::GaugeHistogram) => {
                let text = bound.unwrap_or("");
                let le: f64 = match text {
                    "+Inf" => f64::INFINITY,
                    text if text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b)) => {
                        text.parse().map_err(|_| format!("bucket bound {text:?} is no number"))?
                    }
                    text => return Err(format!("bucket bound {text:?} is no number")),
                };
                if let Some((last, count)) = self.last_bound {
                    ensure(le > last, || format!("bucket bound {text} does not ascend"))?;
                    ensure(value >= count, || format!("bucket {text} holds less than the one before"))?;
                }
                self.last_bound = Some((le, value));
                self.negative_bound |= le < 0.0;
                if le == f64::INFINITY {
                    self.infinite = Some(value);
                }
            }
            "_count" | "_gcount" => self.count = Some(value),
            "_sum" | "_gsum" => self.sum = Some(value),
            "" if kind == MetricKind::Summary => {
                let quantile = bound.and_then(|text| text.parse::<f64>().ok());
                ensure(quantile.is_some_and(|q| (0.0..=1.0).contains(&q)), || {
                    format!("quantile {:?} is not between 0 and 1", bound.unwrap_or(""))
                })?;
            }
            _ => {}
        }
        Ok(())
    }

    /// What can only be said when the group is complete.
    fn finish(&self, name: &str, kind: MetricKind) -> Check {
        let gauge = kind == MetricKind::GaugeHistogram;
        if !(gauge || kind == MetricKind::Histogram) || self.seen.is_empty() {
            return Ok(());
        }
        let Some(infinite) = self.infinite else {
            return Err(format!("{name} has no bucket for +Inf"));
        };
        ensure(self.count.is_none_or(|count| count == infinite), || {
            format!("the count of {name} differs from its +Inf bucket")
        })?;
        ensure(self.sum.is_some() == self.count.is_some(), || format!("{name} has only one of count and sum"))?;
        if let Some(sum) = self.sum {
            if gauge {
                ensure(self.negative_bound || sum >= 0.0, || format!("the sum of {name} is negative"))?;
            } else {
                ensure(!self.negative_bound, || format!("{name} has a sum and a negative bucket bound"))?;
                ensure(sum >= 0.0, || format!("the sum of {name} is negative"))?;
            }
        }
        Ok(())
    }
}

const BASE_UNITS: [&str; 10] =
    ["amperes", "bytes", "celsius", "grams", "joules", "kelvin", "meters", "metres", "seconds", "volts"];
const OTHER_UNITS: [(&str, &str); 17] = [
    ("bit", "bytes"),
    ("bits", "bytes"),
    ("calories", "joules"),
    ("days", "seconds"),
    ("fahrenheit", "celsius"),
    ("feet", "meters"),
    ("hours", "seconds"),
    ("inches", "meters"),
    ("kelvins", "kelvin"),
    ("miles", "meters"),
    ("minutes", "seconds"),
    ("ounces", "grams"),
    ("pounds", "grams"),
    ("rankine", "celsius"),
    ("ticks", "seconds"),
    ("weeks", "seconds"),
    ("yards", "meters"),
];
const UNIT_PREFIXES: [&str; 17] = [
    "pico", "nano", "micro", "milli", "centi", "deci", "deca", "hecto", "kilo", "kibi", "mega", "mebi", "giga", "gibi",
    "tera", "tebi", "peta",
];
const ABBREVIATED_UNITS: [&str; 14] = ["s", "ms", "us", "ns", "sec", "b", "kb", "mb", "gb", "tb", "pb", "m", "h", "d"];

fn base_unit(word: &str) -> Option<&'static str> {
    let plain = |word: &str| {
        BASE_UNITS
            .iter()
            .find(|unit| **unit == word)
            .copied()
            .or_else(|| OTHER_UNITS.iter().find(|(unit, _)| *unit == word).map(|(_, base)| *base))
    };
    plain(word).or_else(|| UNIT_PREFIXES.iter().filter_map(|p| word.strip_prefix(p)).find_map(plain))
}

fn style_of(name: &str, family: &Family, format: TextFormat) -> Vec<String> {
    use MetricKind::{Counter, GaugeHistogram, Histogram, Summary, Unknown};
    let mut out = Vec::new();
    let kind = family.kind.unwrap_or_default();
    let histogram = matches!(kind, Histogram | GaugeHistogram);
    if family.help.as_deref().unwrap_or("").is_empty() {
        out.push("no help text".to_owned());
    }
    if let Some((word, base)) = name.split('_').find_map(|word| base_unit(word).map(|base| (word, base)))
        && word != base
    {
        out.push(format!("use base unit {base:?} instead of {word:?}"));
    }
    let total = name.ends_with("_total");
    if kind == Counter && !total && format == TextFormat::Prometheus {
        out.push("counter metrics should have \"_total\" suffix".to_owned());
    }
    if !matches!(kind, Counter | Unknown) && total {
        out.push("non-counter metrics should not have \"_total\" suffix".to_owned());
    }
    if kind != Unknown {
        if !histogram && name.ends_with("_bucket") {
            out.push("non-histogram metrics should not have \"_bucket\" suffix".to_owned());
        }
        for suffix in ["_count", "_sum"] {
            if !histogram && kind != Summary && name.ends_with(suffix) {
                out.push(format!("non-histogram and non-summary metrics should not have {suffix:?} suffix"));
            }
        }
        if !histogram && family.labels.contains("le") {
            out.push("non-histogram metrics should not have \"le\" label".to_owned());
        }
        if kind != Summary && family.labels.contains("quantile") {
            out.push("non-summary metrics should not have \"quantile\" label".to_owned());
        }
    }
    let lower = name.to_lowercase();
    for word in ["counter", "gauge", "histogram", "summary", "untyped"] {
        if kind.as_str() == word && (lower.contains(&format!("_{word}_")) || lower.ends_with(&format!("_{word}"))) {
            out.push(format!("metric name should not include type '{word}'"));
        }
    }
    if name.contains(':') {
        out.push("metric names should not contain ':'".to_owned());
    }
    let camel = |text: &str| text.as_bytes().windows(2).any(|w| w[0].is_ascii_lowercase() && w[1].is_ascii_uppercase());
    if camel(name) {
        out.push("metric names should be written in 'snake_case' not 'camelCase'".to_owned());
    }
    if family.labels.iter().any(|label| camel(label)) {
        out.push("label names should be written in 'snake_case' not 'camelCase'".to_owned());
    }
    if lower.split('_').any(|word| ABBREVIATED_UNITS.contains(&word)) {
        out.push("metric names should not contain abbreviated units".to_owned());
    }
    out
}
