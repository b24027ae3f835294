//! `count_values`: how many elements have each value, with the value as a label.

use crate::hash::HashMap;
use model::Labels;

use super::super::matching::Grouper;
use super::super::{Column, Series, Value, is_absent};

/// Counts elements by value, within groups by the labels `grouping` or by all others and without the metric's name.
/// The value becomes label `name`.
pub fn count_values(series: &[Series], name: &str, grouping: &[String], without: bool, steps: usize) -> Vec<Series> {
    let mut grouping = grouping.to_vec();
    if !without {
        grouping.push(name.to_owned());
    }
    let mut grouper = Grouper::new(&grouping, !without);
    let mut out: Vec<Series> = Vec::new();
    // A series often has one value for many steps: the text and the labels are made once per value.
    let mut known: HashMap<u64, usize> = HashMap::default();
    for s in series {
        known.clear();
        for step in 0..steps {
            let at = match s.column.get(step) {
                None => continue,
                Some(Value::Float(value)) => *known
                    .entry(value.to_bits())
                    .or_insert_with(|| slot(&mut grouper, &mut out, s, name, &crate::format::plain(value), steps)),
                Some(Value::Histogram(histogram)) => {
                    slot(&mut grouper, &mut out, s, name, &histogram.to_string(), steps)
                }
            };
            let count = &mut out[at].column.floats[step];
            *count = if is_absent(*count) { 1.0 } else { *count + 1.0 };
        }
    }
    out
}

fn slot(grouper: &mut Grouper, out: &mut Vec<Series>, series: &Series, name: &str, value: &str, steps: usize) -> usize {
    let labels: Labels = series.labels.to_builder().set(name, value).build();
    let (group, new) = grouper.group(&labels);
    if new {
        let labels = grouper.labels(&labels);
        out.push(Series { labels, drop_name: false, column: Column::absent(steps) });
    }
    group as usize
}
