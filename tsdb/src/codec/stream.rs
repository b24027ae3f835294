//! The append-only form of a chunk: one series' float samples as a stream of small tokens.
//!
//! [`Stream`] takes samples one at a time and grows in bytes, not in samples: a value that repeats at the usual distance
//! only counts up a run, one that changes costs the varint of its difference. [`ValueState`] turns a value into a [`Step`]
//! against the one before it; the write-ahead log writes the very same steps, so the work is done once per sample.
//! [`decode`] reads a stream back as columns.
//!
//! Invariant: timestamps ascend strictly, and what was pushed comes back bit for bit.
#![doc = include_str!("../../docs/format/stream.md")]

use super::bytes::{Cursor, Damaged, Decoded, put_signed, put_varint, unzigzag, zigzag};
use super::decimal::{BITS, coarsest, is_exponent, natural, scale, unscale};

/// Most samples in one stream: a reader decodes a stream from its beginning.
pub(crate) const MAX_SAMPLES: u32 = 512;

const RUN: u64 = 0;
const STRAY: u64 = 1;
const STEP: u64 = 2;
const MOVE: u64 = 3;
const SCALE: u64 = 4;
const RAW: u64 = 5;
const STALE: u64 = 6;

/// How a value follows from the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The same bits.
    Same,
    /// Same exponent, the mantissa differs by this.
    Delta(i64),
    /// A new exponent; the mantissa differs by this from the old value's at the new exponent (from 0 where it has none).
    Rescale(u8, i64),
    /// The staleness marker; exponent and mantissa stay.
    Stale,
    /// Bits without a number to follow on (NaN, infinity, -0.0); exponent and mantissa stay.
    Raw(u64),
}

/// The last value of a series, and the last number as exponent and mantissa: what the next value is written against.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ValueState {
    pub(crate) bits: u64,
    pub(crate) mantissa: i64,
    pub(crate) exponent: u8,
}

impl ValueState {
    /// Takes `value` as the next one and returns how it follows.
    #[inline]
    pub(crate) fn advance(&mut self, value: f64) -> Step {
        let bits = value.to_bits();
        if bits == self.bits {
            return Step::Same;
        }
        if let Some(mantissa) = scale(value, self.exponent)
            && (self.exponent != BITS || value.is_finite())
        {
            let delta = mantissa.wrapping_sub(self.mantissa);
            self.bits = bits;
            self.mantissa = mantissa;
            return if delta == 0 { Step::Rescale(self.exponent, 0) } else { Step::Delta(delta) };
        }
        self.leave_scale(value)
    }

    /// As [`ValueState::advance`], but looks for the smallest exponent first: at the beginning of a chunk.
    pub(crate) fn advance_anew(&mut self, value: f64) -> Step {
        if value.to_bits() != self.bits && value.is_finite() {
            let (exponent, mantissa) = coarsest(value);
            if exponent != self.exponent && !is_negative_zero(value) {
                return self.rescale(value, exponent, mantissa);
            }
        }
        self.advance(value)
    }

    #[cold]
    fn leave_scale(&mut self, value: f64) -> Step {
        let bits = value.to_bits();
        if !value.is_finite() || is_negative_zero(value) {
            self.bits = bits;
            return if bits == model::STALE_NAN.to_bits() { Step::Stale } else { Step::Raw(bits) };
        }
        let (exponent, mantissa) = natural(value, self.exponent);
        self.rescale(value, exponent, mantissa)
    }

    fn rescale(&mut self, value: f64, exponent: u8, mantissa: i64) -> Step {
        let delta = mantissa.wrapping_sub(self.base(exponent));
        *self = Self { bits: value.to_bits(), mantissa, exponent };
        Step::Rescale(exponent, delta)
    }

    /// The last number at another exponent, 0 where it has none.
    fn base(&self, exponent: u8) -> i64 {
        if exponent == self.exponent {
            return self.mantissa;
        }
        scale(unscale(self.mantissa, self.exponent), exponent).unwrap_or(0)
    }

    /// Inverse of [`ValueState::advance`].
    #[inline]
    pub(crate) fn follow(&mut self, step: Step) {
        match step {
            Step::Same => return,
            Step::Delta(delta) => self.mantissa = self.mantissa.wrapping_add(delta),
            Step::Rescale(exponent, delta) => {
                self.mantissa = self.base(exponent).wrapping_add(delta);
                self.exponent = exponent;
            }
            Step::Stale => {
                self.bits = model::STALE_NAN.to_bits();
                return;
            }
            Step::Raw(bits) => {
                self.bits = bits;
                return;
            }
        }
        self.bits = unscale(self.mantissa, self.exponent).to_bits();
    }

    #[inline]
    pub(crate) fn value(&self) -> f64 {
        f64::from_bits(self.bits)
    }
}

fn is_negative_zero(value: f64) -> bool {
    value.to_bits() == (-0.0f64).to_bits()
}

/// Appends the token of a step; [`Step::Same`] has one too, a zero byte.
#[inline]
pub(crate) fn put_step(out: &mut Vec<u8>, step: Step) {
    match step {
        Step::Same => out.push(0),
        Step::Delta(delta) if zigzag(delta) < 1 << 62 => put_varint(out, zigzag(delta) << 1),
        step => put_rare_step(out, step),
    }
}

#[cold]
fn put_rare_step(out: &mut Vec<u8>, step: Step) {
    match step {
        Step::Same => out.push(0),
        Step::Delta(delta) => {
            // Too long for the short form.
            put_code(out, SCALE, u64::from(UNCHANGED));
            put_signed(out, delta);
        }
        Step::Rescale(exponent, delta) => {
            put_code(out, SCALE, u64::from(exponent));
            put_signed(out, delta);
        }
        Step::Stale => put_code(out, STALE, 0),
        Step::Raw(bits) => {
            put_code(out, RAW, 0);
            out.extend_from_slice(&bits.to_le_bytes());
        }
    }
}

/// In the place of an exponent: the one before stays.
const UNCHANGED: u8 = 29;

fn put_code(out: &mut Vec<u8>, code: u64, argument: u64) {
    put_varint(out, argument << 4 | code << 1 | 1);
}

/// Reads the token of a step, without runs and times: the write-ahead log's use.
#[inline]
pub(crate) fn read_step(cursor: &mut Cursor<'_>) -> Decoded<Step> {
    match cursor.varint()? {
        0 => Ok(Step::Same),
        token if token & 1 == 0 => Ok(Step::Delta(unzigzag(token >> 1))),
        token => read_coded_step(cursor, token >> 1 & 7, token >> 4),
    }
}

fn read_coded_step(cursor: &mut Cursor<'_>, code: u64, argument: u64) -> Decoded<Step> {
    match (code, argument) {
        (SCALE, exponent) => {
            let exponent = u8::try_from(exponent).unwrap_or(u8::MAX);
            let delta = cursor.signed()?;
            match exponent {
                UNCHANGED => Ok(Step::Delta(delta)),
                _ if is_exponent(exponent) => Ok(Step::Rescale(exponent, delta)),
                _ => Err(Damaged("a value has an exponent that does not exist")),
            }
        }
        (RAW, 0) => Ok(Step::Raw(cursor.u64()?)),
        (STALE, 0) => Ok(Step::Stale),
        _ => Err(Damaged("a value token does not exist")),
    }
}

/// A chunk that is still appended to. The owner keeps the [`ValueState`] and the last timestamp beside it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stream {
    bytes: Vec<u8>,
    tail: StreamTail,
}

/// What a [`Stream`] knows beside its bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct StreamTail {
    /// Samples at the end, not yet in the bytes, which repeat the value and are on the grid.
    pub(crate) run: u32,
    pub(crate) count: u32,
    /// Distance of the grid's times in ms.
    pub(crate) step_ms: i64,
    /// The grid's time of the last sample.
    pub(crate) grid_ms: i64,
    /// Distance of the last two samples: the same twice makes a new grid.
    pub(crate) distance_ms: i64,
}

impl Stream {
    #[inline]
    pub(crate) fn count(&self) -> u32 {
        self.tail.count
    }

    /// Timestamp of the first sample, `None` when there is none.
    #[inline]
    pub(crate) fn first_ms(&self) -> Option<i64> {
        Cursor::new(&self.bytes).signed().ok()
    }

    /// Heap bytes.
    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Begins a stream with its first sample, which `state` holds already.
    pub(crate) fn begin(&mut self, timestamp_ms: i64, state: &ValueState) {
        self.bytes.clear();
        put_signed(&mut self.bytes, timestamp_ms);
        put_state(&mut self.bytes, state);
        self.tail = StreamTail { count: 1, grid_ms: timestamp_ms, ..StreamTail::default() };
    }

    /// Adds a sample after `last_ms`.
    #[inline]
    pub(crate) fn push(&mut self, last_ms: i64, timestamp_ms: i64, step: Step) {
        let tail = &mut self.tail;
        let grid_ms = tail.grid_ms.wrapping_add(tail.step_ms);
        tail.count += 1;
        if timestamp_ms == grid_ms {
            tail.grid_ms = grid_ms;
            if step == Step::Same {
                tail.run += 1;
                return;
            }
            self.reserve();
            self.end_run();
        } else {
            self.reserve();
            self.end_run();
            self.leave_grid(grid_ms, timestamp_ms.wrapping_sub(last_ms), timestamp_ms);
        }
        put_step(&mut self.bytes, step);
    }

    /// Grows in steps of a third, so that many small streams waste little.
    #[inline]
    fn reserve(&mut self) {
        const ROOM: usize = 32;
        if self.bytes.capacity() - self.bytes.len() < ROOM {
            let more = (self.bytes.len() / 3).max(ROOM);
            self.bytes.reserve_exact(more);
        }
    }

    /// Says when the sample is that is not at `grid_ms`.
    #[cold]
    fn leave_grid(&mut self, grid_ms: i64, distance_ms: i64, timestamp_ms: i64) {
        let tail = &mut self.tail;
        if distance_ms == tail.step_ms {
            // As far from the last sample as usual: the grid has moved (a scrape was missed, a target restarted).
            put_code(&mut self.bytes, MOVE, 0);
            tail.grid_ms = timestamp_ms;
        } else if tail.count == 2 || distance_ms == tail.distance_ms {
            put_time(&mut self.bytes, STEP, distance_ms.wrapping_sub(tail.step_ms));
            tail.step_ms = distance_ms;
            tail.grid_ms = timestamp_ms;
        } else {
            put_time(&mut self.bytes, STRAY, timestamp_ms.wrapping_sub(grid_ms));
            tail.grid_ms = grid_ms;
        }
        tail.distance_ms = distance_ms;
    }

    fn end_run(&mut self) {
        match self.tail.run {
            0 => {}
            1 => self.bytes.push(0),
            run => put_code(&mut self.bytes, RUN, u64::from(run)),
        }
        self.tail.run = 0;
    }

    /// Ends the stream: its bytes, trimmed. The stream is empty afterwards.
    pub(crate) fn finish(&mut self) -> Box<[u8]> {
        self.end_run();
        let bytes = self.bytes.as_slice().into();
        *self = Self::default();
        bytes
    }

    /// Appends all samples to columns.
    pub(crate) fn decode(&self, timestamps: &mut Vec<i64>, values: &mut Vec<f64>) -> Decoded<()> {
        if self.tail.count == 0 {
            return Ok(());
        }
        decode(&self.bytes, self.tail.count, self.tail.run, timestamps, values)
    }

    /// The parts from which [`Stream::restore`] makes an equal stream.
    pub(crate) fn parts(&self) -> (&[u8], StreamTail) {
        (&self.bytes, self.tail)
    }

    /// Inverse of [`Stream::parts`].
    pub(crate) fn restore(bytes: &[u8], tail: StreamTail) -> Self {
        Self { bytes: bytes.to_vec(), tail }
    }
}

fn put_time(out: &mut Vec<u8>, code: u64, difference: i64) {
    let argument = zigzag(difference);
    if argument != 0 && argument < 1 << 56 {
        put_code(out, code, argument);
    } else {
        put_code(out, code, 0);
        put_varint(out, argument);
    }
}

/// Appends a state in full: with it a stream begins, and a chain of steps in the write-ahead log.
pub(crate) fn put_state(out: &mut Vec<u8>, state: &ValueState) {
    // A first value that is no number stands beside the number to follow on, which then is 0.
    let number = unscale(state.mantissa, state.exponent).to_bits() == state.bits;
    out.push(state.exponent | if number { 0 } else { 0x80 });
    put_signed(out, state.mantissa);
    if !number {
        out.extend_from_slice(&state.bits.to_le_bytes());
    }
}

/// Inverse of [`put_state`].
pub(crate) fn read_state(cursor: &mut Cursor<'_>) -> Decoded<ValueState> {
    let flags = cursor.u8()?;
    let exponent = flags & 0x7f;
    if !is_exponent(exponent) {
        return Err(Damaged("a value has an exponent that does not exist"));
    }
    let mantissa = cursor.signed()?;
    let bits = if flags & 0x80 == 0 { unscale(mantissa, exponent).to_bits() } else { cursor.u64()? };
    Ok(ValueState { bits, mantissa, exponent })
}

/// Appends the samples of a stream to columns: `count` samples, of which `run` more at the end repeat what the bytes ended with.
/// What was appended before an error is left to the caller to cut off.
pub(crate) fn decode(
    bytes: &[u8],
    count: u32,
    run: u32,
    timestamps: &mut Vec<i64>,
    values: &mut Vec<f64>,
) -> Decoded<()> {
    if count == 0 || count > MAX_SAMPLES || run >= count {
        return Err(Damaged("a stream has an impossible number of samples"));
    }
    let count = count as usize;
    timestamps.reserve(count);
    values.reserve(count);
    let mut cursor = Cursor::new(bytes);
    let mut time = cursor.signed()?;
    let mut state = read_state(&mut cursor)?;
    timestamps.push(time);
    values.push(state.value());
    let mut left = count - 1;
    let (mut grid_ms, mut step_ms) = (time, 0i64);
    // Set by a token that says when the next sample is.
    let mut placed: Option<i64> = None;
    while !cursor.is_empty() {
        let token = cursor.varint()?;
        let (code, argument) = (token >> 1 & 7, token >> 4);
        if token & 1 == 1 && code <= MOVE {
            if placed.is_some() {
                return Err(Damaged("a sample is told its time twice"));
            }
            match code {
                RUN => {
                    let repeat = usize::try_from(argument).unwrap_or(usize::MAX);
                    left = left.checked_sub(repeat).ok_or(Damaged("a stream holds more samples than it says"))?;
                    grid_ms = put_run(timestamps, values, grid_ms, step_ms, state.value(), repeat);
                    time = grid_ms;
                }
                MOVE => {
                    grid_ms = time.wrapping_add(step_ms);
                    placed = Some(grid_ms);
                }
                _ => {
                    let difference = unzigzag(if argument == 0 { cursor.varint()? } else { argument });
                    if code == STEP {
                        step_ms = step_ms.wrapping_add(difference);
                        grid_ms = time.wrapping_add(step_ms);
                        placed = Some(grid_ms);
                    } else {
                        grid_ms = grid_ms.wrapping_add(step_ms);
                        placed = Some(grid_ms.wrapping_add(difference));
                    }
                }
            }
            continue;
        }
        let step = match token {
            0 => Step::Same,
            _ if token & 1 == 0 => Step::Delta(unzigzag(token >> 1)),
            _ => read_coded_step(&mut cursor, code, argument)?,
        };
        left = left.checked_sub(1).ok_or(Damaged("a stream holds more samples than it says"))?;
        state.follow(step);
        time = match placed.take() {
            Some(time) => time,
            None => {
                grid_ms = grid_ms.wrapping_add(step_ms);
                grid_ms
            }
        };
        timestamps.push(time);
        values.push(state.value());
    }
    if left != run as usize || placed.is_some() {
        return Err(Damaged("a stream holds fewer samples than it says"));
    }
    put_run(timestamps, values, grid_ms, step_ms, state.value(), left);
    Ok(())
}

/// Appends `repeat` samples with one value; returns the time of the last one.
fn put_run(
    timestamps: &mut Vec<i64>,
    values: &mut Vec<f64>,
    mut time: i64,
    step_ms: i64,
    value: f64,
    repeat: usize,
) -> i64 {
    timestamps.extend((0..repeat).map(|_| {
        time = time.wrapping_add(step_ms);
        time
    }));
    values.resize(values.len() + repeat, value);
    time
}

#[cfg(test)]
mod tests;
