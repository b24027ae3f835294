//! Reading and writing the integers of the store's own formats: LEB128, zigzag, little-endian.
//!
//! [`Cursor`] reads bytes that may be damaged: every read says where it failed, none panics, none allocates.
//! Used by the WAL records and by the segment format; writers append to a `Vec<u8>`.

/// Why bytes could not be read: what was wanted, and where in the slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} (at byte {at})")]
pub(crate) struct Malformed {
    /// What was wanted or found.
    pub(crate) what: &'static str,
    /// Offset in the slice that was read.
    pub(crate) at: usize,
}

/// Appends `value` as LEB128.
#[inline]
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends `value` in zigzag LEB128.
#[inline]
pub(crate) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put_varint(out, zigzag(value));
}

/// Appends a length and the bytes.
pub(crate) fn put_slice(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Small numbers of either sign become small unsigned ones.
#[inline]
pub(crate) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// Inverse of [`zigzag`].
#[inline]
pub(crate) fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// A place in a slice from which values are read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Where the next read begins.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// Bytes not yet read.
    pub(crate) fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub(crate) fn malformed(&self, what: &'static str) -> Malformed {
        Malformed { what, at: self.at }
    }

    #[inline]
    pub(crate) fn byte(&mut self) -> Result<u8, Malformed> {
        let byte = *self.bytes.get(self.at).ok_or(Malformed { what: "a byte is missing", at: self.at })?;
        self.at += 1;
        Ok(byte)
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let end = self.at.checked_add(len).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or(Malformed { what: "bytes are missing", at: self.at })?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            if shift == 63 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.malformed("varint is longer than 64 bits"))
    }

    #[inline]
    pub(crate) fn signed(&mut self) -> Result<i64, Malformed> {
        self.varint().map(unzigzag)
    }

    /// A varint that has to be at most `limit`.
    pub(crate) fn bounded(&mut self, limit: usize, what: &'static str) -> Result<usize, Malformed> {
        let at = self.at;
        let value = self.varint()?;
        usize::try_from(value).ok().filter(|v| *v <= limit).ok_or(Malformed { what, at })
    }

    /// A count of things that take at least one byte each: never more than what is left.
    pub(crate) fn count(&mut self) -> Result<usize, Malformed> {
        let limit = self.remaining();
        self.bounded(limit, "a count is greater than the bytes left")
    }

    /// A length and as many bytes.
    pub(crate) fn slice(&mut self) -> Result<&'a [u8], Malformed> {
        let limit = self.remaining();
        let len = self.bounded(limit, "a length is greater than the bytes left")?;
        self.take(len)
    }

    /// A length and as many bytes of UTF-8.
    pub(crate) fn text(&mut self) -> Result<&'a str, Malformed> {
        let at = self.at;
        std::str::from_utf8(self.slice()?).map_err(|_| Malformed { what: "text is not UTF-8", at })
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Malformed> {
        let bytes = self.take(4)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Malformed> {
        let low = u64::from(self.u32()?);
        Ok(low | u64::from(self.u32()?) << 32)
    }

    /// Everything has to be read by now.
    pub(crate) fn finish(&self) -> Result<(), Malformed> {
        if self.remaining() == 0 { Ok(()) } else { Err(self.malformed("bytes are left over")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn refuses_what_does_not_fit() {
        assert!(Cursor::new(&[0xff; 9]).varint().is_err());
        assert!(Cursor::new(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]).varint().is_err());
        assert!(Cursor::new(&[5, 1, 2]).slice().is_err());
        assert!(Cursor::new(&[200, 1]).count().is_err());
        assert!(Cursor::new(&[1, 0xff]).text().is_err());
        assert!(Cursor::new(&[1]).finish().is_err());
    }

    proptest! {
        #[test]
        fn integers_come_back(values in prop::collection::vec(any::<i64>(), 0..20)) {
            let mut out = Vec::new();
            for value in &values {
                put_signed(&mut out, *value);
                put_varint(&mut out, *value as u64);
            }
            let mut cursor = Cursor::new(&out);
            for value in &values {
                prop_assert_eq!(cursor.signed().unwrap(), *value);
                prop_assert_eq!(cursor.varint().unwrap(), *value as u64);
            }
            prop_assert!(cursor.finish().is_ok());
        }
    }
}
