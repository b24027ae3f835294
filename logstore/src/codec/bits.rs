//! Bits, least significant first.
//!
//! A reader takes words of eight bytes at any byte; writers therefore end every payload with [`PADDING`] zero bytes, so that
//! reading the last bits never needs a special case. Reading past the end is an error, never a panic.

use crate::bytes::Malformed;

/// Bytes after the last bit of a payload that readers may touch.
pub(crate) const PADDING: usize = 8;

/// Appends bits to bytes.
#[derive(Debug, Default)]
pub(crate) struct BitWriter {
    bytes: Vec<u8>,
    word: u64,
    used: u32,
}

impl BitWriter {
    /// Appends the low `count` bits of `value`; the others have to be 0.
    #[inline]
    pub(crate) fn put(&mut self, value: u64, count: u32) {
        debug_assert!(count == 64 || value >> count == 0);
        if count == 0 {
            return;
        }
        self.word |= value << self.used;
        self.used += count;
        if self.used >= 64 {
            self.bytes.extend_from_slice(&self.word.to_le_bytes());
            self.used -= 64;
            self.word = if self.used == 0 { 0 } else { value >> (count - self.used) };
        }
    }

    /// Fills the last byte with zero bits, appends all bytes to `out` and starts anew.
    pub(crate) fn finish_into(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.bytes);
        let tail = self.word.to_le_bytes();
        out.extend_from_slice(&tail[..self.used.div_ceil(8) as usize]);
        self.word = 0;
        self.used = 0;
    }
}

/// Reads bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BitReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> BitReader<'a> {
    /// Reads from the beginning of `bytes`, which end with padding.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Goes to a bit.
    pub(crate) fn seek(&mut self, bit: usize) {
        self.at = bit;
    }

    /// The next bits without taking them: at least 57 are there, the rest is undefined.
    #[inline(always)]
    pub(crate) fn peek(&self) -> Result<u64, Malformed> {
        match self.bytes.get(self.at >> 3..).and_then(<[u8]>::first_chunk::<8>) {
            Some(word) => Ok(u64::from_le_bytes(*word) >> (self.at & 7)),
            None => Err(self.end()),
        }
    }

    /// Takes bits that were seen.
    #[inline(always)]
    pub(crate) fn skip(&mut self, count: u32) {
        self.at += count as usize;
    }

    /// Takes up to 56 bits.
    #[inline(always)]
    pub(crate) fn take(&mut self, count: u32) -> Result<u64, Malformed> {
        let value = self.peek()? & ((1u64 << count) - 1);
        self.skip(count);
        Ok(value)
    }

    /// Takes up to 64 bits.
    #[inline]
    pub(crate) fn take_long(&mut self, count: u32) -> Result<u64, Malformed> {
        if count <= 56 {
            return self.take(count);
        }
        let low = self.take(32)?;
        Ok(low | self.take(count - 32)? << 32)
    }

    #[cold]
    fn end(&self) -> Malformed {
        Malformed { what: "bits are missing", at: self.at >> 3 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bits_come_back(values in prop::collection::vec((any::<u64>(), 0u32..=64), 0..50)) {
            let values: Vec<(u64, u32)> =
                values.into_iter().map(|(v, n)| (if n == 64 { v } else { v & ((1 << n) - 1) }, n)).collect();
            let mut writer = BitWriter::default();
            for (value, count) in &values {
                writer.put(*value, *count);
            }
            let mut bytes = vec![1, 2, 3];
            writer.finish_into(&mut bytes);
            let bits: u32 = values.iter().map(|(_, n)| n).sum();
            prop_assert_eq!(bytes.len() - 3, bits.div_ceil(8) as usize);
            bytes.extend_from_slice(&[0; PADDING]);
            let mut reader = BitReader::new(&bytes[3..]);
            for (value, count) in &values {
                prop_assert_eq!(reader.take_long(*count).unwrap(), *value);
            }
            reader.seek(bytes.len() * 8);
            prop_assert!(reader.take(1).is_err());
        }
    }
}
