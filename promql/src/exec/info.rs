//! `info`: adds the labels of info series, such as `target_info`, to the series of a vector.
//!
//! Info series belong to a series that has the same `instance` and `job`. Of several info series of one metric and one
//! target the one with the newest sample counts.

use crate::hash::{HashMap, HashSet};
use model::regex::quote_meta;
use model::{Labels, LabelsBuilder, METRIC_NAME, MatchOp, Matcher, SampleColumns, SelectHints};

use super::{Done, Exec};
use crate::error::QueryError;
use crate::format::label_set;
use crate::plan::{Info, Node};
use crate::vector::{Column, Series, Steps};

/// Labels that tell targets apart.
const IDENTIFYING: [&str; 2] = ["instance", "job"];

/// An info series: labels, and at each step the time of its newest sample.
struct InfoSeries {
    labels: Labels,
    /// Metric name and identifying labels.
    key: Key,
    times: Vec<Option<i64>>,
}

/// Metric name and identifying labels of an info series, or those it would need to belong to a series.
type Key = (String, String, String);

fn key(name: &str, labels: &Labels) -> Key {
    let value = |l: &str| labels.value(l).to_owned();
    (name.to_owned(), value(IDENTIFYING[0]), value(IDENTIFYING[1]))
}

impl Exec<'_> {
    pub(super) fn info(&self, info: &Info, input: &Node, steps: Steps) -> Done<Vec<Series>> {
        let series = self.vector(input, steps)?;
        let matchers = info.matchers.as_deref().unwrap_or(&[]);
        let (names, data): (Vec<Matcher>, Vec<Matcher>) =
            matchers.iter().cloned().partition(|m| m.name() == METRIC_NAME);
        let names = name_matchers(names);
        // Info series themselves are not enriched.
        let is_info = |s: &Series| names.iter().all(|m| m.matches(s.labels.value(METRIC_NAME)));
        let ignored: Vec<bool> = series.iter().map(is_info).collect();
        let infos = self.info_series(info, &series, &ignored, &names, &data, steps)?;
        let out = self.enrich(series, &ignored, &infos, &data, steps)?;
        Ok(out)
    }

    fn info_series(
        &self,
        info: &Info,
        series: &[Series],
        ignored: &[bool],
        names: &[Matcher],
        data: &[Matcher],
        steps: Steps,
    ) -> Done<Vec<InfoSeries>> {
        let mut matchers: Vec<Matcher> = Vec::new();
        for label in IDENTIFYING {
            let values: HashSet<&str> = series
                .iter()
                .zip(ignored)
                .filter(|(_, ignored)| !**ignored)
                .map(|(s, _)| s.labels.value(label))
                .filter(|v| !v.is_empty())
                .collect();
            let mut values: Vec<_> = values.into_iter().map(quote_meta).collect();
            if !values.is_empty() {
                values.sort_unstable();
                matchers.push(
                    Matcher::new(MatchOp::Regex, label, &values.join("|"))
                        .map_err(|e| QueryError::Execution(e.to_string()))?,
                );
            }
        }
        if matchers.is_empty() {
            return Ok(Vec::new());
        }
        matchers.extend(data.iter().chain(names).cloned());
        let hints = SelectHints {
            start_ms: info.end.of(&steps, 0).saturating_sub(self.lookback_ms).saturating_add(1),
            end_ms: info.end.of(&steps, steps.count.saturating_sub(1)),
            step_ms: steps.step_ms,
            func: Some("info"),
            ..SelectHints::default()
        };
        let selection = self.source.select(&matchers, &hints)?;
        self.budget.check_series(selection.len())?;
        let mut columns = SampleColumns::new();
        let mut out = Vec::new();
        for index in 0..selection.len() {
            self.budget.check_now()?;
            selection.read(index, &mut columns)?;
            self.budget.check_decoded(columns.len())?;
            let labels = selection.labels(index);
            let mut times = vec![None; steps.count];
            for (step, time) in times.iter_mut().enumerate() {
                let at = info.end.of(&steps, step);
                let inside = |t: &&i64| **t > at.saturating_sub(self.lookback_ms);
                if columns.histogram_timestamps.iter().rev().find(|t| **t <= at).filter(inside).is_some() {
                    let labels = label_set(&labels);
                    return Err(QueryError::Execution(format!(
                        "this should be an info metric, with float samples: {labels}"
                    )));
                }
                let newest = columns.timestamps.partition_point(|t| *t <= at);
                *time = newest
                    .checked_sub(1)
                    .filter(|i| inside(&&columns.timestamps[*i]) && !model::is_stale(columns.values[*i]))
                    .map(|i| columns.timestamps[i]);
            }
            if times.iter().any(Option::is_some) {
                let key = key(labels.value(METRIC_NAME), &labels);
                out.push(InfoSeries { labels, key, times });
            }
        }
        Ok(out)
    }

    fn enrich(
        &self,
        series: Vec<Series>,
        ignored: &[bool],
        infos: &[InfoSeries],
        data: &[Matcher],
        steps: Steps,
    ) -> Done<Vec<Series>> {
        let mut by_key: HashMap<&Key, Vec<usize>> = HashMap::default();
        let mut metrics: Vec<&str> = Vec::new();
        for (at, info) in infos.iter().enumerate() {
            by_key.entry(&info.key).or_default().push(at);
            if !metrics.contains(&info.key.0.as_str()) {
                metrics.push(&info.key.0);
            }
        }
        let required = data.iter().any(|m| !m.matches_empty());
        let mut out: Vec<Series> = Vec::new();
        let mut by_labels: HashMap<Labels, usize> = HashMap::default();
        for (s, ignored) in series.into_iter().zip(ignored) {
            let candidates: Vec<&[usize]> =
                metrics.iter().filter_map(|name| by_key.get(&key(name, &s.labels)).map(Vec::as_slice)).collect();
            // Labels change only where the info series do.
            let mut last: Option<(Vec<usize>, Option<Labels>)> = None;
            for step in 0..steps.count {
                if !s.column.is_present(step) {
                    continue;
                }
                let labels = if *ignored {
                    Some(s.labels.clone())
                } else {
                    let chosen = newest(infos, &candidates, step)?;
                    match &last {
                        Some((known, labels)) if *known == chosen => labels.clone(),
                        _ => {
                            let labels = enriched(&s.labels, infos, &chosen, data, required)?;
                            last = Some((chosen, labels.clone()));
                            labels
                        }
                    }
                };
                let Some(labels) = labels else { continue };
                let at = *by_labels.entry(labels.clone()).or_insert_with(|| {
                    out.push(Series { labels, drop_name: s.drop_name, column: Column::absent(steps.count) });
                    out.len() - 1
                });
                if out[at].column.is_present(step) {
                    return Err(QueryError::same_labelset());
                }
                out[at].column.copy_from(&s.column, step);
            }
        }
        Ok(out)
    }
}

/// Matchers for the names of info metrics: those given; `.+_info` beside negative ones; `target_info` without any.
fn name_matchers(given: Vec<Matcher>) -> Vec<Matcher> {
    if given.iter().any(|m| !m.op().is_negative()) {
        return given;
    }
    if given.is_empty() {
        return vec![Matcher::equal(METRIC_NAME, "target_info")];
    }
    let any_info = Matcher::new(MatchOp::Regex, METRIC_NAME, ".+_info").ok();
    any_info.into_iter().chain(given).collect()
}

/// Of each metric the info series with the newest sample.
fn newest(infos: &[InfoSeries], candidates: &[&[usize]], step: usize) -> Done<Vec<usize>> {
    let mut out = Vec::new();
    for of_metric in candidates {
        let mut best: Option<(i64, usize)> = None;
        for at in *of_metric {
            let Some(time) = infos[*at].times[step] else { continue };
            match best {
                Some((other_time, other)) if other_time == time => {
                    return Err(QueryError::Execution(format!(
                        "found duplicate series for info metric: existing {} @ {time}, new {} @ {time}",
                        label_set(&infos[other].labels),
                        label_set(&infos[*at].labels)
                    )));
                }
                Some((other_time, _)) if other_time > time => {}
                _ => best = Some((time, *at)),
            }
        }
        out.extend(best.map(|(_, at)| at));
    }
    Ok(out)
}

/// Labels of a series with those of info series; nothing when an info series is required and there is none.
fn enriched(
    labels: &Labels,
    infos: &[InfoSeries],
    chosen: &[usize],
    data: &[Matcher],
    required: bool,
) -> Done<Option<Labels>> {
    if chosen.is_empty() && required {
        return Ok(None);
    }
    let mut added = LabelsBuilder::new();
    for at in chosen {
        for (name, value) in infos[*at].labels.iter() {
            let wanted = data.is_empty() || data.iter().any(|m| m.name() == name);
            if name == METRIC_NAME || !wanted {
                continue;
            }
            if added.get(name).is_some_and(|known| known != value) {
                return Err(QueryError::Execution(format!("conflicting label: {name}")));
            }
            if labels.get(name).is_none() {
                added.set(name, value);
            }
        }
    }
    let mut out = labels.to_builder();
    for (name, value) in added.iter() {
        out.set(name, value);
    }
    Ok(Some(out.build()))
}
