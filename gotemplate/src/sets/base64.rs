//! Base 64 with Go's error texts, which templates show.

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Which of the two alphabets.
#[derive(Clone, Copy)]
pub(super) enum Alphabet {
    Standard,
    Url,
}

impl Alphabet {
    fn letters(self) -> &'static [u8; 64] {
        match self {
            Self::Standard => STANDARD,
            Self::Url => URL,
        }
    }
}

/// Where the text stops being base 64.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("illegal base64 data at input byte {0}")]
pub(super) struct Corrupt(usize);

pub(super) fn encode(input: &[u8], alphabet: Alphabet) -> String {
    let letters = alphabet.letters();
    let mut out = String::with_capacity(input.len().div_ceil(3) * 4);
    for chunk in input.chunks(3) {
        let bits = chunk.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for at in 0..4 {
            if at <= chunk.len() {
                out.push(char::from(letters[(bits >> (18 - 6 * at)) as usize & 63]));
            } else {
                out.push('=');
            }
        }
    }
    out
}

/// The decoded bytes; line breaks are skipped, padding is demanded.
pub(super) fn decode(input: &[u8], alphabet: Alphabet) -> Result<Vec<u8>, Corrupt> {
    let letters = alphabet.letters();
    let is_break = |b: &u8| matches!(b, b'\n' | b'\r');
    let mut out = Vec::with_capacity(input.len() / 4 * 3);
    let mut group = [0u8; 4];
    let mut filled = 0;
    let mut at = 0;
    while at < input.len() {
        let byte = input[at];
        at += 1;
        if let Some(value) = letters.iter().position(|letter| *letter == byte) {
            group[filled] = value as u8;
            filled += 1;
            if filled == 4 {
                put(&mut out, group, 3);
                filled = 0;
            }
            continue;
        }
        if is_break(&byte) {
            continue;
        }
        if byte != b'=' || filled < 2 {
            return Err(Corrupt(at - 1));
        }
        let skip_breaks = |at: usize| at + input[at..].iter().take_while(|b| is_break(b)).count();
        if filled == 2 {
            at = skip_breaks(at);
            match input.get(at) {
                None => return Err(Corrupt(input.len())),
                Some(b'=') => at += 1,
                Some(_) => return Err(Corrupt(at - 1)),
            }
        }
        at = skip_breaks(at);
        if at < input.len() {
            return Err(Corrupt(at));
        }
        group[filled..].fill(0);
        put(&mut out, group, filled - 1);
        return Ok(out);
    }
    if filled > 0 { Err(Corrupt(input.len() - filled)) } else { Ok(out) }
}

fn put(out: &mut Vec<u8>, group: [u8; 4], count: usize) {
    let bits = group.iter().fold(0u32, |bits, value| bits << 6 | u32::from(*value));
    out.extend_from_slice(&bits.to_be_bytes()[1..=count]);
}
