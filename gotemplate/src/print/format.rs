//! `fmt.Sprintf`: the format string.

use crate::value::Value;

use super::verbs::{Printer, Spec};

/// Largest width or precision; a larger one is ignored with a complaint, as in Go.
const MAX_NUMBER: i64 = 1_000_000;

/// The text of `format` with its verbs replaced by `args`, or `None` if it would be longer than `limit` bytes.
pub(crate) fn sprintf(format: &[u8], args: &[Value<'_>], limit: usize) -> Option<Vec<u8>> {
    let mut state = State { format, at: 0, args, next: 0, reordered: false, good_index: true, after_index: false };
    let mut out = Vec::with_capacity(format.len() + 16);
    while state.at < format.len() {
        if out.len() > limit {
            return None;
        }
        let plain = format[state.at..].iter().position(|b| *b == b'%').unwrap_or(format.len() - state.at);
        out.extend_from_slice(&format[state.at..state.at + plain]);
        state.at += plain;
        if state.at < format.len() {
            state.at += 1;
            if !state.verb(&mut out) {
                break;
            }
        }
    }
    if !state.reordered && state.next < args.len() {
        out.extend_from_slice(b"%!(EXTRA ");
        for (index, arg) in args[state.next..].iter().enumerate() {
            if index > 0 {
                out.extend_from_slice(b", ");
            }
            if !matches!(arg, Value::Nil | Value::Missing) {
                out.extend_from_slice(arg.type_name().as_bytes());
                out.push(b'=');
            }
            super::verbs::plain(&mut out, arg);
        }
        out.push(b')');
    }
    (out.len() <= limit).then_some(out)
}

struct State<'f> {
    format: &'f [u8],
    at: usize,
    args: &'f [Value<'f>],
    /// Index of the argument the next verb takes.
    next: usize,
    /// An explicit index was used.
    reordered: bool,
    good_index: bool,
    after_index: bool,
}

impl State<'_> {
    fn peek(&self) -> Option<u8> {
        self.format.get(self.at).copied()
    }

    /// One verb behind its percent sign. Returns whether the format goes on.
    fn verb(&mut self, out: &mut Vec<u8>) -> bool {
        let mut spec = Spec::default();
        self.good_index = true;
        self.after_index = false;
        while let Some(byte) = self.peek() {
            match byte {
                b'#' => spec.sharp = true,
                b'0' => spec.zero = true,
                b'+' => spec.plus = true,
                b'-' => spec.minus = true,
                b' ' => spec.space = true,
                _ => break,
            }
            self.at += 1;
        }
        self.index();
        self.width(&mut spec, out);
        self.precision(&mut spec, out);
        if !self.after_index {
            self.index();
        }
        let Some(verb) = self.verb_char() else {
            out.extend_from_slice(b"%!(NOVERB)");
            return false;
        };
        let mut buffer = [0; 4];
        let shown = verb.encode_utf8(&mut buffer).as_bytes();
        if verb == '%' {
            out.push(b'%');
        } else if !self.good_index {
            out.extend_from_slice(b"%!");
            out.extend_from_slice(shown);
            out.extend_from_slice(b"(BADINDEX)");
        } else if let Some(arg) = self.args.get(self.next) {
            self.next += 1;
            if verb == 'v' {
                spec.sharp_v = std::mem::take(&mut spec.sharp);
                spec.plus_v = std::mem::take(&mut spec.plus);
            }
            Printer { out, spec, erroring: false, depth: 0 }.value(arg, verb);
        } else {
            out.extend_from_slice(b"%!");
            out.extend_from_slice(shown);
            out.extend_from_slice(b"(MISSING)");
        }
        true
    }

    fn verb_char(&mut self) -> Option<char> {
        let rest = &self.format[self.at..];
        let chunk = rest.utf8_chunks().next()?;
        let c = chunk.valid().chars().next();
        self.at += c.map_or(1, char::len_utf8);
        Some(c.unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn width(&mut self, spec: &mut Spec, out: &mut Vec<u8>) {
        if self.peek() == Some(b'*') {
            self.at += 1;
            match self.star() {
                Some(width) => {
                    if width < 0 {
                        spec.minus = true;
                        spec.zero = false;
                    }
                    spec.width = usize::try_from(width.unsigned_abs()).ok();
                }
                None => out.extend_from_slice(b"%!(BADWIDTH)"),
            }
            self.after_index = false;
        } else {
            spec.width = self.number();
            if self.after_index && spec.width.is_some() {
                self.good_index = false;
            }
        }
    }

    fn precision(&mut self, spec: &mut Spec, out: &mut Vec<u8>) {
        // A point at the very end is the verb.
        if self.peek() != Some(b'.') || self.at + 1 >= self.format.len() {
            return;
        }
        self.at += 1;
        if self.after_index {
            self.good_index = false;
        }
        self.index();
        if self.peek() == Some(b'*') {
            self.at += 1;
            match self.star() {
                Some(precision) if precision >= 0 => spec.precision = usize::try_from(precision).ok(),
                _ => out.extend_from_slice(b"%!(BADPREC)"),
            }
            self.after_index = false;
        } else {
            spec.precision = Some(self.number().unwrap_or(0));
        }
    }

    /// The argument of a `*`.
    fn star(&mut self) -> Option<i64> {
        let arg = self.args.get(self.next)?;
        self.next += 1;
        let number = match arg {
            Value::Int(n) | Value::Int64(n) => Some(*n),
            Value::Byte(n) => Some(i64::from(*n)),
            Value::Uint64(n) => i64::try_from(*n).ok(),
            _ => None,
        };
        number.filter(|n| (-MAX_NUMBER..=MAX_NUMBER).contains(n))
    }

    fn number(&mut self) -> Option<usize> {
        let rest = &self.format[self.at..];
        let len = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        self.at += len;
        let mut number = 0i64;
        for digit in &rest[..len] {
            number = number * 10 + i64::from(digit - b'0');
            if number > MAX_NUMBER {
                // Go gives up in the middle: the rest of the digits are read as the verb.
                return None;
            }
        }
        if len > 0 { usize::try_from(number).ok() } else { None }
    }

    /// `[3]`: which argument comes next.
    fn index(&mut self) {
        if self.peek() != Some(b'[') {
            return;
        }
        self.reordered = true;
        let rest = &self.format[self.at..];
        let Some(close) = rest.iter().position(|b| *b == b']') else {
            self.good_index = false;
            self.at += 1;
            return;
        };
        let digits = std::str::from_utf8(&rest[1..close]).unwrap_or_default();
        self.at += close + 1;
        let index = digits.parse::<usize>().ok().filter(|_| digits.bytes().all(|b| b.is_ascii_digit()));
        match index.filter(|index| (1..=self.args.len()).contains(index)) {
            Some(index) => {
                self.next = index - 1;
                self.after_index = true;
            }
            None => self.good_index = false,
        }
    }
}
