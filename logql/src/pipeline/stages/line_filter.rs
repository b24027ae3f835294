//! `|= "text"`, `!~ "regex"`, `|> "pattern"`, `|= ip("10.0.0.0/8")`: filters that look at the line alone.

use memchr::memmem::Finder;
use model::regex::{Flags, GoRegex, RegexError, RequiredLiteral};

use crate::pattern::{Pattern, PatternError};
use crate::pipeline::search::Search;
use crate::syntax::ast::{LineFilter, LineOp};
use crate::units::ip::IpPattern;

/// A compiled line filter.
#[derive(Clone)]
pub(crate) struct LineTest {
    negative: bool,
    test: Test,
}

#[derive(Clone)]
enum Test {
    Always,
    Contains(Box<Finder<'static>>),
    ContainsAny(Search, Vec<String>),
    /// Texts in lower case, in any spelling.
    ContainsFolded(Vec<String>),
    /// The same for texts whose letters ASCII alone can spell.
    ContainsSpelled(Search),
    Regex(GoRegex),
    Pattern(Box<Pattern>),
    Ip(IpPattern),
    Any(Vec<Test>),
}

/// Why a filter cannot be compiled.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum LineFilterError {
    #[error(transparent)]
    Regex(#[from] RegexError),
    #[error(transparent)]
    Pattern(#[from] PatternError),
    #[error("ip: invalid pattern: {}", model::number::quote(.0))]
    Ip(String),
    #[error("ip: invalid operation")]
    IpOperation,
    #[error("too many texts to look for: {0}")]
    TooLarge(usize),
}

impl LineTest {
    pub(crate) fn new(filter: &LineFilter) -> Result<Self, LineFilterError> {
        let mut tests = Vec::new();
        let mut texts = Vec::new();
        for alternative in &filter.alternatives {
            let text = alternative.text.as_str();
            let test = match filter.op {
                LineOp::Contains | LineOp::NotContains if alternative.ip => {
                    Test::Ip(IpPattern::parse(text).ok_or_else(|| LineFilterError::Ip(text.to_owned()))?)
                }
                _ if alternative.ip => return Err(LineFilterError::IpOperation),
                LineOp::Contains | LineOp::NotContains if text.is_empty() => Test::Always,
                LineOp::Contains | LineOp::NotContains => {
                    texts.push(text.to_owned());
                    continue;
                }
                LineOp::Regex | LineOp::NotRegex if matches!(text, "" | ".*" | "(.*)" | "()" | "(?:)") => {
                    // Compiling it would tell whether it is one; these are.
                    Test::Always
                }
                LineOp::Regex | LineOp::NotRegex => {
                    let regex = GoRegex::new(text, Flags::SEARCH)?;
                    folded_texts(text).map_or(Test::Regex(regex), Test::folded)
                }
                LineOp::Pattern | LineOp::NotPattern => Test::Pattern(Box::new(Pattern::filter(text)?)),
            };
            tests.push(test);
        }
        match texts.len() {
            0 => {}
            1 => tests.extend(texts.pop().map(|text| Test::Contains(Box::new(Finder::new(&text).into_owned())))),
            _ => {
                let search = Search::new(&texts, false).ok_or(LineFilterError::TooLarge(texts.len()))?;
                tests.push(Test::ContainsAny(search, texts));
            }
        }
        // Beside another alternative, one that lets every line pass counts for nothing.
        if tests.len() > 1 && tests.iter().any(|test| !matches!(test, Test::Always)) {
            tests.retain(|test| !matches!(test, Test::Always));
        }
        let test = if tests.len() == 1 { tests.swap_remove(0) } else { Test::Any(tests) };
        let test = if matches!(&test, Test::Any(all) if all.iter().all(|t| matches!(t, Test::Always))) {
            Test::Always
        } else {
            test
        };
        Ok(Self { negative: filter.op.is_negative(), test })
    }

    /// Whether every line passes.
    pub(crate) fn passes_all(&self) -> bool {
        !self.negative && matches!(self.test, Test::Always)
    }

    /// The lower, the earlier it should be tested.
    pub(crate) fn cost(&self) -> u8 {
        match &self.test {
            Test::Always | Test::Contains(_) => 0,
            Test::ContainsAny(..) | Test::ContainsFolded(_) | Test::ContainsSpelled(_) | Test::Pattern(_) => 1,
            Test::Regex(_) | Test::Ip(_) | Test::Any(_) => 2,
        }
    }

    /// Whether a line passes.
    #[inline]
    pub(crate) fn test(&self, line: &str) -> bool {
        self.test.holds(line) != self.negative
    }

    /// Texts of which a line must contain at least one to pass; `None` when there is no such list.
    pub(crate) fn needles(&self) -> Option<Vec<String>> {
        if self.negative { None } else { self.test.needles() }
    }

    /// Further lists like [`Self::needles`], each of which must be met too.
    pub(crate) fn more_needles(&self) -> Vec<Vec<String>> {
        match &self.test {
            Test::Regex(regex) if !self.negative => {
                let literals = regex.required_literals().iter();
                literals.filter(|l| !l.ignore_ascii_case).map(|l| l.any_of.clone()).skip(1).collect()
            }
            Test::Pattern(pattern) if !self.negative => {
                pattern.literals().skip(1).filter_map(|l| Some(vec![std::str::from_utf8(l).ok()?.to_owned()])).collect()
            }
            _ => Vec::new(),
        }
    }

    /// What to search whole buffers for: a line that passes contains one of the words; when the flag is set, any line that
    /// does passes.
    pub(crate) fn search(&self) -> Option<(Search, bool)> {
        if self.negative {
            return None;
        }
        let search = |words: &[String], ignore_case| Some((Search::new(words, ignore_case)?, false));
        match &self.test {
            Test::Contains(finder) => {
                let word = std::str::from_utf8(finder.needle()).ok()?.to_owned();
                Some((Search::new(&[word], false)?, true))
            }
            Test::ContainsAny(search, _) | Test::ContainsSpelled(search) => Some((search.clone(), true)),
            // A letter of another alphabet may stand for one of these in lower case: the search has to be for less.
            Test::ContainsFolded(texts) => {
                let parts: Option<Vec<String>> = texts.iter().map(|text| unambiguous(text)).collect();
                search(&parts?, true)
            }
            Test::Regex(regex) => {
                let strength = |l: &&RequiredLiteral| l.any_of.iter().map(String::len).min();
                let literal = regex.required_literals().iter().max_by_key(strength)?;
                search(&literal.any_of, literal.ignore_ascii_case)
            }
            Test::Pattern(pattern) => {
                let longest = pattern.literals().max_by_key(|l| l.len())?;
                search(&[std::str::from_utf8(longest).ok()?.to_owned()], false)
            }
            _ => None,
        }
    }
}

impl Test {
    fn folded(texts: Vec<String>) -> Self {
        let spelled = texts.iter().all(|text| unambiguous(text).as_ref() == Some(text));
        match Search::new(&texts, true).filter(|_| spelled) {
            Some(search) => Self::ContainsSpelled(search),
            None => Self::ContainsFolded(texts),
        }
    }

    #[inline]
    fn holds(&self, line: &str) -> bool {
        match self {
            Self::Always => true,
            Self::Contains(finder) => finder.find(line.as_bytes()).is_some(),
            Self::ContainsAny(search, _) | Self::ContainsSpelled(search) => search.is_in(line),
            Self::ContainsFolded(texts) => texts.iter().any(|text| contains_folded(line, text)),
            Self::Regex(regex) => regex.is_match(line),
            Self::Pattern(pattern) => pattern.is_match(line),
            Self::Ip(pattern) => pattern.found_in(line),
            Self::Any(tests) => tests.iter().any(|test| test.holds(line)),
        }
    }

    fn needles(&self) -> Option<Vec<String>> {
        match self {
            Self::Always | Self::Ip(_) | Self::ContainsFolded(_) | Self::ContainsSpelled(_) => None,
            Self::Contains(finder) => Some(vec![std::str::from_utf8(finder.needle()).ok()?.to_owned()]),
            Self::ContainsAny(_, texts) => Some(texts.clone()),
            Self::Regex(regex) => {
                let literal = regex.required_literals().iter().find(|l| !l.ignore_ascii_case)?;
                Some(literal.any_of.clone())
            }
            Self::Pattern(pattern) => Some(vec![std::str::from_utf8(pattern.literals().next()?).ok()?.to_owned()]),
            Self::Any(tests) => {
                let lists: Option<Vec<_>> = tests.iter().map(Self::needles).collect();
                Some(lists?.concat())
            }
        }
    }
}

/// The texts of `(?i)a|b`, each perhaps with `.*` around it, in lower case; `None` for any other expression.
///
/// The reference looks for these without the engine, and its way of ignoring case is not quite the engine's: `ſ` is no
/// spelling of `s`, and a text is only found where its first byte is the same, ASCII letters aside.
fn folded_texts(regex: &str) -> Option<Vec<String>> {
    let inner = regex.strip_prefix("(?i)")?;
    let inner = inner.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).unwrap_or(inner);
    let inner = inner.strip_prefix("?:").unwrap_or(inner);
    inner.split('|').map(folded_text).collect()
}

fn folded_text(part: &str) -> Option<String> {
    let part = part.strip_prefix(".*").unwrap_or(part);
    let part = part.strip_suffix(".*").unwrap_or(part);
    let mut text = String::new();
    let mut chars = part.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => text.push(chars.next().filter(char::is_ascii_punctuation)?),
            '.' | '*' | '+' | '?' | '(' | ')' | '[' | ']' | '{' | '}' | '^' | '$' => return None,
            c => text.push(to_lower(c)),
        }
    }
    (!text.is_empty()).then_some(text)
}

/// One character in lower case, as one character.
fn to_lower(c: char) -> char {
    match c {
        // Full case mapping would add a dot above.
        'İ' => 'i',
        c => {
            let mut lower = c.to_lowercase();
            lower.next().filter(|_| lower.next().is_none()).unwrap_or(c)
        }
    }
}

/// Whether `line` contains `text`, which is in lower case, in any spelling.
fn contains_folded(line: &str, text: &str) -> bool {
    let (line_bytes, first) = (line.as_bytes(), text.as_bytes()[0]);
    let Some(last) = line.len().checked_sub(text.len()) else { return false };
    let mut at = 0;
    while at <= last {
        let Some(found) = memchr::memchr2(first, first.to_ascii_uppercase(), &line_bytes[at..=last]) else {
            return false;
        };
        at += found;
        if line.get(at..).is_some_and(|rest| starts_folded(rest, text)) {
            return true;
        }
        at += 1;
    }
    false
}

fn starts_folded(line: &str, text: &str) -> bool {
    let mut chars = line.chars();
    text.chars().all(|wanted| chars.next().is_some_and(|c| to_lower(c) == wanted))
}

/// The longest run of ASCII characters of a text in lower case that only ASCII spells.
fn unambiguous(text: &str) -> Option<String> {
    let runs = text.split(|c: char| !c.is_ascii() || matches!(c, 'i' | 'k'));
    // The first character is spelled in ASCII, whatever it is.
    let longest = runs.max_by_key(|run| run.len()).filter(|run| run.len() >= 2)?;
    Some(longest.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::ast::LineAlternative;

    fn passes(op: LineOp, texts: &[&str], line: &str) -> bool {
        let alternatives = texts.iter().map(|text| LineAlternative { text: (*text).to_owned(), ip: false }).collect();
        LineTest::new(&LineFilter { op, alternatives }).unwrap().test(line)
    }

    #[test]
    fn compares_as_the_reference_does() {
        let cases: [(LineOp, &[&str], &str, bool); 18] = [
            (LineOp::Contains, &["b"], "abc", true),
            (LineOp::Contains, &["x", "b"], "abc", true),
            (LineOp::Contains, &["x", ""], "abc", false),
            (LineOp::Contains, &["", ""], "abc", true),
            (LineOp::NotContains, &[""], "abc", false),
            (LineOp::NotContains, &["x"], "abc", true),
            (LineOp::Regex, &["^b"], "abc", false),
            (LineOp::Regex, &["a.c"], "a\nc", false),
            (LineOp::Regex, &["(?s)a.c"], "a\nc", true),
            (LineOp::Regex, &["x", ".*"], "abc", false),
            (LineOp::NotRegex, &[".*"], "", false),
            (LineOp::Regex, &["(?i)ERROR|warn"], "an Error", true),
            (LineOp::Regex, &["(?i)İSTANBUL"], "İstanbul", false),
            (LineOp::Regex, &["(?i)istanbul"], "ISTANBUL", true),
            (LineOp::Regex, &["(?i)s"], "ſ", false),
            (LineOp::Regex, &["(?i)é"], "É", true),
            (LineOp::Regex, &["(?i)[s]"], "ſ", true),
            (LineOp::Pattern, &["<_> x"], "a x", true),
        ];
        for (op, texts, line, want) in cases {
            assert_eq!(passes(op, texts, line), want, "{} {texts:?} on {line:?}", op.as_str());
        }
    }

    #[test]
    fn knows_what_lines_must_contain() {
        let filter = |op, text: &str| LineFilter {
            op,
            alternatives: vec![LineAlternative { text: text.to_owned(), ip: false }],
        };
        let needles = |op, text: &str| {
            let test = LineTest::new(&filter(op, text)).unwrap();
            let mut all: Vec<Vec<String>> = test.needles().into_iter().collect();
            all.extend(test.more_needles());
            all
        };
        assert_eq!(needles(LineOp::Contains, "abc"), [["abc"]]);
        assert_eq!(needles(LineOp::NotContains, "abc"), [[""; 0]; 0]);
        assert_eq!(needles(LineOp::Regex, "foo.*bar"), [["foo"], ["bar"]]);
        assert_eq!(needles(LineOp::Regex, "foo|bar"), [["bar", "foo"]]);
        assert_eq!(needles(LineOp::Regex, "(?i)foo"), [[""; 0]; 0]);
        assert_eq!(needles(LineOp::Pattern, "GET <_> 500"), [["GET "], [" 500"]]);
    }
}
