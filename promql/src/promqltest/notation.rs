//! Series notation: `name{labels} 1 2 3+1x4 _ stale {{schema:0 count:1}}`.

use std::sync::Arc;

use model::histogram::buckets::SpanBuilder;
use model::sample::{NORMAL_NAN, STALE_NAN};
use model::{FloatHistogram, Labels, ResetHint, SampleValue};
use nom::branch::alt;
use nom::bytes::complete::{tag, tag_no_case, take_while, take_while1};
use nom::character::complete::{char, digit1, one_of};
use nom::combinator::{map, map_res, opt, recognize, value};
use nom::multi::separated_list0;
use nom::sequence::{delimited, pair, preceded};
use nom::{IResult, Parser};

use crate::parse::parse_metric_prefix;

/// One position of a sequence.
#[derive(Clone, Debug, PartialEq)]
pub enum SequenceValue {
    /// No sample.
    Omitted,
    /// A float, or a staleness marker.
    Float(f64),
    /// A native histogram.
    Histogram {
        /// The histogram.
        histogram: Arc<FloatHistogram>,
        /// Whether its reset hint was written, and so has to match.
        hint_set: bool,
    },
}

impl SequenceValue {
    /// The sample, if there is one.
    pub fn into_sample(self) -> Option<SampleValue> {
        match self {
            Self::Omitted => None,
            Self::Float(value) => Some(SampleValue::Float(value)),
            Self::Histogram { histogram, .. } => Some(SampleValue::Histogram(histogram)),
        }
    }
}

/// A series could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotationError {
    /// The label set is wrong.
    #[error(transparent)]
    Metric(#[from] crate::parse::ParseError),
    /// A value is wrong.
    #[error("parse error: unexpected {0:?} in series values")]
    Value(String),
    /// A sequence has too many positions.
    #[error("parse error: series has more than {} values", MAX_VALUES)]
    TooMany,
    /// A histogram names a part twice.
    #[error("parse error: duplicate key {0:?} in histogram")]
    DuplicateKey(String),
    /// Histograms of a progression do not fit together.
    #[error("error combining histograms: {0}")]
    Combine(String),
}

/// Most positions of one series.
pub(super) const MAX_VALUES: usize = 10_000_000;

/// Reads a series and its values.
///
/// # Errors
/// When the text is not in the notation.
pub fn parse_series(text: &str) -> Result<(Labels, Vec<SequenceValue>), NotationError> {
    let (labels, end) = parse_metric_prefix(text)?;
    Ok((labels, parse_values(&text[end..])?))
}

/// Reads values separated by blanks.
///
/// # Errors
/// When the text is not in the notation.
pub fn parse_values(text: &str) -> Result<Vec<SequenceValue>, NotationError> {
    let mut out = Vec::new();
    let mut rest = text.trim_start_matches([' ', '\t', '\n', '\r']);
    while !rest.is_empty() {
        let wrong = || NotationError::Value(rest.split_whitespace().next().unwrap_or("").to_owned());
        let (after, item) = item(rest).map_err(|_| wrong())?;
        if !after.is_empty() && !after.starts_with([' ', '\t', '\n', '\r']) {
            return Err(wrong());
        }
        item.expand(&mut out)?;
        rest = after.trim_start_matches([' ', '\t', '\n', '\r']);
    }
    Ok(out)
}

/// An item before its repeats are expanded.
#[derive(Clone)]
enum Item {
    Blank(u64),
    Number { first: f64, step: f64, times: u64 },
    Histogram { first: Literal, step: Option<(bool, Literal)>, times: u64 },
}

/// Parts of a histogram literal in the order of the text.
#[derive(Clone, Default)]
struct Literal(Vec<(String, Field)>);

#[derive(Clone)]
enum Field {
    Number(f64),
    List(Vec<f64>),
    Hint(ResetHint),
}

fn item(text: &str) -> IResult<&str, Item> {
    alt((blank, histogram_item, stale, number_item)).parse(text)
}

fn times(text: &str) -> IResult<&str, u64> {
    preceded(char('x'), map_res(digit1, str::parse::<u64>)).parse(text)
}

fn blank(text: &str) -> IResult<&str, Item> {
    let (rest, times) = preceded(char('_'), opt(times)).parse(text)?;
    Ok((rest, Item::Blank(times.unwrap_or(1))))
}

fn stale(text: &str) -> IResult<&str, Item> {
    let (rest, times) = preceded(tag("stale"), opt(times)).parse(text)?;
    Ok((rest, Item::Number { first: STALE_NAN, step: 0.0, times: times.unwrap_or(0) }))
}

/// Decimal digits with point and exponent, or a word for infinity or NaN. No sign.
fn unsigned(text: &str) -> IResult<&str, f64> {
    let digits = |t| take_while1::<_, &str, nom::error::Error<&str>>(|c: char| c.is_ascii_digit() || c == '_').parse(t);
    let exponent = recognize((one_of("eE"), opt(one_of("+-")), digit1));
    let decimal = recognize((
        alt((recognize((digits, opt(pair(char('.'), opt(digit1))))), recognize(pair(char('.'), digit1)))),
        opt(exponent),
    ));
    alt((
        value(f64::INFINITY, tag_no_case("inf")),
        value(NORMAL_NAN, tag_no_case("nan")),
        map_res(decimal, |t: &str| crate::parse::number::parse_number(t)),
    ))
    .parse(text)
}

fn signed(text: &str) -> IResult<&str, f64> {
    map((one_of("+-"), unsigned), |(sign, v)| if sign == '-' { -v } else { v }).parse(text)
}

fn number(text: &str) -> IResult<&str, f64> {
    alt((signed, unsigned)).parse(text)
}

fn number_item(text: &str) -> IResult<&str, Item> {
    let (rest, first) = number(text)?;
    let (rest, step) = opt(signed).parse(rest)?;
    match step {
        Some(step) => map(times, move |times| Item::Number { first, step, times }).parse(rest),
        None => map(opt(times), move |times| Item::Number { first, step: 0.0, times: times.unwrap_or(0) }).parse(rest),
    }
}

fn blanks(text: &str) -> IResult<&str, &str> {
    take_while(|c: char| matches!(c, ' ' | '\t')).parse(text)
}

fn blanks1(text: &str) -> IResult<&str, &str> {
    take_while1(|c: char| matches!(c, ' ' | '\t')).parse(text)
}

fn field(text: &str) -> IResult<&str, (String, Field)> {
    let (rest, name) = take_while1(|c: char| c.is_ascii_alphabetic() || c == '_').parse(text)?;
    let (rest, _) = char(':').parse(rest)?;
    let name = name.to_ascii_lowercase();
    let (rest, field) = match name.as_str() {
        "buckets" | "n_buckets" | "custom_values" => {
            let list = separated_list0(blanks1, number);
            map(delimited((char('['), blanks), list, (blanks, char(']'))), Field::List).parse(rest)?
        }
        "counter_reset_hint" => map(
            alt((
                value(ResetHint::Unknown, tag("unknown")),
                value(ResetHint::Reset, tag("reset")),
                value(ResetHint::NotReset, tag("not_reset")),
                value(ResetHint::Gauge, tag("gauge")),
            )),
            Field::Hint,
        )
        .parse(rest)?,
        "sum" | "count" | "z_bucket" | "z_bucket_w" | "schema" | "offset" | "n_offset" => {
            map(number, Field::Number).parse(rest)?
        }
        _ => return Err(nom::Err::Error(nom::error::Error::new(text, nom::error::ErrorKind::Alt))),
    };
    Ok((rest, (name, field)))
}

fn literal(text: &str) -> IResult<&str, Literal> {
    let fields = separated_list0(blanks1, field);
    map(delimited((tag("{{"), blanks), fields, (blanks, tag("}}"))), Literal).parse(text)
}

fn histogram_item(text: &str) -> IResult<&str, Item> {
    let (rest, first) = literal(text)?;
    let (rest, step) = opt(pair(one_of("+-"), literal)).parse(rest)?;
    match step {
        Some((sign, step)) => {
            let step = Some((sign == '-', step));
            map(times, move |times| Item::Histogram { first: first.clone(), step: step.clone(), times }).parse(rest)
        }
        None => map(opt(times), move |times| Item::Histogram {
            first: first.clone(),
            step: None,
            times: times.unwrap_or(0),
        })
        .parse(rest),
    }
}

impl Item {
    fn expand(self, out: &mut Vec<SequenceValue>) -> Result<(), NotationError> {
        let times = match &self {
            Self::Blank(times) | Self::Number { times, .. } | Self::Histogram { times, .. } => *times,
        };
        if times > (MAX_VALUES - out.len().min(MAX_VALUES)) as u64 {
            return Err(NotationError::TooMany);
        }
        match self {
            Self::Blank(times) => out.extend((0..times).map(|_| SequenceValue::Omitted)),
            Self::Number { first, step, times } => {
                // By repeated addition, as rounding errors are part of the notation.
                let mut value = first;
                for _ in 0..=times {
                    out.push(SequenceValue::Float(value));
                    if !model::is_stale(value) {
                        value += step;
                    }
                }
            }
            Self::Histogram { first, step, times } => {
                let (first, mut hint_set) = first.build()?;
                let step = match step {
                    Some((negative, literal)) => {
                        let (step, set) = literal.build()?;
                        // The right operand decides whether a hint was given.
                        hint_set = set;
                        Some((negative, step))
                    }
                    None => None,
                };
                let mut histogram = Arc::new(first);
                for at in 0..=times {
                    out.push(SequenceValue::Histogram { histogram: histogram.clone(), hint_set });
                    if let Some((negative, step)) = step.as_ref().filter(|_| at < times) {
                        histogram = Arc::new(next_histogram(&histogram, step, *negative)?);
                    }
                }
            }
        }
        Ok(())
    }
}

fn next_histogram(
    histogram: &FloatHistogram,
    step: &FloatHistogram,
    negative: bool,
) -> Result<FloatHistogram, NotationError> {
    if histogram.schema > step.schema {
        return Err(NotationError::Combine(format!(
            "cannot merge from schema {} to {}",
            step.schema, histogram.schema
        )));
    }
    let mut next = histogram.clone();
    let outcome = if negative { next.sub(step) } else { next.add(step) };
    outcome.map_err(|e| NotationError::Combine(e.to_string()))?;
    Ok(next)
}

impl Literal {
    /// The histogram, and whether its hint was given.
    fn build(self) -> Result<(FloatHistogram, bool), NotationError> {
        let mut histogram = FloatHistogram::default();
        let mut hint_set = false;
        let (mut positive, mut negative) = ((0, Vec::new()), (0, Vec::new()));
        let mut seen: Vec<String> = Vec::new();
        for (name, field) in self.0 {
            if seen.contains(&name) {
                return Err(NotationError::DuplicateKey(name));
            }
            match (name.as_str(), field) {
                ("sum", Field::Number(v)) => histogram.sum = v,
                ("count", Field::Number(v)) => histogram.count = v,
                ("z_bucket", Field::Number(v)) => histogram.zero_count = v,
                ("z_bucket_w", Field::Number(v)) => histogram.zero_threshold = v,
                ("schema", Field::Number(v)) => histogram.schema = v as i32,
                ("offset", Field::Number(v)) => positive.0 = v as i32,
                ("n_offset", Field::Number(v)) => negative.0 = v as i32,
                ("buckets", Field::List(list)) => positive.1 = list,
                ("n_buckets", Field::List(list)) => negative.1 = list,
                ("custom_values", Field::List(list)) => histogram.custom_values = list.into(),
                ("counter_reset_hint", Field::Hint(hint)) => {
                    histogram.reset_hint = hint;
                    hint_set = true;
                }
                _ => {}
            }
            seen.push(name);
        }
        let side = |(offset, counts): (i32, Vec<f64>)| {
            let mut out = SpanBuilder::default();
            for (at, count) in counts.into_iter().enumerate() {
                out.push(offset.saturating_add(at as i32), count);
            }
            (out.spans, out.counts)
        };
        (histogram.positive_spans, histogram.positive_buckets) = side(positive);
        (histogram.negative_spans, histogram.negative_buckets) = side(negative);
        Ok((histogram, hint_set))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floats(text: &str) -> Vec<Option<f64>> {
        let values = parse_values(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        let float = |v: SequenceValue| match v {
            SequenceValue::Float(v) => Some(v),
            _ => None,
        };
        values.into_iter().map(float).collect()
    }

    #[test]
    fn expands_sequences() {
        assert_eq!(floats(" 1 -2 .5 1e3 _"), [Some(1.0), Some(-2.0), Some(0.5), Some(1000.0), None]);
        assert_eq!(floats("1+2x2 5-1x1 3x1"), [1.0, 3.0, 5.0, 5.0, 4.0, 3.0, 3.0].map(Some));
        assert_eq!(floats("_x2 -1+-1x0"[..3].trim()), [None, None]);
        assert_eq!(floats("inf -Inf"), [Some(f64::INFINITY), Some(f64::NEG_INFINITY)]);
        assert!(matches!(parse_values("stale").as_deref(), Ok([SequenceValue::Float(v)]) if model::is_stale(*v)));
        for text in ["1x", "a", "1 2y", "{{", "{{bad:1}}", "{{sum:1 sum:2}}", "1x99999999999", "0x10 y"] {
            assert!(parse_values(text).is_err(), "{text}");
        }
    }

    #[test]
    fn reads_histograms() {
        let text = "{{schema:1 sum:-3.5 count:22 z_bucket:5 z_bucket_w:0.001 buckets:[5 10 7] offset:-1 n_buckets:[4 5] counter_reset_hint:gauge}}x1";
        let values = parse_values(text).unwrap();
        assert_eq!(values.len(), 2);
        let SequenceValue::Histogram { histogram, hint_set: true } = &values[1] else { panic!("{values:?}") };
        assert_eq!((histogram.schema, histogram.sum, histogram.positive_spans[0].offset), (1, -3.5, -1));
        assert_eq!(histogram.negative_buckets, [4.0, 5.0]);
        let values = parse_values("{{buckets:[1]}}+{{buckets:[1 2]}}x2 {{}}").unwrap();
        let SequenceValue::Histogram { histogram, hint_set: false } = &values[2] else { panic!("{values:?}") };
        assert_eq!(histogram.positive_buckets, [3.0, 4.0]);
    }

    #[test]
    fn reads_series() {
        let (labels, values) = parse_series(r#"a{b="} 1", c="d"} 1 2"#).unwrap();
        assert_eq!((labels.value("b"), values.len()), ("} 1", 2));
        let (labels, values) = parse_series("{} {{count:1}}").unwrap();
        assert!(labels.is_empty() && values.len() == 1);
    }
}
