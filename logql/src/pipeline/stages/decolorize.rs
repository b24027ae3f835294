//! `| decolorize`: removes the escape sequences with which terminals colour text.

use model::regex::{Flags, GoRegex, RegexError};

use crate::pipeline::state::{LineState, Slice, Source};

/// What starts with ESC or its one-character form: operating system commands up to BEL, or parameters and a final letter.
const SEQUENCE: &str = concat!(
    r"[\x1b\x{9b}][\[\]()#;?]*",
    r"(?:(?:(?:[a-zA-Z\d]*(?:;[a-zA-Z\d]*)*)?\x07)",
    r"|(?:(?:\d{1,4}(?:;\d{0,4})*)?[\dA-PRZcf-ntqry=><~]))"
);

#[derive(Clone)]
pub(crate) struct DecolorizeStage {
    sequence: GoRegex,
}

impl DecolorizeStage {
    pub(crate) fn new() -> Result<Self, RegexError> {
        Ok(Self { sequence: GoRegex::new(SEQUENCE, Flags::SEARCH)? })
    }

    pub(crate) fn run(&self, state: &mut LineState, unit: &str) -> bool {
        let line = state.line(unit);
        // ESC is one byte, its other form starts with C2.
        if memchr::memchr2(0x1b, 0xc2, line.as_bytes()).is_none() {
            return true;
        }
        let plain = self.sequence.replace_all_literal(line, "");
        if let std::borrow::Cow::Owned(plain) = plain {
            let start = state.lines.len() as u32;
            state.lines.push_str(&plain);
            state.line = Some(Slice { source: Source::Lines, start, end: state.lines.len() as u32 });
        }
        true
    }
}
