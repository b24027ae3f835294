//! What is known of the entry at hand while it goes through the stages: line, labels, error.
//!
//! Texts are [`Slice`]s of a few buffers: what the store read (the unit), what stages made of lines, what they made of
//! values, and the stream's own labels. The buffers are cleared with every entry and keep their memory, so that an entry
//! costs no allocation. The labels are those of the stream ([`LineState::bind`]), changed by what was added and
//! deleted; the rules of precedence are the reference's:
//!
//! - structured metadata whose name the stream has gets [`super::names::SUFFIX`];
//! - a parsed label replaces metadata of its name; a deleted label comes back when it is set again;
//! - what a parser extracted once in an entry, no parser extracts again, even if it was deleted since.

use model::Labels;

use super::names::{NameId, Names};

/// Where a text lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slice {
    pub(crate) source: Source,
    pub(crate) start: u32,
    pub(crate) end: u32,
}

/// The buffer of a [`Slice`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Text of the unit the store read.
    Unit,
    /// Lines made by stages.
    Lines,
    /// Values made by stages.
    Values,
    /// Labels of the stream.
    Stream,
}

impl Slice {
    pub(crate) const EMPTY: Self = Self { source: Source::Unit, start: 0, end: 0 };

    pub(crate) fn is_empty(self) -> bool {
        self.start >= self.end
    }

    /// A part of this text, by offsets into it.
    #[inline]
    pub(crate) fn part(self, start: usize, end: usize) -> Self {
        Self { source: self.source, start: self.start + start as u32, end: self.start + end as u32 }
    }
}

/// Whose label it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Category {
    /// Structured metadata.
    Metadata,
    /// Made by a stage.
    Parsed,
}

#[derive(Clone, Copy, Debug)]
struct Added {
    name: NameId,
    value: Slice,
    category: Category,
    live: bool,
}

/// State of a name in the entry at hand; of another entry when `entry` differs.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    entry: u32,
    /// Index into `added`, plus one.
    added: u32,
    deleted: bool,
    extracted: bool,
}

/// Errors of stages, the values of [`ERROR`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StageError {
    Json,
    Logfmt,
    SampleExtraction,
    LabelFilter,
    TemplateFormat,
}

impl StageError {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Json => "JSONParserErr",
            Self::Logfmt => "LogfmtParserErr",
            Self::SampleExtraction => "SampleExtractionErr",
            Self::LabelFilter => "LabelFilterErr",
            Self::TemplateFormat => "TemplateFormatErr",
        }
    }
}

/// The labels of the entry at hand.
#[derive(Clone, Debug, Default)]
pub(crate) struct EntryLabels {
    /// Text of the stream's labels.
    stream_text: String,
    stream: Vec<(NameId, Slice)>,
    /// By name: index into `stream` plus one.
    stream_slots: Vec<u32>,
    /// Values made by stages.
    values: String,
    added: Vec<Added>,
    live: usize,
    slots: Vec<Slot>,
    entry: u32,
    any_deleted: bool,
    error: Option<Slice>,
    details: Option<Slice>,
    extracted: usize,
    wanted_extracted: usize,
    /// Errors of parsers are asked for.
    pub(crate) preserve_errors: bool,
}

/// The entry at hand.
#[derive(Clone, Debug, Default)]
pub(crate) struct LineState {
    /// Lines made by stages.
    pub(crate) lines: String,
    pub(crate) line: Option<Slice>,
    pub(crate) timestamp_ns: i64,
    pub(crate) labels: EntryLabels,
    pub(crate) names: Names,
}

/// Buffers to resolve slices in, beside those of the labels.
#[derive(Clone, Copy)]
pub(crate) struct Texts<'a> {
    pub(crate) unit: &'a str,
    pub(crate) lines: &'a str,
}

impl LineState {
    /// Starts with a stream: its labels are those of the entries to come.
    pub(crate) fn bind(&mut self, labels: &Labels) {
        let own = &mut self.labels;
        own.stream.clear();
        own.stream_text.clear();
        own.stream_slots.fill(0);
        for (name, value) in labels {
            let start = own.stream_text.len() as u32;
            own.stream_text.push_str(value);
            let end = own.stream_text.len() as u32;
            let id = self.names.id(name);
            own.stream.push((id, Slice { source: Source::Stream, start, end }));
            let slot = id.index();
            if own.stream_slots.len() <= slot {
                own.stream_slots.resize(slot + 16, 0);
            }
            own.stream_slots[slot] = own.stream.len() as u32;
        }
    }

    /// Starts with an entry.
    pub(crate) fn start(&mut self, timestamp_ns: i64, line: Slice) {
        self.lines.clear();
        self.line = Some(line);
        self.timestamp_ns = timestamp_ns;
        self.labels.clear();
    }

    /// Adds structured metadata.
    pub(crate) fn add_metadata(&mut self, name: &str, value: Slice) {
        let labels = &mut self.labels;
        let mut id = self.names.id(name);
        if labels.stream_has(id) {
            id = self.names.suffixed(id);
        }
        match id {
            NameId::ERROR => labels.error = Some(value).filter(|v| !v.is_empty()),
            NameId::ERROR_DETAILS => labels.details = Some(value).filter(|v| !v.is_empty()),
            _ => labels.set(&self.names, id, value, Category::Metadata),
        }
    }

    pub(crate) fn line_slice(&self) -> Slice {
        self.line.unwrap_or(Slice::EMPTY)
    }

    /// The line as it is now.
    pub(crate) fn line<'a>(&'a self, unit: &'a str) -> &'a str {
        resolve_line(self.line_slice(), Texts { unit, lines: &self.lines })
    }

    /// Value of a label, `None` when absent.
    pub(crate) fn get<'a>(&'a self, id: NameId, unit: &'a str) -> Option<&'a str> {
        self.labels.get(id).map(|slice| self.labels.resolve(slice, Texts { unit, lines: &self.lines }))
    }

    pub(crate) fn texts<'a>(&'a self, unit: &'a str) -> Texts<'a> {
        Texts { unit, lines: &self.lines }
    }

    /// The error and its explanation; empty when there is none.
    pub(crate) fn error<'a>(&'a self, unit: &'a str) -> &'a str {
        self.labels.error.map_or("", |slice| self.labels.resolve(slice, self.texts(unit)))
    }

    pub(crate) fn details<'a>(&'a self, unit: &'a str) -> &'a str {
        self.labels.details.map_or("", |slice| self.labels.resolve(slice, self.texts(unit)))
    }
}

/// Text of a line, which is never a label's.
#[inline]
pub(crate) fn resolve_line<'a>(slice: Slice, texts: Texts<'a>) -> &'a str {
    let buffer = if slice.source == Source::Lines { texts.lines } else { texts.unit };
    buffer.get(slice.start as usize..slice.end as usize).unwrap_or("")
}

impl EntryLabels {
    fn clear(&mut self) {
        self.values.clear();
        self.added.clear();
        self.live = 0;
        self.any_deleted = false;
        self.error = None;
        self.details = None;
        self.extracted = 0;
        self.wanted_extracted = 0;
        self.entry = self.entry.wrapping_add(1);
        if self.entry == 0 {
            // The counter came round: slots of long ago must not look like this entry's.
            self.slots.fill(Slot::default());
            self.entry = 1;
        }
    }

    #[inline]
    pub(crate) fn resolve<'a>(&'a self, slice: Slice, texts: Texts<'a>) -> &'a str {
        let buffer = match slice.source {
            Source::Unit => texts.unit,
            Source::Lines => texts.lines,
            Source::Values => &self.values,
            Source::Stream => &self.stream_text,
        };
        buffer.get(slice.start as usize..slice.end as usize).unwrap_or("")
    }

    /// A text of the labels' own buffers.
    pub(crate) fn resolve_own(&self, slice: Slice) -> &str {
        self.resolve(slice, Texts { unit: "", lines: "" })
    }

    #[inline]
    fn slot(&self, id: NameId) -> Slot {
        match self.slots.get(id.index()) {
            Some(slot) if slot.entry == self.entry => *slot,
            _ => Slot::default(),
        }
    }

    #[inline]
    fn slot_mut(&mut self, id: NameId) -> &mut Slot {
        let index = id.index();
        if self.slots.len() <= index {
            self.slots.resize(index + 16, Slot::default());
        }
        let slot = &mut self.slots[index];
        if slot.entry != self.entry {
            *slot = Slot { entry: self.entry, ..Slot::default() };
        }
        slot
    }

    /// Whether the stream has a label, deleted or not.
    #[inline]
    pub(crate) fn stream_has(&self, id: NameId) -> bool {
        self.stream_slots.get(id.index()).is_some_and(|slot| *slot > 0)
    }

    /// Whether the name, were it parsed now, would clash with the stream's or the metadata's.
    #[inline]
    pub(crate) fn clashes(&self, id: NameId) -> bool {
        self.stream_has(id) || self.category(id) == Some(Category::Metadata)
    }

    /// Whose the label is; `None` when it is the stream's or absent.
    pub(crate) fn category(&self, id: NameId) -> Option<Category> {
        let slot = self.slot(id);
        (slot.added > 0).then(|| self.added[slot.added as usize - 1].category)
    }

    /// Value of a label, `None` when absent.
    #[inline]
    pub(crate) fn get(&self, id: NameId) -> Option<Slice> {
        let slot = self.slot(id);
        if slot.added > 0 {
            return Some(self.added[slot.added as usize - 1].value);
        }
        if slot.deleted {
            return None;
        }
        match self.stream_slots.get(id.index()) {
            Some(at) if *at > 0 => Some(self.stream[*at as usize - 1].1),
            _ => None,
        }
    }

    /// Sets a label.
    pub(crate) fn set(&mut self, names: &Names, id: NameId, value: Slice, category: Category) {
        let slot = *self.slot_mut(id);
        if slot.added > 0 {
            let added = &mut self.added[slot.added as usize - 1];
            (added.value, added.category) = (value, category);
        } else {
            self.added.push(Added { name: id, value, category, live: true });
            self.live += 1;
            let index = self.added.len() as u32;
            self.slot_mut(id).added = index;
        }
        if category == Category::Parsed && !slot.extracted {
            self.slot_mut(id).extracted = true;
            self.extracted += 1;
            self.wanted_extracted += usize::from(names.wanted_count() > 0 && names.wanted(id));
        }
    }

    /// Whether a stage has set the label in this entry.
    #[inline]
    pub(crate) fn was_extracted(&self, id: NameId) -> bool {
        self.slot(id).extracted
    }

    /// Whether everything that the query wants has been extracted.
    #[inline]
    pub(crate) fn all_extracted(&self, names: &Names) -> bool {
        names.wanted_count() > 0 && self.wanted_extracted >= names.wanted_count()
    }

    /// Removes a label.
    pub(crate) fn delete(&mut self, id: NameId) {
        let slot = self.slot_mut(id);
        slot.deleted = true;
        let added = std::mem::take(&mut slot.added);
        self.any_deleted = true;
        if added > 0 {
            self.added[added as usize - 1].live = false;
            self.live -= 1;
        }
    }

    /// Whether a stage has deleted the label, set again or not.
    pub(crate) fn is_deleted(&self, id: NameId) -> bool {
        self.slot(id).deleted
    }

    /// Keeps a text that a stage made.
    pub(crate) fn store(&mut self, text: &str) -> Slice {
        let start = self.values.len() as u32;
        self.values.push_str(text);
        Slice { source: Source::Values, start, end: self.values.len() as u32 }
    }

    /// The buffer of values, to write one into; [`Self::stored`] then gives its place.
    pub(crate) fn values_mut(&mut self) -> &mut String {
        &mut self.values
    }

    /// The text from `start` to the end of the buffer of values.
    pub(crate) fn stored(&self, start: usize) -> Slice {
        Slice { source: Source::Values, start: start as u32, end: self.values.len() as u32 }
    }

    /// Sets the error. The explanation stays what it was unless there is a new one.
    pub(crate) fn fail(&mut self, error: StageError, details: Option<&str>) {
        let text = self.store(error.as_str());
        self.error = Some(text);
        if let Some(details) = details {
            let text = self.store(details);
            self.details = Some(text).filter(|t| !t.is_empty());
        }
    }

    pub(crate) fn has_error(&self) -> bool {
        self.error.is_some()
    }

    pub(crate) fn error_slice(&self) -> Option<Slice> {
        self.error
    }

    pub(crate) fn details_slice(&self) -> Option<Slice> {
        self.details
    }

    pub(crate) fn clear_error(&mut self) {
        self.error = None;
    }

    pub(crate) fn clear_details(&mut self) {
        self.details = None;
    }

    /// Whether the labels are still the stream's own.
    #[inline]
    pub(crate) fn is_unchanged(&self) -> bool {
        self.live == 0 && !self.any_deleted && self.error.is_none()
    }

    /// Whether labels were added or deleted, errors aside.
    #[inline]
    pub(crate) fn is_touched(&self) -> bool {
        self.live > 0 || self.any_deleted
    }

    /// Calls `visit` for each label, without order, errors last. Where nothing was added or deleted, an explanation
    /// without its error is no label; otherwise it is one.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(NameId, Slice, Whose)) {
        for (id, value) in &self.stream {
            let slot = self.slot(*id);
            if slot.added == 0 && !slot.deleted {
                visit(*id, *value, Whose::Stream);
            }
        }
        for added in self.added.iter().filter(|added| added.live) {
            let whose = if added.category == Category::Parsed { Whose::Parsed } else { Whose::Metadata };
            visit(added.name, added.value, whose);
        }
        if let Some(error) = self.error {
            visit(NameId::ERROR, error, Whose::Parsed);
        }
        if let Some(details) = self.details
            && (self.is_touched() || self.error.is_some())
        {
            visit(NameId::ERROR_DETAILS, details, Whose::Parsed);
        }
    }
}

/// Whose a label of a result is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    Stream,
    Metadata,
    Parsed,
}
