//! Chooses the form of a column and writes it.
//!
//! Each form that can hold the values is tried as far as its size can be told; the smallest is taken. A form is only ever
//! taken when every value comes back from it byte for byte.

use std::io;

use super::composite::{Parsed, Plan};
use super::gather::Gathered;
use super::hex::{self, HexFormat};
use super::number::{FormatFinder, NumberFormat, any_digits};
use super::time::TimeFormat;
use super::{COMPOSITE, CONSTANT, DICTIONARY, HEX, NUMBER, TEXT, TIME, text};
use crate::bytes::{put_slice, zigzag};
use crate::codec::ints::{self, TokenCounts};
use crate::segment::words::{WordsBuilder, put_words};

/// With fewer distinct values than this, no other form is as small as a dictionary.
const ALWAYS_DICTIONARY: usize = 24;
/// A dictionary takes about so many bytes for each byte of its words.
const WORD_COST: f64 = 0.45;

/// A form that fits, and how many bytes it takes, about.
enum Candidate {
    Dictionary,
    Number(NumberFormat, Vec<u64>),
    Hex(HexFormat),
    Time(TimeFormat, Vec<u64>),
    Composite(Box<Plan>),
    Text,
}

/// Appends what the directory keeps of the column to `params` and the rows to `payload`. `entry_ns`: the times of the rows.
pub(in crate::segment) fn encode(
    column: &Gathered,
    entry_ns: &[i64],
    words: &mut WordsBuilder,
    params: &mut Vec<u8>,
    payload: &mut Vec<u8>,
) -> io::Result<()> {
    if column.distinct() == Some(1) {
        params.push(CONSTANT);
        put_slice(params, column.text(0));
        return Ok(());
    }
    match choose(column, entry_ns, words) {
        Candidate::Dictionary => {
            let (dictionary, ranks) = column.ranked();
            params.push(DICTIONARY);
            let numbers: Vec<u32> = dictionary.iter().map(|word| words.add(word)).collect();
            put_words(&numbers, params);
            ints::encode(&ranks, params, payload);
        }
        Candidate::Number(format, values) => {
            params.push(NUMBER);
            format.write(params);
            ints::encode(&values, params, payload);
        }
        Candidate::Hex(format) => {
            params.extend_from_slice(&[HEX, format.code()]);
            for row in 0..column.rows() {
                put_hex(format, column.get(row), payload);
            }
        }
        Candidate::Time(format, differences) => {
            params.push(TIME);
            format.write(params);
            ints::encode(&differences, params, payload);
        }
        Candidate::Composite(plan) => {
            params.push(COMPOSITE);
            plan.write(params, payload);
        }
        Candidate::Text => {
            params.push(TEXT);
            text::encode(column, params, payload)?;
        }
    }
    Ok(())
}

fn choose(column: &Gathered, entry_ns: &[i64], words: &mut WordsBuilder) -> Candidate {
    if let Some((format, differences)) = times(column, entry_ns) {
        return Candidate::Time(format, differences);
    }
    let mut best = match dictionary_cost(column) {
        Some(cost) if column.distinct().is_some_and(|distinct| distinct <= ALWAYS_DICTIONARY) || cost < 64.0 => {
            return Candidate::Dictionary;
        }
        Some(cost) => (cost, Candidate::Dictionary),
        None => (f64::INFINITY, Candidate::Text),
    };
    let mut offer = |cost: f64, candidate: Candidate| {
        if cost < best.0 {
            best = (cost, candidate);
        }
    };
    if let Some((format, values, cost)) = numbers(column) {
        offer(cost, Candidate::Number(format, values));
        return best.1;
    }
    if let Some(format) = hex_format(column) {
        offer((format.digits() * column.rows()) as f64 / 2.0, Candidate::Hex(format));
        return best.1;
    }
    if let Some(plan) = composite(column, words) {
        offer(plan.cost(), Candidate::Composite(Box::new(plan)));
    }
    // A little more space is fine for what is searched as it stands.
    offer(text::cost(column) * 0.9, Candidate::Text);
    best.1
}

/// Bytes of the column as a dictionary, if it can be one.
fn dictionary_cost(column: &Gathered) -> Option<f64> {
    let distinct = column.distinct()?;
    if (0..distinct).any(|at| memchr::memchr(b'\n', column.text(at)).is_some()) {
        return None;
    }
    let mut counts = vec![0u64; distinct];
    (0..column.rows()).for_each(|row| counts[column.text_of(row)] += 1);
    counts.sort_unstable_by(|a, b| b.cmp(a));
    let rows = column.rows() as f64;
    let bits: f64 = counts.iter().map(|count| -(*count as f64) * (*count as f64 / rows).log2()).sum();
    Some(bits / 8.0 + column.text_bytes() as f64 * WORD_COST + distinct as f64)
}

fn times(column: &Gathered, entry_ns: &[i64]) -> Option<(TimeFormat, Vec<u64>)> {
    let first = TimeFormat::find(column.text(0))?;
    let parse = |format: &TimeFormat| (0..column.texts()).map(|at| format.parse(column.text(at))).collect::<Option<Vec<i64>>>();
    let (format, times) = match parse(&first) {
        Some(times) => (first, times),
        None => {
            let trimmed = first.trimmed()?;
            let times = parse(&trimmed)?;
            (trimmed, times)
        }
    };
    let differences = entry_ns.iter().enumerate().map(|(row, entry_ns)| {
        let difference = format.difference(times[column.text_of(row)], *entry_ns);
        zigzag(difference)
    });
    let differences: Vec<u64> = differences.collect();
    // A column of other numbers that happen to look like times is told by their distance.
    let near = differences.iter().filter(|difference| **difference < u64::MAX / 4).count();
    (near == differences.len()).then_some((format, differences))
}

fn numbers(column: &Gathered) -> Option<(NumberFormat, Vec<u64>, f64)> {
    let mut finder = FormatFinder::default();
    let of_texts: Option<Vec<u64>> = (0..column.texts())
        .map(|at| any_digits(column.text(at)).inspect(|number| finder.add(*number)))
        .collect();
    let of_texts = of_texts?;
    let format = finder.format();
    let values: Vec<u64> = (0..column.rows()).map(|row| format.of_any(of_texts[column.text_of(row)])).collect();
    let (mut plain, mut delta) = (TokenCounts::default(), TokenCounts::default());
    let min = values.iter().copied().min().unwrap_or(0);
    values.iter().for_each(|value| plain.add(value - min));
    values.windows(2).for_each(|pair| delta.add(zigzag(pair[1].wrapping_sub(pair[0]) as i64)));
    let cost = plain.cost().min(delta.cost());
    Some((format, values, cost))
}

fn hex_format(column: &Gathered) -> Option<HexFormat> {
    let format = HexFormat::find(column.text(0))?;
    (1..column.texts()).all(|at| HexFormat::find(column.text(at)) == Some(format)).then_some(format)
}

/// Appends the digits of a text, two a byte.
fn put_hex(format: HexFormat, text: &[u8], payload: &mut Vec<u8>) {
    let mut high = None;
    for byte in text.iter().filter(|byte| **byte != b'-') {
        let digit = hex::number(&[*byte]) as u8;
        match high.take() {
            None => high = Some(digit),
            Some(high) => payload.push(high << 4 | digit),
        }
    }
    debug_assert_eq!(high.is_some(), format.digits() % 2 == 1);
    payload.extend(high.map(|high| high << 4));
}

/// A plan for the column with patterns, of numbers alone or of words, if there are few enough of them.
fn composite(column: &Gathered, words: &mut WordsBuilder) -> Option<Plan> {
    let rows = column.rows();
    let parse = |add: fn(&mut Parsed, &[u8])| {
        let mut parsed = Parsed::default();
        for row in 0..rows {
            add(&mut parsed, column.get(row));
            // Most rows have a pattern of their own: look no further.
            if row % 256 == 255 && parsed.patterns() * 3 > row {
                return None;
            }
        }
        (parsed.patterns() * 4 <= rows + 16).then_some(parsed)
    };
    let parsed = parse(Parsed::add_numbers).or_else(|| parse(Parsed::add_words))?;
    Some(parsed.plan(column, words))
}
