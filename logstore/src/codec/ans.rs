//! Table-driven asymmetric numeral systems: an entropy coder whose decoder is one table look-up and one read a symbol.
//!
//! A [`Model`] says how often each of up to 256 symbols occurs, in parts of 2^`log`, the number of states. One stream may take
//! its symbols from many models with the same `log`, one after the other: the state passes from table to table. Symbols of a
//! stream are encoded last to first ([`Encoder`]) and decoded first to last ([`Decoder`]); bits that are not worth a model
//! (the low bits of numbers) travel between them.
//!
//! After Duda, "Asymmetric numeral systems", 2013, in the table layout of Collet's finite state entropy.

use crate::bytes::{Cursor, Malformed, put_varint};
use crate::codec::bits::{BitReader, BitWriter};

/// Least and greatest logarithm of the number of states. A model of all 256 symbols needs 8 at least.
pub(crate) const LOGS: std::ops::RangeInclusive<u32> = 5..=11;

/// How often symbols occur: for each its share of 2^`log`, ascending by symbol. The shares add up to that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Model {
    log: u32,
    shares: Vec<(u8, u16)>,
}

/// The logarithm that fits streams of about so many symbols in all: more states cost memory and tell little more.
pub(crate) fn log_for(symbols: usize) -> u32 {
    (usize::BITS - symbols.leading_zeros()).clamp(*LOGS.start(), *LOGS.end())
}

/// Counts of symbols.
pub(crate) type Histogram = [u32; 256];

impl Model {
    /// The model of counted symbols; `None` when nothing was counted, or more symbols than states. Every counted symbol gets a share.
    pub(crate) fn of(histogram: &Histogram, log: u32) -> Option<Self> {
        let states = 1u64 << log;
        let total: u64 = histogram.iter().map(|c| u64::from(*c)).sum();
        if total == 0 || histogram.iter().filter(|count| **count > 0).count() as u64 > states {
            return None;
        }
        let counted = || histogram.iter().enumerate().filter(|(_, count)| **count > 0);
        let mut shares: Vec<(u8, u16)> = counted()
            .map(|(symbol, count)| (symbol as u8, ((u64::from(*count) * states / total) as u16).max(1)))
            .collect();
        let mut sum: i64 = shares.iter().map(|(_, share)| i64::from(*share)).sum();
        // Give or take what is left where it changes the length of the code least.
        while sum != states as i64 {
            let step = (states as i64 - sum).signum();
            let gain = |(symbol, share): &(u8, u16)| {
                let (count, share) = (f64::from(histogram[usize::from(*symbol)]), f64::from(*share));
                count * ((share + step as f64) / share).log2()
            };
            let open = shares.iter_mut().filter(|(_, share)| step > 0 || *share > 1);
            let best = open.max_by(|a, b| gain(a).total_cmp(&gain(b)));
            let Some((_, share)) = best else { return None };
            // Far off in one stride, the rest one by one.
            let stride = ((states as i64 - sum).abs() / 4).clamp(1, if step > 0 { i64::MAX } else { 1 });
            *share = (i64::from(*share) + step * stride) as u16;
            sum += step * stride;
        }
        Some(Self { log, shares })
    }

    pub(crate) fn log(&self) -> u32 {
        self.log
    }

    /// Bits that these symbols take under their own model, about.
    pub(crate) fn cost_bits(histogram: &Histogram) -> f64 {
        let total: f64 = histogram.iter().map(|c| f64::from(*c)).sum();
        let bits = |count: &u32| {
            let share = (f64::from(*count) / total).max(1.0 / 2048.0);
            -f64::from(*count) * share.log2()
        };
        histogram.iter().filter(|count| **count > 0).map(bits).sum()
    }

    /// Bytes that [`Model::write`] takes, about.
    pub(crate) fn size(histogram: &Histogram) -> usize {
        1 + 2 * histogram.iter().filter(|count| **count > 0).count()
    }

    /// Appends the model: number of symbols less one, then for each the distance to the one before and its share.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.push((self.shares.len() - 1) as u8);
        let mut next = 0u8;
        for (symbol, share) in &self.shares {
            out.push(symbol - next);
            put_varint(out, u64::from(*share));
            next = symbol.wrapping_add(1);
        }
    }

    /// Reads a model that was written with this `log`.
    pub(crate) fn read(cursor: &mut Cursor<'_>, log: u32) -> Result<Self, Malformed> {
        let states = 1 << log;
        let count = usize::from(cursor.byte()?) + 1;
        let mut shares = Vec::with_capacity(count);
        let (mut next, mut sum) = (0usize, 0usize);
        for _ in 0..count {
            let symbol = next + usize::from(cursor.byte()?);
            let share = cursor.bounded(states, "a share is greater than the whole")?;
            if symbol > 255 || share == 0 {
                return Err(cursor.malformed("model with a symbol or share that cannot be"));
            }
            shares.push((symbol as u8, share as u16));
            next = symbol + 1;
            sum += share;
        }
        if sum != states {
            return Err(cursor.malformed("shares of a model do not add up"));
        }
        Ok(Self { log, shares })
    }

    /// The symbol of each state. Symbols are spread evenly.
    fn spread(&self) -> Vec<u8> {
        let states = 1 << self.log;
        let mut symbols = vec![0; states];
        let mut at = 0;
        for (symbol, share) in &self.shares {
            for _ in 0..*share {
                symbols[at] = *symbol;
                at = (at + (states >> 1) + (states >> 3) + 3) % states;
            }
        }
        symbols
    }

    pub(crate) fn encode_table(&self) -> EncodeTable {
        let states_len = 1usize << self.log;
        let mut starts = [0u16; 256];
        let mut symbols = [Transform::default(); 256];
        let mut total = 0i32;
        for (symbol, share) in &self.shares {
            let share = u32::from(*share);
            let bits = if share == 1 { self.log } else { self.log - (31 - (share - 1).leading_zeros()) };
            let transform = Transform {
                bits: (bits << 16) as i32 - (share << bits) as i32,
                first: total - share as i32,
            };
            symbols[usize::from(*symbol)] = transform;
            starts[usize::from(*symbol)] = total as u16;
            total += share as i32;
        }
        let mut states = vec![0; states_len];
        for (state, symbol) in self.spread().into_iter().enumerate() {
            let at = &mut starts[usize::from(symbol)];
            states[usize::from(*at)] = (states_len + state) as u16;
            *at += 1;
        }
        EncodeTable { states, symbols }
    }

    pub(crate) fn decode_table(&self) -> DecodeTable {
        let mut next = [0u16; 256];
        for (symbol, share) in &self.shares {
            next[usize::from(*symbol)] = *share;
        }
        let entries = self.spread().into_iter().map(|symbol| {
            let state = u32::from(next[usize::from(symbol)]);
            next[usize::from(symbol)] += 1;
            let bits = self.log - (31 - state.leading_zeros());
            let base = (state << bits) - (1 << self.log);
            u32::from(symbol) | bits << 8 | base << 16
        });
        DecodeTable { entries: entries.collect(), log: self.log }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Transform {
    /// Added to a state, the number of bits to put out is in the upper half.
    bits: i32,
    /// Where the states of the symbol begin, less its share.
    first: i32,
}

/// What an encoder needs of a model.
#[derive(Clone, Debug)]
pub(crate) struct EncodeTable {
    states: Vec<u16>,
    symbols: [Transform; 256],
}

/// Encodes one stream, last symbol first.
#[derive(Debug)]
pub(crate) struct Encoder {
    log: u32,
    state: u32,
    /// What the decoder reads, in reverse.
    stack: Vec<(u64, u32)>,
}

impl Encoder {
    pub(crate) fn new(log: u32) -> Self {
        Self { log, state: 1 << log, stack: Vec::new() }
    }

    /// Adds bits that the decoder reads after the symbol that is added next.
    #[inline]
    pub(crate) fn bits(&mut self, value: u64, count: u32) {
        if count > 0 {
            self.stack.push((value, count));
        }
    }

    /// Adds a symbol. It has to have a share in the table's model.
    #[inline]
    pub(crate) fn symbol(&mut self, table: &EncodeTable, symbol: u8) {
        let transform = table.symbols[usize::from(symbol)];
        let bits = (self.state as i32).wrapping_add(transform.bits) as u32 >> 16;
        self.bits(u64::from(self.state & ((1 << bits) - 1)), bits);
        self.state = u32::from(table.states[((self.state >> bits) as i32 + transform.first) as usize]);
    }

    /// Writes the stream: the state, then the bits in the order of reading. Starts anew.
    pub(crate) fn finish(&mut self, out: &mut BitWriter) {
        out.put(u64::from(self.state - (1 << self.log)), self.log);
        while let Some((value, count)) = self.stack.pop() {
            out.put(value, count);
        }
        self.state = 1 << self.log;
    }
}

/// What a decoder needs of a model: for each state symbol, number of bits to read, and what to add to them.
#[derive(Clone, Debug)]
pub(crate) struct DecodeTable {
    entries: Vec<u32>,
    log: u32,
}

impl DecodeTable {
    pub(crate) fn log(&self) -> u32 {
        self.log
    }

    /// Bytes of memory.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.entries.len() * 4
    }
}

/// Decodes one stream, first symbol first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decoder<'a> {
    reader: BitReader<'a>,
    state: usize,
}

impl<'a> Decoder<'a> {
    pub(crate) fn new(mut reader: BitReader<'a>, log: u32) -> Result<Self, Malformed> {
        let state = reader.take(log)? as usize;
        Ok(Self { reader, state })
    }

    /// The next symbol.
    #[inline(always)]
    pub(crate) fn symbol(&mut self, table: &DecodeTable) -> Result<u8, Malformed> {
        // A state is less than 2^log by construction, whatever the bits are.
        let entry = table.entries[self.state];
        let bits = entry >> 8 & 0xff;
        self.state = (entry >> 16) as usize + self.reader.take(bits)? as usize;
        Ok(entry as u8)
    }

    /// The next symbol, and the reader for the bits that follow it.
    #[inline(always)]
    pub(crate) fn bits(&mut self) -> &mut BitReader<'a> {
        &mut self.reader
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::bits::PADDING;
    use proptest::prelude::*;

    fn histogram(symbols: &[u8]) -> Histogram {
        let mut histogram = [0; 256];
        for symbol in symbols {
            histogram[usize::from(*symbol)] += 1;
        }
        histogram
    }

    fn round_trip(streams: &[(Vec<u8>, Vec<u8>)]) -> usize {
        // Two models in turns, with bits in between.
        let log = 9;
        let a = Model::of(&histogram(&streams.iter().flat_map(|(a, _)| a.clone()).collect::<Vec<_>>()), log);
        let b = Model::of(&histogram(&streams.iter().flat_map(|(_, b)| b.clone()).collect::<Vec<_>>()), log);
        let (Some(a), Some(b)) = (a, b) else { return 0 };
        let mut bytes = Vec::new();
        a.write(&mut bytes);
        b.write(&mut bytes);
        let mut cursor = Cursor::new(&bytes);
        assert_eq!(Model::read(&mut cursor, log).unwrap(), a);
        assert_eq!(Model::read(&mut cursor, log).unwrap(), b);
        let (ea, eb) = (a.encode_table(), b.encode_table());
        let (da, db) = (a.decode_table(), b.decode_table());
        let mut encoder = Encoder::new(log);
        let mut payload = Vec::new();
        let mut writer = BitWriter::default();
        let mut starts = Vec::new();
        for (a, b) in streams {
            starts.push(payload.len());
            for i in (0..a.len().max(b.len())).rev() {
                if let Some(symbol) = b.get(i) {
                    encoder.symbol(&eb, *symbol);
                }
                if let Some(symbol) = a.get(i) {
                    encoder.bits(u64::from(*symbol) * 3, 11);
                    encoder.symbol(&ea, *symbol);
                }
            }
            encoder.finish(&mut writer);
            writer.finish_into(&mut payload);
        }
        let len = payload.len();
        payload.extend_from_slice(&[0; PADDING]);
        for ((a, b), start) in streams.iter().zip(starts) {
            let mut decoder = Decoder::new(BitReader::new(&payload[start..]), log).unwrap();
            for i in 0..a.len().max(b.len()) {
                if let Some(symbol) = a.get(i) {
                    assert_eq!(decoder.symbol(&da).unwrap(), *symbol);
                    assert_eq!(decoder.bits().take(11).unwrap(), u64::from(*symbol) * 3);
                }
                if let Some(symbol) = b.get(i) {
                    assert_eq!(decoder.symbol(&db).unwrap(), *symbol);
                }
            }
        }
        len
    }

    #[test]
    fn comes_close_to_the_entropy() {
        let symbols: Vec<u8> = (0..40_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8 % 10).map(|x| x * x / 9).collect();
        let len = round_trip(&[(Vec::new(), vec![0]), (Vec::new(), Vec::new())]);
        assert!(len < 4);
        let bits = Model::cost_bits(&histogram(&symbols));
        let mut encoder = Encoder::new(11);
        let table = Model::of(&histogram(&symbols), 11).unwrap().encode_table();
        symbols.iter().rev().for_each(|symbol| encoder.symbol(&table, *symbol));
        let mut writer = BitWriter::default();
        encoder.finish(&mut writer);
        let mut out = Vec::new();
        writer.finish_into(&mut out);
        let got = out.len() as f64 * 8.0;
        assert!(got < bits * 1.01 + 32.0, "{got} bits for an entropy of {bits}");
    }

    #[test]
    fn refuses_models_that_cannot_be() {
        for bytes in [&[][..], &[0, 0, 1], &[1, 0, 0x80, 0x08, 0, 0xff, 0x07], &[1, 255, 0x80, 0x08, 9, 0x80, 0x08], &[0, 3, 0]] {
            assert!(Model::read(&mut Cursor::new(bytes), 11).is_err(), "{bytes:?}");
        }
        assert!(Model::read(&mut Cursor::new(&[0, 3, 0x80, 0x10]), 11).is_ok());
        assert_eq!(Model::of(&[0; 256], 11), None);
        assert_eq!(Model::of(&[1; 256], 7), None);
        let skewed = std::array::from_fn(|i| if i == 0 { 1_000_000 } else { 1 });
        assert_eq!(Model::of(&skewed, 8).unwrap().shares.len(), 256);
        assert_eq!(Model::of(&skewed, 11).unwrap().shares.len(), 256);
    }

    proptest! {
        #[test]
        fn streams_come_back(streams in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..200), prop::collection::vec(0u8..3, 1..100)), 1..4)) {
            round_trip(&streams);
        }
    }
}
