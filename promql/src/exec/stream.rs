//! Vectors whose series are worked out one by one.

use model::Labels;

use super::range::RangeStream;
use super::select::SelectStream;
use super::work::Work;
use super::{Done, Exec};
use crate::kernels::{date, math};
use crate::plan::{Kind, Map, Node};
use crate::vector::binary::{BinaryNotes, negate, with_scalar};
use crate::vector::{Column, Scalars, Series, Steps, is_metadata_label};

/// Series that any thread can work out at any time.
pub(super) trait Stream: Sync {
    /// Number of series; some may turn out to have no value.
    fn len(&self) -> usize;

    /// Labels of a series, its name included even when that is to go.
    fn labels(&self, index: usize) -> Labels;

    /// Whether the name of a series is to go.
    fn drop_name(&self, index: usize) -> bool;

    /// Works a series out into `out`, which comes without values. False when there is none.
    fn fill(&self, index: usize, work: &mut Work, out: &mut Column) -> Done<bool>;

    /// Whether series that are equal but for the name are an error even where they do not overlap.
    fn strict_names(&self) -> bool {
        false
    }

    /// Whether series could become equal without their names.
    fn names_may_differ(&self) -> bool;

    /// Numbers that stand for the values of some labels: see [`model::Selection::value_ids`].
    fn value_ids(&self, index: usize, names: &[String], out: &mut Vec<u32>) -> bool;
}

/// Series in memory.
pub(super) struct Held(pub(super) Vec<Series>);

impl Stream for Held {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn labels(&self, index: usize) -> Labels {
        self.0[index].labels.clone()
    }

    fn drop_name(&self, index: usize) -> bool {
        self.0[index].drop_name
    }

    fn fill(&self, index: usize, _: &mut Work, out: &mut Column) -> Done<bool> {
        out.clone_from(&self.0[index].column);
        Ok(true)
    }

    fn names_may_differ(&self) -> bool {
        self.0.iter().any(|s| s.labels.iter().any(|(name, _)| is_metadata_label(name)))
    }

    fn value_ids(&self, _: usize, _: &[String], _: &mut Vec<u32>) -> bool {
        false
    }
}

/// A change of single elements.
struct Mapped<'a> {
    input: Box<dyn Stream + 'a>,
    map: &'a Map,
    args: Vec<Scalars>,
    node: &'a Node,
    steps: Steps,
}

impl Mapped<'_> {
    fn apply(&self, column: &mut Column, work: &mut Work) -> bool {
        match self.map {
            Map::Negate => {
                negate(column);
                true
            }
            Map::Float { f, .. } => math::map(column, f),
            Map::Date { f, .. } => date::map(column, *f),
            Map::Round => math::round(column, &self.args[0]),
            Map::Clamp(_) => math::clamp(column, &self.args[0], &self.args[1]),
            Map::Histogram { f, .. } => {
                let steps = column.len();
                let histograms = std::mem::take(&mut column.histograms);
                column.reset(steps);
                let mut any = false;
                for (step, histogram) in histograms.iter().enumerate() {
                    if let Some(histogram) = histogram {
                        column.floats[step] = f(histogram);
                        any = true;
                    }
                }
                any
            }
            Map::Binary { op, number_is_left, return_bool } => {
                let mut notes = BinaryNotes::default();
                let any = with_scalar(*op, column, &self.args[0], *number_is_left, *return_bool, &mut notes);
                notes.annotate(*op, self.node.span, &mut work.annotations);
                any
            }
            Map::Timestamp => {
                for step in 0..column.len() {
                    if column.is_present(step) {
                        column.floats[step] = self.steps.time(step) as f64 / 1000.0;
                    }
                }
                column.histograms.clear();
                true
            }
            Map::Nothing => false,
        }
    }
}

impl Stream for Mapped<'_> {
    fn len(&self) -> usize {
        self.input.len()
    }

    fn labels(&self, index: usize) -> Labels {
        self.input.labels(index)
    }

    fn drop_name(&self, index: usize) -> bool {
        let drops = match self.map {
            Map::Binary { op, return_bool, .. } => op.changes_meaning() || *return_bool,
            _ => true,
        };
        drops || self.input.drop_name(index)
    }

    fn fill(&self, index: usize, work: &mut Work, out: &mut Column) -> Done<bool> {
        Ok(self.input.fill(index, work, out)? && self.apply(out, work))
    }

    fn strict_names(&self) -> bool {
        self.input.strict_names()
    }

    fn names_may_differ(&self) -> bool {
        self.input.names_may_differ()
    }

    fn value_ids(&self, index: usize, names: &[String], out: &mut Vec<u32>) -> bool {
        self.input.value_ids(index, names, out)
    }
}

impl<'a> Exec<'a> {
    /// A vector as a stream; what cannot be worked out series by series is held in memory.
    pub(super) fn stream<'n>(&'n self, node: &'n Node, steps: Steps) -> Done<Box<dyn Stream + 'n>> {
        match &node.kind {
            Kind::Select(selector) => Ok(Box::new(SelectStream::new(self, selector, node, steps))),
            Kind::Range(call) => Ok(Box::new(RangeStream::new(self, call, node, steps)?)),
            Kind::Map { map, input, args } => {
                let input = self.settled_stream(input, steps)?;
                let args = args.iter().map(|a| self.scalars(a, steps)).collect::<Done<Vec<Scalars>>>()?;
                Ok(Box::new(Mapped { input, map, args, node, steps }))
            }
            _ => Ok(Box::new(Held(self.vector(node, steps)?))),
        }
    }

    /// A vector that another operator goes on with. Without delayed name removal, what became equal when its name went
    /// is one series by then.
    pub(super) fn settled_stream<'n>(&'n self, node: &'n Node, steps: Steps) -> Done<Box<dyn Stream + 'n>> {
        let stream = self.stream(node, steps)?;
        let drops = || (0..stream.len()).any(|i| stream.drop_name(i));
        if !self.options.delayed_name_removal && stream.names_may_differ() && drops() {
            return Ok(Box::new(Held(self.collect(&*stream, steps)?)));
        }
        Ok(stream)
    }
}
