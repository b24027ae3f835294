//! Stages of `loki.process`: each takes an entry and what was extracted from it so far, and passes on none, one or more.
//!
//! [`Pipeline::build`] makes them from `stage.*` blocks. Values extracted by one stage (`json`, `regex`, …) are read by
//! later ones (`labels`, `timestamp`, `output`, …). A stage that is not built is an error with its place.

mod filter;
mod labels;
mod metrics;
mod parse;
mod select;
mod text;
mod time;

use std::collections::BTreeMap;

use kit::metrics::Registry;
use model::regex::{Flags, GoRegex};
use serde_json::Value as Json;

use super::metrics::AgentMetrics;
use super::pipe::Entry;
use super::syntax::{ArgBlock, Args, Diag, Result};

/// An entry in the pipeline.
#[derive(Clone, Debug, Default)]
pub(crate) struct Item {
    /// The entry.
    pub entry: Entry,
    /// Values found in it.
    pub extracted: BTreeMap<String, Json>,
}

impl Item {
    /// An entry at the start of the pipeline: its labels are values, too.
    pub(crate) fn new(entry: Entry) -> Self {
        let extracted = entry.labels.iter().map(|(name, value)| (name.to_owned(), Json::from(value))).collect();
        Self { entry, extracted }
    }

    /// An extracted value as text, or the line when no name is given.
    fn source(&self, name: &str) -> Option<String> {
        if name.is_empty() { Some(self.entry.line.clone()) } else { self.text(name) }
    }

    /// An extracted value as text; nothing for null.
    fn text(&self, name: &str) -> Option<String> {
        self.extracted.get(name).and_then(json_text)
    }

    fn extract(&mut self, name: impl Into<String>, value: impl Into<Json>) {
        self.extracted.insert(name.into(), value.into());
    }

    fn set_label(&mut self, name: &str, value: &str) {
        let mut labels = self.entry.labels.to_builder();
        labels.set(name, value);
        self.entry.labels = labels.build();
    }
}

/// JSON as a label's value: text without quotes, whole numbers without a point.
fn json_text(value: &Json) -> Option<String> {
    match value {
        Json::Null => None,
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(match number.as_f64() {
            Some(f) if !number.is_i64() && !number.is_u64() => {
                model::number::float_text(f, model::number::FloatFormat::Fixed)
            }
            _ => number.to_string(),
        }),
        other => Some(other.to_string()),
    }
}

/// What building a stage needs.
#[derive(Clone)]
pub(crate) struct StageContext {
    /// Id of the component.
    pub id: String,
    /// The agent's metrics.
    pub metrics: AgentMetrics,
    /// Where `stage.metrics` registers its own.
    pub registry: Registry,
}

impl StageContext {
    fn dropped(&self, reason: &str) -> kit::metrics::Counter {
        self.metrics.process_dropped.with(&[&self.id, reason])
    }
}

/// A stage.
trait Stage: Send {
    /// Handles an entry: what goes on is pushed to `out`.
    fn process(&mut self, item: Item, out: &mut Vec<Item>);

    /// Entries held back that have waited long enough.
    fn tick(&mut self, _out: &mut Vec<Item>) {}

    /// All entries held back: the pipeline ends.
    fn flush(&mut self, _out: &mut Vec<Item>) {}

    /// Whether it holds entries back at the moment.
    fn holds_back(&self) -> bool {
        false
    }
}

/// A stage that changes every entry and drops none.
struct Each<F>(F);

impl<F: FnMut(&mut Item) + Send> Stage for Each<F> {
    fn process(&mut self, mut item: Item, out: &mut Vec<Item>) {
        (self.0)(&mut item);
        out.push(item);
    }
}

fn each(change: impl FnMut(&mut Item) + Send + 'static) -> Box<dyn Stage> {
    Box::new(Each(change))
}

/// Stages in order.
#[derive(Default)]
pub(crate) struct Pipeline {
    stages: Vec<Box<dyn Stage>>,
}

/// Pipelines within `stage.match` nested deeper are refused.
const MAX_DEPTH: usize = 16;

impl Pipeline {
    /// Builds the stages of a component.
    ///
    /// # Errors
    /// At the first block that is no stage, is not built, or has wrong arguments.
    pub(crate) fn build(args: &mut Args, context: &StageContext) -> Result<Self> {
        Self::build_at(args, context, 0)
    }

    fn build_at(args: &mut Args, context: &StageContext, depth: usize) -> Result<Self> {
        if depth > MAX_DEPTH {
            return Err(Diag::new(&args.pos, "stages nested too deep"));
        }
        let mut stages = Vec::new();
        for block in args.all_blocks() {
            stages.push(build_stage(block, context, depth)?);
        }
        Ok(Self { stages })
    }

    /// Sends an entry through; what comes out is pushed to `out`.
    pub(crate) fn process(&mut self, item: Item, out: &mut Vec<Item>) {
        run_from(&mut self.stages, 0, vec![item], out);
    }

    /// Lets out entries that have been held back long enough.
    pub(crate) fn tick(&mut self, out: &mut Vec<Item>) {
        for at in 0..self.stages.len() {
            let mut released = Vec::new();
            self.stages[at].tick(&mut released);
            run_from(&mut self.stages, at + 1, released, out);
        }
    }

    /// Lets out everything.
    pub(crate) fn flush(&mut self, out: &mut Vec<Item>) {
        for at in 0..self.stages.len() {
            let mut released = Vec::new();
            self.stages[at].flush(&mut released);
            run_from(&mut self.stages, at + 1, released, out);
        }
    }

    /// Whether entries are held back.
    pub(crate) fn holds_back(&self) -> bool {
        self.stages.iter().any(|stage| stage.holds_back())
    }
}

fn run_from(stages: &mut [Box<dyn Stage>], at: usize, items: Vec<Item>, out: &mut Vec<Item>) {
    let mut current = items;
    for stage in stages.iter_mut().skip(at) {
        if current.is_empty() {
            return;
        }
        let mut next = Vec::with_capacity(current.len());
        for item in current {
            stage.process(item, &mut next);
        }
        current = next;
    }
    out.append(&mut current);
}

fn build_stage(block: ArgBlock, context: &StageContext, depth: usize) -> Result<Box<dyn Stage>> {
    let mut args = block.args;
    let pos = args.pos.clone();
    let stage: Box<dyn Stage> = match block.name.as_str() {
        "stage.cri" => parse::cri(&mut args)?,
        "stage.decolorize" => text::decolorize(),
        "stage.docker" => parse::docker(),
        "stage.drop" => filter::drop_stage(&mut args, context)?,
        "stage.json" => parse::json(&mut args, context)?,
        "stage.label_drop" => labels::label_drop(&mut args)?,
        "stage.label_keep" => labels::label_keep(&mut args)?,
        "stage.labels" => labels::labels(&mut args)?,
        "stage.limit" => filter::limit(&mut args, context)?,
        "stage.logfmt" => parse::logfmt(&mut args)?,
        "stage.luhn" => text::luhn(&mut args)?,
        "stage.match" => select::match_stage(&mut args, context, depth)?,
        "stage.metrics" => metrics::metrics(&mut args, context)?,
        "stage.multiline" => time::multiline(&mut args)?,
        "stage.output" => text::output(&mut args)?,
        "stage.pack" => text::pack(&mut args)?,
        "stage.pattern" => parse::pattern(&mut args)?,
        "stage.regex" => parse::regex(&mut args)?,
        "stage.replace" => text::replace(&mut args)?,
        "stage.sampling" => filter::sampling(&mut args, context)?,
        "stage.split_json" => parse::split_json(&mut args)?,
        "stage.static_labels" => labels::static_labels(&mut args)?,
        "stage.structured_metadata" => labels::structured_metadata(&mut args)?,
        "stage.structured_metadata_drop" => labels::structured_metadata_drop(&mut args)?,
        "stage.template" => text::template(&mut args)?,
        "stage.tenant" => labels::tenant(&mut args)?,
        "stage.timestamp" => time::timestamp(&mut args)?,
        "stage.truncate" => text::truncate(&mut args, context)?,
        "stage.eventlogmessage" | "stage.windowsevent" | "stage.geoip" => {
            return Err(Diag::new(&pos, format!("{} is not built into this agent", block.name)));
        }
        other => return Err(Diag::new(&pos, format!("unrecognized stage {other:?}"))),
    };
    args.finish()?;
    Ok(stage)
}

/// A regular expression of an attribute, `None` when that is absent or empty.
fn regex_of(args: &mut Args, name: &str) -> Result<Option<GoRegex>> {
    let pos = args.pos_of(name);
    let pattern = args.text_or(name, "")?;
    if pattern.is_empty() {
        return Ok(None);
    }
    GoRegex::new(&pattern, Flags::SEARCH).map(Some).map_err(|error| Diag::new(&pos, format!("{name}: {error}")))
}

/// As [`regex_of`] where there has to be one.
fn required_regex(args: &mut Args, name: &str) -> Result<GoRegex> {
    let missing = Diag::new(&args.pos, format!("missing required attribute {name:?}"));
    regex_of(args, name)?.ok_or(missing)
}

#[cfg(test)]
mod tests;
