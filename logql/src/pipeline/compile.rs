//! From the syntax tree to a pipeline that runs.
//!
//! Line filters move to the front of the stages that do not change the line, as the reference moves them: before parsers
//! and also, which shows, before `decolorize`. What a query of numbers wants of parsers is worked out here: only labels
//! that a stage or the grouping mentions are extracted, and where none is, parsers do not run at all.

use std::sync::Arc;

use model::{Labels, LogColumns, LogSelect, LogSelection, LogSource, SourceError};

use super::Pipeline;
use super::context::Hints;
use super::derive::{Derived, derive};
use super::names::{NameId, Names, SUFFIX};
use super::scan::Scanner;
use super::stages::decolorize::DecolorizeStage;
use super::stages::drop_keep::{DropStage, KeepStage};
use super::stages::json::JsonStage;
use super::stages::json_fields::JsonFieldsStage;
use super::stages::label_filter::LabelTest;
use super::stages::label_format::LabelFormatStage;
use super::stages::line_filter::LineTest;
use super::stages::line_format::LineFormatStage;
use super::stages::logfmt::LogfmtStage;
use super::stages::logfmt_fields::LogfmtFieldsStage;
use super::stages::pattern::PatternStage;
use super::stages::regexp::RegexpStage;
use super::stages::{Stage, template};
use super::state::LineState;
use crate::engine::Budget;
use crate::explain::StageMeasure;
use crate::syntax::ParseError;
use crate::syntax::ast::{self, LabelFilter, LabelFormatValue, StageKind, Unwrap};

/// A pipeline and what is known of it before it runs.
#[derive(Clone)]
pub(crate) struct Compiled {
    pub(crate) pipeline: Pipeline,
    /// The line filters at the beginning; [`Self::first`] is the stage behind them.
    pub(crate) scanner: Scanner,
    pub(crate) first: usize,
    /// Lists of texts: a line that passes contains at least one of each.
    pub(crate) needles: Vec<Vec<String>>,
    /// What the stages are in the query, for plans.
    pub(crate) texts: Vec<String>,
    /// What the stages took, if it is asked for.
    pub(crate) measures: Option<Vec<StageMeasure>>,
    /// What the filters of labels say of lines.
    derived: Vec<Derived>,
    /// Stages that need the entries in their final order.
    pub(crate) ordered: Vec<OrderedStage>,
    /// The filters behind `unwrap`.
    pub(crate) unwrap_filters: Vec<LabelTest>,
}

/// A stage that needs the entries in their final order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OrderedStage {
    /// The first entry for each combination of values.
    Distinct(Vec<String>),
    /// The first of each run of equal lines of a stream.
    Dedup,
}

/// What a query of numbers does with the labels.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted<'a> {
    /// Labels of the groups.
    pub(crate) groups: Vec<&'a str>,
    /// All labels but those of the groups are kept.
    pub(crate) without: bool,
    /// No label is kept.
    pub(crate) no_labels: bool,
    /// The label that gives the numbers, and filters of it.
    pub(crate) unwrap: Option<&'a Unwrap>,
}

/// Compiles stages. `wanted` is `None` for queries of entries, which keep all labels.
///
/// # Errors
/// When an expression, pattern or template cannot be compiled; the error names the stage.
pub(crate) fn compile(
    stages: &[ast::Stage],
    wanted: Option<&Wanted<'_>>,
    now: jiff::Timestamp,
) -> Result<Compiled, ParseError> {
    let mut names = Names::default();
    let mut compiled = Vec::new();
    let mut ordered = Vec::new();
    let (body, tail) = split_ordered(stages, wanted.is_some())?;
    for stage in tail {
        match &stage.kind {
            StageKind::Distinct(labels) => ordered.push(OrderedStage::Distinct(labels.clone())),
            _ => ordered.push(OrderedStage::Dedup),
        }
    }
    let body = reorder(body);
    let mut texts = Vec::new();
    for part in &body {
        if let Some(stage) = compile_part(part, &mut names, now)? {
            compiled.push(stage);
            texts.push(part.to_string());
        }
    }
    let mut unwrap_filters = Vec::new();
    if let Some(unwrap) = wanted.and_then(|wanted| wanted.unwrap) {
        for filter in &unwrap.filters {
            let test = LabelTest::new(filter, &mut names)
                .map_err(|e| stage_error(unwrap.span.start as usize, &format!("| {filter}"), e))?;
            unwrap_filters.push(test);
        }
    }
    let hints = hints(&compiled, &unwrap_filters, &body, wanted, &mut names);
    // Structured metadata without its labels being looked at changes nothing.
    let preserve = names.wanted_count() > 0 && names.wanted(NameId::ERROR);
    let mut state = LineState { names, ..LineState::default() };
    state.labels.preserve_errors = preserve;
    let (scanner, first) = match compiled.first() {
        Some(Stage::LineFilters(tests)) => (Scanner::new(tests.clone()), 1),
        _ => (Scanner::default(), 0),
    };
    let needles = needles(&compiled);
    let derived = derive(&compiled, &state.names);
    let pipeline =
        Pipeline { stages: compiled, hints, state, stream: Labels::empty(), generation: 0, skip_metadata: false };
    Ok(Compiled { pipeline, texts, measures: None, scanner, first, needles, derived, ordered, unwrap_filters })
}

/// The stages that need the final order, which stand at the end.
fn split_ordered(stages: &[ast::Stage], metric: bool) -> Result<(&[ast::Stage], &[ast::Stage]), ParseError> {
    let is_ordered = |stage: &ast::Stage| matches!(stage.kind, StageKind::Distinct(_) | StageKind::Dedup);
    let first = stages.iter().position(is_ordered).unwrap_or(stages.len());
    let (body, tail) = stages.split_at(first);
    if let Some(stage) = tail.iter().find(|stage| !is_ordered(stage)) {
        let message = format!("'{stage}' cannot stand behind '| distinct' or '| dedup'");
        return Err(ParseError::of(stage.span.start as usize, message));
    }
    match tail.first() {
        Some(stage) if metric => {
            Err(ParseError::of(stage.span.start as usize, format!("'{stage}' cannot stand in a range")))
        }
        _ => Ok((body, tail)),
    }
}

fn stage_error(offset: usize, stage: &str, error: impl std::fmt::Display) -> ParseError {
    ParseError::of(offset, format!("stage '{stage}' : {error}"))
}

/// A stage, or line filters in a row.
enum Part<'a> {
    LineFilters(Vec<&'a ast::Stage>),
    Other(&'a ast::Stage),
}

impl std::fmt::Display for Part<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::LineFilters(filters) => {
                f.write_str(&filters.iter().map(|stage| stage.to_string()).collect::<Vec<_>>().join(" "))
            }
            Self::Other(stage) => stage.fmt(f),
        }
    }
}

/// Moves line filters before stages that leave the line alone.
fn reorder(stages: &[ast::Stage]) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let (mut filters, mut others): (Vec<&ast::Stage>, Vec<&ast::Stage>) = (Vec::new(), Vec::new());
    let flush = |filters: &mut Vec<_>, others: &mut Vec<_>, parts: &mut Vec<_>| {
        if !filters.is_empty() {
            parts.push(Part::LineFilters(std::mem::take(filters)));
        }
        parts.extend(others.drain(..).map(Part::Other));
    };
    for stage in stages {
        match &stage.kind {
            StageKind::LabelFilter(_) => {
                flush(&mut filters, &mut others, &mut parts);
                parts.push(Part::Other(stage));
            }
            StageKind::LineFilter(_) => filters.push(stage),
            StageKind::LineFormat(_) | StageKind::Unpack => {
                others.push(stage);
                flush(&mut filters, &mut others, &mut parts);
            }
            _ => others.push(stage),
        }
    }
    flush(&mut filters, &mut others, &mut parts);
    parts
}

fn compile_part(part: &Part<'_>, names: &mut Names, now: jiff::Timestamp) -> Result<Option<Stage>, ParseError> {
    let stage = match part {
        Part::LineFilters(filters) => {
            let mut tests = Vec::new();
            for stage in filters {
                let StageKind::LineFilter(filter) = &stage.kind else { continue };
                let test =
                    LineTest::new(filter).map_err(|e| stage_error(stage.span.start as usize, &part.to_string(), e))?;
                if !test.passes_all() {
                    tests.push(test);
                }
            }
            // Searches are cheaper than regular expressions.
            tests.sort_by_key(LineTest::cost);
            return Ok((!tests.is_empty()).then_some(Stage::LineFilters(tests)));
        }
        Part::Other(stage) => *stage,
    };
    let fail = |error: &dyn std::fmt::Display| stage_error(stage.span.start as usize, &stage.to_string(), error);
    Ok(Some(match &stage.kind {
        StageKind::LineFilter(_) | StageKind::Distinct(_) | StageKind::Dedup => return Ok(None),
        StageKind::LabelFilter(filter) if passes_all(filter) => return Ok(None),
        StageKind::LabelFilter(filter) => Stage::LabelFilter(LabelTest::new(filter, names).map_err(|e| fail(&e))?),
        StageKind::Json { arrays } => Stage::Json(Box::new(JsonStage::new(*arrays))),
        StageKind::JsonFields(fields) => {
            Stage::JsonFields(Box::new(JsonFieldsStage::new(fields, names).map_err(|e| fail(&e))?))
        }
        StageKind::Logfmt(flags) => Stage::Logfmt(Box::new(LogfmtStage::new(*flags))),
        StageKind::LogfmtFields(flags, fields) => {
            Stage::LogfmtFields(Box::new(LogfmtFieldsStage::new(*flags, fields, names).map_err(|e| fail(&e))?))
        }
        StageKind::Regexp(text) => Stage::Regexp(Box::new(RegexpStage::new(text, names).map_err(|e| fail(&e))?)),
        StageKind::Pattern(text) => Stage::Pattern(Box::new(PatternStage::new(text, names).map_err(|e| fail(&e))?)),
        StageKind::Unpack => Stage::Unpack(Box::default()),
        StageKind::LineFormat(text) => {
            let stage = LineFormatStage::new(text, names, now);
            let stage = stage.map_err(|e| fail(&format_args!("invalid line template: {e}")))?;
            Stage::LineFormat(Box::new(stage))
        }
        StageKind::LabelFormat(formats) => {
            Stage::LabelFormat(Box::new(LabelFormatStage::new(formats, names, now).map_err(|e| fail(&e))?))
        }
        StageKind::Decolorize => Stage::Decolorize(DecolorizeStage::new().map_err(|e| fail(&e))?),
        StageKind::Drop(choices) => Stage::Drop(DropStage::new(choices, names)),
        StageKind::Keep(choices) => Stage::Keep(KeepStage::new(choices, names)),
    }))
}

/// Whether a filter lets everything through, and so asks nothing of parsers.
fn passes_all(filter: &LabelFilter) -> bool {
    matches!(filter, LabelFilter::Text(m) if m.op() == model::MatchOp::Regex && m.value() == ".*")
}

/// What parsers have to extract.
fn hints(
    compiled: &[Stage],
    unwrap_filters: &[LabelTest],
    body: &[Part<'_>],
    wanted: Option<&Wanted<'_>>,
    names: &mut Names,
) -> Hints {
    let mut required: Vec<Arc<str>> = Vec::new();
    let mut need = |name: &str| {
        let mut add = |name: &str| {
            if !name.is_empty() && !required.iter().any(|known| **known == *name) {
                required.push(name.into());
            }
        };
        add(name);
        // A clash with the stream's labels is known only later: the label may be asked for under its longer name.
        if let Some(plain) = name.strip_suffix(SUFFIX) {
            add(plain);
        }
    };
    let mut use_required = false;
    let mut use_filters = true;
    if let Some(wanted) = wanted {
        for part in body {
            if let Part::Other(stage) = part {
                required_labels(&stage.kind, &mut need);
            }
        }
        if let Some(unwrap) = wanted.unwrap {
            unwrap.filters.iter().for_each(|filter| filter_labels(filter, &mut need));
        }
        wanted.groups.iter().for_each(|name| need(name));
        if let Some(unwrap) = wanted.unwrap {
            need(&unwrap.label);
        }
        if wanted.no_labels {
            use_required = true;
            if required.is_empty() {
                names.set_hints(Arc::new([]), Arc::new([]));
                return Hints { no_labels: true, filters: Vec::new() };
            }
        } else if !wanted.without && !wanted.groups.is_empty() {
            use_required = true;
            use_filters = false;
        }
    }
    if !use_required {
        required.clear();
    }
    let mut filters = Vec::new();
    let mut waiting: Vec<(Arc<str>, u32)> = Vec::new();
    if use_filters {
        let tests = compiled.iter().filter_map(|stage| match stage {
            Stage::LabelFilter(test) => Some(test),
            _ => None,
        });
        // Several filters behind `unwrap` are one of several labels.
        let unwrapped = (unwrap_filters.len() == 1).then(|| &unwrap_filters[0]);
        for test in tests.chain(unwrapped) {
            let Some(label) = test.single_label() else { continue };
            let name = names.text(label);
            // Of several filters of one label the first is tested early.
            if !waiting.iter().any(|(known, _)| **known == *name) {
                waiting.push((name.into(), filters.len() as u32));
                filters.push(test.clone());
            }
        }
    }
    for name in &required {
        names.id(name);
    }
    names.set_hints(required.into(), waiting.into());
    Hints { no_labels: false, filters }
}

/// Names of the labels that a stage needs.
fn required_labels(stage: &StageKind, need: &mut impl FnMut(&str)) {
    // A template that does not compile is an error of its stage.
    let fields_of = |name: &str, text: &str, need: &mut dyn FnMut(&str)| {
        if let Ok(template) = template::compile(name, text) {
            template.fields().into_iter().for_each(need);
        }
    };
    match stage {
        StageKind::LabelFilter(filter) if !passes_all(filter) => filter_labels(filter, need),
        StageKind::LineFormat(text) => fields_of("line", text, need),
        StageKind::LabelFormat(formats) => {
            for format in formats {
                match &format.value {
                    LabelFormatValue::Rename(source) => need(source),
                    LabelFormatValue::Template(text) => fields_of("label", text, need),
                }
            }
        }
        _ => {}
    }
}

fn filter_labels(filter: &LabelFilter, need: &mut impl FnMut(&str)) {
    match filter {
        LabelFilter::Text(matcher) => need(matcher.name()),
        LabelFilter::Number(label, ..)
        | LabelFilter::Duration(label, ..)
        | LabelFilter::Bytes(label, ..)
        | LabelFilter::Ip { label, .. } => need(label),
        LabelFilter::Group(group) => group.items.iter().for_each(|item| filter_labels(item, need)),
    }
}

/// Needles of the line filters that see lines as they are stored.
fn needles(compiled: &[Stage]) -> Vec<Vec<String>> {
    let mut needles = Vec::new();
    for stage in compiled {
        match stage {
            Stage::LineFilters(tests) => {
                for test in tests {
                    needles.extend(test.needles());
                    needles.extend(test.more_needles());
                }
            }
            Stage::LineFormat(_) | Stage::Unpack(_) | Stage::Decolorize(_) => break,
            _ => {}
        }
    }
    needles
}

impl Compiled {
    /// Lines that pass the filters at the beginning, as far as they may pass the filters of labels. The pipeline is bound
    /// to the stream of the lines.
    pub(crate) fn rows(&self, columns: &LogColumns, rows: &mut Vec<u32>) {
        let bare = columns.metadata.is_empty();
        let labels = &self.pipeline.state.labels;
        let holds = |derived: &&Derived| bare && !derived.labels.iter().any(|label| labels.stream_has(*label));
        let derived = self.derived.iter().filter(holds).map(|derived| &derived.search);
        self.scanner.rows(columns, derived.max_by_key(|search| search.min_len()), rows);
    }

    /// The needles that follow from filters of labels for units of these streams without structured metadata.
    fn derived_needles<'a>(&'a self, streams: &'a [Labels]) -> impl Iterator<Item = Vec<String>> + 'a {
        let names = &self.pipeline.state.names;
        let has = move |stream: &Labels, label: &NameId| stream.get(names.text(*label)).is_some();
        let holds = move |derived: &&Derived| {
            !streams.iter().any(|stream| derived.labels.iter().any(|label| has(stream, label)))
        };
        self.derived.iter().filter(holds).map(|derived| derived.words.clone())
    }

    /// Selects entries, a second time with more needles where what was found allows it.
    pub(crate) fn select<'a>(
        &self,
        source: &'a dyn LogSource,
        request: &LogSelect,
    ) -> Result<Box<dyn LogSelection + 'a>, SourceError> {
        let selection = source.select(request)?;
        let more: Vec<_> = self.derived_needles(selection.streams()).collect();
        if more.is_empty() || (0..selection.units().len()).any(|index| selection.has_metadata(index)) {
            return Ok(selection);
        }
        let mut request = request.clone();
        request.needles.extend(more);
        source.select(&request)
    }

    /// [`Self::rows`] for a query that may be measured.
    pub(crate) fn find_rows(&mut self, columns: &LogColumns, rows: &mut Vec<u32>, budget: &Budget<'_>) {
        if self.measures.is_none() || self.first == 0 {
            return self.rows(columns, rows);
        }
        let began = budget.now_ns();
        self.rows(columns, rows);
        let took = budget.now_ns().saturating_sub(began);
        if let Some(measure) = self.measures.as_mut().and_then(|measures| measures.first_mut()) {
            measure.add(columns.len(), rows.len(), took);
        }
    }

    /// [`Self::run`] for a query that may be measured.
    #[inline]
    pub(crate) fn run_with(&mut self, columns: &LogColumns, row: u32, budget: &Budget<'_>) -> bool {
        if self.measures.is_some() {
            return self.run_measured(columns, row, || budget.now_ns());
        }
        self.run(columns, row)
    }

    /// Runs the stages behind those filters over one entry.
    #[inline]
    pub(crate) fn run(&mut self, columns: &LogColumns, row: u32) -> bool {
        self.pipeline.start(columns, row as usize);
        self.pipeline.run_stages(&columns.text, self.first)
    }

    /// Takes out parsers when no label is wanted: they would leave every entry as it is.
    pub(crate) fn drop_useless_parsers(&mut self) {
        if !self.pipeline.hints.no_labels {
            return;
        }
        let mut stages = self.pipeline.stages.iter();
        self.texts.retain(|_| stages.next().is_none_or(|stage| !stage.is_parser()));
        self.pipeline.stages.retain(|stage| !stage.is_parser());
    }

    /// Measures stages from now on.
    pub(crate) fn measure(&mut self) {
        self.measures = Some(vec![StageMeasure::default(); self.pipeline.stages.len()]);
    }

    /// The same as [`Self::run`], and measures.
    fn run_measured(&mut self, columns: &LogColumns, row: u32, now_ns: impl Fn() -> u64) -> bool {
        let pipeline = &mut self.pipeline;
        pipeline.start(columns, row as usize);
        let mut at = now_ns();
        let measures = self.measures.as_deref_mut().unwrap_or(&mut []);
        for (stage, measure) in pipeline.stages.iter_mut().zip(measures).skip(self.first) {
            let passes = stage.run(&mut pipeline.state, &columns.text, &pipeline.hints);
            let then = now_ns();
            measure.add(1, usize::from(passes), then.saturating_sub(at));
            at = then;
            if !passes {
                return false;
            }
        }
        true
    }

    /// The lists of words that follow from filters of labels.
    pub(crate) fn derived_words(&self) -> impl Iterator<Item = &Vec<String>> {
        self.derived.iter().map(|derived| &derived.words)
    }

    /// Whether nothing is left to do for lines that pass the filters at the beginning.
    pub(crate) fn only_line_filters(&self) -> bool {
        self.first == self.pipeline.stages.len()
    }
}
