//! The protobuf wire format: a reader of borrowed fields and a writer into one buffer.
//!
//! [`Reader`] walks the fields of one message and yields [`Field`]s whose bytes are slices of the input; nothing is
//! built. Submessages are read by a new reader over the field's bytes, so nesting is the caller's own call depth.
//! Groups (a form nobody writes any more) are skipped, with a bound on their nesting.
//! Format: <https://protobuf.dev/programming-guides/encoding/>.

use crate::{Error, Result};

/// Groups inside groups deeper than this are refused.
const MAX_GROUP_DEPTH: usize = 32;

/// Value of a field as the wire has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// Wire type 0.
    Varint(u64),
    /// Wire type 1.
    Fixed64(u64),
    /// Wire type 2: a string, bytes, a submessage or packed numbers.
    Bytes(&'a [u8]),
    /// Wire type 5.
    Fixed32(u32),
}

/// A field of a message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Field<'a> {
    /// Its number.
    pub number: u32,
    /// Its value.
    pub value: Value<'a>,
}

impl<'a> Field<'a> {
    /// Bytes of a length-delimited field.
    ///
    /// # Errors
    /// When the field has another wire type.
    #[inline]
    pub fn bytes(&self) -> Result<&'a [u8]> {
        match self.value {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(wrong_type("length-delimited")),
        }
    }

    /// A string field, checked to be UTF-8.
    ///
    /// # Errors
    /// When the field has another wire type or is not UTF-8.
    #[inline]
    pub fn str(&self) -> Result<&'a str> {
        utf8(self.bytes()?)
    }

    /// An unsigned integer.
    ///
    /// # Errors
    /// When the field has another wire type.
    #[inline]
    pub fn u64(&self) -> Result<u64> {
        match self.value {
            Value::Varint(value) => Ok(value),
            _ => Err(wrong_type("varint")),
        }
    }

    /// An `int64` (two's complement).
    ///
    /// # Errors
    /// When the field has another wire type.
    #[inline]
    pub fn i64(&self) -> Result<i64> {
        Ok(self.u64()? as i64)
    }

    /// An `int32`, `uint32` or enum number: the low 32 bits, as every implementation reads them.
    ///
    /// # Errors
    /// When the field has another wire type.
    #[inline]
    pub fn i32(&self) -> Result<i32> {
        Ok(self.u64()? as i32)
    }

    /// A `sint64` (zigzag).
    ///
    /// # Errors
    /// When the field has another wire type.
    #[inline]
    pub fn sint64(&self) -> Result<i64> {
        Ok(unzigzag(self.u64()?))
    }

    /// A `sint32` (zigzag).
    ///
    /// # Errors
    /// When the field has another wire type.
    #[inline]
    pub fn sint32(&self) -> Result<i32> {
        Ok(unzigzag(self.u64()? & 0xffff_ffff) as i32)
    }

    /// A boolean.
    ///
    /// # Errors
    /// When the field has another wire type.
    #[inline]
    pub fn bool(&self) -> Result<bool> {
        Ok(self.u64()? != 0)
    }

    /// A `double`.
    ///
    /// # Errors
    /// When the field has another wire type.
    #[inline]
    pub fn f64(&self) -> Result<f64> {
        Ok(f64::from_bits(self.fixed64()?))
    }

    /// A `fixed64`.
    ///
    /// # Errors
    /// When the field has another wire type.
    #[inline]
    pub fn fixed64(&self) -> Result<u64> {
        match self.value {
            Value::Fixed64(value) => Ok(value),
            _ => Err(wrong_type("64-bit")),
        }
    }

    /// A `fixed32`.
    ///
    /// # Errors
    /// When the field has another wire type.
    #[inline]
    pub fn fixed32(&self) -> Result<u32> {
        match self.value {
            Value::Fixed32(value) => Ok(value),
            _ => Err(wrong_type("32-bit")),
        }
    }

    /// Appends the numbers of a repeated integer field, packed or not.
    ///
    /// # Errors
    /// When the field is neither, or a packed number is cut short.
    pub fn push_varints(&self, mut push: impl FnMut(u64)) -> Result<()> {
        match self.value {
            Value::Varint(value) => push(value),
            Value::Bytes(bytes) => {
                let mut reader = Reader::new(bytes);
                while !reader.is_done() {
                    push(reader.varint()?);
                }
            }
            _ => return Err(wrong_type("varint")),
        }
        Ok(())
    }

    /// Appends the numbers of a repeated 64-bit field, packed or not.
    ///
    /// # Errors
    /// When the field is neither, or a packed number is cut short.
    pub fn push_fixed64(&self, mut push: impl FnMut(u64)) -> Result<()> {
        match self.value {
            Value::Fixed64(value) => push(value),
            Value::Bytes(bytes) => {
                let chunks = bytes.chunks_exact(8);
                if !chunks.remainder().is_empty() {
                    return Err(Error::Proto { what: "packed 64-bit field cut short", offset: bytes.len() });
                }
                for chunk in chunks {
                    push(u64::from_le_bytes(chunk.try_into().unwrap_or_default()));
                }
            }
            _ => return Err(wrong_type("64-bit")),
        }
        Ok(())
    }
}

fn wrong_type(wanted: &'static str) -> Error {
    let what = match wanted {
        "length-delimited" => "field is not length-delimited",
        "varint" => "field is not a varint",
        "64-bit" => "field is not 64-bit",
        _ => "field is not 32-bit",
    };
    Error::Proto { what, offset: 0 }
}

/// Calls `read` for each field of a message.
///
/// # Errors
/// What [`Reader::next_field`] or `read` says.
#[inline]
pub fn each_field<'a>(bytes: &'a [u8], mut read: impl FnMut(Field<'a>) -> Result<()>) -> Result<()> {
    let mut reader = Reader::new(bytes);
    while let Some(field) = reader.next_field()? {
        read(field)?;
    }
    Ok(())
}

/// Zigzag decoding.
#[inline]
pub fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// Zigzag encoding.
#[inline]
pub fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

/// Checks that bytes are UTF-8.
///
/// # Errors
/// When they are not.
#[inline]
pub fn utf8(bytes: &[u8]) -> Result<&str> {
    simdutf8::basic::from_utf8(bytes).map_err(|_| Error::Proto { what: "string is not UTF-8", offset: 0 })
}

/// Walks the fields of one message.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// A reader over one message.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// A reader that begins inside a message, at the beginning of a field.
    #[inline]
    pub(crate) fn at(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    /// What is not read yet.
    #[inline]
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or(&[])
    }

    /// Goes over the next `bytes` of [`Reader::rest`].
    #[inline]
    pub(crate) fn skip(&mut self, bytes: usize) {
        self.at = (self.at + bytes).min(self.bytes.len());
    }

    /// Offset of the next byte.
    pub fn offset(&self) -> usize {
        self.at
    }

    /// True when all bytes are read.
    #[inline]
    pub fn is_done(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// The next field, `None` at the end of the message.
    ///
    /// # Errors
    /// When the message is cut short, a field number is 0 or a wire type is unknown.
    #[inline]
    pub fn next_field(&mut self) -> Result<Option<Field<'a>>> {
        loop {
            if self.is_done() {
                return Ok(None);
            }
            let key = self.varint()?;
            let number = u32::try_from(key >> 3).map_err(|_| self.error("field number out of range"))?;
            if number == 0 {
                return Err(self.error("field number 0"));
            }
            let value = match key & 7 {
                0 => Value::Varint(self.varint()?),
                1 => Value::Fixed64(self.fixed64()?),
                2 => Value::Bytes(self.delimited()?),
                3 => {
                    self.skip_group(number)?;
                    continue;
                }
                5 => Value::Fixed32(self.fixed32()?),
                _ => return Err(self.error("unknown wire type")),
            };
            return Ok(Some(Field { number, value }));
        }
    }

    /// A bare varint.
    ///
    /// # Errors
    /// When it is cut short or longer than 64 bits.
    #[inline]
    pub fn varint(&mut self) -> Result<u64> {
        let rest = self.bytes.get(self.at..).unwrap_or(&[]);
        if let Some(first) = rest.first()
            && *first < 0x80
        {
            self.at += 1;
            return Ok(u64::from(*first));
        }
        let mut value = 0u64;
        for (index, byte) in rest.iter().take(10).enumerate() {
            if index == 9 && *byte > 1 {
                return Err(self.error("varint overflows 64 bits"));
            }
            value |= u64::from(byte & 0x7f) << (7 * index);
            if *byte < 0x80 {
                self.at += index + 1;
                return Ok(value);
            }
        }
        Err(self.error("varint cut short"))
    }

    /// A length and that many bytes.
    ///
    /// # Errors
    /// When fewer bytes are left.
    #[inline]
    pub fn delimited(&mut self) -> Result<&'a [u8]> {
        let len = usize::try_from(self.varint()?).map_err(|_| self.error("length out of range"))?;
        let end = self.at.checked_add(len).ok_or_else(|| self.error("length out of range"))?;
        let bytes = self.bytes.get(self.at..end).ok_or_else(|| self.error("field cut short"))?;
        self.at = end;
        Ok(bytes)
    }

    #[inline]
    fn fixed64(&mut self) -> Result<u64> {
        let bytes = self.bytes.get(self.at..self.at + 8).ok_or_else(|| self.error("64-bit field cut short"))?;
        self.at += 8;
        Ok(u64::from_le_bytes(bytes.try_into().unwrap_or_default()))
    }

    #[inline]
    fn fixed32(&mut self) -> Result<u32> {
        let bytes = self.bytes.get(self.at..self.at + 4).ok_or_else(|| self.error("32-bit field cut short"))?;
        self.at += 4;
        Ok(u32::from_le_bytes(bytes.try_into().unwrap_or_default()))
    }

    fn skip_group(&mut self, number: u32) -> Result<()> {
        let mut open = vec![number];
        while let Some(innermost) = open.last().copied() {
            let key = self.varint()?;
            let number = u32::try_from(key >> 3).map_err(|_| self.error("field number out of range"))?;
            match key & 7 {
                0 => drop(self.varint()?),
                1 => drop(self.fixed64()?),
                2 => drop(self.delimited()?),
                5 => drop(self.fixed32()?),
                3 if open.len() < MAX_GROUP_DEPTH => open.push(number),
                3 => return Err(self.error("groups nested too deep")),
                4 if number == innermost => drop(open.pop()),
                4 => return Err(self.error("group ends under another number")),
                _ => return Err(self.error("unknown wire type")),
            }
        }
        Ok(())
    }

    #[cold]
    fn error(&self, what: &'static str) -> Error {
        Error::Proto { what, offset: self.at }
    }
}

/// Writes messages into one buffer. Default values are written too: the caller leaves out what it wants left out.
#[derive(Debug, Default)]
pub struct Writer {
    out: Vec<u8>,
}

impl Writer {
    /// An empty writer.
    pub fn new() -> Self {
        Self::default()
    }

    /// A writer that goes on behind what `out` holds.
    pub fn over(out: Vec<u8>) -> Self {
        Self { out }
    }

    /// The bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.out
    }

    /// The bytes so far.
    pub fn as_bytes(&self) -> &[u8] {
        &self.out
    }

    /// Removes what was written, keeps the memory.
    pub fn clear(&mut self) {
        self.out.clear();
    }

    /// A bare varint.
    #[inline]
    pub fn raw_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.out.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.out.push(value as u8);
    }

    #[inline]
    fn key(&mut self, number: u32, wire_type: u64) {
        self.raw_varint(u64::from(number) << 3 | wire_type);
    }

    /// An integer field (`int64` by two's complement).
    #[inline]
    pub fn varint(&mut self, number: u32, value: u64) {
        self.key(number, 0);
        self.raw_varint(value);
    }

    /// A `double` field.
    #[inline]
    pub fn double(&mut self, number: u32, value: f64) {
        self.fixed64(number, value.to_bits());
    }

    /// A `fixed64` field.
    #[inline]
    pub fn fixed64(&mut self, number: u32, value: u64) {
        self.key(number, 1);
        self.out.extend_from_slice(&value.to_le_bytes());
    }

    /// A string, bytes or ready-made submessage field.
    #[inline]
    pub fn bytes(&mut self, number: u32, value: &[u8]) {
        self.key(number, 2);
        self.raw_varint(value.len() as u64);
        self.out.extend_from_slice(value);
    }

    /// A submessage written by a closure. Its length is patched in afterwards, moving its bytes only when it needs more
    /// than one byte of length.
    pub fn message(&mut self, number: u32, write: impl FnOnce(&mut Self)) {
        self.key(number, 2);
        self.delimited(write);
    }

    /// A length and then what the closure writes: an entry of a delimited stream.
    pub fn delimited(&mut self, write: impl FnOnce(&mut Self)) {
        let start = self.out.len();
        self.out.push(0);
        write(self);
        let mut len = self.out.len() - start - 1;
        if len < 0x80 {
            self.out[start] = len as u8;
            return;
        }
        let mut prefix = [0u8; 10];
        let mut count = 0;
        loop {
            prefix[count] = if len >= 0x80 { len as u8 | 0x80 } else { len as u8 };
            count += 1;
            len >>= 7;
            if len == 0 {
                break;
            }
        }
        self.out.splice(start..start + 1, prefix[..count].iter().copied());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_each_wire_type_and_skips_groups() {
        let mut writer = Writer::new();
        writer.varint(1, 300);
        writer.bytes(2, b"hi");
        writer.double(3, 1.5);
        writer.out.extend_from_slice(&[0x23, 0x0a, 0x01, 0x78, 0x2b, 0x2c, 0x24]); // group 4 {field 1, group 5 {}}
        writer.out.extend_from_slice(&[0x35, 1, 0, 0, 0]);
        let bytes = writer.into_bytes();
        let mut reader = Reader::new(&bytes);
        let mut got = Vec::new();
        while let Some(field) = reader.next_field().unwrap() {
            got.push((field.number, field.value));
        }
        assert_eq!(
            got,
            [
                (1, Value::Varint(300)),
                (2, Value::Bytes(b"hi")),
                (3, Value::Fixed64(1.5f64.to_bits())),
                (6, Value::Fixed32(1))
            ]
        );
    }

    #[test]
    fn refuses_what_is_broken() {
        let deep: Vec<u8> = vec![0x0b; 100];
        let cases: [&[u8]; 8] =
            [&[0x00], &[0x08], &[0x08, 0xff], &[0x0a, 5, 1], &[0x09, 1], &[0x0f], &[0x0b, 0x14], &deep];
        for bytes in cases {
            assert!(Reader::new(bytes).next_field().is_err(), "{bytes:?}");
        }
        let long = [&[0x08u8][..], &[0xff; 9], &[2]].concat();
        assert!(Reader::new(&long).next_field().is_err());
    }

    #[test]
    fn long_submessages_get_long_lengths() {
        for len in [0usize, 1, 127, 128, 16_383, 16_384, 70_000] {
            let mut writer = Writer::new();
            writer.message(1, |m| m.out.extend(std::iter::repeat_n(7, len)));
            writer.varint(2, 1);
            let bytes = writer.into_bytes();
            let mut reader = Reader::new(&bytes);
            assert_eq!(reader.next_field().unwrap().unwrap().bytes().unwrap().len(), len);
            assert_eq!(reader.next_field().unwrap().unwrap().u64(), Ok(1));
        }
    }

    proptest! {
        #[test]
        fn varints_round_trip(value in any::<u64>(), signed in any::<i64>()) {
            let mut writer = Writer::new();
            writer.raw_varint(value);
            prop_assert_eq!(Reader::new(writer.as_bytes()).varint(), Ok(value));
            prop_assert_eq!(unzigzag(zigzag(signed)), signed);
        }

        #[test]
        fn any_bytes_end(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut reader = Reader::new(&bytes);
            while let Ok(Some(_)) = reader.next_field() {}
        }
    }
}
