//! Which part of a line a parser needs, when only some labels are wanted of it.
//!
//! A store that keeps lines as a shape with gaps asks for each shape ([`model::Shorten`]). The shape is read by the rules of the
//! parser, strictly: an object of JSON, or pairs of logfmt, in which every gap is a value or a part of a string. Members whose
//! label nobody wants are left out, objects and arrays as a whole or not at all. Of the gaps it is demanded that they end where the shape says, and (JSON) that they are values at
//! all; then the parser meets no error in the whole line, and of what is left it makes the same labels in the same order.
//! For every other shape lines are wanted whole.

use model::{GAP, GapClass, Shortened};

use super::names::{Names, SUFFIX, sanitize_label_name};
use super::stages::Stage;

/// Deepest nesting of objects and arrays.
const MAX_DEPTH: usize = 16;

/// What is left of lines for one parser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shortener {
    syntax: Syntax,
    wanted: Wanted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Syntax {
    Json,
    Logfmt,
}

/// The keys that are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    /// Those with these names.
    Keys(Vec<String>),
    /// Those that become these labels.
    Labels(Vec<String>),
}

impl Wanted {
    fn has(&self, member: &Member<'_>) -> bool {
        match self {
            Self::Keys(keys) => keys.iter().any(|wanted| wanted == member.key),
            Self::Labels(labels) => {
                let name = sanitize_label_name(member.key);
                if member.nested {
                    // Labels from inside begin with it; where the key is blank they may have any name.
                    return labels.iter().any(|wanted| wanted.starts_with(&name));
                }
                labels.iter().any(|wanted| *wanted == name || wanted.strip_suffix(SUFFIX) == Some(&name))
            }
        }
    }
}

impl Shortener {
    /// For stages of which one parses the line and no other looks at it. `names` know which labels are wanted.
    pub(crate) fn new(stages: &[Stage], names: &Names) -> Option<Self> {
        let mut found = None;
        for stage in stages {
            if matches!(stage, Stage::LabelFilter(_) | Stage::Drop(_) | Stage::Keep(_)) {
                continue;
            }
            if found.is_some() {
                return None;
            }
            found = Some(stage);
        }
        // No names: all labels are wanted.
        let labels = || {
            let labels: Vec<String> = names.wanted_names().map(str::to_owned).collect();
            (!labels.is_empty()).then_some(Wanted::Labels(labels))
        };
        let (syntax, wanted) = match found? {
            Stage::Json(_) => (Syntax::Json, labels()?),
            Stage::JsonFields(stage) => (Syntax::Json, Wanted::Keys(stage.first_keys().map(str::to_owned).collect())),
            Stage::Logfmt(stage) if !stage.is_strict() => (Syntax::Logfmt, labels()?),
            Stage::LogfmtFields(stage) if !stage.is_strict() => {
                let labels = stage.labels().map(|label| names.text(label).to_owned());
                (Syntax::Logfmt, Wanted::Labels(labels.collect()))
            }
            _ => return None,
        };
        Some(Self { syntax, wanted })
    }
}

impl model::Shorten for Shortener {
    fn shorten(&self, shape: &[u8]) -> Option<Shortened> {
        let mut reader = Reader { shape, at: 0, gap: 0, needs: Vec::new(), members: Vec::new() };
        match self.syntax {
            Syntax::Json => reader.json()?,
            Syntax::Logfmt => reader.logfmt()?,
        }
        let Reader { needs, members, .. } = reader;
        let kept: Vec<&Member<'_>> = members.iter().filter(|member| self.wanted.has(member)).collect();
        if kept.len() == members.len() {
            return None;
        }
        let (begin, between, end) = match self.syntax {
            Syntax::Json => ("{", ",", "}"),
            Syntax::Logfmt => ("", " ", ""),
        };
        let mut short = Shortened { texts: Vec::new(), gaps: Vec::new(), needs };
        let mut text = begin.as_bytes().to_vec();
        for (number, member) in kept.into_iter().enumerate() {
            if number > 0 {
                text.extend_from_slice(between.as_bytes());
            }
            let mut gap = member.first_gap;
            for byte in member.text {
                if *byte == GAP {
                    short.texts.push(std::mem::take(&mut text));
                    short.gaps.push(gap);
                    gap += 1;
                } else {
                    text.push(*byte);
                }
            }
        }
        text.extend_from_slice(end.as_bytes());
        short.texts.push(text);
        Some(short)
    }
}

/// A key and its value in a shape.
struct Member<'s> {
    key: &'s str,
    text: &'s [u8],
    first_gap: usize,
    /// An object or array.
    nested: bool,
}

/// Reads a shape; everything out of the ordinary is `None`.
struct Reader<'s> {
    shape: &'s [u8],
    at: usize,
    /// Gaps that were passed.
    gap: usize,
    needs: Vec<(usize, GapClass)>,
    members: Vec<Member<'s>>,
}

impl<'s> Reader<'s> {
    fn peek(&self) -> Option<u8> {
        self.shape.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn take_gap(&mut self, class: GapClass) {
        self.needs.push((self.gap, class));
        self.gap += 1;
        self.at += 1;
    }

    fn skip(&mut self, is_space: impl Fn(u8) -> bool) {
        while self.peek().is_some_and(&is_space) {
            self.at += 1;
        }
    }

    /// An object and nothing behind it. Space before it is an error to one of the parsers.
    fn json(&mut self) -> Option<()> {
        self.object(0)?;
        self.skip(is_json_space);
        (self.at == self.shape.len()).then_some(())
    }

    /// An object; the members of the outermost one are noted.
    fn object(&mut self, depth: usize) -> Option<()> {
        self.list(b'{', b'}', |reader| {
            let (start, first_gap) = (reader.at, reader.gap);
            reader.take(b'"')?;
            let key = reader.text(|byte| byte == b'"')?;
            reader.take(b'"')?;
            reader.skip(is_json_space);
            reader.take(b':')?;
            reader.skip(is_json_space);
            let nested = matches!(reader.peek()?, b'{' | b'[');
            reader.value(depth + 1)?;
            if depth == 0 {
                reader.members.push(Member { key, text: reader.shape.get(start..reader.at)?, first_gap, nested });
            }
            Some(())
        })
    }

    fn value(&mut self, depth: usize) -> Option<()> {
        match self.peek()? {
            b'"' => self.quoted(),
            b'{' if depth < MAX_DEPTH => self.object(depth),
            b'[' if depth < MAX_DEPTH => self.list(b'[', b']', |reader| reader.value(depth + 1)),
            GAP => {
                self.take_gap(GapClass::Scalar);
                Some(())
            }
            _ => {
                let ends = |byte| is_json_space(byte) || matches!(byte, b',' | b'}' | b']');
                let value = self.text(ends)?;
                GapClass::Scalar.holds(value.as_bytes()).then_some(())
            }
        }
    }

    /// What stands between brackets, separated by commas.
    fn list(&mut self, open: u8, close: u8, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.take(open)?;
        self.skip(is_json_space);
        if self.take(close).is_some() {
            return Some(());
        }
        loop {
            item(self)?;
            self.skip(is_json_space);
            if self.take(close).is_some() {
                return Some(());
            }
            self.take(b',')?;
            self.skip(is_json_space);
        }
    }

    /// Pairs with a key each.
    fn logfmt(&mut self) -> Option<()> {
        let is_space = |byte| byte <= b' ';
        loop {
            self.skip(is_space);
            if self.peek().is_none() {
                return Some(());
            }
            let (start, first_gap) = (self.at, self.gap);
            let key = self.text(|byte| byte <= b' ' || byte == b'=')?;
            if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
                return None;
            }
            self.take(b'=')?;
            if self.peek() == Some(b'"') {
                self.quoted()?;
            } else {
                while let Some(byte) = self.peek().filter(|byte| *byte > b' ') {
                    match byte {
                        GAP => self.take_gap(GapClass::Word),
                        b'"' | b'=' => return None,
                        _ => self.at += 1,
                    }
                }
            }
            if self.peek().is_some_and(|byte| !is_space(byte)) {
                return None;
            }
            self.members.push(Member { key, text: self.shape.get(start..self.at)?, first_gap, nested: false });
        }
    }

    /// A string in quotes.
    fn quoted(&mut self) -> Option<()> {
        self.take(b'"')?;
        loop {
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Some(());
                }
                b'\\' => return None,
                GAP => self.take_gap(GapClass::Quoted),
                _ => self.at += 1,
            }
        }
    }

    /// Text without gap, quote or backslash up to what ends it, or to the end of the shape.
    fn text(&mut self, ends: impl Fn(u8) -> bool) -> Option<&'s str> {
        let start = self.at;
        while let Some(byte) = self.peek().filter(|byte| !ends(*byte)) {
            if matches!(byte, GAP | b'"' | b'\\') {
                return None;
            }
            self.at += 1;
        }
        std::str::from_utf8(self.shape.get(start..self.at)?).ok()
    }
}

fn is_json_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

#[cfg(test)]
mod tests {
    use model::Shorten;

    use super::*;

    fn shorten(syntax: Syntax, wanted: &[&str], shape: &str) -> Option<String> {
        let wanted = Wanted::Labels(wanted.iter().map(|w| (*w).to_owned()).collect());
        let shape: Vec<u8> = shape.bytes().map(|byte| if byte == b'_' { GAP } else { byte }).collect();
        let short = Shortener { syntax, wanted }.shorten(&shape)?;
        assert_eq!(short.texts.len(), short.gaps.len() + 1);
        let mut text = String::new();
        for (at, part) in short.texts.iter().enumerate() {
            text.push_str(std::str::from_utf8(part).unwrap());
            if let Some(gap) = short.gaps.get(at) {
                text.push_str(&format!("<{gap}>"));
            }
        }
        let class = |(_, class): &(usize, GapClass)| match class {
            GapClass::Quoted => 'q',
            GapClass::Scalar => 's',
            GapClass::Word => 'w',
        };
        Some(format!("{text} {}", short.needs.iter().map(class).collect::<String>()))
    }

    #[test]
    fn flat_objects_are_cut() {
        let cases = [
            (r#"{"ts":"_","status":_,"msg":"_"}"#, Some(r#"{"status":<1>} qsq"#)),
            (r#" {"a":_,"status":_}"#, None),
            (r#"{ "a b":"_" , "status" : "x_y_" } "#, Some(r#"{"status" : "x<1>y<2>"} qqq"#)),
            (r#"{"a":1,"status":_,"st-atus":_,"status":_}"#, Some(r#"{"status":<0>,"status":<2>} sss"#)),
            (r#"{"a":"_"}"#, Some("{} q")),
            (r#"{"status":_}"#, None),
            (r#"{"a":_,"n":{"status":_}}"#, Some(r#"{} ss"#)),
            (r#"{"a":_,"sta":{"tus":_}}"#, Some(r#"{"sta":{"tus":<1>}} ss"#)),
            (r#"{"a":[_, "_",[]],"status":_,"n":{}}"#, Some(r#"{"status":<2>} sqs"#)),
            (r#"{"a":[_,],"status":_}"#, None),
            (r#"{"a":[__],"status":_}"#, None),
            (r#"{"a":{_},"status":_}"#, None),
            (r#"{"a":{"b":_]},"status":_}"#, None),
            (r#"{" ":{"b":_},"a":1}"#, Some(r#"{" ":{"b":<0>}} s"#)),
            (r#"{"a":_,"status":_} x"#, None),
            (r#"{"a":_,"status":_,}"#, None),
            (r#"{"a":tru,"status":_}"#, None),
            (r#"{"a":__,"status":_}"#, None),
            (r#"{"a":"\","status":_}"#, None),
            (r#"{"a_":1,"status":_}"#, None),
            (r#"{"a":_,"status":_"#, None),
            ("_", None),
            ("", None),
        ];
        for (shape, want) in cases {
            assert_eq!(shorten(Syntax::Json, &["status"], shape).as_deref(), want, "{shape}");
        }
        // What would clash with a label of the stream, and what becomes the same label.
        let cut = |wanted: &str| shorten(Syntax::Json, &[wanted], r#"{"a.b":_,"a-b":_,"c":_}"#);
        assert_eq!(cut("a"), Some("{} sss".to_owned()));
        let wanted = Wanted::Labels(vec!["a_b_extracted".to_owned()]);
        let has = |key| wanted.has(&Member { key, text: &[], first_gap: 0, nested: false });
        assert!(has("a.b") && has("a-b") && !has("c"));
    }

    #[test]
    fn pairs_are_cut() {
        let cases = [
            ("ts=_ level=_ msg=\"_ x\" path=_", Some("level=<1> wwqw")),
            ("  a=_\tlevel=x_y  b=\n", Some("level=x<1>y ww")),
            ("level=_ a=_ level=\"_\"", Some("level=<0> level=\"<2>\" wwq")),
            ("a=_", Some(" w")),
            ("a=_ word level=_", None),
            ("a=_ _ level=_", None),
            ("a=_=_ level=_", None),
            ("a=\"_\"b level=_", None),
            ("a=\"_ level=_", None),
            ("=_ level=_", None),
            ("a_=1 level=_", None),
        ];
        for (shape, want) in cases {
            assert_eq!(shorten(Syntax::Logfmt, &["level"], shape).as_deref(), want, "{shape}");
        }
    }
}
