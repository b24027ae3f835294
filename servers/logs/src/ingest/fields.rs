//! Values of named fields in JSON and logfmt lines, found by scanning: no tree is built.
//!
//! The scanner is forgiving: it stops where a line stops being JSON and answers with what it saw until then. Its depth is
//! bounded.

use std::borrow::Cow;

/// Objects inside objects that are looked into when no depth is given.
const MAX_DEPTH: usize = 64;

/// Whether a line begins and ends as a JSON object does.
pub(crate) fn is_json(line: &str) -> bool {
    let trimmed = line.trim();
    trimmed.starts_with('{') && trimmed.ends_with('}')
}

/// Whether a line may hold `key=value`.
pub(crate) fn is_logfmt(line: &str) -> bool {
    memchr_eq(line.as_bytes()).is_some()
}

fn memchr_eq(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|b| *b == b'=')
}

/// The value of the first string among the keys, searched depth first up to `max_depth` levels of objects (0: all).
pub(crate) fn json_level<'a>(line: &'a str, fields: &[String], max_depth: usize) -> Option<Cow<'a, str>> {
    let limit = if max_depth == 0 { MAX_DEPTH } else { max_depth.min(MAX_DEPTH) };
    let mut scan = Scan { bytes: line.as_bytes(), at: 0, text: line };
    scan.blanks();
    scan.object(limit, &|key| fields.iter().any(|field| field == key))
}

/// The value at the first of the paths that is there: names parted by dots, from the top.
pub(crate) fn json_value<'a>(line: &'a str, paths: &[String]) -> Option<Cow<'a, str>> {
    paths.iter().find_map(|path| {
        let mut scan = Scan { bytes: line.as_bytes(), at: 0, text: line };
        scan.blanks();
        scan.path(&mut path.split('.'))
    })
}

/// The value of the first of the names that a logfmt line has, in any case; a name earlier in the list wins.
pub(crate) fn logfmt_value<'a>(line: &'a str, names: &[String]) -> Option<Cow<'a, str>> {
    let mut best: Option<(usize, Cow<'a, str>)> = None;
    let bytes = line.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        // Blanks and what cannot begin a key.
        if bytes[at] <= b' ' || matches!(bytes[at], b'=' | b'"') {
            at += 1;
            continue;
        }
        let start = at;
        while at < bytes.len() && bytes[at] > b' ' && !matches!(bytes[at], b'=' | b'"') {
            at += 1;
        }
        let key = line.get(start..at).unwrap_or("");
        if bytes.get(at) != Some(&b'=') {
            continue;
        }
        at += 1;
        let value: Cow<'a, str> = if bytes.get(at) == Some(&b'"') {
            let begin = at + 1;
            let Some(end) = string_end(bytes, begin) else { break };
            at = end + 1;
            unescape(line.get(begin..end).unwrap_or(""))
        } else {
            let begin = at;
            while at < bytes.len() && bytes[at] > b' ' {
                at += 1;
            }
            Cow::Borrowed(line.get(begin..at).unwrap_or(""))
        };
        let rank = names.iter().position(|name| name.eq_ignore_ascii_case(key));
        if let Some(rank) = rank.filter(|rank| best.as_ref().is_none_or(|(known, _)| rank < known)) {
            if rank == 0 {
                return Some(value);
            }
            best = Some((rank, value));
        }
    }
    best.map(|(_, value)| value)
}

/// Where the string ends that begins at `at`: its closing quote.
fn string_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// The text of a JSON or logfmt string without its quotes.
fn unescape(raw: &str) -> Cow<'_, str> {
    if !raw.contains('\\') {
        return Cow::Borrowed(raw);
    }
    match serde_json::from_str::<String>(&format!("\"{raw}\"")) {
        Ok(text) => Cow::Owned(text),
        Err(_) => Cow::Borrowed(raw),
    }
}

struct Scan<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    fn blanks(&mut self) {
        while self.bytes.get(self.at).is_some_and(|b| b.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        self.blanks();
        let there = self.bytes.get(self.at) == Some(&byte);
        self.at += usize::from(there);
        there
    }

    /// The string whose opening quote comes next.
    fn string(&mut self) -> Option<Cow<'a, str>> {
        if !self.eat(b'"') {
            return None;
        }
        let end = string_end(self.bytes, self.at)?;
        let raw = self.text.get(self.at..end)?;
        self.at = end + 1;
        Some(unescape(raw))
    }

    /// The first string under a wanted key in the object that comes next, and in objects in it.
    fn object(&mut self, depth: usize, wanted: &dyn Fn(&str) -> bool) -> Option<Cow<'a, str>> {
        if !self.eat(b'{') {
            return None;
        }
        loop {
            self.blanks();
            if self.bytes.get(self.at) == Some(&b'}') {
                self.at += 1;
                return None;
            }
            let key = self.string()?;
            if !self.eat(b':') {
                return None;
            }
            self.blanks();
            match self.bytes.get(self.at)? {
                b'"' => {
                    let value = self.string()?;
                    if wanted(&key) {
                        return Some(value);
                    }
                }
                b'{' if depth > 1 => {
                    if let Some(found) = self.object(depth - 1, wanted) {
                        return Some(found);
                    }
                }
                _ => self.skip()?,
            }
            if !self.eat(b',') {
                self.eat(b'}');
                return None;
            }
        }
    }

    /// The value at a path of the object that comes next, as text.
    fn path(&mut self, path: &mut dyn Iterator<Item = &str>) -> Option<Cow<'a, str>> {
        let mut wanted = path.next()?;
        loop {
            if !self.eat(b'{') {
                return None;
            }
            loop {
                let key = self.string()?;
                if !self.eat(b':') {
                    return None;
                }
                self.blanks();
                if key == wanted {
                    break;
                }
                self.skip()?;
                if !self.eat(b',') {
                    return None;
                }
            }
            match path.next() {
                Some(next) => wanted = next,
                None if self.bytes.get(self.at) == Some(&b'"') => return self.string(),
                None => {
                    let begin = self.at;
                    self.skip()?;
                    return self.text.get(begin..self.at).map(|text| Cow::Borrowed(text.trim()));
                }
            }
        }
    }

    /// Steps over the value that comes next.
    fn skip(&mut self) -> Option<()> {
        let mut depth = 0usize;
        loop {
            match self.bytes.get(self.at)? {
                b'"' => self.at = string_end(self.bytes, self.at + 1)? + 1,
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' if depth == 0 => return Some(()),
                b'}' | b']' => {
                    depth -= 1;
                    self.at += 1;
                }
                b',' if depth == 0 => return Some(()),
                _ => self.at += 1,
            }
            if depth == 0 && matches!(self.bytes.get(self.at - 1), Some(b'}' | b']' | b'"')) {
                return Some(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|s| (*s).to_owned()).collect()
    }

    #[test]
    fn finds_values_at_paths() {
        let line = r#"{"a":{"b":[1,{"c":"}"}],"d":"x\ty"},"e":1.5,"f":null,"g":true}"#;
        let cases = [
            (&["a.d"][..], Some("x\ty")),
            (&["e"], Some("1.5")),
            (&["zz", "g"], Some("true")),
            (&["a.b"], Some(r#"[1,{"c":"}"}]"#)),
            (&["a.zz"], None),
            (&["e.x"], None),
        ];
        for (paths, want) in cases {
            assert_eq!(json_value(line, &names(paths)).as_deref(), want, "{paths:?}");
        }
    }

    #[test]
    fn finds_logfmt_values() {
        let line = r#"ts=1 msg="a \"b\" c=d" Trace_ID=x empty= last=z"#;
        let cases = [
            (&["msg"][..], Some("a \"b\" c=d")),
            (&["trace_id"], Some("x")),
            (&["empty"], Some("")),
            (&["last", "ts"], Some("z")),
            (&["c"], None),
        ];
        for (wanted, want) in cases {
            assert_eq!(logfmt_value(line, &names(wanted)).as_deref(), want, "{wanted:?}");
        }
    }

    #[test]
    fn damaged_lines_end_the_search_quietly() {
        let line = r#"{"a":{"level":"x"},"b":[1,2,{"c":"d"}],"e":"\u00e9"}"#;
        for end in (0..line.len()).filter(|end| line.is_char_boundary(*end)) {
            let cut = &line[..end];
            let _ = json_level(cut, &names(&["zz"]), 0);
            let _ = json_value(cut, &names(&["b.c", "e"]));
            let _ = logfmt_value(cut, &names(&["a"]));
        }
        let deep = "{\"a\":".repeat(100_000);
        assert_eq!(json_level(&deep, &names(&["zz"]), 0), None);
    }
}
