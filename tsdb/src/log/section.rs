//! One shard's part of a logged batch: what is written while the shard is locked, and its way back.
//!
//! [`SectionWriter`] collects samples in columns: runs of series numbers, runs of timestamps, which values differ from the one before
//! where that is a surprise ([`Habit`]), and a token for each value that does. Where the chain of a series begins anew its sample goes to
//! a part of its own, in full. [`Section`] reads all of it back. The columns are in [`runs`].
//!
//! Invariant: [`SectionWriter::finish`] ends with a checksum over what the section *means* (whose samples, when, which values). A reader
//! whose idea of a series is not the writer's, because a record before was lost, gets another sum and refuses the section.

mod runs;

use model::Labels;

use self::runs::{NumberReader, NumberRuns, SurpriseReader, Surprises, TimeReader, TimeRuns};
use crate::codec::bytes::{Cursor, Damaged, Decoded, put_prefixed, put_signed, put_varint};
use crate::codec::stream::{Step, ValueState, put_state, put_step, read_state, read_step};

/// Parts of a section.
const DEFINITIONS: u8 = 1;
const IN_FULL: u8 = 2;
const SAMPLES: u8 = 3;
const LATE_SAMPLES: u8 = 4;

/// Most samples of one part of a section.
pub(crate) const MAX_SECTION_SAMPLES: usize = 1 << 22;

/// Where a section stands in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SectionHead {
    /// Counts the sections of a shard since the store was opened.
    pub(crate) sequence: u64,
    /// The segment from which on the shard's series are defined.
    pub(crate) base: u64,
}

/// Whether a series' values tend to change: a counter of two bits, up with every value that did.
///
/// Most series never change and some always do: writing only what is not as expected halves what it costs to say which.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Habit(u8);

impl Habit {
    /// Takes in whether a value changed; returns whether that is a surprise.
    #[inline]
    fn take(&mut self, changed: bool) -> bool {
        let surprise = changed != (self.0 >= 2);
        self.0 = if changed { (self.0 + 1).min(3) } else { self.0.saturating_sub(1) };
        surprise
    }

    /// Inverse: takes in whether there is a surprise; returns whether the value changed.
    #[inline]
    fn follow(&mut self, surprise: bool) -> bool {
        let changed = surprise != (self.0 >= 2);
        self.take(changed);
        changed
    }
}

/// A sample as a section has it: the series' number in the shard and its part of the check, the time, the value's bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placed {
    pub(crate) number: u32,
    pub(crate) check: u32,
    pub(crate) timestamp_ms: i64,
    pub(crate) bits: u64,
}

/// A checksum over what samples mean.
#[derive(Clone, Copy, Debug, Default)]
struct Check(u64);

impl Check {
    const FACTOR: u64 = 0xff51_afd7_ed55_8ccd;

    #[inline]
    fn add(&mut self, sample: &Placed) {
        let meaning = sample.bits
            ^ u64::from(sample.check).wrapping_mul(0x9e37_79b9_7f4a_7c15)
            ^ (sample.timestamp_ms as u64).wrapping_mul(0xc2b2_ae3d_27d4_eb4f);
        self.0 = (self.0 ^ meaning).wrapping_mul(Self::FACTOR).rotate_left(31);
    }

    fn join(checks: &[Self]) -> u32 {
        let all = checks.iter().fold(0u64, |all, c| (all ^ c.0).wrapping_mul(Self::FACTOR).rotate_left(31));
        (all ^ all >> 32) as u32
    }
}

/// Writes the section of one shard. Reused for its memory.
#[derive(Default)]
pub(crate) struct SectionWriter {
    definitions: Vec<u8>,
    defined: u64,
    last_defined: i64,
    last_labels: Labels,
    full: FullPart,
    numbers: NumberRuns,
    times: TimeRuns,
    surprises: Surprises,
    samples: u64,
    tokens: Vec<u8>,
    check: Check,
    late: FullPart,
}

impl SectionWriter {
    /// True when nothing was written.
    pub(crate) fn is_empty(&self) -> bool {
        self.samples == 0 && self.full.count == 0 && self.late.count == 0
    }

    /// Says which series a number stands for, from here on.
    pub(crate) fn define(&mut self, number: u32, labels: &Labels) {
        put_signed(&mut self.definitions, i64::from(number) - self.last_defined);
        let (text, last) = (labels.as_encoded().as_bytes(), self.last_labels.as_encoded().as_bytes());
        let shared = text.iter().zip(last).take_while(|(a, b)| a == b).count();
        put_varint(&mut self.definitions, shared as u64);
        put_prefixed(&mut self.definitions, text.get(shared..).unwrap_or_default());
        self.defined += 1;
        self.last_defined = i64::from(number);
        self.last_labels = labels.clone();
    }

    /// Adds a sample whose value follows the one before in the log by `step`.
    #[inline]
    pub(crate) fn sample(&mut self, sample: Placed, habit: &mut Habit, step: Step) {
        let changed = step != Step::Same;
        self.numbers.push(sample.number);
        self.times.push(sample.timestamp_ms);
        self.surprises.push(habit.take(changed));
        self.samples += 1;
        self.check.add(&sample);
        if changed {
            put_step(&mut self.tokens, step);
        }
    }

    /// Adds a sample with its value in full: it needs nothing from before, and later samples of its series follow on it.
    pub(crate) fn sample_in_full(&mut self, sample: Placed, habit: &mut Habit, state: &ValueState) {
        *habit = Habit::default();
        self.full.push(&sample, state);
    }

    /// Adds a sample that is out of order: in full, and nothing follows on it.
    #[allow(dead_code)]
    pub(crate) fn late_sample(&mut self, sample: Placed) {
        let mut state = ValueState::default();
        state.advance_anew(f64::from_bits(sample.bits));
        self.late.push(&sample, &state);
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
        let check = Check::join(&[self.full.check, self.check, self.late.check]);
        self.full.finish(IN_FULL, out);
        if self.samples > 0 {
            out.push(SAMPLES);
            put_varint(out, self.samples);
            self.numbers.finish(out);
            self.times.finish(out);
            self.surprises.finish(out);
            put_prefixed(out, &self.tokens);
        }
        self.late.finish(LATE_SAMPLES, out);
        out.extend_from_slice(&check.to_le_bytes());
        self.definitions.clear();
        (self.defined, self.last_defined, self.last_labels) = (0, 0, Labels::empty());
        self.tokens.clear();
        (self.samples, self.check) = (0, Check::default());
    }
}

/// Samples with their values in full.
#[derive(Default)]
struct FullPart {
    numbers: NumberRuns,
    times: TimeRuns,
    states: Vec<u8>,
    count: u64,
    check: Check,
}

impl FullPart {
    fn push(&mut self, sample: &Placed, state: &ValueState) {
        self.numbers.push(sample.number);
        self.times.push(sample.timestamp_ms);
        put_state(&mut self.states, state);
        self.count += 1;
        self.check.add(sample);
    }

    /// Appends the part, if there is anything in it, and empties it.
    fn finish(&mut self, tag: u8, out: &mut Vec<u8>) {
        if self.count > 0 {
            out.push(tag);
            put_varint(out, self.count);
            self.numbers.finish(out);
            self.times.finish(out);
            put_prefixed(out, &self.states);
            self.states.clear();
            (self.count, self.check) = (0, Check::default());
        }
    }
}

/// What a reader keeps of a series: where its values stand in the log.
#[derive(Clone, Debug)]
pub(crate) struct Follower<S> {
    /// The reader's own name for the series.
    pub(crate) series: S,
    check: u32,
    state: ValueState,
    habit: Habit,
    /// Whether `state` is known: it is not before the first value in full, nor after a refused section.
    known: bool,
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
        self,
        followers: &mut Followers<S>,
        resolve: &mut dyn FnMut(Labels) -> Option<S>,
        out: &mut Vec<LoggedSample<S>>,
    ) -> Decoded<()> {
        out.clear();
        let want = self.check;
        let mut reading =
            Reading { cursor: self.cursor, followers, out, checks: [Check::default(); 3], touched: Vec::new() };
        let result = reading.parts(resolve).and_then(|()| match Check::join(&reading.checks) == want {
            true => Ok(()),
            false => Err(Damaged("a section does not follow on what was read before: a record is missing")),
        });
        if result.is_err() {
            reading.give_up();
        }
        result
    }
}

/// A section being read.
struct Reading<'a, 'b, S> {
    cursor: Cursor<'a>,
    followers: &'b mut Followers<S>,
    out: &'b mut Vec<LoggedSample<S>>,
    /// Of samples in full, of samples, of late samples.
    checks: [Check; 3],
    /// Series whose state was changed.
    touched: Vec<u32>,
}

impl<S: Copy> Reading<'_, '_, S> {
    fn parts(&mut self, resolve: &mut dyn FnMut(Labels) -> Option<S>) -> Decoded<()> {
        while !self.cursor.is_empty() {
            match self.cursor.u8()? {
                DEFINITIONS => self.definitions(resolve)?,
                IN_FULL => self.in_full(false)?,
                SAMPLES => self.samples()?,
                LATE_SAMPLES => self.in_full(true)?,
                _ => return Err(Damaged("a section has a part that does not exist")),
            }
        }
        Ok(())
    }

    /// Forgets the samples, and what was made of the series they touched.
    fn give_up(&mut self) {
        self.out.clear();
        for number in &self.touched {
            if let Some(follower) = self.followers.get_mut(number) {
                follower.known = false;
            }
        }
    }

    fn definitions(&mut self, resolve: &mut dyn FnMut(Labels) -> Option<S>) -> Decoded<()> {
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
            let check = check_of(&labels);
            let series = resolve(labels).ok_or(Damaged("a series could not be made"))?;
            let (state, habit) = (ValueState::default(), Habit::default());
            self.followers.insert(number, Follower { series, check, state, habit, known: false });
        }
        if part.is_empty() { Ok(()) } else { Err(Damaged("definitions are longer than they say")) }
    }

    fn count(&mut self) -> Decoded<usize> {
        self.cursor.length(MAX_SECTION_SAMPLES, "a section has too many samples")
    }

    fn samples(&mut self) -> Decoded<()> {
        let count = self.count()?;
        let mut numbers = NumberReader::new(self.cursor.prefixed()?);
        let mut times = TimeReader::new(self.cursor.prefixed()?);
        let mut surprises = SurpriseReader::open(&mut self.cursor, count)?;
        let mut tokens = Cursor::new(self.cursor.prefixed()?);
        for at in 0..count {
            let (number, timestamp_ms) = (numbers.next()?, times.next()?);
            self.touched.push(number);
            let follower = follower_of(self.followers, number)?;
            if !follower.known {
                return Err(Damaged("a value follows on one that is not known"));
            }
            if follower.habit.follow(surprises.is_at(at)?) {
                follower.state.follow(read_step(&mut tokens)?);
            }
            let bits = follower.state.bits;
            self.checks[1].add(&Placed { number, check: follower.check, timestamp_ms, bits });
            let (series, value) = (follower.series, f64::from_bits(bits));
            self.out.push(LoggedSample { series, timestamp_ms, value, late: false });
        }
        all_read(tokens.is_empty() && numbers.is_done() && times.is_done())
    }

    /// Reads samples in full: later samples follow on them unless they are late.
    fn in_full(&mut self, late: bool) -> Decoded<()> {
        let count = self.count()?;
        let mut numbers = NumberReader::new(self.cursor.prefixed()?);
        let mut times = TimeReader::new(self.cursor.prefixed()?);
        let mut states = Cursor::new(self.cursor.prefixed()?);
        for _ in 0..count {
            let (number, timestamp_ms) = (numbers.next()?, times.next()?);
            let state = read_state(&mut states)?;
            let follower = follower_of(self.followers, number)?;
            if !late {
                self.touched.push(number);
                (follower.state, follower.habit, follower.known) = (state, Habit::default(), true);
            }
            let check = &mut self.checks[if late { 2 } else { 0 }];
            check.add(&Placed { number, check: follower.check, timestamp_ms, bits: state.bits });
            self.out.push(LoggedSample { series: follower.series, timestamp_ms, value: state.value(), late });
        }
        all_read(states.is_empty() && numbers.is_done() && times.is_done())
    }
}

/// The part of a label set's fingerprint that goes into checks.
pub(crate) fn check_of(labels: &Labels) -> u32 {
    (labels.fingerprint() >> 32) as u32
}

#[inline]
fn follower_of<S>(followers: &mut Followers<S>, number: u32) -> Decoded<&mut Follower<S>> {
    followers.get_mut(&number).ok_or(Damaged("a sample is of a series that was never defined"))
}

fn all_read(done: bool) -> Decoded<()> {
    if done { Ok(()) } else { Err(Damaged("a section holds more than it says")) }
}

#[cfg(test)]
mod tests;
