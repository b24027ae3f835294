//! Searching long texts for one of a few words.

use aho_corasick::packed::{Config, Searcher};
use aho_corasick::{AhoCorasick, Input, MatchKind, Span};
use memchr::memmem::Finder;

/// Most spellings of words to search for at once with vector registers.
const MAX_SPELLINGS: usize = 64;
/// Letters of a word that are searched for in both cases.
const WINDOW: usize = 4;

/// A search for one of several words.
#[derive(Clone)]
pub(crate) struct Search {
    needle: Needle,
    min_len: usize,
}

#[derive(Clone)]
enum Needle {
    One(Box<Finder<'static>>),
    Few(Box<Searcher>),
    Folded(Box<Folded>),
    Many(Box<AhoCorasick>),
}

/// Words in any spelling of ASCII letters: all spellings of a part of each are searched for.
#[derive(Clone)]
struct Folded {
    searcher: Searcher,
    /// For each spelling the index of its word.
    word_of: Vec<u8>,
    /// The words, each with the offset of the part in it.
    words: Vec<(Box<str>, usize)>,
}

impl Search {
    /// A search for words, none of them empty; `None` if there is no word or they are too many.
    pub(crate) fn new(words: &[String], ignore_ascii_case: bool) -> Option<Self> {
        let min_len = words.iter().map(String::len).min().filter(|len| *len > 0)?;
        let needle = match words {
            [word] if !ignore_ascii_case => Needle::One(Box::new(Finder::new(word).into_owned())),
            _ => {
                let quick = if ignore_ascii_case {
                    Folded::new(words).map(|folded| Needle::Folded(Box::new(folded)))
                } else {
                    packed(words.iter().map(String::as_bytes)).map(|searcher| Needle::Few(Box::new(searcher)))
                };
                match quick {
                    Some(needle) => needle,
                    None => {
                        let mut builder = AhoCorasick::builder();
                        builder.match_kind(MatchKind::LeftmostFirst).ascii_case_insensitive(ignore_ascii_case);
                        Needle::Many(Box::new(builder.build(words).ok()?))
                    }
                }
            }
        };
        Some(Self { needle, min_len })
    }

    /// Length of the shortest word: the longer, the fewer hits.
    pub(crate) fn min_len(&self) -> usize {
        self.min_len
    }

    /// The next hit from `at` on: its offset and end. Of several words that begin at one place it may be any.
    #[inline]
    pub(crate) fn find(&self, text: &str, at: usize) -> Option<(usize, usize)> {
        match &self.needle {
            Needle::One(finder) => {
                let found = finder.find(text.as_bytes().get(at..)?)? + at;
                Some((found, found + finder.needle().len()))
            }
            Needle::Few(searcher) => {
                let found = searcher.find_in(text, Span { start: at, end: text.len() })?;
                Some((found.start(), found.end()))
            }
            Needle::Folded(folded) => folded.find(text.as_bytes(), at),
            Needle::Many(automaton) => {
                let found = automaton.find(Input::new(text).range(at..))?;
                Some((found.start(), found.end()))
            }
        }
    }

    /// Whether the text holds one of the words.
    #[inline]
    pub(crate) fn is_in(&self, text: &str) -> bool {
        self.find(text, 0).is_some()
    }
}

fn packed<'a>(words: impl Iterator<Item = &'a [u8]>) -> Option<Searcher> {
    let mut builder = Config::new().builder();
    let mut count = 0;
    for word in words {
        count += 1;
        if word.len() < 2 || count > MAX_SPELLINGS {
            return None;
        }
        builder.add(word);
    }
    builder.build()
}

impl Folded {
    fn new(words: &[String]) -> Option<Self> {
        let window = (2..=WINDOW).rev().find(|window| words.len() << window <= MAX_SPELLINGS)?;
        let mut spellings: Vec<Vec<u8>> = Vec::new();
        let mut word_of = Vec::new();
        let mut placed = Vec::new();
        for (index, word) in words.iter().enumerate() {
            let bytes = word.as_bytes();
            let len = window.min(bytes.len());
            // The part with the rarest letters.
            let offset = (0..=bytes.len() - len).max_by_key(|at| rarity(&bytes[*at..at + len]))?;
            let mut parts: Vec<Vec<u8>> = vec![Vec::new()];
            for byte in &bytes[offset..offset + len] {
                let (lower, upper) = (byte.to_ascii_lowercase(), byte.to_ascii_uppercase());
                let mut more = Vec::new();
                for part in &mut parts {
                    if lower != upper {
                        more.push([part.as_slice(), &[upper]].concat());
                    }
                    part.push(lower);
                }
                parts.append(&mut more);
            }
            word_of.extend(std::iter::repeat_n(index as u8, parts.len()));
            spellings.append(&mut parts);
            placed.push((word.as_str().into(), offset));
        }
        let searcher = packed(spellings.iter().map(Vec::as_slice))?;
        Some(Self { searcher, word_of, words: placed })
    }

    fn find(&self, text: &[u8], from: usize) -> Option<(usize, usize)> {
        let mut at = from;
        loop {
            let found = self.searcher.find_in(text, Span { start: at, end: text.len() })?;
            // Equal parts of several words count as the first one's: look at all words.
            let spelled = self.word_of.get(found.pattern().as_usize()).map(|index| *index as usize);
            let order = spelled.into_iter().chain(0..self.words.len());
            for (word, offset) in order.filter_map(|index| self.words.get(index)) {
                let Some(start) = found.start().checked_sub(*offset).filter(|start| *start >= from) else { continue };
                let end = start + word.len();
                if text.get(start..end).is_some_and(|found| found.eq_ignore_ascii_case(word.as_bytes())) {
                    return Some((start, end));
                }
            }
            at = found.start() + 1;
        }
    }
}

/// How rare bytes are in logs: the sum over them, more for rarer ones.
fn rarity(bytes: &[u8]) -> u32 {
    const COMMON: &[u8] = b"etaoinsrhldcumfpgwybvkxjqz";
    let of = |byte: &u8| match byte.to_ascii_lowercase() {
        letter @ b'a'..=b'z' => COMMON.iter().position(|known| *known == letter).map_or(0, |at| at as u32 + 2),
        b'0'..=b'9' | b' ' | b'"' | b':' | b'=' | b',' | b'.' | b'-' | b'/' => 1,
        _ => 40,
    };
    bytes.iter().map(of).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(list: &[&str]) -> Vec<String> {
        list.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn finds_words_in_any_case() {
        let search = Search::new(&words(&["error", "warning"]), true).unwrap();
        assert_eq!(search.find("an ERRor", 0), Some((3, 8)));
        assert_eq!(search.find("an ERRor", 4), None);
        assert_eq!(search.find("Warn WARNING", 0), Some((5, 12)));
        assert_eq!(search.min_len(), 5);
    }

    proptest! {
        #[test]
        fn finds_what_a_plain_search_finds(
            list in prop::collection::vec("[abAB]{1,6}", 1..12), text in "[abABc ]{0,60}", ignore in any::<bool>(),
        ) {
            let search = Search::new(&list, ignore).unwrap();
            let fold = |text: &str| if ignore { text.to_ascii_lowercase() } else { text.to_owned() };
            let (plain, folded) = (fold(&text), list.iter().map(|word| fold(word)).collect::<Vec<_>>());
            for at in 0..=text.len() {
                let want = folded.iter().filter_map(|word| plain[at..].find(word.as_str())).min().map(|found| found + at);
                let got = search.find(&text, at);
                if ignore && want.is_some() {
                    // The part searched for may be found in a later word first.
                    prop_assert!(got.is_some());
                } else {
                    prop_assert_eq!(got.map(|(start, _)| start), want);
                }
                if let Some((start, end)) = got {
                    prop_assert!(start >= at && folded.iter().any(|word| *word == plain[start..end]));
                }
            }
        }
    }
}
