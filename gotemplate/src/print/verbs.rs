//! One value by one verb.

use std::fmt::Write as _;

use model::number::{FloatFormat, write_float, write_float_precision};

use crate::value::{ObjectKind, Value};

/// Deepest nesting of lists and maps that is printed; what is below shows as `...`.
const MAX_DEPTH: usize = 100;

/// Flags, width and precision between the percent sign and the verb.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Spec {
    pub(super) plus: bool,
    pub(super) minus: bool,
    pub(super) sharp: bool,
    pub(super) space: bool,
    pub(super) zero: bool,
    pub(super) width: Option<usize>,
    pub(super) precision: Option<usize>,
    /// `%+v`
    pub(super) plus_v: bool,
    /// `%#v`
    pub(super) sharp_v: bool,
}

/// `%v` without flags.
pub(super) fn plain(out: &mut Vec<u8>, value: &Value<'_>) {
    by_verb(out, value, 'v');
}

/// A verb without flags.
pub(super) fn by_verb(out: &mut Vec<u8>, value: &Value<'_>, verb: char) {
    Printer { out, spec: Spec::default(), erroring: false, depth: 0 }.value(value, verb);
}

pub(super) struct Printer<'o> {
    pub(super) out: &'o mut Vec<u8>,
    pub(super) spec: Spec,
    /// Inside a complaint about a bad verb: no methods.
    pub(super) erroring: bool,
    pub(super) depth: usize,
}

impl Printer<'_> {
    fn put(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn padding(&mut self, count: usize) {
        let fill = if self.spec.zero && !self.spec.minus { b'0' } else { b' ' };
        self.out.resize(self.out.len() + count, fill);
    }

    /// `text` padded to the width, counted in characters.
    pub(super) fn pad(&mut self, text: &[u8]) {
        let missing = self.spec.width.unwrap_or(0).saturating_sub(char_count(text));
        if self.spec.minus {
            self.out.extend_from_slice(text);
            self.padding(missing);
        } else {
            self.padding(missing);
            self.out.extend_from_slice(text);
        }
    }

    fn pad_spaces(&mut self, text: &[u8]) {
        let zero = std::mem::take(&mut self.spec.zero);
        self.pad(text);
        self.spec.zero = zero;
    }

    pub(super) fn bad_verb(&mut self, value: &Value<'_>, verb: char) {
        let mut buffer = [0; 4];
        self.put("%!");
        self.put(verb.encode_utf8(&mut buffer));
        self.put("(");
        if let Value::Missing | Value::Nil = value {
            self.put("<nil>");
        } else {
            self.put(value.type_name());
            self.put("=");
            let erroring = std::mem::replace(&mut self.erroring, true);
            self.value(value, 'v');
            self.erroring = erroring;
        }
        self.put(")");
    }

    pub(super) fn value(&mut self, value: &Value<'_>, verb: char) {
        if verb == 'T' {
            let name = if let Value::Missing | Value::Nil = value { "<nil>" } else { value.type_name() };
            return self.string(name.as_bytes(), 's', value);
        }
        if let Some(text) = self.stringer(value, verb) {
            return self.string(text.as_bytes(), verb, value);
        }
        match value {
            Value::Missing | Value::Nil if self.spec.sharp_v && self.depth > 0 => self.put("interface {}(nil)"),
            // Below the top level Go prints nil by any verb, without padding.
            Value::Missing | Value::Nil if self.depth > 0 => self.put("<nil>"),
            Value::Missing | Value::Nil if verb == 'v' => self.pad(b"<nil>"),
            Value::Missing | Value::Nil => self.bad_verb(value, verb),
            Value::Bool(flag) => match verb {
                't' | 'v' => self.pad(if *flag { b"true" } else { b"false" }),
                _ => self.bad_verb(value, verb),
            },
            Value::Int(n) | Value::Int64(n) => self.integer(n.unsigned_abs(), *n < 0, true, verb, value),
            Value::Duration(n) => self.integer(n.0.unsigned_abs(), n.0 < 0, true, verb, value),
            Value::Uint64(n) => self.integer(*n, false, false, verb, value),
            Value::Byte(n) => self.integer(u64::from(*n), false, false, verb, value),
            Value::Float(n) => self.float(*n, verb, value),
            Value::Str(text) => self.string(text, verb, value),
            Value::Time(time) => self.string(time.to_string().as_bytes(), verb, value),
            Value::Function(function) => self.put(&format!("func {}", function.name)),
            Value::List(_) | Value::Map(_) | Value::Record(_) | Value::Object(_) => self.compound(value, verb),
        }
    }

    /// The text of a value that prints by a method of its own.
    fn stringer(&self, value: &Value<'_>, verb: char) -> Option<String> {
        if self.erroring || self.spec.sharp_v || !matches!(verb, 'v' | 's' | 'x' | 'X' | 'q') {
            return None;
        }
        let display = match value {
            Value::Duration(duration) => return Some(duration.to_string()),
            Value::Time(time) => return Some(time.to_string()),
            Value::List(list) => list.ty.display,
            Value::Map(map) => map.ty.display,
            Value::Record(record) => record.ty.display,
            Value::Object(object) => object.ty().display,
            _ => None,
        };
        display.map(|display| display(value))
    }

    fn compound(&mut self, value: &Value<'_>, verb: char) {
        if self.depth >= MAX_DEPTH {
            return self.put("...");
        }
        self.depth += 1;
        self.compound_inner(value, verb);
        self.depth -= 1;
    }

    fn compound_inner(&mut self, value: &Value<'_>, verb: char) {
        let go = self.spec.sharp_v;
        let separator = if go { ", " } else { " " };
        if go {
            self.put(value.type_name());
        }
        match value {
            Value::List(list) => {
                self.put(if go { "{" } else { "[" });
                for (index, item) in list.items.iter().enumerate() {
                    self.put(if index > 0 { separator } else { "" });
                    self.value(item, verb);
                }
                self.put(if go { "}" } else { "]" });
            }
            Value::Map(map) => {
                let entries = map.entries().iter().map(|(key, value)| (Value::Str(key.clone()), value.clone()));
                self.entries(entries, verb, separator);
            }
            Value::Object(object) if object.kind() == ObjectKind::Map => {
                let entries = (0..object.len()).map_while(|index| object.entry(index));
                self.entries(entries.map(|(key, value)| (Value::Str(key), value)), verb, separator);
            }
            Value::Record(record) => {
                let fields = record.fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
                self.fields(fields, verb, separator);
            }
            Value::Object(object) => {
                let fields = (0..object.len()).map_while(|index| object.entry(index));
                self.fields(fields.map(|(name, value)| (name.to_str().into_owned(), value)), verb, separator);
            }
            _ => {}
        }
    }

    fn entries<'v>(&mut self, entries: impl Iterator<Item = (Value<'v>, Value<'v>)>, verb: char, separator: &str) {
        let go = self.spec.sharp_v;
        self.put(if go { "{" } else { "map[" });
        for (index, (key, value)) in entries.enumerate() {
            self.put(if index > 0 { separator } else { "" });
            self.value(&key, verb);
            self.put(":");
            self.value(&value, verb);
        }
        self.put(if go { "}" } else { "]" });
    }

    fn fields<'v>(&mut self, fields: impl Iterator<Item = (String, Value<'v>)>, verb: char, separator: &str) {
        self.put("{");
        for (index, (name, value)) in fields.enumerate() {
            self.put(if index > 0 { separator } else { "" });
            if self.spec.plus_v || self.spec.sharp_v {
                self.put(&name);
                self.put(":");
            }
            self.value(&value, verb);
        }
        self.put("}");
    }

    pub(super) fn string(&mut self, text: &[u8], verb: char, value: &Value<'_>) {
        let truncated = match self.spec.precision {
            Some(precision) => truncate(text, precision),
            None => text,
        };
        match verb {
            'v' if self.spec.sharp_v => self.quoted(truncated),
            'v' | 's' => self.pad(truncated),
            'x' | 'X' => self.hex(text, verb),
            'q' => self.quoted(truncated),
            _ => self.bad_verb(value, verb),
        }
    }

    fn quoted(&mut self, text: &[u8]) {
        let backquotable =
            |text: &str| text.chars().all(|c| c != '`' && c != '\u{feff}' && c != '\x7f' && (c >= ' ' || c == '\t'));
        if self.spec.sharp
            && let Ok(text) = std::str::from_utf8(text)
            && backquotable(text)
        {
            return self.pad(format!("`{text}`").as_bytes());
        }
        let mut quoted = String::with_capacity(text.len() + 2);
        if self.spec.plus {
            model::number::write_quoted_ascii(&mut quoted, text, '"');
        } else {
            model::number::write_quoted(&mut quoted, text, '"');
        }
        self.pad(quoted.as_bytes());
    }

    /// Bytes in hexadecimal; the precision counts bytes.
    fn hex(&mut self, text: &[u8], verb: char) {
        let text = &text[..text.len().min(self.spec.precision.unwrap_or(usize::MAX))];
        let prefix = if verb == 'x' { "0x" } else { "0X" };
        let mut out = String::new();
        for (index, byte) in text.iter().enumerate() {
            if self.spec.space && index > 0 {
                out.push(' ');
            }
            if self.spec.sharp && (self.spec.space || index == 0) {
                out.push_str(prefix);
            }
            let _ = if verb == 'x' { write!(out, "{byte:02x}") } else { write!(out, "{byte:02X}") };
        }
        self.pad(out.as_bytes());
    }

    fn integer(&mut self, magnitude: u64, negative: bool, signed: bool, verb: char, value: &Value<'_>) {
        match verb {
            'v' if self.spec.sharp_v && !signed => {
                let sharp = std::mem::replace(&mut self.spec.sharp, true);
                self.number(magnitude, negative, 16, false, verb);
                self.spec.sharp = sharp;
            }
            'v' | 'd' => self.number(magnitude, negative, 10, false, verb),
            'b' => self.number(magnitude, negative, 2, false, verb),
            'o' | 'O' => self.number(magnitude, negative, 8, false, verb),
            'x' => self.number(magnitude, negative, 16, false, verb),
            'X' => self.number(magnitude, negative, 16, true, verb),
            'c' | 'q' => {
                let c = u32::try_from(magnitude).ok().filter(|_| !negative).and_then(char::from_u32);
                let c = c.unwrap_or(char::REPLACEMENT_CHARACTER);
                let mut buffer = [0; 4];
                let text = c.encode_utf8(&mut buffer);
                if verb == 'c' {
                    return self.pad(text.as_bytes());
                }
                let mut quoted = String::new();
                if self.spec.plus {
                    model::number::write_quoted_ascii(&mut quoted, text.as_bytes(), '\'');
                } else {
                    model::number::write_quoted(&mut quoted, text.as_bytes(), '\'');
                }
                self.pad(quoted.as_bytes());
            }
            'U' => {
                let code = if negative { magnitude.wrapping_neg() } else { magnitude };
                let digits = self.spec.precision.unwrap_or(4).max(4);
                let mut text = format!("U+{code:0digits$X}");
                let c = u32::try_from(code).ok().and_then(char::from_u32);
                if let Some(c) = c.filter(|c| self.spec.sharp && model::number::is_print(*c)) {
                    let _ = write!(text, " '{c}'");
                }
                self.pad_spaces(text.as_bytes());
            }
            _ => self.bad_verb(value, verb),
        }
    }

    fn number(&mut self, magnitude: u64, negative: bool, base: u32, upper: bool, verb: char) {
        let spec = self.spec;
        let mut least = 0;
        if let Some(precision) = spec.precision {
            least = precision;
            if precision == 0 && magnitude == 0 {
                return self.pad_spaces(b"");
            }
        } else if spec.zero && !spec.minus {
            let sign = usize::from(negative || spec.plus || spec.space);
            least = spec.width.unwrap_or(0).saturating_sub(sign);
        }
        let digits = match base {
            2 => format!("{magnitude:b}"),
            8 => format!("{magnitude:o}"),
            16 if upper => format!("{magnitude:X}"),
            16 => format!("{magnitude:x}"),
            _ => magnitude.to_string(),
        };
        let mut text = String::with_capacity(least.max(digits.len()) + 4);
        text.push_str(match () {
            () if negative => "-",
            () if spec.plus => "+",
            () if spec.space => " ",
            () => "",
        });
        let zeros = least.saturating_sub(digits.len());
        text.push_str(match base {
            8 if verb == 'O' => "0o",
            2 if spec.sharp => "0b",
            8 if spec.sharp && zeros == 0 && !digits.starts_with('0') => "0",
            16 if spec.sharp && upper => "0X",
            16 if spec.sharp => "0x",
            _ => "",
        });
        text.extend(std::iter::repeat_n('0', zeros));
        text.push_str(&digits);
        self.pad_spaces(text.as_bytes());
    }

    fn float(&mut self, number: f64, verb: char, value: &Value<'_>) {
        let precision = self.spec.precision;
        let mut text = String::new();
        let mut write = |format, default: Option<usize>| match precision.or(default) {
            Some(precision) => write_float_precision(&mut text, number, format, precision),
            None => write_float(&mut text, number, format),
        };
        match verb {
            'v' | 'g' | 'G' => write(FloatFormat::General, None),
            'e' | 'E' => write(FloatFormat::Exponent, Some(6)),
            'f' | 'F' => write(FloatFormat::Fixed, Some(6)),
            'x' | 'X' => hex_float(&mut text, number, precision),
            'b' => binary_float(&mut text, number),
            _ => return self.bad_verb(value, verb),
        }
        if verb.is_ascii_uppercase() && number.is_finite() {
            text.make_ascii_uppercase();
        }
        let (sign, mut body) = match text.strip_prefix(['-', '+']) {
            Some(body) if text.starts_with('-') => ('-', body.to_owned()),
            Some(body) => ('+', body.to_owned()),
            None => ('+', text),
        };
        let sign = if self.spec.space && sign == '+' && !self.spec.plus { ' ' } else { sign };
        if !number.is_finite() {
            // Not numbers: never padded with zeros. An infinity keeps its sign only when it shows anyway.
            let shown = if number.is_nan() { self.spec.space || self.spec.plus } else { self.spec.plus || sign != '+' };
            let shown = shown || number.is_infinite();
            let text = if shown { format!("{sign}{body}") } else { body };
            return self.pad_spaces(text.as_bytes());
        }
        if self.spec.sharp && verb != 'b' {
            body = with_point(&body, verb, precision);
        }
        if !self.spec.plus && sign == '+' {
            return self.pad(body.as_bytes());
        }
        let len = body.len() + 1;
        if self.spec.zero && !self.spec.minus && self.spec.width.is_some_and(|width| width > len) {
            let mut buffer = [0; 4];
            self.put(sign.encode_utf8(&mut buffer));
            self.padding(self.spec.width.unwrap_or(0) - len);
            return self.put(&body);
        }
        self.pad(format!("{sign}{body}").as_bytes());
    }
}

/// Characters of `text`, a stray byte counting as one.
fn char_count(text: &[u8]) -> usize {
    match std::str::from_utf8(text) {
        Ok(text) => text.chars().count(),
        Err(_) => text.utf8_chunks().map(|chunk| chunk.valid().chars().count() + chunk.invalid().len()).sum(),
    }
}

/// The first `count` characters.
fn truncate(text: &[u8], count: usize) -> &[u8] {
    let mut left = count;
    let mut end = 0;
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            if left == 0 {
                return &text[..end];
            }
            left -= 1;
            end += c.len_utf8();
        }
        let stray = chunk.invalid().len().min(left);
        left -= stray;
        end += stray;
    }
    &text[..end]
}

/// `%#g` and its kin: always a point, trailing zeros kept.
fn with_point(body: &str, verb: char, precision: Option<usize>) -> String {
    let keeps = matches!(verb, 'v' | 'g' | 'G' | 'x' | 'X');
    let mut digits = if keeps { precision.unwrap_or(6) } else { 0 };
    let hexadecimal = matches!(verb, 'x' | 'X');
    let cut = body.find(|c| matches!(c, 'p' | 'P') || !hexadecimal && matches!(c, 'e' | 'E'));
    let (mantissa, tail) = body.split_at(cut.unwrap_or(body.len()));
    let significant = mantissa.bytes().filter(|b| *b != b'.').skip_while(|b| *b == b'0').count();
    digits = digits.saturating_sub(significant);
    let mut out = mantissa.to_owned();
    if !mantissa.contains('.') {
        if mantissa == "0" {
            digits = digits.saturating_sub(1);
        }
        out.push('.');
    }
    out.extend(std::iter::repeat_n('0', digits));
    out.push_str(tail);
    out
}

/// `%x` of a float: `-0x1.8p+01`.
fn hex_float(out: &mut String, number: f64, precision: Option<usize>) {
    if !number.is_finite() {
        return write_float(out, number, FloatFormat::General);
    }
    if number.is_sign_negative() {
        out.push('-');
    }
    let bits = number.to_bits();
    let mut exponent = i64::from((bits >> 52) as u32 & 0x7ff);
    let mut mantissa = bits & ((1 << 52) - 1);
    if exponent == 0 {
        exponent = 1;
    } else {
        mantissa |= 1 << 52;
    }
    exponent -= 1023;
    if mantissa == 0 {
        exponent = 0;
    } else {
        let shift = mantissa.leading_zeros() - 11;
        mantissa <<= shift;
        exponent -= i64::from(shift);
    }
    // One digit before the point and 13 behind it; u128 leaves room for the carry of rounding.
    let mut wide = u128::from(mantissa);
    if let Some(precision) = precision.filter(|precision| *precision < 13) {
        let drop = 52 - 4 * precision;
        let lost = wide & ((1 << drop) - 1);
        wide >>= drop;
        let half = 1u128 << (drop - 1);
        if lost > half || lost == half && wide & 1 == 1 {
            wide += 1;
        }
        wide <<= drop;
        if wide >> 53 != 0 {
            wide >>= 1;
            exponent += 1;
        }
    }
    let digits = format!("{:013x}", wide & ((1 << 52) - 1));
    let fraction = match precision {
        Some(precision) => format!("{digits:0<precision$}")[..precision].to_owned(),
        None => digits.trim_end_matches('0').to_owned(),
    };
    let point = if fraction.is_empty() { "" } else { "." };
    let sign = if exponent < 0 { '-' } else { '+' };
    let _ = write!(out, "0x{}{point}{fraction}p{sign}{:02}", wide >> 52, exponent.unsigned_abs());
}

/// `%b` of a float: `4503599627370496p-52`.
fn binary_float(out: &mut String, number: f64) {
    if !number.is_finite() {
        return write_float(out, number, FloatFormat::General);
    }
    let bits = number.to_bits();
    let exponent = i64::from((bits >> 52) as u32 & 0x7ff);
    let fraction = bits & ((1 << 52) - 1);
    let (mantissa, exponent) = if exponent == 0 { (fraction, 1) } else { (fraction | 1 << 52, exponent) };
    let sign = if number.is_sign_negative() { "-" } else { "" };
    let _ = write!(out, "{sign}{mantissa}p{:+}", exponent - 1075);
}
