//! The stages of a pipeline, one family a file. A stage is compiled once for a query and cloned for each worker; it keeps
//! what it may reuse between entries.

pub(crate) mod decolorize;
pub(crate) mod drop_keep;
pub(crate) mod json;
pub(crate) mod json_fields;
pub(crate) mod label_filter;
pub(crate) mod label_format;
pub(crate) mod line_filter;
pub(crate) mod line_format;
pub(crate) mod logfmt;
pub(crate) mod logfmt_fields;
pub(crate) mod pattern;
pub(crate) mod regexp;
pub(crate) mod template;
pub(crate) mod unpack;

use super::context::Hints;
use super::state::LineState;

/// A compiled stage.
#[derive(Clone)]
pub(crate) enum Stage {
    /// Filters in a row; all must pass.
    LineFilters(Vec<line_filter::LineTest>),
    LabelFilter(label_filter::LabelTest),
    Json(Box<json::JsonStage>),
    JsonFields(Box<json_fields::JsonFieldsStage>),
    Logfmt(Box<logfmt::LogfmtStage>),
    LogfmtFields(Box<logfmt_fields::LogfmtFieldsStage>),
    Regexp(Box<regexp::RegexpStage>),
    Pattern(Box<pattern::PatternStage>),
    Unpack(Box<unpack::UnpackStage>),
    LineFormat(Box<line_format::LineFormatStage>),
    LabelFormat(Box<label_format::LabelFormatStage>),
    Decolorize(decolorize::DecolorizeStage),
    Drop(drop_keep::DropStage),
    Keep(drop_keep::KeepStage),
}

impl Stage {
    /// Transforms the entry at hand; false drops it.
    #[inline]
    pub(crate) fn run(&mut self, state: &mut LineState, unit: &str, hints: &Hints) -> bool {
        match self {
            Self::LineFilters(tests) => {
                let line = state.line(unit);
                tests.iter().all(|test| test.test(line))
            }
            Self::LabelFilter(test) => {
                let (_, _, cx) = state.split(unit, hints);
                test.test(cx.labels, cx.texts)
            }
            Self::Json(stage) => stage.run(state, unit, hints),
            Self::JsonFields(stage) => stage.run(state, unit, hints),
            Self::Logfmt(stage) => stage.run(state, unit, hints),
            Self::LogfmtFields(stage) => stage.run(state, unit, hints),
            Self::Regexp(stage) => stage.run(state, unit, hints),
            Self::Pattern(stage) => stage.run(state, unit, hints),
            Self::Unpack(stage) => stage.run(state, unit, hints),
            Self::LineFormat(stage) => stage.run(state, unit),
            Self::LabelFormat(stage) => stage.run(state, unit),
            Self::Decolorize(stage) => stage.run(state, unit),
            Self::Drop(stage) => stage.run(state, unit),
            Self::Keep(stage) => stage.run(state, unit),
        }
    }

    /// Makes labels of the line.
    pub(crate) fn is_parser(&self) -> bool {
        matches!(
            self,
            Self::Json(_)
                | Self::JsonFields(_)
                | Self::Logfmt(_)
                | Self::LogfmtFields(_)
                | Self::Regexp(_)
                | Self::Pattern(_)
                | Self::Unpack(_)
        )
    }

    /// Sets what `now` gives in templates.
    pub(crate) fn set_now(&mut self, now: jiff::Timestamp) {
        match self {
            Self::LineFormat(stage) => stage.now = now,
            Self::LabelFormat(stage) => stage.now = now,
            _ => {}
        }
    }

    /// Forgets numbers of names that the query does not mention.
    pub(crate) fn forget_names(&mut self) {
        match self {
            Self::Json(stage) => stage.keys_mut().forget(),
            Self::Logfmt(stage) => stage.keys_mut().forget(),
            Self::LogfmtFields(stage) => stage.keys_mut().forget(),
            _ => {}
        }
    }

    /// Reads the text of the line, or may.
    pub(crate) fn looks_at_line(&self) -> bool {
        !matches!(self, Self::LabelFilter(_) | Self::Drop(_) | Self::Keep(_))
    }

    /// Can change or read labels, other than as a filter of the line.
    pub(crate) fn looks_at_labels(&self) -> bool {
        !matches!(self, Self::LineFilters(_) | Self::Decolorize(_))
    }
}
