//! Regular expressions in Go's dialect (RE2), on the engines of the `regex` crates.
//!
//! A pattern is read by this module's own parser, which settles every difference between Go and the `regex` crate and
//! refuses with Go's words ([`RegexError`]), then compiled from HIR. [`GoRegex`] matches, finds, captures and replaces as
//! Go's `regexp` does, on `&str` and on bytes that may not be UTF-8 (where Go sees U+FFFD for each stray byte, so do we).
//!
//! What a pattern's matches have in common is worked out once ([`GoRegex::literal_set`], [`GoRegex::prefix`],
//! [`GoRegex::suffix`], [`GoRegex::required_literals`], [`ValueAutomaton`]), for indexes and filters that can do better than
//! run an engine over everything. An anchored pattern that is a list of values never builds an engine.
//!
//! Limits: [`MAX_NESTING`] nested operators, 1000 for repeat counts (nested ones multiplied), [`MAX_COMPILED_BYTES`] for
//! the compiled program. Beyond them construction fails; matching is linear in the text whatever the pattern.

mod analysis;
mod automaton;
mod error;
mod parser;
mod replace;
mod strategy;
mod unicode;

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use regex_automata::{Anchored, Input, meta};
use regex_syntax::hir::{Hir, Look};
use strategy::Strategy;

pub use analysis::RequiredLiteral;
pub use automaton::{AutomatonState, ValueAutomaton};
pub use error::{RegexError, RegexErrorKind};
pub use replace::{expand, quote_meta};

/// Most operators a pattern may nest.
pub const MAX_NESTING: u32 = 500;
/// Most bytes the compiled program of a pattern may take.
pub const MAX_COMPILED_BYTES: usize = 32 << 20;

/// Longest plain pattern whose engine waits until it is needed.
const MAX_LAZY_PATTERN: usize = 1024;

/// How a pattern is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Flags {
    /// The pattern must match the whole text, as label matchers and relabelling demand.
    pub anchored: bool,
    /// `.` matches a newline too (`(?s)`).
    pub dot_matches_newline: bool,
    /// `(?i)`.
    pub case_insensitive: bool,
    /// `^` and `$` match at line ends too (`(?m)`).
    pub multi_line: bool,
}

impl Flags {
    /// Label matchers, `label_replace` and relabelling: the whole value, `.` matching everything.
    pub const MATCHER: Self =
        Self { anchored: true, dot_matches_newline: true, case_insensitive: false, multi_line: false };
    /// A pattern as Go's `regexp.Compile` takes it: line filters, template functions.
    pub const SEARCH: Self =
        Self { anchored: false, dot_matches_newline: false, case_insensitive: false, multi_line: false };
}

/// A compiled pattern. Cloning is one reference count; matching from many threads at once is fine.
///
/// ```
/// use foursight_model::regex::{Flags, GoRegex};
///
/// let status = GoRegex::new("5..|429", Flags::MATCHER)?;
/// assert!(status.is_match("503") && !status.is_match("5030"));
/// let pair = GoRegex::new(r"(\w+)=(?P<value>\w+)", Flags::SEARCH)?;
/// assert_eq!(pair.replace_all("a=1 b=2", "${value}:$1"), "1:a 2:b");
/// # Ok::<(), foursight_model::regex::RegexError>(())
/// ```
#[derive(Clone)]
pub struct GoRegex(Arc<Inner>);

struct Inner {
    pattern: String,
    flags: Flags,
    hir: Hir,
    names: Vec<Option<Box<str>>>,
    prefix: String,
    suffix: String,
    required: Vec<RequiredLiteral>,
    set: Option<Vec<String>>,
    /// Stray bytes can change the answer.
    sees_invalid_utf8: bool,
    strategy: Strategy,
    /// Compiled at once where a match needs it, else when a place or a group is first asked for. None for
    /// [`Strategy::OneOf`] without groups, which needs none.
    engine: OnceLock<Option<meta::Regex>>,
    /// Answers whether there is a match, where that is simpler than finding it.
    tester: Option<meta::Regex>,
}

impl GoRegex {
    /// Compiles `pattern`.
    ///
    /// # Errors
    /// What Go refuses, in Go's words, and what exceeds the limits of this module.
    pub fn new(pattern: &str, flags: Flags) -> Result<Self, RegexError> {
        let parser::Parsed { hir, names, counted } = parser::parse(pattern, flags)?;
        let set = analysis::literal_set(&hir);
        let sees_invalid_utf8 = analysis::sees_invalid_utf8(&hir);
        let strategy = Strategy::choose(&hir, flags, set.as_deref());
        let engine = match strategy {
            Strategy::OneOf(_) if names.len() == 1 => OnceLock::from(None),
            // Texts and dots alone: short enough, they always compile.
            Strategy::Everything
            | Strategy::NonEmpty
            | Strategy::StartsWith(_)
            | Strategy::EndsWith(_)
            | Strategy::Contains(_)
                if pattern.len() <= MAX_LAZY_PATTERN && !counted =>
            {
                OnceLock::new()
            }
            _ => OnceLock::from(Some(compile(&hir, flags.anchored, pattern)?)),
        };
        let tester = match strategy {
            Strategy::Engine if !flags.anchored => strategy::without_loose_ends(&hir),
            _ => None,
        };
        let tester = tester.map(|core| compile(&core, false, pattern)).transpose()?;
        Ok(Self(Arc::new(Inner {
            pattern: pattern.to_owned(),
            flags,
            prefix: analysis::prefix(&hir),
            suffix: analysis::suffix(&hir),
            required: analysis::required(&hir),
            set,
            sees_invalid_utf8,
            strategy,
            engine,
            tester,
            hir,
            names,
        })))
    }

    /// The pattern as it was given.
    pub fn as_str(&self) -> &str {
        &self.0.pattern
    }

    /// The flags it was compiled with.
    pub fn flags(&self) -> Flags {
        self.0.flags
    }

    /// The pattern's HIR, without the anchors that [`Flags::anchored`] adds and without group names.
    pub fn hir(&self) -> &Hir {
        &self.0.hir
    }

    /// Names of the groups by index; index 0, the whole match, has none. Two groups may share a name.
    pub fn group_names(&self) -> impl ExactSizeIterator<Item = Option<&str>> {
        self.0.names.iter().map(Option::as_deref)
    }

    /// Number of groups, the whole match included.
    pub fn group_count(&self) -> usize {
        self.0.names.len()
    }

    /// Every text the pattern matches as a whole, if these are few (65,536 texts, 1 MiB) and it looks at nothing else.
    /// For an anchored pattern this is an exact description.
    pub fn literal_set(&self) -> Option<&[String]> {
        self.0.set.as_deref()
    }

    /// What every match starts with; empty if nothing is known.
    pub fn prefix(&self) -> &str {
        &self.0.prefix
    }

    /// What every match ends with; empty if nothing is known.
    pub fn suffix(&self) -> &str {
        &self.0.suffix
    }

    /// Conditions that each hold for every match. Empty if nothing is known.
    pub fn required_literals(&self) -> &[RequiredLiteral] {
        &self.0.required
    }

    /// The pattern matches the empty text. For a matcher: it also selects series without the label.
    pub fn matches_empty(&self) -> bool {
        self.is_match("")
    }

    /// The pattern matches every text.
    pub fn matches_everything(&self) -> bool {
        matches!(self.0.strategy, Strategy::Everything)
    }

    /// Whether the pattern matches somewhere in `text` (anchored: matches all of it).
    pub fn is_match(&self, text: &str) -> bool {
        self.0.strategy.quick(text.as_bytes()).unwrap_or_else(|| self.0.engine_matches(text.as_bytes()))
    }

    /// [`Self::is_match`] on bytes that may not be UTF-8.
    pub fn is_match_bytes(&self, text: &[u8]) -> bool {
        if let Some(answer) = self.0.strategy.quick(text) {
            return answer;
        }
        // A match in the raw bytes is a match in what Go sees; only a miss has to be looked at again.
        self.0.engine_matches(text)
            || self.0.sees_invalid_utf8
                && Replaced::new(text).is_some_and(|replaced| self.0.engine_matches(replaced.text.as_bytes()))
    }

    /// Range of the leftmost match.
    pub fn find(&self, text: &[u8]) -> Option<Range<usize>> {
        let mut groups = Groups::default();
        self.captures_into(text, &mut groups).then(|| groups.get(0)).flatten()
    }

    /// Number of matches that do not overlap.
    pub fn count(&self, text: &[u8]) -> usize {
        let mut count = 0;
        self.for_each_match(text, |_| count += 1);
        count
    }

    /// Finds the leftmost match and its groups. Returns whether there is one; `groups` is reused without allocation.
    pub fn captures_into(&self, text: &[u8], groups: &mut Groups) -> bool {
        match self.0.replaced(text) {
            None => self.0.captures_at(text, 0, groups),
            Some(replaced) => {
                let found = self.0.captures_at(replaced.text.as_bytes(), 0, groups);
                groups.map(|at| replaced.original(at));
                found
            }
        }
    }

    /// The groups of the leftmost match.
    pub fn captures(&self, text: &[u8]) -> Option<Groups> {
        let mut groups = Groups::default();
        self.captures_into(text, &mut groups).then_some(groups)
    }

    /// Calls `each` with the groups of every match, leftmost first, none overlapping; an empty match right behind another
    /// match does not count. Go's `FindAll`.
    pub fn for_each_match(&self, text: &[u8], mut each: impl FnMut(&Groups)) {
        let replaced = self.0.replaced(text);
        let haystack = replaced.as_ref().map_or(text, |replaced| replaced.text.as_bytes());
        let mut groups = Groups::default();
        let mut original = Groups::default();
        let mut at = 0;
        let mut last_end = None;
        while at <= haystack.len() && self.0.captures_at(haystack, at, &mut groups) {
            let Some(found) = groups.get(0) else { break };
            let empty = found.is_empty();
            if !empty || last_end != Some(found.end) {
                match &replaced {
                    None => each(&groups),
                    Some(replaced) => {
                        original.0.clone_from(&groups.0);
                        original.map(|at| replaced.original(at));
                        each(&original);
                    }
                }
            }
            last_end = Some(found.end);
            at = if empty { next_char(haystack, found.end) } else { found.end };
        }
    }
}

/// Start of the character after the one at `at`.
fn next_char(text: &[u8], at: usize) -> usize {
    at + 1 + text.get(at + 1..).unwrap_or_default().iter().take(3).take_while(|b| **b & 0xc0 == 0x80).count()
}

fn compile(hir: &Hir, anchored: bool, pattern: &str) -> Result<meta::Regex, RegexError> {
    let whole = if anchored { anchor(hir) } else { hir.clone() };
    let config = meta::Config::new().nfa_size_limit(Some(MAX_COMPILED_BYTES)).utf8_empty(true);
    meta::Builder::new()
        .configure(config)
        .build_from_hir(&whole)
        .map_err(|_| RegexError { kind: RegexErrorKind::TooLarge, fragment: pattern.to_owned() })
}

fn anchor(hir: &Hir) -> Hir {
    Hir::concat(vec![Hir::look(Look::Start), hir.clone(), Hir::look(Look::End)])
}

impl Inner {
    fn engine(&self) -> Option<&meta::Regex> {
        self.engine.get_or_init(|| compile(&self.hir, self.flags.anchored, &self.pattern).ok()).as_ref()
    }

    fn engine_matches(&self, text: &[u8]) -> bool {
        match self.tester.as_ref().or_else(|| self.engine()) {
            Some(engine) => engine.is_match(text),
            None => self.strategy.quick(text) == Some(true),
        }
    }

    /// The text as Go sees it, if that differs and matters.
    fn replaced(&self, text: &[u8]) -> Option<Replaced> {
        if self.sees_invalid_utf8 { Replaced::new(text) } else { None }
    }

    fn captures_at(&self, text: &[u8], at: usize, groups: &mut Groups) -> bool {
        groups.0.clear();
        groups.0.resize(self.names.len() * 2, None);
        match self.engine() {
            Some(engine) => {
                let input = Input::new(text).span(at..text.len()).anchored(Anchored::No);
                let found = engine.search_slots(&input, &mut groups.0).is_some();
                if !found {
                    groups.0.clear();
                }
                found
            }
            // A list of whole texts: the only match is everything, from the start.
            None if at == 0 && self.strategy.quick(text) == Some(true) => {
                groups.0[0] = regex_automata::util::primitives::NonMaxUsize::new(0);
                groups.0[1] = regex_automata::util::primitives::NonMaxUsize::new(text.len());
                true
            }
            None => false,
        }
    }
}

/// Byte ranges of a match and its groups.
#[derive(Debug, Clone, Default)]
pub struct Groups(Vec<Option<regex_automata::util::primitives::NonMaxUsize>>);

impl Groups {
    /// Range of group `index`; 0 is the whole match. `None` if the group took no part.
    pub fn get(&self, index: usize) -> Option<Range<usize>> {
        let start = (*self.0.get(index * 2)?)?.get();
        let end = (*self.0.get(index * 2 + 1)?)?.get();
        Some(start..end)
    }

    fn map(&mut self, change: impl Fn(usize) -> usize) {
        for slot in self.0.iter_mut().flatten() {
            if let Some(changed) = regex_automata::util::primitives::NonMaxUsize::new(change(slot.get())) {
                *slot = changed;
            }
        }
    }
}

/// A text with U+FFFD in place of each stray byte, and the way back.
struct Replaced {
    text: String,
    /// Offset of each replacement in `text`, ascending. Each stands for one byte and takes three.
    at: Vec<usize>,
}

impl Replaced {
    /// `None` if `text` is UTF-8.
    fn new(text: &[u8]) -> Option<Self> {
        if std::str::from_utf8(text).is_ok() {
            return None;
        }
        let mut out = Self { text: String::with_capacity(text.len() + 16), at: Vec::new() };
        for chunk in text.utf8_chunks() {
            out.text.push_str(chunk.valid());
            for _ in chunk.invalid() {
                out.at.push(out.text.len());
                out.text.push(char::REPLACEMENT_CHARACTER);
            }
        }
        Some(out)
    }

    fn original(&self, at: usize) -> usize {
        at - 2 * self.at.partition_point(|replacement| *replacement < at)
    }
}

impl GoRegex {
    /// `text` with every match replaced by `replacement`, in which `$1`, `${1}`, `$name`, `${name}` stand for groups and
    /// `$$` for a dollar sign. Go's `ReplaceAllString`.
    pub fn replace_all<'t>(&self, text: &'t str, replacement: &str) -> Cow<'t, str> {
        replace::into_text(text, self.replace_all_bytes(text.as_bytes(), replacement.as_bytes()))
    }

    /// [`Self::replace_all`] on bytes.
    pub fn replace_all_bytes<'t>(&self, text: &'t [u8], replacement: &[u8]) -> Cow<'t, [u8]> {
        if !replacement.contains(&b'$') {
            return self.replace_all_with(text, |_, out| out.extend_from_slice(replacement));
        }
        self.replace_all_with(text, |groups, out| expand(out, replacement, text, groups, self))
    }

    /// `text` with every match replaced by `replacement` as it stands. Go's `ReplaceAllLiteralString`.
    pub fn replace_all_literal<'t>(&self, text: &'t str, replacement: &str) -> Cow<'t, str> {
        let replaced = self.replace_all_with(text.as_bytes(), |_, out| out.extend_from_slice(replacement.as_bytes()));
        replace::into_text(text, replaced)
    }

    /// `text` with every match replaced by what `write` appends for its groups.
    pub fn replace_all_with<'t>(&self, text: &'t [u8], write: impl FnMut(&Groups, &mut Vec<u8>)) -> Cow<'t, [u8]> {
        replace::replace_all(self, text, write)
    }
}

impl fmt::Debug for GoRegex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GoRegex").field("pattern", &self.0.pattern).field("flags", &self.0.flags).finish()
    }
}

impl fmt::Display for GoRegex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.pattern)
    }
}

/// Equal pattern and flags.
impl PartialEq for GoRegex {
    fn eq(&self, other: &Self) -> bool {
        self.0.pattern == other.0.pattern && self.0.flags == other.0.flags
    }
}

impl Eq for GoRegex {}

#[cfg(test)]
mod tests;
