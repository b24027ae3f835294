//! What a stage works with: the line, the labels, what the query wants of parsers.

use super::names::{NameId, Names};
use super::stages::label_filter::LabelTest;
use super::state::{Category, EntryLabels, LineState, Slice, StageError, Texts, resolve_line};

/// What a query wants of parsers beside the names of labels ([`Names::wanted`]).
#[derive(Clone, Debug, Default)]
pub(crate) struct Hints {
    /// No label is wanted: parsers need not run.
    pub(crate) no_labels: bool,
    /// Filters of one label each, tested as soon as a parser has found it.
    pub(crate) filters: Vec<LabelTest>,
}

/// A line on its way through one stage. The text is apart from the labels, so that labels can be set while it is read.
pub(crate) struct Cx<'a> {
    pub(crate) labels: &'a mut EntryLabels,
    pub(crate) names: &'a mut Names,
    pub(crate) texts: Texts<'a>,
    pub(crate) hints: &'a Hints,
    pub(crate) timestamp_ns: i64,
}

impl LineState {
    /// The line, its place, and everything else.
    pub(crate) fn split<'a>(&'a mut self, unit: &'a str, hints: &'a Hints) -> (&'a str, Slice, Cx<'a>) {
        let slice = self.line_slice();
        let texts = Texts { unit, lines: &self.lines };
        let timestamp_ns = self.timestamp_ns;
        let cx = Cx { labels: &mut self.labels, names: &mut self.names, texts, hints, timestamp_ns };
        (resolve_line(slice, texts), slice, cx)
    }
}

/// What becomes of an entry that a parser reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// Read on.
    Go,
    /// All is found that is wanted.
    Enough,
    /// A filter to come refuses what was found.
    Drop,
}

impl Cx<'_> {
    /// Whether nothing (more) is wanted of a parser.
    pub(crate) fn wants_nothing(&self) -> bool {
        self.hints.no_labels || self.labels.all_extracted(self.names)
    }

    /// The label that a parsed name becomes, or `None` when it is not wanted or was extracted before.
    #[inline]
    pub(crate) fn target(&mut self, id: NameId) -> Option<NameId> {
        let id = if self.labels.clashes(id) { self.names.suffixed(id) } else { id };
        (self.names.wanted(id) && !self.labels.was_extracted(id)).then_some(id)
    }

    /// Sets a parsed label.
    pub(crate) fn set(&mut self, id: NameId, value: Slice) {
        self.labels.set(self.names, id, value, Category::Parsed);
    }

    /// Whether the filter that waits for the label, if there is one, holds.
    #[inline]
    pub(crate) fn passes(&mut self, id: NameId) -> bool {
        match self.names.filter(id) {
            Some(index) => self.hints.filters[index].test(self.labels, self.texts),
            None => true,
        }
    }

    /// Sets a parsed label, then says whether to read on.
    pub(crate) fn extract(&mut self, id: NameId, value: Slice) -> Flow {
        self.set(id, value);
        let passes = self.passes(id);
        if self.labels.all_extracted(self.names) {
            Flow::Enough
        } else if passes {
            Flow::Go
        } else {
            Flow::Drop
        }
    }

    /// Sets the error of a parser.
    pub(crate) fn parse_error(&mut self, error: StageError, details: Option<&str>) {
        self.labels.fail(error, details);
        if self.labels.preserve_errors {
            let value = self.labels.store("true");
            self.labels.set(self.names, NameId::PRESERVE_ERROR, value, Category::Parsed);
        }
    }

    /// The slice of a value read from the line, with U+FFFD, which stands for broken text, as a space.
    pub(crate) fn clean(&mut self, text: &str, slice: Slice) -> Slice {
        if !text.contains('\u{fffd}') {
            return slice;
        }
        let start = self.labels.values_mut().len();
        let values = self.labels.values_mut();
        values.extend(text.chars().map(|c| if c == '\u{fffd}' { ' ' } else { c }));
        self.labels.stored(start)
    }
}

/// Whether a text can hold U+FFFD; most lines are told by one byte search that they do not.
pub(crate) fn may_hold_replacement(text: &str) -> bool {
    memchr::memchr(0xef, text.as_bytes()).is_some()
}
