//! Bits, highest first, and big-endian integers, as Prometheus writes them.

use crate::codec::bytes::{Cursor, Damaged, Decoded, unzigzag};

/// Reads bits from the highest of each byte on.
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> BitReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) fn bit(&mut self) -> Decoded<bool> {
        let byte = self.bytes.get(self.at / 8).ok_or(Damaged("a chunk ends early"))?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Ok(bit == 1)
    }

    pub(super) fn bits(&mut self, count: u32) -> Decoded<u64> {
        let mut value = 0;
        let mut left = count as usize;
        while left > 0 {
            let byte = *self.bytes.get(self.at / 8).ok_or(Damaged("a chunk ends early"))?;
            let room = 8 - self.at % 8;
            let take = room.min(left);
            let part = u64::from(byte) >> (room - take) & ((1 << take) - 1);
            value = value << take | part;
            self.at += take;
            left -= take;
        }
        Ok(value)
    }

    /// An integer of some bits in two's complement, of which only the lowest value stands for its positive self.
    fn signed_bits(&mut self, count: u32) -> Decoded<i64> {
        let value = self.bits(count)?;
        if count < 64 && value > 1 << (count - 1) {
            return Ok((value as i64) - (1 << count));
        }
        Ok(value as i64)
    }

    pub(super) fn varint(&mut self) -> Decoded<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.bits(8)?;
            value |= (byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Damaged("a varint is longer than 64 bits"))
    }

    pub(super) fn signed(&mut self) -> Decoded<i64> {
        self.varint().map(unzigzag)
    }

    /// Number of ones before the next zero, at most `limit`.
    fn ones(&mut self, limit: usize) -> Decoded<usize> {
        for count in 0..limit {
            if !self.bit()? {
                return Ok(count);
            }
        }
        Ok(limit)
    }

    /// A difference of differences of times in a chunk of floats.
    pub(super) fn time_step(&mut self) -> Decoded<i64> {
        match self.ones(4)? {
            0 => Ok(0),
            1 => self.signed_bits(14),
            2 => self.signed_bits(17),
            3 => self.signed_bits(20),
            _ => self.bits(64).map(|bits| bits as i64),
        }
    }

    /// A signed integer behind a prefix that says its width.
    pub(super) fn varbit(&mut self) -> Decoded<i64> {
        match self.ones(8)?.checked_sub(1) {
            None => Ok(0),
            Some(at) => self.signed_bits(VARBITS.get(at).copied().unwrap_or(64)),
        }
    }

    /// As [`BitReader::varbit`], without a sign.
    pub(super) fn varbit_unsigned(&mut self) -> Decoded<u64> {
        match self.ones(8)?.checked_sub(1) {
            None => Ok(0),
            Some(at) => self.bits(VARBITS.get(at).copied().unwrap_or(64)),
        }
    }
}

const VARBITS: [u32; 8] = [3, 6, 9, 12, 18, 25, 56, 64];

/// A float that follows on another by the bits in which they differ.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct XorFloat {
    pub(super) value: f64,
    leading: u32,
    trailing: u32,
}

impl XorFloat {
    pub(super) fn new(value: f64) -> Self {
        Self { value, leading: 0, trailing: 0 }
    }

    pub(super) fn next(&mut self, bits: &mut BitReader<'_>) -> Decoded<f64> {
        if bits.bit()? {
            if bits.bit()? {
                self.leading = bits.bits(5)? as u32;
                let significant = match bits.bits(6)? as u32 {
                    0 => 64,
                    significant => significant,
                };
                self.trailing =
                    64u32.checked_sub(self.leading + significant).ok_or(Damaged("a value has more than 64 bits"))?;
            }
            let changed = bits.bits(64 - self.leading - self.trailing)?;
            self.value = f64::from_bits(self.value.to_bits() ^ changed << self.trailing);
        }
        Ok(self.value)
    }
}

/// Big-endian integers and Go's varints behind a [`Cursor`].
pub(super) trait BigEndian {
    fn be32(&mut self) -> Decoded<u32>;
    fn be64(&mut self) -> Decoded<u64>;
    fn text(&mut self) -> Decoded<&str>;
}

impl BigEndian for Cursor<'_> {
    fn be32(&mut self) -> Decoded<u32> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    fn be64(&mut self) -> Decoded<u64> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    fn text(&mut self) -> Decoded<&str> {
        std::str::from_utf8(self.prefixed()?).map_err(|_| Damaged("text is not UTF-8"))
    }
}

/// Whether bytes have this CRC-32C. A fuzzer would never get past it to what lies behind.
pub(super) fn fits(bytes: &[u8], crc: u32) -> bool {
    crc32c(bytes) == crc || cfg!(fuzzing)
}

/// CRC-32C (Castagnoli).
pub(super) fn crc32c(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut at = 0;
        while at < 256 {
            let mut crc = at as u32;
            let mut bit = 0;
            while bit < 8 {
                crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
                bit += 1;
            }
            table[at] = crc;
            at += 1;
        }
        table
    };
    !bytes.iter().fold(!0u32, |crc, byte| crc >> 8 ^ TABLE[((crc ^ u32::from(*byte)) & 0xff) as usize])
}
