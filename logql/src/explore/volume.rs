//! How much there is of what, from the headers of units.
//!
//! A unit that lies in several intervals is divided between them: by its entries where the store can count them, all
//! intervals in one call, by time where it cannot.

use std::collections::HashMap;

use model::{Direction, LogSelect, LogSelection, LogSource, LogUnit, Matcher};

use crate::engine::{Budget, QueryContext, QueryError, Sample, SeriesPoints, Value};
use crate::label_set::LabelSet;

/// What a selector finds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IndexStats {
    /// Streams.
    pub streams: u64,
    /// Units.
    pub chunks: u64,
    /// Bytes of lines.
    pub bytes: u64,
    /// Entries.
    pub entries: u64,
}

/// Counts what a selector finds from `start_ns` to before `end_ns`.
///
/// # Errors
/// When the source fails.
pub fn index_stats(
    source: &dyn LogSource,
    matchers: &[Matcher],
    start_ns: i64,
    end_ns: i64,
) -> Result<IndexStats, QueryError> {
    let selection = select(source, matchers, start_ns, end_ns)?;
    let mut stats = IndexStats { streams: selection.streams().len() as u64, ..IndexStats::default() };
    for (index, unit) in selection.units().iter().enumerate() {
        let part: f64 = shares(&*selection, index, unit, &[start_ns, end_ns]).iter().sum();
        stats.chunks += 1;
        stats.bytes += (unit.bytes as f64 * part).round() as u64;
        stats.entries += (unit.entries as f64 * part).round() as u64;
    }
    Ok(stats)
}

/// By what volumes are added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AggregateBy {
    /// By combinations of label values.
    #[default]
    Series,
    /// By names of labels.
    Labels,
}

/// Which volumes are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VolumeRequest {
    /// Conditions on the streams; none for all streams.
    pub matchers: Vec<Matcher>,
    /// Start of the time range in ns, inclusive.
    pub start_ns: i64,
    /// End of the time range in ns, exclusive.
    pub end_ns: i64,
    /// Length of the intervals in ns; all of the range is one when absent.
    pub step_ns: Option<i64>,
    /// Names of the labels that tell series apart; streams need to have them. Those of the matchers when empty.
    pub target_labels: Vec<String>,
    /// What is added up.
    pub aggregate_by: AggregateBy,
    /// Most series, the largest ones.
    pub limit: usize,
}

/// Bytes of lines by series and interval, the largest series first. A point bears the last moment of its interval.
///
/// # Errors
/// When the source fails, the query should stop, or there are too many intervals.
pub fn volumes(
    source: &dyn LogSource,
    request: &VolumeRequest,
    context: &QueryContext<'_>,
) -> Result<Vec<SeriesPoints>, QueryError> {
    let budget = Budget::new(context);
    let intervals = intervals(request)?;
    let selection = select(source, &request.matchers, request.start_ns, request.end_ns)?;
    let mut series: HashMap<LabelSet, Vec<f64>> = HashMap::new();
    let mut edges_ns = Vec::new();
    let keys: Vec<Vec<LabelSet>> =
        selection.streams().iter().map(|labels| keys(&LabelSet::from(labels), request)).collect();
    for (index, unit) in selection.units().iter().enumerate() {
        if index % 1024 == 0 {
            budget.check()?;
        }
        let keys = &keys[unit.stream as usize];
        if keys.is_empty() {
            continue;
        }
        let first = intervals.partition_point(|interval| interval.end_ns <= unit.min_ns);
        edges_ns.clear();
        edges_ns.extend(intervals.get(first).map(|interval| interval.start_ns));
        let touched = intervals[first..].iter().take_while(|interval| interval.start_ns <= unit.max_ns);
        edges_ns.extend(touched.map(|interval| interval.end_ns));
        let parts = shares(&*selection, index, unit, &edges_ns);
        for key in keys.iter().filter(|_| unit.bytes > 0) {
            let values = series.entry(key.clone()).or_insert_with(|| vec![0.0; intervals.len()]);
            for (value, part) in values[first..].iter_mut().zip(&parts) {
                *value += unit.bytes as f64 * part;
            }
        }
    }
    let mut list: Vec<(LabelSet, Vec<f64>)> = series.into_iter().collect();
    let total = |values: &[f64]| values.iter().sum::<f64>();
    list.sort_by(|a, b| total(&b.1).total_cmp(&total(&a.1)).then_with(|| a.0.cmp(&b.0)));
    list.truncate(request.limit);
    let points = |values: Vec<f64>| {
        let named = intervals.iter().zip(values);
        named.filter(|(_, value)| *value > 0.0).map(|(interval, value)| (interval.named_ms, value.round())).collect()
    };
    Ok(list.into_iter().map(|(labels, values)| SeriesPoints { labels, points: points(values) }).collect())
}

/// Volumes in the form the API gives them: a vector if no series has more than one point, otherwise a matrix.
pub fn volume_value(series: Vec<SeriesPoints>) -> Value {
    if series.iter().any(|one| one.points.len() > 1) {
        return Value::Matrix(series);
    }
    let sample = |one: SeriesPoints| {
        let (timestamp_ms, value) = one.points.first().copied()?;
        Some(Sample { labels: one.labels, timestamp_ms, value })
    };
    Value::Vector(series.into_iter().filter_map(sample).collect())
}

struct Interval {
    start_ns: i64,
    end_ns: i64,
    /// The time it is known by.
    named_ms: i64,
}

fn intervals(request: &VolumeRequest) -> Result<Vec<Interval>, QueryError> {
    const MILLISECOND: i64 = 1_000_000;
    let (start, end) = (request.start_ns, request.end_ns);
    let step = request.step_ns.unwrap_or(i64::MAX).max(MILLISECOND);
    if end.saturating_sub(start) / step > 11_000 {
        return Err(QueryError::TooManyPoints);
    }
    let mut intervals = Vec::new();
    let mut at = start;
    while at < end {
        let next = at.saturating_add(step);
        let named_ms = if next >= end { end } else { next - MILLISECOND }.div_euclid(MILLISECOND);
        intervals.push(Interval { start_ns: at, end_ns: next.min(end), named_ms });
        at = next;
    }
    Ok(intervals)
}

fn select<'a>(
    source: &'a dyn LogSource,
    matchers: &[Matcher],
    start_ns: i64,
    end_ns: i64,
) -> Result<Box<dyn LogSelection + 'a>, QueryError> {
    let request = LogSelect {
        matchers: matchers.to_vec(),
        start_ns,
        end_ns,
        direction: Direction::Forward,
        needles: Vec::new(),
        limit: 0,
        skip_lines: true,
        skip_metadata: true,
        shorten: None,
    };
    Ok(source.select(&request)?)
}

/// The series that a stream belongs to.
fn keys(labels: &LabelSet, request: &VolumeRequest) -> Vec<LabelSet> {
    let targets = &request.target_labels;
    if !targets.iter().all(|target| labels.get(target).is_some()) {
        return Vec::new();
    }
    match request.aggregate_by {
        AggregateBy::Labels => {
            let named = labels.iter().map(|(name, _)| name);
            let wanted = named.filter(|name| targets.is_empty() || targets.iter().any(|target| target == name));
            wanted.map(|name| LabelSet::from_pairs([(name, "")])).collect()
        }
        AggregateBy::Series if !targets.is_empty() => {
            vec![labels.filter(|name, _| targets.iter().any(|target| target == name))]
        }
        AggregateBy::Series if request.matchers.is_empty() => vec![labels.clone()],
        AggregateBy::Series => {
            vec![labels.filter(|name, _| request.matchers.iter().any(|matcher| matcher.name() == name))]
        }
    }
}

/// Which part of a unit lies between each two neighbours of `edges_ns`.
fn shares(selection: &dyn LogSelection, index: usize, unit: &LogUnit, edges_ns: &[i64]) -> Vec<f64> {
    if let [start_ns, end_ns] = edges_ns
        && *start_ns <= unit.min_ns
        && unit.max_ns < *end_ns
    {
        return vec![1.0];
    }
    let mut counts = Vec::new();
    if unit.entries > 0 && selection.counts(index, edges_ns, &mut counts) {
        return counts.into_iter().map(|count| count as f64 / unit.entries as f64).collect();
    }
    let length = unit.max_ns.saturating_sub(unit.min_ns).saturating_add(1) as f64;
    let part = |edges: &[i64]| {
        let inside = edges[1].min(unit.max_ns.saturating_add(1)).saturating_sub(edges[0].max(unit.min_ns));
        inside.max(0) as f64 / length
    };
    edges_ns.windows(2).map(part).collect()
}

#[cfg(test)]
mod tests {
    use model::{Labels, MatchOp};

    use super::*;
    use crate::testing::MemoryLogs;

    const SECOND: i64 = 1_000_000_000;

    fn logs() -> MemoryLogs {
        let mut logs = MemoryLogs::new(4);
        for i in 0..10 {
            logs.push(&Labels::from_pairs([("job", "a"), ("env", "dev")]), i * SECOND, "0123456789", []);
            logs.push(&Labels::from_pairs([("job", "b")]), i * SECOND, "01234", []);
        }
        logs
    }

    fn text(series: &[SeriesPoints]) -> String {
        series.iter().map(|one| format!("{} {:?}\n", one.labels, one.points)).collect()
    }

    #[test]
    fn adds_up_by_series_and_by_label() {
        let request = VolumeRequest { end_ns: 10 * SECOND, limit: 10, ..VolumeRequest::default() };
        let context = QueryContext::at(0);
        let of = |request: &VolumeRequest| text(&volumes(&logs(), request, &context).unwrap());
        assert_eq!(of(&request), "{env=\"dev\", job=\"a\"} [(10000, 100.0)]\n{job=\"b\"} [(10000, 50.0)]\n");
        let matchers = vec![Matcher::new(MatchOp::Regex, "job", ".+").unwrap()];
        let halves = VolumeRequest { matchers, step_ns: Some(6 * SECOND), ..request.clone() };
        assert_eq!(
            of(&halves),
            "{job=\"a\"} [(5999, 60.0), (10000, 40.0)]\n{job=\"b\"} [(5999, 30.0), (10000, 20.0)]\n"
        );
        let labels = VolumeRequest { aggregate_by: AggregateBy::Labels, ..request.clone() };
        assert_eq!(of(&labels), "{job=\"\"} [(10000, 150.0)]\n{env=\"\"} [(10000, 100.0)]\n");
        let target = VolumeRequest { target_labels: vec!["env".to_owned()], ..request };
        assert_eq!(of(&target), "{env=\"dev\"} [(10000, 100.0)]\n");
    }

    #[test]
    fn counts_what_is_there() {
        let stats = index_stats(&logs(), &[], 0, 5 * SECOND).unwrap();
        assert_eq!(stats, IndexStats { streams: 2, chunks: 4, bytes: 75, entries: 10 });
    }
}
