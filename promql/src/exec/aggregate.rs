//! Aggregations over streams: series fold into their groups as they are worked out, and are never held.

use crate::hash::HashMap;
use model::Labels;

use super::stream::Stream;
use super::work::Work;
use super::{Done, Exec};
use crate::ast::AggregateOp;
use crate::plan::{Aggregate, Node};
use crate::vector::aggregate::{
    Accumulator, AggregateNotes, Input, check_param, count_values, keep_ratio, picked_series, ratio_offset,
};
use crate::vector::matching::Grouper;
use crate::vector::{Column, Scalars, Series, Steps, is_metadata_label, without_metadata};

/// Groups of the series of a stream.
struct Groups {
    /// Group of each series; empty when there is just one group.
    of: Vec<u32>,
    labels: Vec<Labels>,
}

impl Exec<'_> {
    pub(super) fn aggregate(&self, aggregate: &Aggregate, node: &Node, steps: Steps) -> Done<Vec<Series>> {
        let op = aggregate.op;
        let param = match &aggregate.param {
            Some(param) => self.scalars(param, steps)?,
            None => Scalars::Constant(0.0),
        };
        let param_span = aggregate.param.as_ref().map_or(node.span, |p| p.span);
        let mut checked = Ok(true);
        self.annotate(|a| checked = check_param(op, &param, param_span, a));
        if !checked? {
            return Ok(Vec::new());
        }
        if op == AggregateOp::CountValues {
            let series = self.vector(&aggregate.input, steps)?;
            let held = self.budget.held(&series);
            let out = count_values(&series, &aggregate.label, &aggregate.grouping, aggregate.without, steps.count);
            self.budget.exchange(held, &out)?;
            return Ok(out);
        }
        let stream = self.settled_stream(&aggregate.input, steps)?;
        if op == AggregateOp::LimitRatio {
            return self.limit_ratio(&*stream, &param, steps);
        }
        let groups = self.groups(&*stream, aggregate)?;
        let accumulator = self.fold(&*stream, op, &param, &groups, steps)?;
        let annotate = |notes: &AggregateNotes| {
            self.annotate(|a| notes.annotate(op, aggregate.input.span, node.span, a));
        };
        if op.selects() {
            let (picks, notes) = accumulator.finish_picks();
            annotate(&notes);
            let of = |at: u32| {
                let index = at as usize;
                (self.result_labels(&*stream, index), stream.drop_name(index))
            };
            let out = picked_series(picks, steps.count, of);
            out.iter().try_for_each(|s| self.budget.hold(&s.column))?;
            return Ok(out);
        }
        let (columns, notes) = accumulator.finish();
        annotate(&notes);
        let mut out = Vec::with_capacity(columns.len());
        for (labels, group) in groups.labels.into_iter().zip(columns) {
            if !group.column.is_void() {
                self.budget.hold(&group.column)?;
                out.push(Series { labels, drop_name: group.drop_name, column: group.column });
            }
        }
        Ok(out)
    }

    /// Labels of a series as the aggregation sees them.
    fn result_labels(&self, stream: &dyn Stream, index: usize) -> Labels {
        let labels = stream.labels(index);
        if !self.options.delayed_name_removal && stream.drop_name(index) { without_metadata(&labels) } else { labels }
    }

    fn groups(&self, stream: &dyn Stream, aggregate: &Aggregate) -> Done<Groups> {
        let (names, without) = (&aggregate.grouping, aggregate.without);
        if names.is_empty() && !without {
            return Ok(Groups { of: Vec::new(), labels: vec![Labels::empty()] });
        }
        let mut groups = Groups { of: Vec::with_capacity(stream.len()), labels: Vec::new() };
        let mut grouper = Grouper::new(names, !without);
        // Names, types and units play a part only if they are asked for, or not left out.
        let metadata = without || names.iter().any(|n| is_metadata_label(n));
        let plain = self.options.delayed_name_removal || !metadata;
        let mut by_ids: HashMap<Box<[u32]>, u32> = HashMap::default();
        let mut ids: Vec<u32> = Vec::with_capacity(names.len());
        for index in 0..stream.len() {
            if index % 4096 == 0 {
                self.budget.check_now()?;
            }
            ids.clear();
            if !without
                && (plain || !stream.drop_name(index))
                && stream.value_ids(index, names, &mut ids)
                && let Some(group) = by_ids.get(ids.as_slice())
            {
                groups.of.push(*group);
                continue;
            }
            let labels = if plain { stream.labels(index) } else { self.result_labels(stream, index) };
            let (group, new) = grouper.group(&labels);
            if new {
                groups.labels.push(grouper.labels(&labels));
            }
            if !ids.is_empty() {
                by_ids.insert(ids.as_slice().into(), group);
            }
            groups.of.push(group);
        }
        Ok(groups)
    }

    /// Folds the stream piece by piece. A piece has an accumulator for the groups it meets.
    fn fold(
        &self,
        stream: &dyn Stream,
        op: AggregateOp,
        param: &Scalars,
        groups: &Groups,
        steps: Steps,
    ) -> Done<Accumulator> {
        let len = stream.len();
        let new = || Accumulator::new(op, steps.count, param, len);
        let mut total = new();
        total.grow(groups.labels.len());
        self.for_chunks(
            len,
            |range, work: &mut Work| {
                let mut local: HashMap<u32, u32> = HashMap::default();
                let mut map: Vec<u32> = Vec::new();
                let mut accumulator = new();
                let mut column = Column::default();
                for index in range {
                    column.reset(steps.count);
                    if !stream.fill(index, work, &mut column)? {
                        continue;
                    }
                    let group = groups.of.get(index).copied().unwrap_or(0);
                    let next = map.len() as u32;
                    let at = *local.entry(group).or_insert(next);
                    if at == next {
                        map.push(group);
                        accumulator.grow(map.len());
                    }
                    let input = Input { series: index as u32, column: &column, drop_name: stream.drop_name(index) };
                    accumulator.add(at, input);
                    if accumulator.misfit.is_some() {
                        accumulator.name_misfit(stream.labels(index).metric_name().unwrap_or(""));
                    }
                }
                Ok((accumulator, map))
            },
            |(part, map)| {
                total.absorb(part, &map);
                Ok(())
            },
        )?;
        Ok(total)
    }

    fn limit_ratio(&self, stream: &dyn Stream, ratio: &Scalars, steps: Steps) -> Done<Vec<Series>> {
        let mut out = Vec::new();
        self.for_chunks(
            stream.len(),
            |range, work: &mut Work| {
                let mut part = Vec::new();
                let mut column = Column::default();
                for index in range {
                    let labels = self.result_labels(stream, index);
                    column.reset(steps.count);
                    if stream.fill(index, work, &mut column)? && keep_ratio(&mut column, ratio_offset(&labels), ratio) {
                        self.budget.hold(&column)?;
                        let column = std::mem::take(&mut column);
                        part.push(Series { labels, drop_name: stream.drop_name(index), column });
                    }
                }
                Ok(part)
            },
            |mut part| {
                out.append(&mut part);
                Ok(())
            },
        )?;
        Ok(out)
    }
}
