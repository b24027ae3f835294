//! Reading and writing integers in bytes: LEB128 varints, zigzag, fixed little-endian.
//!
//! [`Cursor`] reads bytes of unknown origin: every read is checked and returns [`Damaged`] instead of panicking, and
//! lengths are compared with what is left before anything is allocated.

/// Bytes that do not say what they should; the text names what was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Damaged(pub(crate) &'static str);

/// What a decoder returns.
pub(crate) type Decoded<T> = Result<T, Damaged>;

/// Appends a LEB128 varint (1 to 10 bytes).
#[inline]
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a signed integer, zigzag-coded, as a varint.
#[inline]
pub(crate) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put_varint(out, zigzag(value));
}

/// Small magnitudes become small unsigned numbers: 0, -1, 1, -2 → 0, 1, 2, 3.
#[inline]
pub(crate) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// Inverse of [`zigzag`].
#[inline]
pub(crate) fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// Reads forward through bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Bytes not yet read.
    #[inline]
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    #[inline]
    pub(crate) fn u8(&mut self) -> Decoded<u8> {
        let (&first, rest) = self.rest.split_first().ok_or(Damaged("the bytes end early"))?;
        self.rest = rest;
        Ok(first)
    }

    #[inline]
    pub(crate) fn take(&mut self, len: usize) -> Decoded<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Damaged("the bytes end early"))?;
        self.rest = rest;
        Ok(taken)
    }

    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Decoded<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(Damaged("the bytes end early"))?;
        self.rest = rest;
        Ok(*taken)
    }

    #[inline]
    pub(crate) fn u32(&mut self) -> Decoded<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    #[inline]
    pub(crate) fn u64(&mut self) -> Decoded<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    #[inline]
    pub(crate) fn varint(&mut self) -> Decoded<u64> {
        let first = self.u8()?;
        if first < 0x80 {
            return Ok(u64::from(first));
        }
        let mut value = u64::from(first & 0x7f);
        let mut shift = 7;
        loop {
            let byte = self.u8()?;
            if shift == 63 && byte > 1 {
                return Err(Damaged("a varint is longer than 64 bits"));
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
            shift += 7;
        }
    }

    #[inline]
    pub(crate) fn signed(&mut self) -> Decoded<i64> {
        Ok(unzigzag(self.varint()?))
    }

    /// A count or length that must not exceed `limit`.
    #[inline]
    pub(crate) fn length(&mut self, limit: usize, what: &'static str) -> Decoded<usize> {
        match usize::try_from(self.varint()?) {
            Ok(len) if len <= limit => Ok(len),
            _ => Err(Damaged(what)),
        }
    }

    /// A varint that fits 32 bits.
    #[inline]
    pub(crate) fn varint32(&mut self, what: &'static str) -> Decoded<u32> {
        u32::try_from(self.varint()?).map_err(|_| Damaged(what))
    }

    /// Bytes preceded by their length.
    pub(crate) fn prefixed(&mut self) -> Decoded<&'a [u8]> {
        let len = self.length(self.rest.len(), "a length points past the end")?;
        self.take(len)
    }
}

/// Appends bytes preceded by their length.
pub(crate) fn put_prefixed(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn varints_take_the_documented_lengths() {
        for (value, len) in [(0, 1), (127, 1), (128, 2), (16_383, 2), (16_384, 3), (u64::MAX >> 1, 9), (u64::MAX, 10)] {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            assert_eq!(out.len(), len, "{value}");
            assert_eq!(Cursor::new(&out).varint(), Ok(value));
        }
    }

    #[test]
    fn broken_varints_are_refused() {
        assert!(Cursor::new(&[]).varint().is_err());
        assert!(Cursor::new(&[0x80]).varint().is_err());
        assert!(Cursor::new(&[0xff; 10]).varint().is_err());
        assert!(Cursor::new(&[0xff; 11]).varint().is_err());
        assert!(Cursor::new(&[5, 1]).prefixed().is_err());
    }

    proptest! {
        #[test]
        fn integers_round_trip(unsigned: u64, signed: i64) {
            let mut out = Vec::new();
            put_varint(&mut out, unsigned);
            put_signed(&mut out, signed);
            let mut cursor = Cursor::new(&out);
            prop_assert_eq!(cursor.varint(), Ok(unsigned));
            prop_assert_eq!(cursor.signed(), Ok(signed));
            prop_assert!(cursor.is_empty());
        }
    }
}
