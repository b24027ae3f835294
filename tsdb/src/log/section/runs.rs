//! The columns of a section: series numbers and timestamps as runs, surprises as bits or gaps. Writers and readers side by side.

use super::MAX_SECTION_SAMPLES;
use crate::codec::bytes::{Cursor, Damaged, Decoded, put_prefixed, put_signed, put_varint};

/// Series numbers as runs: (length, whether the number repeats or counts up, distance from where the last run would go on).
#[derive(Default)]
pub(super) struct NumberRuns {
    bytes: Vec<u8>,
    start: u32,
    last: u32,
    len: u64,
    counts: bool,
    expected: i64,
}

impl NumberRuns {
    #[inline]
    pub(super) fn push(&mut self, number: u32) {
        match self.len {
            0 => {
                self.start = number;
                self.len = 1;
            }
            1 if number == self.last || number == self.last.wrapping_add(1) => {
                self.counts = number != self.last;
                self.len = 2;
            }
            len if len > 1 && number == self.last.wrapping_add(u32::from(self.counts)) => self.len += 1,
            _ => {
                self.flush();
                self.start = number;
                self.len = 1;
            }
        }
        self.last = number;
    }

    fn flush(&mut self) {
        if self.len > 0 {
            put_varint(&mut self.bytes, (self.len - 1) << 1 | u64::from(self.counts));
            put_signed(&mut self.bytes, i64::from(self.start) - self.expected);
            self.expected = i64::from(self.last) + 1;
        }
        self.len = 0;
        self.counts = false;
    }

    /// Appends the runs and empties the writer.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        self.flush();
        put_prefixed(out, &self.bytes);
        self.bytes.clear();
        self.expected = 0;
    }
}

pub(super) struct NumberReader<'a> {
    part: Cursor<'a>,
    expected: i64,
    left: u64,
    step: u32,
    now: u32,
}

impl<'a> NumberReader<'a> {
    pub(super) fn new(part: &'a [u8]) -> Self {
        Self { part: Cursor::new(part), expected: 0, left: 0, step: 0, now: 0 }
    }

    #[inline]
    pub(super) fn next(&mut self) -> Decoded<u32> {
        if self.left > 0 {
            self.left -= 1;
            self.now = self.now.checked_add(self.step).ok_or(Damaged("a series number is out of range"))?;
        } else {
            let token = self.part.varint()?;
            let start = self.expected.wrapping_add(self.part.signed()?);
            self.now = u32::try_from(start).map_err(|_| Damaged("a series number is out of range"))?;
            self.left = token >> 1;
            self.step = (token & 1) as u32;
        }
        self.expected = i64::from(self.now) + 1;
        Ok(self.now)
    }

    pub(super) fn is_done(&self) -> bool {
        self.left == 0 && self.part.is_empty()
    }
}

/// Timestamps as runs: (distance to the run before, length less 1).
#[derive(Default)]
pub(super) struct TimeRuns {
    bytes: Vec<u8>,
    now: i64,
    before: i64,
    len: u64,
}

impl TimeRuns {
    #[inline]
    pub(super) fn push(&mut self, timestamp_ms: i64) {
        if self.len > 0 && timestamp_ms == self.now {
            self.len += 1;
            return;
        }
        self.flush();
        self.now = timestamp_ms;
        self.len = 1;
    }

    fn flush(&mut self) {
        if self.len > 0 {
            put_signed(&mut self.bytes, self.now.wrapping_sub(self.before));
            put_varint(&mut self.bytes, self.len - 1);
            self.before = self.now;
        }
    }

    /// Appends the runs and empties the writer.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        self.flush();
        put_prefixed(out, &self.bytes);
        self.bytes.clear();
        (self.before, self.len) = (0, 0);
    }
}

pub(super) struct TimeReader<'a> {
    part: Cursor<'a>,
    now: i64,
    left: u64,
}

impl<'a> TimeReader<'a> {
    pub(super) fn new(part: &'a [u8]) -> Self {
        Self { part: Cursor::new(part), now: 0, left: 0 }
    }

    #[inline]
    pub(super) fn next(&mut self) -> Decoded<i64> {
        if self.left > 0 {
            self.left -= 1;
        } else {
            self.now = self.now.wrapping_add(self.part.signed()?);
            self.left = self.part.varint()?;
        }
        Ok(self.now)
    }

    pub(super) fn is_done(&self) -> bool {
        self.left == 0 && self.part.is_empty()
    }
}

/// How surprises are written: a bit for each sample, or the distances between them.
const AS_BITS: u8 = 0;
const AS_GAPS: u8 = 1;

/// Which samples are surprises.
#[derive(Default)]
pub(super) struct Surprises {
    bits: Vec<u8>,
    len: usize,
    count: usize,
    gaps: Vec<u8>,
}

impl Surprises {
    #[inline]
    pub(super) fn push(&mut self, surprise: bool) {
        let bit = self.len % 8;
        if bit == 0 {
            self.bits.push(0);
        }
        if surprise && let Some(last) = self.bits.last_mut() {
            *last |= 1 << bit;
            self.count += 1;
        }
        self.len += 1;
    }

    /// Appends them in the shorter form and empties the writer.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        // A gap takes a byte, two where surprises are rare.
        if self.count * 9 >= self.len {
            out.push(AS_BITS);
            out.extend_from_slice(&self.bits);
        } else {
            let mut next = 0;
            for (byte, bits) in self.bits.iter().enumerate().filter(|(_, bits)| **bits != 0) {
                for at in (byte * 8..byte * 8 + 8).filter(|at| bits >> (at % 8) & 1 == 1) {
                    put_varint(&mut self.gaps, (at - next) as u64);
                    next = at + 1;
                }
            }
            out.push(AS_GAPS);
            put_prefixed(out, &self.gaps);
            self.gaps.clear();
        }
        self.bits.clear();
        (self.len, self.count) = (0, 0);
    }
}

/// Which samples are surprises, asked in order.
pub(super) enum SurpriseReader<'a> {
    Bits(&'a [u8]),
    Gaps { gaps: Cursor<'a>, next: Option<usize> },
}

impl<'a> SurpriseReader<'a> {
    pub(super) fn open(cursor: &mut Cursor<'a>, count: usize) -> Decoded<Self> {
        match cursor.u8()? {
            AS_BITS => Ok(Self::Bits(cursor.take(count.div_ceil(8))?)),
            AS_GAPS => {
                let mut reader = Self::Gaps { gaps: Cursor::new(cursor.prefixed()?), next: None };
                reader.advance(0)?;
                Ok(reader)
            }
            _ => Err(Damaged("a section has surprises of a kind that does not exist")),
        }
    }

    /// Finds the next surprise, counted from `from` on.
    fn advance(&mut self, from: usize) -> Decoded<()> {
        if let Self::Gaps { gaps, next } = self {
            *next = match gaps.is_empty() {
                true => None,
                false => Some(from + gaps.length(MAX_SECTION_SAMPLES, "a surprise lies outside its section")?),
            };
        }
        Ok(())
    }

    #[inline]
    pub(super) fn is_at(&mut self, at: usize) -> Decoded<bool> {
        match self {
            Self::Bits(bits) => Ok(bits.get(at / 8).is_some_and(|byte| byte >> (at % 8) & 1 == 1)),
            Self::Gaps { next, .. } if *next == Some(at) => {
                self.advance(at + 1)?;
                Ok(true)
            }
            Self::Gaps { .. } => Ok(false),
        }
    }
}
