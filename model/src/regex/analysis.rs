//! What a pattern's matches have in common, read off its HIR.
//!
//! Indexes and filters use it to avoid the engine: a label matcher that is a list of values becomes look-ups, a prefix
//! becomes a range of the sorted dictionary, required literals choose blocks by their token filters. Everything here is
//! sound (what is claimed holds for every match) and bounded; "don't know" is always an allowed answer.

use regex_syntax::hir::{Class, ClassUnicode, Hir, HirKind, Look};

/// Most values [`literal_set`] lists.
const MAX_SET_LEN: usize = 65_536;
/// Most bytes they have together.
const MAX_SET_BYTES: usize = 1 << 20;
/// Longest prefix, suffix or required literal that is kept.
const MAX_LITERAL: usize = 256;
/// Most alternatives of one required literal.
const MAX_ALTERNATIVES: usize = 256;

/// A condition every match fulfils: it contains at least one of the literals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequiredLiteral {
    /// Non-empty, sorted, without duplicates.
    pub any_of: Vec<String>,
    /// The literals are in lower case and stand for every ASCII spelling of themselves.
    pub ignore_ascii_case: bool,
}

impl RequiredLiteral {
    fn one(text: String, ignore_ascii_case: bool) -> Self {
        Self { any_of: vec![text], ignore_ascii_case }
    }

    /// Length of the shortest alternative: the longer, the more it excludes.
    fn strength(&self) -> usize {
        self.any_of.iter().map(String::len).min().unwrap_or(0)
    }
}

/// All texts that `hir` matches as a whole, in the order of preference without duplicates, if they are few and the pattern
/// looks at nothing around it.
pub(super) fn literal_set(hir: &Hir) -> Option<Vec<String>> {
    let mut budget = MAX_SET_BYTES;
    let set = enumerate(hir, &mut budget)?;
    let mut seen = std::collections::HashSet::with_capacity(set.len());
    let mut out = Vec::with_capacity(set.len());
    for bytes in set {
        let text = String::from_utf8(bytes).ok()?;
        if seen.insert(text.clone()) {
            out.push(text);
        }
    }
    Some(out)
}

fn enumerate(hir: &Hir, budget: &mut usize) -> Option<Vec<Vec<u8>>> {
    let set = match hir.kind() {
        HirKind::Empty => vec![Vec::new()],
        HirKind::Literal(literal) => vec![literal.0.to_vec()],
        HirKind::Class(Class::Unicode(class)) => {
            class_chars(class, 64)?.iter().map(|c| c.to_string().into_bytes()).collect()
        }
        HirKind::Class(Class::Bytes(_)) | HirKind::Look(_) => return None,
        HirKind::Capture(capture) => return enumerate(&capture.sub, budget),
        HirKind::Repetition(repetition) => {
            let max = repetition.max.filter(|max| *max <= 16)?;
            let unit = enumerate(&repetition.sub, budget)?;
            let mut power = vec![Vec::new()];
            let mut set = Vec::new();
            for count in 0..=max {
                if count > 0 {
                    power = product(&power, &unit, budget)?;
                }
                if count >= repetition.min {
                    set.extend(power.iter().cloned());
                }
            }
            set
        }
        HirKind::Concat(parts) => {
            let mut set = vec![Vec::new()];
            for part in parts {
                let next = enumerate(part, budget)?;
                set = product(&set, &next, budget)?;
            }
            set
        }
        HirKind::Alternation(parts) => {
            let mut set = Vec::new();
            for part in parts {
                set.extend(enumerate(part, budget)?);
            }
            set
        }
    };
    let bytes: usize = set.iter().map(Vec::len).sum();
    (set.len() <= MAX_SET_LEN && bytes <= MAX_SET_BYTES).then_some(set)
}

fn product(left: &[Vec<u8>], right: &[Vec<u8>], budget: &mut usize) -> Option<Vec<Vec<u8>>> {
    let sum = |set: &[Vec<u8>]| set.iter().map(|text| text.len() + 1).sum::<usize>();
    // The work of all products together is bounded, not only the size of the result.
    let cost = sum(left).checked_mul(right.len())?.checked_add(sum(right).checked_mul(left.len())?)?;
    if left.len() == 1 && left[0].is_empty() {
        return Some(right.to_vec());
    }
    *budget = budget.checked_sub(cost)?;
    Some(left.iter().flat_map(|l| right.iter().map(move |r| [l.as_slice(), r].concat())).collect())
}

/// The characters of a class, if there are at most `limit`.
fn class_chars(class: &ClassUnicode, limit: usize) -> Option<Vec<char>> {
    let count: usize = class.ranges().iter().map(|range| range.len()).sum();
    (count <= limit).then(|| class.ranges().iter().flat_map(|range| range.start()..=range.end()).collect())
}

/// The longest known text every match starts with.
pub(super) fn prefix(hir: &Hir) -> String {
    let mut bytes = affix(hir, true).text;
    bytes.truncate(MAX_LITERAL);
    let valid = match std::str::from_utf8(&bytes) {
        Ok(text) => text.len(),
        Err(error) => error.valid_up_to(),
    };
    bytes.truncate(valid);
    String::from_utf8(bytes).unwrap_or_default()
}

/// The longest known text every match ends with.
pub(super) fn suffix(hir: &Hir) -> String {
    let mut bytes = affix(hir, false).text;
    bytes.truncate(MAX_LITERAL);
    bytes.reverse();
    // A common ending may start inside a character.
    let start = bytes.iter().take_while(|b| **b & 0xc0 == 0x80).count();
    String::from_utf8(bytes.split_off(start.min(bytes.len()))).unwrap_or_default()
}

/// The common beginning of all matches, or the common end in reversed byte order.
struct Affix {
    text: Vec<u8>,
    /// Every match is exactly `text`.
    whole: bool,
}

fn affix(hir: &Hir, forward: bool) -> Affix {
    let nothing = Affix { text: Vec::new(), whole: false };
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Affix { text: Vec::new(), whole: true },
        HirKind::Literal(literal) => {
            let mut text = literal.0.to_vec();
            if !forward {
                text.reverse();
            }
            Affix { text, whole: true }
        }
        HirKind::Class(_) => nothing,
        HirKind::Capture(capture) => affix(&capture.sub, forward),
        HirKind::Repetition(repetition) => {
            if repetition.max == Some(0) {
                return Affix { text: Vec::new(), whole: true };
            }
            if repetition.min == 0 {
                return nothing;
            }
            let mut found = affix(&repetition.sub, forward);
            if found.whole {
                let unit = found.text.clone();
                for _ in 1..repetition.min {
                    if found.text.len() > MAX_LITERAL || unit.is_empty() {
                        break;
                    }
                    found.text.extend_from_slice(&unit);
                }
                found.whole = repetition.max == Some(repetition.min) && found.text.len() <= MAX_LITERAL;
            }
            found
        }
        HirKind::Concat(parts) => {
            let mut found = Affix { text: Vec::new(), whole: true };
            let mut add = |part: &Hir| {
                let next = affix(part, forward);
                found.text.extend_from_slice(&next.text);
                found.whole = next.whole && found.text.len() <= MAX_LITERAL;
                found.whole
            };
            if forward {
                parts.iter().all(&mut add)
            } else {
                parts.iter().rev().all(&mut add)
            };
            found
        }
        HirKind::Alternation(parts) => {
            let mut parts = parts.iter().map(|part| affix(part, forward));
            let Some(mut common) = parts.next() else { return nothing };
            for next in parts {
                let len = common.text.iter().zip(&next.text).take_while(|(a, b)| a == b).count();
                common.whole &= next.whole && len == next.text.len() && len == common.text.len();
                common.text.truncate(len);
                if common.text.is_empty() && !common.whole {
                    break;
                }
            }
            common
        }
    }
}

/// Conditions that all hold for every match.
pub(super) fn required(hir: &Hir) -> Vec<RequiredLiteral> {
    let mut found = Vec::new();
    let mut run = Run::default();
    collect(hir, &mut run, &mut found);
    run.end(&mut found);
    found
}

/// Adjacent characters that every match has one after the other.
#[derive(Default)]
struct Run {
    text: Vec<u8>,
    folded: bool,
}

impl Run {
    fn end(&mut self, found: &mut Vec<RequiredLiteral>) {
        let bytes = std::mem::take(&mut self.text);
        let folded = std::mem::take(&mut self.folded);
        // Cut long runs on a character boundary; a shorter literal is a weaker but true condition.
        let text = String::from_utf8(bytes).unwrap_or_default();
        let mut end = text.len().min(MAX_LITERAL);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        if end > 0 {
            let text = if folded { text[..end].to_ascii_lowercase() } else { text[..end].to_owned() };
            found.push(RequiredLiteral::one(text, folded));
        }
    }
}

fn collect(hir: &Hir, run: &mut Run, found: &mut Vec<RequiredLiteral>) {
    match hir.kind() {
        // Nothing is consumed, so what follows still adjoins what came before.
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => run.text.extend_from_slice(&literal.0),
        HirKind::Class(class) => match folded_letter(class) {
            Some(letter) => {
                run.text.push(letter);
                run.folded = true;
            }
            None => run.end(found),
        },
        HirKind::Capture(capture) => collect(&capture.sub, run, found),
        HirKind::Concat(parts) => parts.iter().for_each(|part| collect(part, run, found)),
        HirKind::Repetition(repetition) => {
            run.end(found);
            if repetition.min > 0 {
                collect(&repetition.sub, run, found);
                run.end(found);
            }
        }
        HirKind::Alternation(parts) => {
            run.end(found);
            let mut any = RequiredLiteral { any_of: Vec::new(), ignore_ascii_case: false };
            for part in parts {
                let best = required(part).into_iter().max_by_key(RequiredLiteral::strength);
                let Some(best) = best else { return };
                any.ignore_ascii_case |= best.ignore_ascii_case;
                any.any_of.extend(best.any_of);
                if any.any_of.len() > MAX_ALTERNATIVES {
                    return;
                }
            }
            if any.ignore_ascii_case {
                any.any_of.iter_mut().for_each(|text| text.make_ascii_lowercase());
            }
            any.any_of.sort();
            any.any_of.dedup();
            if !any.any_of.is_empty() {
                found.push(any);
            }
        }
    }
}

/// The lower-case letter of a class that is one ASCII letter in both cases. `k` and `s` fold to characters outside ASCII
/// too, so `(?i)k` is not one.
fn folded_letter(class: &Class) -> Option<u8> {
    let Class::Unicode(class) = class else { return None };
    match class_chars(class, 2)?[..] {
        [upper, lower] if upper.is_ascii_uppercase() && upper.to_ascii_lowercase() == lower => u8::try_from(lower).ok(),
        _ => None,
    }
}

/// Whether matching depends on how bytes that are not UTF-8 are read: Go sees each as U+FFFD, the engine as no character.
pub(super) fn sees_invalid_utf8(hir: &Hir) -> bool {
    if hir.properties().minimum_len().unwrap_or(0) == 0 {
        return true;
    }
    contains_replacement(hir)
}

fn contains_replacement(hir: &Hir) -> bool {
    const REPLACEMENT: char = char::REPLACEMENT_CHARACTER;
    match hir.kind() {
        HirKind::Empty => false,
        // A boundary next to a stray byte may be counted inside a character.
        HirKind::Look(look) => matches!(look, Look::WordAsciiNegate),
        HirKind::Literal(literal) => {
            memchr::memmem::find(&literal.0, REPLACEMENT.encode_utf8(&mut [0; 4]).as_bytes()).is_some()
        }
        HirKind::Class(Class::Unicode(class)) => {
            class.ranges().iter().any(|range| (range.start()..=range.end()).contains(&REPLACEMENT))
        }
        HirKind::Class(Class::Bytes(_)) => false,
        HirKind::Capture(capture) => contains_replacement(&capture.sub),
        HirKind::Repetition(repetition) => contains_replacement(&repetition.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().any(contains_replacement),
    }
}
