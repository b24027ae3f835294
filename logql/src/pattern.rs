//! Patterns of captures and literals: `<ip> - <_> [<time>]`, for `| pattern` and the line filters `|>` and `!>`.
//!
//! Between literals stand captures, `<name>` or `<_>`. The parser cuts a line at the literals; the filter asks whether
//! the whole line has the form, each capture being at least one byte long.

use memchr::memmem;

/// A text is not a pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PatternError {
    /// The text is empty.
    #[error("parse error at line 1, col 1: syntax error: unexpected $end, expecting IDENTIFIER or LITERAL")]
    Empty,
    /// Nothing to extract.
    #[error("at least one capture is required")]
    NoCapture,
    /// Nothing says where the first of two captures ends.
    #[error("found consecutive capture '{0}': invalid expression")]
    Consecutive(String),
    /// Two captures of one name.
    #[error("duplicate capture name ({0}): invalid expression")]
    Duplicate(String),
    /// A filter has no use for names.
    #[error("named captures are not allowed: found '{0}'")]
    Named(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    Capture(String),
    Literal(String),
}

/// A compiled pattern.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    nodes: Vec<Part>,
    names: Vec<String>,
}

#[derive(Clone, Debug)]
enum Part {
    /// Whether the text is wanted.
    Capture(bool),
    Literal(Box<memmem::Finder<'static>>),
}

const UNNAMED: &str = "_";

impl Pattern {
    /// A pattern that extracts: at least one named capture, no two next to each other, names unique.
    ///
    /// # Errors
    /// When the text is not of that form.
    pub(crate) fn parser(text: &str) -> Result<Self, PatternError> {
        let nodes = read(text);
        if nodes.is_empty() {
            return Err(PatternError::Empty);
        }
        let names: Vec<String> = named(&nodes).map(str::to_owned).collect();
        if names.is_empty() {
            return Err(PatternError::NoCapture);
        }
        refuse_consecutive(&nodes)?;
        for (i, name) in names.iter().enumerate() {
            if names[..i].contains(name) {
                return Err(PatternError::Duplicate(name.clone()));
            }
        }
        Ok(Self::compile(nodes, names))
    }

    /// A pattern that filters: captures without names, no two next to each other. An empty one fits empty lines.
    ///
    /// # Errors
    /// When the text is not of that form.
    pub(crate) fn filter(text: &str) -> Result<Self, PatternError> {
        let nodes = read(text);
        refuse_consecutive(&nodes)?;
        if let Some(name) = named(&nodes).next() {
            return Err(PatternError::Named(format!("<{name}>")));
        }
        Ok(Self::compile(nodes, Vec::new()))
    }

    fn compile(nodes: Vec<Node>, names: Vec<String>) -> Self {
        let nodes = nodes
            .into_iter()
            .map(|node| match node {
                Node::Capture(name) => Part::Capture(name != UNNAMED),
                Node::Literal(text) => Part::Literal(Box::new(memmem::Finder::new(text.as_bytes()).into_owned())),
            })
            .collect();
        Self { nodes, names }
    }

    /// Names of the captures, in the order of [`Self::extract`].
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// The literals, in order: a line that matches contains all of them.
    pub(crate) fn literals(&self) -> impl Iterator<Item = &[u8]> {
        self.nodes.iter().filter_map(|part| match part {
            Part::Literal(finder) => Some(finder.needle()),
            Part::Capture(_) => None,
        })
    }

    /// Calls `capture` with the index and byte range of each named capture, until a literal is missing: then the rest
    /// of the line goes to the capture before it. A pattern that begins with a literal wants it at the start.
    pub(crate) fn extract(&self, line: &str, mut capture: impl FnMut(usize, usize, usize) -> bool) {
        let bytes = line.as_bytes();
        if bytes.is_empty() {
            return;
        }
        let mut nodes = self.nodes.as_slice();
        let mut at = 0;
        if let Some((Part::Literal(first), rest)) = nodes.split_first() {
            if !bytes.starts_with(first.needle()) {
                return;
            }
            at = first.needle().len();
            nodes = rest;
        }
        let mut index = 0;
        while let Some((Part::Capture(wanted), rest)) = nodes.split_first() {
            let (end, next, complete) = match rest.first() {
                Some(Part::Literal(literal)) => match literal.find(&bytes[at..]) {
                    Some(found) => (at + found, at + found + literal.needle().len(), true),
                    None => (bytes.len(), bytes.len(), false),
                },
                _ => (bytes.len(), bytes.len(), false),
            };
            if *wanted {
                if !capture(index, at, end) {
                    return;
                }
                index += 1;
            }
            if !complete {
                return;
            }
            at = next;
            nodes = rest.get(1..).unwrap_or(&[]);
        }
    }

    /// Whether the whole line has the form of the pattern.
    pub(crate) fn is_match(&self, line: &str) -> bool {
        let bytes = line.as_bytes();
        let Some(last) = self.nodes.last() else { return bytes.is_empty() };
        if bytes.is_empty() {
            return false;
        }
        let mut at = 0;
        for (i, part) in self.nodes.iter().enumerate() {
            let Part::Literal(literal) = part else { continue };
            match literal.find(&bytes[at..]) {
                None => return false,
                // Nothing is left for the capture before.
                Some(0) if i > 0 => return false,
                Some(found) => at += found + literal.needle().len(),
            }
        }
        matches!(last, Part::Capture(_)) == (at < bytes.len())
    }
}

fn named(nodes: &[Node]) -> impl Iterator<Item = &str> {
    nodes.iter().filter_map(|node| match node {
        Node::Capture(name) if name != UNNAMED => Some(name.as_str()),
        _ => None,
    })
}

fn refuse_consecutive(nodes: &[Node]) -> Result<(), PatternError> {
    for pair in nodes.windows(2) {
        if let [Node::Capture(a), Node::Capture(b)] = pair {
            return Err(PatternError::Consecutive(format!("<{a}><{b}>")));
        }
    }
    Ok(())
}

fn read(text: &str) -> Vec<Node> {
    let mut nodes = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some(name) = capture_name(rest) {
            nodes.push(Node::Capture(name.to_owned()));
            rest = &rest[name.len() + 2..];
            continue;
        }
        match nodes.last_mut() {
            Some(Node::Literal(literal)) => literal.push(first),
            _ => nodes.push(Node::Literal(first.to_string())),
        }
        rest = &rest[first.len_utf8()..];
    }
    nodes
}

fn capture_name(text: &str) -> Option<&str> {
    let (name, _) = text.strip_prefix('<')?.split_once('>')?;
    model::labels::is_label_identifier(name).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extract<'a>(pattern: &str, line: &'a str) -> Vec<(String, &'a str)> {
        let pattern = Pattern::parser(pattern).unwrap();
        let mut found = Vec::new();
        pattern.extract(line, |i, start, end| {
            found.push((pattern.names()[i].clone(), &line[start..end]));
            true
        });
        found
    }

    fn pairs<'a>(want: &[(&str, &'a str)]) -> Vec<(String, &'a str)> {
        want.iter().map(|(n, v)| ((*n).to_owned(), *v)).collect()
    }

    #[test]
    fn extracts_between_literals() {
        type Pairs = &'static [(&'static str, &'static str)];
        let cases: [(&str, &str, Pairs); 8] = [
            ("<ip> - <_> [<ts>]", "1.2.3.4 - kim [now] x", &[("ip", "1.2.3.4"), ("ts", "now")]),
            ("<a>", "all of it", &[("a", "all of it")]),
            ("a<b>", "xa1", &[]),
            ("a<b>", "a1", &[("b", "1")]),
            ("<a>,<b>;<c>", "1,2", &[("a", "1"), ("b", "2")]),
            ("<a> <_>", "one", &[("a", "one")]),
            ("<a> <b>", "", &[]),
            ("<a <b>", "<a x", &[("b", "x")]),
        ];
        for (pattern, line, want) in cases {
            assert_eq!(extract(pattern, line), pairs(want), "{pattern} on {line}");
        }
    }

    #[test]
    fn refuses_with_the_references_words() {
        let cases = [
            ("no captures", "at least one capture is required"),
            ("<_>", "at least one capture is required"),
            ("<a><b>", "found consecutive capture '<a><b>': invalid expression"),
            ("<a> <a>", "duplicate capture name (a): invalid expression"),
        ];
        for (pattern, want) in cases {
            assert_eq!(Pattern::parser(pattern).unwrap_err().to_string(), want);
        }
        assert_eq!(Pattern::filter("<a> x").unwrap_err().to_string(), "named captures are not allowed: found '<a>'");
    }

    #[test]
    fn filters_whole_lines() {
        let cases = [
            ("", "", true),
            ("", "x", false),
            ("foo <_>", "foo bar", true),
            ("foo <_>", "foo ", false),
            ("<_> bar", "foo bar baz", false),
            ("<_> baz", "foo bar baz", true),
            ("<_> bar <_>", " bar ", false),
            ("<_>bar<_>", " bar ", true),
            ("<_>", "x", true),
            ("exact", "exact", true),
            // A literal at the front is only looked for, as the reference does.
            ("xact", "exact", true),
        ];
        for (pattern, line, want) in cases {
            assert_eq!(Pattern::filter(pattern).unwrap().is_match(line), want, "{pattern} on {line}");
        }
    }
}
