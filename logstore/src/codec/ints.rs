//! Columns of integers: the smallest of constant, packed, and entropy-coded as they are, as differences, or as repetitions.
//!
//! [`encode`] looks at a whole column and gives [`Ints`], what a directory keeps of it, and the payload. Entropy-coded
//! columns are cut into blocks of [`BLOCK_ROWS`] rows, each decodable on its own with the column's one model; packed ones are read
//! at any row.
//!
//! A number becomes a token (the number itself when small, else its magnitude in quarter octaves) and the bits below: tokens
//! have a model, bits do not.

use crate::bytes::{Cursor, Malformed, put_signed, put_varint, unzigzag, zigzag};
use crate::codec::ans::{DecodeTable, Decoder, EncodeTable, Encoder, Histogram, LOGS, Model, log_for};
use crate::codec::bits::{BitReader, BitWriter};

/// Rows of a block.
pub(crate) const BLOCK_ROWS: usize = 512;

/// Token of a number, how many bits follow, and these bits.
#[inline]
pub(crate) fn token(value: u64) -> (u8, u32, u64) {
    if value < 16 {
        return (value as u8, 0, 0);
    }
    let magnitude = 63 - value.leading_zeros();
    let bits = magnitude - 2;
    let token = 16 + (magnitude - 4) * 4 + (value >> bits & 3) as u32;
    (token as u8, bits, value & ((1 << bits) - 1))
}

/// Number of bits that follow a token.
#[inline(always)]
fn token_bits(token: u8) -> u32 {
    if token < 16 { 0 } else { (u32::from(token) - 16) / 4 + 2 }
}

/// The number of a token whose bits come next.
#[inline(always)]
pub(crate) fn untoken(token: u8, reader: &mut BitReader<'_>) -> Result<u64, Malformed> {
    if token < 16 {
        return Ok(u64::from(token));
    }
    let bits = token_bits(token);
    Ok((4 + u64::from(token & 3)) << bits | reader.take_long(bits)?)
}

/// Counts tokens and the bits that follow them.
pub(crate) struct TokenCounts {
    pub(crate) histogram: Histogram,
    bits: u64,
}

impl Default for TokenCounts {
    fn default() -> Self {
        Self { histogram: [0; 256], bits: 0 }
    }
}

impl TokenCounts {
    #[inline]
    pub(crate) fn add(&mut self, value: u64) {
        let (token, bits, _) = token(value);
        self.histogram[usize::from(token)] += 1;
        self.bits += u64::from(bits);
    }

    /// Bytes of the numbers and their model, about.
    pub(crate) fn cost(&self) -> f64 {
        (Model::cost_bits(&self.histogram) + self.bits as f64) / 8.0 + Model::size(&self.histogram) as f64
    }
}

/// One number of many in a stream of several models: always the same, or a token and bits.
#[derive(Clone, Debug)]
pub(crate) enum NumberModel {
    /// It takes no space.
    Constant(u64),
    /// Less `min`, under a model.
    Coded {
        /// Least of them.
        min: u64,
        /// Model of the tokens.
        table: DecodeTable,
    },
}

/// The side of a [`NumberModel`] that writes.
#[derive(Clone, Debug)]
pub(crate) struct NumberEncoder {
    min: u64,
    model: Option<(Model, EncodeTable)>,
    cost: f64,
}

impl NumberEncoder {
    /// For these numbers and no others.
    pub(crate) fn new(values: impl Iterator<Item = u64> + Clone, log: u32) -> Self {
        let min = values.clone().min().unwrap_or(0);
        let mut counts = TokenCounts::default();
        let mut constant = true;
        for value in values {
            constant &= value == min;
            counts.add(value - min);
        }
        let model = if constant { None } else { Some(Model::of(&counts.histogram, log)) };
        // Streams choose their `log` by their length (`log_for`).
        let model = model.map(|model| model.expect("a stream has at least as many states as tokens"));
        let cost = if constant { 2.0 } else { counts.cost() };
        Self { min, model: model.map(|model| (model.clone(), model.encode_table())), cost }
    }

    /// Bytes of the numbers and the model, about.
    pub(crate) fn cost(&self) -> f64 {
        self.cost
    }

    /// Adds a number to a stream.
    #[inline]
    pub(crate) fn encode(&self, encoder: &mut Encoder, value: u64) {
        if let Some((_, table)) = &self.model {
            let (token, bits, low) = token(value - self.min);
            encoder.bits(low, bits);
            encoder.symbol(table, token);
        }
    }

    /// Appends what [`NumberModel::read`] reads.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.model.is_some()));
        put_varint(out, self.min);
        if let Some((model, _)) = &self.model {
            model.write(out);
        }
    }
}

impl NumberModel {
    /// Reads what [`NumberEncoder::write`] wrote, for streams with this `log`.
    pub(crate) fn read(cursor: &mut Cursor<'_>, log: u32) -> Result<Self, Malformed> {
        let coded = cursor.byte()?;
        let min = cursor.varint()?;
        match coded {
            0 => Ok(Self::Constant(min)),
            1 => Ok(Self::Coded { min, table: Model::read(cursor, log)?.decode_table() }),
            _ => Err(cursor.malformed("unknown kind of number")),
        }
    }

    /// Takes the next number from a stream.
    #[inline]
    pub(crate) fn decode(&self, decoder: &mut Decoder<'_>) -> Result<u64, Malformed> {
        match self {
            Self::Constant(value) => Ok(*value),
            Self::Coded { min, table } => {
                let token = decoder.symbol(table)?;
                Ok(min.wrapping_add(untoken(token, decoder.bits())?))
            }
        }
    }

    /// Bytes of memory.
    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            Self::Constant(_) => 0,
            Self::Coded { table, .. } => table.heap_bytes(),
        }
    }
}

/// How a column of integers is kept.
#[derive(Clone, Debug)]
pub(crate) struct Ints {
    rows: usize,
    min: u64,
    mode: Mode,
}

#[derive(Clone, Debug)]
enum Mode {
    /// Every number is `min`.
    Constant,
    /// Each number less `min` in so many bits.
    Packed(u32),
    /// Tokens of the transformed numbers, in blocks.
    Coded { transform: Transform, table: DecodeTable, ends: Vec<u32> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transform {
    /// Each number less `min`.
    Plain,
    /// The difference to the number before less a usual one, zigzag; a block begins with its first number less `min` in so many bits.
    Delta { bits: u32, usual: u64 },
    /// 0: the number before again; else the number less `min` plus 1.
    Repeat,
}

const CONSTANT: u8 = 0;
const PACKED: u8 = 1;
const PLAIN: u8 = 2;
const DELTA: u8 = 3;
const REPEAT: u8 = 4;

fn width(value: u64) -> u32 {
    64 - value.leading_zeros()
}

/// Appends what the directory keeps to `params` and the numbers to `payload`.
pub(crate) fn encode(values: &[u64], params: &mut Vec<u8>, payload: &mut Vec<u8>) {
    let min = values.iter().copied().min().unwrap_or(0);
    let max = values.iter().copied().max().unwrap_or(0);
    let range_bits = width(max - min);
    if range_bits == 0 {
        params.push(CONSTANT);
        put_varint(params, min);
        return;
    }
    let usual = usual_difference(values);
    let (mut plain, mut delta, mut repeat) = (TokenCounts::default(), TokenCounts::default(), TokenCounts::default());
    for block in values.chunks(BLOCK_ROWS) {
        let mut last = None;
        for value in block {
            plain.add(value - min);
            if let Some(last) = last {
                delta.add(zigzag(value.wrapping_sub(last).wrapping_sub(usual) as i64));
            }
            repeat.add(if last == Some(*value) { 0 } else { (value - min).saturating_add(1) });
            last = Some(*value);
        }
    }
    let blocks = values.len().div_ceil(BLOCK_ROWS);
    let packed_cost = values.len() as f64 * f64::from(range_bits) / 8.0;
    let overhead = blocks as f64 * 4.0;
    let coded = [
        (Transform::Plain, plain.cost() + overhead, &plain),
        (Transform::Delta { bits: range_bits, usual }, delta.cost() + overhead + blocks as f64 * f64::from(range_bits) / 8.0, &delta),
        (Transform::Repeat, repeat.cost() + overhead, &repeat),
    ];
    let best = coded.into_iter().filter(|(t, ..)| *t != Transform::Repeat || range_bits < 64).min_by(|a, b| a.1.total_cmp(&b.1));
    // Packed numbers are read at any row: a little more space is fine.
    let model = best.filter(|(_, cost, _)| *cost < packed_cost * 0.97).and_then(|(transform, _, counts)| {
        // A column of one row has no difference to model.
        Some((transform, Model::of(&counts.histogram, log_for(values.len()))?))
    });
    match model {
        None => {
            params.push(PACKED);
            put_varint(params, min);
            put_varint(params, u64::from(range_bits));
            let mut writer = BitWriter::default();
            values.iter().for_each(|value| writer.put(value - min, range_bits));
            writer.finish_into(payload);
        }
        Some((transform, model)) => {
            params.push(match transform {
                Transform::Plain => PLAIN,
                Transform::Delta { .. } => DELTA,
                Transform::Repeat => REPEAT,
            });
            put_varint(params, min);
            if let Transform::Delta { bits, usual } = transform {
                put_varint(params, u64::from(bits));
                put_signed(params, usual as i64);
            }
            params.push(model.log() as u8);
            model.write(params);
            encode_blocks(values, min, transform, &model, params, payload);
        }
    }
}

/// The median of some differences of neighbours.
fn usual_difference(values: &[u64]) -> u64 {
    let step = (values.len() / 512).max(1);
    let differences = values.windows(2).step_by(step).map(|pair| pair[1].wrapping_sub(pair[0]) as i64);
    let mut differences: Vec<i64> = differences.collect();
    if differences.is_empty() {
        return 0;
    }
    let middle = differences.len() / 2;
    *differences.select_nth_unstable(middle).1 as u64
}

fn encode_blocks(
    values: &[u64],
    min: u64,
    transform: Transform,
    model: &Model,
    params: &mut Vec<u8>,
    payload: &mut Vec<u8>,
) {
    let table = model.encode_table();
    let mut encoder = Encoder::new(model.log());
    let mut writer = BitWriter::default();
    for block in values.chunks(BLOCK_ROWS) {
        let start = payload.len();
        for (row, value) in block.iter().enumerate().rev() {
            let last = row.checked_sub(1).map(|row| block[row]);
            let number = match (transform, last) {
                (Transform::Plain, _) => value - min,
                (Transform::Delta { usual, .. }, Some(last)) => zigzag(value.wrapping_sub(last).wrapping_sub(usual) as i64),
                (Transform::Delta { .. }, None) => continue,
                (Transform::Repeat, last) if last == Some(*value) => 0,
                (Transform::Repeat, _) => value - min + 1,
            };
            let (token, bits, low) = token(number);
            encoder.bits(low, bits);
            encoder.symbol(&table, token);
        }
        if let Transform::Delta { bits, .. } = transform {
            writer.put(block[0] - min, bits);
        }
        encoder.finish(&mut writer);
        writer.finish_into(payload);
        put_varint(params, (payload.len() - start) as u64);
    }
}

impl Ints {
    /// Reads what the directory keeps of a column of `rows` rows.
    pub(crate) fn read(cursor: &mut Cursor<'_>, rows: usize) -> Result<Self, Malformed> {
        let kind = cursor.byte()?;
        let min = cursor.varint()?;
        let transform = match kind {
            CONSTANT => return Ok(Self { rows, min, mode: Mode::Constant }),
            PACKED => {
                let bits = cursor.bounded(64, "numbers are wider than 64 bits")? as u32;
                return Ok(Self { rows, min, mode: Mode::Packed(bits) });
            }
            PLAIN => Transform::Plain,
            DELTA => Transform::Delta {
                bits: cursor.bounded(64, "numbers are wider than 64 bits")? as u32,
                usual: cursor.signed()? as u64,
            },
            REPEAT => Transform::Repeat,
            _ => return Err(cursor.malformed("unknown kind of integers")),
        };
        let table = read_table(cursor)?;
        let blocks = rows.div_ceil(BLOCK_ROWS);
        if blocks > cursor.remaining() {
            return Err(cursor.malformed("more blocks than bytes"));
        }
        let mut ends = Vec::with_capacity(blocks);
        let mut end = 0u32;
        for _ in 0..blocks {
            let len = cursor.bounded(u32::MAX as usize, "block is too long")? as u32;
            end = end.checked_add(len).ok_or_else(|| cursor.malformed("column is too long"))?;
            ends.push(end);
        }
        Ok(Self { rows, min, mode: Mode::Coded { transform, table, ends } })
    }

    /// Number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes of memory.
    pub(crate) fn heap_bytes(&self) -> usize {
        match &self.mode {
            Mode::Coded { table, ends, .. } => table.heap_bytes() + ends.len() * 4,
            _ => 0,
        }
    }

    /// Bytes of the payload.
    pub(crate) fn payload_len(&self) -> usize {
        match &self.mode {
            Mode::Constant => 0,
            Mode::Packed(bits) => (self.rows * *bits as usize).div_ceil(8),
            Mode::Coded { ends, .. } => ends.last().copied().unwrap_or(0) as usize,
        }
    }

    /// The one number of the column, when it has but one.
    pub(crate) fn constant(&self) -> Option<u64> {
        matches!(self.mode, Mode::Constant).then_some(self.min)
    }

    /// Bytes of the payload that rows `first..first + count` need, padding not included.
    pub(crate) fn extent(&self, first: usize, count: usize) -> std::ops::Range<usize> {
        match &self.mode {
            _ if count == 0 => 0..0,
            Mode::Constant => 0..0,
            Mode::Packed(bits) => {
                let bits = *bits as usize;
                first * bits / 8..((first + count) * bits).div_ceil(8)
            }
            Mode::Coded { ends, .. } => {
                let block = first / BLOCK_ROWS;
                let start = if block == 0 { 0 } else { ends[block - 1] as usize };
                start..ends[(first + count - 1) / BLOCK_ROWS] as usize
            }
        }
    }

    /// Appends rows `first..first + count` to `out`. `payload`: the bytes of [`Ints::extent`] and at least the padding after them.
    pub(crate) fn decode(
        &self,
        payload: &[u8],
        first: usize,
        count: usize,
        out: &mut Vec<u64>,
    ) -> Result<(), Malformed> {
        if first.checked_add(count).is_none_or(|end| end > self.rows) {
            return Err(Malformed { what: "rows lie outside the column", at: 0 });
        }
        out.reserve(count);
        match &self.mode {
            Mode::Constant => out.resize(out.len() + count, self.min),
            Mode::Packed(bits) => {
                let mut reader = BitReader::new(payload);
                reader.seek(first * *bits as usize % 8);
                for _ in 0..count {
                    out.push(self.min.wrapping_add(reader.take_long(*bits)?));
                }
            }
            Mode::Coded { transform, table, ends } => {
                let begin = self.extent(first, count).start;
                let (mut row, end) = (first, first + count);
                while row < end {
                    let block = row / BLOCK_ROWS;
                    let start = if block == 0 { 0 } else { ends[block - 1] as usize } - begin;
                    let bytes = payload.get(start..).ok_or(Malformed { what: "block is missing", at: start })?;
                    let of_block = (row % BLOCK_ROWS)..(end - block * BLOCK_ROWS).min(BLOCK_ROWS);
                    decode_block(bytes, self.min, *transform, table, of_block.clone(), out)?;
                    row += of_block.len();
                }
            }
        }
        Ok(())
    }
}

/// Reads the number of states and a model.
pub(crate) fn read_table(cursor: &mut Cursor<'_>) -> Result<DecodeTable, Malformed> {
    let log = u32::from(cursor.byte()?);
    if !LOGS.contains(&log) {
        return Err(cursor.malformed("model with a number of states that cannot be"));
    }
    Ok(Model::read(cursor, log)?.decode_table())
}

fn decode_block(
    bytes: &[u8],
    min: u64,
    transform: Transform,
    table: &DecodeTable,
    rows: std::ops::Range<usize>,
    out: &mut Vec<u64>,
) -> Result<(), Malformed> {
    let mut reader = BitReader::new(bytes);
    match transform {
        Transform::Plain => {
            let mut decoder = Decoder::new(reader, table.log())?;
            for _ in 0..rows.start {
                let token = decoder.symbol(table)?;
                decoder.bits().skip(token_bits(token));
            }
            for _ in rows {
                let token = decoder.symbol(table)?;
                out.push(min.wrapping_add(untoken(token, decoder.bits())?));
            }
        }
        Transform::Delta { bits, usual } => {
            let mut value = min.wrapping_add(reader.take_long(bits)?);
            let mut decoder = Decoder::new(reader, table.log())?;
            for row in 0..rows.end {
                if row > 0 {
                    let token = decoder.symbol(table)?;
                    let difference = unzigzag(untoken(token, decoder.bits())?) as u64;
                    value = value.wrapping_add(usual).wrapping_add(difference);
                }
                if row >= rows.start {
                    out.push(value);
                }
            }
        }
        Transform::Repeat => {
            let mut decoder = Decoder::new(reader, table.log())?;
            let mut value = min;
            for row in 0..rows.end {
                let token = decoder.symbol(table)?;
                let number = untoken(token, decoder.bits())?;
                if number > 0 {
                    value = min.wrapping_add(number - 1);
                }
                if row >= rows.start {
                    out.push(value);
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::bits::PADDING;
    use proptest::prelude::*;

    fn check(values: &[u64]) -> (u8, usize) {
        let (mut params, mut payload) = (Vec::new(), Vec::new());
        encode(values, &mut params, &mut payload);
        let mut cursor = Cursor::new(&params);
        let ints = Ints::read(&mut cursor, values.len()).unwrap();
        cursor.finish().unwrap();
        assert_eq!(ints.payload_len(), payload.len());
        let size = params.len() + payload.len();
        payload.extend_from_slice(&[0; PADDING]);
        let mut out = Vec::new();
        for (first, count) in [(0, values.len()), (values.len() / 3, values.len() / 2), (values.len() / 2, 1), (0, 0)] {
            let count = count.min(values.len() - first);
            let extent = ints.extent(first, count);
            out.clear();
            ints.decode(&payload[extent.start..extent.end + PADDING], first, count, &mut out).unwrap();
            assert_eq!(out, values[first..first + count]);
        }
        assert!(ints.decode(&payload, values.len(), 1, &mut out).is_err());
        (params[0], size)
    }

    #[test]
    fn the_right_form_is_chosen() {
        let noise = |i: u64| xxhash_rust::xxh3::xxh3_64(&i.to_le_bytes());
        let cases: [(&str, Vec<u64>, u8, usize); 8] = [
            ("empty", vec![], CONSTANT, 2),
            ("constant", vec![77; 5000], CONSTANT, 2),
            ("random", (0..5000).map(|i| noise(i) % 65_536).collect(), PACKED, 10_010),
            ("few", vec![9, 1, 3], PACKED, 5),
            ("rising", (0..5000).map(|i| i * 1_000 + noise(i) % 16).collect(), DELTA, 4_500),
            ("runs", (0..5000).map(|i| noise(i / 100) % 50).collect(), REPEAT, 260),
            ("skewed", (0..5000).map(|i| if noise(i) % 50 == 0 { noise(i) % 7 } else { 3 }).collect(), PLAIN, 180),
            ("extremes", vec![0, u64::MAX, 1, u64::MAX - 1, u64::MAX / 2], DELTA, 50),
        ];
        for (what, values, kind, most) in cases {
            let (got, size) = check(&values);
            assert_eq!(got, kind, "{what}");
            assert!(size <= most, "{what}: {size} bytes");
        }
    }

    #[test]
    fn tokens_come_back() {
        for shift in 0..64 {
            for around in 0..5u64 {
                let value = (1u64 << shift).wrapping_add(around).wrapping_sub(2);
                let (token, bits, low) = token(value);
                assert_eq!(bits, token_bits(token));
                let mut writer = BitWriter::default();
                writer.put(low, bits);
                let mut bytes = Vec::new();
                writer.finish_into(&mut bytes);
                bytes.extend_from_slice(&[0; PADDING]);
                assert_eq!(untoken(token, &mut BitReader::new(&bytes)).unwrap(), value);
            }
        }
    }

    proptest! {
        #[test]
        fn columns_come_back(values in prop_oneof![
            prop::collection::vec(any::<u64>(), 0..40),
            prop::collection::vec(0u64..5, 0..1500),
            prop::collection::vec(prop_oneof![9 => 0u64..3, 1 => any::<u64>().prop_map(|v| v >> 1)], 0..1500),
            prop::collection::vec(0u64..1000, 0..1200).prop_map(|mut v| { v.sort_unstable(); v }),
        ]) {
            check(&values);
        }

        #[test]
        fn damage_does_no_harm(values in prop::collection::vec(0u64..300, 1..700), at in any::<prop::sample::Index>(), bit in 0..8u8, params_too in any::<bool>()) {
            let (mut params, mut payload) = (Vec::new(), Vec::new());
            encode(&values, &mut params, &mut payload);
            if params_too || payload.is_empty() {
                let at = at.index(params.len());
                params[at] ^= 1u8 << bit;
            } else {
                let at = at.index(payload.len());
                payload[at] ^= 1u8 << bit;
            }
            payload.extend_from_slice(&[0; PADDING]);
            if let Ok(ints) = Ints::read(&mut Cursor::new(&params), values.len()) {
                let mut out = Vec::new();
                let extent = ints.extent(0, values.len());
                if let Some(bytes) = payload.get(extent) {
                    let _ = ints.decode(bytes, 0, values.len(), &mut out);
                }
            }
        }
    }
}
