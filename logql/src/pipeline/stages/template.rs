//! What `line_format` and `label_format` share: labels as the data of a template, the line and its time as functions.

use std::cell::OnceCell;

use gotemplate::{
    CallResult, Context, Error, Host, Limits, MissingKey, Object, TemplateSet, Text, Type, Value, gotime,
};

use crate::pipeline::names::{NameId, Names};
use crate::pipeline::state::{EntryLabels, LineState, Slice, Texts};

/// Bounds on one execution: a line is answered in about a millisecond, whatever the template.
const LIMITS: Limits = Limits { steps: 100_000, output: 4 << 20, depth: 100 };

/// Compiles a template that is called `name` in errors.
pub(crate) fn compile(name: &str, text: &str) -> Result<TemplateSet, Error> {
    TemplateSet::of(name, text, &gotemplate::sets::loki(), MissingKey::Zero)
}

/// Labels as they are at one moment, for templates to read. Reused between entries.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    pairs: Vec<(NameId, Slice)>,
}

impl Snapshot {
    pub(crate) fn clear(&mut self) {
        self.pairs.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    pub(crate) fn take(&mut self, labels: &EntryLabels) {
        self.pairs.clear();
        // An error shows only together with other changes, an explanation never alone.
        labels.for_each(|id, value, _| self.pairs.push((id, value)));
    }

    /// Writes what a template makes of the labels and the line.
    pub(crate) fn execute(
        &self,
        template: &TemplateSet,
        state: &LineState,
        unit: &str,
        now: jiff::Timestamp,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        out.clear();
        let texts = state.texts(unit);
        let map =
            LabelMap { pairs: &self.pairs, names: &state.names, labels: &state.labels, texts, sorted: OnceCell::new() };
        let host = LineHost { line: state.line(unit), timestamp_ns: state.timestamp_ns };
        let context = Context { now, local: gotime::Zone::Utc, host: &host, limits: LIMITS };
        template.execute(out, Value::Object(&map), &context)
    }
}

/// The labels as a map.
struct LabelMap<'a> {
    pairs: &'a [(NameId, Slice)],
    names: &'a Names,
    labels: &'a EntryLabels,
    texts: Texts<'a>,
    /// Indexes of `pairs` by name, made when a template goes through the labels.
    sorted: OnceCell<Vec<usize>>,
}

impl Object for LabelMap<'_> {
    fn ty(&self) -> &'static Type {
        Type::STR_MAP
    }

    fn field(&self, name: &str) -> Option<Value<'_>> {
        let id = self.names.find(name)?;
        let (_, value) = self.pairs.iter().find(|(known, _)| *known == id)?;
        Some(Value::from(self.labels.resolve(*value, self.texts)))
    }

    fn len(&self) -> usize {
        self.pairs.len()
    }

    fn entry(&self, index: usize) -> Option<(Text<'_>, Value<'_>)> {
        let sorted = self.sorted.get_or_init(|| {
            let mut sorted: Vec<usize> = (0..self.pairs.len()).collect();
            sorted.sort_by_key(|at| self.names.text(self.pairs[*at].0));
            sorted
        });
        let (id, value) = self.pairs[*sorted.get(index)?];
        Some((Text::from(self.names.text(id)), Value::from(self.labels.resolve(value, self.texts))))
    }
}

/// Answers `__line__` and `__timestamp__`.
struct LineHost<'a> {
    line: &'a str,
    timestamp_ns: i64,
}

impl Host for LineHost<'_> {
    fn call<'d>(&'d self, name: &str, _args: &[Value<'d>]) -> Option<CallResult<'d>> {
        match name {
            "__line__" => Some(Ok(Value::from(self.line))),
            "__timestamp__" => {
                let (seconds, ns) =
                    (self.timestamp_ns.div_euclid(1_000_000_000), self.timestamp_ns.rem_euclid(1_000_000_000));
                Some(Ok(Value::from(gotime::Time::from_unix(seconds, ns, gotime::Zone::Utc))))
            }
            _ => None,
        }
    }
}
