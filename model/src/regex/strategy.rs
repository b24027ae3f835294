//! Answering without an engine, or with a smaller one.

use regex_syntax::hir::{Hir, HirKind};

use super::Flags;

/// How [`GoRegex::is_match`] answers.
pub(super) enum Strategy {
    Engine,
    /// `.*` with `(?s)`, or an empty search.
    Everything,
    /// `.+` with `(?s)`.
    NonEmpty,
    /// An anchored list of texts.
    OneOf(hashbrown::HashSet<Box<[u8]>, foldhash::fast::RandomState>),
    /// Anchored `text.*` with `(?s)`.
    StartsWith(Box<[u8]>),
    /// Anchored `.*text` with `(?s)`.
    EndsWith(Box<[u8]>),
    /// Anchored `.*text.*` with `(?s)`, or a search for a plain text.
    Contains(Box<memchr::memmem::Finder<'static>>),
}

impl Strategy {
    pub(super) fn choose(hir: &Hir, flags: Flags, set: Option<&[String]>) -> Self {
        // A literal U+FFFD also matches a stray byte: leave that to the engine.
        let plain = |text: &str| !text.contains(char::REPLACEMENT_CHARACTER);
        if let Some(set) = set.filter(|set| set.iter().all(|text| plain(text))) {
            return match set {
                _ if flags.anchored => Self::OneOf(set.iter().map(|text| Box::from(text.as_bytes())).collect()),
                _ if set.iter().any(String::is_empty) => Self::Everything,
                [text] => Self::Contains(finder(text)),
                _ => Self::Engine,
            };
        }
        if !flags.anchored {
            // `.*text.*`: whether it matches is whether the text is there.
            let core = without_loose_ends(hir);
            let literal = core.as_ref().and_then(literal_text).filter(|text| plain(text));
            return literal.map_or(Self::Engine, |text| Self::Contains(finder(text)));
        }
        let mut parts = Vec::new();
        flatten(hir, &mut parts);
        let text = |hir| literal_text(hir).filter(|text| plain(text)).map(Box::<str>::from);
        match parts[..] {
            [only] if any_text(only, 0) => Self::Everything,
            [only] if any_text(only, 1) => Self::NonEmpty,
            [first, last] if any_text(last, 0) => {
                text(first).map_or(Self::Engine, |text| Self::StartsWith(text.into_boxed_bytes()))
            }
            [first, last] if any_text(first, 0) => {
                text(last).map_or(Self::Engine, |text| Self::EndsWith(text.into_boxed_bytes()))
            }
            [first, middle, last] if any_text(first, 0) && any_text(last, 0) => {
                text(middle).map_or(Self::Engine, |text| Self::Contains(finder(&text)))
            }
            _ => Self::Engine,
        }
    }

    /// The answer of [`GoRegex::is_match`] where no engine is needed.
    pub(super) fn quick(&self, text: &[u8]) -> Option<bool> {
        Some(match self {
            Self::Engine => return None,
            Self::Everything => true,
            Self::NonEmpty => !text.is_empty(),
            Self::OneOf(set) => set.contains(text),
            Self::StartsWith(prefix) => text.starts_with(prefix),
            Self::EndsWith(suffix) => text.ends_with(suffix),
            Self::Contains(finder) => finder.find(text).is_some(),
        })
    }
}

fn finder(text: &str) -> Box<memchr::memmem::Finder<'static>> {
    Box::new(memchr::memmem::Finder::new(text).into_owned())
}

/// The parts of a concatenation, groups and anchors dissolved.
fn flatten<'h>(hir: &'h Hir, parts: &mut Vec<&'h Hir>) {
    match hir.kind() {
        HirKind::Concat(inner) => inner.iter().for_each(|part| flatten(part, parts)),
        HirKind::Capture(capture) => flatten(&capture.sub, parts),
        HirKind::Empty => {}
        _ => parts.push(hir),
    }
}

/// `hir` is `.*` (or `.+` for `min` 1) over all characters, newlines included.
fn any_text(hir: &Hir, min: u32) -> bool {
    let HirKind::Repetition(repetition) = hir.kind() else { return false };
    let every_char = match repetition.sub.kind() {
        HirKind::Class(regex_syntax::hir::Class::Unicode(class)) => {
            matches!(class.ranges(), [all] if all.start() == '\0' && all.end() == char::MAX)
        }
        _ => false,
    };
    every_char && repetition.min == min && repetition.max.is_none()
}

fn literal_text(hir: &Hir) -> Option<&str> {
    match hir.kind() {
        HirKind::Literal(literal) => std::str::from_utf8(&literal.0).ok(),
        _ => None,
    }
}

/// The pattern without what may be empty at its ends, which decides where a search matches but not whether.
/// `None` if there is no such thing.
pub(super) fn without_loose_ends(hir: &Hir) -> Option<Hir> {
    let mut parts = Vec::new();
    flatten(hir, &mut parts);
    let loose = |hir: &&Hir| matches!(hir.kind(), HirKind::Repetition(repetition) if repetition.min == 0);
    let start = parts.iter().take_while(|part| loose(part)).count();
    let end = parts[start..].iter().rev().take_while(|part| loose(part)).count();
    let core = &parts[start..parts.len() - end];
    (core.len() < parts.len()).then(|| Hir::concat(core.iter().map(|part| (*part).clone()).collect()))
}
