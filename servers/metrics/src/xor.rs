//! Chunks of floats as Prometheus encodes them: times as differences of differences, values as differences in bits.
//!
//! Both directions, for remote read. Encoding after Pelkonen et al., "Gorilla", VLDB 2015, with Prometheus' widths.

/// Samples of a chunk that is decoded at most.
const MAX_SAMPLES: usize = u16::MAX as usize;

struct Bits {
    bytes: Vec<u8>,
    /// Bits used in the last byte.
    used: u8,
}

impl Bits {
    fn bit(&mut self, bit: bool) {
        if self.used == 0 || self.used == 8 {
            self.bytes.push(0);
            self.used = 0;
        }
        if let Some(last) = self.bytes.last_mut() {
            *last |= u8::from(bit) << (7 - self.used);
        }
        self.used += 1;
    }

    fn bits(&mut self, value: u64, count: u32) {
        for at in (0..count).rev() {
            self.bit(value >> at & 1 == 1);
        }
    }

    fn byte(&mut self, byte: u8) {
        self.bits(u64::from(byte), 8);
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.byte(value as u8 | 0x80);
            value >>= 7;
        }
        self.byte(value as u8);
    }
}

/// Encodes samples; there is at least one, and at most 65,535.
pub(crate) fn encode(times: &[i64], values: &[f64]) -> Vec<u8> {
    let count = times.len().min(values.len()).min(MAX_SAMPLES);
    let mut out = Bits { bytes: (count as u16).to_be_bytes().to_vec(), used: 8 };
    let (mut time, mut delta) = (0i64, 0i64);
    let (mut before, mut leading, mut trailing) = (0u64, u32::MAX, 0u32);
    for (at, (t, v)) in times.iter().zip(values).take(count).enumerate() {
        let bits = v.to_bits();
        match at {
            0 => {
                out.varint(((t << 1) ^ (t >> 63)) as u64);
                out.bits(bits, 64);
            }
            _ => {
                let step = t.wrapping_sub(time);
                if at == 1 {
                    out.varint(step as u64);
                } else {
                    time_bits(&mut out, step.wrapping_sub(delta));
                }
                delta = step;
                value_bits(&mut out, bits ^ before, &mut leading, &mut trailing);
            }
        }
        time = *t;
        before = bits;
    }
    out.bytes
}

fn fits(value: i64, bits: u32) -> bool {
    -((1i64 << (bits - 1)) - 1) <= value && value <= 1i64 << (bits - 1)
}

fn time_bits(out: &mut Bits, difference: i64) {
    let widths: [(u64, u32, u32); 3] = [(0b10, 2, 14), (0b110, 3, 17), (0b1110, 4, 20)];
    if difference == 0 {
        return out.bit(false);
    }
    match widths.into_iter().find(|(_, _, width)| fits(difference, *width)) {
        Some((prefix, prefix_len, width)) => {
            out.bits(prefix, prefix_len);
            out.bits(difference as u64, width);
        }
        None => {
            out.bits(0b1111, 4);
            out.bits(difference as u64, 64);
        }
    }
}

fn value_bits(out: &mut Bits, xor: u64, leading: &mut u32, trailing: &mut u32) {
    if xor == 0 {
        return out.bit(false);
    }
    out.bit(true);
    let (zeros, tail) = (xor.leading_zeros().min(31), xor.trailing_zeros());
    if *leading != u32::MAX && zeros >= *leading && tail >= *trailing {
        out.bit(false);
        return out.bits(xor >> *trailing, 64 - *leading - *trailing);
    }
    (*leading, *trailing) = (zeros, tail);
    let significant = 64 - zeros - tail;
    out.bit(true);
    out.bits(u64::from(zeros), 5);
    // 64 does not fit into six bits and is written as 0, which would stand for nothing else.
    out.bits(u64::from(significant & 63), 6);
    out.bits(xor >> tail, significant);
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn bit(&mut self) -> Option<bool> {
        let byte = self.bytes.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1 == 1;
        self.at += 1;
        Some(bit)
    }

    fn bits(&mut self, count: u32) -> Option<u64> {
        let mut value = 0;
        for _ in 0..count {
            value = value << 1 | u64::from(self.bit()?);
        }
        Some(value)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.bits(8)?;
            value |= (byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

/// Decodes a chunk, calling `each` with every sample; `None` when it is damaged.
pub(crate) fn decode(chunk: &[u8], mut each: impl FnMut(i64, f64)) -> Option<()> {
    let (head, rest) = chunk.split_at_checked(2)?;
    let count = u16::from_be_bytes([head[0], head[1]]);
    let mut reader = Reader { bytes: rest, at: 0 };
    let (mut time, mut delta, mut bits) = (0i64, 0i64, 0u64);
    let (mut leading, mut trailing) = (0u32, 0u32);
    for at in 0..count {
        match at {
            0 => {
                let zigzag = reader.varint()?;
                time = (zigzag >> 1) as i64 ^ -((zigzag & 1) as i64);
                bits = reader.bits(64)?;
            }
            _ => {
                if at == 1 {
                    delta = reader.varint()? as i64;
                } else {
                    delta = delta.wrapping_add(read_time_bits(&mut reader)?);
                }
                time = time.wrapping_add(delta);
                if reader.bit()? {
                    if reader.bit()? {
                        leading = reader.bits(5)? as u32;
                        let significant = match reader.bits(6)? as u32 {
                            0 => 64,
                            bits => bits,
                        };
                        trailing = 64u32.checked_sub(leading)?.checked_sub(significant)?;
                    }
                    bits ^= reader.bits(64 - leading - trailing)? << trailing;
                }
            }
        }
        each(time, f64::from_bits(bits));
    }
    Some(())
}

fn read_time_bits(reader: &mut Reader<'_>) -> Option<i64> {
    let mut ones = 0;
    while ones < 4 && reader.bit()? {
        ones += 1;
    }
    let width = match ones {
        0 => return Some(0),
        1 => 14,
        2 => 17,
        3 => 20,
        _ => return Some(reader.bits(64)? as i64),
    };
    let bits = reader.bits(width)?;
    Some(if bits > 1 << (width - 1) { bits as i64 - (1 << width) } else { bits as i64 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peers_bytes() {
        // Two samples: varint of the time, eight bytes of the value, then the step and one bit for an equal value.
        assert_eq!(encode(&[1, 3], &[1.0, 1.0]), [0, 2, 2, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0, 2, 0]);
    }

    #[test]
    fn samples_come_back_bit_by_bit() {
        let mut random = fastrand::Rng::with_seed(7);
        for round in 0..200 {
            let count = 1 + random.usize(..200);
            let mut time = random.i64(-1 << 40..1 << 40);
            let (mut times, mut values) = (Vec::new(), Vec::new());
            for _ in 0..count {
                let width = random.u8(1..40);
                let step = if round % 3 == 0 { 15_000 } else { 1 + random.i64(0..1 << width) };
                time += step;
                times.push(time);
                values.push(match random.u8(..5) {
                    0 => f64::from_bits(random.u64(..)),
                    1 => model::STALE_NAN,
                    2 => -0.0,
                    3 => 1.5,
                    _ => f64::from(random.i32(..)),
                });
            }
            let chunk = encode(&times, &values);
            let mut seen = Vec::new();
            decode(&chunk, |time, value| seen.push((time, value.to_bits()))).unwrap();
            let want: Vec<_> = times.iter().copied().zip(values.iter().map(|v| v.to_bits())).collect();
            assert_eq!(seen, want);
            // Whatever is missing, nothing panics.
            for cut in 0..chunk.len() {
                let _ = decode(&chunk[..cut], |_, _| {});
            }
        }
    }
}
