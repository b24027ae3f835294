//! One shard's part of a logged batch: what is written while the shard is locked, and its way back.
//!
//! [`SectionWriter`] collects samples in columns: runs of series numbers, runs of timestamps, a bit for "the value is the one
//! before", and a token for each value that is not. [`Section`] reads them back. A value is written against the series'
//! previous value ([`Step`]), or in full where the chain begins anew.
//!
//! Invariant: [`SectionWriter::finish`] ends with a checksum over what the section *means* (whose samples, when, which values). A reader
//! whose idea of a series is not the writer's, because a record before was lost, gets another sum and refuses the section.

use model::Labels;

use crate::codec::bytes::{Cursor, Damaged, Decoded, put_prefixed, put_signed, put_varint};
use crate::codec::stream::{Step, ValueState, put_state, put_step, read_state, read_step};

/// Parts of a section.
const DEFINITIONS: u8 = 1;
const SAMPLES: u8 = 2;
const LATE_SAMPLES: u8 = 3;

/// The value token "in full": code 6 of the stream's tokens, which they leave free.
const FULL: u8 = 6 << 1 | 1;

/// Most samples of one section; a reader allocates for them.
pub(crate) const MAX_SECTION_SAMPLES: usize = 1 << 22;

/// Where a section stands in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SectionHead {
    /// Counts the sections of a shard since the store was opened.
    pub(crate) sequence: u64,
    /// The segment from which on the shard's series are defined.
    pub(crate) base: u64,
}

/// Adds what a sample means to a checksum.
#[inline]
fn mix(check: u64, series: u32, timestamp_ms: i64, bits: u64) -> u64 {
    let sample = bits
        ^ u64::from(series).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        ^ (timestamp_ms as u64).wrapping_mul(0xc2b2_ae3d_27d4_eb4f);
    (check ^ sample).wrapping_mul(0xff51_afd7_ed55_8ccd).rotate_left(31)
}

fn fold(check: u64) -> u32 {
    (check ^ check >> 32) as u32
}

/// Writes the section of one shard. Reused for its memory.
#[derive(Default)]
pub(crate) struct SectionWriter {
    definitions: Vec<u8>,
    defined: u64,
    last_defined: i64,
    last_labels: Labels,
    numbers: NumberRuns,
    times: TimeRuns,
    changed: Vec<u8>,
    samples: u64,
    tokens: Vec<u8>,
    late: Vec<u8>,
    late_samples: u64,
    last_late: (i64, i64),
    check: u64,
}

impl SectionWriter {
    /// True when nothing was written.
    pub(crate) fn is_empty(&self) -> bool {
        self.samples == 0 && self.late_samples == 0
    }

    /// Says which series a number stands for, from here on.
    pub(crate) fn define(&mut self, number: u32, labels: &Labels) {
        put_signed(&mut self.definitions, i64::from(number) - self.last_defined);
        let (text, last) = (labels.as_encoded().as_bytes(), self.last_labels.as_encoded().as_bytes());
        let shared = text.iter().zip(last).take_while(|(a, b)| a == b).count();
        put_varint(&mut self.definitions, shared as u64);
        put_prefixed(&mut self.definitions, &text[shared..]);
        self.defined += 1;
        self.last_defined = i64::from(number);
        self.last_labels = labels.clone();
    }

    #[inline]
    fn place(&mut self, number: u32, series: u32, timestamp_ms: i64, bits: u64, changed: bool) {
        self.numbers.push(number);
        self.times.push(timestamp_ms);
        let bit = self.samples & 7;
        if bit == 0 {
            self.changed.push(0);
        }
        if changed && let Some(last) = self.changed.last_mut() {
            *last |= 1 << bit;
        }
        self.samples += 1;
        self.check = mix(self.check, series, timestamp_ms, bits);
    }

    /// Adds a sample whose value follows the one before in the log by `step`.
    #[inline]
    pub(crate) fn sample(&mut self, number: u32, series: u32, timestamp_ms: i64, bits: u64, step: Step) {
        let changed = step != Step::Same;
        self.place(number, series, timestamp_ms, bits, changed);
        if changed {
            put_step(&mut self.tokens, step);
        }
    }

    /// Adds a sample with its value in full: it needs nothing from before.
    pub(crate) fn sample_in_full(&mut self, number: u32, series: u32, timestamp_ms: i64, state: &ValueState) {
        self.place(number, series, timestamp_ms, state.bits, true);
        self.tokens.push(FULL);
        put_state(&mut self.tokens, state);
    }

    #[allow(dead_code)]
    /// Adds a sample that is out of order: in full, and no later value follows on it.
    pub(crate) fn late_sample(&mut self, number: u32, series: u32, timestamp_ms: i64, value: f64) {
        put_signed(&mut self.late, i64::from(number) - self.last_late.0);
        put_signed(&mut self.late, timestamp_ms.wrapping_sub(self.last_late.1));
        let mut state = ValueState::default();
        state.advance_anew(value);
        put_state(&mut self.late, &state);
        self.last_late = (i64::from(number), timestamp_ms);
        self.late_samples += 1;
        self.check = mix(self.check, series, timestamp_ms, value.to_bits());
    }

    /// Appends the section to `out` and empties the writer.
    pub(crate) fn finish(&mut self, head: SectionHead, out: &mut Vec<u8>) {
        put_varint(out, head.sequence);
        put_varint(out, head.base);
        if self.defined > 0 {
            out.push(DEFINITIONS);
            put_varint(out, self.defined);
            put_prefixed(out, &self.definitions);
        }
        if self.samples > 0 {
            out.push(SAMPLES);
            put_varint(out, self.samples);
            put_prefixed(out, self.numbers.finish());
            put_prefixed(out, self.times.finish());
            out.extend_from_slice(&self.changed);
            put_prefixed(out, &self.tokens);
        }
        if self.late_samples > 0 {
            out.push(LATE_SAMPLES);
            put_varint(out, self.late_samples);
            put_prefixed(out, &self.late);
        }
        out.extend_from_slice(&fold(self.check).to_le_bytes());
        self.clear();
    }

    fn clear(&mut self) {
        self.definitions.clear();
        self.defined = 0;
        self.last_defined = 0;
        self.last_labels = Labels::empty();
        self.numbers.clear();
        self.times.clear();
        self.changed.clear();
        self.samples = 0;
        self.tokens.clear();
        self.late.clear();
        self.late_samples = 0;
        self.last_late = (0, 0);
        self.check = 0;
    }
}

/// Series numbers as runs: (length, whether the number repeats or counts up, distance from where the last run would go on).
#[derive(Default)]
struct NumberRuns {
    bytes: Vec<u8>,
    start: u32,
    last: u32,
    len: u64,
    counts: bool,
    expected: i64,
}

impl NumberRuns {
    #[inline]
    fn push(&mut self, number: u32) {
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

    fn finish(&mut self) -> &[u8] {
        self.flush();
        &self.bytes
    }

    fn clear(&mut self) {
        self.bytes.clear();
        (self.len, self.counts, self.expected) = (0, false, 0);
    }
}

/// Timestamps as runs: (distance to the run before, length - 1).
#[derive(Default)]
struct TimeRuns {
    bytes: Vec<u8>,
    now: i64,
    before: i64,
    len: u64,
}

impl TimeRuns {
    #[inline]
    fn push(&mut self, timestamp_ms: i64) {
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

    fn finish(&mut self) -> &[u8] {
        self.flush();
        self.len = 0;
        &self.bytes
    }

    fn clear(&mut self) {
        self.bytes.clear();
        (self.now, self.before, self.len) = (0, 0, 0);
    }
}

/// What a reader keeps of a series: where its values stand in the log.
#[derive(Clone, Debug)]
pub(crate) struct Follower<S> {
    /// The reader's own name for the series.
    pub(crate) series: S,
    pub(crate) check: u32,
    pub(crate) state: ValueState,
    /// Whether `state` is known: it is not before the first value in full, nor after a refused section.
    pub(crate) known: bool,
}

/// One decoded sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct LoggedSample<S> {
    pub(crate) series: S,
    pub(crate) timestamp_ms: i64,
    pub(crate) value: f64,
    pub(crate) late: bool,
}

/// Followers by series number.
pub(crate) type Followers<S> = hashbrown::HashMap<u32, Follower<S>, foldhash::fast::RandomState>;

/// A section in bytes.
pub(crate) struct Section<'a> {
    pub(crate) head: SectionHead,
    cursor: Cursor<'a>,
    check: u32,
}

impl<'a> Section<'a> {
    pub(crate) fn open(bytes: &'a [u8]) -> Decoded<Self> {
        let (content, check) = bytes.split_last_chunk::<4>().ok_or(Damaged("a section is too short"))?;
        let mut cursor = Cursor::new(content);
        let head = SectionHead { sequence: cursor.varint()?, base: cursor.varint()? };
        Ok(Self { head, cursor, check: u32::from_le_bytes(*check) })
    }

    /// Decodes the section: defines series through `resolve`, which returns the reader's name for a label set, and puts
    /// the samples into `out` (replacing what is there). Nothing is in `out` unless the whole section is right.
    pub(crate) fn read<S: Copy>(
        mut self,
        followers: &mut Followers<S>,
        resolve: &mut dyn FnMut(Labels) -> Option<S>,
        out: &mut Vec<LoggedSample<S>>,
    ) -> Decoded<()> {
        out.clear();
        let mut check = 0;
        let mut touched = Vec::new();
        let result = self.read_parts(followers, resolve, out, &mut check, &mut touched);
        let result = result.and_then(|()| {
            if fold(check) == self.check {
                Ok(())
            } else {
                Err(Damaged("a section does not follow on what was read before: a record is missing"))
            }
        });
        if result.is_err() {
            out.clear();
            for number in touched {
                if let Some(follower) = followers.get_mut(&number) {
                    follower.known = false;
                }
            }
        }
        result
    }

    fn read_parts<S: Copy>(
        &mut self,
        followers: &mut Followers<S>,
        resolve: &mut dyn FnMut(Labels) -> Option<S>,
        out: &mut Vec<LoggedSample<S>>,
        check: &mut u64,
        touched: &mut Vec<u32>,
    ) -> Decoded<()> {
        while !self.cursor.is_empty() {
            match self.cursor.u8()? {
                DEFINITIONS => self.read_definitions(followers, resolve)?,
                SAMPLES => self.read_samples(followers, out, check, touched)?,
                LATE_SAMPLES => self.read_late(followers, out, check)?,
                _ => return Err(Damaged("a section has a part that does not exist")),
            }
        }
        Ok(())
    }

    fn read_definitions<S: Copy>(
        &mut self,
        followers: &mut Followers<S>,
        resolve: &mut dyn FnMut(Labels) -> Option<S>,
    ) -> Decoded<()> {
        let count = self.cursor.varint()?;
        let mut part = Cursor::new(self.cursor.prefixed()?);
        let mut number = 0i64;
        let mut text: Vec<u8> = Vec::new();
        for _ in 0..count {
            number = number.wrapping_add(part.signed()?);
            let shared = part.length(text.len(), "a label set shares more bytes than there are")?;
            text.truncate(shared);
            text.extend_from_slice(part.prefixed()?);
            let labels = std::str::from_utf8(&text).ok().and_then(Labels::from_encoded);
            let labels = labels.ok_or(Damaged("a label set is broken"))?;
            let number = u32::try_from(number).map_err(|_| Damaged("a series number is out of range"))?;
            let check = (labels.fingerprint() >> 32) as u32;
            // A series that is defined again is still the same one more often than not.
            let series = resolve(labels).ok_or(Damaged("a series could not be made"))?;
            followers.insert(number, Follower { series, check, state: ValueState::default(), known: false });
        }
        if part.is_empty() { Ok(()) } else { Err(Damaged("definitions are longer than they say")) }
    }

    fn read_samples<S: Copy>(
        &mut self,
        followers: &mut Followers<S>,
        out: &mut Vec<LoggedSample<S>>,
        check: &mut u64,
        touched: &mut Vec<u32>,
    ) -> Decoded<()> {
        let count = self.cursor.length(MAX_SECTION_SAMPLES, "a section has too many samples")?;
        let mut numbers =
            NumberReader { part: Cursor::new(self.cursor.prefixed()?), expected: 0, left: 0, step: 0, now: 0 };
        let mut times = TimeReader { part: Cursor::new(self.cursor.prefixed()?), now: 0, left: 0 };
        let changed = self.cursor.take(count.div_ceil(8))?;
        let mut tokens = Cursor::new(self.cursor.prefixed()?);
        out.reserve(count);
        for i in 0..count {
            let number = numbers.next()?;
            let timestamp_ms = times.next()?;
            touched.push(number);
            let follower =
                followers.get_mut(&number).ok_or(Damaged("a sample is of a series that was never defined"))?;
            if changed.get(i / 8).is_some_and(|byte| byte >> (i % 8) & 1 == 1) {
                if tokens.rest().first() == Some(&FULL) {
                    tokens.u8()?;
                    follower.state = read_state(&mut tokens)?;
                    follower.known = true;
                } else {
                    follower.state.follow(read_step(&mut tokens)?);
                }
            }
            if !follower.known {
                return Err(Damaged("a value follows on one that is not known"));
            }
            *check = mix(*check, follower.check, timestamp_ms, follower.state.bits);
            out.push(LoggedSample {
                series: follower.series,
                timestamp_ms,
                value: follower.state.value(),
                late: false,
            });
        }
        if tokens.is_empty() && numbers.is_done() && times.is_done() {
            Ok(())
        } else {
            Err(Damaged("a section holds more than it says"))
        }
    }

    fn read_late<S: Copy>(
        &mut self,
        followers: &mut Followers<S>,
        out: &mut Vec<LoggedSample<S>>,
        check: &mut u64,
    ) -> Decoded<()> {
        let count = self.cursor.length(MAX_SECTION_SAMPLES, "a section has too many samples")?;
        let mut part = Cursor::new(self.cursor.prefixed()?);
        let (mut number, mut timestamp_ms) = (0i64, 0i64);
        for _ in 0..count {
            number = number.wrapping_add(part.signed()?);
            timestamp_ms = timestamp_ms.wrapping_add(part.signed()?);
            let state = read_state(&mut part)?;
            let number = u32::try_from(number).map_err(|_| Damaged("a series number is out of range"))?;
            let follower = followers.get(&number).ok_or(Damaged("a sample is of a series that was never defined"))?;
            *check = mix(*check, follower.check, timestamp_ms, state.bits);
            out.push(LoggedSample { series: follower.series, timestamp_ms, value: state.value(), late: true });
        }
        if part.is_empty() { Ok(()) } else { Err(Damaged("a section holds more than it says")) }
    }
}

struct NumberReader<'a> {
    part: Cursor<'a>,
    expected: i64,
    left: u64,
    step: u32,
    now: u32,
}

impl NumberReader<'_> {
    #[inline]
    fn next(&mut self) -> Decoded<u32> {
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

    fn is_done(&self) -> bool {
        self.left == 0 && self.part.is_empty()
    }
}

struct TimeReader<'a> {
    part: Cursor<'a>,
    now: i64,
    left: u64,
}

impl TimeReader<'_> {
    #[inline]
    fn next(&mut self) -> Decoded<i64> {
        if self.left > 0 {
            self.left -= 1;
        } else {
            self.now = self.now.wrapping_add(self.part.signed()?);
            self.left = self.part.varint()?;
        }
        Ok(self.now)
    }

    fn is_done(&self) -> bool {
        self.left == 0 && self.part.is_empty()
    }
}

#[cfg(test)]
mod tests;
